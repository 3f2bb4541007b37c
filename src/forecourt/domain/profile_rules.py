"""Which charging profiles a station takes in. Pure.

Guarantees
* `refusal` names the first rule of `RULES` that a profile breaks, as a reason code of the specification with words
  for the person who reads it; None means the profile can be installed.
* Where the versions of the protocol disagree the difference is a field of `ProfileCapabilities`.

Not a reason to refuse: a validity or schedule in the past; a schedule longer than its recurrence (the rest is not
executed, OCPP 1.6 errata 3.44); more phases than there are (the limit holds for those there are, errata 3.34).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedulePeriod,
    InstalledProfile,
)
from forecourt.domain.profile_stack import SET_ON_SITE, STATION_WIDE, SameLevel, kept, replaces


class ReasonCode(StrEnum):
    """Why a profile was refused (OCPP 2.x Part 2 Appendices, reason codes)."""

    DUPLICATE_PROFILE = "DuplicateProfile"
    INVALID_PROFILE = "InvalidProfile"
    INVALID_PROFILE_ID = "InvalidProfileId"
    INVALID_SCHEDULE = "InvalidSchedule"
    INVALID_STACK_LEVEL = "InvalidStackLevel"
    INVALID_VALUE = "InvalidValue"
    MISSING_PARAM = "MissingParam"
    NO_PHASE_FOR_DC = "NoPhaseForDC"
    PHASE_CONFLICT = "PhaseConflict"
    TOO_MANY_ELEMENTS = "TooManyElements"
    TX_NOT_FOUND = "TxNotFound"
    UNKNOWN_EVSE = "UnknownEvse"
    UNSUPPORTED_RATE_UNIT = "UnsupportedRateUnit"


class ProfileCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a station can hold, and how strictly its protocol reads a profile."""

    evse_ids: frozenset[int]
    max_stack_level: int = 8
    max_periods: int = 24
    """Periods per schedule."""
    max_profiles: int = 16
    """Installed in all, on all EVSEs together."""
    rate_units: frozenset[ChargingRateUnit] = frozenset(ChargingRateUnit)
    dc_evse_ids: frozenset[int] = frozenset()
    phase_switching: bool = False
    """Whether the phase of a single-phase car can be chosen (ACPhaseSwitchingSupported)."""
    same_level: SameLevel = SameLevel.REPLACES
    strict: bool = False
    """Whether a transaction id and a start must be given where they are implied otherwise (K01.FR.03, .40, .41)."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a profile can't be installed: a reason code, words, and the requirement behind it."""

    reason_code: ReasonCode
    info: str
    requirement: str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A profile on the threshold, and what it would join."""

    new: InstalledProfile
    existing: tuple[InstalledProfile, ...]
    capabilities: ProfileCapabilities
    transactions: Mapping[int, str]
    """The transaction on each EVSE that has one."""
    starting: bool = False
    """The profile comes with a request to start a transaction, so there is none yet (F01, K05)."""

    @property
    def profile(self) -> ChargingProfile:
        """The new profile."""
        return self.new.profile

    @property
    def periods(self) -> list[ChargingSchedulePeriod]:
        """The periods of all its schedules."""
        return [period for schedule in self.profile.schedules for period in schedule.periods]


class Rule(NamedTuple):
    """One row of the table: `breach` returns what is wrong in words, or None."""

    requirement: str
    reason_code: ReasonCode
    breach: Callable[[Proposal], str | None]


# --- breaches ----------------------------------------------------------------------------------------------------


def _unknown_evse(proposal: Proposal) -> str | None:
    evse_id = proposal.new.evse_id
    known = proposal.capabilities.evse_ids
    return None if evse_id == 0 or evse_id in known else f"there is no EVSE {evse_id}"


def _set_elsewhere(proposal: Proposal) -> str | None:
    purpose = proposal.profile.purpose
    return f"{purpose.value} is set on site, not by a CSMS" if purpose in SET_ON_SITE else None


def _id_set_elsewhere(proposal: Proposal) -> str | None:
    for entry in proposal.existing:
        if entry.profile.id == proposal.profile.id and entry.profile.purpose in SET_ON_SITE:
            return f"profile {entry.profile.id} was set on site and can't be replaced"
    return None


def _station_max_on_evse(proposal: Proposal) -> str | None:
    if proposal.profile.purpose is ChargingProfilePurpose.STATION_MAX and proposal.new.evse_id != 0:
        return "a limit of the whole station belongs on EVSE 0"
    return None


def _station_max_relative(proposal: Proposal) -> str | None:
    profile = proposal.profile
    if profile.purpose is ChargingProfilePurpose.STATION_MAX and profile.kind is ChargingProfileKind.RELATIVE:
        return "a limit of the whole station can't count from the start of charging"
    return None


def _tx_on_station(proposal: Proposal) -> str | None:
    if proposal.profile.purpose is ChargingProfilePurpose.TX and proposal.new.evse_id == 0 and not proposal.starting:
        return "a TxProfile belongs on the EVSE of its transaction, not on EVSE 0"
    return None


def _tx_without_id(proposal: Proposal) -> str | None:
    profile = proposal.profile
    if profile.purpose is not ChargingProfilePurpose.TX or proposal.starting or not proposal.capabilities.strict:
        return None
    return "a TxProfile needs the id of its transaction" if profile.transaction_id is None else None


def _tx_without_transaction(proposal: Proposal) -> str | None:
    profile = proposal.profile
    if profile.purpose is not ChargingProfilePurpose.TX or proposal.starting:
        return None
    running = proposal.transactions.get(proposal.new.evse_id)
    if running is None:
        return f"no transaction is on at EVSE {proposal.new.evse_id}"
    if profile.transaction_id not in {None, running}:
        return f"transaction {profile.transaction_id} is not on at EVSE {proposal.new.evse_id}"
    return None


def _start_with_other_purpose(proposal: Proposal) -> str | None:
    if proposal.starting and proposal.profile.purpose is not ChargingProfilePurpose.TX:
        return "a profile that comes with a start must be a TxProfile"
    return None


def _start_with_id(proposal: Proposal) -> str | None:
    if proposal.starting and proposal.profile.transaction_id is not None:
        return "a profile that comes with a start can't name a transaction yet"
    return None


def _stray_transaction_id(proposal: Proposal) -> str | None:
    profile = proposal.profile
    if profile.transaction_id is not None and profile.purpose is not ChargingProfilePurpose.TX:
        return f"a {profile.purpose.value} belongs to no transaction"
    return None


def _stack_level(proposal: Proposal) -> str | None:
    level, highest = proposal.profile.stack_level, proposal.capabilities.max_stack_level
    return None if 0 <= level <= highest else f"stack level {level} is not within 0..{highest}"


def _rate_unit(proposal: Proposal) -> str | None:
    for schedule in proposal.profile.schedules:
        if schedule.rate_unit not in proposal.capabilities.rate_units:
            return f"limits in {schedule.rate_unit.value} are not supported"
    return None


def _no_periods(proposal: Proposal) -> str | None:
    schedules = proposal.profile.schedules
    return None if schedules and all(schedule.periods for schedule in schedules) else "a schedule without periods"


def _first_period(proposal: Proposal) -> str | None:
    for schedule in proposal.profile.schedules:
        if schedule.periods[0].start_period_s != 0:
            return f"the first period starts at {schedule.periods[0].start_period_s} s, not at 0"
    return None


def _period_order(proposal: Proposal) -> str | None:
    for schedule in proposal.profile.schedules:
        starts = [period.start_period_s for period in schedule.periods]
        for before, after in pairwise(starts):
            if after <= before:
                return f"the period at {after} s follows the one at {before} s"
    return None


def _too_many_periods(proposal: Proposal) -> str | None:
    highest = proposal.capabilities.max_periods
    for schedule in proposal.profile.schedules:
        if len(schedule.periods) > highest:
            return f"{len(schedule.periods)} periods, where {highest} fit"
    return None


def _limits(proposal: Proposal) -> str | None:
    for period in proposal.periods:
        if not math.isfinite(period.rate_limit) or period.rate_limit < 0:
            return f"a limit of {period.rate_limit:g}"
    return None


def _duration(proposal: Proposal) -> str | None:
    for schedule in proposal.profile.schedules:
        if schedule.duration_s is not None and schedule.duration_s < 0:
            return f"a duration of {schedule.duration_s} s"
    return None


def _phases(proposal: Proposal) -> str | None:
    for period in proposal.periods:
        if period.number_phases is not None and not 1 <= period.number_phases <= 3:
            return f"{period.number_phases} phases"
        if period.phase_to_use is not None and not 1 <= period.phase_to_use <= 3:
            return f"phase {period.phase_to_use}"
    return None


def _phases_on_dc(proposal: Proposal) -> str | None:
    if proposal.capabilities.strict and proposal.new.evse_id in proposal.capabilities.dc_evse_ids:
        for period in proposal.periods:
            if period.number_phases is not None or period.phase_to_use is not None:
                return f"EVSE {proposal.new.evse_id} delivers direct current, which has no phases"
    return None


def _phase_choice(proposal: Proposal) -> str | None:
    for period in proposal.periods:
        if period.phase_to_use is None:
            continue
        if period.number_phases != 1:
            return "a phase can be chosen for single-phase charging only"
        if not proposal.capabilities.phase_switching:
            return "the phase can't be chosen here"
    return None


def _phase_conflict(proposal: Proposal) -> str | None:
    """Any two different phases that could meet; when they would is not asked, to be certain."""
    new = proposal.new
    mine = {period.phase_to_use for period in proposal.periods if period.phase_to_use is not None}
    for entry in proposal.existing if mine else ():
        meets = entry.evse_id == new.evse_id or 0 in {entry.evse_id, new.evse_id}
        combines = (entry.profile.purpose in STATION_WIDE) or (new.profile.purpose in STATION_WIDE)
        if not meets or not combines or replaces(new, entry, proposal.capabilities.same_level):
            continue
        for period in (period for schedule in entry.profile.schedules for period in schedule.periods):
            if period.phase_to_use is not None and mine != {period.phase_to_use}:
                return f"{_name(entry)} uses phase {period.phase_to_use}"
    return None


def _recurrence(proposal: Proposal) -> str | None:
    profile = proposal.profile
    if profile.kind is ChargingProfileKind.RECURRING and profile.recurrency_kind is None:
        return "a recurring profile must say whether it is daily or weekly"
    return None


def _missing_start(proposal: Proposal) -> str | None:
    profile = proposal.profile
    strict = proposal.capabilities.strict and profile.kind is ChargingProfileKind.ABSOLUTE
    if strict or profile.kind is ChargingProfileKind.RECURRING:
        for schedule in profile.schedules:
            if schedule.start_schedule is None:
                return f"a schedule of kind {profile.kind.value} needs a start"
    return None


def _stray_start(proposal: Proposal) -> str | None:
    profile = proposal.profile
    if proposal.capabilities.strict and profile.kind is ChargingProfileKind.RELATIVE:
        for schedule in profile.schedules:
            if schedule.start_schedule is not None:
                return "a schedule relative to the start of charging has no start of its own"
    return None


def _validity(proposal: Proposal) -> str | None:
    profile = proposal.profile
    if profile.valid_from is not None and profile.valid_to is not None and profile.valid_to <= profile.valid_from:
        return "validTo is not after validFrom"
    return None


def _duplicate(proposal: Proposal) -> str | None:
    if proposal.capabilities.same_level is SameLevel.REPLACES:
        return None
    for entry in proposal.existing:
        if entry.profile.id != proposal.profile.id and _same_place(proposal.new, entry):
            return f"{_name(entry)} has stack level {entry.profile.stack_level} too"
    return None


def _duplicate_default(proposal: Proposal) -> str | None:
    """One stack level can't hold a TxDefaultProfile of EVSE 0 and one of a single EVSE."""
    new = proposal.new
    if (
        proposal.capabilities.same_level is SameLevel.REPLACES
        or new.profile.purpose is not ChargingProfilePurpose.TX_DEFAULT
    ):
        return None
    for entry in proposal.existing:
        if (
            entry.profile.purpose is ChargingProfilePurpose.TX_DEFAULT
            and entry.profile.id != new.profile.id
            and entry.profile.stack_level == new.profile.stack_level
            and (entry.evse_id == 0) != (new.evse_id == 0)
        ):
            return f"{_name(entry)} on EVSE {entry.evse_id} has stack level {entry.profile.stack_level} too"
    return None


