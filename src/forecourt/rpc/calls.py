"""The calls we make on one connection: which is open, which wait, and what became of each.

Guarantees (OCPP-J, all versions, §4.1.1 and §4.1.4):

- At most one call is open. The next leaves when it was answered or has timed out, never before: also not when nobody
  waits for the answer any more (`cancel`).
- Waiting calls leave by priority, the larger first, then in the order they came. Their number is bounded.
- Ids of our own differ from all that are open, waiting or recently finished here. An id that comes with a call to be
  passed on is left alone, but refused if it is one of ours.
- The last finished calls are remembered, so that a late or second answer can be told from a foreign one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from msgspec import Struct

from forecourt.rpc.events import Abandoned, TimedOut
from forecourt.rpc.frame import encode_call

__all__ = ["OpenCall", "OutgoingCalls", "PastCall"]


class _Waiting(Struct):
    token: object
    action: str
    frame: bytes
    timeout_s: float
    message_id: str
    passed_on: bool


class OpenCall(Struct):
    """The call that has left and has no answer yet. `passed_on`: it is somebody else's. Times in monotonic seconds."""

    token: object
    action: str
    message_id: str
    sent_at: float
    deadline: float
    passed_on: bool
    cancelled: bool = False


class PastCall(Struct):
    """A finished call."""

    token: object
    answered: bool
    passed_on: bool


_REMEMBERED = 64
_ID_ATTEMPTS = 8


