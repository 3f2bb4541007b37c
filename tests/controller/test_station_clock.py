"""How far a station's clock is off is told from its stamps (`controller.md` §3.4)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm, AskStation, Effect
from forecourt.controller.ledger import Limit
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.station_clock import StationClock
from forecourt.domain.clock import Now
from forecourt.domain.events import ConnectorStatusReported, Notice, StationEvent, TransactionStarted
from forecourt.domain.requests import SetChargingProfile
from forecourt.domain.site import EvseKey
from forecourt.domain.station import ConnectorStatus
from tests.controller.bench import START
from tests.controller.test_controller import make_site


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


@pytest.mark.parametrize("ahead_s", [-7_200.0, 3_600.0], ids=["behind", "ahead"])
def test_schedules_are_in_the_clock_of_the_station(ahead_s: float) -> None:
    """One that is two hours behind would not have reached the start of a schedule, and limit nothing."""
    controller, effects = Controller(make_site(1, 32), ControllerSettings()), list[Effect]()

    def says(event: StationEvent, second: float) -> None:
        effects.extend(controller.station_said("S0", Notice((event,)), now_at(second)))

    effects += controller.station_ready("S0", now_at(0))
    (first,) = [one for one in effects if isinstance(one, AskStation)]
    controller.answered(first.token, True, now_at(1))
    for second in (0, 10, 20):
        at = START + stamp(second, ahead_s)
        status = ConnectorStatus.AVAILABLE
        says(ConnectorStatusReported(evse_id=1, connector_id=1, at=at, connector_status=status), second)
    says(TransactionStarted(transaction_id="t", evse_id=1, at=START + stamp(30, ahead_s)), 30)
    asked = [one.request for one in effects if isinstance(one, AskStation)][-1]
    assert isinstance(asked, SetChargingProfile)
    begins = asked.profile.schedule.start_schedule
    assert begins == START + stamp(30, ahead_s) - timedelta(seconds=ControllerSettings().backdate_s)
    assert [one.kind for one in effects if isinstance(one, Alarm)] == ["clock"]


def test_a_clock_that_became_slower_makes_leases_last_longer() -> None:
    """A minute of grace, one for a car that is slow and out of sight, and what the clock has lost."""
    account = Controller(make_site(1, 32), ControllerSettings()).account(EvseKey("S0", 1))
    account.base = Limit(16.0, 900.0, bound=False)
    assert not account.idle(now_at(1_019.9))
    account.ahead_s = -40.0
    assert not account.idle(now_at(1_059.9))
    assert account.exposure_a(now_at(1_059.9)) == 16.0
    assert account.idle(now_at(1_060.1))
    assert account.exposure_a(now_at(1_060.1)) == 0.0
