"""A dialect as tables: each action and each kind of request has a row that says how to read and write it.

Guarantees
* Pure, as `port.Dialect` asks: a table is looked up and a function called, nothing is remembered.
* An action that the version does not have is `Cause.UNKNOWN_ACTION`; one that it has but that nobody translates, or
  that comes from the wrong side, is `Cause.UNSUPPORTED_ACTION` (OCPP-J 1.6 §4.2.3, OCPP 2.0.1 part 4 §4.3:
  NotImplemented and NotSupported).
* Whatever is decoded can be written to a journal and to a database: its integers have 64 bits at most (OCPP means 32,
  but neither its schemas nor the codec say so).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from forecourt.dialect.at_once import AtOnce
from forecourt.dialect.port import (
    Decoded,
    Heard,
    Inexpressible,
    Message,
    StationCall,
    StationCallAnswer,
    TransactionIdOf,
    Untranslatable,
)
from forecourt.dialect.wire import Deviations, put, read, write
from forecourt.domain.events import Answer, Notice
from forecourt.domain.requests import ANSWERS, CsmsRequest, CsmsRequestAnswer, Request
from forecourt.domain.station import Capabilities
from forecourt.messages.base import Message as WireMessage
from forecourt.rpc.errors import Cause, Rules

T = TypeVar("T")

INTEGER_LIMIT: Final = 1 << 63

_CONTENT: Final = frozenset({Cause.MISSING_FIELD, Cause.OCCURRENCE, Cause.TYPE, Cause.VALUE})
"""What is wrong with a payload that is an object."""

_PACKER: Final = msgspec.msgpack.Encoder()
"""The cheapest way to see all of a value: it refuses what neither signed nor unsigned 64 bits can hold."""
_LONG_NUMBER: Final = re.compile(rb"\d{19}")
"""What an integer of more than 64 bits has at least."""
_UNSIGNED: Final = b"\xcf"
"""How MessagePack announces an integer that may need the 64th bit; anywhere else it costs a closer look."""


@dataclass(frozen=True, slots=True)
class CallRow:
    """How to read a CALL: its message, and what that means.

    `stand_ins` are read by lenience where a required field, by its path, is missing or can't be read. `expendable` is a
    report whose answer says nothing: one that can't be read at all is let go, for a refusal would only make the station
    say it again, and keep from us what waits behind it. `unknown_word`: a path, and what is asked where the word there
    is none of the version's, for a message whose answer can say that.
    """

    message: type[WireMessage]
    meaning: Callable[[Any, Deviations], Any]
    stand_ins: Mapping[str, object] = field(default_factory=dict)
    expendable: bool = False
    unknown_word: tuple[str, Request] | None = None


@dataclass(frozen=True, slots=True)
class RequestRow:
    """How to ask something, and how to read and write the answer.

    `say` gives action and message; `answer_message` the type of the answer to a request; `hear` what an answer means;
    `reply` the message of an answer.
    """

    say: Callable[[Any], tuple[str, WireMessage]]
    answer_message: Callable[[Any], type[WireMessage]]
    hear: Callable[[Any, Any, Deviations], Any]
    reply: Callable[[Any, Any], WireMessage]


@dataclass(frozen=True, slots=True)
class TableDialect:
    """One OCPP version, told by its tables. Implements `port.Dialect`."""

    subprotocol: str
    rules: Rules
    capabilities: Capabilities
    known_actions: Mapping[str, type[WireMessage]]
    calls: Mapping[str, CallRow]
    """By action: what a station says."""
    requests: Mapping[str, CallRow]
    """By action: what a CSMS asks."""
    request_rows: Mapping[type[Request], RequestRow]
    """By kind of request, of either side."""
    say_notice: Callable[[Notice, TransactionIdOf], tuple[tuple[str, WireMessage], ...]]
    reply_to_notice: Callable[[Notice, Answer], WireMessage]
    hear_notice_answer: Callable[[Notice, bytes, Deviations], Any]
    at_once: tuple[AtOnce, ...] = ()

    def hear_at_once(self, frame: bytes) -> Heard | None:
        """What a station says with this frame, where it is one of the frequent ones and in order."""
        for reader in self.at_once:
            heard = reader.read(frame)
            if heard is not None:
                return heard
        return None

    def decode_call(
        self, action: str, payload: bytes, *, strict: bool = False, received_at: datetime | None = None
    ) -> Decoded[StationCall]:
        """What a station says."""
        try:
            return self._meaning(self.calls, action, payload, strict, received_at)
        except Untranslatable as problem:
            row = self.calls.get(action)
            if strict or received_at is None or row is None or not row.expendable or problem.cause not in _CONTENT:
                raise
            return Decoded(Notice(()), (f"{problem.description}; nothing of it is taken in",))

    def decode_request(self, action: str, payload: bytes, *, strict: bool = True) -> Decoded[CsmsRequest]:
        """What the CSMS asks."""
        return self._meaning(self.requests, action, payload, strict)

    def _meaning(
        self,
        rows: Mapping[str, CallRow],
        action: str,
        payload: bytes,
        strict: bool,
        received_at: datetime | None = None,
    ) -> Decoded[Any]:
        row = rows.get(action)
        if row is None:
            cause = Cause.UNSUPPORTED_ACTION if action in self.known_actions else Cause.UNKNOWN_ACTION
            raise Untranslatable(cause, f"{cause.value}: {action[:50]!r}")
        deviations = Deviations(strict=strict, received_at=received_at)
        try:
            message = read(row.message, payload, deviations, row.stand_ins)
        except Untranslatable as problem:
            path, meant = row.unknown_word or ("", None)
            if meant is None or problem.cause is not Cause.VALUE or not problem.description.startswith(f"{path}: "):
                raise
            return Decoded(meant)
        value = row.meaning(message, deviations)
        if not deviations.found and _LONG_NUMBER.search(payload) is None:
            return Decoded(value)  # read as the schema has it: no integer is longer than its digits
        return decoded(value, deviations)

    def encode_request(self, request: CsmsRequest) -> Message:
        """What to say to a station to ask this of it."""
        action, message = put(self.request_rows[type(request)].say, request)
        return Message(action, write(message))

    def decode_request_answer(
        self, request: CsmsRequest, payload: bytes, *, strict: bool = False
    ) -> Decoded[CsmsRequestAnswer]:
        """What the station answered."""
        return self._heard(request, payload, Deviations(strict=strict))

    def encode_request_answer(self, request: CsmsRequest, answer: CsmsRequestAnswer) -> bytes:
        """The payload of the CALLRESULT for it."""
        return write(self._reply(request, answer))

    def encode_call(self, call: StationCall, transaction_id_of: TransactionIdOf) -> tuple[Message, ...]:
        """The messages that say this; the first one's answer is the one that `decode_call_answer` reads."""
        if isinstance(call, Notice):
            told = put(self.say_notice, call, transaction_id_of)
            return tuple(Message(action, write(message)) for action, message in told)
        action, message = put(self.request_rows[type(call)].say, call)
        return (Message(action, write(message)),)

    def decode_call_answer(
        self, call: StationCall, payload: bytes, *, strict: bool = False
    ) -> Decoded[StationCallAnswer]:
        """What the CSMS answered."""
        deviations = Deviations(strict=strict)
        if isinstance(call, Notice):
            return decoded(self.hear_notice_answer(call, payload, deviations), deviations)
        return self._heard(call, payload, deviations)

    def encode_call_answer(self, call: StationCall, answer: StationCallAnswer) -> bytes:
        """The payload of the CALLRESULT for it."""
        if isinstance(call, Notice):
            return write(put(self.reply_to_notice, call, answer))
        return write(self._reply(call, answer))

    def _heard(self, request: Request, payload: bytes, deviations: Deviations) -> Decoded[Any]:
        row = self.request_rows[type(request)]
        answer = row.hear(request, read(row.answer_message(request), payload, deviations), deviations)
        return decoded(answer, deviations)

    def _reply(self, request: Request, answer: Answer) -> WireMessage:
        if not isinstance(answer, ANSWERS[type(request)]):
            raise mismatch(request, answer)
        return put(self.request_rows[type(request)].reply, request, answer)


