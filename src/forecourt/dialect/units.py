"""Units of measure on the wire, and the base units of the domain.

Guarantees
* A number with its unit becomes the same number in the base unit of its measurand (OCPP 1.6 §7.45; OCPP 2.0.1 appendix
  "Standardized Units of Measure"): prefixes folded, temperatures in Celsius, a share as 0 to 1 only for Power.Factor.
* A unit of another dimension gives None: what was measured can't be known then (and it is a bill that depends on it).
* Results are rounded to a millionth, so that what is equal in decimal (1.0051 kWh, 1005.1 Wh) is equal here.
"""

import math
from collections.abc import Callable
from typing import Final

from forecourt.domain.meter import BASE_UNITS, Measurand

DECIMALS: Final = 6
EXPONENT_LIMIT: Final = 24

UNITS: Final[dict[str, tuple[str, int]]] = {
    "Wh": ("Wh", 0),
    "kWh": ("Wh", 3),
    "varh": ("varh", 0),
    "kvarh": ("varh", 3),
    "VAh": ("VAh", 0),
    "kVAh": ("VAh", 3),
    "W": ("W", 0),
    "kW": ("W", 3),
    "VA": ("VA", 0),
    "kVA": ("VA", 3),
    "var": ("var", 0),
    "kvar": ("var", 3),
    "A": ("A", 0),
    "V": ("V", 0),
    "Hz": ("Hz", 0),
    "Hertz": ("Hz", 0),
    "Percent": ("Percent", 0),
    "Celsius": ("Celsius", 0),
    "Celcius": ("Celsius", 0),
    "RPM": ("rpm", 0),
}
"""Each unit's base unit and the power of ten between them. "Celcius" is how the first schemas of 1.6 spelt it."""

_LIKE: Final = {"VA": "W", "var": "W", "VAh": "Wh", "varh": "Wh", "Percent": ""}
"""Base units that measure the same dimension. Percent stands for what has no dimension."""

_TEMPERATURES: Final[dict[str, Callable[[float], float]]] = {
    "K": lambda kelvin: kelvin - 273.15,
    "Fahrenheit": lambda fahrenheit: (fahrenheit - 32.0) * 5.0 / 9.0,
}


def _exponents() -> dict[tuple[Measurand, str | None], int]:
    table: dict[tuple[Measurand, str | None], int] = {}
    for measurand, base in BASE_UNITS.items():
        table[measurand, None] = 0
        for unit, (unit_base, exponent) in UNITS.items():
            if _LIKE.get(unit_base, unit_base) == _LIKE.get(base, base):
                table[measurand, unit] = exponent
    table[Measurand.POWER_FACTOR, "Percent"] = -2
    return table


EXPONENTS: Final = _exponents()
"""By measurand and unit, for those that fit together; a unit that is not said is the base unit."""


def in_base_unit(number: float, measurand: Measurand, unit: str | None, multiplier: int = 0) -> float | None:
    """`number` in the base unit of `measurand`; None where `unit` does not fit, or the result is no number."""
    exponent = EXPONENTS.get((measurand, unit))
    if exponent is None:
        convert = _TEMPERATURES.get(unit or "")
        if convert is None or measurand is not Measurand.TEMPERATURE:
            return None
        scaled = scaled_by_ten(number, multiplier)
        return None if scaled is None else round(convert(scaled), DECIMALS)
    return scaled_by_ten(number, exponent + multiplier)


def scaled_by_ten(number: float, exponent: int) -> float | None:
    """`number` times ten to the `exponent`; None when that is not a finite number or the exponent is absurd."""
    if exponent == 0:
        return number if math.isfinite(number) else None
    if abs(exponent) > EXPONENT_LIMIT:
        return None
    power = 10.0 ** abs(exponent)
    scaled = number * power if exponent > 0 else number / power
    return round(scaled, DECIMALS) if math.isfinite(scaled) else None
