"""The outbox: what billing depends on.

Guarantees
* Messages of transactions leave strictly first in, first out, one at a time (OCPP 1.6 §3.7).
* Each is in the journal, in the turn that made it, before it is sent; it leaves the journal in the turn that took in
  its answer. One whose answer was lost is sent again unchanged, original timestamps included.
* Being offline uses up no attempt; a CSMS that stays silent does not either, since a message may be skipped only if the
  CSMS reports that it can't process it (§3.7.1, OCPP-J 1.6 errata §3.2). Before each retransmission the outbox waits
  TransactionMessageRetryInterval times the transmissions so far.
* A message refused as often as TransactionMessageAttempts says is set aside in the journal: visible (`set_aside`),
  resendable (`resend`), never deleted; the queue goes on. After the start of a transaction was set aside its other
  messages carry the id -1 where the CSMS issues ids (errata §3.18).
* Notices carry the station's own transaction ids; the CSMS's, once learnt, are in the journal as long as a message
  may need them, and apply to everything queued (`csms_id_of`).
"""

from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.domain.events import Notice, decode_notice, encode_notice
from forecourt.domain.station import Capabilities
from forecourt.station.calls import Calls, ForBilling
from forecourt.station.dating import dated
from forecourt.station.effects import SetAside
from forecourt.station.inputs import CallFailure
from forecourt.station.turn import Turn
from forecourt.station.variable_table import MESSAGE_ATTEMPT_INTERVAL, MESSAGE_ATTEMPTS
from forecourt.station.variables import Variables

QUEUE: Final = "outbox"
ASIDE: Final = "set_aside"
IDS: Final = "transaction_id"
UNKNOWN_ID: Final = "-1"

_MOST_WAITS_FOR_SILENCE: Final = 10
_MOMENT_S: Final = 1.0
"""Wait after a message that did not leave although the connection is there: too much else waits to leave."""


class Part(StrEnum):
    """Which part of a transaction's story a message tells."""

    START = "start"
    UPDATE = "update"
    END = "end"


class OutboxEntry(msgspec.Struct, array_like=True):
    """One message in the journal: `notice` as `encode_notice` wrote it."""

    seq: int
    transaction_id: str
    part: Part
    notice: msgspec.Raw
    refusals: int = 0
    """How often the CSMS answered it with an error."""


decode_entry = msgspec.json.Decoder(OutboxEntry).decode
decode_id = msgspec.json.Decoder(str).decode


def place_of(seq: int) -> str:
    return f"{seq:016d}"


