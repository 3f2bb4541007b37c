"""Sharing by rising levels: exact max-min fairness under any number of rows.

Theory of operation
    All shares rise together, like water, each as fast as its urgency (1 for everybody: evenly). A share starts when the
    level times its urgency reaches its minimum (until then it has its minimum), and stops at its own maximum or when a
    row that it draws on is full. The level at which a row would be full, were nobody stopped elsewhere first, is found
    exactly, segment by segment. Those levels wait in a heap; a share that stops elsewhere can only raise them, so the
    lowest is looked at first, recomputed if something has changed below it, and when it is still the lowest, the row is
    full and its shares stop. Rows that couldn't be full if everybody had their maximum are left out from the start.

Guarantees
* No share can rise without a share falling (or falling below its minimum) that isn't higher, each divided by its
  urgency: max-min fair in proportion to urgency, and plainly so among the equally urgent.
* Exact up to rounding of floating point: nothing is searched to a tolerance. A plain row's level is the end of a
  division, a phasor row's the root of a quadratic equation.
* Equal bundles in equal order give equal results; the order changes nothing but the last bits.
* About `n log n` in bundles, times the number of rows that are full.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Final

from forecourt.allocation.compiled import Column, Room, Row

SLACK: Final = 1e-9
"""What rounding may add up to, in the unit of the row."""

_NEAR: Final = 1e-4
"""Ampere within which a phasor row found full is full: where a sum only grazes its limit, roots are that rough."""

_TIE: Final = 1e-7
"""Ampere within which two sums of a phasor row are full at once."""

OWN: Final = -1
"""In place of a row: nothing but its own maximum stopped it."""


class Bundle:
    """Shares that nothing tells apart: equal column, minimum, maximum and urgency; so they end up equal."""

    __slots__ = ("column", "count", "level_a", "maximum_a", "minimum_a", "row", "stopped", "urgency")

    def __init__(
        self, column: Column, minimum_a: float, maximum_a: float, count: int = 1, urgency: float = 1.0
    ) -> None:
        self.column = column
        self.minimum_a = minimum_a
        self.maximum_a = maximum_a
        self.count = count
        self.urgency = urgency
        self.level_a = maximum_a
        """What each gets."""
        self.row = OWN
        """The row that stopped it."""
        self.stopped = False


class Tally:
    """How much of each row is taken."""

    __slots__ = ("classes", "room", "rows", "used")

    def __init__(self, rows: Sequence[Row], room: Room, phasors: Iterable[int] | None = None) -> None:
        """`phasors` are those of `rows` that aren't plain, if somebody knows them already."""
        if phasors is None:
            phasors = [index for index, row in enumerate(rows) if not row.plain]
        self.rows = rows
        self.room = room
        self.used = [0.0] * len(rows)
        self.classes = {row: [room.extra[row]] + [0.0] * (len(rows[row].directions) - 1) for row in phasors}

    def copy(self) -> "Tally":
        """An independent one."""
        twin = Tally.__new__(Tally)
        twin.rows, twin.room, twin.used = self.rows, self.room, self.used.copy()
        twin.classes = {index: amounts.copy() for index, amounts in self.classes.items()}
        return twin

    def add(self, column: Column, current_a: float) -> None:
        """Take `current_a` of a column."""
        used = self.used
        for row, weight in column.plain:
            used[row] += weight * current_a
        for row, k, weight in column.phasor:
            self.classes[row][k] += weight * current_a

    def taken(self, row: int) -> float:
        """In the unit of the row; of a phasor row the largest magnitude, background included."""
        amounts = self.classes.get(row)
        if amounts is None:
            return self.used[row]
        return max(map(abs, _sums(self.rows[row], self.room.base[row], amounts)))

    def obstacle(self, column: Column, current_a: float) -> int:
        """The first row that has no room for `current_a` more of a column; OWN if all have."""
        if current_a <= 0.0:
            return OWN
        used, capacity = self.used, self.room.capacity
        for row, weight in column.plain:
            if used[row] + weight * current_a > capacity[row] + SLACK:
                return row
        touched: dict[int, list[float]] = {}
        for row, k, weight in column.phasor:
            touched.setdefault(row, self.classes[row].copy())[k] += weight * current_a
        for row, amounts in touched.items():
            sums = _sums(self.rows[row], self.room.base[row], amounts)
            if any(abs(sum_a) > capacity[row] + SLACK for sum_a in sums):
                return row
        return OWN

    def overfull(self, before: "Tally") -> list[int]:
        """The rows of which something was taken since `before`, and that have less than that."""
        capacity = self.room.capacity
        found = [
            row
            for row, (now, then) in enumerate(zip(self.used, before.used, strict=True))
            if now > then and now > capacity[row] + SLACK
        ]
        found += [
            row
            for row, amounts in self.classes.items()
            if amounts != before.classes[row] and self.taken(row) > capacity[row] + SLACK
        ]
        return found


