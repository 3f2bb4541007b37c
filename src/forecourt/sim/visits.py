"""Drivers: they come, plug in, hold their token to the reader, and leave when the recording says so.

Guarantees
* `VisitedHardware` is a station's hardware with people in front of it: whoever drives the station needs nothing else
  for a whole recorded day. What people do comes out of `advance`, like everything else hardware tells.
* A driver whom the reader refuses tries again every minute, ten times; one whose place is still taken waits for it.
  Some end by their token and unplug then, some just unplug; whose plug is held shows the token once more.
* Nobody stays longer than recorded, but for the seconds it takes to unplug.
* The same session, seed and answers give the same behaviour.
"""

import random
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.sim.cars import token_of, vehicle_of
from forecourt.sim.sessions import RecordedSession, by_station
from forecourt.station.effects import HardwareEffect, TokenAnswered
from forecourt.station.inputs import HardwareInput

_TRIES_AGAIN_AFTER_S: Final = 60.0
_MOST_TRIES: Final = 10
_UNPLUGS_AFTER_S: Final = 15.0


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver is going to do; seconds on the world's clock."""

    session_id: str
    evse_id: int = 1
    vehicle: VehicleSpec
    id_token: IdToken
    arrives_s: float
    departs_s: float
    taps_after_s: float = 10.0
    """How long after plugging in the token is presented."""
    taps_to_leave: bool = True
    """Whether the token is presented again at the end, before the plug is pulled."""


class Stay(msgspec.Struct, kw_only=True):
    """What became of a visit."""

    visit: Visit
    car: Vehicle
    plugged_in_s: float
    accepted: bool = False
    """Whether the reader ever said yes."""
    unplugged_s: float | None = None
    """None: still there."""

    @property
    def delivered_wh(self) -> float:
        """What the car got, as of the last time anybody looked at it."""
        return self.car.delivered_wh


def visits_of(
    sessions: Iterable[RecordedSession], start: datetime, *, seed: int = 0, evse_id: int = 1
) -> dict[str, tuple[Visit, ...]]:
    """The visits of each station, from `start` on, which is second 0. Who has left by then doesn't come."""
    found: dict[str, tuple[Visit, ...]] = {}
    for station_id, those in by_station(sessions).items():
        visits = (_visit(session, start, seed, evse_id) for session in those)
        found[station_id] = tuple(visit for visit in visits if visit.departs_s > 0.0)
    return found


def _visit(session: RecordedSession, start: datetime, seed: int, evse_id: int) -> Visit:
    chance = random.Random(f"driver {seed} {session.session_id}")
    return Visit(
        session_id=session.session_id,
        evse_id=evse_id,
        vehicle=vehicle_of(session, seed=seed),
        id_token=token_of(session),
        arrives_s=(session.arrival - start).total_seconds(),
        departs_s=(session.departure - start).total_seconds(),
        taps_after_s=chance.randint(20, 120) / 4.0,
        taps_to_leave=chance.random() < 0.6,
    )


class _Doing(Enum):
    """What the next one in line is about to do."""

    ARRIVING = 0
    TAPPING = 1
    LEAVING = 2
    UNPLUGGING = 3
    FREEING = 4
    """To show the token for a plug that is held."""


