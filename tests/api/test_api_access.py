"""Who may ask what: keys, scopes, organisations, open access on one machine."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.api.authentication import DRIVER
from forecourt.api.authentication import OPEN as WITHOUT_KEY
from forecourt.api.settings import ApiSettings
from forecourt.csms import access
from tests.api.houses import House, house

NOBODY = {"authorization": ""}


def operations(description: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and path of everything that is described, with something in place of the parameters."""
    return [
        (method.upper(), path.replace("{number}", "1").replace("_id}", "}").replace("{", "").replace("}", ""))
        for path, methods in description["paths"].items()
        for method in methods
    ]


async def test_nothing_but_the_listed_set_answers_without_a_key(house: House) -> None:
    description = await house.get("/openapi.json")
    asked = operations(description)
    assert len(asked) > 40
    for method, path in asked:
        response = await house.client.request(method, path, headers=NOBODY)
        if path in WITHOUT_KEY:
            assert response.status_code in ({200} if path in {"/healthz", "/readyz"} else {200, 400, 404}), path
        elif path.startswith(DRIVER):  # a station's code is asked for instead, and there is no secret to make one with
            assert response.status_code in {400, 404}, path
        elif response.status_code != 404:  # a made-up value isn't of the path's type
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.json()["title"] == "Unauthorized"
    assert {path for _, path in asked if path in WITHOUT_KEY} == {
        "/healthz",
        "/readyz",
        "/api/v1/sign-in",
        "/api/v1/sign-in/oidc",
        "/api/v1/sign-in/oidc/callback",
    }


async def test_what_is_no_key_is_refused(house: House) -> None:
    for text in (
        "Bearer",
        "Bearer x",
        "Bearer fck_",
        "Bearer fck_0000000000000000_x",
        "Basic YTpi",
        "fck_x",
        "Bearer é",
    ):
        headers = [(b"authorization", text.encode("latin-1"))]
        response = await house.client.get("/api/v1/stations", headers=headers)
        assert response.status_code == 401, text


async def test_a_key_that_was_revoked_or_has_run_out_is_refused(house: House) -> None:
    body = {"name": "short", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}
    late = await house.ask("POST", "/api-keys", 201, json=body)
    await house.get("/stations", 401, headers={"authorization": f"Bearer {late['key']}"})
    made = await house.ask("POST", "/api-keys", 201, json={"name": "n", "scopes": ["read"]})
    header = {"authorization": f"Bearer {made['key']}"}
    await house.get("/stations", headers=header)
    await house.ask("DELETE", f"/api-keys/{made['id']}", 204)
    await house.get("/stations", 401, headers=header)
    await house.ask("DELETE", f"/api-keys/{made['id']}", 404)


async def test_the_text_of_a_key_is_shown_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        response = await house.client.post("/api/v1/api-keys", json={"name": "n", "scopes": ["write", "read", "write"]})
        assert response.headers["cache-control"] == "no-store"
        made = response.json()
        assert made["scopes"] == ["read", "write"]
        key = made.pop("key")
        await house.get("/stations", headers={"authorization": f"Bearer {key}"})
        listed = await house.get("/api-keys")
    assert made in listed["items"]
    secret = key.rpartition("_")[2] if key.count("_") == 2 else key.split("_", 2)[2]
    assert secret not in str(listed)
    assert secret not in caplog.text


async def test_scopes(house: House) -> None:
    read, write, admin = await house.key("read"), await house.key("write"), await house.key("admin")
    token: dict[str, Any] = {"json": {}}
    for header, may_write, may_administer in ((read, False, False), (write, True, False), (admin, True, True)):
        await house.get("/stations", headers=header)
        await house.ask("PUT", "/tokens/T", 200 if may_write else 403, headers=header, **token)
        await house.get("/api-keys", 200 if may_administer else 403, headers=header)
    response = await house.client.put("/api/v1/tokens/T", headers=read, json={})
    assert 'error="insufficient_scope", scope="write"' in response.headers["www-authenticate"]
    await house.get("/stations/CS-1/composite-schedule", 403, headers=read)  # it asks something of a station
    nothing = await house.key()
    await house.get("/stations", 403, headers=nothing)


async def test_an_organisation_sees_its_own_only(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    await house.ask("PUT", "/tokens/T", 200, json={})
    made = await house.ask("POST", "/organisations", 201, json={"name": "other", "administrator": "olga"})
    other = msgspec.structs.replace(house.context, organisation_id=made["id"])
    _, text = await access.create_api_key(other, "other", ("admin",))
    header = {"authorization": f"Bearer {text}"}
    for path in ("/stations", "/tokens"):
        assert (await house.get(path, headers=header))["items"] == []
    await house.get("/stations/CS-1", 404, headers=header)
    await house.ask("POST", "/commands/RESET", 404, json={"station_id": "CS-1"}, headers=header)
    assert len((await house.get("/api-keys", headers=header))["items"]) == 1


async def test_open_access_is_for_this_machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "forecourt.api"):
        async with house(tmp_path, api_settings=ApiSettings(open_access=True)) as made:
            assert "asks for no key" in caplog.text
            port = made.api.port
            for headers, status in (
                ({}, 200),
                ({"host": f"localhost:{port}", "origin": f"http://localhost:{port}"}, 200),
                ({"host": f"[::1]:{port}"}, 200),
                ({"host": f"evil.example:{port}"}, 403),
                ({"origin": "https://evil.example"}, 403),
                ({"origin": "null"}, 403),
                ({"host": "[::1"}, 403),
            ):
                await made.get("/stations", status, headers={**NOBODY, **headers})


def test_open_access_needs_a_loopback_address() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        ApiSettings(open_access=True, host=host)
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""):
        with pytest.raises(ValueError, match=r"^open_access: "):
            ApiSettings(open_access=True, host=host)


@pytest.mark.parametrize("field", ["largest_body", "head_timeout_s", "heartbeat_s"])
def test_settings_that_cannot_be_name_their_field(field: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: "):
        msgspec.convert({field: 0}, ApiSettings)


async def test_credentials_of_a_station_are_written_and_never_read(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    with caplog.at_level(logging.DEBUG):
        await house.ask("PUT", "/stations/CS-1/credentials", 204, json={"password": "correct horse battery"})
        station = await house.get("/stations/CS-1")
        assert station["has_password"] is True
        await house.get("/stations/CS-1/credentials", 405)
        await house.ask("DELETE", "/stations/CS-1/credentials", 204)
        assert (await house.get("/stations/CS-1"))["has_password"] is False
    assert "correct horse" not in caplog.text
    assert "correct horse" not in str(station)


async def test_a_key_may_expire_while_it_is_used(house: House) -> None:
    soon = house.context.clock.now().at + timedelta(seconds=1)
    made = await house.ask("POST", "/api-keys", 201, json={"name": "n", "scopes": ["read"], "expires_at": str(soon)})
    header = {"authorization": f"Bearer {made['key']}"}

    async def refused() -> bool:
        return (await house.client.get("/api/v1/stations", headers=header)).status_code == 401

    await house.eventually(refused)
