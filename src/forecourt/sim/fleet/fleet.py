"""A fleet: so many stations of one or several models, one scenario, one CSMS.

Guarantees
* Each is the station that production runs (`net.station_session`), with its own core, journal, hardware and socket;
  only its journal is in memory.
* Which station is of which model, and what happens to it, depends on its number and the seed alone.
* Nothing polls: a station that waits costs nothing but its heartbeats.
"""

import asyncio
import gc
import os
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from forecourt.dialect.port import Dialect
from forecourt.domain.clock import Deadlines, Now
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.client import connect
from forecourt.net.clock import ScaledClock
from forecourt.net.connection import Connection, ReceiverFactory
from forecourt.net.station_session import StationSession
from forecourt.net.uplink import Uplink
from forecourt.sim.fleet.access import Ways
from forecourt.sim.fleet.edge import Edge
from forecourt.sim.fleet.report import FleetReport, Ledger, Tally
from forecourt.sim.fleet.scenario import Scenario, cuts_of, visits_to
from forecourt.sim.fleet.template import Quirks, StationTemplate
from forecourt.sim.visits import Visit, VisitedHardware
from forecourt.station.boot import Registration
from forecourt.station.config import StationConfig
from forecourt.station.effects import Effect
from forecourt.station.variable_table import TIME_SOURCE
from forecourt.store.journal import MemoryJournal

_LOOKS_EVERY_S: Final = 0.25
_STATM: Final = Path("/proc/self/statm")


class Model(msgspec.Struct, frozen=True):
    """A template with the dialect that it speaks."""

    template: StationTemplate
    dialect: Dialect


class FleetStation:
    """One station of a fleet."""

    __slots__ = ("_edge", "_first_boot", "_quirks", "_tally", "session")

    def __init__(
        self,
        config: StationConfig,
        model: Model,
        visits: Sequence[Visit],
        uplink: Uplink,
        clock: ScaledClock,
        tally: Tally,
        chance: random.Random,
    ) -> None:
        self._tally = tally
        self._quirks: Quirks = model.template.quirks
        self._edge: Edge | None = None
        self._first_boot: bytes | None = None
        hardware = SimulatedHardware(model.template.hardware())
        self.session = StationSession(
            config,
            model.dialect,
            MemoryJournal(),
            VisitedHardware(hardware, visits) if visits else hardware,
            uplink,
            clock=clock,
            new_id=_new_id,
            random_number=chance.random,
            on_effect=self._note if visits else None,
            dial=self._dial,
        )

    @property
    def accepted(self) -> bool:
        """Whether the CSMS has registered it."""
        return self.session.endpoint.station.registration is Registration.ACCEPTED

    def cut(self) -> None:
        """Its link is gone, without a word."""
        if self._edge is not None:
            self._edge.abort("dropout")
        self.session.disconnect()

    async def _dial(self, url: str, *, receiver: ReceiverFactory, **how: Any) -> Connection:
        def joined(wire: Connection) -> Edge:
            self._tally.connected()
            first_boot = self._first_boot if self._edge is None else self._edge.first_boot
            self._edge = Edge(wire, receiver, self._quirks, self._tally, first_boot)
            return self._edge

        return await connect(url, receiver=joined, **how)

    def _note(self, effect: Effect, _: Now) -> None:
        self._tally.note(effect)


