"""The controller shares a fuse and never overloads it, whatever stations and links do (`controller.md` §3)."""

import random
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forecourt.allocation.check import prove_fallbacks
from forecourt.controller.ledger import Account
from forecourt.controller.settings import ControllerSettings, LimitKey
from forecourt.domain.clock import Now
from forecourt.domain.events import ConnectorStatusReported, Notice
from forecourt.domain.profile import ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit, RecurrencyKind
from forecourt.domain.requests import CsmsRequest, SetChargingProfile, SetVariables
from forecourt.domain.site import Circuit, EvseKey, EvsePoint, GridConnection, Site
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState
from forecourt.quantities import PHASES, PerPhase
from tests.controller.bench import START, Bench, Car, Faults

ROTATIONS = (PHASES, (PHASES[1], PHASES[2], PHASES[0]), (PHASES[2], PHASES[0], PHASES[1]))


def make_site(count: int, fuse_a: float, *, fallback_a: float = 0.0, circuit_a: float | None = None) -> Site:
    circuits = () if circuit_a is None else (Circuit(name="a", rating_a=PerPhase.of(circuit_a)),)
    return Site(
        grid=GridConnection(name="grid", rating_a=PerPhase.of(fuse_a)),
        circuits=circuits,
        evses=tuple(
            EvsePoint(
                station_id=f"S{number}",
                circuit="a" if circuits and number % 2 else None,
                rotation=ROTATIONS[number % 3],
                fallback_a=fallback_a,
            )
            for number in range(count)
        ),
    ).checked()


def all_connected(site: Site, faults: Faults | None = None, *, seed: int = 0) -> Bench:
    bench = Bench(site, ControllerSettings(), seed=seed, faults=faults)
    for point in site.evses:
        bench.connect(point.station_id, boots=True)
    assert bench.run(120) == []
    return bench


def test_one_car_gets_all_it_can_use() -> None:
    bench = all_connected(make_site(3, 63))
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(60) == []
    assert bench.evse("S0").current_a == 32


def test_cars_share_the_fuse_evenly_and_fill_it() -> None:
    bench = all_connected(make_site(4, 40))
    for number in range(4):
        bench.plug_in(f"S{number}", Car(32, 3))
    assert bench.run(600) == []
    assert [evse.current_a for evse in bench.evses.values()] == [10, 10, 10, 10]


def test_who_leaves_makes_room_for_who_stays() -> None:
    bench = all_connected(make_site(2, 32))
    bench.plug_in("S0", Car(32, 3))
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(300) == []
    bench.unplug("S0")
    assert bench.run(300) == []
    assert bench.evse("S1").current_a == 32


def test_where_not_all_minimums_fit_cars_take_turns() -> None:
    bench = all_connected(make_site(3, 13))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(32, 3))
    charged = dict.fromkeys(bench.evses, 0)
    for _ in range(90):
        assert bench.run(60) == []
        for key, evse in bench.evses.items():
            charged[key] += evse.current_a >= 6
    assert min(charged.values()) > 30


def test_reductions_come_before_raises_and_raises_wait_for_evidence() -> None:
    bench = all_connected(make_site(2, 32), Faults(delay_s=0))
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(120) == []
    before = len(bench.sent)
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(300) == []
    limits = [
        (ask.station_id, ask.request.profile.schedule.periods[0].rate_limit)
        for ask in bench.sent[before:]
        if isinstance(ask.request, SetChargingProfile)
    ]
    assert limits[0] == ("S0", 16.0)
    assert next(limit for limit in limits if limit[0] == "S1") == ("S1", 16.0)


def test_a_modest_car_leaves_the_rest_to_others() -> None:
    bench = all_connected(make_site(2, 32))
    bench.plug_in("S0", Car(8, 3))
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(900) == []
    assert bench.evse("S0").current_a == 8
    assert bench.evse("S1").current_a >= 21


def test_single_phase_cars_on_different_lines_don_t_disturb_each_other() -> None:
    bench = all_connected(make_site(3, 32))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(32, 1))
    assert bench.run(900) == []
    assert [evse.current_a for evse in bench.evses.values()] == [32, 32, 32]


def test_a_silent_station_falls_back_and_its_share_is_kept_until_then() -> None:
    bench = all_connected(make_site(2, 32))
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(60) == []
    bench.disconnect("S0")
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(300) == []
    assert bench.evse("S1").current_a == 0
    lease_s = ControllerSettings().lease_s
    assert bench.run(round(lease_s) + 300) == []
    assert bench.evse("S0").current_a == 0
    assert bench.evse("S1").current_a == 32


def test_leases_are_renewed_while_the_link_is_there() -> None:
    bench = all_connected(make_site(1, 32))
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(60) == []
    for _ in range(10):
        assert bench.run(600) == []
        assert bench.evse("S0").current_a == 32


