import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo } from "react";
import { useNavigate, useParams } from "react-router";
import { api, asked } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { useEntry, useFleet } from "../live/fleet";
import { Empty, Loading, PageHead, Pill, StateMark, Trouble } from "../parts/basics";
import { Commands } from "../parts/commands";
import { useLive } from "../parts/more";
import { TransactionTable } from "../parts/transaction-table";
import { StationActions } from "./of-station/actions";
import { Now } from "./of-station/now";
import { useLocations, useTimeThere } from "./overview";
import { REGISTRATION } from "./stations";

const Configuration = lazy(() => import("./of-station/configuration"));
const Schedule = lazy(() => import("./of-station/schedule"));
const Messages = lazy(() => import("../parts/messages"));
const Violations = lazy(() => import("./of-station/violations"));
const Upkeep = lazy(() => import("./of-station/upkeep"));
const Safety = lazy(() => import("./of-station/safety"));
const About = lazy(() => import("./of-station/about"));

const PARTS: readonly [string, Text][] = [
  ["now", "Now"],
  ["transactions", "Transactions"],
  ["charging", "Smart charging"],
  ["configuration", "Configuration"],
  ["messages", "Messages"],
  ["commands", "Commands"],
  ["upkeep", "Firmware and logs"],
  ["security", "Security"],
  ["violations", "Violations"],
  ["about", "About"],
];

export default function StationPage() {
  const { t } = useText();
  const format = useFormat();
  const { id = "", part = "now" } = useParams();
  const go = useNavigate();
  const entry = useEntry(id);
  const ready = useFleet((all) => all.ready);
  const locations = useLocations();
  const path = useMemo(() => ({ params: { path: { station_id: id } } }), [id]);
  const key = ["stations", id];
  const found = useQuery({ queryKey: key, queryFn: () => asked(api.GET("/api/v1/stations/{station_id}", path)) });
  useLive(key, ["station.connected", "station.disconnected", "station.booted"], { station_id: id });
  const station = found.data ?? entry?.station;
  const there = useTimeThere(station?.location_id ?? null);
  if (station === undefined) {
    if (found.error) return <Trouble error={found.error} again={() => found.refetch()} />;
    return ready ? <Empty title={t("There is no such station")}>{id}</Empty> : <Loading />;
  }
  const connected = entry?.station.connected ?? station.connected;
  const changed = entry?.station.connection_changed_at ?? station.connection_changed_at;
  return (
    <>
      <PageHead
        title={station.name ?? id}
        lead={
          <span className="strip">
            {connected ? (
              <Pill tone="good">{t("connected for {time}", { time: format.ago(changed) })}</Pill>
            ) : (
              <StateMark state="offline">
                {changed === null ? t("has never connected") : t("offline for {time}", { time: format.ago(changed) })}
              </StateMark>
            )}
            {station.registration !== "Accepted" && (
              <Pill tone={REGISTRATION[station.registration]!.tone}>{t(REGISTRATION[station.registration]!.word)}</Pill>
            )}
            {station.violation_count > 0 && (
              <Pill tone="warn">{t("{n} violations", { n: station.violation_count })}</Pill>
            )}
            <span>
              {[
                station.name === null ? null : id,
                station.identity && `${station.identity.vendor_name} ${station.identity.model}`,
                station.protocol,
                station.location_id && locations.get(station.location_id),
                there && t("there it is {time}", { time: there }),
              ]
                .filter(Boolean)
                .join(" · ")}
            </span>
          </span>
        }
      >
        <StationActions station={station} connected={connected} />
      </PageHead>
      <Tabs
        value={part}
        onChange={(value) => go(`/stations/${encodeURIComponent(id)}${value === "now" ? "" : `/${value}`}`)}
        keepMounted={false}
      >
        <div className="tab-list">
          <Tabs.List>
            {PARTS.map(([name, word]) => (
              <Tabs.Tab key={name} value={name}>
                {t(word)}
              </Tabs.Tab>
            ))}
          </Tabs.List>
        </div>
        <div className="section">
          <Suspense fallback={<Loading />}>
            <Tabs.Panel value="now">
              <Now id={id} />
            </Tabs.Panel>
            <Tabs.Panel value="transactions">
              <section className="card">
                <TransactionTable query={{ station_id: id }} />
              </section>
            </Tabs.Panel>
            <Tabs.Panel value="charging">
              <Schedule id={id} />
            </Tabs.Panel>
            <Tabs.Panel value="configuration">
              <Configuration id={id} />
            </Tabs.Panel>
            <Tabs.Panel value="messages">
              <section className="card">
                <Messages stationId={id} />
              </section>
            </Tabs.Panel>
            <Tabs.Panel value="commands">
              <section className="card">
                <Commands stationId={id} />
              </section>
            </Tabs.Panel>
            <Tabs.Panel value="upkeep">
              <Upkeep id={id} version={station.identity?.firmware_version} />
            </Tabs.Panel>
            <Tabs.Panel value="security">
              <Safety id={id} />
            </Tabs.Panel>
            <Tabs.Panel value="violations">
              <Violations id={id} />
            </Tabs.Panel>
            <Tabs.Panel value="about">
              <About station={station} />
            </Tabs.Panel>
          </Suspense>
        </div>
      </Tabs>
    </>
  );
}
