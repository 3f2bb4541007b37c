import { Button, Checkbox, Select, TextInput, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconArrowDown, IconArrowUp, IconDownload, IconPlus } from "@tabler/icons-react";
import { memo, useCallback, useMemo, useState } from "react";
import { Link } from "react-router";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import {
  type Entry,
  fleet,
  naturally,
  placesOf,
  powerOf,
  STATES,
  type State,
  stateOf,
  statesOf,
  urgencyOf,
  useEntry,
  useFleet,
} from "../live/fleet";
import { Empty, Loading, PageHead, Pill, STATE_WORDS, StateMark } from "../parts/basics";
import { useFilters, Views } from "../parts/filters";
import { saveRows } from "../parts/save";
import { Wide } from "../parts/wide";
import { useViewer } from "../session";
import { WithChosen } from "./of-stations/chosen";
import { Enter } from "./of-stations/enter";
import { useLocations } from "./overview";

export const REGISTRATION: Record<string, { word: Text; tone: "good" | "bad" | "warn" }> = {
  Accepted: { word: "let in", tone: "good" },
  Pending: { word: "waits to be let in", tone: "warn" },
  Rejected: { word: "refused", tone: "bad" },
};
/** More rows than these come when they are asked for. */
const AT_ONCE = 200;
const NOWHERE = "none";

const COLUMNS: readonly [Text, string, (entry: Entry, place: string) => string | number][] = [
  ["Station", "name", (one) => one.station.name ?? one.station.id],
  ["State", "state", (one) => urgencyOf(one)],
  ["Model", "model", (one) => modelOf(one)],
  ["Firmware", "firmware", (one) => one.station.identity?.firmware_version ?? ""],
  ["Protocol", "protocol", (one) => one.station.protocol ?? ""],
  ["Location", "location", (_, place) => place],
  ["Last heard", "heard", (one) => one.station.last_seen_at ?? ""],
];

function modelOf({ station }: Entry): string {
  return station.identity ? `${station.identity.vendor_name} ${station.identity.model}` : "";
}

