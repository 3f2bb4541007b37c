"""`/exports`: CDRs, transactions and readings as CSV (RFC 4180) or Parquet, however many there are, newest first.

Guarantees
* It is written as it is read, page by page: no export is too long for memory. An export that breaks off ends in the
  middle of the transfer, so that nobody takes it for whole.
* In CSV a text that a spreadsheet would take for a formula has an apostrophe before it.
"""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, TypeVar

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, SkipValidation
from litestar.response import Stream

from forecourt.api import parquet
from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import instant
from forecourt.api.lists import Filter
from forecourt.api.problems import documented
from forecourt.csms import cdrs, transactions
from forecourt.csms.money_records import Cdr
from forecourt.csms.ports import Context
from forecourt.csms.records import Page, Reading, Transaction

T = TypeVar("T")
Instant = FromQuery[datetime | None]

_AT_ONCE: Final = 500
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_PARQUET: Final = "application/vnd.apache.parquet"

CDR_COLUMNS: Final = (
    ("id", "integer"), ("session_id", "integer"), ("credit_of", "integer"), ("station_id", "text"),
    ("evse_id", "integer"), ("connector_id", "integer"), ("location_id", "integer"), ("location_name", "text"),
    ("id_token", "text"), ("started_at", "instant"), ("ended_at", "instant"), ("energy_kwh", "decimal"),
    ("time_h", "decimal"), ("parking_time_h", "decimal"), ("currency", "text"), ("total_excl_vat", "decimal"),
    ("total_incl_vat", "decimal"), ("fixed_excl_vat", "decimal"), ("energy_excl_vat", "decimal"),
    ("time_excl_vat", "decimal"), ("parking_excl_vat", "decimal"), ("tariff_id", "integer"),
    ("tariff_version", "integer"), ("payment_id", "text"), ("created_at", "instant"),
)  # fmt: skip
TRANSACTION_COLUMNS: Final = (
    ("number", "integer"), ("transaction_id", "text"), ("station_id", "text"), ("evse_id", "integer"),
    ("connector_id", "integer"), ("state", "text"), ("orphan", "flag"), ("id_token", "text"),
    ("authorization", "text"), ("started_at", "instant"), ("ended_at", "instant"), ("stopped_reason", "text"),
    ("meter_start_wh", "number"), ("meter_stop_wh", "number"), ("energy_wh", "number"), ("suspect", "text"),
    ("offline", "flag"), ("created_at", "instant"),
)  # fmt: skip
METER_COLUMNS: Final = (
    ("transaction_number", "integer"), ("station_id", "text"), ("evse_id", "integer"), ("at", "instant"),
    ("energy_wh", "number"), ("power_w", "number"), ("suspect", "text"), ("measurand", "text"), ("phase", "text"),
    ("context", "text"), ("measuring_point", "text"), ("value", "number"), ("unit", "text"), ("signed_data", "text"),
    ("received_at", "instant"),
)  # fmt: skip
"""One row for each sampled value; `energy_wh` and `power_w` are what the CSMS makes of the whole reading."""

Rows = AsyncIterator[Sequence[tuple[Any, ...]]]
Pages = Callable[[str | None], Awaitable[Page[Transaction]]]


def _documented_csv() -> dict[int, ResponseSpec]:
    responses = documented(404)
    responses[200] = ResponseSpec(data_container=str, generate_examples=False, media_type="text/csv")
    return responses


def _documented_parquet() -> dict[int, ResponseSpec]:
    responses = documented(404, HTTPStatus.NOT_IMPLEMENTED)
    responses[200] = ResponseSpec(data_container=bytes, generate_examples=False, media_type=_PARQUET)
    return responses


def _exports(
    noun: str, words: str, columns: parquet.Columns, rows: Callable[..., Awaitable[Rows]]
) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """The two operations of a noun: as CSV and as Parquet, with the filters that `rows` takes."""

    async def as_csv(rows: NamedDependency[SkipValidation[Rows]]) -> Stream:
        pages = await _begun(rows)

        async def written() -> AsyncIterator[bytes]:
            yield _lines([[column for column, _ in columns]])
            async for page in pages:
                yield _lines([_cell(value) for value in row] for row in page)

        return _stream(f"{noun}.csv", written(), "text/csv")

    async def as_parquet(rows: NamedDependency[SkipValidation[Rows]]) -> Stream:
        parquet.needed()
        return _stream(f"{noun}.parquet", parquet.written(columns, await _begun(rows)), _PARQUET)

    as_csv.__name__ = f"export_{noun.replace('-', '_')}"
    as_parquet.__name__ = f"{as_csv.__name__}_parquet"
    provided: Any = {"rows": Provide(rows)}
    csv_of = get(f"/{noun}.csv", summary=f"{words} as CSV", responses=_documented_csv(), dependencies=provided)
    parquet_of = get(
        f"/{noun}.parquet", summary=f"{words} as Parquet", responses=_documented_parquet(), dependencies=provided
    )
    return csv_of(as_csv), parquet_of(as_parquet)


