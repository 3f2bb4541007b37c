"""Drivers in front of real station cores: a recorded day in virtual time, and what people do when things go wrong."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.station.bench import IDENTITY, ONE, Csms

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.events import TransactionEnded, TransactionStarted
from forecourt.domain.meter import energy_wh
from forecourt.domain.site import EvseKey
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.transaction import StoppedReason
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import VehicleSpec
from forecourt.sim.clock import VirtualClock
from forecourt.sim.demo_site import demo_site, recorded_day
from forecourt.sim.site_physics import SitePhysics
from forecourt.sim.timeline import Timeline
from forecourt.sim.visits import Visit, VisitedHardware, visits_of
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.ports import Hardware
from forecourt.station.station import Station
from forecourt.store.journal import MemoryJournal

ALICE = IdToken("ALICE")
QUICK = VehicleSpec(maximum_a=16.0, ramp_s=0.0, reaction_s=0.0)


class SimulatedStation:
    """A station's core with its hardware and a CSMS that answers at once."""

    def __init__(self, hardware: VisitedHardware, csms: Csms | None = None, *, now: Now) -> None:
        self.csms = csms or Csms()
        self.hardware = hardware
        evses = tuple(
            EvseConfig(number_phases=evse.number_phases, has_lock=evse.has_lock) for evse in hardware.evses.values()
        )
        ids = iter(range(1_000_000))
        self.station = Station(StationConfig(identity=IDENTITY, evses=evses), ONE, lambda: f"own-{next(ids)}")
        self._carry_out(self.station.restore(MemoryJournal().load(), now), now)
        self._tell([*hardware.report(now), i.LinkUp()], now)

    def next_deadlines(self) -> Deadlines:
        return self.station.next_deadlines().earliest(self.hardware.next_deadlines())

    def expire(self, now: Now) -> None:
        self._tell(self.hardware.advance(now), now)
        if self.station.next_deadlines().due(now):
            self._carry_out(self.station.expire(now), now)

    def _tell(self, inputs: Sequence[i.Input], now: Now) -> None:
        for received in inputs:
            self._carry_out(self.station.step(received, now), now)

    def _carry_out(self, effects: list[e.Effect], now: Now) -> None:
        for effect in effects:
            if isinstance(effect, e.Send):
                answer = self.csms.answer(effect.call, now)
                self._carry_out(self.station.step(i.CallAnswered(effect.call_id, answer), now), now)
            elif isinstance(effect, e.HardwareEffect):
                self._tell(self.hardware.carry_out(effect, now), now)


def lived(
    visits: list[Visit],
    until_s: float,
    csms: Csms | None = None,
    *,
    meanwhile: tuple[float, Callable[[SimulatedStation], None]] | None = None,
    has_lock: bool = True,
) -> SimulatedStation:
    """One station with one EVSE, until then."""
    timeline = Timeline()
    hardware = VisitedHardware(SimulatedHardware([SimulatedEvse(has_lock=has_lock)]), visits)
    station = SimulatedStation(hardware, csms, now=timeline.now)
    timeline.add(station)
    if meanwhile is not None:
        at_s, act = meanwhile
        timeline.at(at_s, lambda _: act(station))
    timeline.run(until_s)
    return station


def visit(arrives_s: float = 100.0, departs_s: float = 3_700.0, **facts: object) -> Visit:
    told: dict[str, object] = {"session_id": "s", "vehicle": QUICK, "id_token": ALICE, **facts}
    return Visit(arrives_s=arrives_s, departs_s=departs_s, **told)  # type: ignore[arg-type]


def test_a_recorded_day_ends_with_every_transaction_booked_and_equal_energy() -> None:
    day = recorded_day()
    site = demo_site([session.station_id for session in day])
    timeline = Timeline(VirtualClock(day[0].arrival - timedelta(minutes=5)))
    stations: dict[str, SimulatedStation] = {}
    visits = visits_of(day, timeline.now.at)
    for point in site.evses:
        evse = SimulatedEvse(number_phases=point.phases, reading_every_s=60.0)
        hardware = VisitedHardware(SimulatedHardware([evse]), visits[point.station_id])
        stations[point.station_id] = SimulatedStation(hardware, now=timeline.now)
        timeline.add(stations[point.station_id])
    evses = {EvseKey(station_id, 1): station.hardware.evses[1] for station_id, station in stations.items()}
    physics = SitePhysics(site, evses)
    timeline.run(20 * 3600.0)
    physics.advance(timeline.now.elapsed_s)

    assert sum(len(station.hardware.stays) for station in stations.values()) == len(day)
    reasons = set()
    for station in stations.values():
        started, ended = station.csms.told(TransactionStarted), station.csms.told(TransactionEnded)
        stays = station.hardware.stays
        assert len(started) == len(ended) == len(stays)
        booked_wh = 0.0
        for begin, end, stay in zip(started, ended, stays, strict=True):
            assert stay.accepted
            assert stay.unplugged_s is not None
            assert begin.id_token == stay.visit.id_token
            begin_wh, end_wh = energy_wh(begin.meter_values), energy_wh(end.meter_values)
            assert begin_wh is not None
            assert end_wh is not None
            assert end_wh - begin_wh == pytest.approx(stay.delivered_wh, abs=0.2)
            booked_wh += end_wh - begin_wh
            reasons.add(end.reason)
        assert booked_wh == pytest.approx(station.hardware.evses[1].register_wh, abs=0.2 * len(stays) + 0.2)
        assert not station.hardware.evses[1].plug_present
    assert reasons == {StoppedReason.LOCAL, StoppedReason.EV_DISCONNECTED}
    assert physics.max_load_ratio["grid"].highest > 1.5, "nobody manages the load here"


