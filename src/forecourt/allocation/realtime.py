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
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from forecourt.allocation.compiled import Asked, Column, CompiledSite
from forecourt.allocation.demand import Background, Demand, Load, NodeLimit, Turns
from forecourt.allocation.explanation import Explanation, Reason
from forecourt.allocation.filling import OWN, SLACK, Tally
from forecourt.allocation.pool import Filled, Pool, pool_of
from forecourt.allocation.seats import Candidate, Narrowed, Refusal, take_seats
from forecourt.allocation.urgency import thrifts, urgency_of
from forecourt.domain.site import EvseKey

STEPS_PER_AMPERE: Final = 10
"""Shares are whole steps, a tenth of an ampere unless told otherwise: OCPP carries one decimal (OCPP 1.6 §7.13)."""

CAN_WAIT: Final = 0.25
"""Who would get less than this part of its minimum can wait."""

UNPLANNED_A: Final = 6.0
"""Where others follow a plan, those without one count as if so much were planned for them."""

_REST: Final = 1e-4
"""For whom nothing is planned, shares rise so slowly that they take what is left."""

_DEFAULT_TURNS: Final = Turns()

_Weighed = tuple[list[Asked], list[float]]
"""Some, and how fast their shares rise."""


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one EVSE may draw."""

    limit_a: float
    """Ampere on each line it draws from."""
    explanation: Explanation
    seated: bool
    """Whether it may charge: always when `limit_a` isn't 0."""
    since_s: float
    """Charging, waiting or idle since."""
    off_since_s: float | None = None
    """When it was switched off to let others charge, while it stays off."""
    served_s: float = 0.0
    """How long it had charged before `since_s`, since it first asked."""

    def charged_s(self, now_s: float) -> float:
        """How long it has charged since it first asked."""
        return self.served_s + (now_s - self.since_s if self.seated else 0.0)


class Allocation(msgspec.Struct, frozen=True):
    """A decision. Give it back as `previous` for the next one: it is all the memory there is."""

    decided_s: float
    shares: dict[EvseKey, Share]
    next_turn_s: float | None
    """When to decide again at the latest because somebody's turn comes; None if nobody waits."""

    def limit_a(self, key: EvseKey) -> float:
        """The share of an EVSE, 0 without one."""
        share = self.shares.get(key)
        return 0.0 if share is None else share.limit_a

    def text(self, key: EvseKey) -> str:
        """The share and its reason in a line."""
        share = self.shares.get(key)
        return "0.0 A: no demand" if share is None else share.explanation.text(share.limit_a, self.decided_s)


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
        tally.add(site.column(index, load.active_phases), load.current_a)
    asked = sorted(map(site.asked, demands), key=_ORDER)
    if len({one.evse for one in asked}) != len(asked):
        raise ValueError("more than one demand for an EVSE")
    decision = _Decision(site, tally, now_s, {} if previous is None else previous.shares, turns, steps_per_ampere)
    for _, tier in groupby(asked, key=_PRIORITY):
        decision.serve_tier(list(tier))
    return Allocation(now_s, decision.shares, decision.next_turn_s)


