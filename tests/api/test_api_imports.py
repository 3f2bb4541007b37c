"""Lists of tokens and stations through the API: looked at whole, entered whole or not at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api import houses
from tests.api.houses import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with houses.house(tmp_path) as made:
        yield made


async def test_a_list_is_looked_at_before_it_is_entered(house: House) -> None:
    await house.ask("PUT", "/tokens/a", 200, json={"note": "old"})
    csv = "value;note;standing\nA;new;\nB;;blocked\n"
    looked = await house.ask("POST", "/imports/tokens", 200, json={"csv": csv, "dry_run": True})
    assert looked == {"dry_run": True, "rows": 2, "entered": 2, "known": ["A"], "notes": []}
    assert [one["note"] for one in (await house.get("/tokens"))["items"]] == ["old"]
    done = await house.ask("POST", "/imports/tokens", 200, json={"csv": csv})
    assert done == {**looked, "dry_run": False}
    kept = {one["value"]: (one["note"], one["standing"]) for one in (await house.get("/tokens"))["items"]}
    assert kept == {"A": ("new", "Accepted"), "B": (None, "Blocked")}


async def test_one_wrong_line_and_nothing_is_entered(house: House) -> None:
    csv = f"value,note,standing\nA,,\nB,,no\n{'C' * 256},,\nD,{'n' * 1001},\n"
    for dry_run in (True, False):
        refused = await house.ask("POST", "/imports/tokens", 422, json={"csv": csv, "dry_run": dry_run})
        assert refused["detail"].startswith("line 3: standing: 'no' is none of Accepted")
        assert refused["detail"].endswith("; and 2 more; nothing was entered")
        assert [one["field"] for one in refused["errors"]] == ["line 3: standing", "line 4: value", "line 5: note"]
    assert (await house.get("/tokens"))["items"] == []


async def test_more_than_is_entered_at_once(house: House) -> None:
    csv = "uid\n" + "\n".join(f"T{number}" for number in range(450))
    done = await house.ask("POST", "/imports/tokens", 200, json={"csv": csv})
    assert (done["rows"], done["entered"], done["known"]) == (450, 450, [])
    assert len((await house.get("/tokens?limit=500"))["items"]) == 450


async def test_stations_with_their_passwords(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CP1", "name": "Old"})
    csv = (
        "charge_box_id,description,registration_status,auth_password\n"
        "CP1,New,,\nCP2,Yard,Rejected,a-password-of-twenty\nCP3,,,$2a$10$abcdef\n"
    )
    note = {"line": 4, "field": "password", "message": "is a hash, which no station can show: set another one"}
    looked = await house.ask("POST", "/imports/stations", 200, json={"csv": csv, "dry_run": True})
    assert looked == {"dry_run": True, "rows": 3, "entered": 2, "known": ["CP1"], "notes": [note]}
    assert len((await house.get("/stations"))["items"]) == 1
    assert await house.ask("POST", "/imports/stations", 200, json={"csv": csv}) == {**looked, "dry_run": False}
    again = await house.ask("POST", "/imports/stations", 200, json={"csv": csv})
    assert (again["entered"], again["known"], again["notes"]) == (0, ["CP1", "CP2", "CP3"], [])
    kept = {one["id"]: one for one in (await house.get("/stations"))["items"]}
    assert {name: (one["name"], one["registration"], one["has_password"]) for name, one in kept.items()} == {
        "CP1": ("Old", "Accepted", False),
        "CP2": ("Yard", "Rejected", True),
        "CP3": (None, "Accepted", False),
    }


async def test_a_password_that_is_too_short_names_its_line_only(house: House) -> None:
    csv = "id,password\nCP1,a-password-of-twenty\nCP2,short\nCP\x013,\n"
    refused = await house.ask("POST", "/imports/stations", 422, json={"csv": csv})
    assert [one["field"] for one in refused["errors"]] == ["line 3: password", "line 4: id"]
    assert "short" not in str(refused)


async def test_who_entered_a_list_is_in_the_audit_without_its_passwords(house: House) -> None:
    csv = "id,password\nCP1,a-password-of-twenty\n"
    await house.ask("POST", "/imports/stations", 200, json={"csv": csv, "dry_run": True})
    assert (await house.get("/audit?operation=import_stations"))["items"] == []
    await house.ask("POST", "/imports/stations", 200, json={"csv": csv})
    (entry,) = (await house.get("/audit?operation=import_stations"))["items"]
    assert (entry["request"], entry["after"]["entered"]) == ({"csv": "********"}, 1)
