"""Many of one priority at once, as arrays, where every row is a plain sum; with a memory of what they had.

Theory of operation
    A decision for a thousand EVSEs differs little from the one before. So what they ask and what they had is kept in
    arrays; levels are worked out for all of them together (`plain`); and only whose share has become another gets a new
    one. Whoever doesn't take part counts with a maximum of 0.

Guarantees
* The same shares as one by one (`realtime`), up to rounding of floating point; a test compares them.
* What is remembered changes no result: another crowd that is told the last shares decides the same.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecourt.allocation.compiled import Asked, CompiledSite
from forecourt.allocation.decision import Decision, Share, waited
from forecourt.allocation.demand import Demand
from forecourt.allocation.explanation import Explanation, Reason
from forecourt.allocation.filling import OWN, SLACK
from forecourt.allocation.plain import Entries, Incidence, Indices, Numbers, fill_plain, look_plain
from forecourt.allocation.seats import Narrowing, Queue, Refusal, seat_many
from forecourt.allocation.urgency import CAN_WAIT, MOST_S, MOST_THRIFT, NEUTRAL_S, REST, SOFT_S, UNPLANNED_A
from forecourt.domain.site import EvseKey

Mask = NDArray[np.bool_]

_OWN_MAXIMUM: Final = -1
_NONE: Final = -(2**31)
"""What stopped somebody, as a number: a row, -1 for its own maximum, less for something it wants, this for nothing."""


class Crowd:
    """Those of one priority, in the order of the site: what they ask, and what they had."""

    def __init__(self, site: CompiledSite, members: list[Asked], made: dict[int, Entries]) -> None:
        """`members` is kept up to date by its owner, together with `change`."""
        self.members = members
        self.keys = [one.demand.evse for one in members]
        self._made = made
        self._number_rows = len(site.rows)
        self._row_of = {row.bound: index for index, row in enumerate(site.rows)}
        self._wanted: dict[str, int] = {}
        self._join()
        # What they ask.
        self.minimum_a: Numbers = np.array([one.minimum_a for one in members])
        self.maximum_a: Numbers = np.array([one.maximum_a for one in members])
        self.told: Mask = np.array([_told(one.demand) for one in members])
        """Whether departure and energy are known."""
        self.departs_s: Numbers = np.array([one.demand.departs_s or 0.0 for one in members])
        self.remaining_wh: Numbers = np.array([one.demand.remaining_wh or 0.0 for one in members])
        self.planned_a: Numbers = np.array([_or_nan(one.demand.planned_a) for one in members])
        self.own: Indices = np.array([self._own(one) for one in members])
        # What they had.
        count = len(members)
        self.shares: list[Share | None] = [None] * count
        self.limit_a: Numbers = np.zeros(count)
        self.stopper: Indices = np.full(count, _NONE)
        self.seated: Mask = np.zeros(count, np.bool_)
        self.waited: Mask = np.zeros(count, np.bool_)
        self.since_s: Numbers = np.zeros(count)
        self.off_since_s: Numbers = np.full(count, -np.inf)
        self.served_s: Numbers = np.zeros(count)
        self.refusals: list[tuple[Refusal, bool, float] | None] = [None] * count
        """By what their last share was refused: why, whether they can wait, and the capacity that it names."""
        self.whys: dict[int, Explanation] = {}
        self.capacity: Numbers = np.full(self._number_rows, np.nan)
        """Of each row, as explanations have it."""

    def change(self, place: int, one: Asked) -> None:
        """Somebody asks for something else."""
        self.refusals[place] = None
        self.minimum_a[place] = one.minimum_a
        self.maximum_a[place] = one.maximum_a
        self.told[place] = _told(one.demand)
        self.departs_s[place] = one.demand.departs_s or 0.0
        self.remaining_wh[place] = one.demand.remaining_wh or 0.0
        self.planned_a[place] = _or_nan(one.demand.planned_a)
        self.own[place] = self._own(one)
        if one.column.number != self.incidence.columns[place]:
            self._join()

    def recall(self, shares: Mapping[EvseKey, Share]) -> None:
        """What they had, from their last shares."""
        self.whys.clear()
        self.capacity[:] = np.nan
        for k, key in enumerate(self.keys):
            self.note(k, shares.get(key))

    def laxity_s(self, now_s: float) -> Numbers:
        """How long each could still wait; infinite where that isn't known, or it wants nothing."""
        watts = self.maximum_a * self.incidence.watts
        told = self.told & (watts > 0.0)
        left_s = self.departs_s - now_s - self.remaining_wh / np.where(told, watts, 1.0) * 3600.0
        return np.where(told, left_s, np.inf)

    def note(self, k: int, share: Share | None) -> None:
        """What somebody has."""
        self.shares[k] = share
        self.stopper[k] = _NONE
        self.refusals[k] = None
        if share is None:
            self.limit_a[k] = self.since_s[k] = self.served_s[k] = 0.0
            self.seated[k] = self.waited[k] = False
            self.off_since_s[k] = -np.inf
            return
        self.limit_a[k] = share.limit_a
        self.seated[k] = share.seated
        self.waited[k] = waited(share)
        self.since_s[k] = share.since_s
        self.off_since_s[k] = -np.inf if share.off_since_s is None else share.off_since_s
        self.served_s[k] = share.served_s
        if share.seated:
            self.stopper[k] = self._stopper(share.explanation)

    def explanation(self, stopper: int, decision: Decision) -> Explanation:
        """For everybody whom this stops."""
        found = self.whys.get(stopper)
        if stopper >= 0:
            capacity = decision.tally.room.capacity[stopper]
            if found is None or found.capacity != capacity:
                bound = decision.site.rows[stopper].bound
                found = self.whys[stopper] = Explanation(Reason.SHARED, bound, capacity=capacity)
        elif found is None:
            because = next((text for text, number in self._wanted.items() if number == stopper), None)
            reason = Reason.OWN_MAXIMUM if because is None else Reason.WANTED
            found = self.whys[stopper] = Explanation(reason, because=because)
        return found

    def _stopper(self, why: Explanation) -> int:
        if why.reason is Reason.OWN_MAXIMUM:
            number = _OWN_MAXIMUM
        elif why.reason is Reason.WANTED and why.because is not None:
            number = self._number(why.because)
        elif why.bound is not None and (row := self._row_of.get(why.bound)) is not None and why.capacity is not None:
            if not math.isnan(self.capacity[row]) and self.capacity[row] != why.capacity:
                return _NONE
            self.capacity[row] = why.capacity
            number = row
        else:
            return _NONE
        self.whys.setdefault(number, why)
        return number

    def _own(self, one: Asked) -> int:
        if one.point.maximum_a <= one.demand.wanted_a:
            return _OWN_MAXIMUM
        return self._number(one.demand.wanted_because)

    def _number(self, because: str) -> int:
        return self._wanted.setdefault(because, _OWN_MAXIMUM - 1 - len(self._wanted))

    def _join(self) -> None:
        columns = [one.column for one in self.members]
        self.incidence = Incidence(columns, self._number_rows, self._made)
        self.narrowing = Narrowing(columns)


