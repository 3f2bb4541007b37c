"""Signing in at an identity provider: a real one over HTTP, with real signatures; and all that must not get in."""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from forecourt.api.settings import ApiSettings
from forecourt.csms.people_records import Role
from forecourt.net.oidc_settings import OidcSettings
from tests.api.houses import PATIENCE_S, House, house
from tests.api.identity_provider import CLIENT, SECRET, Provider, identity_provider
from tests.api.test_api_people import Browser, enter

ROLES = {"admins": Role.ADMIN, "ops": Role.OPERATOR, "all": Role.VIEWER}


@asynccontextmanager
async def together(tmp_path: Path, **changed: Any) -> AsyncIterator[tuple[House, Provider, Browser]]:
    async with identity_provider() as provider:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        oidc = OidcSettings(issuer=provider.issuer, client_id=CLIENT, client_secret=SECRET, roles=ROLES)
        settings = ApiSettings(
            public_url=f"http://127.0.0.1:{port}", oidc=msgspec.structs.replace(oidc, **changed), port=port
        )
        async with (
            house(tmp_path, api_settings=settings) as made,
            httpx.AsyncClient(base_url=made.url, timeout=PATIENCE_S) as client,
        ):
            yield made, provider, Browser(made, client)


async def go(browser: Browser, **tampered: str) -> str:
    """Through the provider and back; gives where it ends."""
    begun = await browser.client.get("/api/v1/sign-in/oidc")
    assert begun.status_code == 302, begun.text
    there = await browser.client.get(begun.headers["location"])
    url = httpx.URL(there.headers["location"])
    own = httpx.URL(browser.client.base_url)
    url = url.copy_with(port=own.port).copy_merge_params(tampered)
    back = await browser.client.get(url)
    assert back.status_code == 303, back.text
    return str(back.headers["location"])


def reason(location: str) -> str | None:
    return parse_qs(urlsplit(location).query).get("sign_in_error", [None])[0]


async def test_signing_in_at_the_provider(tmp_path: Path) -> None:
    async with together(tmp_path) as (made, provider, browser):
        ways = await browser.ask("GET", "/sign-in", 200)
        assert (ways["oidc_url"], ways["oidc_label"]) == ("/api/v1/sign-in/oidc", "Single sign-on")
        assert reason(await go(browser)) is None
        me = await browser.ask("GET", "/me", 200)
        assert (me["name"], me["full_name"], me["role"], me["has_password"]) == ("ada", "Ada L.", "operator", False)
        browser.client.headers["x-csrf-token"] = me["csrf_token"]
        await browser.ask("PUT", "/tokens/T", 200, json={})
        await browser.ask("GET", "/users", 403)
        (user,) = (await made.get("/users"))["items"]
        assert user["subject"] == f"{provider.issuer} 42"
        await made.ask("POST", f"/users/{user['id']}/one-time-password", 409)
        provider.claims |= {"groups": ["all", "admins"], "name": "Ada Lovelace"}
        await go(browser)
        me = await browser.ask("GET", "/me", 200)
        assert (me["id"], me["full_name"], me["role"]) == (user["id"], "Ada Lovelace", "admin")
        entries = (await made.get("/audit", params={"operation": "sign_in"}))["items"]
        assert [(one["actor_name"], one["status"]) for one in entries] == [("ada", 200), ("ada", 200)]


async def test_a_new_key_of_the_provider_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecourt.net.oidc._KEYS_AGAIN_S", -1.0)
    async with together(tmp_path) as (_, provider, browser):
        assert reason(await go(browser)) is None
        provider.rotate()
        assert reason(await go(browser)) is None


async def test_roles_may_be_nested_or_told_by_userinfo(tmp_path: Path) -> None:
    async with together(tmp_path, role_claim="realm.roles") as (_, provider, browser):
        provider.claims |= {"realm": {"roles": ["all"]}}
        await go(browser)
        assert (await browser.ask("GET", "/me", 200))["role"] == "viewer"
        del provider.claims["realm"]
        provider.userinfo = {"sub": "42", "realm": {"roles": "ops"}}
        await go(browser)
        assert (await browser.ask("GET", "/me", 200))["role"] == "operator"
        provider.userinfo["sub"] = "43"
        assert reason(await go(browser)) == "failed"


