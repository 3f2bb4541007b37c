"""A WebSocket server that decides whom to let in before it says yes.

Guarantees
* A refusal is an HTTP response before any upgrade; `handshake` has the list. An identity that `admit` doesn't know gets
  404, wrong credentials 401, as `admit` says (OCPP-J 1.6 §3.2; OCPP 2.0.1 Part 4 §3.2).
* No common subprotocol: the handshake is completed without one and the connection closed at once, as the three versions
  of OCPP-J ask in the same words; `admit` is not bothered, so it costs nothing else.
* A stranger is bounded in bytes, in time and in number until `admit` has let it in, and connections are bounded in
  number: beyond that 503 with Retry-After, of another length for each, so that a storm doesn't come back as one.
* `admit` decides about so many at a time (`max_decisions`); the others wait for their turn.
* Nothing a peer sends, and nothing `admit` or a receiver raises, ends the server.
* `close` stops accepting, says 1001 to every connection, and aborts those that don't go within the grace.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final, cast

import msgspec

from forecourt.net.connection import DEAF, CloseCode, Connection, Limits, Peer, Receiver, TlsInfo
from forecourt.net.handshake import (
    TOO_SLOW,
    Admission,
    HeadReader,
    NoSubprotocol,
    Refusal,
    UpgradeRequest,
    parse_request,
)
from forecourt.net.opening import adopt
from forecourt.net.websocket import WebSocket

log = logging.getLogger(__name__)

Admit = Callable[[UpgradeRequest], Awaitable[Admission | Refusal]]
"""Decides about a request; may take its time, up to `ServerLimits.admit_timeout_s`."""

_LINGER_S: Final = 2.0
"""How long a refused peer may go on sending before its socket is dropped, so that it reads the refusal, not a reset."""
_LINGER_BYTES: Final = 256 * 1024


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What strangers, and all connections together, may cost."""

    max_connections: int = 20_000
    max_handshakes: int = 2_000
    """Connections not yet let in: 503 beyond."""
    handshake_timeout_s: float = 10.0
    """From the TCP connection (TLS: from its handshake, which has the same time again) to the end of the request."""
    admit_timeout_s: float = 30.0
    max_decisions: int = 64
    """Decisions of `admit` under way at once: what a storm may take of the database and the processor."""
    retry_after_s: tuple[int, int] = (5, 30)
    """From and to: what is drawn from for Retry-After."""
    max_request_bytes: int = 8192
    backlog: int = 1024


async def serve(
    host: str | None,
    port: int,
    *,
    admit: Admit,
    subprotocols: tuple[str, ...],
    assumed_subprotocol: str | None = None,
    limits: Limits | None = None,
    server_limits: ServerLimits | None = None,
    tls: ssl.SSLContext | None = None,
    crowded: Callable[[], None] = lambda: None,
) -> "Server":
    """Listen on `host` (None: all interfaces) and `port` (0: a free one, see `Server.port`).

    `subprotocols` is our order of preference. `assumed_subprotocol` is what a client that offers none is taken to
    speak; OCPP-J requires an offer, so by default there is none. `crowded` is called for each that is sent away for
    lack of room or time. OSError when the address can't be had.
    """
    door = _Door(admit, subprotocols, assumed_subprotocol, limits or Limits(), server_limits or ServerLimits(), crowded)
    loop = asyncio.get_running_loop()
    for _ in range(10):
        try:
            listener = await loop.create_server(
                lambda: _Stranger(door),
                host,
                port,
                ssl=tls,
                ssl_handshake_timeout=door.server_limits.handshake_timeout_s if tls is not None else None,
                backlog=door.server_limits.backlog,
            )
        except OSError as error:  # not every event loop says which address
            place = f"{host or 'any address'}, port {port}"
            raise OSError(error.errno, f"can't listen on {place}: {error.strerror or error}") from error
        ports = {socket.getsockname()[1] for socket in listener.sockets}
        if len(ports) == 1:
            return Server(door, listener, ports.pop())
        # A name with several addresses was given several free ports: ask for one of them on all.
        listener.close()
        await listener.wait_closed()
        port = min(ports)
    raise OSError(f"no port is free on all addresses of {host}")


