"""A generated site in virtual time on which everything goes wrong that `controller.md` §3 names.

Time goes from event to event, so that between two of them every current is constant: what is checked after each event
holds at every instant. The currents are those of the simulated cars, added up line by line; the controller's books and
the code that allocates are not asked. A seed tells the whole story.

What a station does, by the book: it takes requests in the order in which they were sent; a frame may be lost, late or
double, and it may refuse. Limits bound to a transaction end with it; the base survives a restart of the station.
Messages about transactions are kept while the link is down, states are not; the two kinds may overtake each other.
"""

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import count

from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm, AskStation, Effect, Persist
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.clock import Now
from forecourt.domain.events import (
    ChargingStateReported,
    ConnectorStatusReported,
    MeterSampled,
    Notice,
    StationBooted,
    StationEvent,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.journal import JournalState
from forecourt.domain.meter import Measurand, MeasuredPhase, MeterValue, SampledValue
from forecourt.domain.profile import ChargingProfile, ChargingProfilePurpose, ChargingRateUnit
from forecourt.domain.requests import RequestStopTransaction, SetChargingProfile, TriggerMessage
from forecourt.domain.site import EvsePoint, Site
from forecourt.domain.station import ConnectorStatus, StationIdentity
from forecourt.domain.transaction import ChargingState
from forecourt.quantities import PHASES
from forecourt.store.journal import MemoryJournal

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
_LABELS = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)
_TOLERANCE_A = 1e-6


class Fault(StrEnum):
    """What can go wrong."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    REJECT = "reject"
    LINK = "link lost"
    REBOOT = "station rebooted"
    KILL = "controller killed"
    CSMS = "CSMS cut"
    METER = "lying meter"
    SKEW = "clock skew"
    DISOBEY = "disobeying car"


@dataclass(frozen=True)
class Trouble:
    """How much goes wrong: chances per message, and mean seconds from one fault to the next."""

    drop: float = 0.08
    late: float = 0.10
    latest_s: float = 45.0
    duplicate: float = 0.05
    reorder: float = 0.10
    reject: float = 0.08
    link_s: float = 2_500.0
    reboot_s: float = 6_000.0
    kill_s: float = 5_000.0
    csms_s: float = 6_000.0
    meter_s: float = 4_000.0
    skew_s: float = 3_000.0
    slowest_clock_s: float = 40.0
    disobedient: frozenset[str] = frozenset()
    """Stations whose cars take what they want, whatever they are told."""
    slow_cars: float = 0.15
    """How many take longer to follow than anybody expects: only a reading shows that they have."""


NEVER_S = math.inf
CALM = Trouble(
    drop=0.0, late=0.0, duplicate=0.0, reorder=0.0, reject=0.0, link_s=NEVER_S, reboot_s=NEVER_S, kill_s=NEVER_S,
    csms_s=NEVER_S, meter_s=NEVER_S, skew_s=NEVER_S, slow_cars=0.0,
)  # fmt: skip
"""Nothing goes wrong."""


@dataclass
class Car:
    maximum_a: float
    phases: int
    lag_s: float
    obeys: bool = True
    single_until_s: float = 0.0
    """It begins on one phase."""
    pauses: bool = False


@dataclass(frozen=True)
class Overload:
    """A line of a node with more on it than its fuse less margins bears."""

    second: float
    node: str
    line: int
    current_a: float
    allowed_a: float

    def text(self) -> str:
        return f"{self.second:.1f} s: {self.node} L{self.line + 1} bears {self.allowed_a:.2f} A, {self.current_a:.2f} A"


@dataclass
class WorldEvse:
    point: EvsePoint
    lines: tuple[tuple[int, ...], ...]
    """For each of its own phases the places in the table of currents where it counts."""
    base: ChargingProfile | None = None
    bound: ChargingProfile | None = None
    car: Car | None = None
    charging: bool = False
    number: int = 0
    issued: str | None = None
    """The transaction's id, once the station knows it."""
    told: list[tuple[float, float]] = field(default_factory=list)
    """What the car was told, and since when."""

    def allows_a(self, station_now: datetime) -> float:
        """What the installed profiles say by the station's clock."""
        profile = self.bound if self.bound is not None and self.charging else self.base
        if profile is None:
            return self.point.maximum_a
        schedule = profile.schedule
        assert schedule.start_schedule is not None
        passed_s = (station_now - schedule.start_schedule).total_seconds()
        limits = [period.rate_limit for period in schedule.periods if period.start_period_s <= passed_s + 1e-6]
        if not limits:
            return self.point.maximum_a
        unit = 230.0 * self.point.phases if schedule.rate_unit is ChargingRateUnit.W else 1.0
        return min(limits[-1] / unit, self.point.maximum_a)

    def phases_on(self, second: float) -> int:
        assert self.car is not None
        return 1 if second < self.car.single_until_s else min(self.car.phases, self.point.phases)

    def draws_a(self, second: float) -> float:
        """The most its car may draw by what it was told within its lag."""
        car = self.car
        if car is None or not self.charging or car.pauses:
            return 0.0
        if not car.obeys:
            return car.maximum_a
        while len(self.told) > 1 and self.told[1][0] <= second - car.lag_s:
            self.told.pop(0)
        allowed_a = max(limit_a for _, limit_a in self.told)
        return min(allowed_a, car.maximum_a) if allowed_a >= 5.95 else 0.0


