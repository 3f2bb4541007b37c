"""What a station says in OCPP 2.0.1 (chapters B, E, G, J), and what the CSMS answers.

Guarantees
* Events of a transaction that are told together are one TransactionEvent (`v201_transactions`); each other event is a
  message of its own. Meter values that belong to no transaction are MeterValues.
* What has no words is not said: the state of EVSE 0 (G01 is about connectors), what charging does outside of a
  transaction, a fault's code, a second serial number, the meter's type.
* What a station describes itself with is cut to what fits; an identifier that does not fit is refused.
"""

from typing import Final

from forecourt.dialect.port import Inexpressible, TransactionIdOf
from forecourt.dialect.tables import CallRow, mismatch
from forecourt.dialect.v201_firmware import NOTICES as REPORTS
from forecourt.dialect.v201_firmware import SAY
from forecourt.dialect.v201_meter import meter_values, meter_values_said
from forecourt.dialect.v201_transactions import belongs_to_transaction, say_transaction_event, transaction_event
from forecourt.dialect.v201_variables import notify_report, say_notify_report
from forecourt.dialect.v201_words import token_info, token_info_said
from forecourt.dialect.wire import Deviations, by_value, clipped, plain, read
from forecourt.domain.events import (
    Acknowledged,
    Answer,
    BootAnswer,
    ChargingNeedsReported,
    ConnectorStatusReported,
    HeartbeatAnswer,
    HeartbeatSent,
    MeterSampled,
    Notice,
    StationBooted,
    StationEvent,
    TransactionAnswer,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
    VariablesReported,
)
from forecourt.domain.station import BootReason, ConnectorStatus, RegistrationStatus, StationIdentity
from forecourt.messages import v201 as m
from forecourt.messages.base import Message

Told = tuple[tuple[str, Message], ...]
"""Actions and messages."""

_BOOT_REASONS: Final = by_value(m.BootReasonEnum, BootReason)
_BOOT_REASONS_SAID: Final = by_value(BootReason, m.BootReasonEnum)
_REGISTRATIONS: Final = by_value(m.RegistrationStatusEnum, RegistrationStatus)
_REGISTRATIONS_SAID: Final = by_value(RegistrationStatus, m.RegistrationStatusEnum)
_CONNECTOR_STATES: Final = by_value(m.ConnectorStatusEnum, ConnectorStatus)
_CONNECTOR_STATES_SAID: Final = by_value(ConnectorStatus, m.ConnectorStatusEnum)

_BOOT_UNSAID: Final = {
    "reason": m.BootReasonEnum.UNKNOWN,
    "chargingStation": m.ChargingStation(model="", vendor_name=""),
    "chargingStation.model": "",
    "chargingStation.vendorName": "",
}
_TRIGGER_UNSAID: Final = {"triggerReason": m.TriggerReasonEnum.ABNORMAL_CONDITION}
"""Nothing follows from why it is told."""


# What is heard


def _boot(wire: m.BootNotificationRequest, _: Deviations) -> Notice:
    station, modem = wire.charging_station, wire.charging_station.modem
    return Notice(
        (
            StationBooted(
                identity=StationIdentity(
                    vendor_name=station.vendor_name,
                    model=station.model,
                    serial_number=station.serial_number or None,
                    firmware_version=station.firmware_version or None,
                    modem_iccid=(modem.iccid or None) if modem else None,
                    modem_imsi=(modem.imsi or None) if modem else None,
                ),
                reason=_BOOT_REASONS[wire.reason],
            ),
        )
    )


def _heartbeat(_wire: m.HeartbeatRequest, _: Deviations) -> Notice:
    return Notice((HeartbeatSent(),))


def _status(wire: m.StatusNotificationRequest, _: Deviations) -> Notice:
    return Notice(
        (
            ConnectorStatusReported(
                evse_id=wire.evse_id,
                connector_id=wire.connector_id,
                at=plain(wire.timestamp),
                connector_status=_CONNECTOR_STATES[wire.connector_status],
            ),
        )
    )


def _meter(wire: m.MeterValuesRequest, deviations: Deviations) -> Notice:
    values = meter_values(wire.meter_value, deviations)
    return Notice((MeterSampled(evse_id=wire.evse_id, meter_values=values),))


def _charging_needs(wire: m.NotifyEVChargingNeedsRequest, _: Deviations) -> Notice:
    needs = wire.charging_needs
    ac, dc = needs.ac_charging_parameters, needs.dc_charging_parameters
    amount_wh = ac.energy_amount if ac is not None else dc.energy_amount if dc is not None else None
    return Notice(
        (
            ChargingNeedsReported(
                evse_id=wire.evse_id,
                departs_at=None if needs.departure_time is None else plain(needs.departure_time),
                energy_wh=None if amount_wh is None else float(amount_wh),
                battery_wh=None if dc is None or dc.ev_energy_capacity is None else float(dc.ev_energy_capacity),
                soc_percent=None if dc is None or dc.state_of_charge is None else float(dc.state_of_charge),
                full_soc_percent=None if dc is None or dc.full_soc is None else float(dc.full_soc),
            ),
        )
    )


NOTICES: Final[dict[str, CallRow]] = {
    "BootNotification": CallRow(m.BootNotificationRequest, _boot, _BOOT_UNSAID),
    "Heartbeat": CallRow(m.HeartbeatRequest, _heartbeat),
    "StatusNotification": CallRow(m.StatusNotificationRequest, _status, expendable=True),
    "MeterValues": CallRow(m.MeterValuesRequest, _meter, expendable=True),
    "TransactionEvent": CallRow(m.TransactionEventRequest, transaction_event, _TRIGGER_UNSAID),
    "NotifyReport": CallRow(m.NotifyReportRequest, notify_report, expendable=True),
    "NotifyEVChargingNeeds": CallRow(m.NotifyEVChargingNeedsRequest, _charging_needs),
    **REPORTS,
}


