"""Firmware updates and logs in OCPP 2.0.1 (chapters L and N), and what a station reports of them, of security (A04) and
of reservations (H04).

Guarantees
* Every update and every upload has a request id (L01.FR.10, N01.FR.07): what has none is refused, never given one.
"""

from collections.abc import Callable
from typing import Any, Final

from forecourt.dialect import v201_words as w
from forecourt.dialect.port import Inexpressible
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.wire import Deviations, by_value, clipped, plain, refusing
from forecourt.domain import requests as r
from forecourt.domain.events import (
    FirmwareStatusReported,
    LogStatusReported,
    Notice,
    ReservationEnded,
    SecurityEventReported,
)
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus
from forecourt.domain.requests import RequestStatus
from forecourt.domain.reservation import ReservationEnd
from forecourt.messages import v201 as m
from forecourt.messages.base import Message

_FIRMWARE: Final = by_value(m.FirmwareStatusEnum, FirmwareStatus)
_FIRMWARE_SAID: Final = by_value(FirmwareStatus, m.FirmwareStatusEnum)
_UPLOADS: Final = by_value(m.UploadLogStatusEnum, LogUploadStatus)
_UPLOADS_SAID: Final = by_value(LogUploadStatus, m.UploadLogStatusEnum)
_LOGS: Final = by_value(m.LogEnum, LogType)
_LOGS_SAID: Final = by_value(LogType, m.LogEnum)
_ENDS: Final = by_value(m.ReservationUpdateStatusEnum, ReservationEnd)
_ENDS_SAID: Final = by_value(ReservationEnd, m.ReservationUpdateStatusEnum)

_UPDATE_SAID: Final = refusing(RequestStatus, m.UpdateFirmwareStatusEnum, m.UpdateFirmwareStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.UpdateFirmwareStatusEnum.ACCEPTED
}
_LOG_SAID: Final = refusing(RequestStatus, m.LogStatusEnum, m.LogStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.LogStatusEnum.ACCEPTED
}

SECURITY_EVENT_INFO_LENGTH: Final = 255


# What a station reports


def _firmware_status(wire: m.FirmwareStatusNotificationRequest, _: Deviations) -> Notice:
    return Notice((FirmwareStatusReported(firmware_status=_FIRMWARE[wire.status], request_id=wire.request_id),))


def _log_status(wire: m.LogStatusNotificationRequest, _: Deviations) -> Notice:
    return Notice((LogStatusReported(upload_status=_UPLOADS[wire.status], request_id=wire.request_id),))


def _security_event(wire: m.SecurityEventNotificationRequest, _: Deviations) -> Notice:
    event = SecurityEventReported(event_type=wire.type, at=plain(wire.timestamp), tech_info=wire.tech_info or None)
    return Notice((event,))


def _reservation_status(wire: m.ReservationStatusUpdateRequest, _: Deviations) -> Notice:
    end = _ENDS[wire.reservation_update_status]
    return Notice((ReservationEnded(reservation_id=wire.reservation_id, end=end),))


NOTICES: Final[dict[str, CallRow]] = {
    "FirmwareStatusNotification": CallRow(m.FirmwareStatusNotificationRequest, _firmware_status, expendable=True),
    "LogStatusNotification": CallRow(m.LogStatusNotificationRequest, _log_status, expendable=True),
    "SecurityEventNotification": CallRow(m.SecurityEventNotificationRequest, _security_event, expendable=True),
    "ReservationStatusUpdate": CallRow(m.ReservationStatusUpdateRequest, _reservation_status, expendable=True),
}


SAY: Final[dict[type, Callable[[Any], tuple[str, Message]]]] = {
    FirmwareStatusReported: lambda event: (
        "FirmwareStatusNotification",
        m.FirmwareStatusNotificationRequest(status=_FIRMWARE_SAID[event.firmware_status], request_id=event.request_id),
    ),
    LogStatusReported: lambda event: (
        "LogStatusNotification",
        m.LogStatusNotificationRequest(status=_UPLOADS_SAID[event.upload_status], request_id=event.request_id),
    ),
    SecurityEventReported: lambda event: (
        "SecurityEventNotification",
        m.SecurityEventNotificationRequest(
            type=event.event_type,
            timestamp=event.at,
            tech_info=clipped(event.tech_info, SECURITY_EVENT_INFO_LENGTH),
        ),
    ),
    ReservationEnded: lambda event: (
        "ReservationStatusUpdate",
        m.ReservationStatusUpdateRequest(
            reservation_id=event.reservation_id, reservation_update_status=_ENDS_SAID[event.end]
        ),
    ),
}
"""For each kind of event, the message that tells it."""


# What the CSMS asks


def _update(wire: m.UpdateFirmwareRequest, _: Deviations) -> r.UpdateFirmware:
    firmware = wire.firmware
    return r.UpdateFirmware(
        location=firmware.location,
        retrieve_at=plain(firmware.retrieve_date_time),
        request_id=wire.request_id,
        install_at=plain(firmware.install_date_time),
        signing_certificate=firmware.signing_certificate,
        signature=firmware.signature,
        retries=wire.retries,
        retry_interval_s=wire.retry_interval,
    )


def _get_log(wire: m.GetLogRequest, _: Deviations) -> r.GetLog:
    return r.GetLog(
        log_type=_LOGS[wire.log_type],
        location=wire.log.remote_location,
        request_id=wire.request_id,
        oldest_at=plain(wire.log.oldest_timestamp),
        latest_at=plain(wire.log.latest_timestamp),
        retries=wire.retries,
        retry_interval_s=wire.retry_interval,
    )


CSMS_REQUESTS: Final[dict[str, CallRow]] = {
    "UpdateFirmware": CallRow(m.UpdateFirmwareRequest, _update),
    "GetLog": CallRow(m.GetLogRequest, _get_log),
}


def _say_update(request: r.UpdateFirmware) -> tuple[str, Message]:
    return "UpdateFirmware", m.UpdateFirmwareRequest(
        request_id=_numbered(request.request_id),
        firmware=m.Firmware(
            location=request.location,
            retrieve_date_time=request.retrieve_at,
            install_date_time=request.install_at,
            signing_certificate=request.signing_certificate,
            signature=request.signature,
        ),
        retries=request.retries,
        retry_interval=request.retry_interval_s,
    )


def _say_log(request: r.GetLog) -> tuple[str, Message]:
    return "GetLog", m.GetLogRequest(
        log=m.LogParameters(
            remote_location=request.location, oldest_timestamp=request.oldest_at, latest_timestamp=request.latest_at
        ),
        log_type=_LOGS_SAID[request.log_type],
        request_id=_numbered(request.request_id),
        retries=request.retries,
        retry_interval=request.retry_interval_s,
    )


def _numbered(request_id: int | None) -> int:
    if request_id is None:
        raise Inexpressible("an update or upload needs a request id")
    return request_id


def _hear_log(_: r.GetLog, wire: m.GetLogResponse, __: Deviations) -> r.GetLogAnswer:
    reason_code, info = w.info_of(wire.status_info)
    return r.GetLogAnswer(
        outcome=RequestStatus(wire.status), filename=wire.filename or None, reason_code=reason_code, info=info
    )


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.UpdateFirmware: RequestRow(
        _say_update,
        always(m.UpdateFirmwareResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.UpdateFirmwareResponse(status=_UPDATE_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.GetLog: RequestRow(
        _say_log,
        always(m.GetLogResponse),
        _hear_log,
        lambda _, answer: m.GetLogResponse(
            status=_LOG_SAID[answer.outcome], filename=answer.filename, status_info=w.why(answer)
        ),
    ),
}
