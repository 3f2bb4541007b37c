"""Security profiles end to end: a CSMS and a controller from their configuration files, stations and central systems
that are not ours (the PyPI packages `ocpp` and `websockets`), and our own station. Each with a real authority."""

import asyncio
import base64
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import ocpp.v16
import ocpp.v16.call
import pytest
import websockets
from tests.net.authority import Authority, Pair
from tests.net.central_v16 import CentralSystem, Office

from forecourt.app.config import ConfigError, load, parse
from forecourt.app.controller import controller_server, upstream_context
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from forecourt.app.running import rereading
from forecourt.app.site_file import load_site
from forecourt.app.station_file import StationFile, dialect_of, simulated_evses, station_config, uplink_of
from forecourt.app.tls import server_tls
from forecourt.csms import stations
from forecourt.csms.stations import StationChanges, StationFields
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.net.client import connect, security_event_of
from forecourt.net.connection import DEAF, ConnectFailed
from forecourt.net.station_session import StationSession
from forecourt.net.tls import ClientTls, client_context
from forecourt.net.uplink import Uplink
from forecourt.store.journal import MemoryJournal

HEXADECIMAL = "00112233445566778899aabbccddeeff00112233"
TEXT = "correct horse battery"

FILE = """
database = "sqlite:///{folder}/csms.sqlite"

[[ocpp]]                        # profiles 0 and 1
port = 0

[[ocpp]]                        # profile 2
port = 0
[ocpp.tls]
certificate = ["localhost-ec.pem", "localhost-rsa2048.pem"]
key = ["localhost-ec.key", "localhost-rsa2048.key"]
policy = "whitepaper"

[[ocpp]]                        # profile 3
port = 0
[ocpp.tls]
certificate = "localhost-ec.pem"
key = "localhost-ec.key"
client_ca = "Test-Root.pem"

[[ocpp]]                        # profiles 2 and 3
port = 0
profiles = [2, 3]
[ocpp.tls]
certificate = "localhost-ec.pem"
key = "localhost-ec.key"
client_ca = "Test-Root.pem"

[api]
port = 0
[api.tls]
certificate = "localhost-ec.pem"
key = "localhost-ec.key"

[csms]
cpo_names = ["Test CPO"]
{more}
"""

PLAIN, PASSWORD, CERTIFICATE, EITHER = range(4)
"""The listeners."""


class Estate(NamedTuple):
    """A CSMS that runs, and the authority that its stations know."""

    csms: RunningCsms
    ca: Authority
    folder: Path

    @property
    def ports(self) -> tuple[int, ...]:
        return self.csms.stations.ports

    async def enter(self, station_id: str, profile: int = 0, password: str | None = None) -> None:
        await stations.create_station(self.csms.context, station_id, StationFields(security_profile=profile))
        await stations.set_password(self.csms.context, station_id, password)

    async def booted(self, station_id: str) -> None:
        async with asyncio.timeout(20):
            while (await stations.get_station(self.csms.context, station_id)).booted_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    for kind in ("ec", "rsa2048"):
        made.issue("localhost", kind=kind)
    return made


@asynccontextmanager
async def running(ca: Authority, more: str = "") -> AsyncIterator[Estate]:
    path = ca.folder / "csms.toml"
    path.write_text(FILE.format(folder=ca.folder, more=more))
    async with running_csms(load(path, CsmsFile).beside(path.parent)) as csms:
        yield Estate(csms, ca, ca.folder)


@pytest.fixture
async def estate(ca: Authority) -> AsyncIterator[Estate]:
    async with running(ca) as made:
        yield made


def trust(ca: Authority, own: Pair | None = None) -> ssl.SSLContext:
    """TLS of a station that isn't ours."""
    context = ssl.create_default_context(cafile=ca.file)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def dial(
    port: int, station_id: str, tls: ssl.SSLContext | None, password: str | bytes | None = None, **more: Any
) -> Any:
    options: dict[str, Any] = {"subprotocols": [websockets.Subprotocol("ocpp1.6")], "proxy": None, **more}
    if password is not None:
        octets = password.encode() if isinstance(password, str) else password
        pair = base64.b64encode(station_id.encode() + b":" + octets).decode()
        options["additional_headers"] = {"Authorization": f"Basic {pair}"}
    if tls is not None:
        options |= {"ssl": tls, "server_hostname": "localhost"}
    return websockets.connect(f"{'ws' if tls is None else 'wss'}://127.0.0.1:{port}/ocpp/{station_id}", **options)


