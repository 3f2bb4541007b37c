"""The server around the API: health, limits of size and time, whatever anybody sends."""

import asyncio
import contextlib
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from forecourt.api.server import ApiServer
from forecourt.api.settings import ApiSettings
from tests.api.houses import PATIENCE_S, House, house


async def test_health_and_readiness_are_for_everybody(house: House) -> None:
    for path, body in (("/healthz", {"healthy": True}), ("/readyz", {"ready": True})):
        response = await house.client.get(path, headers={"authorization": ""})
        assert (response.status_code, response.json()) == (200, body)


async def test_not_ready_when_the_books_take_nothing(house: House) -> None:
    await house.store.close()
    response = await house.client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"ready": False})
    assert (await house.client.get("/healthz")).status_code == 200


async def test_books_that_cannot_be_written_are_503(house: House) -> None:
    await house.store.write(_break)
    problem = await house.client.put("/api/v1/tokens/T", json={})
    assert problem.status_code == 503
    assert problem.headers["retry-after"]
    assert "tokens" not in problem.text.lower().replace("/tokens", "")
    response = await house.client.get("/readyz")
    assert response.status_code == 200


def _break(books: Any) -> None:
    from sqlalchemy import text

    books._connection.execute(text("DROP TABLE tokens"))


async def test_too_large_a_body_is_413(tmp_path: Path) -> None:
    async with house(tmp_path, api_settings=ApiSettings(largest_body=1000)) as made:
        await made.ask("PUT", "/tokens/T", 200, json={"note": "x" * 900})
        await made.ask("PUT", "/tokens/T", 413, json={"note": "x" * 1000})

        async def chunks() -> Any:
            for _ in range(20):
                yield b" " * 100

        await made.ask("PUT", "/tokens/T", 413, content=chunks())


async def test_a_body_that_is_late_is_408(tmp_path: Path) -> None:
    async with house(tmp_path, api_settings=ApiSettings(body_timeout_s=0.2)) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.api.port)
        key = made.client.headers["authorization"]
        head = f"PUT /api/v1/tokens/T HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-length: 10\r\n\r\n"
        writer.write(head.encode() + b"{")
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the body came too slowly" in answer
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"]
)
async def test_a_head_that_does_not_come_ends_the_connection(tmp_path: Path, sent: bytes) -> None:
    async with house(tmp_path, api_settings=ApiSettings(head_timeout_s=0.2, keep_alive_s=60)) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.api.port)
        writer.write(sent)
        if sent.endswith(b"\r\n\r\n"):
            assert b"200 OK" in await reader.readuntil(b"}")
            writer.write(b"G")
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_an_event_stream_outlives_the_timeouts_of_requests(tmp_path: Path) -> None:
    settings = ApiSettings(head_timeout_s=0.1, body_timeout_s=0.1, keep_alive_s=0.1, heartbeat_s=0.05)
    async with house(tmp_path, api_settings=settings) as made:
        async with made.client.stream("GET", "/api/v1/events") as response:
            beats = 0
            async with asyncio.timeout(PATIENCE_S):
                async for line in response.aiter_lines():
                    beats += line.startswith(":")
                    if beats == 10:
                        break
        assert beats == 10


async def test_the_log_names_path_and_key_and_no_query(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "forecourt.api.access"):
        await house.get("/stations?cursor=5")
    [line] = [record.getMessage() for record in caplog.records if record.name == "forecourt.api.access"]
    key_id = house.client.headers["authorization"].removeprefix("Bearer fck_").partition("_")[0]
    assert line.startswith("GET /api/v1/stations 200 ")
    assert line.endswith(f"key={key_id}")


async def test_it_starts_again_after_a_stop_and_takes_no_port_twice(house: House) -> None:
    port = house.api.port
    second = ApiServer(house.context, ApiSettings(port=port))
    with pytest.raises(OSError, match=r"."):
        await second.start()
    await house.api.stop()
    await house.api.stop()
    again = ApiServer(house.context, ApiSettings(port=port))
    await again.start()
    assert again.port == port
    assert (await house.client.get("/healthz")).status_code == 200
    await again.stop()


