"""The tables of the books. `migrations/` brings a database to exactly this (a test compares the two).

Guarantees
* Every table has `organisation_id`, or hangs on a station that has it.
* Numbers that go over the wire or into somebody's notes come from sequences that never give one twice, crash or not.
* Column names are the fields of the records; what a record doesn't show (`..._key`, hashes) stays inside the store.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from forecourt.csms.command_records import CommandOrigin, CommandState
from forecourt.csms.records import ConnectorView, Direction, ProfileState, TransactionState
from forecourt.domain.meter import SampledValue
from forecourt.domain.profile import ChargingProfile
from forecourt.domain.station import BootReason, ConnectorError, ConnectorStatus, RegistrationStatus, StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason
from forecourt.domain.variable import Mutability, VariableRef
from forecourt.store.types import Instant, Json, Word

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SQLITE_ONLY: Final = "sqlite_only"
"""What a table's `info` says where PostgreSQL has no use for it."""

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def _numbered(name: str) -> Column[Any]:
    return Column(name, _NUMBER, primary_key=True, autoincrement=True)


def _organisation() -> Column[Any]:
    return Column("organisation_id", Integer, nullable=False)


organisations: Final = Table(
    "organisations",
    metadata,
    _numbered("id"),
    Column("name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

sequences: Final = Table(
    "sequences",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""The last number given of each sequence: events, profile ids, remote start ids, request ids."""

locations: Final = Table(
    "locations",
    metadata,
    _numbered("id"),
    _organisation(),
    Column("name", Text, nullable=False),
    Column("address", Text),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("time_zone", Text),
    Column("created_at", Instant, nullable=False),
    Index(None, "organisation_id", "id"),
    sqlite_autoincrement=True,
)

stations: Final = Table(
    "stations",
    metadata,
    _numbered("number"),
    Column("id", Text, nullable=False),
    _organisation(),
    Column("location_id", _NUMBER),
    Column("name", Text),
    Column("registration", Word(RegistrationStatus), nullable=False),
    Column("identity", Json(StationIdentity)),
    Column("protocol", Text),
    Column("connected", Boolean, nullable=False, server_default=text("false")),
    Column("connection_id", Text),
    Column("connection_changed_at", Instant),
    Column("last_seen_at", Instant),
    Column("booted_at", Instant),
    Column("boot_reason", Word(BootReason)),
    Column("clock_drift_s", Float),
    Column("security_profile", Integer, nullable=False, server_default=text("0")),
    Column("password_hash", Text),
    Column("lenient_decoding", Boolean),
    Column("violation_count", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("id"),
    Index(None, "organisation_id", "number"),
    sqlite_autoincrement=True,
)

connectors: Final = Table(
    "connectors",
    metadata,
    Column("station_number", _NUMBER, primary_key=True, autoincrement=False),
    Column("evse_id", Integer, primary_key=True, autoincrement=False),
    Column("connector_id", Integer, primary_key=True, autoincrement=False),
    _organisation(),
    Column("station_id", Text, nullable=False),
    Column("connector_status", Word(ConnectorStatus)),
    Column("charging_state", Word(ChargingState)),
    Column("error", Json(ConnectorError)),
    Column("status_at", Instant),
    Column("power_w", Float),
    Column("power_at", Instant),
    Column("transaction_number", _NUMBER),
    Column("transaction_finished", Boolean, nullable=False),
    Column("view", Word(ConnectorView), nullable=False),
    Column("updated_at", Instant, nullable=False),
)

reported_variables: Final = Table(
    "reported_variables",
    metadata,
    Column("station_number", _NUMBER, primary_key=True, autoincrement=False),
    Column("ref", Json(VariableRef), primary_key=True),
    Column("value", Text),
    Column("mutability", Word(Mutability), nullable=False),
    Column("reported_at", Instant, nullable=False),
)

desired_variables: Final = Table(
    "desired_variables",
    metadata,
    Column("station_number", _NUMBER, primary_key=True, autoincrement=False),
    Column("ref", Json(VariableRef), primary_key=True),
    Column("value", Text, nullable=False),
    Column("outcome", Text),
    Column("pushed_at", Instant),
)

violations: Final = Table(
    "violations",
    metadata,
    _numbered("id"),
    _organisation(),
    Column("station_number", _NUMBER, nullable=False),
    Column("at", Instant, nullable=False),
    Column("action", Text, nullable=False),
    Column("description", Text, nullable=False),
    Index(None, "station_number", "id"),
    sqlite_autoincrement=True,
)

tokens: Final = Table(
    "tokens",
    metadata,
    _numbered("id"),
    _organisation(),
    Column("value_key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("type", Word(IdTokenType), nullable=False),
    Column("standing", Word(AuthorizationStatus), nullable=False),
    Column("expires_at", Instant),
    Column("group", Text),
    Column("charging_priority", Integer, nullable=False),
    Column("note", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("organisation_id", "value_key"),
    sqlite_autoincrement=True,
)

transactions: Final = Table(
    "transactions",
    metadata,
    _numbered("number"),
    Column("transaction_id", Text),
    Column("reported_id", Text),
    Column("start_key", Text),
    _organisation(),
    Column("station_number", _NUMBER, nullable=False),
    Column("station_id", Text, nullable=False),
    Column("evse_id", Integer),
    Column("connector_id", Integer),
    Column("state", Word(TransactionState), nullable=False),
    Column("orphan", Boolean, nullable=False),
    Column("id_token", Text),
    Column("id_token_key", Text),
    Column("id_token_type", Word(IdTokenType)),
    Column("authorization", Word(AuthorizationStatus)),
    Column("token_at", Instant),
    Column("stop_id_token", Text),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("stopped_reason", Word(StoppedReason)),
    Column("meter_start_wh", Float(53)),
    Column("meter_stop_wh", Float(53)),
    Column("meter_last_wh", Float(53)),
    Column("meter_last_at", Instant),
    Column("energy_wh", Float(53)),
    Column("suspect", Text),
    Column("charging_state", Word(ChargingState)),
    Column("charging_state_at", Instant),
    Column("charging_state_seq_no", Integer),
    Column("reservation_id", Integer),
    Column("remote_start_id", Integer),
    Column("command_id", Text),
    Column("offline", Boolean, nullable=False),
    Column("sequence", Json(tuple[tuple[int, int], ...]), nullable=False),
    Column("end_seq_no", Integer),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("station_number", "transaction_id"),
    UniqueConstraint("station_number", "start_key"),
    Index(None, "organisation_id", "number"),
    Index(None, "station_number", "number"),
    Index(None, "organisation_id", "id_token_key", "state"),
    sqlite_autoincrement=True,
)


def _reading(*, key: bool) -> list[Column[Any]]:
    return [
        Column("station_number", _NUMBER, primary_key=key, autoincrement=False, nullable=False),
        Column("at", Instant, primary_key=key, autoincrement=False, nullable=False),
        Column("digest", BigInteger, primary_key=key, autoincrement=False, nullable=False),
        _organisation(),
        Column("evse_id", Integer, nullable=False),
        Column("transaction_number", _NUMBER),
        Column("reported_transaction_id", Text),
        Column("energy_wh", Float(53)),
        Column("power_w", Float(53)),
        Column("samples", Json(tuple[SampledValue, ...]), nullable=False),
        Column("suspect", Text),
        Column("received_at", Instant, nullable=False),
    ]


readings: Final = Table(
    "readings",
    metadata,
    *_reading(key=True),
    Index(None, "transaction_number", sqlite_where=text("transaction_number IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""A station's readings lie together in the order of time; `digest` (of where and what was sampled) keeps a repeated
one single, and two different ones of the same instant apart."""

recent_readings: Final = Table(
    "recent_readings",
    metadata,
    *_reading(key=False),
    Index(None, "station_number"),
    info={SQLITE_ONLY: True},
)
"""Readings that aren't among the others yet, in the order in which they came (docs/adr/0008-readings-come-in-twice.md);
on SQLite. One may be here twice, and there too."""

commands: Final = Table(
    "commands",
    metadata,
    _numbered("position"),
    Column("id", Text, nullable=False),
    _organisation(),
    Column("station_number", _NUMBER, nullable=False),
    Column("station_id", Text, nullable=False),
    Column("origin", Word(CommandOrigin), nullable=False),
    Column("name", Text, nullable=False),
    Column("raw", Boolean, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("state", Word(CommandState), nullable=False),
    Column("timeout_s", Float, nullable=False),
    Column("idempotency_key", Text),
    Column("id_token_key", Text),
    Column("action", Text),
    Column("payload", LargeBinary),
    Column("message_id", Text),
    Column("answer", LargeBinary),
    Column("result", LargeBinary),
    Column("error_code", Text),
    Column("error_description", Text),
    Column("detail", Text),
    Column("transaction_number", _NUMBER),
    Column("created_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("finished_at", Instant),
    UniqueConstraint("id"),
    UniqueConstraint("organisation_id", "idempotency_key"),
    Index(None, "organisation_id", "position"),
    Index(None, "station_number", "position"),
    Index(None, "organisation_id", "id_token_key", "position"),
    Index("ix_commands_unfinished", "state", sqlite_where=text("state IN ('queued', 'sent')")),
    sqlite_autoincrement=True,
)

profiles: Final = Table(
    "profiles",
    metadata,
    _numbered("number"),
    _organisation(),
    Column("station_number", _NUMBER, nullable=False),
    Column("station_id", Text, nullable=False),
    Column("evse_id", Integer, nullable=False),
    Column("profile_id", Integer, nullable=False),
    Column("profile", Json(ChargingProfile), nullable=False),
    Column("state", Word(ProfileState), nullable=False),
    Column("command_id", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "organisation_id", "number"),
    Index(None, "station_number", "state"),
    Index(None, "command_id"),
    sqlite_autoincrement=True,
)

messages: Final = Table(
    "messages",
    metadata,
    _numbered("id"),
    _organisation(),
    Column("station_number", _NUMBER, nullable=False),
    Column("at", Instant, nullable=False),
    Column("direction", Word(Direction), nullable=False),
    Column("action", Text),
    Column("message_id", Text),
    Column("frame", LargeBinary, nullable=False),
    Index(None, "station_number", "id"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

events: Final = Table(
    "events",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=False),
    _organisation(),
    Column("type", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("station_id", Text),
    Column("body", LargeBinary, nullable=False),
    Index(None, "at"),
)
"""The event log. Where one commit tells several they are one row: of the type `store.events.BATCH`, with the id of the
last, and all of them in its body."""

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    _organisation(),
    Column("name", Text, nullable=False),
    Column("scopes", Json(tuple[str, ...]), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)
