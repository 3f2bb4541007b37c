"""EVSEs that hold something by themselves: what is decided counts it, and what is said of them is what they have."""

from collections.abc import Mapping
from datetime import timedelta

from forecourt.controller.settings import ControllerSettings
from forecourt.controller.status import site_status
from forecourt.controller.surplus import ChargeMode
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
)
from forecourt.domain.requests import SetChargingProfile
from forecourt.domain.site import EvseKey, EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase
from tests.controller.bench import Bench, Car, Faults
from tests.controller.test_controller import ROTATIONS, all_connected, make_site

FIRST = EvseKey("S0", 1)


def site_of(fallbacks_a: tuple[float, ...], fuse_a: float) -> Site:
    """EVSEs on one fuse, each beginning with the next line."""
    points = tuple(
        EvsePoint(station_id=f"S{number}", rotation=ROTATIONS[number % 3], fallback_a=fallback_a)
        for number, fallback_a in enumerate(fallbacks_a)
    )
    return Site(grid=GridConnection(name="grid", rating_a=PerPhase.of(fuse_a)), evses=points).checked()


def said(bench: Bench) -> Mapping[str, float]:
    """The ampere that the words about each EVSE begin with."""
    status = site_status(bench.controller, bench.now)
    return {one.key.station_id: float(one.why.partition(" A: ")[0]) for one in status.evses}


def targets(bench: Bench) -> Mapping[str, float]:
    return {key.station_id: line.target_a for key, line in bench.controller.lines.items()}


def test_a_fallback_is_counted_on_the_lines_that_its_car_does_not_use() -> None:
    bench = all_connected(site_of((6.0, 0.0), 32))
    bench.plug_in("S0", Car(32, 1))
    bench.plug_in("S1", Car(32, 1))
    assert bench.run(900) == []
    assert bench.evse("S0").current_a == 32.0, "alone on L1"
    assert bench.evse("S1").current_a == 26.0, "of L2 another car, plugged in at S0, might draw 6 A"
    assert targets(bench) == {"S0": 32.0, "S1": 26.0}, "nothing is promised that the books don't allow"


def test_who_falls_back_to_its_minimum_takes_no_turns() -> None:
    bench = all_connected(site_of((6.0, 0.0, 0.0), 13))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(32, 3))
    charged = dict.fromkeys(bench.evses, 0)
    assert bench.run(120) == []
    for _ in range(120):
        assert bench.run(60) == []
        for key, evse in bench.evses.items():
            charged[key] += evse.current_a >= 6.0
        assert said(bench) == targets(bench), "the words say what it has"
    assert charged[FIRST] == 120
    others = [minutes for key, minutes in charged.items() if key != FIRST]
    assert min(others) >= 50, "the room for one of them is used all the time, in turns"
    assert max(others) <= 70


def test_an_evse_without_a_car_is_said_to_have_what_it_falls_back_to() -> None:
    bench = all_connected(site_of((6.0, 0.0), 32))
    whys = {one.key.station_id: one.why for one in site_status(bench.controller, bench.now).evses}
    assert whys == {"S0": "6.0 A: no demand, what it falls back to", "S1": "0.0 A: no demand"}


def test_whom_somebody_wants_to_have_less_has_less_and_its_fallback_stays_counted() -> None:
    bench = all_connected(site_of((8.0, 0.0), 32))
    bench.plug_in("S0", Car(32, 3))
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(300) == []
    surroundings = bench.controller.surroundings
    for limit_a, flows_a in ((0.0, 0.0), (6.5, 6.5), (4.0, 0.0)):
        surroundings.limit_evse(FIRST, limit_a)
        bench.controller.learned()
        assert bench.run(300) == []
        assert bench.evse("S0").current_a == flows_a
        assert bench.evse("S1").current_a == 24.0
        assert said(bench) == targets(bench)
    why = site_status(bench.controller, bench.now).evses[0].why
    assert why == "0.0 A: set by hand is 4 A, below its minimum of 6 A"
    surroundings.limit_evse(FIRST, None)
    surroundings.surplus.set_mode(FIRST, ChargeMode.OFF)
    bench.controller.learned()
    assert bench.run(2000) == [], "for longer than a lease"
    assert bench.evse("S0").current_a == 0.0
    assert site_status(bench.controller, bench.now).evses[0].why == "0.0 A: switched off"
    surroundings.surplus.set_mode(FIRST, ChargeMode.FAST)
    bench.controller.learned()
    assert bench.run(300) == []
    assert bench.evse("S0").current_a == 16.0


def test_a_limit_of_the_csms_goes_below_the_fallback() -> None:
    bench = all_connected(site_of((6.0,), 32))
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(60) == []
    schedule = ChargingSchedule(
        id=1,
        rate_unit=ChargingRateUnit.A,
        start_schedule=bench.now.at - timedelta(seconds=1),
        periods=(ChargingSchedulePeriod(0, 0.0),),
    )
    profile = ChargingProfile(
        id=1,
        stack_level=0,
        purpose=ChargingProfilePurpose.TX_DEFAULT,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(schedule,),
    )
    bench.controller.csms_asked("S0", SetChargingProfile(evse_id=1, profile=profile), bench.now)
    assert bench.run(120) == []
    assert bench.evse("S0").current_a == 0.0


def test_a_car_that_takes_little_keeps_the_fallback_of_its_evse() -> None:
    bench = all_connected(site_of((10.0, 0.0), 32))
    bench.plug_in("S0", Car(7, 3))
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(900) == []
    assert targets(bench) == {"S0": 10.0, "S1": 22.0}


def test_a_fallback_above_the_fair_share_is_kept() -> None:
    bench = all_connected(site_of((12.0, 0.0, 0.0), 30))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(32, 3))
    assert bench.run(600) == []
    assert targets(bench) == {"S0": 12.0, "S1": 9.0, "S2": 9.0}
    why = site_status(bench.controller, bench.now).evses[0].why
    assert why == "12.0 A: what it falls back to; more doesn't fit now"


def test_who_is_to_have_more_gets_at_once_what_there_is() -> None:
    """Not only its minimum, until others have been seen to make room for all of it."""
    bench = Bench(make_site(2, 40), ControllerSettings(), faults=Faults(delay_s=0))
    for name in ("S0", "S1"):
        bench.connect(name, boots=True)
    assert bench.run(120) == []
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(120) == []
    before = len(bench.sent)
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(300) == []
    limits = [
        ask.request.profile.schedule.periods[0].rate_limit
        for ask in bench.sent[before:]
        if isinstance(ask.request, SetChargingProfile) and ask.station_id == "S1"
    ]
    assert limits == [8.0, 20.0]
