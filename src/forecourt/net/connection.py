"""What a session sees of a connection: whole messages as bytes, back-pressure, and one farewell.

Guarantees
* A `Receiver` hears `message` for each whole text message in order, then `closed` exactly once, then nothing.
* Sending on a connection that is closing or gone does nothing: its receiver is told, or has been.
* Nothing here knows sockets, OCPP frames or roles: a link in memory can stand in for a WebSocket.

Requirements: OCPP-J 1.6 §3 and §5; OCPP 2.0.1 Part 4 §3 and §5; RFC 6455.
"""

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple, Protocol, Self

import msgspec


class CloseCode(IntEnum):
    """Why a WebSocket closes (RFC 6455 §7.4.1); peers may also send 3000 to 4999."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    NO_STATUS = 1005
    """The peer's close frame gave no reason; never sent."""
    ABNORMAL = 1006
    """The connection was lost without a close frame; never sent."""
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013


class Peer(NamedTuple):
    """The address at the other end of the socket."""

    host: str
    port: int

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> Self:
        """Empty for a transport that has no address."""
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple) and len(address) >= 2:
            return cls(str(address[0]), int(address[1]))
        return cls("", 0)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TlsInfo(msgspec.Struct, frozen=True):
    """What TLS agreed on, for the security profiles and the security log."""

    version: str
    """As OpenSSL names it: `TLSv1.3`."""
    cipher: str
    peer_certificate_der: bytes | None
    """The certificate the peer showed and the context verified; None when it showed none."""

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> Self | None:
        """None on a bare socket."""
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is None:
            return None
        cipher = ssl_object.cipher()
        return cls(ssl_object.version() or "", cipher[0] if cipher else "", ssl_object.getpeercert(binary_form=True))


class Receiver(Protocol):
    """Whoever listens to a connection. Called on the event loop's thread; must not block."""

    def message(self, data: bytes, /) -> None:
        """One whole text message. UTF-8 is not checked here: that is the JSON decoder's work, in the same pass."""

    def writable(self) -> None:
        """The write buffer has drained after `Connection.paused` was true."""

    def closed(self, code: int, reason: str, /) -> None:
        """The connection is gone: the first close frame's code and reason, or 1006 and what we know of the loss."""


class _Deaf:
    __slots__ = ()

    def message(self, data: bytes, /) -> None: ...

    def writable(self) -> None: ...

    def closed(self, code: int, reason: str, /) -> None: ...


DEAF: Final[Receiver] = _Deaf()
"""The receiver of a connection that has nobody to listen to it."""


class Connection(Protocol):
    """One open WebSocket, or anything that behaves like one."""

    @property
    def identity(self) -> str:
        """The charging station's identity: last segment of the path, percent-decoded."""

    @property
    def subprotocol(self) -> str | None:
        """As agreed in the handshake; None only when a lenient client let the server omit it."""

    @property
    def peer(self) -> Peer: ...

    @property
    def tls(self) -> TlsInfo | None: ...

    @property
    def is_open(self) -> bool:
        """False from the first sign of closing on."""

    @property
    def paused(self) -> bool:
        """True while the peer takes our messages more slowly than we send them; `Receiver.writable` ends it."""

    @property
    def write_buffer_size(self) -> int:
        """Bytes accepted by `send` and not yet taken by the kernel."""

    @property
    def last_pong_rtt_s(self) -> float | None:
        """Round trip of the last answered ping; None before the first."""

    def send(self, data: bytes, /) -> None:
        """Send one text message; `data` is valid UTF-8. Never blocks and never raises for what the peer does.

        A sender that goes on while `paused` fills the write buffer; past `Limits.max_write_buffer_bytes` the
        connection is dropped, as one slow peer must not eat the memory of all.
        """

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begin the closing handshake; ends by itself within `Limits.close_timeout_s`. Again: no effect."""

    def abort(self, reason: str = "aborted") -> None:
        """Drop the connection at once; the receiver hears 1006 unless a close frame came first."""

    def pause_reading(self) -> None:
        """Take no more from the socket, so that the peer slows down.

        What has been read already is still delivered: at most one read buffer. Pings wait too, and don't time out.
        """

    def resume_reading(self) -> None: ...

    def ping_every(self, interval_s: float) -> None:
        """Ping at this interval from now on; 0: not at all."""

    async def wait_closed(self) -> None:
        """Return when the receiver has been told `closed`."""


ReceiverFactory = Callable[[Connection], Receiver]
"""Makes the receiver of a connection that has just opened; may already send."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may cost. The defaults fit a charging station; ValueError when they contradict each other."""

    max_message_bytes: int = 256 * 1024
    """Whole message, over all its fragments; more closes with 1009."""
    max_frame_bytes: int | None = None
    """One frame; None: as large as a message. Most peers never fragment."""
    max_write_buffer_bytes: int = 1024 * 1024
    write_high_water_bytes: int = 64 * 1024
    read_buffer_bytes: int = 4096
    """To begin with; grows with the largest frame received."""
    ping_interval_s: float = 60.0
    """0 switches our pings off, as OCPP's WebSocketPingInterval does (OCPP 2.0.1 Part 4 §8.4)."""
    pong_timeout_s: float = 30.0
    """Silence allowed after a ping: neither its pong nor any other frame. At most the interval."""
    close_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if min(self.max_message_bytes, self.max_write_buffer_bytes, self.write_high_water_bytes) <= 0:
            raise ValueError("limits in bytes must be positive")
        if self.ping_interval_s < 0 or self.close_timeout_s <= 0:
            raise ValueError("ping_interval_s must not be negative, close_timeout_s must be positive")
        # A pong timeout longer than the interval would let the next ping hide that the last was never answered.
        if self.ping_interval_s and not 0 < self.pong_timeout_s <= self.ping_interval_s:
            raise ValueError("pong_timeout_s must be positive and at most ping_interval_s")

    def with_pings(self, interval_s: float) -> Self:
        """The same with pings so far apart; 0: without."""
        usual_s = Limits().pong_timeout_s
        timeout_s = min(usual_s, interval_s) if interval_s else usual_s
        return msgspec.structs.replace(self, ping_interval_s=interval_s, pong_timeout_s=timeout_s)


class ConnectFailed(Exception):  # noqa: N818 - reads as what happened
    """No WebSocket came to be: name resolution, TCP, TLS, time, or an answer that is no HTTP; `__cause__` has it."""


class HandshakeRefused(ConnectFailed):
    """The server answered the upgrade request, and not with a WebSocket we can use."""

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes, message: str = "") -> None:
        super().__init__(message or f"the server refused the connection with HTTP status {status}")
        self.status = status
        self.headers = headers
        self.body = body
        """As far as it had arrived together with the headers."""

    @property
    def retry_after_s(self) -> float | None:
        """What the server asked for in Retry-After, when it gave seconds."""
        for name, value in self.headers:
            if name.lower() == "retry-after" and value.strip().isascii() and value.strip().isdigit():
                return float(value)
        return None


class SubprotocolRefused(HandshakeRefused):
    """The server speaks none of the subprotocols offered: it answered 101 without one (OCPP-J 1.6 §3.2)."""
