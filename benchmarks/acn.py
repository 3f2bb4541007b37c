"""Allocation on the published Caltech experiment, next to acnportal's own algorithms in the same process.

    PYTHON benchmarks/acn.py SESSIONS.csv [--kw 10 30] [--model continuous] [--algorithms llf real-time]

PYTHON is that of an environment as benchmarks/requirements-acn.txt describes it. SESSIONS.csv is the sessions of March
2019 as they were published (`arrival_period,departure_period,...`); it isn't shipped. All of it takes hours, nearly all
in acnportal's round robin; `--algorithms` leaves some out, `--quick` gives some of acnportal's a quicker check of
constraints (`acn_peer.py`), `--json` resumes.

What is compared
* The network is `examples/caltech-acn.toml`, physics of line-to-line loads and a delta-wye transformer; that it equals
  acnportal's constraint matrix is checked before anything runs.
* Two models of an EVSE: `continuous`, 0 to 32 A, and `steps`, {0} and 6 to 32 A in whole amperes (acnportal's
  `FiniteRatesEVSE`; its sorted algorithms know no other gap). Cars take at most what the file says, at any current.
* Periods of five minutes: nobody decides anything in between.
* `optimum` is a bound that nobody can beat: it knows the future, and polygons around the circles, not inside.
  Everything of ours keeps each limit with any subset of cars stopping; acnportal's algorithms, and the optimum, rely
  on currents that cancel each other.
* Every schedule is checked with acnportal's own network, all periods: `violations` counts periods.
* Times are CPU seconds of this process; `x` is how many times faster than acnportal's least laxity first, with
  everything around (its simulator, our garage), `decide` for the decisions alone. What ran with the quicker check
  isn't timed against.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import acn_peer
from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.connection import sources, up
from forecourt.allocation.programme import Programme, Solver
from forecourt.app.site_file import load_site
from forecourt.domain.site import Site
from forecourt.sim.algorithms import Planned, Rule
from forecourt.sim.ideal import PERIOD_S, Course, Garage, truly_wanted_wh
from forecourt.sim.sessions import PERIODS_START, RecordedSession, read_sessions

SITE = Path(__file__).parent.parent / "examples" / "caltech-acn.toml"
FILE_KW = 150.0
CAPACITIES_KW = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
MODELS = {"continuous": (0.0, 10**9), "steps": (6.0, 1)}
"""Minimum in ampere, steps per ampere."""
OURS: dict[str, Callable[[CompiledSite, int], Any]] = {
    "even": lambda site, steps: Rule(site, informed=False, steps_per_ampere=steps),
    "real-time": lambda site, steps: Rule(site, steps_per_ampere=steps),
    "planner": lambda site, steps: Planned(site, steps_per_ampere=steps),
}
PERIOD_H = PERIOD_S / 3600.0


class Row(msgspec.Struct, frozen=True):
    """One algorithm at one capacity."""

    model: str
    kw: float
    algorithm: str
    delivered_percent: float
    violations: int
    run_s: float
    decide_s: float
    quick: bool = False
    """Whether acnportal's check was replaced."""


def scaled(site: Site, kw: float, minimum_a: float) -> Site:
    """With a transformer of `kw`, and this minimum at each EVSE."""
    factor = kw / FILE_KW
    grid, *circuits = (
        msgspec.structs.replace(node, rating_a=node.rating_a.map(lambda rating_a: rating_a * factor))
        if node is site.grid or node.transformer is not None  # type: ignore[attr-defined]
        else node
        for node in site.nodes
    )
    evses = tuple(msgspec.structs.replace(point, minimum_a=minimum_a) for point in site.evses)
    return msgspec.structs.replace(site, grid=grid, circuits=tuple(circuits), evses=evses).checked()


