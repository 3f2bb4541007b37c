"""How the current of an EVSE reaches the fuses above it: connections and transformers as phasors.

Guarantees
* One ampere of an EVSE becomes one or more independent *sources*, each three line currents. A line current is a complex
  number relative to the voltage of its own line, at unity power factor: 1 for a load from line to neutral, 1∠±30° for
  a load between two lines. What is independent may flow without the other; what is balanced always flows together.
* What isn't known counts as the worst: without a known rotation each line is a source of its own; so is each line of a
  multi-phase EVSE whose car hasn't shown which phases it uses. Where only the line of its first phase is known, that
  counts for whoever uses no other.
* `up` carries a source through the transformer between a circuit and its parent, so that the same load is known at
  every node in the node's own amperes. A delta-wye transformer turns line currents into differences of two of them.
* `worst_magnitude` is the exact largest magnitude of a sum when every source may be anywhere between 0 and its current:
  the sum ranges over a polygon whose corners are enough to look at.

`controller.md` §2 (line-to-line EVSEs, delta-wye), §3 (every car anywhere between 0 and its exposure).
"""

import cmath
import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from forecourt.domain.site import EvsePoint, Transformer, Winding
from forecourt.quantities import PHASES, Phase

Source = tuple[complex, complex, complex]
"""Line currents that flow together, for one ampere."""

_LINE: Final = {phase: index for index, phase in enumerate(PHASES)}
_AHEAD: Final = cmath.rect(1.0, math.pi / 6)
_TURN: Final = tuple(cmath.rect(1.0, -index * 2.0 * math.pi / 3.0) for index in range(3))
"""The voltage angle of each line, L1's being 0."""


def sources(point: EvsePoint, active_phases: tuple[int, ...] | None = None) -> tuple[Source, ...]:
    """What `point` draws for each ampere, at its own node.

    `active_phases` are those of the EVSE's own phases (1 to 3) that the car is known to use, evenly; None, or anything
    that doesn't suit the EVSE, is unknown.
    """
    if point.between is not None:
        first, second = sorted(_LINE[phase] for phase in point.between)
        if (first, second) == (0, 2):  # L3 comes right before L1
            first, second = second, first
        return (_source({first: _AHEAD, second: _AHEAD.conjugate()}),)
    active = suitable(point, active_phases)
    if point.rotation is None:
        if active is not None and len(active) == 3:
            return ((1 + 0j, 1 + 0j, 1 + 0j),)
        return tuple(_source({line: 1 + 0j}) for line in range(3))
    if active is None:
        return tuple(_source({_LINE[phase]: 1 + 0j}) for phase in point.rotation)
    return (_source({_LINE[point.rotation[own - 1]]: 1 + 0j for own in active}),)


