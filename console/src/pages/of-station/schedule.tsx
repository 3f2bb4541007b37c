import { Button, Select } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "react-router";
import { api, asked, type Schemas } from "../../api/client";
import { useFormat } from "../../i18n/format";
import { useText } from "../../i18n/text";
import { placesOf, useEntry } from "../../live/fleet";
import { Empty, Shown } from "../../parts/basics";
import { Chart } from "../../parts/chart";
import { useLive } from "../../parts/more";
import { stepsOf, together } from "../../parts/profile";
import { ProfileTable } from "../../parts/profile-table";
import { Wide } from "../../parts/wide";
import { useViewer } from "../../session";

const HOURS = ["1", "6", "24", "72"];

/** What the station may take, by our reading and by its own word, and who says so. */
export default function Schedule({ id }: { id: string }) {
  const { t } = useText();
  const viewer = useViewer();
  const entry = useEntry(id);
  const evses = entry === undefined ? [] : [...new Set(placesOf(entry).map((one) => one.evse_id))];
  const [evse, setEvse] = useState("1");
  const [hours, setHours] = useState("24");
  const duration_s = Number(hours) * 3600;
  const key = ["intended", id, evse, hours];
  const intended = useQuery({
    queryKey: key,
    queryFn: () =>
      asked(
        api.POST("/api/v1/stations/{station_id}/intended-schedule", {
          params: { path: { station_id: id } },
          body: { evse_id: Number(evse), duration_s },
        }),
      ),
  });
  useLive(key, ["command.updated", "transaction.started", "transaction.ended"], { station_id: id });
  const read = useMutation({
    mutationFn: () =>
      asked(
        api.GET("/api/v1/stations/{station_id}/composite-schedule", {
          params: {
            path: { station_id: id },
            query: { evse_id: Number(evse), duration_s, rate_unit: "A" },
            header: { prefer: "wait=15" },
          },
        }),
      ),
  });
  const told = read.data !== undefined && "schedule" in read.data ? read.data.schedule : null;
  return (
    <>
      <section className="card" aria-labelledby="composite">
        <div className="card-head">
          <h2 id="composite">{t("What it may take")}</h2>
          <div className="strip">
            <Select
              size="xs"
              w={110}
              aria-label={t("EVSE")}
              data={["0", ...evses.map(String)].map((one) => ({
                value: one,
                label: one === "0" ? t("whole station") : t("EVSE {n}", { n: one }),
              }))}
              value={evse}
              onChange={(value) => setEvse(value ?? "1")}
              allowDeselect={false}
            />
            <Select
              size="xs"
              w={110}
              aria-label={t("How far")}
              data={HOURS.map((one) => ({ value: one, label: t("{n} hours", { n: one }) }))}
              value={hours}
              onChange={(value) => setHours(value ?? "24")}
              allowDeselect={false}
            />
            {viewer.may("write") && (
              <Button size="xs" variant="default" loading={read.isPending} onClick={() => read.mutate()}>
                {t("Ask the station")}
              </Button>
            )}
            {viewer.may("write") && (
              <Button size="xs" component={Link} to={`/charging?station=${encodeURIComponent(id)}`}>
                {t("New profile")}
              </Button>
            )}
          </div>
        </div>
        {read.isSuccess && told === null && (
          <p className="small">{t("The station has no schedule, or did not answer; see its commands.")}</p>
        )}
        {read.isError && <p className="small">{t("The station could not be asked.")}</p>}
        <Shown of={intended}>{(ours) => <Composite ours={ours} told={told?.rate_unit === "A" ? told : null} />}</Shown>
      </section>
      <section className="card section" aria-labelledby="profiles">
        <h2 id="profiles">{t("Its profiles")}</h2>
        <ProfileTable stationId={id} />
      </section>
    </>
  );
}

export function Composite({
  ours,
  told,
}: {
  ours: Schemas["CompositeSchedule"];
  told: Schemas["CompositeSchedule"] | null;
}) {
  const { t } = useText();
  const format = useFormat();
  const curves = useMemo(() => {
    const one = stepsOf(ours);
    const both = told === null ? { times: one.times, first: one.values, second: [] } : together(one, stepsOf(told));
    return {
      times: both.times,
      curves: [
        { label: t("by our reading"), tone: "--curve-1", stepped: true, filled: true, values: both.first, digits: 1 },
        ...(told === null
          ? []
          : [
              {
                label: t("by its own word"),
                tone: "--curve-2",
                stepped: true,
                dashed: true,
                values: both.second,
                digits: 1,
              },
            ]),
      ],
    };
  }, [ours, told, t]);
  if (ours.periods.length === 0)
    return <Empty title={t("Nothing limits it")}>{t("Give it a profile to change that.")}</Empty>;
  return (
    <>
      <Chart label={t("Limit")} unit={ours.rate_unit} times={curves.times} curves={curves.curves} />
      <Wide>
        <table className="plain">
          <thead>
            <tr>
              <th>{t("From")}</th>
              <th className="num">{t("Limit")}</th>
              <th>{t("Who says so, and why")}</th>
            </tr>
          </thead>
          <tbody>
            {ours.periods.slice(0, 24).map((one) => (
              <tr key={one.start_period_s}>
                <td>{format.dateTime(Date.parse(ours.start) + (one.start_period_s ?? 0) * 1000)}</td>
                <td className="num">
                  {format.number(one.rate_limit, 1)} {ours.rate_unit}
                </td>
                <td>
                  {one.winner ? (
                    <b>
                      {one.winner.profile.purpose} {one.winner.profile.id}
                    </b>
                  ) : (
                    <span className="faint">{t("no profile: what the hardware bears")}</span>
                  )}
                  <div className="small faint">{one.reason}</div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </>
  );
}
