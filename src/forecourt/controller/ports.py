"""What the controller's brain is told from outside the OCPP links: readings of the site's meters.

Guarantees
* Import is positive: from the grid through a node, into a battery; a PV plant that generates reads negative.
* A quantity that a meter doesn't have is None, never 0.
"""

from enum import StrEnum

import msgspec

from forecourt.quantities import PerPhase


class MeterRole(StrEnum):
    """What a meter is there for."""

    NODE = "node"
    """It measures all that flows through a node of the site."""
    PV = "pv"
    """It measures generation: negative where power comes from it."""
    BATTERY = "battery"
    """It measures a battery: positive while it charges."""


class MeterReading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a meter said at one instant."""

    current_a: PerPhase | None = None
    power_per_phase_w: PerPhase | None = None
    power_w: float | None = None
    voltage_v: PerPhase | None = None
    import_wh: float | None = None
    export_wh: float | None = None
    soc_percent: float | None = None
    """Of a battery."""

    @property
    def total_w(self) -> float | None:
        """Power over all lines, as told or added up."""
        if self.power_w is not None:
            return self.power_w
        return None if self.power_per_phase_w is None else self.power_per_phase_w.total
