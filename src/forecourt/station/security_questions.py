"""What a station asks whoever keeps its certificates and keys (`ports.Security`).

Guarantees
* Each question says which answers it can have; the answer is a `SecurityVerdict`, under the reference that
  `AskSecurity` gave it.
* No private key is in a question or an answer (security white paper A02.FR.05).
"""

import msgspec

from forecourt.domain.certificate import CertificateHash, CertificateSigningUse, CertificateUse
from forecourt.domain.token import IdToken


class CheckFirmwareCertificate(msgspec.Struct, frozen=True):
    """Is this a valid certificate to sign firmware, of the manufacturer's hierarchy (L01.FR.12, L01.FR.23)?

    Accepted, InvalidCertificate or RevokedCertificate.
    """

    certificate: str


class InstallRoot(msgspec.Struct, frozen=True):
    """Trust this root (M05). Accepted, Rejected (not valid, or one too many) or Failed."""

    use: CertificateUse
    certificate: str
    most: int
    """How many roots may be installed."""
    succession: bool = False
    """A root of the CSMS must be signed by the one there is, and takes its place (M05.FR.08 to FR.10)."""


class RemoveRoot(msgspec.Struct, frozen=True):
    """Remove a root; the station's own certificate can't be removed (M04). Accepted, NotFound or Failed."""

    certificate: CertificateHash


class ListRoots(msgspec.Struct, frozen=True):
    """Which are there, of these uses, or of all (M03)? Accepted with `certificates`, or NotFound."""

    uses: tuple[CertificateUse, ...]


class MakeSigningRequest(msgspec.Struct, frozen=True):
    """Make a key pair, and a request to have it signed (A02.FR.02, FR.03, FR.13). Accepted with `csr`, or Failed."""

    use: CertificateSigningUse
    common_name: str
    organization: str


class KeepSigned(msgspec.Struct, frozen=True):
    """Check, and use from now on, the certificate for the last signing request (A02.FR.06). Accepted or Rejected."""

    use: CertificateSigningUse
    chain: str
    organization: str


class AskExpiry(msgspec.Struct, frozen=True):
    """Until when is the station's own certificate valid? Accepted with `expires_at`, or NotFound."""

    use: CertificateSigningUse


class CheckContract(msgspec.Struct, frozen=True):
    """Is this contract's certificate valid (C07)? `chain`: PEM, the contract's first.

    Accepted; Rejected with `info`; or NotFound: no installed root speaks for it. `queries`: what a responder can be
    asked about it and its issuers, as far as they are known.
    """

    id_token: IdToken
    chain: str


class ListIssuers(msgspec.Struct, frozen=True):
    """What may be asked about those who issued the certificate that is shown to cars (M06). Accepted with `queries`."""


class KeepOcsp(msgspec.Struct, frozen=True):
    """Keep a responder's answer about one of them, for cars: OCSPResponse, DER, base64. Accepted or Failed."""

    certificate: CertificateHash
    ocsp_result: str


class CheckProfile(msgspec.Struct, frozen=True):
    """Is there what this security profile needs: a valid root of the CSMS, and for 3 a valid certificate of the station
    (A05.FR.03, FR.04)? Accepted, or Rejected with `info`."""

    profile: int


SecurityQuestion = (
    CheckFirmwareCertificate
    | InstallRoot
    | RemoveRoot
    | ListRoots
    | MakeSigningRequest
    | KeepSigned
    | AskExpiry
    | CheckProfile
    | CheckContract
    | ListIssuers
    | KeepOcsp
)