def serve_crowd(decision: Decision, crowd: Crowd) -> None:
    """One priority: those who can wait after those who can't."""
    _Serving(decision, crowd).serve()
    if not decision.continues:
        decision.shares.update((key, share) for key, share in zip(crowd.keys, crowd.shares, strict=True) if share)


class _Serving:
    """A crowd in a decision."""

    def __init__(self, decision: Decision, crowd: Crowd) -> None:
        self.decision, self.crowd = decision, crowd
        self.used: Numbers = np.array(decision.tally.used)
        self.capacity: Numbers = np.array(decision.tally.room.capacity)
        stale: Mask = crowd.capacity != self.capacity
        self._stale = stale if stale.any() else None

    def serve(self) -> None:
        """All of them."""
        crowd, decision = self.crowd, self.decision
        rested = crowd.off_since_s + decision.turns.minimum_off_s <= decision.now_s
        charging = (crowd.maximum_a > 0.0) & (crowd.maximum_a >= crowd.minimum_a) & rested
        for k in np.flatnonzero(~charging).tolist():
            decision.may_charge(crowd.members[k])
            self._settled(k)
        maximum_a = crowd.maximum_a * charging
        if not self._short(maximum_a).any():
            self._share(charging, maximum_a, np.full(len(maximum_a), OWN))
        else:
            for place, (who, weights) in enumerate(self._in_turn(charging, maximum_a)):
                if who.any():
                    self._serve_some(who, weights, can_wait=place > 0)
        decision.tally.used = self.used.tolist()
        crowd.capacity = self.capacity

    def _in_turn(self, charging: Mask, maximum_a: Numbers) -> Iterable[tuple[Mask, Numbers]]:
        """Who is served now and who can wait, and how fast their shares rise."""
        crowd, now_s = self.crowd, self.decision.now_s
        told = crowd.told & charging
        planned = ~np.isnan(crowd.planned_a) & charging
        if not (told.any() or planned.any()):
            return [(charging, np.ones(len(charging)))]
        relative = (SOFT_S + NEUTRAL_S) / (SOFT_S + np.clip(crowd.laxity_s(now_s), 0.0, MOST_S))
        urgencies = np.where(told, relative * relative * relative, 1.0)
        holds = crowd.seated & (now_s - crowd.since_s < self.decision.turns.minimum_on_s)
        if planned.any():
            weights = np.maximum(np.where(planned, crowd.planned_a, UNPLANNED_A), REST * urgencies)
            waits = planned & (crowd.planned_a < crowd.minimum_a * CAN_WAIT) & ~holds
            return [(charging & ~waits, weights), (waits, weights)]
        levels_a, rows = look_plain(
            crowd.incidence, self.used, self.capacity, np.zeros(len(charging)), maximum_a, urgencies
        )
        thrifts = self._thrifts(rows, told)
        if thrifts is None:
            return [(charging, urgencies)]
        waits = told & (levels_a * thrifts < crowd.minimum_a * CAN_WAIT) & ~holds
        weights = urgencies * thrifts
        return [(charging & ~waits, weights), (waits, weights)]

    def _thrifts(self, rows: Indices, told: Mask) -> Numbers | None:
        """Of those who tell departure and energy, 1 for the others; None if no row has stopped anybody."""
        incidence = self.crowd.incidence
        counts = np.bincount(rows[rows != OWN], minlength=incidence.number_rows)
        if not (everybody := counts.sum()):
            return None
        pressure = counts / everybody / np.maximum(self.capacity, SLACK)
        leans = incidence.per_member(pressure) / incidence.watts
        counted = told & (leans > 0.0)
        thrifts = np.where(told, MOST_THRIFT, 1.0)
        if counted.any():
            leaning = leans[counted]
            thrifts[counted] = np.clip(leaning.mean() / leaning, 1.0 / MOST_THRIFT, MOST_THRIFT)
        else:
            thrifts[:] = 1.0
        return thrifts

    def _serve_some(self, who: Mask, weights: Numbers, *, can_wait: bool) -> None:
        """Seats, then shares."""
        crowd, decision = self.crowd, self.decision
        minimum_a = crowd.minimum_a * who
        short = self._short(minimum_a)
        refused: dict[int, Refusal] = {}
        if short.any():
            who, refused = self._seats(who, minimum_a, short)
            minimum_a = crowd.minimum_a * who
        levels_a, rows = fill_plain(
            crowd.incidence, self.used, self.capacity, minimum_a, crowd.maximum_a * who, weights
        )
        self._share(who, levels_a, rows)
        if refused:
            self._refuse(refused, can_wait=can_wait)
            ends_s = crowd.since_s[who] + decision.turns.minimum_on_s
            decision.turn_comes(float(np.min(ends_s, where=ends_s > decision.now_s, initial=np.inf)))

    def _refuse(self, refused: Mapping[int, Refusal], *, can_wait: bool) -> None:
        """Shares for those without a seat; the old ones where nothing has changed."""
        crowd, decision = self.crowd, self.decision
        capacity, refusals, members = decision.tally.room.capacity, crowd.refusals, crowd.members
        shares, kept, keys = decision.shares, crowd.shares, crowd.keys
        rows, waits = decision.site.rows, (crowd.waited & ~crowd.seated).tolist()
        changed, times = [], []
        for k, refusal in refused.items():
            row, taken, alone = refusal
            why = refusal, can_wait, capacity[row]
            if refusals[k] == why:
                continue
            refusals[k] = why
            last = kept[k]
            if last is not None and waits[k]:  # it goes on waiting: only the numbers are others
                reason = Reason.CAN_WAIT if can_wait else Reason.NO_ROOM if alone else Reason.WAITS
                since_s, minimum_a = last.since_s, members[k].minimum_a
                explanation = Explanation(reason, rows[row].bound, None, None, minimum_a, capacity[row], taken, since_s)
                kept[k] = shares[keys[k]] = Share(0.0, explanation, False, since_s, last.off_since_s, last.served_s)
                continue
            share = decision.refused(last, members[k].minimum_a, refusal, can_wait=can_wait)
            kept[k] = shares[keys[k]] = share
            changed.append(k)
            times.append((share.since_s, -math.inf if share.off_since_s is None else share.off_since_s, share.served_s))
        if changed:
            crowd.since_s[changed], crowd.off_since_s[changed], crowd.served_s[changed] = np.array(times).T
            crowd.limit_a[changed] = 0.0
            crowd.stopper[changed] = _NONE
            crowd.seated[changed] = False
            crowd.waited[changed] = True

    def _seats(self, who: Mask, minimum_a: Numbers, short: Mask) -> tuple[Mask, dict[int, Refusal]]:
        """Who has a seat, and why the others don't. Only who draws on a row that is short can be refused."""
        crowd, now_s = self.crowd, self.decision.now_s
        incidence = crowd.incidence
        contends = incidence.on_rows(short) & who & (minimum_a > 0.0)
        holds = contends & crowd.seated & (now_s - crowd.since_s < self.decision.turns.minimum_on_s)
        since_s = np.where(crowd.seated | crowd.waited, crowd.since_s, now_s)
        served_s = crowd.served_s + np.where(crowd.seated, now_s - since_s, 0.0)
        laxity_s = crowd.laxity_s(now_s)

        def in_order(those: Mask, first: Numbers) -> list[int]:
            places = np.flatnonzero(those)
            order = np.lexsort((laxity_s[places], served_s[places], first[places]))
            found: list[int] = places[order].tolist()
            return found

        held_together = self.used + incidence.sums(minimum_a * holds)
        all_held = bool((~short | (held_together <= self.capacity + SLACK)).all())
        queue = Queue(
            [] if all_held else in_order(holds, -since_s),
            in_order(contends & ~crowd.seated, since_s),
            in_order(contends & crowd.seated & ~holds, -since_s),
        )
        entries = crowd.narrowing.entries(np.flatnonzero(short).tolist(), queue)
        start = held_together if all_held else self.used
        bears = self.capacity + SLACK
        alone = self.used[incidence.rows] + incidence.weights * minimum_a[incidence.members] > bears[incidence.rows]
        hopeless = set(incidence.members[alone & contends[incidence.members]].tolist())
        refused = seat_many(
            self.used.tolist(), start.tolist(), bears.tolist(), entries, minimum_a.tolist(), queue, hopeless
        )
        seated = who.copy()
        seated[list(refused)] = False
        return seated, refused

    def _share(self, who: Mask, levels_a: Numbers, rows: Indices) -> None:
        """The shares of those who charge; the old ones where nothing has changed."""
        crowd, decision = self.crowd, self.decision
        now_s, steps = decision.now_s, decision.steps_per_ampere
        self.used = self.used + crowd.incidence.sums(levels_a)
        limit_a = np.maximum(np.floor(levels_a * steps + SLACK) / steps, crowd.minimum_a)
        stopper = np.where((rows == OWN) | (levels_a >= crowd.maximum_a - SLACK), crowd.own, rows)
        same = crowd.seated & (crowd.limit_a == limit_a) & (crowd.stopper == stopper)
        if self._stale is not None:
            same &= (stopper < 0) | ~self._stale[np.maximum(stopper, 0)]
        changed = np.flatnonzero(who & ~same)
        if not len(changed):
            return
        shares, kept, keys = decision.shares, crowd.shares, crowd.keys
        whys = {number: crowd.explanation(number, decision) for number in set(stopper[changed].tolist())}
        for k, one_a, number in zip(
            changed.tolist(), limit_a[changed].tolist(), stopper[changed].tolist(), strict=True
        ):
            last = kept[k]
            since_s = last.since_s if last is not None and last.seated else now_s
            share = Share(one_a, whys[number], True, since_s, None, 0.0 if last is None else last.served_s)
            kept[k] = shares[keys[k]] = share
            crowd.refusals[k] = None
        begun = changed[~crowd.seated[changed]]
        crowd.limit_a[changed] = limit_a[changed]
        crowd.stopper[changed] = stopper[changed]
        crowd.since_s[begun] = now_s
        crowd.seated[begun] = True
        crowd.waited[begun] = False
        crowd.off_since_s[begun] = -np.inf

    def _settled(self, k: int) -> None:
        share = self.decision.shares[self.crowd.keys[k]]
        if share is not self.crowd.shares[k]:
            self.crowd.note(k, share)

    def _short(self, currents_a: Numbers) -> Mask:
        """The rows that don't have room for all of it at once."""
        taken = self.crowd.incidence.sums(currents_a)
        found: Mask = (taken > 0.0) & (self.used + taken > self.capacity + SLACK)
        return found


def _told(demand: Demand) -> bool:
    return demand.departs_s is not None and demand.remaining_wh is not None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
