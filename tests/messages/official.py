"""The official schemas as the tests see them: validators, payloads they accept, and changes that make them refuse.

Reads the schemas on its own: nothing here comes from the generator that is under test.
"""

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from hypothesis import strategies as st
from jsonschema.validators import validator_for

from forecourt.messages import v16, v21, v201
from forecourt.messages.base import Message
from forecourt.messages.failure import FailureKind

MODULES = {"v16": v16, "v201": v201, "v21": v21}
TABLES = ("REQUESTS", "RESPONSES", "SENDS")

DRAFT_04 = "http://json-schema.org/draft-04/schema#"
REMOVED = object()

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or _DATE_TIME.fullmatch(value) is not None


@dataclass(frozen=True)
class Official:
    """One message: where it stands in our tables, and its schema."""

    version: str
    table: str
    action: str
    schema: dict[str, Any] = field(repr=False, compare=False)

    @property
    def message_type(self) -> type[Message]:
        return self.messages[self.action]

    @property
    def messages(self) -> dict[str, type[Message]]:
        table: dict[str, type[Message]] = getattr(MODULES[self.version], self.table)
        return table

    @property
    def draft_04(self) -> bool:
        return bool(self.schema["$schema"] == DRAFT_04)

    def errors(self, wire: bytes | str) -> list[str]:
        """What the official schema has against this payload. Decimals are read exactly: 0.3 is a multiple of 0.1."""
        return [error.message for error in _validator(self).iter_errors(json.loads(wire, parse_float=_exactly))]

    def __str__(self) -> str:
        return f"{self.version}-{self.action}-{self.table.lower()}"


def _exactly(text: str) -> Fraction | int:
    number = Fraction(text)
    return int(number) if number.denominator == 1 else number


@cache
def _validator(official: Official) -> Any:
    schema = json.loads(json.dumps(official.schema), parse_float=_exactly)
    return validator_for(schema)(schema, format_checker=_FORMATS)


@cache
def all_messages() -> tuple[Official, ...]:
    """Every schema of every version."""
    found = []
    for version in MODULES:
        for entry in sorted(files("ocpp").joinpath(version, "schemas").iterdir(), key=lambda entry: entry.name):
            if not entry.name.endswith(".json"):
                continue
            stem = entry.name.removesuffix(".json")
            schema = json.loads(entry.read_bytes().decode("utf-8-sig"))
            if stem.endswith("Response"):
                found.append(Official(version, "RESPONSES", stem.removesuffix("Response"), schema))
            elif stem.endswith("Request") or version == "v16":
                found.append(Official(version, "REQUESTS", stem.removesuffix("Request"), schema))
            else:
                found.append(Official(version, "SENDS", stem, schema))
    return tuple(found)


# ------------------------------------------------------------------------------------------- what a schema accepts


@st.composite
def date_times(draw: st.DrawFn) -> str:
    """Any way in which RFC 3339 writes an instant between the years 2 and 9998."""
    day = draw(st.dates(min_value=date(2, 1, 1), max_value=date(9998, 12, 31)))
    clock = draw(st.times())
    second = "60" if draw(st.integers(0, 30)) == 30 else f"{clock.second:02}"
    fraction = draw(st.sampled_from(["", "", ".5", ".250", f".{clock.microsecond:06}", ".123456789"]))
    zone = draw(st.sampled_from(["Z", "Z", "z", "+00:00", "-00:00", "+05:30", "-08:00", "+14:00", "-23:59"]))
    separator = "t" if zone == "z" else "T"
    return f"{day.isoformat()}{separator}{clock.hour:02}:{clock.minute:02}:{second}{fraction}{zone}"


_ANYTHING = st.one_of(
    st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=10), st.lists(st.none() | st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.none() | st.text(max_size=4), max_size=2),
)  # fmt: skip
_BOOLEANS = st.booleans()
_SHORT = st.text(max_size=12)
_DATE_TIMES = date_times()
_COUNTS = st.integers(0, 3)


@st.composite
def payloads(draw: st.DrawFn, official: Official) -> dict[str, Any]:
    """A payload that the schema accepts."""
    payload = _valid(draw, official.schema, official)
    assert isinstance(payload, dict)
    return payload


