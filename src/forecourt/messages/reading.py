"""The closer look at a payload: what exactly is wrong with it, and what can be made of it all the same.

Guarantees, for a payload already parsed from JSON:

* Strict: the message, or the first deviation as a DecodeFailure with its kind and path.
* Lenient: every deviation becomes a `Violation` (the first `VIOLATIONS_KEPT` are kept), and where the rules below allow
  it, a value that the schema accepts:

  ===============================================  ==================================================================
  what came                                        what is read
  ===============================================  ==================================================================
  a number or boolean for a string                 its text (`"value": 230.1` in a sampled value is the common case)
  a number in a string, for a number               that number
  a fraction for an integer                        the nearest integer
  "true", "False", 0, 1 for a boolean              that boolean
  a timestamp without zone                         UTC
  another form of ISO 8601 for a timestamp         that instant
  another case or blanks around an enum's value    the value meant
  an unknown value of an enum that has `Other`     `Other` (or `OtherError`)
  one value for an array                           an array of that one
  a string or array that is too long               all of it: cutting an identifier would make it another one's
  null or "" or [] for an optional field           absent
  nothing, or nothing readable, for a required     the time of arrival, where the reader is told it
  timestamp
  nothing, or nothing readable, for a required     its stand-in, where the caller has one
  field
  ===============================================  ==================================================================

* What can't be mended is left out, and never changes the meaning of what stays: inside of an array the whole element
  goes (a sampled value without its unknown unit would be in Wh, without its unknown measurand an energy), else the
  optional field. When a required field outside of any array can't be mended and has no stand-in, or an array that must
  not be empty would be, there is no message: DecodeFailure.

So a message read leniently is valid, but for strings and arrays longer than the schema allows.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from msgspec import inspect

from forecourt.messages.base import CustomData, Message, to_wire_instant
from forecourt.messages.failure import DecodeFailure, FailureKind, Violation

VIOLATIONS_KEPT = 32

NO_STAND_INS: Final[Mapping[str, object]] = MappingProxyType({})

M = TypeVar("M", bound=Message)

_SHOWN = 60
"""Characters of an offending value in a violation's text."""

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)  # the groups: date, hour and minute, second, fraction, offset

_JSON_NAMES: dict[type, str] = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number",
    type(None): "null",
}  # fmt: skip


