"""A decision while it is made: what is settled so far, and who gets what answer, whichever way it is worked out.

Guarantees
* `Share` and `Allocation` are what comes of it; both are plain values.
* `Decision` turns verdicts (it may charge, it rests, there is no seat for it) into shares with their explanations and
  times; an equal explanation is the very one of last time.

`realtime` states the rules.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from forecourt.allocation.compiled import Asked, Column, CompiledSite
from forecourt.allocation.demand import ITS_OWN, Turns
from forecourt.allocation.explanation import Explanation, Reason
from forecourt.allocation.filling import OWN, SLACK, Tally
from forecourt.allocation.seats import Candidate, Refusal
from forecourt.domain.sentence import Sentence, say
from forecourt.domain.site import EvseKey


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one EVSE may draw."""

    limit_a: float
    """Ampere on each line it draws from."""
    explanation: Explanation
    seated: bool
    """Whether it may charge: always when `limit_a` isn't 0."""
    since_s: float
    """Charging, waiting or idle since."""
    off_since_s: float | None = None
    """When it was switched off to let others charge, while it stays off."""
    served_s: float = 0.0
    """How long it had charged before `since_s`, since it first asked."""

    def charged_s(self, now_s: float) -> float:
        """How long it has charged since it first asked."""
        return self.served_s + (now_s - self.since_s if self.seated else 0.0)


class Allocation(msgspec.Struct, frozen=True):
    """A decision. Give it back as `previous` for the next one: it is all the memory there is."""

    decided_s: float
    shares: dict[EvseKey, Share]
    next_turn_s: float | None
    """When to decide again at the latest because somebody's turn comes; None if nobody waits."""

    def limit_a(self, key: EvseKey) -> float:
        """The share of an EVSE, 0 without one."""
        share = self.shares.get(key)
        return 0.0 if share is None else share.limit_a

    def text(self, key: EvseKey) -> str:
        """The share and its reason in a line."""
        share = self.shares.get(key)
        return "0.0 A: no demand" if share is None else share.explanation.text(share.limit_a, self.decided_s)

    def why(self, key: EvseKey) -> Sentence:
        """The reason alone."""
        share = self.shares.get(key)
        return say("no demand") if share is None else share.explanation.why(self.decided_s)


_WAITING: Final = frozenset({Reason.WAITS, Reason.NO_ROOM, Reason.CAN_WAIT, Reason.RESTS})


def waited(share: Share) -> bool:
    """Whether somebody without a seat is waiting for one."""
    return share.explanation.reason in _WAITING


