import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { serverNow } from "../live/clock";
import { Empty, Pill } from "./basics";
import { Pages, usePages } from "./more";

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
        <table className="plain">
          <thead>
            <tr>
              <th>{t("Number")}</th>
              {query.station_id === undefined && <th>{t("Station")}</th>}
              <th>{t("Token")}</th>
              <th>{t("Started")}</th>
              <th className="num">{t("Duration")}</th>
              <th className="num">{t("Energy")}</th>
              <th>{t("State")}</th>
            </tr>
          </thead>
          <tbody>
            {items.map((one) => (
              <tr key={one.number}>
                <td>
                  <Link className="link" to={`/transactions/${one.number}`}>
                    <b>{one.number}</b>
                  </Link>
                </td>
                {query.station_id === undefined && (
                  <td>
                    <Link className="link" to={`/stations/${encodeURIComponent(one.station_id)}`}>
                      {one.station_id}
                    </Link>
                    {one.evse_id !== null && one.evse_id > 1 ? ` · ${one.evse_id}` : ""}
                  </td>
                )}
                <td className="mono">{one.id_token ?? "–"}</td>
                <td>{format.dateTime(one.started_at)}</td>
                <td className="num">
                  {one.started_at === null
                    ? "–"
                    : format.duration(
                        ((one.ended_at === null ? serverNow() : Date.parse(one.ended_at)) -
                          Date.parse(one.started_at)) /
                          1000,
                      )}
                </td>
                <td className="num">{format.energy(one.energy_wh)}</td>
                <td>
                  <TransactionMarks of={one} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Pages>
  );
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
