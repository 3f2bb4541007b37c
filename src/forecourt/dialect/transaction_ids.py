"""Where the ids of transactions stand in the messages of each version, and how one is put in another's place.

Guarantees
* Only the id changes: every other byte of a frame, blanks and unknown members included, stays as it came; a frame in
  which nothing is to be changed is given back as the very same object.
* An id is replaced in the notation that it came in, as a number or as a text.
* Versions in which the station makes its own ids have no places: their frames are never changed (OCPP 2.0.1 E).
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from forecourt.dialect.port import Dialect

Translate = Callable[[str], str]
"""Gives the id to write for an id; the same one where nothing is to be changed."""

Path = tuple[int | str, ...]

_CALLS: Final[dict[str, Path]] = {
    "MeterValues": ("transactionId",),
    "RemoteStartTransaction": ("chargingProfile", "transactionId"),
    "RemoteStopTransaction": ("transactionId",),
    "SetChargingProfile": ("csChargingProfiles", "transactionId"),
    "StopTransaction": ("transactionId",),
}
_ANSWERS: Final[dict[str, Path]] = {"StartTransaction": ("transactionId",)}

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_OPENS: Final = frozenset({b"{", b"["})
_CLOSES: Final = frozenset({b"}", b"]"})


def in_call(dialect: Dialect, action: str, frame: bytes, translate: Translate) -> bytes:
    """A whole CALL with its transaction id replaced."""
    return _replaced(dialect, _CALLS.get(action), frame, translate, 3)


def in_answer(dialect: Dialect, action: str, frame: bytes, translate: Translate) -> bytes:
    """A whole CALLRESULT with the transaction id that it issues replaced."""
    return _replaced(dialect, _ANSWERS.get(action), frame, translate, 2)


def in_payload(dialect: Dialect, action: str, payload: bytes, translate: Translate) -> bytes:
    """The payload of a CALL with its transaction id replaced."""
    return _replaced(dialect, _CALLS.get(action), payload, translate)


def marked_offline(dialect: Dialect, action: str, payload: bytes) -> bytes:
    """A TransactionEvent that says that it was kept back: `offline` true (OCPP 2.0.1 E04.FR.03); others as they are."""
    if dialect.capabilities.csms_issues_transaction_ids or action != "TransactionEvent":
        return payload
    spans = list(_values(payload, ("offline",)))
    if not spans:
        head = payload.index(b"{") + 1
        separator = b"" if payload[head:].strip().startswith(b"}") else b","
        return payload[:head] + b'"offline":true' + separator + payload[head:]
    for start, end in reversed(spans):
        payload = payload[:start] + b"true" + payload[end:]
    return payload


def _replaced(dialect: Dialect, path: Path | None, text: bytes, translate: Translate, *prefix: int) -> bytes:
    if path is None or not dialect.capabilities.csms_issues_transaction_ids or b"ransactionId" not in text:
        return text
    for start, end in reversed(list(_values(text, (*prefix, *path)))):
        token = text[start:end]
        quoted = token.startswith(b'"')
        number = _number(token.strip(b'"') if quoted else token)
        if number is None:
            continue
        written = translate(number)
        if written != number:
            new = written.encode()
            text = text[:start] + (b'"%b"' % new if quoted else new) + text[end:]
    return text


def _number(token: bytes) -> str | None:
    try:
        value = float(token)
        return str(int(token)) if token.lstrip(b"-").isdigit() else str(int(value)) if value.is_integer() else None
    except (ValueError, OverflowError):
        return None


def _values(text: bytes, wanted: Path) -> Iterator[tuple[int, int]]:
    """Where the plain values stand that are found at `wanted`, in JSON that has been read before."""
    path: list[int | str] = []
    key: bytes | None = None
    after_colon = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _OPENS:
            path.append("" if token == b"{" else 0)
            after_colon = token == b"["
        elif token in _CLOSES:
            path.pop()
            after_colon = False
        elif token == b",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
                after_colon = True
            else:
                after_colon = False
        elif token == b":":
            if key is not None:
                path[-1] = msgspec.json.decode(key)
            after_colon = True
        elif after_colon or not path:
            if tuple(path) == wanted:
                yield match.span()
            after_colon = False
        else:
            key = token
