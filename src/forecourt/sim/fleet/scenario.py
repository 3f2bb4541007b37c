"""What happens to a fleet: how it comes online, who arrives when, what fails. A TOML file, and a seed.

Guarantees
* The same scenario, seed and number of stations give the same visits and the same disturbances, station by station:
  what a station gets depends on its number and the seed, not on how many there are beside it.
* All times are seconds of the world from the start of the run.
"""

import random
from typing import Annotated

import msgspec
from msgspec import Meta

from forecourt.domain.token import IdToken
from forecourt.hardware.vehicle import VehicleSpec
from forecourt.sim.cars import KINDS
from forecourt.sim.fleet.access import FleetAccess
from forecourt.sim.visits import Visit

Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Connect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the stations come online."""

    over_s: Seconds = 30.0
    """Evenly over so long."""
    backoff_s: Annotated[float, Meta(gt=0)] = 5.0
    """First wait after a failure; it doubles, with a random part as long."""


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many cars come, from an instant on, up to the next such instant changing evenly: a ramp."""

    at_s: Seconds = 0.0
    per_evse_per_hour: Annotated[float, Meta(ge=0)] = 0.0


class Spike(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many cars at once."""

    at_s: Seconds
    over_s: Seconds = 60.0
    share: Share = 1.0
    """Of the EVSEs that get a car."""


class Dropout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Links that are cut, and come back."""

    at_s: Seconds
    for_s: Seconds = 60.0
    over_s: Seconds = 0.0
    """Over how long they are cut one after the other."""
    share: Share = 1.0
    """Of the stations."""


class Drivers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those who come."""

    tokens: Annotated[int, Meta(ge=1)] = 10_000
    """How many different tokens there are."""
    tokens_begin_with: Annotated[str, Meta(max_length=12)] = "FLEET"
    stay_s: tuple[Seconds, Seconds] = (600.0, 3600.0)
    """The shortest and the longest."""
    energy_wh: tuple[Seconds, Seconds] = (5_000.0, 30_000.0)
    """What they ask for, at least and at most."""
    taps_after_s: tuple[Seconds, Seconds] = (2.0, 15.0)

    def __post_init__(self) -> None:
        for name in ("stay_s", "energy_wh", "taps_after_s"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name}: {least:g} is more than {most:g}")


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run. Without any of it: stations that connect and say nothing but heartbeats."""

    seed: int = 0
    duration_s: Annotated[float, Meta(gt=0)] = 60.0
    speed: Annotated[float, Meta(gt=0, le=10_000)] = 1.0
    """How many times faster the world runs than the protocol."""
    drain_s: Seconds = 10.0
    """At the end, how long (real seconds) messages that wait may still be delivered."""
    connect: Connect = Connect()
    access: FleetAccess = FleetAccess()
    drivers: Drivers = Drivers()
    arrivals: tuple[Rate, ...] = ()
    spikes: tuple[Spike, ...] = ()
    dropouts: tuple[Dropout, ...] = ()

    def __post_init__(self) -> None:
        if list(self.arrivals) != sorted(self.arrivals, key=lambda rate: rate.at_s):
            raise ValueError("arrivals: expected ascending at_s")


class Cut(msgspec.Struct, frozen=True):
    """One station's link is down from `from_s` to `to_s`."""

    station: int
    from_s: float
    to_s: float


def visits_to(scenario: Scenario, station: int, number_evses: int) -> tuple[Visit, ...]:
    """Who comes to a station."""
    visits: list[Visit] = []
    for evse_id in range(1, number_evses + 1):
        chance = random.Random(f"visits {scenario.seed} {station} {evse_id}")
        for index, arrives_s in enumerate(sorted([*_arrivals(scenario, chance), *_spikes(scenario, chance)])):
            visits.append(_visit(scenario.drivers, f"{station}-{evse_id}-{index}", evse_id, arrives_s, chance))
    return tuple(visits)


def cuts_of(scenario: Scenario, stations: int) -> tuple[Cut, ...]:
    """Whose link is cut when, in the order of time."""
    cuts: list[Cut] = []
    for number, dropout in enumerate(scenario.dropouts):
        for station in range(stations):
            chance = random.Random(f"dropout {scenario.seed} {number} {station}")
            if chance.random() < dropout.share:
                from_s = dropout.at_s + chance.random() * dropout.over_s
                cuts.append(Cut(station, from_s, from_s + dropout.for_s))
    return tuple(sorted(cuts, key=lambda cut: (cut.from_s, cut.station)))


def _arrivals(scenario: Scenario, chance: random.Random) -> list[float]:
    """A Poisson process whose rate runs along the ramp, by thinning."""
    most = max((rate.per_evse_per_hour for rate in scenario.arrivals), default=0.0) / 3600.0
    found: list[float] = []
    at_s = 0.0
    while most > 0.0:
        at_s += chance.expovariate(most)
        if at_s >= scenario.duration_s:
            break
        if chance.random() * most < _rate(scenario, at_s) / 3600.0:
            found.append(at_s)
    return found


def _rate(scenario: Scenario, at_s: float) -> float:
    """Cars per hour and EVSE then."""
    before: Rate | None = None
    for rate in scenario.arrivals:
        if rate.at_s > at_s:
            if before is None:
                return 0.0
            way = (at_s - before.at_s) / (rate.at_s - before.at_s)
            return before.per_evse_per_hour + way * (rate.per_evse_per_hour - before.per_evse_per_hour)
        before = rate
    return 0.0 if before is None else before.per_evse_per_hour


def _spikes(scenario: Scenario, chance: random.Random) -> list[float]:
    arrivals = ((chance.random(), spike.at_s + chance.random() * spike.over_s, spike) for spike in scenario.spikes)
    return [at_s for drawn, at_s, spike in arrivals if drawn < spike.share]


def _visit(drivers: Drivers, name: str, evse_id: int, arrives_s: float, chance: random.Random) -> Visit:
    kind = chance.choices(KINDS, [kind.share for kind in KINDS])[0]
    requested_wh = min(chance.uniform(*drivers.energy_wh), kind.battery_wh * 0.9)
    return Visit(
        session_id=name,
        evse_id=evse_id,
        vehicle=VehicleSpec(
            number_phases=kind.number_phases,
            maximum_a=kind.maximum_a,
            battery_wh=kind.battery_wh,
            initial_wh=max(0.0, 0.95 * kind.battery_wh - requested_wh),
            requested_wh=requested_wh,
            tells_soc=kind.tells_soc,
        ),
        id_token=IdToken(f"{drivers.tokens_begin_with}{chance.randrange(drivers.tokens):06d}"),
        arrives_s=arrives_s,
        departs_s=arrives_s + chance.uniform(*drivers.stay_s),
        taps_after_s=chance.uniform(*drivers.taps_after_s),
        taps_to_leave=chance.random() < 0.6,
    )
