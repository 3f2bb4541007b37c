"""`/firmware-images`, `/firmware-jobs` and `/log-jobs`: what stations fetch and install, and what they upload.

A job asks its station at once if that is connected, else as soon as it is. What becomes of it comes as events and can
be read from the job, which keeps every word of the station.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Instant, Number, StationId, Text, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import Refused, documented
from forecourt.csms import files, firmware_jobs, log_jobs
from forecourt.csms.errors import NotFound
from forecourt.csms.files import ImageFields
from forecourt.csms.firmware_jobs import FirmwareJobFields
from forecourt.csms.jobs import FIRMWARE, LOGS
from forecourt.csms.log_jobs import LogJobFields
from forecourt.csms.ports import Context
from forecourt.csms.resource_ports import FileTooLarge
from forecourt.csms.resource_records import FileKind, FirmwareJob, JobState, JobStep, LogJob, StoredFile
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus

ItemNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]
Url = Annotated[str, Meta(min_length=1, max_length=512, pattern="^[a-z]+://")]
Signature = Annotated[str, Meta(min_length=1, max_length=800)]
Pem = Annotated[str, Meta(min_length=1, max_length=5500)]
Retries = Annotated[int, Meta(ge=0, le=100)]
Attempts = Annotated[int, Meta(ge=1, le=100)]


# Images


class ImageResource(msgspec.Struct, frozen=True, kw_only=True):
    """An image of firmware that is kept here."""

    number: int
    name: str
    size: int
    """Bytes."""
    sha256: str
    signature: str | None
    signing_certificate: str | None
    note: str | None
    created_at: datetime
    updated_at: datetime


class ImageList(Listing, frozen=True, kw_only=True):
    """Images, newest first."""

    items: tuple[ImageResource, ...]


class ImageBody(Asked, frozen=True, kw_only=True):
    """What is said of an image. With a signature, stations verify it (secure firmware update)."""

    signature: Signature | None = None
    """Base64, of the whole image."""
    signing_certificate: Pem | None = None
    note: Text | None = None


def _image(file: StoredFile) -> ImageResource:
    return shown(ImageResource, file)


@get("/", summary="List images of firmware", responses=documented())
async def list_images(context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> ImageList:
    return listing(ImageList, await files.list_files(context, FileKind.FIRMWARE, cursor=cursor, limit=limit), _image)


@post(
    "/",
    summary="Keep an image of firmware",
    description="The body is the image itself, whatever its content type. With `sha256` it is refused unless that is "
    "its hash.",
    request_max_body_size=None,
    responses=documented(408, 409, 413),
)
async def upload_image(
    request: Request[Any, Any, Any],
    context: CallerContext,
    name: Annotated[str, QueryParameter(min_length=1, max_length=120)],
    sha256: Annotated[str | None, QueryParameter(pattern="^[0-9A-Fa-f]{64}$")] = None,
) -> Response[ImageResource]:
    try:
        made = _image(await files.keep_image(context, name, _content(request), sha256=sha256))
    except FileTooLarge as error:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the image is too large") from error
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/firmware-images/{made.number}"})


async def _content(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk


@get("/{number:int}", summary="An image of firmware", responses=documented(404))
async def get_image(context: CallerContext, number: ItemNumber) -> ImageResource:
    return _image(await files.get_file(context, number, FileKind.FIRMWARE))


@put("/{number:int}", summary="Say what an image's signature is", responses=documented(404, 408, 413, 415))
async def describe_image(context: CallerContext, number: ItemNumber, data: JSONBody[ImageBody]) -> ImageResource:
    fields = msgspec.convert(data, ImageFields, from_attributes=True)
    return _image(await files.describe_image(context, number, fields))


@delete("/{number:int}", summary="Remove an image of firmware", responses=documented(404, 409))
async def remove_image(context: CallerContext, number: ItemNumber) -> None:
    await files.remove_file(context, number, FileKind.FIRMWARE)


images_router = Router(
    "/firmware-images",
    route_handlers=[list_images, upload_image, get_image, describe_image, remove_image],
    tags=["Firmware"],
)


# Firmware jobs


class FirmwareJobBody(Asked, frozen=True, kw_only=True):
    """An update of a station's firmware: `file_number` of an image that is kept here, or the `location` of one."""

    station_id: StationId
    file_number: Annotated[int, Meta(ge=1, le=LARGEST_KEY - 1)] | None = None
    location: Url | None = None
    signed: bool | None = None
    """Whether the station shall verify it; null: where the image has a signature."""
    signature: Signature | None = None
    signing_certificate: Pem | None = None
    """Both of an image that is kept elsewhere."""
    retrieve_at: Instant | None = None
    """Not to be fetched before; null: at once."""
    install_at: Instant | None = None
    retries: Retries | None = None
    """How often the station shall try to fetch it."""
    retry_interval_s: Number | None = None
    most_attempts: Attempts = 1
    """How often the station is asked, if it fails."""
    deadline_at: Instant | None = None
    """Null: a day from now."""


