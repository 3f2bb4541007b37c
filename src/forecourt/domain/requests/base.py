"""The shape of a request, and the plain answer that most requests get."""

from enum import StrEnum

import msgspec

from forecourt.domain.events import Answer


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Base of all requests."""


class RequestStatus(StrEnum):
    """The outcome of a request. Each dialect knows which of them a message can say.

    A request whose wish can't be carried out but whose message was understood is answered by one of these,
    never by an error.
    """

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    SCHEDULED = "Scheduled"
    NOT_SUPPORTED = "NotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    UNKNOWN = "Unknown"
    """Nothing was there that matched (clearing profiles)."""
    FAILED = "Failed"
    """It was tried, and did not work (local lists, certificates)."""
    VERSION_MISMATCH = "VersionMismatch"
    """The local list has another version than the update is for."""
    FAULTED = "Faulted"
    """What is to be reserved has a fault."""
    OCCUPIED = "Occupied"
    """What is to be reserved is in use or reserved."""
    UNAVAILABLE = "Unavailable"
    """What is to be reserved is out of use."""
    ACCEPTED_CANCELED = "AcceptedCanceled"
    """Accepted; an update or upload that was going on is given up for it."""
    INVALID_CERTIFICATE = "InvalidCertificate"
    """The certificate that signed the firmware is not valid."""
    REVOKED_CERTIFICATE = "RevokedCertificate"
    """The certificate that signed the firmware is revoked."""
    NOT_FOUND = "NotFound"
    """There is no such certificate."""


class RequestAnswer(Answer, frozen=True, kw_only=True):
    """The plain answer: how it went, and why where the protocol has room for it."""

    outcome: RequestStatus
    reason_code: str | None = None
    info: str | None = None
