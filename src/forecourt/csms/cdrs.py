"""Sessions and CDRs for the API, and what an operator decides about them: release, void, take back.

Guarantees
* A CDR never changes. What was wrong is taken back by a credit, once (OCPI 2.2.1, credit CDRs); its session is then
  held and can be released with what is right.
* A release keeps on record who put right what, why, and what the books had instead.
"""

from datetime import datetime
from decimal import Decimal

import msgspec

from forecourt.csms import published
from forecourt.csms.bill import Bill, Price
from forecourt.csms.billing import seal, tell_session
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.money import check_amount
from forecourt.csms.money_records import Cdr, Correction, Session, SessionState
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.payments import settle_payment
from forecourt.csms.ports import Books, Context
from forecourt.csms.reckoning import corrected, energy_of, reckoned
from forecourt.csms.records import Page, Transaction
from forecourt.csms.stations import find_station

_LARGEST_WH = Decimal(10_000_000)


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session with its transaction; `bill` is of this moment, and only there where it was asked for."""

    session: Session
    transaction: Transaction
    bill: Bill | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's decision that a held session is billed; what is given counts instead of what the books have."""

    reason: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    energy_wh: Decimal | None = None


async def get_session(context: Context, number: int) -> SessionView:
    """With what it costs at this moment. Raises NotFound."""
    now = context.clock.now().at

    def query(books: Books) -> SessionView:
        session, transaction = _find(books, context, number)
        outcome = reckoned(books, session, transaction, context.settings, now)
        return SessionView(session=session, transaction=transaction, bill=outcome.bill)

    return await context.store.read(query)


