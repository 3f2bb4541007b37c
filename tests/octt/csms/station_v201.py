# mypy: disable-error-code="untyped-decorator"
"""The tool's charging station for OCPP 2.0.1: the PyPI package `ocpp`, told step by step what to say and to answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import ocpp.v201
import ocpp.v201.call
import ocpp.v201.call_result
import websockets
from ocpp.charge_point import snake_to_camel_case
from ocpp.routing import on
from ocpp.v201.enums import Action

from tests.octt.csms.running import PATIENCE_S
from tests.octt.csms.station_v16 import VALID, now

call = ocpp.v201.call
STATION = {"model": "Model", "vendor_name": "Vendor"}
EVSE = {"id": 1, "connector_id": 1}
EVSES = 2

_ASKED = (
    "ChangeAvailability", "ClearCache", "ClearChargingProfile", "GetBaseReport", "GetChargingProfiles",
    "GetCompositeSchedule", "GetTransactionStatus", "GetVariables", "RequestStartTransaction",
    "RequestStopTransaction", "Reset", "SetChargingProfile", "SetVariables", "TriggerMessage", "UnlockConnector",
)  # fmt: skip


def token(value: str = VALID) -> dict[str, Any]:
    return {"id_token": value, "type": "ISO14443"}


class ChargingStation(ocpp.v201.ChargePoint):  # type: ignore[misc]
    """Whatever it is asked, it answers with `answers[action]`; and it remembers having been asked."""

    def __init__(self, identity: str, socket: Any) -> None:
        super().__init__(identity, socket)
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.transaction_id = f"tx-{identity}"[:36]
        self._numbers = count()

    def _take(self, action: str, payload: dict[str, Any]) -> Any:
        self.asked.put_nowait((action, snake_to_camel_case(payload)))
        answer = self.answers.get(action, {"status": "Accepted"})
        return getattr(ocpp.v201.call_result, action)(**answer)

    async def expect(self, action: str) -> dict[str, Any]:
        """The payload of what the CSMS asks next, which must be `action`."""
        async with asyncio.timeout(PATIENCE_S):
            found, payload = await self.asked.get()
        assert found == action
        return payload

    async def boot(self, reason: str = "PowerUp", registration: str = "Accepted") -> Any:
        """The reusable state Booted."""
        answer = await self.call(call.BootNotification(charging_station=STATION, reason=reason))
        assert answer.status == registration
        if registration == "Accepted":
            for evse_id in range(1, EVSES + 1):
                await self.status("Available", evse_id)
        return answer

    async def status(self, status: str, evse_id: int = 1) -> None:
        await self.call(
            call.StatusNotification(timestamp=now(), connector_status=status, evse_id=evse_id, connector_id=1)
        )

    async def authorize(self, value: str = VALID) -> Any:
        """What is said of the token."""
        return (await self.call(call.Authorize(id_token=token(value)))).id_token_info

    async def tell(self, kind: str, trigger: str, charging_state: str | None = None, **more: Any) -> Any:
        """A TransactionEvent of the one transaction; gives what is said of its token."""
        info: dict[str, Any] = {"transaction_id": self.transaction_id}
        if charging_state is not None:
            info["charging_state"] = charging_state
        if "stopped_reason" in more:
            info["stopped_reason"] = more.pop("stopped_reason")
        if "remote_start_id" in more:
            info["remote_start_id"] = more.pop("remote_start_id")
        event = call.TransactionEvent(
            event_type=kind,
            timestamp=now(),
            trigger_reason=trigger,
            seq_no=next(self._numbers),
            transaction_info=info,
            **more,
        )
        return (await self.call(event)).id_token_info

    async def charging(self) -> None:
        """The reusable state EnergyTransferStarted, with the cable first."""
        await self.status("Occupied")
        await self.tell("Started", "CablePluggedIn", "EVConnected", evse=EVSE)
        assert (await self.authorize())["status"] == "Accepted"
        assert (await self.tell("Updated", "Authorized", id_token=token()))["status"] == "Accepted"
        await self.tell("Updated", "ChargingStateChanged", "Charging")

    async def unplugged(self) -> None:
        """The reusable states StopAuthorized to EVDisconnected."""
        assert (await self.tell("Updated", "StopAuthorized", "EVConnected", id_token=token()))["status"] == "Accepted"
        await self.tell("Ended", "EVCommunicationLost", "Idle", stopped_reason="EVDisconnected")
        await self.status("Available")


def register_wh(value: float, context: str = "Sample.Periodic") -> list[dict[str, Any]]:
    sample = {"value": value, "measurand": "Energy.Active.Import.Register", "context": context}
    return [{"timestamp": now(), "sampled_value": [sample]}]


def _taker(action: str) -> Callable[..., Any]:
    async def take(self: ChargingStation, **payload: Any) -> Any:
        return self._take(action, payload)

    take.__name__ = f"on_{action}"  # by which the router finds it
    routed: Callable[..., Any] = on(Action(action))(take)
    return routed


for _action in _ASKED:
    setattr(ChargingStation, f"on_{_action}", _taker(_action))


@asynccontextmanager
async def connected(url: str, identity: str) -> AsyncIterator[ChargingStation]:
    """A charging station with an open connection, not booted."""
    async with websockets.connect(
        url + identity, subprotocols=[websockets.Subprotocol("ocpp2.0.1")], open_timeout=PATIENCE_S
    ) as socket:
        station = ChargingStation(identity, socket)
        running = asyncio.create_task(_run(station))
        yield station
        assert station.asked.empty(), f"asked without being told to: {station.asked.get_nowait()}"
    await running


async def _run(station: ChargingStation) -> None:
    with suppress(websockets.ConnectionClosed):
        await station.start()
