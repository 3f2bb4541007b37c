import { IconChevronRight } from "@tabler/icons-react";
import { Fragment, useState } from "react";
import { Link } from "react-router";
import { api, asked } from "../api/client";
import { useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { Empty } from "./basics";
import { Pages, usePages } from "./more";
import { CommandState, saying } from "./outcome";

/** What was asked of stations, and what came of it. */
export function Commands({ stationId }: { stationId?: string }) {
  const { t } = useText();
  const format = useFormat();
  const [opened, open] = useState<string | null>(null);
  const found = usePages(
    ["commands", stationId ?? null],
    (cursor) => asked(api.GET("/api/v1/commands", { params: { query: { cursor, limit: 50, station_id: stationId } } })),
    ["command.updated"],
  );
  return (
    <Pages
      of={found}
      none={
        <Empty title={t("No command yet")}>{t("Whatever is asked of a station is kept here with its answer.")}</Empty>
      }
    >
      {(items) => (
        <table className="plain">
          <thead>
            <tr>
              <th>{t("Time")}</th>
              {stationId === undefined && <th>{t("Station")}</th>}
              <th>{t("Command")}</th>
              <th>{t("Outcome")}</th>
              <th>{t("In the station's words")}</th>
              <th>{t("By")}</th>
            </tr>
          </thead>
          <tbody>
            {items.map((one) => {
              const isOpen = opened === one.id;
              return (
                <Fragment key={one.id}>
                  <tr>
                    <td className="faint">{format.dateTime(one.created_at)}</td>
                    {stationId === undefined && (
                      <td>
                        <Link className="link" to={`/stations/${encodeURIComponent(one.station_id)}/commands`}>
                          {one.station_id}
                        </Link>
                      </td>
                    )}
                    <td>
                      <button
                        type="button"
                        className="disclose"
                        aria-expanded={isOpen}
                        onClick={() => open(isOpen ? null : one.id)}
                      >
                        <IconChevronRight size={14} aria-hidden className={isOpen ? "turned" : undefined} />
                        <b>{one.name}</b>
                      </button>
                    </td>
                    <td>
                      <CommandState of={one} />
                    </td>
                    <td className="wrap">{saying(one) || "–"}</td>
                    <td className="faint">{one.origin === "api" ? t("somebody") : t("the CSMS")}</td>
                  </tr>
                  {isOpen && (
                    <tr>
                      <td colSpan={stationId === undefined ? 6 : 5}>
                        <span className="small faint">{t("What was sent")}</span>
                        <pre className="frame">{JSON.stringify(one.payload ?? one.request, null, 2)}</pre>
                        {one.answer !== null && (
                          <>
                            <span className="small faint">{t("The answer")}</span>
                            <pre className="frame">{JSON.stringify(one.answer, null, 2)}</pre>
                          </>
                        )}
                      </td>
                    </tr>
                  )}
                </Fragment>
              );
            })}
          </tbody>
        </table>
      )}
    </Pages>
  );
}
