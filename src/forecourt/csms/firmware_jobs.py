"""Firmware jobs: an image, a station, and what becomes of the two (OCPP 1.6 §5.19, §4.5; security white paper L01,
OCPP 2.0.1 chapter L).

Guarantees
* A status is put to the job whose request id it bears; one without, to the station's last job without one. What fits
  no job is in the message history, and nowhere else.
* A signed image is offered together with the certificate that it was signed with (L01.FR.11).
* The image is at an address of its own for every attempt, good until the job's deadline.
"""

from datetime import datetime, timedelta

import msgspec

from forecourt.csms import commands, files
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.jobs import FIRMWARE, base_url_of, wants_request_id
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import CommandOrigin
from forecourt.csms.resource_records import FileKind, FirmwareJob, JobState, StoredFile
from forecourt.csms.stations import find_station
from forecourt.csms.work import Work
from forecourt.domain.events import FirmwareStatusReported
from forecourt.domain.firmware import FirmwareStatus
from forecourt.domain.requests import UpdateFirmware


class FirmwareJobFields(msgspec.Struct, frozen=True, kw_only=True):
    """A job as somebody enters it: an image that is kept here, or the location of one."""

    station_id: str
    file_number: int | None = None
    location: str | None = None
    signed: bool | None = None
    """Whether the station shall verify it (L01); None: it does where the image has a signature."""
    signature: str | None = None
    signing_certificate: str | None = None
    """Of an image elsewhere."""
    retrieve_at: datetime | None = None
    install_at: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None
    most_attempts: int = 1
    deadline_at: datetime | None = None


async def create_job(context: Context, fields: FirmwareJobFields, reached_by: str | None) -> FirmwareJob:
    """Enter a job, and ask its station if it is connected.

    Raises:
        NotFound: the station, or the image.
        Invalid: a field.
        Conflict: there is no address for the image.
    """
    at = context.clock.now().at
    deadline_at = fields.deadline_at or at + timedelta(seconds=context.settings.resources.job_deadline_s)
    if deadline_at <= at:
        raise Invalid("deadline_at", "must be to come")
    if (fields.file_number is None) == (fields.location is None):
        raise Invalid("file_number", "or location is needed, and not both")

    def store(books: Books) -> FirmwareJob:
        station = find_station(books, context.organisation_id, fields.station_id)
        image = None if fields.file_number is None else _image(books, context, fields.file_number)
        signature = fields.signature if image is None else image.signature
        certificate = fields.signing_certificate if image is None else image.signing_certificate
        if (signature is None) != (certificate is None):
            raise Invalid("signature", "needs its certificate, and a certificate its signature (L01)")
        signed = signature is not None if fields.signed is None else fields.signed
        if signed and signature is None:
            raise Invalid("signed", "the image has no signature")
        if image is not None and base_url_of(context, reached_by) is None:
            raise Conflict("it is not known how stations reach the files of this CSMS")
        numbered = signed or wants_request_id(context, books, station.number)
        job = books.resources.firmware_jobs.add(
            at,
            organisation_id=context.organisation_id,
            station_number=station.number,
            station_id=station.id,
            request_id=books.commands.next_request_id() if numbered else None,
            file_number=fields.file_number,
            location=fields.location,
            base_url=None if image is None else base_url_of(context, reached_by),
            signed=signed,
            signature=signature if signed else None,
            signing_certificate=certificate if signed else None,
            retrieve_at=fields.retrieve_at or at,
            install_at=fields.install_at,
            retries=fields.retries,
            retry_interval_s=fields.retry_interval_s,
            most_attempts=fields.most_attempts,
            next_attempt_at=at,
            deadline_at=deadline_at,
        )
        FIRMWARE.tell(books, job, at)
        return job

    job = await context.store.write(store)
    await start(context, job)
    return await FIRMWARE.get(context, job.number)


async def start(context: Context, job: FirmwareJob) -> None:
    """Ask the station."""
    claimed = await FIRMWARE.claim(context, job.number)
    if claimed is None:
        return
    job, command_id = claimed
    location = job.location
    if job.file_number is not None:
        now = context.clock.now().at

        def address(books: Books) -> tuple[str, str]:
            image = books.resources.files.get(job.organisation_id, job.file_number or 0)
            token = files.open_address(books, job.organisation_id, job.number, job.file_number, job.deadline_at, now)
            return token, "image" if image is None else image.name

        token, name = await context.store.write(address)
        location = f"{job.base_url}/files/{token}/{name}"
    request = UpdateFirmware(
        location=location or "",
        retrieve_at=job.retrieve_at,
        request_id=job.request_id,
        install_at=job.install_at,
        signing_certificate=job.signing_certificate,
        signature=job.signature,
        retries=job.retries,
        retry_interval_s=job.retry_interval_s,
    )
    await commands.issue(context, job.station_id, request, origin=CommandOrigin.CSMS, command_id=command_id)


def status_reported(work: Work, event: FirmwareStatusReported) -> None:
    """OCPP 1.6 §4.5 FirmwareStatusNotification, L01.FR.20 SignedFirmwareStatusNotification."""
    if event.firmware_status is FirmwareStatus.IDLE:
        return
    for job in FIRMWARE.unfinished(work.books, work.station.number):
        if job.request_id != event.request_id or job.state is JobState.WAITING:
            continue
        if job.firmware_status is event.firmware_status:
            return
        if event.firmware_status is FirmwareStatus.INSTALLED:
            state = JobState.DONE
        else:
            state = JobState.FAILED if event.firmware_status.is_final else JobState.RUNNING
        columns = {"firmware_status": event.firmware_status}
        FIRMWARE.reported(work.books, job, work.at, str(event.firmware_status), state, columns)
        return


def _image(books: Books, context: Context, number: int) -> StoredFile:
    file = books.resources.files.get(context.organisation_id, number)
    if file is None or file.kind is not FileKind.FIRMWARE:
        raise NotFound("firmware image", number)
    return file
