"""How far a station's clock is off is told from its stamps (`controller.md` §3.4)."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from forecourt.controller.station_clock import StationClock
from forecourt.domain.clock import Now
from tests.controller.bench import START


def now_at(second: float) -> Now:
    return Now(second, second, START + timedelta(seconds=second))


def stamp(second: float, ahead_s: float) -> timedelta:
    return timedelta(seconds=second + ahead_s)


def heard(clock: StationClock, taken_s: float, arrives_s: float, ahead_s: float) -> None:
    clock.heard(START + stamp(taken_s, ahead_s), now_at(arrives_s))


def test_nothing_is_known_before_it_is_confirmed() -> None:
    clock = StationClock()
    heard(clock, 0, 0, 0)
    assert clock.taken_s(START, now_at(0)) is None
    heard(clock, 1, 1, 0)
    heard(clock, 2, 2, 0)
    assert clock.ahead_s is None, "what comes at once with the first confirms nothing"
    heard(clock, 10, 10, 0)
    heard(clock, 20, 20, 0)
    assert clock.ahead_s == 0.0


def test_a_late_reading_was_taken_before_it_came() -> None:
    clock = StationClock()
    for second in range(0, 60, 10):
        heard(clock, second, second + 0.5, 40.0)
    assert clock.ahead_s == 39.5
    assert clock.taken_s(START + stamp(60, 40.0), now_at(90)) == 60.5
    assert clock.taken_s(START + stamp(95, 40.0), now_at(95)) == 95.0, "never later than it came"


def test_a_clock_that_was_set_ahead_has_to_be_confirmed_again() -> None:
    clock = StationClock()
    for second in range(0, 60, 10):
        heard(clock, second, second, -20.0)
    heard(clock, 60, 90, 30.0)
    assert clock.taken_s(START + stamp(60, 30.0), now_at(90)) is None, "set ahead by 50 s, or by 20 s and quick"
    for second in range(90, 120, 10):
        heard(clock, second, second, 30.0)
    assert clock.ahead_s == 30.0


def test_one_that_was_set_back_is_found_within_two_windows() -> None:
    clock = StationClock()
    for second in range(0, 300, 30):
        heard(clock, second, second, 0.0)
    for second in range(300, 960, 30):
        heard(clock, second, second, -3_600.0)
        if second < 600:
            assert clock.taken_s(START + stamp(second, -3_600.0), now_at(second)) == second - 3_600.0
    assert clock.ahead_s == -3_600.0


def test_a_queue_that_is_emptied_after_an_outage_tells_of_no_slow_clock() -> None:
    clock = StationClock()
    for kept in range(20):
        heard(clock, 60.0 * kept, 1_300.0 + 6.0 * kept, 0.0)
        assert clock.ahead_s is None


@given(
    ahead_s=st.floats(-7_200, 7_200),
    delays_s=st.lists(st.floats(0, 60), min_size=1, max_size=60),
)
def test_while_the_clock_stands_it_is_right_but_for_the_quickest_delivery(
    ahead_s: float, delays_s: list[float]
) -> None:
    """So a reading is taken for younger than it is by no more than the latest of them was late."""
    clock = StationClock()
    arrives_s = latest_s = 0.0
    for number, delay_s in enumerate(delays_s):
        taken_s = 10.0 * number
        arrives_s = max(arrives_s, taken_s + delay_s)
        latest_s = max(latest_s, arrives_s - taken_s)
        heard(clock, taken_s, arrives_s, ahead_s)
        if clock.ahead_s is not None:
            assert ahead_s - latest_s - 1e-3 <= clock.ahead_s <= ahead_s + 1e-3
            found_s = clock.taken_s(START + stamp(taken_s, ahead_s), now_at(arrives_s))
            assert found_s is not None
            assert taken_s - 1e-3 <= found_s <= arrives_s
