"""`/sites`: sites with a local controller, as it tells of them over the site link; and what it is asked.

Guarantees
* What is shown is what the controller told last; `connected` and `heard_at` say how far that is to be believed.
* An order answers 200 when the controller has carried it out, 202 when it has not answered in time, 409 with its own
  sentence when it refuses or there is no link. Nothing is kept for later: a limit that comes late surprises somebody.
"""

from datetime import datetime, timedelta
from typing import Annotated

from litestar import Response, Router, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from litestar.types import Scope

from forecourt.api.authentication import PREFIX, ApiScope, Caller, CallerContext
from forecourt.api.bodies import LARGEST_INTEGER, LARGEST_KEY, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, listing
from forecourt.api.problems import documented
from forecourt.api.site_bodies import (
    DimBody,
    EvseLimitBody,
    EvseModeBody,
    EvsePriorityBody,
    EvseWishBody,
    NewSite,
    NodeLimitBody,
    SiteBody,
    SiteEntryList,
    SiteHistory,
    SiteList,
    SiteOrderList,
    SiteOrderResource,
    SiteResource,
    SiteTariffBody,
    StepBody,
)
from forecourt.api.site_views import show_entry, show_order, show_sample, summary, whole
from forecourt.csms import sites
from forecourt.csms.ports import Context
from forecourt.csms.site_records import EntryKind, OrderState
from forecourt.domain import site_link

SiteId = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]
NodeName = Annotated[str, PathParameter(max_length=255)]


