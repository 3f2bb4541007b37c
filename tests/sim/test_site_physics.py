"""The true currents of a site: against sums of small steps, phasors by hand, and no matter how often one looks."""

import cmath
import math
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from forecourt.domain.clock import Now
from forecourt.domain.site import Circuit, EvseKey, EvsePoint, GridConnection, Site, Transformer, Winding
from forecourt.hardware.curve import Curve
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.quantities import PHASES, PerPhase, Phase
from forecourt.sim.site_physics import SitePhysics, _Total
from forecourt.station.effects import ClosePowerPath, OpenPowerPath, SetLimit

START = datetime(2024, 1, 1, tzinfo=UTC)
TURNED = (Phase.L2, Phase.L3, Phase.L1)
NOTHING = PerPhase()


def at(elapsed_s: float) -> Now:
    return Now(elapsed_s, elapsed_s, START + timedelta(seconds=elapsed_s))


def charge(evse: SimulatedEvse, limit_a: float, elapsed_s: float = 0.0, **spec: float) -> None:
    """A car draws `limit_a` from now on, at once."""
    facts: dict[str, float] = {"maximum_a": 32.0, "ramp_s": 0.0, "reaction_s": 0.0, "battery_wh": 1e7, "taper_soc": 1.0}
    evse.plug_in(Vehicle(VehicleSpec(**{**facts, **spec}), elapsed_s), at(elapsed_s))  # type: ignore[arg-type]
    evse.carry_out(SetLimit(evse.evse_id, limit_a, 3), at(elapsed_s))
    evse.carry_out(ClosePowerPath(evse.evse_id), at(elapsed_s))


def two_level_site(rating_a: float = 20.0, *, background_a: PerPhase = NOTHING) -> tuple[Site, list[SimulatedEvse]]:
    points = (
        EvsePoint(station_id="A", circuit="c", rotation=PHASES),
        EvsePoint(station_id="B", circuit="c", rotation=TURNED),
        EvsePoint(station_id="C", phases=1, rotation=(Phase.L3,)),
    )
    site = Site(
        grid=GridConnection(name="grid", rating_a=PerPhase.of(rating_a), background_a=background_a),
        circuits=(Circuit(name="c", rating_a=PerPhase.of(rating_a * 0.75)),),
        evses=points,
    )
    return site, [SimulatedEvse(number_phases=point.phases) for point in points]


def physics_of(site: Site, evses: list[SimulatedEvse]) -> SitePhysics:
    return SitePhysics(site, {point.key: evse for point, evse in zip(site.evses, evses, strict=True)})


def test_currents_add_up_by_line_with_the_rotation_of_each_evse() -> None:
    site, evses = two_level_site(background_a=PerPhase(1.0, 2.0, 3.0))
    physics = physics_of(site, evses)
    charge(evses[0], 10.0, number_phases=2)
    charge(evses[1], 8.0, number_phases=1)
    charge(evses[2], 6.0)
    physics.advance(100.0)
    assert physics.load_a == {"grid": PerPhase(11.0, 20.0, 9.0), "c": PerPhase(10.0, 18.0, 0.0)}
    assert physics.max_load_ratio["grid"] == PerPhase(0.55, 1.0, 0.45)
    assert physics.overload_ampere_seconds == {
        "grid": PerPhase(),
        "c": PerPhase(0.0, pytest.approx(300.0, rel=1e-6), 0.0),  # type: ignore[arg-type]
    }


def test_a_peak_between_two_looks_is_seen() -> None:
    site, evses = two_level_site()
    physics = physics_of(site, evses)
    charge(evses[2], 30.0, 10.0)
    evses[2].carry_out(OpenPowerPath(1), at(12.0))
    physics.advance(1000.0)
    assert physics.load_a["grid"] == PerPhase()
    assert physics.peak_a["grid"] == PerPhase(0.0, 0.0, 30.0)
    assert physics.max_load_ratio["grid"].l3 == 1.5
    assert physics.total_overload_ampere_seconds == pytest.approx(20.0, rel=1e-6)


def test_a_load_of_exactly_the_rating_is_no_overload() -> None:
    site, evses = two_level_site(20.0, background_a=PerPhase.of(20.0 - 0.1 * 3))
    physics = physics_of(site, evses)
    physics.set_background("grid", PerPhase.of(20.0 + 1e-9), 50.0)
    physics.advance(1e5)
    assert physics.total_overload_ampere_seconds == 0.0


def test_a_background_alone_can_overload() -> None:
    site, evses = two_level_site()
    physics = physics_of(site, evses)
    physics.set_background("c", PerPhase(0.0, 25.0, 0.0), 100.0)
    physics.set_background("c", PerPhase(), 110.0)
    physics.advance(200.0)
    assert physics.overload_ampere_seconds["grid"].l2 == pytest.approx(50.0, rel=1e-6)
    assert physics.overload_ampere_seconds["c"].l2 == pytest.approx(100.0, rel=1e-6)
    assert physics.load_a["grid"] == PerPhase()
    assert physics.peak_a["grid"] == PerPhase(0.0, 25.0, 0.0)
    with pytest.raises(KeyError):
        physics.set_background("nowhere", PerPhase(), 200.0)


