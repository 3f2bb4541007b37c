"""Charging by contract, and costs on the display, from end to end over real sockets: a CSMS as its configuration makes
it, a station that is not ours (the PyPI package `ocpp`), a responder and a provider of contracts by HTTP; then ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import ocpp.v16
import ocpp.v16.call
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from forecourt.api.control.bodies import ContractBody, PlugIn, WantEvCertificate
from forecourt.api.control.frames import FrameHistory
from forecourt.api.control.station import ControlledStation
from forecourt.api.settings import ApiSettings
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from forecourt.app.csms_contracts import ContractsFile
from forecourt.app.csms_resources import Resources
from forecourt.app.listeners import OcppListener
from forecourt.csms import authorization, commands, tariffs
from forecourt.csms.authorization import TokenFields
from forecourt.csms.money_records import TariffScope
from forecourt.csms.money_settings import MoneySettings
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy
from forecourt.csms.tariff_terms import PriceComponent, TariffDimension, TariffElement, TariffTerms
from forecourt.dialect import by_subprotocol
from forecourt.dialect.cost_words import VENDOR_ID as COSTS
from forecourt.dialect.v16_contracts import VENDOR_ID as CONTRACTS
from forecourt.domain.certificate import CertificateUse
from forecourt.domain.requests import InstallCertificate, TriggeredMessage, TriggerMessage
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdTokenType
from forecourt.hardware.certificate_reading import hash_of
from forecourt.hardware.contract_store import ContractKeyStore
from forecourt.hardware.kept import KeptHardware
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.net.clock import RealClock
from forecourt.net.handshake import connection_url
from forecourt.net.station_session import StationSession
from forecourt.net.uplink import Uplink
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.extension_variables import COSTS_SHOWN, PNC_ENABLED
from forecourt.station.variable_table import ORGANIZATION_NAME, SAMPLED_INTERVAL
from forecourt.store.journal import MemoryJournal
from tests import databases
from tests.hardware.made_contracts import MadeProvider
from tests.net.http_desk import desk
from tests.octt.csms.station_v16 import ChargePoint, connected

PATIENCE_S = 30.0
EMAID = "DE8AACA2B3C4D5"
CARD = "CARD1"
call = ocpp.v16.call


class Outside:
    """Who is asked by HTTP."""

    def __init__(self) -> None:
        self.provider = MadeProvider(at=datetime.now(UTC))
        self.wanted: list[dict[str, str]] = []

    def answering(self, path: str, _: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if path == "/ocsp":
            return 200, self.provider.respond(body)
        self.wanted.append(json.loads(body))
        return 200, b'{"exiResponse":"Y29udHJhY3Q="}'


class House(msgspec.Struct):
    """A CSMS that runs, and the world around it."""

    csms: RunningCsms
    outside: Outside

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.csms.stations.port}/ocpp/"

    async def price(self, price: str) -> None:
        component = PriceComponent(type=TariffDimension.FLAT, price=Decimal(price))
        elements = (TariffElement(price_components=(component,)),)
        terms = TariffTerms(currency="EUR", elements=elements, alt_text="a visit")
        made = await tariffs.create_tariff(self.csms.context, terms)
        await tariffs.assign_tariff(self.csms.context, made.id, TariffScope.ORGANISATION, "")


async def eventually(condition: Callable[[], Any]) -> Any:
    """What `condition` gives, once that is something."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := condition()):  # noqa: ASYNC110 - it is a state that nobody tells of
            await asyncio.sleep(0.02)
    return found


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    outside = Outside()
    async with desk(outside.answering) as url:
        outside.provider = MadeProvider(at=datetime.now(UTC), responder=f"{url}/ocsp")
        roots = tmp_path / "roots.pem"
        roots.write_text(outside.provider.root.pem + outside.provider.sub_ca.pem)
        money = MoneySettings(show_costs=True, interval_s=0.1, running_cost_interval_s=0.1)
        settings = CsmsFile(
            database=databases.url(tmp_path / "csms.sqlite"),
            ocpp=OcppListener(port=0),
            api=ApiSettings(port=0),
            csms=CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT, money=money),
            resources=Resources(files=str(tmp_path / "files"), authority=str(tmp_path / "authority")),
            contracts=ContractsFile(
                roots=str(roots),
                responders=(f"{url}/",),
                provider_url=f"{url}/contracts",
                authority=str(tmp_path / "v2g"),
            ),
        )
        async with running_csms(settings) as csms:
            await authorization.put_token(csms.context, EMAID, TokenFields(type=IdTokenType.EMAID))
            await authorization.put_token(csms.context, CARD, TokenFields())
            yield House(csms, outside)


