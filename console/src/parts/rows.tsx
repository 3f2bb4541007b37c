import { Fragment, type ReactNode } from "react";
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
  below,
}: {
  items: readonly T[];
  columns: readonly (Column<T> | null)[];
  by: (item: T) => string | number;
  /** What stands below a row, over its whole width. */
  below?: (item: T) => ReactNode;
}) {
  const { t } = useText();
  const shown = columns.filter((one) => one !== null);
  return (
    <table className="plain stack">
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
        {items.map((item) => {
          const more = below?.(item);
          return (
            <Fragment key={by(item)}>
              <tr>
                {shown.map((one, index) => (
                  <td
                    key={one.name ?? `unnamed ${index}`}
                    className={one.num || one.name === null ? "num" : "wrap"}
                    data-label={one.name === null ? undefined : t(one.name)}
                  >
                    {one.cell(item)}
                  </td>
                ))}
              </tr>
              {more && (
                <tr>
                  <td colSpan={shown.length}>{more}</td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </table>
  );
}
