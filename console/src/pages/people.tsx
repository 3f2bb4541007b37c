import { Alert, Button, CopyButton, MultiSelect, Select, Stack, Tabs, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { Audit } from "../parts/audit";
import { Empty, PageHead, Pill } from "../parts/basics";
import { Dialog } from "../parts/dialog";
import { useFilters } from "../parts/filters";
import { Pages, usePages } from "../parts/more";
import { useDeed, useQuestion } from "../parts/outcome";
import { Rows } from "../parts/rows";
import { Sheet } from "../parts/sheet";
import { useLocations } from "./overview";

type User = Schemas["UserResource"];
type Webhook = Schemas["WebhookResource"];

const ROLES: readonly [Schemas["Role"], Text, Text][] = [
  ["viewer", "Viewer", "sees everything, changes nothing"],
  ["operator", "Operator", "commands stations and changes what is in the books"],
  ["admin", "Administrator", "users, keys and webhooks as well"],
];

export default function PeoplePage() {
  const { t } = useText();
  const [filters, filter] = useFilters("tab");
  return (
    <>
      <PageHead title={t("Administration")} lead={t("Who may do what, who is told, and who did what")} />
      <Tabs value={filters.tab || "users"} onChange={(tab) => filter({ tab: tab ?? "" })} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="users">{t("Users")}</Tabs.Tab>
          <Tabs.Tab value="webhooks">{t("Webhooks")}</Tabs.Tab>
          <Tabs.Tab value="audit">{t("Audit log")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="users" pt="sm">
          <Users />
        </Tabs.Panel>
        <Tabs.Panel value="webhooks" pt="sm">
          <Webhooks />
        </Tabs.Panel>
        <Tabs.Panel value="audit" pt="sm">
          <Audit />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** Something that is shown once. */
function Secret({ title, secret, close }: { title: string; secret: string; close: () => void }) {
  const { t } = useText();
  return (
    <Dialog close={close} title={title}>
      <Stack>
        <Alert color="orange">{t("This is shown once, and kept by nobody here: copy it now.")}</Alert>
        <pre className="frame">{secret}</pre>
        <CopyButton value={secret}>
          {({ copied, copy }) => <Button onClick={copy}>{copied ? t("Copied") : t("Copy")}</Button>}
        </CopyButton>
      </Stack>
    </Dialog>
  );
}

function Users() {
  const { t } = useText();
  const format = useFormat();
  const deed = useDeed();
  const locations = useLocations();
  const [question, ask] = useQuestion();
  const [editing, edit] = useState<User | "new" | null>(null);
  const [secret, show] = useState<string | null>(null);
  const found = usePages(["users"], (cursor) =>
    asked(api.GET("/api/v1/users", { params: { query: { cursor, limit: 100 } } })),
  );
  const path = (one: User) => ({ params: { path: { user_id: one.id } } });
  const fresh = (one: User) =>
    ask({
      title: t("New password for {name}", { name: one.name }),
      what: t(
        "The old one no longer counts, and {name} is signed out everywhere. You get a password for one use to hand over.",
        { name: one.name },
      ),
      yes: t("New password"),
      deed: async () => {
        const done = await deed(
          t("New password"),
          () => asked(api.POST("/api/v1/users/{user_id}/one-time-password", path(one))),
          ["users"],
        );
        if (done) show(done.one_time_password);
      },
    });
  const remove = (one: User) =>
    ask({
      title: t("Remove {name}", { name: one.name }),
      what: t("{name} is signed out and can't come back. What they did stays in the audit log.", { name: one.name }),
      yes: t("Remove"),
      danger: true,
      deed: () => deed(t("Remove"), () => asked(api.DELETE("/api/v1/users/{user_id}", path(one))), ["users"]),
    });
  return (
    <section className="card">
      {question}
      <div className="card-head">
        <h2>{t("Users")}</h2>
        <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => edit("new")}>
          {t("Add somebody")}
        </Button>
      </div>
      <Pages
        of={found}
        none={<Empty title={t("Nobody yet")}>{t("Add those who shall work with this console.")}</Empty>}
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.id}
            columns={[
              {
                name: "Name",
                cell: (one) => (
                  <>
                    <b>{one.name}</b> <span className="faint">{one.full_name}</span>
                  </>
                ),
              },
              { name: "Role", cell: (one) => t(ROLES.find(([role]) => role === one.role)![1]) },
              {
                name: "Where",
                cell: (one) =>
                  one.location_ids === null
                    ? t("everywhere")
                    : one.location_ids.map((id) => locations.get(id) ?? id).join(", "),
              },
              { name: "Last here", cell: (one) => format.dateTime(one.last_sign_in_at) },
              {
                name: "State",
                cell: (one) =>
                  one.disabled_at !== null ? (
                    <Pill tone="bad">{t("locked out")}</Pill>
                  ) : one.one_time ? (
                    <Pill tone="warn">{t("has not come yet")}</Pill>
                  ) : (
                    <Pill tone="good">{t("active")}</Pill>
                  ),
              },
              {
                name: null,
                cell: (one) => (
                  <>
                    <Button size="compact-xs" variant="subtle" onClick={() => edit(one)}>
                      {t("Change")}
                    </Button>
                    <Button size="compact-xs" variant="subtle" onClick={() => fresh(one)}>
                      {t("New password")}
                    </Button>
                    <Button size="compact-xs" variant="subtle" color="red" onClick={() => remove(one)}>
                      {t("Remove")}
                    </Button>
                  </>
                ),
              },
            ]}
          />
        )}
      </Pages>
      {editing !== null && <EditUser user={editing === "new" ? null : editing} close={() => edit(null)} show={show} />}
      {secret !== null && <Secret title={t("A password for one use")} secret={secret} close={() => show(null)} />}
    </section>
  );
}

