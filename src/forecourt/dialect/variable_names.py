"""Variables as people write them in configuration files: by component and variable, or by their older key.

Guarantees
* `TxCtrlr.EVConnectionTimeOut`, `OCPPCommCtrlr.MessageTimeout[Default]`, the same as a table of a table, and the
  key `ConnectionTimeOut` are all understood; values may be text, numbers, booleans or lists of text.
* A key's value is read as that version writes it; what names nothing that could be is a ValueError that quotes it.
"""

from collections.abc import Iterator, Mapping

from forecourt.dialect.v16_keys import ref_of, value_of
from forecourt.domain.variable import VariableRef

Value = str | int | float | bool | list[str]
Written = Value | dict[str, Value]


def variables_of(written: Mapping[str, Written]) -> dict[VariableRef, str]:
    """The variables that `written` gives values to.

    Raises:
        ValueError: a name can't be one, or a variable is named twice.
    """
    found: dict[VariableRef, str] = {}
    for name, value in _flat(written):
        ref = variable_of(name)
        if ref in found:
            raise ValueError(f"variables.{name}: has a value already, by another name")
        found[ref] = _value(ref, name, value)
    return found


def variable_of(name: str) -> VariableRef:
    """The variable that `name` means.

    Raises:
        ValueError: it can't be a name.
    """
    component, dot, variable = name.partition(".")
    if not dot:
        if not name.strip():
            raise ValueError("variables: a name is empty")
        return ref_of(name)
    variable, bracket, instance = variable.partition("[")
    if not component or not variable or (bracket and not (instance.endswith("]") and instance != "]")):
        raise ValueError(f'variables: expected names such as "TxCtrlr.EVConnectionTimeOut", got "{name}"')
    return VariableRef(component, variable, instance[:-1] if bracket else None)


def text(value: Value) -> str:
    """A value as OCPP writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)


def _flat(written: Mapping[str, Written]) -> Iterator[tuple[str, Value]]:
    for name, value in written.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{variable}", inner) for variable, inner in value.items())
        else:
            yield name, value


def _value(ref: VariableRef, name: str, value: Value) -> str:
    return text(value) if "." in name else value_of(ref, text(value))
