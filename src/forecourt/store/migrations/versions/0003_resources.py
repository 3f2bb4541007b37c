"""Lists, reservations, firmware and log jobs, certificates and security events as resources."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0003_resources"
down_revision = "0002_money"
branch_labels = None
depends_on = None

_NUMBER: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; commands can be found by their token from now on."""
    op.create_table(
        "certificates",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=True),
        sa.Column("station_id", sa.Text(), nullable=True),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("said_use", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("csr", sa.Text(), nullable=True),
        sa.Column("chain", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("serial_number", sa.Text(), nullable=True),
        sa.Column("not_before", Instant(), nullable=True),
        sa.Column("not_after", Instant(), nullable=True),
        sa.Column("renewal_requested_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("command_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_certificates")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_certificates_command_id"), "certificates", ["command_id"], unique=False)
    op.create_index(
        op.f("ix_certificates_organisation_id_number"), "certificates", ["organisation_id", "number"], unique=False
    )
    op.create_index(op.f("ix_certificates_serial_number"), "certificates", ["serial_number"], unique=False)
    op.create_index(
        op.f("ix_certificates_station_number_state"), "certificates", ["station_number", "state"], unique=False
    )
    op.create_table(
        "file_links",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("file_number", _NUMBER, nullable=True),
        sa.Column("job_number", _NUMBER, nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_file_links")),
        sa.UniqueConstraint("digest", name=op.f("uq_file_links_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_file_links_job_number"), "file_links", ["job_number"], unique=False)
    op.create_table(
        "firmware_jobs",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=True),
        sa.Column("file_number", _NUMBER, nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("signed", sa.Boolean(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=True),
        sa.Column("signing_certificate", sa.Text(), nullable=True),
        sa.Column("retrieve_at", Instant(), nullable=False),
        sa.Column("install_at", Instant(), nullable=True),
        sa.Column("firmware_status", sa.Text(), nullable=True),
        sa.Column("retries", sa.Integer(), nullable=True),
        sa.Column("retry_interval_s", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("most_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("deadline_at", Instant(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_firmware_jobs")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_firmware_jobs_command_id"), "firmware_jobs", ["command_id"], unique=False)
    op.create_index(
        op.f("ix_firmware_jobs_organisation_id_number"), "firmware_jobs", ["organisation_id", "number"], unique=False
    )
    op.create_index(op.f("ix_firmware_jobs_state"), "firmware_jobs", ["state"], unique=False)
    op.create_index(
        op.f("ix_firmware_jobs_station_number_state"), "firmware_jobs", ["station_number", "state"], unique=False
    )
    op.create_table(
        "installed_certificates",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("named", sa.Text(), nullable=True),
        sa.Column("children", sa.Text(), nullable=False),
        sa.Column("pem", sa.Text(), nullable=True),
        sa.Column("command_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_installed_certificates")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_installed_certificates_station_number_use"),
        "installed_certificates",
        ["station_number", "use"],
        unique=False,
    )
    op.create_table(
        "local_list_versions",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_local_list_versions")),
        sa.UniqueConstraint("station_number", "revision", name=op.f("uq_local_list_versions_station_number_revision")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "local_lists",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("follows_tokens", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("synchronised_revision", sa.Integer(), nullable=True),
        sa.Column("reported_version", sa.Integer(), nullable=True),
        sa.Column("reported_at", Instant(), nullable=True),
        sa.Column("busy_until", Instant(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_local_lists")),
        sa.UniqueConstraint("station_number", name=op.f("uq_local_lists_station_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_local_lists_organisation_id_state"), "local_lists", ["organisation_id", "state"], unique=False
    )
    op.create_table(
        "log_jobs",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=True),
        sa.Column("log_type", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("oldest_at", Instant(), nullable=True),
        sa.Column("latest_at", Instant(), nullable=True),
        sa.Column("upload_status", sa.Text(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("file_number", _NUMBER, nullable=True),
        sa.Column("retries", sa.Integer(), nullable=True),
        sa.Column("retry_interval_s", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("most_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("deadline_at", Instant(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_log_jobs")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_log_jobs_command_id"), "log_jobs", ["command_id"], unique=False)
    op.create_index(op.f("ix_log_jobs_organisation_id_number"), "log_jobs", ["organisation_id", "number"], unique=False)
    op.create_index(op.f("ix_log_jobs_state"), "log_jobs", ["state"], unique=False)
    op.create_index(op.f("ix_log_jobs_station_number_state"), "log_jobs", ["station_number", "state"], unique=False)
    op.create_table(
        "reservations",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("reservation_id", sa.Integer(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=True),
        sa.Column("connector_type", sa.Text(), nullable=True),
        sa.Column("id_token", sa.Text(), nullable=False),
        sa.Column("id_token_type", sa.Text(), nullable=False),
        sa.Column("group_id_token", sa.Text(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=True),
        sa.Column("cancel_command_id", sa.Text(), nullable=True),
        sa.Column("transaction_number", _NUMBER, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_reservations")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_reservations_command_id"), "reservations", ["command_id"], unique=False)
    op.create_index(
        op.f("ix_reservations_organisation_id_number"), "reservations", ["organisation_id", "number"], unique=False
    )
    op.create_index(op.f("ix_reservations_state"), "reservations", ["state"], unique=False)
    op.create_index(
        op.f("ix_reservations_station_number_reservation_id"),
        "reservations",
        ["station_number", "reservation_id"],
        unique=False,
    )
    op.create_table(
        "security_events",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("critical", sa.Boolean(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=True),
        sa.Column("station_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("info", sa.Text(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_security_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_security_events_created_at"), "security_events", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_security_events_organisation_id_number"),
        "security_events",
        ["organisation_id", "number"],
        unique=False,
    )
    op.create_index(
        op.f("ix_security_events_station_id_number"), "security_events", ["station_id", "number"], unique=False
    )
    op.create_table(
        "stored_files",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=True),
        sa.Column("signing_certificate", sa.Text(), nullable=True),
        sa.Column("station_id", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_stored_files")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_stored_files_organisation_id_number"), "stored_files", ["organisation_id", "number"], unique=False
    )
    op.add_column("commands", sa.Column("id_token_key", sa.Text(), nullable=True))
    op.create_index(
        op.f("ix_commands_organisation_id_id_token_key_position"),
        "commands",
        ["organisation_id", "id_token_key", "position"],
        unique=False,
    )
    sequences = sa.table("sequences", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(sequences, [{"name": "reservation_id", "value": 0}])
