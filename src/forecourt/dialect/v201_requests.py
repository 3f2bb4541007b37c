"""What is asked in OCPP 2.0.1 (chapters B, C, F, G, K, P), and what is answered.

Guarantees
* The rows read and write each request and each answer; `REQUEST_ROWS` is by kind of request, the others by action.
* EVSE 0 of the domain, the station as a whole, is the evse left out (G03, F06, B11), except in smart charging, where
  the wire has evseId 0 too.
* A reset is always as graceful as the station can make it (B12): the domain's not graceful one has no word.
* The text of a DataTransfer is the text itself when it came as a JSON string, else compact JSON. A text that is a JSON
  object or array is written as that, verbatim; any other as a string.
* Clearing charging profiles needs a criterion (K10.FR.02), a triggered StatusNotification its EVSE (F06.FR.13).
"""

import json
from typing import Any, Final

import msgspec

from forecourt.dialect import v201_words as w
from forecourt.dialect.port import Inexpressible, Untranslatable
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.v201_certificates import (
    contract_status,
    contract_status_said,
    ocsp_query,
    ocsp_query_said,
)
from forecourt.dialect.v201_profiles import (
    PURPOSES,
    PURPOSES_SAID,
    RATE_UNITS,
    RATE_UNITS_SAID,
    composite,
    composite_said,
    profile,
    profile_said,
)
from forecourt.dialect.v201_variables import (
    get_base_report,
    get_variables,
    get_variables_response,
    hear_get_variables,
    hear_set_variables,
    reply_get_variables,
    reply_set_variables,
    say_get_variables,
    say_set_variables,
    set_variables,
)
from forecourt.dialect.wire import Deviations, said
from forecourt.domain import requests as r
from forecourt.domain.profile import ProfileCriteria
from forecourt.domain.requests import RequestStatus, TriggeredMessage, UnlockStatus
from forecourt.messages import v201 as m
from forecourt.messages.base import Message
from forecourt.rpc.errors import Cause

# Asked by either side


def _authorize(wire: m.AuthorizeRequest, _: Deviations) -> r.Authorize:
    return r.Authorize(
        id_token=w.token(wire.id_token),
        certificate=wire.certificate,
        certificate_hashes=tuple(ocsp_query(query) for query in wire.iso15118_certificate_hash_data or ()),
    )


def _data_transfer(wire: m.DataTransferRequest, _: Deviations) -> r.DataTransfer:
    return r.DataTransfer(vendor_id=wire.vendor_id, message_id=wire.message_id, content=_text(wire.data))


def _text(content: Any) -> str | None:
    if content is None or isinstance(content, str):
        return content
    try:
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        raise Untranslatable(Cause.VALUE, "data: too deep or too long to be carried on") from None


def _json(text: str | None) -> Any:
    if text is None or not text.startswith(("{", "[")):
        return text
    try:
        raw = text.encode()
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text
    return msgspec.Raw(raw)


STATION_REQUESTS: Final[dict[str, CallRow]] = {
    "Authorize": CallRow(m.AuthorizeRequest, _authorize),
    "DataTransfer": CallRow(m.DataTransferRequest, _data_transfer),
}


# Asked by the CSMS: what is heard


def _change_availability(wire: m.ChangeAvailabilityRequest, _: Deviations) -> r.ChangeAvailability:
    return r.ChangeAvailability(
        evse_id=wire.evse.id if wire.evse else 0,
        connector_id=wire.evse.connector_id if wire.evse else None,
        operational_status=w.OPERATIONAL[wire.operational_status],
    )


def _clear_cache(_wire: m.ClearCacheRequest, _: Deviations) -> r.ClearCache:
    return r.ClearCache()


def _clear_profile(wire: m.ClearChargingProfileRequest, deviations: Deviations) -> r.ClearChargingProfile:
    by = wire.charging_profile_criteria or m.ClearChargingProfile()
    criteria = ProfileCriteria(
        profile_id=wire.charging_profile_id,
        evse_id=by.evse_id,
        purpose=PURPOSES[by.charging_profile_purpose] if by.charging_profile_purpose else None,
        stack_level=by.stack_level,
    )
    if criteria == ProfileCriteria():
        deviations.note("chargingProfileCriteria", "neither an id nor a criterion (K10.FR.02)", Cause.MISSING_FIELD)
    return r.ClearChargingProfile(criteria=criteria)


