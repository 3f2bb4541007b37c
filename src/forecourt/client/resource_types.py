"""Reservations, local lists, jobs, certificates, profiles and groups as the API answers. See `types`."""

from datetime import datetime, time

from forecourt.client.types import Answer
from forecourt.csms.contract_records import ContractState
from forecourt.csms.group_records import AssignmentState, Attempt, GroupMember, GroupStatus, WishSource
from forecourt.csms.group_terms import GroupLimit
from forecourt.csms.records import Direction, ProfileState
from forecourt.csms.resource_records import (
    CertificateState,
    JobState,
    JobStep,
    ListState,
    ReservationState,
    SecurityOrigin,
)
from forecourt.domain.certificate import CertificateHash, CertificateSigningUse, CertificateUse, ContractStatus
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus
from forecourt.domain.meter import SampledValue
from forecourt.domain.profile import ChargingProfile
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.token import AuthorizationStatus, IdTokenType


class Reservation(Answer, frozen=True, kw_only=True):
    """A place kept free for a token."""

    number: int
    station_id: str
    reservation_id: int
    evse_id: int | None
    connector_type: ConnectorType | None
    id_token: str
    id_token_type: IdTokenType
    group_id_token: str | None
    expires_at: datetime
    state: ReservationState
    command_id: str | None
    cancel_command_id: str | None
    transaction_number: int | None
    detail: str | None
    created_at: datetime
    updated_at: datetime


class LocalListEntry(Answer, frozen=True, kw_only=True):
    """A token on a local list, and what the station shall make of it."""

    value: str
    type: IdTokenType
    status: AuthorizationStatus | None
    expires_at: datetime | None
    group: str | None


class LocalList(Answer, frozen=True, kw_only=True):
    """A station's local list."""

    station_id: str
    follows_tokens: bool
    state: ListState
    entries: tuple[LocalListEntry, ...]
    revision: int
    version: int | None
    synchronised_revision: int | None
    reported_version: int | None
    reported_at: datetime | None
    detail: str | None
    updated_at: datetime


class LocalListVersion(Answer, frozen=True, kw_only=True):
    """What a list was to have from then on."""

    revision: int
    version: int | None
    entries: tuple[LocalListEntry, ...]
    created_at: datetime


class FirmwareImage(Answer, frozen=True, kw_only=True):
    """An image of firmware that is kept here."""

    number: int
    name: str
    size: int
    sha256: str
    signature: str | None
    signing_certificate: str | None
    note: str | None
    created_at: datetime
    updated_at: datetime


class FirmwareJob(Answer, frozen=True, kw_only=True):
    """An update of a station's firmware."""

    number: int
    station_id: str
    request_id: int | None
    location: str | None
    retries: int | None
    retry_interval_s: int | None
    state: JobState
    history: tuple[JobStep, ...]
    attempts: int
    most_attempts: int
    next_attempt_at: datetime | None
    deadline_at: datetime
    command_id: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime
    file_number: int | None
    signed: bool
    retrieve_at: datetime
    install_at: datetime | None
    firmware_status: FirmwareStatus | None


class LogJob(Answer, frozen=True, kw_only=True):
    """An upload of a log by a station."""

    number: int
    station_id: str
    request_id: int | None
    location: str | None
    retries: int | None
    retry_interval_s: int | None
    state: JobState
    history: tuple[JobStep, ...]
    attempts: int
    most_attempts: int
    next_attempt_at: datetime | None
    deadline_at: datetime
    command_id: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime
    log_type: LogType
    oldest_at: datetime | None
    latest_at: datetime | None
    upload_status: LogUploadStatus | None
    filename: str | None
    file_number: int | None


class Certificate(Answer, frozen=True, kw_only=True):
    """A certificate that a station has asked for; or one, whoever issued it, that is revoked."""

    number: int
    station_id: str | None
    use: CertificateSigningUse
    state: CertificateState
    csr: str | None
    chain: str | None
    subject: str | None
    issuer: str | None
    serial_number: str | None
    not_before: datetime | None
    not_after: datetime | None
    renewal_requested_at: datetime | None
    revoked_at: datetime | None
    command_id: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime


class ContractCertificate(Answer, frozen=True, kw_only=True):
    """A contract's certificate, as far as stations have shown it."""

    number: int
    id_token: str
    serial_number: str
    issuer: str | None
    subject: str | None
    not_before: datetime | None
    not_after: datetime | None
    state: ContractState
    certificate_status: ContractStatus
    station_id: str
    seen_count: int
    seen_at: datetime
    created_at: datetime
    updated_at: datetime


class InstalledCertificate(Answer, frozen=True, kw_only=True):
    """A certificate that a station has."""

    number: int
    use: CertificateUse
    named: CertificateHash | None
    children: tuple[CertificateHash, ...]
    pem: str | None
    created_at: datetime


class SecurityEvent(Answer, frozen=True, kw_only=True):
    """Something that matters for security has happened."""

    number: int
    origin: SecurityOrigin
    type: str
    critical: bool
    station_id: str | None
    address: str | None
    info: str | None
    at: datetime
    created_at: datetime


class ChargingProfileOnStation(Answer, frozen=True, kw_only=True):
    """A charging profile given to an EVSE of a station; EVSE 0 is the station as a whole."""

    number: int
    station_id: str
    evse_id: int
    profile_id: int
    state: ProfileState
    profile: ChargingProfile
    command_id: str | None
    created_at: datetime
    updated_at: datetime


class StoredProfile(Answer, frozen=True, kw_only=True):
    """A profile under a name."""

    number: int
    name: str
    profile: ChargingProfile
    created_at: datetime
    updated_at: datetime


class ProfileAssignment(Answer, frozen=True, kw_only=True):
    """A profile that an EVSE shall have, and what came of it."""

    number: int
    station_id: str
    evse_id: int
    stored_number: int | None
    profile: ChargingProfile
    state: AssignmentState
    fall_back: bool
    attempts: tuple[Attempt, ...]
    detail: str | None
    created_at: datetime
    updated_at: datetime


class LoadGroup(Answer, frozen=True, kw_only=True):
    """A group, and what was decided last."""

    number: int
    name: str
    parent_number: int | None
    active: bool
    terms: GroupLimit
    members: tuple[GroupMember, ...]
    status: GroupStatus | None
    created_at: datetime
    updated_at: datetime


class Wish(Answer, frozen=True, kw_only=True):
    """What counts, and who said it."""

    departs_at: datetime | None
    departs_source: WishSource | None
    energy_wh: float | None
    energy_source: WishSource | None


class TokenWish(Answer, frozen=True, kw_only=True):
    """What the holder of a token usually wants."""

    id_token: str
    departs: time | None
    time_zone: str
    energy_wh: float | None
    updated_at: datetime


class OcppMessage(Answer, frozen=True, kw_only=True):
    """One frame."""

    id: int
    station_id: str | None
    at: datetime
    direction: Direction
    action: str | None
    message_id: str | None
    frame: str


class Violation(Answer, frozen=True, kw_only=True):
    """Something of a message that broke its schema and was forgiven."""

    id: int
    at: datetime
    action: str
    description: str


class Reading(Answer, frozen=True, kw_only=True):
    """What a meter said at one instant."""

    at: datetime
    evse_id: int
    energy_wh: float | None
    power_w: float | None
    suspect: str | None
    samples: tuple[SampledValue, ...]
    received_at: datetime