NASTY: list[Any] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, 2**64, 10**400, 1e308, "",
    " ", "x", "x" * 70_000, "\0", "\u2028", "ä€😀", "0",
    "null", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", [], [[]], [None], {},
    {"": ""}, {"id": {"id": 1}},
]  # fmt: skip
NASTY_TEXT = [
    "", "0", "-1", "1", "99999999999999999999", "1e5", "NaN", "true", "null", "%00", "%ff", "%F0%9F%98%80", "%2F", "..",
    "x" * 300, "2026-01-01", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00%2B14:00", "'", "%25", "a,b", "%0d%0a",
]  # fmt: skip


def an_instance(schema: dict[str, Any], components: dict[str, Any], dice: random.Random, depth: int = 0) -> Any:
    """Something that mostly fits `schema`, and sometimes doesn't."""
    if dice.random() < 0.06 or depth > 6:
        return dice.choice(NASTY)
    if "$ref" in schema:
        return an_instance(components[schema["$ref"].rpartition("/")[2]], components, dice, depth)
    if "oneOf" in schema:
        return an_instance(dice.choice(schema["oneOf"]), components, dice, depth)
    if "enum" in schema:
        return dice.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", [])
        return {
            name: an_instance(inner, components, dice, depth + 1)
            for name, inner in schema.get("properties", {}).items()
            if name in required or dice.random() < 0.4
        }
    if kind == "array":
        size = max(schema.get("minItems", 0), dice.randrange(3))
        return [an_instance(schema.get("items", {}), components, dice, depth + 1) for _ in range(size)]
    if kind in {"integer", "number"}:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        number = dice.choice([least, least + 1, schema.get("maximum", 5)])
        return int(number) if kind == "integer" else number + 0.5
    if kind == "string":
        return "2026-01-01T00:00:00+01:00" if schema.get("format") == "date-time" else dice.choice(["CS-1", "TAG", "1"])
    return dice.choice(NASTY) if kind != "boolean" else dice.random() < 0.5


async def test_whatever_is_asked_is_answered_as_described_and_never_500(house: House) -> None:
    """Some fifteen hundred requests made from the description, right and wrong, against a station that is there."""
    description = await house.get("/openapi.json")
    components = description["components"]["schemas"]
    dice = random.Random(20261121)
    async with house.station("CS-1") as station:
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-01T12:00:00Z"}
        await station.call("StartTransaction", start)
        undescribed = []
        for path, methods in description["paths"].items():
            for method, operation in methods.items():
                if operation["operationId"] in {"stream_events", "remove_station", "revoke_api_key"}:
                    continue
                for _ in range(6):
                    status, text, asked = await _ask(house, path, method, operation, components, dice)
                    if "/.." in asked.partition("?")[0] or (status == 404 and "there is nothing here" in text):
                        continue  # the path led elsewhere
                    if status == 405 or str(status) not in operation["responses"]:
                        undescribed.append((status, asked, text[:300]))
        assert [entry for entry in undescribed if entry[0] != 405] == []
    assert (await house.client.get("/readyz")).status_code == 200


async def _ask(
    house: House, path: str, method: str, operation: dict[str, Any], components: Any, dice: random.Random
) -> tuple[int, str, str]:
    query = []
    headers = {"content-type": "application/json"}
    for parameter in operation.get("parameters", []):
        value = dice.choice(NASTY_TEXT) if dice.random() < 0.4 else dice.choice(["CS-1", "TAG", "1"])
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", value or "CS-1")
        elif parameter["in"] == "query" and dice.random() < 0.4:
            query.append(f"{parameter['name']}={value}")
        elif parameter["in"] == "header" and parameter["name"] != "prefer" and dice.random() < 0.3:
            headers[parameter["name"]] = value
    content = b""
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        content = json.dumps(an_instance(schema, components, dice)).encode()
        if dice.random() < 0.1:
            content = content[: dice.randrange(len(content) + 1)]
    url = f"{path}?{'&'.join(query)}" if query else path
    response = await house.client.request(method, url, content=content, headers=headers)
    return response.status_code, response.text, f"{method} {url} {content[:500]!r}"
