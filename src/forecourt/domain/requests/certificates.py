"""Certificates: those of the station towards the CSMS and towards cars, and those of contracts (OCPP 2.0.1 A, M, C07).

Guarantees
* What is about ISO 15118 says so (`use`, `iso15118`): a protocol may have messages of their own for that.
"""

from forecourt.domain.certificate import (
    CertificateHash,
    CertificateSigningUse,
    CertificateUse,
    ContractAction,
    InstalledCertificate,
    OcspQuery,
)
from forecourt.domain.events import Answer
from forecourt.domain.requests.base import Request, RequestStatus

# What a station asks of the CSMS


class SignCertificate(Request, frozen=True, kw_only=True):
    """Have this certificate signed. Answered by Accepted or Rejected; `CertificateSigned` brings it."""

    csr: str
    """PKCS#10, PEM."""
    use: CertificateSigningUse | None = CertificateSigningUse.CHARGING_STATION
    """None: it is not said."""


class GetCertificateStatus(Request, frozen=True, kw_only=True):
    """Is this certificate revoked? (M06)"""

    query: OcspQuery


class GetCertificateStatusAnswer(Answer, frozen=True, kw_only=True):
    """Accepted, with the responder's answer, or Failed."""

    outcome: RequestStatus
    ocsp_result: str | None = None
    """OCSPResponse of RFC 6960, DER, base64."""
    reason_code: str | None = None
    info: str | None = None


class Get15118EVCertificate(Request, frozen=True, kw_only=True):
    """What a car wants about its contract's certificate, and the CSMS passes on (M01, M02)."""

    schema_version: str
    """Of ISO 15118, as negotiated with the car."""
    action: ContractAction
    exi_request: str
    """The car's message, base64."""


class Get15118EVCertificateAnswer(Answer, frozen=True, kw_only=True):
    """Accepted, with the message for the car, or Failed."""

    outcome: RequestStatus
    exi_response: str | None = None
    """Base64."""
    reason_code: str | None = None
    info: str | None = None


# What the CSMS asks of a station


class CertificateSigned(Request, frozen=True, kw_only=True):
    """Here is the certificate that was asked for. Answered by Accepted or Rejected."""

    certificate_chain: str
    """PEM, the leaf first."""
    use: CertificateSigningUse | None = CertificateSigningUse.CHARGING_STATION
    """None: it is not said."""


class InstallCertificate(Request, frozen=True, kw_only=True):
    """Trust this root. Answered by Accepted, Rejected (not valid, or one too many) or Failed."""

    use: CertificateUse
    certificate: str
    """PEM."""


class DeleteCertificate(Request, frozen=True, kw_only=True):
    """Remove a certificate. Answered by Accepted, Failed or NotFound."""

    certificate: CertificateHash
    iso15118: bool = False
    """It is one for charging by contract: a V2G or MO root, or the station's own towards cars."""


class GetInstalledCertificateIds(Request, frozen=True, kw_only=True):
    """Which certificates do you have? `uses` empty: of all uses."""

    uses: tuple[CertificateUse, ...] = ()


class GetInstalledCertificateIdsAnswer(Answer, frozen=True, kw_only=True):
    """Accepted, or NotFound: there is none of those uses."""

    outcome: RequestStatus
    certificates: tuple[InstalledCertificate, ...] = ()
    reason_code: str | None = None
    info: str | None = None
