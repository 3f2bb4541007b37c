"""Two legs back to back (OCPP-J 2.x §6; seed of the local controller: relayed frames pass byte for byte)."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pairs import Fate, World

from forecourt.rpc.errors import FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_WITH_SEND, Cause, Rules
from forecourt.rpc.events import (
    Abandoned,
    Answered,
    CallReceived,
    Discarded,
    DiscardReason,
    Refused,
    ResultRefused,
    TimedOut,
)
from forecourt.rpc.peer import Peer
from forecourt.rpc.relay import Relay
from forecourt.rpc.relay_events import (
    AnswerDropped,
    AnswerHeld,
    AnswerRelayed,
    CallArrived,
    CallerLost,
    LegNotice,
    OwnOutcome,
    RelayEvent,
    SendArrived,
    Side,
    Unanswered,
)

STATION, CSMS = Side.STATION, Side.CSMS
BOTH = [STATION, CSMS]
E = TypeVar("E")

# Unusual spacing, numbers and escapes: what a decoder and an encoder would not give back.
CALL = b'[ 2, "s\\u0031","MeterValues" ,{"v":1.50, "x":"\\u00e4\xc3\xa4","vendor":{"z":[ ]}} ]'
RESULT = b'[3 , "s\\u0031", { "n":1E2,"a":1.0 } ]'
ERROR = b'[4,  "s1","GenericError","\\u0041",{"a": 1.00}]'


def ids(prefix: str = "own") -> Callable[[], str]:
    counter = itertools.count(1)
    return lambda: f"{prefix}{next(counter)}"


def make(rules: Rules = FIRST_GENERATION, up: Sequence[Side] = (STATION, CSMS), **limits: Any) -> Relay:
    relay = Relay(rules, ids(), **limits)
    for side in up:
        assert relay.leg_up(side, 0.0) == []
    return relay


def only(events: list[RelayEvent], kind: type[E]) -> E:
    (event,) = events
    assert isinstance(event, kind), event
    return event


def arrive(relay: Relay, side: Side, text: bytes = CALL, now: float = 0.0) -> CallReceived:
    event = only(relay.receive(side, text, now), CallArrived)
    assert event.side is side
    return event.call


# Relayed frames


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("answer", [RESULT, ERROR])
def test_call_and_answer_pass_byte_for_byte_either_way(side: Side, answer: bytes) -> None:
    relay = make()
    call = arrive(relay, side)
    assert relay.take(side.other) == []
    assert relay.forward(side, call, 0.0)
    (passed,) = relay.take(side.other)
    assert passed is CALL
    event = only(relay.receive(side.other, answer, 1.0), AnswerRelayed)
    assert (event.side, event.call) == (side, call)
    assert isinstance(event.answer, Answered if answer is RESULT else Refused)
    (passed,) = relay.take(side)
    assert passed is answer
    assert relay.take(side.other) == []


def test_a_second_verdict_on_the_same_call_does_nothing() -> None:
    relay = make()
    call = arrive(relay, STATION)
    assert relay.forward(STATION, call, 0.0)
    assert not relay.forward(STATION, call, 0.0)
    assert len(relay.take(CSMS)) == 1
    relay.receive(CSMS, RESULT, 0.0)
    relay.take(STATION)
    assert not relay.forward(STATION, call, 0.0)
    assert not relay.answer_locally(STATION, call, b"{}")
    assert not relay.refuse(STATION, call, Cause.GENERIC)
    assert relay.take(STATION) == relay.take(CSMS) == []


def test_a_call_answered_or_refused_locally_never_reaches_the_other_side() -> None:
    relay = make()
    call = arrive(relay, STATION, b'[2,"1","Heartbeat",{}]')
    assert relay.answer_locally(STATION, call, b'{"currentTime":"t"}')
    assert relay.take(STATION) == [b'[3,"1",{"currentTime":"t"}]']
    call = arrive(relay, CSMS, b'[2,"1","GetDiagnostics",{}]')
    assert relay.refuse(CSMS, call, Cause.UNSUPPORTED_ACTION, "not here")
    assert relay.take(CSMS) == [b'[4,"1","NotSupported","not here",{}]']
    assert relay.take(STATION) == []


def test_a_heartbeat_is_answered_here_and_still_forwarded_with_the_answer_dropped() -> None:
    relay = make()
    call = arrive(relay, STATION)
    assert relay.answer_locally(STATION, call, b"{}")
    assert relay.forward_and_drop_answer(STATION, call, 0.0)
    assert len(relay.take(STATION)) == 1
    assert relay.take(CSMS) == [CALL]
    event = only(relay.receive(CSMS, RESULT, 0.2), AnswerDropped)
    assert isinstance(event.answer, Answered)
    assert event.answer.payload == b'{ "n":1E2,"a":1.0 }'
    assert relay.take(STATION) == []


def test_an_altered_call_keeps_its_id_and_its_answer_passes_as_it_is() -> None:
    relay = make()
    call = arrive(relay, CSMS, b'[2,"c1","ChangeConfiguration",{"key":"HeartbeatInterval","value":"900"}]')
    assert relay.forward_altered(CSMS, call, b'{"key":"HeartbeatInterval","value":"300"}', 0.0)
    assert relay.take(STATION) == [b'[2,"c1","ChangeConfiguration",{"key":"HeartbeatInterval","value":"300"}]']
    only(relay.receive(STATION, b'[3,"c1",{"status":"Accepted"} ]', 0.0), AnswerRelayed)
    assert relay.take(CSMS) == [b'[3,"c1",{"status":"Accepted"} ]']


@pytest.mark.parametrize("verdict", ["answer", "refuse", "release", "leave"])
def test_a_held_answer_waits_for_the_owner(verdict: str) -> None:
    relay = make()
    call = arrive(relay, STATION)
    assert not relay.release(STATION, call)
    assert relay.forward(STATION, call, 0.0, hold_answer=True)
    relay.take(CSMS)
    event = only(relay.receive(CSMS, RESULT, 0.0), AnswerHeld)
    assert event.call == call
    assert relay.take(STATION) == []
    if verdict == "answer":
        assert relay.answer_locally(STATION, call, b'{"interval":300}')
        assert relay.take(STATION) == [b'[3,"s1",{"interval":300}]']
    elif verdict == "refuse":
        assert relay.refuse(STATION, call, Cause.INTERNAL)
        assert relay.take(STATION) == [b'[4,"s1","InternalError","",{}]']
    elif verdict == "release":
        assert relay.release(STATION, call)
        assert relay.take(STATION) == [RESULT]
    else:
        assert relay.leave_unanswered(STATION, call)
        assert relay.take(STATION) == []
    assert not relay.release(STATION, call)


def test_whoever_answers_first_answers() -> None:
    relay = make()
    call = arrive(relay, STATION)
    relay.forward(STATION, call, 0.0)
    assert relay.answer_locally(STATION, call, b"{}")
    relay.take(STATION)
    # Another call under the same id must not get the first one's answer.
    again = arrive(relay, STATION)
    only(relay.receive(CSMS, RESULT, 0.0), AnswerDropped)
    assert relay.take(STATION) == []
    assert relay.forward(STATION, again, 0.0)


def test_an_answer_that_cannot_be_read_reaches_the_caller_as_a_call_error() -> None:
    relay = make()
    call = arrive(relay, STATION)
    relay.forward(STATION, call, 0.0)
    relay.take(CSMS)
    only(relay.receive(CSMS, b'[3,"s1",[]]', 0.0), AnswerRelayed)
    (refusal,) = relay.take(STATION)
    assert msgspec.json.decode(refusal)[:3] == [4, "s1", "InternalError"]


# One open call on each leg, and calls of our own


def test_forwarded_calls_and_our_own_share_the_one_open_call_by_priority() -> None:
    relay = make()
    assert relay.call(STATION, "SetChargingProfile", b"{}", 0.0, token="own1")
    first = arrive(relay, CSMS, b'[2,"c1","Reset",{}]')
    second = arrive(relay, CSMS, b'[2,"c2","ClearCache",{}]')
    assert relay.forward(CSMS, first, 0.0)
    assert relay.forward(CSMS, second, 0.0, priority=1)
    assert relay.call(STATION, "SetChargingProfile", b'{"reduce":1}', 0.0, token="own2", priority=9)
    seen = []
    for _ in range(4):
        (frame,) = relay.take(STATION)
        _, message_id, action, _ = msgspec.json.decode(frame)
        seen.append((message_id, action))
        relay.receive(STATION, b'[3,"%b",{}]' % message_id.encode(), 1.0)
    assert seen == [
        ("own1", "SetChargingProfile"),
        ("own2", "SetChargingProfile"),
        ("c2", "ClearCache"),
        ("c1", "Reset"),
    ]
    assert relay.take(CSMS) == [b'[3,"c2",{}]', b'[3,"c1",{}]']


def test_answers_pass_while_a_call_of_ours_is_open_on_the_leg() -> None:
    relay = make()
    relay.call(STATION, "SetChargingProfile", b"{}", 0.0, token=1)
    relay.take(STATION)
    call = arrive(relay, STATION)
    relay.forward(STATION, call, 0.0)
    relay.receive(CSMS, RESULT, 0.0)
    assert relay.take(STATION) == [RESULT]


@pytest.mark.parametrize("answer", [b'[3,"own1",{}]', b'[4,"own1","GenericError","",{}]', b'[3,"own1",[]]'])
def test_answers_to_our_own_calls_never_reach_the_other_side(answer: bytes) -> None:
    relay = make()
    relay.call(STATION, "TriggerMessage", b"{}", 0.0, token="mine")
    assert relay.take(STATION) == [b'[2,"own1","TriggerMessage",{}]']
    event = only(relay.receive(STATION, answer, 0.0), OwnOutcome)
    assert event.side is STATION
    assert event.outcome.token == "mine"
    only(relay.receive(STATION, answer, 0.0), LegNotice)
    assert relay.take(CSMS) == relay.take(STATION) == []


def test_a_call_under_an_id_of_ours_is_refused_even_when_ours_is_over() -> None:
    relay = make(call_timeout_s=30.0)
    relay.call(STATION, "TriggerMessage", b"{}", 0.0, token=1)
    relay.take(STATION)
    for now in (1.0, 40.0):
        relay.expire(now)
        call = arrive(relay, CSMS, b'[2,"own1","Reset",{}]', now)
        assert relay.forward(CSMS, call, now)
        (refusal,) = relay.take(CSMS)
        assert msgspec.json.decode(refusal)[:2] == [4, "own1"]
        assert relay.take(STATION) == []
    late = only(relay.receive(STATION, b'[3,"own1",{}]', 41.0), LegNotice)
    assert isinstance(late.notice, Discarded)
    assert (late.notice.reason, late.notice.token) == (DiscardReason.LATE, 1)
    assert relay.take(CSMS) == []


def test_ids_of_ours_differ_from_those_that_are_under_way() -> None:
    relay = make()
    call = arrive(relay, CSMS, b'[2,"own1","Reset",{}]')
    relay.forward(CSMS, call, 0.0)
    relay.call(STATION, "TriggerMessage", b"{}", 0.0, token=1)
    only(relay.receive(STATION, b'[3,"own1",{}]', 0.0), AnswerRelayed)
    assert relay.take(STATION)[1] == b'[2,"own2","TriggerMessage",{}]'


def test_a_call_of_our_own_can_be_cancelled() -> None:
    relay = make()
    relay.call(STATION, "A", b"{}", 0.0, token=1)
    relay.call(STATION, "B", b"{}", 0.0, token=2)
    assert relay.cancel(STATION, 2)
    assert not relay.cancel(CSMS, 1)
    relay.receive(STATION, b'[3,"own1",{}]', 0.0)
    assert len(relay.take(STATION)) == 1


# Time and loss


def test_a_forwarded_call_without_an_answer_gets_none_and_frees_the_leg() -> None:
    relay = make(call_timeout_s=30.0)
    first, second = arrive(relay, STATION), arrive(relay, STATION, b'[2,"s2","StatusNotification",{}]')
    relay.forward(STATION, first, 0.0)
    relay.forward(STATION, second, 0.0)
    assert relay.take(CSMS) == [CALL]
    assert relay.next_deadline() == 30.0
    event = only(relay.expire(30.0), Unanswered)
    assert (event.side, event.call, event.still_open) == (STATION, first, False)
    assert isinstance(event.outcome, TimedOut)
    assert relay.take(STATION) == []
    assert relay.take(CSMS) == [second.frame]
    late = only(relay.receive(CSMS, RESULT, 31.0), LegNotice)
    assert isinstance(late.notice, Discarded)
    assert (late.notice.reason, late.notice.token) == (DiscardReason.LATE, first)
    assert relay.take(STATION) == []


def test_a_held_call_without_an_answer_stays_with_the_owner() -> None:
    relay = make()
    call = arrive(relay, STATION)
    relay.forward(STATION, call, 0.0, hold_answer=True)
    assert only(relay.expire(30.0), Unanswered).still_open
    assert relay.answer_locally(STATION, call, b"{}")


def test_a_leg_that_is_down_takes_nothing_and_the_owner_still_has_the_call() -> None:
    relay = make(up=[STATION])
    call = arrive(relay, STATION)
    assert not relay.forward(STATION, call, 0.0)
    assert not relay.forward_and_drop_answer(STATION, call, 0.0)
    assert not relay.call(CSMS, "A", b"{}", 0.0, token=1)
    assert not relay.is_up(CSMS)
    assert relay.answer_locally(STATION, call, b"{}")
    notice = only(relay.receive(CSMS, CALL, 0.0), LegNotice).notice
    assert isinstance(notice, Discarded)
    assert notice.reason is DiscardReason.CLOSED
    assert relay.take(CSMS) == []
    assert relay.leg_lost(CSMS, 0.0) == []


def test_when_the_csms_is_lost_the_owner_gets_back_what_it_owed() -> None:
    relay = make()
    sent, waiting = arrive(relay, STATION), arrive(relay, STATION, b'[2,"s2","StartTransaction",{}]')
    relay.forward(STATION, sent, 0.0)
    relay.forward(STATION, waiting, 0.0)
    relay.call(CSMS, "DataTransfer", b"{}", 0.0, token="own")
    asked, queued = arrive(relay, CSMS, b'[2,"c1","Reset",{}]'), arrive(relay, CSMS, b'[2,"c2","ClearCache",{}]')
    relay.forward(CSMS, asked, 0.0)
    relay.forward(CSMS, queued, 0.0)
    assert relay.leg_lost(CSMS, 1.0) == [
        Unanswered(STATION, sent, abandoned("MeterValues", True), True),
        Unanswered(STATION, waiting, abandoned("StartTransaction", False), True),
        OwnOutcome(CSMS, Abandoned("own", "DataTransfer", False)),
        CallerLost(CSMS, asked, True),
        CallerLost(CSMS, queued, False),
    ]
    assert relay.answer_locally(STATION, sent, b"{}")
    assert relay.refuse(STATION, waiting, Cause.GENERIC)
    relay.take(STATION)
    # The reconnected CSMS uses an old id anew: the old call's answer is not its answer.
    relay.leg_up(CSMS, 2.0)
    anew = arrive(relay, CSMS, b'[2,"c1","GetConfiguration",{}]')
    only(relay.receive(STATION, b'[3,"c1",{}]', 3.0), AnswerDropped)
    assert relay.take(CSMS) == []
    assert relay.forward(CSMS, anew, 3.0)
    assert relay.take(STATION) == [anew.frame]


class _Any:
    """Equals any token: what marks a forwarded call inside the relay is nobody's business."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def abandoned(action: str, sent: bool) -> Abandoned:
    return Abandoned(_Any(), action, sent)


