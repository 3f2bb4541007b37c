"""The site: a grid connection, the circuits below it, the EVSEs on them. Plain facts, no algorithm.

Guarantees
* A `Site` describes a tree of any depth: one `GridConnection`, `Circuit`s that each name their parent, `EvsePoint`s
  that each name the node they hang on. `problems()` finds everything that is structurally wrong and says where, as
  the path of a field: `circuits[2].parent: no node named "garage-b"`.
* A wrong `Site` never reaches an algorithm: `checked()` returns the site itself or raises `SiteError`.
* Ratings, backgrounds and margins are per line conductor and belong to the voltage level of their node; a `Transformer`
  between a circuit and its parent changes the level. How currents add up across it is `allocation.connection`'s
  business.
* A node's `background_a` is the worst case of what hangs on that node itself, uncontrolled; the load of the circuits
  below it comes on top.
"""

import math
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import msgspec

from forecourt.quantities import IEC_61851_MINIMUM_A, NOMINAL_VOLTAGE_V, PerPhase, Phase


class EvseKey(NamedTuple):
    """Names one EVSE among all stations; sorts by station, then EVSE."""

    station_id: str
    evse_id: int

    def __str__(self) -> str:
        return f"{self.station_id}/{self.evse_id}"


class Winding(StrEnum):
    """How a transformer's primary and secondary windings are connected."""

    WYE_WYE = "wye-wye"
    DELTA_WYE = "delta-wye"


class Transformer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ideal transformer that feeds a circuit from its parent.

    `secondary_v` is the line-to-line voltage on the circuit's side (208 in North America); the primary voltage is
    the parent's.
    """

    winding: Winding
    secondary_v: float


class GridConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of the tree: something with a fuse. The root; `Circuit` is the same with a parent."""

    name: str
    rating_a: PerPhase
    """What the fuse bears, per line conductor."""
    power_limit_w: float | None = None
    """An upper bound on the active power through this node, background included."""
    background_a: PerPhase = PerPhase()
    """The worst case of the uncontrolled load on this node itself, per line; at the same time anything down to 0."""
    asymmetry_limit_a: float | None = None
    """The largest allowed difference between any two line currents."""
    margin_a: float = 0.0
    """Ampere per line that stay free under the fuse rating."""
    margin_percent: float = 0.0
    """Per cent of fuse rating and power limit that stay free; on top of `margin_a`."""

    @property
    def usable_a(self) -> PerPhase:
        """Rating less both margins, per line."""
        return self.rating_a.map(lambda rating_a: rating_a * (1.0 - self.margin_percent / 100.0) - self.margin_a)

    @property
    def usable_w(self) -> float | None:
        """Power limit less the percentage margin; None without a limit."""
        return None if self.power_limit_w is None else self.power_limit_w * (1.0 - self.margin_percent / 100.0)


