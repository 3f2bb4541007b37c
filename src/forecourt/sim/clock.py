"""Virtual time: a clock that stands still until it is told to go on.

Guarantees
* It satisfies `domain.clock.Clock`; its three times go together: the protocol's seconds and the world's are one, and
  the calendar starts at `start`.
* It never goes back.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from forecourt.domain.clock import Deadlines, Now

DEFAULT_START: Final = datetime(2024, 1, 1, tzinfo=UTC)


class VirtualClock:
    """A clock for tests and simulations."""

    def __init__(self, start: datetime = DEFAULT_START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start: expected a time with its offset from UTC, got {start}")
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0

    def now(self) -> Now:
        """This instant."""
        return self.at(self._elapsed_s)

    def at(self, elapsed_s: float) -> Now:
        """The instant so many seconds after the start."""
        return Now(elapsed_s, elapsed_s, self._start + timedelta(seconds=elapsed_s))

    def elapsed_s_of(self, at: datetime) -> float:
        """Seconds from the start to a time of the calendar; negative before it."""
        return (at - self._start).total_seconds()

    def seconds_until(self, deadlines: Deadlines) -> float | None:
        """Virtual seconds until the earlier of `deadlines`, at least 0; None when there is none."""
        due_s = due(deadlines)
        return None if due_s is None else max(0.0, due_s - self._elapsed_s)

    def advance(self, to_s: float) -> Now:
        """Go on to `to_s` seconds after the start. ValueError if that has passed."""
        if to_s < self._elapsed_s:
            raise ValueError(f"to_s: {to_s} s is before {self._elapsed_s} s")
        self._elapsed_s = to_s
        return self.now()


def due(deadlines: Deadlines) -> float | None:
    """The earlier of both, where both clocks are one."""
    times_s = [time_s for time_s in (deadlines.protocol_s, deadlines.elapsed_s) if time_s is not None]
    return min(times_s, default=None)
