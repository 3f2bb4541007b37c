"""OCPP 1.6 compliancy test cases, SUT Central System: Core profile (document of 2024-04, §3.1 to §3.13).

Each test is named after its case and takes the tool's steps in their order: an independent charge point over a real
WebSocket, triggers by the public API only, nothing unsolicited (`unsolicited_calls = false`; asking unasked fails the
test). Beyond the tool's validations each case checks what the operator sees in the API.

What is not here stands in `README.md` beside this file, with its reason.
"""

import json

import pytest

from tests.octt.csms import station_v16
from tests.octt.csms.running import Api, Csms
from tests.octt.csms.station_v16 import BLOCKED, CONNECTORS, EXPIRED, INVALID, VALID, ChargePoint, call

# 3.1 Cold boot


async def test_tc_001_csms(csms: Csms, api: Api, identity: str) -> None:
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        answer = await point.boot()
        assert answer.status == "Accepted"
        assert answer.interval > 0
        assert (await point.call(call.Heartbeat())).current_time.endswith("Z")
        station = await api.get(f"/stations/{identity}")
        assert station["connected"]
        assert station["registration"] == "Accepted"
        assert station["violation_count"] == 0
        listed = (await api.get(f"/stations/{identity}/connectors"))["items"]
        assert {connector["connector_status"] for connector in listed} == {"Available"}
        assert len(listed) == CONNECTORS + 1


# 3.2 Start charging session


async def test_tc_003_csms(api: Api, point: ChargePoint, identity: str) -> None:
    await point.status("Preparing")
    assert await point.authorize() == "Accepted"
    answer = await point.start_transaction()
    assert answer.id_tag_info["status"] == "Accepted"
    await point.status("Charging")
    transaction = await api.transaction(identity)
    assert transaction["transaction_id"] == str(answer.transaction_id)
    assert transaction["state"] == "active"
    assert (await api.connector(identity))["transaction_number"] == transaction["number"]


async def test_tc_004_1_csms(api: Api, point: ChargePoint, identity: str) -> None:
    assert await point.authorize() == "Accepted"
    await point.status("Preparing")
    assert (await point.start_transaction()).id_tag_info["status"] == "Accepted"
    await point.status("Charging")
    assert (await api.transaction(identity))["id_token"] == VALID


async def test_tc_004_2_csms(api: Api, point: ChargePoint, identity: str) -> None:
    assert await point.authorize() == "Accepted"
    await point.status("Preparing")
    assert (await api.connector(identity))["view"] == "plugged_in"
    await point.status("Available")
    assert (await api.connector(identity))["view"] == "unplugged"
    assert (await api.get("/transactions", station_id=identity))["items"] == []


async def test_tc_005_1_csms(api: Api, point: ChargePoint, identity: str) -> None:
    transaction_id = await point.charging()
    await point.status("SuspendedEV")
    await point.stop_transaction(transaction_id, "EVDisconnected")
    await point.status("Finishing")
    await point.status("Available")
    transaction = await api.transaction(identity)
    assert (transaction["state"], transaction["stopped_reason"]) == ("ended", "EVDisconnected")
    assert transaction["energy_wh"] == 100
    assert (await api.connector(identity))["view"] == "unplugged"


# 3.3 Cache


async def test_tc_007_csms(api: Api, point: ChargePoint, identity: str) -> None:
    await point.status("Preparing")
    assert (await point.start_transaction()).id_tag_info["status"] == "Accepted"
    await point.status("Charging")
    assert (await api.transaction(identity))["authorization"] == "Accepted"


@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_tc_061_csms(api: Api, point: ChargePoint, identity: str, status: str) -> None:
    point.answers["ClearCache"] = {"status": status}
    command = await api.command("CLEAR_CACHE", identity)
    assert await point.expect("ClearCache") == {}
    assert command["state"] == status.lower()
    assert command["answer"] == {"status": status}


# 3.4 Remote actions