def test_a_station_that_refuses_every_form_keeps_its_maximum_reserved_and_raises_an_alarm() -> None:
    bench = Bench(make_site(2, 32), ControllerSettings(), faults=Faults(refuse=1.0, delay_s=0))
    for station in ("S0", "S1"):
        bench.connect(station, boots=True)
    bench.run(60)
    profiles = [ask.request.profile for ask in bench.sent if isinstance(ask.request, SetChargingProfile)]
    tried = {(one.purpose, one.schedule.rate_unit, one.stack_level, one.kind) for one in profiles}
    purposes = (ChargingProfilePurpose.TX_DEFAULT, ChargingProfilePurpose.STATION_MAX)
    ways = ((0, ChargingProfileKind.ABSOLUTE), (1, ChargingProfileKind.ABSOLUTE), (0, ChargingProfileKind.RECURRING))
    assert tried == {(purpose, unit, *way) for purpose in purposes for unit in ChargingRateUnit for way in ways}
    assert {alarm.kind for alarm in bench.alarms} == {"limit-refused"}
    assert [load.current_a for load in bench.controller.exposures(bench.now)] == [32, 32]


def both_charge(bench: Bench) -> None:
    """Two stations get their first limits, then their cars."""
    for station in ("S0", "S1"):
        bench.connect(station, boots=True)
    assert bench.run(60) == []
    for station in ("S0", "S1"):
        bench.plug_in(station, Car(32, 3))
    assert bench.run(300) == []


def test_a_station_that_takes_only_another_stack_level_is_limited_there() -> None:
    def takes(request: CsmsRequest) -> bool:
        return not isinstance(request, SetChargingProfile) or request.profile.stack_level >= 1

    settings = ControllerSettings(transaction_profiles=False)
    bench = Bench(make_site(2, 32), settings, faults=Faults(delay_s=0, takes=takes))
    both_charge(bench)
    assert bench.alarms == []
    assert [bench.evse(station).current_a for station in ("S0", "S1")] == [16, 16]


def test_a_recurring_limit_has_no_end_and_is_counted_so() -> None:
    def takes(request: CsmsRequest) -> bool:
        return not isinstance(request, SetChargingProfile) or request.profile.kind is ChargingProfileKind.RECURRING

    settings = ControllerSettings(transaction_profiles=False)
    bench = Bench(make_site(2, 32), settings, faults=Faults(delay_s=0, takes=takes))
    both_charge(bench)
    profile = bench.evse("S0").profile
    assert profile is not None
    assert profile.profile.recurrency_kind is RecurrencyKind.DAILY
    assert len(profile.profile.schedule.periods) == 1, "a second one would come round with the first"
    bench.disconnect("S0")
    assert bench.run(5_000) == []
    exposure = {str(load.evse): load.current_a for load in bench.controller.exposures(bench.now)}
    assert exposure["S0/1"] == 16, "long after a lease would have ended"
    assert bench.evse("S1").current_a == 16


def test_a_station_without_smart_charging_is_limited_by_its_vendors_key() -> None:
    def takes(request: CsmsRequest) -> bool:
        return not isinstance(request, SetChargingProfile)

    keys = {"S*": LimitKey(key="MaxCurrent")}
    bench = Bench(make_site(2, 32), ControllerSettings(limit_keys=keys), faults=Faults(delay_s=0, takes=takes))
    both_charge(bench)
    assert bench.alarms == []
    assert [bench.evse(station).current_a for station in ("S0", "S1")] == [16, 16]
    asked = [ask.request for ask in bench.sent if isinstance(ask.request, SetVariables)]
    (setting,) = asked[-1].settings
    assert (setting.ref.component, setting.ref.variable, setting.value) == ("ConfigurationKey", "MaxCurrent", "16")
    bench.disconnect("S0")
    assert bench.run(5_000) == []
    exposure = {str(load.evse): load.current_a for load in bench.controller.exposures(bench.now)}
    assert exposure["S0/1"] == 16, "a key has no end"


def test_a_rebooted_station_counts_with_its_maximum_until_it_has_confirmed() -> None:
    bench = all_connected(make_site(2, 32))
    bench.disconnect("S0")
    bench.connect("S0", boots=True)
    exposure = {str(load.evse): load.current_a for load in bench.controller.exposures(bench.now)}
    assert exposure["S0/1"] == 32
    assert bench.run(30) == []
    exposure = {str(load.evse): load.current_a for load in bench.controller.exposures(bench.now)}
    assert exposure["S0/1"] == 0


