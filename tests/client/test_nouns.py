"""The client's nouns are those of the API's description: paths, filters, verbs, and the fields of what they give."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forecourt.client import nouns
from forecourt.client.nouns import NOUNS, Noun
from tests.api.houses import house
from tests.client.test_client import client_of

METHODS = {"list": "get", "get": "get", "create": "post", "replace": "put", "update": "patch", "remove": "delete"}
ELSEWHERE = {
    "/api/v1/stations",  # `client.stations`
    "/api/v1/commands",  # `client.commands`
    "/api/v1/events",
    "/api/v1/exports",
    "/api/v1/driver",
    "/api/v1/overview",
    "/api/v1/sign-in",
    "/api/v1/sign-out",
    "/api/v1/me",
    "/healthz",
    "/readyz",
}


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Any:
    async def told() -> Any:
        async with house(tmp_path_factory.mktemp("api")) as made:
            return await made.get("/openapi.json")

    return asyncio.run(told())


def with_key(description: Any, path: str) -> str:
    """The path in the description of one thing below `path`."""
    (found,) = [
        known
        for known in description["paths"]
        if known.startswith(f"{path}/{{") and "/" not in known.removeprefix(f"{path}/")
    ]
    return str(found)


def path_of(description: Any, noun: Noun[Any]) -> str:
    """As the description spells it, with its own names for what stands in it."""
    wanted = f"/api/v1/{noun.path}".split("/")
    (found,) = [
        known
        for known in description["paths"]
        if len(parts := known.split("/")) == len(wanted)
        and all(want == part or (want == "{}" and part[:1] == "{") for want, part in zip(wanted, parts, strict=True))
    ]
    return str(found)


SHAPES = frozenset({"cursor", "limit", "exchanges"})
"""What says how a page looks, and not which items are in it."""


def answered(description: Any, operation: Any) -> Any:
    """The schema of what comes where all is well."""
    best = min(status for status in operation["responses"] if status[0] == "2")
    content = operation["responses"][best].get("content")
    return None if content is None else resolved(description, next(iter(content.values()))["schema"])


def resolved(description: Any, schema: Any) -> Any:
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def promised(noun: Noun[Any]) -> Iterator[tuple[str, type[Any]]]:
    for verb in noun.verbs:
        yield verb, (noun.made or noun.kind) if verb == "create" else noun.removed if verb == "remove" else noun.kind


@pytest.mark.parametrize("name", NOUNS)
def test_a_noun_is_as_the_api_describes_it(description: Any, name: str) -> None:
    noun = NOUNS[name]
    path = path_of(description, noun)
    for verb, kind in promised(noun):
        place = path if verb in {"list", "create"} else with_key(description, path)
        operation = description["paths"][place][METHODS[verb]]
        schema = answered(description, operation)
        if kind is type(None):
            assert schema is None, (place, verb)
            continue
        if verb == "list":
            asked = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
            assert asked - SHAPES == set(noun.filters), place
            schema = resolved(description, schema["properties"]["items"]["items"])
        theirs = set(schema["properties"])
        assert set(kind.__struct_fields__) <= theirs, (place, verb, set(kind.__struct_fields__) - theirs)
        if kind.__module__ != "forecourt.client.types" and verb in {"list", "create"}:
            assert set(kind.__struct_fields__) == theirs, (place, verb)
    for action, kind in noun.actions.items():
        (place,) = [
            known for known in description["paths"] if re.fullmatch(rf"{re.escape(path)}/{{\w+}}/{action}", known)
        ]
        operation = description["paths"][place]["post"]
        assert set(kind.__struct_fields__) <= set(answered(description, operation)["properties"]), action


def test_every_list_of_the_api_has_a_noun(description: Any) -> None:
    known = {path_of(description, noun) for noun in NOUNS.values()}
    for path, operations in description["paths"].items():
        parameters = {one["name"] for one in operations.get("get", {}).get("parameters", ())}
        if "cursor" in parameters and path not in known:
            outside = any(path == place or path.startswith(f"{place}/") for place in ELSEWHERE)
            assert outside or path.endswith(("/alarms", "/items", "/versions")), path


def test_what_a_noun_does_not_have_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(TypeError, match="has no filter stat"):
        nouns.CDRS.list(stat="x")
    with pytest.raises(ValueError, match="has no remove"):
        nouns.CDRS.remove(1)
    with pytest.raises(ValueError, match="can't be asked to explode"):
        nouns.CDRS.act(1, "explode")
    with pytest.raises(TypeError, match="say of what"):
        nouns.DELIVERIES.list()
    with pytest.raises(TypeError, match="takes 1 names"):
        nouns.DELIVERIES.of("a", "b")


async def test_jobs_images_tariffs_and_users_by_their_nouns(tmp_path: Path) -> None:
    async with house(tmp_path) as made, client_of(made) as csms:
        image = await csms.do(nouns.upload_image("fw.bin", b"\x00\xff firmware"))
        assert image.size == 11
        await made.ask("POST", "/stations", 201, json={"id": "CS/1"})
        job = await csms.do(nouns.FIRMWARE_JOBS.create({"station_id": "CS/1", "file_number": image.number}))
        assert [one.number async for one in csms.all(nouns.FIRMWARE_JOBS.list(station_id="CS/1"))] == [job.number]
        assert (await csms.do(nouns.FIRMWARE_JOBS.act(job.number, "cancel"))).state == "cancelled"
        await csms.do(nouns.FIRMWARE_IMAGES.remove(image.number))

        component = {"type": "ENERGY", "price": "0.30"}
        terms = {"currency": "EUR", "elements": [{"price_components": [component]}]}
        tariff = await csms.do(nouns.TARIFFS.create(terms))
        assert (await csms.do(nouns.TARIFFS.get(tariff.id))).terms == tariff.terms
        scope = {"scope": "organisation"}
        assignment = await csms.do(nouns.TARIFF_ASSIGNMENTS.of(tariff.id).create(scope))
        await csms.do(nouns.TARIFF_ASSIGNMENTS.of(tariff.id).remove(assignment.number))

        user = await csms.do(nouns.USERS.create({"name": "ann", "role": "viewer"}))
        assert user.one_time_password
        assert (await csms.do(nouns.USERS.update(user.id, role="operator"))).role == "operator"
        hook = await csms.do(nouns.WEBHOOKS.create({"url": "https://example.com/x"}))
        assert (await csms.do(nouns.WEBHOOKS.act(hook.id, "secret"))).secret != hook.secret
        exported = await csms.do(nouns.export("transactions.csv"))
        assert exported.startswith(b"number,")
