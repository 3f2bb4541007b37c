"""The real-time rule: who gets how much now.

Guarantees
* No limit of any node is exceeded, with every car anywhere between 0 and its share, the reserved loads anywhere
  between 0 and theirs, and the background anywhere within its bounds; except by what loads and background exceed
  already, which nobody's share makes worse.
* Each share is 0 or from the minimum to the maximum of the EVSE and its demand; rounded down to 0.1 A (never below
  the minimum, which needn't be a multiple).
* Strictly by priority: a higher one is served in full before a lower one gets anything, seats included. Within a
  priority shares are max-min fair (`filling`), and who may charge at all when not all minimums fit goes by turns
  (`seats`).
* Where departure and remaining energy are known, shares are max-min fair in proportion to urgency and thrift
  (`urgency`), which are equal among equals. Whoever of these would get less than a quarter of its minimum, if there
  were none, can wait: it is served after the others of its priority, so that its minimum takes nothing from those in a
  hurry. Where there is a plan (`Demand.planned_a`), what it has for now takes the place of urgency and thrift.
* Pure: the same site, demands, loads, readings, `previous` and `now_s` give the same allocation, in whatever order
  demands and loads come.
* Every share is explained.

`controller.md` §4 (real time), §3.7. What fairness is about is the current per line, whatever the number of lines.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from forecourt.allocation.compiled import Asked, CompiledSite
from forecourt.allocation.crowd import serve_crowd
from forecourt.allocation.decision import Allocation, Decision, Share
from forecourt.allocation.demand import Background, Demand, Load, NodeLimit, Turns
from forecourt.allocation.filling import OWN, Tally
from forecourt.allocation.pool import Filled, Pool
from forecourt.allocation.roster import taken_up
from forecourt.allocation.seats import Narrowed, take_seats
from forecourt.allocation.urgency import CAN_WAIT, plan_weight, thrifts, urgency_of

__all__ = ["STEPS_PER_AMPERE", "Allocation", "Share", "allocate"]

STEPS_PER_AMPERE: Final = 10
"""Shares are whole steps, a tenth of an ampere unless told otherwise: OCPP carries one decimal (OCPP 1.6 §7.13)."""

_DEFAULT_TURNS: Final = Turns()

_Weighed = tuple[list[Asked], list[float]]
"""Some, and how fast their shares rise."""


def allocate(
    site: CompiledSite,
    demands: Iterable[Demand],
    now_s: float,
    *,
    readings: Mapping[str, Background] | None = None,
    limits: Mapping[str, NodeLimit] | None = None,
    reserved: Iterable[Load] = (),
    previous: Allocation | None = None,
    turns: Turns = _DEFAULT_TURNS,
    steps_per_ampere: int = STEPS_PER_AMPERE,
) -> Allocation:
    """Decide. `readings` are per node, of all that is uncontrolled below it; without one a node has its declared worst.
    `limits` are what nodes may bear for the time being.

    Raises KeyError for an EVSE or node that the site doesn't have, ValueError for two demands of one EVSE.
    """
    tally = Tally(site.rows, site.room({} if readings is None else readings, limits), site.phasors)
    for index, load in sorted(((site.index(load.evse), load) for load in reserved), key=_load_order):
        tally.add(site.column(index, load.active_phases, load.first_line), load.current_a)
    roster = taken_up(site, demands)
    roster.recall(previous)
    last = {} if previous is None else previous.shares
    decision = Decision(site, tally, now_s, last, turns, steps_per_ampere, continues=roster.unchanged)
    for tier in roster.tiers:
        if tier.crowd is not None:
            serve_crowd(decision, tier.crowd)
        else:
            _serve_tier(decision, tier.members)
    allocation = Allocation(now_s, decision.shares, decision.next_turn_s)
    roster.keep(site, allocation)
    return allocation


def _serve_tier(decision: Decision, tier: list[Asked]) -> None:
    """One priority: those who can wait after those who can't."""
    charging = [one for one in tier if decision.may_charge(one)]
    maximums_a = [one.maximum_a for one in charging]
    pool = Pool(decision.tally, [one.column for one in charging])
    if not pool.short_rows(maximums_a):
        filled = Filled(maximums_a, [OWN] * len(charging))
        pool.take(filled)
        for one, level_a, row in zip(charging, filled.levels_a, filled.rows, strict=True):
            decision.share(one, level_a, row)
        return
    laxities_s = [decision.laxity_s(one) for one in charging]
    planned = any(one.demand.planned_a is not None for one in charging)
    if planned or (laxities_s and min(laxities_s) < math.inf):
        weigh = _follow(decision, charging, laxities_s) if planned else _weigh(decision, pool, charging, laxities_s)
        now, later = weigh
        _serve(decision, *now)
        if later[0]:
            _serve(decision, *later, can_wait=True)
    else:
        _serve(decision, charging, [1.0] * len(charging))


