"""What a transaction used, moment by moment: from readings and states as stations tell them, sane or not."""

from datetime import datetime
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from forecourt.csms.pricing import Usage
from forecourt.csms.records import Reading, Transaction, TransactionState
from forecourt.csms.usage import StateChange, exact_wh, usage_of
from forecourt.domain.meter import Measurand, MeasuredPhase, SampledValue
from forecourt.domain.transaction import ChargingState
from tests.csms.worlds import at

CHARGING, SUSPENDED_EV = ChargingState.CHARGING, ChargingState.SUSPENDED_EV


def transaction(end_s: float | None = 7200, stop_wh: float = 11_000.0) -> Transaction:
    ended_at = None if end_s is None else at(end_s)
    return Transaction(
        number=1,
        transaction_id="1",
        organisation_id=1,
        station_number=1,
        station_id="CS1",
        evse_id=1,
        state=TransactionState.ACTIVE if end_s is None else TransactionState.ENDED,
        started_at=at(0),
        ended_at=ended_at,
        meter_start_wh=1000.0,
        meter_stop_wh=stop_wh,
        meter_last_wh=stop_wh,
        meter_last_at=ended_at or at(3600),
        energy_wh=round(stop_wh - 1000.0, 3),
        created_at=at(0),
        updated_at=at(0),
    )


def reading(seconds: float, energy_wh: float | None, *samples: SampledValue, suspect: str | None = None) -> Reading:
    return Reading(
        organisation_id=1,
        station_number=1,
        evse_id=1,
        transaction_number=1,
        at=at(seconds),
        energy_wh=energy_wh,
        samples=samples,
        suspect=suspect,
        received_at=at(seconds),
    )


def use(
    entry: Transaction, readings: list[Reading], states: list[tuple[float, ChargingState]], now: datetime | None = None
) -> Usage:
    changes = [StateChange(at(seconds), state) for seconds, state in states]
    return usage_of(entry, readings, changes, now=now or at(7200), charging_threshold_w=50.0)


def told(usage: Usage) -> list[tuple[float, float, float, bool]]:
    return [
        (
            (segment.start - at(0)).total_seconds(),
            (segment.end - at(0)).total_seconds(),
            float(segment.energy_wh),
            segment.charging,
        )
        for segment in usage.segments
    ]


def test_energy_flows_while_the_car_charges() -> None:
    usage = use(transaction(), [reading(3600, 11_000.0)], [(0, CHARGING), (1800, SUSPENDED_EV)])
    assert told(usage) == [
        (0.0, 1800.0, 10_000.0, True),
        (1800.0, 3600.0, 0.0, False),
        (3600.0, 7200.0, 0.0, False),
    ]


def test_without_a_word_the_register_decides() -> None:
    usage = use(transaction(), [reading(3600, 10_960.0)], [])
    assert told(usage) == [(0.0, 3600.0, 9960.0, True), (3600.0, 7200.0, 40.0, False)]


def test_what_the_station_holds_back_is_not_idle() -> None:
    usage = use(transaction(), [reading(3600, 11_000.0)], [(0, CHARGING), (3600, ChargingState.SUSPENDED_EVSE)])
    assert [charging for *_, charging in told(usage)] == [True, True]


def test_the_register_stands_above_what_is_said() -> None:
    usage = use(transaction(), [reading(3600, 6000.0)], [(0, SUSPENDED_EV)])
    assert [charging for *_, charging in told(usage)] == [True, True]


def test_a_state_from_before_the_start_lasts_unless_it_only_waited() -> None:
    idle = use(transaction(stop_wh=1000.0), [], [(-60, SUSPENDED_EV)])
    assert told(idle) == [(0.0, 7200.0, 0.0, False)]
    waiting = use(transaction(), [], [(-60, ChargingState.EV_CONNECTED)])
    assert told(waiting) == [(0.0, 7200.0, 10_000.0, True)]


def test_readings_that_contradict_their_neighbours_are_passed_over() -> None:
    readings = [
        reading(-60, 900.0),
        reading(0, 1500.0),
        reading(1000, 5000.0),
        reading(2000, 4000.0),
        reading(3000, 99_000.0),
        reading(3100, 6000.0, suspect="no"),
        reading(3200, None),
        reading(7200, 10_500.0),
        reading(9000, 10_900.0),
    ]
    usage = use(transaction(), readings, [])
    assert told(usage) == [(0.0, 1000.0, 4000.0, True), (1000.0, 7200.0, 6000.0, True)]


def test_a_transaction_that_runs_is_looked_at_until_now_or_its_last_reading() -> None:
    running = transaction(end_s=None)
    assert use(running, [reading(3600, 11_000.0)], [], now=at(5000)).end == at(5000)
    assert use(running, [reading(3600, 11_000.0)], [], now=at(3000)).end == at(3600)


def test_current_is_summed_over_the_phases() -> None:
    samples = [
        SampledValue(float(amps), Measurand.CURRENT_IMPORT, phase)
        for amps, phase in ((16, MeasuredPhase.L1), (15, MeasuredPhase.L2), (10, MeasuredPhase.L3))
    ]
    usage = use(transaction(), [reading(3600, 11_000.0, *samples)], [])
    assert [segment.current_a for segment in usage.segments] == [41, 41]


STATES = st.lists(st.tuples(st.integers(-100, 8000), st.sampled_from(list(ChargingState))), max_size=8)
READINGS = st.lists(
    st.tuples(st.integers(-100, 8000), st.none() | st.floats(0, 30_000, allow_nan=False).map(lambda wh: round(wh, 3))),
    max_size=8,
)


@given(READINGS, STATES, st.floats(1000, 30_000).map(lambda wh: round(wh, 3)), st.integers(0, 7200))
def test_whatever_was_told_the_whole_is_the_registers(
    readings: list[tuple[int, float | None]],
    states: list[tuple[int, ChargingState]],
    stop_wh: float,
    end_s: int,
) -> None:
    entry = transaction(end_s, stop_wh)
    given_readings = [reading(seconds, energy_wh) for seconds, energy_wh in sorted(readings, key=lambda pair: pair[0])]
    usage = use(entry, given_readings, [(s, state) for s, state in sorted(states, key=lambda pair: pair[0])])
    assert entry.energy_wh is not None
    assert usage.energy_wh == exact_wh(entry.energy_wh)
    assert all(segment.energy_wh >= 0 for segment in usage.segments)
    ends = [usage.start]
    for segment in usage.segments:
        assert segment.start == ends[-1] <= segment.end
        ends.append(segment.end)
    assert ends[-1] == usage.end
    assert sum((segment.energy_wh for segment in usage.segments if not segment.charging), Fraction(0)) <= 50 * 2


def test_energy_is_exact() -> None:
    entry = msgspec.structs.replace(transaction(), meter_start_wh=0.1, meter_stop_wh=0.3, energy_wh=0.2)
    assert use(entry, [], []).energy_wh == Fraction(1, 5)