async def knock(*arguments: Any) -> int:
    """101, the status of the refusal, or 0: there was no answer in HTTP at all."""
    try:
        async with dial(*arguments):
            return 101
    except websockets.InvalidStatus as refused:
        return int(refused.response.status_code)
    except (OSError, EOFError, websockets.InvalidHandshake):
        return 0


async def boot(connection: Any) -> Any:
    station = ocpp.v16.ChargePoint("CP", connection)
    task = asyncio.create_task(station.start())
    try:
        return await station.call(ocpp.v16.call.BootNotification(charge_point_model="M", charge_point_vendor="V"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# The CSMS and stations that aren't ours


async def test_each_profile_boots_at_its_listener(estate: Estate) -> None:
    own = estate.ca.issue("CP3", client=True)
    for station_id, profile, password, tls, ports in (
        ("CP0", 0, None, None, [PLAIN]),
        ("CP1", 1, TEXT, None, [PLAIN]),
        ("CP2", 2, TEXT, trust(estate.ca), [PASSWORD, EITHER]),
        ("CP3", 3, None, trust(estate.ca, own), [CERTIFICATE, EITHER]),
    ):
        await estate.enter(station_id, profile, password)
        for listener in ports:
            async with dial(estate.ports[listener], station_id, tls, password) as connection:
                assert (await boot(connection)).status == "Accepted"
        await estate.booted(station_id)


async def test_a_connection_that_doesn_t_fit_is_refused(estate: Estate) -> None:
    ca, ports = estate.ca, estate.ports
    await estate.enter("CP2", 2, TEXT)
    await estate.enter("CP3", 3)
    own, other = ca.issue("CP3", client=True), ca.issue("CP4", client=True)
    foreign = ca.issue("CP3", file="foreign", client=True, organization="Another CPO")
    assert await knock(ports[PLAIN], "CP2", None, TEXT) == 403
    assert await knock(ports[PASSWORD], "CP2", None, TEXT) == 0, "plain text at a port with TLS"
    assert await knock(ports[PASSWORD], "CP2", trust(ca)) == 401
    assert await knock(ports[PASSWORD], "CP2", trust(ca), TEXT + "!") == 401
    assert await knock(ports[PASSWORD], "CP3", trust(ca), TEXT) == 403
    assert await knock(ports[EITHER], "CP3", trust(ca)) == 403
    assert await knock(ports[EITHER], "CP3", trust(ca, other)) == 403
    assert await knock(ports[EITHER], "CP3", trust(ca, foreign)) == 403, "A00.FR.404"
    assert await knock(ports[EITHER], "CP2", trust(ca, own), TEXT) == 101, "its password is right"
    assert await knock(ports[CERTIFICATE], "CP2", trust(ca, own), TEXT) == 403, "but not here"
    assert await knock(ports[EITHER], "CP9", trust(ca, own)) == 404


async def test_certificates_that_prove_nothing_end_in_the_handshake(estate: Estate) -> None:
    """A00.FR.403, A00.FR.407."""
    ca, port = estate.ca, estate.ports[CERTIFICATE]
    await estate.enter("CP3", 3)
    other = Authority(estate.folder, "Other Root")
    assert await knock(port, "CP3", trust(ca, ca.issue("CP3", client=True))) == 101
    assert await knock(port, "CP3", trust(ca)) == 0, "none at all"
    assert await knock(port, "CP3", trust(ca, ca.issue("CP3", client=True, ends_days=-1))) == 0, "expired"
    assert await knock(port, "CP3", trust(ca, ca.issue("CP3", client=True, begins_days=1))) == 0, "not yet valid"
    assert await knock(port, "CP3", trust(ca, other.issue("CP3", client=True))) == 0, "somebody else's"
    assert await knock(port, "CP3", trust(ca, ca.issue("CP3"))) == 0, "made for servers"


async def test_a_password_is_rotated(estate: Estate) -> None:
    port, tls = estate.ports[PASSWORD], trust(estate.ca)
    await estate.enter("CP2", 2, HEXADECIMAL)
    async with dial(port, "CP2", tls, bytes.fromhex(HEXADECIMAL)) as connection:
        assert (await boot(connection)).status == "Accepted"
        await stations.set_password(estate.csms.context, "CP2", TEXT)
        assert await knock(port, "CP2", tls, bytes.fromhex(HEXADECIMAL)) == 401
        assert await knock(port, "CP2", tls, HEXADECIMAL) == 401
        assert await knock(port, "CP2", tls, TEXT) == 101


async def test_who_guesses_is_told_to_wait(estate: Estate) -> None:
    await estate.enter("CP1", 1, TEXT)
    statuses = [await knock(estate.ports[PLAIN], "CP1", None, f"guess number {k}") for k in range(11)]
    assert statuses == [401] * 10 + [429]
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with dial(estate.ports[PLAIN], "CP1", None, TEXT):
            pass
    assert refused.value.response.headers["Retry-After"] == "60"


async def test_one_switch_refuses_plain_connections(ca: Authority, caplog: pytest.LogCaptureFixture) -> None:
    async with running(ca, "refuse_plain = true") as estate:
        await estate.enter("CP1", 1, TEXT)
        with caplog.at_level(logging.WARNING, "forecourt.security"):
            assert await knock(estate.ports[PLAIN], "CP1", None, TEXT) == 403
        assert "CP1: refused at 127.0.0.1" in caplog.text
        assert await knock(estate.ports[PASSWORD], "CP1", trust(ca), TEXT) == 101


async def test_the_api_speaks_tls_as_well(estate: Estate) -> None:
    port = estate.csms.api.port
    async with httpx.AsyncClient(verify=trust(estate.ca)) as client:
        assert (await client.get(f"https://localhost:{port}/healthz")).status_code == 200
        assert (await client.get(f"https://localhost:{port}/api/v1/stations")).status_code == 401
        with pytest.raises(httpx.HTTPError):
            await client.get(f"http://localhost:{port}/healthz")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal here")
async def test_sighup_ends_nothing_where_there_are_no_certificates(caplog: pytest.LogCaptureFixture) -> None:
    with rereading(()), caplog.at_level(logging.INFO):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)
    assert "there are no certificates to read anew" in caplog.text


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal here")
async def test_a_hang_up_reads_certificates_anew(estate: Estate, caplog: pytest.LogCaptureFixture) -> None:
    with rereading(estate.csms.tls), caplog.at_level(logging.INFO):
        before = await _serial(estate)
        estate.ca.issue("localhost", kind="ec")
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while caplog.text.count("certificates were read anew") < 4:  # noqa: ASYNC110 - a signal
                await asyncio.sleep(0.01)
        assert await _serial(estate) != before


async def _serial(estate: Estate) -> Any:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", estate.ports[PASSWORD], ssl=trust(estate.ca), server_hostname="localhost"
    )
    del reader
    serial = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return serial


