"""OCPP 1.6 compliancy test cases, SUT Central System: security (document of 2024-04, §3.21.1, §3.21.2, TC_085 to 087).

As `test_core.py`: an independent charge point, triggers by the public API only, nothing unsolicited; with TLS where the
case is about it. Beyond the tool: a certificate that the CSMS has signed is good for the next connection, and refused
once it is revoked.
"""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from forecourt.net.authority import LocalAuthority
from tests.net.authority import Authority
from tests.octt.csms import station_v16
from tests.octt.csms.running import CONFIGURATION, Api, Csms
from tests.octt.csms.station_v16 import ChargePoint, call, now

PASSWORD = "a-password-of-20-chr"
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""That a CSMS must offer (A00.FR.317), as OpenSSL names them."""


def basic(identity: str, password: str) -> dict[str, Any]:
    """The options of a connection with Basic Auth."""
    text = base64.b64encode(identity.encode() + b":" + password.encode()).decode()
    return {"additional_headers": {"authorization": f"Basic {text}"}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the CSMS of this module keeps its certificates."""
    return tmp_path_factory.mktemp("octt-tls")


@pytest.fixture(scope="module")
def server_root(house: Path) -> str:
    """The root of the CSMS's own certificates."""
    authority = Authority(house, "Server Root")
    for kind in ("ec", "rsa2048"):
        authority.issue("localhost", file=f"server-{kind}", kind=kind, names=("localhost",))
    return authority.file


@pytest.fixture(scope="module")
def root_pem(server_root: str) -> str:
    """A root that a charge point can be given."""
    return Path(server_root).read_text()


@pytest.fixture(scope="module")
def secure(house: Path, server_root: str) -> Iterator[Csms]:
    """A CSMS with a listener for profile 2, and one for profile 3; its authority's root is there before it starts."""
    asyncio.run(LocalAuthority(house / "authority", organization="OCTT").root())
    tls = (
        "[ocpp.tls]\n"
        'certificate = ["server-ec.pem", "server-rsa2048.pem"]\nkey = ["server-ec.key", "server-rsa2048.key"]\n'
        'policy = "whitepaper"\n'
    )
    second = '[[ocpp]]\nhost = "localhost"\nport = 0\n' + tls
    third = second + 'client_ca = "authority/root.pem"\n'
    running = Csms(house, second + third + CONFIGURATION)
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def secure_api(secure: Csms) -> AsyncIterator[Api]:
    async with secure.api() as api:
        yield api


def trusting(root: str, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=root)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


async def entered(api: Api, identity: str, password: str = PASSWORD) -> None:
    await api.post("/stations", {"id": identity})
    await api.put(f"/stations/{identity}/credentials", {"password": password})


# 3.21.1 Secure connection setup


async def test_tc_073_csms(csms: Csms, api: Api, identity: str) -> None:
    await entered(api, identity)
    async with station_v16.connected(csms.ocpp_url, identity, **basic(identity, PASSWORD)) as point:
        await point.boot()
        await api.post(f"/stations/{identity}/credentials/rotate", status=202)
        asked = await point.expect("ChangeConfiguration")
        assert asked["key"] == "AuthorizationKey"
    fresh = bytes.fromhex(asked["value"]).decode("latin-1")
    text = base64.b64encode(identity.encode() + b":" + fresh.encode("latin-1")).decode()
    options = {"additional_headers": {"authorization": f"Basic {text}"}}
    async with station_v16.connected(csms.ocpp_url, identity, **options) as point:
        await point.boot()
    with pytest.raises(websockets.InvalidStatus, match="401"):
        async with station_v16.connected(csms.ocpp_url, identity, **basic(identity, PASSWORD)):
            pass


