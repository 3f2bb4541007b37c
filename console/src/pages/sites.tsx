import "./sites.css";
import { Button, Code, NumberInput, Select, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { Empty, Loading, PageHead, Pill, StateMark, Trouble } from "../parts/basics";
import { Chart } from "../parts/chart";
import { Pages, useLive, usePages } from "../parts/more";
import { useDeed, useQuestion } from "../parts/outcome";
import { Rows } from "../parts/rows";
import { Sheet } from "../parts/sheet";
import { SingleLine, type Site, type SiteEvse, type SiteNode, stateOfEvse } from "../parts/single-line";
import { Wide } from "../parts/wide";
import { useViewer } from "../session";

type Mode = Schemas["EvseModeBody"]["mode"];

const MODES: Record<Mode, Text> = {
  fast: "As fast as can be",
  "min+pv": "At least its minimum, more from the sun",
  pv: "From the sun only",
  off: "Switched off",
};

export default function SitesPage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const [entering, enter] = useState(false);
  const found = usePages(
    ["sites"],
    (cursor) => asked(api.GET("/api/v1/sites", { params: { query: { cursor, limit: 50 } } })),
    ["site.updated", "site.alarm"],
  );
  return (
    <>
      <PageHead title={t("Sites")} lead={t("{n} sites with a local controller", { n: found.items?.length ?? 0 })}>
        {viewer.may("admin") && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => enter(true)}>
            {t("Enter a site")}
          </Button>
        )}
      </PageHead>
      <section className="card">
        <Pages
          of={found}
          none={
            <Empty title={t("No site")}>
              {t("A site's controller tells of it over its site link. Enter a site, and give its controller the key.")}
            </Empty>
          }
        >
          {(items) => (
            <Rows
              items={items}
              by={(one) => one.id}
              columns={[
                {
                  name: "Site",
                  cell: (one) => (
                    <Link className="link" to={`/sites/${one.id}`}>
                      <b>{one.name}</b>
                    </Link>
                  ),
                },
                { name: "State", cell: (one) => <LinkMark connected={one.connected} /> },
                { name: "Power", cell: (one) => format.power(one.power_w) },
                { name: "Last heard", cell: (one) => format.dateTime(one.heard_at) },
              ]}
            />
          )}
        </Pages>
      </section>
      {entering && <Enter close={() => enter(false)} />}
    </>
  );
}

function LinkMark({ connected }: { connected: boolean }) {
  const { t } = useText();
  return <Pill tone={connected ? "good" : "bad"}>{t(connected ? "Controller linked" : "Controller not linked")}</Pill>;
}

