"""Whether a message costs more when there are more stations: a server's CPU for a MeterValues at few and at many.

The loads and servers are those of `meter_values.py`; a raw echo, which knows nothing, grows too.

    python benchmarks/growth.py [--few 100] [--many 10000] [--seconds 5] [--rounds 5] [--kind sqlite] [--json]
"""

import argparse
import json
import statistics

from loads import measure

MOST = 2.0


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kind", default="sqlite", choices=["sqlite", "nothing-stored"])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(given.rounds):
        for kind in ("echo", given.kind):
            for stations in (given.few, given.many):
                found.setdefault((kind, stations), []).append(measure(kind, stations, given.seconds).each_s)
    each_s = {key: statistics.median(costs) for key, costs in found.items()}
    grown = {kind: each_s[kind, given.many] / each_s[kind, given.few] for kind in ("echo", given.kind)}
    claim = {
        "ours": f"CPU of a message, {given.few} to {given.many}",
        "against": f"itself (raw echo: {grown['echo']:.2f})",
        "ratio": round(grown[given.kind], 2),
        "at_most": MOST,
    }
    if given.json:
        print(json.dumps({"claims": [claim], "grown": grown}))
        return
    for (kind, stations), seconds in sorted(each_s.items()):
        print(f"{kind:15} {stations:6} stations: {seconds * 1e6:7.1f} µs of the server a call")
    print(f"grown {grown[given.kind]:.2f} times (at most {MOST:g}), a raw echo {grown['echo']:.2f} times")


if __name__ == "__main__":
    main()
