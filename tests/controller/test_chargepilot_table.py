"""The tables of a controller that hides smart charging (`chargepilot`), row by row, and what happens offline.

Each row is a test of its own name: what the row says is done by frames at both ends, in OCPP 1.6, under that preset.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from forecourt.controller.settings import ControllerSettings
from forecourt.dialect.v16 import V16
from tests.controller.town import Town
from tests.net.test_controller_endpoint import WORDS_16, Way, frame, profile_of, stamp

SETTINGS = ControllerSettings(preset="chargepilot")


def way() -> Way:
    return Way(WORDS_16, settings=SETTINGS).booted()


# Messages initiated by the charging station

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "x-vendor": 1}
METER = {"connectorId": 1, "transactionId": 5, "meterValue": [{"timestamp": stamp(0), "sampledValue": [
    {"value": "OCMF|{}|{}", "format": "SignedData"}]}]}  # fmt: skip
FORWARDED_UP: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Authorize": ({"idTag": "CARD"}, {"idTagInfo": {"status": "Accepted"}}),
    "DataTransfer": ({"vendorId": "com.example", "data": "é"}, {"status": "Accepted", "data": "x"}),
    "MeterValues": (METER, {}),
    "StartTransaction": (
        {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": stamp(0)},
        {"transactionId": 77, "idTagInfo": {"status": "Accepted"}},
    ),
    "StopTransaction": (
        {"transactionId": 77, "meterStop": 9, "timestamp": stamp(0)},
        {"idTagInfo": {"status": "Expired"}},
    ),
    "StatusNotification": (STATUS, {}),
}


@pytest.mark.parametrize("action", FORWARDED_UP)
def test_from_the_station_forwarded_and_its_response_forwarded(action: str) -> None:
    """Authorize, Data Transfer, Meter Values, Start and Stop Transaction, Status Notification, and their responses."""
    passing = way()
    asked, answered = FORWARDED_UP[action]
    said = json.dumps([2, "m", action, asked], indent=1).encode()
    passing.station(said)
    assert passing.to_csms() == [said]
    answer = json.dumps([3, "m", answered], indent=1).encode()
    passing.csms(answer)
    assert passing.to_station() == [answer]


def test_boot_notification_goes_to_the_third_party_and_is_checked_against_the_config() -> None:
    passing = Way(WORDS_16, settings=SETTINGS)
    said = frame(2, "b", "BootNotification", WORDS_16.boot)
    passing.station(said)
    assert passing.to_csms() == [said]
    assert passing.to_station() == []


@pytest.mark.parametrize("theirs", ["Accepted", "Pending", "Rejected"])
def test_boot_notification_response_is_accepted_if_both_accept(theirs: str) -> None:
    passing = Way(WORDS_16, settings=SETTINGS)
    passing.station(frame(2, "b", "BootNotification", WORDS_16.boot))
    answer = frame(3, "b", {"status": theirs, "currentTime": stamp(0), "interval": 300})
    passing.csms(answer)
    assert passing.to_station() == [answer]
    passing.wait(30)
    assert bool(passing.own) is (theirs == "Accepted"), "spoken to only once it is accepted"


@pytest.mark.parametrize("action", ["DiagnosticsStatusNotification", "FirmwareStatusNotification"])
def test_from_the_station_not_supported(action: str) -> None:
    """Diagnostics and Firmware Status Notification end at the controller, and their responses with them."""
    passing = way()
    passing.station(frame(2, "m", action, {"status": "Idle"}))
    assert passing.to_csms() == []
    assert [json.loads(data) for data in passing.to_station()] == [[3, "m", {}]]
    passing.csms(frame(3, "m", {}))
    assert passing.to_station() == []


def test_heartbeat_is_forwarded_and_its_response_dropped() -> None:
    passing = way()
    said = frame(2, "h", "Heartbeat", {})
    passing.station(said)
    assert passing.to_csms() == [said]
    assert [json.loads(data)[:2] for data in passing.to_station()] == [[3, "h"]]
    passing.csms(frame(3, "h", {"currentTime": stamp(7)}))
    assert passing.to_station() == []


# Messages initiated by the third party, and the station's responses

FORWARDED_DOWN: dict[str, dict[str, Any]] = {
    "ChangeAvailability": {"connectorId": 0, "type": "Inoperative"},
    "ChangeConfiguration": {"key": "WebSocketPingInterval", "value": "30"},
    "ClearCache": {},
    "DataTransfer": {"vendorId": "com.example"},
    "GetConfiguration": {"key": ["A"]},
    "GetLocalListVersion": {},
    "RemoteStartTransaction": {"idTag": "CARD"},
    "RemoteStopTransaction": {"transactionId": 77},
    "Reset": {"type": "Soft"},
    "SendLocalList": {"listVersion": 1, "updateType": "Full"},
    "TriggerMessage": {"requestedMessage": "Heartbeat"},
    "UnlockConnector": {"connectorId": 1},
}


@pytest.mark.parametrize("action", FORWARDED_DOWN)
def test_from_the_third_party_forwarded_and_the_response_forwarded_to_the_initiator(action: str) -> None:
    passing = way()
    said = json.dumps([2, "c", action, FORWARDED_DOWN[action]], indent=1).encode()
    passing.csms(said)
    assert passing.to_station() == [said]
    answer = b'[3, "c", { "status":"Accepted" ,"x":1.0}]'
    passing.station(answer)
    assert passing.to_csms() == [answer]


REJECTED: dict[str, dict[str, Any]] = {
    "CancelReservation": {"reservationId": 1},
    "ReserveNow": {"connectorId": 1, "expiryDate": stamp(60), "idTag": "CARD", "reservationId": 1},
    "SetChargingProfile": {"connectorId": 1, "csChargingProfiles": profile_of(V16, "TxDefaultProfile", 9.0)},
}


@pytest.mark.parametrize("action", REJECTED)
def test_from_the_third_party_rejected(action: str) -> None:
    passing = way()
    passing.csms(frame(2, "c", action, REJECTED[action]))
    assert passing.to_station() == []
    assert [json.loads(data) for data in passing.to_csms()] == [[3, "c", {"status": "Rejected"}]]


REFUSED: dict[str, dict[str, Any]] = {
    "GetDiagnostics": {"location": "ftp://example/"},
    "UpdateFirmware": {"location": "ftp://example/", "retrieveDate": stamp(60)},
}


@pytest.mark.parametrize("action", REFUSED)
def test_from_the_third_party_rejected_where_the_answer_has_no_such_word(action: str) -> None:
    passing = way()
    passing.csms(frame(2, "c", action, REFUSED[action]))
    assert passing.to_station() == []
    assert [json.loads(data)[:3] for data in passing.to_csms()] == [[4, "c", "NotSupported"]]


# Handling of configuration


def set_key(passing: Way, key: str, value: str) -> tuple[list[Any], list[Any]]:
    passing.csms(frame(2, "k", "ChangeConfiguration", {"key": key, "value": value}))
    return [json.loads(data) for data in passing.to_station()], [json.loads(data) for data in passing.to_csms()]


def test_keys_of_the_station_can_be_changed() -> None:
    asked = {"key": "MeterValueSampleInterval", "value": "300"}
    assert set_key(way(), **asked) == ([[2, "k", "ChangeConfiguration", asked]], [])


@pytest.mark.parametrize(("value", "passed"), [("86400", "300"), ("300", "300"), ("60", "60")])
def test_the_heartbeat_interval_is_limited_to_300_s(value: str, passed: str) -> None:
    ((_, _, _, payload),), _ = set_key(way(), "HeartbeatInterval", value)
    assert payload == {"key": "HeartbeatInterval", "value": passed}


@pytest.mark.parametrize("given_s", [0, 301, 86_400])
def test_the_heartbeat_interval_of_the_boot_is_limited_to_300_s(given_s: int) -> None:
    passing = Way(WORDS_16, settings=SETTINGS)
    passing.station(frame(2, "b", "BootNotification", WORDS_16.boot))
    passing.csms(frame(3, "b", {"status": "Accepted", "currentTime": stamp(0), "interval": given_s}))
    assert json.loads(passing.to_station()[0])[2]["interval"] == 300


@pytest.mark.parametrize(
    "key", ["MeterValuesSampledData", "AuthorizationKey", "SecurityProfile", "BackendURL", "OCPP.CentralSystemUrl"]
)
def test_keys_that_cannot_be_changed(key: str) -> None:
    """MeterValuesSampledData; and, as the text on encryption has it, no update of the AuthorizationKey. Nor where the
    station's CSMS is: that is the controller."""
    assert set_key(way(), key, "x" * 20) == ([], [[3, "k", {"status": "Rejected"}]])