# Our own station


def station_file(estate: Estate, listener: int, station_id: str, **options: Any) -> StationFile:
    scheme = "ws" if listener == PLAIN else "wss"
    return StationFile(id=station_id, csms=f"{scheme}://localhost:{estate.ports[listener]}/ocpp", **options)


def identified(estate: Estate, own: Pair) -> ClientTls:
    return ClientTls(ca=estate.ca.file, certificate=own.certificate, key=own.key)


async def run_until_booted(estate: Estate, file: StationFile) -> Uplink:
    uplink = uplink_of(file)
    hardware = SimulatedHardware(simulated_evses(file))
    session = StationSession(station_config(file), dialect_of(file), MemoryJournal(), hardware, uplink)
    task = asyncio.create_task(session.run())
    try:
        await estate.booted(file.id)
    finally:
        await session.stop()
        await task
    return uplink


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_our_station_speaks_all_profiles(estate: Estate, protocol: str) -> None:
    for station_id, profile, listener, options in (
        ("CP0", 0, PLAIN, {}),
        ("CP1", 1, PLAIN, {"password": TEXT}),
        ("CP2", 2, PASSWORD, {"password": HEXADECIMAL, "ca_directory": estate.ca.file}),
        ("CP3", 3, CERTIFICATE, {"tls": identified(estate, estate.ca.issue("CP3", client=True)), "password": TEXT}),
    ):
        password = options.get("password")
        await estate.enter(station_id, profile, password if isinstance(password, str) else None)
        file = station_file(estate, listener, station_id, protocol=protocol, **options)
        uplink = await run_until_booted(estate, file)
        assert uplink.security_profile == profile
        assert (uplink.basic_auth is not None) is (profile in {1, 2})
        assert TEXT not in repr(uplink)


