"""Decisions on arrays against the same ones made one by one, with and without a memory."""

import math
from collections.abc import Iterator
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.worlds import demands_for, sites

from forecourt.allocation import roster
from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Background, Demand, Turns
from forecourt.allocation.explanation import Reason
from forecourt.allocation.realtime import Allocation, allocate
from forecourt.domain.site import EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase, Phase

TURNS = Turns(minimum_on_s=600.0, minimum_off_s=300.0)


@st.composite
def days(draw: st.DrawFn) -> tuple[Site, list[tuple[float, list[Demand], dict[str, Background]]]]:
    """A site, and what is asked there from one decision to the next."""
    site = draw(sites(wye_only=True, biggest=8))
    told = draw(st.sampled_from(["nothing", "departures", "plan"]))

    def of(demand: Demand) -> Demand:
        if told == "nothing" or draw(st.integers(0, 3)) == 0:
            return demand
        return msgspec.structs.replace(
            demand,
            departs_s=draw(st.sampled_from([900.0, 3600.0, 20000.0])),
            remaining_wh=draw(st.sampled_from([500.0, 9000.0, 60000.0])),
            planned_a=draw(st.sampled_from([None, 0.0, 9.0, 32.0])) if told == "plan" else None,
        )

    demands = [of(demand) for demand in draw(demands_for(site))]
    now_s = 0.0
    found = []
    for _ in range(draw(st.integers(1, 6))):
        readings = {}
        if draw(st.integers(0, 3)) == 0:
            readings[site.grid.name] = Background.measured(PerPhase.of(draw(st.sampled_from([0.0, 4.0, 9.0]))))
        found.append((now_s, list(demands), readings))
        now_s += draw(st.sampled_from([5.0, 290.0, 610.0]))
        change = draw(st.integers(0, 3))
        if demands and change == 0:
            del demands[draw(st.integers(0, len(demands) - 1))]
        elif demands and change < 3:
            at = draw(st.integers(0, len(demands) - 1))
            demands[at] = of(msgspec.structs.replace(demands[at], wanted_a=draw(st.sampled_from([0.0, 4.0, 10.0]))))
    return site, found


@pytest.fixture(autouse=True)
def _many_at_once() -> Iterator[None]:
    with mock.patch.object(roster, "MANY", 1):
        yield


def one_by_one(site: CompiledSite, *args: object, **more: object) -> Allocation:
    with mock.patch.object(roster, "MANY", math.inf):
        return allocate(site, *args, **more)  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(days())
def test_a_crowd_is_decided_as_one_by_one(
    day: tuple[Site, list[tuple[float, list[Demand], dict[str, Background]]]],
) -> None:
    site, decisions = day
    crowded, afresh, singly = CompiledSite(site), CompiledSite(site), CompiledSite(site)
    last: Allocation | None = None
    for now_s, demands, readings in decisions:
        given_all = {"readings": readings, "previous": last, "turns": TURNS, "steps_per_ampere": 10**6}
        allocation = allocate(crowded, demands, now_s, **given_all)  # type: ignore[arg-type]
        without_memory = allocate(CompiledSite(site), demands, now_s, **given_all)  # type: ignore[arg-type]
        another_order = allocate(afresh, demands[::-1], now_s, **given_all)  # type: ignore[arg-type]
        assert allocation == without_memory == another_order, "what is remembered changes nothing, nor does the order"
        expected = one_by_one(singly, demands, now_s, **given_all)
        assert allocation.next_turn_s == expected.next_turn_s
        assert allocation.shares.keys() == expected.shares.keys() == {demand.evse for demand in demands}
        for key, share in allocation.shares.items():
            other = expected.shares[key]
            assert share.limit_a == pytest.approx(other.limit_a, abs=2e-6)
            assert (share.seated, share.since_s, share.off_since_s) == (other.seated, other.since_s, other.off_since_s)
            assert share.served_s == other.served_s
            if not share.seated:
                assert share.explanation.reason is other.explanation.reason
                assert share.explanation.bound == other.explanation.bound
            elif share.explanation.reason is not other.explanation.reason:
                assert share.limit_a >= other.limit_a - 2e-6, "full with the very ampere that is its own maximum"
        last = allocation


