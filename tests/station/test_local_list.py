"""The local authorization list (OCPP 1.6 §3.5.2, §3.5.3, §5.10, §5.15; OCPP 2.0.1 D01, D02)."""

from datetime import timedelta
from typing import Any

import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import ConnectorStatusReported, TransactionStarted
from forecourt.domain.requests import ListUpdate, LocalListEntry
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.variable import VariableRef
from forecourt.station import effects as e
from forecourt.station.variable_table import (
    AUTHORIZE_REMOTE_START,
    CACHE_ENABLED,
    FEATURE_PROFILES,
    LIST_ENABLED,
    LIST_ENTRIES,
    LIST_FINAL,
    LIST_ITEMS_PER_MESSAGE,
    LIST_MOST_ENTRIES,
    LOCAL_PRE_AUTHORIZE,
    OFFLINE_TX_FOR_UNKNOWN_ID,
)
from tests.station.bench import ALICE, BOB, MALLORY, START, Bench, accepted

VALID = accepted()
BLOCKED = IdTokenInfo(status=AuthorizationStatus.BLOCKED)


def listed(id_token: IdToken, info: IdTokenInfo | None = VALID) -> LocalListEntry:
    return LocalListEntry(id_token, info)


def online(**variables: str) -> Bench:
    names: dict[str, VariableRef] = {
        "items": LIST_ITEMS_PER_MESSAGE,
        "most": LIST_MOST_ENTRIES,
        "profiles": FEATURE_PROFILES,
    }
    bench = Bench(variables={names[name]: value for name, value in variables.items()})
    bench.connect()
    return bench


def send(bench: Bench, version: int, *entries: LocalListEntry, update: ListUpdate = ListUpdate.FULL) -> str:
    return str(bench.ask(r.SendLocalList(version=version, update=update, entries=entries)).outcome)


def change(bench: Bench, version: int, *entries: LocalListEntry) -> str:
    return send(bench, version, *entries, update=ListUpdate.DIFFERENTIAL)


def version(bench: Bench) -> Any:
    return bench.ask(r.GetLocalListVersion()).version


def asked(bench: Bench) -> list[str]:
    return [call.id_token.value for call in bench.csms.calls if isinstance(call, r.Authorize)]


def answer(bench: Bench) -> tuple[bool, str]:
    last = bench.took(e.TokenAnswered)[-1]
    return last.accepted, last.reason


def test_tc_042_1_no_version_while_the_list_is_off() -> None:
    bench = online()
    send(bench, 3, listed(ALICE))
    bench.set(LIST_ENABLED, "false")
    assert version(bench) is None
    bench.set(LIST_ENABLED, "true")
    assert version(bench) == 3


def test_tc_042_2_the_version_of_an_empty_list_is_0() -> None:
    bench = online()
    assert version(bench) == 0
    assert send(bench, 1) == "Accepted"
    assert version(bench) == 0
    assert send(bench, 7, listed(ALICE)) == "Accepted"
    assert version(bench) == 7
    assert send(bench, 8) == "Accepted"
    assert version(bench) == 0
    assert change(bench, 5, listed(BOB)) == "Accepted", "an empty list has no version to be later than"


def test_tc_043_full_then_differential() -> None:
    bench = online()
    assert send(bench, 1, listed(ALICE), listed(MALLORY)) == "Accepted"
    assert change(bench, 2, listed(BOB), listed(MALLORY, None), listed(ALICE, BLOCKED)) == "Accepted"
    assert version(bench) == 2
    at = bench.now.at
    info = bench.station.parts.local_list.info
    assert (info(ALICE, at), info(BOB, at), info(MALLORY, at)) == (BLOCKED, VALID, None)
    assert bench.station.parts.variables.text(LIST_ENTRIES) == "2"
    assert sorted(bench.journal.load()["local_list"]) == ["alice", "bob"]
    assert send(bench, 1, listed(BOB)) == "Accepted", "a full update may go back"
    assert version(bench) == 1
    assert sorted(bench.journal.load()["local_list"]) == ["bob"]


def test_a_differential_update_without_entries_changes_only_the_version() -> None:
    bench = online()
    send(bench, 1, listed(ALICE))
    assert change(bench, 4) == "Accepted"
    assert version(bench) == 4
    assert len(bench.station.parts.local_list) == 1