function EditUser({ user, close, show }: { user: User | null; close: () => void; show: (secret: string) => void }) {
  const { t } = useText();
  const deed = useDeed();
  const locations = useLocations();
  const [name, setName] = useState(user?.name ?? "");
  const [full, setFull] = useState(user?.full_name ?? "");
  const [role, setRole] = useState<string | null>(user?.role ?? "viewer");
  const [places, setPlaces] = useState<string[]>(user?.location_ids?.map(String) ?? []);
  const [disabled, setDisabled] = useState(user !== null && user.disabled_at !== null);
  const title = user === null ? t("Add somebody") : t("Change {name}", { name: user.name });
  const body = {
    name: name.trim(),
    full_name: full.trim() || null,
    role: role as Schemas["Role"],
    location_ids: places.length > 0 ? places.map(Number) : null,
  };
  return (
    <Sheet
      title={title}
      yes={t("Save")}
      close={close}
      submit={async () => {
        if (user !== null)
          return deed(
            title,
            () =>
              asked(
                api.PATCH("/api/v1/users/{user_id}", {
                  params: { path: { user_id: user.id } },
                  body: { ...body, disabled },
                }),
              ),
            ["users"],
          );
        const made = await deed(title, () => asked(api.POST("/api/v1/users", { body })), ["users"]);
        if (made) show(made.one_time_password);
        return made;
      }}
    >
      <TextInput
        label={t("Name")}
        description={t("To sign in with.")}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        required
        data-autofocus
      />
      <TextInput label={t("Full name")} value={full} onChange={(event) => setFull(event.currentTarget.value)} />
      <Select
        label={t("Role")}
        data={ROLES.map(([value, word, what]) => ({ value, label: `${t(word)}: ${t(what)}` }))}
        value={role}
        onChange={setRole}
        allowDeselect={false}
      />
      <MultiSelect
        label={t("Only these locations")}
        description={t("None chosen: everywhere.")}
        data={[...locations].map(([id, label]) => ({ value: String(id), label }))}
        value={places}
        onChange={setPlaces}
      />
      {user !== null && (
        <Select
          label={t("State")}
          data={[
            { value: "no", label: t("active") },
            { value: "yes", label: t("locked out") },
          ]}
          value={disabled ? "yes" : "no"}
          onChange={(value) => setDisabled(value === "yes")}
          allowDeselect={false}
        />
      )}
    </Sheet>
  );
}

