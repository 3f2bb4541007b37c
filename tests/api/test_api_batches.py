"""Batches: one command for many stations; and a station's password changed over the air."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import websockets

from forecourt.csms.people_settings import PeopleSettings
from tests.api.houses import OPEN, House, house

QUICK = msgspec.structs.replace(OPEN, people=PeopleSettings(webhook_interval_s=0.02))


def always(answer: Any) -> Callable[[str, Any], Any]:
    return lambda _action, _payload: answer


def over(made: House, batch: Any) -> Callable[[], Any]:
    async def look() -> bool:
        found = await made.get(f"/command-batches/{batch['id']}")
        return bool(found["state"] == "done")

    return look


async def test_a_batch_ends_with_the_outcome_of_each_command(tmp_path: Path) -> None:
    async with house(tmp_path, csms_settings=QUICK) as made, AsyncExitStack() as stack:
        for number in range(4):
            refuses = number == 3
            status = {"status": "Rejected" if refuses else "Accepted"}
            await stack.enter_async_context(made.station(f"CS-{number}", always(status)))
        await made.ask("POST", "/stations", 201, json={"id": "CS-away"})
        body = {
            "selector": {"station_ids": [f"CS-{n}" for n in range(4)] + ["CS-away", "CS-0"]},
            "command": "RESET",
            "parameters": {"reset_type": "Immediate"},
            "concurrency": 2,
        }
        response = await made.client.post("/api/v1/commands/batch", json=body)
        assert response.status_code == 202, response.text
        batch = response.json()
        assert response.headers["location"] == f"/api/v1/command-batches/{batch['id']}"
        assert (batch["total"], batch["command"], batch["state"]) == (5, "RESET", "running")
        await made.eventually(over(made, batch))
        found = await made.get(f"/command-batches/{batch['id']}")
        assert found["counts"] == {"accepted": 3, "rejected": 1, "offline": 1}
        assert found["finished_at"] is not None
        items = (await made.get(f"/command-batches/{batch['id']}/items", params={"limit": 3}))["items"]
        assert [item["station_id"] for item in items] == ["CS-0", "CS-1", "CS-2"]
        command = await made.get(f"/commands/{items[0]['command_id']}")
        assert (command["name"], command["state"]) == ("Reset", "accepted")
        assert [one["id"] for one in (await made.get("/command-batches"))["items"]] == [batch["id"]]


async def test_no_more_commands_are_under_way_than_was_asked_for(tmp_path: Path) -> None:
    under_way = most = 0
    async with house(tmp_path, csms_settings=QUICK) as made, AsyncExitStack() as stack:
        sockets = []
        for number in range(6):
            url = f"ws://127.0.0.1:{made.csms.port}/ocpp/CS-{number}"
            protocols = [websockets.Subprotocol("ocpp1.6")]
            sockets.append(await stack.enter_async_context(websockets.connect(url, subprotocols=protocols)))

        async def all_are_booked() -> bool:
            return len((await made.get("/stations?connected=true"))["items"]) == len(sockets)

        await made.eventually(all_are_booked)  # a connection is booked after its handshake

        async def answer_slowly(socket: Any) -> None:
            nonlocal under_way, most
            call = json.loads(await socket.recv())
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.05)
            under_way -= 1
            await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))

        answering = [asyncio.create_task(answer_slowly(socket)) for socket in sockets]
        body = {"selector": {"connected": True}, "raw": {"action": "ClearCache", "payload": {}}, "concurrency": 2}
        batch = await made.ask("POST", "/commands/batch", 202, json=body)
        await made.eventually(over(made, batch))
        await asyncio.gather(*answering)
        assert (await made.get(f"/command-batches/{batch['id']}"))["counts"] == {"accepted": 6}
    assert most == 2


async def test_stations_are_selected_by_what_they_are(house: House) -> None:
    location = await house.ask("POST", "/locations", 201, json={"name": "L"})
    await house.ask("POST", "/stations", 201, json={"id": "A", "location_id": location["id"]})
    await house.ask("POST", "/stations", 201, json={"id": "B"})

    async def total(**selector: Any) -> int:
        body = {"selector": selector, "command": "CLEAR_CACHE"}
        made = await house.ask("POST", "/commands/batch", 202, json=body)
        return int(made["total"])

    async with house.station("C"):
        assert await total(model="Model") == 1
        assert await total(vendor="Vendor", connected=True) == 1
        assert await total(model="Other") == 0
        assert await total(location_id=location["id"]) == 1
        assert await total(connected=False) == 2
        assert await total(station_ids=["A", "B"], location_id=location["id"]) == 1


async def test_what_cannot_be_a_batch_is_refused(house: House) -> None:
    everywhere = {"connected": True}
    for body, field in (
        ({"selector": {}, "command": "RESET"}, "selector"),
        ({"selector": everywhere}, "command"),
        ({"selector": everywhere, "command": "RESET", "raw": {"action": "Reset", "payload": {}}}, "command"),
        ({"selector": everywhere, "command": "NO_SUCH"}, "command"),
        ({"selector": everywhere, "command": "STOP_SESSION", "parameters": {"transaction_id": "1"}}, "command"),
        ({"selector": everywhere, "command": "RESET", "parameters": {"reset_type": "x"}}, "parameters.reset_type"),
        ({"selector": everywhere, "command": "RESET", "parameters": {"station_id": "x"}}, "parameters.station_id"),
        ({"selector": everywhere, "command": "RESET", "concurrency": 0}, "concurrency"),
    ):
        problem = await house.ask("POST", "/commands/batch", 422, json=body)
        assert [error["field"] for error in problem["errors"]] == [field], problem
    await house.ask("POST", "/commands/batch", 404, json={"selector": {"station_ids": ["x"]}, "command": "RESET"})
    await house.get("/command-batches/none", 404)


async def test_an_idempotency_key_makes_one_batch(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "A"})
    body = {"selector": {"station_ids": ["A"]}, "command": "CLEAR_CACHE"}
    key = {"idempotency-key": "k"}
    first = await house.ask("POST", "/commands/batch", 202, json=body, headers=key)
    again = await house.ask("POST", "/commands/batch", 202, json=body, headers=key)
    assert first["id"] == again["id"]
    await house.ask("POST", "/commands/batch", 409, json={**body, "concurrency": 3}, headers=key)


async def test_a_batch_goes_on_after_a_restart_and_can_be_cancelled(tmp_path: Path) -> None:
    slow = msgspec.structs.replace(OPEN, people=PeopleSettings(webhook_interval_s=3600.0))
    body = {"selector": {"station_ids": ["A", "B"]}, "command": "CLEAR_CACHE"}
    async with house(tmp_path, csms_settings=slow) as made:
        await asyncio.sleep(0.2)  # the first turn of what runs beside is over
        for name in ("A", "B"):
            await made.ask("POST", "/stations", 201, json={"id": name})
        goes_on = await made.ask("POST", "/commands/batch", 202, json=body)
        ends = await made.ask("POST", "/commands/batch", 202, json=body)
        cancelled = await made.ask("POST", f"/command-batches/{ends['id']}/cancel", 200)
        assert (cancelled["state"], cancelled["counts"]) == ("cancelled", {"waiting": 2})
        await made.ask("POST", f"/command-batches/{ends['id']}/cancel", 409)
    async with house(tmp_path, csms_settings=QUICK) as made:
        await made.eventually(over(made, goes_on))
        assert (await made.get(f"/command-batches/{goes_on['id']}"))["counts"] == {"offline": 2}
        assert (await made.get(f"/command-batches/{ends['id']}"))["counts"] == {"waiting": 2}


OLD = "00112233445566778899aabbccddeeff"


async def _let_in(made: House, password: str) -> int:
    url = f"http://127.0.0.1:{made.csms.port}/ocpp/CS-1"
    headers = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "sec-websocket-protocol": "ocpp1.6",
    }
    auth = httpx.BasicAuth("CS-1", bytes.fromhex(password))
    async with httpx.AsyncClient() as client, client.stream("GET", url, headers=headers, auth=auth) as response:
        return response.status_code


async def test_a_password_is_changed_over_the_air(tmp_path: Path) -> None:
    told: list[str] = []

    def answer(action: str, payload: Any) -> Any:
        if action == "ChangeConfiguration":
            assert payload["key"] == "AuthorizationKey"
            told.append(payload["value"])
        return {"status": "Accepted"}

    async with house(tmp_path, csms_settings=QUICK) as made:
        async with made.station("CS-1", answer):
            await made.ask("POST", "/stations/CS-1/credentials/rotate", 409)  # it has none
            await made.ask("PUT", "/stations/CS-1/credentials", 204, json={"password": OLD})
            rotation = await made.ask("POST", "/stations/CS-1/credentials/rotate", 202)

            async def taken() -> bool:
                return bool((await made.get("/stations/CS-1/credentials/rotation"))["state"] == "taken")

            await made.eventually(taken)
            await made.ask("POST", "/stations/CS-1/credentials/rotate", 409)
        (new,) = told
        assert len(new) == 40
        command = await made.get(f"/commands/{rotation['command_id']}")
        assert command["state"] == "accepted"
        frames: Any = {}

        async def kept() -> bool:
            nonlocal frames
            frames = await made.get("/ocpp-messages", params={"station_id": "CS-1"})
            return "ChangeConfiguration" in json.dumps(frames)

        await made.eventually(kept)
        assert "********" in json.dumps(frames)
        for shown in (command, frames, await made.get("/audit")):
            assert new not in json.dumps(shown)

        assert await _let_in(made, OLD) == 101
        assert await _let_in(made, "f" * 40) == 401
        assert await _let_in(made, new) == 101
        assert (await made.get("/stations/CS-1/credentials/rotation"))["state"] == "done"
        assert await _let_in(made, OLD) == 401
        assert await _let_in(made, new) == 101


async def test_a_station_that_refuses_keeps_its_password(tmp_path: Path) -> None:
    told: list[str] = []

    def refuse(action: str, payload: Any) -> Any:
        told.append(payload["value"])
        return {"status": "Rejected"}

    async with house(tmp_path, csms_settings=QUICK) as made:
        async with made.station("CS-1", refuse):
            await made.ask("PUT", "/stations/CS-1/credentials", 204, json={"password": OLD})
            await made.ask("POST", "/stations/CS-1/credentials/rotate", 202)

            async def failed() -> bool:
                return bool((await made.get("/stations/CS-1/credentials/rotation"))["state"] == "failed")

            await made.eventually(failed)
        assert await _let_in(made, told[0]) == 401
        assert await _let_in(made, OLD) == 101
    async with house(tmp_path, csms_settings=QUICK) as made:
        await made.ask("POST", "/stations/CS-1/credentials/rotate", 409)  # it isn't connected