async def test_tc_010_csms(api: Api, point: ChargePoint, identity: str) -> None:
    await point.status("Preparing")
    command = await api.command("START_SESSION", identity, evse_id=1, id_token={"value": VALID})
    asked = await point.expect("RemoteStartTransaction")
    assert asked == {"idTag": VALID, "connectorId": 1}
    assert command["state"] == "accepted"
    assert command["transaction_number"] is None  # accepted is not yet started
    assert await point.authorize(asked["idTag"]) == "Accepted"
    assert (await point.start_transaction(asked["idTag"])).id_tag_info["status"] == "Accepted"
    await point.status("Charging")
    transaction = await api.transaction(identity)
    assert transaction["command_id"] == command["id"]
    assert (await api.get(f"/commands/{command['id']}"))["transaction_number"] == transaction["number"]


async def test_tc_011_1_csms(api: Api, point: ChargePoint, identity: str) -> None:
    command = await api.command("START_SESSION", identity, evse_id=1, id_token={"value": VALID})
    asked = await point.expect("RemoteStartTransaction")
    assert await point.authorize(asked["idTag"]) == "Accepted"
    await point.status("Preparing")
    assert (await point.start_transaction(asked["idTag"])).id_tag_info["status"] == "Accepted"
    await point.status("Charging")
    assert (await api.transaction(identity))["command_id"] == command["id"]


async def test_tc_011_2_csms(api: Api, point: ChargePoint, identity: str) -> None:
    command = await api.command("START_SESSION", identity, id_token={"value": VALID})
    assert await point.expect("RemoteStartTransaction") == {"idTag": VALID}
    assert command["state"] == "accepted"
    assert await point.authorize() == "Accepted"
    await point.status("Preparing")
    await point.status("Available")
    assert (await api.get("/transactions", station_id=identity))["items"] == []
    assert (await api.get(f"/commands/{command['id']}"))["transaction_number"] is None


async def test_tc_012_csms(api: Api, point: ChargePoint, identity: str) -> None:
    transaction_id = await point.charging()
    number = (await api.transaction(identity))["number"]
    response = await api.client.post(
        "/commands/STOP_SESSION", json={"transaction_number": number}, headers={"prefer": "wait=15"}
    )
    assert response.json()["state"] == "accepted"
    assert await point.expect("RemoteStopTransaction") == {"transactionId": transaction_id}
    assert (await api.transaction(identity))["state"] == "active"  # until the station says that it is over
    await point.stop_transaction(transaction_id, "Remote")
    await point.status("Finishing")
    await point.status("Available")
    transaction = await api.transaction(identity)
    assert (transaction["state"], transaction["stopped_reason"]) == ("ended", "Remote")


# 3.5 Resetting


@pytest.mark.parametrize(
    ("reset_type", "body"),
    [
        pytest.param("Hard", {"graceful": False}, id="tc_013_csms"),
        pytest.param("Soft", {"graceful": True}, id="tc_014_csms"),
    ],
)
async def test_reset(csms: Csms, api: Api, identity: str, reset_type: str, body: dict[str, bool]) -> None:
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        await point.boot()
        command = await api.command("RESET", identity, **body)
        assert await point.expect("Reset") == {"type": reset_type}
        assert command["state"] == "accepted"
    before = (await api.get(f"/stations/{identity}"))["booted_at"]
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        await point.boot()
    assert (await api.get(f"/stations/{identity}"))["booted_at"] > before


# 3.6 and 3.10 Unlocking


@pytest.mark.parametrize(
    ("status", "state", "evse_id"),
    [
        pytest.param("Unlocked", "accepted", 1, id="tc_017_1_csms"),
        pytest.param("NotSupported", "rejected", 1, id="tc_017_2_csms"),
        pytest.param("UnlockFailed", "rejected", 1, id="tc_030_csms"),
        pytest.param("NotSupported", "rejected", CONNECTORS + 1, id="tc_031_csms"),
    ],
)
async def test_unlock(api: Api, point: ChargePoint, identity: str, status: str, state: str, evse_id: int) -> None:
    point.answers["UnlockConnector"] = {"status": status}
    command = await api.command("UNLOCK_CONNECTOR", identity, evse_id=evse_id)
    assert await point.expect("UnlockConnector") == {"connectorId": evse_id}
    assert command["state"] == state
    assert command["answer"] == {"status": status}


async def test_tc_018_1_csms(api: Api, point: ChargePoint, identity: str) -> None:
    transaction_id = await point.charging()
    point.answers["UnlockConnector"] = {"status": "Unlocked"}
    command = await api.command("UNLOCK_CONNECTOR", identity, evse_id=1)
    assert await point.expect("UnlockConnector") == {"connectorId": 1}
    assert command["state"] == "accepted"
    await point.status("Finishing")
    await point.stop_transaction(transaction_id, "UnlockCommand")
    await point.status("Available")
    assert (await api.transaction(identity))["stopped_reason"] == "UnlockCommand"


