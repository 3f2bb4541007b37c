"""A Mosquitto of the tests' own, with users or TLS, that can be stopped and started again on the same port."""

import asyncio
import getpass
import json
import math
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from tests.end_to_end.processes import free_port
from tests.net.authority import Authority

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PATIENCE_S = 60.0


class TestBroker:
    """One broker. `user` and `password`, or a certificate, are asked of whoever connects."""

    __test__ = False

    def __init__(self, folder: Path, *, user: str | None = None, password: str = "", tls: bool = False) -> None:
        if MOSQUITTO is None:
            if os.environ.get("CI"):
                pytest.fail("mosquitto is not installed")
            pytest.skip("mosquitto is not installed")
        self.port = free_port()
        self.user, self.password = user, password
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", f"user {getpass.getuser()}"]
        if user is None:
            lines.append("allow_anonymous true")
        else:
            users = folder / "users"
            users.touch(mode=0o600)
            subprocess.run(["mosquitto_passwd", "-b", users, user, password], check=True, capture_output=True)
            lines += ["allow_anonymous false", f"password_file {users}"]
        if tls:
            self.authority = Authority(folder)
            pair = self.authority.issue("localhost", names=("localhost",))
            lines += [f"cafile {self.authority.file}", f"certfile {pair.certificate}", f"keyfile {pair.key}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert MOSQUITTO is not None
        null = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(self._config), stdout=null, stderr=null
        )
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                assert time.monotonic() < until_s, "mosquitto did not start"
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@asynccontextmanager
async def broker(folder: Path, **options: Any) -> AsyncIterator[TestBroker]:
    one = TestBroker(folder, **options)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


class Board:
    """The firmware's end: says things, and keeps the last payload of each topic of the stack and all in order."""

    def __init__(self, client: aiomqtt.Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self.last: dict[str, Any] = {}
        self.heard: list[tuple[str, Any]] = []
        self._news = asyncio.Event()

    async def say(self, topic: str, payload: Any = None, *, qos: int = 1, retain: bool = True) -> None:
        raw = payload if isinstance(payload, bytes) else json.dumps({} if payload is None else payload).encode()
        async with asyncio.timeout(PATIENCE_S):
            await self._client.publish(f"{self._prefix}/firmware/{topic}", raw, qos, retain)

    async def once(self, topic: str, payload: Any = None) -> None:
        await self.say(topic, payload, qos=2, retain=False)

    async def subscribe(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._client.subscribe(f"{self._prefix}/stack/#", 2)

    async def listen(self) -> None:
        async for message in self._client.messages:
            topic = message.topic.value.removeprefix(f"{self._prefix}/stack/")
            assert isinstance(message.payload, bytes)
            self.last[topic] = json.loads(message.payload)
            self.heard.append((topic, self.last[topic]))
            self._news.set()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self._news.wait()


@asynccontextmanager
async def board(port: int, prefix: str, *, dies: bool = False) -> AsyncIterator[Board]:
    """Firmware at a broker, with its last will. `dies`: it ends without a word."""
    will = aiomqtt.Will(f"{prefix}/firmware/status", b'{"online": false}', 1, retain=True)
    # No limits of its own: its asyncio.wait_for may swallow the cancellation of `listening` (see `mqtt_link`).
    client = aiomqtt.Client("127.0.0.1", port, will=will, timeout=math.inf)
    async with client:
        one = Board(client, prefix)
        await one.subscribe()
        listening = asyncio.create_task(one.listen())
        try:
            yield one
            if dies:
                sock = client._client.socket()
                assert isinstance(sock, socket.socket)
                sock.shutdown(socket.SHUT_RDWR)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
