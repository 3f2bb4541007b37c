"""Who may charge without the CSMS being asked: cache and keys (OCPP 1.6 §3.5, §4.1, §5.4; OCPP 2.0.1 C10 to C14)."""

from datetime import timedelta
from typing import Any

import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import TransactionEnded, TransactionStarted
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.transaction import StoppedReason
from forecourt.station import effects as e
from forecourt.station.inputs import CallFailure
from forecourt.station.variable_table import (
    AUTHORIZE_REMOTE_START,
    CACHE_ENABLED,
    CACHE_FINAL,
    CACHE_LIFE_TIME,
    LOCAL_AUTHORIZE_OFFLINE,
    LOCAL_PRE_AUTHORIZE,
    OFFLINE_TX_FOR_UNKNOWN_ID,
)
from tests.station.bench import ALICE, BOB, HOUSEHOLD, MALLORY, START, Bench, accepted

INVALID = IdTokenInfo(status=AuthorizationStatus.INVALID)


def asked(bench: Bench) -> list[str]:
    return [call.id_token.value for call in bench.csms.calls if isinstance(call, r.Authorize)]


def answers(bench: Bench) -> list[tuple[bool, str]]:
    return [(answer.accepted, answer.reason) for answer in bench.took(e.TokenAnswered)]


def cached(*tokens: IdToken, **config: Any) -> Bench:
    """The CSMS was asked about these tokens, one after the other; nothing is plugged in. Pre-authorization is on."""
    bench = Bench(**config)
    bench.connect()
    bench.set(LOCAL_PRE_AUTHORIZE, "true")
    for id_token in tokens:
        bench.tap(id_token, 1)
        if answers(bench)[-1][0]:
            bench.tap(id_token, 1)  # and takes it back
        bench.run(1)
    return bench


def test_tc_007_a_cached_token_starts_without_being_asked_about() -> None:
    bench = cached(ALICE)
    assert asked(bench) == ["ALICE"]
    bench.plug(1)
    bench.set(AUTHORIZE_REMOTE_START, "true")
    assert bench.ask(r.RequestStartTransaction(id_token=ALICE, evse_id=1)).outcome == "Accepted"
    assert len(bench.csms.told(TransactionStarted)) == 1
    assert asked(bench) == ["ALICE"]


def test_tc_061_a_cleared_cache_asks_again() -> None:
    bench = cached(ALICE)
    assert bench.ask(r.ClearCache()).outcome == "Accepted"
    assert "cache" not in bench.journal.load()
    bench.tap(ALICE, 1)
    assert asked(bench) == ["ALICE", "ALICE"]


def test_errata_3_23_a_cache_that_is_off_cannot_be_cleared_and_is_emptied() -> None:
    bench = cached(ALICE)
    bench.set(CACHE_ENABLED, "false")
    assert bench.ask(r.ClearCache()).outcome == "Rejected"
    assert len(bench.station.parts.cache) == 0
    assert "cache" not in bench.journal.load()
    bench.tap(ALICE, 1)
    assert len(bench.station.parts.cache) == 0
    bench.set(CACHE_ENABLED, "true")
    bench.disconnect()
    bench.tap(BOB, 2)
    assert answers(bench)[-1] == (False, "Unknown")


def test_without_pre_authorization_the_csms_is_asked_while_it_can_be() -> None:
    bench = cached(ALICE)
    bench.set(LOCAL_PRE_AUTHORIZE, "false")
    bench.tap(ALICE, 1)
    assert asked(bench) == ["ALICE", "ALICE"]


def test_3_5_1_a_token_cached_as_invalid_is_asked_about_again() -> None:
    bench = cached(MALLORY)
    bench.csms.tokens["mallory"] = accepted()
    bench.tap(MALLORY, 1)
    assert asked(bench) == ["MALLORY", "MALLORY"]
    assert answers(bench)[-1][0]


def test_c10_fr_03_unless_a_refusal_is_final() -> None:
    bench = cached(MALLORY)
    bench.set(CACHE_FINAL, "true")
    bench.tap(MALLORY, 1)
    assert asked(bench) == ["MALLORY"]
    assert answers(bench)[-1] == (False, "Invalid")


@pytest.mark.parametrize(
    ("token", "local", "unknown", "outcome"),
    [
        (ALICE, "true", "false", (True, "")),
        (ALICE, "false", "false", (False, "Unknown")),
        (ALICE, "false", "true", (True, "")),
        (BOB, "true", "false", (False, "Unknown")),
        (BOB, "true", "true", (True, "")),
        (MALLORY, "true", "true", (False, "Invalid")),
        (MALLORY, "false", "true", (False, "Invalid")),
    ],
)
def test_3_5_4_offline(token: IdToken, local: str, unknown: str, outcome: tuple[bool, str]) -> None:
    bench = cached(ALICE, MALLORY)
    bench.set(LOCAL_AUTHORIZE_OFFLINE, local)
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, unknown)
    bench.disconnect()
    bench.tap(token, 1)
    assert answers(bench)[-1] == outcome


