"""Updates of the firmware, in virtual time, named by requirement."""

from collections import deque
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateUse
from forecourt.domain.events import FirmwareStatusReported, StationBooted
from forecourt.domain.firmware import FirmwareStatus
from forecourt.domain.requests import TriggeredMessage
from forecourt.domain.station import BootReason
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.inputs import FirmwareStep
from tests.hardware.made_authority import MadeAuthority
from tests.station.bench import BOB, ONE, START, TWO, Bench
from tests.station.upkeep_bench import UpkeepBench

SIGNED = msgspec.structs.replace(ONE, security_extension=True, plain_jobs_without_id=True)


def plain(**options: object) -> r.UpdateFirmware:
    return msgspec.structs.replace(r.UpdateFirmware(location="http://x/fw.bin", retrieve_at=START), **options)


def online(**options: object) -> UpkeepBench:
    bench = UpkeepBench(**options)  # type: ignore[arg-type]
    bench.connect()
    return bench


class Maker:
    """A manufacturer whose root the station trusts."""

    def __init__(self, bench: UpkeepBench) -> None:
        self.authority = MadeAuthority("Manufacturer")
        bench.trusts(self.authority, CertificateUse.MANUFACTURER_ROOT)
        self.signer = self.authority.issue("Signer")

    def update(self, **options: object) -> r.UpdateFirmware:
        base = plain(
            request_id=7, signing_certificate=self.signer.pem, signature=self.signer.sign(b"x"), retrieve_at=START
        )
        return msgspec.structs.replace(base, **options)


def test_tc_044_1_download_and_install() -> None:
    bench = online()
    assert bench.ask(plain()).outcome == "Accepted"
    assert bench.firmware() == ["Downloading"]
    bench.run(5)
    assert bench.firmware() == ["Downloading", "Downloaded", "Installing"]
    assert bench.states(1)[-1] == "Unavailable"
    bench.run(10)
    assert bench.took(e.Reboot), "it restarts into the new firmware"
    again = bench.reborn()
    again.connect()
    assert again.csms.told(StationBooted)[-1].reason is BootReason.FIRMWARE_UPDATE
    assert again.firmware()[-1] == "Installed"
    assert again.states(1)[-1] == "Available"
    assert "firmware" not in again.journal.load()


def test_tc_044_2_download_failed_after_its_retries() -> None:
    bench = online()
    bench.system.downloads = deque([FirmwareStep.DOWNLOAD_FAILED] * 3)
    bench.ask(plain(retries=2, retry_interval_s=20))
    bench.run(54)
    assert len([x for x in bench.system.asked if isinstance(x, e.DownloadFirmware)]) == 3, "errata 3.50: retries"
    assert bench.firmware() == ["Downloading"]
    bench.run(20)
    assert bench.firmware() == ["Downloading", "DownloadFailed"]
    assert bench.states(1)[-1] == "Available"


def test_tc_044_3_installation_failed_gives_the_connectors_back() -> None:
    bench = online()
    bench.system.installs = deque([FirmwareStep.INSTALL_FAILED])
    bench.ask(plain())
    bench.run(60)
    assert bench.firmware() == ["Downloading", "Downloaded", "Installing", "InstallationFailed"]
    assert bench.states(1)[-2:] == ["Unavailable", "Available"]
    assert bench.states(2)[-2:] == ["Unavailable", "Available"]


def test_5_19_nothing_is_fetched_before_the_retrieve_date() -> None:
    bench = online()
    bench.ask(plain(retrieve_at=START + timedelta(seconds=500)))
    bench.run(499)
    assert not [x for x in bench.system.asked if isinstance(x, e.DownloadFirmware)]
    bench.run(2)
    assert bench.firmware()[-1] == "Downloading"


def test_l01_fr_06_and_07_installation_waits_for_transactions_and_nothing_new_starts() -> None:
    bench = online()
    bench.charging(1)
    bench.ask(plain())
    bench.run(60)
    assert bench.firmware() == ["Downloading", "Downloaded", "InstallScheduled"]
    assert bench.states(2)[-1] == "Unavailable", "those not in use don't wait"
    assert bench.states(1)[-1] == "Charging"
    bench.plug(2)
    bench.tap(BOB, 2)
    assert bench.station.parts.evses[2].transaction is None
    bench.unplug(1)
    assert bench.firmware()[-1] == "Installing"
    assert bench.states(1)[-1] == "Unavailable"


