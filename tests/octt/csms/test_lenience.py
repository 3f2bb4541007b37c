"""Stations as they are: whatever is wrong with their messages, they stay usable, and it can be read on their page."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from forecourt.dialect.tables import TableDialect
from forecourt.dialect.v16 import V16
from tests.octt.csms.running import PATIENCE_S, Api, Csms
from tests.octt.csms.station_v16 import VALID

AT = "2025-06-01T12:00:00Z"
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": AT}
START = {"connectorId": 1, "idTag": VALID, "meterStart": 10, "timestamp": AT}
STOP = {"transactionId": 1, "meterStop": 20, "timestamp": AT}
LEFT_OUT = object()


class Bare:
    """A station of frames."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self._sent = 0

    async def call(self, action: str, payload: Any) -> Any:
        """The payload of the result; the whole frame of an error."""
        self._sent += 1
        await self._socket.send(json.dumps([2, str(self._sent), action, payload]))
        answer = json.loads(await asyncio.wait_for(self._socket.recv(), PATIENCE_S))
        assert answer[1] == str(self._sent)
        return answer[2] if answer[0] == 3 else answer

    async def say(self, frame: str) -> None:
        await self._socket.send(frame)


@asynccontextmanager
async def bare(csms: Csms, identity: str) -> AsyncIterator[Bare]:
    subprotocols = [websockets.Subprotocol("ocpp1.6")]
    async with websockets.connect(csms.ocpp_url + identity, subprotocols=subprotocols) as socket:
        yield Bare(socket)


def spoilt(payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (payload | changes).items() if value is not LEFT_OUT}


def sampled(*samples: Any, **changes: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [spoilt({"timestamp": AT, "sampledValue": samples}, **changes)]}


SINS: dict[str, tuple[str, Any]] = {
    "boot without model": ("BootNotification", spoilt(BOOT, chargePointModel=LEFT_OUT)),
    "boot too long": ("BootNotification", spoilt(BOOT, chargePointVendor="V" * 60)),
    "status unknown": ("StatusNotification", spoilt(STATUS, status="Sleeping")),
    "status in small letters": ("StatusNotification", spoilt(STATUS, status="available")),
    "status without error code": ("StatusNotification", spoilt(STATUS, errorCode=LEFT_OUT)),
    "status with null": ("StatusNotification", spoilt(STATUS, errorCode=None, timestamp=None)),
    "status of no connector": ("StatusNotification", spoilt(STATUS, connectorId=-1)),
    "start in texts": ("StartTransaction", spoilt(START, connectorId="1", meterStart="10")),
    "start with a number for a tag": ("StartTransaction", spoilt(START, idTag=12345)),
    "start without time": ("StartTransaction", spoilt(START, timestamp=LEFT_OUT)),
    "start without zone": ("StartTransaction", spoilt(START, timestamp="2025-06-01T12:00:00")),
    "start at null": ("StartTransaction", spoilt(START, timestamp=None)),
    "start in seconds": ("StartTransaction", spoilt(START, timestamp=1_748_779_200)),
    "start without meter": ("StartTransaction", spoilt(START, meterStart=None)),
    "stop without time": ("StopTransaction", spoilt(STOP, timestamp="")),
    "stop without meter": ("StopTransaction", spoilt(STOP, meterStop=LEFT_OUT)),
    "stop for reasons of its own": ("StopTransaction", spoilt(STOP, reason="Aliens")),
    "no meter value": ("MeterValues", {"connectorId": 1, "meterValue": []}),
    "no sample": ("MeterValues", sampled()),
    "no time of a sample": ("MeterValues", sampled({"value": "1"}, timestamp=LEFT_OUT)),
    "unknown measurand": ("MeterValues", sampled({"value": "1", "measurand": "Mood"})),
    "unknown unit": ("MeterValues", sampled({"value": "1", "unit": "furlong"})),
    "number for a text": ("MeterValues", sampled({"value": 12.5})),
    "null in a sample": ("MeterValues", sampled({"value": "1", "phase": None})),
    "unknown firmware status": ("FirmwareStatusNotification", {"status": "Thinking"}),
}


@pytest.mark.parametrize("sin", SINS)
async def test_a_violation_is_answered_with_a_result_and_can_be_read(csms: Csms, api: Api, sin: str) -> None:
    action, payload = SINS[sin]
    identity = f"sin-{sin}".replace(" ", "-")
    async with bare(csms, identity) as station:
        assert isinstance(await station.call(action, payload), dict)
        assert "currentTime" in await station.call("Heartbeat", {})
        listed = await api.eventually(
            lambda: api.get(f"/stations/{identity}/violations"), lambda listed: listed["items"]
        )
        assert {violation["action"] for violation in listed["items"]} == {action}


async def test_what_one_station_is_not_forgiven_others_are(csms: Csms, api: Api) -> None:
    await api.post("/stations", {"id": "exact", "lenient_decoding": False})
    sin = spoilt(STATUS, status="Sleeping")
    async with bare(csms, "exact") as station:
        assert (await station.call("BootNotification", BOOT))["status"] == "Accepted"
        refused = await station.call("StatusNotification", sin)
        assert refused[0] == 4
        assert refused[2] in {"PropertyConstraintViolation", "TypeConstraintViolation", "FormationViolation"}
        assert await station.call("StatusNotification", STATUS) == {}, "what is right goes on"
    async with bare(csms, "forgiven") as station:
        assert await station.call("StatusNotification", sin) == {}
    (await api.client.patch("/stations/exact", json={"lenient_decoding": None})).raise_for_status()
    async with bare(csms, "exact") as station:
        assert await station.call("StatusNotification", sin) == {}
        found = await api.eventually(
            lambda: api.get("/stations/exact/violations"), lambda found: len(found["items"]) == 2
        )
        assert {one["action"] for one in found["items"]} == {"StatusNotification"}, "on record, forgiven or not"


