"""What to say to the stations, and in which order: reductions first, raises that fit, then renewals and questions.

Guarantees (`controller.md` §3)
* A limit goes up only when the exposures of all EVSEs, with this one's new limit, hold at every node it hangs on; where
  the books are over a rating, nothing goes up.
* Schedules are in the station's clock, where that is known to be off by more than the grace of leases.
* One request at a time to an EVSE; what is on its way counts.
* Refused: the next form is tried (`wording`); after the last one an alarm is raised, and what goes on there is ended by
  a remote stop. Where that is refused too, the hardware's maximum is in the books until a limit is taken or the car is
  gone.
"""

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

from forecourt.allocation.compiled import Column, CompiledSite, Room
from forecourt.allocation.demand import Load
from forecourt.allocation.filling import OWN, Tally
from forecourt.allocation.realtime import STEPS_PER_AMPERE
from forecourt.controller.effects import Alarm, AskStation, Effect, Urgency
from forecourt.controller.ledger import Limit
from forecourt.controller.line import Line
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.wording import Form, forms, worded
from forecourt.domain.clock import Now
from forecourt.domain.requests import RequestStopTransaction, TriggeredMessage, TriggerMessage
from forecourt.domain.sentence import say

_REFUSALS_TO_LEAVE_A_FORM = 3
"""A form that a station has taken before is given up after so many refusals in a row."""

_UNSEEN = 3
"""After so many questions for evidence in vain somebody should know."""

_NEGLIGIBLE_A = 0.05
"""Half a step of what OCPP can say: not a difference."""

_LESS_A = (0.25, 0.5, 1.0, 2.0, 4.0)
"""By how much a raise may stay below its target where that doesn't fit yet."""

_WORTH_A = 1.0
"""What a raise that stays further below it must be worth: room may come back bit by bit, each a message."""

_NOTHING_A = 1e-9
"""Added to the books it asks whether they hold as they are."""


def loads_of(line: Line, now: Now) -> tuple[Load, ...]:
    """What an EVSE might draw: its base on any phase, and what is bound to a transaction on the car's phases."""
    exposure_a, base_a = line.account.exposure_a(now), line.account.base_exposure_a(now)
    key = line.point.key
    if line.distrusted:
        return (Load(key, max(exposure_a, line.point.maximum_a), None, line.first_line),)
    active, first_line = line.account.active_phases, line.first_line
    if exposure_a <= base_a or active is None:
        return (Load(key, exposure_a, None, first_line),)
    return (Load(key, base_a, None, first_line), Load(key, exposure_a - base_a, active, first_line))


def _aim(line: Line, least_a: float, worth_a: float, fits: Callable[[float], bool]) -> float | None:
    """What to raise to: as near to the target as possible where meters read a little above the limits, and it is a
    little too much; else the most that fits, for others may be long in making room, if that is `worth_a` at least.
    """
    target_a, most_a = line.target_a, line.target_a
    if fits(target_a):
        return target_a
    for less_a in _LESS_A:
        if target_a - less_a >= least_a:
            most_a = target_a - less_a
            if fits(most_a):
                return most_a
    if worth_a > most_a or not fits(worth_a):
        return None
    low, high = 0, math.ceil((most_a - worth_a) * STEPS_PER_AMPERE)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(worth_a + middle / STEPS_PER_AMPERE) else (low, middle)
    return worth_a + low / STEPS_PER_AMPERE


def _added_a(line: Line, aim_a: float, now: Now) -> float:
    """What a raise adds to the books. Even one within its own exposure needs room: where the books are over the rating,
    what the others really draw may be all that there is. Up to its fallback it might have gone by itself."""
    least_a = _NOTHING_A if aim_a <= line.point.fallback_a else _NEGLIGIBLE_A
    return max(aim_a - line.account.exposure_a(now), least_a)


def _fits(tally: Tally, column: Column, line: Line, now: Now, aim_a: float) -> bool:
    return tally.obstacle(column, _added_a(line, aim_a, now)) == OWN


