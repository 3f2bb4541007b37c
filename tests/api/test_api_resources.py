"""Locations, stations, tokens, transactions, the message history: as entered, as a real station makes them."""

from typing import Any

import pytest

from forecourt.csms import message_log
from tests.api.houses import House


async def test_locations_are_entered_changed_and_taken_out(house: House) -> None:
    body = {"name": "Yard", "latitude": 52.5, "longitude": 13.4, "time_zone": "Europe/Berlin"}
    response = await house.client.post("/api/v1/locations", json=body)
    made = response.json()
    assert response.headers["location"] == f"/api/v1/locations/{made['id']}"
    path = f"/locations/{made['id']}"
    assert await house.get(path) == made
    changed = await house.ask("PUT", path, 200, json={"name": "Depot"})
    assert (changed["name"], changed["latitude"], changed["created_at"]) == ("Depot", None, made["created_at"])
    await house.ask("POST", "/stations", 201, json={"id": "CS-1", "location_id": made["id"]})
    assert [entry["id"] for entry in (await house.get(f"/stations?location_id={made['id']}"))["items"]] == ["CS-1"]
    assert (await house.get("/locations"))["items"] == [changed]
    await house.ask("DELETE", path, 204)
    await house.get(path, 404)
    assert (await house.get("/stations/CS-1"))["location_id"] is None


async def test_stations_are_entered_changed_and_taken_out(house: House) -> None:
    await house.ask("POST", "/stations", 201, json={"id": "CS-1", "name": "North", "security_profile": 1})
    await house.ask("POST", "/stations", 409, json={"id": "CS-1"})
    changed = await house.ask("PATCH", "/stations/CS-1", 200, json={"registration": "Pending", "name": None})
    assert (changed["registration"], changed["name"], changed["security_profile"]) == ("Pending", None, 1)
    assert await house.ask("PATCH", "/stations/CS-1", 200, json={}) == changed
    assert (await house.get("/stations?registration=Pending&connected=false"))["items"] == [changed]
    assert (await house.get("/stations?registration=Accepted"))["items"] == []
    await house.ask("DELETE", "/stations/CS-1", 204)
    await house.ask("DELETE", "/stations/CS-1", 404)


async def test_any_identity_has_a_path(house: House) -> None:
    for identity in ("a/b", "DE*ABC*E1", "with blanks", "ä€", "a%2Fb", "..", "."):
        response = await house.client.post("/api/v1/stations", json={"id": identity})
        assert response.status_code == 201
        # A client's library would tidy dots away.
        path = response.headers["location"].replace("stations/.", "stations/%2E").replace("%2E.", "%2E%2E")
        response = await house.client.get(path)
        assert (response.status_code, response.json()["id"]) == (200, identity)
        assert (await house.client.get(f"{path}/connection")).status_code == 200
        assert (await house.client.get(path.replace("stations/", "stations/%00"))).status_code == 404


