"""How long the API runs: what waits for a long time ends with it."""

import asyncio
from typing import Any, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

T = TypeVar("T")


class Lifetime:
    """Shared by all that waits: streams, and requests that wait for a command."""

    def __init__(self, *, longest_wait_s: float, heartbeat_s: float) -> None:
        self.longest_wait_s = longest_wait_s
        self.heartbeat_s = heartbeat_s
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """From now on nobody waits."""
        self._stopping.set()

    async def stopped(self) -> None:
        """Returns when the API stops."""
        await self._stopping.wait()

    async def unless_stopping(self, awaited: "asyncio.Future[T]") -> T | None:
        """The result; None when the API stops before, and then `awaited` is cancelled."""
        stopping = asyncio.ensure_future(self.stopped())
        both: list[asyncio.Future[Any]] = [awaited, stopping]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return awaited.result() if awaited.done() else None
        finally:
            for task in both:
                if not task.done():
                    task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


CallerLifetime = NamedDependency[SkipValidation[Lifetime]]
