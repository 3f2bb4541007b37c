"""The buses under test, and the NATS server that two of them need.

The server is the one at `FORECOURT_TEST_NATS` (nats://127.0.0.1:4222). Where there is none, one is started if
`nats-server` is installed; else tests that need it are skipped, and fail with CI set.
"""

import asyncio
import atexit
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest

from forecourt.bus.in_process import Holder, InProcessBus
from forecourt.bus.nats import NatsBus
from forecourt.csms.ports import Bus, Lease, Order, Receipt
from forecourt.csms.records import Event

KINDS = ("in process", "NATS, one process", "NATS, two processes")


class AnyBus(Bus, Protocol):
    """What the tests look at beside."""

    @property
    def held(self) -> int: ...


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def read(self, after: int, limit: int) -> Sequence[Event]:
        await asyncio.sleep(0)
        return [event for event in self.events if event.id > after][:limit]

    async def newest(self) -> int:
        return max((event.id for event in self.events), default=0)


class Two:
    """Asked and told in one process, held and heard in another."""

    def __init__(self, here: NatsBus, there: NatsBus, log: Log) -> None:
        self.here = here
        self.there = there
        self._log = log

    def publish(self, events: Sequence[Event]) -> None:
        self.here.publish(events)

    @asynccontextmanager
    async def subscribe(self, *arguments: Any, **options: Any) -> AsyncIterator[AsyncIterator[Event]]:
        async with asyncio.timeout(10):  # what was told before is no news
            while self.there.position < await self._log.newest():  # noqa: ASYNC110 - of a bus, which has no event
                await asyncio.sleep(0.01)
        async with self.there.subscribe(*arguments, **options) as events:
            yield events

    def claim(self, station_number: int, holder: Holder) -> Lease:
        return self.there.claim(station_number, holder)

    async def deliver(self, station_number: int, order: Order) -> Receipt:
        await self.there.settled()
        return await self.here.deliver(station_number, order)

    @property
    def connected(self) -> bool:
        return self.here.connected and self.there.connected

    @property
    def held(self) -> int:
        return self.there.held


@asynccontextmanager
async def made(kind: str, log: Log, *, most_behind: int) -> AsyncIterator[AnyBus]:
    """A bus of that kind."""
    if kind == "in process":
        yield InProcessBus(log.read, most_behind=most_behind)
        return
    need(kind)
    prefix = f"test-{uuid.uuid4().hex}"
    one = NatsBus(log.read, log.newest, prefix=prefix, most_behind=most_behind)
    two = NatsBus(log.read, log.newest, prefix=prefix, most_behind=most_behind)
    both = kind == "NATS, two processes"
    await one.start([server()])
    if both:
        await two.start([server()])
    try:
        yield Two(one, two, log) if both else one
    finally:
        await one.stop()
        if both:
            await two.stop()


def need(kind: str) -> None:
    """Skip without a server; fail in CI."""
    if kind == "in process" or server():
        return
    if os.environ.get("CI"):
        pytest.fail("no NATS server")
    pytest.skip("no NATS server")


@cache
def server() -> str:
    """The URL of a running one; empty: there is none."""
    url = os.environ.get("FORECOURT_TEST_NATS", "nats://127.0.0.1:4222")
    place = urlsplit(url)
    if _answers(place.hostname or "127.0.0.1", place.port or 4222):
        return url
    program = shutil.which("nats-server")
    if program is None:
        return ""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    running = subprocess.Popen([program, "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    atexit.register(running.kill)
    for _ in range(100):
        if _answers("127.0.0.1", port):
            return f"nats://127.0.0.1:{port}"
        time.sleep(0.05)
    return ""


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True
