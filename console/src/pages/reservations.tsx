import { Button, NumberInput, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { serverNow } from "../live/clock";
import { Empty, PageHead, Pill, type Tone } from "../parts/basics";
import { Pages, usePages } from "../parts/more";
import { PATIENCE, useDeed, useQuestion } from "../parts/outcome";
import { Rows } from "../parts/rows";
import { Sheet } from "../parts/sheet";
import { StationChoice, StationLink } from "../parts/station-choice";
import { useViewer } from "../session";

type Reservation = Schemas["ReservationResource"];

const STATES: Record<Reservation["state"], { word: Text; tone: Tone }> = {
  requested: { word: "on its way", tone: "info" },
  accepted: { word: "reserved", tone: "good" },
  rejected: { word: "rejected", tone: "bad" },
  occupied: { word: "was occupied", tone: "warn" },
  faulted: { word: "was faulted", tone: "warn" },
  unavailable: { word: "was out of service", tone: "warn" },
  in_use: { word: "in use", tone: "good" },
  used: { word: "used", tone: "quiet" },
  expired: { word: "expired", tone: "quiet" },
  cancelled: { word: "cancelled", tone: "quiet" },
  replaced: { word: "replaced", tone: "quiet" },
  removed: { word: "taken away", tone: "quiet" },
  not_sent: { word: "never sent", tone: "warn" },
  unknown: { word: "no answer", tone: "warn" },
};

export default function ReservationsPage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const [making, make] = useState(false);
  const found = usePages(
    ["reservations"],
    (cursor) => asked(api.GET("/api/v1/reservations", { params: { query: { cursor, limit: 50 } } })),
    ["command.updated", "connector.status", "transaction.started"],
  );
  const cancel = (one: Reservation) =>
    ask({
      title: t("Cancel the reservation"),
      what: t("{station} is free for everybody again.", { station: one.station_id }),
      yes: t("Cancel it"),
      danger: true,
      deed: () =>
        deed(
          t("Cancel the reservation"),
          () =>
            asked(
              api.DELETE("/api/v1/reservations/{number}", {
                params: { path: { number: one.number }, header: PATIENCE },
              }),
            ),
          ["reservations"],
        ),
    });
  return (
    <>
      {question}
      <PageHead title={t("Reservations")} lead={t("Kept for a driver until they come")}>
        {viewer.may("write") && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => make(true)}>
            {t("Reserve")}
          </Button>
        )}
      </PageHead>
      <section className="card">
        <Pages
          of={found}
          none={
            <Empty title={t("No reservation")}>
              {t("Reserve a station for a token; drivers can do it on the station's own page.")}
            </Empty>
          }
        >
          {(items) => (
            <Rows
              items={items}
              by={(one) => one.number}
              columns={[
                { name: "Number", cell: (one) => one.reservation_id },
                {
                  name: "Station",
                  cell: (one) => (
                    <>
                      <StationLink id={one.station_id} />
                      {one.evse_id ? ` · ${one.evse_id}` : ""}
                    </>
                  ),
                },
                { name: "Token", cell: (one) => <span className="mono">{one.id_token}</span> },
                { name: "Until", cell: (one) => format.dateTime(one.expires_at) },
                {
                  name: "State",
                  cell: (one) => (
                    <>
                      <Pill tone={STATES[one.state].tone}>{t(STATES[one.state].word)}</Pill>{" "}
                      <span className="small faint">{one.detail}</span>
                    </>
                  ),
                },
                {
                  name: "Transaction",
                  cell: (one) =>
                    one.transaction_number === null ? (
                      "–"
                    ) : (
                      <Link className="link" to={`/transactions/${one.transaction_number}`}>
                        {one.transaction_number}
                      </Link>
                    ),
                },
                viewer.may("write")
                  ? {
                      name: null,
                      cell: (one) =>
                        one.state === "accepted" && (
                          <Button size="compact-xs" variant="subtle" color="red" onClick={() => cancel(one)}>
                            {t("Cancel it")}
                          </Button>
                        ),
                    }
                  : null,
              ]}
            />
          )}
        </Pages>
      </section>
      {making && <Make close={() => make(false)} />}
    </>
  );
}

function Make({ close }: { close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [station, setStation] = useState<string | null>(null);
  const [token, setToken] = useState("");
  const [evse, setEvse] = useState<number | null>(null);
  const [minutes, setMinutes] = useState(30);
  return (
    <Sheet
      title={t("Reserve")}
      yes={t("Reserve")}
      close={close}
      submit={async () =>
        station === null
          ? undefined
          : deed(
              t("Reserve"),
              () =>
                asked(
                  api.POST("/api/v1/reservations", {
                    params: { header: PATIENCE },
                    body: {
                      station_id: station,
                      id_token: { value: token.trim(), type: "ISO14443" },
                      evse_id: evse,
                      expires_at: new Date(serverNow() + minutes * 60_000).toISOString(),
                    },
                  }),
                ),
              ["reservations"],
            )
      }
    >
      <StationChoice value={station} choose={setStation} required />
      <TextInput
        label={t("Token")}
        description={t("Who may charge there meanwhile.")}
        value={token}
        onChange={(event) => setToken(event.currentTarget.value)}
        required
      />
      <NumberInput
        label={t("EVSE")}
        description={t("Empty: any of the station's.")}
        min={1}
        value={evse ?? ""}
        onChange={(value) => setEvse(value === "" ? null : Number(value))}
      />
      <NumberInput
        label={t("For how many minutes")}
        min={1}
        max={1440}
        value={minutes}
        onChange={(value) => setMinutes(Number(value))}
      />
    </Sheet>
  );
}
