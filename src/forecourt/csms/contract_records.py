"""What the books hold of contracts for charging (ISO 15118), as immutable records. See `resource_records`."""

from datetime import datetime
from enum import StrEnum

from forecourt.csms.records import Record
from forecourt.domain.certificate import ContractStatus


class ContractState(StrEnum):
    """How a contract's certificate stands."""

    GOOD = "good"
    EXPIRING = "expiring"
    """It runs out soon."""
    EXPIRED = "expired"
    REFUSED = "refused"
    """It was not good when it was shown last; its `certificate_status` says why."""


class ContractCertificate(Record, frozen=True, kw_only=True):
    """The certificate of a contract for charging (ISO 15118), as cars have shown it."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    """Where it was shown last."""
    id_token: str
    """The contract: its eMAID."""
    serial_number: str
    """Hexadecimal, without leading zeros, in small letters."""
    issuer: str | None = None
    subject: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    state: ContractState
    certificate_status: ContractStatus
    """What was said of it last."""
    seen_count: int
    seen_at: datetime
    created_at: datetime
    updated_at: datetime
