"""Where each server of a cluster lives: a network namespace of its own, or a port of this machine.

With namespaces (root, Linux) every server has an address and a kernel's network of its own, joined by a bridge, and any
two of them can be parted as a broken switch would: what one sends the other never gets, and nobody is told. Without,
everything is on 127.0.0.1 and nothing can be parted.
"""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

_NOWHERE: Final = "02:00:00:00:00:01"
"""A hardware address that nobody has."""
_HUB: Final = "FORECOURT_SURVIVAL_HUB"
_PREFIX_BITS: Final = 24


class Host:
    """One place where a server runs."""

    def __init__(self, name: str, address: str, namespace: str | None) -> None:
        self.name = name
        self.address = address
        self.namespace = namespace

    def port(self, usual: int) -> int:
        """The port for a server here: the usual one where the place is its own."""
        return usual if self.namespace is not None else free_port()

    def command(self, command: Sequence[str]) -> list[str]:
        """`command`, to be run here."""
        return list(command) if self.namespace is None else ["ip", "netns", "exec", self.namespace, *command]


class Network:
    """The places of one cluster. `close` takes them away."""

    def __init__(self) -> None:
        self._hub = os.environ.get(_HUB)
        self._numbers = itertools.count(10)
        self._hosts: list[Host] = []

    @property
    def parts(self) -> bool:
        """Whether hosts can be parted."""
        return self._hub is not None

    def host(self, name: str) -> Host:
        """A new one."""
        if self._hub is None:
            host = Host(name, "127.0.0.1", None)
        else:
            number = next(self._numbers)
            namespace, address = f"{self._hub}-{name}", f"10.213.77.{number}"
            outer = f"v{number}"
            _ip("netns", "add", namespace)
            _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "set", outer, "master", "bridge", "up")
            _ip("-n", namespace, "address", "add", f"{address}/{_PREFIX_BITS}", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", namespace, "link", "set", device, "up")
            host = Host(name, address, namespace)
        self._hosts.append(host)
        return host

    def part(self, one: Host, other: Host) -> None:
        """From now on neither hears the other."""
        for here, there in ((one, other), (other, one)):
            _ip("-n", str(here.namespace), "neighbour", "replace", there.address, "lladdr", _NOWHERE, "nud",
                "permanent", "dev", "eth0")  # fmt: skip

    def join(self, one: Host, other: Host) -> None:
        """They hear each other again."""
        for here, there in ((one, other), (other, one)):
            _ip("-n", str(here.namespace), "neighbour", "delete", there.address, "dev", "eth0")

    def unplug(self, host: Host) -> None:
        """Nobody hears it, nor it anybody."""
        _ip("link", "set", f"v{host.address.rpartition('.')[2]}", "down")

    def plug(self, host: Host) -> None:
        """Everybody does again."""
        _ip("link", "set", f"v{host.address.rpartition('.')[2]}", "up")

    def close(self) -> None:
        """Take away what was made."""
        for host in self._hosts:
            if host.namespace is not None:
                _ip("netns", "delete", host.namespace)


def in_a_network_of_its_own(arguments: Sequence[str]) -> int | None:
    """Run this program again inside a new namespace with the bridge; its exit code. None: we are there, or can't be."""
    if _HUB in os.environ or os.geteuid() != 0 or shutil.which("ip") is None:
        return None
    hub = f"survival-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", hub], capture_output=True, check=False).returncode:
        return None
    try:
        inside = ("-n", hub)
        try:
            _ip(*inside, "link", "add", "bridge", "type", "bridge")
        except RuntimeError:
            return None  # a kernel without bridges
        _ip(*inside, "address", "add", f"10.213.77.1/{_PREFIX_BITS}", "dev", "bridge")
        for device in ("lo", "bridge"):
            _ip(*inside, "link", "set", device, "up")
        command = ["ip", "netns", "exec", hub, sys.executable, "-m", "tools.survival", *arguments]
        with subprocess.Popen(command, env={**os.environ, _HUB: hub}) as inner:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda _number, _frame: inner.terminate())
            return inner.wait()
    finally:
        subprocess.run(["ip", "netns", "delete", hub], check=False)


def free_port() -> int:
    """One that nobody has at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
