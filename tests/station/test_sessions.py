"""Plugs, tokens and transactions (OCPP 1.6 §3.6, §4.8 to §4.10; test cases of the compliancy test tool)."""

import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import (
    ChargingStateReported,
    ConnectorStatusReported,
    Notice,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import energy_wh
from forecourt.domain.station import OperationalStatus
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.transaction import StoppedReason
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.config import EvseConfig
from forecourt.station.inputs import CallFailure, LockOutcome, Pilot
from forecourt.station.variable_table import (
    CONNECTION_TIMEOUT,
    MAX_ENERGY_ON_INVALID_ID,
    MINIMUM_STATUS_DURATION,
    OFFLINE_TX_FOR_UNKNOWN_ID,
    REQUIRED_ERROR_CODES,
    STOP_ON_EV_SIDE_DISCONNECT,
    STOP_ON_INVALID_ID,
    UNLOCK_ON_EV_SIDE_DISCONNECT,
)
from tests.station.bench import ALICE, BOB, HOUSEHOLD, MALLORY, Bench, accepted


def authorizations(bench: Bench) -> list[str]:
    return [call.id_token.value for call in bench.csms.calls if isinstance(call, r.Authorize)]


def ended(bench: Bench) -> TransactionEnded:
    return bench.csms.told(TransactionEnded)[-1]


def test_tc_003_plug_in_first() -> None:
    bench = Bench()
    bench.charging()
    assert bench.states() == ["Available", "Occupied", "Charging"], "a car that answers at once suspends nothing"
    assert authorizations(bench) == ["ALICE"]
    started = bench.csms.told(TransactionStarted)[0]
    assert (started.evse_id, started.id_token, energy_wh(started.meter_values)) == (1, ALICE, 1000.0)


def test_tc_004_1_identification_first() -> None:
    bench = Bench()
    bench.connect()
    bench.tap(ALICE, 1)
    assert bench.states() == ["Available", "Occupied"]
    assert not bench.csms.told(TransactionStarted)
    bench.plug(1, Pilot.C)
    assert bench.states() == ["Available", "Occupied", "Charging"]
    assert len(bench.csms.told(TransactionStarted)) == 1


def test_tc_004_2_identification_first_connection_timeout() -> None:
    bench = Bench()
    bench.connect()
    bench.set(CONNECTION_TIMEOUT, "20")
    bench.tap(ALICE, 1)
    bench.run(19)
    assert bench.states() == ["Available", "Occupied"]
    bench.run(1)
    assert bench.states() == ["Available", "Occupied", "Available"]
    bench.plug()
    assert not bench.csms.told(TransactionStarted)


def test_a_plug_that_waits_too_long_for_a_token_is_finishing_and_can_still_be_meant() -> None:
    """Errata §3.20, and §4.9 F2."""
    bench = Bench()
    bench.connect()
    bench.plug(1)
    bench.run(61)
    assert bench.states() == ["Available", "Occupied", "EVConnected"]
    bench.tap(ALICE)
    assert bench.states(2) == ["Available", "Occupied"], "a token at no connector in particular goes to a free one"
    bench.tap(BOB, 1)
    assert bench.csms.told(TransactionStarted)[0].id_token == BOB


def test_a_second_tap_takes_the_first_back() -> None:
    bench = Bench()
    bench.connect()
    bench.tap(ALICE, 1)
    bench.tap(ALICE, 1)
    assert bench.states() == ["Available", "Occupied", "Available"]
    assert authorizations(bench) == ["ALICE"]


def test_a_token_without_a_place_follows_the_plug() -> None:
    bench = Bench()
    bench.connect()
    bench.tap(ALICE)
    assert bench.states(1) == ["Available", "Occupied"]
    bench.plug(2)
    assert bench.csms.told(TransactionStarted)[0].evse_id == 2
    assert bench.states(1) == ["Available", "Occupied", "Available"]


def test_tc_068_only_the_same_token_stops_and_nobody_else_is_asked_about() -> None:
    bench = Bench(evses=(EvseConfig(),))
    bench.charging()
    bench.csms.calls.clear()
    bench.tap(BOB)
    assert not bench.csms.calls
    bench.tap(IdToken("alice"))
    assert ended(bench).reason is StoppedReason.LOCAL
    assert ended(bench).id_token == IdToken("alice")
    assert authorizations(bench) == []
    assert bench.states() == ["EVConnected"]


def test_tc_069_a_token_of_the_same_group_stops() -> None:
    bench = Bench(evses=(EvseConfig(),))
    bench.csms.tokens |= {"alice": accepted(HOUSEHOLD), "bob": accepted(HOUSEHOLD)}
    bench.charging()
    bench.csms.calls.clear()
    bench.tap(IdToken("CAROL"))
    assert not bench.csms.told(TransactionEnded)
    bench.tap(BOB)
    assert authorizations(bench) == ["CAROL", "BOB"]
    assert ended(bench).id_token == BOB


def test_the_group_learnt_with_the_start_counts() -> None:
    bench = Bench(evses=(EvseConfig(),))
    bench.csms.tokens["bob"] = accepted(HOUSEHOLD)
    bench.connect()
    bench.ask(r.RequestStartTransaction(id_token=ALICE, evse_id=1))
    bench.csms.tokens["alice"] = accepted(HOUSEHOLD)
    bench.plug()
    bench.tap(BOB)
    assert ended(bench).id_token == BOB


@pytest.mark.parametrize("unlocks", [True, False])
def test_tc_005_1_and_2_ev_side_disconnect_stops(unlocks: bool) -> None:
    bench = Bench()
    bench.connect()
    bench.set(UNLOCK_ON_EV_SIDE_DISCONNECT, str(unlocks).lower())
    bench.tell(i.CableChanged(1, present=True))
    bench.charging()
    bench.effects.clear()
    bench.unplug()
    assert ended(bench).reason is StoppedReason.EV_DISCONNECTED
    assert bench.states()[-1] == "EVConnected", "the plug is still in the socket"
    assert bool(bench.took(e.ReleaseConnector)) is unlocks
    if not unlocks:
        bench.tap(ALICE, 1)
        assert bench.took(e.ReleaseConnector), "locked until the identifier is presented (§4.10)"
    bench.tell(i.CableChanged(1, present=False))
    assert bench.states()[-1] == "Available"


def test_tc_005_3_ev_side_disconnect_does_not_stop() -> None:
    bench = Bench(evses=(EvseConfig(has_lock=False),))
    bench.connect()
    bench.set(STOP_ON_EV_SIDE_DISCONNECT, "false")
    bench.charging()
    bench.unplug()
    idle = bench.csms.told(ChargingStateReported)[-1]
    assert idle.charging_state.value == "Idle"
    assert idle.error is not None
    assert idle.error.info == "EV side disconnected"
    bench.plug(1, Pilot.C)
    assert bench.states()[-1] == "Charging"
    bench.unplug()
    assert bench.ask(r.RequestStopTransaction(transaction_id="101")).outcome == "Accepted"
    assert ended(bench).reason is StoppedReason.REMOTE
    assert bench.states()[-1] == "Available"


def test_tc_010_and_011_1_remote_start() -> None:
    bench = Bench()
    bench.connect()
    bench.plug(1)
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=1)).outcome == "Accepted"
    assert authorizations(bench) == []
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=2)).outcome == "Accepted"
    assert bench.states(2) == ["Available", "Occupied"]
    bench.plug(2)
    assert [start.evse_id for start in bench.csms.told(TransactionStarted)] == [1, 2]


