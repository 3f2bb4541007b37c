"""The bus of several processes: NATS between them, the books as the log (docs/adr/0005-events-from-the-books.md).

Guarantees
* Within a process it is the bus of one process, with all that this promises; NATS adds the others.
* Events reach every subscriber of every process in the order of their ids, which is the order of commits. NATS carries
  them at once and may lose, repeat or reorder them: what is missing is taken from the log, after `GAP_S` where a later
  one has come, within `LOOK_S` where nothing has. So none that is logged is left out, whoever was killed and however
  long NATS was gone.
* A station is a subject. Whoever holds its socket listens there; an order goes there and is answered. That nobody
  listens is known at once. An order goes to one holder only, should there be two for a moment.
* Nothing waits for NATS but orders to stations that others hold, and these `ANSWER_S` at most. While NATS is gone they
  are not sent at all, rather than late.
"""

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from forecourt.bus.in_process import Holder, InProcessBus, ReadLog
from forecourt.csms.measures import BusMeasures
from forecourt.csms.ports import Lease, Order, Receipt, StoreUnavailable
from forecourt.csms.records import Event

log = logging.getLogger(__name__)

GAP_S: Final = 0.05
LOOK_S: Final = 1.0
ANSWER_S: Final = 5.0
_CHUNK: Final = 500
CONNECT_S: Final = 10.0
_MOST_WAITING: Final = 1_000
"""Messages that wait for NATS; beyond, others find their events in the log."""
_AT_ONCE: Final = 200
_QUEUE: Final = "holder"

_ORDERS: Final[msgspec.msgpack.Decoder[Order]] = msgspec.msgpack.Decoder(Order)
_TO_ORDER: Final = msgspec.msgpack.Encoder()
_ENCODER: Final = msgspec.json.Encoder()


class _Told(msgspec.Struct, frozen=True, array_like=True):
    """What one process tells the others after a commit."""

    sent_at: float
    """Seconds since 1970."""
    newest: int
    """The highest id among them; 0: none is logged."""
    events: list[Event]
    """Without those that are too large."""


_TOLD: Final = msgspec.json.Decoder(_Told)


