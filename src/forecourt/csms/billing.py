"""Sessions: the commercial side of transactions, from their beginning to the CDR.

Guarantees
* A session is entered in the unit that enters its transaction, under the tariff that is in force then.
* Money is reckoned beside the messages, never in their way: what has to be reckoned is marked in the books by the unit
  that changes a transaction, and found there by the next turn, whatever process that is in.
* A CDR is made once: in the unit that moves its session to `completed`, when the transaction is over and nothing about
  it is suspect. What is suspect is held, with the reason, until it has cleared up or an operator has decided.
* What a transaction says after its CDR was made changes no CDR; the session shows that there is something
  (`changed_since`).
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.csms import costs, published
from forecourt.csms.money_records import (
    AuthMethod,
    Cdr,
    PaymentState,
    Session,
    SessionState,
    StateReport,
)
from forecourt.csms.payments import settle_payment
from forecourt.csms.ports import Books, Context
from forecourt.csms.reckoning import Reckoned, reckoned
from forecourt.csms.records import Transaction, TransactionState
from forecourt.csms.tariffs import tariff_for
from forecourt.csms.work import Work
from forecourt.domain.transaction import ChargingState

_OPEN: Final = frozenset({SessionState.ACTIVE, SessionState.HELD})


# In the unit that takes in a message


def noted(work: Work, before: Transaction | None, after: Transaction, event_type: str | None) -> None:
    """A transaction was saved: its session begins, has to be reckoned, or is over already and hears news."""
    begins = event_type == published.TRANSACTION_STARTED or (before is not None and before.id_token != after.id_token)
    over = after.state is not TransactionState.ACTIVE
    if not begins and not over:
        return
    billing = work.books.money.billing
    known = billing.session(after.organisation_id, after.number)
    if known is None:
        session = _begun(work, after)
        billing.add_session(session)
        tell_session(work.books, session, work.at)
    elif known.state in _OPEN:
        fresh = _begun(work, after) if begins else known
        billing.save_session(
            msgspec.structs.replace(
                fresh,
                state=known.state,
                held_because=known.held_because,
                priced_for=None,
                cost=known.cost,
                currency=fresh.currency,
                priced_at=known.priced_at,
                created_at=known.created_at,
                updated_at=work.at,
            )
        )
    elif before is not None and (news := _news(before, after)) is not None:
        session = msgspec.structs.replace(known, changed_since=news, updated_at=work.at)
        billing.save_session(session)
        tell_session(work.books, session, work.at)


def state_reported(work: Work, evse_id: int, at: datetime, seq_no: int, state: ChargingState) -> None:
    """What an EVSE does from that moment on, for telling charging from idling."""
    work.books.money.billing.add_state(
        StateReport(station_number=work.station.number, evse_id=evse_id, at=at, seq_no=seq_no, charging_state=state)
    )


def _begun(work: Work, transaction: Transaction) -> Session:
    books = work.books
    station = books.stations.by_number(transaction.station_number)
    location_id = None if station is None else station.location_id
    location = None if location_id is None else books.stations.location(transaction.organisation_id, location_id)
    payment = None
    if transaction.id_token is not None:
        payment = books.money.payments.by_id_token(transaction.organisation_id, transaction.id_token)
    session = Session(
        number=transaction.number,
        organisation_id=transaction.organisation_id,
        station_number=transaction.station_number,
        station_id=transaction.station_id,
        location_id=location_id,
        location_name=None if location is None else location.name,
        location_address=None if location is None else location.address,
        time_zone="UTC" if location is None or location.time_zone is None else location.time_zone,
        payment_id=None if payment is None else payment.id,
        created_at=work.at,
        updated_at=work.at,
    )
    if payment is not None and payment.session_number is None and payment.state is PaymentState.AUTHORISED:
        books.money.payments.change(payment.id, session_number=transaction.number, updated_at=work.at)
    tariff = tariff_for(
        books,
        transaction.organisation_id,
        id_token=transaction.id_token,
        station_id=transaction.station_id,
        location_id=location_id,
        ad_hoc=payment is not None,
        at=transaction.started_at or work.at,
    )
    if tariff is None:
        return session
    return msgspec.structs.replace(session, tariff_number=tariff.number, currency=tariff.terms.currency)


def _news(before: Transaction, after: Transaction) -> str | None:
    for field in ("energy_wh", "started_at", "ended_at", "suspect"):
        was, now = getattr(before, field), getattr(after, field)
        if was != now:
            return f"{field} was {was}, and is {now}"
    return None


def cost_at_end(work: Work, transaction: Transaction) -> float | None:
    """What a transaction that is over comes to, with VAT, for the answer to its end; None: that can't be said yet."""
    session = work.books.money.billing.session(transaction.organisation_id, transaction.number)
    if session is None:
        return None
    outcome = reckoned(work.books, session, transaction, work.settings, work.at)
    return None if outcome.bill is None else float(outcome.bill.total_cost.incl_vat)


