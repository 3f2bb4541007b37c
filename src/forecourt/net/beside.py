"""What a CSMS does beside sockets and API: webhooks, batches, load groups, changes of passwords, tidying up.

Guarantees
* It may run in each of several processes: whatever is taken up is taken up once, or does no harm twice.
* Books that can't be reached stop nothing: it goes on when they are back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from forecourt.csms import assignments, credentials, endings, people_upkeep
from forecourt.csms.batches import Batches
from forecourt.csms.group_keeper import GroupKeeper
from forecourt.csms.people_ports import Postman
from forecourt.csms.ports import Context, StoreUnavailable
from forecourt.csms.webhooks import Outbox
from forecourt.net.webhook_post import HttpPostman

log = logging.getLogger(__name__)

_FORGET_EVERY_S: Final = 600.0
_PAUSE_S: Final = 1.0
"""After something went wrong."""


class Beside:
    """Runs it all. `start`, then `stop`."""

    def __init__(self, context: Context, postman: Postman | None = None) -> None:
        self._context = context
        self._own = HttpPostman(context.settings.people) if postman is None else None
        self._outbox = Outbox(context, postman or self._own or HttpPostman(context.settings.people))
        self._batches = Batches(context)
        self._groups = GroupKeeper(context)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """From now on."""
        interval_s = self._context.settings.people.webhook_interval_s
        turns: tuple[tuple[Callable[[], Awaitable[int]], float], ...] = (
            (self._outbox.turn, interval_s),
            (self._batches.turn, interval_s),
            (self._groups.turn, 0.0),
            (lambda: assignments.turn(self._context), interval_s),
            (lambda: credentials.turn(self._context), interval_s),
            (lambda: people_upkeep.forget(self._context), _FORGET_EVERY_S),
            (lambda: endings.close_stale(self._context), _FORGET_EVERY_S),
        )
        self._tasks = [asyncio.create_task(self._keep(turn, wait_s)) for turn, wait_s in turns]

    async def stop(self) -> None:
        """Let go of everything; it goes on after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._outbox.stop()
        await self._batches.stop()
        await self._groups.stop()
        if self._own is not None:
            await self._own.close()

    @staticmethod
    async def _keep(turn: Callable[[], Awaitable[int]], wait_s: float) -> None:
        while True:
            try:
                await turn()
            except StoreUnavailable:
                log.exception("what is beside the stations has to wait")
                await asyncio.sleep(_PAUSE_S)
            except Exception:
                log.exception("what is beside the stations failed, and is tried again")
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(wait_s)
