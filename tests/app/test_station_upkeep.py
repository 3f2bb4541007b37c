# mypy: disable-error-code="untyped-decorator"
"""`forecourt station` as a process: firmware, logs and certificates, with real file servers and a real authority."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from ocpp.routing import on
from ocpp.v16 import call, call_result
from ocpp.v16.enums import Action
from tests.app.stations import station_process
from tests.hardware.file_servers import Shelf, ftp_server, http_server
from tests.hardware.made_authority import MadeAuthority
from tests.net.authority import Authority
from tests.net.central_v16 import CentralSystem, Office, office

from forecourt.net.tls import ServerTls, server_context

SECRET = "00112233445566778899aabbccddeeff"


class UpkeepSystem(CentralSystem):
    """Takes reports of updates and uploads, and signing requests."""

    @on(Action.firmware_status_notification)
    def on_firmware(self, **payload: Any) -> Any:
        self._note("FirmwareStatusNotification", payload)
        return call_result.FirmwareStatusNotification()

    @on(Action.signed_firmware_status_notification)
    def on_signed_firmware(self, **payload: Any) -> Any:
        self._note("SignedFirmwareStatusNotification", payload)
        return call_result.SignedFirmwareStatusNotification()

    @on(Action.diagnostics_status_notification)
    def on_diagnostics(self, **payload: Any) -> Any:
        self._note("DiagnosticsStatusNotification", payload)
        return call_result.DiagnosticsStatusNotification()

    @on(Action.log_status_notification)
    def on_log(self, **payload: Any) -> Any:
        self._note("LogStatusNotification", payload)
        return call_result.LogStatusNotification()

    @on(Action.security_event_notification)
    def on_security_event(self, **payload: Any) -> Any:
        self._note("SecurityEventNotification", payload)
        return call_result.SecurityEventNotification()

    @on(Action.sign_certificate)
    def on_sign(self, **payload: Any) -> Any:
        self._note("SignCertificate", payload)
        return call_result.SignCertificate("Accepted")


def written(folder: Path, central: Office, more: str = "") -> Path:
    path = folder / "station.toml"
    path.write_text(
        f"""
