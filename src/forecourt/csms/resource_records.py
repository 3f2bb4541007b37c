"""What the books hold of reservations, local lists, jobs, certificates and security events, as immutable records.

Guarantees
* Every record belongs to an organisation, as those of `records` do; `number` is our own key and never on the wire.
* A state says what is known, not what is hoped: what was never answered is `unknown`, what was never sent `not_sent`.
* Secrets (the addresses of files, private keys) are in none of them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.csms.records import Record
from forecourt.domain.certificate import CertificateHash, CertificateSigningUse, CertificateUse
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus
from forecourt.domain.requests import LocalListEntry
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.token import IdTokenType

# Reservations


class ReservationState(StrEnum):
    """Where a reservation is in its life, as its station says."""

    REQUESTED = "requested"
    """Asked for; the station has not answered."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    OCCUPIED = "occupied"
    FAULTED = "faulted"
    UNAVAILABLE = "unavailable"
    """The station's words for why it does not reserve."""
    IN_USE = "in_use"
    """A transaction runs that has used it."""
    USED = "used"
    """The transaction that has used it is over."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REPLACED = "replaced"
    """Another of the same id took its place (OCPP 1.6 §5.13)."""
    REMOVED = "removed"
    """By the station: the connector has a fault or is out of use (OCPP 2.0.1 H)."""
    NOT_SENT = "not_sent"
    """The station was offline, or its protocol can't say it."""
    UNKNOWN = "unknown"
    """No answer came: it may or may not be there."""


HELD: Final = (ReservationState.REQUESTED, ReservationState.ACCEPTED, ReservationState.UNKNOWN)
"""States in which a reservation is, or may be, on the station, unused."""


class Reservation(Record, frozen=True, kw_only=True):
    """A place kept free for a token."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    reservation_id: int
    """The id that went over the wire."""
    evse_id: int | None = None
    """None: any EVSE of the station."""
    connector_type: ConnectorType | None = None
    id_token: str
    id_token_type: IdTokenType
    group_id_token: str | None = None
    expires_at: datetime
    state: ReservationState = ReservationState.REQUESTED
    command_id: str | None = None
    cancel_command_id: str | None = None
    """The last command to cancel it."""
    transaction_number: int | None = None
    """The transaction that has used it."""
    detail: str | None = None
    created_at: datetime
    updated_at: datetime


# Local lists


class ListState(StrEnum):
    """How a station's list stands to what is wished."""

    PENDING = "pending"
    """It is to be sent."""
    SYNCHRONISED = "synchronised"
    """The station has it."""
    FAILED = "failed"
    """The station refused it; it is tried again at its next boot, or when the wish changes."""
    NOT_SUPPORTED = "not_supported"
    """The station keeps no list."""


class LocalList(Record, frozen=True, kw_only=True):
    """What a station's local authorization list shall be, and what the station reports."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    follows_tokens: bool = False
    """Its entries are the tokens of the organisation, and change with them."""
    state: ListState = ListState.PENDING
    revision: int = 0
    """Counts what was wished; that of the version to be on the station."""
    version: int | None = None
    """The version on the wire that the station took last from us; None: none."""
    synchronised_revision: int | None = None
    """The revision that it is."""
    reported_version: int | None = None
    """What the station said last; None: never, or it keeps none."""
    reported_at: datetime | None = None
    busy_until: datetime | None = None
    """Somebody is sending it; at the latest until then."""
    detail: str | None = None
    created_at: datetime
    updated_at: datetime


class LocalListVersion(Record, frozen=True, kw_only=True):
    """A wish: what the list was to be from then on. Kept, as changes are told against it."""

    number: int
    organisation_id: int
    station_number: int
    revision: int
    version: int | None = None
    """The version under which the station took it; None: it never did."""
    entries: tuple[LocalListEntry, ...]
    created_at: datetime
    updated_at: datetime


# Files and jobs


class FileKind(StrEnum):
    """What a file is."""

    FIRMWARE = "firmware"
    LOG = "log"


class StoredFile(Record, frozen=True, kw_only=True):
    """A file that was uploaded: an image by an operator, a log by its station."""

    number: int
    organisation_id: int
    kind: FileKind
    name: str
    key: str
    """Where it is kept."""
    size: int
    sha256: str
    signature: str | None = None
    """Of an image, base64: what the station verifies (L01)."""
    signing_certificate: str | None = None
    station_id: str | None = None
    """Of a log: who uploaded it."""
    note: str | None = None
    created_at: datetime
    updated_at: datetime


class FileLink(Record, frozen=True, kw_only=True):
    """An address at which a station fetches one file, or leaves one. Kept is a digest of it."""

    number: int
    organisation_id: int
    digest: str
    file_number: int | None = None
    """To be fetched; None: to be left."""
    job_number: int
    expires_at: datetime
    used_at: datetime | None = None
    """When a file was left there; no second one is taken."""
    created_at: datetime
    updated_at: datetime


class JobState(StrEnum):
    """Where a job is in its life."""

    WAITING = "waiting"
    """For its station to be connected, or for its next attempt."""
    REQUESTED = "requested"
    RUNNING = "running"
    """The station has accepted it; its own word is the job's status."""
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    """Given up by hand: the addresses are closed; the station may go on with what it has."""
    REPLACED = "replaced"
    """The station has given it up for another (AcceptedCanceled)."""
    TIMED_OUT = "timed_out"
    """Its deadline is past."""


