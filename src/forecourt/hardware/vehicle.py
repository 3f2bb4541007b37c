"""An electric car at the end of the cable: onboard charger and battery, as physics.

Guarantees
* The current follows from what happened and when, never from how often somebody looked: between two events it is a
  `Curve`, evaluated in closed form, and looking moves nothing.
* The car draws no more than it is offered, than its onboard charger bears, and than its battery takes: above
  `taper_soc` that falls in proportion to what is missing. Offered less than `minimum_a`, it pauses.
* A new offer is followed after `reaction_s`, at a rate that crosses the charger's whole range in `ramp_s`; together at
  most 5 s (IEC 61851-1, annex A), also when offers come faster than that. Only a `Disobedience`, which is for tests,
  breaks any of this.
* It is done when it has got what its driver asked for, or when the battery takes less than `tail_a`; then it draws
  nothing any more. Suspended by its own side, it draws nothing until it is resumed, whatever it is offered.
* Energy is counted at the inlet: what the meter counts is what the battery holds more.
"""

import math
from enum import Enum
from typing import Final

import msgspec

from forecourt.hardware.curve import Curve, crossing, smallest_root
from forecourt.quantities import IEC_61851_MINIMUM_A, NOMINAL_VOLTAGE_V

LONGEST_RESPONSE_S: Final = 5.0
"""A car that is told a lower current has so long to follow (IEC 61851-1, annex A)."""

_NEXT_TO_NOTHING_A: Final = 1e-9
_AT_ONCE_S: Final = 1e-3


class Disobedience(msgspec.Struct, frozen=True, kw_only=True):
    """What a car does wrong."""

    late_s: float = 0.0
    """Follows so much later than it should."""
    excess_a: float = 0.0
    """Draws so much more than it is offered."""
    at_least_a: float = 0.0
    """Draws this as long as the power path is closed, whatever the pilot says."""


class VehicleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A car as it is plugged in."""

    number_phases: int = 3
    maximum_a: float = 16.0
    """What its onboard charger draws per phase at most."""
    minimum_a: float = IEC_61851_MINIMUM_A
    battery_wh: float = 60_000.0
    initial_wh: float = 15_000.0
    """What the battery holds at plug-in."""
    requested_wh: float = math.inf
    """What the driver asked for; infinite: until it is full."""
    taper_soc: float = 0.8
    """From this state of charge (0 to 1) on the battery takes less and less; 1: it takes all until it is full."""
    tail_a: float = 1.0
    """Full is when the battery takes less than this."""
    ramp_s: float = 3.0
    reaction_s: float = 0.5
    tells_soc: bool = False
    """Whether the EVSE learns the state of charge."""
    disobedience: Disobedience | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.number_phases <= 3:
            raise ValueError(f"number_phases: expected 1 to 3, got {self.number_phases}")
        for name in ("maximum_a", "battery_wh"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected more than 0, got {getattr(self, name)}")
        for name in ("minimum_a", "initial_wh", "requested_wh", "ramp_s", "reaction_s"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        if self.initial_wh > self.battery_wh:
            raise ValueError(f"initial_wh: {self.initial_wh:g} is more than battery_wh, which is {self.battery_wh:g}")
        if not 0.0 <= self.taper_soc <= 1.0:
            raise ValueError(f"taper_soc: expected 0 to 1, got {self.taper_soc}")
        if not 0.0 < self.tail_a <= self.maximum_a:
            raise ValueError(f"tail_a: expected more than 0 and at most maximum_a, got {self.tail_a}")
        if self.ramp_s + self.reaction_s > LONGEST_RESPONSE_S:
            message = f"ramp_s: with reaction_s {self.ramp_s + self.reaction_s:g} s, more than {LONGEST_RESPONSE_S:g} s"
            raise ValueError(message)

    @property
    def taper_a_per_wh(self) -> float:
        """Ampere that the battery takes for each watt-hour that it lacks; infinite without a taper."""
        tapering_wh = self.battery_wh * (1.0 - self.taper_soc)
        return self.maximum_a / tapering_wh if tapering_wh > 0.0 else math.inf

    @property
    def full_wh(self) -> float:
        """What the battery holds when the car calls it full."""
        slope = self.taper_a_per_wh
        return self.battery_wh if math.isinf(slope) else self.battery_wh - self.tail_a / slope


class Flow(msgspec.Struct, frozen=True):
    """A current that flowed for some time, in each of the first `number_phases` of the EVSE's phases."""

    curve: Curve
    from_s: float
    to_s: float
    number_phases: int


