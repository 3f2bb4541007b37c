import { ActionIcon, Button, Checkbox, Group, NumberInput, Select, Stack, TextInput } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { useFleet } from "../live/fleet";
import { Empty, PageHead, Pill, Shown } from "../parts/basics";
import { Dialog } from "../parts/dialog";
import { Pages, usePages } from "../parts/more";
import { useDeed, useQuestion } from "../parts/outcome";
import { useViewer } from "../session";
import { useLocations } from "./overview";

type Tariff = Schemas["TariffResource"];
type Dimension = Schemas["TariffDimension"];

const DIMENSIONS: readonly [Dimension, Text, Text][] = [
  ["ENERGY", "Energy", "per kWh"],
  ["TIME", "Charging time", "per hour"],
  ["PARKING_TIME", "Time after charging", "per hour"],
  ["FLAT", "Once per session", "once"],
];
const SCOPES: readonly [Schemas["TariffScope"], Text][] = [
  ["organisation", "everywhere"],
  ["location", "a location"],
  ["station", "a station"],
  ["token", "a token"],
];
const DAYS: readonly [Schemas["DayOfWeek"], Text][] = [
  ["MONDAY", "Mon"],
  ["TUESDAY", "Tue"],
  ["WEDNESDAY", "Wed"],
  ["THURSDAY", "Thu"],
  ["FRIDAY", "Fri"],
  ["SATURDAY", "Sat"],
  ["SUNDAY", "Sun"],
];

export default function TariffsPage() {
  const { t } = useText();
  const viewer = useViewer();
  const [editing, edit] = useState<Tariff | "new" | null>(null);
  const found = usePages(["tariffs"], (cursor) =>
    asked(api.GET("/api/v1/tariffs", { params: { query: { cursor, limit: 50 } } })),
  );
  return (
    <>
      <PageHead
        title={t("Tariffs")}
        lead={t("Of several that apply, the narrowest counts: token, station, location, everywhere")}
      >
        {viewer.may("write") && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => edit("new")}>
            {t("Make a tariff")}
          </Button>
        )}
      </PageHead>
      <Pages
        of={found}
        none={
          <section className="card">
            <Empty title={t("No tariff")}>{t("Without one, charging costs nothing and no bill is made.")}</Empty>
          </section>
        }
      >
        {(items) => (
          <div className="columns">
            {items.map((one) => (
              <TariffCard key={one.id} tariff={one} change={() => edit(one)} />
            ))}
          </div>
        )}
      </Pages>
      {editing !== null && <Edit tariff={editing === "new" ? null : editing} close={() => edit(null)} />}
    </>
  );
}