@dataclass
class WorldStation:
    station_id: str
    evses: list[WorldEvse]
    own_ids: bool
    """It numbers its transactions itself; otherwise the CSMS does, a while later."""
    resumes: bool
    """A transaction goes on over a restart."""
    readings: str
    every_s: float
    lie: float = 1.0
    skew_s: float = 0.0
    up: bool = True
    linked: bool = False
    connection: int = 0
    last_arrival_s: float = 0.0
    last_told_s: dict[bool, float] = field(default_factory=lambda: {False: 0.0, True: 0.0})
    kept: deque[tuple[StationEvent, ...]] = field(default_factory=deque)


Make = Callable[..., Controller]


class FaultWorld:
    """One site with its controller, stations and cars. `make` may make another controller than ours."""

    def __init__(
        self,
        site: Site,
        seed: int,
        *,
        settings: ControllerSettings | None = None,
        trouble: Trouble | None = None,
        make: Make = Controller,
        remember: Callable[[JournalState], JournalState] = lambda memory: memory,
    ) -> None:
        self.site, self.make, self.remember = site, make, remember
        self.settings = settings or ControllerSettings()
        self.trouble = trouble or Trouble()
        self.chance = random.Random(seed)
        self.second = 0.0
        self.faults: Counter[Fault] = Counter()
        self.faulty_hours: set[int] = set()
        self.overloads: list[Overload] = []
        self.alarms: list[Alarm] = []
        self.charged_ah = 0.0
        """What all cars have drawn, over all lines."""
        self._charged_until_s = 0.0
        self.kills = 0
        self._troubled = False
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._pending: dict[int, tuple[str, int]] = {}
        self._csms = True
        self._up = True
        self._wake_s: float | None = None
        self._ids = count(1)
        usable = [node.usable_a for node in site.nodes]
        background = [node.background_a for node in site.nodes]
        self._usable = [float(rating[phase]) for rating in usable for phase in PHASES]
        self._at = [0.0] * len(self._usable)
        self._background = [0.0] * len(self._usable)
        worst = [float(one[phase]) for one in background for phase in PHASES]
        for node in range(len(site.nodes)):
            for above in site.way_up(node):
                for line in range(3):
                    self._background[3 * above + line] += worst[3 * node + line]
        self.highest_excess_a = 0.0
        """By how much a line was over its rating at worst."""
        self.longest_excess_s = 0.0
        """For how long one was without a pause."""
        self._over_since_s: float | None = None
        self._asymmetry = [
            (node, limit.asymmetry_limit_a)
            for node, limit in enumerate(site.nodes)
            if limit.asymmetry_limit_a is not None
        ]
        self._watts = [(node, limit.usable_w) for node, limit in enumerate(site.nodes) if limit.usable_w is not None]
        self._flows: dict[int, tuple[float, int]] = {}
        self.journal = MemoryJournal()
        self.controller = make(site, self.settings)
        self.stations: dict[str, WorldStation] = {}
        for point in site.evses:
            self._add(point)
        self.evses = [evse for station in self.stations.values() for evse in station.evses]
        self._index = {id(evse): number for number, evse in enumerate(self.evses)}

    def _add(self, point: EvsePoint) -> None:
        chance = self.chance
        node = self.site.node_of(point)
        # Where the rotation isn't known to the controller there is one all the same.
        rotation = point.rotation or tuple(chance.sample(PHASES, point.phases))
        lines = tuple(tuple(3 * above + PHASES.index(phase) for above in self.site.way_up(node)) for phase in rotation)
        station = self.stations.get(point.station_id)
        if station is None:
            readings = chance.choice(["phases", "phases", "phases", "current", "power"])
            every_s = chance.choice([30.0, 60.0, 90.0])
            station = WorldStation(
                point.station_id, [], chance.random() < 0.3, chance.random() < 0.3, readings, every_s
            )
            self.stations[point.station_id] = station
        station.evses.append(WorldEvse(point, lines))

    # time

    @property
    def now(self) -> Now:
        return Now(self.second, self.second, START + timedelta(seconds=self.second))

    def run(self, hours: float, *, stop_at_overload: bool = False) -> list[Overload]:
        """Go on for so long; every overload on the way."""
        if not self.second:
            self._begin()
        until_s = self.second + 3600.0 * hours
        heap, before = self._heap, len(self.overloads)
        while heap and heap[0][0] <= until_s:
            second, _, act = heapq.heappop(heap)
            self.second = max(self.second, second)
            act()
            if stop_at_overload and self.overloads:
                break
        else:
            self.second = until_s
        return self.overloads[before:]

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.second + seconds, next(self._order), act))

    def _begin(self) -> None:
        """Commissioning: in peace, and no car before the stations hold their first limits."""
        for station in self.stations.values():
            self._connect(station, boots=True)
        self.later(180.0, self._let_loose)

    def _let_loose(self) -> None:
        self._troubled = True
        trouble, stations = self.trouble, list(self.stations.values())
        for evse in self.evses:
            self.later(self.chance.expovariate(1 / 600.0), partial(self._arrive, evse))
        for mean_s, act in (
            (trouble.link_s / len(stations), lambda: self._cut_link(self.chance.choice(stations))),
            (trouble.reboot_s / len(stations), lambda: self._reboot(self.chance.choice(stations))),
            (trouble.meter_s / len(stations), lambda: self._lie(self.chance.choice(stations))),
            (trouble.skew_s / len(stations), lambda: self._set_clock(self.chance.choice(stations))),
            (trouble.kill_s, self.kill),
            (trouble.csms_s, self._cut_csms),
        ):
            self._again(mean_s, act)

    def _again(self, mean_s: float, act: Callable[[], None]) -> None:
        if math.isinf(mean_s):
            return

        def turn() -> None:
            act()
            self._again(mean_s, act)

        self.later(self.chance.expovariate(1.0 / mean_s), turn)

    def _happens(self, chance: float, fault: Fault) -> bool:
        if not self._troubled or self.chance.random() >= chance:
            return False
        self._note(fault)
        return True

    def _note(self, fault: Fault, lasts_s: float = 0.0) -> None:
        self.faults[fault] += 1
        self.faulty_hours.update(range(int(self.second // 3600), int((self.second + lasts_s) // 3600) + 1))

    @property
    def fault_hours(self) -> int:
        """Hours that have passed in which something went wrong."""
        return sum(hour < self.second // 3600 for hour in self.faulty_hours)

    # the physics

    def _tell_car(self, evse: WorldEvse, skew_s: float) -> None:
        """What its station tells the car now, where that has changed."""
        limit_a = evse.allows_a(START + timedelta(seconds=self.second + skew_s))
        if evse.told and evse.told[-1][1] == limit_a:
            return
        lower = bool(evse.told) and limit_a < evse.told[-1][1]
        evse.told.append((self.second, limit_a))
        self._flow(evse)
        if lower and evse.car is not None:
            self.later(evse.car.lag_s + 1e-3, lambda: self._flow(evse))

    def _flow(self, evse: WorldEvse) -> None:
        """Enter what an EVSE draws; check what has changed."""
        number = self._index[id(evse)]
        before_a, before_phases = self._flows.get(number, (0.0, 0))
        current_a = evse.draws_a(self.second)
        phases = evse.phases_on(self.second) if current_a else 0
        if (current_a, phases) == (before_a, before_phases):
            return
        self.charged_ah += self.total_a() * (self.second - self._charged_until_s) / 3600.0
        self._charged_until_s = self.second
        at = self._at
        for own in range(before_phases):
            for place in evse.lines[own]:
                at[place] -= before_a
        for own in range(phases):
            for place in evse.lines[own]:
                at[place] += current_a
        self._flows[number] = (current_a, phases)
        self._check()

    def _measure_excess(self) -> None:
        excess_a = self.excess_a()
        if excess_a > _TOLERANCE_A:
            self._over_since_s = self.second if self._over_since_s is None else self._over_since_s
            self.highest_excess_a = max(self.highest_excess_a, excess_a)
        elif self._over_since_s is not None:
            self.longest_excess_s = max(self.longest_excess_s, self.second - self._over_since_s)
            self._over_since_s = None

    def _check(self) -> None:
        if self.trouble.disobedient:
            self._measure_excess()
        for place, allowed_a in enumerate(self._usable):
            current_a = self._at[place] + self._background[place]
            if current_a > allowed_a + _TOLERANCE_A:
                name = self.site.nodes[place // 3].name
                self.overloads.append(Overload(self.second, name, place % 3, current_a, allowed_a))
        for node, allowed_a in self._asymmetry:
            three = self._at[3 * node : 3 * node + 3]
            if max(three) - min(three) > allowed_a + _TOLERANCE_A:
                name = f"{self.site.nodes[node].name} asymmetry"
                self.overloads.append(Overload(self.second, name, 0, max(three) - min(three), allowed_a))
        for node, allowed_w in self._watts:
            lines = slice(3 * node, 3 * node + 3)
            power_w = 230.0 * (sum(self._at[lines]) + sum(self._background[lines]))
            if power_w > allowed_w + 1e-3:
                self.overloads.append(Overload(self.second, f"{self.site.nodes[node].name} W", 0, power_w, allowed_w))

    def excess_a(self) -> float:
        """By how much the worst line is over its rating now."""
        return max(
            at + background - usable
            for at, background, usable in zip(self._at, self._background, self._usable, strict=True)
        )

    def total_a(self) -> float:
        """What all cars draw."""
        return sum(current_a * phases for current_a, phases in self._flows.values())

    # people and cars

    def _arrive(self, evse: WorldEvse) -> None:
        station = self.stations[evse.point.station_id]
        if evse.base is None or not station.up:
            self.later(300.0, lambda: self._arrive(evse))
            return
        chance = self.chance
        obeys = station.station_id not in self.trouble.disobedient
        car = Car(chance.choice([10.0, 16.0, 20.0, 32.0]), chance.choice([1, 1, 2, 3, 3, 3]), chance.uniform(1.0, 9.0))
        car.obeys = obeys
        if not obeys:
            self._note(Fault.DISOBEY)
        if station.readings == "phases" and chance.random() < self.trouble.slow_cars:
            car.lag_s = chance.uniform(11.0, 40.0)
        self.plug_in(evse, car)
        self.later(chance.expovariate(1 / 2_500.0), lambda: self._leave(evse, car))
        if chance.random() < 0.4:
            self.later(chance.expovariate(1 / 900.0), lambda: self._pause(evse, car))

    def plug_in(self, evse: WorldEvse, car: Car) -> None:
        """A car comes; charging begins a moment later."""
        station = self.stations[evse.point.station_id]
        if car.lag_s > 10.0 or not car.obeys:
            station.lie = 1.0  # see `_lie`: its reading alone tells of such a car
        evse.car = car
        self._say_state(station, evse)
        self.later(self.chance.uniform(1.0, 30.0), lambda: self._start(evse, car))

    def _start(self, evse: WorldEvse, car: Car) -> None:
        station = self.stations[evse.point.station_id]
        if evse.car is not car or evse.charging or not station.up:
            return
        evse.charging, evse.bound = True, None
        evse.number += 1
        evse.told = [(self.second, evse.allows_a(START + timedelta(seconds=self.second + station.skew_s)))]
        if self.chance.random() < 0.3:
            car.single_until_s = self.second + self.chance.uniform(2.0, 20.0)
            self.later(car.single_until_s - self.second + 1e-3, lambda: self._flow(evse))
        self._flow(evse)
        name = f"{station.station_id}-{evse.point.evse_id}-{evse.number}"
        evse.issued = name if station.own_ids else None
        at = self._at_station(station)
        self._say(station, TransactionStarted(transaction_id=evse.issued, evse_id=evse.point.evse_id, at=at))
        self._say_state(station, evse)
        self._meter_again(evse, evse.number)
        if evse.issued is None:
            self.later(self.chance.uniform(0.5, 20.0), lambda: self._issue(evse, name, evse.number))

    def _issue(self, evse: WorldEvse, name: str, number: int) -> None:
        """The CSMS's answer to the start: when all can be reached and the start has been said."""
        station = self.stations[evse.point.station_id]
        if evse.number != number:
            return
        if not (self._csms and station.linked and self._up) or station.kept:
            self.later(60.0, lambda: self._issue(evse, name, number))
            return
        evse.issued = name
        if evse.charging:
            self._do(lambda now: self.controller.transaction_issued(station.station_id, evse.point.evse_id, name, now))

    def _end(self, evse: WorldEvse) -> None:
        if not evse.charging:
            return
        station = self.stations[evse.point.station_id]
        evse.charging, evse.bound = False, None
        self._flow(evse)
        name = evse.issued or f"{station.station_id}-{evse.point.evse_id}-{evse.number}"
        ended = TransactionEnded(transaction_id=name, evse_id=evse.point.evse_id, at=self._at_station(station))
        self._say(station, ended)

    def _leave(self, evse: WorldEvse, car: Car) -> None:
        if evse.car is not car:
            return
        station = self.stations[evse.point.station_id]
        if evse.charging and self.chance.random() < 0.3:
            self._end(evse)
            self._say_state(station, evse)
            self.later(self.chance.expovariate(1 / 600.0), lambda: self._leave(evse, car))
            return
        self._end(evse)
        evse.car = None
        self._flow(evse)
        self._say_state(station, evse)
        self.later(5.0 + self.chance.expovariate(1 / 500.0), lambda: self._arrive(evse))

    def _pause(self, evse: WorldEvse, car: Car) -> None:
        """The car takes nothing for a while, or takes it up again."""
        if evse.car is not car:
            return
        car.pauses = not car.pauses
        self._flow(evse)
        self._say_state(self.stations[evse.point.station_id], evse)
        self.later(self.chance.expovariate(1 / 900.0), lambda: self._pause(evse, car))

    # what stations say

    def _at_station(self, station: WorldStation) -> datetime:
        return START + timedelta(seconds=self.second + station.skew_s)

    def _say_state(self, station: WorldStation, evse: WorldEvse) -> None:
        evse_id, at = evse.point.evse_id, self._at_station(station)
        if evse.car is None or not evse.charging:
            status = ConnectorStatus.AVAILABLE if evse.car is None else ConnectorStatus.OCCUPIED
            event: StationEvent = ConnectorStatusReported(
                evse_id=evse_id, connector_id=1, at=at, connector_status=status
            )
        else:
            held_back = evse.told[-1][1] < 5.95
            state = ChargingState.SUSPENDED_EVSE if held_back else ChargingState.CHARGING
            state = ChargingState.SUSPENDED_EV if evse.car.pauses and not held_back else state
            event = ChargingStateReported(evse_id=evse_id, at=at, charging_state=state)
        if station.linked and not self._happens(self.trouble.drop / 2, Fault.DROP):
            self._send(station, (event,), lasting=False)

    def _say(self, station: WorldStation, *events: StationEvent) -> None:
        """About a transaction: kept until the link is there."""
        if station.linked and not station.kept:
            self._send(station, events, lasting=True)
        else:
            station.kept.append(events)

    def _send(self, station: WorldStation, events: tuple[StationEvent, ...], *, lasting: bool) -> None:
        delay_s = self.chance.uniform(0.0, 0.5)
        if self._happens(self.trouble.reorder, Fault.REORDER):
            delay_s += self.chance.uniform(0.0, 30.0)
        when_s = station.last_told_s[lasting] = max(station.last_told_s[lasting], self.second + delay_s)
        connection = station.connection

        def arrive() -> None:
            if station.connection == connection and station.linked and self._up:
                self._do(lambda now: self.controller.station_said(station.station_id, Notice(events), now))
            elif lasting:
                station.kept.append(events)
                if station.linked:
                    self._flush(station)

        self.later(when_s - self.second, arrive)

    def _flush(self, station: WorldStation) -> None:
        while station.kept and station.linked and self._up:
            self._send(station, station.kept.popleft(), lasting=True)

    def _meter_again(self, evse: WorldEvse, number: int) -> None:
        if not evse.charging or evse.number != number:
            return
        station = self.stations[evse.point.station_id]
        self._meter(station, evse)
        self.later(station.every_s, lambda: self._meter_again(evse, number))

    def _meter(self, station: WorldStation, evse: WorldEvse) -> None:
        if not station.linked or self._happens(self.trouble.drop, Fault.DROP):
            return
        current_a, phases = self._flows.get(self._index[id(evse)], (0.0, 0))
        current_a *= station.lie
        if station.readings == "phases":
            samples = tuple(
                SampledValue(current_a if own < phases else 0.0, Measurand.CURRENT_IMPORT, _LABELS[own])
                for own in range(evse.point.phases)
            )
        elif station.readings == "current":
            samples = (SampledValue(current_a, Measurand.CURRENT_IMPORT),)
        else:
            samples = (SampledValue(current_a * phases * 230.0, Measurand.POWER_ACTIVE_IMPORT),)
        values = (MeterValue(self._at_station(station), samples),)
        self._send(station, (MeterSampled(evse_id=evse.point.evse_id, meter_values=values),), lasting=False)

    # the controller

    def _do(self, act: Callable[[Now], Iterable[Effect]]) -> None:
        if self._up:
            self._apply(act(self.now))
            self._set_alarm_clock()

    def _set_alarm_clock(self) -> None:
        if not self._up:
            return
        due = self.controller.next_deadlines(self.now)
        instants = [instant for instant in (due.protocol_s, due.elapsed_s) if instant is not None]
        if not instants:
            return
        when_s = max(min(instants), self.second)
        if self._wake_s is None or when_s < self._wake_s:
            self._wake_s = when_s
            controller = self.controller
            self.later(when_s - self.second, lambda: self._wake(controller, when_s))

    def _wake(self, controller: Controller, when_s: float) -> None:
        if controller is not self.controller or not self._up or self._wake_s != when_s:
            return
        self._wake_s = None
        if self.controller.next_deadlines(self.now).due(self.now):
            self._apply(self.controller.expire(self.now))
        self._set_alarm_clock()

    def _apply(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Persist):
                killed = self._happens(self.trouble.drop / 200.0, Fault.KILL)
                if not (killed and self.chance.random() < 0.5):
                    self.journal.commit(effect.changes)
                if killed:
                    self._die()
                    return
            elif isinstance(effect, AskStation):
                self._ask(effect)
            elif isinstance(effect, Alarm):
                self.alarms.append(effect)

    def _ask(self, ask: AskStation) -> None:
        station = self.stations[ask.station_id]
        assert station.linked, "asked a station that can't be reached"
        connection, token = station.connection, ask.token
        self._pending[token] = (ask.station_id, connection)
        self.later(self.settings.answer_timeout_s, lambda: self._answer(ask, connection, accepted=None))
        if self._happens(self.trouble.drop, Fault.DROP):
            return
        delay_s = self.chance.uniform(0.0, 2.0)
        if self._happens(self.trouble.late, Fault.DELAY):
            delay_s += self.chance.uniform(0.0, self.trouble.latest_s)
        station.last_arrival_s = max(station.last_arrival_s, self.second + delay_s)
        refuses = self._happens(self.trouble.reject, Fault.REJECT)
        for _ in range(2 if self._happens(self.trouble.duplicate, Fault.DUPLICATE) else 1):
            self.later(station.last_arrival_s - self.second, lambda: self._arrives(station, ask, connection, refuses))

    def _arrives(self, station: WorldStation, ask: AskStation, connection: int, refuses: bool) -> None:
        if not station.up or (station.connection != connection and self.chance.random() < 0.5):
            return
        accepted = not refuses and self._carry_out(station, ask)
        if self._happens(self.trouble.drop, Fault.DROP):
            return
        self.later(self.chance.uniform(0.0, 1.0), lambda: self._answer(ask, connection, accepted=accepted))

    def _carry_out(self, station: WorldStation, ask: AskStation) -> bool:
        request = ask.request
        if isinstance(request, TriggerMessage):
            for evse in station.evses:
                if evse.point.evse_id == request.evse_id:
                    self._meter(station, evse)
            return True
        if isinstance(request, RequestStopTransaction):
            found = [one for one in station.evses if one.charging and one.issued == request.transaction_id]
            for evse in found:
                self._end(evse)
                self._say_state(station, evse)
            return bool(found)
        if not isinstance(request, SetChargingProfile):
            return False
        profile = request.profile
        (evse,) = [one for one in station.evses if one.point.evse_id == (request.evse_id or 1)]
        if profile.purpose is ChargingProfilePurpose.TX:
            if not evse.charging or profile.transaction_id != evse.issued:
                return False
            evse.bound = profile
        else:
            evse.base = profile
        self._tell_car(evse, station.skew_s)
        self._at_boundaries(station, evse, profile)
        return True

    def _at_boundaries(self, station: WorldStation, evse: WorldEvse, profile: ChargingProfile) -> None:
        """Look again when the next period begins by the station's clock."""
        begins = profile.schedule.start_schedule
        assert begins is not None
        for period in profile.schedule.periods:
            in_s = (begins - START).total_seconds() + period.start_period_s - self.second - station.skew_s
            if in_s > 0.0:
                self.later(in_s + 1e-3, lambda: self._tell_car(evse, station.skew_s))

    def _answer(self, ask: AskStation, connection: int, *, accepted: bool | None) -> None:
        if self._pending.get(ask.token) == (ask.station_id, connection):
            del self._pending[ask.token]
            self._do(lambda now: self.controller.answered(ask.token, accepted, now))

    # faults that last

    def _connect(self, station: WorldStation, *, boots: bool) -> None:
        if not station.up or not self._up or station.linked:
            return
        station.linked = True
        station.connection += 1
        if boots:
            booted = StationBooted(identity=StationIdentity(vendor_name="Bench", model="B1"))
            self._do(lambda now: self.controller.station_said(station.station_id, Notice((booted,)), now))
        self._do(lambda now: self.controller.station_ready(station.station_id, now))
        for evse in station.evses:
            self._say_state(station, evse)
        self._flush(station)

    def _disconnect(self, station: WorldStation) -> None:
        if not station.linked:
            return
        station.linked = False
        self._pending = {token: to for token, to in self._pending.items() if to[0] != station.station_id}
        self._do(lambda now: self.controller.station_lost(station.station_id, now))

    def _cut_link(self, station: WorldStation) -> None:
        if not station.linked:
            return
        away_s = self.chance.choice([2.0, 30.0, 300.0, 1_200.0, 3_600.0]) * self.chance.uniform(0.5, 1.5)
        self._note(Fault.LINK, away_s)
        self._disconnect(station)
        self.later(away_s, lambda: self._connect(station, boots=False))

    def _reboot(self, station: WorldStation) -> None:
        if not station.up:
            return
        away_s = self.chance.uniform(15.0, 120.0)
        self._note(Fault.REBOOT, away_s)
        self._disconnect(station)
        station.up = False
        interrupted: list[tuple[WorldEvse, int]] = []
        for evse in station.evses:
            evse.bound = None
            if evse.charging and station.resumes:
                evse.charging = False
                interrupted.append((evse, evse.number))
                self._flow(evse)
            else:
                self._end(evse)

        def back() -> None:
            station.up = True
            for evse, number in interrupted:
                if evse.car is not None and evse.number == number:
                    evse.charging = True
                    evse.told = [(self.second, evse.allows_a(self._at_station(station)))]
                    self._flow(evse)
                    self._meter_again(evse, number)
            self._connect(station, boots=True)

        self.later(away_s, back)

    def _lie(self, station: WorldStation) -> None:
        """A meter that lies about cars which all do as they are told: no decision may come to depend on it."""
        if any(evse.car is not None and (evse.car.lag_s > 10.0 or not evse.car.obeys) for evse in station.evses):
            return
        lasts_s = self.chance.uniform(60.0, 3_600.0)
        self._note(Fault.METER, lasts_s)
        station.lie = self.chance.choice([0.0, 0.3, 0.8, 1.3, 3.0])

        def stop() -> None:
            station.lie = 1.0

        self.later(lasts_s, stop)

    def _set_clock(self, station: WorldStation) -> None:
        slowest_s = self.trouble.slowest_clock_s
        station.skew_s = self.chance.uniform(-slowest_s, slowest_s)
        self._note(Fault.SKEW)
        for evse in station.evses:
            self._tell_car(evse, station.skew_s)
            for profile in (evse.base, evse.bound):
                if profile is not None:
                    self._at_boundaries(station, evse, profile)

    def _cut_csms(self) -> None:
        if not self._csms:
            return
        away_s = self.chance.uniform(30.0, 5_400.0)
        self._note(Fault.CSMS, away_s)
        self._csms = False

        def back() -> None:
            self._csms = True

        self.later(away_s, back)

    def kill(self) -> None:
        """The controller is gone from one instant to the next; what had left for the stations still arrives there."""
        if self._up:
            self._note(Fault.KILL)
            self._die()

    def _die(self) -> None:
        self.kills += 1
        self._up = False
        self._wake_s = None
        self._pending.clear()
        linked = [station for station in self.stations.values() if station.linked]
        for station in linked:
            station.linked = False
        away_s = self.chance.choice([1.0, 10.0, 120.0, 1_500.0])

        def back() -> None:
            self._up = True
            memory = self.remember(self.journal.load())
            self.controller = self.make(self.site, self.settings, memory=memory, now=self.now)
            for station in self.stations.values():
                self._connect(station, boots=False)

        self.later(away_s, back)
