"""`/overview`: all that a first look needs, in few requests: stations with their connectors, and what today came to."""

from datetime import datetime

import msgspec
from litestar import Router, get
from litestar.params import FromQuery

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.api.stations import ConnectorResource, StationResource
from forecourt.csms import overview
from forecourt.csms.overview import StationView


class TodayResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch of time that ends now came to."""

    now: datetime
    """By our clock."""
    since: datetime
    transactions: int
    """How many started in it."""
    energy_wh: float
    """What those took, but for readings that can't be right."""
    active: int
    """Transactions that run now, whenever they started."""


class StationViewResource(msgspec.Struct, frozen=True, kw_only=True):
    """A station and its connectors."""

    station: StationResource
    connectors: tuple[ConnectorResource, ...]


class StationViewList(Listing, frozen=True, kw_only=True):
    """Stations with their connectors, newest first."""

    items: tuple[StationViewResource, ...]


@get("/today", summary="What happened since a moment; by default in the last 24 hours", responses=documented())
async def get_today(context: CallerContext, since: FromQuery[datetime | None] = None) -> TodayResource:
    found = await overview.today(context, instant("since", since))
    return TodayResource(
        now=found.now,
        since=found.since,
        transactions=found.totals.transactions,
        energy_wh=found.totals.energy_wh,
        active=found.active,
    )


@get("/stations", summary="All stations, each with its connectors", responses=documented())
async def list_station_views(
    context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> StationViewList:
    page = await overview.list_station_views(context, cursor=cursor, limit=limit)
    return listing(StationViewList, page, _show)


def _show(view: StationView) -> StationViewResource:
    return StationViewResource(
        station=shown(StationResource, view.station),
        connectors=tuple(shown(ConnectorResource, connector) for connector in view.connectors),
    )


router = Router("/overview", route_handlers=[get_today, list_station_views], tags=["Overview"])