def suitable(point: EvsePoint, active_phases: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """`active_phases` in order if they suit the EVSE, None if they don't: then which are used is unknown."""
    if point.phases == 1 and point.rotation is not None:
        return (1,)
    if not active_phases or any(not 1 <= own <= point.phases for own in active_phases):
        return None
    return tuple(sorted(set(active_phases)))


def placed(point: EvsePoint, active_phases: tuple[int, ...] | None, first_line: Phase | None) -> EvsePoint:
    """`point` as a car uses it that draws from its first phase alone, which is on `first_line`; else as it is."""
    if first_line is None or point.rotation is not None or point.between is not None:
        return point
    if point.phases > 1 and active_phases != (1,):
        return point
    return msgspec.structs.replace(point, phases=1, rotation=(first_line,))


def watts_per_ampere(point: EvsePoint, active_phases: tuple[int, ...] | None, voltage_v: float) -> float:
    """Active power of one ampere at `voltage_v` line to neutral; where phases are unknown, with all of the EVSE's."""
    if point.between is not None:
        return math.sqrt(3.0) * voltage_v
    active = suitable(point, active_phases)
    return voltage_v * (point.phases if active is None else len(active))


def possible_sources(point: EvsePoint) -> set[Source]:
    """Every source that `sources` can give for `point`, whatever the car."""
    own = range(1, point.phases + 1)
    subsets = [tuple(phase for phase in own if mask >> phase & 1) for mask in range(2, 2 << point.phases, 2)]
    return {source for active in [None, *subsets] for source in sources(point, active)}


def up(source: Source, transformer: Transformer | None, parent_voltage_v: float) -> Source:
    """The same current above `transformer`, in amperes of the parent at `parent_voltage_v` line to neutral."""
    if transformer is None:
        return source
    ratio = transformer.secondary_v / (math.sqrt(3.0) * parent_voltage_v)
    if transformer.winding is Winding.WYE_WYE:
        return _clean(tuple(ratio * current for current in source))
    # Each delta winding carries its secondary's current over √3 times the ratio; a primary line joins two windings.
    turned = [current * turn for current, turn in zip(source, _TURN, strict=True)]
    lines = (turned[0] - turned[2], turned[1] - turned[0], turned[2] - turned[1])
    return _clean(
        tuple(ratio / math.sqrt(3.0) * _AHEAD * line / turn for line, turn in zip(lines, _TURN, strict=True)),
    )


def corner_sets(directions: Sequence[complex], *, base: bool, opposed: bool) -> tuple[tuple[int, ...], ...]:
    """Which of `directions` to add up, all at once, so that one of the sums is the longest that any subset can have.

    Whatever lengths the directions have: the sums of all subsets span a polygon (a zonotope), and a corner of it is
    the set of directions on one side of some line. Sets that can only grow by another direction are grown. `base` says
    that a fixed current at angle 0 is part of each sum, `opposed` that it may point the other way.
    """
    angles = [cmath.phase(direction) for direction in directions]
    turns = sorted({(angle + side) % math.tau for angle in angles for side in (-math.pi / 2, math.pi / 2)})
    found: set[tuple[int, ...]] = set()
    for index, turn in enumerate(turns):
        following = turns[index + 1] if index + 1 < len(turns) else turns[0] + math.tau
        if following - turn < 1e-9:
            continue
        middle = (turn + following) / 2.0
        chosen = {k for k, angle in enumerate(angles) if math.cos(angle - middle) > 0.0}
        if not opposed:
            _grow(chosen, directions, base=base)
        if chosen:
            found.add(tuple(sorted(chosen)))
    return tuple(sorted(found))


def _grow(chosen: set[int], directions: Sequence[complex], *, base: bool) -> None:
    """Add each direction that makes every sum of `chosen` longer: none of them is more than a right angle away."""
    for k, direction in enumerate(directions):
        others = [directions[j] for j in chosen] + ([1 + 0j] if base else [])
        if k not in chosen and others and all((direction * other.conjugate()).real >= -1e-12 for other in others):
            chosen.add(k)


def worst_magnitude(currents: Iterable[complex], fixed: Sequence[complex] = (0j,)) -> float:
    """The largest magnitude of one of `fixed` plus any subset of `currents`, exactly."""
    by_angle: dict[float, complex] = {}
    for current in currents:
        if current:
            angle = round(cmath.phase(current), 9)
            by_angle[angle] = by_angle.get(angle, 0j) + current
    directions = list(by_angle.values())
    sets = corner_sets(directions, base=True, opposed=True)
    return max(abs(start + sum(directions[k] for k in chosen)) for start in fixed for chosen in ((), *sets))


def _source(lines: dict[int, complex]) -> Source:
    return (lines.get(0, 0j), lines.get(1, 0j), lines.get(2, 0j))


def _clean(lines: tuple[complex, ...]) -> Source:
    """Round away what floating point adds, so that equal angles are equal."""
    first, second, third = (complex(round(line.real, 12) + 0.0, round(line.imag, 12) + 0.0) for line in lines)
    return (first, second, third)
