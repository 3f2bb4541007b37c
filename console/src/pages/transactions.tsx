import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconDownload } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import { credentials } from "../api/client";
import { useText } from "../i18n/text";
import { useFleet } from "../live/fleet";
import { PageHead } from "../parts/basics";
import { useDeed } from "../parts/outcome";
import { type TransactionQuery, TransactionTable } from "../parts/transaction-table";

export default function TransactionsPage() {
  const { t } = useText();
  const deed = useDeed();
  const ids = useFleet((all) => all.ids);
  const [search] = useSearchParams();
  const [token, setToken] = useState(search.get("token") ?? "");
  const [station, setStation] = useState<string | null>(null);
  const [state, setState] = useState<string | null>(null);
  const [from, setFrom] = useState("");
  const [asking] = useDebouncedValue(token.trim(), 300);
  const query = useMemo<TransactionQuery>(
    () => ({
      ...(station !== null && { station_id: station }),
      ...(asking && { id_token: asking }),
      ...(state === "suspect" ? { orphan: true } : state !== null && { state: state as "active" }),
      ...(from && { started_from: new Date(from).toISOString() }),
    }),
    [station, asking, state, from],
  );
  const save = () =>
    deed(t("Save as CSV"), async () => {
      const { station_id, id_token, started_from } = query;
      const wanted = new URLSearchParams(
        Object.entries({ station_id, id_token, started_from }).filter(
          (one): one is [string, string] => one[1] !== undefined,
        ),
      );
      const answer = await fetch(`/api/v1/exports/transactions.csv?${wanted}`, { headers: credentials.headers });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = "transactions.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  return (
    <>
      <PageHead title={t("Transactions")}>
        <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} onClick={save}>
          {t("Save as CSV")}
        </Button>
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
            value={station}
            onChange={setStation}
            limit={50}
          />
          <TextInput
            size="xs"
            aria-label={t("Token")}
            placeholder={t("Token, exactly")}
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
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
              { value: "suspect", label: t("start missing") },
            ]}
            value={state}
            onChange={setState}
          />
          <TextInput
            size="xs"
            type="datetime-local"
            aria-label={t("Started after")}
            title={t("Started after")}
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
          />
        </div>
        <TransactionTable query={query} />
      </section>
    </>
  );
}
