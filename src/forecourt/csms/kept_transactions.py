"""A transaction written down: reckoned, saved, told of; and those told that follow it, such as its session.

Guarantees
* A repetition changes nothing and is not told.
"""

import msgspec

from forecourt.csms import billing, published, reservations
from forecourt.csms.metering import reckoned
from forecourt.csms.records import Transaction
from forecourt.csms.work import Work


def keep(work: Work, before: Transaction | None, after: Transaction, event_type: str | None) -> Transaction:
    """Save what has changed and tell of it by `event_type`, where there is one."""
    after = reckoned(after, work.settings)
    if after == before:
        return after
    after = msgspec.structs.replace(after, updated_at=work.at)
    work.books.transactions.save(after)
    if event_type is not None:
        work.tell(event_type, published.TransactionBody(transaction=after))
    billing.noted(work, before, after, event_type)
    reservations.transaction_noted(work, after)
    return after