class Reader:
    """Reads one payload. `violations` grows while it does.

    To lenience alone: `received_at` stands in for a required timestamp, wherever it is; `stand_ins`, by their paths,
    for required fields outside of any array.
    """

    def __init__(
        self,
        *,
        lenient: bool,
        received_at: datetime | None = None,
        stand_ins: Mapping[str, object] = NO_STAND_INS,
    ) -> None:
        self.lenient = lenient
        self._received_at = None if received_at is None else to_wire_instant(received_at)
        self._stand_ins = stand_ins
        self.violations: list[Violation] = []
        self._arrays_around = 0

    def message(self, message_type: type[M], payload: Any) -> M:
        """The message; raises DecodeFailure when there is none."""
        shape = _shape_of(message_type)
        if payload is None and not any(field.required for field in shape.fields):
            payload = {}
        if not isinstance(payload, dict):
            raise DecodeFailure(FailureKind.WRONG_STRUCTURE, "", f"{_JSON_NAMES[type(payload)]} is not a payload")
        return cast("M", self._struct(shape, payload, ""))

    def _read(self, wanted: inspect.Type, value: Any, path: str) -> Any:
        match wanted:
            case inspect.StructType():
                return self._struct(wanted, value, path)
            case inspect.VarTupleType():
                return self._array(wanted, value, path)
            case inspect.EnumType():
                return self._enum(wanted, value, path)
            case inspect.StrType():
                return self._text(wanted, value, path)
            case inspect.IntType():
                return self._integer(wanted, value, path)
            case inspect.FloatType():
                return self._float(wanted, value, path)
            case inspect.BoolType():
                return self._boolean(value, path)
            case inspect.DateTimeType():
                return self._instant(value, path)
            case inspect.CustomType():
                return _custom_data(value, path)
        raise AssertionError(f"the generator writes no {wanted}")

    def _note(self, kind: FailureKind, path: str, message: str) -> None:
        """Record what lenience forgives; without lenience it is the end."""
        if not self.lenient:
            raise DecodeFailure(kind, path, message)
        self._keep(Violation(kind, path, message))

    def _keep(self, violation: Violation) -> None:
        if len(self.violations) < VIOLATIONS_KEPT:
            self.violations.append(violation)

    # ------------------------------------------------------------------------------------------------ objects, arrays

    def _struct(self, wanted: inspect.StructType, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object", value)
        arguments: dict[str, Any] = {}
        for field in wanted.fields:
            wire_name = field.encode_name
            inner = f"{path}.{wire_name}" if path else wire_name
            if field.required:
                arguments[field.name] = self._required(field.type, value, wire_name, inner)
            elif wire_name in value:
                arguments[field.name] = self._optional(field.type, value[wire_name], inner)
        return wanted.cls(**arguments)

    def _required(self, wanted: inspect.Type, around: dict[str, Any], wire_name: str, path: str) -> Any:
        failure = DecodeFailure(FailureKind.MISSING_FIELD, path, "is required")
        if wire_name in around:
            try:
                return self._read(wanted, around[wire_name], path)
            except DecodeFailure as unreadable:
                failure = unreadable
        is_instant = isinstance(wanted, inspect.DateTimeType)
        stand_in = self._received_at if is_instant else self._stand_ins.get(path)
        if not self.lenient or stand_in is None:
            raise failure
        read_as = "the time of arrival stands in" if is_instant else "taken as not said"
        self._keep(Violation(failure.kind, failure.path, f"{failure.message}; {read_as}"))
        return stand_in

    def _optional(self, wanted: inspect.Type, value: Any, path: str) -> Any:
        if isinstance(wanted, inspect.AnyType):
            return value
        wanted = _without_none(wanted)
        if value is None:
            self._note(FailureKind.TYPE, path, "null for an absent field")
            return None
        if self.lenient and _is_empty_for(wanted, value):
            self._note(FailureKind.VALUE, path, "empty for an absent field")
            return None
        try:
            return self._read(wanted, value, path)
        except DecodeFailure as failure:
            # The vendor's corner never decides on the fate of what surrounds it.
            if not self.lenient or (self._arrays_around and not isinstance(wanted, inspect.CustomType)):
                raise
            self._leave_out(failure, path)
            return None

    def _array(self, wanted: inspect.VarTupleType, value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            if not self.lenient or value is None:
                raise _wrong_type(path, "an array", value)
            self._note(FailureKind.TYPE, path, "one value for an array")
            value = [value]
        if wanted.max_length is not None and len(value) > wanted.max_length:
            self._note(FailureKind.OCCURRENCE, path, f"{len(value)} elements, {wanted.max_length} allowed")
        elements = []
        self._arrays_around += 1
        for index, element in enumerate(value):
            inner = f"{path}[{index}]"
            try:
                elements.append(self._read(wanted.item_type, element, inner))
            except DecodeFailure as failure:
                if not self.lenient:
                    raise
                self._leave_out(failure, inner)
        self._arrays_around -= 1
        if wanted.min_length is not None and len(elements) < wanted.min_length:
            raise DecodeFailure(
                FailureKind.OCCURRENCE, path, f"{len(elements)} elements, at least {wanted.min_length} required"
            )
        return tuple(elements)

    def _leave_out(self, failure: DecodeFailure, path: str) -> None:
        self._keep(Violation(failure.kind, failure.path, f"{failure.message}; {path} is left out"))

    # ------------------------------------------------------------------------------------------------------- scalars

    def _text(self, wanted: inspect.StrType, value: Any, path: str) -> str:
        if not isinstance(value, str):
            if not self.lenient or not isinstance(value, int | float):
                raise _wrong_type(path, "a string", value)
            self._note(FailureKind.TYPE, path, f"{_JSON_NAMES[type(value)]} for a string")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if wanted.max_length is not None and len(text) > wanted.max_length:
            self._note(FailureKind.VALUE, path, f"{len(text)} characters, {wanted.max_length} allowed")
        return text

    def _integer(self, wanted: inspect.IntType, value: Any, path: str) -> int:
        integer = self._number_in(value, path, "an integer")
        if isinstance(integer, float):
            if not integer.is_integer():
                self._note(FailureKind.TYPE, path, "a fraction for an integer")
            integer = round(integer)
        _check_range(wanted, integer, path)
        return integer

    def _float(self, wanted: inspect.FloatType, value: Any, path: str) -> float:
        try:
            number = float(self._number_in(value, path, "a number"))
        except OverflowError:
            raise DecodeFailure(FailureKind.VALUE, path, "the number is too large") from None
        _check_range(wanted, number, path)
        return number

    def _number_in(self, value: Any, path: str, expected: str) -> int | float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if not self.lenient or not isinstance(value, str):
            raise _wrong_type(path, expected, value)
        number = _number_of(value)
        if number is None:
            raise _wrong_type(path, expected, value)
        self._note(FailureKind.TYPE, path, f"a string for {expected}")
        return number

    def _boolean(self, value: Any, path: str) -> bool:
        if isinstance(value, bool):
            return value
        meant = {"true": True, "false": False, "1": True, "0": False}.get(str(value).strip().lower())
        if not self.lenient or meant is None:
            raise _wrong_type(path, "a boolean", value)
        self._note(FailureKind.TYPE, path, f"{_JSON_NAMES[type(value)]} for a boolean")
        return meant

    def _enum(self, wanted: inspect.EnumType, value: Any, path: str) -> Enum:
        if not isinstance(value, str):
            raise _wrong_type(path, "a string", value)
        spellings = _spellings_of(wanted.cls)
        exact = spellings.get(value)
        if exact is not None and exact.value == value:
            return exact
        wrong = f"{_shown(value)} is not one of {wanted.cls.__name__}"
        meant = spellings.get(value.strip().casefold()) or spellings.get("Other") or spellings.get("OtherError")
        if meant is None or not self.lenient:
            raise DecodeFailure(FailureKind.VALUE, path, wrong)
        self._note(FailureKind.VALUE, path, f"{wrong}, read as {meant.value}")
        return meant

    def _instant(self, value: Any, path: str) -> datetime:
        if not isinstance(value, str):
            raise _wrong_type(path, "a string", value)
        try:
            instant = _rfc3339(value)
            if instant is None:
                self._note(FailureKind.VALUE, path, f"{_shown(value)} is not RFC 3339")
                instant = datetime.fromisoformat(value.strip())
            if instant.tzinfo is None:
                self._note(FailureKind.VALUE, path, "no time zone, read as UTC")
                instant = instant.replace(tzinfo=UTC)
            return to_wire_instant(instant)
        except DecodeFailure:
            raise
        except (ValueError, OverflowError):
            raise DecodeFailure(FailureKind.VALUE, path, f"{_shown(value)} is not an instant") from None


def _custom_data(value: Any, path: str) -> CustomData:
    if not isinstance(value, dict):
        raise _wrong_type(path, "an object", value)
    if "vendorId" not in value:
        raise DecodeFailure(FailureKind.MISSING_FIELD, f"{path}.vendorId", "is required")
    try:
        return CustomData.from_wire(value)
    except TypeError:
        raise _wrong_type(f"{path}.vendorId", "a string", value["vendorId"]) from None
    except ValueError as error:
        raise DecodeFailure(FailureKind.VALUE, f"{path}.vendorId", str(error)) from None


@cache
def _shape_of(message_type: type[Message]) -> inspect.StructType:
    return cast("inspect.StructType", inspect.type_info(message_type))


@cache
def _spellings_of(enum: type[Enum]) -> dict[str, Enum]:
    """Every value as it is, and without regard to case."""
    return {member.value.casefold(): member for member in enum} | {member.value: member for member in enum}


def _without_none(wanted: inspect.Type) -> inspect.Type:
    if not isinstance(wanted, inspect.UnionType):
        return wanted
    return next(option for option in wanted.types if not isinstance(option, inspect.NoneType))


def _is_empty_for(wanted: inspect.Type, value: Any) -> bool:
    if isinstance(wanted, inspect.VarTupleType):
        return value == [] and bool(wanted.min_length)
    return bool(value == "" and not isinstance(wanted, inspect.StrType))


def _check_range(wanted: inspect.IntType | inspect.FloatType, number: float, path: str) -> None:
    if wanted.ge is not None and number < wanted.ge:
        raise DecodeFailure(FailureKind.VALUE, path, f"is below {wanted.ge}")
    if wanted.le is not None and number > wanted.le:
        raise DecodeFailure(FailureKind.VALUE, path, f"is above {wanted.le}")


def _number_of(text: str) -> int | float | None:
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None


def _rfc3339(text: str) -> datetime | None:
    """The instant, naive when no offset is given; None when `text` has another form; ValueError for no such day."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    date, minute, second, fraction, offset = match.groups()
    leap = second == "60"  # RFC 3339 §5.7 has leap seconds, datetime has not: it is the second after
    instant = datetime.fromisoformat(
        f"{date}T{minute}:{'59' if leap else second}.{(fraction or '0')[:6]:0<6}{(offset or '').upper()}"
    )
    return instant + timedelta(seconds=1) if leap else instant


def _wrong_type(path: str, expected: str, value: Any) -> DecodeFailure:
    found = _JSON_NAMES.get(type(value), type(value).__name__)
    return DecodeFailure(FailureKind.TYPE, path, f"{expected} is expected, not {found}")


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
