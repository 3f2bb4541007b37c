"""The main meter of a station (connector 0) as one of the site's own.

Guarantees
* Export counts as negative import; what isn't told by phase is taken only as the power of all.
* A value without current and power is no reading.
"""

from typing import Final

from forecourt.controller.ports import MeterReading
from forecourt.domain.meter import LINE_OF, Measurand, MeterValue
from forecourt.quantities import PHASES, PerPhase

_IMPORTS: Final = {
    Measurand.CURRENT_EXPORT: Measurand.CURRENT_IMPORT,
    Measurand.POWER_ACTIVE_EXPORT: Measurand.POWER_ACTIVE_IMPORT,
}


def main_meter(meter_value: MeterValue) -> MeterReading | None:
    """What a station's main meter says (connector 0); None without current or power."""
    lines: dict[Measurand, dict[int, float]] = {}
    total_w: float | None = None
    for sample in meter_value.samples:
        if sample.value is None:
            continue
        sign, measurand = 1.0, sample.measurand
        if measurand in _IMPORTS:
            sign, measurand = -1.0, _IMPORTS[measurand]
        line = LINE_OF.get(sample.phase) if sample.phase is not None else None
        if line is not None:
            of = lines.setdefault(measurand, {})
            of[line] = of.get(line, 0.0) + sign * sample.value
        elif sample.phase is None and measurand is Measurand.POWER_ACTIVE_IMPORT:
            total_w = (total_w or 0.0) + sign * sample.value

    def per_phase(measurand: Measurand) -> PerPhase | None:
        found = lines.get(measurand)
        return None if not found else PerPhase(*(found.get(line, 0.0) for line in range(len(PHASES))))

    current, power = per_phase(Measurand.CURRENT_IMPORT), per_phase(Measurand.POWER_ACTIVE_IMPORT)
    if current is None and power is None and total_w is None:
        return None
    return MeterReading(current_a=current, power_per_phase_w=power, power_w=total_w)
