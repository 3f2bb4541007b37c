"""What people have set over the administration API: limits, priorities, an uploaded tariff; and who changed what, when.

Guarantees
* Each is in the journal with the turn that changed it, and so is the change itself: who, when, what, in words.
* A limit that ends by the clock ends by itself, before a restart as well as after.
* Only the last `CHANGES_KEPT` changes are kept.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from forecourt.controller.keeping import Keeping
from forecourt.controller.limits import TimedLimit
from forecourt.controller.outlook import Curve
from forecourt.domain.clock import Now
from forecourt.domain.journal import JournalState
from forecourt.domain.site import EvseKey

BY_HAND: Final = "by hand"
"""The source of a person's limits on nodes."""
CHANGES_KEPT: Final = 500

_NODES: Final = "node-by-hand"
_EVSES: Final = "evse-by-hand"
_SITE: Final = "site-by-hand"
_CHANGES: Final = "change"
_TARIFF: Final = "tariff"
_DIMMED: Final = "dimmed"

T = TypeVar("T")


class EvseOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is set at an EVSE."""

    current_a: float | None = None
    ends: datetime | None = None
    """Of the limit; None: until further notice."""
    priority: int | None = None


class Step(msgspec.Struct, frozen=True):
    """A price from an instant on."""

    start: datetime
    value: float


class ChangeMade(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody changed something."""

    id: int
    at: datetime
    who: str
    what: str
    """In words."""


class ByHand:
    """All of it."""

    def __init__(self, nodes: Iterable[str], evses: Iterable[EvseKey]) -> None:
        """Of these nodes and EVSEs; others aren't taken over from a journal."""
        self._known = set(nodes)
        self._names = {str(key): key for key in evses}
        self.nodes: dict[str, TimedLimit] = {}
        self.evses: dict[EvseKey, EvseOrder] = {}
        self.tariff: tuple[Step, ...] = ()
        self.dimmed = False
        self.changes: deque[ChangeMade] = deque(maxlen=CHANGES_KEPT)
        """Newest last."""
        self.version = 0
        """Counts what has to be kept anew."""
        self._written: dict[tuple[str, str], object] = {}

    # what is set

    def limit_node(self, node: str, limit: TimedLimit | None) -> None:
        """None takes it back."""
        self.version += 1
        self.nodes.pop(node, None)
        if limit is not None:
            self.nodes[node] = limit

    def limit_evse(self, key: EvseKey, current_a: float | None, ends: datetime | None = None) -> None:
        """None takes it back."""
        before = self.evses.get(key, EvseOrder())
        limited = current_a is not None
        self._put(key, EvseOrder(current_a if limited else None, ends if limited else None, before.priority))

    def prioritise(self, key: EvseKey, priority: int | None) -> None:
        """None: as the site's file says."""
        self._put(key, msgspec.structs.replace(self.evses.get(key, EvseOrder()), priority=priority))

    def set_tariff(self, steps: Iterable[Step]) -> None:
        """It takes the place of what the site's file says; none at all: back to that. ValueError unless times rise."""
        told = tuple(steps)
        if told:
            _curve(told)
        self.version += 1
        self.tariff = told

    def set_dimmed(self, dimmed: bool) -> None:
        """What the grid operator's signal said last."""
        self.version += dimmed is not self.dimmed
        self.dimmed = dimmed

    def changed(self, who: str, what: str, now: Now) -> ChangeMade:
        """Write down who did what."""
        self.version += 1
        number = self.changes[-1].id + 1 if self.changes else 1
        self.changes.append(made := ChangeMade(id=number, at=now.at, who=who, what=what))
        return made

    # what is asked

    def current_a(self, key: EvseKey) -> float | None:
        """What an EVSE is limited to."""
        return self.evses.get(key, EvseOrder()).current_a

    def priority(self, key: EvseKey) -> int | None:
        """The priority that was set."""
        return self.evses.get(key, EvseOrder()).priority

    @property
    def curve(self) -> Curve | None:
        """The tariff."""
        return _curve(self.tariff) if self.tariff else None

    def expire(self, at: datetime) -> list[str]:
        """Let go of limits that are over. The nodes of which there were some."""
        over = [node for node, timed in self.nodes.items() if timed.ends is not None and timed.ends <= at]
        for node in over:
            self.limit_node(node, None)
        for key, order in list(self.evses.items()):
            if order.ends is not None and order.ends <= at:
                self.limit_evse(key, None)
        return over

    def next_end(self, at: datetime) -> datetime | None:
        """When the next limit of an EVSE ends."""
        return min((one.ends for one in self.evses.values() if one.ends is not None and one.ends > at), default=None)

    # remembering

    def keep(self, keeping: Keeping) -> None:
        """Put what has changed into the journal's turn."""
        told: dict[tuple[str, str], object] = {(_NODES, node): one for node, one in self.nodes.items()}
        told |= {(_EVSES, str(key)): one for key, one in self.evses.items()}
        told |= {(_CHANGES, f"{one.id:012}"): one for one in self.changes}
        if self.tariff:
            told[_SITE, _TARIFF] = self.tariff
        if self.dimmed:
            told[_SITE, _DIMMED] = True
        for section, key in self._written.keys() - told.keys():
            keeping.delete(section, key)
        for place, value in told.items():
            if self._written.get(place) != value:
                keeping.put(*place, value)
        self._written = told

    def restore(self, memory: JournalState) -> None:
        """Take over what the journal holds; what can't be read is left alone."""
        nodes = _read(memory, _NODES, msgspec.json.Decoder(TimedLimit).decode)
        evses = _read(memory, _EVSES, msgspec.json.Decoder(EvseOrder).decode)
        changes = _read(memory, _CHANGES, msgspec.json.Decoder(ChangeMade).decode)
        self.nodes = {node: one for node, one in nodes.items() if node in self._known}
        self.evses = {self._names[name]: one for name, one in evses.items() if name in self._names}
        self.changes = deque(sorted(changes.values(), key=lambda one: one.id), maxlen=CHANGES_KEPT)
        self.tariff = _read(memory, _SITE, msgspec.json.Decoder(tuple[Step, ...]).decode).get(_TARIFF, ())
        self.dimmed = _read(memory, _SITE, msgspec.json.Decoder(bool).decode).get(_DIMMED, False)
        self._written = {(_NODES, node): one for node, one in self.nodes.items()}
        self._written |= {(_EVSES, str(key)): one for key, one in self.evses.items()}
        self._written |= {(_CHANGES, key): one for key, one in changes.items()}
        self._written |= {(_SITE, _TARIFF): self.tariff} if self.tariff else {}
        self._written |= {(_SITE, _DIMMED): True} if self.dimmed else {}
        self.version += 1

    def _put(self, key: EvseKey, order: EvseOrder) -> None:
        self.version += 1
        self.evses.pop(key, None)
        if order != EvseOrder():
            self.evses[key] = order


def _curve(steps: tuple[Step, ...]) -> Curve:
    return Curve([step.start for step in steps], [step.value for step in steps])


def _read(memory: JournalState, section: str, decode: Callable[[bytes], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    held: Mapping[str, bytes] = memory.get(section, {})
    for key, raw in held.items():
        try:
            found[key] = decode(raw)
        except msgspec.MsgspecError:
            continue
    return found
