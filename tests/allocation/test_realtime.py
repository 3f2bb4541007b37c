"""The real-time rule against the exact check, and against slow definitions of what is fair."""

import itertools
import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.worlds import ORDERS, delta_sites, demands_for, loads_of, sites

from forecourt.allocation.check import TOLERANCE, violations
from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Background, Demand, Load
from forecourt.allocation.explanation import Bound, LimitKind, Reason
from forecourt.allocation.realtime import Allocation, allocate
from forecourt.domain.site import Circuit, EvseKey, EvsePoint, GridConnection, Site, Transformer, Winding
from forecourt.quantities import PerPhase, Phase

FINE = 10**7
"""Steps per ampere where exactness is in question."""

World = tuple[Site, list[Demand]]


@st.composite
def worlds(draw: st.DrawFn, *, wye_only: bool = False, biggest: int = 6, priorities: int = 2) -> World:
    site = draw(sites(wye_only=wye_only, biggest=biggest, priorities=priorities))
    return site, draw(demands_for(site))


@st.composite
def delta_worlds(draw: st.DrawFn) -> World:
    site = draw(delta_sites())
    return site, draw(demands_for(site))


@st.composite
def backgrounds(draw: st.DrawFn, site: Site) -> dict[str, Background]:
    found = {}
    for node in site.nodes:
        if draw(st.integers(0, 2)) == 0:
            highest = PerPhase(*(draw(st.sampled_from([-12.0, 0.0, 2.0, 7.0, 30.0])) for _ in range(3)))
            spread = draw(st.sampled_from([0.0, 0.0, 5.0]))
            found[node.name] = Background(highest, highest - PerPhase.of(spread))
    return found


def broken(
    site: Site, loads: list[Load], readings: dict[str, Background], before: list[Load] | None = None
) -> set[Bound]:
    """Limits that `loads` break and `before` doesn't, or breaks less."""
    already = {v.bound: v.worst for v in violations(site, before or [], readings)}
    return {v.bound for v in violations(site, loads, readings) if v.worst > already.get(v.bound, 0.0) + TOLERANCE}


def currents(allocation: Allocation) -> dict[EvseKey, float]:
    return {key: share.limit_a for key, share in allocation.shares.items()}


def bounds(site: Site, demand: Demand) -> tuple[float, float, int]:
    point = site.evses[site.evse_index[demand.evse]]
    return point.minimum_a, min(point.maximum_a, demand.wanted_a), point.priority


@settings(max_examples=150, deadline=None)
@given(st.data(), worlds() | delta_worlds())
def test_no_limit_is_ever_exceeded_and_each_share_is_nothing_or_in_range(data: st.DataObject, world: World) -> None:
    site, demands = world
    readings = data.draw(backgrounds(site))
    asking = {demand.evse for demand in demands}
    reserved = [Load(point.key, point.fallback_a) for point in site.evses if point.key not in asking]
    allocation = allocate(CompiledSite(site), demands, 0.0, readings=readings, reserved=reserved)
    shares = currents(allocation)
    assert shares.keys() == asking
    for demand in demands:
        minimum_a, maximum_a, _ = bounds(site, demand)
        assert shares[demand.evse] == 0.0 or minimum_a <= shares[demand.evse] <= maximum_a
    assert not broken(site, [*reserved, *loads_of(site, demands, shares)], readings, before=reserved)
    for demand in demands:
        assert allocation.text(demand.evse).startswith(f"{shares[demand.evse]:.1f} A: ")


@settings(max_examples=200, deadline=None)
@given(worlds() | delta_worlds())
def test_nobody_can_have_more_without_taking_it_from_someone_who_has_no_more(world: World) -> None:
    """The definition of max-min fairness with priorities, tried out on everyone who has less than it wants."""
    site, demands = world
    allocation = allocate(CompiledSite(site), demands, 0.0, steps_per_ampere=FINE)
    shares = currents(allocation)
    limits = {demand.evse: bounds(site, demand) for demand in demands}
    seated = [demand for demand in demands if allocation.shares[demand.evse].seated]
    for demand in seated:
        mine = shares[demand.evse]
        _, maximum_a, priority = limits[demand.evse]
        if mine == maximum_a:
            assert allocation.shares[demand.evse].explanation.reason in (Reason.OWN_MAXIMUM, Reason.WANTED)
        if mine >= maximum_a - 1e-5:
            continue  # a row that is full with the same ampere may be named instead
        assert allocation.shares[demand.evse].explanation.reason is Reason.SHARED
        trial = {}
        for other in seated:
            low, _, rank = limits[other.evse]
            if rank < priority:
                continue
            trial[other.evse] = shares[other.evse] if rank > priority else min(shares[other.evse], max(mine, low))
        trial[demand.evse] = mine + 0.05  # where phasors are at right angles less wouldn't show
        assert broken(site, loads_of(site, demands, trial), {}), allocation.text(demand.evse)


