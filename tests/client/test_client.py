"""The client against the real API: types shared, pages, errors, repetition, events that go on after a loss."""

import ast
import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

import forecourt.client
from forecourt.api import batches, events, imports, locations, outcomes, sign_in, transactions, users
from forecourt.api import stations as api_stations
from forecourt.api import tokens as api_tokens
from forecourt.client import (
    AsyncClient,
    Client,
    Conflict,
    Invalid,
    NotFound,
    Unauthorized,
    Unreachable,
    stations,
    tokens,
    types,
)
from forecourt.client import commands as ask
from forecourt.client.errors import error_of
from forecourt.csms.command_records import CommandState
from forecourt.domain.token import AuthorizationStatus
from tests.api.houses import House, house

SHARED = {
    types.Location: locations.LocationResource,
    types.Station: api_stations.StationResource,
    types.Connector: api_stations.ConnectorResource,
    types.Token: api_tokens.TokenResource,
    types.Transaction: transactions.TransactionResource,
    types.Command: outcomes.CommandResource,
    types.Batch: batches.BatchResource,
    types.BatchItem: batches.BatchItemResource,
    types.Event: events.EventResource,
    types.User: users.UserResource,
    types.Me: sign_in.MeResource,
    types.Import: imports.ImportResource,
    types.ImportNote: imports.ImportNote,
}
VERBATIM = {"notes", "request", "payload", "answer", "result", "body"}


def key_of(made: House) -> str:
    return str(made.client.headers["authorization"]).removeprefix("Bearer ")


@asynccontextmanager
async def client_of(made: House) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(made.url, key_of(made)) as client:
        yield client


@pytest.mark.parametrize("kind", SHARED, ids=lambda kind: kind.__name__)
def test_types_are_those_of_the_api(kind: type[msgspec.Struct]) -> None:
    theirs = get_type_hints(SHARED[kind])
    for name, ours in get_type_hints(kind).items():
        assert name in theirs, name
        if name not in VERBATIM:
            assert ours == theirs[name], name


