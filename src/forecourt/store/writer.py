"""The writer's side of the books: a batch of units, one transaction, one commit.

Guarantees
* A unit that raises leaves nothing, and the others of its batch are not touched. When a batch can't be committed as a
  whole its units are tried one by one, and only those fail that can't be committed by themselves.
* A conflict with another process is run again, some times. A database that is gone is waited for, `PATIENCE_S` in
  all: a station that waits for its answer loses nothing, one that is refused may give up.
* A unit is never committed twice. Where a connection broke during a commit, PostgreSQL is asked what became of it.
* What was committed is known (`Kept`) while nobody else writes: on SQLite; on PostgreSQL, where the rows are found to
  be those that were written here. On SQLite, under load, what follows from readings is written every half second
  (`catching_up`), and not with every batch; less often where that would take more than a tenth of its time.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from forecourt.csms.measures import StoreMeasures
from forecourt.csms.ports import Books, Done, StoreUnavailable
from forecourt.csms.records import Event
from forecourt.store.books import SqlBooks
from forecourt.store.catching_up import catch_up, mark_behind
from forecourt.store.driver import run, together
from forecourt.store.engines import Passing, is_postgresql, passing

log = logging.getLogger(__name__)

PATIENCE_S: Final = 20.0
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
_CONFLICTS_IN_A_ROW: Final = 10
_VERSION_BITS: Final = 0xFFFFFFFF
"""A row names the transaction that wrote it (`xmin`) by the lower 32 bits of its id."""
_FEW: Final = 64
"""Units in a batch, below which everything is written at once, if there are few in a second, too."""
_FEW_A_SECOND: Final = 256
_SOON_S: Final = 0.5
_LATEST_S: Final = 5.0
_PAUSES: Final = 10.0
"""What is put off takes at most so small a part of the writer's time, or waits for `_LATEST_S`."""

_TRANSACTION_ID: Final = "SELECT pg_current_xact_id()::text"
_BECAME: Final = text("SELECT pg_xact_status(CAST(:id AS xid8))")


class Job(msgspec.Struct, gc=False):
    """A unit of work, who waits for it, and what became of it."""

    unit: Callable[[Books], Any]
    done: Done
    station: int | None = None
    """The number of the station that it is about."""
    result: Any = None
    error: BaseException | None = None


