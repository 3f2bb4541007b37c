"""Links: delay, loss, duplication, order, cuts; all of it from a seed."""

import hypothesis.strategies as st
from hypothesis import given

from forecourt.domain.clock import Now
from forecourt.sim.link import Fate, Link
from forecourt.sim.timeline import Timeline


def carried(fate: Fate, count: int, every_s: float = 0.1) -> tuple[list[tuple[float, int]], Link[int]]:
    """What arrives of `count` numbers sent one after the other."""
    timeline = Timeline()
    arrived: list[tuple[float, int]] = []
    link: Link[int] = Link(timeline, lambda item, now: arrived.append((now.elapsed_s, item)), fate)

    def sender(number: int) -> None:
        timeline.at(number * every_s, lambda _: link.send(number))

    for number in range(count):
        sender(number)
    timeline.run()
    return arrived, link


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 2), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_the_same_seed_gives_the_same_history(
    seed: int, low_s: float, more_s: float, loss: float, duplication: float, in_order: bool
) -> None:
    fate = Fate(seed, low_s, low_s + more_s, loss, duplication, in_order)
    arrived, _ = carried(fate, 30)
    again, _ = carried(fate, 30)
    assert arrived == again
    if in_order:
        assert [number for _, number in arrived] == sorted(number for _, number in arrived)
    for time_s, number in arrived:
        delay_s = time_s - number * 0.1
        assert delay_s >= low_s - 1e-9
        assert in_order or delay_s <= low_s + more_s + 1e-9


def test_loss_and_duplication_are_as_likely_as_they_should_be() -> None:
    arrived, link = carried(Fate(seed=1, loss=0.3, duplication=0.2), 2000)
    assert link.sent == 2000
    assert 500 < link.dropped < 700
    assert 200 < len(arrived) - (2000 - link.dropped) < 360


def test_without_order_things_overtake_each_other() -> None:
    arrived, _ = carried(Fate(seed=3, min_delay_s=0.0, max_delay_s=1.0, in_order=False), 50)
    numbers = [number for _, number in arrived]
    assert sorted(numbers) == list(range(50))
    assert numbers != sorted(numbers)


def test_a_cut_loses_what_is_under_way_and_what_is_sent_meanwhile() -> None:
    timeline = Timeline()
    arrived: list[str] = []

    def receive(item: str, now: Now) -> None:
        arrived.append(item)

    link: Link[str] = Link(timeline, receive, Fate(min_delay_s=1.0, max_delay_s=1.0))
    link.send("under way")
    timeline.run(0.5)
    assert link.up
    link.cut()
    link.send("into the void")
    link.restore()
    link.send("after")
    timeline.run()
    assert arrived == ["after"]
    assert link.dropped == 2
