"""docs/security.md: its commands are run, and its configurations work with what they make."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from forecourt.app.config import load
from forecourt.app.controller import upstream_context
from forecourt.app.csms import CsmsFile
from forecourt.app.site_file import load_site
from forecourt.app.station_file import StationFile, uplink_of
from forecourt.app.tls import server_tls

PAGE = Path(__file__).parent.parent.parent / "docs" / "security.md"
BLOCK = re.compile(r"^```\w+\n# (?P<name>[\w.]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_what_the_page_says_works(tmp_path: Path) -> None:
    blocks = {match["name"]: match["text"] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))}
    assert set(blocks) == {"csms.toml", "station.toml", "site.toml", "certificates.sh", "look.sh"}
    for name, text in blocks.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run(["sh", "certificates.sh"], cwd=tmp_path, check=True, capture_output=True)

    csms = load(tmp_path / "csms.toml", CsmsFile).beside(tmp_path)
    made = [listener.made(f"ocpp[{index}]") for index, listener in enumerate(csms.listeners)]
    assert [sorted(listener.profiles) for listener in made] == [[1], [2], [3]]
    assert csms.api.tls is not None
    server_tls(csms.api.tls, "api")

    uplink = uplink_of(load(tmp_path / "station.toml", StationFile).beside(tmp_path))
    assert uplink.security_profile == 3

    site = load_site(tmp_path / "site.toml")
    assert site.upstream is not None
    assert site.ocpp.tls is not None
    assert upstream_context(site, site.upstream.url) is not None
    server_tls(site.ocpp.tls, "ocpp")
