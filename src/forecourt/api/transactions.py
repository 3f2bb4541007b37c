"""`/transactions`: what was charged, by whom, where; and the readings that say so."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, PathParameter, QueryParameter

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import LARGEST_KEY, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import completion, endings, signed_values, transactions
from forecourt.csms.completion import Basis
from forecourt.csms.errors import Invalid
from forecourt.csms.records import Reading, Transaction, TransactionState
from forecourt.csms.signed_values import SignedReading
from forecourt.domain.meter import SampledValue
from forecourt.domain.token import AuthorizationStatus, IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason

TransactionNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]

_CURSOR: Final = re.compile(r"^(\d{1,17})-(\d{1,5})$")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TransactionResource(msgspec.Struct, frozen=True, kw_only=True):
    """One charging transaction, put together from whatever came of it."""

    number: int
    """Our key."""
    transaction_id: str | None
    """The id on the wire."""
    reported_id: str | None
    station_id: str
    evse_id: int | None
    connector_id: int | None
    state: TransactionState
    orphan: bool
    """Its start never came."""
    id_token: str | None
    id_token_type: IdTokenType | None
    authorization: AuthorizationStatus | None
    """What was answered about the token."""
    stop_id_token: str | None
    started_at: datetime | None
    ended_at: datetime | None
    stopped_reason: StoppedReason | None
    meter_start_wh: float | None
    meter_stop_wh: float | None
    meter_last_wh: float | None
    meter_last_at: datetime | None
    energy_wh: float | None
    suspect: str | None
    """Why its energy must not be billed as it stands."""
    charging_state: ChargingState | None
    charging_state_at: datetime | None
    reservation_id: int | None
    remote_start_id: int | None
    command_id: str | None
    """The command that led to it."""
    offline: bool
    """Some of it happened while the station was offline."""
    missing: tuple[tuple[int, int], ...]
    """Sequence numbers of messages that have not come, from and to."""
    created_at: datetime
    updated_at: datetime


class CompletionResource(msgspec.Struct, frozen=True, kw_only=True):
    """When a transaction will be done, as far as anybody can tell."""

    estimated_at: datetime | None
    """Null: nothing flows, or nothing speaks for any time."""
    basis: Basis | None
    """What it rests on."""
    remaining_wh: float | None
    power_w: float | None
    """As the station told it last; null: not in the last half hour."""
    soc_percent: float | None
    """The battery's, where the station tells it."""


class TransactionList(Listing, frozen=True, kw_only=True):
    """Transactions, newest first."""

    items: tuple[TransactionResource, ...]


class ReadingResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a meter said at one instant."""

    at: datetime
    evse_id: int
    energy_wh: float | None
    power_w: float | None
    suspect: str | None
    samples: tuple[SampledValue, ...]
    received_at: datetime


class ReadingList(Listing, frozen=True, kw_only=True):
    """Readings, the earliest first."""

    items: tuple[ReadingResource, ...]


class SignedReadingList(msgspec.Struct, frozen=True, kw_only=True):
    """Signed readings, the earliest first: all of them."""

    items: tuple[SignedReading, ...]


def show_transaction(transaction: Transaction) -> TransactionResource:
    """As the API shows it."""
    return shown(TransactionResource, transaction)


def _documented_xml() -> dict[int, ResponseSpec]:
    responses = documented(404)
    responses[200] = ResponseSpec(data_container=str, generate_examples=False, media_type="application/xml")
    return responses


@get("/", summary="List transactions", responses=documented(404))
async def list_transactions(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    transaction_id: Filter = None,
    transaction_state: Annotated[TransactionState | None, QueryParameter(name="state")] = None,
    orphan: FromQuery[bool | None] = None,
    started_from: FromQuery[datetime | None] = None,
    started_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> TransactionList:
    page = await transactions.list_transactions(
        context,
        station_id=station_id,
        id_token=id_token,
        transaction_id=transaction_id,
        state=transaction_state,
        orphan=orphan,
        started_from=instant("started_from", started_from),
        started_to=instant("started_to", started_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(TransactionList, page, show_transaction)


@get("/{number:int}", summary="A transaction", responses=documented(404))
async def get_transaction(context: CallerContext, number: TransactionNumber) -> TransactionResource:
    return show_transaction(await transactions.get_transaction(context, number))


@get(
    "/{number:int}/completion",
    summary="When it will be done: an estimate, and what it rests on",
    responses=documented(404, 409),
)
async def get_completion(context: CallerContext, number: TransactionNumber) -> CompletionResource:
    return shown(CompletionResource, await completion.completion(context, number))


@post(
    "/{number:int}/close",
    status_code=200,
    summary="End a stale transaction in the books, without a word to the station",
    responses=documented(404, 409),
)
async def close_transaction(context: CallerContext, number: TransactionNumber) -> TransactionResource:
    return show_transaction(await endings.close_transaction(context, number))


@get("/{number:int}/meter-values", summary="A transaction's readings, the earliest first", responses=documented(404))
async def list_meter_values(
    context: CallerContext,
    number: TransactionNumber,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ReadingList:
    begin, skip = (instant("since", since), 0) if cursor is None else _place(cursor)
    end = instant("until", until)
    found = await transactions.list_meter_values(context, number, since=begin, until=end, limit=skip + limit + 1)
    items = found[skip : skip + limit]
    more = len(found) > skip + limit
    return ReadingList(
        items=tuple(shown(ReadingResource, reading) for reading in items),
        next_cursor=_cursor(items, begin, skip) if more else None,
    )


@get(
    "/{number:int}/signed-meter-values",
    summary="A transaction's signed readings, untouched, with the key that verifies them",
    responses=documented(404),
)
async def list_signed_meter_values(context: CallerContext, number: TransactionNumber) -> SignedReadingList:
    return SignedReadingList(items=await signed_values.signed_readings(context, number))


@get(
    "/{number:int}/signed-meter-values.xml",
    summary="The same as the transparency software reads it",
    responses=_documented_xml(),
)
async def get_signed_meter_values(context: CallerContext, number: TransactionNumber) -> Response[bytes]:
    text = signed_values.as_xml(number, await signed_values.signed_readings(context, number))
    headers = {"content-disposition": f'attachment; filename="transaction-{number}.xml"'}
    return Response(text.encode(), media_type="application/xml", headers=headers)


# Readings share instants (several EVSEs, several measurands in one message), so that a place in their list is an
# instant and how many of that instant were given.


def _cursor(items: tuple[Reading, ...], begin: datetime | None, skip: int) -> str:
    last = items[-1].at
    given = sum(1 for reading in items if reading.at == last) + (skip if begin == last else 0)
    return f"{(last - _EPOCH) // timedelta(microseconds=1)}-{given}"


def _place(cursor: str) -> tuple[datetime, int]:
    match = _CURSOR.match(cursor)
    if match is None:
        raise Invalid("cursor", "is not one that a list has given")
    return _EPOCH + timedelta(microseconds=int(match[1])), int(match[2])


router = Router(
    "/transactions",
    route_handlers=[
        list_transactions,
        get_transaction,
        get_completion,
        close_transaction,
        list_meter_values,
        list_signed_meter_values,
        get_signed_meter_values,
    ],
    tags=["Transactions"],
)
