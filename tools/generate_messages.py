"""Write `src/forecourt/messages/v16.py`, `v201.py` and `v21.py` from the official JSON schemas.

The schemas are those inside the PyPI package `ocpp` (a development dependency). The output depends on nothing else and
is the same on every run; `--check` writes nothing and fails when the committed files differ from it.

Names
-----
* A message is its action with `Request` or `Response`; what 2.1 only sends (no answer) is the bare action.
* A definition of a 2.x schema, and of the 1.6 security extension, keeps its name without the trailing `Type`
  (`IdTokenType` -> `IdToken`, `IdTokenEnumType` -> `IdTokenEnum`).
* The core of 1.6 has anonymous objects and enumerations: `V16_OBJECTS` and `V16_ENUMS` give them the name that the
  specification uses. Equal structures share one class; two structures under one name stop the generator.
* Attributes are the wire's names in snake_case, enum members in UPPER_CASE; `WORDS` lists the spellings that the rule
  would get wrong. The wire's name stands next to every attribute that differs from it.
"""

import argparse
import difflib
import json
import keyword
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).resolve().parent.parent / "src" / "forecourt" / "messages"
VERSIONS = {"v16": "1.6", "v201": "2.0.1", "v21": "2.1"}
LINE_LENGTH = 120
HUNK_LINES_SHOWN = 40

Schema = dict[str, Any]

NOT_SHAPE = {"description", "javaType", "comment", "default", "title", "$schema", "$id", "id"}
"""Keywords that say nothing about what is valid."""

KNOWN_KEYWORDS = NOT_SHAPE | {
    "type", "properties", "required", "additionalProperties", "additionalItems", "items", "minItems", "maxItems",
    "maxLength", "enum", "format", "minimum", "maximum", "multipleOf", "definitions", "$ref",
}  # fmt: skip

ONE_DECIMAL = "at most one digit fraction"
"""How the 2.0.1 schemas say in prose what 1.6 says with multipleOf 0.1."""

WORDS = {
    "prioritizedEMAIDs": "prioritized_emaids",
    "eMAID": "emaid",
    "soC": "soc",
    "soH": "soh",
    "IdleTIme": "idle_time",
    "IKEv2": "ikev2",
    "RoCoF": "rocof",
    "Other1PhMax16A": "other_1ph_max_16a",
    "Other1PhOver16A": "other_1ph_over_16a",
    "Other3Ph": "other_3ph",
}

ACRONYMS = {"SoC": "Soc", "SoH": "Soh", "V2X": "V2x", "V2G20": "V2g20_", "V2G": "V2g_", "IPSec": "Ipsec"}
"""Spellings inside of longer names that would fall apart into letters."""

V16_OBJECTS = {
    "idTagInfo": "IdTagInfo",
    "chargingProfile": "ChargingProfile",
    "csChargingProfiles": "ChargingProfile",
    "chargingSchedule": "ChargingSchedule",
    "chargingSchedulePeriod": "ChargingSchedulePeriod",
    "configurationKey": "KeyValue",
    "localAuthorizationList": "AuthorizationData",
    "meterValue": "MeterValue",
    "sampledValue": "SampledValue",
    # StopTransaction's schema knows no Hertz and lets a meter value be empty: not the MeterValue of MeterValues.
    "transactionData": "TransactionData",
    "transactionData.sampledValue": "TransactionSampledValue",
}

