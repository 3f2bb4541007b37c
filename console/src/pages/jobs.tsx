import { Button, FileButton, Select, Tabs, TextInput } from "@mantine/core";
import { IconPlus, IconUpload } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, asked, credentials, Refusal, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { Empty, PageHead, Pill, type Tone } from "../parts/basics";
import { Pages, usePages } from "../parts/more";
import { useDeed, useForEach, useQuestion } from "../parts/outcome";
import { type Column, Rows } from "../parts/rows";
import { Sheet } from "../parts/sheet";
import { StationChoice, StationLink } from "../parts/station-choice";
import { useViewer } from "../session";

type Firmware = Schemas["FirmwareJobResource"];
type Log = Schemas["LogJobResource"];
type Job = Firmware | Log;

const STATES: Record<Schemas["JobState"], { word: Text; tone: Tone }> = {
  waiting: { word: "waiting", tone: "quiet" },
  requested: { word: "on its way", tone: "info" },
  running: { word: "running", tone: "info" },
  done: { word: "done", tone: "good" },
  failed: { word: "failed", tone: "bad" },
  rejected: { word: "rejected", tone: "bad" },
  cancelled: { word: "cancelled", tone: "quiet" },
  replaced: { word: "replaced", tone: "quiet" },
  timed_out: { word: "took too long", tone: "warn" },
};
const OPEN: ReadonlySet<Schemas["JobState"]> = new Set(["waiting", "requested", "running"] as const);

export default function JobsPage() {
  const { t } = useText();
  const viewer = useViewer();
  const [form, open] = useState<"firmware" | "log" | null>(null);
  return (
    <>
      <PageHead title={t("Firmware and logs")} lead={t("Jobs that go on until they are done, over restarts too")}>
        {viewer.may("write") && (
          <>
            <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => open("firmware")}>
              {t("Update firmware")}
            </Button>
            <Button variant="default" onClick={() => open("log")}>
              {t("Fetch a log")}
            </Button>
          </>
        )}
      </PageHead>
      <Tabs defaultValue="firmware" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="firmware">{t("Firmware")}</Tabs.Tab>
          <Tabs.Tab value="images">{t("Images")}</Tabs.Tab>
          <Tabs.Tab value="logs">{t("Logs")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="firmware" pt="sm">
          <FirmwareJobs />
        </Tabs.Panel>
        <Tabs.Panel value="images" pt="sm">
          <Images />
        </Tabs.Panel>
        <Tabs.Panel value="logs" pt="sm">
          <LogJobs />
        </Tabs.Panel>
      </Tabs>
      {form === "firmware" && <Update close={() => open(null)} />}
      {form === "log" && <Fetch close={() => open(null)} />}
    </>
  );
}

interface Of {
  /** Only of this station. */
  station?: string;
}

/** What both kinds of jobs show. */
function useColumns<T extends Job>(ask: (job: T) => void, station?: string): Column<T>[] {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const columns: Column<T>[] = [
    { name: "Begun", cell: (one) => format.dateTime(one.created_at) },
    ...(station === undefined
      ? [{ name: "Station", cell: (one) => <StationLink id={one.station_id} part="upkeep" /> } satisfies Column<T>]
      : []),
    {
      name: "State",
      cell: (one) => (
        <>
          <Pill tone={STATES[one.state].tone}>{t(STATES[one.state].word)}</Pill>
          <div className="small faint">{one.detail ?? one.history.at(-1)?.what}</div>
        </>
      ),
    },
    { name: "Attempts", num: true, cell: (one) => `${one.attempts} / ${one.most_attempts}` },
  ];
  if (viewer.may("write"))
    columns.push({
      name: null,
      cell: (one) =>
        OPEN.has(one.state) && (
          <Button size="compact-xs" variant="subtle" color="red" onClick={() => ask(one)}>
            {t("Cancel it")}
          </Button>
        ),
    });
  return columns;
}

