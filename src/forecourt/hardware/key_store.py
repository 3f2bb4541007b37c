"""Certificates and keys of a station in a directory: a `station.ports.Security` on files.

Layout: `roots/<use>/<fingerprint>.pem`; `station/<begin>-<serial>.pem` with the chain, leaf first, and the same with
`.key`; `requested.key` until its certificate comes; revocation lists of the manufacturer as `revoked/*.pem`;
`csms-roots.pem`, all roots of the CSMS in one file.

Guarantees
* Keys are readable by their owner only, from the moment the file exists, and leave the directory never (security white
  paper A02.FR.05). A file is there whole or not at all.
* A root is trusted only if it is self-signed, may sign, is valid now, and strong enough: RSA 2048 bits, elliptic curves
  224 (M05.FR.06, A00.FR.501 to FR.503).
* The station's own certificate is no root, and can't be deleted as one (M04.FR.05).
* A certificate is taken only for the key that was made for it, if it leads to an installed root of the CSMS, names the
  organization, is strong enough and not over (A02.FR.06). Of several, the newest that is valid is used (A02.FR.08,
  FR.09); one whose time comes later waits.
* Firmware may be signed only by a certificate that a manufacturer's root has issued itself (L01, remarks; L01.FR.12).
* Nothing in here raises: what the disk refuses is Failed, what can't be read is Rejected or InvalidCertificate.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

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
from cryptography.x509.oid import NameOID

from forecourt.domain.certificate import CertificateHash, CertificateUse, InstalledCertificate
from forecourt.domain.requests import RequestStatus
from forecourt.hardware.certificate_reading import (
    UNREADABLE,
    certificates_in,
    fingerprint,
    first,
    hash_of,
    issued,
    may_sign,
    strong,
    unfit,
    without_zeros,
)
from forecourt.hardware.shown_certificates import ShownCertificates
from forecourt.hardware.succession import Succession
from forecourt.station.inputs import SecurityVerdict
from forecourt.station.security_questions import (
    AskExpiry,
    CheckFirmwareCertificate,
    CheckProfile,
    InstallRoot,
    KeepSigned,
    ListRoots,
    MakeSigningRequest,
    RemoveRoot,
    SecurityQuestion,
)

_WITH_CERTIFICATE: Final = 3
"""The security profile that needs a certificate of the station."""
_MOST_GIVEN: Final = 1000


class KeyStore:
    """The directory of one station. `in_use`: whether the connection to the CSMS depends on this root (M04.FR.06)."""

    def __init__(
        self,
        folder: Path,
        *,
        in_use: Callable[[x509.Certificate], bool] = lambda _: False,
        given_roots: Sequence[Path] = (),
        given_pair: tuple[Path, Path] | None = None,
    ) -> None:
        """`given_roots` and `given_pair` are the owner's: roots of the CSMS, and a certificate with its key. They are
        used as if they had been installed, and a CSMS can't remove them; an installed certificate goes first."""
        self.folder = folder
        self._in_use = in_use
        self._given_roots = given_roots
        self._given_pair = given_pair
        self._succession = Succession(folder, lambda file, content: write(file, content, mode=0o644))
        self.shown = ShownCertificates(folder, lambda file, content: write(file, content, mode=0o644))
        """What the CSMS thinks of the station's certificates."""

    def answer(self, question: SecurityQuestion, at: datetime) -> SecurityVerdict:
        """Do what is asked."""
        try:
            match question:
                case CheckFirmwareCertificate():
                    return self._check_firmware_certificate(question.certificate, at)
                case InstallRoot():
                    return self._install(question, at)
                case RemoveRoot():
                    return self._remove(question.certificate)
                case ListRoots():
                    return self._list(question.uses)
                case MakeSigningRequest():
                    return self._make_request(question)
                case KeepSigned():
                    return self._keep_signed(question, at)
                case AskExpiry():
                    return self._expiry(at)
                case CheckProfile():
                    return self._check_profile(question.profile, at)
                case _:
                    return _verdict(RequestStatus.NOT_SUPPORTED, "contracts are none of this store's")
        except OSError as error:
            return _verdict(RequestStatus.FAILED, error.strerror or str(error))
        except UNREADABLE as error:
            return _verdict(RequestStatus.FAILED, str(error))

    # For those who connect and verify

    def roots(self, use: CertificateUse) -> list[x509.Certificate]:
        """The installed roots of a use. OSError: they can't be read."""
        return [certificate for _, certificate in self._roots(use)]

    def root_folder(self, use: CertificateUse) -> Path:
        """Where they are: a file for each."""
        return self.folder / "roots" / use.value

    def station_certificates(self, at: datetime) -> list[tuple[Path, Path]]:
        """The files with chain and key of each certificate that is valid now, the newest first, the owner's last.

        OSError: they can't be read.
        """
        chains = sorted((self.folder / "station").glob("*.pem"), reverse=True)
        pairs = [(chain, chain.with_suffix(".key")) for chain in chains]
        found = []
        for pair in (*pairs, *(() if self._given_pair is None else (self._given_pair,))):
            leaf = first(pair[0].read_text(encoding="ascii", errors="replace"))
            if leaf is not None and leaf.not_valid_before_utc <= at < leaf.not_valid_after_utc:
                found.append(pair)
        return found

    def station_certificate(self, at: datetime) -> tuple[Path, Path] | None:
        """The newest of them that the CSMS has not refused; where it has refused all, the newest (A02.FR.09, FR.10).

        OSError: they can't be read.
        """
        pairs = self.station_certificates(at)
        return next((pair for pair in pairs if not self.shown.is_refused(pair[0])), next(iter(pairs), None))

    @property
    def root_on_trial(self) -> bool:
        """Whether a new root of the CSMS has not been seen to work yet, and the one before is kept to fall back on."""
        return self._succession.on_trial is not None

    def settle_root(self) -> None:
        """The CSMS was verified without the root before: that is trusted no longer (M05.FR.12).

        OSError: it can't be removed.
        """
        before = self._succession.settle()
        if before is not None:
            (self.root_folder(CertificateUse.CSMS_ROOT) / f"{before}.pem").unlink(missing_ok=True)

    def csms_roots(self, *, fallback: bool = True) -> Path | None:
        """A file with all roots of the CSMS, as it is verified by them now; None: there are none. Without `fallback`
        the one that a root on trial takes the place of is not among them.

        OSError: it can't be written.
        """
        trial = self._succession.on_trial
        before = None if fallback or trial is None else trial[1]
        roots = [root for root in self.roots(CertificateUse.CSMS_ROOT) if fingerprint(root) != before]
        if not roots:
            return None
        bundle = self.folder / "csms-roots.pem"
        pem = b"".join(root.public_bytes(Encoding.PEM) for root in roots)
        if not bundle.exists() or bundle.read_bytes() != pem:
            write(bundle, pem, mode=0o644)
        return bundle

    # Firmware

    def _check_firmware_certificate(self, pem: str, at: datetime) -> SecurityVerdict:
        invalid = RequestStatus.INVALID_CERTIFICATE
        certificate = first(pem)
        if certificate is None:
            return _verdict(invalid, "it can't be read")
        if (wrong := unfit(certificate, at)) is not None:
            return _verdict(invalid, wrong)
        issuers = [
            root
            for root in self.roots(CertificateUse.MANUFACTURER_ROOT)
            if issued(certificate, root) and unfit(root, at) is None
        ]
        if not issuers:
            return _verdict(invalid, "no valid manufacturer root has issued it")
        if self._revoked(certificate, issuers):
            return _verdict(RequestStatus.REVOKED_CERTIFICATE, "it is revoked")
        return _verdict(RequestStatus.ACCEPTED)

    def _revoked(self, certificate: x509.Certificate, issuers: list[x509.Certificate]) -> bool:
        for file in (self.folder / "revoked").glob("*.pem"):
            try:
                revoked = x509.load_pem_x509_crl(file.read_bytes())
                signed = any(
                    revoked.issuer == issuer.subject and revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
                    for issuer in issuers
                )
                if signed and revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                    return True
            except UNREADABLE:
                continue
        return False

    # Roots

    def _install(self, question: InstallRoot, at: datetime) -> SecurityVerdict:
        certificate = first(question.certificate)
        if certificate is None:
            return _invalid("it can't be read")
        if (wrong := unfit(certificate, at)) is not None:
            return _invalid(wrong)
        file = self.root_folder(question.use) / f"{fingerprint(certificate)}.pem"
        if file.exists():
            return _verdict(RequestStatus.ACCEPTED)
        replaced: list[Path] = []
        before: str | None = None
        present = list(self._roots(question.use))
        if question.succession and question.use is CertificateUse.CSMS_ROOT and present:
            newest = max(present, key=lambda entry: entry[1].not_valid_before_utc)
            if not may_sign(certificate) or not issued(certificate, newest[1]):
                return _invalid("the root that it replaces has not signed it")  # M05.FR.09, FR.10
            # M05.FR.08, FR.11, FR.13: the present one stays to fall back on, and no other.
            before = fingerprint(newest[1])
            replaced = [old for old, _ in self._installed(question.use) if old != newest[0]]
        elif not may_sign(certificate) or not issued(certificate, certificate):
            return _invalid("it is no root")
        elif sum(1 for use in CertificateUse for _ in self._installed(use)) >= question.most:
            return _verdict(RequestStatus.REJECTED, "there are too many")  # M05.FR.03
        write(file, certificate.public_bytes(Encoding.PEM), mode=0o644)
        if question.use is CertificateUse.CSMS_ROOT:
            self._succession.trust_again(fingerprint(certificate))
        if before is not None:
            self._succession.begin(fingerprint(certificate), before)
        for old in replaced:
            old.unlink()
        return _verdict(RequestStatus.ACCEPTED)

    def _remove(self, wanted: CertificateHash) -> SecurityVerdict:
        for use in CertificateUse:
            for file, certificate in self._roots(use):
                if hash_of(certificate, certificate, wanted.algorithm).key != without_zeros(wanted).key:
                    continue
                if use is CertificateUse.CSMS_ROOT and self._in_use(certificate):
                    return _verdict(RequestStatus.FAILED, "the connection depends on it")
                if file.parent != self.root_folder(use):
                    return _verdict(RequestStatus.FAILED, "it is part of the station's configuration")
                file.unlink()
                return _verdict(RequestStatus.ACCEPTED)
        return _verdict(RequestStatus.NOT_FOUND)

    def _list(self, uses: tuple[CertificateUse, ...]) -> SecurityVerdict:
        found = tuple(
            InstalledCertificate(use, hash_of(certificate, certificate))
            for use in uses or tuple(CertificateUse)
            for certificate in self.roots(use)
        )
        outcome = RequestStatus.ACCEPTED if found else RequestStatus.NOT_FOUND
        return SecurityVerdict(outcome=outcome, certificates=found)

    def _roots(self, use: CertificateUse) -> Iterator[tuple[Path, x509.Certificate]]:
        for file, certificate in self._installed(use):
            yield file, certificate
        if use is not CertificateUse.CSMS_ROOT or not self._given_roots:
            return
        replaced = self._succession.replaced
        for file in self._given_roots:
            for certificate in certificates_in(file.read_text(encoding="ascii", errors="replace"), most=_MOST_GIVEN):
                if fingerprint(certificate) not in replaced:
                    yield file, certificate

    def _installed(self, use: CertificateUse) -> Iterator[tuple[Path, x509.Certificate]]:
        for file in sorted(self.root_folder(use).glob("*.pem")):
            certificate = first(file.read_text(encoding="ascii", errors="replace"))
            if certificate is not None:
                yield file, certificate

    # The station's own

    def _make_request(self, question: MakeSigningRequest) -> SecurityVerdict:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, question.common_name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, question.organization),
            ]
        )
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        write(
            self.folder / "requested.key",
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            mode=0o600,
        )
        return SecurityVerdict(outcome=RequestStatus.ACCEPTED, csr=request.public_bytes(Encoding.PEM).decode("ascii"))

    def _keep_signed(self, question: KeepSigned, at: datetime) -> SecurityVerdict:
        rejected = RequestStatus.REJECTED
        chain = certificates_in(question.chain)
        if not chain:
            return _verdict(rejected, "it can't be read")
        leaf = chain[0]
        requested = self.folder / "requested.key"
        if not requested.exists():
            return _verdict(rejected, "none was asked for")
        key = load_pem_private_key(requested.read_bytes(), None)
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
            return _verdict(rejected, "it is for another key")
        if at >= leaf.not_valid_after_utc:
            return _verdict(rejected, "it has expired")
        if not strong(leaf):
            return _verdict(rejected, "its key is too weak")
        organizations = [part.value for part in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if question.organization not in organizations:
            return _verdict(rejected, "it is for another organization")
        if not self._leads_to_root(chain, at):
            return _verdict(rejected, "it leads to no root of the CSMS")
        name = f"{leaf.not_valid_before_utc:%Y%m%d%H%M%S}-{leaf.serial_number:x}"
        write(self.folder / "station" / f"{name}.key", requested.read_bytes(), mode=0o600)
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
        write(self.folder / "station" / f"{name}.pem", pem, mode=0o644)
        requested.unlink()
        return _verdict(RequestStatus.ACCEPTED)

    def _leads_to_root(self, chain: list[x509.Certificate], at: datetime) -> bool:
        for certificate, issuer in itertools.pairwise(chain):
            if not issued(certificate, issuer) or not may_sign(issuer) or unfit(issuer, at) is not None:
                return False
        roots = self.roots(CertificateUse.CSMS_ROOT)
        return any(issued(chain[-1], root) and unfit(root, at) is None for root in roots)

    def _check_profile(self, profile: int, at: datetime) -> SecurityVerdict:
        if not any(unfit(root, at) is None for root in self.roots(CertificateUse.CSMS_ROOT)):
            return _verdict(RequestStatus.REJECTED, "no valid root of the CSMS is installed")  # A05.FR.03
        if profile == _WITH_CERTIFICATE and self.station_certificate(at) is None:
            return _verdict(RequestStatus.REJECTED, "no valid certificate of the station is installed")  # A05.FR.04
        return _verdict(RequestStatus.ACCEPTED)

    def _expiry(self, at: datetime) -> SecurityVerdict:
        files = self.station_certificate(at)
        leaf = None if files is None else first(files[0].read_text(encoding="ascii", errors="replace"))
        if leaf is None:
            return _verdict(RequestStatus.NOT_FOUND)
        return SecurityVerdict(outcome=RequestStatus.ACCEPTED, expires_at=leaf.not_valid_after_utc)


def _invalid(info: str) -> SecurityVerdict:
    return SecurityVerdict(outcome=RequestStatus.REJECTED, info=info, invalid=True)


def write(file: Path, content: bytes, *, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


def _verdict(outcome: RequestStatus, info: str | None = None) -> SecurityVerdict:
    return SecurityVerdict(outcome=outcome, info=info)