function Webhooks() {
  const { t } = useText();
  const format = useFormat();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const [adding, add] = useState(false);
  const [secret, show] = useState<string | null>(null);
  const [opened, open] = useState<string | null>(null);
  const found = usePages(["webhooks"], (cursor) =>
    asked(api.GET("/api/v1/webhooks", { params: { query: { cursor, limit: 100 } } })),
  );
  const path = (one: Webhook) => ({ params: { path: { webhook_id: one.id } } });
  const remove = (one: Webhook) =>
    ask({
      title: t("Remove the webhook"),
      what: t("{url} is told nothing any more; what still waits for it is dropped.", { url: one.url }),
      yes: t("Remove"),
      danger: true,
      deed: () =>
        deed(t("Remove the webhook"), () => asked(api.DELETE("/api/v1/webhooks/{webhook_id}", path(one))), [
          "webhooks",
        ]),
    });
  return (
    <section className="card">
      {question}
      <div className="card-head">
        <h2>{t("Webhooks")}</h2>
        <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => add(true)}>
          {t("Add a webhook")}
        </Button>
      </div>
      <Pages
        of={found}
        none={
          <Empty title={t("No webhook")}>
            {t("Another program is told of events at an address of its own, signed, and again until it answers.")}
          </Empty>
        }
      >
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.id}
            columns={[
              { name: "Address", cell: (one) => <span className="mono">{one.url}</span> },
              { name: "Events", cell: (one) => one.event_types?.join(", ") ?? t("all") },
              { name: "Note", cell: (one) => one.note },
              {
                name: "State",
                cell: (one) =>
                  one.active ? <Pill tone="good">{t("active")}</Pill> : <Pill tone="quiet">{t("paused")}</Pill>,
              },
              {
                name: null,
                cell: (one) => (
                  <>
                    <Button size="compact-xs" variant="subtle" onClick={() => open(opened === one.id ? null : one.id)}>
                      {t("Deliveries")}
                    </Button>
                    <Button
                      size="compact-xs"
                      variant="subtle"
                      onClick={() =>
                        void deed(
                          t("Change"),
                          () =>
                            asked(
                              api.PATCH("/api/v1/webhooks/{webhook_id}", {
                                ...path(one),
                                body: { active: !one.active },
                              }),
                            ),
                          ["webhooks"],
                        )
                      }
                    >
                      {one.active ? t("Pause") : t("Go on")}
                    </Button>
                    <Button size="compact-xs" variant="subtle" color="red" onClick={() => remove(one)}>
                      {t("Remove")}
                    </Button>
                  </>
                ),
              },
            ]}
          />
        )}
      </Pages>
      {opened !== null && <Deliveries id={opened} format={format} />}
      {adding && <AddWebhook close={() => add(false)} show={show} />}
      {secret !== null && <Secret title={t("What it signs with")} secret={secret} close={() => show(null)} />}
    </section>
  );
}

function Deliveries({ id, format }: { id: string; format: ReturnType<typeof useFormat> }) {
  const { t } = useText();
  const deed = useDeed();
  const found = usePages(["deliveries", id], (cursor) =>
    asked(
      api.GET("/api/v1/webhooks/{webhook_id}/deliveries", {
        params: { path: { webhook_id: id }, query: { cursor, limit: 20 } },
      }),
    ),
  );
  return (
    <div className="section">
      <h3 className="group">{t("Deliveries")}</h3>
      <Pages of={found} none={<Empty title={t("None yet")} />}>
        {(items) => (
          <Rows
            items={items}
            by={(one) => one.number}
            columns={[
              { name: "Time", cell: (one) => format.dateTime(one.created_at) },
              { name: "Event", cell: (one) => one.event_type },
              {
                name: "State",
                cell: (one) => (
                  <Pill tone={one.state === "delivered" ? "good" : one.state === "waiting" ? "info" : "bad"}>
                    {one.state}
                  </Pill>
                ),
              },
              {
                name: null,
                cell: (one) => (
                  <Button
                    size="compact-xs"
                    variant="subtle"
                    onClick={() =>
                      void deed(
                        t("Send again"),
                        () =>
                          asked(
                            api.POST("/api/v1/webhooks/{webhook_id}/deliveries/{number}/resend", {
                              params: { path: { webhook_id: id, number: one.number } },
                            }),
                          ),
                        ["deliveries"],
                      )
                    }
                  >
                    {t("Send again")}
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Pages>
    </div>
  );
}

function AddWebhook({ close, show }: { close: () => void; show: (secret: string) => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [url, setUrl] = useState("");
  const [types, setTypes] = useState<string[]>([]);
  const [note, setNote] = useState("");
  return (
    <Sheet
      title={t("Add a webhook")}
      yes={t("Add")}
      close={close}
      submit={async () => {
        const made = await deed(
          t("Add a webhook"),
          () =>
            asked(
              api.POST("/api/v1/webhooks", {
                body: { url, event_types: types.length > 0 ? types : null, note: note.trim() || null },
              }),
            ),
          ["webhooks"],
        );
        if (made) show(made.secret);
        return made;
      }}
    >
      <TextInput
        label={t("Address")}
        type="url"
        placeholder="https://…"
        value={url}
        onChange={(event) => setUrl(event.currentTarget.value)}
        required
        data-autofocus
      />
      <MultiSelect
        label={t("Events")}
        description={t("None chosen: all.")}
        searchable
        data={EVENTS}
        value={types}
        onChange={setTypes}
      />
      <TextInput label={t("Note")} value={note} onChange={(event) => setNote(event.currentTarget.value)} />
    </Sheet>
  );
}

const EVENTS = [
  "station.connected",
  "station.disconnected",
  "station.booted",
  "connector.status",
  "transaction.started",
  "transaction.updated",
  "transaction.ended",
  "command.updated",
  "configuration.drift",
  "session.updated",
  "cdr.created",
  "payment.updated",
  "site.alarm",
];