def test_the_truth_about_backgrounds_and_rotations_may_differ_from_the_site() -> None:
    site = Site(
        grid=GridConnection(name="grid", rating_a=PerPhase.of(20.0), background_a=PerPhase.of(9.0)),
        evses=(EvsePoint(station_id="A", phases=1),),
    )
    evse = SimulatedEvse(number_phases=1)
    key = EvseKey("A", 1)
    physics = SitePhysics(site, {key: evse}, background_a={"grid": PerPhase()}, rotations={key: (Phase.L2,)})
    charge(evse, 10.0)
    physics.advance(1.0)
    assert physics.load_a["grid"] == PerPhase(0.0, 10.0, 0.0)


def test_line_to_line_currents_add_as_phasors() -> None:
    """Two equal loads L1-L2 and L2-L3: L2 carries their difference, which is √3 times one of them."""
    points = tuple(
        EvsePoint(station_id=name, phases=1, between=lines)
        for name, lines in (("A", (Phase.L1, Phase.L2)), ("B", (Phase.L2, Phase.L3)))
    )
    site = Site(grid=GridConnection(name="grid", rating_a=PerPhase.of(40.0)), evses=points, voltage_v=120.0)
    evses = [SimulatedEvse(number_phases=1, voltage_v=208.0) for _ in points]
    physics = physics_of(site, evses)
    for evse in evses:
        charge(evse, 30.0)
    physics.advance(100.0)
    assert list(physics.load_a["grid"]) == pytest.approx([30.0, 30.0 * math.sqrt(3.0), 30.0])
    overload_as = (30.0 * math.sqrt(3.0) - 40.0) * 100.0
    assert list(physics.overload_ampere_seconds["grid"]) == pytest.approx([0.0, overload_as, 0.0], rel=1e-5)


def test_an_overload_of_phasors_on_a_ramp_is_integrated() -> None:
    """One load stands, another climbs along a line: the length of their sum crosses the rating on the way."""
    points = tuple(
        EvsePoint(station_id=name, phases=1, between=lines)
        for name, lines in (("A", (Phase.L1, Phase.L2)), ("B", (Phase.L3, Phase.L1)))
    )
    site = Site(grid=GridConnection(name="grid", rating_a=PerPhase.of(30.0)), evses=points)
    evses = [SimulatedEvse(number_phases=1) for _ in points]
    physics = physics_of(site, evses)
    charge(evses[0], 20.0)
    charge(evses[1], 32.0, ramp_s=4.0)
    physics.advance(4.0)
    steps = 40_000
    by_hand = 0.0
    for k in range(steps):
        second_a = 8.0 * (k + 0.5) * 4.0 / steps
        sum_a = abs(20.0 * cmath.rect(1.0, math.pi / 6) + second_a * cmath.rect(1.0, -math.pi / 6))
        by_hand += max(0.0, sum_a - 30.0) * 4.0 / steps
    assert physics.overload_ampere_seconds["grid"].l1 == pytest.approx(by_hand, rel=1e-4)


def test_a_delta_wye_transformer_spreads_a_load_over_two_lines() -> None:
    site = Site(
        grid=GridConnection(name="grid", rating_a=PerPhase.of(100.0)),
        circuits=(Circuit(name="c", rating_a=PerPhase.of(100.0), transformer=Transformer(Winding.DELTA_WYE, 208.0)),),
        evses=(EvsePoint(station_id="A", circuit="c", phases=1, rotation=(Phase.L1,)),),
        voltage_v=480.0 / math.sqrt(3.0),
    )
    evse = SimulatedEvse(number_phases=1, voltage_v=120.0)
    physics = physics_of(site, [evse])
    charge(evse, 30.0)
    physics.advance(1.0)
    primary_a = 30.0 * 208.0 / 480.0 / math.sqrt(3.0)
    assert sorted(physics.load_a["grid"]) == pytest.approx([0.0, primary_a, primary_a])
    assert physics.load_a["c"] == PerPhase(30.0, 0.0, 0.0)


def test_what_does_not_fit_the_site_is_refused() -> None:
    site, evses = two_level_site()
    with pytest.raises(KeyError):
        SitePhysics(site, {EvseKey("Z", 1): evses[0]})
    with pytest.raises(ValueError, match="C/1: has 3 phases, the site says 1"):
        SitePhysics(site, {EvseKey("C", 1): SimulatedEvse(number_phases=3)})


FALLS = st.builds(Curve, st.just(0.0), st.floats(0, 40), decay_per_s=st.floats(1e-4, 0.1))
LINES = st.builds(
    lambda begin_a, end_a: Curve(0.0, begin_a, slope_a_per_s=(end_a - begin_a) / 60.0),
    st.floats(0, 40),
    st.floats(0, 40),
)


