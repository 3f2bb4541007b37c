"""What the CSMS asks (OCPP 1.6 chapter 5)."""

from typing import Any

import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import (
    ConnectorStatusReported,
    FirmwareStatusReported,
    HeartbeatSent,
    LogStatusReported,
    StationBooted,
    TransactionEnded,
    TransactionStarted,
    VariablesReported,
)
from forecourt.domain.requests import TriggeredMessage
from forecourt.domain.station import BootReason, OperationalStatus, ResetType
from forecourt.domain.transaction import StoppedReason
from forecourt.domain.variable import Mutability, ReportBase, VariableRef, VariableSetting
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.config import EvseConfig
from forecourt.station.inputs import LockOutcome
from forecourt.station.variable_table import (
    BASIC_AUTH_PASSWORD,
    CONNECTION_TIMEOUT,
    FEATURE_PROFILES,
    MESSAGE_TIMEOUT,
    NUMBER_OF_CONNECTORS,
    RESET_RETRIES,
    SAMPLED_INTERVAL,
    SAMPLED_MEASURANDS,
    TABLE,
)
from tests.station.bench import ALICE, BOB, TWO, Bench


def availability(evse_id: int, *, operative: bool) -> r.ChangeAvailability:
    status = OperationalStatus.OPERATIVE if operative else OperationalStatus.INOPERATIVE
    return r.ChangeAvailability(evse_id=evse_id, operational_status=status)


