"""Charging by contract, in virtual time with real certificates and a real key store, named by requirement."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateSigningUse, CertificateUse, ContractAction, ContractStatus
from forecourt.domain.clock import Now
from forecourt.domain.events import TransactionStarted
from forecourt.domain.requests import RequestStatus, TriggeredMessage
from forecourt.domain.station import Capabilities
from forecourt.domain.token import AuthorizationStatus, IdTokenInfo, IdTokenType
from forecourt.hardware.certificate_reading import hash_of
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.extension_variables import (
    CENTRAL_VALIDATION,
    OCSP_INTERVAL,
    OFFLINE_VALIDATION,
    PNC_ENABLED,
    SECC_ID,
)
from forecourt.station.variable_table import (
    CERTIFICATE_REPEATS,
    CERTIFICATE_WAIT,
    LOCAL_PRE_AUTHORIZE,
    OFFLINE_TX_FOR_UNKNOWN_ID,
)
from tests.hardware.made_contracts import RESPONDER, MadeProvider
from tests.station.bench import ONE, Csms
from tests.station.upkeep_bench import UpkeepBench

EMAID = "DE8AACA2B3C4D5"
SPOKEN = "DE-8AA-CA2B3C4D-5"
DAY_S = 86_400.0
BY_TRANSFER: Capabilities = msgspec.structs.replace(ONE, iso15118_by_data_transfer=True)
SIGN = r.TriggerMessage(requested_message=TriggeredMessage.SIGN_V2G_CERTIFICATE)


class ContractCsms(Csms):
    """Knows of contracts."""

    def __init__(self, provider: MadeProvider) -> None:
        super().__init__()
        self.provider = provider
        self.certificate_status: ContractStatus | None = ContractStatus.ACCEPTED
        self.signs = RequestStatus.ACCEPTED
        self.responds = True
        self.interval_s = 86_400

    def answer(self, call: Any, now: Now) -> Any:
        match call:
            case r.Authorize() if call.certificate_hashes or call.certificate:
                self.calls.append(call)
                info = self.info(call.id_token)
                return r.AuthorizeAnswer(id_token_info=info, certificate_status=self.certificate_status)
            case r.SignCertificate():
                self.calls.append(call)
                return r.RequestAnswer(outcome=self.signs)
            case r.GetCertificateStatus():
                self.calls.append(call)
                if not self.responds:
                    return r.GetCertificateStatusAnswer(outcome=RequestStatus.FAILED)
                sub_ca = self.provider.sub_ca.certificate
                result = self.provider.respond_about(sub_ca, self.provider.root)
                return r.GetCertificateStatusAnswer(outcome=RequestStatus.ACCEPTED, ocsp_result=result)
            case r.Get15118EVCertificate():
                self.calls.append(call)
                return r.Get15118EVCertificateAnswer(outcome=RequestStatus.ACCEPTED, exi_response="cmVz")
        return super().answer(call, now)

    def of(self, kind: type) -> list[Any]:
        return [call for call in self.calls if isinstance(call, kind)]


class Contracts(UpkeepBench):
    """A station with Plug & Charge on."""

    def __init__(self, folder: Path, provider: MadeProvider, **options: Any) -> None:
        self.provider = provider
        options.setdefault("csms", ContractCsms(provider))
        variables = {PNC_ENABLED: "true", **options.pop("variables", {})}
        super().__init__(BY_TRANSFER, folder=folder, variables=variables, **options)

    @property
    def central(self) -> ContractCsms:
        assert isinstance(self.csms, ContractCsms)
        return self.csms

    def install(self, use: CertificateUse) -> None:
        pem = self.provider.root.pem
        assert self.ask(r.InstallCertificate(use=use, certificate=pem)).outcome == "Accepted"

    def show(self, emaid: str = EMAID, chain: str | None = None, evse_id: int = 1) -> None:
        if chain is None:
            chain = self.provider.chain(self.provider.contract(emaid))
        self.tell(i.ContractPresented(evse_id, emaid, chain))

    def refusal(self) -> str:
        answered = self.took(e.TokenAnswered)[-1]
        assert not answered.accepted
        return answered.reason


@pytest.fixture
def provider() -> MadeProvider:
    return MadeProvider()


@pytest.fixture
def bench(tmp_path: Path, provider: MadeProvider) -> Contracts:
    bench = Contracts(tmp_path, provider)
    bench.connect()
    return bench


def test_c07_a_car_charges_by_its_contract(bench: Contracts, provider: MadeProvider) -> None:
    bench.install(CertificateUse.MO_ROOT)
    bench.plug()
    bench.show(SPOKEN, provider.chain(leaf := provider.contract(EMAID)))
    (asked,) = bench.central.of(r.Authorize)
    assert (asked.id_token.value, asked.id_token.type) == (EMAID, IdTokenType.EMAID)
    assert asked.certificate is None
    names = [hash_of(leaf.certificate, provider.sub_ca.certificate)]
    names.append(hash_of(provider.sub_ca.certificate, provider.root.certificate))
    assert [query.certificate for query in asked.certificate_hashes] == names
    assert {query.responder_url for query in asked.certificate_hashes} == {RESPONDER}
    (started,) = bench.csms.told(TransactionStarted)
    assert started.id_token is not None
    assert started.id_token.value == EMAID
    bench.show(EMAID)
    assert len(bench.central.of(r.Authorize)) == 1, "who charges is not asked again"


@pytest.mark.parametrize("status", [status for status in ContractStatus if status is not ContractStatus.ACCEPTED])
def test_c07_what_the_csms_says_of_the_certificate_counts(bench: Contracts, status: ContractStatus) -> None:
    bench.install(CertificateUse.MO_ROOT)
    bench.central.certificate_status = status
    bench.plug()
    bench.show()
    assert not bench.csms.told(TransactionStarted)
    assert bench.refusal() == "Invalid"
    bench.disconnect()
    bench.set(OFFLINE_VALIDATION, "true")
    bench.show()
    assert not bench.csms.told(TransactionStarted), "what was said of it is not in the cache as good"


def test_a_root_that_is_not_here_is_the_csms_to_judge_if_it_may(bench: Contracts, provider: MadeProvider) -> None:
    """§5, §9.1."""
    chain = provider.chain(provider.contract(EMAID))
    bench.plug()
    bench.show(EMAID, chain)
    assert not bench.central.of(r.Authorize)
    assert "no installed root" in bench.refusal()
    bench.set(CENTRAL_VALIDATION, "true")
    bench.show(EMAID, chain)
    (asked,) = bench.central.of(r.Authorize)
    assert asked.certificate == chain
    assert bench.csms.told(TransactionStarted)


@pytest.mark.parametrize("wrong", ["expired", "another", "broken", "nonsense", "too long"])
def test_a_contract_that_is_wrong_goes_nowhere(bench: Contracts, provider: MadeProvider, wrong: str) -> None:
    bench.install(CertificateUse.V2G_ROOT)
    bench.set(CENTRAL_VALIDATION, "true")
    stranger = MadeProvider("Stranger")
    chains = {
        "expired": provider.chain(provider.contract(EMAID, ends_days=-0.5)),
        "another": provider.chain(provider.contract("DE8AAOTHER00000")),
        "broken": provider.contract(EMAID).pem + stranger.sub_ca.pem,
        "nonsense": "nonsense",
        "too long": stranger.chain(stranger.contract(EMAID)) + "\n" * 6000,
    }
    bench.plug()
    bench.show(EMAID, chains[wrong])
    assert not bench.central.of(r.Authorize)
    assert not bench.csms.told(TransactionStarted)
    assert bench.refusal()


def test_switched_off_nobody_charges_by_contract(bench: Contracts) -> None:
    """§9.7."""
    bench.install(CertificateUse.MO_ROOT)
    bench.set(PNC_ENABLED, "false")
    bench.plug()
    bench.show()
    assert bench.refusal() == "charging by contract is switched off"
    assert bench.ask(SIGN).outcome == "NotSupported"
    signed = r.CertificateSigned(certificate_chain="pem", use=CertificateSigningUse.V2G)
    assert bench.ask(signed).outcome == "NotSupported"


@pytest.mark.parametrize("offline_validation", [False, True])
@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("root", [False, True])
def test_offline_a_contract_counts_only_if_it_was_validated_here(
    bench: Contracts, offline_validation: bool, unknown: bool, root: bool
) -> None:
    """§5, offline behaviour."""
    if root:
        bench.install(CertificateUse.MO_ROOT)
    bench.set(CENTRAL_VALIDATION, "true")
    bench.set(OFFLINE_VALIDATION, str(offline_validation).lower())
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, str(unknown).lower())
    bench.disconnect()
    bench.plug()
    bench.show()
    started = bench.station.parts.evses[1].transaction is not None
    assert started is (offline_validation and unknown and root)


def test_offline_an_emaid_that_is_known_is_judged_as_any_token(bench: Contracts) -> None:
    bench.install(CertificateUse.MO_ROOT)
    bench.set(OFFLINE_VALIDATION, "true")
    bench.plug()
    bench.show()
    bench.unplug()
    bench.disconnect()
    bench.plug()
    bench.show()
    assert bench.station.parts.evses[1].transaction is not None, "it is in the cache"


def test_a_csms_that_does_not_answer_is_as_good_as_none(bench: Contracts) -> None:
    bench.install(CertificateUse.MO_ROOT)
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    bench.csms.refuses = lambda call: i.CallFailure.TIMEOUT if isinstance(call, r.Authorize) else None
    bench.plug()
    bench.show()
    assert bench.station.parts.evses[1].transaction is None
    bench.set(OFFLINE_VALIDATION, "true")
    bench.show()
    assert bench.station.parts.evses[1].transaction is not None


def test_online_the_csms_is_always_asked(bench: Contracts) -> None:
    bench.install(CertificateUse.MO_ROOT)
    bench.set(LOCAL_PRE_AUTHORIZE, "true")
    for _ in range(2):
        bench.plug()
        bench.show()
        bench.unplug()
    assert len(bench.central.of(r.Authorize)) == 2


def test_a_contract_starts_nothing_without_its_car(bench: Contracts) -> None:
    bench.install(CertificateUse.MO_ROOT)
    bench.csms.tokens[EMAID.lower()] = IdTokenInfo(status=AuthorizationStatus.BLOCKED)
    bench.plug()
    bench.show()
    assert bench.refusal() == "Blocked"
    bench.tap()
    assert len(bench.csms.told(TransactionStarted)) == 1
    bench.show()
    assert len(bench.central.of(r.Authorize)) == 2, "the card's driver charges: nobody asks for a contract"


# The certificate towards cars


def csrs(bench: Contracts) -> list[str]:
    return [call.csr for call in bench.central.of(r.SignCertificate) if call.use is CertificateSigningUse.V2G]


def signed(bench: Contracts) -> Any:
    chain = bench.provider.sign(csrs(bench)[-1])
    return bench.ask(r.CertificateSigned(certificate_chain=chain, use=CertificateSigningUse.V2G))


def test_a02_the_csms_has_the_certificate_asked_for(bench: Contracts) -> None:
    """§3.1.1: trigger, request, certificate; and it is on the list, until it is deleted."""
    bench.set(SECC_ID, "DEFOR01")
    assert bench.ask(SIGN).outcome == "Accepted"
    assert len(csrs(bench)) == 1
    assert signed(bench).outcome == "Rejected", "no V2G root vouches for it"
    assert bench.security()[-1] == "InvalidChargingStationCertificate"
    bench.install(CertificateUse.V2G_ROOT)
    assert signed(bench).outcome == "Accepted"
    assert signed(bench).outcome == "Rejected", "one request, one certificate"
    assert not bench.took(e.CertificateChanged), "the connection to the CSMS has nothing to do with it"
    listed = bench.ask(r.GetInstalledCertificateIds(uses=(CertificateUse.V2G_CHAIN,)))
    (entry,) = listed.certificates
    assert entry.use is CertificateUse.V2G_CHAIN
    assert len(entry.children) == 1
    assert bench.ask(r.DeleteCertificate(certificate=entry.certificate, iso15118=True)).outcome == "Accepted"
    assert bench.ask(r.GetInstalledCertificateIds(uses=(CertificateUse.V2G_CHAIN,))).outcome == "NotFound"


def test_m03_to_m05_roots_of_v2g_and_mo(bench: Contracts) -> None:
    """§4.1 to §4.3."""
    for use in (CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT):
        bench.install(use)
    listed = bench.ask(r.GetInstalledCertificateIds(uses=(CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT)))
    assert [entry.use for entry in listed.certificates] == [CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT]
    for _ in range(2):
        delete = r.DeleteCertificate(certificate=listed.certificates[0].certificate, iso15118=True)
        assert bench.ask(delete).outcome == "Accepted"
    assert bench.ask(delete).outcome == "NotFound"


def test_a03_it_is_asked_for_60_s_after_the_boot_and_renewed_in_time(bench: Contracts) -> None:
    bench.install(CertificateUse.V2G_ROOT)
    bench.set(CERTIFICATE_WAIT, "0")
    bench.run(59)
    assert not csrs(bench)
    bench.run(2)
    assert len(csrs(bench)) == 1
    assert signed(bench).outcome == "Accepted"
    bench.run(50 * DAY_S)
    assert len(csrs(bench)) == 1
    bench.run(12 * DAY_S)
    assert len(csrs(bench)) == 2, "30 days before its end"


def test_it_is_asked_for_again_with_growing_waits(bench: Contracts) -> None:
    """§9.3, §9.4."""
    bench.set(CERTIFICATE_WAIT, "100")
    bench.set(CERTIFICATE_REPEATS, "2")
    bench.run(61)
    told = []
    for wait_s in (98, 2, 198, 2, 10_000):
        bench.run(wait_s)
        told.append(len(csrs(bench)))
    assert told == [1, 2, 2, 3, 3]


@pytest.mark.parametrize("how", ["rejected", "error"])
def test_a_csms_that_refuses_is_not_asked_again_unless_it_asks(bench: Contracts, how: str) -> None:
    """§2.1."""
    if how == "rejected":
        bench.central.signs = RequestStatus.NOT_SUPPORTED
    else:
        bench.csms.refuses = lambda call: i.CallFailure.ERROR if isinstance(call, r.SignCertificate) else None
    bench.run(3 * DAY_S)
    count = len([effect for effect in bench.took(e.Send) if isinstance(effect.call, r.SignCertificate)])
    assert count == 1
    bench.csms.refuses = lambda _: None
    bench.central.signs = RequestStatus.ACCEPTED
    assert bench.ask(SIGN).outcome == "Accepted"
    assert csrs(bench)


# Responders


def test_m06_responders_are_asked_every_seven_days_and_no_restart_asks_anew(bench: Contracts) -> None:
    bench.install(CertificateUse.V2G_ROOT)
    bench.run(61)
    signed(bench)
    queries = bench.central.of(r.GetCertificateStatus)
    assert len(queries) == 1, "there is a new certificate"
    sub_ca, root = bench.provider.sub_ca.certificate, bench.provider.root.certificate
    assert queries[0].query.certificate == hash_of(sub_ca, root)
    assert queries[0].query.responder_url == RESPONDER
    store = bench.store
    assert store is not None
    assert store.ocsp_answer(sub_ca)
    bench.run(6.9 * DAY_S)
    assert len(bench.central.of(r.GetCertificateStatus)) == 1
    again = Contracts(store.folder, bench.provider, csms=bench.csms, journal=bench.journal, now=bench.now)
    again.connect()
    again.run(300)
    assert len(bench.central.of(r.GetCertificateStatus)) == 1, "the journal knows when it was"
    again.run(0.2 * DAY_S)
    assert len(bench.central.of(r.GetCertificateStatus)) == 2


def test_m06_an_answer_that_failed_is_asked_for_again_at_the_next_look(bench: Contracts) -> None:
    bench.central.responds = False
    bench.set(OCSP_INTERVAL, "3600")
    bench.install(CertificateUse.V2G_ROOT)
    bench.run(61)
    signed(bench)
    assert bench.station.parts.v2g.ocsp_at is None
    bench.central.responds = True
    bench.run(13 * 3600)
    assert bench.station.parts.v2g.ocsp_at is not None


# A contract's own certificate


@pytest.mark.parametrize("action", list(ContractAction))
def test_m01_m02_what_a_car_wants_is_passed_on(bench: Contracts, action: ContractAction) -> None:
    """§3.2."""
    wanted = i.EvCertificateWanted(1, "urn:iso:15118:2:2013:MsgDef", action, "ZXhp")
    bench.tell(wanted)
    (asked,) = bench.central.of(r.Get15118EVCertificate)
    assert (asked.schema_version, asked.action, asked.exi_request) == (wanted.schema_version, action, "ZXhp")
    assert bench.took(e.GiveEvCertificate) == [e.GiveEvCertificate(1, "cmVz")]
    bench.csms.refuses = lambda _: i.CallFailure.TIMEOUT
    bench.tell(wanted)
    bench.csms.refuses = lambda _: None
    bench.disconnect()
    bench.tell(wanted)
    assert bench.took(e.GiveEvCertificate)[1:] == [e.GiveEvCertificate(1, None)] * 2, "a car always gets an answer"
