"""Charging profiles of OCPP 2.0.1 (chapter K; ChargingProfileType, ChargingScheduleType, CompositeScheduleType).

Guarantees
* A limit is written with one decimal, rounded down: what is sent is never above what was meant.
* Purposes and kinds that only later versions have (PriorityCharging, LocalGeneration, Dynamic) are refused.
* A sales tariff is not taken in: nobody here charges by it.
"""

from collections.abc import Iterable
from typing import Final

from forecourt.dialect.wire import by_value, plain, said
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    CompositePeriod,
    CompositeSchedule,
    RecurrencyKind,
)
from forecourt.messages import v201 as m

PURPOSES: Final = by_value(m.ChargingProfilePurposeEnum, ChargingProfilePurpose)
PURPOSES_SAID: Final = by_value(ChargingProfilePurpose, m.ChargingProfilePurposeEnum)
RATE_UNITS: Final = by_value(m.ChargingRateUnitEnum, ChargingRateUnit)
RATE_UNITS_SAID: Final = by_value(ChargingRateUnit, m.ChargingRateUnitEnum)
_KINDS: Final = by_value(m.ChargingProfileKindEnum, ChargingProfileKind)
_KINDS_SAID: Final = by_value(ChargingProfileKind, m.ChargingProfileKindEnum)
_RECURRENCIES: Final = by_value(m.RecurrencyKindEnum, RecurrencyKind)
_RECURRENCIES_SAID: Final = by_value(RecurrencyKind, m.RecurrencyKindEnum)


def profile(wire: m.ChargingProfile) -> ChargingProfile:
    """What a charging profile means."""
    return ChargingProfile(
        id=wire.id,
        stack_level=wire.stack_level,
        purpose=PURPOSES[wire.charging_profile_purpose],
        kind=_KINDS[wire.charging_profile_kind],
        schedules=tuple(_schedule(schedule) for schedule in wire.charging_schedule),
        recurrency_kind=_RECURRENCIES[wire.recurrency_kind] if wire.recurrency_kind else None,
        valid_from=plain(wire.valid_from),
        valid_to=plain(wire.valid_to),
        transaction_id=wire.transaction_id,
    )


def _schedule(wire: m.ChargingSchedule) -> ChargingSchedule:
    return ChargingSchedule(
        rate_unit=RATE_UNITS[wire.charging_rate_unit],
        periods=tuple(
            ChargingSchedulePeriod(period.start_period, period.limit, period.number_phases, period.phase_to_use)
            for period in wire.charging_schedule_period
        ),
        id=wire.id,
        start_schedule=plain(wire.start_schedule),
        duration_s=wire.duration,
        min_charging_rate=wire.min_charging_rate,
    )


def profile_said(meant: ChargingProfile) -> m.ChargingProfile:
    """The same on the wire."""
    return m.ChargingProfile(
        id=meant.id,
        stack_level=meant.stack_level,
        charging_profile_purpose=said(PURPOSES_SAID, meant.purpose),
        charging_profile_kind=said(_KINDS_SAID, meant.kind),
        charging_schedule=tuple(_schedule_said(schedule) for schedule in meant.schedules),
        recurrency_kind=_RECURRENCIES_SAID[meant.recurrency_kind] if meant.recurrency_kind else None,
        valid_from=meant.valid_from,
        valid_to=meant.valid_to,
        transaction_id=meant.transaction_id,
    )


def _schedule_said(meant: ChargingSchedule) -> m.ChargingSchedule:
    return m.ChargingSchedule(
        id=meant.id,
        charging_rate_unit=RATE_UNITS_SAID[meant.rate_unit],
        charging_schedule_period=_periods_said(meant.periods),
        start_schedule=meant.start_schedule,
        duration=meant.duration_s,
        min_charging_rate=meant.min_charging_rate,
    )


def _periods_said(periods: Iterable[ChargingSchedulePeriod]) -> tuple[m.ChargingSchedulePeriod, ...]:
    return tuple(
        m.ChargingSchedulePeriod(
            start_period=period.start_period_s,
            limit=period.rate_limit,
            number_phases=period.number_phases,
            phase_to_use=period.phase_to_use,
        )
        for period in periods
    )


def composite(wire: m.CompositeSchedule) -> CompositeSchedule:
    """What the schedule of an answer means (K08)."""
    return CompositeSchedule(
        evse_id=wire.evse_id,
        start=plain(wire.schedule_start),
        duration_s=wire.duration,
        rate_unit=RATE_UNITS[wire.charging_rate_unit],
        periods=tuple(
            CompositePeriod(period.start_period, period.limit, period.number_phases)
            for period in wire.charging_schedule_period
        ),
    )


def composite_said(meant: CompositeSchedule) -> m.CompositeSchedule:
    """The same on the wire; which profile won stays with the station."""
    return m.CompositeSchedule(
        evse_id=meant.evse_id,
        duration=meant.duration_s,
        schedule_start=meant.start,
        charging_rate_unit=RATE_UNITS_SAID[meant.rate_unit],
        charging_schedule_period=_periods_said(
            ChargingSchedulePeriod(period.start_period_s, period.rate_limit, period.number_phases)
            for period in meant.periods
        ),
    )
