import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { api, asked, everyPage, type Schemas } from "../api/client";
import { useText } from "../i18n/text";
import { stream } from "../live/stream";
import { Empty, Shown } from "./basics";
import { Chart, type Curve } from "./chart";

type Reading = Schemas["ReadingResource"];

/** Readings of a transaction, from its beginning, and as they come in. */
export function useReadings(number: number | null) {
  const queries = useQueryClient();
  const key = useMemo(() => ["readings", number], [number]);
  const found = useQuery({
    queryKey: key,
    enabled: number !== null,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () => everyPage((cursor) => read(number!, { cursor, limit: 500 })),
  });
  useEffect(() => {
    if (number === null) return;
    let timer = 0;
    const more = async () => {
      const before = queries.getQueryData<Reading[]>(key);
      const since = before?.at(-1)?.at;
      if (before === undefined || since === undefined) return void queries.invalidateQueries({ queryKey: key });
      const fresh = await everyPage((cursor) => read(number, { cursor, since, limit: 500 }));
      queries.setQueryData<Reading[]>(key, [...before.filter((one) => one.at < since), ...fresh]);
    };
    const soon = () => {
      if (timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        void more().catch(() => {});
      }, 1000);
    };
    const stops = [
      stream.onOpen(soon),
      stream.onEvent((event) => {
        if (event.type === "meter.sample" && event.body["transaction_number"] === number) soon();
      }),
    ];
    return () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, [number, key, queries]);
  return found;
}

function read(number: number, query: { cursor?: string; since?: string; limit: number }) {
  return asked(api.GET("/api/v1/transactions/{number}/meter-values", { params: { path: { number }, query } }));
}

/** Power, current per phase, energy and state of charge of one transaction. */
export function Curves({ number }: { number: number }) {
  const { t } = useText();
  const found = useReadings(number);
  return (
    <Shown of={found}>
      {(readings) =>
        readings.filter((one) => one.power_w !== null || one.samples.length > 1).length < 2 ? (
          <Empty title={t("No curve yet")}>{t("It begins with the second reading of the meter.")}</Empty>
        ) : (
          <Panels readings={readings} />
        )
      }
    </Shown>
  );
}

function Panels({ readings }: { readings: readonly Reading[] }) {
  const { t } = useText();
  const panels = useMemo(() => {
    const times = readings.map((one) => Date.parse(one.at) / 1000);
    const pick = (measurand: string, phase: string | null = null, scale = 1) =>
      readings.map((one) => {
        const sample = one.samples.find(
          (each) => (each.measurand ?? "Energy.Active.Import.Register") === measurand && (each.phase ?? null) === phase,
        );
        return sample?.value === null || sample?.value === undefined ? null : sample.value * scale;
      });
    const some = (values: (number | null)[]) => values.some((one) => one !== null);
    const first = readings.find((one) => one.energy_wh !== null)?.energy_wh ?? 0;
    const power: Curve[] = [
      {
        label: t("Power"),
        tone: "--curve-1",
        filled: true,
        values: readings.map((one) => (one.power_w === null ? null : one.power_w / 1000)),
      },
    ];
    const offered = pick("Power.Offered", null, 0.001);
    if (some(offered))
      power.push({ label: t("Limit"), tone: "--curve-limit", dashed: true, stepped: true, values: offered });
    const current: Curve[] = ["L1", "L2", "L3"]
      .map((phase, index) => ({
        label: phase,
        tone: `--curve-${index + 1}`,
        values: pick("Current.Import", phase),
        digits: 1,
      }))
      .filter((one) => some(one.values));
    const whole = pick("Current.Import");
    if (current.length === 0 && some(whole))
      current.push({ label: t("Current"), tone: "--curve-1", values: whole, digits: 1 });
    const allowed = pick("Current.Offered");
    if (some(allowed))
      current.push({
        label: t("Limit"),
        tone: "--curve-limit",
        dashed: true,
        stepped: true,
        values: allowed,
        digits: 1,
      } as never);
    const energy: Curve[] = [
      {
        label: t("Energy"),
        tone: "--curve-1",
        values: readings.map((one) => (one.energy_wh === null ? null : (one.energy_wh - first) / 1000)),
      },
    ];
    const soc = pick("SoC");
    return {
      times,
      power,
      current,
      energy,
      soc: some(soc) ? [{ label: t("State of charge"), tone: "--curve-3", values: soc, digits: 0 }] : [],
    };
  }, [readings, t]);
  return (
    <div className="columns">
      <Chart label={t("Power")} unit="kW" times={panels.times} curves={panels.power} group="readings" />
      {panels.current.length > 0 && (
        <Chart label={t("Current by phase")} unit="A" times={panels.times} curves={panels.current} group="readings" />
      )}
      <Chart label={t("Energy")} unit="kWh" times={panels.times} curves={panels.energy} group="readings" />
      {panels.soc.length > 0 && (
        <Chart label={t("State of charge")} unit="%" times={panels.times} curves={panels.soc} group="readings" />
      )}
    </div>
  );
}
