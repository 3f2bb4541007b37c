"""A car's physics: exact, conserving, and the same however often somebody looks."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from forecourt.hardware.vehicle import Disobedience, Vehicle, VehicleSpec


@dataclass(frozen=True)
class Offered:
    """At `at_s` the pilot says `limit_a`; None: the power path opens."""

    at_s: float
    limit_a: float | None
    phases: int = 3


@st.composite
def specs(draw: st.DrawFn) -> VehicleSpec:
    battery_wh = draw(st.floats(500.0, 90_000.0))
    maximum_a = draw(st.sampled_from([8.0, 16.0, 32.0]))
    ramp_s = draw(st.floats(0.0, 4.0))
    return VehicleSpec(
        number_phases=draw(st.integers(1, 3)),
        maximum_a=maximum_a,
        battery_wh=battery_wh,
        initial_wh=battery_wh * draw(st.floats(0.0, 1.0)),
        requested_wh=draw(st.one_of(st.just(math.inf), st.floats(0.0, 5_000.0))),
        taper_soc=draw(st.sampled_from([0.0, 0.5, 0.8, 0.99, 1.0])),
        tail_a=draw(st.sampled_from([0.1, 1.0, 6.0])),
        ramp_s=ramp_s,
        reaction_s=draw(st.floats(0.0, 5.0 - ramp_s)),
        disobedience=draw(
            st.sampled_from([None, None, Disobedience(excess_a=3.0), Disobedience(at_least_a=7.0, late_s=20.0)])
        ),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Offered]:
    limits = st.one_of(st.none(), st.floats(0.0, 40.0), st.sampled_from([0.0, 6.0, 16.0]))
    gaps = st.one_of(st.floats(0.0, 6.0), st.floats(0.0, 2_000.0))
    at_s, history = 0.0, []
    for _ in range(draw(st.integers(1, 8))):
        at_s += draw(gaps)
        history.append(Offered(at_s, draw(limits), draw(st.integers(1, 3))))
    return history


def follow(vehicle: Vehicle, history: list[Offered], looks_s: list[float], until_s: float) -> None:
    """Live through a history, looking every now and then."""
    looks = sorted(looks_s)
    for offered in history:
        while looks and looks[0] <= offered.at_s:
            vehicle.advance(looks.pop(0))
        if offered.limit_a is None:
            vehicle.cut(offered.at_s)
        else:
            vehicle.offer(offered.limit_a, offered.phases, 230.0, offered.at_s)
    for look_s in looks:
        vehicle.advance(look_s)
    vehicle.advance(until_s)


@given(specs(), histories(), st.lists(st.floats(0.0, 1.0), max_size=40))
def test_looking_changes_nothing(spec: VehicleSpec, history: list[Offered], looks: list[float]) -> None:
    until_s = history[-1].at_s + 5_000.0
    seen, unseen = Vehicle(spec), Vehicle(spec)
    follow(seen, history, [look * until_s for look in looks], until_s)
    follow(unseen, history, [], until_s)
    assert seen.stored_wh == unseen.stored_wh
    assert seen.current_a == unseen.current_a
    assert seen.ready == unseen.ready
    assert seen.next_event_s == unseen.next_event_s


@given(specs(), histories())
def test_what_flowed_is_what_the_battery_holds_more(spec: VehicleSpec, history: list[Offered]) -> None:
    until_s = history[-1].at_s + 3_000.0
    vehicle = Vehicle(spec, trace=True)
    follow(vehicle, history, [], until_s)
    assert vehicle.flows is not None
    flows = [*vehicle.flows]
    if (running := vehicle.flow_now(0.0)) is not None:
        flows.append(running)
    through_wh = sum(
        flow.curve.charge_as(flow.from_s, flow.to_s) * flow.number_phases * 230.0 / 3600.0 for flow in flows
    )
    assert vehicle.delivered_wh == pytest.approx(through_wh, rel=1e-9, abs=1e-6)
    assert all(one.to_s <= other.from_s for one, other in pairwise(flows))


@given(specs(), histories(), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_it_never_draws_more_than_it_may(spec: VehicleSpec, history: list[Offered], looks: list[float]) -> None:
    until_s = history[-1].at_s + 2_000.0
    vehicle = Vehicle(spec)
    offers = list(history)
    stored_wh = spec.initial_wh
    for look_s in sorted(look * until_s for look in looks):
        while offers and offers[0].at_s <= look_s:
            follow(vehicle, [offers[0]], [], offers.pop(0).at_s)
        vehicle.advance(look_s)
        assert 0.0 <= vehicle.current_a <= spec.maximum_a + 1e-9
        taken_a = (spec.battery_wh - vehicle.stored_wh) * spec.taper_a_per_wh if vehicle.soc < 1.0 else 0.0
        assert vehicle.current_a <= taken_a + 1e-6
        assert stored_wh <= vehicle.stored_wh <= spec.battery_wh
        assert vehicle.delivered_wh <= spec.requested_wh + 1e-6
        stored_wh = vehicle.stored_wh


@given(specs(), st.lists(st.floats(0.0, 40.0), min_size=1, max_size=12), st.floats(0.3, 4.0))
def test_a_reduction_is_obeyed_within_five_seconds_however_fast_offers_come(
    spec: VehicleSpec, limits_a: list[float], every_s: float
) -> None:
    if spec.disobedience is not None:
        spec = VehicleSpec(number_phases=spec.number_phases, maximum_a=spec.maximum_a)
    vehicle = Vehicle(spec)
    vehicle.offer(40.0, 3, 230.0, 0.0)
    limits_a = sorted(limits_a, reverse=True)
    told = [(10.0 + k * every_s, limit_a) for k, limit_a in enumerate(limits_a)]
    for at_s, limit_a in told:
        vehicle.offer(limit_a, 3, 230.0, at_s)
        for earlier_s, earlier_a in told:
            if earlier_s + 5.0 <= at_s:
                assert vehicle.current_a <= earlier_a + 1e-9
    vehicle.advance(told[-1][0] + 5.0)
    assert vehicle.current_a <= limits_a[-1] + 1e-9
    assert limits_a[-1] >= 6.0 - 1e-6 or vehicle.current_a == 0.0


@settings(max_examples=25)
@given(specs(), histories())
def test_against_small_steps(spec: VehicleSpec, history: list[Offered]) -> None:
    """A second opinion: the same rules, taken in steps of 20 ms."""
    history = [offered for offered in history if offered.at_s < 400.0]
    until_s = 500.0
    vehicle = Vehicle(spec)
    follow(vehicle, history, [], until_s)
    assert vehicle.delivered_wh == pytest.approx(in_small_steps(spec, history, until_s), rel=0.01, abs=2.0)


def in_small_steps(spec: VehicleSpec, history: list[Offered], until_s: float) -> float:
    step_s = 0.02
    late_s = spec.disobedience.late_s if spec.disobedience else 0.0
    stored_wh, flowing_a, charger_a, heading_a = spec.initial_wh, 0.0, 0.0, 0.0
    target_a, reacts_s, powered, phases = 0.0, -1.0, False, spec.number_phases
    tapering_wh = spec.battery_wh * (1.0 - spec.taper_soc)
    full_wh = spec.battery_wh - tapering_wh * spec.tail_a / spec.maximum_a
    goal_wh = min(full_wh, spec.initial_wh + spec.requested_wh)
    offers = list(history)
    for k in range(round(until_s / step_s)):
        at_s = k * step_s
        while offers and offers[0].at_s <= at_s:
            offer = offers.pop(0)
            if offer.limit_a is None:
                powered, flowing_a, charger_a, heading_a, target_a, reacts_s = False, 0.0, 0.0, 0.0, 0.0, -1.0
                continue
            wanted_a = offer.limit_a if offer.limit_a >= spec.minimum_a else 0.0
            if spec.disobedience:
                wanted_a += spec.disobedience.excess_a if wanted_a else 0.0
                wanted_a = max(wanted_a, spec.disobedience.at_least_a)
            wanted_a = min(wanted_a, spec.maximum_a)
            used = min(offer.phases, spec.number_phases)
            if powered and (wanted_a, used) == (target_a, phases):
                continue
            if not (powered and reacts_s > at_s):
                reacts_s = at_s + spec.reaction_s + late_s
            charger_a = 0.0 if used != phases else flowing_a
            powered, target_a, phases = True, wanted_a, used
        if not powered or stored_wh >= goal_wh:
            flowing_a = 0.0
            continue
        ceiling_a = spec.maximum_a if not tapering_wh else spec.maximum_a * (spec.battery_wh - stored_wh) / tapering_wh
        if at_s >= reacts_s:
            heading_a = target_a
        if charger_a > heading_a:
            charger_a = min(charger_a, ceiling_a)
        stride_a = spec.maximum_a if spec.ramp_s == 0.0 else spec.maximum_a / spec.ramp_s * step_s
        charger_a += max(-stride_a, min(stride_a, heading_a - charger_a))
        flowing_a = min(charger_a, ceiling_a)
        stored_wh += flowing_a * phases * 230.0 * step_s / 3600.0
    return min(stored_wh, max(goal_wh, spec.initial_wh)) - spec.initial_wh


def test_constant_power_is_energy_over_time() -> None:
    vehicle = Vehicle(VehicleSpec(number_phases=1, maximum_a=16.0, ramp_s=0.0, reaction_s=0.0, taper_soc=1.0))
    vehicle.offer(10.0, 1, 230.0, 0.0)
    vehicle.advance(3600.0)
    assert vehicle.delivered_wh == pytest.approx(2300.0)
    assert vehicle.power_w == 2300.0


def test_the_current_climbs_along_a_line_after_the_reaction() -> None:
    vehicle = Vehicle(VehicleSpec(maximum_a=16.0, ramp_s=4.0, reaction_s=1.0))
    vehicle.offer(16.0, 3, 230.0, 100.0)
    currents = []
    for at_s in (100.5, 101.0, 102.0, 104.0, 105.0, 200.0):
        vehicle.advance(at_s)
        currents.append(vehicle.current_a)
    assert currents == pytest.approx([0.0, 0.0, 4.0, 12.0, 16.0, 16.0])


def test_above_the_taper_the_current_falls_with_what_is_missing() -> None:
    spec = VehicleSpec(
        number_phases=1,
        maximum_a=16.0,
        battery_wh=10_000.0,
        initial_wh=8_000.0,
        taper_soc=0.8,
        ramp_s=0.0,
        reaction_s=0.0,
    )
    vehicle = Vehicle(spec)
    vehicle.offer(16.0, 1, 230.0, 0.0)
    rate_per_s = 16.0 / 2_000.0 * 230.0 / 3600.0
    vehicle.advance(1_000.0)
    assert vehicle.current_a == pytest.approx(16.0 * math.exp(-rate_per_s * 1_000.0), rel=1e-12)
    assert vehicle.stored_wh == pytest.approx(10_000.0 - 2_000.0 * math.exp(-rate_per_s * 1_000.0), rel=1e-12)
    vehicle.advance(1e6)
    assert vehicle.satisfied
    assert not vehicle.ready
    assert vehicle.soc == pytest.approx(1.0 - 0.2 / 16.0)


def test_below_its_minimum_it_pauses_and_comes_back() -> None:
    vehicle = Vehicle(VehicleSpec(maximum_a=16.0, ramp_s=2.0, reaction_s=1.0))
    vehicle.offer(16.0, 3, 230.0, 0.0)
    assert vehicle.ready
    vehicle.offer(5.9, 3, 230.0, 100.0)
    assert vehicle.ready, "it still draws"
    assert vehicle.next_event_s == 101.0
    vehicle.advance(103.0)
    assert (vehicle.current_a, vehicle.ready) == (0.0, False)
    vehicle.offer(6.0, 3, 230.0, 200.0)
    assert vehicle.ready
    vehicle.advance(210.0)
    assert vehicle.current_a == 6.0


def test_nothing_flows_once_the_path_is_open() -> None:
    vehicle = Vehicle(VehicleSpec())
    vehicle.offer(16.0, 3, 230.0, 0.0)
    vehicle.advance(60.0)
    vehicle.cut(60.0)
    held_wh = vehicle.stored_wh
    vehicle.advance(1e5)
    assert (vehicle.current_a, vehicle.ready, vehicle.stored_wh) == (0.0, False, held_wh)


def test_it_draws_from_as_many_phases_as_both_have() -> None:
    vehicle = Vehicle(VehicleSpec(number_phases=3, maximum_a=16.0, ramp_s=0.0, reaction_s=0.0))
    vehicle.offer(10.0, 1, 230.0, 0.0)
    assert vehicle.power_w == 2300.0
    vehicle.offer(10.0, 3, 230.0, 10.0)
    assert vehicle.power_w == 6900.0


def test_what_the_driver_asked_for_is_enough() -> None:
    vehicle = Vehicle(VehicleSpec(requested_wh=1_000.0))
    vehicle.offer(16.0, 3, 230.0, 0.0)
    vehicle.advance(3600.0)
    assert vehicle.delivered_wh == pytest.approx(1_000.0, abs=1e-9)
    assert vehicle.satisfied


def test_a_car_that_disobeys_draws_whatever_the_pilot_says() -> None:
    vehicle = Vehicle(VehicleSpec(maximum_a=16.0, disobedience=Disobedience(excess_a=2.0, at_least_a=7.0, late_s=60.0)))
    vehicle.offer(10.0, 3, 230.0, 0.0)
    vehicle.advance(50.0)
    assert vehicle.current_a == 0.0
    vehicle.advance(70.0)
    assert vehicle.current_a == 12.0
    vehicle.offer(0.0, 3, 230.0, 70.0)
    vehicle.advance(200.0)
    assert vehicle.current_a == 7.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number_phases", 0),
        ("maximum_a", 0.0),
        ("battery_wh", -1.0),
        ("initial_wh", 70_000.0),
        ("requested_wh", -1.0),
        ("taper_soc", 1.1),
        ("tail_a", 0.0),
        ("ramp_s", 4.9),
        ("reaction_s", math.nan),
    ],
)
def test_an_impossible_car_is_refused_by_the_name_of_the_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        VehicleSpec(**{field: value})


def test_time_does_not_go_back() -> None:
    vehicle = Vehicle(VehicleSpec(), 10.0)
    with pytest.raises(ValueError, match="before"):
        vehicle.advance(9.0)