export default function StationsPage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const ready = useFleet((all) => all.ready);
  const ids = useFleet((all) => all.ids);
  const totals = useFleet((all) => all.totals);
  const locations = useLocations();
  const [filters, filter] = useFilters("text", "state", "place", "sort");
  const [adding, { open, close }] = useDisclosure();
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const [most, setMost] = useState(AT_ONCE);
  const { text, state, place, sort } = filters;
  const writes = viewer.may("write");
  const placeOf = useCallback((id: number | null) => (id === null ? "" : (locations.get(id) ?? "")), [locations]);
  // Live figures matter for the order and the choice only where these are by state.
  const moved = state !== "" || sort.endsWith("state") ? totals : ids;
  const wanted = useMemo(() => {
    const needle = text.trim().toLowerCase();
    const found = ids.filter((id) => {
      const entry = fleet.entry(id);
      if (entry === undefined) return false;
      const { station } = entry;
      if (state !== "" && !statesOf(entry).includes(state as State)) return false;
      if (place !== "" && String(station.location_id ?? NOWHERE) !== place) return false;
      const words = [id, station.name, modelOf(entry), station.identity?.firmware_version, station.protocol];
      return [...words, station.identity?.serial_number, placeOf(station.location_id)]
        .join(" ")
        .toLowerCase()
        .includes(needle);
    });
    const by = COLUMNS.find(([, key]) => key === sort.replace(/^-/, ""))?.[2];
    if (by === undefined) return found;
    const turn = sort.startsWith("-") ? -1 : 1;
    const keys = new Map(found.map((id) => [id, by(fleet.entry(id)!, placeOf(fleet.entry(id)!.station.location_id))]));
    const compare = (a: string, b: string) => {
      const [x, y] = [keys.get(a)!, keys.get(b)!];
      return typeof x === "number" && typeof y === "number" ? x - y : naturally.compare(String(x), String(y));
    };
    return found.sort((a, b) => turn * compare(a, b));
  }, [ids, text, state, place, sort, placeOf, moved]);
  const mark = useCallback(
    (id: string, on: boolean) =>
      choose((before) => {
        const after = new Set(before);
        if (on) after.add(id);
        else after.delete(id);
        return after;
      }),
    [],
  );
  const meant = useMemo(() => wanted.filter((id) => chosen.has(id)), [wanted, chosen]);
  const save = () =>
    saveRows(
      "stations.csv",
      ["id", "name", "state", "power_kw", "model", "firmware", "protocol", "location", "registration", "last_heard"],
      wanted.map((id) => {
        const entry = fleet.entry(id)!;
        const { station } = entry;
        const power = placesOf(entry).reduce((sum, one) => sum + powerOf(station, one), 0);
        return [
          ...[id, station.name, statesOf(entry).join(" "), power / 1000, modelOf(entry)],
          ...[station.identity?.firmware_version, station.protocol, placeOf(station.location_id)],
          ...[station.registration, station.last_seen_at],
        ];
      }),
    );
  return (
    <>
      <PageHead title={t("Stations")} lead={t("{n} stations", { n: ids.length })}>
        <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} onClick={save}>
          {t("Save as CSV")}
        </Button>
        {writes && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={open}>
            {t("Enter a station")}
          </Button>
        )}
      </PageHead>
      <section className="card">
        <div className="strip controls">
          <TextInput
            size="xs"
            className="grow"
            aria-label={t("Filter")}
            placeholder={t("Name, model, firmware …")}
            value={text}
            onChange={(event) => filter({ text: event.currentTarget.value })}
          />
          <Select
            size="xs"
            clearable
            aria-label={t("State")}
            placeholder={t("any state")}
            data={STATES.map((one) => ({ value: one, label: `${t(STATE_WORDS[one])} (${totals.byState[one]})` }))}
            value={state || null}
            onChange={(value) => filter({ state: value ?? "" })}
          />
          <Select
            size="xs"
            clearable
            searchable
            aria-label={t("Location")}
            placeholder={t("any location")}
            data={[
              ...[...locations].map(([id, name]) => ({ value: String(id), label: name })),
              { value: NOWHERE, label: t("Without a location") },
            ]}
            value={place || null}
            onChange={(value) => filter({ place: value ?? "" })}
          />
          <Views />
        </div>
        {writes && meant.length > 0 && <WithChosen ids={meant} forget={() => choose(new Set())} />}
        {!ready ? (
          <Loading />
        ) : wanted.length === 0 ? (
          <Empty title={t("No station")}>{t("Enter one, then let it connect; or take the filter away.")}</Empty>
        ) : (
          <>
            <Wide>
              <table className="plain stack">
                <thead>
                  <tr>
                    {writes && (
                      <th>
                        <Checkbox
                          size="xs"
                          aria-label={t("Choose all that are shown")}
                          checked={meant.length === wanted.length}
                          indeterminate={meant.length > 0 && meant.length < wanted.length}
                          onChange={(event) => choose(new Set(event.currentTarget.checked ? wanted : []))}
                        />
                      </th>
                    )}
                    {COLUMNS.map(([word, key]) => (
                      <th
                        key={key}
                        aria-sort={sort === key ? "ascending" : sort === `-${key}` ? "descending" : undefined}
                      >
                        <UnstyledButton
                          className="sorts"
                          onClick={() => filter({ sort: sort === key ? `-${key}` : key })}
                        >
                          {t(word)}
                          {sort === key && <IconArrowUp size={12} aria-hidden />}
                          {sort === `-${key}` && <IconArrowDown size={12} aria-hidden />}
                        </UnstyledButton>
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {wanted.slice(0, most).map((id) => (
                    <Row
                      key={id}
                      id={id}
                      place={placeOf(fleet.entry(id)?.station.location_id ?? null)}
                      chosen={writes ? chosen.has(id) : null}
                      choose={mark}
                    />
                  ))}
                </tbody>
              </table>
            </Wide>
            {wanted.length > most && (
              <div className="show-more">
                <Button variant="default" size="xs" onClick={() => setMost(most + 5 * AT_ONCE)}>
                  {t("Show more")} ({format.number(wanted.length - most, 0)})
                </Button>
              </div>
            )}
          </>
        )}
      </section>
      {adding && <Enter close={close} />}
    </>
  );
}

/** Drawn anew when its own station changes, and not with every other. */
const Row = memo(function Row({
  id,
  place,
  chosen,
  choose,
}: {
  id: string;
  place: string;
  /** Null: nothing can be done with stations here. */
  chosen: boolean | null;
  choose: (id: string, on: boolean) => void;
}) {
  const { t } = useText();
  const format = useFormat();
  const entry = useEntry(id);
  if (entry === undefined) return null;
  const { station } = entry;
  const places = placesOf(entry);
  const power = places.reduce((sum, one) => sum + powerOf(station, one), 0);
  return (
    <tr>
      {chosen !== null && (
        <td className="choice">
          <Checkbox
            size="xs"
            aria-label={t("Choose {name}", { name: station.name ?? id })}
            checked={chosen}
            onChange={(event) => choose(id, event.currentTarget.checked)}
          />
        </td>
      )}
      <td data-label={t("Station")}>
        <span>
          <Link className="link" to={`/stations/${encodeURIComponent(id)}`}>
            <b>{station.name ?? id}</b>
          </Link>
          {station.name !== null && <div className="faint small">{id}</div>}
        </span>
      </td>
      <td data-label={t("State")}>
        <span className="strip">
          {station.connected && places.length > 0 ? (
            places.map((one) => <StateMark key={`${one.evse_id}.${one.connector_id}`} state={stateOf(station, one)} />)
          ) : (
            <StateMark state={station.connected ? "unknown" : "offline"} />
          )}
          {power > 0 && <span className="faint small">{format.power(power)}</span>}
          {station.registration !== "Accepted" && (
            <Pill tone={REGISTRATION[station.registration]!.tone}>{t(REGISTRATION[station.registration]!.word)}</Pill>
          )}
        </span>
      </td>
      <td data-label={t("Model")}>{modelOf(entry) || "–"}</td>
      <td data-label={t("Firmware")}>{station.identity?.firmware_version ?? "–"}</td>
      <td data-label={t("Protocol")}>{station.protocol ?? "–"}</td>
      <td data-label={t("Location")}>{place || "–"}</td>
      <td data-label={t("Last heard")}>{format.dateTime(station.last_seen_at)}</td>
    </tr>
  );
});