class Server:
    """A listening server; made by `serve`."""

    def __init__(self, door: "_Door", listener: asyncio.Server, port: int) -> None:
        self.port = port
        self._door = door
        self._listener = listener

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Those let in and not yet gone."""
        return tuple(self._door.connections)

    @property
    def connection_count(self) -> int:
        return len(self._door.connections)

    @property
    def handshake_count(self) -> int:
        """Connections not yet let in, or being shown out."""
        return len(self._door.strangers)

    def stop_accepting(self) -> None:
        """Let nobody in any more; who is in stays."""
        self._door.closing = True
        self._listener.close()
        for stranger in tuple(self._door.strangers):
            stranger.turn_away()

    async def close(
        self, grace_s: float = 5.0, code: int = CloseCode.GOING_AWAY, reason: str = "the server is shutting down"
    ) -> None:
        """Stop accepting, close every connection, and after `grace_s` abort what is left. Again: no effect."""
        door = self._door
        self.stop_accepting()
        for connection in tuple(door.connections):
            connection.close(code, reason)
        try:
            async with asyncio.timeout(grace_s):
                await door.wait_empty()
        except TimeoutError:
            log.info("aborting %d connections after %g s of grace", len(door.connections), grace_s)
            for stranger in tuple(door.strangers):
                stranger.abort()
            for connection in tuple(door.connections):
                connection.abort(reason)
            await door.wait_empty()
        await self._listener.wait_closed()


class _Door:
    """What a server knows: whom to ask, what is allowed, who is in and who wants in."""

    def __init__(
        self,
        admit: Admit,
        subprotocols: tuple[str, ...],
        assumed_subprotocol: str | None,
        limits: Limits,
        server_limits: ServerLimits,
        crowded: Callable[[], None],
    ) -> None:
        self.admit = admit
        self.subprotocols = subprotocols
        self.assumed_subprotocol = assumed_subprotocol
        self.limits = limits
        self.server_limits = server_limits
        self.connections: set[WebSocket] = set()
        self.strangers: set[_Stranger] = set()
        self.closing = False
        self.deciding = asyncio.Semaphore(server_limits.max_decisions)
        self.crowded = crowded
        self._changed = asyncio.Event()

    def retry_after_s(self) -> int:
        """When to come again; whoever is told so is counted."""
        self.crowded()
        return random.randint(*self.server_limits.retry_after_s)

    def is_full(self) -> bool:
        return self.closing or len(self.connections) >= self.server_limits.max_connections

    def is_crowded(self) -> bool:
        return self.closing or len(self.strangers) > self.server_limits.max_handshakes

    def stranger_left(self, stranger: "_Stranger") -> None:
        self.strangers.discard(stranger)
        self._changed.set()

    def connection_gone(self, connection: WebSocket) -> None:
        self.connections.discard(connection)
        self._changed.set()

    async def wait_empty(self) -> None:
        while self.connections or self.strangers:
            self._changed.clear()
            await self._changed.wait()


class _Stage(Enum):
    READING = auto()
    DECIDING = auto()
    REFUSED = auto()


class _Stranger(asyncio.Protocol):
    """A connection from its first byte until it is let in or shown out."""

    __slots__ = ("_door", "_early", "_lingered", "_reader", "_stage", "_task", "_timer", "_transport")

    def __init__(self, door: _Door) -> None:
        self._door = door
        self._transport: asyncio.Transport
        self._reader = HeadReader(door.server_limits.max_request_bytes)
        self._stage = _Stage.READING
        self._lingered = 0
        self._early = b""
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._door.strangers.add(self)
        if self._door.is_crowded():
            self._refuse(Refusal.later(self._door.retry_after_s()), linger=True)
        else:
            self._arm(self._door.server_limits.handshake_timeout_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._disarm()
        if self._task is not None:
            self._task.cancel()
        self._door.stranger_left(self)

    def data_received(self, data: bytes) -> None:
        if self._stage is _Stage.READING:
            outcome = self._reader.feed(data)
            if isinstance(outcome, Refusal):
                self._refuse(outcome, linger=True)
            elif outcome is not None:
                head, self._early = outcome
                self._judge(head)
        elif self._stage is _Stage.DECIDING:
            # Clients wait for the answer; one that doesn't is made to.
            self._early += data
            self._transport.pause_reading()
        else:
            self._lingered += len(data)
            if self._lingered > _LINGER_BYTES:
                self.abort()

    # What a closing server calls

    def turn_away(self) -> None:
        if self._stage is not _Stage.REFUSED:
            if self._task is not None:
                self._task.cancel()
            self._refuse(Refusal.later(self._door.retry_after_s()))

    def abort(self) -> None:
        self._transport.abort()

    # The way in

    def _judge(self, head: bytes) -> None:
        door = self._door
        peer = Peer.of(self._transport)
        outcome = parse_request(
            head,
            subprotocols=door.subprotocols,
            assumed_subprotocol=door.assumed_subprotocol,
            peer=peer,
            tls=TlsInfo.of(self._transport),
        )
        if isinstance(outcome, Refusal):
            self._refuse(outcome)
        elif isinstance(outcome, NoSubprotocol):
            log.info("%s at %s offers no subprotocol of ours: %s", outcome.identity, peer, outcome.offered)
            self._let_in(outcome.identity, outcome.key, None, Admission(_say_goodbye), ())
        elif door.is_full():
            self._refuse(Refusal.later(door.retry_after_s()))
        else:
            self._stage = _Stage.DECIDING
            self._disarm()
            self._task = asyncio.get_running_loop().create_task(self._decide(outcome))

    async def _decide(self, request: UpgradeRequest) -> None:
        door = self._door
        outcome: Admission | Refusal
        try:
            async with asyncio.timeout(door.server_limits.admit_timeout_s):
                async with door.deciding:
                    outcome = await door.admit(request)
        except TimeoutError:
            log.warning("no decision about %s in time", request.identity)
            outcome = Refusal.later(door.retry_after_s())
        except Exception:
            log.exception("no decision about %s", request.identity)
            outcome = Refusal(500)
        self._task = None
        if isinstance(outcome, Refusal):
            self._refuse(outcome)
        elif door.is_full():
            _abandon(outcome)
            self._refuse(Refusal.later(door.retry_after_s()))
        else:
            subprotocol = outcome.subprotocol or request.subprotocol
            # One that was assumed must not be in the answer: the client did not offer it (RFC 6455 §4.1).
            fields = (("Sec-WebSocket-Protocol", subprotocol),) if subprotocol in request.offered else ()
            self._let_in(request.identity, request.key, subprotocol, outcome, fields)

    def _let_in(
        self,
        identity: str,
        key: str,
        subprotocol: str | None,
        admission: Admission,
        fields: tuple[tuple[str, str], ...],
    ) -> None:
        door = self._door
        self._disarm()
        transport = self._transport
        socket = WebSocket(
            identity=identity,
            subprotocol=subprotocol,
            limits=door.limits,
            accept=admission.receiver,
            gone=door.connection_gone,
        )
        transport.pause_reading()
        try:
            adopt(transport, socket, key=key, headers=(*fields, *admission.headers), received=self._early)
        except OSError:
            _abandon(admission)
            transport.abort()
            return
        door.connections.add(socket)
        door.stranger_left(self)
        if not transport.is_closing():
            transport.resume_reading()

    # The way out

    def _refuse(self, refusal: Refusal, *, linger: bool = False) -> None:
        """Answer and close. With `linger` the peer may be sending still: closing at once would reset the connection,
        and the reset overtake the answer."""
        transport = self._transport
        log.info("refused %s: %d %s", Peer.of(transport), refusal.status, refusal.reason)
        self._stage = _Stage.REFUSED
        self._early = b""
        self._arm(_LINGER_S, self.abort)
        transport.write(refusal.encode())
        if not linger or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()

    def _too_slow(self) -> None:
        self._refuse(TOO_SLOW, linger=True)

    def _arm(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(delay_s, callback)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _abandon(admission: Admission) -> None:
    if admission.abandoned is not None:
        try:
            admission.abandoned()
        except Exception:
            log.exception("an admission that came to nothing could not be undone")


def _say_goodbye(connection: Connection) -> Receiver:
    connection.close(CloseCode.PROTOCOL_ERROR, "no common subprotocol")
    return DEAF
