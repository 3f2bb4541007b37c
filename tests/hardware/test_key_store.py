"""Certificates and keys in a directory, with an authority that the tests make."""

import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from tests.hardware.made_authority import START, MadeAuthority

from forecourt.domain.certificate import CertificateHash, CertificateSigningUse, CertificateUse, HashAlgorithm
from forecourt.hardware.certificate_reading import hash_of
from forecourt.hardware.key_store import KeyStore
from forecourt.station.security_questions import (
    AskExpiry,
    CheckFirmwareCertificate,
    InstallRoot,
    KeepSigned,
    ListRoots,
    MakeSigningRequest,
    RemoveRoot,
)

STATION = CertificateSigningUse.CHARGING_STATION
REQUEST = MakeSigningRequest(STATION, "CS-1", "Test")


def trusting(folder: Path, authority: MadeAuthority, use: CertificateUse = CertificateUse.CSMS_ROOT) -> KeyStore:
    store = KeyStore(folder)
    assert store.answer(InstallRoot(use, authority.root.pem, 10), START).outcome == "Accepted"
    return store


def request(store: KeyStore) -> str:
    answer = store.answer(REQUEST, START)
    assert answer.csr is not None
    return answer.csr


def keep(store: KeyStore, pem: str) -> str:
    return str(store.answer(KeepSigned(STATION, pem, "Test"), START).outcome)


