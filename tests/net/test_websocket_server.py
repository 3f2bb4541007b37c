"""The server at its door: admission, refusals, negotiation, limits, garbage, shutdown. Real sockets throughout."""

import asyncio
import random
from typing import Any

import pytest
from tests.net.peers import ACCEPT, PREFERENCE, TEXT, Echo, Listen, Raw, Recorder, frame, until, upgrade
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from forecourt.net.connection import Connection, Limits
from forecourt.net.handshake import Admission, Refusal, UpgradeRequest
from forecourt.net.server import ServerLimits, serve


def websockets(url: str, *subprotocols: str, **options: Any) -> websockets_connect:
    """A client that is not ours."""
    offered = [Subprotocol(name) for name in subprotocols or ("ocpp1.6",)]
    return websockets_connect(url, subprotocols=offered, proxy=None, **options)


async def test_a_foreign_client_talks_with_us(listen: Listen) -> None:
    house = await listen(receiver=Echo)
    async with websockets(house.url("/ocpp/RDAM%20123"), "ocpp1.6", "ocpp2.0.1") as client:
        assert client.subprotocol == "ocpp2.0.1"
        # It offers compression by default, and we don't take it.
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        for text in ('[3,"1",{}]', "", "ü充電" * 5000, "x" * 200_000):
            await client.send(text)
            assert await client.recv() == text
        connection = (await house.newest()).connection
        assert connection.identity == "RDAM 123"
        assert connection.subprotocol == "ocpp2.0.1"
        assert connection.peer.host == "127.0.0.1"
        assert connection.tls is None
        assert house.server.connections == (connection,)
    assert house.requests[0].prefix == "/ocpp"


@pytest.mark.parametrize("path", ["/ocpp/M%C3%BCnchen", "/ocpp/a%2Fb", "/x/y/%E5%85%85", "/a%20b"])
async def test_identities_over_a_foreign_client(listen: Listen, path: str) -> None:
    house = await listen()
    async with websockets(house.url(path)):
        recorder = await house.newest()
    assert (
        recorder.connection.identity
        == {"%C3": "München", "%2F": "a/b", "%E5": "充", "%20": "a b"}[path[path.index("%") :][:3]]
    )
    await recorder.farewell()


async def test_101_is_what_the_standard_says(listen: Listen) -> None:
    house = await listen()
    async with await Raw.to(house) as raw:
        raw.write(upgrade(connection="keep-alive, Upgrade"))
        lines = (await raw.head()).lower().split("\r\n")
        assert lines[0].startswith("http/1.1 101 ")
        assert f"sec-websocket-accept: {ACCEPT.lower()}" in lines
        assert "sec-websocket-protocol: ocpp1.6" in lines
        assert "upgrade: websocket" in lines
        assert not any(line.startswith("sec-websocket-extensions") for line in lines)


async def test_frames_sent_with_the_request_are_not_lost(listen: Listen) -> None:
    async def slow(request: UpgradeRequest) -> Admission:
        await asyncio.sleep(0.05)
        return Admission(house.receive)

    house = await listen(admit=slow)
    async with await Raw.to(house) as raw:
        # More than picows' first buffer takes, some with the request, some while the decision is pending.
        raw.write(upgrade() + b"".join(frame(TEXT, b"%d" % i) for i in range(500)))
        await raw.writer.drain()
        await asyncio.sleep(0.01)
        raw.write(b"".join(frame(TEXT, b"%d" % i) for i in range(500, 3000)))
        recorder = await house.newest()
        assert [await recorder.next() for _ in range(3000)] == [b"%d" % i for i in range(3000)]


async def test_what_comes_before_the_decision_is_bounded(listen: Listen) -> None:
    gate = asyncio.Event()

    async def admit(request: UpgradeRequest) -> Admission:
        await gate.wait()
        return Admission(house.receive)

    house = await listen(admit=admit)
    async with await Raw.to(house) as raw:
        raw.write(upgrade() + frame(TEXT, b"x" * 200_000) * 100)
        blocked = asyncio.ensure_future(raw.writer.drain())
        await asyncio.sleep(0.2)
        assert not blocked.done()
        gate.set()
        recorder = await house.newest()
        for _ in range(100):
            assert len(await recorder.next()) == 200_000
        await blocked


