"""The client: what it asks for, what it makes of every answer, and that it leaves nothing behind. Real sockets."""

import asyncio
import base64
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.net.peers import PREFERENCE, Echo, Listen, Recorder, until, within
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as websockets_serve
from websockets.typing import Subprotocol

from forecourt.net.client import connect
from forecourt.net.connection import (
    ConnectFailed,
    Connection,
    HandshakeRefused,
    Limits,
    ReceiverFactory,
    SubprotocolRefused,
)
from forecourt.net.handshake import Admission, Refusal, UpgradeRequest

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Key and certificate of "localhost" for these tests, trusted by nobody else."""

Answer = Callable[[bytes], bytes | None]
"""From the request to what is written back; None hangs up at once."""


def nobody(connection: Connection) -> Recorder:
    raise AssertionError("this connection must not open")


async def try_connect(port: int, *, receiver: ReceiverFactory = nobody, timeout_s: float = 20.0) -> Connection:
    url = f"ws://127.0.0.1:{port}/ocpp/CP1"
    return await connect(url, subprotocols=("ocpp1.6",), receiver=receiver, timeout_s=timeout_s)


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[int]:
    """A server of bytes: its port."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            reply = answer(request)
            if reply is not None:
                writer.write(reply)
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    await within(gone.wait())
    server.close()
    await server.wait_closed()


def switching(request: bytes, *fields: str) -> bytes:
    """A 101 with the right Sec-WebSocket-Accept."""
    import hashlib

    (key,) = [line[19:] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", *fields, "", ""]).encode()


async def test_a_foreign_server_talks_with_us() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    async def echo(server_side: ServerConnection) -> None:
        assert server_side.request is not None
        headers = server_side.request.headers
        seen.append((server_side.request.path, headers.get("Authorization"), headers.get("X-Extra")))
        async for message in server_side:
            await server_side.send(message)

    async with websockets_serve(echo, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp2.0.1")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        recorders: list[Recorder] = []

        def receive(connection: Connection) -> Recorder:
            recorders.append(Recorder(connection))
            return recorders[-1]

        connection = await connect(
            f"ws://127.0.0.1:{port}/ocpp/RDAM%20123?a=b",
            subprotocols=PREFERENCE,
            receiver=receive,
            basic_auth=("RDAM 123", b"\x00:\xff"),
            headers=(("X-Extra", "1"),),
        )
        assert connection.identity == "RDAM 123"
        assert connection.subprotocol == "ocpp2.0.1"
        assert connection.peer.port == port
        for text in ("[2]", "ü充電" * 20_000):
            connection.send(text.encode())
            assert await recorders[0].next() == text.encode()
        connection.close(1000, "done")
        assert await recorders[0].farewell() == (1000, "done")
    expected = "Basic " + base64.b64encode(b"RDAM 123:\x00:\xff").decode()
    assert seen == [("/ocpp/RDAM%20123?a=b", expected, "1")]


async def test_a_foreign_server_that_closes_is_heard() -> None:
    async def dismiss(server_side: ServerConnection) -> None:
        await server_side.close(1012, "restart")

    async with websockets_serve(dismiss, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        recorders: list[Recorder] = []

        def receive(connection: Connection) -> Recorder:
            recorders.append(Recorder(connection))
            return recorders[-1]

        await try_connect(next(iter(server.sockets)).getsockname()[1], receiver=receive)
        assert await recorders[0].farewell() == (1012, "restart")


@pytest.mark.parametrize(
    "refusal",
    [Refusal.unknown("who?"), Refusal.unauthorized(), Refusal.later(17), Refusal(429, "easy", (("Retry-After", "x"),))],
)
async def test_refusals_are_typed(listen: Listen, refusal: Refusal) -> None:
    async def admit(request: UpgradeRequest) -> Refusal:
        return refusal

    house = await listen(admit=admit)
    with pytest.raises(HandshakeRefused) as error:
        await try_connect(house.port)
    assert error.value.status == refusal.status
    assert set(refusal.headers) <= set(error.value.headers)
    assert error.value.retry_after_s == (17.0 if refusal.status == 503 else None)
    assert not isinstance(error.value, SubprotocolRefused)
    assert str(refusal.status) in str(error.value)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 404),
        (b"HTTP/1.1 404\r\n\r\n", 404),
        (b"HTTP/1.1 499 Odd\r\n\r\n", 499),
        (b"HTTP/1.0 503 Busy\r\n\r\n", 503),
        (b"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", 301),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
    ],
)
async def test_other_answers_in_http(head: bytes, status: int) -> None:
    async with scripted(lambda _: head) as port:
        with pytest.raises(HandshakeRefused) as error:
            await try_connect(port)
        assert error.value.status == status


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\x01\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 20_000, None, b""],
)
async def test_answers_that_are_no_http(garbage: bytes | None) -> None:
    async with scripted(lambda _: garbage if garbage != b"" else None) as port:
        with pytest.raises(ConnectFailed) as error:
            await try_connect(port)
        assert not isinstance(error.value, HandshakeRefused)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((), SubprotocolRefused),
        (("Sec-WebSocket-Protocol: ocpp2.0.1",), SubprotocolRefused),
        (("Sec-WebSocket-Protocol: ocpp1.6", "Sec-WebSocket-Protocol: ocpp1.6"), SubprotocolRefused),
        (("Sec-WebSocket-Protocol: ocpp1.6", "Sec-WebSocket-Extensions: permessage-deflate"), HandshakeRefused),
        (("Sec-WebSocket-Protocol: ocpp1.6", "Sec-WebSocket-Accept: wrong"), HandshakeRefused),
        (("Sec-WebSocket-Protocol: ocpp1.6", "Content-Length: 3"), HandshakeRefused),
    ],
)
async def test_a_101_that_can_not_be_used(fields: tuple[str, ...], expected: type[HandshakeRefused]) -> None:
    def answer(request: bytes) -> bytes:
        reply = switching(request, *fields)
        if "Sec-WebSocket-Accept: wrong" in fields:
            lines = [line for line in reply.split(b"\r\n") if b"=" not in line]
            reply = b"\r\n".join(lines)
        return reply

    async with scripted(answer) as port:
        with pytest.raises(expected) as error:
            await try_connect(port)
        assert error.value.status == 101


