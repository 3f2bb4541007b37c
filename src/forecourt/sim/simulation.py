"""A site, a file of sessions and some algorithms: each runs through all of it, and is judged.

Guarantees
* Every algorithm sees the same cars at the same EVSEs; none knows who comes next. The planner knows prices, carbon and
  sunshine as the files have them.
* The same input gives the same results, whatever else is compared; only `decide_s` is measured.

`forecourt simulate` is this with files and a table.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.horizon import Forecast, Slots
from forecourt.domain.site import EvseKey, GridConnection, Site
from forecourt.sim.algorithms import ORDERS, Planned, Rule, Unmanaged
from forecourt.sim.controlled import Controlled
from forecourt.sim.ideal import Algorithm, Course, Garage, Visit
from forecourt.sim.judge import Result, Signals, judge
from forecourt.sim.sessions import RecordedSession

REPLAN_S: Final = 900.0
"""A plan is made anew at the latest after so long."""

Maker = Callable[[CompiledSite, Callable[[Slots], Forecast], datetime], Algorithm]

ALGORITHMS: Final[dict[str, Maker]] = {
    "unmanaged": lambda _site, _forecast, _start: Unmanaged(),
    **{order: lambda site, _forecast, _start, order=order: Rule(site, order=order) for order in ORDERS},  # type: ignore[misc]
    "even": lambda site, _forecast, _start: Rule(site, informed=False),
    "real-time": lambda site, _forecast, _start: Rule(site),
    "planner": lambda site, forecast, _start: Planned(site, forecast=forecast, every_s=REPLAN_S),
    "controller": lambda site, _forecast, start: Controlled(site.site, start),
}
"""By name, in the order in which they are shown."""


class Run(msgspec.Struct, frozen=True):
    """One algorithm's way through the sessions."""

    result: Result
    course: Course


def with_capacity(site: Site, capacity_w: float) -> Site:
    """The same site with a grid connection that bears so much, all three lines together.

    The ratings of the grid connection and of circuits fed through a transformer are scaled alike; others stay.
    """
    bears_w = site.grid.rating_a.total * site.voltage_v
    factor = capacity_w / bears_w

    def scaled(node: GridConnection) -> Any:
        rating_a = node.rating_a.map(lambda one_a: one_a * factor)
        limit_w = None if node.power_limit_w is None else node.power_limit_w * factor
        return msgspec.structs.replace(node, rating_a=rating_a, power_limit_w=limit_w)

    return msgspec.structs.replace(
        site,
        grid=scaled(site.grid),
        circuits=tuple(scaled(one) if one.transformer is not None else one for one in site.circuits),
    ).checked()


def start_of(sessions: Sequence[RecordedSession]) -> datetime:
    """The full hour before the first arrival. ValueError without any."""
    first = min(session.arrival for session in sessions).astimezone(UTC)
    return first.replace(minute=0, second=0, microsecond=0)


def simulate(
    site: Site,
    sessions: Sequence[RecordedSession],
    names: Sequence[str],
    signals: Signals,
    *,
    carbon_price: float = 0.0,
) -> dict[str, Run]:
    """Each algorithm in turn. KeyError for one that there isn't."""
    start = start_of(sessions)
    compiled = CompiledSite(site)
    found: dict[str, Run] = {}
    for name in names:
        algorithm = _Timed(ALGORITHMS[name](compiled, _Forecaster(signals, start, carbon_price), start))
        course = Garage(compiled, sessions, start).run(algorithm)
        found[name] = Run(judge(name, site, course, signals, start, decide_s=algorithm.decide_s), course)
    return found


class _Forecaster:
    """What the planner is told: the signals, as they will be."""

    def __init__(self, signals: Signals, start: datetime, carbon_price: float) -> None:
        self._signals = signals
        self._start_s = start.timestamp()
        self._carbon_price = carbon_price

    def __call__(self, slots: Slots) -> Forecast:
        """For the middle of each slot."""
        signals = self._signals
        at = (self._start_s + slots.starts_s + slots.lengths_s / 2.0).tolist()
        changing = signals.pv_w is not None or signals.import_price.changes
        carbon = signals.carbon_kg_per_kwh if self._carbon_price else None
        if not changing and carbon is None:
            return Forecast()  # whenever it is drawn, it costs the same
        pv_w = np.zeros(len(at)) if signals.pv_w is None else np.array([signals.pv_w.at(one) for one in at])
        return Forecast(
            import_price=[signals.import_price.at(one) for one in at],
            export_price=[signals.export_price.at(one) for one in at],
            carbon_kg_per_kwh=0.0 if carbon is None else [carbon.at(one) for one in at],
            carbon_price=self._carbon_price,
            surplus_w=np.maximum(pv_w - signals.base_w, 0.0).tolist(),
        )


class _Timed:
    """An algorithm, and how long its decisions take."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self.name = algorithm.name
        self.decide_s = 0.0

    def decide(self, visits: Sequence[Visit], now_s: float, period_s: float) -> Mapping[EvseKey, float]:
        """What it decides."""
        began_s = time.process_time()
        shares = self._algorithm.decide(visits, now_s, period_s)
        self.decide_s += time.process_time() - began_s
        return shares
