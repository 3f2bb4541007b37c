"""Updates of the firmware, and uploads of logs: what the CSMS asks for; events tell how far it has come.

Guarantees
* The request id is repeated by every event about the update or upload. Where a protocol has none for an unsigned update
  or for diagnostics (`Capabilities.plain_jobs_without_id`), the request has None, and so have its events.
"""

from datetime import datetime

from forecourt.domain.events import Answer
from forecourt.domain.firmware import LogType
from forecourt.domain.requests.base import Request, RequestStatus


class UpdateFirmware(Request, frozen=True, kw_only=True):
    """Fetch this firmware and install it.

    Answered by Accepted, Rejected, AcceptedCanceled, InvalidCertificate or RevokedCertificate.
    """

    location: str
    """A URI."""
    retrieve_at: datetime
    """Not to be fetched before (OCPP 1.6 errata 3.63)."""
    request_id: int | None = None
    install_at: datetime | None = None
    """Not to be installed before."""
    signing_certificate: str | None = None
    """PEM. With `signature`: the firmware is to be verified before it is installed (L01)."""
    signature: str | None = None
    """Base64."""
    retries: int | None = None
    """How often to try to fetch it; None: the station decides."""
    retry_interval_s: int | None = None


class GetLog(Request, frozen=True, kw_only=True):
    """Upload a log."""

    log_type: LogType = LogType.DIAGNOSTICS
    location: str
    """The URL of the directory to upload it to."""
    request_id: int | None = None
    oldest_at: datetime | None = None
    latest_at: datetime | None = None
    retries: int | None = None
    """How often to try to upload it; None: the station decides."""
    retry_interval_s: int | None = None


class GetLogAnswer(Answer, frozen=True, kw_only=True):
    """Accepted, Rejected or AcceptedCanceled; `filename` None: there is nothing to upload, or it is not said."""

    outcome: RequestStatus
    filename: str | None = None
    reason_code: str | None = None
    info: str | None = None
