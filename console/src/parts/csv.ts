const QUOTE = "\u0022";

/** The lines of a CSV (RFC 4180) by the names of its columns, in small letters; commas or semicolons. */
export function readCsv(text: string): Record<string, string>[] {
  const clean = text.replace(/^\uFEFF/, "");
  const [first = ""] = clean.split(/\r?\n/, 1);
  const between = first.split(";").length > first.split(",").length ? ";" : ",";
  const rows: string[][] = [[]];
  let cell = "";
  let quoted = false;
  const end = () => {
    rows.at(-1)!.push(cell.trim());
    cell = "";
  };
  for (let at = 0; at < clean.length; at++) {
    const sign = clean[at]!;
    if (quoted) {
      if (sign !== QUOTE) cell += sign;
      else if (clean[at + 1] === QUOTE) cell += clean[at++];
      else quoted = false;
    } else if (sign === QUOTE) quoted = true;
    else if (sign === between) end();
    else if (sign === "\n") {
      end();
      rows.push([]);
    } else cell += sign;
  }
  end();
  const [head = [], ...lines] = rows.filter((row) => row.some((one) => one !== ""));
  const names = head.map((one) => one.toLowerCase());
  return lines.map((line) => Object.fromEntries(names.map((name, index) => [name, line[index] ?? ""])));
}
