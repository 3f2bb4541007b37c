"""An identity provider of a few pages over real HTTP, with real keys: OpenID Connect discovery, code flow, PKCE."""

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from litestar import Litestar, Request, Response, get, post

from forecourt.api.embedded import EmbeddedServer
from forecourt.api.settings import ApiSettings

CLIENT, SECRET = "forecourt", "a secret of the client"


class Provider:
    """Who signs in is `claims`; what is wrong with it is up to the test."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys: list[Any] = [ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256"}, private=True)]
        self.algorithm = "ES256"
        self.signing: Any = self.keys[0]
        self.claims: dict[str, Any] = {"sub": "42", "preferred_username": "ada", "name": "Ada L.", "groups": ["ops"]}
        self.userinfo: dict[str, Any] = {}
        self.wrong: dict[str, Any] = {}
        """Put over the claims that would be right."""
        self.asked: dict[str, dict[str, str]] = {}
        """By code, what the browser came with."""

    def rotate(self) -> None:
        """Another key, and only that."""
        key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "alg": "RS256"}, private=True)
        self.keys, self.signing, self.algorithm = [key], key, "RS256"

    def application(self) -> Litestar:
        @get("/.well-known/openid-configuration")
        async def described() -> dict[str, Any]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
            }

        @get("/keys")
        async def keys() -> dict[str, Any]:
            return dict(KeySet(self.keys).as_dict(private=False))

        @get("/authorize")
        async def authorize(request: Request[Any, Any, Any]) -> Response[None]:
            asked = {name: str(value) for name, value in request.query_params.items()}
            assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
            assert asked["code_challenge_method"] == "S256"
            code = secrets.token_urlsafe(16)
            self.asked[code] = asked
            answer = urlencode({"code": code, "state": asked["state"], "iss": self.issuer, "session_state": "x"})
            return Response(None, status_code=302, headers={"location": f"{asked['redirect_uri']}?{answer}"})

        @post("/token", status_code=200)
        async def token(request: Request[Any, Any, Any]) -> Response[Any]:
            form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            asked = self.asked.pop(form["code"], None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
            if (
                request.headers.get("authorization") != f"Basic {basic}"
                or asked is None
                or asked["code_challenge"] != challenge.decode()
                or asked["redirect_uri"] != form["redirect_uri"]
            ):
                return Response({"error": "invalid_grant"}, status_code=400)
            now = int(time.time())
            times = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
            header = {"alg": self.algorithm, "kid": self.signing.kid}
            text = jwt.encode(header, {**times, **self.claims, **self.wrong}, self.signing, algorithms=[self.algorithm])
            return Response({"id_token": text, "access_token": "access", "token_type": "Bearer"})

        @get("/userinfo")
        async def userinfo(request: Request[Any, Any, Any]) -> dict[str, Any]:
            assert request.headers["authorization"] == "Bearer access"
            return self.userinfo

        return Litestar([described, keys, authorize, token, userinfo], openapi_config=None)

    def sign_with_a_shared_key(self) -> None:
        """As an attacker would who knows the client's secret, or nothing but the public key."""
        self.signing, self.algorithm = OctKey.import_key("0" * 64, {"kid": "one"}), "HS256"


@asynccontextmanager
async def identity_provider() -> AsyncIterator[Provider]:
    """One that runs."""
    provider = Provider()
    server = EmbeddedServer(provider.application(), ApiSettings(port=0))
    await server.start()
    provider.issuer = f"http://127.0.0.1:{server.port}"
    try:
        yield provider
    finally:
        await server.stop()
