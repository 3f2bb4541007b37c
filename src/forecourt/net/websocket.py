"""The socket: WebSocket frames to whole messages and back, on picows. Only this module and `opening` know picows.

Guarantees
* Implements `connection.Connection`. Messages are copies of their own: picows' view of a frame dies with the callback.
* Fragments are put together and bounded in total: a message above the limit closes with 1009, and never grows memory
  beyond it. Binary frames close with 1003; what RFC 6455 forbids closes with 1002: reserved bits (nothing was
  negotiated), a continuation of nothing, a new message inside another, close codes that must not be sent.
* Pings are answered, but a peer that sends them without reading gets only the last one answered (RFC 6455 §5.5.3).
* Silence is found out: after our ping some frame has to arrive within the pong timeout, or the connection is dropped.
* Every way to close ends: each has a timer behind it, as a flush to a peer that doesn't read would last for ever.
* An exception of a receiver is logged and closes its connection with 1011; it goes no further.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

import picows

from forecourt.net.connection import DEAF, CloseCode, Limits, Peer, ReceiverFactory, TlsInfo

log = logging.getLogger(__name__)

_TEXT: Final = picows.WSMsgType.TEXT
_CONTINUATION: Final = picows.WSMsgType.CONTINUATION
_BINARY: Final = picows.WSMsgType.BINARY
_PING: Final = picows.WSMsgType.PING
_PONG: Final = picows.WSMsgType.PONG
_CLOSE: Final = picows.WSMsgType.CLOSE

_FRAME_HEAD_ROOM: Final = 14
"""Bytes picows wants in front of a message to write a frame's header in place."""
_SERVER_COPY_LIMIT: Final = 8192
"""Above this size a picows server writes header and message apart, see `send`."""
_MAX_REASON_BYTES: Final = 123
_WATCH_INTERVAL_S: Final = 30.0
"""How often a connection without pings looks whether it is stuck in closing."""


_UNHEARD: Final = DEAF.message


