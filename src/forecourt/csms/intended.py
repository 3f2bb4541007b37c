"""What the charging profiles that the books have of a station come to, and what they would with one more.

Guarantees
* It is the very reading that our stations obey (`domain.composite`), with the winner of every period and why; it asks
  nothing of the station, and changes nothing.
* What a station's hardware bears isn't known here: `hardware_max_a` is the asker's, and wins where nothing else does.
"""

import asyncio
from datetime import datetime

import msgspec

from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ProfileState, Transaction
from forecourt.csms.stations import find_station
from forecourt.domain.composite import ActiveTransaction, ChargingContext, composite_schedule
from forecourt.domain.profile import ChargingProfile, ChargingRateUnit, CompositeSchedule, InstalledProfile
from forecourt.domain.profile_stack import install


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked."""

    evse_id: int
    duration_s: int
    rate_unit: ChargingRateUnit
    hardware_max_a: float
    draft: ChargingProfile | None = None
    """As if it were installed on `draft_evse_id`."""
    draft_evse_id: int = 0


def intended_schedule(context: Context, station_id: str, wanted: Wanted) -> "asyncio.Future[CompositeSchedule]":
    """What holds on an EVSE from now on. Raises NotFound."""
    now = context.clock.now().at

    def query(books: Books) -> CompositeSchedule:
        station = find_station(books, context.organisation_id, station_id)
        known = books.charging.on_station(station.number, (ProfileState.INSTALLED, ProfileState.PENDING))
        installed = tuple(InstalledProfile(one.evse_id, one.profile) for one in known)
        running = _running(books.transactions.active_on(station.number, wanted.evse_id), now)
        if wanted.draft is not None:
            installed = install(installed, InstalledProfile(wanted.draft_evse_id, wanted.draft), now=now)
        meets = ChargingContext(hardware_max_a=wanted.hardware_max_a, transaction=running)
        return composite_schedule(installed, wanted.evse_id, now, wanted.duration_s, wanted.rate_unit, meets)

    return context.store.read(query)


def _running(transactions: list[Transaction], now: datetime) -> ActiveTransaction | None:
    for transaction in transactions:
        if transaction.transaction_id is not None:
            return ActiveTransaction(transaction.transaction_id, transaction.started_at or now)
    return None
