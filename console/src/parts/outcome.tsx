import { Button, Group, Modal, Stack } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useCallback, useState } from "react";
import type { Schemas } from "../api/client";
import { useText } from "../i18n/text";
import { Pill, useTrouble } from "./basics";
import { COMMAND_STATES } from "./happenings";

export type Command = Schemas["CommandResource"];

/** How long a person waits for a station before the answer comes later by itself. */
export const PATIENCE = { prefer: "wait=20" };

export function CommandState({ of }: { of: Pick<Command, "state"> }) {
  const { t } = useText();
  const shown = COMMAND_STATES[of.state]!;
  return <Pill tone={shown.tone}>{t(shown.word)}</Pill>;
}

/** What a station said beyond yes or no. */
export function saying(command: Command): string {
  const answer = command.answer as Record<string, unknown> | null;
  const status = typeof answer?.["status"] === "string" ? answer["status"] : null;
  return [status, command.error_code, command.error_description, command.detail].filter(Boolean).join(" · ");
}

/** Runs what was asked for and tells how it went; true when it went well. */
export function useDeed() {
  const { t } = useText();
  const trouble = useTrouble();
  const queries = useQueryClient();
  return useCallback(
    async <T,>(what: string, deed: () => Promise<T>, concerns: readonly string[] = []): Promise<T | undefined> => {
      try {
        const done = await deed();
        const command = isCommand(done)
          ? done
          : isCommand((done as { command?: unknown } | null)?.command)
            ? (done as { command: Command }).command
            : null;
        if (command !== null) {
          const state = COMMAND_STATES[command.state]!;
          const color = { good: "teal", bad: "red", warn: "orange", info: "blue", quiet: "gray" }[state.tone];
          notifications.show({
            title: what,
            message: [t(state.word), saying(command)].filter(Boolean).join(": "),
            color,
            autoClose: 8000,
          });
        } else {
          notifications.show({ title: what, message: t("Done"), color: "teal" });
        }
        for (const one of ["commands", ...concerns]) void queries.invalidateQueries({ queryKey: [one] });
        return done;
      } catch (error) {
        const { title, advice } = trouble(error);
        notifications.show({ title: `${what}: ${title}`, message: advice, color: "red", autoClose: 12_000 });
        void queries.invalidateQueries({ queryKey: ["commands"] });
        return undefined;
      }
    },
    [t, trouble, queries],
  );
}

/** How many requests are under way at a time. */
const AT_ONCE = 6;

/** Does the same for each, some at a time, and tells how it went: also for how many, and why, it did not. */
export function useForEach() {
  const { t } = useText();
  const trouble = useTrouble();
  return async (what: string, ids: readonly string[], deed: (id: string) => Promise<unknown>): Promise<boolean> => {
    const rest = [...ids];
    const failed: [string, unknown][] = [];
    const work = async () => {
      for (let id = rest.shift(); id !== undefined; id = rest.shift())
        try {
          await deed(id);
        } catch (error) {
          failed.push([id, error]);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const [first] = failed;
    notifications.show({
      title: what,
      message:
        first === undefined
          ? t("{n} done", { n: ids.length })
          : `${t("{n} done, {m} not", { n: ids.length - failed.length, m: failed.length })}: ${first[0]}: ${trouble(first[1]).advice}`,
      color: first === undefined ? "teal" : "red",
      autoClose: first === undefined ? 6000 : 20_000,
    });
    return first === undefined;
  };
}

function isCommand(found: unknown): found is Command {
  // A batch has a state too, but another one, and no station of its own.
  return typeof found === "object" && found !== null && "timeout_s" in found && "station_id" in found;
}

interface Question {
  title: string;
  /** What will happen, in words. */
  what: ReactNode;
  yes: string;
  danger?: boolean;
  deed: () => Promise<unknown>;
}

/** Asks before something that can't be taken back, and says what will happen. */
export function useQuestion(): [ReactNode, (question: Question) => void] {
  const { t } = useText();
  const [question, ask] = useState<Question | null>(null);
  const [busy, setBusy] = useState(false);
  async function yes() {
    setBusy(true);
    try {
      await question?.deed();
    } finally {
      setBusy(false);
      ask(null);
    }
  }
  return [
    <Modal
      key="question"
      opened={question !== null}
      onClose={() => ask(null)}
      title={question?.title}
      centered
      closeButtonProps={{ "aria-label": t("Close") }}
    >
      <Stack>
        <div>{question?.what}</div>
        <Group justify="flex-end">
          <Button variant="default" onClick={() => ask(null)} data-autofocus>
            {t("Leave it")}
          </Button>
          <Button color={question?.danger ? "red.8" : undefined} loading={busy} onClick={yes}>
            {question?.yes}
          </Button>
        </Group>
      </Stack>
    </Modal>,
    ask,
  ];
}
