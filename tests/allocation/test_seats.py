"""Turns: minimums that don't all fit, played through virtual time."""

import itertools
import math
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from tests.allocation.worlds import loads_of, sites

from forecourt.allocation.check import violations
from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Background, Demand, Turns
from forecourt.allocation.explanation import Reason
from forecourt.allocation.realtime import Allocation, allocate
from forecourt.domain.site import EvseKey, EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase, Phase

TURNS = Turns(minimum_on_s=600.0, minimum_off_s=300.0)


def line(count: int, rating_a: float, *, wide: int = 0) -> Site:
    """`count` single-phase EVSEs on L1 under one fuse; `wide` more need 12 A there."""
    evses = [EvsePoint(station_id=f"s{index}", phases=1, rotation=(Phase.L1,)) for index in range(count)]
    evses += [
        EvsePoint(station_id=f"w{index}", phases=1, rotation=(Phase.L1,), minimum_a=12.0) for index in range(wide)
    ]
    return Site(grid=GridConnection(name="G", rating_a=PerPhase.of(rating_a)), evses=tuple(evses)).checked()


class Play:
    """One site through virtual time, with every switch noted."""

    def __init__(self, site: Site) -> None:
        self.site = CompiledSite(site)
        self.demands = [Demand(evse=point.key) for point in site.evses]
        self.allocation: Allocation | None = None
        self.switched: dict[EvseKey, list[tuple[float, bool]]] = {point.key: [] for point in site.evses}
        self.on_s = dict.fromkeys(self.switched, 0.0)

    def decide(self, now_s: float, **more: object) -> Allocation:
        last = self.allocation
        self.allocation = allocate(self.site, self.demands, now_s, previous=last, turns=TURNS, **more)  # type: ignore[arg-type]
        for key, share in self.allocation.shares.items():
            was = last is not None and key in last.shares and last.shares[key].seated
            if last is not None and was:
                self.on_s[key] += now_s - last.decided_s
            if share.seated != was:
                self.switched[key].append((now_s, share.seated))
        return self.allocation

    def run(self, until_s: float, step: Callable[[Allocation], float]) -> None:
        now_s = 0.0
        while now_s <= until_s:
            now_s = step(self.decide(now_s))

    def seated(self) -> set[str]:
        assert self.allocation is not None
        return {key.station_id for key, share in self.allocation.shares.items() if share.seated}


def at_next_turn(allocation: Allocation) -> float:
    assert allocation.next_turn_s is not None
    assert allocation.next_turn_s > allocation.decided_s
    return allocation.next_turn_s


def every_minute(allocation: Allocation) -> float:
    return allocation.decided_s + 60.0


@pytest.mark.parametrize("step", [at_next_turn, every_minute])
def test_everybody_gets_the_same_time(step: Callable[[Allocation], float]) -> None:
    play = Play(line(7, 20.0))
    play.run(14 * 4200.0, step)
    assert max(play.on_s.values()) - min(play.on_s.values()) <= TURNS.minimum_on_s
    for switches in play.switched.values():
        for (start_s, on), (end_s, _) in itertools.pairwise(switches):
            assert end_s - start_s >= (TURNS.minimum_on_s if on else TURNS.minimum_off_s)


def test_looking_more_often_changes_no_turn() -> None:
    plays = []
    for step in (at_next_turn, every_minute):
        plays.append(Play(line(7, 20.0)))
        plays[-1].run(20000.0, step)
    assert {key: found[:10] for key, found in plays[0].switched.items()} == {
        key: found[:10] for key, found in plays[1].switched.items()
    }


def test_who_has_a_seat_keeps_it_for_its_time_and_who_waited_longest_is_next() -> None:
    play = Play(line(3, 13.0))
    play.decide(0.0)
    assert play.seated() == {"s0", "s1"}
    assert play.decide(100.0).next_turn_s == 600.0
    play.decide(599.0)
    assert play.seated() == {"s0", "s1"}
    play.decide(600.0)
    assert play.seated() == {"s2", "s0"}
    resting = play.decide(800.0).shares[EvseKey("s1", 1)]
    assert resting.explanation.reason is Reason.RESTS
    assert play.allocation is not None
    assert play.allocation.text(EvseKey("s1", 1)) == "0.0 A: was switched off, rests for another 100 s"
    assert play.allocation.next_turn_s == 900.0
    play.decide(900.0)
    assert play.seated() == {"s2", "s1"}