@asynccontextmanager
async def point_of(house: House, identity: str) -> AsyncIterator[ChargePoint]:
    async with connected(house.url, identity) as point:
        point.answers["GetConfiguration"] = {
            "configuration_key": [{"key": "CustomDisplayCostAndPrice", "readonly": True, "value": "true"}]
        }
        await point.boot()
        assert (await point.expect("GetConfiguration"))["key"] == ["CustomDisplayCostAndPrice"]
        yield point


async def transferred(point: ChargePoint, message_id: str, content: dict[str, Any]) -> dict[str, Any]:
    """What the CSMS answers to a message of the note on ISO 15118."""
    answer = await point.call(call.DataTransfer(CONTRACTS, message_id, json.dumps(content)))
    assert answer.status == "Accepted"
    inside: dict[str, Any] = json.loads(answer.data)
    return inside


async def expected(point: ChargePoint, vendor_id: str, message_id: str) -> dict[str, Any]:
    """What the CSMS says in a message of a note, after whatever else it says."""
    while True:
        payload = await point.expect("DataTransfer")
        if (payload["vendorId"], payload["messageId"]) == (vendor_id, message_id):
            inside: dict[str, Any] = json.loads(payload["data"])
            return inside


def query_of(certificate: x509.Certificate, issuer: x509.Certificate, url: str) -> dict[str, str]:
    name = hash_of(certificate, issuer)
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": name.issuer_name_hash,
        "issuerKeyHash": name.issuer_key_hash,
        "serialNumber": name.serial_number,
        "responderURL": url,
    }


async def test_a_foreign_station_charges_by_contract(house: House) -> None:
    provider = house.outside.provider
    leaf = provider.contract(EMAID).certificate
    queries = [
        query_of(leaf, provider.sub_ca.certificate, provider.responder),
        query_of(provider.sub_ca.certificate, provider.root.certificate, provider.responder),
    ]
    async with point_of(house, "FOREIGN1") as point:
        asked = {"idToken": {"idToken": EMAID}, "iso15118CertificateHashData": queries}
        good = await transferred(point, "Authorize", asked)
        assert (good["certificateStatus"], good["idTokenInfo"]["status"]) == ("Accepted", "Accepted")
        other = provider.contract("DE8AAOTHER").certificate
        provider.revoked.add(other.serial_number)
        bad = query_of(other, provider.sub_ca.certificate, provider.responder)
        asked = {"idToken": {"idToken": EMAID}, "iso15118CertificateHashData": [bad]}
        revoked = await transferred(point, "Authorize", asked)
        assert (revoked["certificateStatus"], revoked["idTokenInfo"]["status"]) == ("CertificateRevoked", "Invalid")
        status = await transferred(point, "GetCertificateStatus", {"ocspRequestData": queries[1]})
        assert status["status"] == "Accepted"
        assert status["ocspResult"]
        wanted = {"iso15118SchemaVersion": "v2", "action": "Install", "exiRequest": "ZXhp"}
        given = await transferred(point, "Get15118EVCertificate", wanted)
        assert given == {"status": "Accepted", "exiResponse": "Y29udHJhY3Q="}
        assert house.outside.wanted == [{**wanted, "stationId": "FOREIGN1"}]
        csr = signing_request("FOREIGN1")
        signed = await transferred(point, "SignCertificate", {"csr": csr, "certificateType": "V2GCertificate"})
        assert signed["status"] == "Accepted"
        chain = (await expected(point, CONTRACTS, "CertificateSigned"))["certificateChain"]
        (made, *_) = x509.load_pem_x509_certificates(chain.encode())
        assert "FOREIGN1" in made.subject.rfc4514_string()


def signing_request(common_name: str) -> str:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    made = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


