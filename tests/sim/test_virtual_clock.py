"""Virtual time: it stands still, goes on when told, and never back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from forecourt.domain.clock import Clock, Deadlines
from forecourt.sim.clock import VirtualClock, due

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_all_three_times_go_together() -> None:
    clock = VirtualClock(NOON)
    before = clock.now()
    after = clock.advance(90.0)
    assert (before.protocol_s, before.elapsed_s, before.at) == (0.0, 0.0, NOON)
    assert (after.protocol_s, after.elapsed_s, after.at) == (90.0, 90.0, NOON + timedelta(seconds=90))
    assert clock.now() == after


def test_it_is_a_clock() -> None:
    clock: Clock = VirtualClock(NOON)
    assert clock.seconds_until(Deadlines()) is None
    assert clock.seconds_until(Deadlines(protocol_s=5.0, elapsed_s=3.0)) == 3.0
    assert clock.seconds_until(Deadlines(protocol_s=-5.0)) == 0.0


def test_it_never_goes_back() -> None:
    clock = VirtualClock(NOON)
    clock.advance(10.0)
    with pytest.raises(ValueError, match="before"):
        clock.advance(9.9)


def test_the_calendar_is_utc() -> None:
    local = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=-7)))
    clock = VirtualClock(local)
    assert clock.now().at.tzinfo is UTC
    assert clock.elapsed_s_of(local + timedelta(hours=1)) == 3600.0
    with pytest.raises(ValueError, match="offset"):
        VirtualClock(datetime(2024, 5, 1))  # noqa: DTZ001 - that is the point


def test_the_earlier_deadline_is_due() -> None:
    assert due(Deadlines()) is None
    assert due(Deadlines(protocol_s=2.0)) == 2.0
    assert due(Deadlines(protocol_s=2.0, elapsed_s=1.0)) == 1.0