class Circuit(GridConnection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node below another node."""

    parent: str | None = None
    """Name of the node that feeds this one; None means the grid connection."""
    transformer: Transformer | None = None


class EvsePoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one EVSE hangs, on which lines, and between which currents it can be steered.

    All currents are what the EVSE is told: ampere on each line it draws from.
    """

    station_id: str
    evse_id: int = 1
    circuit: str | None = None
    """Name of its node; None means the grid connection."""
    phases: int = 3
    """How many lines it draws from, line to neutral. An EVSE `between` two lines has 1."""
    rotation: tuple[Phase, ...] | None = None
    """The site's line for each of the EVSE's own phases, in order; None is unknown: counted on all three lines."""
    between: tuple[Phase, Phase] | None = None
    """The two lines of a line-to-line connection (208 V in North America); None is line to neutral."""
    minimum_a: float = IEC_61851_MINIMUM_A
    maximum_a: float = 32.0
    priority: int = 0
    """A larger number is served first, strictly."""
    fallback_a: float = 0.0
    """What the EVSE falls back to by itself when it hears nothing any more: 0, or between minimum and maximum."""

    @property
    def key(self) -> EvseKey:
        """Its name."""
        return EvseKey(self.station_id, self.evse_id)


class Problem(NamedTuple):
    """One thing that is wrong with a site."""

    path: str
    """Path of the field: `evses[3].fallback_a`."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SiteError(ValueError):
    """A site that can't be worked with, and all the reasons."""

    def __init__(self, found: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in found))
        self.problems = found


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A grid connection with everything below it."""

    grid: GridConnection
    circuits: tuple[Circuit, ...] = ()
    evses: tuple[EvsePoint, ...] = ()
    voltage_v: float = NOMINAL_VOLTAGE_V
    """Line to neutral, at the grid connection."""

    @cached_property
    def nodes(self) -> tuple[GridConnection, ...]:
        """The grid connection, then the circuits, as listed."""
        return (self.grid, *self.circuits)

    @cached_property
    def node_index(self) -> dict[str, int]:
        """Position in `nodes` by name."""
        return {node.name: index for index, node in enumerate(self.nodes)}

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Position in `nodes` of each node's parent; -1 for the grid connection."""
        index = self.node_index
        return (-1, *(0 if circuit.parent is None else index[circuit.parent] for circuit in self.circuits))

    @cached_property
    def voltages_v(self) -> tuple[float, ...]:
        """Line to neutral, for each of `nodes`."""
        found: dict[int, float] = {0: self.voltage_v}

        def voltage_of(node: int) -> float:
            if node not in found:
                transformer = self.circuits[node - 1].transformer
                above = self.parents[node]
                found[node] = voltage_of(above) if transformer is None else transformer.secondary_v / math.sqrt(3.0)
            return found[node]

        return tuple(voltage_of(node) for node in range(len(self.nodes)))

    @cached_property
    def evse_index(self) -> dict[EvseKey, int]:
        """Position in `evses` by name."""
        return {point.key: index for index, point in enumerate(self.evses)}

    def node_of(self, point: EvsePoint) -> int:
        """Position in `nodes` of what `point` hangs on."""
        return 0 if point.circuit is None else self.node_index[point.circuit]

    def way_up(self, node: int) -> Iterator[int]:
        """`node` and everything above it, up to the grid connection."""
        while node >= 0:
            yield node
            node = self.parents[node]

    def with_rotation(self, key: EvseKey, rotation: tuple[Phase, ...] | None) -> "Site":
        """The same site after `key`'s phase rotation was learned (or doubted: None). KeyError if unknown."""
        at = self.evse_index[key]
        point = msgspec.structs.replace(self.evses[at], rotation=rotation)
        return msgspec.structs.replace(self, evses=(*self.evses[:at], point, *self.evses[at + 1 :]))

    def checked(self) -> "Site":
        """The site itself. SiteError with every problem if it has any."""
        found = tuple(problems(self))
        if found:
            raise SiteError(found)
        return self


def problems(site: Site) -> Iterator[Problem]:
    """Everything that is structurally wrong with `site`, in the order of its fields."""
    yield from _number("voltage_v", site.voltage_v, above=0.0)
    yield from _node_problems("grid", site.grid)
    seen = {site.grid.name: "grid"}
    for index, circuit in enumerate(site.circuits):
        path = f"circuits[{index}]"
        if circuit.name in seen:
            yield Problem(f"{path}.name", f'"{circuit.name}" is taken by {seen[circuit.name]}')
        seen.setdefault(circuit.name, path)
        yield from _node_problems(path, circuit)
        if circuit.transformer is not None:
            yield from _number(f"{path}.transformer.secondary_v", circuit.transformer.secondary_v, above=0.0)
    yield from _tree_problems(site, seen)
    taken: dict[EvseKey, int] = {}
    for index, point in enumerate(site.evses):
        path = f"evses[{index}]"
        if point.key in taken:
            message = f"{point.station_id!r} has EVSE {point.evse_id} already, at evses[{taken[point.key]}]"
            yield Problem(f"{path}.evse_id", message)
        taken.setdefault(point.key, index)
        if point.circuit is not None and point.circuit not in seen:
            yield Problem(f"{path}.circuit", f'no node named "{point.circuit}"')
        yield from _evse_problems(path, point)


