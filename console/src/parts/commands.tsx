import { IconChevronRight } from "@tabler/icons-react";
import { useState } from "react";
import { api, asked } from "../api/client";
import { useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { Empty } from "./basics";
import { Pages, usePages } from "./more";
import { type Command, CommandState, saying } from "./outcome";
import { Rows } from "./rows";
import { StationLink } from "./station-choice";

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
        <Rows
          items={items}
          by={(one) => one.id}
          below={(one) => opened === one.id && <Details of={one} />}
          columns={[
            { name: "Time", cell: (one) => format.dateTime(one.created_at) },
            stationId === undefined
              ? { name: "Station", cell: (one) => <StationLink id={one.station_id} part="commands" /> }
              : null,
            {
              name: "Command",
              cell: (one) => (
                <button
                  type="button"
                  className="disclose"
                  aria-expanded={opened === one.id}
                  onClick={() => open(opened === one.id ? null : one.id)}
                >
                  <IconChevronRight size={14} aria-hidden className={opened === one.id ? "turned" : undefined} />
                  <b>{one.name}</b>
                </button>
              ),
            },
            { name: "Outcome", cell: (one) => <CommandState of={one} /> },
            { name: "In the station's words", cell: (one) => saying(one) || "–" },
            { name: "By", cell: (one) => (one.origin === "api" ? t("somebody") : t("the CSMS")) },
          ]}
        />
      )}
    </Pages>
  );
}

function Details({ of: one }: { of: Command }) {
  const { t } = useText();
  return (
    <>
      <span className="small faint">{t("What was sent")}</span>
      <pre className="frame">{JSON.stringify(one.payload ?? one.request, null, 2)}</pre>
      {one.answer !== null && (
        <>
          <span className="small faint">{t("The answer")}</span>
          <pre className="frame">{JSON.stringify(one.answer, null, 2)}</pre>
        </>
      )}
    </>
  );
}
