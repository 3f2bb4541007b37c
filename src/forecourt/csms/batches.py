"""Batches: one command for many stations, so many at a time and so many a second.

Guarantees
* Which stations a batch is for is settled when it is made, and listed; each ends with its command's final state, or
  with `failed` and why there is no command.
* A batch goes on after a restart where it stopped, and asks no station twice: each command has an idempotency key.
* Cancelling issues no more; what had been issued goes on to its own end.
"""

import asyncio
import logging
from datetime import datetime
from typing import Any, Final

import msgspec

from forecourt.csms import commands
from forecourt.csms.command_records import Command
from forecourt.csms.errors import Conflict, CsmsError, Invalid, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.people_records import Batch, BatchItem, BatchState, Selector
from forecourt.csms.ports import Books, Context, StoreUnavailable
from forecourt.csms.records import Page, Station
from forecourt.domain.requests import CsmsRequest

log = logging.getLogger(__name__)

FAILED: Final = "failed"
"""The outcome of a station without a command: it is no more."""

_REQUESTS: Final[msgspec.json.Decoder[CsmsRequest]] = msgspec.json.Decoder(CsmsRequest)
_ITEMS_AT_ONCE: Final = 500
_STATIONS_AT_ONCE: Final = 500
_PATIENCE_S: Final = 60.0
"""How long a command is waited for at a time."""