def test_when_the_station_is_lost_what_it_reported_still_goes_up_but_its_open_questions_do_not() -> None:
    relay = make()
    open_call = arrive(relay, STATION, b'[2,"s1","Authorize",{}]')
    withdrawn = arrive(relay, STATION, b'[2,"s2","Authorize",{}]')
    heartbeat = arrive(relay, STATION, b'[2,"s3","Heartbeat",{}]')
    relay.forward(STATION, open_call, 0.0)
    relay.forward(STATION, withdrawn, 0.0)
    relay.answer_locally(STATION, heartbeat, b"{}")
    relay.forward_and_drop_answer(STATION, heartbeat, 0.0)
    events = relay.leg_lost(STATION, 1.0)
    assert events == [CallerLost(STATION, open_call, True), CallerLost(STATION, withdrawn, False)]
    assert relay.take(CSMS) == [open_call.frame]
    only(relay.receive(CSMS, b'[3,"s1",{}]', 1.0), AnswerDropped)
    assert relay.take(CSMS) == [heartbeat.frame]


def test_a_held_answer_whose_caller_is_lost_is_gone() -> None:
    relay = make()
    call = arrive(relay, STATION)
    relay.forward(STATION, call, 0.0, hold_answer=True)
    only(relay.receive(CSMS, RESULT, 0.0), AnswerHeld)
    assert relay.leg_lost(STATION, 1.0) == [CallerLost(STATION, call, True)]
    relay.leg_up(STATION, 2.0)
    assert not relay.release(STATION, call)


