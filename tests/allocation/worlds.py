"""Generated sites, and the physics they obey: a second opinion that shares nothing with the code under test.

Here currents are phasors in one common frame, every EVSE is a real load with real lines, Kirchhoff's law adds them up
node by node, and every combination of cars that draw and cars that don't is tried.
"""

import cmath
import math
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final

import hypothesis.strategies as st

from forecourt.allocation.demand import Demand, Load
from forecourt.domain.site import Circuit, EvseKey, EvsePoint, GridConnection, Site, Transformer, Winding
from forecourt.quantities import PHASES, PerPhase, Phase

ORDERS: Final = ((Phase.L1, Phase.L2, Phase.L3), (Phase.L2, Phase.L3, Phase.L1), (Phase.L3, Phase.L1, Phase.L2))
PAIRS: Final = ((Phase.L1, Phase.L2), (Phase.L2, Phase.L3), (Phase.L3, Phase.L1), (Phase.L1, Phase.L3))

Lines = list[complex]


@st.composite
def sites(draw: st.DrawFn, *, wye_only: bool = False, biggest: int = 6, priorities: int = 2) -> Site:
    """Trees of up to five nodes with up to `biggest` EVSEs, tight enough to matter."""
    nodes = draw(st.integers(1, 5))
    names = ["grid", *(f"c{index}" for index in range(1, nodes))]

    def limits(name: str) -> dict[str, object]:
        rating = draw(st.sampled_from([10.0, 16.0, 20.0, 25.0, 32.5, 40.0, 63.0, 100.0]))
        uneven = draw(st.sampled_from([(1.0, 1.0, 1.0)] * 3 + [(1.0, 0.8, 1.5)]))
        return {
            "name": name,
            "rating_a": PerPhase(*(rating * part for part in uneven)),
            "power_limit_w": draw(st.sampled_from([None, None, 4000.0, 9000.0, 22000.0])),
            "background_a": draw(st.sampled_from([PerPhase()] * 3 + [PerPhase(3.0, 1.0, 0.0), PerPhase.of(2.5)])),
            "asymmetry_limit_a": draw(st.sampled_from([None, None, None, 8.0, 20.0])),
            "margin_a": draw(st.sampled_from([0.0, 0.0, 1.0])),
            "margin_percent": draw(st.sampled_from([0.0, 0.0, 10.0])),
        }

    circuits = []
    for index in range(1, nodes):
        transformer = None
        if not wye_only and draw(st.integers(0, 3)) == 0:
            winding = draw(st.sampled_from(list(Winding)))
            transformer = Transformer(winding, draw(st.sampled_from([208.0, 400.0, 600.0])))
        parent = draw(st.sampled_from([None, *names[1:index]]))
        circuits.append(Circuit(parent=parent, transformer=transformer, **limits(names[index])))  # type: ignore[arg-type]
    evses = [draw(points(f"S{index}", names, wye_only, priorities)) for index in range(draw(st.integers(1, biggest)))]
    grid = GridConnection(**limits("grid"))  # type: ignore[arg-type]
    return Site(grid=grid, circuits=tuple(circuits), evses=tuple(evses)).checked()


@st.composite
def delta_sites(draw: st.DrawFn) -> Site:
    """EVSEs between lines, and a few to neutral, under a transformer whose primary is what binds: currents there are up
    to 120 degrees apart, so that a car that stops may make the sum longer."""
    evses = []
    for index in range(draw(st.integers(2, 6))):
        between = draw(st.sampled_from([*PAIRS, *PAIRS, None]))
        rotation = None if between else (draw(st.sampled_from(PHASES)),)
        evses.append(
            EvsePoint(
                station_id=f"S{index}",
                circuit="panel",
                phases=1,
                rotation=rotation,
                between=between,
                minimum_a=draw(st.sampled_from([0.0, 0.0, 6.0])),
                maximum_a=draw(st.sampled_from([7.0, 16.0, 32.0])),
                priority=draw(st.integers(0, 2)),
            )
        )
    panel = Circuit(name="panel", rating_a=PerPhase.of(500.0), transformer=Transformer(Winding.DELTA_WYE, 208.0))
    rating_a = draw(st.sampled_from([4.0, 7.0, 12.0, 20.0]))
    tight = draw(st.sampled_from([PHASES, *((phase,) for phase in PHASES)]))
    rating = PerPhase(*(rating_a if phase in tight else 90.0 for phase in PHASES))
    grid = GridConnection(name="grid", rating_a=rating)
    return Site(grid=grid, circuits=(panel,), evses=tuple(evses), voltage_v=480.0 / math.sqrt(3.0)).checked()


