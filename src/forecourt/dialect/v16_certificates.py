"""Certificates in OCPP 1.6: those towards the Central System (security white paper A02 to A05, M03 to M05); those of
ISO 15118 go as `v16_contracts`.

Guarantees
* A certificate for cars, or for verifying them, is of the application note, any other of the white paper (application
  note §2.3); a request that does not say is of the white paper.
* Installed certificates are asked for one use at a time (§5.7); of several uses or all only where all of them are
  ISO 15118's.
"""

from typing import Final

from forecourt.dialect import v16_contracts as contracts
from forecourt.dialect import v16_words as w
from forecourt.dialect.port import Inexpressible
from forecourt.dialect.tables import CallRow, RequestRow, always, either
from forecourt.dialect.wire import Deviations, by_value, only, refusing, said
from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateHash, CertificateUse, HashAlgorithm, InstalledCertificate
from forecourt.domain.requests import RequestStatus
from forecourt.messages import v16 as m
from forecourt.messages.base import Message

_ALGORITHMS: Final = by_value(m.HashAlgorithmEnum, HashAlgorithm)
_ALGORITHMS_SAID: Final = by_value(HashAlgorithm, m.HashAlgorithmEnum)
_USES: Final = {
    m.CertificateUseEnum.CENTRAL_SYSTEM_ROOT_CERTIFICATE: CertificateUse.CSMS_ROOT,
    m.CertificateUseEnum.MANUFACTURER_ROOT_CERTIFICATE: CertificateUse.MANUFACTURER_ROOT,
}
_USES_SAID: Final = {meant: word for word, meant in _USES.items()}

_SIGN_SAID: Final = refusing(RequestStatus, m.GenericStatusEnum, m.GenericStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.GenericStatusEnum.ACCEPTED
}
_SIGNED_SAID: Final = refusing(RequestStatus, m.CertificateSignedStatusEnum, m.CertificateSignedStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.CertificateSignedStatusEnum.ACCEPTED
}
_INSTALL_SAID: Final = refusing(
    RequestStatus, m.InstallCertificateStatusEnum, m.InstallCertificateStatusEnum.REJECTED
) | {RequestStatus.SCHEDULED: m.InstallCertificateStatusEnum.ACCEPTED}
_DELETE_SAID: Final = refusing(RequestStatus, m.DeleteCertificateStatusEnum, m.DeleteCertificateStatusEnum.FAILED) | {
    RequestStatus.SCHEDULED: m.DeleteCertificateStatusEnum.ACCEPTED,
    RequestStatus.UNKNOWN: m.DeleteCertificateStatusEnum.NOT_FOUND,
}
_LIST_SAID: Final = refusing(
    RequestStatus, m.GetInstalledCertificateStatusEnum, m.GetInstalledCertificateStatusEnum.NOT_FOUND
)


def _hash(wire: m.CertificateHashData) -> CertificateHash:
    return CertificateHash(
        _ALGORITHMS[wire.hash_algorithm], wire.issuer_name_hash, wire.issuer_key_hash, wire.serial_number
    )


def _hash_said(meant: CertificateHash) -> m.CertificateHashData:
    return m.CertificateHashData(
        hash_algorithm=_ALGORITHMS_SAID[meant.algorithm],
        issuer_name_hash=meant.issuer_name_hash,
        issuer_key_hash=meant.issuer_key_hash,
        serial_number=meant.serial_number,
    )


# What is heard


def _sign(wire: m.SignCertificateRequest, _: Deviations) -> r.SignCertificate:
    return r.SignCertificate(csr=wire.csr)


STATION_REQUESTS: Final[dict[str, CallRow]] = {"SignCertificate": CallRow(m.SignCertificateRequest, _sign)}


def _signed(wire: m.CertificateSignedRequest, _: Deviations) -> r.CertificateSigned:
    return r.CertificateSigned(certificate_chain=wire.certificate_chain)


