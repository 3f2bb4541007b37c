# mypy: disable-error-code="untyped-decorator"
"""The same profiles with an independent CSMS of the next version, by the ids of its test cases (part 6, C, D, H)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from ocpp.routing import on
from ocpp.v201 import call, call_result
from ocpp.v201.enums import Action

from forecourt.dialect.v201 import V201
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.station_session import StationSession
from forecourt.net.uplink import Uplink
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.inputs import TokenPresented
from forecourt.store.journal import MemoryJournal
from tests.net.central_v16 import Office, office
from tests.net.central_v201 import Csms201

ALICE, BOB = {"id_token": "ALICE", "type": "ISO14443"}, {"id_token": "BOB", "type": "ISO14443"}


class Csms(Csms201):
    @on(Action.reservation_status_update)
    def on_reservation(self, **payload: Any) -> Any:
        self._note("ReservationStatusUpdate", payload)
        return call_result.ReservationStatusUpdate()


class Site:
    def __init__(self, central: Office, session: StationSession, hardware: SimulatedHardware) -> None:
        self.central, self.session, self.hardware = central, session, hardware

    def tap(self, tag: str, evse_id: int = 1) -> None:
        self.session.tell([TokenPresented(IdToken(tag), evse_id)])

    def plug_in(self, evse_id: int = 1) -> None:
        now = self.session.clock.now()
        vehicle = Vehicle(VehicleSpec(ramp_s=0.1, reaction_s=0.0), now.elapsed_s)
        self.session.tell(self.hardware.evses[evse_id].plug_in(vehicle, now))

    async def reserve(self, for_s: float = 600, evse_id: int | None = 1, number: int = 5) -> str:
        expires = (datetime.now(UTC) + timedelta(seconds=for_s)).isoformat()
        answer = await self.central.newest.call(call.ReserveNow(number, expires, ALICE, evse_id=evse_id))
        return str(answer.status)

    def shown(self, evse_id: int = 1) -> list[str]:
        told = self.central.told("StatusNotification")
        return [one["connector_status"] for one in told if one["evse_id"] == evse_id]


@asynccontextmanager
async def running() -> AsyncIterator[Site]:
    async with office(Csms, "ocpp2.0.1") as central:
        hardware = SimulatedHardware(SimulatedEvse(number) for number in (1, 2))
        config = StationConfig(
            identity=StationIdentity(vendor_name="Vendor", model="Model"), evses=(EvseConfig(), EvseConfig())
        )
        backoff = BackoffPolicy(wait_minimum_s=0.05, random_range_s=0.0, repeat_times=0)
        uplink = Uplink(url=f"ws://127.0.0.1:{central.port}/ocpp/CS1", backoff=backoff)
        session = StationSession(config, V201, MemoryJournal(), hardware, uplink, reboot_s=0.05)
        task = asyncio.create_task(session.run())
        try:
            await central.until(lambda: len(central.told("StatusNotification")) >= 2)
            yield Site(central, session, hardware)
        finally:
            await session.stop()
            await task


async def test_tc_h_01_cs_a_reserved_evse_is_for_its_token() -> None:
    async with running() as site:
        assert await site.reserve() == "Accepted"
        await site.central.until(lambda: site.shown() == ["Available", "Reserved"])
        assert await site.reserve(number=6) == "Occupied"
        refused = await site.central.newest.call(call.RequestStartTransaction(BOB, 1, evse_id=1))
        assert refused.status == "Rejected"
        site.tap("ALICE")
        await site.central.until(lambda: site.shown() == ["Available", "Reserved", "Available"])
        site.plug_in()
        await site.central.until(lambda: bool(site.central.told("TransactionEvent")))
        first = site.central.told("TransactionEvent")[0]
        assert (first["event_type"], first["reservation_id"]) == ("Started", 5)
        assert not site.central.told("ReservationStatusUpdate")


async def test_tc_h_07_cs_a_reservation_expires() -> None:
    async with running() as site:
        assert await site.reserve(for_s=0.5) == "Accepted"
        await site.central.until(lambda: site.shown() == ["Available", "Reserved", "Available"])
        await site.central.until(lambda: bool(site.central.told("ReservationStatusUpdate")))
        told = site.central.told("ReservationStatusUpdate")
        assert told == [{"reservation_id": 5, "reservation_update_status": "Expired"}]


async def test_tc_h_17_cs_and_tc_h_18_cs_cancelling() -> None:
    async with running() as site:
        await site.reserve()
        assert (await site.central.newest.call(call.CancelReservation(6))).status == "Rejected"
        assert (await site.central.newest.call(call.CancelReservation(5))).status == "Accepted"
        await site.central.until(lambda: site.shown() == ["Available", "Reserved", "Available"])
        assert not site.central.told("ReservationStatusUpdate")


async def test_d01_and_d02_a_local_list_and_its_version() -> None:
    async with running() as site:
        csms = site.central.newest
        entry = {"id_token": ALICE, "id_token_info": {"status": "Accepted"}}
        assert (await csms.call(call.GetLocalListVersion())).version_number == 0
        assert (await csms.call(call.SendLocalList(3, "Full", [entry]))).status == "Accepted"
        assert (await csms.call(call.GetLocalListVersion())).version_number == 3
        assert (await csms.call(call.SendLocalList(3, "Differential", [entry]))).status == "VersionMismatch"
        assert (await csms.call(call.SendLocalList(4, "Differential", [{"id_token": ALICE}]))).status == "Accepted"
        assert (await csms.call(call.GetLocalListVersion())).version_number == 0


async def test_c11_the_cache_is_cleared_unless_it_is_off() -> None:
    async with running() as site:
        csms = site.central.newest
        assert (await csms.call(call.ClearCache())).status == "Accepted"
        off = {
            "component": {"name": "AuthCacheCtrlr"},
            "variable": {"name": "Enabled"},
            "attribute_value": "false",
        }
        await csms.call(call.SetVariables([off]))
        assert (await csms.call(call.ClearCache())).status == "Rejected"