async def list_sessions(
    context: Context,
    *,
    station_id: str | None = None,
    id_token: str | None = None,
    state: SessionState | None = None,
    started_from: datetime | None = None,
    started_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[SessionView]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[SessionView]:
        number = None if station_id is None else find_station(books, context.organisation_id, station_id).number
        found = books.money.billing.sessions(
            context.organisation_id,
            station_number=number,
            id_token=id_token,
            state=state,
            started_from=started_from,
            started_to=started_to,
            before=before,
            limit=limit + 1,
        )
        return [SessionView(session=session, transaction=transaction) for session, transaction in found]

    return page_of(await context.store.read(query), limit, lambda view: str(view.session.number))


async def release_session(context: Context, number: int, release: Release, by: str) -> Cdr:
    """Bill a held session, with corrections. What is still impossible then (no energy, an end before the start) is
    refused.

    Raises:
        NotFound, Invalid (a field), or Conflict when it isn't held, or has no tariff.
    """
    _check(release)
    now = context.clock.now().at

    def store(books: Books) -> Cdr:
        session, transaction = _find(books, context, number)
        if session.state is not SessionState.HELD:
            raise Conflict(f"session {number} is {session.state}, not held")
        if session.tariff_number is None:
            raise Conflict(f"session {number} is under no tariff")
        correction = Correction(
            reason=release.reason,
            by=by,
            at=now,
            started_at=release.started_at,
            ended_at=release.ended_at,
            energy_wh=release.energy_wh,
            held_because=session.held_because,
            reported_energy_wh=energy_of(transaction),
        )
        session = msgspec.structs.replace(session, correction=correction)
        if corrected(transaction, correction).energy_wh is None:
            raise Invalid("energy_wh", "must be given: the books have none")
        outcome = reckoned(books, session, transaction, context.settings, now)
        if outcome.bill is None:
            raise Conflict(f"session {number} can't be billed all the same: {outcome.held_because}")
        after = seal(books, session, outcome, now)
        after = msgspec.structs.replace(after, priced_at=now, priced_for=transaction.updated_at, updated_at=now)
        books.money.billing.save_session(after)
        settle_payment(books, after, now)
        tell_session(books, after, now)
        assert after.cdr_number is not None
        cdr = books.money.billing.cdr(context.organisation_id, after.cdr_number)
        assert cdr is not None
        return cdr

    return await context.store.write(store)


async def void_session(context: Context, number: int, reason: str, by: str) -> SessionView:
    """Decide that a held session is not billed.

    Raises:
        NotFound, Invalid, or Conflict when it isn't held.
    """
    if not reason:
        raise Invalid("reason", "must not be empty")
    now = context.clock.now().at

    def store(books: Books) -> SessionView:
        session, transaction = _find(books, context, number)
        if session.state is not SessionState.HELD:
            raise Conflict(f"session {number} is {session.state}, not held")
        correction = Correction(
            reason=reason,
            by=by,
            at=now,
            held_because=session.held_because,
            reported_energy_wh=energy_of(transaction),
        )
        after = msgspec.structs.replace(
            session, state=SessionState.VOID, correction=correction, cost=None, updated_at=now
        )
        books.money.billing.save_session(after)
        settle_payment(books, after, now)
        tell_session(books, after, now)
        return SessionView(session=after, transaction=transaction)

    return await context.store.write(store)


async def get_cdr(context: Context, number: int) -> Cdr:
    """Raises NotFound."""
    found = await context.store.read(lambda books: books.money.billing.cdr(context.organisation_id, number))
    if found is None:
        raise NotFound("CDR", number)
    return found


async def list_cdrs(
    context: Context,
    *,
    station_id: str | None = None,
    id_token: str | None = None,
    session_number: int | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Cdr]:
    """Newest first. Raises Invalid for the cursor."""
    before = page_start(cursor)
    found = await context.store.read(
        lambda books: books.money.billing.cdrs(
            context.organisation_id,
            station_id=station_id,
            id_token=id_token,
            session_number=session_number,
            created_from=created_from,
            created_to=created_to,
            before=before,
            limit=limit + 1,
        )
    )
    return page_of(found, limit, lambda cdr: str(cdr.number))


async def credit_cdr(context: Context, number: int, reason: str) -> Cdr:
    """Take a CDR back: gives the credit, whose amounts are those of the CDR below 0. Its session is held from then on.

    Raises:
        NotFound, Invalid, or Conflict when it is a credit, or was taken back.
    """
    if not reason:
        raise Invalid("reason", "must not be empty")
    now = context.clock.now().at

    def store(books: Books) -> Cdr:
        billing = books.money.billing
        cdr = billing.cdr(context.organisation_id, number)
        if cdr is None:
            raise NotFound("CDR", number)
        if cdr.credit_of is not None:
            raise Conflict(f"CDR {number} is itself a credit")
        if billing.credited_by(number) is not None:
            raise Conflict(f"CDR {number} was taken back before")
        credit = billing.add_cdr(
            msgspec.structs.replace(cdr, credit_of=number, bill=_negative(cdr.bill), remark=reason, created_at=now)
        )
        books.events.append(
            cdr.organisation_id, published.CDR_CREATED, now, cdr.station_id, published.CdrBody(cdr=credit)
        )
        session = billing.session(cdr.organisation_id, cdr.session_number)
        assert session is not None
        after = msgspec.structs.replace(
            session,
            state=SessionState.HELD,
            held_because=f"CDR {number} was taken back: {reason}",
            cdr_number=None,
            cost=None,
            correction=None,
            updated_at=now,
        )
        billing.save_session(after)
        tell_session(books, after, now)
        return credit

    return await context.store.write(store)


def _find(books: Books, context: Context, number: int) -> tuple[Session, Transaction]:
    session = books.money.billing.session(context.organisation_id, number)
    transaction = books.transactions.get(context.organisation_id, number)
    if session is None or transaction is None:
        raise NotFound("session", number)
    return session, transaction


def _check(release: Release) -> None:
    if not release.reason:
        raise Invalid("reason", "must not be empty")
    if release.energy_wh is not None:
        check_amount("energy_wh", release.energy_wh, most=_LARGEST_WH, decimals=3)
    for field in ("started_at", "ended_at"):
        moment = getattr(release, field)
        if moment is not None and moment.tzinfo is None:
            raise Invalid(field, "must have a time zone")


def _negative(bill: Bill) -> Bill:
    """The bill with its amounts below 0; what was used stays as it was."""

    def turned(cost: Price) -> Price:
        return Price(excl_vat=-cost.excl_vat, incl_vat=-cost.incl_vat)

    return msgspec.structs.replace(
        bill,
        total_cost=turned(bill.total_cost),
        total_fixed_cost=turned(bill.total_fixed_cost),
        total_energy_cost=turned(bill.total_energy_cost),
        total_time_cost=turned(bill.total_time_cost),
        total_parking_cost=turned(bill.total_parking_cost),
        lines=tuple(msgspec.structs.replace(line, cost=turned(line.cost)) for line in bill.lines),
        taxes=tuple(msgspec.structs.replace(tax, excl_vat=-tax.excl_vat, amount=-tax.amount) for tax in bill.taxes),
    )
