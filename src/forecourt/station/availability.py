"""Taking EVSEs and the station into and out of use.

Guarantees
* A change is in the journal in the turn that answers the request, and survives reboots (OCPP 1.6 §5.2, §4.9; OCTT
  TC_013, TC_034).
* While a transaction runs, going out of use is scheduled for its end; coming into use is immediate and takes back what
  was scheduled (§5.2).
* A change of the station changes all its EVSEs (§5.2).
* An EVSE that somebody on site has taken out of use is Unavailable, too, after its transaction; what the CSMS wants of
  it is not touched by that. The hardware is told which are in use.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from forecourt.station.effects import SetOperative
from forecourt.station.evse import Evse
from forecourt.station.status import Ground
from forecourt.station.turn import Turn

SECTION: Final = "availability"


class _Kept(msgspec.Struct, frozen=True):
    operative: bool
    inoperative_at_end: bool = False


decode_record = msgspec.json.Decoder(_Kept).decode


class Availability:
    """Which parts of one station are in use."""

    __slots__ = ("_evses", "_ground", "_told")

    def __init__(self, ground: Ground, evses: Mapping[int, Evse]) -> None:
        self._ground = ground
        self._evses = evses
        self._told: dict[int, bool] = {}
        """What the hardware knows."""

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """Take the journal's word."""
        for key, raw in stored.items():
            kept = decode_record(raw)
            evse = self._evses.get(int(key))
            if key == "0":
                self._ground.operative = kept.operative
            elif evse is not None:
                evse.enabled, evse.inoperative_at_end = kept.operative, kept.inoperative_at_end

    def set_station(self, operative: bool, turn: Turn) -> None:
        """The station as a whole."""
        self._ground.operative = operative
        turn.put(SECTION, "0", _Kept(operative))

    def set_evse(self, evse: Evse, operative: bool, turn: Turn) -> None:
        """One EVSE, now or at the end of its transaction."""
        waits = not operative and evse.transaction is not None
        evse.inoperative_at_end = waits
        evse.enabled = operative or waits
        if not evse.enabled:
            evse.authorization = None
        self._keep(evse, turn)

    def update(self, turn: Turn) -> None:
        """What was scheduled happens as soon as it can."""
        for evse in self._evses.values():
            if evse.inoperative_at_end and evse.transaction is None:
                evse.inoperative_at_end = False
                evse.enabled = False
                evse.authorization = None
                self._keep(evse, turn)

    def tell(self, turn: Turn) -> None:
        """Let the hardware know which EVSEs are in use. After everybody who has a say in that."""
        for evse in self._evses.values():
            operative = evse.operative and self._ground.operative
            if self._told.get(evse.evse_id, True) is not operative:
                self._told[evse.evse_id] = operative
                turn.emit(SetOperative(evse.evse_id, operative))

    def _keep(self, evse: Evse, turn: Turn) -> None:
        turn.put(SECTION, str(evse.evse_id), _Kept(evse.enabled, evse.inoperative_at_end))
