"""How often stations report readings: what the control needs, and what the CSMS asked for.

Guarantees (`controller.md` §1)
* With `sample_interval_s` a station reports at least that often, whatever the CSMS asks for. Under `full` the CSMS gets
  its own rate all the same: periodic readings in between end here, and this rate is what it reads where it asks for
  the variable. Under `chargepilot` all are forwarded.
* Whatever is not a mere periodic reading passes: the first and the last of a transaction, aligned and triggered ones,
  and messages that are numbered, for a gap in their numbers would be a lost message to the CSMS.
* `chargepilot` begins with 300 s where the CSMS has asked for nothing yet.
"""

from datetime import datetime
from typing import Final

import msgspec

from forecourt.controller.settings import ControllerSettings
from forecourt.domain.events import MeterSampled, Notice
from forecourt.domain.meter import ReadingContext
from forecourt.domain.requests import GetVariablesAnswer, SetVariables
from forecourt.domain.variable import VariableRef, VariableSetting

INTERVAL: Final = VariableRef("SampledDataCtrlr", "TxUpdatedInterval")
DEFAULT_S: Final = 300


class Sampling:
    """That of one station. `asked_s` is what the CSMS has asked for; None: nothing yet."""

    def __init__(self, settings: ControllerSettings, asked_s: int | None, *, numbered: bool) -> None:
        """`numbered`: messages of its transactions are, so that all of them pass."""
        self.asked_s = asked_s
        self._control_s = None if settings.sample_interval_s is None else max(1, round(settings.sample_interval_s))
        self._thins = settings.preset == "full" and self._control_s is not None and not numbered
        self._begins_with_default = settings.preset == "chargepilot" and asked_s is None
        self._passed: dict[int | None, datetime] = {}

    def setting(self) -> SetVariables | None:
        """What to tell a station that has registered; None: nothing."""
        wanted_s = self._wanted_s(self.asked_s)
        if wanted_s is None:
            return None
        return SetVariables(settings=(VariableSetting(INTERVAL, str(wanted_s)),))

    def _wanted_s(self, asked_s: int | None) -> int | None:
        if self._control_s is None:
            return DEFAULT_S if self._begins_with_default and asked_s is None else None
        return min(self._control_s, asked_s or self._control_s)

    def as_it_passes(self, request: SetVariables) -> SetVariables:
        """What the station hears of what the CSMS sets; the same object where nothing is changed."""
        (setting, *others) = request.settings
        if self._control_s is None or others or setting.ref != INTERVAL or not setting.value.strip().isdecimal():
            return request
        asked_s = int(setting.value)
        wanted_s = self._wanted_s(asked_s)
        if wanted_s == asked_s:
            return request
        return SetVariables(settings=(VariableSetting(INTERVAL, str(wanted_s)),))

    @property
    def hides(self) -> bool:
        """Whether the station may have another interval than the CSMS gets."""
        return self._thins

    def as_it_is_told(self, answer: GetVariablesAnswer) -> GetVariablesAnswer:
        """What the CSMS hears of the station's variables; the same object where nothing is changed."""
        wanted = str(DEFAULT_S if self.asked_s is None else self.asked_s)
        readings = tuple(
            msgspec.structs.replace(one, value=wanted) if one.ref == INTERVAL and one.value is not None else one
            for one in answer.readings
        )
        return answer if readings == answer.readings else msgspec.structs.replace(answer, readings=readings)

    def agreed(self, request: SetVariables) -> int | None:
        """What the CSMS has asked for, where `request` is about that and the station has accepted."""
        for setting in request.settings:
            if setting.ref == INTERVAL and setting.value.strip().isdecimal():
                self.asked_s = int(setting.value)
                return self.asked_s
        return None

    def is_surplus(self, notice: Notice) -> bool:
        """Whether a message is more than the CSMS asked for."""
        if not self._thins or notice.sequence is not None or len(notice.events) != 1:
            return False
        (event,) = notice.events
        if not isinstance(event, MeterSampled) or not event.meter_values:
            return False
        samples = [sample for value in event.meter_values for sample in value.samples]
        if any(sample.context is not ReadingContext.SAMPLE_PERIODIC for sample in samples):
            return False
        asked_s = DEFAULT_S if self.asked_s is None else self.asked_s
        at = max(value.at for value in event.meter_values)
        before = self._passed.get(event.evse_id)
        # Half an interval of the control early is near enough; a clock that was set back begins anew.
        since_s = None if before is None else (at - before).total_seconds() + (self._control_s or 0) / 2
        if asked_s and (since_s is None or since_s < 0.0 or since_s >= asked_s):
            self._passed[event.evse_id] = at
            return False
        return True
