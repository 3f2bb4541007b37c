import { TextInput } from "@mantine/core";
import { useState } from "react";
import { useNavigate } from "react-router";
import { api, asked } from "../../api/client";
import { useText } from "../../i18n/text";
import { fleet } from "../../live/fleet";
import { useDeed } from "../../parts/outcome";
import { Sheet } from "../../parts/sheet";
import { LocationField, SecurityProfileField } from "../of-station/fields";

/** A station that shall connect. */
export function Enter({ close }: { close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const go = useNavigate();
  const [id, setId] = useState("");
  const [name, setName] = useState("");
  const [location, setLocation] = useState<number | null>(null);
  const [profile, setProfile] = useState(1);
  async function submit() {
    const made = await deed(t("Enter a station"), () =>
      asked(
        api.POST("/api/v1/stations", {
          body: {
            id: id.trim(),
            name: name.trim() || null,
            location_id: location,
            security_profile: profile,
            registration: "Accepted",
          },
        }),
      ),
    );
    if (made === undefined) return undefined;
    await fleet.load();
    go(`/stations/${encodeURIComponent(made.id)}`);
    return made;
  }
  return (
    <Sheet title={t("Enter a station")} yes={t("Enter")} close={close} submit={submit}>
      <TextInput
        label={t("Identity")}
        description={t("The last part of the address that it connects to.")}
        value={id}
        onChange={(event) => setId(event.currentTarget.value)}
        required
        data-autofocus
      />
      <TextInput label={t("Name")} value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <LocationField value={location} set={setLocation} />
      <SecurityProfileField value={profile} set={setProfile} />
    </Sheet>
  );
}
