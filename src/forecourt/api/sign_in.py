"""`/sign-in`, `/sign-out` and `/me`: people, who come with a browser, and whoever asks who they are.

Guarantees
* The cookie is HttpOnly and SameSite=Strict, and Secure wherever browsers come by TLS. Its secret is in no body.
* A browser that is sent here by a page of another origin can't be signed in as somebody else.
* Signing in is answered alike for a wrong name and a wrong password, and 429 after too many of them.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, post, put
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, SkipValidation
from msgspec import Meta

from forecourt.api.authentication import SCOPES, SIGN_IN, ApiScope, Caller, cookie_name, same_origin
from forecourt.api.bodies import Asked
from forecourt.api.problems import Refused, documented
from forecourt.api.settings import ApiSettings
from forecourt.csms import auditing, people, sign_ins
from forecourt.csms.people_records import ActorKind, Role, User
from forecourt.csms.ports import Context
from forecourt.csms.sign_ins import Attempts, NotSignedIn, WhyNot

RETRY_AFTER_S: Final = 60
STATUSES: Final = {
    WhyNot.WRONG: HTTPStatus.UNAUTHORIZED,
    WhyNot.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    WhyNot.NO_ROLE: HTTPStatus.FORBIDDEN,
}

Asking = Request[Any, Any, Any]
AnyContext = NamedDependency[SkipValidation[Context]]
"""Of nobody in particular: who asks isn't known yet."""
AnyAttempts = NamedDependency[SkipValidation[Attempts]]
AnySettings = NamedDependency[SkipValidation[ApiSettings]]
Password = Annotated[str, Meta(min_length=1, max_length=people.LONGEST_PASSWORD)]


class SignInBody(Asked, frozen=True, kw_only=True):
    """Who wants to come in."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    password: Password


class PasswordBody(Asked, frozen=True, kw_only=True):
    """Another password."""

    current_password: Password
    new_password: Password


class WaysIn(msgspec.Struct, frozen=True, kw_only=True):
    """How one can sign in."""

    password: bool
    open_access: bool
    """Nobody has to."""
    oidc_url: str | None
    """Where a browser goes for the identity provider; null: there is none."""
    oidc_label: str | None


class OrganisationOf(msgspec.Struct, frozen=True, kw_only=True):
    """To whom it belongs."""

    id: int
    name: str


class MeResource(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what they may."""

    kind: ActorKind
    id: str
    name: str
    full_name: str | None
    role: Role | None
    """Of a user."""
    scopes: tuple[str, ...]
    """`read`, `write` and `admin`, as far as they are granted."""
    location_ids: tuple[int, ...] | None
    """Limited to these; null: to none."""
    organisation: OrganisationOf
    must_change_password: bool
    """The password was for one use: nothing but PUT /me/password works."""
    has_password: bool
    """Whether there is one here that can be changed."""
    csrf_token: str | None
    """For `x-csrf-token` of every request that changes something, for who came with the cookie."""


async def _show(caller: Caller) -> MeResource:
    user = caller.user
    return MeResource(
        kind=caller.kind,
        id=caller.name,
        name=caller.title,
        full_name=None if user is None else user.full_name,
        role=None if user is None else user.role,
        scopes=tuple(str(scope) for scope in ApiScope if caller.may(scope)),
        location_ids=caller.location_ids,
        organisation=OrganisationOf(
            id=caller.context.organisation_id, name=await people.organisation_name(caller.context)
        ),
        must_change_password=user is not None and user.one_time,
        has_password=user is not None and user.has_password,
        csrf_token=None if caller.secret is None else sign_ins.purpose_token(caller.secret),
    )


def address_of(request: Asking) -> str:
    """Where it comes from."""
    return "" if request.client is None else request.client.host


async def note_attempt(context: Context, request: Asking, name: str, user: User | None, status: HTTPStatus) -> None:
    """Into the audit log: of the user's organisation, or of the first one where it is nobody's."""
    kind = ActorKind.NOBODY if user is None else ActorKind.USER
    entry = auditing.entry(
        context, kind, name, "sign_in", SIGN_IN, actor_id=None if user is None else user.id, address=address_of(request)
    )
    organisation_id = entry.organisation_id if user is None else user.organisation_id
    await auditing.enter(context, msgspec.structs.replace(entry, organisation_id=organisation_id, status=int(status)))


