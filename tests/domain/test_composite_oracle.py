"""The composite algorithm against a slow reading of the specification, second by second, over generated profiles.

The oracle knows no instants at which something changes: it asks, for every second anew, every profile.
"""

from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

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
    RecurrencyKind,
)
from forecourt.domain.profile_stack import install, without_expired

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)
HORIZON_S = 120
DAY_S, WEEK_S = 24 * 60 * 60, 7 * 24 * 60 * 60


def instant(second: int) -> datetime:
    return T0 + timedelta(seconds=second)


@cache
def second(moment: datetime) -> int:
    return round((moment - T0).total_seconds())


# --- the oracle: the specification's prose, word by word -----------------------------------------------------------


def period_of(profile: ChargingProfile, t: int, charging_start: int) -> ChargingSchedulePeriod | None:
    """The period of `profile` that is executed in second `t`."""
    if profile.valid_from is not None and t < second(profile.valid_from):
        return None
    if profile.valid_to is not None and t >= second(profile.valid_to):
        return None
    schedule = profile.schedules[0]
    begin = charging_start
    if profile.kind is not ChargingProfileKind.RELATIVE and schedule.start_schedule is not None:
        begin = second(schedule.start_schedule)
    if t < begin:
        return None
    longest = schedule.duration_s
    if profile.kind is ChargingProfileKind.RECURRING:
        cycle = DAY_S if profile.recurrency_kind is RecurrencyKind.DAILY else WEEK_S
        while begin + cycle <= t:
            begin += cycle
    if longest is not None and t - begin >= longest:
        return None
    executed = None
    for period in schedule.periods:
        if begin + period.start_period_s <= t:
            executed = period
    return executed


def is_over(profile: ChargingProfile, t: int) -> bool:
    schedule = profile.schedules[0]
    if profile.valid_to is not None and t >= second(profile.valid_to):
        return True
    return (
        profile.kind is ChargingProfileKind.ABSOLUTE
        and schedule.start_schedule is not None
        and schedule.duration_s is not None
        and t >= second(schedule.start_schedule) + schedule.duration_s
    )


def top(
    stack: list[InstalledProfile], t: int, charging_start: int
) -> tuple[InstalledProfile, ChargingSchedulePeriod] | None:
    best = None
    for entry in stack:
        period = period_of(entry.profile, t, charging_start)
        if period is not None and (best is None or entry.profile.stack_level > best[0].profile.stack_level):
            best = (entry, period)
    return best


def oracle(
    installed: tuple[InstalledProfile, ...],
    evse_id: int,
    t: int,
    unit: ChargingRateUnit,
    context: ChargingContext,
    charging_start: int,
) -> tuple[float, int | None]:
    """Limit and phases in second `t`."""
    supposed_start = charging_start
    if context.transaction is not None:
        charging_start = second(context.transaction.charging_since or context.transaction.started_at)
    purposes = ChargingProfilePurpose
    applied = []
    for purpose in (purposes.STATION_MAX, purposes.EXTERNAL_CONSTRAINTS):
        for place in {0, evse_id}:
            stack = [e for e in installed if e.profile.purpose is purpose and e.evse_id == place]
            applied.append(top(stack, t, charging_start))
    if evse_id != 0:
        own = [
            e
            for e in installed
            if e.profile.purpose is purposes.TX
            and e.evse_id == evse_id
            and context.transaction is not None
            and (e.profile.transaction_id in {None, context.transaction.transaction_id})
        ]
        valid = [
            e
            for e in own
            if (e.profile.valid_from is None or second(e.profile.valid_from) <= t)
            and (e.profile.valid_to is None or t < second(e.profile.valid_to))
        ]
        here = [e for e in installed if e.profile.purpose is purposes.TX_DEFAULT and e.evse_id == evse_id]
        replaced = {e.profile.stack_level for e in here if not is_over(e.profile, t)}
        everywhere = [
            e
            for e in installed
            if e.profile.purpose is purposes.TX_DEFAULT and e.evse_id == 0 and e.profile.stack_level not in replaced
        ]
        leading = top(own, t, charging_start)
        if leading is None and not (valid and context.tx_profile_reach is TxProfileReach.WHILE_INSTALLED):
            leading = top(here + everywhere, t, charging_start)
        applied.append(leading)
    phases = context.number_phases or 1
    found = [entry for entry in applied if entry is not None]
    if context.number_phases is not None:
        phases = min([phases, *(period.number_phases or 3 for _, period in found)])
    own_a = (
        context.hardware_max_a if context.local_limit_a is None else min(context.hardware_max_a, context.local_limit_a)
    )
    limits = [own_a if unit is ChargingRateUnit.A else own_a * phases * context.voltage_v]
    for entry, period in found:
        limit = period.rate_limit
        given_in = entry.profile.schedules[0].rate_unit
        if given_in is ChargingRateUnit.W and unit is ChargingRateUnit.A:
            limit /= context.voltage_v * (1 if context.number_phases is None else period.number_phases or 3)
        elif given_in is ChargingRateUnit.A and unit is ChargingRateUnit.W:
            limit *= context.voltage_v * phases
        limits.append(limit)
    lowest = min(limits)
    if evse_id == 0 and context.evses:
        shares = [oracle(installed, e, t, unit, c, supposed_start)[0] for e, c in context.evses.items()]
        lowest = min(lowest, sum(shares))
    return lowest, None if context.number_phases is None else phases


