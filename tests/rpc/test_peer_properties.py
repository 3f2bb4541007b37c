"""What holds for a peer whatever happens: any input, any interleaving, any wire."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.pairs import Fate, World, pair

from forecourt.rpc.errors import FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_WITH_SEND, Cause, Rules
from forecourt.rpc.events import Abandoned, Answered, CallReceived, Refused, TimedOut
from forecourt.rpc.peer import Peer

RULES = [FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_WITH_SEND]
OUTCOMES = (Answered, Refused, TimedOut, Abandoned)

_ids = st.sampled_from(["o1", "o2", "1", "2", "-1", "", "ä", "x" * 37, 5, None])
_payloads: st.SearchStrategy[Any] = st.sampled_from([{}, {"a": 1}, [], None, "x", 1])
_frames = st.one_of(
    st.tuples(st.just(2), _ids, st.sampled_from(["A", "B", 7]), _payloads),
    st.tuples(st.just(3), _ids, _payloads),
    st.tuples(st.just(4), _ids, st.sampled_from(["GenericError", 3]), st.just(""), _payloads),
    st.tuples(st.just(5), _ids, st.just("GenericError"), st.just(""), _payloads),
    st.tuples(st.just(6), _ids, st.just("A"), _payloads),
    st.lists(st.sampled_from([2, 3, 9, "a", {}, None]), max_size=6),
)
_texts = st.one_of(
    _frames.map(lambda frame: json.dumps(frame).encode()),
    st.tuples(_frames, st.integers(0, 60)).map(lambda cut: json.dumps(cut[0]).encode()[: cut[1]]),
    st.binary(max_size=60),
    st.just(b'[2,"1","A",' + b"[" * 5000),
    st.just(b'[2,"9","A",{"a":"' + b"x" * 600 + b'"}]'),
)


def ids(prefix: str) -> Callable[[], str]:
    counter = itertools.count(1)
    return lambda: f"{prefix}{next(counter)}"


class AnyPeer(RuleBasedStateMachine):
    """A peer whose other end sends anything, and whose owner does anything."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = Peer(self.flavour, ids("o"), max_frame_bytes=500, max_queue=4, max_open_incoming=3)
        self.now = 0.0
        self.tokens = itertools.count()
        self.expected: set[int] = set()
        self.sent_calls: list[str] = []
        self.received: list[str] = []

    flavour: Rules = SECOND_GENERATION_WITH_SEND

    def settle(self, events: Any) -> None:
        for event in events:
            if isinstance(event, OUTCOMES):
                assert isinstance(event.token, int)
                self.expected.remove(event.token)  # KeyError: an outcome twice, or for nothing
            if isinstance(event, CallReceived):
                self.received.append(event.message_id)

    @rule(text=_texts)
    def receive(self, text: bytes) -> None:
        self.settle(self.peer.receive(text, self.now))

    @rule(wait_s=st.sampled_from([0.0, 1.0, 15.0, 400.0]))
    def wait(self, wait_s: float) -> None:
        self.now += wait_s
        self.settle(self.peer.expire(self.now))

    @rule(priority=st.integers(-1, 1))
    def call(self, priority: int) -> None:
        token = next(self.tokens)
        if self.peer.call("Act", b"{}", self.now, token=token, priority=priority):
            self.expected.add(token)

    @rule(back=st.integers(1, 4))
    def cancel(self, back: int) -> None:
        token = max(self.expected, default=0) - back + 1
        if self.peer.cancel(token):
            self.expected.remove(token)

    @rule(back=st.integers(1, 4), well=st.booleans())
    def reply(self, back: int, well: bool) -> None:
        if len(self.received) >= back:
            message_id = self.received[-back]
            was_open = self.peer.is_open(message_id)
            replied = self.peer.reply(message_id, b"{}") if well else self.peer.reply_error(message_id, Cause.GENERIC)
            assert replied == was_open

    @rule()
    def answer_the_open_call(self) -> None:
        if self.peer.open_call is not None:
            self.settle(self.peer.receive(b'[3,"%b",{}]' % self.peer.open_call.encode(), self.now))

    @invariant()
    def what_leaves_is_well_formed(self) -> None:
        for text in self.peer.take():
            frame = msgspec.json.decode(text)
            assert frame[0] in self.peer.rules.message_types
            if frame[0] == 2:
                self.sent_calls.append(frame[1])
            if frame[0] in {4, 5}:
                assert frame[2] in set(self.peer.rules.codes.values())
        assert len(set(self.sent_calls)) == len(self.sent_calls)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.peer.waiting_calls <= 4
        assert self.peer.open_incoming <= 3

    @invariant()
    def a_call_that_nobody_waits_for_any_more_is_not_remembered_as_open(self) -> None:
        if self.peer.open_call is None:
            assert self.peer.waiting_calls == 0

    def teardown(self) -> None:
        self.settle(self.peer.close(self.now))
        assert not self.expected


class AnyFirstGenerationPeer(AnyPeer):
    flavour = FIRST_GENERATION


class AnySecondGenerationPeer(AnyPeer):
    flavour = SECOND_GENERATION


