"""A composite schedule as a station says it, beside what was intended: where the two differ.

Guarantees
* Both are functions of time; they are compared instant by instant over the time that both speak of, in the station's
  unit. Boundaries that lie `tolerance_s` apart are the same boundary: stations round, and ask their own clocks.
* Where nothing was intended (no profile limits), a station may say what it likes: what its hardware bears isn't known
  here.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from forecourt.domain.profile import CompositePeriod, CompositeSchedule

_NEGLIGIBLE = 0.05
"""Half a step of what OCPP can say."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """From one instant to another, in the unit of the schedule."""

    since: datetime
    until: datetime
    said: float
    intended: float
    reason: str
    """Why so much was intended: the profile that won."""

    @property
    def over(self) -> bool:
        """Whether the station would allow more than was intended."""
        return self.said > self.intended


def differences(
    said: CompositeSchedule, intended: CompositeSchedule, *, tolerance_s: float = 5.0
) -> tuple[Difference, ...]:
    """Where they differ, in order; neighbours that differ in the same way are one."""
    if said.rate_unit is not intended.rate_unit:
        raise ValueError("the schedules are in different units")
    found: list[Difference] = []
    moments = sorted({*_moments(said), *_moments(intended)})
    begin, end = max(said.start, intended.start), min(_end(said), _end(intended))
    for earlier, later in pairwise(moments):
        since, until = max(earlier, begin), min(later, end)
        if (until - since).total_seconds() <= tolerance_s:
            continue
        told, meant = _at(said, since), _at(intended, since)
        if told is None or meant is None or meant.winner is None:
            continue
        if abs(told.rate_limit - meant.rate_limit) <= max(_NEGLIGIBLE, abs(meant.rate_limit) * 1e-3):
            continue
        new = Difference(since=since, until=until, said=told.rate_limit, intended=meant.rate_limit, reason=meant.reason)
        last = found[-1] if found else None
        if last is not None and (last.until, last.said, last.intended) == (since, new.said, new.intended):
            found[-1] = msgspec.structs.replace(last, until=until)
        else:
            found.append(new)
    return tuple(found)


def _moments(schedule: CompositeSchedule) -> Iterator[datetime]:
    yield from (schedule.start + timedelta(seconds=period.start_period_s) for period in schedule.periods)
    yield schedule.start
    yield _end(schedule)


def _end(schedule: CompositeSchedule) -> datetime:
    return schedule.start + timedelta(seconds=schedule.duration_s)


def _at(schedule: CompositeSchedule, at: datetime) -> CompositePeriod | None:
    found = None
    for period in schedule.periods:
        if schedule.start + timedelta(seconds=period.start_period_s) <= at:
            found = period
    return found
