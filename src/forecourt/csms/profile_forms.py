"""Forms of a limit: the same in another unit, at another stack level, for another purpose, where the first isn't taken.

Guarantees
* Units and levels that a station has said it takes come first (ChargingScheduleAllowedChargingRateUnit,
  ChargeProfileMaxStackLevel; OCPP 1.6 §9.4, OCPP 2.0.1 SmartChargingCtrlr); the form that was meant before all others.
* No form allows more than what was meant: conversions are rounded down to the one decimal that OCPP carries (OCPP 1.6
  §7.13). A limit for the whole station stands in for an EVSE's only where the station has one EVSE.
* A profile of another purpose bears no transaction, and none is Relative for the whole station (OCPP 1.6 §3.13.1).
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from forecourt.csms.records import ReportedVariable
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
)
from forecourt.domain.variable import VariableRef
from forecourt.quantities import DEFAULT_NUMBER_PHASES, NOMINAL_VOLTAGE_V, current_of_power, power_of_current

_RATE_UNIT: Final = VariableRef("SmartChargingCtrlr", "RateUnit")
_STACK_LEVEL: Final = VariableRef("SmartChargingCtrlr", "ProfileStackLevel")
_UNIT_WORDS: Final = {
    "A": ChargingRateUnit.A,
    "CURRENT": ChargingRateUnit.A,
    "W": ChargingRateUnit.W,
    "POWER": ChargingRateUnit.W,
}
_STAND_INS: Final = {
    ChargingProfilePurpose.TX: (ChargingProfilePurpose.TX_DEFAULT, ChargingProfilePurpose.STATION_MAX),
    ChargingProfilePurpose.TX_DEFAULT: (ChargingProfilePurpose.STATION_MAX,),
    ChargingProfilePurpose.STATION_MAX: (ChargingProfilePurpose.TX_DEFAULT,),
}


class Form(NamedTuple):
    """How a limit is put."""

    purpose: ChargingProfilePurpose
    rate_unit: ChargingRateUnit
    stack_level: int


class Says(NamedTuple):
    """What a station has said of the profiles that it takes. Empty, None: nothing."""

    units: tuple[ChargingRateUnit, ...] = ()
    highest_level: int | None = None


def said(reported: Iterable[ReportedVariable]) -> Says:
    """By its configuration."""
    units: tuple[ChargingRateUnit, ...] = ()
    highest_level = None
    for variable in reported:
        if variable.value is None:
            continue
        if variable.ref == _RATE_UNIT:
            words = [word.strip().upper() for word in variable.value.split(",")]
            units = tuple(_UNIT_WORDS[word] for word in words if word in _UNIT_WORDS)
        elif variable.ref == _STACK_LEVEL and variable.value.strip().isdecimal():
            highest_level = int(variable.value)
    return Says(units, highest_level)


def form_of(profile: ChargingProfile) -> Form:
    """The form that a profile has."""
    return Form(profile.purpose, profile.schedule.rate_unit, profile.stack_level)


def ladder(
    meant: Form, says: Says, *, single_evse: bool, purposes: tuple[ChargingProfilePurpose, ...] | None = None
) -> tuple[Form, ...]:
    """The forms to try, one after the other. `purposes` instead of those that can stand in for the one meant."""
    if purposes is None:
        purposes = (meant.purpose, *_STAND_INS.get(meant.purpose, ()))
    whole = ChargingProfilePurpose.STATION_MAX
    purposes = tuple(one for one in purposes if one is meant.purpose or one is not whole or single_evse)
    other = ChargingRateUnit.W if meant.rate_unit is ChargingRateUnit.A else ChargingRateUnit.A
    units = sorted((meant.rate_unit, other), key=lambda unit: bool(says.units) and unit not in says.units)
    level = meant.stack_level if says.highest_level is None else min(meant.stack_level, says.highest_level)
    levels = dict.fromkeys((level, min(level, 1), 0))
    return tuple(Form(purpose, unit, at) for purpose in purposes for at in levels for unit in units)


def put(
    profile: ChargingProfile,
    form: Form,
    *,
    phases: int = DEFAULT_NUMBER_PHASES,
    voltage_v: float = NOMINAL_VOLTAGE_V,
    direct: bool = False,
) -> ChargingProfile:
    """`profile` in that form. `direct`: the EVSE gives direct current, of which `voltage_v` is the voltage."""
    phases = 1 if direct else phases
    changed = msgspec.structs.replace(
        profile,
        purpose=form.purpose,
        stack_level=form.stack_level,
        schedules=tuple(_converted(one, form.rate_unit, phases, voltage_v) for one in profile.schedules),
    )
    if form.purpose is not ChargingProfilePurpose.TX:
        changed = msgspec.structs.replace(changed, transaction_id=None)
    return changed


def possible(profile: ChargingProfile, form: Form) -> bool:
    """Whether a profile can be put so."""
    return not (
        form.purpose is ChargingProfilePurpose.STATION_MAX
        and profile.purpose is not ChargingProfilePurpose.STATION_MAX
        and profile.kind is ChargingProfileKind.RELATIVE
    )


def evse_of(evse_id: int, form: Form) -> int:
    """Where it goes: a limit of the station goes to EVSE 0."""
    return 0 if form.purpose is ChargingProfilePurpose.STATION_MAX else evse_id


def rounded_down(rate: float) -> float:
    """To a tenth."""
    return math.floor(rate * 10 + 1e-6) / 10


def _converted(schedule: ChargingSchedule, unit: ChargingRateUnit, phases: int, voltage_v: float) -> ChargingSchedule:
    if schedule.rate_unit is unit:
        return schedule

    def rate(value: float, number_phases: int | None) -> float:
        of = number_phases or phases
        exact = (
            power_of_current(value, of, voltage_v)
            if unit is ChargingRateUnit.W
            else current_of_power(value, of, voltage_v)
        )
        return rounded_down(exact)

    periods = tuple(
        msgspec.structs.replace(
            period,
            rate_limit=rate(period.rate_limit, period.number_phases),
            number_phases=period.number_phases or phases,
        )
        for period in schedule.periods
    )
    lowest = schedule.min_charging_rate
    return msgspec.structs.replace(
        schedule, rate_unit=unit, periods=periods, min_charging_rate=None if lowest is None else rate(lowest, None)
    )
