"""`/ocpp-messages`: every frame as it went over the wire, searchable."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import FromQuery, QueryParameter

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import message_log, stations
from forecourt.csms.records import Direction, OcppMessage


class OcppMessageResource(msgspec.Struct, frozen=True, kw_only=True):
    """One frame."""

    id: int
    station_id: str | None
    """Null: the station was taken out since."""
    at: datetime
    direction: Direction
    """As seen from the CSMS."""
    action: str | None
    message_id: str | None
    frame: str
    """As it went over the wire."""


class OcppMessageList(Listing, frozen=True, kw_only=True):
    """Frames, newest first. In a search for text a page may be short, or empty, and still have a `next_cursor`."""

    items: tuple[OcppMessageResource, ...]
    others: tuple[OcppMessageResource, ...] = ()
    """With `exchanges`: the answers of these calls, and the calls of these answers, as far as they aren't items."""


@get("/", summary="Search the message history", responses=documented(404))
async def list_messages(
    context: CallerContext,
    station_id: Filter = None,
    action: Filter = None,
    message_id: Filter = None,
    direction: FromQuery[Direction | None] = None,
    since: FromQuery[datetime | None] = None,
    until: Annotated[datetime | None, QueryParameter(description="Before, and not at, this instant.")] = None,
    text: Annotated[
        str | None,
        QueryParameter(min_length=1, max_length=200, description="Somewhere in the frame; capitals don't matter."),
    ] = None,
    exchanges: Annotated[bool, QueryParameter(description="Give the other half of each exchange too.")] = False,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> OcppMessageList:
    page = await message_log.list_messages(
        context,
        station_id=station_id,
        action=action,
        message_id=message_id,
        direction=direction,
        since=instant("since", since),
        until=instant("until", until),
        text=text,
        cursor=cursor,
        limit=limit,
    )
    others = await message_log.other_halves(context, page.items) if exchanges else ()
    names = await stations.identities(context, {message.station_number for message in page.items})

    def show(message: OcppMessage) -> OcppMessageResource:
        return shown(
            OcppMessageResource,
            message,
            station_id=names.get(message.station_number),
            frame=message.frame.decode(errors="replace"),
        )

    found = listing(OcppMessageList, page, show)
    return msgspec.structs.replace(found, others=tuple(map(show, others))) if others else found


router = Router("/ocpp-messages", route_handlers=[list_messages], tags=["Message history"])
