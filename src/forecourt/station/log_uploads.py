"""Uploads of logs: diagnostics, and the security log.

Guarantees
* The answer names the file (OCPP 1.6 §5.9; security white paper N01.FR.01); its upload begins after the answer.
* Uploading, and how it ended, are told once each with the request's id, through the queue of reports (OCPP 1.6 §4.4;
  N01.FR.07 to FR.10).
* One file is uploaded, of the log that was asked for (N01.FR.02 to FR.04). Idle is said only when asked for, while
  nothing is uploaded (OCPP 1.6 §7.24).
* An upload that fails is tried again `retries` times, `retry_interval_s` apart, and again after a restart; one by a
  protocol that is not spoken here is not.
* A new request takes the place of an upload under way (AcceptedCanceled, N01.FR.11); a protocol that has a word for
  that is told so of the old one, too.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from forecourt.domain.events import LogStatusReported
from forecourt.domain.firmware import LogType, LogUploadStatus
from forecourt.domain.requests import GetLog, GetLogAnswer, RequestStatus
from forecourt.domain.station import Capabilities
from forecourt.station.config import StationConfig, retry_wait
from forecourt.station.effects import CancelUpload, UploadLog
from forecourt.station.inputs import UploadProgress
from forecourt.station.reports import Reports
from forecourt.station.security_log import SecurityLog
from forecourt.station.turn import Turn

SECTION: Final = "log_upload"
_JOB: Final = "job"

_SETTLED: Final = frozenset({LogUploadStatus.UPLOADED, LogUploadStatus.NOT_SUPPORTED_OPERATION})
"""After these another attempt would end the same."""
_NAMES: Final[Mapping[LogType, str]] = {LogType.DIAGNOSTICS: "diagnostics", LogType.SECURITY: "security"}


class _Job(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An upload, as the journal keeps it."""

    job_id: int
    request: GetLog
    filename: str
    retries_left: int
    next_at: datetime | None = None
    """When to try (again); None: it is under way."""
    told: bool = False


decode_record = msgspec.json.Decoder(_Job).decode


class LogUploads:
    """The upload of one station, if there is one."""

    __slots__ = ("_capabilities", "_config", "_job", "_last_id", "_log", "_reports", "_zero")

    def __init__(
        self, config: StationConfig, capabilities: Capabilities, reports: Reports, security_log: SecurityLog
    ) -> None:
        self._config = config
        self._capabilities = capabilities
        self._reports = reports
        self._log = security_log
        self._job: _Job | None = None
        self._last_id = 0
        self._zero: tuple[datetime, float] | None = None

    def restore(self, kept: Mapping[str, bytes], turn: Turn) -> None:
        """Go on with the upload that the journal knows of."""
        if _JOB in kept:
            job = self._job = decode_record(kept[_JOB])
            self._last_id = job.job_id
            if job.next_at is None:
                self._upload(job, turn)

    def admits(self, request: GetLog) -> bool:
        """Whether the station has such a log."""
        return request.log_type is LogType.DIAGNOSTICS or self._config.has_security

    def begin(self, request: GetLog, turn: Turn) -> GetLogAnswer:
        """Take a request. What to answer; `update` begins the upload in this turn, after the answer."""
        old = self._job
        if old is not None:
            turn.emit(CancelUpload(old.job_id))
            if not self._capabilities.security_extension:
                self._tell(old, LogUploadStatus.ACCEPTED_CANCELED, turn)
        self._last_id += 1
        retries = self._config.transfer_retries if request.retries is None else max(0, request.retries)
        filename = f"{_NAMES[request.log_type]}-{turn.at:%Y%m%dT%H%M%SZ}-{self._last_id}.log"
        self._job = _Job(
            job_id=self._last_id, request=request, filename=filename, retries_left=retries, next_at=turn.at
        )
        self._keep(turn)
        outcome = RequestStatus.ACCEPTED if old is None else RequestStatus.ACCEPTED_CANCELED
        return GetLogAnswer(outcome=outcome, filename=filename)

    def on_trigger(self, *, extended: bool) -> LogStatusReported:
        """What to say when asked for the status: Idle unless one is under way (OCPP 1.6 §4.4, N01.FR.12)."""
        job = self._job
        if job is not None and job.told:
            by_id = job.request.request_id is not None
            if by_id == extended or not self._capabilities.security_extension:
                return LogStatusReported(upload_status=LogUploadStatus.UPLOADING, request_id=job.request.request_id)
        return LogStatusReported(upload_status=LogUploadStatus.IDLE, extended=extended)

    def progress(self, news: UploadProgress, turn: Turn) -> None:
        """An upload has ended."""
        job = self._job
        if job is None or job.job_id != news.job_id or not news.upload_status.is_final:
            return
        if news.upload_status not in _SETTLED and job.retries_left > 0:
            job.retries_left -= 1
            job.next_at = turn.at + retry_wait(self._config, job.request.retry_interval_s)
            self._keep(turn)
            return
        self._tell(job, news.upload_status, turn)
        self._job = None
        turn.delete(SECTION, _JOB)

    def update(self, turn: Turn) -> None:
        """What has come to its time begins."""
        self._zero = (turn.at, turn.now.elapsed_s)
        job = self._job
        if job is None or job.next_at is None or job.next_at > turn.at:
            return
        job.next_at = None
        if not job.told:
            job.told = True
            self._tell(job, LogUploadStatus.UPLOADING, turn)
        self._keep(turn)
        self._upload(job, turn)

    def next_deadline_s(self) -> float | None:
        """When to call `update`, on the world's clock."""
        if self._job is None or self._job.next_at is None or self._zero is None:
            return None
        zero_at, zero_s = self._zero
        return zero_s + max(0.0, (self._job.next_at - zero_at).total_seconds())

    def _upload(self, job: _Job, turn: Turn) -> None:
        request = job.request
        lines: tuple[str, ...] = ()
        if request.log_type is LogType.SECURITY:
            entries = self._log.entries(request.oldest_at, request.latest_at)
            lines = tuple(msgspec.json.encode(entry).decode() for entry in entries)
        turn.emit(
            UploadLog(
                job.job_id,
                request.log_type,
                request.location,
                job.filename,
                request.oldest_at,
                request.latest_at,
                lines,
            )
        )

    def _tell(self, job: _Job, upload_status: LogUploadStatus, turn: Turn) -> None:
        event = LogStatusReported(upload_status=upload_status, request_id=job.request.request_id)
        self._reports.add(event, turn, critical=upload_status.is_final)

    def _keep(self, turn: Turn) -> None:
        turn.put(SECTION, _JOB, self._job)
