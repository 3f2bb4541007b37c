"""The real and the scaled clock."""

from datetime import UTC, datetime

import pytest

from forecourt.domain.clock import Deadlines, Now
from forecourt.net.clock import RealClock, ScaledClock


def test_the_real_clock_runs_protocol_and_world_together() -> None:
    clock = RealClock()
    first, second = clock.now(), clock.now()
    assert first.protocol_s == first.elapsed_s
    assert second.protocol_s >= first.protocol_s
    assert first.at.tzinfo is UTC


def test_a_scaled_world_runs_faster_than_the_protocol() -> None:
    start = datetime(2019, 9, 3, 6, tzinfo=UTC)
    clock = ScaledClock(start, 1000.0)
    first = clock.now()
    while (second := clock.now()).protocol_s - first.protocol_s < 0.01:
        pass
    world_s = second.elapsed_s - first.elapsed_s
    assert world_s == pytest.approx((second.protocol_s - first.protocol_s) * 1000, rel=1e-6)
    assert (second.at - first.at).total_seconds() == pytest.approx(world_s, rel=1e-3)


def test_deadlines_of_the_world_come_sooner_in_a_fast_one() -> None:
    clock = ScaledClock(datetime(2019, 9, 3, tzinfo=UTC), 100.0)
    now = clock.now()
    wait_s = clock.seconds_until(Deadlines(protocol_s=now.protocol_s + 60, elapsed_s=now.elapsed_s + 600))
    assert wait_s is not None
    assert 0 < wait_s <= 6


def test_a_past_deadline_waits_not_at_all_and_none_forever() -> None:
    clock = RealClock()
    assert clock.seconds_until(Deadlines(protocol_s=clock.now().protocol_s - 5)) == 0
    assert clock.seconds_until(Deadlines()) is None


def test_speed_must_be_positive() -> None:
    with pytest.raises(ValueError, match="speed"):
        ScaledClock(datetime(2019, 9, 3, tzinfo=UTC), 0)


def test_deadlines_are_due_on_either_clock() -> None:
    now = Now(10.0, 1000.0, datetime(2019, 9, 3, tzinfo=UTC))
    assert Deadlines(protocol_s=10.0).due(now)
    assert Deadlines(elapsed_s=999.0).due(now)
    assert not Deadlines(protocol_s=11.0, elapsed_s=1001.0).due(now)
    assert Deadlines(protocol_s=11.0).earliest(Deadlines(protocol_s=9.0, elapsed_s=5.0)) == Deadlines(9.0, 5.0)


def test_a_frozen_world_stands_still_while_the_protocol_goes_on() -> None:
    clock = ScaledClock(datetime(2019, 9, 3, tzinfo=UTC), 100.0)
    clock.freeze()
    first = clock.now()
    while (second := clock.now()).protocol_s == first.protocol_s:
        pass
    assert (second.elapsed_s, second.at) == (first.elapsed_s, first.at)
    assert clock.seconds_until(Deadlines(elapsed_s=first.elapsed_s + 1)) is None
    assert clock.seconds_until(Deadlines(elapsed_s=first.elapsed_s)) == 0
    assert clock.seconds_until(Deadlines(protocol_s=second.protocol_s + 60)) is not None
