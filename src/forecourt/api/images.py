"""`/firmware-images`: images of firmware that are kept here, for stations to fetch."""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Text, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.problems import Refused, documented
from forecourt.csms import files
from forecourt.csms.files import ImageFields
from forecourt.csms.resource_ports import FileTooLarge
from forecourt.csms.resource_records import FileKind, StoredFile

ItemNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]
Signature = Annotated[str, Meta(min_length=1, max_length=800)]
Pem = Annotated[str, Meta(min_length=1, max_length=5500)]


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
async def list_images(
    context: CallerContext,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ImageList:
    page = await files.list_files(
        context,
        FileKind.FIRMWARE,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(ImageList, page, _image)


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


router = Router(
    "/firmware-images",
    route_handlers=[list_images, upload_image, get_image, describe_image, remove_image],
    tags=["Firmware"],
)
