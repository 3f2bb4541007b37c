"""The servers of a cluster as processes: started, killed as a power cut would, started again."""

import asyncio
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import httpx
import psycopg
from tools.survival.hosts import Host

REPOSITORY: Final = Path(__file__).parents[2]
DEPLOY: Final = REPOSITORY / "deploy"
PATIENCE_S: Final = 300.0
OCPP, API, POSTGRESQL, NATS = 9000, 8080, 5432, 4222


class Server:
    """One process, and what it says in a file."""

    def __init__(self, name: str, host: Host, folder: Path) -> None:
        self.name = name
        self.host = host
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """What is run."""
        raise NotImplementedError

    async def answers(self) -> bool:
        """Whether it does what it is for."""
        raise NotImplementedError

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Of its process, while it is alive."""
        assert self.process is not None
        return self.process.pid

    def spawn(self) -> None:
        """Begin; `ready` says when it is there."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.host.command(self.command()),
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
                env=self.environment(),
                start_new_session=True,  # Ctrl-C is for us, and the scheduler counts it for itself
            )

    def environment(self) -> dict[str, str]:
        """What it knows of the world."""
        return {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "XDG_DATA_HOME": str(self.log.parent),
        }

    async def ready(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until it answers."""
        until_s = time.monotonic() + patience_s
        while not await self.answers():
            if not self.alive:
                raise RuntimeError(f"{self.name} has ended: {self.last_words()}")
            if time.monotonic() > until_s:
                raise RuntimeError(f"{self.name} doesn't answer: {self.last_words()}")
            await asyncio.sleep(0.1)

    async def start(self) -> None:
        """`spawn`, then `ready`."""
        self.spawn()
        await self.ready()

    async def kill(self) -> None:
        """As a power cut would: all its processes at once."""
        for pid in reversed(_family(self.pid)):
            _signal(pid, signal.SIGKILL)
        await self.gone()

    async def stop(self) -> int:
        """As an operator would; its exit code."""
        _signal(self.pid, signal.SIGTERM)
        return await self.gone()

    async def gone(self) -> int:
        """Its exit code, as soon as it has one."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)

    def last_words(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-600:]


class Postgresql(Server):
    """A PostgreSQL with a folder of its own."""

    def __init__(self, host: Host, folder: Path, data: Path) -> None:
        """`data` is an empty folder for its files, perhaps on a disk of its own."""
        super().__init__("postgresql", host, folder)
        self._port = host.port(POSTGRESQL)
        self._data = data / "cluster"
        self._as: list[str] = []
        if os.geteuid() == 0:  # which PostgreSQL refuses to be
            user = (
                "postgres"
                if subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0
                else "nobody"
            )
            self._as = ["setpriv", f"--reuid={user}", f"--regid={_group(user)}", "--clear-groups"]
            self._data.mkdir()
            shutil.chown(self._data, user)
            for parent in (data, folder):
                parent.chmod(0o755)

    @property
    def url(self) -> str:
        """Of the CSMS's database."""
        return f"postgresql://forecourt@{self.host.address}:{self._port}/postgres"

    def make(self) -> None:
        """Make its files."""
        made = subprocess.run(
            [*self._as, _program("initdb"), "-D", str(self._data), "-U", "forecourt", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"],
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stderr.strip()}")
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write("host all all 0.0.0.0/0 trust\n")

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": self.host.address,
            "port": str(self._port),
            "unix_socket_directories": str(self._data),
            "shared_buffers": "64MB",
            "min_wal_size": "32MB",
            "max_wal_size": "64MB",
        }
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._as, _program("postgres"), "-D", str(self._data), *given]

    async def answers(self) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


class Nats(Server):
    """A NATS without a disk."""

    def __init__(self, host: Host, folder: Path) -> None:
        super().__init__("nats", host, folder)
        self._port = host.port(NATS)

    @property
    def url(self) -> str:
        """For who connects."""
        return f"nats://{self.host.address}:{self._port}"

    def command(self) -> Sequence[str]:
        return [_program("nats-server"), "-a", self.host.address, "-p", str(self._port)]

    async def answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self.host.address, self._port)
        except OSError:
            return False
        try:
            return (await reader.readline()).startswith(b"INFO")
        finally:
            writer.close()


