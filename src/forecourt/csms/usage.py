"""What a transaction used, moment by moment, from what its station told: the ground that prices stand on.

Guarantees
* Energy is the register's: the total is stop minus start, as in the transaction; readings in between only say when it
  flowed. One that contradicts its neighbours, or is suspect, is passed over.
* Idle is when the car was connected and wanted nothing (SuspendedEV, EVConnected). What the station holds back
  (SuspendedEVSE, load management) is never idle. Where the station has told no state the register decides: no more
  than the threshold flowed. And where the register shows that a car charged, it charged, whatever was told.
* Within a stretch between two readings energy flowed while the car was charging.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from forecourt.csms.metering import measured_current_a
from forecourt.csms.pricing import Segment, Usage
from forecourt.csms.records import ENERGY_DIGITS, Reading, Transaction
from forecourt.domain.transaction import ChargingState

_IDLE: Final = frozenset({ChargingState.SUSPENDED_EV, ChargingState.EV_CONNECTED, ChargingState.IDLE})
_LASTING: Final = frozenset({ChargingState.CHARGING, ChargingState.SUSPENDED_EV, ChargingState.SUSPENDED_EVSE})
"""States told before the start that still say something after it."""
_HOUR_S: Final = 3600


class StateChange(NamedTuple):
    """What an EVSE did from a moment on."""

    at: datetime
    charging_state: ChargingState


class _Point(NamedTuple):
    at: datetime
    energy_wh: Fraction
    """Since the start."""
    current_a: Fraction | None


def usage_of(
    transaction: Transaction,
    readings: Sequence[Reading],
    states: Sequence[StateChange],
    *,
    now: datetime,
    charging_threshold_w: float,
) -> Usage:
    """The use of a transaction with a start.

    Args:
        transaction: `started_at` is known.
        readings: Its own, in the order of time.
        states: Of its EVSE, in the order of time; the last ones before the start included.
        now: Until when a transaction that runs is looked at: at least until its last reading.
        charging_threshold_w: A car that draws less on average isn't charging, where nobody says otherwise.
    """
    start = transaction.started_at
    assert start is not None
    end = transaction.ended_at or max(now, transaction.meter_last_at or now)
    end = max(start, end)
    total_wh = exact_wh(transaction.energy_wh or 0.0)
    points = [_Point(start, Fraction(0), None)]
    for reading in readings:
        if reading.energy_wh is None or reading.suspect is not None or transaction.meter_start_wh is None:
            continue
        energy_wh = exact_wh(reading.energy_wh - transaction.meter_start_wh)
        if points[-1].at < reading.at < end and points[-1].energy_wh <= energy_wh <= total_wh:
            points.append(_Point(reading.at, energy_wh, _current_a(reading)))
    last_a = next((_current_a(entry) for entry in reversed(readings) if entry.at <= end), None)
    if points[-1].at < end or total_wh > points[-1].energy_wh:
        points.append(_Point(end, total_wh, last_a))
    threshold_w = Fraction(charging_threshold_w)
    timeline = _Timeline(states, start)
    segments: list[Segment] = []
    for before, after in pairwise(points):
        segments += _between(before, after, timeline, threshold_w)
    return Usage(start, end, tuple(segments))


def exact_wh(energy_wh: float) -> Fraction:
    """Watt-hours as an exact number of milliwatt-hours."""
    return Fraction(Decimal(repr(round(energy_wh, ENERGY_DIGITS))))


class _Timeline:
    """What the station said its EVSE did, when."""

    def __init__(self, states: Sequence[StateChange], start: datetime) -> None:
        self._times: list[datetime] = []
        self._states: list[ChargingState] = []
        for change in states:
            if change.at >= start or change.charging_state in _LASTING:
                self._times.append(change.at)
                self._states.append(change.charging_state)

    def pieces(self, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, ChargingState | None]]:
        """The stretch from `begin` to `end`, cut where the state changed."""
        index = bisect_right(self._times, begin)
        at = begin
        while True:
            state = None if index == 0 else self._states[index - 1]
            until = self._times[index] if index < len(self._times) else end
            if until >= end:
                yield at, end, state
                return
            if until > at:
                yield at, until, state
            at = until
            index += 1


def _between(before: _Point, after: _Point, timeline: _Timeline, threshold_w: Fraction) -> list[Segment]:
    energy_wh = after.energy_wh - before.energy_wh
    seconds = _seconds(before.at, after.at)
    if not seconds:
        return [Segment(before.at, after.at, energy_wh, True, after.current_a)]
    flowed = energy_wh * _HOUR_S >= threshold_w * seconds and energy_wh > 0
    told = [
        (begin, end, flowed if state is None else state not in _IDLE)
        for begin, end, state in timeline.pieces(before.at, after.at)
    ]
    charging_s = sum((_seconds(begin, end) for begin, end, charging in told if charging), Fraction(0))
    if flowed and not charging_s:
        told = [(before.at, after.at, True)]
        charging_s = seconds
    segments = []
    for begin, end, charging in told:
        if charging_s:
            share = _seconds(begin, end) / charging_s if charging else Fraction(0)
        else:
            share = _seconds(begin, end) / seconds
        segments.append(Segment(begin, end, share * energy_wh, charging, after.current_a))
    return segments


def _current_a(reading: Reading) -> Fraction | None:
    measured = measured_current_a(reading.samples)
    return None if measured is None else Fraction(Decimal(repr(measured)))


def _seconds(begin: datetime, end: datetime) -> Fraction:
    length = end - begin
    return Fraction((length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds, 1_000_000)
