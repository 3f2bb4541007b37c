"""OCPP 2.0.1 stations while their CSMS is away: their own transaction ids, and events that say that they were kept."""

import json
from typing import Any

from tests.net.test_controller_endpoint import STATION, WORDS_201, Way, _variable, frame, stamp

from forecourt.controller.settings import ControllerSettings, OfflineSettings

TOKEN = {"idToken": "CARD", "type": "ISO14443"}
SETTINGS = ControllerSettings(offline=OfflineSettings(retry_s=10.0))


def event(kind: str, seq_no: int, **more: Any) -> dict[str, Any]:
    info = {"transactionId": "T1", "chargingState": "Charging"}
    trigger = {"Started": "Authorized", "Updated": "MeterValuePeriodic", "Ended": "EVDeparted"}[kind]
    said = {"eventType": kind, "timestamp": stamp(seq_no), "triggerReason": trigger, "seqNo": seq_no}
    return {**said, "transactionInfo": info, "evse": {"id": 1, "connectorId": 1}, **more}


def known_card() -> Way:
    way = Way(WORDS_201, settings=SETTINGS).booted()
    way.station(frame(2, "a", "Authorize", {"idToken": TOKEN}))
    way.csms(frame(3, "a", {"idTokenInfo": {"status": "Accepted"}}))
    way.to_station(), way.to_csms()
    return way


def lost(way: Way) -> None:
    way.endpoint.csms_lost(STATION, way.now)
    way._collect()


def back(way: Way) -> None:
    way.endpoint.csms_up(STATION, way.now)
    way.endpoint.touched.add(STATION)


def answer(way: Way) -> Any:
    (data,) = way.to_station()
    return json.loads(data)[2]


def hears(way: Way, told: dict[str, Any]) -> Any:
    """What the CSMS is told next, and answers."""
    way.wait(1)
    way._collect()
    for data in way.to_csms():
        _, message_id, action, payload = json.loads(data)
        way.csms(frame(3, message_id, told))
        return action, payload
    return None


def test_a_transaction_without_the_csms_keeps_its_id_and_says_that_it_was_offline() -> None:
    way = known_card()
    lost(way)
    way.station(frame(2, "1", "TransactionEvent", event("Started", 0, idToken=TOKEN)))
    assert answer(way)["idTokenInfo"]["status"] == "Accepted"
    way.station(frame(2, "2", "TransactionEvent", event("Updated", 1, offline=False, vendorX=1.50)))
    assert answer(way) == {}
    way.wait(30)
    assert way.limit_a == 32.0, "and it charges meanwhile"
    way.station(frame(2, "3", "TransactionEvent", event("Ended", 2)))
    assert answer(way) == {}
    back(way)
    told = [hears(way, {}) for _ in range(3)]
    expected = [event("Started", 0, idToken=TOKEN), event("Updated", 1, vendorX=1.50), event("Ended", 2)]
    assert told == [("TransactionEvent", {**said, "offline": True}) for said in expected]
    assert hears(way, {}) is None
    assert way.endpoint.backlog(STATION) == 0


def test_a_token_that_nobody_knows_is_invalid() -> None:
    way = known_card()
    lost(way)
    stranger = {"idToken": "STRANGER", "type": "ISO14443"}
    way.station(frame(2, "1", "Authorize", {"idToken": stranger}))
    assert answer(way)["idTokenInfo"]["status"] == "Invalid"
    way.station(frame(2, "2", "Authorize", {"idToken": TOKEN}))
    assert answer(way)["idTokenInfo"]["status"] == "Accepted"


def test_an_event_that_is_repeated_is_kept_once() -> None:
    way = known_card()
    lost(way)
    for number in range(3):
        way.station(frame(2, f"{number}", "TransactionEvent", event("Started", 0, idToken=TOKEN)))
        assert answer(way)["idTokenInfo"]["status"] == "Accepted"
    assert way.endpoint.backlog(STATION) == 1


def test_a_transaction_whose_token_is_refused_afterwards_is_stopped() -> None:
    way = known_card()
    lost(way)
    way.station(frame(2, "1", "TransactionEvent", event("Started", 0, idToken=TOKEN)))
    way.to_station()
    back(way)
    hears(way, {"idTokenInfo": {"status": "Blocked"}})
    way.wait(1)
    asked = [request for request in way.own if type(request).__name__ == "RequestStopTransaction"]
    assert [request.transaction_id for request in asked] == ["T1"]  # type: ignore[union-attr]


def test_states_of_connectors_are_told_as_they_are_now() -> None:
    way = known_card()
    lost(way)
    for status in ("Occupied", "Available", "Occupied"):
        state = {"timestamp": stamp(0), "connectorStatus": status, "evseId": 1, "connectorId": 1}
        way.station(frame(2, status, "StatusNotification", state))
        assert answer(way) == {}
    back(way)
    action, payload = hears(way, {})
    assert (action, payload["connectorStatus"]) == ("StatusNotification", "Occupied")
    assert hears(way, {}) is None


def test_what_only_the_csms_can_answer_is_refused() -> None:
    way = known_card()
    lost(way)
    way.station(frame(2, "1", "SignCertificate", {"csr": "abc"}))
    (data,) = way.to_station()
    assert json.loads(data)[:3] == [4, "1", "InternalError"]


def test_a_password_comes_alone_or_not_at_all() -> None:
    way = Way(WORDS_201, settings=SETTINGS).booted()
    way.endpoint._passwords = {STATION: "of the site file, long"}
    password = _variable("SecurityCtrlr", "BasicAuthPassword", "p" * 20)[1]["setVariableData"][0]
    other = _variable("OCPPCommCtrlr", "HeartbeatInterval", "60")[1]["setVariableData"][0]
    for settings, status in (([password, other], "Rejected"), ([password], "Accepted")):
        way.csms(frame(2, status, "SetVariables", {"setVariableData": settings}))
        assert way.to_station() == []
        (data,) = [json.loads(data) for data in way.to_csms()]
        assert {result["attributeStatus"] for result in data[2]["setVariableResult"]} == {status}
    assert way.endpoint.upstream_passwords(STATION)[0] == "p" * 20
    assert way.endpoint.relink == {STATION}
