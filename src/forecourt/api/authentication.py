"""Who asks, and what they may: API keys as bearer tokens (RFC 6750), and people by the cookie of their sign-in.

Guarantees
* Everything but `OPEN` needs a key or a sign-in. Reading needs the scope `read`, anything else `write`, people and keys
  themselves `admin`; `admin` includes `write`, `write` includes `read`. A viewer has `read`, an operator `write`.
* A cookie alone changes nothing: what isn't just reading shows the token of `/me` in `x-csrf-token` as well, and comes
  from no page of another origin; a WebSocket by cookie comes from a page of this one.
* Who came with a one-time password gets to nothing but a new one.
* A caller sees its own organisation only: the context that operations get is narrowed here.
* With open access, which is for one machine, pages of other sites can't ask through the browser of whoever sits there:
  `Host` and `Origin` have to be of this machine.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import SkipValidation
from litestar.types import ASGIApp, Receive, Scope, Send

from forecourt.api.outermost import of_this_machine
from forecourt.api.paths import restore_parameters
from forecourt.api.problems import Refused
from forecourt.api.settings import ApiSettings
from forecourt.csms import sign_ins
from forecourt.csms.access import limits_of, verify_api_key
from forecourt.csms.limits import limited
from forecourt.csms.people_records import ActorKind, ApiKey, Role, User
from forecourt.csms.ports import Context
from forecourt.domain import site_link

PREFIX: Final = "/api/v1"
SIGN_IN: Final = f"{PREFIX}/sign-in"
OPEN: Final = frozenset(
    {
        "/healthz",
        "/readyz",
        "/metrics",
        f"{PREFIX}/openapi.json",
        SIGN_IN,
        f"{SIGN_IN}/oidc",
        f"{SIGN_IN}/oidc/callback",
    }
)
"""All that answers without a key; `/metrics` sees to itself."""
DRIVER: Final = f"{PREFIX}/driver/"
"""What begins with this asks for a station's code instead, and for a token or a payment."""
NOTICES: Final = f"{PREFIX}/payments/notices/"
"""What begins with this asks for a payment provider's signature instead."""
WITH_ONE_TIME_PASSWORD: Final = frozenset({f"{PREFIX}/me", f"{PREFIX}/me/password", f"{PREFIX}/sign-out"})
"""All that answers to somebody whose password was given out by somebody else."""

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="forecourt"'}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class ApiScope(StrEnum):
    """What a key is for."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_GRANTED_BY: Final[dict[ApiScope, frozenset[str]]] = {
    ApiScope.READ: frozenset({ApiScope.READ, ApiScope.WRITE, ApiScope.ADMIN}),
    ApiScope.WRITE: frozenset({ApiScope.WRITE, ApiScope.ADMIN}),
    ApiScope.ADMIN: frozenset({ApiScope.ADMIN}),
}

SCOPES: Final[dict[Role, frozenset[str]]] = {
    Role.VIEWER: frozenset({ApiScope.READ}),
    Role.OPERATOR: frozenset({ApiScope.READ, ApiScope.WRITE}),
    Role.ADMIN: frozenset(ApiScope),
}
"""What a person's role comes to."""


class Caller(msgspec.Struct, frozen=True):
    """Whoever asks."""

    context: Context
    """Narrowed to the caller's organisation."""
    scopes: frozenset[str]
    name: str
    """For the log: the key's id, or the user's."""
    still_valid: Callable[[], Awaitable[bool]]
    """Whether the key has not been revoked since, nor run out; whether the user is still signed in."""
    kind: ActorKind = ActorKind.KEY
    title: str = ""
    """The key's name, or the one that the user signs in with."""
    user: User | None = None
    secret: str | None = None
    """Of the sign-in."""
    location_ids: tuple[int, ...] | None = None
    """Limited to these; None: to none."""

    def may(self, scope: ApiScope) -> bool:
        """Whether one of the caller's scopes includes it."""
        return not self.scopes.isdisjoint(_GRANTED_BY[scope])


Around = Callable[[ASGIApp, Scope, Receive, Send, Caller], Awaitable[None]]
"""Runs an operation for a caller; it may change `scope["auth"]` before."""


def caller_context(scope: Scope) -> Context:
    """The dependency `context`."""
    caller: Caller = scope["auth"]
    return caller.context


CallerContext = NamedDependency[SkipValidation[Context]]


class Addressed(Protocol):
    """Who is asked: the CSMS behind the socket."""

    @property
    def context(self) -> Context:
        """Everybody's."""
        ...

    @property
    def settings(self) -> ApiSettings:
        """Of its API."""
        ...


