import { Button, MultiSelect, Select, Textarea, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { fleet, useFleet } from "../live/fleet";
import { useViewer } from "../session";
import { Empty, Pill, type Tone } from "./basics";
import { Pages, usePages } from "./more";
import { useDeed, useQuestion } from "./outcome";
import { Rows } from "./rows";
import { Sheet } from "./sheet";
import { StationLink } from "./station-choice";

type Batch = Schemas["BatchResource"];

const STATES: Record<Batch["state"], { word: Text; tone: Tone }> = {
  running: { word: "running", tone: "info" },
  done: { word: "done", tone: "good" },
  cancelled: { word: "cancelled", tone: "quiet" },
};
interface Asking {
  key: string;
  command: string;
  word: Text;
  /** What will happen. */
  what: Text;
  parameters: Record<string, unknown>;
}

/** What can be asked of many at once without thinking of each; anything else as a message of one's own. */
const ASKED: readonly Asking[] = [
  {
    key: "cache",
    command: "CLEAR_CACHE",
    word: "Clear the cache",
    what: "While they are offline, they let in only whom their local lists name, until they learn others.",
    parameters: {},
  },
  {
    key: "status",
    command: "TRIGGER_MESSAGE",
    word: "Ask for their state",
    what: "Each tells anew what state its connectors are in; nothing else changes.",
    parameters: { requested_message: "StatusNotification" },
  },
  {
    key: "heartbeat",
    command: "TRIGGER_MESSAGE",
    word: "Ask for a heartbeat",
    what: "Each shows that it is there, and gets the time; nothing else changes.",
    parameters: { requested_message: "Heartbeat" },
  },
  {
    key: "closed",
    command: "CHANGE_AVAILABILITY",
    word: "Take out of service",
    what: "Nobody can begin to charge there until they are put into service again; who charges now may finish.",
    parameters: { evse_id: 0, operational_status: "Inoperative" },
  },
  {
    key: "open",
    command: "CHANGE_AVAILABILITY",
    word: "Put into service",
    what: "Drivers can charge here again.",
    parameters: { evse_id: 0, operational_status: "Operative" },
  },
  {
    key: "restart",
    command: "RESET",
    word: "Restart, in good order",
    what: "Each ends what runs, then starts again. They are away for some minutes.",
    parameters: { reset_type: "Immediate", graceful: true },
  },
];

/** One command for many stations, and how it goes. */
export function Batches() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const [opened, open] = useState<string | null>(null);
  const found = usePages(
    ["batches"],
    (cursor) => asked(api.GET("/api/v1/command-batches", { params: { query: { cursor, limit: 50 } } })),
    ["command.updated"],
  );
  const cancel = (one: Batch) =>
    ask({
      title: t("End the batch"),
      what: t("Stations that weren't asked yet aren't asked any more; the others go on."),
      yes: t("End it"),
      danger: true,
      deed: () =>
        deed(
          t("End the batch"),
          () =>
            asked(api.POST("/api/v1/command-batches/{batch_id}/cancel", { params: { path: { batch_id: one.id } } })),
          ["batches"],
        ),
    });
  return (
    <>
      {question}
      <Pages
        of={found}
        none={
          <Empty title={t("No batch yet")}>{t("Ask many stations the same: choose them by model or by name.")}</Empty>
        }
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.id}
            columns={[
              { name: "Time", cell: (one) => format.dateTime(one.created_at) },
              { name: "Command", cell: (one) => <b>{one.command}</b> },
              {
                name: "State",
                cell: (one) => <Pill tone={STATES[one.state].tone}>{t(STATES[one.state].word)}</Pill>,
              },
              { name: "Stations", num: true, cell: (one) => one.total },
              {
                name: "Outcome",
                cell: (one) =>
                  Object.entries(one.counts)
                    .filter(([, count]) => count > 0)
                    .map(([state, count]) => `${count} ${state.replaceAll("_", " ")}`)
                    .join(", ") || "–",
              },
              {
                name: null,
                cell: (one) => (
                  <>
                    <Button
                      size="compact-xs"
                      variant="subtle"
                      aria-expanded={opened === one.id}
                      onClick={() => open(opened === one.id ? null : one.id)}
                    >
                      {t("Stations")}
                    </Button>
                    {viewer.may("write") && one.finished_at === null && (
                      <Button size="compact-xs" variant="subtle" color="red" onClick={() => cancel(one)}>
                        {t("End it")}
                      </Button>
                    )}
                  </>
                ),
              },
            ]}
          />
        )}
      </Pages>
      {opened !== null && <Items id={opened} />}
    </>
  );
}

