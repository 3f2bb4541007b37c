"""What a key store knows of ISO 15118: contracts of cars, and the certificate that the station shows to them.

Guarantees
* A contract is valid when it is of this eMAID, in its time, strong enough, and its chain leads to an installed root of
  an eMobility service provider or of V2G (C07; application note on ISO 15118 §5). One whose chain leads nowhere is told
  from one that is wrong.
* The certificate towards cars is taken only if it answers the last request of its own, is in its time, and leads to an
  installed V2G root (§3.1.1). Its key is readable by nobody but its owner, as any key here is.
* A responder's answer is kept only if it is one, and is about that certificate.
"""

import base64
import binascii
import itertools
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from forecourt.domain.certificate import (
    CertificateSigningUse,
    CertificateUse,
    InstalledCertificate,
    OcspQuery,
)
from forecourt.domain.requests import RequestStatus
from forecourt.hardware import certificate_reading as c
from forecourt.hardware import key_store as k
from forecourt.hardware.certificate_reading import hash_of
from forecourt.hardware.key_store import KeyStore
from forecourt.station.inputs import SecurityVerdict
from forecourt.station.security_questions import (
    AskExpiry,
    CheckContract,
    KeepOcsp,
    KeepSigned,
    ListIssuers,
    ListRoots,
    MakeSigningRequest,
    RemoveRoot,
    SecurityQuestion,
)

