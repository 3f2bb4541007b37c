"""Every list: newest first, in pages, and each of its filters does what its name says or names itself when it can't."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.houses import House

WAIT = {"prefer": "wait=5"}
LATER, EARLIER = "2099-01-01T00:00:00Z", "2001-01-01T00:00:00Z"
TIMES = (("created_from", "created_to"), ("started_from", "started_to"), ("since", "until"))
ENDLESS = {"/api/v1/events"}


def lists(description: Any) -> list[tuple[str, dict[str, Any]]]:
    """Path and parameters of all that has a cursor, and of exports."""
    found = []
    for path, operations in description["paths"].items():
        parameters = {one["name"]: one for one in operations.get("get", {}).get("parameters", ())}
        if path not in ENDLESS and ("cursor" in parameters or "/exports/" in path):
            found.append((path, parameters))
    return found


async def furnished(house: House) -> dict[str, Any]:
    """One of each of what lists are below; what stands in their paths."""
    await house.ask("PUT", "/tokens/A", 200, json={"group": "g"})
    hook = await house.ask("POST", "/webhooks", 201, json={"url": "https://example.com/hook"})
    selector = {"selector": {"station_ids": ["CS1"]}, "command": "CLEAR_CACHE", "parameters": {}}
    batch = await house.ask("POST", "/commands/batch", 202, json=selector)
    site = await house.ask("POST", "/sites", 201, json={"name": "s"})
    return {
        "station_id": "CS1",
        "number": 1,
        "webhook_id": hook["id"],
        "batch_id": batch["id"],
        "site_id": site["id"],
    }


async def charged(house: House) -> None:
    """Two transactions, of two tokens, the second of which runs."""
    async with house.station("CS1", lambda _action, _payload: {"status": "Accepted"}) as station:
        for token, begin in (("A", "2026-11-01T12:00:00Z"), ("B", "2026-11-02T12:00:00Z")):
            start = {"connectorId": 1, "idTag": token, "meterStart": 0, "timestamp": begin}
            number = (await station.call("StartTransaction", start))["transactionId"]
            if token == "A":
                end = {"transactionId": number, "meterStop": 10, "timestamp": "2026-11-01T13:00:00Z"}
                await station.call("StopTransaction", end)


async def test_what_cannot_be_a_filters_value_is_refused_by_name(house: House) -> None:
    await charged(house)
    places = await furnished(house)
    checked = 0
    for path, parameters in lists(await house.get("/openapi.json")):
        for name, parameter in parameters.items():
            if parameter["in"] != "query":
                continue
            answer = await house.client.get(path.format(**places), params={name: "x" * 1001})
            assert answer.status_code == 422, (path, name, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert [error["field"] for error in answer.json()["errors"]] == [name], (path, name)
            checked += 1
    assert checked > 100


def which(page: Any) -> list[Any]:
    """What is on the page, not how it stands: a batch goes on between two looks."""
    return [item.get("id", item) for item in page["items"]]


async def test_times_bound_every_list_that_has_them(house: House) -> None:
    await charged(house)
    places = await furnished(house)
    bounded = 0
    for path, parameters in lists(await house.get("/openapi.json")):
        pairs = [pair for pair in TIMES if pair[0] in parameters]
        for first, last in pairs:
            for query in ({first: LATER}, {last: EARLIER}):
                answer = await house.client.get(path.format(**places), params=query)
                assert answer.status_code == 200, (path, query, answer.text)
                if "/exports/" not in path:
                    assert answer.json()["items"] == [], (path, query)
            bounded += 1
            wide = {first: EARLIER, last: LATER}
            answer = await house.client.get(path.format(**places), params=wide)
            assert answer.status_code == 200, (path, wide, answer.text)
            if "/exports/" not in path:
                everything = await house.client.get(path.format(**places))
                assert which(answer.json()) == which(everything.json()), path
    assert bounded >= 20


@pytest.mark.parametrize(
    ("path", "query", "count"),
    [
        ("/tokens", {"standing": "Accepted"}, 1),
        ("/tokens", {"standing": "Blocked"}, 0),
        ("/tokens", {"type": "eMAID"}, 0),
        ("/transactions", {"id_token": "a"}, 1),
        ("/transactions", {"state": "active"}, 1),
        ("/transactions", {"started_from": "2026-11-02T00:00:00Z"}, 1),
        ("/stations/CS1/transactions", {"id_token": "A"}, 1),
        ("/stations/CS1/transactions", {"started_to": "2026-11-02T00:00:00Z"}, 1),
        ("/sessions", {"started_from": "2026-11-02T00:00:00Z"}, 1),
        ("/sessions", {"started_to": "2026-11-02T00:00:00Z"}, 1),
        ("/command-batches", {"state": "cancelled"}, 0),
    ],
)
async def test_filters_of_charging(house: House, path: str, query: dict[str, str], count: int) -> None:
    await charged(house)
    await furnished(house)
    found = await house.client.get(f"/api/v1{path}", params=query)
    assert len(found.json()["items"]) == count


async def test_what_went_over_the_wire_is_found_by_its_id(house: House) -> None:
    async with house.station("CS1", lambda _action, _payload: {"status": "Accepted"}) as station:
        start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-11-01T12:00:00Z"}
        wire_id = (await station.call("StartTransaction", start))["transactionId"]
        expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        body = {"station_id": "CS1", "evse_id": 1, "id_token": {"value": "A"}, "expires_at": expires_at}
        made = await house.ask("POST", "/reservations", 200, json=body, headers=WAIT)
        reservation_id = made["reservation"]["reservation_id"]
        schedule = {"rate_unit": "A", "periods": [{"start_period_s": 0, "rate_limit": 9}]}
        profile = {
            "id": 77,
            "stack_level": 0,
            "purpose": "TxDefaultProfile",
            "kind": "Absolute",
            "schedules": [schedule],
        }
        await house.ask(
            "POST",
            "/charging-profiles",
            200,
            json={"station_id": "CS1", "evse_id": 1, "profile": profile},
            headers=WAIT,
        )
    for path, name, value in (
        ("transactions", "transaction_id", str(wire_id)),
        ("reservations", "reservation_id", reservation_id),
        ("charging-profiles", "profile_id", 77),
    ):
        (one,) = (await house.get(f"/{path}?{name}={value}&station_id=CS1"))["items"]
        assert one[name] == value
        assert (await house.get(f"/{path}?{name}=123456"))["items"] == []


async def test_webhooks_are_listed_newest_first(house: House) -> None:
    made = []
    for number in range(5):
        hook = await house.ask("POST", "/webhooks", 201, json={"url": f"https://example.com/{number}"})
        made.append(hook["id"])
    listed: list[str] = []
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        answer: httpx.Response = await house.client.get("/api/v1/webhooks", params=params)
        listed += [one["id"] for one in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert listed == made[::-1]
