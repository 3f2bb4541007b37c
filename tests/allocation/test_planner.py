"""The horizon planner: what a plan promises, what it costs, and that the rule has the last word."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.worlds import delta_sites, demands_for, loads_of, sites

from forecourt.allocation.check import TOLERANCE, violations
from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Background, Demand, Load
from forecourt.allocation.horizon import Forecast, even_slots, growing_slots
from forecourt.allocation.planner import Plan, Planner
from forecourt.allocation.realtime import allocate
from forecourt.domain.site import EvseKey, EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase, Phase

HOUR_S = 3600.0
A, B = EvseKey("a", 1), EvseKey("b", 1)


def line(rating_a: float = 64.0, *, count: int = 2, minimum_a: float = 0.0) -> CompiledSite:
    """Single-phase EVSEs a, b, ... on L1."""
    evses = tuple(
        EvsePoint(station_id=chr(ord("a") + index), phases=1, rotation=(Phase.L1,), minimum_a=minimum_a)
        for index in range(count)
    )
    return CompiledSite(Site(grid=GridConnection(name="G", rating_a=PerPhase.of(rating_a)), evses=evses).checked())


def demand(key: EvseKey, hours: float, amp_hours: float) -> Demand:
    """Of a car that leaves in so many hours and wants so many ampere-hours at 230 V."""
    return Demand(evse=key, departs_s=hours * HOUR_S, remaining_wh=amp_hours * 230.0)


def planner(site: CompiledSite, **more: float) -> Planner:
    """With slots of an hour."""
    return Planner(site, slot_s=HOUR_S, slots=even_slots, **more)


def made(plan: Plan | None) -> Plan:
    assert plan is not None
    return plan


def test_energy_is_there_by_the_departure_and_early_rather_than_late() -> None:
    plan = made(planner(line()).plan([demand(A, 4.0, 40.0)], 0.0))
    assert plan.currents_a[A] == pytest.approx((32.0, 8.0, 0.0, 0.0))
    share = plan.shares[A]
    assert (share.now_a, share.planned_wh, share.unmet_wh) == pytest.approx((32.0, 9200.0, 0.0), abs=1e-3)
    assert share.text(0.0) == "plan: 32.0 A now, its own maximum; 9.2 kWh until it leaves"


def test_who_leaves_first_is_served_first_where_there_is_not_enough() -> None:
    plan = made(planner(line(20.0)).plan([demand(A, 1.0, 18.0), demand(B, 3.0, 40.0)], 0.0))
    assert plan.currents_a[A] == pytest.approx((18.0, 0.0, 0.0))
    assert plan.currents_a[B] == pytest.approx((2.0, 20.0, 18.0))
    assert plan.shares[B].text(0.0) == "plan: 2.0 A now, grid connection G, phase L1; 9.2 kWh until it leaves"


def test_what_cannot_be_met_is_said() -> None:
    plan = made(planner(line()).plan([demand(A, 1.0, 50.0)], 0.0))
    assert plan.shares[A].unmet_wh == pytest.approx(18.0 * 230.0)
    assert plan.shares[A].text(0.0).endswith("7.4 kWh until it leaves, 4.1 kWh can't be met")


def test_part_of_a_slot_gives_part_of_its_energy() -> None:
    plan = made(planner(line()).plan([demand(A, 1.5, 100.0)], 0.0))
    assert plan.currents_a[A] == pytest.approx((32.0, 16.0))


def test_cheap_hours_are_used_and_nothing_is_drawn_above_the_plan() -> None:
    site = line()
    plan = made(planner(site).plan([demand(A, 4.0, 40.0)], 0.0, forecast=Forecast(import_price=[0.4, 0.3, 0.1, 0.2])))
    assert plan.currents_a[A] == pytest.approx((0.0, 0.0, 32.0, 8.0), abs=1e-6)
    assert plan.shares[A].text(0.0) == "plan: from 120 min on; 9.2 kWh until it leaves"
    advised = plan.advise(demand(A, 4.0, 40.0), 0.0)
    allocation = allocate(site, [advised], 0.0)
    assert allocation.text(A) == "0.0 A: the plan"
    assert allocate(site, [plan.advise(demand(A, 4.0, 40.0), 2.5 * HOUR_S)], 2.5 * HOUR_S).limit_a(A) == 32.0


def test_sunshine_costs_what_it_would_have_earned() -> None:
    surplus_w = [0.0, 20.0 * 230.0, 32.0 * 230.0, 0.0]
    sunny = Forecast(import_price=0.3, export_price=0.08, surplus_w=surplus_w)
    plan = made(planner(line()).plan([demand(A, 4.0, 50.0)], 0.0, forecast=sunny))
    assert plan.currents_a[A] == pytest.approx((0.0, 18.0, 32.0, 0.0), abs=2.1)
    assert plan.currents_a[A][1] + plan.currents_a[A][2] == pytest.approx(50.0)
    assert plan.objective == pytest.approx(50.0 * 0.23 * 0.08, rel=0.01)


def test_carbon_is_worth_what_it_is_worth() -> None:
    dirty_first = Forecast(import_price=0.3, carbon_kg_per_kwh=[0.5, 0.5, 0.1, 0.5], carbon_price=0.1)
    plan = made(planner(line()).plan([demand(A, 4.0, 20.0)], 0.0, forecast=dirty_first))
    assert plan.currents_a[A] == pytest.approx((0.0, 0.0, 20.0, 0.0), abs=1e-6)


def test_a_peak_is_shaved_as_far_as_departures_allow() -> None:
    peaky = Forecast(peak_price=5.0, peak_w=4.0 * 230.0, base_w=[0.0, 4.0 * 230.0, 0.0, 0.0])
    plan = made(planner(line()).plan([demand(A, 4.0, 36.0)], 0.0, forecast=peaky))
    assert plan.currents_a[A] == pytest.approx((10.0, 6.0, 10.0, 10.0), abs=1e-3)


def test_reserved_loads_and_readings_leave_less() -> None:
    site = line(20.0)
    reading = {"G": Background.measured(PerPhase(5.0, 0.0, 0.0))}
    plan = made(planner(site).plan([demand(A, 1.0, 32.0)], 0.0, readings=reading, reserved=[Load(B, 9.0)]))
    assert plan.currents_a[A] == pytest.approx((6.0,))


def test_without_a_solution_in_time_there_is_no_plan_and_the_next_one_is_not_spoilt() -> None:
    site = line(20.0)
    hasty = planner(site, time_limit_s=0.0)
    assert hasty.plan([demand(A, 4.0, 40.0)], 0.0) is None
    patient = planner(site)
    first = made(patient.plan([demand(A, 4.0, 40.0)], 0.0))
    again = made(patient.plan([demand(A, 4.0, 40.0)], 0.0))
    assert first.objective == pytest.approx(again.objective)
    with pytest.raises(ValueError, match="expected one number, or 4, got 3"):
        patient.plan([demand(A, 4.0, 40.0)], 0.0, forecast=Forecast(import_price=[0.1, 0.2, 0.3]))
    with pytest.raises(KeyError):
        patient.plan([demand(EvseKey("z", 1), 4.0, 40.0)], 0.0)
    assert made(patient.plan([], 0.0)).currents_a == {}


def test_a_plan_says_nothing_of_others_and_nothing_after_its_end() -> None:
    plan = made(planner(line()).plan([demand(A, 2.0, 40.0)], 0.0))
    assert plan.at(A, HOUR_S) == pytest.approx(8.0)
    assert plan.at(A, 2 * HOUR_S) is None
    assert plan.advise(demand(B, 1.0, 1.0), 0.0) == demand(B, 1.0, 1.0)


def test_a_plan_advises_and_what_it_leaves_free_is_shared_out() -> None:
    site = line(40.0)
    demands = [demand(A, 1.0, 20.0), demand(B, 8.0, 30.0)]
    plan = made(planner(site).plan(demands, 0.0))
    shares = allocate(site, [plan.advise(one, 0.0) for one in demands], 0.0).shares
    assert shares[A].limit_a + shares[B].limit_a == pytest.approx(40.0, abs=0.11)
    assert shares[A].limit_a >= 20.0


def test_who_is_planned_for_later_leaves_its_minimum_to_others() -> None:
    site = line(16.0, minimum_a=6.0)
    demands = [demand(A, 1.0, 16.0), demand(B, 8.0, 30.0)]
    plan = made(planner(site).plan(demands, 0.0))
    shares = allocate(site, [plan.advise(one, 0.0) for one in demands], 0.0).shares
    assert (shares[A].limit_a, shares[B].limit_a) == (16.0, 0.0)


def test_slots_cover_the_time_ahead_without_gaps() -> None:
    for slots in (even_slots(100.0, 100.0 + 7 * HOUR_S, 900.0), growing_slots(100.0, 100.0 + 7 * HOUR_S, 300.0)):
        assert slots.starts_s[0] == 100.0
        assert np.all(slots.ends_s[:-1] == slots.starts_s[1:])
        assert slots.ends_s[-2] < 100.0 + 7 * HOUR_S <= slots.ends_s[-1]
    assert len(even_slots(0.0, 0.0, 300.0)) == len(growing_slots(0.0, -5.0, 300.0)) == 1


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_slot_of_a_plan_keeps_every_limit(data: st.DataObject) -> None:
    """Polygons lie inside the circles: the exact check agrees, with any subset of cars stopping."""
    site = data.draw(sites() | delta_sites())
    demands = [
        msgspec.structs.replace(
            one,
            departs_s=data.draw(st.sampled_from([None, 600.0, 3600.0, 20000.0])),
            remaining_wh=data.draw(st.sampled_from([None, 500.0, 8000.0, 60000.0])),
        )
        for one in data.draw(demands_for(site))
    ]
    plan = made(Planner(CompiledSite(site), slot_s=1800.0).plan(demands, 0.0))
    idle = {v.bound: v.worst for v in violations(site, [])}
    for slot in range(len(plan.slots_until_s)):
        currents_a = {key: currents[slot] for key, currents in plan.currents_a.items()}
        for v in violations(site, loads_of(site, demands, currents_a)):
            assert v.worst <= max(v.limit, idle.get(v.bound, -math.inf)) + 100 * TOLERANCE, v.text()
    for one in demands:
        if (planned := plan.shares.get(one.evse)) is not None and one.remaining_wh is not None:
            assert planned.planned_wh + planned.unmet_wh == pytest.approx(one.remaining_wh, abs=0.01)
