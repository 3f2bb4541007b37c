"""Every rule of the table refuses what it should and nothing else; what is installed replaces what it should."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    InstalledProfile,
    ProfileCriteria,
    RecurrencyKind,
)
from forecourt.domain.profile_rules import RULES, ProfileCapabilities, ReasonCode, refusal
from forecourt.domain.profile_stack import SameLevel, clear, install, without_expired, without_transaction

NOW = datetime(2026, 3, 2, tzinfo=UTC)
MAX, EXTERNAL = ChargingProfilePurpose.STATION_MAX, ChargingProfilePurpose.EXTERNAL_CONSTRAINTS
DEFAULT, TX = ChargingProfilePurpose.TX_DEFAULT, ChargingProfilePurpose.TX
RELATIVE, RECURRING = ChargingProfileKind.RELATIVE, ChargingProfileKind.RECURRING
LENIENT = ProfileCapabilities(
    evse_ids=frozenset({1, 2}), max_stack_level=3, max_periods=4, max_profiles=3, dc_evse_ids=frozenset({2})
)
STRICT = msgspec.structs.replace(LENIENT, strict=True, same_level=SameLevel.REFUSED)
TRANSACTIONS = {1: "T1"}


def profile(
    profile_id: int = 1,
    purpose: ChargingProfilePurpose = DEFAULT,
    evse_id: int = 1,
    *,
    periods: tuple[ChargingSchedulePeriod, ...] = (ChargingSchedulePeriod(0, 16.0),),
    start: datetime | None = NOW,
    duration_s: int | None = None,
    unit: ChargingRateUnit = ChargingRateUnit.A,
    **fields: Any,
) -> InstalledProfile:
    fields = {"stack_level": 0, "kind": ChargingProfileKind.ABSOLUTE, **fields}
    schedule = ChargingSchedule(rate_unit=unit, start_schedule=start, duration_s=duration_s, periods=periods)
    return InstalledProfile(evse_id, ChargingProfile(id=profile_id, purpose=purpose, schedules=(schedule,), **fields))


def period(start_period_s: int = 0, limit: float = 16.0, **fields: Any) -> ChargingSchedulePeriod:
    return ChargingSchedulePeriod(start_period_s, limit, **fields)


def code(
    new: InstalledProfile,
    *existing: InstalledProfile,
    capabilities: ProfileCapabilities = LENIENT,
    starting: bool = False,
) -> ReasonCode | None:
    refused = refusal(new, existing, capabilities=capabilities, transactions=TRANSACTIONS, starting=starting)
    return refused.reason_code if refused else None


@pytest.mark.parametrize(
    "new",
    [
        profile(),
        profile(evse_id=0),
        profile(1, MAX, 0),
        profile(1, TX, transaction_id="T1"),
        profile(stack_level=3),
        profile(kind=RECURRING, recurrency_kind=RecurrencyKind.DAILY, duration_s=10**6),
        profile(kind=RELATIVE, start=None),
        profile(periods=(period(0), period(1), period(2), period(3))),
        profile(periods=(period(limit=0.0),)),
        profile(valid_from=NOW, valid_to=NOW + timedelta(seconds=1)),
        profile(valid_to=NOW - timedelta(days=1)),
        profile(periods=(period(number_phases=1), period(5, number_phases=3))),
        profile(unit=ChargingRateUnit.W),
    ],
)
@pytest.mark.parametrize("capabilities", [LENIENT, STRICT])
def test_what_is_sound_is_taken_in(new: InstalledProfile, capabilities: ProfileCapabilities) -> None:
    assert code(new, capabilities=capabilities) is None


REFUSED = [
    (profile(evse_id=3), ReasonCode.UNKNOWN_EVSE),
    (profile(1, EXTERNAL, 0), ReasonCode.INVALID_PROFILE),
    (profile(1, ChargingProfilePurpose.LOCAL_GENERATION, 0), ReasonCode.INVALID_PROFILE),
    (profile(1, MAX, 1), ReasonCode.INVALID_PROFILE),
    (profile(1, MAX, 0, kind=RELATIVE, start=None), ReasonCode.INVALID_PROFILE),
    (profile(1, TX, 0, transaction_id="T1"), ReasonCode.INVALID_PROFILE),
    (profile(1, TX, 2, transaction_id="T1"), ReasonCode.TX_NOT_FOUND),
    (profile(1, TX, 1, transaction_id="unknown"), ReasonCode.TX_NOT_FOUND),
    (profile(transaction_id="T1"), ReasonCode.INVALID_PROFILE),
    (profile(stack_level=4), ReasonCode.INVALID_STACK_LEVEL),
    (profile(stack_level=-1), ReasonCode.INVALID_STACK_LEVEL),
    (profile(periods=()), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(1),)), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(0), period(9), period(5))), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(0), period(9), period(9))), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=tuple(period(at_s) for at_s in range(5))), ReasonCode.TOO_MANY_ELEMENTS),
    (profile(periods=(period(limit=-1.0),)), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(limit=float("nan")),)), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(limit=float("inf")),)), ReasonCode.INVALID_SCHEDULE),
    (profile(duration_s=-1), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(number_phases=0),)), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(number_phases=4),)), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(number_phases=1, phase_to_use=4),)), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(number_phases=3, phase_to_use=1),)), ReasonCode.INVALID_SCHEDULE),
    (profile(periods=(period(number_phases=1, phase_to_use=1),)), ReasonCode.INVALID_SCHEDULE),
    (profile(kind=RECURRING), ReasonCode.INVALID_PROFILE),
    (profile(kind=RECURRING, recurrency_kind=RecurrencyKind.DAILY, start=None), ReasonCode.INVALID_SCHEDULE),
    (profile(valid_from=NOW, valid_to=NOW), ReasonCode.INVALID_PROFILE),
]


@pytest.mark.parametrize(("new", "expected"), REFUSED)
def test_what_breaks_a_rule_is_refused_with_its_reason(new: InstalledProfile, expected: ReasonCode) -> None:
    assert code(new) is expected
    assert code(new, capabilities=STRICT) is expected


def test_a_refusal_says_why_in_words_and_names_the_requirement() -> None:
    refused = refusal(profile(stack_level=4), (), capabilities=LENIENT, transactions={})
    assert refused is not None
    assert refused.info == "stack level 4 is not within 0..3"
    assert "ChargeProfileMaxStackLevel" in refused.requirement


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (profile(1, TX), ReasonCode.MISSING_PARAM),
        (profile(start=None), ReasonCode.INVALID_SCHEDULE),
        (profile(kind=RELATIVE), ReasonCode.INVALID_SCHEDULE),
        (profile(evse_id=2, periods=(period(number_phases=3),)), ReasonCode.NO_PHASE_FOR_DC),
    ],
)
def test_what_a_lenient_reading_implies_a_strict_one_wants_said(new: InstalledProfile, expected: ReasonCode) -> None:
    assert code(new) is None
    assert code(new, capabilities=STRICT) is expected


def test_a_rate_unit_the_station_cannot_keep_is_refused() -> None:
    """OCTT TC_K_12."""
    amperes = msgspec.structs.replace(LENIENT, rate_units=frozenset({ChargingRateUnit.A}))
    assert code(profile(unit=ChargingRateUnit.W), capabilities=amperes) is ReasonCode.UNSUPPORTED_RATE_UNIT
    assert code(profile(), capabilities=amperes) is None


def test_a_tx_profile_needs_a_transaction_or_a_start() -> None:
    """OCTT TC_058_1, TC_K_02; TC_K_37."""
    new = profile(1, TX, 2)
    assert code(new) is ReasonCode.TX_NOT_FOUND
    assert code(new, starting=True) is None
    assert code(new, starting=True, capabilities=STRICT) is None
    assert code(profile(1, DEFAULT, 2), starting=True) is ReasonCode.INVALID_PROFILE
    assert code(profile(1, TX, 2, transaction_id="T1"), starting=True) is ReasonCode.INVALID_VALUE


def test_what_was_set_on_site_is_neither_replaced_nor_cleared() -> None:
    on_site = profile(7, EXTERNAL, 0)
    assert code(profile(7), on_site) is ReasonCode.INVALID_PROFILE_ID
    assert clear((on_site,), ProfileCriteria()) == ((on_site,), ())
    assert clear((on_site,), ProfileCriteria(profile_id=7)) == ((on_site,), ())


def test_there_is_room_for_as_many_as_fit_and_what_replaces_takes_none() -> None:
    full = tuple(profile(level + 1, stack_level=level) for level in range(3))
    assert code(profile(9, stack_level=3), *full) is ReasonCode.TOO_MANY_ELEMENTS
    assert code(profile(9, stack_level=2), *full) is None
    assert code(profile(3, stack_level=3), *full) is None


def test_phases_that_could_contradict_each_other_are_refused() -> None:
    """OCPP 2.0.1 K §3.7."""
    switching = msgspec.structs.replace(LENIENT, phase_switching=True)
    cap = profile(1, MAX, 0, periods=(period(number_phases=1, phase_to_use=1),))
    other = profile(2, TX, periods=(period(number_phases=1, phase_to_use=3),))
    same = profile(2, TX, periods=(period(number_phases=1, phase_to_use=1),))
    assert code(other, cap, capabilities=switching) is ReasonCode.PHASE_CONFLICT
    assert code(cap, other, capabilities=switching) is ReasonCode.PHASE_CONFLICT
    assert code(same, cap, capabilities=switching) is None
    assert code(other, same, capabilities=switching) is None  # they never apply together
    moved = profile(1, MAX, 0, periods=(period(number_phases=1, phase_to_use=3),))
    assert code(moved, cap, other, capabilities=switching) is None  # the old one goes


@pytest.mark.parametrize(
    ("existing", "new"),
    [
        (profile(1), profile(2)),
        (profile(1, MAX, 0), profile(2, MAX, 0)),
        (profile(1, TX, transaction_id="T1"), profile(2, TX, transaction_id="T1")),
        (profile(1, valid_to=NOW), profile(2, valid_from=NOW - timedelta(seconds=1))),
    ],
)
def test_the_same_place_is_replaced_or_refused(existing: InstalledProfile, new: InstalledProfile) -> None:
    """OCPP 1.6 §3.13.2 against K01.FR.06 and K01.FR.39."""
    assert code(new, existing) is None
    assert install((existing,), new, now=NOW) == (new,)
    assert code(new, existing, capabilities=STRICT) is ReasonCode.DUPLICATE_PROFILE


@pytest.mark.parametrize(
    ("existing", "new"),
    [
        (profile(1), profile(2, stack_level=1)),
        (profile(1), profile(2, evse_id=2)),
        (profile(1, MAX, 0), profile(2, DEFAULT, 1)),
    ],
)
def test_another_place_is_stacked(existing: InstalledProfile, new: InstalledProfile) -> None:
    for capabilities in (LENIENT, STRICT):
        assert code(new, existing, capabilities=capabilities) is None
        assert install((existing,), new, now=NOW, same_level=capabilities.same_level) == (existing, new)


def test_validities_that_do_not_overlap_share_a_level_where_that_is_allowed() -> None:
    """K01.FR.06."""
    morning, evening = profile(1, valid_to=NOW), profile(2, valid_from=NOW)
    assert code(evening, morning, capabilities=STRICT) is None
    assert install((morning,), evening, now=NOW, same_level=SameLevel.REFUSED) == (morning, evening)


def test_a_level_holds_a_default_for_all_evses_or_for_single_ones() -> None:
    """K01.FR.52, K01.FR.53."""
    everywhere, one = profile(1, evse_id=0), profile(2, evse_id=1)
    assert code(one, everywhere, capabilities=STRICT) is ReasonCode.DUPLICATE_PROFILE
    assert code(everywhere, one, capabilities=STRICT) is ReasonCode.DUPLICATE_PROFILE
    assert code(profile(1, evse_id=1), everywhere, capabilities=STRICT) is None  # the same one, moved
    assert code(one, everywhere) is None


def test_the_same_id_is_replaced_wherever_it_is() -> None:
    """K01.FR.05, OCTT TC_K_04."""
    old, new = profile(1, DEFAULT, 1), profile(1, MAX, 0, stack_level=2)
    for same_level in SameLevel:
        assert install((old, profile(2, stack_level=1)), new, now=NOW, same_level=same_level) == (
            profile(2, stack_level=1),
            new,
        )


def test_a_station_limit_without_a_start_starts_now() -> None:
    (entry,) = install((), profile(1, MAX, 0, start=None), now=NOW)
    assert entry.profile.schedule.start_schedule == NOW
    (default,) = install((), profile(1, DEFAULT, 1, start=None), now=NOW)
    assert default.profile.schedule.start_schedule is None


@pytest.mark.parametrize(
    ("criteria", "cleared"),
    [
        (ProfileCriteria(), {1, 2, 3}),
        (ProfileCriteria(profile_id=2), {2}),
        (ProfileCriteria(profile_id=2, stack_level=9), {2}),  # a given id decides alone (OCPP 1.6 errata 3.26)
        (ProfileCriteria(profile_id=9), set()),
        (ProfileCriteria(purpose=DEFAULT), {1, 2}),
        (ProfileCriteria(purpose=DEFAULT, stack_level=1), {2}),
        (ProfileCriteria(evse_id=0), {3}),
        (ProfileCriteria(purpose=MAX, stack_level=1), set()),
    ],
)
def test_clearing(criteria: ProfileCriteria, cleared: set[int]) -> None:
    installed = (profile(1), profile(2, evse_id=2, stack_level=1), profile(3, MAX, 0))
    stay, gone = clear(installed, criteria)
    assert {entry.profile.id for entry in gone} == cleared
    assert {entry.profile.id for entry in stay} == {1, 2, 3} - cleared


def test_a_transactions_profiles_go_with_it() -> None:
    default, mine, other = profile(1), profile(2, TX, 1), profile(3, TX, 2)
    assert without_transaction((default, mine, other), 1) == (default, other)


def test_expired_profiles_can_be_dropped() -> None:
    over, lasting = profile(1, valid_to=NOW), profile(2, stack_level=1)
    assert without_expired((over, lasting), NOW) == (lasting,)
    assert without_expired((over, lasting), NOW - timedelta(seconds=1)) == (over, lasting)


def test_every_rule_can_refuse_something() -> None:
    """No row of the table is dead: each is the first to refuse at least one of the profiles above or below."""
    switching: Callable[..., ProfileCapabilities] = msgspec.structs.replace
    amperes = switching(LENIENT, rate_units=frozenset({ChargingRateUnit.A}))
    phases = switching(LENIENT, phase_switching=True)
    full = tuple(profile(level + 1, stack_level=level) for level in range(3))
    worlds: list[tuple[InstalledProfile, tuple[InstalledProfile, ...], ProfileCapabilities, bool]] = [
        *((new, (), LENIENT, False) for new, _ in REFUSED),
        (profile(1, TX), (), STRICT, False),
        (profile(start=None), (), STRICT, False),
        (profile(kind=RELATIVE), (), STRICT, False),
        (profile(evse_id=2, periods=(period(number_phases=3),)), (), STRICT, False),
        (profile(unit=ChargingRateUnit.W), (), amperes, False),
        (profile(1), (), LENIENT, True),
        (profile(1, TX, transaction_id="T1"), (), LENIENT, True),
        (profile(7), (profile(7, EXTERNAL, 0),), LENIENT, False),
        (profile(9, stack_level=3), full, LENIENT, False),
        (profile(2), (profile(1),), STRICT, False),
        (profile(2), (profile(1, evse_id=0),), STRICT, False),
        (
            profile(2, periods=(period(number_phases=1, phase_to_use=3),)),
            (profile(1, MAX, 0, periods=(period(number_phases=1, phase_to_use=1),)),),
            phases,
            False,
        ),
    ]
    refused = {
        found.requirement
        for new, existing, capabilities, starting in worlds
        if (found := refusal(new, existing, capabilities=capabilities, transactions=TRANSACTIONS, starting=starting))
    }
    assert refused == {rule.requirement for rule in RULES}