class FirmwareJobResource(msgspec.Struct, frozen=True, kw_only=True):
    """An update of a station's firmware."""

    number: int
    station_id: str
    request_id: int | None
    """The id that went over the wire; null: the protocol has none for it."""
    file_number: int | None
    location: str | None
    signed: bool
    retrieve_at: datetime
    install_at: datetime | None
    retries: int | None
    retry_interval_s: int | None
    state: JobState
    firmware_status: FirmwareStatus | None
    """The station's last word."""
    history: tuple[JobStep, ...]
    attempts: int
    most_attempts: int
    next_attempt_at: datetime | None
    deadline_at: datetime
    command_id: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime


class FirmwareJobList(Listing, frozen=True, kw_only=True):
    """Firmware jobs, newest first."""

    items: tuple[FirmwareJobResource, ...]


def _firmware_job(job: FirmwareJob) -> FirmwareJobResource:
    return shown(FirmwareJobResource, job)


@get("/", summary="List firmware jobs", responses=documented(404))
async def list_firmware_jobs(
    context: CallerContext,
    station_id: Filter = None,
    job_state: Annotated[JobState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> FirmwareJobList:
    page = await FIRMWARE.page(
        context,
        station_id=station_id,
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
    made = _firmware_job(await firmware_jobs.create_job(context, fields, str(request.base_url)))
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


class LogJobBody(Asked, frozen=True, kw_only=True):
    """An upload of a log by a station; without `location` it is kept here."""

    station_id: StationId
    log_type: LogType = LogType.DIAGNOSTICS
    numbered: bool | None = None
    """Ask for diagnostics with a request id, where a protocol has both; null: without, unless it must be."""
    location: Url | None = None
    oldest_at: Instant | None = None
    latest_at: Instant | None = None
    retries: Retries | None = None
    retry_interval_s: Number | None = None
    most_attempts: Attempts = 1
    deadline_at: Instant | None = None
    """Null: a day from now."""


class LogJobResource(msgspec.Struct, frozen=True, kw_only=True):
    """An upload of a log by a station."""

    number: int
    station_id: str
    request_id: int | None
    log_type: LogType
    location: str | None
    oldest_at: datetime | None
    latest_at: datetime | None
    retries: int | None
    retry_interval_s: int | None
    state: JobState
    upload_status: LogUploadStatus | None
    """The station's last word."""
    filename: str | None
    """What the station said that it will be called."""
    file_number: int | None
    """Set once it is here: `/log-jobs/{number}/file` has it."""
    history: tuple[JobStep, ...]
    attempts: int
    most_attempts: int
    next_attempt_at: datetime | None
    deadline_at: datetime
    command_id: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime


class LogJobList(Listing, frozen=True, kw_only=True):
    """Log jobs, newest first."""

    items: tuple[LogJobResource, ...]


def _log_job(job: LogJob) -> LogJobResource:
    return shown(LogJobResource, job)


@get("/", summary="List log jobs", responses=documented(404))
async def list_log_jobs(
    context: CallerContext,
    station_id: Filter = None,
    job_state: Annotated[JobState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> LogJobList:
    page = await LOGS.page(
        context,
        station_id=station_id,
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
    made = _log_job(await log_jobs.create_job(context, fields, str(request.base_url)))
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
    return _download(context, file)


@delete("/{number:int}", summary="Remove a log job that is over, and its file", responses=documented(404, 409))
async def remove_log_job(context: CallerContext, number: ItemNumber) -> None:
    await log_jobs.remove_job(context, number)


def _download(context: Context, file: StoredFile) -> Stream:
    headers = {
        "content-length": str(file.size),
        "content-disposition": f'attachment; filename="{file.name}"',
        "x-content-type-options": "nosniff",
    }
    return Stream(files.content_of(context, file), media_type="application/octet-stream", headers=headers)


logs_router = Router(
    "/log-jobs",
    route_handlers=[list_log_jobs, create_log_job, get_log_job, cancel_log_job, get_log_file, remove_log_job],
    tags=["Logs"],
)