def test_a_question_that_gets_no_answer_is_decided_as_if_offline() -> None:
    bench = cached(ALICE)
    bench.set(LOCAL_PRE_AUTHORIZE, "false")
    bench.csms.refuses = lambda call: CallFailure.TIMEOUT if isinstance(call, r.Authorize) else None
    bench.tap(ALICE, 1)
    assert answers(bench)[-1] == (True, "")
    bench.tap(BOB, 2)
    assert answers(bench)[-1] == (False, "Unknown")


@pytest.mark.parametrize("unknown", ["false", "true"])
def test_3_5_4_a_token_that_has_expired_is_refused_offline(unknown: str) -> None:
    bench = Bench()
    bench.csms.tokens["alice"] = IdTokenInfo(
        status=AuthorizationStatus.ACCEPTED, expires_at=START + timedelta(seconds=100)
    )
    bench.connect()
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, unknown)
    bench.tap(ALICE, 1)
    bench.tap(ALICE, 1)
    bench.disconnect()
    bench.run(99)
    bench.tap(ALICE, 1)
    assert answers(bench)[-1][0]
    bench.tap(ALICE, 1)
    bench.run(1)
    bench.tap(ALICE, 1)
    assert answers(bench)[-1] == (False, "Expired")


def test_an_entry_not_used_for_its_life_time_expires_and_is_asked_about() -> None:
    bench = cached(ALICE)
    bench.set(CACHE_LIFE_TIME, "100")
    bench.run(90)
    bench.tap(ALICE, 1)  # used, by what the cache knows
    bench.tap(ALICE, 1)
    bench.run(90)
    bench.tap(ALICE, 1)
    bench.tap(ALICE, 1)
    assert asked(bench) == ["ALICE"]
    bench.run(100)
    bench.tap(ALICE, 1)
    assert asked(bench) == ["ALICE", "ALICE"]


def test_3_5_1_a_full_cache_forgets_what_is_invalid_first_then_the_least_recently_used() -> None:
    bench = cached(ALICE, MALLORY, BOB, cache_size=3)
    bench.tap(ALICE, 1)
    bench.tap(ALICE, 1)
    bench.tap(IdToken("CAROL"), 1)
    assert sorted(bench.journal.load()["cache"]) == ["alice", "bob", "carol"]
    bench.tap(IdToken("CAROL"), 1)
    bench.tap(IdToken("DAVE"), 1)
    assert sorted(bench.journal.load()["cache"]) == ["alice", "carol", "dave"]
    again = Bench(journal=bench.journal, cache_size=3)
    assert len(again.station.parts.cache) == 3


def test_a_cache_of_no_size_keeps_nothing() -> None:
    bench = cached(ALICE, cache_size=0)
    assert "cache" not in bench.journal.load()


def test_3_5_1_the_answers_to_start_and_end_are_remembered_too() -> None:
    bench = Bench()
    bench.connect()
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    bench.disconnect()
    bench.charging_offline(1, MALLORY)
    bench.connect()
    bench.disconnect()
    bench.unplug(1)
    bench.tap(MALLORY, 2)
    assert answers(bench)[-1] == (False, "Invalid")

    bench.connect()
    bench.charging(2, ALICE)
    bench.csms.tokens["alice"] = IdTokenInfo(status=AuthorizationStatus.BLOCKED)
    bench.tap(ALICE, 2)
    assert bench.csms.told(TransactionEnded)[-1].reason is StoppedReason.LOCAL
    bench.disconnect()
    bench.tap(ALICE, 1)
    assert answers(bench)[-1] == (False, "Blocked")


def test_errata_3_4_the_cache_survives() -> None:
    bench = cached(ALICE)
    again = Bench(journal=bench.journal, now=bench.now)
    again.tap(ALICE, 1)
    assert answers(again)[-1] == (True, "")


def test_3_10_another_token_of_the_group_stops_offline_by_what_the_cache_knows() -> None:
    bench = Bench()
    bench.csms.tokens["alice"] = bench.csms.tokens["bob"] = accepted(HOUSEHOLD)
    bench.connect()
    bench.tap(BOB, 2)
    bench.tap(BOB, 2)
    bench.charging(1, ALICE)
    bench.disconnect()
    bench.tap(BOB, 1)
    bench.connect()
    ended = bench.csms.told(TransactionEnded)[0]
    assert (ended.id_token, ended.reason) == (BOB, StoppedReason.LOCAL)


def test_c12_a_token_learnt_under_another_case_is_the_same() -> None:
    bench = cached(ALICE)
    bench.tap(IdToken("alice"), 1)
    assert asked(bench) == ["ALICE"]
