"""What the CSMS keeps of sites with a local controller: the site, what it told, what was asked of it."""

from datetime import datetime
from enum import StrEnum

import msgspec

from forecourt.domain.sentence import Sentence
from forecourt.domain.site import Site
from forecourt.domain.site_link import Asked, PlanTold, Readings
from forecourt.quantities import PerPhase


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""


class LinkedSite(Record, frozen=True, kw_only=True):
    """A site, and how things stand there as its controller told last."""

    number: int
    organisation_id: int
    name: str
    location_id: int | None = None
    key_hash: str
    """SHA-256 of the site's key, in hexadecimal digits."""
    connection_id: str | None = None
    """None: there is no link now."""
    connected_at: datetime | None = None
    heard_at: datetime | None = None
    version: str | None = None
    """Of the controller's software."""
    dimmable: bool = False
    journal_id: str | None = None
    last_seq: int = 0
    """Of the last record that is in the books, in the name of that journal."""
    lost: int = 0
    """How many records the controller had to drop while there was no link, all in all."""
    tree: Site | None = None
    readings: Readings | None = None
    plan: PlanTold | None = None
    created_at: datetime
    updated_at: datetime


class EntryKind(StrEnum):
    """What a record is about."""

    ALARM = "alarm"
    DECISION = "decision"
    LIMIT = "limit"


class SiteEntry(Record, frozen=True, kw_only=True):
    """Something that happened at a site. `created_at` is when, by the controller's clock."""

    number: int
    organisation_id: int
    site_number: int
    journal_id: str
    seq: int
    kind: EntryKind
    text: str
    sentence: Sentence | None = None
    """`text` for other languages."""
    code: str | None = None
    evse: str | None = None
    target_a: float | None = None
    created_at: datetime
    updated_at: datetime


class NodeSample(msgspec.Struct, frozen=True, kw_only=True):
    """A node over a stretch of time."""

    name: str
    mean_a: PerPhase
    highest_a: PerPhase
    limit_a: PerPhase
    """The lowest of that time."""


class SiteSample(Record, frozen=True, kw_only=True):
    """A stretch of the history, `duration_s` long from `created_at` on."""

    number: int
    organisation_id: int
    site_number: int
    duration_s: float
    nodes: tuple[NodeSample, ...]
    power_w: float
    """Of all EVSEs, on average."""
    surplus_w: float
    pv_w: float | None = None
    charging: int
    """EVSEs that charged, at most."""
    dimmed: bool = False
    created_at: datetime
    updated_at: datetime


class OrderState(StrEnum):
    """How far an order has come."""

    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    OFFLINE = "offline"
    """There was no link; nothing was asked."""


class SiteOrder(Record, frozen=True, kw_only=True):
    """Something that was asked of a controller."""

    number: int
    organisation_id: int
    site_number: int
    order_id: str
    who: str
    asked: Asked
    state: OrderState
    detail: str = ""
    created_at: datetime
    updated_at: datetime
