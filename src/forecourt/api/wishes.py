"""`/transactions/{number}/wish` and `/tokens/{value}/wish`: when drivers leave, and how much energy they want."""

from datetime import datetime, time
from typing import Annotated

import msgspec
from litestar import delete, get, put
from litestar.params import FromPath, JSONBody, PathParameter
from msgspec import Meta

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Instant
from forecourt.api.lists import shown
from forecourt.api.problems import documented
from forecourt.csms import wishes
from forecourt.csms.group_records import TokenWish, WishInForce, WishSource

TransactionNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]
Energy = Annotated[float, Meta(gt=0, le=1e7)]


class WishBody(Asked, frozen=True, kw_only=True):
    """What a person wants of a transaction. Null: whatever the car or the token says."""

    departs_at: Instant | None = None
    energy_wh: Energy | None = None
    """For the whole transaction."""


class WishResource(msgspec.Struct, frozen=True, kw_only=True):
    """What counts, and who said it."""

    departs_at: datetime | None
    departs_source: WishSource | None
    energy_wh: float | None
    energy_source: WishSource | None


class TokenWishBody(Asked, frozen=True, kw_only=True):
    """What a token wants of each transaction, unless somebody says otherwise."""

    departs: time | None = None
    """By the clock on the wall of `time_zone`."""
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    energy_wh: Energy | None = None


class TokenWishResource(msgspec.Struct, frozen=True, kw_only=True):
    """The same."""

    id_token: str
    departs: time | None
    time_zone: str
    energy_wh: float | None
    updated_at: datetime


def _show(wish: WishInForce) -> WishResource:
    return shown(WishResource, wish)


def _show_token(wish: TokenWish) -> TokenWishResource:
    return shown(TokenWishResource, wish)


@get("/transactions/{number:int}/wish", summary="What is wanted of a transaction", responses=documented(404),
     tags=["Transactions"])  # fmt: skip
async def get_transaction_wish(context: CallerContext, number: TransactionNumber) -> WishResource:
    return _show(await wishes.get_wish(context, number))


@put(
    "/transactions/{number:int}/wish",
    summary="Say when the car leaves and how much energy it wants; load groups go by it",
    responses=documented(404, 408, 409, 413, 415),
    tags=["Transactions"],
)
async def put_transaction_wish(
    context: CallerContext, number: TransactionNumber, data: JSONBody[WishBody]
) -> WishResource:
    return _show(await wishes.put_wish(context, number, departs_at=data.departs_at, energy_wh=data.energy_wh))


@get("/tokens/{value:str}/wish", summary="What a token wants each time", responses=documented(404), tags=["Tokens"])
async def get_token_wish(context: CallerContext, value: FromPath[str]) -> TokenWishResource:
    return _show_token(await wishes.get_token_wish(context, value))


@put(
    "/tokens/{value:str}/wish",
    summary="Say what a token wants each time",
    responses=documented(404, 408, 413, 415),
    tags=["Tokens"],
)
async def put_token_wish(
    context: CallerContext, value: FromPath[str], data: JSONBody[TokenWishBody]
) -> TokenWishResource:
    return _show_token(
        await wishes.put_token_wish(
            context, value, departs=data.departs, time_zone=data.time_zone, energy_wh=data.energy_wh
        )
    )


@delete("/tokens/{value:str}/wish", summary="Forget what a token wants", responses=documented(404), tags=["Tokens"])
async def remove_token_wish(context: CallerContext, value: FromPath[str]) -> None:
    await wishes.remove_token_wish(context, value)


handlers = (get_transaction_wish, put_transaction_wish, get_token_wish, put_token_wish, remove_token_wish)
