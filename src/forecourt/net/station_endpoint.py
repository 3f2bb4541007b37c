"""A whole station as one pure endpoint: core, dialect, OCPP-J peer, journal and hardware joined.

Theory of operation. Whoever owns it brings it link events, frames and time, each with a `Now`, then takes the frames it
wants sent. Inside, inputs wait in a queue: the core takes one in, its effects are carried out in their order, and what
hardware or dialect answer to them joins the queue behind. The hardware is asked for news before anything else is told.

Guarantees
* What the core persists is committed before any effect behind it is carried out: a frame that leaves tells of nothing
  that a power cut could undo.
* A request that can't be translated gets the CALLERROR of its cause; one that can gets its answer (OCPP-J §4.2.3).
* Nothing received raises. A journal that can't keep a commit is an OSError from whatever call it happened in; the
  endpoint must not be used after it: a station that can't keep its books must not go on.
* No sockets, no clock, no randomness: ids come from `new_id`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from forecourt.dialect.port import Dialect, Inexpressible, StationCall, StationCallAnswer, Untranslatable
from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.events import Acknowledged
from forecourt.domain.requests import CsmsRequest
from forecourt.rpc.errors import Cause
from forecourt.rpc.events import Abandoned, Answered, CallReceived, PeerEvent, Refused, TimedOut
from forecourt.rpc.peer import Peer
from forecourt.station.config import StationConfig
from forecourt.station.effects import (
    AskSecurity,
    CancelFirmware,
    CancelUpload,
    CertificateChanged,
    Configure,
    ConfirmFirmware,
    ConnectWith,
    DataTransferDone,
    Disregard,
    DownloadFirmware,
    Effect,
    InstallFirmware,
    Persist,
    Reboot,
    Refuse,
    Reply,
    Send,
    SetAside,
    UploadLog,
    VerifyFirmware,
)
from forecourt.station.inputs import (
    CallAnswered,
    CallFailed,
    CallFailure,
    ConnectionsFailed,
    Input,
    LinkDown,
    LinkUp,
    RequestReceived,
    SecurityAnswered,
)
from forecourt.station.ports import Hardware, Journal, Security, System
from forecourt.station.station import Station
from forecourt.station.variable_table import MESSAGE_TIMEOUT

_MAX_FRAME_BYTES: Final = 1_048_576


class _Open(msgspec.Struct):
    """A `Send` on its way, in one message or several; the first one's answer counts."""

    call: StationCall
    waiting: int
    answer: StationCallAnswer | None = None