# Vendor extensions, signed meter values


def test_vendor_specific_messages_are_not_touched() -> None:
    passing = way()
    said = b'[2, "v","VendorAction", {"a" :[1.50, null,"\\u00e9"]} ]'
    passing.station(said)
    assert passing.to_csms() == [said]
    passing.csms(b'[4,"v" ,"VendorError","",{ }]')
    assert passing.to_station() == [b'[4,"v" ,"VendorError","",{ }]']


# Offline states


def town() -> Town:
    made = Town(2, settings=SETTINGS)
    for name in made.stations:
        made.connect(name, boot=True)
    assert made.run(30) == []
    made.start("S0")
    assert made.run(130) == []
    return made


def no_link_to_the_station(made: Town) -> None:
    """What the station has to say it keeps; its share stays reserved until its lease is over."""
    made.disconnect("S0")
    made.start("S1")
    assert made.run(200) == []
    assert made.stations["S1"].current_a < 10
    made.connect("S0")
    assert made.run(400) == []
    assert [station.current_a for station in made.stations.values()] == [20, 20]


def no_link_to_the_third_party(made: Town) -> None:
    made.cut_csms()
    made.start("S1")
    assert made.run(200) == []
    assert made.stations["S1"].current_a == 20
    made.stop("S1")
    made.stop("S0")
    assert made.run(60) == []
    made.csms_back()
    assert made.run(60) == []


def a_restart_of_the_station_meanwhile(made: Town) -> None:
    made.cut_csms()
    made.reboot("S0")
    assert made.run(30) == []
    assert made.stations["S0"].accepted
    before = len(made.heard["S0"])
    made.csms_back()
    assert made.run(60) == []
    actions = [action for action, _ in made.heard["S0"][before:]]
    assert actions[0] == "BootNotification"
    assert actions.index("StatusNotification") < actions.index("StopTransaction")


@pytest.mark.parametrize(
    "situation", [no_link_to_the_station, no_link_to_the_third_party, a_restart_of_the_station_meanwhile]
)
def test_offline(situation: Callable[[Town], None]) -> None:
    made = town()
    situation(made)
    for name in made.stations:
        made.stop(name)
    assert made.run(120) == []
    for name, station in made.stations.items():
        stories = made.stories(name)
        assert len(stories) == station.numbers
        assert all(story[0][0] == "start" and story[-1][0] == "stop" for story in stories.values())
