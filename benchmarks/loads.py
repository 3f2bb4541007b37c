"""Servers to be measured, each in a process of its own, and the load that keeps them busy.

A load is a number of picows clients, each with one call open at a time: as soon as one is answered the next is sent, so
that the server is busy all the time. What is measured is the server process's own processor time for each call, which
other work on the machine hardly changes; the load's is shown beside it.
"""

import asyncio
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import picows
import psycopg

from forecourt.bus.in_process import InProcessBus
from forecourt.csms import router
from forecourt.csms.ports import Context
from forecourt.csms.records import Station
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.dialect import DIALECTS
from forecourt.domain.events import (
    Acknowledged,
    BootAnswer,
    Notice,
    StationBooted,
    TransactionAnswer,
    TransactionStarted,
)
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.token import AuthorizationStatus, IdTokenInfo
from forecourt.net.clock import RealClock
from forecourt.net.csms_session import CsmsServer
from forecourt.net.loop import collect_seldom, run
from forecourt.store.sql import open_store

PEERS = Path(__file__).parent / "peers"
PROTOCOL = "ocpp1.6"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
POSTGRESQL = os.environ.get("FORECOURT_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
METER_VALUES = (
    b'MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":"%b","sampledValue":['
    b'{"value":"%d","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"},'
    b'{"value":"7360.0","context":"Sample.Periodic","measurand":"Power.Active.Import","unit":"W"}]}]}]'
)
BOOT = b'BootNotification",{"chargePointVendor":"Vendor","chargePointModel":"Model"}]'
START = b'StartTransaction",{"connectorId":1,"idTag":"CARD","meterStart":0,"timestamp":"%b"}]'


# Servers. Each says its port on its standard output, then serves until it is killed.


def serve_echo() -> None:
    """The floor: picows on the same loop, every frame goes back as it is."""

    class Echo(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type == picows.WSMsgType.TEXT:
                transport.send(picows.WSMsgType.TEXT, frame.get_payload_as_bytes())

    def accept(_: picows.WSUpgradeRequest) -> Any:
        response = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": PROTOCOL})
        return picows.WSUpgradeResponseWithListener(response, Echo())

    async def work() -> None:
        listening = await picows.ws_create_server(accept, "127.0.0.1", 0, backlog=4096, read_buffer_init_size=4096)
        print(listening.sockets[0].getsockname()[1], flush=True)
        await listening.serve_forever()

    run(work())


class Forgetting:
    """Books that keep nothing: who asks for a station finds it, and each message is answered at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.stations = self

    def write(self, unit: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        return self._done(unit(self))

    def submit(
        self, unit: Callable[[Any], Any], done: Callable[[Any, BaseException | None], None], _station: int | None = None
    ) -> None:
        done(unit(self), None)

    def read(self, query: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        return self._done(query(self))

    def _done(self, result: Any) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = self._loop.create_future()
        future.set_result(result)
        return future

    def _station(self, station_id: str) -> Station:
        registration = RegistrationStatus.ACCEPTED
        number = int(station_id[1:]) + 1
        return Station(number=number, id=station_id, organisation_id=1, registration=registration, created_at=EPOCH)

    def at_the_door(self, station_ids: Iterable[str]) -> dict[str, tuple[Station, None]]:
        return {station_id: (self._station(station_id), None) for station_id in station_ids}

    def __getattr__(self, _name: str) -> "Empty":
        return Empty()


class Empty:
    """Whatever is asked of it, it has nothing."""

    def __getattr__(self, _name: str) -> "Empty":
        return self

    def __call__(self, *_: Any, **__: Any) -> "Empty":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __radd__(self, number: Any) -> Any:
        return number


def answer_at_once(_context: Any, _station: Any, call: Any, _at: Any) -> Callable[[Any], Any]:
    """What `router.Taking` does, less the books: the message is decoded, checked and translated, and answered."""
    answer: Any = Acknowledged()
    if isinstance(call, Notice) and call.events:
        match call.events[0]:
            case StationBooted():
                answer = BootAnswer(registration=RegistrationStatus.ACCEPTED, now=datetime.now(UTC), interval_s=300)
            case TransactionStarted():
                accepted = IdTokenInfo(status=AuthorizationStatus.ACCEPTED)
                answer = TransactionAnswer(id_token_info=accepted, transaction_id="1")
    return lambda _books: answer


def serve_ours(database: str | None) -> None:
    """Our CSMS: on a database, or with a store that keeps nothing."""

    async def work() -> None:
        settings = CsmsSettings(
            unknown_stations=UnknownStationPolicy.ACCEPT,
            unknown_tokens=UnknownTokenPolicy.ACCEPT,
            unsolicited_calls=False,
            keep_messages=False,
        )

        async def read_log(_after: int, _limit: int) -> list[Any]:
            return []

        bus = InProcessBus(read_log)
        store: Any
        if database is None:
            store = Forgetting()
            router.Taking = answer_at_once
        else:
            store = await open_store(database, publish=bus.publish, unlogged=settings.unlogged_events)
        context = Context(store=store, bus=bus, clock=RealClock(), new_id=lambda: str(uuid.uuid4()), settings=settings)
        server = CsmsServer(context, {dialect.subprotocol: dialect for dialect in DIALECTS})
        await server.start(port=0)
        collect_seldom()
        print(server.port, flush=True)
        await asyncio.Event().wait()

    run(work())


def serve_ocpp() -> None:
    """The central system of the `ocpp` package's README, with an answer to each message of the load."""
    import logging  # noqa: PLC0415
    from contextlib import suppress  # noqa: PLC0415

    import websockets  # noqa: PLC0415
    from ocpp.routing import on  # noqa: PLC0415
    from ocpp.v16 import ChargePoint, call_result  # noqa: PLC0415
    from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus  # noqa: PLC0415

    logging.disable(logging.CRITICAL)

    class Central(ChargePoint):  # type: ignore[misc]
        @on(Action.boot_notification)
        def booted(self, **_: Any) -> Any:
            now = datetime.now(UTC).isoformat()
            return call_result.BootNotification(current_time=now, interval=300, status=RegistrationStatus.accepted)

        @on(Action.start_transaction)
        def started(self, **_: Any) -> Any:
            return call_result.StartTransaction(transaction_id=1, id_tag_info={"status": AuthorizationStatus.accepted})

        @on(Action.meter_values)
        def metered(self, **_: Any) -> Any:
            return call_result.MeterValues()

    async def serve(socket: Any) -> None:
        with suppress(websockets.ConnectionClosed):
            await Central(socket.request.path.strip("/"), socket).start()

    async def work() -> None:
        subprotocols = [websockets.Subprotocol(PROTOCOL)]
        async with websockets.serve(serve, "127.0.0.1", 0, subprotocols=subprotocols) as listening:
            print(next(iter(listening.sockets)).getsockname()[1], flush=True)
            await asyncio.Event().wait()

    asyncio.run(work())


# Running them


class Cost(NamedTuple):
    """What a load has cost."""

    calls: int
    seconds: float
    server_s: float
    """Processor time of the server process, all threads, user and system."""
    load_s: float

    @property
    def each_s(self) -> float:
        """Of the server, for one call."""
        return self.server_s / self.calls

    @property
    def load_utilisation(self) -> float:
        """Part of one core that the load took: near 1 it was the load that was measured."""
        return self.load_s / self.seconds


def processor_s(pid: int) -> float:
    """Processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> int:
    """What a process has in memory (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(kind: str) -> Iterator[tuple[int, int]]:
    """Port and process id of a server of this kind."""
    with tempfile.TemporaryDirectory() as folder, _command(kind, Path(folder)) as command:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@contextmanager
def _command(kind: str, folder: Path) -> Iterator[list[str]]:
    ourselves = [sys.executable, __file__]
    match kind:
        case "sqlite":
            yield [*ourselves, "csms", f"sqlite:///{folder}/csms.sqlite"]
        case "postgresql":
            name = f"forecourt_benchmark_{os.getpid()}"
            with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
                try:
                    yield [*ourselves, "csms", f"{POSTGRESQL.rpartition('/')[0]}/{name}"]
                finally:
                    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
        case "ocpp-rpc":
            yield ["node", str(peer_of_node() / "ocpp_rpc.js")]
        case _:
            yield [*ourselves, kind]


def peer_of_node() -> Path:
    """The folder of the peers that run on Node, with what they need installed."""
    folder = Path(tempfile.gettempdir()) / "forecourt-benchmark-peers"
    if not (folder / "node_modules").exists():
        shutil.copytree(PEERS, folder, dirs_exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder


# The load


class Caller(picows.WSListener):
    """Boots, begins a transaction, then sends readings: each as soon as the last was answered."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._number = 0
        self._transaction_id = 1

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        self.say(BOOT)

    def on_ws_frame(self, _: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        answer = frame.get_payload_as_bytes()
        if answer.startswith(b"[2,"):  # a call of the server, or our own from the echo
            if not self._load.echoed:
                _, message_id, _, _, _ = answer.split(b'"', 4)
                self.transport.send(picows.WSMsgType.TEXT, b'[3,"%b",{"status":"Accepted"}]' % message_id)
                return
        elif self._number == 2:
            self._transaction_id = int(json.loads(answer)[2].get("transactionId", 1))
        if self._number == 1:
            self.say(START % self._load.stamp())
            return
        if self._number == 2:
            self._load.ready()
            return
        self._load.answered(self)

    def meter(self) -> None:
        """The next reading."""
        self.say(METER_VALUES % (self._transaction_id, self._load.stamp(), self._number))

    def say(self, rest: bytes) -> None:
        self._number += 1
        message_id = b"00000000-0000-4000-8000-%012d" % self._number
        self.transport.send(picows.WSMsgType.TEXT, b'[2,"%b","%b' % (message_id, rest))


class Load:
    """So many callers against one server."""

    def __init__(self, port: int, *, echoed: bool) -> None:
        self._port = port
        self.echoed = echoed
        self._callers: list[Caller] = []
        self._stations = self._ready = 0
        self._all_ready = asyncio.Event()
        self.calls = 0
        self._running = False
        self._stamp = b""

    def stamp(self) -> bytes:
        """The time, as fine as it need be."""
        return self._stamp

    def ready(self) -> None:
        self._ready += 1
        if self._ready == self._stations:
            self._all_ready.set()

    def answered(self, caller: Caller) -> None:
        self.calls += 1
        if self._running:
            caller.meter()

    async def connect(self, stations: int) -> None:
        """Connect all, each with a transaction."""
        self._stations = stations
        clock = asyncio.create_task(self._tell_the_time())
        self._clock = clock
        await asyncio.sleep(0)
        for first in range(0, stations, 50):
            numbers = range(first, min(first + 50, stations))
            self._callers += await asyncio.gather(*map(self._connect_one, numbers))
        await self._all_ready.wait()

    async def _connect_one(self, number: int) -> Caller:
        _, caller = await picows.ws_connect(
            lambda: Caller(self),
            f"ws://127.0.0.1:{self._port}/S{number}",
            extra_headers={"Sec-WebSocket-Protocol": PROTOCOL},
            read_buffer_init_size=4096,
        )
        assert isinstance(caller, Caller)
        return caller

    async def run(self, seconds: float, server: int) -> Cost:
        """Keep the server busy, and say what that cost."""
        self._running = True
        for caller in self._callers:
            caller.meter()
        await asyncio.sleep(min(2.0, seconds / 2))
        calls, began_s = self.calls, time.monotonic()
        server_s, load_s = processor_s(server), time.process_time()
        await asyncio.sleep(seconds)
        cost = Cost(
            self.calls - calls,
            time.monotonic() - began_s,
            processor_s(server) - server_s,
            time.process_time() - load_s,
        )
        self._running = False
        return cost

    async def _tell_the_time(self) -> None:
        while True:
            self._stamp = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z").encode()
            await asyncio.sleep(0.001)


def _child(told: Any, kind: str, port: int, server: int, stations: int, seconds: float) -> None:
    async def work() -> None:
        load = Load(port, echoed=kind == "echo")
        await load.connect(stations)
        told.put(await load.run(seconds, server))
        told.close()
        told.join_thread()
        os._exit(0)  # thousands of farewells are not what is measured

    run(work())


def measure(kind: str, stations: int, seconds: float) -> Cost:
    """What a MeterValues costs a server of this kind."""
    context = multiprocessing.get_context("spawn")
    with serving(kind) as (port, server):
        told = context.Queue()
        working = context.Process(target=_child, args=(told, kind, port, server, stations, seconds), daemon=True)
        working.start()
        try:
            cost: Cost = told.get(timeout=120 + seconds)
        finally:
            working.kill()
            working.join()
    return cost


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["echo"]:
            serve_echo()
        case ["nothing-stored"]:
            serve_ours(None)
        case ["csms", database]:
            serve_ours(database)
        case ["ocpp"]:
            serve_ocpp()
