import { Button } from "@mantine/core";
import { Link } from "react-router";
import type { Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { useTold } from "../i18n/told";
import type { State } from "../live/fleet";
import { Pill, STATE_WORDS, StateMark } from "./basics";

export type Site = Schemas["SiteResource"];
export type SiteNode = Site["nodes"][number];
export type SiteEvse = Site["evses"][number];

const PHASES = ["L1", "L2", "L3"];
const NEAR = 0.9;
/** A limit that is this much below the rating is more than a margin, and worth a word. */
const LOWERED = 0.9;

/** The controller's words for an EVSE as the console's. */
export function stateOfEvse(evse: SiteEvse): State {
  switch (evse.state) {
    case "charging":
      return "charging";
    case "unplugged":
      return "unplugged";
    case "offline":
      return "offline";
    case "plugged in":
    case "waiting":
    case "paused":
      return "plugged_in";
    default:
      return "unknown";
  }
}

/** Whether nobody is there who could want anything. One that can't be reached is not idle: it has to be looked at. */
export function isIdle(evse: SiteEvse): boolean {
  return evse.state === "unplugged" || evse.state === null;
}

type Choose = ((node: SiteNode) => void) | null;

/** From the grid connection through circuits to EVSEs, each phase's load against its rating. */
export function SingleLine({ site, limit }: { site: Site; limit: Choose }) {
  const { t } = useText();
  const root = site.nodes.find((node) => node.parent === null);
  if (root === undefined) return <p className="small faint">{t("The controller has not told of its circuits yet.")}</p>;
  return (
    <div className="diagram">
      <ul className="line-tree">
        <Branch site={site} node={root} limit={limit} />
      </ul>
    </div>
  );
}

function Branch({ site, node, limit }: { site: Site; node: SiteNode; limit: Choose }) {
  const { t } = useText();
  const told = useTold();
  const below = site.nodes.filter((one) => one.parent === node.name);
  return (
    <li>
      <div className="line-node">
        <header>
          <span>
            <b>{node.name}</b>{" "}
            <span className="faint small">
              {node.parent === null ? t("Grid connection") : node.transformer ? t("Transformer") : null}
            </span>
          </span>
          {limit !== null && (
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => limit(node)}
              aria-label={t("Limit {name}", { name: node.name })}
            >
              {t("Limit")}
            </Button>
          )}
        </header>
        {PHASES.map((phase, index) => (
          <Phase
            key={phase}
            phase={phase}
            rating={node.rating_a[index] ?? 0}
            load={node.load_a?.[index] ?? null}
            limit={node.limit_a?.[index] ?? null}
          />
        ))}
        {node.limited !== null && (
          <Pill tone="warn">{node.sentences.map((one) => told(one)).join("; ") || node.limited}</Pill>
        )}
        <Feeds evses={site.evses.filter((one) => one.node === node.name)} />
      </div>
      {below.length > 0 && (
        <ul>
          {below.map((one) => (
            <Branch key={one.name} site={site} node={one} limit={limit} />
          ))}
        </ul>
      )}
    </li>
  );
}

/** The EVSEs of a node: those where something is, and how many others there are. */
function Feeds({ evses }: { evses: readonly SiteEvse[] }) {
  const { t } = useText();
  const told = useTold();
  const format = useFormat();
  const busy = evses.filter((one) => !isIdle(one));
  const idle = evses.length - busy.length;
  if (evses.length === 0) return null;
  return (
    <ul className="line-evses">
      {busy.map((evse) => (
        <li key={evse.evse}>
          <Link
            className="line-evse"
            to={`/stations/${encodeURIComponent(evse.station_id)}`}
            title={told(evse.sentence, evse.why) ?? undefined}
          >
            <StateMark state={stateOfEvse(evse)}>{evse.evse_id === 1 ? evse.station_id : evse.evse}</StateMark>
            <span className="faint">
              {(evse.power_w ?? 0) > 0
                ? `${format.power(evse.power_w)} · ${format.number(evse.current_a, 1)} A`
                : t(STATE_WORDS[stateOfEvse(evse)])}
            </span>
          </Link>
        </li>
      ))}
      {idle > 0 && <li className="faint small">{t("{n} without a car", { n: idle })}</li>}
    </ul>
  );
}

function Phase(given: { phase: string; rating: number; load: number | null; limit: number | null }) {
  const { t } = useText();
  const format = useFormat();
  const { phase, rating, load, limit } = given;
  const share = load === null || rating <= 0 ? 0 : Math.max(0, load / rating);
  const bound = limit === null || rating <= 0 ? 1 : Math.min(1, limit / rating);
  const tone = share > 1 ? "over" : share > NEAR * bound ? "near" : "";
  return (
    <div className="line-phase">
      <span className="small faint">{phase}</span>
      <svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
        <rect className="rating" width="100" height="12" rx="2" />
        <rect className={`load ${tone}`} width={Math.min(100, share * 100)} height="12" rx="2" />
        <line className="limit" x1={bound * 100} x2={bound * 100} y1="0" y2="12" />
      </svg>
      <span className="small">
        {t("{a} of {b} A", { a: format.number(load, 1), b: format.number(rating, 0) })}
        {bound < LOWERED && ` (${t("now {a}", { a: format.number(limit, 0) })})`}
      </span>
    </div>
  );
}
