import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** An answer that says no, in the server's words. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Schemas["Problem"]>,
  ) {
    super(problem.detail || problem.title || `HTTP ${status}`);
  }
}

/** No answer came. */
export class Unreachable extends Error {}

const KEPT = "forecourt.key";
let onSignedOut: () => void = () => {};

export const credentials = {
  get key(): string | null {
    return sessionStorage.getItem(KEPT) ?? localStorage.getItem(KEPT);
  },
  keep(key: string, remember: boolean) {
    credentials.forget();
    (remember ? localStorage : sessionStorage).setItem(KEPT, key);
  },
  forget() {
    sessionStorage.removeItem(KEPT);
    localStorage.removeItem(KEPT);
    credentials.csrfToken = null;
  },
  /** Shows that what changes something was asked for by this page; for who came by cookie. */
  csrfToken: null as string | null,
  get headers(): Record<string, string> {
    if (credentials.key !== null) return { authorization: `Bearer ${credentials.key}` };
    return credentials.csrfToken === null ? {} : { "x-csrf-token": credentials.csrfToken };
  },
  /** Called when the server no longer takes what we show. */
  set signedOut(call: () => void) {
    onSignedOut = call;
  },
  lost() {
    onSignedOut();
  },
};

export const api = createClient<paths>({ baseUrl: location.origin });

api.use({
  onRequest({ request }) {
    for (const [name, value] of Object.entries(credentials.headers)) request.headers.set(name, value);
    return request;
  },
  onError() {
    return new Unreachable();
  },
});

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What was asked for; otherwise it throws what a person can be told. */
export async function asked<T>(answer: Promise<Answered<T>>, { signingIn = false } = {}): Promise<NonNullable<T>> {
  const { data, error, response } = await answer;
  if (response.ok) return (data ?? undefined) as NonNullable<T>;
  if (response.status === 401 && !signingIn) credentials.lost();
  throw new Refusal(response.status, typeof error === "object" && error !== null ? error : {});
}

/** All pages of a list. */
export async function everyPage<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; next_cursor?: string | null }>,
): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | undefined;
  do {
    const one = await page(cursor);
    found.push(...one.items);
    cursor = one.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}