def test_remote_start_is_authorized_first_if_so_configured() -> None:
    from forecourt.station.variable_table import AUTHORIZE_REMOTE_START

    bench = Bench()
    bench.connect()
    bench.set(AUTHORIZE_REMOTE_START, "true")
    bench.plug(1)
    bench.effects.clear()
    assert bench.ask(r.RequestStartTransaction(id_token=MALLORY, evse_id=1)).outcome == "Accepted"
    assert authorizations(bench) == ["MALLORY"]
    assert not bench.csms.told(TransactionStarted)
    kinds = [type(effect) for effect in bench.effects]
    assert kinds.index(e.Reply) < kinds.index(e.Send), "the reply goes first"
    bench.ask(r.RequestStartTransaction(id_token=ALICE))
    assert bench.csms.told(TransactionStarted)[0].evse_id == 1, "where a car waits"


def test_tc_011_2_remote_start_times_out() -> None:
    bench = Bench()
    bench.connect()
    bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=2))
    bench.run(60)
    assert bench.states(2) == ["Available", "Occupied", "Available"]


def test_tc_023_authorize_invalid() -> None:
    bench = Bench()
    bench.connect()
    bench.plug()
    bench.tap(MALLORY)
    assert bench.took(e.TokenAnswered)[-1] == e.TokenAnswered(MALLORY, accepted=False, reason="Invalid")
    assert not bench.csms.told(TransactionStarted)


