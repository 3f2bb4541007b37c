"""The horizon planner beside the running controller: solved in a thread, followed when it is there in time.

Guarantees
* The loop never waits for the solver. One plan is made at a time, of what was known when it was begun.
* Past its deadline, or when the solver finds nothing or fails, there is no plan and the real-time rule decides alone.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.planner import Plan, Planner
from forecourt.controller.limits import limitable
from forecourt.controller.surroundings import PlanTask
from forecourt.domain.site import Site

log = logging.getLogger(__name__)


class PlanMaker:
    """Makes plans for one site. It has a compiled site of its own: the brain's is not for two threads."""

    def __init__(self, site: Site, *, slot_s: float, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._planner = Planner(CompiledSite(limitable(site)), slot_s=slot_s, time_limit_s=deadline_s * 0.8)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="planner")
        self._running: asyncio.Future[Plan | None] | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being made, or still is though nobody waits for it any more."""
        return self._running is not None and not self._running.done()

    async def make(self, task: PlanTask, done: Callable[[Plan | None, PlanTask], None]) -> None:
        """Make a plan and hand it over; None in place of one that isn't there in time."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._solve, task)
        self._running = running
        try:
            async with asyncio.timeout(self._deadline_s):
                plan = await asyncio.shield(running)
        except TimeoutError:
            log.warning("no plan within %g s; the real-time rule decides", self._deadline_s)
            plan = None
        done(plan, task)

    def close(self) -> None:
        """Wait for nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _solve(self, task: PlanTask) -> Plan | None:
        now_s = task.now.elapsed_s
        try:
            slots = self._planner.slots(task.demands, now_s)
            return self._planner.plan(
                task.demands,
                now_s,
                forecast=task.forecast(slots),
                readings=task.readings,
                limits=task.limits,
                reserved=task.reserved,
            )
        except (ValueError, KeyError, ArithmeticError):
            log.exception("no plan")
            return None
