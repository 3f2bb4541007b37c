"""Certificates of contracts that cars have shown."""

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0009_contract_certificates"
down_revision = "0008_processes"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLE = "contract_certificates"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        _TABLE,
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("id_token", sa.Text(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("not_before", Instant(), nullable=True),
        sa.Column("not_after", Instant(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("certificate_status", sa.Text(), nullable=False),
        sa.Column("seen_count", sa.Integer(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_contract_certificates")),
        sqlite_autoincrement=True,
    )
    for columns in (["organisation_id", "number"], ["serial_number"], ["state", "not_after"]):
        op.create_index(op.f(f"ix_{_TABLE}_{'_'.join(columns)}"), _TABLE, columns, unique=False)
