"""acnportal, as `acn.py` uses it: its Caltech network, its simulator, its algorithms.

acnportal's feasibility check is most of what its algorithms take. `quick=True` puts another in its place for a run,
which keeps the constraints as one matrix: the same answers, some ten times sooner. Such a run says what an algorithm
delivers; how long acnportal takes is measured with its own check only.
"""

import contextlib
import math
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from forecourt.sim.ideal import PERIOD_S
from forecourt.sim.sessions import PERIODS_START, RecordedSession

ALGORITHMS = ("fcfs", "edf", "llf", "rr")


class Outcome(NamedTuple):
    """What came of a month."""

    delivered_percent: float
    violations: int
    run_s: float
    decide_s: float


def network_of(model: str, kw: float) -> Any:
    """The Caltech network with a transformer of `kw`."""
    from acnportal.acnsim.models.evse import FiniteRatesEVSE  # noqa: PLC0415
    from acnportal.acnsim.network.sites import caltech_acn  # noqa: PLC0415

    network = caltech_acn(basic_evse=True, transformer_cap=kw)
    if model == "steps":
        for station_id in network.station_ids:
            network._EVSEs[station_id] = FiniteRatesEVSE(station_id, [0, *range(6, 33)])  # noqa: SLF001
        network._update_info_store()  # noqa: SLF001
    return network


def broken_periods(network: Any, schedule: np.ndarray) -> int:
    """Periods in which a constraint of acnportal's network doesn't hold, by its own tolerance."""
    currents = np.abs(network.constraint_current(schedule))
    allowed = network.magnitudes + np.maximum(
        network.violation_tolerance, network.magnitudes * network.relative_tolerance
    )
    return int(np.count_nonzero(np.any(currents > allowed[:, None], axis=0)))


def run(name: str, model: str, kw: float, sessions: tuple[RecordedSession, ...], *, quick: bool) -> Outcome:
    """acnportal's simulator with one of its algorithms."""
    from acnportal import algorithms  # noqa: PLC0415
    from acnportal.acnsim import EV, Battery, EventQueue, PluginEvent, Simulator  # noqa: PLC0415

    orders = {
        "fcfs": algorithms.first_come_first_served,
        "edf": algorithms.earliest_deadline_first,
        "llf": algorithms.least_laxity_first,
    }
    algorithm = (
        algorithms.RoundRobin(algorithms.first_come_first_served, continuous_inc=0.1)
        if name == "rr"
        else algorithms.SortedSchedulingAlgo(orders[name])
    )
    network = network_of(model, kw)
    cars = []
    for session in sessions:
        arrives, departs, says = (
            round((at - PERIODS_START) / timedelta(seconds=PERIOD_S))
            for at in (session.arrival, session.departure, session.estimated_departure or session.departure)
        )
        battery = Battery(1000.0, 0.0, (session.maximum_w or math.inf) / 1000.0)
        wanted_kwh = session.requested_wh / 1000.0
        cars.append(EV(arrives, departs, wanted_kwh, session.station_id, session.session_id, battery, says))
    queue = EventQueue([PluginEvent(car.arrival, car) for car in cars])
    simulator = Simulator(network, algorithm, queue, PERIODS_START, period=PERIOD_S / 60.0, verbose=False)
    decide_s = 0.0
    own = algorithm.schedule

    def timed(active_sessions: Any) -> Any:
        nonlocal decide_s
        began_s = time.process_time()
        try:
            return own(active_sessions)
        finally:
            decide_s += time.process_time() - began_s

    algorithm.schedule = timed
    started_s = time.process_time()
    with warnings.catch_warnings(), _quick_check() if quick else contextlib.nullcontext():
        warnings.simplefilter("ignore")
        simulator.run()
    run_s = time.process_time() - started_s
    delivered_kwh = sum(car.energy_delivered for car in cars)
    return Outcome(
        100.0 * float(delivered_kwh / sum(car.requested_energy for car in cars)),
        broken_periods(network, simulator.pilot_signals),
        run_s,
        decide_s,
    )


@contextlib.contextmanager
def _quick_check() -> Iterator[None]:
    """acnportal's algorithms ask this check meanwhile."""
    from acnportal.algorithms import sorted_algorithms  # noqa: PLC0415

    known: list[Any] = [None, None, None]

    def feasible(rates: np.ndarray, infrastructure: Any) -> bool:
        if known[0] is not infrastructure:
            limits = infrastructure.constraint_limits
            turned = np.exp(1j * np.deg2rad(infrastructure.phases))
            known[:] = (
                infrastructure,
                infrastructure.constraint_matrix * turned,
                limits + np.maximum(1e-5, 1e-7 * limits),
            )
        return bool((np.abs(known[1] @ rates) <= known[2]).all())

    own = sorted_algorithms.infrastructure_constraints_feasible
    sorted_algorithms.infrastructure_constraints_feasible = feasible
    try:
        yield
    finally:
        sorted_algorithms.infrastructure_constraints_feasible = own
