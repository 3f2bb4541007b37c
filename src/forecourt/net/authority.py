"""Certificate authorities: our own, in a folder; and a way to somebody else's, over HTTP. See `csms.resource_ports`.

Guarantees
* Our own makes its root when it is first needed (ECDSA P-256, ten years), or has one that was put there: `root.pem` and
  `root.key`. Keys are readable by their owner only, and written before the certificate that needs them.
* It signs client certificates for what the request's key is, with the request's subject and nothing else of it: no
  extension that a station asks for (security white paper A02.FR.04; OCPP 2.0.1 A00.FR.5xx). Keys below 112 bits of
  security, and requests that aren't signed by their own key, are refused. What it signs is hashed with SHA-256
  (A00.FR.506).
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from forecourt.csms.resource_ports import AuthorityRefused, CsrContents, Issued
from forecourt.net.certificates import LEAST_CURVE_BITS, LEAST_RSA_BITS, CertificateError, check_owner_only

ROOT_YEARS: Final = 10
_BACKDATED: Final = timedelta(hours=1)
"""Stations' clocks are behind at times."""
_LIST_DAYS: Final = 7
_SERIAL_BITS: Final = 160
_LARGEST_CSR: Final = 5500

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def examine(csr: str) -> CsrContents:
    """What is in a request. ValueError when it can't be read."""
    request = _read(csr)
    subject = request.subject
    return CsrContents(
        common_names=_texts(subject, NameOID.COMMON_NAME),
        organizations=_texts(subject, NameOID.ORGANIZATION_NAME),
        subject=subject.rfc4514_string(),
        fault=_fault(request),
    )


def _read(csr: str) -> x509.CertificateSigningRequest:
    if len(csr) > _LARGEST_CSR:
        raise ValueError("the request is too long")
    try:
        return x509.load_pem_x509_csr(csr.encode())
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise ValueError("the request is no PKCS#10 in PEM") from None


def _texts(name: x509.Name, kind: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in name.get_attributes_for_oid(kind))


def _fault(request: x509.CertificateSigningRequest) -> str | None:
    try:
        key = request.public_key()
        sound = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, TypeError):
        return "the request's key is of a kind that is not known"
    if not sound:
        return "the request is not signed by its own key"
    if isinstance(key, rsa.RSAPublicKey):
        return None if key.key_size >= LEAST_RSA_BITS else f"the key has fewer than {LEAST_RSA_BITS} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if key.key_size >= LEAST_CURVE_BITS else f"the key has fewer than {LEAST_CURVE_BITS} bits"
    return "the key is neither RSA nor of an elliptic curve"


