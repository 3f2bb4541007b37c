"""No fault of protocol, stations, links, meters, clocks or the controller itself overloads a node (`controller.md` §3).

`fault_world` tells the stories. A *fault hour* is an hour of a site's virtual time in which at least one fault began or
lasted, after commissioning. The fast tier plays a few; `-m slow` plays `SHARDS` times `STORIES` stories of `HOURS`
each: more than 20,000 fault hours, in shards for `pytest -n`, a minute or two of one core each. How far one has come:
`--log-file FILE --log-file-level INFO`.

That the suite can fail is shown on controllers with one rule broken each (`broken_rules`).
"""

import logging
from collections import Counter
from typing import Any

import pytest

from forecourt.controller.settings import ControllerSettings
from tests.controller import broken_rules
from tests.controller.fault_sites import generated_site
from tests.controller.fault_world import Fault, FaultWorld, Trouble

SHARDS, STORIES, HOURS = 24, 43, 20
_log = logging.getLogger(__name__)
WITHOUT_DISOBEDIENCE = set(Fault) - {Fault.DISOBEY}


class Played:
    """Some stories, added up."""

    def __init__(self) -> None:
        self.fault_hours = 0
        self.faults: Counter[Fault] = Counter()
        self.charged_ah = 0.0

    def play(self, seeds: range, hours: float) -> None:
        for seed in seeds:
            world = FaultWorld(generated_site(seed), seed)
            overloads = world.run(hours)
            assert overloads == [], f"seed {seed}: " + "; ".join(one.text() for one in overloads[:3])
            self.fault_hours += world.fault_hours
            self.faults += world.faults
            self.charged_ah += world.charged_ah
            _log.info("seed %d: %d faults in %d hours", seed, world.faults.total(), world.fault_hours)


def test_nothing_is_overloaded_while_everything_goes_wrong() -> None:
    played = Played()
    played.play(range(3), 8)
    assert played.fault_hours == 24
    assert set(played.faults) == WITHOUT_DISOBEDIENCE, "each kind of fault has happened"
    assert played.charged_ah > 24 * 8, "and cars were charged all the same"


def test_the_end_of_a_lease_that_a_slow_clock_and_a_slow_car_put_off() -> None:
    """A story in which the clock was 29 s slow and the car took 39 s: it drew on when its lease had counted as over."""
    Played().play(range(1_460, 1_461), 17)


def test_a_connector_that_was_free_before_its_transaction_began() -> None:
    """A story in which that was heard after the start, and voided a limit on its way: two cars drew on one line."""
    Played().play(range(1_238, 1_239), 18)


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.timeout(3600)
def test_twenty_thousand_fault_hours(shard: int) -> None:
    played = Played()
    played.play(range(1_000 + shard * STORIES, 1_000 + (shard + 1) * STORIES), HOURS)
    _log.info("shard %d: %d fault hours, %s", shard, played.fault_hours, dict(played.faults))
    assert set(played.faults) == WITHOUT_DISOBEDIENCE
    assert played.fault_hours * SHARDS >= 20_000


BROKEN: dict[str, tuple[dict[str, Any], Trouble]] = {
    "raise before reduce": ({"make": broken_rules.raises_first}, Trouble()),
    "evidence not awaited": ({"make": broken_rules.without_evidence}, Trouble(slow_cars=0.5, drop=0.2)),
    "lease ignored": ({"make": broken_rules.without_leases}, Trouble(link_s=800.0)),
    "a lost station counts as fallen back": ({"make": broken_rules.lost_is_gone}, Trouble(link_s=800.0)),
    "timeout counted as new": ({"make": broken_rules.silence_is_consent}, Trouble(drop=0.3)),
    "refusal counted as new": (
        {"make": broken_rules.refusal_is_consent},
        Trouble(reject=0.3, meter_s=200.0, slow_cars=0.0),
    ),
    "restart forgets exposures": ({"remember": broken_rules.forgotten}, Trouble(kill_s=900.0)),
    "skew ignored": (
        {"settings": ControllerSettings(lease_grace_s=1e-3)},
        Trouble(link_s=800.0, skew_s=600.0, slowest_clock_s=100.0, slow_cars=0.0),
    ),
}
"""What is broken, and the faults under which it shows soon."""

SEEDS = range(16)
QUICK = ("raise before reduce", "lease ignored", "timeout counted as new")


@pytest.mark.parametrize(
    "rule", [rule if rule in QUICK else pytest.param(rule, marks=pytest.mark.slow) for rule in BROKEN]
)
def test_a_broken_rule_is_found(rule: str) -> None:
    broken, trouble = BROKEN[rule]
    for seed in SEEDS:
        world = FaultWorld(generated_site(seed), seed, trouble=trouble, **broken)
        if world.run(6, stop_at_overload=True):
            break
    else:
        pytest.fail(f"no overload in {len(SEEDS)} stories")
    right = FaultWorld(generated_site(seed), seed, trouble=trouble)
    assert right.run(6) == [], "the same story with the rule kept"
