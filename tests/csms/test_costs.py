"""What stations are told of costs: by the tariff, at the right moments, and only those that show them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from forecourt.csms import commands, costs, router
from forecourt.csms.billing import Biller
from forecourt.csms.command_records import CommandState
from forecourt.csms.money_settings import MoneySettings
from forecourt.csms.ports import Books
from forecourt.csms.pricing import Segment, Usage, in_force, next_change
from forecourt.csms.records import ConnectedStation
from forecourt.csms.settings import CsmsSettings
from forecourt.csms.tariff_terms import (
    PriceComponent,
    TariffDimension,
    TariffElement,
    TariffRestrictions,
    TariffTerms,
)
from forecourt.domain import requests as r
from forecourt.domain.cost import CostState
from forecourt.domain.events import MeterSampled, TransactionAnswer, TransactionEnded
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.variable import VariableReading
from tests.csms.test_billing import begin, end, tariff, terms
from tests.csms.worlds import END, START, World, at, register, world

UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
async def shown(tmp_path: Path) -> AsyncIterator[World]:
    settings = CsmsSettings(money=MoneySettings(show_costs=True, running_cost_interval_s=1.0))
    async with world(tmp_path, settings) as made:
        yield made


async def shows(world: World, station: ConnectedStation, value: str = "true") -> None:
    reading = VariableReading(costs.SWITCHES[0], value=value)
    connected = {"connected": True}
    await world.store.write(lambda books: books.stations.set_connection(station.number, "c1", **connected))
    await world.store.write(lambda books: books.stations.set_reported(station.number, [reading], START))


async def told(world: World) -> list[Any]:
    page = await commands.list_commands(world.context)
    return [commands.request_of(command) for command in reversed(page.items)]


async def test_a_booted_station_is_asked_whether_it_shows_costs(shown: World) -> None:
    station = await shown.station()
    await costs.booted(shown.context, station)
    assert await told(shown) == [r.GetVariables(refs=costs.SWITCHES[:1])]
    silent = msgspec.structs.replace(shown.context, settings=CsmsSettings())
    await costs.booted(silent, station)
    assert len(await told(shown)) == 1, "unless somebody wants it, nobody is asked"


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (AuthorizationStatus.ACCEPTED, "true", 1),
        (AuthorizationStatus.BLOCKED, "true", 0),
        (AuthorizationStatus.ACCEPTED, "false", 0),
    ],
)
async def test_whoever_may_charge_is_shown_the_price(
    shown: World, status: AuthorizationStatus, value: str, expected: int
) -> None:
    await tariff(shown, alt_text="0.50 EUR per kWh")
    station = await shown.station()
    await shows(shown, station, value)
    answer = r.AuthorizeAnswer(id_token_info=IdTokenInfo(status=status))
    await costs.authorized(shown.context, station, r.Authorize(id_token=IdToken("CARD1")), answer)
    said = await told(shown)
    assert len(said) == expected
    if expected:
        assert said[0].id_token == IdToken("CARD1")
        assert [text.text for text in said[0].texts] == ["0.50 EUR per kWh"]


async def test_costs_so_far_and_at_the_end(shown: World) -> None:
    await tariff(shown)
    station = await shown.station()
    await shows(shown, station)
    transaction_id = await begin(shown, station)
    biller = Biller(shown.context)
    shown.clock.seconds = 1800
    values = (register(1800, 6000),)
    await shown.tell(station, MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=values))
    await biller.turn()
    (cost,) = await told(shown)
    assert (cost.transaction_id, cost.register_wh, cost.state) == (transaction_id, 6000.0, CostState.CHARGING)
    assert cost.total_cost == pytest.approx(5 * 0.5 * 1.19, abs=0.01)
    assert cost.charging_price.kwh_price == pytest.approx(0.595)
    assert cost.idle_price.hour_price == pytest.approx(7.14)
    assert cost.next_period is None
    assert len(cost.trigger.charging_states) == 2
    await end(shown, station, transaction_id, 3600, 11_000)
    shown.clock.seconds = 3700
    await biller.turn()
    final = (await told(shown))[-1]
    assert isinstance(final, r.ShowFinalCost)
    assert final.total_cost == pytest.approx(5.95)
    assert final.texts[0].text == "10.000 kWh, 1:00 h: 5.95 EUR"
    before = len(await told(shown))
    await biller.turn()
    assert len(await told(shown)) == before, "once"
    page = await commands.list_commands(shown.context)
    assert {command.state for command in page.items} == {CommandState.OFFLINE}, "it is a display: nobody insists"


def disconnect(number: int, books: Books) -> None:
    books.stations.set_connection(number, None, connected=False)


async def test_no_station_is_told_that_shows_none_or_is_away(shown: World) -> None:
    await tariff(shown)
    for number, (value, connected) in enumerate([("false", True), ("true", False)]):
        station = await shown.station(f"CS{number}")
        await shows(shown, station, value)
        if not connected:
            await shown.store.write(partial(disconnect, station.number))
        transaction_id = await begin(shown, station, seconds=number)
        await end(shown, station, transaction_id, 3600 + number, 11_000)
    shown.clock.seconds = 7200
    await Biller(shown.context).turn()
    assert await told(shown) == []


async def test_where_there_is_no_message_for_it_the_total_goes_with_the_answer(shown: World) -> None:
    """OCPP 2.0.1 I03."""
    await tariff(shown)
    station = await shown.station(issued=False)
    await shows(shown, station)
    transaction_id = await begin(shown, station)
    shown.clock.seconds = 3700
    values = (register(3600, 11_000, END),)
    ended = TransactionEnded(transaction_id=transaction_id, at=at(3600), meter_values=values)
    answer = await shown.tell(station, ended)
    assert isinstance(answer, TransactionAnswer)
    assert answer.total_cost == pytest.approx(5.95)
    info = IdTokenInfo(status=AuthorizationStatus.ACCEPTED)
    request = r.Authorize(id_token=IdToken("CARD1"))
    await costs.authorized(shown.context, station, request, r.AuthorizeAnswer(id_token_info=info))
    assert await told(shown) == [], "nothing that can't be said"


async def test_a_car_that_left_is_told_to_who_listens(shown: World) -> None:
    station = await shown.station()
    transaction_id = await begin(shown, station)
    gone = r.ConnectorUnplugged(transaction_id=transaction_id, at=at(10))
    answer = await router.take(shown.context, station, gone)
    assert answer == r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED)
    assert "connector.unplugged" in shown.types()
    nobody = r.ConnectorUnplugged(transaction_id="99999", at=at(10))
    assert (await router.take(shown.context, station, nobody)).outcome is r.RequestStatus.REJECTED  # type: ignore[union-attr]


def usage_until(hour: int) -> Usage:
    start, end_at = START.replace(hour=0), START.replace(hour=hour)
    return Usage(start, end_at, (Segment(start, end_at, Fraction(5000), True),))


def by_clock() -> TariffTerms:
    def element(price: str, **limits: Any) -> TariffElement:
        component = PriceComponent(type=TariffDimension.ENERGY, price=Decimal(price))
        return TariffElement(
            price_components=(component,), restrictions=TariffRestrictions(**limits) if limits else None
        )

    night = element("0.20", start_time="20:00", end_time="06:00")
    return TariffTerms(currency="EUR", elements=(night, element("0.50")))


@pytest.mark.parametrize(("hour", "now", "change_hour", "later"), [(8, "0.50", 20, "0.20"), (21, "0.20", 30, "0.50")])
def test_the_next_price_by_the_clock(hour: int, now: str, change_hour: int, later: str) -> None:
    usage = usage_until(hour)
    prices, charging = in_force(by_clock(), usage, UTC_ZONE)
    assert charging
    assert str(prices[TariffDimension.ENERGY].price) == now
    change = next_change(by_clock(), usage, UTC_ZONE, until=usage.end + timedelta(days=1))
    assert change is not None
    at_, then = change
    assert at_ == START.replace(hour=0) + timedelta(hours=change_hour)
    assert str(then[TariffDimension.ENERGY].price) == later


def test_a_price_that_never_changes_has_no_next() -> None:
    usage = usage_until(8)
    assert next_change(terms(), usage, UTC_ZONE, until=usage.end + timedelta(days=1)) is None
