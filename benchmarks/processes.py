"""What a second process costs: processor time of the servers for each message, two processes against one.

On one PostgreSQL and one NATS, stations with readings that are stored before they are answered: all at one
`forecourt csms`; as many at each of two, as when there are twice the stations; and half of them at each of two, which
shows what a process costs by being there. Each process also hears what happens at the other.

    python benchmarks/processes.py [--stations 1000] [--interval 0.5] [--seconds 10] [--rounds 5] [--json]
"""

import argparse
import contextlib
import json
import statistics
import time
import uuid
from typing import NamedTuple

from roles import NATS, crowd, csms, ended_by_signals, postgresql

MOST = 1.2
ONE, AS_BUSY, HALF = "one process", "two, each as busy", "two, each half as busy"
SETTINGS = {ONE: (1, 1), AS_BUSY: (2, 2), HALF: (2, 1)}
"""How many processes, and how many times the stations."""


class Cost(NamedTuple):
    """Of one window."""

    each_s: float
    rate: float
    load: float
    """Of one core: near 1 it is the load that is measured."""


def measure(processes: int, stations: int, interval_s: float, seconds: float) -> Cost:
    """So many processes."""
    more = f'[bus]\nurl = "{NATS}"\nprefix = "benchmark-{uuid.uuid4().hex}"\n'
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(postgresql())
        servers = [stack.enter_context(csms(database, more)) for _ in range(processes)]
        share = stations // processes
        crowds = [stack.enter_context(crowd(server, share, first=n * share)) for n, server in enumerate(servers)]
        for many in crowds:
            many.do("connect", 50)
        for many in crowds:
            many.do("busy", interval_s)
        time.sleep(2.0)
        told = [many.do("tell") for many in crowds]
        before_s, began_s = sum(server.processor_s for server in servers), time.monotonic()
        time.sleep(seconds)
        spent_s, waited_s = sum(server.processor_s for server in servers) - before_s, time.monotonic() - began_s
        later = [many.do("tell") for many in crowds]
    answers = sum(b["answers"] - a["answers"] for a, b in zip(told, later, strict=True))
    load_s = sum(b["processor_s"] - a["processor_s"] for a, b in zip(told, later, strict=True))
    return Cost(spent_s / answers, answers / waited_s, load_s / waited_s)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=0.5, help="between two readings of a station, in seconds")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    ended_by_signals()
    found: dict[str, list[Cost]] = {name: [] for name in SETTINGS}
    for _ in range(given.rounds):
        for name, (processes, times) in SETTINGS.items():
            found[name].append(measure(processes, times * given.stations, given.interval, given.seconds))
    each_s = {name: statistics.median(cost.each_s for cost in costs) for name, costs in found.items()}
    claims = [
        {
            "ours": f"CPU of a message, {name}",
            "against": "one process",
            "ratio": round(each_s[name] / each_s[ONE], 2),
            "at_most": MOST,
        }
        for name in (AS_BUSY, HALF)
    ]
    if given.json:
        print(json.dumps({"claims": claims, "seconds_each": each_s}))
        return
    print(f"{given.stations} stations, a reading each {given.interval:g} s, medians of {given.rounds} rounds")
    for name, costs in found.items():
        rate, load = (statistics.median(getattr(cost, key) for cost in costs) for key in ("rate", "load"))
        print(f"{name:24} {each_s[name] * 1e6:6.1f} µs of the servers a message; {rate:.0f}/s, load {load:.0%}")
    for claim in claims:
        print(f"{claim['ratio']:.2f} times (at most {MOST:g}): {claim['ours']}")


if __name__ == "__main__":
    main()
