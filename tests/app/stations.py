"""A station as its own process, and the hand at its control API."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

PATIENCE_S = 90.0
"""For what must happen but may take its time on a busy machine."""


class StationProcess:
    """`forecourt station`, running."""

    def __init__(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient) -> None:
        self.process = process
        self.client = client

    async def do(self, path: str, body: Any = None, *, expect: int = 200) -> Any:
        response = await self.client.post(path, json=body) if body is not None else await self.client.post(path)
        assert response.status_code == expect, response.text
        return response.json()

    async def get(self, path: str) -> Any:
        response = await self.client.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def evse(self, evse_id: int = 1) -> Any:
        return (await self.get("/state"))["evses"][evse_id - 1]

    async def until(self, holds: Callable[[Any], bool]) -> Any:
        """The first state for which `holds`."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(state := await self.get("/state")):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        return state

    async def kill(self) -> None:
        """A power cut."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def station_process(
    config: Path, *arguments: str, largest_file_kib: int | None = None
) -> AsyncIterator[StationProcess]:
    """`largest_file_kib`: what a disk that is full beyond it would do."""
    limit = f"ulimit -f {2 * largest_file_kib};" if largest_file_kib else ""  # in blocks of 512 octets
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        f'{limit} exec "$0" "$@"',
        sys.executable,
        "-m",
        "forecourt.app.main",
        "station",
        "--config",
        str(config),
        "--control",
        "127.0.0.1:0",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if largest_file_kib else asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = (await process.stdout.readline()).decode()
        match = re.match(r"Control: (http://[\d.]+:\d+)/state", line)
        assert match is not None, line
        async with httpx.AsyncClient(base_url=match[1], timeout=PATIENCE_S) as client:
            yield StationProcess(process, client)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