def _number(path: str, value: float, *, above: float | None = None, least: float | None = None) -> Iterator[Problem]:
    if not math.isfinite(value):
        yield Problem(path, f"must be a finite number, not {value}")
    elif above is not None and value <= above:
        yield Problem(path, f"must be more than {above:g}, not {value:g}")
    elif least is not None and value < least:
        yield Problem(path, f"must be at least {least:g}, not {value:g}")


def _node_problems(path: str, node: GridConnection) -> Iterator[Problem]:
    if not node.name:
        yield Problem(f"{path}.name", "must not be empty")
    found: list[Problem] = []
    for phase in Phase:
        found += _number(f"{path}.rating_a.{phase}", node.rating_a[phase], above=0.0)
        found += _number(f"{path}.background_a.{phase}", node.background_a[phase], least=0.0)
    if node.power_limit_w is not None:
        found += _number(f"{path}.power_limit_w", node.power_limit_w, least=0.0)
    if node.asymmetry_limit_a is not None:
        found += _number(f"{path}.asymmetry_limit_a", node.asymmetry_limit_a, least=0.0)
    found += _number(f"{path}.margin_a", node.margin_a, least=0.0)
    found += _number(f"{path}.margin_percent", node.margin_percent, least=0.0)
    if not found and min(node.usable_a) <= 0.0:
        found.append(Problem(f"{path}.margin_a", "the margins leave nothing of the fuse rating"))
    yield from found


def _tree_problems(site: Site, known: dict[str, str]) -> Iterator[Problem]:
    parent_of: dict[str, str] = {}
    for circuit in site.circuits:
        if circuit.name != site.grid.name:
            parent_of.setdefault(circuit.name, site.grid.name if circuit.parent is None else circuit.parent)
    reported: set[str] = set()
    for index, circuit in enumerate(site.circuits):
        if circuit.parent is not None and circuit.parent not in known:
            yield Problem(f"circuits[{index}].parent", f'no node named "{circuit.parent}"')
        way = [circuit.name]
        while (above := parent_of.get(way[-1])) is not None and above not in way and above != site.grid.name:
            way.append(above)
        if above in way and not reported.intersection(way):
            circle = way[way.index(above) :]
            reported.update(circle)
            message = "goes round in a circle: " + " → ".join([*circle, circle[0]])
            yield Problem(f"circuits[{index}].parent", message)


def _evse_problems(path: str, point: EvsePoint) -> Iterator[Problem]:
    if not point.station_id:
        yield Problem(f"{path}.station_id", "must not be empty")
    if point.evse_id < 1:
        yield Problem(f"{path}.evse_id", f"must be at least 1, not {point.evse_id}")
    if point.phases not in (1, 2, 3):
        yield Problem(f"{path}.phases", f"must be 1, 2 or 3, not {point.phases}")
    if point.rotation is not None:
        if point.between is not None:
            yield Problem(f"{path}.rotation", "an EVSE between two lines has no rotation")
        elif len(point.rotation) != point.phases:
            message = f"names {len(point.rotation)} lines for an EVSE with phases = {point.phases}"
            yield Problem(f"{path}.rotation", message)
        if len(set(point.rotation)) != len(point.rotation):
            yield Problem(f"{path}.rotation", "names a line twice")
    if point.between is not None:
        if point.between[0] == point.between[1]:
            yield Problem(f"{path}.between", "must name two different lines")
        if point.phases != 1:
            yield Problem(f"{path}.phases", f"an EVSE between two lines has phases = 1, not {point.phases}")
    currents = [
        *_number(f"{path}.minimum_a", point.minimum_a, least=0.0),
        *_number(f"{path}.maximum_a", point.maximum_a, above=0.0),
        *_number(f"{path}.fallback_a", point.fallback_a, least=0.0),
    ]
    yield from currents
    if currents:
        return
    if point.minimum_a > point.maximum_a:
        message = f"is {point.minimum_a:g}, more than maximum_a, which is {point.maximum_a:g}"
        yield Problem(f"{path}.minimum_a", message)
    elif point.fallback_a != 0.0 and not point.minimum_a <= point.fallback_a <= point.maximum_a:
        message = f"must be 0 or from {point.minimum_a:g} to {point.maximum_a:g}, not {point.fallback_a:g}"
        yield Problem(f"{path}.fallback_a", message)
