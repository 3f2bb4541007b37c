"""Several processes on one set of books: who is alive, who leads, what becomes of the dead."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from forecourt.csms import commands, provisioning, published, stations
from forecourt.csms.command_records import CommandState
from forecourt.csms.membership import Membership
from forecourt.csms.ports import Books, CallOrder, Order, Receipt
from forecourt.csms.records import ConnectedStation
from forecourt.domain.requests import ClearCache
from forecourt.domain.station import RegistrationStatus
from tests.csms.worlds import World, world

DEAD_AFTER_S = 10.0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(world(tmp_path))


def process(house: World, name: str) -> Membership:
    return Membership(house.context, name, name, dead_after_s=DEAD_AFTER_S)


async def connect(house: World, station_id: str, membership: Membership) -> ConnectedStation:
    """A station whose socket that process holds."""
    at = house.clock.now().at

    def entered(books: Books) -> int:
        known = books.stations.by_identity(station_id)
        return (known or books.stations.add(1, station_id, RegistrationStatus.ACCEPTED, at)).number

    station = ConnectedStation(
        organisation_id=1,
        number=await house.context.store.write(entered),
        id=station_id,
        connection_id=membership.connection_id("c"),
        protocol="ocpp1.6",
    )
    await house.context.store.write(provisioning.connected(house.context, station))
    return station


async def is_connected(house: World, station_id: str) -> bool:
    return (await stations.get_station(house.context, station_id)).connected


async def test_the_first_leads_and_the_next_one_once_it_is_dead(house: World) -> None:
    one, two, three = (process(house, name) for name in ("one", "two", "three"))
    for each in (one, two, three):
        await each.enter()
    assert [each.leads for each in (one, two, three)] == [True, False, False]
    for _ in range(4):
        house.clock.seconds += 3
        assert await two.turn()
        assert await three.turn()
    assert (two.leads, three.leads) == (True, False)
    assert not one.leads, "who doesn't beat doesn't lead, even if it believes to be the first"
    assert not await one.turn(), "it is told"
    await one.enter()
    await two.leave()
    assert await three.turn()
    assert three.leads
    assert not one.leads


async def test_what_the_dead_held_is_ended_and_what_the_living_hold_is_not(house: World) -> None:
    one, two = process(house, "one"), process(house, "two")
    await one.enter()
    await two.enter()
    held = {name: await connect(house, name, one if name == "A" else two) for name in ("A", "B", "C")}

    def taken(_: Order) -> Receipt:
        return Receipt.QUEUED

    given = {}
    for name, station in held.items():
        house.bus.claim(station.number, taken)
        given[name] = await commands.issue(house.context, name, ClearCache(), timeout_s=1000.0)
    waiting = await commands.issue(house.context, "B", ClearCache(), timeout_s=1000.0)
    for command in given.values():
        await commands.sent(house.context, command, action="ClearCache", payload=b"{}", message_id="m")
    await connect(house, "C", one)  # it has come back to the other one
    house.told.clear()
    for _ in range(5):
        house.clock.seconds += 2.5
        assert await one.turn()
    assert [await is_connected(house, name) for name in ("A", "B", "C")] == [True, False, True]
    told = [event.station_id for event in house.told if event.type == published.STATION_DISCONNECTED]
    assert told == ["B"]
    states = {name: (await commands.get_command(house.context, each.id)).state for name, each in given.items()}
    assert states == {"A": CommandState.SENT, "B": CommandState.TIMEOUT, "C": CommandState.SENT}
    assert (await commands.get_command(house.context, waiting.id)).state is CommandState.TIMEOUT
    assert not await two.turn()


async def test_who_could_not_look_judges_nobody_by_that_while(house: World) -> None:
    one, two = process(house, "one"), process(house, "two")
    await one.enter()
    await two.enter()
    await connect(house, "B", two)
    await one.turn()
    house.clock.seconds += 1000  # the database was gone, for both
    assert await one.turn()
    assert await is_connected(house, "B")
    assert await two.turn()
    assert one.leads


async def test_stations_of_a_time_before_there_were_several_are_not_connected(house: World) -> None:
    lone = process(house, "lone")
    await connect(house, "A", lone)
    await process(house, "one").enter()
    assert not await is_connected(house, "A")


async def test_a_command_of_the_living_is_untouched_when_it_was_for_nobody(house: World) -> None:
    one = process(house, "one")
    await one.enter()
    await connect(house, "A", one)
    station = await stations.get_station(house.context, "A")
    got: list[Order] = []

    def holder(order: Order) -> Receipt:
        got.append(order)
        return Receipt.QUEUED

    house.bus.claim(station.number, holder)
    command = await commands.issue(house.context, "A", ClearCache())
    for _ in range(20):
        house.clock.seconds += 2
        assert await one.turn()
    assert (await commands.get_command(house.context, command.id)).state is CommandState.QUEUED
    assert isinstance(got[0], CallOrder)
