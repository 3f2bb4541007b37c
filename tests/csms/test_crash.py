"""The CSMS is killed, again and again, while stations charge: what it had answered is in the books, once."""

import asyncio
import json
import logging
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import websockets

from forecourt.csms import transactions
from forecourt.csms.records import TransactionState
from tests import databases
from tests.csms.victim import STATIONS
from tests.csms.worlds import START
from tests.csms.worlds import world as make_world

both = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
REPOSITORY = Path(__file__).parents[2]
log = logging.getLogger(__name__)


class ForeignStation:
    """Bare frames. Says everything until it is answered, as OCPP 1.6 §4.8 to §4.10 ask; notes what was answered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started: dict[int, int] = {}
        """Transaction ids by the number of the session."""
        self.metered: dict[int, list[int]] = {}
        self.ended: set[int] = set()
        self._session = 0
        self._steps = self._story()
        self._step: tuple[str, dict[str, Any]] | None = None
        self._sent = 0
        self.answered = 0

    def _story(self) -> Any:
        while True:
            number = self._session
            begin = START + timedelta(hours=number)
            start = {"connectorId": 1, "idTag": "CARD", "meterStart": 1000 * number, "timestamp": begin.isoformat()}
            answer = yield "StartTransaction", start
            self.started[number] = answer["transactionId"]
            self.metered[number] = []
            for minute in (1, 2, 3):
                sample = {"value": str(1000 * number + 100 * minute)}
                stamp = (begin + timedelta(minutes=minute)).isoformat()
                values = [{"timestamp": stamp, "sampledValue": [sample]}]
                transaction_id = self.started[number]
                yield "MeterValues", {"connectorId": 1, "transactionId": transaction_id, "meterValue": values}
                self.metered[number].append(minute)
            end = (begin + timedelta(minutes=5)).isoformat()
            yield (
                "StopTransaction",
                {
                    "transactionId": self.started[number],
                    "meterStop": 1000 * number + 500,
                    "timestamp": end,
                },
            )
            self.ended.add(number)
            self._session += 1

    async def charge(self, port: int) -> None:
        """Until the connection is lost."""
        with suppress(OSError, websockets.WebSocketException):
            url = f"ws://127.0.0.1:{port}/{self.name}"
            async with websockets.connect(url, subprotocols=[websockets.Subprotocol("ocpp1.6")]) as socket:
                if self._step is None:
                    self._step = next(self._steps)
                while True:
                    answer = await self._ask(socket, *self._step)
                    self._step = self._steps.send(answer)

    async def _ask(self, socket: websockets.ClientConnection, action: str, payload: dict[str, Any]) -> Any:
        self._sent += 1
        message_id = f"{self.name}-{self._sent}"
        await socket.send(json.dumps([2, message_id, action, payload]))
        while True:
            frame = json.loads(await socket.recv())
            if frame[0] == 2:
                await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            elif frame[1] == message_id:
                assert frame[0] == 3, frame
                self.answered += 1
                return frame[2]


class Victims:
    """CSMSs, one after the other, each a process of its own until it is killed."""

    def __init__(self, parent: asyncio.subprocess.Process) -> None:
        self._parent = parent
        self._victim = 0

    async def begin(self, database: str) -> None:
        """Another one, which may not listen yet."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(f"{database}\n".encode())
        self._victim = int(await self._line())

    async def port(self) -> int:
        """Where it listens, as soon as it does."""
        return int(await self._line())

    async def kill(self) -> None:
        """As a power cut would; nothing of it is left afterwards."""
        os.kill(self._victim, signal.SIGKILL)
        while (line := await self._line()).isdigit():
            """It had begun to listen."""
        assert line == f"over: {-signal.SIGKILL}"

    async def _line(self) -> str:
        assert self._parent.stdout is not None
        async with asyncio.timeout(60):
            return (await self._parent.stdout.readline()).decode().strip()


@asynccontextmanager
async def victims() -> AsyncIterator[Victims]:
    """What makes them; over with the last of them on the way out."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.csms.victim"),
        cwd=REPOSITORY,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Victims(parent)
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        await parent.communicate()


async def kill_often(folder: Path, kind: str, times: int) -> None:
    """Under load mostly; every fifth one at any instant of its start, when it makes up for what the last one left."""
    chance = random.Random(16)
    fleet = [ForeignStation(f"CS{number}") for number in range(STATIONS)]
    database = databases.url(folder / "csms.db", kind)
    start_s = 0.0
    async with victims() as csms:
        for number in range(times):
            begun = time.monotonic()
            await csms.begin(database)
            if number % 5 == 4:
                await asyncio.sleep(chance.uniform(0.0, start_s))
                await csms.kill()
                continue
            port = await csms.port()
            start_s = time.monotonic() - begun
            charging = [asyncio.create_task(station.charge(port)) for station in fleet]
            enough = sum(station.answered for station in fleet) + chance.randint(60, 300)
            while sum(station.answered for station in fleet) < enough:  # noqa: ASYNC110 - they tell nobody
                await asyncio.sleep(0.002)
            await csms.kill()
            await asyncio.wait_for(asyncio.gather(*charging), 30)
            took_s = time.monotonic() - begun
            log.info("kill %d after %.2f s, %.2f s of them to start, %d answers", number + 1, took_s, start_s, enough)
    await check(folder, kind, fleet)


async def check(folder: Path, kind: str, fleet: list[ForeignStation]) -> None:
    assert sum(len(station.ended) for station in fleet) > 0
    async with make_world(folder, kind=kind) as world:
        unfinished = await world.store.read(lambda books: books.commands.unfinished())
        assert unfinished == [], "no command is left without a final state"
        for station in fleet:
            page = await transactions.list_transactions(world.context, station_id=station.name, limit=100_000)
            found = {entry.number: entry for entry in page.items}
            begun = [entry.started_at for entry in found.values()]
            assert len(begun) == len(set(begun)), "no transaction is there twice"
            assert len(found) <= len(station.started) + 1, "at most one start was taken in and not answered"
            assert not any(entry.orphan for entry in found.values())
            assert len(set(station.started.values())) == len(station.started), "no id was given twice"
            for session, number in station.started.items():
                entry = found[number]
                assert entry.started_at == START + timedelta(hours=session)
                readings = await transactions.list_meter_values(world.context, number)
                minutes = [round((reading.at - entry.started_at).total_seconds() / 60) for reading in readings]
                assert len(minutes) == len(set(minutes)), "no reading is there twice"
                assert set(station.metered[session]) <= set(minutes), "every answered reading is there"
                if session in station.ended:
                    assert entry.state is TransactionState.ENDED
                    assert entry.energy_wh == 500.0


@both
async def test_what_was_answered_is_in_the_books_once(tmp_path: Path, kind: str) -> None:
    await kill_often(tmp_path, kind, 6)


@both
@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_what_was_answered_is_in_the_books_once_after_two_hundred_kills(tmp_path: Path, kind: str) -> None:
    await kill_often(tmp_path, kind, 200)
