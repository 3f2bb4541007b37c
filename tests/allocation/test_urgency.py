"""Laxity and thrift: who gets more when there isn't enough, and who can wait."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.worlds import delta_sites, demands_for, loads_of, sites

from forecourt.allocation.check import TOLERANCE, violations
from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Demand
from forecourt.allocation.explanation import Reason
from forecourt.allocation.realtime import Allocation, allocate
from forecourt.allocation.urgency import MOST_S, NEUTRAL_S, thrifts, urgency_of
from forecourt.domain.site import EvseKey, EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase, Phase

HOUR_S = 3600.0


def line(rating_a: float, *, minimum_a: float = 0.0, count: int = 2) -> CompiledSite:
    """Single-phase EVSEs a, b, ... on L1."""
    evses = tuple(
        EvsePoint(station_id=chr(ord("a") + index), phases=1, rotation=(Phase.L1,), minimum_a=minimum_a)
        for index in range(count)
    )
    return CompiledSite(Site(grid=GridConnection(name="G", rating_a=PerPhase.of(rating_a)), evses=evses))


def demand(name: str, hours: float | None, amp_hours: float | None) -> Demand:
    """Of a car that leaves in so many hours and wants so many ampere-hours at 230 V."""
    return Demand(
        evse=EvseKey(name, 1),
        departs_s=None if hours is None else hours * HOUR_S,
        remaining_wh=None if amp_hours is None else amp_hours * 230.0,
    )


def currents(allocation: Allocation) -> list[float]:
    return [allocation.shares[key].limit_a for key in sorted(allocation.shares)]


def test_who_has_less_laxity_gets_more_and_nothing_is_left() -> None:
    shares = currents(
        allocate(line(20.0), [demand("a", 1.0, 16.0), demand("b", 8.0, 16.0)], 0.0, steps_per_ampere=10**6)
    )
    assert shares[0] > shares[1] > 0.0
    assert sum(shares) == pytest.approx(20.0, abs=1e-5)


def test_the_equally_urgent_get_the_same() -> None:
    same = [demand("a", 2.0, 32.0), demand("b", 3.0, 64.0)]  # an hour of laxity each
    assert currents(allocate(line(20.0), same, 0.0)) == [10.0, 10.0]


def test_where_one_is_not_known_it_counts_as_neutral() -> None:
    neutral_h = NEUTRAL_S / HOUR_S
    pair = [demand("a", neutral_h + 1.0, 32.0), demand("b", None, 5.0)]
    assert currents(allocate(line(20.0), pair, 0.0)) == [10.0, 10.0]
    assert currents(allocate(line(20.0), [demand("a", 5.0, None), demand("b", 1.0, None)], 0.0)) == [10.0, 10.0]


def test_enough_for_all_is_enough_for_all() -> None:
    assert currents(allocate(line(64.0), [demand("a", 1.0, 32.0), demand("b", 9.0, 1.0)], 0.0)) == [32.0, 32.0]


def test_who_can_wait_leaves_its_minimum_to_who_cannot() -> None:
    site = line(32.0, minimum_a=6.0)
    allocation = allocate(site, [demand("a", 1.0, 32.0), demand("b", 10.0, 32.0)], 0.0)
    assert currents(allocation) == [32.0, 0.0]
    assert allocation.shares[EvseKey("b", 1)].explanation.reason is Reason.CAN_WAIT
    assert allocation.text(EvseKey("b", 1)) == (
        "0.0 A: minimum of 6 A doesn't fit under grid connection G, phase L1 (32.0 of 32.0 A taken), "
        "has time and lets others go first"
    )
    spare = allocate(line(40.0, minimum_a=6.0), [demand("a", 1.0, 32.0), demand("b", 10.0, 32.0)], 0.0)
    assert currents(spare) == [32.0, 8.0]


def test_a_seat_is_not_taken_for_another_s_hurry_before_its_time() -> None:
    site = line(32.0, minimum_a=6.0)
    first = allocate(site, [demand("b", 10.0, 32.0)], 0.0)
    soon = allocate(site, [demand("a", 1.0, 32.0), demand("b", 10.0, 32.0)], 60.0, previous=first)
    assert currents(soon) == [26.0, 6.0]
    later = allocate(site, [demand("a", 1.0, 32.0), demand("b", 10.0, 32.0)], 700.0, previous=soon)
    assert currents(later) == [32.0, 0.0]


def test_of_two_equally_urgent_cars_the_one_that_blocks_fewer_gets_more() -> None:
    """Three on L1 and one on all lines: L1 is what is full, and a watt on three lines leans on it less."""
    evses = (
        *(EvsePoint(station_id=name, phases=1, rotation=(Phase.L1,), minimum_a=0.0) for name in "abc"),
        EvsePoint(station_id="d", phases=3, rotation=tuple(Phase), minimum_a=0.0),
    )
    site = CompiledSite(Site(grid=GridConnection(name="G", rating_a=PerPhase.of(32.0)), evses=evses))
    known = [Demand(evse=point.key, active_phases=tuple(range(1, point.phases + 1))) for point in evses]
    assert currents(allocate(site, known, 0.0)) == [8.0] * 4
    watts = [230.0, 230.0, 230.0, 690.0]
    known = [
        msgspec.structs.replace(one, departs_s=4 * HOUR_S, remaining_wh=32.0 * part)
        for one, part in zip(known, watts, strict=True)
    ]
    shares = currents(allocate(site, known, 0.0))
    assert shares[0] == shares[1] == shares[2] < 8.0 < shares[3]
    assert sum(shares) == pytest.approx(32.0, abs=0.4)


def test_thrift_is_bounded_and_for_those_who_tell() -> None:
    assert thrifts([1.0, 100.0, 0.0, 3.0], [True, True, True, False]) == [4.0, pytest.approx(0.505), 4.0, 1.0]
    assert thrifts([0.0, 5.0], [True, False]) == [1.0, 1.0]


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e6))
def test_urgency_falls_with_laxity_and_is_bounded(laxity_s: float, more_s: float) -> None:
    assert urgency_of(laxity_s) >= urgency_of(laxity_s + more_s)
    assert urgency_of(MOST_S) <= urgency_of(laxity_s) <= urgency_of(0.0)
    assert urgency_of(NEUTRAL_S) == urgency_of(math.inf) == 1.0


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_limit_is_exceeded_and_no_capacity_is_left_to_those_who_charge(data: st.DataObject) -> None:
    site = data.draw(sites() | delta_sites())
    demands = [
        msgspec.structs.replace(
            one,
            departs_s=data.draw(st.sampled_from([None, 600.0, 3600.0, 20000.0])),
            remaining_wh=data.draw(st.sampled_from([None, 500.0, 8000.0])),
        )
        for one in data.draw(demands_for(site))
    ]
    allocation = allocate(CompiledSite(site), demands, 0.0, steps_per_ampere=10**7)
    shares = {key: share.limit_a for key, share in allocation.shares.items()}
    idle = {v.bound: v.worst for v in violations(site, [])}

    def broken(currents_a: dict[EvseKey, float]) -> bool:
        found = violations(site, loads_of(site, demands, currents_a))
        return any(v.worst > idle.get(v.bound, 0.0) + TOLERANCE for v in found)

    assert not broken(shares)
    for one in demands:
        share = allocation.shares[one.evse]
        point = site.evses[site.evse_index[one.evse]]
        maximum_a = min(point.maximum_a, one.wanted_a)
        direct = all(circuit.transformer is None for circuit in site.circuits) and point.between is None
        if share.seated and share.limit_a < maximum_a - 1e-5 and direct:
            assert broken(shares | {one.evse: share.limit_a + 0.05}), allocation.text(one.evse)
