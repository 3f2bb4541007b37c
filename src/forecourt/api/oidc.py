"""`/sign-in/oidc`: signing in at an identity provider, and coming back from there.

Guarantees
* What a browser has to keep meanwhile is in a cookie of its own, for ten minutes and for these paths; without it nobody
  comes back. It is SameSite=Lax, as the provider's page is another site; the sign-in's own cookie stays Strict.
* Every way back ends at the console: with a sign-in, or with a reason in `sign_in_error`. The rest is in the log.
"""

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation

from forecourt.api.authentication import SIGN_IN
from forecourt.api.problems import Refused, documented
from forecourt.api.settings import ApiSettings
from forecourt.api.sign_in import AnyContext, AnySettings, Asking, address_of, note_attempt, sign_in_cookie
from forecourt.csms import sign_ins
from forecourt.csms.sign_ins import NotSignedIn
from forecourt.net.oidc import Begun, OidcClient, OidcFailed

log = logging.getLogger("forecourt.security")

AnyProvider = NamedDependency[SkipValidation[OidcClient | None]]
COOKIE: Final = "forecourt-oidc"
_PATH: Final = SIGN_IN
_KEPT_S: Final = 600
_ELSEWHERE: Final = {
    302: ResponseSpec(data_container=None, generate_examples=False, description="On to the identity provider"),
    **documented(404, 502),
}
_BACK: Final = {
    303: ResponseSpec(data_container=None, generate_examples=False, description="On to the console"),
    **documented(404),
}


@get(
    SIGN_IN.removeprefix("/api/v1") + "/oidc",
    status_code=302,
    summary="Sign in at the identity provider: for browsers",
    responses=_ELSEWHERE,
    security=[],
)
async def begin_oidc(settings: AnySettings, provider: AnyProvider) -> Response[None]:
    client = _there(provider)
    try:
        url, begun = await client.begin(_back(settings))
    except OidcFailed as error:
        log.warning("nobody can sign in at the identity provider: %s", error)
        raise Refused(HTTPStatus.BAD_GATEWAY, "the identity provider can't be reached; the log has more") from None
    text = ".".join(msgspec.structs.astuple(begun))
    headers = {"location": url, "cache-control": "no-store"}
    return Response(None, status_code=302, headers=headers, cookies=[_cookie(settings, text, _KEPT_S)])


@get(
    SIGN_IN.removeprefix("/api/v1") + "/oidc/callback",
    status_code=303,
    summary="Where the identity provider sends browsers back to",
    responses=_BACK,
    security=[],
    opt={"any_parameter": True},
)
async def finish_oidc(
    request: Asking, anybody: AnyContext, settings: AnySettings, provider: AnyProvider
) -> Response[None]:
    client = _there(provider)
    assert settings.oidc is not None
    cookies = [_cookie(settings, "", 0)]
    answer = {name: str(value) for name, value in request.query_params.items()}
    context = msgspec.structs.replace(anybody, organisation_id=settings.oidc.organisation_id)
    try:
        vouched = await client.finish(_begun(request), answer, _back(settings))
    except OidcFailed as error:
        log.warning("a sign-in at the identity provider failed: %s", error)
        return _to_console(settings, "failed", cookies)
    try:
        user, secret = await sign_ins.vouched_for(context, vouched, address_of(request))
    except NotSignedIn as error:
        await note_attempt(context, request, vouched.name, None, HTTPStatus.FORBIDDEN)
        return _to_console(settings, str(error.why), cookies)
    await note_attempt(context, request, user.name, user, HTTPStatus.OK)
    cookies.append(sign_in_cookie(settings, secret, anybody.settings.people.sign_in_s))
    return _to_console(settings, None, cookies)


def _begun(request: Asking) -> Begun:
    kept = (request.cookies.get(COOKIE) or "").split(".")
    if len(kept) != len(Begun.__struct_fields__):
        raise OidcFailed("the browser didn't begin here, or too long ago")
    return Begun(*kept)


def _there(provider: OidcClient | None) -> OidcClient:
    if provider is None:
        raise Refused(HTTPStatus.NOT_FOUND, "no identity provider is configured (api.oidc)")
    return provider


def _back(settings: ApiSettings) -> str:
    """Where the provider sends people back to: what has to be registered there."""
    return f"{(settings.public_url or '').rstrip('/')}{SIGN_IN}/oidc/callback"


def _to_console(settings: ApiSettings, why_not: str | None, cookies: list[Cookie]) -> Response[Any]:
    console = f"{(settings.public_url or '').rstrip('/')}/"
    url = console if why_not is None else f"{console}?sign_in_error={why_not}"
    return Response(None, status_code=303, headers={"location": url, "cache-control": "no-store"}, cookies=cookies)


def _cookie(settings: ApiSettings, text: str, seconds: int) -> Cookie:
    return Cookie(
        key=COOKIE,
        value=text,
        path=_PATH,
        max_age=seconds,
        httponly=True,
        secure=settings.over_tls,
        samesite="lax",
    )


handlers = [begin_oidc, finish_oidc]