def order(effects: list[e.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


# Availability


def test_out_of_use_and_back() -> None:
    bench = Bench()
    bench.connect()
    bench.effects.clear()
    assert bench.ask(availability(1, operative=False)).outcome == "Accepted"
    assert order(bench.effects) == ["Persist", "Reply", "SetOperative", "Send"], "kept, then answered, then told (§5.2)"
    assert bench.states(1)[-1] == "Unavailable"
    bench.plug(1)
    bench.tap(ALICE, 1)
    assert not bench.csms.told(TransactionStarted)
    assert bench.ask(availability(1, operative=True)).outcome == "Accepted"
    assert bench.states(1)[-1] == "Occupied"
    assert bench.ask(availability(9, operative=True)).outcome == "Rejected"


def test_out_of_use_is_scheduled_while_a_transaction_runs() -> None:
    bench = Bench()
    bench.charging(1)
    assert bench.ask(availability(0, operative=False)).outcome == "Scheduled"
    assert (bench.states(0)[-1], bench.states(1)[-1], bench.states(2)[-1]) == (
        "Unavailable",
        "Charging",
        "Unavailable",
    )
    bench.tap(ALICE, 1)
    assert bench.states(1)[-1] == "Unavailable"


def test_a_schedule_can_be_taken_back_and_survives_a_restart() -> None:
    bench = Bench()
    bench.charging(1)
    bench.ask(availability(1, operative=False))
    again = Bench(journal=bench.journal, now=bench.now)
    again.plug(1)
    again.connect()
    again.tap(ALICE, 1)
    assert again.states(1)[-1] == "Unavailable"
    bench.ask(availability(1, operative=True))
    bench.tap(ALICE, 1)
    assert bench.states(1)[-1] == "EVConnected"


# Unlocking


def test_tc_017_unlock() -> None:
    bench = Bench(evses=(EvseConfig(), EvseConfig(has_lock=False)))
    bench.connect()
    assert bench.ask(r.UnlockConnector(evse_id=1)).outcome == "Unlocked"
    assert bench.ask(r.UnlockConnector(evse_id=2)).outcome == "NotSupported"
    assert bench.ask(r.UnlockConnector(evse_id=3)).outcome == "UnknownConnector"


def test_tc_018_1_unlock_ends_the_transaction_after_the_energy_stopped() -> None:
    bench = Bench()
    bench.charging()
    bench.effects.clear()
    assert bench.ask(r.UnlockConnector(evse_id=1)).outcome == "Unlocked"
    assert bench.csms.told(TransactionEnded)[0].reason is StoppedReason.UNLOCK_COMMAND
    names = order(bench.effects)
    assert names.index("OpenPowerPath") < names.index("ReleaseConnector") < names.index("Reply")
    bench.unplug()
    assert bench.states()[-2:] == ["EVConnected", "Available"]


def test_elsewhere_unlocking_is_refused_during_a_transaction() -> None:
    bench = Bench(TWO)
    bench.charging()
    assert bench.ask(r.UnlockConnector(evse_id=1)).outcome == "OngoingAuthorizedTransaction"


@pytest.mark.parametrize("outcome", [LockOutcome.FAILED, None])
def test_tc_030_unlock_failure(outcome: LockOutcome | None) -> None:
    bench = Bench()
    bench.connect()
    bench.unlock_outcome = outcome
    bench.ask(r.UnlockConnector(evse_id=1))
    bench.run(20)
    assert [reply.answer.outcome for reply in bench.took(e.Reply)] == ["UnlockFailed"]  # type: ignore[union-attr]


# Reset


def test_tc_016_a_soft_reset_ends_transactions_first() -> None:
    bench = Bench()
    bench.charging()
    bench.effects.clear()
    assert bench.ask(r.Reset()).outcome == "Accepted"
    assert bench.csms.told(TransactionEnded)[0].reason == "GracefulReset"
    names = order(bench.effects)
    assert names.index("Reply") < names.index("Send") < names.index("Reboot")
    assert bench.took(e.Reboot) == [e.Reboot(hard=False)]


def test_tc_015_after_a_hard_reset_the_end_is_told_once_the_station_is_back() -> None:
    """OCPP 1.6 §5.14: after having restarted and having been accepted."""
    bench = Bench()
    bench.charging()
    bench.effects.clear()
    assert bench.ask(r.Reset(graceful=False)).outcome == "Accepted"
    assert [name for name in order(bench.effects) if name in {"Reply", "Send", "Reboot"}] == ["Reply", "Reboot"]
    assert bench.took(e.Reboot) == [e.Reboot(hard=True)]
    again = Bench(journal=bench.journal, csms=bench.csms)
    again.connect()
    (ended,) = again.csms.told(TransactionEnded)
    assert ended.reason == "ImmediateReset"


def test_what_a_hard_reset_held_back_leaves_when_there_is_no_restart() -> None:
    bench = Bench(variables={RESET_RETRIES: "0"})
    bench.charging()
    bench.ask(r.Reset(graceful=False))
    assert not bench.csms.told(TransactionEnded)
    bench.tell(i.RebootFailed())
    assert len(bench.csms.told(TransactionEnded)) == 1
    assert bench.states()[-1] == "EVConnected"


def test_a_soft_reset_waits_for_delivery_but_not_for_ever() -> None:
    bench = Bench()
    bench.charging()
    bench.csms.silent = True
    bench.ask(r.Reset())
    bench.run(29)
    assert not bench.took(e.Reboot)
    bench.tap(BOB, 2)
    assert bench.took(e.TokenAnswered)[-1].reason == "not in service"
    bench.run(1)
    assert bench.took(e.Reboot)
    again = Bench(journal=bench.journal)
    again.connect()
    assert again.csms.told(TransactionEnded)[0].reason is StoppedReason.GRACEFUL_RESET


def test_a_restart_that_fails_is_tried_again() -> None:
    bench = Bench()
    bench.connect()
    bench.set(RESET_RETRIES, "2")
    bench.ask(r.Reset(graceful=False))
    for _ in range(5):
        bench.tell(i.RebootFailed())
    assert len(bench.took(e.Reboot)) == 3
    bench.charging()
    assert bench.csms.told(TransactionStarted), "it goes on as it was"


def test_a_reset_on_idle_waits_for_the_transaction() -> None:
    bench = Bench(TWO)
    bench.charging()
    assert bench.ask(r.Reset(reset_type=ResetType.ON_IDLE)).outcome == "Scheduled"
    bench.run(300)
    assert not bench.took(e.Reboot)
    bench.tap(ALICE, 1)
    assert bench.took(e.Reboot)
    assert bench.ask(r.Reset(evse_id=1)).outcome == "Rejected"


# Variables


def outcome(bench: Bench, ref: VariableRef, value: str) -> str:
    results = bench.ask(r.SetVariables(settings=(VariableSetting(ref, value),))).results
    return str(results[0].outcome)


def test_tc_021_and_040_set_variables() -> None:
    bench = Bench()
    bench.connect()
    assert outcome(bench, SAMPLED_INTERVAL, "17") == "Accepted"
    assert outcome(bench, SAMPLED_INTERVAL, "-1") == "Rejected"
    assert outcome(bench, SAMPLED_INTERVAL, "soon") == "Rejected"
    assert outcome(bench, SAMPLED_INTERVAL, "9" * 30) == "Rejected"
    assert outcome(bench, NUMBER_OF_CONNECTORS, "7") == "Rejected"
    assert outcome(bench, VariableRef("SampledDataCtrlr", "Nonsense"), "1") == "UnknownVariable"
    assert outcome(bench, VariableRef("Nonsense", "Nonsense"), "1") == "UnknownComponent"
    assert outcome(bench, SAMPLED_MEASURANDS, "Voltage,Temperature") == "Rejected", "§3.16.4"
    readings = bench.ask(r.GetVariables(refs=(SAMPLED_INTERVAL, SAMPLED_MEASURANDS))).readings
    assert [reading.value for reading in readings] == ["17", "Energy.Active.Import.Register"]


def test_names_compare_without_case_and_true_is_true_in_any_case() -> None:
    bench = Bench()
    bench.connect()
    assert outcome(bench, VariableRef("txctrlr", "STOPTXONINVALIDID"), "False") == "Accepted"


def test_tc_019_all_variables_and_reports_in_parts() -> None:
    bench = Bench()
    bench.connect()
    readings = bench.ask(r.GetVariables()).readings
    assert {reading.ref for reading in readings} == {spec.ref for spec in TABLE}
    assert all(reading.value is not None for reading in readings if reading.mutability is not Mutability.WRITE_ONLY)
    (secret,) = (reading for reading in readings if reading.ref == BASIC_AUTH_PASSWORD)
    assert (secret.outcome, secret.value) == ("Rejected", None)
    two = Bench(TWO)
    two.connect()
    assert two.ask(r.GetVariables(request_id=5, report_base=ReportBase.CONFIGURATION)).report_follows
    parts = two.csms.told(VariablesReported)
    assert [part.more for part in parts] == [*[True] * (len(parts) - 1), False]
    assert all(x.mutability is not Mutability.READ_ONLY for part in parts for x in part.readings)
    assert two.ask(r.GetVariables(report_base=ReportBase.SUMMARY)).outcome == "NotSupported"


def test_a_setting_outside_the_core_is_told_after_the_reply() -> None:
    bench = Bench()
    bench.connect()
    bench.effects.clear()
    bench.set(MESSAGE_TIMEOUT, "12")
    assert order(bench.effects) == ["Persist", "Reply", "Configure"]


def test_every_entry_of_the_table_has_a_value_that_fits_it() -> None:
    bench = Bench()
    variables = bench.station.parts.variables
    for spec in TABLE:
        assert variables._refuses(spec, variables.text(spec.ref)) is None, spec.ref
        assert spec.does


def test_a_wrong_initial_value_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(ValueError, match="EVConnectionTimeOut"):
        Bench(variables={CONNECTION_TIMEOUT: "soon"})
    with pytest.raises(ValueError, match="no such variable"):
        Bench(variables={VariableRef("A", "B"): "soon"})


# The rest


def test_tc_054_and_055_trigger_message() -> None:
    bench = Bench()
    bench.connect()
    bench.csms.calls.clear()

    def trigger(message: TriggeredMessage, evse_id: int | None = None) -> str:
        return str(bench.ask(r.TriggerMessage(requested_message=message, evse_id=evse_id)).outcome)

    assert trigger(TriggeredMessage.HEARTBEAT) == "Accepted"
    assert len(bench.csms.told(HeartbeatSent)) == 1
    assert trigger(TriggeredMessage.STATUS_NOTIFICATION, 0) == "Accepted"
    assert [event.evse_id for event in bench.csms.told(ConnectorStatusReported)] == [0]
    assert trigger(TriggeredMessage.STATUS_NOTIFICATION) == "Accepted"
    assert [event.evse_id for event in bench.csms.told(ConnectorStatusReported)] == [0, 0, 1, 2]
    assert trigger(TriggeredMessage.METER_VALUES, 3) == "Rejected"
    assert trigger(TriggeredMessage.BOOT_NOTIFICATION) == "Rejected", "errata §3.40"
    assert trigger(TriggeredMessage.FIRMWARE_STATUS_NOTIFICATION) == "Accepted"
    assert [told.firmware_status for told in bench.csms.told(FirmwareStatusReported)] == ["Idle"]
    assert trigger(TriggeredMessage.DIAGNOSTICS_STATUS_NOTIFICATION) == "Accepted"
    assert trigger(TriggeredMessage.LOG_STATUS_NOTIFICATION) == "Accepted"
    uploads = bench.csms.told(LogStatusReported)
    assert [(told.upload_status, told.extended) for told in uploads] == [("Idle", False), ("Idle", True)]
    assert trigger(TriggeredMessage.PUBLISH_FIRMWARE_STATUS_NOTIFICATION) == "NotImplemented"
    assert not bench.csms.told(StationBooted)
    replies = [n for n, x in enumerate(bench.effects) if isinstance(x, e.Reply)]
    assert isinstance(bench.effects[replies[0] + 1], e.Send), "the reply goes first (§5.17)"


def test_data_transfer_of_an_unknown_vendor() -> None:
    bench = Bench()
    bench.connect()
    assert bench.ask(r.DataTransfer(vendor_id="com.example")).outcome == "UnknownVendorId"


@pytest.mark.parametrize(
    ("profiles", "supported"),
    [("Core", {False}), ("Core,SmartCharging", {True, False}), ("SmartCharging,RemoteTrigger", {True})],
)
def test_3_3_a_request_of_a_profile_that_is_missing_is_not_supported(profiles: str, supported: set[bool]) -> None:
    bench = Bench(variables={FEATURE_PROFILES: profiles})
    bench.connect()
    answers = [
        bench.ask(request) is not None
        for request in (
            r.TriggerMessage(requested_message=TriggeredMessage.HEARTBEAT),
            r.ClearChargingProfile(),
            r.GetCompositeSchedule(evse_id=1, duration_s=60),
        )
    ]
    assert set(answers) == supported
    assert len(bench.took(e.Refuse)) == answers.count(False)


def test_an_application_can_ask_the_csms() -> None:
    bench = Bench()
    wanted = i.DataTransferWanted("ref", r.DataTransfer(vendor_id="com.example"))
    bench.tell(wanted)
    bench.connect()
    bench.tell(wanted)
    answers: list[Any] = [done.answer for done in bench.took(e.DataTransferDone)]
    assert answers[0] is None
    assert answers[1].outcome == "Accepted"


def test_a_restart_from_the_station_itself_says_reboot_and_boots_as_a_local_reset() -> None:
    bench = Bench()
    bench.charging()
    bench.tell(i.RestartWanted())
    assert bench.csms.told(TransactionEnded)[0].reason is StoppedReason.REBOOT
    assert bench.took(e.Reboot) == [e.Reboot(hard=False)]
    again = Bench(journal=bench.journal)
    again.connect()
    assert again.csms.told(StationBooted)[0].reason is BootReason.LOCAL_RESET


def test_4_3_a_vendor_that_is_known_has_an_unknown_message() -> None:
    bench = Bench()
    bench.connect()
    known = r.DataTransfer(vendor_id="com.example", message_id="Nonsense", vendor_known=True)
    assert bench.ask(known).outcome == "UnknownMessageId"


def test_nothing_is_told_of_a_connector_while_its_lock_moves() -> None:
    bench = Bench()
    bench.charging()
    bench.unlock_outcome = None  # it takes a while
    assert bench.ask(r.UnlockConnector(evse_id=1)) is None
    assert bench.states()[-1] == "Charging"
    bench.unlock_outcome = LockOutcome.UNLOCKED
    bench.tell(i.LockChanged(1, LockOutcome.UNLOCKED))
    assert bench.states()[-2:] == ["Charging", "EVConnected"]
