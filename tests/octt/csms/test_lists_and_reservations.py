"""OCPP 1.6 compliancy test cases, SUT Central System: local lists and reservations (document of 2024-04, §3.14, §3.17).

As `test_core.py`: an independent charge point, triggers by the public API only, nothing unsolicited.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.octt.csms.running import Api
from tests.octt.csms.station_v16 import PARENT, VALID, ChargePoint, call, now

OTHER = "OCTT-OTHER"

# 3.14 Local authorization list


@pytest.mark.parametrize("version", [-1, 0], ids=["tc_042_1_csms", "tc_042_2_csms"])
async def test_get_local_list_version(api: Api, point: ChargePoint, identity: str, version: int) -> None:
    point.answers["GetLocalListVersion"] = {"list_version": version}
    command = await api.command("GET_LOCAL_LIST_VERSION", identity)
    await point.expect("GetLocalListVersion")
    assert command["answer"] == {"listVersion": version}
    assert command["state"] == ("rejected" if version < 0 else "accepted")


@pytest.mark.parametrize(
    ("status", "state"),
    [("NotSupported", "not_supported"), ("Failed", "failed"), ("Accepted", "synchronised")],
    ids=["tc_043_1_csms", "tc_043_3_csms", "tc_043_4_csms"],
)
async def test_send_local_list_full(api: Api, point: ChargePoint, identity: str, status: str, state: str) -> None:
    point.answers |= {"GetLocalListVersion": {"list_version": 0}, "SendLocalList": {"status": status}}
    await api.put(f"/stations/{identity}/local-list", {"entries": [{"value": VALID}]})
    known = await api.post(f"/stations/{identity}/local-list/synchronise", status=200)
    await point.expect("GetLocalListVersion")
    sent = await point.expect("SendLocalList")
    assert sent["updateType"] == "Full"
    assert all("idTagInfo" in entry for entry in sent["localAuthorizationList"])
    assert known["state"] == state


async def test_tc_043_5_csms(api: Api, point: ChargePoint, identity: str) -> None:
    path = f"/stations/{identity}/local-list"
    point.answers["GetLocalListVersion"] = {"list_version": 0}
    await api.put(path, {"entries": [{"value": VALID}, {"value": OTHER}]})
    known = await api.post(f"{path}/synchronise", status=200)
    assert [await point.expect("GetLocalListVersion"), (await point.expect("SendLocalList"))["updateType"]] == [
        {},
        "Full",
    ]
    point.answers["GetLocalListVersion"] = {"list_version": known["version"]}
    await api.put(path, {"entries": [{"value": VALID}, {"value": OTHER, "status": "Blocked"}]})
    known = await api.post(f"{path}/synchronise", status=200)
    await point.expect("GetLocalListVersion")
    sent = await point.expect("SendLocalList")
    assert sent["updateType"] == "Differential"
    assert [entry["idTag"] for entry in sent["localAuthorizationList"]] == [OTHER]
    assert sent["localAuthorizationList"][0]["idTagInfo"]["status"] == "Blocked"
    assert (known["state"], known["version"]) == ("synchronised", sent["listVersion"])


# 3.17 Reservation


async def reserve(api: Api, identity: str, **more: Any) -> Any:
    expires_at = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    body = {"station_id": identity, "id_token": {"value": VALID}, "evse_id": 1, "expires_at": expires_at, **more}
    return (await api.post("/reservations", body, status=200))["reservation"]


async def state_of(api: Api, reservation: Any) -> str:
    return str((await api.get(f"/reservations/{reservation['number']}"))["state"])


async def test_tc_046_csms(api: Api, point: ChargePoint, identity: str) -> None:
    made = await reserve(api, identity)
    asked = await point.expect("ReserveNow")
    assert (asked["connectorId"], asked["idTag"]) == (1, VALID)
    await point.status("Reserved")
    assert (await api.connector(identity))["view"] == "reserved"
    answer = await point.start_transaction(reservation_id=asked["reservationId"])
    assert answer.id_tag_info["status"] == "Accepted"
    await point.status("Charging")
    assert await state_of(api, made) == "in_use"
    await point.stop_transaction(answer.transaction_id)
    found = await api.get(f"/reservations/{made['number']}")
    assert (found["state"], found["transaction_number"]) == ("used", answer.transaction_id)


async def test_tc_047_csms(api: Api, point: ChargePoint, identity: str) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=1)
    made = await reserve(api, identity, expires_at=expires_at.isoformat())
    asked = await point.expect("ReserveNow")
    assert datetime.fromisoformat(asked["expiryDate"]) == expires_at.replace(
        microsecond=expires_at.microsecond // 1000 * 1000
    )
    await point.status("Reserved")
    await asyncio.sleep(1)
    await point.status("Available")
    await api.eventually(lambda: state_of(api, made), lambda state: state == "expired")


@pytest.mark.parametrize(
    ("status", "connector"),
    [("Faulted", "Available"), ("Occupied", "Preparing"), ("Unavailable", "Unavailable"), ("Rejected", "Available")],
    ids=["tc_048_1_csms", "tc_048_2_csms", "tc_048_3_csms", "tc_048_4_csms"],
)
async def test_no_reservation(api: Api, point: ChargePoint, identity: str, status: str, connector: str) -> None:
    if status == "Unavailable":
        await api.command("CHANGE_AVAILABILITY", identity, evse_id=1, operational_status="Inoperative")
        assert await point.expect("ChangeAvailability") == {"connectorId": 1, "type": "Inoperative"}
    await point.status(connector)
    point.answers["ReserveNow"] = {"status": status}
    made = await reserve(api, identity)
    asked = await point.expect("ReserveNow")
    assert (asked["connectorId"], asked["idTag"]) == (1, VALID)
    assert made["state"] == status.lower()


async def test_tc_049_csms(api: Api, point: ChargePoint, identity: str) -> None:
    made = await reserve(api, identity, evse_id=None)
    assert (await point.expect("ReserveNow"))["connectorId"] == 0
    await point.status("Reserved", connector_id=0)
    assert (made["state"], made["evse_id"]) == ("accepted", None)


async def test_tc_051_csms(api: Api, point: ChargePoint, identity: str) -> None:
    made = await reserve(api, identity)
    asked = await point.expect("ReserveNow")
    await point.status("Reserved")
    response = await api.client.delete(f"/reservations/{made['number']}", headers={"prefer": "wait=15"})
    assert response.json()["state"] == "accepted"
    assert await point.expect("CancelReservation") == {"reservationId": asked["reservationId"]}
    await point.status("Available")
    assert await state_of(api, made) == "cancelled"


async def test_tc_052_csms(api: Api, point: ChargePoint, identity: str) -> None:
    made = await reserve(api, identity)
    asked = await point.expect("ReserveNow")
    await point.status("Reserved")
    point.answers["CancelReservation"] = {"status": "Rejected"}
    command = await api.command("CANCEL_RESERVATION", identity, reservation_id=asked["reservationId"] + 1000)
    assert (await point.expect("CancelReservation"))["reservationId"] != asked["reservationId"]
    assert command["state"] == "rejected"
    assert await state_of(api, made) == "accepted"


async def test_tc_053_csms(api: Api, point: ChargePoint, identity: str) -> None:
    await api.put(f"/tokens/{OTHER}", {"group": PARENT})
    made = await reserve(api, identity, group_id_token={"value": PARENT, "type": "Central"})
    asked = await point.expect("ReserveNow")
    assert (asked["connectorId"], asked["parentIdTag"]) == (1, PARENT)
    await point.status("Reserved")
    verdict = (await point.call(call.Authorize(OTHER))).id_tag_info
    assert (verdict["status"], verdict["parent_id_tag"]) == ("Accepted", PARENT)
    answer = await point.start_transaction(OTHER, reservation_id=asked["reservationId"])
    await point.status("Charging")
    assert await state_of(api, made) == "in_use"
    await point.stop_transaction(answer.transaction_id, timestamp=now())
    await point.status("Finishing")
    assert await state_of(api, made) == "used"