def test_room_that_vanishes_takes_seats_at_once_and_the_longest_on_goes() -> None:
    play = Play(line(3, 20.0))
    play.demands, later = play.demands[:2], play.demands
    play.decide(0.0)
    play.demands = later
    play.decide(50.0)
    assert play.seated() == {"s0", "s1", "s2"}
    play.decide(100.0, readings={"G": Background.measured(PerPhase(13.0, 0.0, 0.0))})
    assert play.seated() == {"s2"}
    play.decide(110.0)
    assert play.seated() == {"s2"}, "those switched off rest"
    play.decide(400.0)
    assert play.seated() == {"s0", "s1", "s2"}


def test_a_place_is_kept_free_for_one_that_needs_two() -> None:
    """Two seats whose times end apart: unless the first is kept free, the one that needs both never gets them."""
    play = Play(line(4, 12.0, wide=1))
    everyone = play.demands
    play.demands = everyone[:1]
    play.decide(0.0)
    play.demands = everyone[:2]
    play.decide(300.0)
    play.demands = everyone[:2] + everyone[4:]
    play.decide(301.0)
    play.demands = everyone
    waits_s: list[float] = []
    now_s = 302.0
    while now_s < 40000.0:
        play.decide(now_s)
        if "w0" in play.seated():
            waits_s.append(now_s)
        now_s += 60.0
    assert waits_s
    assert waits_s[0] <= 301.0 + 2 * TURNS.minimum_on_s
    assert play.on_s[EvseKey("w0", 1)] >= 40000.0 / 5 / 2


def test_laxity_settles_a_tie() -> None:
    play = Play(line(3, 7.0))
    play.demands[1] = msgspec.structs.replace(play.demands[1], departs_s=7200.0, remaining_wh=5000.0)
    play.demands[2] = msgspec.structs.replace(play.demands[2], departs_s=7200.0, remaining_wh=9000.0)
    play.decide(0.0)
    assert play.seated() == {"s2"}
    assert play.demands[0].laxity_s(7360.0, 0.0) == math.inf
    assert play.demands[1].laxity_s(5000.0, 100.0) == 3500.0


def test_a_higher_priority_needs_no_turn() -> None:
    play = Play(line(3, 7.0))
    play.decide(0.0)
    assert play.seated() == {"s0"}
    play.demands[2] = msgspec.structs.replace(play.demands[2], priority=1)
    play.decide(10.0)
    assert play.seated() == {"s2"}


@settings(max_examples=30, deadline=None)
@given(sites(priorities=1))
def test_on_any_site_everybody_whose_minimum_fits_alone_gets_a_turn(site: Site) -> None:
    play = Play(site)
    never = set()
    for point in site.evses:
        alone = allocate(play.site, [Demand(evse=point.key)], 0.0)
        if not alone.shares[point.key].seated:
            never.add(point.key)
    waiting_since = dict.fromkeys((point.key for point in site.evses), 0.0)
    bound_s = (len(site.evses) + 1) * (TURNS.minimum_on_s + TURNS.minimum_off_s)
    now_s = 0.0
    for _ in range(80):
        allocation = play.decide(now_s)
        shares = {key: share.limit_a for key, share in allocation.shares.items()}
        idle = {v.bound for v in violations(site, [])}
        assert {v.bound for v in violations(site, loads_of(site, play.demands, shares))} <= idle
        for key, share in allocation.shares.items():
            assert share.seated is False or key not in never
            if share.seated:
                waiting_since[key] = now_s
            elif key not in never:
                assert now_s - waiting_since[key] <= bound_s
        if allocation.next_turn_s is None:
            assert all(share.seated or key in never for key, share in allocation.shares.items())
            break
        now_s = allocation.next_turn_s
