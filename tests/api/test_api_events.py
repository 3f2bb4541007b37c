"""The event stream over real sockets: live, replayed, filtered, and ended."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import websockets

from forecourt.api.events import as_server_sent
from forecourt.api.settings import ApiSettings
from forecourt.csms import published
from forecourt.csms.ports import Books
from forecourt.csms.records import Direction, Event
from tests.api.houses import OPEN, PATIENCE_S, House, house

Told = dict[str, Any]


class Listener:
    """Reads a stream of server-sent events as a browser does."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.heartbeats = 0

    async def next(self) -> Told | None:
        """The next event, with what its lines say besides; None: the stream ended."""
        told: Told = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                if line.startswith(":"):
                    self.heartbeats += 1
                elif line:
                    name, _, value = line.partition(": ")
                    told[name] = told[name] + "\n" + value if name in told else value
                elif told:
                    told["data"] = json.loads(told["data"])
                    return told
        return None


@asynccontextmanager
async def listening(made: House, query: str = "", **headers: str) -> AsyncIterator[Listener]:
    async with made.client.stream("GET", f"/api/v1/events{query}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Listener(response)


async def tell(made: House, *numbers: int, station_id: str = "CS-1", event_type: str = published.METER_SAMPLE) -> None:
    """Events that are easy to tell apart."""
    at = made.context.clock.now().at
    for number in numbers:
        body = published.MeterSampleBody(evse_id=number, at=at)

        def append(books: Books, body: published.MeterSampleBody = body) -> None:
            books.events.append(1, event_type, at, station_id, body)

        await made.store.write(append)


def number_of(told: Told | None) -> int:
    assert told is not None
    number: int = told["data"]["body"]["evse_id"]
    return number


async def test_what_happens_is_told_as_it_happens(house: House) -> None:
    async with listening(house) as listener, house.station("CS-1"):
        connected = await listener.next()
        assert connected is not None
        assert connected["event"] == connected["data"]["type"] == "station.connected"
        assert connected["data"]["station_id"] == "CS-1"
        assert connected["data"]["body"]["protocol"] == "ocpp1.6"
        booted = await listener.next()
        assert booted is not None
        while booted is not None and booted["event"] == "ocpp.message":
            assert "id" not in booted  # it isn't logged: nobody may come back after it
            booted = await listener.next()
        assert booted is not None
        assert booted["event"] == "station.booted"
        assert int(booted["id"]) == booted["data"]["id"] > connected["data"]["id"]


async def test_who_comes_back_misses_nothing_and_hears_nothing_twice(house: House) -> None:
    await tell(house, 1, 2)
    async with listening(house, "?last_event_id=0") as listener:
        assert [number_of(await listener.next()) for _ in range(2)] == [1, 2]
        await tell(house, 3)
        third = await listener.next()
        assert third is not None
        assert number_of(third) == 3
    await tell(house, 4, 5)
    async with listening(house, **{"last-event-id": third["id"]}) as listener:
        assert [number_of(await listener.next()) for _ in range(2)] == [4, 5]
        await tell(house, 6)
        assert number_of(await listener.next()) == 6
    async with listening(house) as listener:  # without a place to come back to, only what is new
        await tell(house, 7)
        assert number_of(await listener.next()) == 7


async def test_a_listener_gets_what_it_asks_for(house: House) -> None:
    async with listening(house, "?types=meter.sample,station.booted&station_id=CS-2&last_event_id=0") as listener:
        await tell(house, 1, event_type=published.CONNECTOR_STATUS, station_id="CS-2")
        await tell(house, 2, station_id="CS-1")
        await tell(house, 3, station_id="CS-2")
        assert number_of(await listener.next()) == 3


async def test_a_stream_that_cannot_be_is_refused(house: House) -> None:
    for query, field in (
        ("?types=meter.sample,nope", "types"),
        ("?last_event_id=-1", "last_event_id"),
        ("?last_event_id=x", "last_event_id"),
        ("?station=CS-1", "station"),
    ):
        problem = await house.get(f"/events{query}", 422)
        assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_place_that_is_none_is_refused(house: House) -> None:
    for place in ("x", "-1", "9" * 19, "¹"):
        problem = await house.get("/events", 422, headers={"last-event-id": place.encode()})
        assert [error["field"] for error in problem["errors"]] == ["last-event-id"]


async def test_other_organisations_are_not_heard(house: House) -> None:
    async with listening(house) as listener:
        at = house.context.clock.now().at
        body = published.MeterSampleBody(evse_id=1, at=at)
        await house.store.write(lambda books: books.events.append(2, published.METER_SAMPLE, at, "CS-9", body))
        await tell(house, 2)
        assert number_of(await listener.next()) == 2


async def test_a_quiet_stream_has_a_heartbeat(tmp_path: Path) -> None:
    async with house(tmp_path, api_settings=ApiSettings(heartbeat_s=0.05)) as made, listening(made) as listener:
        waiting = asyncio.create_task(listener.next())

        async def beats() -> bool:
            return listener.heartbeats >= 3

        await made.eventually(beats)
        await tell(made, 1)
        assert number_of(await waiting) == 1


async def test_a_revoked_key_ends_its_streams(tmp_path: Path) -> None:
    async with house(tmp_path, api_settings=ApiSettings(heartbeat_s=0.05)) as made:
        header = await made.key("read")
        key_id = header["authorization"].removeprefix("Bearer fck_").partition("_")[0]
        url = f"ws://127.0.0.1:{made.api.port}/api/v1/events"
        async with (
            listening(made, authorization=header["authorization"]) as listener,
            websockets.connect(url, additional_headers=header) as socket,
        ):
            await made.ask("DELETE", f"/api-keys/{key_id}", 204)
            assert await listener.next() is None
            with pytest.raises(websockets.ConnectionClosed) as closed:
                async with asyncio.timeout(PATIENCE_S):
                    await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008


async def test_stopping_the_api_ends_streams_in_order(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        url = f"ws://127.0.0.1:{made.api.port}/api/v1/events"
        headers = {"authorization": made.client.headers["authorization"]}
        async with listening(made) as listener, websockets.connect(url, additional_headers=headers) as socket:
            async with asyncio.timeout(PATIENCE_S):
                stopping = asyncio.create_task(made.api.stop())
                assert await listener.next() is None
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.recv()
                await stopping
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001


async def test_the_websocket_tells_the_same(house: House) -> None:
    await tell(house, 1)
    url = f"ws://127.0.0.1:{house.api.port}/api/v1/events?last_event_id=0&types=meter.sample"
    headers = {"authorization": house.client.headers["authorization"]}
    async with websockets.connect(url, additional_headers=headers) as socket, listening(house) as listener:
        assert number_of({"data": json.loads(await socket.recv())}) == 1
        await socket.send("what a listener says is not heard")
        await tell(house, 2)
        told = await listener.next()
        assert told is not None
        assert json.loads(await socket.recv()) == told["data"]


@pytest.mark.parametrize("query", ["", "?types=nope"])
async def test_a_websocket_is_refused_before_the_upgrade(house: House, query: str) -> None:
    headers = {"authorization": house.client.headers["authorization"]} if query else {}
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(f"ws://127.0.0.1:{house.api.port}/api/v1/events{query}", additional_headers=headers)


async def test_who_does_not_read_is_cut_off_and_can_come_back(tmp_path: Path) -> None:
    settings = ApiSettings(stall_timeout_s=0.5)
    async with house(tmp_path, csms_settings=OPEN, api_settings=settings, most_behind=50) as made:
        others = len(made.context.bus._subscribers)  # type: ignore[attr-defined]
        reader, writer = await asyncio.open_connection("127.0.0.1", made.api.port, limit=1024)
        key = made.client.headers["authorization"]
        writer.write(f"GET /api/v1/events?last_event_id=0 HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")

        at = made.context.clock.now().at
        text = "x" * 50_000

        def many(books: Books) -> None:
            body = published.OcppMessageBody(direction=Direction.IN, frame=text)
            for _ in range(400):
                books.events.append(1, published.STATION_BOOTED, at, "CS-1", body)

        await made.store.write(many)  # 20 MB: more than sockets take in

        async def no_one_listens() -> bool:
            return len(made.context.bus._subscribers) == others  # type: ignore[attr-defined]

        await made.eventually(no_one_listens)
        writer.transport.abort()
        await tell(made, 5)
        async with listening(made, **{"last-event-id": "400"}) as listener:
            assert number_of(await listener.next()) == 5


def test_an_event_is_one_line_whatever_its_station_wrote() -> None:
    raw = b'{"answer":{ "a" :\n 1,\r\n"b":"\\n"}}'
    at = datetime(2026, 1, 1, tzinfo=UTC)
    event = Event(id=7, organisation_id=1, type="command.updated", at=at, station_id="CS-1", body=msgspec.Raw(raw))
    assert as_server_sent(event) == (
        b'id: 7\nevent: command.updated\ndata: {"id":7,"type":"command.updated","at":"2026-01-01T00:00:00Z",'
        b'"station_id":"CS-1","body":{"answer":{"a":1,"b":"\\n"}}}\n\n'
    )
