import { Button, Menu, Select } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { useNavigate } from "react-router";
import { api, asked } from "../../api/client";
import { useText } from "../../i18n/text";
import { fleet } from "../../live/fleet";
import { AskMany } from "../../parts/batches";
import { useForEach, useQuestion } from "../../parts/outcome";
import { Sheet } from "../../parts/sheet";
import { Update } from "../jobs";
import { useLocations } from "../overview";

/** What can be done with the stations that were chosen. */
export function WithChosen({ ids, forget }: { ids: readonly string[]; forget: () => void }) {
  const { t } = useText();
  const go = useNavigate();
  const each = useForEach();
  const [question, ask] = useQuestion();
  const [form, open] = useState<"ask" | "firmware" | "location" | null>(null);
  const waiting = ids.filter((id) => fleet.entry(id)?.station.registration !== "Accepted");
  const change = (
    what: string,
    some: readonly string[],
    body: { location_id?: number | null; registration?: "Accepted" },
  ) =>
    each(what, some, (id) =>
      asked(api.PATCH("/api/v1/stations/{station_id}", { params: { path: { station_id: id } }, body })),
    ).then(() => fleet.load());
  return (
    <section className="strip chosen" aria-label={t("With those that are chosen")}>
      {question}
      <b>{t("{n} chosen", { n: ids.length })}</b>
      <Button size="xs" variant="default" onClick={() => open("ask")}>
        {t("Ask them")}
      </Button>
      <Button size="xs" variant="default" onClick={() => open("firmware")}>
        {t("Update firmware")}
      </Button>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button size="xs" variant="default" rightSection={<IconChevronDown size={14} aria-hidden />}>
            {t("In the books")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => open("location")}>{t("Set their location")}</Menu.Item>
          <Menu.Item
            disabled={waiting.length === 0}
            onClick={() =>
              ask({
                title: t("Let them in"),
                what: t("{n} stations that wait are told that they are accepted: drivers can charge there.", {
                  n: waiting.length,
                }),
                yes: t("Let them in"),
                deed: () => change(t("Let them in"), waiting, { registration: "Accepted" }),
              })
            }
          >
            {t("Let them in")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Button size="xs" variant="subtle" onClick={forget}>
        {t("Choose none")}
      </Button>
      {form === "ask" && <AskMany at={ids} close={() => open(null)} done={() => go("/commands?tab=batches")} />}
      {form === "firmware" && <Update stations={ids} close={() => open(null)} />}
      {form === "location" && (
        <Place close={() => open(null)} set={(location_id) => change(t("Set their location"), ids, { location_id })}>
          <p className="small">
            {t("{n} stations stand there from now on, with its tariff and for its users.", { n: ids.length })}
          </p>
        </Place>
      )}
    </section>
  );
}

function Place({
  close,
  set,
  children,
}: {
  close: () => void;
  set: (id: number | null) => Promise<unknown>;
  children: ReactNode;
}) {
  const { t } = useText();
  const locations = useLocations();
  const [location, setLocation] = useState<string | null>(null);
  return (
    <Sheet
      title={t("Set their location")}
      yes={t("Set")}
      close={close}
      submit={() => set(location === null ? null : Number(location)).then(() => true)}
    >
      {children}
      <Select
        label={t("Location")}
        description={t("None chosen: they stand nowhere.")}
        clearable
        searchable
        data={[...locations].map(([id, name]) => ({ value: String(id), label: name }))}
        value={location}
        onChange={setLocation}
      />
    </Sheet>
  );
}
