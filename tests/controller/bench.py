"""A site in virtual time for the controller's brain: stations that answer late, never or no, and cars that draw all
they may. The currents are the bench's own; the controller's books are not asked."""

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from forecourt.allocation.check import Violation, violations
from forecourt.allocation.demand import Load
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
from forecourt.domain.meter import Measurand, MeasuredPhase, MeterValue, SampledValue
from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit
from forecourt.domain.requests import CsmsRequest, SetChargingProfile, SetVariables, TriggerMessage
from forecourt.domain.site import EvsePoint, Site
from forecourt.domain.station import ConnectorStatus, StationIdentity
from forecourt.domain.transaction import ChargingState
from forecourt.quantities import current_of_power
from forecourt.store.journal import MemoryJournal

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
_LABELS = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)


@dataclass
class Car:
    maximum_a: float
    phases: int
    ignores: bool = False
    """Whether it takes its maximum whatever it is told."""


@dataclass
class BenchEvse:
    """One station with one EVSE. `held` are the limits of the last seconds: a car may still follow the oldest."""

    point: EvsePoint
    profile: SetChargingProfile | None = None
    bound: SetChargingProfile | None = None
    key_a: float | None = None
    """What a vendor's key allows, where it was set."""
    connected: bool = False
    car: Car | None = None
    charging: bool = False
    transactions: int = 0
    held: deque[float] = field(default_factory=lambda: deque(maxlen=5))

    def limit_a(self, at: datetime) -> float:
        """What the installed profiles say now: the transaction's own first; without any the hardware's maximum."""
        if self.bound is not None and self.charging:
            return self._limit_of(self.bound, at)
        if self.profile is None:
            return self.point.maximum_a if self.key_a is None else self.key_a
        return self._limit_of(self.profile, at)

    def _limit_of(self, request: SetChargingProfile, at: datetime) -> float:
        schedule = request.profile.schedule
        assert schedule.start_schedule is not None
        passed_s = (at - schedule.start_schedule).total_seconds()
        rate_limit = [p.rate_limit for p in schedule.periods if p.start_period_s <= passed_s][-1]
        if schedule.rate_unit is ChargingRateUnit.W:
            return current_of_power(rate_limit, self.point.phases)
        return rate_limit

    @property
    def transaction_id(self) -> str:
        return f"{self.point.station_id}-{self.transactions}"

    @property
    def current_a(self) -> float:
        if self.car is None or not self.charging:
            return 0.0
        if self.car.ignores:
            return self.car.maximum_a
        allowed_a = max(self.held, default=0.0)
        return min(allowed_a, self.car.maximum_a) if allowed_a >= 6.0 else 0.0

    @property
    def active_phases(self) -> tuple[int, ...]:
        phases = min(self.point.phases, self.car.phases if self.car else 3)
        return tuple(range(1, phases + 1))


@dataclass
class Faults:
    """How stations behave, as chances for each request, and the range of their delay in seconds."""

    refuse: float = 0.0
    lose_request: float = 0.0
    lose_answer: float = 0.0
    delay_s: int = 2
    takes: Callable[[CsmsRequest], bool] = lambda request: True
    """What is not refused for what it says."""


