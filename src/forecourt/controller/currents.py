"""What a reading of a station says of the currents of an EVSE, and when one is above its limit.

Guarantees
* Currents are ampere on an EVSE's own phases. Where a meter doesn't tell the phases apart, `worst_a` says what might
  flow on one of them.
* Up to `tolerated` a reading is no disobedience: meters err, and cars are not exact.
"""

import msgspec

from forecourt.domain.meter import LINE_OF, Measurand, MeterValue
from forecourt.quantities import NOMINAL_VOLTAGE_V

OVER_LIMIT_A = 1.0
OVER_LIMIT_SHARE = 0.10
"""A car is over its limit by more than the larger of both (`controller.md` §3.8)."""


class Currents(msgspec.Struct, frozen=True):
    """Ampere on an EVSE's own phases. `worst_a` is above the largest of them where the meter leaves doubt."""

    phases_a: tuple[float, ...]
    worst_a: float
    by_phase: bool = True
    """Whether the meter tells the phases apart."""

    @property
    def highest_a(self) -> float:
        """The largest of them."""
        return max(self.phases_a, default=0.0)


def tolerated(limit_a: float) -> float:
    """Up to where a reading is no disobedience."""
    return limit_a + max(OVER_LIMIT_A, OVER_LIMIT_SHARE * limit_a)


def currents_of(
    meter_value: MeterValue, phases: int, voltage_v: float = NOMINAL_VOLTAGE_V, active: int | None = None
) -> Currents | None:
    """Ampere on each of an EVSE's own `phases`: from currents by phase, else from one current, else from power.

    `active` is how many phases the car is known to use. None when the reading has neither current nor power.
    """
    by_phase: dict[int, float] = {}
    total_a: float | None = None
    power_w: float | None = None
    for sample in meter_value.samples:
        if sample.value is None:
            continue
        if sample.measurand is Measurand.CURRENT_IMPORT:
            if sample.phase is None:
                total_a = sample.value
            elif (line := LINE_OF.get(sample.phase)) is not None:
                by_phase[line] = sample.value
        elif sample.measurand is Measurand.POWER_ACTIVE_IMPORT and sample.phase is None:
            power_w = sample.value
    if by_phase:
        phases_a = tuple(by_phase.get(index, 0.0) for index in range(phases))
        return Currents(phases_a, max(phases_a))
    used = active or phases
    if total_a is not None:  # an average over the phases, or their sum: the field has seen both
        return Currents((total_a,) * phases, total_a * phases / used, phases == 1)
    if power_w is not None:
        return Currents((power_w / voltage_v / used,) * phases, power_w / voltage_v / (active or 1), phases == 1)
    return None
