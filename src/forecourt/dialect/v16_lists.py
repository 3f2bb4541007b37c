"""Local lists and reservations in OCPP 1.6 (§5.4, §5.10, §5.13, §5.15).

Guarantees
* An entry without idTagInfo takes its tag off the list (§7.1). An update with a fault is never said; one that is heard
  is the Charge Point's to answer.
* Version -1 is no list at all (§5.10): None in the domain. Any other negative version is noted, and read so.
* Connector 0 reserves any connector (§6.37): no EVSE in the domain. A type of connector has no word.
"""

from typing import Final

from forecourt.dialect import v16_words as w
from forecourt.dialect.port import Inexpressible
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.v16_calls import connector_number, token_info, token_info_said
from forecourt.dialect.wire import Deviations, by_value, plain, refusing
from forecourt.domain import requests as r
from forecourt.domain.requests import ListUpdate, LocalListEntry, RequestStatus
from forecourt.domain.token import IdToken
from forecourt.messages import v16 as m
from forecourt.messages.base import Message

_UPDATES: Final = by_value(m.UpdateType, ListUpdate)
_UPDATES_SAID: Final = by_value(ListUpdate, m.UpdateType)

_LIST_SAID: Final = refusing(RequestStatus, m.UpdateStatus, m.UpdateStatus.FAILED) | {
    RequestStatus.NOT_IMPLEMENTED: m.UpdateStatus.NOT_SUPPORTED,
    RequestStatus.SCHEDULED: m.UpdateStatus.ACCEPTED,
}
_RESERVE_SAID: Final = refusing(RequestStatus, m.ReservationStatus, m.ReservationStatus.REJECTED) | {
    RequestStatus.SCHEDULED: m.ReservationStatus.ACCEPTED
}
_CANCEL_SAID: Final = refusing(RequestStatus, m.CancelReservationStatus, m.CancelReservationStatus.REJECTED) | {
    RequestStatus.SCHEDULED: m.CancelReservationStatus.ACCEPTED
}

_NO_LIST: Final = -1


# What is heard


def _send_list(wire: m.SendLocalListRequest, _: Deviations) -> r.SendLocalList:
    return r.SendLocalList(
        version=wire.list_version,
        update=_UPDATES[wire.update_type],
        entries=tuple(
            LocalListEntry(IdToken(entry.id_tag), token_info(entry.id_tag_info) if entry.id_tag_info else None)
            for entry in wire.local_authorization_list or ()
        ),
    )


def _list_version(_wire: m.GetLocalListVersionRequest, _: Deviations) -> r.GetLocalListVersion:
    return r.GetLocalListVersion()


def _reserve(wire: m.ReserveNowRequest, _: Deviations) -> r.ReserveNow:
    return r.ReserveNow(
        reservation_id=wire.reservation_id,
        expires_at=plain(wire.expiry_date),
        id_token=IdToken(wire.id_tag),
        evse_id=wire.connector_id or None,
        group_id_token=None if wire.parent_id_tag is None else IdToken(wire.parent_id_tag),
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
            id_tag=entry.id_token.value,
            id_tag_info=token_info_said(entry.id_token_info) if entry.id_token_info else None,
        )
        for entry in request.entries
    )
    return "SendLocalList", m.SendLocalListRequest(
        list_version=request.version,
        update_type=_UPDATES_SAID[request.update],
        local_authorization_list=entries or None,
    )


def _say_reserve(request: r.ReserveNow) -> tuple[str, Message]:
    if request.connector_type is not None:
        raise Inexpressible("a type of connector can't be reserved")
    return "ReserveNow", m.ReserveNowRequest(
        connector_id=connector_number(request.evse_id or 0),
        expiry_date=request.expires_at,
        id_tag=request.id_token.value,
        reservation_id=request.reservation_id,
        parent_id_tag=request.group_id_token.value if request.group_id_token else None,
    )


def _hear_version(
    _: r.GetLocalListVersion, wire: m.GetLocalListVersionResponse, deviations: Deviations
) -> r.LocalListVersionAnswer:
    if wire.list_version < _NO_LIST:
        deviations.note("listVersion", f"{wire.list_version} is no version of a list")
    return r.LocalListVersionAnswer(version=wire.list_version if wire.list_version >= 0 else None)


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.SendLocalList: RequestRow(
        _say_list,
        always(m.SendLocalListResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.SendLocalListResponse(status=_LIST_SAID[answer.outcome]),
    ),
    r.GetLocalListVersion: RequestRow(
        lambda _: ("GetLocalListVersion", m.GetLocalListVersionRequest()),
        always(m.GetLocalListVersionResponse),
        _hear_version,
        lambda _, answer: m.GetLocalListVersionResponse(
            list_version=_NO_LIST if answer.version is None else answer.version
        ),
    ),
    r.ReserveNow: RequestRow(
        _say_reserve,
        always(m.ReserveNowResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.ReserveNowResponse(status=_RESERVE_SAID[answer.outcome]),
    ),
    r.CancelReservation: RequestRow(
        lambda request: ("CancelReservation", m.CancelReservationRequest(reservation_id=request.reservation_id)),
        always(m.CancelReservationResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.CancelReservationResponse(status=_CANCEL_SAID[answer.outcome]),
    ),
}