V16_ENUMS = {
    "IdTagInfo.status": "AuthorizationStatus",
    "BootNotificationResponse.status": "RegistrationStatus",
    "CancelReservationResponse.status": "CancelReservationStatus",
    "ChangeAvailabilityRequest.type": "AvailabilityType",
    "ChangeAvailabilityResponse.status": "AvailabilityStatus",
    "ChangeConfigurationResponse.status": "ConfigurationStatus",
    "ClearCacheResponse.status": "ClearCacheStatus",
    "ClearChargingProfileResponse.status": "ClearChargingProfileStatus",
    "DataTransferResponse.status": "DataTransferStatus",
    "DiagnosticsStatusNotificationRequest.status": "DiagnosticsStatus",
    "FirmwareStatusNotificationRequest.status": "FirmwareStatus",
    "GetCompositeScheduleResponse.status": "GetCompositeScheduleStatus",
    "RemoteStartTransactionResponse.status": "RemoteStartStopStatus",
    "RemoteStopTransactionResponse.status": "RemoteStartStopStatus",
    "ReserveNowResponse.status": "ReservationStatus",
    "ResetRequest.type": "ResetType",
    "ResetResponse.status": "ResetStatus",
    "SendLocalListRequest.updateType": "UpdateType",
    "SendLocalListResponse.status": "UpdateStatus",
    "SetChargingProfileResponse.status": "ChargingProfileStatus",
    "StatusNotificationRequest.errorCode": "ChargePointErrorCode",
    "StatusNotificationRequest.status": "ChargePointStatus",
    "StopTransactionRequest.reason": "Reason",
    "TriggerMessageRequest.requestedMessage": "MessageTrigger",
    "TriggerMessageResponse.status": "TriggerMessageStatus",
    "UnlockConnectorResponse.status": "UnlockStatus",
    "TransactionSampledValue.unit": "TransactionUnitOfMeasure",
    "*.chargingProfilePurpose": "ChargingProfilePurposeType",
    "*.chargingProfileKind": "ChargingProfileKindType",
    "*.recurrencyKind": "RecurrencyKindType",
    "*.chargingRateUnit": "ChargingRateUnitType",
    "*.context": "ReadingContext",
    "*.format": "ValueFormat",
    "*.measurand": "Measurand",
    "*.phase": "Phase",
    "*.location": "Location",
    "*.unit": "UnitOfMeasure",
}


class SchemaSurpriseError(Exception):
    """The schemas hold something that this generator has no rule for."""


@dataclass
class Member:
    wire_name: str
    name: str
    annotation: str
    required: bool
    is_instant: bool
    in_tenths: bool
    holds_anything: bool


@dataclass
class Record:
    name: str
    base: str
    members: list[Member]


@dataclass
class Module:
    version: str
    shapes: dict[str, str] = field(default_factory=dict)
    enums: dict[str, list[str]] = field(default_factory=dict)
    datatypes: dict[str, Record] = field(default_factory=dict)
    messages: dict[str, Record] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, str]] = field(default_factory=lambda: {"REQUESTS": {}, "RESPONSES": {}, "SENDS": {}})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a committed file differs")
    check: bool = parser.parse_args().check
    stale = 0
    for version in VERSIONS:
        path = OUTPUT / f"{version}.py"
        new = source_of(version)
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if new == old:
            continue
        if check:
            stale += 1
            show_difference(path, old, new)
        else:
            path.write_text(new, encoding="utf-8")
            print(f"wrote {path.name}")
    if stale:
        print(f"{stale} of {len(VERSIONS)} files are not what the schemas give; run `make messages`", file=sys.stderr)
    return 1 if stale else 0


def show_difference(path: Path, old: str, new: str) -> None:
    diff = list(
        difflib.unified_diff(
            old.splitlines(), new.splitlines(), f"{path.name} (committed)", f"{path.name} (generated)", lineterm="", n=1
        )
    )
    print("\n".join(diff[:HUNK_LINES_SHOWN]), file=sys.stderr)
    if len(diff) > HUNK_LINES_SHOWN:
        print(f"... and {len(diff) - HUNK_LINES_SHOWN} more lines", file=sys.stderr)


# ---------------------------------------------------------------------------------------------------------- schemas in


def schemas_of(version: str) -> Iterator[tuple[str, Schema]]:
    """The file's stem and the schema, in alphabetical order; some files begin with a byte order mark."""
    folder = files("ocpp").joinpath(version, "schemas")
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            yield entry.name.removesuffix(".json"), json.loads(entry.read_bytes().decode("utf-8-sig"))


