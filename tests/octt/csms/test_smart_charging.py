"""OCPP 1.6 compliancy test cases, SUT Central System: Remote Trigger and Smart Charging (2024-04, §3.18, §3.19)."""

from typing import Any

import pytest

from tests.octt.csms.running import Api
from tests.octt.csms.station_v16 import CONNECTORS, VALID, ChargePoint, call, now

STACK_LEVEL = 0
START = "2030-01-01T00:00:00Z"
END = "2030-01-02T00:00:00Z"


def profile(**changes: Any) -> dict[str, Any]:
    """A profile as the API takes it."""
    schedule = {
        "rate_unit": "A",
        "duration_s": 3600,
        "start_schedule": START,
        "periods": [{"start_period_s": 0, "rate_limit": 6.0, "number_phases": 3}],
    }
    given = {
        "stack_level": STACK_LEVEL,
        "purpose": "TxDefaultProfile",
        "kind": "Absolute",
        "valid_from": START,
        "valid_to": END,
        "schedules": [schedule],
    }
    return given | changes


# 3.18 Remote trigger


async def test_tc_054_csms(api: Api, point: ChargePoint, identity: str) -> None:
    async def trigger(**body: Any) -> dict[str, Any]:
        command = await api.command("TRIGGER_MESSAGE", identity, **body)
        assert command["state"] == "accepted"
        return await point.expect("TriggerMessage")

    asked = await trigger(requested_message="MeterValues", evse_id=1)
    assert asked == {"requestedMessage": "MeterValues", "connectorId": 1}
    await point.call(call.MeterValues(1, [{"timestamp": now(), "sampledValue": [{"value": "1000"}]}]))
    assert await trigger(requested_message="Heartbeat") == {"requestedMessage": "Heartbeat"}
    await point.call(call.Heartbeat())
    asked = await trigger(requested_message="StatusNotification", evse_id=1)
    assert asked == {"requestedMessage": "StatusNotification", "connectorId": 1}
    await point.status("Available")
    asked = await trigger(requested_message="DiagnosticsStatusNotification")
    assert asked == {"requestedMessage": "DiagnosticsStatusNotification"}
    await point.call(call.DiagnosticsStatusNotification("Idle"))
    asked = await trigger(requested_message="FirmwareStatusNotification")
    assert asked == {"requestedMessage": "FirmwareStatusNotification"}
    await point.call(call.FirmwareStatusNotification("Idle"))


async def test_tc_055_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["TriggerMessage"] = {"status": "Rejected"}
    command = await api.command("TRIGGER_MESSAGE", identity, requested_message="MeterValues", evse_id=CONNECTORS + 1)
    assert await point.expect("TriggerMessage") == {"requestedMessage": "MeterValues", "connectorId": CONNECTORS + 1}
    assert command["state"] == "rejected"


# 3.19 Smart charging


@pytest.mark.parametrize(("rate_unit", "limit"), [("A", 6.0), ("W", 6000.0)])
async def test_tc_056_csms(api: Api, point: ChargePoint, identity: str, rate_unit: str, limit: float) -> None:
    wanted = profile()
    wanted["schedules"][0] |= {
        "rate_unit": rate_unit,
        "periods": [{"start_period_s": 0, "rate_limit": limit, "number_phases": 3}],
    }
    command = await api.command("SET_CHARGING_PROFILE", identity, evse_id=1, profile=wanted)
    asked = await point.expect("SetChargingProfile")
    sent = asked["csChargingProfiles"]
    assert asked["connectorId"] == 1
    assert sent.pop("chargingProfileId") > 0
    assert sent == {
        "stackLevel": STACK_LEVEL,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "validFrom": START,
        "validTo": END,
        "chargingSchedule": {
            "duration": 3600,
            "startSchedule": START,
            "chargingRateUnit": rate_unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit, "numberPhases": 3}],
        },
    }
    assert command["state"] == "accepted"
    (stored,) = (await api.get("/charging-profiles", station_id=identity))["items"]
    assert stored["state"] == "installed"


