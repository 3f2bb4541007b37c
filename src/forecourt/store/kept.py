"""Records the writer keeps in mind, so that what every message touches is neither read nor written every time.

Guarantees
* A changed record is written before the commit, and before anything else looks for its like in the database; of what is
  there already, only what has changed. What may be written soon may be written with a later commit.
* What a unit changed is undone with the unit. After a batch that failed nothing is remembered.
* What follows from readings may be left with who reckons it (`owe`): whoever looks at the record gets it reckoned.
* What is kept is bounded. Where others write to the database as well it is in doubt after each commit, and is believed
  again in a later transaction only by proof that its row is the very version that was written here.
"""

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Final, Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

MOST_KEPT: Final = 50_000


class Debtor(Protocol[R_co]):
    """Knows better what a record is than `Kept`, until it is asked."""

    def newest(self) -> R_co:
        """The record as it is now; from now on it is known."""
        ...


class Kept(Generic[K, R]):
    """Records by key; None is kept too, for what isn't there."""

    def __init__(self) -> None:
        self._records: dict[K, R | None] = {}
        self._written: dict[K, R | None] = {}
        """As the database has them, so far as this transaction sees it."""
        self._changed: dict[K, None] = {}
        self._soon: dict[K, None] = {}
        self._owed: dict[K, Debtor[R]] = {}
        self.peek: Callable[[K], R | None] = self._records.get
        """What is kept, whatever is owed; None also for what isn't kept."""
        self._undo: list[tuple[K, bool, R | None]] = []
        self._versions: dict[K, int] = {}
        """Of rows that were written or read here: which transaction of the database wrote them."""
        self._seen: dict[K, int] = {}
        """Those of the rows that this batch asked about."""
        self._doubtful: dict[K, R] = {}
        self.taken: dict[K, R] = {}
        """What was written in this batch."""

    def __contains__(self, key: K) -> bool:
        return key in self._records

    def __getitem__(self, key: K) -> R | None:
        if key in self._owed:
            self._settle(key)
        return self._records[key]

    def get(self, key: K) -> R | None:
        """What is kept; None: nothing, or that there is nothing."""
        return self[key] if key in self._records else None

    def owe(self, key: K, debtor: Debtor[R]) -> None:
        """From now on `debtor` knows what `key` is. It is kept, and may be written with a later batch."""
        self._owed[key] = debtor

    def _settle(self, key: K) -> None:
        # Not to be undone with the unit that happens to look: what follows from readings stands.
        self._records[key] = self._owed.pop(key).newest()
        self._soon[key] = None

    def learn(self, key: K, record: R | None) -> None:
        """What the database has."""
        if key in self._owed:
            self._settle(key)
        self._note(key)
        self._records[key] = self._written[key] = record

    def change(self, key: K, record: R, *, soon: bool = False) -> None:
        """What the database shall have, with this batch or (`soon`) a later one."""
        if key in self._owed:
            self._settle(key)
        self._note(key)
        self._records[key] = record
        (self._soon if soon else self._changed)[key] = None

    @property
    def is_behind(self) -> bool:
        """Whether something waits for a later batch."""
        return bool(self._soon or self._owed)

    def take_changed(self, *, whole: bool = True) -> list[tuple[K, R | None, R]]:
        """What has to be written, once: its key, what the database has (None: nobody knows), what it shall have.

        Not `whole`: what may be written later is left, unless memory is short.
        """
        changed, self._changed = self._changed, {}
        if whole or len(self._records) > MOST_KEPT:
            for key in tuple(self._owed):
                self._settle(key)
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
                self._written[key] = self.taken[key] = record
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
                self._owed.pop(key, None)

    def committed(self, *, keep: bool, version: int | None = None, over: Collection[K] = ()) -> None:
        """The batch is in the database; `keep` False: somebody else may write next.

        `version`: what PostgreSQL calls the transaction that has just been committed. `over`: what was written and is
        hardly asked for again.
        """
        self._undo.clear()
        for key in over:
            if key not in self._soon and key not in self._owed:
                self.forget(key)
                self.taken.pop(key, None)
                self._doubtful.pop(key, None)
                self._versions.pop(key, None)
        if version is not None:
            self._remember(version)
        self.taken.clear()
        if not keep or (len(self._records) > MOST_KEPT and not self.is_behind):
            self._records.clear()
            self._written.clear()

    def _remember(self, version: int) -> None:
        if len(self._doubtful) > MOST_KEPT:
            self._doubtful.clear()
            self._versions.clear()
        for key, record in self.taken.items():
            self._doubtful[key] = record
            self._versions[key] = version
        for key, seen in self._seen.items():
            found = self._written.get(key)
            if found is not None and key not in self.taken:
                self._doubtful[key] = found
                self._versions[key] = seen
        self._seen = {}

    def prove(self, versions: Iterable[tuple[K, int]]) -> None:
        """By which transactions rows were written, as the one that begins now sees them."""
        self._seen = dict(versions)
        for key, version in self._seen.items():
            if self._versions.get(key) == version and key not in self._records:
                self._records[key] = self._written[key] = self._doubtful[key]

    def forget(self, key: K) -> None:
        """It won't be needed again."""
        self._owed.pop(key, None)
        self._records.pop(key, None)
        self._written.pop(key, None)

    def _note(self, key: K) -> None:
        self._undo.append((key, key in self._records, self._records.get(key)))
