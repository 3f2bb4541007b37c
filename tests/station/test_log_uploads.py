"""Uploads of logs and security events, in virtual time, named by requirement."""

import json
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import LogStatusReported, Notice, SecurityEventReported
from forecourt.domain.firmware import LogType, LogUploadStatus
from forecourt.domain.requests import TriggeredMessage
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.inputs import CallFailure
from forecourt.station.security_log import SecurityEvent
from forecourt.station.variable_table import RESET_RETRIES
from tests.station.bench import ONE, START, TWO, Bench
from tests.station.upkeep_bench import UpkeepBench

EXTENSION = msgspec.structs.replace(ONE, security_extension=True, plain_jobs_without_id=True)
DIAGNOSTICS = r.GetLog(location="ftp://x/logs/")


def online(**options: Any) -> UpkeepBench:
    bench = UpkeepBench(**options)
    bench.connect()
    return bench


# Uploads


def test_tc_045_1_diagnostics() -> None:
    bench = online()
    answer = bench.ask(DIAGNOSTICS)
    assert answer.outcome == "Accepted"
    assert answer.filename
    replied = [type(x).__name__ for x in bench.effects]
    assert replied.index("Reply") < replied.index("UploadLog"), "the answer goes first"
    bench.run(2)
    assert bench.uploads() == ["Uploading"]
    bench.run(2)
    assert bench.uploads() == ["Uploading", "Uploaded"]
    upload = bench.took(e.UploadLog)[0]
    assert (upload.location, upload.filename) == (DIAGNOSTICS.location, answer.filename)
    assert "log_upload" not in bench.journal.load()


def test_tc_045_2_upload_failed() -> None:
    bench = online()
    bench.system.uploads = deque([LogUploadStatus.UPLOAD_FAILURE])
    bench.ask(msgspec.structs.replace(DIAGNOSTICS, retries=0))
    bench.run(60)
    assert bench.uploads() == ["Uploading", "UploadFailure"]


def test_5_9_an_upload_is_tried_again_after_the_interval() -> None:
    bench = online()
    bench.system.uploads = deque([LogUploadStatus.UPLOAD_FAILURE] * 2)
    bench.ask(msgspec.structs.replace(DIAGNOSTICS, retries=2, retry_interval_s=30))
    bench.run(68)
    assert bench.uploads() == ["Uploading"]
    bench.run(2)
    assert bench.uploads() == ["Uploading", "Uploaded"]
    assert len(bench.took(e.UploadLog)) == 3


def test_an_upload_by_a_protocol_that_is_not_spoken_here_is_not_tried_again() -> None:
    bench = online()
    bench.system.uploads = deque([LogUploadStatus.NOT_SUPPORTED_OPERATION])
    bench.ask(msgspec.structs.replace(DIAGNOSTICS, retries=2, retry_interval_s=30))
    bench.run(600)
    assert bench.uploads() == ["Uploading", "NotSupportedOperation"]
    assert len(bench.took(e.UploadLog)) == 1


