"""What a MeterValues call costs a server: ours, with and without books, against the raw floor and against others.

Each server runs in a process of its own, under a load that keeps it busy (`loads.py`); a round measures them one after
the other. Printed are medians of the server's processor time for each call, and how many times a peer's ours is.

    python benchmarks/meter_values.py [--stations 2000] [--seconds 5] [--rounds 5] [--only sqlite,echo] [--json]
"""

import argparse
import json
import statistics

from loads import Cost, measure

KINDS = {
    "echo": "picows, each frame sent back as it is",
    "nothing-stored": "forecourt, decoded, checked, translated, answered; nothing stored",
    "sqlite": "forecourt csms on SQLite, every reading stored",
    "postgresql": "forecourt csms on PostgreSQL, every reading stored (the server process only)",
    "ocpp-rpc": "ocpp-rpc (Node.js), strict mode; nothing stored",
    "ocpp": "the central system of the ocpp package's README; nothing stored",
}
CLAIMS = (
    ("nothing-stored", "echo", 0.6),
    ("nothing-stored", "ocpp", 15.0),
    ("nothing-stored", "ocpp-rpc", 1.6),
    ("sqlite", "ocpp", 10.0),
    ("sqlite", "ocpp-rpc", 1.0),
    ("postgresql", "sqlite", 0.7),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stations", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured of each server in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(KINDS), help="which servers")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    kinds = given.only.split(",")
    found: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    for _ in range(given.rounds):
        for kind in kinds:
            found[kind].append(measure(kind, given.stations, given.seconds))
    each_s = {kind: statistics.median(cost.each_s for cost in costs) for kind, costs in found.items()}
    claims = [
        {"ours": ours, "against": peer, "ratio": round(each_s[peer] / each_s[ours], 2), "at_least": least}
        for ours, peer, least in CLAIMS
        if ours in each_s and peer in each_s
    ]
    if given.json:
        print(json.dumps({"stations": given.stations, "claims": claims, "seconds_each": each_s}))
        return
    print(f"MeterValues, {given.stations} stations, medians of {given.rounds} rounds of {given.seconds:g} s")
    for kind in kinds:
        load = statistics.median(cost.load_utilisation for cost in found[kind])
        rate = statistics.median(cost.calls / cost.seconds for cost in found[kind])
        print(
            f"{each_s[kind] * 1e6:8.1f} µs of the server a call; {rate:7.0f} calls/s, load {load:4.0%}  {KINDS[kind]}"
        )
    for claim in claims:
        print(f"{claim['ratio']:6.2f} times {claim['against']} (at least {claim['at_least']}): {claim['ours']}")


if __name__ == "__main__":
    main()
