"""OCTT, Charge Point, Local Auth List Management (TC_042, TC_043, TC_008)."""

from typing import Any

from ocpp.v16 import call

from tests.octt.station.bench import Bench, bench
from tests.octt.station.central import VALID, VALID_2

WITHOUT_PROFILE = {"SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger"}


async def send(station: Bench, version: int, update: Any, *tags: str) -> str:
    entries = [{"id_tag": tag, "id_tag_info": {"status": "Accepted"}} for tag in tags]
    return str((await station.tool.ask(call.SendLocalList(version, update, entries))).status)


async def version(station: Bench) -> int:
    return int((await station.tool.ask(call.GetLocalListVersion())).list_version)


async def test_tc_042_1_cs_version_not_supported() -> None:
    async with bench() as station:
        await station.set(LocalAuthListEnabled="false")
        assert await version(station) == -1


async def test_tc_042_1_cs_version_without_the_profile() -> None:
    async with bench(keys=WITHOUT_PROFILE) as station:
        assert await version(station) == -1


async def test_tc_042_2_cs_version_of_an_empty_list() -> None:
    async with bench() as station:
        await station.set(LocalAuthListEnabled="true")
        answer = await station.tool.ask(call.SendLocalList(1, "Full", None))
        assert answer.status == "Accepted"
        assert await version(station) == 0


async def test_tc_043_cs_send_local_list() -> None:
    async with bench() as station:
        await station.set(LocalAuthListEnabled="true")
        assert await send(station, 1, "Full", VALID) == "Accepted"
        assert await send(station, 2, "Differential", VALID_2) == "Accepted"


async def test_tc_043_1_cs_not_supported() -> None:
    async with bench(keys=WITHOUT_PROFILE) as station:
        assert await send(station, 1, "Full", VALID) == "NotSupported"


async def test_tc_043_2_cs_version_mismatch() -> None:
    async with bench() as station:
        await station.set(LocalAuthListEnabled="true")
        assert await send(station, 2, "Full", VALID) == "Accepted"
        assert await version(station) == 2
        assert await send(station, 5, "Differential", VALID_2) == "Accepted"
        assert await version(station) == 5
        assert await send(station, 4, "Differential", "THIRD") == "VersionMismatch"
        assert await version(station) == 5


async def test_tc_043_3_cs_failed() -> None:
    """The state in which it will fail: no room for so many."""
    async with bench(keys={"LocalAuthListMaxLength": "1"}) as station:
        await station.set(LocalAuthListEnabled="true")
        assert await send(station, 2, "Full", VALID, VALID_2) == "Failed"
        assert await version(station) == 0


async def test_tc_008_cs_an_id_in_the_local_list() -> None:
    async with bench() as station:
        await station.set(
            LocalPreAuthorize="true",
            AuthorizationCacheEnabled="false",
            LocalAuthListEnabled="true",
            AuthorizeRemoteTxRequests="true",
        )
        assert await version(station) == 0
        assert await send(station, 1, "Full", VALID) == "Accepted"
        station.plug_in()
        await station.status("Preparing")
        assert (await station.tool.ask(call.RemoteStartTransaction(VALID, connector_id=1))).status == "Accepted"
        await station.tool.expect("StartTransaction", id_tag=VALID)
        await station.status("Charging")
        await station.tool.quiet("Authorize", for_s=0.2)
