"""Registration, heartbeats and the time (OCPP 1.6 §4.2, §4.6)."""

from datetime import timedelta

import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import ConnectorStatusReported, HeartbeatSent, StationBooted
from forecourt.domain.requests import RequestStatus, TriggeredMessage
from forecourt.domain.station import BootReason, RegistrationStatus
from forecourt.domain.variable import VariableRef
from forecourt.station import effects as e
from forecourt.station.boot import Registration
from forecourt.station.inputs import CallFailure
from forecourt.station.variable_table import (
    CONNECTION_TIMEOUT,
    HEARTBEAT_INTERVAL,
    SAMPLED_INTERVAL,
    TX_BEFORE_ACCEPTED,
)
from tests.station.bench import ALICE, Bench


def boots(bench: Bench) -> int:
    return len(bench.csms.told(StationBooted))


def test_tc_001_rejected_then_accepted() -> None:
    bench = Bench()
    bench.csms.registration = RegistrationStatus.REJECTED
    bench.csms.interval_s = 40
    bench.connect()
    assert bench.ask(r.GetVariables()) is None, "while Rejected, nothing is answered (§4.2)"
    bench.run(39)
    assert boots(bench) == 1
    bench.csms.registration = RegistrationStatus.ACCEPTED
    bench.csms.interval_s = 120
    bench.run(1)
    assert boots(bench) == 2
    assert [event.evse_id for event in bench.csms.told(ConnectorStatusReported)] == [0, 1, 2]
    bench.run(120 * 3)
    assert len(bench.csms.told(HeartbeatSent)) == 3


def test_tc_002_pending_serves_requests_and_says_nothing_itself() -> None:
    bench = Bench()
    bench.csms.registration = RegistrationStatus.PENDING
    bench.csms.interval_s = 60
    bench.connect()
    assert bench.ask(r.GetVariables()).readings
    bench.set(SAMPLED_INTERVAL, "13")
    assert bench.ask(r.RequestStartTransaction(id_token=ALICE, evse_id=1)).outcome is RequestStatus.REJECTED
    assert bench.ask(r.RequestStopTransaction(transaction_id="1")).outcome is RequestStatus.REJECTED
    bench.run(15)
    bench.plug()
    bench.run(15)
    assert len(bench.csms.calls) == 1, "only the boot has left"
    bench.csms.registration = RegistrationStatus.ACCEPTED
    bench.run(30)
    assert bench.station.registration is Registration.ACCEPTED
    assert bench.states(1) == ["Occupied"]


def test_a_trigger_is_obeyed_while_pending() -> None:
    bench = Bench()
    bench.csms.registration = RegistrationStatus.PENDING
    bench.csms.interval_s = 600
    bench.connect()
    trigger = r.TriggerMessage(requested_message=TriggeredMessage.STATUS_NOTIFICATION, evse_id=1)
    assert bench.ask(trigger).outcome is RequestStatus.ACCEPTED
    assert bench.states(1) == ["Available"]
    assert bench.ask(r.TriggerMessage(requested_message=TriggeredMessage.BOOT_NOTIFICATION)).outcome == "Accepted"
    assert bench.csms.told(StationBooted)[-1].reason is BootReason.TRIGGERED


def test_interval_zero_and_errors_wait_by_themselves_and_longer_each_time() -> None:
    bench = Bench(boot_retry_s=30.0, boot_retry_longest_s=100.0)
    bench.csms.refuses = lambda _: CallFailure.ERROR
    bench.connect()
    instants = []
    for _ in range(330):
        before = len(bench.took(e.Send))
        bench.run(1)
        if len(bench.took(e.Send)) > before:
            instants.append(bench.now.elapsed_s - 5000)
    assert instants == [30, 90, 190, 290]
    bench.csms.refuses = lambda _: None
    bench.csms.registration = RegistrationStatus.PENDING
    bench.csms.interval_s = 0
    bench.run(60)
    assert boots(bench) == 1
    bench.run(100)
    assert boots(bench) == 2


def test_a_reconnect_sends_no_boot_but_what_changed() -> None:
    bench = Bench()
    bench.connect()
    bench.disconnect()
    bench.plug(2)
    bench.run(5)
    calls = len(bench.csms.calls)
    bench.connect()
    assert boots(bench) == 1
    assert len(bench.csms.calls) == calls + 1
    last = bench.csms.told(ConnectorStatusReported)[-1]
    assert (last.evse_id, last.connector_status.value) == (2, "Occupied")
    assert last.at == bench.now.at - timedelta(seconds=5), "stamped when it happened"


