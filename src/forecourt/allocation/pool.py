"""Those of one priority who may charge, as one question: do their minimums fit, and who gets how much?

Guarantees
* `pool_of` chooses how to work it out: many shares on plain sums as arrays (`plain`), anything else one by one
  (`filling`). Both give the same shares, up to rounding.
* Nothing is taken from the tally before `take`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from forecourt.allocation.compiled import Column, CompiledSite
from forecourt.allocation.filling import OWN, SLACK, Bundle, Tally, fill, look
from forecourt.allocation.plain import Incidence, Indices, Numbers, fill_plain, look_plain
from forecourt.allocation.urgency import leaning, pressures

MANY: Final = 48
"""From so many shares on arrays are faster."""


class Filled(NamedTuple):
    """Per share, in the order of the pool."""

    levels_a: list[float]
    rows: list[int]
    """The row that stopped it; OWN: none has."""


class Pool(Protocol):
    """Shares over the same tally; the arguments are in their order."""

    def short_rows(self, minimums_a: Sequence[float]) -> list[int]:
        """The rows that don't have room for all of it at once."""
        ...

    def fill(self, minimums_a: Sequence[float], maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        """The levels. The minimums must fit."""
        ...

    def look(self, maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        """Roughly what `fill` would find without minimums; never more."""
        ...

    def lean(self, filled: Filled) -> list[float] | None:
        """How heavily a watt of each leans on the rows that `look` found full (`urgency.leaning`); None: none is."""
        ...

    def take(self, filled: Filled) -> None:
        """Take the levels from the tally."""
        ...


def pool_of(site: CompiledSite, tally: Tally, columns: Sequence[Column]) -> Pool:
    """A pool of shares of these columns."""
    if len(columns) >= MANY and not tally.classes:
        return _Arrays(site, tally, columns)
    return _Bundles(tally, columns)


class _Bundles:
    """One by one, the equal ones together."""

    def __init__(self, tally: Tally, columns: Sequence[Column]) -> None:
        self._tally = tally
        self._columns = columns
        self._trial = tally

    def short_rows(self, minimums_a: Sequence[float]) -> list[int]:
        needed = self._tally.copy()
        for column, minimum_a in zip(self._columns, minimums_a, strict=True):
            needed.add(column, minimum_a)
        return needed.overfull(self._tally)

    def fill(self, minimums_a: Sequence[float], maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        return self._filled(fill, minimums_a, maximums_a, urgencies)

    def look(self, maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        return self._filled(look, [0.0] * len(maximums_a), maximums_a, urgencies)

    def _filled(
        self,
        how: Callable[[Tally, Sequence[Bundle]], None],
        minimums_a: Sequence[float],
        maximums_a: Sequence[float],
        urgencies: Sequence[float],
    ) -> Filled:
        bundles: dict[tuple[int, float, float, float], Bundle] = {}
        members: list[Bundle] = []
        for column, minimum_a, maximum_a, urgency in zip(self._columns, minimums_a, maximums_a, urgencies, strict=True):
            alike = (column.number, minimum_a, maximum_a, urgency)
            bundle = bundles.get(alike)
            if bundle is None:
                bundles[alike] = bundle = Bundle(column, minimum_a, maximum_a, 1, urgency)
            else:
                bundle.count += 1
            members.append(bundle)
        self._trial = self._tally.copy()
        how(self._trial, list(bundles.values()))
        return Filled([bundle.level_a for bundle in members], [bundle.row for bundle in members])

    def lean(self, filled: Filled) -> list[float] | None:
        if not (pressure := pressures(self._trial, filled.rows)):
            return None
        return [leaning(column, pressure) for column in self._columns]

    def take(self, filled: Filled) -> None:
        for column, level_a in zip(self._columns, filled.levels_a, strict=True):
            self._tally.add(column, level_a)


class _Arrays:
    """All at once; every row is a plain sum."""

    def __init__(self, site: CompiledSite, tally: Tally, columns: Sequence[Column]) -> None:
        self._tally = tally
        self._incidence = _incidence(site, columns)
        self._used = np.array(tally.used)
        self._capacity = np.array(tally.room.capacity)

    def short_rows(self, minimums_a: Sequence[float]) -> list[int]:
        taken = self._incidence.sums(np.array(minimums_a))
        short: list[int] = np.flatnonzero((taken > 0.0) & (self._used + taken > self._capacity + SLACK)).tolist()
        return short

    def fill(self, minimums_a: Sequence[float], maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        levels, rows = fill_plain(
            self._incidence,
            self._used,
            self._capacity,
            np.array(minimums_a),
            np.array(maximums_a),
            np.array(urgencies),
        )
        return Filled(levels.tolist(), rows.tolist())

    def look(self, maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        nothing = np.zeros(len(maximums_a))
        levels, rows = look_plain(
            self._incidence, self._used, self._capacity, nothing, np.array(maximums_a), np.array(urgencies)
        )
        return Filled(levels.tolist(), rows.tolist())

    def lean(self, filled: Filled) -> list[float] | None:
        rows = np.array(filled.rows)
        counts = np.bincount(rows[rows != OWN], minlength=self._incidence.number_rows)
        if not (everybody := counts.sum()):
            return None
        pressure = counts / everybody / np.maximum(self._capacity, SLACK)
        entries = self._incidence.weights * pressure[self._incidence.rows]
        leans = np.bincount(self._incidence.members, entries, minlength=len(rows)) / self._incidence.watts
        found: list[float] = leans.tolist()
        return found

    def take(self, filled: Filled) -> None:
        self._used = self._used + self._incidence.sums(np.array(filled.levels_a))
        self._tally.used = self._used.tolist()


class _Kept(NamedTuple):
    """What the last decision needed; the next one often needs the same."""

    made: dict[int, tuple[Indices, Numbers]]
    incidences: deque[tuple[list[int], Incidence]]


def _incidence(site: CompiledSite, columns: Sequence[Column]) -> Incidence:
    """The same one as long as the columns are the same."""
    kept = site.kept
    if not isinstance(kept, _Kept):
        kept = site.kept = _Kept({}, deque(maxlen=3))
    numbers = [column.number for column in columns]
    for known, incidence in kept.incidences:
        if known == numbers:
            return incidence
    incidence = Incidence(columns, len(site.rows), kept.made)
    kept.incidences.append((numbers, incidence))
    return incidence
