"""Sites made from a seed: trees of fuses with EVSEs of all sorts on them, whose fallbacks are proven to hold."""

import random

from forecourt.allocation.check import prove_fallbacks
from forecourt.domain.site import Circuit, EvsePoint, GridConnection, Site
from forecourt.quantities import PHASES, PerPhase, Phase


def generated_site(seed: int) -> Site:
    """The same for the same seed. Two to six EVSEs, up to three circuits in any shape."""
    chance = random.Random(seed)
    while True:
        site = _any_site(chance)
        if prove_fallbacks(site).holds:
            return site


def _any_site(chance: random.Random) -> Site:
    circuits: list[Circuit] = []
    for number in range(chance.choice([0, 0, 1, 2, 3])):
        parent = chance.choice([None, *(circuit.name for circuit in circuits)])
        rating_a = PerPhase.of(chance.choice([16.0, 20.0, 25.0, 32.0, 40.0]))
        asymmetry_a = chance.choice([None, None, 16.0])
        circuits.append(Circuit(name=f"c{number}", parent=parent, rating_a=rating_a, asymmetry_limit_a=asymmetry_a))
    names = [None, *(circuit.name for circuit in circuits)]
    evses: list[EvsePoint] = []
    station = 0
    wanted = chance.choice([2, 2, 3, 3, 4, 5, 6])
    while len(evses) < wanted:
        circuit = chance.choice(names)
        for evse_id in range(1, chance.choice([1, 1, 1, 2]) + 1):
            phases = chance.choice([1, 3, 3])
            evses.append(
                EvsePoint(
                    station_id=f"S{station}",
                    evse_id=evse_id,
                    circuit=circuit,
                    phases=phases,
                    rotation=chance.choice([None, _rotation(chance, phases), _rotation(chance, phases)]),
                    maximum_a=chance.choice([16.0, 32.0, 32.0]),
                    fallback_a=chance.choice([0.0, 0.0, 6.0]),
                    priority=chance.choice([0, 0, 1]),
                )
            )
        station += 1
    watts = chance.choice([None, None, None, 15_000.0])
    grid = GridConnection(
        name="grid",
        rating_a=PerPhase.of(chance.choice([25.0, 35.0, 50.0, 63.0])),
        background_a=PerPhase.of(chance.choice([0.0, 0.0, 5.0])),
        margin_a=chance.choice([0.0, 1.0]),
        asymmetry_limit_a=chance.choice([None, None, 20.0]),
        power_limit_w=watts,
    )
    return Site(grid=grid, circuits=tuple(circuits), evses=tuple(evses)).checked()


def _rotation(chance: random.Random, phases: int) -> tuple[Phase, ...]:
    return tuple(chance.sample(PHASES, phases))
