"""What billing depends on (OCPP 1.6 §3.7, errata §3.18)."""

from itertools import pairwise
from typing import Any

from forecourt.domain import requests as r
from forecourt.domain.events import MeterSampled, Notice, TransactionEnded, TransactionStarted
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.inputs import CallFailure
from forecourt.station.variable_table import (
    MESSAGE_ATTEMPT_INTERVAL,
    MESSAGE_ATTEMPTS,
    OFFLINE_TX_FOR_UNKNOWN_ID,
    SAMPLED_INTERVAL,
)
from tests.station.bench import ALICE, TWO, Bench

BILLING = (TransactionStarted, MeterSampled, TransactionEnded)


def billing(bench: Bench) -> list[str]:
    """Which billing messages the CSMS took, in order."""
    return [
        type(call.events[0]).__name__
        for call in bench.csms.calls
        if isinstance(call, Notice) and isinstance(call.events[0], BILLING)
    ]


def refusing(kind: type, failure: CallFailure = CallFailure.ERROR) -> Any:
    return lambda call: failure if isinstance(call, Notice) and isinstance(call.events[0], kind) else None


def transmissions(bench: Bench, kind: type) -> list[float]:
    """When messages of this kind left, in seconds since the bench was set up."""
    return [
        at
        for at, effect in bench.dated
        if isinstance(effect, e.Send) and isinstance(effect.call, Notice) and isinstance(effect.call.events[0], kind)
    ]


def test_a_message_is_persisted_before_it_leaves() -> None:
    bench = Bench()
    bench.connect()
    bench.plug()
    effects = bench.tap()
    sent = [
        n
        for n, x in enumerate(effects)
        if isinstance(x, e.Send) and isinstance(x.call, Notice) and isinstance(x.call.events[0], TransactionStarted)
    ]
    kept = [
        n
        for n, x in enumerate(effects)
        if isinstance(x, e.Persist) and any(change.section == "outbox" for change in x.changes)
    ]
    assert kept[0] < sent[0]


def test_retries_wait_the_interval_times_the_transmissions_then_the_message_is_set_aside() -> None:
    """The example of §3.7.1: three attempts, 60 s."""
    bench = Bench()
    bench.connect()
    bench.set(MESSAGE_ATTEMPTS, "3")
    bench.set(MESSAGE_ATTEMPT_INTERVAL, "60")
    bench.set(SAMPLED_INTERVAL, "0")
    bench.charging()
    bench.csms.refuses = refusing(TransactionEnded)
    start = bench.now.elapsed_s
    bench.tap(ALICE, 1)
    bench.run(1000)
    assert [at - start for at in transmissions(bench, TransactionEnded)] == [0, 60, 180]
    assert [entry.part for entry in bench.station.parts.outbox.set_aside] == ["end"]
    assert bench.took(e.SetAside)[0].transaction_id == "own-1"
    assert bench.station.parts.outbox.depth == 0
    bench.csms.refuses = lambda _: None
    bench.charging(2)
    assert billing(bench) == ["TransactionStarted", "TransactionStarted"], "the queue goes on"
    bench.tell(i.ResendWanted())
    assert billing(bench)[-1] == "TransactionEnded"
    assert len(bench.station.parts.outbox.set_aside) == 0
    assert "set_aside" not in bench.journal.load()


def test_zero_attempts_means_for_ever() -> None:
    bench = Bench()
    bench.connect()
    bench.set(MESSAGE_ATTEMPTS, "0")
    bench.set(MESSAGE_ATTEMPT_INTERVAL, "1")
    bench.charging()
    bench.csms.refuses = refusing(TransactionEnded)
    bench.tap(ALICE, 1)
    bench.run(1000)
    assert len(transmissions(bench, TransactionEnded)) > 20
    bench.csms.refuses = lambda _: None
    bench.run(100)
    assert billing(bench)[-1] == "TransactionEnded"


def test_silence_is_no_refusal() -> None:
    """A message may be skipped if and only if the CSMS reports that it can't process it (§3.7.1)."""
    bench = Bench()
    bench.connect()
    bench.set(MESSAGE_ATTEMPTS, "2")
    bench.set(MESSAGE_ATTEMPT_INTERVAL, "10")
    bench.charging()
    bench.csms.refuses = refusing(TransactionEnded, CallFailure.TIMEOUT)
    bench.tap(ALICE, 1)
    bench.run(3000)
    assert not bench.station.parts.outbox.set_aside
    bench.csms.refuses = lambda _: None
    bench.run(101)
    assert billing(bench)[-1] == "TransactionEnded"


