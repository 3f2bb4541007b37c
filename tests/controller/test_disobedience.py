"""Cars that take what they want: what they overload is bounded (`controller.md` §3.8)."""

from dataclasses import replace

import pytest

from tests.controller.fault_world import CALM, Fault, FaultWorld
from tests.controller.test_controller import make_site

READS_S = 30.0
FOLLOWS_S = 15.0
"""A reading's way, a decision, a request's way, and a car's lag."""


@pytest.mark.parametrize("seed", range(3))
def test_what_a_disobeying_car_overloads_is_bounded_in_height_and_time(seed: int) -> None:
    """In height by what it draws; in time by one interval of readings and what it takes the others to make room."""
    trouble = replace(CALM, disobedient=frozenset({"S0"}))
    world = FaultWorld(make_site(4, 40), seed, trouble=trouble)
    for station in world.stations.values():
        station.readings, station.every_s = "phases", READS_S
    world.run(8)
    assert world.faults[Fault.DISOBEY] > 0
    assert 0.0 < world.highest_excess_a <= 32.0
    assert 0.0 < world.longest_excess_s <= READS_S + FOLLOWS_S
    assert "over-limit" in {alarm.kind for alarm in world.alarms}
