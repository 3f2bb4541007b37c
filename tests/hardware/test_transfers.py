"""Real transfers: from and to servers that the tests start, with signatures of an authority that they make."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.hardware.file_servers import Shelf, ftp_server, http_server
from tests.hardware.made_authority import MadeAuthority, Signer
from tests.net.authority import Authority

from forecourt.domain.clock import Now
from forecourt.domain.firmware import LogType, LogUploadStatus
from forecourt.hardware.installer import FileInstaller
from forecourt.hardware.transfers import TransferSystem, verify
from forecourt.station.effects import (
    CancelFirmware,
    CancelUpload,
    ConfirmFirmware,
    DownloadFirmware,
    InstallFirmware,
    SystemEffect,
    UploadLog,
    VerifyFirmware,
)
from forecourt.station.inputs import FirmwareProgress, FirmwareStep, SystemInput, UploadProgress

NOW = Now(0.0, 0.0, datetime(2025, 6, 2, tzinfo=UTC))
FIRMWARE = bytes(range(256)) * 1000


class Driven:
    """A system whose news are awaited."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.system = TransferSystem(
            folder,
            FileInstaller(folder),
            lambda oldest, latest: b"diagnostics",
            timeout_s=5.0,
            **options,  # type: ignore[arg-type]
        )
        self._woken = asyncio.Event()
        self.system.wake = self._woken.set

    async def ask(self, effect: SystemEffect) -> SystemInput:
        self._woken.clear()
        if at_once := self.system.carry_out(effect, NOW):
            return at_once[0]
        await asyncio.wait_for(self._woken.wait(), 20)
        (news,) = self.system.advance(NOW)
        return news


@asynccontextmanager
async def driven(folder: Path, **options: object) -> AsyncIterator[Driven]:
    one = Driven(folder, **options)
    try:
        yield one
    finally:
        await one.system.close()


def step_of(news: SystemInput) -> FirmwareStep:
    assert isinstance(news, FirmwareProgress)
    return news.step


def found(folder: Path, pattern: str) -> list[str]:
    return sorted(file.name for file in folder.glob(pattern))


async def upload(one: Driven, location: str, log_type: LogType = LogType.DIAGNOSTICS) -> LogUploadStatus:
    news = await one.ask(UploadLog(1, log_type, location, "name.log", lines=('{"a":1}', '{"b":2}')))
    assert isinstance(news, UploadProgress)
    return news.upload_status


def rsa_signer() -> Signer:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return MadeAuthority().issue("Signer", key=key)


@pytest.mark.parametrize("make", [rsa_signer, lambda: MadeAuthority().issue("Signer")], ids=["RSA-PSS", "ECDSA"])
async def test_tc_080_fetched_verified_installed_and_confirmed(tmp_path: Path, make: object) -> None:
    signer = make()  # type: ignore[operator]
    shelf = Shelf()
    shelf.files["/fw.bin"] = FIRMWARE
    async with http_server(shelf) as base, driven(tmp_path) as one:
        assert step_of(await one.ask(DownloadFirmware(3, f"{base}/fw.bin"))) is FirmwareStep.DOWNLOADED
        good = VerifyFirmware(3, signer.pem, signer.sign(FIRMWARE))
        assert step_of(await one.ask(good)) is FirmwareStep.SIGNATURE_VALID
        for wrong in (
            VerifyFirmware(3, signer.pem, signer.sign(FIRMWARE + b"x")),
            VerifyFirmware(3, rsa_signer().pem, good.signature),
            VerifyFirmware(3, signer.pem, "no base64!"),
            VerifyFirmware(3, "no PEM", good.signature),
        ):
            assert step_of(await one.ask(wrong)) is FirmwareStep.SIGNATURE_INVALID
        assert step_of(await one.ask(ConfirmFirmware(3))) is FirmwareStep.NOT_BEGUN
        assert step_of(await one.ask(InstallFirmware(3))) is FirmwareStep.REBOOT_NEEDED
        assert (tmp_path / "current.bin").read_bytes() == FIRMWARE
    async with driven(tmp_path) as again:
        assert step_of(await again.ask(ConfirmFirmware(3))) is FirmwareStep.INSTALLED
        assert step_of(await again.ask(ConfirmFirmware(4))) is FirmwareStep.INSTALL_FAILED


