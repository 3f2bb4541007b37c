import { Button, Code, Menu, Select, Stack, TextInput } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";
import { useNavigate } from "react-router";
import { api, asked } from "../../api/client";
import { useText } from "../../i18n/text";
import { Dialog } from "../../parts/dialog";
import { useDeed, useQuestion } from "../../parts/outcome";
import { Sheet } from "../../parts/sheet";
import type { Site } from "../../parts/single-line";
import { useLocations } from "../overview";

/** What an administrator does with a site as it stands in the books. */
export function SiteActions({ site }: { site: Site }) {
  const { t } = useText();
  const deed = useDeed();
  const go = useNavigate();
  const [question, ask] = useQuestion();
  const [editing, edit] = useState(false);
  const [key, setKey] = useState<string | null>(null);
  const path = { params: { path: { site_id: site.id } } };
  const renew = () =>
    ask({
      title: t("A new key"),
      what: t("The key of before is over at once: until its controller has the new one, {name} is not linked.", {
        name: site.name,
      }),
      yes: t("A new key"),
      danger: true,
      deed: async () => {
        const made = await deed(t("A new key"), () => asked(api.POST("/api/v1/sites/{site_id}/key", path)), ["sites"]);
        if (made !== undefined) setKey(made.key);
      },
    });
  const remove = () =>
    ask({
      title: t("Remove {name}", { name: site.name }),
      what: t("Its history, alarms and key are forgotten. The controller and its stations run on."),
      yes: t("Remove"),
      danger: true,
      deed: async () => {
        const done = await deed(t("Remove {name}", { name: site.name }), async () => {
          await asked(api.DELETE("/api/v1/sites/{site_id}", path));
          return true;
        }, ["sites"]);
        if (done) go("/sites");
      },
    });
  return (
    <>
      {question}
      <Menu position="bottom-end" width={220}>
        <Menu.Target>
          <Button variant="default" rightSection={<IconChevronDown size={16} aria-hidden />}>
            {t("More")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => edit(true)}>{t("Change")}</Menu.Item>
          <Menu.Item onClick={renew}>{t("A new key")}</Menu.Item>
          <Menu.Item color="red" onClick={remove}>
            {t("Remove")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {editing && <Edit site={site} close={() => edit(false)} />}
      {key !== null && (
        <Dialog close={() => setKey(null)} title={t("A new key")}>
          <Stack>
            <p>{t("Give this key to the site's controller, as [site_link] key. It is shown this once.")}</p>
            <Code block>{key}</Code>
          </Stack>
        </Dialog>
      )}
    </>
  );
}

function Edit({ site, close }: { site: Site; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const locations = useLocations();
  const [name, setName] = useState(site.name);
  const [place, setPlace] = useState<string | null>(site.location_id === null ? null : String(site.location_id));
  const title = t("Change {name}", { name: site.name });
  return (
    <Sheet
      title={title}
      yes={t("Save")}
      close={close}
      submit={() =>
        deed(
          title,
          () =>
            asked(
              api.PUT("/api/v1/sites/{site_id}", {
                params: { path: { site_id: site.id } },
                body: { name: name.trim(), location_id: place === null ? null : Number(place) },
              }),
            ),
          ["sites"],
        )
      }
    >
      <TextInput
        label={t("Name")}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        required
        data-autofocus
      />
      <Select
        label={t("Location")}
        description={t("Its time zone is shown on the site's page.")}
        clearable
        data={[...locations].map(([id, label]) => ({ value: String(id), label }))}
        value={place}
        onChange={setPlace}
      />
    </Sheet>
  );
}
