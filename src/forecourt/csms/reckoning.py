"""What a session comes to, or why it can't be said.

Guarantees
* A function of the books: the transaction, what its operator has put right, its readings, what its EVSE was said to
  do, and the tariff it stands under. Nothing is written.
* What is over and not beyond doubt has a reason and no bill; a decision of an operator stands above the doubts.
"""

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from forecourt.csms.bill import Bill
from forecourt.csms.money_records import Correction, Session, SessionState, SignedValue, StateReport, Tariff
from forecourt.csms.ports import Books
from forecourt.csms.pricing import Usage, price
from forecourt.csms.records import Reading, Transaction, TransactionState
from forecourt.csms.settings import CsmsSettings
from forecourt.csms.usage import StateChange, usage_of
from forecourt.csms.zones import zone
from forecourt.domain.meter import ReadingContext
from forecourt.domain.token import AuthorizationStatus

log = logging.getLogger(__name__)

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_READINGS: Final = 100_000


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


def energy_of(transaction: Transaction) -> Decimal | None:
    """What the books have, as a decimal."""
    return None if transaction.energy_wh is None else Decimal(repr(transaction.energy_wh))


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