@given(st.lists(st.one_of(FALLS, LINES), min_size=1, max_size=5), st.floats(0, 10), st.floats(0, 120))
def test_what_is_above_a_level_is_integrated_exactly(curves: list[Curve], constant_a: float, level_a: float) -> None:
    total = _Total([(1.0, curve) for curve in curves], constant_a)
    steps = 6_000
    step_s = 60.0 / steps
    summed = sum(max(0.0, total.at((k + 0.5) * step_s) - level_a) for k in range(steps)) * step_s
    assert total.charge_above(level_a, 0.0, 60.0) == pytest.approx(summed, rel=1e-5, abs=1e-3)


def test_a_sum_that_dips_below_the_level_counts_on_both_sides() -> None:
    falling, climbing = Curve(0.0, 30.0, slope_a_per_s=-3.0), Curve(0.0, 0.0, slope_a_per_s=1.0)
    total = _Total([(1.0, Curve(0.0, 40.0, decay_per_s=0.5)), (1.0, climbing)], 0.0)
    assert total.at(0.0) > 20.0 < total.at(30.0)
    assert total.at(10.0) < 20.0
    steps = 200_000
    by_hand = sum(max(0.0, total.at((k + 0.5) * 30.0 / steps) - 20.0) for k in range(steps)) * 30.0 / steps
    assert total.charge_above(20.0, 0.0, 30.0) == pytest.approx(by_hand, rel=1e-8)
    assert _Total([(1.0, falling)], 0.0).charge_above(0.0, 0.0, 10.0) == pytest.approx(150.0)


ACTS = st.lists(
    st.tuples(
        st.floats(0.0, 400.0),
        st.integers(0, 2),
        st.sampled_from(["plug", "unplug", "limit", "limit", "open", "background"]),
        st.floats(0.0, 32.0),
    ),
    min_size=1,
    max_size=12,
)


def live(
    acts: list[tuple[float, int, str, float]], until_s: float, looks_s: list[float]
) -> tuple[SitePhysics, list[float]]:
    """A site's history, looked at every now and then; what it comes to, and the loads of the lines when looked at."""
    site, evses = two_level_site(14.0)
    physics = physics_of(site, evses)
    looks = sorted(looks_s)
    seen: list[float] = []
    now_s = 0.0

    def look_until(to_s: float) -> None:
        while looks and looks[0] <= to_s:
            physics.advance(looks.pop(0))
            seen.extend(load for node in physics.load_a.values() for load in node)

    for wait_s, which, act, number in acts:
        now_s += wait_s
        look_until(now_s)
        evse, now = evses[which], at(now_s)
        if act == "plug" and evse.vehicle is None:
            evse.plug_in(Vehicle(VehicleSpec(battery_wh=1_500.0, initial_wh=900.0, number_phases=2), now_s), now)
            evse.carry_out(ClosePowerPath(1), now)
        elif act == "unplug" and evse.vehicle is not None:
            evse.unplug(now)
        elif act == "limit":
            evse.carry_out(SetLimit(1, number, 3), now)
        elif act == "open":
            evse.carry_out(OpenPowerPath(1), now)
        elif act == "background":
            physics.set_background("c", PerPhase(number / 4.0, 0.0, number / 8.0), now_s)
    look_until(until_s)
    physics.advance(until_s)
    return physics, seen


@settings(max_examples=60)
@given(ACTS, st.lists(st.floats(0.0, 1.0), max_size=30))
def test_it_does_not_matter_how_often_one_looks(acts: list[tuple[float, int, str, float]], looks: list[float]) -> None:
    until_s = sum(act[0] for act in acts) + 500.0
    seen, _ = live(acts, until_s, [look * until_s for look in looks])
    unseen, _ = live(acts, until_s, [])
    for node in ("grid", "c"):
        for phase in PHASES:
            assert seen.peak_a[node][phase] == pytest.approx(unseen.peak_a[node][phase], abs=1e-9)
            assert seen.overload_ampere_seconds[node][phase] == pytest.approx(
                unseen.overload_ampere_seconds[node][phase], rel=1e-6, abs=1e-5
            )


@settings(max_examples=20)
@given(ACTS)
def test_overload_against_small_steps(acts: list[tuple[float, int, str, float]]) -> None:
    until_s = sum(act[0] for act in acts) + 100.0
    physics, _ = live(acts, until_s, [])
    steps = 3_000
    step_s = until_s / steps
    _, seen = live(acts, until_s, [(k + 0.5) * step_s for k in range(steps)])
    slots = [(node, phase) for node in ("grid", "c") for phase in PHASES]
    for number, (node, phase) in enumerate(slots):
        rating_a = {"grid": 14.0, "c": 10.5}[node]
        loads = seen[number :: len(slots)]
        summed = sum(max(0.0, load_a - rating_a) for load_a in loads) * step_s
        # Each event may put a step on the wrong side, by the whole current.
        slack = step_s * 50.0 * (len(acts) + 2)
        assert physics.overload_ampere_seconds[node][phase] == pytest.approx(summed, abs=slack, rel=0.02)
        assert physics.peak_a[node][phase] >= max(loads) - 1e-9
