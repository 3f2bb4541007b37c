"""Signing in at an identity provider: OpenID Connect Core 1.0, code flow with PKCE (RFC 7636).

Guarantees
* An ID token counts when its signature is right by a key of the provider, by an algorithm with two keys; and issuer,
  audience, authorised party, times and nonce are what they must be (§3.1.3.7). `none` and shared keys are never taken.
* The code goes with the verifier of the browser that began; state and issuer of the answer are checked (RFC 9207).
* The provider's description and keys are kept for a while; keys it has added are fetched when one is missing, not more
  often than every `_KEYS_AGAIN_S`.
"""

import secrets
import time
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from forecourt.csms.people_records import Role
from forecourt.csms.sign_ins import Vouched
from forecourt.net.oidc_settings import OidcSettings

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
_DESCRIPTION_S: Final = 3_600.0
_KEYS_AGAIN_S: Final = 30.0
_LEEWAY_S: Final = 60
_HIGHEST_FIRST: Final = (Role.ADMIN, Role.OPERATOR, Role.VIEWER)


T = TypeVar("T")


class OidcFailed(Exception):  # noqa: N818
    """Nobody is signed in; the sentence is for the log."""


class Begun(msgspec.Struct, frozen=True):
    """What a browser keeps until it comes back."""

    state: str
    nonce: str
    verifier: str


class _Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Its discovery document, as far as it matters."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a code is exchanged for."""

    id_token: str
    access_token: str | None = None


class OidcClient:
    """One identity provider."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._provider: tuple[float, _Provider] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def begin(self, redirect_uri: str) -> tuple[str, Begun]:
        """Where to send the browser, and what it keeps. Raises OidcFailed."""
        async with self._http() as http:
            provider = await self._described(http)
        begun = Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": create_s256_code_challenge(begun.verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(provider.authorization_endpoint).query else "?"
        return f"{provider.authorization_endpoint}{joint}{urlencode(query)}", begun

    async def finish(self, begun: Begun, answer: dict[str, str], redirect_uri: str) -> Vouched:
        """Who it is that has come back with `answer`. Raises OidcFailed."""
        if not secrets.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise OidcFailed("the state is another one than was sent")
        if "error" in answer:
            raise OidcFailed(f"the provider refused: {answer['error']}")
        async with self._http() as http:
            provider = await self._described(http)
            if answer.get("iss", provider.issuer) != provider.issuer:
                raise OidcFailed("the answer is from another issuer")
            tokens = await self._exchanged(http, provider, answer.get("code", ""), begun, redirect_uri)
            claims = await self._verified(http, provider, tokens.id_token, begun.nonce)
            if self._role_of(claims) is None and provider.userinfo_endpoint is not None and tokens.access_token:
                claims = {**await self._told(http, provider.userinfo_endpoint, tokens.access_token, claims), **claims}
        return self._vouched(claims)

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=self._settings.timeout_s, follow_redirects=False)

    async def _described(self, http: httpx.AsyncClient) -> _Provider:
        now_s = time.monotonic()
        if self._provider is None or now_s - self._provider[0] > _DESCRIPTION_S:
            issuer = self._settings.issuer
            body = await _fetched(http.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
            provider = _decoded(body, _Provider)
            if provider.issuer != issuer:
                raise OidcFailed(f"the provider calls itself {provider.issuer}, and not {issuer}")
            self._provider = (now_s, provider)
        return self._provider[1]

    async def _exchanged(
        self, http: httpx.AsyncClient, provider: _Provider, code: str, begun: Begun, redirect_uri: str
    ) -> _Tokens:
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": begun.verifier,
            "client_id": settings.client_id,
        }
        auth: Any = httpx.USE_CLIENT_DEFAULT
        if settings.client_secret is not None:
            if "client_secret_basic" in provider.token_endpoint_auth_methods_supported:
                auth = httpx.BasicAuth(settings.client_id, settings.client_secret)
            else:
                form["client_secret"] = settings.client_secret
        request = http.post(provider.token_endpoint, data=form, auth=auth)
        return _decoded(await _fetched(request), _Tokens)

    async def _verified(self, http: httpx.AsyncClient, provider: _Provider, text: str, nonce: str) -> dict[str, Any]:
        client_id = self._settings.client_id
        try:
            try:
                token = jwt.decode(text, await self._key_set(http, provider), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                token = jwt.decode(text, await self._key_set(http, provider, again=True), algorithms=ALGORITHMS)
            rules = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": provider.issuer},
                sub={"essential": True},
                aud={"essential": True, "value": client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            rules.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise OidcFailed(f"the ID token can't be trusted: {error}") from error
        claims: dict[str, Any] = token.claims
        if claims.get("azp", client_id) != client_id or (
            isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        ):
            raise OidcFailed("the ID token was made for somebody else")
        return claims

    async def _key_set(self, http: httpx.AsyncClient, provider: _Provider, *, again: bool = False) -> KeySet:
        now_s = time.monotonic()
        stale = self._keys is None or (again and now_s - self._keys[0] > _KEYS_AGAIN_S)
        if stale or self._keys is None:
            body = await _fetched(http.get(provider.jwks_uri))
            try:
                self._keys = (now_s, KeySet.import_key_set(msgspec.json.decode(body)))
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise OidcFailed(f"the provider's keys can't be read: {error}") from error
        return self._keys[1]

    @staticmethod
    async def _told(
        http: httpx.AsyncClient, endpoint: str, access_token: str, claims: dict[str, Any]
    ) -> dict[str, Any]:
        told = _decoded(
            await _fetched(http.get(endpoint, headers={"authorization": f"Bearer {access_token}"})), dict[str, Any]
        )
        if told.get("sub") != claims["sub"]:
            raise OidcFailed("the provider tells of somebody else")
        return told

    def _role_of(self, claims: dict[str, Any]) -> Role | None:
        found: Any = claims
        for part in self._settings.role_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        values = found if isinstance(found, list) else [found]
        texts = [value for value in values if isinstance(value, str)]
        granted = {self._settings.roles[text] for text in texts if text in self._settings.roles}
        return next((role for role in _HIGHEST_FIRST if role in granted), None)

    def _vouched(self, claims: dict[str, Any]) -> Vouched:
        names = (claims.get(self._settings.name_claim), claims.get("email"), claims["sub"])
        name = next(text for text in names if isinstance(text, str) and text)
        full_name = claims.get("name")
        return Vouched(
            subject=f"{claims['iss']} {claims['sub']}",
            name=name[:200],
            full_name=full_name[:255] if isinstance(full_name, str) and full_name else None,
            role=self._role_of(claims),
        )


async def _fetched(request: Any) -> bytes:
    try:
        response: httpx.Response = await request
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OidcFailed(f"the provider can't be reached: {type(error).__name__}: {error}") from error
    if response.status_code != 200:
        raise OidcFailed(f"the provider answers {response.status_code} at {response.url.path}")
    return response.content


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise OidcFailed(f"the provider's answer can't be read: {error}") from error
