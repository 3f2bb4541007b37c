"""What a station says in OCPP 1.6 (chapter 4), and what the Central System answers.

Guarantees
* Connector n is EVSE n with its connector 1; connector 0 is the station, EVSE 0 with connector 0
  (OCPP 1.6 §3.8).
* StatusNotification tells either the connector's state (Available, Preparing, Reserved, Unavailable, Faulted) or what
  charging does (Charging, SuspendedEV, SuspendedEVSE, Finishing), as 2.x separates them.
* A transaction id is the text of 1.6's integer; the Central System issues it with StartTransaction.conf (§4.8).
* An idTag is a token of type ISO14443; the type of any other token is not told (§7.28).
* What a station describes itself with (vendor, model, versions, a fault's info) is cut to what fits; an identifier
  that does not fit is refused, but for a parentIdTag, which is not told: whoever may charge can all the same.
"""

from collections.abc import Callable
from typing import Any, Final

from forecourt.dialect.port import Inexpressible, TransactionIdOf
from forecourt.dialect.tables import CallRow, mismatch
from forecourt.dialect.v16_firmware import NOTICES as REPORTS
from forecourt.dialect.v16_firmware import SAY, Told
from forecourt.dialect.v16_meter import (
    NOT_SAID,
    meter_values,
    meter_values_said,
    register_at_start,
    register_said,
    stop_said,
    values_at_stop,
)
from forecourt.dialect.v16_profiles import transaction_number
from forecourt.dialect.wire import Deviations, by_value, clipped, plain, read, said
from forecourt.domain.events import (
    Acknowledged,
    Answer,
    BootAnswer,
    ChargingNeedsReported,
    ChargingStateReported,
    ConnectorStatusReported,
    HeartbeatAnswer,
    HeartbeatSent,
    MeterSampled,
    Notice,
    ReservationEnded,
    StationBooted,
    TransactionAnswer,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
    VariablesReported,
)
from forecourt.domain.station import ConnectorError, ConnectorStatus, RegistrationStatus, StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.transaction import ChargingState, StoppedReason
from forecourt.messages import v16 as m
from forecourt.messages.base import Message

CONNECTOR_STATES: Final = {
    m.ChargePointStatus.AVAILABLE: ConnectorStatus.AVAILABLE,
    m.ChargePointStatus.PREPARING: ConnectorStatus.OCCUPIED,
    m.ChargePointStatus.RESERVED: ConnectorStatus.RESERVED,
    m.ChargePointStatus.UNAVAILABLE: ConnectorStatus.UNAVAILABLE,
    m.ChargePointStatus.FAULTED: ConnectorStatus.FAULTED,
}
CHARGING_STATES: Final = {
    m.ChargePointStatus.CHARGING: ChargingState.CHARGING,
    m.ChargePointStatus.SUSPENDED_EV: ChargingState.SUSPENDED_EV,
    m.ChargePointStatus.SUSPENDED_EVSE: ChargingState.SUSPENDED_EVSE,
    m.ChargePointStatus.FINISHING: ChargingState.EV_CONNECTED,
}
_CONNECTOR_STATES_SAID: Final = {state: status for status, state in CONNECTOR_STATES.items()}
_CHARGING_STATES_SAID: Final = {state: status for status, state in CHARGING_STATES.items()} | {
    ChargingState.IDLE: m.ChargePointStatus.SUSPENDED_EV,  # unplugged at the car, and not stopped by that (§9.1.23)
}

REASONS: Final = by_value(m.Reason, StoppedReason) | {
    m.Reason.HARD_RESET: StoppedReason.IMMEDIATE_RESET,
    m.Reason.SOFT_RESET: StoppedReason.GRACEFUL_RESET,
}
_REASONS_SAID: Final = dict.fromkeys(StoppedReason, m.Reason.OTHER) | {
    StoppedReason.MASTER_PASS: m.Reason.LOCAL,  # a pass presented at the station
    **{meant: word for word, meant in REASONS.items()},
}

_AUTHORIZATIONS: Final = by_value(m.AuthorizationStatus, AuthorizationStatus)
_AUTHORIZATIONS_SAID: Final = dict.fromkeys(AuthorizationStatus, m.AuthorizationStatus.BLOCKED) | {
    AuthorizationStatus.UNKNOWN: m.AuthorizationStatus.INVALID,  # §7.2: "identifier is unknown"
    **{meant: word for word, meant in _AUTHORIZATIONS.items()},
}
_REGISTRATIONS: Final = by_value(m.RegistrationStatus, RegistrationStatus)
_REGISTRATIONS_SAID: Final = by_value(RegistrationStatus, m.RegistrationStatus)
_ERROR_CODES: Final = {code.value: code for code in m.ChargePointErrorCode}
_LONGEST_ID_TAG: Final = 20