async def failure(uplink: Uplink) -> tuple[str, str | None]:
    """Why our station doesn't connect, and the security event that it makes of it."""
    with pytest.raises(ConnectFailed) as caught:
        await connect(
            uplink.url,
            subprotocols=("ocpp1.6",),
            receiver=lambda _: DEAF,
            basic_auth=uplink.basic_auth,
            tls=uplink.tls,
        )
    return str(caught.value), security_event_of(caught.value)


async def test_our_station_says_why_it_can_t_connect(estate: Estate) -> None:
    ca = estate.ca
    await estate.enter("CP2", 2, TEXT)
    await estate.enter("CP3", 3)
    other = Authority(estate.folder, "Other Root")

    async def why(listener: int, station_id: str, **options: Any) -> tuple[str, str | None]:
        return await failure(uplink_of(station_file(estate, listener, station_id, **options)))

    text, event = await why(PASSWORD, "CP2", password=TEXT, ca_directory=other.file)
    assert "not trusted: unable to get local issuer certificate" in text
    assert event == "InvalidCsmsCertificate"
    text, event = await why(PASSWORD, "CP2", password=TEXT, tls=ClientTls(ca=ca.file, server_name="csms.example"))
    assert "Hostname mismatch" in text
    assert event == "InvalidCsmsCertificate"
    text, event = await why(PASSWORD, "CP2", password=TEXT[:-1], ca_directory=ca.file)
    assert "status 401" in text
    assert event == "FailedToAuthenticateAtCsms"
    text, event = await why(CERTIFICATE, "CP3", ca_directory=ca.file)
    assert text == "the server asks for a client certificate"
    text, event = await why(CERTIFICATE, "CP3", tls=identified(estate, ca.issue("CP4", client=True)))
    assert "status 403" in text
    assert event == "FailedToAuthenticateAtCsms"
    foreign = other.issue("CP3", file="other", client=True)
    text, event = await why(CERTIFICATE, "CP3", tls=identified(estate, foreign))
    assert text == "the server does not trust the issuer of our certificate"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('csms = "ws://c/"\nsecurity_profile = 1', "security_profile: 1 needs a password"),
        ('csms = "wss://c/"\nsecurity_profile = 1\npassword = "x"', "1 is without TLS"),
        ('csms = "ws://c/"\nsecurity_profile = 2\npassword = "x"', "2 needs a wss:// address"),
        ('csms = "wss://c/"\nsecurity_profile = 2', "2 needs a password"),
        ('csms = "wss://c/"\nsecurity_profile = 3', "3 needs tls.certificate"),
        ('csms = "wss://c/"\nca_directory = "/nowhere"', "ca_directory, tls: /nowhere: No such file"),
        ('csms = "wss://c/"\nca_directory = "/a"\n[tls]\nca = "/b"', "ca_directory: says the same as tls.ca"),
        ('csms = "wss://c/"\n[tls]\ncertificate = "/nowhere.pem"', "tls: /nowhere.pem: No such file"),
        ('csms = "wss://c/"\n[tls]\nkey = "/nowhere.key"', "certificate: is missing"),
        ('csms = "wss://c/"\n[tls]\npolicy = "old"', "tls.policy: expected one of modern, whitepaper, inspect"),
    ],
)
def test_what_a_station_s_profile_lacks_is_said(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        uplink_of(parse(text, StationFile, source="station.toml"))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ocpp = []", "ocpp: at least one listener"),
        ("[csms]\nrefuse_plain = true", "csms.refuse_plain: no listener in ocpp has TLS"),
        ("[ocpp]\nprofiles = [2]", "profiles: 2 is no security profile of a listener without TLS"),
        (
            '[ocpp]\nprofiles = [1]\n[ocpp.tls]\ncertificate = "a"',
            "profiles: 1 is no security profile of a listener with",
        ),
        ('[ocpp]\nprofiles = [2, 3]\n[ocpp.tls]\ncertificate = "a"', "profiles: 3 needs a tls.client_ca"),
        ('[ocpp.tls]\ncertificate = "a"\npolicy = "old"', "expected one of modern, whitepaper, inspect"),
        ('[ocpp.tls]\ncertificate = "a"\nkeys = "b"', 'keys: no such field; did you mean "key"?'),
    ],
)
def test_listeners_that_can_t_be(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, CsmsFile, source="csms.toml")
    assert complaint in str(caught.value)


