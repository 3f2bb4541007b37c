import { Select } from "@mantine/core";
import { Link } from "react-router";
import { useText } from "../i18n/text";
import { useFleet } from "../live/fleet";

export function StationChoice({
  value,
  choose,
  required,
}: {
  value: string | null;
  choose: (id: string | null) => void;
  required?: boolean;
}) {
  const { t } = useText();
  const ids = useFleet((all) => all.ids);
  return (
    <Select
      label={t("Station")}
      searchable
      limit={50}
      data={[...ids]}
      value={value}
      onChange={choose}
      required={required ?? false}
    />
  );
}

export function StationLink({ id, part }: { id: string | null | undefined; part?: string }) {
  if (!id) return "–";
  return (
    <Link className="link" to={`/stations/${encodeURIComponent(id)}${part ? `/${part}` : ""}`}>
      {id}
    </Link>
  );
}
