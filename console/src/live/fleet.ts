import { useCallback, useSyncExternalStore } from "react";
import { api, asked, everyPage, type Schemas } from "../api/client";
import { learnNow } from "./clock";
import { type LiveEvent, stream } from "./stream";

/** All stations and their connectors, kept up to date by the event stream: read once, then told. */
export type Station = Schemas["StationResource"];
export type Connector = Schemas["ConnectorResource"];
export type Today = Schemas["TodayResource"];
export type State = Schemas["ConnectorView"] | "offline";

export interface Entry {
  station: Station;
  connectors: readonly Connector[];
}

export interface Totals {
  powerW: number;
  connectors: number;
  byState: Readonly<Record<State, number>>;
}

export const STATES: readonly State[] = [
  "charging",
  "plugged_in",
  "finished",
  "reserved",
  "unplugged",
  "unavailable",
  "faulted",
  "offline",
  "unknown",
];

const TREND_POINTS = 240;
const SUMS_MS = 120;

class Fleet {
  ready = false;
  failed: unknown = null;
  today: Today | null = null;
  ids: readonly string[] = [];
  totals: Totals = { powerW: 0, connectors: 0, byState: empty() };
  /** Power of all over the time that this page was open, by the server's clock. */
  trend: { at: number[]; powerW: number[] } = { at: [], powerW: [] };
  private entries = new Map<string, Entry>();
  private readonly ofStation = new Map<string, Set<() => void>>();
  private readonly ofAll = new Set<() => void>();
  private waiting: LiveEvent[] | null = null;
  private frame = 0;
  private loading = 0;

  constructor() {
    stream.onOpen(() => void this.load());
    stream.onEvent((event) => {
      if (this.waiting !== null) this.waiting.push(event);
      else this.hear(event);
    });
  }

  entry = (id: string) => this.entries.get(id);

  watchStation = (id: string) => (changed: () => void) => {
    const watchers = this.ofStation.get(id) ?? new Set();
    this.ofStation.set(id, watchers.add(changed));
    return () => void watchers.delete(changed);
  };

  watch = (changed: () => void) => {
    this.ofAll.add(changed);
    return () => void this.ofAll.delete(changed);
  };

  async load() {
    const mine = ++this.loading;
    this.waiting = [];
    try {
      const [found] = await Promise.all([
        everyPage((cursor) =>
          asked(api.GET("/api/v1/overview/stations", { params: { query: { limit: 500, cursor } } })),
        ),
        this.loadToday(),
      ]);
      if (mine !== this.loading) return;
      this.entries = new Map(
        found.map((one) => [one.station.id, { station: one.station, connectors: one.connectors }]),
      );
      this.ids = [...this.entries.keys()].sort(naturally.compare);
      this.ready = true;
      this.failed = null;
    } catch (error) {
      if (mine !== this.loading) return;
      this.failed = error;
    }
    const missed = this.waiting ?? [];
    this.waiting = null;
    for (const event of missed) this.hear(event);
    for (const id of this.ofStation.keys()) this.tell(id);
    this.changed();
  }

  /** What today, by the viewer's midnight and the server's date, came to. */
  async loadToday() {
    const first = this.today ?? (await asked(api.GET("/api/v1/overview/today")));
    const midnight = new Date(first.now);
    midnight.setHours(0, 0, 0, 0);
    const query = { since: midnight.toISOString() };
    this.today = await asked(api.GET("/api/v1/overview/today", { params: { query } }));
    learnNow(this.today.now);
    this.changed();
  }

  private hear(event: LiveEvent) {
    const id = event.station_id;
    if (id === null || id === undefined) return;
    const entry = this.entries.get(id);
    if (entry === undefined) {
      // A station that connects for the first time.
      if (event.type === "station.connected" || event.type === "station.booted") void this.meet(id);
      return;
    }
    const body = event.body as Record<string, never>;
    switch (event.type) {
      case "station.connected":
      case "station.disconnected":
        this.set(id, {
          ...entry,
          station: {
            ...entry.station,
            connected: event.type === "station.connected",
            connection_changed_at: event.at,
            protocol: body["protocol"] ?? entry.station.protocol,
          },
        });
        break;
      case "station.booted":
        this.set(id, {
          ...entry,
          station: {
            ...entry.station,
            identity: body["identity"] ?? entry.station.identity,
            registration: body["registration"] ?? entry.station.registration,
            booted_at: event.at,
          },
        });
        break;
      case "connector.status":
        this.setConnector(entry, body["evse_id"] ?? 0, body["connector_id"] ?? 0, {
          view: body["view"],
          connector_status: body["connector_status"] ?? null,
          charging_state: body["charging_state"] ?? null,
          error: body["error"] ?? null,
          transaction_number: body["transaction_number"] ?? null,
          status_at: event.at,
          updated_at: event.at,
        });
        break;
      case "meter.sample":
        if (body["power_w"] !== undefined)
          for (const connector of entry.connectors)
            if (connector.evse_id === body["evse_id"] && connector.evse_id !== 0)
              this.setConnector(entry, connector.evse_id, connector.connector_id, {
                power_w: body["power_w"],
                power_at: event.at,
              });
        break;
    }
  }

