"""The true currents of a site: what the simulated EVSEs draw, added up to each fuse, whatever anybody believes.

Guarantees
* Currents add up as Kirchhoff has it: per line, as phasors where EVSEs lie between two lines or behind a transformer,
  with each EVSE's true rotation, and the background on top.
* Loads and overloads are those of every instant, not of the instants at which somebody looked: between two events every
  current is a `Curve`, and a sum of curves of one angle is convex, so that its largest value is at an end and its way
  above the rating has a closed form. Where angles differ, the integral is numerical, to about a millionth.
* It doesn't matter how often `advance` is called.

An overload counts from a millionth of an ampere above the rating: floating point isn't a fuse's business.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import msgspec

from forecourt.allocation.connection import sources, up
from forecourt.domain.site import EvseKey, EvsePoint, Site
from forecourt.hardware.curve import Curve, crossing
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.vehicle import Flow
from forecourt.quantities import PHASES, PerPhase, Phase

TOLERANCE_A: Final = 1e-6
_ONE_ANGLE: Final = 1e-9
_DEEPEST: Final = 24

Slot = tuple[int, int]
"""A node and a line."""

_Part = tuple[complex, Curve]


class _Running(msgspec.Struct, frozen=True):
    """A flow, and what each of its amperes adds to each fuse line."""

    flow: Flow
    adds: tuple[tuple[Slot, complex], ...]


class SitePhysics:
    """The fuses of a site, from `start_s` on."""

    def __init__(
        self,
        site: Site,
        evses: Mapping[EvseKey, SimulatedEvse],
        *,
        start_s: float = 0.0,
        background_a: Mapping[str, PerPhase] | None = None,
        rotations: Mapping[EvseKey, tuple[Phase, ...]] | None = None,
    ) -> None:
        """`background_a`: the true load of nodes that isn't an EVSE's; of nodes it doesn't name, their declared worst.
        `rotations`: the truth about EVSEs whose rotation the site doesn't know; L1, L2, L3 otherwise.

        Raises:
            SiteError: the site is wrong.
            ValueError: an EVSE has more phases than the site says.
            KeyError: an EVSE or a node that the site doesn't have.
        """
        self.site = site.checked()
        self._evses = dict(evses)
        self._adds: dict[EvseKey, tuple[tuple[tuple[Slot, complex], ...], ...]] = {}
        for key, evse in self._evses.items():
            point = site.evses[site.evse_index[key]]
            if evse.number_phases > point.phases:
                raise ValueError(f"{key}: has {evse.number_phases} phases, the site says {point.phases}")
            rotation = (rotations or {}).get(key, point.rotation) or PHASES[: point.phases]
            self._adds[key] = self._paths(point, rotation)
            evse.trace_flows(start_s)
        self._now_s = start_s
        self._own_background_a = [node.background_a for node in site.nodes]
        self._background_a: dict[Slot, complex] = {}
        self._slots = [(node, line) for node in range(len(site.nodes)) for line in range(3)]
        self._rating_a = {(node, line): tuple(site.nodes[node].rating_a)[line] for node, line in self._slots}
        self._load_a = dict.fromkeys(self._slots, 0.0)
        self._peak_a = dict.fromkeys(self._slots, 0.0)
        self._overload_as = dict.fromkeys(self._slots, 0.0)
        for name, current_a in (background_a or {}).items():
            self._own_background_a[site.node_index[name]] = current_a
        self._add_background()
        self._look({})

    # What is known

    @property
    def load_a(self) -> dict[str, PerPhase]:
        """What flows through each node now, by its name."""
        return self._by_node(self._load_a)

    @property
    def peak_a(self) -> dict[str, PerPhase]:
        """The most that ever flowed."""
        return self._by_node(self._peak_a)

    @property
    def max_load_ratio(self) -> dict[str, PerPhase]:
        """The same as a share of the fuse rating."""
        return self._by_node({slot: _ratio(self._peak_a[slot], self._rating_a[slot]) for slot in self._slots})

    @property
    def overload_ampere_seconds(self) -> dict[str, PerPhase]:
        """What flowed above the rating, added up over time."""
        return self._by_node(self._overload_as)

    @property
    def total_overload_ampere_seconds(self) -> float:
        """Over all nodes and lines; 0 if no fuse was ever overloaded."""
        return math.fsum(self._overload_as.values())

    # What happens

    def set_background(self, node: str, current_a: PerPhase, at_s: float) -> None:
        """The uncontrolled load of a node changes. KeyError for a node that the site doesn't have."""
        index = self.site.node_index[node]
        self.advance(at_s)
        self._own_background_a[index] = current_a
        self._add_background()
        self.advance(at_s)

    def advance(self, at_s: float) -> None:
        """Account for everything until `at_s`, to which the EVSEs are brought as well; none may be further."""
        running: list[_Running] = []
        cuts = {self._now_s, at_s}
        for key, evse in self._evses.items():
            for flow in evse.take_flows(at_s):
                running.append(_Running(flow, self._adds[key][flow.number_phases - 1]))
                cuts.update((flow.from_s, flow.to_s))
        running.sort(key=lambda one: one.flow.from_s)
        waiting = iter([*running, None])
        following = next(waiting)
        active: list[_Running] = []
        for from_s, to_s in pairwise(sorted(cuts)):
            active = [one for one in active if one.flow.to_s > from_s]
            while following is not None and following.flow.from_s <= from_s:
                active.append(following)
                following = next(waiting)
            self._account(active, from_s, to_s)
        self._now_s = at_s
        self._look(self._currents_now())

    # Inside

    def _account(self, active: list[_Running], from_s: float, to_s: float) -> None:
        """Everything that flows between two instants in which nothing happens."""
        taken = _parts(active)
        for slot in self._slots:
            parts, background = taken.get(slot, []), self._background_a[slot]
            lined_up = all(abs(weight.imag) < _ONE_ANGLE and weight.real > 0.0 for weight, _ in parts)
            if lined_up and abs(background.imag) < _ONE_ANGLE and background.real >= 0.0:
                total = _Total([(weight.real, curve) for weight, curve in parts], background.real)
                self._peak_a[slot] = max(self._peak_a[slot], total.at(from_s), total.at(to_s))
                self._overload_as[slot] += total.charge_above(self._rating_a[slot] + TOLERANCE_A, from_s, to_s)
            else:
                self._account_phasors(slot, parts, from_s, to_s)

    def _account_phasors(self, slot: Slot, parts: list[_Part], from_s: float, to_s: float) -> None:
        background, rating_a = self._background_a[slot], self._rating_a[slot] + TOLERANCE_A
        peak_a = self._peak_a[slot]

        def above(at_s: float) -> float:
            nonlocal peak_a
            load_a = abs(background + sum(weight * curve.at(at_s) for weight, curve in parts))
            peak_a = max(peak_a, load_a)
            return max(0.0, load_a - rating_a)

        ends = above(from_s), above(from_s + (to_s - from_s) / 2.0), above(to_s)
        most_a = abs(background) + sum(abs(weight) * max(curve.at(from_s), curve.at(to_s)) for weight, curve in parts)
        if most_a > rating_a:
            self._overload_as[slot] += _integral(above, from_s, to_s, ends, _DEEPEST)
        self._peak_a[slot] = peak_a

    def _currents_now(self) -> dict[Slot, complex]:
        now: dict[Slot, complex] = {}
        for key, evse in self._evses.items():
            vehicle = evse.vehicle
            if vehicle is not None and vehicle.current_a > 0.0:
                for slot, weight in self._adds[key][vehicle.number_phases - 1]:
                    now[slot] = now.get(slot, 0j) + weight * vehicle.current_a
        return now

    def _look(self, currents: dict[Slot, complex]) -> None:
        for slot in self._slots:
            self._load_a[slot] = load_a = abs(self._background_a[slot] + currents.get(slot, 0j))
            self._peak_a[slot] = max(self._peak_a[slot], load_a)

    def _paths(self, point: EvsePoint, rotation: tuple[Phase, ...]) -> tuple[tuple[tuple[Slot, complex], ...], ...]:
        """What one ampere adds to each fuse line, with one, two and three phases in use."""
        known = msgspec.structs.replace(point, rotation=None if point.between is not None else rotation)
        found = []
        for count in range(1, point.phases + 1):
            (source,) = sources(known, tuple(range(1, count + 1)))
            adds: list[tuple[Slot, complex]] = []
            node = self.site.node_of(point)
            while node >= 0:
                adds.extend(((node, line), source[line]) for line in range(3) if source[line])
                above = self.site.parents[node]
                if above >= 0:
                    source = up(source, self.site.circuits[node - 1].transformer, self.site.voltages_v[above])
                node = above
            found.append(tuple(adds))
        return tuple(found)

    def _add_background(self) -> None:
        site = self.site
        self._background_a = dict.fromkeys(self._slots, 0j)
        for start, own_a in enumerate(self._own_background_a):
            node = start
            current = (complex(own_a.l1), complex(own_a.l2), complex(own_a.l3))
            while node >= 0:
                for line in range(3):
                    self._background_a[node, line] += current[line]
                above = site.parents[node]
                if above >= 0:
                    current = up(current, site.circuits[node - 1].transformer, site.voltages_v[above])
                node = above

    def _by_node(self, numbers: Mapping[Slot, float]) -> dict[str, PerPhase]:
        return {
            node.name: PerPhase(numbers[index, 0], numbers[index, 1], numbers[index, 2])
            for index, node in enumerate(self.site.nodes)
        }


