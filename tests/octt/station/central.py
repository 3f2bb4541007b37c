# mypy: disable-error-code="untyped-decorator"
"""The tool's side of the test cases: a central system made of the PyPI package `ocpp`, which records all it is told.

What it answers is in `Tool`, which outlives connections: a test changes it before what it is for.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import websockets
from ocpp.exceptions import OCPPError
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action

VALID, VALID_2, INVALID = "VALID-1", "VALID-2", "INVALID"
PARENT = "PARENT"
PATIENCE_S = 60.0


class Heard(msgspec.Struct):
    """One message of the station. `taken`: a step of the test case has been matched with it."""

    action: str
    payload: dict[str, Any]
    number: int
    at: datetime
    taken: bool = False


class Connection(ChargePoint):  # type: ignore[misc]
    """One connection of the station under test."""

    def __init__(self, identity: str, socket: Any, tool: "Tool") -> None:
        super().__init__(identity, socket)
        self.tool = tool
        self.authorization: str | None = socket.request.headers.get("Authorization")
        self.tls: ssl.SSLObject | None = socket.transport.get_extra_info("ssl_object")

    @on(Action.boot_notification)
    def on_boot(self, **payload: Any) -> Any:
        self.tool.hear("BootNotification", payload)
        status, interval_s = self.tool.boots.pop(0) if self.tool.boots else ("Accepted", self.tool.heartbeat_s)
        return call_result.BootNotification(datetime.now(UTC).isoformat(), interval_s, status)

    @on(Action.heartbeat)
    def on_heartbeat(self) -> Any:
        self.tool.hear("Heartbeat", {})
        return call_result.Heartbeat(datetime.now(UTC).isoformat())

    @on(Action.status_notification)
    def on_status(self, **payload: Any) -> Any:
        self.tool.hear("StatusNotification", payload)
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, **payload: Any) -> Any:
        self.tool.hear("Authorize", payload)
        return call_result.Authorize(self.tool.info(payload["id_tag"]))

    @on(Action.start_transaction)
    def on_start(self, **payload: Any) -> Any:
        self.tool.hear("StartTransaction", payload)
        self.tool.transaction_id += 1
        return call_result.StartTransaction(self.tool.transaction_id, self.tool.info(payload["id_tag"]))

    @on(Action.stop_transaction)
    def on_stop(self, **payload: Any) -> Any:
        self.tool.hear("StopTransaction", payload)
        tag = payload.get("id_tag")
        return call_result.StopTransaction(None if tag is None else self.tool.info(tag))

    @on(Action.meter_values)
    def on_meter_values(self, **payload: Any) -> Any:
        self.tool.hear("MeterValues", payload)
        return call_result.MeterValues()

    @on(Action.data_transfer)
    def on_data_transfer(self, **payload: Any) -> Any:
        self.tool.hear("DataTransfer", payload)
        return call_result.DataTransfer("Accepted")

    @on(Action.firmware_status_notification)
    def on_firmware_status(self, **payload: Any) -> Any:
        self.tool.hear("FirmwareStatusNotification", payload)
        return call_result.FirmwareStatusNotification()

    @on(Action.diagnostics_status_notification)
    def on_diagnostics_status(self, **payload: Any) -> Any:
        self.tool.hear("DiagnosticsStatusNotification", payload)
        return call_result.DiagnosticsStatusNotification()

    @on(Action.signed_firmware_status_notification)
    def on_signed_firmware_status(self, **payload: Any) -> Any:
        self.tool.hear("SignedFirmwareStatusNotification", payload)
        return call_result.SignedFirmwareStatusNotification()

    @on(Action.log_status_notification)
    def on_log_status(self, **payload: Any) -> Any:
        self.tool.hear("LogStatusNotification", payload)
        return call_result.LogStatusNotification()

    @on(Action.security_event_notification)
    def on_security_event(self, **payload: Any) -> Any:
        self.tool.hear("SecurityEventNotification", payload)
        return call_result.SecurityEventNotification()

    @on(Action.sign_certificate)
    def on_sign_certificate(self, **payload: Any) -> Any:
        self.tool.hear("SignCertificate", payload)
        return call_result.SignCertificate("Accepted")


class Tool:
    """What the station has told, what it is answered, and a way to ask it."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.connections: list[Connection] = []
        self.port = 0
        self.boots: list[tuple[str, int]] = []
        """Answers to the next boots; after them: Accepted."""
        self.heartbeat_s = 300
        self.statuses: dict[str, str] = {INVALID: "Invalid"}
        self.parents: dict[str, str] = {}
        self.transaction_id = 4000
        self._news = asyncio.Event()

    # The station's side

    async def serve(self, socket: Any) -> None:
        connection = Connection(socket.request.path.rpartition("/")[2], socket, self)
        self.connections.append(connection)
        self._news.set()
        with suppress(websockets.ConnectionClosed):
            await connection.start()

    def hear(self, action: str, payload: dict[str, Any]) -> None:
        self.heard.append(Heard(action, payload, len(self.heard), datetime.now(UTC)))
        self._news.set()

    def info(self, tag: str) -> dict[str, Any]:
        """The IdTagInfo of a tag."""
        info = {"status": self.statuses.get(tag, "Accepted")}
        return info | {"parent_id_tag": self.parents[tag]} if tag in self.parents else info

    # The test's side

    async def ask(self, request: Any) -> Any:
        """The station's answer; an OCPPError when it is a CALLERROR."""
        return await self.connections[-1].call(request, suppress=False)

    async def refused(self, request: Any) -> str | None:
        """The code of the CALLERROR that the station answers with; None: it answered properly."""
        try:
            await self.ask(request)
        except OCPPError as error:
            return str(error.code)
        return None

    async def expect(self, action: str, within_s: float = PATIENCE_S, **fields: Any) -> Heard:
        """The first message not matched with a step yet that has these fields, now or soon."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for one in self.heard:
                        if not one.taken and one.action == action and _fits(one.payload, fields):
                            one.taken = True
                            return one
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            rest = [f"{one.action} {one.payload}" for one in self.heard if not one.taken]
            raise AssertionError(f"no {action} with {fields}; not matched: {rest}") from None

    async def quiet(self, *actions: str, for_s: float = 0.5) -> None:
        """No message of these actions that is not matched yet comes for a while."""
        await asyncio.sleep(for_s)
        assert not [one for one in self.heard if not one.taken and one.action in actions]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until this holds, after some message."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def settle(self) -> None:
        """What was told until now belongs to the preparations."""
        for one in self.heard:
            one.taken = True

    def told(self, action: str) -> list[Heard]:
        """All messages of one action, in order."""
        return [one for one in self.heard if one.action == action]


def _fits(payload: dict[str, Any], fields: dict[str, Any]) -> bool:
    for name, wanted in fields.items():
        there = payload.get(name)
        if not (there in wanted if isinstance(wanted, set) else there == wanted):
            return False
    return True


@asynccontextmanager
async def tool(tls: ssl.SSLContext | None = None) -> AsyncIterator[Tool]:
    """A tool that listens."""
    opened = Tool()
    spoken: Any = ["ocpp1.6"]
    async with websockets.serve(opened.serve, "127.0.0.1", 0, subprotocols=spoken, ssl=tls) as server:
        opened.port = server.sockets[0].getsockname()[1]
        yield opened