async def test_a_station_shows_what_it_is_and_what_it_does(house: House) -> None:
    async with house.station("CS-1") as station:
        started = {"connectorId": 1, "idTag": "TAG", "meterStart": 1000, "timestamp": "2026-11-01T12:00:00Z"}
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "timestamp": "2026-11-01T12:00:01Z"}
        await station.call("StatusNotification", status)
        wire_id = (await station.call("StartTransaction", started))["transactionId"]
        for minute in range(3):
            at = f"2026-11-01T12:0{minute + 1}:00Z"
            samples = [
                {"value": str(1000 + 100 * minute), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
                {"value": "7200", "measurand": "Power.Active.Import", "unit": "W"},
            ]
            meter = [{"timestamp": at, "sampledValue": samples}]
            await station.call("MeterValues", {"connectorId": 1, "transactionId": wire_id, "meterValue": meter})

        shown = await house.get("/stations/CS-1")
        assert shown["identity"] == {"vendor_name": "Vendor", "model": "Model"}
        assert (shown["connected"], shown["protocol"]) == (True, "ocpp1.6")
        connection = await house.get("/stations/CS-1/connection")
        assert connection["connection_changed_at"] == shown["connection_changed_at"]
        connectors = (await house.get("/stations/CS-1/connectors"))["items"]
        [connector] = [entry for entry in connectors if entry["evse_id"] == 1]
        assert (connector["view"], connector["power_w"]) == ("charging", 7200.0)
        evse = await house.get("/stations/CS-1/evses/1")
        assert evse == {"evse_id": 1, "connectors": [connector]}
        assert evse in (await house.get("/stations/CS-1/evses"))["items"]
        await house.get("/stations/CS-1/evses/9", 404)

        [active] = (await house.get("/transactions?state=active&station_id=CS-1&id_token=tag"))["items"]
        assert (active["transaction_id"], active["energy_wh"]) == (str(wire_id), 200.0)
        assert connector["transaction_number"] == active["number"]
        assert (await house.get("/transactions?started_to=2026-11-01T12:00:00%2B00:00"))["items"] == []
        assert (await house.get("/transactions?started_from=2026-11-01T13:00:00%2B01:00"))["items"] == [active]

        readings: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await house.get(f"/transactions/{active['number']}/meter-values?limit=1{cursor}")
            readings += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert [reading["energy_wh"] for reading in readings if reading["power_w"]] == [1000.0, 1100.0, 1200.0]
        whole = await house.get(f"/transactions/{active['number']}/meter-values")
        assert whole == {"items": readings, "next_cursor": None}
        later = await house.get(f"/transactions/{active['number']}/meter-values?since=2026-11-01T12:03:00Z")
        assert later["items"] == readings[-1:]

        closed = await house.ask("POST", f"/transactions/{active['number']}/close", 200)
        assert (closed["state"], closed["energy_wh"]) == ("closed", 200.0)
        await house.ask("POST", f"/transactions/{active['number']}/close", 409)
        assert station.frames.empty()  # without a word to the station


async def test_readings_of_one_instant_are_given_once_each(house: House) -> None:
    async with house.station("CS-1") as station:
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-01T12:00:00Z"}
        wire_id = (await station.call("StartTransaction", start))["transactionId"]
        for value in range(7):
            entry = {"timestamp": "2026-11-01T12:01:00Z", "sampledValue": [{"value": str(value)}]}
            meter = {"connectorId": 1, "transactionId": wire_id, "meterValue": [entry]}
            await station.call("MeterValues", meter)
    [transaction] = (await house.get("/transactions"))["items"]
    path = f"/transactions/{transaction['number']}/meter-values"
    seen: list[float] = []
    cursor = ""
    while True:
        page = await house.get(f"{path}?limit=2{cursor}")
        assert len(page["items"]) <= 2
        seen += [reading["energy_wh"] for reading in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(reading["energy_wh"] for reading in (await house.get(path))["items"])
    assert {float(value) for value in range(7)} <= set(seen)
    await house.get(f"{path}?cursor=nonsense", 422)


async def test_tokens_are_upserted_with_any_expiry(house: House) -> None:
    body = {"expires_at": "2001-01-01T02:00:00+02:00", "group": "G", "charging_priority": -9, "note": "old"}
    first = await house.ask("PUT", "/tokens/AbC", 200, json=body)
    assert (first["expires_at"], first["standing"]) == ("2001-01-01T00:00:00Z", "Accepted")
    again = await house.ask("PUT", "/tokens/aBc", 200, json={"standing": "Blocked"})
    assert (again["standing"], again["expires_at"], again["created_at"]) == ("Blocked", None, first["created_at"])
    assert (await house.get("/tokens"))["items"] == [again]
    await house.ask("PUT", "/tokens/other", 200, json={"group": "G"})
    assert [entry["value"] for entry in (await house.get("/tokens?group=G"))["items"]] == ["other"]
    async with house.station("CS-1") as station:
        assert (await station.call("Authorize", {"idTag": "ABC"}))["idTagInfo"]["status"] == "Blocked"
    await house.ask("DELETE", "/tokens/ABC", 204)
    await house.get("/tokens/abc", 404)


async def test_what_is_desired_and_what_drifts(house: House) -> None:
    ref = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
    await house.ask("POST", "/stations", 201, json={"id": "CS-1"})
    body = {"desired": [{"ref": ref, "value": "60"}]}
    configuration = await house.ask("PATCH", "/stations/CS-1/configuration", 200, json=body)
    assert configuration["drift"] == [{"ref": ref, "desired": "60", "reported": None}]
    (one,) = (await house.get("/stations/CS-1/variables?drifts=true"))["items"]
    assert (one["ref"], one["value"], one["desired"], one["drifts"]) == (ref, None, "60", True)
    answers: dict[str, Any] = {
        "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]},
        "ChangeConfiguration": {"status": "Accepted"},
    }
    async with house.station("CS-1", lambda action, _: answers[action]):

        async def in_place() -> bool:
            configuration = await house.get("/stations/CS-1/configuration")
            return not configuration["drift"] and configuration["reported"][0]["value"] == "60"

        await house.eventually(in_place)
        body = {"desired": [{"ref": ref, "value": "90"}]}
        await house.ask("PATCH", "/stations/CS-1/configuration", 200, json=body)
        at_once = await house.ask("POST", "/stations/CS-1/configuration/synchronise", 200)
        assert (at_once["drift"], at_once["desired"][0]["outcome"]) == ([], "Accepted")
        body = {"desired": [{"ref": ref, "value": "60"}]}
        await house.ask("PATCH", "/stations/CS-1/configuration", 200, json=body)
        answers["ChangeConfiguration"] = {"status": "Rejected"}
        refused = await house.ask("POST", "/stations/CS-1/configuration/synchronise", 200)
        assert refused["drift"] == [{"ref": ref, "desired": "60", "reported": "300"}]
        answers["ChangeConfiguration"] = {"status": "Accepted"}
        await house.ask("POST", "/stations/CS-1/configuration/synchronise", 200)

    async def gone() -> bool:
        return not (await house.get("/stations/CS-1/connection"))["connected"]

    await house.eventually(gone)
    await house.ask("POST", "/stations/CS-1/configuration/synchronise", 409)
    query = "component=OCPPCommCtrlr&variable=HeartbeatInterval"
    named = f"/stations/CS-1/variables?component={ref['component']}&variable={ref['variable']}"
    (one,) = (await house.get(named))["items"]
    assert (one["value"], one["desired"], one["outcome"], one["drifts"]) == ("60", "60", "Accepted", False)
    assert (await house.get("/stations/CS-1/variables?component=Nothing"))["items"] == []
    assert (await house.get("/stations/CS-1/variables?drifts=true"))["items"] == []
    await house.ask("DELETE", f"/stations/CS-1/configuration/desired?{query}", 204)
    await house.ask("DELETE", f"/stations/CS-1/configuration/desired?{query}", 404)
    await house.ask("DELETE", "/stations/CS-1/configuration/desired?component=C", 422)
    assert (await house.get("/stations/CS-1/configuration"))["desired"] == []


async def test_frames_are_searched_and_violations_are_shown(house: House) -> None:
    async with house.station("CS-1") as station:
        await station.call("Heartbeat", {"surplus": True})
        await station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Bored"})

        async def written() -> bool:
            found = await house.get("/ocpp-messages?station_id=CS-1&action=Heartbeat&direction=in")
            return bool(found["items"])

        await house.eventually(written)
        [frame] = (await house.get("/ocpp-messages?station_id=CS-1&action=Heartbeat&direction=in"))["items"]
        assert (frame["station_id"], frame["frame"]) == ("CS-1", '[2, "s2", "Heartbeat", {"surplus": true}]')
        assert (await house.get("/ocpp-messages?until=2020-01-01T00:00:00Z"))["items"] == []
        assert len((await house.get("/ocpp-messages?limit=1&since=2020-01-01T00:00:00Z"))["items"]) == 1
        await house.get("/ocpp-messages?station_id=CS-9", 404)
        violations = (await house.get("/stations/CS-1/violations"))["items"]
        assert violations
        assert violations[0]["action"] == "StatusNotification"


async def test_text_is_searched_in_all_frames_and_found_with_its_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "READ_FOR_A_TEXT", 4)
    async with house.station("CS-1") as station:
        await station.call("DataTransfer", {"vendorId": "A needle"})
        for _ in range(6):
            await station.call("Heartbeat", {})

        async def written() -> bool:
            return len((await house.get("/ocpp-messages?action=Heartbeat"))["items"]) == 6

        await house.eventually(written)
        cursor, pages, found = None, 0, []
        while pages == 0 or cursor is not None:
            path = "/ocpp-messages?text=a%20NEEDLE&exchanges=true" + ("" if cursor is None else f"&cursor={cursor}")
            page = await house.get(path)
            pages, cursor = pages + 1, page["next_cursor"]
            found += [(one["action"], one["message_id"], "item") for one in page["items"]]
            found += [(one["action"], one["message_id"], "other") for one in page["others"]]
        assert pages >= 4, "each page looks through so many frames and no more"
        assert found == [("DataTransfer", found[0][1], "item"), (None, found[0][1], "other")]
        everything = await house.get("/ocpp-messages?exchanges=true&limit=500")
        assert (len(everything["items"]) >= 14, everything["others"]) == (True, [])
        await house.get("/ocpp-messages?text=", 422)


WRONG: list[tuple[str, str, Any, str]] = [
        ("POST", "/stations", {}, "id"),
        ("POST", "/stations", {"id": "x", "nam": "y"}, "nam"),
        ("POST", "/stations", {"id": 1}, "id"),
        ("POST", "/stations", {"id": "x" * 256}, "id"),
        ("POST", "/stations", {"id": "a\nb"}, "id"),
        ("POST", "/stations", {"id": "x", "location_id": 2**63}, "location_id"),
        ("POST", "/stations", {"id": "x", "location_id": 7}, "location_id"),
        ("POST", "/stations", {"id": "x", "security_profile": "1"}, "security_profile"),
        ("POST", "/stations", [], "body"),
        ("POST", "/locations", {"name": "x", "latitude": 91}, "latitude"),
        ("PUT", "/tokens/x", {"expires_at": "2026-01-01T00:00:00"}, "expires_at"),
        ("PUT", "/tokens/x", {"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ("PUT", "/tokens/x", {"expires_at": 5}, "expires_at"),
        ("PUT", "/tokens/x", {"charging_priority": 10}, "charging_priority"),
        ("PUT", "/tokens/" + "x" * 256, {}, "value"),
        ("POST", "/api-keys", {"name": "x", "scopes": []}, "scopes"),
        ("POST", "/api-keys", {"name": "x", "scopes": ["root"]}, "scopes[0]"),
        ("GET", "/stations?limit=0", None, "limit"),
        ("GET", "/stations?limit=501", None, "limit"),
        ("GET", "/stations?cursor=x", None, "cursor"),
        ("GET", "/stations?cursor=99999999999999999999", None, "cursor"),
        ("GET", "/stations?conected=true", None, "conected"),
        ("GET", "/stations?connected=perhaps", None, "connected"),
        ("GET", "/stations?location_id=99999999999999999999", None, "location_id"),
        ("GET", "/transactions?started_from=2026-01-01T00:00:00", None, "started_from"),
        ("GET", "/transactions?started_from=0001-01-01T00:00:00%2B10:00", None, "started_from"),
        ("GET", "/transactions?state=gone", None, "state"),
        ("GET", "/ocpp-messages?direction=up", None, "direction"),
]  # fmt: skip


async def test_an_error_names_its_field(house: House) -> None:
    for method, path, body, field in WRONG:
        problem = await house.ask(method, path, 422, **({} if body is None else {"json": body}))
        assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Unprocessable Entity", 422)
        assert [error["field"] for error in problem["errors"]] == [field], (path, body)
        assert problem["errors"][0]["message"]
        assert problem["detail"]


NOWHERE = [
        "/", "/nowhere", "/stations/none", "/stations/none/connectors", "/stations/none/configuration",
        "/stations/none/violations", "/transactions?station_id=none", "/commands?station_id=none", "/commands/none",
        "/transactions/1", "/transactions/0", "/transactions/x", "/transactions/99999999999999999999",
        "/transactions/1/meter-values", "/locations/1", "/tokens/none", "/charging-profiles/1",
        "/charging-profiles/9223372036854775807", "/charging-profiles?station_id=none", "/stations/x%00y",
]  # fmt: skip


async def test_what_is_not_there_is_404(house: House) -> None:
    for path in NOWHERE:
        assert (await house.get(path, 404))["title"] == "Not Found", path


async def test_a_wrong_method_says_which_are_right(house: House) -> None:
    response = await house.client.put("/api/v1/stations", json={})
    assert response.status_code == 405
    assert {"GET", "POST"} <= {method.strip() for method in response.headers["allow"].split(",")}


async def test_a_body_that_says_it_is_no_json_is_refused(house: House) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        await house.ask("POST", "/stations", 415, content=b'{"id":"x"}', headers={"content-type": kind})
    await house.ask(
        "PUT", "/tokens/T", 200, content=b"{}", headers={"content-type": "application/x+json; charset=utf-8"}
    )