# What is said


def say_notice(notice: Notice, _: TransactionIdOf) -> Told:
    """The messages that tell it. The station issues transaction ids: its own is the one the CSMS knows."""
    of_transaction = tuple(event for event in notice.events if belongs_to_transaction(event, notice))
    told: list[tuple[str, Message]] = []
    if of_transaction or (notice.sequence is not None and not notice.events):
        told.append(("TransactionEvent", say_transaction_event(of_transaction, notice.sequence)))
    for event in notice.events:
        if event not in of_transaction:
            told += _say(event)
    return tuple(told)


def _say(event: StationEvent) -> Told:
    if isinstance(event, StationBooted):
        return (("BootNotification", _say_boot(event)),)
    if isinstance(event, HeartbeatSent):
        return (("Heartbeat", m.HeartbeatRequest()),)
    if isinstance(event, ConnectorStatusReported):
        return _say_status(event)
    if isinstance(event, MeterSampled):
        return _say_meter(event)
    if isinstance(event, VariablesReported):
        return (("NotifyReport", say_notify_report(event)),)
    if type(event) in SAY:
        return (SAY[type(event)](event),)
    return ()  # what charging does outside of a transaction


def _say_boot(event: StationBooted) -> Message:
    identity = event.identity
    iccid, imsi = clipped(identity.modem_iccid, 20), clipped(identity.modem_imsi, 20)
    return m.BootNotificationRequest(
        charging_station=m.ChargingStation(
            vendor_name=identity.vendor_name[:50],
            model=identity.model[:20],
            serial_number=clipped(identity.serial_number, 25),
            firmware_version=clipped(identity.firmware_version, 50),
            modem=m.Modem(iccid=iccid, imsi=imsi) if iccid or imsi else None,
        ),
        reason=_BOOT_REASONS_SAID[event.reason],
    )


def _say_status(event: ConnectorStatusReported) -> Told:
    if event.evse_id == 0:
        return ()
    if event.at is None:
        raise Inexpressible("a connector's state needs its time")
    message = m.StatusNotificationRequest(
        timestamp=event.at,
        connector_status=_CONNECTOR_STATES_SAID[event.connector_status],
        evse_id=event.evse_id,
        connector_id=event.connector_id,
    )
    return (("StatusNotification", message),)


def _say_meter(event: MeterSampled) -> Told:
    values = meter_values_said(event.meter_values)
    if not values:
        return ()
    if event.evse_id is None:
        raise Inexpressible("meter values outside of a transaction need their EVSE")
    return (("MeterValues", m.MeterValuesRequest(evse_id=event.evse_id, meter_value=values)),)


# Answers

_BILLED: Final = (TransactionStarted, TransactionAuthorized, TransactionEnded)


def reply_to_notice(notice: Notice, answer: Answer) -> Message:
    """The response to what was told."""
    told = _answered_kind(notice)
    if isinstance(answer, BootAnswer) and told is StationBooted:
        return m.BootNotificationResponse(
            status=_REGISTRATIONS_SAID[answer.registration], current_time=answer.now, interval=answer.interval_s
        )
    if isinstance(answer, HeartbeatAnswer) and told is HeartbeatSent:
        return m.HeartbeatResponse(current_time=answer.now)
    if isinstance(answer, Acknowledged) and told is ChargingNeedsReported:
        # Taken note of; no schedule for the car follows from it (K15.FR.03).
        return m.NotifyEVChargingNeedsResponse(status=m.NotifyEVChargingNeedsStatusEnum.REJECTED)
    if isinstance(answer, TransactionAnswer) and (told in _BILLED or notice.sequence is not None):
        return m.TransactionEventResponse(
            total_cost=answer.total_cost,
            id_token_info=token_info_said(answer.id_token_info) if answer.id_token_info else None,
        )
    if isinstance(answer, TransactionAnswer | Acknowledged) and (told is None or told in _BILLED):
        return m.StatusNotificationResponse()
    raise mismatch(told or notice, answer)


def hear_notice_answer(notice: Notice, payload: bytes, deviations: Deviations) -> Answer:
    """What the response says."""
    told = _answered_kind(notice)
    if told is StationBooted:
        boot = read(m.BootNotificationResponse, payload, deviations)
        return BootAnswer(
            registration=_REGISTRATIONS[boot.status], now=plain(boot.current_time), interval_s=boot.interval
        )
    if told is HeartbeatSent:
        return HeartbeatAnswer(now=plain(read(m.HeartbeatResponse, payload, deviations).current_time))
    if told in _BILLED or notice.sequence is not None:
        wire = read(m.TransactionEventResponse, payload, deviations)
        answer = TransactionAnswer(
            id_token_info=token_info(wire.id_token_info) if wire.id_token_info else None, total_cost=wire.total_cost
        )
        # To an update there is mostly nothing to say; a running cost is said all the same (I02).
        return answer if told in _BILLED or answer != TransactionAnswer() else Acknowledged()
    if told is ChargingNeedsReported:
        read(m.NotifyEVChargingNeedsResponse, payload, deviations)
        return Acknowledged()
    read(m.StatusNotificationResponse, payload, deviations)
    return Acknowledged()


def _answered_kind(notice: Notice) -> type | None:
    """The kind of event whose answer says something."""
    kinds = (StationBooted, HeartbeatSent, ChargingNeedsReported, *_BILLED)
    return next((type(event) for event in notice.events if isinstance(event, kinds)), None)
