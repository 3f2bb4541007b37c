"""How long a real-time decision takes, from 10 to 10,000 EVSEs.

    python benchmarks/allocation_speed.py [--rounds 400]

The site is a tree: a grid connection with a power and an asymmetry limit, a feeder for every ten circuits, circuits of
ten EVSEs, so that 1,000 EVSEs hang on 100 circuits and 10 feeders. Nine in ten EVSEs have a car, a fifth of them
single-phase. Each round one demand changes and all shares are decided anew, with the last decision as memory.

Situations
* `ample`: most get what they want; a few circuits are full.
* `tight`: every circuit is full, all minimums fit.
* `tight, departures`: the same, everybody's departure and energy are known, so that laxity and thrift count.
* `scarce`: not all minimums fit, EVSEs take turns.
* `scarce, departures`: both.

Times are CPU time of this thread, in milliseconds, as other work on the machine isn't the decision's; the wall clock's
99th percentile stands beside. Growth is the median's ratio to ten times fewer EVSEs: 10 is linear.
"""

import argparse
import functools
import gc
import json
import math
import random
import time

import msgspec

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Demand
from forecourt.allocation.realtime import Allocation, allocate
from forecourt.domain.site import Circuit, EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase, Phase

SIZES = (10, 100, 1000, 10_000)
PER_CIRCUIT = 10
SITUATIONS = {
    "ample": (30.0, False),
    "tight": (12.0, False),
    "tight, departures": (12.0, True),
    "scarce": (5.0, False),
    "scarce, departures": (5.0, True),
}
"""Ampere per EVSE that a circuit bears, and whether departures are known."""
ROTATIONS = ((Phase.L1, Phase.L2, Phase.L3), (Phase.L2, Phase.L3, Phase.L1), (Phase.L3, Phase.L1, Phase.L2))


def tree(count: int, each_a: float) -> Site:
    """A site of `count` EVSEs."""
    circuits = max(1, count // PER_CIRCUIT)
    feeders = circuits // 10
    nodes = [
        Circuit(name=f"feeder-{k}", rating_a=PerPhase.of(10 * PER_CIRCUIT * each_a * 0.85)) for k in range(feeders)
    ]
    nodes += [
        Circuit(
            name=f"circuit-{k}",
            parent=f"feeder-{k % feeders}" if feeders else None,
            rating_a=PerPhase.of(PER_CIRCUIT * each_a),
        )
        for k in range(circuits)
    ]
    evses = []
    for k in range(count):
        phases = 1 if k % 5 == 4 else 3
        rotation = ROTATIONS[k // circuits % 3][:phases]
        circuit = f"circuit-{k % circuits}"
        evses.append(EvsePoint(station_id=f"s{k}", circuit=circuit, phases=phases, rotation=rotation))
    grid = GridConnection(
        name="grid",
        rating_a=PerPhase.of(count * each_a * 0.75),
        power_limit_w=count * each_a * 0.75 * 650.0,
        asymmetry_limit_a=count * 1.0,
    )
    return Site(grid=grid, circuits=tuple(nodes), evses=tuple(evses)).checked()


def demand_of(point: EvsePoint, chance: random.Random, *, departures: bool) -> Demand:
    """Of a car that just came."""
    return Demand(
        evse=point.key,
        active_phases=tuple(range(1, point.phases + 1)),
        wanted_a=chance.choice([math.inf, 16.0, 13.0]),
        departs_s=chance.uniform(1.0, 9.0) * 3600.0 if departures else None,
        remaining_wh=chance.uniform(2.0, 40.0) * 1000.0 if departures else None,
    )


def measure(count: int, each_a: float, rounds: int, *, departures: bool) -> tuple[list[float], list[float]]:
    """CPU and wall time of each decision, sorted, in milliseconds."""
    chance = random.Random(count)
    site = CompiledSite(tree(count, each_a))
    demands = [demand_of(point, chance, departures=departures) for point in site.site.evses if chance.random() < 0.9]
    last: Allocation | None = None
    cpu_ms, wall_ms = [], []
    gc.collect()
    for round_number in range(rounds + 5):
        changed = chance.randrange(len(demands))
        wanted_a = chance.choice([6.0, 10.0, 16.0, 32.0])
        demands[changed] = msgspec.structs.replace(demands[changed], wanted_a=wanted_a)
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        last = allocate(site, demands, 10.0 * round_number, previous=last)
        cpu_ms.append(1000.0 * (time.thread_time() - cpu_s))
        wall_ms.append(1000.0 * (time.perf_counter() - wall_s))
    return sorted(cpu_ms[5:]), sorted(wall_ms[5:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400, help="decisions for each line; a tenth for 10,000 EVSEs")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rounds = given.rounds
    rows: list[dict[str, object]] = []
    show = (lambda _text: None) if given.json else functools.partial(print, flush=True)
    show(f"{'':20}{'EVSEs':>7}{'circuits':>9}{'p50 ms':>10}{'p99 ms':>10}{'wall p99':>10}{'growth':>8}")
    for name, (each_a, departures) in SITUATIONS.items():
        before = math.nan
        for count in SIZES:
            turns = max(20, rounds // 10) if count >= 10_000 else rounds
            cpu, wall = measure(count, each_a, turns, departures=departures)
            p50, p99 = cpu[len(cpu) // 2], cpu[min(len(cpu) - 1, math.ceil(0.99 * len(cpu)) - 1)]
            wall_p99 = wall[min(len(wall) - 1, math.ceil(0.99 * len(wall)) - 1)]
            growth = "" if math.isnan(before) else f"{p50 / before:8.1f}"
            circuits = max(1, count // PER_CIRCUIT)
            show(f"{name:20}{count:7}{circuits:9}{p50:10.3f}{p99:10.3f}{wall_p99:10.3f}{growth}")
            rows.append({"situation": name, "evses": count, "p50_ms": p50, "p99_ms": p99})
            before = p50
    if given.json:
        worst_ms = max(float(str(row["p99_ms"])) for row in rows if row["evses"] == 1000)
        claim = {"ours": "a decision for 1,000 EVSEs, p99", "against": "5 ms", "ratio": 5.0 / worst_ms, "at_least": 1.0}
        print(json.dumps({"claims": [claim], "rows": rows}))


if __name__ == "__main__":
    main()
