"""The processes that are one CSMS."""

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0008_processes"
down_revision = "0007_partitions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "processes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_processes")),
        sa.UniqueConstraint("id", name=op.f("uq_processes_id")),
        sqlite_autoincrement=True,
    )
