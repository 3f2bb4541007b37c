"""What a site link still has to tell: alarms, decisions and changes of limits, numbered, kept until they are taken.

Guarantees
* Numbers begin at 1 in the name of a journal and have no gap, over restarts as well; a journal that was lost is another
  journal.
* At most `KEPT` entries wait. Where more come, the oldest decision goes first, then the oldest of all, and `lost`
  counts them.
* A decision is an entry only where an EVSE's share has moved by `MOVED_A` or more.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from forecourt.controller.effects import Alarm, Decided
from forecourt.domain.clock import Now
from forecourt.domain.journal import Change, Delete, JournalState, Put
from forecourt.domain.sentence import Sentence
from forecourt.domain.site import EvseKey
from forecourt.domain.site_link import Entry

SECTION: Final = "site-link"
KEPT: Final = 10_000
MOVED_A: Final = 0.1

_HEAD: Final = "head"
_encode = msgspec.json.Encoder().encode


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    journal_id: str
    last_seq: int = 0
    acknowledged: int = 0
    lost: int = 0


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_entry = msgspec.json.Decoder(Entry).decode


class LinkJournal:
    """See the module. Whoever changes it writes `take()` into the site's journal."""

    def __init__(self, journal_id: str, memory: JournalState | None = None, kept: int = KEPT) -> None:
        """`journal_id` is the name of a new one; what `memory` holds goes on under its own."""
        self._kept = kept
        self._entries: deque[Entry] = deque()
        self._changes: dict[str, Change] = {}
        self._targets_a: dict[EvseKey, float] = {}
        self._head = _Head(journal_id=journal_id)
        held = (memory or {}).get(SECTION, {})
        try:
            self._head = _decode_head(held[_HEAD])
            found = [_decode_entry(raw) for key, raw in held.items() if key != _HEAD]
        except (KeyError, msgspec.DecodeError):
            for key in held:
                self._changes[key] = Delete(SECTION, key)
        else:
            self._entries.extend(sorted(found, key=lambda entry: entry.seq))

    @property
    def journal_id(self) -> str:
        """In whose name entries are numbered."""
        return self._head.journal_id

    @property
    def last_seq(self) -> int:
        """Of the newest entry there ever was."""
        return self._head.last_seq

    @property
    def lost(self) -> int:
        """How many were dropped since the last acknowledgement."""
        return self._head.lost

    def alarm(self, alarm: Alarm, now: Now) -> None:
        """One was raised."""
        self._add("alarm", alarm.sentence, now, code=alarm.kind, evse=None if alarm.evse is None else str(alarm.evse))

    def limit(self, what: Sentence, now: Now) -> None:
        """A limit of the site began, changed or ended."""
        self._add("limit", what, now)

    def decided(self, decided: Decided, now: Now) -> None:
        """An allocation was made."""
        for one in decided.decisions:
            if abs(one.target_a - self._targets_a.get(one.evse, 0.0)) < MOVED_A:
                continue
            self._targets_a[one.evse] = one.target_a
            what = one.explanation.sentence(one.target_a, decided.at_s)
            self._add("decision", what, now, evse=str(one.evse), target_a=one.target_a)

    def after(self, seq: int, limit: int) -> tuple[Entry, ...]:
        """What comes after a number, at most so many."""
        found: list[Entry] = []
        for entry in self._entries:
            if entry.seq > seq:
                found.append(entry)
                if len(found) == limit:
                    break
        return tuple(found)

    def acknowledge(self, seq: int) -> None:
        """The CSMS has everything up to here."""
        if seq > self._head.last_seq:  # it has more than we remember: those numbers are taken
            self._be(last_seq=seq)
        while self._entries and self._entries[0].seq <= seq:
            self._forget(self._entries.popleft())
        if seq > self._head.acknowledged or self._head.lost:
            self._be(acknowledged=min(max(seq, self._head.acknowledged), self._head.last_seq), lost=0)

    def take(self) -> tuple[Change, ...]:
        """What is to be written."""
        taken, self._changes = tuple(self._changes.values()), {}
        return taken

    def _add(
        self, kind: Literal["alarm", "decision", "limit"], what: Sentence, now: Now, *, code: str | None = None,
        evse: str | None = None, target_a: float | None = None,
    ) -> None:  # fmt: skip
        seq = self._head.last_seq + 1
        entry = Entry(
            seq=seq, kind=kind, at=now.at, text=str(what), sentence=what, code=code, evse=evse, target_a=target_a
        )
        self._entries.append(entry)
        self._changes[_key(entry)] = Put(SECTION, _key(entry), _encode(entry))
        dropped = 0
        while len(self._entries) > self._kept:
            self._drop(self._entries)
            dropped += 1
        self._be(last_seq=seq, lost=self._head.lost + dropped)

    def _drop(self, entries: Iterable[Entry]) -> None:
        oldest = next((entry for entry in entries if entry.kind == "decision"), self._entries[0])
        self._entries.remove(oldest)
        self._forget(oldest)

    def _forget(self, entry: Entry) -> None:
        self._changes[_key(entry)] = Delete(SECTION, _key(entry))

    def _be(self, **changed: int) -> None:
        self._head = msgspec.structs.replace(self._head, **changed)
        self._changes[_HEAD] = Put(SECTION, _HEAD, _encode(self._head))


def _key(entry: Entry) -> str:
    return f"{entry.seq:012}"
