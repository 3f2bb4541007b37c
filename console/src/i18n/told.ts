import { useCallback } from "react";
import type { Schemas } from "../api/client";
import { deTold } from "./de-told";
import { useFormat } from "./format";
import { useText } from "./text";

type Sentence = Schemas["Sentence"];
type Value = NonNullable<Sentence["values"]>[string];

const PLACE = /\{(\w+)(?::(?:\.(\d)f|g))?\}/g;

/**
 * Says a reason in the viewer's language: from its words and what fills them. Words that this page doesn't know, of a newer
 * controller, stay English; without a sentence, of an older one, the text is all there is.
 */
export function useTold(): (sentence: Sentence | null | undefined, text?: string | null) => string | null {
  const { language } = useText();
  const format = useFormat();
  return useCallback(
    (sentence, text = null) => {
      const words = (english: string) => (language === "de" ? (deTold[english] ?? english) : english);
      const filled = (value: Value | undefined, digits: string | undefined): string => {
        if (value === null || value === undefined) return "∞";
        if (typeof value === "string") return words(value);
        if (typeof value === "object") return said(value);
        return digits === undefined ? format.plain(value) : format.number(value, Number(digits));
      };
      const said = (one: Sentence): string =>
        words(one.text).replace(PLACE, (_, name: string, digits?: string) => filled(one.values?.[name], digits));
      if (sentence) return said(sentence);
      return text === null ? null : words(text);
    },
    [language, format],
  );
}
