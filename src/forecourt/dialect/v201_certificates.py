"""Certificates in OCPP 2.0.1 (chapters A and M), and contracts (C07).

Guarantees
* What a certificate is for is said where it is known; a station's request that does not say is heard so.
* A message for a car that failed has an empty exiResponse, which the schema asks for: it is heard as none.
"""

from typing import Final

from forecourt.dialect import v201_words as w
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.wire import Deviations, by_value, refusing, said
from forecourt.domain import requests as r
from forecourt.domain.certificate import (
    CertificateHash,
    CertificateSigningUse,
    CertificateUse,
    ContractAction,
    ContractStatus,
    HashAlgorithm,
    InstalledCertificate,
    OcspQuery,
)
from forecourt.domain.requests import RequestStatus
from forecourt.messages import v201 as m
from forecourt.messages.base import Message

_ALGORITHMS: Final = by_value(m.HashAlgorithmEnum, HashAlgorithm)
_ALGORITHMS_SAID: Final = by_value(HashAlgorithm, m.HashAlgorithmEnum)
_SIGNING: Final = by_value(m.CertificateSigningUseEnum, CertificateSigningUse)
_SIGNING_SAID: Final = by_value(CertificateSigningUse, m.CertificateSigningUseEnum)
_INSTALLS: Final = by_value(m.InstallCertificateUseEnum, CertificateUse)
_INSTALLS_SAID: Final = by_value(CertificateUse, m.InstallCertificateUseEnum)
_USES: Final = by_value(m.GetCertificateIdUseEnum, CertificateUse)
_USES_SAID: Final = by_value(CertificateUse, m.GetCertificateIdUseEnum)
_ACTIONS: Final = by_value(m.CertificateActionEnum, ContractAction)
_ACTIONS_SAID: Final = by_value(ContractAction, m.CertificateActionEnum)
_CONTRACTS: Final = by_value(m.AuthorizeCertificateStatusEnum, ContractStatus)
_CONTRACTS_SAID: Final = by_value(ContractStatus, m.AuthorizeCertificateStatusEnum)

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
_STATUS_SAID: Final = refusing(RequestStatus, m.GetCertificateStatusEnum, m.GetCertificateStatusEnum.FAILED)
_CONTRACT_SAID: Final = refusing(
    RequestStatus, m.Iso15118EVCertificateStatusEnum, m.Iso15118EVCertificateStatusEnum.FAILED
)


# Names of certificates


def certificate_hash(wire: m.CertificateHashData | m.OCSPRequestData) -> CertificateHash:
    """Which certificate is meant."""
    return CertificateHash(
        _ALGORITHMS[wire.hash_algorithm], wire.issuer_name_hash, wire.issuer_key_hash, wire.serial_number
    )


def certificate_hash_said(meant: CertificateHash) -> m.CertificateHashData:
    """The same on the wire."""
    return m.CertificateHashData(
        hash_algorithm=_ALGORITHMS_SAID[meant.algorithm],
        issuer_name_hash=meant.issuer_name_hash,
        issuer_key_hash=meant.issuer_key_hash,
        serial_number=meant.serial_number,
    )


def ocsp_query(wire: m.OCSPRequestData) -> OcspQuery:
    """Which certificate is asked about, and whom to ask."""
    return OcspQuery(certificate_hash(wire), wire.responder_url)


def ocsp_query_said(meant: OcspQuery) -> m.OCSPRequestData:
    """The same on the wire."""
    return m.OCSPRequestData(
        hash_algorithm=_ALGORITHMS_SAID[meant.certificate.algorithm],
        issuer_name_hash=meant.certificate.issuer_name_hash,
        issuer_key_hash=meant.certificate.issuer_key_hash,
        serial_number=meant.certificate.serial_number,
        responder_url=meant.responder_url,
    )


def contract_status(wire: m.AuthorizeCertificateStatusEnum | None) -> ContractStatus | None:
    """What is said of a contract's certificate."""
    return None if wire is None else _CONTRACTS[wire]


