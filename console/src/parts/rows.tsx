import type { ReactNode } from "react";
import { type Text, useText } from "../i18n/text";

export interface Column<T> {
  name: Text | null;
  cell: (item: T) => ReactNode;
  num?: boolean;
}

/** A table by its columns. */
export function Rows<T>({
  items,
  columns,
  by,
}: {
  items: readonly T[];
  columns: readonly (Column<T> | null)[];
  by: (item: T) => string | number;
}) {
  const { t } = useText();
  const shown = columns.filter((one) => one !== null);
  return (
    <table className="plain">
      <thead>
        <tr>
          {shown.map((one, index) => (
            <th key={one.name ?? `unnamed ${index}`} className={one.num ? "num" : undefined}>
              {one.name === null ? <span className="away">{t("Actions")}</span> : t(one.name)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={by(item)}>
            {shown.map((one, index) => (
              <td key={one.name ?? `unnamed ${index}`} className={one.num || one.name === null ? "num" : "wrap"}>
                {one.cell(item)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
