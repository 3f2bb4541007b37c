# mypy: disable-error-code="untyped-decorator"
"""An independent CSMS for OCPP 2.0.1: the PyPI package `ocpp` over `websockets`."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import on
from ocpp.v201 import ChargePoint, call_result
from ocpp.v201.enums import Action
from tests.net.central_v16 import Heard


class Csms201(ChargePoint):  # type: ignore[misc]
    """One station's connection, as the CSMS sees it. `heard`: actions and payloads, in their order."""

    def __init__(self, identity: str, connection: Any, heard: list[Heard], news: asyncio.Event) -> None:
        super().__init__(identity, connection)
        self.heard = heard
        self._news = news

    def _note(self, action: str, payload: dict[str, Any]) -> None:
        self.heard.append((action, payload))
        self._news.set()

    @on(Action.boot_notification)
    def on_boot(self, **payload: Any) -> Any:
        self._note("BootNotification", payload)
        return call_result.BootNotification(datetime.now(UTC).isoformat(), 300, "Accepted")

    @on(Action.heartbeat)
    def on_heartbeat(self, **payload: Any) -> Any:
        self._note("Heartbeat", payload)
        return call_result.Heartbeat(datetime.now(UTC).isoformat())

    @on(Action.status_notification)
    def on_status(self, **payload: Any) -> Any:
        self._note("StatusNotification", payload)
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, **payload: Any) -> Any:
        self._note("Authorize", payload)
        return call_result.Authorize({"status": "Accepted"})

    @on(Action.transaction_event)
    def on_transaction(self, **payload: Any) -> Any:
        self._note("TransactionEvent", payload)
        info = {"status": "Accepted"} if "id_token" in payload else None
        return call_result.TransactionEvent(id_token_info=info)

    @on(Action.meter_values)
    def on_meter(self, **payload: Any) -> Any:
        self._note("MeterValues", payload)
        return call_result.MeterValues()

    @on(Action.notify_report)
    def on_report(self, **payload: Any) -> Any:
        self._note("NotifyReport", payload)
        return call_result.NotifyReport()
