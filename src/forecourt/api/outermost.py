"""What every request to any of our APIs passes first and last.

Guarantees
* A body has a deadline: who sends it too slowly is told so, and let go.
* The log of requests names method, path, status and the key's id; never a query, a header or a body.
* A query parameter that an operation doesn't have is refused by its name (`known_parameters`).
* Open access is for one machine: pages of other sites can't ask through the browser of whoever sits there
  (`of_this_machine`).
"""

import asyncio
import logging
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.trace import SpanKind

from forecourt.api.paths import keep_slashes
from forecourt.api.problems import Refused
from forecourt.api.settings import ApiSettings
from forecourt.csms import traces
from forecourt.net.urls import is_loopback

_PARENTS: Final[tuple[str, ...]] = ("traceparent", "tracestate")
access_log = logging.getLogger("forecourt.api.access")


def outermost(app: ASGIApp, settings: ApiSettings, uploads: Collection[str] = ()) -> Any:
    """What every request passes first: paths with slashes in names, the body's deadline, the log.

    `uploads`: where the body is a file.
    """

    async def pass_through(scope: Scope, receive: Receive, send: Send) -> None:
        keep_slashes(scope)
        begun_s = time.perf_counter()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = HTTPStatus.SWITCHING_PROTOCOLS
            await send(message)

        patient = _before(receive, settings.body_timeout_s, scope["path"] in uploads) if "method" in scope else receive
        try:
            await _traced(app, scope, patient, noted)
        finally:
            caller = scope.get("auth")
            access_log.info(
                "%s %s %d %.1f ms key=%s",
                scope.get("method", "WEBSOCKET"),
                (scope.get("raw_path") or b"").decode("ascii", "replace"),
                status,
                (time.perf_counter() - begun_s) * 1000,
                "-" if caller is None else caller.name,
            )

    return pass_through


async def _traced(app: ASGIApp, scope: Any, receive: Receive, send: Send) -> None:
    """A request that asks or changes something is a span; the caller's own is its parent."""
    method = str(scope.get("method", ""))
    if method in {"", "GET", "HEAD", "OPTIONS"}:
        await app(scope, receive, send)
        return
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    kept = {name: headers[name] for name in _PARENTS if name in headers}
    about = {"http.request.method": method, "url.path": scope["path"]}
    with traces.span(f"API {method}", SpanKind.SERVER, about, kept):
        await app(scope, receive, send)


def _before(receive: Receive, body_timeout_s: float, is_upload: bool) -> Receive:
    """`receive`, until the body is there; whoever waits after that waits for the peer to go, and has no deadline.

    A file may take as long as it comes on: the deadline is each part's.
    """
    now_s = asyncio.get_running_loop().time
    deadline_s = now_s() + body_timeout_s
    complete = False

    async def in_time() -> Any:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(now_s() + body_timeout_s if is_upload else deadline_s):
                message = await receive()
        except TimeoutError:
            raise Refused(
                HTTPStatus.REQUEST_TIMEOUT, "the body came too slowly", headers={"connection": "close"}
            ) from None
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return in_time


def known_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a query parameter that the operation doesn't have."""
    if handler.opt.get("any_parameter"):
        return
    known = _parameters_of(handler)
    for name in connection.query_params:
        if name not in known:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "is no parameter here", field=name)


def _parameters_of(handler: BaseRouteHandler) -> frozenset[str]:
    """The names of an operation's query parameters."""
    signatures = [handler.parsed_fn_signature]
    signatures += [provide.parsed_fn_signature for provide in handler.resolve_dependencies().values()]
    names = set()
    for signature in signatures:
        for name, field in signature.parameters.items():
            given = field.kwarg_definition
            names.add(getattr(given, "name", None) or name)
    return frozenset(names)


def of_this_machine(headers: Headers) -> None:
    """Refuse what comes by another name than this machine's, or from a page of another site."""
    origin = headers.get("origin")
    if not is_loopback(_host_of(f"//{headers.get('host', '')}")) or not (
        origin is None or is_loopback(_host_of(origin))
    ):
        raise Refused(HTTPStatus.FORBIDDEN, "open access is for this machine only")


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
