"""The first schema of the books."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, the sequences, and the organisation of those who have a single one."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "commands",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("raw", sa.Boolean(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("timeout_s", sa.Float(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_description", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("transaction_number", _NUMBER, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_commands")),
        sa.UniqueConstraint("id", name=op.f("uq_commands_id")),
        sa.UniqueConstraint(
            "organisation_id", "idempotency_key", name=op.f("uq_commands_organisation_id_idempotency_key")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_commands_organisation_id_position"), "commands", ["organisation_id", "position"], unique=False
    )
    op.create_index(
        op.f("ix_commands_station_number_position"), "commands", ["station_number", "position"], unique=False
    )
    op.create_index(
        "ix_commands_unfinished",
        "commands",
        ["state"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'sent')"),
    )
    op.create_table(
        "connectors",
        sa.Column("station_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("evse_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("connector_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("connector_status", sa.Text(), nullable=True),
        sa.Column("charging_state", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("status_at", Instant(), nullable=True),
        sa.Column("power_w", sa.Float(), nullable=True),
        sa.Column("power_at", Instant(), nullable=True),
        sa.Column("transaction_number", _NUMBER, nullable=True),
        sa.Column("transaction_finished", sa.Boolean(), nullable=False),
        sa.Column("view", sa.Text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("station_number", "evse_id", "connector_id", name=op.f("pk_connectors")),
    )
    op.create_table(
        "desired_variables",
        sa.Column("station_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("pushed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("station_number", "ref", name=op.f("pk_desired_variables")),
    )
    op.create_table(
        "events",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_at"), "events", ["at"], unique=False)
    op.create_table(
        "locations",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locations")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_locations_organisation_id_id"), "locations", ["organisation_id", "id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_messages_at"), "messages", ["at"], unique=False)
    op.create_index(op.f("ix_messages_station_number_id"), "messages", ["station_number", "id"], unique=False)
    op.create_table(
        "organisations",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "profiles",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("profile_id", sa.Integer(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_profiles")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_profiles_command_id"), "profiles", ["command_id"], unique=False)
    op.create_index(op.f("ix_profiles_organisation_id_number"), "profiles", ["organisation_id", "number"], unique=False)
    op.create_index(op.f("ix_profiles_station_number_state"), "profiles", ["station_number", "state"], unique=False)
    op.create_table(
        "readings",
        sa.Column("station_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("at", Instant(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("transaction_number", _NUMBER, nullable=True),
        sa.Column("reported_transaction_id", sa.Text(), nullable=True),
        sa.Column("energy_wh", sa.Float(precision=53), nullable=True),
        sa.Column("power_w", sa.Float(precision=53), nullable=True),
        sa.Column("samples", sa.Text(), nullable=False),
        sa.Column("suspect", sa.Text(), nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("station_number", "at", "digest", name=op.f("pk_readings")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_readings_transaction_number"),
        "readings",
        ["transaction_number"],
        unique=False,
        sqlite_where=sa.text("transaction_number IS NOT NULL"),
    )
    op.create_table(
        "reported_variables",
        sa.Column("station_number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("mutability", sa.Text(), nullable=False),
        sa.Column("reported_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("station_number", "ref", name=op.f("pk_reported_variables")),
    )
    op.create_table(
        "sequences",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sequences")),
    )
    op.create_table(
        "stations",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("location_id", _NUMBER, nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("registration", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("protocol", sa.Text(), nullable=True),
        sa.Column("connected", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=True),
        sa.Column("connection_changed_at", Instant(), nullable=True),
        sa.Column("last_seen_at", Instant(), nullable=True),
        sa.Column("booted_at", Instant(), nullable=True),
        sa.Column("boot_reason", sa.Text(), nullable=True),
        sa.Column("clock_drift_s", sa.Float(), nullable=True),
        sa.Column("security_profile", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("violation_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_stations")),
        sa.UniqueConstraint("id", name=op.f("uq_stations_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_stations_organisation_id_number"), "stations", ["organisation_id", "number"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("value_key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("charging_priority", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("organisation_id", "value_key", name=op.f("uq_tokens_organisation_id_value_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "transactions",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=True),
        sa.Column("reported_id", sa.Text(), nullable=True),
        sa.Column("start_key", sa.Text(), nullable=True),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=True),
        sa.Column("connector_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("orphan", sa.Boolean(), nullable=False),
        sa.Column("id_token", sa.Text(), nullable=True),
        sa.Column("id_token_key", sa.Text(), nullable=True),
        sa.Column("id_token_type", sa.Text(), nullable=True),
        sa.Column("authorization", sa.Text(), nullable=True),
        sa.Column("token_at", Instant(), nullable=True),
        sa.Column("stop_id_token", sa.Text(), nullable=True),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("stopped_reason", sa.Text(), nullable=True),
        sa.Column("meter_start_wh", sa.Float(precision=53), nullable=True),
        sa.Column("meter_stop_wh", sa.Float(precision=53), nullable=True),
        sa.Column("meter_last_wh", sa.Float(precision=53), nullable=True),
        sa.Column("meter_last_at", Instant(), nullable=True),
        sa.Column("energy_wh", sa.Float(precision=53), nullable=True),
        sa.Column("suspect", sa.Text(), nullable=True),
        sa.Column("charging_state", sa.Text(), nullable=True),
        sa.Column("charging_state_at", Instant(), nullable=True),
        sa.Column("charging_state_seq_no", sa.Integer(), nullable=True),
        sa.Column("reservation_id", sa.Integer(), nullable=True),
        sa.Column("remote_start_id", sa.Integer(), nullable=True),
        sa.Column("command_id", sa.Text(), nullable=True),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.Text(), nullable=False),
        sa.Column("end_seq_no", sa.Integer(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_transactions")),
        sa.UniqueConstraint("station_number", "start_key", name=op.f("uq_transactions_station_number_start_key")),
        sa.UniqueConstraint(
            "station_number", "transaction_id", name=op.f("uq_transactions_station_number_transaction_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_transactions_organisation_id_id_token_key_state"),
        "transactions",
        ["organisation_id", "id_token_key", "state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_transactions_organisation_id_number"), "transactions", ["organisation_id", "number"], unique=False
    )
    op.create_index(
        op.f("ix_transactions_station_number_number"), "transactions", ["station_number", "number"], unique=False
    )
    op.create_table(
        "violations",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_violations")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_violations_station_number_id"), "violations", ["station_number", "id"], unique=False)
    sequences = sa.table("sequences", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    names = ("event", "profile_id", "remote_start_id", "request_id")
    op.bulk_insert(sequences, [{"name": name, "value": 0} for name in names])
    organisations = sa.table(
        "organisations", sa.column("id", _NUMBER), sa.column("name", sa.Text()), sa.column("created_at", Instant())
    )
    # The moment is of no account: this organisation was always there.
    op.bulk_insert(organisations, [{"id": 1, "name": "default", "created_at": datetime(2025, 1, 1, tzinfo=UTC)}])