function Items({ id }: { id: string }) {
  const { t } = useText();
  const found = usePages(
    ["batches", id],
    (cursor) =>
      asked(
        api.GET("/api/v1/command-batches/{batch_id}/items", {
          params: { path: { batch_id: id }, query: { cursor, limit: 100 } },
        }),
      ),
    ["command.updated"],
  );
  return (
    <div className="section">
      <Pages of={found} none={<Empty title={t("No station")} />}>
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.station_id}
            columns={[
              { name: "Station", cell: (one) => <StationLink id={one.station_id} part="commands" /> },
              { name: "Outcome", cell: (one) => one.outcome ?? t("waiting") },
              { name: "In the station's words", cell: (one) => one.detail ?? "–" },
            ]}
          />
        )}
      </Pages>
    </div>
  );
}

export function AskMany({
  at,
  close,
  done,
}: {
  /** Those that were chosen before; otherwise they are chosen here. */
  at?: readonly string[];
  close: () => void;
  done: () => void;
}) {
  const { t } = useText();
  const deed = useDeed();
  const ids = useFleet((all) => all.ids);
  const [what, setWhat] = useState("cache");
  const [chosen, choose] = useState<string[]>(() => [...(at ?? [])]);
  const [model, setModel] = useState<string | null>(null);
  const [action, setAction] = useState("");
  const [payload, setPayload] = useState("{}");
  const models = useMemo(
    () => [
      ...new Set(
        ids.flatMap((id) => {
          const found = fleet.entry(id)?.station.identity?.model;
          return found ? [found] : [];
        }),
      ),
    ],
    [ids],
  );
  const meant = ids.filter(
    (id) =>
      (chosen.length === 0 || chosen.includes(id)) &&
      (model === null || fleet.entry(id)?.station.identity?.model === model),
  ).length;
  const typed = ASKED.find((one) => one.key === what);
  let parsed: Record<string, unknown> | null = null;
  try {
    parsed = JSON.parse(payload) as Record<string, unknown>;
  } catch {
    // It is said at the field.
  }
  return (
    <Sheet
      title={t("Ask many stations")}
      yes={t("Ask them")}
      close={close}
      submit={async () => {
        if (typed === undefined && parsed === null) return undefined;
        const made = await deed(
          t("Ask many stations"),
          () =>
            asked(
              api.POST("/api/v1/commands/batch", {
                body: {
                  selector: {
                    ...(chosen.length > 0 ? { station_ids: chosen } : model === null && { station_ids: [...ids] }),
                    ...(model !== null && { model }),
                  },
                  ...(typed === undefined
                    ? { raw: { action: action.trim(), payload: parsed ?? {} } }
                    : { command: typed.command, parameters: typed.parameters }),
                },
              }),
            ),
          ["batches"],
        );
        if (made) done();
        return made;
      }}
    >
      <Select
        label={t("Command")}
        data={[
          ...ASKED.map((one) => ({ value: one.key, label: t(one.word) })),
          { value: "raw", label: t("A message of my own") },
        ]}
        value={what}
        onChange={(value) => setWhat(value ?? "cache")}
        allowDeselect={false}
      />
      {typed !== undefined && <p className="small">{t(typed.what)}</p>}
      {typed === undefined && (
        <>
          <TextInput
            label={t("Action")}
            value={action}
            onChange={(event) => setAction(event.currentTarget.value)}
            required
          />
          <Textarea
            label={t("Payload (JSON)")}
            autosize
            minRows={3}
            value={payload}
            error={parsed === null && t("This isn't JSON.")}
            onChange={(event) => setPayload(event.currentTarget.value)}
          />
        </>
      )}
      {at === undefined && (
        <>
          <MultiSelect
            label={t("Stations")}
            description={t("None chosen: all.")}
            searchable
            limit={50}
            data={[...ids]}
            value={chosen}
            onChange={choose}
          />
          <Select label={t("Model")} clearable data={models} value={model} onChange={setModel} />
        </>
      )}
      <p className="small">{t("{n} stations are asked, ten at a time.", { n: meant })}</p>
    </Sheet>
  );
}
