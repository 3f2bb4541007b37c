"""What all dialects do alike: read a payload, write one, and note what was forgiven.

Guarantees
* Whatever can't be read raises `Untranslatable` with the cause that names the right CALLERROR; whatever can't be
  written raises `Inexpressible` (OCPP-J 1.6 §4.2.3, OCPP 2.0.1 part 4 §4.2.3). What is written is valid by the
  official schema, because the codec has read it again.
* What the domain is given is of the domain: instants are plain datetimes (`plain`), words are its own enumerations.
* Strict reading ends at the first deviation; lenient reading lists the deviations with their paths.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import ParamSpec, TypeVar, overload

from forecourt.dialect.port import Inexpressible, Untranslatable
from forecourt.messages.base import Message
from forecourt.messages.codec import DecodeFailure, EncodeFailure, decode_as, decode_as_lenient, encode
from forecourt.messages.reading import NO_STAND_INS
from forecourt.rpc.errors import Cause

M = TypeVar("M", bound=Message)
A = TypeVar("A", bound=StrEnum)
B = TypeVar("B", bound=StrEnum)
V = TypeVar("V")
P = ParamSpec("P")

DEVIATIONS_KEPT = 32


class Deviations:
    """What a payload got wrong; the first one ends a strict reading. `received_at`: when it came, where told."""

    __slots__ = ("found", "received_at", "strict")

    def __init__(self, *, strict: bool, received_at: datetime | None = None) -> None:
        self.strict = strict
        self.received_at = received_at
        self.found: list[str] = []

    def note(self, path: str, reason: str, cause: Cause = Cause.VALUE) -> None:
        """One more.

        Raises:
            Untranslatable: the reading is strict.
        """
        description = f"{path}: {reason}"
        if self.strict:
            raise Untranslatable(cause, description)
        if len(self.found) < DEVIATIONS_KEPT:
            self.found.append(description)


def read(
    message_type: type[M],
    payload: bytes,
    deviations: Deviations,
    stand_ins: Mapping[str, object] = NO_STAND_INS,
) -> M:
    """`payload` as a message.

    Raises:
        Untranslatable: it can't be read as one.
    """
    try:
        if deviations.strict:
            return decode_as(message_type, payload)
        message, violations = decode_as_lenient(
            message_type, payload, received_at=deviations.received_at, stand_ins=stand_ins
        )
    except DecodeFailure as failure:
        raise Untranslatable(Cause[failure.kind.name], str(failure)) from None
    if violations:
        deviations.found += [str(violation) for violation in violations]
    return message


def put(say: Callable[P, V], *arguments: P.args, **named: P.kwargs) -> V:
    """What `say` makes of its arguments.

    Raises:
        Inexpressible: also for an instant that no message can hold.
    """
    try:
        return say(*arguments, **named)
    except ValueError as error:
        raise Inexpressible(str(error)) from None


def write(message: Message) -> bytes:
    """`message` as a payload.

    Raises:
        Inexpressible: a value is outside of what the schema allows.
    """
    try:
        return encode(message)
    except EncodeFailure as failure:
        raise Inexpressible(str(failure)) from None


@overload
def plain(instant: datetime) -> datetime: ...
@overload
def plain(instant: datetime | None) -> datetime | None: ...
def plain(instant: datetime | None) -> datetime | None:
    """The instant of a message as a datetime and nothing more: a message's own kind knows how it is written."""
    if instant is None or type(instant) is datetime:
        return instant
    return datetime.combine(instant.date(), instant.timetz())


def by_value(source: type[A], target: type[B]) -> dict[A, B]:
    """From each member of `source` to the member of `target` that is spelt the same, where there is one."""
    spelt = {member.value: member for member in target}
    return {member: spelt[member.value] for member in source if member.value in spelt}


def by_value_or(source: type[A], target: type[B], default: V) -> dict[A | None, B | V]:
    """The same, and `default` for what is not said."""
    return {None: default, **{word: meant for word, meant in by_value(source, target).items()}}  # noqa: C416 -- widens


def refusing(outcomes: type[A], target: type[B], refusal: B) -> dict[A, B]:
    """From each outcome to the word spelt the same, else to the message's word for a refusal."""
    return dict.fromkeys(outcomes, refusal) | by_value(outcomes, target)


def said(table: Mapping[A, V], value: A) -> V:
    """What a message says for `value`.

    Raises:
        Inexpressible: the version has no word for it.
    """
    found = table.get(value)
    if found is None:
        raise Inexpressible(f"no word for {type(value).__name__} {value.value}")
    return found


def clipped(text: str | None, max_length: int) -> str | None:
    """A description cut to what fits; None for one that says nothing. Never for an identifier."""
    return text[:max_length] if text else None


def only(values: Iterable[V], what: str) -> V:
    """The one value there is.

    Raises:
        Inexpressible: there is not exactly one.
    """
    listed = tuple(values)
    if len(listed) != 1:
        raise Inexpressible(f"{len(listed)} {what} in one message; it has room for one")
    return listed[0]
