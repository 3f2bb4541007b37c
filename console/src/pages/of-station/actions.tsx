import { Button, Group, Menu, NumberInput, Select, Stack, Textarea, TextInput } from "@mantine/core";
import { IconChevronDown, IconPlayerPlay, IconPlayerStop } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import { api, asked, type Schemas } from "../../api/client";
import { type Text, useText } from "../../i18n/text";
import { fleet, placesOf, useEntry } from "../../live/fleet";
import { Dialog } from "../../parts/dialog";
import { PATIENCE, useDeed, useQuestion } from "../../parts/outcome";
import { useViewer } from "../../session";

type Station = Schemas["StationResource"];
type Form = "start" | "raw" | "trigger" | "password" | null;

const TRIGGERS: Schemas["TriggeredMessage"][] = [
  "StatusNotification",
  "MeterValues",
  "Heartbeat",
  "BootNotification",
  "FirmwareStatusNotification",
  "LogStatusNotification",
];

/** All that can be asked of a station; what can't be taken back asks first. */
export function StationActions({ station, connected }: { station: Station; connected: boolean }) {
  const { t } = useText();
  const viewer = useViewer();
  const deed = useDeed();
  const entry = useEntry(station.id);
  const [question, ask] = useQuestion();
  const [form, open] = useState<Form>(null);
  if (!viewer.may("write")) return null;
  const id = station.id;
  const header = PATIENCE;
  const places = entry === undefined ? [] : placesOf(entry);
  const running = places.filter((one) => one.transaction_number !== null);

  const stop = (number: number) =>
    ask({
      title: t("Stop charging"),
      what: t("The station ends transaction {n}. The car takes no more energy, and the bill is made.", { n: number }),
      yes: t("Stop charging"),
      danger: true,
      deed: () =>
        deed(
          t("Stop charging"),
          () =>
            asked(
              api.POST("/api/v1/commands/STOP_SESSION", { params: { header }, body: { transaction_number: number } }),
            ),
          ["transactions"],
        ),
    });
  const reset = (graceful: boolean) =>
    ask({
      title: graceful ? t("Restart") : t("Restart at once"),
      what: graceful
        ? t("The station ends what runs ({n} transactions), then starts again. It is away for some minutes.", {
            n: running.length,
          })
        : t(
            "The station starts again without finishing anything; {n} transactions are cut off. It is away for some minutes.",
            { n: running.length },
          ),
      yes: t("Restart"),
      danger: true,
      deed: () =>
        deed(t("Restart"), () =>
          asked(
            api.POST("/api/v1/commands/RESET", {
              params: { header },
              body: { station_id: id, reset_type: "Immediate", graceful },
            }),
          ),
        ),
    });
  const available = (operational_status: "Operative" | "Inoperative") =>
    ask({
      title: operational_status === "Operative" ? t("Put into service") : t("Take out of service"),
      what:
        operational_status === "Operative"
          ? t("Drivers can charge here again.")
          : t("Nobody can begin to charge here until it is put into service again; who charges now may finish."),
      yes: operational_status === "Operative" ? t("Put into service") : t("Take out of service"),
      danger: operational_status === "Inoperative",
      deed: () =>
        deed(t("Availability"), () =>
          asked(
            api.POST("/api/v1/commands/CHANGE_AVAILABILITY", {
              params: { header },
              body: { station_id: id, evse_id: 0, operational_status },
            }),
          ),
        ),
    });
  const unlock = (evse_id: number, connector_id: number) =>
    ask({
      title: t("Unlock the connector"),
      what: t("The plug at EVSE {n} can be pulled, even if the car charges.", { n: evse_id }),
      yes: t("Unlock"),
      danger: true,
      deed: () =>
        deed(t("Unlock"), () =>
          asked(
            api.POST("/api/v1/commands/UNLOCK_CONNECTOR", {
              params: { header },
              body: { station_id: id, evse_id, connector_id },
            }),
          ),
        ),
    });
  const registration = (wanted: Station["registration"]) =>
    deed(
      t("Registration"),
      () =>
        asked(
          api.PATCH("/api/v1/stations/{station_id}", {
            params: { path: { station_id: id } },
            body: { registration: wanted },
          }),
        ),
      ["stations"],
    ).then(() => fleet.load());
  const refuse = () =>
    ask({
      title: t("Refuse it"),
      what: t("It is told that it is rejected: nobody can charge there until it is let in again."),
      yes: t("Refuse it"),
      danger: true,
      deed: () => registration("Rejected"),
    });
  const remove = () =>
    ask({
      title: t("Take the station out"),
      what: t(
        "It is cut off and no longer let in. Its transactions and bills stay; its configuration and credentials are forgotten.",
      ),
      yes: t("Take it out"),
      danger: true,
      deed: async () => {
        await deed(t("Take the station out"), () =>
          asked(api.DELETE("/api/v1/stations/{station_id}", { params: { path: { station_id: id } } })),
        );
        location.assign("/stations");
      },
    });

  return (
    <>
      {question}
      <Button
        leftSection={<IconPlayerPlay size={16} aria-hidden />}
        disabled={!connected}
        onClick={() => open("start")}
      >
        {t("Start")}
      </Button>
      {running.map((one) => (
        <Button
          key={one.evse_id}
          variant="default"
          leftSection={<IconPlayerStop size={16} aria-hidden />}
          disabled={!connected}
          onClick={() => stop(one.transaction_number!)}
        >
          {running.length > 1 ? t("Stop {n}", { n: one.evse_id }) : t("Stop")}
        </Button>
      ))}
      <Menu position="bottom-end" width={260}>
        <Menu.Target>
          <Button variant="default" rightSection={<IconChevronDown size={16} aria-hidden />}>
            {t("More")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{connected ? t("At the station") : t("It is offline: commands are refused")}</Menu.Label>
          {places.map((one) => (
            <Menu.Item
              key={`${one.evse_id}.${one.connector_id}`}
              disabled={!connected}
              onClick={() => unlock(one.evse_id, one.connector_id)}
            >
              {places.length > 1 ? t("Unlock EVSE {n}", { n: one.evse_id }) : t("Unlock the connector")}
            </Menu.Item>
          ))}
          <Menu.Item disabled={!connected} onClick={() => available("Inoperative")}>
            {t("Take out of service")}
          </Menu.Item>
          <Menu.Item disabled={!connected} onClick={() => available("Operative")}>
            {t("Put into service")}
          </Menu.Item>
          <Menu.Item disabled={!connected} onClick={() => open("trigger")}>
            {t("Ask for a message")}
          </Menu.Item>
          <Menu.Item
            disabled={!connected}
            onClick={() =>
              ask({
                title: t("Forget cached tokens"),
                what: t(
                  "While it is offline, the station lets in only whom its local list names, until it learns others.",
                ),
                yes: t("Forget cached tokens"),
                deed: () =>
                  deed(t("Forget cached tokens"), () =>
                    asked(api.POST("/api/v1/commands/CLEAR_CACHE", { params: { header }, body: { station_id: id } })),
                  ),
              })
            }
          >
            {t("Forget cached tokens")}
          </Menu.Item>
          <Menu.Item disabled={!connected} onClick={() => open("raw")}>
            {t("Send any OCPP message")}
          </Menu.Item>
          <Menu.Item disabled={!connected} color="red" onClick={() => reset(true)}>
            {t("Restart")}
          </Menu.Item>
          <Menu.Item disabled={!connected} color="red" onClick={() => reset(false)}>
            {t("Restart at once")}
          </Menu.Item>
          <Menu.Divider />
          <Menu.Label>{t("In the books")}</Menu.Label>
          {station.registration !== "Accepted" && (
            <Menu.Item onClick={() => void registration("Accepted")}>{t("Let it in")}</Menu.Item>
          )}
          {station.registration !== "Rejected" && <Menu.Item onClick={refuse}>{t("Refuse it")}</Menu.Item>}
          <Menu.Item onClick={() => open("password")}>{t("Set its password")}</Menu.Item>
          <Menu.Item color="red" onClick={remove}>
            {t("Take the station out")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {form === "start" && <Start station={station} close={() => open(null)} />}
      {form === "raw" && <Raw id={id} close={() => open(null)} />}
      {form === "trigger" && <Trigger id={id} close={() => open(null)} />}
      {form === "password" && <Password id={id} close={() => open(null)} />}
    </>
  );
}

function Sheet({
  title,
  close,
  submit,
  yes,
  children,
}: {
  title: Text;
  close: () => void;
  submit: () => Promise<unknown>;
  yes: Text;
  children: React.ReactNode;
}) {
  const { t } = useText();
  const [busy, setBusy] = useState(false);
  async function go(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    const done = await submit();
    setBusy(false);
    if (done !== undefined) close();
  }
  return (
    <Dialog close={close} title={t(title)}>
      <form onSubmit={go}>
        <Stack>
          {children}
          <Group justify="flex-end">
            <Button type="submit" loading={busy}>
              {t(yes)}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

function Start({ station, close }: { station: Station; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const entry = useEntry(station.id);
  const places = entry === undefined ? [] : placesOf(entry);
  const [token, setToken] = useState("");
  const [evse, setEvse] = useState<string | null>(places[0] === undefined ? null : String(places[0].evse_id));
  return (
    <Sheet
      title="Start charging"
      yes="Start charging"
      close={close}
      submit={() =>
        deed(
          t("Start charging"),
          () =>
            asked(
              api.POST("/api/v1/commands/START_SESSION", {
                params: { header: PATIENCE },
                body: {
                  station_id: station.id,
                  id_token: { value: token.trim(), type: "Central" },
                  evse_id: evse === null ? null : Number(evse),
                },
              }),
            ),
          ["transactions"],
        )
      }
    >
      <TextInput
        label={t("Token")}
        description={t("Whom the energy is for; it is booked on this token.")}
        value={token}
        onChange={(event) => setToken(event.currentTarget.value)}
        required
        maxLength={36}
        data-autofocus
      />
      <Select
        label={t("EVSE")}
        data={[...new Set(places.map((one) => String(one.evse_id)))]}
        value={evse}
        onChange={setEvse}
      />
    </Sheet>
  );
}

function Trigger({ id, close }: { id: string; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [wanted, want] = useState<string | null>("StatusNotification");
  return (
    <Sheet
      title="Ask for a message"
      yes="Ask"
      close={close}
      submit={() =>
        deed(t("Ask for a message"), () =>
          asked(
            api.POST("/api/v1/commands/TRIGGER_MESSAGE", {
              params: { header: PATIENCE },
              body: { station_id: id, requested_message: wanted as Schemas["TriggeredMessage"] },
            }),
          ),
        )
      }
    >
      <Select
        label={t("Message")}
        data={TRIGGERS}
        value={wanted}
        onChange={want}
        allowDeselect={false}
        data-autofocus
      />
    </Sheet>
  );
}

function Raw({ id, close }: { id: string; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [action, setAction] = useState("");
  const [payload, setPayload] = useState("{}");
  const [patience, setPatience] = useState(20);
  const wrong = (() => {
    try {
      const found: unknown = JSON.parse(payload);
      return typeof found === "object" && found !== null && !Array.isArray(found)
        ? null
        : t("It must be an object in braces.");
    } catch (error) {
      return (error as Error).message;
    }
  })();
  return (
    <Sheet
      title="Send any OCPP message"
      yes="Send"
      close={close}
      submit={async () =>
        wrong === null
          ? deed(action, () =>
              asked(
                api.POST("/api/v1/stations/{station_id}/ocpp/{action}", {
                  params: { path: { station_id: id, action: action.trim() }, header: { prefer: `wait=${patience}` } },
                  body: JSON.parse(payload),
                }),
              ),
            )
          : undefined
      }
    >
      <p className="small faint">{t("It is sent as it stands here; nobody checks whether it makes sense.")}</p>
      <TextInput
        label={t("Action")}
        placeholder="GetConfiguration"
        value={action}
        onChange={(event) => setAction(event.currentTarget.value)}
        required
        data-autofocus
      />
      <Textarea
        label={t("Payload (JSON)")}
        className="mono"
        autosize
        minRows={4}
        maxRows={16}
        value={payload}
        error={wrong}
        onChange={(event) => setPayload(event.currentTarget.value)}
      />
      <NumberInput
        label={t("Wait for the answer (seconds)")}
        min={1}
        max={60}
        value={patience}
        onChange={(value) => setPatience(Number(value))}
      />
    </Sheet>
  );
}

function Password({ id, close }: { id: string; close: () => void }) {
  const { t } = useText();
  const deed = useDeed();
  const [password, setPassword] = useState("");
  return (
    <Sheet
      title="Set its password"
      yes="Set"
      close={close}
      submit={() =>
        deed(t("Set its password"), async () => {
          await asked(
            api.PUT("/api/v1/stations/{station_id}/credentials", {
              params: { path: { station_id: id } },
              body: { password },
            }),
          );
          return true;
        }, ["stations"])
      }
    >
      <p className="small faint">
        {t(
          "From its next connection on, the station must show it. It can't be read back here: set the same in the station.",
        )}
      </p>
      <TextInput
        label={t("Password")}
        description={t("At least 16 characters; 32 to 40 hexadecimal digits stand for their octets.")}
        minLength={16}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        required
        autoComplete="off"
        data-autofocus
      />
    </Sheet>
  );
}
