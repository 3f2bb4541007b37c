"""The commands that ask a running CSMS, against a real one: tables, JSON, imports, exit codes, settings."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.api import houses
from tests.api.houses import House
from tests.client.test_client import key_of
from typer.testing import CliRunner, Result

from forecourt.app import main, nouns
from forecourt.app.main import app
from forecourt.app.running import Exit


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with houses.house(tmp_path) as made:
        yield made


async def run(made: House | None, *arguments: str, **environment: str | None) -> Result:
    env: dict[str, str | None] = {"FORECOURT_CLIENT_CONFIG": "/nowhere", "COLUMNS": "200", **environment}
    if made is not None:
        env |= {"FORECOURT_URL": made.url, "FORECOURT_KEY": key_of(made)}
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments), env=env))


async def test_stations_tokens_and_transactions(house: House) -> None:
    assert (await run(house, "stations", "list")).stdout == "none\n"
    await house.ask("POST", "/stations", 201, json={"id": "CS/1", "name": "Yard"})
    listed = await run(house, "stations", "list")
    assert listed.exit_code == Exit.OK, listed.output
    assert [line.split()[:3] for line in listed.stdout.splitlines()] == [
        ["station", "name", "connected"],
        ["CS/1", "Yard", "no"],
    ]
    assert (await run(house, "stations")).stdout == listed.stdout
    shown = await run(house, "stations", "show", "CS/1", "--json")
    assert json.loads(shown.stdout)["name"] == "Yard"
    put = await run(house, "tokens", "put", "T", "--standing", "Blocked", "--expires-at", "2030-01-01", "--json")
    assert json.loads(put.stdout)["expires_at"] == "2030-01-01T00:00:00Z"
    assert "Blocked" in (await run(house, "tokens", "list")).stdout
    assert (await run(house, "tokens", "remove", "T")).exit_code == Exit.OK
    async with house.station("CS-2") as station:
        start = {"connectorId": 1, "idTag": "X", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
        await station.call("StartTransaction", start)
    (line,) = (await run(house, "transactions", "list", "--station", "CS-2", "--json")).stdout.splitlines()
    assert (json.loads(line)["station_id"], json.loads(line)["id_token"]) == ("CS-2", "X")
    assert json.loads((await run(house, "transactions", "show", "1", "--json")).stdout)["number"] == 1


async def test_commands_end_with_what_the_station_said(house: House) -> None:
    def answer(action: str, payload: Any) -> Any:
        return {"status": "Rejected" if action == "ClearCache" else "Accepted"}

    async with house.station("CS-1", answer) as station:
        done = await run(house, "command", "reset", "CS-1", "--hard")
        assert (done.exit_code, done.stdout) == (Exit.OK, 'CS-1: Reset accepted\n{"status":"Accepted"}\n')
        assert json.loads(await station.frames.get())[3] == {"type": "Hard"}
        assert (await run(house, "command", "clear-cache", "CS-1")).exit_code == Exit.FAILED
        raw = await run(house, "command", "raw", "CS-1", "GetConfiguration", '{"key": []}', "--json")
        assert (raw.exit_code, json.loads(raw.stdout)["payload"]) == (Exit.OK, {"key": []})
        sent = await run(house, "command", "send", "reset", "CS-1", '{"reset_type": "Immediate"}')
        assert sent.exit_code == Exit.OK, sent.output
        started = await run(house, "command", "start", "CS-1", "T", "--evse", "1")
        assert started.exit_code == Exit.OK, started.output
    await house.ask("POST", "/stations", 201, json={"id": "away"})
    away = await run(house, "command", "unlock", "away", "1")
    assert (away.exit_code, away.stdout) == (
        Exit.FAILED,
        "away: UnlockConnector offline: the station is not connected\n",
    )


async def test_lists_are_imported(house: House, tmp_path: Path) -> None:
    tokens, stations = tmp_path / "tokens.csv", tmp_path / "stations.csv"
    tokens.write_text("id_tag,note\nA,one\nB,two\n")
    stations.write_text(
        "charge_box_id,description,registration_status,auth_password\nCP1,Yard,,\nCP2,,Rejected,$2a$10$x\n"
    )
    looked = await run(house, "tokens", "import", str(tokens), "--dry-run")
    assert looked.stdout == "2 tokens would be entered, 0 of them replaced\n"
    assert (await run(house, "tokens", "list")).stdout == "none\n"
    for replaced in (0, 2):
        done = await run(house, "tokens", "import", str(tokens))
        assert done.stdout == f"2 tokens entered, {replaced} of them replaced\n"
    for entered in (2, 0):
        done = await run(house, "stations", "import", str(stations))
        assert done.stdout == f"{entered} of 2 stations entered\n"
        assert ("line 3: password is a hash" in done.stderr) == (entered == 2)
        assert ("CP2: is there already" in done.stderr) == (entered == 0)
    kept = {one["id"]: one for one in (await house.get("/stations"))["items"]}
    assert {name: one["name"] for name, one in kept.items()} == {"CP1": "Yard", "CP2": None}
    assert {name: one["registration"] for name, one in kept.items()} == {"CP1": "Accepted", "CP2": "Rejected"}
    assert not kept["CP2"]["has_password"]
    tokens.write_text("id_tag,standing\nA,\n\nA,\nB,no\n")
    wrong = await run(house, "tokens", "import", str(tokens))
    assert (wrong.exit_code, "line 4: value" in wrong.stderr, "line 5: standing" in wrong.stderr) == (
        Exit.USAGE, True, True
    )  # fmt: skip
    tokens.write_bytes(b"id_tag\n\xff\n")
    unreadable = await run(house, "tokens", "import", str(tokens))
    assert (unreadable.exit_code, "utf-8" in unreadable.stderr) == (Exit.USAGE, True)


async def test_a_station_is_configured(house: House) -> None:
    wish = "OCPPCommCtrlr.HeartbeatInterval=60"
    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    later = await run(house, "stations", "configure", "CS-1", wish)
    assert (later.exit_code, "at its next boot" in later.stderr) == (Exit.OK, True)
    assert "HeartbeatInterval" in later.stdout
    values = {"HeartbeatInterval": "300"}

    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "GetConfiguration":
            return {"configurationKey": [{"key": k, "readonly": False, "value": v} for k, v in values.items()]}
        values[payload["key"]] = payload["value"]
        return {"status": "Accepted"}

    async with house.station("CS-1", answer):

        async def told() -> bool:
            return values == {"HeartbeatInterval": "60"}

        await house.eventually(told)
        at_once = await run(house, "stations", "configure", "CS-1", "OCPPCommCtrlr.HeartbeatInterval=90")
        assert (at_once.stdout, values) == ("none\n", {"HeartbeatInterval": "90"}), "nothing differs"
    shown = await run(house, "stations", "configuration", "CS-1", "--json")
    assert json.loads(shown.stdout) == {
        "variable": "OCPPCommCtrlr.HeartbeatInterval",
        "reported": "90",
        "desired": "90",
        "outcome": "Accepted",
    }
    wrong = await run(house, "stations", "configure", "CS-1", "HeartbeatInterval=60")
    assert (wrong.exit_code, "COMPONENT.VARIABLE" in wrong.stderr) == (Exit.USAGE, True)


async def test_events_are_followed(house: House) -> None:
    async with house.station("CS-1"):
        pass
    done = await run(house, "events", "--type", "station.booted", "--after", "0", "--most", "1", "--json")
    assert json.loads(done.stdout)["station_id"] == "CS-1"
    done = await run(house, "events", "--after", "0", "--most", "1")
    assert "station.connected CS-1" in done.stdout


async def test_exit_codes_say_whose_fault_it_is(house: House) -> None:
    assert (await run(house, "stations", "show", "none")).exit_code == Exit.FAILED
    assert (await run(house, "transactions", "list", "--station", "none")).exit_code == Exit.FAILED
    assert (await run(house, "command", "raw", "CS-1", "Reset", "no json")).exit_code == Exit.USAGE
    assert (await run(house, "command", "send", "reset", "CS-1", '{"reset_type": "x"}')).exit_code == Exit.USAGE
    assert (await run(house, "command")).exit_code == Exit.USAGE
    nobody = await run(None, "tokens", "list", FORECOURT_URL=house.url)
    assert (nobody.exit_code, "API key is needed" in nobody.stderr) == (Exit.FAILED, True)
    refused = await run(None, "command", "reset", "CS-1", FORECOURT_URL="http://127.0.0.1:9")
    assert refused.exit_code == Exit.UNAVAILABLE


async def test_settings_come_from_a_file_too(house: House, tmp_path: Path) -> None:
    file = tmp_path / "client.toml"
    file.write_text(f'url = "{house.url}"\nkey = "{key_of(house)}"\n')
    done = await run(None, "stations", "list", FORECOURT_CLIENT_CONFIG=str(file))
    assert (done.exit_code, done.stdout) == (Exit.OK, "none\n")
    file.write_text("urll = 1\n")
    wrong = await run(None, "stations", "list", FORECOURT_CLIENT_CONFIG=str(file))
    assert (wrong.exit_code, "urll" in wrong.stderr) == (Exit.USAGE, True)
    assert key_of(house) not in wrong.stderr


def test_the_nouns_of_the_command_line_are_those_of_the_client() -> None:
    assert main.NOUNS == nouns.REMOTE
    for name in main.NOUNS:
        done = CliRunner().invoke(app, [name, "list", "--help"])
        assert done.exit_code == Exit.OK, (name, done.output)
        assert "List them, newest first." in done.output
    overview = CliRunner().invoke(app, ["--help"]).output
    assert all(f" {name} " in overview for name in main.COMMANDS)


async def test_nouns_are_entered_listed_shown_and_acted_on(house: House, tmp_path: Path) -> None:
    terms = tmp_path / "tariff.json"
    terms.write_text('{"currency": "EUR", "elements": [{"price_components": [{"type": "FLAT", "price": 0.50}]}]}')
    made = await run(house, "tariffs", "create", str(terms), "--json")
    assert made.exit_code == Exit.OK, made.output
    tariff = json.loads(made.stdout)["id"]
    assert json.loads((await run(house, "tariffs", "show", str(tariff), "--json")).stdout)["version"] == 1
    terms.write_text('{"scope": "organisation"}')
    assigned = await run(house, "tariff-assignments", "create", str(tariff), str(terms), "--json")
    number = json.loads(assigned.stdout)["number"]
    removed = await run(house, "tariff-assignments", "remove", str(tariff), str(number))
    assert removed.exit_code == Exit.OK, removed.output

    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    image = tmp_path / "fw.bin"
    image.write_bytes(b"\x00\x01")
    kept = json.loads((await run(house, "firmware-images", "upload", str(image), "--json")).stdout)
    terms.write_text(json.dumps({"station_id": "CS-1", "file_number": kept["number"]}))
    job = json.loads((await run(house, "firmware-jobs", "create", str(terms), "--json")).stdout)
    waiting = await run(house, "firmware-jobs", "list", "--station-id", "CS-1", "--state", "waiting", "--most", "1")
    assert str(job["number"]) in waiting.stdout
    done = await run(house, "firmware-jobs", "cancel", str(job["number"]), "--json")
    assert json.loads(done.stdout)["state"] == "cancelled"
    over = await run(house, "firmware-jobs", "cancel", str(job["number"]))
    assert (over.exit_code, over.stdout) == (Exit.FAILED, "")

    user = json.loads(
        (await run(house, "users", "create", str(_body(tmp_path, name="ann", role="viewer")), "--json")).stdout
    )
    changed = await run(house, "users", "update", user["id"], "role=operator", 'full_name="Ann A"', "--json")
    assert (json.loads(changed.stdout)["role"], json.loads(changed.stdout)["full_name"]) == ("operator", "Ann A")
    site = json.loads((await run(house, "sites", "create", str(_body(tmp_path, name="yard")), "--json")).stdout)
    assert json.loads((await run(house, "sites", "show", str(site["id"]), "--json")).stdout)["name"] == "yard"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tariffs", "create", "/nowhere.json"), Exit.USAGE, "/nowhere.json"),
        (("cdrs", "show", "7"), Exit.FAILED, "there is no CDR"),
        (("log-jobs", "list", "--station-id", "none"), Exit.FAILED, "station 'none'"),
        (("sessions", "list", "--state", "strange"), Exit.USAGE, "state"),
        (("users", "update", "x", "role"), Exit.USAGE, "FIELD=VALUE"),
        (("sites", "show", "x"), Exit.USAGE, "no number"),
    ],
)
async def test_what_a_noun_cannot_do_is_said(house: House, arguments: tuple[str, ...], code: Exit, words: str) -> None:
    done = await run(house, *arguments)
    assert (done.exit_code, words in done.stderr) == (code, True), done.output


def _body(folder: Path, **fields: Any) -> Path:
    path = folder / "body.json"
    path.write_text(json.dumps(fields))
    return path
