"""What a peer tells its owner: plain values, made once and never changed.

Payloads are the bytes that came, not yet decoded. `frame` is the whole frame as it came: the very object handed to
`receive` if that was `bytes`.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from forecourt.rpc.errors import Cause

__all__ = [
    "Abandoned",
    "Answered",
    "CallReceived",
    "DiscardReason",
    "Discarded",
    "Outcome",
    "PeerEvent",
    "Refused",
    "ResultRefused",
    "SendReceived",
    "TimedOut",
]


class CallReceived(Struct, frozen=True, gc=False):
    """The other end calls: answer with `reply` or `reply_error`. `frame` is the whole frame as it came."""

    message_id: str
    action: str
    payload: bytes
    frame: bytes


class SendReceived(Struct, frozen=True, gc=False):
    """The other end tells something and expects no answer."""

    message_id: str
    action: str
    payload: bytes
    frame: bytes


class Answered(Struct, frozen=True):
    """Outcome: our call was answered. `elapsed_s` counts from when it was sent."""

    token: object
    action: str
    payload: bytes
    elapsed_s: float
    message_id: str
    frame: bytes


class Refused(Struct, frozen=True):
    """Outcome: our call got a CALLERROR, or (`from_peer` False) an answer that can't be read."""

    token: object
    action: str
    code: str
    cause: Cause
    description: str
    details: bytes
    elapsed_s: float
    message_id: str
    frame: bytes
    from_peer: bool


class TimedOut(Struct, frozen=True):
    """Outcome: our call was sent and not answered in time. Whether it was carried out is unknown."""

    token: object
    action: str
    message_id: str


class Abandoned(Struct, frozen=True):
    """Outcome: our call will get no answer. `sent` False: it never left, so that it can't have been carried out."""

    token: object
    action: str
    sent: bool


class ResultRefused(Struct, frozen=True, gc=False):
    """The other end could not process our answer to its call. `action` is "" if that was too many answers ago."""

    message_id: str
    action: str
    code: str
    cause: Cause
    description: str
    details: bytes
    frame: bytes


class DiscardReason(Enum):
    """Why something received led to nothing."""

    LATE = "answer to a call that had timed out or was cancelled"
    DUPLICATE = "second answer, or a retried call whose answer is pending"
    UNKNOWN_ID = "answer to no call of ours"
    UNREADABLE = "frame can't be read"
    UNKNOWN_TYPE = "message type is not part of this connection"
    TOO_LARGE = "frame exceeds the size limit"
    REFUSED = "call that breaks the rules of the framework"
    PEER_COULD_NOT_READ = "the other end could not read something we sent"
    CLOSED = "the connection is closed"


class Discarded(Struct, frozen=True):
    """Something received that leads to nothing more. For the log, and for late answers: their `token` is the call's.

    `answered`: the other end was told so. `frame` is cut to its first 1,024 bytes where it was too large to read.
    """

    reason: DiscardReason
    frame: bytes
    description: str
    answered: bool = False
    message_id: str | None = None
    token: object = None


Outcome = Answered | Refused | TimedOut | Abandoned
PeerEvent = CallReceived | SendReceived | Outcome | ResultRefused | Discarded