def test_availability_that_the_csms_took_away_stays_away_after_an_update() -> None:
    from forecourt.domain.station import OperationalStatus

    bench = online()
    bench.ask(r.ChangeAvailability(evse_id=1, operational_status=OperationalStatus.INOPERATIVE))
    bench.system.installs = deque([FirmwareStep.INSTALLED])
    bench.ask(plain())
    bench.run(60)
    assert bench.firmware()[-1] == "Installed"
    assert bench.states(1)[-1] == "Unavailable"
    assert bench.states(2)[-1] == "Available"


def test_tc_080_a_signed_update(tmp_path: Path) -> None:
    bench = online(folder=tmp_path, capabilities=SIGNED)
    maker = Maker(bench)
    assert bench.ask(maker.update()).outcome == "Accepted"
    bench.run(16)
    told = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"]
    assert bench.firmware() == told
    again = bench.reborn(capabilities=SIGNED)
    again.connect()
    assert again.firmware() == [*told, "Installed"]
    assert {event.request_id for event in again.csms.told(FirmwareStatusReported)} == {7}, "L01.FR.10"
    assert "FirmwareUpdated" in again.security()


def test_tc_081_an_invalid_signature(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    maker = Maker(bench)
    bench.system.signatures = deque([FirmwareStep.SIGNATURE_INVALID])
    bench.ask(maker.update())
    bench.run(60)
    assert bench.firmware() == ["Downloading", "Downloaded", "InvalidSignature"]
    assert "InvalidFirmwareSignature" in bench.security()
    assert not [x for x in bench.system.asked if isinstance(x, e.InstallFirmware)]


def test_l01_a_missing_signature_is_an_invalid_one(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    bench.ask(Maker(bench).update(signature=None))
    bench.run(60)
    assert bench.firmware()[-1] == "InvalidSignature"


def test_l01_fr_24_and_02_an_invalid_certificate_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    maker = Maker(bench)
    stranger = MadeAuthority("Stranger").issue("Signer")
    expired = maker.authority.issue("Signer", ends_days=-0.5)
    for pem in (stranger.pem, expired.pem, "nonsense"):
        assert bench.ask(maker.update(signing_certificate=pem)).outcome == "InvalidCertificate"
    assert bench.security().count("InvalidFirmwareSigningCertificate") == 3
    assert not bench.firmware()
    assert not bench.system.asked


def test_l01_fr_25_a_revoked_certificate(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    maker = Maker(bench)
    (tmp_path / "revoked").mkdir()
    (tmp_path / "revoked" / "list.pem").write_bytes(maker.authority.revocation_list(maker.signer.certificate))
    assert bench.ask(maker.update()).outcome == "RevokedCertificate"


@pytest.mark.parametrize(("allowed", "answered"), [(None, False), (False, False), (True, True)])
def test_l01_fr_20_unsigned_firmware_where_signatures_can_be_verified(
    tmp_path: Path, allowed: bool | None, answered: bool
) -> None:
    bench = online(folder=tmp_path, unsigned_firmware=allowed)
    assert (bench.ask(plain()) is not None) is answered
    assert bool(bench.took(e.Refuse)) is not answered


def test_without_a_system_updates_are_not_supported() -> None:
    bench = Bench()
    bench.connect()
    assert bench.ask(plain()) is None
    assert bench.ask(r.GetLog(location="http://x/")) is None
    assert len(bench.took(e.Refuse)) == 2


def test_l01_fr_16_installs_at_its_date(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    maker = Maker(bench)
    bench.ask(maker.update(install_at=START + timedelta(hours=1)))
    bench.run(3590)
    assert bench.firmware()[-1] == "InstallScheduled"
    assert bench.states(1)[-1] == "Available", "until then it charges"
    bench.run(11)
    assert "Installing" in bench.firmware()


def test_l01_fr_26_a_new_request_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    maker = Maker(bench)
    bench.ask(maker.update(request_id=1))
    bench.run(1)
    assert bench.ask(maker.update(request_id=2)).outcome == "AcceptedCanceled"
    bench.run(5)
    told = bench.csms.told(FirmwareStatusReported)
    assert [event.firmware_status.value for event in told if event.request_id == 1] == ["Downloading"]
    assert [event.firmware_status.value for event in told if event.request_id == 2][:2] == ["Downloading", "Downloaded"]


def test_l01_fr_27_what_is_being_installed_can_not_be_given_up(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    maker = Maker(bench)
    bench.ask(maker.update(request_id=1))
    bench.run(6)
    assert bench.firmware()[-1] == "Installing"
    assert bench.ask(maker.update(request_id=2)).outcome == "Rejected"
    bench.run(11)
    assert bench.took(e.Reboot)


def test_an_update_given_up_while_it_waits_for_idle_gives_the_connectors_back(tmp_path: Path) -> None:
    bench = online(folder=tmp_path)
    maker = Maker(bench)
    bench.charging(1)
    bench.ask(maker.update(request_id=1))
    bench.run(6)
    assert bench.states(2)[-1] == "Unavailable"
    bench.ask(maker.update(request_id=2, retrieve_at=START + timedelta(days=1)))
    assert bench.states(2)[-1] == "Available"
    assert bench.firmware()[-1] == "DownloadScheduled"


def trigger(bench: Bench, *, extended: bool) -> FirmwareStatusReported:
    asked = r.TriggerMessage(requested_message=TriggeredMessage.FIRMWARE_STATUS_NOTIFICATION, extended=extended)
    assert bench.ask(asked).outcome == "Accepted"
    return bench.csms.told(FirmwareStatusReported)[-1]


def test_l01_fr_28_and_29_what_a_trigger_hears(tmp_path: Path) -> None:
    bench = online(folder=tmp_path, capabilities=SIGNED)
    maker = Maker(bench)
    idle = FirmwareStatusReported(firmware_status=FirmwareStatus.IDLE, extended=True)
    assert trigger(bench, extended=True) == idle
    bench.ask(maker.update())
    assert trigger(bench, extended=True).firmware_status is FirmwareStatus.DOWNLOADING
    assert trigger(bench, extended=False).request_id is None
    bench.system.installs = deque([FirmwareStep.INSTALL_FAILED])
    bench.run(60)
    told = trigger(bench, extended=True)
    assert (told.firmware_status, told.request_id) == (FirmwareStatus.INSTALLATION_FAILED, 7)
    assert trigger(bench, extended=False).firmware_status is FirmwareStatus.IDLE, "OCPP 1.6 §4.5"
    bench.system.installs = deque([FirmwareStep.INSTALLED])
    bench.ask(maker.update(request_id=8))
    bench.run(60)
    assert trigger(bench, extended=True) == idle


def test_statuses_that_come_up_offline_are_told_in_order_later() -> None:
    bench = online()
    bench.ask(plain())
    bench.disconnect()
    bench.run(6)
    bench.connect()
    assert bench.firmware() == ["Downloading", "Downloaded", "Installing"]


@pytest.mark.parametrize("seconds", [0, 2, 6, 14])
@pytest.mark.parametrize("capabilities", [SIGNED, TWO], ids=["extension", "numbered"])
def test_a_power_cut_at_any_stage_ends_in_installed_firmware(
    tmp_path: Path, seconds: float, capabilities: object
) -> None:
    bench = online(folder=tmp_path, capabilities=capabilities)
    maker = Maker(bench)
    bench.ask(maker.update())
    bench.run(seconds)
    again = bench.reborn(capabilities=capabilities)
    again.connect()
    again.run(60)
    if again.took(e.Reboot):
        again = again.reborn(capabilities=capabilities)
        again.connect()
    assert again.firmware()[-1] == "Installed"
    assert again.firmware()[0] == "Downloading"
    assert len(set(again.firmware())) == len(again.firmware()), "each state is told once"
    assert again.states(1)[-1] == "Available"
    assert "firmware" not in again.journal.load()


def test_a_restart_that_never_happens_is_a_failed_installation() -> None:
    bench = online()
    bench.ask(plain())
    bench.run(60)
    assert bench.firmware()[-1] == "InstallRebooting"
    for _ in range(3):
        bench.tell(i.RebootFailed())
    assert bench.firmware()[-1] == "InstallationFailed"
    assert bench.states(1)[-1] == "Available"


def test_answers_to_what_is_no_longer_wanted_change_nothing() -> None:
    bench = online()
    bench.ask(plain())
    for step in FirmwareStep:
        bench.tell(i.FirmwareProgress(99, step))
    under_way = bench.took(e.DownloadFirmware)[-1].job_id
    bench.tell(i.FirmwareProgress(under_way, FirmwareStep.INSTALLED))
    assert bench.firmware() == ["Downloading"]