class Key:
    """A station's key, and its requests for certificates."""

    def __init__(self, identity: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self.key, hashes.SHA256())
        self.csr = request.public_bytes(Encoding.PEM).decode()

    def beside(self, chain: str, file: Path) -> Path:
        """The certificate and the key in one file."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        file.touch(mode=0o600)
        file.write_text(chain + pem)
        return file


async def renewed(api: Api, point: ChargePoint, identity: str, answer: str) -> tuple[Key, str]:
    """Steps 1 to 6 of TC_074 and TC_077: the key, and the certificate that was brought."""
    point.answers["CertificateSigned"] = {"status": answer}
    await api.post(f"/stations/{identity}/certificates/renew", status=200)
    assert await point.expect("ExtendedTriggerMessage") == {"requestedMessage": "SignChargePointCertificate"}
    key = Key(identity)
    assert (await point.call(call.SignCertificate(key.csr))).status == "Accepted"
    return key, (await point.expect("CertificateSigned"))["certificateChain"]


async def certificate_of(api: Api, identity: str, state: str) -> Any:
    """The last one, once it is in that state."""

    async def last() -> Any:
        return (await api.get("/certificates", station_id=identity))["items"][0]

    return await api.eventually(last, lambda found: found["state"] == state)


async def test_tc_074_csms(secure: Csms, secure_api: Api, server_root: str, house: Path, identity: str) -> None:
    api = secure_api
    await entered(api, identity)
    options = {"ssl": trusting(server_root), **basic(identity, PASSWORD)}
    async with station_v16.connected(secure.ocpp_url, identity, **options) as point:
        await point.boot()
        key, chain = await renewed(api, point, identity, "Accepted")
        signed = await certificate_of(api, identity, "accepted")
    file = key.beside(chain, house / f"{identity}.pem")
    options = {"ssl": trusting(server_root, file)}
    async with station_v16.connected(secure.more_ocpp_urls[0], identity, **options) as point:
        await point.boot()
        # Beyond the tool: a revoked one closes what is open with it, and opens nothing.
        await api.post(f"/certificates/{signed['number']}/revoke", status=200)
    with pytest.raises(websockets.InvalidStatus, match="403"):
        async with station_v16.connected(secure.more_ocpp_urls[0], identity, **options):
            pass

    async def events() -> Any:
        return (await api.get("/security-events", station_id=identity))["items"]

    found = await api.eventually(events, len)
    assert [event["type"] for event in found] == ["InvalidChargingStationCertificate"]


USES = {"tc_075_1_csms": "ManufacturerRootCertificate", "tc_075_2_csms": "CentralSystemRootCertificate"}
OURS = {
    "ManufacturerRootCertificate": "ManufacturerRootCertificate",
    "CentralSystemRootCertificate": "CSMSRootCertificate",
}


async def installed(api: Api, point: ChargePoint, identity: str, word: str, pem: str) -> dict[str, str]:
    """A root is installed, and listed; how the charge point names it."""
    path = f"/stations/{identity}/certificates"
    await api.post(path, {"use": OURS[word], "certificate": pem}, status=200)
    assert await point.expect("InstallCertificate") == {"certificateType": word, "certificate": pem}
    (given,) = (await api.get(path))["items"]
    named = {
        "hash_algorithm": given["named"]["algorithm"],
        "issuer_name_hash": given["named"]["issuer_name_hash"],
        "issuer_key_hash": given["named"]["issuer_key_hash"],
        "serial_number": given["named"]["serial_number"],
    }
    point.answers["GetInstalledCertificateIds"] = {"status": "Accepted", "certificate_hash_data": [named]}
    await api.command("GET_INSTALLED_CERTIFICATE_IDS", identity, uses=[OURS[word]])
    assert await point.expect("GetInstalledCertificateIds") == {"certificateType": word}
    (listed,) = (await api.get(path))["items"]
    assert (listed["pem"], listed["named"]) == (pem, given["named"])
    return named


@pytest.mark.parametrize("word", USES.values(), ids=USES)
async def test_install_certificate(api: Api, point: ChargePoint, identity: str, root_pem: str, word: str) -> None:
    await installed(api, point, identity, word, root_pem)


async def test_tc_076_csms(api: Api, point: ChargePoint, identity: str, root_pem: str) -> None:
    named = await installed(api, point, identity, "CentralSystemRootCertificate", root_pem)
    path = f"/stations/{identity}/certificates"
    (listed,) = (await api.get(path))["items"]
    response = await api.client.delete(f"{path}/{listed['number']}", headers={"prefer": "wait=15"})
    assert response.json()["state"] == "accepted"
    deleted = (await point.expect("DeleteCertificate"))["certificateHashData"]
    # The hashes by other means than the CSMS's own.
    root = x509.load_pem_x509_certificate(root_pem.encode())
    builder = ocsp.OCSPRequestBuilder().add_certificate(root, root, hashes.SHA256())
    expected = builder.build()
    assert deleted == {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": expected.issuer_name_hash.hex(),
        "issuerKeyHash": expected.issuer_key_hash.hex(),
        "serialNumber": f"{root.serial_number:x}",
    }
    assert set(named.values()) == set(deleted.values())
    assert (await api.get(path))["items"] == []


# 3.21.2 Security events


async def test_tc_077_csms(api: Api, point: ChargePoint, identity: str) -> None:
    await renewed(api, point, identity, "Rejected")
    await certificate_of(api, identity, "rejected")
    await point.call(call.SecurityEventNotification("InvalidChargePointCertificate", now(), "not mine"))
    (event,) = (await api.get("/security-events", station_id=identity))["items"]
    assert (event["type"], event["critical"]) == ("InvalidChargingStationCertificate", True)


async def test_tc_078_csms(api: Api, point: ChargePoint, identity: str, root_pem: str) -> None:
    point.answers["InstallCertificate"] = {"status": "Rejected"}
    path = f"/stations/{identity}/certificates"
    command = await api.post(path, {"certificate": root_pem}, status=200)
    assert (await point.expect("InstallCertificate"))["certificateType"] == "CentralSystemRootCertificate"
    assert command["state"] == "rejected"
    await point.call(call.SecurityEventNotification("InvalidCentralSystemCertificate", now(), "not known"))
    (event,) = (await api.get("/security-events", station_id=identity))["items"]
    assert event["type"] == "InvalidCsmsCertificate"
    assert (await api.get(path))["items"] == []


# Connections


async def test_tc_085_csms(csms: Csms, api: Api, identity: str) -> None:
    await entered(api, identity)
    async with station_v16.connected(csms.ocpp_url, identity, **basic(identity, PASSWORD)) as point:
        await point.boot()
    with pytest.raises(websockets.InvalidStatus, match="401"):
        async with station_v16.connected(csms.ocpp_url, identity, **basic(identity, "another-one-of-20-ch")):
            pass


def handshake(url: str, root: str, suite: str) -> tuple[str, dict[str, Any]]:
    """The version that a TLS 1.2 handshake with that one suite comes to, and the server's certificate."""
    context = ssl.create_default_context(cafile=root)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        chosen = secured.cipher()
        assert chosen is not None
        assert chosen[0] == suite
        return secured.version() or "", dict(secured.getpeercert() or {})