V2G = CertificateSigningUse.V2G
_CONTRACT_ROOTS = (CertificateUse.MO_ROOT, CertificateUse.V2G_ROOT)
_FORM = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class ContractKeyStore(KeyStore):
    """A key store for stations that charge by contract."""

    def answer(self, question: SecurityQuestion, at: datetime) -> SecurityVerdict:
        """Do what is asked."""
        try:
            match question:
                case CheckContract():
                    return self._check_contract(question, at)
                case ListIssuers():
                    return self._issuers(at)
                case KeepOcsp():
                    return self._keep_ocsp(question, at)
                case MakeSigningRequest(use=CertificateSigningUse.V2G):
                    return self._request(question)
                case KeepSigned(use=CertificateSigningUse.V2G):
                    return self._keep(question, at)
                case AskExpiry(use=CertificateSigningUse.V2G):
                    chain = self.v2g_chain(at)
                    if not chain:
                        return _verdict(RequestStatus.NOT_FOUND)
                    return SecurityVerdict(outcome=RequestStatus.ACCEPTED, expires_at=chain[0].not_valid_after_utc)
                case ListRoots():
                    return self._with_chain(question, super().answer(question, at), at)
                case RemoveRoot():
                    return self._without_chain(question, at) or super().answer(question, at)
        except OSError as error:
            return _verdict(RequestStatus.FAILED, error.strerror or str(error))
        except c.UNREADABLE as error:
            return _verdict(RequestStatus.FAILED, str(error))
        return super().answer(question, at)

    # For those who talk to cars

    def v2g_chain(self, at: datetime) -> list[x509.Certificate]:
        """The certificates that cars are shown now, the station's own first; none: there is none. OSError."""
        file = self._v2g_file(at)
        return [] if file is None else c.certificates_in(file.read_text(encoding="ascii", errors="replace"))

    def ocsp_answer(self, certificate: x509.Certificate) -> bytes | None:
        """What a responder said of one of the issuers, DER; None: nothing that is known. OSError."""
        file = self._ocsp_file(f"{certificate.serial_number:x}")
        return file.read_bytes() if file.exists() else None

    # Contracts

    def _check_contract(self, question: CheckContract, at: datetime) -> SecurityVerdict:
        rejected = RequestStatus.REJECTED
        chain = c.certificates_in(question.chain)
        if not chain:
            return _verdict(rejected, "the contract's certificate can't be read")
        names = [str(part.value) for part in chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if question.id_token.key not in {name.replace("-", "").casefold() for name in names}:
            return _verdict(rejected, "the certificate is of another contract")
        for certificate in chain:
            if (wrong := c.unfit(certificate, at)) is not None:
                return _verdict(rejected, f"the contract's certificate: {wrong}")
        for certificate, issuer in itertools.pairwise(chain):
            if not c.issued(certificate, issuer) or not c.may_sign(issuer):
                return _verdict(rejected, "the contract's chain is broken")
        root = self._root_of(chain[-1], _CONTRACT_ROOTS, at)
        queries = _queries(chain, root)
        if root is None:
            info = "no installed root has issued the contract's certificate"
            return SecurityVerdict(outcome=RequestStatus.NOT_FOUND, queries=queries, info=info)
        return SecurityVerdict(outcome=RequestStatus.ACCEPTED, queries=queries)

    def _root_of(
        self, last: x509.Certificate, uses: tuple[CertificateUse, ...], at: datetime
    ) -> x509.Certificate | None:
        for use in uses:
            for root in self.roots(use):
                if (root == last or c.issued(last, root)) and c.unfit(root, at) is None:
                    return root
        return None

    # The station's own, towards cars

    def _request(self, question: MakeSigningRequest) -> SecurityVerdict:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, question.common_name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, question.organization),
                x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "CPO"),
            ]
        )
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        k.write(self._requested, secret, mode=0o600)
        return SecurityVerdict(outcome=RequestStatus.ACCEPTED, csr=request.public_bytes(Encoding.PEM).decode("ascii"))

    def _keep(self, question: KeepSigned, at: datetime) -> SecurityVerdict:
        rejected = RequestStatus.REJECTED
        chain = c.certificates_in(question.chain)
        if not chain:
            return _verdict(rejected, "it can't be read")
        leaf = chain[0]
        if not self._requested.exists():
            return _verdict(rejected, "none was asked for")
        key = load_pem_private_key(self._requested.read_bytes(), None)
        if key.public_key().public_bytes(*_FORM) != leaf.public_key().public_bytes(*_FORM):
            return _verdict(rejected, "it is for another key")
        if at >= leaf.not_valid_after_utc:
            return _verdict(rejected, "it has expired")
        for certificate, issuer in itertools.pairwise(chain):
            if not c.issued(certificate, issuer) or not c.may_sign(issuer) or c.unfit(issuer, at) is not None:
                return _verdict(rejected, "its chain is broken")
        if self._root_of(chain[-1], (CertificateUse.V2G_ROOT,), at) is None:
            return _verdict(rejected, "it leads to no V2G root")
        name = f"{leaf.not_valid_before_utc:%Y%m%d%H%M%S}-{leaf.serial_number:x}"
        k.write(self._v2g / f"{name}.key", self._requested.read_bytes(), mode=0o600)
        k.write(self._v2g / f"{name}.pem", b"".join(one.public_bytes(Encoding.PEM) for one in chain), mode=0o644)
        self._requested.unlink()
        return _verdict(RequestStatus.ACCEPTED)

    def _with_chain(self, question: ListRoots, found: SecurityVerdict, at: datetime) -> SecurityVerdict:
        chain = self.v2g_chain(at)
        if not chain or (question.uses and CertificateUse.V2G_CHAIN not in question.uses):
            return found
        issuers = [*chain[1:], self._root_of(chain[-1], (CertificateUse.V2G_ROOT,), at) or chain[-1]]
        own, *children = (hash_of(one, issuer) for one, issuer in zip(chain, issuers, strict=True))
        entry = InstalledCertificate(CertificateUse.V2G_CHAIN, own, tuple(children))
        return SecurityVerdict(outcome=RequestStatus.ACCEPTED, certificates=(*found.certificates, entry))

    def _without_chain(self, question: RemoveRoot, at: datetime) -> SecurityVerdict | None:
        file, chain = self._v2g_file(at), self.v2g_chain(at)
        if file is None or not chain:
            return None
        issuer = chain[1] if len(chain) > 1 else self._root_of(chain[0], (CertificateUse.V2G_ROOT,), at)
        wanted = c.without_zeros(question.certificate)
        if issuer is None or hash_of(chain[0], issuer, wanted.algorithm).key != wanted.key:
            return None
        file.with_suffix(".key").unlink(missing_ok=True)
        file.unlink()
        return _verdict(RequestStatus.ACCEPTED)

    # Responders

    def _issuers(self, at: datetime) -> SecurityVerdict:
        chain = self.v2g_chain(at)
        root = None if not chain else self._root_of(chain[-1], (CertificateUse.V2G_ROOT,), at)
        return SecurityVerdict(outcome=RequestStatus.ACCEPTED, queries=_queries(chain[1:], root) if chain else ())

    def _keep_ocsp(self, question: KeepOcsp, at: datetime) -> SecurityVerdict:
        failed = RequestStatus.FAILED
        try:
            der = base64.b64decode(question.ocsp_result, validate=True)
            response = ocsp.load_der_ocsp_response(der)
        except (binascii.Error, ValueError):
            return _verdict(failed, "the responder's answer can't be read")
        serial = c.without_zeros(question.certificate).serial_number
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return _verdict(failed, "the responder has refused")
        if f"{response.serial_number:x}" != serial.casefold():
            return _verdict(failed, "the responder's answer is about another certificate")
        if response.next_update_utc is not None and response.next_update_utc <= at:
            return _verdict(failed, "the responder's answer is over")
        k.write(self._ocsp_file(serial.casefold()), der, mode=0o644)
        return _verdict(RequestStatus.ACCEPTED)

    # Places

    @property
    def _v2g(self) -> Path:
        return self.folder / "v2g"

    @property
    def _requested(self) -> Path:
        return self.folder / "requested-v2g.key"

    def _ocsp_file(self, serial: str) -> Path:
        return self._v2g / "ocsp" / f"{serial}.der"

    def _v2g_file(self, at: datetime) -> Path | None:
        for file in sorted(self._v2g.glob("*.pem"), reverse=True):
            chain = c.certificates_in(file.read_text(encoding="ascii", errors="replace"))
            if chain and chain[0].not_valid_before_utc <= at < chain[0].not_valid_after_utc:
                return file
        return None


def _queries(chain: list[x509.Certificate], root: x509.Certificate | None) -> tuple[OcspQuery, ...]:
    """What responders can be asked about a chain: of each certificate that names one and whose issuer is known."""
    found = []
    for certificate, issuer in zip(chain, [*chain[1:], root][: len(chain)], strict=True):
        url = _responder(certificate)
        if url is not None and issuer is not None and issuer != certificate:
            found.append(OcspQuery(hash_of(certificate, issuer), url))
    return tuple(found)


def _responder(certificate: x509.Certificate) -> str | None:
    try:
        places = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, *c.UNREADABLE):
        return None
    for place in places:
        if place.access_method == AuthorityInformationAccessOID.OCSP:
            location = place.access_location
            return location.value if isinstance(location, x509.UniformResourceIdentifier) else None
    return None


def _verdict(outcome: RequestStatus, info: str | None = None) -> SecurityVerdict:
    return SecurityVerdict(outcome=outcome, info=info)