class Fleet:
    """All stations of a run. `run` it once."""

    def __init__(
        self,
        models: Sequence[Model],
        number: int,
        csms: str,
        scenario: Scenario,
        *,
        id_prefix: str = "FLEET-",
        record: IO[bytes] | None = None,
    ) -> None:
        """`csms` is the address without identity; station k is of model k modulo their number.

        Raises:
            ValueError: the address, the access to it, or something in a template, can't be.
        """
        self.scenario = scenario
        self._memory_before = _memory_bytes()
        self._clock = ScaledClock(datetime.now(UTC), scenario.speed)
        self.ledger = Ledger(self._clock, record)
        self.stations: list[FleetStation] = []
        self._running: list[asyncio.Task[None]] = []
        chance = random.Random(f"backoff {scenario.seed}")
        wait_s = scenario.connect.backoff_s
        backoff = BackoffPolicy(wait_minimum_s=wait_s, random_range_s=wait_s, repeat_times=5)
        ways = Ways(scenario.access, csms, backoff)
        for index in range(number):
            model = models[index % len(models)]
            station_id = f"{id_prefix}{index + 1:05d}"
            uplink = ways.uplink(station_id, model.dialect)
            visits = visits_to(scenario, index, len(model.template.evses))
            tally = Tally(self.ledger, station_id)
            config = _in_its_own_time(model.template.config(station_id), scenario.speed)
            self.stations.append(FleetStation(config, model, visits, uplink, self._clock, tally, chance))

    @property
    def connected(self) -> int:
        """How many stations have a connection now."""
        return self.ledger.connected

    async def run(self, stopped: asyncio.Event | None = None) -> FleetReport:
        """The scenario from its beginning to its end, or until `stopped`.

        Raises:
            ValueError: a template's variables are none of a station's.
        """
        stopped = stopped or asyncio.Event()
        gc.collect()
        gc.freeze()  # what has been built lives as long as the fleet: no collection need look at it
        self._clock.begin()
        began_s, cpu_before_s = time.monotonic(), time.process_time()
        acts = [asyncio.create_task(act) for act in (self._come_online(), self._disturb())]
        try:
            await _first(stopped, self.scenario.duration_s / self.scenario.speed, acts)
            grown = _growth(self._memory_before, len(self.stations))
            self._clock.freeze()
            for act in acts:
                act.cancel()
            for station in self.stations:
                station.session.reconnect()
            await self._drain(stopped)
            return self._report(time.monotonic() - began_s, time.process_time() - cpu_before_s, grown)
        finally:
            for act in acts:
                act.cancel()
            await asyncio.gather(*(station.session.stop() for station in self.stations))
            await asyncio.gather(*acts, *self._running, return_exceptions=True)
            gc.unfreeze()

    async def _come_online(self) -> None:
        """One after the other, evenly."""
        over_s = self.scenario.connect.over_s
        for index, station in enumerate(self.stations):
            await self._until(over_s * index / len(self.stations))
            self._running.append(asyncio.create_task(station.session.run()))

    async def _disturb(self) -> None:
        cuts = cuts_of(self.scenario, len(self.stations))
        changes = [(cut.from_s, True, cut) for cut in cuts] + [(cut.to_s, False, cut) for cut in cuts]
        for at_s, down, cut in sorted(changes, key=lambda change: change[0]):
            await self._until(at_s)
            station = self.stations[cut.station]
            if down:
                station.cut()
            else:
                station.session.reconnect()

    async def _until(self, at_s: float) -> None:
        """So many seconds of the world from the start; at once, if they are over."""
        while (wait_s := self._clock.seconds_until(Deadlines(elapsed_s=at_s))) is not None and wait_s > 0.0:  # noqa: ASYNC110
            await asyncio.sleep(min(wait_s, _LOOKS_EVERY_S))

    async def _drain(self, stopped: asyncio.Event) -> None:
        """Wait until what is owed has been delivered."""
        until_s = time.monotonic() + self.scenario.drain_s
        for station in self.stations:
            while self._owes(station) and time.monotonic() < until_s and not stopped.is_set():  # noqa: ASYNC110
                await asyncio.sleep(_LOOKS_EVERY_S / 10)

    @staticmethod
    def _owes(station: FleetStation) -> bool:
        parts = station.session.endpoint.station.parts
        return bool(parts.outbox.depth) or parts.calls.any_open

    def _report(self, duration_s: float, cpu_s: float, memory_per_station_bytes: int | None) -> FleetReport:
        ledger = self.ledger
        outboxes = [station.session.endpoint.station.parts.outbox for station in self.stations]
        bookings = tuple(ledger.bookings.values())
        return FleetReport(
            stations=len(self.stations),
            duration_s=round(duration_s, 3),
            connected_most=ledger.connected_most,
            connections=ledger.connections,
            accepted=sum(station.accepted for station in self.stations),
            frames_sent=ledger.frames_sent,
            frames_received=ledger.frames_received,
            bytes_sent=ledger.bytes_sent,
            bytes_received=ledger.bytes_received,
            calls=ledger.calls(),
            answers_sent=ledger.answers_sent,
            errors_sent=ledger.errors_sent,
            requests_received=dict(sorted(ledger.requests.items())),
            answers_received_late=ledger.late,
            transactions_started=len(bookings),
            transactions_ended=sum(booking.ended for booking in bookings),
            waiting=sum(outbox.depth for outbox in outboxes),
            set_aside=sum(len(outbox.set_aside) for outbox in outboxes),
            energy_wh=round(sum(booking.last_wh - booking.start_wh for booking in bookings), 3),
            cpu_s=round(cpu_s, 3),
            memory_per_station_bytes=memory_per_station_bytes,
            transactions=bookings,
        )


def _new_id() -> str:
    """Looks like a UUID, and is as unique, for a tenth of what one costs."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _in_its_own_time(config: StationConfig, speed: float) -> StationConfig:
    """In a world that runs faster than the CSMS's, a station must not follow the CSMS's clock."""
    if speed == 1.0:
        return config
    return msgspec.structs.replace(config, variables={**config.variables, TIME_SOURCE: "RealTimeClock"})


async def _first(stopped: asyncio.Event, wait_s: float, acts: Sequence[asyncio.Task[None]]) -> None:
    """Until stopped, or for so long; an act that failed is raised."""
    waiting = asyncio.create_task(stopped.wait())
    until_s = time.monotonic() + wait_s
    running: set[asyncio.Task[Any]] = {waiting, *acts}
    try:
        while not stopped.is_set() and (left_s := until_s - time.monotonic()) > 0.0:
            done, running = await asyncio.wait(running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        waiting.cancel()


def _memory_bytes() -> int | None:
    """What this process has in memory; None where the system doesn't say it so."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _growth(before: int | None, stations: int) -> int | None:
    now = _memory_bytes()
    return None if before is None or now is None or not stations else max(0, now - before) // stations
