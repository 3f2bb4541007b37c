"""The simulated hardware of a whole station: its EVSEs, its displays, and an application that accepts what vendors say.

Guarantees
* It is a `station.ports.Hardware`: an effect that means an EVSE finds it by its number, one for an EVSE that isn't here
  changes nothing.
"""

from collections.abc import Iterable
from typing import Final

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.requests import DataTransferAnswer, DataTransferStatus
from forecourt.hardware.display import SimulatedDisplay
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.station.effects import (
    GiveEvCertificate,
    HardwareEffect,
    PassDataTransfer,
    Reboot,
    ShowPrices,
    VariablesTold,
)
from forecourt.station.inputs import DataTransferAnswered, HardwareInput

_NEVER: Final = Deadlines()


class SimulatedHardware:
    """All EVSEs of one station; effects find theirs by number."""

    def __init__(self, evses: Iterable[SimulatedEvse]) -> None:
        self.evses = {evse.evse_id: evse for evse in evses}
        self.display = SimulatedDisplay()
        self.ev_certificates: dict[int, str | None] = {}
        """What each car was answered about its contract's certificate."""
        self.variables_told: dict[str, VariablesTold] = {}
        """What came of variables that were set at the station, by reference."""

    def carry_out(self, effect: HardwareEffect, now: Now) -> list[HardwareInput]:
        """Do what the core asks. A reboot concerns all; what no EVSE is meant by, or one that isn't here, nobody."""
        if isinstance(effect, Reboot):
            return [news for evse in self.evses.values() for news in evse.carry_out(effect, now)]
        if isinstance(effect, ShowPrices):
            self.display.show(effect)
            return []
        if isinstance(effect, GiveEvCertificate):
            self.ev_certificates[effect.evse_id] = effect.exi_response
            return []
        if isinstance(effect, VariablesTold):
            self.variables_told[effect.reference] = effect
            return []
        if isinstance(effect, PassDataTransfer):
            accepted = DataTransferAnswer(outcome=DataTransferStatus.ACCEPTED)
            return [DataTransferAnswered(effect.reference, accepted)]
        evse_id = getattr(effect, "evse_id", None)
        evse = None if evse_id is None else self.evses.get(evse_id)
        return [] if evse is None else evse.carry_out(effect, now)

    def advance(self, now: Now) -> list[HardwareInput]:
        """Live until `now`, and tell what has changed."""
        found: list[HardwareInput] = []
        for evse in self.evses.values():
            if news := evse.advance(now):
                found += news
        return found

    def report(self, now: Now) -> list[HardwareInput]:
        """Everything, as hardware tells a core that has just started."""
        return [news for evse in self.evses.values() for news in evse.report(now)]

    def next_deadlines(self) -> Deadlines:
        """When to call `advance`."""
        earliest = _NEVER
        for evse in self.evses.values():
            if evse.vehicle is not None:
                earliest = earliest.earliest(evse.next_deadlines())
        return earliest
