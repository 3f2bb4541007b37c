import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, asked, everyPage, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { Empty, Pill } from "./basics";
import { Between, instantOf, useFilters, Views } from "./filters";
import { Pages, usePages } from "./more";
import { Rows } from "./rows";

type Entry = Schemas["AuditResource"];

const ACTORS: Record<Entry["actor"], Text> = {
  user: "User",
  key: "API key",
  anybody: "anybody, as nobody has to sign in here",
  nobody: "who did not get in",
  program: "command line",
};

/** Who changed what, by whoever, whatever and whenever one looks for. */
export function Audit() {
  const { t } = useText();
  const format = useFormat();
  const [filters, filter] = useFilters("actor", "operation", "path", "since", "until");
  const [opened, open] = useState<number | null>(null);
  const [path] = useDebouncedValue(filters.path.trim(), 300);
  const query = {
    actor_id: filters.actor || undefined,
    operation: filters.operation || undefined,
    path: path === "" ? undefined : path.startsWith("/") ? path : `/api/v1/${path}`,
    since: instantOf(filters.since),
    until: instantOf(filters.until),
  };
  const found = usePages(["audit", query], (cursor) =>
    asked(api.GET("/api/v1/audit", { params: { query: { ...query, cursor, limit: 50 } } })),
  );
  const actors = useActors(found.items ?? []);
  const operations = useOperations(filters.operation);
  const filtered = Object.values(filters).some((value) => value !== "");
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t("Audit log")}</h2>
        <Views />
      </div>
      <div className="strip controls">
        <Select
          size="xs"
          searchable
          clearable
          aria-label={t("By")}
          placeholder={t("by anybody")}
          data={actors}
          value={filters.actor || null}
          onChange={(value) => filter({ actor: value ?? "" })}
        />
        <Select
          size="xs"
          w={280}
          searchable
          clearable
          limit={100}
          aria-label={t("What happened")}
          placeholder={t("whatever happened")}
          data={operations}
          value={filters.operation || null}
          onChange={(value) => filter({ operation: value ?? "" })}
        />
        <TextInput
          size="xs"
          aria-label={t("Where")}
          placeholder={t("stations/CP-1, tariffs …")}
          value={filters.path}
          onChange={(event) => filter({ path: event.currentTarget.value })}
          maxLength={200}
        />
        <Between filters={filters} filter={filter} />
        {filtered && (
          <Button
            size="compact-xs"
            variant="subtle"
            onClick={() => filter({ actor: "", operation: "", path: "", since: "", until: "" })}
          >
            {t("Take the filter away")}
          </Button>
        )}
      </div>
      <Pages
        of={found}
        none={
          filtered ? (
            <Empty title={t("Nothing like that")}>{t("Take the filter away to see all.")}</Empty>
          ) : (
            <Empty title={t("Nothing yet")}>{t("Whatever anybody changes is entered here.")}</Empty>
          )
        }
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.id}
            below={(one) => opened === one.id && <Details of={one} />}
            columns={[
              { name: "Time", cell: (one) => format.dateTime(one.at) },
              {
                name: "By",
                cell: (one) => (
                  <>
                    <b>{one.actor_name}</b>{" "}
                    <span className="small faint">
                      {[t(ACTORS[one.actor]), one.address].filter(Boolean).join(" · ")}
                    </span>
                  </>
                ),
              },
              { name: "What happened", cell: (one) => one.operation.replaceAll("_", " ") },
              { name: "Where", cell: (one) => <span className="mono">{one.path.replace(/^\/api\/v1\//, "")}</span> },
              {
                name: "Outcome",
                cell: (one) => (
                  <Pill tone={one.status === null ? "warn" : one.status < 400 ? "good" : "bad"}>
                    {one.status ?? t("none")}
                  </Pill>
                ),
              },
              {
                name: null,
                cell: (one) => (
                  <Button
                    size="compact-xs"
                    variant="subtle"
                    aria-expanded={opened === one.id}
                    onClick={() => open(opened === one.id ? null : one.id)}
                  >
                    {t("Details")}
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Pages>
    </section>
  );
}

/** Who can have done something: users and keys that there are, and whoever is in the entries. */
function useActors(entries: readonly Entry[]) {
  const users = useQuery({
    queryKey: ["users", "names"],
    queryFn: () =>
      everyPage((cursor) => asked(api.GET("/api/v1/users", { params: { query: { cursor, limit: 500 } } }))),
    staleTime: 60_000,
  });
  const keys = useQuery({
    queryKey: ["keys", "names"],
    queryFn: () => asked(api.GET("/api/v1/api-keys")),
    staleTime: 60_000,
  });
  const names = new Map<string, string>();
  for (const one of entries) if (one.actor_id !== null) names.set(one.actor_id, one.actor_name);
  for (const one of [...(users.data ?? []), ...(keys.data?.items ?? [])]) names.set(one.id, one.name);
  return [...names].map(([value, label]) => ({ value, label })).sort((a, b) => a.label.localeCompare(b.label));
}

interface Description {
  paths: Record<string, Record<string, { operationId?: string; summary?: string }>>;
}

/** All operations that change something, from the API's own description. */
function useOperations(chosen: string) {
  const found = useQuery({
    queryKey: ["openapi"],
    queryFn: async () => (await (await fetch("/api/v1/openapi.json")).json()) as Description,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  const ids = new Set(chosen === "" ? [] : [chosen]);
  for (const path of Object.values(found.data?.paths ?? {}))
    for (const [method, one] of Object.entries(path))
      if (method !== "get" && one.operationId !== undefined) ids.add(one.operationId);
  return [...ids].sort().map((value) => ({ value, label: value.replaceAll("_", " ") }));
}

/** What was asked for, and what it changed. */
function Details({ of: entry }: { of: Entry }) {
  const { t } = useText();
  const changes = changesOf(entry.before, entry.after);
  return (
    <>
      {changes !== null && (
        <table className="plain changes">
          <thead>
            <tr>
              <th>{t("Field")}</th>
              <th>{t("Before")}</th>
              <th>{t("After")}</th>
            </tr>
          </thead>
          <tbody>
            {changes.map(([name, before, after]) => (
              <tr key={name}>
                <td>{name}</td>
                <td className="mono wrap">{JSON.stringify(before) ?? "–"}</td>
                <td className="mono wrap">{JSON.stringify(after) ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {entry.request !== null && (
        <>
          <span className="small faint">{t("What was asked for")}</span>
          <pre className="frame">{JSON.stringify(entry.request, null, 2)}</pre>
        </>
      )}
      {changes === null && (entry.before ?? entry.after) !== null && (
        <>
          <span className="small faint">{entry.before === null ? t("After") : t("Before")}</span>
          <pre className="frame">{JSON.stringify(entry.before ?? entry.after, null, 2)}</pre>
        </>
      )}
      {entry.request === null && entry.before === null && entry.after === null && (
        <span className="small faint">{t("Nothing was sent along, and nothing said in answer.")}</span>
      )}
    </>
  );
}

function changesOf(before: unknown, after: unknown): [string, unknown, unknown][] | null {
  if (typeof before !== "object" || typeof after !== "object" || before === null || after === null) return null;
  const [was, is] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  const changed = names.filter((name) => JSON.stringify(was[name]) !== JSON.stringify(is[name]));
  return changed.map((name) => [name, was[name], is[name]]);
}
