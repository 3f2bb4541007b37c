import { ActionIcon, Button, Group, NumberInput, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useText } from "../i18n/text";
import { serverNow } from "../live/clock";
import { placesOf, useEntry, useFleet } from "../live/fleet";
import { Empty, PageHead, Trouble } from "../parts/basics";
import { PATIENCE, useDeed } from "../parts/outcome";
import { KINDS, PURPOSES } from "../parts/profile";
import { ProfileTable } from "../parts/profile-table";
import { useViewer } from "../session";
import { Composite } from "./of-station/schedule";

type Body = Schemas["ProfileBody"];
type Unit = Schemas["ChargingRateUnit"];

interface Step {
  key: number;
  at: string;
  rate: number;
}

const DAY_S = 86_400;
let nextStep = 1;

export default function ChargingPage() {
  const { t } = useText();
  const viewer = useViewer();
  // A daily schedule counts from midnight by the server's date: that has to be known first.
  const ready = useFleet((all) => all.ready);
  return (
    <>
      <PageHead title={t("Smart charging")} lead={t("Limits over time, and what they come to")} />
      {viewer.may("write") && ready && <Editor />}
      <section className="card section" aria-labelledby="all-profiles">
        <h2 id="all-profiles">{t("Profiles on stations")}</h2>
        <ProfileTable />
      </section>
    </>
  );
}