  private async meet(id: string) {
    const path = { params: { path: { station_id: id } } };
    try {
      const [station, connectors] = await Promise.all([
        asked(api.GET("/api/v1/stations/{station_id}", path)),
        asked(api.GET("/api/v1/stations/{station_id}/connectors", path)),
      ]);
      if (!this.entries.has(id)) this.ids = [...this.ids, id].sort(naturally.compare);
      this.set(id, { station, connectors: connectors.items });
    } catch {
      // It is there when the page is loaded again.
    }
  }

  private setConnector(entry: Entry, evseId: number, connectorId: number, changes: Partial<Connector>) {
    const id = entry.station.id;
    const connectors = [...(this.entries.get(id) ?? entry).connectors];
    const place = connectors.findIndex((one) => one.evse_id === evseId && one.connector_id === connectorId);
    const before: Connector = connectors[place] ?? {
      evse_id: evseId,
      connector_id: connectorId,
      view: "unknown",
      connector_status: null,
      charging_state: null,
      error: null,
      status_at: null,
      power_w: null,
      power_at: null,
      transaction_number: null,
      updated_at: new Date().toISOString(),
    };
    connectors[place < 0 ? connectors.length : place] = { ...before, ...changes };
    this.set(id, { ...(this.entries.get(id) ?? entry), connectors });
  }

  private set(id: string, entry: Entry) {
    this.entries.set(id, entry);
    this.tell(id);
    this.changed();
  }

  private tell(id: string) {
    for (const changed of this.ofStation.get(id) ?? []) changed();
  }

  /** Sums follow some times a second, however much happens. */
  private changed() {
    if (this.frame !== 0) return;
    this.frame = window.setTimeout(() => {
      this.frame = 0;
      this.sum();
      for (const changed of this.ofAll) changed();
    }, SUMS_MS);
  }

  private sum() {
    const byState = empty();
    let powerW = 0;
    let connectors = 0;
    for (const entry of this.entries.values()) {
      for (const connector of placesOf(entry)) {
        connectors += 1;
        const state = stateOf(entry.station, connector);
        byState[state] += 1;
        powerW += powerOf(entry.station, connector);
      }
      if (placesOf(entry).length === 0) {
        connectors += 1;
        byState[entry.station.connected ? "unknown" : "offline"] += 1;
      }
    }
    this.totals = { powerW, connectors, byState };
    const at = Date.now() / 1000;
    const trend = this.trend;
    if (at - (trend.at.at(-1) ?? 0) >= 1) {
      this.trend = {
        at: [...trend.at, at].slice(-TREND_POINTS),
        powerW: [...trend.powerW, powerW].slice(-TREND_POINTS),
      };
    }
  }
}

function empty(): Record<State, number> {
  return Object.fromEntries(STATES.map((state) => [state, 0])) as Record<State, number>;
}

export const naturally = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
export const fleet = new Fleet();

/** The connectors that a car can be plugged into: EVSE 0 is the station as a whole. */
export function placesOf(entry: Entry): readonly Connector[] {
  return entry.connectors.filter((one) => one.evse_id > 0);
}

/** The state that a person would name. */
export function stateOf(station: Station, connector: Connector): State {
  return station.connected ? connector.view : "offline";
}

/** What flows there, as far as it is known. */
export function powerOf(station: Station, connector: Connector): number {
  const charging = connector.view === "charging" || connector.view === "plugged_in";
  return station.connected && charging ? (connector.power_w ?? 0) : 0;
}

/** What a person looks at first. */
export const URGENCY: readonly State[] = [
  "faulted",
  "offline",
  "unavailable",
  "unknown",
  "charging",
  "plugged_in",
  "finished",
  "reserved",
  "unplugged",
];

export function statesOf(entry: Entry): State[] {
  const places = placesOf(entry);
  if (places.length === 0) return [entry.station.connected ? "unknown" : "offline"];
  return places.map((one) => stateOf(entry.station, one));
}

/** The place in `URGENCY` of the worst that is there. */
export function urgencyOf(entry: Entry): number {
  return Math.min(...statesOf(entry).map((one) => URGENCY.indexOf(one)));
}

export function useEntry(id: string): Entry | undefined {
  const watch = useCallback((changed: () => void) => fleet.watchStation(id)(changed), [id]);
  return useSyncExternalStore(watch, () => fleet.entry(id));
}

export function useFleet<T>(select: (all: Fleet) => T): T {
  return useSyncExternalStore(fleet.watch, () => select(fleet));
}

export function useLine() {
  return useSyncExternalStore(stream.watch, () => stream.line);
}
