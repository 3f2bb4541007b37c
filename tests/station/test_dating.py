"""What happens before the time is known, in virtual time: it gets its true time once the CSMS has told it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forecourt.domain.clock import Now
from forecourt.domain.events import MeterSampled, SecurityEventReported, TransactionEnded, TransactionStarted
from forecourt.station.dating import DATED_FROM
from forecourt.station.variable_table import (
    ENDED_MEASURANDS,
    MINIMUM_STATUS_DURATION,
    OFFLINE_TX_FOR_UNKNOWN_ID,
    SAMPLED_INTERVAL,
    TIME_SOURCE,
    TX_BEFORE_ACCEPTED,
)
from forecourt.store.journal import MemoryJournal
from tests.station.bench import START, Bench

NO_BATTERY = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)
A_YEAR_BEHIND = START - timedelta(days=365)
VARIABLES = {
    OFFLINE_TX_FOR_UNKNOWN_ID: "true",
    TX_BEFORE_ACCEPTED: "true",
    SAMPLED_INTERVAL: "30",
    ENDED_MEASURANDS: "Energy.Active.Import.Register",
    MINIMUM_STATUS_DURATION: "0",
}


def bench_at(at: datetime, elapsed_s: float = 5000.0, **options: Any) -> Bench:
    variables = {**VARIABLES, **options.pop("variables", {})}
    return Bench(now=Now(elapsed_s, elapsed_s, at), variables=variables, **options)


def tell_time(bench: Bench, now: datetime) -> None:
    """The CSMS has the true time: it is `now`."""
    bench.csms.clock_ahead_s = (now - bench.now.at).total_seconds()
    bench.connect()


def begun(bench: Bench) -> None:
    bench.plug()
    bench.tap(evse_id=1)
    bench.ready()


def ended(bench: Bench) -> None:
    bench.unplug()


@pytest.mark.parametrize(
    ("at", "options"), [(NO_BATTERY, {}), (NO_BATTERY, {"clock_kept": False}), (A_YEAR_BEHIND, {"clock_kept": False})]
)
def test_a_transaction_from_before_the_time_was_known_has_its_true_times(at: datetime, options: Any) -> None:
    bench = bench_at(at, has_security=True, **options)
    begun(bench)
    bench.run(100)
    ended(bench)
    bench.run(50)
    tell_time(bench, START)
    (start,), (end,) = bench.csms.told(TransactionStarted), bench.csms.told(TransactionEnded)
    assert start.at == START - timedelta(seconds=150)
    assert end.at == START - timedelta(seconds=50)
    sampled = [value.at for told in bench.csms.told(MeterSampled) for value in told.meter_values]
    assert sampled == [start.at + timedelta(seconds=30 * number) for number in (1, 2, 3)]
    assert [value.at for value in end.meter_values if value.at < end.at] == [start.at, *sampled]
    events = bench.csms.told(SecurityEventReported)
    assert events[0].at == start.at, "the start of the device"
    assert all(event.at >= DATED_FROM for event in events)
    assert all(entry.at >= DATED_FROM for entry in bench.station.parts.security_log.entries())


def test_a_transaction_that_still_runs_has_them_too() -> None:
    bench = bench_at(NO_BATTERY)
    begun(bench)
    bench.run(100)
    tell_time(bench, START)
    bench.run(15)
    ended(bench)
    (start,), (end,) = bench.csms.told(TransactionStarted), bench.csms.told(TransactionEnded)
    assert (START - start.at, end.at - START) == (timedelta(seconds=100), timedelta(seconds=15))
    assert all(start.at <= value.at <= end.at for value in end.meter_values)
    seconds = sorted({(value.at - start.at).total_seconds() for value in end.meter_values})
    assert seconds == [0, 30, 60, 90, 115]


def test_a_power_cut_before_the_time_was_known_keeps_order_and_distances() -> None:
    bench = bench_at(NO_BATTERY)
    begun(bench)
    bench.run(100)
    ended(bench)
    bench.run(500)
    after = bench_at(NO_BATTERY, 10.0, journal=MemoryJournal(bench.journal.load()), first_id=50)
    after.run(30)
    begun(after)
    after.run(60)
    ended(after)
    tell_time(after, START)
    first, second = after.csms.told(TransactionStarted)
    first_end, second_end = after.csms.told(TransactionEnded)
    assert first_end.at - first.at == timedelta(seconds=100)
    assert second.at - first_end.at == timedelta(seconds=30), "the cut counts as no time"
    assert second_end.at == START


def test_an_open_transaction_goes_on_over_a_power_cut_that_took_the_time() -> None:
    bench = bench_at(START)
    bench.connect()
    begun(bench)
    bench.run(100)
    after = bench_at(NO_BATTERY, 10.0, journal=MemoryJournal(bench.journal.load()), first_id=50)
    after.plug()
    after.run(40)
    tell_time(after, START + timedelta(seconds=400))
    after.run(10)
    ended(after)
    (end,) = after.csms.told(TransactionEnded)
    assert end.at == START + timedelta(seconds=410)
    assert [value.at for value in end.meter_values] == sorted(value.at for value in end.meter_values)


def test_where_the_time_was_known_no_stamp_is_changed() -> None:
    bench = bench_at(START)
    begun(bench)
    bench.run(100)
    ended(bench)
    tell_time(bench, START + timedelta(hours=3))
    assert bench.csms.told(TransactionStarted)[0].at == START


def test_a_station_that_does_not_follow_the_csms_keeps_its_own_time() -> None:
    bench = bench_at(NO_BATTERY, clock_kept=False, variables={TIME_SOURCE: "RealTimeClock"})
    begun(bench)
    tell_time(bench, START)
    assert bench.csms.told(TransactionStarted)[0].at == NO_BATTERY


@pytest.mark.parametrize("days", [1, -1])
def test_a_calendar_set_by_hand_is_right_again_with_the_csms_s_next_answer(days: int) -> None:
    bench = bench_at(START)
    bench.connect()
    begun(bench)
    bench.run(45)
    wrong = timedelta(days=days)
    bench.now = Now(bench.now.protocol_s, bench.now.elapsed_s, bench.now.at + wrong)
    bench.csms.clock_ahead_s = -wrong.total_seconds()
    bench.run(600)
    ended(bench)
    sampled = bench.csms.told(MeterSampled)
    assert len(sampled) == 645 // 30, "intervals don't care"
    assert sampled[-1].meter_values[0].at == START + timedelta(seconds=630)
    assert bench.csms.told(TransactionEnded)[0].at == START + timedelta(seconds=645)
