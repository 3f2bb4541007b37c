"""Planner and real-time rule where drivers are wrong about when they leave and how much they need.

    python benchmarks/estimates.py SESSIONS.csv.gz [...] [--kw 15 30 50] [--days 60]

SESSIONS are files of ACN-Data's layout, with what drivers said and what came of it; they aren't shipped. All of them
run on the site of `examples/caltech-acn.toml`, whatever garage they were recorded in: drivers whose EVSE it doesn't
have take the first free one. The algorithms are told what the drivers said; a car takes what it took then, and leaves
when it left. EVSEs take 0 or 6 to 32 A.

Printed: per cent of the energy taken then, and by how much the planner differs from the rule.
"""

import argparse
import functools
import json
from datetime import timedelta
from pathlib import Path

from forecourt.allocation.compiled import CompiledSite
from forecourt.app.site_file import load_site
from forecourt.sim.algorithms import Planned, Rule
from forecourt.sim.ideal import Garage
from forecourt.sim.sessions import read_sessions
from forecourt.sim.simulation import start_of, with_capacity

SITE = Path(__file__).parent.parent / "examples" / "caltech-acn.toml"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", type=Path, nargs="+")
    parser.add_argument("--kw", type=float, nargs="+", default=[15.0, 30.0, 50.0, 70.0])
    parser.add_argument("--days", type=float, default=366.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show = (lambda _text: None) if arguments.json else functools.partial(print, flush=True)
    claims: list[dict[str, object]] = []
    site = load_site(SITE).site
    for path in arguments.sessions:
        sessions = read_sessions(path)
        until = start_of(sessions) + timedelta(days=arguments.days)
        sessions = tuple(session for session in sessions if session.arrival < until)
        show(f"\n{path.name}: {len(sessions)} sessions")
        show(f"{'kW':>5}{'even':>9}{'real-time':>11}{'planner':>9}{'difference':>12}")
        for kw in arguments.kw:
            compiled = CompiledSite(with_capacity(site, kw * 1000.0))
            garage = Garage(compiled, sessions, start_of(sessions))
            percents = []
            for algorithm in (Rule(compiled, informed=False), Rule(compiled), Planned(compiled)):
                course = garage.run(algorithm, when_done=False, keep=False)
                percents.append(100.0 * course.delivered_wh / course.requested_wh)
            even, rule, planner = percents
            show(f"{kw:5g}{even:9.2f}{rule:11.2f}{planner:9.2f}{planner - rule:+12.2f}")
            what = f"planner, {path.name}, {kw:g} kW"
            claims.append({"ours": what, "against": "real-time rule", "ratio": planner / rule, "at_least": 0.99})
    if arguments.json:
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
