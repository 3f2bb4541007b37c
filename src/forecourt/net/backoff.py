"""When to try again: OCPP's back-off after a lost connection or a refused attempt.

Guarantees (OCPP 2.0.1 Part 4 §5.3, §8.1 to §8.3; OCPP 2.1 Part 4 §5.4; OCPP-J 1.6 errata §3.3 asks for "appropriate")
* The first wait is the minimum plus a random part.
* Each further wait is twice the one before plus a new random part, `repeat_times` times; then it stays the same.
* `reset`, called after each success, begins again.
* Pure: chance is an argument, time is whoever waits.
"""

from collections.abc import Callable

import msgspec


class BackoffPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The three configuration variables of OCPPCommCtrlr, in seconds and times; ValueError when negative."""

    wait_minimum_s: float = 10.0
    """RetryBackOffWaitMinimum"""
    random_range_s: float = 10.0
    """RetryBackOffRandomRange"""
    repeat_times: int = 5
    """RetryBackOffRepeatTimes"""

    def __post_init__(self) -> None:
        if self.wait_minimum_s < 0 or self.random_range_s < 0 or self.repeat_times < 0:
            raise ValueError("back-off settings must not be negative")


class Backoff:
    """The waits of one connection, one after the other."""

    def __init__(self, policy: BackoffPolicy, random: Callable[[], float]) -> None:
        """`random` returns at least 0.0 and less than 1.0, as `random.random` does."""
        self.policy = policy
        """May be replaced at any time: the next wait obeys the new one."""
        self._random = random
        self._last_s = 0.0
        self._waits = 0

    def next_s(self) -> float:
        """How long to wait before the next attempt, in seconds."""
        policy = self.policy
        if self._waits == 0:
            self._last_s = policy.wait_minimum_s + self._random() * policy.random_range_s
            self._waits = 1
        elif self._waits <= policy.repeat_times:
            # The text doubles "the previous back-off time", and that time includes its random part.
            self._last_s = 2 * self._last_s + self._random() * policy.random_range_s
            self._waits += 1
        return self._last_s

    def reset(self) -> None:
        """The connection is up: the next loss begins with the minimum (OCTT TC_B_57_CS waits so)."""
        self._waits = 0
