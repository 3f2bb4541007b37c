"""Decisions written down with all that went into them, so that each can be decided again.

Guarantees
* A record holds what `allocate` was given and a digest of what it said; `Replay` gives it the same again, and says
  whether the same came out, to the last bit of every share and its explanation.
* A record holds what has changed since the one before; each `FULL_EVERY`-th holds everything, so that a difference
  doesn't reach beyond it, and a part of a log can be replayed.
* A log begins with the site and the turns: nothing else is needed.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Final

import msgspec

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Background, Demand, Load, NodeLimit, Turns
from forecourt.allocation.realtime import Allocation, Share, allocate
from forecourt.domain.site import EvseKey, Site

FULL_EVERY: Final = 200
LAYOUT: Final = 1
"""Of a log. Another one can't be read."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class DecisionCase(msgspec.Struct, frozen=True):
    """One decision: what went in, and what came out."""

    demands: tuple[Demand, ...]
    readings: Mapping[str, Background]
    limits: Mapping[str, NodeLimit]
    reserved: tuple[Load, ...]
    previous: Allocation | None
    allocation: Allocation


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a log."""

    layout: int
    site: Site
    turns: Turns


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """The allocation before, as JSON has it."""

    decided_s: float
    shares: tuple[tuple[EvseKey, Share], ...]
    next_turn_s: float | None

    @classmethod
    def of(cls, allocation: Allocation) -> "Before":
        """To be written."""
        return cls(
            decided_s=allocation.decided_s,
            shares=tuple(allocation.shares.items()),
            next_turn_s=allocation.next_turn_s,
        )

    def allocation(self) -> Allocation:
        """As it was."""
        return Allocation(self.decided_s, dict(self.shares), self.next_turn_s)


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision in a log. What isn't there is as in the one before, unless it is `full`."""

    at: datetime
    now_s: float
    full: bool = False
    previous: Before | None = None
    """Only in a full one."""
    demands: tuple[Demand, ...] = ()
    """New or changed."""
    gone: tuple[EvseKey, ...] = ()
    readings: dict[str, Background] | None = None
    limits: dict[str, NodeLimit] | None = None
    reserved: tuple[Load, ...] | None = None
    shares: tuple[tuple[EvseKey, float], ...] = ()
    """New or changed ones, in ampere."""
    digest: str