_NAMELESS: Final = {"chargePointVendor": "", "chargePointModel": ""}
_NO_ERROR: Final = {"errorCode": m.ChargePointErrorCode.NO_ERROR}
"""A state without a word on errors is the state all the same."""


def connector_number(evse_id: int | None, connector_id: int | None = None) -> int:
    """The connectorId of 1.6.

    Raises:
        Inexpressible: the place is not named, or is a second connector of its EVSE.
    """
    if evse_id is None:
        raise Inexpressible("the EVSE has to be named")
    if connector_id is not None and connector_id > 1:
        raise Inexpressible(f"no number for connector {connector_id} of EVSE {evse_id}")
    return evse_id


def token_info(wire: m.IdTagInfo) -> IdTokenInfo:
    """What the Central System says of a tag (§7.27)."""
    return IdTokenInfo(
        status=_AUTHORIZATIONS[wire.status],
        expires_at=plain(wire.expiry_date),
        group_id_token=None if wire.parent_id_tag is None else IdToken(wire.parent_id_tag),
    )


def token_info_said(meant: IdTokenInfo) -> m.IdTagInfo:
    """The same on the wire; where the token may be used and its priority have no word."""
    group = meant.group_id_token
    return m.IdTagInfo(
        status=_AUTHORIZATIONS_SAID[meant.status],
        expiry_date=meant.expires_at,
        parent_id_tag=group.value if group is not None and len(group.value) <= _LONGEST_ID_TAG else None,
    )


# What is heard


def _boot(wire: m.BootNotificationRequest, _: Deviations) -> Notice:
    return Notice(
        (
            StationBooted(
                identity=StationIdentity(
                    vendor_name=wire.charge_point_vendor,
                    model=wire.charge_point_model,
                    serial_number=wire.charge_point_serial_number or None,
                    firmware_version=wire.firmware_version or None,
                    modem_iccid=wire.iccid or None,
                    modem_imsi=wire.imsi or None,
                    meter_type=wire.meter_type or None,
                    meter_serial_number=wire.meter_serial_number or None,
                    controller_serial_number=wire.charge_box_serial_number or None,
                )
            ),
        )
    )


def _heartbeat(_wire: m.HeartbeatRequest, _: Deviations) -> Notice:
    return Notice((HeartbeatSent(),))


def _status(wire: m.StatusNotificationRequest, deviations: Deviations) -> Notice:
    if wire.connector_id < 0:
        deviations.note("connectorId", f"there is no connector {wire.connector_id}; nothing of it is taken in")
        return Notice(())
    error = None
    if wire.error_code is not m.ChargePointErrorCode.NO_ERROR:
        error = ConnectorError(
            code=wire.error_code.value,
            info=wire.info or None,
            vendor_id=wire.vendor_id or None,
            vendor_error_code=wire.vendor_error_code or None,
        )
    connector_id = 1 if wire.connector_id else 0
    connector_status = CONNECTOR_STATES.get(wire.status)
    if connector_status is not None:
        return Notice(
            (
                ConnectorStatusReported(
                    evse_id=wire.connector_id,
                    connector_id=connector_id,
                    at=plain(wire.timestamp),
                    connector_status=connector_status,
                    error=error,
                ),
            )
        )
    return Notice(
        (
            ChargingStateReported(
                evse_id=wire.connector_id,
                connector_id=connector_id,
                at=plain(wire.timestamp),
                charging_state=CHARGING_STATES[wire.status],
                error=error,
            ),
        )
    )


def _start(wire: m.StartTransactionRequest, deviations: Deviations) -> Notice:
    if wire.connector_id < 1:
        deviations.note("connectorId", f"a transaction on connector {wire.connector_id}")
    return Notice(
        (
            TransactionStarted(
                transaction_id=None,
                evse_id=wire.connector_id,
                connector_id=1 if wire.connector_id else 0,
                at=plain(wire.timestamp),
                id_token=IdToken(wire.id_tag),
                meter_values=register_at_start(plain(wire.timestamp), wire.meter_start),
                reservation_id=wire.reservation_id,
            ),
        )
    )