function Enter({ close }: { close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [name, setName] = useState("");
  const [key, setKey] = useState<string | null>(null);
  const enter = async () => {
    const made = await deed(t("Enter a site"), () => asked(api.POST("/api/v1/sites", { body: { name } })), ["sites"]);
    if (made !== undefined) setKey(made.key);
    return undefined;
  };
  if (key !== null)
    return (
      <Sheet title={t("Enter a site")} close={close} yes={t("Close")} submit={async () => true}>
        <p>{t("Give this key to the site's controller, as [site_link] key. It is shown this once.")}</p>
        <Code block>{key}</Code>
      </Sheet>
    );
  return (
    <Sheet title={t("Enter a site")} close={close} yes={t("Enter a site")} submit={enter}>
      <TextInput label={t("Name")} required value={name} onChange={(event) => setName(event.currentTarget.value)} />
    </Sheet>
  );
}

export function SitePage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const id = Number(useParams()["id"]);
  const [node, chooseNode] = useState<SiteNode | null>(null);
  const [evse, chooseEvse] = useState<SiteEvse | null>(null);
  const found = useQuery({
    queryKey: ["sites", id],
    queryFn: () => asked(api.GET("/api/v1/sites/{site_id}", { params: { path: { site_id: id } } })),
  });
  useLive(["sites", id], ["site.updated", "site.alarm"]);
  if (found.error) return <Trouble error={found.error} again={found.refetch} />;
  const site = found.data;
  if (site === undefined) return <Loading />;
  return (
    <>
      <PageHead title={site.name} lead={t("In use {power}", { power: format.power(site.power_w) })}>
        <LinkMark connected={site.connected} />
      </PageHead>
      {!site.connected && site.heard_at !== null && (
        <p className="faint small">
          {t("Controller not linked; what you see is from {time}", { time: format.dateTime(site.heard_at) })}
        </p>
      )}
      <Dimming site={site} />
      <section className="card">
        <h2>{t("Single-line diagram")}</h2>
        <SingleLine site={site} limit={viewer.may("write") ? chooseNode : null} />
      </section>
      <Plan site={site} />
      <History id={site.id} />
      <Shares site={site} choose={viewer.may("write") ? chooseEvse : null} />
      <Records id={site.id} />
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
  const power = format.power(dimming.controlled_w ?? dimming.power_w);
  const what = t(dimming.dimmed ? "End the dimming" : "Dim the site");
  const signal = () =>
    ask({
      title: what,
      what: t("What is drawn may go down at once for every car at the site."),
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
    </section>
  );
}

function Plan({ site }: { site: Site }) {
  const { t } = useText();
  const { plan } = site;
  if (plan === null || plan.slots.length === 0)
    return (
      <section className="card">
        <h2>{t("The plan for the next hours")}</h2>
        <Empty title={t("No plan")}>{t("The controller plans where the site's file has a [planner].")}</Empty>
      </section>
    );
  // A slot is named by its end; a step holds from its beginning.
  const begins = [plan.made_at, ...plan.slots.slice(0, -1).map((slot) => slot.until)];
  const times = begins.map((instant) => Date.parse(instant) / 1000);
  const priced = plan.slots.some((slot) => slot.price !== null);
  const weighed = plan.slots.some((slot) => slot.carbon_kg_per_kwh !== null);
  return (
    <section className="card">
      <h2>{t("The plan for the next hours")}</h2>
      <Chart
        label={t("Planned power")}
        unit="kW"
        times={times}
        group="plan"
        curves={[
          {
            label: t("Planned power"),
            tone: "--curve-1",
            stepped: true,
            filled: true,
            values: plan.slots.map((slot) => slot.power_w / 1000),
          },
        ]}
      />
      {priced && (
        <Chart
          label={t("Price")}
          unit={t("Price")}
          height={110}
          times={times}
          group="plan"
          curves={[
            { label: t("Price"), tone: "--curve-2", stepped: true, values: plan.slots.map((slot) => slot.price) },
          ]}
        />
      )}
      {weighed && (
        <Chart
          label={t("kg CO₂ per kWh")}
          unit="kg"
          height={110}
          times={times}
          group="plan"
          curves={[
            { label: "CO₂", tone: "--curve-3", stepped: true, values: plan.slots.map((one) => one.carbon_kg_per_kwh) },
          ]}
        />
      )}
    </section>
  );
}

function History({ id }: { id: number }) {
  const { t } = useText();
  const [name, choose] = useState<string | null>(null);
  const found = useQuery({
    queryKey: ["sites", id, "history"],
    queryFn: () =>
      asked(api.GET("/api/v1/sites/{site_id}/history", { params: { path: { site_id: id }, query: { points: 288 } } })),
  });
  const items = found.data?.items ?? [];
  const nodes = items.at(-1)?.nodes.map((node) => node.name) ?? [];
  const shown = name ?? nodes[0] ?? "";
  const times = items.map((item) => Date.parse(item.at) / 1000);
  const of = items.map((item) => item.nodes.find((node) => node.name === shown));
  const line = (index: number) => of.map((node) => node?.highest_a[index] ?? null);
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t("Loads against ratings")}</h2>
        {nodes.length > 1 && (
          <Select size="xs" aria-label={t("Site")} data={nodes} value={shown} onChange={choose} allowDeselect={false} />
        )}
      </div>
      {items.length < 2 ? (
        <p className="small faint">{t("Nothing recorded yet.")}</p>
      ) : (
        <Chart
          label={t("At most over the time shown")}
          unit="A"
          times={times}
          curves={[
            { label: "L1", tone: "--curve-1", values: line(0), digits: 1 },
            { label: "L2", tone: "--curve-2", values: line(1), digits: 1 },
            { label: "L3", tone: "--curve-3", values: line(2), digits: 1 },
            {
              label: t("Limit"),
              tone: "--curve-limit",
              dashed: true,
              stepped: true,
              values: of.map((node) => (node === undefined ? null : Math.min(...node.limit_a))),
            },
          ]}
        />
      )}
    </section>
  );
}