def contract_status_said(meant: ContractStatus | None) -> m.AuthorizeCertificateStatusEnum | None:
    """The same on the wire."""
    return None if meant is None else _CONTRACTS_SAID[meant]


# What a station asks


def _sign(wire: m.SignCertificateRequest, _: Deviations) -> r.SignCertificate:
    return r.SignCertificate(csr=wire.csr, use=_signing(wire.certificate_type))


def _signing(wire: m.CertificateSigningUseEnum | None) -> CertificateSigningUse | None:
    return None if wire is None else _SIGNING[wire]


def _certificate_status(wire: m.GetCertificateStatusRequest, _: Deviations) -> r.GetCertificateStatus:
    return r.GetCertificateStatus(query=ocsp_query(wire.ocsp_request_data))


def _ev_certificate(wire: m.Get15118EVCertificateRequest, _: Deviations) -> r.Get15118EVCertificate:
    return r.Get15118EVCertificate(
        schema_version=wire.iso15118_schema_version, action=_ACTIONS[wire.action], exi_request=wire.exi_request
    )


STATION_REQUESTS: Final[dict[str, CallRow]] = {
    "SignCertificate": CallRow(m.SignCertificateRequest, _sign),
    "GetCertificateStatus": CallRow(m.GetCertificateStatusRequest, _certificate_status),
    "Get15118EVCertificate": CallRow(m.Get15118EVCertificateRequest, _ev_certificate),
}


# What the CSMS asks


def _signed(wire: m.CertificateSignedRequest, _: Deviations) -> r.CertificateSigned:
    return r.CertificateSigned(certificate_chain=wire.certificate_chain, use=_signing(wire.certificate_type))


def _install(wire: m.InstallCertificateRequest, _: Deviations) -> r.InstallCertificate:
    return r.InstallCertificate(use=_INSTALLS[wire.certificate_type], certificate=wire.certificate)


def _delete(wire: m.DeleteCertificateRequest, _: Deviations) -> r.DeleteCertificate:
    return r.DeleteCertificate(certificate=certificate_hash(wire.certificate_hash_data))


def _installed(wire: m.GetInstalledCertificateIdsRequest, _: Deviations) -> r.GetInstalledCertificateIds:
    return r.GetInstalledCertificateIds(uses=tuple(_USES[use] for use in wire.certificate_type or ()))


CSMS_REQUESTS: Final[dict[str, CallRow]] = {
    "CertificateSigned": CallRow(m.CertificateSignedRequest, _signed),
    "InstallCertificate": CallRow(m.InstallCertificateRequest, _install),
    "DeleteCertificate": CallRow(m.DeleteCertificateRequest, _delete),
    "GetInstalledCertificateIds": CallRow(m.GetInstalledCertificateIdsRequest, _installed),
}


# What is said, and answered


def _say_installed(request: r.GetInstalledCertificateIds) -> tuple[str, Message]:
    uses = tuple(_USES_SAID[use] for use in request.uses)
    return "GetInstalledCertificateIds", m.GetInstalledCertificateIdsRequest(certificate_type=uses or None)


def _hear_installed(
    _: r.GetInstalledCertificateIds, wire: m.GetInstalledCertificateIdsResponse, __: Deviations
) -> r.GetInstalledCertificateIdsAnswer:
    reason_code, info = w.info_of(wire.status_info)
    return r.GetInstalledCertificateIdsAnswer(
        outcome=RequestStatus(wire.status),
        certificates=tuple(
            InstalledCertificate(
                _USES[chain.certificate_type],
                certificate_hash(chain.certificate_hash_data),
                tuple(certificate_hash(child) for child in chain.child_certificate_hash_data or ()),
            )
            for chain in wire.certificate_hash_data_chain or ()
        ),
        reason_code=reason_code,
        info=info,
    )