def _install(wire: m.InstallCertificateRequest, _: Deviations) -> r.InstallCertificate:
    return r.InstallCertificate(use=_USES[wire.certificate_type], certificate=wire.certificate)


def _delete(wire: m.DeleteCertificateRequest, _: Deviations) -> r.DeleteCertificate:
    return r.DeleteCertificate(certificate=_hash(wire.certificate_hash_data))


def _installed(wire: m.GetInstalledCertificateIdsRequest, _: Deviations) -> r.GetInstalledCertificateIds:
    return r.GetInstalledCertificateIds(uses=(_USES[wire.certificate_type],))


CSMS_REQUESTS: Final[dict[str, CallRow]] = {
    "CertificateSigned": CallRow(m.CertificateSignedRequest, _signed),
    "InstallCertificate": CallRow(m.InstallCertificateRequest, _install),
    "DeleteCertificate": CallRow(m.DeleteCertificateRequest, _delete),
    "GetInstalledCertificateIds": CallRow(m.GetInstalledCertificateIdsRequest, _installed),
}


# What is said, and answered


def _hear_installed(
    request: r.GetInstalledCertificateIds, wire: m.GetInstalledCertificateIdsResponse, _: Deviations
) -> r.GetInstalledCertificateIdsAnswer:
    use = only(request.uses, "uses")
    return r.GetInstalledCertificateIdsAnswer(
        outcome=RequestStatus(wire.status),
        certificates=tuple(InstalledCertificate(use, _hash(named)) for named in wire.certificate_hash_data or ()),
    )


def _reply_installed(request: r.GetInstalledCertificateIds, answer: r.GetInstalledCertificateIdsAnswer) -> Message:
    if any(installed.use not in request.uses for installed in answer.certificates):
        raise Inexpressible("certificates of another use than the one asked for")
    named = tuple(_hash_said(installed.certificate) for installed in answer.certificates)
    return m.GetInstalledCertificateIdsResponse(status=_LIST_SAID[answer.outcome], certificate_hash_data=named or None)


_PLAIN: Final[dict[type[r.Request], RequestRow]] = {
    r.SignCertificate: RequestRow(
        lambda request: ("SignCertificate", m.SignCertificateRequest(csr=request.csr)),
        always(m.SignCertificateResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.SignCertificateResponse(status=_SIGN_SAID[answer.outcome]),
    ),
    r.CertificateSigned: RequestRow(
        lambda request: (
            "CertificateSigned",
            m.CertificateSignedRequest(certificate_chain=request.certificate_chain),
        ),
        always(m.CertificateSignedResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.CertificateSignedResponse(status=_SIGNED_SAID[answer.outcome]),
    ),
    r.InstallCertificate: RequestRow(
        lambda request: (
            "InstallCertificate",
            m.InstallCertificateRequest(
                certificate_type=said(_USES_SAID, request.use), certificate=request.certificate
            ),
        ),
        always(m.InstallCertificateResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.InstallCertificateResponse(status=_INSTALL_SAID[answer.outcome]),
    ),
    r.DeleteCertificate: RequestRow(
        lambda request: (
            "DeleteCertificate",
            m.DeleteCertificateRequest(certificate_hash_data=_hash_said(request.certificate)),
        ),
        always(m.DeleteCertificateResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.DeleteCertificateResponse(status=_DELETE_SAID[answer.outcome]),
    ),
    r.GetInstalledCertificateIds: RequestRow(
        lambda request: (
            "GetInstalledCertificateIds",
            m.GetInstalledCertificateIdsRequest(certificate_type=said(_USES_SAID, only(request.uses, "uses"))),
        ),
        always(m.GetInstalledCertificateIdsResponse),
        _hear_installed,
        _reply_installed,
    ),
}

REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    kind: either(contracts.IS_WRAPPED[kind], contracts.REQUEST_ROWS[kind], row) for kind, row in _PLAIN.items()
} | {kind: contracts.REQUEST_ROWS[kind] for kind in (r.GetCertificateStatus, r.Get15118EVCertificate)}
