"""Certificates: asked for, checked, signed, accepted, revoked, renewed; roots on stations; security events; vendors."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from forecourt.csms.vendors import Vendor
from forecourt.csms.work import Work
from forecourt.domain.requests import DataTransfer, DataTransferAnswer, DataTransferStatus
from tests.api.houses import OPEN, House, Station, house

WAIT = {"prefer": "wait=5"}


def csr(common_name: str, organization: str = "Example CPO", key: Any = None) -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, organization)]
    subject = x509.Name([x509.NameAttribute(kind, text) for kind, text in names])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


async def told(station: Station, action: str) -> Any:
    async with asyncio.timeout(10):
        frame = msgspec.json.decode(await station.frames.get())
    assert frame[2] == action
    return frame[3]


async def sign(station: Station, request: str) -> str:
    return str((await station.call("SignCertificate", {"csr": request}))["status"])


async def newest(house: House, state: str) -> Any:
    async def found() -> bool:
        return bool((await house.get("/certificates"))["items"][0]["state"] == state)

    await house.eventually(found)
    return (await house.get("/certificates"))["items"][0]


async def test_one_is_signed_accepted_replaced_and_revoked(house: House, tmp_path: Path) -> None:
    answer = {"status": "Accepted"}
    async with house.station("CS1", lambda _action, _payload: answer) as station:
        assert await sign(station, csr("CS1")) == "Accepted"
        chain = (await told(station, "CertificateSigned"))["certificateChain"]
        leaf = x509.load_pem_x509_certificate(chain.encode())
        root = x509.load_pem_x509_certificate((await house.get("/certificates/root"))["pem"].encode())
        leaf.verify_directly_issued_by(root)
        first = await newest(house, "accepted")
        assert first["serial_number"] == f"{leaf.serial_number:x}"
        assert (first["station_id"], first["subject"]) == ("CS1", leaf.subject.rfc4514_string())

        answer["status"] = "Rejected"
        assert await sign(station, csr("CS1", key=rsa.generate_private_key(65537, 2048))) == "Accepted"
        await told(station, "CertificateSigned")
        await newest(house, "rejected")
        assert (await house.get(f"/certificates/{first['number']}"))["state"] == "accepted"

        answer["status"] = "Accepted"
        assert await sign(station, csr("CS1")) == "Accepted"
        second = await newest(house, "accepted")
        assert (await house.get(f"/certificates/{first['number']}"))["state"] == "replaced"

        revoked = await house.ask("POST", f"/certificates/{second['number']}/revoke", 200)
        assert revoked["state"] == "revoked"
        await house.ask("POST", f"/certificates/{second['number']}/revoke", 409)
        pem = (await house.get("/certificates/revocation-list"))["pem"]
        listed = x509.load_pem_x509_crl(pem.encode())
        assert listed.get_revoked_certificate_by_serial_number(int(second["serial_number"], 16)) is not None
    # Keys are their owner's only.
    assert (tmp_path / "authority" / "root.key").stat().st_mode & 0o777 == 0o600


async def test_somebody_elses_is_revoked_by_its_serial_number(house: House) -> None:
    made = await house.ask("POST", "/certificates/revocations", 201, json={"serial_number": "00:AB:cd", "note": "lost"})
    assert (made["serial_number"], made["state"], made["station_id"]) == ("abcd", "revoked", None)
    await house.ask("POST", "/certificates/revocations", 409, json={"serial_number": "abcd"})
    for wrong in ("0", "-1", "x", "1_0", "f" * 41):
        await house.ask("POST", "/certificates/revocations", 422, json={"serial_number": wrong})
    await house.ask("POST", "/certificates/revocations", 201, json={"serial_number": "f" * 40})
    assert "X509 CRL" in (await house.get("/certificates/revocation-list"))["pem"]
    assert len((await house.get("/certificates?serial_number=ABCD"))["items"]) == 1


async def test_what_is_not_the_stations_is_refused(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, cpo_names=("Example CPO",))
    async with house(tmp_path, csms_settings=settings) as made, made.station("CS1") as station:
        weak = rsa.generate_private_key(65537, 1024)
        for request, why in (
            (csr("CS2"), "commonName"),
            (csr("CS1", "Others"), "organizationName"),
            (csr("CS1", key=weak), "2048"),
            ("-----BEGIN CERTIFICATE REQUEST-----", "PKCS#10"),
        ):
            assert await sign(station, request) == "Rejected"
            found = (await made.get("/certificates"))["items"][0]
            assert (found["state"], why in found["detail"]) == ("refused", True)
        assert station.frames.empty()


async def test_one_that_was_never_answered_is_sent_again_at_boot(house: House) -> None:
    async with house.station("CS1", lambda _action, _payload: None) as station:
        assert await sign(station, csr("CS1")) == "Accepted"
        await told(station, "CertificateSigned")
    async with house.station("CS1") as station:
        await told(station, "CertificateSigned")
        await newest(house, "accepted")


async def test_one_that_runs_out_is_asked_for_anew(tmp_path: Path) -> None:
    resources = msgspec.structs.replace(OPEN.resources, renew_before_s=400 * 86_400.0)
    settings = msgspec.structs.replace(OPEN, sweep_interval_s=0.2, resources=resources)
    async with house(tmp_path, csms_settings=settings) as made, made.station("CS1") as station:
        await sign(station, csr("CS1"))
        await told(station, "CertificateSigned")
        assert (await told(station, "ExtendedTriggerMessage"))["requestedMessage"] == "SignChargePointCertificate"
        assert (await made.get("/certificates"))["items"][0]["renewal_requested_at"] is not None
        # Once a day, not at every turn.
        await asyncio.sleep(0.5)
        assert station.frames.empty()


async def test_roots_on_a_station(house: House) -> None:
    installed: list[dict[str, str]] = []

    def answer(action: str, payload: Any) -> Any:
        if action == "GetInstalledCertificateIds":
            return {"status": "Accepted", "certificateHashData": installed} if installed else {"status": "NotFound"}
        if action == "DeleteCertificate":
            installed.remove(payload["certificateHashData"])
        return {"status": "Accepted"}

    path = "/stations/CS1/certificates"
    ids = {"station_id": "CS1", "uses": ["CSMSRootCertificate"]}
    async with house.station("CS1", answer):
        command = await house.ask("POST", path, 200, json={}, headers=WAIT)
        assert command["payload"]["certificateType"] == "CentralSystemRootCertificate"
        (given,) = (await house.get(path))["items"]
        named = given["named"]
        installed.append(
            {
                "hashAlgorithm": "SHA256",
                "issuerNameHash": named["issuer_name_hash"].upper(),
                "issuerKeyHash": named["issuer_key_hash"],
                "serialNumber": named["serial_number"],
            }
        )
        await house.ask("POST", "/commands/GET_INSTALLED_CERTIFICATE_IDS", 200, json=ids, headers=WAIT)
        (listed,) = (await house.get(path))["items"]
        assert listed["pem"] == given["pem"]
        await house.ask("DELETE", f"{path}/{listed['number']}", 200, headers=WAIT)
        assert installed == []
        assert (await house.get(path))["items"] == []
        await house.ask("POST", path, 422, json={"certificate": "nothing"})
        renewing = await house.ask("POST", f"{path}/renew", 200, headers=WAIT)
        assert renewing["action"] == "ExtendedTriggerMessage"


async def test_security_events_of_stations_and_our_own(house: House) -> None:
    async with house.station("CS1") as station:
        now = datetime.now(UTC).isoformat()
        await station.call(
            "SecurityEventNotification",
            {"type": "InvalidCentralSystemCertificate", "timestamp": now, "techInfo": "expired"},
        )
    await house.ask("PUT", "/stations/CS1/credentials", 204, json={"password": "0123456789abcdef"})
    for _ in range(3):
        url, protocols = f"ws://127.0.0.1:{house.csms.port}/ocpp/CS1", [websockets.Subprotocol("ocpp1.6")]
        with pytest.raises(websockets.InvalidStatus, match="401"):
            await websockets.connect(url, subprotocols=protocols)

    async def both() -> bool:
        return len((await house.get("/security-events"))["items"]) == 2

    await house.eventually(both)
    own, reported = (await house.get("/security-events"))["items"]
    assert (own["origin"], own["type"], own["station_id"]) == ("csms", "StationFailedToAuthenticate", "CS1")
    assert (reported["type"], reported["critical"], reported["info"]) == ("InvalidCsmsCertificate", True, "expired")
    for query in ("origin=csms", "type=StationFailedToAuthenticate", "critical=false", "station_id=CS1&limit=1"):
        found = (await house.get(f"/security-events?{query}"))["items"]
        assert [entry["number"] for entry in found] == [own["number"]]
    assert await house.get(f"/security-events/{own['number']}") == own
    assert (await house.get("/security-events?created_to=2020-01-01T00:00:00Z"))["items"] == []


async def test_vendors_answer_their_messages(tmp_path: Path) -> None:
    def spot(work: Work, request: DataTransfer) -> DataTransferAnswer:
        if request.content == "broken":
            raise RuntimeError
        content = f"{work.station.id}: {request.content}"
        return DataTransferAnswer(outcome=DataTransferStatus.ACCEPTED, content=content)

    vendors = [Vendor(vendor_id="com.acme", message_id="Spot", answer=spot)]
    async with house(tmp_path, known_vendors=vendors) as made, made.station("CS1") as station:
        asked = {"vendorId": "com.acme", "messageId": "Spot", "data": "3"}
        assert await station.call("DataTransfer", asked) == {"status": "Accepted", "data": "CS1: 3"}
        assert (await station.call("DataTransfer", {**asked, "messageId": "x"}))["status"] == "UnknownMessageId"
        assert (await station.call("DataTransfer", {"vendorId": "x"}))["status"] == "UnknownVendorId"
        assert (await station.call("DataTransfer", {**asked, "data": "broken"}))[2] == "InternalError"
        assert (await station.call("DataTransfer", asked))["status"] == "Accepted"
