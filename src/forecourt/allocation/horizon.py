"""The time ahead of a plan: its slots, and what is expected in each.

Guarantees
* Slots follow each other without gaps from now on. They may grow: what is far away needs less detail, and a plan is
  made anew long before it comes.
* A `Forecast` is one number per slot, or one for all; what isn't given costs nothing, shines not, and limits nothing.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_GROWTH: Final = ((12, 1), (12, 3), (12, 6), (1000, 12))
"""So many slots of so many times the first one's length: of 5 minutes for an hour, of 15 for three, and so on."""


class Slots(NamedTuple):
    """Seconds, on the clock of `now_s`."""

    starts_s: Numbers
    lengths_s: Numbers

    @property
    def ends_s(self) -> Numbers:
        """When each ends."""
        ends: Numbers = self.starts_s + self.lengths_s
        return ends

    def __len__(self) -> int:
        return len(self.lengths_s)


def even_slots(now_s: float, until_s: float, slot_s: float) -> Slots:
    """Equally long slots, as many as reach `until_s`, at least one."""
    number = max(1, int(np.ceil((until_s - now_s) / slot_s - 1e-9)))
    return Slots(now_s + slot_s * np.arange(number, dtype=np.float64), np.full(number, slot_s))


def growing_slots(now_s: float, until_s: float, slot_s: float) -> Slots:
    """Slots that grow from `slot_s`, as many as reach `until_s`, at least one."""
    lengths: list[float] = []
    left_s = until_s - now_s
    for number, factor in _GROWTH:
        for _ in range(number):
            if lengths and left_s <= 1e-9:
                break
            lengths.append(slot_s * factor)
            left_s -= lengths[-1]
    found = np.array(lengths)
    return Slots(now_s + np.cumsum(found) - found, found)


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected. Each is one number for all slots, or as many as there are slots.

    Money is in any one currency; carbon costs what `carbon_price` says, in the same.
    """

    import_price: float | Sequence[float] = 0.0
    """Per kWh from the grid."""
    export_price: float | Sequence[float] = 0.0
    """Per kWh of surplus that isn't used here; never more than `import_price` counts."""
    carbon_kg_per_kwh: float | Sequence[float] = 0.0
    """Of what comes from the grid."""
    carbon_price: float = 0.0
    """Per kg."""
    surplus_w: float | Sequence[float] = 0.0
    """What is left of PV after everything else on site."""
    base_w: float | Sequence[float] = 0.0
    """What everything else on site draws from the grid: it counts towards the peak."""
    peak_price: float = 0.0
    """Per kW by which the highest power from the grid exceeds `peak_w`."""
    peak_w: float = 0.0
    """The highest that has been paid for already."""

    @property
    def has_costs(self) -> bool:
        """Whether it matters when energy is drawn."""
        return bool(
            np.any(np.asarray(self.import_price))
            or np.any(np.asarray(self.export_price))
            or self.peak_price
            or (self.carbon_price and np.any(np.asarray(self.carbon_kg_per_kwh)))
        )


def per_slot(value: float | Sequence[float], slots: Slots) -> Numbers:
    """One number for each slot. ValueError if it is neither one nor as many as there are slots."""
    numbers = np.asarray(value, np.float64)
    if numbers.ndim == 0:
        return np.full(len(slots), float(numbers))
    if len(numbers) != len(slots):
        raise ValueError(f"expected one number, or {len(slots)}, got {len(numbers)}")
    return numbers
