import { Button, Checkbox, MultiSelect, NumberInput, Select, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { useTold } from "../i18n/told";
import { useFleet } from "../live/fleet";
import { Empty, PageHead, Pill, type Tone } from "../parts/basics";
import { Pages, usePages } from "../parts/more";
import { useDeed, useQuestion } from "../parts/outcome";
import { Rows } from "../parts/rows";
import { Sheet } from "../parts/sheet";
import { StationLink } from "../parts/station-choice";
import { useViewer } from "../session";

type Group = Schemas["LoadGroupResource"];

const MEMBER_STATES: Record<Schemas["MemberState"], { word: Text; tone: Tone }> = {
  idle: { word: "nothing charges", tone: "quiet" },
  charging: { word: "has a share", tone: "good" },
  waiting: { word: "waits for a share", tone: "info" },
  reducing: { word: "is being lowered", tone: "info" },
  offline: { word: "offline", tone: "warn" },
  unlimited: { word: "isn't limited", tone: "warn" },
};

/** EVSEs that share a limit over time; the CSMS keeps it. */
export default function GroupsPage() {
  const { t } = useText();
  const viewer = useViewer();
  const [form, open] = useState<Group | "new" | null>(null);
  const found = usePages(
    ["load-groups"],
    (cursor) => asked(api.GET("/api/v1/load-groups", { params: { query: { cursor, limit: 50 } } })),
    ["command.updated", "connector.status", "transaction.started", "transaction.ended"],
  );
  return (
    <>
      <PageHead title={t("Load groups")} lead={t("Stations that share a limit, and who gets how much of it, and why")}>
        {viewer.may("write") && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => open("new")}>
            {t("Make a group")}
          </Button>
        )}
      </PageHead>
      <Pages
        of={found}
        none={
          <section className="card">
            <Empty title={t("No load group")}>
              {t("Make one for stations that hang on the same cable, and say what they may draw together.")}
            </Empty>
          </section>
        }
      >
        {(items) => items.map((one) => <OneGroup key={one.number} of={one} edit={() => open(one)} />)}
      </Pages>
      {form !== null && <Edit of={form === "new" ? null : form} close={() => open(null)} />}
    </>
  );
}

function OneGroup({ of: group, edit }: { of: Group; edit: () => void }) {
  const { t } = useText();
  const format = useFormat();
  const told = useTold();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const { status, terms } = group;
  const unit = terms.rate_unit ?? "A";
  const amount = (value: number) => `${format.number(value, unit === "A" ? 1 : 0)} ${unit}`;
  const path = { params: { path: { number: group.number } } };
  return (
    <section className="card section" aria-labelledby={`group-${group.number}`}>
      {question}
      <div className="card-head">
        <h2 id={`group-${group.number}`}>{group.name}</h2>
        {viewer.may("write") && (
          <div className="strip">
            <Button size="xs" variant="default" onClick={edit}>
              {t("Change")}
            </Button>
            <Button
              size="xs"
              variant="subtle"
              color="red"
              onClick={() =>
                ask({
                  title: t("Remove the group"),
                  what: t("Its limit isn't kept any more: its stations fall back when what they were told runs out."),
                  yes: t("Remove"),
                  danger: true,
                  deed: () =>
                    deed(t("Remove the group"), () => asked(api.DELETE("/api/v1/load-groups/{number}", path)), [
                      "load-groups",
                    ]),
                })
              }
            >
              {t("Remove")}
            </Button>
          </div>
        )}
      </div>
      <div className="strip">
        {!group.active ? (
          <Pill tone="quiet">{t("paused")}</Pill>
        ) : status === null ? (
          <Pill tone="info">{t("nothing decided yet")}</Pill>
        ) : (
          <Pill tone={status.kept ? "good" : "bad"}>{status.kept ? t("kept") : t("not kept")}</Pill>
        )}
        <span>
          {status === null
            ? t("ceiling {limit}", { limit: amount(terms.rate_limit) })
            : t("{used} of {limit}", { used: amount(status.allowed), limit: amount(status.rate_limit) })}
        </span>
        {status !== null && <span className="faint small">{told(null, status.because)}</span>}
        {status?.problem && <Pill tone="bad">{told(null, status.problem)}</Pill>}
      </div>
      {status !== null && (
        <progress
          className="share"
          aria-label={t("What the members may draw, of the limit")}
          max={Math.max(status.rate_limit, 1)}
          value={Math.min(status.allowed, Math.max(status.rate_limit, 1))}
        />
      )}
      {(status?.members?.length ?? 0) > 0 ? (
        <Rows
          items={status?.members ?? []}
          by={(one) => `${one.station_id} ${one.evse_id}`}
          columns={[
            {
              name: "Station",
              cell: (one) => (
                <>
                  <StationLink id={one.station_id} /> · {one.evse_id}
                </>
              ),
            },
            {
              name: "State",
              cell: (one) => <Pill tone={MEMBER_STATES[one.state].tone}>{t(MEMBER_STATES[one.state].word)}</Pill>,
            },
            { name: "Share", num: true, cell: (one) => `${format.number(one.share_a)} A` },
            { name: "At most", num: true, cell: (one) => `${format.number(one.allowed_a)} A` },
            { name: "Why", cell: (one) => told(one.sentence, one.reason) },
            {
              name: "Transaction",
              cell: (one) =>
                one.transaction_number ? (
                  <Link className="link" to={`/transactions/${one.transaction_number}`}>
                    {one.transaction_number}
                  </Link>
                ) : (
                  "–"
                ),
            },
          ]}
        />
      ) : (
        <p className="faint small">
          {group.members.length === 0
            ? t("It has no members yet: change it, and choose stations.")
            : group.members.map((one) => one.station_id ?? `#${one.location_id}`).join(", ")}
        </p>
      )}
    </section>
  );
}

