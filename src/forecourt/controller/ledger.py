"""The exposure ledger: what each EVSE might draw, seen from the worst side.

Guarantees
* The exposure of an EVSE is never below what it may draw (`controller.md` §3). It is the largest of: the confirmed
  limits; an earlier, larger one until obedience has been seen; every limit sent and not yet answered, or never
  answered; what it falls back to when its lease runs out; what it measurably draws in excess. As long as it has
  confirmed nothing: the hardware maximum.
* Two limits make up what an EVSE may do. The *base* holds for whoever plugs in, also when nobody hears of it. A limit
  *bound* to a transaction ends with it; only such a limit counts on just the phases that the car is known to use, for
  another car means another transaction.
* A timeout counts as the larger of old and new; a refusal as the old.
* Obedience is seen when a reading that was taken a settle time after the confirmation, whenever it arrives, lies at or
  below the limit, or when the connector is free, so that nothing can flow. A reading above it, within the tolerance of
  meters, may be that of a car which is slow to follow: what it shows stays in the books, until `patience_s` has passed.
  A reading that doesn't tell the phases apart (power alone, one current for three phases) may hide a car that draws it
  all from one line: it is evidence only if even that would be within the limit, or once `patience_s` has passed without
  a sign of the contrary.
"""

import math

import msgspec

from forecourt.controller.currents import Currents, tolerated
from forecourt.domain.clock import Now
from forecourt.domain.site import EvsePoint
from forecourt.domain.transaction import ChargingState

STALE_READING_S = 120.0
"""A reading that was taken longer ago tells nothing of the present."""

_EQUAL_A = 1e-6
"""Rounding: not a difference."""

DRAWS_A = 1.0
"""Above this a phase is in use; below it may be measuring noise."""

APPETITE_MARGIN_A = 2.0
"""How much more than it takes a modest car is offered, so that it is seen when it wants more."""

_SETTLES_TO_LEARN = 6
"""So many settle times a car must have drawn before the phases it doesn't use are believed to stay unused."""


_UNSEEN_SETTLES = 6
"""The end of a lease is a reduction that nobody may see, for its station may be out of reach. So many settle times any
car is given to follow it, where a reading would show that one is slow."""


class Limit(msgspec.Struct, frozen=True):
    """A limit with its dead-man lease: after `lease_until_s` (elapsed) the EVSE holds its fallback by itself.

    `bound`: it belongs to the transaction and ends with it.
    """

    current_a: float
    lease_until_s: float
    bound: bool
    ahead_s: float = 0.0
    """How far the station's clock was taken to be ahead when the lease was put into its words."""


