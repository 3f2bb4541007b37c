import { Group, NumberInput, Select, TextInput } from "@mantine/core";
import { useState } from "react";
import { api, asked, type Schemas } from "../../api/client";
import { type Text, useText } from "../../i18n/text";
import { useDeed } from "../../parts/outcome";
import { Sheet } from "../../parts/sheet";
import { isIdle, type Site, type SiteEvse, type SiteNode } from "../../parts/single-line";

export type Mode = Schemas["EvseModeBody"]["mode"];

export const MODES: Record<Mode, Text> = {
  fast: "As fast as can be",
  "min+pv": "At least its minimum, more from the sun",
  pv: "From the sun only",
  off: "Switched off",
};

/** A limit by hand for a circuit, or for the grid connection. */
export function LimitNode({ site, node, close }: { site: Site; node: SiteNode; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [current, setCurrent] = useState<string | number>("");
  const [hours, setHours] = useState<string | number>("");
  const title = t("Limit {name}", { name: node.name });
  const ends =
    hours === "" || current === ""
      ? null
      : new Date((site.at === null ? Date.now() : Date.parse(site.at)) + Number(hours) * 3_600_000).toISOString();
  const send = () =>
    deed(
      title,
      () =>
        asked(
          api.PUT("/api/v1/sites/{site_id}/nodes/{node}/limit", {
            params: { path: { site_id: site.id, node: node.name } },
            body: { current_a: numberOf(current), ends },
          }),
        ),
      ["sites"],
    );
  return (
    <Sheet title={title} close={close} yes={t("Set")} submit={send}>
      <p className="small">
        {t("Cars below {name} draw less at once where more flows than the limit; it never makes a fuse larger.", {
          name: node.name,
        })}
      </p>
      <NumberInput
        label={t("Ampere per phase, empty: no limit by hand")}
        min={0}
        max={Math.max(...node.rating_a)}
        value={current}
        onChange={setCurrent}
        data-autofocus
      />
      <NumberInput
        label={t("For how many hours, empty: until it is taken back")}
        min={0.1}
        max={8760}
        value={hours}
        onChange={setHours}
        disabled={current === ""}
      />
    </Sheet>
  );
}

/** How an EVSE charges, at most how much, who goes first, and what the car there wants. Only what changed is asked. */
export function SteerEvse({ site, evse, close }: { site: Site; evse: SiteEvse; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [current, setCurrent] = useState<string | number>(evse.by_hand_a ?? "");
  const [mode, setMode] = useState<Mode>((evse.mode ?? "fast") as Mode);
  const [priority, setPriority] = useState<string | number>(evse.priority);
  const [departs, setDeparts] = useState(evse.departs_at === null ? "" : wallClock(evse.departs_at));
  const [energy, setEnergy] = useState<string | number>("");
  const title = t("Change {name}", { name: evse.evse });
  const path = { site_id: site.id, station_id: evse.station_id, evse_id: evse.evse_id };
  const wished = energy !== "" || departs !== (evse.departs_at === null ? "" : wallClock(evse.departs_at));
  const send = () =>
    deed(title, async () => {
      const params = { path };
      if (mode !== (evse.mode ?? "fast"))
        await asked(api.PUT("/api/v1/sites/{site_id}/evses/{station_id}/{evse_id}/mode", { params, body: { mode } }));
      if (numberOf(priority) !== evse.priority)
        await asked(
          api.PUT("/api/v1/sites/{site_id}/evses/{station_id}/{evse_id}/priority", {
            params,
            body: { priority: numberOf(priority) },
          }),
        );
      if (wished)
        await asked(
          api.PUT("/api/v1/sites/{site_id}/evses/{station_id}/{evse_id}/wish", {
            params,
            body: {
              departs_at: departs === "" ? null : new Date(departs).toISOString(),
              energy_wh: energy === "" ? null : Number(energy) * 1000,
            },
          }),
        );
      if (numberOf(current) !== evse.by_hand_a)
        await asked(
          api.PUT("/api/v1/sites/{site_id}/evses/{station_id}/{evse_id}/limit", {
            params,
            body: { current_a: numberOf(current) },
          }),
        );
      return true;
    }, ["sites"]);
  return (
    <Sheet title={title} close={close} yes={t("Set")} submit={send}>
      <Select
        label={t("How it charges")}
        data={Object.entries(MODES).map(([value, word]) => ({ value, label: t(word) }))}
        value={mode}
        onChange={(value) => value !== null && setMode(value as Mode)}
        allowDeselect={false}
        data-autofocus
      />
      <Group grow align="end">
        <NumberInput
          label={t("Ampere per phase, empty: no limit by hand")}
          min={0}
          max={evse.maximum_a}
          value={current}
          onChange={setCurrent}
        />
        <NumberInput
          label={t("Priority, empty: as in the site's file")}
          allowDecimal={false}
          min={-1000}
          max={1000}
          value={priority}
          onChange={setPriority}
        />
      </Group>
      <fieldset className="steps" disabled={isIdle(evse)}>
        <legend>{t("What the car there wants")}</legend>
        {isIdle(evse) && <p className="small faint">{t("No car is plugged in")}</p>}
        <Group grow align="end" w="100%">
          <TextInput
            type="datetime-local"
            label={t("Leaves at")}
            value={departs}
            onChange={(event) => setDeparts(event.currentTarget.value)}
          />
          <NumberInput
            label={t("Energy in all (kWh)")}
            min={0.1}
            max={500}
            value={energy}
            onChange={setEnergy}
            placeholder={evse.remaining_wh === null ? "" : t("still {energy}", { energy: kWh(evse.remaining_wh) })}
          />
        </Group>
      </fieldset>
    </Sheet>
  );
}

function kWh(wattHours: number): string {
  return `${(wattHours / 1000).toFixed(1)} kWh`;
}

function numberOf(entered: string | number): number | null {
  return entered === "" ? null : Number(entered);
}

/** As an input of type datetime-local wants it: in the viewer's zone. */
function wallClock(instant: string): string {
  const at = new Date(Math.round(Date.parse(instant) / 60_000) * 60_000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
