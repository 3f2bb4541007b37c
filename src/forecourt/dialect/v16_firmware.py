"""Firmware updates and logs in OCPP 1.6 (§4.4, §4.5, §5.9, §5.19; security white paper L01 and N01), and what a station
reports of them and of security (A04).

Guarantees
* With signature and certificate an update is SignedUpdateFirmware, without both UpdateFirmware; with a request id an
  upload is GetLog, without one GetDiagnostics. UpdateFirmware and GetDiagnostics have no request id, and what is
  reported about them has none: a status with one, or one that says `extended`, is of the security extension.
* UpdateFirmware.conf and GetDiagnostics.conf have no word for a refusal: none is said, and none is heard.
* A state that FirmwareStatusNotification has no word for is not told when more follows, else it is the nearest
  failure. The same goes for diagnostics.
* Security events bear the names of OCPP 2.0.1; those that differ (Csms, ChargingStation) are translated.
"""

from collections.abc import Callable
from typing import Any, Final

from forecourt.dialect import v16_words as w
from forecourt.dialect.port import Inexpressible
from forecourt.dialect.tables import CallRow, RequestRow
from forecourt.dialect.wire import Deviations, by_value, clipped, plain, refusing
from forecourt.domain import requests as r
from forecourt.domain.events import FirmwareStatusReported, LogStatusReported, Notice, SecurityEventReported
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus
from forecourt.domain.requests import RequestStatus
from forecourt.messages import v16 as m
from forecourt.messages.base import Message

Told = tuple[tuple[str, Message], ...]
"""Actions and messages."""

_FIRMWARE: Final = by_value(m.FirmwareStatus, FirmwareStatus)
_FIRMWARE_SAID: Final = by_value(FirmwareStatus, m.FirmwareStatus) | {
    FirmwareStatus.INVALID_SIGNATURE: m.FirmwareStatus.INSTALLATION_FAILED,
    FirmwareStatus.INSTALL_VERIFICATION_FAILED: m.FirmwareStatus.INSTALLATION_FAILED,
}
_SIGNED_FIRMWARE: Final = by_value(m.FirmwareStatusEnum, FirmwareStatus)
_SIGNED_FIRMWARE_SAID: Final = by_value(FirmwareStatus, m.FirmwareStatusEnum)

_DIAGNOSTICS: Final = by_value(m.DiagnosticsStatus, LogUploadStatus) | {
    m.DiagnosticsStatus.UPLOAD_FAILED: LogUploadStatus.UPLOAD_FAILURE
}
_DIAGNOSTICS_SAID: Final = refusing(LogUploadStatus, m.DiagnosticsStatus, m.DiagnosticsStatus.UPLOAD_FAILED)
_UPLOADS: Final = by_value(m.UploadLogStatusEnum, LogUploadStatus)
_UPLOADS_SAID: Final = refusing(LogUploadStatus, m.UploadLogStatusEnum, m.UploadLogStatusEnum.UPLOAD_FAILURE)

_LOGS: Final = by_value(m.LogEnum, LogType)
_LOGS_SAID: Final = by_value(LogType, m.LogEnum)

_UPDATE_SAID: Final = refusing(RequestStatus, m.UpdateFirmwareStatusEnum, m.UpdateFirmwareStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.UpdateFirmwareStatusEnum.ACCEPTED
}
_LOG_SAID: Final = refusing(RequestStatus, m.LogStatusEnum, m.LogStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.LogStatusEnum.ACCEPTED
}

SECURITY_EVENTS: Final = {
    "CentralSystemFailedToAuthenticate": "CsmsFailedToAuthenticate",
    "FailedToAuthenticateAtCentralSystem": "FailedToAuthenticateAtCsms",
    "InvalidCentralSystemCertificate": "InvalidCsmsCertificate",
    "InvalidChargePointCertificate": "InvalidChargingStationCertificate",
}
"""Names of the white paper (§8) and of OCPP 2.0.1; all others are the same."""
_SECURITY_EVENTS_SAID: Final = {meant: word for word, meant in SECURITY_EVENTS.items()}

SECURITY_EVENT_INFO_LENGTH: Final = 255


# What a station reports


def _firmware_status(wire: m.FirmwareStatusNotificationRequest, _: Deviations) -> Notice:
    return Notice((FirmwareStatusReported(firmware_status=_FIRMWARE[wire.status]),))


