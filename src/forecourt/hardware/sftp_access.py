"""How a station uses SFTP: which servers it talks to, and how it proves itself.

Apart from `sftp`, so that a station without SFTP loads no SSH.
"""

from enum import StrEnum
from pathlib import Path

import msgspec

from forecourt.domain.firmware import LogUploadStatus


class HostKeys(StrEnum):
    """Which servers are talked to."""

    KNOWN = "known"
    """Those whose key is in the file."""
    FIRST_USE = "first-use"
    """Those, and a new one: its key is written to the file."""


class SftpAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How a station uses SFTP."""

    known_hosts: Path
    """As of OpenSSH."""
    host_keys: HostKeys = HostKeys.KNOWN
    key: Path | None = None
    """The station's private key, in a format of OpenSSH; None: passwords only."""


class SftpFailed(OSError):  # noqa: N818 - reads as what happened
    """The server, or SSH, would not; `upload_status`: what that is called, where it is known (N01.FR.10)."""

    def __init__(self, message: str, upload_status: LogUploadStatus | None) -> None:
        super().__init__(message)
        self.upload_status = upload_status
