"""Certificates as they are read, named and judged: what a station's stores have in common.

Guarantees
* What can't be read is none; nothing in here raises but what `UNREADABLE` names, and that in `hash_of` only.
* Too weak is RSA below 2048 bits, elliptic curves below 224 (A00.FR.501 to FR.503).
* A certificate is named as in OCSP, by hashes of its issuer's name and key, and its serial number (RFC 6960 §4.1.1).
"""

import hashlib
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forecourt.domain.certificate import CertificateHash, HashAlgorithm

LEAST_RSA_BITS: Final = 2048
LEAST_CURVE_BITS: Final = 224
_LONGEST_CHAIN: Final = 10
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
    x509.DuplicateExtension,
)


def hash_of(
    certificate: x509.Certificate, issuer: x509.Certificate, algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> CertificateHash:
    """How OCPP names a certificate (RFC 6960 §4.1.1)."""
    digest = _DIGESTS[algorithm]
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return CertificateHash(
        algorithm,
        digest(certificate.issuer.public_bytes()).hexdigest(),
        digest(_bit_string(key)).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def _bit_string(key_info: bytes) -> bytes:
    """The key inside a SubjectPublicKeyInfo, without tag, length and count of unused bits (RFC 6960 §4.1.1)."""
    _, start, _ = _element(key_info, 0)
    _, _, algorithm_end = _element(key_info, start)
    _, bits_start, bits_end = _element(key_info, algorithm_end)
    return key_info[bits_start + 1 : bits_end]


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the DER element at `at`."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[start : start + count], "big"), start + count
    return der[at], start, start + length


_DIGESTS: Final = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA384: hashlib.sha384,
    HashAlgorithm.SHA512: hashlib.sha512,
}


def without_zeros(wanted: CertificateHash) -> CertificateHash:
    serial = wanted.serial_number.lstrip("0") or "0"
    return CertificateHash(wanted.algorithm, wanted.issuer_name_hash, wanted.issuer_key_hash, serial)


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def first(pem: str) -> x509.Certificate | None:
    certificates = certificates_in(pem)
    return certificates[0] if certificates else None


def certificates_in(pem: str, *, most: int = _LONGEST_CHAIN) -> list[x509.Certificate]:
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode("ascii"))
    except (*UNREADABLE, UnicodeError):
        return []
    return certificates if len(certificates) <= most else []


def unfit(certificate: x509.Certificate, at: datetime) -> str | None:
    """Why it must not be relied on now; None when it may."""
    if at < certificate.not_valid_before_utc:
        return "it is not valid yet"
    if at >= certificate.not_valid_after_utc:
        return "it has expired"
    return None if strong(certificate) else "its key is too weak"


def strong(certificate: x509.Certificate) -> bool:
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return False
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        return key.key_size >= LEAST_RSA_BITS
    return not isinstance(key, ec.EllipticCurvePublicKey) or key.key_size >= LEAST_CURVE_BITS


def may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True