def _signed_firmware_status(wire: m.SignedFirmwareStatusNotificationRequest, _: Deviations) -> Notice:
    event = FirmwareStatusReported(
        firmware_status=_SIGNED_FIRMWARE[wire.status], request_id=wire.request_id, extended=wire.request_id is None
    )
    return Notice((event,))


def _diagnostics_status(wire: m.DiagnosticsStatusNotificationRequest, _: Deviations) -> Notice:
    return Notice((LogStatusReported(upload_status=_DIAGNOSTICS[wire.status]),))


def _log_status(wire: m.LogStatusNotificationRequest, _: Deviations) -> Notice:
    event = LogStatusReported(
        upload_status=_UPLOADS[wire.status], request_id=wire.request_id, extended=wire.request_id is None
    )
    return Notice((event,))


def _security_event(wire: m.SecurityEventNotificationRequest, _: Deviations) -> Notice:
    event = SecurityEventReported(
        event_type=SECURITY_EVENTS.get(wire.type, wire.type),
        at=plain(wire.timestamp),
        tech_info=wire.tech_info or None,
    )
    return Notice((event,))


NOTICES: Final[dict[str, CallRow]] = {
    "FirmwareStatusNotification": CallRow(m.FirmwareStatusNotificationRequest, _firmware_status, expendable=True),
    "SignedFirmwareStatusNotification": CallRow(
        m.SignedFirmwareStatusNotificationRequest, _signed_firmware_status, expendable=True
    ),
    "DiagnosticsStatusNotification": CallRow(
        m.DiagnosticsStatusNotificationRequest, _diagnostics_status, expendable=True
    ),
    "LogStatusNotification": CallRow(m.LogStatusNotificationRequest, _log_status, expendable=True),
    "SecurityEventNotification": CallRow(m.SecurityEventNotificationRequest, _security_event, expendable=True),
}


def _say_firmware(event: FirmwareStatusReported, _: object) -> Told:
    if event.request_id is not None or event.extended:
        signed = m.SignedFirmwareStatusNotificationRequest(
            status=_SIGNED_FIRMWARE_SAID[event.firmware_status], request_id=event.request_id
        )
        return (("SignedFirmwareStatusNotification", signed),)
    status = _FIRMWARE_SAID.get(event.firmware_status)
    if status is None:
        return ()
    return (("FirmwareStatusNotification", m.FirmwareStatusNotificationRequest(status=status)),)


def _say_upload(event: LogStatusReported, _: object) -> Told:
    if event.request_id is not None or event.extended:
        log = m.LogStatusNotificationRequest(status=_UPLOADS_SAID[event.upload_status], request_id=event.request_id)
        return (("LogStatusNotification", log),)
    diagnostics = m.DiagnosticsStatusNotificationRequest(status=_DIAGNOSTICS_SAID[event.upload_status])
    return (("DiagnosticsStatusNotification", diagnostics),)


def _say_security_event(event: SecurityEventReported, _: object) -> Told:
    message = m.SecurityEventNotificationRequest(
        type=_SECURITY_EVENTS_SAID.get(event.event_type, event.event_type),
        timestamp=event.at,
        tech_info=clipped(event.tech_info, SECURITY_EVENT_INFO_LENGTH),
    )
    return (("SecurityEventNotification", message),)


SAY: Final[dict[type, Callable[[Any, Any], Told]]] = {
    FirmwareStatusReported: _say_firmware,
    LogStatusReported: _say_upload,
    SecurityEventReported: _say_security_event,
}
"""For each kind of event, the messages that tell it."""


# What the Central System asks


def _update(wire: m.UpdateFirmwareRequest, _: Deviations) -> r.UpdateFirmware:
    return r.UpdateFirmware(
        location=wire.location,
        retrieve_at=plain(wire.retrieve_date),
        retries=wire.retries,
        retry_interval_s=wire.retry_interval,
    )


def _signed_update(wire: m.SignedUpdateFirmwareRequest, _: Deviations) -> r.UpdateFirmware:
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


