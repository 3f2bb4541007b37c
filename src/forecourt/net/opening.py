"""How a `WebSocket` comes to be: an upgrade that was granted is handed to picows, or one is asked for as a client.

Guarantees
* `open_websocket` gives an open connection or raises: what was answered instead, or that nothing was.
* What picows reports of peers is debugging to us.

How a connection is handed over: picows decides about an upgrade synchronously, and an admission may need a database.
So `server` reads and judges the request, then `adopt` gives picows the transport and, in place of what the peer wrote,
an upgrade request of our own making: nothing of the peer's HTTP ever reaches picows' parser.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import picows
from picows.picows import WSProtocol  # type: ignore[attr-defined] # the stubs leave it out

from forecourt.net.connection import (
    ConnectFailed,
    Connection,
    HandshakeRefused,
    Limits,
    ReceiverFactory,
    SubprotocolRefused,
)
from forecourt.net.tls_alerts import alert_of
from forecourt.net.websocket import WebSocket


class _PicowsLog(logging.LoggerAdapter[logging.Logger]):
    """What picows reports of peers is debugging to us: a stranger must not be able to fill the log with errors.

    An adapter also spares a logger object per connection, which picows would make of a plain logger.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        super().log(level if kwargs.get("exc_info") else logging.DEBUG, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


_picows_log: Final = _PicowsLog(logging.getLogger(f"{__name__}.picows"), {})


def adopt(
    transport: asyncio.Transport,
    socket: WebSocket,
    *,
    key: str,
    headers: tuple[tuple[str, str], ...] = (),
    received: bytes = b"",
) -> None:
    """Answer an upgrade request with 101 and let `socket` have the transport from here on.

    `key` is the client's Sec-WebSocket-Key; `headers` are added to the answer, the subprotocol among them; `received`
    is what the client sent after its request. The caller has checked the request and paused reading.

    OSError: the connection is gone already, and the transport is still the caller's.
    """
    response = picows.WSUpgradeResponse.create_101_response(headers)
    protocol = _protocol(
        lambda _request: picows.WSUpgradeResponseWithListener(response, socket),
        limits=socket.limits,
    )
    protocol.connection_made(transport)
    transport.set_protocol(protocol)
    request = (
        "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    waiting = memoryview(request.encode() + received)
    while waiting:
        buffer = protocol.get_buffer(-1)
        taken = min(len(buffer), len(waiting))
        buffer[:taken] = waiting[:taken]
        waiting = waiting[taken:]
        protocol.buffer_updated(taken)


async def open_websocket(
    *,
    host: str,
    port: int,
    host_header: str,
    resource: str,
    identity: str,
    subprotocols: tuple[str, ...],
    require_subprotocol: bool,
    headers: tuple[tuple[str, str], ...],
    tls: ssl.SSLContext | None,
    limits: Limits,
    accept: ReceiverFactory,
) -> Connection:
    """Connect as a client. Sets no time limit of its own: cancelling leaves nothing behind.

    HandshakeRefused: the server answered otherwise. ConnectFailed: no HTTP came back. OSError: no connection; SSLError
    is one of it.
    """
    sockets: list[WebSocket] = []

    def answered(_request: object, response: picows.WSUpgradeResponse) -> WebSocket:
        subprotocol = _agreed(response, subprotocols, require_subprotocol)
        socket = WebSocket(identity=identity, subprotocol=subprotocol, limits=limits, accept=accept, is_client=True)
        sockets.append(socket)
        return socket

    offer = [("Sec-WebSocket-Protocol", ", ".join(subprotocols))] if subprotocols else []
    protocol = _protocol(
        answered, limits=limits, host_header=host_header, resource=resource, headers=[*offer, *headers]
    )
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        lambda: protocol, host, port, ssl=tls, server_hostname=host if tls is not None else None
    )
    try:
        await protocol.wait_until_handshake_complete()
    except picows.WSHandshakeError as error:
        transport.abort()
        raise _refused(error) from error
    except BaseException:
        transport.abort()
        raise
    if not sockets:
        if (alert := alert_of(transport)) is not None:
            raise alert
        # picows reports a connection that was lost before the answer as a success without a listener.
        raise ConnectFailed("the server closed the connection without an answer")
    return sockets[0]


def _protocol(
    listener_factory: Callable[..., object],
    *,
    limits: Limits,
    host_header: str | None = None,
    resource: str | None = None,
    headers: list[tuple[str, str]] | None = None,
) -> Any:
    """picows' protocol object. By keyword, so that a picows that changed here fails loudly at the first connection."""
    return WSProtocol(
        host_port=host_header,
        ws_path=resource,
        is_client_side=host_header is not None,
        ws_listener_factory=listener_factory,
        logger=_picows_log,
        disconnect_on_exception=True,
        websocket_handshake_timeout=None,
        enable_auto_ping=False,
        auto_ping_idle_timeout=0,
        auto_ping_reply_timeout=0,
        auto_ping_strategy=picows.WSAutoPingStrategy.PING_WHEN_IDLE,
        enable_auto_pong=False,
        max_frame_size=min(limits.max_frame_bytes or limits.max_message_bytes, limits.max_message_bytes),
        extra_headers=headers,
        read_buffer_init_size=limits.read_buffer_bytes,
    )


def _agreed(response: picows.WSUpgradeResponse, offered: tuple[str, ...], required: bool) -> str | None:
    """The subprotocol of a 101 response; raises when the response breaks RFC 6455 §4.1 or OCPP needs one."""
    fields = tuple(response.headers.items())
    chosen = response.headers.getall("Sec-WebSocket-Protocol", [])
    if response.headers.get("Sec-WebSocket-Extensions"):
        raise HandshakeRefused(101, fields, b"", "the server chose an extension that was not offered")
    if len(chosen) > 1 or (chosen and chosen[0] not in offered):
        raise SubprotocolRefused(101, fields, b"", "the server chose a subprotocol that was not offered")
    if not chosen and required and offered:
        raise SubprotocolRefused(101, fields, b"", f"the server speaks none of {', '.join(offered)}")
    return chosen[0] if chosen else None


def _refused(error: picows.WSHandshakeError) -> ConnectFailed:
    head, body = error.raw_header or b"", error.raw_body or b""
    response = error.response
    if response is not None:
        message = "" if response.status != 101 else str(error)
        return HandshakeRefused(int(response.status), tuple(response.headers.items()), body, message)
    # picows insists on a reason phrase and a known status; a refusal is one without them too.
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) >= 2 and words[0].startswith(b"HTTP/") and len(words[1]) == 3 and words[1].isdigit():
        return HandshakeRefused(int(words[1]), (), body)
    return ConnectFailed(f"the server did not answer in HTTP: {error}")
