"""What a CSMS counts about itself: plain numbers, made into an exposition elsewhere (`api.metrics`).

Guarantees
* Counting costs next to nothing where messages pass: an addition in a dict, a bisection in a dozen numbers.
* What is counted has few names: an action that no dialect knows is `other`, and so is everything beyond `MOST_NAMES`,
  so that no station can make this grow.
* Each number is written by one thread only: the store's writer has numbers of its own (`StoreMeasures`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.csms import published
from forecourt.csms.records import Event

OTHER: Final = "other"
MOST_NAMES: Final = 200
LATENCY_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class CallOutcome(StrEnum):
    """What became of a call, whichever way it went."""

    __hash__ = str.__hash__  # that of an enumeration is a function of Python's, and this is asked with each message

    ANSWERED = "answered"
    REFUSED = "refused"
    """By an error."""
    NOT_STORED = "not_stored"
    """The books could not take it; the station was told to come again."""
    TIMEOUT = "timeout"
    LOST = "lost"
    """The connection went first."""


class Histogram:
    """How often a value was at most each bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def cumulated(self) -> list[tuple[float, int]]:
        """Bound and how many were at most it; the last bound is infinite."""
        found, so_far = [], 0
        for bound, count in zip((*self.bounds, float("inf")), list(self.counts), strict=True):
            so_far += count
            found.append((bound, so_far))
        return found


class StoreMeasures:
    """The writer's side of the books."""

    def __init__(self) -> None:
        self.batch_units = Histogram(BATCH)
        self.commit_s = Histogram()
        """From the begin of a batch to its commit."""
        self.retries: dict[str, int] = {"conflict": 0, "gone": 0}
        self.failed_units = 0
        self.waiting_units = 0
        """Handed in and not yet taken up, when it was last looked."""


class BusMeasures:
    """What goes between processes."""

    def __init__(self) -> None:
        self.lag_s = Histogram()
        """From the commit in one process to the delivery in another."""
        self.most_behind = 0
        """Events that the slowest listener has not read, when it was last looked."""
        self.from_log = 0
        """How often what was missing came from the log."""
        self.connected = True


class Measures:
    """Of one process."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str, CallOutcome], int] = {}
        """By direction (`in`: from stations), action and outcome."""
        self.answer_s: dict[str, Histogram] = {}
        """From the receipt of a station's call to its answer, which is after the commit; by action."""
        self.command_s: dict[str, Histogram] = {}
        """From a call of ours to its answer; by action."""
        self.connections: dict[tuple[str, int], int] = {}
        """Open ones, by protocol and by the security profile that they have shown."""
        self.handshakes: dict[str, int] = {}
        """By outcome: `admitted`, or why not."""
        self.commands: dict[str, int] = {}
        """Those that this process has brought to their end, by state."""
        self.events: dict[str, int] = {}
        """Those that came of commits of this process, by type."""
        self.store = StoreMeasures()
        self.bus = BusMeasures()

    def came(self, action: str, outcome: CallOutcome, seconds: float) -> None:
        """A station's call was taken in, and answered."""
        histogram = self.answer_s.get(action)
        if histogram is None:
            action = self._name(action, self.answer_s)
            histogram = self.answer_s.setdefault(action, Histogram())
        histogram.counts[bisect_left(histogram.bounds, seconds)] += 1
        histogram.total += seconds
        key = ("in", action, outcome)
        self.calls[key] = self.calls.get(key, 0) + 1

    def asked(self, action: str, outcome: CallOutcome, seconds: float) -> None:
        """A call of ours has ended."""
        action = self._name(action, self.command_s)
        self.command_s.setdefault(action, Histogram()).observe(seconds)
        key = ("out", action, outcome)
        self.calls[key] = self.calls.get(key, 0) + 1

    def opened(self, protocol: str, profile: int) -> None:
        """A connection is open."""
        key = (protocol, profile)
        self.connections[key] = self.connections.get(key, 0) + 1

    def closed(self, protocol: str, profile: int) -> None:
        """It isn't any more."""
        self.connections[protocol, profile] -= 1

    def knocked(self, outcome: str) -> None:
        """Somebody wanted to connect."""
        self.handshakes[outcome] = self.handshakes.get(outcome, 0) + 1

    def told(self, events: Sequence[Event]) -> None:
        """These events came of a commit of this process."""
        for event in events:
            self.events[event.type] = self.events.get(event.type, 0) + 1
            if event.type == published.COMMAND_UPDATED:
                state = msgspec.json.decode(event.body, type=published.CommandBody).state
                if state.final:
                    self.commands[state.value] = self.commands.get(state.value, 0) + 1

    @staticmethod
    def _name(action: str, known: dict[str, Histogram]) -> str:
        return action if action in known or len(known) < MOST_NAMES else OTHER
