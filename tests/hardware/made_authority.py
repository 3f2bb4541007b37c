"""A certificate authority that the tests make, for any time."""

import base64
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

START = datetime(2025, 6, 2, 11, 59, 30, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def name(common_name: str, organization: str = "Test") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )


class Signer(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def sign(self, content: bytes) -> str:
        """As OCPP carries a signature: RSA-PSS, or ECDSA, over SHA-256, in base64."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
            return base64.b64encode(self.key.sign(content, pss, hashes.SHA256())).decode()
        return base64.b64encode(self.key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()


class MadeAuthority:
    """One root, and what it signs; times are relative to `at`."""

    def __init__(self, common_name: str = "Root", *, at: datetime = START, begins_days: float = -10) -> None:
        self.at = at
        self.root = self.issue(common_name, ca=True, ends_days=3650, begins_days=begins_days, issuer=None)

    def issue(
        self,
        common_name: str,
        *,
        organization: str = "Test",
        ca: bool = False,
        begins_days: float = -1,
        ends_days: float = 90,
        key: Key | None = None,
        issuer: Signer | str | None = "root",
    ) -> Signer:
        key = key or ec.generate_private_key(ec.SECP256R1())
        by = self.root if isinstance(issuer, str) else issuer
        certificate = self._build(
            name(common_name, organization),
            key.public_key(),
            by,
            key,
            ca=ca,
            begins_days=begins_days,
            ends_days=ends_days,
        )
        return Signer(certificate, key)

    def answer(
        self, csr: str, *, organization: str | None = None, begins_days: float = -1, ends_days: float = 90
    ) -> str:
        """The certificate for a signing request, PEM."""
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        subject = request.subject if organization is None else name("CS", organization)
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        made = self._build(subject, key, self.root, None, ca=False, begins_days=begins_days, ends_days=ends_days)
        return made.public_bytes(Encoding.PEM).decode()

    def revocation_list(self, *revoked: x509.Certificate) -> bytes:
        builder = x509.CertificateRevocationListBuilder(
            self.root.certificate.subject, self.at, self.at + timedelta(days=30)
        )
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, self.at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.root.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _build(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        by: Signer | None,
        own_key: Key | None,
        *,
        ca: bool,
        begins_days: float,
        ends_days: float,
    ) -> x509.Certificate:
        signing_key = own_key if by is None else by.key
        assert signing_key is not None
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if by is None else by.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.at + timedelta(days=begins_days))
            .not_valid_after(self.at + timedelta(days=ends_days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(signing_key, hashes.SHA256())
        )
