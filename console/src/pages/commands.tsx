import { Button, Tabs } from "@mantine/core";
import { useState } from "react";
import { useText } from "../i18n/text";
import { PageHead } from "../parts/basics";
import { AskMany, Batches } from "../parts/batches";
import { Commands } from "../parts/commands";
import { useFilters } from "../parts/filters";
import { useViewer } from "../session";

export default function CommandsPage() {
  const { t } = useText();
  const viewer = useViewer();
  const [filters, filter] = useFilters("tab");
  const [asking, ask] = useState(false);
  return (
    <>
      <PageHead title={t("Commands")} lead={t("What was asked of stations, and what came of it")}>
        {viewer.may("write") && <Button onClick={() => ask(true)}>{t("Ask many stations")}</Button>}
      </PageHead>
      <Tabs value={filters.tab || "each"} onChange={(tab) => filter({ tab: tab ?? "" })} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="each">{t("One by one")}</Tabs.Tab>
          <Tabs.Tab value="batches">{t("Many at once")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="each" pt="sm">
          <section className="card">
            <Commands />
          </section>
        </Tabs.Panel>
        <Tabs.Panel value="batches" pt="sm">
          <section className="card">
            <Batches />
          </section>
        </Tabs.Panel>
      </Tabs>
      {asking && <AskMany close={() => ask(false)} done={() => filter({ tab: "batches" })} />}
    </>
  );
}
