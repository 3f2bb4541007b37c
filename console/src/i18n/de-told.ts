/** German of the sentences that controllers and the CSMS give as reasons, see `forecourt/domain/sentence.py`. */
export const deTold: Readonly<Record<string, string>> = {
  // Why an EVSE has what it has
  "asymmetry limit of circuit {node}, {phase} over {over}":
    "Unsymmetriegrenze von Stromkreis {node}, {phase} über {over}",
  "asymmetry limit of grid connection {node}, {phase} over {over}":
    "Unsymmetriegrenze von Netzanschluss {node}, {phase} über {over}",
  "asymmetry limit of group {node}, {phase} over {over}": "Unsymmetriegrenze von Gruppe {node}, {phase} über {over}",
  "circuit {node}, phase {phase}": "Stromkreis {node}, Phase {phase}",
  "grid connection {node}, phase {phase}": "Netzanschluss {node}, Phase {phase}",
  "group {node}, phase {phase}": "Gruppe {node}, Phase {phase}",
  "power limit of circuit {node}": "Leistungsgrenze von Stromkreis {node}",
  "power limit of grid connection {node}": "Leistungsgrenze von Netzanschluss {node}",
  "power limit of group {node}": "Leistungsgrenze von Gruppe {node}",
  nothing: "nichts",
  "no demand": "kein Bedarf",
  "no demand, what it falls back to": "kein Bedarf, der Rückfallwert",
  "its own maximum": "sein eigenes Maximum",
  "what it asks for": "was er verlangt",
  "asks for nothing": "verlangt nichts",
  "{because} is {wanted:g} A, below its minimum of {minimum:g} A":
    "{because}: {wanted:g} A, unter seinem Minimum von {minimum:g} A",
  "minimum of {minimum:g} A doesn't fit under {place} ({used:.1f} of {capacity:.1f} A taken)":
    "Minimum von {minimum:g} A passt nicht mehr: {place} ({used:.1f} von {capacity:.1f} A vergeben)",
  "minimum of {minimum:g} A doesn't fit under {place} ({used:.1f} of {capacity:.1f} W taken)":
    "Minimum von {minimum:g} A passt nicht mehr: {place} ({used:.1f} von {capacity:.1f} W vergeben)",
  "{problem}, waits its turn for {time}": "{problem}, wartet seit {time}, bis er an der Reihe ist",
  "{problem}, has time and lets others go first": "{problem}, hat Zeit und lässt anderen den Vortritt",
  "was switched off, rests for another {time}": "wurde abgeschaltet, ruht noch {time}",
  "what it falls back to; more doesn't fit now": "der Rückfallwert; mehr passt gerade nicht",
  "nothing was decided yet": "noch nichts entschieden",
  "drew more than its limit again and again; until it is unplugged":
    "zog immer wieder mehr als erlaubt; bis abgesteckt wird",
  "drew more than its limit; for another {n:.0f} min": "zog mehr als erlaubt; noch {n:.0f} min lang",
  "can't be reached; {reserved:.1f} A stay reserved": "nicht erreichbar; {reserved:.1f} A bleiben reserviert",
  // Where a wish comes from
  "the car pauses": "das Auto pausiert",
  "what the car takes": "was das Auto nimmt",
  "limit of the CSMS": "Grenze des CSMS",
  "set by hand": "von Hand gesetzt",
  "switched off": "abgeschaltet",
  "what the sun leaves over": "was die Sonne übrig lässt",
  "the plan": "der Plan",
  // The plan
  "plan: {now:.1f} A now, {why}; {whole}": "Plan: jetzt {now:.1f} A, {why}; {whole}",
  "plan: nothing; {whole}": "Plan: nichts; {whole}",
  "plan: from {n:.0f} min on; {whole}": "Plan: in {n:.0f} min; {whole}",
  "{energy:.1f} kWh until it leaves": "{energy:.1f} kWh bis zur Abfahrt",
  "{energy:.1f} kWh until it leaves, {unmet:.1f} kWh can't be met":
    "{energy:.1f} kWh bis zur Abfahrt, {unmet:.1f} kWh sind nicht zu schaffen",
  // Limits for a time
  "by hand": "von Hand",
  "no limit": "keine Grenze",
  "{power:.2f} kW for EVSEs": "{power:.2f} kW für Ladepunkte",
  "{source}: {node} is limited no longer": "{source}: {node} ist nicht mehr begrenzt",
  "{source}: {node} to {limit}": "{source}: {node} auf {limit}",
  "{what}; EVSEs may draw {allowed:.1f} kW, before {before:.1f} kW":
    "{what}; Ladepunkte dürfen {allowed:.1f} kW ziehen, vorher {before:.1f} kW",
  // Alarms
  "{evse} draws {drawn:.1f} A, its limit is {limit:.1f} A": "{evse} zieht {drawn:.1f} A, erlaubt sind {limit:.1f} A",
  "{evse} draws {drawn:.1f} A over its limit {how}; it gets nothing more until it is unplugged":
    "{evse} zieht {drawn:.1f} A und damit zu viel, {how}; er bekommt nichts mehr, bis abgesteckt wird",
  "though it was told to pause": "obwohl er pausieren sollte",
  "for the {n:.0f}. time": "zum {n:.0f}. Mal",
  "{evse} is not seen to obey: no reading says so; {reserved:.1f} A stay reserved for a while":
    "{evse} ist nicht anzusehen, ob er gehorcht: kein Messwert zeigt es; {reserved:.1f} A bleiben vorerst reserviert",
  "{evse} refuses every form of limit; {reserved:.1f} A stay reserved":
    "{evse} lehnt jede Form von Grenze ab; {reserved:.1f} A bleiben reserviert",
  "{evse} can't be limited and refuses to stop; {reserved:g} A are reserved":
    "{evse} lässt sich nicht begrenzen und nicht beenden; {reserved:g} A sind reserviert",
  "the clock of {station} is {n:.0f} s ahead": "die Uhr von {station} geht {n:.0f} s vor",
  "the clock of {station} is {n:.0f} s behind": "die Uhr von {station} geht {n:.0f} s nach",
  "meter {name}: {wrong}; not believed": "Zähler {name}: {wrong}; nicht geglaubt",
  "meter {name}: nothing heard for {n:g} s; the worst case holds":
    "Zähler {name}: seit {n:g} s nichts gehört; es gilt der schlimmste Fall",
  "a number that is none": "eine Zahl, die keine ist",
  "neither current nor power": "weder Strom noch Leistung",
  "{current:.0f} A on {phase}, where the fuse is {rating:.0f} A":
    "{current:.0f} A auf {phase}, abgesichert mit {rating:.0f} A",
  "{volts:.0f} V on {phase}, expected about {expected:.0f} V":
    "{volts:.0f} V auf {phase}, erwartet etwa {expected:.0f} V",
  "{power:.0f} kW, where the fuse carries {most:.0f} kW": "{power:.0f} kW, die Sicherung trägt {most:.0f} kW",
  "{station} runs on, but its CSMS says {verdict}": "{station} läuft weiter, aber das CSMS sagt {verdict}",
  "{station}: the CSMS refuses a kept {action}; it is put aside":
    "{station}: das CSMS lehnt ein aufbewahrtes {action} ab; es wird beiseite gelegt",
  "{station}: a transaction begun offline is stopped, its token is {verdict}":
    "{station}: ein offline begonnener Ladevorgang wird beendet, sein Token ist {verdict}",
  // Load groups
  "keeps its fallback": "behält seinen Rückfallwert",
  "not connected; what it was last told allows so much": "nicht verbunden; zuletzt war ihm so viel erlaubt",
  "not connected, and it never took a limit: counted with its maximum":
    "nicht verbunden und nie begrenzt: zählt mit seinem Maximum",
  "refuses every form of limit: counted with its maximum": "lehnt jede Form von Grenze ab: zählt mit seinem Maximum",
  "its limit is on its way": "seine Grenze ist unterwegs",
  "its car draws more than it may: counted with what it draws":
    "sein Auto zieht mehr als erlaubt: zählt mit dem, was es zieht",
  "nothing charges there": "dort lädt nichts",
  "its car takes nothing now": "sein Auto nimmt gerade nichts",
  "what its car takes": "was sein Auto nimmt",
  "the fallbacks of its members come to more than its limit":
    "die Rückfallwerte der Mitglieder sind zusammen mehr als die Grenze",
  "what can't be reached may draw more than the limit by itself":
    "was nicht erreichbar ist, darf allein schon mehr als die Grenze ziehen",
  "reductions are on their way": "Absenkungen sind unterwegs",
  "the group's ceiling": "die Obergrenze der Gruppe",
  "the week": "der Wochenplan",
  "the series": "die Zeitreihe",
};
