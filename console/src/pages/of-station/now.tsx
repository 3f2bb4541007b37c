import { Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { Link } from "react-router";
import { api, asked } from "../../api/client";
import { useFormat } from "../../i18n/format";
import { useText } from "../../i18n/text";
import { type Connector, type Entry, placesOf, powerOf, type Station, stateOf, useEntry } from "../../live/fleet";
import { Empty, StateMark } from "../../parts/basics";
import { Curves } from "../../parts/curves";
import { useLive } from "../../parts/more";
import { SiteShare, useSiteShares } from "../../parts/site-share";
import type { Transaction } from "../../parts/transaction-table";

export function Now({ id }: { id: string }) {
  const { t } = useText();
  const entry = useEntry(id);
  const key = useMemo(() => ["transactions", "latest", id], [id]);
  const latest = useQuery({
    queryKey: key,
    queryFn: () =>
      asked(
        api.GET("/api/v1/stations/{station_id}/transactions", {
          params: { path: { station_id: id }, query: { limit: 12 } },
        }),
      ),
  });
  useLive(key, ["transaction.started", "transaction.ended"], { station_id: id });
  const [chosen, choose] = useState<string | null>(null);
  if (entry === undefined)
    return (
      <Empty title={t("Nothing is known of it yet")}>{t("It appears when it connects for the first time.")}</Empty>
    );
  return <OfStation entry={entry} latest={latest.data?.items ?? []} chosen={chosen} choose={choose} />;
}

function OfStation({
  entry,
  latest: items,
  chosen,
  choose,
}: {
  entry: Entry;
  latest: readonly Transaction[];
  chosen: string | null;
  choose: (number: string | null) => void;
}) {
  const { t } = useText();
  const format = useFormat();
  const shares = useSiteShares(entry.station);
  const places = placesOf(entry);
  const running = items.find((one) => one.state === "active");
  const number = chosen === null ? (running ?? items[0])?.number : Number(chosen);
  return (
    <>
      <div className="figures">
        {places.map((one) => (
          <Place key={`${one.evse_id}.${one.connector_id}`} connector={one} station={entry.station}>
            {shares
              .filter((share) => share.evse.evse_id === one.evse_id)
              .map((share) => (
                <SiteShare key={share.site.id} of={share} />
              ))}
          </Place>
        ))}
        {places.length === 0 && (
          <section className="card">
            <Empty title={t("No connector yet")}>{t("A station tells of its connectors after it has started.")}</Empty>
          </section>
        )}
      </div>
      <section className="card section" aria-labelledby="curves">
        <div className="card-head">
          <h2 id="curves">{t("Meter")}</h2>
          {items.length > 0 && (
            <Select
              size="xs"
              w={300}
              aria-label={t("Transaction")}
              allowDeselect={false}
              data={items.map((one) => ({
                value: String(one.number),
                label: `${one.number} · ${format.dateTime(one.started_at)}${one.state === "active" ? ` · ${t("running")}` : ""}`,
              }))}
              value={number === undefined ? null : String(number)}
              onChange={choose}
            />
          )}
        </div>
        {number === undefined ? (
          <Empty title={t("No transaction yet")}>{t("Its curves appear here as soon as a car charges.")}</Empty>
        ) : (
          <Curves key={number} number={number} />
        )}
      </section>
    </>
  );
}

function Place({ connector, station, children }: { connector: Connector; station: Station; children?: ReactNode }) {
  const { t } = useText();
  const format = useFormat();
  const state = stateOf(station, connector);
  const number = connector.transaction_number;
  const running = useQuery({
    queryKey: ["transactions", number],
    enabled: number !== null,
    refetchInterval: 5_000,
    queryFn: () => asked(api.GET("/api/v1/transactions/{number}", { params: { path: { number: number! } } })),
  });
  return (
    <div className={`card figure tone-${state}`} data-connector={`${connector.evse_id}.${connector.connector_id}`}>
      <div className="name">
        {t("EVSE {n}", { n: connector.evse_id })}
        {connector.connector_id > 1 ? ` · ${t("connector {n}", { n: connector.connector_id })}` : ""}
      </div>
      <div className="value">
        {powerOf(station, connector) > 0 ? format.power(connector.power_w) : <StateMark state={state} />}
      </div>
      {powerOf(station, connector) > 0 && <StateMark state={state} />}
      {connector.error !== null && (
        <div className="small">
          {connector.error.code} {connector.error.info} {connector.error.vendor_error_code}
        </div>
      )}
      <div className="more">
        {number !== null && running.data ? (
          <>
            <Link className="link" to={`/transactions/${number}`}>
              {t("Transaction {n}", { n: number })}
            </Link>
            {`: ${format.energy(running.data.energy_wh)}`}
            {running.data.id_token ? ` · ${running.data.id_token}` : ""}
            {connector.charging_state?.startsWith("Suspended")
              ? ` · ${connector.charging_state === "SuspendedEV" ? t("the car takes nothing") : t("waits for power")}`
              : ""}
          </>
        ) : connector.status_at !== null ? (
          t("since {time}", { time: format.dateTime(connector.status_at) })
        ) : (
          ""
        )}
      </div>
      {children}
    </div>
  );
}
