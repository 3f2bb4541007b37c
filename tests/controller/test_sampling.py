"""The control may need more readings than the CSMS asked for; the CSMS gets its own rate (`controller.md` §1)."""

import json
from typing import Any

import pytest

from forecourt.controller.settings import ControllerSettings, Preset
from forecourt.domain.requests import SetVariables
from tests.net.test_controller_endpoint import WORDS_16, Way, frame, stamp

CONTROL_S = 15


def way(preset: Preset = "full", *, sample_interval_s: float | None = CONTROL_S) -> Way:
    settings = ControllerSettings(preset=preset, sample_interval_s=sample_interval_s)
    return Way(WORDS_16, settings=settings).booted()


def told_s(passing: Way) -> list[str]:
    """The intervals that the controller itself has set."""
    return [one.settings[0].value for one in passing.own if isinstance(one, SetVariables)]


def reading(second: int, **more: Any) -> bytes:
    sample = {"value": "6.0", "measurand": "Current.Import", "unit": "A", **more}
    values = [{"timestamp": stamp(second), "sampledValue": [sample]}]
    payload = {"connectorId": 1, "transactionId": 5, "meterValue": values}
    return frame(2, f"m{second}{len(more)}", "MeterValues", payload)


def passed(passing: Way, seconds: range, **more: Any) -> list[int]:
    """Which readings get upstream; each is answered to the station, there or here."""
    found = []
    for second in seconds:
        said = reading(second, **more)
        passing.station(said)
        if up := passing.to_csms():
            assert up == [said], "byte for byte"
            passing.csms(frame(3, json.loads(said)[1], {}))
            found.append(second)
        assert passing.to_station() == [json.dumps([3, json.loads(said)[1], {}]).encode()] or passing.to_station() == []
    return found


def test_without_it_the_station_is_as_the_csms_has_it() -> None:
    passing = way(sample_interval_s=None)
    assert told_s(passing) == []
    assert passed(passing, range(0, 120, 15)) == list(range(0, 120, 15))


def test_the_station_reports_as_often_as_the_control_needs_and_the_csms_gets_its_own_rate() -> None:
    passing = way()
    assert told_s(passing) == ["15"]
    passing.csms(frame(2, "k", "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "60"}))
    ((_, _, _, payload),) = [json.loads(data) for data in passing.to_station()]
    assert payload["value"] == "15"
    passing.station(frame(3, "k", {"status": "Accepted"}))
    assert [json.loads(data) for data in passing.to_csms()] == [[3, "k", {"status": "Accepted"}]]
    assert passed(passing, range(0, 241, 15)) == [0, 60, 120, 180, 240]
    (line,) = passing.endpoint.controller.lines.values()
    assert line.account.measured_a == 6.0, "the control has heard them all"


def test_before_the_csms_has_said_anything_it_gets_one_in_300_s() -> None:
    assert passed(way(), range(0, 601, 15)) == [0, 300, 600]


@pytest.mark.parametrize("context", ["Transaction.Begin", "Transaction.End", "Sample.Clock", "Trigger"])
def test_whatever_is_not_a_mere_periodic_reading_passes(context: str) -> None:
    passing = way()
    assert passed(passing, range(0, 60, 15)) == [0]
    assert passed(passing, range(60, 120, 15), context=context) == [60, 75, 90, 105]


def test_one_that_asks_for_more_gets_it() -> None:
    passing = way()
    asked = {"key": "MeterValueSampleInterval", "value": "5"}
    passing.csms(frame(2, "k", "ChangeConfiguration", asked))
    assert [json.loads(data)[3] for data in passing.to_station()] == [asked]
    passing.station(frame(3, "k", {"status": "Accepted"}))
    assert passing.to_csms()
    assert passed(passing, range(0, 60, 5)) == list(range(0, 60, 5))


def test_what_the_station_refuses_is_no_rate() -> None:
    passing = way()
    passing.csms(frame(2, "k", "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "60"}))
    passing.to_station()
    passing.station(frame(3, "k", {"status": "Rejected"}))
    passing.to_csms()
    assert passed(passing, range(0, 241, 15)) == [0]


def test_under_chargepilot_every_reading_is_forwarded() -> None:
    passing = way("chargepilot")
    assert told_s(passing) == ["15"]
    assert passed(passing, range(0, 120, 15)) == list(range(0, 120, 15))


def test_under_chargepilot_the_interval_is_300_s_until_the_csms_says_otherwise() -> None:
    passing = way("chargepilot", sample_interval_s=None)
    assert told_s(passing) == ["300"]
    passing.csms(frame(2, "k", "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "60"}))
    assert [json.loads(data)[3]["value"] for data in passing.to_station()] == ["60"]
    passing.station(frame(3, "k", {"status": "Accepted"}))
    passing.own.clear()
    passing.booted()
    assert told_s(passing) == [], "a rate that it has asked for stands"


def variables(passing: Way, answered: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """What the CSMS hears when it asks a station that answers so."""
    request = frame(2, "v", "GetConfiguration", asked)
    passing.csms(request)
    assert passing.to_station() == [request], "byte for byte"
    passing.station(frame(3, "v", answered))
    ((_, _, told),) = [json.loads(data) for data in passing.to_csms()]
    assert isinstance(told, dict)
    return told


INTERVALS = {
    "configurationKey": [
        {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
        {"key": "MeterValueSampleInterval", "readonly": False, "value": "15"},
        {"key": "MaxCurrent", "readonly": True, "value": "32"},
    ],
    "unknownKey": ["Nonsense"],
}


@pytest.mark.parametrize("asked", [{}, {"key": ["MaxCurrent", "MeterValueSampleInterval", "Nonsense"]}])
def test_the_csms_reads_the_interval_that_it_gets(asked: dict[str, Any]) -> None:
    passing = way()
    told = variables(passing, INTERVALS, asked)
    values = {entry["key"]: (entry["readonly"], entry["value"]) for entry in told["configurationKey"]}
    assert values == {
        "HeartbeatInterval": (False, "300"),
        "MeterValueSampleInterval": (False, "300"),
        "MaxCurrent": (True, "32"),
    }
    assert told["unknownKey"] == ["Nonsense"]
    passing.csms(frame(2, "k", "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "60"}))
    passing.to_station()
    passing.station(frame(3, "k", {"status": "Accepted"}))
    passing.to_csms()
    entries = variables(passing, INTERVALS, asked)["configurationKey"]
    assert [entry["value"] for entry in entries if entry["key"] == "MeterValueSampleInterval"] == ["60"]


def test_what_says_nothing_of_the_interval_passes_byte_for_byte() -> None:
    passing = way()
    answer = b'[3, "v",   {"configurationKey": [{"key":"MaxCurrent","value":"32","readonly":true}]}]'
    for asked in ({}, {"key": ["MaxCurrent"]}):
        passing.csms(frame(2, "v", "GetConfiguration", asked))
        passing.to_station()
        passing.station(answer)
        assert passing.to_csms() == [answer]


@pytest.mark.parametrize(("preset", "interval_s"), [("full", None), ("chargepilot", 15.0)])
def test_where_every_reading_passes_the_station_says_its_own_interval(preset: Preset, interval_s: float | None) -> None:
    assert variables(way(preset, sample_interval_s=interval_s), INTERVALS, {}) == INTERVALS