# What there is to write: rows, page by page


async def _paged(
    page: Callable[[str | None], Awaitable[Page[T]]], row: Callable[[T], tuple[Any, ...]]
) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    cursor: str | None = None
    while True:
        current = await page(cursor)
        yield [row(item) for item in current.items]
        cursor = current.next_cursor
        if cursor is None:
            return


async def _cdrs(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    created_from: Instant = None,
    created_to: Instant = None,
) -> Rows:
    begin, end = instant("created_from", created_from), instant("created_to", created_to)

    async def page(cursor: str | None) -> Page[Cdr]:
        return await cdrs.list_cdrs(
            context,
            station_id=station_id,
            id_token=id_token,
            created_from=begin,
            created_to=end,
            cursor=cursor,
            limit=_AT_ONCE,
        )

    return _paged(page, _cdr_row)


async def _charged(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    started_from: Instant = None,
    started_to: Instant = None,
) -> Pages:
    begin, end = instant("started_from", started_from), instant("started_to", started_to)

    async def page(cursor: str | None) -> Page[Transaction]:
        return await transactions.list_transactions(
            context,
            station_id=station_id,
            id_token=id_token,
            started_from=begin,
            started_to=end,
            cursor=cursor,
            limit=_AT_ONCE,
        )

    return page


async def _transactions(charged: NamedDependency[SkipValidation[Pages]]) -> Rows:
    return _paged(charged, _transaction_row)


async def _meter_values(context: CallerContext, charged: NamedDependency[SkipValidation[Pages]]) -> Rows:
    return _readings(context, charged)


async def _readings(context: Context, charged: Pages) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    async for page in _paged(charged, lambda transaction: (transaction,)):
        yield []
        for (transaction,) in page:
            since: datetime | None = None
            given = 0  # of the instant `since`
            while True:
                found = await transactions.list_meter_values(
                    context, transaction.number, since=since, limit=given + _AT_ONCE
                )
                fresh = found[given:]
                yield [row for reading in fresh for row in _meter_rows(transaction, reading)]
                if len(fresh) < _AT_ONCE:
                    break
                last = fresh[-1].at
                given = sum(1 for reading in found if reading.at == last)
                since = last


def _cdr_row(cdr: Cdr) -> tuple[Any, ...]:
    bill = cdr.bill
    return (
        cdr.number,
        cdr.session_number,
        cdr.credit_of,
        cdr.station_id,
        cdr.evse_id,
        cdr.connector_id,
        cdr.location_id,
        cdr.location_name,
        cdr.id_token,
        cdr.started_at,
        cdr.ended_at,
        bill.total_energy,
        bill.total_time,
        bill.total_parking_time,
        bill.currency,
        bill.total_cost.excl_vat,
        bill.total_cost.incl_vat,
        bill.total_fixed_cost.excl_vat,
        bill.total_energy_cost.excl_vat,
        bill.total_time_cost.excl_vat,
        bill.total_parking_cost.excl_vat,
        cdr.tariff_id,
        cdr.tariff_version,
        cdr.payment_id,
        cdr.created_at,
    )


def _transaction_row(transaction: Transaction) -> tuple[Any, ...]:
    return tuple(getattr(transaction, column) for column, _ in TRANSACTION_COLUMNS)


def _meter_rows(transaction: Transaction, reading: Reading) -> Iterable[tuple[Any, ...]]:
    for sample in reading.samples:
        yield (
            transaction.number,
            transaction.station_id,
            reading.evse_id,
            reading.at,
            reading.energy_wh,
            reading.power_w,
            reading.suspect,
            sample.measurand,
            sample.phase,
            sample.context,
            sample.measuring_point,
            sample.value,
            sample.unit,
            None if sample.signed is None else sample.signed.signed_data,
            reading.received_at,
        )


# How it is written


async def _begun(rows: Rows) -> Rows:
    """The same, its first page read already: what can't be is refused before anything is sent."""
    first = await anext(rows)

    async def all_of() -> Rows:
        yield first
        async for page in rows:
            yield page

    return all_of()


def _stream(name: str, content: AsyncIterator[bytes], media_type: str) -> Stream:
    headers = {"content-disposition": f'attachment; filename="{name}"', "x-content-type-options": "nosniff"}
    return Stream(content, media_type=media_type, headers=headers)


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value


router = Router(
    "/exports",
    route_handlers=[
        *_exports("cdrs", "CDRs", CDR_COLUMNS, _cdrs),
        *_exports("transactions", "Transactions", TRANSACTION_COLUMNS, _transactions),
        *_exports("meter-values", "Readings of transactions", METER_COLUMNS, _meter_values),
    ],
    dependencies={"charged": Provide(_charged)},
    tags=["Exports"],
)
