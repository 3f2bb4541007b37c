"""OCTT, Charge Point, Core: boot, starting and stopping, cache, remote start and stop (TC_001 to TC_012, 068, 069)."""

from datetime import timedelta
from itertools import pairwise

from ocpp.v16 import call

from tests.octt.station.bench import bench
from tests.octt.station.central import INVALID, PARENT, VALID, VALID_2


async def test_tc_001_cs_cold_boot() -> None:
    async with bench(booted=False, boots=[("Rejected", 1), ("Accepted", 1)]) as station:
        first = await station.tool.expect("BootNotification")
        second = await station.tool.expect("BootNotification")
        assert second.at - first.at >= timedelta(seconds=0.9)
        await station.statuses("Available")
        beats = [await station.tool.expect("Heartbeat") for _ in range(3)]
        assert all(
            timedelta(seconds=0.9) <= late.at - early.at < timedelta(seconds=2) for early, late in pairwise(beats)
        )
        assert [one.action for one in station.tool.heard[:2]] == ["BootNotification"] * 2


async def test_tc_002_cs_cold_boot_pending() -> None:
    async with bench(booted=False, boots=[("Pending", 2), ("Accepted", 1)]) as station:
        first = await station.tool.expect("BootNotification")
        keys = await station.tool.ask(call.GetConfiguration())
        assert keys.configuration_key
        await station.set(MeterValueSampleInterval="60")
        refused = await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))
        assert refused.status == "Rejected"
        second = await station.tool.expect("BootNotification")
        assert second.at - first.at >= timedelta(seconds=1.9)
        await station.statuses("Available")
        await station.tool.expect("Heartbeat")


async def test_tc_003_cs_plugin_first() -> None:
    async with bench() as station:
        station.plug_in()
        await station.status("Preparing")
        station.tap()
        await station.tool.expect("Authorize", id_tag=VALID)
        await station.tool.expect("StartTransaction", id_tag=VALID, connector_id=1)
        await station.status("Charging")


async def test_tc_004_1_cs_identification_first() -> None:
    async with bench() as station:
        await station.authorized()
        station.plug_in()
        await station.tool.expect("StartTransaction", id_tag=VALID)
        await station.status("Charging")


async def test_tc_004_2_cs_identification_first_connection_timeout() -> None:
    async with bench(speed=20) as station:
        await station.set(ConnectionTimeOut="10")
        await station.authorized()
        await station.status("Available")
        assert not station.tool.told("StartTransaction")


async def test_tc_068_cs_the_same_tag_stops() -> None:
    async with bench() as station:
        await station.charging()
        station.tap(VALID_2)
        await station.tool.quiet("Authorize", "StopTransaction")
        station.tap(VALID)
        await station.tool.expect("StopTransaction", id_tag=VALID)
        await station.status("Finishing")


async def test_tc_069_cs_a_tag_of_the_same_parent_stops() -> None:
    async with bench() as station:
        station.tool.parents.update({VALID: PARENT, VALID_2: PARENT})
        await station.charging()
        station.tap(VALID_2)
        await station.tool.expect("Authorize", id_tag=VALID_2)
        await station.tool.expect("StopTransaction", id_tag=VALID_2)
        await station.status("Finishing")


async def test_tc_005_1_cs_ev_side_disconnected_stop_and_unlock() -> None:
    async with bench() as station:
        await station.set(
            MinimumStatusDuration="0",
            StopTransactionOnEVSideDisconnect="true",
            UnlockConnectorOnEVSideDisconnect="true",
        )
        await station.charging()
        station.unplug()
        await station.tool.expect("StopTransaction", reason="EVDisconnected")
        await station.status("Finishing")
        await station.status("Available")


async def test_tc_005_2_cs_ev_side_disconnected_stop_and_keep_locked() -> None:
    async with bench() as station:
        await station.set(
            MinimumStatusDuration="0",
            StopTransactionOnEVSideDisconnect="true",
            UnlockConnectorOnEVSideDisconnect="false",
        )
        await station.charging()
        station.unplug()
        await station.tool.expect("StopTransaction", reason="EVDisconnected")
        await station.status("Finishing")
        assert station.hardware.evses[1].locked
        assert (await station.tool.ask(call.UnlockConnector(1))).status == "Unlocked"


