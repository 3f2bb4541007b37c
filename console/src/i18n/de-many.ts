/** German words of filters, of what is done with many stations at once, and of the audit log. */
export const deMany = {
  "By station, token and time as filtered": "Nach Station, Token und Zeit wie gefiltert",
  "Ask for their state": "Nach ihrem Zustand fragen",
  "Choose all that are shown": "Alle gezeigten wählen",
  "Choose none": "Keine wählen",
  "Choose {name}": "{name} wählen",
  "Columns by name: value, and where you like expires_at, group, note, standing.":
    "Spalten nach Namen: value, und nach Belieben expires_at, group, note, standing.",
  "Enter them": "Eintragen",
  "File (CSV)": "Datei (CSV)",
  "From a list": "Aus einer Liste",
  "Nothing is entered before this is mended:": "Nichts wird eingetragen, bevor das behoben ist:",
  "and {n} more": "und {n} weitere",
  "There is no token in it.": "Darin ist kein Token.",
  "Tokens from a list": "Token aus einer Liste",
  "{n} done": "{n} erledigt",
  "{n} done, {m} not": "{n} erledigt, {m} nicht",
  "{n} tokens are entered, {m} of them replaced.": "{n} Token werden eingetragen, {m} davon ersetzt.",
  "Each ends what runs, then starts again. They are away for some minutes.":
    "Jede beendet, was läuft, und startet neu. Sie sind einige Minuten weg.",
  "Each shows that it is there, and gets the time; nothing else changes.":
    "Jede zeigt, dass sie da ist, und bekommt die Zeit; sonst ändert sich nichts.",
  "Each tells anew what state its connectors are in; nothing else changes.":
    "Jede meldet den Zustand ihrer Anschlüsse neu; sonst ändert sich nichts.",
  "Let them in": "Zulassen",
  "Meter readings": "Zählerstände",
  "No view kept yet": "Noch keine Ansicht gemerkt",
  "Nobody can begin to charge there until they are put into service again; who charges now may finish.":
    "Niemand kann dort mit dem Laden beginnen, bis sie wieder in Betrieb sind; wer lädt, darf fertig laden.",
  "None chosen: they stand nowhere.": "Keiner gewählt: Sie stehen nirgends.",
  "Nothing like that": "Nichts dergleichen",
  "Nothing was sent along, and nothing said in answer.": "Nichts wurde mitgeschickt und nichts geantwortet.",
  "Set their location": "Standort setzen",
  "Take the filter away": "Filter wegnehmen",
  "Views kept in this browser": "In diesem Browser gemerkt",
  "What was asked for": "Was verlangt wurde",
  "While they are offline, they let in only whom their local lists name, until they learn others.":
    "Offline lassen sie nur ein, wen ihre lokalen Listen nennen, bis sie andere kennenlernen.",
  "With those that are chosen": "Mit den gewählten",
  "any location": "jeder Standort",
  "anybody, as nobody has to sign in here": "irgendwer, da sich hier niemand anmelden muss",
  "by anybody": "von irgendwem",
  "command line": "Kommandozeile",
  "stations/CP-1, tariffs …": "stations/CP-1, tariffs …",
  "whatever happened": "was auch immer",
  "who did not get in": "wer nicht hineinkam",
  "{n} chosen": "{n} gewählt",
  "{n} stations stand there from now on, with its tariff and for its users.":
    "{n} Stationen stehen ab jetzt dort, mit seinem Tarif und für seine Benutzer.",
  "{n} stations that wait are told that they are accepted: drivers can charge there.":
    "{n} wartende Stationen erfahren, dass sie zugelassen sind: Dort kann geladen werden.",
  After: "Nachher",
  Before: "Vorher",
  Bills: "Rechnungen",
  Field: "Feld",
} as const;
