"""A system that really transfers: firmware comes, and logs go, by HTTP, HTTPS, FTP, FTPS and SFTP.

Guarantees
* It is a `station.ports.System` on an event loop: it never blocks it, and calls `wake` when `advance` has news.
* Firmware is a file in `folder` only when all of it has come; what is larger than `largest_bytes` is given up.
* A signature is verified over the whole file: RSA-PSS with SHA-256 for an RSA key (security white paper L01.FR.04).
  For a key on an elliptic curve it is ECDSA with SHA-256: nobody signs by ECSchnorr, which that requirement names.
* HTTPS and FTPS verify the server's certificate, by `tls` or else by the roots of the operating system. FTP is passive
  (L01, N01, remarks). SFTP verifies the server's key, and is there only with `sftp`, which says whose.
* How an upload failed is told as precisely as the server says it (N01.FR.10). A protocol that is unknown fails a
  download, and is NotSupportedOperation for an upload.
* Nothing a server or an address does raises; user names and passwords of an address are not logged.
"""

import asyncio
import base64
import binascii
import ftplib
import hashlib
import io
import logging
import os
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.firmware import LogType, LogUploadStatus
from forecourt.hardware.installer import Installer
from forecourt.hardware.sftp_access import SftpAccess, SftpFailed
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

log = logging.getLogger(__name__)

_CHUNK: Final = 65_536
_FTP_DENIED: Final = ("530", "532", "550", "553")
_HTTP_STATUS: Final = {
    400: LogUploadStatus.BAD_MESSAGE,
    401: LogUploadStatus.PERMISSION_DENIED,
    403: LogUploadStatus.PERMISSION_DENIED,
    405: LogUploadStatus.NOT_SUPPORTED_OPERATION,
    501: LogUploadStatus.NOT_SUPPORTED_OPERATION,
}
_WRONG: Final[tuple[type[Exception], ...]] = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    ftplib.Error,
    OSError,
    EOFError,
    ValueError,
)


