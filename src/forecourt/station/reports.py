"""What the CSMS has to hear even if it takes days: security events, and how far updates and uploads have come.

Guarantees
* Reports leave first in, first out, one at a time, and are in the journal from the turn that made them until the turn
  that took in their answer (security white paper A04.FR.01 to FR.03): neither an outage nor a power cut drops one.
* An answer that is an error counts as delivered: the CSMS has heard, and will not hear better the next time. Silence
  does not: the report is sent again after a while, unchanged, with its original timestamp.
* When more wait than the station keeps, the oldest that is not critical makes room; a critical one never does.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from forecourt.domain.events import Notice, StationEvent, decode_notice, encode_notice
from forecourt.station.calls import Calls, ForReport
from forecourt.station.dating import dated
from forecourt.station.inputs import CallFailure
from forecourt.station.turn import Turn

SECTION: Final = "report"

_RETRY_S: Final = 60.0
_MOMENT_S: Final = 1.0
"""Wait after a report that did not leave although the connection is there: too much else waits to leave."""


class _Entry(msgspec.Struct, array_like=True):
    seq: int
    critical: bool
    notice: msgspec.Raw


decode_record = msgspec.json.Decoder(_Entry).decode


def _place(seq: int) -> str:
    return f"{seq:016d}"


class Reports:
    """The queue. `most`: how many it holds, unless all of them are critical."""

    __slots__ = ("_calls", "_entries", "_in_flight", "_last_seq", "_most", "_retry_at_s")

    def __init__(self, calls: Calls, most: int) -> None:
        self._calls = calls
        self._most = most
        self._entries: dict[int, _Entry] = {}
        self._last_seq = 0
        self._in_flight: int | None = None
        self._retry_at_s: float | None = None

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take over what the journal holds."""
        for _, raw in sorted(kept.items()):
            entry = decode_record(raw)
            entry.notice = entry.notice.copy()
            self._entries[entry.seq] = entry
            self._last_seq = entry.seq

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, event: StationEvent, turn: Turn, *, critical: bool = False) -> None:
        """Queue a report, durably."""
        self._last_seq += 1
        entry = _Entry(self._last_seq, critical, msgspec.Raw(encode_notice(Notice((event,)))))
        self._entries[entry.seq] = entry
        turn.put(SECTION, _place(entry.seq), entry)
        if len(self._entries) > self._most:
            self._make_room(turn)
        self.pump(turn)

    def pump(self, turn: Turn) -> None:
        """Send the first report, if nothing stands against it."""
        if self._in_flight is not None or not self._entries or not self._calls.online:
            return
        if self._retry_at_s is not None and turn.now.protocol_s < self._retry_at_s:
            return
        self._retry_at_s = None
        entry = next(iter(self._entries.values()))
        self._in_flight = entry.seq
        self._calls.send(decode_notice(bytes(entry.notice)), ForReport(entry.seq), turn)

    def connected(self, turn: Turn) -> None:
        """The CSMS can be reached (again)."""
        self._retry_at_s = None
        self.pump(turn)

    def delivered(self, seq: int, turn: Turn) -> None:
        """The CSMS has answered."""
        if self._in_flight != seq:
            return
        self._in_flight = None
        self._forget(seq, turn)
        self.pump(turn)

    def failed(self, seq: int, failure: CallFailure, turn: Turn) -> None:
        """The report under way got no answer."""
        if failure not in {CallFailure.TIMEOUT, CallFailure.LOST}:
            self.delivered(seq, turn)
        elif self._in_flight == seq:
            self._in_flight = None
            wait_s = _RETRY_S if failure is CallFailure.TIMEOUT else _MOMENT_S
            self._retry_at_s = turn.now.protocol_s + wait_s

    def next_deadline_s(self) -> float | None:
        """When to pump again, on the protocol's clock."""
        waits = self._entries and self._in_flight is None and self._calls.online
        return self._retry_at_s if waits else None

    def date(self, ahead: timedelta, turn: Turn) -> None:
        """The time has become known: what was stamped before gets its true time (`dating`)."""
        for entry in self._entries.values():
            notice = decode_notice(bytes(entry.notice))
            if (made := dated(notice, ahead)) is not notice:
                entry.notice = msgspec.Raw(encode_notice(made))
                turn.put(SECTION, _place(entry.seq), entry)

    def _make_room(self, turn: Turn) -> None:
        for entry in self._entries.values():
            if not entry.critical and entry.seq not in {self._in_flight, self._last_seq}:
                self._forget(entry.seq, turn)
                return

    def _forget(self, seq: int, turn: Turn) -> None:
        if self._entries.pop(seq, None) is not None:
            turn.delete(SECTION, _place(seq))