id = "CP1"
csms = "ws://127.0.0.1:{central.port}/ocpp"
password = "{SECRET}"
security_profile = 0
{more}
[backoff]
wait_minimum_s = 0.1
random_range_s = 0.0
repeat_times = 0
[variables]
CpoName = "Test"
""",
        encoding="utf-8",
    )
    return path


def statuses(central: Office, action: str) -> list[str]:
    return [told["status"] for told in central.told(action)]


async def booted(central: Office, times: int = 1) -> None:
    await central.until(lambda: len(central.told("StatusNotification")) >= 2 * times)


async def test_a_signed_update_and_all_logs(tmp_path: Path) -> None:
    """L01, N01, and OCPP 1.6 §6.23 by way of the command."""
    shelf = Shelf()
    maker = MadeAuthority("Maker", at=datetime.now(UTC))
    signer = maker.issue("Signer", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    firmware = b"firmware " * 20_000
    shelf.files["/fw.bin"] = firmware
    ca = Authority(tmp_path)
    pair = ca.issue("localhost")
    tls = server_context(ServerTls(certificate=pair.certificate, key=pair.key))
    state_dir = tmp_path / "state"
    async with office(UpkeepSystem) as central, http_server(shelf, tls) as https, ftp_server(shelf) as ftp:
        config = written(tmp_path, central, f'transfer_ca = "{ca.file}"')
        async with station_process(config, "--state-dir", str(state_dir)):
            await booted(central)
            system = central.newest
            now = datetime.now(UTC).isoformat()
            assert await system.call(call.UpdateFirmware(f"{https}/fw.bin", now)) is None, "L01.FR.20: an error"

            root = call.InstallCertificate("ManufacturerRootCertificate", maker.root.pem)
            assert (await system.call(root)).status == "Accepted"
            order = {
                "location": f"{https}/fw.bin",
                "retrieve_date_time": now,
                "signing_certificate": signer.pem,
                "signature": signer.sign(firmware),
            }
            assert (await system.call(call.SignedUpdateFirmware(request_id=7, firmware=order))).status == "Accepted"
            await central.until(lambda: "Installed" in statuses(central, "SignedFirmwareStatusNotification"))
            told = statuses(central, "SignedFirmwareStatusNotification")
            assert told[:4] == ["Downloading", "Downloaded", "SignatureVerified", "Installing"]
            assert (state_dir / "firmware" / "current.bin").read_bytes() == firmware
            await booted(central, 2)

            system = central.newest
            got = await system.call(
                call.GetLog(log={"remote_location": https}, log_type="DiagnosticsLog", request_id=8)
            )
            assert got.status == "Accepted"
            await central.until(lambda: "Uploaded" in statuses(central, "LogStatusNotification"))
            log = call.GetLog(log={"remote_location": f"{ftp}/logs"}, log_type="SecurityLog", request_id=9)
            security = await system.call(log)
            await central.until(lambda: statuses(central, "LogStatusNotification").count("Uploaded") == 2)
            plain = await system.call(call.GetDiagnostics(ftp))
            await central.until(lambda: "Uploaded" in statuses(central, "DiagnosticsStatusNotification"))
        diagnostics = shelf.files[f"/{got.filename}"].decode()
        assert '"BootNotification"' in diagnostics
        assert '"OCPPCommCtrlr.HeartbeatInterval"' in diagnostics
        assert SECRET not in diagnostics
        assert "FirmwareUpdated" in shelf.files[f"/logs/{security.filename}"].decode()
        assert shelf.files[f"/{plain.file_name}"].decode().startswith('{"station":"CP1"')


async def test_firmware_without_a_signature_is_taken_where_the_owner_says_so(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.files["/fw.bin"] = b"firmware"
    async with office(UpkeepSystem) as central, http_server(shelf) as http:
        async with station_process(written(tmp_path, central, "unsigned_firmware = true")):
            await booted(central)
            wanted = call.UpdateFirmware(f"{http}/fw.bin", datetime.now(UTC).isoformat())
            assert await central.newest.call(wanted) is not None
            await central.until(lambda: "Installed" in statuses(central, "FirmwareStatusNotification"))
        assert statuses(central, "FirmwareStatusNotification") == [
            "Downloading",
            "Downloaded",
            "Installing",
            "Installed",
        ]


async def test_certificates_are_asked_for_kept_listed_and_deleted(tmp_path: Path) -> None:
    """A02, M03 to M05 by way of the command; keys are for their owner's eyes."""
    state_dir = tmp_path / "state"
    operator = MadeAuthority("Operator", at=datetime.now(UTC))
    async with office(UpkeepSystem) as central:
        async with station_process(written(tmp_path, central), "--state-dir", str(state_dir)) as station:
            await booted(central)
            system = central.newest
            listing = call.GetInstalledCertificateIds("CentralSystemRootCertificate")
            assert (await system.call(listing)).status == "NotFound"
            root = call.InstallCertificate("CentralSystemRootCertificate", operator.root.pem)
            assert (await system.call(root)).status == "Accepted"
            (installed,) = (await system.call(listing)).certificate_hash_data

            trigger = call.ExtendedTriggerMessage("SignChargePointCertificate")
            assert (await system.call(trigger)).status == "Accepted"
            await central.until(lambda: bool(central.told("SignCertificate")))
            pem = operator.answer(central.told("SignCertificate")[0]["csr"])
            assert (await system.call(call.CertificateSigned(pem))).status == "Accepted"
            await central.until(lambda: len(central.connections) == 2)
            await station.until(lambda state: state["connected"])

            system = central.newest
            assert (await system.call(call.DeleteCertificate(installed))).status == "Accepted"
            assert (await system.call(listing)).status == "NotFound"
        keys = list((state_dir / "keys").rglob("*.key"))
        assert [stat.S_IMODE(key.stat().st_mode) for key in keys] == [0o600]
        journals = list(state_dir.glob("journal.sqlite*"))
        assert {stat.S_IMODE(file.stat().st_mode) for file in journals} == {0o600}, "passwords are in there"
    told = [told for told in central.told("SecurityEventNotification") if told["type"].startswith("Reconfiguration")]
    assert len({event["tech_info"] for event in told}) == 3
