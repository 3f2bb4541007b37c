"""Whatever happens to a command, it ends; and whatever many stations do at once, each is served. From outside."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.octt.csms.running import PATIENCE_S, Api, Csms

BOOT = '[2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
PROTOCOL = [websockets.Subprotocol("ocpp1.6")]


async def booted(csms: Csms, identity: str) -> websockets.ClientConnection:
    socket = await websockets.connect(csms.ocpp_url + identity, subprotocols=PROTOCOL, open_timeout=PATIENCE_S)
    await socket.send(BOOT)
    assert json.loads(await socket.recv())[2]["status"] == "Accepted"
    return socket


async def issued(api: Api, identity: str, name: str = "RESET", timeout_s: float = 30.0) -> str:
    """The id of a command that waits, or has left."""
    response = await api.client.post(f"/commands/{name}", json={"station_id": identity, "timeout_s": timeout_s})
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


async def ended(api: Api, command_id: str) -> Any:
    return await api.eventually(
        lambda: api.get(f"/commands/{command_id}"), lambda command: command["finished_at"] is not None
    )


async def test_to_an_absent_station_it_is_offline_within_a_second(csms: Csms, api: Api) -> None:
    await (await booted(csms, "absent")).close()
    await api.eventually(lambda: api.get("/stations/absent"), lambda station: not station["connected"])
    began = time.monotonic()
    response = await api.client.post("/commands/RESET", json={"station_id": "absent"})
    assert (response.status_code, response.json()["state"]) == (409, "offline")
    assert time.monotonic() - began < 1


async def test_never_answered_it_times_out_and_a_late_answer_changes_nothing(csms: Csms, api: Api) -> None:
    socket = await booted(csms, "silent")
    command_id = await issued(api, "silent", timeout_s=0.5)
    frame = json.loads(await socket.recv())
    assert (await ended(api, command_id))["state"] == "timeout"
    await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
    await socket.send(BOOT)
    await socket.recv()
    assert (await api.get(f"/commands/{command_id}"))["state"] == "timeout"
    await socket.close()


@pytest.mark.parametrize("how", ["closed", "cut"])
async def test_when_the_station_goes_all_its_commands_end(csms: Csms, api: Api, how: str) -> None:
    socket = await booted(csms, f"gone-{how}")
    sent, waiting = [await issued(api, f"gone-{how}", name) for name in ("RESET", "CLEAR_CACHE")]
    await socket.recv()
    if how == "cut":
        socket.transport.abort()
    await socket.close()
    assert (await ended(api, sent))["state"] == "timeout"
    assert (await ended(api, waiting))["state"] == "offline"


async def test_an_error_ends_it_and_is_shown(csms: Csms, api: Api) -> None:
    socket = await booted(csms, "refusing")
    command_id = await issued(api, "refusing")
    frame = json.loads(await socket.recv())
    await socket.send(json.dumps([4, frame[1], "InternalError", "no", {"why": [1]}]))
    command = await ended(api, command_id)
    assert (command["state"], command["error_code"], command["error_description"]) == (
        "call_error",
        "InternalError",
        "no",
    )
    assert command["answer"] == {"why": [1]}
    await socket.close()


async def test_no_command_is_left_open_by_a_crash(tmp_path: Path) -> None:
    csms = Csms(tmp_path)
    try:
        csms.start()
        async with csms.api() as api:
            socket = await booted(csms, "CS1")
            sent, waiting = [await issued(api, "CS1", name) for name in ("RESET", "CLEAR_CACHE")]
            await socket.recv()
            await api.eventually(lambda: api.get(f"/commands/{sent}"), lambda command: command["state"] == "sent")
            csms.kill()
            await socket.close()
        csms.start()
        async with csms.api() as api:
            assert (await ended(api, sent))["state"] == "timeout"
            # Nobody who knows is left: it may have been sent a moment before the end, so it can't be called expired.
            assert (await ended(api, waiting))["state"] == "timeout"
            assert not (await api.get("/stations/CS1"))["connected"]
    finally:
        csms.stop()


async def test_two_hundred_stations_at_once_and_again_and_again(csms: Csms, api: Api) -> None:
    async def come_and_go(number: int) -> None:
        for _ in range(3):
            socket = await booted(csms, f"many-{number}")
            socket.transport.abort()
        await (await booted(csms, f"many-{number}")).close()

    await asyncio.gather(*(come_and_go(number) for number in range(200)))

    async def connected() -> int:
        listed = await api.get("/stations", connected="true", limit=200)
        return sum(1 for station in listed["items"] if station["id"].startswith("many-"))

    assert await api.eventually(connected, lambda number: number == 0) == 0


async def test_the_newer_connection_of_an_identity_is_the_station(csms: Csms, api: Api) -> None:
    older = await booted(csms, "twice")
    newer = await booted(csms, "twice")
    await asyncio.wait_for(older.wait_closed(), PATIENCE_S)
    assert older.close_code == 1001
    command_id = await issued(api, "twice")
    frame = json.loads(await newer.recv())
    await newer.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
    assert (await ended(api, command_id))["state"] == "accepted"
    assert (await api.get("/stations/twice"))["connected"]
    await newer.close()
