import { Button, CopyButton, Switch, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { Empty, PageHead, Pill, type Tone } from "../parts/basics";
import { Pages, usePages } from "../parts/more";
import { useDeed, useQuestion } from "../parts/outcome";
import { Rows } from "../parts/rows";
import { StationLink } from "../parts/station-choice";
import { useViewer } from "../session";

type Certificate = Schemas["CertificateResource"];

const STATES: Record<Certificate["state"], { word: Text; tone: Tone }> = {
  requested: { word: "requested", tone: "info" },
  refused: { word: "refused", tone: "bad" },
  issued: { word: "issued", tone: "info" },
  accepted: { word: "valid", tone: "good" },
  rejected: { word: "rejected", tone: "bad" },
  replaced: { word: "replaced", tone: "quiet" },
  revoked: { word: "revoked", tone: "bad" },
  expired: { word: "expired", tone: "warn" },
};

export default function SecurityPage() {
  const { t } = useText();
  return (
    <>
      <PageHead title={t("Security")} lead={t("What stations reported, and the certificates they carry")} />
      <Tabs defaultValue="events" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="events">{t("Events")}</Tabs.Tab>
          <Tabs.Tab value="certificates">{t("Certificates")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="events" pt="sm">
          <Events />
        </Tabs.Panel>
        <Tabs.Panel value="certificates" pt="sm">
          <Certificates />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

interface Of {
  /** Only of this station. */
  station?: string;
}

export function Events({ station }: Of) {
  const { t } = useText();
  const format = useFormat();
  const [critical, setCritical] = useState(false);
  const found = usePages(["security", critical, station], (cursor) =>
    asked(
      api.GET("/api/v1/security-events", {
        params: { query: { cursor, limit: 50, station_id: station, ...(critical && { critical: true }) } },
      }),
    ),
  );
  return (
    <section className="card">
      <div className="controls">
        <Switch
          size="sm"
          label={t("Only critical ones")}
          checked={critical}
          onChange={(event) => setCritical(event.currentTarget.checked)}
        />
      </div>
      <Pages
        of={found}
        none={
          <Empty good title={t("No security event")}>
            {t("Nothing was reported.")}
          </Empty>
        }
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.number}
            columns={[
              { name: "Time", cell: (one) => format.dateTime(one.at) },
              station === undefined ? { name: "Station", cell: (one) => <StationLink id={one.station_id} /> } : null,
              {
                name: "Event",
                cell: (one) => (
                  <>
                    <b>{one.type}</b> {one.critical && <Pill tone="bad">{t("critical")}</Pill>}
                  </>
                ),
              },
              { name: "Details", cell: (one) => [one.info, one.address].filter(Boolean).join(" · ") },
            ]}
          />
        )}
      </Pages>
    </section>
  );
}

export function Certificates({ station }: Of) {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const found = usePages(["certificates", station], (cursor) =>
    asked(api.GET("/api/v1/certificates", { params: { query: { cursor, limit: 50, station_id: station } } })),
  );
  const root = useQuery({
    queryKey: ["root"],
    retry: false,
    queryFn: () => asked(api.GET("/api/v1/certificates/root")),
  });
  const revoke = (one: Certificate) =>
    ask({
      title: t("Revoke the certificate"),
      what: t("{station} can no longer connect with it. This can't be taken back.", { station: one.station_id ?? "" }),
      yes: t("Revoke"),
      danger: true,
      deed: () =>
        deed(
          t("Revoke the certificate"),
          () => asked(api.POST("/api/v1/certificates/{number}/revoke", { params: { path: { number: one.number } } })),
          ["certificates"],
        ),
    });
  return (
    <section className="card">
      {question}
      {root.data && (
        <div className="controls strip">
          <span className="small faint">
            {t("Our own authority signs what stations ask for. Its root belongs into each of them.")}
          </span>
          <CopyButton value={root.data.pem}>
            {({ copied, copy }) => (
              <Button size="compact-xs" variant="default" onClick={copy}>
                {copied ? t("Copied") : t("Copy the root certificate")}
              </Button>
            )}
          </CopyButton>
        </div>
      )}
      <Pages
        of={found}
        none={
          <Empty title={t("No certificate")}>
            {t("Stations ask for one by themselves as soon as their security profile needs it.")}
          </Empty>
        }
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.number}
            columns={[
              station === undefined ? { name: "Station", cell: (one) => <StationLink id={one.station_id} /> } : null,
              { name: "Subject", cell: (one) => one.subject ?? "–" },
              { name: "Serial number", cell: (one) => <span className="mono">{one.serial_number ?? "–"}</span> },
              { name: "Valid until", cell: (one) => format.dateTime(one.not_after) },
              {
                name: "State",
                cell: (one) => (
                  <>
                    <Pill tone={STATES[one.state].tone}>{t(STATES[one.state].word)}</Pill>{" "}
                    <span className="small faint">{one.detail}</span>
                  </>
                ),
              },
              viewer.may("write")
                ? {
                    name: null,
                    cell: (one) =>
                      one.state === "accepted" && (
                        <Button size="compact-xs" variant="subtle" color="red" onClick={() => revoke(one)}>
                          {t("Revoke")}
                        </Button>
                      ),
                  }
                : null,
            ]}
          />
        )}
      </Pages>
    </section>
  );
}
