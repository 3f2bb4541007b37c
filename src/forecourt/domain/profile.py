"""Charging profiles: limits over time, and what they are for (OCPP 2.0.1 chapter K; OCPP 1.6 §3.13).

The rules that turn installed profiles into one schedule are in `composite`.
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class ChargingProfilePurpose(StrEnum):
    """What a profile limits. Purposes are combined by the lowest limit; within one, the highest stack level leads."""

    STATION_MAX = "ChargingStationMaxProfile"
    EXTERNAL_CONSTRAINTS = "ChargingStationExternalConstraints"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"
    PRIORITY_CHARGING = "PriorityCharging"
    LOCAL_GENERATION = "LocalGeneration"


class ChargingProfileKind(StrEnum):
    """What the periods of a schedule count from."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"
    DYNAMIC = "Dynamic"


class RecurrencyKind(StrEnum):
    """How often a recurring schedule starts over."""

    DAILY = "Daily"
    WEEKLY = "Weekly"


class ChargingRateUnit(StrEnum):
    """Ampere per phase, or watts over all phases together."""

    A = "A"
    W = "W"


class ChargingSchedulePeriod(msgspec.Struct, frozen=True, omit_defaults=True):
    """From `start_period_s` on (seconds from the schedule's start), `rate_limit` in the schedule's unit."""

    start_period_s: int
    rate_limit: float
    number_phases: int | None = None
    phase_to_use: int | None = None


class ChargingSchedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Periods in ascending order, the first at 0."""

    rate_unit: ChargingRateUnit
    periods: tuple[ChargingSchedulePeriod, ...]
    id: int = 0
    start_schedule: datetime | None = None
    duration_s: int | None = None
    min_charging_rate: float | None = None


class ChargingProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A limit over time with its purpose, its place in the stack and its validity."""

    id: int
    stack_level: int
    purpose: ChargingProfilePurpose
    kind: ChargingProfileKind
    schedules: tuple[ChargingSchedule, ...]
    """One, or with ISO 15118 up to three for the car to choose from; the first one counts until it chose."""
    recurrency_kind: RecurrencyKind | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: str | None = None

    @property
    def schedule(self) -> ChargingSchedule:
        """The schedule that counts."""
        return self.schedules[0]


class InstalledProfile(msgspec.Struct, frozen=True):
    """A profile on the EVSE it was installed on; EVSE 0 is the station as a whole."""

    evse_id: int
    profile: ChargingProfile


class ProfileCriteria(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which profiles are meant: all that match every given field (OCPP 1.6 §5.4, OCPP 2.0.1 K10)."""

    profile_id: int | None = None
    evse_id: int | None = None
    purpose: ChargingProfilePurpose | None = None
    stack_level: int | None = None

    def matches(self, installed: InstalledProfile) -> bool:
        """Whether `installed` is meant. A given profile id decides alone (K10.FR.01, OCPP 1.6 §5.4)."""
        if self.profile_id is not None:
            return installed.profile.id == self.profile_id
        return (
            (self.evse_id is None or installed.evse_id == self.evse_id)
            and (self.purpose is None or installed.profile.purpose is self.purpose)
            and (self.stack_level is None or installed.profile.stack_level == self.stack_level)
        )


class CompositePeriod(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stretch of a composite schedule, and the profile whose limit won it (None: nothing limits but hardware)."""

    start_period_s: int
    rate_limit: float
    number_phases: int | None = None
    phase_to_use: int | None = None
    winner: InstalledProfile | None = None
    reason: str = ""


class CompositeSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """What the installed profiles come to on one EVSE (0: the station), from `start` on."""

    evse_id: int
    start: datetime
    duration_s: int
    rate_unit: ChargingRateUnit
    periods: tuple[CompositePeriod, ...]
    min_charging_rate: float | None = None
    """The highest minimum a leading transaction schedule names, in `rate_unit`."""
