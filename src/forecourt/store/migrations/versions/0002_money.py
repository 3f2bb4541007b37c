"""The money: tariffs, sessions, CDRs, payments; and what EVSEs were said to do, when."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0002_money"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables. Transactions that are there get their session when they end; those that have ended get none."""
    op.create_table(
        "cdrs",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("session_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("id_token_key", sa.Text(), nullable=True),
        sa.Column("credit_of", _NUMBER, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_cdrs")),
        sa.UniqueConstraint("credit_of", name=op.f("uq_cdrs_credit_of")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_cdrs_organisation_id_number"), "cdrs", ["organisation_id", "number"], unique=False)
    op.create_index(op.f("ix_cdrs_session_number"), "cdrs", ["session_number"], unique=False)
    op.create_table(
        "payments",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=True),
        sa.Column("id_token", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("session_number", _NUMBER, nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("captured", sa.Text(), nullable=True),
        sa.Column("uncollected", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_payments")),
        sa.UniqueConstraint("id", name=op.f("uq_payments_id")),
        sa.UniqueConstraint("organisation_id", "id_token", name=op.f("uq_payments_organisation_id_id_token")),
        sa.UniqueConstraint(
            "organisation_id", "idempotency_key", name=op.f("uq_payments_organisation_id_idempotency_key")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_payments_organisation_id_position"), "payments", ["organisation_id", "position"], unique=False
    )
    op.create_index(op.f("ix_payments_state"), "payments", ["state"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("location_id", _NUMBER, nullable=True),
        sa.Column("location_name", sa.Text(), nullable=True),
        sa.Column("location_address", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("tariff_number", _NUMBER, nullable=True),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("held_because", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("cost", sa.Text(), nullable=True),
        sa.Column("cdr_number", _NUMBER, nullable=True),
        sa.Column("changed_since", sa.Text(), nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("priced_at", Instant(), nullable=True),
        sa.Column("priced_for", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sessions")),
    )
    op.create_index(
        op.f("ix_sessions_organisation_id_state_number"),
        "sessions",
        ["organisation_id", "state", "number"],
        unique=False,
    )
    op.create_index(op.f("ix_sessions_state_number"), "sessions", ["state", "number"], unique=False)
    op.create_table(
        "state_reports",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("seq_no", sa.Integer(), nullable=False),
        sa.Column("charging_state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_state_reports")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_state_reports_at"), "state_reports", ["at"], unique=False)
    op.create_index(
        op.f("ix_state_reports_station_number_evse_id_at"),
        "state_reports",
        ["station_number", "evse_id", "at"],
        unique=False,
    )
    op.create_table(
        "tariff_assignments",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("tariff_id", _NUMBER, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("ad_hoc", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tariff_assignments")),
        sa.UniqueConstraint(
            "organisation_id",
            "scope",
            "target_key",
            "ad_hoc",
            name=op.f("uq_tariff_assignments_organisation_id_scope_target_key_ad_hoc"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tariff_assignments_tariff_id"), "tariff_assignments", ["tariff_id"], unique=False)
    op.create_table(
        "tariffs",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tariffs")),
        sa.UniqueConstraint("id", "version", name=op.f("uq_tariffs_id_version")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tariffs_organisation_id_id"), "tariffs", ["organisation_id", "id"], unique=False)
    sequences = sa.table("sequences", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(sequences, [{"name": "tariff_id", "value": 0}])
