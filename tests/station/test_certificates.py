"""Certificates, in virtual time with a real authority and a real key store, named by requirement."""

from pathlib import Path
from typing import Any

import pytest

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateSigningUse, CertificateUse
from forecourt.domain.requests import TriggeredMessage
from forecourt.hardware.certificate_reading import hash_of
from forecourt.station import effects as e
from forecourt.station.variable_table import (
    ADDITIONAL_ROOT_CHECK,
    CERTIFICATE_CHAIN_SIZE,
    CERTIFICATE_REPEATS,
    CERTIFICATE_STORE_LENGTH,
    CERTIFICATE_WAIT,
    ORGANIZATION_NAME,
    SECURITY_PROFILE,
)
from tests.hardware.made_authority import MadeAuthority
from tests.station.bench import Bench
from tests.station.upkeep_bench import SigningCsms, UpkeepBench

DAY_S = 86_400.0
SIGN = r.TriggerMessage(requested_message=TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE, extended=True)


def online(folder: Path, **options: Any) -> UpkeepBench:
    bench = UpkeepBench(folder=folder, **options)
    bench.connect()
    return bench


def csrs(bench: UpkeepBench) -> list[str]:
    assert isinstance(bench.csms, SigningCsms)
    return bench.csms.requests


def installed(bench: UpkeepBench, use: CertificateUse) -> list[Any]:
    answer = bench.ask(r.GetInstalledCertificateIds(uses=(use,)))
    assert (answer.outcome == "Accepted") == bool(answer.certificates)
    return [entry.certificate for entry in answer.certificates]


@pytest.mark.parametrize("use", [CertificateUse.MANUFACTURER_ROOT, CertificateUse.CSMS_ROOT])
def test_tc_075_and_076_install_list_delete(tmp_path: Path, use: CertificateUse) -> None:
    bench = online(tmp_path)
    root = MadeAuthority().root.certificate
    assert bench.ask(r.GetInstalledCertificateIds(uses=(use,))).outcome == "NotFound"
    bench.trusts(authority := MadeAuthority(), use)
    root = authority.root.certificate
    name = hash_of(root, root)
    assert installed(bench, use) == [name]
    assert bench.ask(r.DeleteCertificate(certificate=name)).outcome == "Accepted"
    assert installed(bench, use) == []
    assert bench.ask(r.DeleteCertificate(certificate=name)).outcome == "NotFound"
    assert bench.security().count("ReconfigurationOfSecurityParameters") == 2


def test_m05_fr_03_and_06_what_is_not_installed(tmp_path: Path) -> None:
    bench = online(tmp_path, variables={CERTIFICATE_STORE_LENGTH: "1"})
    authority = MadeAuthority()

    def install(pem: str) -> str:
        request = r.InstallCertificate(use=CertificateUse.CSMS_ROOT, certificate=pem)
        return str(bench.ask(request).outcome)

    assert install("nonsense") == "Rejected"
    assert install(authority.issue("Leaf").pem) == "Rejected"
    assert install(authority.issue("Old", ca=True, issuer=None, ends_days=-0.5).pem) == "Rejected"
    assert install(authority.root.pem) == "Accepted"
    assert install(authority.root.pem) == "Accepted", "it is there"
    assert install(MadeAuthority("Second").root.pem) == "Rejected"


def test_tc_074_a_certificate_on_request_of_the_csms(tmp_path: Path) -> None:
    bench = online(tmp_path)
    authority = MadeAuthority("Operator")
    bench.trusts(authority, CertificateUse.CSMS_ROOT)
    assert bench.ask(SIGN).outcome == "Accepted"
    (csr,) = csrs(bench)
    signed = r.CertificateSigned(certificate_chain=authority.answer(csr))
    assert bench.ask(signed).outcome == "Accepted"
    changed = bench.took(e.CertificateChanged)
    assert changed == [e.CertificateChanged(CertificateSigningUse.CHARGING_STATION)], "it connects anew"
    assert bench.store is not None
    files = bench.store.station_certificate(bench.now.at)
    assert files is not None
    assert all(file.exists() for file in files)
    assert bench.ask(signed).outcome == "Rejected", "one request, one certificate"


@pytest.mark.parametrize("wrong", ["organization", "expired", "stranger", "other key", "nonsense"])
def test_tc_077_and_a02_fr_07_an_invalid_certificate(tmp_path: Path, wrong: str) -> None:
    bench = online(tmp_path)
    authority = MadeAuthority("Operator")
    bench.trusts(authority, CertificateUse.CSMS_ROOT)
    bench.ask(SIGN)
    (csr,) = csrs(bench)
    pems = {
        "organization": authority.answer(csr, organization="Others"),
        "expired": authority.answer(csr, ends_days=-0.5),
        "stranger": MadeAuthority("Stranger").answer(csr),
        "other key": authority.issue("Model").pem,
        "nonsense": "nonsense",
    }
    pem = pems[wrong]
    assert bench.ask(r.CertificateSigned(certificate_chain=pem)).outcome == "Rejected"
    assert bench.security()[-1] == "InvalidChargingStationCertificate"
    assert not bench.took(e.CertificateChanged)
    assert bench.ask(r.CertificateSigned(certificate_chain=authority.answer(csr))).outcome == "Accepted", "still open"


