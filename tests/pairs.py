"""Joins pure endpoints over an in-memory wire, on virtual time.

An endpoint is anything that takes `receive(data, now)` and `expire(now)`, both returning what happened, and offers
`take()` and `next_deadline()`. A `World` holds endpoints by name and links between them; it moves frames with the
delay, loss and duplication of a seeded `Fate`, wakes endpoints at their deadlines, and jumps to the next instant at
which anything is due. What happens is kept in `events`, and handed to `react` so that a test can be the owner of an
endpoint.

The same world, seed and reactions give the same history.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from forecourt.sim.link import Fate

__all__ = ["Endpoint", "Fate", "Happened", "React", "Sent", "World", "pair"]


class Endpoint(Protocol):
    """One end of a wire."""

    def receive(self, data: bytes, now: float) -> Sequence[Any]: ...
    def take(self) -> list[bytes]: ...
    def next_deadline(self) -> float | None: ...
    def expire(self, now: float) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that an endpoint gave, and when."""

    at: float
    name: str
    event: Any


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame that an endpoint put on its wire, and when."""

    at: float
    name: str
    frame: bytes


React = Callable[[str, Any, float], None]
_SAME_INSTANT_LIMIT = 10_000


@dataclass
class World:
    """Endpoints, the links between them, and the time they share (seconds)."""

    endpoints: dict[str, Endpoint]
    links: Sequence[tuple[str, str]]
    fate: Fate = field(default_factory=Fate)
    react: React = lambda name, event, now: None
    now: float = 0.0

    def __post_init__(self) -> None:
        self.events: list[Happened] = []
        self.sent: list[Sent] = []
        self.cut: set[str] = set()
        """Names whose wire is down: frames from and to them are lost."""
        self._random = random.Random(self.fate.seed)
        self._other = {a: b for left, right in self.links for a, b in ((left, right), (right, left))}
        self._wire: list[tuple[float, int, str, bytes]] = []
        self._last_arrival: dict[str, float] = {}
        self._counter = itertools.count()
        self._at_this_instant = 0

    def flush(self) -> None:
        """Put on the wire what the endpoints want to send."""
        for name in self._other:
            for frame in self.endpoints[name].take():
                self.sent.append(Sent(self.now, name, frame))
                self._post(name, self._other[name], frame)

    def _post(self, name: str, to: str, frame: bytes) -> None:
        fate, chance = self.fate, self._random
        if name in self.cut or to in self.cut or chance.random() < fate.loss:
            return
        for _ in range(2 if chance.random() < fate.duplication else 1):
            arrival = self.now + chance.uniform(fate.min_delay_s, fate.max_delay_s)
            if fate.in_order:
                arrival = self._last_arrival[to] = max(arrival, self._last_arrival.get(to, 0.0))
            heapq.heappush(self._wire, (arrival, next(self._counter), to, frame))

    def step(self, until: float | None = None) -> bool:
        """Go to the next instant at which anything is due, and do one thing there. False: nothing is due (by then)."""
        self.flush()
        deadlines = [(d, name) for name, e in self.endpoints.items() if (d := e.next_deadline()) is not None]
        due = min(deadlines, default=None)
        arrival = self._wire[0] if self._wire else None
        instants = [x[0] for x in (due, arrival) if x is not None]
        if not instants or (until is not None and min(instants) > until):
            return False
        self._move(max(min(instants), self.now))
        if arrival is not None and (due is None or arrival[0] <= due[0]):
            _, _, name, frame = heapq.heappop(self._wire)
            happened = [] if name in self.cut else self.endpoints[name].receive(frame, self.now)
        else:
            assert due is not None
            name = due[1]
            happened = self.endpoints[name].expire(self.now)
        for event in happened:
            self.events.append(Happened(self.now, name, event))
            self.react(name, event, self.now)
        self.flush()
        return True

    def _move(self, now: float) -> None:
        self._at_this_instant = 0 if now > self.now else self._at_this_instant + 1
        assert self._at_this_instant < _SAME_INSTANT_LIMIT, f"time stands still at {now}: an endpoint keeps being due"
        self.now = now

    def run(self, until: float | None = None) -> None:
        """Until nothing is due any more, or (with `until`) nothing before that time, which it then is."""
        while self.step(until):
            pass
        if until is not None:
            self.now = max(self.now, until)

    def of(self, name: str, kind: type[Any] | tuple[type[Any], ...] = object) -> list[Any]:
        """The events of one endpoint, of one kind, in order."""
        return [h.event for h in self.events if h.name == name and isinstance(h.event, kind)]


def pair(left: Endpoint, right: Endpoint, fate: Fate | None = None, react: React | None = None) -> World:
    """A world of two: `left` and `right`."""
    world = World({"left": left, "right": right}, [("left", "right")], fate or Fate())
    if react is not None:
        world.react = react
    return world
