"""Sessions, CDRs and payments in SQL. See `csms.money_ports`."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, delete, insert, or_, select, update

from forecourt.csms.money_records import Cdr, Payment, PaymentState, Session, SessionState, StateReport
from forecourt.csms.records import Transaction, TransactionState
from forecourt.store.money_tables import cdrs, payments, sessions, state_reports
from forecourt.store.rows import Shape, inserted, within
from forecourt.store.tables import transactions
from forecourt.store.tariffs import SqlTariffBooks

_SESSION: Final = Shape(Session, sessions)
_TRANSACTION: Final = Shape(Transaction, transactions)
_STATE: Final = Shape(StateReport, state_reports)
_PAYMENT: Final = Shape(Payment, payments)

_OPEN: Final = (SessionState.ACTIVE, SessionState.HELD)
_TO_ASK: Final = (PaymentState.REQUESTED, PaymentState.CAPTURING, PaymentState.RELEASING)


class SqlBillingBooks:
    """See `csms.money_ports.BillingBooks`. `settle` writes the transactions that are still in mind."""

    def __init__(self, connection: Connection, settle: Callable[[], None]) -> None:
        self._connection = connection
        self._settle = settle

    def add_session(self, session: Session) -> None:
        """Enter one."""
        self._connection.execute(insert(sessions), _SESSION.values(session))

    def save_session(self, session: Session) -> None:
        """Replace what is there."""
        self._connection.execute(update(sessions).where(sessions.c.number == session.number), _SESSION.values(session))

    def session(self, organisation_id: int, number: int) -> Session | None:
        """By its transaction's number, in this organisation."""
        query = _SESSION.select().where(sessions.c.number == number, sessions.c.organisation_id == organisation_id)
        return _SESSION.one(self._connection, query, {})

    def due(self, *, priced_before: datetime, limit: int) -> list[tuple[Session, Transaction]]:
        """Those that can't wait come first."""
        now = sessions.c.priced_for.is_(None)
        again = (sessions.c.priced_for != transactions.c.updated_at) & (sessions.c.priced_at < priced_before)
        # What runs without a tariff costs nothing so far, and is looked at when it is over.
        priced = or_(
            sessions.c.tariff_number.is_not(None),
            sessions.c.payment_id.is_not(None),
            transactions.c.state != TransactionState.ACTIVE,
        )
        query = self._joined().where(
            sessions.c.state.in_(_OPEN), or_(now, (sessions.c.state == SessionState.ACTIVE) & again), priced
        )
        return self._pairs(query.order_by(now.desc(), sessions.c.priced_at, sessions.c.number).limit(limit))

    def unheard(self, before: datetime, limit: int) -> list[Transaction]:
        """The oldest first."""
        self._settle()
        runs = (sessions.c.state == SessionState.ACTIVE) & (transactions.c.state == TransactionState.ACTIVE)
        query = self._joined().where(runs, transactions.c.updated_at < before)
        return [transaction for _, transaction in self._pairs(query.order_by(sessions.c.number).limit(limit))]

    def sessions(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        id_token: str | None,
        state: SessionState | None,
        started_from: datetime | None,
        started_to: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[tuple[Session, Transaction]]:
        """Newest first."""
        query = self._joined().where(sessions.c.organisation_id == organisation_id)
        if station_number is not None:
            query = query.where(sessions.c.station_number == station_number)
        if id_token is not None:
            query = query.where(transactions.c.id_token_key == id_token.casefold())
        if state is not None:
            query = query.where(sessions.c.state == state)
        query = within(query, transactions.c.started_at, started_from, started_to)
        if before is not None:
            query = query.where(sessions.c.number < before)
        return self._pairs(query.order_by(sessions.c.number.desc()).limit(limit))

    def add_cdr(self, cdr: Cdr) -> Cdr:
        """Enter it."""
        row = {
            "organisation_id": cdr.organisation_id,
            "session_number": cdr.session_number,
            "station_id": cdr.station_id,
            "id_token_key": None if cdr.id_token is None else cdr.id_token.casefold(),
            "credit_of": cdr.credit_of,
            "created_at": cdr.created_at,
            "record": cdr,
        }
        return msgspec.structs.replace(cdr, number=inserted(self._connection, insert(cdrs), row))

    def cdr(self, organisation_id: int, number: int) -> Cdr | None:
        """By its number, in this organisation."""
        query = self._cdrs().where(cdrs.c.number == number, cdrs.c.organisation_id == organisation_id)
        return next(iter(self._made(query)), None)

    def credited_by(self, number: int) -> Cdr | None:
        """The credit that takes it back."""
        return next(iter(self._made(self._cdrs().where(cdrs.c.credit_of == number))), None)

    def cdrs(
        self,
        organisation_id: int,
        *,
        station_id: str | None,
        id_token: str | None,
        session_number: int | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[Cdr]:
        """Newest first."""
        query = self._cdrs().where(cdrs.c.organisation_id == organisation_id)
        if station_id is not None:
            query = query.where(cdrs.c.station_id == station_id)
        if id_token is not None:
            query = query.where(cdrs.c.id_token_key == id_token.casefold())
        if session_number is not None:
            query = query.where(cdrs.c.session_number == session_number)
        query = within(query, cdrs.c.created_at, created_from, created_to)
        if before is not None:
            query = query.where(cdrs.c.number < before)
        return self._made(query.order_by(cdrs.c.number.desc()).limit(limit))

    def add_state(self, report: StateReport) -> None:
        """Enter it."""
        self._connection.execute(insert(state_reports), _STATE.values(report))

    def states(
        self, station_number: int, evse_id: int, *, until: datetime | None, since: datetime
    ) -> list[StateReport]:
        """In the order of time; with the last one before `since`."""
        column = state_reports.c
        own = _STATE.select().where(column.station_number == station_number, column.evse_id == evse_id)
        query = own.where(column.at >= since)
        if until is not None:
            query = query.where(column.at <= until)
        order = (column.at, column.seq_no, column.number)
        before = own.where(column.at < since).order_by(*(entry.desc() for entry in order)).limit(1)
        return [*_STATE.all(self._connection, before), *_STATE.all(self._connection, query.order_by(*order))]

    def forget_states(self, before: datetime) -> int:
        """Gives how many there were."""
        return self._connection.execute(delete(state_reports).where(state_reports.c.at < before)).rowcount

    def _joined(self) -> Select[Any]:
        self._settle()
        columns = [*_SESSION.columns, *_TRANSACTION.columns]
        return select(*columns).select_from(sessions.join(transactions, transactions.c.number == sessions.c.number))

    def _pairs(self, query: Select[Any]) -> list[tuple[Session, Transaction]]:
        own = len(_SESSION.columns)
        rows = [tuple(row) for row in self._connection.execute(query)]
        return [(_SESSION.record(row[:own]), _TRANSACTION.record(row[own:])) for row in rows]

    @staticmethod
    def _cdrs() -> Select[Any]:
        return select(cdrs.c.number, cdrs.c.record)

    def _made(self, query: Select[Any]) -> list[Cdr]:
        return [msgspec.structs.replace(record, number=number) for number, record in self._connection.execute(query)]


class SqlPaymentBooks:
    """See `csms.money_ports.PaymentBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, payment: Payment, idempotency_key: str | None) -> None:
        """Enter one."""
        row = {**_PAYMENT.values(payment), "idempotency_key": idempotency_key}
        self._connection.execute(insert(payments), row)

    def get(self, organisation_id: int, payment_id: str) -> Payment | None:
        """By its id, in this organisation."""
        return self._one(organisation_id, payments.c.id == payment_id)

    def by_id(self, payment_id: str) -> Payment | None:
        """Of whichever organisation."""
        return _PAYMENT.one(self._connection, _PAYMENT.select().where(payments.c.id == payment_id), {})

    def by_id_token(self, organisation_id: int, id_token: str) -> Payment | None:
        """By the token that was made for it."""
        return self._one(organisation_id, payments.c.id_token == id_token.upper())

    def by_idempotency_key(self, organisation_id: int, key: str) -> Payment | None:
        """By what its asker called it."""
        return self._one(organisation_id, payments.c.idempotency_key == key)

    def change(self, payment_id: str, **columns: Any) -> None:
        """Set columns."""
        self._connection.execute(update(payments).where(payments.c.id == payment_id), columns)

    def to_do(self, now: datetime, limit: int) -> list[Payment]:
        """The oldest first."""
        column = payments.c
        due = or_(column.next_attempt_at.is_(None), column.next_attempt_at <= now)
        unused = (column.state == PaymentState.AUTHORISED) & column.session_number.is_(None)
        query = _PAYMENT.select().where(or_(column.state.in_(_TO_ASK) & due, unused & (column.expires_at <= now)))
        return _PAYMENT.all(self._connection, query.order_by(column.position).limit(limit))

    def page(
        self,
        organisation_id: int,
        *,
        state: PaymentState | None,
        station_id: str | None,
        id_token: str | None,
        session_number: int | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: str | None,
        limit: int,
    ) -> list[Payment]:
        """Newest first."""
        column = payments.c
        query = _PAYMENT.select().where(column.organisation_id == organisation_id)
        if state is not None:
            query = query.where(column.state == state)
        if station_id is not None:
            query = query.where(column.station_id == station_id)
        if id_token is not None:
            query = query.where(column.id_token == id_token.upper())
        if session_number is not None:
            query = query.where(column.session_number == session_number)
        query = within(query, column.created_at, created_from, created_to)
        if before is not None:
            place = select(column.position).where(column.id == before).scalar_subquery()
            query = query.where(column.position < place)
        return _PAYMENT.all(self._connection, query.order_by(column.position.desc()).limit(limit))

    def _one(self, organisation_id: int, condition: Any) -> Payment | None:
        query = _PAYMENT.select().where(payments.c.organisation_id == organisation_id, condition)
        return _PAYMENT.one(self._connection, query, {})


class SqlMoneyBooks:
    """See `csms.money_ports.MoneyBooks`."""

    def __init__(self, connection: Connection, settle: Callable[[], None]) -> None:
        self.tariffs = SqlTariffBooks(connection)
        self.billing = SqlBillingBooks(connection, settle)
        self.payments = SqlPaymentBooks(connection)
