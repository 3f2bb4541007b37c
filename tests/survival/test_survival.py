"""`tools.survival` in short: processes under load lose one of themselves, NATS and PostgreSQL, and break no promise.

The whole of it, with partitions and disks, is `python -m tools.survival` (docs/operations.md).
"""

import pytest
from tools.survival.run import Plan, survive
from tools.survival.servers import missing

needs_servers = pytest.mark.skipif(bool(missing(cluster=True)), reason=f"not installed: {missing(cluster=True)}")


async def survived(plan: Plan) -> None:
    said: list[str] = []
    verdict = await survive(plan, said.append)
    assert verdict.wrong == [], "\n".join(said)
    audited = next(line for line in verdict.lines if line.startswith("audited"))
    assert "transactions" in audited
    assert "commands accepted" in audited
    assert "events" in audited


SHORT = Plan(faults=(), stations=9, seconds=0.3, pause_s=0.1, away_s=0.5, dead_after_s=3.0)


@needs_servers
@pytest.mark.timeout(900)
async def test_three_processes_survive_what_is_killed() -> None:
    await survived(SHORT._replace(faults=("csms", "nats", "postgresql")))


@needs_servers
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_two_processes_survive_the_loss_of_what_is_before_and_between_them() -> None:
    await survived(SHORT._replace(faults=("haproxy", "nats", "postgresql"), processes=2, stations=30))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_one_process_on_sqlite_survives_being_killed() -> None:
    await survived(SHORT._replace(faults=("csms",), single=True))