export function FirmwareJobs({ station }: Of) {
  const { t } = useText();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const found = usePages(
    ["firmware", station],
    (cursor) =>
      asked(api.GET("/api/v1/firmware-jobs", { params: { query: { cursor, limit: 50, station_id: station } } })),
    ["command.updated"],
  );
  const columns = useColumns<Firmware>(
    (one) =>
      ask({
        title: t("Cancel the update"),
        what: t("{station} is told to stop. What it has begun to install already may still be installed.", {
          station: one.station_id,
        }),
        yes: t("Cancel the update"),
        danger: true,
        deed: () =>
          deed(
            t("Cancel the update"),
            () =>
              asked(api.POST("/api/v1/firmware-jobs/{number}/cancel", { params: { path: { number: one.number } } })),
            ["firmware"],
          ),
      }),
    station,
  );
  columns.splice(station === undefined ? 2 : 1, 0, {
    name: "From where",
    cell: (one) => <span className="mono">{one.location ?? t("file {n}", { n: one.file_number ?? 0 })}</span>,
  });
  return (
    <section className="card">
      {question}
      <Pages
        of={found}
        none={
          <Empty title={t("No update yet")}>
            {t("An update is fetched by the station from an address, checked, and installed.")}
          </Empty>
        }
      >
        {(items) => <Rows items={items} by={(one) => one.number} columns={columns} />}
      </Pages>
    </section>
  );
}

/** Files of firmware that are kept here; stations fetch them from the CSMS itself. */
function Images() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const [busy, setBusy] = useState(false);
  const found = usePages(["images"], (cursor) =>
    asked(api.GET("/api/v1/firmware-images", { params: { query: { cursor, limit: 50 } } })),
  );
  async function upload(file: File | null) {
    if (file === null) return;
    setBusy(true);
    await deed(t("Keep an image"), async () => {
      // The body is the file as it is, which a typed client has no way to say.
      const answer = await fetch(`/api/v1/firmware-images?name=${encodeURIComponent(file.name)}`, {
        method: "POST",
        headers: { ...credentials.headers, "content-type": "application/octet-stream" },
        body: file,
      });
      if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => ({})));
      return answer.json();
    }, ["images"]);
    setBusy(false);
  }
  return (
    <section className="card">
      {question}
      {viewer.may("write") && (
        <div className="card-head">
          <span className="small faint">{t("Stations fetch them from here; each is kept with its hash.")}</span>
          <FileButton onChange={(file) => void upload(file)}>
            {(props) => (
              <Button size="xs" loading={busy} leftSection={<IconUpload size={14} aria-hidden />} {...props}>
                {t("Keep an image")}
              </Button>
            )}
          </FileButton>
        </div>
      )}
      <Pages
        of={found}
        none={<Empty title={t("No image yet")}>{t("Choose a file: it can be installed from here then.")}</Empty>}
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.number}
            columns={[
              { name: "Number", cell: (one) => one.number },
              { name: "Name", cell: (one) => <b>{one.name}</b> },
              { name: "Size", num: true, cell: (one) => `${format.number(one.size / 1e6, 1)} MB` },
              { name: "SHA-256", cell: (one) => <span className="mono">{one.sha256.slice(0, 16)}…</span> },
              { name: "Entered", cell: (one) => format.dateTime(one.created_at) },
              viewer.may("write")
                ? {
                    name: null,
                    cell: (one) => (
                      <Button
                        size="compact-xs"
                        variant="subtle"
                        color="red"
                        onClick={() =>
                          ask({
                            title: t("Remove the image"),
                            what: t("{name} can't be installed from here any more.", { name: one.name }),
                            yes: t("Remove"),
                            danger: true,
                            deed: () =>
                              deed(
                                t("Remove the image"),
                                () =>
                                  asked(
                                    api.DELETE("/api/v1/firmware-images/{number}", {
                                      params: { path: { number: one.number } },
                                    }),
                                  ),
                                ["images"],
                              ),
                          })
                        }
                      >
                        {t("Remove")}
                      </Button>
                    ),
                  }
                : null,
            ]}
          />
        )}
      </Pages>
    </section>
  );
}

