"""What an algorithm was worth: energy, cost, carbon, peak, overload; from what flowed, not from what was intended.

Guarantees
* Line currents are phasors through every transformer, with everything flowing that flowed and the declared background
  in phase with its line; an overload is a line current above the fuse rating, margins not counted.
* Cost and carbon are those of charging alone: what the grid had to give more, and what surplus no longer earned.
"""

import math
from datetime import datetime
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from forecourt.allocation.connection import sources, up
from forecourt.domain.site import EvseKey, EvsePoint, Site
from forecourt.quantities import PHASES
from forecourt.sim.ideal import Course
from forecourt.sim.series import Series

_MET: Final = 0.99
_TOLERANCE: Final = 1e-6


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """What costs what, when. Prices are per kWh."""

    import_price: Series
    export_price: Series
    carbon_kg_per_kwh: Series | None = None
    pv_w: Series | None = None
    base_w: float = 0.0
    """What everything else on site draws."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One algorithm on one site and one file of sessions."""

    algorithm: str
    sessions: int
    turned_away: int
    requested_kwh: float
    delivered_kwh: float
    delivered_percent: float
    met: int
    """Sessions that got all they wanted, but for a hundredth."""
    cost: float
    carbon_kg: float | None
    peak_kw: float
    """Of the whole site, from the grid."""
    highest_load_percent: float
    """The highest line current as a part of its fuse rating."""
    highest_load_at: str
    overload_h: float
    """How long any line was above its rating."""
    decisions: int
    decide_s: float
    """CPU time that the decisions took."""


def judge(name: str, site: Site, course: Course, signals: Signals, start: datetime, *, decide_s: float = 0.0) -> Result:
    """What `course` was worth; its seconds are counted from `start`."""
    cost = carbon_kg = peak_w = 0.0
    begin = start.timestamp()
    for interval in course.intervals:
        hours = (interval.to_s - interval.from_s) / 3600.0
        at = begin + interval.from_s
        pv_w = 0.0 if signals.pv_w is None else signals.pv_w.at(at)
        surplus_w = max(0.0, pv_w - signals.base_w)
        grid_w = max(0.0, interval.power_w - surplus_w)
        kwh = interval.power_w * hours / 1000.0
        grid_kwh = grid_w * hours / 1000.0
        cost += signals.import_price.at(at) * grid_kwh + signals.export_price.at(at) * (kwh - grid_kwh)
        if signals.carbon_kg_per_kwh is not None:
            carbon_kg += signals.carbon_kg_per_kwh.at(at) * grid_kwh
        peak_w = max(peak_w, interval.power_w + signals.base_w - pv_w)
    highest, where, overload_h = loads(site, course)
    requested_wh, delivered_wh = course.requested_wh, course.delivered_wh
    return Result(
        algorithm=name,
        sessions=len(course.visits) + len(course.turned_away),
        turned_away=len(course.turned_away),
        requested_kwh=requested_wh / 1000.0,
        delivered_kwh=delivered_wh / 1000.0,
        delivered_percent=100.0 * delivered_wh / requested_wh if requested_wh else 100.0,
        met=sum(visit.delivered_wh >= _MET * visit.takes_wh for visit in course.visits),
        cost=cost,
        carbon_kg=None if signals.carbon_kg_per_kwh is None else carbon_kg,
        peak_kw=peak_w / 1000.0,
        highest_load_percent=100.0 * highest,
        highest_load_at=where,
        overload_h=overload_h,
        decisions=course.decisions,
        decide_s=decide_s,
    )


def loads(site: Site, course: Course) -> tuple[float, str, float]:
    """The highest line current as a part of its rating, where that was, and for how many hours any was above 1."""
    rows = [(node, line) for node in range(len(site.nodes)) for line in range(3)]
    rating_a = np.array([list(site.nodes[node].rating_a)[line] for node, line in rows])
    background = _background(site)
    columns: dict[tuple[EvseKey, tuple[int, ...]], int] = {}
    entries: list[tuple[int, int, float]] = []
    for number, interval in enumerate(course.intervals):
        for key, current_a in interval.currents_a.items():
            column = columns.setdefault((key, interval.active_phases[key]), len(columns))
            entries.append((number, column, current_a))
    currents = np.zeros((len(course.intervals), len(columns)))
    for number, column, current_a in entries:
        currents[number, column] = current_a
    if not len(currents):
        share = np.abs(background) / rating_a
        top = int(np.argmax(share))
        return float(share[top]), _name(site, rows[top]), 0.0
    matrix = np.zeros((len(rows), len(columns)), complex)
    for (key, active), column in columns.items():
        point = site.evses[site.evse_index[key]]
        matrix[:, column] = _one_ampere(site, point, active).ravel()
    shares = np.abs(currents @ matrix.T + background) / rating_a
    at, row = divmod(int(np.argmax(shares)), len(rows))
    over = np.any(shares > 1.0 + _TOLERANCE, axis=1)
    hours = np.array([(interval.to_s - interval.from_s) / 3600.0 for interval in course.intervals])
    return float(shares[at, row]), _name(site, rows[row]), float(np.sum(hours[over]))


def _name(site: Site, row: tuple[int, int]) -> str:
    return f"{site.nodes[row[0]].name} {PHASES[row[1]]}"


def _one_ampere(site: Site, point: EvsePoint, active: tuple[int, ...]) -> NDArray[np.complex128]:
    """In each line of each node; an unknown rotation is taken as L1, L2, L3."""
    if point.between is None and point.rotation is None:
        point = msgspec.structs.replace(point, rotation=PHASES[: point.phases])
    found = np.zeros((len(site.nodes), 3), complex)
    for source in sources(point, active):
        node, current = site.node_of(point), source
        while True:
            found[node] += current
            if (above := site.parents[node]) < 0:
                break
            current = up(current, site.circuits[node - 1].transformer, site.voltages_v[above])
            node = above
    return found


def _background(site: Site) -> NDArray[np.complex128]:
    found = np.zeros((len(site.nodes), 3), complex)
    for start, own in enumerate(site.nodes):
        node, current = start, tuple(complex(one) for one in own.background_a)
        while True:
            found[node] += current
            if (above := site.parents[node]) < 0:
                break
            current = up(current, site.circuits[node - 1].transformer, site.voltages_v[above])  # type: ignore[arg-type]
            node = above
    return found.ravel()


def base_w(site: Site) -> float:
    """What the declared background draws in all."""
    return math.fsum(
        node.background_a.total * voltage_v for node, voltage_v in zip(site.nodes, site.voltages_v, strict=True)
    )
