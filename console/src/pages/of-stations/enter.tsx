import { Button, Group, Modal, NumberInput, Select, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router";
import { api, asked } from "../../api/client";
import { useText } from "../../i18n/text";
import { fleet } from "../../live/fleet";
import { useDeed } from "../../parts/outcome";
import { useLocations } from "../overview";

/** A station that shall connect. */
export function Enter({ opened, close }: { opened: boolean; close: () => void }) {
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
