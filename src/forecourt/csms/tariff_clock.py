"""When the elements of a tariff hold: by the clock on the wall, by how long and how much, by power and current.

Guarantees
* Between two neighbouring cuts (`TariffClock.cuts_us`, `thresholds_wh`) what holds does not change, power and current
  staying as they are: whoever prices a stretch may look at its beginning only.
* The clock is that of the location. An hour that comes twice counts twice, one that is left out never.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from forecourt.csms.tariff_terms import DayOfWeek, TariffDimension, TariffRestrictions, TariffTerms

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_WEEK: Final = tuple(DayOfWeek)


class Moment(NamedTuple):
    """All that a restriction can look at."""

    at_us: int
    since_start_us: Fraction
    energy_kwh: Fraction
    power_kw: Fraction | None
    current_a: Fraction | None


class TariffClock:
    """The moments of a session at which a tariff may change by time, and what is in force at one."""

    def __init__(self, terms: TariffTerms, start: datetime, end: datetime, zone: tzinfo) -> None:
        self._terms = terms
        self._zone = zone
        self._restricted = [element.restrictions for element in terms.elements]
        begin_us = to_us(start)
        self.cuts_us = {
            begin_us + duration_s * 1_000_000
            for entry in self._restricted
            if entry is not None
            for duration_s in (entry.min_duration, entry.max_duration)
            if duration_s is not None
        }
        times = {
            time_of_day.fromisoformat(text)
            for entry in self._restricted
            if entry is not None
            for text in (entry.start_time, entry.end_time)
            if text is not None
        }
        by_calendar = any(
            entry is not None and (entry.start_date or entry.end_date or entry.day_of_week)
            for entry in self._restricted
        )
        self._by_clock = bool(times) or by_calendar
        if self._by_clock:
            self.cuts_us |= _strikes_us(start, end, zone, times | {time_of_day(0)})

    def active(self, moment: Moment) -> dict[TariffDimension, int]:
        """By dimension the first element that counts."""
        local = from_us(moment.at_us).astimezone(self._zone) if self._by_clock else None
        active: dict[TariffDimension, int] = {}
        for number, element in enumerate(self._terms.elements):
            if element.restrictions is None or _holds(element.restrictions, moment, local):
                for component in element.price_components:
                    active.setdefault(component.type, number)
        return active


def _holds(restrictions: TariffRestrictions, moment: Moment, local: datetime | None) -> bool:
    if local is not None and not _holds_by_clock(restrictions, local):
        return False
    since_us = moment.since_start_us
    return (
        (restrictions.min_duration is None or since_us >= restrictions.min_duration * 1_000_000)
        and (restrictions.max_duration is None or since_us < restrictions.max_duration * 1_000_000)
        and _within(moment.energy_kwh, restrictions.min_kwh, restrictions.max_kwh)
        and _within(moment.power_kw, restrictions.min_power, restrictions.max_power)
        and _within(moment.current_a, restrictions.min_current, restrictions.max_current)
    )


def _within(value: Fraction | None, least: Decimal | None, most: Decimal | None) -> bool:
    if least is None and most is None:
        return True
    return (
        value is not None and (least is None or value >= Fraction(least)) and (most is None or value < Fraction(most))
    )


def _holds_by_clock(restrictions: TariffRestrictions, local: datetime) -> bool:
    if restrictions.day_of_week and _WEEK[local.weekday()] not in restrictions.day_of_week:
        return False
    today = local.date().isoformat()
    if restrictions.start_date is not None and today < restrictions.start_date:
        return False
    if restrictions.end_date is not None and today >= restrictions.end_date:
        return False
    begin, end, now = restrictions.start_time, restrictions.end_time, f"{local:%H:%M}"
    if begin is None or end is None:
        return (begin is None or now >= begin) and (end is None or end == "00:00" or now < end)
    if begin < end:
        return begin <= now < end
    return now >= begin or now < end


def _strikes_us(start: datetime, end: datetime, zone: tzinfo, times: set[time_of_day]) -> set[int]:
    """When the local clock strikes one of `times`, and when it is put forward or back, from a day before the session
    to a day after."""
    day, last = (start.astimezone(zone) - timedelta(days=1)).date(), end.astimezone(zone).date()
    strikes: set[int] = set()
    while day <= last + timedelta(days=1):
        for moment in times:
            # Where the clock is put back an hour strikes twice.
            strikes |= {to_us(_local(day, moment, zone, fold)) for fold in (0, 1)}
        day += timedelta(days=1)
    ordered = sorted(strikes)
    for before, after in pairwise(ordered):
        if from_us(before).astimezone(zone).utcoffset() != from_us(after).astimezone(zone).utcoffset():
            strikes.add(_change_us(before, after, zone))
    return strikes


def _local(day: date, moment: time_of_day, zone: tzinfo, fold: int) -> datetime:
    return datetime.combine(day, moment.replace(fold=fold), zone)


def _change_us(before: int, after: int, zone: tzinfo) -> int:
    """The moment between the two at which the clock is put forward or back."""
    old = from_us(before).astimezone(zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if from_us(middle).astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def thresholds_wh(terms: TariffTerms) -> set[Fraction]:
    return {
        Fraction(limit) * 1000
        for element in terms.elements
        if element.restrictions is not None
        for limit in (element.restrictions.min_kwh, element.restrictions.max_kwh)
        if limit is not None
    }


def to_us(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
