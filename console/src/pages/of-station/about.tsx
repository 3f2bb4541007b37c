import { Button, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, asked, type Schemas } from "../../api/client";
import { useFormat } from "../../i18n/format";
import { type Text, useText } from "../../i18n/text";
import { fleet } from "../../live/fleet";
import { useDeed } from "../../parts/outcome";
import { Sheet } from "../../parts/sheet";
import { useViewer } from "../../session";
import { useLocations } from "../overview";
import { LocationField, SecurityProfileField } from "./fields";

type Station = Schemas["StationResource"];

export default function About({ station }: { station: Station }) {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const locations = useLocations();
  const [editing, edit] = useState(false);
  const identity = station.identity;
  const facts: [Text, string | null | undefined][] = [
    ["Identity", station.id],
    ["Name", station.name],
    ["Location", station.location_id === null ? null : locations.get(station.location_id)],
    ["Maker", identity?.vendor_name],
    ["Model", identity?.model],
    ["Serial number", identity?.serial_number],
    ["Firmware", identity?.firmware_version],
    ["Meter", [identity?.meter_type, identity?.meter_serial_number].filter(Boolean).join(" ")],
    ["SIM card", [identity?.modem_iccid, identity?.modem_imsi].filter(Boolean).join(" / ")],
    ["Protocol", station.protocol],
    ["Security profile", String(station.security_profile)],
    ["Password", station.has_password ? t("set") : t("none")],
    [
      "Last started",
      station.booted_at === null ? null : `${format.dateTime(station.booted_at)} (${station.boot_reason})`,
    ],
    ["Last heard", station.last_seen_at === null ? null : format.dateTime(station.last_seen_at)],
    [
      "Its clock",
      station.clock_drift_s === null
        ? null
        : t(station.clock_drift_s < 0 ? "{n} s behind ours" : "{n} s ahead of ours", {
            n: format.number(Math.abs(station.clock_drift_s), 1),
          }),
    ],
    ["Entered", format.dateTime(station.created_at)],
  ];
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t("About this station")}</h2>
        {viewer.may("write") && (
          <Button size="xs" variant="default" onClick={() => edit(true)}>
            {t("Change")}
          </Button>
        )}
      </div>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name} className="fact">
            <dt>{t(name)}</dt>
            <dd>{value || "–"}</dd>
          </div>
        ))}
      </dl>
      <Sticker id={station.id} />
      {editing && <Edit station={station} close={() => edit(false)} />}
    </section>
  );
}

/** The way to the page for drivers, to be put on the station. */
function Sticker({ id }: { id: string }) {
  const { t } = useText();
  const found = useQuery({
    queryKey: ["sticker", id],
    retry: false,
    queryFn: () =>
      asked(api.GET("/api/v1/stations/{station_id}/driver-page", { params: { path: { station_id: id } } })),
  });
  if (found.data === undefined) return null;
  const picture = `data:image/svg+xml;utf8,${encodeURIComponent(found.data.qr_svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))}`;
  return (
    <div className="sticker">
      <img src={picture} width={132} height={132} alt={t("QR code of the page for drivers")} />
      <div>
        <h3>{t("Page for drivers")}</h3>
        <p className="small">
          {t("Print this and put it on the station: whoever scans it can reserve, start, stop and pay here.")}
        </p>
        <a className="link" href={found.data.path} target="_blank" rel="noreferrer">
          {found.data.url ?? found.data.path}
        </a>{" "}
        <a className="link small" href={picture} download={`${id}.svg`}>
          {t("Save the picture")}
        </a>
      </div>
    </div>
  );
}

function Edit({ station, close }: { station: Station; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const queries = useQueryClient();
  const [name, setName] = useState(station.name ?? "");
  const [place, setPlace] = useState(station.location_id);
  const [profile, setProfile] = useState(station.security_profile);
  const [fresh, setFresh] = useState("");
  async function submit() {
    const done = await deed(t("Change the station"), async () => {
      let location_id = place;
      if (fresh.trim()) location_id = (await asked(api.POST("/api/v1/locations", { body: { name: fresh.trim() } }))).id;
      return asked(
        api.PATCH("/api/v1/stations/{station_id}", {
          params: { path: { station_id: station.id } },
          body: { name: name.trim() || null, location_id, security_profile: profile },
        }),
      );
    }, ["stations", "locations"]);
    if (done === undefined) return undefined;
    void queries.invalidateQueries({ queryKey: ["stations"] });
    await fleet.load();
    return done;
  }
  return (
    <Sheet title={t("Change the station")} yes={t("Set")} close={close} submit={submit}>
      <TextInput
        label={t("Name")}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <LocationField value={place} set={setPlace} />
      <TextInput
        label={t("or a new location")}
        value={fresh}
        onChange={(event) => setFresh(event.currentTarget.value)}
      />
      <SecurityProfileField value={profile} set={setProfile} />
    </Sheet>
  );
}
