"""The controller ends at any instant and starts again from its journal: nothing is overloaded, nobody has to boot
(`controller.md` §3.6)."""

import random
from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.controller.controller import Controller
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.journal import Change, Put
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
)
from forecourt.domain.requests import SetChargingProfile
from forecourt.store.journal import MemoryJournal
from tests.controller.bench import Bench, Car, Faults
from tests.controller.test_controller import all_connected, make_site, play


def exposures(bench: Bench) -> dict[str, float]:
    return {str(load.evse): load.current_a for load in bench.controller.exposures(bench.now)}


def busy() -> Bench:
    bench = all_connected(make_site(3, 40))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(32, 3))
    assert bench.run(600) == []
    assert bench.total_a() == pytest.approx(39.9)
    return bench


def test_a_restart_in_the_middle_of_a_busy_site_disturbs_nobody() -> None:
    bench = busy()
    bench.kill()
    for _ in range(600):
        assert bench.run(1) == []
        assert bench.total_a() == pytest.approx(39.9), "cars go on as they did"
    assert bench.up_at is None


def test_after_a_restart_the_books_are_as_before_and_not_at_the_maximum() -> None:
    bench = busy()
    before = exposures(bench)
    bench.kill()
    bench.run(bench.downtime_s)
    assert exposures(bench) == before
    assert sum(before.values()) < 41


def test_without_its_journal_every_evse_counts_with_its_maximum() -> None:
    bench = busy()
    bench.journal = MemoryJournal()
    bench.kill()
    bench.run(bench.downtime_s)
    assert list(exposures(bench).values()) == [32, 32, 32]
    assert bench.run(600) == []
    assert bench.total_a() == pytest.approx(39.9), "and from what stations confirm it finds its way back"


def test_a_record_that_can_t_be_read_counts_as_none() -> None:
    bench = busy()
    bench.journal.commit([Put("line", "S1/1", b"\xff nonsense")])
    bench.kill()
    bench.run(bench.downtime_s)
    assert exposures(bench)["S1/1"] == 32
    assert bench.run(600) == []


def test_a_controller_that_stays_away_leaves_the_fallback_and_comes_back_to_it() -> None:
    bench = busy()
    bench.downtime_s = round(ControllerSettings().lease_s) + 100
    bench.kill()
    assert bench.run(bench.downtime_s - 1) == []
    assert bench.total_a() == 0
    assert bench.run(600) == []
    assert bench.total_a() == pytest.approx(39.9)


def story(bench: Bench) -> None:
    """Everything that writes: first limits, a raise, a share that shrinks for another's, an end, a new car."""
    for point in bench.site.evses:
        bench.connect(point.station_id, boots=True)
    while bench.run(30) or any(evse.profile is None for evse in bench.evses.values()):
        pass  # commissioning: no car before the stations hold their first limits
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(60) == []
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(90) == []
    bench.unplug("S0")
    assert bench.run(45) == []
    bench.plug_in("S0", Car(16, 1))
    assert bench.run(90) == []


def commits_of_the_story() -> int:
    bench = Bench(make_site(2, 32), ControllerSettings())
    story(bench)
    return bench.commits


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.timeout(900)
@pytest.mark.parametrize("downtime_s", [1, pytest.param(120, marks=pytest.mark.slow)])
def test_the_power_is_cut_at_each_commit(before: bool, downtime_s: int) -> None:
    number_of_commits = commits_of_the_story()
    assert number_of_commits > 15
    for number in range(1, number_of_commits + 1):
        bench = Bench(make_site(2, 32), ControllerSettings())
        bench.kill_at, bench.kill_before, bench.downtime_s = number, before, downtime_s
        story(bench)
        assert bench.commits >= number
        assert bench.run(700) == []
        assert bench.total_a() > 16, f"cut at {number}: cars charge on"


class Forgetful(MemoryJournal):
    """Says that an EVSE holds its fallback, whatever it was sent."""

    def commit(self, changes: Iterable[Change]) -> None:
        kept = b'{"base":{"current_a":0.0},"in_transaction":true}'
        super().commit([Put(c.section, c.key, kept) for c in changes if isinstance(c, Put) and c.section == "line"])


def test_a_limit_is_in_the_journal_before_it_leaves() -> None:
    """A raise that leaves and is not kept overloads the site: the same cut, and a journal that forgot."""
    site = make_site(2, 32)
    broken = []
    for number in count(1):
        bench = Bench(site, ControllerSettings())
        bench.kill_at, bench.downtime_s = number, 1
        bench.journal = Forgetful()
        for point in site.evses:
            bench.connect(point.station_id, boots=True)
        bench.run(60)
        bench.plug_in("S0", Car(32, 3))
        bench.run(60)
        if bench.commits < number:
            break
        bench.disconnect("S0")
        bench.plug_in("S1", Car(32, 3))
        broken += bench.run(120)
    assert broken, "the bench sees what a forgotten limit does"


@given(seed=st.integers(0, 2**32), fuse_a=st.sampled_from([25, 40]), downtime_s=st.integers(0, 600))
@settings(max_examples=4, deadline=None)
def test_no_fault_and_no_restart_overloads_a_node(seed: int, fuse_a: float, downtime_s: int) -> None:
    chance = random.Random(seed)
    faults = Faults(refuse=0.1, lose_request=0.1, lose_answer=0.2, delay_s=6)
    bench = Bench(make_site(4, fuse_a), ControllerSettings(), seed=seed, faults=faults)
    for point in bench.site.evses:
        bench.connect(point.station_id, boots=True)
    bench.run(1200)
    bench.downtime_s = downtime_s
    for _ in range(6):
        bench.kill_at, bench.kill_before = bench.commits + chance.randint(1, 15), chance.random() < 0.5
        play(bench, chance, 10)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_long_days_with_restarts(seed: int) -> None:
    chance = random.Random(seed)
    faults = Faults(refuse=0.1, lose_request=0.1, lose_answer=0.2, delay_s=6)
    site = make_site(chance.randint(3, 10), chance.choice([25, 40, 63]), circuit_a=chance.choice([None, 20]))
    bench = Bench(site, ControllerSettings(), seed=seed, faults=faults)
    for point in site.evses:
        bench.connect(point.station_id, boots=True)
    bench.run(1200)
    for _ in range(60):
        bench.kill_at, bench.kill_before = bench.commits + chance.randint(1, 30), chance.random() < 0.5
        bench.downtime_s = chance.choice([0, 5, 60, 1500])
        play(bench, chance, 10)


def test_the_csms_s_constraints_survive() -> None:
    bench = all_connected(make_site(1, 40))
    profile = ChargingProfile(
        id=7,
        stack_level=0,
        purpose=ChargingProfilePurpose.TX_DEFAULT,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(
            ChargingSchedule(
                id=1,
                rate_unit=ChargingRateUnit.A,
                start_schedule=bench.now.at,
                periods=(ChargingSchedulePeriod(0, 9.0),),
            ),
        ),
    )
    _, effects = bench.controller.csms_asked("S0", SetChargingProfile(evse_id=1, profile=profile), bench.now)
    bench._apply(effects)
    bench.kill()
    bench.run(30)
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(120) == []
    assert bench.evse("S0").current_a == 9.0


def test_a_station_that_left_the_site_file_is_no_trouble() -> None:
    bench = busy()
    smaller = make_site(1, 40)
    controller = Controller(smaller, ControllerSettings(), memory=bench.journal.load(), now=bench.now)
    assert {str(load.evse) for load in controller.exposures(bench.now)} == {"S0/1"}
