"""Records the writer keeps in mind, so that what every message touches is neither read nor written every time.

Guarantees
* A changed record is written before the commit, and before anything else looks for its like in the database; of what is
  there already, only what has changed. What may be written soon may be written with a later commit.
* What a unit changed is undone with the unit. After a batch that failed nothing is remembered.
* What is kept is bounded, and is right only while nobody else writes: a database that others write to as well forgets
  everything with each commit.
"""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

_MOST: Final = 50_000


class Kept(Generic[K, R]):
    """Records by key; None is kept too, for what isn't there."""

    def __init__(self) -> None:
        self._records: dict[K, R | None] = {}
        self._written: dict[K, R | None] = {}
        """As the database has them, so far as this transaction sees it."""
        self._changed: dict[K, None] = {}
        self._soon: dict[K, None] = {}
        self._undo: list[tuple[K, bool, R | None]] = []

    def __contains__(self, key: K) -> bool:
        return key in self._records

    def __getitem__(self, key: K) -> R | None:
        return self._records[key]

    def learn(self, key: K, record: R | None) -> None:
        """What the database has."""
        self._note(key)
        self._records[key] = self._written[key] = record

    def change(self, key: K, record: R, *, soon: bool = False) -> None:
        """What the database shall have, with this batch or (`soon`) a later one."""
        self._note(key)
        self._records[key] = record
        (self._soon if soon else self._changed)[key] = None

    @property
    def is_behind(self) -> bool:
        """Whether something waits for a later batch."""
        return bool(self._soon)

    def take_changed(self, *, whole: bool = True) -> list[tuple[K, R | None, R]]:
        """What has to be written, once: its key, what the database has (None: nobody knows), what it shall have.

        Not `whole`: what may be written later is left, unless memory is short.
        """
        changed, self._changed = self._changed, {}
        if whole or len(self._records) > _MOST:
            changed |= self._soon
            self._soon = {}
        elif changed:
            for key in changed:
                self._soon.pop(key, None)
        taken = []
        for key in changed:
            record = self._records.get(key)
            if record is not None:
                taken.append((key, self._written.get(key), record))
                self._written[key] = record
        return taken

    @property
    def steps(self) -> int:
        """How many steps have been taken in this batch."""
        return len(self._undo)

    def back_to(self, steps: int) -> None:
        """Undo the steps after the first `steps`."""
        while len(self._undo) > steps:
            key, was_there, record = self._undo.pop()
            if was_there:
                self._records[key] = record
            else:
                self._records.pop(key, None)
                self._written.pop(key, None)
                self._changed.pop(key, None)
                self._soon.pop(key, None)

    def committed(self, *, keep: bool) -> None:
        """The batch is in the database; `keep` False: somebody else may write next."""
        self._undo.clear()
        if not keep or len(self._records) > _MOST:
            self._records.clear()
            self._written.clear()

    def forget(self, key: K) -> None:
        """It won't be needed again."""
        self._records.pop(key, None)
        self._written.pop(key, None)

    def _note(self, key: K) -> None:
        self._undo.append((key, key in self._records, self._records.get(key)))
