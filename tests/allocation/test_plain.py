"""Many shares at once against one by one."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.allocation.worlds import demands_for, sites

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Demand
from forecourt.allocation.filling import OWN, Bundle, Tally, fill, look
from forecourt.allocation.plain import Incidence, fill_plain, look_plain
from forecourt.allocation.realtime import allocate
from forecourt.allocation.roster import MANY
from forecourt.domain.site import EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase, Phase


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_many_at_once_is_the_same_as_one_by_one(data: st.DataObject) -> None:
    site = data.draw(sites(wye_only=True, biggest=8))
    compiled = CompiledSite(site)
    demands = data.draw(demands_for(site))
    assume(demands)
    columns = [compiled.column(compiled.index(demand.evse), demand.active_phases) for demand in demands]
    maximums = [data.draw(st.sampled_from([6.0, 7.5, 16.0, 32.0])) for _ in demands]
    minimums = [data.draw(st.sampled_from([0.0, 0.0, 1.0, maximum])) for maximum in maximums]
    urgencies = [data.draw(st.sampled_from([1.0, 1.0, 0.04, 3.7, 125.0])) for _ in demands]
    tally = Tally(compiled.rows, compiled.room({}), compiled.phasors)
    tally.add(columns[0], data.draw(st.sampled_from([0.0, 5.0, 40.0])))
    needed = tally.copy()
    for column, minimum in zip(columns, minimums, strict=True):
        needed.add(column, minimum)
    assume(not needed.overfull(tally))

    def bundles() -> list[Bundle]:
        return [Bundle(*one) for one in zip(columns, minimums, maximums, [1] * len(columns), urgencies, strict=True)]

    question = (
        Incidence(columns, len(compiled.rows), {}),
        np.array(tally.used),
        np.array(tally.room.capacity),
        np.array(minimums),
        np.array(maximums),
        np.array(urgencies),
    )
    first, _ = look_plain(*question)
    levels, rows = fill_plain(*question)

    looked, filled = bundles(), bundles()
    look(tally.copy(), looked)
    fill(tally, filled)
    assert first.tolist() == pytest.approx([bundle.level_a for bundle in looked], abs=1e-9)
    assert all(low <= level + 1e-9 for low, level in zip(first, levels, strict=True))
    assert levels.tolist() == pytest.approx([bundle.level_a for bundle in filled], abs=1e-9)
    for level_a, row, bundle in zip(levels, rows, filled, strict=True):
        assert row != OWN or level_a >= bundle.maximum_a - 1e-9


def test_a_big_site_is_decided_as_a_small_one() -> None:
    """The same fuse for each EVSE, more of them: every share stays what it was."""

    def shares(count: int) -> set[float]:
        evses = tuple(
            EvsePoint(station_id=f"s{index}", phases=1, rotation=(list(Phase)[index % 3],)) for index in range(count)
        )
        site = Site(grid=GridConnection(name="G", rating_a=PerPhase.of(count / 3 * 7.25)), evses=evses).checked()
        demands = [Demand(evse=point.key) for point in site.evses]
        return {share.limit_a for share in allocate(CompiledSite(site), demands, 0.0).shares.values()}

    assert shares(9) == shares(3 * MANY) == {7.2}