def _valid(draw: st.DrawFn, schema: dict[str, Any], official: Official) -> Any:
    schema = resolve(schema, official)
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            optional = [name for name in schema.get("properties", {}) if name not in required]
            chosen = draw(st.lists(st.sampled_from(optional), unique=True, max_size=4)) if optional else []
            payload = {name: _valid(draw, schema["properties"][name], official) for name in [*required, *chosen]}
            if schema.get("additionalProperties") is not False and draw(_BOOLEANS):
                payload["more"] = draw(_ANYTHING)
            return payload
        case "array":
            least = schema.get("minItems", 0)
            count = min(schema.get("maxItems", 9), least + (draw(_COUNTS) == 3))
            return [_valid(draw, schema["items"], official) for _ in range(count)]
        case "string" if schema.get("format") == "date-time":
            return draw(_DATE_TIMES)
        case "string":
            longest = schema.get("maxLength", 300)
            return "\U0001f50c" * longest if draw(_COUNTS) == 3 else draw(_SHORT)[:longest]
        case "integer":
            number = draw(st.integers(_bound(schema, "minimum", -(2**70)), _bound(schema, "maximum", 2**70)))
            whole_float = not official.draft_04 and abs(number) < 2**50 and draw(_COUNTS) == 3
            return float(number) if whole_float else number
        case "number":
            if "multipleOf" in schema or "one digit fraction" in schema.get("description", ""):
                return draw(st.integers(-(10**7), 10**7)) / 10
            low, high = schema.get("minimum", -1e300), schema.get("maximum", 1e300)
            return draw(st.floats(low, high) | st.integers(int(max(low, -(2**70))), int(min(high, 2**70))))
        case "boolean":
            return draw(_BOOLEANS)
    return draw(_ANYTHING)


def _bound(schema: dict[str, Any], name: str, default: int) -> int:
    return int(schema.get(name, default))


def resolve(schema: dict[str, Any], official: Official) -> dict[str, Any]:
    if "$ref" in schema:
        resolved: dict[str, Any] = official.schema["definitions"][schema["$ref"].removeprefix("#/definitions/")]
        return resolved
    return schema


# ------------------------------------------------------------------------------------------- what a schema refuses

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """Put `value` (or nothing) where `path` points; the schema refuses the result, and we call that `kind`."""

    path: Path
    value: Any = field(repr=False)
    kind: FailureKind

    def applied_to(self, payload: dict[str, Any]) -> dict[str, Any]:
        changed = copy.deepcopy(payload)
        place: Any = changed
        for step in self.path[:-1]:
            place = place[step]
        if self.value is REMOVED:
            del place[self.path[-1]]
        else:
            place[self.path[-1]] = self.value
        return changed

    @property
    def wire_path(self) -> str:
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return steps.removeprefix(".")


def changes(official: Official, payload: dict[str, Any]) -> list[Change]:
    """Every way we know to spoil this payload."""
    return list(_changes(official.schema, payload, (), official))


def _changes(schema: dict[str, Any], value: Any, path: Path, official: Official) -> Iterator[Change]:
    schema = resolve(schema, official)
    kind = schema.get("type")
    if kind is None:
        return
    if path:
        for wrong in _wrong_values(kind):
            yield Change(path, wrong, FailureKind.TYPE)
        if "enum" in schema:
            yield Change(path, "no such value", FailureKind.VALUE)
            yield Change(path, schema["enum"][0] + " ", FailureKind.VALUE)
        if "maxLength" in schema:
            yield Change(path, "x" * (schema["maxLength"] + 1), FailureKind.VALUE)
        if schema.get("format") == "date-time":
            yield Change(path, "2024-02-03T04:05:06", FailureKind.VALUE)
            yield Change(path, "yesterday", FailureKind.VALUE)
        if "minimum" in schema:
            yield Change(path, schema["minimum"] - 1, FailureKind.VALUE)
        if "maximum" in schema:
            yield Change(path, schema["maximum"] + 1, FailureKind.VALUE)
        if schema.get("minItems"):
            yield Change(path, [], FailureKind.OCCURRENCE)
        if "maxItems" in schema and value:
            yield Change(path, value[:1] * (schema["maxItems"] + 1), FailureKind.OCCURRENCE)
    if kind == "object":
        for name in schema.get("required", ()):
            yield Change((*path, name), REMOVED, FailureKind.MISSING_FIELD)
        for name, part in schema.get("properties", {}).items():
            if name in value:
                yield from _changes(part, value[name], (*path, name), official)
    elif kind == "array":
        for index, element in enumerate(value):
            yield from _changes(schema["items"], element, (*path, index), official)


def _wrong_values(kind: str) -> list[Any]:
    wrong: list[Any] = [None]
    if kind != "object":
        wrong.append({})
    if kind != "array":
        wrong.append(["x"])
    if kind != "string":
        wrong.append("1")
    if kind == "integer":
        wrong.append(1.5)
    if kind not in {"number", "integer"}:
        wrong.append(7)
    if kind != "boolean":
        wrong.append(True)
    return wrong
