"""The exact check: do these currents hold under every limit of the site?

Guarantees
* `standings` says for each limit of each node whether it holds with every load anywhere between 0 and its current and
  the background anywhere within its bounds; it shares no arithmetic with the algorithms that decide, only the
  description of connections.
* Beyond what an allocation can change it also sees a background that alone is too much, exporting included.
* `prove_fallbacks` is the proof that a controller gives before it starts: if every station falls back, under the worst
  background, every node holds (`controller.md` §3, 5).
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from forecourt.allocation.background import background_of_nodes
from forecourt.allocation.connection import Source, placed, sources, up, watts_per_ampere, worst_magnitude
from forecourt.allocation.demand import Background, Load
from forecourt.allocation.explanation import Bound, LimitKind
from forecourt.domain.site import Site, Winding
from forecourt.quantities import PHASES

TOLERANCE: Final = 1e-6
"""What floating point may add up to: ampere or watts."""


class Standing(msgspec.Struct, frozen=True):
    """How one limit stands; watts for POWER, ampere otherwise."""

    bound: Bound
    limit: float
    """After margins."""
    worst: float
    """What may flow."""
    background: float
    """The part of it that no EVSE draws."""

    @property
    def holds(self) -> bool:
        """Whether what may flow stays within it."""
        return self.worst <= self.limit + TOLERANCE

    def text(self) -> str:
        """One line for a person."""
        unit = "W" if self.bound.kind is LimitKind.POWER else "A"
        numbers = f"{self.worst:.1f} {unit} may flow, {self.limit:.1f} {unit} allowed"
        return f"{self.bound.text()}: {numbers}; background {self.background:.1f} {unit}"


Violation = Standing
"""One that doesn't hold."""


class Proof(msgspec.Struct, frozen=True):
    """Whether the fallbacks hold, and where they don't."""

    standings: tuple[Standing, ...]
    """Every limit of every node, from the grid connection down."""

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Those that don't hold."""
        return tuple(standing for standing in self.standings if not standing.holds)

    @property
    def holds(self) -> bool:
        """Whether they do."""
        return not self.violations


def prove_fallbacks(site: Site) -> Proof:
    """Every EVSE at its fallback, every background at its declared worst."""
    return Proof(tuple(standings(site, [Load(point.key, point.fallback_a) for point in site.evses])))


def violations(site: Site, loads: Iterable[Load], readings: Mapping[str, Background] | None = None) -> list[Violation]:
    """Every limit that `loads` break, from the grid connection down. Raises KeyError for what the site doesn't have."""
    return [standing for standing in standings(site, loads, readings) if not standing.holds]


def standings(site: Site, loads: Iterable[Load], readings: Mapping[str, Background] | None = None) -> list[Standing]:
    """How every limit stands under `loads`, from the grid connection down. Raises KeyError as `violations` does."""
    depth = [sum(1 for _ in site.way_up(node)) for node in range(len(site.nodes))]
    upwards = tuple(sorted(range(len(site.nodes)), key=lambda node: -depth[node]))
    behind = background_of_nodes(site, upwards, {} if readings is None else readings)
    flowing: list[list[Source]] = [[] for _ in site.nodes]
    watts = [0.0] * len(site.nodes)
    deltas = [False] * len(site.nodes)
    for load in loads:
        point = site.evses[site.evse_index[load.evse]]
        node = site.node_of(point)
        known = placed(point, load.active_phases, load.first_line)
        for first, second, third in sources(known, load.active_phases):
            flowing[node].append((first * load.current_a, second * load.current_a, third * load.current_a))
        watts[node] += load.current_a * watts_per_ampere(point, load.active_phases, site.voltages_v[node])
    for node in upwards:
        if (above := site.parents[node]) >= 0:
            transformer = site.circuits[node - 1].transformer
            flowing[above] += [up(current, transformer, site.voltages_v[above]) for current in flowing[node]]
            watts[above] += watts[node]
            turned = transformer is not None and transformer.winding is Winding.DELTA_WYE
            deltas[above] = deltas[above] or deltas[node] or turned

    found: list[Standing] = []
    for number, limits in enumerate(site.nodes):
        grid = number == 0
        at = behind[number]
        for line, phase in enumerate(PHASES):
            high, low, stray = at.highest_a[line], at.lowest_a[line], at.stray_a[line]
            worst = worst_magnitude((current[line] for current in flowing[number]), (complex(low), complex(high)))
            background = max(abs(high), abs(low)) + stray
            bound = Bound(limits.name, grid, LimitKind.FUSE, phase)
            found.append(Standing(bound, limits.usable_a[phase], worst + stray, background))
        if limits.usable_w is not None:
            bound = Bound(limits.name, grid, LimitKind.POWER)
            found.append(Standing(bound, limits.usable_w, watts[number] + at.highest_w, at.highest_w))
        if limits.asymmetry_limit_a is not None:
            for line in range(3):
                for other in range(3):
                    if line != other:
                        bound = Bound(limits.name, grid, LimitKind.ASYMMETRY, PHASES[line], PHASES[other])
                        background = at.highest_a[line] - at.lowest_a[other] + at.stray_a[line] + at.stray_a[other]
                        lopsided = _lopsided(flowing[number], line, other, mixed=deltas[number])
                        found.append(Standing(bound, limits.asymmetry_limit_a, background + lopsided, background))
    return found


def _lopsided(flowing: list[Source], line: int, other: int, *, mixed: bool) -> float:
    """The most by which line's current can exceed the other's; an upper bound where angles differ widely."""
    if mixed:
        return sum(abs(current[line] - current[other]) for current in flowing)
    return sum(max(0.0, abs(current[line]) - abs(current[other])) for current in flowing)
