"""What tests talk with: a receiver that remembers, a server of them, and a client that can misbehave."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Self, TypeVar

from forecourt.net.connection import Connection
from forecourt.net.handshake import Admission, Refusal, UpgradeRequest
from forecourt.net.server import Server, serve

T = TypeVar("T")

PREFERENCE = ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")
KEY = "x3JJHMbDL1EzLkh9GBhXDw=="
ACCEPT = "HSmrc0sMlYUkAGmm5OPpG2HaGWk="
PATIENCE_S = 20.0
"""For what must happen but may take its time on a busy machine."""

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


class Recorder:
    """Remembers what a connection told it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.farewells: list[tuple[int, str]] = []
        self.writable_count = 0
        self._over = asyncio.Event()

    def message(self, data: bytes, /) -> None:
        assert not self.farewells
        self.messages.put_nowait(data)

    def writable(self) -> None:
        self.writable_count += 1

    def closed(self, code: int, reason: str, /) -> None:
        self.farewells.append((code, reason))
        self._over.set()

    async def next(self) -> bytes:
        return await within(self.messages.get())

    async def farewell(self) -> tuple[int, str]:
        await within(self._over.wait())
        assert len(self.farewells) == 1
        return self.farewells[0]


class Echo(Recorder):
    """Sends each message back."""

    def message(self, data: bytes, /) -> None:
        self.connection.send(data)


class House:
    """A server whose connections are recorders; it admits all unless told otherwise."""

    server: Server

    def __init__(self) -> None:
        self.requests: list[UpgradeRequest] = []
        self.recorders: asyncio.Queue[Recorder] = asyncio.Queue()
        self._receiver: Callable[[Connection], Recorder] = Recorder

    @property
    def port(self) -> int:
        return self.server.port

    async def open(
        self,
        *,
        admit: Callable[[UpgradeRequest], Awaitable[Admission | Refusal]] | None = None,
        receiver: Callable[[Connection], Recorder] = Recorder,
        subprotocols: tuple[str, ...] = PREFERENCE,
        **options: Any,
    ) -> None:
        self._receiver = receiver
        self.server = await serve("127.0.0.1", 0, admit=admit or self.admit, subprotocols=subprotocols, **options)

    async def admit(self, request: UpgradeRequest) -> Admission | Refusal:
        self.requests.append(request)
        return Admission(self.receive)

    def receive(self, connection: Connection) -> Recorder:
        recorder = self._receiver(connection)
        self.recorders.put_nowait(recorder)
        return recorder

    async def newest(self) -> Recorder:
        return await within(self.recorders.get())

    def url(self, path: str = "/ocpp/CP1") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


class Listen(Protocol):
    async def __call__(self, **options: Any) -> House: ...


class Raw:
    """A client of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, house: House) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", house.port))

    @classmethod
    async def upgraded(cls, house: House, path: str = "/ocpp/CP1") -> Self:
        raw = await cls.to(house)
        raw.write(upgrade(path))
        head = await raw.head()
        assert head.startswith("HTTP/1.1 101 "), head
        return raw

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> str:
        return (await within(self.reader.readuntil(b"\r\n\r\n"))).decode()

    async def status(self) -> int:
        return int((await self.head()).split(" ")[1])

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of an unfragmented frame of the server."""
        first, second = await within(self.reader.readexactly(2))
        assert first & 0x80
        assert not second & 0x80
        size = second
        if second == 126:
            size = struct.unpack("!H", await within(self.reader.readexactly(2)))[0]
        elif second == 127:
            size = struct.unpack("!Q", await within(self.reader.readexactly(8)))[0]
        return first & 0x0F, await within(self.reader.readexactly(size))

    async def next(self, opcode: int) -> bytes:
        """Payload of the next frame of this kind."""
        while True:
            kind, payload = await self.frame()
            if kind == opcode:
                return payload

    async def close_code(self) -> int:
        return int(struct.unpack("!H", (await self.next(CLOSE))[:2])[0])

    async def rest(self) -> bytes:
        """Everything until the connection ends, however it does."""
        try:
            return await within(self.reader.read())
        except ConnectionError:
            return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Pull the plug: the server gets a RST."""
        import socket

        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    masked: bool = True,
    reserved: int = 0,
    size: int | None = None,
) -> bytes:
    """A client's frame, right or wrong; the mask is zero, so that the payload reads as it is."""
    size = len(payload) if size is None else size
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 1 << 16:
        head += bytes([mask_bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def upgrade(path: str = "/ocpp/CP1", *, without: str = "", **fields: str) -> bytes:
    """An upgrade request; `fields` replace or add header fields (underscores read as hyphens)."""
    headers = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "ocpp1.6",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    headers.pop(without, None)
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


async def within(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks and the kernel do."""

    async def poll() -> None:
        while not condition():  # noqa: ASYNC110 - conditions of the kernel have no event
            await asyncio.sleep(0.005)

    await within(poll())
