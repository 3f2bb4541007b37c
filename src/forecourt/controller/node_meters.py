"""The site's own meters in the controller's books: what flows through a node besides the EVSEs.

Guarantees (`controller.md` §2, §3.9)
* Background is what a node's meter reads less what the controlled EVSEs below it draw. Meter and stations report at
  different times, so the difference jumps when a car does; only what it stays at for longer than stations take to
  report (`draws_within_s`) is believed. What is believed is never so low that it and the exposures come to less than
  the meter reads, and never more than the meter reads: so an overload that is there is always seen at once. Then
  nothing is waited for: what the cars weren't heard to draw counts as background, and once they have had the time to
  follow a limit, so does what flows all the same.
* What isn't known of a draw counts as none: lines of an unknown rotation, a reading that doesn't tell phases apart, a
  report that is too old. Then the background is believed to be higher than it is.
* A meter that has said nothing for `silent_s` isn't believed any more: the node's declared worst case holds, and an
  alarm says so. So it is with a reading that can't be true.
* What flows back through a node isn't counted on: a cloud takes it away faster than cars follow.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from forecourt.allocation.demand import Background
from forecourt.controller.line import Line
from forecourt.controller.ports import MeterReading, MeterRole
from forecourt.domain.clock import Now
from forecourt.domain.sentence import Sentence, say
from forecourt.domain.site import EvseKey, EvsePoint, Site
from forecourt.quantities import PHASES, PerPhase

IMPLAUSIBLE_RATINGS: Final = 5.0
"""Nothing but a short circuit draws so many times a fuse's rating."""

IMPLAUSIBLE_VOLTAGE: Final = (0.5, 1.5)
"""Times the nominal voltage."""

_COS_30: Final = math.sqrt(3.0) / 2.0
"""The part of a current between two lines that is in phase with the voltage of each."""


class MeterUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a meter is there for, as the brain needs to know it."""

    name: str
    role: MeterRole = MeterRole.NODE
    node: str
    """Its node; for PV and batteries, where they feed in."""
    delay_s: float = 2.0
    station_id: str | None = None
    """The station whose main meter it is."""


class _Heard:
    """One meter."""

    def __init__(self, use: MeterUse) -> None:
        self.use = use
        self.reading: MeterReading | None = None
        self.at_s = -math.inf
        self.silent = True
        self.estimate: PerPhase | None = None
        self.window: deque[tuple[float, PerPhase]] = deque()


class NodeMeters:
    """All meters of the site. `now` goes in with everything."""

    def __init__(
        self, site: Site, uses: Iterable[MeterUse], *, silent_s: float = 10.0, draws_within_s: float = 45.0
    ) -> None:
        """`silent_s`: after so long without a reading a meter isn't believed. `draws_within_s`: how old a station's own
        report may be, and how long a change must stay to be believed; more than the interval of their meter values."""
        self._site = site
        self._silent_s = silent_s
        self._within_s = draws_within_s
        self._heard = {use.name: _Heard(use) for use in uses}
        self._below = {
            use.node: tuple(point.key for point in site.evses if _is_below(site, point, use.node))
            for use in (heard.use for heard in self._heard.values())
        }

    def use(self, name: str) -> MeterUse:
        """What a meter is there for. Raises KeyError."""
        return self._heard[name].use

    @property
    def names(self) -> tuple[str, ...]:
        """Of all meters."""
        return tuple(self._heard)

    def of_station(self, station_id: str) -> str | None:
        """The meter that is a station's main meter."""
        return next((name for name, heard in self._heard.items() if heard.use.station_id == station_id), None)

    def take(self, name: str, reading: MeterReading, lines: Mapping[EvseKey, Line], now: Now) -> Sentence | None:
        """A reading. What is wrong with it, if it can't be true; then it isn't taken. Raises KeyError."""
        heard = self._heard[name]
        wrong = self._implausible(heard.use, reading)
        if wrong is not None:
            return wrong
        if now.elapsed_s - heard.at_s > self._silent_s:
            heard.window.clear()
            heard.estimate = None
        heard.reading, heard.at_s, heard.silent = reading, now.elapsed_s, False
        if heard.use.role is MeterRole.NODE:
            self._estimate(heard, self._current(heard.use, reading), lines, now)
        return None

    def backgrounds(self, now: Now) -> dict[str, Background]:
        """What is believed of each node whose meter isn't silent."""
        found: dict[str, Background] = {}
        for heard in self._heard.values():
            if heard.use.role is MeterRole.NODE and heard.estimate is not None and self._speaks(heard, now):
                lowest = heard.estimate
                for _, one in heard.window:
                    lowest = PerPhase(*map(min, lowest, one))
                highest = heard.estimate.map(lambda current_a: max(current_a, 0.0))
                found[heard.use.node] = Background(highest, lowest)
        return found

    def node_current(self, node: str, now: Now) -> PerPhase | None:
        """What the meter of a node reads on each line; None without a meter, or from one that is silent."""
        for heard in self._heard.values():
            if heard.use.role is MeterRole.NODE and heard.use.node == node and self._speaks(heard, now):
                return None if heard.reading is None else self._current(heard.use, heard.reading)
        return None

    def current_above(self, point: EvsePoint, now: Now) -> PerPhase | None:
        """What the nearest meter above an EVSE reads on each line, if it tells them apart and no transformer is between
        that mixes them."""
        site = self._site
        for node in site.way_up(site.node_of(point)):
            for heard in self._heard.values():
                if heard.use.role is not MeterRole.NODE or heard.use.node != site.nodes[node].name:
                    continue
                reading = heard.reading if self._speaks(heard, now) else None
                if reading is not None and (reading.current_a is not None or reading.power_per_phase_w is not None):
                    return self._current(heard.use, reading)
            if node > 0 and site.circuits[node - 1].transformer is not None:
                return None
        return None

    def flows_out_a(self, node: str, now: Now) -> float:
        """What surely leaves a node besides the EVSEs, on balance of its lines: the least of the last while."""
        least = 0.0
        for heard in self._heard.values():
            if heard.use.role is MeterRole.NODE and heard.use.node == node and self._speaks(heard, now):
                least = max(0.0, min(-one.total for _, one in heard.window))
        return least

    def reading(self, name: str, now: Now) -> MeterReading | None:
        """The last one; None from a meter that is silent."""
        heard = self._heard[name]
        return heard.reading if self._speaks(heard, now) else None

    def readings(self, role: MeterRole, now: Now) -> list[MeterReading]:
        """Of all meters of a role that aren't silent."""
        return [
            heard.reading
            for heard in self._heard.values()
            if heard.use.role is role and heard.reading is not None and self._speaks(heard, now)
        ]

    def fell_silent(self, now: Now) -> list[str]:
        """Meters that were heard before and aren't any more, each told once."""
        found = [
            name
            for name, heard in self._heard.items()
            if not heard.silent and now.elapsed_s >= heard.at_s + self._silent_s
        ]
        for name in found:
            self._heard[name].silent = True
        return found

    def next_s(self) -> float | None:
        """When a meter will count as silent if nothing is heard (elapsed)."""
        return min((heard.at_s + self._silent_s for heard in self._heard.values() if not heard.silent), default=None)

    def _speaks(self, heard: _Heard, now: Now) -> bool:
        return heard.reading is not None and now.elapsed_s < heard.at_s + self._silent_s

    def _implausible(self, use: MeterUse, reading: MeterReading) -> Sentence | None:
        numbers = [reading.power_w, *(reading.current_a or ()), *(reading.power_per_phase_w or ())]
        if any(number is not None and not math.isfinite(number) for number in numbers):
            return say("a number that is none")
        node = self._site.node_index[use.node]
        voltage_v, rating_a = self._site.voltages_v[node], self._site.nodes[node].rating_a
        for phase in PHASES:
            if reading.current_a is not None and abs(reading.current_a[phase]) > IMPLAUSIBLE_RATINGS * rating_a[phase]:
                words = "{current:.0f} A on {phase}, where the fuse is {rating:.0f} A"
                return say(words, current=reading.current_a[phase], phase=str(phase), rating=rating_a[phase])
            volts = None if reading.voltage_v is None else reading.voltage_v[phase]
            low, high = (voltage_v * factor for factor in IMPLAUSIBLE_VOLTAGE)
            if volts and not low <= volts <= high:
                words = "{volts:.0f} V on {phase}, expected about {expected:.0f} V"
                return say(words, volts=volts, phase=str(phase), expected=voltage_v)
        total_w = reading.total_w
        if total_w is not None and abs(total_w) > IMPLAUSIBLE_RATINGS * rating_a.total * voltage_v:
            words = "{power:.0f} kW, where the fuse carries {most:.0f} kW"
            return say(words, power=total_w / 1000, most=rating_a.total * voltage_v / 1000)
        if use.role is MeterRole.NODE and reading.current_a is None and total_w is None:
            return say("neither current nor power")
        return None

    def _current(self, use: MeterUse, reading: MeterReading) -> PerPhase:
        """Ampere on each line, from the worst side where the meter leaves it open."""
        if reading.current_a is not None:
            return reading.current_a
        voltage_v = self._site.voltages_v[self._site.node_index[use.node]]
        if reading.power_per_phase_w is not None:
            return reading.power_per_phase_w.map(lambda watts: watts / voltage_v)
        total_w = reading.total_w or 0.0
        return PerPhase.of(total_w / voltage_v if total_w > 0.0 else total_w / voltage_v / 3.0)

    def _estimate(self, heard: _Heard, read: PerPhase, lines: Mapping[EvseKey, Line], now: Now) -> None:
        drawn, most = PerPhase(), PerPhase()
        for key in self._below[heard.use.node]:
            line = lines[key]
            least_a, most_a = self._draw(line, now)
            drawn, most = drawn + least_a, most + most_a
        difference = read - drawn
        heard.window.append((now.elapsed_s, difference))
        while heard.window[0][0] < now.elapsed_s - self._within_s - heard.use.delay_s:
            heard.window.popleft()
        before = difference if heard.estimate is None else heard.estimate
        usable_a = self._site.nodes[self._site.node_index[heard.use.node]].usable_a
        believed = []
        for phase in PHASES:
            seen = [one[phase] for _, one in heard.window]
            value = min(max(before[phase], min(seen)), max(seen))
            if read[phase] > usable_a[phase]:
                value = max(value, difference[phase])
            believed.append(max(min(value, read[phase]), read[phase] - most[phase]))
        heard.estimate = PerPhase(*believed)

    def _draw(self, line: Line, now: Now) -> tuple[PerPhase, PerPhase]:
        """What an EVSE draws on the site's lines as far as is known, and the most that it may."""
        account, point = line.account, line.point
        exposure_a = account.followed_a(now)
        if account.occupied is False:
            return PerPhase(), on_lines(point, (exposure_a,) * point.phases)
        currents = account.currents
        known = (
            currents is not None
            and now.elapsed_s - account.measured_s <= self._within_s
            and currents.worst_a <= currents.highest_a + 0.01
        )
        measured = currents.phases_a if known and currents is not None else ()
        if account.overtaken(now):
            measured = tuple(min(current_a, exposure_a) for current_a in measured)
        most = PerPhase.of(exposure_a) if point.rotation is None else on_lines(point, (exposure_a,) * point.phases)
        return _surely(point, measured), most.maximum(_surely(point, measured))


