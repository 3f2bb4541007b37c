"""Composite schedules told by name: the specification's examples, its test cases, and calendars people really set."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from forecourt.domain.composite import (
    ActiveTransaction,
    ChargingContext,
    TxProfileReach,
    composite_schedule,
    limit_at,
    merged,
    next_change,
)
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    CompositeSchedule,
    InstalledProfile,
    ProfileCriteria,
    RecurrencyKind,
)
from forecourt.domain.profile_stack import clear, install
from forecourt.domain.profile_time import ends_at, expired

A, W = ChargingRateUnit.A, ChargingRateUnit.W
MAX, EXTERNAL = ChargingProfilePurpose.STATION_MAX, ChargingProfilePurpose.EXTERNAL_CONSTRAINTS
DEFAULT, TX = ChargingProfilePurpose.TX_DEFAULT, ChargingProfilePurpose.TX
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FRIDAY = MONDAY + timedelta(days=4)
HOUR = 3600
CONTEXT = ChargingContext(hardware_max_a=32.0)


def during(since: datetime, transaction_id: str = "T1") -> ChargingContext:
    return ChargingContext(hardware_max_a=32.0, transaction=ActiveTransaction(transaction_id, since))


def installed(
    profile_id: int,
    purpose: ChargingProfilePurpose,
    *periods: tuple[int, float],
    evse_id: int = 1,
    level: int = 0,
    start: datetime | None = MONDAY,
    duration_s: int | None = None,
    unit: ChargingRateUnit = A,
    kind: ChargingProfileKind = ChargingProfileKind.ABSOLUTE,
    recurrency: RecurrencyKind | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    phases: int | None = None,
    phase_to_use: int | None = None,
    transaction_id: str | None = None,
    min_charging_rate: float | None = None,
) -> InstalledProfile:
    return InstalledProfile(
        evse_id,
        ChargingProfile(
            id=profile_id,
            stack_level=level,
            purpose=purpose,
            kind=ChargingProfileKind.RECURRING if recurrency else kind,
            recurrency_kind=recurrency,
            valid_from=valid_from,
            valid_to=valid_to,
            transaction_id=transaction_id,
            schedules=(
                ChargingSchedule(
                    rate_unit=unit,
                    start_schedule=start,
                    duration_s=duration_s,
                    min_charging_rate=min_charging_rate,
                    periods=tuple(
                        ChargingSchedulePeriod(at_s, limit, number_phases=phases, phase_to_use=phase_to_use)
                        for at_s, limit in periods
                    ),
                ),
            ),
        ),
    )


def told(schedule: CompositeSchedule) -> list[tuple[int, float]]:
    return [(period.start_period_s, period.rate_limit) for period in merged(schedule).periods]


def winners(schedule: CompositeSchedule) -> list[int | None]:
    return [period.winner.profile.id if period.winner else None for period in schedule.periods]


# --- calendars: seed 002 -----------------------------------------------------------------------------------------

DAILY_EVENING = installed(
    1, DEFAULT, (0, 8.0), start=MONDAY + timedelta(hours=17), duration_s=4 * HOUR, recurrency=RecurrencyKind.DAILY
)
FRIDAY_EVENING = installed(
    2,
    DEFAULT,
    (0, 10.0),
    level=1,
    start=FRIDAY + timedelta(hours=18),
    duration_s=4 * HOUR,
    recurrency=RecurrencyKind.WEEKLY,
)


def test_daily_evenings_hold_on_a_thursday() -> None:
    thursday = FRIDAY + timedelta(days=13)
    schedule = composite_schedule((DAILY_EVENING, FRIDAY_EVENING), 1, thursday, 24 * HOUR, A, CONTEXT)
    assert told(schedule) == [(0, 32.0), (17 * HOUR, 8.0), (21 * HOUR, 32.0)]
    assert winners(schedule) == [None, 1, None]


def test_fridays_differ_by_stack_level_and_the_daily_hour_before_still_holds() -> None:
    friday = FRIDAY + timedelta(days=14)
    schedule = composite_schedule((DAILY_EVENING, FRIDAY_EVENING), 1, friday, 24 * HOUR, A, CONTEXT)
    assert told(schedule) == [(0, 32.0), (17 * HOUR, 8.0), (18 * HOUR, 10.0), (22 * HOUR, 32.0)]
    assert winners(schedule) == [None, 1, 2, None]
    assert schedule.periods[2].reason == "TxDefaultProfile 2, stack level 1, period from 2026-03-20 18:00: 10 A"


def test_a_week_of_evenings_has_one_friday() -> None:
    schedule = composite_schedule((FRIDAY_EVENING, DAILY_EVENING), 1, FRIDAY, 7 * 24 * HOUR, A, CONTEXT)
    assert sum(1 for winner in winners(schedule) if winner == 1) == 7
    assert sum(1 for winner in winners(schedule) if winner == 2) == 1


def test_a_grid_operators_profile_is_stacked_above_an_emsps() -> None:
    emsp = installed(1, DEFAULT, (0, 16.0), level=2, recurrency=RecurrencyKind.DAILY)
    grid_operator = installed(2, DEFAULT, (0, 6.0), level=7, start=MONDAY + timedelta(hours=18), duration_s=2 * HOUR)
    schedule = composite_schedule((emsp, grid_operator), 1, MONDAY, 24 * HOUR, A, CONTEXT)
    assert told(schedule) == [(0, 16.0), (18 * HOUR, 6.0), (20 * HOUR, 16.0)]
    assert winners(schedule) == [1, 2, 1]


def test_a_higher_level_wins_even_when_it_allows_more() -> None:
    low, high = installed(1, DEFAULT, (0, 6.0)), installed(2, DEFAULT, (0, 20.0), level=1, duration_s=60)
    assert told(composite_schedule((low, high), 1, MONDAY, 120, A, CONTEXT)) == [(0, 20.0), (60, 6.0)]


def test_a_high_level_without_a_duration_never_lets_a_lower_one_through() -> None:
    """OCPP 1.6 §3.13.2 with errata 3.7."""
    low, high = installed(1, DEFAULT, (0, 6.0)), installed(2, DEFAULT, (0, 20.0), (10, 12.0), level=1)
    limit = limit_at((low, high), 1, MONDAY + timedelta(days=3650), A, CONTEXT)
    assert (limit.rate_limit, limit.until) == (12.0, None)


# --- the specification's examples --------------------------------------------------------------------------------


def test_six_kilowatts_by_day_as_in_the_specification() -> None:
    """OCPP 1.6 §3.13.7."""
    profile = installed(
        100,
        DEFAULT,
        (0, 11000.0),
        (28800, 6000.0),
        (72000, 11000.0),
        unit=W,
        phases=3,
        start=datetime(2013, 1, 1, tzinfo=UTC),
        duration_s=86400,
        recurrency=RecurrencyKind.DAILY,
    )
    schedule = composite_schedule((profile,), 1, MONDAY, 2 * 86400, W, CONTEXT)
    assert told(schedule) == [(0, 11000.0), (28800, 6000.0), (72000, 11000.0), (115200, 6000.0), (158400, 11000.0)]


def test_nine_kilowatts_for_the_station_cap_every_car() -> None:
    """Seed 004: the owner turns the station down to 9 kW."""
    cap = installed(1, MAX, (0, 9000.0), evse_id=0, unit=W, start=datetime(2022, 7, 6, 2, 4, tzinfo=UTC))
    car = installed(2, TX, (0, 16.0), transaction_id="T1")
    limit = limit_at((cap, car), 1, MONDAY, A, during(MONDAY))
    assert limit.rate_limit == pytest.approx(9000 / (3 * 230))
    assert limit.winner is cap
    assert limit.reason == (
        "ChargingStationMaxProfile 1, stack level 0, period from 2022-07-06 02:04: 13.0435 A; "
        "TxProfile 2 would allow 16 A"
    )
    in_watts = limit_at((cap, car), 1, MONDAY, W, during(MONDAY))
    assert (in_watts.rate_limit, in_watts.winner) == (9000.0, cap)


def test_a_duration_shorter_than_the_recurrence_leaves_a_gap() -> None:
    """OCPP 1.6 §5.16.4 with errata 3.43: the lower level shows through, else nothing limits."""
    high = installed(1, DEFAULT, (0, 6.0), level=3, duration_s=6 * HOUR, recurrency=RecurrencyKind.DAILY)
    low = installed(2, DEFAULT, (0, 13.0), level=1, recurrency=RecurrencyKind.WEEKLY)
    assert told(composite_schedule((high,), 1, MONDAY, 86400, A, CONTEXT)) == [(0, 6.0), (6 * HOUR, 32.0)]
    assert told(composite_schedule((high, low), 1, MONDAY, 86400, A, CONTEXT)) == [(0, 6.0), (6 * HOUR, 13.0)]


def test_what_is_longer_than_the_recurrence_is_not_executed() -> None:
    """OCPP 1.6 errata 3.44."""
    profile = installed(
        1, DEFAULT, (0, 6.0), (80000, 10.0), (90000, 31.0), duration_s=2 * 86400, recurrency=RecurrencyKind.DAILY
    )
    assert told(composite_schedule((profile,), 1, MONDAY, 100000, A, CONTEXT)) == [
        (0, 6.0),
        (80000, 10.0),
        (86400, 6.0),
    ]


def test_periods_after_the_duration_are_not_executed_and_the_last_one_lasts_as_long() -> None:
    """OCPP 1.6 §5.16.4."""
    cut = installed(1, DEFAULT, (0, 6.0), (100, 10.0), duration_s=50)
    stretched = installed(1, DEFAULT, (0, 6.0), (100, 10.0), duration_s=500)
    assert told(composite_schedule((cut,), 1, MONDAY, 1000, A, CONTEXT)) == [(0, 6.0), (50, 32.0)]
    assert told(composite_schedule((stretched,), 1, MONDAY, 1000, A, CONTEXT)) == [(0, 6.0), (100, 10.0), (500, 32.0)]


def test_a_recurring_schedule_has_no_say_before_its_first_start() -> None:
    profile = installed(1, DEFAULT, (0, 6.0), start=MONDAY + timedelta(days=1), recurrency=RecurrencyKind.DAILY)
    assert told(composite_schedule((profile,), 1, MONDAY, 2 * 86400, A, CONTEXT)) == [(0, 32.0), (86400, 6.0)]


def test_a_day_is_a_day_when_the_clocks_change() -> None:
    """Recurrence is every 24 hours in UTC: on the last Sunday of March nothing shifts."""
    before, after = datetime(2026, 3, 28, 17, tzinfo=UTC), datetime(2026, 3, 29, 17, tzinfo=UTC)
    assert limit_at((DAILY_EVENING,), 1, before, A, CONTEXT).rate_limit == 8.0
    assert limit_at((DAILY_EVENING,), 1, after, A, CONTEXT).rate_limit == 8.0
    assert limit_at((DAILY_EVENING,), 1, after - timedelta(seconds=1), A, CONTEXT).rate_limit == 32.0


# --- relative schedules ------------------------------------------------------------------------------------------


def test_a_relative_schedule_counts_from_the_start_of_charging() -> None:
    profile = installed(1, DEFAULT, (0, 6.0), (600, 16.0), start=None, kind=ChargingProfileKind.RELATIVE)
    began = MONDAY - timedelta(seconds=200)
    assert told(composite_schedule((profile,), 1, MONDAY, 1000, A, during(began))) == [(0, 6.0), (400, 16.0)]
    ready = ActiveTransaction("T1", began, charging_since=MONDAY)
    context = msgspec.structs.replace(CONTEXT, transaction=ready)
    assert told(composite_schedule((profile,), 1, MONDAY, 1000, A, context)) == [(0, 6.0), (600, 16.0)]


def test_an_absolute_schedule_without_a_start_counts_from_the_start_of_charging_too() -> None:
    """OCPP 1.6 §7.13 startSchedule."""
    profile = installed(1, DEFAULT, (0, 6.0), duration_s=300, start=None)
    began = MONDAY - timedelta(seconds=200)
    assert told(composite_schedule((profile,), 1, MONDAY, 1000, A, during(began))) == [(0, 6.0), (100, 32.0)]


def test_without_a_transaction_a_relative_schedule_is_read_as_if_charging_began() -> None:
    profile = installed(1, DEFAULT, (0, 6.0), (600, 16.0), start=None, kind=ChargingProfileKind.RELATIVE)
    assert told(composite_schedule((profile,), 1, MONDAY, 1000, A, CONTEXT)) == [(0, 6.0), (600, 16.0)]
    assert limit_at((profile,), 1, MONDAY + timedelta(days=1), A, CONTEXT).rate_limit == 6.0


# --- purposes ----------------------------------------------------------------------------------------------------


def test_a_tx_profile_of_another_transaction_has_no_say() -> None:
    default, tx = installed(1, DEFAULT, (0, 10.0)), installed(2, TX, (0, 20.0), transaction_id="T1")
    assert limit_at((default, tx), 1, MONDAY, A, during(MONDAY, "T1")).winner is tx
    assert limit_at((default, tx), 1, MONDAY, A, during(MONDAY, "T2")).winner is default
    assert limit_at((default, tx), 1, MONDAY, A, CONTEXT).winner is default


def test_a_tx_profile_without_an_id_belongs_to_the_transaction_that_is_on() -> None:
    """A remote start brings it before there is an id (OCPP 1.6 §5.16.2)."""
    tx = installed(2, TX, (0, 20.0))
    assert limit_at((tx,), 1, MONDAY, A, during(MONDAY)).winner is tx
    assert limit_at((tx,), 1, MONDAY, A, CONTEXT).winner is None
    assert limit_at((tx,), 2, MONDAY, A, during(MONDAY)).winner is None


def test_a_tx_default_profile_of_an_evse_replaces_the_stations_at_its_level_there_only() -> None:
    """OCPP 1.6 §3.13.1: replaced, so that not even its gaps show the other one."""
    station = installed(1, DEFAULT, (0, 10.0), evse_id=0)
    evse = installed(2, DEFAULT, (0, 14.0), evse_id=1, duration_s=HOUR, recurrency=RecurrencyKind.DAILY)
    assert told(composite_schedule((station, evse), 1, MONDAY, 7200, A, CONTEXT)) == [(0, 14.0), (3600, 32.0)]
    assert told(composite_schedule((station, evse), 2, MONDAY, 7200, A, CONTEXT)) == [(0, 10.0)]


def test_when_the_evses_default_has_ended_the_stations_is_back() -> None:
    station = installed(1, DEFAULT, (0, 10.0), evse_id=0)
    evse = installed(2, DEFAULT, (0, 14.0), evse_id=1, start=MONDAY + timedelta(seconds=60), duration_s=60)
    assert told(composite_schedule((station, evse), 1, MONDAY, 300, A, CONTEXT)) == [(0, 32.0), (60, 14.0), (120, 10.0)]


def test_the_default_leads_until_the_tx_profile_becomes_valid() -> None:
    default = installed(1, DEFAULT, (0, 10.0))
    tx = installed(2, TX, (0, 20.0), valid_from=MONDAY + timedelta(seconds=90))
    limit = limit_at((default, tx), 1, MONDAY, A, during(MONDAY))
    assert (limit.winner, limit.until) == (default, MONDAY + timedelta(seconds=90))


def test_at_a_draw_the_transactions_own_profile_is_named() -> None:
    tx, cap = installed(1, TX, (0, 32.0)), installed(2, MAX, (0, 32.0), evse_id=0)
    assert limit_at((cap, tx), 1, MONDAY, A, during(MONDAY)).winner is tx
    assert limit_at((cap,), 1, MONDAY, A, during(MONDAY)).winner is cap


def test_a_stations_tx_default_profile_of_another_level_is_stacked_with_the_evses() -> None:
    station = installed(1, DEFAULT, (0, 10.0), evse_id=0, level=0)
    evse = installed(2, DEFAULT, (0, 14.0), evse_id=1, level=1, duration_s=HOUR)
    assert told(composite_schedule((station, evse), 1, MONDAY, 7200, A, CONTEXT)) == [(0, 14.0), (3600, 10.0)]


def test_external_constraints_hold_on_the_station_and_on_an_evse() -> None:
    station = installed(1, EXTERNAL, (0, 20.0), evse_id=0)
    evse = installed(2, EXTERNAL, (0, 12.0), evse_id=1)
    assert limit_at((station, evse), 1, MONDAY, A, CONTEXT).winner is evse
    assert limit_at((station, evse), 2, MONDAY, A, CONTEXT).winner is station


def test_priority_charging_stands_in_for_the_transactions_other_profiles_when_it_is_on() -> None:
    priority = installed(1, ChargingProfilePurpose.PRIORITY_CHARGING, (0, 28.0), evse_id=0)
    tx, cap = installed(2, TX, (0, 6.0)), installed(3, MAX, (0, 25.0), evse_id=0)
    context = during(MONDAY)
    assert limit_at((priority, tx), 1, MONDAY, A, context).winner is tx
    prior = msgspec.structs.replace(context, priority_charging=True)
    assert limit_at((priority, tx), 1, MONDAY, A, prior).winner is priority
    assert limit_at((priority, tx, cap), 1, MONDAY, A, prior).winner is cap


def test_local_generation_never_lowers_a_limit() -> None:
    sun = installed(1, ChargingProfilePurpose.LOCAL_GENERATION, (0, 2.0), evse_id=0)
    assert limit_at((sun,), 1, MONDAY, A, CONTEXT).rate_limit == 32.0


def test_the_stations_own_limit_is_named_when_it_is_the_lowest() -> None:
    tx = installed(1, TX, (0, 20.0))
    warm = msgspec.structs.replace(during(MONDAY), local_limit_a=10.0)
    assert limit_at((tx,), 1, MONDAY, A, warm).reason == "local limit: 10 A; TxProfile 1 would allow 20 A"
    assert limit_at((), 1, MONDAY, A, CONTEXT).reason == "hardware maximum: 32 A"


# --- units and phases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "unit", "supply", "asked", "expected"),
    [
        (None, W, 3, A, 6900 / 690),  # 3 phases unless told otherwise (K01.FR.49)
        (1, W, 3, A, 6900 / 230),  # the period's phases, not the supply's (K01.FR.50)
        (None, W, 1, A, 6900 / 690),  # no new limit for fewer phases (OCPP 1.6 errata 3.34)
        (None, W, None, A, 6900 / 230),  # direct current has none
        (1, A, 3, W, 6900 * 230),
        (None, A, 1, W, 6900 * 230),
        (3, A, 2, W, 6900 * 460),
        (None, A, None, W, 6900 * 230),
        (None, W, 1, W, 6900.0),
        (None, A, 1, A, 6900.0),
    ],
)
def test_ampere_and_watts(
    named: int | None, unit: ChargingRateUnit, supply: int | None, asked: ChargingRateUnit, expected: float
) -> None:
    profile = installed(1, DEFAULT, (0, 6900.0), unit=unit, phases=named)
    context = ChargingContext(hardware_max_a=1e9, number_phases=supply)
    assert limit_at((profile,), 1, MONDAY, asked, context).rate_limit == pytest.approx(expected)


def test_the_lowest_number_of_phases_counts() -> None:
    """K01.FR.140, OCPP 2.0.1 K §3.7."""
    cap = installed(1, MAX, (0, 16.0), evse_id=0, phases=1, phase_to_use=2)
    tx = installed(2, TX, (0, 10.0), phases=3)
    limit = limit_at((cap, tx), 1, MONDAY, W, during(MONDAY))
    assert (limit.number_phases, limit.phase_to_use, limit.rate_limit) == (1, 2, 2300.0)
    assert limit_at((tx,), 1, MONDAY, W, during(MONDAY)).number_phases == 3
    direct = ChargingContext(hardware_max_a=200.0, number_phases=None, voltage_v=400.0)
    assert limit_at((cap,), 1, MONDAY, W, direct).number_phases is None


def test_the_minimum_charging_rate_is_carried_in_the_unit_asked_for() -> None:
    tx = installed(1, TX, (0, 16.0), min_charging_rate=6.0)
    schedule = composite_schedule((tx,), 1, MONDAY, 60, W, during(MONDAY))
    assert schedule.min_charging_rate == 6.0 * 3 * 230


# --- the station as a whole --------------------------------------------------------------------------------------


def test_the_station_draws_what_its_evses_may_together() -> None:
    """OCTT TC_K_22: a TxDefaultProfile of EVSE 0 counts once for each EVSE."""
    default = installed(1, DEFAULT, (0, 6.0), evse_id=0, valid_to=MONDAY + timedelta(seconds=300))
    station = ChargingContext(hardware_max_a=63.0, evses={1: CONTEXT, 2: CONTEXT})
    schedule = composite_schedule((default,), 0, MONDAY, 400, A, station)
    assert told(schedule) == [(0, 12.0), (300, 63.0)]
    assert schedule.periods[0].reason == "sum of EVSE 1 6 A + EVSE 2 6 A: 12 A"


def test_the_station_never_draws_more_than_its_own_limits() -> None:
    cap = installed(1, MAX, (0, 20.0), evse_id=0)
    station = ChargingContext(hardware_max_a=63.0, evses={1: CONTEXT, 2: CONTEXT})
    assert limit_at((cap,), 0, MONDAY, A, station).winner is cap
    assert limit_at((), 0, MONDAY, A, ChargingContext(hardware_max_a=63.0)).rate_limit == 63.0


# --- official test cases -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("late_s", [0, 7])
@pytest.mark.parametrize("scale", [(A, 1.0), (W, 1000.0)])
def test_octt_tc_072_and_tc_k_40_stacking(late_s: int, scale: tuple[ChargingRateUnit, float]) -> None:
    unit, factor = scale
    valid_to = MONDAY + timedelta(seconds=401)
    profiles = (
        installed(
            1,
            DEFAULT,
            *((at, limit * factor) for at, limit in [(0, 6), (100, 8), (200, 10)]),
            duration_s=400,
            unit=unit,
            valid_from=MONDAY,
            valid_to=valid_to,
        ),
        installed(
            2,
            DEFAULT,
            *((at, limit * factor) for at, limit in [(0, 7), (100, 9)]),
            level=1,
            duration_s=150,
            unit=unit,
            valid_from=MONDAY,
            valid_to=valid_to,
        ),
    )
    schedule = composite_schedule(profiles, 1, MONDAY + timedelta(seconds=late_s), 350, unit, CONTEXT)
    assert told(schedule) == [
        (0, 7 * factor),
        (100 - late_s, 9 * factor),
        (150 - late_s, 8 * factor),
        (200 - late_s, 10 * factor),
    ]
    assert winners(schedule) == [2, 2, 1, 1]


def purposes_of_tc_066() -> tuple[InstalledProfile, ...]:
    valid_to = MONDAY + timedelta(seconds=401)
    return (
        installed(1, MAX, (0, 10.0), evse_id=0, duration_s=86400),
        installed(
            2,
            DEFAULT,
            *[(0, 6.0), (60, 10.0), (120, 8.0), (180, 15.0), (260, 8.0)],
            duration_s=300,
            valid_from=MONDAY,
            valid_to=valid_to,
        ),
        installed(
            3,
            TX,
            *[(0, 8.0), (50, 11.0), (140, 16.0), (200, 6.0), (240, 12.0)],
            duration_s=260,
            valid_from=MONDAY,
            valid_to=valid_to,
            transaction_id="T1",
        ),
    )


def test_octt_tc_066_and_tc_k_41_combining_purposes() -> None:
    """After the TxProfile's duration the expected schedule stays at the station's 10 A: no TxDefaultProfile at 260."""
    start = MONDAY + timedelta(seconds=3)
    schedule = composite_schedule(purposes_of_tc_066(), 1, start, 400, A, during(MONDAY))
    assert told(schedule) == [(0, 8.0), (47, 10.0), (197, 6.0), (237, 10.0)]
    assert winners(schedule) == [3, 1, 1, 3, 1, 1]
    assert [period.reason.split("; ")[1] for period in schedule.periods[1:3]] == [
        "TxProfile 3 would allow 11 A",
        "TxProfile 3 would allow 16 A",
    ]


def test_the_other_reading_of_tc_066_lets_the_default_in_after_the_tx_profile() -> None:
    context = msgspec.structs.replace(during(MONDAY), tx_profile_reach=TxProfileReach.WHILE_IT_LIMITS)
    schedule = composite_schedule(purposes_of_tc_066(), 1, MONDAY, 400, A, context)
    assert told(schedule) == [(0, 8.0), (50, 10.0), (200, 6.0), (240, 10.0), (260, 8.0), (300, 10.0)]


def test_octt_tc_067_clearing() -> None:
    profiles: tuple[InstalledProfile, ...] = ()
    for entry in (
        installed(1, DEFAULT, (0, 6.0), (60, 8.0), (200, 10.0), level=1, duration_s=400),
        installed(2, DEFAULT, (0, 7.0), (100, 9.0), duration_s=400),
        installed(3, MAX, (0, 11.0), (200, 12.0), evse_id=0, duration_s=86400),
    ):
        profiles = install(profiles, entry, now=MONDAY)
    profiles, _ = clear(profiles, ProfileCriteria(profile_id=1))
    assert told(composite_schedule(profiles, 1, MONDAY, 350, A, CONTEXT)) == [(0, 7.0), (100, 9.0)]
    profiles, _ = clear(profiles, ProfileCriteria(purpose=DEFAULT, stack_level=0))
    assert told(composite_schedule(profiles, 1, MONDAY, 350, A, CONTEXT)) == [(0, 11.0), (200, 12.0)]
    profiles, cleared = clear(profiles, ProfileCriteria())
    assert len(cleared) == 1
    assert told(composite_schedule(profiles, 1, MONDAY, 350, A, CONTEXT)) == [(0, 32.0)]


@pytest.mark.parametrize("on", [False, True])
def test_octt_tc_056_tc_082_and_tc_k_28_a_default_schedule(on: bool) -> None:
    default = installed(1, DEFAULT, (0, 6000.0), unit=W, phases=3, duration_s=300)
    context = during(MONDAY - timedelta(minutes=5)) if on else CONTEXT
    assert told(composite_schedule((default,), 1, MONDAY, 300, W, context)) == [(0, 6000.0)]


def test_octt_tc_057_and_tc_k_60_a_running_transaction() -> None:
    tx = installed(1, TX, (0, 6.0), start=None, kind=ChargingProfileKind.RELATIVE, transaction_id="T1", phases=3)
    context = during(MONDAY - timedelta(minutes=5))
    assert told(composite_schedule((tx,), 1, MONDAY, 300, A, context)) == [(0, 6.0)]


def test_octt_tc_k_21_valid_from() -> None:
    profile = installed(
        1,
        DEFAULT,
        (0, 6.0),
        start=None,
        kind=ChargingProfileKind.RELATIVE,
        valid_from=MONDAY + timedelta(seconds=300),
    )
    start = MONDAY + timedelta(seconds=2)
    assert told(composite_schedule((profile,), 1, start, 400, A, CONTEXT)) == [(0, 32.0), (298, 6.0)]


def test_octt_tc_k_23_start_schedule() -> None:
    profile = installed(1, DEFAULT, (0, 6.0), start=MONDAY + timedelta(seconds=60))
    assert told(composite_schedule((profile,), 1, MONDAY, 300, A, CONTEXT)) == [(0, 32.0), (60, 6.0)]


def test_octt_tc_k_39_no_profile_at_all() -> None:
    schedule = composite_schedule((), 1, MONDAY, 300, A, CONTEXT)
    assert (told(schedule), schedule.duration_s, winners(schedule)) == ([(0, 32.0)], 300, [None])


def test_octt_tc_k_09_the_local_limit_returns_when_a_default_is_cleared() -> None:
    default = installed(1, DEFAULT, (0, 6.0), duration_s=400)
    assert limit_at((default,), 1, MONDAY, A, during(MONDAY)).rate_limit == 6.0
    assert limit_at((), 1, MONDAY, A, during(MONDAY)).rate_limit == 32.0


# --- the ends of things ------------------------------------------------------------------------------------------


def test_equal_limits_of_different_winners_are_one_period_on_the_wire_and_two_in_the_explanation() -> None:
    low, high = installed(1, DEFAULT, (0, 6.0)), installed(2, DEFAULT, (0, 6.0), level=1, duration_s=60)
    schedule = composite_schedule((low, high), 1, MONDAY, 120, A, CONTEXT)
    assert winners(schedule) == [2, 1]
    assert winners(merged(schedule)) == [2]


def test_a_schedule_asked_for_a_century_stops_and_says_where() -> None:
    schedule = composite_schedule((DAILY_EVENING,), 1, MONDAY, 2**31, A, CONTEXT, max_periods=10)
    assert len(schedule.periods) == 10
    assert schedule.duration_s == (4 * 24 + 21) * HOUR  # to the end of the fifth evening
    last = limit_at((DAILY_EVENING,), 1, MONDAY + timedelta(seconds=schedule.duration_s - 1), A, CONTEXT)
    assert last.rate_limit == schedule.periods[-1].rate_limit


def test_fractions_of_a_second_round_up_in_the_schedule_and_not_in_the_limit() -> None:
    profile = installed(1, DEFAULT, (0, 6.0), (10, 20.0))
    start = MONDAY + timedelta(milliseconds=300)
    assert told(composite_schedule((profile,), 1, start, 60, A, CONTEXT)) == [(0, 6.0), (10, 20.0)]
    assert next_change((profile,), 1, start, CONTEXT) == MONDAY + timedelta(seconds=10)


@pytest.mark.parametrize("kind", list(ChargingProfileKind))
@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_the_calendar_raise_nothing(kind: ChargingProfileKind, year: int) -> None:
    edge = datetime(year, 12 if year > 1 else 1, 31, tzinfo=UTC)
    profile = installed(1, DEFAULT, (0, 6.0), (2**31, 8.0), start=edge, duration_s=2**40, kind=kind)
    profile = msgspec.structs.replace(
        profile, profile=msgspec.structs.replace(profile.profile, recurrency_kind=RecurrencyKind.WEEKLY)
    )
    composite_schedule((profile,), 1, edge, 2**31, A, during(edge))
    composite_schedule((profile,), 1, MONDAY, 2**31, A, during(edge), max_periods=5)
    assert ends_at(profile.profile) is None


def test_periods_out_of_order_do_not_stop_the_clock() -> None:
    profile = installed(1, DEFAULT, (0, 6.0), (500, 8.0), (100, 10.0), duration_s=1000)
    for at_s in range(0, 1000, 50):
        until = next_change((profile,), 1, MONDAY + timedelta(seconds=at_s), CONTEXT)
        assert until is not None
        assert until > MONDAY + timedelta(seconds=at_s)


def test_a_profile_without_schedule_or_periods_says_nothing() -> None:
    empty = installed(1, DEFAULT)
    none = InstalledProfile(1, msgspec.structs.replace(empty.profile, schedules=()))
    assert limit_at((empty, none), 1, MONDAY, A, CONTEXT).winner is None
    assert not expired(none.profile, MONDAY)


def test_what_has_ended_is_expired_and_a_tx_profile_has_a_say_as_long_as_it_is_valid() -> None:
    done = MONDAY + timedelta(seconds=60)
    assert expired(installed(1, DEFAULT, (0, 6.0), duration_s=60).profile, done)
    assert not expired(installed(1, DEFAULT, (0, 6.0), duration_s=61).profile, done)
    assert not expired(installed(1, TX, (0, 6.0), duration_s=60).profile, done)
    assert expired(installed(1, TX, (0, 6.0), valid_to=done).profile, done)
    assert not expired(installed(1, DEFAULT, (0, 6.0), duration_s=60, recurrency=RecurrencyKind.DAILY).profile, done)