def _get_composite(wire: m.GetCompositeScheduleRequest, _: Deviations) -> r.GetCompositeSchedule:
    return r.GetCompositeSchedule(
        evse_id=wire.evse_id,
        duration_s=wire.duration,
        rate_unit=RATE_UNITS[wire.charging_rate_unit] if wire.charging_rate_unit else None,
    )


def _start(wire: m.RequestStartTransactionRequest, _: Deviations) -> r.RequestStartTransaction:
    return r.RequestStartTransaction(
        id_token=w.token(wire.id_token),
        remote_start_id=wire.remote_start_id,
        evse_id=wire.evse_id,
        group_id_token=w.token(wire.group_id_token) if wire.group_id_token else None,
        charging_profile=profile(wire.charging_profile) if wire.charging_profile else None,
    )


def _stop(wire: m.RequestStopTransactionRequest, _: Deviations) -> r.RequestStopTransaction:
    return r.RequestStopTransaction(transaction_id=wire.transaction_id)


def _reset(wire: m.ResetRequest, _: Deviations) -> r.Reset:
    return r.Reset(reset_type=w.RESETS[wire.type], evse_id=wire.evse_id)


def _set_profile(wire: m.SetChargingProfileRequest, _: Deviations) -> r.SetChargingProfile:
    return r.SetChargingProfile(evse_id=wire.evse_id, profile=profile(wire.charging_profile))


def _trigger(wire: m.TriggerMessageRequest, _: Deviations) -> r.TriggerMessage:
    return r.TriggerMessage(
        requested_message=w.TRIGGERS[wire.requested_message],
        evse_id=wire.evse.id if wire.evse else None,
        connector_id=wire.evse.connector_id if wire.evse else None,
    )


def _unlock(wire: m.UnlockConnectorRequest, _: Deviations) -> r.UnlockConnector:
    return r.UnlockConnector(evse_id=wire.evse_id, connector_id=wire.connector_id)


CSMS_REQUESTS: Final[dict[str, CallRow]] = {
    "ChangeAvailability": CallRow(m.ChangeAvailabilityRequest, _change_availability),
    "ClearCache": CallRow(m.ClearCacheRequest, _clear_cache),
    "ClearChargingProfile": CallRow(m.ClearChargingProfileRequest, _clear_profile),
    "DataTransfer": CallRow(m.DataTransferRequest, _data_transfer),
    "GetBaseReport": CallRow(m.GetBaseReportRequest, get_base_report),
    "GetCompositeSchedule": CallRow(m.GetCompositeScheduleRequest, _get_composite),
    "GetVariables": CallRow(m.GetVariablesRequest, get_variables),
    "RequestStartTransaction": CallRow(m.RequestStartTransactionRequest, _start),
    "RequestStopTransaction": CallRow(m.RequestStopTransactionRequest, _stop),
    "Reset": CallRow(m.ResetRequest, _reset),
    "SetChargingProfile": CallRow(m.SetChargingProfileRequest, _set_profile),
    "SetVariables": CallRow(m.SetVariablesRequest, set_variables),
    "TriggerMessage": CallRow(m.TriggerMessageRequest, _trigger),
    "UnlockConnector": CallRow(m.UnlockConnectorRequest, _unlock),
}


# What is said


def _say_authorize(request: r.Authorize) -> tuple[str, Message]:
    hashes = tuple(ocsp_query_said(query) for query in request.certificate_hashes)
    return "Authorize", m.AuthorizeRequest(
        id_token=w.token_said(request.id_token),
        certificate=request.certificate,
        iso15118_certificate_hash_data=hashes or None,
    )


def _say_transfer(request: r.DataTransfer) -> tuple[str, Message]:
    return "DataTransfer", m.DataTransferRequest(
        vendor_id=request.vendor_id, message_id=request.message_id, data=_json(request.content)
    )


