"""The local controller's own core as an algorithm of a simulation: its ledger, its order, its leases, on virtual time.

Guarantees
* Every limit goes the way it goes on a site: a demand begins with a transaction, a limit is a charging profile that a
  station accepts, a raise waits for what was reduced to settle and to be measured. Links are perfect and at once, cars
  follow at once, meters are read when limits have settled and when the controller asks.
* What it answers for a period is the mean of what each EVSE was allowed in it. The first `WATCHED_S` of a period are
  played second by second as they come due; after that only leases are renewed.
* It is told nothing that stations don't tell it; so nothing of departures either.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from forecourt.controller.controller import Controller
from forecourt.controller.effects import AskStation, Effect
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.clock import Now
from forecourt.domain.events import (
    ChargingStateReported,
    ConnectorStatusReported,
    MeterSampled,
    Notice,
    StationEvent,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import Measurand, MeasuredPhase, MeterValue, SampledValue
from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit
from forecourt.domain.requests import SetChargingProfile, TriggerMessage
from forecourt.domain.site import EvseKey, EvsePoint, Site
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState
from forecourt.quantities import current_of_power
from forecourt.sim.ideal import Visit

WATCHED_S: Final = 60.0
_PHASES: Final = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)


class Controlled:
    """The controller of `site`, with stations that do as they are told."""

    name = "controller"

    def __init__(self, site: Site, start: datetime, settings: ControllerSettings | None = None) -> None:
        self._settings = settings or ControllerSettings()
        self._controller = Controller(site, self._settings)
        self._start = start
        self._now_s = 0.0
        self._evses = {point.key: _Evse(point) for point in site.evses}
        self._by_station: dict[str, list[_Evse]] = {}
        for evse in self._evses.values():
            self._by_station.setdefault(evse.point.station_id, []).append(evse)
        self._begun = False

    def decide(self, visits: Sequence[Visit], now_s: float, period_s: float) -> Mapping[EvseKey, float]:
        """What each may draw on average from now on."""
        if not self._begun:
            self._begun = True
            self._now_s = now_s
            for station_id in self._by_station:
                self._apply(self._controller.station_ready(station_id, self._now))
        self._play(now_s)
        here = {visit.evse: visit for visit in visits}
        for key, evse in self._evses.items():
            visit = here.get(key)
            if evse.visit is not None and (visit is None or visit.session is not evse.visit.session):
                self._leave(evse)
            if visit is not None and evse.visit is None:
                self._come(evse, visit)
        begins_s = self._now_s
        for visit in visits:
            self._evses[visit.evse].charge_as = 0.0
        self._play(begins_s + min(period_s, WATCHED_S))
        rest_s = period_s - (self._now_s - begins_s)
        return {
            visit.evse: (evse.charge_as + evse.current_a(self._now.at) * rest_s) / period_s
            for visit in visits
            for evse in [self._evses[visit.evse]]
        }

    @property
    def _now(self) -> Now:
        return Now(self._now_s, self._now_s, self._start + timedelta(seconds=self._now_s))

    def _play(self, until_s: float) -> None:
        """Go on until then, doing what comes due."""
        while True:
            deadlines = self._controller.next_deadlines(self._now)
            due = [one for one in (deadlines.protocol_s, deadlines.elapsed_s) if one is not None]
            due += [evse.reads_s for evse in self._evses.values() if evse.reads_s is not None]
            next_s = max(self._now_s, min(due, default=until_s))
            if next_s > until_s or not due:
                break
            self._advance(next_s)
            for evse in self._evses.values():
                if evse.reads_s is not None and evse.reads_s <= self._now_s:
                    self._read(evse)
            if self._controller.next_deadlines(self._now).due(self._now):
                self._apply(self._controller.expire(self._now))
        self._advance(max(self._now_s, until_s))

    def _advance(self, to_s: float) -> None:
        at = self._now.at
        for evse in self._evses.values():
            if evse.visit is not None:
                evse.charge_as += evse.current_a(at) * (to_s - self._now_s)
        self._now_s = to_s

    def _come(self, evse: "_Evse", visit: Visit) -> None:
        evse.visit = visit
        evse.transactions += 1
        evse_id, at = evse.point.evse_id, self._now.at
        started = TransactionStarted(transaction_id=evse.transaction_id, evse_id=evse_id, at=at)
        charging = ChargingStateReported(evse_id=evse_id, at=at, charging_state=ChargingState.CHARGING)
        self._say(evse, started, charging)

    def _leave(self, evse: "_Evse") -> None:
        evse.visit, evse.bound = None, None
        evse_id, at = evse.point.evse_id, self._now.at
        free = ConnectorStatus.AVAILABLE
        ended = TransactionEnded(transaction_id=evse.transaction_id, evse_id=evse_id, at=at)
        available = ConnectorStatusReported(evse_id=evse_id, connector_id=1, at=at, connector_status=free)
        self._say(evse, ended, available)

    def _read(self, evse: "_Evse") -> None:
        evse.reads_s = None
        current_a = evse.current_a(self._now.at)
        active = () if evse.visit is None else evse.visit.active_phases
        samples = tuple(
            SampledValue(current_a if own in active else 0.0, Measurand.CURRENT_IMPORT, _PHASES[own - 1])
            for own in range(1, evse.point.phases + 1)
        )
        values = (MeterValue(self._now.at, samples),)
        self._say(evse, MeterSampled(evse_id=evse.point.evse_id, meter_values=values))

    def _say(self, evse: "_Evse", *events: StationEvent) -> None:
        self._apply(self._controller.station_said(evse.point.station_id, Notice(events), self._now))

    def _apply(self, effects: Iterable[Effect]) -> None:
        """Stations do what they are asked, and say so."""
        waiting = [effect for effect in effects if isinstance(effect, AskStation)]
        while waiting:
            ask = waiting.pop(0)
            accepted = self._obey(ask)
            answered = self._controller.answered(ask.token, accepted, self._now)
            waiting += [effect for effect in answered if isinstance(effect, AskStation)]

    def _obey(self, ask: AskStation) -> bool:
        request = ask.request
        if isinstance(request, SetChargingProfile):
            evses = self._by_station[ask.station_id]
            evse = next((one for one in evses if one.point.evse_id == request.evse_id), evses[0])
            if request.profile.purpose is ChargingProfilePurpose.TX:
                if evse.visit is None:
                    return False
                evse.bound = request
            else:
                evse.base = request
            evse.reads_s = self._now_s + self._settings.settle_s
        elif isinstance(request, TriggerMessage):
            for evse in self._by_station[ask.station_id]:
                evse.reads_s = self._now_s
        return True


class _Evse:
    """What a station knows of one of its EVSEs."""

    def __init__(self, point: EvsePoint) -> None:
        self.point = point
        self.base: SetChargingProfile | None = None
        self.bound: SetChargingProfile | None = None
        self.visit: Visit | None = None
        self.transactions = 0
        self.reads_s: float | None = None
        """When its meter is read next."""
        self.charge_as = 0.0
        """What was allowed since the period began, in ampere-seconds."""

    @property
    def transaction_id(self) -> str:
        return f"{self.point.station_id}-{self.point.evse_id}-{self.transactions}"

    def current_a(self, at: datetime) -> float:
        """What flows: all that is allowed and the car can take; nothing below the minimum."""
        if self.visit is None:
            return 0.0
        request = self.bound or self.base
        limit_a = self.point.maximum_a if request is None else _limit_a(request, at, self.point)
        return min(limit_a, self.visit.maximum_a) if limit_a >= self.point.minimum_a else 0.0


def _limit_a(request: SetChargingProfile, at: datetime, point: EvsePoint) -> float:
    """What the controller's own kind of profile says now: absolute, its periods in order."""
    schedule = request.profile.schedule
    begins = at if schedule.start_schedule is None else schedule.start_schedule
    passed_s = (at - begins).total_seconds()
    limit = [period.rate_limit for period in schedule.periods if period.start_period_s <= passed_s][-1]
    return current_of_power(limit, point.phases) if schedule.rate_unit is ChargingRateUnit.W else limit