def test_a_new_connection_replaces_the_old_one() -> None:
    relay = make()
    relay.call(STATION, "A", b"{}", 0.0, token=1)
    assert relay.leg_up(STATION, 1.0) == [OwnOutcome(STATION, Abandoned(1, "A", True))]
    assert relay.take(STATION) == []


# What ends here


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("text", [b"garbage", b"[9,1]", b'[2,"1","A",{]', b'[3,"1",[]]', b'[3,"1",{}]', b"[" * 9999])
@pytest.mark.parametrize("rules", [FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_WITH_SEND])
def test_what_cannot_be_read_or_answers_nothing_ends_at_the_leg_it_came_from(
    rules: Rules, text: bytes, side: Side
) -> None:
    relay = make(rules)
    event = only(relay.receive(side, text, 0.0), LegNotice)
    assert event.side is side
    assert relay.take(side.other) == []
    assert isinstance(event.notice, Discarded)
    assert len(relay.take(side)) == (1 if event.notice.answered else 0)


@pytest.mark.parametrize("side", BOTH)
def test_a_send_passes_byte_for_byte(side: Side) -> None:
    relay = make(SECOND_GENERATION_WITH_SEND)
    text = b'[6, "1","NotifyPeriodicEventStream",{ "id":1 }]'
    event = only(relay.receive(side, text, 0.0), SendArrived)
    assert relay.pass_send(side, event.send)
    (passed,) = relay.take(side.other)
    assert passed is text
    relay.leg_lost(side.other, 0.0)
    assert not relay.pass_send(side, event.send)