class Writer:
    """One connection that writes batches. Used from one thread."""

    def __init__(
        self,
        engine: Engine,
        unlogged: Iterable[str],
        patience_s: float = PATIENCE_S,
        measures: StoreMeasures | None = None,
    ) -> None:
        self._engine = engine
        self._measures = measures or StoreMeasures()
        self._unlogged = frozenset(unlogged)
        self._patience_s = patience_s
        self._shared = is_postgresql(engine)
        self._connection: Connection | None = None
        self._books: SqlBooks | None = None
        self._savepoint: _Savepoint
        self._next_whole_s = 0.0
        self._second_s = 0.0
        self._units = 0
        """In the second that began at `_second_s`."""
        self._was_rush = False
        self._marked = False

    def close(self) -> None:
        """The connection isn't needed any more."""
        if self._connection is not None:
            self._connection.close()

    @property
    def is_behind(self) -> bool:
        """Whether something waits to be written: by the next `write`, of no jobs too."""
        return self._books is not None and self._books.is_behind

    def connection(self) -> Connection:
        """The one that is written on, made when it is first needed."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._savepoint = _Savepoint(self._connection)
        return self._connection

    def write(self, jobs: Sequence[Job]) -> list[Event]:
        """Run `jobs` and commit, and note with each what became of it; gives what is to be told."""
        try:
            return self._patiently(jobs)
        except (SQLAlchemyError, _BatchFailed) as error:
            if len(jobs) == 1:
                self._measures.failed_units += 1
                jobs[0].error = _translated(_cause(error))
                return []
            log.warning("a commit of %d units failed, they are tried one by one: %s", len(jobs), error)
        return [event for job in jobs for event in self.write([job])]

    def _patiently(self, jobs: Sequence[Job]) -> list[Event]:
        until_s = time.monotonic() + self._patience_s
        tries = conflicts = 0
        while True:
            try:
                return self._once(jobs, until_s)
            except (SQLAlchemyError, _BatchFailed) as error:
                self._books = None  # what it knew may not be so
                trouble = passing(_cause(error))
                if trouble is not None:
                    self._measures.retries[trouble.value] += 1
                if trouble is Passing.CONFLICT and conflicts < _CONFLICTS_IN_A_ROW:
                    conflicts += 1
                    continue
                if trouble is not Passing.GONE or time.monotonic() >= until_s:
                    raise
                if tries == 0:
                    log.warning("the database is gone, it is waited for: %s", error)
                time.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
                tries += 1

    def _once(self, jobs: Sequence[Job], until_s: float) -> list[Event]:
        begun_s = time.perf_counter()
        connection = self.connection()
        fresh = self._books is None
        books = self._books = self._books or SqlBooks(connection, self._unlogged)
        whole = self._shared or not self._is_rush(len(jobs), begun_s) or begun_s >= self._next_whole_s
        transaction = connection.begin()
        try:
            if fresh and not self._shared:
                catch_up(connection)
                self._marked = False
            if self._shared:
                stations = {job.station for job in jobs if job.station is not None}
                if stations:
                    books.prove(stations)
            for job in jobs:
                job.result = job.error = None
                if not self._run_at_once(job, books):
                    self._run(job, books)
            run_s = time.perf_counter()
            with together(connection):
                named = run(connection, _TRANSACTION_ID) if self._shared else None
                events = books.flush(whole=whole)
            transaction_id = None if named is None else named.value()
            marked = books.is_behind
            if marked is not self._marked:
                mark_behind(connection, marked)
        except BaseException:
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            transaction.rollback()
            if transaction_id is None or passing(error) is not Passing.GONE:
                raise
            if not self._was_committed(transaction_id, until_s):
                raise
        self._marked = marked
        if whole:
            took_s = time.perf_counter() - run_s
            self._next_whole_s = begun_s + min(_LATEST_S, max(_SOON_S, _PAUSES * took_s))
        version = None if transaction_id is None else int(transaction_id) & _VERSION_BITS
        books.committed(keep=not self._shared, version=version)
        self._measures.batch_units.observe(len(jobs))
        self._measures.commit_s.observe(time.perf_counter() - begun_s)
        return events

    def _is_rush(self, units: int, now_s: float) -> bool:
        """Whether so much comes that what can be put off shall be."""
        if now_s - self._second_s >= 1.0:
            self._was_rush = now_s - self._second_s < 2.0 and self._units >= _FEW_A_SECOND
            self._second_s, self._units = now_s, 0
        self._units += units
        return units >= _FEW or self._was_rush

    @staticmethod
    def _run_at_once(job: Job, books: SqlBooks) -> bool:
        """Whether it was as usual (`ports.Usual`)."""
        at_once: Callable[[Books], Any] | None = getattr(job.unit, "at_once", None)
        if at_once is None:
            return False
        try:
            job.result = at_once(books)
        except Exception:
            log.exception("a unit has failed to be as usual")
        return job.result is not None

    def _run(self, job: Job, books: SqlBooks) -> None:
        mark = books.mark()
        self._savepoint.arm()
        try:
            job.result = job.unit(books)
        except Exception as error:
            # After an error of its own PostgreSQL does nothing more in a transaction that has no savepoint.
            broken = isinstance(error, DBAPIError) and self._shared and not self._savepoint.is_open
            if broken or passing(error) is not None:
                raise _BatchFailed from error
            self._savepoint.undo()
            if not books.back_to(mark):
                raise _BatchFailed from error
            job.error = _translated(error)
            return
        self._savepoint.done()

    def _was_committed(self, transaction_id: str, until_s: float) -> bool:
        """What became of a commit whose answer was lost; asked on a connection of its own."""
        while True:
            try:
                with self._engine.connect() as other:
                    became = other.execute(_BECAME, {"id": transaction_id}).scalar_one()
                if became != "in progress":
                    log.warning("a commit without an answer was %s", became)
                    return bool(became == "committed")
            except DBAPIError as error:
                if passing(error) is None:
                    raise
            if time.monotonic() >= until_s:
                log.error("nobody can say what became of a commit: its units count as failed")
                return False
            time.sleep(_PAUSES_S[-1])


class _BatchFailed(Exception):  # noqa: N818
    """A unit failed in a way that others of its batch can't be kept."""


class _Savepoint:
    """A savepoint for each unit that writes; who only looks, or leaves its writes for the end, needs none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._armed = False
        self.is_open = False
        """Whether the unit has one."""
        event.listen(connection, "before_cursor_execute", self._before)

    def arm(self) -> None:
        """A unit begins."""
        self._armed, self.is_open = True, False

    def done(self) -> None:
        """It has ended well."""
        self._armed = False
        if self.is_open:
            self._run("RELEASE SAVEPOINT unit")

    def undo(self) -> None:
        """It has failed."""
        self._armed = False
        if self.is_open:
            self._run("ROLLBACK TO SAVEPOINT unit")
            self._run("RELEASE SAVEPOINT unit")

    def _before(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if self._armed and not self.is_open and not statement.startswith("SELECT"):
            self.is_open = True
            self._run("SAVEPOINT unit")

    def _run(self, statement: str) -> None:
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(statement)
        except Exception as error:
            raise _BatchFailed from error
        finally:
            cursor.close()


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, _BatchFailed) and error.__cause__ is not None else error


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError):
        unavailable = StoreUnavailable(str(error.orig))
        unavailable.__cause__ = error
        return unavailable
    return error