def _no_room(proposal: Proposal) -> str | None:
    most = proposal.capabilities.max_profiles
    count = len(kept(proposal.existing, proposal.new, proposal.capabilities.same_level)) + 1
    return None if count <= most else f"{most} profiles are installed and no more fit"


RULES: Final = (
    Rule("K01.FR.28; OCPP 1.6 errata 3.39", ReasonCode.UNKNOWN_EVSE, _unknown_evse),
    Rule("K01.FR.22", ReasonCode.INVALID_PROFILE, _set_elsewhere),
    Rule("K01.FR.05", ReasonCode.INVALID_PROFILE_ID, _id_set_elsewhere),
    Rule("F01.FR.09; OCPP 1.6 §5.16.2", ReasonCode.INVALID_PROFILE, _start_with_other_purpose),
    Rule("F01.FR.11; OCPP 1.6 §5.16.2", ReasonCode.INVALID_VALUE, _start_with_id),
    Rule("OCPP 1.6 §3.13.1", ReasonCode.INVALID_PROFILE, _station_max_on_evse),
    Rule("K01.FR.38", ReasonCode.INVALID_PROFILE, _station_max_relative),
    Rule("K01.FR.16; OCPP 1.6 §3.13.1; OCTT TC_K_11", ReasonCode.INVALID_PROFILE, _tx_on_station),
    Rule("K01.FR.03", ReasonCode.MISSING_PARAM, _tx_without_id),
    Rule("K01.FR.09, K01.FR.33; OCPP 1.6 §3.13.1; OCTT TC_058", ReasonCode.TX_NOT_FOUND, _tx_without_transaction),
    Rule("OCPP 1.6 §7.8 transactionId", ReasonCode.INVALID_PROFILE, _stray_transaction_id),
    Rule("OCPP 1.6 §9.4.1 ChargeProfileMaxStackLevel", ReasonCode.INVALID_STACK_LEVEL, _stack_level),
    Rule("K01.FR.26; OCTT TC_K_12", ReasonCode.UNSUPPORTED_RATE_UNIT, _rate_unit),
    Rule("OCPP 1.6 §7.13", ReasonCode.INVALID_SCHEDULE, _no_periods),
    Rule("K01.FR.31; OCPP 1.6 errata 3.45", ReasonCode.INVALID_SCHEDULE, _first_period),
    Rule("K01.FR.35", ReasonCode.INVALID_SCHEDULE, _period_order),
    Rule("OCPP 1.6 §9.4.3 ChargingScheduleMaxPeriods", ReasonCode.TOO_MANY_ELEMENTS, _too_many_periods),
    Rule("OCPP 1.6 §7.14 limit", ReasonCode.INVALID_SCHEDULE, _limits),
    Rule("OCPP 1.6 §7.13 duration", ReasonCode.INVALID_SCHEDULE, _duration),
    Rule("OCPP 1.6 §7.14 numberPhases", ReasonCode.INVALID_SCHEDULE, _phases),
    Rule("K01.FR.44", ReasonCode.NO_PHASE_FOR_DC, _phases_on_dc),
    Rule("K01.FR.19, K01.FR.20", ReasonCode.INVALID_SCHEDULE, _phase_choice),
    Rule("K01.FR.141; OCPP 2.0.1 K §3.7", ReasonCode.PHASE_CONFLICT, _phase_conflict),
    Rule("OCPP 1.6 errata 3.56", ReasonCode.INVALID_PROFILE, _recurrence),
    Rule("K01.FR.40", ReasonCode.INVALID_SCHEDULE, _missing_start),
    Rule("K01.FR.41", ReasonCode.INVALID_SCHEDULE, _stray_start),
    Rule("K01.FR.36, K01.FR.37", ReasonCode.INVALID_PROFILE, _validity),
    Rule("K01.FR.06, K01.FR.39", ReasonCode.DUPLICATE_PROFILE, _duplicate),
    Rule("K01.FR.52, K01.FR.53", ReasonCode.DUPLICATE_PROFILE, _duplicate_default),
    Rule("OCPP 1.6 §9.4.5 MaxChargingProfilesInstalled", ReasonCode.TOO_MANY_ELEMENTS, _no_room),
)
"""In the order they are asked; later ones rely on the earlier."""