class Bench:
    """Steps of one second. Everything due in a step is due in a fixed order, so a seed tells the whole story."""

    def __init__(
        self, site: Site, settings: ControllerSettings, *, seed: int = 0, faults: Faults | None = None
    ) -> None:
        self.site = site
        self.settings = settings
        self.journal = MemoryJournal()
        self.controller = Controller(site, settings)
        self.commits = 0
        self.kill_at: int | None = None
        """The controller is killed at this commit: before or after it is on the disk, `kill_before` says."""
        self.kill_before = False
        self.downtime_s = 5
        self.up_at: int | None = None
        """None: the controller runs."""
        self._linked: set[str] = set()
        self.chance = random.Random(seed)
        self.faults = faults or Faults()
        self.second = 0
        self.evses = {point.key: BenchEvse(point) for point in site.evses}
        self.inbox: list[tuple[int, int, AskStation]] = []
        self.answers: list[tuple[int, int, AskStation, bool | None]] = []
        self.alarms: list[Alarm] = []
        self.sent: list[AskStation] = []
        self._number = 0

    @property
    def now(self) -> Now:
        return Now(float(self.second), float(self.second), START + timedelta(seconds=self.second))

    def evse(self, station_id: str) -> BenchEvse:
        return next(evse for key, evse in self.evses.items() if key.station_id == station_id)

    # what people and cars do

    def connect(self, station_id: str, *, boots: bool = False) -> None:
        evse = self.evse(station_id)
        if self.up_at is not None:
            self._linked.add(station_id)
            return
        evse.connected = True
        if boots:
            self._say(evse, StationBooted(identity=StationIdentity(vendor_name="Bench", model="B1")))
        self._apply(self.controller.station_ready(station_id, self.now))
        self._say_status(evse)

    def disconnect(self, station_id: str) -> None:
        if self.up_at is not None:
            self._linked.discard(station_id)
            return
        self.evse(station_id).connected = False
        self.inbox = [entry for entry in self.inbox if entry[2].station_id != station_id]
        self.answers = [entry for entry in self.answers if entry[2].station_id != station_id]
        self._apply(self.controller.station_lost(station_id, self.now))

    def plug_in(self, station_id: str, car: Car) -> None:
        evse = self.evse(station_id)
        evse.car, evse.charging = car, True
        evse.held.clear()  # it reads the control pilot as it is now
        evse.held.append(evse.limit_a(self.now.at))
        evse.transactions += 1
        self._say_status(evse)

    def unplug(self, station_id: str) -> None:
        evse = self.evse(station_id)
        ended = f"{station_id}-{evse.transactions}"
        evse.car, evse.charging, evse.bound = None, False, None
        self._say(evse, TransactionEnded(transaction_id=ended, evse_id=evse.point.evse_id, at=self.now.at))
        self._say_status(evse)

    def end_transaction(self, station_id: str) -> None:
        """The driver ends it, and the car stays where it is."""
        evse = self.evse(station_id)
        ended = evse.transaction_id
        evse.charging, evse.bound = False, None
        self._say(evse, TransactionEnded(transaction_id=ended, evse_id=evse.point.evse_id, at=self.now.at))

    def say_state(self, station_id: str, charging_state: ChargingState) -> None:
        """What the station says of its car."""
        evse = self.evse(station_id)
        evse_id, at = evse.point.evse_id, self.now.at
        self._say(evse, ChargingStateReported(evse_id=evse_id, at=at, charging_state=charging_state))

    def kill(self) -> None:
        """The controller is gone from one instant to the next. What had left for the stations still arrives there."""
        self.up_at = self.second + self.downtime_s
        self._linked = {key.station_id for key, evse in self.evses.items() if evse.connected}
        for evse in self.evses.values():
            evse.connected = False
        self.answers = []

    def _restart(self) -> None:
        self.up_at = None
        self.controller = Controller(self.site, self.settings, memory=self.journal.load(), now=self.now)
        for station_id in sorted(self._linked):
            self.connect(station_id)

    # time

    def run(self, seconds: int) -> list[Violation]:
        """Go on for so long; everything that was overloaded on the way."""
        found: list[Violation] = []
        for _ in range(seconds):
            self._step()
            found += self.overloads()
        return found

    def overloads(self) -> list[Violation]:
        loads = [Load(key, evse.current_a, evse.active_phases) for key, evse in self.evses.items()]
        return violations(self.site, loads)

    def total_a(self) -> float:
        return sum(evse.current_a for evse in self.evses.values())

    def _step(self) -> None:
        self.second += 1
        if self.up_at is not None and self.second >= self.up_at:
            self._restart()
        for evse in self.evses.values():
            evse.held.append(evse.limit_a(self.now.at))
        self._deliver()
        for index, evse in enumerate(self.evses.values()):
            if (self.second + index) % 30 == 0:
                self._meter(evse)
        if self.up_at is None and self.controller.next_deadlines(self.now).due(self.now):
            self._apply(self.controller.expire(self.now))

    def _deliver(self) -> None:
        due = sorted(entry[:2] for entry in self.inbox if entry[0] <= self.second)
        for when, number in due:
            ask = next(entry[2] for entry in self.inbox if entry[:2] == (when, number))
            self.inbox = [entry for entry in self.inbox if entry[:2] != (when, number)]
            self._obey(ask)
        for when, number, ask, accepted in sorted(self.answers, key=lambda entry: entry[:2]):
            if when <= self.second:
                self.answers = [entry for entry in self.answers if entry[1] != number]
                self._apply(self.controller.answered(ask.token, accepted, self.now))

    def _obey(self, ask: AskStation) -> None:
        evse = self.evse(ask.station_id)
        refused = self.chance.random() < self.faults.refuse or not self.faults.takes(ask.request)
        lost = self.chance.random() < self.faults.lose_request
        if isinstance(ask.request, SetChargingProfile) and not lost:
            profile = ask.request.profile
            if profile.purpose is ChargingProfilePurpose.TX:
                refused = refused or not evse.charging or profile.transaction_id != evse.transaction_id
            if not refused and profile.purpose is ChargingProfilePurpose.TX:
                evse.bound = ask.request
            elif not refused:
                evse.profile = ask.request
        if isinstance(ask.request, SetVariables) and not lost and not refused:
            evse.key_a = float(ask.request.settings[0].value)
        if self.up_at is not None or not evse.connected:
            return
        if isinstance(ask.request, TriggerMessage) and not lost:
            self._meter(evse)
        self._number += 1
        if lost or self.chance.random() < self.faults.lose_answer:
            when, accepted = self.second + round(self.settings.answer_timeout_s), None
        else:
            when, accepted = self.second + self.chance.randint(0, self.faults.delay_s), not refused
        self.answers.append((when, self._number, ask, accepted))

    def _apply(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Persist):
                self.commits += 1
                killed = self.commits == self.kill_at
                if not (killed and self.kill_before):
                    self.journal.commit(effect.changes)
                if killed:
                    self.kill()
                    return
            elif isinstance(effect, AskStation):
                assert self.evse(effect.station_id).connected, "asked a station that can't be reached"
                self._number += 1
                self.sent.append(effect)
                self.inbox.append((self.second + self.chance.randint(0, self.faults.delay_s), self._number, effect))
            elif isinstance(effect, Alarm):
                self.alarms.append(effect)

    def _say(self, evse: BenchEvse, event: StationEvent) -> None:
        if evse.connected:
            self._apply(self.controller.station_said(evse.point.station_id, Notice((event,)), self.now))

    def _say_status(self, evse: BenchEvse) -> None:
        evse_id, at = evse.point.evse_id, self.now.at
        if evse.car is None:
            free = ConnectorStatus.AVAILABLE
            self._say(evse, ConnectorStatusReported(evse_id=evse_id, connector_id=1, at=at, connector_status=free))
            return
        transaction_id = evse.transaction_id
        self._say(evse, TransactionStarted(transaction_id=transaction_id, evse_id=evse_id, at=at))
        self._say(evse, ChargingStateReported(evse_id=evse_id, at=at, charging_state=ChargingState.CHARGING))

    def _meter(self, evse: BenchEvse) -> None:
        active = evse.active_phases
        samples = tuple(
            SampledValue(evse.current_a if number in active else 0.0, Measurand.CURRENT_IMPORT, _LABELS[number - 1])
            for number in range(1, evse.point.phases + 1)
        )
        values = (MeterValue(self.now.at, samples),)
        self._say(evse, MeterSampled(evse_id=evse.point.evse_id, meter_values=values))
