"""Payloads in and out: JSON to message, message to JSON.

Guarantees:

* Decoding is one pass of msgspec into the typed message. Only a payload that this pass refuses, or that holds a `null`,
  is read a second time, slowly, by `forecourt.messages.reading`.
* `decode` accepts what the official schema accepts and refuses what it refuses. The exceptions, each with its reason:

  =============================================  ====================================================================
  accepted although the schema refuses           reason
  =============================================  ====================================================================
  fields that the schema does not know           real stations send them; they are left out of the message
  1.0 for an integer in 1.6                      draft 04 leaves it to the validator; draft 06 (2.x) accepts it
  more than one decimal in a limit of 1.6        `multipleOf: 0.1` is undecidable in binary; the limit is rounded down
  `null` as the whole payload of an empty        OCPP-J 1.6 §4.2.1 and 2.0.1 part 4 §4.1.5 allow it for "no payload"
  message
  a location that is no URI in 1.6               `format: uri` binds no validator, and real locations often are none
  a blank for the `T` of a timestamp, or an      RFC 3339 §5.6 allows the first, ISO 8601 (1.6 §3.15) the second
  offset without colon
  =============================================  ====================================================================

  =============================================  ====================================================================
  refused although the schema accepts            reason
  =============================================  ====================================================================
  an escaped half of a surrogate pair            it is no text; RFC 8259 §8.2 leaves it to us
  a number beyond a double, an integer of more   nothing measures that; RFC 8259 §6 leaves it to us
  than 4300 digits
  a timestamp outside of the years 1 to 9999     `datetime` ends there
  hundreds of levels of nesting                  OCPP has seven; the rest is an attack on the stack
  a string that is no timestamp for `date-time`  `format` need not bind a validator; it binds us
  =============================================  ====================================================================

* `decode_lenient` reads whatever can be read without guessing, and says what was wrong (`reading` has the rules). It is
  for what a station reports to a CSMS. What a CSMS commands is read strictly: a schedule with a piece left out is
  another schedule.
* Whatever the bytes, nothing but `DecodeFailure` is raised.
* What `encode` returns is valid by the schema: it is compact, and it has been decoded again before it is returned.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from forecourt.messages.base import CustomData, FractionalInstant, Message
from forecourt.messages.failure import DecodeFailure, EncodeFailure, FailureKind, Violation
from forecourt.messages.reading import NO_STAND_INS, Reader

__all__ = [
    "DecodeFailure",
    "EncodeFailure",
    "FailureKind",
    "Payload",
    "Violation",
    "decode",
    "decode_as",
    "decode_as_lenient",
    "decode_lenient",
    "encode",
]

Payload = bytes | bytearray | memoryview | msgspec.Raw

M = TypeVar("M", bound=Message)

_REFUSALS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
"""All that msgspec is known to raise, for any bytes."""


def decode(table: Mapping[str, type[Message]], action: str, payload: Payload) -> Message:
    """The message for `action`, by the schema; `table` is REQUESTS, RESPONSES or SENDS of a version's module."""
    return decode_as(_type_of(table, action), payload)


def decode_lenient(
    table: Mapping[str, type[Message]], action: str, payload: Payload
) -> tuple[Message, tuple[Violation, ...]]:
    """The message for `action` as far as it can be read, and what was wrong with it."""
    return decode_as_lenient(_type_of(table, action), payload)


def decode_as(message_type: type[M], payload: Payload) -> M:
    """`payload` as a `message_type`, by the schema."""
    wire = _bytes_of(payload)
    message = _decode_at_once(message_type, wire)
    return message if message is not None else Reader(lenient=False).message(message_type, _parse(wire))


def decode_as_lenient(
    message_type: type[M],
    payload: Payload,
    *,
    received_at: datetime | None = None,
    stand_ins: Mapping[str, object] = NO_STAND_INS,
) -> tuple[M, tuple[Violation, ...]]:
    """`payload` as a `message_type` as far as it can be read, and what was wrong with it; stand-ins as of `Reader`."""
    wire = _bytes_of(payload)
    message = _decode_at_once(message_type, wire)
    if message is not None:
        return message, ()
    reader = Reader(lenient=True, received_at=received_at, stand_ins=stand_ins)
    return reader.message(message_type, _parse(wire)), tuple(reader.violations)


def encode(message: Message) -> bytes:
    """Compact JSON that the official schema accepts; raises EncodeFailure when the message's values don't allow it."""
    if not message.__struct_fields__:
        return b"{}"  # the answers to most messages: there is nothing in them that could be wrong
    try:
        wire = _ENCODER.encode(message)
    except _REFUSALS as refusal:
        raise EncodeFailure(f"{type(message).__name__}: {refusal}") from None
    try:
        decode_as(type(message), wire)
    except DecodeFailure as failure:
        raise EncodeFailure(f"{type(message).__name__}: {failure}") from None
    return wire


def _type_of(table: Mapping[str, type[Message]], action: str) -> type[Message]:
    message_type = table.get(action)
    if message_type is None:
        raise DecodeFailure(FailureKind.UNKNOWN_ACTION, "", f"unknown action {action[:50]!r}")
    return message_type


def _bytes_of(payload: Payload) -> bytes:
    return payload if isinstance(payload, bytes) else bytes(payload)


def _decode_at_once(message_type: type[M], wire: bytes) -> M | None:
    """The message, or None when a closer look is needed.

    To msgspec null is the same as absent, to the schema (and to 2.0.1 part 4 §4.1.5) it is a violation: hence the look
    for the word. Where it is part of a text, the closer look costs time and finds nothing.
    """
    if b"null" in wire:
        return None
    try:
        message: M = _decoder_of(message_type).decode(wire)
    except _REFUSALS:
        return None
    return message


def _parse(wire: bytes) -> Any:
    try:
        return _PARSER.decode(wire)
    except _REFUSALS as refusal:
        raise DecodeFailure(FailureKind.MALFORMED_PAYLOAD, "", str(refusal)) from None


def _from_wire(wanted: type[Any], value: object) -> CustomData:
    if wanted is not CustomData:
        raise TypeError(f"no rule to read a {wanted.__name__}")
    return CustomData.from_wire(value)


def _to_wire(value: object) -> object:
    if not isinstance(value, CustomData | FractionalInstant):
        raise TypeError(f"no rule to write a {type(value).__name__}")
    return value.to_wire()


def _decoder_of(message_type: type[M]) -> msgspec.json.Decoder[M]:
    # Built when first needed: all of 2.1 would cost a small computer a tenth of a second.
    decoder = _DECODERS.get(message_type)
    if decoder is None:
        decoder = _DECODERS[message_type] = msgspec.json.Decoder(message_type, dec_hook=_from_wire)
    return decoder


_DECODERS: dict[type[Message], msgspec.json.Decoder[Any]] = {}
_PARSER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder(enc_hook=_to_wire)
