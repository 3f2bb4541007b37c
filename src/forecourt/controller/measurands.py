"""What the readings of a station tell: enough for the control, whatever the CSMS asked for.

Guarantees (`controller.md` §1, §3.1)
* Without current or power a reading shows nobody that a car obeys. So where the current is missing it is added to what
  the station samples, or, where that is refused, the power. What it samples already stays.
* What the CSMS sets passes with the same addition. Where it asks for the variable it reads what it has set, or what
  there was before.
* A station that takes neither is left as it is.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from forecourt.domain.meter import Measurand
from forecourt.domain.requests import GetVariables, GetVariablesAnswer, SetVariables
from forecourt.domain.variable import VariableRef, VariableSetting

SAMPLED: Final = VariableRef("SampledDataCtrlr", "TxUpdatedMeasurands")
ALIGNED: Final = VariableRef("AlignedDataCtrlr", "Measurands")
"""What readings tell that are triggered: in some stations these, in others the sampled ones."""

_CURRENT: Final = Measurand.CURRENT_IMPORT.value
_POWER: Final = Measurand.POWER_ACTIVE_IMPORT.value


class Measurands:
    """Those of one station. `kept` is what the CSMS takes them for, by the names of their variables."""

    def __init__(self, refs: Iterable[VariableRef], kept: Mapping[str, str]) -> None:
        """`refs`: the variables in question; none: the station is left alone."""
        self._refs = tuple(refs)
        self._told = {ref: kept[str(ref)] for ref in self._refs if str(ref) in kept}
        self._added: dict[VariableRef, str] = {}
        """What the station has taken besides."""
        self._there: dict[VariableRef, str] = {}

    @property
    def refs(self) -> tuple[VariableRef, ...]:
        """The variables in question."""
        return self._refs

    @property
    def kept(self) -> dict[str, str]:
        """To be remembered."""
        return {str(ref): value for ref, value in self._told.items()}

    # what the station is told

    def questions(self) -> list[GetVariables]:
        """What to ask a station that has registered."""
        return [GetVariables(refs=(ref,)) for ref in self._refs]

    def read(self, answer: GetVariablesAnswer) -> SetVariables | None:
        """What to set after an answer; None: nothing."""
        for reading in answer.readings:
            if reading.ref not in self._refs or reading.value is None:
                continue
            self._there[reading.ref] = reading.value
            told = self._told.get(reading.ref)
            if not _has(reading.value, _CURRENT):
                self._told[reading.ref] = reading.value
                return _setting(reading.ref, _with(reading.value, _CURRENT))
            if told is None:
                self._told[reading.ref] = reading.value
            elif not _has(told, _CURRENT):
                self._added[reading.ref] = _CURRENT
        return None

    def answered(self, request: SetVariables, *, taken: bool) -> SetVariables | None:
        """What to set next after `read`'s was taken or refused; None: nothing."""
        (setting,) = request.settings
        added, there = setting.value.rpartition(",")[2], self._there.get(setting.ref, "")
        if taken:
            self._added[setting.ref] = added
        elif added == _CURRENT and not _has(there, _POWER):
            return _setting(setting.ref, _with(there, _POWER))
        return None

    # what passes between station and CSMS

    def hides(self, refs: Iterable[VariableRef] | None) -> bool:
        """Whether the station has another value for one of these (None: all) than the CSMS takes it for."""
        return bool(self._added) and (refs is None or any(ref in self._added for ref in refs))

    def as_it_passes(self, request: SetVariables) -> SetVariables:
        """What the station hears of what the CSMS sets; the same object where nothing is changed."""
        settings = tuple(
            msgspec.structs.replace(one, value=_with(one.value, self._added[one.ref]))
            if one.ref in self._added and not _has(one.value, self._added[one.ref])
            else one
            for one in request.settings
        )
        return request if settings == request.settings else SetVariables(settings=settings)

    def as_it_is_told(self, answer: GetVariablesAnswer) -> GetVariablesAnswer:
        """What the CSMS hears of the station's variables; the same object where nothing is changed."""
        readings = tuple(
            msgspec.structs.replace(one, value=self._told[one.ref])
            if one.ref in self._added and one.value is not None and one.ref in self._told
            else one
            for one in answer.readings
        )
        return answer if readings == answer.readings else msgspec.structs.replace(answer, readings=readings)

    def agreed(self, request: SetVariables) -> bool:
        """The station has taken what the CSMS set. Whether there is something to be remembered."""
        news = {one.ref: one.value for one in request.settings if one.ref in self._refs}
        for ref, value in news.items():
            self._told[ref] = value
            if ref in self._added and _has(value, self._added[ref]):
                del self._added[ref]
        return bool(news)


def _has(value: str, measurand: str) -> bool:
    """Whether a list has a measurand, of all phases or of one."""
    return any(name.strip().startswith(measurand) for name in value.split(","))


def _with(value: str, measurand: str) -> str:
    return f"{value},{measurand}" if value.strip() else measurand


def _setting(ref: VariableRef, value: str) -> SetVariables:
    return SetVariables(settings=(VariableSetting(ref, value),))
