"""Load groups, what drivers want, and profiles that are stored and assigned."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from forecourt.store.types import Instant

revision = "0005_groups"
down_revision = "0004_people"
branch_labels = None
depends_on = None

_NUMBER: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "group_evses",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("base_profile_id", sa.Integer(), nullable=False),
        sa.Column("transaction_profile_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_group_evses")),
        sa.UniqueConstraint("station_number", "evse_id", name=op.f("uq_group_evses_station_number_evse_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "load_groups",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_number", _NUMBER, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("keeper", sa.Text(), nullable=True),
        sa.Column("keeper_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_load_groups")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_load_groups_organisation_id_number"), "load_groups", ["organisation_id", "number"], unique=False
    )
    op.create_table(
        "profile_assignments",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("stored_number", _NUMBER, nullable=True),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fall_back", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_profile_assignments")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_profile_assignments_organisation_id_number"),
        "profile_assignments",
        ["organisation_id", "number"],
        unique=False,
    )
    op.create_index(op.f("ix_profile_assignments_state"), "profile_assignments", ["state"], unique=False)
    op.create_index(
        op.f("ix_profile_assignments_station_number_state"),
        "profile_assignments",
        ["station_number", "state"],
        unique=False,
    )
    op.create_table(
        "stored_profiles",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_stored_profiles")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_stored_profiles_organisation_id_number"),
        "stored_profiles",
        ["organisation_id", "number"],
        unique=False,
    )
    op.create_table(
        "token_wishes",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("id_token", sa.Text(), nullable=False),
        sa.Column("departs", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("energy_wh", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_token_wishes")),
        sa.UniqueConstraint("organisation_id", "id_token", name=op.f("uq_token_wishes_organisation_id_id_token")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "transaction_wishes",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("station_number", _NUMBER, nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("transaction_number", _NUMBER, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("departs_at", Instant(), nullable=True),
        sa.Column("energy_wh", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_transaction_wishes")),
        sa.UniqueConstraint(
            "transaction_number", "source", name=op.f("uq_transaction_wishes_transaction_number_source")
        ),
        sqlite_autoincrement=True,
    )
