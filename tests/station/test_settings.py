"""Variables in the hands of whoever owns the station."""

from forecourt.domain.variable import VariableSetting
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.variable_table import BASIC_AUTH_PASSWORD, CONNECTION_TIMEOUT, NUMBER_OF_CONNECTORS
from tests.station.bench import Bench


def test_what_is_set_at_the_station_holds_and_is_kept() -> None:
    bench = Bench()
    asked = (VariableSetting(CONNECTION_TIMEOUT, "17"), VariableSetting(NUMBER_OF_CONNECTORS, "9"))
    refs = (CONNECTION_TIMEOUT, NUMBER_OF_CONNECTORS, BASIC_AUTH_PASSWORD)
    bench.tell(i.VariablesWanted(reference="x", settings=asked, refs=refs))
    (told,) = bench.took(e.VariablesTold)
    assert [result.outcome for result in told.results] == ["Accepted", "Rejected"]
    assert [reading.value for reading in told.readings] == ["17", "2", None], "a password is never told"
    assert Bench(journal=bench.journal).station.parts.variables.integer(CONNECTION_TIMEOUT) == 17


def test_nothing_asked_is_nothing_told_but_that() -> None:
    bench = Bench()
    bench.tell(i.VariablesWanted(reference="y"))
    assert bench.took(e.VariablesTold) == [e.VariablesTold("y", (), ())]
