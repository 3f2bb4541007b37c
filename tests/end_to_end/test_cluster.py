"""Two `forecourt csms` processes that are one CSMS, on PostgreSQL and NATS; one of them is killed.

What needs no kill runs with both in this process, which is quicker; nothing but PostgreSQL and NATS is between them.
"""

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import websockets

from forecourt.app.config import load
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from tests import databases
from tests.bus import buses
from tests.end_to_end.processes import PATIENCE_S, Role, eventually, role

CONFIGURATION = """
[csms]
unknown_stations = "accept"
unknown_tokens = "accept"
sweep_interval_s = 0.5
drain_s = 2.0
[bus]
url = "{nats}"
prefix = "{prefix}"
beat_interval_s = 0.3
dead_after_s = 2.0
[ocpp]
port = 0
[api]
port = 0
open_access = true
"""


class Process:
    """One of them."""

    def __init__(self, ocpp_port: int, api: httpx.AsyncClient) -> None:
        self.ocpp_port = ocpp_port
        self.api = api

    async def get(self, path: str, **parameters: Any) -> Any:
        response = await self.api.get(f"/api/v1{path}", params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def ask(self, kind: str, wait_s: float = 0, **body: Any) -> Any:
        response = await self.api.post(f"/api/v1/commands/{kind}", json=body, headers={"prefer": f"wait={wait_s:g}"})
        assert response.status_code < 300 or response.status_code == 409, response.text
        return response.json()


class Station:
    """A station that answers what it likes, and goes where it is told."""

    def __init__(self, station_id: str) -> None:
        self.id = station_id
        self.silent = False
        self._ids = count(1)
        self._results: dict[str, asyncio.Future[Any]] = {}
        self._socket: Any = None

    @contextlib.asynccontextmanager
    async def at(self, process: Process) -> AsyncIterator["Station"]:
        url = f"ws://127.0.0.1:{process.ocpp_port}/ocpp/{self.id}"
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("ocpp1.6")]) as socket:
            self._socket = socket
            running = asyncio.create_task(self._run(socket))
            boot = {"chargePointVendor": "V", "chargePointModel": "M"}
            assert (await self.call("BootNotification", boot))["status"] == "Accepted"
            yield self
        running.cancel()

    async def call(self, action: str, payload: Any) -> Any:
        message_id = f"{self.id}-{next(self._ids)}"
        result = self._results[message_id] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(PATIENCE_S):
            return await result

    async def closed(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            await self._socket.wait_closed()
        return int(self._socket.close_code)

    async def _run(self, socket: Any) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for frame in socket:
                parts = json.loads(frame)
                if parts[0] == 3:
                    self._results[parts[1]].set_result(parts[2])
                elif parts[0] == 2 and not self.silent:
                    await socket.send(json.dumps([3, parts[1], {"status": "Accepted"}]))


def configuration(folder: Path, prefix: str) -> Path:
    file = folder / "csms.toml"
    file.write_text(CONFIGURATION.format(nats=buses.server(), prefix=prefix))
    return file


@contextlib.asynccontextmanager
async def of_its_own(folder: Path, prefix: str) -> AsyncIterator[tuple[Process, Role]]:
    """A process, to be killed."""
    database = databases.url(folder / "books", "postgresql")
    async with role("csms", "--config", configuration(folder, prefix), "--database", database) as running:
        ocpp = await running.says("CSMS: stations connect to")
        api = await running.says("API at")
        ocpp_port = int(re.search(r":(\d+)/ocpp", ocpp)[1])  # type: ignore[index]
        api_port = int(re.search(r":(\d+)/api", api)[1])  # type: ignore[index]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api_port}", timeout=PATIENCE_S) as client:
            yield Process(ocpp_port, client), running


@contextlib.asynccontextmanager
async def here(folder: Path, prefix: str) -> AsyncIterator[tuple[Process, RunningCsms]]:
    """The same within this process."""
    file = load(configuration(folder, prefix), CsmsFile)
    database = databases.url(folder / "books", "postgresql")
    async with running_csms(msgspec.structs.replace(file, database=database)) as csms:
        url = f"http://127.0.0.1:{csms.api.port}"
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            yield Process(csms.stations.port, client), csms


def new_prefix() -> str:
    buses.need("NATS")
    databases.need_postgresql()
    return f"test-{uuid.uuid4().hex}"


@contextlib.asynccontextmanager
async def events(at: Process, *, after: int) -> AsyncIterator[list[dict[str, Any]]]:
    """What the event stream there says, as it comes."""
    heard: list[dict[str, Any]] = []

    async def listen() -> None:
        async with at.api.stream("GET", "/api/v1/events", headers={"last-event-id": str(after)}) as stream:
            async for line in stream.aiter_lines():
                heard.extend(json.loads(text) for text in line.split("data:")[1:2])

    listening = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def start(at: str = "2025-06-01T12:00:00Z") -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": at}


async def _has_state(at: Process, command_id: str, state: str) -> bool:
    return bool((await at.get(f"/commands/{command_id}"))["state"] == state)


async def test_two_processes_are_one_csms(tmp_path: Path) -> None:
    prefix = new_prefix()
    async with here(tmp_path, prefix) as (one, _), here(tmp_path, prefix) as (other, _):
        station = Station("CS1")
        async with events(other, after=0) as heard, station.at(one):
            command = await other.ask("CLEAR_CACHE", wait_s=30, station_id="CS1")
            assert command["state"] == "accepted"
            assert (await other.get("/stations/CS1"))["connected"]
            number = (await station.call("StartTransaction", start()))["transactionId"]
            stop = {"transactionId": number, "meterStop": 1000, "timestamp": "2025-06-01T13:00:00Z"}
            await station.call("StopTransaction", stop)
            await eventually(lambda: _has(heard, "transaction.ended", 1))
            numbers = [event["id"] for event in heard if event["id"] is not None]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "in order, and each once"
        await eventually(lambda: _has_gone(other))
        assert (await other.ask("CLEAR_CACHE", wait_s=30, station_id="CS1"))["state"] == "offline"


async def test_a_station_that_connects_elsewhere_is_held_by_one_and_a_stop_hands_over(tmp_path: Path) -> None:
    prefix = new_prefix()
    first, second = Station("CS1"), Station("CS1")
    async with here(tmp_path, prefix) as (one, held), first.at(one):
        async with here(tmp_path, prefix) as (other, leaving), second.at(other):
            assert await first.closed() == 1001
            assert held.stations.connected == 0
            assert (await one.ask("CLEAR_CACHE", wait_s=30, station_id="CS1"))["state"] == "accepted"
            assert (await one.get("/stations/CS1"))["connected"]
            # an upgrade: this process goes, and says so before
            assert (await other.api.get("/readyz")).status_code == 200
            draining = asyncio.create_task(leaving.stations.drain())
            await asyncio.sleep(0)
            assert (await other.api.get("/readyz")).status_code == 503
            assert await second.closed() == 1012
            await draining
            with pytest.raises(OSError, match=r"(?i)connect"):
                async with second.at(other):
                    pass
        async with second.at(one):
            assert (await one.ask("CLEAR_CACHE", wait_s=30, station_id="CS1"))["state"] == "accepted"
            assert held.stations.leads


async def _has_gone(at: Process) -> bool:
    return not (await at.get("/stations/CS1"))["connected"]


async def _has(heard: list[dict[str, Any]], kind: str, number: int) -> bool:
    return [event["type"] for event in heard].count(kind) >= number


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_one_of_two_is_killed(tmp_path: Path) -> None:
    prefix = new_prefix()
    async with of_its_own(tmp_path, prefix) as (one, doomed), here(tmp_path, prefix) as (other, csms):
        station, lost = Station("CS1"), Station("CS2")
        async with station.at(one), lost.at(one), events(other, after=0) as heard:
            number = (await station.call("StartTransaction", start()))["transactionId"]
            station.silent = lost.silent = True
            left_open = [
                await other.ask("CLEAR_CACHE", station_id="CS1", timeout_s=3),
                await other.ask("CLEAR_CACHE", station_id="CS2", timeout_s=600),
            ]
            for command in left_open:
                await eventually(partial(_has_state, other, command["id"], "sent"))
            await doomed.kill()
            await station.closed()
            # it comes back to the other one, and says again what may not have been heard
            station.silent = False
            async with station.at(other):
                assert (await station.call("StartTransaction", start()))["transactionId"] == number
                stop = {"transactionId": number, "meterStop": 1000, "timestamp": "2025-06-01T13:00:00Z"}
                await station.call("StopTransaction", stop)
                assert (await other.ask("CLEAR_CACHE", wait_s=30, station_id="CS1"))["state"] == "accepted"
                transactions = (await other.get("/transactions"))["items"]
                assert [(entry["energy_wh"], entry["state"]) for entry in transactions] == [(1000.0, "ended")]
                # what the killed one had open is brought to an end: here by its deadline, there with its station
                for command in left_open:
                    await eventually(partial(_has_state, other, command["id"], "timeout"))
                assert (await other.get("/stations/CS1"))["connected"]
                assert not (await other.get("/stations/CS2"))["connected"]
                await eventually(lambda: _leads(csms))
            await eventually(lambda: _has(heard, "transaction.ended", 1))
            assert [event["type"] for event in heard].count("transaction.started") == 1
            numbers = [event["id"] for event in heard if event["id"] is not None]
            assert numbers == sorted(set(numbers)), "in order, and each once"


async def _leads(csms: RunningCsms) -> bool:
    return csms.stations.leads
