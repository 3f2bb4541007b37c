"""Frames of OCPP-J: bytes to a typed frame in one decoder pass, and frames to bytes by splicing.

Guarantees:

- `parse` never raises. It returns a frame, or a `Malformed` that says what is wrong and, wherever it can be found, the
  message id that an answer needs (OCPP-J 1.6 §4.2, 2.0.1 and 2.1 §4.2.3).
- The whole frame is UTF-8 (§4.1.2) and well-formed JSON, with exactly the elements its type has: an element too many
  is an error, not a surprise for later. Nesting that would exhaust the decoder is an error too.
- The payload is a JSON object (§4.2.1, §4.1.5) and stays the raw bytes that came, until somebody decodes them.
  `null`, the other notation of an empty payload that the same sections allow, is read as `{}`.
- Encoders write the compact form and put the payload in byte for byte; only message id, action, code and description
  are encoded here.

Frames carry no rules: which message types a connection has, and how long an id may be, is the peer's business.

A CALLERROR is read leniently (description and details may be missing): it ends a call that would otherwise hang until
its deadline, and nothing in it but the id is needed for that.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from forecourt.rpc.errors import CALL, CALL_ERROR, CALL_RESULT, CALL_RESULT_ERROR, SEND, Cause

__all__ = [
    "Call",
    "CallError",
    "CallResult",
    "CallResultError",
    "Frame",
    "Malformed",
    "Send",
    "encode_call",
    "encode_call_error",
    "encode_call_result",
    "encode_call_result_error",
    "encode_send",
    "parse",
    "peek",
]

_EMPTY = Raw(b"{}")


class Call(Struct, array_like=True, tag=CALL, forbid_unknown_fields=True, gc=False):
    """A request: `[2, id, action, payload]`."""

    message_id: str
    action: str
    payload: Raw


class CallResult(Struct, array_like=True, tag=CALL_RESULT, forbid_unknown_fields=True, gc=False):
    """The answer to a request: `[3, id, payload]`."""

    message_id: str
    payload: Raw


class CallError(Struct, array_like=True, tag=CALL_ERROR, forbid_unknown_fields=True, gc=False):
    """The refusal of a request: `[4, id, code, description, details]`."""

    message_id: str
    code: str
    description: str = ""
    payload: Raw = _EMPTY


class CallResultError(Struct, array_like=True, tag=CALL_RESULT_ERROR, forbid_unknown_fields=True, gc=False):
    """The refusal of an answer: `[5, id, code, description, details]`."""

    message_id: str
    code: str
    description: str = ""
    payload: Raw = _EMPTY


class Send(Struct, array_like=True, tag=SEND, forbid_unknown_fields=True, gc=False):
    """A message that nobody answers: `[6, id, action, payload]`."""

    message_id: str
    action: str
    payload: Raw


Frame = Call | CallResult | CallError | CallResultError | Send


class Malformed(Struct, frozen=True, gc=False):
    """A frame that can't be read. `message_type` and `message_id` are None where they can't be found either."""

    cause: Cause
    message_type: int | None
    message_id: str | None
    description: str


_FRAMES: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)
_ELEMENTS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.Encoder().encode

# RecursionError: deep nesting, even inside Raw. ValueError: DecodeError and UnicodeDecodeError are both.
_UNREADABLE = (ValueError, RecursionError)

# Only for frames that already failed: an id that can still be made out lets the sender know which call was lost.
_HEAD = re.compile(rb'\s*\[\s*(\d{1,9})\s*,\s*("(?:[^"\\]|\\.){0,255}")\s*,\s*("(?:[^"\\]|\\.){0,255}"\s*,)?')
_HEAD_BYTES = 2048

_MESSAGE_TYPES = frozenset({CALL, CALL_RESULT, CALL_ERROR, CALL_RESULT_ERROR, SEND})
_LONGEST_ECHO = 255


def parse(frame_bytes: bytes | bytearray | memoryview) -> Frame | Malformed:
    """Read one frame. Never raises. The frame keeps no reference into a buffer that isn't `bytes`."""
    text = frame_bytes if type(frame_bytes) is bytes else bytes(frame_bytes)
    try:
        if not text.isascii():
            text.decode()  # the decoder leaves the strings inside a Raw unchecked
        frame = _FRAMES.decode(text)
    except _UNREADABLE:
        return _diagnose(text)
    # The payload is the last element: a value that ends in a brace is an object. Only unusual frames look closer.
    return frame if text.endswith(b"}]") else _with_object_payload(frame)


def peek(frame_bytes: bytes | bytearray | memoryview) -> tuple[int | None, str | None]:
    """Message type and id from the head of a frame without reading the rest: for frames that are too large to read."""
    message_type, message_id, _ = _read_head(bytes(frame_bytes[:_HEAD_BYTES]))
    return message_type, message_id


