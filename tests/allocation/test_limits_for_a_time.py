"""Limits that hold for a time: of all through a node, of the EVSEs alone, of each line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Background, Demand, NodeLimit
from forecourt.allocation.planner import Planner
from forecourt.allocation.realtime import allocate
from forecourt.domain.site import EvsePoint, GridConnection, Site
from forecourt.quantities import PHASES, PerPhase

NOTHING = PerPhase()


def compiled(count: int = 4) -> CompiledSite:
    grid = GridConnection(name="grid", rating_a=PerPhase.of(100.0), power_limit_w=69_000.0)
    points = tuple(EvsePoint(station_id=f"S{k}", rotation=PHASES) for k in range(count))
    return CompiledSite(Site(grid=grid, evses=points).checked())


def drawn_w(site: CompiledSite, limit: NodeLimit, background: PerPhase = NOTHING) -> float:
    demands = [Demand(evse=point.key) for point in site.site.evses]
    readings = {"grid": Background.measured(background)}
    allocation = allocate(site, demands, 0.0, readings=readings, limits={"grid": limit})
    return sum(share.limit_a for share in allocation.shares.values()) * 690.0


def test_a_limit_of_everything_counts_the_background() -> None:
    assert drawn_w(compiled(), NodeLimit(power_w=30_000.0), PerPhase.of(10.0)) == pytest.approx(30_000 - 6_900, abs=300)


def test_a_limit_of_the_evses_doesn_t() -> None:
    assert drawn_w(compiled(), NodeLimit(controlled_w=20_000.0), PerPhase.of(10.0)) == pytest.approx(20_000, abs=300)


def test_a_limit_of_each_line_does() -> None:
    assert drawn_w(compiled(), NodeLimit(current_a=50.0), PerPhase(10.0, 20.0, 5.0)) == pytest.approx(30 * 690, abs=300)


def test_what_isn_t_limited_is_as_ever() -> None:
    site = compiled()
    assert drawn_w(site, NodeLimit()) == drawn_w(site, NodeLimit(power_w=1e9)) == pytest.approx(100 * 690, abs=300)


@given(st.floats(0, 80_000), st.floats(0, 80_000), st.floats(0, 120), st.floats(-50, 50))
def test_all_of_them_hold_together(power_w: float, controlled_w: float, current_a: float, background_a: float) -> None:
    limit = NodeLimit(power_w=power_w, controlled_w=controlled_w, current_a=current_a)
    drawn = drawn_w(compiled(), limit, PerPhase.of(background_a))
    assert drawn <= max(0.0, min(power_w - background_a * 690, controlled_w, (current_a - background_a) * 690)) + 1e-6


def test_the_planner_keeps_them_too() -> None:
    site = compiled()
    demands = [Demand(evse=point.key, departs_s=3600.0, remaining_wh=30_000.0) for point in site.site.evses]
    plan = Planner(site).plan(demands, 0.0, limits={"grid": NodeLimit(controlled_w=20_000.0)})
    assert plan is not None
    for slot in range(len(plan.slots_until_s)):
        assert sum(currents[slot] for currents in plan.currents_a.values()) * 690.0 <= 20_000.0 + 1.0