async def test_a_csms_with_a_bad_certificate_does_not_start(ca: Authority) -> None:
    (ca.folder / "localhost-rsa2048.key").write_bytes((ca.folder / "localhost-ec.key").read_bytes())
    with pytest.raises(ConfigError, match=r"^ocpp\[1\]\.tls: .*rsa2048\.key: is not the key of"):
        async with running(ca):
            pass


# Central systems that aren't ours


class Heard(NamedTuple):
    authorization: str | None
    common_name: str | None


@asynccontextmanager
async def central_system(tls: ssl.SSLContext) -> AsyncIterator[tuple[Office, list[Heard]]]:
    opened, heard = Office(CentralSystem), list[Heard]()

    def note(connection: Any, request: Any) -> None:
        certificate = connection.transport.get_extra_info("peercert") or {}
        names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
        heard.append(Heard(request.headers.get("Authorization"), names[0] if names else None))

    protocols = [websockets.Subprotocol("ocpp1.6")]
    async with websockets.serve(
        opened.serve, "127.0.0.1", 0, subprotocols=protocols, ssl=tls, process_request=note
    ) as server:
        opened.port = server.sockets[0].getsockname()[1]
        yield opened, heard


def foreign_server(ca: Authority, *, certificates: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca.file)
    context.load_cert_chain(ca.folder / "localhost-ec.pem", ca.folder / "localhost-ec.key")
    if certificates:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def basic(user: str, password: bytes) -> str:
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()


async def test_our_station_at_a_central_system_that_isn_t_ours(ca: Authority) -> None:
    async def visit(port: int, central: Office, **options: Any) -> None:
        file = StationFile(id="CP 7", csms=f"wss://localhost:{port}/ocpp", **options)
        hardware = SimulatedHardware(simulated_evses(file))
        session = StationSession(station_config(file), dialect_of(file), MemoryJournal(), hardware, uplink_of(file))
        task = asyncio.create_task(session.run())
        await central.until(lambda: bool(central.told("BootNotification")))
        await session.stop()
        await task

    async with central_system(foreign_server(ca)) as (central, heard):
        await visit(central.port, central, password=HEXADECIMAL, ca_directory=ca.file)
        assert heard == [Heard(basic("CP 7", bytes.fromhex(HEXADECIMAL)), None)], "the octets (OCPP-J 1.6 errata 3.10)"
    own = ca.issue("CP 7", client=True)
    async with central_system(foreign_server(ca, certificates=True)) as (central, heard):
        tls = ClientTls(ca=ca.file, certificate=own.certificate, key=own.key)
        await visit(central.port, central, password=HEXADECIMAL, tls=tls)
        assert heard == [Heard(None, "CP 7")]


# The controller


SITE = """
[site.grid]
name = "house"
rating_a = 63

[[site.evses]]
station_id = "CP1"
rotation = "L1 L2 L3"

[upstream]
url = "wss://localhost:{port}/ocpp"
passwords = {{ CP1 = "{password}" }}

[upstream.tls]
ca = "Test-Root.pem"
{more}

[ocpp.tls]
certificate = "localhost-ec.pem"
key = "localhost-ec.key"
client_ca = "Test-Root.pem"

[controller.offline]
mode = "strict"
"""