function TariffCard({ tariff, change }: { tariff: Tariff; change: () => void }) {
  const { t } = useText();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const locations = useLocations();
  const ids = useFleet((all) => all.ids);
  const [scope, setScope] = useState<string | null>("organisation");
  const [target, setTarget] = useState<string>("");
  const path = { tariff_id: tariff.id };
  const key = ["assignments", tariff.id];
  const assigned = useQuery({
    queryKey: key,
    queryFn: () => asked(api.GET("/api/v1/tariffs/{tariff_id}/assignments", { params: { path } })),
  });
  const assign = () =>
    deed(
      t("Assign"),
      () =>
        asked(
          api.POST("/api/v1/tariffs/{tariff_id}/assignments", {
            params: { path },
            body: { scope: scope as "station", target: scope === "organisation" ? "" : target },
          }),
        ),
      ["assignments"],
    );
  return (
    <section className="card">
      {question}
      <div className="card-head">
        <h2>
          {tariff.terms.name ?? t("Tariff {n}", { n: tariff.id })}{" "}
          <span className="faint small">{t("version {n}", { n: tariff.version })}</span>{" "}
          {tariff.retired_at !== null && <Pill tone="quiet">{t("retired")}</Pill>}
        </h2>
        {viewer.may("write") && tariff.retired_at === null && (
          <div className="strip">
            <Button size="xs" variant="default" onClick={change}>
              {t("Change")}
            </Button>
            <Button
              size="xs"
              variant="subtle"
              color="red"
              onClick={() =>
                ask({
                  title: t("Retire the tariff"),
                  what: t("New sessions no longer get it. What was billed with it stays as it is."),
                  yes: t("Retire"),
                  danger: true,
                  deed: () =>
                    deed(
                      t("Retire the tariff"),
                      () => asked(api.DELETE("/api/v1/tariffs/{tariff_id}", { params: { path } })),
                      ["tariffs"],
                    ),
                })
              }
            >
              {t("Retire")}
            </Button>
          </div>
        )}
      </div>
      <Elements terms={tariff.terms} />
      <h3 className="group">{t("Where it applies")}</h3>
      <Shown of={assigned}>
        {(list) => (
          <div className="strip">
            {list.items.length === 0 && <span className="faint small">{t("nowhere yet")}</span>}
            {list.items.map((one) => (
              <span key={one.number} className="pill tone-info">
                {t(SCOPES.find(([name]) => name === one.scope)![1])}{" "}
                {one.scope === "location" ? (locations.get(Number(one.target)) ?? one.target) : one.target}
                {viewer.may("write") && (
                  <ActionIcon
                    size="xs"
                    variant="transparent"
                    aria-label={t("Take away")}
                    onClick={() =>
                      ask({
                        title: t("Take away"),
                        what: t(
                          "Sessions that begin there from now on get another tariff, or none; those that run keep it.",
                        ),
                        yes: t("Take away"),
                        danger: true,
                        deed: () =>
                          deed(
                            t("Take away"),
                            () =>
                              asked(
                                api.DELETE("/api/v1/tariffs/{tariff_id}/assignments/{number}", {
                                  params: { path: { ...path, number: one.number } },
                                }),
                              ),
                            ["assignments"],
                          ),
                      })
                    }
                  >
                    <IconTrash size={12} aria-hidden />
                  </ActionIcon>
                )}
              </span>
            ))}
          </div>
        )}
      </Shown>
      {viewer.may("write") && tariff.retired_at === null && (
        <div className="strip section">
          <Select
            size="xs"
            w={140}
            aria-label={t("Where it applies")}
            data={SCOPES.map(([name, word]) => ({ value: name, label: t(word) }))}
            value={scope}
            onChange={setScope}
            allowDeselect={false}
          />
          {scope === "location" && (
            <Select
              size="xs"
              aria-label={t("Location")}
              data={[...locations].map(([id, name]) => ({ value: String(id), label: name }))}
              value={target}
              onChange={(value) => setTarget(value ?? "")}
            />
          )}
          {scope === "station" && (
            <Select
              size="xs"
              searchable
              limit={50}
              aria-label={t("Station")}
              data={[...ids]}
              value={target}
              onChange={(value) => setTarget(value ?? "")}
            />
          )}
          {scope === "token" && (
            <TextInput
              size="xs"
              aria-label={t("Token")}
              value={target}
              onChange={(event) => setTarget(event.currentTarget.value)}
            />
          )}
          <Button size="xs" variant="default" disabled={scope !== "organisation" && !target} onClick={assign}>
            {t("Assign")}
          </Button>
        </div>
      )}
    </section>
  );
}

function Elements({ terms }: { terms: Schemas["TariffTerms"] }) {
  const { t } = useText();
  const format = useFormat();
  return (
    <ul className="list">
      {terms.elements.map((element, index) => (
        // Their order is what they are.
        <li key={index}>
          {element.price_components.map((part) => {
            const dimension = DIMENSIONS.find(([name]) => name === part.type)!;
            return (
              <div key={part.type}>
                {t(dimension[1])}: <b>{format.money(part.price, terms.currency)}</b> {t(dimension[2])}
                {part.vat ? <span className="faint"> {t("plus {n} % VAT", { n: part.vat })}</span> : null}
              </div>
            );
          })}
          {element.restrictions && <div className="small faint">{restriction(element.restrictions, t)}</div>}
        </li>
      ))}
      {(terms.min_price || terms.max_price) && (
        <li className="small faint">
          {terms.min_price &&
            `${t("at least")} ${format.money(terms.min_price.incl_vat ?? terms.min_price.excl_vat, terms.currency)} `}
          {terms.max_price &&
            `${t("at most")} ${format.money(terms.max_price.incl_vat ?? terms.max_price.excl_vat, terms.currency)}`}
        </li>
      )}
    </ul>
  );
}

function restriction(of: Schemas["TariffRestrictions"], t: ReturnType<typeof useText>["t"]): string {
  const said: string[] = [];
  if (of.start_time || of.end_time) said.push(`${of.start_time ?? "00:00"}–${of.end_time ?? "24:00"}`);
  if (of.day_of_week?.length)
    said.push(of.day_of_week.map((day) => t(DAYS.find(([name]) => name === day)![1])).join(" "));
  if (of.start_date || of.end_date) said.push(`${of.start_date ?? "…"} – ${of.end_date ?? "…"}`);
  if (of.min_kwh || of.max_kwh) said.push(`${of.min_kwh ?? 0}–${of.max_kwh ?? "∞"} kWh`);
  if (of.min_power || of.max_power) said.push(`${of.min_power ?? 0}–${of.max_power ?? "∞"} kW`);
  if (of.min_duration || of.max_duration)
    said.push(`${(of.min_duration ?? 0) / 60}–${of.max_duration ? of.max_duration / 60 : "∞"} min`);
  return said.join(" · ");
}

interface Line {
  key: number;
  type: Dimension;
  price: string;
  vat: string;
  from: string;
  to: string;
  days: Schemas["DayOfWeek"][];
}

let nextLine = 1;