def _weigh(decision: Decision, pool: Pool, charging: list[Asked], laxities_s: list[float]) -> tuple[_Weighed, _Weighed]:
    """Who is served now, and who can wait."""
    urgencies = [urgency_of(laxity_s) for laxity_s in laxities_s]
    filled = pool.look([one.maximum_a for one in charging], urgencies)
    leans = pool.lean(filled)
    if leans is None:
        return (charging, urgencies), ([], [])
    known = [laxity_s < math.inf for laxity_s in laxities_s]
    now: _Weighed = [], []
    later: _Weighed = [], []
    for one, knows, urgency, level_a, thrift in zip(
        charging, known, urgencies, filled.levels_a, thrifts(leans, known), strict=True
    ):
        waits = knows and level_a * thrift < one.minimum_a * CAN_WAIT and not decision.holds_seat(one)
        members, weights = later if waits else now
        members.append(one)
        weights.append(urgency * thrift)
    return now, later


def _follow(decision: Decision, charging: list[Asked], laxities_s: list[float]) -> tuple[_Weighed, _Weighed]:
    """The same where there is a plan: shares rise in proportion to what is planned."""
    now: _Weighed = [], []
    later: _Weighed = [], []
    for one, laxity_s in zip(charging, laxities_s, strict=True):
        planned_a = one.demand.planned_a
        waits = planned_a is not None and planned_a < one.minimum_a * CAN_WAIT and not decision.holds_seat(one)
        members, weights = later if waits else now
        members.append(one)
        weights.append(plan_weight(planned_a, laxity_s))
    return now, later


def _serve(decision: Decision, charging: list[Asked], weights: list[float], *, can_wait: bool = False) -> None:
    """Seats, then shares."""
    tally = decision.tally
    pool = Pool(tally, [one.column for one in charging])
    minimums_a = [one.minimum_a for one in charging]
    members, refused = charging, None
    if short := pool.short_rows(minimums_a):
        narrowed = Narrowed(short)
        candidates = [decision.candidate(one, narrowed.column(one.column)) for one in charging]
        seated, refused = take_seats(tally, candidates, decision.now_s, decision.turns.minimum_on_s)
        chosen = [k for k, one in enumerate(charging) if one.evse in seated]
        members, minimums_a = [charging[k] for k in chosen], [minimums_a[k] for k in chosen]
        weights = [weights[k] for k in chosen]
        pool = Pool(tally, [one.column for one in members])
    filled = pool.fill(minimums_a, [one.maximum_a for one in members], weights)
    pool.take(filled)
    for one, level_a, row in zip(members, filled.levels_a, filled.rows, strict=True):
        decision.share(one, level_a, row)
    if refused:
        for one in charging:
            if one.evse in refused:
                decision.refuse(one, refused[one.evse], can_wait=can_wait)
        ends = (decision.shares[one.demand.evse].since_s + decision.turns.minimum_on_s for one in members)
        decision.turn_comes(min((end for end in ends if end > decision.now_s), default=math.inf))


def _load_order(indexed: tuple[int, Load]) -> tuple[int, float]:
    return indexed[0], indexed[1].current_a