def matrix_of(site: Site, station_ids: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What one ampere of each station is in each line of each node, from the physics; with ratings and names."""
    rows = [(node, line) for node in range(len(site.nodes)) for line in range(3)]
    place = {row: index for index, row in enumerate(rows)}
    found = np.zeros((len(rows), len(station_ids)), complex)
    for column, station_id in enumerate(station_ids):
        point = next(point for point in site.evses if point.station_id == station_id)
        (current,) = sources(point)
        node = site.node_of(point)
        while True:
            for line in range(3):
                found[place[node, line], column] = current[line]
            if (above := site.parents[node]) < 0:
                break
            current = up(current, site.circuits[node - 1].transformer, site.voltages_v[above])
            node = above
    ratings = np.array([list(site.nodes[node].usable_a)[line] for node, line in rows])
    return found, ratings, [f"{site.nodes[node].name} L{line + 1}" for node, line in rows]


def check_network(site: Site, network: Any) -> None:
    """That each of acnportal's constraints is a line of a node, and each line one of its constraints."""
    ours, ratings, names = matrix_of(site, network.station_ids)
    theirs = network.constraint_matrix * np.exp(1j * np.deg2rad(network._phase_angles))  # noqa: SLF001
    met: set[int] = set()
    for index, (row, limit) in enumerate(zip(theirs, network.magnitudes, strict=True)):
        equal = [k for k in range(len(ours)) if abs(ratings[k] - limit) < 1e-5 and _turned(ours[k], row)]
        if not equal:
            sys.exit(f"no line of the site is acnportal's constraint {network.constraint_index[index]}")
        met.update(equal)
    unmet = [names[k] for k in range(len(ours)) if k not in met and np.any(ours[k])]
    if unmet:
        sys.exit(f"acnportal has no constraint for {', '.join(unmet)}")


def _turned(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether both are equal but for the angle of the reference."""
    at = int(np.argmax(np.abs(other)))
    if abs(one[at]) < 1e-9:
        return False
    turn = one[at] / other[at]
    return abs(abs(turn) - 1.0) < 1e-6 and bool(np.allclose(one, other * turn, atol=1e-6))


class Timed:
    """An algorithm, and how long its decisions take."""

    def __init__(self, algorithm: Any) -> None:
        self.algorithm = algorithm
        self.name = algorithm.name
        self.decide_s = 0.0

    def decide(self, visits: Any, now_s: float, period_s: float) -> Any:
        started_s = time.process_time()
        try:
            return self.algorithm.decide(visits, now_s, period_s)
        finally:
            self.decide_s += time.process_time() - started_s


def run_ours(name: str, model: str, kw: float, site: Site, sessions: tuple[RecordedSession, ...]) -> Row:
    """Our garage with one of our algorithms."""
    minimum_a, steps = MODELS[model]
    compiled = CompiledSite(scaled(site, kw, minimum_a))
    algorithm = Timed(OURS[name](compiled, steps))
    started_s = time.process_time()
    course = Garage(compiled, sessions, PERIODS_START).run(algorithm, when_done=False)
    run_s = time.process_time() - started_s
    if course.turned_away:
        sys.exit(f"{len(course.turned_away)} sessions found their EVSE taken")
    network = acn_peer.network_of(model, kw)
    percent = 100.0 * course.delivered_wh / course.requested_wh
    broken = acn_peer.broken_periods(network, schedule_of(course, network.station_ids))
    return Row(model, kw, name, percent, broken, run_s, algorithm.decide_s)


def schedule_of(course: Course, station_ids: list[str]) -> np.ndarray:
    """What was allowed, station by interval."""
    place = {station_id: index for index, station_id in enumerate(station_ids)}
    found = np.zeros((len(station_ids), len(course.intervals)))
    for column, interval in enumerate(course.intervals):
        for key, limit_a in interval.limits_a.items():
            found[place[key.station_id], column] = limit_a
    return found


def optimum(kw: float, site: Site, sessions: tuple[RecordedSession, ...]) -> Row:
    """An upper bound of what anybody who knows the future could deliver: polygons around the circles."""
    started_s = time.process_time()
    spans = [
        (
            round((session.arrival - PERIODS_START) / timedelta(seconds=PERIOD_S)),
            round((session.departure - PERIODS_START) / timedelta(seconds=PERIOD_S)),
        )
        for session in sessions
    ]
    station_ids = [session.station_id for session in sessions]
    matrix, ratings, _ = matrix_of(scaled(site, kw, 0.0), station_ids)
    watts = 208.0
    delivered_kwh = 0.0
    for group in _apart(spans):
        delivered_kwh += _best_kwh(
            [spans[k] for k in group], [sessions[k] for k in group], matrix[:, group], ratings, watts
        )
    percent = 100.0 * delivered_kwh / (sum(map(truly_wanted_wh, sessions)) / 1000.0)
    return Row("continuous", kw, "optimum", percent, 0, time.process_time() - started_s, 0.0)


def _apart(spans: list[tuple[int, int]]) -> Iterable[list[int]]:
    """Sessions that overlap in time, directly or through others, together."""
    group: list[int] = []
    until = -1
    for k in sorted(range(len(spans)), key=lambda k: spans[k]):
        if group and spans[k][0] >= until:
            yield group
            group = []
        group.append(k)
        until = max(until, spans[k][1]) if len(group) > 1 else spans[k][1]
    yield group


def _best_kwh(
    spans: list[tuple[int, int]],
    sessions: list[RecordedSession],
    matrix: np.ndarray,
    ratings: np.ndarray,
    watts: float,
) -> float:
    first = min(span[0] for span in spans)
    count = max(span[1] for span in spans) - first
    kinds, kind_of = np.unique(np.round(matrix, 9), axis=1, return_inverse=True)
    kind_of = kind_of.ravel()
    who = np.concatenate([np.full(end - start, k) for k, (start, end) in enumerate(spans)])
    when = np.concatenate([np.arange(start - first, end - first) for start, end in spans])
    most_a = np.array([min(32.0, (session.maximum_w or math.inf) / watts) for session in sessions])
    programme = Programme()
    kwh = watts * PERIOD_H / 1000.0
    currents = programme.variables(upper=most_a[who], cost=np.full(len(who), -kwh))
    wanted_kwh = np.array([truly_wanted_wh(session) for session in sessions]) / 1000.0
    ones = np.ones(len(who))
    programme.rows(
        len(spans), lower=np.full(len(spans), -np.inf), upper=wanted_kwh, entries=[(who, currents, kwh * ones)]
    )
    number = kinds.shape[1] * count
    sums = programme.variables(upper=np.full(number, np.inf), cost=np.zeros(number))
    place = kind_of[who] * count + when
    programme.rows(
        number,
        lower=np.zeros(number),
        upper=np.zeros(number),
        entries=[(place, currents, ones), (np.arange(number), sums, -np.ones(number))],
    )
    sums = sums.reshape(kinds.shape[1], count)
    together = np.zeros(sums.shape)
    np.add.at(together, (kind_of[who], when), most_a[who])
    for row, rating_a in zip(kinds, ratings, strict=True):
        tight = np.flatnonzero(np.abs(row) @ together > rating_a)
        if not len(tight):
            continue
        for normal in np.exp(1j * np.deg2rad(np.arange(0.0, 360.0, 7.5))):
            along = (row * np.conj(normal)).real
            if np.all(along <= 1e-9):
                continue
            slots = np.arange(len(tight))
            entries = [
                (slots, sums[k][tight], np.full(len(tight), along[k])) for k in np.flatnonzero(np.abs(along) > 1e-9)
            ]
            programme.rows(
                len(tight), lower=np.full(len(tight), -np.inf), upper=np.full(len(tight), rating_a), entries=entries
            )
    solution = Solver(3600.0).solve(programme)
    if solution is None:
        sys.exit("the offline optimum wasn't found")
    return -solution.objective


def show(rows: list[Row], model: str) -> None:
    """A table of one model."""
    mine = [row for row in rows if row.model == model]
    capacities = sorted({row.kw for row in mine})
    print(f"\n{model}: per cent of the requested energy delivered, by transformer kW")
    print(f"{'':12}" + "".join(f"{kw:>9g}" for kw in capacities))
    for algorithm in dict.fromkeys(row.algorithm for row in mine):
        by_kw = {row.kw: row for row in mine if row.algorithm == algorithm}
        cells = (f"{by_kw[kw].delivered_percent:9.3f}" if kw in by_kw else f"{'':9}" for kw in capacities)
        print(f"{algorithm:12}" + "".join(cells))
    best = {
        kw: max(
            (row.delivered_percent for row in mine if row.kw == kw and row.algorithm in acn_peer.ALGORITHMS),
            default=math.nan,
        )
        for kw in capacities
    }
    print("\nreal-time less the best of acnportal's, and the planner as a part of the optimum")
    for algorithm in ("real-time", "planner"):
        by_kw = {row.kw: row.delivered_percent for row in mine if row.algorithm == algorithm}
        print(f"{algorithm:12}" + "".join(f"{by_kw.get(kw, math.nan) - best[kw]:+9.3f}" for kw in capacities))
    tops = {row.kw: row.delivered_percent for row in rows if row.algorithm == "optimum"}
    planned = {row.kw: row.delivered_percent for row in mine if row.algorithm == "planner"}
    if tops and planned:
        parts = (100.0 * planned.get(kw, math.nan) / tops.get(kw, math.nan) for kw in capacities)
        print(f"{'% of optimum':12}" + "".join(f"{part:9.2f}" for part in parts))
    print(f"\nCPU seconds for the month (decisions alone), violations, and x faster than {'llf'}")
    for row in mine:
        timed = (one for one in mine if one.kw == row.kw and one.algorithm == "llf" and not one.quick)
        llf = next(timed, None)
        times = f"{row.run_s:9.2f} ({row.decide_s:.2f}) violations {row.violations}"
        if llf is not None and row.algorithm in OURS:
            times += f"  x{llf.run_s / row.run_s:.1f}, decide x{llf.decide_s / row.decide_s:.1f}"
        print(f"{row.kw:4g} kW {row.algorithm:12}{times}")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", type=Path)
    parser.add_argument("--kw", type=float, nargs="+", default=list(CAPACITIES_KW))
    parser.add_argument("--model", nargs="+", choices=list(MODELS), default=list(MODELS))
    known = [*acn_peer.ALGORITHMS, *OURS, "optimum"]
    parser.add_argument("--algorithms", nargs="+", choices=known, default=known)
    parser.add_argument("--quick", nargs="*", choices=acn_peer.ALGORITHMS, default=[])
    parser.add_argument(
        "--json", type=Path, help="append each result to this file as a line, and take up what is in it"
    )
    arguments = parser.parse_args()
    site = load_site(SITE).site
    check_network(scaled(site, FILE_KW, 6.0), acn_peer.network_of("continuous", FILE_KW))
    print("the network equals acnportal's")
    sessions = read_sessions(arguments.sessions)
    rows: list[Row] = []
    if arguments.json is not None and arguments.json.exists():
        rows = [msgspec.json.decode(line, type=Row) for line in arguments.json.read_text().splitlines()]
    for model in arguments.model:
        for kw in arguments.kw:
            for name in arguments.algorithms:
                if any((row.model, row.kw, row.algorithm) == (model, kw, name) for row in rows):
                    continue
                if name == "optimum":
                    if model != "continuous":
                        continue
                    row = optimum(kw, site, sessions)
                elif name in OURS:
                    row = run_ours(name, model, kw, site, sessions)
                else:
                    quick = name in arguments.quick
                    row = Row(model, kw, name, *acn_peer.run(name, model, kw, sessions, quick=quick), quick)
                rows.append(row)
                print(json.dumps(msgspec.to_builtins(row)), flush=True)
                if arguments.json is not None:
                    with arguments.json.open("a") as file:
                        file.write(json.dumps(msgspec.to_builtins(row)) + "\n")
    for model in arguments.model:
        show(rows, model)


if __name__ == "__main__":
    main()