function linesOf(tariff: Tariff | null): Line[] {
  if (tariff === null)
    return [{ key: nextLine++, type: "ENERGY", price: "0.49", vat: "19", from: "", to: "", days: [] }];
  return tariff.terms.elements.flatMap((element) =>
    element.price_components.map((part) => ({
      key: nextLine++,
      type: part.type,
      price: part.price,
      vat: part.vat ?? "",
      from: element.restrictions?.start_time ?? "",
      to: element.restrictions?.end_time ?? "",
      days: element.restrictions?.day_of_week ?? [],
    })),
  );
}

function Edit({ tariff, close }: { tariff: Tariff | null; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [name, setName] = useState(tariff?.terms.name ?? "");
  const [currency, setCurrency] = useState(tariff?.terms.currency ?? "EUR");
  const [lines, setLines] = useState(() => linesOf(tariff));
  const change = (key: number, changes: Partial<Line>) =>
    setLines(lines.map((one) => (one.key === key ? { ...one, ...changes } : one)));
  async function submit(event: FormEvent) {
    event.preventDefault();
    const elements = lines.map((one) => {
      const restrictions =
        one.from || one.to || one.days.length > 0
          ? {
              ...(one.from && { start_time: one.from }),
              ...(one.to && { end_time: one.to }),
              ...(one.days.length > 0 && { day_of_week: one.days }),
            }
          : null;
      return { price_components: [{ type: one.type, price: one.price, vat: one.vat || null }], restrictions };
    });
    const body = { ...(tariff?.terms ?? {}), name: name.trim() || null, currency, elements } as Schemas["TariffTerms"];
    const done = await deed(
      tariff === null ? t("Make a tariff") : t("Change the tariff"),
      () =>
        tariff === null
          ? asked(api.POST("/api/v1/tariffs", { body }))
          : asked(api.PUT("/api/v1/tariffs/{tariff_id}", { params: { path: { tariff_id: tariff.id } }, body })),
      ["tariffs"],
    );
    if (done !== undefined) close();
  }
  return (
    <Dialog close={close} size="xl" title={tariff === null ? t("Make a tariff") : t("Change the tariff")}>
      <form onSubmit={submit}>
        <Stack>
          <Group grow>
            <TextInput
              label={t("Name")}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              data-autofocus
            />
            <TextInput
              label={t("Currency")}
              value={currency}
              maxLength={3}
              onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())}
              required
            />
          </Group>
          <p className="small faint">
            {t("For each kind of price the first line counts whose times fit. Prices are without VAT.")}
          </p>
          {lines.map((one) => (
            <div key={one.key} className="price-line">
              <Select
                size="xs"
                label={t("What for")}
                data={DIMENSIONS.map(([type, word, per]) => ({ value: type, label: `${t(word)} (${t(per)})` }))}
                value={one.type}
                onChange={(value) => change(one.key, { type: value as Dimension })}
                allowDeselect={false}
              />
              <TextInput
                size="xs"
                label={t("Price")}
                inputMode="decimal"
                pattern="[0-9]+(\.[0-9]+)?"
                value={one.price}
                onChange={(event) => change(one.key, { price: event.currentTarget.value })}
                required
              />
              <NumberInput
                size="xs"
                label={t("VAT %")}
                min={0}
                max={100}
                value={one.vat}
                onChange={(value) => change(one.key, { vat: String(value) })}
              />
              <TextInput
                size="xs"
                type="time"
                label={t("From")}
                value={one.from}
                onChange={(event) => change(one.key, { from: event.currentTarget.value })}
              />
              <TextInput
                size="xs"
                type="time"
                label={t("Until")}
                value={one.to}
                onChange={(event) => change(one.key, { to: event.currentTarget.value })}
              />
              <Checkbox.Group
                size="xs"
                label={t("Days (none: all)")}
                value={one.days}
                onChange={(days) => change(one.key, { days: days as Schemas["DayOfWeek"][] })}
              >
                <div className="strip">
                  {DAYS.map(([day, word]) => (
                    <Checkbox key={day} size="xs" value={day} label={t(word)} />
                  ))}
                </div>
              </Checkbox.Group>
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={t("Remove the line")}
                disabled={lines.length === 1}
                onClick={() => setLines(lines.filter((other) => other.key !== one.key))}
              >
                <IconTrash size={16} aria-hidden />
              </ActionIcon>
            </div>
          ))}
          <Group justify="space-between">
            <Button
              variant="default"
              size="xs"
              onClick={() =>
                setLines([
                  ...lines,
                  { key: nextLine++, type: "PARKING_TIME", price: "2.00", vat: "19", from: "", to: "", days: [] },
                ])
              }
            >
              {t("Another line")}
            </Button>
            <Button type="submit">{t("Save")}</Button>
          </Group>
          {tariff !== null && (
            <p className="small faint">
              {t("A change makes a new version: sessions that run keep the one they began with.")}
            </p>
          )}
        </Stack>
      </form>
    </Dialog>
  );
}
