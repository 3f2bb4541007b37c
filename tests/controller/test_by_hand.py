"""What people set at a site holds, ends by the clock, and survives a restart together with who did it."""

from datetime import timedelta

import pytest

from forecourt.allocation.demand import NodeLimit
from forecourt.controller.by_hand import CHANGES_KEPT, Step
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Persist
from forecourt.controller.limits import TimedLimit
from forecourt.domain.site import EvseKey
from tests.controller.bench import Bench, Car
from tests.controller.test_controller import all_connected, make_site

FIRST, SECOND = EvseKey("S0", 1), EvseKey("S1", 1)


def two_cars(fuse_a: float = 32) -> Bench:
    bench = all_connected(make_site(2, fuse_a))
    bench.plug_in("S0", Car(32, 3))
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(300) == []
    return bench


def restarted(bench: Bench) -> Controller:
    return Controller(bench.site, bench.settings, memory=bench.journal.load(), now=bench.now)


def test_a_limit_of_an_evse_ends_by_itself() -> None:
    bench = two_cars()
    bench.controller.surroundings.by_hand.limit_evse(FIRST, 8.0, bench.now.at + timedelta(seconds=400))
    bench.controller.learned()
    assert bench.run(300) == []
    assert bench.evse("S0").current_a == 8.0
    assert restarted(bench).surroundings.evse_limit_a(FIRST) == 8.0
    assert bench.run(400) == []
    assert bench.evse("S0").current_a == 16.0
    assert restarted(bench).surroundings.evse_limit_a(FIRST) is None


def test_a_limit_of_a_node_ends_by_itself_and_its_end_needs_no_running_controller() -> None:
    bench = two_cars()
    surroundings = bench.controller.surroundings
    ends = bench.now.at + timedelta(seconds=400)
    surroundings.by_hand.limit_node("grid", TimedLimit(ends=ends, limit=NodeLimit(current_a=20.0)))
    surroundings.obey()
    bench.controller.learned()
    assert bench.run(300) == []
    assert bench.total_a() == 20.0
    memory = bench.journal.load()
    assert Controller(bench.site, bench.settings, memory=memory, now=bench.now).surroundings.by_hand.nodes
    assert bench.run(400) == []
    assert bench.total_a() == 32.0
    assert not Controller(bench.site, bench.settings, memory=memory, now=bench.now).surroundings.by_hand.nodes


def test_a_priority_by_hand_goes_before_the_file_s() -> None:
    bench = two_cars(fuse_a=16)
    assert [bench.evse(name).current_a for name in ("S0", "S1")] == [8.0, 8.0]
    bench.controller.surroundings.by_hand.prioritise(SECOND, 5)
    bench.controller.learned()
    assert bench.run(600) == []
    assert [bench.evse(name).current_a for name in ("S0", "S1")] == [0.0, 16.0]
    assert restarted(bench).surroundings.by_hand.priority(SECOND) == 5


def test_changes_are_kept_with_who_and_when_and_the_oldest_go() -> None:
    bench = two_cars()
    by_hand = bench.controller.surroundings.by_hand
    for number in range(CHANGES_KEPT + 3):
        by_hand.changed("Ada", f"change {number}", bench.now)
    (effect,) = bench.controller.remember()
    assert isinstance(effect, Persist)
    bench.journal.commit(effect.changes)
    kept = restarted(bench).surroundings.by_hand
    assert len(kept.changes) == CHANGES_KEPT == len(bench.journal.load()["change"])
    newest = kept.changes[-1]
    assert (newest.who, newest.what) == ("Ada", f"change {CHANGES_KEPT + 2}")
    assert kept.changed("Ada", "one more", bench.now).id == newest.id + 1


def test_an_uploaded_tariff_survives_and_has_to_rise() -> None:
    bench = two_cars()
    surroundings = bench.controller.surroundings
    steps = [Step(bench.now.at + timedelta(hours=hour), 0.3 - hour / 10) for hour in (0, 1)]
    surroundings.by_hand.set_tariff(steps)
    surroundings.obey()
    bench.controller.learned()
    bench.run(5)
    price = restarted(bench).surroundings.outlook.uploaded_price
    assert price is not None
    assert price.at(steps[1].start) == steps[1].value
    with pytest.raises(ValueError, match="rise"):
        surroundings.by_hand.set_tariff(reversed(steps))
    surroundings.by_hand.set_tariff([])
    surroundings.obey()
    bench.controller.learned()
    bench.run(5)
    assert restarted(bench).surroundings.outlook.uploaded_price is None
