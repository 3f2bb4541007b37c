"""The security profiles of a station as they change while it runs: real sockets, real TLS, a real authority, a central
system made of the PyPI package `ocpp`. Named by requirement of the security white paper."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import websockets
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ocpp.v16 import call
from tests.app.test_station_upkeep import UpkeepSystem
from tests.hardware.made_authority import MadeAuthority
from tests.net.central_v16 import Office

from forecourt.api.control.frames import FrameHistory
from forecourt.app.config import ConfigError, parse
from forecourt.app.station import station_session
from forecourt.app.station_file import PASSED_ON, StationFile, simulated_evses
from forecourt.app.station_upkeep import StationUpkeep
from forecourt.hardware.kept import KeptHardware
from forecourt.net.clock import RealClock
from forecourt.net.connection import ConnectFailed
from forecourt.net.handshake import basic_authorization
from forecourt.net.station_session import StationSession
from forecourt.station.config import StationConfig
from forecourt.station.ports import Journal
from forecourt.store.journal import MemoryJournal

KEY = "00112233445566778899aabbccddeeff00112233"
OTHER_KEY = "ffeeddccbbaa99887766554433221100"

FILE = """
id = "CP1"
csms = [{addresses}]
{more}
[backoff]
wait_minimum_s = 0.05
random_range_s = 0.0
repeat_times = 0
[variables]
CpoName = "Test"
"OCPPCommCtrlr.NetworkProfileConnectionAttempts" = 2
"""


class Gate:
    """A listener with or without TLS. `passwords`: those it lets in; None: nobody is asked."""

    def __init__(self) -> None:
        self.central = Office(UpkeepSystem)
        self.passwords: set[bytes] | None = None
        self.subjects: list[str | None] = []
        self.refused = 0
        self.port = 0

    def look(self, connection: Any, request: Any) -> Any:
        given = request.headers.get("Authorization")
        right = {basic_authorization("CP1", password) for password in self.passwords or ()}
        if self.passwords is not None and given not in right:
            self.refused += 1
            return connection.respond(401, "no")
        certificate = connection.transport.get_extra_info("peercert")
        subject = dict(part[0] for part in (certificate or {}).get("subject", ()))
        self.subjects.append(subject.get("commonName"))
        return None


@asynccontextmanager
async def gate(tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Gate]:
    made = Gate()
    async with websockets.serve(
        made.central.serve,
        "localhost" if not port else "127.0.0.1",
        port,
        ssl=tls,
        subprotocols=[websockets.Subprotocol("ocpp1.6")],
        process_request=made.look,
    ) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


def server_side(folder: Path, authority: MadeAuthority, *, clients: MadeAuthority | None = None) -> ssl.SSLContext:
    made = authority.issue("localhost")
    file = folder / f"localhost-{id(made)}.pem"
    key = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file.write_text(made.pem + key, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if clients is not None:
        context.load_verify_locations(cadata=clients.root.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def file_of(*addresses: str, more: str = "") -> str:
    return FILE.format(addresses=", ".join(f'"{address}"' for address in addresses), more=more)


def built(folder: Path, text: str, journal: Journal | None = None) -> StationSession:
    settings = parse(text, StationFile, source="station.toml")
    frames = FrameHistory()
    upkeep = StationUpkeep(settings, folder, frames)
    hardware = KeptHardware(simulated_evses(settings), MemoryJournal(), RealClock().now())
    return station_session(settings, journal or MemoryJournal(), hardware, frames, upkeep)


@asynccontextmanager
async def running(folder: Path, text: str, journal: Journal | None = None) -> AsyncIterator[StationSession]:
    session = built(folder, text, journal)
    task = asyncio.create_task(session.run())
    try:
        yield session
    finally:
        await session.stop()
        await task


async def booted(at: Gate, connections: int = 1) -> Any:
    """The newest connection, once the station has said there what it had to say.

    `ocpp` ends with a connection at whatever it is doing, be it with an answer of ours unread.
    """
    await at.central.until(lambda: len(at.central.connections) >= connections)
    heard = -1
    while heard < len(at.central.heard):
        heard = len(at.central.heard)
        await asyncio.sleep(0.2)
    return at.central.newest


async def change(system: Any, key: str, value: str) -> str:
    return str((await system.call(call.ChangeConfiguration(key, value))).status)


async def test_a05_from_profile_0_to_3_and_never_back(tmp_path: Path) -> None:
    """A05.FR.01 to FR.07, A01, A02.FR.08: each step by a CSMS; no power cut and no start changes a thing."""
    operator = MadeAuthority("Operator", at=datetime.now(UTC))
    tls = server_side(tmp_path, operator, clients=operator)
    state_dir, journal = tmp_path / "state", MemoryJournal()
    async with gate() as plain, gate(tls) as secure:
        text = file_of(f"ws://localhost:{plain.port}/ocpp", f"wss://localhost:{secure.port}/ocpp")
        async with running(state_dir, text, journal) as session:
            system = await booted(plain)
            await plain.central.until(lambda: bool(plain.central.told("StatusNotification")))
            assert await change(system, "SecurityProfile", "1") == "Rejected", "A05.FR.02"
            assert await change(system, "AuthorizationKey", KEY) == "Accepted"
            plain.passwords = {bytes.fromhex(KEY)}
            assert await change(system, "SecurityProfile", "1") == "Accepted"
            system = await booted(plain, 2)

            assert await change(system, "AuthorizationKey", OTHER_KEY) == "Accepted"
            plain.passwords = {bytes.fromhex(OTHER_KEY)}
            system = await booted(plain, 3)

            assert await change(system, "SecurityProfile", "2") == "Rejected", "A05.FR.03"
            root = call.InstallCertificate("CentralSystemRootCertificate", operator.root.pem)
            assert (await system.call(root)).status == "Accepted"
            secure.passwords = {bytes.fromhex(OTHER_KEY)}
            assert await change(system, "SecurityProfile", "2") == "Accepted"
            system = await booted(secure)
            assert secure.subjects == [None]

            assert await change(system, "SecurityProfile", "3") == "Rejected", "A05.FR.04"
            assert (await system.call(call.ExtendedTriggerMessage("SignChargePointCertificate"))).status == "Accepted"
            await secure.central.until(lambda: bool(secure.central.told("SignCertificate")))
            pem = operator.answer(secure.central.told("SignCertificate")[0]["csr"])
            assert (await system.call(call.CertificateSigned(pem))).status == "Accepted"
            system = await booted(secure, 2)
            secure.passwords = None
            assert await change(system, "SecurityProfile", "3") == "Accepted"
            system = await booted(secure, 3)
            assert secure.subjects[-1] == "Simulated AC"
            for lower in ("0", "1", "2", "3"):
                assert await change(system, "SecurityProfile", lower) == "Rejected", "A05.FR.01"
            (installed,) = (
                await system.call(call.GetInstalledCertificateIds("CentralSystemRootCertificate"))
            ).certificate_hash_data
            assert (await system.call(call.DeleteCertificate(installed))).status == "Failed", "M04.FR.06"
            session.power_cycle()
            await booted(secure, 4)
            assert secure.subjects[-1] == "Simulated AC"
        async with running(state_dir, text, journal):
            system = await booted(secure, 5)
            (told,) = (await system.call(call.GetConfiguration(key=["SecurityProfile"]))).configuration_key
            assert told["value"] == "3"
        assert secure.subjects[-1] == "Simulated AC"
        assert plain.refused == secure.refused == 0


async def test_a05_fr_08_back_to_what_worked(tmp_path: Path) -> None:
    trusted, stranger = (MadeAuthority(name, at=datetime.now(UTC)) for name in ("Operator", "Stranger"))
    async with gate() as plain, gate(server_side(tmp_path, stranger)) as secure:
        plain.passwords = {bytes.fromhex(KEY)}
        addresses = (f"ws://localhost:{plain.port}/ocpp", f"wss://localhost:{secure.port}/ocpp")
        text = file_of(*addresses, more=f'password = "{KEY}"\nsecurity_profile = 1')
        async with running(tmp_path / "state", text) as session:
            system = await booted(plain)
            root = call.InstallCertificate("CentralSystemRootCertificate", trusted.root.pem)
            assert (await system.call(root)).status == "Accepted"
            assert await change(system, "SecurityProfile", "2") == "Accepted"
            system = await booted(plain, 2)
            (told,) = (await system.call(call.GetConfiguration(key=["SecurityProfile"]))).configuration_key
            assert told["value"] == "1"
            assert not session.endpoint.station.parts.access.on_trial
            await plain.central.until(
                lambda: (
                    "InvalidCentralSystemCertificate"
                    in [event["type"] for event in plain.central.told("SecurityEventNotification")]
                )
            )
        assert not secure.central.connections


async def test_a01_a_password_that_is_not_taken_is_given_up(tmp_path: Path) -> None:
    async with gate() as plain:
        plain.passwords = {bytes.fromhex(KEY)}
        text = file_of(f"ws://localhost:{plain.port}/ocpp", more=f'password = "{KEY}"')
        async with running(tmp_path / "state", text):
            system = await booted(plain)
            assert await change(system, "AuthorizationKey", OTHER_KEY) == "Accepted"
            system = await booted(plain, 2)
            assert plain.refused == 2, "as often as there are attempts"
            plain.passwords = {bytes.fromhex(OTHER_KEY)}
            assert await change(system, "AuthorizationKey", OTHER_KEY) == "Accepted", "it may be tried again"
            await booted(plain, 3)
            assert plain.refused == 2


async def test_a03_a_renewed_certificate_is_shown_on_the_next_connection(tmp_path: Path) -> None:
    operator = MadeAuthority("Operator", at=datetime.now(UTC))
    ours = operator.issue("Configured", ends_days=20)
    ca, pair = tmp_path / "root.pem", tmp_path / "station.pem"
    ca.write_text(operator.root.pem)
    pair.touch(mode=0o600)
    key = ours.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    pair.write_text(ours.pem + key)
    async with gate(server_side(tmp_path, operator, clients=operator)) as secure:
        more = f'tls = {{ ca = "{ca}", certificate = "{pair}" }}'
        async with running(tmp_path / "state", file_of(f"wss://localhost:{secure.port}/ocpp", more=more)):
            system = await booted(secure)
            assert secure.subjects == ["Configured"]
            listed = await system.call(call.GetInstalledCertificateIds("CentralSystemRootCertificate"))
            assert (await system.call(call.DeleteCertificate(listed.certificate_hash_data[0]))).status == "Failed"
            assert (await system.call(call.ExtendedTriggerMessage("SignChargePointCertificate"))).status == "Accepted"
            await secure.central.until(lambda: bool(secure.central.told("SignCertificate")))
            pem = operator.answer(secure.central.told("SignCertificate")[0]["csr"])
            assert (await system.call(call.CertificateSigned(pem))).status == "Accepted"
            await booted(secure, 2)
            assert secure.subjects[-1] == "Simulated AC"


async def test_a02_fr_10_a_renewed_certificate_that_is_refused_gives_way_to_the_one_before(tmp_path: Path) -> None:
    operator, stranger = (MadeAuthority(name, at=datetime.now(UTC)) for name in ("Operator", "Stranger"))
    ca, pair = configured(tmp_path, operator, stranger)
    async with gate(server_side(tmp_path, operator, clients=operator)) as secure:
        more = f'tls = {{ ca = "{ca}", certificate = "{pair}" }}'
        async with running(tmp_path / "state", file_of(f"wss://localhost:{secure.port}/ocpp", more=more)):
            system = await booted(secure)
            assert (await system.call(call.ExtendedTriggerMessage("SignChargePointCertificate"))).status == "Accepted"
            await secure.central.until(lambda: bool(secure.central.told("SignCertificate")))
            pem = stranger.answer(secure.central.told("SignCertificate")[0]["csr"])
            assert (await system.call(call.CertificateSigned(pem))).status == "Accepted"
            await booted(secure, 2)
            assert secure.subjects == ["Configured", "Configured"]
        async with running(tmp_path / "state", file_of(f"wss://localhost:{secure.port}/ocpp", more=more)) as session:
            attempts: list[object] = []
            attempted = session._attempted

            def noting(failure: ConnectFailed | None) -> None:
                attempts.append(failure)
                attempted(failure)

            session._attempted = noting
            await booted(secure, 3)
            assert attempts == [None], "the one that was refused is not tried again after a restart"


async def test_m05_fr_11_to_13_the_root_before_is_trusted_until_the_new_one_works(tmp_path: Path) -> None:
    first = MadeAuthority("First", at=datetime.now(UTC))
    second = MadeAuthority("Second", at=first.at)
    second.root = first.issue("Second", ca=True, begins_days=-5)
    ca, _ = configured(tmp_path, first)
    text = FILE.replace("[variables]", "[variables]\nAdditionalRootCertificateCheck = true")

    def trusted() -> str:
        return (tmp_path / "state" / "keys" / "csms-roots.pem").read_text()

    async with gate(server_side(tmp_path, first)) as secure:
        port = secure.port
        address = f'"wss://localhost:{port}/ocpp"'
        session = built(tmp_path / "state", text.format(addresses=address, more=f'tls = {{ ca = "{ca}" }}'))
        task = asyncio.create_task(session.run())
        system = await booted(secure)
        root = call.InstallCertificate("CentralSystemRootCertificate", second.root.pem)
        assert (await system.call(root)).status == "Accepted"
        session.disconnect()
        session.reconnect()
        await booted(secure, 2)  # M05.FR.13
        assert trusted().count("BEGIN") == 2
    async with gate(server_side(tmp_path, second), port) as secure:
        await booted(secure)
        session.disconnect()
        session.reconnect()
        await booted(secure, 2)
        assert trusted() == second.root.pem  # M05.FR.12
    refused = asyncio.Event()
    session._attempted = lambda failure: None if failure is None else refused.set()
    async with gate(server_side(tmp_path, first), port) as secure, asyncio.timeout(60):
        await refused.wait()
        assert not secure.central.connections
        await session.stop()
        await task


def configured(folder: Path, *authorities: MadeAuthority) -> tuple[Path, Path]:
    """Files with the roots, and with a certificate of the station's owner by the first, and its key."""
    ours = authorities[0].issue("Configured", ends_days=20)
    ca, pair = folder / "root.pem", folder / "station.pem"
    ca.write_text("".join(authority.root.pem for authority in authorities))
    pair.touch(mode=0o600)
    key = ours.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    pair.write_text(ours.pem + key)
    return ca, pair