def _with_object_payload(frame: Frame) -> Frame | Malformed:
    payload = bytes(frame.payload)
    if payload.startswith(b"{"):
        return frame
    if payload == b"null" or type(frame) in {CallError, CallResultError}:
        frame.payload = _EMPTY
        return frame
    message_type = CALL if type(frame) is Call else SEND if type(frame) is Send else CALL_RESULT
    return Malformed(Cause.WRONG_STRUCTURE, message_type, frame.message_id, "payload is not a JSON object")


def _read_head(head: bytes) -> tuple[int | None, str | None, bool]:
    """Type, id, and whether the damage lies behind the action, that is, in the payload."""
    match = _HEAD.match(head)
    if match is None:
        return None, None, False
    try:
        message_id = msgspec.json.decode(match[2], type=str)
    except _UNREADABLE:
        return int(match[1]), None, False
    message_type = int(match[1])
    in_payload = message_type == CALL_RESULT or (message_type in {CALL, SEND} and match[3] is not None)
    return message_type, message_id, in_payload


def _diagnose(text: bytes) -> Frame | Malformed:
    """Find out what is wrong with a frame that the typed decoder refused."""
    try:
        text.decode()
        elements = _ELEMENTS.decode(text)
    except _UNREADABLE as error:
        message_type, message_id, in_payload = _read_head(text[:_HEAD_BYTES])
        cause = Cause.MALFORMED_PAYLOAD if in_payload else Cause.MALFORMED_FRAME
        return Malformed(cause, message_type, message_id, _reason(error))
    message_type = _element(elements, 0, int)
    message_id = _element(elements, 1, str)
    if message_id is not None and len(message_id) > _LONGEST_ECHO:
        message_id = None
    if message_type is None:
        return Malformed(Cause.MALFORMED_FRAME, None, message_id, "message type number is not an integer")
    if message_type not in _MESSAGE_TYPES:
        return Malformed(Cause.UNKNOWN_MESSAGE_TYPE, message_type, message_id, "unknown message type number")
    if message_id is None:
        return Malformed(Cause.MALFORMED_FRAME, message_type, None, "message id is not a string")
    if message_type in {CALL_ERROR, CALL_RESULT_ERROR}:
        return _lenient_error(message_type, message_id, elements)
    expected = 3 if message_type == CALL_RESULT else 4
    wrong_count = len(elements) != expected
    what = f"{len(elements)} elements instead of {expected}" if wrong_count else "action is not a string"
    return Malformed(Cause.MALFORMED_FRAME, message_type, message_id, what)


def _lenient_error(message_type: int, message_id: str, elements: list[Raw]) -> CallError | CallResultError:
    code = _element(elements, 2, str) or ""
    description = _element(elements, 3, str) or ""
    details = elements[4] if len(elements) > 4 and bytes(elements[4]).startswith(b"{") else _EMPTY
    kind = CallError if message_type == CALL_ERROR else CallResultError
    return kind(message_id, code, description, details)


def _element(elements: list[Raw], index: int, kind: type[Any]) -> Any:
    if index >= len(elements):
        return None
    try:
        return msgspec.json.decode(elements[index], type=kind)
    except _UNREADABLE:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not valid UTF-8"
    if isinstance(error, msgspec.ValidationError):
        return "not a JSON array"
    return "not valid JSON"


def encode_call(message_id: str, action: str, payload: bytes) -> bytes:
    """`[2, id, action, payload]`, the payload byte for byte."""
    return b"[2,%b,%b,%b]" % (_encode(message_id), _encode(action), payload)


def encode_call_result(message_id: str, payload: bytes) -> bytes:
    """`[3, id, payload]`, the payload byte for byte."""
    return b"[3,%b,%b]" % (_encode(message_id), payload)


def encode_call_error(message_id: str, code: str, description: str = "", details: bytes = b"{}") -> bytes:
    """`[4, id, code, description, details]`, the details byte for byte."""
    return b"[4,%b,%b,%b,%b]" % (_encode(message_id), _encode(code), _encode_text(description), details)


def encode_call_result_error(message_id: str, code: str, description: str = "", details: bytes = b"{}") -> bytes:
    """`[5, id, code, description, details]`, the details byte for byte."""
    return b"[5,%b,%b,%b,%b]" % (_encode(message_id), _encode(code), _encode_text(description), details)


def encode_send(message_id: str, action: str, payload: bytes) -> bytes:
    """`[6, id, action, payload]`, the payload byte for byte."""
    return b"[6,%b,%b,%b]" % (_encode(message_id), _encode(action), payload)


def _encode_text(text: str) -> bytes:
    # A description may quote what a peer sent; a lone surrogate in it must not turn an answer into an exception.
    return _encode(text.encode("utf-8", "replace").decode())
