"""In-memory links that delay, drop and duplicate.

Guarantees
* What a link does to what it carries is drawn from its seed alone: the same things sent at the same instants arrive, or
  don't, at the same instants.
* Each link is one direction; `in_order` keeps it first in, first out, as TCP does.
"""

import random
from typing import Generic, Protocol, TypeVar

import msgspec

from forecourt.domain.clock import Now
from forecourt.sim.timeline import Action, Timeline

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Fate(msgspec.Struct, frozen=True):
    """What a link does. Delays are uniform; loss and duplication are probabilities."""

    seed: int = 0
    min_delay_s: float = 0.01
    max_delay_s: float = 0.01
    loss: float = 0.0
    duplication: float = 0.0
    in_order: bool = True


class Receiver(Protocol[T_contra]):
    """Whoever stands at the other end."""

    def __call__(self, item: T_contra, now: Now) -> None:
        """Something has arrived."""
        ...


class Link(Generic[T]):
    """One direction of a wire."""

    def __init__(self, timeline: Timeline, receive: Receiver[T], fate: Fate | None = None) -> None:
        self.fate = fate or Fate()
        """May be replaced while it runs."""
        self.sent = 0
        self.dropped = 0
        self._timeline = timeline
        self._receive = receive
        self._random = random.Random(self.fate.seed)
        self._up = True
        self._epoch = 0
        self._last_arrival_s = 0.0

    @property
    def up(self) -> bool:
        """Whether anything can pass."""
        return self._up

    def cut(self) -> None:
        """What is under way is lost, and so is what is sent until `restore`."""
        self._up = False
        self._epoch += 1

    def restore(self) -> None:
        """A new wire in its place."""
        self._up = True

    def send(self, item: T) -> None:
        """Put something on the wire now."""
        fate, chance, now_s = self.fate, self._random, self._timeline.now.elapsed_s
        self.sent += 1
        if not self._up or chance.random() < fate.loss:
            self.dropped += 1
            return
        for _ in range(2 if chance.random() < fate.duplication else 1):
            arrival_s = now_s + chance.uniform(fate.min_delay_s, fate.max_delay_s)
            if fate.in_order:
                arrival_s = self._last_arrival_s = max(arrival_s, self._last_arrival_s)
            self._timeline.at(arrival_s, self._arrival(item))

    def _arrival(self, item: T) -> Action:
        epoch = self._epoch

        def arrive(now: Now) -> None:
            if epoch == self._epoch:
                self._receive(item, now)
            else:
                self.dropped += 1

        return arrive
