"""The tables of people: users, sign-ins, audit, webhooks, batches, changes of passwords. See `tables`.

Guarantees
* A name to sign in with is one person's, whatever the organisation; so is a subject of an identity provider.
* One event makes one delivery for a webhook, however often it is looked at.
* Passwords, and what proves a sign-in, are here as hashes only.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from forecourt.csms.people_records import (
    ActorKind,
    BatchState,
    DeliveryState,
    Role,
    RotationState,
    Selector,
)
from forecourt.store.tables import metadata
from forecourt.store.types import Instant, Json, Word

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def _numbered(name: str) -> Column[Any]:
    return Column(name, _NUMBER, primary_key=True, autoincrement=True)


def _organisation() -> Column[Any]:
    return Column("organisation_id", Integer, nullable=False)


users: Final = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    _organisation(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("full_name", Text),
    Column("role", Word(Role), nullable=False),
    Column("location_ids", Json(tuple[int, ...])),
    Column("password_hash", Text),
    Column("one_time", Boolean, nullable=False),
    Column("password_until", Instant),
    Column("subject", Text),
    Column("disabled_at", Instant),
    Column("last_sign_in_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("name_key"),
    UniqueConstraint("subject"),
    Index(None, "organisation_id"),
)

sign_ins: Final = Table(
    "sign_ins",
    metadata,
    Column("id", Text, primary_key=True),
    _organisation(),
    Column("user_id", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

key_limits: Final = Table(
    "key_limits",
    metadata,
    Column("key_id", Text, primary_key=True),
    _organisation(),
    Column("location_ids", Json(tuple[int, ...]), nullable=False),
)
"""API keys that are for some locations only."""

audit: Final = Table(
    "audit",
    metadata,
    _numbered("id"),
    _organisation(),
    Column("at", Instant, nullable=False),
    Column("actor", Word(ActorKind), nullable=False),
    Column("actor_id", Text),
    Column("actor_name", Text, nullable=False),
    Column("address", Text),
    Column("operation", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("status", Integer),
    Column("request", LargeBinary),
    Column("before", LargeBinary),
    Column("after", LargeBinary),
    Index(None, "organisation_id", "id"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

webhooks: Final = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    _organisation(),
    Column("url", Text, nullable=False),
    Column("event_types", Json(tuple[str, ...])),
    Column("active", Boolean, nullable=False),
    Column("note", Text),
    Column("secret", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "organisation_id"),
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    _numbered("number"),
    _organisation(),
    Column("webhook_id", Text, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Word(DeliveryState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    UniqueConstraint("webhook_id", "event_id"),
    Index(None, "webhook_id", "number"),
    Index(None, "state", "next_attempt_at"),
    Index(None, "created_at"),
    sqlite_autoincrement=True,
)

batches: Final = Table(
    "batches",
    metadata,
    _numbered("position"),
    Column("id", Text, nullable=False),
    _organisation(),
    Column("name", Text, nullable=False),
    Column("raw", Boolean, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("selector", Json(Selector), nullable=False),
    Column("timeout_s", Float(53)),
    Column("concurrency", Integer, nullable=False),
    Column("rate_per_s", Float(53)),
    Column("state", Word(BatchState), nullable=False),
    Column("total", Integer, nullable=False),
    Column("idempotency_key", Text),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    UniqueConstraint("id"),
    UniqueConstraint("organisation_id", "idempotency_key"),
    Index(None, "organisation_id", "position"),
    Index(None, "state"),
    sqlite_autoincrement=True,
)

batch_items: Final = Table(
    "batch_items",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _organisation(),
    Column("station_id", Text, nullable=False),
    Column("command_id", Text),
    Column("outcome", Text),
    Column("detail", Text),
    Index(None, "command_id"),
)

rotations: Final = Table(
    "rotations",
    metadata,
    Column("station_number", _NUMBER, primary_key=True, autoincrement=False),
    _organisation(),
    Column("state", Word(RotationState), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("command_id", Text),
    Column("detail", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "command_id"),
)
"""`password_hash` is the new one's."""
