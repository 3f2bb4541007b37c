"""Firmware jobs and log jobs: an image, or a log, a station, and what becomes of the two (OCPP 1.6 §4.4, §4.5, §5.9,
§5.19; security white paper L01, N01; OCPP 2.0.1 chapters L and N).

Guarantees
* A job for a station that is not connected waits for it, up to its deadline; nothing is sent with `unsolicited_calls`
  off but at the moment the job is made.
* A signed image is offered together with the certificate that it was signed with (L01.FR.11).
* What stations fetch and leave here has an address of its own for every attempt, good until the job's deadline; where
  a log is left, for one file of a bounded size.
* A file that came before its status is there at once; one whose status never comes makes the job done at its deadline.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import msgspec

from forecourt.csms import commands, files, job_books
from forecourt.csms.command_records import CommandOrigin
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.job_books import JobBooks, wants_request_id
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page, Station
from forecourt.csms.resource_records import UNFINISHED, FileKind, FirmwareJob, JobState, LogJob, StoredFile
from forecourt.csms.stations import find_station
from forecourt.domain.firmware import LogType
from forecourt.domain.requests import CsmsRequest, GetLog, UpdateFirmware

J = TypeVar("J", bound=FirmwareJob | LogJob)
F = TypeVar("F", bound="JobFields")


class JobFields(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody enters of any job."""

    station_id: str
    location: str | None = None
    """Of an image elsewhere; where a log shall go to, if not here."""
    retries: int | None = None
    retry_interval_s: int | None = None
    most_attempts: int = 1
    deadline_at: datetime | None = None


class FirmwareJobFields(JobFields, frozen=True, kw_only=True):
    """An update: an image that is kept here, or the location of one."""

    file_number: int | None = None
    signed: bool | None = None
    """Whether the station shall verify it (L01); None: it does where the image has a signature."""
    signature: str | None = None
    signing_certificate: str | None = None
    """Of an image elsewhere."""
    retrieve_at: datetime | None = None
    install_at: datetime | None = None


class LogJobFields(JobFields, frozen=True, kw_only=True):
    """An upload."""

    log_type: LogType = LogType.DIAGNOSTICS
    numbered: bool | None = None
    """Ask for diagnostics with a request id (GetLog of the security extension); None: as the protocol has it."""
    oldest_at: datetime | None = None
    latest_at: datetime | None = None