# --- worlds ------------------------------------------------------------------------------------------------------

near = st.integers(-60, HORIZON_S + 20)
limits = st.sampled_from([0.0, 6.0, 8.5, 10.0, 16.0, 32.0, 1400.0, 4140.0, 11000.0])


@st.composite
def schedules(draw: st.DrawFn, kind: ChargingProfileKind, recurrency: RecurrencyKind) -> ChargingSchedule:
    cycle = DAY_S if recurrency is RecurrencyKind.DAILY else WEEK_S
    starts = sorted(
        {0, *draw(st.lists(st.one_of(st.integers(1, 150), st.integers(cycle - 150, cycle + 100)), max_size=4))}
    )
    start = None
    if kind is ChargingProfileKind.RECURRING:
        start = instant(draw(near) - cycle * draw(st.integers(0, 2)))
    elif kind is ChargingProfileKind.ABSOLUTE and draw(st.booleans()):
        start = instant(draw(near))
    return ChargingSchedule(
        rate_unit=draw(st.sampled_from(ChargingRateUnit)),
        start_schedule=start,
        duration_s=draw(st.one_of(st.none(), st.integers(0, 150), st.integers(cycle - 150, cycle + 100))),
        periods=tuple(
            ChargingSchedulePeriod(at_s, draw(limits), number_phases=draw(st.sampled_from([None, 1, 2, 3])))
            for at_s in starts
        ),
    )


@st.composite
def profiles(draw: st.DrawFn) -> InstalledProfile:
    purpose = draw(
        st.sampled_from(
            [
                ChargingProfilePurpose.STATION_MAX,
                ChargingProfilePurpose.EXTERNAL_CONSTRAINTS,
                ChargingProfilePurpose.TX_DEFAULT,
                ChargingProfilePurpose.TX,
            ]
        )
    )
    places = {ChargingProfilePurpose.STATION_MAX: [0], ChargingProfilePurpose.TX: [1, 2]}.get(purpose, [0, 1, 2])
    kind = draw(
        st.sampled_from([ChargingProfileKind.ABSOLUTE, ChargingProfileKind.RECURRING, ChargingProfileKind.RELATIVE])
    )
    recurrency = draw(st.sampled_from(RecurrencyKind))
    return InstalledProfile(
        draw(st.sampled_from(places)),
        ChargingProfile(
            id=draw(st.integers(1, 50)),
            stack_level=draw(st.integers(0, 3)),
            purpose=purpose,
            kind=kind,
            recurrency_kind=recurrency if kind is ChargingProfileKind.RECURRING else None,
            schedules=(draw(schedules(kind, recurrency)),),
            valid_from=draw(st.one_of(st.none(), near.map(instant))),
            valid_to=draw(st.one_of(st.none(), near.map(instant))),
            transaction_id=draw(st.sampled_from([None, "T1", "T2"])) if purpose is ChargingProfilePurpose.TX else None,
        ),
    )