class _Total:
    """A sum of curves of one angle and a constant: a convex function of time."""

    def __init__(self, parts: list[tuple[float, Curve]], constant_a: float) -> None:
        self._parts = parts
        self._constant_a = constant_a

    def at(self, at_s: float) -> float:
        return self._constant_a + sum(weight * curve.at(at_s) for weight, curve in self._parts)

    def rate(self, at_s: float) -> float:
        return sum(weight * curve.rate(at_s) for weight, curve in self._parts)

    def charge_above(self, level_a: float, from_s: float, to_s: float) -> float:
        """The integral of what is above `level_a`."""
        over_before, over_after = self.at(from_s) > level_a, self.at(to_s) > level_a
        if not (over_before or over_after):
            return 0.0

        def over(at_s: float) -> float:
            return self.at(at_s) - level_a

        if over_before and over_after:
            lowest_s = self._lowest(from_s, to_s)
            if over(lowest_s) >= 0.0:
                return self._charge(level_a, from_s, to_s)
            down_s, up_s = crossing(over, from_s, lowest_s), crossing(over, lowest_s, to_s)
            return self._charge(level_a, from_s, down_s) + self._charge(level_a, up_s, to_s)
        turn_s = crossing(over, from_s, to_s)
        return self._charge(level_a, from_s, turn_s) if over_before else self._charge(level_a, turn_s, to_s)

    def _lowest(self, from_s: float, to_s: float) -> float:
        if self.rate(from_s) >= 0.0:
            return from_s
        return crossing(self.rate, from_s, to_s) if self.rate(to_s) > 0.0 else to_s

    def _charge(self, level_a: float, from_s: float, to_s: float) -> float:
        charge_as = sum(weight * curve.charge_as(from_s, to_s) for weight, curve in self._parts)
        return max(0.0, charge_as + (self._constant_a - level_a) * (to_s - from_s))


