"""Why an EVSE has the current it has: what bound it, in numbers and in words.

Guarantees
* Each share of an allocation carries an `Explanation`; `text()` says it in a line: "9.0 A: circuit B, phase L2", and
  `sentence()` so that it can be said in other languages.
* `Bound` names a limit of a node exactly, so that a program can follow it up as well as a person.
"""

from enum import StrEnum

import msgspec

from forecourt.domain.sentence import Sentence, duration, say
from forecourt.quantities import Phase


class LimitKind(StrEnum):
    """What a node limits."""

    FUSE = "fuse"
    POWER = "power"
    ASYMMETRY = "asymmetry"


class Bound(msgspec.Struct, frozen=True, gc=False):
    """A limit of a node. Numbers are watts for POWER, ampere otherwise."""

    node: str
    is_grid: bool
    kind: LimitKind
    phase: Phase | None = None
    """The line of a FUSE; the higher line of an ASYMMETRY."""
    over: Phase | None = None
    """The lower line of an ASYMMETRY."""

    def text(self) -> str:
        """Such as `circuit B, phase L2`."""
        return str(self.sentence())

    def sentence(self) -> Sentence:
        """The same."""
        node, phase, over = self.node, str(self.phase), str(self.over)
        match self.kind:
            case LimitKind.FUSE if self.is_grid:
                return say("grid connection {node}, phase {phase}", node=node, phase=phase)
            case LimitKind.FUSE:
                return say("circuit {node}, phase {phase}", node=node, phase=phase)
            case LimitKind.POWER if self.is_grid:
                return say("power limit of grid connection {node}", node=node)
            case LimitKind.POWER:
                return say("power limit of circuit {node}", node=node)
            case LimitKind.ASYMMETRY if self.is_grid:
                words = "asymmetry limit of grid connection {node}, {phase} over {over}"
            case LimitKind.ASYMMETRY:
                words = "asymmetry limit of circuit {node}, {phase} over {over}"
        return say(words, node=node, phase=phase, over=over)


class Reason(StrEnum):
    """What kind of answer it is."""

    OWN_MAXIMUM = "own-maximum"
    WANTED = "wanted"
    SHARED = "shared"
    """A limit of a node, shared with others."""
    ASKS_NOTHING = "asks-nothing"
    """Or somebody wants it to have nothing."""
    BELOW_MINIMUM = "below-minimum"
    """It may have something, but less than its minimum."""
    NO_ROOM = "no-room"
    """Its minimum doesn't fit even if nobody of its priority had anything."""
    WAITS = "waits"
    """Its minimum doesn't fit now; its turn comes."""
    CAN_WAIT = "can-wait"
    """Its minimum would take from those in a hurry, and it has time."""
    RESTS = "rests"
    """It was switched off so recently that it stays off."""
    FALLBACK = "fallback"
    """It has what it falls back to by itself: more doesn't fit now."""


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """Why a share is what it is. What doesn't apply to the reason is None."""

    reason: Reason
    bound: Bound | None = None
    because: str | None = None
    wanted_a: float | None = None
    minimum_a: float | None = None
    capacity: float | None = None
    """What the bound leaves for EVSEs, after margin and background; watts for POWER, ampere otherwise."""
    used: float | None = None
    """How much of it was taken by those who came first."""
    since_s: float | None = None
    """Waiting since."""
    until_s: float | None = None
    """Stays off until."""

    def text(self, limit_a: float, now_s: float) -> str:
        """One line for a person."""
        return str(self.sentence(limit_a, now_s))

    def sentence(self, limit_a: float, now_s: float) -> Sentence:
        """The same."""
        return say("{limit:.1f} A: {why}", limit=limit_a, why=self.why(now_s))

    def why(self, now_s: float) -> Sentence:
        """The reason alone."""
        match self.reason:
            case Reason.OWN_MAXIMUM:
                return say("its own maximum")
            case Reason.WANTED:
                return say(self.because or "what it asks for")
            case Reason.SHARED:
                return self._place()
            case Reason.ASKS_NOTHING:
                return say(self.because or "asks for nothing")
            case Reason.BELOW_MINIMUM:
                return say(
                    "{because} is {wanted:g} A, below its minimum of {minimum:g} A",
                    because=say(self.because or "what it asks for"),
                    wanted=_ampere(self.wanted_a),
                    minimum=_ampere(self.minimum_a),
                )
            case Reason.NO_ROOM:
                return self._no_fit()
            case Reason.WAITS:
                waited = duration(now_s - (self.since_s if self.since_s is not None else now_s))
                return say("{problem}, waits its turn for {time}", problem=self._no_fit(), time=waited)
            case Reason.CAN_WAIT:
                return say("{problem}, has time and lets others go first", problem=self._no_fit())
            case Reason.RESTS:
                left = duration((self.until_s if self.until_s is not None else now_s) - now_s)
                return say("was switched off, rests for another {time}", time=left)
            case Reason.FALLBACK:
                return say("what it falls back to; more doesn't fit now")

    def _place(self) -> Sentence:
        return say("nothing") if self.bound is None else self.bound.sentence()

    def _no_fit(self) -> Sentence:
        watts = self.bound is not None and self.bound.kind is LimitKind.POWER
        return say(
            "minimum of {minimum:g} A doesn't fit under {place} ({used:.1f} of {capacity:.1f} W taken)"
            if watts
            else "minimum of {minimum:g} A doesn't fit under {place} ({used:.1f} of {capacity:.1f} A taken)",
            minimum=_ampere(self.minimum_a),
            place=self._place(),
            # Places that are kept free for those who wait longer count as taken, if need be more than there are.
            used=min(self.used or 0.0, self.capacity or 0.0),
            capacity=self.capacity or 0.0,
        )


def _ampere(value: float | None) -> float:
    return round(value or 0.0, 2)