@pytest.mark.parametrize("profiles", ["Core,Reservation", ""])
def test_tc_043_1_not_supported_without_the_profile(profiles: str) -> None:
    bench = online(profiles=profiles)
    assert send(bench, 1, listed(ALICE)) == "NotSupported"
    assert version(bench) is None


def test_tc_043_1_not_supported_while_it_is_off() -> None:
    bench = online()
    bench.set(LIST_ENABLED, "false")
    assert send(bench, 1, listed(ALICE)) == "NotSupported"


def test_tc_043_2_version_mismatch() -> None:
    bench = online()
    assert send(bench, 2, listed(ALICE)) == "Accepted"
    assert change(bench, 5, listed(BOB)) == "Accepted"
    for old in (4, 5):
        assert change(bench, old, listed(MALLORY)) == "VersionMismatch"
    assert version(bench) == 5
    assert len(bench.station.parts.local_list) == 2


@pytest.mark.parametrize(
    ("number", "update", "entries"),
    [
        (0, ListUpdate.FULL, [listed(ALICE)]),
        (-1, ListUpdate.FULL, [listed(ALICE)]),
        (2, ListUpdate.FULL, [listed(ALICE), listed(IdToken("alice"), BLOCKED)]),
        (2, ListUpdate.FULL, [listed(ALICE, None)]),
        (2, ListUpdate.FULL, [listed(IdToken(name)) for name in "ABC"]),
        (2, ListUpdate.DIFFERENTIAL, [listed(IdToken(name)) for name in "AB"]),
    ],
    ids=["version 0", "version -1", "twice", "nothing said", "message too long", "list too long"],
)
def test_tc_043_3_failed_and_nothing_changed(number: int, update: ListUpdate, entries: list[LocalListEntry]) -> None:
    bench = online(items="2", most="2")
    send(bench, 1, listed(BOB))
    before = bench.journal.load()
    assert send(bench, number, *entries, update=update) == "Failed"
    assert version(bench) == 1
    assert bench.journal.load() == before


def test_a_list_may_be_as_long_as_it_may_be() -> None:
    bench = online(items="2", most="2")
    assert send(bench, 1, listed(ALICE), listed(BOB)) == "Accepted"
    assert change(bench, 2, listed(ALICE, None), listed(MALLORY)) == "Accepted"


def test_tc_008_a_listed_token_starts_without_being_asked_about() -> None:
    bench = online()
    for name, value in ((LOCAL_PRE_AUTHORIZE, "true"), (CACHE_ENABLED, "false"), (AUTHORIZE_REMOTE_START, "true")):
        bench.set(name, value)
    send(bench, 1, listed(ALICE))
    bench.plug(1)
    assert bench.ask(r.RequestStartTransaction(id_token=ALICE, evse_id=1)).outcome == "Accepted"
    assert len(bench.csms.told(TransactionStarted)) == 1
    assert asked(bench) == []


def test_3_5_3_the_list_comes_before_the_cache_and_its_tokens_are_not_cached() -> None:
    bench = online()
    bench.set(LOCAL_PRE_AUTHORIZE, "true")
    bench.tap(ALICE, 1)
    bench.tap(ALICE, 1)
    assert sorted(bench.journal.load()["cache"]) == ["alice"]
    send(bench, 1, listed(ALICE, BLOCKED))
    assert "cache" not in bench.journal.load()
    bench.disconnect()
    bench.tap(ALICE, 1)
    assert answer(bench) == (False, "Blocked")
    bench.connect()
    bench.tap(ALICE, 1)
    assert asked(bench) == ["ALICE", "ALICE"], "what is listed as refused is asked about (C14.FR.03)"
    assert "cache" not in bench.journal.load()


def test_c14_fr_03_unless_the_list_is_final() -> None:
    bench = online()
    bench.set(LIST_FINAL, "true")
    send(bench, 1, listed(ALICE, BLOCKED))
    bench.tap(ALICE, 1)
    assert answer(bench) == (False, "Blocked")
    assert asked(bench) == []


@pytest.mark.parametrize("status", [status for status in AuthorizationStatus if status != "Accepted"])
def test_3_5_4_what_the_list_refuses_is_not_unknown(status: AuthorizationStatus) -> None:
    bench = online()
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    send(bench, 1, listed(ALICE, IdTokenInfo(status=status)))
    bench.disconnect()
    bench.tap(ALICE, 1)
    assert answer(bench) == (False, status.value)


