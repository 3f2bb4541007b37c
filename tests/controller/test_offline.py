"""Stations go on without their CSMS, and it hears everything once, in order, under its own ids (`controller.md` §1)."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.controller.settings import ControllerSettings, OfflineSettings
from forecourt.controller.transaction_ids import FIRST, LAST
from tests.controller.town import Message, Town, stamp


def with_offline(**offline: Any) -> ControllerSettings:
    return ControllerSettings(offline=OfflineSettings(**offline))


def booted(stations: int = 2, **options: Any) -> Town:
    town = Town(stations, **options)
    for name in town.stations:
        town.connect(name, boot=True)
    assert town.run(30) == []
    return town


def known_card(**options: Any) -> Town:
    """A site whose CSMS has once accepted CARD."""
    town = booted(**options)
    town.start("S0")
    assert town.run(130) == []
    town.stop("S0")
    assert town.run(60) == []
    return town


def told_all(town: Town) -> None:
    """Every transaction of every station is upstream: start, readings in order, stop, under one id of the CSMS."""
    for name, station in town.stations.items():
        stories = town.stories(name)
        assert len(stories) == station.numbers, (name, stories)
        for transaction_id, story in stories.items():
            kinds = [kind for kind, _ in story]
            assert transaction_id < FIRST, "never a provisional id"
            assert kinds[0] == "start"
            assert kinds.count("start") == 1
            if station.running is None or story is not list(stories.values())[-1]:
                assert kinds[-1] == "stop"
            assert kinds.count("stop") <= 1
            times = [at for _, at in story]
            assert times == sorted(times), (name, story)


def test_a_whole_session_without_the_csms_is_told_when_it_is_back() -> None:
    town = known_card()
    town.cut_csms()
    before = len(town.heard["S0"])
    began = town.second
    town.start("S0")
    assert town.run(200) == []
    assert town.stations["S0"].current_a == 32, "it charges"
    provisional = town.stations["S0"].ids[2]
    assert FIRST <= provisional <= LAST
    town.stop("S0")
    assert town.run(60) == []
    assert len(town.heard["S0"]) == before
    town.csms_back()
    assert town.run(30) == []
    actions = [action for action, _ in town.heard["S0"][before:]]
    assert actions[0] == "StatusNotification"
    assert actions[1] == "StartTransaction"
    assert actions[-1] == "StopTransaction"
    starts = [payload for action, payload in town.heard["S0"][before:] if action == "StartTransaction"]
    assert starts[0]["timestamp"] == stamp(began)
    told_all(town)


def test_a_transaction_that_goes_on_is_known_by_both_ids() -> None:
    town = known_card()
    town.cut_csms()
    town.start("S0")
    assert town.run(100) == []
    provisional = town.stations["S0"].ids[2]
    town.csms_back()
    assert town.run(200) == []
    real = town.booked[next(reversed(town.booked))]
    town.asked.clear()
    profile = {
        "chargingProfileId": 7, "transactionId": real, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute", "chargingSchedule": {
            "chargingRateUnit": "A", "startSchedule": stamp(0),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}],
        },
    }  # fmt: skip
    town.ask("S0", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})
    assert town.run(30) == []
    assert town.stations["S0"].current_a == 10
    town.ask("S0", "RemoteStopTransaction", {"transactionId": real})
    assert town.run(30) == []
    assert town.stations["S0"].stopped_by == [provisional]
    assert ("RemoteStopTransaction", {"transactionId": provisional}) in town.asked
    told_all(town)


def test_a_restart_of_everything_in_between_loses_nothing() -> None:
    town = known_card()
    town.cut_csms()
    town.start("S0")
    assert town.run(100) == []
    town.kill()
    assert town.run(100) == []
    town.reboot("S0")
    assert town.run(100) == []
    town.start("S0")
    assert town.run(100) == []
    town.kill()
    town.stop("S0")
    assert town.run(100) == []
    town.csms_back()
    assert town.run(60) == []
    told_all(town)
    assert town.stations["S0"].boots == 2
    assert [action for action, _ in town.heard["S0"]].count("BootNotification") == 2, "the boot it has missed"


def test_after_a_restart_of_the_controller_no_station_boots_and_all_are_spoken_to() -> None:
    town = known_card()
    town.start("S0")
    town.start("S1")
    assert town.run(200) == []
    for _ in range(3):
        town.kill()
        assert town.run(600) == []
        assert [station.current_a for station in town.stations.values()] == [20, 20]
    assert [station.boots for station in town.stations.values()] == [1, 1]


def test_who_boots_meanwhile_is_accepted_if_the_csms_had_accepted_it() -> None:
    town = booted(1)
    town.cut_csms()
    town.reboot("S0")
    assert town.run(10) == []
    assert town.stations["S0"].accepted
    before = len(town.heard["S0"])
    town.csms_back()
    assert town.run(10) == []
    assert town.heard["S0"][before][0] == "BootNotification"


def accepted(town: Town) -> bool:
    return town.stations["S0"].accepted


def test_who_was_never_seen_is_pending_until_the_csms_is_there() -> None:
    town = Town(1)
    town.cut_csms()
    town.connect("S0", boot=True)
    assert town.run(100) == []
    assert not accepted(town)
    assert len(town.asked) == 0, "and is not spoken to"
    town.csms_back()
    assert town.run(100) == []
    assert accepted(town)
    assert len(town.asked) > 0


def test_an_acceptance_of_long_ago_counts_no_more() -> None:
    town = booted(1, settings=with_offline(boot_age_s=500.0))
    town.run(600)
    town.cut_csms()
    town.reboot("S0")
    town.run(10)
    assert not town.stations["S0"].accepted


def test_another_station_under_the_same_name_is_pending() -> None:
    town = booted(1)
    town.cut_csms()
    town.disconnect("S0")
    town.connect("S0", boot=True)
    town.stations["S0"].outbox[0].payload["chargePointSerialNumber"] = "another"
    town.run(10)
    assert not town.stations["S0"].accepted


@pytest.mark.parametrize(("unknown", "charges"), [("refuse", False), ("accept", True)])
def test_a_token_nobody_knows(unknown: str, charges: bool) -> None:
    town = known_card(settings=with_offline(unknown_tokens=unknown))
    town.cut_csms()
    town.start("S1", token="STRANGER")
    town.run(60)
    assert (town.stations["S1"].running is not None) is charges
    town.csms_back()
    town.run(60)
    told_all(town)


def test_a_card_known_at_one_station_is_known_at_all() -> None:
    town = known_card()
    town.cut_csms()
    town.start("S1", token="card")
    town.run(60)
    assert town.stations["S1"].current_a == 32


@pytest.mark.parametrize("stops", [True, False])
def test_a_token_that_the_csms_does_not_accept_afterwards(stops: bool) -> None:
    town = known_card(settings=with_offline(stop_on_invalid=stops))
    town.cut_csms()
    town.start("S0")
    town.run(60)
    town.invalid.add("CARD")
    town.csms_back()
    town.run(60)
    assert (town.stations["S0"].running is None) is stops
    assert ("invalid-after-offline" in {alarm.kind for alarm in town.endpoint.alarms}) is stops
    told_all(town)
    town.stop("S0")
    town.cut_csms()
    town.start("S0")
    town.run(30)
    assert town.stations["S0"].running is None, "and that is remembered"


def test_a_start_that_the_csms_refuses_is_put_aside_and_the_rest_goes_on() -> None:
    town = known_card(settings=with_offline(retry_s=10.0))
    town.cut_csms()
    town.start("S0")
    town.run(60)
    town.stop("S0")
    town.run(10)
    town.refuse.add("StartTransaction")
    town.csms_back()
    town.run(60)
    town.refuse.clear()
    town.run(60)
    assert town.heard["S0"][-1][1]["transactionId"] == -1
    assert "message-refused" in {alarm.kind for alarm in town.endpoint.alarms}
    aside = list(town.endpoint.memory.backlogs["S0"].aside.values())
    assert [entry.action for entry in aside] == ["StartTransaction"]
    before = town.endpoint.backlog("S0")
    assert before == 0


def test_a_call_that_was_under_way_is_answered_and_told_again() -> None:
    town = known_card()
    town.lose_answer = 1.0
    town.start("S0")
    town.run(1)
    town.run(1)
    town.run(1)
    town.cut_csms()
    town.lose_answer = 0.0
    town.run(30)
    assert FIRST <= town.stations["S0"].ids[2] <= LAST
    town.csms_back()
    town.run(30)
    town.stop("S0")
    town.run(30)
    told_all(town)


def test_an_id_of_the_csms_in_the_provisional_range_gets_a_provisional_one() -> None:
    town = known_card()
    town.issued = iter([FIRST, FIRST + 1])  # type: ignore[assignment]
    town.cut_csms()
    town.start("S1")
    town.run(10)
    offline_id = town.stations["S1"].ids[1]
    town.csms_back()
    town.run(10)
    town.start("S0")
    town.run(70)
    assert town.stations["S0"].ids[2] != offline_id
    town.ask("S0", "RemoteStopTransaction", {"transactionId": FIRST + 1})
    town.run(10)
    assert town.stations["S0"].stopped_by == [town.stations["S0"].ids[2]]
    stops = [payload["transactionId"] for action, payload in town.heard["S0"] if action == "StopTransaction"]
    assert stops[-1] == FIRST + 1
    town.ask("S1", "RemoteStopTransaction", {"transactionId": offline_id})
    town.run(10)
    assert town.stations["S1"].running is None or town.stations["S1"].stopped_by == []


def test_what_only_the_csms_can_answer_is_refused() -> None:
    town = known_card()
    town.cut_csms()
    town.say("S0", Message("DataTransfer", {"vendorId": "com.example"}))
    town.run(10)
    assert town.stations["S0"].refusals == ["DataTransfer"]


def test_strict_answers_nothing() -> None:
    town = known_card(settings=with_offline(mode="strict"))
    town.cut_csms()
    town.start("S0")
    town.run(100)
    assert 2 not in town.stations["S0"].ids
    town.csms_back()
    town.run(200)
    told_all(town)


# Every fault at every instant


def day(town: Town) -> None:
    """A story with each kind of message, online and off."""
    for name in town.stations:
        town.connect(name, boot=True)
    town.run(20)
    town.start("S0")
    town.run(70)
    town.cut_csms()
    town.start("S1")
    town.run(70)
    town.stop("S0")
    town.run(10)
    town.start("S0")
    town.run(20)
    town.csms_back()
    town.run(30)
    town.stop("S1")
    town.stop("S0")
    town.run(20)


def cut_at(number: int, *, before: bool) -> None:
    town = Town(2, settings=with_offline(unknown_tokens="accept"))
    town.journal.cut_at, town.journal.cut_before = number, before
    day(town)
    town.run(200)
    assert town.kills == 1, number
    for name in town.stations:
        town.stop(name)
    town.run(60)
    told_all(town)


def commits_of_a_day() -> int:
    plain = Town(2)
    day(plain)
    told_all(plain)
    assert plain.journal.commits > 25
    return plain.journal.commits


def test_the_power_is_cut_at_each_commit() -> None:
    for number in range(1, commits_of_a_day() + 1):
        cut_at(number, before=number % 2 == 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_power_is_cut_on_either_side_of_each_commit() -> None:
    for number in range(1, commits_of_a_day() + 1):
        cut_at(number, before=True)
        cut_at(number, before=False)


def troubled(town: Town, chance: random.Random, minutes: int) -> None:
    names = list(town.stations)
    for _ in range(minutes):
        name = chance.choice(names)
        station = town.stations[name]
        match chance.randint(0, 9):
            case 0 | 1 if station.running is None and station.accepted:
                town.start(name)
            case 2 | 3:
                town.stop(name)
            case 4:
                town.cut_csms()
            case 5:
                town.csms_back()
            case 6:
                town.reboot(name)
            case 7:
                town.disconnect(name)
            case 8:
                town.downtime_s = chance.choice([1, 30, 400])
                town.journal.cut_at = town.journal.commits + chance.randint(1, 12)
                town.journal.cut_before = chance.random() < 0.5
            case _:
                town.connect(name)
        found = town.run(chance.choice([5, 60]))
        assert found == [], [violation.text() for violation in found[:3]]


def play(seed: int, minutes: int) -> None:
    chance = random.Random(seed)
    offline = OfflineSettings(unknown_tokens="accept", retry_s=10.0)
    town = Town(3, fuse_a=40, seed=seed, settings=msgspec.structs.replace(ControllerSettings(), offline=offline))
    for name in town.stations:
        town.connect(name, boot=True)
    town.run(60)
    town.lose_answer = chance.choice([0.0, 0.05, 0.2])
    troubled(town, chance, minutes)
    town.lose_answer = 0.0
    town.journal.cut_at = None
    town.run(500)
    town.csms_back()
    for name in town.stations:
        town.connect(name)
        town.stop(name)
    town.run(1200)
    assert [len(station.outbox) for station in town.stations.values()] == [0, 0, 0]
    told_all(town)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_no_fault_loses_or_doubles_a_transaction_or_overloads_a_fuse(seed: int) -> None:
    play(seed, 40)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(30))
def test_long_days_with_every_fault(seed: int) -> None:
    play(seed, 500)
