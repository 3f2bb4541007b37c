import { Button } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { useFormat } from "../../i18n/format";
import { useText } from "../../i18n/text";
import { useTold } from "../../i18n/told";
import { Empty, Pill, StateMark } from "../../parts/basics";
import { isIdle, type Site, type SiteEvse, stateOfEvse } from "../../parts/single-line";
import { Wide } from "../../parts/wide";
import { MODES, type Mode } from "./forms";

/** Who gets how much, and in whose favour. Who has no car waits for nothing, and is shown when asked for. */
export function Shares({ site, choose }: { site: Site; choose: ((evse: SiteEvse) => void) | null }) {
  const { t } = useText();
  const [all, showAll] = useState(false);
  const busy = site.evses.filter((one) => !isIdle(one));
  const idle = site.evses.filter(isIdle);
  const shown = all ? [...busy, ...idle] : busy;
  const told = useTold();
  const plans = new Map(
    site.plan?.evses.map((name, index) => [name, told(site.plan?.sentences[index], site.plan?.shares[index])]),
  );
  return (
    <section className="card">
      <h2>{t("What each car gets, and why")}</h2>
      {shown.length === 0 ? (
        <Empty title={t("No car is plugged in")}>{t("As soon as one is, it is here with its share.")}</Empty>
      ) : (
        <Wide>
          <Table evses={shown} plans={plans} choose={choose} />
        </Wide>
      )}
      {idle.length > 0 && (
        <div className="show-more">
          <Button size="xs" variant="default" aria-expanded={all} onClick={() => showAll(!all)}>
            {all ? t("Only those with a car") : t("{n} EVSEs without a car", { n: idle.length })}
          </Button>
        </div>
      )}
    </section>
  );
}

function Table({
  evses,
  plans,
  choose,
}: {
  evses: readonly SiteEvse[];
  plans: ReadonlyMap<string, string | null>;
  choose: ((evse: SiteEvse) => void) | null;
}) {
  const { t } = useText();
  const format = useFormat();
  const told = useTold();
  return (
    <table className="plain stack">
      <thead>
        <tr>
          <th>{t("Station")}</th>
          <th>{t("State")}</th>
          <th className="num">{t("Power")}</th>
          <th className="num">{t("May draw")}</th>
          <th>{t("Why")}</th>
          <th>{t("Wants")}</th>
          <th>{t("How it charges")}</th>
          {choose !== null && (
            <th>
              <span className="away">{t("Actions")}</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {evses.map((evse) => (
          <tr key={evse.evse}>
            <td data-label={t("Station")}>
              <Link className="link" to={`/stations/${encodeURIComponent(evse.station_id)}`}>
                {evse.evse}
              </Link>
              <div className="faint small still">
                {evse.node} · {evse.lines.join(" ")}
              </div>
            </td>
            <td data-label={t("State")}>
              <StateMark state={stateOfEvse(evse)} />
            </td>
            <td className="num" data-label={t("Power")}>
              {format.power(evse.power_w)}
            </td>
            <td className="num" data-label={t("May draw")}>
              {evse.limit_a === null ? "–" : `${format.number(evse.limit_a, 1)} A`}
            </td>
            <td className="wrap" data-label={t("Why")}>
              {told(evse.sentence, evse.why) ?? "–"}
              {plans.get(evse.evse) && <div className="faint small">{plans.get(evse.evse)}</div>}
            </td>
            <td className="still" data-label={t("Wants")}>
              {evse.remaining_wh === null && evse.departs_at === null && <span className="faint">–</span>}
              {evse.remaining_wh !== null && (
                <div>{t("still {energy}", { energy: format.energy(evse.remaining_wh) })}</div>
              )}
              {evse.departs_at !== null && (
                <div className="faint small">{t("until {time}", { time: format.time(minuteOf(evse.departs_at)) })}</div>
              )}
            </td>
            <td data-label={t("How it charges")}>
              {evse.mode !== null && t(MODES[evse.mode as Mode])}
              <div className="strip">
                {evse.priority !== 0 && <Pill tone="info">{t("Priority {n}", { n: evse.priority })}</Pill>}
                {evse.by_hand_a !== null && (
                  <Pill tone="warn">{t("{a} A by hand", { a: format.number(evse.by_hand_a, 1) })}</Pill>
                )}
              </div>
            </td>
            {choose !== null && (
              <td className="num">
                <Button
                  size="compact-xs"
                  variant="default"
                  onClick={() => choose(evse)}
                  aria-label={t("Change {name}", { name: evse.evse })}
                >
                  {t("Change")}
                </Button>
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The controller reckons in seconds from now: to the minute, it stands still. */
function minuteOf(instant: string): number {
  return Math.round(Date.parse(instant) / 60_000) * 60_000;
}
