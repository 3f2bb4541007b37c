"""What follows from the answers of the CSMS: one function for what a call was for, in one table.

Guarantees
* An answer of another kind than was asked for is none: what it was for hears that there was no answer.
"""

from collections.abc import Callable
from typing import Any, Final

from forecourt.domain.certificate import CertificateSigningUse, ContractStatus
from forecourt.domain.events import (
    BootAnswer,
    HeartbeatAnswer,
    TransactionAnswer,
    TransactionEnded,
    TransactionStarted,
    decode_notice,
)
from forecourt.domain.requests import AuthorizeAnswer, DataTransferAnswer
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.station import inputs as i
from forecourt.station.boot import SECTION as STATION_SECTION
from forecourt.station.calls import (
    ForApplication,
    ForBilling,
    ForBoot,
    ForEvCertificate,
    ForHeartbeat,
    ForInformation,
    ForOcsp,
    ForReport,
    ForSigning,
    ForStatus,
    ForToken,
    ForUnplugged,
    Purpose,
)
from forecourt.station.effects import DataTransferDone
from forecourt.station.outbox import Part
from forecourt.station.parts import Parts
from forecourt.station.turn import Turn

KNOWN_KEY: Final = "accepted"

_LIST_CONFLICT: Final = i.Fault(fault_id="local-list", code="LocalListConflict")


def answered(parts: Parts, purpose: Purpose, answer: Any, turn: Turn) -> None:
    """A call has its answer."""
    _ANSWERS[type(purpose)](parts, purpose, answer, turn)


def _boot_answered(parts: Parts, _: ForBoot, answer: Any, turn: Turn) -> None:
    if not isinstance(answer, BootAnswer):
        parts.boot.failed(i.CallFailure.UNREADABLE, turn)
    elif parts.boot.answered(answer, turn):
        parts.known_to_csms = True
        turn.put(STATION_SECTION, KNOWN_KEY, True)
        parts.status.tell_all(turn)
        parts.outbox.connected(turn)
        parts.reports.connected(turn)
        parts.certificates.accepted(turn)


def _heartbeat_answered(parts: Parts, _: ForHeartbeat, answer: Any, turn: Turn) -> None:
    if isinstance(answer, HeartbeatAnswer):
        parts.boot.heard(answer, turn)


def _billing_answered(parts: Parts, purpose: ForBilling, answer: Any, turn: Turn) -> None:
    told = answer if isinstance(answer, TransactionAnswer) else None
    entry = parts.outbox.delivered(purpose.seq, told.transaction_id if told else None, turn)
    if entry is not None and entry.part is Part.END and told is not None and told.total_cost is not None:
        parts.costs.total_told(entry.transaction_id, told.total_cost, turn)
    if entry is None or told is None or told.id_token_info is None:
        return
    event = decode_notice(bytes(entry.notice)).events[0]
    if isinstance(event, TransactionStarted | TransactionEnded) and event.id_token is not None:
        _heard_of(parts, event.id_token, told.id_token_info, turn)
    if entry.part is not Part.END:
        parts.transactions.token_refused(entry.transaction_id, told.id_token_info, turn)


def _token_answered(parts: Parts, purpose: ForToken, answer: Any, turn: Turn) -> None:
    authorizer = parts.authorizer
    if isinstance(answer, AuthorizeAnswer):
        info = answer.id_token_info
        if answer.certificate_status in {None, ContractStatus.ACCEPTED}:
            _heard_of(parts, purpose.id_token, info, turn)
        else:  # the contract is worth nothing, whatever the token is
            info = IdTokenInfo(status=AuthorizationStatus.INVALID)
        verdict = authorizer.answered(purpose.attempt_id, info, turn)
    else:
        verdict = authorizer.failed(purpose.attempt_id, turn)
    if verdict is not None:
        parts.sessions.verdict(verdict, turn)


def _heard_of(parts: Parts, id_token: IdToken, info: IdTokenInfo, turn: Turn) -> None:
    """The CSMS has spoken of a token: remember it, and tell it where its own list says otherwise (§3.5.2)."""
    parts.cache.learn(id_token, info, turn)
    if parts.local_list.newly_contradicted(id_token, info, turn.at):
        parts.status.tell_fault(0, _LIST_CONFLICT, turn)


def _application_answered(_: Parts, purpose: ForApplication, answer: Any, turn: Turn) -> None:
    told = answer if isinstance(answer, DataTransferAnswer) else None
    turn.emit(DataTransferDone(purpose.reference, told))


def _report_answered(parts: Parts, purpose: ForReport, _: Any, turn: Turn) -> None:
    parts.reports.delivered(purpose.seq, turn)


def _signing_answered(parts: Parts, purpose: ForSigning, answer: Any, turn: Turn) -> None:
    if purpose.use is CertificateSigningUse.V2G:
        parts.v2g.answered(answer, turn)
    else:
        parts.certificates.request_answered(answer, turn)


def _ocsp_answered(parts: Parts, purpose: ForOcsp, answer: Any, turn: Turn) -> None:
    parts.v2g.status_answered(purpose, answer, turn)


def _ev_certificate_answered(parts: Parts, purpose: ForEvCertificate, answer: Any, turn: Turn) -> None:
    parts.contracts.answered(purpose, answer, turn)


def _unplugged_answered(parts: Parts, purpose: ForUnplugged, _: Any, turn: Turn) -> None:
    parts.stays.told(purpose, turn)


def _nothing(_: Parts, __: Purpose, ___: Any, ____: Turn) -> None:
    """The answer says nothing."""


def failed(parts: Parts, purpose: Purpose, failure: i.CallFailure, turn: Turn) -> None:
    """A call got no answer: what it was for has to know."""
    if isinstance(purpose, ForBoot):
        parts.boot.failed(failure, turn)
    elif isinstance(purpose, ForStatus):
        parts.status.failed(purpose, failure)
    elif isinstance(purpose, ForBilling):
        parts.outbox.failed(purpose.seq, failure, turn)
    elif isinstance(purpose, ForToken):
        verdict = parts.authorizer.failed(purpose.attempt_id, turn)
        if verdict is not None:
            parts.sessions.verdict(verdict, turn)
    elif isinstance(purpose, ForApplication):
        turn.emit(DataTransferDone(purpose.reference, None))
    elif isinstance(purpose, ForReport):
        parts.reports.failed(purpose.seq, failure, turn)
    elif isinstance(purpose, ForSigning):
        # A CSMS that has no idea of contracts may say so with an error.
        refused = failure not in {i.CallFailure.TIMEOUT, i.CallFailure.LOST}
        _signing_answered(parts, purpose, failure if refused else None, turn)
    elif isinstance(purpose, ForOcsp):
        parts.v2g.status_answered(purpose, None, turn)
    elif isinstance(purpose, ForEvCertificate):
        parts.contracts.answered(purpose, None, turn)
    elif isinstance(purpose, ForUnplugged):
        parts.stays.failed(purpose, failure, turn)


_ANSWERS: Final[dict[type, Callable[[Parts, Any, Any, Turn], None]]] = {
    ForBoot: _boot_answered,
    ForHeartbeat: _heartbeat_answered,
    ForStatus: _nothing,
    ForBilling: _billing_answered,
    ForToken: _token_answered,
    ForApplication: _application_answered,
    ForReport: _report_answered,
    ForSigning: _signing_answered,
    ForOcsp: _ocsp_answered,
    ForEvCertificate: _ev_certificate_answered,
    ForUnplugged: _unplugged_answered,
    ForInformation: _nothing,
}