def sign_in_cookie(settings: ApiSettings, secret: str, seconds: float) -> Cookie:
    """The cookie that proves a sign-in; 0 seconds: takes it away."""
    return Cookie(
        key=cookie_name(settings),
        value=secret,
        path="/",
        max_age=int(seconds),
        httponly=True,
        secure=settings.over_tls,
        samesite="strict",
    )


def refusal(error: NotSignedIn) -> Refused:
    """What is answered to somebody who isn't let in."""
    headers = {"retry-after": str(RETRY_AFTER_S)} if error.why is WhyNot.TOO_MANY else None
    return Refused(STATUSES[error.why], str(error), headers=headers)


@get(SIGN_IN.removeprefix("/api/v1"), summary="How one can sign in", responses=documented(), security=[])
async def ways_in(settings: AnySettings) -> WaysIn:
    oidc = settings.oidc
    return WaysIn(
        password=not settings.open_access,
        open_access=settings.open_access,
        oidc_url=None if oidc is None else f"{SIGN_IN}/oidc",
        oidc_label=None if oidc is None else oidc.label,
    )


@post(
    SIGN_IN.removeprefix("/api/v1"),
    status_code=200,
    summary="Sign in with a name and a password",
    description="Sets the cookie that proves it. `csrf_token` of the answer goes into `x-csrf-token` of every request "
    "that changes something.",
    responses={
        **documented(408, 413, 415, 429),
        200: ResponseSpec(data_container=MeResource, generate_examples=False, description="Signed in"),
    },
    security=[],
)
async def sign_in(
    request: Asking,
    anybody: AnyContext,
    attempts: AnyAttempts,
    settings: AnySettings,
    data: JSONBody[SignInBody],
) -> Response[MeResource]:
    if not same_origin(request.scope):
        raise Refused(HTTPStatus.FORBIDDEN, "a page of another origin can't sign anybody in")
    try:
        user, secret = await sign_ins.sign_in(anybody, attempts, data.name, data.password, address_of(request))
    except NotSignedIn as error:
        if error.why is not WhyNot.TOO_MANY:
            await note_attempt(anybody, request, data.name, None, STATUSES[error.why])
        raise refusal(error) from None
    await note_attempt(anybody, request, user.name, user, HTTPStatus.OK)
    caller = Caller(
        msgspec.structs.replace(anybody, organisation_id=user.organisation_id),
        SCOPES[user.role],
        user.id,
        _always,
        kind=ActorKind.USER,
        title=user.name,
        user=user,
        secret=secret,
        location_ids=user.location_ids,
    )
    cookie = sign_in_cookie(settings, secret, anybody.settings.people.sign_in_s)
    return Response(await _show(caller), cookies=[cookie], headers={"cache-control": "no-store"})


@post(
    "/sign-out",
    status_code=204,
    summary="Sign out",
    responses={**documented(), 204: ResponseSpec(data_container=None, description="Signed out")},
    opt={"scope": ApiScope.READ},
)
async def sign_out(request: Asking, anybody: AnyContext, settings: AnySettings) -> Response[None]:
    caller: Caller = request.scope["auth"]
    if caller.secret is not None:
        await sign_ins.sign_out(anybody, caller.secret)
    return Response(None, status_code=204, cookies=[sign_in_cookie(settings, "", 0)])


@get("/", summary="Who asks, and what they may", responses=documented())
async def get_me(request: Asking) -> Response[MeResource]:
    return Response(await _show(request.scope["auth"]), headers={"cache-control": "no-store"})


@put(
    "/password",
    status_code=204,
    summary="Set another password for oneself; ends one's other sign-ins",
    responses=documented(408, 409, 413, 415, 429),
    opt={"scope": ApiScope.READ},
)
async def change_password(
    request: Asking, anybody: AnyContext, attempts: AnyAttempts, data: JSONBody[PasswordBody]
) -> None:
    caller: Caller = request.scope["auth"]
    if caller.user is None or not caller.user.has_password:
        raise Refused(HTTPStatus.CONFLICT, "whoever asks has no password here")
    now_s, name, address = anybody.clock.now().protocol_s, caller.user.name, address_of(request)
    if attempts.refused(name, address, now_s):
        raise refusal(NotSignedIn(WhyNot.TOO_MANY))
    attempts.begin(name, address, now_s)
    await sign_ins.change_password(caller.context, caller.user, data.current_password, data.new_password, caller.secret)
    attempts.succeeded(name, address)


async def _always() -> bool:
    return True


me_router = Router("/me", route_handlers=[get_me, change_password])
handlers: Final[list[HTTPRouteHandler | Router]] = [ways_in, sign_in, sign_out, me_router]
