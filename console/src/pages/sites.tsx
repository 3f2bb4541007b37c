import { Button, Code, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "react-router";
import { api, asked } from "../api/client";
import { useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { Empty, PageHead, Pill } from "../parts/basics";
import { Pages, usePages } from "../parts/more";
import { useDeed } from "../parts/outcome";
import { Rows } from "../parts/rows";
import { Sheet } from "../parts/sheet";
import { useViewer } from "../session";

export default function SitesPage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const [entering, enter] = useState(false);
  const found = usePages(
    ["sites"],
    (cursor) => asked(api.GET("/api/v1/sites", { params: { query: { cursor, limit: 50 } } })),
    ["site.updated", "site.alarm"],
  );
  return (
    <>
      <PageHead title={t("Sites")} lead={t("{n} sites with a local controller", { n: found.items?.length ?? 0 })}>
        {viewer.may("admin") && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => enter(true)}>
            {t("Enter a site")}
          </Button>
        )}
      </PageHead>
      <section className="card">
        <Pages
          of={found}
          none={
            <Empty title={t("No site")}>
              {t("A site's controller tells of it over its site link. Enter a site, and give its controller the key.")}
            </Empty>
          }
        >
          {(items) => (
            <Rows
              items={items}
              by={(one) => one.id}
              columns={[
                {
                  name: "Site",
                  cell: (one) => (
                    <Link className="link" to={`/sites/${one.id}`}>
                      <b>{one.name}</b>
                    </Link>
                  ),
                },
                { name: "State", cell: (one) => <LinkMark connected={one.connected} /> },
                { name: "Power", cell: (one) => format.power(one.power_w) },
                { name: "Last heard", cell: (one) => format.dateTime(one.heard_at) },
              ]}
            />
          )}
        </Pages>
      </section>
      {entering && <Enter close={() => enter(false)} />}
    </>
  );
}

export function LinkMark({ connected }: { connected: boolean }) {
  const { t } = useText();
  return <Pill tone={connected ? "good" : "bad"}>{t(connected ? "Controller linked" : "Controller not linked")}</Pill>;
}

function Enter({ close }: { close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [name, setName] = useState("");
  const [key, setKey] = useState<string | null>(null);
  const enter = async () => {
    const made = await deed(t("Enter a site"), () => asked(api.POST("/api/v1/sites", { body: { name } })), ["sites"]);
    if (made !== undefined) setKey(made.key);
    return undefined;
  };
  if (key !== null)
    return (
      <Sheet title={t("Enter a site")} close={close} yes={t("Close")} submit={async () => true}>
        <p>{t("Give this key to the site's controller, as [site_link] key. It is shown this once.")}</p>
        <Code block>{key}</Code>
      </Sheet>
    );
  return (
    <Sheet title={t("Enter a site")} close={close} yes={t("Enter a site")} submit={enter}>
      <TextInput label={t("Name")} required value={name} onChange={(event) => setName(event.currentTarget.value)} />
    </Sheet>
  );
}
