"""How a limit is put into words: a charging profile with a dead-man schedule, or what a station takes instead.

Guarantees (`controller.md` §3.3 and §3.4)
* Absolute, with a start in the station's past, so that a slow clock obeys at once; never Relative, whose periods count
  from the start of charging.
* Two periods: the limit, and from the end of the lease the fallback. Silence is safe. A limit that is the fallback has
  no lease to end.
* Always the same ids for an EVSE, and one stack level as long as that is taken: a profile replaces what was there,
  nothing is cleared first.
* Only a station that refuses these hears other forms: another stack level; Recurring, whose second period would come
  round again, so that it has one; a vendor's key. The last two don't end by themselves, and so `Form.ends` says: the
  books count with them until something else is confirmed.
* Never above what was asked for: watts and ampere are rounded down to the one decimal that OCPP carries.
"""

import math
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from forecourt.controller.settings import ControllerSettings
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    RecurrencyKind,
)
from forecourt.domain.requests import SetChargingProfile, SetVariables
from forecourt.domain.site import EvsePoint
from forecourt.domain.variable import VariableRef, VariableSetting
from forecourt.quantities import power_of_current

_KEYS: Final = "ConfigurationKey"
"""The component of a key that is only a key."""


class Form(NamedTuple):
    """One way to say a base limit."""

    purpose: ChargingProfilePurpose
    unit: ChargingRateUnit
    kind: ChargingProfileKind = ChargingProfileKind.ABSOLUTE
    stack_level: int | None = None
    """None: that of the settings."""
    key: str | None = None
    """A vendor's key, and no profile at all."""

    @property
    def ends(self) -> bool:
        """Whether a limit in this form ends with its lease."""
        return self.key is None and self.kind is ChargingProfileKind.ABSOLUTE

    @property
    def usual(self) -> bool:
        """Whether it is one that every station can be tried with."""
        return self.ends and self.stack_level is None

    def text(self) -> str:
        """For a person."""
        if self.key is not None:
            return f"{self.key} in {self.unit.value}"
        level = "" if self.stack_level is None else f", stack level {self.stack_level}"
        kind = "" if self.kind is ChargingProfileKind.ABSOLUTE else f", {self.kind.value}"
        return f"{self.purpose.value} in {self.unit.value}{level}{kind}"


def forms(settings: ControllerSettings, point: EvsePoint, *, single_evse: bool) -> tuple[Form, ...]:
    """In which forms the base limit of an EVSE can be put, in order of preference."""
    usual = tuple(
        Form(purpose, unit)
        for purpose in settings.base_purposes
        for unit in settings.rate_units
        if single_evse or purpose is not ChargingProfilePurpose.STATION_MAX
    )
    levels = tuple(form._replace(stack_level=level) for level in settings.other_stack_levels for form in usual)
    recurring = tuple(form._replace(kind=ChargingProfileKind.RECURRING) for form in usual if settings.recurring)
    keys = tuple(
        Form(ChargingProfilePurpose.STATION_MAX, one.unit, key=one.key.replace("{evse}", str(point.evse_id)))
        for station, one in settings.limit_keys.items()
        if fnmatchcase(point.station_id, station) and (single_evse or "{evse}" in one.key)
    )
    return (*usual, *levels, *recurring, *keys)


def worded(
    point: EvsePoint,
    current_a: float,
    form: Form,
    at: datetime,
    settings: ControllerSettings,
    *,
    voltage_v: float,
    transaction_id: str | None,
) -> SetChargingProfile | SetVariables:
    """The request that limits `point` to `current_a` on each phase for the lease, from `at` on by the station's clock.

    With a `transaction_id` the limit is the transaction's alone, otherwise it holds for every one.
    """
    if form.key is not None and transaction_id is None:
        wanted = current_a if form.unit is ChargingRateUnit.A else power_of_current(current_a, point.phases, voltage_v)
        component, _, variable = form.key.rpartition(".")
        ref = VariableRef(component or _KEYS, variable)
        return SetVariables(settings=(VariableSetting(ref, str(math.floor(wanted + 1e-6))),))
    return worded_profile(point, current_a, form, at, settings, voltage_v=voltage_v, transaction_id=transaction_id)


def worded_profile(
    point: EvsePoint,
    current_a: float,
    form: Form,
    at: datetime,
    settings: ControllerSettings,
    *,
    voltage_v: float,
    transaction_id: str | None,
) -> SetChargingProfile:
    """The same by a charging profile; a transaction's limit is never anything else."""
    purpose, unit = form.purpose, form.unit
    recurs = form.kind is ChargingProfileKind.RECURRING and transaction_id is None
    profile_id = settings.profile_id + point.evse_id - 1
    if transaction_id is not None:
        purpose = ChargingProfilePurpose.TX
        profile_id += settings.bound_profile_offset
    backdate_s = round(settings.backdate_s)

    def rate(current_a: float) -> float:
        wanted = current_a if unit is ChargingRateUnit.A else power_of_current(current_a, point.phases, voltage_v)
        return math.floor(wanted * 10 + 1e-6) / 10

    periods = [ChargingSchedulePeriod(0, rate(current_a), point.phases)]
    if not recurs and rate(point.fallback_a) != periods[0].rate_limit:
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
        stack_level=settings.stack_level if form.stack_level is None else form.stack_level,
        purpose=purpose,
        kind=ChargingProfileKind.RECURRING if recurs else ChargingProfileKind.ABSOLUTE,
        recurrency_kind=RecurrencyKind.DAILY if recurs else None,
        schedules=(schedule,),
        transaction_id=transaction_id,
    )
    return SetChargingProfile(
        evse_id=0 if purpose is ChargingProfilePurpose.STATION_MAX else point.evse_id, profile=profile
    )
