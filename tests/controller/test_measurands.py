"""Readings tell enough for the control, and the CSMS keeps what it has set (`controller.md` §1, §3.1)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from forecourt.controller.measurands import ALIGNED, SAMPLED
from forecourt.controller.settings import ControllerSettings, Preset
from forecourt.domain.requests import CsmsRequest, SetVariables
from forecourt.domain.variable import VariableRef
from tests.net.test_controller_endpoint import WORDS_16, WORDS_201, Way, frame

ENERGY, CURRENT, POWER = "Energy.Active.Import.Register", "Current.Import", "Power.Active.Import"
KEY = "MeterValuesSampledData"


def way(sampled: str, *, words: Any = WORDS_16, preset: Preset = "full", control_s: float | None = 15.0) -> Way:
    settings = ControllerSettings(preset=preset, sample_interval_s=control_s)
    found = Way(words, settings=settings)
    found.holds = {SAMPLED: sampled, ALIGNED: ""}
    return found


def refusing(*measurands: str) -> Callable[[CsmsRequest], bool]:
    return lambda request: (
        isinstance(request, SetVariables)
        and any(name in setting.value for setting in request.settings for name in measurands)
    )


def told(passing: Way, ref: VariableRef = SAMPLED) -> list[str]:
    """What the controller itself has set."""
    settings = [setting for one in passing.own if isinstance(one, SetVariables) for setting in one.settings]
    return [setting.value for setting in settings if setting.ref == ref]


def read(passing: Way) -> str:
    """What the CSMS reads."""
    passing.csms(frame(2, "v", "GetConfiguration", {"key": [KEY]}))
    passing.to_station()
    entry = {"key": KEY, "readonly": False, "value": passing.holds[SAMPLED]}
    passing.station(frame(3, "v", {"configurationKey": [entry]}))
    ((_, _, answer),) = [json.loads(data) for data in passing.to_csms()]
    return str(answer["configurationKey"][0]["value"])


def set_by_csms(passing: Way, value: str) -> str:
    """What the station hears when the CSMS sets this, and takes."""
    passing.csms(frame(2, "k", "ChangeConfiguration", {"key": KEY, "value": value}))
    ((_, _, _, payload),) = [json.loads(data) for data in passing.to_station()]
    passing.holds[SAMPLED] = payload["value"]
    passing.station(frame(3, "k", {"status": "Accepted"}))
    assert [json.loads(data) for data in passing.to_csms()] == [[3, "k", {"status": "Accepted"}]]
    return str(payload["value"])


def test_a_station_that_tells_energy_alone_is_had_to_tell_its_current() -> None:
    passing = way(ENERGY).booted()
    assert told(passing) == [f"{ENERGY},{CURRENT}"]
    assert read(passing) == ENERGY, "the CSMS has set nothing else"


def test_where_the_current_is_refused_the_power_will_do() -> None:
    passing = way(ENERGY)
    passing.refuses = refusing(CURRENT)
    passing.booted()
    assert told(passing) == [f"{ENERGY},{CURRENT}", f"{ENERGY},{POWER}"]
    assert read(passing) == ENERGY


def test_a_station_that_takes_neither_is_left_as_it_is() -> None:
    passing = way(ENERGY)
    passing.refuses = refusing(CURRENT, POWER)
    passing.booted()
    assert told(passing) == [f"{ENERGY},{CURRENT}", f"{ENERGY},{POWER}"]
    assert set_by_csms(passing, "Voltage") == "Voltage"
    assert read(passing) == "Voltage"


@pytest.mark.parametrize("sampled", [f"{ENERGY},{CURRENT}", f"{CURRENT}.L1,{CURRENT}.L2", CURRENT])
def test_one_that_tells_it_already_is_told_nothing(sampled: str) -> None:
    passing = way(sampled).booted()
    assert told(passing) == []
    assert read(passing) == sampled
    assert set_by_csms(passing, ENERGY) == ENERGY, "so far it has never had to be added"


def test_what_the_csms_sets_passes_with_the_addition_and_it_reads_what_it_has_set() -> None:
    passing = way(ENERGY).booted()
    assert set_by_csms(passing, "Voltage") == f"Voltage,{CURRENT}"
    assert read(passing) == "Voltage"
    assert set_by_csms(passing, f"{CURRENT},{ENERGY}") == f"{CURRENT},{ENERGY}"
    assert read(passing) == f"{CURRENT},{ENERGY}"


def test_after_a_restart_the_csms_still_reads_its_own() -> None:
    passing = way(ENERGY).booted()
    passing.own.clear()
    passing.booted()
    assert told(passing) == [], "the station has it still"
    assert read(passing) == ENERGY
    memory = passing.endpoint.memory.registry.of("S").measurands
    assert memory == {str(SAMPLED): ENERGY}


def test_who_may_not_set_it_under_chargepilot_has_it_set_all_the_same() -> None:
    passing = way(ENERGY, preset="chargepilot", control_s=None).booted()
    assert told(passing) == [f"{ENERGY},{CURRENT}"]
    passing.csms(frame(2, "k", "ChangeConfiguration", {"key": KEY, "value": ENERGY}))
    assert [json.loads(data) for data in passing.to_csms()] == [[3, "k", {"status": "Rejected"}]]


def test_without_an_interval_for_the_control_the_station_is_as_the_csms_has_it() -> None:
    passing = way(ENERGY, control_s=None).booted()
    assert told(passing) == []


def test_where_readings_are_asked_for_those_that_answer_tell_it_too() -> None:
    passing = way(ENERGY, words=WORDS_201).booted()
    assert told(passing, SAMPLED) == [f"{ENERGY},{CURRENT}"]
    assert told(passing, ALIGNED) == [CURRENT]
