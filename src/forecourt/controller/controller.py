"""The controller's brain: it hears what passes, decides who may draw what, and has it said in the right order.

Guarantees (`controller.md` §3)
* Reduce before raise (`issuer`), with the exposures of the `ledger` as the only truth about what may flow.
* Every limit is a profile with a dead-man schedule (`wording`), renewed at half its lease.
* An EVSE that can't be reached keeps its exposure in the books; a station never heard of counts with its maximum.
* What may hold at a station is in the journal before it leaves (`keeping`); a restart takes it over from there.
* Pure: inputs and `now` go in, effects come out.

The order of one decision: demands → `allocate` → reductions → raises that fit the exposures → renewals → questions.
"""

import math
from collections.abc import Mapping
from datetime import datetime

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Demand, Load, Turns
from forecourt.controller.decision_record import DecisionCase, Recorder
from forecourt.controller.effects import Alarm, AskStation, Decided, Decision, Effect, Persist
from forecourt.controller.fallbacks import Shared, share
from forecourt.controller.hearing import Station
from forecourt.controller.instants import instants
from forecourt.controller.issuer import Issuer, loads_of
from forecourt.controller.keeping import LINES, Keeping, place_of
from forecourt.controller.ledger import Account, Limit
from forecourt.controller.limits import limitable
from forecourt.controller.line import Line
from forecourt.controller.ports import MeterReading
from forecourt.controller.probing import Probing
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.surroundings import Surroundings, SurroundingsSettings
from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.events import Notice
from forecourt.domain.journal import JournalState
from forecourt.domain.profile import ChargingProfile
from forecourt.domain.requests import (
    ClearChargingProfile,
    CsmsRequestAnswer,
    GetCompositeSchedule,
    SetChargingProfile,
)
from forecourt.domain.sentence import say
from forecourt.domain.site import EvseKey, Site


