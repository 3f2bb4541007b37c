"""Meter values (OCPP 1.6 §3.16, §4.7, §9.1)."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forecourt.domain import requests as r
from forecourt.domain.clock import Now
from forecourt.domain.events import MeterSampled, TransactionEnded
from forecourt.domain.meter import (
    Measurand,
    MeasuredPhase,
    MeterValue,
    ReadingContext,
    SampledValue,
    SignedMeterValue,
)
from forecourt.domain.requests import TriggeredMessage
from forecourt.station import inputs as i
from forecourt.station.variable_table import (
    ALIGNED_ENDED_MEASURANDS,
    ALIGNED_INTERVAL,
    ALIGNED_MEASURANDS,
    ENDED_INTERVAL,
    ENDED_MEASURANDS,
    ENDED_MOST_VALUES,
    SAMPLED_INTERVAL,
    SAMPLED_MEASURANDS,
)
from tests.station.bench import ALICE, START, TWO, Bench

ENERGY = Measurand.ENERGY_ACTIVE_IMPORT_REGISTER


def sampled(bench: Bench) -> list[MeterSampled]:
    return bench.csms.told(MeterSampled)


def contexts(values: tuple[MeterValue, ...]) -> list[str]:
    return [sample.context.value for value in values for sample in value.samples]


def test_tc_070_sampled_values() -> None:
    bench = Bench()
    bench.connect()
    bench.set(SAMPLED_INTERVAL, "10")
    bench.set(SAMPLED_MEASURANDS, "Energy.Active.Import.Register,Power.Active.Import,Current.Offered")
    bench.charging()
    start = bench.now.at
    bench.run(35)
    values = [event.meter_values[0] for event in sampled(bench)]
    assert [(value.at - start).total_seconds() for value in values] == [10, 20, 30]
    assert {sample.context for value in values for sample in value.samples} == {ReadingContext.SAMPLE_PERIODIC}
    assert [(sample.measurand.value, sample.value) for sample in values[0].samples] == [
        ("Energy.Active.Import.Register", 1020.0),
        ("Power.Active.Import", 7200.0),
        ("Current.Offered", 32.0),
    ]


def test_an_empty_list_means_the_energy_register_and_zero_means_none() -> None:
    bench = Bench()
    bench.connect()
    bench.set(SAMPLED_MEASURANDS, "")
    bench.charging()
    bench.run(60)
    assert [sample.measurand for sample in sampled(bench)[0].meter_values[0].samples] == [ENERGY]
    bench.set(SAMPLED_INTERVAL, "0")
    bench.run(600)
    assert len(sampled(bench)) == 1


def test_tc_071_clock_aligned_values_from_midnight() -> None:
    bench = Bench()  # it is 11:59:30
    bench.connect()
    bench.set(SAMPLED_INTERVAL, "0")
    bench.set(ALIGNED_INTERVAL, "900")
    bench.charging()
    bench.run(1900)
    aligned = [event for event in sampled(bench) if event.evse_id == 1]
    assert [event.meter_values[0].at for event in aligned] == [
        datetime(2025, 6, 2, 12, minute, tzinfo=UTC) for minute in (0, 15, 30)
    ]
    assert all(event.transaction_id == "own-1" for event in aligned)
    assert contexts(aligned[0].meter_values) == ["Sample.Clock"]
    idle = [event for event in sampled(bench) if event.evse_id == 2]
    assert [event.transaction_id for event in idle] == [None] * 3, "the energy measured at rest is told as well"


def test_intervals_that_do_not_divide_the_day_begin_anew_at_midnight() -> None:
    bench = Bench()
    bench.connect()
    bench.set(ALIGNED_INTERVAL, "50000")
    bench.run(86_400)
    instants = sorted({event.meter_values[0].at for event in sampled(bench)})
    assert instants == [
        datetime(2025, 6, 2, tzinfo=UTC) + timedelta(seconds=50_000),
        datetime(2025, 6, 3, tzinfo=UTC),
    ]


def test_a_clock_set_back_repeats_no_aligned_value_out_of_turn() -> None:
    bench = Bench()
    bench.connect()
    bench.set(ALIGNED_INTERVAL, "900")
    bench.run(40)
    bench.csms.clock_ahead_s = -7200.0
    bench.ask(r.TriggerMessage(requested_message=TriggeredMessage.HEARTBEAT))
    bench.run(900)
    instants = sorted({event.meter_values[0].at for event in sampled(bench)})
    assert instants == [datetime(2025, 6, 2, 10, 15, tzinfo=UTC), datetime(2025, 6, 2, 12, 0, tzinfo=UTC)]


def test_values_for_the_end_of_the_transaction() -> None:
    bench = Bench()
    bench.connect()
    bench.set(SAMPLED_INTERVAL, "30")
    bench.set(ENDED_MEASURANDS, "Energy.Active.Import.Register,Power.Active.Import")
    bench.set(ALIGNED_INTERVAL, "60")
    bench.set(ALIGNED_ENDED_MEASURANDS, "Energy.Active.Import.Register")
    bench.charging()
    bench.run(45)
    bench.tap(ALICE, 1)
    values = bench.csms.told(TransactionEnded)[0].meter_values
    assert contexts(values) == [
        *["Transaction.Begin"] * 2,
        "Sample.Clock",
        *["Sample.Periodic"] * 2,
        *["Transaction.End"] * 2,
        "Transaction.End",
    ]
    assert values[-1].samples == (SampledValue(1090.0, context=ReadingContext.TRANSACTION_END),)


def test_empty_lists_put_nothing_but_the_register_into_the_end() -> None:
    """§3.16.5."""
    for bench in (Bench(), Bench(TWO)):
        bench.charging()
        bench.run(100)
        bench.tap(ALICE, 1)
        (value,) = bench.csms.told(TransactionEnded)[0].meter_values
        assert [(sample.measurand, sample.value) for sample in value.samples] == [(ENERGY, 1200.0)]


def test_where_the_register_has_no_field_of_its_own_it_is_told_once() -> None:
    bench = Bench(TWO)
    bench.connect()
    bench.set(ENDED_MEASURANDS, "Energy.Active.Import.Register,Power.Active.Import")
    bench.charging()
    bench.tap(ALICE, 1)
    values = bench.csms.told(TransactionEnded)[0].meter_values
    assert [sample.measurand for sample in values[-1].samples] == [ENERGY, Measurand.POWER_ACTIVE_IMPORT]
    assert len(values) == 2


def test_too_many_values_for_the_end_are_thinned_and_keep_first_and_last() -> None:
    bench = Bench(variables={ENDED_MOST_VALUES: "10"})
    bench.connect()
    bench.set(ENDED_INTERVAL, "10")
    bench.set(ENDED_MEASURANDS, "Energy.Active.Import.Register")
    bench.charging()
    bench.run(1000)
    bench.tap(ALICE, 1)
    values = bench.csms.told(TransactionEnded)[0].meter_values
    assert len(values) <= 11
    found = contexts(values)
    assert (found[0], found[-1]) == ("Transaction.Begin", "Transaction.End")
    instants = [value.at for value in values]
    assert instants == sorted(instants)


def test_every_phase_and_signed_values_are_passed_on() -> None:
    bench = Bench()
    bench.connect()
    bench.set(SAMPLED_INTERVAL, "10")
    bench.set(SAMPLED_MEASURANDS, "Voltage,Energy.Active.Import.Register")
    signed = SignedMeterValue("OCMF|{}|{}", encoding_method="OCMF")
    samples = (
        SampledValue(230.0, Measurand.VOLTAGE, MeasuredPhase.L1_N),
        SampledValue(231.0, Measurand.VOLTAGE, MeasuredPhase.L2_N),
        SampledValue(5.0, signed=signed),
    )
    bench.charging()
    bench.energy_wh.clear()  # the bench's own meters fall silent
    bench.power_w.clear()
    bench.tell(i.MeterReading(1, samples))
    bench.run(10)
    told = sampled(bench)[0].meter_values[0].samples
    assert [(sample.phase, sample.value) for sample in told] == [("L1-N", 230.0), ("L2-N", 231.0), (None, 5.0)]
    assert told[2].signed == signed
    bench.set(SAMPLED_MEASURANDS, "Voltage.L2-N")
    bench.run(10)
    assert [sample.value for sample in sampled(bench)[1].meter_values[0].samples] == [231.0]


def test_triggered_values() -> None:
    bench = Bench()
    bench.charging()
    bench.ask(r.TriggerMessage(requested_message=TriggeredMessage.METER_VALUES, evse_id=1))
    assert contexts(sampled(bench)[0].meter_values) == ["Trigger"]
    assert sampled(bench)[0].transaction_id == "own-1"
    bench.ask(r.TriggerMessage(requested_message=TriggeredMessage.METER_VALUES))
    assert [event.evse_id for event in sampled(bench)] == [1, 1, 2]


def test_a_day_of_clock_aligned_values() -> None:
    bench = Bench()
    bench.connect()
    bench.set(ALIGNED_INTERVAL, "900")
    bench.set(ALIGNED_MEASURANDS, "Energy.Active.Import.Register")
    bench.charging()
    for _ in range(24):
        bench.run(1800)
        bench.disconnect()
        bench.run(1800)
        bench.connect()
    aligned: list[Any] = [event for event in sampled(bench) if contexts(event.meter_values) == ["Sample.Clock"]]
    own = [event.meter_values[0].at for event in aligned if event.evse_id == 1]
    assert len(own) == 96
    assert {(after - before).total_seconds() for before, after in itertools.pairwise(own)} == {900.0}


@pytest.mark.parametrize("started_s", [3.4, 1.1, 7.7, 33.3])
def test_every_sample_moves_its_deadline_on_whatever_floats_make_of_a_minute(started_s: float) -> None:
    bench = Bench(now=Now(started_s, started_s, START))
    bench.connect()
    bench.set(SAMPLED_INTERVAL, "60")
    bench.set(ENDED_MEASURANDS, "Energy.Active.Import.Register")
    bench.charging()
    station = bench.station
    for _ in range(500):
        elapsed_s = station.parts.metering.next_deadline_s()
        assert elapsed_s is not None
        later_s = elapsed_s - bench.now.elapsed_s
        bench.now = Now(elapsed_s, elapsed_s, bench.now.at + timedelta(seconds=later_s))
        station.expire(bench.now)
        after_s = station.parts.metering.next_deadline_s()
        assert after_s is not None
        assert after_s - elapsed_s == pytest.approx(60.0)
