"""A site made ready for deciding: rows of limits, and what one ampere of an EVSE means in each.

Guarantees
* Every limit of every node is a *row*: fuse per line, power, asymmetry per ordered pair of lines. A row whose currents
  all have one angle is a plain weighted sum (`directions` has one entry); the others are the magnitude of a complex sum
  with one class per angle, its worst corners listed once and for all.
* A *column* is what one ampere of an EVSE, with the phases its car uses, adds to each row. EVSEs with equal columns are
  told apart by nothing that matters here.
* Everything is worst case over every car drawing anything from 0 to its share: a row never falls when a share rises.
  That is what makes sharing by rising levels exact, and reducing always safe.
* Asymmetry of line x over line y counts what a source adds to x more than to y; above a delta-wye transformer, where
  angles differ widely, it counts the magnitude of the difference.

`controller.md` §2, §3 (the invariant).
"""

import cmath
import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from forecourt.allocation.background import background_of_nodes
from forecourt.allocation.connection import (
    Source,
    corner_sets,
    placed,
    possible_sources,
    sources,
    suitable,
    up,
    watts_per_ampere,
)
from forecourt.allocation.demand import Background, Demand, NodeLimit
from forecourt.allocation.explanation import Bound, LimitKind
from forecourt.domain.site import EvseKey, EvsePoint, Site, Winding
from forecourt.quantities import PHASES, Phase

_PAIRS: Final = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))


class Row(NamedTuple):
    """One limit of one node."""

    bound: Bound
    node: int
    line: int
    other: int
    directions: tuple[complex, ...]
    """One unit phasor per class of currents; a single class means a plain sum."""
    corners: tuple[tuple[int, ...], ...]
    """Sets of classes to add up, where the background imports."""
    opposed_corners: tuple[tuple[int, ...], ...]
    """The same where the background may export."""

    @property
    def plain(self) -> bool:
        """Whether the row is a weighted sum."""
        return len(self.directions) == 1


class Column(NamedTuple):
    """What one ampere adds to the rows, per row and class of current."""

    number: int
    plain: tuple[tuple[int, float], ...]
    phasor: tuple[tuple[int, int, float], ...]
    watts: float


class Asked(NamedTuple):
    """A demand, looked up."""

    demand: Demand
    evse: int
    """Position in `site.evses`."""
    point: EvsePoint
    priority: int
    order: tuple[int, int]
    """A higher priority first, then as the site lists them."""
    column: Column
    minimum_a: float
    maximum_a: float


class Room(NamedTuple):
    """What the rows leave for EVSEs now."""

    capacity: list[float]
    """Per row; for a phasor row the magnitude that the sum, background included, may reach."""
    base: list[float]
    """Per row; the part of a phasor row's background that is always there, at angle 0."""
    extra: list[float]
    """Per row; the part of a phasor row's background that may be there, at angle 0 (class 0)."""