def _get_diagnostics(wire: m.GetDiagnosticsRequest, _: Deviations) -> r.GetLog:
    return r.GetLog(
        location=wire.location,
        oldest_at=plain(wire.start_time),
        latest_at=plain(wire.stop_time),
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
    "SignedUpdateFirmware": CallRow(m.SignedUpdateFirmwareRequest, _signed_update),
    "GetDiagnostics": CallRow(m.GetDiagnosticsRequest, _get_diagnostics),
    "GetLog": CallRow(m.GetLogRequest, _get_log),
}


def _is_signed(request: r.UpdateFirmware) -> bool:
    return request.signature is not None or request.signing_certificate is not None


def _say_update(request: r.UpdateFirmware) -> tuple[str, Message]:
    if _is_signed(request):
        return _say_signed_update(request)
    if request.install_at is not None:
        raise Inexpressible("when to install can be said of signed firmware only")
    return "UpdateFirmware", m.UpdateFirmwareRequest(
        location=request.location,
        retrieve_date=request.retrieve_at,
        retries=request.retries,
        retry_interval=request.retry_interval_s,
    )


def _say_signed_update(request: r.UpdateFirmware) -> tuple[str, Message]:
    if request.signature is None or request.signing_certificate is None:
        raise Inexpressible("a signature needs its certificate, and a certificate its signature (L01)")
    if request.request_id is None:
        raise Inexpressible("an update of signed firmware needs a request id (L01)")
    return "SignedUpdateFirmware", m.SignedUpdateFirmwareRequest(
        request_id=request.request_id,
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


def _hear_update(request: r.UpdateFirmware, wire: Any, _: Deviations) -> r.RequestAnswer:
    return w.answer(wire) if _is_signed(request) else r.RequestAnswer(outcome=RequestStatus.ACCEPTED)


def _reply_update(request: r.UpdateFirmware, answer: r.RequestAnswer) -> Message:
    status = _UPDATE_SAID[answer.outcome]
    if _is_signed(request):
        return m.SignedUpdateFirmwareResponse(status=status)
    if status not in {m.UpdateFirmwareStatusEnum.ACCEPTED, m.UpdateFirmwareStatusEnum.ACCEPTED_CANCELED}:
        raise Inexpressible("UpdateFirmware.conf has no word for a refusal")
    return m.UpdateFirmwareResponse()


def _say_log(request: r.GetLog) -> tuple[str, Message]:
    if request.request_id is not None:
        return "GetLog", m.GetLogRequest(
            log=m.LogParameters(
                remote_location=request.location,
                oldest_timestamp=request.oldest_at,
                latest_timestamp=request.latest_at,
            ),
            log_type=_LOGS_SAID[request.log_type],
            request_id=request.request_id,
            retries=request.retries,
            retry_interval=request.retry_interval_s,
        )
    if request.log_type is not LogType.DIAGNOSTICS:
        raise Inexpressible("a log other than diagnostics needs a request id (N01)")
    return "GetDiagnostics", m.GetDiagnosticsRequest(
        location=request.location,
        retries=request.retries,
        retry_interval=request.retry_interval_s,
        start_time=request.oldest_at,
        stop_time=request.latest_at,
    )


def _hear_log(request: r.GetLog, wire: Any, _: Deviations) -> r.GetLogAnswer:
    if request.request_id is None:
        return r.GetLogAnswer(outcome=RequestStatus.ACCEPTED, filename=wire.file_name or None)
    return r.GetLogAnswer(outcome=RequestStatus(wire.status), filename=wire.filename or None)


def _reply_log(request: r.GetLog, answer: r.GetLogAnswer) -> Message:
    status = _LOG_SAID[answer.outcome]
    if request.request_id is not None:
        return m.GetLogResponse(status=status, filename=answer.filename)
    if status is m.LogStatusEnum.REJECTED:
        raise Inexpressible("GetDiagnostics.conf has no word for a refusal")
    return m.GetDiagnosticsResponse(file_name=answer.filename)


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.UpdateFirmware: RequestRow(
        _say_update,
        lambda request: m.SignedUpdateFirmwareResponse if _is_signed(request) else m.UpdateFirmwareResponse,
        _hear_update,
        _reply_update,
    ),
    r.GetLog: RequestRow(
        _say_log,
        lambda request: m.GetDiagnosticsResponse if request.request_id is None else m.GetLogResponse,
        _hear_log,
        _reply_log,
    ),
}
