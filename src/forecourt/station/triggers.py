"""TriggerMessage: what the CSMS wants to hear now, and whether it will.

Guarantees
* Accepted is said only where the message follows, and right after the reply (OCPP 1.6 §5.17); a connector that is not
  there, or that nothing can be said of, is Rejected (OCTT TC_055_CS).
* A message that is unknown, or not implemented, is NotImplemented (§5.17, §7.44).
* What is asked for leaves while Pending, too (§4.2).
"""

from collections.abc import Callable, Iterator
from typing import Final

from forecourt.domain import requests as r
from forecourt.domain.events import MeterSampled, Notice
from forecourt.domain.meter import MeterValue
from forecourt.domain.requests import RequestStatus, TriggeredMessage
from forecourt.station.calls import ForInformation
from forecourt.station.parts import Parts
from forecourt.station.turn import Turn
from forecourt.station.upkeep import say


def trigger(parts: Parts, request_id: str, request: r.TriggerMessage, turn: Turn) -> None:
    """Say what is asked for, or why not."""
    message = request.requested_message
    function = None if message is None else _TRIGGERS.get(message)
    if function is None:
        say(request_id, RequestStatus.NOT_IMPLEMENTED, turn)
        return
    refused = _refusal(parts, request, turn)
    if refused is not None:
        status, info = refused
        say(request_id, status, turn, info=info)
        return
    say(request_id, RequestStatus.ACCEPTED, turn)
    parts.calls.triggered = True
    function(parts, request, turn)
    parts.calls.triggered = False


def _refusal(parts: Parts, request: r.TriggerMessage, turn: Turn) -> tuple[RequestStatus, str] | None:
    """Why the message won't follow; None when it will."""
    wanted = request.evse_id
    if wanted is not None and wanted != 0 and wanted not in parts.evses:
        return RequestStatus.REJECTED, "no such EVSE"
    match request.requested_message:
        case TriggeredMessage.BOOT_NOTIFICATION if parts.calls.accepted:
            return RequestStatus.REJECTED, "accepted already"  # errata §3.40
        case TriggeredMessage.METER_VALUES if next(_readings(parts, request, turn), None) is None:
            return RequestStatus.REJECTED, "no meter there"
        case TriggeredMessage.TRANSACTION_EVENT if not parts.capabilities.sequence_numbers:
            return RequestStatus.NOT_IMPLEMENTED, ""
        case TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE if not parts.config.has_security:
            return RequestStatus.NOT_IMPLEMENTED, ""
        case TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE if not parts.certificates.can_sign:
            return RequestStatus.REJECTED, "no organization is set"  # A02, prerequisites
        case TriggeredMessage.SIGN_V2G_CERTIFICATE if not parts.v2g.can_sign:
            return (RequestStatus.REJECTED if parts.v2g.enabled else RequestStatus.NOT_SUPPORTED), ""
        case _:
            return None


def _boot(parts: Parts, _: r.TriggerMessage, turn: Turn) -> None:
    parts.boot.send(turn)


def _heartbeat(parts: Parts, _: r.TriggerMessage, turn: Turn) -> None:
    parts.boot.heartbeat(turn)


def _status(parts: Parts, request: r.TriggerMessage, turn: Turn) -> None:
    parts.status.tell_all(turn, None if request.evse_id is None else (request.evse_id,))


def _readings(parts: Parts, request: r.TriggerMessage, turn: Turn) -> Iterator[tuple[int, MeterValue]]:
    for number in (0, *parts.evses) if request.evse_id is None else (request.evse_id,):
        value = parts.metering.triggered(number, turn)
        if value is not None:
            yield number, value


def _meter(parts: Parts, request: r.TriggerMessage, turn: Turn) -> None:
    for number, value in _readings(parts, request, turn):
        evse = parts.evses.get(number)
        transaction = None if evse is None else evse.transaction
        own_id = None if transaction is None else transaction.transaction_id
        # A reading is worth more now without its transaction than later with it.
        known = own_id is not None and parts.outbox.csms_id_of(own_id) is not None
        event = MeterSampled(evse_id=number, transaction_id=own_id if known else None, meter_values=(value,))
        parts.calls.send(Notice((event,)), ForInformation(), turn)


def _transaction(parts: Parts, request: r.TriggerMessage, turn: Turn) -> None:
    for evse in parts.evses.values():
        if request.evse_id in {None, 0, evse.evse_id}:
            parts.transactions.tell_on_trigger(evse, turn)


def _firmware(parts: Parts, request: r.TriggerMessage, turn: Turn) -> None:
    event = parts.firmware.on_trigger(extended=request.extended)
    parts.calls.send(Notice((event,)), ForInformation(), turn)


def _upload(parts: Parts, request: r.TriggerMessage, turn: Turn) -> None:
    extended = request.requested_message is TriggeredMessage.LOG_STATUS_NOTIFICATION
    event = parts.log_uploads.on_trigger(extended=extended)
    parts.calls.send(Notice((event,)), ForInformation(), turn)


def _signing(parts: Parts, _: r.TriggerMessage, turn: Turn) -> None:
    parts.certificates.request_signature(turn)


def _v2g(parts: Parts, _: r.TriggerMessage, turn: Turn) -> None:
    parts.v2g.request_signature(turn)


_TRIGGERS: Final[dict[TriggeredMessage, Callable[[Parts, r.TriggerMessage, Turn], None]]] = {
    TriggeredMessage.BOOT_NOTIFICATION: _boot,
    TriggeredMessage.HEARTBEAT: _heartbeat,
    TriggeredMessage.STATUS_NOTIFICATION: _status,
    TriggeredMessage.METER_VALUES: _meter,
    TriggeredMessage.TRANSACTION_EVENT: _transaction,
    TriggeredMessage.FIRMWARE_STATUS_NOTIFICATION: _firmware,
    TriggeredMessage.DIAGNOSTICS_STATUS_NOTIFICATION: _upload,
    TriggeredMessage.LOG_STATUS_NOTIFICATION: _upload,
    TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE: _signing,
    TriggeredMessage.SIGN_V2G_CERTIFICATE: _v2g,
}
