"""What is asked in OCPP 1.6 (chapter 5; §4.1 and §4.3 by the station), and what is answered.

Guarantees
* The rows read and write each request and each answer; `REQUEST_ROWS` is by kind of request, `REQUESTS` by action.
* Reset: Hard is immediate and not graceful, Soft immediate and graceful (§7.42, errata 3.81); on idle has no word.
* One key at a time is changed (§5.3), and keys are `v16_keys`; an outcome that 1.6 has no word for becomes the
  nearest refusal of the message, never Accepted.
* All variables, asked for at once, are those that are keys; a station may have others.
* What is about ISO 15118, and about prices, goes inside of DataTransfer (`v16_contracts`, `v16_costs`).
* ExtendedTriggerMessage asks for what TriggerMessage has no word for, and for what is asked for as `extended`.
* RemoteStartTransaction has neither a remote start id (0 in the domain) nor a group token; its connector is above 0
  (OCPP 1.6 §6.33).
"""

from typing import Final

from forecourt.dialect import cost_words
from forecourt.dialect import v16_contracts as contracts
from forecourt.dialect import v16_costs as costs
from forecourt.dialect import v16_words as w
from forecourt.dialect.port import Inexpressible
from forecourt.dialect.tables import CallRow, RequestRow, always, either
from forecourt.dialect.v16_calls import connector_number, token_info, token_info_said
from forecourt.dialect.v16_keys import has_key, key_of, mutability_of, ref_of, text_of, value_of
from forecourt.dialect.v16_profiles import (
    PURPOSES,
    PURPOSES_SAID,
    RATE_UNITS,
    RATE_UNITS_SAID,
    composite,
    composite_said,
    profile,
    profile_said,
    transaction_number,
)
from forecourt.dialect.wire import Deviations, only, said
from forecourt.domain import requests as r
from forecourt.domain.profile import ProfileCriteria
from forecourt.domain.requests import RequestStatus, TriggeredMessage
from forecourt.domain.station import ResetType
from forecourt.domain.token import IdToken
from forecourt.domain.variable import (
    GetVariableStatus,
    Mutability,
    VariableReading,
    VariableSetResult,
    VariableSetting,
)
from forecourt.messages import v16 as m
from forecourt.messages.base import Message

VALUE_MAX_LENGTH: Final = 500


# Asked by either side


def _authorize(wire: m.AuthorizeRequest, _: Deviations) -> r.Authorize:
    return r.Authorize(id_token=IdToken(wire.id_tag))


def _from_station(wire: m.DataTransferRequest, deviations: Deviations) -> r.Request:
    return (
        contracts.unwrapped(wire, contracts.STATION_MESSAGES, deviations)
        or costs.unwrapped(wire, costs.STATION_MESSAGES, deviations)
        or _data_transfer(wire)
    )


def _from_csms(wire: m.DataTransferRequest, deviations: Deviations) -> r.Request:
    return (
        contracts.unwrapped(wire, contracts.CSMS_MESSAGES, deviations)
        or costs.unwrapped(wire, costs.CSMS_MESSAGES, deviations)
        or _data_transfer(wire)
    )


def _data_transfer(wire: m.DataTransferRequest) -> r.DataTransfer:
    known = wire.vendor_id.casefold() in {contracts.VENDOR_ID, cost_words.VENDOR_ID}
    return r.DataTransfer(vendor_id=wire.vendor_id, message_id=wire.message_id, content=wire.data, vendor_known=known)


STATION_REQUESTS: Final[dict[str, CallRow]] = {
    "Authorize": CallRow(m.AuthorizeRequest, _authorize),
    "DataTransfer": CallRow(m.DataTransferRequest, _from_station),
}


# Asked by the Central System: what is heard


def _change_availability(wire: m.ChangeAvailabilityRequest, _: Deviations) -> r.ChangeAvailability:
    return r.ChangeAvailability(evse_id=wire.connector_id, operational_status=w.OPERATIONAL[wire.type])


def _change_configuration(wire: m.ChangeConfigurationRequest, _: Deviations) -> r.SetVariables:
    ref = ref_of(wire.key)
    return r.SetVariables(settings=(VariableSetting(ref, value_of(ref, wire.value)),))


