"""What the API's tests run against: the books in SQLite, real sockets for stations and for the API, a key."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import websockets

from forecourt.api.server import ApiServer
from forecourt.api.settings import ApiSettings
from forecourt.bus.in_process import InProcessBus
from forecourt.csms import access, vendors
from forecourt.csms.measures import Measures
from forecourt.csms.money_ports import PaymentProvider
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Event
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201
from forecourt.net.authority import LocalAuthority
from forecourt.net.beside import Beside
from forecourt.net.clock import RealClock
from forecourt.net.csms_session import CsmsServer
from forecourt.store.files import FolderFiles
from forecourt.store.sql import SqlStore, open_store
from tests import databases

PATIENCE_S = 10.0
"""For what must happen but may take its time on a busy machine."""

OPEN = CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT, unknown_tokens=UnknownTokenPolicy.ACCEPT)
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}

Answer = Callable[[str, Any], Any]
"""Action and payload of a call, to the payload of its result; an exception to answer with an error; None: never."""


class CallFailed(Exception):  # noqa: N818
    """Answer with this error."""


class Station:
    """A station of a few lines: it answers calls by a function and remembers their frames, byte for byte."""

    def __init__(self, socket: Any, answer: Answer) -> None:
        self._socket = socket
        self._answer = answer
        self._ids = count(1)
        self._results: dict[str, asyncio.Future[Any]] = {}
        self.frames: asyncio.Queue[str] = asyncio.Queue()

    async def call(self, action: str, payload: Any) -> Any:
        message_id = f"s{next(self._ids)}"
        self._results[message_id] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(PATIENCE_S):
            return await self._results[message_id]

    async def run(self) -> None:
        with suppress(websockets.ConnectionClosed):
            async for frame in self._socket:
                parts = json.loads(frame)
                if parts[0] != 2:
                    self._results[parts[1]].set_result(parts[2] if parts[0] == 3 else parts)
                    continue
                self.frames.put_nowait(frame)
                try:
                    given = self._answer(parts[2], parts[3])
                except CallFailed as error:
                    await self._socket.send(json.dumps([4, parts[1], "InternalError", str(error), {"why": 1}]))
                else:
                    if isinstance(given, str):
                        await self._socket.send(f'[3, "{parts[1]}", {given}]')
                    elif given is not None:
                        await self._socket.send(json.dumps([3, parts[1], given]))


class House:
    """A CSMS with its API."""

    def __init__(self, context: Context, store: SqlStore, csms: CsmsServer, api: ApiServer, client: httpx.AsyncClient):
        self.context = context
        self.store = store
        self.csms = csms
        self.api = api
        self.client = client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api.port}"

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        return await self.ask("GET", path, status, **options)

    async def ask(self, method: str, path: str, status: int, **options: Any) -> Any:
        """The JSON of the answer, which must have that status."""
        response = await self.client.request(method, f"/api/v1{path}", **options)
        assert response.status_code == status, (response.status_code, response.text)
        kind = response.headers.get("content-type", "")
        assert not response.content or (kind == "application/problem+json") == (status >= 400), kind
        return response.json() if response.content else None

    @asynccontextmanager
    async def station(
        self, station_id: str, answer: Answer = lambda _action, _payload: {"status": "Accepted"}
    ) -> AsyncIterator[Station]:
        """A station of OCPP 1.6 that is connected and has booted."""
        url = f"ws://127.0.0.1:{self.csms.port}/ocpp/{station_id}"
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("ocpp1.6")]) as socket:
            station = Station(socket, answer)
            running = asyncio.create_task(station.run())
            assert (await station.call("BootNotification", BOOT))["status"] == "Accepted"
            yield station
        await running

    @asynccontextmanager
    async def station_v201(
        self, station_id: str, answer: Answer = lambda _action, _payload: {"status": "Accepted"}
    ) -> AsyncIterator[Station]:
        """The same of OCPP 2.0.1."""
        url = f"ws://127.0.0.1:{self.csms.port}/ocpp/{station_id}"
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("ocpp2.0.1")]) as socket:
            station = Station(socket, answer)
            running = asyncio.create_task(station.run())
            boot = {"reason": "PowerUp", "chargingStation": {"model": "Model", "vendorName": "Vendor"}}
            assert (await station.call("BootNotification", boot))["status"] == "Accepted"
            yield station
        await running

    async def key(self, *scopes: str) -> dict[str, str]:
        """A header with a new key."""
        _, text = await access.create_api_key(self.context, "another", scopes)
        return {"authorization": f"Bearer {text}"}

    @staticmethod
    async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():  # noqa: ASYNC110 - what is waited for is in a database
                await asyncio.sleep(0.02)


@asynccontextmanager
async def house(
    tmp_path: Path,
    *,
    csms_settings: CsmsSettings = OPEN,
    api_settings: ApiSettings | None = None,
    most_behind: int = 10_000,
    payment_providers: Mapping[str, PaymentProvider] | None = None,
    known_vendors: Sequence[vendors.Vendor] = (),
) -> AsyncIterator[House]:
    """Everything, running; and stopped after, with nothing left."""
    store: SqlStore

    async def read_log(after: int, limit: int) -> Any:
        def query(books: Books) -> Any:
            return books.events.after(after, limit)

        return await store.read(query)

    bus = InProcessBus(read_log, most_behind=most_behind)
    url = databases.url(tmp_path / "books.db")
    measures = Measures()

    def publish(events: Sequence[Event]) -> None:
        measures.told(events)
        bus.publish(events)

    store = await open_store(url, publish=publish, unlogged=csms_settings.unlogged_events, measures=measures.store)
    ids = count(1)
    context = Context(
        store=store,
        bus=bus,
        clock=RealClock(),
        new_id=lambda: f"id-{next(ids)}",
        settings=csms_settings,
        payment_providers=payment_providers or {},
        files=FolderFiles(tmp_path / "files"),
        authority=LocalAuthority(tmp_path / "authority"),
        measures=measures,
        capabilities={dialect.subprotocol: dialect.capabilities for dialect in (V16, V201)},
        vendors=vendors.registry_of(known_vendors),
    )
    csms = CsmsServer(context, {"ocpp1.6": V16, "ocpp2.0.1": V201})
    await csms.start(port=0)
    api = ApiServer(context, msgspec.structs.replace(api_settings or ApiSettings(), port=0))
    await api.start()
    beside = Beside(context)
    beside.start()
    _, key = await access.create_api_key(context, "test", ("admin",))
    headers = {"authorization": f"Bearer {key}"}
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{api.port}", headers=headers, timeout=PATIENCE_S
        ) as client:
            yield House(context, store, csms, api, client)
    finally:
        await beside.stop()
        await api.stop()
        await csms.stop()
        await store.close()
