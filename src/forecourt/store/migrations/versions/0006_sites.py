"""Sites as local controllers report them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0006_sites"
down_revision = "0005_groups"
branch_labels = None
depends_on = None

_NUMBER: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "site_entries",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("site_number", _NUMBER, nullable=False),
        sa.Column("journal_id", sa.Text(), nullable=False),
        sa.Column("seq", _NUMBER, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("evse", sa.Text(), nullable=True),
        sa.Column("target_a", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_site_entries")),
        sa.UniqueConstraint(
            "site_number", "journal_id", "seq", name=op.f("uq_site_entries_site_number_journal_id_seq")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_entries_created_at"), "site_entries", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_site_entries_site_number_kind_number"), "site_entries", ["site_number", "kind", "number"], unique=False
    )
    op.create_table(
        "site_orders",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("site_number", _NUMBER, nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_site_orders")),
        sa.UniqueConstraint("order_id", name=op.f("uq_site_orders_order_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_orders_created_at"), "site_orders", ["created_at"], unique=False)
    op.create_index(op.f("ix_site_orders_site_number_number"), "site_orders", ["site_number", "number"], unique=False)
    op.create_table(
        "site_samples",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("site_number", _NUMBER, nullable=False),
        sa.Column("duration_s", sa.Float(precision=53), nullable=False),
        sa.Column("nodes", sa.Text(), nullable=False),
        sa.Column("power_w", sa.Float(precision=53), nullable=False),
        sa.Column("surplus_w", sa.Float(precision=53), nullable=False),
        sa.Column("pv_w", sa.Float(precision=53), nullable=True),
        sa.Column("charging", sa.Integer(), nullable=False),
        sa.Column("dimmed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_site_samples")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_samples_created_at"), "site_samples", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_site_samples_site_number_created_at"), "site_samples", ["site_number", "created_at"], unique=False
    )
    op.create_table(
        "sites",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location_id", _NUMBER, nullable=True),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=True),
        sa.Column("connected_at", Instant(), nullable=True),
        sa.Column("heard_at", Instant(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("dimmable", sa.Boolean(), nullable=False),
        sa.Column("journal_id", sa.Text(), nullable=True),
        sa.Column("last_seq", _NUMBER, nullable=False),
        sa.Column("lost", _NUMBER, nullable=False),
        sa.Column("tree", sa.Text(), nullable=True),
        sa.Column("readings", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sites")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sites_organisation_id_number"), "sites", ["organisation_id", "number"], unique=False)
