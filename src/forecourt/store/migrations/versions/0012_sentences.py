"""What happens at sites as sentences that can be said in other languages."""

import sqlalchemy as sa
from alembic import op

revision = "0012_sentences"
down_revision = "0011_recent_readings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("site_entries", sa.Column("sentence", sa.Text(), nullable=True))
