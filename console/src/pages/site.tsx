import "./sites.css";
import { Button, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useParams } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { useTold } from "../i18n/told";
import { Empty, Loading, PageHead, Pill, Trouble } from "../parts/basics";
import { Pages, useLive, usePages } from "../parts/more";
import { useDeed, useQuestion } from "../parts/outcome";
import { Rows } from "../parts/rows";
import { SingleLine, type Site, type SiteEvse, type SiteNode } from "../parts/single-line";
import { useViewer } from "../session";
import { SiteActions } from "./of-site/actions";
import { LimitNode, SteerEvse } from "./of-site/forms";
import { History } from "./of-site/history";
import { Plan } from "./of-site/plan";
import { Shares } from "./of-site/shares";
import { useTimeThere } from "./overview";
import { LinkMark } from "./sites";

/** A site with a local controller, as the controller tells of it. */
export default function SitePage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const id = Number(useParams()["id"]);
  const [node, chooseNode] = useState<SiteNode | null>(null);
  const [evse, chooseEvse] = useState<SiteEvse | null>(null);
  const found = useQuery({
    queryKey: ["sites", "one", id],
    queryFn: () => asked(api.GET("/api/v1/sites/{site_id}", { params: { path: { site_id: id } } })),
  });
  useLive(["sites", "one", id], ["site.updated", "site.alarm"], { site_id: id });
  const there = useTimeThere(found.data?.location_id ?? null);
  if (found.error && found.data === undefined) return <Trouble error={found.error} again={found.refetch} />;
  const site = found.data;
  if (site === undefined) return <Loading />;
  const busy = site.evses.filter((one) => (one.power_w ?? 0) > 0).length;
  const lead = [
    t("In use {power}", { power: format.power(site.power_w) }),
    t("{n} of {all} EVSEs charge", { n: busy, all: site.evses.length }),
    there === null ? null : t("there it is {time}", { time: there }),
  ];
  return (
    <>
      <PageHead title={site.name} lead={lead.filter(Boolean).join(" · ")}>
        <LinkMark connected={site.connected} />
        {viewer.may("admin") && <SiteActions site={site} />}
      </PageHead>
      {!site.connected && (
        <p className="faint small" role="status">
          {site.heard_at === null
            ? t("The controller has never told of this site. Give it the site's key, as [site_link] key.")
            : t("Controller not linked; what you see is from {time}", { time: format.dateTime(site.heard_at) })}
        </p>
      )}
      <div className="site">
        <Dimming site={site} />
        <section className="card">
          <h2>{t("Single-line diagram")}</h2>
          <SingleLine site={site} limit={viewer.may("write") && site.connected ? chooseNode : null} />
        </section>
        <div className="site-pair">
          <Plan site={site} />
          <History site={site} />
        </div>
        <Shares site={site} choose={viewer.may("write") && site.connected ? chooseEvse : null} />
        <Records id={site.id} />
      </div>
      {node !== null && <LimitNode site={site} node={node} close={() => chooseNode(null)} />}
      {evse !== null && <SteerEvse site={site} evse={evse} close={() => chooseEvse(null)} />}
    </>
  );
}

function Dimming({ site }: { site: Site }) {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const { dimming } = site;
  if (dimming === null) return null;
  const allowed = dimming.controlled_w ?? dimming.power_w;
  const power = format.power(allowed);
  const what = t(dimming.dimmed ? "End the dimming" : "Dim the site");
  const signal = () =>
    ask({
      title: what,
      what: dimming.dimmed
        ? t("Cars may draw again what the fuses bear.")
        : t("Cars below {node} draw {drawn} now, and may draw {power} from then on.", {
            node: dimming.node,
            drawn: format.power(dimming.drawn_w),
            power,
          }),
      yes: what,
      danger: !dimming.dimmed,
      deed: () =>
        deed(
          what,
          () =>
            asked(
              api.POST("/api/v1/sites/{site_id}/dim", {
                params: { path: { site_id: site.id } },
                body: { dimmed: !dimming.dimmed },
              }),
            ),
          ["sites"],
        ),
    });
  return (
    <section className="card">
      {question}
      <div className="card-head">
        <h2>{t("Dimming signal")}</h2>
        <div className="strip">
          {dimming.dimmed && <Pill tone="warn">{t("Dimmed by the grid operator")}</Pill>}
          {viewer.may("write") && site.connected && (
            <Button size="compact-sm" variant="default" onClick={signal}>
              {what}
            </Button>
          )}
        </div>
      </div>
      <p className="small">
        {dimming.dimmed
          ? t("The signal holds: EVSEs below {node} may draw {power}, and draw {drawn}.", {
              node: dimming.node,
              power,
              drawn: format.power(dimming.drawn_w),
            })
          : t("No signal now; while it holds, EVSEs below {node} may draw {power}.", { node: dimming.node, power })}
      </p>
      {allowed !== null && (
        <meter
          className="share"
          aria-label={t("{used} of {limit}", { used: format.power(dimming.drawn_w), limit: power })}
          min={0}
          max={Math.max(allowed, dimming.drawn_w)}
          high={dimming.dimmed ? allowed : undefined}
          value={dimming.drawn_w}
        />
      )}
    </section>
  );
}

type Kind = Schemas["EntryKind"];

const KINDS: readonly [Kind, Text][] = [
  ["alarm", "Alarms"],
  ["decision", "Decisions"],
  ["limit", "Limits"],
];

function Records({ id }: { id: number }) {
  const { t } = useText();
  const format = useFormat();
  const told = useTold();
  const [kind, only] = useState<Kind | null>(null);
  const found = usePages(
    ["sites", "records", id, kind],
    (cursor) =>
      asked(
        api.GET("/api/v1/sites/{site_id}/records", {
          params: { path: { site_id: id }, query: { cursor, limit: 20, kind: kind ?? undefined } },
        }),
      ),
    ["site.alarm"],
    10_000,
  );
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t("Alarms, decisions and limits")}</h2>
        <Select
          size="xs"
          w={150}
          clearable
          aria-label={t("Kind")}
          placeholder={t("all")}
          data={KINDS.map(([value, word]) => ({ value, label: t(word) }))}
          value={kind}
          onChange={(value) => only(value as Kind | null)}
        />
      </div>
      <Pages
        of={found}
        none={
          <Empty good={kind === "alarm"} title={kind === "alarm" ? t("No alarm") : t("Nothing yet")}>
            {t("What the controller decides, and what it warns of, appears here by itself.")}
          </Empty>
        }
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.id}
            columns={[
              { name: "Time", cell: (one) => format.moment(one.at) },
              { name: "Station", cell: (one) => one.evse ?? "–" },
              {
                name: "Message",
                cell: (one) => (
                  <>
                    {one.kind === "alarm" && <Pill tone="bad">{one.code}</Pill>} {told(one.sentence, one.text)}
                  </>
                ),
              },
            ]}
          />
        )}
      </Pages>
    </section>
  );
}
