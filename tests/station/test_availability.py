"""Who takes an EVSE out of use, and who hears of it."""

from forecourt.domain import requests as r
from forecourt.domain.station import OperationalStatus
from forecourt.station import effects as e
from forecourt.station import inputs as i
from tests.station.bench import ALICE, Bench


def change(bench: Bench, evse_id: int, wanted: OperationalStatus) -> str:
    return str(bench.ask(r.ChangeAvailability(evse_id=evse_id, operational_status=wanted)).outcome)


def told(bench: Bench) -> list[tuple[int, bool]]:
    return [(effect.evse_id, effect.operative) for effect in bench.took(e.SetOperative)]


def test_an_evse_is_in_use_only_where_csms_and_site_want_it() -> None:
    bench = Bench()
    bench.connect()
    bench.tell(i.EvseEnabled(1, False))
    assert bench.states()[-1] == "Unavailable"
    bench.tap(ALICE, 1)
    assert bench.took(e.TokenAnswered)[-1].accepted is False
    assert change(bench, 1, OperationalStatus.INOPERATIVE) == "Accepted"
    bench.tell(i.EvseEnabled(1, True))
    assert bench.states()[-1] == "Unavailable", "the CSMS does not want it"
    assert change(bench, 1, OperationalStatus.OPERATIVE) == "Accepted"
    assert bench.states()[-1] == "Available"
    assert told(bench) == [(1, False), (1, True)]


def test_what_the_site_takes_out_of_use_ends_its_transaction_first() -> None:
    bench = Bench()
    bench.charging()
    bench.tell(i.EvseEnabled(1, False))
    assert bench.states()[-1] == "Charging"
    bench.tap(ALICE, 1)
    assert bench.states()[-1] == "Unavailable"


def test_the_hardware_hears_of_the_station_as_a_whole_and_after_a_start() -> None:
    bench = Bench()
    bench.connect()
    change(bench, 0, OperationalStatus.INOPERATIVE)
    assert told(bench) == [(1, False), (2, False)]
    assert told(Bench(journal=bench.journal)) == [(1, False), (2, False)]
