"""The simulated EVSE: IEC 61851 states, contactor, lock, meter, and what the core is told of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.meter import Measurand, MeasuredPhase, MeterValue, energy_wh, reading
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import PlugError, SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.station.effects import (
    ClosePowerPath,
    HardwareEffect,
    LockConnector,
    OpenPowerPath,
    Reboot,
    ReleaseConnector,
    SetClock,
    SetLimit,
)
from forecourt.station.inputs import (
    CableChanged,
    Fault,
    FaultCleared,
    FaultRaised,
    HardwareInput,
    LockChanged,
    LockOutcome,
    MeterReading,
    Pilot,
    PilotChanged,
    TokenPresented,
)
from forecourt.station.ports import Hardware

START = datetime(2024, 5, 1, 6, tzinfo=UTC)
PROMPT = VehicleSpec(maximum_a=16.0, ramp_s=0.0, reaction_s=0.0)


def at(elapsed_s: float) -> Now:
    return Now(elapsed_s, elapsed_s, START + timedelta(seconds=elapsed_s))


def without_readings(news: Sequence[HardwareInput]) -> list[HardwareInput]:
    return [one for one in news if not isinstance(one, MeterReading)]


def do(evse: SimulatedEvse, elapsed_s: float, *effects: HardwareEffect) -> list[HardwareInput]:
    return [news for effect in effects for news in evse.carry_out(effect, at(elapsed_s))]


def charging(evse: SimulatedEvse, spec: VehicleSpec = PROMPT, limit_a: float = 16.0) -> Vehicle:
    """A car that charges from second 0 on."""
    vehicle = Vehicle(spec)
    evse.plug_in(vehicle, at(0))
    do(evse, 0, LockConnector(1), SetLimit(1, limit_a, 3), ClosePowerPath(1))
    return vehicle


def test_it_is_the_hardware_that_a_station_asks_for() -> None:
    hardware: Hardware = SimulatedHardware([SimulatedEvse()])
    assert hardware.next_deadlines() == Deadlines()


def test_a_session_from_plug_to_departure() -> None:
    evse = SimulatedEvse(reading_every_s=600.0)
    evse.report(at(0))
    vehicle = Vehicle(PROMPT)
    assert without_readings(evse.plug_in(vehicle, at(10))) == [CableChanged(1, present=True), PilotChanged(1, Pilot.B)]
    assert do(evse, 11, LockConnector(1)) == [LockChanged(1, LockOutcome.LOCKED)]
    assert do(evse, 12, SetLimit(1, 10.0, 3)) == []
    assert without_readings(do(evse, 12, ClosePowerPath(1))) == [PilotChanged(1, Pilot.C)]
    evse.advance(at(12 + 3600))
    assert evse.register_wh == pytest.approx(6900.0)
    assert without_readings(do(evse, 3612, OpenPowerPath(1))) == [PilotChanged(1, Pilot.B)]
    assert evse.power_w == 0.0
    assert do(evse, 3613, ReleaseConnector(1)) == [LockChanged(1, LockOutcome.UNLOCKED)]
    assert without_readings(evse.unplug(at(3700))) == [PilotChanged(1, Pilot.A), CableChanged(1, present=False)]
    assert evse.register_wh == pytest.approx(6900.0), "the register stays"


def test_the_last_reading_comes_before_the_change_of_the_pilot() -> None:
    evse = SimulatedEvse()
    vehicle = charging(evse, VehicleSpec(maximum_a=16.0, requested_wh=1_000.0, ramp_s=0.0, reaction_s=0.0))
    done_s = vehicle.next_event_s
    last_reading, pilot = evse.advance(at(done_s))
    assert isinstance(last_reading, MeterReading)
    assert energy_wh([MeterValue(START, last_reading.samples)]) == pytest.approx(1_000.0, abs=0.1)
    assert reading([MeterValue(START, last_reading.samples)], Measurand.POWER_ACTIVE_IMPORT) == 0.0
    assert pilot == PilotChanged(1, Pilot.B)
    assert evse.next_deadlines() == Deadlines(), "nothing happens by itself any more"


def test_the_meter_shows_every_phase_that_is_wired() -> None:
    evse = SimulatedEvse()
    charging(evse, VehicleSpec(number_phases=2, maximum_a=16.0, ramp_s=0.0, reaction_s=0.0, tells_soc=True), 13.0)
    evse.advance(at(1.0))
    shown = {(sample.measurand, sample.phase): sample.value for sample in evse.samples()}
    assert shown[Measurand.CURRENT_IMPORT, MeasuredPhase.L1] == 13.0
    assert shown[Measurand.CURRENT_IMPORT, MeasuredPhase.L2] == 13.0
    assert shown[Measurand.CURRENT_IMPORT, MeasuredPhase.L3] == 0.0
    assert shown[Measurand.VOLTAGE, MeasuredPhase.L3_N] == 230.0
    assert shown[Measurand.POWER_ACTIVE_IMPORT, None] == 13.0 * 2 * 230.0
    assert shown[Measurand.SOC, None] == 25.0


def test_readings_come_while_current_flows_and_only_then() -> None:
    evse = SimulatedEvse(reading_every_s=5.0)
    charging(evse)
    assert evse.next_deadlines() == Deadlines(elapsed_s=5.0)
    assert [type(one) for one in evse.advance(at(5.0))] == [MeterReading]
    assert evse.next_deadlines() == Deadlines(elapsed_s=10.0)
    do(evse, 7.0, OpenPowerPath(1))
    assert evse.next_deadlines() == Deadlines()
    assert evse.advance(at(100.0)) == []


def test_a_limit_below_the_minimum_pauses_the_car() -> None:
    evse = SimulatedEvse()
    charging(evse)
    assert without_readings(do(evse, 10, SetLimit(1, 5.0, 3))) == [PilotChanged(1, Pilot.B)]
    assert without_readings(do(evse, 20, SetLimit(1, 8.0, 3))) == [PilotChanged(1, Pilot.C)]
    assert evse.current_a == (8.0, 8.0, 8.0)


def test_the_evse_bears_no_more_than_its_rating() -> None:
    evse = SimulatedEvse(maximum_a=10.0, number_phases=1)
    charging(evse, VehicleSpec(maximum_a=32.0, ramp_s=0.0, reaction_s=0.0), 32.0)
    assert evse.current_a == (10.0, 0.0, 0.0)


def test_a_locked_plug_stays_when_the_car_goes() -> None:
    evse = SimulatedEvse()
    charging(evse)
    assert without_readings(evse.unplug(at(60))) == [PilotChanged(1, Pilot.A)]
    with pytest.raises(PlugError, match="plug is there"):
        evse.plug_in(Vehicle(PROMPT), at(61))
    assert do(evse, 62, ReleaseConnector(1)) == [LockChanged(1, LockOutcome.UNLOCKED), CableChanged(1, present=False)]
    evse.plug_in(Vehicle(PROMPT), at(63))


def test_a_lock_that_is_broken_says_so() -> None:
    evse = SimulatedEvse(lock_works=False)
    evse.plug_in(Vehicle(PROMPT), at(0))
    assert do(evse, 1, LockConnector(1)) == [LockChanged(1, LockOutcome.FAILED)]
    stuck = SimulatedEvse()
    charging(stuck)
    stuck.lock_works = False
    assert do(stuck, 0, ReleaseConnector(1)) == [LockChanged(1, LockOutcome.FAILED)]
    assert stuck.locked


def test_a_fixed_cable_is_never_told_of() -> None:
    evse = SimulatedEvse(has_lock=False)
    assert without_readings(evse.report(at(0))) == [PilotChanged(1, Pilot.A)]
    assert without_readings(evse.plug_in(Vehicle(PROMPT), at(1))) == [PilotChanged(1, Pilot.B)]
    assert without_readings(evse.unplug(at(2))) == [PilotChanged(1, Pilot.A)]


def test_an_inoperative_fault_stops_the_current_until_it_is_gone() -> None:
    evse = SimulatedEvse()
    charging(evse)
    fault = Fault(fault_id="rcd", code="GroundFailure", inoperative=True)
    assert without_readings(evse.fail(fault, at(10))) == [PilotChanged(1, Pilot.B), FaultRaised(1, fault)]
    assert evse.power_w == 0.0
    assert FaultRaised(1, fault) in evse.report(at(11))
    assert evse.recover("rcd", at(20))[0] == FaultCleared(1, "rcd")
    assert evse.pilot is Pilot.C
    assert evse.recover("rcd", at(21)) == []
    warning = Fault(fault_id="fan", code="OtherError")
    assert evse.fail(warning, at(30)) != []
    assert evse.pilot is Pilot.C


def test_a_report_tells_everything_a_new_core_must_know() -> None:
    evse = SimulatedEvse()
    charging(evse)
    evse.advance(at(60))
    cable, meter, pilot = evse.report(at(60))
    assert cable == CableChanged(1, present=True)
    assert isinstance(meter, MeterReading)
    assert pilot == PilotChanged(1, Pilot.C)


def test_a_reboot_opens_every_path_and_keeps_register_and_car() -> None:
    evse, other = SimulatedEvse(1), SimulatedEvse(2)
    hardware = SimulatedHardware([evse, other])
    charging(evse)
    hardware.advance(at(3600))
    news = hardware.carry_out(Reboot(hard=True), at(3600))
    assert PilotChanged(1, Pilot.B) in news
    assert evse.register_wh == pytest.approx(16 * 3 * 230.0)
    assert evse.vehicle is not None
    assert not evse.offering


def test_effects_find_their_evse() -> None:
    hardware = SimulatedHardware([SimulatedEvse(1), SimulatedEvse(2)])
    hardware.report(at(0))
    hardware.evses[2].plug_in(Vehicle(PROMPT), at(0))
    hardware.carry_out(SetLimit(2, 16.0, 3), at(0))
    hardware.carry_out(ClosePowerPath(2), at(0))
    assert [evse.pilot for evse in hardware.evses.values()] == [Pilot.A, Pilot.C]
    assert hardware.carry_out(SetLimit(7, 16.0, 3), at(0)) == []
    assert hardware.carry_out(SetClock(1.0), at(0)) == []
    assert hardware.next_deadlines() == Deadlines(elapsed_s=5.0)


def test_a_token_is_held_to_the_reader_of_the_evse() -> None:
    assert SimulatedEvse(2).token_presented(IdToken("A1")) == TokenPresented(IdToken("A1"), 2)


def test_what_cannot_be_done_with_a_plug() -> None:
    evse = SimulatedEvse()
    with pytest.raises(PlugError, match="no car"):
        evse.unplug(at(0))
    evse.plug_in(Vehicle(PROMPT), at(0))
    with pytest.raises(PlugError):
        evse.plug_in(Vehicle(PROMPT), at(1))
    with pytest.raises(ValueError, match="before"):
        evse.advance(at(0.5 - 1))
    with pytest.raises(ValueError, match="reading_every_s"):
        SimulatedEvse(reading_every_s=0.0)
    with pytest.raises(RuntimeError, match="not traced"):
        evse.take_flows(10.0)


STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 900.0),
        st.sampled_from(["plug", "unplug", "open", "close", "lock", "release", "look", "fail", "recover"]),
        st.floats(0.0, 40.0),
    ),
    min_size=1,
    max_size=30,
)


@given(STEPS, st.booleans())
def test_the_meter_counts_what_the_cars_took_and_never_falls(
    steps: list[tuple[float, str, float]], traced: bool
) -> None:
    evse = SimulatedEvse(number_phases=3, maximum_a=32.0)
    if traced:
        evse.trace_flows(0.0)
    cars: list[Vehicle] = []
    news = evse.report(at(0))
    through_as = 0.0
    now_s = 0.0
    for wait_s, act, number in steps:
        now_s += wait_s
        now = at(now_s)
        news += evse.carry_out(SetLimit(1, number, 1 + int(number) % 3), now)
        if act == "plug" and not evse.plug_present:
            cars.append(Vehicle(VehicleSpec(number_phases=1 + int(number) % 3, battery_wh=9_000, initial_wh=5_000)))
            news += evse.plug_in(cars[-1], now)
        elif act == "unplug" and evse.vehicle is not None:
            news += evse.unplug(now)
        elif act == "fail":
            news += evse.fail(Fault(fault_id="x", inoperative=number > 20), now)
        elif act == "recover":
            news += evse.recover("x", now)
        else:
            effects: dict[str, HardwareEffect] = {
                "open": OpenPowerPath(1),
                "close": ClosePowerPath(1),
                "lock": LockConnector(1),
                "release": ReleaseConnector(1),
            }
            news += evse.carry_out(effects[act], now) if act in effects else evse.advance(now)
        assert evse.power_w == 0.0 or evse.offering
        if traced:
            flows = evse.take_flows(now_s)
            through_as += sum(flow.curve.charge_as(flow.from_s, flow.to_s) * flow.number_phases for flow in flows)
    assert evse.register_wh == pytest.approx(sum(car.delivered_wh for car in cars), rel=1e-9, abs=1e-9)
    if traced:
        assert evse.register_wh == pytest.approx(through_as * 230.0 / 3600.0, rel=1e-9, abs=1e-6)
    told = [one for one in news if isinstance(one, MeterReading)]
    shown = [energy_wh([MeterValue(START, one.samples)]) or 0.0 for one in told]
    assert shown == sorted(shown)
    assert shown[0] == 0.0
    assert shown[-1] <= evse.register_wh
    pilots = [one.pilot for one in news if isinstance(one, PilotChanged)]
    assert all(one is not other for one, other in pairwise(pilots)), "only changes are told"
    assert pilots[-1] is evse.pilot
