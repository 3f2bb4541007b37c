"""What a variable of the station is: its kind, its limits, what it does. The rows themselves stand in `variable_table`.

Guarantees
* A text fits its variable if its kind, its limits and its `check` say so; nothing else is taken.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.domain.variable import Mutability, VariableRef

KEY: Final = "ConfigurationKey"
"""The component of what the appendices have no name for."""

_MEASURAND_LIMIT: Final = 32


class Kind(StrEnum):
    """How a variable's text is read."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    OPTION = "OptionList"
    MEMBERS = "MemberList"
    MEASURANDS = "measurands"
    """A MemberList of measurands that the station can measure, each with an optional phase: `Voltage.L1`."""


class VariableSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One variable. `default` None: the station's configuration or hardware gives it."""

    ref: VariableRef
    kind: Kind
    default: str | None
    does: str
    unit: str = ""
    mutability: Mutability = Mutability.READ_WRITE
    minimum: int | None = None
    maximum: int | None = None
    """Of an integer its largest value; of a list its most members; of a string its most characters."""
    longest: VariableRef | None = None
    """Of a list: the variable that says how many members it may have, in place of `maximum`."""
    choices: tuple[str, ...] = ()
    needs_reboot: bool = False
    follows: VariableRef | None = None
    """Until it is set itself, it has the value of this one."""
    outside: bool = False
    """Obeyed by whoever drives the core or by the hardware: told by `Configure`."""
    standard: bool = True
    of_hardware: bool = False
    """Told by the hardware alone: no configuration says otherwise."""
    check: Callable[[str], str | None] | None = None
    """Why a text is none of this variable's, although kind and limits let it pass; None: it is."""


def number(
    ref: VariableRef, default: int | None, does: str, *, unit: str = "", minimum: int = 0, maximum: int = 2**31 - 1
) -> VariableSpec:
    """An integer that a CSMS may set."""
    text = None if default is None else str(default)
    return VariableSpec(
        ref=ref, kind=Kind.INTEGER, default=text, does=does, unit=unit, minimum=minimum, maximum=maximum
    )


def switch(ref: VariableRef, default: bool, does: str) -> VariableSpec:
    """A boolean that a CSMS may set."""
    return VariableSpec(ref=ref, kind=Kind.BOOLEAN, default="true" if default else "false", does=does)


def measurands(ref: VariableRef, default: str, does: str, longest: str | None = None) -> VariableSpec:
    """A list of measurands that a CSMS may set; `longest` names the key that says how many."""
    limit = None if longest is None else VariableRef(KEY, longest)
    return VariableSpec(
        ref=ref, kind=Kind.MEASURANDS, default=default, does=does, maximum=_MEASURAND_LIMIT, longest=limit
    )


def fixed(
    ref: VariableRef, kind: Kind, default: str | None, does: str, *, longest: VariableRef | None = None
) -> VariableSpec:
    """What a CSMS may only read."""
    mutability = Mutability.READ_ONLY
    return VariableSpec(ref=ref, kind=kind, default=default, does=does, mutability=mutability, longest=longest)


def most_members(name: str, listed: VariableRef) -> VariableSpec:
    """How long a list may be."""
    does = f"Most members of {listed}."
    return own(fixed(VariableRef(KEY, name), Kind.INTEGER, str(_MEASURAND_LIMIT), does))


def own(spec: VariableSpec) -> VariableSpec:
    """A variable that the appendices of OCPP 2.0.1 don't have."""
    return msgspec.structs.replace(spec, standard=False)


def of_hardware(spec: VariableSpec) -> VariableSpec:
    """A fact that the hardware tells."""
    return msgspec.structs.replace(spec, of_hardware=True)


def outside(spec: VariableSpec) -> VariableSpec:
    """A variable that is obeyed outside of the core."""
    return msgspec.structs.replace(spec, outside=True)


def following(spec: VariableSpec, ref: VariableRef) -> VariableSpec:
    """A variable that has the value of another until it is set itself."""
    return msgspec.structs.replace(spec, follows=ref)
