"""Whether a certificate is revoked, as responders say it (OCSP, RFC 6960).

Guarantees
* An answer counts if it is about that very certificate, in its time, and signed by the issuer, or by whom the issuer
  has entitled to sign such answers (§4.2.2.2). Anything else says nothing.
* Only who issued it, known beforehand, vouches for an answer: nobody does for himself.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from forecourt.domain.certificate import CertificateHash, HashAlgorithm

_ALGORITHMS: Final[dict[HashAlgorithm, hashes.HashAlgorithm]] = {
    HashAlgorithm.SHA256: hashes.SHA256(),
    HashAlgorithm.SHA384: hashes.SHA384(),
    HashAlgorithm.SHA512: hashes.SHA512(),
}
_SLACK: Final = timedelta(minutes=5)
"""Clocks differ."""
UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.DuplicateExtension)


class Revocation(StrEnum):
    """What is known of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """The responder does not know it."""
    UNPROVED = "unproved"
    """There is no answer that counts."""


def request_for(certificate: CertificateHash) -> bytes:
    """The question about one certificate, DER. ValueError: it is not named as certificates are."""
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        bytes.fromhex(certificate.issuer_name_hash),
        bytes.fromhex(certificate.issuer_key_hash),
        int(certificate.serial_number, 16),
        _ALGORITHMS[certificate.algorithm],
    )
    return builder.build().public_bytes(Encoding.DER)


def response_about(certificate: CertificateHash, der: bytes) -> ocsp.OCSPResponse | None:
    """The answer in `der`, if it is one, and is about that certificate."""
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        same = (
            response.serial_number == int(certificate.serial_number, 16)
            and response.issuer_key_hash.hex() == certificate.issuer_key_hash.casefold()
            and response.issuer_name_hash.hex() == certificate.issuer_name_hash.casefold()
        )
    except UNREADABLE:
        return None
    return response if same else None


def judged(certificate: CertificateHash, der: bytes, issuers: Sequence[x509.Certificate], now: datetime) -> Revocation:
    """What an answer says of a certificate."""
    response = response_about(certificate, der)
    if response is None:
        return Revocation.UNPROVED
    try:
        over = response.next_update_utc is not None and response.next_update_utc <= now - _SLACK
        if over or response.this_update_utc > now + _SLACK:
            return Revocation.UNPROVED
        issuer = issuer_of(certificate, issuers)
        if issuer is None or not _signed(response, issuer, now):
            return Revocation.UNPROVED
        status = response.certificate_status
    except UNREADABLE:
        return Revocation.UNPROVED
    if status is ocsp.OCSPCertStatus.GOOD:
        return Revocation.GOOD
    return Revocation.REVOKED if status is ocsp.OCSPCertStatus.REVOKED else Revocation.UNKNOWN


def certificates_in(pem: str) -> list[x509.Certificate]:
    """All certificates of a text; none where one can't be read."""
    try:
        return x509.load_pem_x509_certificates(pem.encode("ascii"))
    except (*UNREADABLE, UnicodeError):
        return []


def name_of(
    certificate: x509.Certificate, issuer: x509.Certificate, algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> CertificateHash:
    """How a certificate is named towards responders."""
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, _ALGORITHMS[algorithm]).build()
    serial = f"{request.serial_number:x}"
    return CertificateHash(algorithm, request.issuer_name_hash.hex(), request.issuer_key_hash.hex(), serial)


def issuer_of(certificate: CertificateHash, issuers: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Which of them has issued it; None: none, by the hash of the key."""
    for issuer in issuers:
        name = name_of(issuer, issuer, certificate.algorithm)
        if name.issuer_key_hash == certificate.issuer_key_hash.casefold():
            return issuer
    return None


def _signed(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> bool:
    if _verifies(response, issuer):
        return True
    return any(_entitled(signer, issuer, now) and _verifies(response, signer) for signer in response.certificates)


def _entitled(signer: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        signer.verify_directly_issued_by(issuer)
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False
    in_time = signer.not_valid_before_utc <= now < signer.not_valid_after_utc
    return in_time and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verifies(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    signature, said = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, said, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, said, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, said)
        else:
            return False
    except UNREADABLE:
        return False
    return True
