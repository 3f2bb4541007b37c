"""What nobody controls, at every node: declared worst cases and readings, added up the tree.

Guarantees
* A node without a reading carries its own declared worst case (anything down to 0) plus what its circuits carry;
  a reading of a node replaces all of that, for it is of everything that passes through its fuse.
* Through a transformer the angle of a background isn't kept: it counts with its largest magnitude at the worst angle.
* A reading that is older than it may be is simply left out by the caller; then the worst case holds
  (`controller.md` §3, 9).
"""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from forecourt.allocation.connection import Source, up
from forecourt.allocation.demand import Background
from forecourt.domain.site import Site
from forecourt.quantities import PerPhase

_UNIT: tuple[Source, Source, Source] = ((1 + 0j, 0j, 0j), (0j, 1 + 0j, 0j), (0j, 0j, 1 + 0j))


class NodeBackground(NamedTuple):
    """Three numbers per line, and watts: `[lowest, highest]` in the angle of the line, `stray` at any angle."""

    highest_a: tuple[float, float, float]
    lowest_a: tuple[float, float, float]
    stray_a: tuple[float, float, float]
    highest_w: float


def background_of_nodes(site: Site, order: tuple[int, ...], readings: Mapping[str, Background]) -> list[NodeBackground]:
    """For each of `site.nodes`; `order` lists them so that everyone comes before its parent.

    Raises KeyError for a reading of a node that isn't there.
    """
    if not readings.keys() <= site.node_index.keys():
        raise KeyError(*(readings.keys() - site.node_index.keys()))
    below: list[list[tuple[int, NodeBackground]]] = [[] for _ in site.nodes]
    found: dict[int, NodeBackground] = {}
    for node in order:
        reading = readings.get(site.nodes[node].name)
        if reading is not None:
            found[node] = _lines(reading, site.voltages_v[node])
        else:
            own = _lines(Background(site.nodes[node].background_a), site.voltages_v[node])
            found[node] = own if not below[node] else _sum([own, *(seen for _, seen in below[node])])
        if site.parents[node] >= 0:
            below[site.parents[node]].append((node, _carried_up(site, node, found[node])))
    return [found[node] for node in range(len(site.nodes))]


def _lines(background: Background, voltage_v: float) -> NodeBackground:
    high = background.highest_a
    low = PerPhase(*map(min, high, background.lowest_a))
    return NodeBackground(
        (high.l1, high.l2, high.l3), (low.l1, low.l2, low.l3), (0.0, 0.0, 0.0), high.total * voltage_v
    )


def _sum(parts: list[NodeBackground]) -> NodeBackground:
    def lines(of: list[tuple[float, float, float]]) -> tuple[float, float, float]:
        return (sum(line[0] for line in of), sum(line[1] for line in of), sum(line[2] for line in of))

    return NodeBackground(
        lines([part.highest_a for part in parts]),
        lines([part.lowest_a for part in parts]),
        lines([part.stray_a for part in parts]),
        sum(part.highest_w for part in parts),
    )


def _carried_up(site: Site, node: int, carried: NodeBackground) -> NodeBackground:
    transformer = site.circuits[node - 1].transformer
    if transformer is None:
        return carried
    parent_voltage_v = site.voltages_v[site.parents[node]]
    units = [up(unit, transformer, parent_voltage_v) for unit in _UNIT]
    strays = [0.0, 0.0, 0.0]
    for line in range(3):
        corners = product(*zip(carried.lowest_a, carried.highest_a, strict=True))
        strays[line] = max(
            abs(sum(current * unit[line] for current, unit in zip(corner, units, strict=True))) for corner in corners
        ) + sum(stray * abs(unit[line]) for stray, unit in zip(carried.stray_a, units, strict=True))
    nothing = (0.0, 0.0, 0.0)
    return NodeBackground(nothing, nothing, (strays[0], strays[1], strays[2]), carried.highest_w)
