import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { serverNow } from "../live/clock";
import { Empty, Pill } from "./basics";
import { Pages, usePages } from "./more";
import { Rows } from "./rows";
import { StationLink } from "./station-choice";

/** Ranges are pairs; the client reads them as lists of numbers. */
export type Transaction = Omit<Schemas["TransactionResource"], "missing"> & { missing: readonly (readonly number[])[] };

export const TRANSACTION_STATES: Record<Transaction["state"], { word: Text; tone: "good" | "quiet" | "warn" }> = {
  active: { word: "running", tone: "good" },
  ended: { word: "ended", tone: "quiet" },
  closed: { word: "closed by us", tone: "warn" },
};

export interface TransactionQuery {
  station_id?: string;
  id_token?: string;
  state?: Transaction["state"];
  orphan?: boolean;
  started_from?: string;
  started_to?: string;
}

export function TransactionTable({ query }: { query: TransactionQuery }) {
  const { t } = useText();
  const format = useFormat();
  const found = usePages(
    ["transactions", "list", query],
    (cursor) => asked(api.GET("/api/v1/transactions", { params: { query: { ...query, cursor, limit: 50 } } })),
    ["transaction.started", "transaction.ended"],
  );
  return (
    <Pages
      of={found}
      none={
        <Empty title={t("No transaction")}>{t("One appears as soon as a car charges; or take the filter away.")}</Empty>
      }
    >
      {(items) => (
        <Rows
          items={items}
          by={(one) => one.number}
          columns={[
            {
              name: "Number",
              cell: (one) => (
                <Link className="link" to={`/transactions/${one.number}`}>
                  <b>{one.number}</b>
                </Link>
              ),
            },
            query.station_id === undefined
              ? {
                  name: "Station",
                  cell: (one) => (
                    <span>
                      <StationLink id={one.station_id} />
                      {one.evse_id !== null && one.evse_id > 1 ? ` · ${one.evse_id}` : ""}
                    </span>
                  ),
                }
              : null,
            { name: "Token", cell: (one) => <span className="mono">{one.id_token ?? "–"}</span> },
            { name: "Started", cell: (one) => format.dateTime(one.started_at) },
            { name: "Duration", num: true, cell: (one) => format.duration(lasted(one)) },
            { name: "Energy", num: true, cell: (one) => format.energy(one.energy_wh) },
            { name: "State", cell: (one) => <TransactionMarks of={one} /> },
          ]}
        />
      )}
    </Pages>
  );
}

/** Seconds, so far or in all. */
function lasted({ started_at, ended_at }: Transaction): number | null {
  if (started_at === null) return null;
  return ((ended_at === null ? serverNow() : Date.parse(ended_at)) - Date.parse(started_at)) / 1000;
}

export function TransactionMarks({ of: one }: { of: Transaction }) {
  const { t } = useText();
  const state = TRANSACTION_STATES[one.state];
  return (
    <span className="strip">
      <Pill tone={state.tone}>{t(state.word)}</Pill>
      {one.suspect !== null && (
        <Pill tone="bad" title={one.suspect}>
          {t("suspect")}
        </Pill>
      )}
      {one.orphan && <Pill tone="warn">{t("start missing")}</Pill>}
      {one.offline && <Pill tone="info">{t("was offline")}</Pill>}
    </span>
  );
}
