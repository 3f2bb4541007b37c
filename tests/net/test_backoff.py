"""OCPP's back-off, by its text and by OCTT TC_B_57_CS."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.net.backoff import Backoff, BackoffPolicy


def waits(policy: BackoffPolicy, chances: list[float]) -> list[float]:
    drawn = iter(chances)
    backoff = Backoff(policy, lambda: next(drawn))
    return [backoff.next_s() for _ in chances]


def test_doubles_repeat_times_and_then_stays() -> None:
    policy = BackoffPolicy(wait_minimum_s=10, random_range_s=0, repeat_times=3)
    assert waits(policy, [0.5] * 6) == [10, 20, 40, 80, 80, 80]


def test_the_previous_wait_doubles_with_its_random_part_and_a_new_one_is_added() -> None:
    policy = BackoffPolicy(wait_minimum_s=10, random_range_s=8, repeat_times=2)
    assert waits(policy, [0.5, 0.25, 0.0, 0.9]) == [14, 30, 60, 60]


def test_tc_b_57_cs() -> None:
    backoff = Backoff(BackoffPolicy(wait_minimum_s=5, random_range_s=0, repeat_times=2), lambda: 0.5)
    assert backoff.next_s() == 5  # the connection is lost
    backoff.reset()  # and accepted
    assert backoff.next_s() == 5  # lost again
    assert backoff.next_s() == 10  # the attempt was not accepted


def test_a_new_policy_is_obeyed_at_the_next_wait() -> None:
    backoff = Backoff(BackoffPolicy(wait_minimum_s=5, random_range_s=0), lambda: 0.5)
    backoff.next_s()
    backoff.policy = BackoffPolicy(wait_minimum_s=1, random_range_s=0, repeat_times=0)
    assert backoff.next_s() == 5
    backoff.reset()
    assert [backoff.next_s(), backoff.next_s()] == [1, 1]


@given(
    st.builds(
        BackoffPolicy,
        wait_minimum_s=st.floats(0, 1000),
        random_range_s=st.floats(0, 1000),
        repeat_times=st.integers(0, 12),
    ),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
)
def test_waits_never_shrink_and_stop_growing(policy: BackoffPolicy, chances: list[float]) -> None:
    found = waits(policy, chances)
    assert policy.wait_minimum_s <= found[0] <= policy.wait_minimum_s + policy.random_range_s
    for before, after in pairwise(found[: policy.repeat_times + 1]):
        assert 2 * before <= after <= 2 * before + policy.random_range_s
    assert len(set(found[policy.repeat_times :])) <= 1


@pytest.mark.parametrize("setting", ["wait_minimum_s", "random_range_s", "repeat_times"])
def test_negative_settings_are_refused(setting: str) -> None:
    with pytest.raises(ValueError):
        BackoffPolicy(**{setting: -1})
