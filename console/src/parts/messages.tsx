import { Select, Switch, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconArrowDownLeft, IconArrowUpRight, IconChevronRight } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { Fragment, useEffect, useMemo, useState } from "react";
import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { Stream } from "../live/stream";
import { Empty, Pill } from "./basics";
import { Between, instantOf, useFilters, Views } from "./filters";
import { Pages, usePages } from "./more";

type Frame = Schemas["OcppMessageResource"];

/** A call with its answer; either may be missing. */
interface Exchange {
  key: string;
  call: Frame | null;
  answer: Frame | null;
}

/** Calls and answers belong together by their id, and by going opposite ways. */
function exchangesOf(frames: readonly Frame[]): Exchange[] {
  const found: Exchange[] = [];
  const open = new Map<string, Exchange>();
  for (const frame of frames) {
    if (frame.action === null) {
      const one: Exchange = { key: `${frame.id}`, call: null, answer: frame };
      found.push(one);
      if (frame.message_id !== null) open.set(`${frame.station_id} ${frame.message_id} ${frame.direction}`, one);
      continue;
    }
    const opposite = frame.direction === "in" ? "out" : "in";
    const waiting = open.get(`${frame.station_id} ${frame.message_id} ${opposite}`);
    if (waiting !== undefined && waiting.call === null) waiting.call = frame;
    else found.push({ key: `${frame.id}`, call: frame, answer: null });
  }
  return found;
}

function kindOf(frame: Frame | null): "result" | "error" | null {
  if (frame === null) return null;
  return frame.frame.trimStart().startsWith("[4") ? "error" : "result";
}

