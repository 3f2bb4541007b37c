"""The audit log: every write that somebody asks for is entered with it, in the same commit.

Guarantees
* An entry is in the books exactly when something that was asked for is: both are one unit of work. A request that
  writes nothing leaves no entry; one that writes more than once leaves one.
* Secrets are in no entry (`masking`).
* Entries are never changed by whoever they are about, but for how the request was answered; they go after
  `audit_retention_s`.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from forecourt.csms.masking import masked
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.people_records import ActorKind, AuditEntry
from forecourt.csms.ports import Books, Context, Store
from forecourt.csms.records import Page

T = TypeVar("T")

LONGEST: Final = 65_536
"""Of a body, in bytes; what is longer is left out."""


def entry(
    context: Context,
    actor: ActorKind,
    actor_name: str,
    operation: str,
    path: str,
    *,
    actor_id: str | None = None,
    address: str | None = None,
) -> AuditEntry:
    """An entry about now, yet to be written."""
    return AuditEntry(
        id=0,
        organisation_id=context.organisation_id,
        at=context.clock.now().at,
        actor=actor,
        actor_id=actor_id,
        actor_name=actor_name,
        address=address,
        operation=operation,
        path=path,
    )


class AuditedStore:
    """A store for one request: its first write that succeeds takes the entry along. See `csms.ports.Store`."""

    def __init__(self, store: Store, what: AuditEntry) -> None:
        self._store = store
        self.entry = what
        """Whoever knows more of the request adds it until the entry is written."""
        self.number: int | None = None
        """Of the entry, once it is in the books."""

    def write(self, unit: Callable[[Books], T]) -> "asyncio.Future[T]":
        """As `Store.write`."""
        if self.number is not None:
            return self._store.write(unit)

        def audited(books: Books) -> tuple[T, int]:
            result = unit(books)
            return result, books.people.audit.add(self.entry)

        return asyncio.ensure_future(self._noting(self._store.write(audited)))

    def read(self, query: Callable[[Books], T]) -> "asyncio.Future[T]":
        """As `Store.read`."""
        return self._store.read(query)

    async def _noting(self, written: "asyncio.Future[tuple[T, int]]") -> T:
        result, self.number = await written
        return result


async def answered(context: Context, number: int, status: int, after: bytes | None) -> None:
    """How the request of an entry was answered."""
    await context.store.write(lambda books: books.people.audit.answered(number, status, after))


async def enter(context: Context, what: AuditEntry) -> None:
    """An entry about something that is no write: an attempt to get in."""
    await context.store.write(lambda books: books.people.audit.add(what))


async def list_audit(
    context: Context,
    *,
    actor_id: str | None = None,
    operation: str | None = None,
    path: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[AuditEntry]:
    """Newest first. Raises Invalid for the cursor."""
    before = page_start(cursor)
    found = await context.store.read(
        lambda books: books.people.audit.page(
            context.organisation_id,
            actor_id=actor_id,
            operation=operation,
            path=path,
            since=since,
            until=until,
            before=before,
            limit=limit + 1,
        )
    )
    return page_of(found, limit, lambda one: str(one.id))


def without_secrets(body: bytes) -> bytes | None:
    """A JSON text with its secrets masked; None where it is no JSON, empty, or too long to keep."""
    if not 0 < len(body) <= LONGEST:
        return None
    try:
        return msgspec.json.encode(masked(msgspec.json.decode(body)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
