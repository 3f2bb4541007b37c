"""SFTP from and to a real server over SSH: passwords, keys, and servers that are not who they should be."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests.hardware.test_transfers import FIRMWARE, driven, found, step_of, upload

from forecourt.domain.firmware import LogUploadStatus
from forecourt.hardware.installer import FileInstaller
from forecourt.hardware.sftp_access import HostKeys, SftpAccess
from forecourt.hardware.transfers import TransferSystem
from forecourt.station.effects import DownloadFirmware
from forecourt.station.inputs import FirmwareProgress, FirmwareStep

USER, PASSWORD = "user", "se:cret/1"
ADDRESS = "user:se%3Acret%2F1@"


class SshServer:
    """A server with one user and the files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.authorized: asyncssh.SSHKey | None = None
        self.port = 0
        self.logins: list[str] = []

    def __call__(self) -> asyncssh.SSHServer:
        server = self

        class Doorman(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                server.logins.append("password")
                return (username, password) == (USER, PASSWORD)

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                server.logins.append("key")
                return server.authorized is not None and key == server.authorized.convert_to_public()

        return Doorman()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its address, without a user."""
        async with await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=self,
            server_host_keys=[self.key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(self.files)),
        ) as listener:
            self.port = listener.get_port()
            yield f"127.0.0.1:{self.port}"


def known_hosts(folder: Path, server: SshServer, key: asyncssh.SSHKey | None = None) -> Path:
    path = folder / "known_hosts"
    public = (key or server.key).export_public_key("openssh").decode()
    path.write_text(f"[127.0.0.1]:{server.port} {public}", encoding="ascii")
    return path


async def fetched(folder: Path, access: SftpAccess, location: str, **options: Any) -> FirmwareStep:
    async with driven(folder / "station", sftp_access=access, **options) as one:
        news = await one.ask(DownloadFirmware(1, location))
        assert isinstance(news, FirmwareProgress)
        assert PASSWORD not in news.info
        return step_of(news)


async def test_both_ways_with_a_password(tmp_path: Path) -> None:
    server = SshServer(tmp_path)
    (server.files / "some folder").mkdir()
    (server.files / "some folder" / "fw").write_bytes(FIRMWARE)
    async with server.listening() as host:
        access = SftpAccess(known_hosts=known_hosts(tmp_path, server))
        base = f"sftp://{ADDRESS}{host}"
        assert await fetched(tmp_path, access, f"{base}/some%20folder/fw") is FirmwareStep.DOWNLOADED
        assert (tmp_path / "station" / "firmware-1.bin").read_bytes() == FIRMWARE
        async with driven(tmp_path / "station", sftp_access=access) as one:
            assert await upload(one, f"{base}/some%20folder/") is LogUploadStatus.UPLOADED
            assert (server.files / "some folder" / "name.log").read_bytes() == b"diagnostics"
            assert await upload(one, base) is LogUploadStatus.UPLOADED
            assert (server.files / "name.log").read_bytes() == b"diagnostics"


async def test_with_a_key_of_its_own(tmp_path: Path) -> None:
    server = SshServer(tmp_path)
    (server.files / "fw").write_bytes(FIRMWARE)
    own = asyncssh.generate_private_key("ssh-ed25519")
    file = tmp_path / "key"
    own.write_private_key(str(file))
    file.chmod(0o600)
    async with server.listening() as host:
        access = SftpAccess(known_hosts=known_hosts(tmp_path, server), key=file)
        assert await fetched(tmp_path, access, f"sftp://user@{host}/fw") is FirmwareStep.DOWNLOAD_FAILED
        server.authorized = own
        assert await fetched(tmp_path, access, f"sftp://user@{host}/fw") is FirmwareStep.DOWNLOADED
        assert set(server.logins) == {"key"}
        file.chmod(0o640)
        assert await fetched(tmp_path, access, f"sftp://user@{host}/fw") is FirmwareStep.DOWNLOAD_FAILED


async def test_a_server_that_is_not_who_it_should_be_gets_no_password(tmp_path: Path) -> None:
    server = SshServer(tmp_path)
    (server.files / "fw").write_bytes(FIRMWARE)
    async with server.listening() as host:
        location = f"sftp://{ADDRESS}{host}/fw"
        nobody = SftpAccess(known_hosts=tmp_path / "none")
        assert await fetched(tmp_path, nobody, location) is FirmwareStep.DOWNLOAD_FAILED
        other = known_hosts(tmp_path, server, asyncssh.generate_private_key("ssh-ed25519"))
        for policy in HostKeys:
            access = SftpAccess(known_hosts=other, host_keys=policy)
            assert await fetched(tmp_path, access, location) is FirmwareStep.DOWNLOAD_FAILED
    assert server.logins == []


async def test_a_new_server_is_remembered_at_first_use(tmp_path: Path) -> None:
    server = SshServer(tmp_path)
    (server.files / "fw").write_bytes(FIRMWARE)
    access = SftpAccess(known_hosts=tmp_path / "met", host_keys=HostKeys.FIRST_USE)
    async with server.listening() as host:
        for _ in range(2):
            assert await fetched(tmp_path, access, f"sftp://{ADDRESS}{host}/fw") is FirmwareStep.DOWNLOADED
    assert len(access.known_hosts.read_text(encoding="ascii").splitlines()) == 1
    server.key = asyncssh.generate_private_key("ssh-ed25519")
    server.logins.clear()
    async with server.listening() as host:
        assert await fetched(tmp_path, access, f"sftp://{ADDRESS}{host}/fw") is FirmwareStep.DOWNLOAD_FAILED
    assert server.logins == []


async def test_what_can_not_be_fetched_or_written(tmp_path: Path) -> None:
    server = SshServer(tmp_path)
    (server.files / "large").write_bytes(bytes(2000))
    async with server.listening() as host:
        access = SftpAccess(known_hosts=known_hosts(tmp_path, server))
        base = f"sftp://{ADDRESS}{host}"
        for location in (
            f"{base}/none",
            f"{base}/large",
            f"{base}/a%0ab",
            f"sftp://user:wrong@{host}/large",
            "sftp://127.0.0.1:1/large",
            "sftp:///large",
        ):
            step = await fetched(tmp_path, access, location, largest_bytes=1000)
            assert step is FirmwareStep.DOWNLOAD_FAILED, location
        async with driven(tmp_path / "station", sftp_access=access) as one:
            assert await upload(one, f"sftp://user:wrong@{host}/") is LogUploadStatus.PERMISSION_DENIED
            assert await upload(one, f"{base}/no/such/folder") is LogUploadStatus.UPLOAD_FAILURE
            assert await upload(one, "sftp://127.0.0.1:1/") is LogUploadStatus.UPLOAD_FAILURE
    assert not found(tmp_path / "station", "*.bin")


@pytest.mark.parametrize("access", [None, SftpAccess(known_hosts=Path("x"))])
def test_it_is_offered_where_there_is_a_file_of_known_servers(tmp_path: Path, access: SftpAccess | None) -> None:
    system = TransferSystem(tmp_path, FileInstaller(tmp_path), lambda oldest, latest: b"", sftp_access=access)
    assert ("SFTP" in system.protocols) is (access is not None)
