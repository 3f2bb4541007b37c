"""TransactionEvent of OCPP 2.0.1 (chapter E): one message for everything that happens to a transaction.

Guarantees
* It becomes the events of what it tells: Started, a later authorization, what charging does, readings, Ended; what it
  tells about itself (seqNo, triggerReason, offline) is the notice's `Sequence`.
* The state of charging of a Started is told when it says more than EVConnected. That of an Ended is told as
  EV_CONNECTED outside of the transaction when the car is still there (any state but Idle): what 1.6 calls Finishing.
* The same events, said together with a `Sequence`, become one TransactionEvent again. Without the number, without the
  transaction's id, or with two of a kind, they are refused.
"""

from datetime import datetime
from typing import Final, TypeVar

from forecourt.dialect.port import Inexpressible
from forecourt.dialect.v201_meter import meter_values, meter_values_said
from forecourt.dialect.v201_words import evse_said, token, token_said
from forecourt.dialect.wire import Deviations, by_value, plain
from forecourt.domain.events import (
    ChargingStateReported,
    MeterSampled,
    Notice,
    Sequence,
    StationEvent,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import MeterValue
from forecourt.domain.transaction import ChargingState, StoppedReason, TriggerReason
from forecourt.messages import v201 as m

E = TypeVar("E", bound=StationEvent)

_CHARGING_STATES: Final = by_value(m.ChargingStateEnum, ChargingState)
_CHARGING_STATES_SAID: Final = by_value(ChargingState, m.ChargingStateEnum)
_TRIGGERS: Final = by_value(m.TriggerReasonEnum, TriggerReason)
_TRIGGERS_SAID: Final = by_value(TriggerReason, m.TriggerReasonEnum)
_REASONS: Final = by_value(m.ReasonEnum, StoppedReason)
_REASONS_SAID: Final = by_value(StoppedReason, m.ReasonEnum) | {
    StoppedReason.GRACEFUL_RESET: m.ReasonEnum.IMMEDIATE_RESET,
    StoppedReason.UNLOCK_COMMAND: m.ReasonEnum.OTHER,
}


def transaction_event(wire: m.TransactionEventRequest, deviations: Deviations) -> Notice:
    """What a TransactionEvent tells."""
    values = meter_values(wire.meter_value, deviations) if wire.meter_value else ()
    if wire.event_type is m.TransactionEventEnum.STARTED:
        events = _started(wire, values)
    elif wire.event_type is m.TransactionEventEnum.ENDED:
        events = _ended(wire, values)
    else:
        events = _updated(wire, values)
    return Notice(
        events,
        Sequence(
            seq_no=wire.seq_no,
            trigger_reason=_TRIGGERS[wire.trigger_reason],
            offline=bool(wire.offline),
            number_phases_used=wire.number_of_phases_used,
            cable_max_current_a=wire.cable_max_current,
            transaction_id=None if events else wire.transaction_info.transaction_id,
            at=None if events else plain(wire.timestamp),
        ),
    )


def _started(wire: m.TransactionEventRequest, values: tuple[MeterValue, ...]) -> tuple[StationEvent, ...]:
    info, evse = wire.transaction_info, wire.evse
    connector_id = 0 if evse is None else 1 if evse.connector_id is None else evse.connector_id
    started = TransactionStarted(
        transaction_id=info.transaction_id,
        evse_id=0 if evse is None else evse.id,  # begun before the driver has chosen one
        connector_id=connector_id,
        at=plain(wire.timestamp),
        id_token=token(wire.id_token) if wire.id_token else None,
        meter_values=values,
        reservation_id=wire.reservation_id,
        remote_start_id=info.remote_start_id,
    )
    if info.charging_state in {None, m.ChargingStateEnum.EV_CONNECTED}:
        return (started,)
    return (started, _charging(wire, info.charging_state))


def _updated(wire: m.TransactionEventRequest, values: tuple[MeterValue, ...]) -> tuple[StationEvent, ...]:
    info = wire.transaction_info
    events: list[StationEvent] = []
    if wire.id_token is not None:
        events.append(
            TransactionAuthorized(
                transaction_id=info.transaction_id,
                at=plain(wire.timestamp),
                id_token=token(wire.id_token),
                reservation_id=wire.reservation_id,
                remote_start_id=info.remote_start_id,
                evse_id=wire.evse.id if wire.evse and info.charging_state is None and not values else None,
            )
        )
    if info.charging_state is not None:
        events.append(_charging(wire, info.charging_state))
    if values:
        evse_id = wire.evse.id if wire.evse else None
        events.append(MeterSampled(evse_id=evse_id, transaction_id=info.transaction_id, meter_values=values))
    return tuple(events)


def _ended(wire: m.TransactionEventRequest, values: tuple[MeterValue, ...]) -> tuple[StationEvent, ...]:
    info, evse = wire.transaction_info, wire.evse
    ended = TransactionEnded(
        transaction_id=info.transaction_id,
        evse_id=evse.id if evse else None,
        at=plain(wire.timestamp),
        id_token=token(wire.id_token) if wire.id_token else None,
        reason=_REASONS[info.stopped_reason] if info.stopped_reason else StoppedReason.LOCAL,
        meter_values=values,
    )
    if info.charging_state in {None, m.ChargingStateEnum.IDLE}:
        return (ended,)
    still_there = ChargingStateReported(
        evse_id=evse.id if evse else None,
        connector_id=evse.connector_id if evse else None,
        at=plain(wire.timestamp),
        charging_state=ChargingState.EV_CONNECTED,
        transaction_id=None if evse else info.transaction_id,
    )
    return (ended, still_there)


def _charging(wire: m.TransactionEventRequest, state: m.ChargingStateEnum) -> ChargingStateReported:
    return ChargingStateReported(
        evse_id=wire.evse.id if wire.evse else None,
        connector_id=wire.evse.connector_id if wire.evse else None,
        at=plain(wire.timestamp),
        charging_state=_CHARGING_STATES[state],
        transaction_id=wire.transaction_info.transaction_id,
    )


def belongs_to_transaction(event: StationEvent, notice: Notice) -> bool:
    """Whether a TransactionEvent tells `event` of `notice`."""
    if isinstance(event, TransactionStarted | TransactionAuthorized | TransactionEnded):
        return True
    if not isinstance(event, ChargingStateReported | MeterSampled):
        return False
    return event.transaction_id is not None or any(
        isinstance(other, TransactionStarted | TransactionEnded) for other in notice.events
    )


Turn = TransactionStarted | TransactionAuthorized | TransactionEnded
"""What a transaction's message is about, when it is about more than its course."""


def say_transaction_event(events: tuple[StationEvent, ...], sequence: Sequence | None) -> m.TransactionEventRequest:
    """One message for all of them."""
    if sequence is None:
        raise Inexpressible("a message about a transaction needs its number (E01.FR.07)")
    turn = _one([event for event in events if isinstance(event, Turn)])
    charging = _one([event for event in events if isinstance(event, ChargingStateReported)])
    sampled = _one([event for event in events if isinstance(event, MeterSampled)])
    values = (
        *(turn.meter_values if isinstance(turn, TransactionStarted | TransactionEnded) else ()),
        *(sampled.meter_values if sampled else ()),
    )
    begins = turn if isinstance(turn, TransactionStarted | TransactionAuthorized) else None
    return m.TransactionEventRequest(
        event_type=_EVENT_TYPES_SAID[type(turn)],
        timestamp=_instant(turn, charging, values, sequence),
        trigger_reason=_TRIGGERS_SAID[sequence.trigger_reason],
        seq_no=sequence.seq_no,
        transaction_info=m.Transaction(
            transaction_id=_transaction_id((turn, charging, sampled, sequence)),
            charging_state=_CHARGING_STATES_SAID[charging.charging_state] if charging else None,
            stopped_reason=_REASONS_SAID[turn.reason] if isinstance(turn, TransactionEnded) else None,
            remote_start_id=begins.remote_start_id if begins else None,
        ),
        meter_value=meter_values_said(values) or None,
        offline=sequence.offline or None,
        number_of_phases_used=sequence.number_phases_used,
        cable_max_current=sequence.cable_max_current_a,
        reservation_id=begins.reservation_id if begins else None,
        evse=_place(turn, charging, sampled),
        id_token=token_said(turn.id_token) if turn and turn.id_token else None,
    )


_EVENT_TYPES_SAID: Final[dict[type, m.TransactionEventEnum]] = {
    TransactionStarted: m.TransactionEventEnum.STARTED,
    TransactionEnded: m.TransactionEventEnum.ENDED,
    TransactionAuthorized: m.TransactionEventEnum.UPDATED,
    type(None): m.TransactionEventEnum.UPDATED,
}


def _one(events: list[E]) -> E | None:
    if len(events) > 1:
        raise Inexpressible(f"one message about a transaction can't tell {len(events)} such events")
    return events[0] if events else None


def _transaction_id(tellers: tuple[Turn | ChargingStateReported | MeterSampled | Sequence | None, ...]) -> str:
    named = {teller.transaction_id for teller in tellers if teller is not None and teller.transaction_id is not None}
    if len(named) != 1:
        raise Inexpressible(f"a message is about one transaction, not {len(named)}")
    return named.pop()


def _instant(
    turn: Turn | None, charging: ChargingStateReported | None, values: tuple[MeterValue, ...], sequence: Sequence
) -> datetime:
    at = turn.at if turn else charging.at if charging and charging.at else None
    at = at or (values[-1].at if values else sequence.at)
    if at is None:
        raise Inexpressible("a message about a transaction needs its time")
    return at


def _place(turn: Turn | None, charging: ChargingStateReported | None, sampled: MeterSampled | None) -> m.EVSE | None:
    """The EVSE as the first of them names it, and the connector where one does."""
    if isinstance(turn, TransactionStarted):
        return evse_said(turn.evse_id, turn.connector_id)
    evse_ids = [
        turn.evse_id if turn else None,
        charging.evse_id if charging else None,
        sampled.evse_id if sampled else None,
    ]
    evse_id = next((evse_id for evse_id in evse_ids if evse_id), None)
    return evse_said(evse_id, charging.connector_id if charging else None)