class _Queue:
    """Those who come to one EVSE, one after the other."""

    def __init__(self, evse: SimulatedEvse, visits: Iterable[Visit]) -> None:
        self.evse = evse
        self.stays: list[Stay] = []
        self.next_s: float | None = None
        self._coming = deque(sorted(visits, key=lambda visit: visit.arrives_s))
        self._doing = _Doing.ARRIVING
        self._tries = 0
        self._next_in_line()

    def act(self, now: Now) -> list[HardwareInput]:
        """Do everything that is due."""
        done: list[HardwareInput] = []
        while self.next_s is not None and self.next_s <= now.elapsed_s:
            done += _ACTS[self._doing](self, now)
        return done

    def answered(self, answer: TokenAnswered, now: Now) -> None:
        """The reader has said something."""
        stay = self.stays[-1] if self.stays else None
        if stay is None or stay.unplugged_s is not None or answer.id_token != stay.visit.id_token:
            return
        if answer.accepted:
            stay.accepted = True
        elif not stay.accepted and self._doing is _Doing.LEAVING and self._tries < _MOST_TRIES:
            self._plan(_Doing.TAPPING, min(now.elapsed_s + _TRIES_AGAIN_AFTER_S, stay.visit.departs_s))

    def _plan(self, doing: _Doing, at_s: float) -> None:
        self._doing, self.next_s = doing, at_s

    def _next_in_line(self) -> None:
        self._doing, self._tries = _Doing.ARRIVING, 0
        self.next_s = self._coming[0].arrives_s if self._coming else None

    def _arrive(self, now: Now) -> list[HardwareInput]:
        visit = self._coming[0]
        if now.elapsed_s >= visit.departs_s:
            self._coming.popleft()
            self._next_in_line()
            return []
        if self.evse.plug_present:
            self._plan(_Doing.ARRIVING, min(now.elapsed_s + _TRIES_AGAIN_AFTER_S, visit.departs_s))
            return []
        self._coming.popleft()
        car = Vehicle(visit.vehicle, now.elapsed_s)
        self.stays.append(Stay(visit=visit, car=car, plugged_in_s=now.elapsed_s))
        self._plan(_Doing.TAPPING, min(now.elapsed_s + visit.taps_after_s, visit.departs_s))
        return self.evse.plug_in(car, now)

    def _tap(self, now: Now) -> list[HardwareInput]:
        visit = self.stays[-1].visit
        self._plan(_Doing.LEAVING, visit.departs_s)
        if now.elapsed_s >= visit.departs_s:
            return []
        self._tries += 1
        return [self.evse.token_presented(visit.id_token)]

    def _leave(self, now: Now) -> list[HardwareInput]:
        stay = self.stays[-1]
        held = self.evse.locked or not self.evse.has_lock
        if not (stay.visit.taps_to_leave and stay.accepted and held):
            self._plan(_Doing.UNPLUGGING, now.elapsed_s)
            return []
        self._plan(_Doing.UNPLUGGING, now.elapsed_s + _UNPLUGS_AFTER_S)
        return [self.evse.token_presented(stay.visit.id_token)]

    def _unplug(self, now: Now) -> list[HardwareInput]:
        self.stays[-1].unplugged_s = now.elapsed_s
        self._plan(_Doing.FREEING, now.elapsed_s + _UNPLUGS_AFTER_S)
        return self.evse.unplug(now)

    def _free(self, _: Now) -> list[HardwareInput]:
        self._next_in_line()
        return [self.evse.token_presented(self.stays[-1].visit.id_token)] if self.evse.plug_present else []


_ACTS: Final = {
    _Doing.ARRIVING: _Queue._arrive,  # noqa: SLF001 - the table belongs to the class
    _Doing.TAPPING: _Queue._tap,  # noqa: SLF001
    _Doing.LEAVING: _Queue._leave,  # noqa: SLF001
    _Doing.UNPLUGGING: _Queue._unplug,  # noqa: SLF001
    _Doing.FREEING: _Queue._free,  # noqa: SLF001
}


class VisitedHardware:
    """A station's simulated hardware, with drivers in front of it."""

    def __init__(self, hardware: SimulatedHardware, visits: Iterable[Visit]) -> None:
        """KeyError for a visit to an EVSE that the station doesn't have."""
        self.hardware = hardware
        of_evse: dict[int, list[Visit]] = {evse_id: [] for evse_id in hardware.evses}
        for visit in visits:
            of_evse[visit.evse_id].append(visit)
        self._queues = {evse_id: _Queue(hardware.evses[evse_id], those) for evse_id, those in of_evse.items()}

    @property
    def evses(self) -> dict[int, SimulatedEvse]:
        """The station's EVSEs by number."""
        return self.hardware.evses

    @property
    def stays(self) -> list[Stay]:
        """Everybody who has come so far, in the order of arrival."""
        return sorted(
            (stay for queue in self._queues.values() for stay in queue.stays), key=lambda stay: stay.plugged_in_s
        )

    def carry_out(self, effect: HardwareEffect, now: Now) -> list[HardwareInput]:
        """Do what the core asks."""
        if isinstance(effect, TokenAnswered):
            for evse_id, queue in self._queues.items():
                if effect.evse_id in {None, evse_id}:
                    queue.answered(effect, now)
            return []
        return self.hardware.carry_out(effect, now)

    def advance(self, now: Now) -> list[HardwareInput]:
        """Live until `now`, and tell what has changed and what people have done."""
        news = self.hardware.advance(now)
        for queue in self._queues.values():
            news += queue.act(now)
        return news

    def report(self, now: Now) -> list[HardwareInput]:
        """Everything, as hardware tells a core that has just started."""
        return self.hardware.report(now)

    def next_deadlines(self) -> Deadlines:
        """When to call `advance`."""
        earliest = self.hardware.next_deadlines()
        for queue in self._queues.values():
            if queue.next_s is not None:
                earliest = earliest.earliest(Deadlines(elapsed_s=queue.next_s))
        return earliest
