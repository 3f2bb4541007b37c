"""A simulated station with its drivers: real OCPP over a real socket, cars that come and go on the world's clock.

Guarantees
* What the station reports is what its simulated meter measured; what it and the CSMS say to each other is counted.
* Nobody comes before the CSMS has let the station in for the first time; whom the reader refuses tries again every
  half a minute of the world, until it is time to leave.
* Its own books (`books`) are what it has told and had acknowledged about each transaction, in the station's own view:
  to be compared with the CSMS's.
"""

import asyncio
import itertools
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from forecourt.dialect.port import Dialect
from forecourt.domain.clock import Clock, Deadlines, Now
from forecourt.domain.events import MeterSampled, Notice, TransactionEnded, TransactionStarted
from forecourt.domain.meter import energy_wh
from forecourt.domain.requests import RequestStatus, StartAnswer
from forecourt.domain.site import EvsePoint
from forecourt.domain.station import StationIdentity
from forecourt.domain.variable import VariableRef
from forecourt.hardware.simulated import PlugError, SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.handshake import connection_url
from forecourt.net.station_session import StationSession
from forecourt.net.uplink import Uplink
from forecourt.sim.cars import token_of, vehicle_of
from forecourt.sim.sessions import RecordedSession
from forecourt.station.boot import Registration
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.effects import Effect, Reply, Send, TokenAnswered
from forecourt.station.inputs import StopPressed
from forecourt.station.ports import Journal
from forecourt.station.variable_table import SAMPLED_INTERVAL, SAMPLED_MEASURANDS

AFTER_PLUG_S = 20.0
"""World seconds between plugging in and holding the token to the reader."""
TRIES_AGAIN_AFTER_S = 30.0
"""World seconds until a driver whom the reader refused holds the token to it once more."""
_LOOKS_EVERY_S = 0.1
VISITOR_COMES_AFTER_S = 2.0
"""Real seconds between a remote start and the plug of the visitor who asked for it."""
VISITOR_LEAVES_AFTER_S = 8.0
"""Real seconds between the end of their transaction and their leaving."""
_VISITOR = VehicleSpec(battery_wh=58_000.0, initial_wh=20_000.0)


class Entry(msgspec.Struct):
    """One transaction in the station's own books."""

    transaction_id: str
    start_wh: float
    last_wh: float
    ended: bool = False

    @property
    def energy_wh(self) -> float:
        """From the start to the last reading that was told."""
        return self.last_wh - self.start_wh


class Counts(msgspec.Struct):
    """Frames on the station's link, both ways."""

    calls: int = 0
    call_errors: int = 0
    results: int = 0


