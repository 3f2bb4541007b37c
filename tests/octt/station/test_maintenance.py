"""OCTT, Charge Point: firmware, diagnostics, certificates, security events and logs (TC_044, 045, 074 to 081).

Files really come from and go to servers that the tests start; certificates are of an authority that they make.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from ocpp.v16 import call

from forecourt.hardware.installer import FileInstaller
from forecourt.hardware.key_store import KeyStore
from forecourt.hardware.transfers import TransferSystem
from tests.hardware.file_servers import Shelf, ftp_server, http_server
from tests.hardware.made_authority import MadeAuthority
from tests.octt.station.bench import Bench, bench

FIRMWARE = b"firmware" * 1000
LONG_AGO = "2020-01-01T00:00:00Z"
CSMS_ROOT, MAKER_ROOT = "CentralSystemRootCertificate", "ManufacturerRootCertificate"


class Scene(NamedTuple):
    """A station with a system, and the server that it talks to."""

    station: Bench
    shelf: Shelf
    http: str
    ftp: str

    async def firmware(self, *statuses: str, signed: bool = False, **fields: Any) -> None:
        action = "SignedFirmwareStatusNotification" if signed else "FirmwareStatusNotification"
        for status in statuses:
            await self.station.tool.expect(action, status=status, **fields)


@asynccontextmanager
async def scene(folder: Path, *, security: bool = False) -> AsyncIterator[Scene]:
    shelf = Shelf()
    system = TransferSystem(folder / "system", FileInstaller(folder / "system"), lambda _, __: b"all is well\n")
    keys = {"CpoName": "Test"} if security else {}
    store = KeyStore(folder / "keys") if security else None
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_server(shelf))
        ftp = await stack.enter_async_context(ftp_server(shelf))
        stack.push_async_callback(system.close)
        station = await stack.enter_async_context(bench(keys=keys, system=system, security=store))
        yield Scene(station, shelf, http, ftp)


def authority(common_name: str) -> MadeAuthority:
    return MadeAuthority(common_name, at=datetime.now(UTC).replace(microsecond=0))


@pytest.mark.parametrize("protocol", ["http", "ftp"])
async def test_tc_044_1_cs_download_and_install(tmp_path: Path, protocol: str) -> None:
    async with scene(tmp_path) as on:
        on.shelf.files["/fw.bin"] = FIRMWARE
        await on.station.tool.ask(call.UpdateFirmware(f"{getattr(on, protocol)}/fw.bin", LONG_AGO))
        await on.firmware("Downloading", "Downloaded", "Installing")
        await on.station.tool.expect("BootNotification")
        await on.station.statuses("Available")
        await on.firmware("Installed")
        statuses = [one.payload["status"] for one in on.station.tool.told("FirmwareStatusNotification")]
        assert statuses == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert found(tmp_path / "system") == ["current.bin", "current.job"]


def found(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_tc_044_2_cs_download_failed(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.station.tool.ask(call.UpdateFirmware(f"{on.http}/none", LONG_AGO, retries=0))
        await on.firmware("Downloading", "DownloadFailed")


async def test_tc_044_3_cs_installation_failed(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        on.shelf.files["/empty"] = b""
        await on.station.tool.ask(call.UpdateFirmware(f"{on.http}/empty", LONG_AGO))
        await on.firmware("Downloading", "Downloaded", "Installing", "InstallationFailed")
        await on.station.status("Available")


@pytest.mark.parametrize("protocol", ["http", "ftp"])
async def test_tc_045_1_cs_get_diagnostics(tmp_path: Path, protocol: str) -> None:
    async with scene(tmp_path) as on:
        answer = await on.station.tool.ask(call.GetDiagnostics(f"{getattr(on, protocol)}/logs/"))
        await on.station.tool.expect("DiagnosticsStatusNotification", status="Uploading")
        await on.station.tool.expect("DiagnosticsStatusNotification", status="Uploaded")
        assert on.shelf.files[f"/logs/{answer.file_name}"] == b"all is well\n"


async def test_tc_045_2_cs_upload_failed(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.station.tool.ask(call.GetDiagnostics("ftp://127.0.0.1:1/files/failedLocation", retries=0))
        await on.station.tool.expect("DiagnosticsStatusNotification", status="Uploading")
        await on.station.tool.expect("DiagnosticsStatusNotification", status="UploadFailed")


# Certificates


def hash_data(certificate: x509.Certificate) -> dict[str, str]:
    """As the tool works it out by itself."""
    oracle = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, hashes.SHA256()).build()
    return {
        "hash_algorithm": "SHA256",
        "issuer_name_hash": oracle.issuer_name_hash.hex(),
        "issuer_key_hash": oracle.issuer_key_hash.hex(),
        "serial_number": f"{oracle.serial_number:x}",
    }


async def install(on: Scene, use: str, pem: str) -> str:
    answer = await on.station.tool.ask(call.InstallCertificate(certificate_type=use, certificate=pem))
    return str(answer.status)


async def installed(on: Scene, use: str) -> list[Any]:
    answer = await on.station.tool.ask(call.GetInstalledCertificateIds(certificate_type=use))
    assert answer.status == ("Accepted" if answer.certificate_hash_data else "NotFound")
    return list(answer.certificate_hash_data or [])


async def csr(on: Scene) -> str:
    answer = await on.station.tool.ask(call.ExtendedTriggerMessage(requested_message="SignChargePointCertificate"))
    assert answer.status == "Accepted"
    return str((await on.station.tool.expect("SignCertificate")).payload["csr"])


async def test_tc_074_cs_update_of_the_certificate(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        made = authority("Operator")
        assert await install(on, CSMS_ROOT, made.root.pem) == "Accepted"
        pem = made.answer(await csr(on))
        connections = len(on.station.tool.connections)
        assert (await on.station.tool.ask(call.CertificateSigned(pem))).status == "Accepted"
        await on.station.tool.until(lambda: len(on.station.tool.connections) > connections)


async def install_and_list(on: Scene, use: str) -> dict[str, str]:
    made = authority("Root")
    assert await install(on, use, made.root.pem) == "Accepted"
    named = hash_data(made.root.certificate)
    assert await installed(on, use) == [named]
    return named


async def test_tc_075_1_cs_install_a_manufacturer_root(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        await install_and_list(on, MAKER_ROOT)


async def test_tc_075_2_cs_install_a_central_system_root(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        await install_and_list(on, CSMS_ROOT)


async def test_tc_076_cs_delete_a_certificate(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        named = await install_and_list(on, CSMS_ROOT)
        assert (await on.station.tool.ask(call.DeleteCertificate(named))).status == "Accepted"
        assert await installed(on, CSMS_ROOT) == []


# Security events and logs


async def test_tc_077_cs_invalid_charge_point_certificate(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        pem = authority("Stranger").answer(await csr(on))
        assert (await on.station.tool.ask(call.CertificateSigned(pem))).status == "Rejected"
        await on.station.tool.expect("SecurityEventNotification", type="InvalidChargePointCertificate")


async def test_tc_078_cs_invalid_central_system_certificate(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        expired = authority("Root").issue("Old", ca=True, issuer=None, begins_days=-9, ends_days=-1)
        assert await install(on, CSMS_ROOT, expired.pem) == "Rejected"
        await on.station.tool.expect("SecurityEventNotification", type="InvalidCentralSystemCertificate")


async def test_tc_079_cs_get_security_log(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        log = {"remote_location": f"{on.http}/logs"}
        answer = await on.station.tool.ask(call.GetLog(log=log, log_type="SecurityLog", request_id=9))
        assert answer.status == "Accepted"
        await on.station.tool.expect("LogStatusNotification", status="Uploading", request_id=9)
        await on.station.tool.expect("LogStatusNotification", status="Uploaded", request_id=9)
        assert b"StartupOfTheDevice" in on.shelf.files[f"/logs/{answer.filename}"]


# Secure firmware


async def update(on: Scene, signature_of: bytes) -> None:
    made = authority("Maker")
    assert await install(on, MAKER_ROOT, made.root.pem) == "Accepted"
    signer = made.issue("Signer")
    on.shelf.files["/fw.bin"] = FIRMWARE
    firmware = {
        "location": f"{on.http}/fw.bin",
        "retrieve_date_time": LONG_AGO,
        "signing_certificate": signer.pem,
        "signature": signer.sign(signature_of),
    }
    answer = await on.station.tool.ask(call.SignedUpdateFirmware(request_id=3, firmware=firmware))
    assert answer.status == "Accepted"


async def test_tc_080_cs_secure_firmware_update(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        await update(on, FIRMWARE)
        await on.firmware("Downloading", "Downloaded", "SignatureVerified", "Installing", signed=True, request_id=3)
        await on.station.tool.expect("BootNotification")
        await on.station.tool.expect("SecurityEventNotification", type="FirmwareUpdated")
        await on.station.statuses("Available")
        await on.firmware("Installed", signed=True, request_id=3)


async def test_tc_081_cs_invalid_signature(tmp_path: Path) -> None:
    async with scene(tmp_path, security=True) as on:
        await update(on, FIRMWARE + b"!")
        await on.firmware("Downloading", "Downloaded", "InvalidSignature", signed=True, request_id=3)
        await on.station.tool.expect("SecurityEventNotification", type="InvalidFirmwareSignature")
