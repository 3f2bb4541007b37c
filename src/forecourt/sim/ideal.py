"""Recorded sessions through ideal EVSEs: what an algorithm that shares out current makes of a month.

Guarantees
* Time goes in steps from one instant at which something changes to the next: a car comes or leaves, a period ends, and,
  unless told otherwise, a car has got what it wanted. Between two instants every current is constant, so that energies
  are exact.
* A car draws what it may, up to what it can and still wants; it learns nothing and fears nothing.
* A driver takes the EVSE of the recording where the site has it and it is free, otherwise the first free one, in the
  order of the site; whoever finds none is turned away, and counts with all they asked for.
* What flows is kept, so that `flows` can be judged by physics afterwards, whatever the algorithm believed.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from forecourt.allocation.compiled import CompiledSite
from forecourt.domain.site import EvseKey
from forecourt.sim.cars import vehicle_of
from forecourt.sim.sessions import RecordedSession

PERIOD_S: Final = 300.0
_NOTHING_WH: Final = 1e-4
_SOMETHING_WH: Final = 250.0
"""What a car that has got all its driver asked for, and still draws, is believed to want."""
_LEAST_S: Final = 1.0
"""Nothing is decided twice within it because somebody has had enough."""


class Visit(msgspec.Struct, kw_only=True):
    """A car at an EVSE. Times are seconds since the start of the simulation."""

    session: RecordedSession
    evse: EvseKey
    arrives_s: float
    departs_s: float
    believed_departs_s: float
    """When its driver says it leaves."""
    requested_wh: float
    """What its driver says it wants."""
    takes_wh: float
    """What it takes in truth until it is full."""
    maximum_a: float
    """What it draws at most, on each line it draws from."""
    active_phases: tuple[int, ...]
    watts: float
    """Of one ampere."""
    delivered_wh: float = 0.0

    @property
    def missing_wh(self) -> float:
        """What it still takes, in truth."""
        return max(0.0, self.takes_wh - self.delivered_wh)

    @property
    def remaining_wh(self) -> float:
        """What it still wants, as far as anybody knows."""
        return max(_SOMETHING_WH, self.requested_wh - self.delivered_wh)

    @property
    def done(self) -> bool:
        """Whether it takes nothing any more."""
        return self.missing_wh <= _NOTHING_WH


class Algorithm(Protocol):
    """Something that shares out current."""

    name: str

    def decide(self, visits: Sequence[Visit], now_s: float, period_s: float) -> Mapping[EvseKey, float]:
        """Ampere for each of `visits`, none of which is done, for at most `period_s` from now."""
        ...


class Interval(msgspec.Struct, frozen=True):
    """What flowed for some time."""

    from_s: float
    to_s: float
    currents_a: dict[EvseKey, float]
    """On average; what wasn't drawn isn't here."""
    limits_a: Mapping[EvseKey, float]
    """What was allowed."""
    active_phases: dict[EvseKey, tuple[int, ...]]
    power_w: float


class Course(msgspec.Struct, frozen=True):
    """What an algorithm made of the sessions."""

    visits: tuple[Visit, ...]
    turned_away: tuple[RecordedSession, ...]
    intervals: tuple[Interval, ...]
    decisions: int

    @property
    def requested_wh(self) -> float:
        """What everybody wanted, those turned away included."""
        away_wh = math.fsum(truly_wanted_wh(session) for session in self.turned_away)
        return away_wh + math.fsum(visit.takes_wh for visit in self.visits)

    @property
    def delivered_wh(self) -> float:
        """What they got."""
        return math.fsum(visit.delivered_wh for visit in self.visits)


def truly_wanted_wh(session: RecordedSession) -> float:
    """What the car took then, where that is recorded; otherwise what its driver asked for."""
    return session.requested_wh if session.delivered_wh is None else session.delivered_wh


class Garage:
    """A site, its EVSEs, and who comes to them."""

    def __init__(self, site: CompiledSite, sessions: Sequence[RecordedSession], start: datetime) -> None:
        self.site = site
        self.start = start
        self._sessions = sorted(sessions, key=lambda session: (session.arrival, session.session_id))
        self._by_station: dict[str, list[EvseKey]] = {}
        for point in site.site.evses:
            self._by_station.setdefault(point.station_id, []).append(point.key)

    def run(
        self, algorithm: Algorithm, *, period_s: float = PERIOD_S, when_done: bool = True, keep: bool = True
    ) -> Course:
        """Everything from the first arrival to the last departure.

        `when_done`: whether a car that has got what it wanted makes the algorithm decide anew before the period ends.
        `keep`: whether to keep what flowed, for judging it.
        """
        visits: list[Visit] = []
        away: list[RecordedSession] = []
        intervals: list[Interval] = []
        coming = deque(self._sessions)
        here: dict[EvseKey, Visit] = {}
        decisions = 0
        now_s = 0.0
        while coming or here:
            here = {key: visit for key, visit in here.items() if visit.departs_s > now_s}
            while coming and self._seconds(coming[0].arrival) <= now_s:
                session = coming.popleft()
                key = self._place(session.station_id, here)
                if key is None:
                    away.append(session)
                else:
                    here[key] = self._visit(session, key)
                    visits.append(here[key])
            active = [visit for visit in here.values() if not visit.done]
            next_s = min((visit.departs_s for visit in here.values()), default=math.inf)
            if coming:
                next_s = min(next_s, self._seconds(coming[0].arrival))
            if active:
                next_s = min(next_s, (now_s // period_s + 1.0) * period_s)
                shares = algorithm.decide(active, now_s, next_s - now_s)
                decisions += 1
                next_s = self._flow(active, shares, now_s, next_s, intervals if keep else None, when_done=when_done)
            if next_s == math.inf:
                break
            now_s = next_s
        return Course(tuple(visits), tuple(away), tuple(intervals), decisions)

    def _flow(
        self,
        active: list[Visit],
        shares: Mapping[EvseKey, float],
        now_s: float,
        next_s: float,
        intervals: list[Interval] | None,
        *,
        when_done: bool,
    ) -> float:
        """Let it flow until `next_s`, or until the first has had enough, which is told."""
        power_w = {v.evse: min(shares.get(v.evse, 0.0), v.maximum_a) * v.watts for v in active}
        if when_done:
            for visit in active:
                if (watts := power_w[visit.evse]) > 0.0:
                    next_s = min(next_s, max(now_s + visit.missing_wh / watts * 3600.0, now_s + _LEAST_S))
        hours = (next_s - now_s) / 3600.0
        currents_a, phases = {}, {}
        for visit in active:
            energy_wh = min(power_w[visit.evse] * hours, visit.missing_wh)
            if energy_wh > 0.0:
                visit.delivered_wh += energy_wh
                currents_a[visit.evse] = energy_wh / hours / visit.watts
                phases[visit.evse] = visit.active_phases
        if intervals is not None:
            total_w = sum(current_a * here.watts for here in active if (current_a := currents_a.get(here.evse, 0.0)))
            intervals.append(Interval(now_s, next_s, currents_a, shares, phases, total_w))
        return next_s

    def _seconds(self, at: datetime) -> float:
        return max(0.0, (at - self.start).total_seconds())

    def _place(self, station_id: str, taken: Mapping[EvseKey, Visit]) -> EvseKey | None:
        wanted = self._by_station.get(station_id)
        keys = [point.key for point in self.site.site.evses] if wanted is None else wanted
        free = next((key for key in keys if key not in taken), None)
        if free is None and wanted is not None:
            free = next((point.key for point in self.site.site.evses if point.key not in taken), None)
        return free

    def _visit(self, session: RecordedSession, key: EvseKey) -> Visit:
        evse = self.site.index(key)
        point = self.site.site.evses[evse]
        if point.between is None:
            car = vehicle_of(session)
            active = tuple(range(1, min(car.number_phases, point.phases) + 1))
            maximum_a = min(car.maximum_a, point.maximum_a)
            watts = self.site.column(evse, active).watts
        else:
            active = (1,)
            watts = self.site.column(evse, None).watts
            maximum_a = (
                point.maximum_a if session.maximum_w is None else min(point.maximum_a, session.maximum_w / watts)
            )
        departs_s = self._seconds(session.departure)
        estimated = session.estimated_departure
        return Visit(
            session=session,
            evse=key,
            arrives_s=self._seconds(session.arrival),
            departs_s=departs_s,
            believed_departs_s=departs_s if estimated is None else self._seconds(estimated),
            requested_wh=session.requested_wh,
            takes_wh=truly_wanted_wh(session),
            maximum_a=maximum_a,
            active_phases=active,
            watts=watts,
        )
