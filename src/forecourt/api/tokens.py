"""`/tokens`: identities that may, or may not, charge. A PUT enters a token or replaces it, with any expiry."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, delete, get, put
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import Asked, Instant, Name, Text, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import authorization
from forecourt.csms.authorization import TokenFields
from forecourt.csms.records import Token
from forecourt.domain.token import AuthorizationStatus, IdTokenType

TokenValue = Annotated[str, PathParameter(description="As the station reads it; upper and lower case are alike.")]


class TokenBody(Asked, frozen=True, kw_only=True):
    """A token as somebody enters it."""

    type: IdTokenType = IdTokenType.ISO14443
    standing: AuthorizationStatus = AuthorizationStatus.ACCEPTED
    expires_at: Instant | None = None
    group: Name | None = None
    """Tokens of one group may stop each other's transactions."""
    charging_priority: Annotated[int, Meta(ge=-9, le=9)] = 0
    note: Text | None = None


class TokenResource(msgspec.Struct, frozen=True, kw_only=True):
    """A token."""

    value: str
    type: IdTokenType
    standing: AuthorizationStatus
    """The verdict as entered; what is answered also depends on `expires_at` and the transactions that run."""
    expires_at: datetime | None
    group: str | None
    charging_priority: int
    note: str | None
    created_at: datetime
    updated_at: datetime


class TokenList(Listing, frozen=True, kw_only=True):
    """Tokens, newest first."""

    items: tuple[TokenResource, ...]


def _show(token: Token) -> TokenResource:
    return shown(TokenResource, token)


@get("/", summary="List tokens", responses=documented())
async def list_tokens(
    context: CallerContext,
    group: Filter = None,
    token_type: Annotated[IdTokenType | None, QueryParameter(name="type")] = None,
    standing: FromQuery[AuthorizationStatus | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> TokenList:
    page = await authorization.list_tokens(
        context,
        group=group,
        kind=token_type,
        standing=standing,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(TokenList, page, _show)


@get("/{value:str}", summary="A token", responses=documented(404))
async def get_token(context: CallerContext, value: TokenValue) -> TokenResource:
    return _show(await authorization.get_token(context, value))


@put("/{value:str}", summary="Enter a token, or replace it", responses=documented(408, 413, 415))
async def put_token(context: CallerContext, value: TokenValue, data: JSONBody[TokenBody]) -> TokenResource:
    fields = msgspec.convert(data, TokenFields, from_attributes=True)
    return _show(await authorization.put_token(context, value, fields))


@delete("/{value:str}", summary="Take a token out", responses=documented(404))
async def remove_token(context: CallerContext, value: TokenValue) -> None:
    await authorization.remove_token(context, value)


router = Router("/tokens", route_handlers=[list_tokens, get_token, put_token, remove_token], tags=["Tokens"])