async def test_tc_044_2_what_can_not_be_fetched(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.files["/large"] = bytes(2000)
    async with http_server(shelf) as base, ftp_server(shelf) as ftp, driven(tmp_path, largest_bytes=1000) as one:
        for location in (
            f"{base}/none",
            f"{base}/large",
            f"{ftp}/none",
            f"{ftp}/large",
            f"{ftp.replace('secret', 'wrong')}/large",
            f"{ftp}/a%0d%0aDELE%20b",
            "http://127.0.0.1:1/x",
            "gopher://x/y",
            "no address",
            "http://[broken",
            "",
        ):
            assert step_of(await one.ask(DownloadFirmware(1, location))) is FirmwareStep.DOWNLOAD_FAILED, location
        assert step_of(await one.ask(VerifyFirmware(1, "", ""))) is FirmwareStep.DOWNLOAD_FAILED, "it is gone"
        assert step_of(await one.ask(InstallFirmware(1))) is FirmwareStep.INSTALL_FAILED
    assert not found(tmp_path, "*.bin")


async def test_tc_044_3_firmware_that_can_not_be_installed(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.files["/empty"] = b""
    async with http_server(shelf) as base, driven(tmp_path) as one:
        await one.ask(DownloadFirmware(1, f"{base}/empty"))
        assert step_of(await one.ask(InstallFirmware(1))) is FirmwareStep.INSTALL_FAILED


async def test_https_verifies_the_server(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("localhost", names=("localhost",))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair.certificate, pair.key)
    trusting = ssl.create_default_context(cafile=authority.file)
    shelf = Shelf()
    shelf.files["/fw"] = FIRMWARE
    async with http_server(shelf, server) as base:
        async with driven(tmp_path / "a", tls=trusting) as one:
            assert step_of(await one.ask(DownloadFirmware(1, f"{base}/fw"))) is FirmwareStep.DOWNLOADED
            assert await upload(one, f"{base}/logs/") is LogUploadStatus.UPLOADED
        async with driven(tmp_path / "b") as one:
            assert step_of(await one.ask(DownloadFirmware(1, f"{base}/fw"))) is FirmwareStep.DOWNLOAD_FAILED
            assert await upload(one, f"{base}/logs/") is LogUploadStatus.UPLOAD_FAILURE


async def test_ftp_both_ways(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.files["/some folder/fw"] = FIRMWARE
    async with ftp_server(shelf) as base, driven(tmp_path) as one:
        assert step_of(await one.ask(DownloadFirmware(1, f"{base}/some%20folder/fw"))) is FirmwareStep.DOWNLOADED
        assert (tmp_path / "firmware-1.bin").read_bytes() == FIRMWARE
        assert await upload(one, f"{base}/logs/") is LogUploadStatus.UPLOADED
        assert shelf.files["/logs/name.log"] == b"diagnostics"
        assert await upload(one, base, LogType.SECURITY) is LogUploadStatus.UPLOADED
        assert shelf.files["/name.log"] == b'{"a":1}\n{"b":2}\n'
        shelf.refuses = 553
        assert await upload(one, base) is LogUploadStatus.PERMISSION_DENIED
        assert await upload(one, base.replace("secret", "wrong")) is LogUploadStatus.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("refuses", "status"),
    [
        (None, LogUploadStatus.UPLOADED),
        (400, LogUploadStatus.BAD_MESSAGE),
        (403, LogUploadStatus.PERMISSION_DENIED),
        (405, LogUploadStatus.NOT_SUPPORTED_OPERATION),
        (500, LogUploadStatus.UPLOAD_FAILURE),
    ],
)
async def test_tc_045_and_n01_fr_10_how_an_upload_ends(
    tmp_path: Path, refuses: int | None, status: LogUploadStatus
) -> None:
    shelf = Shelf()
    shelf.refuses = refuses
    async with http_server(shelf) as base, driven(tmp_path) as one:
        assert await upload(one, f"{base}/logs?a=b") is status
        assert shelf.asked == ["PUT /logs/name.log?a=b"]
        assert await upload(one, "sftp://x/") is LogUploadStatus.NOT_SUPPORTED_OPERATION
        assert await upload(one, "ftp://127.0.0.1:1/files/failedLocation") is LogUploadStatus.UPLOAD_FAILURE


async def test_l01_fr_26_what_is_given_up_says_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.files["/fw"] = FIRMWARE
    shelf.stalls = True
    async with http_server(shelf) as base, driven(tmp_path) as one:
        one.system.carry_out(DownloadFirmware(1, f"{base}/fw"), NOW)
        one.system.carry_out(UploadLog(1, LogType.DIAGNOSTICS, base, "x.log"), NOW)
        async with asyncio.timeout(10):
            while not found(tmp_path, "*.part") or len(shelf.asked) < 2:  # noqa: ASYNC110 - nobody tells of a file
                await asyncio.sleep(0.01)
        one.system.carry_out(CancelFirmware(1), NOW)
        one.system.carry_out(CancelUpload(1), NOW)
        one.system.carry_out(DownloadFirmware(1, f"{base}/fw"), NOW)
        one.system.carry_out(CancelFirmware(1), NOW)
        shelf.stalls = False
        assert step_of(await one.ask(DownloadFirmware(2, f"{base}/fw"))) is FirmwareStep.DOWNLOADED
    assert found(tmp_path, "*") == ["firmware-2.bin"]


def test_verify_reads_the_whole_file(tmp_path: Path) -> None:
    signer = MadeAuthority().issue("Signer")
    file = tmp_path / "fw"
    file.write_bytes(FIRMWARE)
    signature = signer.sign(FIRMWARE)
    assert verify(file, signer.pem, f"{signature[:20]}\n{signature[20:]}"), "line breaks are no content"
    file.write_bytes(FIRMWARE[:-1] + b"!")
    assert not verify(file, signer.pem, signature)