def table_of(version: str, stem: str) -> tuple[str, str, str]:
    """The table, the action and the class for a schema's file name."""
    if stem.endswith("Response"):
        return "RESPONSES", stem.removesuffix("Response"), stem
    if stem.endswith("Request"):
        return "REQUESTS", stem.removesuffix("Request"), stem
    if version == "v16":
        return "REQUESTS", stem, f"{stem}Request"
    return "SENDS", stem, stem


def source_of(version: str) -> str:
    """The whole text of one module."""
    module = Module(version)
    for stem, schema in schemas_of(version):
        table, action, name = table_of(version, stem)
        reader = Reader(module, schema.get("definitions", {}))
        module.messages[name] = reader.record(name, "Message", schema, name)
        module.tables[table][action] = name
    return "\n".join(render(module)) + "\n"


@dataclass
class Reader:
    """Reads one schema file into the module that all files of a version share."""

    module: Module
    definitions: dict[str, Schema]

    def record(self, name: str, base: str, schema: Schema, context: str) -> Record:
        require_known(schema, name)
        if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
            raise SchemaSurpriseError(f"{name} is not a closed object")
        required = set(schema.get("required", ()))
        properties = schema.get("properties", {})
        if not required <= set(properties):
            raise SchemaSurpriseError(f"{name} requires what it does not define: {required - set(properties)}")
        members = [self.member(name, wire, part, wire in required, context) for wire, part in properties.items()]
        if len({member.name for member in members}) != len(members):
            raise SchemaSurpriseError(f"{name} has two attributes of one name")
        return Record(name, base, sorted(members, key=lambda member: not member.required))

    def member(self, owner: str, wire: str, schema: Schema, required: bool, context: str) -> Member:
        annotation = self.annotation(owner, wire, schema, context)
        if not required and annotation != "Any":
            annotation += " | None"
        return Member(
            wire_name=wire,
            name=attribute_name(wire),
            annotation=annotation,
            required=required,
            is_instant=schema.get("format") == "date-time",
            in_tenths=schema.get("multipleOf") == 0.1 or ONE_DECIMAL in schema.get("description", ""),
            holds_anything=annotation == "Any",
        )

    def annotation(self, owner: str, wire: str, schema: Schema, context: str) -> str:
        """The Python type of one property or array element."""
        require_known(schema, f"{owner}.{wire}")
        if "$ref" in schema:
            return self.definition(schema["$ref"].removeprefix("#/definitions/"))
        match schema.get("type"):
            case None if not shape_of(schema):
                return "Any"
            case "string" if "enum" in schema:
                return self.enum(self.enum_name(owner, wire), schema)
            case "string" if schema.get("format") == "date-time":
                return "Instant"
            case "string":
                # A `uri` is not checked: what stations and operators call a location often is not one by RFC 3986.
                return self.alias("Text", "str", schema, {"max_length": "maxLength"})
            case "integer":
                return self.alias("Integer", "int", schema, {"ge": "minimum", "le": "maximum"})
            case "number":
                return self.alias("Number", "float", schema, {"ge": "minimum", "le": "maximum"})
            case "boolean":
                return "bool"
            case "array":
                element = self.annotation(owner, wire, schema["items"], context)
                if schema["items"].get("format") == "date-time" or element == "Any":
                    raise SchemaSurpriseError(f"{owner}.{wire} is an array of {element}")
                return self.array(element, schema)
            case "object":
                path = f"{context}.{wire}".removeprefix("StopTransactionRequest.")
                name = V16_OBJECTS[path if path in V16_OBJECTS else wire]
                return self.datatype(name, schema, wire)
        raise SchemaSurpriseError(f"{owner}.{wire}: {schema}")

    def definition(self, key: str) -> str:
        schema = self.definitions[key]
        name = key.removesuffix("Type")
        if name == "CustomData":
            vendor_id = {"type": "string", "maxLength": 255}
            if shape_of(schema) != {
                "type": "object",
                "properties": {"vendorId": vendor_id},
                "required": ["vendorId"],
            }:
                raise SchemaSurpriseError(f"CustomData is not what messages/base.py says it is: {schema}")
            return "CustomData"
        if "enum" in schema:
            return self.enum(name, schema)
        return self.datatype(name, schema, name)

    def enum_name(self, owner: str, wire: str) -> str:
        return V16_ENUMS.get(f"{owner}.{wire}") or V16_ENUMS[f"*.{wire}"]

    def enum(self, name: str, schema: Schema) -> str:
        require_known(schema, name)
        self.same_shape(name, sorted(schema["enum"]))
        values = self.module.enums.setdefault(name, schema["enum"])
        if len({member_name(value) for value in values}) != len(values):
            raise SchemaSurpriseError(f"{name} has two members of one name")
        return name

    def datatype(self, name: str, schema: Schema, context: str) -> str:
        self.same_shape(name, shape_of(schema))
        if name not in self.module.datatypes:
            self.module.datatypes[name] = self.record(name, "Datatype", schema, context)
        else:
            self.record(name, "Datatype", schema, context)  # its parts must agree as well
        return name

    def same_shape(self, name: str, shape: object) -> None:
        text = json.dumps(shape, sort_keys=True)
        if self.module.shapes.setdefault(name, text) != text:
            raise SchemaSurpriseError(f"{name} has two shapes in {self.module.version}")

    def array(self, element: str, schema: Schema) -> str:
        """AtLeast1[Element], From1To3[Element], or a plain tuple where the schema sets no bound."""
        limits = {"min_length": "minItems", "max_length": "maxItems"}
        match [number(schema[key]) for key in limits.values() if key in schema]:
            case []:
                return f"tuple[{element}, ...]"
            case [least] if "minItems" in schema:
                name = f"AtLeast{least}"
            case [least, most]:
                name = f"From{least}To{most}"
            case _:
                raise SchemaSurpriseError(f"an array with a maximum only: {schema}")
        self.module.aliases[name] = annotated("tuple[T, ...]", schema, limits)
        return f"{name}[{element}]"

    def alias(self, prefix: str, base: str, schema: Schema, limits: dict[str, str]) -> str:
        """A name for a constrained scalar: Text20, Integer0To3, Number0."""
        bounds = [number(schema[key]) for key in limits.values() if key in schema]
        if not bounds:
            return base
        only_maximum = "maximum" in schema and "minimum" not in schema
        name = prefix + ("AtMost" if only_maximum else "") + "To".join(bounds)
        if prefix != "Text" and len(bounds) == 1 and not only_maximum:
            name = f"{prefix}From{bounds[0]}"
        self.module.aliases[name] = annotated(base, schema, limits)
        return name


