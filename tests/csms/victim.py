"""A CSMS in a process of its own, to be killed: `python -m tests.csms.victim` makes one for each database it is told.

Each is forked from a process that has imported everything already, which takes longer than all else in the life of one
that is killed after a second. It says its process id on a line, and its port on another as soon as it listens; when it
is over, its parent says so on a third.
"""

import asyncio
import gc
import itertools
import os
import sys
import uuid

from forecourt.bus.in_process import InProcessBus
from forecourt.csms import commands
from forecourt.csms.ports import Context
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.dialect.v16 import V16
from forecourt.net.clock import RealClock
from forecourt.net.csms_session import CsmsServer
from forecourt.store.sql import open_store

STATIONS = 8


async def serve(database: str) -> None:
    """Serve until killed, and keep asking things of stations."""
    settings = CsmsSettings(
        unknown_stations=UnknownStationPolicy.ACCEPT, unknown_tokens=UnknownTokenPolicy.ACCEPT, command_timeout_s=2.0
    )
    store = await open_store(database, publish=lambda events: bus.publish(events))  # noqa: PLW0108
    bus = InProcessBus(lambda after, limit: store.read(lambda books: books.events.after(after, limit)))
    context = Context(store=store, bus=bus, clock=RealClock(), new_id=lambda: str(uuid.uuid4()), settings=settings)
    server = CsmsServer(context, {"ocpp1.6": V16})
    await server.start(port=0)
    print(server.port, flush=True)
    for number in itertools.count():
        await asyncio.sleep(0.01)
        station_id = f"CS{number % STATIONS}"
        if await store.read(lambda books, name=station_id: books.stations.by_identity(name)) is not None:  # type: ignore[misc]
            await commands.issue_raw(context, station_id, "ClearCache", b"{}")


def main() -> None:
    """One after the other, as long as databases are named."""
    gc.freeze()
    for line in sys.stdin:
        process_id = os.fork()
        if process_id == 0:
            print(os.getpid(), flush=True)
            asyncio.run(serve(line.strip()))
        _, status = os.waitpid(process_id, 0)
        print(f"over: {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
