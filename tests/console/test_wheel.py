"""The wheel has the console in it: built as a release is, put into a fresh environment, asked for its pages."""

import asyncio
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import httpx
import pytest

from forecourt.console.pages import STATIC
from tests.end_to_end.processes import PATIENCE_S, REPOSITORY, Role

CONFIG = """
[ocpp]
port = 0

[api]
port = 0
open_access = true
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_wheel_serves_the_console_from_a_fresh_environment(tmp_path: Path) -> None:
    if not (STATIC / "index.html").is_file():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the console isn't built: make console")
    wheel = await asyncio.to_thread(_build, tmp_path / "dist")
    names = zipfile.ZipFile(wheel).namelist()
    assert "forecourt/console/static/index.html" in names
    assert "forecourt/console/static/driver.html" in names
    assert any(re.fullmatch(r"forecourt/console/static/assets/.*\.js\.br", name) for name in names)
    python = await asyncio.to_thread(_install, wheel, tmp_path / "fresh")

    config = tmp_path / "csms.toml"
    config.write_text(f'database = "sqlite:///{tmp_path}/csms.sqlite"\n{CONFIG}', encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        python, "-m", "forecourt.app.main", "csms", "--config", config,
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    csms = Role(process)
    try:
        address = re.search(r"http://\S+?:\d+", await csms.says("API at http"))
        assert address is not None
        async with httpx.AsyncClient(base_url=address.group(), timeout=PATIENCE_S) as client:
            page = await client.get("/", headers={"accept": "text/html"})
            assert page.status_code == 200
            scripts = re.findall(r'src="(/assets/[^"]+)"', page.text)
            assert scripts
            for script in scripts:
                found = await client.get(script, headers={"accept-encoding": "br"})
                assert found.status_code == 200
                assert found.headers["content-encoding"] == "br"
    finally:
        assert await csms.stop() == 0


def _build(folder: Path) -> Path:
    uv = Path(sys.executable).parent / "uv"
    _run(uv, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, REPOSITORY)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _install(wheel: Path, folder: Path) -> Path:
    """The wheel itself is installed; what it depends on is taken from here, so that nothing is fetched."""
    uv = Path(sys.executable).parent / "uv"
    _run(uv, "venv", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    _run(uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    where = _run(python, "-c", "import forecourt; print(forecourt.__file__)")
    assert Path(where.strip()).is_relative_to(folder)
    return python


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout
