"""Some `forecourt csms` on one PostgreSQL and one NATS behind HAProxy, as `deploy/compose/three.yaml` has it; or one
on SQLite."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Final, Self

from tools.survival.hosts import Network
from tools.survival.servers import DEPLOY, Csms, Haproxy, Nats, Postgresql, Server

DISK_MIB: Final = 512
_STATIONS: Final = """[csms]
unknown_stations = "accept"
unknown_tokens = "accept"
unsolicited_calls = false
keep_messages = false
"""
"""What any station may do here; the rest is as it is shipped."""


class Disk:
    """A file system of limited size in a file, for a database; where none can be mounted, just a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir()
        self._filler = self.folder / "filler"
        self._image = folder / "disk.img"
        self._throttle = folder / "blkio"
        self._number = ""
        self.limited = False

    def mount(self) -> None:
        """Make it. Without root, or where loops can't be mounted, it stays a folder that can't be filled or slowed."""
        if os.geteuid() != 0:
            return
        with self._image.open("wb") as file:
            file.truncate(DISK_MIB << 20)
        image, folder = str(self._image), str(self.folder)
        made = (["mkfs.ext4", "-q", "-m", "0", image], ["mount", "-o", "loop", image, folder])
        for command in made:
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return
        self.limited = True
        device = self.folder.stat().st_dev
        self._number = f"{os.major(device)}:{os.minor(device)}"

    @property
    def slows(self) -> bool:
        """Whether it can be made slow."""
        if not self.limited:
            return False
        self._throttle.mkdir(exist_ok=True)
        if not (self._throttle / "blkio.throttle.write_iops_device").exists():
            mounted = ["mount", "-t", "cgroup", "-o", "blkio", "none", str(self._throttle)]
            subprocess.run(mounted, capture_output=True, check=False)
        return (self._throttle / "blkio.throttle.write_iops_device").exists()

    def fill(self) -> None:
        """Leave no room."""
        with self._filler.open("wb", buffering=0) as file:
            block = b"\0" * (1 << 16)
            for size in (len(block), 512, 1):
                try:
                    while True:
                        file.write(block[:size])
                except OSError:
                    continue

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def slow(self, writes_per_s: int) -> None:
        """From now on so many writes a second; 0: as many as it can."""
        (self._throttle / "blkio.throttle.write_iops_device").write_text(f"{self._number} {writes_per_s}\n")

    def unmount(self) -> None:
        """Take it away."""
        if self.limited:
            if self._number and (self._throttle / "blkio.throttle.write_iops_device").exists():
                self.slow(0)
            subprocess.run(["umount", self._throttle], capture_output=True, check=False)
            subprocess.run(["umount", "-l", self.folder], capture_output=True, check=False)


class Cluster:
    """All of them. An asynchronous context."""

    def __init__(self, folder: Path, processes: int, *, dead_after_s: float | None = None) -> None:
        """So many processes; 0: one, on SQLite. `dead_after_s`: shorter than as shipped, for those in a hurry."""
        self.folder = folder
        self.network = Network()
        self.disk = Disk(folder)
        self.single = processes == 0
        self._names = [f"csms-{number}" for number in range(1, processes + 1)]
        self._dead_after_s = dead_after_s
        self.csms: list[Csms] = []
        self.postgresql: Postgresql | None = None
        self.nats: Nats | None = None
        self.haproxy: Haproxy | None = None
        self.key = ""

    async def __aenter__(self) -> Self:
        try:
            if self.network.parts:  # then mounts are our own as well
                self.disk.mount()
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _start(self) -> None:
        network, folder = self.network, self.folder
        text = (DEPLOY / "compose" / "csms.toml").read_text(encoding="utf-8").replace("[csms]\n", _STATIONS)
        text = text.replace('"172.16.0.0/12"', '"10.0.0.0/8"')
        if self.single:
            text = text.partition("[bus]")[0]
            self.csms = [Csms("csms-1", network.host("csms-1"), folder, lambda: self.database, text)]
        else:
            hosts = {name: network.host(name) for name in ("postgresql", "nats", *self._names)}
            self.postgresql = Postgresql(hosts["postgresql"], folder, self.disk.folder)
            await asyncio.to_thread(self.postgresql.make)
            self.nats = Nats(hosts["nats"], folder)
            await asyncio.gather(self.postgresql.start(), self.nats.start())
            text = text.replace("nats://nats:4222", self.nats.url)
            if self._dead_after_s is not None:
                text += f"beat_interval_s = {self._dead_after_s / 6}\ndead_after_s = {self._dead_after_s}\n"
            self.csms = [Csms(name, hosts[name], folder, lambda: self.database, text) for name in self._names]
        await self.csms[0].start()
        while not self.key:  # it is said a moment after the first answer
            await asyncio.sleep(0.05)
            self.key = self.csms[0].key() or ""
        await asyncio.gather(*(csms.start() for csms in self.csms[1:]))
        if not self.single:
            self.haproxy = Haproxy(network.host("haproxy"), folder, self.csms)
            await self.haproxy.start()

    @property
    def database(self) -> str:
        """Its URL."""
        return self.postgresql.url if self.postgresql is not None else f"sqlite:///{self.disk.folder}/csms.sqlite"

    @property
    def ocpp(self) -> str:
        """Where stations connect."""
        csms = self.csms[0]
        return self.haproxy.ocpp if self.haproxy is not None else f"ws://{csms.host.address}:{csms.ocpp_port}/ocpp"

    @property
    def api(self) -> str:
        """Where everybody else does."""
        return self.haproxy.api if self.haproxy is not None else self.csms[0].api

    @property
    def servers(self) -> list[Server]:
        """All."""
        others = (self.postgresql, self.nats, self.haproxy)
        return [*self.csms, *(server for server in others if server is not None)]

    async def __aexit__(self, *_: object) -> None:
        for server in self.servers:
            if server.alive:
                await server.kill()
        self.disk.unmount()
        self.network.close()