async def test_a_request_may_trickle_in(listen: Listen) -> None:
    house = await listen()
    async with await Raw.to(house) as raw:
        for byte in upgrade():
            raw.write(bytes([byte]))
            await raw.writer.drain()
            if byte == ord("\n"):
                await asyncio.sleep(0.001)
        assert await raw.status() == 101


@pytest.mark.parametrize(
    ("refusal", "status", "header"),
    [
        (Refusal.unauthorized(), 401, ("WWW-Authenticate", 'Basic realm="ocpp", charset="UTF-8"')),
        (Refusal.unknown(), 404, ("Connection", "close")),
        (Refusal.later(30), 503, ("Retry-After", "30")),
        (Refusal.later(5, status=429), 429, ("Retry-After", "5")),
    ],
)
async def test_refusals_of_an_admission(listen: Listen, refusal: Refusal, status: int, header: tuple[str, str]) -> None:
    async def admit(request: UpgradeRequest) -> Refusal:
        await asyncio.sleep(0)
        return refusal

    house = await listen(admit=admit)
    with pytest.raises(InvalidStatus) as error:
        await websockets(house.url())
    assert error.value.response.status_code == status
    assert error.value.response.headers[header[0]] == header[1]
    assert refusal.reason in error.value.response.body.decode()
    assert house.server.connection_count == 0


async def test_admission_sees_credentials(listen: Listen) -> None:
    async def admit(request: UpgradeRequest) -> Admission | Refusal:
        known = request.basic_credentials() == (request.identity, b"p:w")
        return Admission(house.receive) if known else Refusal.unauthorized()

    house = await listen(admit=admit)
    with pytest.raises(InvalidStatus):
        await websockets(house.url("/ocpp/CP1"))
    async with websockets(f"ws://CP1:p:w@127.0.0.1:{house.port}/ocpp/CP1"):
        await house.newest()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (upgrade(sec_websocket_version="8"), 426),
        (upgrade(without="sec-websocket-key"), 400),
        (upgrade("/ocpp/%ff"), 400),
        (b"POST" + upgrade()[3:], 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"hello\r\n", 400),
        (b"GET /" + b"a" * 20_000, 414),
        (b"GET / HTTP/1.1\r\n" + b"Cookie: 123456789\r\n" * 5_000, 431),
    ],
)
async def test_refusals_of_the_server(listen: Listen, request_bytes: bytes, status: int) -> None:
    house = await listen()
    async with await Raw.to(house) as raw:
        raw.write(request_bytes)
        assert await raw.status() == status
        raw.writer.write_eof()
        await raw.rest()
    await until(lambda: house.server.handshake_count == 0)
    assert house.requests == []


@pytest.mark.parametrize("offered", ["ocpp1.5", "soap, ocpp1.2", None])
async def test_no_common_subprotocol_is_101_without_one_then_closed(listen: Listen, offered: str | None) -> None:
    # OCPP-J 1.6 §3.2, OCPP 2.0.1 Part 4 §3.2, OCPP 2.1 Part 4 §3.3
    house = await listen()
    async with await Raw.to(house) as raw:
        raw.write(upgrade(sec_websocket_protocol=offered) if offered else upgrade(without="sec-websocket-protocol"))
        head = await raw.head()
        assert head.startswith("HTTP/1.1 101 ")
        assert "sec-websocket-protocol" not in head.lower()
        assert await raw.close_code() == 1002
        raw.write(frame(8, b"\x03\xea"))
        assert await raw.rest() == b""
    await until(lambda: house.server.connection_count == 0)
    assert house.requests == []
    assert house.recorders.empty()


async def test_no_common_subprotocol_as_a_foreign_client_sees_it(listen: Listen) -> None:
    house = await listen()
    async with websockets(house.url(), "ocpp1.5") as client:
        assert client.subprotocol is None
        with pytest.raises(ConnectionClosed) as error:
            await client.recv()
    assert error.value.rcvd is not None
    assert error.value.rcvd.code == 1002


async def test_an_assumed_subprotocol_is_not_in_the_answer(listen: Listen) -> None:
    house = await listen(assumed_subprotocol="ocpp1.6")
    async with await Raw.to(house) as raw:
        raw.write(upgrade(without="sec-websocket-protocol"))
        head = await raw.head()
        assert head.startswith("HTTP/1.1 101 ")
        assert "sec-websocket-protocol" not in head.lower()
        assert (await house.newest()).connection.subprotocol == "ocpp1.6"


