import type { ReactNode } from "react";
import { useText } from "../i18n/text";

/** What may be wider than the screen: it scrolls by itself, by keyboard too. */
export function Wide({ children }: { children: ReactNode }) {
  const { t } = useText();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached by keyboard
    <section className="scroll" tabIndex={0} aria-label={t("Table")}>
      {children}
    </section>
  );
}
