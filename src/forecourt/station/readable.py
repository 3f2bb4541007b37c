"""Which records of a journal can be read, before anything is taken from them.

A disk may spoil a record of a journal whose file is sound, and a later version may have written one that this one can't
read. What this module promises is that such a record costs itself alone:

* `readable` hands on the journal without it; everything else is restored as if it had never been there.
* It is put aside under `SECTION`, byte for byte, in the turn of the start: nothing is ever dropped silently, and what a
  bill depends on can be looked for there by hand.
* What is left fits together: a local list that lacks an entry has no version any more, so that the CSMS sends it anew;
  messages of a transaction whose start can't be read, or whose id can't, leave all the
  same, as those of a start that was refused (`Outbox.adopt`; OCPP 1.6 errata §3.18).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from forecourt.domain.events import decode_notice
from forecourt.domain.journal import JournalState
from forecourt.station import (
    access,
    availability,
    boot,
    charging,
    firmware,
    local_list,
    log_uploads,
    metering,
    outbox,
    reports,
    reservations,
    security_log,
    stays,
    token_cache,
    transactions,
    v2g,
    variables,
)
from forecourt.station.turn import Turn

SECTION: Final = "unreadable"
JOURNAL_DAMAGED: Final = "JournalDamaged"
"""A security event of our own."""

Reads = Callable[[str, bytes], Any]
"""Raises one of `_UNREADABLE` when the record under a key can't be read."""

_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, RecursionError)


class Unreadable(msgspec.Struct, frozen=True):
    """A record that was put aside."""

    section: str
    key: str
    raw: bytes

    @property
    def place(self) -> str:
        """Where it was."""
        return f"{self.section}/{self.key}"


def readable(state: JournalState) -> tuple[JournalState, tuple[Unreadable, ...]]:
    """The journal without what can't be read of it; and that, what a bill depends on first."""
    sound: dict[str, dict[str, bytes]] = {}
    spoilt: list[Unreadable] = []
    for section, records in state.items():
        reads = _reads(section)
        kept = sound[section] = {}
        for key, raw in records.items():
            try:
                if reads is not None:
                    reads(key, raw)
            except _UNREADABLE:
                spoilt.append(Unreadable(section, key, raw))
            else:
                kept[key] = raw
    if any(record.section == local_list.SECTION for record in spoilt):
        sound.pop(local_list.HEAD, None)
    spoilt.sort(key=lambda record: not _is_billing(record.section))
    return sound, tuple(spoilt)


def put_aside(spoilt: tuple[Unreadable, ...], before: int, turn: Turn) -> None:
    """Keep what can't be read where nobody stumbles over it, behind the `before` records that are there already."""
    for number, record in enumerate(spoilt, start=before + 1):
        turn.put(SECTION, f"{number:06d} {record.place}", record.raw)
        turn.delete(record.section, record.key)


def _is_billing(section: str) -> bool:
    return section in _BILLING or section.startswith(_VALUES)


def _reads(section: str) -> Reads | None:
    """None: of no concern to a start."""
    return _numbered(metering.decode_value) if section.startswith(_VALUES) else _SECTIONS.get(section)


def _plain(decode: Callable[[bytes], Any]) -> Reads:
    return lambda _, raw: decode(raw)


def _numbered(decode: Callable[[bytes], Any]) -> Reads:
    return lambda key, raw: (int(key), decode(raw))


def _named(decoders: Mapping[str, Callable[[bytes], Any]]) -> Reads:
    """Of a section with few keys that are known; others are of no concern."""
    return lambda key, raw: decoders[key](raw) if key in decoders else None


def _message(key: str, raw: bytes) -> None:
    entry = outbox.decode_entry(raw)
    decode_notice(bytes(entry.notice))
    if key != outbox.place_of(entry.seq):
        raise ValueError("it is not the one that was kept here")


def _report(_: str, raw: bytes) -> None:
    decode_notice(bytes(reports.decode_record(raw).notice))


_VALUES: Final = metering.rows_section("")
_BILLING: Final = frozenset({outbox.QUEUE, outbox.ASIDE, outbox.IDS, transactions.SECTION})
_SECTIONS: Final[Mapping[str, Reads]] = {
    outbox.QUEUE: _message,
    outbox.ASIDE: _message,
    outbox.IDS: _plain(outbox.decode_id),
    transactions.SECTION: _plain(transactions.decode_transaction),
    boot.SECTION: _named({boot.REASON_KEY: boot.decode_reason, boot.OFFSET_KEY: boot.decode_offset}),
    variables.SECTION: _plain(variables.decode_record),
    availability.SECTION: _numbered(availability.decode_record),
    charging.SECTION: _plain(charging.decode_record),
    local_list.SECTION: _plain(local_list.decode_record),
    local_list.HEAD: _named({local_list.VERSION_KEY: local_list.decode_version}),
    token_cache.SECTION: _plain(token_cache.decode_record),
    reports.SECTION: _report,
    security_log.SECTION: _numbered(security_log.decode_record),
    access.SECTION: _plain(access.decode_record),
    v2g.SECTION: _plain(v2g.decode_record),
    stays.SECTION: _plain(stays.decode_record),
    firmware.SECTION: _named({firmware.JOB_KEY: firmware.decode_job, firmware.LAST_KEY: firmware.decode_last}),
    log_uploads.SECTION: _plain(log_uploads.decode_record),
    reservations.SECTION: _plain(reservations.decode_record),
}
