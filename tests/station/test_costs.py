"""Prices and costs on the display, and what the CSMS wants to know for them (California pricing requirements)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from forecourt.domain import cost as c
from forecourt.domain import requests as r
from forecourt.domain.events import MeterSampled, Notice, TransactionAnswer, TransactionEnded
from forecourt.domain.meter import ReadingContext
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState
from forecourt.domain.variable import VariableSetting
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.effects import PriceSubject
from forecourt.station.extension_variables import (
    COST_DECIMALS,
    COSTS_SHOWN,
    DEFAULT_PRICE,
    DEFAULT_PRICE_TEXTS,
    IDLE_FEE_AFTER_STOP,
    LANGUAGE,
    MULTI_LANGUAGE,
    NEXT_OFFSET,
    NEXT_OFFSET_AT,
    TIME_OFFSET,
)
from forecourt.station.variable_table import SAMPLED_INTERVAL
from tests.station.bench import ALICE, BOB, TWO, Bench

SHOWN = {COSTS_SHOWN: "true", MULTI_LANGUAGE: "true", SAMPLED_INTERVAL: "0"}
HOUR_S = 3600.0


def bench_of(**options: Any) -> Bench:
    variables = {**SHOWN, **options.pop("variables", {})}
    bench = Bench(variables=variables, **options)
    bench.connect()
    return bench


def display(bench: Bench) -> e.ShowPrices:
    return bench.took(e.ShowPrices)[-1]


def cost(bench: Bench, amount: float = 1.25, **more: Any) -> str:
    request = r.CostUpdated(transaction_id=str(bench.csms.last_transaction_id), total_cost=amount, **more)
    return str(bench.ask(request).outcome)


def triggered(bench: Bench) -> list[float]:
    """Registers of the meter values that were asked for, in order."""
    return [
        round(value.samples[0].value or 0.0)
        for event in bench.csms.told(MeterSampled)
        for value in event.meter_values
        if value.samples[0].context is ReadingContext.OTHER
    ]


def test_a_drivers_price_is_shown_in_the_stations_language() -> None:
    bench = bench_of()
    texts = (c.PriceText(text="0.12/kWh"), c.PriceText(text="0,12/kWh", language="de-DE"))
    price = r.ShowPrice(id_token=ALICE, texts=texts)
    assert bench.ask(price).outcome == "Accepted"
    assert display(bench) == e.ShowPrices(evse_id=None, about=PriceSubject.USER_PRICE, text="0.12/kWh", id_token=ALICE)
    bench.set(LANGUAGE, "de")
    bench.charging(2)
    bench.ask(price)
    assert (display(bench).evse_id, display(bench).text, display(bench).language) == (2, "0,12/kWh", "de-DE")


def test_costs_of_a_transaction_and_its_end() -> None:
    bench = bench_of(variables={COST_DECIMALS: "3"})
    bench.charging()
    price = c.ChargingPrice(kwh_price=0.5, hour_price=2.0)
    assert cost(bench, 1.2345, charging_price=price) == "Accepted"
    assert display(bench) == e.ShowPrices(
        evse_id=1, about=PriceSubject.RUNNING_COST, text="0.5/kWh + 2/h", cost="1.234"
    )
    bench.tap()
    assert cost(bench) == "Rejected", "it does not run any more"
    final = r.ShowFinalCost(
        transaction_id=str(bench.csms.last_transaction_id),
        total_cost=3.31,
        texts=(c.PriceText(text="1 kWh"),),
        qr_code_text="https://pay.example",
    )
    assert bench.ask(final).outcome == "Accepted"
    assert display(bench) == e.ShowPrices(
        evse_id=1,
        about=PriceSubject.FINAL_COST,
        text="1 kWh",
        cost="3.310",
        qr_code_text="https://pay.example",
    )
    bench.unplug()
    assert bench.ask(final).outcome == "Accepted", "it may come late"
    bench.tap(BOB)
    assert bench.ask(final).outcome == "Rejected", "the next driver is there"


@pytest.mark.parametrize(
    "request_",
    [
        r.CostUpdated(transaction_id="7", total_cost=1.0),
        r.ShowFinalCost(transaction_id="7", total_cost=1.0),
    ],
    ids=lambda request: type(request).__name__,
)
def test_costs_of_nobody_are_rejected(request_: r.CsmsRequest) -> None:
    assert bench_of().ask(request_).outcome == "Rejected"


@pytest.mark.parametrize(
    "request_",
    [
        r.ShowPrice(id_token=ALICE, texts=()),
        r.CostUpdated(transaction_id="101", total_cost=1.0),
        r.ShowFinalCost(transaction_id="101", total_cost=1.0),
    ],
    ids=lambda request: type(request).__name__,
)
def test_switched_off_nothing_is_known_of_prices(request_: r.CsmsRequest) -> None:
    bench = bench_of(variables={COSTS_SHOWN: "false", DEFAULT_PRICE: '{"priceText":"0.4"}'})
    bench.charging()
    assert bench.ask(request_).outcome == "NotSupported"
    assert not bench.took(e.ShowPrices)


def test_the_default_price_follows_language_and_connection() -> None:
    bench = bench_of(variables={DEFAULT_PRICE: '{"priceText":"0.40/kWh","priceTextOffline":"ask"}'})
    assert display(bench) == e.ShowPrices(
        evse_id=None, about=PriceSubject.DEFAULT_PRICE, text="0.40/kWh", language="en"
    )
    bench.disconnect()
    assert display(bench).text == "ask"
    bench.connect()
    bench.set(DEFAULT_PRICE_TEXTS["de"], json.dumps({"priceText": "0,40/kWh"}))
    assert display(bench).text == "0.40/kWh"
    bench.set(LANGUAGE, "de")
    assert display(bench).text == "0,40/kWh"


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        (DEFAULT_PRICE, "0.40/kWh"),
        (DEFAULT_PRICE, "[]"),
        (DEFAULT_PRICE, '{"priceText":1}'),
        (LANGUAGE, "tlh"),
        (TIME_OFFSET, "one hour"),
        (TIME_OFFSET, "+15:00"),
        (NEXT_OFFSET, "01:00"),
        (NEXT_OFFSET_AT, "tomorrow"),
        (NEXT_OFFSET_AT, "2025-10-26T01:00:00"),
        (COSTS_SHOWN, "false"),
        (COST_DECIMALS, "1"),
    ],
)
def test_what_cant_be_is_rejected(ref: Any, value: str) -> None:
    answer = bench_of().ask(r.SetVariables(settings=(VariableSetting(ref, value),)))
    assert answer.results[0].outcome == "Rejected"


def test_the_next_price_is_told_by_the_clock_on_the_wall() -> None:
    bench = bench_of(variables={TIME_OFFSET: "-07:00"})
    bench.charging()
    at = bench.now.at.replace(hour=23, minute=0, second=0)
    following = c.NextPeriod(at=at, charging_price=c.ChargingPrice(kwh_price=0.1))
    cost(bench, charging_price=c.ChargingPrice(kwh_price=0.5), next_period=following)
    assert display(bench).text == "0.5/kWh; 16:00 0.1/kWh"
    bench.set(NEXT_OFFSET_AT, at.isoformat())
    bench.set(NEXT_OFFSET, "-08:00")
    cost(bench, next_period=following)
    assert display(bench).text == "15:00 0.1/kWh"


def test_a_meter_value_at_an_instant() -> None:
    bench = bench_of()
    bench.charging()
    assert cost(bench, trigger=c.MeterTrigger(at=bench.now.at + timedelta(minutes=30))) == "Accepted"
    bench.run(HOUR_S / 2 - 1)
    assert triggered(bench) == []
    bench.run(2 * HOUR_S)
    assert triggered(bench) == [pytest.approx(4600, abs=2)], "once, at 7.2 kW for half an hour"
    event = bench.csms.told(MeterSampled)[-1]
    assert event.transaction_id is not None


@pytest.mark.parametrize(("energy_wh", "told"), [(2000.0, 2000), (500.0, 1500)])
def test_a_meter_value_at_an_energy_of_the_register_or_of_the_transaction(energy_wh: float, told: int) -> None:
    bench = bench_of()
    bench.charging()
    cost(bench, trigger=c.MeterTrigger(energy_wh=energy_wh))
    bench.run(HOUR_S)
    assert triggered(bench) == [pytest.approx(told, abs=7200 * 10 / 3600 + 1)], "within one look at the meter"


def test_a_meter_value_each_time_the_power_crosses_its_mark() -> None:
    bench = bench_of()
    bench.charging()
    cost(bench, trigger=c.MeterTrigger(power_w=5000.0))
    told = []
    for power_w in (7200.0, 4900.0, 4000.0, 5100.0, 5300.0, 4900.0, 4700.0):
        bench.power_w[1] = power_w
        bench.run(30)
        told.append(len(triggered(bench)))
    assert told == [0, 0, 1, 1, 2, 2, 3], "with some play, so that a power that wavers tells nothing"


def test_a_meter_value_when_the_connector_comes_into_a_state() -> None:
    bench = bench_of()
    bench.charging()
    trigger = c.MeterTrigger(
        charging_states=(ChargingState.SUSPENDED_EV, ChargingState.EV_CONNECTED),
        connector_states=(ConnectorStatus.AVAILABLE,),
    )
    cost(bench, trigger=trigger)
    assert len(triggered(bench)) == 0
    bench.tell(i.PilotChanged(1, i.Pilot.B))
    assert len(triggered(bench)) == 1
    bench.ready()
    assert len(triggered(bench)) == 1
    bench.tap()
    assert bench.csms.told(TransactionEnded)
    assert len(triggered(bench)) == 2, "finishing"
    bench.unplug()
    assert len(triggered(bench)) == 3, "available"
    bench.plug()
    bench.unplug()
    assert len(triggered(bench)) == 3, "nobody cares any more"


def test_the_next_running_cost_takes_the_triggers_place() -> None:
    bench = bench_of()
    bench.charging()
    cost(bench, trigger=c.MeterTrigger(energy_wh=2000.0))
    cost(bench)
    bench.run(HOUR_S)
    assert triggered(bench) == []
    assert bench.station.parts.costs.next_deadline_s() is None


def test_a_total_that_comes_with_the_answer_to_the_end_is_shown() -> None:
    """OCPP 2.0.1 I03."""
    bench = Bench(TWO, variables=SHOWN)
    bench.connect()
    answer = bench.csms.answer

    def with_total(call: Any, now: Any) -> Any:
        given = answer(call, now)
        over = isinstance(call, Notice) and any(isinstance(event, TransactionEnded) for event in call.events)
        return TransactionAnswer(total_cost=3.5) if over else given

    bench.csms.answer = with_total  # type: ignore[method-assign]
    bench.charging()
    bench.tap()
    assert display(bench) == e.ShowPrices(evse_id=1, about=PriceSubject.FINAL_COST, cost="3.50")


# Cars that stay


def unplugged(bench: Bench) -> list[r.ConnectorUnplugged]:
    return [call for call in bench.csms.calls if isinstance(call, r.ConnectorUnplugged)]


class Hearing(Bench):
    """Its CSMS hears of cars that leave."""

    def __init__(self, **options: Any) -> None:
        variables = {**SHOWN, IDLE_FEE_AFTER_STOP: "true"}
        super().__init__(variables=variables, **options)
        answer = self.csms.answer

        def heard(call: Any, now: Any) -> Any:
            if isinstance(call, r.ConnectorUnplugged):
                self.csms.calls.append(call)
                return r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED)
            return answer(call, now)

        self.csms.answer = heard  # type: ignore[method-assign]


def test_a_car_that_stayed_is_told_of_when_it_leaves() -> None:
    bench = Hearing()
    bench.charging()
    bench.tap()
    bench.run(HOUR_S)
    assert not unplugged(bench)
    bench.unplug()
    assert unplugged(bench) == [
        r.ConnectorUnplugged(transaction_id=str(bench.csms.last_transaction_id), at=bench.now.at)
    ]
    bench.run(HOUR_S)
    assert len(unplugged(bench)) == 1


def test_it_is_told_after_outage_and_power_cut_with_its_time() -> None:
    bench = Hearing()
    bench.charging()
    bench.disconnect()
    bench.tap()
    bench.unplug()
    left_at = bench.now.at
    bench.run(60)
    again = Hearing(journal=bench.journal, csms=bench.csms, now=bench.now, first_id=500)
    again.run(60)
    again.connect()
    again.run(60)
    assert [(call.at, call.transaction_id) for call in unplugged(again)] == [(left_at, "101")]
    third = Hearing(journal=bench.journal, csms=bench.csms, now=again.now, first_id=900)
    third.connect()
    third.run(120)
    assert len(unplugged(third)) == 1


def test_a_car_whose_leaving_ends_the_transaction_did_not_stay() -> None:
    bench = Hearing()
    bench.charging()
    bench.unplug()
    bench.run(60)
    assert bench.csms.told(TransactionEnded)
    assert not unplugged(bench)