async def test_a_station_that_breaks_every_rule_charges(csms: Csms, api: Api) -> None:
    async with bare(csms, "sinner") as station:
        assert (await station.call("BootNotification", {"chargePointModel": None}))["status"] == "Accepted"
        await station.call("StatusNotification", {"connectorId": "1", "status": "preparing"})
        started = await station.call(
            "StartTransaction", {"connectorId": "1", "idTag": VALID, "meterStart": "1000", "timestamp": ""}
        )
        assert started["idTagInfo"]["status"] == "Accepted"
        transaction_id = str(started["transactionId"])
        sample = {"value": 1200, "measurand": "energy.active.import.register", "unit": " wh"}
        samples = [{"value": 1, "measurand": "Mood"}, sample]
        values = [{"sampledValue": samples}, {"timestamp": None, "sampledValue": []}]
        meter = {"connectorId": 1.0, "transactionId": transaction_id, "meterValue": values}
        assert await station.call("MeterValues", meter) == {}
        assert (await api.transaction("sinner"))["energy_wh"] == 200
        assert await station.call("StopTransaction", {"transactionId": transaction_id, "reason": "Aliens"}) == {}
        transaction = await api.transaction("sinner")
        assert transaction["state"] == "ended"
        assert transaction["energy_wh"] == 200
        await station.call("StatusNotification", {"connectorId": "1", "status": "AVAILABLE"})
        assert (await api.connector("sinner"))["view"] == "unplugged"
    listed = await api.get("/stations/sinner/violations", limit=100)
    actions = {violation["action"] for violation in listed["items"]}
    assert actions == {"BootNotification", "StatusNotification", "StartTransaction", "MeterValues", "StopTransaction"}


@pytest.mark.parametrize(
    "frame", ["hello", "[]", "{}", '[2,"1"]', '[9,"1","Heartbeat",{}]', '[2,"1","Heartbeat",{},5]', "﻿[]", "[2,5,6,7]"]
)
async def test_a_broken_frame_can_be_read_too(csms: Csms, api: Api, frame: str) -> None:
    identity = "frame-" + frame.encode().hex()
    async with bare(csms, identity) as station:
        assert "currentTime" in await station.call("Heartbeat", {})
        await station.say(frame)
        listed = await api.eventually(
            lambda: api.get(f"/stations/{identity}/violations"), lambda listed: listed["items"]
        )
    assert [violation["action"] for violation in listed["items"]] == [""]


async def test_a_group_that_the_protocol_cannot_name_costs_nobody_the_charge(csms: Csms, api: Api) -> None:
    await api.put("/tokens/OF-A-LONG-GROUP", {"group": "G" * 60})
    async with bare(csms, "long-group") as station:
        answer = await station.call("Authorize", {"idTag": "OF-A-LONG-GROUP"})
    assert answer == {"idTagInfo": {"status": "Accepted"}}


@pytest.mark.parametrize("identity", [".", "..", "%2e%2e"])
async def test_an_identity_that_no_path_can_hold_is_refused(csms: Csms, identity: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with bare(csms, f"ocpp/{identity}"):
            pass
    assert refusal.value.response.status_code == 400


EVERY: dict[str, Any] = {
    "BootNotification": spoilt(BOOT, chargePointModel="M" * 60),
    "StatusNotification": spoilt(STATUS, connectorId="1"),
    "Authorize": {"idTag": 12345},
    "StartTransaction": spoilt(START, meterStart="10"),
    "MeterValues": sampled({"value": 1200}),
    "StopTransaction": spoilt(STOP, reason="Aliens"),
    "Heartbeat": {"mood": "good"},
    "DataTransfer": {"vendorId": "V" * 300},
    "DiagnosticsStatusNotification": {"status": "uploaded"},
    "FirmwareStatusNotification": {"status": "Thinking"},
    "LogStatusNotification": {"status": "Idle", "requestId": "0"},
    "SecurityEventNotification": {"type": "S" * 90, "timestamp": AT},
    "SignCertificate": {"csr": 5},
    "SignedFirmwareStatusNotification": {"status": "idle"},
}
"""Every message that a station can begin, each with something that its schema forbids."""
NOTED = set(EVERY) - {"Heartbeat"}
"""A member that nobody knows is passed over, as later versions may have it; a Heartbeat can sin in no other way."""


async def test_every_message_of_a_station_may_break_its_schema(csms: Csms, api: Api) -> None:
    assert isinstance(V16, TableDialect)
    assert set(EVERY) == set(V16.calls)
    async with bare(csms, "every-sin") as station:
        for action, sin in EVERY.items():
            payload = dict(sin)
            if action == "StopTransaction":
                payload |= {"transactionId": str((await api.transaction("every-sin"))["transaction_id"])}
            assert isinstance(await station.call(action, payload), dict), action
        transaction = await api.transaction("every-sin")
        assert (transaction["state"], transaction["energy_wh"]) == ("ended", 10)
        # Usable after all that: what is asked of it arrives.
        listed = await api.eventually(
            lambda: api.get("/stations/every-sin/violations", limit=100),
            lambda listed: {violation["action"] for violation in listed["items"]} >= NOTED,
        )
    assert {violation["action"] for violation in listed["items"]} == NOTED
    assert all(violation["description"] for violation in listed["items"])
    counted = (await api.get("/stations/every-sin"))["violation_count"]
    assert counted == len(NOTED), "messages, however much was wrong in each"
