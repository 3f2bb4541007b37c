"""What a site is, and what it says when it is wrong."""

import math

import msgspec
import pytest

from forecourt.domain.site import (
    Circuit,
    EvseKey,
    EvsePoint,
    GridConnection,
    Site,
    SiteError,
    Transformer,
    Winding,
    problems,
)
from forecourt.quantities import PerPhase, Phase

GRID = GridConnection(name="grid", rating_a=PerPhase.of(63.0))


def circuit(name: str = "a", parent: str | None = None, **more: object) -> Circuit:
    return Circuit(name=name, parent=parent, **{"rating_a": PerPhase.of(32.0), **more})  # type: ignore[arg-type]


def point(station_id: str = "s", **more: object) -> EvsePoint:
    return EvsePoint(station_id=station_id, **more)  # type: ignore[arg-type]


def said(
    *, grid: GridConnection = GRID, circuits: tuple[Circuit, ...] = (), evses: tuple[EvsePoint, ...] = ()
) -> list[str]:
    return [str(problem) for problem in problems(Site(grid=grid, circuits=circuits, evses=evses))]


def test_a_right_site_says_nothing() -> None:
    right = Site(
        grid=GRID,
        circuits=(circuit("b", "a"), circuit("a"), circuit("c", "b")),
        evses=(point(circuit="c"), point(evse_id=2), point("t", circuit="grid", fallback_a=6.0)),
    )
    assert right.checked() is right
    assert right.parents == (-1, 2, 0, 1)
    assert list(right.way_up(3)) == [3, 1, 2, 0]
    assert [right.node_of(evse) for evse in right.evses] == [3, 0, 0]
    assert right.evse_index[EvseKey("t", 1)] == 2
    assert str(EvseKey("t", 1)) == "t/1"


WRONG_NODES = [
    ({"rating_a": PerPhase(32.0, 0.0, 32.0)}, "rating_a.L2: must be more than 0, not 0"),
    ({"rating_a": PerPhase(-1.0, 3.0, 3.0)}, "rating_a.L1: must be more than 0, not -1"),
    ({"rating_a": PerPhase(math.nan, 3.0, 3.0)}, "rating_a.L1: must be a finite number, not nan"),
    ({"background_a": PerPhase(0.0, 0.0, -2.0)}, "background_a.L3: must be at least 0, not -2"),
    ({"power_limit_w": -1.0}, "power_limit_w: must be at least 0, not -1"),
    ({"asymmetry_limit_a": math.inf}, "asymmetry_limit_a: must be a finite number, not inf"),
    ({"margin_a": -1.0}, "margin_a: must be at least 0, not -1"),
    ({"margin_percent": -5.0}, "margin_percent: must be at least 0, not -5"),
    ({"margin_a": 40.0, "margin_percent": 50.0}, "margin_a: the margins leave nothing of the fuse rating"),
    ({"name": ""}, "name: must not be empty"),
]


@pytest.mark.parametrize(("change", "expected"), WRONG_NODES)
def test_a_wrong_node_names_its_field(change: dict[str, object], expected: str) -> None:
    assert said(grid=msgspec.structs.replace(GRID, **change)) == [f"grid.{expected}"]
    wrong = msgspec.structs.replace(circuit(), **change)
    assert said(circuits=(circuit("z"), wrong)) == [f"circuits[1].{expected}"]


WRONG_EVSES = [
    ({"station_id": ""}, "station_id: must not be empty"),
    ({"evse_id": 0}, "evse_id: must be at least 1, not 0"),
    ({"circuit": "garage-b"}, 'circuit: no node named "garage-b"'),
    ({"phases": 4}, "phases: must be 1, 2 or 3, not 4"),
    ({"rotation": (Phase.L1,)}, "rotation: names 1 lines for an EVSE with phases = 3"),
    ({"phases": 2, "rotation": (Phase.L1, Phase.L1)}, "rotation: names a line twice"),
    ({"phases": 1, "between": (Phase.L1, Phase.L1)}, "between: must name two different lines"),
    ({"between": (Phase.L1, Phase.L2)}, "phases: an EVSE between two lines has phases = 1, not 3"),
    (
        {"phases": 1, "between": (Phase.L1, Phase.L2), "rotation": (Phase.L1,)},
        "rotation: an EVSE between two lines has no rotation",
    ),
    ({"minimum_a": -1.0}, "minimum_a: must be at least 0, not -1"),
    ({"maximum_a": 0.0}, "maximum_a: must be more than 0, not 0"),
    ({"minimum_a": 40.0}, "minimum_a: is 40, more than maximum_a, which is 32"),
    ({"fallback_a": 5.0}, "fallback_a: must be 0 or from 6 to 32, not 5"),
    ({"fallback_a": 33.0}, "fallback_a: must be 0 or from 6 to 32, not 33"),
    ({"fallback_a": math.nan}, "fallback_a: must be a finite number, not nan"),
]