@st.composite
def stacks(draw: st.DrawFn) -> tuple[InstalledProfile, ...]:
    installed: tuple[InstalledProfile, ...] = ()
    for entry in draw(st.lists(profiles(), max_size=7)):
        installed = install(installed, entry, now=T0)
    return installed


@st.composite
def contexts(draw: st.DrawFn, *, whole: bool = False) -> ChargingContext:
    transaction = None
    if draw(st.booleans()):
        since = draw(st.one_of(st.none(), near.map(instant)))
        transaction = ActiveTransaction(draw(st.sampled_from(["T1", "T2"])), instant(draw(near)), since)
    return ChargingContext(
        hardware_max_a=draw(st.sampled_from([16.0, 32.0, 1000.0])),
        transaction=transaction,
        number_phases=draw(st.sampled_from([None, 1, 2, 3])),
        voltage_v=draw(st.sampled_from([120.0, 230.0])),
        local_limit_a=draw(st.sampled_from([None, 7.0, 20.0])),
        tx_profile_reach=draw(st.sampled_from(TxProfileReach)),
        evses={evse_id: draw(contexts()) for evse_id in draw(st.sets(st.sampled_from([1, 2])))} if whole else {},
    )


worlds = st.one_of(st.tuples(stacks(), st.just(1), contexts()), st.tuples(stacks(), st.just(0), contexts(whole=True)))
World = tuple[tuple[InstalledProfile, ...], int, ChargingContext]
units = st.sampled_from(ChargingRateUnit)


def value_at(schedule: CompositeSchedule, t: int) -> tuple[float, int | None]:
    found = [period for period in schedule.periods if period.start_period_s <= t]
    return found[-1].rate_limit, found[-1].number_phases


def same(left: tuple[float, int | None], right: tuple[float, int | None]) -> bool:
    return abs(left[0] - right[0]) <= 1e-9 * max(1.0, abs(right[0])) and left[1] == right[1]


# --- properties --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(worlds, units)
def test_the_composite_schedule_is_the_oracles_at_every_second(world: World, unit: ChargingRateUnit) -> None:
    installed, evse_id, context = world
    schedule = composite_schedule(installed, evse_id, T0, HORIZON_S, unit, context)
    wire = merged(schedule)
    for t in range(HORIZON_S):
        expected = oracle(installed, evse_id, t, unit, context, charging_start=0)
        assert same(value_at(schedule, t), expected), t
        assert same(value_at(wire, t), expected), t


@settings(max_examples=60, deadline=None)
@given(worlds, units)
def test_the_limit_is_the_oracles_and_next_change_never_skips_one(world: World, unit: ChargingRateUnit) -> None:
    installed, evse_id, context = world
    reached = 0
    while reached < HORIZON_S:
        at = instant(reached)
        limit = limit_at(installed, evse_id, at, unit, context)
        until = next_change(installed, evse_id, at, context)
        assert until == limit.until
        assert until is None or until > at
        end = HORIZON_S if until is None else min(HORIZON_S, second(until))
        for t in range(reached, end):
            # Without a transaction a relative schedule starts whenever it is asked for.
            assert same((limit.rate_limit, limit.number_phases), oracle(installed, evse_id, t, unit, context, t)), t
        reached = end


@settings(max_examples=60, deadline=None)
@given(worlds, units)
def test_the_shape_of_a_composite_schedule(world: World, unit: ChargingRateUnit) -> None:
    installed, evse_id, context = world
    schedule = composite_schedule(installed, evse_id, T0, HORIZON_S, unit, context)
    wire = merged(schedule)
    starts = [period.start_period_s for period in schedule.periods]
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert starts[-1] < HORIZON_S
    assert schedule.duration_s == HORIZON_S
    assert set(wire.periods) <= set(schedule.periods)
    for before, after in zip(wire.periods, wire.periods[1:], strict=False):
        assert (before.rate_limit, before.number_phases) != (after.rate_limit, after.number_phases)
    for period in schedule.periods:
        assert period.winner is None or period.winner in installed
        assert period.reason


