"""From single numbers as a meter has them to a reading in the house's terms.

Guarantees
* Quantities are named with phase and unit (`current_l1_a`); what isn't a number is left out.
* Import is positive: meters give currents as magnitudes, so a current takes the sign of its line's power; an exported
  current counts with its active part only, so that what flows back never counts for more than it is.
* `invert` turns the signs of a meter that was wired, or is defined, the other way round.
"""

import math
from collections.abc import Mapping
from typing import Final

from forecourt.controller.ports import MeterReading
from forecourt.quantities import NOMINAL_VOLTAGE_V, PerPhase

QUANTITIES: Final = (
    *(f"voltage_l{line}_v" for line in (1, 2, 3)),
    *(f"current_l{line}_a" for line in (1, 2, 3)),
    *(f"power_l{line}_w" for line in (1, 2, 3)),
    "power_w",
    "import_wh",
    "export_wh",
    "soc_percent",
)
"""All that a reading is made of."""


def reading_of(values: Mapping[str, float], *, invert: bool = False) -> MeterReading:
    """The reading that `values`, by names of `QUANTITIES`, come to."""
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    sign = -1.0 if invert else 1.0
    voltage_v = _lines(known, "voltage_l{}_v")
    power = _lines(known, "power_l{}_w")
    power = None if power is None else power.map(lambda watts: sign * watts)
    current = _lines(known, "current_l{}_a")
    if current is not None:
        current = current.map(lambda ampere: sign * ampere) if power is None else _signed(current, power, voltage_v)
    total_w = known.get("power_w")
    imported, exported = known.get("import_wh"), known.get("export_wh")
    return MeterReading(
        current_a=current,
        power_per_phase_w=power,
        power_w=None if total_w is None else sign * total_w,
        voltage_v=voltage_v,
        import_wh=exported if invert else imported,
        export_wh=imported if invert else exported,
        soc_percent=known.get("soc_percent"),
    )


def _lines(values: Mapping[str, float], name: str) -> PerPhase | None:
    """All lines of a quantity that has at least one; a meter of fewer phases has nothing on the others."""
    found = [values.get(name.format(line)) for line in (1, 2, 3)]
    if all(value is None for value in found):
        return None
    return PerPhase(*(0.0 if value is None else value for value in found))


def _signed(current: PerPhase, power: PerPhase, voltage_v: PerPhase | None) -> PerPhase:
    voltages = (NOMINAL_VOLTAGE_V,) * 3 if voltage_v is None else tuple(voltage_v)
    signed = [
        abs(ampere) if watts >= 0.0 else -min(abs(ampere), -watts / (volts or NOMINAL_VOLTAGE_V))
        for ampere, watts, volts in zip(current, power, voltages, strict=True)
    ]
    return PerPhase(*signed)