def _parts(active: list[_Running]) -> dict[Slot, list[_Part]]:
    """What flows in each fuse line; lines without any are left out."""
    parts: dict[Slot, list[_Part]] = {}
    for one in active:
        for slot, weight in one.adds:
            parts.setdefault(slot, []).append((weight, one.flow.curve))
    return parts


def _ratio(load_a: float, rating_a: float) -> float:
    if rating_a > 0.0:
        return load_a / rating_a
    return math.inf if load_a > 0.0 else 0.0


def _integral(
    function: Callable[[float], float], from_s: float, to_s: float, values: tuple[float, float, float], depth: int
) -> float:
    """Adaptive Simpson; `values` are those at the ends and the middle."""
    first, middle, last = values
    span_s = to_s - from_s
    middle_s = from_s + span_s / 2.0
    left, right = function(from_s + span_s / 4.0), function(from_s + span_s * 0.75)
    whole = (first + 4.0 * middle + last) * span_s / 6.0
    halves = (first + 4.0 * left + 2.0 * middle + 4.0 * right + last) * span_s / 12.0
    kinked = min(first, left, middle, right, last) <= 0.0 < max(first, left, middle, right, last)
    if depth == 0 or (abs(halves - whole) <= 1e-7 * span_s and not (kinked and depth > _DEEPEST - 6)):
        return halves
    return _integral(function, from_s, middle_s, (first, left, middle), depth - 1) + _integral(
        function, middle_s, to_s, (middle, right, last), depth - 1
    )