def test_a02_a_chain_that_is_too_long_and_a_request_without_an_organization(tmp_path: Path) -> None:
    bench = online(tmp_path, variables={CERTIFICATE_CHAIN_SIZE: "10"})
    assert bench.ask(r.CertificateSigned(certificate_chain="x" * 11)).outcome == "Rejected"
    nameless = online(tmp_path, variables={ORGANIZATION_NAME: ""})
    assert nameless.ask(SIGN).outcome == "Rejected"
    assert not csrs(nameless)


def test_a03_fr_02_renewal_60_s_after_the_boot_and_every_12_h(tmp_path: Path) -> None:
    bench = online(tmp_path, variables={SECURITY_PROFILE: "3", CERTIFICATE_WAIT: "0"})
    authority = MadeAuthority("Operator")
    bench.trusts(authority, CertificateUse.CSMS_ROOT)
    bench.run(59)
    assert not csrs(bench)
    bench.run(2)
    assert len(csrs(bench)) == 1, "there is none"
    bench.run(3 * DAY_S)
    assert len(csrs(bench)) == 1, "A02: it does not ask again by itself while it waits"
    bench.ask(r.CertificateSigned(certificate_chain=authority.answer(csrs(bench)[0], ends_days=90)))
    bench.run(56 * DAY_S)
    assert len(csrs(bench)) == 1
    bench.run(2 * DAY_S)
    assert len(csrs(bench)) == 2, "it expires in a month"


def test_a02_fr_17_to_19_a_request_without_a_certificate_is_made_again_with_back_off(tmp_path: Path) -> None:
    bench = online(tmp_path, variables={CERTIFICATE_WAIT: "100", CERTIFICATE_REPEATS: "2"})
    authority = MadeAuthority("Operator")
    bench.trusts(authority, CertificateUse.CSMS_ROOT)
    bench.ask(SIGN)
    for seconds, requests in ((99, 1), (2, 2), (198, 2), (2, 3), (DAY_S, 3)):
        bench.run(seconds)
        assert len(csrs(bench)) == requests
    assert len(set(csrs(bench))) == 3, "a new key each time"
    bench.ask(SIGN)
    assert len(csrs(bench)) == 4, "asked for, it begins anew"
    signed = r.CertificateSigned(certificate_chain=authority.answer(csrs(bench)[-1]))
    assert bench.ask(signed).outcome == "Accepted"
    bench.run(DAY_S)
    assert len(csrs(bench)) == 4


def test_m05_fr_08_to_10_a_new_root_is_signed_by_the_one_it_replaces(tmp_path: Path) -> None:
    bench = online(tmp_path, variables={ADDITIONAL_ROOT_CHECK: "true"})
    first = MadeAuthority("First")
    second = first.issue("Second", ca=True, begins_days=-5)
    third = first.issue("Third", ca=True, begins_days=-3, issuer=second)

    def install(pem: str) -> str:
        return str(bench.ask(r.InstallCertificate(use=CertificateUse.CSMS_ROOT, certificate=pem)).outcome)

    assert install(first.root.pem) == "Accepted", "there is none to sign it"
    assert install(MadeAuthority("Stranger").root.pem) == "Rejected"
    assert install(second.pem) == "Accepted"
    assert len(installed(bench, CertificateUse.CSMS_ROOT)) == 2, "one to fall back on"
    assert install(third.pem) == "Accepted"
    assert bench.store is not None
    names = {root.subject.rfc4514_string() for root in bench.store.roots(CertificateUse.CSMS_ROOT)}
    assert {name.split("CN=")[1].split(",")[0] for name in names} == {"Second", "Third"}


def test_a_refused_signing_request_is_repeated_at_the_next_look(tmp_path: Path) -> None:
    csms = SigningCsms()
    csms.signs = False
    bench = online(tmp_path, client_certificate=True, csms=csms)
    bench.run(61)
    assert len(csms.requests) == 1
    bench.run(12 * 3600)
    assert len(csms.requests) == 2


def test_without_profile_3_nobody_renews_anything(tmp_path: Path) -> None:
    bench = online(tmp_path)
    bench.run(DAY_S)
    assert not csrs(bench)


def test_without_a_keeper_certificates_are_not_supported() -> None:
    bench = Bench()
    bench.connect()
    root = MadeAuthority().root
    requests: tuple[r.CsmsRequest, ...] = (
        r.InstallCertificate(use=CertificateUse.CSMS_ROOT, certificate=root.pem),
        r.DeleteCertificate(certificate=hash_of(root.certificate, root.certificate)),
        r.GetInstalledCertificateIds(),
        r.CertificateSigned(certificate_chain=root.pem),
    )
    assert [bench.ask(request) for request in requests] == [None] * 4
    assert len(bench.took(e.Refuse)) == 4
    assert bench.ask(SIGN).outcome == "NotImplemented"
