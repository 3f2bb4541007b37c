"""Cars that stay after their transaction, where an idle fee begins then (California pricing requirements).

Guarantees
* Where CustomIdleFeeAfterStop is set, the CSMS is told when a car leaves that stayed after its transaction, though it
  take a restart or an outage until then; with the time at which it left.
* One at a time; one whose answer does not come is told again a minute later, one that the CSMS refuses is not.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from forecourt.domain.requests import ConnectorUnplugged
from forecourt.station.calls import Calls, ForUnplugged
from forecourt.station.evse import Evse
from forecourt.station.extension_variables import COSTS_SHOWN, IDLE_FEE_AFTER_STOP
from forecourt.station.inputs import CallFailure
from forecourt.station.outbox import Outbox
from forecourt.station.turn import Turn
from forecourt.station.variables import Variables

SECTION: Final = "unplugged"

_RETRY_S: Final = 60.0


class _Stay(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A car that stayed after its transaction, as the journal keeps it."""

    transaction_id: str
    evse_id: int
    csms_id: str | None = None
    left_at: datetime | None = None


decode_record = msgspec.json.Decoder(_Stay).decode


class Stays:
    """Those of one station, by the station's own transaction ids."""

    __slots__ = ("_calls", "_evses", "_in_flight", "_outbox", "_retry_at_s", "_stays", "_variables")

    def __init__(self, variables: Variables, calls: Calls, outbox: Outbox, evses: Mapping[int, Evse]) -> None:
        self._variables = variables
        self._calls = calls
        self._outbox = outbox
        self._evses = evses
        self._stays: dict[str, _Stay] = {}
        self._in_flight: str | None = None
        self._retry_at_s: float | None = None

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take over what the journal holds."""
        self._stays = {key: decode_record(raw) for key, raw in kept.items()}

    def begin(self, evse_id: int, transaction_id: str, csms_id: str | None, turn: Turn) -> None:
        """The transaction of an EVSE is over, and its car is still there."""
        wanted = self._variables.boolean(COSTS_SHOWN) and self._variables.boolean(IDLE_FEE_AFTER_STOP)
        if wanted and transaction_id not in self._stays:
            self._keep(_Stay(transaction_id=transaction_id, evse_id=evse_id, csms_id=csms_id), turn)

    def update(self, turn: Turn) -> None:
        """See who has left, and tell of it."""
        for stay in self._stays.values():
            self._see_off(stay, turn)
        self._pump(turn)

    def told(self, purpose: ForUnplugged, turn: Turn) -> None:
        """The CSMS has heard of it."""
        self._in_flight = None
        if self._stays.pop(purpose.transaction_id, None) is not None:
            turn.delete(SECTION, purpose.transaction_id)

    def failed(self, purpose: ForUnplugged, failure: CallFailure, turn: Turn) -> None:
        """It has not answered."""
        if failure in {CallFailure.TIMEOUT, CallFailure.LOST}:
            self._in_flight = None
            self._retry_at_s = turn.now.protocol_s + _RETRY_S
        else:
            self.told(purpose, turn)

    def next_deadline_s(self) -> float | None:
        """When to tell it again, on the protocol's clock."""
        waits = self._stays and self._in_flight is None and self._calls.online
        return self._retry_at_s if waits else None

    def _see_off(self, stay: _Stay, turn: Turn) -> None:
        evse = self._evses.get(stay.evse_id)
        issued = self._outbox.csms_id_of(stay.transaction_id)
        if stay.csms_id is None and issued is not None:
            stay.csms_id = issued
            self._keep(stay, turn)
        gone = evse is None or (evse.pilot is not None and not evse.occupied) or evse.transaction is not None
        if stay.left_at is None and gone:
            stay.left_at = turn.at
            self._keep(stay, turn)

    def _keep(self, stay: _Stay, turn: Turn) -> None:
        self._stays[stay.transaction_id] = stay
        turn.put(SECTION, stay.transaction_id, stay)

    def _pump(self, turn: Turn) -> None:
        if self._in_flight is not None or not self._calls.online:
            return
        if self._retry_at_s is not None and turn.now.protocol_s < self._retry_at_s:
            return
        self._retry_at_s = None
        for stay in self._stays.values():
            if stay.left_at is not None and stay.csms_id is not None:
                self._in_flight = stay.transaction_id
                request = ConnectorUnplugged(transaction_id=stay.csms_id, at=stay.left_at)
                self._calls.send(request, ForUnplugged(stay.transaction_id), turn)
                return
