"""One end of a connection, requirement by requirement (OCPP-J 1.6, 2.0.1, 2.1: §4.1 to §4.4)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest

from forecourt.rpc.errors import FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_WITH_SEND, Cause, Rules
from forecourt.rpc.events import (
    Abandoned,
    Answered,
    CallReceived,
    Discarded,
    DiscardReason,
    PeerEvent,
    Refused,
    ResultRefused,
    SendReceived,
    TimedOut,
)
from forecourt.rpc.peer import Peer

ALL = [FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_WITH_SEND]
SECOND = [SECOND_GENERATION, SECOND_GENERATION_WITH_SEND]
E = TypeVar("E")


def ids(prefix: str = "o") -> Callable[[], str]:
    counter = itertools.count(1)
    return lambda: f"{prefix}{next(counter)}"


def make(rules: Rules = FIRST_GENERATION, **limits: Any) -> Peer:
    return Peer(rules, ids(), **limits)


def only(events: list[PeerEvent], kind: type[E]) -> E:
    (event,) = events
    assert isinstance(event, kind), event
    return event


def taken(peer: Peer) -> list[Any]:
    return [msgspec.json.decode(frame) for frame in peer.take()]


# Calls of the other end


@pytest.mark.parametrize("rules", ALL)
def test_a_call_goes_up_and_its_answer_comes_down(rules: Rules) -> None:
    peer = make(rules)
    text = b'[2,"1","Heartbeat",{ "x":1 }]'
    call = only(peer.receive(text, 0.0), CallReceived)
    assert (call.message_id, call.action, call.payload) == ("1", "Heartbeat", b'{ "x":1 }')
    assert call.frame is text
    assert peer.reply("1", b'{"currentTime":"now"}')
    assert peer.take() == [b'[3,"1",{"currentTime":"now"}]']
    assert peer.take() == []


def test_an_answer_to_a_call_that_is_not_open_is_not_sent() -> None:
    peer = make()
    assert not peer.reply("1", b"{}")
    peer.receive(b'[2,"1","Heartbeat",{}]', 0.0)
    assert peer.reply_error("1", Cause.INTERNAL)
    assert not peer.reply("1", b"{}")
    assert not peer.reply_error("1", Cause.INTERNAL)
    assert taken(peer) == [[4, "1", "InternalError", "", {}]]


def test_a_call_error_has_the_code_of_the_rules_and_at_most_255_characters_of_description() -> None:
    for rules, code in (
        (FIRST_GENERATION, "OccurenceConstraintViolation"),
        (SECOND[0], "OccurrenceConstraintViolation"),
    ):
        peer = make(rules)
        peer.receive(b'[2,"1","A",{}]', 0.0)
        peer.reply_error("1", Cause.OCCURRENCE, "x" * 1000, b'{"path":"$.a"}')
        assert taken(peer) == [[4, "1", code, "x" * 255, {"path": "$.a"}]]


@pytest.mark.parametrize("rules", ALL)
def test_calls_sent_without_waiting_for_answers_are_processed_up_to_a_bound(rules: Rules) -> None:
    peer = make(rules, max_open_incoming=3, answer_window_s=60.0)
    for n in range(3):
        only(peer.receive(b'[2,"%d","A",{}]' % n, 0.0), CallReceived)
    assert only(peer.receive(b'[2,"3","A",{}]', 1.0), Discarded).reason is DiscardReason.REFUSED
    assert taken(peer)[0][:3] == [4, "3", "GenericError"]
    peer.reply("0", b"{}")
    only(peer.receive(b'[2,"4","A",{}]', 2.0), CallReceived)
    # Calls nobody will answer any more don't lock the connection for ever.
    only(peer.receive(b'[2,"5","A",{}]', 61.0), CallReceived)
    assert not peer.reply("1", b"{}")
    assert peer.reply("4", b"{}")
    assert peer.reply("5", b"{}")


def test_an_id_that_is_being_processed_is_refused_where_ids_must_never_repeat() -> None:
    """OCPP-J 1.6 §4.2.3: "an existing call with the same unique identifier is being handled already"."""
    peer = make(FIRST_GENERATION)
    peer.receive(b'[2,"1","A",{}]', 0.0)
    assert only(peer.receive(b'[2,"1","A",{}]', 0.0), Discarded).answered
    assert taken(peer)[0][:3] == [4, "1", "GenericError"]
    assert peer.reply("1", b"{}")


@pytest.mark.parametrize("rules", SECOND)
def test_a_retry_under_the_same_id_is_served_by_the_one_pending_answer(rules: Rules) -> None:
    """OCPP-J 2.x §4.1.4: a retried message MAY keep its id."""
    peer = make(rules)
    peer.receive(b'[2,"1","A",{"x":1}]', 0.0)
    retry = only(peer.receive(b'[2,"1","A",{"x":1}]', 30.0), Discarded)
    assert (retry.reason, retry.answered) == (DiscardReason.DUPLICATE, False)
    assert peer.take() == []
    assert only(peer.receive(b'[2,"1","A",{"x":2}]', 31.0), Discarded).reason is DiscardReason.REFUSED
    assert taken(peer)[0][:3] == [4, "1", "RpcFrameworkError"]
    assert peer.reply("1", b"{}")


@pytest.mark.parametrize("rules", ALL)
def test_an_id_that_was_answered_may_come_again(rules: Rules) -> None:
    peer = make(rules)
    for _ in range(3):
        only(peer.receive(b'[2,"1","A",{}]', 0.0), CallReceived)
        assert peer.reply("1", b"{}")


@pytest.mark.parametrize(
    ("rules", "code"), [(ALL[0], "FormationViolation"), (ALL[1], "RpcFrameworkError"), (ALL[2], "RpcFrameworkError")]
)
def test_an_id_that_is_too_long_is_refused(rules: Rules, code: str) -> None:
    peer = make(rules)
    only(peer.receive(b'[2,"%b","A",{}]' % (b"i" * 36), 0.0), CallReceived)
    only(peer.receive(b'[2,"%b","A",{}]' % (b"i" * 37), 0.0), Discarded)
    assert taken(peer)[0][:3] == [4, "i" * 37, code]
    only(peer.receive(b'[2,"%b","A",{}]' % (b"i" * 100_000), 0.0), Discarded)
    answers = taken(peer)
    assert [a[1] for a in answers] == ([] if rules.unreadable_id is None else ["-1"])


def test_the_length_of_an_id_counts_characters_not_bytes() -> None:
    only(make().receive('[2,"{}","A",{{}}]'.format("ä" * 36).encode(), 0.0), CallReceived)


# What can't be read


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b"{}", b"null", b'[2,7,"A",{}]', b"\xff\xfe", b"[" * 99_999])
def test_a_frame_without_a_readable_id_meets_silence_or_the_id_minus_one(text: bytes) -> None:
    """OCPP-J 2.x §4.2.3; 1.6 has no such answer."""
    first = make(FIRST_GENERATION)
    assert only(first.receive(text, 0.0), Discarded).reason is DiscardReason.UNREADABLE
    assert first.take() == []
    for rules in SECOND:
        peer = make(rules)
        assert only(peer.receive(text, 0.0), Discarded).answered
        assert taken(peer)[0][:3] == [4, "-1", "RpcFrameworkError"]


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        (b'[2,"1","A",{"a":}]', "FormationViolation", "FormatViolation"),
        (b'[2,"1","A",{"a":"\xff"}]', "FormationViolation", "FormatViolation"),
        (b'[2,"1","A",' + b"[" * 99_999, "FormationViolation", "FormatViolation"),
        (b'[2,"1","A",[]]', "FormationViolation", "ProtocolError"),
        (b'[2,"1","A"]', "FormationViolation", "RpcFrameworkError"),
        (b'[2,"1","A",{},{}]', "FormationViolation", "RpcFrameworkError"),
        (b'[2,"1",{},"A"]', "FormationViolation", "RpcFrameworkError"),
    ],
)
def test_a_call_that_breaks_the_frame_is_refused_under_its_id(text: bytes, first: str, second: str) -> None:
    for rules, code in ((ALL[0], first), (ALL[1], second), (ALL[2], second)):
        peer = make(rules)
        assert only(peer.receive(text, 0.0), Discarded).answered
        assert taken(peer)[0][:3] == [4, "1", code]


@pytest.mark.parametrize("rules", ALL)
def test_a_broken_frame_under_an_open_id_is_not_refused_under_that_id(rules: Rules) -> None:
    peer = make(rules)
    peer.receive(b'[2,"1","A",{}]', 0.0)
    only(peer.receive(b'[2,"1","A",{]', 0.0), Discarded)
    assert [a[1] for a in taken(peer)] == ([] if rules.unreadable_id is None else ["-1"])
    assert peer.reply("1", b"{}")


@pytest.mark.parametrize(
    "text", [b'[9,"1",{}]', b'[0,"1","A",{}]', b'[7,"1"]', b'[6,"1","A",{}]', b'[5,"1","GenericError","",{}]']
)
def test_an_unknown_message_type_is_ignored_or_refused(text: bytes) -> None:
    """OCPP-J 1.6 §4.1.3 and 2.1 §4.4 ignore it, 2.0.1 §4.4 answers MessageTypeNotSupported."""
    first = make(FIRST_GENERATION)
    assert only(first.receive(text, 0.0), Discarded).reason is DiscardReason.UNKNOWN_TYPE
    assert first.take() == []
    second = make(SECOND_GENERATION)
    assert only(second.receive(text, 0.0), Discarded).reason is DiscardReason.UNKNOWN_TYPE
    assert taken(second)[0][:3] == [4, "1", "MessageTypeNotSupported"]
    if text[1:2] not in b"56":
        third = make(SECOND_GENERATION_WITH_SEND)
        assert only(third.receive(text, 0.0), Discarded).reason is DiscardReason.UNKNOWN_TYPE
        assert third.take() == []


def test_an_unknown_message_type_without_an_id_is_refused_under_minus_one() -> None:
    peer = make(SECOND_GENERATION)
    peer.receive(b"[9,{}]", 0.0)
    assert taken(peer)[0][:3] == [4, "-1", "MessageTypeNotSupported"]


@pytest.mark.parametrize(("rules", "code"), [(ALL[0], "FormationViolation"), (ALL[1], "FormatViolation")])
def test_a_frame_over_the_size_limit_is_refused_by_its_head(rules: Rules, code: str) -> None:
    peer = make(rules, max_frame_bytes=1000)
    exact = b'[2,"1","A",{"a":"' + b"x" * 980 + b'"}]'
    assert len(exact) == 1000
    only(peer.receive(exact, 0.0), CallReceived)
    event = only(peer.receive(b'[2,"2","A",{"a":"' + b"x" * 90_000 + b'"}]', 0.0), Discarded)
    assert event.reason is DiscardReason.TOO_LARGE
    assert len(event.frame) <= 1024
    assert taken(peer)[0][:3] == [4, "2", code]


@pytest.mark.parametrize("rules", ALL)
def test_an_answer_over_the_size_limit_ends_the_call_it_answers(rules: Rules) -> None:
    peer = make(rules, max_frame_bytes=1000)
    peer.call("GetLog", b"{}", 0.0, token="t")
    peer.call("Next", b"{}", 0.0, token="n")
    peer.take()
    event = only(peer.receive(b'[3,"o1",{"a":"' + b"x" * 9_000 + b'"}]', 1.0), Refused)
    assert (event.token, event.cause, event.from_peer) == ("t", Cause.TOO_LARGE, False)
    assert [2, "o2", "Next", {}] in taken(peer)


@pytest.mark.parametrize("rules", ALL)
def test_answers_are_never_answered_with_a_call_error(rules: Rules) -> None:
    peer = make(rules)
    for text in (b'[3,"x",[]]', b'[3,"x"]', b"[3,1,{}]", b"[4]", b"[4,{}]", b'[4,"-1","RpcFrameworkError","",{}]'):
        only(peer.receive(text, 0.0), Discarded)
    assert peer.take() == []


# Calls of our own


def test_one_call_is_open_and_the_others_wait_by_priority_then_in_order() -> None:
    peer = make()
    for token, priority in (("a", 0), ("b", 0), ("c", 5), ("d", 0), ("e", 5), ("f", -1)):
        assert peer.call(token, b"{}", 0.0, token=token, priority=priority)
    order = []
    for _ in range(6):
        ((_, message_id, action, _),) = taken(peer)
        order.append(action)
        assert peer.open_call == message_id
        answered = only(peer.receive(b'[3,"%b",{}]' % message_id.encode(), 2.5), Answered)
        assert answered.token == action
    assert order == ["a", "c", "e", "b", "d", "f"]
    assert peer.open_call is None
    assert peer.take() == []


def test_answers_and_sends_are_not_held_back_by_an_open_call() -> None:
    peer = make(SECOND_GENERATION_WITH_SEND)
    peer.call("A", b"{}", 0.0, token=1)
    peer.receive(b'[2,"1","B",{}]', 0.0)
    peer.reply("1", b"{}")
    peer.send("Stream", b"{}")
    assert [frame[0] for frame in taken(peer)] == [2, 3, 6]


def test_an_answer_tells_what_it_answers_and_how_long_it_took() -> None:
    peer = make()
    token = object()
    peer.call("Reset", b'{"type":"Soft"}', 10.0, token=token)
    assert peer.take() == [b'[2,"o1","Reset",{"type":"Soft"}]']
    text = b'[3,"o1",{"status":"Accepted"}]'
    event = only(peer.receive(text, 10.5), Answered)
    assert event.token is token
    assert event.frame is text
    assert (event.action, event.payload, event.elapsed_s) == ("Reset", b'{"status":"Accepted"}', 0.5)


@pytest.mark.parametrize("code", ["OccurenceConstraintViolation", "OccurrenceConstraintViolation"])
def test_a_call_error_refuses_the_call(code: str) -> None:
    peer = make()
    peer.call("Reset", b"{}", 0.0, token=1)
    event = only(peer.receive(b'[4,"o1","%b","why",{"a":1}]' % code.encode(), 0.0), Refused)
    assert (event.code, event.cause, event.description, event.details) == (code, Cause.OCCURRENCE, "why", b'{"a":1}')
    assert event.from_peer


@pytest.mark.parametrize("text", [b'[3,"o1",[]]', b'[3,"o1"]', b'[3,"o1",{"a":}]', b'[3,"o1",{},1]'])
@pytest.mark.parametrize("rules", ALL)
def test_an_answer_that_cannot_be_read_ends_the_call_at_once(rules: Rules, text: bytes) -> None:
    peer = make(rules)
    peer.call("Reset", b"{}", 0.0, token=1)
    peer.take()
    assert not only(peer.receive(text, 0.0), Refused).from_peer
    told = taken(peer)
    assert [frame[:2] for frame in told] == ([[5, "o1"]] if rules is SECOND_GENERATION_WITH_SEND else [])


def test_the_timeout_counts_from_when_the_call_leaves_and_frees_the_way() -> None:
    peer = make(call_timeout_s=30.0)
    peer.call("A", b"{}", 0.0, token="a")
    peer.call("B", b"{}", 0.0, token="b", timeout_s=5.0)
    peer.take()
    assert peer.next_deadline() == 30.0
    assert peer.expire(29.999) == []
    assert only(peer.expire(30.0), TimedOut).token == "a"
    assert taken(peer) == [[2, "o2", "B", {}]]
    assert peer.next_deadline() == 35.0
    late = only(peer.receive(b'[3,"o1",{}]', 31.0), Discarded)
    assert (late.reason, late.token) == (DiscardReason.LATE, "a")
    assert only(peer.receive(b'[3,"o1",{}]', 31.0), Discarded).reason is DiscardReason.DUPLICATE
    assert only(peer.receive(b'[3,"o2",{}]', 32.0), Answered).token == "b"
    assert peer.next_deadline() is None


def test_answers_that_come_twice_or_for_nothing_are_discarded() -> None:
    peer = make()
    peer.call("A", b"{}", 0.0, token=1)
    assert only(peer.receive(b'[3,"zz",{}]', 0.0), Discarded).reason is DiscardReason.UNKNOWN_ID
    only(peer.receive(b'[3,"o1",{}]', 0.0), Answered)
    assert only(peer.receive(b'[3,"o1",{}]', 0.0), Discarded).reason is DiscardReason.DUPLICATE
    assert only(peer.receive(b'[4,"o1","GenericError","",{}]', 0.0), Discarded).reason is DiscardReason.DUPLICATE


def test_a_call_error_for_something_the_other_end_could_not_read_ends_no_call() -> None:
    peer = make(SECOND_GENERATION)
    peer.call("A", b"{}", 0.0, token=1)
    event = only(peer.receive(b'[4,"-1","RpcFrameworkError","eh",{}]', 0.0), Discarded)
    assert event.reason is DiscardReason.PEER_COULD_NOT_READ
    only(peer.receive(b'[3,"o1",{}]', 0.0), Answered)


def test_a_full_queue_takes_only_what_is_more_urgent_and_tells_who_gave_way() -> None:
    peer = make(max_queue=2)
    for token in ("open", "first", "second"):
        assert peer.call("A", b"{}", 0.0, token=token)
    assert not peer.call("A", b"{}", 1.0, token="no", priority=0)
    assert peer.call("Urgent", b"{}", 2.0, token="urgent", priority=1)
    assert peer.next_deadline() == 2.0
    assert only(peer.expire(2.0), Abandoned) == Abandoned("second", "A", sent=False)
    assert peer.next_deadline() == 30.0
    peer.take()
    peer.receive(b'[3,"o1",{}]', 3.0)
    assert taken(peer)[0][2] == "Urgent"


def test_a_cancelled_call_has_no_outcome_and_an_open_one_still_occupies_the_way() -> None:
    peer = make()
    for token in ("a", "b", "c"):
        peer.call(token, b"{}", 0.0, token=token)
    peer.take()
    assert peer.cancel("b")
    assert not peer.cancel("b")
    assert peer.cancel("a")
    assert not peer.cancel("a")
    assert peer.take() == []
    assert only(peer.receive(b'[3,"o1",{}]', 1.0), Discarded).reason is DiscardReason.LATE
    assert taken(peer) == [[2, "o3", "c", {}]]
    assert peer.cancel("c")
    assert peer.expire(31.0) == []
    assert peer.next_deadline() is None


def test_closing_abandons_every_call_and_forgets_the_rest() -> None:
    peer = make()
    for token in ("a", "b"):
        peer.call("A", b"{}", 0.0, token=token)
    peer.call("A", b"{}", 0.0, token="c", priority=1)
    peer.receive(b'[2,"1","B",{}]', 0.0)
    events = peer.close(1.0)
    assert events == [Abandoned("a", "A", True), Abandoned("c", "A", False), Abandoned("b", "A", False)]
    assert peer.close(1.0) == []
    assert not peer.reply("1", b"{}")
    assert not peer.call("A", b"{}", 1.0, token="d")
    assert not peer.send("A", b"{}")
    assert only(peer.receive(b'[2,"2","B",{}]', 1.0), Discarded).reason is DiscardReason.CLOSED
    assert peer.take() == []
    assert peer.next_deadline() is None


def test_ids_in_use_or_too_long_are_not_used() -> None:
    offered = iter(["x", "x", "y" * 37, "y", "x", "z"])
    peer = Peer(FIRST_GENERATION, lambda: next(offered))
    for token in range(3):
        peer.call("A", b"{}", 0.0, token=token)
    for expected in ("x", "y", "z"):
        assert taken(peer)[0][1] == expected
        peer.receive(b'[3,"%b",{}]' % expected.encode(), 0.0)


def test_a_source_of_ids_that_repeats_itself_is_a_programming_error() -> None:
    peer = Peer(FIRST_GENERATION, lambda: "same")
    peer.call("A", b"{}", 0.0, token=1)
    with pytest.raises(ValueError, match="new_id"):
        peer.call("A", b"{}", 0.0, token=2)


# SEND and CALLRESULTERROR


def test_a_send_goes_up_and_is_never_answered() -> None:
    peer = make(SECOND_GENERATION_WITH_SEND)
    event = only(peer.receive(b'[6,"1","NotifyPeriodicEventStream",{"id":1}]', 0.0), SendReceived)
    assert (event.action, event.payload) == ("NotifyPeriodicEventStream", b'{"id":1}')
    assert not peer.reply("1", b"{}")
    for text in (b'[6,"1","A",[]]', b'[6,"1"]', b'[6,"1","A",{]', b"[6]"):
        only(peer.receive(text, 0.0), Discarded)
    assert peer.take() == []


@pytest.mark.parametrize("rules", [FIRST_GENERATION, SECOND_GENERATION])
def test_what_the_rules_do_not_have_is_not_sent(rules: Rules) -> None:
    peer = make(rules)
    assert not peer.send("A", b"{}")
    assert not peer.reply_result_error("1", Cause.TYPE)
    assert peer.take() == []


def test_an_answer_can_be_refused_both_ways() -> None:
    ours, theirs = make(SECOND_GENERATION_WITH_SEND), make(SECOND_GENERATION_WITH_SEND)
    ours.call("GetVariables", b"{}", 0.0, token=1)
    (call_frame,) = ours.take()
    call = only(theirs.receive(call_frame, 0.0), CallReceived)
    theirs.reply(call.message_id, b'{"bad":1}')
    (answer_frame,) = theirs.take()
    answer = only(ours.receive(answer_frame, 0.0), Answered)
    assert ours.reply_result_error(answer.message_id, Cause.OCCURRENCE, "getVariableResult is missing")
    (refusal_frame,) = ours.take()
    refusal = only(theirs.receive(refusal_frame, 0.0), ResultRefused)
    assert (refusal.action, refusal.cause, refusal.code) == (
        "GetVariables",
        Cause.OCCURRENCE,
        "OccurrenceConstraintViolation",
    )
    assert only(theirs.receive(refusal_frame, 0.0), ResultRefused).action == ""
    assert theirs.take() == []
