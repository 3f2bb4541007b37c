"""Charging profiles of OCPP 1.6 (§3.13, §7.8 to §7.14).

Guarantees
* ChargePointMaxProfile is the domain's STATION_MAX; a profile has one schedule, without an id (0 in the domain).
* A limit is written with one decimal, rounded down (§7.14): what is sent is never above what was meant.
* What 1.6 has no words for is refused rather than left out, since a profile without it would be another limit: other
  purposes and kinds, several schedules, the phase to use.
"""

from typing import Final

from forecourt.dialect.port import Inexpressible
from forecourt.dialect.wire import Deviations, by_value, only, plain, said
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
from forecourt.messages import v16 as m
from forecourt.rpc.errors import Cause

PURPOSES: Final = {
    m.ChargingProfilePurposeType.CHARGE_POINT_MAX_PROFILE: ChargingProfilePurpose.STATION_MAX,
    m.ChargingProfilePurposeType.TX_DEFAULT_PROFILE: ChargingProfilePurpose.TX_DEFAULT,
    m.ChargingProfilePurposeType.TX_PROFILE: ChargingProfilePurpose.TX,
}
PURPOSES_SAID: Final = {purpose: said_as for said_as, purpose in PURPOSES.items()}
RATE_UNITS: Final = by_value(m.ChargingRateUnitType, ChargingRateUnit)
RATE_UNITS_SAID: Final = by_value(ChargingRateUnit, m.ChargingRateUnitType)
_KINDS: Final = by_value(m.ChargingProfileKindType, ChargingProfileKind)
_KINDS_SAID: Final = by_value(ChargingProfileKind, m.ChargingProfileKindType)
_RECURRENCIES: Final = by_value(m.RecurrencyKindType, RecurrencyKind)
_RECURRENCIES_SAID: Final = by_value(RecurrencyKind, m.RecurrencyKindType)


def profile(wire: m.ChargingProfile) -> ChargingProfile:
    """What a charging profile means."""
    schedule = wire.charging_schedule
    return ChargingProfile(
        id=wire.charging_profile_id,
        stack_level=wire.stack_level,
        purpose=PURPOSES[wire.charging_profile_purpose],
        kind=_KINDS[wire.charging_profile_kind],
        schedules=(
            ChargingSchedule(
                rate_unit=RATE_UNITS[schedule.charging_rate_unit],
                periods=tuple(
                    ChargingSchedulePeriod(period.start_period, period.limit, period.number_phases)
                    for period in schedule.charging_schedule_period
                ),
                start_schedule=plain(schedule.start_schedule),
                duration_s=schedule.duration,
                min_charging_rate=schedule.min_charging_rate,
            ),
        ),
        recurrency_kind=_RECURRENCIES[wire.recurrency_kind] if wire.recurrency_kind else None,
        valid_from=plain(wire.valid_from),
        valid_to=plain(wire.valid_to),
        transaction_id=None if wire.transaction_id is None else str(wire.transaction_id),
    )


def profile_said(meant: ChargingProfile) -> m.ChargingProfile:
    """The same on the wire."""
    schedule = only(meant.schedules, "schedules")
    return m.ChargingProfile(
        charging_profile_id=meant.id,
        transaction_id=None if meant.transaction_id is None else transaction_number(meant.transaction_id),
        stack_level=meant.stack_level,
        charging_profile_purpose=said(PURPOSES_SAID, meant.purpose),
        charging_profile_kind=said(_KINDS_SAID, meant.kind),
        recurrency_kind=_RECURRENCIES_SAID[meant.recurrency_kind] if meant.recurrency_kind else None,
        valid_from=meant.valid_from,
        valid_to=meant.valid_to,
        charging_schedule=m.ChargingSchedule(
            duration=schedule.duration_s,
            start_schedule=schedule.start_schedule,
            charging_rate_unit=RATE_UNITS_SAID[schedule.rate_unit],
            charging_schedule_period=tuple(_period_said(period) for period in schedule.periods),
            min_charging_rate=schedule.min_charging_rate,
        ),
    )


def _period_said(period: ChargingSchedulePeriod) -> m.ChargingSchedulePeriod:
    if period.phase_to_use is not None:
        raise Inexpressible("no word for the phase to use")
    return m.ChargingSchedulePeriod(
        start_period=period.start_period_s, limit=period.rate_limit, number_phases=period.number_phases
    )


def transaction_number(transaction_id: str) -> int:
    """The integer that 1.6 knows a transaction by.

    Raises:
        Inexpressible: it is not the text of one.
    """
    try:
        number = int(transaction_id)
    except ValueError:
        number = None
    if number is None or str(number) != transaction_id:
        raise Inexpressible(f"{transaction_id!r} is no transaction id of this version")
    return number


def composite(
    wire: m.GetCompositeScheduleResponse, evse_id: int, duration_s: int, deviations: Deviations
) -> CompositeSchedule | None:
    """The schedule of an answer (§5.7, §6.22); `evse_id` and `duration_s` are what was asked for."""
    schedule = wire.charging_schedule
    if schedule is None:
        return None
    start = plain(wire.schedule_start or schedule.start_schedule)
    if start is None:
        deviations.note("scheduleStart", "a schedule without its start can't be placed in time", Cause.MISSING_FIELD)
        return None
    return CompositeSchedule(
        evse_id=evse_id if wire.connector_id is None else wire.connector_id,
        start=start,
        duration_s=duration_s if schedule.duration is None else schedule.duration,
        rate_unit=RATE_UNITS[schedule.charging_rate_unit],
        periods=tuple(
            CompositePeriod(period.start_period, period.limit, period.number_phases)
            for period in schedule.charging_schedule_period
        ),
        min_charging_rate=schedule.min_charging_rate,
    )


def composite_said(status: m.GetCompositeScheduleStatus, meant: CompositeSchedule) -> m.GetCompositeScheduleResponse:
    """The same on the wire; which profile won stays with the station."""
    return m.GetCompositeScheduleResponse(
        status=status,
        connector_id=meant.evse_id,
        schedule_start=meant.start,
        charging_schedule=m.ChargingSchedule(
            duration=meant.duration_s,
            start_schedule=meant.start,
            charging_rate_unit=RATE_UNITS_SAID[meant.rate_unit],
            charging_schedule_period=tuple(
                m.ChargingSchedulePeriod(
                    start_period=period.start_period_s, limit=period.rate_limit, number_phases=period.number_phases
                )
                for period in meant.periods
            ),
            min_charging_rate=meant.min_charging_rate,
        ),
    )
