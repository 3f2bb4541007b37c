"""Limits over time on the nodes of a site, from whoever may set them: the grid operator, OpenADR, schedules, a person.

Guarantees
* Each source says what it has to say about a node as a whole, and replaces what it said before; the lowest of all
  sources holds. A source that says nothing limits nothing.
* Every beginning, end and change of a limit is told once, with its time, source, node and numbers (`Happened`), and
  after the next decision what it came to for the EVSEs: what they might draw before and after.
* Weekly times are those of the clock on the wall in their time zone; where it is set back or forth they follow it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from forecourt.allocation.demand import NodeLimit
from forecourt.domain.clock import Now
from forecourt.domain.sentence import Sentence, say
from forecourt.domain.site import GridConnection, Site

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_NEVER_BINDS: Final = 1.01
"""A power limit so much above what the fuses carry never binds; it is there to be lowered."""


class TimedLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit from one instant to another."""

    begins: datetime | None = None
    """None: it holds already."""
    ends: datetime | None = None
    """None: until further notice."""
    limit: NodeLimit

    def holds(self, at: datetime) -> bool:
        """Whether it holds at `at`."""
        return (self.begins is None or self.begins <= at) and (self.ends is None or at < self.ends)


class WeeklyLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit on some days of the week, between two times of the day; `ends` before `begins` is the next day."""

    name: str
    node: str
    days: tuple[Day, ...] = DAYS
    begins: time
    ends: time
    time_zone: str
    limit: NodeLimit

    def spans(self, at: datetime) -> Iterable[tuple[datetime, datetime]]:
        """When it holds, from the day before `at` for nine days."""
        zone = ZoneInfo(self.time_zone)
        today = at.astimezone(zone).date()
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            if DAYS[day.weekday()] not in self.days:
                continue
            last = day + timedelta(days=1) if self.ends <= self.begins else day
            begins = datetime.combine(day, self.begins, zone).astimezone(UTC)
            ends = datetime.combine(last, self.ends, zone).astimezone(UTC)
            if begins < ends:
                yield begins, ends


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something about limits that should be found in a log later."""

    at: datetime
    source: str
    node: str
    sentence: Sentence

    @property
    def text(self) -> str:
        """In English."""
        return str(self.sentence)


class Limits:
    """All limits of the site that hold for a time."""

    def __init__(self, weekly: Sequence[WeeklyLimit] = ()) -> None:
        self._weekly = tuple(weekly)
        self._said: dict[tuple[str, str], tuple[TimedLimit, ...]] = {}
        self._holding: dict[tuple[str, str], NodeLimit] = {}
        self._waiting: list[Happened] = []
        self._before_w: float | None = None

    def put(self, source: str, node: str, limits: Iterable[TimedLimit]) -> None:
        """What `source` has to say about `node`, in place of what it said before."""
        self._said[source, node] = tuple(limits)

    def sources(self, at: datetime) -> dict[tuple[str, str], NodeLimit]:
        """What holds now, by source and node."""
        found: dict[tuple[str, str], NodeLimit] = {}
        for (source, node), timed in self._said.items():
            holding = [one.limit for one in timed if one.holds(at)]
            if holding:
                found[source, node] = lowest(holding)
        for rule in self._weekly:
            if any(begins <= at < ends for begins, ends in rule.spans(at)):
                key = (f"schedule {rule.name}", rule.node)
                found[key] = lowest([rule.limit, *([found[key]] if key in found else [])])
        return found

    def effective(self, now: Now, allowed_w: float) -> dict[str, NodeLimit]:
        """What holds now, by node. `allowed_w` is what the EVSEs may draw so far: the log says so."""
        holding = self.sources(now.at)
        for key in dict.fromkeys([*self._holding, *holding]):
            before, after = self._holding.get(key), holding.get(key)
            if before == after:
                continue
            source, node = key
            what = (
                say("{source}: {node} is limited no longer", source=source, node=node)
                if after is None
                else say("{source}: {node} to {limit}", source=source, node=node, limit=told(after))
            )
            self._waiting.append(Happened(at=now.at, source=source, node=node, sentence=what))
            self._before_w = allowed_w if self._before_w is None else self._before_w
        self._holding = holding
        by_node: dict[str, list[NodeLimit]] = {}
        for (_, node), limit in holding.items():
            by_node.setdefault(node, []).append(limit)
        return {node: lowest(limits) for node, limits in by_node.items()}

    def happened(self, allowed_w: float) -> list[Happened]:
        """What is to be logged, now that it is decided that the EVSEs may draw `allowed_w`."""
        waiting, self._waiting = self._waiting, []
        before_w, self._before_w = self._before_w, None
        words = "{what}; EVSEs may draw {allowed:.1f} kW, before {before:.1f} kW"
        allowed_kw, before_kw = allowed_w / 1000, (before_w or 0.0) / 1000
        return [
            msgspec.structs.replace(one, sentence=say(words, what=one.sentence, allowed=allowed_kw, before=before_kw))
            for one in waiting
        ]

    def next_change(self, at: datetime) -> datetime | None:
        """When something else may hold."""
        instants = [
            instant for timed in self._said.values() for one in timed for instant in (one.begins, one.ends) if instant
        ]
        instants += [instant for rule in self._weekly for span in rule.spans(at) for instant in span]
        return min((instant for instant in instants if instant > at), default=None)


def lowest(limits: Sequence[NodeLimit]) -> NodeLimit:
    """What all of them leave."""
    return NodeLimit(
        power_w=_least(one.power_w for one in limits),
        controlled_w=_least(one.controlled_w for one in limits),
        current_a=_least(one.current_a for one in limits),
    )


def told(limit: NodeLimit) -> Sentence:
    """For a person."""
    parts = [] if limit.power_w is None else [say("{power:.2f} kW", power=limit.power_w / 1000)]
    parts += [] if limit.controlled_w is None else [say("{power:.2f} kW for EVSEs", power=limit.controlled_w / 1000)]
    parts += [] if limit.current_a is None else [say("{current:.1f} A", current=limit.current_a)]
    if not parts:
        return say("no limit")
    named = dict(zip("abc", parts, strict=False))
    return say(", ".join(f"{{{name}}}" for name in named), **named)


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


Allowances = Mapping[str, NodeLimit]


def limitable(site: Site) -> Site:
    """The same site with a power limit on each node that has none, too high ever to matter: it can be lowered for a
    time."""

    def limit_w(node: GridConnection) -> float:
        carried_w = node.rating_a.total * site.voltages_v[site.node_index[node.name]] * _NEVER_BINDS
        return carried_w if node.power_limit_w is None else node.power_limit_w

    replace = msgspec.structs.replace
    return replace(
        site,
        grid=replace(site.grid, power_limit_w=limit_w(site.grid)),
        circuits=tuple(replace(circuit, power_limit_w=limit_w(circuit)) for circuit in site.circuits),
    )