def fill(tally: Tally, bundles: Sequence[Bundle]) -> None:
    """Give each bundle its level, and take it from `tally`. The minimums must fit."""
    limits = _tight_limits(tally, bundles)
    heap = [(limit.next_level(0.0), row) for row, limit in limits.items()]
    heapq.heapify(heap)
    while heap and heap[0][0] < math.inf:
        level_a, row = heap[0]
        limit = limits[row]
        if limit.stale:
            limit.stale = False
            heapq.heapreplace(heap, (max(level_a, limit.next_level(level_a)), row))
            continue
        stopped = limit.stopped_at(level_a)
        if not stopped and limit.next_level(level_a) <= level_a + _NEAR:
            stopped = limit.rising(level_a)  # rounding sees it full here and not there: the safe side, and an end
        for bundle in stopped:
            bundle.stopped = True
            bundle.row = row
            bundle.level_a = max(bundle.minimum_a, level_a * bundle.urgency)
            total_a = bundle.level_a * bundle.count
            for touched, weight in bundle.column.plain:
                if touched in limits:
                    limits[touched].settle(0, weight * total_a)
            for touched, k, weight in bundle.column.phasor:
                if touched in limits:
                    limits[touched].settle(k, weight * total_a)
        limit.stale = False
        heapq.heapreplace(heap, (max(level_a, limit.next_level(level_a)), row))
    for bundle in bundles:
        tally.add(bundle.column, bundle.level_a * bundle.count)


def look(tally: Tally, bundles: Sequence[Bundle]) -> None:
    """What `fill` would find at first: each row as if nobody were stopped by another.

    Levels are never higher than those of `fill`, as those whom another row stops leave more. Much less work, and enough
    to see which rows are contended.
    """
    limits = _tight_limits(tally, bundles)
    levels = {row: limit.next_level(0.0) for row, limit in limits.items()}
    for bundle in bundles:
        level = math.inf
        for row in (*(row for row, _ in bundle.column.plain), *(row for row, _, _ in bundle.column.phasor)):
            if levels.get(row, math.inf) < level:
                level, bundle.row = levels[row], row
        level *= bundle.urgency
        if level < bundle.maximum_a:
            bundle.level_a = max(bundle.minimum_a, level)
        else:
            bundle.row = OWN
        tally.add(bundle.column, bundle.level_a * bundle.count)


