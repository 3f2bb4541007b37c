"""`/firmware-jobs` and `/log-jobs`: what stations fetch and install, and what they upload.

A job asks its station at once if that is connected, else as soon as it is. What becomes of it comes as events and can
be read from the job, which keeps every word of the station. The commands UPDATE_FIRMWARE and GET_LOG, and raw ones for
the same, make jobs as well: asked once, and not sent later.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_INTEGER, LARGEST_KEY, Asked, Instant, Number, StationId, instant
from forecourt.api.images import ItemNumber, Pem, Signature
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import files
from forecourt.csms.errors import NotFound
from forecourt.csms.jobs import FIRMWARE, LOGS, FirmwareJobFields, LogJobFields
from forecourt.csms.resource_records import FileKind, FirmwareJob, JobState, JobStep, LogJob
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus

Url = Annotated[str, Meta(min_length=1, max_length=512, pattern="^[a-z]+://")]
Retries = Annotated[int, Meta(ge=0, le=100)]
Attempts = Annotated[int, Meta(ge=1, le=100)]
State = Annotated[JobState | None, QueryParameter(name="state")]
RequestId = Annotated[int | None, QueryParameter(ge=0, le=LARGEST_INTEGER, description="The id on the wire.")]


class JobBody(Asked, frozen=True, kw_only=True):
    """Base of what asks for a job."""

    station_id: StationId
    location: Url | None = None
    """Of an image that is kept elsewhere; where a log shall go to, if not here."""
    retries: Retries | None = None
    """How often the station shall try to transfer the file."""
    retry_interval_s: Number | None = None
    most_attempts: Attempts = 1
    """How often the station is asked, if it fails."""
    deadline_at: Instant | None = None
    """Null: a day from now."""


class JobResource(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is shown of a job."""

    number: int
    station_id: str
    request_id: int | None
    """The id that went over the wire; null: the protocol has none for it."""
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
    """The last command that asked the station for it."""
    detail: str | None
    created_at: datetime
    updated_at: datetime


# Firmware jobs


class FirmwareJobBody(JobBody, frozen=True, kw_only=True):
    """An update of a station's firmware: `file_number` of an image that is kept here, or the `location` of one."""

    file_number: Annotated[int, Meta(ge=1, le=LARGEST_KEY - 1)] | None = None
    signed: bool | None = None
    """Whether the station shall verify it; null: where the image has a signature."""
    signature: Signature | None = None
    signing_certificate: Pem | None = None
    """Both of an image that is kept elsewhere."""
    retrieve_at: Instant | None = None
    """Not to be fetched before; null: at once."""
    install_at: Instant | None = None


class FirmwareJobResource(JobResource, frozen=True, kw_only=True):
    """An update of a station's firmware."""

    file_number: int | None
    signed: bool
    retrieve_at: datetime
    install_at: datetime | None
    firmware_status: FirmwareStatus | None
    """The station's last word."""


class FirmwareJobList(Listing, frozen=True, kw_only=True):
    """Firmware jobs, newest first."""

    items: tuple[FirmwareJobResource, ...]


def _firmware_job(job: FirmwareJob) -> FirmwareJobResource:
    return shown(FirmwareJobResource, job)


