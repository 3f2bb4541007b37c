"""The line of an EVSE is learned from what a single-phase car draws (`controller.md` §2)."""

from datetime import UTC, datetime, timedelta

import pytest

from forecourt.allocation.check import violations
from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import Demand, Load
from forecourt.allocation.realtime import allocate
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Persist
from forecourt.controller.node_meters import MeterUse
from forecourt.controller.ports import MeterReading
from forecourt.controller.rotation import Rotation
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.surroundings import SurroundingsSettings
from forecourt.domain.clock import Now
from forecourt.domain.events import MeterSampled, Notice, TransactionStarted
from forecourt.domain.meter import Measurand, MeasuredPhase, MeterValue, SampledValue
from forecourt.domain.site import EvseKey, EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase, Phase
from forecourt.store.journal import MemoryJournal

START = datetime(2026, 3, 2, tzinfo=UTC)
NOTHING = PerPhase(3.0, 2.0, 1.0)
"""What the house draws."""


def on(phase: Phase, current_a: float) -> PerPhase:
    return NOTHING + PerPhase.of(current_a, (phase,))


def told(rotation: Rotation, currents: list[tuple[float, PerPhase]], *, every_s: float = 30.0) -> Phase | None:
    for number, (current_a, node) in enumerate(currents):
        rotation.heard((current_a, 0.0, 0.0), node, number * every_s)
    return rotation.first_line


UP_AND_DOWN = [0.0, 16.0, 6.0, 12.0]


def test_three_changes_on_one_line_are_enough_and_two_are_not() -> None:
    rotation = Rotation()
    steps = [(current_a, on(Phase.L2, current_a)) for current_a in UP_AND_DOWN]
    assert told(rotation, steps[:3]) is None
    assert told(Rotation(), steps) is Phase.L2


@pytest.mark.parametrize("lag", [0.8, 1.2])
def test_a_house_that_hums_along_does_no_harm(lag: float) -> None:
    hum = [PerPhase(0.4, -0.3, 0.2), PerPhase(), PerPhase(-0.5, 0.5, 0.3), PerPhase(0.1, 0.1, 0.1)]
    steps = [(one_a, on(Phase.L3, one_a * lag) + more) for one_a, more in zip(UP_AND_DOWN, hum, strict=True)]
    assert told(Rotation(), steps) is Phase.L3


@pytest.mark.parametrize(
    "nodes",
    [
        [NOTHING] * 4,
        [PerPhase.of(one_a) for one_a in UP_AND_DOWN],
        [on(Phase.L2, one_a / 3.0) for one_a in UP_AND_DOWN],
        [on(Phase.L2, one_a) + PerPhase(one_a / 2.0) for one_a in UP_AND_DOWN],
        [on(Phase.L2, -one_a) for one_a in UP_AND_DOWN],
    ],
)
def test_what_stands_out_on_no_line_alone_says_nothing(nodes: list[PerPhase]) -> None:
    assert told(Rotation(), list(zip(UP_AND_DOWN, nodes, strict=True))) is None


def test_small_changes_old_ones_and_other_phases_say_nothing() -> None:
    assert told(Rotation(), [(one_a, on(Phase.L1, one_a)) for one_a in (0.0, 3.0, 0.0, 3.0, 0.0)]) is None
    steps = [(one_a, on(Phase.L1, one_a)) for one_a in UP_AND_DOWN]
    assert told(Rotation(), steps, every_s=300.0) is None
    rotation = Rotation()
    for number, one_a in enumerate(UP_AND_DOWN):
        rotation.heard((one_a, one_a, one_a), on(Phase.L1, one_a), number * 30.0)
    assert rotation.first_line is None


def test_another_line_undoes_what_was_learned() -> None:
    rotation = Rotation()
    told(rotation, [(one_a, on(Phase.L2, one_a)) for one_a in UP_AND_DOWN])
    rotation.heard((0.0,), on(Phase.L1, 0.0), 1000.0)
    rotation.heard((16.0,), on(Phase.L1, 16.0), 1030.0)
    assert rotation.first_line is None
    rotation.heard((6.0,), on(Phase.L1, 6.0), 1060.0)
    rotation.heard((16.0,), on(Phase.L1, 16.0), 1090.0)
    assert rotation.first_line is Phase.L1


def site(phases: int = 3) -> Site:
    points = tuple(EvsePoint(station_id=f"S{number}", phases=phases) for number in range(2))
    return Site(grid=GridConnection(name="house", rating_a=PerPhase.of(20.0)), evses=points).checked()


def test_what_is_learned_counts_for_a_car_on_one_phase_only() -> None:
    compiled = CompiledSite(site())
    lines = (Phase.L1, Phase.L2)

    def shares(active: tuple[int, ...] | None, known: tuple[Phase | None, ...]) -> list[float]:
        demands = [
            Demand(evse=point.key, active_phases=active, first_line=line)
            for point, line in zip(compiled.site.evses, known, strict=True)
        ]
        allocation = allocate(compiled, demands, 0.0)
        return [allocation.limit_a(demand.evse) for demand in demands]

    assert shares((1,), (None, None)) == [10.0, 10.0]
    assert shares((1,), lines) == [20.0, 20.0]
    assert shares((1,), (Phase.L1, None)) == [10.0, 10.0], "the other one may be on the same line"
    assert shares(None, lines) == [10.0, 10.0]
    assert shares((1, 2), lines) == [10.0, 10.0]
    loads = [Load(point.key, 20.0, (1,), line) for point, line in zip(compiled.site.evses, lines, strict=True)]
    assert violations(compiled.site, loads) == []
    assert violations(compiled.site, [Load(load.evse, 20.0, (1,)) for load in loads]) != []


def test_an_evse_of_one_phase_is_known_whoever_charges() -> None:
    compiled = CompiledSite(site(phases=1))
    demands = [
        Demand(evse=point.key, first_line=line)
        for point, line in zip(compiled.site.evses, (Phase.L1, Phase.L3), strict=True)
    ]
    allocation = allocate(compiled, demands, 0.0)
    assert [allocation.limit_a(demand.evse) for demand in demands] == [20.0, 20.0]


KEY = EvseKey("S0", 1)


def test_a_controller_learns_from_its_meters_and_remembers() -> None:
    settings = SurroundingsSettings(meters=(MeterUse(name="main", node="house"),))
    journal = MemoryJournal()

    def begun(second: int) -> Controller:
        now = Now(float(second), float(second), START + timedelta(seconds=second))
        return Controller(site(), ControllerSettings(), surroundings=settings, memory=journal.load(), now=now)

    controller = begun(0)
    for number, one_a in enumerate(UP_AND_DOWN):
        at = START + timedelta(seconds=30 * number)
        now = Now(30.0 * number, 30.0 * number, at)
        effects = controller.metered("main", MeterReading(current_a=on(Phase.L3, one_a)), now)
        if number == 0:
            effects += controller.station_said(
                "S0", Notice((TransactionStarted(transaction_id="7", evse_id=1, at=at),)), now
            )
        labels = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)
        samples = tuple(
            SampledValue(drawn_a, Measurand.CURRENT_IMPORT, label)
            for drawn_a, label in zip((one_a, 0.0, 0.0), labels, strict=True)
        )
        said = MeterSampled(evse_id=1, meter_values=(MeterValue(at, samples),))
        effects += controller.station_said("S0", Notice((said,)), now)
        for effect in effects:
            if isinstance(effect, Persist):
                journal.commit(effect.changes)
    assert controller.lines[KEY].first_line is Phase.L3
    assert begun(1000).lines[KEY].first_line is Phase.L3
