"""The message history: every frame as it went over the wire, and what of it had to be forgiven.

Guarantees
* Frames are kept byte for byte, but for passwords, which are masked. Keeping them never delays an answer: they are
  written behind it.
* A violation that lenient decoding forgave is kept with its message's action, and counted on its station.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from forecourt.csms import published
from forecourt.csms.errors import NotFound
from forecourt.csms.masking import settings_masked
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ConnectedStation, Direction, MessageFilter, OcppMessage, Page, Violation

READ_FOR_A_TEXT: Final = 20_000
"""How many frames one page of a search looks through: some tens of milliseconds of the database."""

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_CALLS: Final = frozenset({b"2", b"6"})


class Frame(msgspec.Struct, frozen=True):
    """One frame on its way into the log."""

    at: datetime
    direction: Direction
    frame: bytes


def kept(frames: Sequence[tuple[ConnectedStation, Frame]]) -> Callable[[Books], None]:
    """The unit of work that puts frames into the history, in their order, and tells of them."""

    def store(books: Books) -> None:
        for station, frame in frames:
            _keep(books, station, frame)

    return store


def _keep(books: Books, station: ConnectedStation, frame: Frame) -> None:
    action, message_id = named(frame.frame)
    text = settings_masked(frame.frame) if _may_hold_a_password(frame) else frame.frame
    books.log.add_message(station.organisation_id, station.number, frame.at, frame.direction, action, message_id, text)
    body = published.OcppMessageBody(
        direction=frame.direction,
        frame=text.decode(errors="replace"),
        action=action,
        message_id=message_id,
    )
    books.events.append(station.organisation_id, published.OCPP_MESSAGE, frame.at, station.id, body)


def _may_hold_a_password(frame: Frame) -> bool:
    """What a station says of itself has no settings: only what it is asked, and its answers."""
    return frame.direction is Direction.OUT or frame.frame.lstrip()[1:].lstrip().startswith(b"3")


def named(frame: bytes) -> tuple[str | None, str | None]:
    """Action and message id of a frame, where they can be made out; an answer has no action of its own."""
    try:
        elements = _ELEMENTS.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    message_id = _text(elements, 1)
    return (_text(elements, 2) if elements and bytes(elements[0]) in _CALLS else None), message_id


def _text(elements: list[msgspec.Raw], index: int) -> str | None:
    if index >= len(elements):
        return None
    try:
        return msgspec.json.decode(elements[index], type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


async def keep_violations(
    context: Context, station: ConnectedStation, action: str, descriptions: Sequence[str]
) -> None:
    """Something was forgiven."""
    at = context.clock.now().at
    await context.store.write(
        lambda books: books.log.add_violations(station.organisation_id, station.number, at, action, descriptions)
    )


# For the API


async def list_messages(
    context: Context,
    *,
    station_id: str | None = None,
    action: str | None = None,
    message_id: str | None = None,
    direction: Direction | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[OcppMessage]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor.

    A page of a search for text may be short, or empty, and yet have another after it: it looks through so many frames
    and no more."""
    before = page_start(cursor)

    def query(books: Books) -> Page[OcppMessage]:
        wanted = MessageFilter(
            station_number=None if station_id is None else _number(books, context, station_id),
            action=action,
            message_id=message_id,
            direction=direction,
            since=since,
            until=until,
            text=text,
        )
        own, down_to = context.organisation_id, None
        if text is not None:
            down_to = books.log.newest_messages_end(own, wanted, before=before, most=READ_FOR_A_TEXT)
        found = books.log.messages(own, wanted, before=before, down_to=down_to, limit=limit + 1)
        if down_to is not None and len(found) <= limit:
            return Page(tuple(found), str(down_to))
        return page_of(found, limit, lambda message: str(message.id))

    return await context.store.read(query)


async def other_halves(context: Context, found: Sequence[OcppMessage]) -> tuple[OcppMessage, ...]:
    """The calls that those are the answers of, and the answers to those; none that is there already."""
    return tuple(await context.store.read(lambda books: books.log.other_halves(context.organisation_id, found)))


async def list_violations(
    context: Context,
    station_id: str,
    *,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Violation]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[Violation]:
        number = _number(books, context, station_id)
        return books.log.violations(
            context.organisation_id, number, action=action, since=since, until=until, before=before, limit=limit + 1
        )

    return page_of(await context.store.read(query), limit, lambda violation: str(violation.id))


def _number(books: Books, context: Context, station_id: str) -> int:
    station = books.stations.get(context.organisation_id, station_id)
    if station is None:
        raise NotFound("station", station_id)
    return station.number
