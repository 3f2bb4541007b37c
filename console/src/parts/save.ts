import { credentials, Refusal } from "../api/client";

/** What a spreadsheet would take for a formula. */
const FORMULA = /^[=+\-@\t\r]/;

function cellOf(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function give(content: Blob, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** What is on the screen, as CSV (RFC 4180). */
export function saveRows(
  name: string,
  head: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
) {
  const text = [head, ...rows].map((row) => row.map(cellOf).join(",")).join("\r\n");
  give(new Blob([`${text}\r\n`], { type: "text/csv;charset=utf-8" }), name);
}

/** One of the server's exports, by what is filtered. */
export async function saveExport(name: string, query: Record<string, string | undefined>) {
  const wanted = new URLSearchParams(
    Object.entries(query).filter((one): one is [string, string] => one[1] !== undefined),
  );
  const answer = await fetch(`/api/v1/exports/${name}?${wanted}`, { headers: credentials.headers });
  if (answer.status === 401) credentials.lost();
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => ({})));
  give(await answer.blob(), name);
}