def test_tc_024_lock_failure() -> None:
    bench = Bench()
    bench.connect()
    bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=1))
    bench.lock_outcome = LockOutcome.FAILED
    bench.plug()
    faulted = bench.csms.told(ConnectorStatusReported)[-1]
    assert faulted.connector_status == "Faulted"
    assert faulted.error is not None
    assert faulted.error.code == "ConnectorLockFailure"
    assert not bench.csms.told(TransactionStarted)
    bench.unplug()
    assert bench.states()[-1] == "Available"


def test_a_silent_lock_has_failed() -> None:
    bench = Bench()
    bench.connect()
    bench.lock_outcome = None
    bench.plug()
    bench.tap()
    assert not bench.csms.told(TransactionStarted)
    bench.run(15)
    assert bench.states()[-1] == "Faulted"


@pytest.mark.parametrize("evse_id", [0, 1, 9])
def test_tc_026_and_027_remote_start_rejected(evse_id: int) -> None:
    bench = Bench()
    bench.charging(1)
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=evse_id)).outcome == "Rejected"


def test_tc_028_remote_stop_rejected() -> None:
    bench = Bench()
    bench.charging()
    assert bench.ask(r.RequestStopTransaction(transaction_id="4711")).outcome == "Rejected"


def test_tc_041_no_transaction_on_a_faulted_connector() -> None:
    bench = Bench()
    bench.connect()
    bench.tell(i.FaultRaised(0, i.Fault(fault_id="x", code="InternalError", inoperative=True)))
    assert bench.states(0) == ["Available", "Faulted"]
    bench.plug()
    bench.tap(ALICE, 1)
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=1)).outcome == "Rejected"
    assert not bench.csms.told(TransactionStarted)
    bench.tell(i.FaultCleared(0))
    assert bench.states(0)[-1] == "Available"


def test_a_fault_that_takes_the_connector_out_ends_its_transaction() -> None:
    bench = Bench()
    bench.charging()
    bench.tell(i.FaultRaised(1, i.Fault(fault_id="rcd", code="GroundFailure", inoperative=True)))
    assert ended(bench).reason is StoppedReason.GROUND_FAULT
    assert bench.states()[-1] == "Faulted"
    assert bench.took(e.OpenPowerPath)


def test_a_fault_that_does_not_is_a_warning_with_the_state_as_it_is() -> None:
    bench = Bench()
    bench.charging()
    fault = i.Fault(fault_id="fan", origin="cooling", error_type="Fan/Slow", message="a fan is slow")
    bench.tell(i.FaultRaised(1, fault))
    told = bench.csms.told(ChargingStateReported)[-1]
    assert told.charging_state == "Charging"
    assert told.error is not None
    assert (told.error.code, told.error.info, told.error.vendor_error_code, told.error.vendor_id) == (
        "OtherError",
        "cooling",
        "Fan/Slow",
        "a fan is slow",
    )
    bench.tell(i.FaultCleared(1, "fan"))
    assert bench.csms.told(ChargingStateReported)[-1].error is None


def test_errors_by_the_minimum_required_codes_where_they_are_wanted() -> None:
    """White paper on improving uptime, appendix; the state stays as OCPP 1.6 §4.9 has it."""
    bench = Bench()
    bench.charging()
    bench.set(REQUIRED_ERROR_CODES, "true")
    hot = i.Fault(fault_id="hot", code="HighTemperature", origin="cooling", error_type="Fan/Slow", message="hot")
    bench.tell(i.FaultRaised(1, hot))
    told = bench.csms.told(ChargingStateReported)[-1]
    assert told.charging_state == "Charging"
    assert told.error is not None
    assert (told.error.code, told.error.vendor_error_code) == ("HighTemperature", "CX003")
    assert (told.error.info, told.error.vendor_id) == ("cooling Fan/Slow", "hot")
    bench.tell(i.FaultRaised(1, i.Fault(fault_id="own", error_type="Own/Kind")))
    told = bench.csms.told(ChargingStateReported)[-1]
    assert told.error is not None
    assert told.error.vendor_error_code == "Own/Kind", "not on the list"


