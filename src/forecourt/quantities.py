"""Units, phases and signs: the numbers everything else is made of.

Guarantees
* Every number carries its unit in its name: `_a` ampere, `_v` volt, `_w` watt, `_wh` watt-hour, `_s` second.
* Import (from the grid, into the car) is positive; export is negative.
* Conversions between current and power assume a balanced load at a line-to-neutral voltage, which is what
  OCPP's charging schedules assume (OCPP 1.6 §7.15 limit; OCPP 2.0.1 K, `numberPhases`).
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, Self

import msgspec

NOMINAL_VOLTAGE_V: Final = 230.0
"""Line-to-neutral voltage in most of the world (IEC 60038)."""

DEFAULT_NUMBER_PHASES: Final = 3
"""What a charging schedule means when it says nothing about phases (OCPP 1.6 §7.15, OCPP 2.0.1 K01.FR.19)."""

IEC_61851_MINIMUM_A: Final = 6.0
"""Below this current a control pilot can't signal: a car is offered either nothing or at least this (IEC 61851-1)."""


class Phase(StrEnum):
    """A line conductor of the grid connection."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


PHASES: Final = (Phase.L1, Phase.L2, Phase.L3)


class PerPhase(msgspec.Struct, frozen=True, array_like=True):
    """One number for each line conductor; unit as the name of the holder says."""

    l1: float = 0.0
    l2: float = 0.0
    l3: float = 0.0

    @classmethod
    def of(cls, value: float, phases: tuple[Phase, ...] = PHASES) -> Self:
        """`value` on each of `phases`, zero on the others."""
        return cls(
            value if Phase.L1 in phases else 0.0,
            value if Phase.L2 in phases else 0.0,
            value if Phase.L3 in phases else 0.0,
        )

    def __iter__(self) -> Iterator[float]:
        yield self.l1
        yield self.l2
        yield self.l3

    def __getitem__(self, phase: Phase) -> float:
        return self.l1 if phase is Phase.L1 else self.l2 if phase is Phase.L2 else self.l3

    def __add__(self, other: "PerPhase") -> "PerPhase":
        return PerPhase(self.l1 + other.l1, self.l2 + other.l2, self.l3 + other.l3)

    def __sub__(self, other: "PerPhase") -> "PerPhase":
        return PerPhase(self.l1 - other.l1, self.l2 - other.l2, self.l3 - other.l3)

    def map(self, function: Callable[[float], float]) -> "PerPhase":
        """The result of `function` for each phase."""
        return PerPhase(function(self.l1), function(self.l2), function(self.l3))

    def maximum(self, other: "PerPhase") -> "PerPhase":
        """The larger of the two, phase by phase."""
        return PerPhase(max(self.l1, other.l1), max(self.l2, other.l2), max(self.l3, other.l3))

    @property
    def total(self) -> float:
        """The sum over the phases."""
        return self.l1 + self.l2 + self.l3

    @property
    def highest(self) -> float:
        """The largest of the three."""
        return max(self.l1, self.l2, self.l3)

    @property
    def spread(self) -> float:
        """Largest minus smallest: the asymmetry between phases."""
        return max(self) - min(self)


def power_of_current(current_a: float, number_phases: int, voltage_v: float = NOMINAL_VOLTAGE_V) -> float:
    """Watts that `current_a` ampere on each of `number_phases` phases carry at `voltage_v` line to neutral."""
    return current_a * number_phases * voltage_v


def current_of_power(power_w: float, number_phases: int, voltage_v: float = NOMINAL_VOLTAGE_V) -> float:
    """Ampere on each of `number_phases` phases that together carry `power_w` watts at `voltage_v` line to neutral."""
    return power_w / (number_phases * voltage_v)