def _meter(wire: m.MeterValuesRequest, deviations: Deviations) -> Notice:
    return Notice(
        (
            MeterSampled(
                evse_id=wire.connector_id,
                transaction_id=None if wire.transaction_id is None else str(wire.transaction_id),
                meter_values=meter_values(wire.meter_value, deviations),
            ),
        )
    )


def _stop(wire: m.StopTransactionRequest, deviations: Deviations) -> Notice:
    return Notice(
        (
            TransactionEnded(
                transaction_id=str(wire.transaction_id),
                at=plain(wire.timestamp),
                id_token=None if wire.id_tag is None else IdToken(wire.id_tag),
                reason=StoppedReason.LOCAL if wire.reason is None else REASONS[wire.reason],
                meter_values=values_at_stop(plain(wire.timestamp), wire.meter_stop, wire.transaction_data, deviations),
            ),
        )
    )


NOTICES: Final[dict[str, CallRow]] = {
    "BootNotification": CallRow(m.BootNotificationRequest, _boot, _NAMELESS),
    "Heartbeat": CallRow(m.HeartbeatRequest, _heartbeat),
    "StatusNotification": CallRow(m.StatusNotificationRequest, _status, _NO_ERROR, expendable=True),
    "StartTransaction": CallRow(m.StartTransactionRequest, _start, {"meterStart": NOT_SAID}),
    "MeterValues": CallRow(m.MeterValuesRequest, _meter, expendable=True),
    "StopTransaction": CallRow(m.StopTransactionRequest, _stop, {"meterStop": NOT_SAID}),
    **REPORTS,
}


# What is said: for each kind of event, the messages that say it


def _say_boot(event: StationBooted, _: TransactionIdOf) -> Told:
    identity = event.identity
    message = m.BootNotificationRequest(
        charge_point_vendor=identity.vendor_name[:20],
        charge_point_model=identity.model[:20],
        charge_point_serial_number=clipped(identity.serial_number, 25),
        charge_box_serial_number=clipped(identity.controller_serial_number, 25),
        firmware_version=clipped(identity.firmware_version, 50),
        iccid=clipped(identity.modem_iccid, 20),
        imsi=clipped(identity.modem_imsi, 20),
        meter_type=clipped(identity.meter_type, 25),
        meter_serial_number=clipped(identity.meter_serial_number, 25),
    )
    return (("BootNotification", message),)


def _say_heartbeat(_event: HeartbeatSent, _: TransactionIdOf) -> Told:
    return (("Heartbeat", m.HeartbeatRequest()),)


def _say_status(event: ConnectorStatusReported | ChargingStateReported, _: TransactionIdOf) -> Told:
    if isinstance(event, ConnectorStatusReported):
        status = said(_CONNECTOR_STATES_SAID, event.connector_status)
    else:
        status = said(_CHARGING_STATES_SAID, event.charging_state)
    error = event.error
    code, vendor_code = m.ChargePointErrorCode.NO_ERROR, None
    if error is not None:
        code = _ERROR_CODES.get(error.code, m.ChargePointErrorCode.OTHER_ERROR)
        vendor_code = error.vendor_error_code or (None if error.code in _ERROR_CODES else error.code)
    message = m.StatusNotificationRequest(
        connector_id=connector_number(event.evse_id, event.connector_id),
        error_code=code,
        status=status,
        info=clipped(error.info, 50) if error else None,
        timestamp=event.at,
        vendor_id=clipped(error.vendor_id, 255) if error else None,
        vendor_error_code=clipped(vendor_code, 50),
    )
    return (("StatusNotification", message),)


def _say_start(event: TransactionStarted, _: TransactionIdOf) -> Told:
    if event.id_token is None:
        raise Inexpressible("a transaction can't be told before somebody is authorized (§4.8: idTag is required)")
    message = m.StartTransactionRequest(
        connector_id=connector_number(event.evse_id, event.connector_id),
        id_tag=event.id_token.value,
        meter_start=register_said(event.meter_values),
        reservation_id=event.reservation_id,
        timestamp=event.at,
    )
    return (("StartTransaction", message),)


def _say_nothing(
    _event: TransactionAuthorized | VariablesReported | ChargingNeedsReported | ReservationEnded, _: TransactionIdOf
) -> Told:
    return ()


def _say_meter(event: MeterSampled, transaction_id_of: TransactionIdOf) -> Told:
    values = meter_values_said(event.meter_values)
    if not values:
        return ()
    message = m.MeterValuesRequest(
        connector_id=connector_number(event.evse_id),
        transaction_id=None if event.transaction_id is None else _issued(event.transaction_id, transaction_id_of),
        meter_value=values,
    )
    return (("MeterValues", message),)


