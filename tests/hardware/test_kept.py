"""What is physical about simulated hardware survives a power cut."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from forecourt.domain.clock import Now
from forecourt.domain.meter import MeterValue, energy_wh
from forecourt.hardware.kept import KeptHardware
from forecourt.hardware.simulated import PlugError, SimulatedEvse
from forecourt.hardware.vehicle import VehicleSpec
from forecourt.station.effects import ClosePowerPath, LockConnector, ReleaseConnector, SetLimit
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
)
from forecourt.station.ports import Hardware
from forecourt.store.journal import MemoryJournal, SqliteJournal

START = datetime(2024, 5, 1, 6, tzinfo=UTC)
PROMPT = VehicleSpec(maximum_a=16.0, ramp_s=0.0, reaction_s=0.0)


def at(elapsed_s: float, *, away_s: float = 0.0) -> Now:
    """`away_s`: how far the process's own clock is from the calendar, as after a restart."""
    return Now(elapsed_s - away_s, elapsed_s - away_s, START + timedelta(seconds=elapsed_s))


def hardware(journal: MemoryJournal | SqliteJournal, now: Now) -> KeptHardware:
    return KeptHardware([SimulatedEvse(1), SimulatedEvse(2, has_lock=False)], journal, now)


def told_wh(news: Iterable[HardwareInput]) -> list[float]:
    values = [energy_wh([MeterValue(START, one.samples)]) for one in news if isinstance(one, MeterReading)]
    return [value for value in values if value is not None]


def charge(kept: KeptHardware, now: Now) -> None:
    for effect in (LockConnector(1), SetLimit(1, 16.0, 3), ClosePowerPath(1)):
        kept.carry_out(effect, now)


def test_a_fresh_meter_is_at_zero_and_it_is_hardware() -> None:
    kept: Hardware = hardware(MemoryJournal(), at(0))
    assert told_wh(kept.report(at(0))) == [0.0, 0.0]


def test_after_a_power_cut_register_plug_bolt_and_car_are_as_they_were(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "hardware")
    kept = hardware(journal, at(0))
    kept.plug_in(1, PROMPT, at(0))
    charge(kept, at(0))
    last = told_wh(kept.advance(at(3600)))[0]
    journal.close()

    journal = SqliteJournal(tmp_path / "hardware")
    again = hardware(journal, at(7200, away_s=7200))
    evse = again.evses[1]
    assert told_wh(again.report(at(7200, away_s=7200)))[0] == pytest.approx(last)
    assert (evse.plug_present, evse.locked, evse.pilot, evse.power_w) == (True, True, Pilot.B, 0.0)
    assert evse.vehicle is not None
    assert evse.vehicle.stored_wh == pytest.approx(15_000.0 + 16 * 3 * 230)
    charge(again, at(7200, away_s=7200))
    assert told_wh(again.advance(at(10_800, away_s=7200)))[0] == pytest.approx(2 * 16 * 3 * 230, abs=0.2)
    journal.close()


@given(cuts=st.lists(st.floats(0.1, 900.0), min_size=1, max_size=8))
def test_the_register_never_goes_back_wherever_the_power_is_cut(cuts: list[float]) -> None:
    journal, calendar_s, last_wh = MemoryJournal(), 0.0, 0.0
    for index, lasts_s in enumerate(cuts):
        kept = hardware(journal, at(calendar_s, away_s=calendar_s))
        if index == 0:
            kept.plug_in(1, PROMPT, at(calendar_s, away_s=calendar_s))
        first_wh = told_wh(kept.report(at(calendar_s, away_s=calendar_s)))[0]
        assert first_wh >= last_wh
        charge(kept, at(calendar_s, away_s=calendar_s))
        began_s = calendar_s
        calendar_s += lasts_s
        readings = told_wh(kept.advance(at(calendar_s, away_s=began_s)))
        last_wh = max([last_wh, *readings])


def test_a_car_leaves_by_itself_also_when_that_falls_into_a_power_cut() -> None:
    journal = MemoryJournal()
    kept = hardware(journal, at(0))
    kept.plug_in(2, PROMPT, at(0), leaves_after_s=600.0)
    assert kept.next_deadlines().elapsed_s == pytest.approx(600.0)
    assert PilotChanged(2, Pilot.A) not in kept.advance(at(599))

    again = hardware(journal, at(5000, away_s=4990))
    again.report(at(5000, away_s=4990))
    assert again.leaves_at(2) == START + timedelta(seconds=600)
    assert PilotChanged(2, Pilot.A) in again.advance(at(5000, away_s=4990))
    assert again.leaves_at(2) is None

    kept.plug_in(1, PROMPT, at(700), leaves_after_s=600.0)
    kept.unplug(1, at(800))
    assert kept.leaves_at(1) is None, "somebody was faster"


def test_a_suspended_car_stays_suspended_and_resumes() -> None:
    journal = MemoryJournal()
    kept = hardware(journal, at(0))
    kept.plug_in(1, PROMPT, at(0))
    charge(kept, at(0))
    assert PilotChanged(1, Pilot.B) in kept.suspend(1, True, at(60))
    assert kept.evses[1].power_w == 0.0

    again = hardware(journal, at(100))
    charge(again, at(100))
    assert again.evses[1].pilot is Pilot.B
    assert PilotChanged(1, Pilot.C) in again.suspend(1, False, at(110))
    assert again.evses[1].power_w == pytest.approx(16 * 3 * 230)


def test_faults_last_until_they_are_mended_those_of_the_station_too() -> None:
    journal = MemoryJournal()
    kept = hardware(journal, at(0))
    ground, local = Fault(fault_id="WeakSignal"), Fault(fault_id="GroundFailure", inoperative=True)
    assert kept.fail(0, ground, at(0)) == [FaultRaised(0, ground)]
    kept.fail(1, local, at(0))
    again = hardware(journal, at(10))
    raised = [news for news in again.report(at(10)) if isinstance(news, FaultRaised)]
    assert raised == [FaultRaised(1, local), FaultRaised(0, ground)]
    assert again.recover(1, "WeakSignal", at(11)) == []
    assert FaultCleared(1, "GroundFailure") in again.recover(1, "GroundFailure", at(11))
    assert again.recover(0, "WeakSignal", at(11)) == [FaultCleared(0, "WeakSignal")]
    assert not any(isinstance(news, FaultRaised) for news in hardware(journal, at(20)).report(at(20)))


def test_a_broken_lock_stays_broken_and_a_fixed_cable_has_none() -> None:
    journal = MemoryJournal()
    kept = hardware(journal, at(0))
    kept.break_lock(1, True)
    again = hardware(journal, at(10))
    assert LockChanged(1, LockOutcome.FAILED) in again.carry_out(LockConnector(1), at(10))
    again.break_lock(1, False)
    assert LockChanged(1, LockOutcome.LOCKED) in again.carry_out(LockConnector(1), at(10))
    with pytest.raises(PlugError, match="no lock"):
        again.break_lock(2, True)


def test_a_locked_plug_outlives_its_car_and_the_power() -> None:
    journal = MemoryJournal()
    kept = hardware(journal, at(0))
    kept.plug_in(1, PROMPT, at(0))
    kept.carry_out(LockConnector(1), at(1))
    kept.unplug(1, at(2))
    again = hardware(journal, at(10))
    with pytest.raises(PlugError, match="already"):
        again.plug_in(1, PROMPT, at(11))
    assert CableChanged(1, present=False) in again.carry_out(ReleaseConnector(1), at(12))
