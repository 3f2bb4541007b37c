"""OCTT, Charge Point, Reservation (TC_046 to TC_053)."""

from datetime import UTC, datetime, timedelta

import pytest
from ocpp.v16 import call

from tests.octt.station.bench import bench
from tests.octt.station.central import PARENT, VALID, VALID_2

WITHOUT_PROFILE = {"SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger"}


async def test_tc_046_1_cs_local_start_on_a_reserved_connector() -> None:
    async with bench() as station:
        await station.unavailable(2)
        assert await station.reserve() == "Accepted"
        await station.status("Reserved")
        station.tap(VALID_2)
        station.tap(VALID)
        await station.tool.expect("Authorize", id_tag=VALID)
        await station.status("Preparing")
        station.plug_in()
        await station.tool.expect("StartTransaction", id_tag=VALID, reservation_id=17)
        await station.status("Charging")
        assert len(station.tool.told("Authorize")) == 1


async def test_tc_046_2_cs_remote_start_on_a_reserved_connector() -> None:
    async with bench() as station:
        await station.reserved()
        started = await station.charging(reserved=True)
        assert started.payload["reservation_id"] == 17


async def test_tc_046_2_cs_also_with_a_fixed_cable() -> None:
    async with bench(fixed_cable=True) as station:
        await station.reserved()
        started = await station.charging(reserved=True)
        assert started.payload["reservation_id"] == 17


async def test_tc_047_cs_expire() -> None:
    async with bench(speed=10) as station:
        await station.unavailable(2)
        soon = (station.session.clock.now().at + timedelta(seconds=20)).isoformat()
        assert await station.reserve(expiry_date=soon) == "Accepted"
        await station.status("Reserved")
        await station.status("Available")
        started = await station.charging(VALID_2)
        assert "reservation_id" not in started.payload


async def test_tc_048_1_cs_faulted() -> None:
    async with bench() as station:
        station.fail()
        await station.status("Faulted")
        assert await station.reserve() == "Faulted"


async def test_tc_048_2_cs_occupied() -> None:
    async with bench() as station:
        await station.occupied()
        assert await station.reserve() == "Occupied"


async def test_tc_048_3_cs_unavailable() -> None:
    async with bench() as station:
        await station.unavailable(1)
        assert await station.reserve() == "Unavailable"


@pytest.mark.parametrize("connector", [pytest.param(1, id="tc_048_4_cs"), pytest.param(0, id="tc_050_4_cs")])
async def test_tc_048_4_cs_and_tc_050_4_cs_rejected(connector: int) -> None:
    async with bench(keys=WITHOUT_PROFILE) as station:
        assert await station.reserve(connector) == "Rejected"


async def test_tc_049_cs_reservation_of_the_charge_point() -> None:
    async with bench() as station:
        assert await station.get("ReserveConnectorZeroSupported") == "true"
        await station.unavailable(2)
        assert await station.reserve(0) == "Accepted"
        await station.status("Reserved")
        started = await station.charging(reserved=True)
        assert started.payload["reservation_id"] == 17


async def test_tc_050_1_cs_charge_point_faulted() -> None:
    async with bench() as station:
        station.fail_station()
        await station.statuses("Faulted")
        assert await station.reserve(0) == "Faulted"


async def test_tc_050_2_cs_charge_point_occupied() -> None:
    async with bench() as station:
        await station.occupied(1)
        await station.occupied(2)
        assert await station.reserve(0) == "Occupied"


async def test_tc_050_3_cs_charge_point_unavailable() -> None:
    async with bench() as station:
        await station.unavailable(0)
        assert await station.reserve(0) == "Unavailable"


async def test_tc_051_cs_cancel() -> None:
    async with bench() as station:
        await station.reserved()
        assert (await station.tool.ask(call.CancelReservation(17))).status == "Accepted"
        await station.status("Available")
        started = await station.charging(VALID_2)
        assert "reservation_id" not in started.payload


async def test_tc_052_cs_cancel_rejected() -> None:
    async with bench() as station:
        await station.reserved()
        assert (await station.tool.ask(call.CancelReservation(18))).status == "Rejected"
        await station.tool.quiet("StatusNotification", for_s=0.2)


async def test_tc_053_cs_use_with_the_parent() -> None:
    async with bench() as station:
        station.tool.parents[VALID_2] = PARENT
        await station.unavailable(2)
        assert await station.reserve(parent_id_tag=PARENT) == "Accepted"
        await station.status("Reserved")
        await station.authorized(VALID_2)
        station.plug_in()
        await station.tool.expect("StartTransaction", id_tag=VALID_2, reservation_id=17)
        await station.status("Charging")


async def test_a_reservation_in_the_past_is_rejected() -> None:
    async with bench() as station:
        past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        assert await station.reserve(1, VALID, expiry_date=past) == "Rejected"