@settings(max_examples=80, deadline=None)
@given(stacks(), contexts(), units)
def test_no_limit_is_above_any_that_applies(
    installed: tuple[InstalledProfile, ...], context: ChargingContext, unit: ChargingRateUnit
) -> None:
    for t in range(0, HORIZON_S, 7):
        limit = limit_at(installed, 1, instant(t), unit, context)
        assert all(limit.rate_limit <= entry.rate_limit for entry in limit.applied)
        assert limit.rate_limit <= limit.own_limit
        capped = [e for e in installed if e.profile.purpose is ChargingProfilePurpose.STATION_MAX]
        assert limit.rate_limit <= limit_at(capped, 1, instant(t), unit, context).rate_limit or limit.number_phases != (
            limit_at(capped, 1, instant(t), unit, context).number_phases
        )


@settings(max_examples=80, deadline=None)
@given(worlds, units, st.integers(0, HORIZON_S))
def test_dropping_what_is_expired_changes_nothing(world: World, unit: ChargingRateUnit, t: int) -> None:
    installed, evse_id, context = world
    kept = without_expired(installed, instant(t))
    before = composite_schedule(installed, evse_id, instant(t), HORIZON_S, unit, context)
    assert composite_schedule(kept, evse_id, instant(t), HORIZON_S, unit, context) == before


def test_of_equal_limits_of_the_station_the_same_one_wins_whatever_came_first() -> None:
    def profile(number: int, purpose: ChargingProfilePurpose) -> InstalledProfile:
        period = ChargingSchedulePeriod(start_period_s=0, rate_limit=0.0)
        schedule = ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=(period,), start_schedule=T0)
        return InstalledProfile(
            0,
            ChargingProfile(
                id=number, stack_level=0, purpose=purpose, kind=ChargingProfileKind.ABSOLUTE, schedules=(schedule,)
            ),
        )

    own, external = (
        profile(1, ChargingProfilePurpose.STATION_MAX),
        profile(2, ChargingProfilePurpose.EXTERNAL_CONSTRAINTS),
    )
    context = ChargingContext(hardware_max_a=32.0)
    for installed in ((own, external), (external, own)):
        assert limit_at(installed, 1, T0, ChargingRateUnit.A, context).winner is own


@settings(max_examples=60, deadline=None)
@given(stacks(), contexts(), units)
def test_letting_the_default_in_never_gives_more(
    installed: tuple[InstalledProfile, ...], context: ChargingContext, unit: ChargingRateUnit
) -> None:
    strict = msgspec.structs.replace(context, tx_profile_reach=TxProfileReach.WHILE_INSTALLED)
    loose = msgspec.structs.replace(context, tx_profile_reach=TxProfileReach.WHILE_IT_LIMITS)
    for t in range(0, HORIZON_S, 7):
        at = instant(t)
        assert limit_at(installed, 1, at, unit, loose).rate_limit <= limit_at(installed, 1, at, unit, strict).rate_limit


anything = st.integers(-(2**31), 2**31 - 1)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(anything, st.floats(allow_nan=False)), max_size=5),
    st.datetimes(timezones=st.just(UTC)),
    st.one_of(st.none(), anything),
    st.sampled_from(ChargingProfileKind),
    st.sampled_from([None, *RecurrencyKind]),
    st.datetimes(timezones=st.just(UTC)),
    anything,
)
def test_nothing_raises_and_time_goes_on_whatever_a_profile_says(
    periods: list[tuple[int, float]],
    start: datetime,
    duration_s: int | None,
    kind: ChargingProfileKind,
    recurrency: RecurrencyKind | None,
    at: datetime,
    asked_s: int,
) -> None:
    profile = ChargingProfile(
        id=1,
        stack_level=0,
        purpose=ChargingProfilePurpose.TX_DEFAULT,
        kind=kind,
        recurrency_kind=recurrency,
        schedules=(
            ChargingSchedule(
                rate_unit=ChargingRateUnit.A,
                start_schedule=start,
                duration_s=duration_s,
                periods=tuple(ChargingSchedulePeriod(at_s, limit) for at_s, limit in periods),
            ),
        ),
    )
    installed = (InstalledProfile(1, profile),)
    context = ChargingContext(hardware_max_a=32.0)
    until = next_change(installed, 1, at, context)
    assert until is None or until > at
    composite_schedule(installed, 1, at, asked_s, ChargingRateUnit.W, context, max_periods=20)
