"""What drivers want: departure and energy, of a transaction, or of a token for each of its transactions.

Guarantees
* Of each of the two, the word that counts is a person's, else the station's (OCPP 2.0.1 K15: what the car says), else
  the token's.
* Energy is for the whole transaction, so that a wish needn't be changed while it comes true.
"""

from datetime import datetime, time, timedelta
from typing import Final

from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.group_records import TokenWish, WishInForce, WishSource
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Transaction, TransactionState
from forecourt.csms.work import Work
from forecourt.csms.zones import is_zone, zone
from forecourt.domain.events import ChargingNeedsReported

_RANK: Final = (WishSource.PERSON, WishSource.STATION)


# For the API


async def put_wish(
    context: Context, number: int, *, departs_at: datetime | None, energy_wh: float | None
) -> WishInForce:
    """What a person wants of a transaction; None and None: nothing any more. Raises NotFound, Conflict, Invalid."""
    at = context.clock.now().at
    if departs_at is not None and departs_at <= at:
        raise Invalid("departs_at", "is over")

    def store(books: Books) -> WishInForce:
        transaction = _transaction(books, context, number)
        if transaction.state is not TransactionState.ACTIVE:
            raise Conflict(f"transaction {number} is over")
        _set(books, transaction, WishSource.PERSON, departs_at, energy_wh, at)
        return in_force(books, transaction, at)

    return await context.store.write(store)


async def get_wish(context: Context, number: int) -> WishInForce:
    """What counts now. Raises NotFound."""
    at = context.clock.now().at
    return await context.store.read(lambda books: in_force(books, _transaction(books, context, number), at))


async def put_token_wish(
    context: Context, id_token: str, *, departs: time | None, time_zone: str, energy_wh: float | None
) -> TokenWish:
    """What a token wants of each transaction. Raises NotFound, Invalid."""
    if not is_zone(time_zone):
        raise Invalid("time_zone", "must be an IANA name, such as Europe/Berlin")
    if departs is not None and departs.tzinfo is not None:
        raise Invalid("departs", "is by the clock on the wall of time_zone, without one of its own")
    at = context.clock.now().at

    def store(books: Books) -> TokenWish:
        key = _token(books, context, id_token)
        columns = {"departs": departs, "time_zone": time_zone, "energy_wh": energy_wh}
        known = _of_token(books, context.organisation_id, key)
        if known is None:
            return books.groups.token_wishes.add(at, organisation_id=context.organisation_id, id_token=key, **columns)
        books.groups.token_wishes.change(known.number, at, **columns)
        found = _of_token(books, context.organisation_id, key)
        assert found is not None
        return found

    return await context.store.write(store)


async def get_token_wish(context: Context, id_token: str) -> TokenWish:
    """Raises NotFound."""

    def query(books: Books) -> TokenWish:
        found = _of_token(books, context.organisation_id, _token(books, context, id_token))
        if found is None:
            raise NotFound("wish of token", id_token)
        return found

    return await context.store.read(query)


async def remove_token_wish(context: Context, id_token: str) -> None:
    """Raises NotFound."""

    def store(books: Books) -> None:
        found = _of_token(books, context.organisation_id, _token(books, context, id_token))
        if found is None:
            raise NotFound("wish of token", id_token)
        books.groups.token_wishes.remove(found.number)

    await context.store.write(store)


# What stations say


def needs_reported(work: Work, event: ChargingNeedsReported) -> None:
    """OCPP 2.0.1 K15.FR.01: what the car says of its visit counts from now on; a wish counts from the beginning."""
    for transaction in work.books.transactions.active_on(work.station.number, event.evse_id)[:1]:
        energy_wh = None if event.energy_wh is None else event.energy_wh + (transaction.energy_wh or 0.0)
        _set(work.books, transaction, WishSource.STATION, event.departs_at, energy_wh, work.at)


# What counts


def in_force(books: Books, transaction: Transaction, at: datetime) -> WishInForce:
    """Of a transaction, at that moment."""
    told = {wish.source: wish for wish in books.groups.transaction_wishes.find(
        {"transaction_number": transaction.number}
    )}  # fmt: skip
    departs_at, departs_source, energy_wh, energy_source = None, None, None, None
    for source in _RANK:
        wish = told.get(source)
        if wish is None:
            continue
        if departs_at is None and wish.departs_at is not None:
            departs_at, departs_source = wish.departs_at, source
        if energy_wh is None and wish.energy_wh is not None:
            energy_wh, energy_source = wish.energy_wh, source
    if transaction.id_token is not None and (departs_at is None or energy_wh is None):
        token = _of_token(books, transaction.organisation_id, transaction.id_token.casefold())
        if token is not None:
            if departs_at is None and token.departs is not None:
                began_at = transaction.started_at or transaction.created_at
                departs_at, departs_source = next_time(token.departs, token.time_zone, began_at), WishSource.TOKEN
            if energy_wh is None and token.energy_wh is not None:
                energy_wh, energy_source = token.energy_wh, WishSource.TOKEN
    if departs_at is not None and departs_at <= at:
        departs_at, departs_source = None, None  # it didn't leave; nobody knows when it will
    return WishInForce(
        departs_at=departs_at, energy_wh=energy_wh, departs_source=departs_source, energy_source=energy_source
    )


def next_time(clock: time, time_zone: str, after: datetime) -> datetime:
    """The next moment after that at which it is so late on the wall there."""
    there = zone(time_zone)
    here = after.astimezone(there)
    found = datetime.combine(here.date(), clock, there)
    if found <= here:
        found = datetime.combine(here.date() + timedelta(days=1), clock, there)
    return found.astimezone(after.tzinfo)


# Inside


def _transaction(books: Books, context: Context, number: int) -> Transaction:
    found = books.transactions.get(context.organisation_id, number)
    if found is None:
        raise NotFound("transaction", number)
    return found


def _token(books: Books, context: Context, value: str) -> str:
    if books.tokens.get(context.organisation_id, value) is None:
        raise NotFound("token", value)
    return value.casefold()


def _of_token(books: Books, organisation_id: int, key: str) -> TokenWish | None:
    found = books.groups.token_wishes.find({"organisation_id": organisation_id, "id_token": key})
    return found[0] if found else None


def _set(
    books: Books,
    transaction: Transaction,
    source: WishSource,
    departs_at: datetime | None,
    energy_wh: float | None,
    at: datetime,
) -> None:
    shelf = books.groups.transaction_wishes
    known = shelf.find({"transaction_number": transaction.number, "source": source})
    if known:
        shelf.change(known[0].number, at, departs_at=departs_at, energy_wh=energy_wh)
        return
    shelf.add(
        at,
        organisation_id=transaction.organisation_id,
        station_number=transaction.station_number,
        station_id=transaction.station_id,
        transaction_number=transaction.number,
        source=source,
        departs_at=departs_at,
        energy_wh=energy_wh,
    )
