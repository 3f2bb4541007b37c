"""The device model: components and their variables (OCPP 2.0.1 chapter B; 1.6 calls them configuration keys)."""

from enum import StrEnum

import msgspec


class Mutability(StrEnum):
    """What a CSMS may do with a variable."""

    READ_ONLY = "ReadOnly"
    READ_WRITE = "ReadWrite"
    WRITE_ONLY = "WriteOnly"


class AttributeType(StrEnum):
    """Which value of a variable is meant (OCPP 2.0.1 AttributeEnumType)."""

    ACTUAL = "Actual"
    TARGET = "Target"
    MIN_SET = "MinSet"
    MAX_SET = "MaxSet"


class ReportBase(StrEnum):
    """Which variables a report of all of them is about (OCPP 2.0.1 B07)."""

    CONFIGURATION = "ConfigurationInventory"
    FULL = "FullInventory"
    SUMMARY = "SummaryInventory"


class VariableRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """Names one variable of one component, by the names of the OCPP 2.0.1 appendices."""

    component: str
    variable: str
    variable_instance: str | None = None
    component_instance: str | None = None
    evse_id: int | None = None
    connector_id: int | None = None
    attribute: AttributeType = AttributeType.ACTUAL

    def __str__(self) -> str:
        component = self.component + (f"[{self.component_instance}]" if self.component_instance else "")
        variable = self.variable + (f"[{self.variable_instance}]" if self.variable_instance else "")
        place = "" if self.evse_id is None else f"@{self.evse_id}"
        return f"{component}{place}.{variable}"


class SetVariableStatus(StrEnum):
    """What became of setting a variable."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    UNKNOWN_COMPONENT = "UnknownComponent"
    UNKNOWN_VARIABLE = "UnknownVariable"
    NOT_SUPPORTED_ATTRIBUTE_TYPE = "NotSupportedAttributeType"
    REBOOT_REQUIRED = "RebootRequired"


class GetVariableStatus(StrEnum):
    """What became of reading a variable."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    UNKNOWN_COMPONENT = "UnknownComponent"
    UNKNOWN_VARIABLE = "UnknownVariable"
    NOT_SUPPORTED_ATTRIBUTE_TYPE = "NotSupportedAttributeType"


class VariableSetting(msgspec.Struct, frozen=True):
    """A value that a variable shall have. OCPP writes all values as text."""

    ref: VariableRef
    value: str


class VariableSetResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome for one setting."""

    ref: VariableRef
    outcome: SetVariableStatus
    info: str = ""


class VariableReading(msgspec.Struct, frozen=True, omit_defaults=True):
    """A variable as a station reports it; `value` is None when it has none or must not be told."""

    ref: VariableRef
    outcome: GetVariableStatus = GetVariableStatus.ACCEPTED
    value: str | None = None
    mutability: Mutability = Mutability.READ_WRITE
