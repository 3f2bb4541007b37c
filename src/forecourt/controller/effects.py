"""What the controller's brain wants done, and what it tells.

Guarantees
* A turn has at most one `Persist`, and it stands first: what may hold at a station is in the journal before it leaves.
"""

from datetime import datetime
from enum import IntEnum

import msgspec

from forecourt.allocation.explanation import Explanation
from forecourt.controller.decision_record import DecisionCase
from forecourt.domain.journal import Change
from forecourt.domain.requests import CsmsRequest
from forecourt.domain.sentence import Sentence
from forecourt.domain.site import EvseKey


class Urgency(IntEnum):
    """Which call goes first on a station's link; the larger number wins. Reductions come before everything."""

    EVIDENCE = 5
    RENEWAL = 10
    RAISE = 20
    STOP = 90
    REDUCTION = 100


class Persist(msgspec.Struct, frozen=True):
    """Keep all of these or none before anything else of this turn is done. It stands first."""

    changes: tuple[Change, ...]


class AskStation(msgspec.Struct, frozen=True):
    """Send this request in the controller's own name, and tell the outcome to `Controller.answered` with the token."""

    station_id: str
    token: int
    request: CsmsRequest
    urgency: Urgency


class Alarm(msgspec.Struct, frozen=True):
    """Something a person should know. `evse` None: the whole site."""

    kind: str
    sentence: Sentence
    evse: EvseKey | None = None
    at: datetime | None = None
    """When; whoever keeps it says so."""

    @property
    def text(self) -> str:
        """In English."""
        return str(self.sentence)


class Decision(msgspec.Struct, frozen=True):
    """One EVSE's share as decided, with its explanation."""

    evse: EvseKey
    target_a: float
    explanation: Explanation


class Decided(msgspec.Struct, frozen=True):
    """A new allocation."""

    at_s: float
    decisions: tuple[Decision, ...]
    case: DecisionCase | None = None
    """All that went into it, for whoever writes it down."""


Effect = Persist | AskStation | Alarm | Decided