def refusal(
    new: InstalledProfile,
    existing: Iterable[InstalledProfile],
    *,
    capabilities: ProfileCapabilities,
    transactions: Mapping[int, str],
    starting: bool = False,
) -> Refusal | None:
    """Why `new` can't be installed next to `existing`, or None.

    `transactions`: the id of the transaction on each EVSE that has one. `starting`: the profile came with a request
    to start a transaction. Expired profiles in `existing` count: drop them first (`profile_stack.without_expired`).
    """
    proposal = Proposal(
        new=new,
        existing=tuple(existing),
        capabilities=capabilities,
        transactions=transactions,
        starting=starting,
    )
    for rule in RULES:
        info = rule.breach(proposal)
        if info is not None:
            return Refusal(rule.reason_code, info, rule.requirement)
    return None


def _same_place(new: InstalledProfile, entry: InstalledProfile) -> bool:
    """Same purpose and stack level where they would meet: for TxProfiles the transaction, else EVSE and validity."""
    profile, other = new.profile, entry.profile
    if other.purpose is not profile.purpose or other.stack_level != profile.stack_level:
        return False
    if profile.purpose is ChargingProfilePurpose.TX:
        return other.transaction_id == profile.transaction_id
    return (
        entry.evse_id == new.evse_id
        and _before(profile.valid_from, other.valid_to)
        and _before(other.valid_from, profile.valid_to)
    )


def _before(valid_from: datetime | None, valid_to: datetime | None) -> bool:
    return valid_from is None or valid_to is None or valid_from < valid_to


def _name(entry: InstalledProfile) -> str:
    return f"{entry.profile.purpose.value} {entry.profile.id}"
