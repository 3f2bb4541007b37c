"""Transactions whose end never comes: what becomes of them, by rule or by hand, and never unseen.

Guarantees
* An EVSE charges one car at a time: when a transaction begins where an older one still runs, the older one is closed at
  its last reading (OCPP 1.6 §4.8, OCPP 2.0.1 E01: a station ends one before it begins the next, so that its end is lost
  or late). One that is told afterwards of a time before (offline) closes nothing.
* One of which nothing was heard for `money.stale_transaction_s` is closed the same way.
* What was closed by rule is `closed`, has no reason for having stopped, says why in `suspect`, is told as
  `transaction.ended`, and is not billed before an operator has looked (`/sessions/{id}/release`).
* Should its end come after all, that counts, and the doubt is gone.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.csms import connectors, published
from forecourt.csms.errors import Conflict, NotFound
from forecourt.csms.kept_transactions import keep
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ConnectedStation, Transaction, TransactionState
from forecourt.csms.work import Work
from forecourt.domain.transaction import StoppedReason

_AT_ONCE: Final = 100


def supersede(work: Work, begun: Transaction) -> None:
    """Close what still runs at the EVSE where `begun` has begun."""
    if not begun.evse_id or begun.started_at is None:
        return
    for other in work.books.transactions.active_on(work.station.number, begun.evse_id):
        if other.number != begun.number and (other.started_at or other.created_at) <= begun.started_at:
            why = f"its end never came: transaction {begun.number} began there at {begun.started_at.isoformat()}"
            _close(work, other, why, other.meter_last_at or begun.started_at)


async def close_stale(context: Context) -> int:
    """Close those of which nothing was heard for too long; gives how many. Call it every now and then."""
    longest_s = context.settings.money.stale_transaction_s
    if longest_s is None:
        return 0
    at = context.clock.now().at
    before = at - timedelta(seconds=longest_s)

    def store(books: Books) -> int:
        found = books.money.billing.unheard(before, _AT_ONCE)
        for transaction in found:
            work = Work(books, context.settings, _speaker(transaction), at)
            why = f"its end never came: nothing was heard of it since {transaction.updated_at.isoformat()}"
            _close(work, transaction, why, transaction.meter_last_at or transaction.updated_at)
        return len(found)

    return await context.store.write(store)


async def close_transaction(context: Context, number: int) -> Transaction:
    """End a stale one in the books, without a word to the station; should its end come after all, that counts.

    Raises:
        NotFound, or Conflict when it has ended.
    """
    at = context.clock.now().at

    def store(books: Books) -> Transaction:
        before = books.transactions.get(context.organisation_id, number)
        if before is None:
            raise NotFound("transaction", number)
        if before.state is not TransactionState.ACTIVE:
            raise Conflict(f"transaction {number} has ended")
        work = Work(books, context.settings, _speaker(before), at)
        return _close(work, before, None, before.meter_last_at or at)

    return await context.store.write(store)


def _close(work: Work, before: Transaction, why: str | None, ended_at: datetime) -> Transaction:
    """`why`: by which rule; None: by hand."""
    closed = msgspec.structs.replace(
        before,
        state=TransactionState.CLOSED,
        ended_at=ended_at,
        stopped_reason=StoppedReason.OTHER if why is None else None,
        suspect=before.suspect or why,
    )
    after = keep(work, before, closed, published.TRANSACTION_ENDED)
    connectors.transaction_over(work, after)
    return after


def _speaker(transaction: Transaction) -> ConnectedStation:
    """Whose books they are, when nobody is connected."""
    return ConnectedStation(
        organisation_id=transaction.organisation_id,
        number=transaction.station_number,
        id=transaction.station_id,
    )