export function LogJobs({ station }: Of) {
  const { t } = useText();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const found = usePages(
    ["logs", station],
    (cursor) => asked(api.GET("/api/v1/log-jobs", { params: { query: { cursor, limit: 50, station_id: station } } })),
    ["command.updated"],
  );
  const columns = useColumns<Log>(
    (one) =>
      ask({
        title: t("Give the log up"),
        what: t("What {station} uploads of it from now on is not kept.", { station: one.station_id }),
        yes: t("Give the log up"),
        deed: () =>
          deed(
            t("Give the log up"),
            () => asked(api.POST("/api/v1/log-jobs/{number}/cancel", { params: { path: { number: one.number } } })),
            ["logs"],
          ),
      }),
    station,
  );
  const save = (one: Log) =>
    deed(t("Save"), async () => {
      const answer = await fetch(`/api/v1/log-jobs/${one.number}/file`, { headers: credentials.headers });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = one.filename ?? `log-${one.number}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  const first = station === undefined ? 2 : 1;
  columns.splice(first, 0, { name: "Kind", cell: (one) => one.log_type });
  columns.splice(first + 2, 0, {
    name: "File",
    cell: (one) =>
      one.state === "done" ? (
        <Button size="compact-xs" variant="subtle" onClick={() => void save(one)}>
          {one.filename ?? t("Save")}
        </Button>
      ) : (
        (one.upload_status ?? "–")
      ),
  });
  return (
    <section className="card">
      {question}
      <Pages
        of={found}
        none={
          <Empty title={t("No log yet")}>{t("Fetch one: the station uploads it, and it can be saved here.")}</Empty>
        }
      >
        {(items) => <Rows items={items} by={(one) => one.number} columns={columns} />}
      </Pages>
    </section>
  );
}

/** Of one station, of one that is chosen here, or of many. */
export function Update({ close, at, stations }: { close: () => void; at?: string; stations?: readonly string[] }) {
  const { t } = useText();
  const deed = useDeed();
  const each = useForEach();
  const queries = useQueryClient();
  const [station, setStation] = useState<string | null>(at ?? null);
  const [image, setImage] = useState<string | null>(null);
  const [place, setPlace] = useState("");
  const [when, setWhen] = useState("");
  const images = usePages(["images"], (cursor) =>
    asked(api.GET("/api/v1/firmware-images", { params: { query: { cursor, limit: 100 } } })),
  );
  const job = (id: string) =>
    asked(
      api.POST("/api/v1/firmware-jobs", {
        body: {
          station_id: id,
          ...(image === null ? { location: place.trim() } : { file_number: Number(image) }),
          ...(when && { retrieve_at: new Date(when).toISOString() }),
        },
      }),
    );
  return (
    <Sheet
      title={t("Update firmware")}
      yes={t("Update")}
      close={close}
      submit={async () => {
        if (stations !== undefined) {
          const done = await each(t("Update firmware"), stations, job);
          void queries.invalidateQueries({ queryKey: ["firmware"] });
          return done || undefined;
        }
        return station === null ? undefined : deed(t("Update firmware"), () => job(station), ["firmware"]);
      }}
    >
      {stations !== undefined && <p>{t("{n} stations", { n: stations.length })}</p>}
      <p className="small">
        {t("The station fetches the file, installs it and starts again. While it does, nobody can charge there.")}
      </p>
      {at === undefined && stations === undefined && <StationChoice value={station} choose={setStation} required />}
      <Select
        label={t("Image")}
        description={t("One that is kept here, or else an address below.")}
        clearable
        searchable
        data={(images.items ?? []).map((one) => ({ value: String(one.number), label: one.name }))}
        value={image}
        onChange={setImage}
      />
      <TextInput
        disabled={image !== null}
        label={t("Address of the file")}
        placeholder="https://…"
        type="url"
        value={place}
        onChange={(event) => setPlace(event.currentTarget.value)}
        required={image === null}
      />
      <TextInput
        label={t("Not before")}
        type="datetime-local"
        value={when}
        onChange={(event) => setWhen(event.currentTarget.value)}
      />
    </Sheet>
  );
}

export function Fetch({ close, at }: { close: () => void; at?: string }) {
  const { t } = useText();
  const deed = useDeed();
  const [station, setStation] = useState<string | null>(at ?? null);
  const [kind, setKind] = useState<string | null>("DiagnosticsLog");
  return (
    <Sheet
      title={t("Fetch a log")}
      yes={t("Fetch")}
      close={close}
      submit={async () =>
        station === null
          ? undefined
          : deed(
              t("Fetch a log"),
              () =>
                asked(
                  api.POST("/api/v1/log-jobs", { body: { station_id: station, log_type: kind as Log["log_type"] } }),
                ),
              ["logs"],
            )
      }
    >
      {at === undefined && <StationChoice value={station} choose={setStation} required />}
      <Select
        label={t("Kind")}
        data={["DiagnosticsLog", "SecurityLog"]}
        value={kind}
        onChange={setKind}
        allowDeselect={false}
      />
    </Sheet>
  );
}
