"""Readings lie in the order in which they came, where they lay in that of their stations (SQLite)."""

from alembic import op

revision = "0011_readings_in_order"
down_revision = "0010_lenience"
branch_labels = None
depends_on = None

_MOVE = """
    INSERT INTO readings (
        station_number, at, digest, organisation_id, evse_id, transaction_number, reported_transaction_id, energy_wh,
        power_w, samples, suspect, received_at
    )
    SELECT
        station_number, at, digest, organisation_id, evse_id, transaction_number, reported_transaction_id, energy_wh,
        power_w, samples, suspect, received_at
    FROM readings_before ORDER BY received_at
"""


def upgrade() -> None:
    """Move them into a table that is kept by row number, with its primary key as an index."""
    if op.get_bind().dialect.name == "postgresql":
        return
    op.execute("ALTER TABLE readings RENAME TO readings_before")
    op.execute("DROP INDEX ix_readings_transaction_number")
    op.execute(
        """
        CREATE TABLE readings (
            station_number INTEGER NOT NULL,
            at BIGINT NOT NULL,
            digest BIGINT NOT NULL,
            organisation_id INTEGER NOT NULL,
            evse_id INTEGER NOT NULL,
            transaction_number INTEGER,
            reported_transaction_id TEXT,
            energy_wh FLOAT,
            power_w FLOAT,
            samples TEXT NOT NULL,
            suspect TEXT,
            received_at BIGINT NOT NULL,
            CONSTRAINT pk_readings PRIMARY KEY (station_number, at, digest)
        )
        """
    )
    op.execute(_MOVE)
    op.execute("DROP TABLE readings_before")
    op.execute(
        "CREATE INDEX ix_readings_transaction_number ON readings (transaction_number)"
        " WHERE transaction_number IS NOT NULL"
    )
