"""One end of an OCPP-J connection: bytes and `now` in, events and bytes out.

Guarantees, both ways independent of each other (OCPP-J 1.6, 2.0.1, 2.1, all §4.1 and §4.2):

- At most one of our calls is open (§4.1.1); waiting calls leave by priority, then in the order they came. Answers, and
  messages nobody answers, are never held back.
- Every call that was taken gets exactly one outcome: `Answered`, `Refused`, `TimedOut` or `Abandoned`; none after a
  successful `cancel`. An answer that comes late, twice or for nothing is `Discarded` (§4.1.4).
- Nothing received raises, and what is kept of it is bounded: see the limits of `Peer`.
- What gets a CALLERROR and what gets silence is decided by the `Rules` alone (see `forecourt.rpc.errors`). Answers are
  never answered with a CALLERROR, so that two ends can't keep each other busy.

Where the specification leaves a choice:

- A peer that calls again before its last call was answered breaks §4.1.1, and real ones do. Such calls are processed,
  up to `max_open_incoming`; beyond that they are refused. Calls we have left unanswered for `answer_window_s` no longer
  count: whoever sent them has given up.
- An id that is open and comes again is refused where the rules say so (§4.2.3). Where a retry may reuse its id
  (2.x §4.1.4), the same call again is discarded, because the one pending answer serves both; a different call under
  that id is refused. An id that was answered and comes again is a new call: remembering all ids of a connection has no
  bound, constant ids exist in the field, and what must not happen twice is guarded by its own meaning.
- A message id longer than the rules allow is refused, quoting it, so that the sender can match it.
- A frame that can't be read, under the id of a call we are still processing, is not refused under that id: the sender
  would take it for the answer to that call.
- A CALLERROR with the id "-1" is not taken for the answer to our open call: it may be about anything we sent.
- A frame over the size limit is not read, but its head is: if a call's id can be made out, it is refused.
- An answer to our open call that can't be read is its answer all the same: `Refused`, with `from_peer` False.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from forecourt.rpc import frame as frames
from forecourt.rpc.calls import OpenCall, OutgoingCalls, PastCall
from forecourt.rpc.errors import CALL, CALL_ERROR, CALL_RESULT, CALL_RESULT_ERROR, SEND, Cause, Rules, cause_of
from forecourt.rpc.events import (
    Answered,
    CallReceived,
    Discarded,
    DiscardReason,
    PeerEvent,
    Refused,
    ResultRefused,
    SendReceived,
)
from forecourt.rpc.frame import Call, CallError, CallResult, CallResultError, Malformed, Send

__all__ = ["Peer"]


class _Incoming(Struct, gc=False):
    action: str
    frame: bytes
    received_at: float


_REMEMBERED_ANSWERS = 64
_OUTBOX_FOR_REFUSALS = 1024
_KEPT_OF_UNREAD = 1024
_LONGEST_QUOTED_ID = 255


class Peer:
    """See the module. Time is monotonic seconds.

    `new_id` must give ids that no other sender uses under the same station identity, on any connection, ever (2.x
    §4.1.4, §6.4): UUIDs do. Limits: `max_frame_bytes` are read at once, `max_queue` calls of ours wait,
    `max_open_incoming` calls of the other end are unanswered.
    """

    __slots__ = (
        "_answer_window_s",
        "_answered",
        "_answers_may_be_refused",
        "_call_timeout_s",
        "_calls",
        "_closed",
        "_incoming",
        "_max_frame_bytes",
        "_max_open_incoming",
        "_outbox",
        "rules",
    )

    def __init__(
        self,
        rules: Rules,
        new_id: Callable[[], str],
        *,
        call_timeout_s: float = 30.0,
        max_frame_bytes: int = 1_048_576,
        max_queue: int = 256,
        max_open_incoming: int = 32,
        answer_window_s: float = 300.0,
    ) -> None:
        self.rules = rules
        self._call_timeout_s = call_timeout_s
        self._max_frame_bytes = max_frame_bytes
        self._max_open_incoming = max_open_incoming
        self._answer_window_s = answer_window_s
        self._closed = False
        self._outbox: list[bytes] = []
        self._calls = OutgoingCalls(self._outbox, new_id, rules.message_id_max_length, max_queue)
        self._incoming: dict[str, _Incoming] = {}
        self._answered: dict[str, str] = {}
        self._answers_may_be_refused = CALL_RESULT_ERROR in rules.message_types

    @property
    def open_call(self) -> str | None:
        """The message id of our open call."""
        return self._calls.open_id

    @property
    def waiting_calls(self) -> int:
        """How many of our calls have not left yet."""
        return self._calls.waiting

    @property
    def has_outgoing(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._outbox)

    @property
    def open_incoming(self) -> int:
        """How many calls of the other end we have not answered."""
        return len(self._incoming)

    # Our calls

    def call(
        self,
        action: str,
        payload: bytes,
        now: float,
        *,
        token: object,
        timeout_s: float | None = None,
        priority: int = 0,
    ) -> bool:
        """Call the other end, as soon as no other call of ours is open. The larger priority goes first.

        The timeout counts from when the call leaves. False: closed, or the queue is full of calls that are at least as
        urgent; nothing was taken, and no outcome follows. A less urgent call that had to give way is `Abandoned`.
        """
        timeout_s = self._call_timeout_s if timeout_s is None else timeout_s
        return not self._closed and self._calls.add(action, payload, now, token, timeout_s, priority)

    def forward(
        self,
        message_id: str,
        action: str,
        frame: bytes,
        now: float,
        *,
        token: object,
        timeout_s: float | None = None,
        priority: int = 0,
    ) -> bool:
        """As `call`, for somebody else's call: id and frame are theirs, and leave as they are, byte for byte.

        False also if the id is one of our own calls', whose answer would then reach the wrong end (2.x §6.4).
        """
        timeout_s = self._call_timeout_s if timeout_s is None else timeout_s
        return not self._closed and self._calls.pass_on(message_id, action, frame, now, token, timeout_s, priority)

    def cancel(self, token: object) -> bool:
        """Forget a call. True: it was known, and no outcome will follow.

        One that had already left still occupies the connection until it is answered or times out (§4.1.1).
        """
        return self._calls.cancel(token)

    def withdraw(self, token: object) -> bool:
        """Forget a call only if it has not left yet. True: no outcome will follow."""
        return self._calls.withdraw(token)

    def is_own_id(self, message_id: str) -> bool:
        """Whether a call that started here, open, waiting or recently finished, has this id."""
        return self._calls.is_own(message_id)

    def send(self, action: str, payload: bytes) -> bool:
        """Tell the other end something that it won't answer. False: closed, or the rules have no such message."""
        if self._closed or SEND not in self.rules.message_types:
            return False
        self._outbox.append(frames.encode_send(self._calls.fresh_id(), action, payload))
        return True

    # Our answers

    def reply(self, message_id: str, payload: bytes) -> bool:
        """Answer a call of the other end. False: no such call is open (any more), and nothing is sent."""
        if not self._settle(message_id):
            return False
        self._outbox.append(frames.encode_call_result(message_id, payload))
        return True

    def answer(self, message_id: str, payload: bytes) -> bytes | None:
        """As `reply`, but the frame is given to whoever asks, to be sent at once. None: there is no such call open."""
        # With each message that comes: in few steps.
        if self._answers_may_be_refused:
            return frames.encode_call_result(message_id, payload) if self._settle(message_id) else None
        if self._incoming.pop(message_id, None) is None:
            return None
        return frames.encode_call_result(message_id, payload)

    def reply_error(self, message_id: str, cause: Cause, description: str = "", details: bytes = b"{}") -> bool:
        """Refuse a call of the other end. `details` is a JSON object. False: as for `reply`."""
        if not self._settle(message_id):
            return False
        self._outbox.append(self._error_frame(message_id, cause, description, details))
        return True

    def reply_frame(self, message_id: str, frame: bytes) -> bool:
        """Answer with a whole frame that was made elsewhere, byte for byte. False: as for `reply`."""
        if not self._settle(message_id):
            return False
        self._outbox.append(frame)
        return True

    def reply_result_error(self, message_id: str, cause: Cause, description: str = "", details: bytes = b"{}") -> bool:
        """Tell the other end that its answer (`Answered.message_id`) can't be processed.

        False: closed, or the rules have no such message.
        """
        if self._closed or CALL_RESULT_ERROR not in self.rules.message_types:
            return False
        text = description[: self.rules.description_max_length]
        self._outbox.append(frames.encode_call_result_error(message_id, self.rules.code(cause), text, details))
        return True

    def is_open(self, message_id: str) -> bool:
        """Whether the other end still waits for our answer to this call."""
        return message_id in self._incoming

    def forget(self, message_id: str) -> bool:
        """Leave a call of the other end unanswered for good. False: no such call is open."""
        return self._incoming.pop(message_id, None) is not None

    def send_frame(self, frame: bytes) -> bool:
        """Pass on a whole frame that nobody answers, byte for byte. False: closed."""
        if self._closed:
            return False
        self._outbox.append(frame)
        return True

    def take(self) -> list[bytes]:
        """The frames to be sent, in order; each is handed out once."""
        outgoing = self._outbox[:]
        self._outbox.clear()
        return outgoing

    # What happens

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[PeerEvent]:
        """One whole message from the other end. Never raises."""
        if self._closed:
            return [Discarded(DiscardReason.CLOSED, bytes(data[:_KEPT_OF_UNREAD]), DiscardReason.CLOSED.value)]
        events: list[PeerEvent] = [*self._calls.given_way()]
        if len(data) > self._max_frame_bytes:
            message_type, message_id = frames.peek(data)
            what = f"more than {self._max_frame_bytes} bytes"
            malformed = Malformed(Cause.TOO_LARGE, message_type, message_id, what)
            events.append(self._malformed(malformed, bytes(data[:_KEPT_OF_UNREAD]), now))
            return events
        text = data if type(data) is bytes else bytes(data)
        received = frames.parse(text)
        if isinstance(received, Call):
            events.append(self._call_received(received, text, now))
        elif isinstance(received, CallResult | CallError):
            events.append(self._answer_received(received, text, now))
        elif isinstance(received, Malformed):
            events.append(self._malformed(received, text, now))
        else:
            events.append(self._extension_received(received, text, now))
        return events

    def take_in(self, message_id: str, action: str, frame: bytes, now: float) -> bool:
        """A call whose frame somebody else has read, as `receive` would have. True: it is open, and to be answered.

        False: something about it or about the moment is unusual, nothing was done, and `receive` shall look at it.
        """
        if (
            message_id in self._incoming
            or len(message_id) > self.rules.message_id_max_length
            or len(frame) > self._max_frame_bytes
            or len(self._incoming) >= self._max_open_incoming
            or self._closed
            or self._calls.has_given_way
        ):
            return False
        self._incoming[message_id] = _Incoming(action, frame, now)
        return True

    def next_deadline(self) -> float | None:
        """When `expire` wants to be called; None: not before something else happens."""
        return self._calls.next_deadline()

    def expire(self, now: float) -> list[PeerEvent]:
        """Time has passed. A call over its deadline is `TimedOut`, and the next one leaves."""
        events: list[PeerEvent] = [*self._calls.given_way()]
        timed_out = self._calls.expire(now)
        if timed_out is not None:
            events.append(timed_out)
        return events

    def close(self, now: float) -> list[PeerEvent]:  # noqa: ARG002 - the signature all pure cores share
        """The connection is gone. All calls of ours are `Abandoned`, the open one first."""
        self._closed = True
        self._incoming.clear()
        self._outbox.clear()
        return [*self._calls.close()]

    # Inside

    def _settle(self, message_id: str) -> bool:
        incoming = self._incoming.pop(message_id, None)
        if incoming is None:
            return False
        if self._answers_may_be_refused:
            self._answered[message_id] = incoming.action
            if len(self._answered) > _REMEMBERED_ANSWERS:
                del self._answered[next(iter(self._answered))]
        return True

    def _call_received(self, call: Call, frame: bytes, now: float) -> PeerEvent:
        message_id = call.message_id
        payload = bytes(call.payload)
        if len(message_id) > self.rules.message_id_max_length:
            what = f"message id is longer than {self.rules.message_id_max_length} characters"
            return self._object(DiscardReason.REFUSED, Cause.MALFORMED_FRAME, message_id, what, frame)
        before = self._incoming.get(message_id)
        if before is not None:
            if self.rules.retry_may_reuse_id and before.action == call.action and _payload(before.frame) == payload:
                return Discarded(DiscardReason.DUPLICATE, frame, "the answer is pending", message_id=message_id)
            what = Cause.DUPLICATE_ID.value
            return self._object(DiscardReason.REFUSED, Cause.DUPLICATE_ID, message_id, what, frame)
        if len(self._incoming) >= self._max_open_incoming and not self._forget_stale(now):
            what = f"{len(self._incoming)} calls are unanswered"
            return self._object(DiscardReason.REFUSED, Cause.TOO_MANY_CALLS, message_id, what, frame)
        self._incoming[message_id] = _Incoming(call.action, frame, now)
        return CallReceived(message_id, call.action, payload, frame)

    def _forget_stale(self, now: float) -> bool:
        oldest = now - self._answer_window_s
        for message_id in [i for i, incoming in self._incoming.items() if incoming.received_at <= oldest]:
            del self._incoming[message_id]
        return len(self._incoming) < self._max_open_incoming

    def _answer_received(self, answer: CallResult | CallError, frame: bytes, now: float) -> PeerEvent:
        message_id = answer.message_id
        call = self._calls.finish(message_id, now)
        if not isinstance(call, OpenCall):
            if isinstance(answer, CallError) and call is None and message_id == self.rules.unreadable_id:
                what = f"{answer.code}: {answer.description}"
                return Discarded(DiscardReason.PEER_COULD_NOT_READ, frame, what, message_id=message_id)
            return _unexpected(message_id, call, frame)
        elapsed_s = now - call.sent_at
        payload = bytes(answer.payload)
        if isinstance(answer, CallResult):
            return Answered(call.token, call.action, payload, elapsed_s, message_id, frame)
        cause = cause_of(answer.code)
        return _refused(call, answer.code, cause, answer.description, payload, elapsed_s, frame, from_peer=True)

    def _extension_received(self, received: CallResultError | Send, frame: bytes, now: float) -> PeerEvent:
        message_id = received.message_id
        message_type = SEND if isinstance(received, Send) else CALL_RESULT_ERROR
        if message_type not in self.rules.message_types:
            what = Cause.UNKNOWN_MESSAGE_TYPE.value
            return self._malformed(Malformed(Cause.UNKNOWN_MESSAGE_TYPE, message_type, message_id, what), frame, now)
        payload = bytes(received.payload)
        if isinstance(received, Send):
            return SendReceived(message_id, received.action, payload, frame)
        action = self._answered.pop(message_id, "")
        cause = cause_of(received.code)
        return ResultRefused(message_id, action, received.code, cause, received.description, payload, frame)

    def _malformed(self, malformed: Malformed, frame: bytes, now: float) -> PeerEvent:
        """What could not be read: told to the sender, or met with silence, as the rules say."""
        cause, message_type, message_id = malformed.cause, malformed.message_type, malformed.message_id
        what = malformed.description
        if message_type is not None and message_type not in self.rules.message_types:
            reason = DiscardReason.UNKNOWN_TYPE
            if not self.rules.refuses_unknown_types:
                return Discarded(reason, frame, what, message_id=message_id)
            what = f"message type number {message_type} is not supported"
            return self._object(reason, Cause.UNKNOWN_MESSAGE_TYPE, message_id, what, frame)
        reason = DiscardReason.TOO_LARGE if cause is Cause.TOO_LARGE else DiscardReason.UNREADABLE
        if message_type is None or message_type == CALL:
            return self._object(reason, cause, message_id, what, frame)
        if message_id is None or message_type not in {CALL_RESULT, CALL_ERROR}:
            return Discarded(reason, frame, what, message_id=message_id)
        call = self._calls.finish(message_id, now)
        if not isinstance(call, OpenCall):
            return _unexpected(message_id, call, frame)
        if message_type == CALL_RESULT:
            self.reply_result_error(message_id, cause, what)
        code = self.rules.code(cause)
        return _refused(call, code, cause, what, b"{}", now - call.sent_at, frame, from_peer=False)

    def _object(
        self, reason: DiscardReason, cause: Cause, message_id: str | None, description: str, frame: bytes
    ) -> Discarded:
        """Refuse a frame on our own account, under its id or the one that stands for none; else stay silent."""
        answer_id = message_id
        if (
            message_id is None
            or len(message_id) > _LONGEST_QUOTED_ID
            or (message_id in self._incoming and cause is not Cause.DUPLICATE_ID)
        ):
            answer_id = self.rules.unreadable_id
        # An end that sends nonsense faster than it reads our answers gets silence instead of our memory.
        answered = answer_id is not None and len(self._outbox) < _OUTBOX_FOR_REFUSALS
        if answer_id is not None and answered:
            self._outbox.append(self._error_frame(answer_id, cause, description, b"{}"))
        return Discarded(reason, frame, description, answered, message_id)

    def _error_frame(self, message_id: str, cause: Cause, description: str, details: bytes) -> bytes:
        text = description[: self.rules.description_max_length]
        return frames.encode_call_error(message_id, self.rules.code(cause), text, details)


def _payload(frame: bytes) -> bytes | None:
    call = frames.parse(frame)
    return bytes(call.payload) if isinstance(call, Call) else None


def _unexpected(message_id: str, past: PastCall | None, frame: bytes) -> Discarded:
    if past is None:
        reason, token = DiscardReason.UNKNOWN_ID, None
    else:
        reason, token = DiscardReason.DUPLICATE if past.answered else DiscardReason.LATE, past.token
    return Discarded(reason, frame, reason.value, message_id=message_id, token=token)


def _refused(
    call: OpenCall,
    code: str,
    cause: Cause,
    description: str,
    details: bytes,
    elapsed_s: float,
    frame: bytes,
    *,
    from_peer: bool,
) -> Refused:
    message_id = call.message_id
    return Refused(call.token, call.action, code, cause, description, details, elapsed_s, message_id, frame, from_peer)