@pytest.mark.parametrize("taps_to_leave", [True, False])
@pytest.mark.parametrize("has_lock", [True, False])
def test_a_driver_leaves_nothing_behind(taps_to_leave: bool, has_lock: bool) -> None:
    csms = Csms()
    station = lived([visit(taps_to_leave=taps_to_leave)], 5_000.0, csms, has_lock=has_lock)
    (ended,) = csms.told(TransactionEnded)
    assert ended.reason is (StoppedReason.LOCAL if taps_to_leave else StoppedReason.EV_DISCONNECTED)
    (stay,) = station.hardware.stays
    assert stay.unplugged_s == 3_700.0 + (15.0 if taps_to_leave else 0.0)
    assert not station.hardware.evses[1].plug_present
    assert station.hardware.next_deadlines() == Deadlines()


def test_who_is_refused_tries_again_and_gives_up() -> None:
    csms = Csms()
    csms.tokens["alice"] = IdTokenInfo(status=AuthorizationStatus.BLOCKED)
    station = lived([visit()], 5_000.0, csms)
    (stay,) = station.hardware.stays
    assert not stay.accepted
    assert stay.delivered_wh == 0.0
    assert csms.told(TransactionStarted) == []
    asked = [call for call in csms.calls if type(call).__name__ == "Authorize"]
    assert len(asked) == 10
    assert not station.hardware.evses[1].plug_present


def test_who_is_refused_at_first_charges_after_all() -> None:
    csms = Csms()
    csms.tokens["alice"] = IdTokenInfo(status=AuthorizationStatus.BLOCKED)
    station = lived([visit()], 5_000.0, csms, meanwhile=(150.0, lambda station: station.csms.tokens.clear()))
    (stay,) = station.hardware.stays
    assert stay.accepted
    assert stay.delivered_wh == pytest.approx(16 * 3 * 230.0 * (3_700.0 - 170.0) / 3600.0)
    assert len(csms.told(TransactionEnded)) == 1


def test_who_comes_too_early_waits_for_the_place() -> None:
    bob = visit(3_000.0, 8_000.0, session_id="b", id_token=IdToken("BOB"))
    station = lived([visit(), bob], 9_000.0)
    first, second = station.hardware.stays
    assert first.unplugged_s is not None
    assert first.unplugged_s < second.plugged_in_s < first.unplugged_s + 60.0
    assert second.accepted
    late = visit(3_000.0, 3_700.0, session_id="b", id_token=IdToken("BOB"))
    assert len(lived([visit(), late], 9_000.0).hardware.stays) == 1


def test_a_visit_that_has_begun_before_the_world_begins_at_once() -> None:
    station = lived([visit(-500.0, 1_000.0)], 2_000.0)
    (stay,) = station.hardware.stays
    assert stay.plugged_in_s == 0.0
    assert stay.accepted


def test_visits_are_those_of_the_recording() -> None:
    day = recorded_day()
    start = day[0].arrival + timedelta(hours=6)
    visits = visits_of(day, start)
    assert visits == visits_of(reversed(day), start)
    assert {visit.session_id for those in visits.values() for visit in those} == {
        session.session_id for session in day if session.departure > start
    }
    assert visits_of(day, start, seed=1) != visits


def test_it_is_hardware_like_any_other() -> None:
    hardware: Hardware = VisitedHardware(SimulatedHardware([SimulatedEvse()]), [visit()])
    assert hardware.next_deadlines() == Deadlines(elapsed_s=100.0)
    now = Now(0.0, 0.0, datetime(2024, 1, 1, tzinfo=UTC))
    assert i.PilotChanged(1, i.Pilot.A) in hardware.report(now)
    with pytest.raises(KeyError):
        VisitedHardware(SimulatedHardware([SimulatedEvse()]), [visit(evse_id=2)])
