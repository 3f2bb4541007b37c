"""The CSMS as a person runs it: `forecourt csms` in a process of its own, reached over its sockets and its API only."""

import asyncio
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import httpx

from tests import databases

PATIENCE_S: Final = 20.0
"""For what must happen but may take its time on a busy machine."""

CONFIGURATION: Final = """
[csms]
unknown_stations = "accept"
unsolicited_calls = false
command_timeout_s = 10.0

[resources]
files = "files"
authority = "authority"
"""

_FORECOURT: Final = "import sys; from forecourt.app.main import main; sys.exit(main())"


class Csms:
    """A CSMS in another process. Its API key is the one it prints at its first run."""

    def __init__(self, folder: Path, configuration: str = CONFIGURATION) -> None:
        self._more_listeners = max(0, configuration.count("[[ocpp]]") - 1)
        self.more_ocpp_urls: tuple[str, ...] = ()
        self._folder = folder
        (folder / "csms.toml").write_text(configuration)
        self._key = ""
        self._process: subprocess.Popen[str] | None = None
        self.ocpp_url = ""
        self.api_url = ""

    def start(self) -> None:
        command = [
            sys.executable, "-c", _FORECOURT, "csms",
            "--config", str(self._folder / "csms.toml"),
            "--database", databases.url(self._folder / "csms.sqlite"),
            "--ocpp-port", "0", "--api-port", "0", "--log", "json",
        ]  # fmt: skip
        with (self._folder / "log.txt").open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        self.ocpp_url = self._told(r"(wss?://\S+/ocpp/)")
        self.more_ocpp_urls = tuple(self._told(r"(wss?://\S+/ocpp/)") for _ in range(self._more_listeners))
        self.api_url = self._told(r"(http://\S+/api/v1)")
        if not self._key:
            self._key = self._told(r"API key.*: (\S+)")

    def _told(self, pattern: str) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        impatience = threading.Timer(3 * PATIENCE_S, self._process.kill)
        impatience.start()
        try:
            for line in self._process.stdout:
                if found := re.search(pattern, line):
                    return found[1]
        finally:
            impatience.cancel()
        self.kill()
        raise AssertionError(f"{pattern} was never said: {self.log()}")

    def log(self) -> str:
        """What it logged."""
        return (self._folder / "log.txt").read_text()

    def kill(self) -> None:
        """As a power cut would."""
        self._end(subprocess.Popen.kill)

    def stop(self) -> None:
        self._end(subprocess.Popen.terminate)

    def _end(self, how: Any) -> None:
        if self._process is not None:
            how(self._process)
            self._process.wait(PATIENCE_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def api(self) -> "Api":
        return Api(self.api_url, self._key)


class Api:
    """The public API, as a client has it."""

    def __init__(self, url: str, key: str) -> None:
        self.client = httpx.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_S, trust_env=False
        )

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def get(self, path: str, **parameters: Any) -> Any:
        response = await self.client.get(path, params=parameters)
        assert response.status_code == 200, (path, response.status_code, response.text)
        return response.json()

    async def put(self, path: str, body: Any) -> Any:
        response = await self.client.put(path, json=body)
        assert response.is_success, (path, response.status_code, response.text)
        return response.json() if response.content else None

    async def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        """Ask it, and wait for its end where it has one."""
        response = await self.client.post(path, json=body, headers={"prefer": "wait=15"})
        assert response.status_code == status, (path, response.status_code, response.text)
        return response.json()

    async def command(self, name: str, station_id: str, **body: Any) -> Any:
        """Ask it, and wait for its end."""
        response = await self.client.post(
            f"/commands/{name}", json={"station_id": station_id, **body}, headers={"prefer": "wait=15"}
        )
        assert response.status_code in {200, 409}, (name, response.status_code, response.text)
        return response.json()

    async def raw(self, station_id: str, action: str, payload: str) -> Any:
        """Send it, and wait for its end."""
        response = await self.client.post(
            f"/stations/{station_id}/ocpp/{action}",
            content=payload.encode(),
            headers={"prefer": "wait=15", "content-type": "application/json"},
        )
        assert response.status_code in {200, 409}, (action, response.status_code, response.text)
        return response.json()

    async def transaction(self, station_id: str) -> Any:
        """The one transaction of a station."""
        (found,) = (await self.get("/transactions", station_id=station_id))["items"]
        return found

    async def connector(self, station_id: str, evse_id: int = 1) -> Any:
        listed = (await self.get(f"/stations/{station_id}/connectors"))["items"]
        (found,) = [connector for connector in listed if connector["evse_id"] == evse_id]
        return found

    async def eventually(self, ask: Any, holds: Any) -> Any:
        """What `ask` gives, once it holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(found := await ask()):  # noqa: ASYNC110 - what is waited for is in another process
                await asyncio.sleep(0.05)
        return found
