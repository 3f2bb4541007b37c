# mypy: disable-error-code="untyped-decorator"
"""The tool's charge point: the PyPI package `ocpp`, told step by step what to say and what to answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import ocpp.v16
import ocpp.v16.call
import ocpp.v16.call_result
import websockets
from ocpp.charge_point import snake_to_camel_case
from ocpp.routing import on
from ocpp.v16.enums import Action

from tests.octt.csms.running import PATIENCE_S

call = ocpp.v16.call
VALID, EXPIRED, BLOCKED, INVALID = "OCTT-VALID", "OCTT-EXPIRED", "OCTT-BLOCKED", "OCTT-NOBODY"
PARENT = "OCTT-PARENT"
CONNECTORS = 2

_ASKED = (
    "CancelReservation", "CertificateSigned", "ChangeAvailability", "ChangeConfiguration", "ClearCache",
    "ClearChargingProfile", "DataTransfer", "DeleteCertificate", "ExtendedTriggerMessage", "GetCompositeSchedule",
    "GetConfiguration", "GetDiagnostics", "GetInstalledCertificateIds", "GetLocalListVersion", "GetLog",
    "InstallCertificate", "RemoteStartTransaction", "RemoteStopTransaction", "ReserveNow", "Reset", "SendLocalList",
    "SetChargingProfile", "SignedUpdateFirmware", "TriggerMessage", "UnlockConnector", "UpdateFirmware",
)  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class ChargePoint(ocpp.v16.ChargePoint):  # type: ignore[misc]
    """Whatever it is asked, it answers with `answers[action]`; and it remembers having been asked."""

    def __init__(self, identity: str, socket: Any) -> None:
        super().__init__(identity, socket)
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    def _take(self, action: str, payload: dict[str, Any]) -> Any:
        self.asked.put_nowait((action, snake_to_camel_case(payload)))
        answer = self.answers.get(action, {"status": "Accepted"})
        return getattr(ocpp.v16.call_result, action)(**answer)

    async def expect(self, action: str) -> dict[str, Any]:
        """The payload of what the CSMS asks next, which must be `action`."""
        async with asyncio.timeout(PATIENCE_S):
            found, payload = await self.asked.get()
        assert found == action
        return payload

    async def boot(self) -> Any:
        """Booted: accepted, and everything is Available (the tool's initial state)."""
        answer = await self.call(call.BootNotification("Model", "Vendor"))
        assert answer.status == "Accepted"
        for connector_id in range(CONNECTORS + 1):
            await self.status("Available", connector_id=connector_id)
        return answer

    async def status(self, status: str, connector_id: int = 1, error_code: str = "NoError") -> None:
        await self.call(call.StatusNotification(connector_id, error_code, status, timestamp=now()))

    async def authorize(self, id_tag: str = VALID) -> str:
        """The verdict."""
        return str((await self.call(call.Authorize(id_tag))).id_tag_info["status"])

    async def start_transaction(
        self,
        id_tag: str = VALID,
        meter_start: int = 1000,
        timestamp: str | None = None,
        reservation_id: int | None = None,
    ) -> Any:
        return await self.call(
            call.StartTransaction(1, id_tag, meter_start, timestamp or now(), reservation_id=reservation_id)
        )

    async def stop_transaction(
        self, transaction_id: int, reason: str | None = None, meter_stop: int = 1100, timestamp: str | None = None
    ) -> Any:
        return await self.call(call.StopTransaction(meter_stop, timestamp or now(), transaction_id, reason))

    async def charging(self) -> int:
        """The tool's reusable state Charging. Gives the transaction's id."""
        await self.status("Preparing")
        assert await self.authorize() == "Accepted"
        answer = await self.start_transaction()
        assert answer.id_tag_info["status"] == "Accepted"
        await self.status("Charging")
        return int(answer.transaction_id)


def _taker(action: str) -> Callable[..., Any]:
    async def take(self: ChargePoint, **payload: Any) -> Any:
        return self._take(action, payload)

    take.__name__ = f"on_{action}"  # by which the router finds it
    routed: Callable[..., Any] = on(Action(action))(take)
    return routed


for _action in _ASKED:
    setattr(ChargePoint, f"on_{_action}", _taker(_action))


@asynccontextmanager
async def connected(url: str, identity: str, **options: Any) -> AsyncIterator[ChargePoint]:
    """A charge point with an open connection, not booted. `options` are those of `websockets`: credentials, TLS."""
    async with websockets.connect(
        url + identity, subprotocols=[websockets.Subprotocol("ocpp1.6")], open_timeout=PATIENCE_S, **options
    ) as socket:
        point = ChargePoint(identity, socket)
        running = asyncio.create_task(_run(point))
        yield point
        assert point.asked.empty(), f"asked without being told to: {point.asked.get_nowait()}"
    await running


async def _run(point: ChargePoint) -> None:
    with suppress(websockets.ConnectionClosed):
        await point.start()
