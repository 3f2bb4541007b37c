"""The station under test on a real WebSocket, its hardware at hand, and the reusable states of the test cases.

Time: what happens in the world (cars, timeouts, intervals of meter values) runs `speed` times as fast as the clock on
the wall; the protocol (answers, heartbeats, retries) does not.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from ocpp.v16 import call

from forecourt.dialect.v16 import V16
from forecourt.dialect.variable_names import variables_of
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.clock import ScaledClock
from forecourt.net.station_session import StationSession
from forecourt.net.uplink import Uplink
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.inputs import Fault, FaultCleared, FaultRaised, Input, PowerFailing, TokenPresented
from forecourt.station.ports import Security, System
from forecourt.store.journal import MemoryJournal
from tests.octt.station.central import PATIENCE_S, VALID, Heard, Tool, tool

BROKEN = Fault(fault_id="broken", code="InternalError", inoperative=True)


class Bench:
    """One station, its tool, and a hand at its hardware. Connector 1 is the configured one."""

    def __init__(self, opened: Tool, session: StationSession, hardware: SimulatedHardware) -> None:
        self.tool = opened
        self.session = session
        self.hardware = hardware

    # What people and accidents do

    def do(self, inputs: Iterable[Input]) -> None:
        self.session.tell(inputs)

    def tap(self, tag: str = VALID, connector: int = 1) -> None:
        self.do([TokenPresented(IdToken(tag), connector)])

    def plug_in(self, connector: int = 1) -> None:
        now = self.session.clock.now()
        vehicle = Vehicle(VehicleSpec(ramp_s=0.1, reaction_s=0.0), now.elapsed_s)
        self.do(self.hardware.evses[connector].plug_in(vehicle, now))

    def unplug(self, connector: int = 1) -> None:
        """On the side of the car; the driver takes the cable along as soon as the socket lets it go."""
        self.do(self.hardware.evses[connector].unplug(self.session.clock.now()))

    def fail(self, connector: int = 1) -> None:
        self.do(self.hardware.evses[connector].fail(BROKEN, self.session.clock.now()))

    def recover(self, connector: int = 1) -> None:
        self.do(self.hardware.evses[connector].recover(BROKEN.fault_id, self.session.clock.now()))

    def fail_station(self) -> None:
        self.do([FaultRaised(0, BROKEN)])

    def recover_station(self) -> None:
        self.do([FaultCleared(0)])

    def power_fails(self) -> None:
        """The supply is gone; a buffer lasts a moment."""
        self.do([PowerFailing()])

    def power_cycle(self) -> None:
        self.session.power_cycle()

    async def offline(self) -> None:
        """Remove the connectivity."""
        self.session.disconnect()
        async with asyncio.timeout(PATIENCE_S):
            while self.session.connected:  # noqa: ASYNC110 - the session tells nobody
                await asyncio.sleep(0.01)

    def online(self) -> None:
        """Restore the connectivity."""
        self.session.reconnect()

    # What the tool does

    async def set(self, **keys: str) -> None:
        """The configuration states of a test case."""
        for key, value in keys.items():
            assert (await self.tool.ask(call.ChangeConfiguration(key, value))).status == "Accepted", key

    async def get(self, key: str) -> str:
        answer = await self.tool.ask(call.GetConfiguration(key=[key]))
        assert not answer.unknown_key, key
        return str(answer.configuration_key[0]["value"])

    # Steps that recur

    async def status(self, status: str, connector: int = 1, **fields: Any) -> Heard:
        return await self.tool.expect("StatusNotification", connector_id=connector, status=status, **fields)

    async def statuses(self, status: str) -> None:
        """One of each connector and of connector 0."""
        for connector in (0, *self.hardware.evses):
            await self.status(status, connector)

    # Reusable states

    async def authorized(self, tag: str = VALID) -> None:
        """Table 104."""
        self.tap(tag)
        await self.tool.expect("Authorize", id_tag=tag)
        await self.status("Preparing")

    async def charging(self, tag: str = VALID, connector: int = 1, *, reserved: bool = False, **start: Any) -> Heard:
        """Table 105. The StartTransaction; `start`: fields of the RemoteStartTransaction."""
        asks = await self.get("AuthorizeRemoteTxRequests") == "true"
        self.plug_in(connector)
        if not reserved:
            await self.status("Preparing", connector)
        answer = await self.tool.ask(call.RemoteStartTransaction(tag, connector_id=connector, **start))
        assert answer.status == "Accepted"
        if reserved:
            await self.status("Preparing", connector)
        if asks:
            await self.tool.expect("Authorize", id_tag=tag)
        started = await self.tool.expect("StartTransaction", connector_id=connector, id_tag=tag)
        await self.status("Charging", connector)
        self.tool.settle()
        return started

    async def unavailable(self, connector: int) -> None:
        """Tables 108 and 109."""
        assert (await self.tool.ask(call.ChangeAvailability(connector, "Inoperative"))).status == "Accepted"
        if connector:
            await self.status("Unavailable", connector)
        else:
            await self.statuses("Unavailable")

    async def occupied(self, connector: int = 1) -> None:
        """Table 110."""
        self.plug_in(connector)
        await self.status("Preparing", connector)

    async def reserve(self, connector: int = 1, tag: str = VALID, number: int = 17, **options: Any) -> str:
        """The status of a ReserveNow for ten minutes, or until `expiry_date`."""
        later = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 600, UTC)
        expiry = options.pop("expiry_date", later.isoformat())
        answer = await self.tool.ask(call.ReserveNow(connector, expiry, tag, number, **options))
        return str(answer.status)

    async def reserved(self) -> None:
        """Table 111."""
        assert await self.reserve() == "Accepted"
        await self.status("Reserved")

    # Memory states

    async def cached(self, tag: str = VALID) -> None:
        """Table 112."""
        await self.set(AuthorizationCacheEnabled="true")
        await self.charging(tag)
        self.tap(tag)
        await self.tool.expect("StopTransaction", transaction_id=self.tool.transaction_id)
        await self.status("Finishing")
        self.unplug()
        await self.status("Available")

    async def listed(self, tag: str = VALID) -> None:
        """Table 113."""
        await self.set(LocalAuthListEnabled="true")
        entry = {"id_tag": tag, "id_tag_info": {"status": "Accepted"}}
        answer = await self.tool.ask(call.SendLocalList(1, "Full", [entry]))
        assert answer.status == "Accepted"


@asynccontextmanager
async def bench(
    *,
    evses: int = 2,
    fixed_cable: bool = False,
    speed: float = 1.0,
    booted: bool = True,
    boots: Iterable[tuple[str, int]] = (),
    keys: dict[str, Any] | None = None,
    system: System | None = None,
    security: Security | None = None,
    tls: ssl.SSLContext | None = None,
    access: dict[str, Any] | None = None,
) -> AsyncIterator[Bench]:
    """A running station and its tool. `booted`: what it tells at the start is waited for, and put aside. `tls` is the
    tool's, `access` what else the station needs to connect.
    """
    async with tool(tls) as opened:
        opened.boots.extend(boots)
        numbers = range(1, evses + 1)
        hardware = SimulatedHardware(SimulatedEvse(number, has_lock=not fixed_cable) for number in numbers)
        config = StationConfig(
            identity=StationIdentity(vendor_name="Vendor", model="Model"),
            evses=tuple(EvseConfig(has_lock=not fixed_cable) for _ in numbers),
            variables=variables_of(keys or {}),
        )
        uplink = Uplink(
            url=f"ws://127.0.0.1:{opened.port}/ocpp/CP1" if tls is None else f"wss://localhost:{opened.port}/ocpp/CP1",
            backoff=BackoffPolicy(wait_minimum_s=0.05, random_range_s=0.0, repeat_times=0),
            **(access or {}),
        )
        clock = ScaledClock(datetime.now(UTC), speed)
        session = StationSession(
            config, V16, MemoryJournal(), hardware, uplink, clock=clock, reboot_s=0.05, system=system, security=security
        )
        running = asyncio.create_task(session.run())
        under_test = Bench(opened, session, hardware)
        try:
            if booted:
                await opened.expect("BootNotification")
                await under_test.statuses("Available")
                opened.settle()
            yield under_test
        finally:
            await session.stop()
            await running
