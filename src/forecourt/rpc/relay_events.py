"""What a relay tells its owner: which call wants a verdict, what became of it, and of our own calls.

`side` is always the side a call came from, or (own calls, notices) the leg something happened on.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from forecourt.rpc.events import (
    Abandoned,
    Answered,
    CallReceived,
    Discarded,
    Outcome,
    Refused,
    ResultRefused,
    SendReceived,
    TimedOut,
)

__all__ = [
    "AnswerDropped",
    "AnswerHeld",
    "AnswerRelayed",
    "CallArrived",
    "CallerLost",
    "LegNotice",
    "OwnOutcome",
    "RelayEvent",
    "SendArrived",
    "Side",
    "Unanswered",
]


class Side(Enum):
    """The two legs of a relay, by who is at the other end."""

    STATION = "station"
    CSMS = "csms"

    @property
    def other(self) -> Side:
        """The opposite leg."""
        return Side.CSMS if self is Side.STATION else Side.STATION


class CallArrived(Struct, frozen=True):
    """A call from `side` wants a verdict."""

    side: Side
    call: CallReceived


class SendArrived(Struct, frozen=True):
    """A message from `side` that nobody answers: `pass_send`, or nothing."""

    side: Side
    send: SendReceived


class AnswerRelayed(Struct, frozen=True):
    """A call from `side` was forwarded, and its answer has been passed back to `side`."""

    side: Side
    call: CallReceived
    answer: Answered | Refused


class AnswerHeld(Struct, frozen=True):
    """As asked, the answer was not passed back: now `answer_locally`, `refuse` or `release` the call."""

    side: Side
    call: CallReceived
    answer: Answered | Refused


class AnswerDropped(Struct, frozen=True):
    """The answer to a forwarded call that `side` does not get: it has one, it is gone, or it should get none."""

    side: Side
    call: CallReceived
    answer: Answered | Refused


class Unanswered(Struct, frozen=True):
    """A call from `side` was forwarded and gets no answer.

    `still_open`: the owner may answer it; `outcome` says whether it may have been carried out nevertheless.
    """

    side: Side
    call: CallReceived
    outcome: TimedOut | Abandoned
    still_open: bool


class CallerLost(Struct, frozen=True):
    """`side` was lost while a call from it was being forwarded. Not `sent`: it was withdrawn."""

    side: Side
    call: CallReceived
    sent: bool


class OwnOutcome(Struct, frozen=True):
    """What became of a call of ours to `side`."""

    side: Side
    outcome: Outcome


class LegNotice(Struct, frozen=True):
    """Something for the log. The `token` of a late answer is ours, or the `CallReceived` that was forwarded."""

    side: Side
    notice: Discarded | ResultRefused


RelayEvent = (
    CallArrived
    | SendArrived
    | AnswerRelayed
    | AnswerHeld
    | AnswerDropped
    | Unanswered
    | CallerLost
    | OwnOutcome
    | LegNotice
)
