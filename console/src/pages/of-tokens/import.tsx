import { FileInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, asked, type Schemas } from "../../api/client";
import { useText } from "../../i18n/text";
import { readCsv } from "../../parts/csv";
import { useForEach } from "../../parts/outcome";
import { Sheet } from "../../parts/sheet";

/** The names that the command line takes for the same columns, see `forecourt tokens import`. */
const COLUMNS = {
  value: ["value", "id_tag", "idtag", "token", "uid"],
  expires_at: ["expires_at", "expiry_date", "expiry"],
  group: ["group", "parent_id_tag", "parent"],
  note: ["note", "description", "name"],
  standing: ["standing", "status"],
} as const;
const STANDINGS: readonly Schemas["AuthorizationStatus"][] = ["Accepted", "Blocked", "NoCredit", "Invalid", "Expired"];

interface Entry {
  value: string;
  body: { standing: Schemas["AuthorizationStatus"]; expires_at?: string; group?: string; note?: string };
}

/** The tokens of a list, and the numbers of lines that can't be. */
function entriesOf(text: string): { entries: Entry[]; wrong: number[] } {
  const entries: Entry[] = [];
  const wrong: number[] = [];
  readCsv(text).forEach((line, index) => {
    const cell = (field: keyof typeof COLUMNS) => COLUMNS[field].map((name) => line[name]).find((one) => one) ?? "";
    const standing = STANDINGS.find((one) => one === (cell("standing") || "Accepted"));
    // A time without a zone is UTC, as on the command line.
    const expiry = cell("expires_at");
    const expires =
      expiry === "" ? null : new Date(/(Z|[+-]\d\d:?\d\d)$/.test(expiry) ? expiry : `${expiry.replace(" ", "T")}Z`);
    if (cell("value") === "" || standing === undefined || (expires !== null && Number.isNaN(expires.getTime()))) {
      wrong.push(index + 2);
      return;
    }
    entries.push({
      value: cell("value"),
      body: {
        standing,
        ...(expires !== null && { expires_at: expires.toISOString() }),
        ...(cell("group") && { group: cell("group") }),
        ...(cell("note") && { note: cell("note") }),
      },
    });
  });
  return { entries, wrong };
}

/** Tokens from a list; nothing is entered before all of its lines could be read. */
export function ImportTokens({ close }: { close: () => void }) {
  const { t } = useText();
  const each = useForEach();
  const queries = useQueryClient();
  const [found, setFound] = useState<ReturnType<typeof entriesOf> | null>(null);
  const bodies = new Map(found?.entries.map((one) => [one.value, one.body]));
  const wrong = found?.wrong ?? [];
  return (
    <Sheet
      title={t("Tokens from a list")}
      yes={t("Enter them")}
      close={close}
      submit={async () => {
        if (bodies.size === 0 || wrong.length > 0) return undefined;
        const done = await each(t("Tokens from a list"), [...bodies.keys()], (value) =>
          asked(api.PUT("/api/v1/tokens/{value}", { params: { path: { value } }, body: bodies.get(value)! })),
        );
        void queries.invalidateQueries({ queryKey: ["tokens"] });
        return done || undefined;
      }}
    >
      <FileInput
        label={t("File (CSV)")}
        description={t("Columns by name: value, and where you like expires_at, group, note, standing.")}
        accept=".csv,text/csv"
        onChange={(file) => void file?.text().then((text) => setFound(entriesOf(text)))}
        error={
          wrong.length > 0
            ? t("Lines {lines} can't be: look at value, standing and time.", { lines: wrong.slice(0, 8).join(", ") })
            : found !== null && bodies.size === 0 && t("There is no token in it: is there a column named value?")
        }
      />
      {bodies.size > 0 && wrong.length === 0 && (
        <p className="small">
          {t("{n} tokens are entered; those that are there already are replaced.", { n: bodies.size })}
        </p>
      )}
    </Sheet>
  );
}