class WebSocket(picows.WSListener):  # type: ignore[misc,unused-ignore] # an extension class
    """One connection, either side. Made by `opening`; see `Connection` for its contract."""

    __slots__ = (
        "_accept",
        "_closed",
        "_farewell",
        "_gone",
        "_heard",
        "_is_client",
        "_looking",
        "_loop",
        "_message",
        "_owed_pong",
        "_partial",
        "_ping_count",
        "_pinged_at_s",
        "_reading_paused",
        "_receiver",
        "_timer",
        "_transport",
        "_waiting_for_pong",
        "identity",
        "is_open",
        "last_pong_rtt_s",
        "limits",
        "paused",
        "peer",
        "subprotocol",
        "tls",
    )

    def __init__(
        self,
        *,
        identity: str,
        subprotocol: str | None,
        limits: Limits,
        accept: ReceiverFactory,
        gone: Callable[["WebSocket"], None] | None = None,
        is_client: bool = False,
    ) -> None:
        self.identity = identity
        self.subprotocol = subprotocol
        self.peer = Peer("", 0)
        self.tls: TlsInfo | None = None
        self.is_open = False
        self.paused = False
        self.last_pong_rtt_s: float | None = None
        self.limits = limits
        self._accept: ReceiverFactory | None = accept
        self._gone = gone
        self._is_client = is_client
        self._receiver = DEAF
        self._message = _UNHEARD
        self._transport: picows.WSTransport
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._partial: bytearray | None = None
        self._heard = False
        self._waiting_for_pong = False
        self._ping_count = 0
        self._pinged_at_s = 0.0
        self._owed_pong: bytes | None = None
        self._reading_paused = False
        self._farewell: tuple[int, str] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    # What a session uses

    @property
    def write_buffer_size(self) -> int:
        return self._transport.underlying_transport.get_write_buffer_size()

    def send(self, data: bytes, /) -> None:
        if not self.is_open:
            return
        if self._is_client or len(data) <= _SERVER_COPY_LIMIT:
            self._transport.send(_TEXT, data)  # most messages, by far
        else:
            # picows would hand the loop a view of a header buffer it uses again with the next frame. uvloop keeps such
            # views when the socket is full, and the frames that follow are garbage (picows 2.3.1, seen and tested).
            frame = bytearray(_FRAME_HEAD_ROOM + len(data))
            frame[_FRAME_HEAD_ROOM:] = data
            self._transport.send_reuse_external_bytearray(_TEXT, frame, _FRAME_HEAD_ROOM)
        if self.paused and self.write_buffer_size > self.limits.max_write_buffer_bytes:
            self._drop(f"the peer reads too slowly: {self.write_buffer_size} bytes wait for it")

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        if not self.is_open:
            return
        self._say_farewell(code, reason)
        self._transport.send_close(code, _reason_bytes(reason))  # type: ignore[arg-type] # any integer will do
        if self._reading_paused:
            self.resume_reading()  # or the answer would never be read
        self._arm(self.limits.close_timeout_s, self._give_up)

    def abort(self, reason: str = "aborted") -> None:
        self._say_farewell(CloseCode.ABNORMAL, reason)
        self._transport.disconnect(False)

    def pause_reading(self) -> None:
        if self.is_open and not self._reading_paused and not self._is_ending():
            self._reading_paused = True
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._heard = True  # a pong that came during the pause is still unread
            if not self._transport.is_disconnected and not self._is_ending():
                self._transport.underlying_transport.resume_reading()

    async def wait_closed(self) -> None:
        if self._transport.is_disconnected:
            return
        if self._closed is None:
            self._closed = self._loop.create_future()
        await asyncio.shield(self._closed)

    def ping_every(self, interval_s: float) -> None:
        """See `Connection`. A ping that is out keeps its time."""
        self.limits = self.limits.with_pings(interval_s)
        if self.is_open and (self._heard or not self._waiting_for_pong):
            self._arm(interval_s or _WATCH_INTERVAL_S, self._watch)

    # What picows calls

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        underlying = transport.underlying_transport
        underlying.set_write_buffer_limits(high=self.limits.write_high_water_bytes)
        self.peer = Peer.of(underlying)
        self.tls = TlsInfo.of(underlying)
        self.is_open = True
        self._heard = True
        self._arm(self.limits.ping_interval_s or _WATCH_INTERVAL_S, self._watch)
        accept, self._accept = self._accept, None
        assert accept is not None
        try:
            self._receiver = accept(self)
        except Exception as error:  # noqa: BLE001 - logged, and costs only this connection
            self._failed("the beginning", error)
        self._message = self._receiver.message

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self._heard = True
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(CloseCode.PROTOCOL_ERROR, "reserved bits are set")
        elif kind is _TEXT and frame.fin and self._partial is None:
            if self.is_open and not transport.is_close_frame_sent:
                try:
                    self._message(frame.get_payload_as_bytes())
                except Exception as error:  # noqa: BLE001 - logged, and costs only this connection
                    self._failed("a message", error)
        elif kind is _CLOSE:
            self._on_close(frame)
        elif not self.is_open or transport.is_close_frame_sent:
            pass  # we have said farewell (or picows has, and reads on for a moment): only the answer to that counts
        elif kind is _PING:
            self._on_ping(frame.get_payload_as_bytes())
        elif kind is _PONG:
            self._on_pong(frame.get_payload_as_bytes())
        elif kind is _BINARY:
            self.close(CloseCode.UNSUPPORTED, "OCPP messages are text")
        else:
            self._on_fragment(frame)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.is_open = False
        self.paused = False
        if self._farewell is None:
            handshake = transport.close_handshake
            # picows itself closes for what breaks the framing, and says so only here.
            sent = handshake.sent if handshake is not None else None  # type: ignore[redundant-expr] # it can be None
            self._farewell = (
                (int(sent.code), sent.reason or "")  # type: ignore[call-overload] # an IntEnum at run time
                if sent is not None
                else (int(CloseCode.ABNORMAL), "the connection was lost")
            )
            if self._is_client and sent is not None:
                # On this side picows keeps the violation as the exception of a future, and asyncio complains when
                # nobody ever looks at it.
                self._looking = self._loop.create_task(_look_at_end(transport))
        # Letting go of the receiver breaks the circle between the two, so that nothing waits for the collector.
        receiver, self._receiver = self._receiver, DEAF
        self._message = _UNHEARD
        try:
            receiver.closed(*self._farewell)
        except Exception as error:  # noqa: BLE001 - logged, and costs only this connection
            self._failed("the farewell", error)
        if self._gone is not None:
            self._gone(self)
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self._owed_pong is not None:
            owed, self._owed_pong = self._owed_pong, None
            self._transport.send_pong(owed)
        if self.is_open:
            try:
                self._receiver.writable()
            except Exception as error:  # noqa: BLE001 - logged, and costs only this connection
                self._failed("going on writing", error)

    # Frames

    def _failed(self, where: str, error: Exception) -> None:
        """Whatever a receiver raises costs it its own connection, and nobody else's."""
        log.error("the receiver of %s at %s failed at %s", self.identity, self.peer, where, exc_info=error)
        self.close(CloseCode.INTERNAL_ERROR)

    def _on_fragment(self, frame: picows.WSFrame) -> None:
        partial = self._partial
        if (partial is not None) is not (frame.msg_type is _CONTINUATION):
            self.close(CloseCode.PROTOCOL_ERROR, "fragments out of order")
            return
        if partial is None:
            partial = self._partial = bytearray()
        if len(partial) + frame.payload_size > self.limits.max_message_bytes:
            self._partial = None
            self.close(CloseCode.TOO_BIG, f"messages may have {self.limits.max_message_bytes} bytes")
            return
        partial += frame.get_payload_as_memoryview()
        if frame.fin:
            self._partial = None
            try:
                self._message(bytes(partial))
            except Exception as error:  # noqa: BLE001 - logged, and costs only this connection
                self._failed("a message", error)

    def _on_ping(self, payload: bytes) -> None:
        if self.paused:
            self._owed_pong = payload
        else:
            self._transport.send_pong(payload)

    def _on_pong(self, payload: bytes) -> None:
        if self._waiting_for_pong and payload == self._ping_payload():
            self._waiting_for_pong = False
            self.last_pong_rtt_s = time.monotonic() - self._pinged_at_s

    def _on_close(self, frame: picows.WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        code = int.from_bytes(payload[:2]) if payload else int(CloseCode.NO_STATUS)
        # picows refuses most of what RFC 6455 §7.4 reserves; these it lets pass.
        if payload and (code < 1000 or code == CloseCode.ABNORMAL or code > 4999):
            self.close(CloseCode.PROTOCOL_ERROR, "no such close code")
            return
        if self.is_open:
            self._say_farewell(code, payload[2:].decode())
            answer = code if payload else int(CloseCode.NORMAL)
            self._transport.send_close(answer, None)  # type: ignore[arg-type] # any integer will do
        # The server is the first to close TCP (RFC 6455 §7.1.1); the client waits for it a little.
        if not self._is_client:
            self._transport.disconnect()
        self._arm(self.limits.close_timeout_s, self._give_up)

    # Time and ends

    def _watch(self) -> None:
        """Time to ping; a connection without pings only looks whether it is stuck."""
        if self._is_stuck():
            return
        limits = self.limits
        if limits.ping_interval_s and not self._reading_paused:
            self._ping_count += 1
            self._waiting_for_pong = True
            self._heard = False
            # Not the loop's time: uvloop keeps that in whole milliseconds.
            self._pinged_at_s = time.monotonic()
            self._transport.send_ping(self._ping_payload())
            self._arm(limits.pong_timeout_s, self._check_life)
        else:
            self._arm(limits.ping_interval_s or _WATCH_INTERVAL_S, self._watch)

    def _check_life(self) -> None:
        if self._is_stuck():
            return
        limits = self.limits
        if self._heard or self._reading_paused:
            self._arm(max(0.0, limits.ping_interval_s - limits.pong_timeout_s), self._watch)
        else:
            self._drop(f"no sign of life within {limits.pong_timeout_s:g} s of a ping")

    def _ping_payload(self) -> bytes:
        return (self._ping_count & 0xFFFFFFFF).to_bytes(4)

    def _is_stuck(self) -> bool:
        """Whether it had to be dropped: picows is closing, or the peer has, and the peer takes no more bytes."""
        stuck = self._transport.is_close_frame_sent or self._is_ending()
        if stuck:
            self._transport.disconnect(False)
        return stuck

    def _is_ending(self) -> bool:
        return self._transport.underlying_transport.is_closing()

    def _arm(self, delay_s: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, callback)

    def _say_farewell(self, code: int, reason: str) -> None:
        self.is_open = False
        self._partial = None
        if self._farewell is None:
            self._farewell = (int(code), reason)

    def _give_up(self) -> None:
        self._transport.disconnect(False)

    def _drop(self, reason: str) -> None:
        log.info("dropping %s at %s: %s", self.identity, self.peer, reason)
        self._transport.send_close(CloseCode.POLICY_VIOLATION, _reason_bytes(reason))  # type: ignore[arg-type]
        self.abort(reason)


async def _look_at_end(transport: picows.WSTransport) -> None:
    with contextlib.suppress(Exception):
        await transport.wait_disconnected()


def _reason_bytes(reason: str) -> bytes:
    """A close reason cut to what fits a control frame, at the boundary of a character."""
    return reason.encode(errors="replace")[:_MAX_REASON_BYTES].decode(errors="ignore").encode()
