"""Partitions and retention, where the database has them."""

from alembic import op

revision = "0007_partitions"
down_revision = "0006_sites"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Readings move into a partitioned table (PostgreSQL); weeks get their partitions as readings arrive."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER TABLE readings RENAME TO readings_before")
    op.execute("ALTER TABLE readings_before DROP CONSTRAINT pk_readings")
    op.execute("DROP INDEX ix_readings_transaction_number")
    op.execute("CREATE TABLE readings (LIKE readings_before INCLUDING DEFAULTS) PARTITION BY RANGE (at)")
    op.execute("CREATE TABLE readings_other PARTITION OF readings DEFAULT")
    op.execute("ALTER TABLE readings ADD CONSTRAINT pk_readings PRIMARY KEY (station_number, at, digest)")
    op.execute("CREATE INDEX ix_readings_transaction_number ON readings (transaction_number)")
    op.execute("INSERT INTO readings SELECT * FROM readings_before")
    op.execute("DROP TABLE readings_before")
