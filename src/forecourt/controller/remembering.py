"""What of modes, limits by hand, visits and past sessions survives the controller's end.

Guarantees
* What a person has set, and what is known of a visit, is in the journal with the turn that changed it; readings aren't.
* What can't be read, or is about an EVSE that the site doesn't have, is left alone.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from forecourt.controller.keeping import Keeping
from forecourt.controller.surplus import ChargeMode
from forecourt.controller.wishes import KeptVisit, PastSession, Wishes
from forecourt.domain.journal import JournalState
from forecourt.domain.site import EvseKey

T = TypeVar("T")

BY_HAND: Final = "by-hand"
VISITS: Final = "visit"
HISTORY: Final = "past-sessions"


class KeptByHand(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person has set at an EVSE."""

    mode: ChargeMode | None = None
    current_a: float | None = None


_decode_by_hand = msgspec.json.Decoder(KeptByHand).decode
_decode_visit = msgspec.json.Decoder(KeptVisit).decode
_decode_history = msgspec.json.Decoder(list[PastSession]).decode


class Remembering:
    """Writes what has changed since the last time, and reads it back."""

    def __init__(self) -> None:
        self._by_hand: dict[str, KeptByHand] = {}
        self._visits: dict[str, KeptVisit] = {}
        self._history: dict[str, list[PastSession]] = {}

    def keep(
        self, keeping: Keeping, by_hand: dict[EvseKey, KeptByHand], visits: dict[EvseKey, KeptVisit], wishes: Wishes
    ) -> None:
        """Put into `keeping` what differs from what is kept."""
        _differences(keeping, BY_HAND, self._by_hand, {str(key): one for key, one in by_hand.items()})
        _differences(keeping, VISITS, self._visits, {str(key): one for key, one in visits.items()})
        _differences(keeping, HISTORY, self._history, wishes.history())

    def by_hand(self, memory: JournalState, keys: Iterable[EvseKey]) -> dict[EvseKey, KeptByHand]:
        """What the journal holds of these EVSEs."""
        names = {str(key): key for key in keys}
        self._by_hand = _read(memory, BY_HAND, _decode_by_hand)
        return {names[name]: one for name, one in self._by_hand.items() if name in names}

    def visits(self, memory: JournalState, keys: Iterable[EvseKey]) -> dict[EvseKey, KeptVisit]:
        """The visits that were on."""
        names = {str(key): key for key in keys}
        self._visits = _read(memory, VISITS, _decode_visit)
        return {names[name]: one for name, one in self._visits.items() if name in names}

    def history(self, memory: JournalState) -> dict[str, list[PastSession]]:
        """Past sessions by token."""
        self._history = _read(memory, HISTORY, _decode_history)
        return self._history


def _differences(keeping: Keeping, section: str, kept: dict[str, T], now: Mapping[str, T]) -> None:
    for key in [key for key in kept if key not in now]:
        del kept[key]
        keeping.delete(section, key)
    for key, value in now.items():
        if kept.get(key) != value:
            kept[key] = value
            keeping.put(section, key, value)


def _read(memory: JournalState, section: str, decode: Callable[[bytes], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for key, raw in memory.get(section, {}).items():
        try:
            found[key] = decode(raw)
        except msgspec.MsgspecError:
            continue
    return found
