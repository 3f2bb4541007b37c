"""The tables of load groups, drivers' wishes, and profiles that are stored and assigned. See `tables`.

Guarantees
* An EVSE has one pair of profile ids; a transaction one wish of each source, a token one.
"""

from datetime import time
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text, UniqueConstraint

from forecourt.csms.group_records import (
    AssignmentState,
    Attempt,
    GroupMember,
    GroupStatus,
    WishSource,
)
from forecourt.csms.group_terms import GroupLimit
from forecourt.domain.profile import ChargingProfile
from forecourt.store.tables import metadata
from forecourt.store.types import Instant, Json, Word

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def _table(name: str, *rest: Any) -> Table:
    """With our own key, its organisation, and when it was entered and changed."""
    return Table(
        name,
        metadata,
        Column("number", _NUMBER, primary_key=True, autoincrement=True),
        Column("organisation_id", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        *rest,
        sqlite_autoincrement=True,
    )


def _station() -> tuple[Column[Any], Column[Any]]:
    return Column("station_number", _NUMBER, nullable=False), Column("station_id", Text, nullable=False)


load_groups: Final = _table(
    "load_groups",
    Column("name", Text, nullable=False),
    Column("parent_number", _NUMBER),
    Column("active", Boolean, nullable=False),
    Column("terms", Json(GroupLimit), nullable=False),
    Column("members", Json(tuple[GroupMember, ...]), nullable=False),
    Column("status", Json(GroupStatus)),
    Column("keeper", Text),
    Column("keeper_until", Instant),
    Index(None, "organisation_id", "number"),
)

group_evses: Final = _table(
    "group_evses",
    *_station(),
    Column("evse_id", Integer, nullable=False),
    Column("base_profile_id", Integer, nullable=False),
    Column("transaction_profile_id", Integer, nullable=False),
    UniqueConstraint("station_number", "evse_id"),
)

transaction_wishes: Final = _table(
    "transaction_wishes",
    *_station(),
    Column("transaction_number", _NUMBER, nullable=False),
    Column("source", Word(WishSource), nullable=False),
    Column("departs_at", Instant),
    Column("energy_wh", Float(53)),
    UniqueConstraint("transaction_number", "source"),
)

token_wishes: Final = _table(
    "token_wishes",
    Column("id_token", Text, nullable=False),
    Column("departs", Json(time)),
    Column("time_zone", Text, nullable=False),
    Column("energy_wh", Float(53)),
    UniqueConstraint("organisation_id", "id_token"),
)

stored_profiles: Final = _table(
    "stored_profiles",
    Column("name", Text, nullable=False),
    Column("profile", Json(ChargingProfile), nullable=False),
    Index(None, "organisation_id", "number"),
)

profile_assignments: Final = _table(
    "profile_assignments",
    *_station(),
    Column("evse_id", Integer, nullable=False),
    Column("stored_number", _NUMBER),
    Column("profile", Json(ChargingProfile), nullable=False),
    Column("state", Word(AssignmentState), nullable=False),
    Column("fall_back", Boolean, nullable=False),
    Column("attempts", Json(tuple[Attempt, ...]), nullable=False),
    Column("detail", Text),
    Index(None, "organisation_id", "number"),
    Index(None, "station_number", "state"),
    Index(None, "state"),
)
