"""`/sessions` and `/cdrs`: what is being charged and what it costs, what was billed, and the receipt."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from forecourt.api.authentication import Caller, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Instant, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import cdrs
from forecourt.csms.bill import Bill, Price
from forecourt.csms.cdrs import Release, SessionView
from forecourt.csms.money_records import AuthMethod, Cdr, Correction, SessionState, SignedValue
from forecourt.csms.receipts import Receipt, as_html, as_text, receipt_of
from forecourt.csms.tariff_terms import TariffTerms
from forecourt.domain.token import IdTokenType
from forecourt.domain.transaction import StoppedReason

Key = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]
Reason = Annotated[str, Meta(min_length=1, max_length=1000)]

_PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


class SessionResource(msgspec.Struct, frozen=True, kw_only=True):
    """The commercial side of a transaction."""

    id: int
    """The transaction's number."""
    station_id: str
    evse_id: int | None
    connector_id: int | None
    location_id: int | None
    id_token: str | None
    state: SessionState
    held_because: str | None
    """Why it is not billed as it stands."""
    started_at: datetime | None
    ended_at: datetime | None
    energy_wh: float | None
    currency: str | None
    total_cost: Price | None
    """So far, as of `priced_at`; of the CDR once there is one."""
    priced_at: datetime | None
    cdr_id: int | None
    changed_since: str | None
    """What the station has said since the CDR was made, that would have made another."""
    payment_id: str | None
    correction: Correction | None
    time_zone: str
    updated_at: datetime
    bill: Bill | None
    """As of now, in full; only where a single session was asked for."""


class SessionList(Listing, frozen=True, kw_only=True):
    """Sessions, newest first."""

    items: tuple[SessionResource, ...]


class ReleaseBody(Asked, frozen=True, kw_only=True):
    """What counts instead of what the books have."""

    reason: Reason
    started_at: Instant | None = None
    ended_at: Instant | None = None
    energy_wh: Decimal | None = None


class ReasonBody(Asked, frozen=True, kw_only=True):
    """Why."""

    reason: Reason


class CdrResource(msgspec.Struct, frozen=True, kw_only=True):
    """A charge detail record. It never changes."""

    id: int
    session_id: int
    station_id: str
    evse_id: int | None
    connector_id: int | None
    location_id: int | None
    location_name: str | None
    location_address: str | None
    time_zone: str
    id_token: str | None
    id_token_type: IdTokenType | None
    auth_method: AuthMethod
    started_at: datetime
    ended_at: datetime
    stopped_reason: StoppedReason | None
    meter_start_wh: float | None
    meter_stop_wh: float | None
    tariff_id: int
    tariff_version: int
    tariff: TariffTerms
    bill: Bill
    signed_values: tuple[SignedValue, ...]
    correction: Correction | None
    credit_of: int | None
    """The CDR that this one takes back; its amounts are below 0."""
    remark: str | None
    payment_id: str | None
    created_at: datetime


class CdrList(Listing, frozen=True, kw_only=True):
    """CDRs, newest first."""

    items: tuple[CdrResource, ...]


def show_session(view: SessionView) -> SessionResource:
    """As the API shows it."""
    session, transaction = view.session, view.transaction
    return SessionResource(
        id=session.number,
        station_id=session.station_id,
        evse_id=transaction.evse_id,
        connector_id=transaction.connector_id,
        location_id=session.location_id,
        id_token=transaction.id_token,
        state=session.state,
        held_because=session.held_because,
        started_at=transaction.started_at,
        ended_at=transaction.ended_at,
        energy_wh=transaction.energy_wh,
        currency=session.currency,
        total_cost=session.cost,
        priced_at=session.priced_at,
        cdr_id=session.cdr_number,
        changed_since=session.changed_since,
        payment_id=session.payment_id,
        correction=session.correction,
        time_zone=session.time_zone,
        updated_at=session.updated_at,
        bill=view.bill,
    )


def show_cdr(cdr: Cdr) -> CdrResource:
    """As the API shows it."""
    return shown(CdrResource, cdr, id=cdr.number, session_id=cdr.session_number)