# 3.7 and 3.13 Configuration

_KEYS = {
    "AuthorizeRemoteTxRequests": "true", "ClockAlignedDataInterval": "0", "ConnectionTimeOut": "60",
    "ConnectorPhaseRotation": "NotApplicable", "GetConfigurationMaxKeys": "50", "HeartbeatInterval": "300",
    "LocalAuthorizeOffline": "true", "LocalPreAuthorize": "true", "MeterValuesAlignedData": "",
    "MeterValuesSampledData": "Energy.Active.Import.Register", "MeterValueSampleInterval": "60",
    "NumberOfConnectors": "2", "ResetRetries": "1", "StopTransactionOnEVSideDisconnect": "true",
    "StopTransactionOnInvalidId": "true", "StopTxnAlignedData": "", "StopTxnSampledData": "",
    "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger", "TransactionMessageAttempts": "3",
    "TransactionMessageRetryInterval": "20", "UnlockConnectorOnEVSideDisconnect": "true",
    "LocalAuthListEnabled": "true", "LocalAuthListMaxLength": "100", "SendLocalListMaxLength": "10",
    "ChargeProfileMaxStackLevel": "10", "ChargingScheduleAllowedChargingRateUnit": "Current",
    "ChargingScheduleMaxPeriods": "24", "MaxChargingProfilesInstalled": "10", "VendorsOwnKey": "x",
}  # fmt: skip


async def test_tc_019_1_csms(api: Api, point: ChargePoint, identity: str) -> None:
    listed = [{"key": key, "readonly": False, "value": value} for key, value in _KEYS.items()]
    point.answers["GetConfiguration"] = {"configuration_key": listed}
    command = await api.command("GET_VARIABLES", identity)
    assert await point.expect("GetConfiguration") == {}
    assert command["state"] == "accepted"
    reported = (await api.get(f"/stations/{identity}/configuration"))["reported"]
    assert command["answer"]["configurationKey"] == listed
    assert len(reported) == len(_KEYS)


async def test_tc_019_2_csms(api: Api, point: ChargePoint, identity: str) -> None:
    key = "SupportedFeatureProfiles"
    point.answers["GetConfiguration"] = {
        "configuration_key": [{"key": key, "readonly": True, "value": _KEYS[key]}],
        "unknown_key": [],
    }
    command = await api.raw(identity, "GetConfiguration", json.dumps({"key": [key]}))
    assert await point.expect("GetConfiguration") == {"key": [key]}
    assert command["state"] == "accepted"
    (variable,) = (await api.get(f"/stations/{identity}/configuration"))["reported"]
    assert variable["value"] == _KEYS[key]
    # The same by its name in the domain's terms, as the station's page has it.
    ref = {name: value for name, value in variable["ref"].items() if value is not None}
    assert (await api.command("GET_VARIABLES", identity, refs=[ref]))["state"] == "accepted"
    assert await point.expect("GetConfiguration") == {"key": [key]}


@pytest.mark.parametrize(
    ("value", "status", "state"),
    [
        pytest.param("60", "Accepted", "accepted", id="tc_021_csms"),
        pytest.param("-1", "Rejected", "rejected", id="tc_040_2_csms"),
    ],
)
async def test_change_configuration(
    api: Api, point: ChargePoint, identity: str, value: str, status: str, state: str
) -> None:
    point.answers["ChangeConfiguration"] = {"status": status}
    ref = {"component": "SampledDataCtrlr", "variable": "TxUpdatedInterval"}
    command = await api.command("SET_VARIABLES", identity, settings=[{"ref": ref, "value": value}])
    assert await point.expect("ChangeConfiguration") == {"key": "MeterValueSampleInterval", "value": value}
    assert command["state"] == state


async def test_tc_040_1_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["ChangeConfiguration"] = {"status": "NotSupported"}
    payload = {"key": "AKeyThatNobodyKnows", "value": "1"}
    command = await api.raw(identity, "ChangeConfiguration", json.dumps(payload))
    assert await point.expect("ChangeConfiguration") == payload
    assert command["state"] == "rejected"
    assert command["answer"] == {"status": "NotSupported"}