def _clear_cache(_wire: m.ClearCacheRequest, _: Deviations) -> r.ClearCache:
    return r.ClearCache()


def _clear_profile(wire: m.ClearChargingProfileRequest, _: Deviations) -> r.ClearChargingProfile:
    purpose = wire.charging_profile_purpose
    return r.ClearChargingProfile(
        criteria=ProfileCriteria(
            profile_id=wire.id,
            evse_id=wire.connector_id,
            purpose=PURPOSES[purpose] if purpose else None,
            stack_level=wire.stack_level,
        )
    )


def _get_composite(wire: m.GetCompositeScheduleRequest, _: Deviations) -> r.GetCompositeSchedule:
    return r.GetCompositeSchedule(
        evse_id=wire.connector_id,
        duration_s=wire.duration,
        rate_unit=RATE_UNITS[wire.charging_rate_unit] if wire.charging_rate_unit else None,
    )


def _get_configuration(wire: m.GetConfigurationRequest, _: Deviations) -> r.GetVariables:
    # §5.8: an empty list asks for all, as an absent one does
    return r.GetVariables(refs=tuple(ref_of(key) for key in wire.key) if wire.key else None)


def _remote_start(wire: m.RemoteStartTransactionRequest, deviations: Deviations) -> r.RequestStartTransaction:
    evse_id = wire.connector_id
    if evse_id is not None and evse_id < 1:
        deviations.note("connectorId", "must be above 0 (§6.33)")
        evse_id = None
    return r.RequestStartTransaction(
        id_token=IdToken(wire.id_tag),
        evse_id=evse_id,
        charging_profile=profile(wire.charging_profile) if wire.charging_profile else None,
    )


def _remote_stop(wire: m.RemoteStopTransactionRequest, _: Deviations) -> r.RequestStopTransaction:
    return r.RequestStopTransaction(transaction_id=str(wire.transaction_id))


def _reset(wire: m.ResetRequest, _: Deviations) -> r.Reset:
    return r.Reset(reset_type=ResetType.IMMEDIATE, graceful=w.GRACEFUL[wire.type])


def _set_profile(wire: m.SetChargingProfileRequest, _: Deviations) -> r.SetChargingProfile:
    return r.SetChargingProfile(evse_id=wire.connector_id, profile=profile(wire.cs_charging_profiles))


def _trigger(wire: m.TriggerMessageRequest, _: Deviations) -> r.TriggerMessage:
    return _triggered(w.TRIGGERS[wire.requested_message], wire.connector_id)


def _extended_trigger(wire: m.ExtendedTriggerMessageRequest, _: Deviations) -> r.TriggerMessage:
    message = w.EXTENDED_TRIGGERS[wire.requested_message]
    return _triggered(message, wire.connector_id, extended=message in w.TRIGGERS_SAID)


def _triggered(message: TriggeredMessage, connector: int | None, *, extended: bool = False) -> r.TriggerMessage:
    one_connector = message is TriggeredMessage.STATUS_NOTIFICATION and connector
    return r.TriggerMessage(
        requested_message=message, evse_id=connector, connector_id=1 if one_connector else None, extended=extended
    )


def _unlock(wire: m.UnlockConnectorRequest, _: Deviations) -> r.UnlockConnector:
    return r.UnlockConnector(evse_id=wire.connector_id)


_UNKNOWN_TRIGGER: Final = r.TriggerMessage(requested_message=None)
"""A message that is unknown has an answer of its own (§5.17, §7.44)."""

