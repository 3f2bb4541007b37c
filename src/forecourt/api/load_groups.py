"""`/load-groups`: EVSEs that share a limit over time, and who gets how much of it, and why."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post, put
from litestar.params import JSONBody, PathParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Name
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import load_groups
from forecourt.csms.group_records import GroupMember, GroupStatus, LoadGroup
from forecourt.csms.group_terms import GroupLimit, LimitPoint, SignalPoint
from forecourt.csms.load_groups import GroupFields

GroupNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]


class LoadGroupBody(Asked, frozen=True, kw_only=True):
    """A group as it shall be."""

    name: Name
    terms: GroupLimit
    members: Annotated[tuple[GroupMember, ...], Meta(max_length=10_000)] = ()
    parent_number: Annotated[int, Meta(ge=1, le=LARGEST_KEY - 1)] | None = None
    """The group that this one is part of: both limits hold."""
    active: bool = True
    """False: its limit isn't kept."""


class SeriesBody(Asked, frozen=True, kw_only=True):
    """Limits, or values of the signal, over time; in place of those that are there. Null: they stay."""

    series: Annotated[tuple[LimitPoint, ...], Meta(max_length=20_000)] | None = None
    signal: Annotated[tuple[SignalPoint, ...], Meta(max_length=20_000)] | None = None


class LoadGroupResource(msgspec.Struct, frozen=True, kw_only=True):
    """A group, and what was decided last."""

    number: int
    name: str
    parent_number: int | None
    active: bool
    terms: GroupLimit
    members: tuple[GroupMember, ...]
    status: GroupStatus | None
    """Null: nothing was decided yet."""
    created_at: datetime
    updated_at: datetime


class LoadGroupList(Listing, frozen=True, kw_only=True):
    """Groups, newest first."""

    items: tuple[LoadGroupResource, ...]


def _show(group: LoadGroup) -> LoadGroupResource:
    return shown(LoadGroupResource, group)


def _fields(data: LoadGroupBody) -> GroupFields:
    return msgspec.convert(data, GroupFields, from_attributes=True)


@get("/", summary="List load groups", responses=documented())
async def list_load_groups(
    context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> LoadGroupList:
    return listing(LoadGroupList, await load_groups.list_groups(context, cursor=cursor, limit=limit), _show)


@post("/", summary="Enter a load group; its limit is kept from now on", responses=documented(408, 409, 413, 415))
async def create_load_group(context: CallerContext, data: JSONBody[LoadGroupBody]) -> Response[LoadGroupResource]:
    made = _show(await load_groups.create_group(context, _fields(data)))
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/load-groups/{made.number}"})


@get("/{number:int}", summary="A load group: who gets how much, and why", responses=documented(404))
async def get_load_group(context: CallerContext, number: GroupNumber) -> LoadGroupResource:
    return _show(await load_groups.get_group(context, number))


@put("/{number:int}", summary="Change a load group", responses=documented(404, 408, 409, 413, 415))
async def replace_load_group(
    context: CallerContext, number: GroupNumber, data: JSONBody[LoadGroupBody]
) -> LoadGroupResource:
    return _show(await load_groups.replace_group(context, number, _fields(data)))


@put(
    "/{number:int}/series",
    summary="Replace a load group's series of limits, or its signal (price, CO2)",
    responses=documented(404, 408, 409, 413, 415),
)
async def put_load_group_series(
    context: CallerContext, number: GroupNumber, data: JSONBody[SeriesBody]
) -> LoadGroupResource:
    return _show(await load_groups.put_series(context, number, series=data.series, signal=data.signal))


@delete(
    "/{number:int}",
    summary="Remove a load group; its members fall back when what they were told runs out",
    responses=documented(404, 409),
)
async def remove_load_group(context: CallerContext, number: GroupNumber) -> None:
    await load_groups.remove_group(context, number)


router = Router(
    "/load-groups",
    route_handlers=[
        list_load_groups,
        create_load_group,
        get_load_group,
        replace_load_group,
        put_load_group_series,
        remove_load_group,
    ],
    tags=["Load groups"],
)
