"""A token that waits for its price: WaitForSetUserPriceTimeout (a key of libocpp; California pricing requirements)."""

from typing import Any

import pytest

from forecourt.domain import cost as c
from forecourt.domain import requests as r
from forecourt.domain.token import IdToken
from forecourt.station import effects as e
from forecourt.station.extension_variables import COSTS_SHOWN, PRICE_PATIENCE_MS
from forecourt.station.inputs import CallAnswered
from forecourt.station.variable_table import AUTHORIZE_REMOTE_START, LOCAL_PRE_AUTHORIZE, SAMPLED_INTERVAL
from tests.station.bench import ALICE, BOB, MALLORY, Bench, accepted

WAITS = {COSTS_SHOWN: "true", PRICE_PATIENCE_MS: "4000", SAMPLED_INTERVAL: "0"}


def bench_of(**variables: Any) -> Bench:
    bench = Bench(variables={**WAITS, **variables.pop("variables", {})}, **variables)
    bench.connect()
    bench.plug()
    return bench


def price(bench: Bench, id_token: IdToken = ALICE) -> str:
    texts = (c.PriceText(text="0.39 EUR/kWh"),)
    return str(bench.ask(r.ShowPrice(id_token=id_token, texts=texts)).outcome)


def told(bench: Bench) -> list[str]:
    """What whoever stands before the station was told, in order."""
    return [
        effect.text if isinstance(effect, e.ShowPrices) else f"{effect.id_token.value} {effect.accepted}"
        for effect in bench.effects
        if isinstance(effect, e.ShowPrices | e.TokenAnswered)
    ]


def running(bench: Bench, evse_id: int = 1) -> bool:
    return bench.station.parts.evses[evse_id].transaction is not None


def test_an_accepted_token_waits_for_its_price_and_then_charges_at_once() -> None:
    bench = bench_of()
    bench.tap()
    bench.run(3.9)
    assert (told(bench), running(bench)) == ([], False)
    assert price(bench) == "Accepted"
    assert (told(bench), running(bench)) == (["0.39 EUR/kWh", "ALICE True"], True)


def test_a_price_that_never_comes_keeps_nobody_from_charging() -> None:
    bench = bench_of()
    bench.tap()
    bench.run(3.999)
    assert not running(bench)
    bench.run(0.001)
    assert (told(bench), running(bench)) == (["ALICE True"], True)
    price(bench)
    assert told(bench)[-1] == "0.39 EUR/kWh", "it is shown all the same"


def test_the_price_of_somebody_else_is_none() -> None:
    bench = bench_of()
    bench.tap()
    price(bench, BOB)
    assert not running(bench)


def test_a_price_that_is_faster_than_the_answer_counts_once() -> None:
    bench = bench_of()
    bench.csms.silent = True
    bench.tap()
    price(bench)
    (send,) = bench.unanswered
    bench.csms.silent = False
    answer = r.AuthorizeAnswer(id_token_info=accepted())
    bench.tell(CallAnswered(send.call_id, answer))
    assert running(bench), "the price is there"
    bench.tap()
    bench.unplug()
    bench.plug()
    bench.tap()
    assert not running(bench), "that was the price of another time"


def test_without_a_connection_nobody_waits() -> None:
    bench = bench_of()
    bench.tap()
    bench.disconnect()
    assert (told(bench), running(bench)) == (["ALICE True"], True)


def test_a_token_is_not_asked_about_twice_meanwhile() -> None:
    bench = bench_of()
    bench.tap()
    bench.tap()
    assert len([call for call in bench.csms.calls if isinstance(call, r.Authorize)]) == 1
    price(bench)
    assert running(bench)


def test_a_refusal_needs_no_price() -> None:
    bench = bench_of()
    bench.tap(MALLORY)
    assert told(bench) == ["MALLORY False"]


@pytest.mark.parametrize(
    "variables",
    [{PRICE_PATIENCE_MS: "0"}, {COSTS_SHOWN: "false"}],
    ids=["no time to wait", "no prices here"],
)
def test_nobody_waits_unless_told_to(variables: Any) -> None:
    bench = bench_of(variables=variables)
    bench.tap()
    assert running(bench)


def test_a_token_that_the_station_answers_for_does_not_wait() -> None:
    bench = bench_of(variables={LOCAL_PRE_AUTHORIZE: "true"})
    bench.tap()
    price(bench)
    bench.unplug()
    bench.plug()
    bench.tap()
    assert running(bench), "the cache has it, and nobody was asked"


def test_a_remote_start_waits_where_its_token_is_asked_about() -> None:
    bench = bench_of(variables={AUTHORIZE_REMOTE_START: "true"})
    bench.ask(r.RequestStartTransaction(id_token=ALICE, evse_id=1, remote_start_id=7))
    assert not running(bench)
    price(bench)
    assert running(bench)


def test_the_wait_can_be_set_from_afar() -> None:
    bench = bench_of(variables={PRICE_PATIENCE_MS: "0"})
    bench.set(PRICE_PATIENCE_MS, "1500")
    bench.tap()
    bench.run(1.4)
    assert not running(bench)
    bench.run(0.2)
    assert running(bench)