class CompiledSite:
    """Rows and columns of a site. Columns are worked out when first asked for, and kept."""

    def __init__(self, site: Site) -> None:
        """Raises SiteError if `site` has a problem."""
        self.site = site.checked()
        self.order: tuple[int, ...] = _children_first(site)
        self._rows_of: list[list[int]] = []
        self._class_of: list[dict[float, int]] = []
        self._mixed = _above_delta(site, self.order)
        self.rows: tuple[Row, ...] = self._new_rows(_sources_by_node(site, self.order))
        self.phasors: tuple[int, ...] = tuple(index for index, row in enumerate(self.rows) if not row.plain)
        """Positions of the rows that aren't plain sums."""
        self._usable: list[float] = [self._usable_of(row) for row in self.rows]
        self._declared: Room | None = None
        self._columns: dict[tuple[object, ...], Column] = {}
        self._by_evse: dict[tuple[int, tuple[int, ...] | None], Column] = {}
        self._asked: dict[EvseKey, Asked] = {}
        self.kept: object = None
        """What the last decision worked out and the next one may want again (`roster`). It never changes a result."""

    def index(self, key: EvseKey) -> int:
        """The EVSE's position in `site.evses`. Raises KeyError."""
        return self.site.evse_index[key]

    def column(self, evse: int, active_phases: tuple[int, ...] | None, first_line: Phase | None = None) -> Column:
        """What one ampere of the EVSE at `evse` adds to each row."""
        if first_line is None and (found := self._by_evse.get((evse, active_phases))) is not None:
            return found
        point = self.site.evses[evse]
        if first_line is not None:
            point = placed(point, active_phases, first_line)
        node = self.site.node_of(point)
        active = suitable(point, active_phases)
        alike = (node, point.phases, point.rotation, point.between, active)
        column = self._columns.get(alike)
        if column is None:
            column = self._columns[alike] = self._new_column(point, node, active)
        # What a car reports is unbounded, this cache isn't.
        if first_line is None and (active_phases is None or active == active_phases):
            self._by_evse[evse, active_phases] = column
        return column

    def asked(self, demand: Demand) -> Asked:
        """The demand, looked up; at once if the EVSE's last one was the same. Raises KeyError."""
        found = self._asked.get(demand.evse)
        if found is not None and (found.demand is demand or found.demand == demand):
            return found
        evse = self.index(demand.evse)
        point = self.site.evses[evse]
        priority = point.priority if demand.priority is None else demand.priority
        found = self._asked[demand.evse] = Asked(
            demand,
            evse,
            point,
            priority,
            (-priority, evse),
            self.column(evse, demand.active_phases, demand.first_line),
            point.minimum_a if demand.minimum_a is None else max(point.minimum_a, demand.minimum_a),
            min(point.maximum_a, demand.wanted_a),
        )
        return found

    def room(self, readings: Mapping[str, Background], limits: Mapping[str, NodeLimit] | None = None) -> Room:
        """What the rows leave under the declared background, or the readings where there are some; and under `limits`
        for the time being. A limit of power holds only at a node that has one of its own."""
        if not readings and not limits and self._declared is not None:
            return self._declared
        seen = background_of_nodes(self.site, self.order, readings)
        capacity, base, extra = self._usable.copy(), [0.0] * len(self.rows), [0.0] * len(self.rows)
        for index, (bound, node, line, other, directions, _, _) in enumerate(self.rows):
            highest_a, lowest_a, stray_a, highest_w = seen[node]
            if bound.kind is LimitKind.FUSE:
                capacity[index] -= stray_a[line]
                if len(directions) == 1:
                    capacity[index] -= highest_a[line]
                else:
                    base[index] = lowest_a[line]
                    extra[index] = highest_a[line] - lowest_a[line]
            elif bound.kind is LimitKind.POWER:
                capacity[index] -= highest_w
            else:
                capacity[index] -= highest_a[line] - lowest_a[other] + stray_a[line] + stray_a[other]
            if limits and (limit := limits.get(bound.node)) is not None:
                plain_a = highest_a[line] if len(directions) == 1 else 0.0
                behind = highest_w if bound.kind is LimitKind.POWER else plain_a + stray_a[line]
                capacity[index] = min(capacity[index], _temporary(bound.kind, limit, behind))
        room = Room(capacity, base, extra)
        if not readings and not limits:
            self._declared = room
        return room

    def _usable_of(self, row: Row) -> float:
        node = self.site.nodes[row.node]
        limit = {
            LimitKind.FUSE: node.usable_a[PHASES[row.line]],
            LimitKind.POWER: node.usable_w,
            LimitKind.ASYMMETRY: node.asymmetry_limit_a,
        }[row.bound.kind]
        return math.inf if limit is None else limit

    def _new_rows(self, flowing: list[set[Source]]) -> tuple[Row, ...]:
        rows: list[Row] = []
        for number, node in enumerate(self.site.nodes):
            first = len(rows)
            grid = number == 0
            for line, phase in enumerate(PHASES):
                angles = sorted({_angle(source[line]) for source in flowing[number] if source[line]} - {0.0})
                angles.insert(0, 0.0)
                directions = tuple(cmath.rect(1.0, angle) for angle in angles)
                self._class_of.append({angle: k for k, angle in enumerate(angles)})
                rows.append(
                    Row(
                        Bound(node.name, grid, LimitKind.FUSE, phase),
                        number,
                        line,
                        line,
                        directions,
                        corner_sets(directions, base=True, opposed=False),
                        corner_sets(directions, base=True, opposed=True),
                    )
                )
            if node.power_limit_w is not None:
                rows.append(_plain_row(Bound(node.name, grid, LimitKind.POWER), number))
                self._class_of.append({})
            if node.asymmetry_limit_a is not None:
                for line, other in _PAIRS:
                    bound = Bound(node.name, grid, LimitKind.ASYMMETRY, PHASES[line], PHASES[other])
                    rows.append(_plain_row(bound, number, line, other))
                    self._class_of.append({})
            self._rows_of.append(list(range(first, len(rows))))
        return tuple(rows)

    def _new_column(self, point: EvsePoint, node: int, active: tuple[int, ...] | None) -> Column:
        site = self.site
        watts = watts_per_ampere(point, active, site.voltages_v[node])
        plain: list[tuple[int, float]] = []
        phasor: list[tuple[int, int, float]] = []
        drawn = sources(point, active)
        for at in site.way_up(node):
            for index in self._rows_of[at]:
                row = self.rows[index]
                by_class: dict[int, float] = {}
                if row.bound.kind is LimitKind.POWER:
                    by_class[0] = watts
                elif row.bound.kind is LimitKind.ASYMMETRY:
                    by_class[0] = sum(_lopsided(source, row, self._mixed[at]) for source in drawn)
                else:
                    for source in drawn:
                        if current := source[row.line]:
                            k = self._class_of[index][_angle(current)]
                            by_class[k] = by_class.get(k, 0.0) + abs(current)
                for k, weight in by_class.items():
                    if weight > 1e-12 and row.plain:
                        plain.append((index, weight))
                    elif weight > 1e-12:
                        phasor.append((index, k, weight))
            if (above := site.parents[at]) >= 0:
                drawn = tuple(up(source, site.circuits[at - 1].transformer, site.voltages_v[above]) for source in drawn)
        return Column(len(self._columns), tuple(plain), tuple(phasor), watts)