def test_being_offline_uses_up_no_attempt() -> None:
    bench = Bench()
    bench.charging()
    bench.set(MESSAGE_ATTEMPTS, "1")
    bench.csms.silent = True
    bench.tap(ALICE, 1)
    for _ in range(5):
        bench.disconnect()
        bench.connect()
    assert not bench.station.parts.outbox.set_aside
    bench.disconnect()
    bench.csms.silent = False
    bench.connect()
    assert billing(bench)[-1] == "TransactionEnded"


def test_tc_036_meter_values_of_an_outage_arrive_in_order_and_before_new_ones() -> None:
    bench = Bench()
    bench.charging()
    bench.disconnect()
    bench.run(200)
    bench.connect()
    bench.run(60)
    values = bench.csms.told(MeterSampled)
    instants = [value.meter_values[0].at for value in values]
    assert len(instants) == 4
    assert {(b - a).total_seconds() for a, b in pairwise(instants)} == {60.0}
    assert all(value.transaction_id == "own-1" for value in values)


def test_ids_learnt_late_apply_to_what_is_queued() -> None:
    bench = Bench()
    bench.connect()
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    bench.disconnect()
    bench.charging_offline()
    bench.run(60)
    bench.tap(ALICE, 1)
    known: list[tuple[str, str | None]] = []
    bench.csms.seen = lambda call: known.append((type(call.events[0]).__name__, bench.station.csms_id_of("own-1")))
    bench.connect()
    assert [pair for pair in known if pair[0] in {kind.__name__ for kind in BILLING}] == [
        ("TransactionStarted", None),
        ("MeterSampled", "101"),
        ("TransactionEnded", "101"),
    ]
    assert "transaction_id" not in bench.journal.load(), "forgotten with the last message"


def test_after_a_start_was_set_aside_the_rest_is_told_with_the_id_minus_one() -> None:
    """Errata §3.18."""
    bench = Bench()
    bench.connect()
    bench.set(MESSAGE_ATTEMPTS, "1")
    bench.csms.refuses = refusing(TransactionStarted)
    bench.charging()
    assert bench.station.csms_id_of("own-1") == "-1"
    bench.run(61)
    bench.tap(ALICE, 1)
    assert billing(bench) == ["MeterSampled", "TransactionEnded"]
    bench.csms.refuses = lambda _: None
    bench.tell(i.ResendWanted(bench.station.parts.outbox.set_aside[0].seq))
    assert billing(bench)[-1] == "TransactionStarted"


def test_where_the_station_issues_ids_they_are_known_from_the_start() -> None:
    bench = Bench(TWO)
    assert bench.station.csms_id_of("own-1") == "own-1"
    bench.charging()
    assert bench.ask(r.RequestStopTransaction(transaction_id="own-1")).outcome == "Accepted"
    numbers = [call.sequence.seq_no for call in bench.csms.calls if isinstance(call, Notice) and call.sequence]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 3


def test_ordinary_messages_are_dropped_offline_billing_ones_never() -> None:
    bench = Bench()
    bench.charging()
    bench.disconnect()
    bench.tell(i.FaultRaised(1, i.Fault(fault_id="x")))
    bench.tap(ALICE, 1)
    assert not any(isinstance(effect, e.Send) for effect in bench.effects[-5:])
    assert bench.station.parts.outbox.depth == 1


def test_one_message_at_a_time() -> None:
    bench = Bench()
    bench.charging()
    bench.csms.silent = True
    bench.run(300)
    assert (
        len([x for x in bench.unanswered if isinstance(x.call, Notice) and isinstance(x.call.events[0], BILLING)]) == 1
    )
    assert bench.station.parts.outbox.depth == 5


def test_an_answer_for_something_else_changes_nothing() -> None:
    bench = Bench()
    bench.charging()
    bench.csms.silent = True
    bench.tap(ALICE, 1)
    sent = next(x for x in bench.unanswered if isinstance(x.call, Notice) and isinstance(x.call.events[0], BILLING))
    bench.tell(i.CallAnswered(99_999, r.AuthorizeAnswer(id_token_info=bench.csms.info(ALICE))))
    bench.tell(i.CallFailed(99_999, CallFailure.ERROR))
    assert bench.station.parts.outbox.depth == 1
    bench.tell(i.CallFailed(sent.call_id, CallFailure.INEXPRESSIBLE))
    assert len(bench.station.parts.outbox.set_aside) == 1
