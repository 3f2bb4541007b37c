"""`/locations`: where stations stand."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post, put
from litestar.params import JSONBody, PathParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Name, Text
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import stations
from forecourt.csms.records import Location
from forecourt.csms.stations import LocationFields

LocationId = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]


class LocationBody(Asked, frozen=True, kw_only=True):
    """A location as somebody enters it."""

    name: Name
    address: Text | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    time_zone: Name | None = None
    """An IANA name, such as Europe/Berlin."""

    def fields(self) -> LocationFields:
        """For the books."""
        return msgspec.convert(self, LocationFields, from_attributes=True)


class LocationResource(msgspec.Struct, frozen=True, kw_only=True):
    """Where stations stand."""

    id: int
    name: str
    address: str | None
    latitude: float | None
    longitude: float | None
    time_zone: str | None
    created_at: datetime


class LocationList(Listing, frozen=True, kw_only=True):
    """Locations, newest first."""

    items: tuple[LocationResource, ...]


def _show(location: Location) -> LocationResource:
    return shown(LocationResource, location)


@get("/", summary="List locations", responses=documented())
async def list_locations(context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> LocationList:
    return listing(LocationList, await stations.list_locations(context, cursor=cursor, limit=limit), _show)


@post("/", summary="Enter a location", responses=documented(408, 413, 415))
async def create_location(context: CallerContext, data: JSONBody[LocationBody]) -> Response[LocationResource]:
    location = _show(await stations.create_location(context, data.fields()))
    return Response(location, status_code=201, headers={"location": f"{PREFIX}/locations/{location.id}"})


@get("/{location_id:int}", summary="A location", responses=documented(404))
async def get_location(context: CallerContext, location_id: LocationId) -> LocationResource:
    return _show(await stations.get_location(context, location_id))


@put("/{location_id:int}", summary="Enter a location anew", responses=documented(404, 408, 413, 415))
async def replace_location(
    context: CallerContext, location_id: LocationId, data: JSONBody[LocationBody]
) -> LocationResource:
    return _show(await stations.replace_location(context, location_id, data.fields()))


@delete("/{location_id:int}", summary="Take a location out; its stations stay", responses=documented(404))
async def remove_location(context: CallerContext, location_id: LocationId) -> None:
    await stations.remove_location(context, location_id)


router = Router(
    "/locations",
    route_handlers=[list_locations, create_location, get_location, replace_location, remove_location],
    tags=["Locations"],
)
