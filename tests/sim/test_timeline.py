"""The one heap: order, repetition, cancellation, and a world that stands still."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from forecourt.domain.clock import Deadlines, Now
from forecourt.sim.timeline import StandstillError, Timeline


class Ticker:
    """Wants to be woken every `every_s` seconds, on the protocol's or the world's clock."""

    def __init__(self, name: str, every_s: float, diary: list[tuple[float, str]], *, protocol: bool = False) -> None:
        self.name, self.every_s, self.diary, self.protocol = name, every_s, diary, protocol
        self.next_s: float | None = every_s

    def next_deadlines(self) -> Deadlines:
        return Deadlines(protocol_s=self.next_s) if self.protocol else Deadlines(elapsed_s=self.next_s)

    def expire(self, now: Now) -> None:
        self.diary.append((now.elapsed_s, self.name))
        self.next_s = now.elapsed_s + self.every_s


def test_everything_happens_at_its_time_and_in_order() -> None:
    diary: list[tuple[float, str]] = []
    timeline = Timeline()
    timeline.add(Ticker("a", 2.0, diary))
    timeline.add(Ticker("b", 3.0, diary, protocol=True))
    timeline.at(6.0, lambda now: diary.append((now.elapsed_s, "first")))
    timeline.at(6.0, lambda now: diary.append((now.elapsed_s, "second")))
    timeline.run(7.0)
    assert diary == [(2, "a"), (3, "b"), (4, "a"), (6, "first"), (6, "second"), (6, "a"), (6, "b")]
    assert timeline.now.elapsed_s == 7.0
    assert timeline.next_s() == 8.0


def test_a_deadline_that_moved_counts_where_it_is_now() -> None:
    diary: list[tuple[float, str]] = []
    timeline = Timeline()
    ticker = Ticker("a", 10.0, diary)
    timeline.add(ticker)
    for next_s in (20.0, 5.0, 30.0, 15.0):
        ticker.next_s = next_s
        timeline.refresh(ticker)
    timeline.run(24.0)
    assert diary == [(15.0, "a")]
    ticker.next_s = None
    timeline.refresh(ticker)
    timeline.run()
    assert diary == [(15.0, "a")]


def test_what_is_cancelled_does_not_happen() -> None:
    diary: list[float] = []
    timeline = Timeline()
    number = timeline.at(1.0, lambda now: diary.append(now.elapsed_s))
    timeline.cancel(number)
    timeline.cancel(number)
    timeline.run()
    assert diary == []
    assert timeline.now.elapsed_s == 0.0


def test_what_should_have_happened_happens_at_once() -> None:
    diary: list[float] = []
    timeline = Timeline()
    timeline.run(5.0)
    timeline.at(1.0, lambda now: diary.append(now.elapsed_s))
    timeline.run()
    assert diary == [5.0]


def test_added_twice_is_woken_once() -> None:
    diary: list[tuple[float, str]] = []
    timeline = Timeline()
    ticker = Ticker("a", 1.0, diary)
    timeline.add(ticker)
    timeline.add(ticker)
    timeline.run(2.5)
    assert diary == [(1.0, "a"), (2.0, "a")]


def test_a_world_that_stands_still_is_named() -> None:
    class Stuck:
        def next_deadlines(self) -> Deadlines:
            return Deadlines(elapsed_s=1.0)

        def expire(self, now: Now) -> None:
            """And nothing changes."""

    timeline = Timeline()
    timeline.add(Stuck())
    with pytest.raises(StandstillError, match="Stuck"):
        timeline.run(2.0)


@given(st.lists(st.floats(0.0, 100.0), max_size=30), st.lists(st.floats(0.5, 20.0), max_size=5))
def test_time_never_goes_back_and_nothing_is_forgotten(at_s: list[float], every_s: list[float]) -> None:
    diary: list[tuple[float, str]] = []
    timeline = Timeline()
    for number, interval_s in enumerate(every_s):
        timeline.add(Ticker(f"t{number}", interval_s, diary))
    for when_s in at_s:
        timeline.at(when_s, lambda now: diary.append((now.elapsed_s, "action")))
    timeline.run(100.0)
    times = [time_s for time_s, _ in diary]
    assert times == sorted(times)
    assert sorted(time_s for time_s, name in diary if name == "action") == sorted(at_s)
    for number, interval_s in enumerate(every_s):
        woken = sum(1 for _, name in diary if name == f"t{number}")
        assert woken == pytest.approx(100.0 / interval_s, abs=1)