class StationEndpoint:
    """One station, from its journal and hardware up to the frames it exchanges."""

    def __init__(
        self,
        config: StationConfig,
        dialect: Dialect,
        journal: Journal,
        hardware: Hardware,
        *,
        new_id: Callable[[], str],
        observe: Callable[[Effect, Now], None] | None = None,
        system: System | None = None,
        security: Security | None = None,
    ) -> None:
        """`new_id` gives ids that nobody else gives: of transactions and of messages. `observe` sees each effect.

        Without `system` the station takes no firmware and uploads no logs; without `security` it keeps no certificates
        and reports no security events.
        """
        self.dialect = dialect
        self.journal = journal
        self.hardware = hardware
        self.system = system
        self.security = security
        config = msgspec.structs.replace(
            config,
            has_system=system is not None,
            has_security=security is not None,
            file_transfer_protocols=() if system is None else system.protocols,
        )
        self.station = Station(config, dialect.capabilities, new_id)
        self.reboot: Reboot | None = None
        """What the core asks for: end this endpoint and start another on the same journal and hardware."""
        self._new_id = new_id
        self._observe = observe
        self._peer: Peer | None = None
        self._open: dict[int, _Open] = {}
        self._requests: dict[str, CsmsRequest] = {}
        self._inputs: deque[Input] = deque()
        self._outside: list[Effect] = []

    # Driving

    def start(self, now: Now) -> None:
        """Begin, from what the journal holds. Once, before anything else."""
        self._carry_out(self.station.restore(self.journal.load(), now), now)
        self.tell(self.hardware.report(now), now)

    def tell(self, inputs: Iterable[Input], now: Now) -> None:
        """Something has happened at the station, in this order."""
        self._inputs.extend(self._news(now))
        self._inputs.extend(inputs)
        self._settle(now)

    def link_up(self, now: Now) -> None:
        """There is a connection to the CSMS."""
        if self._peer is not None:
            self.link_down(now)
        self._peer = Peer(self.dialect.rules, self._new_id, max_frame_bytes=_MAX_FRAME_BYTES)
        self.tell((LinkUp(),), now)

    def connections_failed(self, now: Now) -> None:
        """No address of the CSMS lets the station in."""
        self.tell((ConnectionsFailed(),), now)

    def link_down(self, now: Now) -> None:
        """The connection is gone."""
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close(now.protocol_s)
            self._open.clear()
            self._requests.clear()
            self.tell((LinkDown(),), now)

    def receive(self, data: bytes, now: Now) -> None:
        """A frame has come."""
        if self._peer is not None:
            self._inputs.extend(self._news(now))
            self._hear(self._peer.receive(data, now.protocol_s))
            self._settle(now)

    def take(self) -> list[bytes]:
        """The frames to be sent, in order; each is handed out once."""
        return [] if self._peer is None else self._peer.take()

    def take_outside(self) -> list[Effect]:
        """What the core wants of neither hardware nor CSMS: `Configure`, `SetAside`, `DataTransferDone`,
        `CertificateChanged`, `ConnectWith`; once each."""
        outside, self._outside = self._outside, []
        return outside

    def next_deadlines(self) -> Deadlines:
        """When to call `expire` at the latest, on either clock."""
        deadlines = self.station.next_deadlines()
        for others in (self.hardware, self.system):
            if others is None:
                continue
            theirs = others.next_deadlines()
            if theirs.elapsed_s is not None or theirs.protocol_s is not None:
                deadlines = deadlines.earliest(theirs)
        peer_s = None if self._peer is None else self._peer.next_deadline()
        if peer_s is None or (deadlines.protocol_s is not None and deadlines.protocol_s <= peer_s):
            return deadlines
        return Deadlines(peer_s, deadlines.elapsed_s)

    def expire(self, now: Now) -> None:
        """Time has passed."""
        self._inputs.extend(self._news(now))
        peer = self._peer
        peer_s = None if peer is None else peer.next_deadline()
        if peer is not None and peer_s is not None and peer_s <= now.protocol_s:
            self._hear(peer.expire(now.protocol_s))
        self._settle(now)
        if self.station.next_deadlines().due(now):
            self._carry_out(self.station.expire(now), now)
            self._settle(now)

    def _news(self, now: Now) -> Sequence[Input]:
        """What hardware and system have to say of themselves."""
        news = self.hardware.advance(now)
        return news if self.system is None else [*news, *self.system.advance(now)]

    # Effects

    def _settle(self, now: Now) -> None:
        """Take in all that waits, and all that comes of it."""
        while self._inputs:
            self._carry_out(self.station.step(self._inputs.popleft(), now), now)

    def _carry_out(self, effects: list[Effect], now: Now) -> None:
        for effect in effects:
            if self._observe is not None:
                self._observe(effect, now)
            match effect:
                case Persist():
                    self.journal.commit(effect.changes)
                case Send():
                    self._send(effect, now)
                case Reply():
                    self._reply(effect)
                case Refuse():
                    self._requests.pop(effect.request_id, None)
                    if self._peer is not None and effect.too_much:
                        self._peer.reply_error(effect.request_id, Cause.OCCURRENCE, "asks for more than one may")
                    elif self._peer is not None:
                        self._peer.reply_error(effect.request_id, Cause.UNSUPPORTED_ACTION, "not supported here")
                case Disregard():
                    self._requests.pop(effect.request_id, None)
                    if self._peer is not None:
                        self._peer.forget(effect.request_id)
                case AskSecurity():
                    if self.security is not None:
                        verdict = self.security.answer(effect.question, effect.at)
                        self._inputs.append(SecurityAnswered(effect.reference, verdict))
                case (
                    DownloadFirmware()
                    | VerifyFirmware()
                    | InstallFirmware()
                    | ConfirmFirmware()
                    | CancelFirmware()
                    | UploadLog()
                    | CancelUpload()
                ):
                    if self.system is not None:
                        self._inputs.extend(self.system.carry_out(effect, now))
                case SetAside() | CertificateChanged() | ConnectWith():
                    self._outside.append(effect)
                case _:
                    if isinstance(effect, Reboot):
                        self.reboot = effect
                    elif isinstance(effect, Configure | DataTransferDone):
                        self._outside.append(effect)
                    self._inputs.extend(self.hardware.carry_out(effect, now))

    def _send(self, send: Send, now: Now) -> None:
        try:
            messages = self.dialect.encode_call(send.call, self.station.csms_id_of)
        except Inexpressible as error:
            self._inputs.append(CallFailed(send.call_id, CallFailure.INEXPRESSIBLE, str(error)))
            return
        if not messages:
            self._inputs.append(CallAnswered(send.call_id, Acknowledged()))
            return
        self._open[send.call_id] = _Open(send.call, len(messages))
        timeout_s = float(self.station.parts.variables.integer(MESSAGE_TIMEOUT))
        for number, message in enumerate(messages):
            taken = self._peer is not None and self._peer.call(
                message.action,
                message.payload,
                now.protocol_s,
                token=(send.call_id, number),
                timeout_s=timeout_s,
                priority=int(send.urgency),
            )
            if not taken:
                self._fail(send.call_id, CallFailure.LOST, "too many calls are waiting")
                return

    def _reply(self, reply: Reply) -> None:
        request = self._requests.pop(reply.request_id, None)
        if request is None or self._peer is None:
            return  # its connection is gone
        try:
            payload = self.dialect.encode_request_answer(request, reply.answer)
        except Inexpressible as error:
            self._peer.reply_error(reply.request_id, Cause.INTERNAL, str(error))
        else:
            self._peer.reply(reply.request_id, payload)

    # What the peer says

    def _hear(self, events: Iterable[PeerEvent]) -> None:
        for event in events:
            match event:
                case CallReceived():
                    self._request(event)
                case Answered(token=(int(call_id), int(number))):
                    self._answered(call_id, number, event)
                case Refused(token=(int(call_id), int())):
                    failure = CallFailure.ERROR if event.from_peer else CallFailure.UNREADABLE
                    self._fail(call_id, failure, f"{event.code}: {event.description}")
                case TimedOut(token=(int(call_id), int())):
                    self._fail(call_id, CallFailure.TIMEOUT, "")
                case Abandoned(token=(int(call_id), int())):
                    self._fail(call_id, CallFailure.LOST, "")
                case _:
                    pass  # nothing follows from what the peer has discarded

    def _request(self, call: CallReceived) -> None:
        if self._peer is None:
            return
        try:
            decoded = self.dialect.decode_request(call.action, call.payload)
        except Untranslatable as error:
            self._peer.reply_error(call.message_id, error.cause, error.description)
            return
        self._requests[call.message_id] = decoded.value
        self._inputs.append(RequestReceived(call.message_id, decoded.value))

    def _answered(self, call_id: int, number: int, event: Answered) -> None:
        waiting = self._open.get(call_id)
        if waiting is None:
            return
        if number == 0:
            try:
                waiting.answer = self.dialect.decode_call_answer(waiting.call, event.payload).value
            except Untranslatable as error:
                if self._peer is not None:
                    self._peer.reply_result_error(event.message_id, error.cause, error.description)
                self._fail(call_id, CallFailure.UNREADABLE, error.description)
                return
        waiting.waiting -= 1
        if waiting.waiting == 0:
            del self._open[call_id]
            self._inputs.append(CallAnswered(call_id, waiting.answer or Acknowledged()))

    def _fail(self, call_id: int, failure: CallFailure, description: str) -> None:
        if self._open.pop(call_id, None) is not None:
            self._inputs.append(CallFailed(call_id, failure, description))
