"""Time as an argument.

Guarantees
* A core is told the time by a `Now` and tells when it wants to be called next by a `Deadlines`; it never looks at a
  clock.
* Protocol deadlines (answers, retries, heartbeats) run on `protocol_s`; what happens in the world (cars, schedules,
  sampling intervals) runs on `elapsed_s`. In production both are one monotonic clock. A demonstration or a simulation
  lets the world run faster than the protocol.
* `at` is the calendar as this process believes it, and may jump when the clock is set; the other two never go back.
"""

from datetime import datetime
from typing import Protocol

import msgspec


class Now(msgspec.Struct, frozen=True, gc=False):
    """One instant on the three clocks."""

    protocol_s: float
    elapsed_s: float
    at: datetime


class Deadlines(msgspec.Struct, frozen=True):
    """When something wants to be called again at the latest, on either clock; None: never, unless something happens."""

    protocol_s: float | None = None
    elapsed_s: float | None = None

    def due(self, now: Now) -> bool:
        """Whether one of them has come."""
        return (self.protocol_s is not None and self.protocol_s <= now.protocol_s) or (
            self.elapsed_s is not None and self.elapsed_s <= now.elapsed_s
        )

    def earliest(self, other: "Deadlines") -> "Deadlines":
        """The earlier of the two, clock by clock."""
        return Deadlines(_earlier(self.protocol_s, other.protocol_s), _earlier(self.elapsed_s, other.elapsed_s))


class Clock(Protocol):
    """What the shells around the cores read the time from."""

    def now(self) -> Now:
        """This instant."""
        ...

    def seconds_until(self, deadlines: Deadlines) -> float | None:
        """Real seconds until the earlier of `deadlines`, at least 0; None when there is none."""
        ...


def _earlier(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