def test_the_refusal_of_a_relayed_answer_is_relayed_and_that_of_ours_is_not() -> None:
    relay = make(SECOND_GENERATION_WITH_SEND)
    relayed = arrive(relay, CSMS, b'[2,"c1","GetVariables",{}]')
    relay.forward(CSMS, relayed, 0.0)
    relay.receive(STATION, b'[3,"c1",{}]', 0.0)
    local = arrive(relay, CSMS, b'[2,"c2","GetCompositeSchedule",{}]')
    relay.answer_locally(CSMS, local, b"{}")
    relay.take(STATION)
    refusal = b'[5, "c1","TypeConstraintViolation","",{}]'
    assert relay.receive(CSMS, refusal, 0.0) == []
    (passed,) = relay.take(STATION)
    assert passed is refusal
    notice = only(relay.receive(CSMS, b'[5,"c2","TypeConstraintViolation","",{}]', 0.0), LegNotice).notice
    assert isinstance(notice, ResultRefused)
    assert notice.action == "GetCompositeSchedule"
    assert relay.take(STATION) == []


# The three of them over a bad wire


@dataclass
class Leg:
    """One side of the relay as an endpoint of the wire."""

    relay: Relay
    side: Side

    def receive(self, data: bytes, now: float) -> list[RelayEvent]:
        return self.relay.receive(self.side, data, now)

    def take(self) -> list[bytes]:
        return self.relay.take(self.side)

    def next_deadline(self) -> float | None:
        return self.relay.next_deadline()

    def expire(self, now: float) -> list[RelayEvent]:
        return self.relay.expire(now)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.4]),
    duplication=st.sampled_from([0.0, 0.3]),
    rules=st.sampled_from([FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_WITH_SEND]),
)
def test_through_a_relay_every_call_is_settled_and_no_answer_goes_astray(
    seed: int, loss: float, duplication: float, rules: Rules
) -> None:
    chance = random.Random(seed)
    relay = make(rules, call_timeout_s=3.0)
    station, csms = Peer(rules, ids("s"), call_timeout_s=3.0), Peer(rules, ids("c"), call_timeout_s=3.0)
    world = World(
        {"station": station, "lower": Leg(relay, STATION), "upper": Leg(relay, CSMS), "csms": csms},
        [("station", "lower"), ("upper", "csms")],
        Fate(seed, 0.0, 2.0, loss, duplication),
    )

    def react(name: str, event: Any, now: float) -> None:
        if isinstance(event, CallReceived):
            peer = station if name == "station" else csms
            if chance.random() < 0.9:
                assert peer.reply(event.message_id, b'{"to":"%b"}' % event.message_id.encode())
        elif isinstance(event, CallArrived):
            verdict = chance.random()
            if verdict < 0.6:
                relay.forward(event.side, event.call, now, priority=chance.randint(0, 1))
            elif verdict < 0.7:
                relay.forward(event.side, event.call, now, hold_answer=True)
            elif verdict < 0.8:
                relay.forward_and_drop_answer(event.side, event.call, now)
                relay.answer_locally(event.side, event.call, b'{"to":"%b"}' % event.call.message_id.encode())
            else:
                relay.refuse(event.side, event.call, Cause.UNSUPPORTED_ACTION)
        elif isinstance(event, AnswerHeld):
            assert relay.release(event.side, event.call)

    world.react = react
    own = 0
    for token in range(12):
        chance.choice([station, csms]).call("Act", b'{"n":%d}' % token, world.now, token=token)
        if chance.random() < 0.5:
            own += relay.call(chance.choice(BOTH), "Own", b"{}", world.now, token=f"own{token}", priority=2)
        world.run(world.now + chance.random() * 2)
    world.run()

    outcomes = (Answered, Refused, TimedOut, Abandoned)
    settled = Counter(e.token for name in ("station", "csms") for e in world.of(name, outcomes))
    assert settled == Counter(range(12))
    for name in ("station", "csms"):
        for event in world.of(name, Answered):
            assert event.payload == b'{"to":"%b"}' % event.message_id.encode()
    events = [h.event for h in world.events]
    assert sum(isinstance(e, OwnOutcome) for e in events) == own
    # Byte for byte: what left one end and passed is exactly what arrived at the other.
    from_ends = {s.frame for s in world.sent if s.name in {"station", "csms"}}
    for sent in world.sent:
        if sent.name in {"lower", "upper"}:
            frame = msgspec.json.decode(sent.frame)
            if str(frame[1]).startswith("own"):
                assert frame[0] == 2, "an answer to a call of ours went to the other side"
            elif frame[0] == 2:
                assert sent.frame in from_ends