class BatchFields(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as somebody asks for it."""

    name: str
    raw: bool
    request: bytes
    selector: Selector
    timeout_s: float | None = None
    concurrency: int = 10
    rate_per_s: float | None = None


async def create_batch(context: Context, fields: BatchFields, *, idempotency_key: str | None = None) -> Batch:
    """A new batch for the stations that `selector` finds now.

    Raises:
        NotFound: a station of `station_ids`.
        Invalid: the selector gives nothing to select by, or too many stations.
        Conflict: the idempotency key was used for another batch.
    """
    if fields.selector == Selector():
        raise Invalid("selector", "must select by something; connected: true selects all that are connected")
    key = None if idempotency_key is None else f"batch:{idempotency_key}"
    most = context.settings.people.batch_commands
    station_ids = await context.store.read(lambda books: _selected(books, context, fields.selector, most))
    batch = Batch(
        id=context.new_id(),
        organisation_id=context.organisation_id,
        **msgspec.structs.asdict(fields),
        state=BatchState.RUNNING if station_ids else BatchState.DONE,
        total=len(station_ids),
        created_at=context.clock.now().at,
        finished_at=None if station_ids else context.clock.now().at,
    )

    def store(books: Books) -> Batch:
        known = None if key is None else books.people.batches.by_idempotency_key(context.organisation_id, key)
        if known is not None:
            if any(getattr(known, name) != getattr(fields, name) for name in fields.__struct_fields__):
                raise Conflict("the idempotency key was used for another batch")
            return known
        books.people.batches.add(batch, key, station_ids)
        return batch

    return await context.store.write(store)


async def cancel_batch(context: Context, batch_id: str) -> Batch:
    """Issue no more of its commands. Raises NotFound, Conflict when it is over."""
    now = context.clock.now().at

    def store(books: Books) -> Batch:
        batch = _find(books, context, batch_id)
        if batch.state is not BatchState.RUNNING:
            raise Conflict(f"the batch is {batch.state}")
        books.people.batches.change(batch_id, state=BatchState.CANCELLED, finished_at=now)
        return msgspec.structs.replace(batch, state=BatchState.CANCELLED, finished_at=now)

    return await context.store.write(store)


async def get_batch(context: Context, batch_id: str) -> tuple[Batch, dict[str, int]]:
    """A batch, and how many of its stations ended how. Raises NotFound."""

    def query(books: Books) -> tuple[Batch, dict[str, int]]:
        return _find(books, context, batch_id), books.people.batches.counts(batch_id)

    return await context.store.read(query)


async def list_batches(
    context: Context,
    *,
    state: BatchState | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[tuple[Batch, dict[str, int]]]:
    """Newest first."""

    def query(books: Books) -> list[tuple[Batch, dict[str, int]]]:
        found = books.people.batches.page(
            context.organisation_id,
            state=state,
            created_from=created_from,
            created_to=created_to,
            before=cursor,
            limit=limit + 1,
        )
        return [(batch, books.people.batches.counts(batch.id)) for batch in found]

    return page_of(await context.store.read(query), limit, lambda one: one[0].id)


async def list_items(context: Context, batch_id: str, *, cursor: str | None = None, limit: int = 50) -> Page[BatchItem]:
    """In the order in which their turn comes. Raises NotFound, Invalid for the cursor."""
    after = page_start(cursor)

    def query(books: Books) -> list[BatchItem]:
        _find(books, context, batch_id)
        return books.people.batches.items(batch_id, after=-1 if after is None else after, limit=limit + 1)

    return page_of(await context.store.read(query), limit, lambda item: str(item.position))


class Batches:
    """Runs all batches that aren't over. `turn` every now and then takes up new ones."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._running: dict[str, asyncio.Task[None]] = {}

    async def turn(self) -> int:
        """Look once; gives how many are running."""
        for batch in await self._context.store.read(lambda books: books.people.batches.running()):
            if batch.id not in self._running:
                within = msgspec.structs.replace(self._context, organisation_id=batch.organisation_id)
                task = asyncio.get_running_loop().create_task(_Run(within, batch).run())
                self._running[batch.id] = task
                task.add_done_callback(lambda done, batch=batch: self._done(batch, done))  # type: ignore[misc]
        return len(self._running)

    async def stop(self) -> None:
        """Let go of them; they go on after the next start."""
        tasks = tuple(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, batch: Batch, task: "asyncio.Task[None]") -> None:
        del self._running[batch.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("batch %s has to wait", batch.id, exc_info=error)


class _Run:
    """One batch on its way."""

    def __init__(self, context: Context, batch: Batch) -> None:
        self._context = context
        self._batch = batch
        self._places = asyncio.Semaphore(batch.concurrency)
        self._next_s = 0.0

    async def run(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        try:
            after = -1
            while items := await self._items(after):
                after = items[-1].position
                for item in items:
                    if item.outcome is not None:
                        continue
                    await self._places.acquire()
                    if item.command_id is None:
                        if await self._over():
                            self._places.release()
                            return
                        await self._in_time()
                    task = asyncio.get_running_loop().create_task(self._one(item))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)
            await self._finish()
        finally:
            # Cancelled by hand: what was issued is still waited for. The process stops: the next one does that.
            stopping = asyncio.current_task()
            if stopping is not None and stopping.cancelling():
                for task in under_way:
                    task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _items(self, after: int) -> list[BatchItem]:
        batch_id = self._batch.id
        return await self._context.store.read(
            lambda books: books.people.batches.items(batch_id, after=after, limit=_ITEMS_AT_ONCE)
        )

    async def _over(self) -> bool:
        batch, _ = await get_batch(self._context, self._batch.id)
        return batch.state is not BatchState.RUNNING

    async def _in_time(self) -> None:
        """Not more than so many a second."""
        if self._batch.rate_per_s is None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._next_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._next_s = max(self._next_s, loop.time()) + 1 / self._batch.rate_per_s

    async def _one(self, item: BatchItem) -> None:
        try:
            try:
                command = await self._issued(item)
                while not command.state.final:
                    command = await commands.wait(self._context, command.id, _PATIENCE_S)
                await self._note(item, outcome=str(command.state), detail=command.detail)
            except CsmsError as error:
                await self._note(item, outcome=FAILED, detail=str(error))
        finally:
            self._places.release()

    async def _issued(self, item: BatchItem) -> Command:
        if item.command_id is not None:
            return await commands.get_command(self._context, item.command_id)
        batch = self._batch
        key = f"batch:{batch.id}:{item.position}"
        if batch.raw:
            command = await commands.issue_raw(
                self._context,
                item.station_id,
                batch.name,
                batch.request,
                timeout_s=batch.timeout_s,
                idempotency_key=key,
            )
        else:
            request = _REQUESTS.decode(batch.request)
            command = await commands.issue(
                self._context, item.station_id, request, timeout_s=batch.timeout_s, idempotency_key=key
            )
        await self._note(item, command_id=command.id)
        return command

    async def _note(self, item: BatchItem, **columns: Any) -> None:
        await self._context.store.write(
            lambda books: books.people.batches.change_item(item.batch_id, item.position, **columns)
        )

    async def _finish(self) -> None:
        now: datetime = self._context.clock.now().at

        def store(books: Books) -> None:
            batch = books.people.batches.get(self._batch.organisation_id, self._batch.id)
            if batch is not None and batch.state is BatchState.RUNNING:
                books.people.batches.change(batch.id, state=BatchState.DONE, finished_at=now)

        try:
            await self._context.store.write(store)
        except StoreUnavailable:
            log.exception("batch %s is over, and can't be entered so yet", self._batch.id)


# Inside


def _find(books: Books, context: Context, batch_id: str) -> Batch:
    batch = books.people.batches.get(context.organisation_id, batch_id)
    if batch is None:
        raise NotFound("batch", batch_id)
    return batch


def _selected(books: Books, context: Context, selector: Selector, most: int) -> tuple[str, ...]:
    found: list[Station] = []
    if selector.station_ids is not None:
        for station_id in dict.fromkeys(selector.station_ids):
            station = books.stations.get(context.organisation_id, station_id)
            if station is None:
                raise NotFound("station", station_id)
            found.append(station)
    else:
        before: int | None = None
        while page := books.stations.page(
            context.organisation_id,
            location_id=selector.location_id,
            connected=selector.connected,
            registration=None,
            before=before,
            limit=_STATIONS_AT_ONCE,
        ):
            found += page
            before = page[-1].number
    chosen = tuple(station.id for station in found if _fits(selector, station))
    if len(chosen) > most:
        raise Invalid("selector", f"selects {len(chosen)} stations; a batch is for {most} at most (batch_commands)")
    return chosen


def _fits(selector: Selector, station: Station) -> bool:
    identity = station.identity
    told = {
        "location_id": station.location_id,
        "connected": station.connected,
        "vendor": None if identity is None else identity.vendor_name,
        "model": None if identity is None else identity.model,
        "firmware_version": None if identity is None else identity.firmware_version,
    }
    return all(wanted is None or told[name] == wanted for name in told for wanted in (getattr(selector, name),))
