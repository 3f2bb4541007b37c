"""What a station has said and its CSMS has not heard: kept in order, told once.

Guarantees (`controller.md` §1, offline; OCPP 1.6 §3.7, §3.7.1)
* What is told of transactions, and reports, are a durable first-in first-out queue. Each message is kept before the
  station has its answer, and leaves the queue when the CSMS has answered it.
* The same message again, because its answer was lost on the way to the station, is recognised and not queued twice:
  also for a while after it was delivered.
* Only the latest boot and the latest state of each connector are kept: they tell of the present.
* A message that the CSMS refuses `attempts` times is put aside, never thrown away; the queue goes on.
* A transaction that the station is to end is kept until it was told to, or has ended.
* A queue that grows over its bound loses readings in the middle of transactions first, oldest first, and nothing else.
"""

from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec

from forecourt.controller.keeping import Keeping, decoded
from forecourt.domain.journal import JournalState

SECTION: Final = "backlog"
NEWS: Final = "news"
STOPS: Final = "stop"
BOOT: Final = "0-boot"
_REMEMBERED: Final = 32


class Part(StrEnum):
    """Which part of a transaction's story a message tells."""

    START = "start"
    UPDATE = "update"
    END = "end"
    REPORT = "report"
    """None: it stands for itself."""


class Place(StrEnum):
    """Where a message is."""

    WAITS = "waits"
    TOLD = "told"
    ASIDE = "aside"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message. `transaction_id` as the station knows it; `payload` as it came, but for nothing."""

    seq: int
    action: str
    payload: str
    part: Part
    transaction_id: str | None = None
    place: Place = Place.WAITS
    refusals: int = 0


class News(msgspec.Struct, frozen=True):
    """A message that tells of the present."""

    action: str
    payload: str


class Backlog:
    """One station's."""

    def __init__(
        self, station_id: str, keeping: Keeping, memory: JournalState | None = None, *, bound: int = 10_000
    ) -> None:
        self._station_id = station_id
        self._keeping = keeping
        self._bound = bound
        self._entries: dict[int, Entry] = {}
        self._told: dict[int, Entry] = {}
        self.aside: dict[int, Entry] = {}
        """What the CSMS refused too often."""
        self.news: dict[str, News] = {}
        """By what it is about; `BOOT` comes first."""
        self.stops: tuple[str, ...] = ()
        """Transactions that the station is to end, and has not been heard to have been told."""
        self._last_seq = 0
        self._restore(memory or {})

    def _restore(self, memory: JournalState) -> None:
        begins = f"{self._station_id}/"
        for key, raw in sorted(memory.get(SECTION, {}).items()):
            if key.rpartition("/")[0] + "/" != begins:
                continue
            entry = decoded(raw, Entry)
            if entry is not None:
                self._shelf(entry.place)[entry.seq] = entry
                self._last_seq = max(self._last_seq, entry.seq)
        for key, raw in sorted(memory.get(NEWS, {}).items()):
            station_id, _, about = key.rpartition("/")
            news = decoded(raw, News) if station_id == self._station_id else None
            if news is not None:
                self.news[about] = news
        stops = memory.get(STOPS, {}).get(self._station_id)
        self.stops = (decoded(stops, tuple[str, ...]) or ()) if stops is not None else ()

    # messages that wait

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def head(self) -> Entry | None:
        """What to tell next."""
        return next(iter(self._entries.values()), None)

    def same(self, action: str, payload: str) -> Entry | None:
        """The message that this one repeats."""
        for shelf in (self._entries, self._told, self.aside):
            for entry in islice(reversed(shelf.values()), _REMEMBERED):
                if entry.action == action and entry.payload == payload and entry.part is not Part.REPORT:
                    return entry
        return None

    def ends(self, transaction_id: str) -> bool:
        """Whether the end of this transaction is among them."""
        return any(
            entry.part is Part.END and entry.transaction_id == transaction_id
            for shelf in (self._entries, self._told, self.aside)
            for entry in shelf.values()
        )

    def add(self, action: str, payload: str, part: Part, transaction_id: str | None) -> Entry:
        """Take a message in."""
        self._last_seq += 1
        entry = Entry(self._last_seq, action, payload, part, transaction_id)
        self._put(entry)
        if len(self._entries) > self._bound:
            for old in self._entries.values():
                if old.part is Part.UPDATE:
                    self._drop(self._entries, old)
                    break
        return entry

    def told(self, seq: int) -> Entry | None:
        """The CSMS has answered it."""
        entry = self._entries.pop(seq, None)
        if entry is None:
            return None
        self._put(msgspec.structs.replace(entry, place=Place.TOLD))
        if len(self._told) > _REMEMBERED:
            self._drop(self._told, next(iter(self._told.values())))
        return entry

    def refused(self, seq: int, attempts: int) -> Entry | None:
        """The CSMS answered it with an error. The entry, if it is put aside now."""
        entry = self._entries.get(seq)
        if entry is None:
            return None
        entry = msgspec.structs.replace(entry, refusals=entry.refusals + 1)
        if entry.refusals < attempts:
            self._put(entry)
            return None
        del self._entries[seq]
        entry = msgspec.structs.replace(entry, place=Place.ASIDE)
        self._put(entry)
        return entry

    # news

    def new(self, about: str, action: str, payload: str) -> None:
        """Something about the present, in place of what was said of it before."""
        self.news.pop(about, None)
        self.news[about] = News(action, payload)
        self._keeping.put(NEWS, f"{self._station_id}/{about}", self.news[about])

    def next_news(self) -> str | None:
        """What to tell next of it: the boot, then the rest in order."""
        return min(self.news, default=None)

    def old(self, about: str, news: News | None = None) -> None:
        """The CSMS knows. `news`: what it was told, in case that something newer has come since."""
        if about in self.news and (news is None or self.news[about] == news):
            del self.news[about]
            self._keeping.delete(NEWS, f"{self._station_id}/{about}")

    # transactions to be ended

    def stop(self, transaction_id: str) -> None:
        """The station is to end it; kept until it was told."""
        if transaction_id not in self.stops:
            self._keep_stops((*self.stops, transaction_id))

    def stopped(self, transaction_id: str) -> None:
        """It was told, or it has ended anyway."""
        if transaction_id in self.stops:
            self._keep_stops(tuple(one for one in self.stops if one != transaction_id))

    def _keep_stops(self, stops: tuple[str, ...]) -> None:
        self.stops = stops
        if stops:
            self._keeping.put(STOPS, self._station_id, stops)
        else:
            self._keeping.delete(STOPS, self._station_id)

    # inside

    def _shelf(self, place: Place) -> dict[int, Entry]:
        return {Place.WAITS: self._entries, Place.TOLD: self._told, Place.ASIDE: self.aside}[place]

    def _put(self, entry: Entry) -> None:
        self._shelf(entry.place)[entry.seq] = entry
        self._keeping.put(SECTION, self._key(entry), entry)

    def _drop(self, shelf: dict[int, Entry], entry: Entry) -> None:
        del shelf[entry.seq]
        self._keeping.delete(SECTION, self._key(entry))

    def _key(self, entry: Entry) -> str:
        return f"{self._station_id}/{entry.seq:016d}"
