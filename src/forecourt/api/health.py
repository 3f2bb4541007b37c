"""`/healthz` and `/readyz`: for whoever keeps this running. Open to all; they say nothing but yes or no.

Guarantees
* Ready means that stations can connect, that the other processes can be reached, and that the books took a write just
  now, not that they once did. However many ask, the books are tried once at a time and no more than once a second.
* A process that is about to stop is not ready, before it does anything else about it.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation

from forecourt.csms.ports import Context, StoreUnavailable

_FRESH_S: Final = 1.0
_PATIENCE_S: Final = 3.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How it is."""

    healthy: bool


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests can be served."""

    ready: bool


class Probe:
    """Tries the books."""

    def __init__(self, context: Context, accepting: Callable[[], bool] = lambda: True) -> None:
        """`accepting`: whether stations can connect."""
        self._context = context
        self._accepting = accepting
        self._lock = asyncio.Lock()
        self._tried_s: float | None = None
        self._writable = False

    async def ready(self) -> bool:
        """Whether this process can do all that it is for."""
        return self._accepting() and self._context.bus.connected and await self.writable()

    async def writable(self) -> bool:
        """Whether they can be written to."""
        async with self._lock:
            now_s = asyncio.get_running_loop().time()
            if self._tried_s is None or now_s - self._tried_s > _FRESH_S:
                self._writable = await self._try()
                self._tried_s = asyncio.get_running_loop().time()
            return self._writable

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._context.store.write(lambda books: books.prove_writable())
        except (StoreUnavailable, TimeoutError):
            return False
        return True


@get("/healthz", summary="Whether the process answers", tags=["Health"], security=[])
async def healthz() -> Health:
    return Health(healthy=True)


@get(
    "/readyz",
    summary="Whether stations can connect, the books can be written to, and the other processes be reached",
    tags=["Health"],
    security=[],
    responses={503: ResponseSpec(data_container=Readiness, generate_examples=False, description="Not so")},
)
async def readyz(probe: NamedDependency[SkipValidation[Probe]]) -> Response[Readiness]:
    ready = await probe.ready()
    return Response(Readiness(ready=ready), status_code=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)
