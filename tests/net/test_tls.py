"""TLS policies as OpenSSL's own client sees them; files that can't work; files that are replaced. A real authority."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.net.authority import Authority, Pair
from tests.net.peers import Listen, within

from forecourt.net import tls, tls_alerts
from forecourt.net.certificates import CertificateError, check_owner_only, read_roots, subject_of
from forecourt.net.client import connect
from forecourt.net.connection import ConnectFailed, Connection, Receiver
from forecourt.net.tls import ClientCertificates, ClientTls, ServerTls, TlsPolicy, client_context, server_context
from forecourt.net.tls_alerts import explain, tls_security_event

OPENSSL = shutil.which("openssl")


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def listener(ca: Authority, **options: Any) -> ServerTls:
    both = (ca.issue("localhost", kind="ec"), ca.issue("localhost", kind="rsa2048"))
    return ServerTls(certificate=tuple(one.certificate for one in both), key=tuple(one.key for one in both), **options)


@asynccontextmanager
async def echo(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Takes TLS connections, and says what was agreed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agreed = writer.get_extra_info("ssl_object")
        writer.write(f"{agreed.version()} {agreed.cipher()[0]} reused={agreed.session_reused}\n".encode())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def s_client(port: int, *options: str) -> str | None:
    """What OpenSSL's client agreed on with the server: version and suite; None: nothing."""
    assert OPENSSL is not None
    arguments = ("s_client", "-connect", f"127.0.0.1:{port}", "-brief", *options)
    process = await asyncio.create_subprocess_exec(
        OPENSSL,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await within(process.communicate())
    lines = dict(line.split(": ", 1) for line in complaint.decode().splitlines() if ": " in line)
    if "Ciphersuite" not in lines:
        return None
    assert not said or lines["Protocol version"].encode() in said
    return f"{lines['Protocol version']} {lines['Ciphersuite']}"


OLD = "DEFAULT:@SECLEVEL=0"
OFFERS: dict[str, tuple[str, ...]] = {
    "TLSv1": ("-tls1", "-cipher", OLD),
    "TLSv1.1": ("-tls1_1", "-cipher", OLD),
    "TLSv1.2": ("-tls1_2",),
    "TLSv1.3": ("-tls1_3",),
    "ECDHE-ECDSA-AES128-GCM-SHA256": ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    "ECDHE-ECDSA-AES256-GCM-SHA384": ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    "ECDHE-RSA-AES128-GCM-SHA256": ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"),
    "ECDHE-RSA-CHACHA20-POLY1305": ("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"),
    "AES128-GCM-SHA256": ("-tls1_2", "-cipher", "AES128-GCM-SHA256"),
    "AES256-GCM-SHA384": ("-tls1_2", "-cipher", "AES256-GCM-SHA384"),
    "ECDHE-RSA-AES128-SHA": ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"),
    "ECDHE-ECDSA-AES256-SHA384": ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"),
    "AES128-SHA": ("-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"),
    "anonymous": ("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"),
    "unencrypted": ("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"),
    "short keys": ("-tls1_2", "-cipher", "LOW:EXP:DES:RC4:@SECLEVEL=0"),
}
SAFE = {
    "TLSv1.2", "TLSv1.3", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305",
}  # fmt: skip
OBLIGED = {"AES128-GCM-SHA256", "AES256-GCM-SHA384"}
ACCEPTED = {
    TlsPolicy.MODERN: SAFE,
    TlsPolicy.WHITEPAPER: SAFE | OBLIGED,
    TlsPolicy.INSPECT: SAFE
    | OBLIGED
    | {"TLSv1", "TLSv1.1", "AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"},
}


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")
@pytest.mark.parametrize("policy", list(TlsPolicy))
async def test_a_policy_accepts_what_it_says_and_nothing_else(ca: Authority, policy: TlsPolicy) -> None:
    async with echo(server_context(listener(ca, policy=policy))) as port:
        offers = {name: options for name, options in OFFERS.items() if not _unknown(options)}
        found = await asyncio.gather(*(s_client(port, *options) for options in offers.values()))
        agreed = {name: words for name, words in zip(offers, found, strict=True) if words is not None}
    assert set(agreed) == ACCEPTED[policy]
    for name, words in agreed.items():
        assert name in words.split()


def _unknown(options: tuple[str, ...]) -> bool:
    """Whether OpenSSL itself can't offer that any more."""
    if "-cipher" not in options:
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(options[-1])
    except ssl.SSLError:
        return True
    return False


async def test_a_client_is_told_why_it_is_refused(ca: Authority) -> None:
    async def alert(port: int, *options: str) -> str:
        assert OPENSSL is not None
        process = await asyncio.create_subprocess_exec(
            *(OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await within(process.communicate())
        return complaint.decode()

    foreign = Authority(ca.folder, "Other Root").issue("CP1", client=True)
    expired = ca.issue("CP2", client=True, ends_days=-1)
    async with echo(server_context(listener(ca, client_ca=ca.file))) as port:
        assert "alert protocol version" in await alert(port, "-tls1_1", "-cipher", OLD)
        assert "alert handshake failure" in await alert(port, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0")
        assert "alert certificate required" in await alert(port)
        assert "alert unknown ca" in await alert(port, "-cert", foreign.certificate, "-key", foreign.key)
        assert "alert certificate expired" in await alert(port, "-cert", expired.certificate, "-key", expired.key)


async def test_handshakes_are_bounded_in_number(
    ca: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context = server_context(listener(ca), most_handshakes=3)
    async with echo(context) as port:

        async def greet() -> str:
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=ssl.create_default_context(cafile=ca.file), server_hostname="localhost"
                )
                words = (await reader.readline()).decode()
                writer.close()
                return words.split()[0]

        for _ in range(10):
            assert await greet() == "TLSv1.3", "those that are over don't count"
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in idle:
            writer.write(b"\x16\x03\x01")  # the beginning of a greeting
        await asyncio.sleep(0.05)
        with pytest.raises(OSError):
            await greet()
        assert "too many handshakes at once" in caplog.text
        monkeypatch.setattr(tls_alerts, "_FORGOTTEN_AFTER_S", 0)
        assert await greet() == "TLSv1.3"
        for _, writer in idle:
            writer.close()


async def test_the_server_s_order_counts(ca: Authority) -> None:
    async with echo(server_context(listener(ca, policy=TlsPolicy.WHITEPAPER))) as port:
        agreed = await s_client(port, "-tls1_2", "-cipher", "AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
        assert agreed == "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_resumed_until_the_files_change(
    ca: Authority, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_LOOK_EVERY_S", 0)
    settings = ServerTls(**ca.issue("localhost")._asdict(), client_ca=ca.file)
    own = ca.issue("CP1", client=True)
    client = ssl.create_default_context(cafile=ca.file)
    client.load_cert_chain(own.certificate, own.key)
    client.minimum_version = client.maximum_version = version

    def visit(port: int, session: ssl.SSLSession | None) -> tuple[str, ssl.SSLSession | None]:
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            client.wrap_socket(raw, server_hostname="localhost", session=session) as secure,
        ):
            return secure.recv(200).decode(), secure.session

    context = server_context(settings)
    async with echo(context) as port:
        words, session = await asyncio.to_thread(visit, port, None)
        assert "reused=False" in words
        words, session = await asyncio.to_thread(visit, port, session)
        assert "reused=True" in words
        os.utime(ca.file)
        words, session = await asyncio.to_thread(visit, port, session)
        assert "reused=False" in words, "a root may be gone: whoever relied on it has to show its certificate"
        assert session is not None


def spoil(file: str) -> None:
    Path(file).write_text("half a key")


def common_name(certificate_der: bytes | None) -> str:
    assert certificate_der is not None
    found = subject_of(certificate_der)
    assert found is not None
    return found.common_names[0]


async def test_a_replaced_certificate_counts_from_the_next_handshake_on(
    ca: Authority, listen: Listen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "_LOOK_EVERY_S", 0)
    pair = ca.issue("old", file="server", names=("localhost",))
    house = await listen(tls=server_context(ServerTls(**pair._asdict())))
    url = f"wss://localhost:{house.port}/CP1"
    context = client_context(ClientTls(ca=ca.file))

    async def shown() -> str:
        connection = await connect(url, subprotocols=("ocpp1.6",), receiver=house.receive, tls=context)
        connections.append(connection)
        assert connection.tls is not None
        return common_name(connection.tls.peer_certificate_der)

    connections: list[Connection] = []
    assert await shown() == "old"
    ca.issue("new", file="server", names=("localhost",))
    assert await shown() == "new"
    assert all(connection.is_open for connection in connections), "the one under the old certificate stays"
    spoil(pair.key)
    with caplog.at_level(logging.ERROR):
        assert await shown() == "new"
        assert await shown() == "new"
    assert [record.getMessage() for record in caplog.records].count(
        f"the new certificates can't be used, the old ones stay: {pair.key}: has no private key in PEM"
    ) == 1
    ca.issue("newest", file="server", names=("localhost",))
    assert await shown() == "newest"


async def test_a_reload_can_be_asked_for(ca: Authority) -> None:
    context = server_context(ServerTls(**ca.issue("localhost", file="server")._asdict()))
    assert context.reload()
    spoil(str(ca.folder / "server.key"))
    assert not context.reload()


def test_what_is_wrong_with_a_file_is_said_by_its_name(ca: Authority, tmp_path: Path) -> None:
    good = ca.issue("good")

    def complaint(certificate: str, key: str | None, client_ca: str | None = None) -> str:
        with pytest.raises(CertificateError) as caught:
            server_context(ServerTls(certificate=certificate, key=key, client_ca=client_ca))
        return str(caught.value)

    other = ca.issue("other")
    expired = ca.issue("expired", ends_days=-0.5)
    early = ca.issue("early", begins_days=1)
    weak = ca.issue("weak", kind="rsa1024")
    garbage, empty = tmp_path / "garbage.pem", tmp_path / "empty"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    empty.mkdir()
    assert complaint(str(tmp_path / "none.pem"), good.key) == f"{tmp_path}/none.pem: No such file or directory"
    assert complaint(good.certificate, str(tmp_path / "none.key")) == f"{tmp_path}/none.key: No such file or directory"
    assert complaint(good.certificate, None) == f"{good.certificate}: has no private key in PEM"
    assert "malformed" in complaint(str(garbage), good.key)
    assert complaint(good.certificate, other.key) == (
        f"{other.key}: is not the key of the first certificate in {good.certificate}"
    )
    assert complaint(expired.certificate, expired.key).startswith(
        f"{expired.certificate}: O=Test CPO,CN=expired expired on "
    )
    assert "is not valid before" in complaint(early.certificate, early.key)
    assert "has a key of 1024 bits; at least 2048" in complaint(weak.certificate, weak.key)
    assert complaint(good.certificate, good.key, str(empty)).startswith(f"{empty}: the directory has no file")
    assert (
        complaint(good.certificate, good.key, good.key) == f"{good.key}: has no certificate in PEM, or a malformed one"
    )


def test_an_encrypted_key_is_refused_without_asking_for_its_passphrase(ca: Authority) -> None:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
    from cryptography.hazmat.primitives.serialization import load_pem_private_key as load

    pair = ca.issue("good")
    key = load(Path(pair.key).read_bytes(), None)
    Path(pair.key).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(CertificateError, match="encrypted"):
        server_context(ServerTls(**pair._asdict()))


@pytest.mark.skipif(os.name == "nt", reason="files have no such permissions there")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_client_s_key_is_for_its_owner_only(ca: Authority, mode: int) -> None:
    pair = ca.issue("CP1", client=True, key_file_mode=mode)
    with pytest.raises(CertificateError, match=f"{pair.key}: others than its owner may read the key"):
        client_context(ClientTls(ca=ca.file, **pair._asdict()))
    Path(pair.key).chmod(0o600)
    check_owner_only(Path(pair.key))
    client_context(ClientTls(ca=ca.file, **pair._asdict()))


def test_settings_that_contradict_themselves(ca: Authority) -> None:
    with pytest.raises(ValueError, match="key: as many"):
        ServerTls(certificate=("a", "b"), key="a")
    with pytest.raises(ValueError, match="client_ca: is missing"):
        ServerTls(certificate="a", client_certificates=ClientCertificates.REQUIRED)
    with pytest.raises(ValueError, match="certificate: is missing"):
        ClientTls(key="a")


def test_paths_are_relative_to_a_folder() -> None:
    settings = ServerTls(certificate="a.pem", client_ca="/etc/roots").beside(Path("/etc/forecourt"))
    assert settings.certificate == ("/etc/forecourt/a.pem",)
    assert settings.key is None
    assert settings.client_ca == "/etc/roots"
    assert ClientTls(ca="roots", server_name="x").beside(Path("/f")) == ClientTls(ca="/f/roots", server_name="x")


def test_a_directory_of_roots(tmp_path: Path) -> None:
    folder = tmp_path / "roots"
    folder.mkdir()
    Authority(folder, "One")
    Authority(folder, "Two")
    (folder / "README").write_text("no certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=read_roots(folder))
    assert context.cert_store_stats()["x509_ca"] == 2


# Clients: the server's path and name


async def refusal(listen: Listen, server: Pair, trusted: str, name: str | None = None) -> str:
    """Why a client of ours doesn't connect; "" when it does."""
    house = await listen(tls=foreign_tls(server))
    context = client_context(ClientTls(ca=trusted, server_name=name))
    url = f"wss://localhost:{house.port}/CP1"
    try:
        await connect(url, subprotocols=("ocpp1.6",), receiver=house.receive, tls=context)
    except ConnectFailed as failed:
        assert house.requests == [], "nothing was said to a server that isn't trusted"
        return str(failed)
    return ""


def foreign_tls(pair: Pair) -> ssl.SSLContext:
    """Whatever the pair is: a server that isn't ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(pair.certificate, pair.key)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


async def test_a_client_verifies_path_name_and_time(ca: Authority, listen: Listen, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Other Root")
    bare = ca.issue("localhost")
    assert await refusal(listen, bare, ca.file) == "", "A00.FR.308: the commonName, where there is nothing else"
    assert "unable to get local issuer" in await refusal(listen, bare, other.file)
    alternative = ca.issue("csms.example", names=("csms.example", "localhost"))
    assert await refusal(listen, alternative, ca.file) == ""
    wrong = ca.issue("csms.example", file="wrong")
    assert "not trusted: Hostname mismatch" in await refusal(listen, wrong, ca.file)
    assert await refusal(listen, wrong, ca.file, "csms.example") == "", "the name can be given"
    assert "not trusted: certificate has expired" in await refusal(listen, ca.issue("localhost", ends_days=-1), ca.file)
    assert "not trusted: unsuitable certificate purpose" in await refusal(
        listen, ca.issue("localhost", client=True), ca.file
    )
    weak = await refusal(listen, ca.issue("localhost", kind="rsa1024"), ca.file)
    assert "key too" in weak


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_hears_what_is_wrong_with_its_certificate(
    ca: Authority, listen: Listen, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In TLS 1.3 it hears so after its handshake."""
    rules = tls.PolicyRules(version, tls.POLICIES[TlsPolicy.MODERN].suites, 2)
    monkeypatch.setitem(tls.POLICIES, TlsPolicy.MODERN, rules)
    context = server_context(ServerTls(**ca.issue("localhost")._asdict(), client_ca=ca.file))
    if version is ssl.TLSVersion.TLSv1_2:
        context._current.maximum_version = version
    house = await listen(tls=context)
    foreign = Authority(ca.folder, "Other Root").issue("CP1", client=True)
    for own, said in (
        (None, "the server asks for a client certificate"),
        (foreign, "the server does not trust the issuer of our certificate"),
        (ca.issue("CP2"), "the server does not take our certificate"),
    ):
        client = ClientTls(ca=ca.file) if own is None else ClientTls(ca=ca.file, **own._asdict())
        with pytest.raises(ConnectFailed) as caught:
            await connect(
                f"wss://localhost:{house.port}/CP1", subprotocols=(), receiver=nobody, tls=client_context(client)
            )
        expected = {said, "the server and we have no TLS cipher suite in common"} if own is None else {said}
        assert str(caught.value) in expected, "TLS 1.2 has no alert for a missing certificate"


@pytest.mark.filterwarnings("ignore:ssl.OP_NO")
@pytest.mark.parametrize(
    ("options", "suites", "said"),
    [
        (ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3, "ALL", "the server speaks no version of TLS that is allowed here"),
        (ssl.OP_NO_TLSv1_3, "AES128-SHA", "the server and we have no TLS cipher suite in common"),
    ],
)
async def test_a_client_speaks_nothing_weaker_than_it_should(
    ca: Authority, options: ssl.Options, suites: str, said: str
) -> None:
    """Against a server that isn't asyncio's, as that drops the alert."""
    context = foreign_tls(ca.issue("localhost", kind="rsa2048"))
    context.options |= options
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            with accepted, contextlib.suppress(OSError):
                context.wrap_socket(accepted, server_side=True).close()

        serving = asyncio.create_task(asyncio.to_thread(serve))
        url = f"wss://localhost:{listening.getsockname()[1]}/CP1"
        with pytest.raises(ConnectFailed) as caught:
            await connect(url, subprotocols=(), receiver=nobody, tls=client_context(ClientTls(ca=ca.file)))
        await serving
    assert str(caught.value) == said


def nobody(connection: Connection) -> Receiver:
    raise AssertionError("nothing may connect")


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("UNSUPPORTED_PROTOCOL", "InvalidTLSVersion"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "InvalidTLSCipherSuite"),
        ("WRONG_VERSION_NUMBER", None),
        ("SOMETHING_NEW", None),
    ],
)
def test_failures_have_words_and_security_events(reason: str, event: str | None) -> None:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    assert tls_security_event(error) == event
    assert explain(error)
    assert tls_security_event(ssl.SSLCertVerificationError(1, "x")) == "InvalidCsmsCertificate"
