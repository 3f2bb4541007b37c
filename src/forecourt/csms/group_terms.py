"""What a load group may draw, over time: a ceiling, a week, a series, and prices or CO₂ put to thresholds.

Guarantees
* The lowest of what applies counts, at every moment; the ceiling always applies.
* A week is by the clock on the wall of `time_zone`, summer time included. A series holds each value until the next;
  before its first and after its last point (but `series_holds_s` later at most) it says nothing.
* What can't be is refused with the field's name (ValueError).
"""

from bisect import bisect_right
from datetime import datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from forecourt.csms.zones import is_zone, zone
from forecourt.domain.profile import ChargingRateUnit
from forecourt.quantities import NOMINAL_VOLTAGE_V

Rate = Annotated[float, Meta(ge=0, le=1e6)]
Instant = Annotated[datetime, Meta(tz=True)]
_STEP: Final = timedelta(minutes=1)
"""The finest step of a week."""


class Weekday(StrEnum):
    """A day of the week."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


_DAYS: Final = tuple(Weekday)


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all parts."""


class WeeklyLimit(Terms, frozen=True, kw_only=True):
    """From `start` until `end` on these days; an `end` that is not later than `start` is on the next day."""

    days: tuple[Weekday, ...] = _DAYS
    start: time = time(0)
    end: time = time(0)
    rate_limit: Rate

    def __post_init__(self) -> None:
        if not self.days:
            raise ValueError("days: names no day")
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise ValueError("start, end: are by the clock on the wall, without a time zone")

    def applies(self, here: datetime) -> bool:
        """At that moment, by the clock on the wall."""
        clock = here.time()
        if self.start < self.end:
            return self.start <= clock < self.end and _DAYS[here.weekday()] in self.days
        today, yesterday = _DAYS[here.weekday()], _DAYS[here.weekday() - 1]
        return (clock >= self.start and today in self.days) or (clock < self.end and yesterday in self.days)


class LimitPoint(Terms, frozen=True, kw_only=True):
    """From then on, until the next."""

    at: Instant
    rate_limit: Rate


class SignalPoint(Terms, frozen=True, kw_only=True):
    """A price, or grams of CO₂ per kWh: from then on, until the next."""

    at: Instant
    value: Annotated[float, Meta(ge=-1e9, le=1e9)]


class Threshold(Terms, frozen=True, kw_only=True):
    """While the signal is above `above`, no more than `rate_limit`."""

    above: Annotated[float, Meta(ge=-1e9, le=1e9)]
    rate_limit: Rate


class GroupLimit(Terms, frozen=True, kw_only=True):
    """Everything that limits a group. Limits are ampere per phase or watts, as `rate_unit` says."""

    rate_unit: ChargingRateUnit = ChargingRateUnit.A
    rate_limit: Rate
    """The ceiling."""
    weekly: Annotated[tuple[WeeklyLimit, ...], Meta(max_length=200)] = ()
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    """Of `weekly`: an IANA name."""
    series: Annotated[tuple[LimitPoint, ...], Meta(max_length=20_000)] = ()
    signal: Annotated[tuple[SignalPoint, ...], Meta(max_length=20_000)] = ()
    thresholds: Annotated[tuple[Threshold, ...], Meta(max_length=100)] = ()
    """What the signal means."""
    series_holds_s: Annotated[int, Meta(ge=1, le=31_536_000)] = 3600
    """How long the last point of a series, and of the signal, holds."""
    voltage_v: Annotated[float, Meta(gt=0, le=1000)] = NOMINAL_VOLTAGE_V
    """Line to neutral."""

    def __post_init__(self) -> None:
        if not is_zone(self.time_zone):
            raise ValueError("time_zone: must be an IANA name, such as Europe/Berlin")
        for name in ("series", "signal"):
            instants = [point.at for point in getattr(self, name)]
            if any(later <= earlier for earlier, later in pairwise(instants)):
                raise ValueError(f"{name}: must ascend in time")
        if self.signal and not self.thresholds:
            raise ValueError("thresholds: a signal without thresholds limits nothing")

    def at(self, at: datetime) -> tuple[float, str]:
        """The limit at a moment, and what it comes from."""
        found = [(self.rate_limit, "the group's ceiling")]
        if self.weekly:
            here = at.astimezone(zone(self.time_zone))
            found += [(entry.rate_limit, "the week") for entry in self.weekly if entry.applies(here)]
        point = _current(self.series, at, self.series_holds_s)
        if point is not None:
            found.append((point.rate_limit, "the series"))
        signal = _current(self.signal, at, self.series_holds_s)
        if signal is not None:
            found += [
                (one.rate_limit, f"the signal is {signal.value:g}, above {one.above:g}")
                for one in self.thresholds
                if signal.value > one.above
            ]
        return min(found, key=lambda entry: entry[0])

    def lowest(self, at: datetime, ahead_s: float) -> tuple[float, str]:
        """The lowest limit from `at` on for so many seconds, and what it comes from."""
        until = at + timedelta(seconds=ahead_s)
        moments = [at, until]
        for points in (self.series, self.signal):
            instants = [point.at for point in points]
            moments += instants[bisect_right(instants, at) : bisect_right(instants, until)]
            if instants:
                moments.append(min(max(instants[-1] + timedelta(seconds=self.series_holds_s), at), until))
        if self.weekly:
            moment = at.replace(second=0, microsecond=0) + _STEP
            while moment < until:
                moments.append(moment)
                moment += _STEP
        return min((self.at(moment) for moment in moments), key=lambda entry: entry[0])


_P = TypeVar("_P", LimitPoint, SignalPoint)


def _current(points: tuple[_P, ...], at: datetime, holds_s: int) -> _P | None:
    """The point that holds at `at`."""
    place = bisect_right([point.at for point in points], at)
    if place == 0:
        return None
    last = place == len(points)
    if last and at >= points[-1].at + timedelta(seconds=holds_s):
        return None
    return points[place - 1]