@get("/", summary="List sessions", responses=documented(404))
async def list_sessions(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    session_state: Annotated[SessionState | None, QueryParameter(name="state")] = None,
    started_from: FromQuery[datetime | None] = None,
    started_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> SessionList:
    page = await cdrs.list_sessions(
        context,
        station_id=station_id,
        id_token=id_token,
        state=session_state,
        started_from=instant("started_from", started_from),
        started_to=instant("started_to", started_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(SessionList, page, show_session)


@get("/{session_id:int}", summary="A session, with what it costs as of now", responses=documented(404))
async def get_session(context: CallerContext, session_id: Key) -> SessionResource:
    return show_session(await cdrs.get_session(context, session_id))


@post(
    "/{session_id:int}/release",
    status_code=200,
    summary="Bill a held session, with corrections; gives the CDR",
    responses=documented(404, 408, 409, 413, 415),
)
async def release_session(
    context: CallerContext, request: Request[Any, Any, Any], session_id: Key, data: JSONBody[ReleaseBody]
) -> CdrResource:
    release = msgspec.convert(data, Release, from_attributes=True)
    return show_cdr(await cdrs.release_session(context, session_id, release, _name_of(request)))


@post(
    "/{session_id:int}/void",
    status_code=200,
    summary="Decide that a held session is not billed",
    responses=documented(404, 408, 409, 413, 415),
)
async def void_session(
    context: CallerContext, request: Request[Any, Any, Any], session_id: Key, data: JSONBody[ReasonBody]
) -> SessionResource:
    return show_session(await cdrs.void_session(context, session_id, data.reason, _name_of(request)))


@get("/", summary="List CDRs", responses=documented())
async def list_cdrs(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    session_id: Annotated[int | None, QueryParameter(ge=1, le=LARGEST_KEY)] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> CdrList:
    page = await cdrs.list_cdrs(
        context,
        station_id=station_id,
        id_token=id_token,
        session_number=session_id,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(CdrList, page, show_cdr)


@get("/{cdr_id:int}", summary="A CDR", responses=documented(404))
async def get_cdr(context: CallerContext, cdr_id: Key) -> CdrResource:
    return show_cdr(await cdrs.get_cdr(context, cdr_id))


@post(
    "/{cdr_id:int}/credit",
    summary="Take a CDR back: gives the credit; its session is held again",
    responses=documented(404, 408, 409, 413, 415),
)
async def credit_cdr(context: CallerContext, cdr_id: Key, data: JSONBody[ReasonBody]) -> CdrResource:
    return show_cdr(await cdrs.credit_cdr(context, cdr_id, data.reason))


@get("/{cdr_id:int}/receipt", summary="A CDR's receipt", responses=documented(404))
async def get_receipt(context: CallerContext, cdr_id: Key) -> Receipt:
    return await _receipt(context, cdr_id)


def _as(media_type: str, *statuses: int) -> dict[int, ResponseSpec]:
    responses = documented(*statuses)
    responses[200] = ResponseSpec(data_container=str, generate_examples=False, media_type=media_type)
    return responses


@get("/{cdr_id:int}/receipt.txt", summary="A CDR's receipt as plain text", responses=_as("text/plain", 404))
async def get_receipt_text(context: CallerContext, cdr_id: Key) -> Response[bytes]:
    text = as_text(await _receipt(context, cdr_id))
    return Response(text.encode(), media_type="text/plain", headers=_PAGE_HEADERS)


@get("/{cdr_id:int}/receipt.html", summary="A CDR's receipt as a page", responses=_as("text/html", 404))
async def get_receipt_page(context: CallerContext, cdr_id: Key) -> Response[bytes]:
    page = as_html(await _receipt(context, cdr_id))
    return Response(page.encode(), media_type="text/html", headers=_PAGE_HEADERS)


async def _receipt(context: CallerContext, cdr_id: int) -> Receipt:
    return receipt_of(await cdrs.get_cdr(context, cdr_id), context.settings.money.issuer)


def _name_of(request: Request[Any, Any, Any]) -> str:
    caller: Caller = request.scope["auth"]
    return caller.name


sessions_router = Router(
    "/sessions", route_handlers=[list_sessions, get_session, release_session, void_session], tags=["Sessions"]
)
cdrs_router = Router(
    "/cdrs",
    route_handlers=[list_cdrs, get_cdr, credit_cdr, get_receipt, get_receipt_text, get_receipt_page],
    tags=["CDRs"],
)
