import createClient from "openapi-fetch";
import { useCallback, useEffect, useRef, useState } from "react";
import type { components, paths } from "../api/schema";

export type Schemas = components["schemas"];

/** Without credentials: the code in the address is all that is shown. */
export const api = createClient<paths>({ baseUrl: location.origin, credentials: "omit" });

export class No extends Error {
  constructor(readonly status: number) {
    super(String(status));
  }
}

export async function asked<T>(answer: Promise<{ data?: T; response: Response }>): Promise<T> {
  const { data, response } = await answer;
  if (!response.ok || data === undefined) throw new No(response.status);
  return data;
}

export interface Regular<T> {
  data: T | null;
  error: unknown;
  again: () => void;
}

/** Asks now, and again every so often, while the page is seen. */
export function useRegular<T>(ask: (() => Promise<T>) | null, everyMs: number): Regular<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [round, setRound] = useState(0);
  const current = useRef(ask);
  current.current = ask;
  const active = ask !== null;
  useEffect(() => {
    let alive = true;
    let timer = 0;
    const go = async () => {
      if (document.visibilityState === "visible" && current.current !== null) {
        try {
          const found = await current.current();
          if (alive) {
            setData(found);
            setError(null);
          }
        } catch (caught) {
          if (alive) setError(caught);
        }
      }
      if (alive) timer = window.setTimeout(go, everyMs);
    };
    if (active && round >= 0) void go();
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [active, everyMs, round]);
  return { data, error, again: useCallback(() => setRound((before) => before + 1), []) };
}

/** What a driver began here, over reloads of the page. */
export function useKept(name: string): [string | null, (value: string | null) => void] {
  const [value, setValue] = useState(() => localStorage.getItem(name));
  return [
    value,
    (next) => {
      if (next === null) localStorage.removeItem(name);
      else localStorage.setItem(name, next);
      setValue(next);
    },
  ];
}