@pytest.mark.parametrize(("change", "expected"), WRONG_EVSES)
def test_a_wrong_evse_names_its_field(change: dict[str, object], expected: str) -> None:
    assert said(evses=(point("other"), point(**change))) == [f"evses[1].{expected}"]  # type: ignore[arg-type]


def test_names_are_unique() -> None:
    assert said(circuits=(circuit("grid"), circuit("a"), circuit("a")), evses=(point(), point("t"), point())) == [
        'circuits[0].name: "grid" is taken by grid',
        'circuits[2].name: "a" is taken by circuits[1]',
        "evses[2].evse_id: 's' has EVSE 1 already, at evses[0]",
    ]


def test_a_parent_exists_and_no_way_goes_round() -> None:
    assert said(circuits=(circuit("a"), circuit("b", "a"), circuit("c", "garage-b"))) == [
        'circuits[2].parent: no node named "garage-b"'
    ]
    assert said(circuits=(circuit("below", "a"), circuit("a", "c"), circuit("b", "a"), circuit("c", "b"))) == [
        "circuits[0].parent: goes round in a circle: a → c → b → a"
    ]
    assert said(circuits=(circuit("a", "a"),)) == ["circuits[0].parent: goes round in a circle: a → a"]


def test_everything_wrong_is_said_at_once() -> None:
    wrong = Site(grid=GRID, voltage_v=0.0, circuits=(circuit(parent="x"),), evses=(point(circuit="y"),))
    with pytest.raises(SiteError) as raised:
        wrong.checked()
    assert [problem.path for problem in raised.value.problems] == [
        "voltage_v",
        "circuits[0].parent",
        "evses[0].circuit",
    ]
    assert str(raised.value).splitlines()[2] == 'evses[0].circuit: no node named "y"'


def test_margins_and_voltages() -> None:
    node = circuit(power_limit_w=10000.0, margin_a=2.0, margin_percent=10.0)
    assert node.usable_a.l2 == pytest.approx(26.8)
    assert node.usable_w == 9000.0
    assert GRID.usable_w is None
    site = Site(
        grid=GRID,
        circuits=(circuit("low", transformer=Transformer(Winding.DELTA_WYE, 208.0)), circuit("under", "low")),
        voltage_v=277.0,
    )
    assert site.voltages_v == pytest.approx((277.0, 120.09, 120.09), abs=0.01)
    wrong = circuit("low", transformer=Transformer(Winding.WYE_WYE, 0.0))
    assert said(circuits=(wrong,)) == ["circuits[0].transformer.secondary_v: must be more than 0, not 0"]


def test_a_learned_rotation_makes_a_new_site() -> None:
    site = Site(grid=GRID, evses=(point("a"), point("b")))
    learned = site.with_rotation(EvseKey("b", 1), (Phase.L2, Phase.L3, Phase.L1))
    assert learned.evses[1].rotation == (Phase.L2, Phase.L3, Phase.L1)
    assert site.evses[1].rotation is None
    assert learned.with_rotation(EvseKey("b", 1), None) == site
    with pytest.raises(KeyError):
        site.with_rotation(EvseKey("c", 1), None)


def test_a_site_is_read_from_plain_values() -> None:
    site = msgspec.convert(
        {
            "grid": {"name": "g", "rating_a": [63, 63, 50]},
            "circuits": [{"name": "c", "rating_a": [32, 32, 32]}],
            "evses": [
                {"station_id": "a", "circuit": "c", "rotation": ["L2", "L3", "L1"]},
                {"station_id": "b", "phases": 1, "between": ["L1", "L2"]},
            ],
        },
        Site,
    ).checked()
    assert site.grid.rating_a == PerPhase(63.0, 63.0, 50.0)
    assert site.evses[1].between == (Phase.L1, Phase.L2)
    with pytest.raises(msgspec.ValidationError, match=r"\$\.evses\[0\]"):
        msgspec.convert({"grid": {"name": "g", "rating_a": [1, 1, 1]}, "evses": [{"station": "a"}]}, Site)