def test_n01_fr_03_and_07_the_security_log_by_its_request_id(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    bench.tell(i.SecurityEventNoticed("TamperDetectionActivated", "lid"))
    answer = bench.ask(r.GetLog(log_type=LogType.SECURITY, location="http://x/", request_id=42))
    assert answer.filename.startswith("security-")
    bench.run(5)
    lines = [json.loads(line) for line in bench.took(e.UploadLog)[0].lines]
    assert [line["event_type"] for line in lines] == ["StartupOfTheDevice", "TamperDetectionActivated"]
    assert lines[1]["tech_info"] == "lid"
    assert {event.request_id for event in bench.csms.told(LogStatusReported)} == {42}
    assert bench.uploads() == ["Uploading", "Uploaded"]


def test_n01_only_what_was_asked_for(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    bench.run(100)
    bench.tell(i.SecurityEventNoticed("Old"))
    bench.run(100)
    bench.tell(i.SecurityEventNoticed("New"))
    request = r.GetLog(
        log_type=LogType.SECURITY, location="http://x/", request_id=1, oldest_at=START + timedelta(seconds=150)
    )
    bench.ask(request)
    assert [json.loads(line)["event_type"] for line in bench.took(e.UploadLog)[0].lines] == ["New"]


@pytest.mark.parametrize(("capabilities", "of_the_old"), [(EXTENSION, []), (TWO, ["AcceptedCanceled"])])
def test_n01_fr_11_a_new_request_takes_the_place_of_the_old_one(
    tmp_path: Path, capabilities: Any, of_the_old: list[str]
) -> None:
    bench = online(folder=tmp_path, capabilities=capabilities)
    bench.ask(r.GetLog(location="http://x/", request_id=1))
    bench.run(1)
    assert bench.ask(r.GetLog(location="http://x/", request_id=2)).outcome == "AcceptedCanceled"
    bench.run(10)
    told = bench.csms.told(LogStatusReported)
    assert [event.upload_status.value for event in told if event.request_id == 1] == ["Uploading", *of_the_old]
    assert [event.upload_status.value for event in told if event.request_id == 2] == ["Uploading", "Uploaded"]


def test_an_upload_goes_on_after_a_restart() -> None:
    bench = online()
    bench.ask(DIAGNOSTICS)
    bench.run(1)
    again = bench.reborn()
    again.connect()
    again.run(5)
    assert again.uploads() == ["Uploading", "Uploaded"]


def test_4_4_and_n01_fr_12_what_a_trigger_hears(tmp_path: Path) -> None:
    bench = online(folder=tmp_path, capabilities=EXTENSION)

    def trigger(message: TriggeredMessage) -> LogStatusReported:
        bench.ask(r.TriggerMessage(requested_message=message))
        return bench.csms.told(LogStatusReported)[-1]

    bench.ask(r.GetLog(location="http://x/", request_id=5))
    told = trigger(TriggeredMessage.LOG_STATUS_NOTIFICATION)
    assert (told.upload_status, told.request_id) == (LogUploadStatus.UPLOADING, 5)
    assert trigger(TriggeredMessage.DIAGNOSTICS_STATUS_NOTIFICATION).upload_status is LogUploadStatus.IDLE
    bench.run(10)
    idle = LogStatusReported(upload_status=LogUploadStatus.IDLE, extended=True)
    assert trigger(TriggeredMessage.LOG_STATUS_NOTIFICATION) == idle


# Security events


def test_a04_fr_02_events_are_queued_offline_and_delivered_in_order_with_their_own_time(tmp_path: Path) -> None:
    bench = UpkeepBench(folder=tmp_path)
    for number in range(3):
        bench.run(10)
        bench.tell(i.SecurityEventNoticed("MemoryExhaustion", str(number)))
    bench.run(1000)
    bench.connect()
    told = bench.csms.told(SecurityEventReported)
    assert [event.tech_info for event in told] == [None, "0", "1", "2"]
    assert [event.at for event in told[1:]] == [START + timedelta(seconds=10 * n) for n in (1, 2, 3)]
    assert "report" not in bench.journal.load()


def test_a04_fr_02_events_survive_a_power_cut(tmp_path: Path) -> None:
    bench = UpkeepBench(folder=tmp_path)
    bench.tell(i.SecurityEventNoticed("TamperDetectionActivated"))
    again = bench.reborn()
    again.connect()
    assert again.security() == ["StartupOfTheDevice", "TamperDetectionActivated", "StartupOfTheDevice"]


def test_a04_one_whose_answer_was_lost_is_sent_again_and_silence_is_no_answer(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    bench.csms.silent = True
    bench.tell(i.SecurityEventNoticed("MemoryExhaustion", "one"))
    sent = bench.unanswered[-1]
    bench.disconnect()
    bench.csms.silent = False
    bench.connect()
    assert bench.csms.told(SecurityEventReported)[-1].tech_info == "one"
    assert isinstance(sent.call, Notice)
    bench.csms.refuses = lambda call: CallFailure.TIMEOUT if told_of(call, "MemoryExhaustion") else None
    bench.tell(i.SecurityEventNoticed("MemoryExhaustion", "two"))
    bench.run(59)
    assert bench.csms.told(SecurityEventReported)[-1].tech_info == "one"
    bench.csms.refuses = lambda _: None
    bench.run(2)
    assert bench.csms.told(SecurityEventReported)[-1].tech_info == "two"


def told_of(call: Any, event_type: str) -> bool:
    event = call.events[0] if isinstance(call, Notice) else None
    return isinstance(event, SecurityEventReported) and event.event_type == event_type


def test_an_error_is_an_answer(tmp_path: Path) -> None:
    bench = UpkeepBench(folder=tmp_path)
    bench.csms.refuses = lambda call: CallFailure.ERROR if told_of(call, "StartupOfTheDevice") else None
    bench.tell(i.SecurityEventNoticed("MemoryExhaustion"))
    bench.connect()
    assert bench.security() == ["MemoryExhaustion"]
    assert "report" not in bench.journal.load()


def test_a04_a_full_queue_drops_the_oldest_that_is_not_critical(tmp_path: Path) -> None:
    bench = UpkeepBench(folder=tmp_path, report_queue_size=3)
    for event_type in ("InvalidMessages", "TamperDetectionActivated", "InvalidTLSVersion", "MemoryExhaustion"):
        bench.tell(i.SecurityEventNoticed(event_type))
    bench.tell(i.SecurityEventNoticed("ResetOrReboot"))
    bench.connect()
    assert bench.security() == ["StartupOfTheDevice", "TamperDetectionActivated", "MemoryExhaustion", "ResetOrReboot"]


def test_n01_fr_05_the_log_rolls_and_survives(tmp_path: Path) -> None:
    bench = UpkeepBench(folder=tmp_path, security_log_size=3)
    for number in range(5):
        bench.tell(i.SecurityEventNoticed("Own", str(number)))
    again = bench.reborn(security_log_size=3)
    entries = again.station.parts.security_log.entries()
    assert [entry.tech_info for entry in entries] == ["3", "4", None]
    assert len(again.journal.load()["security_log"]) == 3


def test_8_clearing_the_log_is_an_event_itself(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    bench.tell(i.SecurityLogCleared())
    assert bench.security()[-1] == SecurityEvent.SECURITY_LOG_WAS_CLEARED
    assert [x.event_type for x in bench.station.parts.security_log.entries()] == ["SecurityLogWasCleared"]
    again = bench.reborn()
    assert len(again.station.parts.security_log.entries()) == 2


@pytest.mark.parametrize(("graceful", "told_before"), [(True, ["ResetOrReboot"]), (False, [])])
def test_8_setting_the_clock_and_restarting_are_events(tmp_path: Path, graceful: bool, told_before: list[str]) -> None:
    """A soft reset waits until its event has arrived, a hard one leaves it for later: told once either way."""
    bench = UpkeepBench(folder=tmp_path)
    bench.csms.clock_ahead_s = 3600.0
    bench.connect()
    bench.csms.silent = True
    bench.ask(r.Reset(graceful=graceful))
    reports = list(bench.unanswered)
    told = [event for send in reports if isinstance(send.call, Notice) for event in send.call.events]
    assert [event.event_type for event in told if isinstance(event, SecurityEventReported)] == told_before
    assert len(bench.took(e.Reboot)) == (0 if graceful else 1)
    bench.csms.silent = False
    for send in reports:
        bench.tell(i.CallAnswered(send.call_id, bench.csms.answer(send.call, bench.now)))
    assert len(bench.took(e.Reboot)) == 1
    assert bench.station.parts.security_log.entries()[-1].event_type == "ResetOrReboot"
    again = bench.reborn()
    again.connect()
    assert again.security().count("ResetOrReboot") == 1


def test_8_what_was_held_for_a_restart_leaves_when_there_is_none(tmp_path: Path) -> None:
    bench = online(folder=tmp_path, variables={RESET_RETRIES: "0"})
    bench.ask(r.Reset(graceful=False))
    assert "ResetOrReboot" not in bench.security()
    bench.tell(i.RebootFailed())
    assert bench.security()[-1] == "ResetOrReboot"


def test_a_station_without_the_extension_has_no_security_events() -> None:
    bench = Bench()
    bench.connect()
    bench.tell(i.SecurityEventNoticed("TamperDetectionActivated"))
    assert not bench.csms.told(SecurityEventReported)
    assert "security_log" not in bench.journal.load()
