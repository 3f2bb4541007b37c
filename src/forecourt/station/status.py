"""Telling the CSMS the state of the connectors, and of the station as EVSE 0.

Guarantees
* Every change is told once it has lasted MinimumStatusDuration, stamped with the instant of the change (OCPP 1.6 §4.9
  with errata 3.19); a trigger does not wait. A car that has just been offered energy, at first or again, has a moment
  to take it before it is told to be what holds charging up (SuspendedEV).
* EVSE 0 knows only Available, Unavailable and Faulted (OCPP 1.6 §4.9). While it is Faulted, all EVSEs are.
* After the station was accepted all states are told (errata 3.22); after a mere reconnect only those that changed while
  it was offline, and those whose message got lost.
* An error that leaves the connector usable is told when it happens, one message for each, with the state as it is;
  when the last of them is gone, the state is told without an error.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from forecourt.domain.events import ChargingStateReported, ConnectorStatusReported, Notice
from forecourt.domain.station import Capabilities, ConnectorError, ConnectorStatus
from forecourt.domain.transaction import ChargingState
from forecourt.station.calls import Calls, ForStatus, ShownState
from forecourt.station.error_codes import with_required_code
from forecourt.station.evse import Evse, error_of
from forecourt.station.inputs import CallFailure, Fault
from forecourt.station.turn import Turn
from forecourt.station.variable_table import MINIMUM_STATUS_DURATION, REQUIRED_ERROR_CODES
from forecourt.station.variables import Variables

_CAR_ANSWERS_WITHIN_S: Final = 2.0
"""For a car to go from state B to C of IEC 61851-1 once it is offered energy."""


class _Line(msgspec.Struct, kw_only=True):
    """What is, and what was told, of one connector."""

    current: ShownState
    since_s: float
    since_at: datetime
    told: ShownState | None = None
    lost: bool = False

    def duration_s(self, minimum_s: float) -> float:
        """How long the current state has to last before it is told."""
        begins = self.told is not None and self.told.charging_state in {None, ChargingState.SUSPENDED_EVSE}
        if begins and self.current.charging_state is ChargingState.SUSPENDED_EV:
            return max(minimum_s, _CAR_ANSWERS_WITHIN_S)
        return minimum_s


class Ground:
    """The station as a whole: EVSE 0."""

    __slots__ = ("faults", "local_limit_a", "operative")

    def __init__(self) -> None:
        self.operative = True
        self.faults: dict[str, Fault] = {}
        self.local_limit_a: float | None = None

    @property
    def faulted(self) -> bool:
        """Whether a fault keeps the whole station from delivering energy."""
        return any(fault.inoperative for fault in self.faults.values())

    def shown(self) -> ShownState:
        """The state others are told of."""
        inoperative = [fault for fault in self.faults.values() if fault.inoperative]
        if inoperative:
            return ShownState(ConnectorStatus.FAULTED, None, error_of(inoperative[-1]))
        return ShownState(ConnectorStatus.AVAILABLE if self.operative else ConnectorStatus.UNAVAILABLE)


class Status:
    """The connectors' states as told and as they are."""

    __slots__ = ("_calls", "_capabilities", "_evses", "_ground", "_lines", "_variables")

    def __init__(
        self, capabilities: Capabilities, variables: Variables, calls: Calls, ground: Ground, evses: dict[int, Evse]
    ) -> None:
        self._capabilities = capabilities
        self._variables = variables
        self._calls = calls
        self._ground = ground
        self._evses = evses
        self._lines: dict[int, _Line] = {}

    def update(self, turn: Turn) -> frozenset[int]:
        """Take in what has changed, and tell what has lasted. Whose state was told."""
        told = set()
        duration_s = self._variables.integer(MINIMUM_STATUS_DURATION)
        for evse_id in self._ids():
            shown = self._shown(evse_id)
            line = self._lines.get(evse_id)
            unlocking = evse_id != 0 and self._evses[evse_id].unlocking
            if line is not None and unlocking and shown.charging_state is ChargingState.SUSPENDED_EVSE:
                continue  # for as long as a lock takes to move; what comes of it is told
            if line is None:
                line = _Line(current=shown, since_s=turn.now.elapsed_s, since_at=turn.at)
                self._lines[evse_id] = line
            elif line.current != shown:
                line.current, line.since_s, line.since_at = shown, turn.now.elapsed_s, turn.at
            # Before the first telling there is nothing to compare with: `tell_all` does that once accepted.
            changed = line.told is not None and line.told != line.current
            if changed and turn.now.elapsed_s >= line.since_s + line.duration_s(duration_s):
                self._tell(evse_id, line, line.since_at, turn)
                told.add(evse_id)
        return frozenset(told)

    def next_deadline_s(self) -> float | None:
        """When a state will have lasted long enough, on the world's clock."""
        if not self._calls.may_speak:
            return None
        duration_s = self._variables.integer(MINIMUM_STATUS_DURATION)
        lines = self._lines.values()
        waiting = [
            line.since_s + line.duration_s(duration_s) for line in lines if line.told not in {None, line.current}
        ]
        return min(waiting, default=None)

    def tell_all(self, turn: Turn, evse_ids: Iterable[int] | None = None) -> None:
        """Tell the states as they are now, of `evse_ids` or of all."""
        told = self.update(turn)
        for evse_id in self._ids() if evse_ids is None else evse_ids:
            if evse_id in told:
                continue
            self._tell(evse_id, self._lines[evse_id], turn.at, turn)

    def tell_what_was_lost(self, turn: Turn) -> None:
        """After a reconnect: what changed meanwhile is told by `update`, what never arrived here."""
        self.update(turn)
        for evse_id, line in self._lines.items():
            if line.lost:
                self._tell(evse_id, line, line.since_at, turn)

    def tell_fault(self, evse_id: int, fault: Fault, turn: Turn) -> None:
        """Tell an error that leaves the connector usable."""
        shown = msgspec.structs.replace(self._shown(evse_id), error=error_of(fault))
        self._send(evse_id, shown, turn.at, turn)

    def tell_no_fault(self, evse_id: int, turn: Turn) -> None:
        """Tell that no error is left."""
        self._send(evse_id, self._shown(evse_id), turn.at, turn)

    def failed(self, purpose: ForStatus, failure: CallFailure) -> None:
        """A message about a state got no answer. One that the CSMS refused is not repeated."""
        line = self._lines.get(purpose.evse_id)
        if line is not None and failure in {CallFailure.LOST, CallFailure.TIMEOUT} and line.told == purpose.shown:
            line.lost = True

    def _tell(self, evse_id: int, line: _Line, at: datetime, turn: Turn) -> None:
        if self._send(evse_id, line.current, at, turn):
            line.told = line.current
            line.lost = False

    def _said(self, error: ConnectorError | None) -> ConnectorError | None:
        """An error in the words that are wanted."""
        wanted = error is not None and self._variables.boolean(REQUIRED_ERROR_CODES)
        return with_required_code(error) if wanted and error is not None else error

    def _send(self, evse_id: int, shown: ShownState, at: datetime, turn: Turn) -> bool:
        return self._calls.send(Notice((self._event(evse_id, shown, at),)), ForStatus(evse_id, shown), turn)

    def _event(self, evse_id: int, shown: ShownState, at: datetime) -> ConnectorStatusReported | ChargingStateReported:
        connector_id = 0 if evse_id == 0 else 1
        if shown.charging_state is not None and self._capabilities.reports_charging_state_without_transaction:
            return ChargingStateReported(
                evse_id=evse_id,
                connector_id=connector_id,
                at=at,
                charging_state=shown.charging_state,
                error=self._said(shown.error),
            )
        return ConnectorStatusReported(
            evse_id=evse_id,
            connector_id=connector_id,
            at=at,
            connector_status=shown.connector_status,
            error=self._said(shown.error),
        )

    def _shown(self, evse_id: int) -> ShownState:
        if evse_id == 0:
            return self._ground.shown()
        if self._ground.faulted:
            return self._ground.shown()  # a station that can't deliver has no connector that can
        evse = self._evses[evse_id]
        shown = evse.shown()
        if self._capabilities.reports_charging_state_without_transaction:
            return shown
        # Elsewhere a connector is occupied by a plug and by nothing else, and charging is the transaction's business.
        if shown.connector_status is ConnectorStatus.OCCUPIED and not evse.occupied and evse.transaction is None:
            return ShownState(ConnectorStatus.AVAILABLE)
        if shown.connector_status is ConnectorStatus.RESERVED and evse.occupied:
            return ShownState(ConnectorStatus.OCCUPIED)
        return ShownState(shown.connector_status, None, None if shown.charging_state else shown.error)

    def _ids(self) -> Iterable[int]:
        return (0, *self._evses)