def test_tc_037_1_and_039_offline_transaction() -> None:
    bench = Bench()
    bench.connect()
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    bench.disconnect()
    bench.plug()
    at = bench.now.at
    bench.tap(ALICE, 1)
    bench.ready()
    bench.run(130)
    bench.tap(ALICE, 1)
    bench.unplug()
    bench.connect()
    kinds = [type(call.events[0]).__name__ for call in bench.csms.calls[4:] if isinstance(call, Notice)]
    assert kinds == ["TransactionStarted", "MeterSampled", "MeterSampled", "TransactionEnded"]
    assert bench.csms.told(TransactionStarted)[0].at == at
    assert ended(bench).at == bench.now.at
    assert bench.states(1) == ["Available"], "it is as it was before the connection went"


def test_offline_an_unknown_token_is_refused_by_default() -> None:
    bench = Bench()
    bench.connect()
    bench.disconnect()
    bench.plug()
    bench.tap()
    assert bench.took(e.TokenAnswered)[-1].accepted is False


@pytest.mark.parametrize("failure", [CallFailure.ERROR, CallFailure.TIMEOUT])
def test_an_unanswered_authorize_counts_as_offline(failure: CallFailure) -> None:
    bench = Bench()
    bench.connect()
    bench.csms.refuses = lambda call: failure if isinstance(call, r.Authorize) else None
    bench.plug()
    bench.tap()
    assert not bench.csms.told(TransactionStarted)
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    bench.tap()
    assert bench.csms.told(TransactionStarted)


def refused_after_start(bench: Bench) -> None:
    """The CSMS accepts at the Authorize and refuses at the start."""
    bench.connect()
    bench.effects.clear()
    bench.ask(r.RequestStartTransaction(id_token=MALLORY, evse_id=1))
    bench.plug(1, Pilot.C)
    bench.power_w[1] = 3600.0


def test_tc_037_3_a_refused_start_ends_the_transaction_and_holds_the_plug() -> None:
    bench = Bench()
    refused_after_start(bench)
    assert ended(bench).reason is StoppedReason.DE_AUTHORIZED
    assert bench.states()[-1] == "EVConnected"
    assert not bench.took(e.ReleaseConnector)
    bench.tap(MALLORY, 1)
    assert bench.took(e.ReleaseConnector)


def test_tc_037_2_a_refused_start_only_stops_the_energy() -> None:
    bench = Bench()
    bench.connect()
    bench.set(STOP_ON_INVALID_ID, "false")
    refused_after_start(bench)
    assert bench.states()[-1] == "SuspendedEVSE"
    assert not bench.csms.told(TransactionEnded)
    assert bench.took(e.OpenPowerPath)
    bench.tap(MALLORY, 1)
    assert ended(bench).reason is StoppedReason.LOCAL


def test_max_energy_on_invalid_id_lets_the_car_drive_away() -> None:
    bench = Bench()
    bench.connect()
    bench.set(MAX_ENERGY_ON_INVALID_ID, "500")
    refused_after_start(bench)
    bench.run(420)
    assert not bench.csms.told(TransactionEnded)
    bench.run(120)
    assert ended(bench).reason is StoppedReason.DE_AUTHORIZED
    assert 500 <= (energy_wh(ended(bench).meter_values) or 0) - 1000 <= 560


def test_concurrent_transaction_is_not_accepted_either() -> None:
    bench = Bench()
    bench.connect()
    bench.csms.tokens["alice"] = IdTokenInfo(status=AuthorizationStatus.CONCURRENT_TX)
    bench.plug()
    bench.tap(ALICE)
    assert not bench.csms.told(TransactionStarted)


