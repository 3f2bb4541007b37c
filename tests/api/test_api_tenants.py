"""Nobody sees or touches what belongs to another organisation, or stands at another location.

Everything of the other side has `FOREIGN` in it. A walk asks every operation of the description about it, and looks at
every answer, and at the books afterwards.
"""

import json
import re
from typing import Any

from sqlalchemy import select

from forecourt.csms.limits import FENCE
from forecourt.csms.people_records import Role
from forecourt.store.tables import metadata
from tests.api.houses import House
from tests.api.test_api_people import LONG, browser, enter

MARK = "FOREIGN"
STATION = f"{MARK}-CS"
NOT_TENANTS = {"audit", "events", "sequences", "messages", "sign_ins", "deliveries", "readings"}
"""Books that move by themselves, or that are entered for the other side with whoever asks."""


async def furnish(house: House) -> dict[str, Any]:
    """Something of each kind on the other side; gives what to put into paths."""
    location = await house.ask("POST", "/locations", 201, json={"name": MARK})
    await house.ask("POST", "/stations", 201, json={"id": STATION, "name": MARK, "location_id": location["id"]})
    await house.ask("PUT", f"/tokens/{MARK}", 200, json={"note": MARK})
    async with house.station(STATION) as station:
        await station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        start = {"connectorId": 1, "idTag": MARK, "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
        await station.call("StartTransaction", start)
        profile = {
            "purpose": "TxDefaultProfile",
            "kind": "Absolute",
            "stack_level": 1,
            "schedules": [{"rate_unit": "A", "periods": [{"start_s": 0, "limit": 10}]}],
        }
        body = {"station_id": STATION, "evse_id": 1, "profile": profile}
        await house.client.post("/api/v1/commands/SET_CHARGING_PROFILE", json=body, headers={"prefer": "wait=5"})
    command = await house.ask("POST", "/commands/CLEAR_CACHE", 409, json={"station_id": STATION})
    user = await house.ask("POST", "/users", 201, json={"name": f"{MARK} user", "role": "admin"})
    key = await house.ask("POST", "/api-keys", 201, json={"name": MARK, "scopes": ["admin"]})
    webhook = await house.ask("POST", "/webhooks", 201, json={"url": "https://example.org/", "note": MARK})
    batch = await house.ask(
        "POST", "/commands/batch", 202, json={"selector": {"station_ids": [STATION]}, "command": "CLEAR_CACHE"}
    )
    await house.ask("PATCH", f"/webhooks/{webhook['id']}", 200, json={"active": False})

    async def over() -> bool:
        station = await house.get(f"/stations/{STATION}")
        return not station["connected"] and (await house.get(f"/command-batches/{batch['id']}"))["state"] == "done"

    await house.eventually(over)
    return {
        "station_id": STATION,
        "location_id": location["id"],
        "tariff_id": 1,
        "value": MARK,
        "command_id": command["id"],
        "user_id": user["id"],
        "key_id": key["id"],
        "webhook_id": webhook["id"],
        "batch_id": batch["id"],
        "organisation_id": 1,
    }


def filled(schema: Any, name: str, schemas: Any, values: dict[str, Any]) -> Any:
    """The least that fits a schema, and is about the other side where it can be."""
    if "$ref" in schema:
        return filled(schemas[schema["$ref"].rpartition("/")[2]], name, schemas, values)
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return filled(schema[union][0], name, schemas, values)
    if name in values:
        return values[name]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    match kind:
        case "object":
            properties = schema.get("properties", {})
            wanted = {*schema.get("required", ()), *(properties.keys() & values.keys())}
            return {each: filled(properties[each], each, schemas, values) for each in wanted if each in properties}
        case "array":
            return [filled(schema.get("items", {}), name, schemas, values)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case _:
            return "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else "x" * schema.get("minLength", 1)


_INSTANT = re.compile(r"datetime\.datetime\([^)]*\)|None")
"""Billing looks at running sessions by itself, and notes when."""


async def rows_with_mark(house: House) -> dict[str, list[str]]:
    """All rows of the books that are the other side's, as text."""
    found = {}

    def query(books: Any) -> dict[str, list[str]]:
        for table in metadata.sorted_tables:
            if table.name not in NOT_TENANTS:
                rows = books._connection.execute(select(table)).all()
                texts = [text for row in rows if MARK in (text := str(tuple(row)))]
                if table.name == "sessions":
                    texts = [_INSTANT.sub("_", text) for text in texts]
                found[table.name] = sorted(texts)
        return found

    return await house.store.read(query)


async def walk(house: House, headers: dict[str, str], values: dict[str, Any], *, mine: set[str]) -> set[str]:
    """Ask everything; gives the operations that were answered 2xx. `mine`: entering these names makes one's own."""
    description = await house.get("/openapi.json")
    schemas = description["components"]["schemas"]
    done = set()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            if name in {"stream_events", "sign_out"} or not path.startswith("/api/v1"):
                continue
            place = path
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    value = values.get(parameter["name"], 1 if parameter["schema"].get("type") == "integer" else "x")
                    place = place.replace("{" + parameter["name"] + "}", str(value))
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            given = None if body is None else filled(body, "", schemas, values)
            response = await house.client.request(method.upper(), place, json=given, headers=headers)
            assert response.status_code < 500, (name, response.text)
            if response.is_success:
                done.add(name)
                if name not in mine:
                    assert MARK not in response.text, (name, response.text)
            params: dict[str, str] = {
                parameter["name"]: str(values[parameter["name"]])
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "query" and parameter["name"] in values
            }
            if method == "get" and params:
                filtered = await house.client.get(place, params=params, headers=headers)
                assert not filtered.is_success or MARK not in filtered.text, (name, params, filtered.text)
    return done


async def test_another_organisation_is_not_there(house: House) -> None:
    values = await furnish(house)
    made = await house.ask("POST", "/organisations", 201, json={"name": "mine", "administrator": "boss"})
    async with browser(house) as boss:
        await boss.sign_in("boss", made["one_time_password"])
        passwords = {"current_password": made["one_time_password"], "new_password": LONG}
        await boss.ask("PUT", "/me/password", 204, json=passwords)
        key = await boss.ask("POST", "/api-keys", 201, json={"name": "mine", "scopes": ["admin"]})
    before = await rows_with_mark(house)
    assert sum(map(len, before.values())) > 10
    header = {"authorization": f"Bearer {key['key']}"}
    done = await walk(house, header, values, mine={"put_token", "get_token", "list_audit"})
    assert {"list_stations", "list_tokens", "list_commands", "list_users", "put_token"} <= done
    assert not {"get_station", "update_station", "remove_station", "set_credentials", "send_raw", "get_user"} & done
    after = await rows_with_mark(house)
    mine = [row for row in after["tokens"] if row not in before["tokens"]]
    assert len(mine) <= 1
    assert {**after, "tokens": [row for row in after["tokens"] if row not in mine]} == before


async def test_another_location_is_not_there(house: House) -> None:
    values = await furnish(house)
    own = await house.ask("POST", "/locations", 201, json={"name": "own"})
    await house.ask("POST", "/stations", 201, json={"id": "mine", "location_id": own["id"]})
    body = {"name": "limited", "scopes": ["admin"], "location_ids": [own["id"]]}
    key = await house.ask("POST", "/api-keys", 201, json=body)
    assert key["location_ids"] == [own["id"]]
    header = {"authorization": f"Bearer {key['key']}"}
    before = await rows_with_mark(house)
    shared = {"list_tokens", "get_token", "list_tariffs", "get_tariff", "get_batch", "list_batch_items", "cancel_batch"}
    done = await walk(house, header, values, mine=shared)
    assert {"list_stations", "list_locations", "list_transactions", "list_commands", "list_tokens"} <= done
    assert not {"put_token", "get_station", "remove_station", "list_users", "list_api_keys", "list_audit"} & done
    after = await rows_with_mark(house)
    for moving in ("batches", "batch_items"):
        before.pop(moving)
        after.pop(moving)
    assert after == before
    assert [one["id"] for one in (await house.get("/stations", headers=header))["items"]] == ["mine"]
    await house.get("/stations/mine", headers=header)
    await house.ask("POST", "/stations", 403, json={"id": "elsewhere"}, headers=header)
    await house.ask("PATCH", "/stations/mine", 422, json={"location_id": values["location_id"]}, headers=header)
    await house.ask("POST", "/stations", 201, json={"id": "here", "location_id": own["id"]}, headers=header)
    selector = {"selector": {"connected": False}, "command": "CLEAR_CACHE"}
    assert (await house.ask("POST", "/commands/batch", 202, json=selector, headers=header))["total"] == 2


async def test_a_limited_operator_sees_own_events_only(house: House) -> None:
    own = await house.ask("POST", "/locations", 201, json={"name": "own"})
    await house.ask("POST", "/stations", 201, json={"id": "mine", "location_id": own["id"]})
    await enter(house, "ada", Role.OPERATOR, location_ids=[own["id"]])
    async with browser(house) as ada:
        me = await ada.sign_in("ada", LONG)
        assert me["location_ids"] == [own["id"]]
        params = {"types": "station.booted", "last_event_id": "0"}
        async with ada.client.stream("GET", "/api/v1/events", params=params) as stream:
            for name in (STATION, "mine"):
                async with house.station(name):
                    pass
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    assert json.loads(line[5:])["station_id"] == "mine"
                    break


async def test_pages_are_full_whatever_is_left_out(house: House) -> None:
    own = await house.ask("POST", "/locations", 201, json={"name": "own"})
    for number in range(9):
        body: dict[str, Any] = {"id": f"CS-{number}"}
        if number % 3 == 0:
            body["location_id"] = own["id"]
        await house.ask("POST", "/stations", 201, json=body)
    made = {"name": "limited", "scopes": ["read"], "location_ids": [own["id"]]}
    key = await house.ask("POST", "/api-keys", 201, json=made)
    header = {"authorization": f"Bearer {key['key']}"}
    first = await house.get("/stations?limit=2", headers=header)
    assert [one["id"] for one in first["items"]] == ["CS-6", "CS-3"]
    rest = await house.get("/stations", params={"cursor": first["next_cursor"]}, headers=header)
    assert ([one["id"] for one in rest["items"]], rest["next_cursor"]) == (["CS-0"], None)
    (location,) = (await house.get("/locations", headers=header))["items"]
    assert location["id"] == own["id"]
    listed = (await house.get("/api-keys"))["items"]
    assert {one["name"]: one["location_ids"] for one in listed}["limited"] == [own["id"]]
    await house.ask("POST", "/api-keys", 422, json={**made, "location_ids": [77]})


async def test_what_the_fence_opens_is_there(house: House) -> None:
    def look(books: Any) -> list[str]:
        missing = []
        for place, rules in FENCE.items():
            target = books
            for part in filter(None, place.split(".")):
                target = getattr(target, part)
            missing += [f"{place}.{name}" for name in rules if not callable(getattr(target, name, None))]
        return missing

    assert await house.store.read(look) == []