def test_nothing_of_the_server_is_imported() -> None:
    rooms = ("litestar", "sqlalchemy", "forecourt.api", "forecourt.store", "forecourt.net")
    loaded = f"import sys, forecourt.client; print([name for name in sys.modules if name.startswith({rooms!r})])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
    folder = Path(forecourt.client.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("forecourt."):
                assert str(node.module).split(".")[1] in {"client", "csms", "domain"}, (path.name, node.module)


async def test_both_clients_ask_the_same(house: House) -> None:
    async with client_of(house) as client:
        made = await client.do(stations.create_station("CS/1", name="One"))
        assert (made.id, made.name, made.connected) == ("CS/1", "One", False)
        assert await client.do(stations.get_station("CS/1")) == made
        changed = await client.do(stations.update_station("CS/1", name="Two"))
        await client.do(stations.set_password("CS/1", "0123456789abcdef"))
        until = datetime(2030, 1, 1, tzinfo=UTC)
        token = await client.do(tokens.put_token("T", expires_at=until, group="g"))
        assert (token.value, token.expires_at, token.standing) == ("T", until, AuthorizationStatus.ACCEPTED)
        for number in range(5):
            await client.do(tokens.put_token(f"T{number}"))
        listed = [one.value async for one in client.all(tokens.list_tokens(limit=2))]
        assert listed == ["T4", "T3", "T2", "T1", "T0", "T"]
        assert [one.value async for one in client.all(tokens.list_tokens(group="g"))] == ["T"]
        assert (await client.do(stations.me())).scopes == ("read", "write", "admin")

        def waiting() -> None:
            with Client(house.url, key_of(house)) as plain:
                assert plain.do(stations.get_station("CS/1")).name == changed.name
                assert [one.value for one in plain.all(tokens.list_tokens(limit=2))] == listed
                assert plain.do(tokens.remove_token("T")) is None
                with pytest.raises(NotFound):
                    plain.do(tokens.get_token("T"))

        await asyncio.to_thread(waiting)
        await client.do(stations.remove_station("CS/1"))


async def test_errors_are_exceptions(house: House) -> None:
    async with client_of(house) as client:
        with pytest.raises(NotFound, match="no station 'x'"):
            await client.do(stations.get_station("x"))
        await client.do(stations.create_station("CS-1"))
        with pytest.raises(Conflict, match="already"):
            await client.do(stations.create_station("CS-1"))
        with pytest.raises(Invalid) as invalid:
            await client.do(stations.create_station("CS-2", location_id=7))
        assert [(one.field, one.message) for one in invalid.value.errors] == [("location_id", "is no location")]
    async with AsyncClient(house.url, "fck_none") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.do(stations.me())
    assert str(error_of(500, b"<html>")) == "the server answered 500"


async def test_commands_wait_and_tell(house: House) -> None:
    def answer(action: str, payload: Any) -> Any:
        return {"status": "Accepted" if action == "Reset" else "Rejected"}

    async with client_of(house) as client:
        await client.do(stations.create_station("away"))
        away = await client.do(ask.reset("away"))
        assert (away.state, away.station_id) == (CommandState.OFFLINE, "away")
        async with house.station("CS-1", answer) as station:
            reset = await client.do(ask.reset("CS-1", graceful=False), wait_s=10)
            assert (reset.state, reset.answer) == (CommandState.ACCEPTED, {"status": "Accepted"})
            text = b'{"b": 1.50, "a": {"z": "\\u00e9"}}'
            raw = await client.do(ask.raw("CS-1", "Odd", text), wait_s=10)
            assert raw.state is CommandState.REJECTED
            await station.frames.get()
            assert (await station.frames.get()).endswith('"Odd",{"b":1.50,"a":{"z":"\\u00e9"}}]')
            once = ask.clear_cache("CS-1")
            first, again = await client.do(once), await client.do(once)
            assert first.id == again.id
        states = [one.state async for one in client.all(ask.list_commands(station_id="away"))]
        assert states == [CommandState.OFFLINE]
        batch = await client.do(ask.batch({"station_ids": ["away"]}, "CLEAR_CACHE", {}, concurrency=1))
        assert batch.total == 1
        assert (await client.do(ask.get_batch(batch.id))).command == "CLEAR_CACHE"


class Flaky:
    """A server that fails some times before it answers."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        await reader.readexactly(length)
        self.asked += 1
        answer = self.answers.pop(0)
        if answer:
            writer.write(answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def flaky(*answers: bytes) -> AsyncIterator[tuple[Flaky, str]]:
    made = Flaky(*answers)
    server = await asyncio.start_server(made, "127.0.0.1", 0)
    async with server:
        yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(status: int, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", "connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


TOKEN = {
    "value": "T", "type": "ISO14443", "standing": "Accepted", "expires_at": None, "group": None, "note": None,
    "charging_priority": 0, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "newer": 1,
}  # fmt: skip


async def test_what_may_be_repeated_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecourt.client.exchange._FIRST_WAIT_S", 0.001)
    good = http(200, json.dumps(TOKEN))
    async with flaky(b"", http(503, "{}"), http(429, "{}", "retry-after: 0"), good) as (server, url):
        async with AsyncClient(url) as client:
            assert (await client.do(tokens.get_token("T"))).value == "T"
        assert server.asked == 4
    async with flaky(b"", b"", b"", b"") as (server, url):
        async with AsyncClient(url) as client:
            with pytest.raises(Unreachable):
                await client.do(tokens.get_token("T"))
        assert server.asked == 4


async def test_what_may_not_be_repeated_is_not() -> None:
    async with flaky(b"") as (server, url):
        async with AsyncClient(url) as client:
            with pytest.raises(Unreachable):
                await client.do(stations.create_station("CS-1"))
        assert server.asked == 1
    async with flaky(http(200, "[]")) as (_, url), AsyncClient(url) as client:
        with pytest.raises(forecourt.client.ApiError, match="can't be understood"):
            await client.do(tokens.get_token("T"))


async def test_events_go_on_where_they_stopped(tmp_path: Path) -> None:
    from forecourt.api.settings import ApiSettings

    async with house(tmp_path) as made, client_of(made) as client:
        port, seen = made.api.port, []
        made.api._settings = ApiSettings(port=port)
        async with asyncio.timeout(30):
            async with made.station("CS-1"):
                pass
            async for event in client.events(types=("station.booted",), after=0):
                seen.append(event.station_id)
                if seen == ["CS-1"]:
                    await made.api.stop()
                    async with made.station("CS-2"):
                        pass
                    await made.api.start()
                elif seen == ["CS-1", "CS-2"]:
                    break
    assert seen == ["CS-1", "CS-2"]


async def test_events_that_are_refused_are_an_error(house: House) -> None:
    async with client_of(house) as client:
        with pytest.raises(Invalid, match="no type of event"):
            await anext(client.events(types=("none",)))