class Recorder:
    """Turns decisions into lines of a log."""

    def __init__(self, site: Site, turns: Turns) -> None:
        self._opening = _encode(Opening(layout=LAYOUT, site=site, turns=turns))
        self._since_full = FULL_EVERY
        self._demands: dict[EvseKey, Demand] = {}
        self._last: DecisionCase | None = None

    def opening(self) -> bytes:
        """The first line of a log; the record after it is a full one."""
        self._since_full = FULL_EVERY
        return self._opening

    def line(self, case: DecisionCase, at: datetime) -> bytes:
        """A decision."""
        last, full = self._last, self._since_full >= FULL_EVERY or self._last is None
        before = {} if full or last is None else self._demands
        demands = {demand.evse: demand for demand in case.demands}
        shares_before = {} if full or last is None else last.allocation.shares
        record = Record(
            at=at,
            now_s=case.allocation.decided_s,
            full=full,
            previous=Before.of(case.previous) if full and case.previous is not None else None,
            demands=tuple(demand for key, demand in demands.items() if before.get(key) != demand),
            gone=tuple(key for key in before if key not in demands),
            readings=dict(case.readings) if full or last is None or case.readings != last.readings else None,
            limits=dict(case.limits) if full or last is None or case.limits != last.limits else None,
            reserved=case.reserved if full or last is None or case.reserved != last.reserved else None,
            shares=tuple(
                (key, share.limit_a)
                for key, share in case.allocation.shares.items()
                if key not in shares_before or shares_before[key].limit_a != share.limit_a
            ),
            digest=digest(case.allocation),
        )
        self._since_full = 1 if full else self._since_full + 1
        self._demands, self._last = demands, case
        return _encode(record)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that doesn't come out again."""

    at: datetime
    now_s: float
    shares: tuple[tuple[str, float, float], ...]
    """EVSE, ampere then, ampere now, where they differ; none: only an explanation does."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a log."""

    decisions: int
    skipped: int
    """At the beginning, without a full record before them, or damaged."""
    begins: datetime | None
    ends: datetime | None
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether every decision came out as it was."""
        return not self.differences


class LogError(ValueError):
    """Not a log of decisions; the text says why."""


_opening_of = msgspec.json.Decoder(Opening).decode
_record_of = msgspec.json.Decoder(Record).decode


def replay(lines: Iterable[bytes]) -> Replayed:
    """Decide again what is in the log. A last line that was cut off, and damaged ones, are skipped.

    Raises:
        LogError: it doesn't begin like a log of decisions.
    """
    rows = iter(lines)
    try:
        opening = _opening_of(next(rows))
        site = CompiledSite(opening.site)
    except StopIteration:
        raise LogError("it is empty") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise LogError(f"it doesn't begin with a site: {error}") from error
    if opening.layout != LAYOUT:
        raise LogError(f"its layout is {opening.layout}, expected {LAYOUT}")
    decisions = skipped = 0
    differences: list[Difference] = []
    begins = ends = None
    for again in _again(site, opening.turns, rows):
        if again is None:
            skipped += 1
            continue
        record, difference = again
        decisions += 1
        begins, ends = begins or record.at, record.at
        if difference is not None:
            differences.append(difference)
    return Replayed(decisions=decisions, skipped=skipped, begins=begins, ends=ends, differences=tuple(differences))


def _again(
    site: CompiledSite, turns: Turns, rows: Iterator[bytes]
) -> Iterator[tuple[Record, Difference | None] | None]:
    demands: dict[EvseKey, Demand] = {}
    readings: dict[str, Background] = {}
    limits: dict[str, NodeLimit] = {}
    reserved: tuple[Load, ...] = ()
    recorded_a: dict[EvseKey, float] = {}
    previous: Allocation | None = None
    known = False
    for row in rows:
        try:
            record = _record_of(row)
        except msgspec.MsgspecError:
            known = False
            yield None
            continue
        if record.full:
            demands, recorded_a, known = {}, {}, True
            previous = None if record.previous is None else record.previous.allocation()
        elif not known:
            yield None
            continue
        demands.update({demand.evse: demand for demand in record.demands})
        for key in record.gone:
            demands.pop(key, None)
        readings = readings if record.readings is None else record.readings
        limits = limits if record.limits is None else record.limits
        reserved = reserved if record.reserved is None else record.reserved
        try:
            allocation = allocate(
                site, demands.values(), record.now_s, readings=readings, limits=limits, reserved=reserved,
                previous=previous, turns=turns,
            )  # fmt: skip
        except KeyError:  # about an EVSE or node that the site doesn't have
            known = False
            yield None
            continue
        recorded_a = {key: value for key, value in recorded_a.items() if key in allocation.shares}
        recorded_a.update(record.shares)
        previous = allocation
        yield record, None if digest(allocation) == record.digest else _difference(record, recorded_a, allocation)


def digest(allocation: Allocation) -> str:
    """Of everything that an allocation says."""
    shares = sorted((str(key), share) for key, share in allocation.shares.items())
    return blake2b(_encode((shares, allocation.next_turn_s)), digest_size=8).hexdigest()


def _difference(record: Record, recorded_a: Mapping[EvseKey, float], allocation: Allocation) -> Difference:
    keys = sorted({*recorded_a, *allocation.shares})
    found = tuple(
        (str(key), recorded_a.get(key, 0.0), allocation.limit_a(key))
        for key in keys
        if recorded_a.get(key, 0.0) != allocation.limit_a(key)
    )
    return Difference(at=record.at, now_s=record.now_s, shares=found)