function Shares({ site, choose }: { site: Site; choose: ((evse: SiteEvse) => void) | null }) {
  const { t } = useText();
  const format = useFormat();
  // Who is plugged in first: the others wait for nothing.
  const idle = (one: SiteEvse) => (one.state === "unplugged" || one.state === "offline" || one.state === null ? 1 : 0);
  const evses = [...site.evses].sort((one, other) => idle(one) - idle(other));
  return (
    <section className="card">
      <h2>{t("What each car gets, and why")}</h2>
      <Wide>
        <table className="plain">
          <thead>
            <tr>
              <th>{t("Station")}</th>
              <th>{t("State")}</th>
              <th>{t("Power")}</th>
              <th>{t("May draw")}</th>
              <th>{t("Why")}</th>
              <th>{t("How it charges")}</th>
            </tr>
          </thead>
          <tbody>
            {evses.map((evse) => (
              <tr key={evse.evse}>
                <td>
                  <Link className="link" to={`/stations/${encodeURIComponent(evse.station_id)}`}>
                    {evse.evse}
                  </Link>
                  <div className="faint small">
                    {evse.node} · {evse.lines.join(" ")}
                  </div>
                </td>
                <td>
                  <StateMark state={stateOfEvse(evse)} />
                </td>
                <td>{format.power(evse.power_w)}</td>
                <td>{evse.limit_a === null ? "–" : `${format.number(evse.limit_a, 1)} A`}</td>
                <td>
                  {evse.why}
                  {evse.priority !== 0 && <Pill tone="info">{t("Priority {n}", { n: evse.priority })}</Pill>}
                </td>
                <td>
                  {evse.mode !== null && t(MODES[evse.mode as Mode])}{" "}
                  {choose !== null && site.connected && (
                    <Button
                      size="compact-xs"
                      variant="default"
                      onClick={() => choose(evse)}
                      aria-label={t("Change {name}", { name: evse.evse })}
                    >
                      {t("Change")}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </section>
  );
}

function Records({ id }: { id: number }) {
  const { t } = useText();
  const format = useFormat();
  const found = usePages(["sites", id, "records"], (cursor) =>
    asked(
      api.GET("/api/v1/sites/{site_id}/records", {
        params: { path: { site_id: id }, query: { cursor, limit: 20 } },
      }),
    ),
  );
  return (
    <section className="card">
      <h2>{t("Alarms, decisions and limits")}</h2>
      <Pages of={found} none={<p className="small faint">{t("No alarm, and nothing decided yet.")}</p>}>
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.id}
            columns={[
              { name: "Time", cell: (one) => format.seconds(one.at) },
              { name: "Station", cell: (one) => one.evse ?? "–" },
              {
                name: "Message",
                cell: (one) => (
                  <>
                    {one.kind === "alarm" && <Pill tone="bad">{one.code}</Pill>} {one.text}
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

function LimitNode({ site, node, close }: { site: Site; node: SiteNode; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [current, setCurrent] = useState<string | number>("");
  const title = t("Limit {name}", { name: node.name });
  const send = () =>
    deed(
      title,
      () =>
        asked(
          api.PUT("/api/v1/sites/{site_id}/nodes/{node}/limit", {
            params: { path: { site_id: site.id, node: node.name } },
            body: { current_a: current === "" ? null : Number(current) },
          }),
        ),
      ["sites"],
    );
  return (
    <Sheet title={title} close={close} yes={t("Set")} submit={send}>
      <p className="small">{t("What is drawn may go down at once for every car at the site.")}</p>
      <NumberInput
        label={t("Ampere per phase, empty: no limit by hand")}
        min={0}
        max={Math.max(...node.rating_a)}
        value={current}
        onChange={setCurrent}
      />
    </Sheet>
  );
}

function SteerEvse({ site, evse, close }: { site: Site; evse: SiteEvse; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [current, setCurrent] = useState<string | number>(evse.by_hand_a ?? "");
  const [mode, setMode] = useState<Mode>((evse.mode ?? "fast") as Mode);
  const title = t("Change {name}", { name: evse.evse });
  const path = { site_id: site.id, station_id: evse.station_id, evse_id: evse.evse_id };
  const send = () =>
    deed(title, async () => {
      if (mode !== evse.mode)
        await asked(
          api.PUT("/api/v1/sites/{site_id}/evses/{station_id}/{evse_id}/mode", { params: { path }, body: { mode } }),
        );
      return asked(
        api.PUT("/api/v1/sites/{site_id}/evses/{station_id}/{evse_id}/limit", {
          params: { path },
          body: { current_a: current === "" ? null : Number(current) },
        }),
      );
    }, ["sites"]);
  return (
    <Sheet title={title} close={close} yes={t("Set")} submit={send}>
      <Select
        label={t("How it charges")}
        data={Object.entries(MODES).map(([value, word]) => ({ value, label: t(word) }))}
        value={mode}
        onChange={(value) => value !== null && setMode(value as Mode)}
        allowDeselect={false}
      />
      <NumberInput
        label={t("Ampere per phase, empty: no limit by hand")}
        min={0}
        max={evse.maximum_a}
        value={current}
        onChange={setCurrent}
      />
    </Sheet>
  );
}