UNFINISHED: Final = (JobState.WAITING, JobState.REQUESTED, JobState.RUNNING)


class JobStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that became of a job."""

    at: datetime
    what: str


class FirmwareJob(Record, frozen=True, kw_only=True):
    """An update of a station's firmware."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    request_id: int | None = None
    """The id that went over the wire; None: the station's protocol has none."""
    file_number: int | None = None
    location: str | None = None
    """Of an image that is kept elsewhere."""
    base_url: str | None = None
    """Where this CSMS's files are reached, for an image that is kept here."""
    signed: bool = False
    signature: str | None = None
    signing_certificate: str | None = None
    retrieve_at: datetime
    install_at: datetime | None = None
    retries: int | None = None
    """How often the station shall try to fetch it."""
    retry_interval_s: int | None = None
    state: JobState = JobState.WAITING
    firmware_status: FirmwareStatus | None = None
    """The station's last word."""
    history: tuple[JobStep, ...] = ()
    attempts: int = 0
    most_attempts: int = 1
    """How often the station is asked anew after a failure."""
    next_attempt_at: datetime | None = None
    deadline_at: datetime
    command_id: str | None = None
    detail: str | None = None
    created_at: datetime
    updated_at: datetime


class LogJob(Record, frozen=True, kw_only=True):
    """An upload of a log by a station."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    request_id: int | None = None
    log_type: LogType = LogType.DIAGNOSTICS
    location: str | None = None
    """Where it goes to, if not here."""
    base_url: str | None = None
    oldest_at: datetime | None = None
    latest_at: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None
    state: JobState = JobState.WAITING
    upload_status: LogUploadStatus | None = None
    """The station's last word."""
    filename: str | None = None
    """What the station said that it will be called."""
    file_number: int | None = None
    """What it uploaded."""
    history: tuple[JobStep, ...] = ()
    attempts: int = 0
    most_attempts: int = 1
    next_attempt_at: datetime | None = None
    deadline_at: datetime
    command_id: str | None = None
    detail: str | None = None
    created_at: datetime
    updated_at: datetime


# Certificates


class CertificateState(StrEnum):
    """Where a certificate for a station is in its life."""

    REQUESTED = "requested"
    """Its station has asked for it (CSR)."""
    REFUSED = "refused"
    """The request is not the station's to make, or the authority would not sign it."""
    ISSUED = "issued"
    """Signed; the station has not answered."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """The station would not have it."""
    REPLACED = "replaced"
    """A newer one was accepted."""
    REVOKED = "revoked"
    """A connection that shows it is refused."""
    EXPIRED = "expired"


class Certificate(Record, frozen=True, kw_only=True):
    """A certificate that a station has asked for; or one, whoever issued it, that is revoked."""

    number: int
    organisation_id: int
    station_number: int | None = None
    station_id: str | None = None
    use: CertificateSigningUse = CertificateSigningUse.CHARGING_STATION
    said_use: bool = True
    """Whether the station named the use; the answer then does."""
    state: CertificateState
    csr: str | None = None
    chain: str | None = None
    """PEM, the leaf first."""
    subject: str | None = None
    serial_number: str | None = None
    """Hexadecimal, without leading zeros, in small letters."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    renewal_requested_at: datetime | None = None
    revoked_at: datetime | None = None
    command_id: str | None = None
    detail: str | None = None
    created_at: datetime
    updated_at: datetime


class StationCertificate(Record, frozen=True, kw_only=True):
    """A certificate that a station says it has installed, or has been given to install."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    use: CertificateUse
    named: CertificateHash | None = None
    """None: it was given by us, and the station hasn't listed it since."""
    children: tuple[CertificateHash, ...] = ()
    pem: str | None = None
    """Where it was given by us."""
    command_id: str | None = None
    created_at: datetime
    updated_at: datetime


# Security events


class SecurityOrigin(StrEnum):
    """Who saw it."""

    STATION = "station"
    CSMS = "csms"


class SecurityEvent(Record, frozen=True, kw_only=True):
    """Something that matters for security (security white paper §8)."""

    number: int
    organisation_id: int
    origin: SecurityOrigin
    type: str
    """By the list of the OCPP 2.0.1 appendices, or a vendor's own; of ours see `security`."""
    critical: bool = False
    station_number: int | None = None
    station_id: str | None = None
    """As it was named; of a connection that was refused nobody knows whether it is."""
    address: str | None = None
    """Where it came from."""
    info: str | None = None
    at: datetime
    """When it happened, as whoever saw it says."""
    created_at: datetime
    updated_at: datetime