class _End(Enum):
    """What ends a piece of the course."""

    NEVER = 0
    REACTS = 1
    """The car begins to follow the latest offer."""
    FOLLOWED = 2
    """It has arrived there."""
    CEILING = 3
    """The current has met what the battery takes."""
    BELOW_CEILING = 4
    """The falling offer has met what the battery takes."""
    DONE = 5


class Vehicle:
    """A car from plug-in to departure. Times are seconds of the world's clock and never go back."""

    __slots__ = (
        "_curve",
        "_end",
        "_end_s",
        "_follow_a",
        "_goal_wh",
        "_heading_a",
        "_limit_a",
        "_now_s",
        "_phases",
        "_powered",
        "_reacts_at_s",
        "_slope",
        "_start_wh",
        "_target_a",
        "_voltage_v",
        "flows",
        "spec",
        "suspended",
    )

    def __init__(self, spec: VehicleSpec, at_s: float = 0.0, *, trace: bool = False) -> None:
        self.spec = spec
        self.flows: list[Flow] | None = [] if trace else None
        """What has flowed and is over, oldest first, if it is to be traced."""
        self.suspended = False
        """Whether the car itself takes nothing for now."""
        self._now_s = at_s
        self._powered = False
        self._limit_a = 0.0
        self._target_a = 0.0
        """What it will draw once it has reacted to the latest offer and followed it, the battery willing."""
        self._reacts_at_s = -math.inf
        self._heading_a = 0.0
        """What it moves to until then."""
        self._follow_a = 0.0
        """Where the charger stood at the start of the piece, on its way there."""
        self._slope = 0.0
        self._phases = spec.number_phases
        self._voltage_v = NOMINAL_VOLTAGE_V
        self._goal_wh = max(spec.initial_wh, min(spec.initial_wh + spec.requested_wh, spec.full_wh))
        self._start_wh = spec.initial_wh
        self._curve = Curve(at_s, 0.0)
        self._end, self._end_s = _End.NEVER, math.inf

    # What is the case now

    @property
    def current_a(self) -> float:
        """What it draws, per phase."""
        return self._curve.at(self._now_s)

    @property
    def power_w(self) -> float:
        """What it draws."""
        return self.current_a * self._phases * self._voltage_v

    @property
    def stored_wh(self) -> float:
        """What the battery holds."""
        return min(self._goal_wh, self._stored_at(self._now_s))

    @property
    def delivered_wh(self) -> float:
        """What it has got since plug-in."""
        return self.stored_wh - self.spec.initial_wh

    @property
    def soc(self) -> float:
        """State of charge, 0 to 1."""
        return self.stored_wh / self.spec.battery_wh

    @property
    def number_phases(self) -> int:
        """How many phases it draws from, or would."""
        return self._phases

    @property
    def satisfied(self) -> bool:
        """Whether it wants nothing any more."""
        return self._start_wh >= self._goal_wh

    @property
    def ready(self) -> bool:
        """Whether it wants to charge with what is offered, or still draws: state C of its control pilot."""
        return self._powered and not self.satisfied and (self._target_a > 0.0 or self.current_a > 0.0)

    @property
    def wanted_wh(self) -> float:
        """What it still wants."""
        return max(0.0, self._goal_wh - self.stored_wh)

    @property
    def next_event_s(self) -> float:
        """When its course changes by itself; infinite if it doesn't."""
        return self._end_s

    # What happens

    def offer(self, limit_a: float, number_phases: int, voltage_v: float, at_s: float) -> None:
        """The power path is closed and the pilot says `limit_a`; less than `minimum_a` means to pause."""
        self.advance(at_s)
        self._limit_a = limit_a
        phases = min(self.spec.number_phases, number_phases)
        target_a = self._target_of(limit_a)
        if self._powered and (phases, voltage_v, target_a) == (self._phases, self._voltage_v, self._target_a):
            return
        switched = phases != self._phases
        stored_wh, current_a = self.stored_wh, self.current_a
        self._trace(at_s)
        wrong = self.spec.disobedience
        if not (self._powered and self._reacts_at_s > at_s):  # it has seen an earlier change and reacts to the latest
            self._reacts_at_s = at_s + self.spec.reaction_s + (0.0 if wrong is None else wrong.late_s)
        self._powered = True
        self._target_a = target_a
        self._phases, self._voltage_v = phases, voltage_v
        self._begin(at_s, stored_wh, 0.0 if switched else current_a)

    def suspend(self, suspended: bool, at_s: float) -> None:
        """The car itself wants no energy for now, or wants it again."""
        self.advance(at_s)
        self.suspended = suspended
        if self._powered:
            self.offer(self._limit_a, self._phases, self._voltage_v, at_s)

    def cut(self, at_s: float) -> None:
        """The power path opens: nothing flows from now on."""
        self.advance(at_s)
        stored_wh = self.stored_wh
        self._trace(at_s)
        self._powered = False
        self._target_a = self._heading_a = 0.0
        self._reacts_at_s = -math.inf
        self._begin(at_s, stored_wh, 0.0)

    def advance(self, at_s: float) -> None:
        """Live until `at_s`."""
        if at_s < self._now_s:
            raise ValueError(f"at_s: {at_s} is before {self._now_s}")
        while self._end_s <= at_s:
            end, end_s = self._end, self._end_s
            stored_wh = self._goal_wh if end is _End.DONE else self._stored_at(end_s)
            follow_a = self._follow_a + self._slope * (end_s - self._curve.start_s)
            if end is _End.FOLLOWED:
                follow_a = self._heading_a
            self._now_s = end_s
            self._trace(end_s)
            self._begin(end_s, stored_wh, follow_a, after=end)
        self._now_s = at_s

    def flow_now(self, from_s: float) -> Flow | None:
        """The piece of the course that isn't over yet, from `from_s` or its start until now; None: nothing flows."""
        start_s = max(from_s, self._curve.start_s)
        if self._curve.current_a == 0.0 and self._curve.slope_a_per_s == 0.0:
            return None
        return Flow(self._curve, start_s, self._now_s, self._phases) if start_s < self._now_s else None

    # The course

    def _target_of(self, limit_a: float) -> float:
        """What it makes of an offer."""
        if self.suspended:
            return 0.0
        target_a = limit_a if limit_a >= self.spec.minimum_a - _NEXT_TO_NOTHING_A else 0.0
        wrong = self.spec.disobedience
        if wrong is not None:
            target_a = max(target_a + wrong.excess_a if target_a > 0.0 else 0.0, wrong.at_least_a)
        return min(target_a, self.spec.maximum_a)

    @property
    def _wh_per_as(self) -> float:
        return self._phases * self._voltage_v / 3600.0

    def _stored_at(self, at_s: float) -> float:
        return self._start_wh + self._curve.charge_as(self._curve.start_s, at_s) * self._wh_per_as

    def _begin(self, at_s: float, stored_wh: float, follow_a: float, after: _End | None = None) -> None:
        """A new piece of the course starts, with the charger at `follow_a` on its way to the target."""
        self._start_wh = stored_wh
        if not self._powered or stored_wh >= self._goal_wh:
            self._follow_a = self._slope = 0.0
            self._curve, self._end, self._end_s = Curve(at_s, 0.0), _End.NEVER, math.inf
            return
        ceiling_a = (self.spec.battery_wh - stored_wh) * self.spec.taper_a_per_wh
        followed = self._follow(at_s, follow_a, ceiling_a)
        follow_a = self._follow_a
        fall_per_s = self.spec.taper_a_per_wh * self._wh_per_as
        room_a = ceiling_a - follow_a
        touching = room_a <= _NEXT_TO_NOTHING_A
        if after is not _End.BELOW_CEILING and (
            after is _End.CEILING or (touching and self._slope > -fall_per_s * follow_a)
        ):
            self._curve = Curve(at_s, ceiling_a, decay_per_s=fall_per_s)
            self._end, self._end_s = self._end_of_taper(at_s, followed, fall_per_s)
        else:
            self._curve = Curve(at_s, follow_a, slope_a_per_s=self._slope)
            self._end, self._end_s = self._end_of_line(at_s, followed, math.inf if touching else room_a, fall_per_s)

    def _follow(self, at_s: float, follow_a: float, ceiling_a: float) -> tuple[float, _End]:
        """Decide where the charger moves from here, and say until when."""
        pending = at_s < self._reacts_at_s
        if not pending:
            self._heading_a = self._target_a
        if follow_a > self._heading_a:
            follow_a = min(follow_a, ceiling_a)  # it comes down from what flows, not from what it was once offered
        way_a = self._heading_a - follow_a
        until_s = math.inf
        if way_a == 0.0 or self.spec.ramp_s < _AT_ONCE_S:
            follow_a, self._slope = self._heading_a, 0.0
        else:
            rate = self.spec.maximum_a / self.spec.ramp_s
            self._slope = math.copysign(rate, way_a)
            until_s = at_s + abs(way_a) / rate
        self._follow_a = follow_a
        if pending and self._reacts_at_s <= until_s:
            return self._reacts_at_s, _End.REACTS
        return until_s, _End.FOLLOWED

    def _end_of_line(
        self, at_s: float, followed: tuple[float, _End], room_a: float, fall_per_s: float
    ) -> tuple[_End, float]:
        slope, current_a, missing_wh = self._slope, self._follow_a, self._goal_wh - self._start_wh
        done_s = at_s + smallest_root(self._wh_per_as * slope / 2.0, self._wh_per_as * current_a, -missing_wh)
        met_s = math.inf
        if math.isfinite(room_a):
            met_s = at_s + smallest_root(fall_per_s * slope / 2.0, slope + fall_per_s * current_a, -room_a)
        return _first(followed, (met_s, _End.CEILING), (done_s, _End.DONE))

    def _end_of_taper(self, at_s: float, followed: tuple[float, _End], fall_per_s: float) -> tuple[_End, float]:
        battery_wh = self.spec.battery_wh
        done_s = at_s + math.log((battery_wh - self._start_wh) / (battery_wh - self._goal_wh)) / fall_per_s
        met_s = math.inf
        if self._slope < 0.0:  # the offer falls as well, and the battery's wish may fall more slowly in the end

            def above(when_s: float) -> float:
                return self._follow_a + self._slope * (when_s - at_s) - self._curve.at(when_s)

            if above(followed[0]) < 0.0:
                met_s = crossing(above, at_s, followed[0])
        return _first(followed, (met_s, _End.BELOW_CEILING), (done_s, _End.DONE))

    def _trace(self, until_s: float) -> None:
        if self.flows is not None and until_s > self._curve.start_s:
            curve = self._curve
            if curve.current_a or curve.slope_a_per_s:
                self.flows.append(Flow(curve, curve.start_s, until_s, self._phases))


def _first(*candidates: tuple[float, _End]) -> tuple[_End, float]:
    at_s, end = min(candidates, key=lambda candidate: candidate[0])
    return (_End.NEVER if math.isinf(at_s) else end), at_s