class Outbox:
    """The queue, what was set aside, and the ids that the CSMS issued."""

    __slots__ = (
        "_aside",
        "_calls",
        "_capabilities",
        "_ids",
        "_in_flight",
        "_last_seq",
        "_queue",
        "_retry_at_s",
        "_transmissions",
        "_variables",
        "running",
    )

    def __init__(self, capabilities: Capabilities, variables: Variables, calls: Calls) -> None:
        self._capabilities = capabilities
        self._variables = variables
        self._calls = calls
        self._queue: deque[OutboxEntry] = deque()
        self._aside: dict[int, OutboxEntry] = {}
        self._ids: dict[str, str] = {}
        self._last_seq = 0
        self._in_flight = False
        self._transmissions = 0
        self._retry_at_s: float | None = None
        self.running: set[str] = set()
        """Transactions that will have more to say."""

    def restore(self, state: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take over what the journal holds."""
        self._queue.extend(_own(decode_entry(raw)) for _, raw in sorted(state.get(QUEUE, {}).items()))
        for _, raw in sorted(state.get(ASIDE, {}).items()):
            entry = _own(decode_entry(raw))
            self._aside[entry.seq] = entry
        self._ids.update((own_id, decode_id(raw)) for own_id, raw in state.get(IDS, {}).items())
        self._last_seq = max([0, *(entry.seq for entry in self._queue), *self._aside])

    def adopt(self, turn: Turn) -> None:
        """Something of the journal was lost: what waits for an id that nobody will tell leaves without (§3.18)."""
        if not self._capabilities.csms_issues_transaction_ids:
            return
        starting = {entry.transaction_id for entry in (*self._queue, *self._aside.values()) if entry.part is Part.START}
        for own_id in sorted(self._open_ids() - starting - self._ids.keys()):
            self._learn(own_id, UNKNOWN_ID, turn)

    # Ids

    def csms_id_of(self, transaction_id: str) -> str | None:
        """The id by which the CSMS knows a transaction; None: it has not said yet."""
        return self._ids.get(transaction_id) if self._capabilities.csms_issues_transaction_ids else transaction_id

    def own_id_of(self, csms_id: str) -> str | None:
        """The station's id of the transaction that the CSMS calls `csms_id`."""
        if not self._capabilities.csms_issues_transaction_ids:
            return csms_id
        return next((own_id for own_id, issued in self._ids.items() if issued == csms_id), None)

    # Filling and emptying

    @property
    def depth(self) -> int:
        """How many messages wait, the one under way included."""
        return len(self._queue)

    @property
    def waiting(self) -> tuple[OutboxEntry, ...]:
        """The messages that wait, the one under way first."""
        return tuple(self._queue)

    @property
    def set_aside(self) -> tuple[OutboxEntry, ...]:
        """The messages that were refused too often."""
        return tuple(self._aside.values())

    def add(self, notice: Notice, transaction_id: str, part: Part, turn: Turn) -> None:
        """Queue a message, durably."""
        self._last_seq += 1
        entry = OutboxEntry(self._last_seq, transaction_id, part, msgspec.Raw(encode_notice(notice)))
        self._queue.append(entry)
        turn.put(QUEUE, place_of(entry.seq), entry)
        self.pump(turn)

    def pump(self, turn: Turn) -> None:
        """Send the first message, if nothing stands against it."""
        if self._in_flight or not self._queue or not self._calls.online:
            return
        if self._retry_at_s is not None and turn.now.protocol_s < self._retry_at_s:
            return
        self._retry_at_s = None
        self._in_flight = True
        entry = self._queue[0]
        self._transmissions += 1
        notice = decode_notice(bytes(entry.notice))
        self._calls.send(notice, ForBilling(entry.seq), turn)

    def next_deadline_s(self) -> float | None:
        """When to pump again, on the protocol's clock."""
        return self._retry_at_s if self._queue and not self._in_flight and self._calls.online else None

    def delivered(self, seq: int, issued_id: str | None, turn: Turn) -> OutboxEntry | None:
        """The CSMS has answered the message under way. The entry; None: it was not that one."""
        if not self._queue or self._queue[0].seq != seq or not self._in_flight:
            return None
        entry = self._queue.popleft()
        turn.delete(QUEUE, place_of(seq))
        if entry.part is Part.START and issued_id is not None:
            self._learn(entry.transaction_id, issued_id, turn)
        self._next(turn)
        self._forget_ids(entry.transaction_id, turn)
        return entry

    def failed(self, seq: int, failure: CallFailure, turn: Turn) -> None:
        """The message under way got no answer."""
        if not self._queue or self._queue[0].seq != seq or not self._in_flight:
            return
        self._in_flight = False
        entry = self._queue[0]
        if failure is CallFailure.LOST:
            self._transmissions = max(0, self._transmissions - 1)
            self._retry_at_s = turn.now.protocol_s + _MOMENT_S
            return
        attempts = self._variables.integer(MESSAGE_ATTEMPTS)
        interval_s = self._variables.integer(MESSAGE_ATTEMPT_INTERVAL)
        if failure in {CallFailure.ERROR, CallFailure.UNREADABLE, CallFailure.INEXPRESSIBLE}:
            entry.refusals += 1
            if failure is CallFailure.INEXPRESSIBLE or (attempts and entry.refusals >= attempts):
                self._put_aside(entry, turn)
                return
            turn.put(QUEUE, place_of(entry.seq), entry)
            self._retry_at_s = turn.now.protocol_s + interval_s * self._transmissions
        else:
            waits = min(self._transmissions, _MOST_WAITS_FOR_SILENCE)
            self._retry_at_s = turn.now.protocol_s + interval_s * waits

    def connected(self, turn: Turn) -> None:
        """The CSMS can be reached (again): a wait for a silent one is over, a wait after an error is not."""
        if self._queue and self._queue[0].refusals == 0:
            self._retry_at_s = None
        self.pump(turn)

    def resend(self, seq: int | None, turn: Turn) -> None:
        """Queue again what was set aside, under new places at the end; None: all of it."""
        for entry in [entry for entry in self._aside.values() if seq is None or entry.seq == seq]:
            del self._aside[entry.seq]
            turn.delete(ASIDE, place_of(entry.seq))
            self._last_seq += 1
            again = OutboxEntry(self._last_seq, entry.transaction_id, entry.part, entry.notice)
            self._queue.append(again)
            turn.put(QUEUE, place_of(again.seq), again)
        self.pump(turn)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Everything that waits or was set aside."""
        return tuple(decode_notice(bytes(entry.notice)) for entry in (*self._queue, *self._aside.values()))

    def date(self, ahead: timedelta, turn: Turn) -> None:
        """The time has become known: what was stamped before gets its true time (`dating`)."""
        for section, entries in ((QUEUE, self._queue), (ASIDE, self._aside.values())):
            for entry in entries:
                notice = decode_notice(bytes(entry.notice))
                if (made := dated(notice, ahead)) is not notice:
                    entry.notice = msgspec.Raw(encode_notice(made))
                    turn.put(section, place_of(entry.seq), entry)

    def _next(self, turn: Turn) -> None:
        self._in_flight = False
        self._transmissions = 0
        self._retry_at_s = None
        self.pump(turn)

    def _put_aside(self, entry: OutboxEntry, turn: Turn) -> None:
        self._queue.popleft()
        self._aside[entry.seq] = entry
        turn.delete(QUEUE, place_of(entry.seq))
        turn.put(ASIDE, place_of(entry.seq), entry)
        turn.emit(SetAside(entry.seq, entry.transaction_id))
        issues = self._capabilities.csms_issues_transaction_ids
        if issues and entry.part is Part.START and entry.transaction_id not in self._ids:
            self._learn(entry.transaction_id, UNKNOWN_ID, turn)
        self._next(turn)

    def _learn(self, own_id: str, issued_id: str, turn: Turn) -> None:
        self._ids[own_id] = issued_id
        turn.put(IDS, own_id, issued_id)

    def _forget_ids(self, own_id: str, turn: Turn) -> None:
        """Drop the CSMS's id once the end was delivered and nothing of the transaction waits any more."""
        if own_id not in self._ids or own_id in self._open_ids():
            return
        del self._ids[own_id]
        turn.delete(IDS, own_id)

    def _open_ids(self) -> set[str]:
        waiting = {entry.transaction_id for entry in (*self._queue, *self._aside.values())}
        return waiting | self.running


def _own(entry: OutboxEntry) -> OutboxEntry:
    """`entry` without a reference into the bytes it was read from."""
    entry.notice = entry.notice.copy()
    return entry
