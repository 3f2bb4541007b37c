"""Where messages are numbered the CSMS gets every one of them, and the control asks for its own readings in between."""

import json
from typing import Any

import pytest

from forecourt.controller.measurands import ALIGNED, SAMPLED
from forecourt.controller.sampling import INTERVAL
from forecourt.controller.settings import ControllerSettings, Preset
from forecourt.domain.requests import SetVariables, TriggeredMessage, TriggerMessage
from tests.net.test_controller_endpoint import WORDS_16, WORDS_201, Way, frame, stamp

CONTROL_S = 15


def way(preset: Preset = "full", words: Any = WORDS_201, **more: Any) -> Way:
    settings = ControllerSettings(preset=preset, sample_interval_s=CONTROL_S)
    found = Way(words, settings=settings, **more)
    found.holds = {SAMPLED: "Current.Import", ALIGNED: "Current.Import"}
    return found


def asked(passing: Way) -> int:
    """How often the controller has asked for a reading."""
    return sum(
        isinstance(one, TriggerMessage) and one.requested_message is TriggeredMessage.METER_VALUES
        for one in passing.own
    )


def intervals(passing: Way) -> list[str]:
    """Those that the controller itself has set."""
    settings = [setting for one in passing.own if isinstance(one, SetVariables) for setting in one.settings]
    return [setting.value for setting in settings if setting.ref == INTERVAL]


def reading(passing: Way, message_id: str, value: float = 6.0, **more: Any) -> bytes:
    sample = {"value": value, "context": "Trigger", "measurand": "Current.Import", **more}
    values = [{"timestamp": stamp(passing.second), "sampledValue": [sample]}]
    return frame(2, message_id, "MeterValues", {"evseId": 1, "meterValue": values})


def ends_here(passing: Way, said: bytes) -> bool:
    """Whether a reading of the station gets no further; it is answered in any case."""
    message_id = json.loads(said)[1]
    passing.station(said)
    up = passing.to_csms()
    if up:
        assert up == [said], "byte for byte"
        passing.csms(frame(3, message_id, {}))
    assert [json.loads(data) for data in passing.to_station()] == [[3, message_id, {}]]
    return not up


def updated(passing: Way, number: int) -> bytes:
    sample = {"value": 6.0, "context": "Sample.Periodic", "measurand": "Current.Import"}
    payload = {
        "eventType": "Updated",
        "timestamp": stamp(passing.second),
        "triggerReason": "MeterValuePeriodic",
        "seqNo": number,
        "transactionInfo": {"transactionId": "T1"},
        "meterValue": [{"timestamp": stamp(passing.second), "sampledValue": [sample]}],
    }
    return frame(2, f"u{number}", "TransactionEvent", payload)


def test_the_station_keeps_the_interval_of_the_csms_and_is_asked_in_between() -> None:
    passing = way().booted()
    passing.wait(60)
    assert intervals(passing) == [], "it reports to the CSMS as the CSMS has it"
    assert asked(passing) == 0, "nothing charges"
    passing.start()
    before = asked(passing)
    for number in range(8):
        passing.wait(CONTROL_S)
        assert ends_here(passing, reading(passing, f"r{number}", 6.0 + number))
    assert asked(passing) - before == 8
    (line,) = passing.endpoint.controller.lines.values()
    assert line.account.measured_a == 13.0, "the control has heard them"


def test_e01_fr_07_no_number_is_missing_upstream() -> None:
    passing = way().charging()
    for number in range(1, 40):
        passing.wait(5)
        said = updated(passing, number)
        passing.station(said)
        assert passing.to_csms() == [said]
        passing.csms(frame(3, f"u{number}", {}))
        passing.to_station()
    assert asked(passing) <= 3, "what the station reports by itself need not be asked for"


def test_the_csms_sets_the_interval_itself() -> None:
    passing = way().booted()
    name, variable = "SampledDataCtrlr", "TxUpdatedInterval"
    setting = {"component": {"name": name}, "variable": {"name": variable}, "attributeValue": "300"}
    said = frame(2, "k", "SetVariables", {"setVariableData": [setting]})
    passing.csms(said)
    assert passing.to_station() == [said], "byte for byte"


def test_what_the_csms_asks_for_it_gets() -> None:
    passing = way().charging()
    assert ends_here(passing, reading(passing, "asked"))
    assert not ends_here(passing, reading(passing, "unasked")), "it was the station's own idea"
    passing.wait(CONTROL_S)
    passing.csms(frame(2, "c", "TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}}))
    assert passing.to_station()
    passing.station(frame(3, "c", {"status": "Accepted"}))
    passing.to_csms()
    assert not ends_here(passing, reading(passing, "first")), "one is for the CSMS"
    assert ends_here(passing, reading(passing, "second")), "and one for the control"
    assert not ends_here(passing, reading(passing, "third"))


def test_whatever_is_not_triggered_passes() -> None:
    passing = way().charging()
    passing.wait(CONTROL_S)
    assert not ends_here(passing, reading(passing, "aligned", context="Sample.Clock"))


def test_a_station_that_is_not_to_be_asked_is_told_the_shorter_interval() -> None:
    passing = way()
    passing.refuses = lambda request: isinstance(request, TriggerMessage)
    passing.charging()
    passing.wait(10 * CONTROL_S)
    assert asked(passing) == 3
    assert intervals(passing) == [str(CONTROL_S)]


def test_so_is_one_whose_readings_say_nothing_of_use() -> None:
    passing = way().charging()
    for number in range(6):
        passing.wait(CONTROL_S)
        ends_here(passing, reading(passing, f"r{number}", measurand="Energy.Active.Import.Register"))
    assert intervals(passing) == [str(CONTROL_S)]


def test_under_chargepilot_every_reading_is_forwarded() -> None:
    passing = way("chargepilot").charging()
    assert intervals(passing) == [str(CONTROL_S)]
    passing.wait(4 * CONTROL_S)
    assert asked(passing) == 0
    assert not ends_here(passing, reading(passing, "r"))


@pytest.mark.parametrize("preset", ["full", "chargepilot"])
def test_a_reading_that_is_asked_for_as_evidence_is_the_control_s_own(preset: Preset) -> None:
    passing = way(preset, WORDS_16, fuse_a=20.0).charging()
    passing.wait(300)
    assert asked(passing) > 0
    sample = {"value": "5", "context": "Trigger", "measurand": "Current.Import", "unit": "A"}
    values = [{"timestamp": stamp(passing.second), "sampledValue": [sample]}]
    said = frame(2, "m", "MeterValues", {"connectorId": 1, "meterValue": values})
    assert ends_here(passing, said) is (preset == "full")


def test_somebody_hears_of_a_station_that_is_not_seen_to_obey() -> None:
    passing = way(words=WORDS_16, fuse_a=20.0).charging()
    passing.wait(600)
    alarms = [alarm for alarm in passing.endpoint.alarms if alarm.kind == "no-evidence"]
    assert [alarm.text for alarm in alarms] == [
        "S/1 is not seen to obey: no reading says so; 32.0 A stay reserved for a while"
    ]


def test_who_does_not_charge_is_not_asked() -> None:
    passing = way().charging()
    state = json.loads(updated(passing, 1))
    state[3] |= {"triggerReason": "ChargingStateChanged"}
    state[3]["transactionInfo"] |= {"chargingState": "SuspendedEV"}
    passing.station(frame(*state))
    passing.csms(frame(3, "u1", {}))
    passing.to_station(), passing.to_csms()
    before = asked(passing)
    passing.wait(10 * CONTROL_S)
    assert asked(passing) == before