class Jobs(Generic[J, F]):
    """Jobs of one kind: entered, asked, asked anew, given up."""

    def __init__(
        self,
        jobs: JobBooks[J],
        columns: Callable[[Context, Books, Station, F, str | None], dict[str, Any]],
        request: Callable[[J, str], CsmsRequest],
    ) -> None:
        """`columns`: what is this kind's own of a new job; `request`: what is asked, with the address of the file."""
        self.jobs = jobs
        self._columns = columns
        self._request = request

    # For the API

    async def create(self, context: Context, fields: F, reached_by: str | None) -> J:
        """Enter a job, and ask its station if it is connected. `reached_by`: how whoever asks has reached the API.

        Raises:
            NotFound: the station, or the image.
            Invalid: a field.
            Conflict: there is no address for the file.
        """
        at = context.clock.now().at
        deadline_at = fields.deadline_at or at + timedelta(seconds=context.settings.resources.job_deadline_s)
        if deadline_at <= at:
            raise Invalid("deadline_at", "must be to come")

        def store(books: Books) -> J:
            station = find_station(books, context.organisation_id, fields.station_id)
            return self.jobs.add(
                books,
                at,
                organisation_id=context.organisation_id,
                station_number=station.number,
                station_id=station.id,
                location=fields.location,
                retries=fields.retries,
                retry_interval_s=fields.retry_interval_s,
                most_attempts=fields.most_attempts,
                next_attempt_at=at,
                deadline_at=deadline_at,
                **self._columns(context, books, station, fields, reached_by),
            )

        job = await context.store.write(store)
        await self.start(context, job)
        return await self.get(context, job.number)

    async def get(self, context: Context, number: int) -> J:
        """Raises NotFound."""
        return await context.store.read(lambda books: self._found(books, context, number))

    async def page(
        self,
        context: Context,
        *,
        station_id: str | None = None,
        request_id: int | None = None,
        state: JobState | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[J]:
        """Newest first. Raises NotFound for the station, Invalid for the cursor."""
        before = page_start(cursor)

        def query(books: Books) -> list[J]:
            where: dict[str, Any] = {"organisation_id": context.organisation_id}
            if station_id is not None:
                where["station_number"] = find_station(books, context.organisation_id, station_id).number
            if request_id is not None:
                where["request_id"] = request_id
            if state is not None:
                where["state"] = state
            shelf = self.jobs.shelf(books)
            return shelf.find(where, since=created_from, until=created_to, before=before, limit=limit + 1)

        return page_of(await context.store.read(query), limit, lambda job: str(job.number))

    async def cancel(self, context: Context, number: int) -> J:
        """Give it up: it isn't asked again, and its addresses are closed. Raises NotFound, Conflict once it is over."""
        at = context.clock.now().at

        def store(books: Books) -> J:
            job = self._found(books, context, number)
            if job.state not in UNFINISHED:
                raise Conflict(f"{self.jobs.kind} {number} is over")
            return self.jobs.move(books, job, at, "cancelled", state=JobState.CANCELLED)

        return await context.store.write(store)

    async def remove(self, context: Context, number: int) -> None:
        """Forget a job that is over, and what was uploaded. Raises NotFound, Conflict."""
        job = await self.get(context, number)
        if job.state in UNFINISHED:
            raise Conflict(f"{self.jobs.kind} {number} isn't over")
        if isinstance(job, LogJob) and job.file_number is not None:
            await files.remove_file(context, job.file_number, FileKind.LOG)
        await context.store.write(lambda books: self.jobs.shelf(books).remove(number))

    def _found(self, books: Books, context: Context, number: int) -> J:
        job = self.jobs.shelf(books).get(context.organisation_id, number)
        if job is None:
            raise NotFound(self.jobs.kind, number)
        return job

    # Moving on

    async def start(self, context: Context, job: J) -> None:
        """Ask the station."""
        claimed = await self._claim(context, job.number)
        if claimed is None:
            return
        job, command_id = claimed
        location = job.location or await _address(context, job)
        request = self._request(job, location)
        await commands.issue(context, job.station_id, request, origin=CommandOrigin.CSMS, command_id=command_id)

    async def _claim(self, context: Context, number: int) -> tuple[J, str] | None:
        """Take a waiting job to ask its station: the job, and the id that the command shall have."""
        at = context.clock.now().at

        def store(books: Books) -> tuple[J, str] | None:
            job = self.jobs.shelf(books).get(context.organisation_id, number)
            if job is None or job.state is not JobState.WAITING:
                return None
            command_id = context.new_id()
            columns = {"state": JobState.REQUESTED, "attempts": job.attempts + 1, "command_id": command_id}
            return self.jobs.move(books, job, at, "asked", **columns), command_id

        return await context.store.write(store)

    async def keep(self, context: Context) -> int:
        """End what is overdue, ask what waits and can be asked; gives how many jobs that were."""
        at = context.clock.now().at

        def overdue(books: Books) -> list[J]:
            return self.jobs.shelf(books).find({"state": UNFINISHED}, due={"deadline_at": at})

        def due(books: Books) -> list[J]:
            waiting = self.jobs.shelf(books).find({"state": JobState.WAITING}, due={"next_attempt_at": at})
            return [job for job in waiting if _connected(books, job.station_number)]

        def end(books: Books) -> int:
            over = overdue(books)
            for job in over:
                done = isinstance(job, LogJob) and job.file_number is not None
                state = JobState.DONE if done else JobState.TIMED_OUT
                self.jobs.move(books, job, at, "the deadline is past", state=state)
            return len(over)

        count = await context.store.write(end) if await context.store.read(overdue) else 0
        for job in await context.store.read(due) if context.settings.unsolicited_calls else ():
            await self.start(msgspec.structs.replace(context, organisation_id=job.organisation_id), job)
            count += 1
        return count


async def _address(context: Context, job: FirmwareJob | LogJob) -> str:
    """A new address here: of the job's image, or for a log to be left."""
    now = context.clock.now().at
    image_number = job.file_number if isinstance(job, FirmwareJob) else None

    def store(books: Books) -> str:
        token = files.open_address(books, job.organisation_id, job.number, image_number, job.deadline_at, now)
        if image_number is None:
            return token
        image = books.resources.files.get(job.organisation_id, image_number)
        return f"{token}/{'image' if image is None else image.name}"

    return f"{job.base_url}/files/{await context.store.write(store)}"


def _base_url(context: Context, reached_by: str | None, what: str) -> str:
    """Where stations find the files of this CSMS. Raises Conflict."""
    url = context.settings.resources.files_url or reached_by
    if url is None:
        raise Conflict(f"it is not known how stations reach this CSMS to {what}")
    return url.rstrip("/")


def _connected(books: Books, station_number: int) -> bool:
    station = books.stations.by_number(station_number)
    return station is not None and station.connected


# Firmware


def _firmware_columns(
    context: Context, books: Books, station: Station, fields: FirmwareJobFields, reached_by: str | None
) -> dict[str, Any]:
    if (fields.file_number is None) == (fields.location is None):
        raise Invalid("file_number", "or location is needed, and not both")
    image = None if fields.file_number is None else _image(books, context, fields.file_number)
    signature = fields.signature if image is None else image.signature
    certificate = fields.signing_certificate if image is None else image.signing_certificate
    if (signature is None) != (certificate is None):
        raise Invalid("signature", "needs its certificate, and a certificate its signature (L01)")
    signed = signature is not None if fields.signed is None else fields.signed
    if signed and signature is None:
        raise Invalid("signed", "the image has no signature")
    wants_id = signed or wants_request_id(context, books, station.number)
    return {
        "base_url": None if image is None else _base_url(context, reached_by, "fetch a file"),
        "request_id": books.commands.next_request_id() if wants_id else None,
        "file_number": fields.file_number,
        "signed": signed,
        "signature": signature if signed else None,
        "signing_certificate": certificate if signed else None,
        "retrieve_at": fields.retrieve_at or context.clock.now().at,
        "install_at": fields.install_at,
    }


def _image(books: Books, context: Context, number: int) -> StoredFile:
    file = books.resources.files.get(context.organisation_id, number)
    if file is None or file.kind is not FileKind.FIRMWARE:
        raise NotFound("firmware image", number)
    return file


def _update(job: FirmwareJob, location: str) -> UpdateFirmware:
    return UpdateFirmware(
        location=location,
        retrieve_at=job.retrieve_at,
        request_id=job.request_id,
        install_at=job.install_at,
        signing_certificate=job.signing_certificate,
        signature=job.signature,
        retries=job.retries,
        retry_interval_s=job.retry_interval_s,
    )


FIRMWARE: Final[Jobs[FirmwareJob, FirmwareJobFields]] = Jobs(job_books.FIRMWARE, _firmware_columns, _update)


# Logs


def _log_columns(
    context: Context, books: Books, station: Station, fields: LogJobFields, reached_by: str | None
) -> dict[str, Any]:
    if fields.location is None:
        files.store_of(context)
    wants_id = fields.numbered
    if wants_id is None:
        wants_id = fields.log_type is not LogType.DIAGNOSTICS or wants_request_id(context, books, station.number)
    return {
        "base_url": None if fields.location is not None else _base_url(context, reached_by, "leave a file"),
        "request_id": books.commands.next_request_id() if wants_id else None,
        "log_type": fields.log_type,
        "oldest_at": fields.oldest_at,
        "latest_at": fields.latest_at,
    }


def _upload(job: LogJob, location: str) -> GetLog:
    return GetLog(
        log_type=job.log_type,
        location=location,
        request_id=job.request_id,
        oldest_at=job.oldest_at,
        latest_at=job.latest_at,
        retries=job.retries,
        retry_interval_s=job.retry_interval_s,
    )


LOGS: Final[Jobs[LogJob, LogJobFields]] = Jobs(job_books.LOGS, _log_columns, _upload)
