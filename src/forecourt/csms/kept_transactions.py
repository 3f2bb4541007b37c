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
    if after is before or after == before:
        return after
    metered = event_type is None and before is not None and _differ_by_readings(before, after)
    after = msgspec.structs.replace(after, updated_at=work.at)
    work.books.transactions.save(after, metered=metered)
    if event_type is not None:
        work.tell(event_type, published.TransactionBody(transaction=after))
    billing.noted(work, before, after, event_type)
    reservations.transaction_noted(work, after)
    return after


def _differ_by_readings(before: Transaction, after: Transaction) -> bool:
    """Whether they differ in nothing but what follows from readings that are good."""
    return before.suspect == after.suspect and before == msgspec.structs.replace(
        after,
        meter_last_wh=before.meter_last_wh,
        meter_last_at=before.meter_last_at,
        energy_wh=before.energy_wh,
    )
