"""What the controller knows of its site besides the stations: meters, limits over time, sunshine, wishes, the plan.

Guarantees
* The brain asks here for what shapes a decision (`backgrounds`, `limits`, `shaped`); whoever learns something tells it
  here and has the brain decide anew (`Controller.expire`).
* Nothing here makes a limit of the site wider: a reading takes the place of a declared worst case only while its meter
  speaks, a limit for a time only lowers, a mode or a plan only asks for less.
* A plan that is too old, or was made for others than those who are there, isn't followed.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from forecourt.allocation.demand import Background, Demand, Load, NodeLimit
from forecourt.allocation.horizon import Forecast, Slots
from forecourt.allocation.planner import Plan
from forecourt.controller.by_hand import BY_HAND, ByHand
from forecourt.controller.effects import Alarm
from forecourt.controller.keeping import Keeping
from forecourt.controller.limits import Happened, Limits, TimedLimit, WeeklyLimit
from forecourt.controller.line import Line
from forecourt.controller.main_meter import main_meter
from forecourt.controller.node_meters import MeterUse, NodeMeters
from forecourt.controller.outlook import Outlook, PlannerSettings
from forecourt.controller.ports import MeterReading, MeterRole
from forecourt.controller.remembering import KeptByHand, Remembering
from forecourt.controller.surplus import ChargeMode, Hungry, Surplus, SurplusSettings
from forecourt.controller.wishes import TokenWish, Wishes
from forecourt.domain.clock import Now
from forecourt.domain.events import MeterSampled, StationEvent
from forecourt.domain.journal import JournalState
from forecourt.domain.sentence import say
from forecourt.domain.site import EvseKey, Site

DIMMED: Final = "§ 14a"
"""The source of a grid operator's limit."""

_LOGGED: Final = 500
_IN_TIME_S: Final = 600.0
"""Who could hardly make its departure any more doesn't wait for the sun."""


class DimmedTo(msgspec.Struct, frozen=True, kw_only=True):
    """What holds while a grid operator dims the site."""

    node: str
    limit: NodeLimit


class SurroundingsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of all this."""

    meters: tuple[MeterUse, ...] = ()
    silent_s: float = 10.0
    draws_within_s: float = 45.0
    weekly: tuple[WeeklyLimit, ...] = ()
    dimming: DimmedTo | None = None
    surplus: SurplusSettings = SurplusSettings()
    tokens: dict[str, TokenWish] = {}
    planner: PlannerSettings | None = None


class PlanTask(msgspec.Struct, frozen=True):
    """What a plan is to be made of; to be solved elsewhere, and given back to `Surroundings.planned`."""

    demands: tuple[Demand, ...]
    now: Now
    readings: dict[str, Background]
    limits: dict[str, NodeLimit]
    reserved: tuple[Load, ...]
    outlook: Outlook
    surplus_w: float

    def forecast(self, slots: Slots) -> Forecast:
        """What is expected in some slots."""
        return self.outlook.forecast(slots, self.now, self.surplus_w)


class Surroundings:
    """See the module."""

    def __init__(self, site: Site, settings: SurroundingsSettings | None = None) -> None:
        self.settings = settings or SurroundingsSettings()
        self.site = site
        self.meters = NodeMeters(
            site,
            self.settings.meters,
            silent_s=self.settings.silent_s,
            draws_within_s=self.settings.draws_within_s,
        )
        self.limits = Limits(self.settings.weekly)
        self.surplus = Surplus(self.settings.surplus)
        self.wishes = Wishes(self.settings.tokens)
        self.outlook = Outlook(self.settings.planner or PlannerSettings())
        self.plan: Plan | None = None
        self.log: deque[Happened] = deque(maxlen=_LOGGED)
        """What happened to limits, newest last."""
        self.news: list[Happened | Alarm] = []
        """What is to be told; whoever tells it empties this."""
        self.effective: dict[str, NodeLimit] = {}
        self.surplus_w = 0.0
        self._remembering = Remembering()
        self._hurry_s: float | None = None
        """When somebody who waits for the sun can't wait any longer."""
        self.by_hand = ByHand(site.node_index, site.evse_index)
        """What people have set. Who changes it there calls `obey` afterwards."""
        self._kept_versions = (0, 0, 0)
        self._task: PlanTask | None = None
        self._planned_for: frozenset[EvseKey] = frozenset()
        self._asked_s: float | None = None
        self._implausible: set[str] = set()
        self._shares: Mapping[EvseKey, float] = {}

    # what is told

    def keep(self, keeping: Keeping) -> None:
        """Put what has to survive, and has changed, into the journal's turn."""
        versions = (self.wishes.version, self.surplus.version, self.by_hand.version)
        if versions == self._kept_versions:
            return
        self._kept_versions = versions
        modes = {key: KeptByHand(mode) for key, mode in self.surplus.set_modes().items()}
        self._remembering.keep(keeping, modes, self.wishes.visits(), self.wishes)
        self.by_hand.keep(keeping)

    def restore(self, memory: JournalState, now: Now) -> None:
        """Take over what the journal holds."""
        keys = [point.key for point in self.site.evses]
        self.by_hand.restore(memory)
        self.by_hand.expire(now.at)
        self.obey()
        if self.by_hand.dimmed:
            self.dim(dimmed=True)
        for key, one in self._remembering.by_hand(memory, keys).items():
            if one.mode is not None:
                self.surplus.set_mode(key, one.mode)
            if one.current_a is not None:
                self.limit_evse(key, one.current_a)
        self.wishes.resume(self._remembering.visits(memory, keys), now)
        self.wishes.remember(self._remembering.history(memory))

    def metered(self, name: str, reading: MeterReading, lines: Mapping[EvseKey, Line], now: Now) -> None:
        """A meter says something. Raises KeyError for one that isn't known."""
        wrong = self.meters.take(name, reading, lines, now)
        if wrong is None:
            if name in self._implausible:
                self._implausible.discard(name)
        elif name not in self._implausible:
            self._implausible.add(name)
            what = say("meter {name}: {wrong}; not believed", name=name, wrong=wrong)
            self.news.append(Alarm("meter-implausible", what))

    def heard(
        self, station_id: str, event: StationEvent, lines: Sequence[Line], all_lines: Mapping[EvseKey, Line], now: Now
    ) -> None:
        """A station says something."""
        keys = {line.point.evse_id: line.point.key for line in lines}
        key_of = {line.transaction.transaction_id: line.point.key for line in lines if line.transaction is not None}
        self.wishes.hear(keys, key_of, event, now)
        if isinstance(event, MeterSampled):
            self._learn_lines(lines, now)
        name = self.meters.of_station(station_id)
        if name is not None and isinstance(event, MeterSampled) and event.evse_id == 0:
            for meter_value in event.meter_values:
                reading = main_meter(meter_value)
                if reading is not None:
                    self.metered(name, reading, all_lines, now)

    def dim(self, dimmed: bool) -> bool:
        """A grid operator's signal. False: the site's file says nothing of one."""
        to = self.settings.dimming
        if to is not None:
            self.limits.put(DIMMED, to.node, [TimedLimit(limit=to.limit)] if dimmed else [])
            self.by_hand.set_dimmed(dimmed)
        return to is not None

    def limit_evse(self, key: EvseKey, current_a: float | None) -> None:
        """A person wants an EVSE to have no more than this; None: whatever it may have."""
        self.by_hand.limit_evse(key, None if current_a is None else max(0.0, current_a))

    def obey(self) -> None:
        """What people have set for nodes and prices counts from now on."""
        for node in self.site.node_index:
            timed = self.by_hand.nodes.get(node)
            self.limits.put(BY_HAND, node, [] if timed is None else [timed])
        self.outlook.uploaded_price = self.by_hand.curve

    def priority(self, line: Line) -> int:
        """Of an EVSE: as a person has set it, else as the site's file says."""
        by_hand = self.by_hand.priority(line.point.key)
        return line.point.priority if by_hand is None else by_hand

    def evse_limit_a(self, key: EvseKey) -> float | None:
        """What a person has limited an EVSE to."""
        return self.by_hand.current_a(key)

    def planned(self, plan: Plan | None, task: PlanTask) -> None:
        """A plan was made, or none in time: then the rule decides alone."""
        self.plan = plan
        self._planned_for = frozenset(demand.evse for demand in task.demands)

    # what is asked

    def limits_now(self, lines: Mapping[EvseKey, Line], now: Now) -> dict[str, NodeLimit]:
        """What nodes may bear for the time being. Generation on site comes on top of what the EVSEs are limited to."""
        if self.by_hand.expire(now.at):
            self.obey()
        found = self.limits.effective(now, self._allowed_w(lines))
        for node, limit in found.items():
            if limit.controlled_w is not None:
                own_w = self._flows_out_w(node, now)
                found[node] = msgspec.structs.replace(limit, controlled_w=limit.controlled_w + own_w)
        self.effective = found
        return found

    def shaped(self, demands: Sequence[Demand], lines: Mapping[EvseKey, Line], now: Now) -> list[Demand]:
        """The demands with what is wished for, what the sun leaves, and the plan."""
        wished = [self._wished(demand, now) for demand in demands]
        self.surplus_w = self._surplus_w(lines, now)
        hungry = [one for demand in wished if (one := self._hungry(demand, lines)) is not None]
        self._shares = self.surplus.share_out(self.surplus_w, hungry, now.elapsed_s)
        self._hurry_s = None
        sunny = [self._sunny(demand, self.mode(demand.evse), lines, now) for demand in wished]
        self._prepare(sunny, now)
        plan = self._valid_plan(now)
        return sunny if plan is None else [plan.advise(demand, now.elapsed_s) for demand in sunny]

    def mode(self, key: EvseKey) -> ChargeMode:
        """How an EVSE is charged: as set for the token, else for the EVSE."""
        return self.wishes.mode(key) or self.surplus.mode(key)

    def decided(self, lines: Mapping[EvseKey, Line], reserved: Sequence[Load], now: Now) -> list[Alarm]:
        """A decision has been made. What there is to tell."""
        for one in self.limits.happened(self._allowed_w(lines)):
            self.log.append(one)
            self.news.append(one)
        if self._task is not None:
            self._task = msgspec.structs.replace(self._task, reserved=tuple(reserved))
        return self.silent(now)

    def silent(self, now: Now) -> list[Alarm]:
        """Meters that have fallen silent (§3.9)."""
        words = "meter {name}: nothing heard for {n:g} s; the worst case holds"
        return [
            Alarm("meter-silent", say(words, name=name, n=self.settings.silent_s))
            for name in self.meters.fell_silent(now)
        ]

    def next_s(self, now: Now) -> float | None:
        """When something here changes by the mere passing of time (elapsed)."""
        instants = [self.meters.next_s(), self.surplus.next_s(), self._hurry_s]
        for change in (self.limits.next_change(now.at), self.by_hand.next_end(now.at)):
            if change is None:
                continue
            instants.append(now.elapsed_s + max(0.0, (change - now.at) / timedelta(seconds=1)))
        if self.plan is not None:
            ends = [end for end in self.plan.slots_until_s if end > now.elapsed_s]
            instants.append(min(ends, default=None))
        return min((instant for instant in instants if instant is not None and instant > now.elapsed_s), default=None)

    def plan_task(self, now: Now) -> PlanTask | None:
        """What a plan is to be made of, if one is due: somebody came or went, or the last one is old enough."""
        settings, task = self.settings.planner, self._task
        if settings is None or task is None or not task.demands:
            return None
        company = frozenset(demand.evse for demand in task.demands)
        due = self._asked_s is None or now.elapsed_s >= self._asked_s + settings.every_s
        if not due and company == self._planned_for:
            return None
        self._asked_s, self._planned_for = now.elapsed_s, company
        return task

    # inside

    def _learn_lines(self, lines: Sequence[Line], now: Now) -> None:
        """A reading has come: where it isn't known on which line it is, the meter above may show it."""
        for line in lines:
            currents = line.account.currents
            if line.point.rotation is not None or line.point.between is not None or currents is None:
                continue
            if line.account.measured_s < now.elapsed_s or not currents.by_phase:
                continue
            node = self.meters.current_above(line.point, now)
            if node is not None:
                line.rotation.heard(currents.phases_a, node, now.elapsed_s)

    def _wished(self, demand: Demand, now: Now) -> Demand:
        by_hand_a = self.by_hand.current_a(demand.evse)
        if by_hand_a is not None and by_hand_a < demand.wanted_a:
            demand = msgspec.structs.replace(demand, wanted_a=by_hand_a, wanted_because="set by hand")
        departs_s = self.wishes.departs_s(demand.evse, now)
        remaining_wh = self.wishes.remaining_wh(demand.evse)
        if departs_s is None and remaining_wh is None:
            return demand
        return msgspec.structs.replace(demand, departs_s=departs_s, remaining_wh=remaining_wh)

    def _hungry(self, demand: Demand, lines: Mapping[EvseKey, Line]) -> Hungry | None:
        mode = self.mode(demand.evse)
        if mode not in (ChargeMode.PV, ChargeMode.MIN_PV):
            return None
        line = lines[demand.evse]
        return Hungry(
            key=demand.evse,
            mode=mode,
            priority=line.point.priority if demand.priority is None else demand.priority,
            minimum_a=line.point.minimum_a,
            maximum_a=min(demand.wanted_a, line.point.maximum_a),
            watts_per_a=self.watts_per_a(line),
        )

    def _sunny(self, demand: Demand, mode: ChargeMode, lines: Mapping[EvseKey, Line], now: Now) -> Demand:
        if mode is ChargeMode.FAST:
            return demand
        watts = demand.wanted_a * self.watts_per_a(lines[demand.evse])
        laxity_s = demand.laxity_s(watts, now.elapsed_s)
        if mode is not ChargeMode.OFF and laxity_s < _IN_TIME_S:
            return demand
        hurry_s = now.elapsed_s + laxity_s - _IN_TIME_S
        if mode is not ChargeMode.OFF and hurry_s < math.inf:
            self._hurry_s = hurry_s if self._hurry_s is None else min(self._hurry_s, hurry_s)
        wanted_a = 0.0 if mode is ChargeMode.OFF else self._shares.get(demand.evse, 0.0)
        if wanted_a >= demand.wanted_a:
            return demand
        because = "switched off" if mode is ChargeMode.OFF else "what the sun leaves over"
        return msgspec.structs.replace(demand, wanted_a=wanted_a, wanted_because=because)

    def _prepare(self, demands: Sequence[Demand], now: Now) -> None:
        if self.settings.planner is None:
            return
        self._task = PlanTask(
            tuple(demand for demand in demands if demand.wanted_a > 0.0),
            now,
            self.meters.backgrounds(now),
            self.effective,
            (),
            self.outlook,
            self.surplus_w,
        )

    def _valid_plan(self, now: Now) -> Plan | None:
        settings, plan = self.settings.planner, self.plan
        if settings is None or plan is None or now.elapsed_s >= plan.made_s + settings.valid_s:
            return None
        return plan

    def _surplus_w(self, lines: Mapping[EvseKey, Line], now: Now) -> float:
        grid = self._meter_of(self.site.grid.name, now)
        drawn_w = sum(self.drawn_w(line) or 0.0 for line in lines.values())
        batteries = self.meters.readings(MeterRole.BATTERY, now)
        battery_w = sum(one.total_w or 0.0 for one in batteries)
        charges = [one.soc_percent for one in batteries if one.soc_percent is not None]
        base_w = None if grid is None else grid - drawn_w
        return self.surplus.available_w(base_w, battery_w, min(charges, default=None))

    def _meter_of(self, node: str, now: Now) -> float | None:
        """What flows into a node, in watts, as its meter reads."""
        for name in self.meters.names:
            use = self.meters.use(name)
            if use.role is MeterRole.NODE and use.node == node:
                reading = self.meters.reading(name, now)
                if reading is None:
                    return None
                voltage_v = self.site.voltages_v[self.site.node_index[node]]
                if reading.total_w is not None:
                    return reading.total_w
                return None if reading.current_a is None else reading.current_a.total * voltage_v
        return None

    def _flows_out_w(self, node: str, now: Now) -> float:
        """What leaves a node besides the EVSEs, on balance of its lines."""
        return self.meters.flows_out_a(node, now) * self.site.voltages_v[self.site.node_index[node]]

    def _allowed_w(self, lines: Mapping[EvseKey, Line]) -> float:
        return sum(line.target_a * self.watts_per_a(line) for line in lines.values() if line.account.in_transaction)

    def drawn_w(self, line: Line) -> float | None:
        """What an EVSE draws, by its last reading; None: there is none."""
        currents = line.account.currents
        if currents is None:
            return None
        if line.point.between is not None:
            return currents.highest_a * self.watts_per_a(line)
        return sum(currents.phases_a) * self.site.voltages_v[self.site.node_of(line.point)]

    def watts_per_a(self, line: Line) -> float:
        """What an ampere of an EVSE is worth, with the phases that its car is known to use."""
        voltage_v = self.site.voltages_v[self.site.node_of(line.point)]
        if line.point.between is not None:
            return voltage_v * math.sqrt(3.0)
        active = line.account.active_phases
        return voltage_v * (line.point.phases if active is None else len(active))
