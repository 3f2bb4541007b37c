import { Select } from "@mantine/core";
import { useMemo, useState } from "react";
import { useFormat } from "../../i18n/format";
import { useText } from "../../i18n/text";
import { Empty } from "../../parts/basics";
import { Chart } from "../../parts/chart";
import type { Site } from "../../parts/single-line";

const WHOLE = "";

/** What the controller plans for the hours ahead, against what energy costs and weighs then. */
export function Plan({ site }: { site: Site }) {
  const { t } = useText();
  const format = useFormat();
  const { plan } = site;
  const [evse, choose] = useState(WHOLE);
  const shown = plan?.evses.includes(evse) ? evse : WHOLE;
  const drawn = useMemo(() => {
    if (plan === null || plan.slots.length === 0) return null;
    const of = plan.evses.indexOf(shown);
    // A slot is named by its end; a step holds from its beginning, and the last one until its end.
    const begins = [plan.made_at, ...plan.slots.map((slot) => slot.until)];
    const stepped = (values: (number | null)[]) => [...values, values.at(-1) ?? null];
    return {
      times: begins.map((instant) => Date.parse(instant) / 1000),
      planned: stepped(plan.slots.map((slot) => (of < 0 ? slot.power_w / 1000 : (slot.currents_a[of] ?? null)))),
      price: stepped(plan.slots.map((slot) => slot.price)),
      carbon: stepped(plan.slots.map((slot) => slot.carbon_kg_per_kwh)),
      sun: stepped(plan.slots.map((slot) => (slot.pv_w === null ? null : slot.pv_w / 1000))),
    };
  }, [plan, shown]);
  if (plan === null || drawn === null)
    return (
      <section className="card">
        <h2>{t("The plan for the next hours")}</h2>
        <Empty title={t("No plan")}>
          {t("The controller plans where the site's file has a [planner], while cars are plugged in.")}
        </Empty>
      </section>
    );
  const some = (values: readonly (number | null)[]) => values.some((one) => one !== null && one !== 0);
  const what = shown === WHOLE ? t("Planned power") : t("Planned current of {name}", { name: shown });
  return (
    <section className="card">
      <div className="card-head">
        <h2>
          {t("The plan for the next hours")}{" "}
          <span className="faint small">{t("made at {time}", { time: format.time(plan.made_at) })}</span>
        </h2>
        {plan.evses.length > 0 && (
          <Select
            size="xs"
            aria-label={t("Whose plan")}
            data={[
              { value: WHOLE, label: t("All together") },
              ...plan.evses.map((one) => ({ value: one, label: one })),
            ]}
            value={shown}
            onChange={(value) => choose(value ?? WHOLE)}
            allowDeselect={false}
          />
        )}
      </div>
      <Chart
        label={what}
        unit={shown === WHOLE ? "kW" : "A"}
        times={drawn.times}
        group="plan"
        curves={[
          { label: t("Planned"), tone: "--curve-1", stepped: true, filled: true, values: drawn.planned, digits: 1 },
          ...(shown === WHOLE && some(drawn.sun)
            ? [{ label: t("Solar power"), tone: "--curve-2", stepped: true, values: drawn.sun, digits: 1 }]
            : []),
        ]}
      />
      {shown !== WHOLE && <p className="small">{plan.shares[plan.evses.indexOf(shown)]}</p>}
      {some(drawn.price) && (
        <Chart
          label={t("Price per kWh")}
          unit={t("per kWh")}
          height={120}
          times={drawn.times}
          group="plan"
          curves={[{ label: t("Price"), tone: "--curve-2", stepped: true, values: drawn.price, digits: 3 }]}
        />
      )}
      {some(drawn.carbon) && (
        <Chart
          label={t("kg CO₂ per kWh")}
          unit="kg"
          height={120}
          times={drawn.times}
          group="plan"
          curves={[{ label: "CO₂", tone: "--curve-3", stepped: true, values: drawn.carbon, digits: 3 }]}
        />
      )}
    </section>
  );
}