async def test_tc_005_3_cs_ev_side_disconnected_and_the_transaction_goes_on() -> None:
    async with bench() as station:
        await station.set(
            MinimumStatusDuration="0",
            StopTransactionOnEVSideDisconnect="false",
            UnlockConnectorOnEVSideDisconnect="false",
        )
        await station.charging()
        station.unplug()
        suspended = await station.tool.expect(
            "StatusNotification", connector_id=1, status={"SuspendedEV", "SuspendedEVSE"}
        )
        assert suspended.payload["info"].lower() == "ev side disconnected"
        assert (await station.tool.ask(call.RemoteStopTransaction(station.tool.transaction_id))).status == "Accepted"
        await station.status("Finishing")
        await station.tool.expect("StopTransaction", reason="Remote")


async def test_tc_007_cs_a_cached_id() -> None:
    async with bench() as station:
        await station.cached()
        await station.set(AuthorizationCacheEnabled="true", AuthorizeRemoteTxRequests="true", LocalPreAuthorize="true")
        station.tool.settle()
        station.plug_in()
        await station.status("Preparing")
        assert (await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))).status == "Accepted"
        await station.tool.expect("StartTransaction", id_tag=VALID)
        await station.status("Charging")
        await station.tool.quiet("Authorize", for_s=0.2)


async def test_tc_061_cs_clear_the_cache() -> None:
    async with bench() as station:
        await station.set(AuthorizationCacheEnabled="true", LocalPreAuthorize="true", ConnectionTimeOut="60")
        await station.authorized()
        station.tap()
        await station.status("Available")
        assert (await station.tool.ask(call.ClearCache())).status == "Accepted"
        station.tap()
        await station.tool.expect("Authorize", id_tag=VALID)


async def test_tc_010_cs_remote_start_cable_first() -> None:
    async with bench() as station:
        await station.charging()


async def test_tc_011_1_cs_remote_start_first() -> None:
    async with bench() as station:
        assert (await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))).status == "Accepted"
        if await station.get("AuthorizeRemoteTxRequests") == "true":
            await station.tool.expect("Authorize", id_tag=VALID)
        await station.status("Preparing")
        station.plug_in()
        await station.tool.expect("StartTransaction", id_tag=VALID)
        await station.status("Charging")


async def test_tc_011_1_cs_remote_start_first_with_authorize() -> None:
    async with bench() as station:
        await station.set(AuthorizeRemoteTxRequests="true")
        assert (await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))).status == "Accepted"
        await station.tool.expect("Authorize", id_tag=VALID)
        await station.status("Preparing")
        station.plug_in()
        await station.tool.expect("StartTransaction", id_tag=VALID)
        await station.status("Charging")


async def test_tc_011_2_cs_remote_start_time_out() -> None:
    async with bench(speed=20) as station:
        await station.set(ConnectionTimeOut="10")
        assert (await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))).status == "Accepted"
        await station.status("Preparing")
        await station.status("Available")
        assert not station.tool.told("StartTransaction")


async def test_tc_012_cs_remote_stop() -> None:
    async with bench() as station:
        await station.charging()
        assert (await station.tool.ask(call.RemoteStopTransaction(station.tool.transaction_id))).status == "Accepted"
        await station.tool.expect("StopTransaction", reason="Remote")
        await station.status("Finishing")


async def test_tc_023_cs_authorize_invalid() -> None:
    async with bench(speed=20) as station:
        await station.set(MinimumStatusDuration="10", LocalPreAuthorize="true")
        station.plug_in()
        await station.status("Preparing")
        station.tap(INVALID)
        await station.tool.expect("Authorize", id_tag=INVALID)
        await station.tool.quiet("StartTransaction")


async def test_tc_024_cs_lock_failure() -> None:
    async with bench() as station:
        assert (await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))).status == "Accepted"
        await station.status("Preparing")
        station.hardware.evses[1].lock_works = False
        station.plug_in()
        await station.status("Faulted", error_code="ConnectorLockFailure")
        await station.tool.quiet("StartTransaction")


async def test_tc_026_cs_remote_start_rejected() -> None:
    async with bench() as station:
        await station.set(LocalPreAuthorize="false")
        await station.charging()
        assert (await station.tool.ask(call.RemoteStartTransaction(VALID_2, connector_id=1))).status == "Rejected"


async def test_tc_027_cs_remote_start_on_connector_0() -> None:
    async with bench() as station:
        request = call.RemoteStartTransaction(VALID, connector_id=0)
        assert await station.tool.refused(request) is not None, "a CALLERROR is as good as Rejected"
        await station.tool.quiet("StartTransaction", "StatusNotification")


async def test_tc_028_cs_remote_stop_rejected() -> None:
    async with bench() as station:
        await station.charging()
        assert (await station.tool.ask(call.RemoteStopTransaction(99))).status == "Rejected"
