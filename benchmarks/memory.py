"""What an idle station takes of a CSMS's memory, beyond the process without stations: plain, and with TLS 1.3.

A `forecourt csms` on SQLite in a process of its own; stations of another process connect, boot, say their status and
then nothing. What is told is resident memory; beside it that of a raw picows server, which keeps nothing.

    python benchmarks/memory.py [--stations 5000] [--rounds 3] [--json]
"""

import argparse
import contextlib
import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from roles import Process, certificate, crowd, csms, ended_by_signals, raw, settled, sqlite

AT_ONCE = 50
MOST = {"plain": 24.0, "tls": 48.0}
"""KiB."""


@contextlib.contextmanager
def ours(tls: tuple[Path, Path] | None) -> Iterator[Process]:
    """The CSMS."""
    more = "" if tls is None else f'profiles = [0, 2]\n[ocpp.tls]\ncertificate = "{tls[0]}"\nkey = "{tls[1]}"\n'
    with sqlite() as database, csms(database, more) as process:
        yield process


def measure(server: Process, stations: int, *, silent: bool, ca: Path | None) -> float:
    """KiB of the server for each station."""
    with crowd(server, 5, silent=silent, ca=ca) as few:
        few.do("connect", 5)  # what is made once is made
        few.do("vanish")
    with crowd(server, stations, silent=silent, ca=ca) as many:
        before = settled(server)
        many.do("connect", AT_ONCE)
        after = settled(server)
        connected = many.do("tell")["connected"]
    if connected != stations:
        raise RuntimeError(f"{connected} of {stations} stations are connected")
    return (after - before) / stations / 1024


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="plain,tls")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    ended_by_signals()
    kinds = given.only.split(",")
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        pair = certificate(Path(folder))
        for _ in range(given.rounds):
            for kind in kinds:
                tls, ca = (pair, pair[0]) if kind == "tls" else (None, None)
                for name, server, silent in ((f"raw {kind}", raw, True), (kind, ours, False)):
                    with server(tls) as process:
                        found.setdefault(name, []).append(measure(process, given.stations, silent=silent, ca=ca))
    each = {name: statistics.median(kibs) for name, kibs in found.items()}
    claims = [
        {
            "ours": f"KiB of an idle station, {kind}",
            "against": f"(raw picows: {each[f'raw {kind}']:.1f})",
            "ratio": round(each[kind], 1),
            "at_most": MOST[kind],
        }
        for kind in kinds
    ]
    if given.json:
        print(json.dumps({"stations": given.stations, "claims": claims, "kib": each}))
        return
    print(f"{given.stations} idle stations, medians of {given.rounds} rounds, KiB of the server for each")
    for kind in kinds:
        print(f"{kind:6} {each[kind]:6.1f} (at most {MOST[kind]:g}); a raw picows server {each[f'raw {kind}']:6.1f}")


if __name__ == "__main__":
    main()
