"""`/stations/{id}/local-list`: tokens that a station knows without asking, as it shall have them, and as it has them.

A PUT is a wish: it is sent while the station is connected, within seconds, by differences where that is less; and again
at its boot, if its version is another. `/synchronise` does it now and waits for it.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import Asked
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.local_list_bodies import EntryBody, bodies_of, entries_of
from forecourt.api.problems import documented
from forecourt.csms import local_lists
from forecourt.csms.local_lists import ListWithEntries
from forecourt.csms.resource_records import ListState, LocalListVersion


class LocalListBody(Asked, frozen=True, kw_only=True):
    """What the list shall be: its entries, or whatever the tokens are."""

    follows_tokens: bool = False
    """True: the organisation's tokens, changing with them."""
    entries: Annotated[tuple[EntryBody, ...], Meta(max_length=100_000)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.follows_tokens == (self.entries is not None):
            raise ValueError("entries: are needed, or else follows_tokens; not both")


class LocalListResource(msgspec.Struct, frozen=True, kw_only=True):
    """A station's local list."""

    station_id: str
    follows_tokens: bool
    state: ListState
    entries: tuple[EntryBody, ...]
    """What it shall have."""
    revision: int
    """Counts what it was to have."""
    version: int | None
    """The last version on the wire that the station took from us."""
    synchronised_revision: int | None
    """The revision that it is."""
    reported_version: int | None
    """What the station said last. 0: its list is empty. Null: it never said, or keeps none."""
    reported_at: datetime | None
    detail: str | None
    updated_at: datetime


class VersionResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a list was to have from then on."""

    revision: int
    version: int | None
    """The version under which the station took it; null: it never did."""
    entries: tuple[EntryBody, ...]
    created_at: datetime


class VersionList(Listing, frozen=True, kw_only=True):
    """Revisions of a list, newest first."""

    items: tuple[VersionResource, ...]


def _show(known: ListWithEntries) -> LocalListResource:
    return shown(LocalListResource, known.local_list, entries=bodies_of(known.entries))


def _show_version(version: LocalListVersion) -> VersionResource:
    return shown(VersionResource, version, entries=bodies_of(version.entries))


@get("/", summary="A station's local list", responses=documented(404))
async def get_local_list(context: CallerContext, station_id: FromPath[str]) -> LocalListResource:
    return _show(await local_lists.get_list(context, station_id))


@put("/", summary="Say what a station's local list shall be", responses=documented(404, 408, 413, 415))
async def put_local_list(
    context: CallerContext, station_id: FromPath[str], data: JSONBody[LocalListBody]
) -> LocalListResource:
    if data.entries is None:
        return _show(await local_lists.follow_tokens(context, station_id))
    return _show(await local_lists.put_list(context, station_id, entries_of(data.entries)))


@delete("/", summary="Wish for nothing any more; the station keeps what it has", responses=documented(404))
async def forget_local_list(context: CallerContext, station_id: FromPath[str]) -> None:
    await local_lists.forget_list(context, station_id)


@post(
    "/synchronise",
    status_code=200,
    summary="Ask the station for its version, and bring its list to what it shall be",
    responses=documented(404, 409),
)
async def synchronise_local_list(context: CallerContext, station_id: FromPath[str]) -> LocalListResource:
    return _show(await local_lists.synchronise(context, station_id))


@get("/versions", summary="What a station's local list was to have", responses=documented(404))
async def list_local_list_versions(
    context: CallerContext, station_id: FromPath[str], cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> VersionList:
    page = await local_lists.list_versions(context, station_id, cursor=cursor, limit=limit)
    return listing(VersionList, page, _show_version)


router = Router(
    "/stations/{station_id:str}/local-list",
    route_handlers=[
        get_local_list,
        put_local_list,
        forget_local_list,
        synchronise_local_list,
        list_local_list_versions,
    ],
    tags=["Local lists"],
)
