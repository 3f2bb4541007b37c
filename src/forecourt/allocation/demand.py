"""What goes into a decision: who wants current, what flows already, what nobody controls.

Guarantees
* `Demand` is one EVSE that asks for a share; `Load` a current that is counted but not decided here (the exposure of a
  station that can't be reached, a car that ignores its limit); `Background` the uncontrolled load through a node;
  `NodeLimit` what a node may bear for the time being.
* Times are seconds on any one clock that never goes back (`Now.elapsed_s`); currents are the EVSE's own: ampere on each
  line it draws from.
* The same types serve a controller's site and a CSMS's load group.
"""

import math
from typing import Final

import msgspec

from forecourt.domain.site import EvseKey
from forecourt.quantities import PerPhase, Phase

ITS_OWN: Final = "what it asks for"


class Demand(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One EVSE that wants a share now. An EVSE without a demand gets nothing and counts as nothing."""

    evse: EvseKey
    wanted_a: float = math.inf
    """The most that is of use; 0 asks for nothing. The EVSE's own maximum holds besides."""
    wanted_because: str = ITS_OWN
    """What `wanted_a` stands for, as an explanation should name it."""
    minimum_a: float | None = None
    """A higher minimum than the EVSE's own: what this car needs to charge at all."""
    priority: int | None = None
    """Instead of the EVSE's own: a larger number is served first, strictly."""
    active_phases: tuple[int, ...] | None = None
    """The EVSE's own phases (1 to 3) that its car is known to use, evenly. None: not known, counted as the worst."""
    first_line: Phase | None = None
    """The site's line of the EVSE's own phase 1, as it has been learned where the rotation isn't known."""
    departs_s: float | None = None
    """When it must be done, on the clock of `now_s`."""
    remaining_wh: float | None = None
    """Energy it still wants."""
    planned_a: float | None = None
    """What a plan has for it now (`planner`): it takes the place of the laxity."""

    def laxity_s(self, watts: float, now_s: float) -> float:
        """How long it could still wait if it then got `watts` until it leaves; infinite where that isn't known."""
        if self.departs_s is None or self.remaining_wh is None or watts <= 0.0:
            return math.inf
        return self.departs_s - now_s - self.remaining_wh / watts * 3600.0


class Load(msgspec.Struct, frozen=True):
    """A current that an EVSE may draw, up to, whatever is decided."""

    evse: EvseKey
    current_a: float
    active_phases: tuple[int, ...] | None = None
    first_line: Phase | None = None


class Background(msgspec.Struct, frozen=True):
    """Uncontrolled load through a node, from all that is below it: between two bounds, import positive."""

    highest_a: PerPhase
    lowest_a: PerPhase = PerPhase()
    """Never more than the highest: that one counts where it is less."""

    @classmethod
    def measured(cls, current_a: PerPhase) -> "Background":
        """Exactly `current_a`: what the node's meter reads less what the EVSEs below it draw."""
        return cls(current_a, current_a)


class NodeLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a node may bear for the time being, below what the site says. None: nothing special."""

    power_w: float | None = None
    """Of everything through the node, background included."""
    controlled_w: float | None = None
    """Of the EVSEs below it alone."""
    current_a: float | None = None
    """Of everything, on each line."""


class Turns(msgspec.Struct, frozen=True):
    """How long a turn lasts where not all minimums fit."""

    minimum_on_s: float = 600.0
    """Who has been switched on isn't switched off for another of the same priority before this."""
    minimum_off_s: float = 300.0
    """Who has been switched off isn't switched on again before this."""