@asynccontextmanager
async def controller(ca: Authority, port: int, more: str = "") -> AsyncIterator[int]:
    path = ca.folder / "site.toml"
    path.write_text(SITE.format(port=port, password=HEXADECIMAL, more=more))
    file = load_site(path)
    assert file.upstream is not None
    assert file.ocpp.tls is not None
    assert HEXADECIMAL not in repr(file)
    server = controller_server(file, file.upstream.url, upstream_context(file, file.upstream.url))
    await server.start(port=0, tls=server_tls(file.ocpp.tls, "ocpp"))
    try:
        yield server.port
    finally:
        await server.stop(0.5)


async def test_a_controller_between_both_sides_with_tls(estate: Estate, caplog: pytest.LogCaptureFixture) -> None:
    ca = estate.ca
    await estate.enter("CP1", 2, HEXADECIMAL)
    own, other = ca.issue("CP1", client=True), ca.issue("CP2", client=True)
    with caplog.at_level(logging.DEBUG):
        async with controller(ca, estate.ports[PASSWORD]) as port:
            async with dial(port, "CP1", trust(ca, own)) as connection:
                assert (await boot(connection)).status == "Accepted"
            await estate.booted("CP1")
            assert await knock(port, "CP1", trust(ca, other)) == 403, "the certificate of another"
            assert await knock(port, "CP1", trust(ca)) == 0, "none"
            await stations.set_password(estate.csms.context, "CP1", TEXT)
            assert await knock(port, "CP1", trust(ca, own)) == 401, "what the CSMS says is said on"
    for secret in (HEXADECIMAL, base64.b64encode(b"CP1:" + bytes.fromhex(HEXADECIMAL)).decode()):
        assert secret not in caplog.text


async def test_a_controller_shows_a_certificate_to_a_central_system_that_isn_t_ours(ca: Authority) -> None:
    own, site = ca.issue("CP1", client=True), ca.issue("site-7", client=True)
    more = 'certificate = "site-7-ec.pem"\nkey = "site-7-ec.key"'
    assert Path(site.key).name == "site-7-ec.key"
    async with (
        central_system(foreign_server(ca, certificates=True)) as (central, heard),
        controller(ca, central.port, more) as port,
        dial(port, "CP1", trust(ca, own)) as connection,
    ):
        assert (await boot(connection)).status == "Accepted"
        assert heard == [Heard(basic("CP1", bytes.fromhex(HEXADECIMAL)), "site-7")]


async def test_an_upstream_that_isn_t_trusted_gets_no_password(ca: Authority) -> None:
    other = Authority(ca.folder, "Other Root")
    false = other.issue("localhost", file="false")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(false.certificate, false.key)
    own = ca.issue("CP1", client=True)
    async with central_system(context) as (central, heard), controller(ca, central.port) as port:
        assert await knock(port, "CP1", trust(ca, own)) == 503
        assert heard == []


def test_a_client_context_follows_a_renewed_certificate(ca: Authority) -> None:
    own = ca.issue("CP1", client=True)
    context = client_context(ClientTls(ca=ca.file, certificate=own.certificate, key=own.key))
    ca.issue("CP1", client=True)
    assert context.reload()
    Path(own.key).chmod(0o644)
    assert not context.reload(), "and its key stays for its owner only"


async def test_changes_of_a_station_s_profile_count_from_the_next_connection_on(estate: Estate) -> None:
    await estate.enter("CP1", 1, TEXT)
    assert await knock(estate.ports[PLAIN], "CP1", None, TEXT) == 101
    assert await knock(estate.ports[PASSWORD], "CP1", trust(estate.ca), TEXT) == 101, "A05: it is on its way up"
    await stations.update_station(estate.csms.context, "CP1", StationChanges(security_profile=2))
    assert await knock(estate.ports[PLAIN], "CP1", None, TEXT) == 403, "A05.FR.09"
