"""Contracts for charging at the CSMS: what it says of certificates, in all cases; responders' answers made for real."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from forecourt.csms import authorization, certificates, commands, contract_books, router
from forecourt.csms.authorization import TokenFields
from forecourt.csms.certificate_books import enter
from forecourt.csms.contract_ports import ContractServices, ContractUnavailable, ResponderUnavailable
from forecourt.csms.contract_records import ContractState
from forecourt.csms.ports import Books
from forecourt.csms.records import ConnectedStation
from forecourt.csms.resource_records import CertificateState
from forecourt.csms.revocation import Revocation, judged, name_of, request_for
from forecourt.csms.settings import CsmsSettings
from forecourt.domain import requests as r
from forecourt.domain.certificate import (
    CertificateSigningUse,
    ContractAction,
    ContractStatus,
    HashAlgorithm,
    OcspQuery,
)
from forecourt.domain.requests import RequestStatus, TriggeredMessage
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenType
from forecourt.net.contracts import HttpContractProvider, HttpResponder
from forecourt.sim.contracts import PlayedContractProvider
from tests.csms.worlds import START, World, world
from tests.hardware.made_contracts import MadeProvider
from tests.net.http_desk import desk

EMAID = "DE8AACA2B3C4D5"
TOKEN = IdToken(EMAID, IdTokenType.EMAID)


class Here:
    """A `Responder` without a wire."""

    def __init__(self, provider: MadeProvider) -> None:
        self.provider = provider
        self.silent = False

    async def ask(self, url: str, request: bytes) -> bytes:
        assert url == self.provider.responder
        if self.silent:
            raise ResponderUnavailable("silence")
        return self.provider.respond(request)


class Scene(msgspec.Struct):
    """A CSMS that trusts one provider of contracts, and a station of it."""

    world: World
    provider: MadeProvider
    responder: Here
    station: ConnectedStation

    async def say(self, request: Any) -> Any:
        return await router.take(self.world.context, self.station, request)

    def queries(self, *, algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> tuple[OcspQuery, ...]:
        leaf, sub_ca, root = self.provider.contract(EMAID).certificate, self.provider.sub_ca, self.provider.root
        pairs = ((leaf, sub_ca.certificate), (sub_ca.certificate, root.certificate))
        return tuple(OcspQuery(name_of(one, by, algorithm), self.provider.responder) for one, by in pairs)


async def scene_in(folder: Path, world: World, **more: Any) -> Scene:
    provider = MadeProvider(at=START)
    responder = Here(provider)
    services = ContractServices(
        responder=responder, roots=(provider.root.pem, provider.sub_ca.pem), provider=PlayedContractProvider()
    )
    world.context = msgspec.structs.replace(world.context, contracts=msgspec.structs.replace(services, **more))
    station = await world.station()
    await authorization.put_token(world.context, EMAID, TokenFields(type=IdTokenType.EMAID))
    return Scene(world, provider, responder, station)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with world(tmp_path) as made:
        yield await scene_in(tmp_path, made)


@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
async def test_a_good_contract_of_a_known_driver_charges(scene: Scene, algorithm: HashAlgorithm) -> None:
    request = r.Authorize(id_token=TOKEN, certificate_hashes=scene.queries(algorithm=algorithm))
    answer = await scene.say(request)
    assert answer.certificate_status is ContractStatus.ACCEPTED
    assert answer.id_token_info.status is AuthorizationStatus.ACCEPTED
    assert len(scene.provider.asked) == 2
    assert "authorization.decided" in scene.world.types()


async def test_a_revoked_certificate_is_no_contract(scene: Scene) -> None:
    queries = scene.queries()
    scene.provider.revoked.add(int(queries[0].certificate.serial_number, 16))
    answer = await scene.say(r.Authorize(id_token=TOKEN, certificate_hashes=queries))
    assert answer.certificate_status is ContractStatus.CERTIFICATE_REVOKED
    assert answer.id_token_info.status is AuthorizationStatus.INVALID


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (IdToken("DE8AANOBODY000", IdTokenType.EMAID), AuthorizationStatus.UNKNOWN),
        (IdToken("CARD", IdTokenType.EMAID), AuthorizationStatus.INVALID),
    ],
)
async def test_a_good_certificate_is_not_enough(scene: Scene, token: IdToken, expected: AuthorizationStatus) -> None:
    await authorization.put_token(scene.world.context, "CARD", TokenFields())
    answer = await scene.say(r.Authorize(id_token=token, certificate_hashes=scene.queries()))
    assert answer.certificate_status is ContractStatus.ACCEPTED
    assert answer.id_token_info.status is expected


@pytest.mark.parametrize("lax", [False, True])
async def test_what_no_responder_proves_is_refused_unless_the_operator_allows_it(tmp_path: Path, lax: bool) -> None:
    async with world(tmp_path, CsmsSettings(unproved_contracts=lax)) as made:
        scene = await scene_in(tmp_path, made)
        scene.responder.silent = True
        answer = await scene.say(r.Authorize(id_token=TOKEN, certificate_hashes=scene.queries()))
        proved = ContractStatus.ACCEPTED if lax else ContractStatus.NO_CERTIFICATE_AVAILABLE
        assert answer.certificate_status is proved
        assert (answer.id_token_info.status is AuthorizationStatus.ACCEPTED) is lax


async def test_a_chain_that_comes_whole_is_validated(scene: Scene) -> None:
    async def status(chain: str, token: IdToken = TOKEN) -> ContractStatus | None:
        answer = await scene.say(r.Authorize(id_token=token, certificate=chain))
        assert isinstance(answer, r.AuthorizeAnswer)
        return answer.certificate_status

    provider, stranger = scene.provider, MadeProvider("MO", at=START)
    leaf = provider.contract(EMAID)
    assert await status(provider.chain(leaf)) is ContractStatus.ACCEPTED
    assert len(provider.asked) == 2, "the leaf and its sub-CA"
    assert await status(provider.chain(leaf), IdToken("DE-8AA-CA2B3C4D5", IdTokenType.EMAID)) is not None
    expired = provider.contract(EMAID, ends_days=-0.5)
    assert await status(provider.chain(expired)) is ContractStatus.CERTIFICATE_EXPIRED
    assert await status(provider.chain(provider.contract("DE8AAOTHER0000"))) is ContractStatus.CERT_CHAIN_ERROR
    assert await status(stranger.chain(stranger.contract(EMAID))) is ContractStatus.CERT_CHAIN_ERROR
    forged = stranger.contract(EMAID).pem + provider.sub_ca.pem
    assert await status(forged) is ContractStatus.SIGNATURE_ERROR, "of the same name, by another key"
    assert await status("nonsense") is ContractStatus.CERT_CHAIN_ERROR
    provider.revoked.add(leaf.certificate.serial_number)
    assert await status(provider.chain(leaf)) is ContractStatus.CERTIFICATE_REVOKED


# Responders' answers


async def test_an_answer_counts_only_if_it_is_proved(scene: Scene) -> None:
    provider = scene.provider
    leaf = provider.contract(EMAID).certificate
    name = name_of(leaf, provider.sub_ca.certificate)
    answer = provider.respond(request_for(name))
    issuers = [provider.root.certificate, provider.sub_ca.certificate]
    assert judged(name, answer, issuers, START) is Revocation.GOOD
    assert judged(name, answer, [provider.root.certificate], START) is Revocation.UNPROVED, "its issuer is unknown"
    assert judged(name, answer, issuers, START + timedelta(days=31)) is Revocation.UNPROVED, "over"
    assert judged(name, answer, issuers, START - timedelta(days=1)) is Revocation.UNPROVED, "of the future"
    other = name_of(provider.contract(EMAID).certificate, provider.sub_ca.certificate)
    assert judged(other, answer, issuers, START) is Revocation.UNPROVED, "about another certificate"
    assert judged(name, b"nonsense", issuers, START) is Revocation.UNPROVED
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    assert judged(name, refusal.public_bytes(Encoding.DER), issuers, START) is Revocation.UNPROVED
    builder = ocsp.OCSPResponseBuilder().add_response(
        leaf,
        provider.sub_ca.certificate,
        hashes.SHA256(),
        ocsp.OCSPCertStatus.GOOD,
        START,
        START + timedelta(days=1),
        None,
        None,
    )
    mallory = MadeProvider("Mallory", at=START)
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, mallory.sub_ca.certificate)
    builder = builder.certificates([mallory.sub_ca.certificate])
    forged = builder.sign(mallory.sub_ca.key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert judged(name, forged, issuers, START) is Revocation.UNPROVED, "nobody vouches for himself"


async def test_m06_the_station_gets_the_responders_answer(scene: Scene) -> None:
    query = scene.queries()[1]
    answer = await scene.say(r.GetCertificateStatus(query=query))
    assert answer.outcome is RequestStatus.ACCEPTED
    assert answer.ocsp_result
    scene.responder.silent = True
    assert (await scene.say(r.GetCertificateStatus(query=query))).outcome is RequestStatus.FAILED
    odd = msgspec.structs.replace(query.certificate, serial_number="no number")
    again = r.GetCertificateStatus(query=OcspQuery(odd, query.responder_url))
    assert (await scene.say(again)).outcome is RequestStatus.FAILED


async def test_a_csms_that_knows_nobody_says_failed(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        scene = await scene_in(tmp_path, made, responder=None, provider=None)
        wanted = r.Get15118EVCertificate(schema_version="v", action=ContractAction.INSTALL, exi_request="ZXhp")
        assert (await scene.say(wanted)).outcome is RequestStatus.FAILED
        assert (await scene.say(r.GetCertificateStatus(query=scene.queries()[0]))).outcome is RequestStatus.FAILED


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (CertificateSigningUse.V2G, TriggeredMessage.SIGN_V2G_CERTIFICATE),
        (CertificateSigningUse.CHARGING_STATION, TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE),
    ],
)
async def test_a_certificate_is_renewed_by_the_message_for_its_use(
    scene: Scene, use: CertificateSigningUse, message: TriggeredMessage
) -> None:
    station, context = scene.station, scene.world.context

    def entered(books: Books) -> None:
        books.stations.set_connection(station.number, "c1", connected=True)
        columns = {"station_number": station.number, "station_id": station.id, "use": use, "organisation_id": 1}
        not_after = START + timedelta(days=3)
        enter(books, START, state=CertificateState.ACCEPTED, not_after=not_after, serial_number="1", **columns)

    await context.store.write(entered)
    assert await certificates.keep(context) == 1
    (command,) = (await commands.list_commands(context)).items
    request = commands.request_of(command)
    assert isinstance(request, r.TriggerMessage)
    assert request.requested_message is message


# The ways outside, by real HTTP


async def test_only_responders_that_were_named_are_asked_and_their_answers_are_kept() -> None:
    provider = MadeProvider()
    posts: list[str] = []

    def answering(path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        posts.append(headers["content-type"])
        return (200, provider.respond(body)) if path == "/ocsp" else (500, b"")

    async with desk(answering) as url:
        responder = HttpResponder((f"{url}/",))
        name = name_of(provider.sub_ca.certificate, provider.root.certificate)
        first = await responder.ask(f"{url}/ocsp", request_for(name))
        assert judged(name, first, [provider.root.certificate], provider.at) is Revocation.GOOD
        with pytest.raises(ResponderUnavailable, match="500"):
            await responder.ask(f"{url}/other", request_for(name))
        for stranger in ("http://127.0.0.1:1/ocsp", "http://localhost/ocsp", "file:///etc/passwd", "http://[", ""):
            with pytest.raises(ResponderUnavailable):
                await responder.ask(stranger, request_for(name))
        await responder.close()
    assert posts == ["application/ocsp-request"] * 2


async def test_what_a_car_wants_is_passed_on_as_json() -> None:
    asked: list[tuple[dict[str, str], Any]] = []
    too_long = b'{"exiResponse":"%s"}' % (b"x" * 5601)
    answers = [(200, b'{"exiResponse":"cmVz"}'), (503, b""), (200, b"{}"), (200, too_long)]

    def answering(_path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        asked.append((headers, json.loads(body)))
        return answers[len(asked) - 1]

    async with desk(answering) as url:
        provider = HttpContractProvider(url, bearer="secret")
        assert await provider.answer("CS1", "v2", ContractAction.UPDATE, "ZXhp") == "cmVz"
        for _ in answers[1:]:
            with pytest.raises(ContractUnavailable):
                await provider.answer("CS1", "v2", ContractAction.UPDATE, "ZXhp")
        await provider.close()
    headers, body = asked[0]
    assert headers["authorization"] == "Bearer secret"
    assert body == {
        "stationId": "CS1",
        "iso15118SchemaVersion": "v2",
        "action": "Update",
        "exiRequest": "ZXhp",
    }


async def test_a_contract_that_was_shown_is_on_record(scene: Scene) -> None:
    contract = scene.provider.contract(EMAID)
    await scene.say(r.Authorize(id_token=TOKEN, certificate=scene.provider.chain(contract)))
    (one,) = (await contract_books.list_contract_certificates(scene.world.context, id_token=EMAID.lower())).items
    leaf = contract.certificate
    assert (one.issuer, one.serial_number) == (leaf.issuer.rfc4514_string(), f"{leaf.serial_number:x}")
    assert (one.not_after, one.seen_count, one.station_id) == (leaf.not_valid_after_utc, 1, scene.station.id)
    assert one.state is ContractState.GOOD

    # The same by its hashes; revoked since.
    query = OcspQuery(name_of(leaf, scene.provider.sub_ca.certificate), scene.provider.responder)
    scene.provider.revoked.add(leaf.serial_number)
    await scene.say(r.Authorize(id_token=TOKEN, certificate_hashes=(query,)))
    again = await contract_books.get_contract_certificate(scene.world.context, one.number)
    assert (again.seen_count, again.not_after, again.issuer) == (2, one.not_after, one.issuer)
    assert (again.state, again.certificate_status) == (ContractState.REFUSED, ContractStatus.CERTIFICATE_REVOKED)
    assert scene.world.types().count("contract_certificate.updated") == 2


async def test_a_contract_by_hashes_only_has_its_issuer(scene: Scene) -> None:
    await scene.say(r.Authorize(id_token=TOKEN, certificate_hashes=scene.queries()))
    (one,) = (await contract_books.list_contract_certificates(scene.world.context)).items
    assert one.issuer == scene.provider.sub_ca.certificate.subject.rfc4514_string()
    assert (one.not_after, one.state) == (None, ContractState.GOOD)


async def test_contracts_that_run_out_are_told(scene: Scene) -> None:
    contract = scene.provider.contract(EMAID)
    await scene.say(r.Authorize(id_token=TOKEN, certificate=scene.provider.chain(contract)))
    until = contract.certificate.not_valid_after_utc
    assert await contract_books.keep(scene.world.context) == 0
    for at, state in ((until - timedelta(days=1), ContractState.EXPIRING), (until, ContractState.EXPIRED)):
        scene.world.clock.seconds = (at - START).total_seconds()
        assert await contract_books.keep(scene.world.context) == 1
        assert await contract_books.keep(scene.world.context) == 0
        (one,) = (await contract_books.list_contract_certificates(scene.world.context, state=state)).items
        assert one.state is state
