"""Transactions: their beginning, what is told while they last, and their end.

Guarantees
* A transaction is in the journal from the turn it begins in to the turn it ends in; its start, its values and its end
  are queued in those same turns, so that a power cut finds both or neither (OCPP 1.6 §3.7).
* Its end names the token that ended it, where there was one (OCPP 1.6 §6.49); one that the CSMS asked for is told as
  any other (§5.12).
* The messages of a transaction are numbered where the protocol numbers them (`Capabilities.sequence_numbers`).
* A CSMS that refuses the token after the start ends the transaction, or only its energy, as StopTxOnInvalidId says,
  after MaxEnergyOnInvalidId more (OCPP 1.6 §3.5.4, errata §3.17; OCTT TC_037_2, TC_037_3).
* After a restart an open transaction goes on if its car is still there and the cut was short (ResumptionTimeout); else
  it ends with PowerLoss, at the time and the register of the last reading that the journal knows (OCTT TC_032_2).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.domain.events import (
    ChargingStateReported,
    MeterSampled,
    Notice,
    Sequence,
    StationEvent,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import ReadingContext, SampledValue
from forecourt.domain.station import Capabilities
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.transaction import StoppedReason, TriggerReason
from forecourt.station.calls import Calls, ForInformation
from forecourt.station.charging import Charging
from forecourt.station.config import StationConfig
from forecourt.station.dating import dated
from forecourt.station.effects import ReleaseConnector
from forecourt.station.evse import Authorization, Evse, Lock, Transaction
from forecourt.station.metering import Due, Metering, rows_section
from forecourt.station.outbox import Outbox, Part
from forecourt.station.turn import Turn
from forecourt.station.variable_table import (
    MAX_ENERGY_ON_INVALID_ID,
    RESUMPTION_TIMEOUT,
    STOP_ON_INVALID_ID,
)
from forecourt.station.variables import Variables

SECTION: Final = "transaction"

decode_transaction = msgspec.json.Decoder(Transaction).decode


class Transactions:
    """The open transactions of one station."""

    __slots__ = (
        "_calls",
        "_capabilities",
        "_charging",
        "_config",
        "_evses",
        "_metering",
        "_new_id",
        "_outbox",
        "_presence_until_s",
        "_variables",
        "_zero",
    )

    def __init__(
        self,
        config: StationConfig,
        capabilities: Capabilities,
        variables: Variables,
        calls: Calls,
        outbox: Outbox,
        metering: Metering,
        charging: Charging,
        evses: Mapping[int, Evse],
        new_id: Callable[[], str],
    ) -> None:
        self._config = config
        self._capabilities = capabilities
        self._variables = variables
        self._calls = calls
        self._outbox = outbox
        self._metering = metering
        self._charging = charging
        self._evses = evses
        self._new_id = new_id
        self._presence_until_s: float | None = None
        self._zero: tuple[datetime, float] | None = None
        """One instant on the calendar and on the world's clock, to go from one to the other."""

    # After a restart

    def restore(self, state: Mapping[str, Mapping[str, bytes]], turn: Turn) -> None:
        """Take over the journal's open transactions; whether they go on, `resolve` decides."""
        for raw in state.get(SECTION, {}).values():
            transaction = decode_transaction(raw)
            evse = self._evses.get(transaction.evse_id)
            if evse is None:
                continue
            evse.transaction = transaction
            evse.interrupted = True
            self._outbox.running.add(transaction.transaction_id)
            rows = state.get(rows_section(transaction.transaction_id), {})
            age_s = (turn.at - transaction.started_at).total_seconds()
            self._metering.resume(transaction.transaction_id, rows, max(0.0, age_s), turn)
            if not self._may_resume(transaction, turn):
                self._cut_off(evse, turn)
            else:
                self._presence_until_s = turn.now.elapsed_s + self._config.presence_patience_s

    def date(self, ahead: timedelta, turn: Turn) -> None:
        """The time has become known: what was stamped before gets its true time (`dating`)."""
        self._metering.date(ahead, turn)
        for evse in self._evses.values():
            if evse.transaction is not None and (made := dated(evse.transaction, ahead)) is not evse.transaction:
                evse.transaction = made
                turn.put(SECTION, made.transaction_id, made)

    def resolve(self, evse: Evse, turn: Turn) -> None:
        """The hardware has said whether the car of an interrupted transaction is there."""
        transaction = evse.transaction
        if not evse.interrupted or transaction is None:
            return
        if evse.car_connected and self._may_resume(transaction, turn):
            evse.interrupted = False
            if evse.config.has_lock:
                evse.lock = Lock.LOCKED  # the bolt does not move without power
        else:
            self._cut_off(evse, turn)

    def _may_resume(self, transaction: Transaction, turn: Turn) -> bool:
        timeout_s = self._variables.integer(RESUMPTION_TIMEOUT)
        # The journal's reading may be that much older than the cut.
        allowed_s = timeout_s + self._config.reading_persisted_every_s
        return timeout_s > 0 and (turn.at - transaction.reading_at).total_seconds() <= allowed_s

    def _cut_off(self, evse: Evse, turn: Turn) -> None:
        transaction = evse.transaction
        if transaction is None:
            return
        evse.interrupted = False
        evse.lock = Lock.LOCKED if evse.config.has_lock else Lock.FREE
        self.stop(
            evse,
            StoppedReason.POWER_LOSS,
            TriggerReason.ABNORMAL_CONDITION,
            turn,
            at=transaction.reading_at,
            register_wh=transaction.reading_wh,
        )

    # Beginning and end

    def start(
        self,
        evse: Evse,
        authorization: Authorization,
        trigger: TriggerReason,
        turn: Turn,
        *,
        reservation_id: int | None = None,
    ) -> None:
        """Begin a transaction; `reservation_id`: the reservation that it has used up."""
        energy_wh = self._metering.energy_wh(evse.evse_id) or 0.0
        transaction = Transaction(
            transaction_id=self._new_id(),
            evse_id=evse.evse_id,
            id_token=authorization.id_token,
            group_id_token=authorization.group_id_token,
            started_at=turn.at,
            start_wh=energy_wh,
            reading_at=turn.at,
            reading_wh=energy_wh,
            remote_start_id=authorization.remote_start_id,
        )
        evse.transaction = transaction
        evse.authorization = None
        evse.preparing_since_s = None
        evse.finished = False
        started = TransactionStarted(
            transaction_id=transaction.transaction_id,
            evse_id=evse.evse_id,
            at=turn.at,
            id_token=authorization.id_token,
            meter_values=self._metering.at_start(evse, turn),
            reservation_id=reservation_id,
            remote_start_id=authorization.remote_start_id,
        )
        self._outbox.running.add(transaction.transaction_id)
        self._metering.begin(transaction.transaction_id, evse.evse_id, turn)
        if authorization.profile is not None:
            self._charging.install(evse.evse_id, authorization.profile, turn)
        self._tell(evse, transaction, started, trigger, Part.START, turn)

    def stop(
        self,
        evse: Evse,
        reason: StoppedReason,
        trigger: TriggerReason,
        turn: Turn,
        *,
        id_token: IdToken | None = None,
        at: datetime | None = None,
        register_wh: float | None = None,
        release: bool = True,
    ) -> None:
        """End the transaction of an EVSE; nothing, if it has none. `release`: let go of the plug."""
        transaction = evse.transaction
        if transaction is None:
            return
        if register_wh is None:
            register_wh = self._metering.energy_wh(evse.evse_id)
        register = SampledValue(
            transaction.reading_wh if register_wh is None else register_wh, context=ReadingContext.TRANSACTION_END
        )
        ended = TransactionEnded(
            transaction_id=transaction.transaction_id,
            evse_id=evse.evse_id,
            at=at or turn.at,
            id_token=id_token,
            reason=reason,
            meter_values=self._metering.end(evse, register, at or turn.at, turn),
        )
        self._outbox.running.discard(transaction.transaction_id)
        self._tell(evse, transaction, ended, trigger, Part.END, turn)
        turn.delete(SECTION, transaction.transaction_id)
        self._charging.end_transaction(evse.evse_id, turn)
        evse.transaction = None
        evse.interrupted = False
        evse.finished = True
        evse.preparing_since_s = None
        if evse.lock is Lock.LOCKED and release:
            evse.lock = Lock.FREE
            turn.emit(ReleaseConnector(evse.evse_id))
        elif evse.lock is Lock.LOCKED and transaction.id_token is not None:
            evse.held_for = Authorization(id_token=transaction.id_token, group_id_token=transaction.group_id_token)

    def stop_all(self, reason: StoppedReason, trigger: TriggerReason, turn: Turn) -> None:
        """End all transactions."""
        for evse in self._evses.values():
            self.stop(evse, reason, trigger, turn)

    # While it lasts

    def sample(self, turn: Turn) -> None:
        """Tell, or put away, the meter values that are due; keep a reading for the case of a power cut."""
        self._zero = (turn.at, turn.now.elapsed_s)
        for due in self._metering.due(turn):
            evse = self._evses.get(due.evse_id)
            transaction = None if evse is None else evse.transaction
            if evse is None or transaction is None or evse.interrupted:
                self._sample_idle(due, turn)
                continue
            if due.to_keep:
                self._metering.keep(due, transaction.transaction_id, turn)
            value = self._metering.to_send(due) if due.to_send else None
            if value is not None:
                event = MeterSampled(
                    evse_id=evse.evse_id, transaction_id=transaction.transaction_id, meter_values=(value,)
                )
                trigger = TriggerReason.METER_VALUE_CLOCK if due.aligned else TriggerReason.METER_VALUE_PERIODIC
                self._keep_reading(transaction, turn)
                self._tell(evse, transaction, event, trigger, Part.UPDATE, turn)
        for evse in self._evses.values():
            transaction = evse.transaction
            if transaction is not None and not evse.interrupted:
                age_s = (turn.at - transaction.reading_at).total_seconds()
                if age_s >= self._config.reading_persisted_every_s:
                    self._keep_reading(transaction, turn)
                    turn.put(SECTION, transaction.transaction_id, transaction)

    def token_refused(self, transaction_id: str, info: IdTokenInfo, turn: Turn) -> None:
        """The CSMS has said what it thinks of the token of a transaction that had begun."""
        evse = self.evse_of(transaction_id)
        if evse is None or evse.transaction is None:
            return
        transaction = evse.transaction
        if info.status is AuthorizationStatus.ACCEPTED:
            if info.group_id_token is not None and transaction.group_id_token != info.group_id_token:
                transaction.group_id_token = info.group_id_token
                turn.put(SECTION, transaction_id, transaction)
            return
        energy_wh = self._metering.energy_wh(evse.evse_id)
        transaction.refused_at_wh = transaction.reading_wh if energy_wh is None else energy_wh
        turn.put(SECTION, transaction_id, transaction)
        self.watch_energy(evse, turn)

    def watch_energy(self, evse: Evse, turn: Turn) -> None:
        """A refused token gets no more than MaxEnergyOnInvalidId."""
        transaction = evse.transaction
        if transaction is None or transaction.refused_at_wh is None or transaction.withheld:
            return
        energy_wh = self._metering.energy_wh(evse.evse_id)
        delivered_wh = (transaction.reading_wh if energy_wh is None else energy_wh) - transaction.refused_at_wh
        if delivered_wh < self._variables.integer(MAX_ENERGY_ON_INVALID_ID):
            return
        if self._variables.boolean(STOP_ON_INVALID_ID):
            self.stop(evse, StoppedReason.DE_AUTHORIZED, TriggerReason.DEAUTHORIZED, turn, release=False)
        else:
            transaction.withheld = True
            turn.put(SECTION, transaction.transaction_id, transaction)

    def tell_states(self, turn: Turn) -> None:
        """Tell what charging does where that is the transaction's business; note when it could begin."""
        for evse in self._evses.values():
            transaction = evse.transaction
            if transaction is None or evse.interrupted:
                continue
            if evse.offering and transaction.charging_since is None:
                transaction.charging_since = turn.at
                turn.put(SECTION, transaction.transaction_id, transaction)
            state = evse.charging_state()
            if transaction.told_state is state or self._capabilities.reports_charging_state_without_transaction:
                continue
            event = self._state_event(evse, transaction, turn)
            self._tell(evse, transaction, event, TriggerReason.CHARGING_STATE_CHANGED, Part.UPDATE, turn)

    def tell_on_trigger(self, evse: Evse, turn: Turn) -> None:
        """The CSMS wants to hear of the transaction of an EVSE, if there is one (OCPP 2.0.1 F06)."""
        if evse.transaction is not None:
            event = self._state_event(evse, evse.transaction, turn)
            self._tell(evse, evse.transaction, event, TriggerReason.TRIGGER, Part.UPDATE, turn)

    def evse_of(self, transaction_id: str) -> Evse | None:
        """Where a transaction, named by the station's own id, runs."""
        for evse in self._evses.values():
            if evse.transaction is not None and evse.transaction.transaction_id == transaction_id:
                return evse
        return None

    def next_deadline_s(self) -> float | None:
        """When to call `expire`, on the world's clock."""
        if any(evse.interrupted for evse in self._evses.values()):
            return self._presence_until_s
        kept_at = [evse.transaction.reading_at for evse in self._evses.values() if evse.transaction is not None]
        if not kept_at or self._zero is None:
            return None
        zero_at, zero_s = self._zero
        return zero_s + (min(kept_at) - zero_at).total_seconds() + self._config.reading_persisted_every_s

    def expire(self, turn: Turn) -> None:
        """Time has passed: of transactions whose car was not heard of in time, none goes on."""
        if self._presence_until_s is None or turn.now.elapsed_s < self._presence_until_s:
            return
        self._presence_until_s = None
        for evse in self._evses.values():
            if evse.interrupted:
                self._cut_off(evse, turn)

    # Inside

    def _sample_idle(self, due: Due, turn: Turn) -> None:
        value = self._metering.to_send(due) if due.to_send and due.aligned else None
        if value is not None:
            event = MeterSampled(evse_id=due.evse_id, meter_values=(value,))
            self._calls.send(Notice((event,)), ForInformation(), turn)

    def _keep_reading(self, transaction: Transaction, turn: Turn) -> None:
        energy_wh = self._metering.energy_wh(transaction.evse_id)
        transaction.register_is(transaction.reading_wh if energy_wh is None else energy_wh, turn.at)

    def _state_event(self, evse: Evse, transaction: Transaction, turn: Turn) -> ChargingStateReported:
        transaction.told_state = evse.charging_state()
        return ChargingStateReported(
            evse_id=evse.evse_id,
            at=turn.at,
            charging_state=transaction.told_state,
            transaction_id=transaction.transaction_id,
        )

    def _tell(
        self,
        evse: Evse,
        transaction: Transaction,
        event: StationEvent,
        trigger: TriggerReason,
        part: Part,
        turn: Turn,
    ) -> None:
        """Queue one message of a transaction, and keep what changed in it."""
        events: tuple[StationEvent, ...] = (event,)
        sequence = None
        if self._capabilities.sequence_numbers:
            sequence = Sequence(
                seq_no=transaction.next_seq_no, trigger_reason=trigger, offline=not self._calls.connected
            )
            transaction.next_seq_no += 1
        if part is Part.START and not self._capabilities.reports_charging_state_without_transaction:
            events = (event, self._state_event(evse, transaction, turn))
        if part is not Part.END:
            turn.put(SECTION, transaction.transaction_id, transaction)
        self._outbox.add(Notice(events, sequence), transaction.transaction_id, part, turn)
