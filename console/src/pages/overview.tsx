import { Select, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { memo, type ReactNode, useEffect, useMemo, useRef } from "react";
import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { type Format, useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { serverNow } from "../live/clock";
import {
  fleet,
  placesOf,
  powerOf,
  STATES,
  type State,
  stateOf,
  statesOf,
  URGENCY,
  urgencyOf,
  useEntry,
  useFleet,
  useLine,
} from "../live/fleet";
import { Empty, Loading, STATE_ICONS, STATE_WORDS, StateMark, Trouble } from "../parts/basics";
import { useFilters, Views } from "../parts/filters";
import { Happening, useHappenings } from "../parts/happenings";
import { useLive } from "../parts/more";
import { Trend } from "../parts/trend";

/** What a tile without a rating takes for full: a common AC station's most. */
const FULL_W = 22_000;
const DRIFT_S = 60;

export function Overview() {
  const { t } = useText();
  const ready = useFleet((all) => all.ready);
  const failed = useFleet((all) => all.failed);
  const ids = useFleet((all) => all.ids);
  const line = useLine();
  useEffect(() => {
    document.title = `${t("Overview")} · Forecourt`;
  }, [t]);
  if (!ready) return failed === null ? <Loading /> : <Trouble error={failed} again={() => void fleet.load()} />;
  return (
    <div className={line === "lost" ? "stale" : undefined}>
      <h1 className="away">{t("Overview")}</h1>
      <Figures />
      <div className="overview section">
        <div>{ids.length === 0 ? <NoStations /> : <Stations ids={ids} />}</div>
        <aside className="side">
          <section className="card" aria-labelledby="hand">
            <h2 id="hand">{t("What needs a hand")}</h2>
            <Hand />
          </section>
          <section className="card" aria-labelledby="news">
            <h2 id="news">{t("What just happened")}</h2>
            <News />
          </section>
        </aside>
      </div>
    </div>
  );
}

function Figures() {
  const { t } = useText();
  const format = useFormat();
  const totals = useFleet((all) => all.totals);
  const today = useFleet((all) => all.today);
  const trend = useFleet((all) => all.trend);
  useEffect(() => {
    const timer = setInterval(() => void fleet.loadToday().catch(() => {}), 10_000);
    return () => clearInterval(timer);
  }, []);
  const plugged = totals.byState.charging + totals.byState.plugged_in + totals.byState.finished;
  return (
    <div className="figures">
      <Figure
        name={t("Power now")}
        value={format.power(totals.powerW)}
        more={t("at {n} connectors", { n: totals.connectors })}
      >
        <Trend values={trend.powerW} />
      </Figure>
      <Figure
        name={t("Energy today")}
        value={format.energy(today?.energy_wh)}
        more={today === null ? "" : t("{n} transactions since midnight", { n: today.transactions })}
      />
      <Figure
        name={t("Charging")}
        value={String(totals.byState.charging)}
        more={t("{n} of {all} plugged in", { n: plugged, all: totals.connectors })}
      />
      <Figure
        name={t("Free to use")}
        value={String(totals.byState.unplugged)}
        more={t("{n} offline, {m} faulted", { n: totals.byState.offline, m: totals.byState.faulted })}
      />
    </div>
  );
}

function Figure({ name, value, more, children }: { name: string; value: string; more: string; children?: ReactNode }) {
  return (
    <div className="card figure">
      <div className="name">{name}</div>
      <div className="value">{value}</div>
      <div className="more">{more}</div>
      {children}
    </div>
  );
}

function Stations({ ids }: { ids: readonly string[] }) {
  const { t } = useText();
  const totals = useFleet((all) => all.totals);
  const [filters, filter] = useFilters("text", "state", "order");
  const { text } = filters;
  const shown = STATES.find((one) => one === filters.state) ?? null;
  const order = filters.order === "" ? "name" : filters.order;
  const places = useLocations();
  // When the sums change, a tile may belong elsewhere; but for those by name, all of them.
  const moved = order === "name" && shown === null ? null : totals;
  const found = useMemo(() => {
    const needle = text.trim().toLowerCase();
    const found = ids.filter((id) => {
      const entry = fleet.entry(id);
      if (entry === undefined) return false;
      if (needle && !`${id} ${entry.station.name ?? ""}`.toLowerCase().includes(needle)) return false;
      return shown === null || statesOf(entry).includes(shown);
    });
    const power = (id: string) =>
      placesOf(fleet.entry(id)!).reduce((sum, one) => sum + powerOf(fleet.entry(id)!.station, one), 0);
    if (order === "state") found.sort((a, b) => urgencyOf(fleet.entry(a)!) - urgencyOf(fleet.entry(b)!));
    if (order === "power") found.sort((a, b) => power(b) - power(a));
    return found;
  }, [ids, text, shown, order, moved]);
  const wanted = useSame(found);
  // A thousand tiles are laid out anew only when some come, go, or change places: each draws its own state.
  const groups = useMemo(() => {
    const byPlace = new Map<number | null, string[]>();
    for (const id of wanted) {
      const place = fleet.entry(id)?.station.location_id ?? null;
      const there = byPlace.get(place);
      if (there === undefined) byPlace.set(place, [id]);
      else there.push(id);
    }
    return [...byPlace].sort(([a], [b]) => (a ?? Number.MAX_VALUE) - (b ?? Number.MAX_VALUE));
  }, [wanted]);
  return (
    <section className="card" aria-labelledby="stations">
      <div className="card-head">
        <h2 id="stations">{t("Stations")}</h2>
        <div className="strip">
          <TextInput
            size="xs"
            aria-label={t("Filter by name")}
            placeholder={t("Filter by name")}
            leftSection={<IconSearch size={14} aria-hidden />}
            value={text}
            onChange={(event) => filter({ text: event.currentTarget.value })}
          />
          <Select
            size="xs"
            w={150}
            aria-label={t("Order")}
            allowDeselect={false}
            data={[
              { value: "name", label: t("by name") },
              { value: "state", label: t("by urgency") },
              { value: "power", label: t("by power") },
            ]}
            value={order}
            onChange={(value) => filter({ order: value === "name" ? "" : (value ?? "") })}
          />
          <Views />
        </div>
      </div>
      <div className="mix" aria-hidden>
        {STATES.filter((state) => totals.byState[state] > 0).map((state) => (
          <span
            key={state}
            className={`tone-${state}`}
            ref={(bar) => void bar?.style.setProperty("flex-grow", String(totals.byState[state]))}
          />
        ))}
      </div>
      <fieldset className="chips">
        <legend className="away">{t("Filter by state")}</legend>
        {STATES.filter((state) => totals.byState[state] > 0 || state === shown).map((state) => (
          <button
            key={state}
            type="button"
            className={`chip tone-${state}`}
            aria-pressed={shown === state}
            onClick={() => filter({ state: shown === state ? "" : state })}
          >
            <StateMark state={state} />
            <b>{totals.byState[state]}</b>
          </button>
        ))}
      </fieldset>
      {groups.map(([place, found]) => (
        <div key={place ?? 0} className="section">
          {(groups.length > 1 || place !== null) && (
            <h3 className="group">{place === null ? t("Without a location") : (places.get(place) ?? `#${place}`)}</h3>
          )}
          <Tiles ids={found} />
        </div>
      ))}
      {wanted.length === 0 && (
        <Empty title={t("No station is like that")}>{t("Take the filter away to see all.")}</Empty>
      )}
    </section>
  );
}

const Tiles = memo(function Tiles({ ids }: { ids: readonly string[] }) {
  return (
    <div className="tiles">
      {ids.map((id) => (
        <Tile key={id} id={id} />
      ))}
    </div>
  );
});

/** The list of before, as long as it says the same. */
function useSame(list: readonly string[]): readonly string[] {
  const kept = useRef(list);
  const same = kept.current.length === list.length && kept.current.every((one, index) => one === list[index]);
  if (!same) kept.current = list;
  return kept.current;
}

const Tile = memo(function Tile({ id }: { id: string }) {
  const { t } = useText();
  const format = useFormat();
  const entry = useEntry(id);
  if (entry === undefined) return null;
  const { station } = entry;
  const places = placesOf(entry);
  const first = URGENCY[urgencyOf(entry)] ?? "unknown";
  const power = places.reduce((sum, one) => sum + powerOf(station, one), 0);
  return (
    <Link to={`/stations/${encodeURIComponent(id)}`} className={`tile tone-${first}`} data-state={first}>
      <span className="top">
        <span>{station.name ?? id}</span>
        {power > 0 && <span>{format.power(power)}</span>}
      </span>
      {first === "offline" ? (
        <span className="row">
          <StateMark state="offline" />
          <span className="faint">
            {station.connection_changed_at === null
              ? t("never seen")
              : t("since {time}", { time: since(station.connection_changed_at, format) })}
          </span>
        </span>
      ) : places.length === 0 ? (
        <span className="row">
          <StateMark state="unknown" />
        </span>
      ) : (
        places.map((one) => (
          <span key={`${one.evse_id}.${one.connector_id}`} className="row">
            <StateMark state={stateOf(station, one)}>
              {places.length > 1 ? `${one.evse_id}: ` : ""}
              {t(STATE_WORDS[stateOf(station, one)])}
            </StateMark>
            <span className="faint">
              {one.error?.code ??
                (places.length > 1 && powerOf(station, one) > 0
                  ? format.power(one.power_w)
                  : one.status_at === null
                    ? ""
                    : format.time(one.status_at))}
            </span>
          </span>
        ))
      )}
      {power > 0 && (
        <span className="flow" aria-hidden>
          <i ref={(bar) => void bar?.style.setProperty("transform", `scaleX(${Math.min(1, power / FULL_W)})`)} />
        </span>
      )}
    </Link>
  );
});

/** Today a time, otherwise a day. */
function since(instant: string, format: Format): string {
  const ago = format.ago(instant);
  return /^\d+ (s|min)$/.test(ago) ? format.time(instant) : /h/.test(ago) ? format.time(instant) : format.date(instant);
}

export function useLocations(): ReadonlyMap<number, string> {
  const found = useEveryLocation();
  return useMemo(() => new Map(found.data?.items.map((one) => [one.id, one.name])), [found.data]);
}

/** What the clock on the wall shows at a location, where that isn't what the viewer's shows. */
export function useTimeThere(locationId: number | null): string | null {
  const { locale } = useText();
  const found = useEveryLocation();
  const zone = found.data?.items.find((one) => one.id === locationId)?.time_zone;
  if (!zone || zone === Intl.DateTimeFormat().resolvedOptions().timeZone) return null;
  try {
    const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", timeZone: zone });
    return `${clock.format(serverNow())} ${zone}`;
  } catch {
    return null;
  }
}

function useEveryLocation() {
  return useQuery({
    queryKey: ["locations"],
    queryFn: () => asked(api.GET("/api/v1/locations", { params: { query: { limit: 500 } } })),
    staleTime: 60_000,
  });
}

interface Need {
  key: string;
  state: State;
  to: string;
  what: string;
  why: string;
  do: string;
}

function Hand() {
  const { t } = useText();
  const format = useFormat();
  const totals = useFleet((all) => all.totals);
  const held = useQuery({
    queryKey: ["sessions", "held"],
    queryFn: () => asked(api.GET("/api/v1/sessions", { params: { query: { state: "held", limit: 20 } } })),
    refetchInterval: 30_000,
  });
  const sites = useQuery({
    queryKey: ["sites", "hand"],
    queryFn: () => asked(api.GET("/api/v1/sites", { params: { query: { limit: 100 } } })),
    refetchInterval: 30_000,
  });
  useLive(["sites", "hand"], ["site.alarm"]);
  // The sums change whenever a station does.
  const needs = useMemo<Need[]>(() => {
    const found: Need[] = [];
    for (const id of fleet.ids) {
      const entry = fleet.entry(id);
      if (entry === undefined) continue;
      const { station } = entry;
      const to = `/stations/${encodeURIComponent(id)}`;
      const name = station.name ?? id;
      if (!station.connected)
        found.push({
          key: `${id} offline`,
          state: "offline",
          to,
          what: name,
          why:
            station.connection_changed_at === null
              ? t("has never connected")
              : t("offline for {time}", { time: format.ago(station.connection_changed_at) }),
          do: t("Check its power and its network."),
        });
      if (station.registration !== "Accepted")
        found.push({
          key: `${id} registration`,
          state: "unknown",
          to,
          what: name,
          why: t("waits to be let in"),
          do: t("Accept or reject it on its page."),
        });
      if (station.connected && Math.abs(station.clock_drift_s ?? 0) > DRIFT_S)
        found.push({
          key: `${id} clock`,
          state: "unavailable",
          to,
          what: name,
          why: t("its clock is off by {time}", { time: format.duration(Math.abs(station.clock_drift_s ?? 0)) }),
          do: t("Its transactions bear wrong times until it is set."),
        });
      for (const one of entry.connectors)
        if (station.connected && one.view === "faulted")
          found.push({
            key: `${id} ${one.evse_id} ${one.connector_id}`,
            state: "faulted",
            to,
            what: name,
            why: `${one.error?.code ?? t("Faulted")}${one.error?.info ? `: ${one.error.info}` : ""}`,
            do: t("Read its messages, try a reset, or send somebody."),
          });
    }
    for (const site of sites.data?.items ?? [])
      if (!site.connected)
        found.push({
          key: `site ${site.id}`,
          state: "offline",
          to: `/sites/${site.id}`,
          what: site.name,
          why:
            site.heard_at === null
              ? t("its controller has never linked")
              : t("its controller is not linked since {time}", { time: format.dateTime(site.heard_at) }),
          do: t("The site goes on by itself; check the controller's network, and its key."),
        });
    return found.sort((a, b) => URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state));
  }, [totals, sites.data, t, format]);
  const money = held.data?.items ?? [];
  if (needs.length === 0 && money.length === 0)
    return (
      <Empty good title={t("Nothing")}>
        {t("All stations are connected and well.")}
      </Empty>
    );
  return (
    <ul className="list">
      {needs.slice(0, 12).map((need) => {
        const Shape = STATE_ICONS[need.state];
        return (
          <li key={need.key}>
            <Link to={need.to} className="plain">
              <span className={`state tone-${need.state}`}>
                <Shape size={15} aria-hidden /> {need.what}
              </span>{" "}
              {need.why}
            </Link>
            <div className="faint small">{need.do}</div>
          </li>
        );
      })}
      {needs.length > 12 && <li className="faint">{t("and {n} more", { n: needs.length - 12 })}</li>}
      {money.map((session: Schemas["SessionResource"]) => (
        <li key={session.id}>
          <Link to={`/transactions/${session.id}`} className="plain">
            <span className="state tone-unavailable">{t("Bill {n}", { n: session.id })}</span>{" "}
            {t("is held: {why}", { why: session.held_because ?? "" })}
          </Link>
          <div className="faint small">{t("Correct it, or let it go as it is.")}</div>
        </li>
      ))}
    </ul>
  );
}

function News() {
  const { t } = useText();
  const happenings = useHappenings();
  if (happenings.length === 0)
    return <Empty title={t("Nothing since you came")}>{t("Whatever happens appears here by itself.")}</Empty>;
  return (
    <ol className="list news">
      {happenings.slice(0, 14).map((one) => (
        <Happening key={one.key} of={one} />
      ))}
    </ol>
  );
}

function NoStations() {
  const { t } = useText();
  return (
    <section className="card">
      <Empty title={t("No station yet")}>
        {t("Enter one on the page Stations, then let it connect to this address:")}
        <div className="mono">ws://{location.hostname}:9000/ocpp/&lt;id&gt;</div>
        <Link className="link" to="/stations">
          {t("To the stations")}
        </Link>
      </Empty>
    </section>
  );
}
