"""How a root certificate is named by hashes, as stations name those that they have installed (RFC 6960 §4.1.1)."""

import hashlib
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forecourt.domain.certificate import CertificateHash, HashAlgorithm

_HASHES: Final = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA384: hashlib.sha384,
    HashAlgorithm.SHA512: hashlib.sha512,
}


def read_certificate(pem: str) -> x509.Certificate:
    """The first certificate in `pem`. ValueError, saying why, when there is none."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise ValueError("is no certificate in PEM") from None


def issuer_in(chain: str | None) -> str | None:
    """Who has signed the first certificate of a chain (RFC 4514); None: there is none."""
    if chain is None:
        return None
    try:
        return read_certificate(chain).issuer.rfc4514_string()
    except ValueError:
        return None


def name_of_root(pem: str, algorithm: HashAlgorithm) -> CertificateHash | None:
    """The name of a certificate that is its own issuer; None: another's key would be needed."""
    certificate = read_certificate(pem)
    if certificate.issuer != certificate.subject:
        return None
    digest = _HASHES[algorithm]
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return CertificateHash(
        algorithm,
        digest(certificate.issuer.public_bytes()).hexdigest(),
        digest(_bits_of(key)).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def _bits_of(public_key_info: bytes) -> bytes:
    """The bits of the key alone: the last element of SubjectPublicKeyInfo, without its header (RFC 5280 §4.1)."""

    def header(at: int) -> tuple[int, int]:
        """Where the content of the element at `at` begins, and how long it is."""
        length = public_key_info[at + 1]
        if length < 0x80:
            return at + 2, length
        count = length & 0x7F
        return at + 2 + count, int.from_bytes(public_key_info[at + 2 : at + 2 + count], "big")

    outer, _ = header(0)
    algorithm, length = header(outer)
    bits, length = header(algorithm + length)
    return public_key_info[bits + 1 : bits + length]