# Beside the messages


class Biller:
    """Reckons sessions and makes CDRs, some at a time. Call `turn` every now and then."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def turn(self) -> int:
        """Look once; gives how many sessions were reckoned."""
        context = self._context
        now = context.clock.now().at
        money = context.settings.money
        before = now - timedelta(seconds=money.running_cost_interval_s)

        def query(books: Books) -> list[tuple[Session, Transaction]]:
            return books.money.billing.due(priced_before=before, limit=money.sessions_per_turn)

        found = await context.store.read(query)
        for session, transaction in found:

            def reckon(books: Books, pair: tuple[Session, Transaction] = (session, transaction)) -> Reckoned:
                return reckoned(books, *pair, context.settings, now)

            outcome = await context.store.read(reckon)

            def settle(books: Books, outcome: Reckoned = outcome) -> Session | None:
                return _settle(books, outcome, now)

            settled = await context.store.write(settle)
            if settled is not None:
                await costs.reckoned(context, settled, outcome.transaction, outcome.tariff, outcome.bill, outcome.usage)
        return len(found)


def _settle(books: Books, outcome: Reckoned, now: datetime) -> Session | None:
    """Write down what came of it, unless the world has moved on since (None)."""
    billing = books.money.billing
    session = billing.session(outcome.session.organisation_id, outcome.session.number)
    transaction = books.transactions.get(outcome.session.organisation_id, outcome.session.number)
    if session is None or transaction is None or session != outcome.session:
        return None
    over = outcome.seen.state is not TransactionState.ACTIVE
    # What a running session costs so far may be a reading late, what it has cost in the end may not.
    if transaction != outcome.seen and (over or transaction.state is not TransactionState.ACTIVE):
        return None
    after = msgspec.structs.replace(session, priced_at=now, priced_for=outcome.seen.updated_at)
    if not over:
        cost = None if outcome.bill is None else outcome.bill.total_cost
        after = msgspec.structs.replace(after, cost=cost)
    elif outcome.held_because is not None:
        after = msgspec.structs.replace(after, state=SessionState.HELD, held_because=outcome.held_because)
    elif outcome.bill is None:
        after = msgspec.structs.replace(after, state=SessionState.UNPRICED, held_because=None)
    else:
        after = seal(books, after, outcome, now)
    settle_payment(books, after, now)
    if _told(after) != _told(session):
        after = msgspec.structs.replace(after, updated_at=now)
        tell_session(books, after, now)
    billing.save_session(after)
    return after


def seal(books: Books, session: Session, outcome: Reckoned, now: datetime) -> Session:
    """Make the CDR; gives the session as it is then, not saved yet."""
    transaction, tariff, bill = outcome.transaction, outcome.tariff, outcome.bill
    assert tariff is not None
    assert bill is not None
    assert transaction.started_at is not None
    assert transaction.ended_at is not None
    cdr = books.money.billing.add_cdr(
        Cdr(
            number=0,
            organisation_id=session.organisation_id,
            session_number=session.number,
            station_id=session.station_id,
            evse_id=transaction.evse_id,
            connector_id=transaction.connector_id,
            location_id=session.location_id,
            location_name=session.location_name,
            location_address=session.location_address,
            time_zone=session.time_zone,
            id_token=transaction.id_token,
            id_token_type=transaction.id_token_type,
            auth_method=AuthMethod.WHITELIST if transaction.command_id is None else AuthMethod.COMMAND,
            started_at=transaction.started_at,
            ended_at=transaction.ended_at,
            stopped_reason=transaction.stopped_reason,
            meter_start_wh=transaction.meter_start_wh,
            meter_stop_wh=transaction.meter_stop_wh,
            tariff_id=tariff.id,
            tariff_version=tariff.version,
            tariff=tariff.terms,
            bill=bill,
            signed_values=outcome.signed_values,
            correction=session.correction,
            payment_id=session.payment_id,
            created_at=now,
        )
    )
    books.events.append(
        session.organisation_id, published.CDR_CREATED, now, session.station_id, published.CdrBody(cdr=cdr)
    )
    return msgspec.structs.replace(
        session,
        state=SessionState.COMPLETED,
        held_because=None,
        cost=bill.total_cost,
        cdr_number=cdr.number,
        changed_since=None,
    )


def _told(session: Session) -> tuple[object, ...]:
    return session.state, session.held_because, session.cost, session.cdr_number


def tell_session(books: Books, session: Session, at: datetime) -> None:
    """Tell of a session as it is now."""
    body = published.SessionBody(session=session)
    books.events.append(session.organisation_id, published.SESSION_UPDATED, at, session.station_id, body)