class TransferSystem:
    """The system of one station. `diagnostics` gives the content of that log between two times."""

    def __init__(
        self,
        folder: Path,
        installer: Installer,
        diagnostics: Callable[[datetime | None, datetime | None], bytes],
        *,
        tls: ssl.SSLContext | None = None,
        sftp_access: SftpAccess | None = None,
        timeout_s: float = 60.0,
        largest_bytes: int = 2**31,
    ) -> None:
        """OSError: `folder` can't be made."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.wake: Callable[[], None] = lambda: None
        """Called on the event loop when there is news: whoever drives the station asks `advance` then."""
        self._folder = folder
        self._installer = installer
        self._diagnostics = diagnostics
        self._tls = tls
        self._sftp = sftp_access
        self._timeout_s = timeout_s
        self._largest_bytes = largest_bytes
        self._news: deque[SystemInput] = deque()
        self._firmware_task: asyncio.Task[None] | None = None
        self._upload_task: asyncio.Task[None] | None = None

    # As a port

    @property
    def protocols(self) -> tuple[str, ...]:
        """What it can fetch from and upload to."""
        return ("FTP", "FTPS", "HTTP", "HTTPS", *(() if self._sftp is None else ("SFTP",)))

    def carry_out(self, effect: SystemEffect, now: Now) -> Sequence[SystemInput]:  # noqa: ARG002 - of the port
        """Begin to do it. To be called on the event loop."""
        match effect:
            case DownloadFirmware():
                self._firmware(effect.job_id, lambda: self._download(effect), FirmwareStep.DOWNLOAD_FAILED)
            case VerifyFirmware():
                self._firmware(effect.job_id, lambda: self._verify(effect), FirmwareStep.DOWNLOAD_FAILED)
            case InstallFirmware():
                self._firmware(effect.job_id, lambda: self._install(effect.job_id), FirmwareStep.INSTALL_FAILED)
            case ConfirmFirmware():
                return (FirmwareProgress(effect.job_id, self._confirm(effect.job_id)),)
            case CancelFirmware():
                _cancel(self._firmware_task)
                for suffix in (".bin", ".part", ".begun"):
                    self._file(effect.job_id).with_suffix(suffix).unlink(missing_ok=True)
            case UploadLog():
                _cancel(self._upload_task)
                self._upload_task = asyncio.get_running_loop().create_task(self._upload(effect))
            case CancelUpload():
                _cancel(self._upload_task)
        return ()

    def advance(self, now: Now) -> Sequence[SystemInput]:  # noqa: ARG002 - of the port
        """What has come of it."""
        news = tuple(self._news)
        self._news.clear()
        return news

    def next_deadlines(self) -> Deadlines:
        """None: `wake` is called."""
        return Deadlines()

    async def close(self) -> None:
        """Give everything up."""
        tasks = [task for task in (self._firmware_task, self._upload_task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Firmware

    def _file(self, job_id: int) -> Path:
        return self._folder / f"firmware-{job_id}.bin"

    def _firmware(self, job_id: int, doing: Callable[[], Awaitable[FirmwareStep]], failed: FirmwareStep) -> None:
        _cancel(self._firmware_task)
        self._firmware_task = asyncio.get_running_loop().create_task(self._report(job_id, doing, failed))

    async def _report(self, job_id: int, doing: Callable[[], Awaitable[FirmwareStep]], failed: FirmwareStep) -> None:
        info = ""
        try:
            step = await doing()
        except _WRONG as error:
            step, info = failed, _short(error)
            log.warning("firmware: %s: %s", step, info)
        self._tell(FirmwareProgress(job_id, step, info))

    async def _download(self, wanted: DownloadFirmware) -> FirmwareStep:
        parts = urlsplit(wanted.location)
        file = self._file(wanted.job_id)
        fresh = file.with_suffix(".part")
        if parts.scheme in {"http", "https"}:
            await self._download_http(wanted.location, fresh)
        elif parts.scheme in {"ftp", "ftps"}:
            await self._in_thread(lambda stop: self._download_ftp(parts, fresh, stop))
        elif parts.scheme == "sftp" and self._sftp is not None:
            await (await asyncio.to_thread(_sftp)).download(
                self._sftp, parts, fresh, self._largest_bytes, self._timeout_s
            )
            await asyncio.to_thread(_file_to_disk, fresh)
        else:
            raise ValueError(f"no such protocol: {parts.scheme or 'none'}")
        fresh.replace(file)
        return FirmwareStep.DOWNLOADED

    async def _download_http(self, location: str, fresh: Path) -> None:
        size = 0
        async with self._client() as client, client.stream("GET", location) as response:
            response.raise_for_status()
            with fresh.open("wb") as stream:
                async for chunk in response.aiter_bytes(_CHUNK):
                    size += len(chunk)
                    if size > self._largest_bytes:
                        raise ValueError("the firmware is too large")
                    await asyncio.to_thread(stream.write, chunk)
                await asyncio.to_thread(_to_disk, stream)

    def _download_ftp(self, parts: SplitResult, fresh: Path, stop: threading.Event) -> None:
        size = 0
        with self._ftp(parts) as ftp, fresh.open("wb") as stream:

            def take(chunk: bytes) -> None:
                nonlocal size
                size += len(chunk)
                if stop.is_set() or size > self._largest_bytes:
                    raise ValueError("given up, or too large")
                stream.write(chunk)

            ftp.retrbinary(f"RETR {_path(parts)}", take, _CHUNK)
            _to_disk(stream)

    async def _verify(self, wanted: VerifyFirmware) -> FirmwareStep:
        file = self._file(wanted.job_id)
        sound = await asyncio.to_thread(verify, file, wanted.signing_certificate, wanted.signature)
        return FirmwareStep.SIGNATURE_VALID if sound else FirmwareStep.SIGNATURE_INVALID

    async def _install(self, job_id: int) -> FirmwareStep:
        file = self._file(job_id)
        if not await asyncio.to_thread(file.exists):
            return FirmwareStep.INSTALL_FAILED
        await asyncio.to_thread(file.with_suffix(".begun").touch)
        return await self._installer.install(job_id, file)

    def _confirm(self, job_id: int) -> FirmwareStep:
        file = self._file(job_id)
        begun = file.with_suffix(".begun")
        if file.exists() and not begun.exists():
            return FirmwareStep.NOT_BEGUN
        begun.unlink(missing_ok=True)
        return self._installer.confirm(job_id)

    # Logs

    async def _upload(self, wanted: UploadLog) -> None:
        try:
            status = await self._try_upload(wanted)
        except _WRONG as error:
            denied = isinstance(error, ftplib.error_perm) and str(error).startswith(_FTP_DENIED)
            known = LogUploadStatus.PERMISSION_DENIED if denied else None
            if isinstance(error, SftpFailed):
                known = error.upload_status
            status = known or LogUploadStatus.UPLOAD_FAILURE
            log.warning("log: %s: %s", status, _short(error))
        self._tell(UploadProgress(wanted.job_id, status))

    async def _try_upload(self, wanted: UploadLog) -> LogUploadStatus:
        if wanted.log_type is LogType.SECURITY:
            content = "".join(f"{line}\n" for line in wanted.lines).encode()
        else:
            content = await asyncio.to_thread(self._diagnostics, wanted.oldest_at, wanted.latest_at)
        parts = urlsplit(wanted.location)
        if parts.scheme in {"http", "https"}:
            path = f"{parts.path.rstrip('/')}/{wanted.filename}"
            async with self._client() as client:
                response = await client.put(parts._replace(path=path).geturl(), content=content)
            if response.is_success:
                return LogUploadStatus.UPLOADED
            return _HTTP_STATUS.get(response.status_code, LogUploadStatus.UPLOAD_FAILURE)
        if parts.scheme in {"ftp", "ftps"}:
            await self._in_thread(lambda stop: self._upload_ftp(parts, wanted.filename, content, stop))
            return LogUploadStatus.UPLOADED
        if parts.scheme == "sftp" and self._sftp is not None:
            await (await asyncio.to_thread(_sftp)).upload(self._sftp, parts, wanted.filename, content, self._timeout_s)
            return LogUploadStatus.UPLOADED
        return LogUploadStatus.NOT_SUPPORTED_OPERATION

    def _upload_ftp(self, parts: SplitResult, filename: str, content: bytes, stop: threading.Event) -> None:
        def check(_: bytes) -> None:
            if stop.is_set():
                raise ValueError("given up")

        folder = _path(parts).rstrip("/")
        with self._ftp(parts) as ftp:
            ftp.storbinary(
                f"STOR {folder}/{filename}" if folder else f"STOR {filename}", io.BytesIO(content), _CHUNK, check
            )

    # Inside

    def _client(self) -> httpx.AsyncClient:
        verified = self._tls if self._tls is not None else True
        return httpx.AsyncClient(verify=verified, timeout=self._timeout_s, follow_redirects=True, trust_env=False)

    def _ftp(self, parts: SplitResult) -> ftplib.FTP:
        """Connected and logged in; passive."""
        if parts.hostname is None:
            raise ValueError("no host")
        context = self._tls or ssl.create_default_context()
        ftp = ftplib.FTP_TLS(context=context) if parts.scheme == "ftps" else ftplib.FTP()  # noqa: S321 - asked for
        ftp.connect(parts.hostname, parts.port or ftplib.FTP_PORT, timeout=self._timeout_s)
        try:
            ftp.login(unquote(parts.username or ""), unquote(parts.password or ""))
            if isinstance(ftp, ftplib.FTP_TLS):
                ftp.prot_p()
        except BaseException:
            ftp.close()
            raise
        return ftp

    async def _in_thread(self, doing: Callable[[threading.Event], None]) -> None:
        """A transfer that blocks; given up when this is cancelled, as soon as it moves."""
        stop = threading.Event()
        try:
            await asyncio.to_thread(doing, stop)
        finally:
            stop.set()

    def _tell(self, news: SystemInput) -> None:
        self._news.append(news)
        self.wake()


def verify(file: Path, certificate_pem: str, signature: str) -> bool:
    """Whether `signature` (base64) over the whole of `file` was made with the certificate's key.

    Raises:
        OSError: the file can't be read.
    """
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    prehashed = Prehashed(hashes.SHA256())
    try:
        key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
        raw = base64.b64decode("".join(signature.split()), validate=True)
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            key.verify(raw, digest.digest(), pss, prehashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, digest.digest(), ec.ECDSA(prehashed))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion, ValueError, TypeError, binascii.Error):
        return False
    return True


def _sftp() -> Any:
    """The module `sftp`, loaded when it is used for the first time: in a thread, for that takes a while."""
    return import_module("forecourt.hardware.sftp")


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()


def _path(parts: SplitResult) -> str:
    path = unquote(parts.path).lstrip("/")
    if any(ord(sign) < 32 for sign in path):
        raise ValueError("a control character in the path")
    return path


def _to_disk(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _file_to_disk(file: Path) -> None:
    with file.open("rb+") as stream:
        _to_disk(stream)


def _short(error: BaseException) -> str:
    """What went wrong, without the address it went wrong at: that may hold a password."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answered {error.response.status_code}"
    return type(error).__name__ if isinstance(error, httpx.HTTPError | httpx.InvalidURL) else str(error)[:200]
