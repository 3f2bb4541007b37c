"""OCTT, Charge Point, Core: resets, unlocking, keys, meter values, power, offline, faults (TC_013 to TC_041, 062)."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from ocpp.v16 import call

from tests.octt.station.bench import Bench, bench
from tests.octt.station.central import INVALID, VALID

REQUIRED: dict[str, dict[str, bool | None]] = {
    "Core": {
        "AuthorizeRemoteTxRequests": None,
        "ClockAlignedDataInterval": False,
        "ConnectionTimeOut": False,
        "ConnectorPhaseRotation": False,
        "GetConfigurationMaxKeys": True,
        "HeartbeatInterval": False,
        "LocalAuthorizeOffline": False,
        "LocalPreAuthorize": False,
        "MeterValuesAlignedData": False,
        "MeterValuesSampledData": False,
        "MeterValueSampleInterval": False,
        "NumberOfConnectors": True,
        "ResetRetries": False,
        "StopTransactionOnInvalidId": False,
        "StopTxnAlignedData": False,
        "StopTxnSampledData": False,
        "SupportedFeatureProfiles": True,
        "TransactionMessageAttempts": False,
        "TransactionMessageRetryInterval": False,
        "UnlockConnectorOnEVSideDisconnect": None,
    },
    "LocalAuthListManagement": {
        "LocalAuthListEnabled": False,
        "LocalAuthListMaxLength": True,
        "SendLocalListMaxLength": True,
    },
    "SmartCharging": {
        "ChargeProfileMaxStackLevel": True,
        "ChargingScheduleAllowedChargingRateUnit": True,
        "ChargingScheduleMaxPeriods": True,
        "MaxChargingProfilesInstalled": True,
    },
}
"""Keys by profile, and whether they are read-only; None: either."""


async def booted_again(station: Bench, *, connector: int, statuses: set[str]) -> None:
    """The station boots, and tells of each connector: this one in one of these states, the others Available."""
    await station.tool.expect("BootNotification")
    for number in (0, *station.hardware.evses):
        allowed = statuses if number == connector else {"Available"}
        await station.tool.expect("StatusNotification", connector_id=number, status=allowed)


@pytest.mark.parametrize("kind", [pytest.param("Hard", id="tc_013_cs"), pytest.param("Soft", id="tc_014_cs")])
async def test_tc_013_cs_and_tc_014_cs_reset_without_transaction(kind: str) -> None:
    async with bench() as station:
        await station.unavailable(1)
        assert (await station.tool.ask(call.Reset(kind))).status == "Accepted"
        await booted_again(station, connector=1, statuses={"Unavailable"})
        assert (await station.tool.ask(call.ChangeAvailability(1, "Operative"))).status == "Accepted"
        await station.status("Available")


@pytest.mark.parametrize("kind", [pytest.param("Hard", id="tc_015_cs"), pytest.param("Soft", id="tc_016_cs")])
async def test_tc_015_cs_and_tc_016_cs_reset_with_transaction(kind: str) -> None:
    async with bench() as station:
        await station.charging()
        assert (await station.tool.ask(call.Reset(kind))).status == "Accepted"
        await station.tool.expect("StopTransaction", reason=f"{kind}Reset")
        if kind == "Soft":
            await station.status("Finishing")
        await booted_again(station, connector=1, statuses={"Finishing", "Preparing"})


async def test_tc_017_1_cs_unlock() -> None:
    async with bench() as station:
        assert (await station.tool.ask(call.UnlockConnector(1))).status == "Unlocked"


async def test_tc_017_2_cs_unlock_a_fixed_cable() -> None:
    async with bench(fixed_cable=True) as station:
        assert (await station.tool.ask(call.UnlockConnector(1))).status == "NotSupported"


async def test_tc_018_1_cs_unlock_while_charging() -> None:
    async with bench() as station:
        await station.charging()
        assert (await station.tool.ask(call.UnlockConnector(1))).status == "Unlocked"
        await station.tool.expect("StopTransaction", reason="UnlockCommand")
        await station.status("Finishing")
        station.unplug()
        await station.status("Available")


async def test_tc_018_2_cs_unlock_a_fixed_cable_while_charging() -> None:
    async with bench(fixed_cable=True) as station:
        await station.charging()
        assert (await station.tool.ask(call.UnlockConnector(1))).status == "NotSupported"
        await station.tool.quiet("StopTransaction")


async def test_tc_019_cs_retrieve_the_configuration() -> None:
    async with bench() as station:
        profiles = (await station.get("SupportedFeatureProfiles")).split(",")
        everything = (await station.tool.ask(call.GetConfiguration())).configuration_key
        keys = {entry["key"]: entry["readonly"] for entry in everything}
        for profile in profiles:
            for key, readonly in REQUIRED.get(profile, {}).items():
                assert key in keys
                assert readonly is None or keys[key] is readonly, key
        most = int(await station.get("GetConfigurationMaxKeys"))
        wanted = list(keys)[:most]
        some = await station.tool.ask(call.GetConfiguration(key=wanted))
        assert not some.unknown_key
        assert [entry["key"] for entry in some.configuration_key] == wanted


async def test_tc_021_cs_change_the_configuration() -> None:
    async with bench() as station:
        await station.set(MeterValueSampleInterval="17")
        assert await station.get("MeterValueSampleInterval") == "17"


async def meter_values(station: Bench, count: int) -> list[dict[str, Any]]:
    """The first values of so many MeterValues."""
    values = []
    for _ in range(count):
        heard = await station.tool.expect("MeterValues", connector_id=1)
        values.extend(heard.payload["meter_value"])
    return values


async def test_tc_070_cs_sampled_meter_values() -> None:
    async with bench(speed=20) as station:
        await station.set(
            MeterValueSampleInterval="10",
            ClockAlignedDataInterval="0",
            MeterValuesSampledData="Energy.Active.Import.Register,Power.Active.Import,Voltage",
        )
        measurands = set((await station.get("MeterValuesSampledData")).split(","))
        await station.charging()
        values = await meter_values(station, 3)
        at = [datetime.fromisoformat(value["timestamp"]) for value in values]
        assert all(abs((late - early).total_seconds() - 10) < 2 for early, late in pairwise(at))
        for value in values:
            samples = value["sampled_value"]
            assert {sample.get("measurand", "Energy.Active.Import.Register") for sample in samples} == measurands
            assert {sample.get("context", "Sample.Periodic") for sample in samples} == {"Sample.Periodic"}


async def test_tc_071_cs_clock_aligned_meter_values() -> None:
    async with bench(speed=20) as station:
        await station.set(MeterValueSampleInterval="0", ClockAlignedDataInterval="20", MeterValuesAlignedData="Voltage")
        await station.charging()
        values = await meter_values(station, 3)
        at = [datetime.fromisoformat(value["timestamp"]) for value in values]
        assert all((instant.minute * 60 + instant.second) % 20 == 0 for instant in at)
        assert all(late - early == timedelta(seconds=20) for early, late in pairwise(at))
        samples = [sample for value in values for sample in value["sampled_value"]]
        assert {sample["context"] for sample in samples} == {"Sample.Clock"}
        assert {sample["measurand"] for sample in samples} == {"Voltage"}


async def test_tc_030_cs_unlock_failure() -> None:
    async with bench() as station:
        await station.charging()
        station.hardware.evses[1].lock_works = False
        assert (await station.tool.ask(call.UnlockConnector(1))).status == "UnlockFailed"


async def test_tc_031_cs_unlock_an_unknown_connector() -> None:
    async with bench() as station:
        assert (await station.tool.ask(call.UnlockConnector(3))).status == "NotSupported"


async def test_tc_032_1_cs_power_failure_with_a_back_up() -> None:
    async with bench() as station:
        await station.charging()
        station.power_fails()
        await station.tool.expect("StopTransaction", reason="PowerLoss")
        await station.status("Finishing")
        station.power_cycle()
        await booted_again(station, connector=1, statuses={"Finishing", "Preparing"})


@pytest.mark.parametrize("resumes", [True, False])
async def test_tc_032_2_cs_power_failure(resumes: bool) -> None:
    async with bench(keys={"TxCtrlr.ResumptionTimeout": "300" if resumes else "0"}) as station:
        await station.charging()
        station.power_cycle()
        if resumes:
            await booted_again(station, connector=1, statuses={"Charging", "SuspendedEV", "SuspendedEVSE"})
            station.tap()
            await station.tool.expect("StopTransaction", reason={"Local", None})
            await station.status("Finishing")
        else:
            await station.tool.expect("StopTransaction", reason="PowerLoss")
            await booted_again(station, connector=1, statuses={"Finishing", "Preparing"})


async def test_tc_034_cs_power_failure_while_unavailable() -> None:
    async with bench() as station:
        await station.unavailable(0)
        station.power_cycle()
        await station.tool.expect("BootNotification")
        await station.statuses("Unavailable")


async def test_tc_036_cs_connection_loss_during_a_transaction() -> None:
    async with bench(speed=20) as station:
        await station.set(MeterValueSampleInterval="10")
        await station.charging()
        await station.tool.expect("MeterValues")
        await station.offline()
        await station.tool.quiet("MeterValues", for_s=1.7)
        station.online()
        values = await meter_values(station, 4)
        at = [datetime.fromisoformat(value["timestamp"]) for value in values]
        assert all(abs((late - early).total_seconds() - 10) < 2 for early, late in pairwise(at))
        assert {one.payload["transaction_id"] for one in station.tool.told("MeterValues")} == {4001}


async def offline_keys(station: Bench) -> None:
    await station.set(
        LocalAuthorizeOffline="true",
        LocalAuthListEnabled="true",
        AuthorizationCacheEnabled="true",
        AllowOfflineTxForUnknownId="true",
    )


async def test_tc_037_1_cs_offline_start_valid() -> None:
    async with bench() as station:
        await station.cached()
        await station.listed()
        await offline_keys(station)
        station.tool.settle()
        await station.offline()
        station.plug_in()
        station.tap()
        station.online()
        await station.tool.expect("StartTransaction", id_tag=VALID)
        await station.status("Charging")
        await station.tool.quiet("Authorize", "BootNotification")


@pytest.mark.parametrize("stops", [pytest.param(False, id="tc_037_2_cs"), pytest.param(True, id="tc_037_3_cs")])
async def test_tc_037_2_cs_and_tc_037_3_cs_offline_start_invalid(stops: bool) -> None:
    async with bench() as station:
        await station.listed(INVALID)
        await offline_keys(station)
        await station.set(StopTransactionOnInvalidId="true" if stops else "false", MaxEnergyOnInvalidId="0")
        station.tool.settle()
        await station.offline()
        station.plug_in()
        station.tap(INVALID)
        station.online()
        await station.tool.expect("StartTransaction", id_tag=INVALID)
        await station.status("Charging")
        if stops:
            await station.tool.expect("StopTransaction", reason="DeAuthorized")
            await station.status("Finishing")
        else:
            await station.status("SuspendedEVSE")
        await station.tool.expect("StatusNotification", connector_id=0, error_code="LocalListConflict")


async def test_tc_038_cs_offline_stop() -> None:
    async with bench() as station:
        await station.charging()
        await station.offline()
        station.tap()
        station.online()
        await station.tool.expect("StopTransaction", reason={"Local", None})
        await station.status("Finishing")


async def test_tc_039_cs_offline_transaction() -> None:
    async with bench() as station:
        await station.cached()
        await station.listed()
        await offline_keys(station)
        station.tool.settle()
        await station.offline()
        station.plug_in()
        station.tap()
        station.tap()
        station.unplug()
        station.online()
        start = await station.tool.expect("StartTransaction", id_tag=VALID)
        stop = await station.tool.expect("StopTransaction", reason={"Local", None})
        assert start.number < stop.number
        assert stop.payload["transaction_id"] == station.tool.transaction_id
        assert stop.payload["timestamp"] <= stop.at.isoformat()


async def test_tc_040_1_cs_an_unknown_key() -> None:
    async with bench() as station:
        assert (await station.tool.ask(call.ChangeConfiguration("Testing", "true"))).status == "NotSupported"


async def test_tc_040_2_cs_an_invalid_value() -> None:
    async with bench() as station:
        answer = await station.tool.ask(call.ChangeConfiguration("MeterValueSampleInterval", "-1"))
        assert answer.status == "Rejected"


@pytest.mark.parametrize("station_wide", [False, True])
async def test_tc_041_cs_fault(station_wide: bool) -> None:
    async with bench(evses=1) as station:
        station.fail_station() if station_wide else station.fail()
        await station.status("Faulted")
        station.plug_in()
        station.tap()
        await station.tool.quiet("StartTransaction")
        refused = await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))
        assert refused.status == "Rejected"


async def test_tc_062_cs_data_transfer_of_an_unknown_vendor() -> None:
    async with bench() as station:
        answer = await station.tool.ask(call.DataTransfer("com.example.nobody", data="x"))
        assert answer.status in {"Rejected", "UnknownMessageId", "UnknownVendorId"}
