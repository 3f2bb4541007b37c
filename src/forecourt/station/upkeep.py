"""What the CSMS asks about the upkeep of a station: firmware, logs, certificates.

Guarantees
* Without a `System` nobody gets firmware updated or logs uploaded, without a `Security` nobody gets certificates
  handled: such requests are answered as not supported, and nothing happens.
* A request that waits for the keeper of certificates gets its reply when that has answered, and before anything that
  follows from it (security white paper A02, L01, M03 to M05).
* No firmware is fetched before its certificate was found to be valid (L01.FR.23).
"""

from collections.abc import Callable
from typing import Any, Final

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateSigningUse, CertificateUse
from forecourt.domain.requests import RequestStatus
from forecourt.station.effects import Refuse, Reply
from forecourt.station.firmware import is_signed
from forecourt.station.inputs import SecurityVerdict
from forecourt.station.parts import Parts
from forecourt.station.security_log import SecurityEvent
from forecourt.station.security_questions import CheckFirmwareCertificate, InstallRoot, ListRoots, RemoveRoot
from forecourt.station.turn import Turn
from forecourt.station.variable_table import ADDITIONAL_ROOT_CHECK, CERTIFICATE_CHAIN_SIZE, CERTIFICATE_STORE_LENGTH

Answering = Callable[[Parts, str, Any, Turn], None]


def say(request_id: str, outcome: RequestStatus, turn: Turn, *, reason_code: str | None = None, info: str = "") -> None:
    """Answer a request plainly."""
    turn.emit(Reply(request_id, r.RequestAnswer(outcome=outcome, reason_code=reason_code, info=info or None)))


def _update_firmware(parts: Parts, request_id: str, request: r.UpdateFirmware, turn: Turn) -> None:
    if not parts.config.has_system or not parts.firmware.admits(request):
        turn.emit(Refuse(request_id))  # L01.FR.20
        return
    if not is_signed(request):
        say(request_id, parts.firmware.begin(request, turn), turn)
        return

    def checked(answer: SecurityVerdict, turn: Turn) -> None:
        if answer.outcome is RequestStatus.ACCEPTED:
            say(request_id, parts.firmware.begin(request, turn), turn)
            return
        revoked = answer.outcome is RequestStatus.REVOKED_CERTIFICATE
        outcome = answer.outcome if revoked else RequestStatus.INVALID_CERTIFICATE
        say(request_id, outcome, turn, info=answer.info or "")
        parts.firmware.certificate_refused(turn, answer.info)

    question = CheckFirmwareCertificate(request.signing_certificate or "")
    parts.certificates.ask(question, checked, turn)


def _get_log(parts: Parts, request_id: str, request: r.GetLog, turn: Turn) -> None:
    if not parts.config.has_system or (request.request_id is not None and not parts.log_uploads.admits(request)):
        turn.emit(Refuse(request_id))
        return
    turn.emit(Reply(request_id, parts.log_uploads.begin(request, turn)))


def _certificate_signed(parts: Parts, request_id: str, request: r.CertificateSigned, turn: Turn) -> None:
    if not parts.config.has_security:
        turn.emit(Refuse(request_id))
        return
    v2g = request.use is CertificateSigningUse.V2G
    if v2g and not parts.contracts.enabled:
        say(request_id, RequestStatus.NOT_SUPPORTED, turn)
        return
    if len(request.certificate_chain) > parts.variables.integer(CERTIFICATE_CHAIN_SIZE):
        say(request_id, RequestStatus.REJECTED, turn, info="the chain is too long")
        return

    def kept(answer: SecurityVerdict, turn: Turn) -> None:
        say(request_id, answer.outcome, turn, info=answer.info or "")

    if v2g:
        parts.v2g.keep_signed(request.certificate_chain, kept, turn)
        return
    parts.certificates.keep_signed(CertificateSigningUse.CHARGING_STATION, request.certificate_chain, kept, turn)


def _install_certificate(parts: Parts, request_id: str, request: r.InstallCertificate, turn: Turn) -> None:
    if not parts.config.has_security:
        turn.emit(Refuse(request_id))
        return

    def installed(answer: SecurityVerdict, turn: Turn) -> None:
        say(request_id, answer.outcome, turn, info=answer.info or "")
        if answer.outcome is RequestStatus.ACCEPTED:
            parts.certificates.changed(turn, f"{request.use} installed")
        elif answer.invalid and request.use is CertificateUse.CSMS_ROOT:
            parts.security_log.note(SecurityEvent.INVALID_CSMS_CERTIFICATE, turn, answer.info)  # OCTT TC_078

    question = InstallRoot(
        request.use,
        request.certificate,
        parts.variables.integer(CERTIFICATE_STORE_LENGTH),
        succession=parts.variables.boolean(ADDITIONAL_ROOT_CHECK),
    )
    parts.certificates.ask(question, installed, turn)


def _delete_certificate(parts: Parts, request_id: str, request: r.DeleteCertificate, turn: Turn) -> None:
    if not parts.config.has_security:
        turn.emit(Refuse(request_id))
        return

    def removed(answer: SecurityVerdict, turn: Turn) -> None:
        say(request_id, answer.outcome, turn, info=answer.info or "")
        if answer.outcome is RequestStatus.ACCEPTED:
            parts.certificates.changed(turn, "a root deleted")

    parts.certificates.ask(RemoveRoot(request.certificate), removed, turn)


def _certificate_ids(parts: Parts, request_id: str, request: r.GetInstalledCertificateIds, turn: Turn) -> None:
    if not parts.config.has_security:
        turn.emit(Refuse(request_id))
        return

    def listed(answer: SecurityVerdict, turn: Turn) -> None:
        told = r.GetInstalledCertificateIdsAnswer(outcome=answer.outcome, certificates=answer.certificates)
        turn.emit(Reply(request_id, told))

    parts.certificates.ask(ListRoots(request.uses), listed, turn)


UPKEEP: Final[dict[type, Answering]] = {
    r.UpdateFirmware: _update_firmware,
    r.GetLog: _get_log,
    r.CertificateSigned: _certificate_signed,
    r.InstallCertificate: _install_certificate,
    r.DeleteCertificate: _delete_certificate,
    r.GetInstalledCertificateIds: _certificate_ids,
}