async def test_an_admission_may_choose_the_subprotocol_and_add_headers(listen: Listen) -> None:
    async def admit(request: UpgradeRequest) -> Admission:
        return Admission(house.receive, "ocpp1.6", (("X-Site", "7"),))

    house = await listen(admit=admit)
    async with websockets(house.url(), *PREFERENCE) as client:
        assert client.subprotocol == "ocpp1.6"
        assert client.response is not None
        assert client.response.headers["X-Site"] == "7"


async def test_a_broken_admission_is_500_and_nothing_more(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    async def admit(request: UpgradeRequest) -> Admission:
        if request.identity == "bad":
            raise RuntimeError("database is on fire")
        return Admission(house.receive)

    house = await listen(admit=admit)
    with pytest.raises(InvalidStatus) as error:
        await websockets(house.url("/ocpp/bad"))
    assert error.value.response.status_code == 500
    assert b"fire" not in error.value.response.body
    assert "database is on fire" in caplog.text
    async with websockets(house.url("/ocpp/good")):
        await house.newest()


async def test_an_admission_that_takes_too_long_is_503(listen: Listen) -> None:
    cancelled = asyncio.Event()

    async def admit(request: UpgradeRequest) -> Admission:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    house = await listen(admit=admit, server_limits=ServerLimits(admit_timeout_s=0.05))
    with pytest.raises(InvalidStatus) as error:
        await websockets(house.url())
    assert error.value.response.status_code == 503
    assert int(error.value.response.headers["Retry-After"]) > 0
    assert cancelled.is_set()


async def test_a_client_that_leaves_ends_its_admission(listen: Listen) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def admit(request: UpgradeRequest) -> Admission:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    house = await listen(admit=admit)
    raw = await Raw.to(house)
    raw.write(upgrade())
    await begun.wait()
    raw.reset()
    await asyncio.wait_for(cancelled.wait(), 10)
    await until(lambda: house.server.handshake_count == 0)


async def test_silence_before_the_request_is_408(listen: Listen) -> None:
    # Slowloris: the time runs from the connection, however the bytes trickle.
    house = await listen(server_limits=ServerLimits(handshake_timeout_s=0.2))
    async with await Raw.to(house) as idle, await Raw.to(house) as trickling:

        async def trickle() -> None:
            for byte in upgrade():
                trickling.write(bytes([byte]))
                await asyncio.sleep(0.02)

        task = asyncio.create_task(trickle())
        assert await idle.status() == 408
        assert await trickling.status() == 408
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await until(lambda: house.server.handshake_count == 0)


async def test_a_refusal_is_not_overtaken_by_a_reset(listen: Listen) -> None:
    house = await listen()
    async with await Raw.to(house) as raw:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a full transport
        for _ in range(10):
            raw.write(b"GET / HTTP/1.1\r\n" + b"Cookie: 123456789\r\n" * 500)
            await raw.writer.drain()
            await asyncio.sleep(0.02)
        raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await raw.status() == 431


async def test_a_refused_peer_that_keeps_sending_is_dropped(listen: Listen) -> None:
    house = await listen()
    async with await Raw.to(house) as raw:
        raw.write(b"\x00" * 1_000_000)
        assert (await raw.rest()).startswith(b"HTTP/1.1 400 ")
    await until(lambda: house.server.handshake_count == 0)


async def test_connections_are_limited(listen: Listen) -> None:
    house = await listen(server_limits=ServerLimits(max_connections=2))
    async with websockets(house.url("/1")), websockets(house.url("/2")):
        with pytest.raises(InvalidStatus) as error:
            await websockets(house.url("/3"))
        assert error.value.response.status_code == 503
        assert "Retry-After" in error.value.response.headers
    await until(lambda: house.server.connection_count == 0)
    async with websockets(house.url("/4")):
        assert house.server.connection_count == 1


async def test_the_limit_holds_while_admissions_are_pending(listen: Listen) -> None:
    gate = asyncio.Event()
    undone: list[str] = []

    async def admit(request: UpgradeRequest) -> Admission:
        await gate.wait()
        return Admission(house.receive, abandoned=lambda: undone.append(request.identity))

    house = await listen(admit=admit, server_limits=ServerLimits(max_connections=2))
    raws = [await Raw.to(house) for _ in range(5)]
    for i, raw in enumerate(raws):
        raw.write(upgrade(f"/{i}"))
    await until(lambda: house.server.handshake_count == 5)
    gate.set()
    assert sorted([await raw.status() for raw in raws]) == [101, 101, 503, 503, 503]
    assert len(undone) == 3
    for raw in raws:
        await raw.close()


async def test_handshakes_are_limited(listen: Listen) -> None:
    house = await listen(server_limits=ServerLimits(max_handshakes=3))
    idle = [await Raw.to(house) for _ in range(3)]
    await until(lambda: house.server.handshake_count == 3)
    async with await Raw.to(house) as late:
        assert await late.status() == 503
    for raw in idle:
        await raw.close()
    await until(lambda: house.server.handshake_count == 0)
    async with websockets(house.url()):
        pass


async def test_garbage_of_all_kinds_leaves_the_server_standing(listen: Listen) -> None:
    house = await listen(receiver=Echo, server_limits=ServerLimits(handshake_timeout_s=0.5))
    chance = random.Random(6455)
    async with websockets(house.url("/witness")) as witness:
        for round_ in range(60):
            raw = await Raw.to(house)
            if round_ % 3 == 0:
                raw.write(chance.randbytes(chance.randrange(1, 3000)))
            elif round_ % 3 == 1:
                raw.write(upgrade()[: chance.randrange(1, len(upgrade()))])
            else:
                raw.write(upgrade() + chance.randbytes(chance.randrange(1, 3000)))
            if chance.random() < 0.5:
                raw.reset()
            else:
                await raw.writer.drain()
                await raw.close()
            if round_ % 10 == 0:
                await witness.send(str(round_))
                assert await witness.recv() == str(round_)
        await until(lambda: house.server.handshake_count == 0 and house.server.connection_count == 1)


async def test_shutdown_says_1001_to_all(listen: Listen) -> None:
    house = await listen()
    async with websockets(house.url("/1")) as one, websockets(house.url("/2")) as two:
        recorders = [await house.newest(), await house.newest()]
        await house.server.close(grace_s=10)
        for client in (one, two):
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1001
        for recorder in recorders:
            assert (await recorder.farewell())[0] == 1001
    with pytest.raises(OSError):
        await Raw.to(house)
    await house.server.close()


async def test_shutdown_ends_those_who_do_not_answer(listen: Listen) -> None:
    house = await listen(limits=Limits(close_timeout_s=3600))
    deaf = await Raw.upgraded(house)
    recorder = await house.newest()
    stuck = await Raw.to(house)
    await until(lambda: house.server.handshake_count == 1)
    await house.server.close(grace_s=0.05)
    assert (house.server.connection_count, house.server.handshake_count) == (0, 0)
    assert await stuck.status() == 503
    assert (await recorder.farewell())[0] == 1001
    await deaf.rest()
    await deaf.close()
    await stuck.close()


async def test_shutdown_cancels_admissions(listen: Listen) -> None:
    begun = asyncio.Event()

    async def admit(request: UpgradeRequest) -> Admission:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    house = await listen(admit=admit)
    async with await Raw.to(house) as raw:
        raw.write(upgrade())
        await begun.wait()
        await house.server.close()
        assert await raw.status() == 503


async def test_one_port_for_all_addresses_of_a_name() -> None:
    async def admit(request: UpgradeRequest) -> Admission:
        return Admission(Recorder)

    server = await serve("localhost", 0, admit=admit, subprotocols=PREFERENCE)
    try:
        async with websockets(f"ws://localhost:{server.port}/CP1"):
            assert server.connection_count == 1
    finally:
        await server.close()


async def test_a_taken_port_is_an_error(listen: Listen) -> None:
    house = await listen()
    with pytest.raises(OSError):
        await serve("127.0.0.1", house.port, admit=house.admit, subprotocols=PREFERENCE)


async def test_a_receiver_that_can_not_be_made_costs_one_connection(
    listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(connection: Connection) -> Recorder:
        raise RuntimeError("no memory of you")

    house = await listen(receiver=broken)
    async with await Raw.upgraded(house) as raw:
        assert await raw.close_code() == 1011
    assert "no memory of you" in caplog.text