def _tight_limits(tally: Tally, bundles: Sequence[Bundle]) -> dict[int, "_Plain | _Phasor"]:
    """The rows that would be overfull if every bundle had its maximum, with the bundles that draw on them."""
    top = tally.copy()
    for bundle in bundles:
        top.add(bundle.column, bundle.maximum_a * bundle.count)
    capacity, used = tally.room.capacity, tally.used
    limits: dict[int, _Plain | _Phasor] = {
        row: _Plain(capacity[row], used[row]) for row, most in enumerate(top.used) if most > capacity[row] + SLACK
    }
    for row in tally.classes:
        if top.taken(row) > capacity[row] + SLACK:
            limits[row] = _Phasor(tally.rows[row], capacity[row], tally.room.base[row], tally.classes[row])
    if limits:
        for bundle in bundles:
            for row, weight in bundle.column.plain:
                if row in limits:
                    limits[row].join(bundle, 0, weight)
            for row, k, weight in bundle.column.phasor:
                if row in limits:
                    limits[row].join(bundle, k, weight)
    return limits


class _Plain:
    """A weighted sum that may reach its capacity."""

    __slots__ = ("capacity", "live", "settled", "stale")

    def __init__(self, capacity: float, settled: float) -> None:
        self.capacity = capacity
        self.settled = settled
        self.live: list[tuple[float, float, float, Bundle]] = []
        self.stale = False

    def join(self, bundle: Bundle, _k: int, weight: float) -> None:
        """Count a bundle in."""
        urgency = bundle.urgency
        self.live.append(
            (bundle.minimum_a / urgency, bundle.maximum_a / urgency, weight * bundle.count * urgency, bundle)
        )

    def settle(self, _k: int, amount: float) -> None:
        """A bundle has stopped, at this amount."""
        self.settled += amount
        self.stale = True

    def stopped_at(self, level_a: float) -> list[Bundle]:
        """Those that were still rising, or hadn't started, when the row was full at `level_a`."""
        return [bundle for _, high, _, bundle in self.live if not bundle.stopped and high > level_a]

    def rising(self, level_a: float) -> list[Bundle]:
        """All that a higher level would raise."""
        return self.stopped_at(level_a)

    def next_level(self, level_a: float) -> float:
        """The level, from `level_a` up, at which the row is full if nobody stops elsewhere; infinite if it never is."""
        live = [member for member in self.live if not member[3].stopped]
        self.live = live
        settled = self.settled
        while True:
            rising = 0.0
            waiting = 0.0
            start = first_high = math.inf
            still = []
            for member in live:
                low, high, weight, _ = member
                if high <= level_a:
                    settled += weight * high
                    continue
                still.append(member)
                if low > level_a:
                    waiting += weight * low
                    if low < start:  # noqa: PLR1730 - dearer as a call, here
                        start = low
                else:
                    rising += weight
                    if high < first_high:  # noqa: PLR1730
                        first_high = high
            if not still:
                return math.inf
            slack = self.capacity - settled - waiting - rising * level_a
            full = level_a + max(slack, 0.0) / rising if rising else math.inf
            if full <= first_high and full <= start:
                return full
            level_a = min(full, start)  # exact again from here: nobody starts before, those that end before only lag
            live = still


