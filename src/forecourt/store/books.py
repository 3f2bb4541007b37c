"""All books on one connection, and what they leave for the end of a batch. See `csms.book_ports.Books`."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection

from forecourt.csms.records import Event
from forecourt.store.access import SqlAccessBooks
from forecourt.store.billing import SqlMoneyBooks
from forecourt.store.charging import SqlChargingBooks
from forecourt.store.commands import SqlCommandBooks
from forecourt.store.driver import together
from forecourt.store.engines import prove_writable
from forecourt.store.events import SqlEventBooks
from forecourt.store.groups import SqlGroupBooks
from forecourt.store.log import SqlLogBooks
from forecourt.store.people import SqlPeopleBooks
from forecourt.store.processes import SqlProcessBooks
from forecourt.store.resources import SqlResourceBooks
from forecourt.store.sites import SqlSiteBooks
from forecourt.store.stations import SqlStationBooks
from forecourt.store.tokens import SqlTokenBooks
from forecourt.store.transactions import SqlTransactionBooks


class Mark(NamedTuple):
    """How much had been left for the end of the batch at one moment."""

    readings: int
    messages: int
    events: int
    transactions: int
    numbers: int
    connectors: int
    changes: int
    standings: int
    flushes: int


class SqlBooks:
    """See `csms.book_ports.Books`."""

    def __init__(self, connection: Connection, unlogged: frozenset[str] = frozenset()) -> None:
        self._connection = connection
        self.stations = SqlStationBooks(connection)
        self.tokens = SqlTokenBooks(connection)
        self.transactions = SqlTransactionBooks(connection)
        self.commands = SqlCommandBooks(connection)
        self.charging = SqlChargingBooks(connection)
        self.log = SqlLogBooks(connection)
        self.events = SqlEventBooks(connection, unlogged)
        self.access = SqlAccessBooks(connection)
        self.resources = SqlResourceBooks(connection)
        self.sites = SqlSiteBooks(connection)
        self.money = SqlMoneyBooks(connection, self.transactions.write_changed)
        self.people = SqlPeopleBooks(connection)
        self.groups = SqlGroupBooks(connection)
        self.processes = SqlProcessBooks(connection)

    def prove_writable(self) -> None:
        """Write something that changes nothing, yet needs all that a write needs."""
        prove_writable(self._connection)

    def mark(self) -> Mark:
        """Where a unit begins."""
        return Mark(
            len(self.transactions.metered.pending),
            len(self.log.pending),
            len(self.events.pending),
            self.transactions.kept.steps,
            self.transactions.numbers.steps,
            self.stations.kept.steps,
            len(self.stations.changes),
            self.stations.standings.steps,
            self.transactions.flushes + self.transactions.metered.flushes + self.log.flushes + self.stations.flushes,
        )

    def back_to(self, mark: Mark) -> bool:
        """Drop what came since `mark`. False: what had come before it was written in between, and can't be kept."""
        if self.mark().flushes != mark.flushes:
            return False
        del self.transactions.metered.pending[mark.readings :]
        del self.log.pending[mark.messages :]
        del self.events.pending[mark.events :]
        self.transactions.kept.back_to(mark.transactions)
        self.transactions.numbers.back_to(mark.numbers)
        self.stations.kept.back_to(mark.connectors)
        del self.stations.changes[mark.changes :]
        self.stations.standings.back_to(mark.standings)
        return True

    @property
    def is_behind(self) -> bool:
        """Whether something that follows from what is in the database waits for a later batch."""
        return self.transactions.kept.is_behind or self.stations.is_behind

    def flush(self, *, whole: bool = True) -> list[Event]:
        """Write what was left for the end of the batch; gives what to publish after the commit.

        Not `whole`: what follows from readings, and when somebody was last seen, may wait for a later batch.
        """
        self.transactions.flush(whole=whole)
        self.log.flush()
        self.stations.flush(whole=whole)
        return self.events.take()

    def committed(self, *, keep: bool, version: int | None = None) -> None:
        """What was flushed is in the database. `keep`: nobody else writes to it, so what is known stays true.

        `version`: what PostgreSQL calls the transaction in its rows.
        """
        self.transactions.committed(keep=keep, version=version)
        self.stations.committed(keep=keep, version=version)

    def prove(self, stations: Collection[int]) -> None:
        """These stations will be asked for: what is remembered of them is believed as far as it is still so."""
        with together(self._connection):
            running = self.transactions.versions(stations)
            placed = self.stations.versions(stations)
        self.transactions.prove([] if running is None else running.rows())
        self.stations.prove(stations, placed.rows())
