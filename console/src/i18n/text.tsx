import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { de } from "./de";

/** Every text of the console, in English; a text that German lacks is a type error. */
export type Text = keyof typeof de;
export type Language = "en" | "de";
export type Translate = (text: Text, values?: Record<string, string | number>) => string;

interface Texts {
  t: Translate;
  language: Language;
  /** For numbers and dates: the viewer's own region where it is of this language. */
  locale: string;
  setLanguage: (language: Language) => void;
}

const KEPT = "forecourt.language";
const Context = createContext<Texts | null>(null);

function preferred(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "de") return kept;
  return navigator.language.toLowerCase().startsWith("de") ? "de" : "en";
}

function localeOf(language: Language): string {
  return (
    navigator.languages.find((one) => one.toLowerCase().startsWith(language)) ?? (language === "de" ? "de" : "en-GB")
  );
}

export function TextProvider({ children }: { children: ReactNode }) {
  const [language, keep] = useState<Language>(preferred);
  const setLanguage = useCallback((next: Language) => {
    localStorage.setItem(KEPT, next);
    keep(next);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const value = useMemo<Texts>(() => {
    const t: Translate = (text, values) => {
      let found: string = language === "de" ? de[text] : text;
      for (const [name, filled] of Object.entries(values ?? {})) found = found.replaceAll(`{${name}}`, String(filled));
      return found;
    };
    return { t, language, locale: localeOf(language), setLanguage };
  }, [language, setLanguage]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useText(): Texts {
  const texts = useContext(Context);
  if (texts === null) throw new Error("no TextProvider");
  return texts;
}
