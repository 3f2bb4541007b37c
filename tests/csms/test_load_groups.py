"""Load groups on virtual time: whatever stations answer, forget or don't hear, what they hold stays within the limit,
except by what can't be reached, which is said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.allocation.realtime import Allocation
from forecourt.csms.group_decision import Decision, Say, decide
from forecourt.csms.group_exposure import EvseFacts, Way
from forecourt.csms.group_records import GroupMember, LoadGroup, MemberState
from forecourt.csms.group_settings import GroupSettings
from forecourt.csms.group_terms import GroupLimit, LimitPoint, SignalPoint, Threshold, WeeklyLimit
from forecourt.csms.profile_forms import Form
from forecourt.domain.composite import ActiveTransaction, ChargingContext, limit_at
from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit, InstalledProfile
from forecourt.domain.profile_stack import install
from forecourt.domain.site import EvseKey

START = datetime(2025, 6, 2, 8, tzinfo=UTC)
SETTINGS = GroupSettings()
ENOUGH_A = 0.051


@dataclass
class Sim:
    """A station with one EVSE, and what the books know of it."""

    key: EvseKey
    member: GroupMember
    number: int
    connected: bool = True
    transaction: ActiveTransaction | None = None
    holds: tuple[InstalledProfile, ...] = ()
    """What is really there."""
    installed: tuple[InstalledProfile, ...] = ()
    uncertain: tuple[InstalledProfile, ...] = ()
    installed_at: dict[int, datetime] = field(default_factory=dict)
    retry_at: dict[int, datetime] = field(default_factory=dict)

    def way(self, profile_id: int, purpose: ChargingProfilePurpose, at: datetime) -> Way:
        mine = [one for one in self.installed if one.profile.id == profile_id]
        if purpose is ChargingProfilePurpose.TX:
            known = None if self.transaction is None else self.transaction.transaction_id
            mine = [one for one in mine if one.profile.transaction_id == known]
        limit_a, lease_until = None, None
        if mine:
            meets = ChargingContext(hardware_max_a=1e9, transaction=self.transaction, number_phases=3)
            limit = limit_at(mine, 1, at, ChargingRateUnit.A, meets)
            if limit.winner is not None:
                limit_a, lease_until = limit.rate_limit, limit.until
        return Way(
            profile_id=profile_id,
            forms=(Form(purpose, ChargingRateUnit.A, 3),),
            limit_a=limit_a,
            lease_until=lease_until,
            installed_at=self.installed_at.get(profile_id) if mine else None,
            retry_at=self.retry_at.get(profile_id),
        )

    def facts(self, at: datetime) -> EvseFacts:
        return EvseFacts(
            key=self.key,
            group_number=1,
            member=self.member,
            connected=self.connected,
            transaction=self.transaction,
            transaction_number=None if self.transaction is None else 1,
            installed=self.installed,
            uncertain=self.uncertain,
            base=self.way(2 * self.number, ChargingProfilePurpose.TX_DEFAULT, at),
            bound=self.way(2 * self.number + 1, ChargingProfilePurpose.TX, at),
        )

    def take(self, say: Say, outcome: str, at: datetime) -> None:
        """A request reaches it, or doesn't, and is answered, or isn't."""
        new = InstalledProfile(say.request.evse_id, say.request.profile)
        if outcome in {"accepted", "unanswered"}:
            self.holds = install(self.holds, new, now=at)
        if outcome == "accepted":
            self.installed = install(self.installed, new, now=at)
            self.uncertain = tuple(one for one in self.uncertain if one.profile.id != new.profile.id)
            self.installed_at[new.profile.id] = at
            self.retry_at.pop(new.profile.id, None)
        elif outcome in {"unanswered", "lost"}:
            self.uncertain = (*self.uncertain, new)[-3:] if outcome == "lost" else (*self.uncertain, new)
            self.retry_at[new.profile.id] = at + timedelta(seconds=SETTINGS.retry_s)

    def may_draw_a(self, at: datetime) -> float:
        """What the car at hand, or one that comes unseen, may really draw."""
        meets = ChargingContext(
            hardware_max_a=self.member.maximum_a, transaction=self.transaction, number_phases=self.member.phases
        )
        return limit_at(self.holds, 1, at, ChargingRateUnit.A, meets).rate_limit

    def end(self) -> None:
        self.transaction = None
        self.holds, self.installed, self.uncertain = (
            tuple(one for one in some if one.profile.purpose is not ChargingProfilePurpose.TX)
            for some in (self.holds, self.installed, self.uncertain)
        )


def group(terms: GroupLimit, members: tuple[GroupMember, ...] = ()) -> LoadGroup:
    return LoadGroup(
        number=1, organisation_id=1, name="G", terms=terms, members=members, created_at=START, updated_at=START
    )


class World:
    def __init__(self, terms: GroupLimit, members: list[GroupMember]) -> None:
        self.group = group(terms)
        self.sims = [Sim(EvseKey(f"S{number}", 1), member, number) for number, member in enumerate(members, 1)]
        self.at = START
        self.transactions: Iterator[int] = iter(range(1, 10_000))
        self.memory: Allocation | None = None

    def decide(self) -> Decision:
        now_s = (self.at - START).total_seconds()
        facts = [sim.facts(self.at) for sim in self.sims]
        decision = decide((self.group,), facts, self.at, now_s, SETTINGS, self.memory)
        self.memory = decision.allocation
        return decision

    def settle(self, turns: int = 8) -> Decision:
        """Everybody hears and accepts."""
        for _ in range(turns):
            decision = self.decide()
            for say in decision.to_say:
                next(sim for sim in self.sims if sim.key == say.key).take(say, "accepted", self.at)
        return self.decide()

    def plug_in(self, sim: Sim) -> None:
        sim.transaction = ActiveTransaction(str(next(self.transactions)), self.at)

    def sum_a(self) -> float:
        return sum(sim.may_draw_a(self.at) for sim in self.sims)


MEMBERS = st.builds(
    GroupMember,
    station_id=st.just("S"),
    priority=st.integers(0, 1),
    minimum_a=st.just(6.0),
    maximum_a=st.sampled_from([16.0, 32.0]),
    fallback_a=st.sampled_from([0.0, 0.0, 6.0]),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["plug_in", "unplug", "drop", "return", "wait", "limit"]),
        st.integers(0, 3),
        st.sampled_from(["accepted", "accepted", "accepted", "rejected", "unanswered", "lost"]),
        st.integers(1, 4000),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(members=st.lists(MEMBERS, min_size=1, max_size=4), steps=STEPS, limit_a=st.sampled_from([24.0, 40.0]))
def test_what_stations_hold_is_within_the_limit_but_for_what_is_told(
    members: list[GroupMember], steps: list[tuple[str, int, str, int]], limit_a: float
) -> None:
    world = World(GroupLimit(rate_limit=limit_a), members)
    settled = world.settle()
    assert all(not say.raises for say in settled.to_say)
    for what, which, outcome, wait_s in steps:
        sim = world.sims[which % len(world.sims)]
        match what:
            case "plug_in" if sim.transaction is None and sim.connected:
                world.plug_in(sim)
            case "unplug" if sim.connected:
                sim.end()
            case "drop":
                sim.connected = False
            case "return":
                sim.connected = True
            case "wait":
                world.at += timedelta(seconds=wait_s)
            case "limit":
                lower = GroupLimit(rate_limit=limit_a if wait_s % 2 else limit_a / 2)
                world.group = group(lower)
        for _ in range(3):
            decision = world.decide()
            status = decision.statuses[1]
            # What is told to be allowed is never less than what is, and a limit that is told to be kept is kept.
            assert world.sum_a() <= status.allowed + ENOUGH_A
            if status.kept:
                assert world.sum_a() <= status.rate_limit + ENOUGH_A
            else:
                assert status.problem is not None
            raised = status.kept
            for say in decision.to_say:
                station = next(one for one in world.sims if one.key == say.key)
                assert station.connected
                station.take(say, outcome, world.at)
            after = world.decide().statuses[1]
            if raised:
                assert after.kept, "what was said keeps what was kept"


def test_a_lower_limit_is_reached_as_soon_as_all_have_answered() -> None:
    members = [GroupMember(station_id="S", maximum_a=32.0) for _ in range(4)]
    world = World(GroupLimit(rate_limit=64.0), members)
    for sim in world.sims:
        world.plug_in(sim)
    assert world.settle().statuses[1].allowed == pytest.approx(64.0)
    world.group = group(GroupLimit(rate_limit=26.0))
    before = world.decide()
    assert not before.statuses[1].kept
    assert before.statuses[1].problem == "reductions are on their way"
    assert not any(say.raises for say in before.to_say)
    after = world.settle().statuses[1]
    assert after.kept
    assert sorted(member.share_a for member in after.members) == [6.5, 6.5, 6.5, 6.5]


def test_a_car_in_a_hurry_gets_more_than_one_with_time() -> None:
    members = [GroupMember(station_id="S") for _ in range(2)]
    world = World(GroupLimit(rate_limit=32.0), members)
    for sim in world.sims:
        world.plug_in(sim)
    world.settle()
    facts = [sim.facts(world.at) for sim in world.sims]
    hurried = EvseFacts(
        **{
            **{name: getattr(facts[0], name) for name in facts[0].__struct_fields__},
            "departs_at": world.at + timedelta(hours=1),
            "remaining_wh": 14_000.0,
        }
    )
    at_ease = EvseFacts(
        **{
            **{name: getattr(facts[1], name) for name in facts[1].__struct_fields__},
            "departs_at": world.at + timedelta(hours=12),
            "remaining_wh": 14_000.0,
        }
    )
    decision = decide((world.group,), [hurried, at_ease], world.at, 0.0, SETTINGS)
    first, second = decision.statuses[1].members
    assert (first.share_a, second.share_a) == (32.0, 0.0)
    assert "has time and lets others go first" in second.reason


def test_groups_within_a_group_hold_both_limits() -> None:
    inner = LoadGroup(
        number=2, organisation_id=1, name="inner", parent_number=1, terms=GroupLimit(rate_limit=8.0),
        created_at=START, updated_at=START,
    )  # fmt: skip
    world = World(GroupLimit(rate_limit=30.0), [GroupMember(station_id="S") for _ in range(3)])
    for sim in world.sims:
        world.plug_in(sim)
    world.settle()
    facts = [sim.facts(world.at) for sim in world.sims]
    moved = EvseFacts(**{**{name: getattr(facts[0], name) for name in facts[0].__struct_fields__}, "group_number": 2})
    decision = decide((world.group, inner), [moved, *facts[1:]], world.at, 0.0, SETTINGS)
    assert [member.share_a for member in decision.statuses[1].members] == [8.0, 11.0, 11.0]
    assert [member.reason for member in decision.statuses[2].members] == ["group inner, phase L1"]


def test_a_station_that_never_took_a_limit_is_counted_with_its_maximum() -> None:
    world = World(GroupLimit(rate_limit=40.0), [GroupMember(station_id="S", maximum_a=32.0) for _ in range(2)])
    world.sims[0].connected = False
    world.plug_in(world.sims[1])
    status = world.settle().statuses[1]
    assert [(member.state, member.allowed_a) for member in status.members] == [
        (MemberState.OFFLINE, 32.0),
        (MemberState.CHARGING, 8.0),
    ]
    assert (status.kept, status.unreachable) == (True, 32.0)


MONDAY = datetime(2025, 6, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("terms", "hours", "expected"),
    [
        (GroupLimit(rate_limit=50), 3, 50),
        (GroupLimit(rate_limit=50, weekly=(WeeklyLimit(start=time(17), end=time(20), rate_limit=10),)), 18, 10),
        (GroupLimit(rate_limit=50, weekly=(WeeklyLimit(start=time(17), end=time(20), rate_limit=10),)), 20, 50),
        (GroupLimit(rate_limit=50, weekly=(WeeklyLimit(start=time(22), end=time(6), rate_limit=10),)), 29, 10),
        (
            GroupLimit(
                rate_limit=50,
                time_zone="Europe/Berlin",
                weekly=(WeeklyLimit(start=time(17), end=time(20), rate_limit=10),),
            ),
            15.5,
            10,
        ),
        (GroupLimit(rate_limit=50, series=(LimitPoint(at=MONDAY, rate_limit=5),)), 0.5, 5),
        (GroupLimit(rate_limit=50, series=(LimitPoint(at=MONDAY, rate_limit=5),)), 1.5, 50),
        (
            GroupLimit(
                rate_limit=50,
                signal=(SignalPoint(at=MONDAY, value=310.0),),
                thresholds=(Threshold(above=200, rate_limit=20), Threshold(above=300, rate_limit=10)),
            ),
            0.5,
            10,
        ),
    ],
)
def test_the_lowest_of_what_applies_counts(terms: GroupLimit, hours: float, expected: float) -> None:
    assert terms.at(MONDAY + timedelta(hours=hours))[0] == expected


def test_a_lower_limit_is_seen_before_it_begins() -> None:
    terms = GroupLimit(rate_limit=50, weekly=(WeeklyLimit(start=time(17), end=time(20), rate_limit=10),))
    before = MONDAY + timedelta(hours=16, minutes=59, seconds=45)
    assert terms.lowest(before, 30.0)[0] == 10
    assert terms.lowest(before, 10.0)[0] == 50
