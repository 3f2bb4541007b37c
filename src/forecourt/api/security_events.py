"""`/security-events`: what stations report that matters for security, and what the CSMS sees itself."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import FromQuery, PathParameter, QueryParameter

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import LARGEST_KEY, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import security
from forecourt.csms.resource_records import SecurityEvent, SecurityOrigin


class SecurityEventResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that matters for security has happened."""

    number: int
    origin: SecurityOrigin
    type: str
    """By the list of OCPP 2.0.1, appendix 1, or a vendor's own; the CSMS's own are in docs/resources.md."""
    critical: bool
    station_id: str | None
    """As it was named: of a connection that was refused nobody knows whether it is."""
    address: str | None
    info: str | None
    at: datetime
    created_at: datetime


class SecurityEventList(Listing, frozen=True, kw_only=True):
    """Security events, newest first."""

    items: tuple[SecurityEventResource, ...]


def _show(event: SecurityEvent) -> SecurityEventResource:
    return shown(SecurityEventResource, event)


@get("/", summary="List security events", responses=documented())
async def list_security_events(
    context: CallerContext,
    station_id: Filter = None,
    event_type: Annotated[str | None, QueryParameter(name="type", max_length=255)] = None,
    origin: FromQuery[SecurityOrigin | None] = None,
    critical: FromQuery[bool | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> SecurityEventList:
    page = await security.list_events(
        context,
        station_id=station_id,
        event_type=event_type,
        origin=origin,
        critical=critical,
        received_from=instant("created_from", created_from),
        received_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(SecurityEventList, page, _show)


@get("/{number:int}", summary="A security event", responses=documented(404))
async def get_security_event(
    context: CallerContext, number: Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]
) -> SecurityEventResource:
    return _show(await security.get_event(context, number))


router = Router("/security-events", route_handlers=[list_security_events, get_security_event], tags=["Security events"])
