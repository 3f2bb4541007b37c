"""What the configuration of a station says about SFTP."""

from pathlib import Path

import pytest

from forecourt.api.control.frames import FrameHistory
from forecourt.app.config import ConfigError, load
from forecourt.app.station_file import StationFile
from forecourt.app.station_upkeep import StationUpkeep


def upkeep(folder: Path, text: str) -> StationUpkeep:
    path = folder / "station.toml"
    path.write_text(text, encoding="utf-8")
    return StationUpkeep(load(path, StationFile).beside(folder), folder / "state", FrameHistory())


async def test_sftp_is_there_with_a_file_of_known_servers(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0o600)
    assert "SFTP" not in upkeep(tmp_path, "").system.protocols
    text = 'transfer_known_hosts = "known"\ntransfer_host_keys = "first-use"\ntransfer_key = "key"'
    assert "SFTP" in upkeep(tmp_path, text).system.protocols


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('transfer_key = "key"', "transfer_key: is of no use without transfer_known_hosts"),
        ('transfer_known_hosts = "known"\ntransfer_key = "none"', "transfer_key: .*none: no such file"),
        ('transfer_host_keys = "any"', "transfer_host_keys: expected one of known, first-use"),
    ],
)
def test_what_can_not_be_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        upkeep(tmp_path, text)
