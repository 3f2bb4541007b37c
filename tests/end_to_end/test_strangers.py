"""Strangers at the door of a CSMS and of a local controller: each gets its answer, a good station notices nothing."""

import asyncio
import base64
import json
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import websockets

from forecourt.api.settings import ApiSettings
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from forecourt.app.listeners import OcppListener
from forecourt.controller.settings import ControllerSettings, OfflineSettings
from forecourt.csms import stations, transactions
from forecourt.csms.records import TransactionState
from forecourt.csms.settings import CsmsSettings, UnknownTokenPolicy
from forecourt.dialect import DIALECTS
from forecourt.domain.site import EvsePoint, GridConnection, Site
from forecourt.net.clock import RealClock
from forecourt.net.controller_session import ControllerServer
from forecourt.quantities import PHASES, PerPhase
from tests import databases
from tests.end_to_end.processes import eventually

KNOWN = ("GOOD", "BAD")
START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class House(NamedTuple):
    csms: RunningCsms
    controller: ControllerServer

    def port(self, door: str) -> int:
        return self.csms.stations.port if door == "csms" else self.controller.port


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A CSMS that knows two stations, and the controller of their site; strangers are refused by both."""
    settings = CsmsSettings(unknown_tokens=UnknownTokenPolicy.ACCEPT)
    file = CsmsFile(
        database=databases.url(tmp_path / "csms.sqlite"),
        ocpp=OcppListener(port=0),
        api=ApiSettings(port=0),
        csms=settings,
    )
    numbers = count(1)
    points = tuple(EvsePoint(station_id=name, rotation=PHASES) for name in KNOWN)
    async with running_csms(file) as csms:
        for name in KNOWN:
            await stations.create_station(csms.context, name, stations.StationFields())
        controller = ControllerServer(
            Site(grid=GridConnection(name="grid", rating_a=PerPhase.of(63.0)), evses=points).checked(),
            # The link to the CSMS of a station that was lost is kept for this long, and the tests wait for its end.
            ControllerSettings(decide_interval_s=0.05, offline=OfflineSettings(grace_s=0.5)),
            upstream_url=f"ws://127.0.0.1:{csms.stations.port}/ocpp",
            dialects={dialect.subprotocol: dialect for dialect in DIALECTS},
            clock=RealClock(),
            new_id=lambda: f"own-{next(numbers)}",
        )
        await controller.start(port=0)
        try:
            yield House(csms, controller)
        finally:
            await controller.stop(0.5)


def dial(port: int, path: str = "GOOD", *protocols: str, **options: Any) -> Any:
    offered = [websockets.Subprotocol(name) for name in protocols or ("ocpp1.6",)]
    return websockets.connect(f"ws://127.0.0.1:{port}/{path}", subprotocols=offered, **options)


class GoodStation:
    """Bare frames, one session after the other, until told to stop; everything must be answered."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._sent = 0
        self.sessions = 0
        self.stop = False

    async def charge(self) -> None:
        await self._ask("BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"})
        while not self.stop or self.sessions < 2:
            start = 1000 * self.sessions
            begin = START + timedelta(hours=self.sessions)
            started = await self._ask(
                "StartTransaction",
                {"connectorId": 1, "idTag": "CARD", "meterStart": start, "timestamp": begin.isoformat()},
            )
            number = started["transactionId"]
            sample = {"timestamp": (begin + timedelta(minutes=5)).isoformat(), "sampledValue": [{"value": f"{start}"}]}
            await self._ask("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]})
            await self._ask("Heartbeat", {})
            end = (begin + timedelta(minutes=30)).isoformat()
            await self._ask("StopTransaction", {"transactionId": number, "meterStop": start + 500, "timestamp": end})
            self.sessions += 1
            await asyncio.sleep(0.01)

    async def _ask(self, action: str, payload: dict[str, Any]) -> Any:
        self._sent += 1
        await self._socket.send(json.dumps([2, f"g{self._sent}", action, payload]))
        while True:
            frame = json.loads(await asyncio.wait_for(self._socket.recv(), 20))
            if frame[0] == 2:
                await self._socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            elif frame[1] == f"g{self._sent}":
                assert frame[0] == 3, frame
                return frame[2]


@asynccontextmanager
async def a_good_station(house: House, door: str) -> AsyncIterator[None]:
    """Charges all the while; at the end its books are right and everybody else is gone."""
    async with dial(house.port(door)) as socket:
        good = GoodStation(socket)
        charging = asyncio.create_task(good.charge())
        try:
            yield
            assert not charging.done()
        finally:
            good.stop = True
            await asyncio.wait_for(charging, 30)
        page = await transactions.list_transactions(house.csms.context, station_id="GOOD", limit=500)
        assert len(page.items) == good.sessions >= 2
        assert {entry.state for entry in page.items} == {TransactionState.ENDED}
        assert {entry.energy_wh for entry in page.items} == {500.0}
        assert not any(entry.orphan for entry in page.items)

        async def alone() -> bool:
            return house.csms.stations.connected == 1

        await eventually(alone)
        assert door == "csms" or house.controller.connected == ("GOOD",)


both_doors = pytest.mark.parametrize("door", ["csms", "controller"])


async def answer_to(port: int, said: bytes) -> bytes:
    """Everything that comes back until the other end closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError):
            writer.write(said)
            await writer.drain()
            return await asyncio.wait_for(reader.read(), 20)
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def upgrade(path: str, **fields: str) -> bytes:
    headers = {
        "host": "x",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": base64.b64encode(bytes(16)).decode(),
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "ocpp1.6",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    return "\r\n".join([f"GET {path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items()), "", ""]).encode()


KNOCKS = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
    (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
    (b"\x00" * 64, 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET /ocpp/GOOD HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    (b"POST /ocpp/GOOD HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"GET /ocpp/GOOD HTTP/1.0\r\n\r\n", 505),
    (b"GET /" + b"A" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", 431),
    (upgrade("/"), 404),
    (upgrade("/ocpp/NOBODY"), 404),
    (upgrade("/some/other/path/NOBODY"), 404),
    (upgrade("/ocpp/%zz"), 400),
    (upgrade("/ocpp/%ff%fe"), 400),
    (upgrade("/ocpp/BAD%00"), 400),
    (upgrade("/ocpp/..%2f..%2fetc%2fpasswd"), 404),
    (upgrade("/ocpp/BAD", sec_websocket_version="8"), 426),
    (upgrade("/ocpp/BAD", sec_websocket_key="short"), 400),
]


@both_doors
async def test_who_knocks_wrongly_gets_a_status(house: House, door: str) -> None:
    async with a_good_station(house, door):
        for said, status in KNOCKS:
            answer = await answer_to(house.port(door), said)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (said[:60], answer[:60])
        chance = random.Random(3)
        await asyncio.gather(
            *(answer_to(house.port(door), chance.randbytes(chance.randrange(1, 4000)) + b"\r\n\r\n") for _ in range(40))
        )


@both_doors
async def test_who_speaks_no_version_of_ours_is_let_go_at_once(house: House, door: str) -> None:
    async with a_good_station(house, door):
        for protocols in (("ocpp1.2",), ("chat", "superchat"), ("OCPP1.6",)):
            async with websockets.connect(
                f"ws://127.0.0.1:{house.port(door)}/BAD", subprotocols=[websockets.Subprotocol(p) for p in protocols]
            ) as socket:
                assert socket.subprotocol is None
                await asyncio.wait_for(socket.wait_closed(), 20)
                assert socket.close_code == 1002


@both_doors
async def test_who_sends_too_much_at_once_is_closed(house: House, door: str) -> None:
    async with a_good_station(house, door):
        for _ in range(3):
            async with dial(house.port(door), "BAD") as socket:
                with suppress(websockets.ConnectionClosed):
                    await socket.send('[2,"x","DataTransfer",{"vendorId":"' + "x" * 4_000_000 + '"}]')
                await asyncio.wait_for(socket.wait_closed(), 20)
                assert socket.close_code in {1009, 1006}


@both_doors
async def test_who_sends_nonsense_gets_errors_and_may_go_on(house: House, door: str) -> None:
    nonsense = [
        "", "{", "null", "[]", "[2]", '[2,"1"]', '[2,1,"Heartbeat",{}]', '[9,"1","Heartbeat",{}]', '[3,"nobody",{}]',
        '[4,"nobody","InternalError","",{}]', '["2","1","Heartbeat",{}]', '[2,"1","",{}]', "[" * 5000, "\ud7ff" * 50,
        '[2,"' + "i" * 300 + '","Heartbeat",{}]', '[2,"1","Heartbeat",[]]', '[2,"1","StartTransaction",{}]',
        '[2,"1","StopTransaction",{"transactionId":1,"meterStop":0,"timestamp":"0"}]', '[2,"1","NoSuchAction",{}]',
        '[2,"1","MeterValues",{"connectorId":1,"transactionId":1,"meterValue":[]}]',
    ]  # fmt: skip
    chance = random.Random(4)
    async with a_good_station(house, door), AsyncExitStack() as stack:
        socket = await stack.enter_async_context(dial(house.port(door), "BAD"))
        await socket.send('[2,"b","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]')
        for text in nonsense:
            await socket.send(text)
        for _ in range(200):
            await socket.send(chance.randbytes(chance.randrange(40)).decode("latin-1"))
        await socket.send('[2,"last","Heartbeat",{}]')
        codes: dict[str, str] = {}
        async with asyncio.timeout(30):
            while True:
                answer = json.loads(await socket.recv())
                if answer[0] == 2:
                    await socket.send(json.dumps([3, answer[1], {"status": "Accepted"}]))
                elif answer[0] == 4:
                    codes[answer[1]] = answer[2]
                elif answer[1] == "last":
                    break
        assert codes
        assert set(codes.values()) <= {
            "FormationViolation", "NotImplemented", "ProtocolError", "GenericError", "PropertyConstraintViolation",
            "TypeConstraintViolation", "OccurenceConstraintViolation", "SecurityError", "InternalError",
        }  # fmt: skip
        await socket.close()
        page = await transactions.list_transactions(house.csms.context, station_id="BAD", limit=500)
        assert all(entry.orphan for entry in page.items), "nobody else's transaction was touched"


@both_doors
async def test_who_sends_bytes_that_are_no_text_is_closed(house: House, door: str) -> None:
    async with a_good_station(house, door):
        async with dial(house.port(door), "BAD") as socket:
            await socket.send(b"\x00\x01\x02")
            await asyncio.wait_for(socket.wait_closed(), 20)
            assert socket.close_code == 1003
        raw = upgrade("/BAD") + b"\x81\x05hello"  # not masked, as a client's frames must be
        answer = await answer_to(house.port(door), raw)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert (1002).to_bytes(2, "big") in answer


@both_doors
async def test_who_says_nothing_or_pulls_the_plug_costs_nothing(house: House, door: str) -> None:
    async with a_good_station(house, door):
        silent = [await asyncio.open_connection("127.0.0.1", house.port(door)) for _ in range(50)]
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", house.port(door))
            writer.write(upgrade("/BAD"))
            writer.transport.abort()
        context = ssl.create_default_context()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", house.port(door), ssl=context, server_hostname="x")
        for _, writer in silent:
            writer.close()
