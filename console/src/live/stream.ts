import { credentials, type Schemas } from "../api/client";
import { learnEvent } from "./clock";

/** The event stream, with replay after a loss: one for the whole console, and one where frames are watched. */
export type LiveEvent = Omit<Schemas["EventResource"], "body"> & { body: Record<string, unknown> };
export type Line = "connecting" | "live" | "lost";

const TYPES = [
  "station.connected",
  "station.disconnected",
  "station.booted",
  "connector.status",
  "transaction.started",
  "transaction.updated",
  "transaction.ended",
  "meter.sample",
  "command.updated",
  "authorization.decided",
  "configuration.drift",
  "session.updated",
  "cdr.created",
  "payment.updated",
  "site.updated",
  "site.alarm",
];
/** The server says something at least every 15 s. */
const SILENCE_MS = 40_000;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export class Stream {
  line: Line = "connecting";
  since = Date.now();
  private lastId: number | null = null;
  private attempt = 0;
  private abort: AbortController | null = null;
  private running = false;
  private wake: () => void = () => {};
  private readonly hearers = new Set<(event: LiveEvent) => void>();
  private readonly openers = new Set<() => void>();
  private readonly watchers = new Set<() => void>();

  constructor(
    private readonly types: readonly string[],
    private readonly stationId?: string,
  ) {}

  start() {
    if (this.running) return;
    this.running = true;
    addEventListener("offline", this.cut);
    addEventListener("online", this.again);
    void this.run();
  }

  stop() {
    this.running = false;
    removeEventListener("offline", this.cut);
    removeEventListener("online", this.again);
    this.abort?.abort();
    this.wake();
    this.lastId = null;
    this.become("connecting");
  }

  onEvent(hear: (event: LiveEvent) => void) {
    this.hearers.add(hear);
    return () => void this.hearers.delete(hear);
  }

  /** Each time a connection stands: what was read before it may be old. */
  onOpen(opened: () => void) {
    this.openers.add(opened);
    return () => void this.openers.delete(opened);
  }

  watch = (changed: () => void) => {
    this.watchers.add(changed);
    return () => void this.watchers.delete(changed);
  };

  again = () => {
    this.attempt = 0;
    this.wake();
  };

  private cut = () => this.abort?.abort();

  private become(line: Line) {
    if (line === this.line) return;
    this.line = line;
    this.since = Date.now();
    for (const changed of this.watchers) changed();
  }

  private async run() {
    while (this.running) {
      try {
        await this.listen();
      } catch {
        // Whatever it was, the answer is the same: say so, and try again.
      }
      if (!this.running) return;
      this.become("lost");
      const pause = RETRY_MS[Math.min(this.attempt++, RETRY_MS.length - 1)]! * (0.8 + 0.4 * Math.random());
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  private async listen() {
    const abort = new AbortController();
    this.abort = abort;
    const query = new URLSearchParams({ types: this.types.join(",") });
    if (this.stationId !== undefined) query.set("station_id", this.stationId);
    if (this.lastId !== null) query.set("last_event_id", String(this.lastId));
    let silence = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const response = await fetch(`/api/v1/events?${query}`, { headers: credentials.headers, signal: abort.signal });
      if (response.status === 401) credentials.lost();
      if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
      this.attempt = 0;
      this.become("live");
      for (const opened of this.openers) opened();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE_MS);
        text += value;
        const end = text.lastIndexOf("\n\n");
        if (end < 0) continue;
        for (const block of text.slice(0, end).split("\n\n")) this.hear(block);
        text = text.slice(end + 2);
      }
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  }

  private hear(block: string) {
    const line = block.split("\n").find((one) => one.startsWith("data: "));
    if (line === undefined) return;
    const event = JSON.parse(line.slice(6)) as LiveEvent;
    if (event.id !== null) this.lastId = event.id;
    learnEvent(event.at);
    for (const hear of this.hearers) hear(event);
  }
}

export const stream = new Stream(TYPES);
