import { Alert, Button, Checkbox, CopyButton, Group, Stack, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, asked, type Schemas } from "../api/client";
import { useFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { Empty, PageHead, Pill, Shown } from "../parts/basics";
import { Dialog } from "../parts/dialog";
import { useDeed, useQuestion } from "../parts/outcome";
import { Wide } from "../parts/wide";

const SCOPES: readonly [Schemas["ApiScope"], Text][] = [
  ["read", "look"],
  ["write", "command and change"],
  ["admin", "users and keys"],
];

export default function KeysPage() {
  const { t } = useText();
  const format = useFormat();
  const deed = useDeed();
  const [question, ask] = useQuestion();
  const [adding, add] = useState(false);
  const found = useQuery({ queryKey: ["keys"], queryFn: () => asked(api.GET("/api/v1/api-keys")) });
  return (
    <>
      {question}
      <PageHead title={t("Keys")} lead={t("With which other programs come to the API")}>
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => add(true)}>
          {t("Make a key")}
        </Button>
      </PageHead>
      <section className="card">
        <Shown of={found}>
          {(keys) =>
            keys.items.length === 0 ? (
              <Empty title={t("No key")}>{t("Make one for each program, with no more than it needs.")}</Empty>
            ) : (
              <Wide>
                <table className="plain">
                  <thead>
                    <tr>
                      <th>{t("Name")}</th>
                      <th>{t("May")}</th>
                      <th>{t("Made")}</th>
                      <th>{t("Valid until")}</th>
                      <th>{t("State")}</th>
                      <th>
                        <span className="away">{t("Revoke")}</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {keys.items.map((one) => (
                      <tr key={one.id}>
                        <td>
                          <b>{one.name}</b> <span className="mono faint">{one.id}</span>
                        </td>
                        <td>
                          {one.scopes
                            .map((scope) => t(SCOPES.find(([name]) => name === scope)?.[1] ?? "look"))
                            .join(", ")}
                        </td>
                        <td>{format.dateTime(one.created_at)}</td>
                        <td>{one.expires_at === null ? t("always") : format.dateTime(one.expires_at)}</td>
                        <td>
                          {one.revoked_at === null ? (
                            <Pill tone="good">{t("valid")}</Pill>
                          ) : (
                            <Pill tone="quiet">{t("revoked")}</Pill>
                          )}
                        </td>
                        <td className="num">
                          {one.revoked_at === null && (
                            <Button
                              size="compact-xs"
                              variant="subtle"
                              color="red"
                              onClick={() =>
                                ask({
                                  title: t("Revoke the key"),
                                  what: t("Whatever uses {name} is locked out at once. This can't be taken back.", {
                                    name: one.name,
                                  }),
                                  yes: t("Revoke"),
                                  danger: true,
                                  deed: () =>
                                    deed(
                                      t("Revoke the key"),
                                      () =>
                                        asked(
                                          api.DELETE("/api/v1/api-keys/{key_id}", {
                                            params: { path: { key_id: one.id } },
                                          }),
                                        ),
                                      ["keys"],
                                    ),
                                })
                              }
                            >
                              {t("Revoke")}
                            </Button>
                          )}
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </Wide>
            )
          }
        </Shown>
      </section>
      {adding && <Make close={() => add(false)} />}
    </>
  );
}

function Make({ close }: { close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<string[]>(["read"]);
  const [made, setMade] = useState<string | null>(null);
  async function submit(event: FormEvent) {
    event.preventDefault();
    const done = await deed(
      t("Make a key"),
      () => asked(api.POST("/api/v1/api-keys", { body: { name, scopes: scopes as Schemas["ApiScope"][] } })),
      ["keys"],
    );
    if (done !== undefined) setMade(done.key);
  }
  return (
    <Dialog close={close} title={t("Make a key")}>
      {made !== null ? (
        <Stack>
          <Alert color="orange">{t("This is shown once, and kept by nobody here: copy it now.")}</Alert>
          <pre className="frame">{made}</pre>
          <CopyButton value={made}>
            {({ copied, copy }) => <Button onClick={copy}>{copied ? t("Copied") : t("Copy")}</Button>}
          </CopyButton>
        </Stack>
      ) : (
        <form onSubmit={submit}>
          <Stack>
            <TextInput
              label={t("Name")}
              description={t("Of what will use it.")}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              required
              data-autofocus
            />
            <Checkbox.Group label={t("May")} value={scopes} onChange={setScopes}>
              <Stack gap="xs" mt="xs">
                {SCOPES.map(([scope, word]) => (
                  <Checkbox key={scope} value={scope} label={t(word)} />
                ))}
              </Stack>
            </Checkbox.Group>
            <Group justify="flex-end">
              <Button type="submit" disabled={scopes.length === 0}>
                {t("Make")}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Dialog>
  );
}