class OutgoingCalls:
    """See the module. Frames that leave are appended to `outbox`."""

    __slots__ = (
        "_given_way",
        "_given_way_at",
        "_id_max_length",
        "_max_queue",
        "_new_id",
        "_open",
        "_outbox",
        "_past",
        "_queue",
        "_queued_so_far",
    )

    def __init__(self, outbox: list[bytes], new_id: Callable[[], str], id_max_length: int, max_queue: int) -> None:
        self._outbox = outbox
        self._new_id = new_id
        self._id_max_length = id_max_length
        self._max_queue = max_queue
        self._open: OpenCall | None = None
        self._queue: list[tuple[int, int, _Waiting]] = []
        self._queued_so_far = 0
        self._past: dict[str, PastCall] = {}
        self._given_way: list[Abandoned] = []
        self._given_way_at = 0.0

    @property
    def open_id(self) -> str | None:
        """The message id of the open call."""
        return None if self._open is None else self._open.message_id

    @property
    def waiting(self) -> int:
        """How many calls have not left yet."""
        return len(self._queue)

    def fresh_id(self) -> str:
        """An id for a call or message of our own. ValueError: `new_id` gives ids that are in use or too long."""
        for _ in range(_ID_ATTEMPTS):
            message_id = self._new_id()
            if len(message_id) <= self._id_max_length and not self._knows(message_id):
                return message_id
        raise ValueError("new_id gives ids that are in use or too long")

    def is_own(self, message_id: str) -> bool:
        """Whether a call of our own, open, waiting or recently finished, has this id."""
        past = self._past.get(message_id)
        if past is not None and not past.passed_on:
            return True
        if self._open is not None and self._open.message_id == message_id:
            return not self._open.passed_on
        return any(w.message_id == message_id and not w.passed_on for _, _, w in self._queue)

    def add(self, action: str, payload: bytes, now: float, token: object, timeout_s: float, priority: int) -> bool:
        """A call of our own. False: the queue is full of calls at least as urgent. ValueError: see `fresh_id`."""
        message_id = self.fresh_id()
        frame = encode_call(message_id, action, payload)
        return self._enqueue(_Waiting(token, action, frame, timeout_s, message_id, False), priority, now)

    def pass_on(
        self, message_id: str, action: str, frame: bytes, now: float, token: object, timeout_s: float, priority: int
    ) -> bool:
        """Somebody else's call, id and frame as they are. False: as for `add`, or the id is one of our own calls'."""
        if self.is_own(message_id):
            return False
        return self._enqueue(_Waiting(token, action, frame, timeout_s, message_id, True), priority, now)

    def cancel(self, token: object) -> bool:
        """Forget a call; one that has left stays open in silence. False: no such call."""
        if self.withdraw(token):
            return True
        open_call = self._open
        if open_call is not None and not open_call.cancelled and open_call.token == token:
            open_call.cancelled = True
            return True
        return False

    def withdraw(self, token: object) -> bool:
        """Forget a call that has not left. False: no such call waits."""
        for index, (_, _, waiting) in enumerate(self._queue):
            if waiting.token == token:
                del self._queue[index]
                heapq.heapify(self._queue)
                return True
        return False

    def finish(self, message_id: str, now: float) -> OpenCall | PastCall | None:
        """An answer with this id is here: the call it ends, a past call it comes too late for, or None.

        If it ends the open call, the next one leaves. A cancelled call ends as a past one.
        """
        open_call = self._open
        if open_call is None or open_call.message_id != message_id:
            past = self._past.get(message_id)
            if past is None:
                return None
            # The caller sees it as it was; from now on a further answer is a duplicate.
            self._past[message_id] = PastCall(past.token, answered=True, passed_on=past.passed_on)
            return past
        self._remember(open_call, answered=True)
        self._open = None
        self._send_next(now)
        if open_call.cancelled:
            return PastCall(open_call.token, answered=False, passed_on=open_call.passed_on)
        return open_call

    def next_deadline(self) -> float | None:
        """When `expire` has something to do; None: nothing waits for time to pass."""
        if self._given_way:
            return self._given_way_at
        return None if self._open is None else self._open.deadline

    @property
    def has_given_way(self) -> bool:
        """Whether `given_way` has something to give."""
        return bool(self._given_way)

    def given_way(self) -> list[Abandoned]:
        """Calls that had to leave a full queue to more urgent ones; each is handed out once."""
        if not self._given_way:
            return []
        given_way, self._given_way = self._given_way, []
        return given_way

    def expire(self, now: float) -> TimedOut | None:
        """Time has passed. If the open call is over its deadline, the next one leaves."""
        open_call = self._open
        if open_call is None or now < open_call.deadline:
            return None
        self._remember(open_call, answered=False)
        self._open = None
        self._send_next(now)
        return None if open_call.cancelled else TimedOut(open_call.token, open_call.action, open_call.message_id)

    def close(self) -> list[Abandoned]:
        """No call will be answered any more: all of them, the open one first, then in the order they would leave."""
        events = self.given_way()
        open_call, self._open = self._open, None
        if open_call is not None and not open_call.cancelled:
            events.append(Abandoned(open_call.token, open_call.action, sent=True))
        # No two entries share a sequence number, so the comparison never reaches the call itself.
        events += [Abandoned(waiting.token, waiting.action, sent=False) for _, _, waiting in sorted(self._queue)]
        self._queue.clear()
        return events

    def _knows(self, message_id: str) -> bool:
        if message_id in self._past or message_id == self.open_id:
            return True
        return any(waiting.message_id == message_id for _, _, waiting in self._queue)

    def _enqueue(self, waiting: _Waiting, priority: int, now: float) -> bool:
        if self._open is None:
            self._dispatch(waiting, now)
            return True
        if len(self._queue) >= self._max_queue and not self._make_room(priority, now):
            return False
        self._queued_so_far += 1
        heapq.heappush(self._queue, (-priority, self._queued_so_far, waiting))
        return True

    def _make_room(self, priority: int, now: float) -> bool:
        """Drop the least urgent call, the youngest of them, if it is less urgent than `priority`."""
        last = max(self._queue, default=None)
        if last is None or last[0] <= -priority:
            return False
        self._queue.remove(last)
        heapq.heapify(self._queue)
        if not self._given_way:
            self._given_way_at = now
        self._given_way.append(Abandoned(last[2].token, last[2].action, sent=False))
        return True

    def _send_next(self, now: float) -> None:
        if self._queue:
            self._dispatch(heapq.heappop(self._queue)[2], now)

    def _dispatch(self, waiting: _Waiting, now: float) -> None:
        deadline = now + waiting.timeout_s
        self._open = OpenCall(waiting.token, waiting.action, waiting.message_id, now, deadline, waiting.passed_on)
        self._outbox.append(waiting.frame)

    def _remember(self, call: OpenCall, *, answered: bool) -> None:
        self._past.pop(call.message_id, None)
        self._past[call.message_id] = PastCall(call.token, answered, call.passed_on)
        if len(self._past) > _REMEMBERED:
            del self._past[next(iter(self._past))]
