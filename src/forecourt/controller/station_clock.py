"""How far a station's clock is off, from the timestamps of what it says.

Guarantees (`controller.md` §3.4)
* A message arrives after it was stamped. So the largest of (stamp - arrival) over the last messages is what the clock
  is ahead, but for the quickest delivery among them; it is never above the truth while the clock stands as it did.
* A clock that was set back is believed ahead for up to two windows: what it stamps seems older than it is.
* A message that raises the estimate tells of a clock that was set ahead, or of a quicker delivery: by itself it can't
  be told from a late one. Until `CONFIRMATIONS` others, seconds apart, have come without raising it further, nobody
  knows when anything was taken. A queue that a station empties after an outage raises it message by message.
"""

import math
from datetime import datetime

from forecourt.domain.clock import Now

CONFIRMATIONS = 2
_APART_S = 5.0
"""Messages that a stalled link delivers together confirm nothing."""
_SAME_S = 1.0
"""Many stations stamp whole seconds."""
_WINDOW_S = 300.0


class StationClock:
    """That of one station."""

    def __init__(self) -> None:
        self._latest_s = -math.inf
        """The largest (stamp - arrival) of this window; `_before_s`: that of the one before."""
        self._before_s = -math.inf
        self._window_since_s = 0.0
        self._heard = 0
        """Messages in this window, seconds apart."""
        self._confirmed = 0
        self._counted_s = -math.inf

    def heard(self, at: datetime, now: Now) -> None:
        """A message came, stamped `at`."""
        if self._heard > CONFIRMATIONS and now.elapsed_s >= self._window_since_s + _WINDOW_S:
            self._before_s, self._latest_s, self._heard = self._latest_s, -math.inf, 0
            self._window_since_s = now.elapsed_s
        ahead_s = (at - now.at).total_seconds()
        apart = now.elapsed_s >= self._counted_s + _APART_S
        if ahead_s > self._estimate_s + _SAME_S:
            self._confirmed, self._counted_s = 0, now.elapsed_s
        elif apart:
            self._confirmed, self._counted_s = self._confirmed + 1, now.elapsed_s
        self._heard += apart
        self._latest_s = max(self._latest_s, ahead_s)

    @property
    def _estimate_s(self) -> float:
        return max(self._latest_s, self._before_s)

    @property
    def ahead_s(self) -> float | None:
        """How far it is ahead; None: not known for sure."""
        return self._estimate_s if self._confirmed >= CONFIRMATIONS else None

    def taken_s(self, at: datetime, now: Now) -> float | None:
        """When (`Now.elapsed_s`) something stamped `at` was taken; None: nobody knows."""
        ahead_s = self.ahead_s
        if ahead_s is None:
            return None
        return now.elapsed_s - max(0.0, ahead_s - (at - now.at).total_seconds())
