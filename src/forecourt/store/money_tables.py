"""The tables of the money: tariffs, sessions, CDRs, payments. See `tables`, whose guarantees hold here too.

Guarantees
* Exactly once is kept by the database: one session for a transaction, one credit for a CDR, one payment for a key.
* Amounts are kept as decimal text inside JSON, or as text; never as floating-point numbers.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, UniqueConstraint

from forecourt.csms.bill import Price
from forecourt.csms.money_records import Cdr, Correction, PaymentState, SessionState, TariffScope
from forecourt.csms.tariff_terms import TariffTerms
from forecourt.domain.transaction import ChargingState
from forecourt.store.tables import metadata
from forecourt.store.types import Instant, Json, Money, Word

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def _numbered(name: str) -> Column[Any]:
    return Column(name, _NUMBER, primary_key=True, autoincrement=True)


def _organisation() -> Column[Any]:
    return Column("organisation_id", Integer, nullable=False)


tariffs: Final = Table(
    "tariffs",
    metadata,
    _numbered("number"),
    _organisation(),
    Column("id", _NUMBER, nullable=False),
    Column("version", Integer, nullable=False),
    Column("terms", Json(TariffTerms), nullable=False),
    Column("retired_at", Instant),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("id", "version"),
    Index(None, "organisation_id", "id"),
    sqlite_autoincrement=True,
)
"""Every version is a row; the latest is the one in force for sessions that begin."""

tariff_assignments: Final = Table(
    "tariff_assignments",
    metadata,
    _numbered("number"),
    _organisation(),
    Column("tariff_id", _NUMBER, nullable=False),
    Column("scope", Word(TariffScope), nullable=False),
    Column("target", Text, nullable=False),
    Column("target_key", Text, nullable=False),
    Column("ad_hoc", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("organisation_id", "scope", "target_key", "ad_hoc"),
    Index(None, "tariff_id"),
    sqlite_autoincrement=True,
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    _organisation(),
    Column("station_number", _NUMBER, nullable=False),
    Column("station_id", Text, nullable=False),
    Column("location_id", _NUMBER),
    Column("location_name", Text),
    Column("location_address", Text),
    Column("time_zone", Text, nullable=False),
    Column("tariff_number", _NUMBER),
    Column("payment_id", Text),
    Column("state", Word(SessionState), nullable=False),
    Column("held_because", Text),
    Column("currency", Text),
    Column("cost", Json(Price)),
    Column("cdr_number", _NUMBER),
    Column("changed_since", Text),
    Column("correction", Json(Correction)),
    Column("priced_at", Instant),
    Column("priced_for", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "organisation_id", "state", "number"),
    Index(None, "state", "number"),
)

cdrs: Final = Table(
    "cdrs",
    metadata,
    _numbered("number"),
    _organisation(),
    Column("session_number", _NUMBER, nullable=False),
    Column("station_id", Text, nullable=False),
    Column("id_token_key", Text),
    Column("credit_of", _NUMBER),
    Column("created_at", Instant, nullable=False),
    Column("record", Json(Cdr), nullable=False),
    UniqueConstraint("credit_of"),
    Index(None, "organisation_id", "number"),
    Index(None, "session_number"),
    sqlite_autoincrement=True,
)
"""`record` is the CDR as it was made; the columns are there to find it."""

state_reports: Final = Table(
    "state_reports",
    metadata,
    _numbered("number"),
    Column("station_number", _NUMBER, nullable=False),
    Column("evse_id", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("seq_no", Integer, nullable=False),
    Column("charging_state", Word(ChargingState), nullable=False),
    Index(None, "station_number", "evse_id", "at"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

payments: Final = Table(
    "payments",
    metadata,
    _numbered("position"),
    Column("id", Text, nullable=False),
    _organisation(),
    Column("idempotency_key", Text),
    Column("provider", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Money, nullable=False),
    Column("station_id", Text, nullable=False),
    Column("evse_id", Integer),
    Column("id_token", Text, nullable=False),
    Column("state", Word(PaymentState), nullable=False),
    Column("session_number", _NUMBER),
    Column("reference", Text),
    Column("captured", Money),
    Column("uncollected", Money),
    Column("detail", Text),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("expires_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("id"),
    UniqueConstraint("organisation_id", "idempotency_key"),
    UniqueConstraint("organisation_id", "id_token"),
    Index(None, "organisation_id", "position"),
    Index(None, "state"),
    sqlite_autoincrement=True,
)
