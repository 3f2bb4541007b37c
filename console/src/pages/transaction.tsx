import { Button, Group, Stack, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useParams } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { serverNow } from "../live/clock";
import { Empty, PageHead, Pill, Shown } from "../parts/basics";
import { Curves } from "../parts/curves";
import { Dialog } from "../parts/dialog";
import { useLive } from "../parts/more";
import { PATIENCE, useDeed, useQuestion } from "../parts/outcome";
import { type Transaction, TransactionMarks } from "../parts/transaction-table";
import { useViewer } from "../session";

export const SESSION_STATES: Record<Schemas["SessionState"], { word: Text; tone: "good" | "quiet" | "warn" | "info" }> =
  {
    active: { word: "running", tone: "info" },
    held: { word: "held", tone: "warn" },
    completed: { word: "billed", tone: "good" },
    unpriced: { word: "without a tariff", tone: "quiet" },
    void: { word: "void", tone: "quiet" },
  };

export default function TransactionPage() {
  const { t } = useText();
  const { number: text = "" } = useParams();
  const number = Number(text);
  const key = ["transactions", number];
  const found = useQuery({
    queryKey: key,
    queryFn: () => asked(api.GET("/api/v1/transactions/{number}", { params: { path: { number } } })),
  });
  useLive(key, ["transaction.updated", "transaction.ended", "meter.sample"]);
  return (
    <Shown of={found}>
      {(one) => (
        <>
          <PageHead title={t("Transaction {n}", { n: one.number })} lead={<TransactionMarks of={one} />}>
            <Actions of={one} />
          </PageHead>
          <div className="columns">
            <section className="card">
              <h2>{t("What happened")}</h2>
              <Facts of={one} />
            </section>
            <section className="card">
              <h2>{t("What it costs")}</h2>
              <Cost number={one.number} />
            </section>
          </div>
          <section className="card section">
            <h2>{t("Meter")}</h2>
            <Curves number={one.number} />
          </section>
        </>
      )}
    </Shown>
  );
}

function Actions({ of: one }: { of: Transaction }) {
  const { t } = useText();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  if (!viewer.may("write") || one.state !== "active") return null;
  return (
    <>
      {question}
      <Button
        onClick={() =>
          ask({
            title: t("Stop charging"),
            what: t("The station ends transaction {n}. The car takes no more energy, and the bill is made.", {
              n: one.number,
            }),
            yes: t("Stop charging"),
            danger: true,
            deed: () =>
              deed(
                t("Stop charging"),
                () =>
                  asked(
                    api.POST("/api/v1/commands/STOP_SESSION", {
                      params: { header: PATIENCE },
                      body: { transaction_number: one.number },
                    }),
                  ),
                ["transactions"],
              ),
          })
        }
      >
        {t("Stop charging")}
      </Button>
      <Button
        variant="default"
        onClick={() =>
          ask({
            title: t("Close in the books"),
            what: t(
              "It ends in the books with the last reading there is. The station is told nothing: if the car still charges, it goes on.",
            ),
            yes: t("Close in the books"),
            danger: true,
            deed: () =>
              deed(
                t("Close in the books"),
                () =>
                  asked(api.POST("/api/v1/transactions/{number}/close", { params: { path: { number: one.number } } })),
                ["transactions"],
              ),
          })
        }
      >
        {t("Close in the books")}
      </Button>
    </>
  );
}

