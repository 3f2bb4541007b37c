"""Contracts and certificates for cars that the tests make: a root, a sub-CA with a responder, and what they sign."""

import base64
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from tests.hardware.made_authority import START, Signer, name

RESPONDER = "http://127.0.0.1:1/ocsp"


class MadeProvider:
    """Root, sub-CA, leaves; each but the root names `responder`. Times are relative to `at`."""

    def __init__(self, common_name: str = "MO", *, at: datetime = START, responder: str = RESPONDER) -> None:
        self.at = at
        self.responder = responder
        self.root = self._issue(f"{common_name} root", None, ca=True)
        self.sub_ca = self._issue(f"{common_name} sub-CA", self.root, ca=True)
        self.revoked: set[int] = set()
        self.asked: list[int] = []

    def contract(self, emaid: str, *, ends_days: float = 90.0) -> Signer:
        """A contract's certificate."""
        return self._issue(emaid, self.sub_ca, ends_days=ends_days)

    def chain(self, leaf: Signer) -> str:
        """As a car shows it: without the root."""
        return leaf.pem + self.sub_ca.pem

    def sign(self, csr: str, *, ends_days: float = 90.0) -> str:
        """The certificate and its sub-CA for a signing request, PEM."""
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        made = self._build(request.subject, key, self.sub_ca, None, ca=False, ends_days=ends_days)
        return made.public_bytes(Encoding.PEM).decode() + self.sub_ca.pem

    def respond(self, der: bytes) -> bytes:
        """What the responder says to an OCSP request about one certificate of the sub-CA or the root."""
        request = ocsp.load_der_ocsp_request(der)
        self.asked.append(request.serial_number)
        status = ocsp.OCSPCertStatus.GOOD
        revoked_at = None
        if request.serial_number in self.revoked:
            status, revoked_at = ocsp.OCSPCertStatus.REVOKED, self.at - timedelta(hours=1)
        issuer = self._issuer_of(request.issuer_key_hash)
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=request.issuer_name_hash,
            issuer_key_hash=request.issuer_key_hash,
            serial_number=request.serial_number,
            algorithm=request.hash_algorithm,
            cert_status=status,
            this_update=self.at - timedelta(hours=1),
            next_update=self.at + timedelta(days=30),
            revocation_time=revoked_at,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def respond_about(self, certificate: x509.Certificate, issuer: Signer) -> str:
        """The responder's answer about one certificate, as OCPP carries it."""
        request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer.certificate, hashes.SHA256()).build()
        return base64.b64encode(self.respond(request.public_bytes(Encoding.DER))).decode()

    def _issuer_of(self, key_hash: bytes) -> Signer:
        for issuer in (self.root, self.sub_ca):
            for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
                probe = ocsp.OCSPRequestBuilder().add_certificate(issuer.certificate, issuer.certificate, algorithm)
                if probe.build().issuer_key_hash == key_hash:
                    return issuer
        raise AssertionError("the responder does not know the issuer")

    def _issue(self, common_name: str, by: Signer | None, *, ca: bool = False, ends_days: float = 365.0) -> Signer:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = name(common_name)
        return Signer(self._build(subject, key.public_key(), by, key, ca=ca, ends_days=ends_days), key)

    def _build(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        by: Signer | None,
        own_key: ec.EllipticCurvePrivateKey | None,
        *,
        ca: bool,
        ends_days: float,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if by is None else by.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.at - timedelta(days=1))
            .not_valid_after(self.at + timedelta(days=ends_days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if by is not None:
            place = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.responder)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
        signing_key = own_key if by is None else by.key
        assert signing_key is not None
        return builder.sign(signing_key, hashes.SHA256())
