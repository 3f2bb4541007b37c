"""Every write leaves its entry, in the same commit, with before and after, and without secrets."""

from typing import Any

from forecourt.csms.auditing import without_secrets
from forecourt.csms.people_records import Role
from tests.api.houses import House
from tests.api.test_api_people import LONG, browser, enter


async def audit(house: House, **filters: Any) -> list[Any]:
    found = await house.get("/audit", params=filters)
    return list(found["items"])


async def test_a_write_leaves_who_when_what_from_where_before_and_after(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CS/1", "name": "One"})
    await house.ask("PATCH", "/stations/CS%2F1", 200, json={"name": "Two"})
    await house.ask("DELETE", "/stations/CS%2F1", 204)
    removed, changed, made = await audit(house, path="/api/v1/stations")
    assert (made["operation"], changed["operation"], removed["operation"]) == (
        "create_station",
        "update_station",
        "remove_station",
    )
    assert (made["actor"], made["actor_name"], made["address"], made["status"]) == ("key", "test", "127.0.0.1", 201)
    assert made["request"] == {"id": "CS/1", "name": "One"}
    assert (made["before"], made["after"]["name"]) == (None, "One")
    assert changed["path"] == "/api/v1/stations/CS/1"
    assert (changed["before"]["name"], changed["after"]["name"]) == ("One", "Two")
    assert (removed["before"]["name"], removed["after"], removed["status"]) == ("Two", None, 204)
    assert made["at"] < changed["at"] < removed["at"]


async def test_reading_and_what_is_refused_leave_nothing(house: House) -> None:
    await house.get("/stations")
    await house.ask("POST", "/stations", 422, json={"id": ""})
    await house.ask("DELETE", "/stations/none", 404)
    read = await house.key("read")
    await house.ask("PUT", "/tokens/T", 403, json={}, headers=read)
    assert await audit(house) == []


async def test_secrets_are_in_no_entry(house: House) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    await house.ask("PUT", "/stations/CS-1/credentials", 204, json={"password": secret})
    made = await house.ask("POST", "/api-keys", 201, json={"name": "n", "scopes": ["read"]})
    ref = {"component": "SecurityCtrlr", "variable": "BasicAuthPassword"}
    body = {"station_id": "CS-1", "settings": [{"ref": ref, "value": secret}]}
    await house.ask("POST", "/commands/SET_VARIABLES", 409, json=body)
    await house.ask(
        "POST", "/stations/CS-1/ocpp/ChangeConfiguration", 409, json={"key": "AuthorizationKey", "value": secret}
    )
    await enter(house, "ada", Role.ADMIN)
    entries = await audit(house)
    assert [one["operation"] for one in entries] == [
        "change_password",
        "sign_in",
        "create_user",
        "send_raw",
        "command_set_variables",
        "create_api_key",
        "set_credentials",
        "create_station",
    ]
    text = str(entries)
    for hidden in (secret, made["key"], LONG):
        assert hidden not in text
    assert text.count("********") >= 5


async def test_attempts_to_get_in_are_kept_and_lists_are_filtered(house: House) -> None:
    user_id = await enter(house, "ada", Role.ADMIN)
    async with browser(house) as ada:
        await ada.sign_in("ada", "wrong, certainly", 401)
        await ada.sign_in("stranger", LONG, 401)
        await ada.sign_in("ada", LONG)
        await ada.ask("PUT", "/tokens/T", 200, json={})
        assert [one["operation"] for one in await audit(house, actor_id=user_id)][:2] == ["put_token", "sign_in"]
        tries = await audit(house, operation="sign_in")
        assert [(one["actor"], one["actor_name"], one["status"]) for one in tries][:3] == [
            ("user", "ada", 200),
            ("nobody", "stranger", 401),
            ("nobody", "ada", 401),
        ]
        (first,) = (await house.get("/audit", params={"limit": 1}))["items"]
        assert await audit(house, since=first["at"], path="/api/v1/tokens") == [first]
        assert await audit(house, until="2020-01-01T00:00:00Z") == []
    await enter(house, "bob", Role.OPERATOR)
    async with browser(house) as bob:
        await bob.sign_in("bob", LONG)
        await bob.ask("GET", "/audit", 403)


def test_secrets_are_masked_wherever_they_stand() -> None:
    for body in (
        b'{"a": [{"password": "SECRET"}]}',
        b'{"key": "SECRET"}',
        b'{"key": "authorizationkey", "value": "SECRET"}',
        b'{"setVariableData": [{"attributeValue": "SECRET", "variable": {"name": "BasicAuthPassword"}}]}',
    ):
        kept = without_secrets(body)
        assert kept is not None
        assert b"SECRET" not in kept, body
    assert (
        without_secrets(b'{"key": "HeartbeatInterval", "value": "300"}') == b'{"key":"HeartbeatInterval","value":"300"}'
    )
    for none in (b"", b"no json", b"\xff", b"[" * 70_000):
        assert without_secrets(none) is None
