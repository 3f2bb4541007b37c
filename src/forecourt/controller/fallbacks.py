"""A decision in which nobody is counted with less than its fallback, for that is what an EVSE does by itself.

Guarantees (`controller.md` §3)
* The fallback of every EVSE that takes part is counted on all of its lines, as the exposures count it: on those that
  its car doesn't use, too. So what is decided fits the books, and raises don't wait for room that never comes.
* Who would get less than its fallback keeps that, without a turn. Whom somebody wants to have less (by hand, by its
  mode, by a limit of the CSMS) gets what that allows; its fallback stays counted all the same.
* `allocate` is given all of it once more for a record, and says the same.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Background, Demand, Load, NodeLimit, Turns
from forecourt.allocation.explanation import Explanation, Reason
from forecourt.allocation.realtime import STEPS_PER_AMPERE, Allocation, allocate
from forecourt.controller.line import Line
from forecourt.domain.sentence import Sentence, say
from forecourt.domain.site import EvseKey

_EQUAL_A = 1e-6
"""Rounding: not a difference."""


class Said(msgspec.Struct, frozen=True):
    """What one EVSE gets, and why."""

    limit_a: float
    explanation: Explanation


class Shared(msgspec.Struct, frozen=True):
    """A decision."""

    allocation: Allocation
    demands: tuple[Demand, ...]
    """Those that were shared out to."""
    reserved: tuple[Load, ...]
    apart: dict[EvseKey, Said]
    """Those that asked and aren't part of the allocation: their fallback leads."""

    def said(self) -> Iterable[tuple[EvseKey, Said]]:
        """Of all that asked."""
        for key, share in self.allocation.shares.items():
            yield key, Said(share.limit_a, share.explanation)
        yield from self.apart.items()

    def limit_a(self, key: EvseKey) -> float | None:
        """What an EVSE gets; None: it didn't ask."""
        share = self.allocation.shares.get(key) or self.apart.get(key)
        return None if share is None else share.limit_a

    def sentence(self, line: Line) -> Sentence:
        """The same and its reason, in a line."""
        share = self.allocation.shares.get(line.point.key) or self.apart.get(line.point.key)
        if share is not None:
            return share.explanation.sentence(share.limit_a, self.allocation.decided_s)
        fallback_a = line.point.fallback_a
        why = say("no demand, what it falls back to" if fallback_a > 0.0 else "no demand")
        return say("{limit:.1f} A: {why}", limit=fallback_a, why=why)


def share(
    site: CompiledSite,
    lines: Mapping[EvseKey, Line],
    demands: Iterable[Demand],
    now_s: float,
    *,
    readings: Mapping[str, Background],
    limits: Mapping[str, NodeLimit],
    reserved: Iterable[Load],
    previous: Allocation | None,
    turns: Turns,
) -> Shared:
    """Decide. `reserved` are the loads of those that don't ask."""
    loads = list(reserved)
    asking: dict[EvseKey, Demand] = {}
    unused: dict[EvseKey, Load] = {}
    apart: dict[EvseKey, Said] = {}
    for demand in demands:
        point = lines[demand.evse].point
        if point.fallback_a <= 0.0:
            asking[demand.evse] = demand
        elif demand.wanted_a < point.fallback_a - _EQUAL_A:
            loads.append(Load(demand.evse, point.fallback_a, None, demand.first_line))
            apart[demand.evse] = _less(demand, point.minimum_a)
        else:
            asking[demand.evse] = demand
            if (load := _unused(demand, point.phases, point.fallback_a)) is not None:
                unused[demand.evse] = load
    while True:
        given, counted = tuple(asking.values()), (*loads, *unused.values())
        allocation = allocate(
            site, given, now_s, readings=readings, limits=limits, reserved=counted, previous=previous, turns=turns
        )
        fallen = [
            demand for key, demand in asking.items() if allocation.limit_a(key) < lines[key].point.fallback_a - _EQUAL_A
        ]
        if not fallen:
            return Shared(allocation, given, counted, apart)
        for demand in fallen:
            key, fallback_a = demand.evse, lines[demand.evse].point.fallback_a
            del asking[key]
            unused.pop(key, None)
            loads.append(Load(key, fallback_a, None, demand.first_line))
            apart[key] = Said(fallback_a, Explanation(Reason.FALLBACK))


def _unused(demand: Demand, phases: int, fallback_a: float) -> Load | None:
    """Its fallback on the phases that its car doesn't use; None: it uses all, or nobody knows."""
    active = demand.active_phases
    others = () if active is None else tuple(phase for phase in range(1, phases + 1) if phase not in active)
    return Load(demand.evse, fallback_a, others, demand.first_line) if others else None


def _less(demand: Demand, minimum_a: float) -> Said:
    """What it gets whom somebody wants to have less than its fallback."""
    wanted_a, because = max(demand.wanted_a, 0.0), demand.wanted_because
    if wanted_a >= minimum_a:
        given_a = math.floor(wanted_a * STEPS_PER_AMPERE + _EQUAL_A) / STEPS_PER_AMPERE
        return Said(max(given_a, minimum_a), Explanation(Reason.WANTED, because=because))
    if wanted_a <= 0.0:
        return Said(0.0, Explanation(Reason.ASKS_NOTHING, because=because))
    below = Explanation(Reason.BELOW_MINIMUM, because=because, wanted_a=wanted_a, minimum_a=minimum_a)
    return Said(0.0, below)
