"""`/api-keys`: keys to this API. A key's text is shown once, when it is made."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import JSONBody, PathParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, ApiScope, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Instant, Name
from forecourt.api.lists import shown
from forecourt.api.problems import documented
from forecourt.csms import access

KeyId = Annotated[str, PathParameter(max_length=100)]
LocationKey = Annotated[int, Meta(ge=1, le=LARGEST_KEY)]


class ApiKeyBody(Asked, frozen=True, kw_only=True):
    """A key that is wanted."""

    name: Name
    """For people: what it is for."""
    scopes: Annotated[tuple[ApiScope, ...], Meta(min_length=1, max_length=3)]
    """`admin` includes `write`, `write` includes `read`."""
    expires_at: Instant | None = None
    location_ids: Annotated[tuple[LocationKey, ...], Meta(min_length=1, max_length=1000)] | None = None
    """Only what stands at these locations; null: everything."""


class ApiKeyResource(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its text."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    location_ids: tuple[int, ...] | None


class NewApiKey(ApiKeyResource, frozen=True, kw_only=True):
    """A key that was just made."""

    key: str
    """Its text, to be sent as `authorization: Bearer …`; it is never shown again."""


class ApiKeyList(msgspec.Struct, frozen=True, kw_only=True):
    """All keys, newest first, revoked ones included."""

    items: tuple[ApiKeyResource, ...]
    next_cursor: str | None = None


@get("/", summary="List API keys", responses=documented())
async def list_api_keys(context: CallerContext) -> ApiKeyList:
    keys = await access.list_api_keys(context)
    limits = await access.limits_of_all(context, keys)
    return ApiKeyList(items=tuple(shown(ApiKeyResource, key, location_ids=limits.get(key.id)) for key in keys))


@post("/", summary="Make an API key", responses=documented(408, 413, 415))
async def create_api_key(context: CallerContext, data: JSONBody[ApiKeyBody]) -> Response[NewApiKey]:
    scopes = tuple(sorted({str(scope) for scope in data.scopes}))
    key, text = await access.create_api_key(context, data.name, scopes, data.expires_at, data.location_ids)
    headers = {"location": f"{PREFIX}/api-keys/{key.id}", "cache-control": "no-store"}
    body = shown(NewApiKey, key, key=text, location_ids=data.location_ids)
    return Response(body, status_code=201, headers=headers)


@delete("/{key_id:str}", summary="Revoke an API key", responses=documented(404))
async def revoke_api_key(context: CallerContext, key_id: KeyId) -> None:
    await access.revoke_api_key(context, key_id)


router = Router(
    "/api-keys",
    route_handlers=[list_api_keys, create_api_key, revoke_api_key],
    tags=["API keys"],
    opt={"scope": ApiScope.ADMIN},
)