class Issuer:
    """Turns targets into requests. `single` are stations with one EVSE only."""

    def __init__(self, site: CompiledSite, settings: ControllerSettings, single: frozenset[str]) -> None:
        self._site = site
        self._settings = settings
        self._single = single
        self._asked: dict[int, tuple[Line, Urgency]] = {}
        self._last_token = 0

    def issue(self, lines: list[Line], room: Room, now: Now) -> list[Effect]:
        """All that should be said now to `lines` that can be spoken to; all of the site's count."""
        return [*self._reductions(lines, room, now), *self._raises(lines, room, now), *self._renewals(lines, now),
                *self._questions(lines, now)]  # fmt: skip

    def station_of(self, token: int) -> str | None:
        """Whom a request went to; None: it is forgotten."""
        line, _ = self._asked.get(token, (None, None))
        return None if line is None else line.point.station_id

    def take_answer(self, token: int, accepted: bool | None, now: Now) -> tuple[bool, list[Effect]]:
        """What became of a request (None: nobody knows). False: it was not about a limit, or is forgotten."""
        line, urgency = self._asked.pop(token, (None, Urgency.EVIDENCE))
        if line is None:
            return False, []
        if urgency is Urgency.EVIDENCE:
            line.question = None
            return False, []
        if urgency is Urgency.STOP:
            return True, self._stop_answered(line, accepted)
        line.open_token = None
        if accepted:
            line.distrusted = False
            line.account.limit_confirmed(token, now)
            line.evidence_asked_s = None
            line.form_taken, line.refusals = True, 0
            return True, []
        if accepted is None:
            line.account.limit_unanswered(token)
            line.retry_at_s = now.protocol_s + self._settings.retry_s
            return True, []
        bound = line.account.sent.get(token)
        line.account.limit_refused(token)
        return True, self._escalate(line, now, bound=bound is not None and bound.bound)

    def forget(self, lines: Iterable[Line]) -> None:
        """These can't be reached any more: what was on its way may or may not hold."""
        gone = {id(line) for line in lines}
        for token in [token for token, (line, _) in self._asked.items() if id(line) in gone]:
            line, urgency = self._asked.pop(token)
            if urgency is Urgency.STOP:
                line.stop_asked = None
                continue
            if urgency is Urgency.EVIDENCE:
                line.question = None
                continue
            line.account.limit_unanswered(token)
            line.open_token = None

    def _speakable(self, line: Line, now: Now) -> bool:
        return line.ready and not line.probing and line.open_token is None and line.retry_at_s <= now.protocol_s

    def _reductions(self, lines: list[Line], room: Room, now: Now) -> list[Effect]:
        effects: list[Effect] = []
        tally: Tally | None = None
        for line in lines:
            account = line.account
            if not self._speakable(line, now):
                continue
            if account.base is None:
                effects.append(self._limit(line, line.point.fallback_a, Urgency.REDUCTION, now, bind=False))
                continue
            # What may hold already is no raise where the books hold; only so much is said to a station that may not
            # have heard the last. Where the books are over a rating, it might be one: then the least of it.
            held_a = [account.holds_a(now), *(limit.current_a for limit in account.uncertain)]
            aim_a = min(line.target_a, max(held_a))
            if aim_a > min(held_a) + _NEGLIGIBLE_A:
                tally = tally or self._books(lines, room, now)
                column = self._site.column(self._site.index(line.point.key), None)
                aim_a = aim_a if tally.obstacle(column, _NOTHING_A) == OWN else min(held_a)
            if account.bound is not None and account.uncertain and not any(one.bound for one in account.uncertain):
                # A transaction's limit says nothing of the base, whose own is in doubt.
                base_a = min(aim_a, account.base.current_a)
                effects.append(self._limit(line, base_a, Urgency.REDUCTION, now, bind=False))
            elif aim_a < account.holds_a(now) - _NEGLIGIBLE_A or account.uncertain:
                bind = account.bound is not None or any(limit.bound for limit in account.uncertain)
                effects.append(self._limit(line, aim_a, Urgency.REDUCTION, now, bind=bind))
        return effects

    def _raises(self, lines: list[Line], room: Room, now: Now) -> list[Effect]:
        """Lowest first: who has least is served first."""
        effects: list[Effect] = []
        tally: Tally | None = None
        for line in sorted(lines, key=lambda line: line.account.holds_a(now)):
            account = line.account
            holds_a = account.holds_a(now)
            starts = holds_a < line.point.minimum_a <= line.target_a
            worth_a = _NEGLIGIBLE_A if starts else self._settings.raise_step_a
            if account.base is None or not self._speakable(line, now) or line.target_a - holds_a < worth_a:
                continue
            if line.binds and line.bound_to is None:
                continue  # its transaction has no id yet
            phases = account.active_phases if line.binds else None
            column = self._site.column(self._site.index(line.point.key), phases, line.first_line)
            tally = tally or self._books(lines, room, now)
            fits = partial(_fits, tally, column, line, now)
            minimum_a = line.point.minimum_a
            partly_a = minimum_a if starts else max(holds_a + _WORTH_A, minimum_a)
            aim_a = _aim(line, max(holds_a + worth_a, minimum_a), partly_a, fits)
            if aim_a is not None:
                tally.add(column, _added_a(line, aim_a, now))
                effects.append(self._limit(line, aim_a, Urgency.RAISE, now, bind=line.binds))
        return effects

    def _books(self, lines: list[Line], room: Room, now: Now) -> Tally:
        """All exposures at all nodes."""
        tally = Tally(self._site.rows, room)
        for line in lines:
            for load in loads_of(line, now):
                column = self._site.column(self._site.index(load.evse), load.active_phases, load.first_line)
                tally.add(column, load.current_a)
        return tally

    def _renewals(self, lines: list[Line], now: Now) -> list[Effect]:
        """At half the lease. Once it has run out the fallback holds: more than that is a raise, and has to fit."""
        effects: list[Effect] = []
        for line in lines:
            confirmed = line.account.confirmed
            if confirmed is None or line.account.base is None or not self._speakable(line, now):
                continue
            if 0 < self.ends_s(line, confirmed) - now.elapsed_s <= self._settings.lease_s / 2:
                limit = self._limit(line, confirmed.current_a, Urgency.RENEWAL, now, bind=confirmed.bound)
                effects.append(limit)
        return effects

    def ends_s(self, line: Line, confirmed: Limit) -> float:
        """When its lease ends (elapsed). Where nobody believes in leases they are renewed all the same."""
        unbelieved = not line.leases and confirmed.current_a > line.point.fallback_a + _NEGLIGIBLE_A
        return line.said_s + self._settings.lease_s if unbelieved else confirmed.lease_until_s

    def _questions(self, lines: list[Line], now: Now) -> list[Effect]:
        """Ask for a reading where only evidence is missing, or a station doesn't report often enough by itself."""
        effects: list[Effect] = []
        for line in lines:
            if not line.ready or line.probing:
                continue
            if not line.account.wants_evidence(now):
                line.unseen = 0
                wanted = self._poll_is_due(line, now)
            elif line.evidence_asked_s is None:
                line.evidence_asked_s = now.elapsed_s
                wanted = self._poll_is_due(line, now)
            else:
                wanted = now.elapsed_s >= line.evidence_asked_s + self._settings.evidence_s
                if wanted:
                    line.evidence_asked_s, line.unseen = now.elapsed_s, line.unseen + 1
                    effects += self._unseen(line, now)
                wanted = wanted or self._poll_is_due(line, now)
            if wanted and line.question is None:
                line.polled_s = now.elapsed_s
                request = TriggerMessage(
                    requested_message=TriggeredMessage.METER_VALUES, evse_id=line.point.evse_id, connector_id=1
                )
                line.question = self._token(line, Urgency.EVIDENCE)
                effects.append(AskStation(line.point.station_id, line.question, request, Urgency.EVIDENCE))
        return effects

    def _poll_is_due(self, line: Line, now: Now) -> bool:
        # Who is not charging draws nothing, and says when that changes.
        if line.poll_s is None or not line.charges:
            return False
        return now.elapsed_s >= max(line.account.measured_s, line.polled_s) + line.poll_s

    def _unseen(self, line: Line, now: Now) -> list[Effect]:
        if line.unseen != _UNSEEN:
            return []
        reserved_a = line.account.exposure_a(now)
        what = say(
            "{evse} is not seen to obey: no reading says so; {reserved:.1f} A stay reserved for a while",
            evse=str(line.point.key),
            reserved=reserved_a,
        )
        return [Alarm("no-evidence", what, line.point.key)]

    def _limit(self, line: Line, current_a: float, urgency: Urgency, now: Now, *, bind: bool) -> AskStation:
        transaction_id = line.bound_to if bind else None
        form = self.forms_of(line)[line.form]
        is_fallback = abs(current_a - line.point.fallback_a) < _NEGLIGIBLE_A
        endless = is_fallback or not line.leases or not (form.ends or transaction_id is not None)
        lease_until_s = math.inf if endless else now.elapsed_s + self._settings.lease_s
        line.said_s = now.elapsed_s
        token = self._token(line, urgency)
        ahead_s = line.account.shift_s
        line.account.limit_sent(token, Limit(current_a, lease_until_s, transaction_id is not None, ahead_s))
        line.open_token = token
        said_a = current_a if current_a <= line.point.minimum_a else max(line.point.minimum_a, current_a - line.over_a)
        request = worded(
            line.point,
            said_a,
            form,
            now.at + timedelta(seconds=ahead_s),
            self._settings,
            voltage_v=self._site.site.voltage_v,
            transaction_id=transaction_id,
        )
        return AskStation(line.point.station_id, token, request, urgency)

    def forms_of(self, line: Line) -> tuple[Form, ...]:
        """In which forms its base limit can be put, in order of preference."""
        possible = forms(self._settings, line.point, single_evse=line.point.station_id in self._single)
        taken = tuple(form for form in line.takes if form in possible)
        found = (*taken, *(form for form in possible if form not in taken))
        if line.form >= len(found):  # as it was before a restart, with another file
            line.form, line.form_taken = 0, False
        return found

    def _escalate(self, line: Line, now: Now, *, bound: bool) -> list[Effect]:
        """The station refused: the next form at once; after the last one say so, and begin again later."""
        line.refusals += 1
        if line.form_taken and line.refusals < _REFUSALS_TO_LEAVE_A_FORM:
            line.retry_at_s = now.protocol_s + self._settings.retry_s
            return []
        line.refusals = 0
        if bound and line.account.bound is None:
            line.binds = False
            return []
        if bound:  # one that it has taken leads in this transaction, whatever the base says
            return self._refused(line, now)
        possible = self.forms_of(line)
        line.form, line.form_taken = line.form + 1, False
        if line.form < len(possible):
            if possible[line.form].key is not None and line.account.bound is None:
                line.binds = False  # a transaction's profile would lift nothing above the key
            return []
        line.form = 0
        return self._refused(line, now)

    def _refused(self, line: Line, now: Now) -> list[Effect]:
        line.retry_at_s = now.protocol_s + self._settings.retry_s
        what = say(
            "{evse} refuses every form of limit; {reserved:.1f} A stay reserved",
            evse=str(line.point.key),
            reserved=line.account.exposure_a(now),
        )
        return [Alarm("limit-refused", what, line.point.key), *self.stop(line)]

    def stop(self, line: Line) -> list[Effect]:
        """End what goes on at an EVSE that can't be limited: once, and again where nobody knows what became of it."""
        transaction_id = None if line.transaction is None else line.transaction.transaction_id
        if not self._settings.stop_offenders or not line.ready or transaction_id in (None, line.stop_asked):
            return []
        line.stop_asked = transaction_id
        request = RequestStopTransaction(transaction_id=transaction_id)
        return [AskStation(line.point.station_id, self._token(line, Urgency.STOP), request, Urgency.STOP)]

    def _stop_answered(self, line: Line, accepted: bool | None) -> list[Effect]:
        if accepted is None:
            line.stop_asked = None
        if accepted is not False:
            return []
        line.distrusted = True
        what = say(
            "{evse} can't be limited and refuses to stop; {reserved:g} A are reserved",
            evse=str(line.point.key),
            reserved=line.point.maximum_a,
        )
        return [Alarm("stop-refused", what, line.point.key)]

    def next_token(self) -> int:
        """A number for a request that is not the issuer's."""
        self._last_token += 1
        return self._last_token

    def _token(self, line: Line, urgency: Urgency) -> int:
        token = self.next_token()
        self._asked[token] = (line, urgency)
        return token