class _Phasor:
    """The magnitude of a complex sum that may reach its capacity."""

    __slots__ = ("base", "capacity", "corners", "live", "row", "settled", "stale")

    def __init__(self, row: Row, capacity: float, base: float, settled: Sequence[float]) -> None:
        self.row = row
        self.capacity = capacity
        self.base = base
        self.settled = list(settled)
        self.corners = row.opposed_corners if base < 0.0 else row.corners
        self.live: list[tuple[float, float, float, int, Bundle]] = []
        self.stale = False

    def join(self, bundle: Bundle, k: int, weight: float) -> None:
        """Count a bundle in."""
        urgency = bundle.urgency
        weight *= bundle.count * urgency
        self.live.append((bundle.minimum_a / urgency, bundle.maximum_a / urgency, weight, k, bundle))

    def settle(self, k: int, amount: float) -> None:
        """A bundle has stopped, at this amount of class `k`."""
        self.settled[k] += amount
        self.stale = True

    def stopped_at(self, level_a: float) -> list[Bundle]:
        """Those still rising or waiting, of the classes that would lengthen a sum that is full at `level_a`."""
        amounts = self.settled.copy()
        slopes = [0.0] * len(amounts)
        for low, high, weight, k, bundle in self.live:
            if not bundle.stopped:
                amounts[k] += weight * min(max(low, level_a), high)
                slopes[k] += weight if low <= level_a < high else 0.0
        reaches = self._reaches(amounts, slopes)
        nearest = min(reaches)
        if nearest > _NEAR:
            return []  # what filled it has reached its own maximum with the same ampere
        directions = self.row.directions
        full: set[int] = set()
        for reach, corner in zip(reaches, self.corners, strict=True):
            if reach <= nearest + _TIE:
                at = complex(self.base) + sum(directions[k] * amounts[k] for k in corner)
                over = abs(at) > self.capacity + _NEAR  # by the background alone: then all of them
                full.update(k for k in corner if over or (directions[k] * at.conjugate()).real >= -SLACK * abs(at))
        found = {
            id(bundle): bundle
            for _, high, _, k, bundle in self.live
            if k in full and not bundle.stopped and high > level_a
        }
        return list(found.values())

    def rising(self, level_a: float) -> list[Bundle]:
        """All that a higher level would raise."""
        live = self.live
        found = {id(bundle): bundle for _, high, _, _, bundle in live if not bundle.stopped and high > level_a}
        return list(found.values())

    def next_level(self, level_a: float) -> float:
        """The level, from `level_a` up, at which a sum is full if nobody stops elsewhere; infinite if none ever is."""
        live = [member for member in self.live if not member[4].stopped]
        self.live = live
        settled = self.settled.copy()
        while True:
            amounts = settled.copy()
            slopes = [0.0] * len(amounts)
            start = first_high = math.inf
            still = []
            for member in live:
                low, high, weight, k, _ = member
                if high <= level_a:
                    settled[k] += weight * high
                    amounts[k] += weight * high
                    continue
                still.append(member)
                if low > level_a:
                    amounts[k] += weight * low
                    if low < start:  # noqa: PLR1730 - dearer as a call, here
                        start = low
                else:
                    amounts[k] += weight * level_a
                    slopes[k] += weight
                    if high < first_high:  # noqa: PLR1730
                        first_high = high
            if not still:
                return math.inf
            full = level_a + min(self._reaches(amounts, slopes))
            if full <= first_high and full <= start:
                return full
            if (level_a := min(full, start)) == math.inf:
                return math.inf
            live = still

    def _reaches(self, amounts: Sequence[float], slopes: Sequence[float]) -> list[float]:
        """How far the level can rise until the sum over each corner is full."""
        directions, capacity = self.row.directions, self.capacity
        found = []
        for corner in self.corners:
            at, rise = complex(self.base), 0j
            for k in corner:
                at += directions[k] * amounts[k]
                rise += directions[k] * slopes[k]
            found.append(_reach(at, rise, capacity))
        return found


def _reach(at: complex, rise: complex, capacity: float) -> float:
    """The largest t at which |at + t·rise| is `capacity`; infinite if nothing rises, 0 if it is over already."""
    square = rise.real * rise.real + rise.imag * rise.imag
    if square < 1e-18:
        return math.inf
    if capacity <= 0.0:
        return 0.0
    half = (at * rise.conjugate()).real
    over = at.real * at.real + at.imag * at.imag - capacity * capacity
    if over > 0.0 and (half >= 0.0 or over > SLACK * capacity):
        return 0.0
    root = math.sqrt(max(half * half - square * over, 0.0))
    return -over / (half + root) if half > 0.0 else (root - half) / square


def _sums(row: Row, base: float, amounts: Sequence[float]) -> list[complex]:
    directions = row.directions
    found = []
    for corner in row.opposed_corners if base < 0.0 else row.corners:
        at = complex(base)
        for k in corner:
            at += directions[k] * amounts[k]
        found.append(at)
    return found