def annotated(base: str, schema: Schema, limits: dict[str, str]) -> str:
    arguments = [f"{ours}={number(schema[theirs])}" for ours, theirs in limits.items() if theirs in schema]
    return f"Annotated[{base}, Meta({', '.join(arguments)})]" if arguments else base


def number(value: float) -> str:
    if value != int(value):
        raise SchemaSurpriseError(f"a bound that is not whole: {value}")
    return str(int(value))


def require_known(schema: Schema, where: str) -> None:
    if unknown := set(schema) - KNOWN_KEYWORDS:
        raise SchemaSurpriseError(f"{where} uses {sorted(unknown)}")


def shape_of(schema: Any, *, named: bool = False) -> Any:
    """The schema without words; under `properties` every key is a name, not a keyword."""
    if isinstance(schema, list):
        return sorted(schema) if all(isinstance(item, str) for item in schema) else [shape_of(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: shape_of(part, named=key == "properties" and not named)
        for key, part in schema.items()
        if named or key not in NOT_SHAPE
    }


# ------------------------------------------------------------------------------------------------------------ names


def words_of(text: str) -> str:
    for spelling, word in ACRONYMS.items():
        text = text.replace(spelling, word)
    text = re.sub(r"[^0-9A-Za-z]+", "_", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", text)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text).strip("_")


def attribute_name(wire: str) -> str:
    name = WORDS.get(wire) or words_of(wire).lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def member_name(value: str) -> str:
    if re.fullmatch(r"k?(Wh|W|VA|var|varh)", value) or value == "SoC" or re.fullmatch(r"[0-9A-Z_]+", value):
        return value.upper()
    name = (WORDS.get(value) or words_of(value)).upper()
    if not name.isidentifier():
        raise SchemaSurpriseError(f"no name for {value!r}")
    return name


# ----------------------------------------------------------------------------------------------------------- text out


def render(module: Module) -> Iterator[str]:
    """The lines of a module, laid out as `ruff format` would leave them."""
    body = [line for part in parts_of(module) for line in part]
    used = set(re.findall(r"\w+", "\n".join(body)))

    def imports(source: str, *names: str) -> str:
        return f"from {source} import {', '.join(name for name in names if name in used)}"

    yield f'"""OCPP {VERSIONS[module.version]} messages. GENERATED by tools/generate_messages.py: do not edit."""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "from enum import StrEnum"
    yield imports("typing", "Annotated", "Any", "TypeVar")
    yield ""
    yield imports("msgspec", "Meta", "field")
    yield ""
    yield imports(
        "forecourt.messages.base", "CustomData", "Datatype", "Instant", "Message", "settle_instant", "settle_tenths"
    )
    yield from body


def parts_of(module: Module) -> Iterator[list[str]]:
    if any("tuple[T" in target for target in module.aliases.values()):
        yield ["", 'T = TypeVar("T")']
    yield ["", *(f"{name} = {module.aliases[name]}" for name in sorted(module.aliases, key=alias_order))]
    for name in sorted(module.enums):
        yield enum_lines(name, module.enums[name])
    for records in (module.datatypes, module.messages):
        for name in sorted(records):
            yield record_lines(records[name])
    for index, (table, rows) in enumerate(module.tables.items()):
        yield [*([""] * (1 if index else 2)), *table_lines(table, rows)]


def alias_order(name: str) -> tuple[str, int, str]:
    prefix, digits = re.fullmatch(r"(\D+)(\d+).*", name).groups()  # type: ignore[union-attr]
    return prefix, int(digits), name


def enum_lines(name: str, values: list[str]) -> list[str]:
    return ["", "", f"class {name}(StrEnum):", *(f'    {member_name(value)} = "{value}"' for value in values)]


def record_lines(record: Record) -> list[str]:
    # An object that may hold anything may, if one tries, hold itself: only those stay with the garbage collector.
    gc = ", gc=True" if any(member.holds_anything for member in record.members) else ""
    lines = ["", "", f"class {record.name}({record.base}, frozen=True, kw_only=True{gc}):"]
    if not record.members:
        return [*lines, "    pass"]
    lines += [line for member in record.members for line in member_lines(member)]
    settled = [
        f'        {rule}(self, "{member.name}", self.{member.name})'
        for member in record.members
        for rule, applies in (("settle_instant", member.is_instant), ("settle_tenths", member.in_tenths))
        if applies
    ]
    return [*lines, "", "    def __post_init__(self) -> None:", *settled] if settled else lines


def member_lines(member: Member) -> list[str]:
    arguments = [] if member.required else ["default=None"]
    if member.name != member.wire_name:
        arguments.append(f'name="{member.wire_name}"')
        value = f" = field({', '.join(arguments)})"
    else:
        value = "" if member.required else " = None"
    line = f"    {member.name}: {member.annotation}{value}"
    if len(line) <= LINE_LENGTH:
        return [line]
    return [f"    {member.name}: {member.annotation} = field(", f"        {', '.join(arguments)}", "    )"]


def table_lines(name: str, rows: dict[str, str]) -> list[str]:
    head = f"{name}: dict[str, type[Message]] = "
    if not rows:
        return [head + "{}"]
    one_line = head + "{" + ", ".join(f'"{action}": {rows[action]}' for action in sorted(rows)) + "}"
    if len(rows) == 1 and len(one_line) <= LINE_LENGTH:
        return [one_line]
    return [head + "{", *(f'    "{action}": {rows[action]},' for action in sorted(rows)), "}"]


if __name__ == "__main__":
    sys.exit(main())
