"""What every generated message is made of.

Guarantees, whichever way an object came to be (decoded, constructed or copied):

* an instant is timezone-aware, in UTC and whole in milliseconds, so it is written as `2024-01-31T08:15:30.250Z`
  (OCPP 1.6 §3.15 allows any ISO 8601 notation, 2.x at most three decimals; UTC is what OCPP 1.6 §3.14 recommends);
* a limit that the schema (1.6, `multipleOf` 0.1) or the text (2.0.1, ChargingSchedulePeriod.limit) allows one
  decimal has one decimal, rounded down: what is sent or applied is never above what was meant.

Objects are immutable and compare by value. Lengths and ranges are checked on the wire, in both directions, by
`forecourt.messages.codec`: constructing an object checks nothing but the two points above.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, final

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

VENDOR_ID_MAX_LENGTH = 255

_HAIR = 1e-6
"""In tenths: how far below a tenth binary arithmetic may leave a number that meant that tenth (16.1 - 0.2)."""

Instant = Annotated[datetime, Meta(tz=True)]


class Message(Struct, frozen=True, omit_defaults=True, gc=False):
    """The payload of a call, of an answer, or of a send."""


class Datatype(Struct, frozen=True, omit_defaults=True, gc=False):
    """An object inside of a payload."""


@final
class CustomData:
    """The vendor's own corner of a 2.x object: `vendor_id` (at most 255 characters), and whatever else it put there."""

    __slots__ = ("content", "vendor_id")

    def __init__(self, vendor_id: str, content: Mapping[str, Any] | None = None) -> None:
        self.vendor_id = vendor_id
        self.content: Mapping[str, Any] = {} if content is None else content

    @classmethod
    def from_wire(cls, value: object) -> "CustomData":
        """Read it from parsed JSON; raises TypeError or ValueError where it is not what the schema asks for."""
        if not isinstance(value, dict):
            raise TypeError("customData is an object")
        content = {str(key): part for key, part in value.items()}
        vendor_id = content.pop("vendorId", None)
        if not isinstance(vendor_id, str):
            raise TypeError("vendorId is a required string")
        if len(vendor_id) > VENDOR_ID_MAX_LENGTH:
            raise ValueError(f"{len(vendor_id)} characters, {VENDOR_ID_MAX_LENGTH} allowed")
        return cls(vendor_id, content)

    def to_wire(self) -> dict[str, Any]:
        """As it is written in JSON."""
        return {**self.content, "vendorId": self.vendor_id}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CustomData):
            return NotImplemented
        return self.vendor_id == other.vendor_id and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.vendor_id)

    def __repr__(self) -> str:
        return f"CustomData(vendor_id={self.vendor_id!r}, content={self.content!r})"


class FractionalInstant(datetime):
    """An instant in UTC with milliseconds: equal to the datetime that it is, but written with three decimals.

    The encoder writes a plain datetime with six decimals, or with none: only an instant with a fraction needs this.
    """

    def to_wire(self) -> str:
        """RFC 3339 with three decimals."""
        return self.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def settle_instant(message: Struct, name: str, instant: datetime | None) -> None:
    """Move the instant in `message.name` to UTC and cut it to milliseconds; raises ValueError when it has no zone."""
    if instant is None or (instant.tzinfo is UTC and instant.microsecond == 0 and type(instant) is datetime):
        return
    force_setattr(message, name, to_wire_instant(instant))


def to_wire_instant(instant: datetime) -> datetime:
    """`instant` in UTC, cut to milliseconds; raises ValueError when it has no zone or UTC has no such year."""
    utc = instant
    if instant.tzinfo is not UTC:
        if instant.utcoffset() is None:
            raise ValueError("an instant needs a time zone")
        try:
            utc = instant.astimezone(UTC)
        except OverflowError:
            raise ValueError("the instant is outside of the years 1 to 9999") from None
    millisecond = utc.microsecond // 1000
    kind = FractionalInstant if millisecond else datetime
    return kind(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, millisecond * 1000, tzinfo=UTC)


def settle_tenths(message: Struct, name: str, number: float | None) -> None:
    """Round the number in `message.name` down to one decimal."""
    if number is None:
        return
    rounded = to_tenths(number)
    if rounded != number:
        force_setattr(message, name, rounded)


def to_tenths(number: float) -> float:
    """`number` with at most one decimal, rounded down, forgiving what binary arithmetic lost."""
    tenths = number * 10
    if not math.isfinite(tenths):
        return number
    return math.floor(tenths + _HAIR) / 10
