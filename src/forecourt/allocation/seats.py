"""Who may charge at all when not all minimums fit: turns, in an order that starves nobody.

Guarantees, within one priority
* Those whose minimum on time isn't over keep their seat; were even they too many, the one longest on goes first.
* Then come those who wait, the longest first, then those whose time is over, the most recent first; whoever fits gets
  a seat. Ties go to who has charged less, then to the
  smaller laxity, then to the order of the site: nothing is left to chance, and nobody is favoured for long.
* A place that someone waits for, and can't have only because of seats that are held, is kept free of newcomers until
  those are given up. So the longest waiting is seated within one minimum on time, and everybody gets a turn.

`controller.md` §3, 7.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from forecourt.allocation.compiled import Column
from forecourt.allocation.filling import OWN, Tally

Entries = tuple[tuple[int, float], ...]
"""Rows, and what one ampere takes of each."""


class Candidate(NamedTuple):
    """Someone who wants at least its minimum."""

    evse: int
    column: Column
    """At least what it takes of the rows that are short."""
    minimum_a: float
    on_since_s: float | None
    """Charging since; None if it waits."""
    since_s: float
    """Charging, or waiting, since."""
    served_s: float
    """How long it has charged so far."""
    laxity_s: float


class Refusal(NamedTuple):
    """Why someone has no seat."""

    row: int
    taken: float
    """Of the row, by those who came first."""
    alone: bool
    """Whether its minimum doesn't fit even if nobody of its priority had anything."""


class Narrowed:
    """Columns without the rows that have room for everybody: those refuse nobody."""

    def __init__(self, short: Iterable[int]) -> None:
        self._short = frozenset(short)
        self._columns: dict[int, Column] = {}

    def column(self, column: Column) -> Column:
        """What is left of it."""
        found = self._columns.get(column.number)
        if found is None:
            found = self._columns[column.number] = column._replace(
                plain=tuple(entry for entry in column.plain if entry[0] in self._short),
                phasor=tuple(entry for entry in column.phasor if entry[0] in self._short),
            )
        return found


class Narrowing:
    """The same for many, kept while the same rows are short."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._short: list[int] | None = None
        self._wanted: frozenset[int] = frozenset()
        self._entries: dict[int, Entries] = {}

    def entries(self, short: list[int], queue: "Queue") -> Mapping[int, Entries]:
        """For each of those who want a seat the plain rows that are short, and what it takes of each."""
        if short != self._short:
            self._short, self._wanted, self._entries = short, frozenset(short), {}
        found, wanted = self._entries, self._wanted
        for those in queue:
            for k in those:
                if k not in found:
                    found[k] = tuple([entry for entry in self._columns[k].plain if entry[0] in wanted])
        return found


class Queue(NamedTuple):
    """Positions of those who want a seat, in the order in which they are asked."""

    held: list[int]
    """Whose minimum on time isn't over, as far as they aren't sure to fit."""
    waiting: list[int]
    over: list[int]


def seat_many(
    free: list[float],
    taken: list[float],
    capacity: Sequence[float],
    entries: Mapping[int, Entries],
    minimums_a: Sequence[float],
    queue: Queue,
    hopeless: Set[int],
) -> dict[int, Refusal]:
    """The same as `take_seats` on plain rows: whom it refuses, by position.

    `free` is what higher priorities took of each row, `taken` the same with those who surely have a seat;
    it is changed. `capacity` allows for rounding. `hopeless` are those whose minimum doesn't fit even alone.
    """
    refused: dict[int, Refusal] = {}
    for k in hopeless:
        minimum_a = minimums_a[k]
        for row, weight in entries[k]:
            if free[row] + weight * minimum_a > capacity[row]:
                refused[k] = Refusal(row, free[row], True)
                break
    _ask(queue.held, taken, capacity, entries, minimums_a, refused)
    with_held = taken.copy()
    _ask(queue.waiting, taken, capacity, entries, minimums_a, refused, with_held)
    _ask(queue.over, taken, capacity, entries, minimums_a, refused)
    return refused


def _ask(
    those: list[int],
    taken: list[float],
    capacity: Sequence[float],
    entries: Mapping[int, Entries],
    minimums_a: Sequence[float],
    refused: dict[int, Refusal],
    with_held: list[float] | None = None,
) -> None:
    """One after the other. `with_held`: those who are kept off by held seats alone have a place kept free."""
    for k in those:
        if k in refused:
            continue
        minimum_a, drawn = minimums_a[k], entries[k]
        for row, weight in drawn:
            if taken[row] + weight * minimum_a > capacity[row]:
                refused[k] = Refusal(row, taken[row], False)
                break
        else:
            for row, weight in drawn:
                taken[row] += weight * minimum_a
            continue
        if with_held is not None and any(with_held[row] + weight * minimum_a > capacity[row] for row, weight in drawn):
            for row, weight in drawn:
                taken[row] += weight * minimum_a


def take_seats(
    tally: Tally, candidates: Iterable[Candidate], now_s: float, minimum_on_s: float
) -> tuple[set[int], dict[int, Refusal]]:
    """The EVSEs that get a seat, and why the others don't. `tally`, what higher priorities took, isn't changed."""
    held: list[Candidate] = []
    waiting: list[Candidate] = []
    over: list[Candidate] = []
    for candidate in candidates:
        if candidate.on_since_s is None:
            waiting.append(candidate)
        elif now_s - candidate.on_since_s < minimum_on_s:
            held.append(candidate)
        else:
            over.append(candidate)
    held.sort(key=_most_recent_first)
    over.sort(key=_most_recent_first)
    waiting.sort(key=lambda candidate: (candidate.since_s, *_less_served(candidate)))

    seated: set[int] = set()
    refused: dict[int, Refusal] = {}
    taken = tally.copy()
    for candidate in held:
        _seat(candidate, tally, taken, seated, refused)
    with_held = taken.copy()
    for candidate in (*waiting, *over):
        refusal = _seat(candidate, tally, taken, seated, refused)
        kept_free = refusal is not None and not refusal.alone and candidate.on_since_s is None
        if kept_free and with_held.obstacle(candidate.column, candidate.minimum_a) != OWN:
            taken.add(candidate.column, candidate.minimum_a)
    return seated, refused


def _most_recent_first(candidate: Candidate) -> tuple[float, float, float, int]:
    return (-candidate.since_s, *_less_served(candidate))


def _less_served(candidate: Candidate) -> tuple[float, float, int]:
    return (candidate.served_s, candidate.laxity_s, candidate.evse)


def _seat(
    candidate: Candidate, free: Tally, taken: Tally, seated: set[int], refused: dict[int, Refusal]
) -> Refusal | None:
    row = taken.obstacle(candidate.column, candidate.minimum_a)
    if row == OWN:
        taken.add(candidate.column, candidate.minimum_a)
        seated.add(candidate.evse)
        return None
    alone = free.obstacle(candidate.column, candidate.minimum_a)
    refusal = Refusal(row, taken.taken(row), alone=False) if alone == OWN else Refusal(alone, free.taken(alone), True)
    refused[candidate.evse] = refusal
    return refusal
