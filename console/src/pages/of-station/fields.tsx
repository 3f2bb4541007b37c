import { NumberInput, Select } from "@mantine/core";
import { useText } from "../../i18n/text";
import { useLocations } from "../overview";

/** Where a station stands. */
export function LocationField({ value, set }: { value: number | null; set: (location: number | null) => void }) {
  const { t } = useText();
  const locations = useLocations();
  return (
    <Select
      label={t("Location")}
      clearable
      data={[...locations].map(([key, label]) => ({ value: String(key), label }))}
      value={value === null ? null : String(value)}
      onChange={(key) => set(key === null ? null : Number(key))}
    />
  );
}

/** How a station shows who it is (security white paper). */
export function SecurityProfileField({ value, set }: { value: number; set: (profile: number) => void }) {
  const { t } = useText();
  return (
    <NumberInput
      label={t("Security profile")}
      description={t("0: nothing, 1: password, 2: password and TLS, 3: client certificate")}
      min={0}
      max={3}
      value={value}
      onChange={(profile) => set(Number(profile))}
    />
  );
}
