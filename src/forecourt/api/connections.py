"""HTTP connections that don't wait for ever: the patience that uvicorn leaves to whoever stands in front of it.

Guarantees
* A connection on which no complete request head arrives within `head_timeout_s` of its first byte, or of the
  connection itself, is dropped.
* A peer that takes nothing of what is written to it within `stall_timeout_s` is cut off, whether it reads a list, an
  event stream or a WebSocket; what was waiting for it is freed.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class _Stall:
    """Cuts off a transport that doesn't become writable in time."""

    def __init__(self, stall_timeout_s: float) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._timer: asyncio.TimerHandle | None = None

    def begins(self, transport: asyncio.Transport) -> None:
        self.is_over()
        self._timer = asyncio.get_running_loop().call_later(self._stall_timeout_s, transport.abort)

    def is_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def patient_protocols(
    head_timeout_s: float, stall_timeout_s: float
) -> tuple[type[H11Protocol], type[WebSocketsSansIOProtocol]]:
    """Protocols for uvicorn's configuration: HTTP and WebSocket."""

    class PatientHttp(H11Protocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._stall = _Stall(stall_timeout_s)
            self._head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            super().connection_made(transport)
            self._watch_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._stop_watching_head()  # from here on it is idle, and uvicorn's own timer runs

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_watching_head()
            self._stall.is_over()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            self._stall.begins(self.transport)
            super().pause_writing()

        def resume_writing(self) -> None:
            self._stall.is_over()
            super().resume_writing()

        def _watch_head(self) -> None:
            """Waiting for a head: no request is under way."""
            cycle: Any = self.cycle  # None before the first request, whatever uvicorn declares
            idle = cycle is None or cycle.response_complete
            if not idle or self.transport.get_protocol() is not self:
                self._stop_watching_head()
            elif self._head_timer is None:
                self._head_timer = asyncio.get_running_loop().call_later(head_timeout_s, self.transport.abort)

        def _stop_watching_head(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    class PatientWebSocket(WebSocketsSansIOProtocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._stall = _Stall(stall_timeout_s)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stall.is_over()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            self._stall.begins(self.transport)
            super().pause_writing()

        def resume_writing(self) -> None:
            self._stall.is_over()
            super().resume_writing()

    return PatientHttp, PatientWebSocket
