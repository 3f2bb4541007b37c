/** The server's clock as far as it is known here: a viewer's own may be wrong, and a demonstration's runs faster. */
let offsetMs = 0;

export function serverNow(): number {
  return Date.now() + offsetMs;
}

/** What the server has just called now. */
export function learnNow(instant: string): void {
  offsetMs = Date.parse(instant) - Date.now();
}

/** Something happened at this time by the server's clock: it can't be earlier than that. */
export function learnEvent(instant: string): void {
  const ahead = Date.parse(instant) - Date.now();
  if (ahead > offsetMs) offsetMs = ahead;
}
