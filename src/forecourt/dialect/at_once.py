"""What stations say most, read in one pass from the frame to the domain: for whoever takes in thousands a second.

Guarantees
* What is read here is what `rpc.frame` and `Dialect.decode_call` read of the same frame without a violation (a test
  holds them to each other); everything else, and whatever is doubtful, gives None, and is for the long way.
* What is remembered between frames are words that were read without an objection, and of those a bounded number.
"""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from forecourt.dialect.port import Heard, StationCall
from forecourt.messages.base import to_wire_instant
from forecourt.rpc.errors import CALL

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Integer = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What a journal and a database can keep (`tables.INTEGER_LIMIT`)."""

_ACTION_WITHIN: Final = 320
"""Bytes of a frame in which its action is looked for: behind any id, but for one that is escaped throughout."""
_MOST_KNOWN: Final = 4096
_MICROSECONDS: Final = tuple(timedelta(microseconds=count) for count in range(1000))


class _Call(Struct, Generic[T], array_like=True, tag=CALL, forbid_unknown_fields=True, gc=False):
    """`[2, id, action, payload]` with a payload of one kind. How long an id may be is the peer's business."""

    message_id: str
    action: str
    payload: T


class AtOnce:
    """How calls of one action are told from others, read, and understood.

    In payloads, what may be left out is `UNSET`: to msgspec null is the same as None, to the schemas it is a violation.
    """

    def __init__(
        self, action: str, payload: type[Any], meaning: Callable[[Any], StationCall | None], reply: bytes = b"{}"
    ) -> None:
        """`meaning`: None where it takes a closer look. `reply`: the answer when there is nothing to say."""
        self._action = action
        self._mark = f'"{action}"'.encode()
        self._decode = msgspec.json.Decoder(_Call[payload]).decode  # type: ignore[valid-type] # known only now
        self._meaning = meaning
        self._reply = reply

    def read(self, frame: bytes) -> Heard | None:
        """What a frame says; None: it takes a closer look."""
        # What msgspec skips it doesn't check for being UTF-8.
        if frame.find(self._mark, 3, _ACTION_WITHIN) < 0 or not frame.isascii():
            return None
        try:
            call = self._decode(frame)
            if call.action != self._action:
                return None
            meant = self._meaning(call.payload)
        except (ValueError, RecursionError):  # msgspec's errors and those of UTF-8 are ValueErrors
            return None
        return None if meant is None else Heard(call.message_id, self._action, meant, self._reply)


class Known(dict[K, V | None]):
    """What certain words mean: learnt by `learn` when they are first seen; a bounded number of them.

    Words that mean nothing (None) are not remembered: they could be of any length.
    """

    def __init__(self, learn: Callable[[K], V | None]) -> None:
        super().__init__()
        self._learn = learn

    def __missing__(self, key: K) -> V | None:
        found = self._learn(key)
        if found is not None and len(self) < _MOST_KNOWN:
            self[key] = found
        return found


def settled(instant: datetime) -> datetime:
    """`instant` as messages hold it, and a datetime and nothing more: in UTC, in whole milliseconds.

    ValueError: UTC has no such year.
    """
    if instant.tzinfo is not UTC:
        exact = to_wire_instant(instant)
        return datetime.combine(exact.date(), exact.timetz())
    beyond = instant.microsecond % 1000
    return instant - _MICROSECONDS[beyond] if beyond else instant
