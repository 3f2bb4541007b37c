"""One connection of one station to the CSMS: the socket, the frames, the dialect and the books, joined.

Guarantees
* Calls of the station are taken in strictly in their order, one at a time; each is answered when it is committed. No
  task is made for a message.
* A station that sends faster than its calls are taken in is slowed down, and one that doesn't read its answers isn't
  read from: neither grows our memory.
* Commands to the station go by `csms_asking`, and end when the connection does.
* Nothing that a station sends raises out of here.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from forecourt.csms import contracts, costs, message_log, provisioning, router, security
from forecourt.csms.measures import OTHER, CallOutcome
from forecourt.csms.message_log import Frame
from forecourt.csms.ports import Books, CallOrder, Context, DisconnectOrder, Done, Order, Receipt
from forecourt.csms.records import ConnectedStation, Direction, Station
from forecourt.dialect.port import Dialect, Heard, Inexpressible, StationCall, StationCallAnswer, Untranslatable
from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.events import Acknowledged, BootAnswer, Notice
from forecourt.domain.requests import Authorize, AuthorizeAnswer
from forecourt.domain.station import RegistrationStatus
from forecourt.net.connection import CloseCode, Connection
from forecourt.net.csms_asking import Asking
from forecourt.rpc.errors import Cause
from forecourt.rpc.events import (
    Abandoned,
    Answered,
    CallReceived,
    Discarded,
    DiscardReason,
    PeerEvent,
    Refused,
    ResultRefused,
    SendReceived,
    TimedOut,
)
from forecourt.rpc.peer import Peer

log = logging.getLogger(__name__)

_MOST_OPEN: Final = 4096
"""Calls of a station unanswered at once; never reached, as a buffer that is read at once holds fewer."""

_BROKEN: Final = frozenset(
    {DiscardReason.UNREADABLE, DiscardReason.UNKNOWN_TYPE, DiscardReason.TOO_LARGE, DiscardReason.REFUSED}
)
"""What is wrong with the frame itself; the other reasons are those of an unlucky moment."""

_UNKNOWN: Final = frozenset({Cause.UNKNOWN_ACTION, Cause.UNSUPPORTED_ACTION})


class Host(Protocol):
    """What a session needs from the server it lives in."""

    context: Context
    dialects: dict[str, Dialect]

    def connection_id(self, own: str) -> str:
        """Of a new connection."""
        ...

    def opened(self, session: "CsmsSession") -> None:
        """It has begun."""

    def ended(self, session: "CsmsSession") -> None:
        """It is over."""

    def run(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do something beside the messages."""
        ...

    def enter(self, unit: Callable[[Books], Any], station_number: int | None = None, done: Done | None = None) -> None:
        """Write what follows from a connection or a message, in its turn among what stations say."""

    def keep_frame(self, station: ConnectedStation, frame: Frame) -> None:
        """Into the message history."""

    def noticed(self, event_type: str, station_id: str, address: str, info: str) -> None:
        """Something that matters for security."""