def decoded(value: T, deviations: Deviations) -> Decoded[T]:
    """`value` with what was forgiven.

    Raises:
        Untranslatable: it holds an integer that no journal and no database can.
    """
    try:
        storable = _UNSIGNED not in _PACKER.encode(value) or _has_small_integers(msgspec.to_builtins(value))
    except OverflowError:
        storable = False
    if not storable:
        raise Untranslatable(Cause.VALUE, "an integer of more than 64 bits")
    return Decoded(value, tuple(deviations.found))


def _has_small_integers(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_has_small_integers, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_has_small_integers, value))
    return not isinstance(value, int) or value < INTEGER_LIMIT


def always(message: type[WireMessage]) -> Callable[[Any], type[WireMessage]]:
    """For `RequestRow.answer_message` where the request does not matter."""
    return lambda _: message


def either(is_one: Callable[[Any], bool], one: RequestRow, other: RequestRow) -> RequestRow:
    """A request that goes by two messages: by `one` when `is_one` says so."""

    def row(request: Any) -> RequestRow:
        return one if is_one(request) else other

    return RequestRow(
        lambda request: row(request).say(request),
        lambda request: row(request).answer_message(request),
        lambda request, wire, deviations: row(request).hear(request, wire, deviations),
        lambda request, answer: row(request).reply(request, answer),
    )


def mismatch(question: object, answer: object) -> Inexpressible:
    """The error for an answer of the wrong kind."""
    return Inexpressible(f"{type(answer).__name__} does not answer {type(question).__name__}")
