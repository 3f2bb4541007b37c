"""An EVSE that can't be limited is stopped; one that can't be stopped either counts with its maximum (`controller.md`
§3.3, §3.8)."""

from typing import Any

from forecourt.controller.backlog import STOPS
from forecourt.controller.effects import AskStation, Effect, Urgency
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.requests import RequestStopTransaction, SetChargingProfile
from forecourt.domain.site import EvseKey
from tests.controller.bench import Bench, Car, Faults
from tests.controller.test_conduct import each_second, kinds
from tests.controller.test_controller import all_connected, make_site
from tests.controller.test_offline import known_card
from tests.controller.town import FragileJournal


def stops(bench: Bench) -> list[str]:
    return [ask.request.transaction_id for ask in bench.sent if isinstance(ask.request, RequestStopTransaction)]


def test_a_car_in_quarantine_has_its_transaction_ended() -> None:
    bench = all_connected(make_site(3, 42))
    for number in range(3):
        bench.plug_in(f"S{number}", Car(32, 3))
    assert bench.run(300) == []
    bench.evse("S0").car = Car(26, 3, ignores=True)
    each_second(bench, "S0", 60)
    assert stops(bench) == [], "it is paused first"
    each_second(bench, "S0", 40)
    assert stops(bench) == [bench.evse("S0").transaction_id], "once"
    bench.end_transaction("S0")
    assert bench.run(900) == []
    assert [bench.evse(name).current_a for name in ("S0", "S1", "S2")] == [0.0, 21.0, 21.0]


def test_nothing_is_stopped_where_the_installer_says_so() -> None:
    bench = Bench(make_site(1, 32), ControllerSettings(stop_offenders=False))
    bench.connect("S0", boots=True)
    bench.run(60)
    bench.plug_in("S0", Car(32, 3))
    bench.run(60)
    bench.evse("S0").car = Car(40, 3, ignores=True)
    each_second(bench, "S0", 120)
    assert "quarantined" in kinds(bench)
    assert stops(bench) == []


class Stubborn(Bench):
    """From `refuses` on its station takes no limit, and ends no transaction."""

    refuses = False

    def _obey(self, ask: AskStation) -> None:
        limits = isinstance(ask.request, SetChargingProfile | RequestStopTransaction)
        self.faults = Faults(refuse=1.0 if self.refuses and limits and ask.station_id == "S0" else 0.0)
        super()._obey(ask)


def test_a_station_that_takes_no_limit_and_does_not_stop_counts_with_its_maximum() -> None:
    bench = Stubborn(make_site(2, 40), ControllerSettings())
    for name in ("S0", "S1"):
        bench.connect(name, boots=True)
    bench.run(60)
    bench.plug_in("S0", Car(32, 3))
    assert bench.run(120) == []
    bench.refuses = True
    bench.plug_in("S1", Car(32, 3))
    assert bench.run(600) == []
    assert stops(bench) == [bench.evse("S0").transaction_id]
    assert kinds(bench) == ["limit-refused", "stop-refused"]
    (load,) = [one for one in bench.controller.exposures(bench.now) if one.evse == EvseKey("S0", 1)]
    assert load.current_a == 32.0
    bench.refuses = False
    assert bench.run(900) == []
    assert [bench.evse(name).current_a for name in ("S0", "S1")] == [20.0, 20.0], "it takes limits again"


def test_a_stop_whose_fate_is_unknown_is_asked_for_again() -> None:
    bench = all_connected(make_site(1, 32))
    bench.plug_in("S0", Car(32, 3))
    bench.run(60)
    line, issuer = bench.controller.lines[EvseKey("S0", 1)], bench.controller._issuer

    def asks() -> list[Effect]:
        return issuer.stop(line)

    (first,) = asks()
    assert isinstance(first, AskStation)
    assert first.urgency is Urgency.STOP
    assert asks() == []
    bench.controller.answered(first.token, None, bench.now)
    assert len(asks()) == 1


class CutAtStop(FragileJournal):
    """The power goes just when a transaction that is to be ended has been written down."""

    def commit(self, changes: Any) -> None:
        kept = list(changes)
        if self.cut_at is None and any(change.section == STOPS for change in kept):
            self.cut_at = self.commits + 1
        super().commit(kept)


def test_a_stop_that_nobody_has_heard_is_not_forgotten_at_a_restart() -> None:
    """The CSMS refuses the token of a transaction begun without it; before the station hears of it, all is dark."""
    town = known_card()
    town.cut_csms()
    town.start("S0")
    town.run(60)
    town.invalid.add("CARD")
    cut = CutAtStop()
    cut._sections = town.journal._sections
    town.journal = town.endpoint._journal = cut
    town.csms_back()
    town.run(90)
    assert town.kills == 1
    assert cut.cut_at is not None
    assert town.stations["S0"].running is None
    assert town.endpoint.memory.backlogs["S0"].stops == ()
