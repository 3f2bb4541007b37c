import { useSyncExternalStore } from "react";
import { Link } from "react-router";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { type LiveEvent, stream } from "../live/stream";
import { STATE_WORDS } from "./basics";

/** What happened since this page was opened, in words. */
export interface Happened {
  key: number;
  event: LiveEvent;
}

const KEEP = 60;
const TOLD = new Set([
  "station.connected",
  "station.disconnected",
  "station.booted",
  "connector.status",
  "transaction.started",
  "transaction.ended",
  "command.updated",
  "cdr.created",
  "site.alarm",
]);
let kept: readonly Happened[] = [];
let next = 1;
const watchers = new Set<() => void>();

stream.onEvent((event) => {
  if (!TOLD.has(event.type)) return;
  if (event.type === "command.updated" && ["queued", "sent"].includes(String(event.body["state"]))) return;
  if (event.type === "command.updated" && event.body["origin"] === "csms") return;
  kept = [{ key: next++, event }, ...kept].slice(0, KEEP);
  for (const changed of watchers) changed();
});

function watch(changed: () => void) {
  watchers.add(changed);
  return () => void watchers.delete(changed);
}

export function useHappenings(): readonly Happened[] {
  return useSyncExternalStore(watch, () => kept);
}

export const COMMAND_STATES: Record<string, { word: Text; tone: "good" | "bad" | "warn" | "info" | "quiet" }> = {
  queued: { word: "waiting", tone: "quiet" },
  sent: { word: "sent", tone: "info" },
  accepted: { word: "accepted", tone: "good" },
  rejected: { word: "rejected", tone: "bad" },
  call_error: { word: "not understood", tone: "bad" },
  timeout: { word: "no answer", tone: "warn" },
  offline: { word: "was offline", tone: "warn" },
  expired: { word: "never sent", tone: "warn" },
};

interface TransactionInEvent {
  number: number;
  id_token?: string | null;
  energy_wh?: number | null;
}

export function Happening({ of }: { of: Happened }) {
  const { t } = useText();
  const format = useFormat();
  const { event } = of;
  const body = event.body;
  const transaction = body["transaction"] as TransactionInEvent | undefined;
  let words: string;
  switch (event.type) {
    case "station.connected":
      words = t("is connected");
      break;
    case "station.disconnected":
      words = t("has lost its connection");
      break;
    case "station.booted":
      words = t("has started");
      break;
    case "connector.status":
      words = `${body["evse_id"]}: ${t(STATE_WORDS[body["view"] as keyof typeof STATE_WORDS] ?? "Not known yet")}`;
      break;
    case "transaction.started":
      words = transaction?.id_token ? t("charges with {token}", { token: transaction.id_token }) : t("charges");
      break;
    case "transaction.ended":
      words = t("has given {energy}", { energy: format.energy(transaction?.energy_wh) });
      break;
    case "command.updated":
      words = `${body["name"]}: ${t(COMMAND_STATES[String(body["state"])]?.word ?? "sent")}`;
      break;
    case "site.alarm":
      words = `${body["code"]}: ${body["text"]}`;
      break;
    default:
      words = t("a bill was made");
  }
  const site = event.type === "site.alarm" ? Number(body["site_id"]) : null;
  const to =
    site !== null
      ? `/sites/${site}`
      : transaction === undefined
        ? `/stations/${encodeURIComponent(event.station_id ?? "")}`
        : `/transactions/${transaction.number}`;
  return (
    <li>
      <time className="faint small" dateTime={event.at}>
        {format.seconds(event.at)}
      </time>{" "}
      <Link className="plain" to={to}>
        <b>{site === null ? event.station_id : String(body["name"])}</b> {words}
      </Link>
    </li>
  );
}
