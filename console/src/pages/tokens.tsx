import { ActionIcon, Button, Group, NumberInput, Select, Stack, TextInput, Tooltip } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconPencil, IconPlus, IconTrash, IconUpload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { Link } from "react-router";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { Empty, PageHead, Pill } from "../parts/basics";
import { Dialog } from "../parts/dialog";
import { Pages, usePages } from "../parts/more";
import { useDeed, useQuestion } from "../parts/outcome";
import { useViewer } from "../session";
import { ImportTokens } from "./of-tokens/import";

type Token = Schemas["TokenResource"];

const STANDINGS: readonly [Schemas["AuthorizationStatus"], Text][] = [
  ["Accepted", "may charge"],
  ["Blocked", "blocked"],
  ["NoCredit", "no credit"],
  ["Invalid", "invalid"],
];
const TYPES: Schemas["IdTokenType"][] = [
  "ISO14443",
  "ISO15693",
  "Central",
  "eMAID",
  "EVCCID",
  "KeyCode",
  "Local",
  "MacAddress",
  "VIN",
];

export default function TokensPage() {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const [editing, edit] = useState<Token | "new" | null>(null);
  const [importing, setImporting] = useState(false);
  const [text, setText] = useState("");
  const found = usePages(["tokens"], (cursor) =>
    asked(api.GET("/api/v1/tokens", { params: { query: { cursor, limit: 200 } } })),
  );
  // A filter is for those that are loaded; a whole token is found wherever it is.
  const [whole] = useDebouncedValue(text.trim(), 300);
  const exact = useQuery({
    queryKey: ["tokens", "exact", whole],
    enabled: whole.length >= 3,
    retry: false,
    queryFn: () => asked(api.GET("/api/v1/tokens/{value}", { params: { path: { value: whole } } })),
  });
  const shown = useMemo(() => {
    const needle = text.trim().toLowerCase();
    const loaded = found.items?.filter((one) =>
      `${one.value} ${one.group ?? ""} ${one.note ?? ""}`.toLowerCase().includes(needle),
    );
    const also = exact.data;
    return also === undefined || needle === "" || loaded?.some((one) => one.value === also.value)
      ? loaded
      : [also, ...(loaded ?? [])];
  }, [found.items, text, exact.data]);
  const remove = (one: Token) =>
    ask({
      title: t("Remove the token"),
      what: t(
        "{token} can no longer begin to charge where strangers are refused. What it charged stays in the books.",
        { token: one.value },
      ),
      yes: t("Remove"),
      danger: true,
      deed: () =>
        deed(
          t("Remove the token"),
          () => asked(api.DELETE("/api/v1/tokens/{value}", { params: { path: { value: one.value } } })),
          ["tokens"],
        ),
    });
  return (
    <>
      {question}
      <PageHead title={t("Tokens")} lead={t("Cards, apps and contracts that may charge")}>
        <TextInput
          aria-label={t("Filter")}
          placeholder={t("Filter")}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        {viewer.may("write") && (
          <>
            <Button
              variant="default"
              leftSection={<IconUpload size={16} aria-hidden />}
              onClick={() => setImporting(true)}
            >
              {t("From a list")}
            </Button>
            <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => edit("new")}>
              {t("Enter a token")}
            </Button>
          </>
        )}
      </PageHead>
      <section className="card">
        <Pages
          of={{ ...found, items: shown }}
          none={
            <Empty title={t("No token")}>
              {t("Enter the cards of those who may charge, or take the filter away.")}
            </Empty>
          }
        >
          {(items) => (
            <table className="plain stack">
              <thead>
                <tr>
                  <th>{t("Token")}</th>
                  <th>{t("Kind")}</th>
                  <th>{t("Standing")}</th>
                  <th>{t("Valid until")}</th>
                  <th>{t("Group")}</th>
                  <th>{t("Note")}</th>
                  <th>
                    <span className="away">{t("Change")}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {items.map((one) => (
                  <tr key={one.value}>
                    <td className="mono" data-label={t("Token")}>
                      <Link className="link" to={`/transactions?token=${encodeURIComponent(one.value)}`}>
                        {one.value}
                      </Link>
                    </td>
                    <td data-label={t("Kind")}>{one.type}</td>
                    <td data-label={t("Standing")}>
                      <Standing of={one} />
                    </td>
                    <td data-label={t("Valid until")}>
                      {one.expires_at === null ? t("always") : format.dateTime(one.expires_at)}
                    </td>
                    <td data-label={t("Group")}>{one.group ?? "–"}</td>
                    <td className="wrap" data-label={t("Note")}>
                      {one.note ?? "–"}
                    </td>
                    <td className="num">
                      {viewer.may("write") && (
                        <>
                          <Tooltip label={t("Change")}>
                            <ActionIcon
                              variant="subtle"
                              aria-label={t("Change {name}", { name: one.value })}
                              onClick={() => edit(one)}
                            >
                              <IconPencil size={16} aria-hidden />
                            </ActionIcon>
                          </Tooltip>
                          <Tooltip label={t("Remove")}>
                            <ActionIcon
                              variant="subtle"
                              color="gray"
                              aria-label={t("Remove {name}", { name: one.value })}
                              onClick={() => remove(one)}
                            >
                              <IconTrash size={16} aria-hidden />
                            </ActionIcon>
                          </Tooltip>
                        </>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </Pages>
      </section>
      {importing && <ImportTokens close={() => setImporting(false)} />}
      {editing !== null && <Edit token={editing === "new" ? null : editing} close={() => edit(null)} />}
    </>
  );
}

function Standing({ of: one }: { of: Token }) {
  const { t } = useText();
  const word = STANDINGS.find(([name]) => name === one.standing)?.[1];
  return <Pill tone={one.standing === "Accepted" ? "good" : "bad"}>{word === undefined ? one.standing : t(word)}</Pill>;
}

function Edit({ token, close }: { token: Token | null; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [value, setValue] = useState(token?.value ?? "");
  const [type, setType] = useState<string | null>(token?.type ?? "ISO14443");
  const [standing, setStanding] = useState<string | null>(token?.standing ?? "Accepted");
  const [until, setUntil] = useState(token?.expires_at ? localInput(token.expires_at) : "");
  const [group, setGroup] = useState(token?.group ?? "");
  const [priority, setPriority] = useState(token?.charging_priority ?? 0);
  const [note, setNote] = useState(token?.note ?? "");
  async function submit(event: FormEvent) {
    event.preventDefault();
    const done = await deed(
      token === null ? t("Enter a token") : t("Change the token"),
      () =>
        asked(
          api.PUT("/api/v1/tokens/{value}", {
            params: { path: { value: value.trim() } },
            body: {
              type: type as Token["type"],
              standing: standing as Token["standing"],
              expires_at: until ? new Date(until).toISOString() : null,
              group: group.trim() || null,
              charging_priority: priority,
              note: note.trim() || null,
            },
          }),
        ),
      ["tokens"],
    );
    if (done !== undefined) close();
  }
  return (
    <Dialog close={close} title={token === null ? t("Enter a token") : t("Change the token")}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={t("Token")}
            description={t("As the station tells it: of a card its number.")}
            value={value}
            onChange={(event) => setValue(event.currentTarget.value)}
            disabled={token !== null}
            required
            data-autofocus={token === null || undefined}
          />
          <Select label={t("Kind")} data={TYPES} value={type} onChange={setType} allowDeselect={false} />
          <Select
            label={t("Standing")}
            data={STANDINGS.map(([name, word]) => ({ value: name, label: t(word) }))}
            value={standing}
            onChange={setStanding}
            allowDeselect={false}
          />
          <TextInput
            type="datetime-local"
            label={t("Valid until")}
            value={until}
            onChange={(event) => setUntil(event.currentTarget.value)}
          />
          <TextInput
            label={t("Group")}
            description={t("Tokens of a group may stop each other's transactions.")}
            value={group}
            onChange={(event) => setGroup(event.currentTarget.value)}
          />
          <NumberInput
            label={t("Charging priority")}
            min={-9}
            max={9}
            value={priority}
            onChange={(found) => setPriority(Number(found))}
          />
          <TextInput label={t("Note")} value={note} onChange={(event) => setNote(event.currentTarget.value)} />
          <Group justify="flex-end">
            <Button type="submit">{t("Save")}</Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

/** An instant as a field for date and time wants it: in the viewer's zone. */
export function localInput(instant: string): string {
  const at = new Date(instant);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