def authenticated(app: ASGIApp, addressed: Callable[[Scope], Addressed], around: Around) -> ASGIApp:
    """The middleware that finds out who asks; `around` runs what they asked for."""

    async def ask_first(scope: Scope, receive: Receive, send: Send) -> None:
        restore_parameters(scope)
        whom = addressed(scope)
        context, settings = whom.context, whom.settings
        if scope["path"] == site_link.PATH and "method" not in scope:
            pass  # it asks for a site's key instead
        elif scope["path"].startswith((DRIVER, NOTICES)):
            if settings.open_access:
                of_this_machine(Headers.from_scope(scope))
        elif scope["path"] not in OPEN:
            headers = Headers.from_scope(scope)
            if settings.open_access:
                of_this_machine(headers)
                scope["auth"] = _anybody(context)
            elif "authorization" not in headers and (secret := cookie_of(scope, settings)) is not None:
                scope["auth"] = await _person(context, scope, headers, secret)
            else:
                scope["auth"] = await _caller(context, headers.get("authorization"))
            await around(app, scope, receive, send, scope["auth"])
            return
        await app(scope, receive, send)

    return ask_first


def required_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every operation; an operation names another scope by `opt={"scope": …}`."""
    caller: Caller | None = connection.scope.get("auth")
    if caller is None:
        return
    method = connection.scope.get("method", "GET")
    needed = handler.opt.get("scope", ApiScope.READ if method in _SAFE_METHODS else ApiScope.WRITE)
    if not caller.may(needed):
        if caller.user is not None:
            raise Refused(HTTPStatus.FORBIDDEN, f"the role {caller.user.role} doesn't allow this")
        raise Refused(
            HTTPStatus.FORBIDDEN,
            f"the key lacks the scope {needed}",
            headers={
                "www-authenticate": f'{_CHALLENGE["www-authenticate"]}, error="insufficient_scope", scope="{needed}"'
            },
        )


async def _caller(context: Context, authorization: str | None) -> Caller:
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise Refused(HTTPStatus.UNAUTHORIZED, "an API key is needed: authorization: Bearer …", headers=_CHALLENGE)
    key = await verify_api_key(context, text.strip())
    if key is None:
        challenge = {"www-authenticate": f'{_CHALLENGE["www-authenticate"]}, error="invalid_token"'}
        raise Refused(HTTPStatus.UNAUTHORIZED, "this API key is none, was revoked, or has run out", headers=challenge)

    async def still_valid() -> bool:
        again: ApiKey | None = await verify_api_key(context, text.strip())
        return again is not None

    location_ids = await limits_of(context, key)
    narrowed = _narrowed(context, key.organisation_id, location_ids)
    return Caller(narrowed, frozenset(key.scopes), key.id, still_valid, title=key.name, location_ids=location_ids)


def _narrowed(context: Context, organisation_id: int, location_ids: tuple[int, ...] | None) -> Context:
    own = msgspec.structs.replace(context, organisation_id=organisation_id)
    return own if location_ids is None else limited(own, location_ids)


async def _person(context: Context, scope: Scope, headers: Headers, secret: str) -> Caller:
    user = await sign_ins.signed_in(context, secret)
    if user is None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "not signed in, or not any more", headers=_CHALLENGE)
    method = scope.get("method")
    if method is None:
        if not _same_origin(headers, needed=True):
            raise Refused(HTTPStatus.FORBIDDEN, "a WebSocket by cookie must come from a page of this origin")
    elif method not in _SAFE_METHODS and not (
        _same_origin(headers) and sign_ins.on_purpose(secret, headers.get("x-csrf-token"))
    ):
        raise Refused(HTTPStatus.FORBIDDEN, "x-csrf-token is missing or wrong: GET /me tells it to who is signed in")
    if user.one_time and scope["path"] not in WITH_ONE_TIME_PASSWORD:
        raise Refused(HTTPStatus.FORBIDDEN, "the password was for one use: set your own first, by PUT /me/password")

    async def still_valid() -> bool:
        again = await sign_ins.signed_in(context, secret)
        return again is not None and again.role is user.role

    return Caller(
        _narrowed(context, user.organisation_id, user.location_ids),
        SCOPES[user.role],
        user.id,
        still_valid,
        kind=ActorKind.USER,
        title=user.name,
        user=user,
        secret=secret,
        location_ids=user.location_ids,
    )


def cookie_name(settings: ApiSettings) -> str:
    """Of the cookie that proves a sign-in. With the prefix a browser takes it over TLS only, and from this host."""
    return "__Host-forecourt" if settings.over_tls else "forecourt"


def cookie_of(scope: Scope, settings: ApiSettings) -> str | None:
    """The secret of the sign-in, as the request shows it."""
    return ASGIConnection[Any, Any, Any, Any](scope).cookies.get(cookie_name(settings)) or None


def same_origin(scope: Scope) -> bool:
    """Whether no page of another origin has sent it, as far as the browser says."""
    return _same_origin(Headers.from_scope(scope))


def _same_origin(headers: Headers, *, needed: bool = False) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return not needed and headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


async def _always() -> bool:
    return True


def _anybody(context: Context) -> Caller:
    return Caller(context, frozenset(ApiScope), "anybody", _always, kind=ActorKind.ANYBODY, title="anybody")
