"""One turn of a station: what it knows of the time, and what it has decided so far.

Guarantees
* Everything a turn changes durably leaves as one `Persist` in front of all other effects: a power cut falls before a
  turn or after it, never into it.
* `at` is the CSMS's time as far as it is known (OCPP 1.6 §4.2, §4.6), and is what messages are stamped with.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from forecourt.domain.clock import Now
from forecourt.domain.journal import Change, Clear, Delete, Put
from forecourt.station.effects import Effect, Persist

_encode = msgspec.json.Encoder().encode


class Turn:
    """Collects changes and effects. `offset_s`: how far the CSMS's clock is ahead of `now.at`."""

    __slots__ = ("_changes", "_effects", "at", "now")

    def __init__(self, now: Now, offset_s: float = 0.0) -> None:
        self.now = now
        self.at: datetime = now.at + timedelta(seconds=offset_s) if offset_s else now.at
        self._changes: dict[tuple[str, str], Change] = {}
        self._effects: list[Effect] = []

    def put(self, section: str, key: str, record: Any) -> None:
        """Keep `record`, as JSON."""
        self._change(section, key, Put(section, key, _encode(record)))

    def delete(self, section: str, key: str) -> None:
        """Forget what is under `key`."""
        self._change(section, key, Delete(section, key))

    def clear(self, section: str) -> None:
        """Forget a section."""
        for place in [place for place in self._changes if place[0] == section]:
            del self._changes[place]
        self._changes[section, ""] = Clear(section)

    def emit(self, effect: Effect) -> None:
        """Ask for something, after what was asked for before."""
        self._effects.append(effect)

    def effects(self) -> list[Effect]:
        """What the turn comes to."""
        if not self._changes:
            return self._effects
        return [Persist(tuple(self._changes.values())), *self._effects]

    @property
    def changes_nothing(self) -> bool:
        """Whether nothing has come of it so far."""
        return not self._changes and not self._effects

    def _change(self, section: str, key: str, change: Change) -> None:
        self._changes.pop((section, key), None)  # the last word counts, at its own place in the order
        self._changes[section, key] = change
