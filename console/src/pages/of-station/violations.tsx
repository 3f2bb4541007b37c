import { api, asked } from "../../api/client";
import { useFormat } from "../../i18n/format";
import { useText } from "../../i18n/text";
import { Empty } from "../../parts/basics";
import { Pages, usePages } from "../../parts/more";

export default function Violations({ id }: { id: string }) {
  const { t } = useText();
  const format = useFormat();
  const found = usePages(["violations", id], (cursor) =>
    asked(
      api.GET("/api/v1/stations/{station_id}/violations", {
        params: { path: { station_id: id }, query: { cursor, limit: 50 } },
      }),
    ),
  );
  return (
    <section className="card">
      <Pages
        of={found}
        none={
          <Empty good title={t("None")}>
            {t("All its messages were as the standard has them.")}
          </Empty>
        }
      >
        {(items) => (
          <table className="plain">
            <thead>
              <tr>
                <th>{t("Time")}</th>
                <th>{t("Action")}</th>
                <th>{t("What was wrong")}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <tr key={one.id}>
                  <td className="faint">{format.dateTime(one.at)}</td>
                  <td>{one.action}</td>
                  <td>{one.description}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Pages>
    </section>
  );
}
