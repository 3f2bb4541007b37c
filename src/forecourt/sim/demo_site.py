"""The demonstration's day and site: a recorded morning in a garage, on a European grid connection that is too small.

Guarantees
* One EVSE per recorded station, under the recorded name, each on one of three circuits; rotations alternate, so that
  single-phase cars spread over the lines; every fifth EVSE has one phase.
* What the fuses bear follows from how many EVSEs there are: unmanaged, the recorded morning would load them to about
  twice their rating.
* The fallbacks fit, whatever the cars do (`allocation.check.prove_fallbacks`).
"""

from collections.abc import Sequence
from importlib import resources
from typing import Final

from forecourt.domain.site import Circuit, EvsePoint, GridConnection, Site
from forecourt.quantities import IEC_61851_MINIMUM_A, PerPhase, Phase
from forecourt.sim.sessions import RecordedSession, free_of_overlaps, parse_sessions

RECORDED_DAY: Final = "caltech-2019-05-22.csv"

_ROTATIONS: Final = (
    (Phase.L1, Phase.L2, Phase.L3),
    (Phase.L2, Phase.L3, Phase.L1),
    (Phase.L3, Phase.L1, Phase.L2),
)
_CIRCUITS: Final = ("north", "middle", "south")
_SINGLE_PHASE_EVERY: Final = 5
_FALLBACK_EVERY: Final = 12

_STANDARD_FUSES_A: Final = (16, 20, 25, 35, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250)
"""Fuse links as they are sold (IEC 60269-2)."""


def recorded_day() -> tuple[RecordedSession, ...]:
    """The sessions of the day that ships with the package; `days/README.md` names source and licence."""
    text = resources.files("forecourt.sim").joinpath("days", RECORDED_DAY).read_text(encoding="utf-8")
    kept, _ = free_of_overlaps(parse_sessions(text, source=RECORDED_DAY))
    return kept


def demo_site(station_ids: Sequence[str]) -> Site:
    """A site for these stations, which have one EVSE each."""
    points = tuple(_point(index, station_id) for index, station_id in enumerate(sorted(set(station_ids))))
    grid_a = _fuse_of(3.6 * len(points))
    circuit_a = _fuse_of(5.0 * len(points) / len(_CIRCUITS))
    background_a = round(grid_a * 0.08)
    return Site(
        grid=GridConnection(
            name="grid",
            rating_a=PerPhase.of(grid_a),
            background_a=PerPhase(background_a, background_a * 0.75, background_a * 0.5),
            margin_a=1.0,
        ),
        circuits=tuple(Circuit(name=name, rating_a=PerPhase.of(circuit_a), margin_a=0.5) for name in _CIRCUITS),
        evses=points,
    ).checked()


def _point(index: int, station_id: str) -> EvsePoint:
    single = index % _SINGLE_PHASE_EVERY == _SINGLE_PHASE_EVERY - 1
    phases = 1 if single else 3
    return EvsePoint(
        station_id=station_id,
        circuit=_CIRCUITS[index % len(_CIRCUITS)],
        phases=phases,
        rotation=_ROTATIONS[index // len(_CIRCUITS) % len(_ROTATIONS)][:phases],
        maximum_a=32.0,
        fallback_a=IEC_61851_MINIMUM_A if index % _FALLBACK_EVERY == 0 else 0.0,
    )


def _fuse_of(wanted_a: float) -> float:
    """The largest fuse that bears no more, or the smallest there is."""
    return float(max((fuse_a for fuse_a in _STANDARD_FUSES_A if fuse_a <= wanted_a), default=_STANDARD_FUSES_A[0]))
