import { Button, Center, Loader, Stack, Text as Words } from "@mantine/core";
import {
  IconAlertTriangle,
  IconBan,
  IconBattery4,
  IconBolt,
  IconCheck,
  IconClockPause,
  IconHelpCircle,
  IconInbox,
  IconPlug,
  IconPlugOff,
  IconPlugX,
} from "@tabler/icons-react";
import { type ComponentType, type ReactNode, useEffect } from "react";
import { Refusal, Unreachable } from "../api/client";
import { type Text, useText } from "../i18n/text";
import type { State } from "../live/fleet";

type Icon = ComponentType<{ size?: number | string; stroke?: number; "aria-hidden"?: boolean }>;

/** Each state has a word, a tone and a shape: never a colour alone. */
export const STATE_WORDS: Record<State, Text> = {
  charging: "Charging",
  plugged_in: "Plugged in",
  finished: "Finished",
  reserved: "Reserved",
  unplugged: "Unplugged",
  unavailable: "Out of service",
  faulted: "Faulted",
  offline: "Offline",
  unknown: "Not known yet",
};
export const STATE_ICONS: Record<State, Icon> = {
  charging: IconBolt,
  plugged_in: IconPlug,
  finished: IconBattery4,
  reserved: IconClockPause,
  unplugged: IconPlugX,
  unavailable: IconBan,
  faulted: IconAlertTriangle,
  offline: IconPlugOff,
  unknown: IconHelpCircle,
};

export function StateMark({ state, children }: { state: State; children?: ReactNode }) {
  const { t } = useText();
  const Shape = STATE_ICONS[state];
  return (
    <span className={`state tone-${state}`}>
      <Shape size={15} stroke={2} aria-hidden />
      {children ?? t(STATE_WORDS[state])}
    </span>
  );
}

export type Tone = "good" | "bad" | "warn" | "info" | "quiet";

export function Pill({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`pill tone-${tone}`} title={title}>
      {children}
    </span>
  );
}

export function Loading() {
  const { t } = useText();
  return (
    <Center mih={160}>
      <Loader size="sm" role="progressbar" aria-label={t("Loading")} />
    </Center>
  );
}

/** What went wrong, and what to do about it. */
export function useTrouble(): (error: unknown) => { title: string; advice: string } {
  const { t } = useText();
  return (error) => {
    if (error instanceof Unreachable)
      return {
        title: t("The server can't be reached"),
        advice: t("Check the network; this page tries again by itself."),
      };
    if (error instanceof Refusal) {
      if (error.status === 403)
        return { title: t("You may not do this"), advice: t("Ask an administrator for a role that includes it.") };
      if (error.status === 404)
        return { title: t("There is nothing here"), advice: t("It may have been removed since; search with Ctrl K.") };
      if (error.status >= 500)
        return { title: t("The server could not do this"), advice: t("Try again; its log says more.") };
      return { title: t("This was refused"), advice: error.message };
    }
    return { title: t("Something went wrong"), advice: error instanceof Error ? error.message : String(error) };
  };
}

export function Trouble({ error, again }: { error: unknown; again?: () => void }) {
  const { t } = useText();
  const { title, advice } = useTrouble()(error);
  return (
    <div className="empty" role="alert">
      <IconAlertTriangle size={28} stroke={1.5} aria-hidden />
      <Words fw={600}>{title}</Words>
      <p>{advice}</p>
      {again && (
        <Button variant="default" size="xs" onClick={again}>
          {t("Try again")}
        </Button>
      )}
    </div>
  );
}

export function Empty({ title, children, good }: { title: string; children?: ReactNode; good?: boolean }) {
  return (
    <div className="empty">
      {good ? <IconCheck size={26} stroke={1.5} aria-hidden /> : <IconInbox size={26} stroke={1.5} aria-hidden />}
      <Stack gap={4} align="center">
        <Words fw={600}>{title}</Words>
        <div className="small">{children}</div>
      </Stack>
    </div>
  );
}

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** What was asked for, or that it is coming, or why it isn't. */
export function Shown<T>({ of, children }: { of: Asked<T>; children: (found: T) => ReactNode }) {
  if (of.data !== undefined) return children(of.data);
  if (of.error) return <Trouble error={of.error} again={() => of.refetch()} />;
  return <Loading />;
}

export function PageHead({ title, children, lead }: { title: ReactNode; children?: ReactNode; lead?: ReactNode }) {
  useEffect(() => {
    if (typeof title === "string") document.title = `${title} · Forecourt`;
  }, [title]);
  return (
    <div className="card-head page-head">
      <div>
        <h1>{title}</h1>
        {lead && <div className="faint small">{lead}</div>}
      </div>
      <div className="strip">{children}</div>
    </div>
  );
}