class _Decision:
    """The priorities served so far."""

    def __init__(
        self,
        site: CompiledSite,
        tally: Tally,
        now_s: float,
        last: Mapping[EvseKey, Share],
        turns: Turns,
        steps_per_ampere: int,
    ) -> None:
        self.site = site
        self.tally = tally
        self.now_s = now_s
        self.last = last
        self.turns = turns
        self.steps_per_ampere = steps_per_ampere
        self.shares: dict[EvseKey, Share] = {}
        self.next_turn_s: float | None = None
        self._why: dict[object, Explanation] = {}

    def serve_tier(self, tier: list[Asked]) -> None:
        """One priority: those who can wait after those who can't."""
        charging = [one for one in tier if self._may_charge(one)]
        maximums_a = [one.maximum_a for one in charging]
        pool = pool_of(self.site, self.tally, [one.column for one in charging])
        if not pool.short_rows(maximums_a):
            filled = Filled(maximums_a, [OWN] * len(charging))
            pool.take(filled)
            self._share(charging, filled)
            return
        laxities_s = [self._laxity_s(one) for one in charging]
        planned = any(one.demand.planned_a is not None for one in charging)
        if planned or (laxities_s and min(laxities_s) < math.inf):
            now, later = self._follow(charging, laxities_s) if planned else self._weigh(pool, charging, laxities_s)
            self._serve(*now)
            if later[0]:
                self._serve(*later, can_wait=True)
        else:
            self._serve(charging, [1.0] * len(charging))

    def _weigh(self, pool: Pool, charging: list[Asked], laxities_s: list[float]) -> tuple[_Weighed, _Weighed]:
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
            waits = knows and level_a * thrift < one.minimum_a * CAN_WAIT and not self._holds_seat(one)
            members, weights = later if waits else now
            members.append(one)
            weights.append(urgency * thrift)
        return now, later

    def _follow(self, charging: list[Asked], laxities_s: list[float]) -> tuple[_Weighed, _Weighed]:
        """The same where there is a plan: shares rise in proportion to what is planned."""
        now: _Weighed = [], []
        later: _Weighed = [], []
        for one, laxity_s in zip(charging, laxities_s, strict=True):
            planned_a = one.demand.planned_a
            waits = planned_a is not None and planned_a < one.minimum_a * CAN_WAIT and not self._holds_seat(one)
            members, weights = later if waits else now
            members.append(one)
            weights.append(max(UNPLANNED_A if planned_a is None else planned_a, _REST * urgency_of(laxity_s)))
        return now, later

    def _serve(self, charging: list[Asked], urgencies: list[float], *, can_wait: bool = False) -> None:
        """Seats, then shares."""
        pool = pool_of(self.site, self.tally, [one.column for one in charging])
        minimums_a = [one.minimum_a for one in charging]
        members, refused = charging, None
        if short := pool.short_rows(minimums_a):
            narrowed = Narrowed(short)
            candidates = [self._candidate(one, narrowed.column(one.column)) for one in charging]
            seated, refused = take_seats(self.tally, candidates, self.now_s, self.turns.minimum_on_s)
            chosen = [k for k, one in enumerate(charging) if one.evse in seated]
            members, minimums_a = [charging[k] for k in chosen], [minimums_a[k] for k in chosen]
            urgencies = [urgencies[k] for k in chosen]
            pool = pool_of(self.site, self.tally, [one.column for one in members])
        filled = pool.fill(minimums_a, [one.maximum_a for one in members], urgencies)
        pool.take(filled)
        self._share(members, filled)
        if refused:
            for one in charging:
                if one.evse in refused:
                    self._refuse(one, refused[one.evse], can_wait=can_wait)
            ends = (self.shares[one.demand.evse].since_s + self.turns.minimum_on_s for one in members)
            self._turn_comes(min((end for end in ends if end > self.now_s), default=math.inf))

    def _share(self, members: list[Asked], filled: Filled) -> None:
        """The shares of those who charge; the old ones where nothing has changed."""
        shares, lasts, steps = self.shares, self.last, self.steps_per_ampere
        for one, level_a, row in zip(members, filled.levels_a, filled.rows, strict=True):
            key = one.demand.evse
            last = lasts.get(key)
            limit_a = max(math.floor(level_a * steps + SLACK) / steps, one.minimum_a)
            why = self._explain(one, level_a, row, last)
            if last is None:
                shares[key] = Share(limit_a, why, True, self.now_s)
            elif not last.seated:
                shares[key] = Share(limit_a, why, True, self.now_s, None, last.served_s)
            elif last.limit_a == limit_a and last.explanation is why:
                shares[key] = last
            else:
                shares[key] = Share(limit_a, why, True, last.since_s, None, last.served_s)

    def _may_charge(self, one: Asked) -> bool:
        """Whether it wants its minimum and doesn't rest; if not, its share is settled."""
        demand, last = one.demand, self.last.get(one.demand.evse)
        if one.maximum_a > 0.0 and one.maximum_a >= one.minimum_a:
            if last is None or last.off_since_s is None:
                return True
            until_s = last.off_since_s + self.turns.minimum_off_s
            if until_s <= self.now_s:
                return True
            self._turn_comes(until_s)
            explanation = Explanation(Reason.RESTS, until_s=until_s)
            self.shares[demand.evse] = Share(0.0, explanation, False, last.since_s, last.off_since_s, last.served_s)
            return False
        if one.maximum_a <= 0.0:
            explanation = Explanation(Reason.ASKS_NOTHING)
        else:
            explanation = Explanation(
                Reason.BELOW_MINIMUM,
                because=demand.wanted_because,
                wanted_a=one.maximum_a,
                minimum_a=one.minimum_a,
            )
        idle = last is not None and not last.seated and last.explanation.reason is explanation.reason
        since_s = last.since_s if last is not None and idle else self.now_s
        self.shares[demand.evse] = Share(0.0, explanation, False, since_s, None, self._charged_s(last))
        return False

    def _holds_seat(self, one: Asked) -> bool:
        """Whether it charges, and its minimum on time isn't over."""
        last = self.last.get(one.demand.evse)
        return last is not None and last.seated and self.now_s - last.since_s < self.turns.minimum_on_s

    def _laxity_s(self, one: Asked) -> float:
        demand = one.demand
        if demand.departs_s is None or demand.remaining_wh is None:
            return math.inf
        return demand.laxity_s(one.maximum_a * one.column.watts, self.now_s)

    def _charged_s(self, last: Share | None) -> float:
        return 0.0 if last is None else last.charged_s(self.now_s)

    def _candidate(self, one: Asked, column: Column) -> Candidate:
        last, demand, now_s = self.last.get(one.demand.evse), one.demand, self.now_s
        laxity_s = math.inf if demand.departs_s is None else self._laxity_s(one)
        if last is None:
            return Candidate(one.evse, column, one.minimum_a, None, now_s, 0.0, laxity_s)
        since_s = last.since_s
        if last.seated:
            charged_s = last.served_s + (now_s - since_s)
            return Candidate(one.evse, column, one.minimum_a, since_s, since_s, charged_s, laxity_s)
        since_s = since_s if _waited(last) else now_s
        return Candidate(one.evse, column, one.minimum_a, None, since_s, last.served_s, laxity_s)

    def _explain(self, one: Asked, level_a: float, row: int, last: Share | None) -> Explanation:
        """Why it has what it has; the very explanation of last time if it is an equal one."""
        if row == OWN or level_a >= one.maximum_a - SLACK:
            key: object = None if one.point.maximum_a <= one.demand.wanted_a else one.demand.wanted_because
        else:
            key = row
        found = self._why.get(key)
        if found is None:
            if key is None:
                found = Explanation(Reason.OWN_MAXIMUM)
            elif isinstance(key, str):
                found = Explanation(Reason.WANTED, because=key)
            else:
                found = Explanation(Reason.SHARED, self.site.rows[row].bound, capacity=self.tally.room.capacity[row])
            if last is not None and last.explanation == found:
                found = last.explanation
            self._why[key] = found
        return found

    def _refuse(self, one: Asked, refusal: Refusal, *, can_wait: bool) -> None:
        last = self.last.get(one.demand.evse)
        since_s, off_since_s = self.now_s, None
        if last is not None and last.seated:
            off_since_s = self.now_s
        elif last is not None and _waited(last):
            since_s, off_since_s = last.since_s, last.off_since_s
        explanation = Explanation(
            Reason.CAN_WAIT if can_wait else Reason.NO_ROOM if refusal.alone else Reason.WAITS,
            self.site.rows[refusal.row].bound,
            minimum_a=one.minimum_a,
            capacity=self.tally.room.capacity[refusal.row],
            used=refusal.taken,
            since_s=since_s,
        )
        self.shares[one.demand.evse] = Share(0.0, explanation, False, since_s, off_since_s, self._charged_s(last))

    def _turn_comes(self, at_s: float) -> None:
        if at_s < math.inf:
            self.next_turn_s = at_s if self.next_turn_s is None else min(self.next_turn_s, at_s)


def _load_order(indexed: tuple[int, Load]) -> tuple[int, float]:
    return indexed[0], indexed[1].current_a


_ORDER: Final = itemgetter(Asked._fields.index("order"))
_PRIORITY: Final = itemgetter(Asked._fields.index("priority"))
_WAITING: Final = frozenset({Reason.WAITS, Reason.NO_ROOM, Reason.CAN_WAIT, Reason.RESTS})


def _waited(last: Share) -> bool:
    return last.explanation.reason in _WAITING
