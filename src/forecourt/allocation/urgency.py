"""How much faster than another's a share rises where departure and remaining energy are known: laxity and thrift.

Within a priority, shares rise in proportion to urgency times thrift. Both are 1 for whoever doesn't tell departure and
energy; so where nobody does, shares are plainly even.

Urgency. Laxity is how long a car could still wait if it then got all it can take until it leaves (`Demand.laxity_s`):

    urgency = ((SOFT_S + NEUTRAL_S) / (SOFT_S + laxity))³,   laxity from 0 to MOST_S

Who can wait longer gets less while there isn't enough for all; the equally urgent get the same; nobody who may charge
gets nothing. Strictly the least laxity first loses twice: one car takes a line until it is full while others stay
unused, and what it takes is missing where many can still make it. Evenly shared, those who leave soon get too little.

Thrift. A first look (`filling.look`) shows which rows would be full and how many shares each would stop: its pressure.
A share leans on them by what a watt of it takes of each, times their pressure:

    thrift = mean leaning of all / own leaning,   from 1/4 to 4

So of two equally urgent cars the one that blocks fewer others gets more, which balances lines where currents are
phasors: what one line can't carry any more, the others can.

Both were chosen on recorded sessions (`benchmarks/acn.py`): they deliver more than first-come, earliest-deadline,
least-laxity and even shares, whether capacity is short or nearly enough. `controller.md` §4.
"""

import math
import operator
from collections.abc import Sequence
from typing import Final, NamedTuple

from forecourt.allocation.compiled import Column
from forecourt.allocation.filling import OWN, Tally

SOFT_S: Final = 1800.0
NEUTRAL_S: Final = 7200.0
"""The laxity that those are treated as having of whom none is known."""

MOST_S: Final = 86400.0
"""More makes no difference."""

MOST_THRIFT: Final = 4.0

CAN_WAIT: Final = 0.25
"""Who would get less than this part of its minimum can wait."""

UNPLANNED_A: Final = 6.0
"""Where others follow a plan, those without one count as if so much were planned for them."""

REST: Final = 1e-4
"""For whom nothing is planned, shares rise so slowly that they take what is left."""


def urgency_of(laxity_s: float) -> float:
    """Of somebody who could wait for so long; `math.inf` where that isn't known."""
    if laxity_s == math.inf:
        return 1.0
    relative = (SOFT_S + NEUTRAL_S) / (SOFT_S + min(max(laxity_s, 0.0), MOST_S))
    return relative * relative * relative


def plan_weight(planned_a: float | None, laxity_s: float) -> float:
    """How fast a share rises where there is a plan: in proportion to it."""
    return max(UNPLANNED_A if planned_a is None else planned_a, REST * urgency_of(laxity_s))


def thrifts(leans: Sequence[float], known: Sequence[bool]) -> list[float]:
    """For each share its thrift, from how heavily it leans on full rows; 1 where it isn't `known`."""
    counted = [lean for lean, counts in zip(leans, known, strict=True) if counts and lean > 0.0]
    if not counted:
        return [1.0] * len(leans)
    least, most = 1.0 / MOST_THRIFT, MOST_THRIFT
    mean = sum(counted) / len(counted)
    return [
        1.0 if not counts else min(max(mean / lean, least), most) if lean > 0.0 else most
        for lean, counts in zip(leans, known, strict=True)
    ]


class Pressures(NamedTuple):
    """What one unit of each full row weighs."""

    plain: dict[int, float]
    phasor: dict[tuple[int, int], float]
    """Per row and class of current: only what lengthens the sum counts."""


def pressures(tally: Tally, stopped_by: Sequence[int]) -> Pressures | None:
    """The full rows, after a filling that took the shares from `tally`; None if none has stopped anybody."""
    stopped: dict[int, int] = {}
    for row in stopped_by:
        if row != OWN:
            stopped[row] = stopped.get(row, 0) + 1
    if not stopped:
        return None
    everybody = sum(stopped.values())
    found = Pressures({}, {})
    for row, count in stopped.items():
        pressure = count / everybody / max(tally.room.capacity[row], 1e-9)
        amounts = tally.classes.get(row)
        if amounts is None:
            found.plain[row] = pressure
            continue
        directions = tally.rows[row].directions
        at = tally.room.base[row] + sum(map(operator.mul, directions, amounts))
        along = at.conjugate() / abs(at) if abs(at) > 1e-9 else 1.0 + 0j
        for k, direction in enumerate(directions):
            found.phasor[row, k] = pressure * max(0.0, (direction * along).real)
    return found


def leaning(column: Column, pressure: Pressures) -> float:
    """How heavily one watt of a column leans on the full rows."""
    plain, phasor = pressure
    leans = 0.0
    if plain:
        leans += sum(weight * plain[row] for row, weight in column.plain if row in plain)
    if phasor:
        leans += sum(weight * phasor[row, k] for row, k, weight in column.phasor if (row, k) in phasor)
    return leans / column.watts