@pytest.fixture
def open_handed() -> Iterator[None]:
    """A process that by itself would let everybody read its files."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
def test_6_1_names_are_those_of_ocsp(algorithm: HashAlgorithm) -> None:
    authority = MadeAuthority()
    leaf = authority.issue("Leaf").certificate
    root = authority.root.certificate
    named = hash_of(leaf, root, algorithm)
    by_hash = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}[algorithm.value]
    oracle = ocsp.OCSPRequestBuilder().add_certificate(leaf, root, by_hash).build()
    assert named.issuer_name_hash == oracle.issuer_name_hash.hex()
    assert named.issuer_key_hash == oracle.issuer_key_hash.hex()
    assert int(named.serial_number, 16) == oracle.serial_number
    assert not named.serial_number.startswith("0")


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
@pytest.mark.usefixtures("open_handed")
def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    authority = MadeAuthority()
    store = trusting(tmp_path, authority)
    csr = request(store)
    assert stat.S_IMODE((tmp_path / "requested.key").stat().st_mode) == 0o600
    assert keep(store, authority.answer(csr)) == "Accepted"
    files = store.station_certificate(START)
    assert files is not None
    chain, key = files
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not (tmp_path / "requested.key").exists()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    leaf = x509.load_pem_x509_certificate(chain.read_bytes())
    private = load_pem_private_key(key.read_bytes(), None)
    assert private.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)


def test_a03_fr_13_the_request_names_station_and_organization(tmp_path: Path) -> None:
    made = x509.load_pem_x509_csr(request(KeyStore(tmp_path)).encode())
    assert [part.value for part in made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["CS-1"]
    assert [part.value for part in made.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["Test"]


def test_a02_fr_08_and_09_the_newest_that_is_valid_is_used(tmp_path: Path) -> None:
    authority = MadeAuthority()
    store = trusting(tmp_path, authority)
    assert store.answer(AskExpiry(STATION), START).outcome == "NotFound"
    for begins, ends in ((-5, 20), (-2, 10), (3, 100)):
        pem = authority.answer(request(store), begins_days=begins, ends_days=ends)
        assert keep(store, pem) == "Accepted"

    def expires_days(days: float) -> float | None:
        expiry = store.answer(AskExpiry(STATION), START + timedelta(days=days)).expires_at
        return None if expiry is None else (expiry - START) / timedelta(days=1)

    assert [expires_days(days) for days in (0, 4, 101)] == [10, 100, None]


def test_a_chain_by_way_of_an_intermediate(tmp_path: Path) -> None:
    authority = MadeAuthority()
    between = authority.issue("Between", ca=True)
    under = MadeAuthority()
    under.root = between
    store = trusting(tmp_path, authority)
    csr = request(store)
    leaf = under.answer(csr)
    assert keep(store, leaf) == "Rejected", "it does not lead to a root"
    assert keep(store, leaf + authority.issue("Between").pem) == "Rejected"
    assert keep(store, leaf + between.pem) == "Accepted"


@pytest.mark.parametrize("weak", ["rsa", "curve"])
def test_a00_fr_501_keys_that_are_too_weak(tmp_path: Path, weak: str) -> None:
    authority = MadeAuthority("Maker")
    store = trusting(tmp_path, authority, CertificateUse.MANUFACTURER_ROOT)
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        rsa.generate_private_key(public_exponent=65537, key_size=1024)
        if weak == "rsa"
        else ec.generate_private_key(ec.SECP192R1())
    )
    signer = authority.issue("Signer", key=key)
    answer = store.answer(CheckFirmwareCertificate(signer.pem), START)
    assert (answer.outcome, answer.info) == ("InvalidCertificate", "its key is too weak")


def test_l01_no_intermediate_may_stand_between_root_and_signer(tmp_path: Path) -> None:
    authority = MadeAuthority("Maker")
    store = trusting(tmp_path, authority, CertificateUse.MANUFACTURER_ROOT)
    between = authority.issue("Between", ca=True)
    signer = authority.issue("Signer", issuer=between)
    assert store.answer(CheckFirmwareCertificate(signer.pem), START).outcome == "InvalidCertificate"
    direct = authority.issue("Signer")
    assert store.answer(CheckFirmwareCertificate(direct.pem), START).outcome == "Accepted"
    assert store.answer(CheckFirmwareCertificate(direct.pem), START + timedelta(days=91)).outcome != "Accepted"


def test_a_root_of_another_use_signs_no_firmware(tmp_path: Path) -> None:
    authority = MadeAuthority()
    store = trusting(tmp_path, authority, CertificateUse.CSMS_ROOT)
    signer = authority.issue("Signer")
    assert store.answer(CheckFirmwareCertificate(signer.pem), START).outcome == "InvalidCertificate"


def test_m04_fr_05_and_06_what_can_not_be_deleted(tmp_path: Path) -> None:
    authority = MadeAuthority()
    root = authority.root.certificate
    store = trusting(tmp_path, authority)
    in_use = KeyStore(tmp_path, in_use=lambda certificate: certificate == root)
    named = hash_of(root, root, HashAlgorithm.SHA512)
    assert in_use.answer(RemoveRoot(named), START).outcome == "Failed"
    pem = authority.answer(request(store))
    assert keep(store, pem) == "Accepted"
    own = hash_of(x509.load_pem_x509_certificate(pem.encode()), root)
    assert store.answer(RemoveRoot(own), START).outcome == "NotFound"
    shouted = CertificateHash(
        named.algorithm,
        named.issuer_name_hash.upper(),
        named.issuer_key_hash.upper(),
        f"00{named.serial_number.upper()}",
    )
    assert store.answer(RemoveRoot(shouted), START).outcome == "Accepted"
    assert store.answer(ListRoots(()), START).outcome == "NotFound"


def test_what_the_disk_refuses_is_failed_and_what_is_broken_is_left_out(tmp_path: Path) -> None:
    authority = MadeAuthority()
    (tmp_path / "file").write_text("in the way")
    assert KeyStore(tmp_path / "file").answer(REQUEST, START).outcome == "Failed"
    store = trusting(tmp_path, authority)
    (store.root_folder(CertificateUse.CSMS_ROOT) / "broken.pem").write_text("nonsense")
    assert len(store.answer(ListRoots((CertificateUse.CSMS_ROOT,)), START).certificates) == 1
    (tmp_path / "requested.key").write_text("nonsense")
    assert keep(store, authority.issue("CS-1").pem) == "Failed"
    assert hashlib.sha256(authority.root.certificate.public_bytes(Encoding.DER)).hexdigest() in {
        file.stem for file in store.root_folder(CertificateUse.CSMS_ROOT).iterdir()
    }