@get("/", summary="List sites", responses=documented())
async def list_sites(context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> SiteList:
    return listing(SiteList, await sites.list_sites(context, cursor=cursor, limit=limit), summary)


@post(
    "/",
    summary="Enter a site; gives its key, this once",
    responses=documented(408, 413, 415),
    opt={"scope": ApiScope.ADMIN},
)
async def create_site(context: CallerContext, data: JSONBody[SiteBody]) -> Response[NewSite]:
    site, key = await sites.create_site(context, data.name, data.location_id)
    headers = {"location": f"{PREFIX}/sites/{site.number}", "cache-control": "no-store"}
    return Response(NewSite(**whole(site), key=key), status_code=201, headers=headers)


@get("/{site_id:int}", summary="A site: circuits, readings, allocations, plan", responses=documented(404))
async def get_site(context: CallerContext, site_id: SiteId) -> SiteResource:
    return SiteResource(**whole(await sites.get_site(context, site_id)))


@put("/{site_id:int}", summary="Name and place of a site", responses=documented(404, 408, 413, 415))
async def replace_site(context: CallerContext, site_id: SiteId, data: JSONBody[SiteBody]) -> SiteResource:
    return SiteResource(**whole(await sites.change_site(context, site_id, data.name, data.location_id)))


@delete(
    "/{site_id:int}",
    summary="Take a site out, with its history",
    responses=documented(404),
    opt={"scope": ApiScope.ADMIN},
)
async def remove_site(context: CallerContext, site_id: SiteId) -> None:
    await sites.remove_site(context, site_id)


@post(
    "/{site_id:int}/key",
    summary="Another key for a site; the one before is over at once",
    responses=documented(404),
    opt={"scope": ApiScope.ADMIN},
)
async def renew_site_key(context: CallerContext, site_id: SiteId) -> Response[NewSite]:
    site, key = await sites.new_key(context, site_id)
    return Response(NewSite(**whole(site), key=key), status_code=201, headers={"cache-control": "no-store"})


@get("/{site_id:int}/alarms", summary="A site's alarms, newest first", responses=documented(404))
async def list_site_alarms(
    context: CallerContext, site_id: SiteId, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> SiteEntryList:
    page = await sites.list_entries(context, site_id, (EntryKind.ALARM,), cursor=cursor, limit=limit)
    return listing(SiteEntryList, page, show_entry)


@get("/{site_id:int}/records", summary="Alarms, decisions and changes of limits", responses=documented(404))
async def list_site_records(
    context: CallerContext,
    site_id: SiteId,
    kind: Annotated[EntryKind | None, QueryParameter()] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> SiteEntryList:
    page = await sites.list_entries(
        context,
        site_id,
        tuple(EntryKind) if kind is None else (kind,),
        since=instant("since", since),
        until=instant("until", until),
        cursor=cursor,
        limit=limit,
    )
    return listing(SiteEntryList, page, show_entry)


@get("/{site_id:int}/history", summary="How a site was loaded, oldest first", responses=documented(404))
async def get_site_history(
    context: CallerContext,
    site_id: SiteId,
    since: Annotated[
        datetime | None, QueryParameter(description="Default: 24 h before `until`, by the site's clock.")
    ] = None,
    until: Annotated[datetime | None, QueryParameter(description="Default: now, by the site's clock.")] = None,
    points: Annotated[int, QueryParameter(ge=1, le=2000, description="Stretches at most; longer means.")] = 288,
) -> SiteHistory:
    end = instant("until", until) or await _site_now(context, site_id)
    begin = instant("since", since) or end - timedelta(days=1)
    found = await sites.history(context, site_id, since=begin, until=end, points=points)
    return SiteHistory(items=tuple(show_sample(one) for one in found))


@get("/{site_id:int}/orders", summary="What was asked of the controller", responses=documented(404))
async def list_site_orders(
    context: CallerContext, site_id: SiteId, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> SiteOrderList:
    return listing(SiteOrderList, await sites.list_orders(context, site_id, cursor=cursor, limit=limit), show_order)


def _documented_order() -> dict[int, ResponseSpec]:
    responses = documented(404, 408, 409, 413, 415)
    for status, words in ((200, "The controller has done it"), (202, "The controller has not answered yet")):
        responses[status] = ResponseSpec(data_container=SiteOrderResource, generate_examples=False, description=words)
    return responses


async def _ask(scope: Scope, context: Context, site_id: int, asked: site_link.Asked) -> Response[SiteOrderResource]:
    caller: Caller = scope["auth"]
    order = await sites.order(context, site_id, asked, f"CSMS: {caller.title or caller.name}")
    return Response(show_order(order), status_code=200 if order.state is OrderState.DONE else 202)


@put("/{site_id:int}/nodes/{node:str}/limit", summary="Limit a node", responses=_documented_order())
async def limit_site_node(
    scope: Scope, context: CallerContext, site_id: SiteId, node: NodeName, data: JSONBody[NodeLimitBody]
) -> Response[SiteOrderResource]:
    asked = site_link.LimitNode(
        node=node, current_a=data.current_a, power_w=data.power_w, controlled_w=data.controlled_w, ends=data.ends
    )
    return await _ask(scope, context, site_id, asked)


@put(
    "/{site_id:int}/evses/{station_id:str}/{evse_id:int}/limit", summary="Limit an EVSE", responses=_documented_order()
)
async def limit_site_evse(
    scope: Scope,
    context: CallerContext,
    site_id: SiteId,
    station_id: NodeName,
    evse_id: Annotated[int, PathParameter(ge=0, le=LARGEST_INTEGER)],
    data: JSONBody[EvseLimitBody],
) -> Response[SiteOrderResource]:
    asked = site_link.LimitEvse(station_id=station_id, evse_id=evse_id, current_a=data.current_a, ends=data.ends)
    return await _ask(scope, context, site_id, asked)


@put(
    "/{site_id:int}/evses/{station_id:str}/{evse_id:int}/wish",
    summary="When a car leaves and what it wants",
    responses=_documented_order(),
)
async def wish_at_site_evse(
    scope: Scope,
    context: CallerContext,
    site_id: SiteId,
    station_id: NodeName,
    evse_id: Annotated[int, PathParameter(ge=0, le=LARGEST_INTEGER)],
    data: JSONBody[EvseWishBody],
) -> Response[SiteOrderResource]:
    asked = site_link.WishEvse(
        station_id=station_id, evse_id=evse_id, departs_at=data.departs_at, energy_wh=data.energy_wh
    )
    return await _ask(scope, context, site_id, asked)


@put(
    "/{site_id:int}/evses/{station_id:str}/{evse_id:int}/mode",
    summary="How an EVSE charges",
    responses=_documented_order(),
)
async def set_site_evse_mode(
    scope: Scope,
    context: CallerContext,
    site_id: SiteId,
    station_id: NodeName,
    evse_id: Annotated[int, PathParameter(ge=0, le=LARGEST_INTEGER)],
    data: JSONBody[EvseModeBody],
) -> Response[SiteOrderResource]:
    asked = site_link.ModeEvse(station_id=station_id, evse_id=evse_id, mode=data.mode)
    return await _ask(scope, context, site_id, asked)


@put(
    "/{site_id:int}/evses/{station_id:str}/{evse_id:int}/priority",
    summary="Who goes first",
    responses=_documented_order(),
)
async def set_site_evse_priority(
    scope: Scope,
    context: CallerContext,
    site_id: SiteId,
    station_id: NodeName,
    evse_id: Annotated[int, PathParameter(ge=0, le=LARGEST_INTEGER)],
    data: JSONBody[EvsePriorityBody],
) -> Response[SiteOrderResource]:
    asked = site_link.PriorityEvse(station_id=station_id, evse_id=evse_id, priority=data.priority)
    return await _ask(scope, context, site_id, asked)


@put("/{site_id:int}/tariff", summary="What energy costs, and weighs in CO2", responses=_documented_order())
async def set_site_tariff(
    scope: Scope, context: CallerContext, site_id: SiteId, data: JSONBody[SiteTariffBody]
) -> Response[SiteOrderResource]:
    asked = site_link.SetTariff(prices=_steps(data.prices), carbon=None if data.carbon is None else _steps(data.carbon))
    return await _ask(scope, context, site_id, asked)


@post("/{site_id:int}/dim", status_code=200, summary="Dim a site, or no longer", responses=_documented_order())
async def dim_site(
    scope: Scope, context: CallerContext, site_id: SiteId, data: JSONBody[DimBody]
) -> Response[SiteOrderResource]:
    return await _ask(scope, context, site_id, site_link.DimSite(dimmed=data.dimmed))


def _steps(steps: tuple[StepBody, ...]) -> tuple[site_link.PriceStep, ...]:
    return tuple(site_link.PriceStep(start=step.start, value=step.value) for step in steps)


async def _site_now(context: Context, site_id: int) -> datetime:
    """By the site's own clock, which may be a demonstration's."""
    site = await sites.get_site(context, site_id)
    return context.clock.now().at if site.readings is None else site.readings.at + timedelta(seconds=1)


router = Router(
    "/sites",
    route_handlers=[
        list_sites, create_site, get_site, replace_site, remove_site, renew_site_key, list_site_alarms,
        list_site_records, get_site_history, list_site_orders, limit_site_node, limit_site_evse, wish_at_site_evse,
        set_site_evse_mode, set_site_evse_priority, set_site_tariff, dim_site,
    ],
    tags=["Sites"],
)  # fmt: skip