@settings(max_examples=100, deadline=None)
@given(worlds() | delta_worlds())
def test_who_gets_nothing_had_no_place_next_to_those_who_charge(world: World) -> None:
    site, demands = world
    allocation = allocate(CompiledSite(site), demands, 0.0, steps_per_ampere=FINE)
    limits = {demand.evse: bounds(site, demand) for demand in demands}
    for demand in demands:
        share = allocation.shares[demand.evse]
        minimum_a, maximum_a, priority = limits[demand.evse]
        if share.explanation.reason in (Reason.WAITS, Reason.NO_ROOM):
            trial = {}
            for key, other in allocation.shares.items():
                low, _, rank = limits[key]
                if other.seated and rank >= priority:
                    trial[key] = other.limit_a if rank > priority else low
            trial[demand.evse] = minimum_a
            assert broken(site, loads_of(site, demands, trial), {})
        elif not share.seated:
            assert maximum_a <= 0.0 or maximum_a < minimum_a


@settings(max_examples=25, deadline=None)
@given(worlds(biggest=3, priorities=1))
def test_the_least_served_is_served_as_well_as_any_choice_allows(world: World) -> None:
    """Every combination of whole-ampere shares is tried; sorted from the lowest, none is better."""
    site, demands = world
    allocation = allocate(CompiledSite(site), demands, 0.0, steps_per_ampere=FINE)
    seated = [demand for demand in demands if allocation.shares[demand.evse].seated]
    ours = sorted(allocation.limit_a(demand.evse) for demand in seated)
    choices = []
    for demand in seated:
        minimum_a, maximum_a, _ = bounds(site, demand)
        choices.append([value for value in (*range(0, 33, 2), minimum_a, maximum_a) if minimum_a <= value <= maximum_a])
    for choice in itertools.product(*choices):
        theirs = sorted(choice)
        if _better(theirs, ours):
            trial = {demand.evse: float(value) for demand, value in zip(seated, choice, strict=True)}
            assert broken(site, loads_of(site, seated, trial), {})


def _better(theirs: list[float], ours: list[float]) -> bool:
    for their, our in zip(theirs, ours, strict=True):
        if abs(their - our) > 1e-5:
            return their > our
    return False


@settings(max_examples=80, deadline=None)
@given(worlds(priorities=1), st.sampled_from([0.9, 0.75, 0.5]))
def test_less_room_never_serves_the_least_served_better(world: World, part: float) -> None:
    site, demands = world
    smaller = msgspec.structs.replace(
        site,
        grid=msgspec.structs.replace(site.grid, rating_a=site.grid.rating_a.map(lambda rating_a: rating_a * part)),
    )
    if min(smaller.grid.usable_a) <= 0.0:
        return
    before = allocate(CompiledSite(site), demands, 0.0, steps_per_ampere=FINE)
    after = allocate(CompiledSite(smaller), demands, 0.0, steps_per_ampere=FINE)
    if all(before.shares[key].seated == share.seated for key, share in after.shares.items()):
        assert not _better(sorted(currents(after).values()), sorted(currents(before).values()))