def _say_availability(request: r.ChangeAvailability) -> tuple[str, Message]:
    return "ChangeAvailability", m.ChangeAvailabilityRequest(
        evse=w.evse_said(request.evse_id, request.connector_id),
        operational_status=w.OPERATIONAL_SAID[request.operational_status],
    )


def _say_clear_profile(request: r.ClearChargingProfile) -> tuple[str, Message]:
    criteria = request.criteria
    if criteria == ProfileCriteria():
        raise Inexpressible("clearing charging profiles needs an id or a criterion (K10.FR.02)")
    by = m.ClearChargingProfile(
        evse_id=criteria.evse_id,
        charging_profile_purpose=said(PURPOSES_SAID, criteria.purpose) if criteria.purpose else None,
        stack_level=criteria.stack_level,
    )
    return "ClearChargingProfile", m.ClearChargingProfileRequest(
        charging_profile_id=criteria.profile_id,
        charging_profile_criteria=by if by != m.ClearChargingProfile() else None,
    )


def _say_composite(request: r.GetCompositeSchedule) -> tuple[str, Message]:
    return "GetCompositeSchedule", m.GetCompositeScheduleRequest(
        evse_id=request.evse_id,
        duration=request.duration_s,
        charging_rate_unit=RATE_UNITS_SAID[request.rate_unit] if request.rate_unit else None,
    )


def _say_start(request: r.RequestStartTransaction) -> tuple[str, Message]:
    return "RequestStartTransaction", m.RequestStartTransactionRequest(
        id_token=w.token_said(request.id_token),
        remote_start_id=request.remote_start_id,
        evse_id=request.evse_id or None,
        group_id_token=w.token_said(request.group_id_token) if request.group_id_token else None,
        charging_profile=profile_said(request.charging_profile) if request.charging_profile else None,
    )


def _say_trigger(request: r.TriggerMessage) -> tuple[str, Message]:
    connector_id = request.connector_id
    if request.requested_message is None:
        raise Inexpressible("no message is named")
    if request.requested_message is TriggeredMessage.STATUS_NOTIFICATION:
        if not request.evse_id:
            raise Inexpressible("the state of one connector only can be asked for (F06.FR.13)")
        connector_id = connector_id or 1
    return "TriggerMessage", m.TriggerMessageRequest(
        requested_message=said(w.TRIGGERS_SAID, request.requested_message),
        evse=w.evse_said(request.evse_id, connector_id),
    )


# Answers that are more than a status


def _hear_transfer(_: r.DataTransfer, wire: m.DataTransferResponse, __: Deviations) -> r.DataTransferAnswer:
    return r.DataTransferAnswer(outcome=w.TRANSFERS[wire.status], content=_text(wire.data))


def _reply_transfer(_: r.DataTransfer, answer: r.DataTransferAnswer) -> Message:
    return m.DataTransferResponse(status=w.TRANSFERS_SAID[answer.outcome], data=_json(answer.content))


def _hear_unlock(_: r.UnlockConnector, wire: m.UnlockConnectorResponse, __: Deviations) -> r.UnlockAnswer:
    reason_code, _info = w.info_of(wire.status_info)
    if wire.status is m.UnlockStatusEnum.UNLOCK_FAILED and reason_code in w.NO_LOCK_CODES:
        return r.UnlockAnswer(outcome=UnlockStatus.NOT_SUPPORTED)
    return r.UnlockAnswer(outcome=w.UNLOCKS[wire.status])


def _reply_unlock(_: r.UnlockConnector, answer: r.UnlockAnswer) -> Message:
    no_lock = answer.outcome is UnlockStatus.NOT_SUPPORTED
    return m.UnlockConnectorResponse(
        status=w.UNLOCKS_SAID[answer.outcome],
        status_info=w.status_info(w.NO_LOCK_CODES[0], None) if no_lock else None,
    )


def _hear_composite(
    _: r.GetCompositeSchedule, wire: m.GetCompositeScheduleResponse, __: Deviations
) -> r.CompositeScheduleAnswer:
    schedule = composite(wire.schedule) if wire.schedule else None
    return r.CompositeScheduleAnswer(outcome=RequestStatus(wire.status), schedule=schedule)


