import { Button, Menu, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconDownload } from "@tabler/icons-react";
import { useMemo } from "react";
import { type Text, useText } from "../i18n/text";
import { useFleet } from "../live/fleet";
import { PageHead } from "../parts/basics";
import { Between, instantOf, useFilters, Views } from "../parts/filters";
import { useDeed } from "../parts/outcome";
import { saveExport } from "../parts/save";
import { type TransactionQuery, TransactionTable } from "../parts/transaction-table";

export default function TransactionsPage() {
  const { t } = useText();
  const deed = useDeed();
  const ids = useFleet((all) => all.ids);
  const [filters, filter] = useFilters("token", "station", "state", "since", "until");
  const { station, state } = filters;
  const [token] = useDebouncedValue(filters.token.trim(), 300);
  const since = instantOf(filters.since);
  const until = instantOf(filters.until);
  const query = useMemo<TransactionQuery>(
    () => ({
      ...(station && { station_id: station }),
      ...(token && { id_token: token }),
      ...(state === "orphan" ? { orphan: true } : state && { state: state as "active" }),
      ...(since && { started_from: since }),
      ...(until && { started_to: until }),
    }),
    [station, token, state, since, until],
  );
  const save = (what: Text, name: string, period: "started" | "created") =>
    deed(t(what), () =>
      saveExport(name, {
        station_id: station || undefined,
        id_token: token || undefined,
        [`${period}_from`]: since,
        [`${period}_to`]: until,
      }),
    );
  return (
    <>
      <PageHead title={t("Transactions")}>
        <Menu position="bottom-end" width={260}>
          <Menu.Target>
            <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />}>
              {t("Save as CSV")}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>{t("By station, token and time as filtered")}</Menu.Label>
            <Menu.Item onClick={() => save("Transactions", "transactions.csv", "started")}>
              {t("Transactions")}
            </Menu.Item>
            <Menu.Item onClick={() => save("Bills", "cdrs.csv", "created")}>{t("Bills")}</Menu.Item>
            <Menu.Item onClick={() => save("Meter readings", "meter-values.csv", "started")}>
              {t("Meter readings")}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </PageHead>
      <section className="card">
        <div className="strip controls">
          <Select
            size="xs"
            searchable
            clearable
            aria-label={t("Station")}
            placeholder={t("all stations")}
            data={[...ids]}
            value={station || null}
            onChange={(value) => filter({ station: value ?? "" })}
            limit={50}
          />
          <TextInput
            size="xs"
            aria-label={t("Token")}
            placeholder={t("Token, exactly")}
            value={filters.token}
            onChange={(event) => filter({ token: event.currentTarget.value })}
          />
          <Select
            size="xs"
            clearable
            aria-label={t("State")}
            placeholder={t("any state")}
            data={[
              { value: "active", label: t("running") },
              { value: "ended", label: t("ended") },
              { value: "closed", label: t("closed by us") },
              { value: "orphan", label: t("start missing") },
            ]}
            value={state || null}
            onChange={(value) => filter({ state: value ?? "" })}
          />
          <Between filters={filters} filter={filter} />
          <Views />
        </div>
        <TransactionTable query={query} />
      </section>
    </>
  );
}
