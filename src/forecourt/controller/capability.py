"""What the stations of a model can do, as commissioning has found out, and what follows from it.

Guarantees (`controller.md` §3)
* None is not known, and nothing follows from it: the cautious assumptions of the settings stand.
* A station that takes longer to obey than the settings allow is given longer; one that draws above its limits is told
  less, where that leaves it the minimum.
* Where the end of a lease was not obeyed, no lease is believed to end. Where the base limit is lost with the power, a
  station that can't be reached counts with its maximum.
* A form of limit that was refused is not tried first.
"""

from datetime import datetime
from typing import Final

import msgspec

from forecourt.controller.line import Line
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.wording import Form
from forecourt.domain.station import StationIdentity

CAPABILITIES: Final = "capability"

_SPARE_S: Final = 5.0
"""Added to the reaction that was seen: readings are seconds apart, and cars differ."""


class Capability(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See the module."""

    at: datetime
    """When it was found out."""
    station_id: str
    """At which station."""
    forms: tuple[Form, ...] = ()
    """Purposes and units of base limits that were accepted, in order of preference."""
    transaction_profiles: bool | None = None
    """Whether a limit bound to a transaction was accepted."""
    takes_zero: bool | None = None
    """Whether 0 A was accepted."""
    takes_fewer_phases: bool | None = None
    """Whether a limit for one phase of three was accepted."""
    smallest_a: float | None = None
    """The smallest limit at which the car was seen to charge on."""
    obeys: bool | None = None
    """Whether the car came down to a lower limit."""
    reaction_s: float | None = None
    """From the acceptance to the first reading at or below the limit, tolerance included."""
    over_a: float | None = None
    """By how much readings lay above the limit afterwards."""
    dead_man: bool | None = None
    """Whether the end of a lease was obeyed though nothing more was said."""
    lease_late_s: float | None = None
    """How long after the end of the lease that was read."""
    composite_true: bool | None = None
    """Whether the composite schedule told what had been installed."""
    survives_reboot: bool | None = None
    """Whether the base limit was there after a restart."""
    measurands: tuple[str, ...] = ()
    """What it measures."""
    by_phase: bool | None = None
    """Whether it tells currents by phase."""


def model_of(station_id: str, identity: StationIdentity | None) -> str:
    """Of whom a capability is kept: vendor, model and firmware; the station alone where it has not said."""
    if identity is None:
        return station_id
    return "/".join((identity.vendor_name, identity.model, identity.firmware_version or ""))


def apply(capability: Capability, line: Line, settings: ControllerSettings) -> None:
    """Count on it at one EVSE of the model."""
    if capability.reaction_s is not None:
        line.account.settle_s = max(settings.settle_s, capability.reaction_s + _SPARE_S)
    line.over_a = capability.over_a or 0.0
    line.leases = capability.dead_man is not False
    line.keeps_base = capability.survives_reboot is not False
    if line.takes != capability.forms:
        line.takes, line.form = capability.forms, 0
    if capability.transaction_profiles is False:
        line.binds = False