@st.composite
def points(draw: st.DrawFn, station_id: str, names: list[str], wye_only: bool, priorities: int) -> EvsePoint:
    """An EVSE somewhere on the tree."""
    between = None
    phases = draw(st.sampled_from([1, 3, 3]))
    rotation = draw(st.sampled_from([None, *ORDERS, *ORDERS]))
    if not wye_only and draw(st.integers(0, 2)) == 0:
        phases, rotation, between = 1, None, draw(st.sampled_from(PAIRS))
    minimum_a = draw(st.sampled_from([6.0, 6.0, 8.25, 0.0]))
    maximum_a = draw(st.sampled_from([10.0, 16.0, 32.0]))
    return EvsePoint(
        station_id=station_id,
        circuit=draw(st.sampled_from([None, *names[1:]])),
        phases=phases,
        rotation=None if rotation is None else rotation[:phases],
        between=between,
        minimum_a=minimum_a,
        maximum_a=maximum_a,
        priority=draw(st.integers(0, priorities - 1)),
        fallback_a=draw(st.sampled_from([0.0, minimum_a, maximum_a])),
    )


@st.composite
def demands_for(draw: st.DrawFn, site: Site, *, all_of_them: bool = False) -> list[Demand]:
    """What the EVSEs of `site` ask for."""
    found = []
    for point in site.evses:
        if not all_of_them and draw(st.integers(0, 5)) == 0:
            continue
        active: tuple[int, ...] | None = draw(st.sampled_from([None, (1,), tuple(range(1, point.phases + 1))]))
        wanted_a = draw(st.sampled_from([math.inf, math.inf, 13.0, 7.5, 4.0, 0.0]))
        found.append(Demand(evse=point.key, active_phases=active, wanted_a=wanted_a))
    return found


def loads_of(site: Site, demands: Iterable[Demand], currents_a: Mapping[EvseKey, float]) -> list[Load]:
    """The currents as loads, with the phases the demands tell."""
    return [Load(demand.evse, currents_a.get(demand.evse, 0.0), demand.active_phases) for demand in demands]


def independent_draws(site: Site, load: Load) -> list[Lines]:
    """The most that flows in each line, apart where the car may use one line without the other; in volts' frame."""
    point = site.evses[site.evse_index[load.evse]]
    unit = [cmath.rect(1.0, math.radians(degrees)) for degrees in (0.0, -120.0, 120.0)]
    if point.between is not None:
        first, second = (PHASES.index(phase) for phase in point.between)
        along = (unit[first] - unit[second]) / abs(unit[first] - unit[second])
        current = [0j, 0j, 0j]
        current[first], current[second] = along * load.current_a, -along * load.current_a
        return [current]
    active = load.active_phases
    if point.rotation is None:
        lines = [[0, 1, 2]] if active == (1, 2, 3) and point.phases == 3 else [[0], [1], [2]]
    elif active is None or max(active) > point.phases:
        lines = [[PHASES.index(phase)] for phase in point.rotation]
    else:
        lines = [[PHASES.index(point.rotation[own - 1]) for own in active]]
    return [[unit[line] * load.current_a if line in together else 0j for line in range(3)] for together in lines]


def through(site: Site, circuit: int, lines: Lines) -> Lines:
    """Line currents of a circuit as its parent sees them, with A's voltage as the frame on each side."""
    transformer = site.circuits[circuit - 1].transformer
    if transformer is None:
        return lines
    parent_line_to_line_v = site.voltages_v[site.parents[circuit]] * math.sqrt(3.0)
    if transformer.winding is Winding.WYE_WYE:
        return [current * transformer.secondary_v / parent_line_to_line_v for current in lines]
    turns = parent_line_to_line_v / (transformer.secondary_v / math.sqrt(3.0))
    primary = [(lines[0] - lines[2]) / turns, (lines[1] - lines[0]) / turns, (lines[2] - lines[1]) / turns]
    # The primary's line A lags the secondary's by 30 degrees: turn the page so that it is at 0 again.
    return [current * cmath.rect(1.0, math.radians(30.0)) for current in primary]


def seen_at(site: Site, node: int, at: int, lines: Lines) -> Lines | None:
    """Currents drawn at node `at` as node `node` sees them; None if it isn't on their way."""
    while at != node:
        if at == 0:
            return None
        lines = through(site, at, lines)
        at = site.parents[at]
    return lines


def worst_lines(site: Site, loads: list[Load], node: int) -> tuple[list[float], float, float]:
    """The largest magnitude per line, the largest difference of two lines, the largest power, over every combination
    of cars that draw or don't; without background."""
    drawn: list[Lines] = []
    watts = 0.0
    for load in loads:
        point = site.evses[site.evse_index[load.evse]]
        at = site.node_of(point)
        for lines in independent_draws(site, load):
            seen = seen_at(site, node, at, lines)
            if seen is not None:
                drawn.append(seen)
        if node in list(site.way_up(at)):
            if point.between is not None:
                share = math.sqrt(3.0)
            else:
                known = load.active_phases is not None and max(load.active_phases) <= point.phases
                share = len(load.active_phases) if known and load.active_phases else point.phases
            watts += load.current_a * share * site.voltages_v[at]
    most = [0.0, 0.0, 0.0]
    apart = 0.0
    for taking in product((0.0, 1.0), repeat=len(drawn)):
        sums = [abs(sum(on * lines[line] for on, lines in zip(taking, drawn, strict=True))) for line in range(3)]
        most = [max(old, new) for old, new in zip(most, sums, strict=True)]
        apart = max(apart, max(sums) - min(sums))
    return most, apart, watts
