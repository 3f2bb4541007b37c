"""Certificates and keys in files: read, and checked before anything depends on them.

Guarantees
* What is wrong is a `CertificateError` that names the file and says what: missing, no PEM, encrypted, another key's,
  expired, too weak. A key's content is never part of it.
* Keys give at least 112 bits of security: RSA and DSA 2048 bits, elliptic curves 224 (security white paper A00.FR.501
  to 503; OCPP 2.0.1 A00.FR.501 to 503).
* Files are PEM (A00.FR.507).
"""

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

LEAST_RSA_BITS: Final = 2048
LEAST_CURVE_BITS: Final = 224

_CA_SUFFIXES: Final = frozenset({".pem", ".crt", ".cer"})


class CertificateError(Exception):
    """A certificate or key that can't be used; the text names the file, and is for the person who put it there."""


class CertificateSubject(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says of its owner."""

    common_names: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    not_before: datetime
    not_after: datetime
    serial_number: str = ""
    """Hexadecimal, small letters."""
    strong: bool = True
    """Its key has at least 112 bits of security."""


def subject_of(certificate_der: bytes) -> CertificateSubject | None:
    """The owner of a certificate; None when it can't be read."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        return CertificateSubject(
            common_names=_texts(certificate, NameOID.COMMON_NAME),
            organizations=_texts(certificate, NameOID.ORGANIZATION_NAME),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            serial_number=f"{certificate.serial_number:x}",
            strong=_weakness(certificate) is None,
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def check_pair(
    certificate: Path, key: Path, *, now: datetime | None = None, owner_only: bool = False, at_any_time: bool = False
) -> None:
    """That a certificate with its chain, and its key, can be used now.

    `owner_only`: that nobody but its owner may read the key's file (OCPP 2.0.1 Part 2 A00: keys are well protected).
    `at_any_time`: it may be over, or not have begun yet.

    Raises:
        CertificateError: they can't.
    """
    now = now or datetime.now(UTC)
    chain = read_certificates(certificate)
    for one in chain:
        name = one.subject.rfc4514_string() or "a certificate without a subject"
        if now > one.not_valid_after_utc and not at_any_time:
            raise CertificateError(f"{certificate}: {name} expired on {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
        if now < one.not_valid_before_utc and not at_any_time:
            raise CertificateError(
                f"{certificate}: {name} is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            )
        if (weakness := _weakness(one)) is not None:
            raise CertificateError(f"{certificate}: {name} {weakness}")
    if owner_only:
        check_owner_only(key)
    try:
        private = load_pem_private_key(_read(key), None)
    except TypeError:
        raise CertificateError(f"{key}: the key is encrypted; it has to be readable without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{key}: has no private key in PEM") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise CertificateError(f"{key}: is not the key of the first certificate in {certificate}")


def check_owner_only(key: Path) -> None:
    """That nobody but its owner may read the file. Where files have no such permissions (Windows), it is true.

    Raises:
        CertificateError: others may.
    """
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise CertificateError(f"{key}: {error.strerror or error}") from error
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CertificateError(f"{key}: others than its owner may read the key; chmod 600 {key}")


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates in a file.

    Raises:
        CertificateError: there are none, or it can't be read.
    """
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise CertificateError(f"{path}: has no certificate in PEM, or a malformed one") from None


def root_files(path: Path) -> Sequence[Path]:
    """The files with roots: `path` itself, or what is in it (`.pem`, `.crt`, `.cer`).

    Raises:
        CertificateError: there are none.
    """
    if not path.is_dir():
        return (path,)
    found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in _CA_SUFFIXES and entry.is_file())
    if not found:
        raise CertificateError(f"{path}: the directory has no file with a certificate (.pem, .crt, .cer)")
    return found


def read_roots(path: Path) -> bytes:
    """The certificates in a file or in a directory, each as DER, one after the other: for `load_verify_locations`.

    Raises:
        CertificateError: there are none, or one can't be used as a root.
    """
    roots = []
    for file in root_files(path):
        for root in read_certificates(file):
            if (weakness := _weakness(root)) is not None:
                raise CertificateError(f"{file}: {root.subject.rfc4514_string()} {weakness}")
            roots.append(root.public_bytes(Encoding.DER))
    return b"".join(roots)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror or error}") from error


def _texts(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> tuple[str, ...]:
    values = (attribute.value for attribute in certificate.subject.get_attributes_for_oid(kind))
    return tuple(value for value in values if isinstance(value, str))


def _weakness(certificate: x509.Certificate) -> str | None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        return f"has a key of {key.key_size} bits; at least {LEAST_RSA_BITS} are needed"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < LEAST_CURVE_BITS:
        return f"has a key of {key.key_size} bits; at least {LEAST_CURVE_BITS} are needed"
    return None
