"""On which line of the site an EVSE's first phase is, learned from what a single-phase car draws.

Theory of operation
    Where the site's file doesn't say how an EVSE is connected, a car that draws from one phase alone shows it: when its
    current changes, the meter of a node above it changes by as much on one line. Both are looked at whenever the
    station reports. A change that one line explains, and the others don't, is a vote for that line.

Guarantees
* Nothing is concluded from fewer than `ENOUGH` votes in a row for one line. A vote for another line undoes what was
  learned, and begins anew: until then all lines count again.
* Only a change that is large, that took no longer than `LONGEST_S`, and that stands out on exactly one line votes; what
  others do at the same moment mostly keeps it from being one.
* At an EVSE with more than one phase it counts only for a car that is known to use no other, and only in limits that
  end with its transaction. Which lines the second and third phase are on isn't concluded.
* A line is learned only where the EVSE has no rotation in the file.

`controller.md` §2.
"""

from typing import Final

from forecourt.quantities import PHASES, PerPhase, Phase

ENOUGH: Final = 3
LEAST_A: Final = 4.0
"""A smaller change is lost in what a house does."""
LONGEST_S: Final = 120.0
MATCHES: Final = 0.25
"""By what part of the change the one line may differ from it, and the others from nothing."""
_SINGLE_A: Final = 0.5
"""More on the other phases, and it is no single-phase car."""


class Rotation:
    """That of one EVSE."""

    def __init__(self) -> None:
        self.first_line: Phase | None = None
        self._votes: list[Phase] = []
        self._before: tuple[float, float, PerPhase] | None = None

    def heard(self, phases_a: tuple[float, ...], node: PerPhase, now_s: float) -> None:
        """The station reports what it draws, and a meter above it reads `node` at that moment."""
        if not phases_a or any(current_a > _SINGLE_A for current_a in phases_a[1:]):
            self._before = None
            return
        before, self._before = self._before, (now_s, phases_a[0], node)
        if before is None or now_s - before[0] > LONGEST_S:
            return
        change_a = phases_a[0] - before[1]
        if abs(change_a) < LEAST_A:
            return
        allowed_a = MATCHES * abs(change_a)
        moved = [node[phase] - before[2][phase] for phase in PHASES]
        fits = [phase for phase, one in zip(PHASES, moved, strict=True) if abs(one - change_a) <= allowed_a]
        still = sum(abs(one) <= allowed_a for one in moved)
        if len(fits) == 1 and still == len(PHASES) - 1:
            self._vote(fits[0])

    def _vote(self, phase: Phase) -> None:
        if self._votes and self._votes[-1] is not phase:
            self._votes.clear()
        if self.first_line not in (None, phase):
            self.first_line = None
        self._votes.append(phase)
        if len(self._votes) >= ENOUGH:
            self.first_line = phase
            del self._votes[:-ENOUGH]
