"""`/site-link/v1`: where local controllers connect, by WebSocket (docs/site-link.md).

Guarantees
* Nobody gets in but with a site's key as bearer token, which opens that site's link alone; a wrong one is refused with
  403 before the WebSocket is accepted, and the security log says so.
* What can't be understood ends the connection (1008), as does what is larger than `LARGEST_MESSAGE`; nothing of it
  reaches the books.
* Messages are taken in one after the other: books that are slow slow the controller down.
"""

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from forecourt.api.lifetime import CallerLifetime
from forecourt.api.problems import Refused
from forecourt.csms import sites
from forecourt.csms.ports import Context, StoreUnavailable
from forecourt.csms.site_sessions import SiteSession
from forecourt.domain.site_link import LARGEST_MESSAGE, PATH, SUBPROTOCOL, Down, decode_up, encode

log = logging.getLogger(__name__)
security_log = logging.getLogger("forecourt.security")

_GOING_AWAY: Final = 1001
_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN: Final = 1013
_MOST_WAITING: Final = 1000
"""Messages to a controller that doesn't take them."""


@websocket(PATH)
async def site_link(
    socket: WebSocket[Any, Any, Any],
    anybody: NamedDependency[SkipValidation[Context]],
    lifetime: CallerLifetime,
) -> None:
    scheme, _, key = socket.headers.get("authorization", "").partition(" ")
    site = await sites.verify_key(anybody, key.strip()) if scheme.lower() == "bearer" else None
    if site is None:
        client = socket.scope.get("client")
        security_log.warning("site link: refused at %s: no site's key", "?" if client is None else client[0])
        raise Refused(HTTPStatus.FORBIDDEN, "a site's key is needed: authorization: Bearer …")
    await socket.accept(subprotocols=SUBPROTOCOL)
    outgoing: asyncio.Queue[bytes | tuple[int, str]] = asyncio.Queue(_MOST_WAITING)

    def send(message: Down) -> None:
        with suppress(asyncio.QueueFull):  # it is cut off soon, and asked again by whoever wants something
            outgoing.put_nowait(encode(message))

    def close(reason: str) -> None:
        with suppress(asyncio.QueueFull):
            outgoing.put_nowait((_POLICY_VIOLATION, reason))

    session = SiteSession(anybody, site, send, close)
    log.info("site %d %r: linked", site.number, site.name)
    tasks = [
        asyncio.create_task(_hear(socket, session, close)),
        asyncio.create_task(_tell(socket, outgoing)),
        asyncio.create_task(lifetime.stopped()),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping = tasks[2].done()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(StoreUnavailable):
            await session.over()
        log.info("site %d %r: the link is over", site.number, site.name)
    if stopping:
        with suppress(Exception):
            await socket.close(_GOING_AWAY, "the CSMS stops")


async def _hear(socket: WebSocket[Any, Any, Any], session: SiteSession, close: Any) -> None:
    while True:
        event: Any = await socket.receive()
        if event["type"] != "websocket.receive":
            return
        data = event.get("text") or event.get("bytes") or b""
        if len(data) > LARGEST_MESSAGE:
            close("too large")
            continue
        try:
            message = decode_up(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("site link: not understood: %s", error)
            close("not understood")
            continue
        try:
            await session.heard(message)
        except StoreUnavailable:
            log.exception("site link: the books can't be written")
            await socket.close(_TRY_AGAIN, "the books can't be written now")
            return


async def _tell(socket: WebSocket[Any, Any, Any], outgoing: "asyncio.Queue[bytes | tuple[int, str]]") -> None:
    while True:
        message = await outgoing.get()
        if isinstance(message, tuple):
            await socket.close(*message)
            return
        await socket.send_data(message.decode(), mode="text", encoding="utf-8")
