"""Log jobs: a station uploads its diagnostics, or its security log (OCPP 1.6 §5.9, §4.4; security white paper N01,
OCPP 2.0.1 chapter N).

Guarantees
* The upload goes to an address of its own that takes one file of a bounded size, or wherever the job says.
* A status is put to its job as `firmware_jobs` does. A file that came before its status is there at once; one whose
  status never comes makes the job done at its deadline.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.csms import commands, files
from forecourt.csms.errors import Conflict, Invalid
from forecourt.csms.jobs import LOGS, base_url_of, wants_request_id
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import CommandOrigin
from forecourt.csms.resource_records import UNFINISHED, FileKind, JobState, LogJob
from forecourt.csms.stations import find_station
from forecourt.csms.work import Work
from forecourt.domain.events import LogStatusReported
from forecourt.domain.firmware import LogType, LogUploadStatus
from forecourt.domain.requests import GetLog

_STATES: Final[dict[LogUploadStatus, JobState]] = {
    LogUploadStatus.UPLOADING: JobState.RUNNING,
    LogUploadStatus.UPLOADED: JobState.DONE,
    LogUploadStatus.ACCEPTED_CANCELED: JobState.REPLACED,
}
"""What a status makes of a job; any other is a failure."""


class LogJobFields(msgspec.Struct, frozen=True, kw_only=True):
    """A job as somebody enters it."""

    station_id: str
    log_type: LogType = LogType.DIAGNOSTICS
    numbered: bool | None = None
    """Ask for diagnostics with a request id (GetLog of the security extension); None: as the protocol has it."""
    location: str | None = None
    """Where it shall go; None: here."""
    oldest_at: datetime | None = None
    latest_at: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None
    most_attempts: int = 1
    deadline_at: datetime | None = None


async def create_job(context: Context, fields: LogJobFields, reached_by: str | None) -> LogJob:
    """Enter a job, and ask its station if it is connected. Raises NotFound, Invalid, Conflict."""
    at = context.clock.now().at
    deadline_at = fields.deadline_at or at + timedelta(seconds=context.settings.resources.job_deadline_s)
    if deadline_at <= at:
        raise Invalid("deadline_at", "must be to come")
    base_url = None if fields.location is not None else base_url_of(context, reached_by)
    if fields.location is None:
        files.store_of(context)
        if base_url is None:
            raise Conflict("it is not known how stations reach this CSMS to leave a file")

    def store(books: Books) -> LogJob:
        station = find_station(books, context.organisation_id, fields.station_id)
        numbered = fields.numbered
        if numbered is None:
            numbered = fields.log_type is not LogType.DIAGNOSTICS or wants_request_id(context, books, station.number)
        job = books.resources.log_jobs.add(
            at,
            organisation_id=context.organisation_id,
            station_number=station.number,
            station_id=station.id,
            request_id=books.commands.next_request_id() if numbered else None,
            log_type=fields.log_type,
            location=fields.location,
            base_url=base_url,
            oldest_at=fields.oldest_at,
            latest_at=fields.latest_at,
            retries=fields.retries,
            retry_interval_s=fields.retry_interval_s,
            most_attempts=fields.most_attempts,
            next_attempt_at=at,
            deadline_at=deadline_at,
        )
        LOGS.tell(books, job, at)
        return job

    job = await context.store.write(store)
    await start(context, job)
    return await LOGS.get(context, job.number)


async def start(context: Context, job: LogJob) -> None:
    """Ask the station."""
    claimed = await LOGS.claim(context, job.number)
    if claimed is None:
        return
    job, command_id = claimed
    location = job.location
    if location is None:
        now = context.clock.now().at
        token = await context.store.write(
            lambda books: files.open_address(books, job.organisation_id, job.number, None, job.deadline_at, now)
        )
        location = f"{job.base_url}/files/{token}"
    request = GetLog(
        log_type=job.log_type,
        location=location,
        request_id=job.request_id,
        oldest_at=job.oldest_at,
        latest_at=job.latest_at,
        retries=job.retries,
        retry_interval_s=job.retry_interval_s,
    )
    await commands.issue(context, job.station_id, request, origin=CommandOrigin.CSMS, command_id=command_id)


async def remove_job(context: Context, number: int) -> None:
    """Forget a job that is over, and what was uploaded. Raises NotFound, Conflict."""
    job = await LOGS.get(context, number)
    if job.state in UNFINISHED:
        raise Conflict(f"log job {number} isn't over")
    if job.file_number is not None:
        await files.remove_file(context, job.file_number, FileKind.LOG)
    await context.store.write(lambda books: books.resources.log_jobs.remove(number))


def status_reported(work: Work, event: LogStatusReported) -> None:
    """OCPP 1.6 §4.4 DiagnosticsStatusNotification, N01.FR.07 LogStatusNotification."""
    if event.upload_status is LogUploadStatus.IDLE:
        return
    for job in LOGS.unfinished(work.books, work.station.number):
        if job.request_id != event.request_id or job.state is JobState.WAITING:
            continue
        if job.upload_status is event.upload_status:
            return
        state = _STATES.get(event.upload_status, JobState.FAILED)
        columns = {"upload_status": event.upload_status}
        LOGS.reported(work.books, job, work.at, str(event.upload_status), state, columns)
        return
