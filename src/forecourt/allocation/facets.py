"""The rows of a site as straight limits, for a solver that knows nothing but straight ones.

Guarantees
* Whatever keeps every facet keeps the row: the polygon lies inside the circle. Between two neighbouring facets it is
  smaller than the circle by `1 - cos(step / 2)` at most.
* The order of the facets is that of the rows; rows that can't be full are left out.

`controller.md` §2 (HiGHS gets a polygon inside the cone), §3 (each subset of cars may stop: every corner of a row).
"""

import cmath
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from forecourt.allocation.compiled import Column
from forecourt.allocation.filling import SLACK, Tally

STEP_DEGREES: Final = 10.0
"""A polygon with sides this far apart takes away 0.4 % at most."""


class Facet(NamedTuple):
    """A straight limit: the sum of weight times current over columns is at most `room`."""

    row: int
    weights: dict[int, float]
    """By position of the column."""
    room: float


def facets(tally: Tally, columns: Sequence[Column], most_a: Sequence[float]) -> list[Facet]:
    """What limits shares of `columns` besides what `tally` holds, if all of a column together want at most `most_a`."""
    by_row: dict[int, dict[int, float]] = {}
    by_class: dict[int, dict[int, dict[int, float]]] = {}
    for position, column in enumerate(columns):
        for row, weight in column.plain:
            by_row.setdefault(row, {})[position] = weight
        for row, k, weight in column.phasor:
            by_class.setdefault(row, {}).setdefault(k, {})[position] = weight
    found: list[Facet] = []
    for row, weights in sorted(by_row.items()):
        room = tally.room.capacity[row] - tally.used[row]
        if sum(weight * most_a[position] for position, weight in weights.items()) > room + SLACK:
            found.append(Facet(row, weights, max(room, 0.0)))
    for row, classes in sorted(by_class.items()):
        found += _polygon(tally, row, classes, most_a)
    return found


def _polygon(tally: Tally, row: int, classes: dict[int, dict[int, float]], most_a: Sequence[float]) -> list[Facet]:
    limits, capacity = tally.rows[row], tally.room.capacity[row]
    base, held = complex(tally.room.base[row]), tally.classes[row]
    found: list[Facet] = []
    seen: set[tuple[int, ...]] = set()
    for corner in limits.opposed_corners if base.real < 0.0 else limits.corners:
        moving = tuple(k for k in corner if k in classes)
        if not moving or corner in seen:
            continue
        seen.add(corner)
        fixed = base + sum(limits.directions[k] * held[k] for k in corner)
        longest = abs(fixed) + sum(weight * most_a[position] for k in moving for position, weight in classes[k].items())
        if longest <= capacity + SLACK:
            continue
        for normal, inset in _normals(
            [limits.directions[k] for k in moving] + ([fixed / abs(fixed)] if abs(fixed) > SLACK else [])
        ):
            weights: dict[int, float] = {}
            for k in moving:
                along = (limits.directions[k] * normal.conjugate()).real
                for position, weight in classes[k].items():
                    if along > 1e-9:  # what would make room by flowing can stop at any time
                        weights[position] = weights.get(position, 0.0) + weight * along
            room = capacity * inset - (fixed * normal.conjugate()).real
            if weights:
                found.append(Facet(row, weights, max(room, 0.0)))
    return found


def _normals(directions: Sequence[complex]) -> list[tuple[complex, float]]:
    """Directions in which to limit a sum of these with lengths of at least 0, and how much of the circle is left."""
    middle = cmath.phase(sum(direction / abs(direction) for direction in directions))
    angles = [(cmath.phase(direction) - middle + math.pi) % math.tau - math.pi for direction in directions]
    low, high = min(angles), max(angles)
    sides = max(1, math.ceil(math.degrees(high - low) / STEP_DEGREES - 1e-6))
    step = (high - low) / sides
    if step < 1e-9:
        return [(cmath.rect(1.0, middle + low), 1.0)]
    inset = math.cos(step / 2.0)
    return [(cmath.rect(1.0, middle + low + (side + 0.5) * step), inset) for side in range(sides)]
