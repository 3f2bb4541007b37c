"""ISO 15118 in OCPP 1.6: messages of OCPP 2.0.1 inside of DataTransfer (application note "Using ISO 15118 Plug & Charge
with OCPP 1.6", 2020).

Guarantees
* `VENDOR_ID` is the vendor, the message's name the messageId, and its JSON, as text, the data (§2.2). What is wrapped
  is what is about ISO 15118, and nothing else (§2.3): `IS_WRAPPED` says when. A message of that vendor with another
  name is left as the vendor's message that it is.
* A DataTransfer that the other side does not accept is a refusal: Rejected, or NotSupported where vendor or message is
  unknown; a token is Invalid then. An answer NotSupported is said so: as an unknown vendor.
* An empty TriggerMessage asks for the certificate signing request, as the note has it (§6.9); it is said with that
  name, as the note draws it (figure 1). A request for the certificates of no particular use is one for all that are
  ISO 15118's.
* Who may charge by contract is an eMAID (§5); its type is not on the wire.
* What is wrong inside is noted, or refused, as it is in any message, with paths below `data`.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from forecourt.dialect import v16_words as w
from forecourt.dialect import v201_certificates as newer
from forecourt.dialect.port import Untranslatable
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.v16_calls import token_info_said
from forecourt.dialect.wire import Deviations, plain, read, write
from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateSigningUse, CertificateUse
from forecourt.domain.events import Answer
from forecourt.domain.requests import DataTransferStatus, RequestStatus, TriggeredMessage
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType
from forecourt.messages import v16 as m
from forecourt.messages import v201
from forecourt.messages.base import Datatype, Message
from forecourt.rpc.errors import Cause

M = TypeVar("M", bound=Message)

VENDOR_ID: Final = "org.openchargealliance.iso15118pnc"

USES: Final = (CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT, CertificateUse.V2G_CHAIN)
"""What certificates of ISO 15118 are for (§8.7)."""


# Messages that the note has made simpler than OCPP 2.0.1's


class ContractToken(Datatype, frozen=True, kw_only=True):
    """§7.3."""

    id_token: Annotated[str, Meta(max_length=20)] = msgspec.field(name="idToken")


class AuthorizeRequest(Message, frozen=True, kw_only=True):
    """§6.1.1."""

    id_token: ContractToken = msgspec.field(name="idToken")
    certificate: Annotated[str, Meta(max_length=5500)] | None = None
    iso15118_certificate_hash_data: Annotated[tuple[v201.OCSPRequestData, ...], Meta(max_length=4)] | None = (
        msgspec.field(default=None, name="iso15118CertificateHashData")
    )


class TriggerRequest(Message, frozen=True, kw_only=True):
    """§6.9.1, and the name of figure 1."""

    requested_message: v201.MessageTriggerEnum | None = msgspec.field(default=None, name="requestedMessage")


# When a request is wrapped

IS_WRAPPED: Final[Mapping[type[r.Request], Callable[[Any], bool]]] = {
    r.Authorize: lambda request: (
        request.id_token.type is IdTokenType.EMAID
        or request.certificate is not None
        or bool(request.certificate_hashes)
    ),
    r.SignCertificate: lambda request: request.use is CertificateSigningUse.V2G,
    r.CertificateSigned: lambda request: request.use is CertificateSigningUse.V2G,
    r.InstallCertificate: lambda request: request.use in USES,
    r.DeleteCertificate: lambda request: request.iso15118,
    r.GetInstalledCertificateIds: lambda request: bool(request.uses) and all(use in USES for use in request.uses),
    r.TriggerMessage: lambda request: request.requested_message is TriggeredMessage.SIGN_V2G_CERTIFICATE,
}
"""For requests that are not always. GetCertificateStatus and Get15118EVCertificate are."""


# What is inside


def _inside(message_type: type[M], data: str | None, deviations: Deviations) -> M:
    inner = Deviations(strict=deviations.strict)
    try:
        message = read(message_type, b"{}" if data is None else data.encode(), inner)
    except Untranslatable as failure:
        raise Untranslatable(failure.cause, f"data: {failure.description}") from None
    deviations.found += [f"data.{found}" for found in inner.found]
    return message


def unwrapped(wire: m.DataTransferRequest, rows: Mapping[str, CallRow], deviations: Deviations) -> r.Request | None:
    """What a DataTransfer of this vendor asks; None for any other, and for a message that is not in `rows`."""
    if wire.vendor_id.casefold() != VENDOR_ID:
        return None
    row = rows.get(wire.message_id or "")
    if row is None:
        return None
    meant: r.Request = row.meaning(_inside(row.message, wire.data, deviations), deviations)
    return meant


# What is heard


def _changed(row: CallRow, **changes: Any) -> CallRow:
    """The same message, with what goes without saying here."""
    return CallRow(
        row.message, lambda wire, deviations: msgspec.structs.replace(row.meaning(wire, deviations), **changes)
    )


def _authorize(wire: AuthorizeRequest, _: Deviations) -> r.Authorize:
    return r.Authorize(
        id_token=IdToken(wire.id_token.id_token, IdTokenType.EMAID),
        certificate=wire.certificate,
        certificate_hashes=tuple(newer.ocsp_query(query) for query in wire.iso15118_certificate_hash_data or ()),
    )


def _trigger(wire: TriggerRequest, _: Deviations) -> r.TriggerMessage:
    if wire.requested_message not in {None, v201.MessageTriggerEnum.SIGN_V2G_CERTIFICATE}:
        raise Untranslatable(Cause.VALUE, "data.requestedMessage: only SignV2GCertificate is triggered so (§6.9)")
    return r.TriggerMessage(requested_message=TriggeredMessage.SIGN_V2G_CERTIFICATE)


def _installed(wire: v201.GetInstalledCertificateIdsRequest, deviations: Deviations) -> r.GetInstalledCertificateIds:
    asked: r.GetInstalledCertificateIds = newer.CSMS_REQUESTS["GetInstalledCertificateIds"].meaning(wire, deviations)
    return asked if asked.uses else r.GetInstalledCertificateIds(uses=USES)


STATION_MESSAGES: Final[dict[str, CallRow]] = {
    "Authorize": CallRow(AuthorizeRequest, _authorize),
    "SignCertificate": _changed(newer.STATION_REQUESTS["SignCertificate"], use=CertificateSigningUse.V2G),
    "GetCertificateStatus": newer.STATION_REQUESTS["GetCertificateStatus"],
    "Get15118EVCertificate": newer.STATION_REQUESTS["Get15118EVCertificate"],
}
"""By messageId: what a Charge Point says."""

CSMS_MESSAGES: Final[dict[str, CallRow]] = {
    "TriggerMessage": CallRow(TriggerRequest, _trigger),
    "CertificateSigned": _changed(newer.CSMS_REQUESTS["CertificateSigned"], use=CertificateSigningUse.V2G),
    "InstallCertificate": newer.CSMS_REQUESTS["InstallCertificate"],
    "DeleteCertificate": _changed(newer.CSMS_REQUESTS["DeleteCertificate"], iso15118=True),
    "GetInstalledCertificateIds": CallRow(v201.GetInstalledCertificateIdsRequest, _installed),
}
"""By messageId: what the Central System asks."""


# What is said, and answered

_REFUSALS: Final = {
    DataTransferStatus.REJECTED: RequestStatus.REJECTED,
    DataTransferStatus.UNKNOWN_MESSAGE_ID: RequestStatus.NOT_SUPPORTED,
    DataTransferStatus.UNKNOWN_VENDOR_ID: RequestStatus.NOT_SUPPORTED,
}


def _refused(kind: type[r.Request], outcome: RequestStatus) -> Answer:
    if kind is r.Authorize:
        return r.AuthorizeAnswer(id_token_info=IdTokenInfo(status=AuthorizationStatus.INVALID))
    answer_type: Any = r.ANSWERS[kind]
    answer: Answer = answer_type(outcome=outcome)
    return answer


def _wrapped(kind: type[r.Request], row: RequestRow) -> RequestRow:
    """The same request and answers, inside of DataTransfer."""

    def say(request: Any) -> tuple[str, Message]:
        message_id, message = row.say(request)
        data = write(message).decode()
        return "DataTransfer", m.DataTransferRequest(vendor_id=VENDOR_ID, message_id=message_id, data=data)

    def hear(request: Any, wire: m.DataTransferResponse, deviations: Deviations) -> Any:
        status = w.TRANSFERS[wire.status]
        if status is not DataTransferStatus.ACCEPTED:
            return _refused(kind, _REFUSALS[status])
        return row.hear(request, _inside(row.answer_message(request), wire.data, deviations), deviations)

    def reply(request: Any, answer: Any) -> Message:
        if getattr(answer, "outcome", None) is RequestStatus.NOT_SUPPORTED:
            return m.DataTransferResponse(status=m.DataTransferStatus.UNKNOWN_VENDOR_ID)
        if hasattr(answer, "reason_code"):  # the note's messages have no status info
            answer = msgspec.structs.replace(answer, reason_code=None, info=None)
        data = write(row.reply(request, answer)).decode()
        return m.DataTransferResponse(status=m.DataTransferStatus.ACCEPTED, data=data)

    return RequestRow(say, always(m.DataTransferResponse), hear, reply)


def _say_authorize(request: r.Authorize) -> tuple[str, Message]:
    hashes = tuple(newer.ocsp_query_said(query) for query in request.certificate_hashes)
    return "Authorize", AuthorizeRequest(
        id_token=ContractToken(id_token=request.id_token.value),
        certificate=request.certificate,
        iso15118_certificate_hash_data=hashes or None,
    )


def _hear_authorize(_: r.Authorize, wire: v201.AuthorizeResponse, __: Deviations) -> r.AuthorizeAnswer:
    info = wire.id_token_info
    return r.AuthorizeAnswer(
        id_token_info=IdTokenInfo(
            status=AuthorizationStatus(info.status.value), expires_at=plain(info.cache_expiry_date_time)
        ),
        certificate_status=newer.contract_status(wire.certificate_status),
    )


def _reply_authorize(_: r.Authorize, answer: r.AuthorizeAnswer) -> Message:
    info = token_info_said(answer.id_token_info)  # the note knows the five words of 1.6 (§8.1)
    return v201.AuthorizeResponse(
        id_token_info=v201.IdTokenInfo(
            status=v201.AuthorizationStatusEnum(info.status.value), cache_expiry_date_time=info.expiry_date
        ),
        certificate_status=newer.contract_status_said(answer.certificate_status),
    )


def _say_signed(request: r.CertificateSigned) -> tuple[str, Message]:
    return "CertificateSigned", v201.CertificateSignedRequest(certificate_chain=request.certificate_chain)


def _say_installed(request: r.GetInstalledCertificateIds) -> tuple[str, Message]:
    uses = () if set(request.uses) == set(USES) else request.uses
    return newer.REQUEST_ROWS[r.GetInstalledCertificateIds].say(r.GetInstalledCertificateIds(uses=uses))


def _say_trigger(_: r.TriggerMessage) -> tuple[str, Message]:
    return "TriggerMessage", TriggerRequest(requested_message=v201.MessageTriggerEnum.SIGN_V2G_CERTIFICATE)


def _instead(row: RequestRow, say: Callable[[Any], tuple[str, Message]]) -> RequestRow:
    return RequestRow(say, row.answer_message, row.hear, row.reply)


_SIGNED: Final = newer.REQUEST_ROWS[r.CertificateSigned]
_INSTALLED: Final = newer.REQUEST_ROWS[r.GetInstalledCertificateIds]
_INNER: Final[dict[type[r.Request], RequestRow]] = newer.REQUEST_ROWS | {
    r.Authorize: RequestRow(_say_authorize, always(v201.AuthorizeResponse), _hear_authorize, _reply_authorize),
    r.CertificateSigned: _instead(_SIGNED, _say_signed),
    r.GetInstalledCertificateIds: _instead(_INSTALLED, _say_installed),
    r.TriggerMessage: RequestRow(
        _say_trigger,
        always(v201.TriggerMessageResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: v201.TriggerMessageResponse(
            status=v201.TriggerMessageStatusEnum(w.TRIGGER_SAID[answer.outcome].value)
        ),
    ),
}

REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {kind: _wrapped(kind, row) for kind, row in _INNER.items()}
"""By kind of request: how it is said when it is wrapped."""