class Controller:
    """The local controller of one site. `site` must be checked."""

    def __init__(
        self,
        site: Site,
        settings: ControllerSettings,
        turns: Turns | None = None,
        *,
        memory: JournalState | None = None,
        now: Now | None = None,
        surroundings: SurroundingsSettings | None = None,
    ) -> None:
        """`memory` is what the journal holds, taken over as of `now`."""
        self.site = site
        self.settings = settings
        self.shared: Shared | None = None
        """The last decision."""
        self.surroundings = Surroundings(site, surroundings)
        """Meters, limits for a time, modes, wishes, plans. Who tells it something calls `expire` afterwards."""
        self._compiled = CompiledSite(limitable(site))
        self._turns = turns or Turns()
        self._lines = {point.key: Line(point, settings) for point in site.evses}
        by_station: dict[str, list[Line]] = {}
        for line in self._lines.values():
            by_station.setdefault(line.point.station_id, []).append(line)
        self._stations = {key: Station(lines, settings, site.voltage_v) for key, lines in by_station.items()}
        single = frozenset(station_id for station_id, lines in by_station.items() if len(lines) == 1)
        self._issuer = Issuer(self._compiled, settings, single)
        self._dirty = True
        self._decide_at_s = 0.0
        self._due = Deadlines()
        self._changes_at: datetime | None = None
        """When the CSMS's profiles allow something else."""
        self._alarms: set[tuple[str, EvseKey | None]] = set()
        self._keeping = Keeping()
        self._idle: set[str] = set()
        """Stations whose books have become smaller by the mere passing of time."""
        self._memory = memory
        self.probing = Probing(self._stations, settings, self._issuer, self._keeping, site.voltage_v)
        """Commissioning: the probes, and what they have found."""
        if memory is not None and now is not None:
            self.probing.restore(memory)
            for station in self._stations.values():
                station.restore(memory, now)
            self.surroundings.restore(memory, now)
        if settings.never_connected == "fallback":
            known = {} if memory is None else memory.get(LINES, {})
            for line in self._lines.values():
                if place_of(line) not in known:
                    line.assumed = True
                    line.account.base = Limit(line.point.fallback_a, math.inf, bound=False)

    # what is known

    def knows(self, station_id: str) -> bool:
        """Whether the station is part of the site."""
        return station_id in self._stations

    def account(self, key: EvseKey) -> Account:
        """The books of one EVSE. Raises KeyError for one that the site doesn't have."""
        return self._lines[key].account

    def exposures(self, now: Now) -> list[Load]:
        """What each EVSE might draw at this instant; an EVSE may stand there twice, with and without its phases."""
        return [load for line in self._lines.values() for load in loads_of(line, now)]

    # what happens

    def station_ready(self, station_id: str, now: Now) -> list[Effect]:
        """The station is connected and registered: it can be asked things."""
        for line in self._stations[station_id].lines:
            line.ready, line.leaving = True, False
            if line.assumed:
                line.assumed, line.account.base = False, None
        return self._kept(self._changed(now), station_id)

    def polls(self, station_id: str, every_s: float | None) -> None:
        """The EVSEs of a station are to be asked for readings so often while they charge; None: they needn't."""
        for line in self._stations[station_id].lines:
            line.poll_s = every_s

    def fall_back(self, station_id: str, now: Now) -> list[Effect]:
        """The station is about to be cut off: it shall hold its fallbacks by then."""
        for line in self._stations[station_id].lines:
            line.leaving = True
        return self._kept(self._changed(now), station_id)

    def fallen_back(self, station_id: str, now: Now) -> bool:
        """Whether it does, or nothing can be said to it anyway."""
        return all(
            not line.ready or (not line.account.uncertain and line.account.holds_a(now) <= line.point.fallback_a + 0.05)
            for line in self._stations[station_id].lines
        )

    def station_lost(self, station_id: str, now: Now) -> list[Effect]:
        """The station can't be reached. What was on its way may or may not hold."""
        lines = self._stations[station_id].lines
        for line in lines:
            line.ready = line.leaving = False
        self._issuer.forget(lines)
        probing = self.probing.lost(station_id, now)
        for line in lines:
            if not line.keeps_base:
                line.account.forget()
        return self._kept([*probing, *self._changed(now)], station_id)

    def metered(self, name: str, reading: MeterReading, now: Now) -> list[Effect]:
        """One of the site's own meters says something. Raises KeyError for one that the site doesn't have."""
        self.hear_meter(name, reading, now)
        return self.expire(now)

    def hear_meter(self, name: str, reading: MeterReading, now: Now) -> None:
        """The same, without deciding at once (`learned`)."""
        self.surroundings.metered(name, reading, self._lines, now)
        self.learned()

    def surround(self, settings: SurroundingsSettings, now: Now) -> None:
        """What the site has besides stations, where it wasn't known at the beginning: before anything is learned."""
        self.surroundings = Surroundings(self.site, settings)
        if self._memory is not None:
            self.surroundings.restore(self._memory, now)
        self.learned()

    def learned(self) -> None:
        """The surroundings have been told something: a decision is due."""
        self._dirty = True

    def remember(self) -> list[Effect]:
        """What a person has set goes to the journal at once, though the decision may wait for its turn."""
        return self._kept([])

    def recorder(self) -> Recorder:
        """What writes this controller's decisions down."""
        return Recorder(self._compiled.site, self._turns)

    @property
    def lines(self) -> Mapping[EvseKey, Line]:
        """All EVSEs, to be looked at."""
        return self._lines

    def station_said(self, station_id: str, notice: Notice, now: Now) -> list[Effect]:
        """A notice passed through."""
        station = self._stations[station_id]
        for event in notice.events:
            station.hear(event, now)
            self.surroundings.heard(station_id, event, station.lines, self._lines, now)
        alarms = [*self._wrong_clock(station), *self._disobedience(station, now)]
        probing = self.probing.heard(station_id, notice, now)
        return self._kept([*alarms, *probing, *self._changed(now)], station_id)

    def transaction_issued(self, station_id: str, evse_id: int, transaction_id: str, now: Now) -> list[Effect]:
        """The CSMS has given the transaction on an EVSE its id."""
        station = self._stations[station_id]
        for line in station.named(evse_id):
            station.began(line, transaction_id, now)
        return self._kept(self._changed(now), station_id)

    def csms_asked(
        self, station_id: str, request: SetChargingProfile | ClearChargingProfile | GetCompositeSchedule, now: Now
    ) -> tuple[CsmsRequestAnswer, list[Effect]]:
        """The CSMS sets, clears or asks for charging profiles: answered from what is kept here."""
        station = self._stations[station_id]
        match request:
            case SetChargingProfile():
                answer = station.constraints.set(request, station.transactions, now.at)
                return answer, self._kept(self._changed(now), station_id)
            case ClearChargingProfile():
                answer = station.constraints.clear(request)
                return answer, self._kept(self._changed(now), station_id)
            case GetCompositeSchedule():
                allowed_a = {line.point.evse_id: line.target_a for line in station.lines}
                return station.constraints.composite(request, station.transactions, now.at, allowed_a), []

    def started_remotely(self, station_id: str, evse_id: int | None, profile: ChargingProfile) -> list[Effect]:
        """The station accepted a remote start whose charging profile was kept here."""
        self._stations[station_id].constraints.started_remotely(evse_id, profile)
        return self._kept([], station_id)

    def commission(self, station_id: str, evse_id: int | None, now: Now, *, reboot: bool = False) -> list[Effect]:
        """Begin to probe a station. Raises CantProbe."""
        begun = self.probing.begin(station_id, evse_id, now, reboot=reboot)
        return self._kept([*begun, *self._changed(now)], station_id)

    def answered(
        self, token: int, accepted: bool | None, now: Now, answer: CsmsRequestAnswer | None = None
    ) -> list[Effect]:
        """What became of an `AskStation`. None: nobody knows (timeout, connection lost). `answer` is all it said."""
        if self.probing.asks(token):
            probing = self.probing.answered(token, accepted, answer, now)
            return self._kept([*probing, *self._changed(now)], *self.probing.probes)
        station_id = self._issuer.station_of(token)
        about_limit, effects = self._issuer.take_answer(token, accepted, now)
        effects = [effect for effect in effects if not isinstance(effect, Alarm) or self._is_news(effect)]
        if not about_limit or station_id is None:
            return effects
        return self._kept([*effects, *self._changed(now)], station_id)

    # time

    def next_deadlines(self, now: Now) -> Deadlines:
        """When to call `expire`. An instant that has passed stays due until a decision has seen it."""
        probing = Deadlines(elapsed_s=self.probing.next_s())
        if self._dirty:
            return probing.earliest(Deadlines(protocol_s=self._decide_at_s))
        if self._changes_at is None:
            return probing.earliest(self._due)
        change_s = now.elapsed_s + (self._changes_at - now.at).total_seconds()  # the calendar may have been set
        return probing.earliest(self._due.earliest(Deadlines(elapsed_s=change_s)))

    def expire(self, now: Now) -> list[Effect]:
        """Time has passed."""
        return self._kept([*self.probing.expire(now), *self._changed(now)], *self.probing.probes)

    def _look_ahead(self, now: Now) -> None:
        """Note when another decision is needed though nothing happens, as things stand after this one."""
        world = [
            instant_s for line in self._lines.values() for instant_s in instants(line, self._issuer, self.settings, now)
        ]
        if self.shared is not None and self.shared.allocation.next_turn_s is not None:
            world.append(self.shared.allocation.next_turn_s)
        if (surrounding_s := self.surroundings.next_s(now)) is not None:
            world.append(surrounding_s)
        world = [instant_s for instant_s in world if now.elapsed_s < instant_s < _NEVER_S]
        protocol = [line.retry_at_s for line in self._lines.values() if line.retry_at_s > now.protocol_s]
        self._due = Deadlines(min(protocol, default=None), min(world, default=None))
        changes = [
            change
            for station in self._stations.values()
            for line in station.lines
            if (change := station.constraints.next_change(line.point, station.transactions, now.at)) is not None
        ]
        self._changes_at = min(changes, default=None)

    # remembering

    def _kept(self, effects: list[Effect], *station_ids: str) -> list[Effect]:
        """The effects of a turn, after the journal's: of the stations that were heard, and those that are asked."""
        asked = {effect.station_id for effect in effects if isinstance(effect, AskStation)}
        idle, self._idle = self._idle, set()
        for station_id in {*station_ids, *asked, *idle}:
            self._stations[station_id].keep(self._keeping)
        self.surroundings.keep(self._keeping)
        changes = self._keeping.take()
        return [Persist(changes), *effects] if changes else effects

    # deciding

    def _changed(self, now: Now) -> list[Effect]:
        self._dirty = True
        if now.protocol_s < self._decide_at_s:
            return []
        self._decide_at_s = now.protocol_s + self.settings.decide_interval_s
        self._dirty = False
        effects = self._decide(now)
        self._look_ahead(now)
        return effects

    def _decide(self, now: Now) -> list[Effect]:
        demands: list[Demand] = []
        reserved: list[Load] = []
        for line in self._lines.values():
            if line.account.idle(now):
                self._idle.add(line.point.station_id)
            if not line.ready or line.leaving or line.probing or line.account.base is None:
                reserved += loads_of(line, now)
            elif line.conduct.pauses(now):
                reserved.append(Load(line.point.key, line.conduct.reserved_a(now)))
            elif (demand := self._demand(line, now)) is not None:
                demands.append(demand)
            elif line.point.fallback_a > 0:
                reserved.append(Load(line.point.key, line.point.fallback_a))
        limits = self.surroundings.limits_now(self._lines, now)
        readings = self.surroundings.meters.backgrounds(now)
        previous = None if self.shared is None else self.shared.allocation
        self.shared = shared = share(
            self._compiled,
            self._lines,
            self.surroundings.shaped(demands, self._lines, now),
            now.elapsed_s,
            readings=readings,
            limits=limits,
            reserved=reserved,
            previous=previous,
            turns=self._turns,
        )
        for key, line in self._lines.items():
            given_a = shared.limit_a(key)
            line.target_a = line.point.fallback_a if given_a is None else given_a
        decisions = tuple(Decision(key, said.limit_a, said.explanation) for key, said in shared.said())
        issued = self._issuer.issue(list(self._lines.values()), self._compiled.room(readings, limits), now)
        issued = [effect for effect in issued if not isinstance(effect, Alarm) or self._is_news(effect)]
        alarms = self.surroundings.decided(self._lines, reserved, now)
        case = DecisionCase(shared.demands, readings, limits, shared.reserved, previous, shared.allocation)
        return [Decided(now.elapsed_s, decisions, case), *alarms, *issued]

    def _demand(self, line: Line, now: Now) -> Demand | None:
        account, point = line.account, line.point
        if not account.in_transaction or account.occupied is False:
            return None
        priority = self.surroundings.priority(line)
        wanted_a, because = point.maximum_a, "its own maximum"
        least_a = max(point.minimum_a, point.fallback_a)
        if account.pauses(now, pause_s=self.settings.pause_s):
            # Enough to wake up with, but only from what those who do charge leave.
            wanted_a, because, priority = least_a, "the car pauses", priority - 1
        elif account.appetite_a is not None and account.appetite_a < wanted_a:
            wanted_a, because = max(least_a, account.appetite_a), "what the car takes"
        station = self._stations[point.station_id]
        allowed_a = station.constraints.limit_a(point, station.transactions, now.at)
        if allowed_a is not None and allowed_a < wanted_a:
            wanted_a, because = allowed_a, "limit of the CSMS"
        phases = account.active_phases if line.binds else None
        return Demand(
            evse=point.key,
            wanted_a=wanted_a,
            wanted_because=because,
            priority=priority,
            active_phases=phases,
            first_line=line.first_line,
        )

    # alarms

    def _disobedience(self, station: Station, now: Now) -> list[Effect]:
        """Cars that draw more than anything they were allowed (§3.8); their excess is in the books."""
        effects: list[Effect] = []
        for line in station.lines:
            if line.account.occupied is False:
                line.conduct.left()
                line.stop_asked = None
            line.distrusted = line.distrusted and line.account.in_transaction
            effects += line.conduct.look(now)
            if line.conduct.quarantined and line.conduct.over_since_s is not None:
                effects += self._issuer.stop(line)
        return effects

    def _wrong_clock(self, station: Station) -> list[Effect]:
        """A clock that is further off than the grace of leases; they are put into its words."""
        if not (shift_s := station.lines[0].account.shift_s):
            return []
        words = (
            "the clock of {station} is {n:.0f} s ahead" if shift_s > 0 else "the clock of {station} is {n:.0f} s behind"
        )
        what = say(words, station=station.station_id, n=abs(shift_s))
        alarm = Alarm("clock", what, station.lines[0].point.key)
        return [alarm] if self._is_news(alarm) else []

    def _is_news(self, alarm: Alarm) -> bool:
        known = (alarm.kind, alarm.evse) in self._alarms
        self._alarms.add((alarm.kind, alarm.evse))
        return not known


_NEVER_S = 1e12
"""Leases that don't end have infinity as their instant; nothing is due then."""
