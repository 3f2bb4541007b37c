"""What the books hold of firmware jobs and log jobs, and how it moves: with commands, and with what stations say.

Guarantees
* Whatever asked for it (a job, a typed command, a raw one), an update or an upload is one record of one kind; it is
  moved in the unit of work that learned of it.
* A job ends in exactly one state that is final; its addresses are closed with it.
* A status is put to the newest open job with the request id that it bears; one without, to the newest without. What
  fits no job is in the message history, and nowhere else.
* A failure that the station reports is tried again as often as the job says, a while later.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import msgspec

from forecourt.csms import files, published
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.ports import Books, Context
from forecourt.csms.resource_ports import Shelf
from forecourt.csms.resource_records import UNFINISHED, FirmwareJob, JobState, JobStep, LogJob
from forecourt.csms.work import Work
from forecourt.domain.events import FirmwareStatusReported, LogStatusReported
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus
from forecourt.domain.requests import CsmsRequest, GetLog, RequestStatus, UpdateFirmware

J = TypeVar("J", bound=FirmwareJob | LogJob)

MOST_STEPS: Final = 100
"""Of a job's history; a station that goes round in circles does not fill the books."""

_AGAIN_S: Final = 60
"""How long after a failure a station is asked anew, where the job doesn't say."""

RAW_DEADLINE: Final = timedelta(days=1)
"""Of what was asked by a raw command."""

_UPLOADS: Final[dict[LogUploadStatus, JobState]] = {
    LogUploadStatus.UPLOADING: JobState.RUNNING,
    LogUploadStatus.UPLOADED: JobState.DONE,
    LogUploadStatus.ACCEPTED_CANCELED: JobState.REPLACED,
}
"""What a status makes of a job; any other is a failure."""


class JobBooks(Generic[J]):
    """Jobs of one kind. `status_column`: where the station's last word stands."""

    def __init__(
        self,
        kind: str,
        shelf: Callable[[Books], Shelf[J]],
        status_column: str,
        body: Callable[[J], Any],
        event_type: str,
        *,
        of_images: bool,
    ) -> None:
        self.kind = kind
        self.shelf = shelf
        self._status_column = status_column
        self._body = body
        self._event_type = event_type
        self._of_images = of_images

    def add(self, books: Books, at: datetime, **columns: Any) -> J:
        """Enter one, and tell of it."""
        job = self.shelf(books).add(at, **columns)
        self.tell(books, job, at)
        return job

    def unfinished(self, books: Books, station_number: int) -> list[J]:
        """Of a station, newest first."""
        return self.shelf(books).find({"station_number": station_number, "state": UNFINISHED})

    def commanded(self, books: Books, command: Command, deadline_at: datetime, **columns: Any) -> None:
        """Unless it is a job's, a command makes a job, which is asked this once."""
        if self.shelf(books).find({"command_id": command.id}, limit=1):
            return
        self.add(
            books,
            command.created_at,
            organisation_id=command.organisation_id,
            station_number=command.station_number,
            station_id=command.station_id,
            state=JobState.REQUESTED,
            history=(JobStep(command.created_at, "asked"),),
            attempts=1,
            deadline_at=deadline_at,
            command_id=command.id,
            **columns,
        )

    def asked(self, books: Books, command: Command, word: RequestStatus | None, at: datetime, **columns: Any) -> None:
        """The command of a job has ended."""
        found = self.shelf(books).find({"command_id": command.id})
        if not found or found[0].state is not JobState.REQUESTED:
            return
        job = found[0]
        if command.state in {CommandState.OFFLINE, CommandState.EXPIRED}:
            self._not_sent(books, job, command, at)
        elif command.state is CommandState.TIMEOUT:
            if job.attempts < job.most_attempts:
                self._failed(books, job, at, "no answer", {})
            else:
                # It may do it all the same, and say so; else the deadline ends it.
                self.move(books, job, at, "no answer", detail="the station has not answered")
        elif command.state is CommandState.ACCEPTED:
            self.move(books, job, at, str(word or "accepted"), state=JobState.RUNNING, **columns)
            if word is RequestStatus.ACCEPTED_CANCELED:
                for other in self.unfinished(books, job.station_number):
                    if other.number != job.number and other.state is JobState.RUNNING:
                        self.move(books, other, at, f"given up for {self.kind} {job.number}", state=JobState.REPLACED)
        else:
            detail = command.detail or command.error_description or str(word or command.state)
            self.move(books, job, at, str(word or command.state), state=JobState.REJECTED, detail=detail)

    def _not_sent(self, books: Books, job: J, command: Command, at: datetime) -> None:
        what = command.detail or str(command.state)
        if job.next_attempt_at is not None:
            # It was never asked: that is no attempt.
            waits = {"state": JobState.WAITING, "attempts": job.attempts - 1, "next_attempt_at": at}
            self.move(books, job, at, what, **waits)
        else:
            # A command's own: whoever asked it was told that it is not sent later.
            self.move(books, job, at, what, state=JobState.FAILED, attempts=0, detail=what)

    def reported(self, work: Work, request_id: int | None, status: StrEnum, state: JobState) -> None:
        """The station said how far it has come."""
        for job in self.unfinished(work.books, work.station.number):
            if job.request_id != request_id or job.state is JobState.WAITING:
                continue
            if getattr(job, self._status_column) is status:
                return
            columns = {self._status_column: status}
            if state is JobState.FAILED:
                self._failed(work.books, job, work.at, str(status), columns)
            else:
                self.move(work.books, job, work.at, str(status), state=state, **columns)
            return

    def _failed(self, books: Books, job: J, at: datetime, word: str, columns: dict[str, Any]) -> None:
        if job.attempts >= job.most_attempts:
            self.move(books, job, at, word, state=JobState.FAILED, **columns)
        else:
            again_at = at + timedelta(seconds=_AGAIN_S if job.retry_interval_s is None else job.retry_interval_s)
            self.move(books, job, at, word, state=JobState.WAITING, next_attempt_at=again_at, **columns)

    def move(self, books: Books, job: J, at: datetime, what: str, **columns: Any) -> J:
        """Change it, note it in its history, tell of it; where it is over, close its addresses."""
        history = (*job.history, JobStep(at, what))[-MOST_STEPS:]
        self.shelf(books).change(job.number, at, history=history, **columns)
        after: J = msgspec.structs.replace(job, updated_at=at, history=history, **columns)
        if after.state not in UNFINISHED:
            files.close_addresses(books, job.number, of_images=self._of_images, now=at)
        self.tell(books, after, at)
        return after

    def tell(self, books: Books, job: J, at: datetime) -> None:
        """As it is now."""
        books.events.append(job.organisation_id, self._event_type, at, job.station_id, self._body(job))


