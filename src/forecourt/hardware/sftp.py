"""SFTP: files from and to a server over SSH.

Guarantees
* A server is talked to only when its key is known. `HostKeys.KNOWN` takes what stands in `known_hosts` and nothing
  else; `HostKeys.FIRST_USE` writes the key of a server that was never met there, and from then on takes that one only.
  There is no way to take any key: who answers could read the password in the address.
* The station proves itself with `key`, and with the password in the address where there is one. Neither an agent nor
  the configuration of whoever runs the process has a say.
* A private key that others may read is not used (security white paper A02.FR.05).
* A path is the server's own, from its root; `/~/` is below the directory that the login begins in.
* What goes wrong is an OSError (`SftpFailed`: the server or SSH would not) or a ValueError; no text of theirs has the
  password in it.
"""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast
from urllib.parse import SplitResult, unquote

import asyncssh

from forecourt.domain.firmware import LogUploadStatus
from forecourt.hardware.sftp_access import HostKeys, SftpAccess, SftpFailed

_CHUNK: Final = 65_536


async def download(access: SftpAccess, parts: SplitResult, fresh: Path, most_bytes: int, timeout_s: float) -> None:
    """Fetch the file at an address to `fresh`. ValueError: it is larger than `most_bytes`."""
    size = 0
    async with (
        _sftp(access, parts, timeout_s) as sftp,
        asyncio.timeout(timeout_s) as patience,
        sftp.open(_path(parts), "rb", encoding=None) as source,
    ):
        with fresh.open("wb") as stream:
            while chunk := await source.read(_CHUNK):
                size += len(chunk)
                if size > most_bytes:
                    raise ValueError("the firmware is too large")
                await asyncio.to_thread(stream.write, cast("bytes", chunk))
                patience.reschedule(asyncio.get_running_loop().time() + timeout_s)


async def upload(access: SftpAccess, parts: SplitResult, filename: str, content: bytes, timeout_s: float) -> None:
    """Write `content` as `filename` into the directory at an address."""
    async with (
        _sftp(access, parts, timeout_s) as sftp,
        asyncio.timeout(timeout_s) as patience,
        sftp.open(f"{_path(parts).rstrip('/')}/{filename}", "wb", encoding=None) as target,
    ):
        for begin in range(0, len(content), _CHUNK):
            await target.write(content[begin : begin + _CHUNK])
            patience.reschedule(asyncio.get_running_loop().time() + timeout_s)


def _upload_failure(error: asyncssh.Error) -> LogUploadStatus | None:
    """How an upload ended, as precisely as it is known (N01.FR.10); None: the error says no more than that."""
    if isinstance(error, asyncssh.PermissionDenied | asyncssh.SFTPPermissionDenied):
        return LogUploadStatus.PERMISSION_DENIED
    if isinstance(error, asyncssh.SFTPOpUnsupported):
        return LogUploadStatus.NOT_SUPPORTED_OPERATION
    return None


class _Client(asyncssh.SSHClient):
    """Judges the key of a server that is not in the file."""

    def __init__(self, access: SftpAccess) -> None:
        self._access = access

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether to go on: only with a server that has no other key yet."""
        if self._access.host_keys is not HostKeys.FIRST_USE or any(_known(self._access, host, addr, port)):
            return False
        named = host if port == asyncssh.DEFAULT_PORT else f"[{host}]:{port}"
        line = f"{named} {key.export_public_key('openssh').decode().strip()}\n"
        with self._access.known_hosts.open("a", encoding="ascii") as file:
            file.write(line)
        return True


def _known(access: SftpAccess, host: str, addr: str, port: int) -> tuple[list[asyncssh.SSHKey], ...]:
    """What the file says of a server: keys, authorities, and keys that were revoked."""
    if not access.known_hosts.exists():
        return [], [], []
    known = asyncssh.read_known_hosts(str(access.known_hosts))
    matched = asyncssh.match_known_hosts(known, host, addr, port)
    return tuple(list(keys) for keys in matched[:3])


@asynccontextmanager
async def _sftp(access: SftpAccess, parts: SplitResult, timeout_s: float) -> AsyncIterator[asyncssh.SFTPClient]:
    """Connected and logged in."""
    if parts.hostname is None:
        raise ValueError("no host")
    try:
        keys = [] if access.key is None else [_own_key(access.key)]
    except asyncssh.Error as error:
        raise SftpFailed(str(error), None) from error
    connection = asyncssh.connect(
        parts.hostname,
        parts.port or asyncssh.DEFAULT_PORT,
        username=unquote(parts.username or "anonymous"),
        password=None if parts.password is None else unquote(parts.password),
        client_keys=keys,
        client_factory=lambda: _Client(access),
        known_hosts=lambda host, addr, port: _known(access, host, addr, port or asyncssh.DEFAULT_PORT),
        agent_path=None,
        config=None,
        connect_timeout=timeout_s,
        login_timeout=timeout_s,
    )
    try:
        async with connection as connected, connected.start_sftp_client() as sftp:
            yield sftp
    except asyncssh.Error as error:
        raise SftpFailed(str(error), _upload_failure(error)) from error


def _own_key(path: Path) -> asyncssh.SSHKey:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise PermissionError(f"{path}: others than its owner may read it")
    return asyncssh.read_private_key(str(path))


def _path(parts: SplitResult) -> str:
    path = unquote(parts.path)
    if any(ord(sign) < 32 for sign in path):
        raise ValueError("a control character in the path")
    return f"./{path[3:]}" if path.startswith("/~/") else path
