"""What every dialect offers: translation between one OCPP version's messages and the domain, for both sides.

Guarantees
* Translation is pure: the same input gives the same output, and nothing is remembered.
* Decoding raises `Untranslatable` and nothing else, whatever the bytes; its cause says which CALLERROR is right.
* Encoding raises `Inexpressible` when the version has no words for what was asked, and nothing else.
* What a peer got wrong but could be understood is taken in, and listed in `Decoded.violations` (lenient decoding);
  strict decoding refuses it instead.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import msgspec

from forecourt.domain.events import Notice, NoticeAnswer
from forecourt.domain.requests import CsmsRequest, CsmsRequestAnswer, StationRequest, StationRequestAnswer
from forecourt.domain.station import Capabilities
from forecourt.rpc.errors import Cause, Rules

T = TypeVar("T")

StationCall = Notice | StationRequest
"""What a station says to the CSMS in one CALL."""

StationCallAnswer = NoticeAnswer | StationRequestAnswer
"""What the CSMS answers to it."""

TransactionIdOf = Callable[[str], str | None]
"""Gives the id by which the CSMS knows a transaction of the station; None while the CSMS has not issued it."""


class Untranslatable(Exception):  # noqa: N818 -- named as what it says of the payload
    """A payload that can't be taken in; `cause` is the reason to answer with."""

    def __init__(self, cause: Cause, description: str) -> None:
        super().__init__(description)
        self.cause = cause
        self.description = description


class Inexpressible(Exception):  # noqa: N818
    """This version has no message for that."""


class Decoded(msgspec.Struct, Generic[T], frozen=True):
    """What was understood, and what had to be forgiven to understand it (each: path and reason)."""

    value: T
    violations: tuple[str, ...] = ()


class Message(msgspec.Struct, frozen=True):
    """An action and its payload, ready for a CALL."""

    action: str
    payload: bytes


class Heard(msgspec.Struct, frozen=True, gc=False):
    """A CALL that was read at once, frame and payload. `reply`: the answer to it that is `Acknowledged`."""

    message_id: str
    action: str
    call: StationCall
    reply: bytes


class Dialect(Protocol):
    """One OCPP version."""

    @property
    def subprotocol(self) -> str:
        """As negotiated for the WebSocket."""
        ...

    @property
    def rules(self) -> Rules:
        """How errors are spelled, and where silence is asked for."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this version can express."""
        ...

    # Towards a station: what a CSMS or a local controller needs

    def decode_call(
        self, action: str, payload: bytes, *, strict: bool = False, received_at: datetime | None = None
    ) -> Decoded[StationCall]:
        """What a station says.

        With `received_at` lenience goes as far as somebody who keeps books can: that instant stands in for a missing
        one, other required fields for what their absence can only mean, and a mere report of which nothing can be read
        is a notice without events.
        """
        ...

    def hear_at_once(self, frame: bytes) -> Heard | None:
        """What a station says with this frame, where it is a CALL that is in order and of the frequent ones.

        None: the frame takes a closer look, and `decode_call`, which would read the same.
        """
        ...

    def encode_call_answer(self, call: StationCall, answer: StationCallAnswer) -> bytes:
        """The payload of the CALLRESULT for it."""
        ...

    def encode_request(self, request: CsmsRequest) -> Message:
        """What to say to a station to ask this of it."""
        ...

    def decode_request_answer(
        self, request: CsmsRequest, payload: bytes, *, strict: bool = False
    ) -> Decoded[CsmsRequestAnswer]:
        """What the station answered."""
        ...

    # Towards a CSMS: what a station or a local controller needs

    def encode_call(self, call: StationCall, transaction_id_of: TransactionIdOf) -> tuple[Message, ...]:
        """The messages that say this: mostly one; none where the version has nothing to say.

        `decode_call_answer` reads the answer to the first of them; the answers to the others are empty.

        Raises:
            Inexpressible: it can't be said yet, because `transaction_id_of` gave None for an id it needs.
        """
        ...

    def decode_call_answer(
        self, call: StationCall, payload: bytes, *, strict: bool = False
    ) -> Decoded[StationCallAnswer]:
        """What the CSMS answered."""
        ...

    def decode_request(self, action: str, payload: bytes, *, strict: bool = True) -> Decoded[CsmsRequest]:
        """What the CSMS asks."""
        ...

    def encode_request_answer(self, request: CsmsRequest, answer: CsmsRequestAnswer) -> bytes:
        """The payload of the CALLRESULT for it."""
        ...
