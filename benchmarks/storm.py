"""A storm: all stations come back at once, boot and report their status; against as many raw picows handshakes.

A `forecourt csms` on SQLite knows the stations; all connections are cut, and when it has noticed, all come back, so
many handshakes at a time as `--at-once` says. It is over when each has been answered its boot and two statuses.
Meanwhile commands are given through the API. The floor is a raw picows server that takes everybody and says nothing,
with the same clients. With `--tls` full handshakes are compared with resumed ones, by the server's processor time.

    python benchmarks/storm.py [--stations 10000] [--rounds 3] [--tls] [--json]      (needs `ulimit -n 12000`)
"""

import argparse
import json
import random
import socket
import ssl
import statistics
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from roles import Operator, Process, certificate, crowd, csms, ended_by_signals, percentile, raw, settled, sqlite

MOST = 3.0


class Asking(threading.Thread):
    """Gives commands while the storm lasts."""

    def __init__(self, server: Process, stations: int) -> None:
        super().__init__(daemon=True)
        self._operator = Operator(server)
        self._stations = stations
        self._over = threading.Event()
        self.states: dict[str, int] = {}
        self.answered_s: list[float] = []

    def run(self) -> None:
        chance = random.Random(1)
        while not self._over.wait(0.02):
            state, seconds = self._operator.command(f"S{chance.randrange(self._stations)}")
            self.states[state] = self.states.get(state, 0) + 1
            self.answered_s.append(seconds)

    def stop(self) -> None:
        """The storm is over."""
        self._over.set()
        self.join()


def of_ours(stations: int, at_once: int) -> dict[str, Any]:
    """One storm at the CSMS."""
    with sqlite() as database, csms(database) as server, crowd(server, stations) as many:
        many.do("connect", min(at_once, 200))
        many.do("vanish")
        while server.connections():
            pass
        memory = settled(server)
        asking = Asking(server, stations)
        before_s, load_s = server.processor_s, many.do("tell")["processor_s"]
        asking.start()
        told = many.do("connect", at_once)
        spent_s = server.processor_s - before_s
        asking.stop()
        return {
            "seconds": told["seconds"],
            "server_s": spent_s,
            "load": (told["processor_s"] - load_s) / told["seconds"],
            "turned_away": told["turned_away"],
            "grown_mib": (server.memory_bytes - memory) / 2**20,
            "commands": asking.states,
            "command_p99_s": percentile(asking.answered_s, 0.99) if asking.answered_s else 0.0,
        }


def of_raw(stations: int, at_once: int) -> dict[str, Any]:
    """The same number of handshakes."""
    with raw() as server, crowd(server, stations, silent=True) as many:
        many.do("connect", min(at_once, 200))
        many.do("vanish")
        settled(server)
        before_s, load_s = server.processor_s, many.do("tell")["processor_s"]
        told = many.do("connect", at_once)
        load = (told["processor_s"] - load_s) / told["seconds"]
        return {"seconds": told["seconds"], "server_s": server.processor_s - before_s, "load": load}


def of_tls(stations: int) -> dict[str, float]:
    """Processor time of the server to let one in, one after the other: with a full handshake, with a resumed one."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        file, key = certificate(Path(folder))
        more = f'profiles = [0, 2]\n[ocpp.tls]\ncertificate = "{file}"\nkey = "{key}"\n'
        context = ssl.create_default_context(cafile=str(file))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with sqlite() as database, csms(database, more) as server:
            session = _let_in(server, context, 0, None)
            for resumed in (False, True):
                before_s = server.processor_s
                for number in range(stations):
                    # the ticket of the last is that of the next, as each is for one use
                    session = _let_in(server, context, number, session if resumed else None)
                found["resumed" if resumed else "full"] = (server.processor_s - before_s) / stations
    return found


def _let_in(
    server: Process, context: ssl.SSLContext, number: int, session: ssl.SSLSession | None
) -> ssl.SSLSession | None:
    """A WebSocket that is opened and cut; the session to go on from."""
    address = urlsplit(server.ocpp)
    request = (
        f"GET {address.path}/S{number} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    )
    with (
        socket.create_connection((address.hostname, address.port or 0), timeout=60.0) as plain,
        context.wrap_socket(plain, server_hostname=address.hostname, session=session) as secure,
    ):
        secure.sendall(request.encode())
        answer = secure.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"not let in: {answer[:60]!r}")
        if bool(secure.session_reused) is not (session is not None):
            raise RuntimeError("a session was not resumed" if session is not None else "a session was resumed")
        return secure.session


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=500, help="handshakes under way")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    ended_by_signals()
    ours, floor = [], []
    for _ in range(given.rounds):
        ours.append(of_ours(given.stations, given.at_once))
        floor.append(of_raw(given.stations, given.at_once))
    of = {
        key: (statistics.median(one[key] for one in ours), statistics.median(one[key] for one in floor))
        for key in ("seconds", "server_s", "load")
    }
    ratio = round(of["seconds"][0] / of["seconds"][1], 2)
    claim = {"ours": f"time of a storm of {given.stations}", "against": "raw handshakes", "ratio": ratio}
    tls = of_tls(min(300, given.stations)) if given.tls else {}
    if given.json:
        print(json.dumps({"claims": [{**claim, "at_most": MOST}], "absolute": of, "last": ours[-1], "tls": tls}))
        return
    print(f"{given.stations} stations, {given.at_once} handshakes at once, medians of {given.rounds} rounds")
    for name, index in (("forecourt csms", 0), ("raw picows", 1)):
        seconds, server_s, load = (of[key][index] for key in ("seconds", "server_s", "load"))
        each_us = server_s / given.stations * 1e6
        print(f"{name:15} {seconds:6.2f} s, {each_us:5.0f} µs of the server for each, load {load:4.0%} of a core")
    print(f"{ratio:.2f} times as long (at most {MOST:g})")
    last = ours[-1]
    print(
        f"commands meanwhile: {last['commands']}, the 99th of a hundred after {last['command_p99_s'] * 1e3:.0f} ms;"
        f" {last['turned_away']:.0f} turned away, {last['grown_mib']:.0f} MiB more at the end"
    )
    if tls:
        print(f"TLS 1.3: {tls['full'] * 1e6:.0f} µs of the server for each, resumed {tls['resumed'] * 1e6:.0f} µs")


if __name__ == "__main__":
    main()