async def test_b10_the_next_address_and_back_to_the_first(tmp_path: Path) -> None:
    async with gate() as first:
        port = first.port
    async with gate() as second:
        addresses = (f"ws://127.0.0.1:{port}/ocpp", f"ws://localhost:{second.port}/ocpp")
        async with running(tmp_path / "state", file_of(*addresses, more="csms_return_after_s = 0.3")):
            await booted(second)
            await booted(second, 2)  # the way back was in vain
            async with gate(port=port) as first:
                await booted(first)
                connections = len(second.central.connections)
                await asyncio.sleep(0.5)
                assert len(first.central.connections) == 1, "it is where it wants to be"
                assert len(second.central.connections) == connections
            await booted(second, connections + 1)
        boots = second.central.told("BootNotification")
        assert len(boots) == 1, "another connection is no boot"


def test_everything_that_a_station_is_built_as_can_be_configured() -> None:
    """What only the program itself decides is left out."""
    elsewhere = {"identity", "evses", "variables"}
    decided = {
        "boot_reason",
        "has_system",
        "has_security",
        "client_certificate",
        "security_profiles",
        "file_transfer_protocols",
    }
    fields = set(StationConfig.__struct_fields__)
    assert fields - elsewhere - decided <= set(PASSED_ON)
    assert set(PASSED_ON) <= set(StationFile.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("cache_size = -1", "cache_size"),
        ("publish_schedule_interval_s = 700", "publish_schedule_duration_s"),
        ("[[evses]]\nmaxmum_a = 16", 'evses[0].maxmum_a: no such field; did you mean "maximum_a"?'),
        ('[[evses]]\nconnector_type = "plug"', "evses[0].connector_type"),
        ('csms = ["http://x"]', "csms"),
        ("csms = []", "csms"),
        ("[variables]\nSecurityProfile = 1", "give it there"),
        ('transfer_ca = "/nowhere"', "transfer_ca"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        built(tmp_path, text)
    assert field in str(caught.value)


@pytest.mark.parametrize(("begins_days", "ends_days"), [(-10.0, -1.0), (1.0, 10.0)], ids=["over", "not yet valid"])
async def test_a_certificate_out_of_its_time_keeps_no_station_from_starting(
    tmp_path: Path, begins_days: float, ends_days: float
) -> None:
    """It may be the calendar that is wrong. The station is in service, and connects with the first that is valid."""
    operator = MadeAuthority("Operator", at=datetime.now(UTC))

    def write(begins_days: float, ends_days: float) -> None:
        made = operator.issue("CP1", begins_days=begins_days, ends_days=ends_days)
        key = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        (tmp_path / "own.pem").touch(mode=0o600)
        (tmp_path / "own.pem").write_text(made.pem + key, encoding="ascii")

    write(begins_days, ends_days)
    (tmp_path / "root.pem").write_text(operator.root.pem, encoding="ascii")
    tls = f'[tls]\ncertificate = "{tmp_path / "own.pem"}"\nca = "{tmp_path / "root.pem"}"'
    async with gate(server_side(tmp_path, operator, clients=operator)) as secure:
        text = file_of(f"wss://localhost:{secure.port}/ocpp", more=f"security_profile = 3\n{tls}")
        async with running(tmp_path / "state", text) as session:
            await asyncio.sleep(0.5)
            assert not session.connected
            assert secure.subjects == [], "it has nothing to show, and shows nothing"
            write(-1.0, 10.0)
            await booted(secure)
            assert secure.subjects[-1] == "CP1"
