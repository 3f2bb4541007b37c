import { useMemo } from "react";
import { serverNow } from "../live/clock";
import { type Translate, useText } from "./text";

/** Numbers, times and amounts as the viewer writes them; times in the viewer's zone. */
export interface Format {
  number: (value: number | null | undefined, digits?: number) => string;
  /** With as many digits as it has, two at most. */
  plain: (value: number) => string;
  power: (watts: number | null | undefined) => string;
  energy: (wattHours: number | null | undefined) => string;
  time: (instant: string | number | Date | null | undefined) => string;
  dateTime: (instant: string | number | Date | null | undefined) => string;
  date: (instant: string | number | Date | null | undefined) => string;
  seconds: (instant: string | number | Date | null | undefined) => string;
  /** To the second; with its date where that isn't today. */
  moment: (instant: string) => string;
  /** A time of day, which one is clear; otherwise with its date. */
  soon: (instant: string | null | undefined) => string;
  ago: (instant: string | null | undefined) => string;
  duration: (seconds: number | null | undefined) => string;
  money: (amount: string | number | null | undefined, currency: string | null | undefined) => string;
}

const HALF_A_DAY_MS = 43_200_000;
export const NOTHING = "–";

export function makeFormat(locale: string, t: Translate): Format {
  const digits = [0, 1, 2, 3].map(
    (count) => new Intl.NumberFormat(locale, { minimumFractionDigits: count, maximumFractionDigits: count }),
  );
  const time = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
  const seconds = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const date = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
  const number: Format["number"] = (value, count = 1) =>
    value === null || value === undefined ? NOTHING : digits[count]!.format(value);
  const told =
    (format: Intl.DateTimeFormat) =>
    (instant: string | number | Date | null | undefined): string =>
      instant === null || instant === undefined ? NOTHING : format.format(new Date(instant));
  const duration: Format["duration"] = (whole) => {
    if (whole === null || whole === undefined) return NOTHING;
    const total = Math.max(0, Math.round(whole));
    if (total < 60) return `${total} s`;
    const minutes = Math.floor(total / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
    return t("{n} days", { n: Math.floor(hours / 24) });
  };
  const plain = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
  return {
    number,
    plain: (value) => plain.format(value),
    power: (watts) =>
      watts === null || watts === undefined
        ? NOTHING
        : watts >= 999_500
          ? `${number(watts / 1e6, 2)} MW`
          : `${number(watts / 1000, 1)} kW`,
    energy: (wattHours) =>
      wattHours === null || wattHours === undefined
        ? NOTHING
        : wattHours >= 9_999_500
          ? `${number(wattHours / 1e6, 2)} MWh`
          : `${number(wattHours / 1000, wattHours >= 999_500 ? 0 : wattHours >= 99_950 ? 1 : 2)} kWh`,
    time: told(time),
    seconds: told(seconds),
    date: told(date),
    dateTime: told(dateTime),
    soon: (instant) =>
      instant && Math.abs(Date.parse(instant) - serverNow()) < HALF_A_DAY_MS
        ? told(time)(instant)
        : told(dateTime)(instant),
    moment: (instant) => {
      const [then, now] = [new Date(instant), new Date(serverNow())];
      return `${then.toDateString() === now.toDateString() ? "" : `${day.format(then)}, `}${seconds.format(then)}`;
    },
    ago: (instant) =>
      instant === null || instant === undefined ? NOTHING : duration((serverNow() - Date.parse(instant)) / 1000),
    duration,
    money: (amount, currency) =>
      amount === null || amount === undefined
        ? NOTHING
        : new Intl.NumberFormat(
            locale,
            currency ? { style: "currency", currency } : { minimumFractionDigits: 2 },
          ).format(Number(amount)),
  };
}

export function useFormat(): Format {
  const { locale, t } = useText();
  return useMemo(() => makeFormat(locale, t), [locale, t]);
}
