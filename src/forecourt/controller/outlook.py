"""What is expected of the hours ahead: prices, carbon, sunshine, the house's own load; for the planner.

Guarantees
* A curve is a step function of time: a value holds until the next one. What lies more than `TRUSTED_S` after its last
  step is the mean of the curve, for nothing better is known.
* A forecast has one number for each slot of a plan, the mean over the slot.
"""

import bisect
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from forecourt.allocation.horizon import Forecast, Slots
from forecourt.domain.clock import Now

TRUSTED_S: Final = 3600.0
_LOOKS: Final = 4
"""At so many instants of a slot a curve is looked at."""


class Curve:
    """A step function of time."""

    def __init__(self, begins: Sequence[datetime], values: Sequence[float]) -> None:
        """Raises ValueError unless there is a value for each instant, and instants rise."""
        if not values or len(begins) != len(values):
            raise ValueError("expected a value for each time, and at least one")
        self._at = [instant.timestamp() for instant in begins]
        if any(later <= earlier for earlier, later in zip(self._at, self._at[1:], strict=False)):
            raise ValueError("expected times that rise")
        self._values = [float(value) for value in values]
        self._mean = sum(self._values) / len(self._values)

    @classmethod
    def constant(cls, value: float, since: datetime) -> "Curve":
        """Always the same."""
        return cls([since], [value])

    def at(self, instant: datetime) -> float:
        """The value at an instant."""
        return self._at_timestamp(instant.timestamp())

    def _at_timestamp(self, timestamp: float) -> float:
        if len(self._at) > 1 and timestamp > self._at[-1] + max(TRUSTED_S, self._at[-1] - self._at[-2]):
            return self._mean
        return self._values[max(0, bisect.bisect_right(self._at, timestamp) - 1)]

    def per_slot(self, slots: Slots, now: Now) -> list[float]:
        """The mean over each slot."""
        origin = now.at.timestamp() - now.elapsed_s
        parts = (np.arange(_LOOKS) + 0.5) / _LOOKS
        instants = origin + slots.starts_s[:, None] + slots.lengths_s[:, None] * parts
        return [sum(self._at_timestamp(float(one)) for one in row) / _LOOKS for row in instants]


class PlannerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read from `[planner]`."""

    every_s: float = 300.0
    """How often a plan is made, besides when somebody comes or goes."""
    slot_s: float = 300.0
    deadline_s: float = 5.0
    """Longer than this the solver isn't waited for."""
    valid_s: float = 1800.0
    """An older plan isn't followed: the real-time rule decides alone."""
    export_price: float = 0.0
    """Per kWh that is fed into the grid."""
    carbon_price: float = 0.0
    """Per kg, added to the price of what is drawn from the grid."""
    peak_price: float = 0.0
    """Per kW of a new peak of this billing period."""
    peak_kw: float = 0.0
    """The peak that has been paid for already."""


class Outlook:
    """All curves there are. Somebody outside sets them as they become known."""

    def __init__(self, settings: PlannerSettings) -> None:
        self.settings = settings
        self.import_price: Curve | None = None
        self.uploaded_price: Curve | None = None
        """From a person; it counts before the other."""
        self.carbon_kg_per_kwh: Curve | None = None
        self.pv_w: Curve | None = None
        self.base_w: Curve | None = None
        """The house's own load."""

    def forecast(self, slots: Slots, now: Now, surplus_now_w: float = 0.0) -> Forecast:
        """For the slots of a plan. Without a forecast of sunshine, what is left over now is expected for a while."""
        settings = self.settings

        def numbers(curve: Curve | None) -> list[float] | float:
            return 0.0 if curve is None else curve.per_slot(slots, now)

        import_price = self.uploaded_price or self.import_price
        base = numbers(self.base_w)
        if self.pv_w is not None:
            surplus = np.maximum(np.asarray(numbers(self.pv_w)) - np.asarray(base), 0.0).tolist()
        else:
            soon = slots.starts_s < now.elapsed_s + timedelta(minutes=15).total_seconds()
            surplus = np.where(soon, surplus_now_w, 0.0).tolist()
        return Forecast(
            import_price=numbers(import_price),
            export_price=settings.export_price if import_price is not None else 0.0,
            carbon_kg_per_kwh=numbers(self.carbon_kg_per_kwh),
            carbon_price=settings.carbon_price,
            surplus_w=surplus,
            base_w=base,
            peak_price=settings.peak_price,
            peak_w=settings.peak_kw * 1000.0,
        )