async def test_a_server_may_omit_the_subprotocol_if_we_are_lenient() -> None:
    async with scripted(switching) as port:
        connection = await connect(
            f"ws://127.0.0.1:{port}/CP1", subprotocols=("ocpp1.6",), receiver=Recorder, require_subprotocol=False
        )
        assert connection.subprotocol is None
        connection.abort()
        await within(connection.wait_closed())


async def test_frames_that_come_with_the_answer_are_heard() -> None:
    recorders: list[Recorder] = []

    def receive(connection: Connection) -> Recorder:
        recorders.append(Recorder(connection))
        return recorders[-1]

    def answer(request: bytes) -> bytes:
        return switching(request, "Sec-WebSocket-Protocol: ocpp1.6") + b"\x81\x05hello\x89\x00"

    async with scripted(answer) as port:
        connection = await try_connect(port, receiver=receive)
        assert await recorders[0].next() == b"hello"
        connection.abort()
        await within(connection.wait_closed())


async def test_a_message_too_big_from_a_server() -> None:
    recorders: list[Recorder] = []

    def receive(connection: Connection) -> Recorder:
        recorders.append(Recorder(connection))
        return recorders[-1]

    def answer(request: bytes) -> bytes:
        frame_ = b"\x81\x7f" + (300_000).to_bytes(8) + b"x" * 300_000
        return switching(request, "Sec-WebSocket-Protocol: ocpp1.6") + frame_ + b"\x81\x05hello"

    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with scripted(answer) as port:
        await try_connect(port, receiver=receive)
        assert (await recorders[0].farewell())[0] == 1009
        assert recorders[0].messages.empty()
    recorders.clear()
    await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


async def test_a_masked_frame_from_a_server_is_forbidden() -> None:
    # RFC 6455 §5.1
    recorders: list[Recorder] = []

    def receive(connection: Connection) -> Recorder:
        recorders.append(Recorder(connection))
        return recorders[-1]

    def answer(request: bytes) -> bytes:
        return switching(request, "Sec-WebSocket-Protocol: ocpp1.6") + b"\x81\x85\0\0\0\0hello"

    async with scripted(answer) as port:
        await try_connect(port, receiver=receive)
        assert (await recorders[0].farewell())[0] == 1002


async def test_nobody_listens() -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectFailed) as error:
        await try_connect(port)
    assert isinstance(error.value.__cause__, OSError)