def test_a_status_whose_answer_was_lost_is_told_again() -> None:
    bench = Bench()
    bench.connect()
    bench.csms.silent = True
    bench.plug()
    bench.disconnect()
    bench.csms.silent = False
    bench.connect()
    assert bench.states(1) == ["Available", "Occupied"]


def test_a_boot_lost_with_its_connection_is_sent_on_the_next() -> None:
    bench = Bench()
    bench.csms.silent = True
    bench.connect()
    bench.disconnect()
    bench.csms.silent = False
    bench.connect()
    assert bench.station.registration is Registration.ACCEPTED


def test_heartbeats_count_from_the_last_answer_and_come_daily_at_least() -> None:
    bench = Bench()
    bench.csms.interval_s = 100
    bench.connect()
    bench.set(CONNECTION_TIMEOUT, "0")
    assert bench.station.parts.variables.integer(HEARTBEAT_INTERVAL) == 100
    bench.run(60)
    bench.plug()
    bench.run(99)
    assert not bench.csms.told(HeartbeatSent)
    bench.run(1)
    assert len(bench.csms.told(HeartbeatSent)) == 1
    bench.unplug()
    bench.csms.calls.clear()
    for _ in range(0, 86_400, 50):
        bench.run(50)
        bench.plug() if bench.station.parts.evses[1].pilot == "A" else bench.unplug()
    assert len(bench.csms.told(HeartbeatSent)) == 1


def test_the_interval_is_the_csmss_and_changes_at_once() -> None:
    bench = Bench()
    bench.connect()
    bench.set(HEARTBEAT_INTERVAL, "10")
    bench.run(10)
    assert len(bench.csms.told(HeartbeatSent)) == 1


def test_timestamps_follow_the_csmss_clock() -> None:
    bench = Bench()
    bench.csms.clock_ahead_s = 3600.0
    bench.connect()
    assert bench.took(e.SetClock) == [e.SetClock(3600.0)]
    bench.plug()
    assert bench.csms.told(ConnectorStatusReported)[-1].at == bench.now.at + timedelta(hours=1)
    bench.csms.clock_ahead_s = 3600.4
    bench.run(300)
    assert len(bench.took(e.SetClock)) == 1, "a difference within the tolerance is the message's way"


def test_the_difference_of_the_clocks_survives_a_restart() -> None:
    bench = Bench()
    bench.csms.clock_ahead_s = 3600.0
    bench.connect()
    again = Bench(journal=bench.journal, now=bench.now)
    assert again.station.parts.clock.offset_s == 3600.0


@pytest.mark.parametrize("year", [1, 1999, 3000, 9999])
def test_a_time_that_nobody_can_mean_is_not_followed(year: int) -> None:
    bench = Bench()
    bench.csms.clock_ahead_s = (bench.now.at.replace(year=year) - bench.now.at).total_seconds()
    bench.connect()
    bench.run(400)
    assert bench.station.registration is Registration.ACCEPTED
    assert bench.station.parts.clock.offset_s == 0.0


def test_time_is_not_followed_when_another_source_is_set() -> None:
    bench = Bench(variables={VariableRef("ClockCtrlr", "TimeSource"): "NTP"})
    bench.csms.clock_ahead_s = 3600.0
    bench.connect()
    assert not bench.took(e.SetClock)


def test_no_transaction_before_the_first_acceptance_unless_allowed() -> None:
    bench = Bench()
    bench.plug()
    bench.tap()
    assert bench.took(e.TokenAnswered)[-1].reason == "not in service"
    allowed = Bench(
        variables={TX_BEFORE_ACCEPTED: "true", VariableRef("AuthCtrlr", "OfflineTxForUnknownIdEnabled"): "true"}
    )
    allowed.plug()
    allowed.tap()
    assert allowed.station.parts.evses[1].transaction is not None


def test_the_reason_of_a_remote_reset_is_told_once() -> None:
    bench = Bench()
    bench.connect()
    assert bench.csms.told(StationBooted)[-1].reason is BootReason.POWER_UP
    bench.ask(r.Reset())
    again = Bench(journal=bench.journal, csms=bench.csms)
    again.connect()
    assert bench.csms.told(StationBooted)[-1].reason is BootReason.REMOTE_RESET
    third = Bench(journal=bench.journal, csms=bench.csms)
    third.connect()
    assert bench.csms.told(StationBooted)[-1].reason is BootReason.POWER_UP