CSMS_REQUESTS: Final[dict[str, CallRow]] = {
    "ChangeAvailability": CallRow(m.ChangeAvailabilityRequest, _change_availability),
    "ChangeConfiguration": CallRow(m.ChangeConfigurationRequest, _change_configuration),
    "ClearCache": CallRow(m.ClearCacheRequest, _clear_cache),
    "ClearChargingProfile": CallRow(m.ClearChargingProfileRequest, _clear_profile),
    "DataTransfer": CallRow(m.DataTransferRequest, _from_csms),
    "ExtendedTriggerMessage": CallRow(
        m.ExtendedTriggerMessageRequest, _extended_trigger, unknown_word=("requestedMessage", _UNKNOWN_TRIGGER)
    ),
    "GetCompositeSchedule": CallRow(m.GetCompositeScheduleRequest, _get_composite),
    "GetConfiguration": CallRow(m.GetConfigurationRequest, _get_configuration),
    "RemoteStartTransaction": CallRow(m.RemoteStartTransactionRequest, _remote_start),
    "RemoteStopTransaction": CallRow(m.RemoteStopTransactionRequest, _remote_stop),
    "Reset": CallRow(m.ResetRequest, _reset),
    "SetChargingProfile": CallRow(m.SetChargingProfileRequest, _set_profile),
    "TriggerMessage": CallRow(m.TriggerMessageRequest, _trigger, unknown_word=("requestedMessage", _UNKNOWN_TRIGGER)),
    "UnlockConnector": CallRow(m.UnlockConnectorRequest, _unlock),
}


# What is said


def _say_start(request: r.RequestStartTransaction) -> tuple[str, Message]:
    return "RemoteStartTransaction", m.RemoteStartTransactionRequest(
        id_tag=request.id_token.value,
        connector_id=request.evse_id or None,
        charging_profile=profile_said(request.charging_profile) if request.charging_profile else None,
    )


def _say_reset(request: r.Reset) -> tuple[str, Message]:
    if request.reset_type is not ResetType.IMMEDIATE:
        raise Inexpressible("a reset can't wait until idle")
    if request.evse_id:
        raise Inexpressible("a single EVSE can't be reset")
    return "Reset", m.ResetRequest(type=m.ResetType.SOFT if request.graceful else m.ResetType.HARD)


def _say_availability(request: r.ChangeAvailability) -> tuple[str, Message]:
    return "ChangeAvailability", m.ChangeAvailabilityRequest(
        connector_id=connector_number(request.evse_id, request.connector_id),
        type=w.OPERATIONAL_SAID[request.operational_status],
    )


def _say_trigger(request: r.TriggerMessage) -> tuple[str, Message]:
    connector = None if request.evse_id is None else connector_number(request.evse_id, request.connector_id)
    if request.requested_message is None:
        raise Inexpressible("no message is named")
    word = w.TRIGGERS_SAID.get(request.requested_message)
    if word is not None and not request.extended:
        return "TriggerMessage", m.TriggerMessageRequest(requested_message=word, connector_id=connector)
    extended = said(w.EXTENDED_TRIGGERS_SAID, request.requested_message)
    return "ExtendedTriggerMessage", m.ExtendedTriggerMessageRequest(requested_message=extended, connector_id=connector)


def _say_set_variables(request: r.SetVariables) -> tuple[str, Message]:
    setting = only(request.settings, "settings")
    return "ChangeConfiguration", m.ChangeConfigurationRequest(
        key=key_of(setting.ref), value=text_of(setting.ref, setting.value)
    )


def _say_get_variables(request: r.GetVariables) -> tuple[str, Message]:
    if request.refs is None:
        return "GetConfiguration", m.GetConfigurationRequest()
    if not request.refs:
        raise Inexpressible("no keys at all would mean all of them (§5.8)")
    return "GetConfiguration", m.GetConfigurationRequest(key=tuple(key_of(ref) for ref in request.refs))


def _say_clear_profile(request: r.ClearChargingProfile) -> tuple[str, Message]:
    criteria = request.criteria
    return "ClearChargingProfile", m.ClearChargingProfileRequest(
        id=criteria.profile_id,
        connector_id=criteria.evse_id,
        charging_profile_purpose=said(PURPOSES_SAID, criteria.purpose) if criteria.purpose else None,
        stack_level=criteria.stack_level,
    )


def _say_composite(request: r.GetCompositeSchedule) -> tuple[str, Message]:
    return "GetCompositeSchedule", m.GetCompositeScheduleRequest(
        connector_id=request.evse_id,
        duration=request.duration_s,
        charging_rate_unit=RATE_UNITS_SAID[request.rate_unit] if request.rate_unit else None,
    )


