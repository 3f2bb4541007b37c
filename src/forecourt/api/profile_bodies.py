"""Charging profiles as they are asked for and shown; the words are the domain's."""

from typing import Annotated

from msgspec import Meta

from forecourt.api.bodies import LARGEST_INTEGER, Asked, Instant, Number
from forecourt.domain.profile import (
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    RecurrencyKind,
)

Rate = Annotated[float, Meta(ge=-1e9, le=1e9)]


class PeriodBody(Asked, frozen=True, kw_only=True):
    """From `start_period_s` on (seconds from the schedule's start), `rate_limit` in the schedule's unit."""

    start_period_s: Number
    rate_limit: Rate
    number_phases: Annotated[int, Meta(ge=1, le=3)] | None = None
    phase_to_use: Annotated[int, Meta(ge=1, le=3)] | None = None


class ScheduleBody(Asked, frozen=True, kw_only=True):
    """Periods in ascending order, the first at 0."""

    rate_unit: ChargingRateUnit
    periods: Annotated[tuple[PeriodBody, ...], Meta(min_length=1, max_length=1024)]
    id: Number = 0
    start_schedule: Instant | None = None
    duration_s: Number | None = None
    min_charging_rate: Rate | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        starts = [period.start_period_s for period in self.periods]
        if starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("periods: must begin at 0 and ascend")


class ProfileBody(Asked, frozen=True, kw_only=True):
    """A limit over time. Without an id (0) it is given one."""

    id: Number = 0
    stack_level: Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
    purpose: ChargingProfilePurpose
    kind: ChargingProfileKind
    schedules: Annotated[tuple[ScheduleBody, ...], Meta(min_length=1, max_length=3)]
    recurrency_kind: RecurrencyKind | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    transaction_id: Annotated[str, Meta(min_length=1, max_length=36)] | None = None
