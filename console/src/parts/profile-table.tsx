import { Button } from "@mantine/core";
import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { useViewer } from "../session";
import { Empty, Pill } from "./basics";
import { Pages, usePages } from "./more";
import { PATIENCE, useDeed, useQuestion } from "./outcome";
import { KINDS, PROFILE_STATES, PURPOSES } from "./profile";

type Profile = Schemas["StationProfileResource"];

export function ProfileTable({ stationId }: { stationId?: string }) {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const found = usePages(
    ["profiles", stationId ?? null],
    (cursor) =>
      asked(api.GET("/api/v1/charging-profiles", { params: { query: { cursor, limit: 50, station_id: stationId } } })),
    ["command.updated"],
  );
  const limits = (one: Profile) =>
    one.profile.schedules
      .flatMap((schedule) =>
        schedule.periods
          .slice(0, 5)
          .map(
            (period) => `${format.number(period.rate_limit, schedule.rate_unit === "A" ? 1 : 0)} ${schedule.rate_unit}`,
          ),
      )
      .join(" → ");
  const clear = (one: Profile) =>
    ask({
      title: t("Take the profile away"),
      what: t("The limit no longer holds at {station}; what else is installed there then counts.", {
        station: one.station_id,
      }),
      yes: t("Take it away"),
      danger: true,
      deed: () =>
        deed(
          t("Take the profile away"),
          () =>
            asked(
              api.DELETE("/api/v1/charging-profiles/{number}", {
                params: { path: { number: one.number }, header: PATIENCE },
              }),
            ),
          ["profiles", "intended"],
        ),
    });
  return (
    <>
      {question}
      <Pages
        of={found}
        none={
          <Empty title={t("No profile")}>{t("Make one to limit what a station gives, at all or by the hour.")}</Empty>
        }
      >
        {(items) => (
          <table className="plain">
            <thead>
              <tr>
                <th>{t("Profile")}</th>
                {stationId === undefined && <th>{t("Station")}</th>}
                <th>{t("What for")}</th>
                <th>{t("Limits")}</th>
                <th>{t("State")}</th>
                <th>{t("Since")}</th>
                <th>
                  <span className="away">{t("Take it away")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <tr key={one.number}>
                  <td>
                    {one.profile_id}{" "}
                    <span className="faint small">{t("level {n}", { n: one.profile.stack_level })}</span>
                  </td>
                  {stationId === undefined && (
                    <td>
                      <Link className="link" to={`/stations/${encodeURIComponent(one.station_id)}/charging`}>
                        {one.station_id}
                      </Link>
                      {one.evse_id > 0 ? ` · ${one.evse_id}` : ""}
                    </td>
                  )}
                  <td>
                    {t(PURPOSES.find(([name]) => name === one.profile.purpose)?.[1] ?? "For every transaction")}
                    <div className="small faint">
                      {t(KINDS.find(([name]) => name === one.profile.kind)?.[1] ?? "from a moment on")}
                    </div>
                  </td>
                  <td>{limits(one)}</td>
                  <td>
                    <Pill tone={PROFILE_STATES[one.state].tone}>{t(PROFILE_STATES[one.state].word)}</Pill>
                  </td>
                  <td className="faint">{format.dateTime(one.updated_at)}</td>
                  <td className="num">
                    {viewer.may("write") && one.state === "installed" && (
                      <Button size="compact-xs" variant="subtle" color="red" onClick={() => clear(one)}>
                        {t("Take it away")}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Pages>
    </>
  );
}
