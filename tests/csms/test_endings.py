"""Transactions whose end never comes: closed by rule, in sight, held for an operator; and what a late end changes."""

import msgspec
import pytest

from forecourt.csms import authorization, cdrs, endings, stations, transactions
from forecourt.csms.billing import Biller
from forecourt.csms.money_records import SessionState
from forecourt.csms.money_settings import MoneySettings
from forecourt.csms.records import ConnectedStation, Transaction, TransactionState
from forecourt.domain.events import MeterSampled, TransactionEnded, TransactionStarted
from tests.csms.test_billing import tariff
from tests.csms.test_transactions import ended, start, started
from tests.csms.worlds import END, World, at, register


async def two_on_one_connector(world: World, *, first_is_metered: bool = True) -> tuple[ConnectedStation, str, str]:
    """The first never ended."""
    await tariff(world)
    await authorization.put_token(world.context, "Card1", authorization.TokenFields())
    station = await world.station()
    begun = started() if first_is_metered else msgspec.structs.replace(started(), meter_values=())
    first = await start(world, station, begun)
    if first_is_metered:
        await world.tell(station, MeterSampled(evse_id=1, transaction_id=first, meter_values=(register(60, 1010.0),)))
    world.told.clear()
    return station, first, await start(world, station, started(600, 1500.0))


async def get(world: World, transaction_id: str) -> Transaction:
    return await transactions.get_transaction(world.context, int(transaction_id))


async def session_state(world: World, transaction_id: str) -> tuple[SessionState, str | None]:
    session = (await cdrs.get_session(world.context, int(transaction_id))).session
    return session.state, session.held_because


async def test_a_second_start_closes_the_first_at_its_last_reading_and_says_so(world: World) -> None:
    _, first, second = await two_on_one_connector(world)
    closed, running = await get(world, first), await get(world, second)
    assert (closed.state, closed.ended_at, closed.energy_wh) == (TransactionState.CLOSED, at(60), 10.0)
    assert closed.stopped_reason is None
    assert closed.suspect == f"its end never came: transaction {second} began there at {at(600).isoformat()}"
    assert (running.state, running.suspect) == (TransactionState.ACTIVE, None)
    assert world.types().count("transaction.ended") == 1
    (connector,) = [one for one in await stations.list_connectors(world.context, "CS1") if one.evse_id == 1]
    assert connector.transaction_number == int(second)
    world.clock.seconds = 700
    await Biller(world.context).turn()
    assert await session_state(world, first) == (SessionState.HELD, closed.suspect)
    assert (await session_state(world, second))[0] is SessionState.ACTIVE


async def test_the_first_without_a_reading_ends_where_the_second_begins(world: World) -> None:
    _, first, _ = await two_on_one_connector(world, first_is_metered=False)
    closed = await get(world, first)
    assert (closed.state, closed.ended_at) == (TransactionState.CLOSED, at(600))


async def test_the_lost_end_counts_when_it_comes_and_is_billed(world: World) -> None:
    station, first, second = await two_on_one_connector(world)
    world.clock.seconds = 700
    await Biller(world.context).turn()
    await world.tell(station, ended(first, 500, 1400.0))
    late = await get(world, first)
    assert (late.state, late.suspect, late.energy_wh) == (TransactionState.ENDED, None, 400.0)
    await Biller(world.context).turn()
    assert (await session_state(world, first))[0] is SessionState.COMPLETED
    assert (await get(world, second)).state is TransactionState.ACTIVE


async def test_an_operator_bills_what_was_closed_by_rule(world: World) -> None:
    _, first, _ = await two_on_one_connector(world)
    world.clock.seconds = 700
    await Biller(world.context).turn()
    await cdrs.release_session(world.context, int(first), cdrs.Release(reason="as the meter says"), "somebody")
    await Biller(world.context).turn()
    assert (await session_state(world, first))[0] is SessionState.COMPLETED


async def test_one_told_afterwards_of_a_time_before_closes_nothing(world: World) -> None:
    station = await world.station()
    running = await start(world, station, started(600, 1500.0))
    before = await start(world, station, started(0, 1000.0))
    assert (await get(world, running)).state is TransactionState.ACTIVE
    await world.tell(station, ended(before, 500, 1400.0))
    assert (await get(world, before)).energy_wh == 400.0
    assert (await get(world, running)).state is TransactionState.ACTIVE


async def test_a_repeated_start_and_other_evses_close_nothing(world: World) -> None:
    station = await world.station()
    first = await start(world, station, started())
    other = await start(world, station, msgspec.structs.replace(started(60), evse_id=2))
    assert await start(world, station, started()) == first
    assert (await get(world, first)).state is (await get(world, other)).state is TransactionState.ACTIVE


async def test_the_same_where_stations_make_their_own_ids(world: World) -> None:
    station = await world.station(issued=False)
    await start(world, station, started(transaction_id="a"))
    await start(world, station, started(600, 1500.0, "b"))
    later, earlier = (await transactions.list_transactions(world.context)).items
    assert (earlier.transaction_id, earlier.state) == ("a", TransactionState.CLOSED)
    assert (later.transaction_id, later.state) == ("b", TransactionState.ACTIVE)


async def test_an_end_before_the_begin_is_kept_and_held(world: World) -> None:
    await tariff(world)
    station = await world.station()
    first = await start(world, station, started(3600))
    await world.tell(
        station, TransactionEnded(transaction_id=first, at=at(0), meter_values=(register(0, 2000.0, END),))
    )
    over = await get(world, first)
    assert (over.state, over.started_at, over.ended_at) == (TransactionState.ENDED, at(3600), at(0))
    world.clock.seconds = 3600
    await Biller(world.context).turn()
    assert await session_state(world, first) == (SessionState.HELD, "it ends before it begins")


async def test_one_that_nobody_speaks_of_is_closed_after_its_time(world: World) -> None:
    await tariff(world)
    station = await world.station()
    quiet = await start(world, station, started())
    spoken_of = await start(world, station, TransactionStarted(transaction_id=None, evse_id=2, at=at(0)))
    week = 7 * 86_400.0
    world.clock.seconds = week - 60
    assert await endings.close_stale(world.context) == 0
    reading = register(world.clock.seconds, 2000.0)
    await world.tell(station, MeterSampled(evse_id=2, transaction_id=spoken_of, meter_values=(reading,)))
    world.clock.seconds = week + 60
    world.told.clear()
    assert await endings.close_stale(world.context) == 1
    assert await endings.close_stale(world.context) == 0
    closed = await get(world, quiet)
    assert closed.state is TransactionState.CLOSED
    assert closed.suspect == f"its end never came: nothing was heard of it since {at(0).isoformat()}"
    assert world.types().count("transaction.ended") == 1
    assert (await get(world, spoken_of)).state is TransactionState.ACTIVE


@pytest.mark.parametrize("longest_s", [None])
async def test_the_rule_can_be_switched_off(world: World, longest_s: float | None) -> None:
    station = await world.station()
    await start(world, station, started())
    world.clock.seconds = 1e8
    settings = msgspec.structs.replace(world.context.settings, money=MoneySettings(stale_transaction_s=longest_s))
    assert await endings.close_stale(msgspec.structs.replace(world.context, settings=settings)) == 0
