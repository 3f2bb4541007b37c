"""How a limit is put into words: a charging profile with a dead-man schedule.

Guarantees (`controller.md` §3.4)
* Absolute, with a start in the station's past, so that a slow clock obeys at once; never Relative, whose periods count
  from the start of charging.
* Two periods: the limit, and from the end of the lease the fallback. Silence is safe. A limit that is the fallback has
  no lease to end.
* Always the same ids and stack level for an EVSE: a profile replaces what was there, nothing is cleared first.
* Never above what was asked for: watts and ampere are rounded down to the one decimal that OCPP carries.
"""

import math
from datetime import datetime, timedelta

from forecourt.controller.settings import ControllerSettings
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
)
from forecourt.domain.requests import SetChargingProfile
from forecourt.domain.site import EvsePoint
from forecourt.quantities import power_of_current

Form = tuple[ChargingProfilePurpose, ChargingRateUnit]


def forms(settings: ControllerSettings, *, single_evse: bool) -> tuple[Form, ...]:
    """In which forms the base limit of an EVSE can be put, in order of preference."""
    return tuple(
        (purpose, unit)
        for purpose in settings.base_purposes
        for unit in settings.rate_units
        if single_evse or purpose is not ChargingProfilePurpose.STATION_MAX
    )


def worded(
    point: EvsePoint,
    current_a: float,
    form: Form,
    at: datetime,
    settings: ControllerSettings,
    *,
    voltage_v: float,
    transaction_id: str | None,
) -> SetChargingProfile:
    """The request that limits `point` to `current_a` on each phase for the lease, from `at` on by the station's clock.

    With a `transaction_id` the limit is the transaction's alone, otherwise it holds for every one.
    """
    purpose, unit = form
    profile_id = settings.profile_id + point.evse_id - 1
    if transaction_id is not None:
        purpose = ChargingProfilePurpose.TX
        profile_id += settings.bound_profile_offset
    backdate_s = round(settings.backdate_s)

    def rate(current_a: float) -> float:
        wanted = current_a if unit is ChargingRateUnit.A else power_of_current(current_a, point.phases, voltage_v)
        return math.floor(wanted * 10 + 1e-6) / 10

    periods = [ChargingSchedulePeriod(0, rate(current_a), point.phases)]
    if rate(point.fallback_a) != periods[0].rate_limit:
        ends_s = backdate_s + round(settings.lease_s)
        periods.append(ChargingSchedulePeriod(ends_s, rate(point.fallback_a), point.phases))
    schedule = ChargingSchedule(
        id=profile_id,
        rate_unit=unit,
        start_schedule=(at - timedelta(seconds=backdate_s)).replace(microsecond=0),
        periods=tuple(periods),
    )
    profile = ChargingProfile(
        id=profile_id,
        stack_level=settings.stack_level,
        purpose=purpose,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(schedule,),
        transaction_id=transaction_id,
    )
    station_wide = purpose is ChargingProfilePurpose.STATION_MAX
    return SetChargingProfile(evse_id=0 if station_wide else point.evse_id, profile=profile)
