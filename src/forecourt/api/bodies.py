"""What requests carry: JSON read strictly, fields that nobody knows refused, instants in UTC.

Guarantees
* A body is decoded once, by the type its operation declares, without any coercion; what doesn't fit is refused with the
  field's path before the operation runs.
* Every number has bounds that the books can hold.
"""

from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.types import Empty
from msgspec import Meta

from forecourt.api.problems import Refused, invalid_body
from forecourt.csms.errors import Invalid

LARGEST_INTEGER: Final = 2**31 - 1
LARGEST_KEY: Final = 2**63 - 1

Number = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
"""An EVSE, a connector, seconds, an id on the wire."""
Instant = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=1000)]
StationId = Annotated[str, Meta(min_length=1, max_length=255)]
Timeout = Annotated[float, Meta(gt=0, le=86_400)]
"""Seconds until a command is given up."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all bodies."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime):
                msgspec.structs.force_setattr(self, name, in_utc(name, value))


def in_utc(name: str, value: datetime) -> datetime:
    """The same instant in UTC. ValueError, naming the field, where the calendar doesn't reach."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name}: is outside the calendar") from None


def instant(name: str, value: datetime | None) -> datetime | None:
    """A time that came as a parameter, in UTC. Raises Invalid."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise Invalid(name, "must have a time zone")
    try:
        return in_utc(name, value)
    except ValueError:
        raise Invalid(name, "is outside the calendar") from None


class ApiRequest(Request[Any, Any, State]):
    """A request whose JSON is decoded straight to what its operation wants."""

    async def json(self) -> Any:
        """The body as the operation's `data`."""
        content_type = self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if content_type != "application/json" and not content_type.endswith("+json"):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
        field = self.scope["route_handler"].parsed_data_field
        assert field is not None
        return decode(await self.body(), field.annotation)


def decode(body: bytes, kind: Any) -> Any:
    """`body` as a `kind`. Raises Refused when it isn't JSON, Invalid when it doesn't fit."""
    if not body:
        raise Refused(HTTPStatus.BAD_REQUEST, "a body is missing")
    try:
        body.decode()
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from error


def compact(body: bytes) -> bytes:
    """A JSON text without blanks between its tokens; every token as it was, members in their order."""
    return msgspec.json.format(body, indent=-1)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Any if kind is Empty else kind)