async def test_tc_086_csms(secure: Csms, secure_api: Api, server_root: str, identity: str) -> None:
    for suite in SUITES:
        version, certificate = handshake(secure.ocpp_url, server_root, suite)
        assert version == "TLSv1.2"
        assert certificate["serialNumber"]
        assert (("commonName", "localhost"),) in certificate["subject"]
    await entered(secure_api, identity)
    options = {"ssl": trusting(server_root), **basic(identity, PASSWORD)}
    async with station_v16.connected(secure.ocpp_url, identity, **options) as point:
        await point.boot()


async def test_tc_087_csms(secure: Csms, secure_api: Api, server_root: str, house: Path, identity: str) -> None:
    key = Key(identity)
    signed = await LocalAuthority(house / "authority").issue(key.csr, identity, datetime.now(UTC))
    file = key.beside(signed.chain, house / f"{identity}.pem")
    url = secure.more_ocpp_urls[0]
    async with station_v16.connected(url, identity, ssl=trusting(server_root, file)) as point:
        await point.boot()
        assert (await secure_api.get(f"/stations/{identity}"))["security_profile"] == 3
    with pytest.raises((ssl.SSLError, websockets.InvalidMessage, ConnectionError)):
        async with station_v16.connected(url, identity, ssl=trusting(server_root)):
            pass
