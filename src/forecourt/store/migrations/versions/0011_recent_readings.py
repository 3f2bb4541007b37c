"""Readings come into a table of their own first (SQLite)."""

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0011_recent_readings"
down_revision = "0010_lenience"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    if op.get_bind().dialect.name == "postgresql":
        return
    op.create_table(
        "recent_readings",
        sa.Column("station_number", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("transaction_number", sa.Integer(), nullable=True),
        sa.Column("reported_transaction_id", sa.Text(), nullable=True),
        sa.Column("energy_wh", sa.Float(precision=53), nullable=True),
        sa.Column("power_w", sa.Float(precision=53), nullable=True),
        sa.Column("samples", sa.Text(), nullable=False),
        sa.Column("suspect", sa.Text(), nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
    )
    op.create_index(op.f("ix_recent_readings_station_number"), "recent_readings", ["station_number"])