class Csms(Server):
    """One `forecourt csms`."""

    def __init__(self, name: str, host: Host, folder: Path, database: Callable[[], str], configuration: str) -> None:
        super().__init__(name, host, folder)
        self.ocpp_port, self.api_port = host.port(OCPP), host.port(API)
        self._database = database
        self._file = folder / f"{name}.toml"
        self._file.write_text(
            configuration.replace(f"port = {OCPP}", f"port = {self.ocpp_port}").replace(
                f"port = {API}", f"port = {self.api_port}"
            )
        )

    @property
    def api(self) -> str:
        """Its own API."""
        return f"http://{self.host.address}:{self.api_port}"

    def command(self) -> Sequence[str]:
        return [
            sys.executable, "-m", "forecourt.app.main", "csms", "--config", str(self._file), "--log", "json",
            "--log-level", "warning", "--database", self._database(),
        ]  # fmt: skip

    async def answers(self) -> bool:
        return await self.asked("/readyz") is not None

    async def asked(self, path: str) -> str | None:
        """What it answers; None: nothing good."""
        try:
            async with httpx.AsyncClient(base_url=self.api, timeout=10.0, trust_env=False) as client:
                response = await client.get(path)
        except httpx.HTTPError:
            return None
        return response.text if response.status_code == 200 else None

    async def stations(self) -> int:
        """How many it holds, as it says itself."""
        text = await self.asked("/metrics") or ""
        found = re.findall(r"^forecourt_connections\{[^}]*\} (\S+)$", text, re.MULTILINE)
        return int(sum(map(float, found)))

    def key(self) -> str | None:
        """The API key, if it was this one that made it."""
        found = re.search(r"API key, shown this once: (\S+)", self.log.read_text(errors="replace"))
        return None if found is None else found[1]


class Haproxy(Server):
    """The load balancer, with the file of `deploy/` and other addresses."""

    def __init__(self, host: Host, folder: Path, behind: Sequence[Csms]) -> None:
        super().__init__("haproxy", host, folder)
        self.ocpp_port, self.api_port = host.port(OCPP), host.port(API)
        text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
        text = text.replace("maxconn 100000", "maxconn 9000")  # what the usual number of open files is enough for
        for usual, port in ((OCPP, self.ocpp_port), (API, self.api_port)):
            text = text.replace(f"bind :{usual}", f"bind {host.address}:{port}")
        names = {csms.name for csms in behind}
        kept = [
            line
            for line in text.splitlines(keepends=True)
            if not line.startswith("    server ") or line.split()[1] in names
        ]
        text = "".join(kept)
        for csms in behind:
            for usual, port in ((OCPP, csms.ocpp_port), (API, csms.api_port)):
                text = text.replace(
                    f"server {csms.name} {csms.name}:{usual}",
                    f"server {csms.name} {csms.host.address}:{port} port {csms.api_port}",
                )
        self._file = folder / "haproxy.cfg"
        self._file.write_text(text, encoding="utf-8")

    @property
    def ocpp(self) -> str:
        """Where stations connect."""
        return f"ws://{self.host.address}:{self.ocpp_port}/ocpp"

    @property
    def api(self) -> str:
        """Where everybody else does."""
        return f"http://{self.host.address}:{self.api_port}"

    def command(self) -> Sequence[str]:
        return [_program("haproxy"), "-db", "-f", str(self._file)]

    async def answers(self) -> bool:
        try:
            async with httpx.AsyncClient(base_url=self.api, timeout=5.0, trust_env=False) as client:
                return (await client.get("/readyz")).status_code == 200
        except httpx.HTTPError:
            return False


def missing(cluster: bool) -> list[str]:
    """Programs that are needed and not there."""
    names = ("initdb", "postgres", "nats-server", "haproxy") if cluster else ()
    return [name for name in names if _found(name) is None]


def memory_bytes(pid: int) -> int:
    """What a process has in memory (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _found(name: str) -> str | None:
    # Debian keeps PostgreSQL's programs, and /usr/sbin isn't everybody's
    places = [*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True), "/usr/sbin", "/usr/local/sbin"]  # noqa: PTH207
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))


def _program(name: str) -> str:
    found = _found(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found


def _group(user: str) -> str:
    return subprocess.run(["id", "-gn", user], capture_output=True, text=True, check=True).stdout.strip()


def _family(pid: int) -> list[int]:
    """A process and all that come from it, the eldest first."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(file.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