def _reply_installed(_: r.GetInstalledCertificateIds, answer: r.GetInstalledCertificateIdsAnswer) -> Message:
    chains = tuple(
        m.CertificateHashDataChain(
            certificate_type=_USES_SAID[installed.use],
            certificate_hash_data=certificate_hash_said(installed.certificate),
            child_certificate_hash_data=tuple(certificate_hash_said(child) for child in installed.children) or None,
        )
        for installed in answer.certificates
    )
    return m.GetInstalledCertificateIdsResponse(
        status=_LIST_SAID[answer.outcome], certificate_hash_data_chain=chains or None, status_info=w.why(answer)
    )


def _hear_status(
    _: r.GetCertificateStatus, wire: m.GetCertificateStatusResponse, __: Deviations
) -> r.GetCertificateStatusAnswer:
    reason_code, info = w.info_of(wire.status_info)
    return r.GetCertificateStatusAnswer(
        outcome=RequestStatus(wire.status), ocsp_result=wire.ocsp_result, reason_code=reason_code, info=info
    )


def _hear_contract(
    _: r.Get15118EVCertificate, wire: m.Get15118EVCertificateResponse, __: Deviations
) -> r.Get15118EVCertificateAnswer:
    reason_code, info = w.info_of(wire.status_info)
    return r.Get15118EVCertificateAnswer(
        outcome=RequestStatus(wire.status), exi_response=wire.exi_response or None, reason_code=reason_code, info=info
    )


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.SignCertificate: RequestRow(
        lambda request: (
            "SignCertificate",
            m.SignCertificateRequest(
                csr=request.csr, certificate_type=_SIGNING_SAID[request.use] if request.use else None
            ),
        ),
        always(m.SignCertificateResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.SignCertificateResponse(status=_SIGN_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.GetCertificateStatus: RequestRow(
        lambda request: (
            "GetCertificateStatus",
            m.GetCertificateStatusRequest(ocsp_request_data=ocsp_query_said(request.query)),
        ),
        always(m.GetCertificateStatusResponse),
        _hear_status,
        lambda _, answer: m.GetCertificateStatusResponse(
            status=_STATUS_SAID[answer.outcome], ocsp_result=answer.ocsp_result, status_info=w.why(answer)
        ),
    ),
    r.Get15118EVCertificate: RequestRow(
        lambda request: (
            "Get15118EVCertificate",
            m.Get15118EVCertificateRequest(
                iso15118_schema_version=request.schema_version,
                action=_ACTIONS_SAID[request.action],
                exi_request=request.exi_request,
            ),
        ),
        always(m.Get15118EVCertificateResponse),
        _hear_contract,
        lambda _, answer: m.Get15118EVCertificateResponse(
            status=_CONTRACT_SAID[answer.outcome], exi_response=answer.exi_response or "", status_info=w.why(answer)
        ),
    ),
    r.CertificateSigned: RequestRow(
        lambda request: (
            "CertificateSigned",
            m.CertificateSignedRequest(
                certificate_chain=request.certificate_chain,
                certificate_type=_SIGNING_SAID[request.use] if request.use else None,
            ),
        ),
        always(m.CertificateSignedResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.CertificateSignedResponse(status=_SIGNED_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.InstallCertificate: RequestRow(
        lambda request: (
            "InstallCertificate",
            m.InstallCertificateRequest(
                certificate_type=said(_INSTALLS_SAID, request.use), certificate=request.certificate
            ),
        ),
        always(m.InstallCertificateResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.InstallCertificateResponse(status=_INSTALL_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.DeleteCertificate: RequestRow(
        lambda request: (
            "DeleteCertificate",
            m.DeleteCertificateRequest(certificate_hash_data=certificate_hash_said(request.certificate)),
        ),
        always(m.DeleteCertificateResponse),
        lambda _, wire, __: w.answer(wire),
        lambda _, answer: m.DeleteCertificateResponse(status=_DELETE_SAID[answer.outcome], status_info=w.why(answer)),
    ),
    r.GetInstalledCertificateIds: RequestRow(
        _say_installed, always(m.GetInstalledCertificateIdsResponse), _hear_installed, _reply_installed
    ),
}