async def test_tc_057_csms(api: Api, point: ChargePoint, identity: str) -> None:
    transaction_id = await point.charging()
    wanted = profile(
        purpose="TxProfile", kind="Relative", transaction_id=str(transaction_id), valid_from=None, valid_to=None
    )
    wanted["schedules"][0]["start_schedule"] = None
    command = await api.command("SET_CHARGING_PROFILE", identity, evse_id=1, profile=wanted)
    asked = await point.expect("SetChargingProfile")
    assert asked["connectorId"] == 1
    assert asked["csChargingProfiles"]["chargingProfilePurpose"] == "TxProfile"
    assert asked["csChargingProfiles"]["transactionId"] == transaction_id
    assert command["state"] == "accepted"


async def test_tc_066_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["GetCompositeSchedule"] = {
        "status": "Accepted",
        "connector_id": 1,
        "schedule_start": START,
        "charging_schedule": {
            "duration": 300,
            "startSchedule": START,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}, {"startPeriod": 60, "limit": 10.0}],
        },
    }
    answer = await api.get(f"/stations/{identity}/composite-schedule", evse_id=1, duration_s=300, rate_unit="A")
    assert await point.expect("GetCompositeSchedule") == {"connectorId": 1, "duration": 300, "chargingRateUnit": "A"}
    assert answer["command"]["state"] == "accepted"
    assert [period["rate_limit"] for period in answer["schedule"]["periods"]] == [6.0, 10.0]


async def test_tc_067_csms(api: Api, point: ChargePoint, identity: str) -> None:
    ids = []
    for step in range(3):
        wanted = profile(stack_level=STACK_LEVEL + step)
        command = await api.command("SET_CHARGING_PROFILE", identity, evse_id=1, profile=wanted)
        assert command["state"] == "accepted"
        sent = (await point.expect("SetChargingProfile"))["csChargingProfiles"]
        assert sent["stackLevel"] == STACK_LEVEL + step
        ids.append(sent["chargingProfileId"])
    assert len(set(ids)) == 3

    async def installed() -> set[int]:
        listed = await api.get("/charging-profiles", station_id=identity, state="installed")
        return {stored["profile_id"] for stored in listed["items"]}

    assert await installed() == set(ids)
    await api.command("CLEAR_CHARGING_PROFILE", identity, profile_id=ids[0])
    assert await point.expect("ClearChargingProfile") == {"id": ids[0]}
    assert await installed() == set(ids[1:])
    criteria = {"evse_id": 1, "purpose": "TxDefaultProfile", "stack_level": STACK_LEVEL + 1}
    await api.command("CLEAR_CHARGING_PROFILE", identity, **criteria)
    assert await point.expect("ClearChargingProfile") == {
        "connectorId": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "stackLevel": STACK_LEVEL + 1,
    }
    assert await installed() == {ids[2]}
    command = await api.command("CLEAR_CHARGING_PROFILE", identity)
    assert await point.expect("ClearChargingProfile") == {}
    assert command["state"] == "accepted"
    assert await installed() == set()


async def test_tc_059_csms(api: Api, point: ChargePoint, identity: str) -> None:
    wanted = profile(purpose="TxProfile", kind="Relative", valid_from=None, valid_to=None)
    wanted["schedules"][0]["start_schedule"] = None
    command = await api.command(
        "START_SESSION", identity, evse_id=1, id_token={"value": VALID}, charging_profile=wanted
    )
    assert command["state"] == "accepted"
    asked = await point.expect("RemoteStartTransaction")
    assert (asked["idTag"], asked["connectorId"]) == (VALID, 1)
    sent = asked["chargingProfile"]
    assert (sent["chargingProfilePurpose"], sent["chargingProfileKind"]) == ("TxProfile", "Relative")
    assert "transactionId" not in sent
    assert [period["startPeriod"] for period in sent["chargingSchedule"]["chargingSchedulePeriod"]] == [0]
    assert await point.authorize(asked["idTag"]) == "Accepted"
    await point.status("Preparing")
    assert (await point.start_transaction(asked["idTag"])).id_tag_info["status"] == "Accepted"
    await point.status("Charging")
    assert (await api.transaction(identity))["command_id"] == command["id"]
