"""`/files/{address}`: where stations fetch an image, or leave a log. No key is asked for: the address is one.

Guarantees
* GET and HEAD give the file of an address, in whole or from a byte on (`Range`); PUT and POST leave one, once, and not
  larger than may be. Everything else, and every address that is none or is over, is 404 without a word.
* An address is never logged. A body may take as long as it comes on: each part has `body_timeout_s`.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from litestar.types import ASGIApp, Receive, Send

from forecourt.csms import files
from forecourt.csms.errors import CsmsError
from forecourt.csms.ports import Context, StoreUnavailable
from forecourt.csms.resource_ports import FileTooLarge
from forecourt.csms.resource_records import StoredFile

log = logging.getLogger(__name__)

ROOT: Final = "/files/"
_FROM: Final = re.compile(rb"bytes=(\d{1,18})-")


class TooSlow(Exception):  # noqa: N818
    """The body stopped coming, or its sender went."""


def with_addresses(app: ASGIApp, context: Context, body_timeout_s: float) -> ASGIApp:
    """`app`, and the addresses beside it."""

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(ROOT):
            await app(scope, receive, send)
            return
        address, _, name = scope["path"].removeprefix(ROOT).partition("/")
        try:
            if scope["method"] in {"GET", "HEAD"}:
                await _give(context, address, scope, send)
            elif scope["method"] in {"PUT", "POST"}:
                await _take(context, address, unquote(name), scope, _body(receive, body_timeout_s), send)
            else:
                await _answer(send, HTTPStatus.NOT_FOUND)
        except (StoreUnavailable, OSError):
            log.exception("a file can't be reached")
            await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE)

    return serve


async def _give(context: Context, address: str, scope: Any, send: Send) -> None:
    file = await files.fetch(context, address)
    if file is None:
        await _answer(send, HTTPStatus.NOT_FOUND)
        return
    first = _first_byte(scope, file)
    if first >= file.size > 0:
        await _answer(send, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        return
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", str(file.size - first).encode()),
        (b"accept-ranges", b"bytes"),
        (b"etag", f'"{file.sha256}"'.encode()),
        (b"cache-control", b"no-store"),
    ]
    status = HTTPStatus.OK
    if first:
        status = HTTPStatus.PARTIAL_CONTENT
        headers.append((b"content-range", f"bytes {first}-{file.size - 1}/{file.size}".encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    if scope["method"] == "GET":
        skip = first
        async for chunk in files.content_of(context, file):
            part = chunk[skip:]
            skip = max(0, skip - len(chunk))
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _first_byte(scope: Any, file: StoredFile) -> int:
    """Where the reader wants to go on; a range of another kind is no range."""
    for name, value in scope["headers"]:
        if name == b"range" and (found := _FROM.fullmatch(value)) is not None:
            return min(int(found[1]), file.size)
    return 0


async def _take(
    context: Context, address: str, name: str, scope: Any, content: AsyncIterator[bytes], send: Send
) -> None:
    largest = context.settings.resources.largest_log
    for header, value in scope["headers"]:
        if header == b"content-length" and value.isdigit() and int(value) > largest:
            await _answer(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
    try:
        file = await files.leave(context, address, name.rpartition("/")[2] or None, content)
    except FileTooLarge:
        await _answer(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except TooSlow:
        await _answer(send, HTTPStatus.REQUEST_TIMEOUT)
    except CsmsError:
        await _answer(send, HTTPStatus.NOT_FOUND)
    else:
        await _answer(send, HTTPStatus.NOT_FOUND if file is None else HTTPStatus.CREATED)


async def _body(receive: Receive, timeout_s: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(timeout_s):
                message = await receive()
        except TimeoutError:
            raise TooSlow from None
        if message["type"] != "http.request":
            raise TooSlow
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _answer(send: Send, status: HTTPStatus) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