def play(bench: Bench, story: random.Random, minutes: int) -> None:
    """Cars come and go, stations drop off and come back; after each minute nothing may have been overloaded."""
    for _ in range(minutes):
        station_id = story.choice([point.station_id for point in bench.site.evses])
        evse = bench.evse(station_id)
        what = story.random()
        if what < 0.35 and evse.car is None:
            bench.plug_in(station_id, Car(story.choice([10, 16, 20, 32]), story.choice([1, 3])))
        elif what < 0.55 and evse.car is not None:
            bench.unplug(station_id)
        elif what < 0.7 and evse.connected:
            bench.disconnect(station_id)
        elif what < 0.9 and not evse.connected:
            bench.connect(station_id, boots=story.random() < 0.5)
        found = bench.run(60)
        assert found == [], [violation.text() for violation in found[:3]]


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(2, 6),
    fuse_a=st.sampled_from([16, 25, 40, 63]),
    fallback_a=st.sampled_from([0.0, 6.0]),
    circuit_a=st.sampled_from([None, 16.0, 32.0]),
    faults=st.builds(
        Faults,
        refuse=st.sampled_from([0.0, 0.1, 0.5]),
        lose_request=st.sampled_from([0.0, 0.1, 0.4]),
        lose_answer=st.sampled_from([0.0, 0.1, 0.4]),
        delay_s=st.integers(0, 8),
    ),
)
@settings(max_examples=12, deadline=None)
def test_no_fault_of_the_protocol_overloads_a_node(
    seed: int, count: int, fuse_a: float, fallback_a: float, circuit_a: float | None, faults: Faults
) -> None:
    site = make_site(count, fuse_a, fallback_a=fallback_a, circuit_a=circuit_a)
    assume(prove_fallbacks(site).holds)
    bench = Bench(site, ControllerSettings(), seed=seed, faults=faults)
    for point in site.evses:
        bench.connect(point.station_id, boots=True)
    # Commissioning: no car before the stations hold their first limits.
    for _ in range(40):
        bench.run(30)
        if all(evse.profile is not None for evse in bench.evses.values()):
            break
    else:
        return
    play(bench, random.Random(seed), 60)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(20))
def test_long_days_with_every_fault(seed: int) -> None:
    story = random.Random(seed)
    faults = Faults(refuse=0.1, lose_request=0.1, lose_answer=0.2, delay_s=6)
    site = make_site(story.randint(3, 10), story.choice([25, 40, 63]), circuit_a=story.choice([None, 20]))
    bench = Bench(site, ControllerSettings(), seed=seed, faults=faults)
    for point in site.evses:
        bench.connect(point.station_id, boots=True)
    bench.run(1200)
    play(bench, story, 600)


def test_a_car_that_is_full_takes_no_turns_from_the_hungry() -> None:
    bench = all_connected(make_site(3, 13))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(0 if number == 0 else 32, 3))
    full = bench.evse("S0")
    charged = {"S1": 0, "S2": 0}
    for minute in range(100):
        state = ChargingState.SUSPENDED_EV if full.limit_a(bench.now.at) >= 6 else ChargingState.SUSPENDED_EVSE
        bench.say_state("S0", state)
        assert bench.run(60) == []
        for name in charged:
            charged[name] += minute >= 40 and bench.evse(name).current_a >= 6
    assert min(charged.values()) >= 57, "of sixty minutes, whatever the full car was offered before"


def test_a_full_car_that_draws_again_is_hungry_again() -> None:
    account = Account(EvsePoint(station_id="S0"), settle_s=10, grace_s=60)
    states = [
        (0, ChargingState.SUSPENDED_EV, False),
        (400, ChargingState.SUSPENDED_EVSE, True),
        (800, ChargingState.SUSPENDED_EV, True),
        (900, ChargingState.CHARGING, False),
        (1000, ChargingState.SUSPENDED_EVSE, False),
        (2000, ChargingState.SUSPENDED_EV, False),
    ]
    for second, state, pauses in states:
        now = Now(second, second, START + timedelta(seconds=second))
        account.state_reported(state, now)
        assert account.pauses(now, pause_s=300) is pauses


def test_what_was_read_of_a_transaction_that_is_over_is_no_disobedience() -> None:
    bench = all_connected(make_site(1, 32))
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(120) == []
    evse = bench.evse("S0")
    bench.end_transaction("S0")
    assert bench.run(5) == []
    assert bench.alarms == []
    assert bench.controller.account(evse.point.key).exposure_a(bench.now) == 0.0


def test_a_state_from_before_the_transaction_ends_nothing() -> None:
    bench = all_connected(make_site(1, 40))
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(60) == []
    account = bench.controller.lines[EvseKey("S0", 1)].account
    held_a = account.exposure_a(bench.now)
    assert held_a > 0.0

    def say_free(at: datetime) -> None:
        free = ConnectorStatusReported(evse_id=1, connector_id=1, at=at, connector_status=ConnectorStatus.AVAILABLE)
        bench.controller.station_said("S0", Notice((free,)), bench.now)

    say_free(bench.now.at - timedelta(seconds=61))
    assert account.in_transaction
    assert account.exposure_a(bench.now) == held_a
    say_free(bench.now.at)
    assert not account.in_transaction, "and one from after its start does"
