"""The books in an SQL database: one writer, group commit, readers beside it. See `csms.ports.Store`.

Guarantees
* Units of work run one after the other on the writer's thread. Those that wait while a commit is under way share the
  next one (group commit): durability costs one sync for all of them. A result is given after the commit, never before.
* Where several units come at a time commits begin 20 ms apart, unless somebody waits for what was asked for by `write`.
* What is asked for by `write` (commands, the API) goes before what stations tell by `submit` (`store.lanes`).
* A unit may run more than once, and is committed at most once: `store.writer` says when.
* Readers have connections of their own, see a snapshot, never wait for the writer and never hold it up.
* Should the writer end by anything else, nobody waits for it: what it had in hand and all that follows fails.
* The schema is brought up to date when the store is opened.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from forecourt.csms.measures import StoreMeasures
from forecourt.csms.ports import Books, Done, StoreUnavailable
from forecourt.csms.records import Event
from forecourt.store.books import SqlBooks
from forecourt.store.engines import Passing, make_engine, passing, why
from forecourt.store.lanes import Lanes
from forecourt.store.migrate import upgrade
from forecourt.store.writer import PATIENCE_S, Job, Writer

log = logging.getLogger(__name__)

T = TypeVar("T")
Publish = Callable[[Sequence[Event]], None]

_READERS: Final = 4
_APART_S: Final = 0.02
_SEVERAL: Final = 3
"""After a batch of so many the next one begins so much later, unless somebody asks: fewer commits, which cost the same
whether they carry two readings or twenty."""
_IDLE_S: Final = 0.2
"""After so long without work the writer writes what it had put off."""


class SqlStore:
    """See `csms.ports.Store`. Made by `open_store`; used from one event loop."""

    def __init__(
        self,
        engine: Engine,
        publish: Publish,
        unlogged: Iterable[str],
        patience_s: float = PATIENCE_S,
        measures: StoreMeasures | None = None,
    ) -> None:
        self._measures = measures or StoreMeasures()
        self._engine = engine
        self._publish = publish
        self._patience_s = patience_s
        self._unlogged = frozenset(unlogged)
        self._loop = asyncio.get_running_loop()
        self._jobs = Lanes()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="books-reader")
        self._local = threading.local()
        self._reading: list[Connection] = []
        self._writer = threading.Thread(target=self._write_all, name="books-writer", daemon=True)
        self._closed = False
        self._failed = False
        self._in_hand: list[Job] = []
        self._writer.start()

    def write(self, unit: Callable[[Books], T]) -> "asyncio.Future[T]":
        """Run `unit`; its result after the commit."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed or self._failed:
            future.set_exception(StoreUnavailable(self._why_not()))
        else:
            self._jobs.ask(Job(unit, partial(_settle, future)))
        return future

    def submit(self, unit: Callable[[Books], Any], done: Done, station_number: int | None = None) -> None:
        """Run `unit`; `done` after the commit, never before this has returned."""
        if self._closed or self._failed:
            self._loop.call_soon(done, None, StoreUnavailable(self._why_not()))
        else:
            self._jobs.tell(Job(unit, done, station_number))

    def _why_not(self) -> str:
        return "the store is closed" if self._closed else "the books can't be written any more"

    def read(self, query: Callable[[Books], T]) -> "asyncio.Future[T]":
        """Run `query` on what is committed."""
        return self._loop.run_in_executor(self._readers, self._read, query)

    async def close(self) -> None:
        """Commit what was submitted, then close."""
        if self._closed:
            return
        self._closed = True
        self._jobs.close()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._reading:
            connection.close()
        self._engine.dispose()
        await asyncio.sleep(0)  # what the writer has given in is handed out in this turn

    # On the readers' threads

    def _read(self, query: Callable[[Books], T]) -> T:
        try:
            return self._read_once(query)
        except DBAPIError as error:
            if passing(error) is not Passing.GONE:
                raise StoreUnavailable(str(error.orig)) from error
        try:
            return self._read_once(query)  # the server was restarted, say, since somebody last looked
        except DBAPIError as error:
            raise StoreUnavailable(str(error.orig)) from error

    def _read_once(self, query: Callable[[Books], T]) -> T:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._engine.connect().execution_options(reader=True)
            self._local.connection = connection
            self._reading.append(connection)
        with connection.begin() as transaction:
            try:
                return query(SqlBooks(connection))
            finally:
                transaction.rollback()

    # On the writer's thread

    def _write_all(self) -> None:
        try:
            writer = Writer(self._engine, self._unlogged, self._patience_s, self._measures)
            try:
                self._write_until_closed(writer)
            finally:
                writer.close()
        except BaseException:  # whatever it is, the thread ends with it, and others wait for what it was to give
            log.critical("the books can't be written any more", exc_info=True)
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._fail_all)

    def _write_until_closed(self, writer: Writer) -> None:
        begun_s = 0.0
        while True:
            several, self._in_hand = len(self._in_hand) >= _SEVERAL, []
            if several:
                self._jobs.gather(begun_s + _APART_S - time.monotonic())
            jobs = self._jobs.take(_IDLE_S if writer.is_behind else None)
            if jobs is None:
                break
            self._in_hand, begun_s = jobs, time.monotonic()
            self._measures.waiting_units = self._jobs.waiting
            if jobs:
                self._hand_out(jobs, writer.write(jobs))
            elif writer.is_behind:
                writer.write(())
        if writer.is_behind:
            writer.write(())

    def _hand_out(self, jobs: list[Job], events: list[Event]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._resolve, jobs, events)
        except RuntimeError:
            log.warning("the event loop is gone: nobody hears of %d committed units", len(jobs))

    # On the loop's thread

    def _fail_all(self) -> None:
        self._failed = True
        self._in_hand += self._jobs.take_all()
        lost = StoreUnavailable("the books can't be written any more")
        for job in self._in_hand:
            job.result, job.error = None, lost
        self._resolve(self._in_hand, [])

    def _resolve(self, jobs: list[Job], events: list[Event]) -> None:
        if events:
            self._publish(events)
        for job in jobs:
            try:
                job.done(job.result, job.error)
            except Exception:
                log.exception("what follows a commit has failed")


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


async def open_store(
    url: str,
    *,
    publish: Publish,
    unlogged: Iterable[str] = (),
    patience_s: float = PATIENCE_S,
    measures: StoreMeasures | None = None,
) -> SqlStore:
    """Open the books at `url`, making or migrating them as needed.

    `url` is such as `sqlite:////var/lib/forecourt/csms.db` or `postgresql://forecourt@db.example/forecourt`.
    `publish` is called on the event loop with the events of each commit. `unlogged` are event types that are told and
    not kept. `patience_s`: how long a database that is gone is waited for. `measures`: where it counts.

    Raises:
        ValueError: the URL can't be read, or is of a database that can't keep the books.
        StoreUnavailable: the database can't be opened or migrated.
    """
    engine = make_engine(url)
    try:
        await asyncio.to_thread(upgrade, engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreUnavailable(why(error)) from error
    return SqlStore(engine, publish, unlogged, patience_s, measures)