def _say_transfer(request: r.DataTransfer) -> tuple[str, Message]:
    return "DataTransfer", m.DataTransferRequest(
        vendor_id=request.vendor_id, message_id=request.message_id, data=request.content
    )


# Answers that are more than a status


def _hear_transfer(_: r.DataTransfer, wire: m.DataTransferResponse, __: Deviations) -> r.DataTransferAnswer:
    return r.DataTransferAnswer(outcome=w.TRANSFERS[wire.status], content=wire.data)


def _reply_transfer(_: r.DataTransfer, answer: r.DataTransferAnswer) -> Message:
    return m.DataTransferResponse(status=w.TRANSFERS_SAID[answer.outcome], data=answer.content)


def _hear_set(request: r.SetVariables, wire: m.ChangeConfigurationResponse, _: Deviations) -> r.SetVariablesAnswer:
    outcome = w.CONFIGURATIONS[wire.status]
    return r.SetVariablesAnswer(results=tuple(VariableSetResult(setting.ref, outcome) for setting in request.settings))


def _reply_set(_: r.SetVariables, answer: r.SetVariablesAnswer) -> Message:
    return m.ChangeConfigurationResponse(status=w.CONFIGURATIONS_SAID[only(answer.results, "results").outcome])


def _hear_get(request: r.GetVariables, wire: m.GetConfigurationResponse, _: Deviations) -> r.GetVariablesAnswer:
    readings = []
    for pair in wire.configuration_key or ():
        ref = ref_of(pair.key)
        value = None if pair.value is None else value_of(ref, pair.value)
        readings.append(VariableReading(ref, value=value, mutability=mutability_of(ref, readonly=pair.readonly)))
    readings += [VariableReading(ref_of(key), GetVariableStatus.UNKNOWN_VARIABLE) for key in wire.unknown_key or ()]
    if request.refs is not None:  # in the order they were asked for, as 2.x answers; what nobody asked for goes last
        places = {ref: place for place, ref in reversed(tuple(enumerate(request.refs)))}
        readings.sort(key=lambda reading: places.get(reading.ref, len(places)))
    return r.GetVariablesAnswer(readings=tuple(readings))


def _reply_get(request: r.GetVariables, answer: r.GetVariablesAnswer) -> Message:
    if answer.outcome is not RequestStatus.ACCEPTED or answer.report_follows:
        raise Inexpressible("GetConfiguration.conf holds the readings, and nothing else")
    found, unknown = [], []
    for reading in answer.readings:
        if request.refs is None and not has_key(reading.ref):
            continue  # all keys were asked for, and this is none
        key = key_of(reading.ref)
        secret = reading.mutability is Mutability.WRITE_ONLY  # known, and told without its value (§7.29)
        if reading.outcome is GetVariableStatus.ACCEPTED or secret:
            readonly = reading.mutability is Mutability.READ_ONLY
            found.append(m.KeyValue(key=key, readonly=readonly, value=_told_value(reading)))
        else:
            unknown.append(key)
    return m.GetConfigurationResponse(configuration_key=tuple(found) or None, unknown_key=tuple(unknown) or None)


def _told_value(reading: VariableReading) -> str | None:
    """None for a secret, and for a value longer than 1.6 can say (§7.29): part of it would be another value."""
    if reading.value is None or reading.mutability is Mutability.WRITE_ONLY:
        return None
    text = text_of(reading.ref, reading.value)
    return text if len(text) <= VALUE_MAX_LENGTH else None


def _hear_composite(
    request: r.GetCompositeSchedule, wire: m.GetCompositeScheduleResponse, deviations: Deviations
) -> r.CompositeScheduleAnswer:
    schedule = composite(wire, request.evse_id, request.duration_s, deviations)
    return r.CompositeScheduleAnswer(outcome=RequestStatus(wire.status), schedule=schedule)


