"""Every row of the two tables of messages of a controller that hides smart charging, by its name (`chargepilot`).

What a row says is a few words; what they mean is done by frames at both ends, in OCPP 1.6.
"""

import json
from typing import Any, Final

import pytest

from forecourt.controller.settings import ControllerSettings
from tests.controller.test_chargepilot_table import FORWARDED_DOWN, FORWARDED_UP, REFUSED, REJECTED
from tests.net.test_controller_endpoint import WORDS_16, Way, frame, stamp

THIRD_PARTY, DROPPED, HERE, REJECTS = "to the third party", "dropped", "ends here", "rejected"
STATION, INITIATOR, BOTH = "to the charging station", "to the initiator", "if both accept"

FROM_STATION: Final = {
    "Authorize": THIRD_PARTY,
    "Boot Notification": THIRD_PARTY,
    "Data Transfer": THIRD_PARTY,
    "Diagnostics Status Notification": HERE,
    "Firmware Status Notification": HERE,
    "Heartbeat": THIRD_PARTY,
    "Meter Values": THIRD_PARTY,
    "Start Transaction": THIRD_PARTY,
    "Stop Transaction": THIRD_PARTY,
    "Status Notification": THIRD_PARTY,
    "Cancel Reservation Response": HERE,
    "Change Availability Response": INITIATOR,
    "Change Configuration Response": INITIATOR,
    "Clear Cache Response": INITIATOR,
    "Data Transfer Response": INITIATOR,
    "Get Configuration Response": INITIATOR,
    "Get Diagnostics Response": INITIATOR,
    "Get Local List Version Response": INITIATOR,
    "Remote Start Transaction Response": INITIATOR,
    "Remote Stop Transaction Response": INITIATOR,
    "Reserve Now Response": HERE,
    "Reset Response": INITIATOR,
    "Send Local List Response": INITIATOR,
    "Set Charging Profile Response": HERE,
    "Trigger Message Response": INITIATOR,
    "Unlock Connector Response": INITIATOR,
    "Update Firmware Response": HERE,
}
FROM_THIRD_PARTY: Final = {
    "Authorize Response": STATION,
    "Boot Notification Response": BOTH,
    "Data Transfer Response": STATION,
    "Diagnostics Status Notification Response": HERE,
    "Firmware Status Notification Response": HERE,
    "Heartbeat Response": DROPPED,
    "Meter Values Response": STATION,
    "Start Transaction Response": STATION,
    "Stop Transaction Response": STATION,
    "Status Notification Response": STATION,
    "Cancel Reservation": REJECTS,
    "Change Availability": STATION,
    "Change Configuration": STATION,
    "Clear Cache": STATION,
    "Data Transfer": STATION,
    "Get Configuration": STATION,
    "Get Diagnostics": REJECTS,
    "Get Local List Version": STATION,
    "Remote Start Transaction": STATION,
    "Remote Stop Transaction": STATION,
    "Reserve Now": REJECTS,
    "Reset": STATION,
    "Send Local List": STATION,
    "Set Charging Profile": REJECTS,
    "Trigger Message": STATION,
    "Unlock Connector": STATION,
    "Update Firmware": REJECTS,
}

UP: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    **FORWARDED_UP,
    "BootNotification": (WORDS_16.boot, {"status": "Accepted", "currentTime": stamp(0), "interval": 300}),
    "DiagnosticsStatusNotification": ({"status": "Idle"}, {}),
    "FirmwareStatusNotification": ({"status": "Idle"}, {}),
    "Heartbeat": ({}, {"currentTime": stamp(7)}),
}
DOWN: Final[dict[str, dict[str, Any]]] = {**FORWARDED_DOWN, **REJECTED, **REFUSED}
NEVER_THERE: Final = "Get Diagnostics Response"
"""The request is rejected by another row, so no response of a station can ever come: the initiator has one all the
same."""


def way() -> Way:
    return Way(WORDS_16, settings=ControllerSettings(preset="chargepilot"))


def read(frames: list[bytes]) -> list[Any]:
    return [json.loads(one)[:2] for one in frames]


@pytest.mark.parametrize("row", FROM_STATION)
def test_messages_initiated_by_charging_station(row: str) -> None:
    behaviour, action = FROM_STATION[row], row.removesuffix(" Response").replace(" ", "")
    passing = way() if action == "BootNotification" else way().booted()
    if row.endswith(" Response"):
        asked = json.dumps([2, "c", action, DOWN[action]], indent=1).encode()
        passing.csms(asked)
        if behaviour is HERE or row == NEVER_THERE:
            assert passing.to_station() == [], "never asked, so it has nothing to respond to"
            assert read(passing.to_csms()) in ([[3, "c"]], [[4, "c"]])
            passing.station(frame(3, "c", {"status": "Accepted"}))
            assert passing.to_csms() == []
            return
        assert passing.to_station() == [asked]
        said = b'[3, "c", { "status":"Accepted" ,"x":1.0}]'
        passing.station(said)
        assert passing.to_csms() == [said]
        return
    said = json.dumps([2, "m", action, UP[action][0]], indent=1).encode()
    passing.station(said)
    assert passing.to_csms() == ([said] if behaviour is THIRD_PARTY else [])
    if behaviour is HERE:
        assert read(passing.to_station()) == [[3, "m"]], "it is answered all the same"


@pytest.mark.parametrize("row", FROM_THIRD_PARTY)
def test_messages_initiated_by_third_party(row: str) -> None:
    behaviour, action = FROM_THIRD_PARTY[row], row.removesuffix(" Response").replace(" ", "")
    passing = way() if action == "BootNotification" else way().booted()
    if not row.endswith(" Response"):
        asked = json.dumps([2, "c", action, DOWN[action]], indent=1).encode()
        passing.csms(asked)
        assert passing.to_station() == ([asked] if behaviour is STATION else [])
        if behaviour is REJECTS:
            ((kind, number, what, *_),) = map(json.loads, passing.to_csms())
            assert (kind, number, what) in ((3, "c", {"status": "Rejected"}), (4, "c", "NotSupported"))
        return
    said_before, answer = UP[action]
    passing.station(json.dumps([2, "m", action, said_before]).encode())
    heard = len(passing.to_csms())
    before = passing.to_station()
    said = json.dumps([3, "m", answer], indent=1).encode()
    passing.csms(said)
    after = passing.to_station()
    if behaviour in (STATION, BOTH):
        assert (heard, before, after) == (1, [], [said])
    else:
        assert (heard, read(before), after) == (int(behaviour is DROPPED), [[3, "m"]], [])