class NatsBus:
    """See `csms.ports.Bus`. `start` before use, `stop` after."""

    def __init__(
        self,
        read_log: ReadLog,
        newest: Callable[[], Awaitable[int]],
        *,
        prefix: str = "forecourt",
        most_behind: int = 10_000,
        measures: BusMeasures | None = None,
    ) -> None:
        """`read_log` gives what was logged after an id, `newest` the highest id; `prefix` begins each subject."""
        self._read_log = read_log
        self._newest = newest
        self._prefix = prefix
        self._measures = measures or BusMeasures()
        self._here = InProcessBus(read_log, most_behind=most_behind, measures=self._measures)
        self._nats: Client
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        # Events: delivered up to `_position`; those that came too early wait.
        self._position = 0
        self._early: dict[int, Event] = {}
        self._told_of = 0
        """The highest id that anybody has told of, with its event or without."""
        self._was_away = False
        """NATS has been, so that there may be events that nobody could tell us of."""
        self._gap = asyncio.Event()
        self._outgoing: deque[Sequence[Event]] = deque()
        self._to_send = asyncio.Event()
        # Stations: the subjects that should be listened to or not, and those that are.
        self._changed: dict[int, None] = {}
        self._interest = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._listening: dict[int, Subscription] = {}

    async def start(
        self,
        servers: Sequence[str],
        *,
        tls: ssl.SSLContext | None = None,
        name: str = "forecourt",
        patience_s: float = CONNECT_S,
    ) -> None:
        """Connect. OSError when none of the servers answers within `patience_s`."""
        options = {} if tls is None else {"tls": tls}
        try:
            async with asyncio.timeout(patience_s):
                self._nats = await nats.connect(
                    list(servers),
                    name=name,
                    no_echo=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,
                    ping_interval=5,
                    max_outstanding_pings=2,
                    error_cb=self._failed,
                    disconnected_cb=self._lost,
                    reconnected_cb=self._found,
                    **options,
                )
        except (NatsError, OSError, TimeoutError) as error:
            raise OSError(f"bus: no NATS server answers at {', '.join(_shown(url) for url in servers)}") from error
        await self._nats.subscribe(f"{self._prefix}.events", cb=self._heard)
        await self._nats.flush()
        # What is committed from here on is heard; what was before needs telling to nobody.
        self._position = max(self._position, await self._newest())
        self._advance([])
        work = (self._send_events(), self._fill_gaps(), self._look(), self._keep_interest())
        self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """Tell what is left to tell, then let go."""
        if not self._tasks:
            return
        self._stopping = True
        for _ in range(20):
            if not self._outgoing or not self._nats.is_connected:
                break
            await asyncio.sleep(0.05)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(2.0):
                if self._nats.is_connected:
                    await self._nats.flush()
                await self._nats.close()
        except (NatsError, OSError, TimeoutError):
            log.warning("NATS was not there for a goodbye")

    @property
    def connected(self) -> bool:
        """Whether NATS can be reached."""
        return self._nats.is_connected

    @property
    def held(self) -> int:
        """How many stations somebody in this process holds."""
        return self._here.held

    @property
    def position(self) -> int:
        """The id of the last logged event that subscribers here were given."""
        return self._position

    # Events

    def publish(self, events: Sequence[Event]) -> None:
        """Tell everybody who listens, in whichever process."""
        self._take(events)
        if len(self._outgoing) < _MOST_WAITING:
            self._outgoing.append(events)
            self._to_send.set()

    def subscribe(
        self,
        organisation_id: int | None,
        *,
        after: int | None = None,
        types: frozenset[str] | None = None,
        station_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Listen, from the moment the context is entered."""
        return self._here.subscribe(organisation_id, after=after, types=types, station_id=station_id)

    def _take(self, events: Sequence[Event]) -> None:
        """Deliver what is next, keep what came too early."""
        ready: list[Event] = []
        for event in events:
            if event.id == self._position + 1:
                self._position += 1
                ready.append(event)
            elif event.id == 0:
                ready.append(event)
            elif event.id > self._position:
                self._early[event.id] = event
                self._told_of = max(self._told_of, event.id)
        self._advance(ready)

    def _advance(self, ready: list[Event]) -> None:
        if self._early:
            while (event := self._early.pop(self._position + 1, None)) is not None:
                self._position += 1
                ready.append(event)
            if len(self._early) > _CHUNK:
                self._early.clear()  # the log has them
            if self._told_of > self._position:
                self._gap.set()
        if ready:
            self._here.publish(ready)

    async def _heard(self, message: Msg) -> None:
        try:
            told = _TOLD.decode(message.data)
        except msgspec.DecodeError:
            log.warning("something on %s is not ours", message.subject)
            return
        self._measures.lag_s.observe(max(0.0, time.time() - told.sent_at))
        self._told_of = max(self._told_of, told.newest)
        self._take([msgspec.structs.replace(event, body=event.body.copy()) for event in told.events])
        if told.newest > self._position:
            self._gap.set()

    async def _fill_gaps(self) -> None:
        while True:
            await self._gap.wait()
            # Where several processes tell at once, what is missing now is mostly on its way.
            missing = self._told_of
            await asyncio.sleep(GAP_S)
            self._gap.clear()
            if self._position < missing or self._was_away:
                self._measures.from_log += 1
                self._was_away = False
                await self._catch_up()
            if self._position < self._told_of != missing:
                self._gap.set()  # what else is missing was told of meanwhile; what can't be read now waits for `_look`

    async def _look(self) -> None:
        """What nobody could tell us is in the log all the same."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._measures.connected = self._nats.is_connected
            await self._catch_up()

    async def _catch_up(self) -> None:
        try:
            while found := await self._read_log(self._position, _CHUNK):
                fresh = [event for event in found if event.id > self._position]
                if fresh:
                    self._position = fresh[-1].id
                    self._early = {number: event for number, event in self._early.items() if number > self._position}
                    self._advance(fresh)
                if len(found) < _CHUNK:
                    return
        except StoreUnavailable as error:
            log.info("the log can't be read now: %s", error)
        except RuntimeError:
            log.debug("the books are being closed")

    async def _send_events(self) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while self._outgoing:
                events = list(self._outgoing.popleft())
                while self._outgoing and len(events) < _AT_ONCE:
                    events += self._outgoing.popleft()
                if self._nats.is_connected:
                    await self._send(events)

    async def _send(self, events: list[Event]) -> None:
        newest = max(event.id for event in events)
        data = _ENCODER.encode(_Told(time.time(), newest, events))
        if len(data) > self._nats.max_payload:
            if len(events) > 1:
                middle = len(events) // 2
                await self._send(events[:middle])
                await self._send(events[middle:])
                return
            data = _ENCODER.encode(_Told(time.time(), newest, []))
        try:
            await self._nats.publish(f"{self._prefix}.events", data)
        except (NatsError, OSError) as error:
            log.info("events reach the others by the log only: %s", error)

    # Stations

    def claim(self, station_number: int, holder: Holder) -> Lease:
        """From now on orders for this station come to `holder`; from other processes, as soon as NATS knows."""
        lease = _Lease(self, station_number, self._here.claim(station_number, holder))
        self._note(station_number)
        return lease

    async def deliver(self, station_number: int, order: Order) -> Receipt:
        """Hand an order to whoever holds the station's socket, in whichever process."""
        if self._here.holds(station_number):
            return await self._here.deliver(station_number, order)
        if not self._nats.is_connected:
            log.warning("NATS is gone: nobody can say who holds station number %d", station_number)
            return Receipt.NO_HOLDER
        try:
            answer = await self._nats.request(self._subject(station_number), _TO_ORDER.encode(order), timeout=ANSWER_S)
            return Receipt(answer.data.decode())
        except NoRespondersError:
            return Receipt.NO_HOLDER
        except MaxPayloadError:
            log.warning("an order for station number %d is too large for NATS", station_number)
            return Receipt.FULL
        except NatsTimeoutError:
            # It may have arrived. Whoever has it brings it to its end, or the sweeper does.
            log.warning("the holder of station number %d has not confirmed an order", station_number)
            return Receipt.QUEUED
        except (NatsError, OSError) as error:
            log.warning("an order for station number %d could not be sent: %s", station_number, error)
            return Receipt.NO_HOLDER

    def released(self, station_number: int) -> None:
        """A lease was given up."""
        self._note(station_number)

    async def settled(self) -> None:
        """NATS knows what was claimed and released until now."""
        await self._settled.wait()
        await self._nats.flush()

    def _note(self, station_number: int) -> None:
        self._changed[station_number] = None
        self._settled.clear()
        self._interest.set()

    async def _keep_interest(self) -> None:
        while True:
            await self._interest.wait()
            self._interest.clear()
            while self._changed:
                number = next(iter(self._changed))
                del self._changed[number]
                try:
                    await self._listen_or_not(number)
                except (NatsError, OSError) as error:
                    log.warning("station number %d: %s", number, error)
                    self._changed[number] = None
                    await asyncio.sleep(GAP_S)
            self._settled.set()

    async def _listen_or_not(self, number: int) -> None:
        if self._here.holds(number) and number not in self._listening:
            self._listening[number] = await self._nats.subscribe(self._subject(number), queue=_QUEUE, cb=self._ordered)
        elif not self._here.holds(number) and number in self._listening:
            await self._listening.pop(number).unsubscribe()

    async def _ordered(self, message: Msg) -> None:
        try:
            order = _ORDERS.decode(message.data)
            number = int(message.subject.rpartition(".")[2])
        except ValueError:
            log.warning("something on %s is not ours", message.subject)
            return
        receipt = await self._here.deliver(number, order)
        try:
            await message.respond(receipt.value.encode())
        except (NatsError, OSError) as error:
            log.info("nobody hears that an order was taken: %s", error)

    def _subject(self, station_number: int) -> str:
        return f"{self._prefix}.station.{station_number}"

    # NATS

    async def _failed(self, error: Exception) -> None:
        log.warning("NATS: %s", str(error) or type(error).__name__)

    async def _lost(self) -> None:
        self._measures.connected = False
        if not self._stopping:
            log.warning("the connection to NATS is gone; events come from the log meanwhile")

    async def _found(self) -> None:
        self._measures.connected = True
        log.info("NATS is back")
        self._was_away = True
        self._gap.set()


class _Lease:
    def __init__(self, bus: NatsBus, station_number: int, here: Lease) -> None:
        self._bus = bus
        self._station_number = station_number
        self._here = here

    def release(self) -> None:
        """Give it up."""
        self._here.release()
        self._bus.released(self._station_number)


def _shown(url: str) -> str:
    """Without a password."""
    return url.rpartition("@")[2]
