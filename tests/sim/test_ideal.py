"""Sessions through ideal EVSEs: who stands where, what flows, and what it was worth."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from forecourt.allocation.compiled import CompiledSite
from forecourt.domain.site import Circuit, EvseKey, EvsePoint, GridConnection, Site, Transformer, Winding
from forecourt.quantities import PerPhase, Phase
from forecourt.sim.algorithms import ORDERS, Planned, Rule, Unmanaged
from forecourt.sim.ideal import Course, Garage, Visit
from forecourt.sim.judge import Signals, base_w, judge
from forecourt.sim.series import Series
from forecourt.sim.sessions import RecordedSession
from forecourt.sim.simulation import ALGORITHMS, simulate, start_of, with_capacity

START = datetime(2024, 5, 6, 8, tzinfo=UTC)
FREE = Signals(import_price=Series.constant(0.3), export_price=Series.constant(0.1))


def site(rating_a: float = 40.0, count: int = 2, **grid: object) -> Site:
    """EVSEs a, b, ... between L1 and L2, 208 V."""
    evses = tuple(
        EvsePoint(station_id=chr(ord("a") + index), phases=1, between=(Phase.L1, Phase.L2)) for index in range(count)
    )
    connection = GridConnection(name="G", rating_a=PerPhase.of(rating_a), **grid)  # type: ignore[arg-type]
    return Site(grid=connection, evses=evses, voltage_v=208.0 / 3**0.5).checked()


def session(name: str, station_id: str, comes_h: float, stays_h: float, kwh: float, **more: object) -> RecordedSession:
    arrival = START + timedelta(hours=comes_h)
    return RecordedSession(
        session_id=name,
        station_id=station_id,
        arrival=arrival,
        departure=arrival + timedelta(hours=stays_h),
        requested_wh=kwh * 1000.0,
        **more,  # type: ignore[arg-type]
    )


def run(where: Site, sessions: Sequence[RecordedSession], **more: bool) -> Course:
    return Garage(CompiledSite(where), sessions, START).run(Unmanaged(), **more)


class Constant:
    name = "constant"

    def __init__(self, current_a: float) -> None:
        self.current_a = current_a
        self.asked_s: list[tuple[float, float]] = []

    def decide(self, visits: Sequence[Visit], now_s: float, period_s: float) -> Mapping[EvseKey, float]:
        self.asked_s.append((now_s, period_s))
        return {visit.evse: self.current_a for visit in visits}


def test_energy_is_power_times_time_and_ends_when_it_is_enough() -> None:
    algorithm = Constant(10.0)
    course = Garage(CompiledSite(site()), [session("1", "a", 0.0, 2.0, 0.52)], START).run(algorithm)
    assert course.delivered_wh == pytest.approx(520.0)
    assert course.intervals[-1].to_s == pytest.approx(520.0 / 2080.0 * 3600.0)
    assert algorithm.asked_s == [(300.0 * k, 300.0) for k in range(3)]


def test_without_looking_when_done_the_period_goes_on() -> None:
    course = run(site(), [session("1", "a", 0.0, 2.0, 0.52)], when_done=False)
    assert course.delivered_wh == pytest.approx(520.0)
    assert course.intervals[-1].to_s == 300.0
    assert course.intervals[-1].currents_a[EvseKey("a", 1)] == pytest.approx(520.0 / 208.0 * 12.0)
    assert course.intervals[-1].limits_a[EvseKey("a", 1)] == 32.0


def test_what_a_car_took_then_is_what_it_takes_whatever_its_driver_asked_for() -> None:
    modest = session("1", "a", 0.0, 5.0, 30.0, delivered_wh=7000.0)
    course = run(site(), [modest])
    assert (course.requested_wh, course.delivered_wh) == pytest.approx((7000.0, 7000.0))
    shy = session("1", "a", 0.0, 5.0, 3.0, delivered_wh=7000.0)
    compiled = CompiledSite(site())
    assert Garage(compiled, [shy], START).run(Rule(compiled)).delivered_wh == pytest.approx(7000.0)


def test_a_driver_takes_the_recorded_evse_or_the_first_free_or_goes_away() -> None:
    coming = [
        session("1", "b", 0.0, 2.0, 5.0),
        session("2", "elsewhere", 0.1, 2.0, 5.0),
        session("3", "a", 0.2, 2.0, 5.0),
        session("4", "a", 2.15, 2.0, 5.0),
    ]
    course = run(site(), coming)
    assert [(visit.session.session_id, visit.evse.station_id) for visit in course.visits] == [
        ("1", "b"),
        ("2", "a"),
        ("4", "a"),
    ]
    assert [one.session_id for one in course.turned_away] == ["3"]
    assert course.requested_wh == pytest.approx(20000.0)


def test_a_car_draws_what_it_can() -> None:
    course = run(site(), [session("1", "a", 0.0, 1.0, 30.0, maximum_w=2080.0)])
    assert course.delivered_wh == pytest.approx(2080.0)


def test_an_overload_is_seen_whatever_was_believed() -> None:
    two = [session("1", "a", 0.0, 1.0, 30.0), session("2", "b", 0.5, 0.5, 30.0)]
    result = judge("unmanaged", site(40.0), run(site(40.0), two), FREE, START)
    assert result.overload_h == pytest.approx(0.5)
    assert result.highest_load_percent == pytest.approx(160.0)
    assert result.highest_load_at in ("G L1", "G L2")
    assert result.peak_kw == pytest.approx(64 * 0.208)
    assert (result.sessions, result.turned_away, result.met) == (2, 0, 0)


def test_background_and_transformers_are_part_of_the_load() -> None:
    """480 V delta to 208 V wye, four turns to one: 30 A between two lines are 15 A in one primary line."""
    evse = EvsePoint(station_id="a", circuit="panel", phases=1, between=(Phase.L1, Phase.L2), maximum_a=30.0)
    panel = Circuit(name="panel", rating_a=PerPhase.of(99.0), transformer=Transformer(Winding.DELTA_WYE, 208.0))
    grid = GridConnection(name="G", rating_a=PerPhase.of(20.0), background_a=PerPhase(0.0, 4.0, 0.0))
    where = Site(grid=grid, circuits=(panel,), evses=(evse,), voltage_v=208.0 * 4.0 / 3.0).checked()
    result = judge("x", where, run(where, [session("1", "a", 0.0, 1.0, 30.0)]), FREE, START)
    assert result.highest_load_percent == pytest.approx(100.0 * 19.0 / 20.0)
    assert result.overload_h == 0.0
    assert base_w(where) == pytest.approx(4.0 * where.voltage_v)


def test_cost_and_carbon_are_those_of_charging() -> None:
    times = [START, START + timedelta(minutes=30)]
    signals = Signals(
        import_price=Series(times, [0.2, 0.4]),
        export_price=Series.constant(0.1),
        carbon_kg_per_kwh=Series(times, [0.5, 0.1]),
        pv_w=Series(times, [0.0, 3080.0]),
        base_w=1000.0,
    )
    course = Garage(CompiledSite(site()), [session("1", "a", 0.0, 1.0, 9.0)], START).run(Constant(20.0))
    result = judge("x", site(), course, signals, START)
    assert result.delivered_kwh == pytest.approx(4.16)
    assert result.cost == pytest.approx(2.08 * 0.2 + 1.04 * 0.4 + 1.04 * 0.1)
    assert result.carbon_kg == pytest.approx(2.08 * 0.5 + 1.04 * 0.1)
    assert result.peak_kw == pytest.approx(5.16)


def crowd() -> list[RecordedSession]:
    """More than the connection bears, with departures that can be met by whoever looks at them."""
    return [session(str(k), chr(ord("a") + k % 6), 0.25 * k, 1.0 + 1.5 * (k % 3), 3.0 + k % 4) for k in range(12)]


def test_every_algorithm_but_none_keeps_every_limit() -> None:
    where = site(36.0, 6)
    runs = simulate(where, crowd(), list(ALGORITHMS), FREE)
    assert list(runs) == list(ALGORITHMS)
    for name, one in runs.items():
        assert one.result.algorithm == name
        assert (one.result.overload_h > 0.0) is (name == "unmanaged")
        assert one.result.requested_kwh == pytest.approx(sum(each.requested_wh for each in crowd()) / 1000.0)
    best = max(runs[order].result.delivered_kwh for order in (*ORDERS, "even"))
    assert runs["real-time"].result.delivered_kwh >= best - 0.2
    assert runs["planner"].result.delivered_kwh >= best - 0.2
    again = simulate(where, crowd(), ["planner"], FREE)
    assert again["planner"].result.delivered_kwh == pytest.approx(runs["planner"].result.delivered_kwh)


def test_the_controller_itself_does_what_its_rule_would_but_for_what_reducing_first_takes() -> None:
    where = site(36.0, 6)
    runs = simulate(where, crowd(), ["even", "controller"], FREE)
    even, controller = (runs[name].result.delivered_kwh for name in ("even", "controller"))
    assert 0.95 * even <= controller <= even + 0.1
    assert runs["controller"].result.overload_h == 0.0


def test_the_planner_charges_when_it_is_cheap_and_everybody_gets_their_energy() -> None:
    hours = [START + timedelta(hours=k) for k in range(6)]
    cheap_late = Signals(import_price=Series(hours, [0.4, 0.4, 0.4, 0.1, 0.1, 0.4]), export_price=Series.constant(0.0))
    runs = simulate(site(), [session("1", "a", 0.0, 6.0, 10.0)], ["real-time", "planner"], cheap_late)
    assert runs["real-time"].result.cost == pytest.approx(4.0)
    assert runs["planner"].result.cost == pytest.approx(1.0, rel=0.05)
    assert runs["planner"].result.delivered_kwh == pytest.approx(10.0, rel=0.01)


def test_where_there_is_no_plan_in_time_the_rule_decides() -> None:
    from forecourt.allocation.planner import Planner

    compiled = CompiledSite(site(36.0, 6))
    late = Planned(compiled, planner=Planner(compiled, time_limit_s=0.0))
    course = Garage(compiled, crowd(), START).run(late)
    assert late.missed > 0
    assert course.delivered_wh == pytest.approx(Garage(compiled, crowd(), START).run(Rule(compiled)).delivered_wh)


def test_a_capacity_scales_the_grid_connection_and_its_transformers() -> None:
    panel = Circuit(name="panel", rating_a=PerPhase.of(90.0), transformer=Transformer(Winding.DELTA_WYE, 208.0))
    pod = Circuit(name="pod", rating_a=PerPhase.of(50.0), parent="panel")
    grid = GridConnection(name="G", rating_a=PerPhase.of(30.0), power_limit_w=20_000.0)
    scaled = with_capacity(Site(grid=grid, circuits=(panel, pod), voltage_v=100.0), 18_000.0)
    assert [node.rating_a.l1 for node in scaled.nodes] == [60.0, 180.0, 50.0]
    assert scaled.grid.power_limit_w == 40_000.0


def test_time_starts_at_the_full_hour_before_anybody_comes() -> None:
    assert start_of([session("1", "a", 1.7, 1.0, 1.0), session("2", "a", 0.6, 1.0, 1.0)]) == START
