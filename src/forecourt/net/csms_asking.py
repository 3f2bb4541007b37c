"""The commands on their way to one station, by one connection.

Guarantees
* A command leaves when no other call of ours is open on the connection, in the order in which they were asked for.
* Whatever becomes of the connection, each command that was put in here is brought to its final state.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import msgspec
from opentelemetry.trace import Span

from forecourt.csms import commands, traces
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.measures import OTHER, CallOutcome
from forecourt.csms.ports import Context
from forecourt.csms.records import ConnectedStation
from forecourt.dialect.port import Dialect, Inexpressible, Untranslatable
from forecourt.domain.requests import CsmsRequest, CsmsRequestAnswer
from forecourt.rpc.events import Abandoned, Answered, Refused, TimedOut
from forecourt.rpc.peer import Peer

log = logging.getLogger(__name__)

_COUNTED_AS: Final[dict[type, CallOutcome]] = {
    Answered: CallOutcome.ANSWERED,
    Refused: CallOutcome.REFUSED,
    TimedOut: CallOutcome.TIMEOUT,
    Abandoned: CallOutcome.LOST,
}


class _Asked(msgspec.Struct):
    """A command on its way. `deadline_s` is on the protocol's clock."""

    command: Command
    deadline_s: float
    request: CsmsRequest | None = None
    action: str = OTHER
    """As it is counted."""
    sent_s: float = 0.0
    trace: dict[str, str] = {}
    span: Span | None = None


class Asking:
    """See the module. `run` does something beside the messages; `violated` takes down what broke the schema."""

    __slots__ = ("_asked", "_context", "_dialect", "_open", "_peer", "_run", "_station", "_strict", "_violated")

    def __init__(
        self,
        context: Context,
        station: ConnectedStation,
        dialect: Dialect,
        peer: Peer,
        run: Callable[[Coroutine[Any, Any, Any]], object],
        violated: Callable[[str, tuple[str, ...]], None],
        *,
        strict: bool,
    ) -> None:
        self._context = context
        self._station = station
        self._dialect = dialect
        self._peer = peer
        self._run = run
        self._violated = violated
        self._strict = strict
        self._asked: deque[_Asked] = deque()
        self._open: _Asked | None = None

    @property
    def waiting(self) -> int:
        """How many haven't been sent yet."""
        return len(self._asked)

    @property
    def busy(self) -> bool:
        """Whether one waits, or is unanswered."""
        return bool(self._asked) or self._open is not None

    def deadlines_s(self) -> Iterator[float]:
        """Of those that wait, on the protocol's clock."""
        return (asked.deadline_s for asked in self._asked)

    def put(self, command: Command, trace: dict[str, str], now_s: float) -> None:
        """Have it sent in its turn."""
        self._asked.append(_Asked(command, now_s + command.timeout_s, trace=trace))

    def send_next(self, now_s: float) -> None:
        """Send the next command, unless one is unanswered; see that what waits too long ends."""
        while self._asked and self._open is None:
            asked = self._asked.popleft()
            command = asked.command
            if asked.deadline_s <= now_s:
                self._end(asked, CommandState.EXPIRED, "its turn did not come before its deadline")
                continue
            message = self._worded(asked)
            if message is None:
                continue
            action, payload = message
            if not self._peer.call(action, payload, now_s, token=asked, timeout_s=asked.deadline_s - now_s):
                self._end(asked, CommandState.OFFLINE, "the connection is closed")
                continue
            self._open = asked
            asked.sent_s = time.perf_counter()
            if asked.request is not None:
                asked.action = action
            message_id = self._peer.open_call or ""
            about = {"forecourt.station": self._station.id, "ocpp.message_id": message_id, "ocpp.action": action}
            asked.span = traces.begin(f"ocpp {asked.action}", asked.trace, about)
            self._run(commands.sent(self._context, command, action=action, payload=payload, message_id=message_id))

    def expire(self, now_s: float) -> None:
        """Time has passed: who waits too long isn't sent."""
        overdue = [asked for asked in self._asked if asked.deadline_s <= now_s]
        for asked in overdue:
            self._asked.remove(asked)
            self._end(asked, CommandState.EXPIRED, "its turn did not come before its deadline")

    def lose(self) -> None:
        """The connection is gone, and what came of the open call has been told."""
        asked, self._asked = self._asked, deque()
        for entry in asked:
            self._end(entry, CommandState.OFFLINE, "the station went offline before it was sent")

    def _worded(self, asked: _Asked) -> tuple[str, bytes] | None:
        """Action and payload of a command; None when the station's protocol has no words for it."""
        command = asked.command
        if command.raw:
            try:
                decoded = self._dialect.decode_request(command.name, command.request, strict=False)
            except Untranslatable:
                log.debug("%s: %s is sent as it is, its effects are not known", self._station.id, command.name)
            else:
                asked.request = decoded.value
            return command.name, command.request
        asked.request = commands.request_of(command)
        try:
            message = self._dialect.encode_request(asked.request)
        except Inexpressible as problem:
            self._end(asked, CommandState.REJECTED, f"the station's protocol can't say it: {problem}")
            return None
        return message.action, message.payload

    def settled(self, outcome: Answered | Refused | TimedOut | Abandoned) -> None:
        """What came of the open one."""
        asked = outcome.token
        assert isinstance(asked, _Asked)
        self._open = None
        counted_as = _COUNTED_AS[type(outcome)]
        self._context.measures.asked(asked.action, counted_as, time.perf_counter() - asked.sent_s)
        traces.end(asked.span, counted_as.value, well=counted_as is CallOutcome.ANSWERED)
        match outcome:
            case Answered():
                self._answered(asked, outcome)
            case Refused():
                self._run(
                    commands.failed(
                        self._context,
                        asked.command,
                        outcome.code,
                        outcome.description,
                        outcome.details,
                        asked.request,
                        None if outcome.from_peer else "the answer could not be read",
                    )
                )
            case TimedOut():
                self._end(asked, CommandState.TIMEOUT, "no answer came before the deadline")
            case Abandoned(sent=True):
                self._end(asked, CommandState.TIMEOUT, "the connection was lost before the answer came")
            case Abandoned():
                self._end(asked, CommandState.OFFLINE, "the station went offline before it was sent")

    def _answered(self, asked: _Asked, outcome: Answered) -> None:
        command = asked.command
        answer: CsmsRequestAnswer | None = None
        if asked.request is not None:
            try:
                decoded = self._dialect.decode_request_answer(asked.request, outcome.payload, strict=self._strict)
            except Untranslatable as problem:
                self._violated(outcome.action, (f"answer: {problem.description}",))
                if not command.raw:
                    self._peer.reply_result_error(outcome.message_id, problem.cause, problem.description)
                    detail = f"the answer can't be understood: {problem.description}"
                    changes = {"answer": outcome.payload, "detail": detail}
                    self._run(commands.finish(self._context, command, CommandState.CALL_ERROR, changes, asked.request))
                    return
            else:
                answer = decoded.value
                if decoded.violations:
                    self._violated(outcome.action, tuple(f"answer: {text}" for text in decoded.violations))
        self._run(commands.answered(self._context, command, outcome.payload, asked.request, answer))

    def _end(self, asked: _Asked, state: CommandState, detail: str) -> None:
        self._run(commands.ended(self._context, asked.command, state, detail, asked.request))