/** A profile is made, and what it comes to is drawn at once, with whatever else is installed there. */
function Editor() {
  const { t } = useText();
  const deed = useDeed();
  const [search] = useSearchParams();
  const ids = useFleet((all) => all.ids);
  const [station, setStation] = useState<string | null>(search.get("station"));
  const entry = useEntry(station ?? "");
  const places = entry === undefined ? [] : [...new Set(placesOf(entry).map((one) => one.evse_id))];
  const [purpose, setPurpose] = useState<Body["purpose"]>("TxDefaultProfile");
  const [kind, setKind] = useState<Body["kind"]>("Recurring");
  const [evse, setEvse] = useState<string>("0");
  const [unit, setUnit] = useState<Unit>("A");
  const [level, setLevel] = useState(0);
  const [most, setMost] = useState(32);
  const [begin, setBegin] = useState("");
  const [steps, setSteps] = useState<Step[]>(() => [
    { key: nextStep++, at: "00:00", rate: 16 },
    { key: nextStep++, at: "07:00", rate: 8 },
    { key: nextStep++, at: "20:00", rate: 16 },
  ]);
  const [busy, setBusy] = useState(false);

  const running =
    entry?.connectors.find((one) => one.evse_id === Number(evse || 1) && one.transaction_number !== null)
      ?.transaction_number ?? null;
  const transaction = useQuery({
    queryKey: ["transactions", running],
    enabled: purpose === "TxProfile" && running !== null,
    queryFn: () => asked(api.GET("/api/v1/transactions/{number}", { params: { path: { number: running! } } })),
  });
  const wire = transaction.data?.transaction_id ?? null;
  const body = useMemo<Body>(() => {
    const ordered = steps
      .map((one) => ({ start_period_s: secondsOf(one.at), rate_limit: one.rate }))
      .sort((a, b) => a.start_period_s - b.start_period_s);
    const first = ordered[0]?.start_period_s ?? 0;
    const periods = ordered.map((one) => ({ ...one, start_period_s: one.start_period_s - first }));
    const start = kind === "Relative" ? null : kind === "Absolute" && begin ? new Date(begin) : midnight();
    if (start !== null && kind === "Recurring") start.setSeconds(start.getSeconds() + first);
    return {
      stack_level: level,
      purpose,
      kind,
      ...(kind === "Recurring" && { recurrency_kind: "Daily" as const }),
      ...(purpose === "TxProfile" && wire !== null && { transaction_id: wire }),
      schedules: [
        {
          rate_unit: unit,
          periods,
          ...(start && { start_schedule: start.toISOString() }),
          ...(kind === "Recurring" && { duration_s: DAY_S }),
        },
      ],
    };
  }, [steps, kind, purpose, unit, level, begin, wire]);
  const target =
    purpose === "ChargingStationMaxProfile" ? 0 : purpose === "TxProfile" ? Number(evse) || 1 : Number(evse);
  const [asking] = useDebouncedValue(JSON.stringify({ station, target, body, most }), 250);
  const drawn = useQuery({
    queryKey: ["intended", "draft", asking],
    enabled: station !== null,
    placeholderData: keepPreviousData,
    retry: false,
    queryFn: () => {
      const wanted = JSON.parse(asking) as { station: string; target: number; body: Body; most: number };
      return asked(
        api.POST("/api/v1/stations/{station_id}/intended-schedule", {
          params: { path: { station_id: wanted.station } },
          body: {
            evse_id: wanted.target || places[0] || 1,
            duration_s: DAY_S,
            rate_unit: unit,
            hardware_max_a: wanted.most,
            draft: wanted.body,
            draft_evse_id: wanted.target,
          },
        }),
      );
    },
  });
  const change = (key: number, changes: Partial<Step>) =>
    setSteps(steps.map((one) => (one.key === key ? { ...one, ...changes } : one)));
  async function submit(event: FormEvent) {
    event.preventDefault();
    if (station === null) return;
    setBusy(true);
    await deed(
      t("Send the profile"),
      () =>
        asked(
          api.POST("/api/v1/charging-profiles", {
            params: { header: PATIENCE },
            body: { station_id: station, evse_id: target, profile: body },
          }),
        ),
      ["profiles", "intended"],
    );
    setBusy(false);
  }
  return (
    <section className="card" aria-labelledby="editor">
      <h2 id="editor">{t("New profile")}</h2>
      <div className="editor">
        <form onSubmit={submit} className="editor-form">
          <Group grow>
            <Select
              label={t("Station")}
              searchable
              limit={50}
              data={[...ids]}
              value={station}
              onChange={setStation}
              required
            />
            <Select
              label={t("EVSE")}
              disabled={purpose === "ChargingStationMaxProfile"}
              data={[
                { value: "0", label: t("all of it") },
                ...places.map((one) => ({ value: String(one), label: t("EVSE {n}", { n: one }) })),
              ]}
              value={evse}
              onChange={(value) => setEvse(value ?? "0")}
              allowDeselect={false}
            />
          </Group>
          <Select
            label={t("What for")}
            data={PURPOSES.map(([value, word]) => ({ value, label: t(word) }))}
            value={purpose}
            onChange={(value) => setPurpose(value as Body["purpose"])}
            allowDeselect={false}
          />
          {purpose === "TxProfile" && running === null && (
            <p className="small">{t("No transaction runs there now: the station would refuse it.")}</p>
          )}
          <Select
            label={t("When")}
            data={KINDS.filter(([value]) => !(purpose === "ChargingStationMaxProfile" && value === "Relative")).map(
              ([value, word]) => ({ value, label: t(word) }),
            )}
            value={kind}
            onChange={(value) => setKind(value as Body["kind"])}
            allowDeselect={false}
          />
          {kind === "Absolute" && (
            <TextInput
              type="datetime-local"
              label={t("From")}
              value={begin}
              onChange={(event) => setBegin(event.currentTarget.value)}
            />
          )}
          <Group grow>
            <div>
              <div className="small">{t("Unit")}</div>
              <SegmentedControl
                size="xs"
                fullWidth
                data={[
                  { value: "A", label: t("A per phase") },
                  { value: "W", label: "W" },
                ]}
                value={unit}
                onChange={(value) => {
                  setUnit(value as Unit);
                  setSteps(
                    steps.map((one) => ({
                      ...one,
                      rate: value === "W" ? Math.round(one.rate * 690) : Math.round(one.rate / 690),
                    })),
                  );
                }}
              />
            </div>
            <NumberInput
              label={t("Stack level")}
              min={0}
              max={99}
              value={level}
              onChange={(value) => setLevel(Number(value))}
            />
          </Group>
          <fieldset className="steps">
            <legend>
              {kind === "Relative" ? t("Limits, by time since charging began") : t("Limits, by time of day")}
            </legend>
            {steps.map((one, index) => (
              <div key={one.key} className="strip">
                <TextInput
                  size="xs"
                  type="time"
                  aria-label={t("From")}
                  value={one.at}
                  onChange={(event) => change(one.key, { at: event.currentTarget.value || "00:00" })}
                />
                <NumberInput
                  size="xs"
                  maw={130}
                  aria-label={t("Limit {n}", { n: index + 1 })}
                  min={0}
                  step={unit === "A" ? 1 : 100}
                  suffix={` ${unit}`}
                  value={one.rate}
                  onChange={(value) => change(one.key, { rate: Number(value) })}
                />
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  aria-label={t("Remove the line")}
                  disabled={steps.length === 1}
                  onClick={() => setSteps(steps.filter((other) => other.key !== one.key))}
                >
                  <IconTrash size={16} aria-hidden />
                </ActionIcon>
              </div>
            ))}
            <Button
              size="compact-xs"
              variant="default"
              leftSection={<IconPlus size={12} aria-hidden />}
              onClick={() => setSteps([...steps, { key: nextStep++, at: "12:00", rate: steps.at(-1)?.rate ?? 16 }])}
            >
              {t("Another limit")}
            </Button>
          </fieldset>
          <NumberInput
            size="xs"
            label={t("What the hardware bears (A, for the drawing)")}
            min={6}
            max={1000}
            value={most}
            onChange={(value) => setMost(Number(value) || 32)}
          />
          <Button
            type="submit"
            disabled={station === null || (purpose === "TxProfile" && wire === null)}
            loading={busy}
          >
            {station === null ? t("Choose a station first") : t("Send to {station}", { station })}
          </Button>
        </form>
        <div aria-live="polite">
          {station === null ? (
            <Empty title={t("Choose a station")}>
              {t("Then it is drawn here what the profile comes to, with all that is installed there.")}
            </Empty>
          ) : drawn.error ? (
            <Trouble error={drawn.error} />
          ) : drawn.data ? (
            <Composite ours={drawn.data} told={null} />
          ) : null}
        </div>
      </div>
    </section>
  );
}

function secondsOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return hours * 3600 + minutes * 60;
}

/** Of the day it is at the server, by the viewer's zone. */
function midnight(): Date {
  const at = new Date(serverNow());
  at.setHours(0, 0, 0, 0);
  return at;
}
