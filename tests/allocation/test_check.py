"""The exact check against physics."""

import math

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.allocation.worlds import independent_draws, sites, worst_lines

from forecourt.allocation.check import prove_fallbacks, violations
from forecourt.allocation.demand import Background, Load
from forecourt.allocation.explanation import LimitKind
from forecourt.domain.site import Circuit, EvseKey, EvsePoint, GridConnection, Site, Transformer, Winding
from forecourt.quantities import PerPhase, Phase


def bare(site: Site) -> Site:
    """The same tree with limits so low that each is reported, and no background."""
    low = {
        "rating_a": PerPhase.of(1e-5),
        "background_a": PerPhase(),
        "power_limit_w": 1e-5,
        "asymmetry_limit_a": 1e-5,
        "margin_a": 0.0,
        "margin_percent": 0.0,
    }
    return msgspec.structs.replace(
        site,
        grid=msgspec.structs.replace(site.grid, **low),
        circuits=tuple(msgspec.structs.replace(circuit, **low) for circuit in site.circuits),
    )


@st.composite
def loaded(draw: st.DrawFn) -> tuple[Site, list[Load]]:
    site = bare(draw(sites(biggest=4)))
    loads = []
    for point in site.evses:
        active = draw(st.sampled_from([None, (1,), tuple(range(1, point.phases + 1))]))
        loads.append(Load(point.key, draw(st.sampled_from([0.0, 6.0, 11.3, 32.0])), active))
    assume(sum(len(independent_draws(site, load)) for load in loads) <= 9)
    return site, loads


@settings(max_examples=60, deadline=None)
@given(loaded())
def test_the_check_says_what_physics_says(world: tuple[Site, list[Load]]) -> None:
    site, loads = world
    found = {(v.bound.node, v.bound.kind, v.bound.phase, v.bound.over): v.worst for v in violations(site, loads)}
    for number, node in enumerate(site.nodes):
        most, apart, watts = worst_lines(site, loads, number)
        for phase, expected in zip(Phase, most, strict=True):
            assert found.get((node.name, LimitKind.FUSE, phase, None), 0.0) == pytest.approx(expected, abs=1e-4)
        assert found.get((node.name, LimitKind.POWER, None, None), 0.0) == pytest.approx(watts, abs=1e-4)
        claimed = max(
            (v for (name, kind, *_), v in found.items() if (name, kind) == (node.name, "asymmetry")), default=0
        )
        assert claimed >= apart - 1e-4
        direct = all(circuit.transformer is None for circuit in site.circuits)
        if direct and all(point.between is None for point in site.evses):
            assert claimed == pytest.approx(apart, abs=1e-4)


def one_circuit(**limits: object) -> Site:
    circuit = Circuit(name="B", rating_a=PerPhase.of(20.0), **limits)  # type: ignore[arg-type]
    evses = tuple(
        EvsePoint(station_id=name, circuit="B", rotation=(line,), phases=1, fallback_a=6.0)
        for name, line in zip("abcd", (Phase.L1, Phase.L1, Phase.L2, Phase.L1), strict=True)
    )
    return Site(grid=GridConnection(name="G", rating_a=PerPhase.of(63.0)), circuits=(circuit,), evses=evses).checked()


def test_the_proof_holds_or_names_the_node_and_the_numbers() -> None:
    assert prove_fallbacks(one_circuit()).holds
    proof = prove_fallbacks(one_circuit(background_a=PerPhase(3.0, 0.0, 0.0)))
    assert [violation.text() for violation in proof.violations] == [
        "circuit B, phase L1: 21.0 A may flow, 20.0 A allowed; background 3.0 A"
    ]
    assert not proof.holds
    assert not prove_fallbacks(one_circuit(margin_percent=11.0)).holds
    assert not prove_fallbacks(one_circuit(margin_a=2.5)).holds
    assert not prove_fallbacks(one_circuit(power_limit_w=5500.0)).holds
    assert prove_fallbacks(one_circuit(power_limit_w=5520.0)).holds
    assert not prove_fallbacks(one_circuit(asymmetry_limit_a=17.9)).holds
    assert prove_fallbacks(one_circuit(asymmetry_limit_a=18.0)).holds


def test_a_reading_replaces_all_that_is_declared_below_it() -> None:
    site = one_circuit(background_a=PerPhase.of(5.0))
    loads = [Load(EvseKey("a", 1), 16.0), Load(EvseKey("c", 1), 16.0)]
    assert {v.bound.phase for v in violations(site, loads)} == {Phase.L1, Phase.L2}
    reading = {"B": Background.measured(PerPhase(4.0, 4.5, 30.0))}
    assert {v.bound.phase for v in violations(site, loads, reading)} == {Phase.L2, Phase.L3}
    feeding = {"B": Background.measured(PerPhase(-12.0, -12.0, -20.5))}
    assert {v.bound.phase for v in violations(site, loads, feeding)} == {Phase.L3}
    assert [v.worst for v in violations(site, loads, feeding)] == [20.5]
    assert violations(site, loads, {"B": Background(PerPhase(-12.0, -12.0, -20.5))}) == violations(site, loads, feeding)
    even = one_circuit(asymmetry_limit_a=5.0)
    exported = PerPhase(-12.0, -12.0, -6.0)
    assert violations(even, loads, {"B": Background(exported)}) == violations(
        even, loads, {"B": Background.measured(exported)}
    )
    with pytest.raises(KeyError):
        violations(site, loads, {"nowhere": Background.measured(PerPhase())})


def test_the_transformer_of_the_published_experiments() -> None:
    """480 V delta to 208 V wye: a 30 A load between L1 and L2 draws 30·2/4 on one primary line, 30/4 on the others."""
    site = Site(
        grid=GridConnection(name="primary", rating_a=PerPhase.of(0.1)),
        circuits=(
            Circuit(name="panel", rating_a=PerPhase.of(99.0), transformer=Transformer(Winding.DELTA_WYE, 208.0)),
        ),
        evses=(EvsePoint(station_id="a", circuit="panel", phases=1, between=(Phase.L2, Phase.L1)),),
        voltage_v=480.0 / math.sqrt(3.0),
    ).checked()
    turns = 480.0 * math.sqrt(3.0) / 208.0
    found = violations(site, [Load(EvseKey("a", 1), 30.0)])
    assert sorted(v.worst for v in found) == pytest.approx([30 / turns, 30 / turns, 60 / turns])
    assert turns == pytest.approx(4.0, rel=1e-3)


def test_magnitudes_between_lines_are_less_than_sums() -> None:
    evses = tuple(
        EvsePoint(station_id=name, phases=1, between=pair)
        for name, pair in (("a", (Phase.L1, Phase.L2)), ("b", (Phase.L3, Phase.L1)))
    )
    site = Site(grid=GridConnection(name="G", rating_a=PerPhase.of(34.65)), evses=evses).checked()
    assert not violations(site, [Load(point.key, 20.0) for point in evses])
    assert [v.bound.phase for v in violations(site, [Load(point.key, 20.1) for point in evses])] == [Phase.L1]
