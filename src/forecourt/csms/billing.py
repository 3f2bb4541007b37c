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

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from forecourt.csms import costs, published
from forecourt.csms.bill import Bill
from forecourt.csms.money_records import (
    AuthMethod,
    Cdr,
    Correction,
    PaymentState,
    Session,
    SessionState,
    SignedValue,
    StateReport,
    Tariff,
)
from forecourt.csms.payments import settle_payment
from forecourt.csms.ports import Books, Context
from forecourt.csms.pricing import Usage, price
from forecourt.csms.records import Reading, Transaction, TransactionState
from forecourt.csms.settings import CsmsSettings
from forecourt.csms.tariffs import tariff_for
from forecourt.csms.usage import StateChange, usage_of
from forecourt.csms.work import Work
from forecourt.csms.zones import zone
from forecourt.domain.meter import ReadingContext
from forecourt.domain.token import AuthorizationStatus
from forecourt.domain.transaction import ChargingState

log = logging.getLogger(__name__)

_OPEN: Final = frozenset({SessionState.ACTIVE, SessionState.HELD})
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_READINGS: Final = 100_000


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


class Reckoned(msgspec.Struct, frozen=True):
    """What a session comes to, or why it can't be said."""

    session: Session
    seen: Transaction
    """As the books had it."""
    transaction: Transaction
    """The same with what an operator has put right."""
    tariff: Tariff | None = None
    bill: Bill | None = None
    held_because: str | None = None
    signed_values: tuple[SignedValue, ...] = ()
    usage: Usage | None = None


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


def reckoned(
    books: Books, session: Session, transaction: Transaction, settings: CsmsSettings, now: datetime
) -> Reckoned:
    """What a session comes to by now."""
    seen = transaction
    if session.correction is not None:
        transaction = corrected(transaction, session.correction)
    over = transaction.state is not TransactionState.ACTIVE
    why = _why_held(books, session, transaction, settings, now) if over else None
    tariff = None if session.tariff_number is None else books.money.tariffs.by_number(session.tariff_number)
    if why is not None or tariff is None or transaction.started_at is None:
        return Reckoned(session, seen, transaction, tariff, None, why)
    readings = books.transactions.readings(
        station_number=transaction.station_number,
        transaction_number=transaction.number,
        evse_id=None,
        since=None,
        until=None,
        limit=_MOST_READINGS,
    )
    states: list[StateReport] = []
    if transaction.evse_id is not None:
        states = books.money.billing.states(
            transaction.station_number,
            transaction.evse_id,
            since=transaction.started_at,
            until=transaction.ended_at,
        )
    try:
        usage = usage_of(
            transaction,
            readings,
            [StateChange(report.at, report.charging_state) for report in states],
            now=now,
            charging_threshold_w=settings.charging_threshold_w,
        )
        bill = price(tariff.terms, usage, zone(session.time_zone))
    except (ArithmeticError, ValueError) as error:
        # A station can say times at the end of the calendar; the others shall be billed all the same.
        log.exception("session %d can't be reckoned", session.number)
        return Reckoned(session, seen, transaction, tariff, None, f"it can't be reckoned: {error}")
    return Reckoned(session, seen, transaction, tariff, bill, None, _signed(readings), usage)


def corrected(transaction: Transaction, correction: Correction) -> Transaction:
    """`transaction` as the operator says it was."""
    energy_wh = transaction.energy_wh if correction.energy_wh is None else float(correction.energy_wh)
    return msgspec.structs.replace(
        transaction,
        started_at=correction.started_at or transaction.started_at,
        ended_at=correction.ended_at or transaction.ended_at,
        energy_wh=energy_wh,
        suspect=None,
    )


def _why_held(
    books: Books, session: Session, transaction: Transaction, settings: CsmsSettings, now: datetime
) -> str | None:
    """Why a session that is over must not be billed as it stands; a decision of an operator stands above the doubts."""
    started_at, ended_at = transaction.started_at, transaction.ended_at
    if started_at is None:
        return "its start never came"
    if ended_at is None:
        return "its end is not known"
    if transaction.energy_wh is None:
        return transaction.suspect or "a register reading is missing"
    if started_at < _EARLIEST:
        return "its times can't be: the station's clock is wrong"
    if ended_at < started_at:
        return "it ends before it begins"
    if ended_at > now + timedelta(seconds=settings.money.clock_tolerance_s):
        return "it ends in the future: the station's clock is wrong"
    if (ended_at - started_at).total_seconds() > settings.money.longest_session_s:
        return "it is longer than a session can be"
    if session.correction is not None:
        return None
    if session.state is SessionState.HELD and _was_billed(books, session):
        return session.held_because
    if transaction.suspect is not None:
        return transaction.suspect
    if transaction.missing:
        gaps = ", ".join(f"{first} to {last}" for first, last in transaction.missing)
        return f"messages are missing: {gaps}"
    if transaction.authorization not in {None, AuthorizationStatus.ACCEPTED}:
        return f"its token was not accepted: {transaction.authorization}"
    if session.payment_id is not None:
        payment = books.money.payments.get(session.organisation_id, session.payment_id)
        if payment is None or payment.session_number != session.number:
            return "its payment is not authorised, or belongs to another session"
    return None


def _was_billed(books: Books, session: Session) -> bool:
    """Whether a CDR of it was made, and taken back: the next is for an operator to release."""
    return bool(
        books.money.billing.cdrs(
            session.organisation_id,
            station_id=None,
            id_token=None,
            session_number=session.number,
            created_from=None,
            created_to=None,
            before=None,
            limit=1,
        )
    )


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


def _signed(readings: list[Reading]) -> tuple[SignedValue, ...]:
    natures = {ReadingContext.TRANSACTION_BEGIN: "Start", ReadingContext.TRANSACTION_END: "End"}
    return tuple(
        SignedValue(
            nature=natures.get(sample.context, "Intermediate"),
            at=reading.at,
            signed_data=sample.signed.signed_data,
            encoding_method=sample.signed.encoding_method,
            public_key=sample.signed.public_key,
        )
        for reading in readings
        for sample in reading.samples
        if sample.signed is not None
    )


def _told(session: Session) -> tuple[object, ...]:
    return session.state, session.held_because, session.cost, session.cdr_number


def tell_session(books: Books, session: Session, at: datetime) -> None:
    """Tell of a session as it is now."""
    body = published.SessionBody(session=session)
    books.events.append(session.organisation_id, published.SESSION_UPDATED, at, session.station_id, body)


def energy_of(transaction: Transaction) -> Decimal | None:
    """What the books have, as a decimal."""
    return None if transaction.energy_wh is None else Decimal(repr(transaction.energy_wh))
