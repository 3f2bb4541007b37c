import { credentials, Refusal } from "../api/client";

function give(content: Blob, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** What is on the screen, as CSV (RFC 4180); a text that a spreadsheet would take for a formula has an apostrophe. */
export async function saveRows(
  name: string,
  fields: string[],
  data: readonly (readonly (string | number | null | undefined)[])[],
) {
  const { unparse } = await import("papaparse");
  const text = unparse({ fields, data: [...data] }, { escapeFormulae: true });
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
