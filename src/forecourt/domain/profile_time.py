"""What one charging profile says at one instant, and until when. Pure.

Guarantees
* `read` follows the schedule's clock: absolute from `start_schedule`, recurring from the last daily or weekly return
  of it, relative from the start of charging; periods after the duration, and whatever is longer than the recurrence,
  are not executed; the last period holds until the end (OCPP 1.6 §5.16.4, §7.13 with errata 3.43, 3.44, 3.78).
* A profile is valid from `valid_from` on and no longer at `valid_to` (K01.FR.36, K01.FR.37).
* `until` never skips a change: nothing the profile says changes before it.
* Instants beyond the calendar count as never; nothing here raises.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final, NamedTuple

from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingSchedulePeriod,
    RecurrencyKind,
)

CYCLE_S: Final = {RecurrencyKind.DAILY: 86_400, RecurrencyKind.WEEKLY: 604_800}
"""Seconds after which a recurring schedule starts over (OCPP 1.6 errata 3.78)."""

_start_period_s = attrgetter("start_period_s")


class Reading(NamedTuple):
    """What a profile says at an instant: nothing (`period` None) or a period, unchanged until `until`."""

    period: ChargingSchedulePeriod | None
    until: datetime | None
    since: datetime | None = None


SILENT: Final = Reading(None, None)
END: Final = datetime.max.replace(tzinfo=UTC)
BEGIN: Final = datetime.min.replace(tzinfo=UTC)


def read(profile: ChargingProfile, at: datetime, charging_since: datetime) -> Reading:
    """What `profile` says at `at`; schedules relative to charging count from `charging_since`."""
    if profile.valid_from is not None and at < profile.valid_from:
        return Reading(None, profile.valid_from)
    valid_to = profile.valid_to
    if valid_to is not None and at >= valid_to:
        return SILENT
    reading = _read_schedule(profile, at, charging_since)
    if valid_to is not None and (reading.until is None or valid_to < reading.until):
        return reading._replace(until=valid_to)
    return reading


def _read_schedule(profile: ChargingProfile, at: datetime, charging_since: datetime) -> Reading:
    if not profile.schedules or not profile.schedules[0].periods:
        return SILENT
    schedule = profile.schedules[0]
    # Without startSchedule a schedule counts from the start of charging (OCPP 1.6 §7.13); a dynamic one just holds.
    start = schedule.start_schedule
    if profile.kind is ChargingProfileKind.RELATIVE:
        start = charging_since
    elif start is None:
        start = BEGIN if profile.kind is ChargingProfileKind.DYNAMIC else charging_since
    if at < start:
        return Reading(None, start)
    end_s = schedule.duration_s
    elapsed = at - start
    cycle_s = None
    if profile.kind is ChargingProfileKind.RECURRING and profile.recurrency_kind is not None:
        cycle_s = CYCLE_S[profile.recurrency_kind]
        # What is longer than the recurrence is not executed (OCPP 1.6 §5.16.4, errata 3.44).
        end_s = cycle_s if end_s is None else min(end_s, cycle_s)
        elapsed %= timedelta(seconds=cycle_s)
        start = at - elapsed
    elapsed_s = elapsed.days * 86_400 + elapsed.seconds
    if end_s is not None and elapsed_s >= end_s:
        return Reading(None, None if cycle_s is None else later(start, cycle_s))
    periods = schedule.periods
    index = bisect_right(periods, elapsed_s, key=_start_period_s)
    next_s = end_s if index == len(periods) else periods[index].start_period_s
    if end_s is not None and next_s is not None and next_s > end_s:
        next_s = end_s  # periods after the duration are not executed (OCPP 1.6 §5.16.4)
    until = None if next_s is None else later(start, next_s)
    if index == 0:
        return Reading(None, until)
    period = periods[index - 1]
    return Reading(period, until, later(start, period.start_period_s))


def ends_at(profile: ChargingProfile) -> datetime | None:
    """From when on `profile` has no say any more, whatever happens; None if that can't be told.

    A TxProfile has a say as long as it is valid, by being there (`TxProfileReach`).
    """
    end = profile.valid_to
    if profile.kind is ChargingProfileKind.ABSOLUTE and profile.purpose is not ChargingProfilePurpose.TX:
        schedule = profile.schedules[0] if profile.schedules else None
        if schedule is not None and schedule.start_schedule is not None and schedule.duration_s is not None:
            end = earlier(end, later(schedule.start_schedule, schedule.duration_s))
    return end


def expired(profile: ChargingProfile, now: datetime) -> bool:
    """Whether `profile` can be dropped: it never applies again, and dropping it changes no composite schedule."""
    end = ends_at(profile)
    return end is not None and end <= now


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of the two; None means never."""
    if one is None or (other is not None and other < one):
        return other
    return one


def later(instant: datetime, seconds: int) -> datetime | None:
    """`seconds` after `instant`; None if the calendar has ended by then, which is as good as never."""
    try:
        return instant + timedelta(seconds=seconds)
    except OverflowError:
        return None
