"""The console's files as an ASGI application around the API's.

Guarantees
* What isn't a file or a page of the console goes to the API untouched; `/api/`, health and metrics always do.
* Only GET and HEAD, only what was built: the list of files is made at the start, no path is ever joined to a folder.
* A file's name has a hash of what is in it, so it is cached for good; a page is asked for anew every time.
* Pages run their own scripts and styles only, and talk to their own server only: a strict Content-Security-Policy with
  a nonce for each answer, no framing, no referrer.
* Whoever accepts Brotli or gzip gets what was compressed at the build.
"""

import logging
import mimetypes
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

STATIC: Final = Path(__file__).parent / "static"
"""Where the build puts its files."""

NONCE: Final = b"__nonce__"
"""Stands in pages where the answer's own nonce belongs."""

_OF_THE_API: Final = ("/api/", "/healthz", "/readyz", "/metrics", "/files/")
_DRIVER: Final = "/d/"
_CODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_FOR_GOOD: Final = b"public, max-age=31536000, immutable"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), microphone=(), payment=(), usb=()"),
]
_NOT_BUILT: Final = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Forecourt</title>
<h1>The console isn't built</h1>
<p>This is Forecourt's source, not a release: <code>make console</code> builds it, then start again.</p>
<p>The API is at <a href="/api/v1/openapi.json">/api/v1</a>.</p></html>
"""


class File(msgspec.Struct, frozen=True):
    """One file as it is served, with what it is when compressed."""

    media_type: str
    plain: bytes
    compressed: Mapping[str, bytes]


class Pages:
    """What was built: files by path, and the two pages."""

    def __init__(self, folder: Path = STATIC) -> None:
        self.files: Final = {f"/{path.relative_to(folder).as_posix()}": file for path, file in _files(folder)}
        self._console = _page(folder / "index.html")
        self._driver = _page(folder / "driver.html")

    @property
    def built(self) -> bool:
        """Whether there is a console to show."""
        return self._console is not None

    def page(self, path: str) -> bytes:
        """The page that a path belongs to: which part of it is shown is its own business."""
        found = self._driver if path.startswith(_DRIVER) else self._console
        return _NOT_BUILT if found is None else found


def beside(application: Application, pages: Pages | None = None) -> Application:
    """`application`, and the console's pages beside it."""
    shown = pages or Pages()
    if not shown.built:
        log.warning("there is no console to show: it isn't built (make console)")

    async def serve(scope: Scope, receive: Any, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or path.startswith(_OF_THE_API):
            await application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        file = shown.files.get(path)
        if file is not None:
            await _send_file(file, headers, scope["method"], send)
        elif b"text/html" in headers.get(b"accept", b"") or path == "/":
            await _send_page(shown.page(path), scope["method"], send)
        else:
            await application(scope, receive, send)

    return serve


async def _send_file(file: File, headers: Mapping[bytes, bytes], method: str, send: Send) -> None:
    accepted = {
        part.split(";")[0].strip()
        for part in headers.get(b"accept-encoding", b"").decode("latin-1").lower().split(",")
        if not part.replace(" ", "").endswith(";q=0")
    }
    coding = next((name for name, _ in _CODINGS if name in accepted and name in file.compressed), None)
    body = file.plain if coding is None else file.compressed[coding]
    own = [(b"content-type", file.media_type.encode()), (b"cache-control", _FOR_GOOD), (b"vary", b"accept-encoding")]
    if coding is not None:
        own.append((b"content-encoding", coding.encode()))
    await _send(body, own, method, send)


async def _send_page(page: bytes, method: str, send: Send) -> None:
    nonce = secrets.token_urlsafe(18)
    own = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", _POLICY.format(nonce=nonce).encode()),
    ]
    await _send(page.replace(NONCE, nonce.encode()), own, method, send)


async def _send(body: bytes, headers: list[tuple[bytes, bytes]], method: str, send: Send) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": [*headers, length, *_ALWAYS]})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _files(folder: Path) -> Iterator[tuple[Path, File]]:
    suffixes = {suffix for _, suffix in _CODINGS}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in suffixes or path.suffix == ".html":
            continue
        compressed = {
            name: other.read_bytes() for name, suffix in _CODINGS if (other := Path(f"{path}{suffix}")).is_file()
        }
        yield path, File(_media_type(path), path.read_bytes(), compressed)


def _media_type(path: Path) -> str:
    # The system's table may say otherwise of scripts, and then none would run.
    known = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".webmanifest": "application/json"}
    found = known.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def _page(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
