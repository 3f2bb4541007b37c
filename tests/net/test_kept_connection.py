"""Staying connected: when it tries again, what it tells, and how it ends. Waiting is injected, sockets are real."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.net.peers import House, Listen, Recorder, within

from forecourt.net.backoff import Backoff, BackoffPolicy
from forecourt.net.client import MAX_RETRY_AFTER_S, KeptConnection, connect
from forecourt.net.connection import ConnectFailed, Connection, HandshakeRefused
from forecourt.net.handshake import Admission, Refusal, UpgradeRequest
from forecourt.net.server import serve


class Naps:
    """Sleeps that end when the test says so."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self._wake = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self._wake.acquire()

    async def begun(self) -> float:
        """Wait for the next nap to begin; how long it would be."""
        return await within(self.asked.get())

    def end(self) -> None:
        self._wake.release()

    async def over(self) -> float:
        """End the next nap; how long it would have been."""
        seconds = await self.begun()
        self.end()
        return seconds


class Kept:
    """A kept connection to a house, and what it told."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.naps = Naps()
        self.ups: asyncio.Queue[Connection] = asyncio.Queue()
        self.downs: list[tuple[ConnectFailed | None, float]] = []
        policy = BackoffPolicy(wait_minimum_s=10, random_range_s=0, repeat_times=2)
        self.kept = KeptConnection(
            self.attempt,
            backoff=Backoff(policy, lambda: 0.5),
            up=self.ups.put_nowait,
            down=lambda failure, wait_s: self.downs.append((failure, wait_s)),
            sleep=self.naps.sleep,
        )
        self.task = asyncio.create_task(self.kept.run())

    async def attempt(self) -> Connection:
        return await connect(self.house.url(), subprotocols=("ocpp1.6",), receiver=Recorder)

    async def up(self) -> Connection:
        return await within(self.ups.get())


class Moody(House):
    """Admits as told."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Refusal | None = None

    async def admit(self, request: UpgradeRequest) -> Admission | Refusal:
        return self.answer or await super().admit(request)


@pytest.fixture
async def house() -> AsyncIterator[Moody]:
    house = Moody()
    await house.open()
    yield house
    await house.server.close(grace_s=0.5)


@pytest.fixture
async def kept(house: Moody) -> AsyncIterator[Kept]:
    kept = Kept(house)
    yield kept
    await kept.kept.stop()
    await within(kept.task)


async def test_connects_at_once(kept: Kept) -> None:
    connection = await kept.up()
    assert connection.is_open
    assert kept.kept.connection is connection
    assert kept.downs == []


async def test_a_lost_connection_is_replaced_after_the_minimum(kept: Kept) -> None:
    for _ in range(3):
        connection = await kept.up()
        (await kept.house.newest()).connection.close(1012)
        assert await kept.naps.over() == 10
        assert kept.kept.connection is not connection
    await kept.up()
    assert kept.downs == [(None, 10)] * 3


async def test_waits_grow_while_refused_and_begin_again_after_success(kept: Kept, house: Moody) -> None:
    await kept.up()
    house.answer = Refusal.unknown()
    (await house.newest()).connection.abort()
    assert [await kept.naps.over() for _ in range(4)] == [10, 20, 40, 40]
    assert await kept.naps.begun() == 40
    house.answer = None
    kept.naps.end()
    await kept.up()
    (await house.newest()).connection.abort()
    assert await kept.naps.over() == 10
    failures = [failure.status for failure, _ in kept.downs if isinstance(failure, HandshakeRefused)]
    assert failures == [404] * 4


@pytest.mark.parametrize(("asked_s", "wait_s"), [(3, 10), (500, 500), (10**9, MAX_RETRY_AFTER_S)])
async def test_retry_after_is_respected(house: Moody, asked_s: int, wait_s: float) -> None:
    house.answer = Refusal.later(asked_s)
    kept = Kept(house)
    assert await kept.naps.over() == wait_s
    await kept.kept.stop()
    await within(kept.task)


async def test_a_server_that_is_away_comes_back(listen: Listen) -> None:
    first = await listen()
    port = first.port
    kept = Kept(first)
    await kept.up()
    await first.server.close()
    await kept.naps.over()
    assert await kept.naps.begun() == 20
    second = House()
    second.server = await serve("127.0.0.1", port, admit=second.admit, subprotocols=("ocpp1.6",))
    kept.house = second
    kept.naps.end()
    await kept.up()
    assert isinstance(kept.downs[1][0], ConnectFailed)
    await kept.kept.stop()
    await within(kept.task)
    await second.server.close()


async def test_stop_while_connected(house: Moody) -> None:
    kept = Kept(house)
    await kept.up()
    await within(kept.kept.stop(1001, "off"))
    await within(kept.task)
    assert await (await house.newest()).farewell() == (1001, "off")
    assert kept.kept.connection is None
    assert kept.downs == []


async def test_stop_while_waiting(house: Moody) -> None:
    house.answer = Refusal.unknown()
    kept = Kept(house)
    await kept.naps.begun()
    await kept.kept.stop()
    await within(kept.task)
    assert len(kept.downs) == 1


async def test_stop_while_connecting(listen: Listen) -> None:
    asked = asyncio.Event()

    async def admit(request: UpgradeRequest) -> Admission:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    kept = Kept(await listen(admit=admit))
    await within(asked.wait())
    await kept.kept.stop()
    await within(kept.task)
    assert kept.ups.empty()


async def test_stop_at_the_instant_of_success(house: Moody) -> None:
    stops: list[asyncio.Task[None]] = []

    class Hasty(Kept):
        async def attempt(self) -> Connection:
            connection = await super().attempt()
            stops.append(asyncio.create_task(self.kept.stop()))
            return connection

    kept = Hasty(house)
    await within(kept.task)
    assert len(stops) == 1
    await within(stops[0])
    assert await (await house.newest()).farewell() == (1000, "")


async def test_cancelling_closes_the_connection(house: Moody) -> None:
    kept = Kept(house)
    await kept.up()
    kept.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await kept.task
    assert (await (await house.newest()).farewell())[0] == 1001


async def test_retry_now_ends_the_wait(house: Moody) -> None:
    house.answer = Refusal.unknown()
    kept = Kept(house)
    await kept.naps.begun()
    house.answer = None
    kept.kept.retry_now()
    await kept.up()
    await kept.kept.stop()
    await within(kept.task)


async def test_a_wrong_setting_ends_it_with_the_error() -> None:
    async def attempt() -> Connection:
        return await connect("http://x", subprotocols=(), receiver=Recorder)

    kept = KeptConnection(attempt, backoff=Backoff(BackoffPolicy(), lambda: 0.5))
    with pytest.raises(ValueError, match="http://x"):
        await kept.run()