def test_who_has_the_same_as_before_has_the_same_share() -> None:
    evses = tuple(EvsePoint(station_id=f"s{k}", phases=1, rotation=(list(Phase)[k % 3],)) for k in range(9))
    site = CompiledSite(Site(grid=GridConnection(name="G", rating_a=PerPhase.of(30.0)), evses=evses).checked())
    demands = [Demand(evse=point.key) for point in evses]
    first = allocate(site, demands, 0.0)
    demands[0] = msgspec.structs.replace(demands[0], wanted_a=7.0)
    second = allocate(site, demands, 10.0, previous=first)
    assert second.shares[evses[0].key].limit_a == 7.0
    assert second.shares[evses[3].key].limit_a == 11.5
    assert second.shares[evses[1].key] is first.shares[evses[1].key]
    assert second.shares[evses[1].key].explanation.reason is Reason.SHARED
    assert first.shares[evses[0].key].limit_a == 10.0, "an allocation never changes"


def test_an_error_costs_nothing_but_the_memory() -> None:
    evses = tuple(EvsePoint(station_id=f"s{k}", phases=1, rotation=(Phase.L1,)) for k in range(3))
    site = CompiledSite(Site(grid=GridConnection(name="G", rating_a=PerPhase.of(30.0)), evses=evses).checked())
    demands = [Demand(evse=point.key) for point in evses]
    first = allocate(site, demands, 0.0)
    with pytest.raises(ValueError, match="more than one demand"):
        allocate(site, [*demands, demands[0]], 1.0, previous=first)
    with pytest.raises(KeyError):
        allocate(site, demands, 1.0, previous=first, readings={"nowhere": Background(PerPhase())})
    assert allocate(site, demands, 1.0, previous=first).shares == first.shares


@pytest.mark.parametrize("told", [False, True])
def test_turns_are_the_same_turns(told: bool) -> None:
    """Three or four of nine may charge, one needs twice as much; two come later, so that not all wait equally long."""
    evses = tuple(
        EvsePoint(station_id=f"s{k}", phases=1, rotation=(Phase.L1,), minimum_a=12.0 if k == 4 else 6.0)
        for k in range(9)
    )
    site = Site(grid=GridConnection(name="G", rating_a=PerPhase.of(25.0)), evses=evses).checked()
    crowded, singly = CompiledSite(site), CompiledSite(site)
    demands = [
        Demand(
            evse=point.key,
            departs_s=20_000.0 - 1500.0 * k if told else None,
            remaining_wh=3000.0 + 500.0 * k if told else None,
        )
        for k, point in enumerate(evses)
    ]
    last: Allocation | None = None
    seated: set[frozenset[str]] = set()
    for minute in range(100):
        here = demands[: 7 if minute < 7 else 8 if minute < 16 else 9]
        given_all = {"previous": last, "turns": TURNS}
        allocation = allocate(crowded, here, 60.0 * minute, **given_all)  # type: ignore[arg-type]
        expected = one_by_one(singly, here, 60.0 * minute, **given_all)
        assert allocation.next_turn_s == expected.next_turn_s
        for key, share in allocation.shares.items():
            other = expected.shares[key]
            assert (share.seated, share.since_s, share.off_since_s) == (other.seated, other.since_s, other.off_since_s)
            assert share.explanation.reason is other.explanation.reason
        seated.add(frozenset(key.station_id for key, share in allocation.shares.items() if share.seated))
        last = allocation
    assert told or set().union(*seated) == {point.station_id for point in evses}
    assert len(seated) > (2 if told else 8)
