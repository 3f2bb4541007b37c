"""A car over its limit is seen, counted, paused and quarantined, and the others make room (`controller.md` §3.8)."""

from forecourt.controller.controller import Controller
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.status import site_status
from forecourt.domain.site import EvseKey
from tests.controller.bench import Bench, Car
from tests.controller.test_controller import all_connected, make_site

SEEN_S = 5
"""Where a meter reads every second."""
FOLLOWED_S = 30
"""Requests on their way, cars that follow; the bench's delays included."""


def three_cars() -> Bench:
    bench = all_connected(make_site(3, 42))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(32, 3))
    assert bench.run(300) == []
    assert [evse.current_a for evse in bench.evses.values()] == [14.0, 14.0, 14.0]
    return bench


def each_second(bench: Bench, station_id: str, seconds: int) -> int:
    """Run with a meter that reads every second; how many of them were overloaded."""
    overloaded = 0
    for _ in range(seconds):
        overloaded += bool(bench.run(1))
        bench._meter(bench.evse(station_id))
    return overloaded


def kinds(bench: Bench) -> list[str]:
    return [alarm.kind for alarm in bench.alarms]


def test_it_is_seen_within_seconds_and_the_others_make_room() -> None:
    bench = three_cars()
    bench.evse("S0").car = Car(26, 3, ignores=True)
    each_second(bench, "S0", SEEN_S)
    assert kinds(bench) == ["over-limit"]
    line = bench.controller.lines[EvseKey("S0", 1)]
    assert line.account.exposure_a(bench.now) == 26.0
    overloaded = each_second(bench, "S0", FOLLOWED_S)
    assert overloaded < FOLLOWED_S
    assert each_second(bench, "S0", 60) == 0, "bounded in time"
    assert [bench.evse(name).current_a for name in ("S1", "S2")] != [14.0, 14.0]


def test_who_goes_on_though_paused_is_quarantined_until_it_is_unplugged() -> None:
    bench = three_cars()
    bench.evse("S0").car = Car(26, 3, ignores=True)
    each_second(bench, "S0", 90)
    assert kinds(bench) == ["over-limit", "quarantined"]
    line = bench.controller.lines[EvseKey("S0", 1)]
    assert line.target_a == 0.0
    assert line.conduct.reserved_a(bench.now) == line.point.maximum_a
    bench.evse("S0").car = Car(26, 3)
    each_second(bench, "S0", 900)
    assert bench.evse("S0").current_a == 0.0, "it behaves now, and gets nothing all the same"
    assert [bench.evse(name).current_a for name in ("S1", "S2")] == [21.0, 21.0]
    bench.unplug("S0")
    bench.plug_in("S0", Car(32, 3))
    assert each_second(bench, "S0", 300) == 0
    assert bench.evse("S0").current_a == 14.0


def test_who_slips_once_is_paused_and_gets_its_share_again() -> None:
    bench = three_cars()
    bench.evse("S0").car = Car(20, 3, ignores=True)
    each_second(bench, "S0", 10)
    bench.evse("S0").car = Car(32, 3)
    each_second(bench, "S0", 60)
    assert bench.evse("S0").current_a == 0.0
    assert each_second(bench, "S0", 400) == 0
    assert bench.evse("S0").current_a == 14.0
    assert kinds(bench) == ["over-limit"]


def test_a_station_that_never_connected_counts_as_the_installer_says() -> None:
    site = make_site(3, 42, fallback_a=6)
    cautious = Controller(site, ControllerSettings())
    trusting = Bench(site, ControllerSettings(never_connected="fallback"))
    now = trusting.now
    assert [load.current_a for load in cautious.exposures(now)] == [32.0, 32.0, 32.0]
    assert [load.current_a for load in trusting.controller.exposures(now)] == [6.0, 6.0, 6.0]
    trusting.connect("S0", boots=True)
    assert [load.current_a for load in trusting.controller.exposures(now)] == [32.0, 6.0, 6.0]
    trusting.run(120)
    trusting.plug_in("S0", Car(32, 3))
    trusting.run(120)
    assert trusting.evse("S0").current_a == 30.0
    again = Controller(site, trusting.settings, memory=trusting.journal.load(), now=trusting.now)
    loads = [(load.evse.station_id, load.current_a) for load in again.exposures(trusting.now)]
    assert loads[-2:] == [("S1", 6.0), ("S2", 6.0)]
    assert sum(current_a for station_id, current_a in loads if station_id == "S0") >= 30.0


def test_whoever_looks_is_told_why() -> None:
    bench = three_cars()
    bench.evse("S0").car = Car(26, 3, ignores=True)
    each_second(bench, "S0", SEEN_S)

    def why() -> str:
        return next(one.why for one in site_status(bench.controller, bench.now).evses if one.key.station_id == "S0")

    assert why() == "0.0 A: drew more than its limit; for another 5 min"
    each_second(bench, "S0", 90)
    assert why().endswith("until it is unplugged")
    bench.unplug("S0")
    bench.disconnect("S0")
    assert why().startswith("can't be reached; ")
