"""What a load group decides: who gets how much now, and what to say to whom, reductions first.

Guarantees
* What an EVSE may draw is seen from the worst side (`group_exposure`).
* A limit goes up only when the exposures of all members, with this one's new limit, hold in every group above it. A
  reduction is said at once. So what is accepted never exceeds the limit, except by what can't be lowered now.
* One request at a time to an EVSE; a refusal leads to the next form (`profile_forms`).
* Shares are decided by the allocator of the local controller (`allocation.realtime`), with the same wishes.
* Pure: the same groups, facts, times and memory give the same decision.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Demand, Load
from forecourt.allocation.filling import OWN, Tally
from forecourt.allocation.realtime import Allocation, allocate
from forecourt.csms.group_exposure import EvseFacts, Way, exposure_a
from forecourt.csms.group_records import (
    GroupStatus,
    LoadGroup,
    MemberState,
    MemberStatus,
)
from forecourt.csms.group_settings import GroupSettings
from forecourt.csms.group_site import below_of, node_limit_of, site_of, through
from forecourt.csms.profile_forms import evse_of, put, rounded_down
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
)
from forecourt.domain.requests import SetChargingProfile
from forecourt.domain.sentence import Sentence, say
from forecourt.domain.site import EvseKey

_NEGLIGIBLE_A: Final = 0.05
"""Half a step of what OCPP can say."""
_APPETITE_MARGIN_A: Final = 2.0
"""How much more than it draws a modest car is offered, so that it is seen when it wants more."""
_IGNORED_A: Final = 1.0
_IGNORED_SHARE: Final = 0.10
"""A car is over its limit by more than the larger of both."""
_MODEST_A: Final = 1.5
"""A car is modest that leaves more than that of its limit."""


class Say(msgspec.Struct, frozen=True):
    """A request for a station."""

    key: EvseKey
    request: SetChargingProfile
    raises: bool


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said, what is to be remembered, and what is to be told."""

    to_say: tuple[Say, ...]
    allocation: Allocation
    """The memory: give it back as `previous`."""
    statuses: dict[int, GroupStatus]
    """By group."""


def decide(
    groups: tuple[LoadGroup, ...],
    facts: Iterable[EvseFacts],
    at: datetime,
    now_s: float,
    settings: GroupSettings,
    previous: Allocation | None = None,
) -> Decision:
    """For a group and those below it; the first of `groups` is the one that has no parent among them."""
    return _Decision(groups, tuple(facts), at, now_s, settings, previous).made()


