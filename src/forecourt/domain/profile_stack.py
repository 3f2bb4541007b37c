"""What becomes of the installed charging profiles: one more, some fewer. Pure.

Guarantees
* `install` replaces what the specification says is replaced, nothing else (K01.FR.05, OCPP 1.6 §3.13.2, §5.16.3).
* `clear` removes what matches, except what was set on site (K10.FR.04, OCPP 1.6 §5.5 with errata 3.25).
* Dropping what is expired changes no composite schedule from then on.

Whether a profile may be installed at all is the business of `profile_rules`.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from forecourt.domain.profile import (
    ChargingProfileKind,
    ChargingProfilePurpose,
    InstalledProfile,
    ProfileCriteria,
)
from forecourt.domain.profile_time import expired

STATION_WIDE: Final = frozenset({ChargingProfilePurpose.STATION_MAX, ChargingProfilePurpose.EXTERNAL_CONSTRAINTS})
"""Purposes that limit the transaction's own profiles rather than stand in their place."""

SET_ON_SITE: Final = frozenset({ChargingProfilePurpose.EXTERNAL_CONSTRAINTS, ChargingProfilePurpose.LOCAL_GENERATION})
"""Purposes an external system sets; a CSMS neither sets nor clears them (K01.FR.05, K01.FR.22, K10.FR.04)."""


class SameLevel(Enum):
    """What becomes of a new profile with the purpose, stack level and EVSE of another one, but its own id."""

    REPLACES = "replaces"
    """It takes the other's place (OCPP 1.6 §3.13.2, §5.16.3)."""
    REFUSED = "refused"
    """It is refused if both can be valid at the same time (K01.FR.06, K01.FR.39, K01.FR.52, K01.FR.53)."""


def install(
    existing: Iterable[InstalledProfile],
    new: InstalledProfile,
    *,
    now: datetime,
    same_level: SameLevel = SameLevel.REPLACES,
) -> tuple[InstalledProfile, ...]:
    """`existing` with `new` in the place of what it replaces: the same id, anywhere (K01.FR.05), and, if
    `same_level` says so, the same purpose, stack level and EVSE (OCPP 1.6 §3.13.2, §5.16.3).

    A limit of the whole station that names no start is given `now`: there is no charging it could count from.
    """
    return (*kept(existing, new, same_level), _anchored(new, now))


def clear(
    existing: Iterable[InstalledProfile], criteria: ProfileCriteria
) -> tuple[tuple[InstalledProfile, ...], tuple[InstalledProfile, ...]]:
    """What stays and what goes. No criterion clears all (errata 3.25); what was set on site stays (K10.FR.04)."""
    stay: list[InstalledProfile] = []
    go: list[InstalledProfile] = []
    for entry in existing:
        goes = entry.profile.purpose not in SET_ON_SITE and criteria.matches(entry)
        (go if goes else stay).append(entry)
    return tuple(stay), tuple(go)


def without_transaction(existing: Iterable[InstalledProfile], evse_id: int) -> tuple[InstalledProfile, ...]:
    """What stays when the transaction on `evse_id` ends: its TxProfiles go with it (OCPP 1.6 §3.13.1, §7.10)."""
    return tuple(
        entry
        for entry in existing
        if entry.evse_id != evse_id or entry.profile.purpose is not ChargingProfilePurpose.TX
    )


def without_expired(existing: Iterable[InstalledProfile], now: datetime) -> tuple[InstalledProfile, ...]:
    """What can still have a say at or after `now`."""
    return tuple(entry for entry in existing if not expired(entry.profile, now))


def kept(
    existing: Iterable[InstalledProfile], new: InstalledProfile, same_level: SameLevel
) -> tuple[InstalledProfile, ...]:
    """`existing` without what `new` takes the place of."""
    return tuple(entry for entry in existing if not replaces(new, entry, same_level))


def replaces(new: InstalledProfile, entry: InstalledProfile, same_level: SameLevel) -> bool:
    """Whether `new` takes the place of `entry`."""
    if entry.profile.id == new.profile.id:
        return True
    profile, other = new.profile, entry.profile
    return (
        same_level is SameLevel.REPLACES
        and entry.evse_id == new.evse_id
        and other.purpose is profile.purpose
        and other.stack_level == profile.stack_level
    )


def _anchored(new: InstalledProfile, now: datetime) -> InstalledProfile:
    profile = new.profile
    if profile.purpose not in STATION_WIDE or profile.kind is not ChargingProfileKind.ABSOLUTE:
        return new
    schedules = tuple(
        msgspec.structs.replace(schedule, start_schedule=schedule.start_schedule or now)
        for schedule in profile.schedules
    )
    return InstalledProfile(new.evse_id, msgspec.structs.replace(profile, schedules=schedules))
