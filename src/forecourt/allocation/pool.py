"""Those of one priority who may charge, as one question: do their minimums fit, and who gets how much?

Guarantees
* Equal ones are worked out together. Nothing is taken from the tally before `take`.
* `crowd` answers the same for many at once, where every row is a plain sum.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from forecourt.allocation.compiled import Column
from forecourt.allocation.filling import Bundle, Tally, fill, look
from forecourt.allocation.urgency import leaning, pressures


class Filled(NamedTuple):
    """Per share, in the order of the pool."""

    levels_a: list[float]
    rows: list[int]
    """The row that stopped it; OWN: none has."""


class Pool:
    """Shares over the same tally; the arguments are in their order."""

    def __init__(self, tally: Tally, columns: Sequence[Column]) -> None:
        self._tally = tally
        self._columns = columns
        self._trial = tally

    def short_rows(self, minimums_a: Sequence[float]) -> list[int]:
        """The rows that don't have room for all of it at once."""
        needed = self._tally.copy()
        for column, minimum_a in zip(self._columns, minimums_a, strict=True):
            needed.add(column, minimum_a)
        return needed.overfull(self._tally)

    def fill(self, minimums_a: Sequence[float], maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        """The levels. The minimums must fit."""
        return self._filled(fill, minimums_a, maximums_a, urgencies)

    def look(self, maximums_a: Sequence[float], urgencies: Sequence[float]) -> Filled:
        """Roughly what `fill` would find without minimums; never more."""
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
        """How heavily a watt of each leans on the rows that `look` found full (`urgency.leaning`); None: none is."""
        if not (pressure := pressures(self._trial, filled.rows)):
            return None
        return [leaning(column, pressure) for column in self._columns]

    def take(self, filled: Filled) -> None:
        """Take the levels from the tally."""
        for column, level_a in zip(self._columns, filled.levels_a, strict=True):
            self._tally.add(column, level_a)
