"""The tables of reservations, local lists, jobs, files, certificates and security events. See `tables`.

Guarantees
* Of an address that a station was given only its digest is kept: who reads the database can't use it.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, UniqueConstraint

from forecourt.csms.contract_records import ContractState
from forecourt.csms.resource_records import (
    CertificateState,
    FileKind,
    JobState,
    JobStep,
    ListState,
    ReservationState,
    SecurityOrigin,
)
from forecourt.domain.certificate import CertificateHash, CertificateSigningUse, CertificateUse, ContractStatus
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus
from forecourt.domain.requests import LocalListEntry
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.token import IdTokenType
from forecourt.store.tables import metadata
from forecourt.store.types import Instant, Json, Word

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def _table(name: str, *rest: Any) -> Table:
    """With our own key, its organisation, and when it was entered and changed."""
    return Table(
        name,
        metadata,
        Column("number", _NUMBER, primary_key=True, autoincrement=True),
        Column("organisation_id", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        *rest,
        sqlite_autoincrement=True,
    )


def _station() -> tuple[Column[Any], Column[Any]]:
    return Column("station_number", _NUMBER, nullable=False), Column("station_id", Text, nullable=False)


reservations: Final = _table(
    "reservations",
    *_station(),
    Column("reservation_id", Integer, nullable=False),
    Column("evse_id", Integer),
    Column("connector_type", Word(ConnectorType)),
    Column("id_token", Text, nullable=False),
    Column("id_token_type", Word(IdTokenType), nullable=False),
    Column("group_id_token", Text),
    Column("expires_at", Instant, nullable=False),
    Column("state", Word(ReservationState), nullable=False),
    Column("command_id", Text),
    Column("cancel_command_id", Text),
    Column("transaction_number", _NUMBER),
    Column("detail", Text),
    Index(None, "organisation_id", "number"),
    Index(None, "station_number", "reservation_id"),
    Index(None, "command_id"),
    Index(None, "state"),
)

local_lists: Final = _table(
    "local_lists",
    *_station(),
    Column("follows_tokens", Boolean, nullable=False),
    Column("state", Word(ListState), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("version", Integer),
    Column("synchronised_revision", Integer),
    Column("reported_version", Integer),
    Column("reported_at", Instant),
    Column("busy_until", Instant),
    Column("detail", Text),
    UniqueConstraint("station_number"),
    Index(None, "organisation_id", "state"),
)

local_list_versions: Final = _table(
    "local_list_versions",
    Column("station_number", _NUMBER, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("version", Integer),
    Column("entries", Json(tuple[LocalListEntry, ...]), nullable=False),
    UniqueConstraint("station_number", "revision"),
)

stored_files: Final = _table(
    "stored_files",
    Column("kind", Word(FileKind), nullable=False),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("signature", Text),
    Column("signing_certificate", Text),
    Column("station_id", Text),
    Column("note", Text),
    Index(None, "organisation_id", "number"),
)

file_links: Final = _table(
    "file_links",
    Column("digest", Text, nullable=False),
    Column("file_number", _NUMBER),
    Column("job_number", _NUMBER, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    UniqueConstraint("digest"),
    Index(None, "job_number"),
)


def _job() -> tuple[Any, ...]:
    return (
        Column("retries", Integer),
        Column("retry_interval_s", Integer),
        Column("state", Word(JobState), nullable=False),
        Column("history", Json(tuple[JobStep, ...]), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("most_attempts", Integer, nullable=False),
        Column("next_attempt_at", Instant),
        Column("deadline_at", Instant, nullable=False),
        Column("command_id", Text),
        Column("detail", Text),
        Index(None, "organisation_id", "number"),
        Index(None, "station_number", "state"),
        Index(None, "state"),
        Index(None, "command_id"),
    )


firmware_jobs: Final = _table(
    "firmware_jobs",
    *_station(),
    Column("request_id", Integer),
    Column("file_number", _NUMBER),
    Column("location", Text),
    Column("base_url", Text),
    Column("signed", Boolean, nullable=False),
    Column("signature", Text),
    Column("signing_certificate", Text),
    Column("retrieve_at", Instant, nullable=False),
    Column("install_at", Instant),
    Column("firmware_status", Word(FirmwareStatus)),
    *_job(),
)

log_jobs: Final = _table(
    "log_jobs",
    *_station(),
    Column("request_id", Integer),
    Column("log_type", Word(LogType), nullable=False),
    Column("location", Text),
    Column("base_url", Text),
    Column("oldest_at", Instant),
    Column("latest_at", Instant),
    Column("upload_status", Word(LogUploadStatus)),
    Column("filename", Text),
    Column("file_number", _NUMBER),
    *_job(),
)

certificates: Final = _table(
    "certificates",
    Column("station_number", _NUMBER),
    Column("station_id", Text),
    Column("use", Word(CertificateSigningUse), nullable=False),
    Column("said_use", Boolean, nullable=False),
    Column("state", Word(CertificateState), nullable=False),
    Column("csr", Text),
    Column("chain", Text),
    Column("subject", Text),
    Column("serial_number", Text),
    Column("not_before", Instant),
    Column("not_after", Instant),
    Column("renewal_requested_at", Instant),
    Column("revoked_at", Instant),
    Column("command_id", Text),
    Column("detail", Text),
    Index(None, "organisation_id", "number"),
    Index(None, "station_number", "state"),
    Index(None, "serial_number"),
    Index(None, "command_id"),
)

installed_certificates: Final = _table(
    "installed_certificates",
    *_station(),
    Column("use", Word(CertificateUse), nullable=False),
    Column("named", Json(CertificateHash)),
    Column("children", Json(tuple[CertificateHash, ...]), nullable=False),
    Column("pem", Text),
    Column("command_id", Text),
    Index(None, "station_number", "use"),
)

contract_certificates: Final = _table(
    "contract_certificates",
    *_station(),
    Column("id_token", Text, nullable=False),
    Column("serial_number", Text, nullable=False),
    Column("issuer", Text),
    Column("subject", Text),
    Column("not_before", Instant),
    Column("not_after", Instant),
    Column("state", Word(ContractState), nullable=False),
    Column("certificate_status", Word(ContractStatus), nullable=False),
    Column("seen_count", Integer, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Index(None, "organisation_id", "number"),
    Index(None, "serial_number"),
    Index(None, "state", "not_after"),
)

security_events: Final = _table(
    "security_events",
    Column("origin", Word(SecurityOrigin), nullable=False),
    Column("type", Text, nullable=False),
    Column("critical", Boolean, nullable=False),
    Column("station_number", _NUMBER),
    Column("station_id", Text),
    Column("address", Text),
    Column("info", Text),
    Column("at", Instant, nullable=False),
    Index(None, "organisation_id", "number"),
    Index(None, "station_id", "number"),
    Index(None, "created_at"),
)