class CsmsSession:
    """One connection of one station, from the first frame to the last."""

    def __init__(self, server: Host, station: Station, connection: Connection, profile: int = 0) -> None:
        """`profile` is the security profile that was shown."""
        self._server = server
        self._measures = server.context.measures
        self._profile = profile
        self._context = msgspec.structs.replace(server.context, organisation_id=station.organisation_id)
        self._connection = connection
        self._dialect = server.dialects[connection.subprotocol or ""]
        self._station = ConnectedStation(
            organisation_id=station.organisation_id,
            number=station.number,
            id=station.id,
            connection_id=server.connection_id(self._context.new_id()),
            protocol=self._dialect.subprotocol,
            capabilities=self._dialect.capabilities,
        )
        self._registration = station.registration
        self._keeps_frames = self._context.settings.keep_messages
        of_all = self._context.settings.lenient_decoding
        self._strict = not (of_all if station.lenient_decoding is None else station.lenient_decoding)
        # How much is taken in ahead is bounded by not reading on; what was read before that is no reason to refuse.
        self._peer = Peer(self._dialect.rules, self._context.new_id, max_open_incoming=_MOST_OPEN)
        self._inbox: deque[tuple[CallReceived | SendReceived, float]] = deque()
        self._busy = False
        self._reading = True
        self._over = False
        self._asking = Asking(
            self._context, self._station, self._dialect, self._peer, server.run, self._violated, strict=self._strict
        )
        self._timer: asyncio.TimerHandle | None = None
        self._configuring: asyncio.Task[Any] | None = None
        self._lease = self._context.bus.claim(station.number, self._order)
        server.opened(self)
        self._measures.opened(self._station.protocol, profile)
        server.enter(provisioning.connected(self._context, self._station), station.number, self._entered)
        self._in_books = False

    @property
    def station_id(self) -> str:
        """Whose it is."""
        return self._station.id

    def restart(self, reason: str) -> None:
        """The station shall come back, maybe to another process."""
        self._connection.close(CloseCode.SERVICE_RESTART, reason)

    def entered_by(self, connection_id: str) -> None:
        """The books have that connection as the station's. This one ends if it is another, entered after this one."""
        if connection_id == self._station.connection_id:
            self._in_books = True
        elif self._in_books:
            log.info("%s: it has connected to another process since", self._station.id, extra=self._about())
            self._connection.close(CloseCode.GOING_AWAY, "the station has connected again")

    def _entered(self, _result: Any, error: BaseException | None) -> None:
        if error is not None and not self._over:
            # Nobody could ever drive it out.
            self._connection.close(CloseCode.TRY_AGAIN_LATER, "the connection could not be stored")

    # What the connection tells

    def message(self, data: bytes, /) -> None:
        """One whole text message."""
        now = self._context.clock.now()
        if self._keeps_frames:
            self._log(Direction.IN, data)
        if not self._takes_at_once(data, now):
            self._heard(self._peer.receive(data, now.protocol_s), now)

    def writable(self) -> None:
        """The station reads again."""
        self._take_next()

    def closed(self, code: int, reason: str, /) -> None:
        """The connection is gone: so are its commands; what was received is taken in all the same."""
        self._over = True
        self._lease.release()
        self._server.ended(self)
        self._measures.closed(self._station.protocol, self._profile)
        if self._timer is not None:
            self._timer.cancel()
        if self._configuring is not None:
            self._configuring.cancel()
        self._heard(self._peer.close(self._now_s()))
        self._asking.lose()
        gone = provisioning.disconnected(self._context, self._station, reason or f"closed with {code}")
        self._server.enter(gone, self._station.number)

    # Calls of the station: those that are frequent and in order

    def _takes_at_once(self, data: bytes, now: Now) -> bool:
        """Take in a call without a closer look, where it needs none. False: nothing was done."""
        if (
            self._busy
            or self._inbox
            or self._registration is not RegistrationStatus.ACCEPTED
            or self._connection.paused
            or (heard := self._dialect.hear_at_once(data)) is None
            or not self._peer.take_in(heard.message_id, heard.action, data, now.protocol_s)
        ):
            return False
        self._busy = True
        self._context.store.submit(
            router.Taking(self._context, self._station, heard.call, now.at),
            partial(self._taken_at_once, heard, time.perf_counter()),
            self._station.number,
        )
        return True

    def _taken_at_once(self, heard: Heard, received_s: float, answer: Any, error: BaseException | None) -> None:
        if error is not None or type(answer) is not Acknowledged:
            received = CallReceived(heard.message_id, heard.action, b"", b"")
            self._committed(received, received_s, heard.call, answer, error)
            return
        self._busy = False
        frame = self._peer.answer(heard.message_id, heard.reply)
        if frame is not None:
            if self._keeps_frames:
                self._log(Direction.OUT, frame)
            self._connection.send(frame)
        self._measures.came(heard.action, CallOutcome.ANSWERED, time.perf_counter() - received_s)
        if self._inbox or not self._reading:
            self._take_next()
        if self._peer.has_outgoing:
            self._flush()

    # All calls of the station

    def _heard(self, events: list[PeerEvent], now: Now | None = None) -> None:
        for event in events:
            match event:
                case CallReceived() | SendReceived():
                    self._inbox.append((event, time.perf_counter()))
                case Answered() | Refused() | TimedOut() | Abandoned():
                    self._asking.settled(event)
                case ResultRefused():
                    self._violated(event.action, (f"refused our answer: {event.code} {event.description}",))
                case Discarded():
                    reason = event.reason.value
                    log.info("%s: %s, %s", self._station.id, reason, event.description, extra=self._about())
                    if event.reason in _BROKEN:
                        self._violated("", (f"{event.reason.value}: {event.description}",))
        self._take_next(now)
        if self._asking.busy or self._timer is not None:
            self._ask_next()
        self._flush()
        if self._reading and len(self._inbox) >= self._context.settings.inbox:
            self._reading = False
            self._connection.pause_reading()

    def _take_next(self, now: Now | None = None) -> None:
        """Take in the next call, unless one is under way or the station doesn't read."""
        while self._inbox and not self._busy and not self._connection.paused:
            received, received_s = self._inbox.popleft()
            at = (now or self._context.clock.now()).at
            try:
                decoded = self._dialect.decode_call(
                    received.action,
                    received.payload,
                    strict=self._strict,
                    received_at=at,
                )
            except Untranslatable as problem:
                self._violated(received.action, (problem.description,))
                self._refuse(received, problem.cause, problem.description)
                known = problem.cause not in _UNKNOWN
                self._counted(received.action if known else OTHER, CallOutcome.REFUSED, received_s)
                continue
            if decoded.violations:
                self._violated(received.action, decoded.violations)
            call = decoded.value
            if not router.may_say(self._registration, call):
                self._server.noticed(security.NOT_ACCEPTED, self._station.id, "", received.action)
                self._refuse(received, Cause.SECURITY, "the station is not accepted")
                self._counted(received.action, CallOutcome.REFUSED, received_s)
                continue
            self._busy = True
            done = partial(self._committed, received, received_s, call)
            if contracts.goes_outside(call):
                taking = self._server.run(router.take(self._context, self._station, call))
                taking.add_done_callback(partial(_tell, done))
            else:
                unit = router.Taking(self._context, self._station, call, at)
                self._context.store.submit(unit, done, self._station.number)
        if not self._reading and not self._over and len(self._inbox) * 2 <= self._context.settings.inbox:
            self._reading = True
            self._connection.resume_reading()

    def _committed(
        self,
        received: CallReceived | SendReceived,
        received_s: float,
        call: StationCall,
        answer: Any,
        error: BaseException | None,
    ) -> None:
        self._busy = False
        if error is not None:
            about = self._about(received.message_id)
            log.error("%s: %s was not taken in", self._station.id, received.action, exc_info=error, extra=about)
            self._refuse(received, Cause.INTERNAL, "it could not be stored, try again")
            self._counted(received.action, CallOutcome.NOT_STORED, received_s)
        else:
            self._answer(received, call, answer)
            self._counted(received.action, CallOutcome.ANSWERED, received_s)
        self._take_next()
        self._flush()

    def _answer(self, received: CallReceived | SendReceived, call: StationCall, answer: StationCallAnswer) -> None:
        if isinstance(answer, BootAnswer):
            self._registration = answer.registration
        if isinstance(received, CallReceived):
            try:
                payload = self._dialect.encode_call_answer(call, answer)
            except Inexpressible:
                about = self._about(received.message_id)
                log.exception("%s: no words for the answer to %s", self._station.id, received.action, extra=about)
                self._refuse(received, Cause.INTERNAL, "there is no answer to that")
                return
            self._peer.reply(received.message_id, payload)
        if isinstance(call, Notice) and isinstance(answer, BootAnswer):
            self._booted()
        if isinstance(call, Authorize) and isinstance(answer, AuthorizeAnswer) and costs.wanted(self._context):
            self._server.run(costs.authorized(self._context, self._station, call, answer))
        for follow_up in router.FOLLOW_UPS.get(type(call), ()):
            self._server.run(follow_up(self._context, self._station))

    def _counted(self, action: str, outcome: CallOutcome, received_s: float) -> None:
        self._measures.came(action, outcome, time.perf_counter() - received_s)

    def _refuse(self, received: CallReceived | SendReceived, cause: Cause, description: str) -> None:
        if isinstance(received, CallReceived):
            self._peer.reply_error(received.message_id, cause, description)

    def _booted(self) -> None:
        accepted = self._registration is RegistrationStatus.ACCEPTED
        if accepted and self._context.settings.unsolicited_calls and not self._over:
            if self._configuring is not None:
                self._configuring.cancel()
            self._configuring = self._server.run(router.after_boot(self._context, self._station))

    def _violated(self, action: str, descriptions: tuple[str, ...]) -> None:
        self._server.run(message_log.keep_violations(self._context, self._station, action, descriptions))

    # Commands to the station

    def _order(self, order: Order) -> Receipt:
        if self._over:
            return Receipt.NO_HOLDER
        match order:
            case CallOrder(command=command, trace=trace):
                if self._asking.waiting >= self._context.settings.command_queue:
                    return Receipt.FULL
                self._asking.put(command, trace, self._now_s())
                self._ask_next()
                self._flush()
            case DisconnectOrder(reason=reason, except_connection=kept):
                if kept != self._station.connection_id:
                    self._connection.close(CloseCode.GOING_AWAY, reason)
        return Receipt.QUEUED

    def _ask_next(self) -> None:
        if not self._over:
            self._asking.send_next(self._now_s())
        self._arm()

    # Time and bytes

    def _about(self, message_id: str | None = None) -> dict[str, str]:
        """For the log: of whom, and of which message."""
        about = {"station": self._station.id, "connection": self._station.connection_id}
        return about if message_id is None else {**about, "message_id": message_id}

    def _now_s(self) -> float:
        return self._context.clock.now().protocol_s

    def _arm(self) -> None:
        """Be called at the deadline of the open command and of those that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._over:
            return
        deadlines = list(self._asking.deadlines_s())
        peer_s = self._peer.next_deadline()
        if peer_s is not None:
            deadlines.append(peer_s)
        if deadlines:
            wait_s = self._context.clock.seconds_until(Deadlines(protocol_s=min(deadlines)))
            self._timer = asyncio.get_running_loop().call_later(wait_s or 0.0, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now_s = self._now_s()
        self._asking.expire(now_s)
        self._heard(self._peer.expire(now_s))

    def _flush(self) -> None:
        for frame in self._peer.take():
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        if self._keeps_frames:
            self._log(Direction.OUT, frame)
        self._connection.send(frame)

    def _log(self, direction: Direction, frame: bytes) -> None:
        self._server.keep_frame(self._station, Frame(self._context.clock.now().at, direction, frame))


def _tell(done: Done, future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        error = future.exception()
        done(None if error is not None else future.result(), error)
