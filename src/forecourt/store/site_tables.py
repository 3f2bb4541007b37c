"""The tables of sites with a local controller. See `tables`, whose guarantees hold here too.

Guarantees
* A record of a site's journal is in the books once: site, journal and number are unique together.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text, UniqueConstraint

from forecourt.csms.site_records import EntryKind, NodeSample, OrderState
from forecourt.domain.sentence import Sentence
from forecourt.domain.site import Site
from forecourt.domain.site_link import Asked, PlanTold, Readings
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


sites: Final = _table(
    "sites",
    Column("name", Text, nullable=False),
    Column("location_id", _NUMBER),
    Column("key_hash", Text, nullable=False),
    Column("connection_id", Text),
    Column("connected_at", Instant),
    Column("heard_at", Instant),
    Column("version", Text),
    Column("dimmable", Boolean, nullable=False),
    Column("journal_id", Text),
    Column("last_seq", _NUMBER, nullable=False),
    Column("lost", _NUMBER, nullable=False),
    Column("tree", Json(Site)),
    Column("readings", Json(Readings)),
    Column("plan", Json(PlanTold)),
    Index(None, "organisation_id", "number"),
)

site_entries: Final = _table(
    "site_entries",
    Column("site_number", _NUMBER, nullable=False),
    Column("journal_id", Text, nullable=False),
    Column("seq", _NUMBER, nullable=False),
    Column("kind", Word(EntryKind), nullable=False),
    Column("text", Text, nullable=False),
    Column("code", Text),
    Column("evse", Text),
    Column("target_a", Float(53)),
    Column("sentence", Json(Sentence)),
    UniqueConstraint("site_number", "journal_id", "seq"),
    Index(None, "site_number", "kind", "number"),
    Index(None, "created_at"),
)

site_samples: Final = _table(
    "site_samples",
    Column("site_number", _NUMBER, nullable=False),
    Column("duration_s", Float(53), nullable=False),
    Column("nodes", Json(tuple[NodeSample, ...]), nullable=False),
    Column("power_w", Float(53), nullable=False),
    Column("surplus_w", Float(53), nullable=False),
    Column("pv_w", Float(53)),
    Column("charging", Integer, nullable=False),
    Column("dimmed", Boolean, nullable=False),
    Index(None, "site_number", "created_at"),
    Index(None, "created_at"),
)

site_orders: Final = _table(
    "site_orders",
    Column("site_number", _NUMBER, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("asked", Json(Asked), nullable=False),
    Column("state", Word(OrderState), nullable=False),
    Column("detail", Text, nullable=False),
    UniqueConstraint("order_id"),
    Index(None, "site_number", "number"),
    Index(None, "created_at"),
)
