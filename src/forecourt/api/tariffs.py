"""`/tariffs`: what things cost, in the terms of OCPI 2.2.1, and to whom."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post, put
from litestar.params import JSONBody, PathParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import tariffs
from forecourt.csms.money_records import Tariff, TariffAssignment, TariffScope
from forecourt.csms.tariff_terms import TariffTerms

TariffId = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]
AssignmentNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]


class TariffResource(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a tariff."""

    id: int
    version: int
    """Counts from 1; a PUT makes the next."""
    terms: TariffTerms
    retired_at: datetime | None
    created_at: datetime


class TariffList(Listing, frozen=True, kw_only=True):
    """Tariffs, newest first."""

    items: tuple[TariffResource, ...]


class AssignmentBody(Asked, frozen=True, kw_only=True):
    """Where a tariff counts."""

    scope: TariffScope
    target: Annotated[str, Meta(max_length=255)] = ""
    """The token's value, the station's identity, the location's id; nothing for the organisation."""


class AssignmentResource(msgspec.Struct, frozen=True, kw_only=True):
    """A tariff counts somewhere."""

    number: int
    tariff_id: int
    scope: TariffScope
    target: str
    ad_hoc: bool
    """For those who pay on the spot only (the tariff's type)."""
    created_at: datetime


class AssignmentList(Listing, frozen=True, kw_only=True):
    """Assignments, newest first."""

    items: tuple[AssignmentResource, ...]


def _show(tariff: Tariff) -> TariffResource:
    return shown(TariffResource, tariff)


def _show_assignment(assignment: TariffAssignment) -> AssignmentResource:
    return shown(AssignmentResource, assignment)


@get("/", summary="List tariffs", responses=documented())
async def list_tariffs(context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> TariffList:
    return listing(TariffList, await tariffs.list_tariffs(context, cursor=cursor, limit=limit), _show)


@post("/", summary="Enter a tariff", responses=documented(408, 413, 415))
async def create_tariff(context: CallerContext, data: JSONBody[TariffTerms]) -> Response[TariffResource]:
    made = _show(await tariffs.create_tariff(context, data))
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/tariffs/{made.id}"})


@get("/{tariff_id:int}", summary="A tariff: its latest version", responses=documented(404))
async def get_tariff(context: CallerContext, tariff_id: TariffId) -> TariffResource:
    return _show(await tariffs.get_tariff(context, tariff_id))


@put(
    "/{tariff_id:int}",
    summary="Change a tariff: sessions that begin from now on are under the new version",
    responses=documented(404, 408, 409, 413, 415),
)
async def replace_tariff(context: CallerContext, tariff_id: TariffId, data: JSONBody[TariffTerms]) -> TariffResource:
    return _show(await tariffs.replace_tariff(context, tariff_id, data))


@delete("/{tariff_id:int}", summary="Retire a tariff; what was billed by it stays", responses=documented(404, 409))
async def retire_tariff(context: CallerContext, tariff_id: TariffId) -> None:
    await tariffs.retire_tariff(context, tariff_id)


@get("/{tariff_id:int}/versions", summary="A tariff's versions, newest first", responses=documented(404))
async def list_tariff_versions(context: CallerContext, tariff_id: TariffId) -> TariffList:
    return TariffList(items=tuple(_show(entry) for entry in await tariffs.list_versions(context, tariff_id)))


@get("/{tariff_id:int}/assignments", summary="Where a tariff counts", responses=documented(404))
async def list_assignments(context: CallerContext, tariff_id: TariffId) -> AssignmentList:
    found = await tariffs.list_assignments(context, tariff_id)
    return AssignmentList(items=tuple(_show_assignment(entry) for entry in found))


@post(
    "/{tariff_id:int}/assignments",
    summary="Let a tariff count somewhere, instead of the one that did",
    responses=documented(404, 408, 409, 413, 415),
)
async def assign_tariff(
    context: CallerContext, tariff_id: TariffId, data: JSONBody[AssignmentBody]
) -> AssignmentResource:
    return _show_assignment(await tariffs.assign_tariff(context, tariff_id, data.scope, data.target))


@delete(
    "/{tariff_id:int}/assignments/{number:int}",
    summary="Let a tariff no longer count there",
    responses=documented(404),
)
async def remove_assignment(context: CallerContext, tariff_id: TariffId, number: AssignmentNumber) -> None:
    await tariffs.remove_assignment(context, tariff_id, number)


router = Router(
    "/tariffs",
    route_handlers=[
        list_tariffs,
        create_tariff,
        get_tariff,
        replace_tariff,
        retire_tariff,
        list_tariff_versions,
        list_assignments,
        assign_tariff,
        remove_assignment,
    ],
    tags=["Tariffs"],
)