_SOME = settings(max_examples=80, stateful_step_count=40, deadline=None)
AnyPeer.TestCase.settings = _SOME
AnyFirstGenerationPeer.TestCase.settings = _SOME
AnySecondGenerationPeer.TestCase.settings = _SOME
TestAnyPeer = AnyPeer.TestCase
TestAnyFirstGenerationPeer = AnyFirstGenerationPeer.TestCase
TestAnySecondGenerationPeer = AnySecondGenerationPeer.TestCase


@pytest.mark.parametrize("rules", RULES)
def test_a_flood_that_nobody_answers_or_takes_leaves_a_bounded_peer(rules: Rules) -> None:
    peer = Peer(rules, lambda: "o")
    peer.call("A", b"{}", 0.0, token=1)
    for n in range(5000):
        peer.receive(b'[2,"%d","A",{}]' % n, 0.0)
        peer.receive(b'[3,"%d",{}]' % n, 0.0)
        peer.receive(b"garbage", 0.0)
        peer.receive(b'[9,"%d"]' % n, 0.0)
    assert peer.open_incoming <= 32
    assert len(peer.take()) <= 1025


def owner(world: World, seed: int) -> None:
    """Answers calls sooner or later, or never, or with an error; sometimes calls back from within a call."""
    chance = random.Random(seed)

    def react(name: str, event: Any, now: float) -> None:
        peer: Any = world.endpoints[name]
        if isinstance(event, CallReceived):
            fate = chance.random()
            if fate < 0.7:
                assert peer.reply(event.message_id, b'{"to":"%b"}' % event.message_id.encode())
            elif fate < 0.8:
                assert peer.reply_error(event.message_id, Cause.INTERNAL)

    world.react = react


def one_open_call_at_a_time(world: World, name: str, timeout_s: float) -> None:
    """On the wire: a call leaves only when the one before it was answered or has timed out (§4.1.1)."""
    answers: dict[str, float] = {}
    for happened in world.events:
        if happened.name == name and isinstance(happened.event, Answered | Refused):
            answers.setdefault(happened.event.message_id, happened.at)
    calls = [(s.at, msgspec.json.decode(s.frame)[1]) for s in world.sent if s.name == name and s.frame[:2] == b"[2"]
    for (sent_at, message_id), (next_at, _) in itertools.pairwise(calls):
        assert next_at >= min(answers.get(message_id, sent_at + timeout_s), sent_at + timeout_s)
    assert len({message_id for _, message_id in calls}) == len(calls)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.5]),
    duplication=st.sampled_from([0.0, 0.3]),
    in_order=st.booleans(),
    rules=st.sampled_from(RULES),
    counts=st.tuples(st.integers(0, 15), st.integers(0, 15)),
)
def test_two_peers_over_a_bad_wire_keep_the_rules_and_settle_every_call(
    seed: int, loss: float, duplication: float, in_order: bool, rules: Rules, counts: tuple[int, int]
) -> None:
    peers = {side: Peer(rules, ids(side), call_timeout_s=3.0) for side in ("left", "right")}
    fate = Fate(seed, 0.0, 4.0, loss, duplication, in_order)
    world = pair(peers["left"], peers["right"], fate)
    owner(world, seed)
    chance = random.Random(seed)
    for side, count in zip(("left", "right"), counts, strict=True):
        for token in range(count):
            assert peers[side].call("Act", b"{}", world.now, token=token, priority=chance.randint(0, 2))
            world.run(world.now + chance.random())
    world.run()
    for side, count in zip(("left", "right"), counts, strict=True):
        outcomes = Counter(event.token for event in world.of(side, OUTCOMES))
        assert outcomes == Counter(range(count))
        for event in world.of(side, Answered):
            assert event.payload == b'{"to":"%b"}' % event.message_id.encode()
        one_open_call_at_a_time(world, side, 3.0)
        assert peers[side].open_call is None


def test_over_a_good_wire_every_call_is_answered_and_each_way_is_independent() -> None:
    left = Peer(FIRST_GENERATION, ids("l"))
    right = Peer(FIRST_GENERATION, ids("r"))
    world = pair(left, right, Fate(min_delay_s=0.1, max_delay_s=0.1))
    world.react = lambda name, event, now: (
        None if not isinstance(event, CallReceived) else world.endpoints[name].reply(event.message_id, b"{}")  # type: ignore[attr-defined]
    )
    for token in range(10):
        left.call("A", b"{}", 0.0, token=token)
        right.call("B", b"{}", 0.0, token=token)
    world.run()
    assert [e.token for e in world.of("left", Answered)] == list(range(10))
    assert [e.token for e in world.of("right", Answered)] == list(range(10))
    # Ten round trips of 0.2 s each, both ways at once: nobody waited for the other's calls.
    assert world.now == pytest.approx(2.0)


def test_a_wire_that_is_cut_times_calls_out_one_after_the_other() -> None:
    left = Peer(FIRST_GENERATION, ids("l"), call_timeout_s=30.0)
    world = pair(left, Peer(FIRST_GENERATION, lambda: "r"))
    world.cut.add("right")
    for token in range(3):
        left.call("A", b"{}", 0.0, token=token)
    world.run()
    assert [(h.at, h.event.token) for h in world.events] == [(30.0, 0), (60.0, 1), (90.0, 2)]
