"""What NATS may do to the bus: be gone, come back, lose, repeat, reorder, refuse what is too large."""

import asyncio
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from forecourt.bus.nats import GAP_S, NatsBus
from forecourt.csms.command_records import Command, CommandOrigin
from forecourt.csms.ports import CallOrder, DisconnectOrder, Order, Receipt
from forecourt.csms.records import Event
from tests.bus import buses
from tests.bus.buses import Log
from tests.bus.test_bus import event, take, tell
from tests.end_to_end.processes import free_port

ORDER = DisconnectOrder(reason="because")


@asynccontextmanager
async def two(log: Log, url: str) -> AsyncIterator[tuple[NatsBus, NatsBus]]:
    prefix = f"test-{uuid.uuid4().hex}"
    one, other = (NatsBus(log.read, log.newest, prefix=prefix) for _ in range(2))
    await one.start([url])
    await other.start([url])
    try:
        yield one, other
    finally:
        await one.stop()
        await other.stop()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[NatsBus, NatsBus, Log]]:
    buses.need("NATS")
    log = Log()
    async with two(log, buses.server()) as (one, other):
        yield one, other, log


async def test_what_was_lost_on_the_way_comes_from_the_log(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    one, other, log = pair
    async with other.subscribe(None) as events:
        log.events += [event(1), event(2)]  # committed by somebody who was killed before telling
        tell(one, log, event(3))
        assert await take(events, 3) == [1, 2, 3]
        log.events.append(event(4))  # and nothing after it
        assert await take(events, 1) == [4]


async def test_what_comes_early_waits_and_what_comes_again_is_dropped(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    one, other, log = pair
    async with other.subscribe(None) as events, one.subscribe(None) as here:
        log.events += [event(number) for number in range(1, 7)]
        one.publish([event(2), event(3)])
        one.publish([event(1)])
        one.publish([event(2)])
        one.publish([event(6)])
        one.publish([event(4), event(5)])
        assert await take(events, 6) == [1, 2, 3, 4, 5, 6]
        assert await take(here, 6) == [1, 2, 3, 4, 5, 6]


async def test_what_was_on_its_way_is_not_looked_up(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    one, other, log = pair
    reads: list[int] = []

    async def counted(after: int, limit: int) -> Sequence[Event]:
        reads.append(after)
        return await log.read(after, limit)

    one._read_log = counted
    async with one.subscribe(None) as events:
        log.events += [event(1), event(2)]
        one.publish([event(2)])  # our commit was the later one, and we are heard first
        other.publish([event(1)])
        assert await take(events, 2) == [1, 2]
        await asyncio.sleep(2 * GAP_S)
        assert reads == []


async def test_a_number_that_was_never_used_holds_up_nothing(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    one, other, log = pair
    async with other.subscribe(None) as events:
        tell(one, log, event(1), event(3), event(4))
        assert await take(events, 3) == [1, 3, 4]


async def test_an_event_that_is_too_large_arrives_all_the_same(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    one, other, log = pair
    large = msgspec.structs.replace(event(2), body=msgspec.Raw(b'"' + b"x" * 1_100_000 + b'"'))
    async with other.subscribe(None) as events:
        tell(one, log, event(1), large, event(3))
        async with asyncio.timeout(10):
            found: list[Event] = [await anext(events) for _ in range(3)]
    assert [len(one.body) for one in found] == [2, 1_100_002, 2]


async def test_who_starts_later_begins_where_the_log_is(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    _, _, log = pair
    log.events += [event(number) for number in range(1, 50)]
    async with two(log, buses.server()) as (late, _):
        assert late.position == 49
        async with late.subscribe(None, after=47) as events:
            assert await take(events, 2) == [48, 49]


async def test_a_command_arrives_as_it_was(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    one, other, _ = pair
    command = Command(
        id="c",
        organisation_id=1,
        station_number=7,
        station_id="CS1",
        origin=CommandOrigin.API,
        name="Dance",
        raw=True,
        request=b'{"a":"\\u00e9"}',
        timeout_s=30.0,
        created_at=datetime(2025, 6, 1, 12, 0, 0, 1, tzinfo=UTC),
    )
    got: list[Order] = []

    def holder(order: Order) -> Receipt:
        got.append(order)
        return Receipt.QUEUED

    lease = other.claim(7, holder)
    await other.settled()
    assert await one.deliver(7, CallOrder(command=command)) is Receipt.QUEUED
    assert got == [CallOrder(command=command)]
    large = msgspec.structs.replace(command, request=b"x" * 1_100_000)
    assert await one.deliver(7, CallOrder(command=large)) is Receipt.FULL
    lease.release()
    await other.settled()
    assert await one.deliver(7, ORDER) is Receipt.NO_HOLDER


async def test_an_order_goes_to_one_of_two_holders(pair: tuple[NatsBus, NatsBus, Log]) -> None:
    one, other, log = pair
    got: list[str] = []

    def first(order: Order) -> Receipt:
        got.append("first")
        return Receipt.QUEUED

    def second(order: Order) -> Receipt:
        got.append("second")
        return Receipt.QUEUED

    asking = NatsBus(log.read, log.newest, prefix=one._prefix)
    await asking.start([buses.server()])
    one.claim(1, first)
    other.claim(1, second)
    await one.settled()
    await other.settled()
    for _ in range(10):
        assert await asking.deliver(1, ORDER) is Receipt.QUEUED
    assert len(got) == 10
    await asking.stop()


async def test_nats_is_killed_and_comes_back() -> None:
    program = shutil.which("nats-server")
    if program is None:
        buses.need("NATS")
        pytest.skip("nats-server is not installed")
    port = free_port()
    arguments = [program, "-a", "127.0.0.1", "-p", str(port)]
    running = _run(arguments)
    log = Log()
    try:
        await _reachable(port)
        async with two(log, f"nats://127.0.0.1:{port}") as (one, other), other.subscribe(None) as events:
            other.claim(1, lambda _: Receipt.QUEUED)
            await other.settled()
            assert await one.deliver(1, ORDER) is Receipt.QUEUED
            running.kill()
            running.wait()
            async with asyncio.timeout(10):
                while any(bus.connected for bus in (one, other)):  # noqa: ASYNC110 - of a library
                    await asyncio.sleep(0.01)
            assert await one.deliver(1, ORDER) is Receipt.NO_HOLDER
            other.claim(2, lambda _: Receipt.FULL)
            tell(one, log, event(1), event(2))
            assert await take(events, 2) == [1, 2]
            running = _run(arguments)
            async with asyncio.timeout(20):
                while not all(bus.connected for bus in (one, other)):  # noqa: ASYNC110 - of a library
                    await asyncio.sleep(0.01)
            tell(one, log, event(3))
            assert await take(events, 1) == [3]
            await other.settled()
            assert await one.deliver(1, ORDER) is Receipt.QUEUED
            assert await one.deliver(2, ORDER) is Receipt.FULL
    finally:
        running.kill()
        running.wait()


def _run(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(arguments, stderr=subprocess.DEVNULL)


async def _reachable(port: int) -> None:
    async with asyncio.timeout(20):
        while not buses._answers("127.0.0.1", port):  # noqa: ASYNC110 - of a process
            await asyncio.sleep(0.02)


async def test_without_a_server_it_says_so() -> None:
    log = Log()
    with pytest.raises(OSError, match=r"bus: no NATS server answers at 127\.0\.0\.1:1$"):
        await NatsBus(log.read, log.newest).start(["nats://user:secret@127.0.0.1:1"], patience_s=0.3)
