"""`/events`: what happens, as it happens; by server-sent events or by WebSocket, on one path.

Guarantees
* With `Last-Event-ID` (or `last_event_id`) what was logged since comes first; nothing comes twice, or is left out as
  long as the log holds it. Events that aren't logged have no id: to come back after one is to come back after the last
  that has.
* A quiet stream says so every `heartbeat_s`, and ends there when its key was revoked.
* Who doesn't read is cut off after `stall_timeout_s`: what waits for it is bounded meanwhile, as the bus keeps only so
  many events and goes back to the log.
* Every stream ends when the API stops.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

import msgspec
from litestar import WebSocket, get, websocket
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from forecourt.api.authentication import Caller, CallerContext
from forecourt.api.bodies import LARGEST_KEY, compact
from forecourt.api.lifetime import CallerLifetime, Lifetime
from forecourt.api.lists import Filter
from forecourt.api.problems import documented
from forecourt.csms import published
from forecourt.csms.errors import Invalid
from forecourt.csms.ports import Context
from forecourt.csms.records import Event

Subscription = AbstractAsyncContextManager[AsyncIterator[Event]]
Types = Annotated[
    str | None,
    QueryParameter(max_length=1000, description="Only these, divided by commas: " + ", ".join(sorted(published.TYPES))),
]
LastEventId = Annotated[int | None, QueryParameter(ge=0, le=LARGEST_KEY, description="Begin after this event.")]
LastEventIdHeader = Annotated[str | None, HeaderParameter(name="last-event-id", max_length=19)]

_ENCODER: Final = msgspec.json.Encoder()
_HEARTBEAT: Final = b": nothing new\n\n"
_GOING_AWAY: Final = 1001
_POLICY_VIOLATION: Final = 1008


class EventResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `id` null: it isn't logged, and can't be replayed."""

    id: int | None
    type: str
    at: datetime
    station_id: str | None
    body: msgspec.Raw
    """Its members depend on `type`."""


def _documented_stream() -> dict[int, ResponseSpec]:
    responses = documented()
    responses[200] = ResponseSpec(
        data_container=EventResource,
        generate_examples=False,
        description="One after the other, as `data` of server-sent events",
        media_type="text/event-stream",
    )
    return responses


def as_json(event: Event) -> bytes:
    """An event as one line of JSON."""
    text = _ENCODER.encode(
        EventResource(id=event.id or None, type=event.type, at=event.at, station_id=event.station_id, body=event.body)
    )
    # A body may hold an answer as its station wrote it, over several lines.
    return compact(text) if b"\n" in text or b"\r" in text else text


def as_server_sent(event: Event) -> bytes:
    """An event as the stream's format has it (HTML Living Standard §9.2)."""
    place = b"" if event.id == 0 else b"id: %d\n" % event.id
    return b"%sevent: %s\ndata: %s\n\n" % (place, event.type.encode(), as_json(event))


class End(StrEnum):
    """Why a stream ended."""

    LOG = "the events ended"
    KEY = "the key is no longer valid"
    PEER = "the peer has gone"
    STOP = "the API stops"


async def feed(
    events: AsyncIterator[Event],
    write: Callable[[Event | None], Awaitable[None]],
    receive: Receive,
    caller: Caller,
    lifetime: Lifetime,
) -> End:
    """Write events, and None for a heartbeat, until there is a reason to end."""
    last_written = asyncio.get_running_loop().time()

    async def send_all() -> None:
        nonlocal last_written
        async for event in events:
            await write(event)
            last_written = asyncio.get_running_loop().time()

    async def beat() -> None:
        while True:
            await asyncio.sleep(lifetime.heartbeat_s)
            if not await caller.still_valid():
                return
            if asyncio.get_running_loop().time() - last_written >= lifetime.heartbeat_s:
                await write(None)

    tasks = {
        asyncio.create_task(send_all()): End.LOG,
        asyncio.create_task(beat()): End.KEY,
        asyncio.create_task(_until_gone(receive)): End.PEER,
        asyncio.create_task(lifetime.stopped()): End.STOP,
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        error = task.exception()
        if isinstance(error, OSError):  # the peer went while something was written to it
            return End.PEER
        if error is not None:
            raise error
    return next(end for task, end in tasks.items() if task in done)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
        pass


class EventStream(ASGIResponse):
    """A response that lasts."""

    _should_set_content_length: ClassVar[bool] = False

    def __init__(self, subscription: Subscription, caller: Caller, lifetime: Lifetime) -> None:
        super().__init__(
            media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
        )
        self._subscription = subscription
        self._caller = caller
        self._lifetime = lifetime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send until the peer goes, the key goes, or the API stops."""

        async def write(event: Event | None) -> None:
            text = _HEARTBEAT if event is None else as_server_sent(event)
            await send({"type": "http.response.body", "body": text, "more_body": True})

        async with self._subscription as events:
            await self.start_response(send)
            await write(None)  # so that the head leaves at once
            await feed(events, write, receive, self._caller, self._lifetime)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@get(
    "/events",
    summary="The event stream; the same path is a WebSocket as well",
    media_type="text/event-stream",
    responses=_documented_stream(),
    tags=["Events"],
)
async def stream_events(
    scope: Scope,
    context: CallerContext,
    lifetime: CallerLifetime,
    types: Types = None,
    station_id: Filter = None,
    last_event_id: LastEventId = None,
    last_event_id_header: LastEventIdHeader = None,
) -> EventStream:
    after = last_event_id if last_event_id_header is None else _place(last_event_id_header)
    return EventStream(_subscribed(context, types, station_id, after), scope["auth"], lifetime)


@websocket("/events")
async def exchange_events(
    socket: WebSocket[Any, Any, Any],
    context: CallerContext,
    lifetime: CallerLifetime,
    types: Types = None,
    station_id: Filter = None,
    last_event_id: LastEventId = None,
) -> None:
    caller: Caller = socket.scope["auth"]

    async def write(event: Event | None) -> None:
        if event is not None:  # for its heart, a WebSocket has pings
            await socket.send({"type": "websocket.send", "text": as_json(event).decode(), "bytes": None})

    async with _subscribed(context, types, station_id, last_event_id) as events:
        await socket.accept()
        end = await feed(events, write, socket.receive, caller, lifetime)
    if end is not End.PEER:
        await socket.close(_POLICY_VIOLATION if end is End.KEY else _GOING_AWAY, end)


def _subscribed(context: Context, types: str | None, station_id: str | None, after: int | None) -> Subscription:
    wanted = None if types is None else frozenset(name.strip() for name in types.split(","))
    if wanted is not None and (unknown := wanted - published.TYPES.keys()):
        raise Invalid("types", f"{min(unknown)!r} is no type of event")
    return context.bus.subscribe(context.organisation_id, after=after, types=wanted, station_id=station_id)


def _place(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > LARGEST_KEY:
        raise Invalid("last-event-id", "is not one that this stream has given")
    return int(text)