async def test_a_name_that_does_not_exist() -> None:
    for host in ("does-not-exist.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(ConnectFailed):
            await connect(f"ws://{host}/CP1", subprotocols=("ocpp1.6",), receiver=nobody)


async def test_a_server_that_says_nothing() -> None:
    async with scripted(lambda _: b"") as port:
        with pytest.raises(ConnectFailed, match=r"within 0\.1 s"):
            await try_connect(port, timeout_s=0.1)


async def test_cancelling_leaves_nothing_behind(listen: Listen) -> None:
    asked = asyncio.Event()

    async def admit(request: UpgradeRequest) -> Admission:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    house = await listen(admit=admit)
    task = asyncio.create_task(try_connect(house.port))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: house.server.handshake_count == 0)


@pytest.mark.parametrize("url", ["http://x/y", "ws:///y", "x", "ws://CP1:secret@x/CP1"])
async def test_urls_that_can_not_be_used(url: str) -> None:
    with pytest.raises(ValueError) as error:
        await connect(url, subprotocols=("ocpp1.6",), receiver=nobody)
    assert not isinstance(error.value, ConnectFailed)


async def test_tls_needs_a_secure_url() -> None:
    with pytest.raises(ValueError):
        await connect("ws://x/y", subprotocols=(), receiver=nobody, tls=ssl.create_default_context())


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))


async def test_tls_on_both_sides(listen: Listen) -> None:
    context = server_tls()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(CERTIFICATE)
    house = await listen(receiver=Echo, tls=context)
    with_certificate = client_tls()
    with_certificate.load_cert_chain(CERTIFICATE)
    recorders: list[Recorder] = []

    def receive(connection: Connection) -> Recorder:
        recorders.append(Recorder(connection))
        return recorders[-1]

    url = f"wss://localhost:{house.port}/ocpp/CP1"
    connection = await connect(url, subprotocols=("ocpp1.6",), receiver=receive, tls=with_certificate)
    for size in (10, 9_000, 200_000):
        connection.send(b"x" * size)
        assert await recorders[0].next() == b"x" * size
    shown = ssl.PEM_cert_to_DER_cert("-----BEGIN CERT" + CERTIFICATE.read_text().split("-----BEGIN CERT")[1])
    for info in (connection.tls, (await house.newest()).connection.tls, house.requests[0].tls):
        assert info is not None
        assert info.version == "TLSv1.3"
        assert info.cipher.startswith("TLS_")
        assert info.peer_certificate_der == shown
    connection.close()
    assert (await recorders[0].farewell())[0] == 1000


async def test_a_server_we_do_not_trust(listen: Listen) -> None:
    house = await listen(tls=server_tls())
    with pytest.raises(ConnectFailed) as error:
        await connect(f"wss://localhost:{house.port}/CP1", subprotocols=("ocpp1.6",), receiver=nobody)
    assert isinstance(error.value.__cause__, ssl.SSLCertVerificationError)
    assert house.requests == []


async def test_plain_text_at_a_tls_port_and_the_other_way_round(listen: Listen) -> None:
    secure, plain = await listen(tls=server_tls()), await listen()
    with pytest.raises(ConnectFailed):
        await try_connect(secure.port)
    with pytest.raises(ConnectFailed):
        await connect(f"wss://localhost:{plain.port}/CP1", subprotocols=("ocpp1.6",), receiver=nobody, tls=client_tls())


async def test_the_clients_pings_are_timed_too(listen: Listen) -> None:
    house = await listen()
    limits = Limits(ping_interval_s=0.5, pong_timeout_s=0.5)
    connection = await connect(house.url(), subprotocols=("ocpp1.6",), receiver=Recorder, limits=limits)
    await until(lambda: connection.last_pong_rtt_s is not None)
    connection.close()
    await within(connection.wait_closed())


async def test_a_server_that_does_not_hang_up_after_the_farewell() -> None:
    # RFC 6455 §7.1.1: the server closes TCP; a client need not wait for ever.
    def answer(request: bytes) -> bytes:
        return switching(request, "Sec-WebSocket-Protocol: ocpp1.6") + b"\x88\x02\x03\xe9"

    recorders: list[Recorder] = []

    def receive(connection: Connection) -> Recorder:
        recorders.append(Recorder(connection))
        return recorders[-1]

    async with scripted(answer) as port:
        url = f"ws://127.0.0.1:{port}/CP1"
        limits = Limits(close_timeout_s=0.1)
        await connect(url, subprotocols=("ocpp1.6",), receiver=receive, limits=limits)
        assert await recorders[0].farewell() == (1001, "")
