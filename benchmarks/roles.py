"""`forecourt csms` as it is run, to be measured, raw servers beside it, and a crowd of stations: each a process."""

import contextlib
import http.client
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import psycopg

from loads import POSTGRESQL, memory_bytes, processor_s

NATS = os.environ.get("FORECOURT_TEST_NATS", "nats://127.0.0.1:4222")
PATIENCE_S = 300.0
CONFIGURATION = """
[csms]
unknown_stations = "accept"
unknown_tokens = "accept"
unsolicited_calls = false
keep_messages = false
[api]
port = 0
open_access = true
[ocpp]
port = 0
"""


class Process(NamedTuple):
    """One that runs."""

    pid: int
    ocpp: str
    """URL for stations, without their names."""
    api: str

    @property
    def processor_s(self) -> float:
        """Processor time so far."""
        return processor_s(self.pid)

    @property
    def memory_bytes(self) -> int:
        """In memory now."""
        return memory_bytes(self.pid)

    def connections(self) -> int:
        """How many stations it holds, as it says itself."""
        text = httpx.get(f"{self.api}/metrics", timeout=60.0, trust_env=False).text
        found = re.findall(r"^forecourt_connections\{[^}]*\} (\S+)$", text, re.MULTILINE)
        return int(sum(map(float, found)))


@contextlib.contextmanager
def csms(database: str, more: str = "") -> Iterator[Process]:
    """A `forecourt csms` on this database; `more` is appended to its configuration."""
    with tempfile.TemporaryDirectory() as folder:
        file, said = Path(folder) / "csms.toml", Path(folder) / "said"
        file.write_text(CONFIGURATION + more, encoding="utf-8")
        command = [sys.executable, "-m", "forecourt.app.main", "csms", "--config", str(file), "--database", database]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XDG_DATA_HOME": folder}
        with said.open("wb") as out:
            process = subprocess.Popen([*command, "--log-level", "error"], stdout=out, stderr=out, env=environment)
        try:
            yield _when_ready(process, said)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _when_ready(process: "subprocess.Popen[bytes]", said: Path) -> Process:
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s and process.poll() is None:
        text = said.read_text(encoding="utf-8", errors="replace")
        ocpp, api = re.search(r"(wss?://\S+)/<station id>", text), re.search(r"API at (\S+)/api/v1", text)
        if ocpp and api:
            return Process(process.pid, ocpp[1], api[1])
        time.sleep(0.05)
    raise RuntimeError(f"forecourt csms doesn't come up: {said.read_text(errors='replace')[-500:]}")


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    """The URL of an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/csms.sqlite"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The same on the server at FORECOURT_TEST_POSTGRESQL."""
    name = f"forecourt_benchmark_{os.getpid()}"
    try:
        server = psycopg.connect(POSTGRESQL, autocommit=True)
    except psycopg.OperationalError as error:
        raise RuntimeError(f"no PostgreSQL: {error}") from error
    with server as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        try:
            yield f"{POSTGRESQL.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    if shutil.which("openssl") is None:
        raise RuntimeError("openssl is not installed")
    file, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    return file, key


RAW = """
import asyncio, ssl, sys, picows
from forecourt.net.loop import run
class Silent(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
def accept(request):
    made = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "ocpp1.6"})
    return picows.WSUpgradeResponseWithListener(made, Silent())
async def work():
    tls = None
    if sys.argv[1:]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*sys.argv[1:])
    listening = await picows.ws_create_server(accept, "127.0.0.1", 0, ssl=tls, backlog=4096, read_buffer_init_size=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()
run(work())
"""
"""Connections, and nothing that is kept about them: the floor."""


@contextlib.contextmanager
def raw(tls: tuple[Path, Path] | None = None) -> Iterator[Process]:
    """A picows server that takes everybody and says nothing."""
    command = [sys.executable, "-c", RAW, *map(str, tls or ())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Process(process.pid, f"{'ws' if tls is None else 'wss'}://127.0.0.1:{port}", "")
        finally:
            process.kill()


class Crowd:
    """`crowd.py`, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def do(self, *words: object) -> dict[str, float]:
        """Tell it something; what it says when it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the stations have failed")
        told: dict[str, float] = json.loads(line)
        return told


@contextlib.contextmanager
def crowd(
    server: Process, number: int, *, first: int = 0, silent: bool = False, ca: Path | None = None
) -> Iterator[Crowd]:
    """So many stations of that server, none connected yet."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("crowd.py")),
        server.ocpp,
        str(number),
        "--first",
        str(first),
    ]
    command += ["--silent"] if silent else []
    command += [] if ca is None else ["--ca", str(ca)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Crowd(process)
        finally:
            process.kill()


class Operator:
    """Asks things of stations through the API, one at a time."""

    def __init__(self, server: Process) -> None:
        address = urlsplit(server.api)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60.0)

    def command(self, station: str) -> tuple[str, float]:
        """The state in which a command to it ends, and after how many seconds that was known here."""
        body = json.dumps({"station_id": station})
        headers = {"content-type": "application/json", "prefer": "wait=30"}
        began_s = time.perf_counter()
        self._connection.request("POST", "/api/v1/commands/CLEAR_CACHE", body, headers)
        answer = json.loads(self._connection.getresponse().read())
        return str(answer.get("state")), time.perf_counter() - began_s


def percentile(values: list[float], part: float) -> float:
    """The smallest that so large a part of them don't exceed."""
    return sorted(values)[min(len(values) - 1, math.ceil(part * len(values)) - 1)]


def settled(process: Process, *, within_bytes: int = 16384, every_s: float = 0.5) -> int:
    """What it has in memory when that no longer changes by more than this, and it has nothing to do."""
    before, busy_s = process.memory_bytes, process.processor_s
    for _ in range(40):
        time.sleep(every_s)
        now, spent_s = process.memory_bytes, process.processor_s
        if abs(now - before) <= within_bytes and spent_s - busy_s < 0.1 * every_s:
            return now
        before, busy_s = now, spent_s
    return before


def ended_by_signals() -> None:
    """SIGTERM ends us as an exception does, so that no process is left."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
