"""All connectors at once, and what a stretch of time came to: what somebody who runs many stations looks at first.

Guarantees
* A page of connectors never splits a station: what it shows of one was true at one moment.
* Sums are made by the books, not by reading them out. A transaction counts where it started; one whose energy can't be
  right counts, its energy doesn't.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Connector, Page, Station

_DAY: Final = timedelta(hours=24)


class StationView(msgspec.Struct, frozen=True, kw_only=True):
    """A station and its connectors."""

    station: Station
    connectors: tuple[Connector, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What transactions that started in a stretch of time came to."""

    transactions: int
    energy_wh: float


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time that ends now."""

    now: datetime
    since: datetime
    totals: Totals
    active: int
    """Transactions that run now, whenever they started."""


def list_station_views(
    context: Context, *, cursor: str | None = None, limit: int = 50
) -> "asyncio.Future[Page[StationView]]":
    """Stations with their connectors, newest station first. Raises Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> Page[StationView]:
        found = books.stations.page(
            context.organisation_id,
            location_id=None,
            connected=None,
            registration=None,
            before=before,
            limit=limit + 1,
        )
        page = page_of(found, limit, lambda station: str(station.number))
        of_station: dict[int, list[Connector]] = {station.number: [] for station in page.items}
        if page.items:
            numbers = [station.number for station in page.items]
            for connector in books.stations.connectors_between(context.organisation_id, min(numbers), max(numbers)):
                if connector.station_number in of_station:
                    of_station[connector.station_number].append(connector)
        views = tuple(StationView(station=one, connectors=tuple(of_station[one.number])) for one in page.items)
        return Page(views, page.next_cursor)

    return context.store.read(query)


async def today(context: Context, since: datetime | None) -> Today:
    """What happened since then; None: in the last 24 hours."""
    now = context.clock.now().at
    begin = since if since is not None else now - _DAY

    def query(books: Books) -> tuple[int, float, int]:
        count, energy_wh = books.transactions.totals(context.organisation_id, begin)
        return count, energy_wh, books.transactions.count_active(context.organisation_id)

    count, energy_wh, active = await context.store.read(query)
    return Today(now=now, since=begin, totals=Totals(transactions=count, energy_wh=energy_wh), active=active)