def _say_stop(event: TransactionEnded, transaction_id_of: TransactionIdOf) -> Told:
    meter_stop, transaction_data = stop_said(event.at, event.meter_values)
    message = m.StopTransactionRequest(
        transaction_id=_issued(event.transaction_id, transaction_id_of),
        timestamp=event.at,
        meter_stop=meter_stop,
        id_tag=event.id_token.value if event.id_token else None,
        reason=_REASONS_SAID[event.reason],
        transaction_data=transaction_data,
    )
    return (("StopTransaction", message),)


def _issued(transaction_id: str, transaction_id_of: TransactionIdOf) -> int:
    issued = transaction_id_of(transaction_id)
    if issued is None:
        raise Inexpressible(f"transaction {transaction_id!r} has no id of the Central System yet")
    return transaction_number(issued)


_SAY: Final[dict[type, Callable[[Any, TransactionIdOf], Told]]] = {
    StationBooted: _say_boot,
    HeartbeatSent: _say_heartbeat,
    ConnectorStatusReported: _say_status,
    ChargingStateReported: _say_status,
    TransactionStarted: _say_start,
    TransactionAuthorized: _say_nothing,
    MeterSampled: _say_meter,
    TransactionEnded: _say_stop,
    VariablesReported: _say_nothing,
    ChargingNeedsReported: _say_nothing,
    ReservationEnded: _say_nothing,
    **SAY,
}

_ANSWERED: Final = (StationBooted, HeartbeatSent, TransactionStarted, TransactionEnded)


def say_notice(notice: Notice, transaction_id_of: TransactionIdOf) -> Told:
    """The messages that tell it, the one with the answer that counts before the others."""
    events = sorted(notice.events, key=lambda event: not isinstance(event, _ANSWERED))
    return tuple(told for event in events for told in _SAY[type(event)](event, transaction_id_of))


# Answers


def reply_to_notice(notice: Notice, answer: Answer) -> Message:
    """The .conf for what was told."""
    told = _answered_kind(notice)
    if isinstance(answer, BootAnswer) and told is StationBooted:
        return m.BootNotificationResponse(
            status=_REGISTRATIONS_SAID[answer.registration], current_time=answer.now, interval=answer.interval_s
        )
    if isinstance(answer, HeartbeatAnswer) and told is HeartbeatSent:
        return m.HeartbeatResponse(current_time=answer.now)
    if isinstance(answer, TransactionAnswer) and told is TransactionStarted:
        if answer.transaction_id is None:
            raise Inexpressible("the Central System has to issue a transaction id (§4.8)")
        info = answer.id_token_info or IdTokenInfo(status=AuthorizationStatus.ACCEPTED)
        return m.StartTransactionResponse(
            id_tag_info=token_info_said(info), transaction_id=transaction_number(answer.transaction_id)
        )
    if isinstance(answer, TransactionAnswer) and told is TransactionEnded:
        info_said = token_info_said(answer.id_token_info) if answer.id_token_info else None
        return m.StopTransactionResponse(id_tag_info=info_said)
    if isinstance(answer, TransactionAnswer | Acknowledged) and told is None:
        return m.MeterValuesResponse()
    raise mismatch(told or notice, answer)


def hear_notice_answer(notice: Notice, payload: bytes, deviations: Deviations) -> Answer:
    """What the .conf says."""
    told = _answered_kind(notice)
    if told is StationBooted:
        boot = read(m.BootNotificationResponse, payload, deviations)
        return BootAnswer(
            registration=_REGISTRATIONS[boot.status], now=plain(boot.current_time), interval_s=boot.interval
        )
    if told is HeartbeatSent:
        return HeartbeatAnswer(now=plain(read(m.HeartbeatResponse, payload, deviations).current_time))
    if told is TransactionStarted:
        start = read(m.StartTransactionResponse, payload, deviations)
        return TransactionAnswer(id_token_info=token_info(start.id_tag_info), transaction_id=str(start.transaction_id))
    if told is TransactionEnded:
        stop = read(m.StopTransactionResponse, payload, deviations)
        return TransactionAnswer(id_token_info=token_info(stop.id_tag_info) if stop.id_tag_info else None)
    read(m.MeterValuesResponse, payload, deviations)
    return Acknowledged()


def _answered_kind(notice: Notice) -> type | None:
    """The kind of event whose answer says something."""
    return next((type(event) for event in notice.events if isinstance(event, _ANSWERED)), None)
