"""The bus: order, replay without gap or repetition, one holder per station.

Whatever carries the bus has to pass these: the bus of one process, NATS seen by one process, and NATS between two.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.csms.ports import DisconnectOrder, Order, Receipt
from forecourt.csms.records import Event
from tests.bus import buses
from tests.bus.buses import AnyBus, Log

NOW = datetime(2025, 6, 1, tzinfo=UTC)
ORDER = DisconnectOrder(reason="because")


def event(number: int, kind: str = "meter.sample", station_id: str = "CS1", organisation_id: int = 1) -> Event:
    return Event(
        id=number,
        organisation_id=organisation_id,
        type=kind,
        at=NOW,
        station_id=station_id,
        body=msgspec.Raw(b"{}"),
    )


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(params=buses.KINDS)
async def bus(log: Log, request: pytest.FixtureRequest) -> AsyncIterator[AnyBus]:
    async with buses.made(request.param, log, most_behind=20) as bus:
        yield bus


def tell(bus: AnyBus, log: Log, *events: Event) -> None:
    """As the store does: logged, then published."""
    log.events += [entry for entry in events if entry.id]
    bus.publish(events)


async def take(events: AsyncIterator[Event], count: int) -> list[int]:
    async with asyncio.timeout(10):
        return [(await anext(events)).id for _ in range(count)]


async def silent(events: AsyncIterator[Event]) -> bool:
    waiting: asyncio.Future[Event] = asyncio.ensure_future(anext(events))
    for _ in range(10):
        await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    return not done


async def test_everybody_who_listens_hears_everything_in_order(bus: AnyBus, log: Log) -> None:
    async with bus.subscribe(1) as one, bus.subscribe(None) as two:
        tell(bus, log, event(1), event(2))
        tell(bus, log, event(3))
        assert await take(one, 3) == [1, 2, 3]
        assert await take(two, 3) == [1, 2, 3]


async def test_who_asks_for_some_hears_only_those(bus: AnyBus, log: Log) -> None:
    async with (
        bus.subscribe(1, types=frozenset({"a"})) as by_type,
        bus.subscribe(1, station_id="CS2") as by_station,
        bus.subscribe(2) as by_organisation,
    ):
        tell(bus, log, event(1, "a"), event(2, "b", "CS2"), event(3, "b", "CS2", 2), event(4, "a", "CS2"))
        assert await take(by_type, 2) == [1, 4]
        assert await take(by_station, 2) == [2, 4]
        assert await take(by_organisation, 1) == [3]


async def test_replay_comes_first_and_passes_into_life(bus: AnyBus, log: Log) -> None:
    tell(bus, log, *(event(number) for number in range(1, 6)))
    async with bus.subscribe(1, after=2) as events:
        tell(bus, log, event(6))
        assert await take(events, 4) == [3, 4, 5, 6]
        tell(bus, log, event(7))
        assert await take(events, 1) == [7]
        assert await silent(events)


async def test_replay_is_filtered_as_life_is(bus: AnyBus, log: Log) -> None:
    tell(bus, log, event(1, "a"), event(2, "b"), event(3, "a"))
    async with bus.subscribe(1, after=0, types=frozenset({"a"})) as events:
        assert await take(events, 2) == [1, 3]
        assert await silent(events)


async def test_events_that_are_not_logged_reach_those_who_listen_now(bus: AnyBus, log: Log) -> None:
    async with bus.subscribe(1) as events:
        tell(bus, log, event(1), event(0), event(2), event(0))
        assert await take(events, 4) == [1, 0, 2, 0]


@pytest.mark.parametrize("after", [None, 0])
async def test_a_slow_listener_goes_on_from_the_log(bus: AnyBus, log: Log, after: int | None) -> None:
    async with bus.subscribe(1, after=after) as events:
        tell(bus, log, event(1))
        assert await take(events, 1) == [1]
        for number in range(2, 200):
            tell(bus, log, event(number))
        assert await take(events, 198) == list(range(2, 200))
        tell(bus, log, event(200))
        assert await take(events, 1) == [200]


async def test_a_listener_that_falls_behind_before_its_first_event_misses_none(bus: AnyBus, log: Log) -> None:
    tell(bus, log, event(1), event(2))
    async with bus.subscribe(1) as events:
        for number in range(3, 100):
            tell(bus, log, event(number))
        assert await take(events, 97) == list(range(3, 100))


BURSTS: dict[str, st.SearchStrategy[Any]] = {
    "before": st.integers(0, 30),
    "after": st.none() | st.integers(0, 30),
    "bursts": st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), max_size=6),
}


@pytest.mark.parametrize("kind", buses.KINDS)
def test_no_event_comes_twice_and_none_is_left_out(kind: str) -> None:
    buses.need(kind)
    examples = 50 if kind == "in process" else 8
    settings(max_examples=examples, deadline=None)(given(**BURSTS)(none_twice_none_left_out))(kind=kind)


def none_twice_none_left_out(kind: str, before: int, after: int | None, bursts: list[tuple[int, int]]) -> None:
    async def run() -> None:
        log = Log()
        async with buses.made(kind, log, most_behind=10) as bus:
            await tell_and_listen(bus, log)

    async def tell_and_listen(bus: AnyBus, log: Log) -> None:
        tell(bus, log, *(event(number + 1) for number in range(before)))
        last = before
        heard: list[int] = []
        async with bus.subscribe(1, after=after) as events:
            for told, listened in bursts:
                tell(bus, log, *(event(last + number + 1) for number in range(told)))
                last += told
                first = before if after is None else after
                due = max(0, last - first) - len(heard)
                heard += await take(events, min(listened, due))
            first = before if after is None else after
            heard += await take(events, max(0, last - first) - len(heard))
        assert heard == list(range(first + 1, last + 1))

    asyncio.run(run())


async def test_an_order_reaches_the_holder_and_nobody_else(bus: AnyBus) -> None:
    got: list[tuple[str, Order]] = []

    def holder(name: str, receipt: Receipt = Receipt.QUEUED) -> Callable[[Order], Receipt]:
        def take_order(order: Order) -> Receipt:
            got.append((name, order))
            return receipt

        return take_order

    assert await bus.deliver(1, ORDER) is Receipt.NO_HOLDER
    lease = bus.claim(1, holder("one"))
    bus.claim(2, holder("two", Receipt.FULL))
    assert await bus.deliver(1, ORDER) is Receipt.QUEUED
    assert await bus.deliver(2, ORDER) is Receipt.FULL
    assert got == [("one", ORDER), ("two", ORDER)]
    assert bus.held == 2
    lease.release()
    assert await bus.deliver(1, ORDER) is Receipt.NO_HOLDER


async def test_a_newer_claim_drives_out_the_older_and_stays_when_that_lets_go(bus: AnyBus) -> None:
    told: list[tuple[str, Order]] = []

    def holder(name: str) -> Callable[[Order], Receipt]:
        def take_order(order: Order) -> Receipt:
            told.append((name, order))
            return Receipt.QUEUED

        return take_order

    older = bus.claim(1, holder("older"))
    bus.claim(1, holder("newer"))
    assert [(name, type(order)) for name, order in told] == [("older", DisconnectOrder)]
    older.release()
    assert await bus.deliver(1, ORDER) is Receipt.QUEUED
    assert told[1:] == [("newer", ORDER)]
