"""Whether a station's messages may deviate from their schema, station by station."""

import sqlalchemy as sa
from alembic import op

revision = "0010_lenience"
down_revision = "0009_contract_certificates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("stations", sa.Column("lenient_decoding", sa.Boolean(), nullable=True))