def _is_below(site: Site, point: EvsePoint, node: str) -> bool:
    at = site.node_index[node]
    return at in site.way_up(site.node_of(point))


def above_transformer(site: Site, node: str) -> bool:
    """Whether EVSEs hang on `node` through a transformer: then what they draw can't be told from a meter there."""
    at = site.node_index[node]
    for point in site.evses:
        way = list(site.way_up(site.node_of(point)))
        if at in way and any(
            one > 0 and site.circuits[one - 1].transformer is not None for one in way[: way.index(at)]
        ):
            return True
    return False


def on_lines(point: EvsePoint, phases_a: tuple[float, ...]) -> PerPhase:
    """What flows on the site's lines; on all of them where it isn't known on which."""
    if point.between is not None:
        return PerPhase.of(max(phases_a, default=0.0), point.between)
    if point.rotation is None:
        return PerPhase.of(max(phases_a, default=0.0))
    total = PerPhase()
    for phase, current_a in zip(point.rotation, phases_a, strict=False):
        total += PerPhase.of(current_a, (phase,))
    return total


def _surely(point: EvsePoint, phases_a: tuple[float, ...]) -> PerPhase:
    """What a reading of an EVSE says of the site's lines for certain."""
    if not phases_a:
        return PerPhase()
    if point.between is not None:
        return PerPhase.of(_COS_30 * max(phases_a), point.between)
    if point.rotation is None:
        return PerPhase.of(min(phases_a)) if len(phases_a) == 3 else PerPhase()
    return on_lines(point, phases_a)
