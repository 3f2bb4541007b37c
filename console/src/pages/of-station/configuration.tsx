import { ActionIcon, Button, Group, Stack, Switch, TextInput, Tooltip } from "@mantine/core";
import { IconPencil, IconRefresh, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { api, asked, type Schemas } from "../../api/client";
import { useFormat } from "../../i18n/format";
import { useText } from "../../i18n/text";
import { Empty, Pill, Shown } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { useLive } from "../../parts/more";
import { PATIENCE, useDeed } from "../../parts/outcome";
import { Wide } from "../../parts/wide";
import { useViewer } from "../../session";

type Ref = Schemas["VariableRef"];

interface Row {
  key: string;
  ref: Ref;
  reported: Schemas["ReportedResource"] | undefined;
  desired: Schemas["DesiredResource"] | undefined;
  drifts: boolean;
}

export function nameOf(ref: Ref): string {
  const part = (name: string, instance: string | null | undefined) => (instance ? `${name}[${instance}]` : name);
  const place = ref.evse_id ? ` @${ref.evse_id}${ref.connector_id ? `.${ref.connector_id}` : ""}` : "";
  const attribute = ref.attribute && ref.attribute !== "Actual" ? ` (${ref.attribute})` : "";
  const component = part(ref.component, ref.component_instance);
  const variable = part(ref.variable, ref.variable_instance);
  return `${component === "ConfigurationKey" ? "" : `${component}.`}${variable}${place}${attribute}`;
}

export default function Configuration({ id }: { id: string }) {
  const { t } = useText();
  const format = useFormat();
  const viewer = useViewer();
  const deed = useDeed();
  const path = { station_id: id };
  const key = ["configuration", id];
  const found = useQuery({
    queryKey: key,
    queryFn: () => asked(api.GET("/api/v1/stations/{station_id}/configuration", { params: { path } })),
  });
  useLive(key, ["configuration.drift", "command.updated"], { station_id: id });
  const [text, setText] = useState("");
  const [only, setOnly] = useState(false);
  const [editing, edit] = useState<Row | null>(null);
  const rows = useMemo<Row[]>(() => {
    if (found.data === undefined) return [];
    const all = new Map<string, Row>();
    const drifts = new Set(found.data.drift.map((one) => nameOf(one.ref)));
    const row = (ref: Ref): Row => {
      const name = nameOf(ref);
      const one = all.get(name) ?? {
        key: name,
        ref,
        reported: undefined,
        desired: undefined,
        drifts: drifts.has(name),
      };
      all.set(name, one);
      return one;
    };
    for (const one of found.data.reported) row(one.ref).reported = one;
    for (const one of found.data.desired) row(one.ref).desired = one;
    return [...all.values()].sort((a, b) => a.key.localeCompare(b.key));
  }, [found.data]);
  const shown = rows.filter(
    (one) =>
      (!only || one.drifts) && `${one.key} ${one.reported?.value ?? ""}`.toLowerCase().includes(text.toLowerCase()),
  );
  const drifting = rows.filter((one) => one.drifts).length;
  const read = () =>
    deed(
      t("Read from the station"),
      () =>
        asked(
          api.POST("/api/v1/commands/GET_VARIABLES", {
            params: { header: PATIENCE },
            body: { station_id: id, report_base: "FullInventory", request_id: 0 } as never,
          }),
        ),
      ["configuration"],
    );
  const forget = (ref: Ref) =>
    deed(
      t("Forget the wish"),
      () =>
        asked(
          api.DELETE("/api/v1/stations/{station_id}/configuration/desired", {
            params: {
              path,
              query: Object.fromEntries(Object.entries(ref).filter(([, value]) => value !== null)) as never,
            },
          }),
        ),
      ["configuration"],
    );
  return (
    <section className="card" aria-labelledby="configuration">
      <div className="card-head">
        <h2 id="configuration">
          {t("Configuration")} {drifting > 0 && <Pill tone="warn">{t("{n} not as desired", { n: drifting })}</Pill>}
        </h2>
        <div className="strip">
          <TextInput
            size="xs"
            aria-label={t("Filter")}
            placeholder={t("Filter")}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          <Switch
            size="sm"
            label={t("Only what differs")}
            checked={only}
            onChange={(event) => setOnly(event.currentTarget.checked)}
          />
          {viewer.may("write") && (
            <Button size="xs" variant="default" leftSection={<IconRefresh size={14} aria-hidden />} onClick={read}>
              {t("Read from the station")}
            </Button>
          )}
        </div>
      </div>
      <Shown of={found}>
        {() =>
          shown.length === 0 ? (
            <Empty title={rows.length === 0 ? t("Not read yet") : t("Nothing is like that")}>
              {rows.length === 0
                ? t("Read it from the station to see and change it here.")
                : t("Take the filter away to see all.")}
            </Empty>
          ) : (
            <Wide>
              <table className="plain">
                <thead>
                  <tr>
                    <th>{t("Variable")}</th>
                    <th>{t("Value")}</th>
                    <th>{t("Desired")}</th>
                    <th>{t("Told")}</th>
                    <th>
                      <span className="away">{t("Change")}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {shown.map((one) => (
                    <tr key={one.key}>
                      <td>
                        {one.key}{" "}
                        {one.reported?.mutability === "ReadOnly" && (
                          <span className="faint small">{t("read only")}</span>
                        )}
                      </td>
                      <td className="mono wrap">
                        {one.reported === undefined ? "–" : (one.reported.value ?? t("hidden"))}
                      </td>
                      <td className="mono wrap">
                        {one.desired?.value ?? ""}{" "}
                        {one.desired && (
                          <Pill tone={one.drifts ? "warn" : "good"}>
                            {one.drifts ? (one.desired.outcome ?? t("differs")) : t("as desired")}
                          </Pill>
                        )}
                      </td>
                      <td className="faint small">{one.reported ? format.dateTime(one.reported.reported_at) : ""}</td>
                      <td className="num">
                        {viewer.may("write") && one.reported?.mutability !== "ReadOnly" && (
                          <Tooltip label={t("Change")}>
                            <ActionIcon
                              variant="subtle"
                              aria-label={t("Change {name}", { name: one.key })}
                              onClick={() => edit(one)}
                            >
                              <IconPencil size={16} aria-hidden />
                            </ActionIcon>
                          </Tooltip>
                        )}
                        {viewer.may("write") && one.desired && (
                          <Tooltip label={t("Forget the wish")}>
                            <ActionIcon
                              variant="subtle"
                              color="gray"
                              aria-label={t("Forget the wish for {name}", { name: one.key })}
                              onClick={() => void forget(one.ref)}
                            >
                              <IconX size={16} aria-hidden />
                            </ActionIcon>
                          </Tooltip>
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
      {editing && <Change id={id} row={editing} close={() => edit(null)} />}
    </section>
  );
}

function Change({ id, row, close }: { id: string; row: Row; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [value, setValue] = useState(row.desired?.value ?? row.reported?.value ?? "");
  const [keep, setKeep] = useState(true);
  const [busy, setBusy] = useState(false);
  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    const settings = [{ ref: row.ref as Schemas["VariableBody"], value }];
    const done = await deed(row.key, async () => {
      if (keep)
        await asked(
          api.PATCH("/api/v1/stations/{station_id}/configuration", {
            params: { path: { station_id: id } },
            body: { desired: settings },
          }),
        );
      return asked(
        api.POST("/api/v1/commands/SET_VARIABLES", {
          params: { header: PATIENCE },
          body: { station_id: id, settings },
        }),
      );
    }, ["configuration"]);
    setBusy(false);
    if (done !== undefined) close();
  }
  return (
    <Dialog close={close} title={t("Change {name}", { name: row.key })}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={t("Value")}
            value={value}
            onChange={(event) => setValue(event.currentTarget.value)}
            data-autofocus
          />
          <Switch
            label={t("Keep it so")}
            description={t("It is set again whenever the station starts with another value.")}
            checked={keep}
            onChange={(event) => setKeep(event.currentTarget.checked)}
          />
          <Group justify="flex-end">
            <Button type="submit" loading={busy}>
              {t("Set")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