def test_minimum_status_duration_swallows_what_does_not_last() -> None:
    bench = Bench()
    bench.connect()
    bench.set(MINIMUM_STATUS_DURATION, "10")
    bench.plug()
    bench.run(4)
    bench.unplug()
    bench.run(60)
    assert bench.states() == ["Available"]
    bench.plug()
    at = bench.now.at
    bench.run(10)
    assert bench.states() == ["Available", "Occupied"]
    assert bench.csms.told(ConnectorStatusReported)[-1].at == at
    trigger = r.TriggerMessage(requested_message=r.TriggeredMessage.STATUS_NOTIFICATION, evse_id=1)
    bench.unplug()
    bench.ask(trigger)
    assert bench.states() == ["Available", "Occupied", "Available"], "a trigger does not wait"


def test_the_stop_button_and_power_failing() -> None:
    bench = Bench()
    bench.charging(1)
    bench.charging(2, BOB)
    bench.tell(i.StopPressed(1))
    assert (ended(bench).evse_id, ended(bench).reason) == (1, StoppedReason.LOCAL)
    bench.tell(i.PowerFailing())
    assert (ended(bench).evse_id, ended(bench).reason) == (2, StoppedReason.POWER_LOSS)


def test_unknown_evses_are_ignored() -> None:
    bench = Bench()
    bench.connect()
    for told in (
        i.PilotChanged(9, Pilot.B),
        i.CableChanged(9, present=True),
        i.MeterReading(9, ()),
        i.StopPressed(9),
        i.FaultRaised(9, i.Fault(fault_id="x", inoperative=True)),
        i.FaultCleared(9),
        i.LockChanged(9, LockOutcome.FAILED),
        i.LocalLimit(9, 6.0),
        i.TokenPresented(ALICE, 9),
    ):
        bench.tell(told)
    assert not bench.csms.told(TransactionStarted)


def test_a_token_does_not_follow_a_plug_to_where_it_cannot_charge() -> None:
    bench = Bench()
    bench.connect()
    out_of_use = r.ChangeAvailability(evse_id=1, operational_status=OperationalStatus.INOPERATIVE)
    assert bench.ask(out_of_use).outcome == "Accepted"
    bench.tap(ALICE)
    bench.plug(1)
    in_use = r.ChangeAvailability(evse_id=1, operational_status=OperationalStatus.OPERATIVE)
    assert bench.ask(in_use).outcome == "Accepted"
    bench.run(30)
    bench.plug(2)
    assert bench.station.parts.evses[2].transaction is not None, "it has waited where it was"
    bench.run(200)
    assert bench.station.parts.evses[1].transaction is None


def test_a_plug_waits_for_its_token_from_when_its_connector_is_in_use_again() -> None:
    """OCPP 1.6 §4.9 knows no way from Unavailable to Finishing."""
    bench = Bench()
    bench.connect()
    bench.ask(r.ChangeAvailability(evse_id=1, operational_status=OperationalStatus.INOPERATIVE))
    bench.plug(1)
    bench.run(3600.0)
    bench.ask(r.ChangeAvailability(evse_id=1, operational_status=OperationalStatus.OPERATIVE))
    bench.run(30.0)
    assert bench.states()[-2:] == ["Unavailable", "Occupied"]
    bench.tap(ALICE, 1)
    assert bench.station.parts.evses[1].transaction is not None


def test_a_car_that_may_charge_again_has_a_moment_before_it_counts_as_suspending() -> None:
    bench = Bench()
    bench.charging()
    bench.tell(i.LocalLimit(1, 0.0))
    bench.tell(i.PilotChanged(1, Pilot.B))
    assert bench.states()[-1] == "SuspendedEVSE"
    bench.tell(i.LocalLimit(1, 16.0))
    assert bench.states()[-1] == "SuspendedEVSE"
    bench.tell(i.PilotChanged(1, Pilot.C))
    assert bench.states()[-2:] == ["SuspendedEVSE", "Charging"]
    bench.tell(i.LocalLimit(1, 0.0))
    bench.tell(i.PilotChanged(1, Pilot.B))
    bench.tell(i.LocalLimit(1, 16.0))
    bench.run(5.0)
    assert bench.states()[-1] == "SuspendedEV", "it does not take it"