class LocalAuthority:
    """Our own, in a folder. Nothing is read or made before it is needed."""

    def __init__(self, folder: Path, *, organization: str = "Forecourt", valid_days: int = 365) -> None:
        self._folder = folder
        self._organization = organization
        self._valid_days = valid_days
        self._loaded: tuple[x509.Certificate, SigningKey] | None = None
        self._lock = asyncio.Lock()

    @property
    def root_file(self) -> Path:
        """Where the root is, once there is one: for the TLS listener that lets its stations in."""
        return self._folder / "root.pem"

    def examine(self, csr: str) -> CsrContents:
        """What is in a request. ValueError when it can't be read."""
        return examine(csr)

    async def issue(self, csr: str, station_id: str, now: datetime) -> Issued:  # noqa: ARG002 - the subject says it
        """Sign it. Raises AuthorityRefused."""
        try:
            request = _read(csr)
        except ValueError as error:
            raise AuthorityRefused(str(error)) from error
        if (fault := _fault(request)) is not None:
            raise AuthorityRefused(fault)
        root, key = await self._open(now)
        not_after = min(now + timedelta(days=self._valid_days), root.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(root.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(_issued_by(root), critical=False)
            .sign(key, hashes.SHA256())
        )
        return issued(certificate.public_bytes(Encoding.PEM).decode())

    async def root(self) -> str:
        """The root, PEM."""
        root, _ = await self._open(None)
        return root.public_bytes(Encoding.PEM).decode()

    async def revocation_list(self, revoked: Sequence[tuple[str, datetime]], now: datetime) -> str | None:
        """The CRL, PEM."""
        root, key = await self._open(now)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(root.subject)
            .last_update(now)
            .next_update(now + timedelta(days=_LIST_DAYS))
        )
        for serial_number, at in revoked:
            if int(serial_number, 16).bit_length() >= _SERIAL_BITS:
                continue  # OpenSSL's own limit; none of ours is that long
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial_number, 16)).revocation_date(at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    async def _open(self, now: datetime | None) -> tuple[x509.Certificate, SigningKey]:
        async with self._lock:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(self._load_or_make, now)
            return self._loaded

    def _load_or_make(self, now: datetime | None) -> tuple[x509.Certificate, SigningKey]:
        key_file = self._folder / "root.key"
        if not self.root_file.exists():
            self._make(key_file, now)
        try:
            check_owner_only(key_file)
            root = x509.load_pem_x509_certificate(self.root_file.read_bytes())
            key = load_pem_private_key(key_file.read_bytes(), None)
        except (OSError, ValueError, TypeError, CertificateError) as error:
            raise AuthorityRefused(f"the authority in {self._folder} can't be used: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise AuthorityRefused(f"{key_file}: is neither RSA nor of an elliptic curve")
        return root, key

    def _make(self, key_file: Path, now: datetime | None) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        at = now or datetime.now().astimezone()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, f"{self._organization} Charging Station CA"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self._organization),
            ]
        )
        root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - _BACKDATED)
            .not_valid_after(at + timedelta(days=365 * ROOT_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        _write(self.root_file, root.public_bytes(Encoding.PEM), 0o644)


class HttpAuthority:
    """Somebody else's: a POST of the request (PKCS#10, PEM) is answered with the chain (PEM, the leaf first)."""

    def __init__(self, url: str, root_file: Path, *, bearer: str | None = None, timeout_s: float = 30.0) -> None:
        self._url = url
        self._root_file = root_file
        self._headers = {"content-type": "application/pkcs10"}
        if bearer is not None:
            self._headers["authorization"] = f"Bearer {bearer}"
        self._timeout_s = timeout_s

    def examine(self, csr: str) -> CsrContents:
        """What is in a request. ValueError when it can't be read."""
        return examine(csr)

    async def issue(self, csr: str, station_id: str, now: datetime) -> Issued:  # noqa: ARG002 - theirs to look at
        """Have it signed. Raises AuthorityRefused."""
        try:
            async with httpx.AsyncClient(timeout=self._timeout_s) as client:
                answer = await client.post(self._url, content=csr.encode(), headers=self._headers)
        except httpx.HTTPError as error:
            raise AuthorityRefused(f"the authority can't be reached: {type(error).__name__}") from error
        if not answer.is_success:
            raise AuthorityRefused(f"the authority answered {answer.status_code}")
        try:
            return issued(answer.text)
        except ValueError as error:
            raise AuthorityRefused("the authority answered with no certificate in PEM") from error

    async def root(self) -> str:
        """The root, PEM."""
        try:
            return await asyncio.to_thread(self._root_file.read_text)
        except OSError as error:
            raise AuthorityRefused(f"{self._root_file}: {error.strerror or error}") from error

    async def revocation_list(self, revoked: Sequence[tuple[str, datetime]], now: datetime) -> str | None:  # noqa: ARG002
        """They publish it."""
        return None


def issued(chain: str) -> Issued:
    """A chain as it came. ValueError when there is no certificate in it."""
    leaf = x509.load_pem_x509_certificates(chain.encode())[0]
    return Issued(
        chain=chain,
        subject=leaf.subject.rfc4514_string(),
        serial_number=f"{leaf.serial_number:x}",
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issued_by(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        subject_key = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others for a moment."""
    fresh = path.with_suffix(".part")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    fresh.replace(path)