class Account:
    """Everything known about one EVSE that bears on what it may draw. Times are `Now.elapsed_s`."""

    def __init__(self, point: EvsePoint, *, settle_s: float, grace_s: float) -> None:
        """`settle_s`: how long a car may take to follow; `grace_s`: how late a dead-man schedule may act."""
        self.point = point
        self.settle_s = settle_s
        """How long a car here may take to follow."""
        self._grace_s = grace_s
        self.ahead_s: float | None = None
        """How far the station's clock is ahead, as measured; None: not known."""
        self.base: Limit | None = None
        """Confirmed, for whoever plugs in."""
        self.bound: Limit | None = None
        """Confirmed, for the transaction that is on."""
        self.confirmed_s = 0.0
        """When a limit last went down."""
        self.unproven: Limit | None = None
        """An earlier limit above the confirmed one, until obedience has been seen or its lease has ended too."""
        self.uncertain: list[Limit] = []
        """Sent and never answered: it may hold one of them, until a later one is confirmed or their lease ends."""
        self.sent: dict[object, Limit] = {}
        self.currents: Currents | None = None
        """The last reading, taken in at `measured_s`."""
        self.measured_s = 0.0
        self.occupied: bool | None = None
        """None: the station has not told yet."""
        self.in_transaction = False
        self.charging_state: ChargingState | None = None
        self.paused_since_s: float | None = None
        """Since when the car takes nothing of its own accord, and has not been seen to draw again. That it is offered
        nothing in between proves nothing."""
        self.active_phases: tuple[int, ...] | None = None
        """The phases that the car is known to use; None while it may still be switching on."""
        self._phases_seen: tuple[int, ...] = ()
        self._drawing_since_s: float | None = None
        self._modest_since_s: float | None = None
        self.appetite_a: float | None = None
        """What the car takes when it is offered more; None: not known."""

    # what it might draw

    def exposure_a(self, now: Now) -> float:
        """The most that may flow on a line of this EVSE."""
        if self.base is None:
            return max(self.point.maximum_a, self.measured_a or 0.0)
        excess_a = self.measured_a if self.measured_a is not None and self.disobeys() else 0.0
        return max(self.base_exposure_a(now), self._running_a(self._held(bound=True, now=now), now), excess_a)

    def followed_a(self, now: Now) -> float:
        """The most that flows if its car follows as cars do: unlike in the exposure, what held before doesn't count
        once there was the time to follow, seen or not."""
        confirmed = self.confirmed
        if self.base is None or confirmed is None or not self._settled(now):
            return self.exposure_a(now)
        limits = [confirmed, *self.uncertain, *self.sent.values()]
        excess_a = self.measured_a if self.measured_a is not None and self.disobeys() else 0.0
        return max(self.point.fallback_a, self._running_a(limits, now), excess_a)

    def overtaken(self, now: Now) -> bool:
        """Whether the last reading came before the car had to follow the last reduction, and by now it has to have."""
        return self._settled(now) and self.measured_s < self.confirmed_s + self.settle_s

    def base_exposure_a(self, now: Now) -> float:
        """The part of it that any car may draw, on any of the EVSE's phases."""
        if self.base is None:
            return self.exposure_a(now)
        return max(self.point.fallback_a, self._running_a(self._held(bound=False, now=now), now))

    def _held(self, *, bound: bool, now: Now) -> list[Limit]:
        """All limits of a kind that the EVSE may hold or its car still follow."""
        confirmed = self.bound if bound else self.base
        held = [limit for limit in (confirmed, *self.uncertain, *self.sent.values()) if limit is not None]
        if self.unproven is not None and not (self.occupied is False and self._settled(now)):
            held.append(self.unproven)
        return [limit for limit in held if limit.bound is bound]

    def _running_a(self, limits: list[Limit], now: Now) -> float:
        """The largest of those whose leases may still run."""
        running = (limit.current_a for limit in limits if not self._lapsed(limit, now))
        return max(running, default=0.0)

    def _settled(self, now: Now) -> bool:
        """Whether any car has had the time to follow the confirmed limit."""
        return now.elapsed_s >= self.confirmed_s + self.settle_s

    @property
    def measured_a(self) -> float | None:
        """The largest of the phase currents last read."""
        return None if self.currents is None else self.currents.highest_a

    def disobeys(self) -> bool:
        """Whether the last reading lies above everything that was allowed."""
        if self.measured_a is None or self.base is None or self.occupied is False:
            return False
        held = (self.base, self.bound, self.unproven, *self.uncertain, *self.sent.values())
        allowed_a = max(limit.current_a for limit in held if limit is not None)
        return self.measured_a > tolerated(max(allowed_a, self.point.fallback_a))

    @property
    def confirmed(self) -> Limit | None:
        """The limit that leads as far as the EVSE has confirmed: the transaction's, else the base."""
        return self.bound or self.base

    def holds_a(self, now: Now) -> float:
        """The limit it has confirmed: its maximum while it has none, its fallback once the lease is over."""
        confirmed = self.confirmed
        if self.base is None or confirmed is None:
            return self.point.maximum_a
        return confirmed.current_a if now.elapsed_s < confirmed.lease_until_s else self.point.fallback_a

    # what happens to it

    def limit_sent(self, token: object, limit: Limit) -> None:
        """A limit is on its way."""
        self.sent[token] = limit

    def limit_confirmed(self, token: object, now: Now) -> None:
        """The station accepted it. A larger one before it stays counted until obedience is seen."""
        limit = self.sent.pop(token, None)
        if limit is None:
            return
        unlimited = Limit(self.point.maximum_a, limit.lease_until_s, bound=False)
        replaced = [other for other in self.uncertain if other.bound is limit.bound]
        earlier = [self.base or unlimited, self.bound, self.unproven, *replaced]
        before = max((other for other in earlier if other is not None), key=lambda other: other.current_a)
        if limit.current_a < before.current_a:
            self.unproven = before
            self.confirmed_s = now.elapsed_s
        else:
            self.unproven = None
        if limit.bound:
            self.bound = limit
        else:
            self.base = limit
        self.uncertain = [other for other in self.uncertain if other.bound is not limit.bound]

    def limit_refused(self, token: object) -> None:
        """The station refused it: the old one stands."""
        self.sent.pop(token, None)

    def limit_unanswered(self, token: object) -> None:
        """No answer came: it may hold or not, so both count until a later limit is confirmed."""
        limit = self.sent.pop(token, None)
        if limit is not None:
            self.uncertain.append(limit)

    def forget(self) -> None:
        """The station has started anew: what it still holds and what is plugged in is unknown until it tells."""
        self.uncertain += [limit for limit in (self.base, self.bound, *self.sent.values()) if limit is not None]
        self.base = self.bound = None
        self.sent.clear()
        self.occupied = None

    def transaction_over(self) -> None:
        """What was bound to the transaction is void, whether or not it was ever answered; so is what was read of it:
        without a transaction the contactor is open."""
        self.in_transaction = False
        self.currents = None
        self.bound = None
        self.uncertain = [limit for limit in self.uncertain if not limit.bound]
        self.sent = {token: limit for token, limit in self.sent.items() if not limit.bound}
        if self.unproven is not None and self.unproven.bound:
            self.unproven = None
        self._forget_car()

    def plugged(self, occupied: bool) -> None:
        """The connector became occupied or free. Free, nothing flows and no transaction is on."""
        self.occupied = occupied
        if not occupied:
            self.charging_state = None
            self.transaction_over()

    def state_reported(self, charging_state: ChargingState, now: Now) -> None:
        """The station says what charging does."""
        self.charging_state = charging_state
        if charging_state is ChargingState.SUSPENDED_EV:
            self.paused_since_s = now.elapsed_s if self.paused_since_s is None else self.paused_since_s
        elif charging_state is not ChargingState.SUSPENDED_EVSE:
            self.paused_since_s = None

    def pauses(self, now: Now, *, pause_s: float) -> bool:
        """Whether the car has taken nothing of its own accord for so long."""
        return self.paused_since_s is not None and now.elapsed_s >= self.paused_since_s + pause_s

    def idle(self, now: Now) -> bool:
        """Whether the books become smaller by the mere passing of time; then they are smaller now.

        On a free connector an earlier limit has nobody left to follow it. Where a lease has ended, grace included, the
        fallback holds for good; to keep it as it was would revive it at the next start (`keeping`).
        """
        found = False
        if self.unproven is not None and self.occupied is False and self._settled(now):
            self.unproven, found = None, True
        if self.unproven is not None and self._lapsed(self.unproven, now):
            self.unproven, found = None, True
        running = [limit for limit in self.uncertain if not self._lapsed(limit, now)]
        if len(running) < len(self.uncertain):
            self.uncertain, found = running, True
        if self.base is not None and self._lapsed(self.base, now):
            self.base, found = Limit(self.point.fallback_a, math.inf, bound=False), True
            self.currents = None  # what was read under it says nothing of what follows
        if self.bound is not None and self._lapsed(self.bound, now):
            self.bound, found = Limit(self.point.fallback_a, math.inf, bound=True), True
            self.currents = None
        return found

    @property
    def shift_s(self) -> float:
        """By how much schedules are moved for the station's clock: not at all within the grace of leases."""
        ahead_s = self.ahead_s or 0.0
        return ahead_s if abs(ahead_s) > self._grace_s else 0.0

    def lapses_s(self, limit: Limit) -> float:
        """When its lease is over for sure, and its car has followed: a clock that is slower than it was taken for ends
        it later."""
        slow_s = 0.0 if self.ahead_s is None else max(0.0, limit.ahead_s - self.ahead_s)
        return limit.lease_until_s + self._grace_s + slow_s + self.settle_s * _UNSEEN_SETTLES

    def _lapsed(self, limit: Limit, now: Now) -> bool:
        return now.elapsed_s >= self.lapses_s(limit)

    def _forget_car(self) -> None:
        self.paused_since_s = None
        self.active_phases = None
        self._phases_seen = ()
        self._drawing_since_s = self._modest_since_s = None
        self.appetite_a = None

    def measured(
        self, currents: Currents, now: Now, *, taken_s: float | None, patience_s: float, appetite_s: float
    ) -> None:
        """A reading has come, taken at `taken_s` (elapsed). None: nobody knows when, and it is no evidence."""
        self.currents = currents
        self.measured_s = now.elapsed_s
        if taken_s is not None:
            self._prove(currents, taken_s, patience_s=patience_s)
            if currents.by_phase:
                self._learn_phases(currents.phases_a, taken_s, now, patience_s=self.settle_s * _SETTLES_TO_LEARN)
        self._learn_appetite(currents.highest_a, now, patience_s=appetite_s)

    def _prove(self, currents: Currents, taken_s: float, *, patience_s: float) -> None:
        """Whether the reading shows that the car follows the confirmed limit; if not quite, what it still may draw."""
        before, confirmed = self.unproven, self.confirmed
        if before is None or confirmed is None or taken_s < self.confirmed_s + self.settle_s:
            return
        limit_a, worst_a = confirmed.current_a, currents.worst_a
        patient = taken_s >= self.confirmed_s + patience_s
        if worst_a <= limit_a + _EQUAL_A or (patient and currents.highest_a <= tolerated(limit_a)):
            self.unproven = None
        elif worst_a <= tolerated(limit_a) and worst_a < before.current_a:
            self.unproven = msgspec.structs.replace(before, current_a=worst_a)

    def _learn_phases(self, phases_a: tuple[float, ...], taken_s: float, now: Now, *, patience_s: float) -> None:
        """Which phases the car uses. A car may begin on one and take the others a moment later, so what isn't used is
        believed only after a while; what has been seen in use stays in use."""
        if self.point.phases == 1 or len(phases_a) != self.point.phases or max(phases_a) < 3 * DRAWS_A:
            return
        if self._drawing_since_s is None:
            self._drawing_since_s = now.elapsed_s
        used = {number for number, current_a in enumerate(phases_a, start=1) if current_a > DRAWS_A}
        self._phases_seen = tuple(sorted(used.union(self._phases_seen)))
        if taken_s >= self._drawing_since_s + patience_s:
            self.active_phases = self._phases_seen

    def _learn_appetite(self, measured_a: float, now: Now, *, patience_s: float) -> None:
        """What the car takes of what it is offered: less for a while, and the rest is of more use elsewhere."""
        offered_a = self.holds_a(now)
        if self.charging_state is not ChargingState.CHARGING or measured_a < DRAWS_A:
            self._modest_since_s = None
        elif self.appetite_a is not None and measured_a > self.appetite_a - APPETITE_MARGIN_A / 2:
            self.appetite_a = self._modest_since_s = None  # it takes all it gets: offer more
        elif measured_a > offered_a - APPETITE_MARGIN_A:
            self._modest_since_s = None
        elif self._modest_since_s is None:
            self._modest_since_s = now.elapsed_s
        elif now.elapsed_s >= self._modest_since_s + patience_s:
            self.appetite_a = measured_a + APPETITE_MARGIN_A

    def wants_evidence(self, now: Now) -> bool:
        """Whether only a fresh reading keeps this EVSE's older, larger limit in the books."""
        return self.unproven is not None and self.occupied is not False and self._settled(now)

    def settled_s(self) -> float | None:
        """When a car has had the time to follow: then a free connector's exposure shrinks, or evidence is wanted."""
        return self.confirmed_s + self.settle_s if self.unproven is not None else None
