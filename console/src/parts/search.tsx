import { Modal, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { api, asked } from "../api/client";
import { type Text, useText } from "../i18n/text";
import { fleet, useFleet } from "../live/fleet";
import { useViewer } from "../session";

interface Hit {
  key: string;
  kind: Text;
  title: string;
  more: string;
  to: string;
}

const PAGES: readonly [Text, string, "admin"?][] = [
  ["Overview", "/"],
  ["Stations", "/stations"],
  ["Sites", "/sites"],
  ["Transactions", "/transactions"],
  ["Smart charging", "/charging"],
  ["Load groups", "/groups"],
  ["Tokens", "/tokens"],
  ["Tariffs", "/tariffs"],
  ["Messages", "/messages"],
  ["Commands", "/commands"],
  ["Keys", "/keys", "admin"],
  ["Reservations", "/reservations"],
  ["Firmware and logs", "/jobs"],
  ["Security", "/security"],
  ["Administration", "/people", "admin"],
];

const LONG = { retry: false, staleTime: 60_000 } as const;
const FEW = { params: { query: { limit: 200 } } } as const;

interface Named {
  kind: Text;
  title: string;
  more: string;
  to: string;
}

/** What there is few of, by its names: read when the search opens, and kept for a minute. */
function useNamed(opened: boolean, admin: boolean): readonly Named[] {
  const sites = useQuery({
    ...LONG,
    enabled: opened,
    queryKey: ["search", "sites"],
    queryFn: () => asked(api.GET("/api/v1/sites", FEW)),
  });
  const locations = useQuery({
    ...LONG,
    enabled: opened,
    queryKey: ["search", "locations"],
    queryFn: () => asked(api.GET("/api/v1/locations", FEW)),
  });
  const groups = useQuery({
    ...LONG,
    enabled: opened,
    queryKey: ["search", "groups"],
    queryFn: () => asked(api.GET("/api/v1/load-groups", FEW)),
  });
  const tariffs = useQuery({
    ...LONG,
    enabled: opened,
    queryKey: ["search", "tariffs"],
    queryFn: () => asked(api.GET("/api/v1/tariffs", FEW)),
  });
  const users = useQuery({
    ...LONG,
    enabled: opened && admin,
    queryKey: ["search", "users"],
    queryFn: () => asked(api.GET("/api/v1/users", FEW)),
  });
  return useMemo<Named[]>(
    () => [
      ...(sites.data?.items ?? []).map(
        (one): Named => ({ kind: "Site", title: one.name, more: "", to: `/sites/${one.id}` }),
      ),
      ...(locations.data?.items ?? []).map(
        (one): Named => ({
          kind: "Location",
          title: one.name,
          more: one.address ?? "",
          to: `/stations?text=${encodeURIComponent(one.name)}`,
        }),
      ),
      ...(groups.data?.items ?? []).map(
        (one): Named => ({ kind: "Load group", title: one.name, more: "", to: "/groups" }),
      ),
      ...(tariffs.data?.items ?? []).map(
        (one): Named => ({
          kind: "Tariff",
          title: one.terms.alt_text ?? `#${one.id}`,
          more: one.terms.currency,
          to: "/tariffs",
        }),
      ),
      ...(users.data?.items ?? []).map(
        (one): Named => ({ kind: "User", title: one.name, more: one.full_name ?? "", to: "/people" }),
      ),
    ],
    [sites.data, locations.data, groups.data, tariffs.data, users.data],
  );
}

/** Search over everything: stations, sites, transactions, tokens, tariffs, messages, pages. */
export default function Search({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useText();
  const go = useNavigate();
  const viewer = useViewer();
  const admin = viewer.may("admin");
  const ids = useFleet((all) => all.ids);
  const named = useNamed(opened, admin);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [asking] = useDebouncedValue(text.trim(), 200);
  const quiet = { retry: false, staleTime: 15_000 } as const;
  const token = useQuery({
    ...quiet,
    queryKey: ["search", "token", asking],
    enabled: asking.length >= 3,
    queryFn: () => asked(api.GET("/api/v1/tokens/{value}", { params: { path: { value: asking } } })),
  });
  const number = /^\d{1,15}$/.test(asking) ? Number(asking) : null;
  const transaction = useQuery({
    ...quiet,
    queryKey: ["search", "transaction", asking],
    enabled: number !== null,
    queryFn: () => asked(api.GET("/api/v1/transactions/{number}", { params: { path: { number: number! } } })),
  });
  const ofToken = useQuery({
    ...quiet,
    queryKey: ["search", "of token", asking],
    enabled: asking.length >= 3,
    queryFn: () => asked(api.GET("/api/v1/transactions", { params: { query: { id_token: asking, limit: 5 } } })),
  });
  const hits = useMemo<Hit[]>(() => {
    const needle = text.trim().toLowerCase();
    const found: Hit[] = [];
    if (transaction.data && number !== null)
      found.push({
        key: `tx ${number}`,
        kind: "Transaction",
        title: String(number),
        more: transaction.data.station_id,
        to: `/transactions/${number}`,
      });
    if (needle !== "")
      for (const id of ids) {
        const station = fleet.entry(id)?.station;
        const all = `${id} ${station?.name ?? ""} ${station?.identity?.vendor_name ?? ""} ${station?.identity?.model ?? ""} ${station?.identity?.serial_number ?? ""} ${station?.identity?.firmware_version ?? ""}`;
        if (!all.toLowerCase().includes(needle)) continue;
        found.push({
          key: `station ${id}`,
          kind: "Station",
          title: station?.name ?? id,
          more: [station?.name && id, station?.identity?.model].filter(Boolean).join(" · "),
          to: `/stations/${encodeURIComponent(id)}`,
        });
        if (found.length > 8) break;
      }
    if (token.data)
      found.push({
        key: "token",
        kind: "Token",
        title: token.data.value,
        more: token.data.note ?? token.data.standing ?? "",
        to: `/transactions?token=${encodeURIComponent(token.data.value)}`,
      });
    for (const one of ofToken.data?.items ?? [])
      found.push({
        key: `tx ${one.number}`,
        kind: "Transaction",
        title: String(one.number),
        more: `${one.station_id} · ${one.id_token}`,
        to: `/transactions/${one.number}`,
      });
    if (needle !== "")
      for (const one of named)
        if (`${one.title} ${one.more}`.toLowerCase().includes(needle))
          found.push({ key: `${one.kind} ${one.title}`, ...one });
    for (const [name, to, needs] of PAGES)
      if ((needs === undefined || admin) && t(name).toLowerCase().includes(needle))
        found.push({ key: to, kind: "Page", title: t(name), more: "", to });
    if (needle.length >= 3)
      found.push({
        key: "messages",
        kind: "Messages",
        title: t("Messages with “{text}”", { text: text.trim() }),
        more: "",
        to: `/messages?text=${encodeURIComponent(text.trim())}`,
      });
    return [...new Map(found.map((one) => [one.key, one])).values()].slice(0, 16);
  }, [text, ids, named, admin, token.data, transaction.data, ofToken.data, number, t]);
  // Another text begins at the first hit.
  useEffect(() => setAt(0), [text]);
  const chosen = hits[Math.min(at, hits.length - 1)];
  function take(hit: Hit | undefined) {
    if (hit === undefined) return;
    setText("");
    close();
    go(hit.to);
  }
  function press(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((Math.min(at, hits.length - 1) + step + hits.length) % Math.max(1, hits.length));
    } else if (event.key === "Enter") take(chosen);
  }
  return (
    <Modal
      opened={opened}
      onClose={close}
      withCloseButton={false}
      padding="sm"
      size="lg"
      aria-label={t("Search")}
      yOffset="12vh"
    >
      <TextInput
        data-autofocus
        role="combobox"
        aria-label={t("Search")}
        aria-expanded
        aria-controls="hits"
        aria-activedescendant={chosen === undefined ? undefined : `hit ${chosen.key}`.replaceAll(/[^\w/]+/g, "-")}
        placeholder={t("Station, transaction number, whole token, page …")}
        leftSection={<IconSearch size={16} aria-hidden />}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={press}
      />
      <div role="listbox" id="hits" aria-label={t("Found")} className="hits">
        {hits.map((hit) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus, arrows choose
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field hears the keys
          <div
            key={hit.key}
            id={`hit ${hit.key}`.replaceAll(/[^\w/]+/g, "-")}
            role="option"
            aria-selected={hit === chosen}
            className="hit"
            onClick={() => take(hit)}
          >
            <b>{hit.title}</b> <span className="faint small grow">{hit.more}</span>
            <span className="faint small">{t(hit.kind)}</span>
          </div>
        ))}
      </div>
      {hits.length === 0 && <p className="faint small">{t("Nothing is called that.")}</p>}
    </Modal>
  );
}
