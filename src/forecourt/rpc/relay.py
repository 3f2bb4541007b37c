"""Two peers back to back: a station on one side, its CSMS on the other, a local controller in between.

Guarantees (OCPP-J 2.0.1 and 2.1 §6.1 to §6.4, applied to 1.6 as well):

- What is only relayed passes byte for byte, answers included: the very bytes object that came.
- The owner decides on every call by one verdict: `forward`, `forward_altered`, `forward_and_drop_answer`,
  `answer_locally`, `refuse`. Until then nothing happens to it.
- Calls of our own (`call`) have ids that nobody else uses, and their answers never reach the other side (§6.4). A call
  to be forwarded that carries one of those ids is refused.
- One open call each way on each leg (§4.1.1): a forwarded call waits while a call of ours is open there, and the other
  way round; the larger priority goes first. Answers wait for nothing.
- A forwarded call without an answer gets none from us either, as on a direct connection, and the leg is free again
  after its timeout.
- A leg that is down takes no calls: `forward` says so, and the owner decides (offline autonomy). When a leg is lost,
  every forwarded call it owed an answer comes back to the owner, still open; every call that came from it and has not
  left yet is withdrawn, and answers to those that have left are dropped.

Where the specification leaves a choice: frames that can't be read, and message types the connection doesn't have, end
here; each leg answers them, or stays silent, as the far end would have done. Forwarding them would let one side make
the other close a healthy connection, and the answer would come back without a call to match it with.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec
from msgspec import Struct

from forecourt.rpc.errors import Cause, Rules
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
from forecourt.rpc.frame import encode_call
from forecourt.rpc.peer import Peer
from forecourt.rpc.relay_events import (
    AnswerDropped,
    AnswerHeld,
    AnswerRelayed,
    CallArrived,
    CallerLost,
    LegNotice,
    OwnOutcome,
    RelayEvent,
    SendArrived,
    Side,
    Unanswered,
)

__all__ = ["Relay"]


class _Fate(Enum):
    RELAY = "pass the answer back"
    HOLD = "give the answer to the owner"
    DROP = "nobody gets the answer"


class _Forwarded(Struct, eq=False):
    """A call on its way; the token of its copy on the other leg."""

    side: Side
    call: CallReceived
    fate: _Fate
    answer: Answered | Refused | None = None


_REMEMBERED_ANSWERS = 64


class Relay:
    """See the module. Limits and `new_id` are those of `Peer`; both legs start down."""

    __slots__ = ("_forwarded", "_legs", "_make_peer", "_relayed_answers")

    def __init__(
        self,
        rules: Rules,
        new_id: Callable[[], str],
        *,
        call_timeout_s: float = 30.0,
        max_frame_bytes: int = 1_048_576,
        max_queue: int = 256,
        max_open_incoming: int = 32,
    ) -> None:
        def make_peer() -> Peer:
            return Peer(
                rules,
                new_id,
                call_timeout_s=call_timeout_s,
                max_frame_bytes=max_frame_bytes,
                max_queue=max_queue,
                max_open_incoming=max_open_incoming,
            )

        self._make_peer = make_peer
        self._legs: dict[Side, Peer] = {}
        self._forwarded: list[_Forwarded] = []
        self._relayed_answers: dict[tuple[Side, str], None] = {}

    # Legs

    def is_up(self, side: Side) -> bool:
        """Whether this leg is connected."""
        return side in self._legs

    def leg_up(self, side: Side, now: float) -> list[RelayEvent]:
        """A connection to `side` is there. One that was there before is lost."""
        events = self.leg_lost(side, now)
        self._legs[side] = self._make_peer()
        return events

    def leg_lost(self, side: Side, now: float) -> list[RelayEvent]:
        """The connection to `side` is gone."""
        peer = self._legs.pop(side, None)
        if peer is None:
            return []
        events = self._translate(side, peer.close(now))
        other = self._legs.get(side.other)
        for forwarded in [f for f in self._forwarded if f.side is side]:
            if forwarded.fate is _Fate.DROP:
                continue  # its caller has an answer; what it tells is still worth telling
            if forwarded.answer is not None or (other is not None and other.withdraw(forwarded)):
                self._forwarded.remove(forwarded)
                sent = forwarded.answer is not None
            else:
                forwarded.fate = _Fate.DROP
                sent = True
            events.append(CallerLost(side, forwarded.call, sent))
        return events

    def receive(self, side: Side, data: bytes | bytearray | memoryview, now: float) -> list[RelayEvent]:
        """One whole message from `side`. Never raises."""
        peer = self._legs.get(side)
        if peer is None:
            reason = DiscardReason.CLOSED
            return [LegNotice(side, Discarded(reason, bytes(data[:1024]), reason.value))]
        return self._translate(side, peer.receive(data, now))

    def take(self, side: Side) -> list[bytes]:
        """The frames to be sent to `side`, in order; each is handed out once."""
        peer = self._legs.get(side)
        return [] if peer is None else peer.take()

    def next_deadline(self) -> float | None:
        """When `expire` wants to be called; None: not before something else happens."""
        deadlines = [d for peer in self._legs.values() if (d := peer.next_deadline()) is not None]
        return min(deadlines, default=None)

    def expire(self, now: float) -> list[RelayEvent]:
        """Time has passed."""
        events: list[RelayEvent] = []
        for side, peer in self._legs.items():
            events += self._translate(side, peer.expire(now))
        return events

    # Verdicts on a call from `side`. Each returns False if the call is not open (any more), and then does nothing.

    def forward(
        self,
        side: Side,
        call: CallReceived,
        now: float,
        *,
        hold_answer: bool = False,
        frame: bytes | None = None,
        timeout_s: float | None = None,
        priority: int = 0,
    ) -> bool:
        """Pass the call on, byte for byte. False also if the other leg is down or full: the call stays open.

        `hold_answer`: the answer comes to the owner (`AnswerHeld`) and not to the caller. `frame`: what to send in
        place of the frame that came, under the same message id.
        """
        fate = _Fate.HOLD if hold_answer else _Fate.RELAY
        return self._forward(side, call, call.frame if frame is None else frame, fate, now, timeout_s, priority)

    def forward_altered(
        self,
        side: Side,
        call: CallReceived,
        payload: bytes,
        now: float,
        *,
        hold_answer: bool = False,
        timeout_s: float | None = None,
        priority: int = 0,
    ) -> bool:
        """Pass the call on under its id, with another payload. Otherwise as `forward`."""
        fate = _Fate.HOLD if hold_answer else _Fate.RELAY
        frame = encode_call(call.message_id, call.action, payload)
        return self._forward(side, call, frame, fate, now, timeout_s, priority)

    def forward_and_drop_answer(
        self, side: Side, call: CallReceived, now: float, *, timeout_s: float | None = None, priority: int = 0
    ) -> bool:
        """Pass the call on, byte for byte, although the caller gets (or got) its answer from us.

        The call needn't be open any more: answering first keeps the caller from waiting.
        """
        return self._forward(side, call, call.frame, _Fate.DROP, now, timeout_s, priority)

    def answer_locally(self, side: Side, call: CallReceived, payload: bytes) -> bool:
        """Answer in the name of the other side; an answer from there is dropped if it still comes."""
        peer = self._legs.get(side)
        self._settle(side, call)
        return peer is not None and peer.reply(call.message_id, payload)

    def refuse(
        self, side: Side, call: CallReceived, cause: Cause, description: str = "", details: bytes = b"{}"
    ) -> bool:
        """Answer with a CALLERROR; otherwise as `answer_locally`."""
        peer = self._legs.get(side)
        self._settle(side, call)
        return peer is not None and peer.reply_error(call.message_id, cause, description, details)

    def release(self, side: Side, call: CallReceived, frame: bytes | None = None) -> bool:
        """Pass the held answer back after all, byte for byte, or `frame` in its place. False also if none is held."""
        peer = self._legs.get(side)
        forwarded = self._pending(side, call)
        if peer is None or forwarded is None or forwarded.answer is None:
            return False
        self._forwarded.remove(forwarded)
        answer = forwarded.answer if frame is None else msgspec.structs.replace(forwarded.answer, frame=frame)
        return self._pass_back(peer, forwarded, answer)

    def leave_unanswered(self, side: Side, call: CallReceived) -> bool:
        """The caller gets no answer; one from the other side is dropped if it still comes."""
        peer = self._legs.get(side)
        self._settle(side, call)
        return peer is not None and peer.forget(call.message_id)

    def pass_send(self, side: Side, send: SendReceived) -> bool:
        """Pass on a message that nobody answers, byte for byte. False: the other leg is down."""
        peer = self._legs.get(side.other)
        return peer is not None and peer.send_frame(send.frame)

    # Calls of our own

    def call(
        self,
        side: Side,
        action: str,
        payload: bytes,
        now: float,
        *,
        token: object,
        timeout_s: float | None = None,
        priority: int = 0,
    ) -> bool:
        """Call `side` in our own name; its outcome is an `OwnOutcome`. False: the leg is down or full."""
        peer = self._legs.get(side)
        if peer is None:
            return False
        return peer.call(action, payload, now, token=token, timeout_s=timeout_s, priority=priority)

    def cancel(self, side: Side, token: object) -> bool:
        """Forget a call of our own. True: it was known, and no outcome will follow."""
        peer = self._legs.get(side)
        return peer is not None and peer.cancel(token)

    # Inside

    def _forward(
        self,
        side: Side,
        call: CallReceived,
        frame: bytes,
        fate: _Fate,
        now: float,
        timeout_s: float | None,
        priority: int,
    ) -> bool:
        origin, target = self._legs.get(side), self._legs.get(side.other)
        if target is None:
            return False
        if fate is not _Fate.DROP:
            if origin is None or not origin.is_open(call.message_id) or self._pending(side, call) is not None:
                return False
            if target.is_own_id(call.message_id):
                return origin.reply_error(call.message_id, Cause.DUPLICATE_ID, Cause.DUPLICATE_ID.value)
        forwarded = _Forwarded(side, call, fate)
        accepted = target.forward(
            call.message_id, call.action, frame, now, token=forwarded, timeout_s=timeout_s, priority=priority
        )
        if accepted:
            self._drop_stale()
            self._forwarded.append(forwarded)
        return accepted

    def _pending(self, side: Side, call: CallReceived) -> _Forwarded | None:
        for forwarded in self._forwarded:
            if forwarded.side is side and forwarded.call == call and forwarded.fate is not _Fate.DROP:
                return forwarded
        return None

    def _settle(self, side: Side, call: CallReceived) -> None:
        """The caller has got its answer: one from the other side is for the owner only."""
        forwarded = self._pending(side, call)
        if forwarded is None:
            return
        if forwarded.answer is not None:
            self._forwarded.remove(forwarded)
        forwarded.fate = _Fate.DROP

    def _drop_stale(self) -> None:
        """Held answers whose call its leg has given up on (`Peer`, answer window): nobody will ask for them."""
        stale = [f for f in self._forwarded if f.answer is not None and not self._is_open(f.side, f.call)]
        for forwarded in stale:
            self._forwarded.remove(forwarded)

    def _is_open(self, side: Side, call: CallReceived) -> bool:
        peer = self._legs.get(side)
        return peer is not None and peer.is_open(call.message_id)

    def _pass_back(self, peer: Peer, forwarded: _Forwarded, answer: Answered | Refused) -> bool:
        message_id = forwarded.call.message_id
        if isinstance(answer, Refused) and not answer.from_peer:
            return peer.reply_error(message_id, Cause.INTERNAL, "the answer could not be read")
        if not peer.reply_frame(message_id, answer.frame):
            return False
        self._relayed_answers[forwarded.side, message_id] = None
        if len(self._relayed_answers) > _REMEMBERED_ANSWERS:
            del self._relayed_answers[next(iter(self._relayed_answers))]
        return True

    def _translate(self, side: Side, peer_events: list[PeerEvent]) -> list[RelayEvent]:
        return [event for peer_event in peer_events if (event := self._event(side, peer_event)) is not None]

    def _event(self, side: Side, event: PeerEvent) -> RelayEvent | None:
        if isinstance(event, CallReceived):
            return CallArrived(side, event)
        if isinstance(event, SendReceived):
            return SendArrived(side, event)
        if isinstance(event, ResultRefused):
            return self._result_refused(side, event)
        token = event.token
        if isinstance(event, Discarded):
            if isinstance(token, _Forwarded):
                event = msgspec.structs.replace(event, token=token.call)
            return LegNotice(side, event)
        if not isinstance(token, _Forwarded):
            return OwnOutcome(side, event)
        if isinstance(event, Answered | Refused):
            return self._forward_answered(token, event)
        return self._forward_unanswered(token, event)

    def _forward_answered(self, forwarded: _Forwarded, answer: Answered | Refused) -> RelayEvent:
        caller = self._legs.get(forwarded.side)
        if forwarded.fate is _Fate.HOLD and self._is_open(forwarded.side, forwarded.call):
            forwarded.answer = answer
            return AnswerHeld(forwarded.side, forwarded.call, answer)
        self._forwarded.remove(forwarded)
        relayed = forwarded.fate is _Fate.RELAY and caller is not None and self._pass_back(caller, forwarded, answer)
        kind = AnswerRelayed if relayed else AnswerDropped
        return kind(forwarded.side, forwarded.call, answer)

    def _forward_unanswered(self, forwarded: _Forwarded, outcome: TimedOut | Abandoned) -> RelayEvent:
        self._forwarded.remove(forwarded)
        side, call = forwarded.side, forwarded.call
        caller = self._legs.get(side)
        still_open = forwarded.fate is not _Fate.DROP and caller is not None and caller.is_open(call.message_id)
        if still_open and caller is not None and forwarded.fate is _Fate.RELAY and isinstance(outcome, TimedOut):
            caller.forget(call.message_id)
            still_open = False
        return Unanswered(side, call, outcome, still_open)

    def _result_refused(self, side: Side, event: ResultRefused) -> RelayEvent | None:
        key = (side, event.message_id)
        if key not in self._relayed_answers:
            return LegNotice(side, event)
        del self._relayed_answers[key]
        other = self._legs.get(side.other)
        if other is not None:
            other.send_frame(event.frame)
        return None
