"""Commands through the API, to a real station over a real WebSocket."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.api.bodies import compact
from forecourt.api.outcomes import granted_wait_s
from forecourt.api.typed_commands import TYPED
from forecourt.api.typed_resource_commands import TYPED_RESOURCES
from forecourt.csms.command_records import CommandState
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy
from tests.api.houses import CallFailed, House, house

PROFILE = {
    "stack_level": 1,
    "purpose": "TxDefaultProfile",
    "kind": "Absolute",
    "schedules": [
        {
            "rate_unit": "A",
            "start_schedule": "2026-01-01T01:00:00+01:00",
            "periods": [{"start_period_s": 0, "rate_limit": 16}, {"start_period_s": 60, "rate_limit": 6.5}],
        }
    ],
}


async def test_a_typed_command_is_answered_at_once_and_ends_accepted(house: House) -> None:
    async with house.station("CS-1") as station:
        body = {"station_id": "CS-1", "id_token": {"value": "TAG"}, "evse_id": 1}
        response = await house.client.post("/api/v1/commands/START_SESSION", json=body)
        assert response.status_code == 202
        command = response.json()
        assert command["state"] in {"queued", "sent"}
        assert response.headers["location"] == f"/api/v1/commands/{command['id']}"

        sent = json.loads(await station.frames.get())
        assert sent[2:] == ["RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG"}]
        final = await house.get(f"/commands/{command['id']}", headers={"prefer": "wait=10"})
        assert (final["state"], final["answer"], final["action"]) == (
            "accepted",
            {"status": "Accepted"},
            "RemoteStartTransaction",
        )
        assert final["name"] == "RequestStartTransaction"
        assert final["request"]["id_token"] == {"value": "TAG", "type": "ISO14443"}


async def test_with_prefer_wait_the_answer_is_the_final_command(house: House) -> None:
    async with house.station("CS-1", lambda _action, _payload: {"status": "Rejected"}):
        response = await house.client.post(
            "/api/v1/commands/RESET",
            json={"station_id": "CS-1", "reset_type": "Immediate", "graceful": False},
            headers={"prefer": "respond-async, wait=10"},
        )
        assert response.status_code == 200
        assert response.headers["preference-applied"] == "wait=10"
        assert response.json()["state"] == "rejected"
        assert response.json()["payload"] == {"type": "Hard"}


async def test_a_wait_that_is_over_before_the_end_gives_202(house: House) -> None:
    async with house.station("CS-1", lambda _action, _payload: None) as station:
        response = await house.client.post(
            "/api/v1/commands/CLEAR_CACHE", json={"station_id": "CS-1"}, headers={"prefer": "wait=0"}
        )
        assert response.status_code == 202
        await station.frames.get()


async def test_a_raw_command_goes_out_as_it_came_but_for_blanks(house: House) -> None:
    answer = '{ "status" : "NotAWord", "x": 1.50e1, "x": "\\u00e9" }'
    async with house.station("CS-1", lambda _action, _payload: answer) as station:
        payload = b'{ "b" : 1.0 , "a":"\\u00e9 \\/ x",\n "b": 2e1, "n": { } }'
        response = await house.client.post(
            "/api/v1/stations/CS-1/ocpp/NoSuchAction",
            content=payload,
            headers={"prefer": "wait=10", "content-type": "application/json"},
        )
        sent = await station.frames.get()
        assert sent.endswith(',"NoSuchAction",{"b":1.0,"a":"\\u00e9 \\/ x","b":2e1,"n":{}}]')
        assert response.status_code == 200
        # The answer is verbatim as well, with its blanks, its duplicates and its spelling.
        assert f'"answer":{answer}' in response.text
        assert '"payload":{"b":1.0,"a":"\\u00e9 \\/ x","b":2e1,"n":{}}' in response.text
        assert response.json()["state"] == "rejected"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_compacting_takes_away_blanks_and_nothing_else(value: Any, indent: Any, ascii_only: bool) -> None:
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    expected = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert compact(written) == expected


NO_OBJECTS = [
    (b"", 400),
    (b"{", 400),
    (b'{"a":NaN}', 400),
    (b'{"a":"\xff"}', 400),
    (b"[" * 50_000 + b"]" * 50_000, 400),
    (b"[]", 422),
    (b'"x"', 422),
]


async def test_what_is_no_json_object_is_never_sent(house: House) -> None:
    async with house.station("CS-1") as station:
        for body, status in NO_OBJECTS:
            await house.ask("POST", "/stations/CS-1/ocpp/Reset", status, content=body)
        assert (await house.get("/commands"))["items"] == []
        assert station.frames.empty()


async def test_a_command_to_an_absent_station_is_stored_as_offline(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    response = await house.client.post(
        "/api/v1/commands/UNLOCK_CONNECTOR", json={"station_id": "CS-1", "evse_id": 1}, headers={"prefer": "wait=10"}
    )
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    answer = response.json()
    assert (answer["title"], answer["status"]) == ("Conflict", 409)
    assert answer["detail"] == "the station is not connected"
    assert answer["state"] == "offline"
    stored = await house.get(f"/commands/{answer['id']}")
    assert stored["state"] == "offline"
    assert await house.get("/commands?state=offline&station_id=CS-1") == {"items": [stored], "next_cursor": None}


async def test_an_error_of_the_station_is_a_call_error_with_its_code(house: House) -> None:
    def fail(_action: str, _payload: Any) -> Any:
        raise CallFailed("no")

    async with house.station("CS-1", fail):
        final = await house.ask(
            "POST", "/commands/CLEAR_CACHE", 200, json={"station_id": "CS-1"}, headers={"prefer": "wait=10"}
        )
    assert (final["state"], final["error_code"], final["error_description"]) == ("call_error", "InternalError", "no")
    assert final["answer"] == {"why": 1}


async def test_a_command_that_is_never_answered_times_out(tmp_path: Path) -> None:
    settings = CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT, sweep_interval_s=0.1)
    async with house(tmp_path, csms_settings=settings) as made, made.station("CS-1", lambda _action, _payload: None):
        body = {"station_id": "CS-1", "timeout_s": 0.2}
        final = await made.ask("POST", "/commands/CLEAR_CACHE", 200, json=body, headers={"prefer": "wait=10"})
        assert final["state"] == "timeout"


async def test_an_idempotency_key_names_one_command(house: House) -> None:
    async with house.station("CS-1") as station:
        headers = {"idempotency-key": "k1", "prefer": "wait=10"}
        first = await house.ask("POST", "/commands/CLEAR_CACHE", 200, json={"station_id": "CS-1"}, headers=headers)
        again = await house.ask("POST", "/commands/CLEAR_CACHE", 200, json={"station_id": "CS-1"}, headers=headers)
        assert again == first
        assert station.frames.qsize() == 1
        other = await house.ask("POST", "/commands/RESET", 409, json={"station_id": "CS-1"}, headers=headers)
        assert other["detail"] == "the idempotency key was used for another command"


async def test_every_typed_command_reaches_the_station(house: House) -> None:
    answers: dict[str, Any] = {
        "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]},
        "UnlockConnector": {"status": "Unlocked"},
    }
    interval = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
    bodies: dict[str, dict[str, Any]] = {
        "START_SESSION": {"id_token": {"value": "TAG"}, "evse_id": 1},
        "STOP_SESSION": {"transaction_id": "7"},
        "UNLOCK_CONNECTOR": {"evse_id": 1},
        "RESET": {"reset_type": "Immediate", "graceful": True},
        "CHANGE_AVAILABILITY": {"evse_id": 0, "operational_status": "Inoperative"},
        "TRIGGER_MESSAGE": {"requested_message": "Heartbeat"},
        "SET_VARIABLES": {"settings": [{"ref": interval, "value": "60"}]},
        "GET_VARIABLES": {"refs": [interval]},
        "SET_CHARGING_PROFILE": {"evse_id": 1, "profile": PROFILE},
        "CLEAR_CHARGING_PROFILE": {"purpose": "TxDefaultProfile"},
        "GET_COMPOSITE_SCHEDULE": {"evse_id": 1, "duration_s": 600},
        "CLEAR_CACHE": {},
        "DATA_TRANSFER": {"vendor_id": "v", "message_id": "m", "content": "c"},
    }
    described = await house.get("/openapi.json")
    offered = {path.rpartition("/")[2] for path in described["paths"] if path.startswith("/api/v1/commands/")}
    assert offered - {"{command_id}", "batch"} - set(TYPED_RESOURCES) == set(bodies)
    async with house.station("CS-1", lambda action, _: answers.get(action, {"status": "Accepted"})) as station:
        for name, body in bodies.items():
            headers = {"prefer": "wait=10"}
            command = await house.ask(
                "POST", f"/commands/{name}", 200, json={"station_id": "CS-1", **body}, headers=headers
            )
            assert command["state"] == "accepted", (name, command)
            assert json.loads(await station.frames.get())[2] == command["action"]
        configuration = await house.get("/stations/CS-1/configuration")
        assert [(entry["ref"], entry["value"]) for entry in configuration["reported"]] == [(interval, "300")]


async def test_a_transaction_is_stopped_by_our_number(house: House) -> None:
    async with house.station("CS-1") as station:
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-01T12:00:00Z"}
        wire_id = (await station.call("StartTransaction", start))["transactionId"]
        number = (await house.get("/stations/CS-1/transactions"))["items"][0]["number"]
        body = {"transaction_number": number}
        command = await house.ask("POST", "/commands/STOP_SESSION", 200, json=body, headers={"prefer": "wait=10"})
        assert command["payload"] == {"transactionId": wire_id}
        assert command["transaction_number"] == number
    await house.ask("POST", "/commands/STOP_SESSION", 404, json={"transaction_number": 99})


WRONG: list[tuple[str, dict[str, Any], str]] = [
        ("START_SESSION", {"station_id": "x"}, "id_token"),
        ("START_SESSION", {"station_id": "x", "id_token": {"value": ""}}, "id_token.value"),
        ("START_SESSION", {"station_id": "x", "id_token": {"value": "a", "colour": 1}}, "id_token.colour"),
        ("STOP_SESSION", {}, "transaction_number"),
        ("STOP_SESSION", {"station_id": "x"}, "transaction_id"),
        ("STOP_SESSION", {"transaction_number": 1, "station_id": "x"}, "transaction_number"),
        ("RESET", {"station_id": "x", "timeout_s": 0}, "timeout_s"),
        ("RESET", {"station_id": "x", "evse_id": 2**31}, "evse_id"),
        ("RESET", {"station_id": "x", "evse_id": "1"}, "evse_id"),
        ("SET_VARIABLES", {"station_id": "x", "settings": [{"ref": {"component": "C"}, "value": "1"}]},
         "settings[0].ref.variable"),
        ("SET_CHARGING_PROFILE", {"station_id": "x", "evse_id": 1, "profile": {**PROFILE, "valid_from": "2026-01-01"}},
         "profile.valid_from"),
        ("SET_CHARGING_PROFILE", {"station_id": "x", "evse_id": 1, "profile": {
            **PROFILE, "schedules": [{"rate_unit": "A", "periods": [{"start_period_s": 5, "rate_limit": 1}]}]}},
         "profile.schedules[0].periods"),
]  # fmt: skip


async def test_a_wrong_command_names_its_field(house: House) -> None:
    for name, body, field in WRONG:
        problem = await house.ask("POST", f"/commands/{name}", 422, json=body)
        assert [error["field"] for error in problem["errors"]] == [field], (name, body)


async def test_a_profile_is_found_by_the_id_on_the_wire_and_taken_away(house: House) -> None:
    async with house.station("CS-1") as station:
        body = {"station_id": "CS-1", "evse_id": 1, "profile": PROFILE}
        wait = {"prefer": "wait=10"}
        command = await house.ask("POST", "/charging-profiles", 200, json=body, headers=wait)
        assert command["state"] == "accepted"
        sent = json.loads(await station.frames.get())[3]
        schedule = sent["csChargingProfiles"]["chargingSchedule"]
        assert schedule["startSchedule"].startswith("2026-01-01T00:00:00")
        wire_id = sent["csChargingProfiles"]["chargingProfileId"]

        found = await house.get(f"/charging-profiles?profile_id={wire_id}&station_id=CS-1&state=installed")
        [profile] = found["items"]
        assert (profile["profile_id"], profile["command_id"]) == (wire_id, command["id"])
        assert await house.get(f"/charging-profiles/{profile['number']}") == profile
        assert (await house.get(f"/charging-profiles?profile_id={wire_id + 1}"))["items"] == []

        await house.ask("DELETE", f"/charging-profiles/{profile['number']}", 200, headers=wait)
        assert json.loads(await station.frames.get())[2:] == ["ClearChargingProfile", {"id": wire_id}]
        assert (await house.get(f"/charging-profiles/{profile['number']}"))["state"] == "cleared"
    await house.get(f"/charging-profiles/{profile['number'] + 1}", 404)


async def test_the_composite_schedule_is_the_stations_word(house: House) -> None:
    answer = {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": "2026-11-01T12:00:00Z",
        "chargingSchedule": {
            "duration": 600,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
        },
    }
    async with house.station("CS-1", lambda _action, _payload: answer):
        given_back = await house.get("/stations/CS-1/composite-schedule?evse_id=1&duration_s=600")
        assert given_back["schedule"]["periods"][0]["rate_limit"] == 16.0
        assert given_back["command"]["state"] == "accepted"
    async with house.station("CS-1", lambda _action, _payload: None):
        await house.get("/stations/CS-1/composite-schedule", 202, headers={"prefer": "wait=0"})
    await house.eventually(lambda: _is_offline(house, "CS-1"))
    await house.get("/stations/CS-1/composite-schedule", 409)


async def _is_offline(house: House, station_id: str) -> bool:
    connection = await house.get(f"/stations/{station_id}/connection")
    return not connection["connected"]


async def test_a_command_that_the_protocol_has_no_words_for_is_not_left_open(house: House) -> None:
    async with house.station("CS-1") as station:
        body = {"station_id": "CS-1", "evse_id": 1, "profile": {**PROFILE, "purpose": "PriorityCharging"}}
        command = await house.ask("POST", "/charging-profiles", 200, json=body, headers={"prefer": "wait=10"})
        assert command["state"] in {"rejected", "call_error"}
        assert command["detail"]
        assert station.frames.empty()


async def test_stopping_the_api_ends_a_wait(tmp_path: Path) -> None:
    async with house(tmp_path) as made, made.station("CS-1", lambda _action, _payload: None) as station:
        waiting = asyncio.create_task(
            made.client.post("/api/v1/commands/CLEAR_CACHE", json={"station_id": "CS-1"}, headers={"prefer": "wait=60"})
        )
        await station.frames.get()
        await made.api.stop()
        assert (await waiting).status_code == 202


async def test_commands_come_newest_first_and_in_pages(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    made = [await house.ask("POST", "/commands/CLEAR_CACHE", 409, json={"station_id": "CS-1"}) for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await house.get(f"/commands?limit=2{cursor}")
        seen += [command["id"] for command in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [command["id"] for command in reversed(made)]
    later = await house.get(f"/commands?created_from={made[2]['created_at']}&created_to={made[4]['created_at']}")
    assert [command["id"] for command in later["items"]] == [made[3]["id"], made[2]["id"]]


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        (None, None), ("", None), ("wait=5", 5.0), ("WAIT = 5", 5.0), ('respond-async; x, wait="7"', 7.0),
        ("wait=100000", 60.0), ("wait=-1", None), ("wait=x", None), ("nowait=3", None), ("wait=1.5", None),
    ],
)  # fmt: skip
def test_the_preference_is_read_and_capped(prefer: str | None, wait_s: float | None) -> None:
    assert granted_wait_s(prefer, 60.0) == wait_s


async def test_an_idempotency_key_names_one_command_with_everything_that_was_asked(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CS1"})
    period = {"start_period_s": 0, "rate_limit": 6}
    profile = {
        "stack_level": 0,
        "purpose": "TxDefaultProfile",
        "kind": "Absolute",
        "schedules": [{"rate_unit": "A", "periods": [period], "start_schedule": "2025-06-01T12:00:00+02:00"}],
    }
    start = {"station_id": "CS1", "id_token": {"value": "T"}}
    asked: list[tuple[str, Any, Any]] = [
        ("/commands/RESET", {"station_id": "CS1"}, {"station_id": "CS1", "graceful": False}),
        ("/commands/RESET", {"station_id": "CS1", "timeout_s": 5}, {"station_id": "CS1", "timeout_s": 6}),
        ("/commands/START_SESSION", start, start | {"evse_id": 1}),
        ("/commands/START_SESSION", start | {"charging_profile": profile | {"purpose": "TxProfile"}}, start),
        (
            "/commands/GET_VARIABLES",
            {"station_id": "CS1"},
            {"station_id": "CS1", "report_base": "ConfigurationInventory"},
        ),
        (
            "/commands/SET_CHARGING_PROFILE",
            {"station_id": "CS1", "evse_id": 1, "profile": profile},
            {"station_id": "CS1", "evse_id": 1, "profile": profile | {"stack_level": 1}},
        ),
        ("/stations/CS1/ocpp/Reset", {"type": "Hard"}, {"type": "Soft"}),
    ]
    for number, (path, body, other) in enumerate(asked):
        headers = {"idempotency-key": f"key {number}"}
        first = await house.ask("POST", path, 409, json=body, headers=headers)
        assert first["state"] == "offline"
        again = await house.ask("POST", path, 409, json=body, headers=headers)
        assert again == first
        refused = await house.ask("POST", path, 409, json=other, headers=headers)
        assert "idempotency key" in refused["detail"]
    listed = await house.get("/commands", params={"limit": 100})
    assert len(listed["items"]) == len(asked)


async def test_every_command_says_how_it_ends(house: House) -> None:
    paths = (await house.get("/openapi.json"))["paths"]
    asking = [path for path in paths if path.startswith("/api/v1/commands/") and "{" not in path]
    assert {path.rpartition("/")[2] for path in asking} == {*TYPED, "batch"}
    asking.remove("/api/v1/commands/batch")
    for path in (*asking, "/api/v1/stations/{station_id}/ocpp/{action}"):
        described = paths[path]["post"]["description"]
        assert [state for state in CommandState if state.final and state.value not in described] == [], path