async def test_a_foreign_station_shows_what_it_costs(house: House) -> None:
    await house.price("2.50")
    async with point_of(house, "FOREIGN2") as point:
        assert await point.authorize(CARD) == "Accepted"
        price = await expected(point, COSTS, "SetUserPrice")
        assert price == {"idToken": CARD, "priceText": "a visit"}
        started = await point.start_transaction(CARD)
        cost = await expected(point, COSTS, "RunningCost")
        assert (cost["transactionId"], cost["cost"]) == (started.transaction_id, 2.5)
        assert cost["chargingPrice"] == {"flatFee": 2.5}
        at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        await point.call(call.StopTransaction(2000, at, started.transaction_id))
        final = await expected(point, COSTS, "FinalCost")
        assert (final["transactionId"], final["cost"]) == (started.transaction_id, 2.5)
        assert final["priceText"].startswith("1.000 kWh")
        gone = {"transactionId": started.transaction_id, "timestamp": at}
        answer = await point.call(call.DataTransfer(COSTS, "ConnectorUnplugged", json.dumps(gone)))
        assert answer.status == "Accepted"


@asynccontextmanager
async def own_station(house: House, folder: Path) -> AsyncIterator[tuple[StationSession, ControlledStation]]:
    clock = RealClock()
    evses = (EvseConfig(has_lock=False),)
    config = StationConfig(
        identity=StationIdentity(vendor_name="Vendor", model="Model", serial_number="OWN1"),
        evses=evses,
        variables={
            PNC_ENABLED: "true",
            COSTS_SHOWN: "true",
            ORGANIZATION_NAME: "Test",
            SAMPLED_INTERVAL: "1",
        },
    )
    hardware = KeptHardware([SimulatedEvse(1, has_lock=False)], MemoryJournal(), clock.now())
    session = StationSession(
        config,
        by_subprotocol("ocpp1.6"),
        MemoryJournal(),
        hardware,
        Uplink(url=connection_url(house.url.rstrip("/"), "OWN1")),
        clock=clock,
        security=ContractKeyStore(folder / "keys"),
    )
    running = asyncio.create_task(session.run())
    try:
        yield session, ControlledStation("OWN1", session, hardware, FrameHistory())
    finally:
        await session.stop()
        with suppress(asyncio.CancelledError):
            await running


async def commanded(house: House, request: Any) -> str:
    command = await commands.issue(house.csms.context, "OWN1", request)
    return str((await commands.wait(house.csms.context, command.id, PATIENCE_S)).state)


async def test_our_station_charges_by_contract_and_shows_what_it_costs(house: House, tmp_path: Path) -> None:
    await house.price("2.50")
    provider = house.outside.provider
    async with own_station(house, tmp_path) as (session, hand):
        await eventually(lambda: hand.state().registration.value == "Accepted")
        mo_root = InstallCertificate(use=CertificateUse.MO_ROOT, certificate=provider.root.pem)
        assert await commanded(house, mo_root) == "accepted"
        v2g_root = InstallCertificate(use=CertificateUse.V2G_ROOT, certificate=await root_of(house))
        assert await commanded(house, v2g_root) == "accepted"
        trigger = TriggerMessage(requested_message=TriggeredMessage.SIGN_V2G_CERTIFICATE)
        assert await commanded(house, trigger) == "accepted"
        store = session.endpoint.security
        assert isinstance(store, ContractKeyStore)
        assert await eventually(lambda: store.v2g_chain(datetime.now(UTC))), "signed by the CSMS's own authority"

        chain = provider.chain(provider.contract(EMAID))
        hand.plug_in(1, PlugIn(contract=ContractBody(emaid="DE-8AA-CA2B3C4D5", certificate_chain=chain)))
        running = await eventually(lambda: hand.state().evses[0].transaction)
        assert running.id_token is not None
        assert running.id_token.value == EMAID
        shown = await eventually(lambda: hand.state().evses[0].display)
        await eventually(lambda: (hand.state().evses[0].display or shown).cost == "2.50")
        hand.want_ev_certificate(1, WantEvCertificate(exi_request="ZXhp"))
        assert await eventually(lambda: hand.state().evses[0].ev_certificate) == "Y29udHJhY3Q="
        hand.press_stop(1)
        final = await eventually(
            lambda: (view := hand.state().evses[0].display) and view.about.value == "FinalCost" and view
        )
        assert final.cost == "2.50"
        assert final.text.endswith("2.50 EUR")


async def root_of(house: House) -> str:
    authority = house.csms.context.contracts.authority
    assert authority is not None
    return await authority.root()