def _reply_composite(_: r.GetCompositeSchedule, answer: r.CompositeScheduleAnswer) -> Message:
    return m.GetCompositeScheduleResponse(
        status=w.COMPOSITE_SAID[answer.outcome], schedule=composite_said(answer.schedule) if answer.schedule else None
    )


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.Authorize: RequestRow(
        _say_authorize,
        always(m.AuthorizeResponse),
        lambda _, wire, __: r.AuthorizeAnswer(
            id_token_info=w.token_info(wire.id_token_info), certificate_status=contract_status(wire.certificate_status)
        ),
        lambda _, answer: m.AuthorizeResponse(
            id_token_info=w.token_info_said(answer.id_token_info),
            certificate_status=contract_status_said(answer.certificate_status),
        ),
    ),
    r.DataTransfer: RequestRow(_say_transfer, always(m.DataTransferResponse), _hear_transfer, _reply_transfer),
    r.RequestStartTransaction: RequestRow(
        _say_start,
        always(m.RequestStartTransactionResponse),
        lambda _, wire, __: r.StartAnswer(outcome=RequestStatus(wire.status), transaction_id=wire.transaction_id),
        lambda _, answer: m.RequestStartTransactionResponse(
            status=w.START_STOP_SAID[answer.outcome], transaction_id=answer.transaction_id
        ),
    ),
    r.RequestStopTransaction: RequestRow(
        lambda request: (
            "RequestStopTransaction",
            m.RequestStopTransactionRequest(transaction_id=request.transaction_id),
        ),
        always(m.RequestStopTransactionResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.RequestStopTransactionResponse(
            status=w.START_STOP_SAID[answer.outcome], status_info=w.why(answer)
        ),
    ),
    r.Reset: RequestRow(
        lambda request: (
            "Reset",
            m.ResetRequest(type=w.RESETS_SAID[request.reset_type], evse_id=request.evse_id or None),
        ),
        always(m.ResetResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ResetResponse(status=w.RESET_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.ChangeAvailability: RequestRow(
        _say_availability,
        always(m.ChangeAvailabilityResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ChangeAvailabilityResponse(
            status=w.AVAILABILITY_SAID[answer.outcome], status_info=w.why(answer)
        ),
    ),
    r.UnlockConnector: RequestRow(
        lambda request: (
            "UnlockConnector",
            m.UnlockConnectorRequest(evse_id=request.evse_id, connector_id=request.connector_id),
        ),
        always(m.UnlockConnectorResponse),
        _hear_unlock,
        _reply_unlock,
    ),
    r.TriggerMessage: RequestRow(
        _say_trigger,
        always(m.TriggerMessageResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.TriggerMessageResponse(status=w.TRIGGER_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.SetVariables: RequestRow(
        say_set_variables, always(m.SetVariablesResponse), hear_set_variables, reply_set_variables
    ),
    r.GetVariables: RequestRow(say_get_variables, get_variables_response, hear_get_variables, reply_get_variables),
    r.SetChargingProfile: RequestRow(
        lambda request: (
            "SetChargingProfile",
            m.SetChargingProfileRequest(evse_id=request.evse_id, charging_profile=profile_said(request.profile)),
        ),
        always(m.SetChargingProfileResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.SetChargingProfileResponse(
            status=w.PROFILE_SAID[answer.outcome], status_info=w.why(answer)
        ),
    ),
    r.ClearChargingProfile: RequestRow(
        _say_clear_profile,
        always(m.ClearChargingProfileResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ClearChargingProfileResponse(
            status=w.CLEAR_PROFILE_SAID[answer.outcome], status_info=w.why(answer)
        ),
    ),
    r.GetCompositeSchedule: RequestRow(
        _say_composite, always(m.GetCompositeScheduleResponse), _hear_composite, _reply_composite
    ),
    r.ClearCache: RequestRow(
        lambda _: ("ClearCache", m.ClearCacheRequest()),
        always(m.ClearCacheResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ClearCacheResponse(status=w.CLEAR_CACHE_SAID[answer.outcome], status_info=w.why(answer)),
    ),
}
