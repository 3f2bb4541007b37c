# mypy: disable-error-code="untyped-decorator"
"""An independent central system for OCPP 1.6: the PyPI package `ocpp` over `websockets`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action

Heard = tuple[str, dict[str, Any]]


class CentralSystem(ChargePoint):  # type: ignore[misc]
    """One station's connection, as the central system sees it. `heard`: actions and payloads, in their order."""

    def __init__(self, identity: str, connection: Any, heard: list[Heard], news: asyncio.Event) -> None:
        super().__init__(identity, connection)
        self.heard = heard
        self._news = news
        self.boot_status = "Accepted"
        self.heartbeat_interval = 300

    def _note(self, action: str, payload: dict[str, Any]) -> None:
        self.heard.append((action, payload))
        self._news.set()

    @on(Action.boot_notification)
    def on_boot(self, **payload: Any) -> Any:
        self._note("BootNotification", payload)
        now = datetime.now(UTC).isoformat()
        return call_result.BootNotification(now, self.heartbeat_interval, self.boot_status)

    @on(Action.heartbeat)
    def on_heartbeat(self) -> Any:
        self._note("Heartbeat", {})
        return call_result.Heartbeat(datetime.now(UTC).isoformat())

    @on(Action.status_notification)
    def on_status(self, **payload: Any) -> Any:
        self._note("StatusNotification", payload)
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, **payload: Any) -> Any:
        self._note("Authorize", payload)
        return call_result.Authorize({"status": "Invalid" if payload["id_tag"] == "MALLORY" else "Accepted"})

    @on(Action.start_transaction)
    def on_start(self, **payload: Any) -> Any:
        self._note("StartTransaction", payload)
        started = sum(1 for action, _ in self.heard if action == "StartTransaction")
        return call_result.StartTransaction(700 + started, {"status": "Accepted"})

    @on(Action.meter_values)
    def on_meter(self, **payload: Any) -> Any:
        self._note("MeterValues", payload)
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    def on_stop(self, **payload: Any) -> Any:
        self._note("StopTransaction", payload)
        return call_result.StopTransaction()

    @on(Action.data_transfer)
    def on_data(self, **payload: Any) -> Any:
        self._note("DataTransfer", payload)
        return call_result.DataTransfer("Accepted")


class Office:
    """The server: connections as they come, and everything heard on all of them."""

    def __init__(self, kind: Any = CentralSystem) -> None:
        self.heard: list[Heard] = []
        self.connections: list[Any] = []
        self.port = 0
        self._news = asyncio.Event()
        self._kind = kind

    async def serve(self, connection: Any) -> None:
        system = self._kind(connection.request.path.rpartition("/")[2], connection, self.heard, self._news)
        self.connections.append(system)
        self._news.set()
        with suppress(websockets.ConnectionClosed):
            await system.start()

    @property
    def newest(self) -> Any:
        return self.connections[-1]

    def told(self, action: str) -> list[dict[str, Any]]:
        return [payload for heard, payload in self.heard if heard == action]

    def statuses(self, connector: int) -> list[str]:
        return [told["status"] for told in self.told("StatusNotification") if told["connector_id"] == connector]

    async def until(self, holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def office(kind: Any = CentralSystem, subprotocol: str = "ocpp1.6") -> AsyncIterator[Office]:
    opened = Office(kind)
    async with websockets.serve(opened.serve, "127.0.0.1", 0, subprotocols=[subprotocol]) as server:  # type: ignore[list-item]
        opened.port = server.sockets[0].getsockname()[1]
        yield opened