async def test_who_has_no_role_is_not_let_in(tmp_path: Path) -> None:
    async with together(tmp_path) as (made, provider, browser):
        for groups in ([], ["strangers"], None, {"a": 1}):
            provider.claims["groups"] = groups
            provider.userinfo = {"sub": "42"}
            assert reason(await go(browser)) == "no_role"
        await browser.ask("GET", "/me", 401)
        assert (await made.get("/users"))["items"] == []


async def test_a_name_that_is_taken_here_is_not_taken_over(tmp_path: Path) -> None:
    async with together(tmp_path) as (made, _, browser):
        user_id = await enter(made, "ada", Role.ADMIN)
        await go(browser)
        me = await browser.ask("GET", "/me", 200)
        assert me["id"] != user_id
        assert me["name"].startswith("ada (")
        await made.ask("PATCH", f"/users/{me['id']}", 200, json={"disabled": True})
        assert reason(await go(browser)) == "wrong"
        await browser.ask("GET", "/me", 401)


async def test_an_id_token_that_is_not_right_lets_nobody_in(tmp_path: Path) -> None:
    async with together(tmp_path) as (_, provider, browser):
        for wrong in (
            {"iss": "https://evil.example"},
            {"aud": "another client"},
            {"aud": [CLIENT, "another"]},
            {"azp": "another client"},
            {"exp": 1},
            {"iat": 4_000_000_000},
            {"nonce": "another"},
            {"nonce": None},
            {"sub": None},
        ):
            provider.wrong = wrong
            assert reason(await go(browser)) == "failed", wrong
        await browser.ask("GET", "/me", 401)
        provider.wrong = {}
        assert reason(await go(browser)) is None


async def test_a_signature_by_another_key_lets_nobody_in(tmp_path: Path) -> None:
    async with together(tmp_path) as (_, provider, browser):
        right = provider.keys
        provider.rotate()
        provider.keys = right
        assert reason(await go(browser)) == "failed"
        provider.sign_with_a_shared_key()
        assert reason(await go(browser)) == "failed"


async def test_who_did_not_begin_here_does_not_come_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with together(tmp_path) as (_, __, browser):
        for tampered in ({"state": "x"}, {"iss": "https://evil.example"}, {"code": "x"}, {"error": "access_denied"}):
            with caplog.at_level(logging.WARNING, "forecourt.security"):
                assert reason(await go(browser, **tampered)) == "failed", tampered
        browser.client.cookies.clear()
        back = await browser.client.get("/api/v1/sign-in/oidc/callback", params={"code": "c", "state": "s"})
        assert reason(back.headers["location"]) == "failed"
    assert SECRET not in caplog.text


async def test_a_provider_that_is_not_there_is_said(tmp_path: Path) -> None:
    oidc = OidcSettings(issuer="http://127.0.0.1:9", client_id=CLIENT, roles=ROLES)
    settings = ApiSettings(public_url="http://127.0.0.1", oidc=oidc)
    async with house(tmp_path, api_settings=settings) as made:
        assert "log has more" in (await made.get("/sign-in/oidc", 502))["detail"]
    async with house(tmp_path) as made:
        await made.get("/sign-in/oidc", 404)
        await made.get("/sign-in/oidc/callback", 404)


def test_settings_that_cannot_be_name_their_field() -> None:
    right = {"issuer": "https://id.example", "client_id": "c", "roles": {"a": "admin"}}
    msgspec.convert(right, OidcSettings)
    for field, value in (
        ("issuer", "http://id.example"),
        ("issuer", "https://id.example/?x"),
        ("scopes", ["profile"]),
        ("roles", {}),
        ("timeout_s", 0),
    ):
        with pytest.raises(msgspec.ValidationError, match=field):
            msgspec.convert({**right, field: value}, OidcSettings)
    with pytest.raises(ValueError, match="public_url"):
        ApiSettings(oidc=msgspec.convert(right, OidcSettings))
