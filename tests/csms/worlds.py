"""A CSMS on a real SQLite file with a clock that is set by hand; and what a station would tell it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import msgspec

from forecourt.bus.in_process import InProcessBus
from forecourt.csms import router, stations, upkeep
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ConnectedStation, Event
from forecourt.csms.settings import CsmsSettings
from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201
from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.events import Notice, NoticeAnswer, StationEvent
from forecourt.domain.events import Sequence as Numbering
from forecourt.domain.meter import Measurand, MeterValue, ReadingContext, SampledValue
from forecourt.domain.requests import StationRequestAnswer
from forecourt.store.sql import SqlStore, open_store
from tests import databases

START = datetime(2025, 6, 1, 8, tzinfo=UTC)
ISSUED = V16.capabilities
"""Of a station whose transaction ids we issue."""
OWN = V201.capabilities
"""Of a station that makes its own."""


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> Now:
        return Now(self.seconds, self.seconds, START + timedelta(seconds=self.seconds))

    def seconds_until(self, deadlines: Deadlines) -> float | None:
        waits = [at - self.seconds for at in (deadlines.protocol_s, deadlines.elapsed_s) if at is not None]
        return max(0.0, min(waits)) if waits else None


class World(msgspec.Struct):
    """Everything a capability needs, and the clock to move."""

    context: Context
    store: SqlStore
    bus: InProcessBus
    clock: HandClock
    told: list[Event]

    async def station(self, station_id: str = "CS1", *, issued: bool = True) -> ConnectedStation:
        """A station that is in the books, accepted and connected."""
        entered = await stations.create_station(self.context, station_id, stations.StationFields())
        dialect = V16 if issued else V201
        return ConnectedStation(
            organisation_id=entered.organisation_id,
            number=entered.number,
            id=station_id,
            connection_id="c1",
            protocol=dialect.subprotocol,
            capabilities=dialect.capabilities,
        )

    async def tell(
        self, station: ConnectedStation, *events: StationEvent, sequence: Numbering | None = None
    ) -> NoticeAnswer | StationRequestAnswer:
        """One message of a station."""
        return await router.take(self.context, station, Notice(events, sequence))

    def types(self) -> list[str]:
        """What was published, by type."""
        return [event.type for event in self.told]


@asynccontextmanager
async def world(folder: Path, settings: CsmsSettings | None = None, kind: str = databases.KIND) -> AsyncIterator[World]:
    """A world whose books are in `folder`; the same books again when it is entered again."""
    settings = settings or CsmsSettings()
    told: list[Event] = []

    def publish(events: Sequence[Event]) -> None:
        told.extend(events)
        bus.publish(events)

    store = await open_store(
        databases.url(folder / "csms.db", kind), publish=publish, unlogged=settings.unlogged_events
    )

    async def read_log(after: int, limit: int) -> Sequence[Event]:
        def query(books: Books) -> list[Event]:
            return books.events.after(after, limit)

        return await store.read(query)

    bus = InProcessBus(read_log)
    clock = HandClock()
    ids = count(1)
    context = Context(store=store, bus=bus, clock=clock, new_id=lambda: f"id-{next(ids)}", settings=settings)
    await upkeep.start(context)
    try:
        yield World(context, store, bus, clock, told)
    finally:
        await store.close()


def at(seconds: float) -> datetime:
    """A moment of the day that all tests live in."""
    return START + timedelta(seconds=seconds)


def register(
    seconds: float,
    energy_wh: float,
    context: ReadingContext = ReadingContext.SAMPLE_PERIODIC,
    power_w: float | None = None,
) -> MeterValue:
    """The energy register at a moment, and the power if given."""
    samples = [SampledValue(energy_wh, context=context)]
    if power_w is not None:
        samples.append(SampledValue(power_w, Measurand.POWER_ACTIVE_IMPORT, context=context))
    return MeterValue(at(seconds), tuple(samples))


BEGIN = ReadingContext.TRANSACTION_BEGIN
END = ReadingContext.TRANSACTION_END