class DrivenStation:
    """One station with one EVSE and the sessions that happen at it."""

    def __init__(
        self,
        point: EvsePoint,
        sessions: Sequence[RecordedSession],
        *,
        endpoint: str,
        dialect: Dialect,
        journal: Journal,
        clock: Clock,
        sample_interval_s: int = 60,
        backoff: BackoffPolicy | None = None,
        seed: int = 0,
        variables: Mapping[VariableRef, str] | None = None,
        visitors: bool = False,
    ) -> None:
        """`endpoint` is the controller's or CSMS's URL without the identity. `sample_interval_s`: of the world.
        `visitors`: whoever starts remotely where no car is has a car that comes then."""
        self.point = point
        self.sessions = tuple(sessions)
        self.evse = SimulatedEvse(
            1,
            number_phases=point.phases,
            maximum_a=point.maximum_a,
            reading_every_s=max(5.0, sample_interval_s / 2),
            register_step_wh=1.0,  # the first generation tells start and stop in whole watt-hours
        )
        self.counts = Counts()
        self.books: dict[str, Entry] = {}
        self.present: RecordedSession | None = None
        self.arrived = 0
        self.refused = 0
        self.requested_wh = 0.0
        self._answer: bool | None = None
        self._visitors = visitors
        self._awaited = asyncio.Event()
        self._clock = clock
        self._seed = seed
        config = StationConfig(
            identity=StationIdentity(vendor_name="Forecourt", model="Simulated AC", serial_number=point.station_id),
            evses=(EvseConfig(maximum_a=point.maximum_a, number_phases=point.phases),),
            variables={
                SAMPLED_INTERVAL: str(sample_interval_s),
                SAMPLED_MEASURANDS: "Energy.Active.Import.Register,Power.Active.Import,Current.Import",
                **(variables or {}),
            },
        )
        self.session = StationSession(
            config,
            dialect,
            journal,
            SimulatedHardware([self.evse]),
            Uplink(
                url=connection_url(endpoint, point.station_id),
                backoff=backoff or BackoffPolicy(wait_minimum_s=1.0, random_range_s=1.0, repeat_times=3),
            ),
            clock=clock,
            new_id=lambda: str(uuid.uuid4()),
            on_frame=self._count,
            on_effect=self._note,
        )

    async def run(self) -> None:
        """Run the station and its drivers until cancelled or stopped."""
        people = [asyncio.create_task(self._drive())]
        if self._visitors:
            people.append(asyncio.create_task(self._receive_visitors()))
        try:
            await self.session.run()
        finally:
            for one in people:
                one.cancel()
            await asyncio.gather(*people, return_exceptions=True)

    @property
    def energy_wh(self) -> float:
        """All that its meter has counted."""
        return self.evse.register_wh

    async def _drive(self) -> None:
        await self._let_in()
        for session in self.sessions:
            await self._until(session.arrival)
            if self._clock.now().at >= session.departure:
                continue
            vehicle = Vehicle(vehicle_of(session, seed=self._seed), self._clock.now().elapsed_s)
            try:
                self.session.tell(self.evse.plug_in(vehicle, self._clock.now()))
            except PlugError:
                continue  # the last one's plug is still locked in
            self.present = session
            self.arrived += 1
            self.requested_wh += session.requested_wh
            await self._world_sleep(AFTER_PLUG_S)
            await self._present(session)
            await self._until(session.departure)
            await self._leave()

    async def _let_in(self) -> None:
        """A station that has never been let in knows nobody: whoever came would have to go again."""
        while self.session.endpoint.station.registration is not Registration.ACCEPTED:  # noqa: ASYNC110 - real seconds
            await asyncio.sleep(_LOOKS_EVERY_S)

    async def _present(self, session: RecordedSession) -> None:
        """Hold the token to the reader, again and again while it says no."""
        self._answer = False
        while not self._answer and self._clock.now().at < session.departure:
            # Shown again before the answer, it might end what it has just begun.
            if self._answer is not None:
                self._answer = None
                self.session.tell([self.evse.token_presented(token_of(session))])
            await self._world_sleep(TRIES_AGAIN_AFTER_S)

    async def _leave(self) -> None:
        """The driver ends it at the station, the plug is let go, and the car drives off."""
        self.session.tell([StopPressed(1)])
        for _ in range(50):
            if not self.evse.locked:
                break
            await self._world_sleep(2.0)
        self.session.tell(self.evse.unplug(self._clock.now()))
        self.present = None

    async def _receive_visitors(self) -> None:
        while True:
            await self._awaited.wait()
            await asyncio.sleep(VISITOR_COMES_AFTER_S)
            self._awaited.clear()
            vehicle = Vehicle(_VISITOR, self._clock.now().elapsed_s)
            try:
                self.session.tell(self.evse.plug_in(vehicle, self._clock.now()))
            except PlugError:
                continue  # the car that is there is the one that was meant
            before = len(self.books)
            while self.evse.vehicle is vehicle and (  # noqa: ASYNC110 - real seconds
                len(self.books) == before or any(not entry.ended for entry in self.books.values())
            ):
                await asyncio.sleep(_LOOKS_EVERY_S)
            await asyncio.sleep(VISITOR_LEAVES_AFTER_S)
            if self.evse.vehicle is vehicle and not self.evse.locked:
                self.session.tell(self.evse.unplug(self._clock.now()))

    async def _until(self, at: datetime) -> None:
        while (wait_s := (at - self._clock.now().at).total_seconds()) > 0:
            await self._world_sleep(min(wait_s, 600.0))

    async def _world_sleep(self, seconds: float) -> None:
        """So many seconds of the world; for good where it stands still."""
        until = Deadlines(elapsed_s=self._clock.now().elapsed_s + seconds)
        while (wait_s := self._clock.seconds_until(until)) is not None and wait_s > 0:  # noqa: ASYNC110 - it may freeze
            await asyncio.sleep(wait_s)
        if wait_s is None:
            await asyncio.Event().wait()

    def _count(self, direction: str, frame: bytes, now: Now) -> None:  # noqa: ARG002 - both directions count alike
        kind = frame[1:2]
        if kind == b"2":
            self.counts.calls += 1
        elif kind == b"3":
            self.counts.results += 1
        else:
            self.counts.call_errors += 1

    def _note(self, effect: Effect, now: Now) -> None:  # noqa: ARG002 - the events bring their own times
        if isinstance(effect, TokenAnswered):
            self._answer = effect.accepted
            self.refused += not effect.accepted
        if isinstance(effect, Reply) and isinstance(effect.answer, StartAnswer):
            if effect.answer.outcome is RequestStatus.ACCEPTED and self.evse.vehicle is None:
                self._awaited.set()
            return
        if not isinstance(effect, Send) or not isinstance(effect.call, Notice):
            return
        for event in effect.call.events:
            match event:
                case TransactionStarted(transaction_id=str(own_id)):
                    start_wh = energy_wh(event.meter_values) or 0.0
                    self.books.setdefault(own_id, Entry(own_id, start_wh, start_wh))
                case MeterSampled(transaction_id=str(own_id)) if own_id in self.books:
                    self._read(own_id, energy_wh(event.meter_values))
                case TransactionEnded() if event.transaction_id in self.books:
                    self._read(event.transaction_id, energy_wh(event.meter_values))
                    self.books[event.transaction_id].ended = True
                case _:
                    pass

    def _read(self, own_id: str, register_wh: float | None) -> None:
        entry = self.books[own_id]
        if register_wh is not None:
            entry.last_wh = max(entry.last_wh, register_wh)


def tokens_of(stations: Sequence[DrivenStation]) -> list[str]:
    """All tokens that will be presented, once each."""
    sessions = itertools.chain.from_iterable(station.sessions for station in stations)
    return sorted({token_of(session).value for session in sessions})
