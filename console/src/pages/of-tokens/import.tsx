import { FileInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, asked, Refusal, type Schemas } from "../../api/client";
import { useText } from "../../i18n/text";
import { useTrouble } from "../../parts/basics";
import { useDeed } from "../../parts/outcome";
import { Sheet } from "../../parts/sheet";

/** A list, and what the server says of it before anything is entered. */
interface Looked {
  csv: string;
  found: Schemas["ImportResource"] | null;
  wrong: readonly Schemas["FieldError"][];
}

function imported(csv: string, dry_run: boolean) {
  return asked(api.POST("/api/v1/imports/tokens", { body: { csv, dry_run } }));
}

async function lookedAt(csv: string): Promise<Looked> {
  try {
    return { csv, found: await imported(csv, true), wrong: [] };
  } catch (error) {
    if (error instanceof Refusal && error.problem.errors?.length)
      return { csv, found: null, wrong: error.problem.errors };
    throw error;
  }
}

/** Tokens from a list; nothing is entered before all of its lines could be read. */
export function ImportTokens({ close }: { close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const queries = useQueryClient();
  const [looked, setLooked] = useState<Looked | null>(null);
  const trouble = useTrouble();
  const [failed, setFailed] = useState<string | null>(null);
  async function look(file: File | null) {
    setLooked(null);
    setFailed(null);
    if (file === null) return;
    try {
      setLooked(await lookedAt(await file.text()));
    } catch (error) {
      const { title, advice } = trouble(error);
      setFailed(`${title}: ${advice}`);
    }
  }
  async function submit() {
    if (looked === null || looked.found === null) return undefined;
    const done = await deed(t("Tokens from a list"), () => imported(looked.csv, false));
    void queries.invalidateQueries({ queryKey: ["tokens"] });
    return done;
  }
  const found = looked?.found ?? null;
  return (
    <Sheet title={t("Tokens from a list")} yes={t("Enter them")} close={close} submit={submit}>
      <FileInput
        label={t("File (CSV)")}
        description={t("Columns by name: value, and where you like expires_at, group, note, standing.")}
        accept=".csv,text/csv"
        onChange={(file) => void look(file)}
        error={failed ?? (looked?.wrong.length ? t("Nothing is entered before this is mended:") : null)}
      />
      {looked !== null && looked.wrong.length > 0 && (
        <ul className="small">
          {looked.wrong.slice(0, 8).map((one) => (
            <li key={`${one.field} ${one.message}`}>
              {one.field} {one.message}
            </li>
          ))}
          {looked.wrong.length > 8 && <li>{t("and {n} more", { n: looked.wrong.length - 8 })}</li>}
        </ul>
      )}
      {found !== null && (
        <p className="small">
          {found.entered === 0
            ? t("There is no token in it.")
            : t("{n} tokens are entered, {m} of them replaced.", { n: found.entered, m: found.known.length })}
        </p>
      )}
    </Sheet>
  );
}
