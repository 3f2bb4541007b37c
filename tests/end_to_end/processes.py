"""Roles as processes, to be talked to, stopped and killed."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 60.0
"""For what must happen but may take its time on a busy machine."""

FORECOURT = (sys.executable, "-m", "forecourt.app.main")


class Role:
    """One `forecourt ...` process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.lines.append(line.decode().rstrip())
            self._news.set()
        self.lines.append("(it is over)")
        self._news.set()

    async def says(self, text: str) -> str:
        """The first line with `text` in it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                assert self.lines[-1:] != ["(it is over)"], self.lines
                self._news.clear()
                await self._news.wait()

    async def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        await self._over()

    async def stop(self) -> int:
        """As an operator would; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self._over()

    async def _over(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await self._reading
        return code


@contextlib.asynccontextmanager
async def role(*arguments: str | Path) -> AsyncIterator[Role]:
    """`forecourt ARGUMENTS`, killed on the way out at the latest."""
    process = await asyncio.create_subprocess_exec(
        *FORECOURT,
        *(str(argument) for argument in arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=REPOSITORY,
    )
    running = Role(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            await running.kill()


def free_port() -> int:
    """One that nobody has at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def eventually(condition: Callable[[], Awaitable[bool]], *, patience_s: float = PATIENCE_S) -> None:
    """Wait for what others do."""
    async with asyncio.timeout(patience_s):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.05)
