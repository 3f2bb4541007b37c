"""How things stand is told as it is, from the first reading on."""

from forecourt.controller.settings import ControllerSettings
from forecourt.controller.status import EvseState, site_status
from forecourt.quantities import PerPhase
from tests.controller.bench import Bench, Car
from tests.controller.test_controller import all_connected, make_site


def test_power_and_lines_are_those_of_the_reading_though_nobody_knows_yet_which_phases_the_car_uses() -> None:
    bench = all_connected(make_site(3, 63))
    bench.plug_in("S0", Car(16, 3))
    bench.plug_in("S1", Car(16, 1))
    assert bench.run(45) == []
    assert bench.controller.lines[bench.evse("S1").point.key].account.active_phases is None
    three, one, free = site_status(bench.controller, bench.now).evses
    assert (three.power_w, three.lines_a) == (3 * 16 * 230.0, PerPhase(16.0, 16.0, 16.0))
    assert (one.power_w, one.lines_a) == (16 * 230.0, PerPhase(0.0, 16.0, 0.0)), "its first phase lies on L2"
    assert (free.power_w, free.lines_a) == (0.0, PerPhase())
    assert [evse.state for evse in (three, one, free)] == [EvseState.CHARGING, EvseState.CHARGING, EvseState.UNPLUGGED]


def test_what_was_not_read_is_not_told() -> None:
    bench = Bench(make_site(1, 63), ControllerSettings())
    bench.connect("S0", boots=True)
    bench.plug_in("S0", Car(16, 3))
    (evse,) = site_status(bench.controller, bench.now).evses
    assert (evse.power_w, evse.current_a, evse.lines_a) == (None, None, None)
