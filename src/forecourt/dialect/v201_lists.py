"""Local lists and reservations in OCPP 2.0.1 (chapters D and H).

Guarantees
* An entry without information takes its token off the list (D01, AuthorizationData). An update with a fault is never
  said; one that is heard is the station's to answer.
* A station that keeps no list says version 0, as one whose list is empty.
* A reservation without an EVSE is for any; EVSE 0 is that, too.
"""

from typing import Final

from forecourt.dialect import v201_words as w
from forecourt.dialect.port import Inexpressible
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.wire import Deviations, by_value, plain, refusing
from forecourt.domain import requests as r
from forecourt.domain.requests import ListUpdate, LocalListEntry, RequestStatus
from forecourt.domain.reservation import ConnectorType
from forecourt.messages import v201 as m
from forecourt.messages.base import Message

_UPDATES: Final = by_value(m.UpdateEnum, ListUpdate)
_UPDATES_SAID: Final = by_value(ListUpdate, m.UpdateEnum)
_CONNECTOR_TYPES: Final = by_value(m.ConnectorEnum, ConnectorType)
_CONNECTOR_TYPES_SAID: Final = by_value(ConnectorType, m.ConnectorEnum)

_LIST_SAID: Final = refusing(RequestStatus, m.SendLocalListStatusEnum, m.SendLocalListStatusEnum.FAILED) | {
    RequestStatus.SCHEDULED: m.SendLocalListStatusEnum.ACCEPTED
}
_RESERVE_SAID: Final = refusing(RequestStatus, m.ReserveNowStatusEnum, m.ReserveNowStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.ReserveNowStatusEnum.ACCEPTED
}
_CANCEL_SAID: Final = refusing(RequestStatus, m.CancelReservationStatusEnum, m.CancelReservationStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.CancelReservationStatusEnum.ACCEPTED
}


# What is heard


def _send_list(wire: m.SendLocalListRequest, _: Deviations) -> r.SendLocalList:
    return r.SendLocalList(
        version=wire.version_number,
        update=_UPDATES[wire.update_type],
        entries=tuple(
            LocalListEntry(w.token(entry.id_token), w.token_info(entry.id_token_info) if entry.id_token_info else None)
            for entry in wire.local_authorization_list or ()
        ),
    )


def _list_version(_wire: m.GetLocalListVersionRequest, _: Deviations) -> r.GetLocalListVersion:
    return r.GetLocalListVersion()


def _reserve(wire: m.ReserveNowRequest, _: Deviations) -> r.ReserveNow:
    return r.ReserveNow(
        reservation_id=wire.id,
        expires_at=plain(wire.expiry_date_time),
        id_token=w.token(wire.id_token),
        evse_id=wire.evse_id or None,
        group_id_token=w.token(wire.group_id_token) if wire.group_id_token else None,
        connector_type=_CONNECTOR_TYPES[wire.connector_type] if wire.connector_type else None,
    )


def _cancel(wire: m.CancelReservationRequest, _: Deviations) -> r.CancelReservation:
    return r.CancelReservation(reservation_id=wire.reservation_id)


CSMS_REQUESTS: Final[dict[str, CallRow]] = {
    "SendLocalList": CallRow(m.SendLocalListRequest, _send_list),
    "GetLocalListVersion": CallRow(m.GetLocalListVersionRequest, _list_version),
    "ReserveNow": CallRow(m.ReserveNowRequest, _reserve),
    "CancelReservation": CallRow(m.CancelReservationRequest, _cancel),
}


# What is said


def _say_list(request: r.SendLocalList) -> tuple[str, Message]:
    if request.fault is not None:
        raise Inexpressible(request.fault)
    entries = tuple(
        m.AuthorizationData(
            id_token=w.token_said(entry.id_token),
            id_token_info=w.token_info_said(entry.id_token_info) if entry.id_token_info else None,
        )
        for entry in request.entries
    )
    return "SendLocalList", m.SendLocalListRequest(
        version_number=request.version,
        update_type=_UPDATES_SAID[request.update],
        local_authorization_list=entries or None,
    )


def _say_reserve(request: r.ReserveNow) -> tuple[str, Message]:
    return "ReserveNow", m.ReserveNowRequest(
        id=request.reservation_id,
        expiry_date_time=request.expires_at,
        id_token=w.token_said(request.id_token),
        evse_id=request.evse_id or None,
        group_id_token=w.token_said(request.group_id_token) if request.group_id_token else None,
        connector_type=_CONNECTOR_TYPES_SAID[request.connector_type] if request.connector_type else None,
    )


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.SendLocalList: RequestRow(
        _say_list,
        always(m.SendLocalListResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.SendLocalListResponse(status=_LIST_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.GetLocalListVersion: RequestRow(
        lambda _: ("GetLocalListVersion", m.GetLocalListVersionRequest()),
        always(m.GetLocalListVersionResponse),
        lambda _, wire, __: r.LocalListVersionAnswer(version=wire.version_number),
        lambda _, answer: m.GetLocalListVersionResponse(version_number=answer.version or 0),
    ),
    r.ReserveNow: RequestRow(
        _say_reserve,
        always(m.ReserveNowResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ReserveNowResponse(status=_RESERVE_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.CancelReservation: RequestRow(
        lambda request: ("CancelReservation", m.CancelReservationRequest(reservation_id=request.reservation_id)),
        always(m.CancelReservationResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.CancelReservationResponse(status=_CANCEL_SAID[answer.outcome], status_info=w.why(answer)),
    ),
}
