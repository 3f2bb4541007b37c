"""The one heap: everything that happens on a virtual clock, in order.

Guarantees
* `run` jumps from one instant to the next at which anything is due, and does one thing after the other there: what was
  put down with `at` first, in the order it was put down; then sleepers whose deadline has come, in the order they were
  added.
* The same things put down in the same order happen in the same order: nothing depends on hashes or the real clock.
* Something that keeps being due at the same instant is an error that names it, not an endless loop.
"""

import heapq
import itertools
from collections.abc import Callable
from typing import Final, Protocol

from forecourt.domain.clock import Deadlines, Now
from forecourt.sim.clock import VirtualClock, due

_MOST_TURNS_AT_ONE_INSTANT: Final = 100_000

Action = Callable[[Now], None]


class Sleeper(Protocol):
    """Something pure that wants to be woken: a core with its shell, simulated hardware."""

    def next_deadlines(self) -> Deadlines:
        """When to wake it at the latest."""
        ...

    def expire(self, now: Now) -> None:
        """It is woken."""
        ...


class StandstillError(RuntimeError):
    """Time doesn't pass any more."""


class Timeline:
    """What is due, and when."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self._heap: list[tuple[float, int, int, int]] = []
        """Due time, actions before sleepers, the order of arrival, and what: an action's or a sleeper's number."""
        self._actions: dict[int, Action] = {}
        self._sleepers: list[Sleeper] = []
        self._number_of: dict[int, int] = {}
        self._due_s: list[float | None] = []
        """What the heap believes of each sleeper; older entries of it are out of date."""
        self._counter = itertools.count()
        self._turns = 0

    @property
    def now(self) -> Now:
        """This instant."""
        return self.clock.now()

    def at(self, elapsed_s: float, action: Action) -> int:
        """Do something then, or at once if that has passed. Gives its number."""
        number = next(self._counter)
        self._actions[number] = action
        heapq.heappush(self._heap, (max(elapsed_s, self.now.elapsed_s), 0, number, number))
        return number

    def cancel(self, number: int) -> None:
        """Don't do it after all; nothing happens if it is done."""
        self._actions.pop(number, None)

    def add(self, sleeper: Sleeper) -> None:
        """Wake it from now on. Once is enough."""
        if id(sleeper) not in self._number_of:
            self._number_of[id(sleeper)] = len(self._sleepers)
            self._sleepers.append(sleeper)
            self._due_s.append(None)
        self.refresh(sleeper)

    def refresh(self, sleeper: Sleeper) -> None:
        """Its deadlines may have changed, because something else than `run` has touched it."""
        number = self._number_of[id(sleeper)]
        due_s = due(sleeper.next_deadlines())
        if due_s != self._due_s[number]:
            self._due_s[number] = due_s
            if due_s is not None:
                heapq.heappush(self._heap, (due_s, 1, number, number))

    def next_s(self) -> float | None:
        """When something is due next."""
        while self._heap:
            due_s, kind, _, number = self._heap[0]
            if number in self._actions if kind == 0 else self._due_s[number] == due_s:
                return max(due_s, self.now.elapsed_s)
            heapq.heappop(self._heap)
        return None

    def step(self, until_s: float | None = None) -> bool:
        """Go to the next instant at which anything is due, and do one thing there. False: nothing is due (by then)."""
        next_s = self.next_s()
        if next_s is None or (until_s is not None and next_s > until_s):
            return False
        self._turns = self._turns + 1 if next_s == self.now.elapsed_s else 0
        _, kind, _, number = heapq.heappop(self._heap)
        doing = self._actions.pop(number) if kind == 0 else None
        if self._turns > _MOST_TURNS_AT_ONE_INSTANT:
            raise StandstillError(f"time stands still at {next_s} s: {doing or self._sleepers[number]} keeps being due")
        now = self.clock.advance(next_s)
        if doing is not None:
            doing(now)
        else:
            self._due_s[number] = None
            sleeper = self._sleepers[number]
            sleeper.expire(now)
            self.refresh(sleeper)
        return True

    def run(self, until_s: float | None = None) -> None:
        """Until nothing is due any more, or (with `until_s`) nothing up to that time, which it then is."""
        while self.step(until_s):
            pass
        if until_s is not None and until_s > self.now.elapsed_s:
            self.clock.advance(until_s)