def test_3_5_4_a_listed_token_that_has_expired_is_refused() -> None:
    bench = online()
    ends = IdTokenInfo(status=AuthorizationStatus.ACCEPTED, expires_at=START + timedelta(seconds=30))
    send(bench, 1, listed(ALICE, ends))
    bench.disconnect()
    bench.tap(ALICE, 1)
    assert answer(bench) == (True, "")
    bench.tap(ALICE, 1)
    bench.run(30)
    bench.tap(ALICE, 1)
    assert answer(bench) == (False, "Expired")


def conflicts(bench: Bench) -> list[int]:
    told = bench.csms.told(ConnectorStatusReported)
    return [event.evse_id for event in told if event.error is not None and event.error.code == "LocalListConflict"]


def test_3_5_2_the_csms_is_told_when_it_contradicts_its_list() -> None:
    """Also OCTT TC_037: the list accepts offline what the CSMS then refuses."""
    bench = online()
    send(bench, 1, listed(MALLORY), listed(ALICE))
    bench.disconnect()
    bench.charging_offline(1, MALLORY)
    bench.charging_offline(2, ALICE)
    assert conflicts(bench) == []
    bench.connect()
    assert conflicts(bench) == [0]
    assert bench.station.parts.ground.faults == {}, "it is news, not a state"


@pytest.mark.parametrize(
    ("known", "heard", "conflict"),
    [
        (VALID, IdTokenInfo(status=AuthorizationStatus.CONCURRENT_TX), False),
        (BLOCKED, IdTokenInfo(status=AuthorizationStatus.INVALID), False),
        (BLOCKED, VALID, True),
        (VALID, BLOCKED, True),
        (None, BLOCKED, False),
    ],
)
def test_3_5_2_what_a_conflict_is(known: IdTokenInfo | None, heard: IdTokenInfo, conflict: bool) -> None:
    bench = online()
    send(bench, 1, listed(BOB), *([] if known is None else [listed(ALICE, known)]))
    bench.csms.tokens["alice"] = heard
    bench.tap(ALICE, 1)
    assert conflicts(bench) == ([0] if conflict else [])


def test_3_5_2_a_conflict_is_told_once_however_many_answers_show_it() -> None:
    """The answer about the token shows it, then the one about the start of its transaction, and every later visit."""
    bench = online()
    send(bench, 1, listed(BOB), listed(ALICE, BLOCKED))
    bench.charging(1, ALICE)
    assert bench.csms.told(TransactionStarted), "the CSMS has let the token charge, against its list"
    assert conflicts(bench) == [0]
    bench.tap(ALICE, 1)
    bench.unplug(1)
    bench.charging(1, ALICE)
    assert len(bench.csms.told(TransactionStarted)) == 2
    assert conflicts(bench) == [0]


def test_3_5_2_a_conflict_is_told_again_after_an_update_or_an_agreement() -> None:
    bench = online()
    send(bench, 1, listed(ALICE, BLOCKED))

    def shown(info: IdTokenInfo) -> int:
        """Conflicts told so far, after the CSMS has said this of the token."""
        bench.csms.tokens["alice"] = info
        bench.tap(ALICE, 1)
        bench.run(600)  # nobody plugs in
        return len(conflicts(bench))

    assert shown(VALID) == 1
    change(bench, 2, listed(BOB))
    assert shown(VALID) == 1, "of this token the update says nothing"
    change(bench, 3, listed(ALICE, BLOCKED))
    assert shown(VALID) == 2
    assert shown(BLOCKED) == 2
    assert shown(VALID) == 3


def test_the_list_survives() -> None:
    bench = online()
    send(bench, 1, listed(ALICE))
    change(bench, 2, listed(BOB, BLOCKED))
    again = Bench(journal=bench.journal)
    again.connect()
    assert version(again) == 2
    assert again.station.parts.local_list.info(BOB, again.now.at) == BLOCKED
    assert again.station.parts.variables.text(LIST_ENTRIES) == "2"


def test_3_5_3_a_list_that_comes_into_force_takes_its_tokens_out_of_the_cache() -> None:
    bench = Bench()
    bench.connect()
    listed = (LocalListEntry(ALICE, accepted()),)
    bench.ask(r.SendLocalList(version=1, update=ListUpdate.FULL, entries=listed))
    bench.set(LIST_ENABLED, "false")
    bench.tap(ALICE, 1)
    assert len(bench.station.parts.cache) == 1, "without the list it is a token as any other"
    bench.set(LIST_ENABLED, "true")
    assert len(bench.station.parts.cache) == 0
    assert not bench.journal.load().get("cache")