def _reply_composite(_: r.GetCompositeSchedule, answer: r.CompositeScheduleAnswer) -> Message:
    status = w.COMPOSITE_SAID[answer.outcome]
    if answer.schedule is None:
        return m.GetCompositeScheduleResponse(status=status)
    return composite_said(status, answer.schedule)


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.Authorize: either(
        contracts.IS_WRAPPED[r.Authorize],
        contracts.REQUEST_ROWS[r.Authorize],
        RequestRow(
            lambda request: ("Authorize", m.AuthorizeRequest(id_tag=request.id_token.value)),
            always(m.AuthorizeResponse),
            lambda _, wire, __: r.AuthorizeAnswer(id_token_info=token_info(wire.id_tag_info)),
            lambda _, answer: m.AuthorizeResponse(id_tag_info=token_info_said(answer.id_token_info)),
        ),
    ),
    r.DataTransfer: RequestRow(_say_transfer, always(m.DataTransferResponse), _hear_transfer, _reply_transfer),
    r.RequestStartTransaction: RequestRow(
        _say_start,
        always(m.RemoteStartTransactionResponse),
        lambda _, wire, __: r.StartAnswer(outcome=RequestStatus(wire.status)),
        lambda _, answer: m.RemoteStartTransactionResponse(status=w.REMOTE_SAID[answer.outcome]),
    ),
    r.RequestStopTransaction: RequestRow(
        lambda request: (
            "RemoteStopTransaction",
            m.RemoteStopTransactionRequest(transaction_id=transaction_number(request.transaction_id)),
        ),
        always(m.RemoteStopTransactionResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.RemoteStopTransactionResponse(status=w.REMOTE_SAID[answer.outcome]),
    ),
    r.Reset: RequestRow(
        _say_reset,
        always(m.ResetResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ResetResponse(status=w.RESET_SAID[answer.outcome]),
    ),
    r.ChangeAvailability: RequestRow(
        _say_availability,
        always(m.ChangeAvailabilityResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ChangeAvailabilityResponse(status=w.AVAILABILITY_SAID[answer.outcome]),
    ),
    r.UnlockConnector: RequestRow(
        lambda request: (
            "UnlockConnector",
            m.UnlockConnectorRequest(connector_id=connector_number(request.evse_id, request.connector_id)),
        ),
        always(m.UnlockConnectorResponse),
        lambda _, wire, __: r.UnlockAnswer(outcome=w.UNLOCKS[wire.status]),
        lambda _, answer: m.UnlockConnectorResponse(status=w.UNLOCKS_SAID[answer.outcome]),
    ),
    r.TriggerMessage: either(
        contracts.IS_WRAPPED[r.TriggerMessage],
        contracts.REQUEST_ROWS[r.TriggerMessage],
        RequestRow(
            _say_trigger,
            always(m.TriggerMessageResponse),  # ExtendedTriggerMessage.conf is the same
            lambda _, wire, __: w.answer(wire),
            lambda _, answer: m.TriggerMessageResponse(status=w.TRIGGER_SAID[answer.outcome]),
        ),
    ),
    r.SetVariables: RequestRow(_say_set_variables, always(m.ChangeConfigurationResponse), _hear_set, _reply_set),
    r.GetVariables: RequestRow(_say_get_variables, always(m.GetConfigurationResponse), _hear_get, _reply_get),
    r.SetChargingProfile: RequestRow(
        lambda request: (
            "SetChargingProfile",
            m.SetChargingProfileRequest(
                connector_id=request.evse_id, cs_charging_profiles=profile_said(request.profile)
            ),
        ),
        always(m.SetChargingProfileResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.SetChargingProfileResponse(status=w.PROFILE_SAID[answer.outcome]),
    ),
    r.ClearChargingProfile: RequestRow(
        _say_clear_profile,
        always(m.ClearChargingProfileResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ClearChargingProfileResponse(status=w.CLEAR_PROFILE_SAID[answer.outcome]),
    ),
    r.GetCompositeSchedule: RequestRow(
        _say_composite, always(m.GetCompositeScheduleResponse), _hear_composite, _reply_composite
    ),
    r.ClearCache: RequestRow(
        lambda _: ("ClearCache", m.ClearCacheRequest()),
        always(m.ClearCacheResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ClearCacheResponse(status=w.CLEAR_CACHE_SAID[answer.outcome]),
    ),
}