FIRMWARE: Final[JobBooks[FirmwareJob]] = JobBooks(
    "firmware job",
    lambda books: books.resources.firmware_jobs,
    "firmware_status",
    lambda job: published.FirmwareJobBody(job=job),
    published.FIRMWARE_JOB_UPDATED,
    of_images=True,
)
LOGS: Final[JobBooks[LogJob]] = JobBooks(
    "log job",
    lambda books: books.resources.log_jobs,
    "upload_status",
    lambda job: published.LogJobBody(job=job),
    published.LOG_JOB_UPDATED,
    of_images=False,
)


# What follows from commands


def numbered(context: Context, books: Books, station_number: int, request: CsmsRequest) -> CsmsRequest:
    """The request with a request id, where its message must have one and nobody has given it."""
    if not isinstance(request, UpdateFirmware | GetLog) or request.request_id is not None:
        return request
    secure = isinstance(request, GetLog) and request.log_type is not LogType.DIAGNOSTICS
    signed = isinstance(request, UpdateFirmware) and request.signature is not None
    if not secure and not signed and not wants_request_id(context, books, station_number):
        return request
    return msgspec.structs.replace(request, request_id=books.commands.next_request_id())


def wants_request_id(context: Context, books: Books, station_number: int) -> bool:
    """Whether the station's protocol numbers plain updates and diagnostics."""
    station = books.stations.by_number(station_number)
    protocol = None if station is None else station.protocol
    capabilities = None if protocol is None else context.capabilities.get(protocol)
    return capabilities is not None and not capabilities.plain_jobs_without_id


def requested(books: Books, command: Command, request: UpdateFirmware | GetLog, deadline_at: datetime) -> None:
    """A command for an update or an upload is stored, or has ended: unless a job asked it, it makes one."""
    if isinstance(request, UpdateFirmware):
        FIRMWARE.commanded(
            books,
            command,
            deadline_at,
            request_id=request.request_id,
            location=request.location,
            signed=request.signature is not None,
            signature=request.signature,
            signing_certificate=request.signing_certificate,
            retrieve_at=request.retrieve_at,
            install_at=request.install_at,
            retries=request.retries,
            retry_interval_s=request.retry_interval_s,
        )
    else:
        LOGS.commanded(
            books,
            command,
            deadline_at,
            request_id=request.request_id,
            log_type=request.log_type,
            location=request.location,
            oldest_at=request.oldest_at,
            latest_at=request.latest_at,
            retries=request.retries,
            retry_interval_s=request.retry_interval_s,
        )


def update_answered(books: Books, command: Command, request: UpdateFirmware, answer: object, at: datetime) -> None:
    """UpdateFirmware has ended. A raw one makes its job only now: before, nobody knew what it was."""
    requested(books, command, request, command.created_at + RAW_DEADLINE)
    FIRMWARE.asked(books, command, getattr(answer, "outcome", None), at)


def log_answered(books: Books, command: Command, request: GetLog, answer: object, at: datetime) -> None:
    """GetLog has ended."""
    requested(books, command, request, command.created_at + RAW_DEADLINE)
    columns = {} if answer is None else {"filename": getattr(answer, "filename", None)}
    LOGS.asked(books, command, getattr(answer, "outcome", None), at, **columns)


# What stations say


def firmware_reported(work: Work, event: FirmwareStatusReported) -> None:
    """OCPP 1.6 §4.5 FirmwareStatusNotification, L01.FR.20 SignedFirmwareStatusNotification."""
    if event.firmware_status is FirmwareStatus.IDLE:
        return
    if event.firmware_status is FirmwareStatus.INSTALLED:
        state = JobState.DONE
    else:
        state = JobState.FAILED if event.firmware_status.is_final else JobState.RUNNING
    FIRMWARE.reported(work, event.request_id, event.firmware_status, state)


def log_reported(work: Work, event: LogStatusReported) -> None:
    """OCPP 1.6 §4.4 DiagnosticsStatusNotification, N01.FR.07 LogStatusNotification."""
    if event.upload_status is not LogUploadStatus.IDLE:
        state = _UPLOADS.get(event.upload_status, JobState.FAILED)
        LOGS.reported(work, event.request_id, event.upload_status, state)
