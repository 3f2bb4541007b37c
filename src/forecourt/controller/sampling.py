"""How often stations report readings: what the control needs, and what the CSMS asked for.

Guarantees (`controller.md` §1)
* With `sample_interval_s` a station reports at least that often, whatever the CSMS asks for. Under `full` the CSMS gets
  its own rate all the same, and reads that where it asks for the variable. Under `chargepilot` all are forwarded.
* Under `full` a station whose messages of transactions are not numbered is told the shorter interval; periodic readings
  in between end here. Where they are numbered a missing one would be a lost one to the CSMS (OCPP 2.0.1 E01.FR.07,
  E14): so the station keeps the interval of the CSMS, and is asked for MeterValues, which have no number, in between
  (`polls`). If it refuses, or they tell neither current nor power, it is told the shorter interval, and all pass.
* A reading that the controller has asked for itself ends here, under `full`.
* Whatever else is not a mere periodic reading passes: the first and the last of a transaction, aligned and triggered
  ones.
* `chargepilot` begins with 300 s where the CSMS has asked for nothing yet.
"""

import math
from datetime import datetime
from typing import Final

import msgspec

from forecourt.controller.measurands import ALIGNED, SAMPLED
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.events import MeterSampled, Notice
from forecourt.domain.meter import Measurand, ReadingContext
from forecourt.domain.requests import GetVariablesAnswer, SetVariables
from forecourt.domain.variable import VariableRef, VariableSetting

INTERVAL: Final = VariableRef("SampledDataCtrlr", "TxUpdatedInterval")
DEFAULT_S: Final = 300
ASKED_S: Final = 60.0
"""A reading that comes later than this isn't what was asked for."""
IN_VAIN: Final = 3
"""After so many questions without use no more are asked."""
_USEFUL: Final = frozenset({Measurand.CURRENT_IMPORT, Measurand.POWER_ACTIVE_IMPORT})


class Sampling:
    """That of one station. `asked_s` is what the CSMS has asked for; None: nothing yet."""

    def __init__(self, settings: ControllerSettings, asked_s: int | None, *, numbered: bool) -> None:
        """`numbered`: messages of its transactions are."""
        self.asked_s = asked_s
        self._control_s = None if settings.sample_interval_s is None else max(1, round(settings.sample_interval_s))
        self._hides_readings = settings.preset == "full"
        self._thins = self._hides_readings and self._control_s is not None and not numbered
        self._polls = self._hides_readings and self._control_s is not None and numbered
        self._in_vain = 0
        """Questions in a row that brought nothing."""
        self._own: dict[int | None, float] = {}
        """When (protocol) the controller has asked for a reading that has not come yet, by EVSE."""
        self._others: set[int | None] = set()
        """EVSEs of which the CSMS has asked for one."""
        self._begins_with_default = settings.preset == "chargepilot" and asked_s is None
        self._passed: dict[int | None, datetime] = {}

    @property
    def measured_by(self) -> tuple[VariableRef, ...]:
        """The variables that say what readings tell; none: the control leaves them alone."""
        if self._control_s is None and self._hides_readings:
            return ()
        return (SAMPLED, ALIGNED) if self._polls else (SAMPLED,)

    def setting(self) -> SetVariables | None:
        """What to tell a station that has registered; None: nothing."""
        wanted_s = self._wanted_s(self.asked_s)
        if wanted_s is None or self._polls:
            return None
        return SetVariables(settings=(VariableSetting(INTERVAL, str(wanted_s)),))

    def _wanted_s(self, asked_s: int | None) -> int | None:
        if self._control_s is None:
            return DEFAULT_S if self._begins_with_default and asked_s is None else None
        return min(self._control_s, asked_s or self._control_s)

    def as_it_passes(self, request: SetVariables) -> SetVariables:
        """What the station hears of what the CSMS sets; the same object where nothing is changed."""
        (setting, *others) = request.settings
        if (
            self._control_s is None
            or self._polls
            or others
            or setting.ref != INTERVAL
            or not setting.value.strip().isdecimal()
        ):
            return request
        asked_s = int(setting.value)
        wanted_s = self._wanted_s(asked_s)
        if wanted_s == asked_s:
            return request
        return SetVariables(settings=(VariableSetting(INTERVAL, str(wanted_s)),))

    @property
    def controls(self) -> bool:
        """Whether the station may be had to report anything for the control."""
        return self._hides_readings or bool(self.measured_by)

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

    # readings that somebody asks for

    @property
    def polls_s(self) -> float | None:
        """How often to ask the station for a reading while it charges; None: it reports by itself."""
        return float(self._control_s) if self._polls and self._control_s is not None else None

    def asks(self, evse_id: int | None, now_s: float) -> None:
        """The controller asks for a reading."""
        self._own[evse_id] = now_s

    def csms_asks(self, evse_id: int | None) -> None:
        """So does the CSMS."""
        self._others.add(evse_id)

    def refused(self, evse_id: int | None) -> None:
        """The station gives the controller none."""
        self._own.pop(evse_id, None)
        self._in_vain += 1

    def gave_up(self) -> bool:
        """Whether asking is of no use, as has just turned out: then the station has to be told an interval."""
        if not self._polls or self._in_vain < IN_VAIN:
            return False
        self._polls = False
        return True

    def was_asked_for(self, notice: Notice, now_s: float) -> bool:
        """Whether a message is what the controller has asked for, and nobody else."""
        if not self._hides_readings or notice.sequence is not None or len(notice.events) != 1:
            return False
        (event,) = notice.events
        if not isinstance(event, MeterSampled):
            return False
        samples = [sample for value in event.meter_values for sample in value.samples]
        if any(sample.context is not ReadingContext.TRIGGER for sample in samples):
            return False
        for evse_id in (event.evse_id, None):
            if evse_id in self._others:
                self._others.discard(evse_id)
                return False
        if now_s - self._own.pop(event.evse_id, -math.inf) > ASKED_S:
            return False
        useful = any(sample.measurand in _USEFUL and sample.value is not None for sample in samples)
        self._in_vain = 0 if useful else self._in_vain + 1
        return True

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
