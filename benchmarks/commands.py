"""From a REST request to a station and back: how long, when stations are quiet, and when all of them talk.

A `forecourt csms` on SQLite; an operator gives one command after the other to stations in turn, each answered by the
station at once, and waits for its result in the same request. Quiet and busy windows alternate; busy means that each
station says a reading, which is stored before it is answered, so often as `--interval` says.

    python benchmarks/commands.py [--stations 1000] [--interval 1] [--commands 300] [--rounds 5] [--json]
"""

import argparse
import json
import statistics
import time

from roles import Operator, crowd, csms, ended_by_signals, percentile, sqlite

MOST = 5.0


def asked(operator: Operator, stations: int, number: int) -> list[float]:
    """How long each command took."""
    taken: list[float] = []
    for index in range(number):
        state, seconds = operator.command(f"S{index * 7 % stations}")
        if state != "accepted":
            raise RuntimeError(f"a command ended as {state}")
        taken.append(seconds)
        time.sleep(0.01)
    return taken


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=1.0, help="between two readings of a station, in seconds")
    parser.add_argument("--commands", type=int, default=300, help="in each window")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    ended_by_signals()
    quiet: list[float] = []
    busy: list[float] = []
    answers, server_s, load_s, seconds = 0.0, 0.0, 0.0, 0.0
    with sqlite() as database, csms(database) as server, crowd(server, given.stations) as many:
        many.do("connect", 50)
        operator = Operator(server)
        asked(operator, given.stations, 20)
        for _ in range(given.rounds):
            quiet += asked(operator, given.stations, given.commands)
            many.do("busy", given.interval)
            time.sleep(1.0)
            before, before_s, began_s = many.do("tell"), server.processor_s, time.monotonic()
            busy += asked(operator, given.stations, given.commands)
            told = many.do("idle")
            seconds += time.monotonic() - began_s
            answers += told["answers"] - before["answers"]
            load_s += told["processor_s"] - before["processor_s"]
            server_s += server.processor_s - before_s
            time.sleep(1.0)
    median_s, p99_s = statistics.median(quiet), percentile(busy, 0.99)
    ratio = round(p99_s / median_s, 2)
    if given.json:
        claim = {
            "ours": f"99th of 100 commands, {given.stations} busy",
            "against": "the median one, quiet",
            "ratio": ratio,
            "at_most": MOST,
        }
        print(json.dumps({"claims": [claim], "median_s": median_s, "p99_s": p99_s}))
        return
    print(f"{given.stations} stations, a reading each {given.interval:g} s; {len(quiet)} commands each way")
    for name, taken in (("quiet", quiet), ("busy", busy)):
        spread = ", ".join(f"{part:.0%} {percentile(taken, part) * 1e3:.1f}" for part in (0.5, 0.9, 0.99, 1.0))
        print(f"{name:6} ms: {spread}")
    rate = answers / seconds
    print(f"busy: {rate:.0f} readings/s, server {server_s / seconds:.0%} and load {load_s / seconds:.0%} of a core")
    print(f"{ratio:.2f} times the median quiet one (at most {MOST:g})")


if __name__ == "__main__":
    main()
