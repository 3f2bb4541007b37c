import { Button, Group, Modal, NumberInput, Select, Stack, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { type FormEvent, useMemo, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { api, asked } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { fleet, placesOf, stateOf, useFleet } from "../live/fleet";
import { Empty, Loading, PageHead, Pill, StateMark } from "../parts/basics";
import { useDeed } from "../parts/outcome";
import { Wide } from "../parts/wide";
import { useViewer } from "../session";
import { useLocations } from "./overview";

export const REGISTRATION: Record<string, { word: Text; tone: "good" | "bad" | "warn" }> = {
  Accepted: { word: "let in", tone: "good" },
  Pending: { word: "waits to be let in", tone: "warn" },
  Rejected: { word: "refused", tone: "bad" },
};

export default function StationsPage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const ready = useFleet((all) => all.ready);
  const ids = useFleet((all) => all.ids);
  const totals = useFleet((all) => all.totals);
  const locations = useLocations();
  const [sought] = useSearchParams();
  const [text, setText] = useState(sought.get("text") ?? "");
  const [adding, { open, close }] = useDisclosure();
  // The sums change whenever a station does.
  const wanted = useMemo(() => {
    const needle = text.trim().toLowerCase();
    return ids.filter((id) => {
      const station = fleet.entry(id)?.station;
      const model = station?.identity
        ? `${station.identity.vendor_name} ${station.identity.model} ${station.identity.firmware_version ?? ""}`
        : "";
      const place = station?.location_id ? locations.get(station.location_id) : "";
      return `${id} ${station?.name ?? ""} ${model} ${station?.protocol ?? ""} ${place}`.toLowerCase().includes(needle);
    });
  }, [ids, text, totals, locations]);
  return (
    <>
      <PageHead title={t("Stations")} lead={t("{n} stations", { n: ids.length })}>
        <TextInput
          size="sm"
          aria-label={t("Filter")}
          placeholder={t("Name, model, firmware …")}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        {viewer.may("write") && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={open}>
            {t("Enter a station")}
          </Button>
        )}
      </PageHead>
      <section className="card">
        {!ready ? (
          <Loading />
        ) : wanted.length === 0 ? (
          <Empty title={t("No station")}>{t("Enter one, then let it connect; or take the filter away.")}</Empty>
        ) : (
          <Wide>
            <table className="plain">
              <thead>
                <tr>
                  <th>{t("Station")}</th>
                  <th>{t("State")}</th>
                  <th>{t("Model")}</th>
                  <th>{t("Firmware")}</th>
                  <th>{t("Protocol")}</th>
                  <th>{t("Location")}</th>
                  <th>{t("Last heard")}</th>
                </tr>
              </thead>
              <tbody>
                {wanted.map((id) => {
                  const entry = fleet.entry(id)!;
                  const { station } = entry;
                  const places = placesOf(entry);
                  return (
                    <tr key={id}>
                      <td>
                        <Link className="link" to={`/stations/${encodeURIComponent(id)}`}>
                          <b>{station.name ?? id}</b>
                        </Link>
                        {station.name !== null && <div className="faint small">{id}</div>}
                      </td>
                      <td>
                        {station.connected && places.length > 0 ? (
                          <div className="strip">
                            {places.map((one) => (
                              <StateMark key={`${one.evse_id}.${one.connector_id}`} state={stateOf(station, one)} />
                            ))}
                          </div>
                        ) : (
                          <StateMark state={station.connected ? "unknown" : "offline"} />
                        )}
                        {station.registration !== "Accepted" && (
                          <Pill tone={REGISTRATION[station.registration]!.tone}>
                            {t(REGISTRATION[station.registration]!.word)}
                          </Pill>
                        )}
                      </td>
                      <td>{station.identity ? `${station.identity.vendor_name} ${station.identity.model}` : "–"}</td>
                      <td>{station.identity?.firmware_version ?? "–"}</td>
                      <td>{station.protocol ?? "–"}</td>
                      <td>{station.location_id === null ? "–" : locations.get(station.location_id)}</td>
                      <td>{format.dateTime(station.last_seen_at)}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </Wide>
        )}
      </section>
      <Enter opened={adding} close={close} />
    </>
  );
}

function Enter({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const go = useNavigate();
  const locations = useLocations();
  const [id, setId] = useState("");
  const [name, setName] = useState("");
  const [location, setLocation] = useState<string | null>(null);
  const [profile, setProfile] = useState<number>(1);
  async function submit(event: FormEvent) {
    event.preventDefault();
    const made = await deed(t("Enter a station"), () =>
      asked(
        api.POST("/api/v1/stations", {
          body: {
            id: id.trim(),
            name: name.trim() || null,
            location_id: location === null ? null : Number(location),
            security_profile: profile,
            registration: "Accepted",
          },
        }),
      ),
    );
    if (made === undefined) return;
    await fleet.load();
    close();
    go(`/stations/${encodeURIComponent(made.id)}`);
  }
  return (
    <Modal opened={opened} onClose={close} title={t("Enter a station")} closeButtonProps={{ "aria-label": t("Close") }}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={t("Identity")}
            description={t("The last part of the address that it connects to.")}
            value={id}
            onChange={(event) => setId(event.currentTarget.value)}
            required
            data-autofocus
          />
          <TextInput label={t("Name")} value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Select
            label={t("Location")}
            clearable
            data={[...locations].map(([key, label]) => ({ value: String(key), label }))}
            value={location}
            onChange={setLocation}
          />
          <NumberInput
            label={t("Security profile")}
            description={t("0: nothing, 1: password, 2: password and TLS, 3: client certificate")}
            min={0}
            max={3}
            value={profile}
            onChange={(value) => setProfile(Number(value))}
          />
          <Group justify="flex-end">
            <Button type="submit">{t("Enter")}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
