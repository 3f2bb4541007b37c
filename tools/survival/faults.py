"""What is broken, and how it is mended: each is a coroutine that is run under load, and gives back a whole cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tools.survival.cluster import Cluster
from tools.survival.hosts import Host
from tools.survival.servers import Csms, Server

Fault = Callable[[Cluster, float, int], Awaitable[str]]
"""Breaks something for about so many seconds; the number says which time it is. Gives what it did, in words."""


async def csms(cluster: Cluster, away_s: float, turn: int) -> str:
    """kill -9 of one process after the other."""
    return await _killed(cluster.csms[turn % len(cluster.csms)], away_s)


async def haproxy(cluster: Cluster, away_s: float, _turn: int) -> str:
    """kill -9 of the load balancer: every station comes back at once."""
    assert cluster.haproxy is not None
    return await _killed(cluster.haproxy, away_s)


async def nats(cluster: Cluster, away_s: float, _turn: int) -> str:
    """kill -9 of NATS."""
    assert cluster.nats is not None
    return await _killed(cluster.nats, away_s)


async def postgresql(cluster: Cluster, away_s: float, _turn: int) -> str:
    """kill -9 of PostgreSQL with all its processes."""
    assert cluster.postgresql is not None
    return await _killed(cluster.postgresql, away_s)


async def _killed(server: Server, away_s: float) -> str:
    await server.kill()
    await asyncio.sleep(away_s)
    await server.start()
    return f"kill -9 of {server.name}, away for {away_s:g} s"


async def partition(cluster: Cluster, away_s: float, turn: int) -> str:
    """One process and what it needs no longer hear each other; packets vanish, nobody is told."""
    network, one = cluster.network, cluster.csms[turn % len(cluster.csms)]
    if not network.parts:
        return "skipped: needs network namespaces (root)"
    assert cluster.nats is not None
    assert cluster.postgresql is not None
    kind = turn % 4
    if kind == 3:
        network.unplug(one.host)
        await asyncio.sleep(away_s)
        network.plug(one.host)
        return f"{one.name} unplugged for {away_s:g} s"
    pairs: list[tuple[Host, Host]]
    match kind:
        case 0:
            pairs, words = [(one.host, cluster.nats.host)], f"{one.name} and nats"
        case 1:
            pairs, words = [(one.host, cluster.postgresql.host)], f"{one.name} and postgresql"
        case _:
            pairs = [(one.host, cluster.nats.host), (one.host, cluster.postgresql.host)]
            words = f"{one.name} and both nats and postgresql"
    for pair in pairs:
        network.part(*pair)
    await asyncio.sleep(away_s)
    for pair in pairs:
        network.join(*pair)
    return f"{words} parted for {away_s:g} s"


async def disk_full(cluster: Cluster, away_s: float, _turn: int) -> str:
    """The database's disk is full, then has room again; PostgreSQL is started again if it gave up."""
    if not cluster.disk.limited:
        return "skipped: needs a file system of its own (root, loop devices)"
    await asyncio.to_thread(cluster.disk.fill)
    await asyncio.sleep(away_s)
    cluster.disk.free()
    ended = cluster.postgresql is not None and not cluster.postgresql.alive
    if cluster.postgresql is not None and ended:
        await cluster.postgresql.start()
    return f"disk full for {away_s:g} s{', PostgreSQL had ended' if ended else ''}"


async def disk_slow(cluster: Cluster, away_s: float, _turn: int) -> str:
    """The database's disk does twenty writes a second."""
    if not cluster.disk.slows:
        return "skipped: needs a loop device and the blkio controller"
    cluster.disk.slow(20)
    await asyncio.sleep(away_s)
    cluster.disk.slow(0)
    return f"twenty writes a second for {away_s:g} s"


async def upgrade(cluster: Cluster, _away_s: float, _turn: int) -> str:
    """SIGTERM, wait for the end, start: one process after the other, as an upgrade goes."""

    async def over(process: Csms) -> None:
        code = await process.stop()
        if code:
            raise RuntimeError(f"{process.name} ended with {code}: {process.last_words()}")
        await process.start()
        await asyncio.sleep(5.0)  # HAProxy sees it twice before it sends anybody

    for process in cluster.csms:
        await over(process)
    return "each process drained, ended and started again"


async def nothing(_cluster: Cluster, away_s: float, _turn: int) -> str:
    """A soak: only time."""
    await asyncio.sleep(away_s)
    return "left alone"


OF_A_CLUSTER: Final[dict[str, Fault]] = {
    "csms": csms,
    "haproxy": haproxy,
    "nats": nats,
    "postgresql": postgresql,
    "partition": partition,
    "disk-full": disk_full,
    "disk-slow": disk_slow,
    "upgrade": upgrade,
}
OF_ONE: Final[dict[str, Fault]] = {"csms": csms, "disk-full": disk_full, "disk-slow": disk_slow}
"""One process on SQLite."""