@settings(max_examples=80, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_question_changes_nothing(world: World, chance: random.Random) -> None:
    site, demands = world
    reserved = [Load(point.key, 1.0) for point in site.evses]
    first = allocate(CompiledSite(site), demands, 5.0, reserved=reserved)
    again = allocate(CompiledSite(site), demands, 5.0, reserved=reserved)
    chance.shuffle(demands)
    chance.shuffle(reserved)
    shuffled = allocate(CompiledSite(site), demands, 5.0, reserved=reserved)
    assert first == again == shuffled


@settings(max_examples=60, deadline=None)
@given(worlds(priorities=3), st.data())
def test_a_lower_priority_changes_nothing_for_a_higher_one(world: World, data: st.DataObject) -> None:
    site, demands = world
    compiled = CompiledSite(site)
    together = allocate(compiled, demands, 0.0)
    floor = data.draw(st.integers(0, 2))
    alone = allocate(compiled, [demand for demand in demands if bounds(site, demand)[2] >= floor], 0.0)
    for key, share in alone.shares.items():
        assert together.shares[key] == share


def row_of(*, ratings: tuple[float, float] = (63.0, 20.0), count: int = 3, **limits: object) -> Site:
    """Three-phase EVSEs a, b, c, ... on circuit B below a grid connection G."""
    evses = tuple(
        EvsePoint(station_id=chr(ord("a") + index), circuit="B", rotation=ORDERS[index % 3]) for index in range(count)
    )
    circuit = Circuit(name="B", rating_a=PerPhase.of(ratings[1]), **limits)  # type: ignore[arg-type]
    grid = GridConnection(name="G", rating_a=PerPhase.of(ratings[0]))
    return Site(grid=grid, circuits=(circuit,), evses=evses).checked()


def asking(site: Site, *, active: tuple[int, ...] | None = (1, 2, 3), wanted_a: float = math.inf) -> list[Demand]:
    return [Demand(evse=point.key, active_phases=active, wanted_a=wanted_a) for point in site.evses]


def texts(allocation: Allocation) -> list[str]:
    return [allocation.text(key) for key in sorted(allocation.shares)]


def test_nobody_asks() -> None:
    site = CompiledSite(row_of())
    assert allocate(site, [], 0.0) == Allocation(0.0, {}, None)
    allocation = allocate(site, asking(site.site, wanted_a=0.0), 0.0)
    assert texts(allocation) == ["0.0 A: asks for nothing"] * 3
    assert allocation.text(EvseKey("z", 1)) == "0.0 A: no demand"


def test_every_ampere_is_explained() -> None:
    site = CompiledSite(row_of())
    assert texts(allocate(site, asking(site.site), 0.0)) == ["6.6 A: circuit B, phase L1"] * 3
    room = {"G": Background.measured(PerPhase(0.0, 44.0, 0.0))}
    assert texts(allocate(site, asking(site.site), 0.0, readings=room)) == ["6.3 A: grid connection G, phase L2"] * 3
    two = asking(site.site)[:2]
    two[0] = msgspec.structs.replace(two[0], wanted_a=8.0, wanted_because="a charging profile of the CSMS")
    assert texts(allocate(site, two, 0.0)) == [
        "8.0 A: a charging profile of the CSMS",
        "12.0 A: circuit B, phase L1",
    ]
    alone = allocate(CompiledSite(row_of(ratings=(63.0, 50.0))), two[1:], 0.0)
    assert texts(alone) == ["32.0 A: its own maximum"]
    small = [msgspec.structs.replace(two[0], wanted_a=5.0)]
    assert texts(allocate(site, small, 0.0)) == [
        "0.0 A: a charging profile of the CSMS is 5 A, below its minimum of 6 A"
    ]
    small = [msgspec.structs.replace(two[0], wanted_a=3.2876712, wanted_because="the plan")]
    assert texts(allocate(site, small, 0.0)) == ["0.0 A: the plan is 3.29 A, below its minimum of 6 A"]
    seldom = CompiledSite(row_of(ratings=(63.0, 13.0)))
    allocation = allocate(seldom, asking(seldom.site), 0.0)
    assert texts(allocation)[2] == (
        "0.0 A: minimum of 6 A doesn't fit under circuit B, phase L1 (12.0 of 13.0 A taken), waits its turn for 0 s"
    )
    never = CompiledSite(row_of(ratings=(63.0, 5.0)))
    assert texts(allocate(never, asking(never.site), 0.0))[0] == (
        "0.0 A: minimum of 6 A doesn't fit under circuit B, phase L1 (0.0 of 5.0 A taken)"
    )


def test_power_and_asymmetry_bind_too() -> None:
    powered = CompiledSite(row_of(power_limit_w=12420.0))
    assert texts(allocate(powered, asking(powered.site), 0.0)) == ["6.0 A: power limit of circuit B"] * 3
    lopsided = CompiledSite(row_of(ratings=(63.0, 50.0), asymmetry_limit_a=10.0))
    single = allocate(lopsided, asking(lopsided.site, active=(1,))[:1], 0.0)
    assert texts(single) == ["10.0 A: asymmetry limit of circuit B, L1 over L2"]
    even = allocate(lopsided, asking(lopsided.site)[:1], 0.0)
    assert texts(even) == ["32.0 A: its own maximum"]
    unknown = allocate(lopsided, asking(lopsided.site, active=None)[:1], 0.0)
    assert unknown.limit_a(EvseKey("a", 1)) == 10.0
    spread = allocate(lopsided, asking(lopsided.site, active=(1,)), 0.0)  # one car on each line; any may stop
    assert list(currents(spread).values()) == [10.0, 10.0, 10.0]


def test_phases_that_are_not_shared_are_not_shared() -> None:
    site = CompiledSite(row_of())
    mixed = [
        Demand(evse=EvseKey("a", 1), active_phases=(1,)),  # on L1
        Demand(evse=EvseKey("b", 1), active_phases=(1,)),  # rotated: on L2
        Demand(evse=EvseKey("c", 1), active_phases=(3,)),  # rotated: on L2
    ]
    assert list(currents(allocate(site, mixed, 0.0)).values()) == [20.0, 10.0, 10.0]


def test_a_rotation_that_is_learned_frees_two_lines() -> None:
    site = row_of(ratings=(63.0, 20.0), count=2).with_rotation(EvseKey("a", 1), None)
    demands = asking(site, active=(1,))
    assert list(currents(allocate(CompiledSite(site), demands, 0.0)).values()) == [10.0, 10.0]
    learned = site.with_rotation(EvseKey("a", 1), ORDERS[2])
    assert list(currents(allocate(CompiledSite(learned), demands, 0.0)).values()) == [20.0, 20.0]


def test_reserved_loads_come_before_everyone() -> None:
    site = CompiledSite(row_of())
    allocation = allocate(site, asking(site.site)[:1], 0.0, reserved=[Load(EvseKey("b", 1), 9.0)])
    assert allocation.limit_a(EvseKey("a", 1)) == 11.0
    allocation = allocate(site, asking(site.site)[:1], 0.0, reserved=[Load(EvseKey("b", 1), 32.0)])
    assert allocation.limit_a(EvseKey("a", 1)) == 0.0


def test_currents_that_cancel_are_not_relied_on_and_do_not_bind_each_other() -> None:
    """On one primary line the loads a and b are 120 degrees from c: more of c shortens the sum until it has caught up.

    What counts is the longest sum with any of them stopped: a and b alone; so c goes on rising when they are full.
    """
    evses = tuple(
        EvsePoint(station_id=name, circuit="panel", phases=1, between=pair, minimum_a=0.0)
        for name, pair in (("a", (Phase.L1, Phase.L2)), ("b", (Phase.L1, Phase.L2)), ("c", (Phase.L2, Phase.L3)))
    )
    panel = Circuit(name="panel", rating_a=PerPhase.of(99.0), transformer=Transformer(Winding.DELTA_WYE, 208.0))
    turns = 480.0 * math.sqrt(3.0) / 208.0
    for tight in Phase:
        rating = PerPhase(*(24.001 / turns if phase is tight else 90.0 for phase in Phase))
        grid = GridConnection(name="G", rating_a=rating)
        site = Site(grid=grid, circuits=(panel,), evses=evses, voltage_v=480.0 / math.sqrt(3.0)).checked()
        allocation = allocate(CompiledSite(site), asking(site, active=None), 0.0)
        shares = list(currents(allocation).values())
        if tight is Phase.L1:
            assert shares == [12.0, 12.0, 24.0], texts(allocation)
        assert not violations(site, loads_of(site, asking(site), currents(allocation)))


def test_a_lower_priority_may_use_what_only_shortens_a_full_sum() -> None:
    evses = tuple(
        EvsePoint(station_id=name, circuit="panel", phases=1, between=pair, minimum_a=0.0, priority=priority)
        for name, pair, priority in (
            ("a", (Phase.L1, Phase.L2), 1),
            ("b", (Phase.L1, Phase.L2), 0),
            ("c", (Phase.L2, Phase.L3), 0),
        )
    )
    panel = Circuit(name="panel", rating_a=PerPhase.of(99.0), transformer=Transformer(Winding.DELTA_WYE, 208.0))
    grid = GridConnection(name="G", rating_a=PerPhase(4.0, 90.0, 90.0))
    site = Site(grid=grid, circuits=(panel,), evses=evses, voltage_v=480.0 / math.sqrt(3.0)).checked()
    assert texts(allocate(CompiledSite(site), asking(site, active=None), 0.0)) == [
        "15.9 A: grid connection G, phase L1",
        "0.0 A: grid connection G, phase L1",
        "15.9 A: grid connection G, phase L1",
    ]


def test_a_background_that_is_too_much_already_leaves_nothing_not_even_to_who_needs_no_minimum() -> None:
    evses = tuple(
        EvsePoint(station_id=name, phases=1, between=(Phase.L1, second), minimum_a=0.0)
        for name, second in (("a", Phase.L2), ("b", Phase.L3))
    )
    fed = Circuit(name="fed", rating_a=PerPhase.of(50.0), transformer=Transformer(Winding.DELTA_WYE, 400.0))
    site = Site(grid=GridConnection(name="G", rating_a=PerPhase.of(10.0)), circuits=(fed,), evses=evses).checked()
    readings = {"fed": Background.measured(PerPhase(40.0, 0.0, 0.0))}
    shares = currents(allocate(CompiledSite(site), asking(site), 0.0, readings=readings))
    assert set(shares.values()) == {0.0}


def test_more_export_than_a_fuse_bears_leaves_nothing_to_cars_between_lines() -> None:
    """Their currents could shorten the sum, but any of them may stop."""
    evses = tuple(
        EvsePoint(station_id=name, circuit="panel", phases=1, between=pair, minimum_a=0.0)
        for name, pair in zip("abc", ((Phase.L1, Phase.L2), (Phase.L2, Phase.L3), (Phase.L3, Phase.L1)), strict=True)
    )
    panel = Circuit(name="panel", rating_a=PerPhase.of(99.0), transformer=Transformer(Winding.DELTA_WYE, 208.0))
    site = Site(grid=GridConnection(name="G", rating_a=PerPhase.of(4.0)), circuits=(panel,), evses=evses).checked()
    readings = {"G": Background.measured(PerPhase(2.0, 2.0, -12.0))}
    allocation = allocate(CompiledSite(site), asking(site), 0.0, readings=readings)
    assert not broken(site, loads_of(site, asking(site), currents(allocation)), readings)


def test_a_demand_may_raise_its_minimum_and_its_priority() -> None:
    site = CompiledSite(row_of())
    demands = asking(site.site)
    demands[2] = msgspec.structs.replace(demands[2], priority=1, minimum_a=9.0, wanted_a=9.5)
    shares = currents(allocate(site, demands, 0.0))
    assert shares[EvseKey("c", 1)] == 9.5
    assert sorted(shares.values()) == [0.0, 9.5, 10.5]


def test_steps_may_be_whole_amperes() -> None:
    site = CompiledSite(row_of())
    assert set(currents(allocate(site, asking(site.site), 0.0, steps_per_ampere=1)).values()) == {6.0}


def test_a_question_that_makes_no_sense_is_refused() -> None:
    site = CompiledSite(row_of())
    with pytest.raises(ValueError, match="more than one demand"):
        allocate(site, asking(site.site)[:1] * 2, 0.0)
    with pytest.raises(KeyError):
        allocate(site, [Demand(evse=EvseKey("z", 1))], 0.0)
    with pytest.raises(KeyError):
        allocate(site, [], 0.0, readings={"nowhere": Background.measured(PerPhase())})


def test_explanations_name_limits_for_programs_too() -> None:
    site = CompiledSite(row_of())
    explanation = allocate(site, asking(site.site), 0.0).shares[EvseKey("a", 1)].explanation
    assert explanation.bound is not None
    assert (explanation.bound.node, explanation.bound.kind, explanation.bound.phase) == ("B", LimitKind.FUSE, Phase.L1)
    assert explanation.capacity == 20.0