def _temporary(kind: LimitKind, limit: NodeLimit, behind: float) -> float:
    """What a limit for the time being leaves for EVSEs; `behind` is what flows besides them."""
    if kind is LimitKind.FUSE:
        return math.inf if limit.current_a is None else limit.current_a - behind
    if kind is LimitKind.POWER:
        all_w = math.inf if limit.power_w is None else limit.power_w - behind
        return all_w if limit.controlled_w is None else min(all_w, limit.controlled_w)
    return math.inf


def _lopsided(source: Source, row: Row, mixed: bool) -> float:
    if mixed:
        return abs(source[row.line] - source[row.other])
    return max(0.0, abs(source[row.line]) - abs(source[row.other]))


def _plain_row(bound: Bound, node: int, line: int = 0, other: int = 0) -> Row:
    return Row(bound, node, line, other, (1 + 0j,), ((0,),), ((0,),))


def _angle(current: complex) -> float:
    return round(cmath.phase(current), 9) + 0.0


def _children_first(site: Site) -> tuple[int, ...]:
    depth = [sum(1 for _ in site.way_up(node)) for node in range(len(site.nodes))]
    return tuple(sorted(range(len(site.nodes)), key=lambda node: (-depth[node], node)))


def _sources_by_node(site: Site, order: tuple[int, ...]) -> list[set[Source]]:
    """Every source that can ever flow through each node."""
    found: list[set[Source]] = [set() for _ in site.nodes]
    kinds: dict[tuple[object, ...], set[Source]] = {}
    for point in site.evses:
        kind = (point.phases, point.rotation, point.between)
        if kind not in kinds:
            kinds[kind] = possible_sources(point)
        found[site.node_of(point)] |= kinds[kind]
    for node in order:
        if (above := site.parents[node]) >= 0:
            transformer = site.circuits[node - 1].transformer
            found[above] |= {up(source, transformer, site.voltages_v[above]) for source in found[node]}
    return found


def _above_delta(site: Site, order: tuple[int, ...]) -> list[bool]:
    found = [False] * len(site.nodes)
    for node in order:
        if (above := site.parents[node]) >= 0:
            transformer = site.circuits[node - 1].transformer
            delta = transformer is not None and transformer.winding is Winding.DELTA_WYE
            found[above] = found[above] or found[node] or delta
    return found
