"""How a current runs between two events: along a straight line, or falling exponentially. Closed forms only.

Guarantees
* A `Curve` is a pure function of time, so whoever evaluates it in between changes nothing: results don't depend on how
  often somebody looks.
* Every curve is convex and monotone: over an interval it is largest at one of its ends.
* `smallest_root` and `crossing` find instants to the last bits of a float.
"""

import math
from collections.abc import Callable

import msgspec


class Curve(msgspec.Struct, frozen=True):
    """A current from `start_s` on: `current_a + slope·t`, or `current_a·e^(-decay·t)`; one of the two rates is 0."""

    start_s: float
    current_a: float
    slope_a_per_s: float = 0.0
    decay_per_s: float = 0.0

    def at(self, at_s: float) -> float:
        """The current then, in ampere."""
        since_s = at_s - self.start_s
        if self.decay_per_s:
            return self.current_a * math.exp(-self.decay_per_s * since_s)
        return self.current_a + self.slope_a_per_s * since_s

    def rate(self, at_s: float) -> float:
        """How fast the current changes then, in ampere per second."""
        return -self.decay_per_s * self.at(at_s) if self.decay_per_s else self.slope_a_per_s

    def charge_as(self, from_s: float, to_s: float) -> float:
        """The integral of the current between two instants, in ampere-seconds."""
        span_s = to_s - from_s
        if self.decay_per_s:
            return -self.at(from_s) * math.expm1(-self.decay_per_s * span_s) / self.decay_per_s
        return (self.at(from_s) + self.slope_a_per_s * span_s / 2.0) * span_s


def smallest_root(square: float, linear: float, constant: float) -> float:
    """The smallest t > 0 with `square·t² + linear·t + constant = 0`; infinite when there is none."""
    if square == 0.0:
        roots = [-constant / linear] if linear else []
    else:
        under = linear * linear - 4.0 * square * constant
        if under < 0.0:
            return math.inf
        # Both roots without subtracting what is nearly equal.
        together = -0.5 * (linear + math.copysign(math.sqrt(under), linear))
        roots = [together / square, constant / together] if together else []
    return min((root for root in roots if root > 0.0), default=math.inf)


def crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Where `function` changes its sign between `low` and `high`, at which it has different ones."""
    rising = function(high) > 0.0
    while low < (middle := low + (high - low) / 2.0) < high:
        if (function(middle) > 0.0) is rising:
            high = middle
        else:
            low = middle
    return high
