"""How things stand at a site, as the site link tells it.

Guarantees
* It says what `status` says, in the words of `domain.site_link`; elapsed seconds become instants of the calendar.
"""

import math
from datetime import timedelta

import numpy as np

from forecourt.allocation.horizon import Slots
from forecourt.allocation.planner import Plan
from forecourt.controller.controller import Controller
from forecourt.controller.outlook import Curve
from forecourt.controller.status import EvseStatus, site_status
from forecourt.domain.clock import Now
from forecourt.domain.sentence import Sentence
from forecourt.domain.site_link import DimmingReading, EvseReading, NodeReading, PlanSlot, PlanTold, Readings
from forecourt.quantities import PerPhase


def readings(controller: Controller, now: Now) -> Readings:
    """Everything at one instant."""
    status = site_status(controller, now)
    return Readings(
        at=now.at,
        nodes=tuple(
            NodeReading(
                name=node.name,
                load_a=_rounded(node.load_a),
                limit_a=_rounded(node.limit_a),
                background_a=_rounded(node.background_a),
                metered=node.metered,
                limited=node.limited_by,
                sentences=node.limited,
            )
            for node in status.nodes
        ),
        evses=tuple(_evse(one, controller.surroundings.by_hand.priority(one.key), now) for one in status.evses),
        surplus_w=round(status.surplus_w, 1),
        pv_w=_watts(status.pv_w),
        battery_w=_watts(status.battery_w),
        dimming=_dimming(controller, status.evses),
    )


def plan_told(controller: Controller, now: Now) -> PlanTold | None:
    """The plan that is followed, if there is one."""
    surroundings = controller.surroundings
    plan = surroundings.plan
    if plan is None:
        return None
    keys = [key for key in plan.currents_a if key in controller.lines]
    watts = [surroundings.watts_per_a(controller.lines[key]) for key in keys]
    outlook = surroundings.outlook
    prices = _per_slot(outlook.uploaded_price or outlook.import_price, plan, now)
    carbon = _per_slot(outlook.carbon_kg_per_kwh, plan, now)
    pv = _per_slot(outlook.pv_w, plan, now)
    slots = []
    for number, until_s in enumerate(plan.slots_until_s):
        currents_a = tuple(round(plan.currents_a[key][number], 2) for key in keys)
        slots.append(
            PlanSlot(
                until=now.at + timedelta(seconds=until_s - now.elapsed_s),
                currents_a=currents_a,
                power_w=round(sum(a * w for a, w in zip(currents_a, watts, strict=True)), 1),
                price=prices[number],
                carbon_kg_per_kwh=carbon[number],
                pv_w=pv[number],
            )
        )
    sentences = tuple(plan.shares[key].sentence(now.elapsed_s) if key in plan.shares else Sentence("") for key in keys)
    return PlanTold(
        made_at=now.at + timedelta(seconds=plan.made_s - now.elapsed_s),
        evses=tuple(str(key) for key in keys),
        slots=tuple(slots),
        shares=tuple(map(str, sentences)),
        sentences=sentences,
    )


def _evse(one: EvseStatus, priority: int | None, now: Now) -> EvseReading:
    return EvseReading(
        station_id=one.key.station_id,
        evse_id=one.key.evse_id,
        state=one.state.value,
        power_w=_watts(one.power_w),
        current_a=None if one.current_a is None else round(one.current_a, 2),
        limit_a=round(_finite(one.limit_a, one.maximum_a), 2),
        target_a=round(one.target_a, 2),
        why=one.why,
        sentence=one.sentence,
        mode=one.mode.value,
        by_hand_a=one.by_hand_a,
        priority=priority,
        maximum_a=one.maximum_a,
        departs_at=None if one.departs_s is None else now.at + timedelta(seconds=round(one.departs_s)),
        remaining_wh=None if one.remaining_wh is None else round(one.remaining_wh, 1),
    )


def _dimming(controller: Controller, evses: tuple[EvseStatus, ...]) -> DimmingReading | None:
    surroundings, site = controller.surroundings, controller.site
    to = surroundings.settings.dimming
    if to is None:
        return None
    at = site.node_index[to.node]
    below = {point.key for point in site.evses if at in site.way_up(site.node_of(point))}
    return DimmingReading(
        dimmed=surroundings.by_hand.dimmed,
        node=to.node,
        power_w=to.limit.power_w,
        controlled_w=to.limit.controlled_w,
        current_a=to.limit.current_a,
        drawn_w=round(sum(one.power_w or 0.0 for one in evses if one.key in below), 1),
    )


def _per_slot(curve: Curve | None, plan: Plan, now: Now) -> list[float | None]:
    if curve is None:
        return [None] * len(plan.slots_until_s)
    bounds_s = np.array((plan.made_s, *plan.slots_until_s))
    slots = Slots(bounds_s[:-1], np.diff(bounds_s))
    return [round(value, 5) for value in curve.per_slot(slots, now)]


def _rounded(current_a: PerPhase) -> PerPhase:
    return current_a.map(lambda one: round(_finite(one, 0.0), 2))


def _watts(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _finite(value: float, instead: float) -> float:
    return value if math.isfinite(value) else instead
