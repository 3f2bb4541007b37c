"""Why an EVSE has the current it has: what bound it, in numbers and in words.

Guarantees
* Each share of an allocation carries an `Explanation`; `text()` says it in a line: "9.0 A: circuit B, phase L2".
* `Bound` names a limit of a node exactly, so that a program can follow it up as well as a person.
"""

from enum import StrEnum

import msgspec

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
        place = f"{'grid connection' if self.is_grid else 'circuit'} {self.node}"
        match self.kind:
            case LimitKind.FUSE:
                return f"{place}, phase {self.phase}"
            case LimitKind.POWER:
                return f"power limit of {place}"
            case LimitKind.ASYMMETRY:
                return f"asymmetry limit of {place}, {self.phase} over {self.over}"


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
        place = self.bound.text() if self.bound is not None else "nothing"
        match self.reason:
            case Reason.OWN_MAXIMUM:
                why = "its own maximum"
            case Reason.WANTED:
                why = self.because or "what it asks for"
            case Reason.SHARED:
                why = place
            case Reason.ASKS_NOTHING:
                why = self.because or "asks for nothing"
            case Reason.BELOW_MINIMUM:
                why = f"{self.because} is {_ampere(self.wanted_a)}, below its minimum of {_ampere(self.minimum_a)}"
            case Reason.NO_ROOM:
                why = self._no_fit(place)
            case Reason.WAITS:
                waited = _duration(now_s - (self.since_s if self.since_s is not None else now_s))
                why = f"{self._no_fit(place)}, waits its turn for {waited}"
            case Reason.CAN_WAIT:
                why = f"{self._no_fit(place)}, has time and lets others go first"
            case Reason.RESTS:
                left = _duration((self.until_s if self.until_s is not None else now_s) - now_s)
                why = f"was switched off, rests for another {left}"
            case Reason.FALLBACK:
                why = "what it falls back to; more doesn't fit now"
        return f"{limit_a:.1f} A: {why}"

    def _no_fit(self, place: str) -> str:
        unit = "W" if self.bound is not None and self.bound.kind is LimitKind.POWER else "A"
        taken = f"{self.used or 0.0:.1f} of {self.capacity or 0.0:.1f} {unit} taken"
        return f"minimum of {_ampere(self.minimum_a)} doesn't fit under {place} ({taken})"


def _ampere(value: float | None) -> str:
    return f"{round(value or 0.0, 2):g} A"


def _duration(seconds: float) -> str:
    whole = round(max(seconds, 0.0))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"
