"""What counts as evidence that a car follows its limit, and what stays in the books until there is some."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.controller.currents import Currents
from forecourt.controller.ledger import Account, Limit
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.clock import Now
from forecourt.domain.events import MeterSampled, Notice
from forecourt.domain.meter import Measurand, MeasuredPhase, MeterValue, SampledValue
from forecourt.domain.site import EvseKey, EvsePoint
from tests.controller.bench import START, Bench, Car
from tests.controller.fault_sites import generated_site
from tests.controller.fault_world import FaultWorld
from tests.controller.test_controller import make_site

PHASE_LABELS = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)
SETTLE_S, PATIENCE_S, LEASE_S = 10.0, 300.0, 900.0
HIGH_A, LOW_A = 14.5, 14.0


def now_at(second: float) -> Now:
    return Now(second, second, START + timedelta(seconds=second))


def reduced(before_a: float = HIGH_A, after_a: float = LOW_A) -> Account:
    """An EVSE whose limit was lowered at 0 s."""
    account = Account(EvsePoint(station_id="S0"), settle_s=SETTLE_S, grace_s=60)
    for number, current_a in enumerate((before_a, after_a)):
        account.limit_sent(number, Limit(current_a, LEASE_S, bound=False))
        account.limit_confirmed(number, now_at(0))
    account.unproven = Limit(before_a, LEASE_S, bound=False)
    account.plugged(True)
    return account


def read(
    account: Account,
    current_a: float,
    arrives_s: float,
    taken_s: float | None,
    *,
    worst_a: float | None = None,
) -> None:
    currents = Currents((current_a,) * 3, current_a if worst_a is None else worst_a, worst_a is None)
    account.measured(currents, now_at(arrives_s), taken_s=taken_s, patience_s=PATIENCE_S, appetite_s=120)


def test_at_the_limit_is_evidence() -> None:
    account = reduced()
    read(account, LOW_A, 11, 11)
    assert account.exposure_a(now_at(12)) == LOW_A


def test_within_the_tolerance_what_was_measured_stays_in_the_books() -> None:
    """14.5 A under a limit of 14 A is what a meter may err, and what a slow car draws at its old limit."""
    account = reduced()
    read(account, HIGH_A, 11, 11)
    assert account.exposure_a(now_at(12)) == HIGH_A
    assert account.wants_evidence(now_at(12))
    read(account, 14.2, 40, 40)
    assert account.exposure_a(now_at(41)) == 14.2
    read(account, HIGH_A, 50, 50)
    assert account.exposure_a(now_at(51)) == 14.2, "it is no car that is slow to follow any more"
    read(account, LOW_A, 60, 60)
    assert account.exposure_a(now_at(61)) == LOW_A


def test_after_a_while_the_rest_is_the_meter_s_error() -> None:
    account = reduced()
    read(account, HIGH_A, PATIENCE_S - 1, PATIENCE_S - 1)
    assert account.exposure_a(now_at(PATIENCE_S)) == HIGH_A
    read(account, HIGH_A, PATIENCE_S + 1, PATIENCE_S + 1)
    assert account.exposure_a(now_at(PATIENCE_S + 2)) == LOW_A


@pytest.mark.parametrize("taken_s", [None, -5.0, SETTLE_S - 0.1])
def test_what_was_read_too_early_or_nobody_knows_when_is_no_evidence(taken_s: float | None) -> None:
    account = reduced(32.0, 10.0)
    read(account, 0.0, 400, taken_s)
    assert account.exposure_a(now_at(401)) == 32.0


def test_a_reading_that_hides_phases_leaves_the_worst_in_the_books() -> None:
    account = reduced(32.0, 10.0)
    read(account, 3.5, 20, 20, worst_a=10.5)
    assert account.exposure_a(now_at(21)) == 10.5


@given(
    limits=st.tuples(st.floats(6, 32), st.floats(0, 32)).map(lambda two: (max(two), min(two))),
    lag_s=st.floats(0, 290),
    draws_a=st.floats(0, 32),
    readings=st.lists(st.tuples(st.floats(0, 299), st.floats(0, 60)), max_size=12),
)
def test_the_books_are_never_below_what_a_slow_car_draws(
    limits: tuple[float, float], lag_s: float, draws_a: float, readings: list[tuple[float, float]]
) -> None:
    """It draws what the old limit lets it until its lag is over; readings of it come late and in any order."""
    before_a, after_a = limits
    account = reduced(before_a, after_a)

    def flows_a(second: float) -> float:
        return min(draws_a, before_a if second < lag_s else after_a)

    for taken_s, arrives_s in sorted(((taken_s, taken_s + late_s) for taken_s, late_s in readings), key=lambda r: r[1]):
        read(account, flows_a(taken_s), arrives_s, taken_s)
        assert account.exposure_a(now_at(arrives_s)) >= flows_a(arrives_s) - 1e-5


def test_a_reading_from_before_a_reduction_that_comes_after_it_frees_nothing() -> None:
    bench = Bench(make_site(2, 40), ControllerSettings())
    for name in ("S0", "S1"):
        bench.connect(name, boots=True)
    bench.run(120)
    bench.plug_in("S0", Car(32, 3))
    bench.run(120)
    account = bench.controller.account(EvseKey("S0", 1))
    taken_at = bench.now.at
    bench.plug_in("S1", Car(32, 3))
    while not account.wants_evidence(bench.now):
        bench.run(1)
    samples = tuple(SampledValue(6.0, Measurand.CURRENT_IMPORT, phase) for phase in PHASE_LABELS)
    for at, exposure_a in ((taken_at, 32.0), (bench.now.at, 20.0)):
        event = MeterSampled(evse_id=1, meter_values=(MeterValue(at, samples),))
        bench.controller.station_said("S0", Notice((event,)), bench.now)
        assert account.exposure_a(bench.now) == exposure_a


@pytest.mark.parametrize("seed", [*(pytest.param(seed, marks=pytest.mark.slow) for seed in (1238, 1553)), 1607])
def test_a_slow_car_within_the_tolerance_overloads_nothing(seed: int) -> None:
    """Stories in which one drew up to 1 A more than was booked."""
    hours = {1238: 10.0, 1553: 15.8, 1607: 4.6}[seed]
    assert FaultWorld(generated_site(seed), seed).run(hours) == []
