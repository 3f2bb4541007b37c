"""Fleets under every security profile: real sockets, real TLS, a real authority."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from tests.net.authority import Authority
from tests.net.central_v16 import Office

from forecourt.dialect.v16 import V16
from forecourt.net.handshake import basic_authorization
from forecourt.net.tls import ClientTls
from forecourt.sim.fleet.access import FleetAccess
from forecourt.sim.fleet.fleet import Fleet, Model
from forecourt.sim.fleet.scenario import Connect, Scenario
from forecourt.sim.fleet.template import StationTemplate

KEY = "00112233445566778899aabbccddeeff"
TEXT = "correct horse battery"


class Door(Office):
    """Notes who shows what."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, tuple[str | None, str | None]] = {}

    def look(self, connection: Any, request: Any) -> None:
        certificate = connection.transport.get_extra_info("peercert") or {}
        subject = dict(part[0] for part in certificate.get("subject", ()))
        station_id = request.path.rpartition("/")[2]
        self.shown[station_id] = (request.headers.get("Authorization"), subject.get("commonName"))


@asynccontextmanager
async def door(tls: ssl.SSLContext | None = None) -> AsyncIterator[Door]:
    made = Door()
    subprotocols = [websockets.Subprotocol("ocpp1.6")]
    async with websockets.serve(
        made.serve, "localhost", 0, ssl=tls, subprotocols=subprotocols, process_request=made.look
    ) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


def fleet(csms: str, access: FleetAccess) -> Fleet:
    scenario = Scenario(duration_s=30.0, drain_s=0.0, connect=Connect(over_s=0.0, backoff_s=0.1), access=access)
    return Fleet([Model(StationTemplate(), V16)], 2, csms, scenario)


async def accepted(made: Fleet) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(made.run(stop))
    async with asyncio.timeout(20):
        while not all(station.accepted for station in made.stations):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    stop.set()
    await task


def hello(station_id: str, password: str | bytes) -> str:
    return basic_authorization(station_id, password)


async def test_profiles_0_and_1() -> None:
    async with door() as central:
        csms = f"ws://localhost:{central.port}/ocpp"
        await accepted(fleet(csms, FleetAccess()))
        assert set(central.shown.values()) == {(None, None)}
        await accepted(fleet(csms, FleetAccess(password=KEY, passwords={"FLEET-00002": TEXT})))
        one, two = central.shown["FLEET-00001"][0], central.shown["FLEET-00002"][0]
        assert (one, two) == (hello("FLEET-00001", bytes.fromhex(KEY)), hello("FLEET-00002", TEXT))


async def test_profiles_2_and_3(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    for number in (1, 2):
        ca.issue(f"FLEET-0000{number}", file=f"FLEET-0000{number}", client=True)
    server = ca.issue("localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(server.certificate, server.key)
    tls.load_verify_locations(ca.file)
    tls.verify_mode = ssl.CERT_OPTIONAL
    async with door(tls) as central:
        csms = f"wss://localhost:{central.port}/ocpp"
        await accepted(fleet(csms, FleetAccess(password=TEXT, tls=ClientTls(ca=ca.file))))
        assert central.shown["FLEET-00002"] == (hello("FLEET-00002", TEXT), None)
        own = ClientTls(ca="Test-Root.pem", certificate="{id}.pem", key="{id}.key")
        await accepted(fleet(csms, FleetAccess(password=TEXT, tls=own).beside(tmp_path)))
        assert central.shown == {name: (None, name) for name in ("FLEET-00001", "FLEET-00002")}


@pytest.mark.parametrize(
    ("csms", "access", "complaint"),
    [
        ("ws://c", FleetAccess(security_profile=1), "access.password"),
        ("wss://c", FleetAccess(security_profile=1, password=TEXT), "1 is without TLS"),
        ("ws://c", FleetAccess(security_profile=2, password=TEXT), "2 needs a wss:// address"),
        ("wss://c", FleetAccess(security_profile=3), "access.tls.certificate"),
        ("ws://c", FleetAccess(passwords={"FLEET-00001": TEXT}), "none for FLEET-00002"),
        ("wss://c", FleetAccess(tls=ClientTls(certificate="/nowhere/{id}.pem")), "/nowhere/FLEET-00001.pem"),
    ],
)
def test_what_a_profile_lacks_is_said(csms: str, access: FleetAccess, complaint: str) -> None:
    with pytest.raises(ValueError, match="access") as caught:
        fleet(csms, access)
    assert complaint in str(caught.value)
