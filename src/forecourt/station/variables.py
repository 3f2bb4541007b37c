"""The values of the station's variables: reading, setting, keeping.

Guarantees
* A value that does not fit its variable changes nothing and is Rejected (OCPP 1.6 §5.3); a variable that needs a reboot
  takes its new value when the station starts again, and says RebootRequired until then (`effective` against `stored`).
* Asked for none in particular all are told; a name that nobody knows is said to be unknown (§5.8).
* Names compare without regard to case (OCPP 2.0.1 identifierString).
* A list is no longer than the variable for its length says (OCPP 1.6 §9.1, ...MaxLength).
* Only what differs from the table is held in memory and in the journal.
* A write-only variable is never told (OCPP 1.6 security white paper, AuthorizationKey).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from forecourt.domain.meter import Measurand, MeasuredPhase
from forecourt.domain.variable import (
    AttributeType,
    GetVariableStatus,
    Mutability,
    SetVariableStatus,
    VariableReading,
    VariableRef,
    VariableSetResult,
    VariableSetting,
)
from forecourt.station.effects import Configure
from forecourt.station.turn import Turn
from forecourt.station.variable_spec import Kind, VariableSpec
from forecourt.station.variable_table import TABLE

SECTION: Final = "variable"

Key = tuple[str, ...]
Selection = tuple[tuple[Measurand, MeasuredPhase | None], ...]
"""Measurands to sample; with a phase, only that one."""

_NONE: Final[Mapping[VariableRef, str]] = MappingProxyType({})

decode_record = msgspec.json.Decoder(VariableSetting).decode


def _key(ref: VariableRef) -> Key:
    """What identifies a variable: its names without regard to case."""
    parts = (ref.component, ref.variable, ref.variable_instance, ref.component_instance, ref.evse_id, ref.connector_id)
    return tuple("" if part is None else str(part).casefold() for part in parts)


def same_variable(one: VariableRef, other: VariableRef) -> bool:
    """Whether two references name one variable, however they are written."""
    return _key(one) == _key(other)


_SPECS: Final[dict[Key, VariableSpec]] = {_key(spec.ref): spec for spec in TABLE}
_COMPONENTS: Final = frozenset(key[0] for key in _SPECS)
_KEYS: Final[dict[VariableRef, Key]] = {spec.ref: _key(spec.ref) for spec in TABLE}

_LENGTHS: Final = frozenset(spec.longest for spec in TABLE if spec.longest is not None)

_PHASES: Final = {f".{phase.value}": phase for phase in MeasuredPhase}


def read_measurands(text: str) -> Selection | None:
    """A list such as `Energy.Active.Import.Register,Voltage.L1`; None where it names something else."""
    selection: list[tuple[Measurand, MeasuredPhase | None]] = []
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        head, dot, tail = item.rpartition(".")
        phase = _PHASES.get(dot + tail)
        try:
            selection.append((Measurand(head if phase else item), phase))
        except ValueError:
            return None
    return tuple(selection)


class Variables:
    """All variables of one station. `given`: values of the configuration and the hardware, over the table's."""

    __slots__ = ("_effective", "_given", "_measurands", "_parsed", "_stored")

    def __init__(self, given: Mapping[VariableRef, str], measurands: Iterable[Measurand]) -> None:
        self._measurands = frozenset(measurands) | {Measurand.CURRENT_OFFERED, Measurand.POWER_OFFERED}
        self._given: dict[Key, str] = {}
        self._stored: dict[Key, str] = {}
        self._effective: dict[Key, str] = {}
        self._parsed: dict[Key, int | bool | Selection] = {}
        # How long a list may be comes before the list.
        for ref, value in sorted(given.items(), key=lambda item: item[0] not in _LENGTHS):
            spec = _SPECS.get(_key(ref))
            if spec is None:
                raise ValueError(f"{ref}: this station has no such variable")
            if (wrong := self._refuses(spec, value)) is not None:
                raise ValueError(f"{ref}: {wrong}")
            self._given[_key(ref)] = value

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """Take the journal's values; what no longer fits the table is left out."""
        for raw in stored.values():
            setting = decode_record(raw)
            key = _key(setting.ref)
            spec = _SPECS.get(key)
            if spec is not None and self._refuses(spec, setting.value) is None:
                self._stored[key] = self._effective[key] = setting.value

    # Reading: what holds now

    def text(self, ref: VariableRef) -> str:
        """The value that holds now; "" when there is none."""
        return self._value(_KEYS[ref], self._effective) or ""

    def integer(self, ref: VariableRef) -> int:
        """As `text`, of an integer."""
        key = _KEYS[ref]
        value = self._parsed.get(key)
        if value is None:
            value = self._parsed[key] = int(self.text(ref) or 0)
        return int(value)  # type: ignore[arg-type]

    def boolean(self, ref: VariableRef) -> bool:
        """As `text`, of a boolean."""
        return self.text(ref) == "true"

    def members(self, ref: VariableRef) -> tuple[str, ...]:
        """As `text`, of a list."""
        return tuple(part for part in (item.strip() for item in self.text(ref).split(",")) if part)

    def measurands(self, ref: VariableRef) -> Selection:
        """As `text`, of a list of measurands."""
        key = _KEYS[ref]
        value = self._parsed.get(key)
        if not isinstance(value, tuple):
            value = self._parsed[key] = read_measurands(self.text(ref)) or ()
        return value

    # What a CSMS asks

    def read(self, refs: Iterable[VariableRef] | None) -> tuple[VariableReading, ...]:
        """Readings of `refs` in their order; None: of all variables."""
        return tuple(self._reading(ref) for ref in ([spec.ref for spec in TABLE] if refs is None else refs))

    def set(
        self, settings: Iterable[VariableSetting], turn: Turn, refusals: Mapping[VariableRef, str] = _NONE
    ) -> tuple[tuple[VariableSetResult, ...], list[Configure]]:
        """Carry out `settings` one by one, but those that somebody else refuses.

        The results, and whom to tell after the CSMS has its reply.
        """
        tell: list[Configure] = []
        return tuple(
            VariableSetResult(setting.ref, SetVariableStatus.REJECTED, refusals[setting.ref])
            if setting.ref in refusals
            else self._set(setting, turn, tell)
            for setting in settings
        ), tell

    def assign(self, ref: VariableRef, value: str, turn: Turn) -> None:
        """Set a variable on the station's own account, whatever its mutability."""
        tell: list[Configure] = []
        self._keep(_SPECS[_KEYS[ref]], value, turn, tell)
        for effect in tell:
            turn.emit(effect)

    def settings_outside(self) -> tuple[Configure, ...]:
        """What those outside the core must know at the start."""
        return tuple(Configure(spec.ref, self.text(spec.ref)) for spec in TABLE if spec.outside)

    def _value(self, key: Key, values: dict[Key, str]) -> str | None:
        value = values.get(key)
        if value is None:
            value = self._given.get(key)
        spec = _SPECS[key]
        if value is None and spec.follows is not None:
            return self._value(_KEYS[spec.follows], values)
        return spec.default if value is None else value

    def _reading(self, ref: VariableRef) -> VariableReading:
        key = _key(ref)
        spec = _SPECS.get(key)
        if spec is None:
            known = key[0] in _COMPONENTS
            outcome = GetVariableStatus.UNKNOWN_VARIABLE if known else GetVariableStatus.UNKNOWN_COMPONENT
            return VariableReading(ref, outcome)
        if ref.attribute is not AttributeType.ACTUAL:
            return VariableReading(ref, GetVariableStatus.NOT_SUPPORTED_ATTRIBUTE_TYPE)
        if spec.mutability is Mutability.WRITE_ONLY:
            return VariableReading(ref, GetVariableStatus.REJECTED, None, spec.mutability)
        return VariableReading(ref, GetVariableStatus.ACCEPTED, self._value(key, self._stored) or "", spec.mutability)

    def _set(self, setting: VariableSetting, turn: Turn, tell: list[Configure]) -> VariableSetResult:
        ref = setting.ref
        key = _key(ref)
        spec = _SPECS.get(key)
        if spec is None:
            known = key[0] in _COMPONENTS
            outcome = SetVariableStatus.UNKNOWN_VARIABLE if known else SetVariableStatus.UNKNOWN_COMPONENT
            return VariableSetResult(ref, outcome)
        if ref.attribute is not AttributeType.ACTUAL:
            return VariableSetResult(ref, SetVariableStatus.NOT_SUPPORTED_ATTRIBUTE_TYPE)
        if spec.mutability is Mutability.READ_ONLY:
            return VariableSetResult(ref, SetVariableStatus.REJECTED, "read-only")
        value = setting.value.strip()
        if spec.kind is Kind.BOOLEAN:
            value = value.lower()
        if (wrong := self._refuses(spec, value)) is not None:
            return VariableSetResult(ref, SetVariableStatus.REJECTED, wrong)
        self._keep(spec, value, turn, tell)
        waits = spec.needs_reboot and self._effective.get(key) != value
        return VariableSetResult(ref, SetVariableStatus.REBOOT_REQUIRED if waits else SetVariableStatus.ACCEPTED)

    def _keep(self, spec: VariableSpec, value: str, turn: Turn, tell: list[Configure]) -> None:
        key = _KEYS[spec.ref]
        if self._stored.get(key) != value:
            self._stored[key] = value
            turn.put(SECTION, str(spec.ref), VariableSetting(spec.ref, value))
        if spec.needs_reboot:
            return
        self._effective[key] = value
        self._parsed.clear()
        if spec.outside:
            tell.append(Configure(spec.ref, value))

    def _refuses(self, spec: VariableSpec, value: str) -> str | None:
        """Why `value` does not fit; None when it does."""
        kind = spec.kind
        if spec.check is not None and (wrong := spec.check(value)) is not None:
            return wrong
        if kind is Kind.INTEGER:
            return _refuses_integer(spec, value)
        if kind is Kind.BOOLEAN:
            return None if value in {"true", "false"} else "expected true or false"
        if kind is Kind.STRING:
            return None if spec.maximum is None or len(value) <= spec.maximum else f"longer than {spec.maximum}"
        members = [part.strip() for part in value.split(",") if part.strip()]
        if kind is Kind.OPTION and len(members) != 1:
            return "expected exactly one"
        most = spec.maximum if spec.longest is None else self.integer(spec.longest)
        if most is not None and len(members) > most:
            return f"more than {most} members"
        if kind is Kind.MEASURANDS:
            selection = read_measurands(value)
            # OCPP 1.6 §3.16.4: one measurand that can't be measured, and nothing is changed.
            unknown = selection is None or any(measurand not in self._measurands for measurand, _ in selection)
            return "names a measurand that this station can't measure" if unknown else None
        if spec.choices and any(member not in spec.choices for member in members):
            return f"expected some of {', '.join(spec.choices)}"
        return None


def _refuses_integer(spec: VariableSpec, value: str) -> str | None:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return "expected an integer"
    number = int(value)
    if spec.minimum is not None and number < spec.minimum:
        return f"expected at least {spec.minimum}"
    if spec.maximum is not None and number > spec.maximum:
        return f"expected at most {spec.maximum}"
    return None
