"""People: signing in and out, roles, passwords for one use, organisations; and what a cookie alone can't do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import websockets

from forecourt.api.settings import ApiSettings
from forecourt.csms import people
from forecourt.csms.people import UserFields
from forecourt.csms.people_records import Role
from forecourt.csms.people_settings import PeopleSettings
from tests.api.houses import OPEN, PATIENCE_S, House, house

LONG = "correct horse battery staple"


class Browser:
    """Keeps its cookie, and shows the token that goes with it."""

    def __init__(self, house: House, client: httpx.AsyncClient) -> None:
        self.house = house
        self.client = client

    async def ask(self, method: str, path: str, status: int, **options: Any) -> Any:
        response = await self.client.request(method, f"/api/v1{path}", **options)
        assert response.status_code == status, (response.status_code, response.text)
        return response.json() if response.content else None

    async def sign_in(self, name: str, password: str, status: int = 200) -> Any:
        me = await self.ask("POST", "/sign-in", status, json={"name": name, "password": password})
        if status == 200:
            self.client.headers["x-csrf-token"] = me["csrf_token"]
        return me


@asynccontextmanager
async def browser(house: House) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(base_url=house.url, timeout=PATIENCE_S) as client:
        yield Browser(house, client)


async def enter(house: House, name: str, role: Role, **fields: Any) -> str:
    """A user with a password of their own; gives its id."""
    made = await house.ask("POST", "/users", 201, json={"name": name, "role": role, **fields})
    async with browser(house) as first:
        await first.sign_in(name, made["one_time_password"])
        body = {"current_password": made["one_time_password"], "new_password": LONG}
        await first.ask("PUT", "/me/password", 204, json=body)
    return str(made["id"])


async def test_signing_in_and_out(house: House) -> None:
    user_id = await enter(house, "Ada", Role.OPERATOR)
    async with browser(house) as ada:
        await ada.ask("GET", "/stations", 401)
        await ada.sign_in("ada", "something else", 401)
        await ada.sign_in("nobody", LONG, 401)
        me = await ada.sign_in("ada", LONG)
        cookie = ada.client.cookies.jar
        assert [(c.name, c.path, c.has_nonstandard_attr("HttpOnly")) for c in cookie] == [("forecourt", "/", True)]
        assert (me["kind"], me["id"], me["name"], me["role"]) == ("user", user_id, "Ada", "operator")
        assert me["scopes"] == ["read", "write"]
        assert me["organisation"]["id"] == 1
        assert await ada.ask("GET", "/me", 200) == me
        await ada.ask("PUT", "/tokens/T", 200, json={})
        secret = ada.client.cookies["forecourt"]
        await ada.ask("POST", "/sign-out", 204)
        assert "forecourt" not in ada.client.cookies
        ada.client.cookies["forecourt"] = secret
        await ada.ask("GET", "/stations", 401)


async def test_a_cookie_alone_changes_nothing(house: House) -> None:
    await enter(house, "Ada", Role.ADMIN)
    async with browser(house) as ada:
        await ada.sign_in("ada", LONG)
        token = ada.client.headers.pop("x-csrf-token")
        await ada.ask("PUT", "/tokens/T", 403, json={})
        await ada.ask("PUT", "/tokens/T", 403, json={}, headers={"x-csrf-token": "0" * 64})
        right = {"x-csrf-token": token}
        for foreign in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            await ada.ask("PUT", "/tokens/T", 403, json={}, headers={**right, **foreign})
        await ada.ask("PUT", "/tokens/T", 200, json={}, headers={**right, "origin": house.url})
        async with browser(house) as another:
            body = {"name": "ada", "password": LONG}
            await another.ask("POST", "/sign-in", 403, json=body, headers={"origin": "https://evil.example"})


async def test_a_websocket_by_cookie_comes_from_a_page_of_this_origin(house: House) -> None:
    await enter(house, "Ada", Role.VIEWER)
    async with browser(house) as ada:
        await ada.sign_in("ada", LONG)
        cookie = {"cookie": f"forecourt={ada.client.cookies['forecourt']}"}
    url = f"ws://127.0.0.1:{house.api.port}/api/v1/events"
    async with websockets.connect(url, additional_headers=cookie, origin=websockets.Origin(house.url)):
        pass
    for origin in (None, websockets.Origin("https://evil.example")):
        with pytest.raises(websockets.InvalidStatus, match="403"):
            async with websockets.connect(url, additional_headers=cookie, origin=origin):
                pass


async def test_a_password_for_one_use_leads_to_a_new_one_only(house: House) -> None:
    made = await house.ask("POST", "/users", 201, json={"name": "ada", "role": "admin"})
    once = made["one_time_password"]
    assert once not in str(await house.get("/users"))
    async with browser(house) as ada:
        me = await ada.sign_in("ada", once)
        assert me["must_change_password"]
        await ada.ask("GET", "/stations", 403)
        for new, status in (("short", 422), (once, 422), (LONG, 204)):
            body = {"current_password": once, "new_password": new}
            await ada.ask("PUT", "/me/password", status, json=body)
        await ada.ask("GET", "/stations", 200)
        await ada.sign_in("ada", once, 401)
        await ada.sign_in("ada", LONG)
        again = await house.ask("POST", f"/users/{made['id']}/one-time-password", 200)
        await ada.ask("GET", "/me", 401)
        await ada.sign_in("ada", LONG, 401)
        await ada.sign_in("ada", again["one_time_password"])


async def test_a_password_for_one_use_runs_out(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, people=PeopleSettings(one_time_password_s=0.001))
    async with house(tmp_path, csms_settings=settings) as made, browser(made) as ada:
        _, once = await people.create_user(made.context, UserFields(name="ada"))
        await ada.sign_in("ada", once, 401)


async def test_a_new_password_ends_the_other_sign_ins(house: House) -> None:
    await enter(house, "ada", Role.VIEWER)
    async with browser(house) as here, browser(house) as there:
        await here.sign_in("ada", LONG)
        await there.sign_in("ada", LONG)
        body = {"current_password": LONG, "new_password": LONG + "!"}
        await here.ask("PUT", "/me/password", 422, json={**body, "current_password": "wrong, certainly"})
        await here.ask("PUT", "/me/password", 204, json=body)
        await here.ask("GET", "/me", 200)
        await there.ask("GET", "/me", 401)


async def test_roles_are_enforced(house: House) -> None:
    for role in Role:
        await enter(house, role, role)
    for role in Role:
        async with browser(house) as person:
            await person.sign_in(role, LONG)
            writes, administers = role is not Role.VIEWER, role is Role.ADMIN
            await person.ask("GET", "/stations", 200)
            await person.ask("PUT", "/tokens/T", 200 if writes else 403, json={})
            await person.ask("POST", "/commands/RESET", 404 if writes else 403, json={"station_id": "none"})
            for path in ("/users", "/api-keys", "/organisations"):
                await person.ask("GET", path, 200 if administers else 403)
            await person.ask("PUT", "/me/password", 422, json={"current_password": LONG, "new_password": "x"})
            await person.ask("POST", "/sign-out", 204)


async def test_who_loses_a_role_or_is_disabled_is_signed_out(house: House) -> None:
    user_id = await enter(house, "ada", Role.ADMIN)
    await enter(house, "bob", Role.ADMIN)
    async with browser(house) as ada:
        for change in ({"role": "viewer"}, {"disabled": True}):
            await ada.sign_in("ada", LONG)
            await house.ask("PATCH", f"/users/{user_id}", 200, json=change)
            await ada.ask("GET", "/me", 401)
        await ada.sign_in("ada", LONG, 401)
        await house.ask("PATCH", f"/users/{user_id}", 200, json={"disabled": False})
        await ada.sign_in("ada", LONG)
        await house.ask("DELETE", f"/users/{user_id}", 204)
        await ada.ask("GET", "/me", 401)
    await house.get(f"/users/{user_id}", 404)


async def test_the_last_administrator_stays(house: House) -> None:
    user_id = await enter(house, "ada", Role.ADMIN)
    for change in ({"role": "operator"}, {"disabled": True}):
        await house.ask("PATCH", f"/users/{user_id}", 409, json=change)
    await house.ask("DELETE", f"/users/{user_id}", 409)
    await enter(house, "bob", Role.ADMIN)
    await house.ask("DELETE", f"/users/{user_id}", 204)


async def test_users_are_entered_and_changed(house: House) -> None:
    made = await house.ask("POST", "/users", 201, json={"name": "ada", "full_name": "Ada L.", "role": "viewer"})
    del made["one_time_password"]
    assert await house.get(f"/users/{made['id']}") == made
    await house.ask("POST", "/users", 409, json={"name": "ADA"})
    await house.ask("POST", "/users", 422, json={"name": " ada"})
    await house.ask("POST", "/users", 422, json={"name": "bob", "location_ids": [7]})
    for name in ("cid", "bob"):
        await house.ask("POST", "/users", 201, json={"name": name})
    first = await house.get("/users?limit=2")
    assert [user["name"] for user in first["items"]] == ["ada", "bob"]
    rest = await house.get("/users", params={"cursor": first["next_cursor"]})
    assert [user["name"] for user in rest["items"]] == ["cid"]
    changed = await house.ask("PATCH", f"/users/{made['id']}", 200, json={"full_name": None, "name": "Ada"})
    assert (changed["full_name"], changed["name"], changed["role"]) == (None, "Ada", "viewer")
    await house.ask("PATCH", f"/users/{made['id']}", 409, json={"name": "bob"})


async def test_too_many_failures_are_not_looked_at(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, people=PeopleSettings(failed_sign_ins_per_name=2))
    async with house(tmp_path, csms_settings=settings) as made, browser(made) as ada:
        await enter(made, "ada", Role.VIEWER)
        await enter(made, "bob", Role.VIEWER)
        for status in (401, 401, 429):
            await ada.sign_in("ada", "wrong, certainly", status)
        await ada.sign_in("ada", LONG, 429)
        await ada.sign_in("bob", LONG)


async def test_a_sign_in_that_is_not_used_ends(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, people=PeopleSettings(sign_in_idle_s=0.001))
    async with house(tmp_path, csms_settings=settings) as made, browser(made) as ada:
        _, once = await people.create_user(made.context, UserFields(name="ada"))
        await ada.sign_in("ada", once)
        await ada.ask("GET", "/me", 401)


async def test_over_tls_the_cookie_is_for_tls_only(tmp_path: Path) -> None:
    settings = ApiSettings(public_url="https://csms.example")
    async with house(tmp_path, api_settings=settings) as made, browser(made) as ada:
        _, once = await people.create_user(made.context, UserFields(name="ada"))
        response = await ada.client.post("/api/v1/sign-in", json={"name": "ada", "password": once})
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-forecourt=")
        for part in ("HttpOnly", "Path=/", "SameSite=strict", "Secure"):
            assert part in cookie
        assert "Domain" not in cookie


async def test_ways_in(house: House) -> None:
    ways = await house.get("/sign-in", headers={"authorization": ""})
    assert ways == {"password": True, "open_access": False, "oidc_url": None, "oidc_label": None}
    me = await house.get("/me")
    assert (me["kind"], me["scopes"], me["csrf_token"]) == ("key", ["read", "write", "admin"], None)
    await house.ask("PUT", "/me/password", 409, json={"current_password": "x", "new_password": LONG})


async def test_organisations(house: House) -> None:
    made = await house.ask("POST", "/organisations", 201, json={"name": "Other", "administrator": "boss"})
    async with browser(house) as boss:
        await boss.sign_in("boss", made["one_time_password"])
        await boss.ask(
            "PUT",
            "/me/password",
            204,
            json={"current_password": made["one_time_password"], "new_password": LONG},
        )
        me = await boss.ask("GET", "/me", 200)
        assert me["organisation"] == {"id": made["id"], "name": "Other"}
        assert [one["name"] for one in (await boss.ask("GET", "/organisations", 200))["items"]] == ["Other"]
        assert [one["name"] for one in (await boss.ask("GET", "/users", 200))["items"]] == ["boss"]
        await boss.ask("POST", "/organisations", 403, json={"name": "Third", "administrator": "b"})
        await boss.ask("PATCH", "/organisations/1", 404, json={"name": "Mine"})
        await boss.ask("PATCH", f"/organisations/{made['id']}", 200, json={"name": "Ours"})
    assert len((await house.get("/organisations"))["items"]) == 2
