"""A cluster under load, faults one after the other, and an audit at the end."""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.survival import audit, faults
from tools.survival.cluster import Cluster
from tools.survival.operators import PROBES_AT_ONCE, Operators
from tools.survival.servers import PATIENCE_S, memory_bytes
from tools.survival.stations import Pace, Station, Tally

DAY_STEP_S = 60.0
_SAMPLE_S = 1.0


class Plan(NamedTuple):
    """What is done."""

    faults: Sequence[str]
    """Names of `faults.OF_A_CLUSTER`, or of `OF_ONE` where `single`; "soak": nothing is broken."""
    stations: int = 200
    seconds: float = 60.0
    """For each fault, or for the soak."""
    pause_s: float = 0.5
    """Between two messages of a station."""
    away_s: float = 3.0
    """How long what was broken stays so, the first time; later it is four times as long."""
    single: bool = False
    processes: int = 3
    dead_after_s: float | None = None
    day: bool = False
    """Every message is a minute of the station's own clock: a day takes 1,440 of each."""


class Verdict(NamedTuple):
    """What came of it."""

    wrong: list[str]
    lines: list[str]


class Memory:
    """What each CSMS process takes, second by second."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.samples: dict[tuple[str, int], list[tuple[float, int]]] = {}

    async def watch(self) -> None:
        while True:
            for csms in self._cluster.csms:
                if csms.alive:
                    with contextlib.suppress(OSError):
                        one = (time.monotonic(), memory_bytes(csms.pid))
                        self.samples.setdefault((csms.name, csms.pid), []).append(one)
            await asyncio.sleep(_SAMPLE_S)

    def lines(self) -> list[str]:
        """Of each process that lived a while: its last, and the slope of its second half, in KiB a minute."""
        said = []
        for (name, _), samples in self.samples.items():
            late = samples[len(samples) // 2 :]
            if len(late) < 20:
                continue
            slope = statistics.linear_regression(*zip(*late, strict=True)).slope
            said.append(f"memory of {name}: {late[-1][1] / 2**20:.1f} MiB, {slope * 60 / 1024:+.0f} KiB a minute")
        return said


async def survive(plan: Plan, say: Callable[[str], None] = print) -> Verdict:
    """Do it. RuntimeError when a server can't be started at all."""
    with tempfile.TemporaryDirectory(prefix="survival-") as folder:
        cluster = Cluster(Path(folder), 0 if plan.single else plan.processes, dead_after_s=plan.dead_after_s)
        async with cluster:
            say(f"{len(cluster.csms)} processes on {'SQLite' if plan.single else 'PostgreSQL, NATS behind HAProxy'}")
            return await _survive(plan, cluster, say)


async def _survive(plan: Plan, cluster: Cluster, say: Callable[[str], None]) -> Verdict:
    tally, connected = Tally(), asyncio.Queue[Station](PROBES_AT_ONCE)
    pace = Pace(plan.pause_s, DAY_STEP_S if plan.day else None)
    stations = [Station(f"S{number}", cluster.ocpp, pace, tally, connected) for number in range(plan.stations)]
    operators = Operators(cluster.api, cluster.key, stations, tally)
    memory = Memory(cluster)
    lives = [asyncio.create_task(station.run()) for station in stations]
    beside = [asyncio.create_task(work) for work in (operators.listen(), memory.watch())]
    asking = [asyncio.create_task(operators.command_all_the_time(0.1)) for _ in range(4)]
    asking += [asyncio.create_task(operators.probe(connected)) for _ in range(PROBES_AT_ONCE)]
    try:
        await _until(lambda: all(station.served_at_s is not None for station in stations), "all stations are served")
        tally.reached_s.clear()
        lines: list[str] = []
        wrong: list[str] = []
        for name in plan.faults:
            lines += await _broken(name, plan, cluster, tally, say)
        await _until(lambda: all(station.served_at_s is not None for station in stations), "all stations are back")
        found = await audit.of_the_sockets(cluster, stations, operators)
        wrong += found.wrong
        for task in asking:
            task.cancel()
        pace.pause_s = min(pace.pause_s, 0.1)
        for station in stations:
            station.finish()
        await _until(lambda: all(station.finished for station in stations), "all stations have said everything")
        wrong += await _audited(cluster, stations, operators, tally, lines)
        if died := [f"{life.exception()!r}" for life in lives if life.done()]:
            wrong.append(f"{len(died)} stations of the load have failed: {died[0]}")
        lines += memory.lines()
        for line in lines:
            say(line)
        for line in wrong[:20]:
            say(f"WRONG: {line}")
        return Verdict(wrong, lines)
    finally:
        everything = [*lives, *beside, *asking]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        await operators.close()


async def _broken(name: str, plan: Plan, cluster: Cluster, tally: Tally, say: Callable[[str], None]) -> list[str]:
    until_s, turn = time.monotonic() + plan.seconds, 0
    answered, refused = tally.answered, tally.refused
    tally.away_s.clear()
    tally.reached_s.clear()
    tally.unreached = 0
    fault = faults.nothing if name == "soak" else (faults.OF_ONE if plan.single else faults.OF_A_CLUSTER)[name]
    while turn == 0 or time.monotonic() < until_s:
        away_s = plan.seconds if name == "soak" else plan.away_s * (1 if turn % 2 == 0 else 4)
        words = await fault(cluster, away_s, turn)
        say(f"{name}: {words}")
        turn += 1
        if words.startswith("skipped"):
            return [f"{name}: {words}"]
        await asyncio.gather(*(server.ready() for server in cluster.servers))
        await asyncio.sleep(min(5.0, plan.seconds / 3))
    away, reached = sorted(tally.away_s), sorted(tally.reached_s)
    line = f"{name}: {turn} times; {tally.answered - answered} calls answered, {tally.refused - refused} refused"
    if away:
        line += f"; {len(away)} connections lost, back after {_spread(away)} s"
    if reached:
        line += f"; {len(reached)} reached after {_spread(reached)} s, {tally.unreached} not"
    return [line]


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} (at most {values[-1]:.2f})"


async def _audited(
    cluster: Cluster, stations: list[Station], operators: Operators, tally: Tally, lines: list[str]
) -> list[str]:
    """As soon as nothing is wrong; what still is when the last deadline is over."""
    findings = audit.Findings()

    async def clean() -> bool:
        nonlocal findings
        findings = await audit.of_the_books(cluster, stations, operators, tally, heard=True)
        return not findings.wrong

    with contextlib.suppress(RuntimeError):
        await _until(clean, "nothing is wrong", every_s=2.0)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(findings.counts.items()))
    latencies = sorted(operators.latencies_s)
    lines.append(f"audited: {counts}")
    lines.append(
        f"API: {dict(operators.statuses)}; commands answered after {_spread(latencies)} s" if latencies else ""
    )
    return findings.wrong


async def _until(holds: Callable[[], bool | Awaitable[bool]], words: str, *, every_s: float = 0.1) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        found: Any = holds()
        if found if isinstance(found, bool) else await found:
            return
        if time.monotonic() > until_s:
            raise RuntimeError(f"not so after {PATIENCE_S:g} s: {words}")
        await asyncio.sleep(every_s)
