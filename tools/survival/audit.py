"""What became of what was promised: the books against what stations and operators remember.

* Each answered start is a transaction of its own, and there is no other; each answered reading is in it once; each
  answered stop has ended it with the energy that the meter counted.
* Each command that was answered with an id has a final state. One that was accepted came to its station, none came
  twice, and one that was never sent never came.
* Who listens to events has heard each that is logged once, in order, and of each transaction one start and one end.
* Each station is held by one process, and can be reached.
"""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, inspect, select
from tools.survival.cluster import Cluster
from tools.survival.operators import Operators
from tools.survival.stations import Station, Tally, Transaction

from forecourt.store import tables
from forecourt.store.engines import make_engine
from forecourt.store.events import SqlEventBooks

_NEVER_SENT = {"offline", "expired"}
_FINAL = {"accepted", "rejected", "call_error", "timeout", "offline", "expired"}


class Findings:
    """What is wrong; empty: nothing."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()

    def check(self, holds: bool, text: str) -> None:
        """One more promise."""
        if not holds:
            self.wrong.append(text)


async def of_the_books(
    cluster: Cluster, stations: Sequence[Station], operators: Operators, tally: Tally, *, heard: bool
) -> Findings:
    """Compare. Everybody has to have finished. `heard`: the listener has had the time to hear everything."""
    findings = Findings()

    def look() -> None:
        engine = make_engine(cluster.database)
        try:
            with engine.connect() as connection:
                _transactions(findings, connection, stations)
                _commands(findings, connection, operators, tally)
                if heard:
                    _events(findings, connection, operators)
        finally:
            engine.dispose()

    await asyncio.to_thread(look)
    return findings


def _transactions(findings: Findings, connection: Connection, stations: Sequence[Station]) -> None:
    booked: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(select(tables.transactions).order_by(tables.transactions.c.number)):
        booked[row.station_id].append(row)
    metered: dict[int, list[tuple[Any, float]]] = defaultdict(list)
    for number, at, energy_wh in _readings(connection):
        metered[number].append((at, energy_wh))
    for station in stations:
        ours = {transaction.started_at: transaction for transaction in station.transactions}
        theirs = booked[station.name]
        findings.counts["transactions"] += len(theirs)
        times = [row.started_at for row in theirs]
        findings.check(len(times) == len(set(times)), f"{station.name}: a transaction is there twice: {times}")
        for row in theirs:
            findings.check(row.started_at in ours, f"{station.name}: nobody has started {row.number}: {row.started_at}")
        by_start = {row.started_at: row for row in theirs}
        for started_at, transaction in ours.items():
            if (booked_one := by_start.get(started_at)) is not None:
                _one(findings, station, transaction, booked_one, metered[booked_one.number])
            else:
                findings.check(not transaction.start_answered, f"{station.name}: {started_at} is lost")


def _one(
    findings: Findings, station: Station, transaction: Transaction, row: Any, metered: list[tuple[Any, float]]
) -> None:
    name = f"{station.name} {row.number}"
    if transaction.start_answered:
        findings.check(row.transaction_id == transaction.id, f"{name}: is {row.transaction_id}, not {transaction.id}")
    for at, energy_wh in transaction.readings.items():
        findings.counts["readings"] += 1
        found = [wh for there, wh in metered if there == at]
        findings.check(bool(found), f"{name}: the reading at {at} is lost")
        findings.check(all(wh == energy_wh for wh in found), f"{name}: the reading at {at} is another: {found}")
        findings.check(len(found) < 3, f"{name}: the reading at {at} is there {len(found)} times")
    if transaction.stop_wh is not None:
        findings.check(row.state.value == "ended", f"{name}: its end is lost, it is {row.state.value}")
        findings.check(
            row.energy_wh == transaction.stop_wh - transaction.start_wh,
            f"{name}: {row.energy_wh} Wh are billed, {transaction.stop_wh - transaction.start_wh} were counted",
        )


def _commands(findings: Findings, connection: Connection, operators: Operators, tally: Tally) -> None:
    states = {
        row.id: row.state.value for row in connection.execute(select(tables.commands.c.id, tables.commands.c.state))
    }
    findings.counts["commands"] = len(operators.said_of)
    open_ones = [f"{command_id} {state}" for command_id, state in states.items() if state not in _FINAL]
    findings.check(not open_ones, f"{len(open_ones)} commands have no final state: {open_ones[:5]}")
    for command_id, said in operators.said_of.items():
        state, times = states.get(command_id), tally.received.get(said, 0)
        findings.counts[f"commands {state}"] += 1
        findings.check(state is not None, f"command {command_id} is lost")
        told = operators.told.get(command_id, state)
        findings.check(told == state, f"command {command_id} was {told}, and is {state}")
        findings.check(state != "accepted" or times == 1, f"command {command_id} is {state} and came {times} times")
        findings.check(state not in _NEVER_SENT or times == 0, f"command {command_id} is {state}, and came")
    twice = [said for said, times in tally.received.items() if times > 1]
    findings.check(not twice, f"{len(twice)} commands came twice")


def _readings(connection: Connection) -> Iterable[tuple[int, datetime, float]]:
    """Transaction, instant and watt-hours of each."""
    there = inspect(connection).get_table_names()
    found: dict[tuple[int, datetime, int], tuple[int, datetime, float]] = {}
    for table in (tables.readings, tables.recent_readings):
        if table.name in there:
            for row in connection.execute(select(table).where(table.c.energy_wh.is_not(None))):
                key = (row.station_number, row.at, row.digest)
                found.setdefault(key, (row.transaction_number, row.at, row.energy_wh))
    return found.values()


def _events(findings: Findings, connection: Connection, operators: Operators) -> None:
    heard = operators.heard
    findings.counts["events"] = len(heard)
    findings.check(heard == sorted(set(heard)), "events came twice, or in another order")
    logged = {event.id for event in SqlEventBooks(connection, frozenset()).after(0, sys.maxsize)}
    findings.check(logged <= set(heard), f"{len(logged - set(heard))} events were not heard")
    often = [key for key, times in operators.kinds.items() if times > 1]
    findings.check(not often, f"told more than once: {often[:5]}")
    if logged:
        numbers = connection.execute(select(tables.transactions.c.number)).scalars().all()
        untold = [number for number in numbers if operators.kinds["transaction.started", number] == 0]
        findings.check(not untold, f"of {len(untold)} transactions no start was told")


async def of_the_sockets(cluster: Cluster, stations: Sequence[Station], operators: Operators) -> Findings:
    """Whether each station is at one process, and reached. Everybody has to be connected."""
    findings = Findings()
    held: list[int] = []
    for _ in range(100):  # who was driven out takes a moment to go
        held = [await csms.stations() for csms in cluster.csms]
        if sum(held) == len(stations):
            break
        await asyncio.sleep(0.2)
    findings.check(sum(held) == len(stations), f"{len(stations)} stations are held {held} times")
    limit = asyncio.Semaphore(16)

    async def reach(station: Station) -> str | None:
        async with limit:
            return await operators.command(station, wait_s=20.0)

    states = Counter(await asyncio.gather(*map(reach, stations)))
    findings.check(states == {"accepted": len(stations)}, f"asked each station once: {dict(states)}")
    findings.counts["held"] = sum(held)
    return findings