function Edit({ of: group, close }: { of: Group | null; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const ids = useFleet((all) => all.ids);
  const [name, setName] = useState(group?.name ?? "");
  const [unit, setUnit] = useState<Schemas["ChargingRateUnit"]>(group?.terms.rate_unit ?? "A");
  const [limit, setLimit] = useState(group?.terms.rate_limit ?? 63);
  const [active, setActive] = useState(group?.active ?? true);
  const before = group?.members ?? [];
  const [members, setMembers] = useState(
    before.flatMap((one) => (one.station_id && !one.evse_id ? [one.station_id] : [])),
  );
  const title = group === null ? t("Make a group") : t("Change the group");
  function body(): Schemas["LoadGroupBody"] {
    // What can't be chosen here (single EVSEs, locations, priorities, weeks, prices) stays as it is.
    const kept = before.filter((one) => !one.station_id || one.evse_id || members.includes(one.station_id));
    const known = new Set(kept.flatMap((one) => (one.evse_id ? [] : [one.station_id])));
    const added = members.filter((one) => !known.has(one)).map((station_id) => ({ station_id }));
    return {
      name: name.trim(),
      terms: { ...group?.terms, rate_unit: unit, rate_limit: limit },
      members: [...kept, ...added],
      parent_number: group?.parent_number ?? null,
      active,
    };
  }
  return (
    <Sheet
      title={title}
      yes={group === null ? t("Make it") : t("Change")}
      close={close}
      submit={() =>
        deed(
          title,
          () =>
            group === null
              ? asked(api.POST("/api/v1/load-groups", { body: body() }))
              : asked(
                  api.PUT("/api/v1/load-groups/{number}", {
                    params: { path: { number: group.number } },
                    body: body(),
                  }),
                ),
          ["load-groups"],
        )
      }
    >
      <TextInput
        label={t("Name")}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        required
        data-autofocus
      />
      <NumberInput
        label={t("What they may draw together")}
        min={0}
        max={1_000_000}
        value={limit}
        onChange={(value) => setLimit(Number(value))}
        required
      />
      <Select
        label={t("Unit")}
        data={[
          { value: "A", label: t("A per phase") },
          { value: "W", label: "W" },
        ]}
        value={unit}
        onChange={(value) => setUnit((value ?? "A") as Schemas["ChargingRateUnit"])}
        allowDeselect={false}
      />
      <MultiSelect
        label={t("Stations")}
        description={t("All EVSEs of each; a station that is told nothing counts with its maximum.")}
        searchable
        limit={50}
        data={[...ids]}
        value={members}
        onChange={setMembers}
      />
      <Checkbox
        label={t("Keep this limit from now on")}
        checked={active}
        onChange={(event) => setActive(event.currentTarget.checked)}
      />
    </Sheet>
  );
}
