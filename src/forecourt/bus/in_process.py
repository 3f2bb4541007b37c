"""The bus of a single process.

Guarantees
* Events reach every subscriber in the order they were published. A subscriber that falls behind by more than
  `most_behind` events is cut off from memory and catches up from the log: it misses nothing that is logged.
* With `after`, what was logged since comes first, and no event comes twice or is left out between log and life.
* A station has one holder: the last that claimed it. The one before is told to let go of its connection.
* An order to a station that nobody holds is answered at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from forecourt.csms.measures import BusMeasures
from forecourt.csms.ports import DisconnectOrder, Lease, Order, Receipt
from forecourt.csms.records import Event

log = logging.getLogger(__name__)

ReadLog = Callable[[int, int], Awaitable[Sequence[Event]]]
"""Logged events after an id, ascending, at most so many."""

Holder = Callable[[Order], Receipt]

_CHUNK: Final = 500


class InProcessBus:
    """See `csms.ports.Bus`. `read_log` gives what was logged, for replay."""

    def __init__(self, read_log: ReadLog, *, most_behind: int = 10_000, measures: BusMeasures | None = None) -> None:
        self._read_log = read_log
        self._measures = measures or BusMeasures()
        self._most_behind = most_behind
        self._subscribers: set[_Subscriber] = set()
        self._holders: dict[int, _Claim] = {}

    def publish(self, events: Sequence[Event]) -> None:
        """Tell everybody who listens."""
        behind = 0
        for subscriber in self._subscribers:
            behind = max(behind, subscriber.offer(events))
        self._measures.most_behind = behind

    @asynccontextmanager
    async def subscribe(
        self,
        organisation_id: int | None,
        *,
        after: int | None = None,
        types: frozenset[str] | None = None,
        station_id: str | None = None,
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Listen, from the moment the context is entered."""

        def wanted(event: Event) -> bool:
            return (
                (organisation_id is None or event.organisation_id == organisation_id)
                and (types is None or event.type in types)
                and (station_id is None or event.station_id == station_id)
            )

        subscriber = _Subscriber(wanted, self._most_behind)
        self._subscribers.add(subscriber)
        try:
            yield subscriber.events(self._read_log, after)
        finally:
            self._subscribers.discard(subscriber)

    def claim(self, station_number: int, holder: Holder) -> Lease:
        """From now on orders for this station come to `holder`."""
        before = self._holders.get(station_number)
        claim = _Claim(self._holders, station_number, holder)
        self._holders[station_number] = claim
        if before is not None:
            before.holder(DisconnectOrder(reason="the station has connected again"))
        return claim

    async def deliver(self, station_number: int, order: Order) -> Receipt:
        """Hand an order to whoever holds the station's socket."""
        claim = self._holders.get(station_number)
        return Receipt.NO_HOLDER if claim is None else claim.holder(order)

    def holds(self, station_number: int) -> bool:
        """Whether somebody here holds that station."""
        return station_number in self._holders

    @property
    def connected(self) -> bool:
        """It always is."""
        return True

    @property
    def held(self) -> int:
        """How many stations somebody holds."""
        return len(self._holders)


class _Claim:
    def __init__(self, holders: "dict[int, _Claim]", station_number: int, holder: Holder) -> None:
        self._holders = holders
        self._station_number = station_number
        self.holder = holder

    def release(self) -> None:
        if self._holders.get(self._station_number) is self:
            del self._holders[self._station_number]


class _Subscriber:
    """One listener's place in the stream."""

    def __init__(self, wanted: Callable[[Event], bool], most_behind: int) -> None:
        self._wanted = wanted
        self._most_behind = most_behind
        self._waiting: deque[Event] = deque()
        self._changed = asyncio.Event()
        self._behind = False
        self._missed_from = 0

    def offer(self, events: Sequence[Event]) -> int:
        """Never blocks: a listener that is too far behind goes back to the log. Gives how many it has not read."""
        if not self._behind:
            self._waiting.extend(event for event in events if self._wanted(event))
            if len(self._waiting) > self._most_behind:
                log.info("a listener is %d events behind, it goes on from the log", len(self._waiting))
                self._behind = True
                self._missed_from = min((event.id for event in self._waiting if event.id), default=0)
                self._waiting.clear()
        self._changed.set()
        return self._most_behind if self._behind else len(self._waiting)

    async def events(self, read_log: ReadLog, after: int | None) -> AsyncIterator[Event]:
        """Logged ones after `after`, then live ones; from the log again whenever it fell behind."""
        last = after
        replay = after is not None
        while True:
            if replay and last is not None:
                async for event in self._logged(read_log, last):
                    last = event.id
                    if self._wanted(event):
                        yield event
                replay = False
            while self._waiting:
                event = self._waiting.popleft()
                if event.id == 0:
                    yield event
                elif last is None or event.id > last:
                    last = event.id
                    yield event
            if self._behind:
                # From here on everything that is published is offered again, and the log has the rest.
                self._behind = False
                if self._missed_from and last is None:
                    last = self._missed_from - 1
                replay = last is not None
                continue
            self._changed.clear()
            await self._changed.wait()

    @staticmethod
    async def _logged(read_log: ReadLog, after: int) -> AsyncIterator[Event]:
        while found := await read_log(after, _CHUNK):
            for event in found:
                yield event
            after = found[-1].id