# 3.8 Basic actions, non-happy


@pytest.mark.parametrize(
    ("id_tag", "verdict"),
    [
        pytest.param(INVALID, "Invalid", id="tc_023_1_csms"),
        pytest.param(EXPIRED, "Expired", id="tc_023_2_csms"),
        pytest.param(BLOCKED, "Blocked", id="tc_023_3_csms"),
    ],
)
async def test_authorize(point: ChargePoint, id_tag: str, verdict: str) -> None:
    assert await point.authorize(id_tag) == verdict


async def test_tc_024_csms(api: Api, point: ChargePoint, identity: str) -> None:
    assert await point.authorize() == "Accepted"
    await point.status("Preparing")
    await point.status("Faulted", error_code="ConnectorLockFailure")
    connector = await api.connector(identity)
    assert connector["view"] == "faulted"
    assert connector["error"]["code"] == "ConnectorLockFailure"


# 3.9 Remote actions, non-happy


async def test_tc_026_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    command = await api.command("START_SESSION", identity, evse_id=1, id_token={"value": VALID})
    await point.expect("RemoteStartTransaction")
    assert command["state"] == "rejected"


async def test_tc_028_csms(api: Api, point: ChargePoint, identity: str) -> None:
    unknown = await point.charging() + 1
    point.answers["RemoteStopTransaction"] = {"status": "Rejected"}
    command = await api.command("STOP_SESSION", identity, transaction_id=str(unknown))
    assert await point.expect("RemoteStopTransaction") == {"transactionId": unknown}
    assert command["state"] == "rejected"
    assert (await api.transaction(identity))["state"] == "active"


# 3.11 Power failure


async def test_tc_032_1_csms(csms: Csms, api: Api, identity: str) -> None:
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        await point.boot()
        transaction_id = await point.charging()
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        assert (await point.call(call.BootNotification("Model", "Vendor"))).status == "Accepted"
        for connector_id in range(CONNECTORS + 1):
            await point.status("Finishing" if connector_id == 1 else "Available", connector_id=connector_id)
        await point.stop_transaction(transaction_id, "PowerLoss")
    transaction = await api.transaction(identity)
    assert (transaction["state"], transaction["stopped_reason"]) == ("ended", "PowerLoss")


# 3.12 Offline behaviour


@pytest.mark.parametrize(
    ("id_tag", "verdict"),
    [
        pytest.param(VALID, "Accepted", id="tc_037_1_csms"),
        pytest.param(INVALID, "Invalid", id="tc_037_3_csms"),
    ],
)
async def test_offline_start(csms: Csms, api: Api, identity: str, id_tag: str, verdict: str) -> None:
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        await point.boot()
    started_at = station_v16.now()
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        answer = await point.start_transaction(id_tag, timestamp=started_at)
        assert answer.id_tag_info["status"] == verdict
        await point.status("Charging")
        if verdict == "Invalid":
            await point.stop_transaction(answer.transaction_id, "DeAuthorized")
            await point.status("Finishing")
    transaction = await api.transaction(identity)
    assert transaction["authorization"] == ("Unknown" if verdict == "Invalid" else verdict)
    assert transaction["state"] == ("ended" if verdict == "Invalid" else "active")


async def test_tc_039_csms(csms: Csms, api: Api, identity: str) -> None:
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        await point.boot()
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        answer = await point.start_transaction(timestamp="2025-06-01T12:00:00Z")
        assert answer.id_tag_info["status"] == "Accepted"
        await point.stop_transaction(answer.transaction_id, "Local", timestamp="2025-06-01T13:00:00Z")
    transaction = await api.transaction(identity)
    assert (transaction["state"], transaction["stopped_reason"]) == ("ended", "Local")
    assert (transaction["started_at"], transaction["ended_at"]) == ("2025-06-01T12:00:00Z", "2025-06-01T13:00:00Z")
    assert transaction["energy_wh"] == 100


# 3.20 Data transfer


async def test_tc_064_csms(point: ChargePoint) -> None:
    answer = await point.call(call.DataTransfer("org.openchargealliance.octt", "AMessage", "x"))
    assert answer.status in {"Rejected", "UnknownMessageId", "UnknownVendorId"}
