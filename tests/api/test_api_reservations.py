"""Reservations: what stations say of them, what becomes of them, and how they are found."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tests.api.houses import OPEN, CallFailed, House, house

SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
WAIT = {"prefer": "wait=5"}


def asked(**more: Any) -> dict[str, Any]:
    return {"station_id": "CS1", "id_token": {"value": "AbC"}, "expires_at": SOON, "evse_id": 1, **more}


async def reserve(house: House, status: int = 200, **more: Any) -> Any:
    return await house.ask("POST", "/reservations", status, json=asked(**more), headers=WAIT)


async def test_one_is_made_used_and_over(house: House) -> None:
    await house.ask("PUT", "/tokens/AbC", 200, json={})
    async with house.station("CS1") as station:
        made = (await reserve(house))["reservation"]
        assert (made["state"], made["evse_id"], made["id_token"]) == ("accepted", 1, "AbC")
        path = f"/reservations/{made['number']}"
        frame = msgspec.json.decode(await station.frames.get())
        assert frame[2] == "ReserveNow"
        assert frame[3]["reservationId"] == made["reservation_id"]
        started = {
            "connectorId": 1,
            "idTag": "AbC",
            "meterStart": 0,
            "timestamp": datetime.now(UTC).isoformat(),
            "reservationId": made["reservation_id"],
        }
        transaction = (await station.call("StartTransaction", started))["transactionId"]
        now = await house.get(path)
        assert (now["state"], now["transaction_number"]) == ("in_use", transaction)
        stop = {"transactionId": transaction, "meterStop": 1, "timestamp": datetime.now(UTC).isoformat()}
        await station.call("StopTransaction", stop)
        assert (await house.get(path))["state"] == "used"


async def test_the_stations_refusal_is_its_state(house: House) -> None:
    words = ["Rejected", "Occupied", "Faulted", "Unavailable"]
    async with house.station("CS1", lambda _action, _payload: {"status": words[0]}):
        while words:
            made = await reserve(house)
            assert (made["reservation"]["state"], made["command"]["state"]) == (words.pop(0).lower(), "rejected")


async def test_it_is_cancelled_and_the_command_is_tied_to_it(house: House) -> None:
    async with house.station("CS1"):
        made = (await reserve(house))["reservation"]
        command = await house.ask("DELETE", f"/reservations/{made['number']}", 200, headers=WAIT)
        assert (command["state"], command["id_token"]) == ("accepted", "abc")
        now = await house.get(f"/reservations/{made['number']}")
        assert (now["state"], now["cancel_command_id"]) == ("cancelled", command["id"])


async def test_a_refused_cancellation_leaves_it(house: House) -> None:
    async with house.station("CS1", lambda action, _: {"status": "Accepted" if action == "ReserveNow" else "Rejected"}):
        made = (await reserve(house))["reservation"]
        await house.ask("DELETE", f"/reservations/{made['number']}", 200, headers=WAIT)
        assert (await house.get(f"/reservations/{made['number']}"))["state"] == "accepted"


async def test_offline_and_unanswered(house: House) -> None:
    async with house.station("CS1", lambda _action, _payload: None):
        made = await reserve(house, timeout_s=0.1)
        assert (made["reservation"]["state"], made["command"]["state"]) == ("unknown", "timeout")
    await house.eventually(lambda: disconnected(house))
    problem = await reserve(house, 409)
    assert problem["state"] == "offline"
    newest = (await house.get("/reservations"))["items"][0]
    assert (newest["state"], newest["command_id"]) == ("not_sent", problem["id"])


async def disconnected(house: House) -> bool:
    return not (await house.get("/stations/CS1"))["connected"]


async def test_an_error_is_a_rejection(house: House) -> None:
    def refuse(_action: str, _payload: Any) -> Any:
        raise CallFailed("no")

    async with house.station("CS1", refuse):
        made = (await reserve(house))["reservation"]
        assert (made["state"], made["detail"]) == ("rejected", "no")


async def test_another_of_the_same_id_takes_its_place(house: House) -> None:
    async with house.station("CS1"):
        first = (await reserve(house, reservation_id=7))["reservation"]
        second = (await reserve(house, reservation_id=7))["reservation"]
        assert (await house.get(f"/reservations/{first['number']}"))["state"] == "replaced"
        found = (await house.get("/reservations?reservation_id=7"))["items"]
        assert [entry["number"] for entry in found] == [second["number"], first["number"]]


async def test_a_raw_message_makes_one_too(house: House) -> None:
    async with house.station("CS1"):
        payload = {"connectorId": 0, "expiryDate": SOON, "idTag": "X", "reservationId": 33}
        await house.ask("POST", "/stations/CS1/ocpp/ReserveNow", 200, json=payload, headers=WAIT)
        (found,) = (await house.get("/reservations?reservation_id=33"))["items"]
        assert (found["state"], found["evse_id"], found["id_token"]) == ("accepted", None, "X")


async def test_nobody_came(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, sweep_interval_s=0.2)
    async with house(tmp_path, csms_settings=settings) as made, made.station("CS1"):
        at = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
        number = (await reserve(made, expires_at=at))["reservation"]["number"]

        async def expired() -> bool:
            return bool((await made.get(f"/reservations/{number}"))["state"] == "expired")

        await made.eventually(expired)


async def test_a_later_protocol_says_when_one_is_gone(house: House) -> None:
    async with house.station_v201("CS1") as station:
        made = (await reserve(house))["reservation"]
        told = {"reservationId": made["reservation_id"], "reservationUpdateStatus": "Removed"}
        await station.call("ReservationStatusUpdate", told)
        assert (await house.get(f"/reservations/{made['number']}"))["state"] == "removed"


async def test_lists_filter(house: House) -> None:
    async with house.station("CS1"), house.station("CS2"):
        await reserve(house)
        other = (await reserve(house, station_id="CS2", id_token={"value": "Other"}))["reservation"]
        for query in ("station_id=CS2", "id_token=oTHER", f"reservation_id={other['reservation_id']}"):
            assert [entry["number"] for entry in (await house.get(f"/reservations?{query}"))["items"]] == [
                other["number"]
            ]
        assert len((await house.get("/reservations?state=accepted"))["items"]) == 2
        assert (await house.get("/reservations?state=expired"))["items"] == []
        assert (await house.get("/reservations?created_to=2020-01-01T00:00:00Z"))["items"] == []
        page = await house.get("/reservations?limit=1")
        assert page["items"][0]["number"] == other["number"]
        assert len((await house.get(f"/reservations?limit=1&cursor={page['next_cursor']}"))["items"]) == 1
        commands = (await house.get("/commands?id_token=other"))["items"]
        assert [entry["name"] for entry in commands] == ["ReserveNow"]


async def test_what_cannot_be_is_refused(house: House) -> None:
    problem = await house.ask("POST", "/reservations", 422, json={**asked(), "evse_id": 0})
    assert problem["errors"][0]["field"] == "evse_id"
    await house.ask("POST", "/reservations", 404, json=asked(station_id="nobody"))
    await house.get("/reservations/99", 404)
