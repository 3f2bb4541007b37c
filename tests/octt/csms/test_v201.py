"""OCPP 2.0.1 test cases (part 6, edition 3), CSMS: chapters B, C, E, F, G, J and K as far as the API goes.

Each test bears the ids of its cases. What is not here stands in `README.md` beside this file, with its reason.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.octt.csms import station_v201
from tests.octt.csms.running import Api, Csms
from tests.octt.csms.station_v16 import BLOCKED, EXPIRED, INVALID, PARENT, VALID, now
from tests.octt.csms.station_v201 import EVSE, ChargingStation, call, register_wh, token
from tests.octt.csms.test_smart_charging import END, START, profile


@pytest.fixture
async def station(csms: Csms, api: Api, identity: str) -> AsyncIterator[ChargingStation]:
    """A charging station that has booted."""
    async with station_v201.connected(csms.ocpp_url, identity) as station:
        await station.boot()
        yield station


# B Provisioning


async def test_tc_b_01_csms(csms: Csms, api: Api, identity: str) -> None:
    async with station_v201.connected(csms.ocpp_url, identity) as station:
        assert (await station.boot()).interval > 0
        assert (await station.call(call.Heartbeat())).current_time.endswith("Z")
    assert (await api.get(f"/stations/{identity}"))["protocol"] == "ocpp2.0.1"


@pytest.mark.parametrize("triggered", [False, True], ids=["tc_b_02_csms", "tc_b_31_csms"])
async def test_pending(csms: Csms, api: Api, identity: str, triggered: bool) -> None:
    created = await api.client.post("/stations", json={"id": identity, "registration": "Pending"})
    assert created.status_code == 201, created.text
    async with station_v201.connected(csms.ocpp_url, identity) as station:
        await station.boot(registration="Pending")
        response = await api.client.patch(f"/stations/{identity}", json={"registration": "Accepted"})
        assert response.status_code == 200
        if triggered:
            await api.command("TRIGGER_MESSAGE", identity, requested_message="BootNotification")
            assert await station.expect("TriggerMessage") == {"requestedMessage": "BootNotification"}
        await station.boot("Triggered" if triggered else "PowerUp")


def _variable(component: str, variable: str, value: str | None = None, status: str = "Accepted") -> dict[str, Any]:
    result = {
        "attribute_status": status,
        "component": {"name": component},
        "variable": {"name": variable},
        "attribute_type": "Actual",
    }
    return result if value is None else result | {"attribute_value": value}


OFFLINE_THRESHOLD = {"component": "OCPPCommCtrlr", "variable": "OfflineThreshold"}
REMOTE_START = {"component": "AuthCtrlr", "variable": "AuthorizeRemoteStart"}


@pytest.mark.parametrize("refs", [[OFFLINE_THRESHOLD], [OFFLINE_THRESHOLD, REMOTE_START]], ids=["tc_b_06_csms", "07"])
async def test_tc_b_06_07_csms(api: Api, station: ChargingStation, identity: str, refs: list[dict[str, str]]) -> None:
    results = [_variable(ref["component"], ref["variable"], "123") for ref in refs]
    station.answers["GetVariables"] = {"get_variable_result": results}
    command = await api.command("GET_VARIABLES", identity, refs=refs)
    asked = (await station.expect("GetVariables"))["getVariableData"]
    assert [(entry["component"]["name"], entry["variable"]["name"]) for entry in asked] == [
        (ref["component"], ref["variable"]) for ref in refs
    ]
    assert all(entry.get("attributeType", "Actual") == "Actual" for entry in asked)
    assert command["state"] == "accepted"
    reported = (await api.get(f"/stations/{identity}/configuration"))["reported"]
    assert [variable["value"] for variable in reported] == ["123"] * len(refs)


@pytest.mark.parametrize("refs", [[OFFLINE_THRESHOLD], [OFFLINE_THRESHOLD, REMOTE_START]], ids=["tc_b_09_csms", "10"])
async def test_tc_b_09_10_csms(api: Api, station: ChargingStation, identity: str, refs: list[dict[str, str]]) -> None:
    results = [_variable(ref["component"], ref["variable"]) for ref in refs]
    station.answers["SetVariables"] = {"set_variable_result": results}
    settings = [{"ref": ref, "value": "123"} for ref in refs]
    command = await api.command("SET_VARIABLES", identity, settings=settings)
    asked = (await station.expect("SetVariables"))["setVariableData"]
    assert [entry["variable"]["name"] for entry in asked] == [ref["variable"] for ref in refs]
    assert {entry["attributeValue"] for entry in asked} == {"123"}
    assert command["state"] == "accepted"


@pytest.mark.parametrize(
    "base",
    [
        pytest.param("ConfigurationInventory", id="tc_b_12_csms"),
        pytest.param("FullInventory", id="tc_b_13_csms"),
        pytest.param("SummaryInventory", id="tc_b_14_csms"),
    ],
)
async def test_base_report(api: Api, station: ChargingStation, identity: str, base: str) -> None:
    command = await api.command("GET_VARIABLES", identity, report_base=base)
    asked = await station.expect("GetBaseReport")
    assert asked["reportBase"] == base
    assert asked["requestId"] >= 0
    assert command["state"] == "accepted"
    for seq_no in range(2):
        entry = {
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": f"V{seq_no}"},
            "variable_attribute": [{"value": str(seq_no)}],
        }
        await station.call(call.NotifyReport(asked["requestId"], now(), seq_no, report_data=[entry], tbc=seq_no == 0))
    reported = (await api.get(f"/stations/{identity}/configuration"))["reported"]
    assert {variable["ref"]["variable"] for variable in reported} == {"V0", "V1"}


@pytest.mark.parametrize(
    ("body", "asked", "status"),
    [
        pytest.param({"reset_type": "OnIdle"}, {"type": "OnIdle"}, "Accepted", id="tc_b_20_csms"),
        pytest.param({"reset_type": "OnIdle"}, {"type": "OnIdle"}, "Scheduled", id="tc_b_21_csms"),
        pytest.param({"reset_type": "Immediate"}, {"type": "Immediate"}, "Accepted", id="tc_b_22_csms"),
        pytest.param({"reset_type": "OnIdle", "evse_id": 1}, {"type": "OnIdle", "evseId": 1}, "Accepted", id="tc_b_25"),
        pytest.param(
            {"reset_type": "OnIdle", "evse_id": 1}, {"type": "OnIdle", "evseId": 1}, "Scheduled", id="tc_b_26_csms"
        ),
        pytest.param(
            {"reset_type": "Immediate", "evse_id": 1}, {"type": "Immediate", "evseId": 1}, "Accepted", id="tc_b_27_csms"
        ),
    ],
)
async def test_reset(api: Api, station: ChargingStation, identity: str, body: Any, asked: Any, status: str) -> None:
    station.answers["Reset"] = {"status": status}
    command = await api.command("RESET", identity, **body)
    assert await station.expect("Reset") == asked
    assert command["state"] == "accepted"
    assert command["answer"] == {"status": status}
    await station.boot("ScheduledReset" if status == "Scheduled" else "RemoteReset")


# C Authorization


@pytest.mark.parametrize(
    ("value", "verdicts"),
    [
        pytest.param(INVALID, {"Invalid", "Unknown"}, id="tc_c_02_csms"),
        pytest.param(BLOCKED, {"Blocked"}, id="tc_c_06_csms"),
        pytest.param(EXPIRED, {"Expired"}, id="tc_c_07_csms"),
    ],
)
async def test_authorize(station: ChargingStation, value: str, verdicts: set[str]) -> None:
    assert (await station.authorize(value))["status"] in verdicts


@pytest.mark.parametrize(
    ("value", "verdicts"),
    [
        pytest.param(VALID, {"Accepted"}, id="tc_c_08_csms"),
        pytest.param(INVALID, {"Invalid", "Unknown"}, id="tc_c_20_csms"),
    ],
)
async def test_authorized_by_cache(station: ChargingStation, value: str, verdicts: set[str]) -> None:
    await station.status("Occupied")
    await station.tell("Started", "CablePluggedIn", "EVConnected", evse=EVSE)
    assert (await station.tell("Updated", "Authorized", id_token=token(value)))["status"] in verdicts


@pytest.mark.parametrize("status", [pytest.param("Accepted", id="tc_c_37_csms"), pytest.param("Rejected", id="38")])
async def test_tc_c_37_38_csms(api: Api, station: ChargingStation, identity: str, status: str) -> None:
    station.answers["ClearCache"] = {"status": status}
    command = await api.command("CLEAR_CACHE", identity)
    assert await station.expect("ClearCache") == {}
    assert command["state"] == status.lower()


async def test_tc_c_39_csms(api: Api, station: ChargingStation) -> None:
    await api.put("/tokens/OCTT-VALID-2", {"group": PARENT})
    first, second = await station.authorize(), await station.authorize("OCTT-VALID-2")
    assert first["group_id_token"]["id_token"] == second["group_id_token"]["id_token"] == PARENT
    await station.charging()
    info = await station.tell("Updated", "StopAuthorized", "EVConnected", id_token=token("OCTT-VALID-2"))
    assert info["status"] == "Accepted"
    assert info["group_id_token"]["id_token"] == PARENT


# E Transactions


@pytest.mark.parametrize(
    ("trigger", "state"),
    [
        pytest.param("ChargingStateChanged", "SuspendedEVSE", id="tc_e_01_csms"),
        pytest.param("ChargingStateChanged", "Charging", id="tc_e_02_csms"),
        pytest.param("Authorized", None, id="tc_e_10_csms"),
        pytest.param("SignedDataReceived", "EVConnected", id="tc_e_11_csms"),
    ],
)
async def test_start_points_with_a_token(
    api: Api, station: ChargingStation, identity: str, trigger: str, state: str | None
) -> None:
    assert (await station.authorize())["status"] == "Accepted"
    await station.status("Occupied")
    info = await station.tell("Started", trigger, state, evse=EVSE, id_token=token())
    assert info["status"] == "Accepted"
    await station.tell("Updated", "ChargingStateChanged", "Charging")
    transaction = await api.transaction(identity)
    assert (transaction["state"], transaction["charging_state"]) == ("active", "Charging")
    assert transaction["id_token"] == VALID
    assert transaction["missing"] == []


@pytest.mark.parametrize(
    ("trigger", "state", "then"),
    [
        pytest.param("CablePluggedIn", "EVConnected", "EVConnected", id="tc_e_03_csms tc_e_09_csms"),
        pytest.param("EVDetected", None, "EVConnected", id="tc_e_12_csms"),
        pytest.param("EVDetected", None, None, id="place told with the token"),
    ],
)
async def test_start_points_before_the_token(
    api: Api, station: ChargingStation, identity: str, trigger: str, state: str | None, then: str | None
) -> None:
    await station.tell("Started", trigger, state)
    assert (await station.authorize())["status"] == "Accepted"
    info = await station.tell("Updated", "Authorized", then, evse=EVSE, id_token=token())
    assert info["status"] == "Accepted"
    await station.tell("Updated", "ChargingStateChanged", "Charging")
    transaction = await api.transaction(identity)
    assert (transaction["evse_id"], transaction["id_token"]) == (1, VALID)
    assert (await api.connector(identity))["transaction_number"] == transaction["number"]
    listed = (await api.get(f"/stations/{identity}/connectors"))["items"]
    assert {connector["evse_id"] for connector in listed} == {1, 2}


@pytest.mark.parametrize(
    ("trigger", "state", "reason"),
    [
        pytest.param("Deauthorized", "EVConnected", "DeAuthorized", id="tc_e_16_csms"),
        pytest.param("EVConnectTimeout", "EVConnected", "Timeout", id="tc_e_39_csms"),
        pytest.param("EVCommunicationLost", "Idle", "EVDisconnected", id="tc_e_14_csms tc_e_20_csms"),
        pytest.param("StopAuthorized", "EVConnected", "Local", id="tc_e_15_csms tc_e_07_csms tc_e_08_csms"),
        pytest.param("ChargingStateChanged", "SuspendedEV", "StoppedByEV", id="tc_e_22_csms"),
        pytest.param("EVDeparted", "Idle", "Local", id="tc_e_19_csms"),
    ],
)
async def test_stop_points(
    api: Api, station: ChargingStation, identity: str, trigger: str, state: str, reason: str
) -> None:
    await station.charging()
    await station.tell("Ended", trigger, state, stopped_reason=reason)
    transaction = await api.transaction(identity)
    assert (transaction["state"], transaction["stopped_reason"]) == ("ended", reason)


async def test_tc_e_21_csms(api: Api, station: ChargingStation, identity: str) -> None:
    await station.charging()
    command = await api.command("STOP_SESSION", identity, transaction_id=station.transaction_id)
    assert await station.expect("RequestStopTransaction") == {"transactionId": station.transaction_id}
    assert command["state"] == "accepted"
    await station.tell("Ended", "RemoteStop", "EVConnected", stopped_reason="Remote")
    assert (await api.transaction(identity))["stopped_reason"] == "Remote"


async def test_tc_e_26_csms(api: Api, station: ChargingStation, identity: str) -> None:
    await station.charging()
    await station.tell("Updated", "EVCommunicationLost", "Idle")
    await station.tell("Updated", "CablePluggedIn", "EVConnected")
    await station.tell("Updated", "ChargingStateChanged", "Charging")
    assert (await api.transaction(identity))["state"] == "active"


# F Remote control


@pytest.mark.parametrize("cable_first", [True, False], ids=["tc_f_01_csms", "tc_f_02_csms tc_f_03_csms"])
async def test_remote_start(api: Api, station: ChargingStation, identity: str, cable_first: bool) -> None:
    if cable_first:
        await station.status("Occupied")
        await station.tell("Started", "CablePluggedIn", "EVConnected", evse=EVSE)
    command = await api.command("START_SESSION", identity, evse_id=1, id_token={"value": VALID})
    asked = await station.expect("RequestStartTransaction")
    assert asked["idToken"] == {"idToken": VALID, "type": "ISO14443"}
    assert asked["evseId"] == 1
    kind = "Updated" if cable_first else "Started"
    remote_start_id = asked["remoteStartId"]
    info = await station.tell(kind, "RemoteStart", evse=EVSE, id_token=token(), remote_start_id=remote_start_id)
    assert info["status"] == "Accepted"
    transaction = await api.transaction(identity)
    assert transaction["command_id"] == command["id"]
    assert transaction["remote_start_id"] == remote_start_id


async def test_tc_f_06_csms(api: Api, station: ChargingStation, identity: str) -> None:
    station.answers["UnlockConnector"] = {"status": "Unlocked"}
    command = await api.command("UNLOCK_CONNECTOR", identity, evse_id=1)
    assert await station.expect("UnlockConnector") == {"evseId": 1, "connectorId": 1}
    assert command["state"] == "accepted"


@pytest.mark.parametrize(
    ("body", "asked", "status"),
    [
        pytest.param({"evse_id": 1}, {"evse": {"id": 1}}, "Accepted", id="MeterValues-tc_f_11_csms"),
        pytest.param({}, {}, "Accepted", id="MeterValues-tc_f_12_csms"),
        pytest.param({"evse_id": 1}, {"evse": {"id": 1}}, "Accepted", id="TransactionEvent-tc_f_13_csms"),
        pytest.param({}, {}, "Accepted", id="TransactionEvent-tc_f_14_csms"),
        pytest.param({}, {}, "Accepted", id="LogStatusNotification-tc_f_15_csms"),
        pytest.param({}, {}, "Accepted", id="FirmwareStatusNotification-tc_f_18_csms"),
        pytest.param({}, {}, "Accepted", id="Heartbeat-tc_f_20_csms"),
        pytest.param(
            {"evse_id": 1, "connector_id": 1},
            {"evse": {"id": 1, "connectorId": 1}},
            "Accepted",
            id="StatusNotification-tc_f_23_csms tc_f_24_csms",
        ),
        pytest.param({}, {}, "NotImplemented", id="SignV2GCertificate-tc_f_27_csms"),
    ],
)
async def test_trigger(
    request: pytest.FixtureRequest,
    api: Api,
    station: ChargingStation,
    identity: str,
    body: Any,
    asked: Any,
    status: str,
) -> None:
    message = request.node.callspec.id.partition("-")[0]
    station.answers["TriggerMessage"] = {"status": status}
    command = await api.command("TRIGGER_MESSAGE", identity, requested_message=message, **body)
    assert await station.expect("TriggerMessage") == {"requestedMessage": message, **asked}
    assert command["state"] == ("accepted" if status == "Accepted" else "rejected")


# G Availability


@pytest.mark.parametrize("status", ["Accepted", "Scheduled"])
@pytest.mark.parametrize("operational", ["Inoperative", "Operative"])
@pytest.mark.parametrize(
    ("body", "evse"),
    [
        pytest.param({"evse_id": 1}, {"id": 1}, id="tc_g_03_csms tc_g_04_csms tc_g_11_csms"),
        pytest.param({"evse_id": 0}, None, id="tc_g_05_csms tc_g_06_csms tc_g_14_csms"),
        pytest.param(
            {"evse_id": 1, "connector_id": 1}, {"id": 1, "connectorId": 1}, id="tc_g_07_csms tc_g_08_csms tc_g_17_csms"
        ),
    ],
)
async def test_change_availability(csms: Csms, api: Api, body: Any, evse: Any, operational: str, status: str) -> None:
    identity = f"G-{len(str(body))}-{operational}-{status}"
    async with station_v201.connected(csms.ocpp_url, identity) as station:
        await station.boot()
        station.answers["ChangeAvailability"] = {"status": status}
        command = await api.command("CHANGE_AVAILABILITY", identity, operational_status=operational, **body)
        asked = await station.expect("ChangeAvailability")
        assert asked["operationalStatus"] == operational
        assert asked.get("evse") == evse
        assert command["state"] == "accepted"


# J Metering


@pytest.mark.parametrize("context", ["Sample.Clock", "Sample.Periodic"], ids=["tc_j_01_csms", "outside"])
async def test_tc_j_01_csms(api: Api, station: ChargingStation, context: str) -> None:
    await station.call(call.MeterValues(evse_id=1, meter_value=register_wh(1000, context)))
    assert (await api.get(f"/stations/{station.id}"))["violation_count"] == 0


async def test_tc_j_02_03_07_09_10_csms(api: Api, station: ChargingStation, identity: str) -> None:
    begin = register_wh(1000, "Transaction.Begin")
    await station.tell("Started", "Authorized", evse=EVSE, id_token=token(), meter_value=begin)
    await station.tell("Updated", "MeterValuePeriodic", meter_value=register_wh(1100))
    await station.tell("Updated", "MeterValueClock", meter_value=register_wh(1200, "Sample.Clock"))
    end = register_wh(1300, "Transaction.End")
    await station.tell("Ended", "StopAuthorized", stopped_reason="Local", meter_value=end)
    transaction = await api.transaction(identity)
    assert (transaction["meter_start_wh"], transaction["meter_stop_wh"]) == (1000, 1300)
    assert transaction["energy_wh"] == 300
    listed = await api.get(f"/transactions/{transaction['number']}/meter-values")
    assert [reading["energy_wh"] for reading in listed["items"]] == [1000, 1100, 1200, 1300]


# K Smart charging


@pytest.mark.parametrize(
    ("evse_id", "changes"),
    [
        pytest.param(1, {}, id="tc_k_01_csms"),
        pytest.param(0, {}, id="tc_k_10_csms"),
        pytest.param(0, {"purpose": "ChargingStationMaxProfile"}, id="tc_k_03_csms"),
        pytest.param(1, {"kind": "Recurring", "recurrency_kind": "Daily"}, id="tc_k_19_csms"),
    ],
)
async def test_set_profile(api: Api, station: ChargingStation, identity: str, evse_id: int, changes: Any) -> None:
    wanted = profile(**changes)
    command = await api.command("SET_CHARGING_PROFILE", identity, evse_id=evse_id, profile=wanted)
    asked = await station.expect("SetChargingProfile")
    sent = asked["chargingProfile"]
    assert asked["evseId"] == evse_id
    assert sent["chargingProfilePurpose"] == wanted["purpose"]
    assert sent["chargingProfileKind"] == wanted["kind"]
    assert sent.get("recurrencyKind") == wanted.get("recurrency_kind")
    assert (sent["validFrom"], sent["validTo"]) == (START, END)
    (schedule,) = sent["chargingSchedule"]
    assert (schedule["duration"], schedule["startSchedule"], schedule["chargingRateUnit"]) == (3600, START, "A")
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6.0, "numberPhases": 3}]
    assert command["state"] == "accepted"


async def test_tc_k_15_csms(api: Api, station: ChargingStation, identity: str) -> None:
    station.answers["SetChargingProfile"] = {"status": "Rejected"}
    command = await api.command("SET_CHARGING_PROFILE", identity, evse_id=1, profile=profile())
    await station.expect("SetChargingProfile")
    assert command["state"] == "rejected"
    (stored,) = (await api.get("/charging-profiles", station_id=identity))["items"]
    assert stored["state"] == "rejected"


async def test_tc_k_04_05_06_08_csms(api: Api, station: ChargingStation, identity: str) -> None:
    for limit in (6, 8):
        wanted = profile(id=41)
        wanted["schedules"][0]["periods"] = [{"start_period_s": 0, "rate_limit": limit}]
        await api.command("SET_CHARGING_PROFILE", identity, evse_id=1, profile=wanted)
        assert (await station.expect("SetChargingProfile"))["chargingProfile"]["id"] == 41
    (installed,) = (await api.get("/charging-profiles", station_id=identity, state="installed"))["items"]
    assert installed["profile"]["schedules"][0]["periods"][0]["rate_limit"] == 8
    await api.command("CLEAR_CHARGING_PROFILE", identity, profile_id=41)
    assert await station.expect("ClearChargingProfile") == {"chargingProfileId": 41}
    assert (await api.get("/charging-profiles", station_id=identity, state="installed"))["items"] == []
    station.answers["ClearChargingProfile"] = {"status": "Unknown"}
    command = await api.command(
        "CLEAR_CHARGING_PROFILE", identity, evse_id=1, purpose="TxDefaultProfile", stack_level=0
    )
    criteria = {"evseId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0}
    assert await station.expect("ClearChargingProfile") == {"chargingProfileCriteria": criteria}
    assert command["answer"] == {"status": "Unknown"}


async def test_tc_k_60_csms(api: Api, station: ChargingStation, identity: str) -> None:
    await station.charging()
    wanted = profile(purpose="TxProfile", kind="Relative", transaction_id=station.transaction_id)
    wanted["schedules"][0]["start_schedule"] = None
    await api.command("SET_CHARGING_PROFILE", identity, evse_id=1, profile=wanted)
    sent = (await station.expect("SetChargingProfile"))["chargingProfile"]
    assert (sent["chargingProfilePurpose"], sent["transactionId"]) == ("TxProfile", station.transaction_id)


async def test_tc_k_37_csms(api: Api, station: ChargingStation, identity: str) -> None:
    wanted = profile(purpose="TxProfile", kind="Relative", valid_from=None, valid_to=None)
    wanted["schedules"][0]["start_schedule"] = None
    await api.command("START_SESSION", identity, evse_id=1, id_token={"value": VALID}, charging_profile=wanted)
    sent = (await station.expect("RequestStartTransaction"))["chargingProfile"]
    assert (sent["chargingProfilePurpose"], sent["chargingProfileKind"]) == ("TxProfile", "Relative")
    assert "transactionId" not in sent


@pytest.mark.parametrize("evse_id", [pytest.param(1, id="tc_k_43_csms"), pytest.param(0, id="tc_k_44_csms")])
async def test_composite_schedule(api: Api, station: ChargingStation, identity: str, evse_id: int) -> None:
    periods = [{"start_period": 0, "limit": 6.0}, {"start_period": 60, "limit": 10.0}]
    station.answers["GetCompositeSchedule"] = {
        "status": "Accepted",
        "schedule": {
            "evse_id": evse_id,
            "duration": 300,
            "schedule_start": START,
            "charging_rate_unit": "A",
            "charging_schedule_period": periods,
        },
    }
    answer = await api.get(f"/stations/{identity}/composite-schedule", evse_id=evse_id, duration_s=300, rate_unit="A")
    asked = await station.expect("GetCompositeSchedule")
    assert asked == {"evseId": evse_id, "duration": 300, "chargingRateUnit": "A"}
    assert [period["rate_limit"] for period in answer["schedule"]["periods"]] == [6.0, 10.0]
