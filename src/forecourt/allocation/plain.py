"""The same levels as `filling`, for many shares at once, where every row is a plain sum.

Theory of operation
    For each row the level at which it would be full, were nobody stopped elsewhere first, is found exactly and for all
    rows together: what the row carries is piecewise linear in the level, its corners (where a share starts or stops at
    its maximum) are sorted once, and sums along them say between which two it is full. A row is full there for certain
    if none of those who draw on it is stopped by another row before. All such rows stop their shares in one round; the
    rest is looked at again.
    A round costs a few passes over arrays; trees need few rounds, and each is over fewer shares.

Guarantees
* Max-min fair in proportion to urgency, exactly as `filling` defines it, up to rounding (a test compares them).
* Ends: each round stops at least the row with the lowest level.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecourt.allocation.compiled import Column
from forecourt.allocation.filling import OWN, SLACK

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]
Entries = tuple[Indices, Numbers]
"""Rows, and what one ampere takes of each."""

_ZERO: Final = np.zeros(1, np.intp)
_ROUNDING: Final = 1e-12
"""Part of a row's capacity within which it counts as not more than full."""


class Incidence:
    """Which rows the shares of some columns draw on: one entry for each row of each share."""

    def __init__(self, columns: Sequence[Column], rows: int, made: dict[int, Entries]) -> None:
        """`made` keeps the entries of each column for the next time."""
        self.number_rows = rows
        self.columns = [column.number for column in columns]
        parts = []
        for column in columns:
            part = made.get(column.number)
            if part is None:
                part = made[column.number] = (
                    np.array([row for row, _ in column.plain], np.intp),
                    np.array([weight for _, weight in column.plain], np.float64),
                )
            parts.append(part)
        self.rows: Indices = np.concatenate([rows for rows, _ in parts])
        self.weights: Numbers = np.concatenate([weights for _, weights in parts])
        self.lengths: Indices = np.array([len(rows) for rows, _ in parts])
        self.members: Indices = np.repeat(np.arange(len(columns)), self.lengths)
        self.watts: Numbers = np.array([column.watts for column in columns])
        self._group: Indices | None = None

    def sums(self, currents_a: Numbers) -> Numbers:
        """What the shares take of each row."""
        amounts = self.weights * currents_a[self.members]
        taken: Numbers = np.bincount(self.rows, amounts, minlength=self.number_rows).astype(np.float64, copy=False)
        return taken

    def leading(self, room: Numbers) -> NDArray[np.bool_]:
        """Of rows on which the same shares draw the same, as of lines that all cars load evenly, the one with the least
        room: the others can't be full before it."""
        group = self._group = self._alike() if self._group is None else self._group
        order = np.lexsort((room, group))
        leads = np.zeros(self.number_rows, np.bool_)
        first = np.empty(len(order), np.bool_)
        first[0] = True
        np.not_equal(group[order[1:]], group[order[:-1]], out=first[1:])
        leads[order[first]] = True
        return leads

    def _alike(self) -> Indices:
        """For each row the first one on which the same shares draw the same."""
        order = np.argsort(self.rows, kind="stable")
        members, weights = self.members[order], self.weights[order]
        ends = np.cumsum(np.bincount(self.rows, minlength=self.number_rows)).tolist()
        known: dict[tuple[bytes, bytes], int] = {}
        found = []
        start = 0
        for row, end in enumerate(ends):
            drawn = members[start:end].tobytes(), weights[start:end].tobytes()
            found.append(known.setdefault(drawn, row))
            start = end
        return np.array(found)

    def per_member(self, prices: Numbers) -> Numbers:
        """What one ampere of each share costs, where a unit of each row costs so much."""
        entries = self.weights * prices[self.rows]
        costs: Numbers = np.bincount(self.members, entries, minlength=len(self.columns)).astype(np.float64, copy=False)
        return costs

    def on_rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which shares draw on any of the rows."""
        found = np.zeros(len(self.columns), np.bool_)
        found[self.members[chosen[self.rows]]] = True
        return found


def fill_plain(
    incidence: Incidence, used: Numbers, capacity: Numbers, minimum_a: Numbers, maximum_a: Numbers, urgency: Numbers
) -> tuple[Numbers, Indices]:
    """The level of each share and the row that stopped it (OWN if none has). The minimums must fit."""
    level_a = maximum_a.copy()
    stopper = np.full(len(level_a), OWN, np.intp)
    chosen = _contended(incidence, used, capacity, maximum_a)
    if not len(chosen):
        return level_a, stopper
    open_rows = _OpenRows(incidence, chosen, used, capacity, minimum_a / urgency, maximum_a / urgency, urgency)
    while open_rows.any:
        members, level, rows = open_rows.round()
        stopper[members[::-1]] = rows[::-1]  # of several rows at once the first
        level_a[members] = np.maximum(minimum_a[members], level * urgency[members])
    return level_a, stopper


def look_plain(
    incidence: Incidence, used: Numbers, capacity: Numbers, minimum_a: Numbers, maximum_a: Numbers, urgency: Numbers
) -> tuple[Numbers, Indices]:
    """The same as `filling.look` finds."""
    stopper = np.full(len(maximum_a), OWN, np.intp)
    chosen = _contended(incidence, used, capacity, maximum_a)
    if not len(chosen):
        return maximum_a.copy(), stopper
    open_rows = _OpenRows(incidence, chosen, used, capacity, minimum_a / urgency, maximum_a / urgency, urgency)
    lowest, members, rows = open_rows.look()
    stopper[members[::-1]] = rows[::-1]
    level_a = lowest * urgency
    stopper[level_a >= maximum_a] = OWN
    return np.clip(level_a, minimum_a, maximum_a), stopper


def _contended(incidence: Incidence, used: Numbers, capacity: Numbers, maximum_a: Numbers) -> Indices:
    """The entries of rows that would be overfull if everybody had their maximum."""
    tight = used + incidence.sums(maximum_a) > capacity + SLACK
    if not tight.any():
        return np.zeros(0, np.intp)
    tight &= incidence.leading(capacity - used)
    return np.flatnonzero(tight[incidence.rows] & (maximum_a > 0.0)[incidence.members])


class _OpenRows:
    """The rows that may be full, and who draws on them. Levels are per urgency; rows as parts of their capacity."""

    def __init__(
        self,
        incidence: Incidence,
        chosen: Indices,
        used: Numbers,
        capacity: Numbers,
        low: Numbers,
        high: Numbers,
        urgency: Numbers,
    ) -> None:
        self.low, self.high = low, high
        self.live = np.ones(len(low), np.bool_)
        scale = np.where(capacity > SLACK, capacity, 1.0)
        self.capacity = np.maximum(capacity, 0.0) / scale
        self.fixed = used / scale
        self.levels = np.full(len(used), np.inf)
        self.changed = np.ones(len(used), np.bool_)
        members, rows = incidence.members[chosen], incidence.rows[chosen]
        weights = incidence.weights[chosen] * urgency[members] / scale[rows]
        # The corners: twice per entry, in order of row and level.
        lengths = np.bincount(members, minlength=len(low))
        starts = np.cumsum(lengths) - lengths
        corners = np.concatenate([low, high])
        rank = np.argsort(corners, kind="stable")
        who = np.where(rank < len(low), rank, rank - len(low))
        counts = lengths[who]
        ends = np.cumsum(counts)
        entries = np.arange(ends[-1]) + np.repeat(starts[who] - (ends - counts), counts)
        narrow = rows.take(entries).astype(np.int16 if len(used) < 2**15 else np.int64)
        order = np.argsort(narrow, kind="stable")  # a radix sort where the type is narrow
        self.corner_rows = narrow.take(order).astype(np.intp)
        self.corner_members = np.repeat(who, counts).take(order)
        self.corner_levels = np.repeat(corners[rank], counts).take(order)
        slopes = (weights.take(entries) * np.repeat(np.where(rank < len(low), 1.0, -1.0), counts)).take(order)
        self.corner_slopes = slopes + 1j * (slopes * self.corner_levels)
        """How much steeper a row rises from there on; and, as the imaginary part, that times the level: what it carries
        at a level is the level times the sum of these less the sum of those, and one pass adds up both."""
        self.rows, self.members, self.weights = rows, members, weights
        self.waiting = np.bincount(rows, weights * low[members], minlength=len(used))
        """What all of a row take that haven't started to rise."""

    @property
    def any(self) -> bool:
        """Whether there is a row left."""
        return len(self.rows) > 0

    def look(self) -> tuple[Numbers, Indices, Indices]:
        """The lowest level of the rows of each share; and pairs of a share and a row that has it."""
        self._find_levels()
        at = self.levels[self.rows]
        lowest = np.full(len(self.live), np.inf)
        np.minimum.at(lowest, self.members, at)
        lows = np.flatnonzero(at == lowest[self.members])
        return lowest, self.members[lows], self.rows[lows]

    def round(self) -> tuple[Indices, Numbers, Indices]:
        """Stop whoever is certain to be stopped: the shares, at which levels, and by which rows; all sorted by row."""
        self._find_levels()
        levels = self.levels
        at = levels[self.rows]
        lowest = np.full(len(self.live), np.inf)
        np.minimum.at(lowest, self.members, at)
        unsure = np.zeros(len(levels), np.bool_)
        low, high = self.low[self.members], self.high[self.members]
        unsure[self.rows[np.clip(lowest[self.members], low, high) < np.clip(at, low, high)]] = True
        sure = np.isfinite(levels) & ~unsure
        stopping = np.flatnonzero((high > at) & sure[self.rows])
        members, rows = self.members[stopping], self.rows[stopping]
        self._leave(members, lowest, gone=sure | np.isinf(levels))
        return members, lowest[members], rows

    def _find_levels(self) -> None:
        """For each row that has changed the level at which it is full; infinite if it never is."""
        found = self.levels
        found[self.changed] = np.inf
        rows, level, slope = self.corner_rows, self.corner_levels, self.corner_slopes
        if not self.changed.all():
            looked = self.changed[rows].nonzero()[0]
            rows, level, slope = rows.take(looked), level.take(looked), slope.take(looked)
        if not len(rows):
            return
        first = np.concatenate([_ZERO, (rows[1:] != rows[:-1]).nonzero()[0] + 1])
        counts = np.empty(len(first), np.intp)
        counts[:-1] = first[1:] - first[:-1]
        counts[-1] = len(rows) - first[-1]
        which = rows[first]
        sums = np.cumsum(slope)
        sums -= np.repeat(sums[first] - slope[first], counts)
        rise = sums.real
        carried = level * rise
        carried -= sums.imag
        room = self.capacity[which] - self.fixed[which] - self.waiting[which]
        over = carried > np.repeat(room + _ROUNDING, counts)
        place = np.where(over, np.arange(len(over)), len(over))
        crossing = np.minimum.reduceat(place, first)
        full = crossing < len(over)
        at_start = full & (crossing == first)
        found[which[at_start]] = 0.0  # more than full already: nobody gets more than the minimum
        between = full & ~at_start
        before = crossing[between] - 1
        left = np.maximum(room[between] - carried[before], 0.0)
        found[which[between]] = np.minimum(level[before] + left / rise[before], level[before + 1])

    def _leave(self, members: Indices, at: Numbers, gone: NDArray[np.bool_]) -> None:
        """Forget rows that are done, and count what has stopped as fixed."""
        self.live[members] = False
        self.changed[:] = False
        stopped = ~self.live[self.members]
        if stopped.any():
            who, rows, weights = self.members[stopped], self.rows[stopped], self.weights[stopped]
            self.changed[rows] = True
            low = self.low[who]
            level = np.clip(at[who], low, self.high[who])
            self.fixed += np.bincount(rows, weights * level, minlength=len(self.fixed))
            self.waiting -= np.bincount(rows, weights * low, minlength=len(self.fixed))
        keep = (~(stopped | gone[self.rows])).nonzero()[0]
        self.rows, self.members, self.weights = self.rows.take(keep), self.members.take(keep), self.weights.take(keep)
        keep = (self.live[self.corner_members] & ~gone[self.corner_rows]).nonzero()[0]
        self.corner_rows, self.corner_members = self.corner_rows.take(keep), self.corner_members.take(keep)
        self.corner_levels, self.corner_slopes = self.corner_levels.take(keep), self.corner_slopes.take(keep)
