"""The opening handshake of a WebSocket as text: read a request, decide what is wrong with it, write a refusal.

Guarantees
* Pure: bytes in, `UpgradeRequest` or `Refusal` out. Whatever the bytes are, nothing else comes out.
* A request is either a WebSocket upgrade by RFC 6455 §4.2.1 or it has its HTTP status: 400 malformed, 405 not GET,
  408 too slow, 414 and 431 too long, 426 no WebSocket or another version of it, 505 not HTTP/1.1.
* The identity is the last segment of the path, percent-decoded as UTF-8 (OCPP-J 1.6 §3.1.1; OCPP 2.0.1 Part 4 §3.1.1);
  an encoded slash stays part of it. No control characters: identities end up in logs.
* No extension is negotiated: `Sec-WebSocket-Extensions` is read past, so nothing arrives compressed.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

import msgspec

from forecourt.net.connection import Peer, ReceiverFactory, TlsInfo

WEBSOCKET_VERSION: Final = "13"

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET: Final = re.compile(rb"[\x21-\x22\x24-\x7e]+")  # visible ASCII without "#"
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_HEADERS: Final = 64


class Headers:
    """The header fields of a request, by name without regard to case, in their order."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple((name.lower(), value) for name, value in fields)

    def get(self, name: str) -> str | None:
        """The value; several fields of one name are joined by ", " (RFC 9110 §5.3)."""
        values = self.get_all(name)
        return ", ".join(values) if values else None

    def get_all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for field, value in self._fields if field == wanted]

    def tokens(self, name: str) -> list[str]:
        """The value as a comma-separated list, without empty members."""
        return [token for value in self.get_all(name) for part in value.split(",") if (token := part.strip())]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        # Never the values: one of them may be a password.
        return f"Headers({', '.join(name for name, _ in self._fields)})"


class UpgradeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asks for a WebSocket; all that an admission can go by."""

    path: str
    """As it came, still percent-encoded: what a local controller repeats upstream (OCPP 2.0.1 Part 4 §6.2)."""
    prefix: str
    """The path up to its last slash, still percent-encoded: which endpoint was meant."""
    identity: str
    """The last segment of the path, percent-decoded; never empty."""
    query: str
    headers: Headers
    offered: tuple[str, ...]
    """Subprotocols in the client's order of preference."""
    subprotocol: str
    """The one the server prefers among those offered."""
    key: str
    peer: Peer
    tls: TlsInfo | None

    def basic_credentials(self) -> tuple[str, bytes] | None:
        """User name and password of HTTP basic authentication (RFC 7617); None when absent or malformed.

        The password is bytes: OCPP-J 1.6 §6.2 has it as 20 arbitrary octets, OCPP 2.0.1 as UTF-8.
        """
        scheme, _, encoded = (self.headers.get("authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            return (user.decode(), password) if colon else None
        except (binascii.Error, ValueError):
            return None


class Refusal(msgspec.Struct, frozen=True):
    """No WebSocket for you: sent as an HTTP response, then the connection is closed."""

    status: int
    reason: str = ""
    """Sent as the body: one line for whoever looks at the other end. Say nothing that helps a stranger guess."""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def unauthorized(cls, reason: str = "credentials are missing or wrong", realm: str = "ocpp") -> "Refusal":
        """401 with the challenge for basic authentication (OCPP 2.0.1 A00.FR.204 asks for the check)."""
        return cls(401, reason, (("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"'),))

    @classmethod
    def unknown(cls, reason: str = "no such charging station or endpoint") -> "Refusal":
        """404: an identity we don't know (OCPP-J 1.6 §3.2), or a path we don't serve."""
        return cls(404, reason)

    @classmethod
    def later(cls, retry_after_s: int, status: int = 503, reason: str = "try again later") -> "Refusal":
        """503 (we are too busy) or 429 (you are too eager)."""
        return cls(status, reason, (("Retry-After", str(retry_after_s)),))

    def encode(self) -> bytes:
        """The whole HTTP response."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        body = f"{self.reason}\n".encode() if self.reason else b""
        fields = [
            *self.headers,
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in fields), "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace") + body


class Admission(msgspec.Struct, frozen=True):
    """Come in: who will listen to the connection."""

    receiver: ReceiverFactory
    subprotocol: str | None = None
    """Overrules the server's preference; must be one of those offered. A relay answers what its upstream agreed to."""
    headers: tuple[tuple[str, str], ...] = ()
    """Extra header fields of the 101 response."""
    abandoned: Callable[[], None] | None = None
    """Called instead of `receiver` when the connection was lost in between: what was prepared can be undone."""


NO_HTTP: Final = Refusal(400, "this is not an HTTP request")
TOO_SLOW: Final = Refusal(408, "the request took too long")
TARGET_TOO_LONG: Final = Refusal(414, "the request target is too long")
HEADERS_TOO_LARGE: Final = Refusal(431, "the request's header is too large")


def _upgrade_required(reason: str) -> Refusal:
    fields = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", WEBSOCKET_VERSION))
    return Refusal(426, reason, fields)


class HeadReader:
    """Collects the bytes of a request up to its empty line; bounded, and early to see that this is no HTTP."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit = limit_bytes

    def feed(self, data: bytes) -> tuple[bytes, bytes] | Refusal | None:
        """The head without its empty line and what followed it; None while there is more to come."""
        buffer = self._buffer
        begin = max(0, len(buffer) - 3)
        buffer += data
        end = buffer.find(b"\r\n\r\n", begin)
        if 0 <= end <= self._limit:
            head, rest = bytes(buffer[:end]), bytes(buffer[end + 4 :])
            buffer.clear()
            return head, rest
        # A TLS ClientHello begins with 0x16, and no method begins with anything but a capital letter.
        if buffer and not 0x41 <= buffer[0] <= 0x5A:
            return NO_HTTP
        if end < 0 and len(buffer) <= self._limit:
            return None
        return TARGET_TOO_LONG if buffer.find(b"\r\n", 0, self._limit) < 0 else HEADERS_TOO_LARGE


def parse_request(
    head: bytes, *, subprotocols: tuple[str, ...], assumed_subprotocol: str | None, peer: Peer, tls: TlsInfo | None
) -> "UpgradeRequest | Refusal | NoSubprotocol":
    """Read the head of an HTTP request (without its empty line) as a WebSocket upgrade."""
    request_line, *field_lines = head.split(b"\r\n")
    parts = request_line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not re.fullmatch(rb"HTTP/\d\.\d", parts[2]):
        return NO_HTTP
    method, target, version = parts
    if version != b"HTTP/1.1":
        return Refusal(505, "HTTP/1.1 only")
    headers = _parse_fields(field_lines)
    if isinstance(headers, Refusal):
        return headers
    if method != b"GET":
        return Refusal(405, "a WebSocket begins with GET", (("Allow", "GET"),))
    located = _locate(target)
    if isinstance(located, Refusal):
        return located
    if (wrong := _check_upgrade(headers)) is not None:
        return wrong
    path, query, prefix, identity = located
    offered = tuple(headers.tokens("sec-websocket-protocol"))
    subprotocol = negotiate(offered, subprotocols)
    key = (headers.get("sec-websocket-key") or "").strip()
    if subprotocol is None and not offered:
        subprotocol = assumed_subprotocol
    if subprotocol is None:
        return NoSubprotocol(identity, offered, key)
    return UpgradeRequest(
        path=path,
        prefix=prefix,
        identity=identity,
        query=query,
        headers=headers,
        offered=offered,
        subprotocol=subprotocol,
        key=key,
        peer=peer,
        tls=tls,
    )


class NoSubprotocol(msgspec.Struct, frozen=True):
    """A good upgrade request with no subprotocol of ours: 101 without one, then close (OCPP-J 1.6 §3.2)."""

    identity: str
    offered: tuple[str, ...]
    key: str


def negotiate(offered: Iterable[str], preferred: Iterable[str]) -> str | None:
    """The first of `preferred` that is offered. The choice is the server's (RFC 6455 §4.2.2, 5.)."""
    available = set(offered)
    return next((name for name in preferred if name in available), None)


def _parse_fields(lines: list[bytes]) -> Headers | Refusal:
    if len(lines) > _MAX_HEADERS:
        return HEADERS_TOO_LARGE
    fields: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        # This also refuses folded lines and blanks before the colon, both ways to smuggle (RFC 9112 §5.1, §5.2).
        if not colon or not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            return Refusal(400, "a header field is malformed")
        fields.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
    return Headers(fields)


def _locate(target: bytes) -> tuple[str, str, str, str] | Refusal:
    """Path, query, prefix and identity of a request target."""
    if not _TARGET.fullmatch(target):
        return Refusal(400, "the request target is malformed")
    text = target.decode("ascii")
    if not text.startswith("/"):
        # The absolute form must be understood (RFC 9112 §3.2.2).
        scheme, found, rest = text.partition("://")
        if not found or scheme.lower() not in {"http", "https", "ws", "wss"}:
            return Refusal(400, "the request target is malformed")
        _, slash, tail = rest.partition("/")
        text = slash + tail
    path, _, query = text.partition("?")
    if _BAD_PERCENT.search(path):
        return Refusal(400, "the path is not percent-encoded properly")
    prefix, _, segment = path.rpartition("/")
    try:
        identity = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return Refusal(400, "the charging station's identity is not UTF-8")
    if not identity:
        return Refusal.unknown("the path names no charging station")
    if identity in {".", ".."}:
        return Refusal(400, "the charging station's identity would be lost in a path")
    if not identity.isprintable():
        return Refusal(400, "the charging station's identity has characters that can't be printed")
    return path, query, prefix, identity


def _check_upgrade(headers: Headers) -> Refusal | None:
    """RFC 6455 §4.2.1, in its order."""
    if len(headers.get_all("host")) != 1:
        return Refusal(400, "exactly one Host header field is required")
    if headers.get("transfer-encoding") is not None or (headers.get("content-length") or "0").strip("0"):
        return Refusal(400, "an upgrade request has no body")
    if "websocket" not in (token.lower() for token in headers.tokens("upgrade")):
        return _upgrade_required("this is a WebSocket endpoint")
    if "upgrade" not in (token.lower() for token in headers.tokens("connection")):
        return Refusal(400, "Connection does not ask for the upgrade")
    if headers.get("sec-websocket-version") != WEBSOCKET_VERSION:
        return _upgrade_required("WebSocket version 13 only")
    keys = headers.get_all("sec-websocket-key")
    try:
        good = len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16
    except (binascii.Error, ValueError):
        good = False
    return None if good else Refusal(400, "Sec-WebSocket-Key is missing or malformed")


def connection_url(endpoint: str, identity: str) -> str:
    """The connection URL of a charging station: the endpoint's, a slash, its identity percent-encoded.

    OCPP-J 1.6 §3.1.1, OCPP 2.0.1 Part 4 §3.1.1. ValueError for an endpoint that is no ws or wss URL, or an empty
    identity.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise ValueError(f"an OCPP endpoint is a ws:// or wss:// URL, not {endpoint!r}")
    if not identity:
        raise ValueError("the charging station's identity is empty")
    path = f"{parts.path.rstrip('/')}/{quote(identity, safe='')}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def basic_authorization(user: str, password: str | bytes) -> str:
    """The value of an Authorization header field for basic authentication."""
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(user.encode() + b":" + secret).decode("ascii")