class _Decision:
    def __init__(
        self,
        groups: tuple[LoadGroup, ...],
        facts: tuple[EvseFacts, ...],
        at: datetime,
        now_s: float,
        settings: GroupSettings,
        previous: Allocation | None,
    ) -> None:
        self.groups, self.facts, self.at, self.now_s = groups, facts, at, now_s
        self.settings, self.previous = settings, previous
        self.voltage_v = groups[0].terms.voltage_v
        self.site = CompiledSite(site_of(groups, facts))
        self.lowest = {group.number: group.terms.lowest(at, settings.lead_s) for group in groups}
        self.limits = {group.name: node_limit_of(group, self.lowest[group.number][0]) for group in groups}
        self.room = self.site.room({}, self.limits)
        self.exposures_a = {one.key: exposure_a(one, at, settings, self.voltage_v) for one in facts}
        self.ignoring = {one.key for one in facts if self._ignores(one)}
        for one in facts:
            if one.key in self.ignoring:
                self.exposures_a[one.key] = max(self.exposures_a[one.key], one.measured_a or 0.0)

    def made(self) -> Decision:
        allocation, shares_a = self._shared()
        to_say = (*self._reductions(shares_a), *self._raises(shares_a))
        members = {one.key: self._member(one, allocation, shares_a[one.key]) for one in self.facts}
        tally = self._tally()
        statuses = {group.number: self._status(group, members, tally) for group in self.groups}
        return Decision(to_say=to_say, allocation=allocation, statuses=statuses)

    # who gets how much

    def _ignores(self, one: EvseFacts) -> bool:
        """Its car draws more than it may, though it had time to follow."""
        exposed_a = self.exposures_a[one.key]
        if one.measured_a is None or one.measured_at is None or one.transaction_number is None:
            return False
        changes = [way.installed_at for way in (one.base, one.bound) if way.installed_at is not None]
        settled = all(one.measured_at > when + timedelta(seconds=self.settings.settle_s) for when in changes)
        fresh = self.at - one.measured_at < timedelta(seconds=5 * self.settings.settle_s)
        return settled and fresh and one.measured_a > exposed_a + max(_IGNORED_A, exposed_a * _IGNORED_SHARE)

    def _steerable(self, one: EvseFacts) -> bool:
        if not one.connected:
            return False
        bound = one.transaction is not None and not one.bound.refused
        return (bound or not one.base.refused) and one.key not in self.ignoring

    def _shared(self) -> tuple[Allocation, dict[EvseKey, float]]:
        """Shares; who would get less than its fallback has that, and keeps it."""
        fixed_a: dict[EvseKey, float] = {}
        asking: dict[EvseKey, Demand] = {}
        for one in self.facts:
            if not self._steerable(one):
                fixed_a[one.key] = self.exposures_a[one.key]
            elif one.transaction_number is None:
                fixed_a[one.key] = self.exposures_a[one.key] if one.base.refused else one.member.fallback_a
            else:
                asking[one.key] = self._demand(one)
        while True:
            loads = [Load(key, current_a) for key, current_a in fixed_a.items() if current_a > 0.0]
            allocation = allocate(
                self.site, asking.values(), self.now_s, limits=self.limits, reserved=loads, previous=self.previous
            )
            fallen = [
                one
                for one in self.facts
                if one.key in asking and allocation.limit_a(one.key) < one.member.fallback_a - _NEGLIGIBLE_A
            ]
            if not fallen:
                shares_a = {one.key: allocation.limit_a(one.key) for one in self.facts if one.key in asking}
                return allocation, {**fixed_a, **shares_a}
            for one in fallen:
                del asking[one.key]
                fixed_a[one.key] = one.member.fallback_a

    def _demand(self, one: EvseFacts) -> Demand:
        wanted_a, because = one.member.maximum_a, "what it asks for"
        held_a = one.bound.limit_a if one.bound.limit_a is not None else one.base.limit_a
        since = one.bound.installed_at or one.base.installed_at
        if one.takes_nothing:
            wanted_a, because = max(one.member.minimum_a, one.member.fallback_a), "its car takes nothing now"
        elif (
            one.measured_a is not None
            and one.measured_at is not None
            and held_a is not None
            and since is not None
            and one.measured_at > since + timedelta(seconds=self.settings.settle_s)
            and one.measured_a < held_a - _MODEST_A
        ):
            appetite_a = one.measured_a + _APPETITE_MARGIN_A
            wanted_a, because = max(one.member.minimum_a, one.member.fallback_a, appetite_a), "what its car takes"
        departs_s = None
        if one.departs_at is not None:
            departs_s = self.now_s + (one.departs_at - self.at).total_seconds()
        return Demand(
            evse=one.key,
            wanted_a=min(wanted_a, one.member.maximum_a),
            wanted_because=because,
            departs_s=departs_s,
            remaining_wh=one.remaining_wh,
        )

    # what is said

    def _aims(self, one: EvseFacts, share_a: float) -> tuple[tuple[Way, float, bool], ...]:
        """Which way shall say how much, and whether that is for the transaction."""
        fallback_a = one.member.fallback_a
        if one.transaction_number is None:
            return ((one.base, fallback_a, False),)
        if one.transaction is None or one.bound.refused:
            return ((one.base, share_a, False),)
        base = () if one.base.refused else ((one.base, fallback_a, False),)
        return (*base, (one.bound, share_a, True))

    def _speakable(self, one: EvseFacts, way: Way) -> bool:
        return one.connected and not one.open and (way.retry_at is None or way.retry_at <= self.at)

    def _reductions(self, shares_a: Mapping[EvseKey, float]) -> list[Say]:
        found: list[Say] = []
        self._asked: set[EvseKey] = set()
        for one in self.facts:
            for way, aim_a, bound in self._aims(one, shares_a[one.key]):
                if not self._speakable(one, way) or one.key in self._asked:
                    continue
                booted = one.booted_at is not None and way.installed_at is not None and one.booted_at > way.installed_at
                spare = bound and one.base.limit_a is not None and aim_a <= one.member.fallback_a
                lost = (way.limit_a is None and not spare) or booted
                lower = way.limit_a is not None and aim_a < way.limit_a - _NEGLIGIBLE_A
                doubtful = any(entry.profile.id == way.profile_id for entry in one.uncertain)
                if not (lower or lost or doubtful):
                    continue
                # What may hold already is no raise; more than that has to fit, and is said among the raises.
                if aim_a <= self.exposures_a[one.key] + _NEGLIGIBLE_A:
                    found.append(self._say(one, way, aim_a, bound=bound, raises=False))
        return found

    def _raises(self, shares_a: Mapping[EvseKey, float]) -> list[Say]:
        """Lowest first: who has least is served first. Renewals are said here too."""
        tally = self._tally()
        found: list[Say] = []
        for one in sorted(self.facts, key=lambda one: (self.exposures_a[one.key], one.key)):
            for way, aim_a, bound in self._aims(one, shares_a[one.key]):
                if not self._speakable(one, way) or one.key in self._asked:
                    continue
                held_a = -1.0 if way.limit_a is None else way.limit_a
                starts = held_a < one.member.minimum_a <= aim_a
                spare = (
                    bound and way.limit_a is None and one.base.limit_a is not None and aim_a <= one.member.fallback_a
                )
                grows = not spare and aim_a - held_a >= (_NEGLIGIBLE_A if starts else self.settings.raise_step_a)
                if grows:
                    added_a = aim_a - self.exposures_a[one.key]
                    column = self.site.column(self.site.index(one.key), None)
                    if tally.obstacle(column, added_a) == OWN:
                        tally.add(column, max(added_a, 0.0))
                        found.append(self._say(one, way, aim_a, bound=bound, raises=True))
                elif way.lease_until is not None and way.lease_until - self.at < timedelta(
                    seconds=self.settings.lease_s / 2
                ):
                    found.append(self._say(one, way, min(aim_a, held_a), bound=bound, raises=False))
        return found

    def _say(self, one: EvseFacts, way: Way, aim_a: float, *, bound: bool, raises: bool) -> Say:
        self._asked.add(one.key)
        member, form = one.member, way.forms[way.form % len(way.forms)]
        backdate_s = round(self.settings.backdate_s)
        fallback_a = rounded_down(member.fallback_a)
        periods = [ChargingSchedulePeriod(0, rounded_down(aim_a), member.phases)]
        if periods[0].rate_limit != fallback_a:
            lease_s = backdate_s + round(self.settings.lease_s)
            periods.append(ChargingSchedulePeriod(lease_s, fallback_a, member.phases))
        transaction_id = one.transaction.transaction_id if bound and one.transaction is not None else None
        schedule = ChargingSchedule(
            id=way.profile_id,
            rate_unit=ChargingRateUnit.A,
            start_schedule=(self.at - timedelta(seconds=backdate_s)).replace(microsecond=0),
            periods=tuple(periods),
        )
        profile = ChargingProfile(
            id=way.profile_id,
            stack_level=form.stack_level,
            purpose=ChargingProfilePurpose.TX if bound else ChargingProfilePurpose.TX_DEFAULT,
            kind=ChargingProfileKind.ABSOLUTE,
            schedules=(schedule,),
            transaction_id=transaction_id,
        )
        profile = put(profile, form, phases=member.phases, voltage_v=self.voltage_v)
        return Say(one.key, SetChargingProfile(evse_id=evse_of(one.key.evse_id, form), profile=profile), raises)

    # what is told

    def _tally(self, keys: Iterable[EvseKey] | None = None) -> Tally:
        tally = Tally(self.site.rows, self.room)
        for key in self.exposures_a if keys is None else keys:
            if self.exposures_a[key] > 0.0:
                tally.add(self.site.column(self.site.index(key), None), self.exposures_a[key])
        return tally

    def _member(self, one: EvseFacts, allocation: Allocation, share_a: float) -> MemberStatus:
        allowed_a = self.exposures_a[one.key]
        limited = one.base.limit_a is not None or one.bound.limit_a is not None
        refused = one.base.refused and (one.transaction is None or one.bound.refused)
        if not one.connected:
            state = MemberState.OFFLINE
            why = say(
                "not connected; what it was last told allows so much"
                if limited
                else "not connected, and it never took a limit: counted with its maximum"
            )
        elif not limited and allowed_a >= one.member.maximum_a - _NEGLIGIBLE_A:
            state = MemberState.UNLIMITED
            why = say("refuses every form of limit: counted with its maximum" if refused else "its limit is on its way")
        elif one.key in self.ignoring:
            state = MemberState.UNLIMITED
            why = say("its car draws more than it may: counted with what it draws")
        elif one.transaction_number is None:
            state, why = MemberState.IDLE, say("nothing charges there")
        elif allowed_a > share_a + _NEGLIGIBLE_A and allowed_a > one.member.fallback_a + _NEGLIGIBLE_A:
            state, why = MemberState.REDUCING, self._why(one, allocation)
        else:
            state = MemberState.WAITING if share_a <= 0.0 else MemberState.CHARGING
            why = self._why(one, allocation)
        return MemberStatus(
            station_id=one.key.station_id,
            evse_id=one.key.evse_id,
            state=state,
            share_a=share_a,
            allowed_a=allowed_a,
            reason=str(why),
            sentence=why,
            transaction_number=one.transaction_number,
            measured_a=one.measured_a,
            refused=refused,
        )

    def _why(self, one: EvseFacts, allocation: Allocation) -> Sentence:
        if one.key not in allocation.shares:
            return say("keeps its fallback")
        return _of_groups(allocation.why(one.key))

    def _status(self, group: LoadGroup, members: Mapping[EvseKey, MemberStatus], tally: Tally) -> GroupStatus:
        below = below_of(self.groups, group.number)
        inside = [one for one in self.facts if one.group_number in below]
        stuck = self._tally(one.key for one in inside if not self._steerable(one))
        limit, because = self.lowest[group.number]
        allowed = through(self.site, tally, group)
        unreachable = through(self.site, stuck, group)
        kept = allowed <= limit + _NEGLIGIBLE_A
        problem = None
        fallbacks = Tally(self.site.rows, self.room)
        for one in inside:
            if one.member.fallback_a > 0.0:
                fallbacks.add(self.site.column(self.site.index(one.key), None), one.member.fallback_a)
        if through(self.site, fallbacks, group) > limit + _NEGLIGIBLE_A:
            problem = "the fallbacks of its members come to more than its limit"
        elif not kept and unreachable > limit + _NEGLIGIBLE_A:
            problem = "what can't be reached may draw more than the limit by itself"
        elif not kept:
            problem = "reductions are on their way"
        return GroupStatus(
            decided_at=self.at,
            rate_limit=limit,
            because=because,
            allowed=round(allowed, 3),
            unreachable=round(unreachable, 3),
            kept=kept,
            members=tuple(members[one.key] for one in inside),
            problem=problem,
        )


def _of_groups(why: Sentence) -> Sentence:
    """The same, where what limits is a group and no circuit."""
    return Sentence(
        why.text.replace("grid connection {", "group {").replace("circuit {", "group {"),
        {name: _of_groups(one) if isinstance(one, Sentence) else one for name, one in why.values.items()},
    )