export default function Messages({ stationId }: { stationId?: string }) {
  const { t } = useText();
  const format = useFormat();
  const queries = useQueryClient();
  const [filters, filter] = useFilters("text", "action", "direction", "since", "until");
  const { direction } = filters;
  const [follow, setFollow] = useState(false);
  const [opened, open] = useState<string | null>(null);
  const [text] = useDebouncedValue(filters.text.trim(), 400);
  const [action] = useDebouncedValue(filters.action.trim(), 300);
  const since = instantOf(filters.since);
  const until = instantOf(filters.until);
  const key = useMemo(
    () => ["messages", stationId ?? null, text, action, since ?? null, until ?? null],
    [stationId, text, action, since, until],
  );
  const found = usePages(key, (cursor) =>
    asked(
      api.GET("/api/v1/ocpp-messages", {
        params: {
          query: {
            cursor,
            limit: 200,
            station_id: stationId,
            text: text || undefined,
            action: action || undefined,
            since,
            until,
            exchanges: true,
          },
        },
      }),
    ),
  );
  useEffect(() => {
    if (!follow) return;
    const own = new Stream(["ocpp.message"], stationId);
    let timer = 0;
    own.onEvent(() => {
      if (timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        void queries.invalidateQueries({ queryKey: key });
      }, 700);
    });
    own.start();
    return () => {
      clearTimeout(timer);
      own.stop();
    };
  }, [follow, stationId, key, queries]);
  const pages = found.data?.pages;
  const shown = useMemo(() => {
    const frames = new Map<number, Frame>();
    for (const page of pages ?? [])
      for (const frame of [...page.items, ...(page.others ?? [])]) frames.set(frame.id, frame);
    return exchangesOf([...frames.values()].sort((a, b) => b.id - a.id)).filter(
      (one) => direction === "" || (one.call ?? one.answer)!.direction === direction,
    );
  }, [pages, direction]);
  return (
    <>
      <div className="strip controls">
        <TextInput
          size="xs"
          aria-label={t("Text in the message")}
          placeholder={t("Text in the message")}
          value={filters.text}
          onChange={(event) => filter({ text: event.currentTarget.value })}
          className="grow"
          maxLength={200}
        />
        <TextInput
          size="xs"
          aria-label={t("Action")}
          placeholder={t("Action, exactly")}
          value={filters.action}
          onChange={(event) => filter({ action: event.currentTarget.value })}
        />
        <Select
          size="xs"
          w={170}
          aria-label={t("Direction")}
          placeholder={t("both ways")}
          clearable
          data={[
            { value: "in", label: t("from the station") },
            { value: "out", label: t("to the station") },
          ]}
          value={direction || null}
          onChange={(value) => filter({ direction: value ?? "" })}
        />
        <Between filters={filters} filter={filter} />
        <Switch
          size="sm"
          label={t("Follow")}
          checked={follow}
          onChange={(event) => setFollow(event.currentTarget.checked)}
        />
        <Views />
      </div>
      <Pages
        of={found}
        none={
          <Empty title={t("No message")}>
            {found.hasNextPage
              ? t("None of the newest is like that: look further back.")
              : t("Every message is kept from the first connection on; or take the filter away.")}
          </Empty>
        }
      >
        {() =>
          shown.length === 0 ? (
            <Empty title={t("None of the newest is like that")}>{t("Show more, or take the filter away.")}</Empty>
          ) : (
            <table className="plain stack messages">
              <thead>
                <tr>
                  <th>{t("Time")}</th>
                  {stationId === undefined && <th>{t("Station")}</th>}
                  <th>{t("Message")}</th>
                  <th>{t("Answer")}</th>
                  <th className="num">{t("Latency")}</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((one) => {
                  const first = (one.call ?? one.answer)!;
                  const kind = kindOf(one.answer);
                  const isOpen = opened === one.key;
                  return (
                    <Fragment key={one.key}>
                      <tr>
                        <td className="faint" title={first.at} data-label={t("Time")}>
                          {format.moment(first.at)}
                        </td>
                        {stationId === undefined && (
                          <td data-label={t("Station")}>
                            {first.station_id === null ? (
                              "–"
                            ) : (
                              <Link className="link" to={`/stations/${encodeURIComponent(first.station_id)}/messages`}>
                                {first.station_id}
                              </Link>
                            )}
                          </td>
                        )}
                        <td>
                          <button
                            type="button"
                            className="disclose"
                            aria-expanded={isOpen}
                            onClick={() => open(isOpen ? null : one.key)}
                          >
                            <IconChevronRight size={14} aria-hidden className={isOpen ? "turned" : undefined} />
                            {first.direction === "in" ? (
                              <IconArrowDownLeft size={15} aria-label={t("from the station")} />
                            ) : (
                              <IconArrowUpRight size={15} aria-label={t("to the station")} />
                            )}
                            <b>{one.call?.action ?? t("answer")}</b>
                          </button>
                          {!isOpen && <span className="peek mono faint">{peek(first.frame)}</span>}
                        </td>
                        <td data-label={t("Answer")}>
                          {kind === null ? (
                            <Pill tone="warn">{t("none")}</Pill>
                          ) : kind === "error" ? (
                            <Pill tone="bad">{errorOf(one.answer!.frame)}</Pill>
                          ) : (
                            <Pill tone="good">{statusOf(one.answer!.frame) ?? t("answered")}</Pill>
                          )}
                        </td>
                        <td className="num" data-label={t("Latency")}>
                          {one.call && one.answer ? latency(one.call.at, one.answer.at) : "–"}
                        </td>
                      </tr>
                      {isOpen && (
                        <tr>
                          <td colSpan={stationId === undefined ? 5 : 4}>
                            {[one.call, one.answer]
                              .filter((frame) => frame !== null)
                              .map((frame) => (
                                <div key={frame.id}>
                                  <span className="small faint">
                                    {frame.direction === "in" ? t("from the station") : t("to the station")} ·{" "}
                                    {frame.at}
                                  </span>
                                  <pre className="frame">{pretty(frame.frame)}</pre>
                                </div>
                              ))}
                          </td>
                        </tr>
                      )}
                    </Fragment>
                  );
                })}
              </tbody>
            </table>
          )
        }
      </Pages>
    </>
  );
}

function latency(from: string, to: string): string {
  const ms = Date.parse(to) - Date.parse(from);
  return ms < 1000 ? `${Math.max(0, ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function peek(frame: string): string {
  return frame.length > 90 ? `${frame.slice(0, 90)}…` : frame;
}

function pretty(frame: string): string {
  try {
    return JSON.stringify(JSON.parse(frame), null, 2);
  } catch {
    return frame;
  }
}

function parsed(frame: string): unknown[] {
  try {
    const found: unknown = JSON.parse(frame);
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

function errorOf(frame: string): string {
  return String(parsed(frame)[2] ?? "");
}

function statusOf(frame: string): string | null {
  const payload = parsed(frame)[2] as Record<string, unknown> | undefined;
  const status = payload?.["status"] ?? (payload?.["idTagInfo"] as Record<string, unknown> | undefined)?.["status"];
  return typeof status === "string" ? status : null;
}
