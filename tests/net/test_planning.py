"""The planner in its thread: plans in time, none when late, and the loop never waits."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.net.peers import until

from forecourt.allocation.demand import Demand, NodeLimit
from forecourt.allocation.planner import Plan
from forecourt.controller.outlook import Outlook, PlannerSettings
from forecourt.controller.surroundings import PlanTask
from forecourt.domain.clock import Now
from forecourt.domain.site import EvsePoint, GridConnection, Site
from forecourt.net.planning import PlanMaker
from forecourt.quantities import PHASES, PerPhase

SITE = Site(
    grid=GridConnection(name="grid", rating_a=PerPhase.of(63.0)),
    evses=tuple(EvsePoint(station_id=f"S{number}", rotation=PHASES) for number in range(4)),
).checked()
KEYS = [point.key for point in SITE.evses]


def task(limits: dict[str, NodeLimit] | None = None) -> PlanTask:
    demands = tuple(Demand(evse=key, departs_s=7200.0, remaining_wh=10_000.0) for key in KEYS)
    now = Now(0.0, 0.0, datetime(2026, 3, 2, 12, tzinfo=UTC))
    return PlanTask(demands, now, {}, limits or {}, (), Outlook(PlannerSettings()), 0.0)


def busy(maker: PlanMaker) -> bool:
    return maker.busy


async def made(maker: PlanMaker, of: PlanTask) -> Plan | None:
    found: list[Plan | None] = []
    await maker.make(of, lambda plan, _: found.append(plan))
    maker.close()
    assert len(found) == 1
    return found[0]


async def test_a_plan_is_made_beside_the_loop() -> None:
    plan = await made(PlanMaker(SITE, slot_s=300.0, deadline_s=20.0), task())
    assert plan is not None
    assert {share.unmet_wh for share in plan.shares.values()} == {0.0}


async def test_a_plan_keeps_a_limit_for_the_time_being() -> None:
    limits = {"grid": NodeLimit(controlled_w=7560.0)}
    plan = await made(PlanMaker(SITE, slot_s=300.0, deadline_s=20.0), task(limits))
    assert plan is not None
    assert sum(share.now_a for share in plan.shares.values()) * 690.0 <= 7561.0


async def test_past_the_deadline_there_is_none_and_the_next_one_waits_for_the_solver(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    maker = PlanMaker(SITE, slot_s=300.0, deadline_s=0.1)

    def slow(*_: Any) -> None:
        time.sleep(0.5)

    monkeypatch.setattr(maker, "_solve", slow)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    other = asyncio.create_task(others())
    found: list[Plan | None] = []
    await maker.make(task(), lambda plan, _: found.append(plan))
    assert found == [None]
    assert busy(maker)
    assert turns > 3
    assert "no plan within 0.1 s" in caplog.text
    await until(lambda: not maker.busy)
    other.cancel()
    maker.close()


async def test_a_task_that_can_t_be_planned_is_no_plan(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = PlanTask(
        (Demand(evse=KEYS[0]._replace(station_id="X")),), task().now, {}, {}, (), Outlook(PlannerSettings()), 0.0
    )
    assert await made(PlanMaker(SITE, slot_s=300.0, deadline_s=20.0), nowhere) is None
    assert "no plan" in caplog.text
