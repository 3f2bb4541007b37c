import type { Schemas } from "../api/client";
import type { Text } from "../i18n/text";

/** Charging profiles: what they are called, and how they read as a curve. */
export const PURPOSES: readonly [Schemas["ChargingProfilePurpose"], Text][] = [
  ["TxDefaultProfile", "For every transaction"],
  ["TxProfile", "For the transaction that runs"],
  ["ChargingStationMaxProfile", "For the whole station"],
];
export const KINDS: readonly [Schemas["ChargingProfileKind"], Text][] = [
  ["Relative", "from when charging begins"],
  ["Recurring", "every day or week"],
  ["Absolute", "from a moment on"],
];
export const PROFILE_STATES: Record<
  Schemas["ProfileState"],
  { word: Text; tone: "good" | "bad" | "warn" | "quiet" | "info" }
> = {
  pending: { word: "on its way", tone: "info" },
  installed: { word: "installed", tone: "good" },
  rejected: { word: "rejected", tone: "bad" },
  cleared: { word: "taken away", tone: "quiet" },
  replaced: { word: "replaced", tone: "quiet" },
  not_sent: { word: "never sent", tone: "warn" },
  unknown: { word: "no answer", tone: "warn" },
};

export interface Steps {
  times: number[];
  values: (number | null)[];
}

/** A composite schedule as steps over time. */
export function stepsOf(schedule: Schemas["CompositeSchedule"]): Steps {
  const begin = Date.parse(schedule.start) / 1000;
  const times = schedule.periods.map((one) => begin + one.start_period_s);
  const values: (number | null)[] = schedule.periods.map((one) => one.rate_limit);
  return { times: [...times, begin + schedule.duration_s], values: [...values, values.at(-1) ?? null] };
}

/** Two curves over the same times. */
export function together(
  one: Steps,
  other: Steps,
): { times: number[]; first: (number | null)[]; second: (number | null)[] } {
  const times = [...new Set([...one.times, ...other.times])].sort((a, b) => a - b);
  const at = (steps: Steps) =>
    times.map((time) => {
      let value: number | null = null;
      for (let index = 0; index < steps.times.length && steps.times[index]! <= time; index += 1)
        value = steps.values[index]!;
      return time > (steps.times.at(-1) ?? 0) ? null : value;
    });
  return { times, first: at(one), second: at(other) };
}
