"""What the books hold of commands.

Guarantees
* What was asked and what was answered is kept byte for byte, beside the same in the domain's terms.
"""

from datetime import datetime
from enum import StrEnum

from forecourt.csms.records import Record


class CommandState(StrEnum):
    """What became of a command. All but the first two are final."""

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CALL_ERROR = "call_error"
    """The station answered that it can't process the message."""
    TIMEOUT = "timeout"
    """It was sent, or may have been, and no answer came: whether it was carried out is unknown."""
    OFFLINE = "offline"
    """The station was not connected, or went before it was sent."""
    EXPIRED = "expired"
    """It was never sent before its deadline."""

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self not in {CommandState.QUEUED, CommandState.SENT}


class CommandOrigin(StrEnum):
    """Who wanted it."""

    API = "api"
    CSMS = "csms"


class Command(Record, frozen=True, kw_only=True):
    """Something asked of a station, and what became of it."""

    id: str
    organisation_id: int
    station_number: int
    station_id: str
    origin: CommandOrigin = CommandOrigin.API
    name: str
    """Of a typed command its request (`RequestStartTransaction`), of a raw one its action on the wire."""
    raw: bool
    request: bytes
    """Typed: the domain's request as JSON. Raw: the payload as it was given."""
    state: CommandState = CommandState.QUEUED
    timeout_s: float
    idempotency_key: str | None = None
    action: str | None = None
    """The action on the wire, once sent."""
    payload: bytes | None = None
    """The payload on the wire, byte for byte, once sent."""
    message_id: str | None = None
    answer: bytes | None = None
    """The station's answer, byte for byte: the payload of its result, or the details of its error."""
    result: bytes | None = None
    """The same in the domain's terms, as JSON; None where it was an error or can't be put so."""
    error_code: str | None = None
    error_description: str | None = None
    detail: str | None = None
    """A sentence on why it ended as it did, where the state alone doesn't say."""
    transaction_number: int | None = None
    """The transaction that followed, or that it was about."""
    id_token: str | None = None
    """The token that it was about, in small letters."""
    created_at: datetime
    sent_at: datetime | None = None
    finished_at: datetime | None = None