class Decision:
    """The priorities served so far."""

    def __init__(
        self,
        site: CompiledSite,
        tally: Tally,
        now_s: float,
        last: Mapping[EvseKey, Share],
        turns: Turns,
        steps_per_ampere: int,
        *,
        continues: bool,
    ) -> None:
        """`continues`: whether the same EVSEs ask as when `last` was decided."""
        self.site = site
        self.tally = tally
        self.now_s = now_s
        self.last = last
        self.turns = turns
        self.steps_per_ampere = steps_per_ampere
        self.continues = continues
        self.shares: dict[EvseKey, Share] = dict(last) if continues else {}
        self.next_turn_s: float | None = None
        self._why: dict[object, Explanation] = {}

    def may_charge(self, one: Asked) -> bool:
        """Whether it wants its minimum and doesn't rest; if not, its share is settled."""
        demand, last = one.demand, self.last.get(one.demand.evse)
        if one.maximum_a > 0.0 and one.maximum_a >= one.minimum_a:
            if last is None or last.off_since_s is None:
                return True
            until_s = last.off_since_s + self.turns.minimum_off_s
            if until_s <= self.now_s:
                return True
            self.turn_comes(until_s)
            explanation = Explanation(Reason.RESTS, until_s=until_s)
            share = Share(0.0, explanation, False, last.since_s, last.off_since_s, last.served_s)
            self.shares[demand.evse] = last if last == share else share
            return False
        if one.maximum_a <= 0.0:
            because = None if demand.wanted_because == ITS_OWN else demand.wanted_because
            explanation = Explanation(Reason.ASKS_NOTHING, because=because)
        else:
            explanation = Explanation(
                Reason.BELOW_MINIMUM,
                because=demand.wanted_because,
                wanted_a=one.maximum_a,
                minimum_a=one.minimum_a,
            )
        idle = last is not None and not last.seated and last.explanation.reason is explanation.reason
        since_s = last.since_s if last is not None and idle else self.now_s
        share = Share(0.0, explanation, False, since_s, None, self._charged_s(last))
        self.shares[demand.evse] = last if last is not None and last == share else share
        return False

    def holds_seat(self, one: Asked) -> bool:
        """Whether it charges, and its minimum on time isn't over."""
        last = self.last.get(one.demand.evse)
        return last is not None and last.seated and self.now_s - last.since_s < self.turns.minimum_on_s

    def laxity_s(self, one: Asked) -> float:
        """How long it could still wait; infinite where that isn't known."""
        demand = one.demand
        if demand.departs_s is None or demand.remaining_wh is None:
            return math.inf
        return demand.laxity_s(one.maximum_a * one.column.watts, self.now_s)

    def candidate(self, one: Asked, column: Column) -> Candidate:
        """Somebody who wants a seat; `column` is at least what it takes of the rows that are short."""
        last, now_s = self.last.get(one.demand.evse), self.now_s
        laxity_s = self.laxity_s(one)
        if last is None:
            return Candidate(one.evse, column, one.minimum_a, None, now_s, 0.0, laxity_s)
        since_s = last.since_s
        if last.seated:
            return Candidate(one.evse, column, one.minimum_a, since_s, since_s, last.charged_s(now_s), laxity_s)
        since_s = since_s if waited(last) else now_s
        return Candidate(one.evse, column, one.minimum_a, None, since_s, last.served_s, laxity_s)

    def share(self, one: Asked, level_a: float, row: int) -> None:
        """It charges; the old share where nothing has changed."""
        key = one.demand.evse
        last = self.last.get(key)
        limit_a = max(math.floor(level_a * self.steps_per_ampere + SLACK) / self.steps_per_ampere, one.minimum_a)
        why = self._explain(one, level_a, row, last)
        if last is None:
            self.shares[key] = Share(limit_a, why, True, self.now_s)
        elif not last.seated:
            self.shares[key] = Share(limit_a, why, True, self.now_s, None, last.served_s)
        elif last.limit_a == limit_a and last.explanation is why:
            self.shares[key] = last
        else:
            self.shares[key] = Share(limit_a, why, True, last.since_s, None, last.served_s)

    def refuse(self, one: Asked, refusal: Refusal, *, can_wait: bool) -> None:
        """There is no seat for it."""
        last = self.last.get(one.demand.evse)
        share = self.refused(last, one.minimum_a, refusal, can_wait=can_wait)
        self.shares[one.demand.evse] = last if last is not None and last == share else share

    def refused(self, last: Share | None, minimum_a: float, refusal: Refusal, *, can_wait: bool) -> Share:
        """What somebody has for whom there is no seat."""
        since_s, off_since_s, served_s = self.now_s, None, 0.0
        if last is not None:
            served_s = last.charged_s(self.now_s)
            if last.seated:
                off_since_s = self.now_s
            elif waited(last):
                since_s, off_since_s = last.since_s, last.off_since_s
        explanation = Explanation(
            Reason.CAN_WAIT if can_wait else Reason.NO_ROOM if refusal.alone else Reason.WAITS,
            self.site.rows[refusal.row].bound,
            minimum_a=minimum_a,
            capacity=self.tally.room.capacity[refusal.row],
            used=refusal.taken,
            since_s=since_s,
        )
        return Share(0.0, explanation, False, since_s, off_since_s, served_s)

    def turn_comes(self, at_s: float) -> None:
        """Decide again then."""
        if at_s < math.inf:
            self.next_turn_s = at_s if self.next_turn_s is None else min(self.next_turn_s, at_s)

    def _charged_s(self, last: Share | None) -> float:
        return 0.0 if last is None else last.charged_s(self.now_s)

    def _explain(self, one: Asked, level_a: float, row: int, last: Share | None) -> Explanation:
        """Why it has what it has; the very explanation of last time if it is an equal one."""
        if row == OWN or level_a >= one.maximum_a - SLACK:
            key: object = None if one.point.maximum_a <= one.demand.wanted_a else one.demand.wanted_because
        else:
            key = row
        found = self._why.get(key)
        if found is None:
            if key is None:
                found = Explanation(Reason.OWN_MAXIMUM)
            elif isinstance(key, str):
                found = Explanation(Reason.WANTED, because=key)
            else:
                found = Explanation(Reason.SHARED, self.site.rows[row].bound, capacity=self.tally.room.capacity[row])
            if last is not None and last.explanation == found:
                found = last.explanation
            self._why[key] = found
        return found