@get("/", summary="List firmware jobs", responses=documented(404))
async def list_firmware_jobs(
    context: CallerContext,
    station_id: Filter = None,
    request_id: RequestId = None,
    job_state: State = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> FirmwareJobList:
    page = await FIRMWARE.page(
        context,
        station_id=station_id,
        request_id=request_id,
        state=job_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(FirmwareJobList, page, _firmware_job)


@post("/", summary="Update a station's firmware", responses=documented(404, 408, 409, 413, 415))
async def create_firmware_job(
    request: Request[Any, Any, Any], context: CallerContext, data: JSONBody[FirmwareJobBody]
) -> Response[FirmwareJobResource]:
    fields = msgspec.convert(data, FirmwareJobFields, from_attributes=True)
    made = _firmware_job(await FIRMWARE.create(context, fields, str(request.base_url)))
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/firmware-jobs/{made.number}"})


@get("/{number:int}", summary="A firmware job", responses=documented(404))
async def get_firmware_job(context: CallerContext, number: ItemNumber) -> FirmwareJobResource:
    return _firmware_job(await FIRMWARE.get(context, number))


@post(
    "/{number:int}/cancel",
    status_code=200,
    summary="Give a firmware job up; the station may go on with what it has fetched",
    responses=documented(404, 409),
)
async def cancel_firmware_job(context: CallerContext, number: ItemNumber) -> FirmwareJobResource:
    return _firmware_job(await FIRMWARE.cancel(context, number))


firmware_router = Router(
    "/firmware-jobs",
    route_handlers=[list_firmware_jobs, create_firmware_job, get_firmware_job, cancel_firmware_job],
    tags=["Firmware"],
)


# Log jobs


class LogJobBody(JobBody, frozen=True, kw_only=True):
    """An upload of a log by a station; without `location` it is kept here."""

    log_type: LogType = LogType.DIAGNOSTICS
    numbered: bool | None = None
    """Ask for diagnostics with a request id, where a protocol has both; null: without, unless it must be."""
    oldest_at: Instant | None = None
    latest_at: Instant | None = None


class LogJobResource(JobResource, frozen=True, kw_only=True):
    """An upload of a log by a station."""

    log_type: LogType
    oldest_at: datetime | None
    latest_at: datetime | None
    upload_status: LogUploadStatus | None
    """The station's last word."""
    filename: str | None
    """What the station said that it will be called."""
    file_number: int | None
    """Set once it is here: `/log-jobs/{number}/file` has it."""


class LogJobList(Listing, frozen=True, kw_only=True):
    """Log jobs, newest first."""

    items: tuple[LogJobResource, ...]


def _log_job(job: LogJob) -> LogJobResource:
    return shown(LogJobResource, job)


@get("/", summary="List log jobs", responses=documented(404))
async def list_log_jobs(
    context: CallerContext,
    station_id: Filter = None,
    request_id: RequestId = None,
    job_state: State = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> LogJobList:
    page = await LOGS.page(
        context,
        station_id=station_id,
        request_id=request_id,
        state=job_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(LogJobList, page, _log_job)


@post("/", summary="Have a station upload a log", responses=documented(404, 408, 409, 413, 415))
async def create_log_job(
    request: Request[Any, Any, Any], context: CallerContext, data: JSONBody[LogJobBody]
) -> Response[LogJobResource]:
    fields = msgspec.convert(data, LogJobFields, from_attributes=True)
    made = _log_job(await LOGS.create(context, fields, str(request.base_url)))
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/log-jobs/{made.number}"})


@get("/{number:int}", summary="A log job", responses=documented(404))
async def get_log_job(context: CallerContext, number: ItemNumber) -> LogJobResource:
    return _log_job(await LOGS.get(context, number))


@post(
    "/{number:int}/cancel",
    status_code=200,
    summary="Give a log job up: no file is taken any more",
    responses=documented(404, 409),
)
async def cancel_log_job(context: CallerContext, number: ItemNumber) -> LogJobResource:
    return _log_job(await LOGS.cancel(context, number))


@get(
    "/{number:int}/file",
    summary="What the station uploaded",
    media_type="application/octet-stream",
    responses=documented(404, 409),
)
async def get_log_file(context: CallerContext, number: ItemNumber) -> Stream:
    job = await LOGS.get(context, number)
    if job.file_number is None:
        raise NotFound("file of log job", number)
    file = await files.get_file(context, job.file_number, FileKind.LOG)
    headers = {
        "content-length": str(file.size),
        "content-disposition": f'attachment; filename="{file.name}"',
        "x-content-type-options": "nosniff",
    }
    return Stream(files.content_of(context, file), media_type="application/octet-stream", headers=headers)


@delete("/{number:int}", summary="Remove a log job that is over, and its file", responses=documented(404, 409))
async def remove_log_job(context: CallerContext, number: ItemNumber) -> None:
    await LOGS.remove(context, number)


logs_router = Router(
    "/log-jobs",
    route_handlers=[list_log_jobs, create_log_job, get_log_job, cancel_log_job, get_log_file, remove_log_job],
    tags=["Logs"],
)