function Facts({ of: one }: { of: Transaction }) {
  const { t } = useText();
  const format = useFormat();
  const lasted =
    one.started_at === null
      ? null
      : ((one.ended_at === null ? serverNow() : Date.parse(one.ended_at)) - Date.parse(one.started_at)) / 1000;
  const facts: [Text, React.ReactNode][] = [
    [
      "Station",
      <Link key="station" className="link" to={`/stations/${encodeURIComponent(one.station_id)}`}>
        {one.station_id}
        {one.evse_id === null ? "" : ` · ${t("EVSE {n}", { n: one.evse_id })}`}
      </Link>,
    ],
    [
      "Token",
      one.id_token === null ? (
        "–"
      ) : (
        <Link key="token" className="link" to={`/transactions?token=${encodeURIComponent(one.id_token)}`}>
          {one.id_token}
        </Link>
      ),
    ],
    ["Started", format.dateTime(one.started_at)],
    [
      "Ended",
      one.ended_at === null
        ? "–"
        : `${format.dateTime(one.ended_at)}${one.stopped_reason ? ` (${one.stopped_reason})` : ""}`,
    ],
    ["Duration", format.duration(lasted)],
    ["Energy", format.energy(one.energy_wh)],
    ["Meter", `${format.energy(one.meter_start_wh)} → ${format.energy(one.meter_stop_wh ?? one.meter_last_wh)}`],
    ["Id on the wire", one.transaction_id ?? one.reported_id ?? "–"],
    ["State of charging", one.charging_state ?? "–"],
  ];
  if (one.suspect !== null) facts.push(["Why it is suspect", one.suspect]);
  if (one.missing.length > 0)
    facts.push(["Messages that are missing", one.missing.map(([a, b]) => (a === b ? a : `${a}–${b}`)).join(", ")]);
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name} className="fact">
          <dt>{t(name)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Cost({ number }: { number: number }) {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const [releasing, release] = useState<"release" | "void" | null>(null);
  const key = ["sessions", number];
  const found = useQuery({
    queryKey: key,
    queryFn: () => asked(api.GET("/api/v1/sessions/{session_id}", { params: { path: { session_id: number } } })),
    retry: false,
  });
  useLive(key, ["session.updated", "cdr.created"]);
  if (found.error) return <Empty title={t("No bill")}>{t("It has one as soon as it is known to the books.")}</Empty>;
  return (
    <Shown of={found}>
      {(session) => (
        <>
          <div className="strip">
            <b className="amount">{format.money(session.total_cost?.incl_vat, session.currency)}</b>
            <Pill tone={SESSION_STATES[session.state].tone}>{t(SESSION_STATES[session.state].word)}</Pill>
          </div>
          {session.held_because !== null && <p>{session.held_because}</p>}
          {session.currency === null && session.cdr_id === null && (
            <p className="small faint">
              {t("No tariff applies here.")}{" "}
              <Link className="link" to="/tariffs">
                {t("Assign one")}
              </Link>
            </p>
          )}
          {session.state === "held" && viewer.may("write") && (
            <Group>
              <Button size="xs" onClick={() => release("release")}>
                {t("Let it go")}
              </Button>
              <Button size="xs" variant="default" onClick={() => release("void")}>
                {t("Make it void")}
              </Button>
            </Group>
          )}
          {session.cdr_id !== null && <Receipt id={session.cdr_id} />}
          {releasing !== null && <Reason id={session.id} what={releasing} close={() => release(null)} />}
        </>
      )}
    </Shown>
  );
}

function Reason({ id, what, close }: { id: number; what: "release" | "void"; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [reason, setReason] = useState("");
  const title = what === "release" ? t("Let it go") : t("Make it void");
  async function submit(event: FormEvent) {
    event.preventDefault();
    const options = { params: { path: { session_id: id } }, body: { reason } };
    const done = await deed(title, async () => {
      if (what === "release") await asked(api.POST("/api/v1/sessions/{session_id}/release", options));
      else await asked(api.POST("/api/v1/sessions/{session_id}/void", options));
      return true;
    }, ["sessions"]);
    if (done) close();
  }
  return (
    <Dialog close={close} title={title}>
      <form onSubmit={submit}>
        <Stack>
          <p className="small">
            {what === "release"
              ? t("It is billed with what is in the books. The reason stands in the bill's record.")
              : t("Nobody is billed for it. The reason stands in its record.")}
          </p>
          <Textarea
            label={t("Reason")}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            required
            data-autofocus
          />
          <Group justify="flex-end">
            <Button type="submit">{title}</Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

export function Receipt({ id }: { id: number }) {
  const { t } = useText();
  const format = useFormat();
  const found = useQuery({
    queryKey: ["receipt", id],
    queryFn: () => asked(api.GET("/api/v1/cdrs/{cdr_id}/receipt", { params: { path: { cdr_id: id } } })),
  });
  return (
    <Shown of={found}>
      {(receipt) => (
        <div className="receipt">
          <div className="small faint">
            {receipt.title} {receipt.number} · {format.dateTime(receipt.issued_at)}
          </div>
          <table className="plain">
            <tbody>
              {receipt.lines.map((line) => (
                <tr key={line.text}>
                  <td>{line.text}</td>
                  <td className="num">{format.money(line.cost.excl_vat, receipt.currency)}</td>
                </tr>
              ))}
              {receipt.taxes.map((tax) => (
                <tr key={`vat ${tax.vat}`} className="faint">
                  <td>
                    {t("VAT {rate} % of {amount}", {
                      rate: tax.vat ?? "0",
                      amount: format.money(tax.excl_vat, receipt.currency),
                    })}
                  </td>
                  <td className="num">{format.money(tax.amount, receipt.currency)}</td>
                </tr>
              ))}
              <tr>
                <td>
                  <b>{t("Total")}</b>
                </td>
                <td className="num">
                  <b>{format.money(receipt.total.incl_vat, receipt.currency)}</b>
                </td>
              </tr>
            </tbody>
          </table>
          <div className="small faint">
            {receipt.tariff}
            {receipt.notes.map((note) => (
              <div key={note}>{note}</div>
            ))}
          </div>
          <Button size="xs" variant="default" onClick={() => window.print()}>
            {t("Print")}
          </Button>
        </div>
      )}
    </Shown>
  );
}
