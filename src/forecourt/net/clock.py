"""The real clock, and one whose world runs faster than the protocol (`forecourt demo --speed`)."""

import time
from datetime import UTC, datetime, timedelta

from forecourt.domain.clock import Deadlines, Now


class RealClock:
    """The computer's clocks. `protocol_s` and `elapsed_s` are the same monotonic seconds."""

    def now(self) -> Now:
        """This instant."""
        seconds = time.monotonic()
        return Now(seconds, seconds, datetime.now(UTC))

    def seconds_until(self, deadlines: Deadlines) -> float | None:
        """Real seconds until the earlier of `deadlines`."""
        return _until(deadlines, time.monotonic(), time.monotonic(), speed=1.0)


class ScaledClock:
    """A world that starts at `start` when this is made and runs `speed` times as fast; the protocol runs as ever."""

    def __init__(self, start: datetime, speed: float) -> None:
        if speed <= 0:
            raise ValueError(f"speed: expected a number above 0, got {speed}")
        self._start = start
        self._speed = speed
        self._origin_s = time.monotonic()
        self._frozen_s: float | None = None

    def begin(self) -> None:
        """Let the world begin now: for whoever had to build it first."""
        self._origin_s = time.monotonic()

    def freeze(self) -> None:
        """Let the world stand still from now on; the protocol goes on."""
        if self._frozen_s is None:
            self._frozen_s = self._elapsed_s(time.monotonic())

    def now(self) -> Now:
        """This instant."""
        seconds = time.monotonic()
        elapsed_s = self._elapsed_s(seconds)
        return Now(seconds, elapsed_s, self._start + timedelta(seconds=elapsed_s))

    def seconds_until(self, deadlines: Deadlines) -> float | None:
        """Real seconds until the earlier of `deadlines`; what lies ahead in a frozen world never comes."""
        seconds = time.monotonic()
        elapsed_s = self._elapsed_s(seconds)
        if self._frozen_s is not None and deadlines.elapsed_s is not None and deadlines.elapsed_s > elapsed_s:
            deadlines = Deadlines(protocol_s=deadlines.protocol_s)
        return _until(deadlines, seconds, elapsed_s, self._speed)

    def _elapsed_s(self, seconds: float) -> float:
        return (seconds - self._origin_s) * self._speed if self._frozen_s is None else self._frozen_s


def _until(deadlines: Deadlines, protocol_s: float, elapsed_s: float, speed: float) -> float | None:
    wait_s = None if deadlines.protocol_s is None else deadlines.protocol_s - protocol_s
    if deadlines.elapsed_s is not None:
        in_the_world_s = (deadlines.elapsed_s - elapsed_s) / speed
        wait_s = in_the_world_s if wait_s is None or in_the_world_s < wait_s else wait_s
    return None if wait_s is None else max(0.0, wait_s)
