"""The algorithms that a simulation can compare, all of them over the same exact rows of limits.

Guarantees
* `Rule` is the controller's own real-time rule, told of departures and energies as a driver tells them.
* The sorted ones (`first-come`, `earliest-deadline`, `least-laxity`) are the rule again with a priority for each car:
  so they are exact, and differ in nothing but the order.
* `Unmanaged` shows what would happen without anybody.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Demand, Turns
from forecourt.allocation.horizon import Forecast, Slots
from forecourt.allocation.planner import Plan, Planner
from forecourt.allocation.realtime import STEPS_PER_AMPERE, Allocation, allocate
from forecourt.domain.site import EvseKey
from forecourt.sim.ideal import Visit

Order = Callable[[Visit, float], float]
"""Who comes first: the least."""

ORDERS: Final[dict[str, Order]] = {
    "first-come": lambda visit, _now_s: visit.arrives_s,
    "earliest-deadline": lambda visit, _now_s: visit.believed_departs_s,
    "least-laxity": lambda visit, now_s: (
        visit.believed_departs_s - now_s - visit.remaining_wh / (visit.maximum_a * visit.watts) * 3600.0
    ),
}


class Unmanaged:
    """Everybody draws what they can."""

    name = "unmanaged"

    def decide(self, visits: Sequence[Visit], _now_s: float, _period_s: float) -> Mapping[EvseKey, float]:
        """All of it."""
        return {visit.evse: visit.maximum_a for visit in visits}


class Rule:
    """The real-time rule: `informed` of departures and energies or not, or strictly in an `order`."""

    def __init__(
        self,
        site: CompiledSite,
        *,
        informed: bool = True,
        order: str | None = None,
        turns: Turns | None = None,
        steps_per_ampere: int = STEPS_PER_AMPERE,
    ) -> None:
        self.name = order or ("real-time" if informed else "even")
        self._site = site
        self._minimum_a = {point.key: point.minimum_a for point in site.site.evses}
        self._informed = informed
        self._order = None if order is None else ORDERS[order]
        self._turns = turns or Turns()
        self._steps_per_ampere = steps_per_ampere
        self.last: Allocation | None = None

    def decide(self, visits: Sequence[Visit], now_s: float, period_s: float) -> Mapping[EvseKey, float]:
        """What the rule gives them now."""
        rank: dict[EvseKey, int] = {}
        if (order := self._order) is not None:
            in_order = sorted(visits, key=lambda visit: (order(visit, now_s), visit.evse))
            rank = {visit.evse: -place for place, visit in enumerate(in_order)}
        return self.share_out([self.demand(visit, now_s, period_s, rank.get(visit.evse)) for visit in visits], now_s)

    def share_out(self, demands: Sequence[Demand], now_s: float) -> Mapping[EvseKey, float]:
        """What the rule makes of these demands."""
        self.last = allocate(
            self._site,
            demands,
            now_s,
            previous=self.last,
            turns=self._turns,
            steps_per_ampere=self._steps_per_ampere,
        )
        return {key: share.limit_a for key, share in self.last.shares.items()}

    def demand(self, visit: Visit, now_s: float, period_s: float, priority: int | None = None) -> Demand:
        """What is asked for a car: what is of use to it in this period, and what its driver said."""
        useful_a = visit.remaining_wh / (visit.watts * period_s) * 3600.0
        known = self._informed and visit.believed_departs_s > now_s
        return Demand(
            evse=visit.evse,
            wanted_a=min(visit.maximum_a, max(useful_a, self._minimum_a[visit.evse])),
            priority=priority,
            active_phases=visit.active_phases,
            departs_s=visit.believed_departs_s if known else None,
            remaining_wh=visit.remaining_wh if known else None,
        )


class Planned:
    """The planner, made anew whenever something changes, with the rule to follow it."""

    name = "planner"

    def __init__(
        self,
        site: CompiledSite,
        *,
        planner: Planner | None = None,
        forecast: Callable[[Slots], Forecast] | None = None,
        every_s: float = 0.0,
        **rule: Any,
    ) -> None:
        """`forecast`: what is expected in some slots, in seconds of the simulation. `every_s`: a younger plan is kept,
        unless somebody has come or gone. `rule`: as for `Rule`."""
        self._planner = planner or Planner(site)
        self._forecast = forecast
        self._every_s = every_s
        self._plan: Plan | None = None
        self._planned_for: frozenset[str] = frozenset()
        self._rule = Rule(site, **rule)
        self.missed = 0
        """How often there was no plan in time, so that the rule decided alone."""

    def decide(self, visits: Sequence[Visit], now_s: float, period_s: float) -> Mapping[EvseKey, float]:
        """What the rule makes of the plan."""
        demands = [self._rule.demand(visit, now_s, period_s) for visit in visits]
        company = frozenset(visit.session.session_id for visit in visits)
        plan = self._plan
        if plan is None or company != self._planned_for or now_s >= plan.made_s + self._every_s:
            plan = self._plan = self._new_plan(demands, visits, now_s)
            self._planned_for = company
        if plan is None:
            self.missed += 1
        else:
            demands = [plan.advise(demand, now_s) for demand in demands]
        return self._rule.share_out(demands, now_s)

    def _new_plan(self, demands: Sequence[Demand], visits: Sequence[Visit], now_s: float) -> Plan | None:
        able = [
            msgspec.structs.replace(demand, wanted_a=visit.maximum_a)
            for demand, visit in zip(demands, visits, strict=True)
        ]
        forecast = Forecast() if self._forecast is None else self._forecast(self._planner.slots(able, now_s))
        return self._planner.plan(able, now_s, forecast=forecast)
