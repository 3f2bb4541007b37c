"""What the controller learns from the notices that pass, and enters into the books.

Guarantees
* A transaction is on from its start, or from a reading or state that names it, to its end; ends of others are ignored,
  and so are states of a connector from before its start: they may be overtaken by it on their way, and would void what
  is bound to it.
* Readings that were kept while the station was offline tell of the past and are no evidence. When a reading was taken
  is judged by its timestamp and what is known of the station's clock, never by when it arrived.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from forecourt.controller.constraints import ConstraintMemory, Constraints
from forecourt.controller.currents import currents_of
from forecourt.controller.keeping import CONSTRAINTS, LINES, Keeping, KeptLine, decoded, kept, place_of, restore
from forecourt.controller.ledger import STALE_READING_S
from forecourt.controller.line import Line
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.station_clock import StationClock
from forecourt.domain.clock import Now
from forecourt.domain.composite import ActiveTransaction
from forecourt.domain.events import (
    ChargingStateReported,
    ConnectorStatusReported,
    MeterSampled,
    StationBooted,
    StationEvent,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.journal import JournalState
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState


class Station:
    """The EVSEs of one station, and what the CSMS allows them."""

    def __init__(self, lines: list[Line], settings: ControllerSettings, voltage_v: float) -> None:
        self.lines = lines
        self.constraints = Constraints([line.point for line in lines], voltage_v)
        self._settings = settings
        self._voltage_v = voltage_v
        self._kept: dict[str, KeptLine] = {}
        self._kept_constraints = self.constraints.memory
        self.clock = StationClock()
        """The station's, as far as it is known."""
        self._stamped: dict[int, datetime] = {}
        """When, by the station's clock, the last reading of each EVSE was taken."""
        self._started_at: dict[int, datetime] = {}
        """When, by the same, the last transaction of each EVSE began."""

    @property
    def station_id(self) -> str:
        """Its identity."""
        return self.lines[0].point.station_id

    def keep(self, keeping: Keeping) -> None:
        """Write down what has changed since the last time."""
        for line in self.lines:
            told = kept(line, self._settings)
            place = place_of(line)
            if self._kept.get(place) != told:
                self._kept[place] = told
                keeping.put(LINES, place, told)
        memory = self.constraints.memory
        if memory != self._kept_constraints:
            self._kept_constraints = memory
            keeping.put(CONSTRAINTS, self.station_id, memory)

    def restore(self, memory: JournalState, now: Now) -> None:
        """Take over what the journal holds."""
        for line in self.lines:
            told = restore(line, memory, self._settings, now)
            if told is not None:
                self._kept[place_of(line)] = told
        raw = memory.get(CONSTRAINTS, {}).get(self.station_id)
        constraints = None if raw is None else decoded(raw, ConstraintMemory)
        if constraints is not None:
            self.constraints.restore(constraints)
            self._kept_constraints = self.constraints.memory

    def hear(self, event: StationEvent, now: Now) -> None:
        """Enter what `event` tells; what the books don't need is passed over."""
        if (stamped := _stamp(event)) is not None:
            self.clock.heard(stamped, now)
            for line in self.lines:
                line.account.ahead_s = self.clock.ahead_s if self.clock.ahead_s is not None else line.account.ahead_s
        match event:
            case ConnectorStatusReported():
                self._connector(event)
            case ChargingStateReported():
                self._charging(event, now)
            case TransactionStarted():
                self._started(event, now)
            case TransactionEnded():
                self._ended(event)
            case StationBooted():
                self._booted()
            case MeterSampled():
                self._metered(event, now)
            case _:
                pass

    @property
    def transactions(self) -> dict[int, ActiveTransaction]:
        """The transaction on each EVSE that has one whose id is known."""
        return {line.point.evse_id: line.transaction for line in self.lines if line.transaction is not None}

    def named(self, evse_id: int | None, transaction_id: str | None = None) -> Iterable[Line]:
        """The EVSE that a message is about: by its number, else by its transaction."""
        if evse_id:
            return [line for line in self.lines if line.point.evse_id == evse_id]
        if transaction_id is not None:
            return [line for line in self.lines if _is_on(line, transaction_id)]
        return []

    def began(self, line: Line, transaction_id: str, now: Now) -> None:
        """A transaction's id is known. Another than before: what was bound to that one is void."""
        if not _is_on(line, transaction_id):
            if line.transaction is not None:
                self.ended(line)
            line.transaction = ActiveTransaction(transaction_id, now.at)
            self.constraints.transaction_began(line.point.evse_id, transaction_id, now.at)
        line.account.in_transaction = True

    def ended(self, line: Line) -> None:
        """Whatever transaction was on, it is over."""
        line.transaction = None
        line.account.transaction_over()
        self.constraints.transaction_ended(line.point.evse_id)

    def _connector(self, event: ConnectorStatusReported) -> None:
        for line in self.named(event.evse_id):
            # Of one second, it may have been said before the start or after it; an end says so by itself.
            if self._is_past(line, event.at) or self._is_of_the_start(line, event.at):
                continue
            free = event.connector_status in (ConnectorStatus.AVAILABLE, ConnectorStatus.RESERVED)
            if event.connector_status is ConnectorStatus.UNAVAILABLE:
                free = not line.account.in_transaction
            line.account.plugged(not free)
            if free:
                self.ended(line)

    def _charging(self, event: ChargingStateReported, now: Now) -> None:
        for line in self.named(event.evse_id, event.transaction_id):
            account = line.account
            if self._is_past(line, event.at):
                continue
            account.plugged(True)
            if event.transaction_id is not None:
                self.began(line, event.transaction_id, now)
            elif event.charging_state in _FLOWING:
                account.in_transaction = True
            account.state_reported(event.charging_state, now)

    def _started(self, event: TransactionStarted, now: Now) -> None:
        for line in self.named(event.evse_id):
            # Perhaps the same start, repeated because its answer was lost: only another id ends the one before.
            line.account.plugged(True)
            line.account.in_transaction = True
            self._started_at[line.point.evse_id] = event.at
            if event.transaction_id is not None:
                self.began(line, event.transaction_id, now)

    def _ended(self, event: TransactionEnded) -> None:
        for line in self.named(event.evse_id, event.transaction_id):
            if line.transaction is None or _is_on(line, event.transaction_id):
                self.ended(line)
                line.account.charging_state = ChargingState.EV_CONNECTED

    def _booted(self) -> None:
        for line in self.lines:
            line.account.forget()

    def _metered(self, event: MeterSampled, now: Now) -> None:
        settings = self._settings
        for line in self.named(event.evse_id, event.transaction_id):
            account = line.account
            if event.transaction_id is not None and line.transaction is None:
                self.began(line, event.transaction_id, now)
            for meter_value in event.meter_values:
                if not self._is_news(line, meter_value.at, now):
                    continue
                active = None if account.active_phases is None else len(account.active_phases)
                currents = currents_of(meter_value, line.point.phases, self._voltage_v, active=active)
                if currents is None:
                    continue
                self._stamped[line.point.evse_id] = meter_value.at
                account.measured(
                    currents,
                    now,
                    taken_s=self.clock.taken_s(meter_value.at, now),
                    patience_s=settings.patience_s,
                    appetite_s=settings.appetite_s,
                )

    def _is_past(self, line: Line, at: datetime | None) -> bool:
        """Whether a state is from before the transaction that is on."""
        started_at = self._started_at.get(line.point.evse_id)
        return line.account.in_transaction and at is not None and started_at is not None and at < started_at

    def _is_of_the_start(self, line: Line, at: datetime | None) -> bool:
        return line.account.in_transaction and at is not None and at == self._started_at.get(line.point.evse_id)

    def _is_news(self, line: Line, at: datetime, now: Now) -> bool:
        """Whether a reading tells of the present: neither kept for long nor overtaken by a later one. Where nobody
        knows how far the clock is off, it may be right."""
        taken_s = self.clock.taken_s(at, now)
        age_s = abs((now.at - at).total_seconds()) if taken_s is None else now.elapsed_s - taken_s
        before = self._stamped.get(line.point.evse_id)
        behind_s = 0.0 if before is None else (before - at).total_seconds()
        return age_s <= STALE_READING_S and not 0.0 < behind_s <= STALE_READING_S


def _stamp(event: StationEvent) -> datetime | None:
    """The station's own time at which a message was made, as near as it tells."""
    match event:
        case ConnectorStatusReported(at=at) | ChargingStateReported(at=at):
            return at
        case TransactionStarted(at=at) | TransactionEnded(at=at):
            return at
        case MeterSampled(meter_values=meter_values):
            return max((meter_value.at for meter_value in meter_values), default=None)
        case _:
            return None


_FLOWING: Final = (ChargingState.CHARGING, ChargingState.SUSPENDED_EV, ChargingState.SUSPENDED_EVSE)


def _is_on(line: Line, transaction_id: str) -> bool:
    return line.transaction is not None and line.transaction.transaction_id == transaction_id
