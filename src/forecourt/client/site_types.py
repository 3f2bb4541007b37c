"""Sites and their controllers as the API answers. See `types`."""

from datetime import datetime
from typing import Any

from forecourt.client.types import Answer
from forecourt.csms.site_records import EntryKind, OrderState
from forecourt.domain.sentence import Sentence


class Node(Answer, frozen=True, kw_only=True):
    """A node of the site's tree, the grid connection first, and how it is loaded: L1, L2, L3."""

    name: str
    parent: str | None
    rating_a: tuple[float, ...]
    power_limit_w: float | None
    asymmetry_limit_a: float | None
    transformer: bool
    voltage_v: float
    load_a: tuple[float, ...] | None
    limit_a: tuple[float, ...] | None
    background_a: tuple[float, ...] | None
    metered: bool
    limited: str | None
    sentences: tuple[Sentence, ...]


class SiteEvse(Answer, frozen=True, kw_only=True):
    """An EVSE of the site and what was decided for it."""

    evse: str
    station_id: str
    evse_id: int
    node: str
    phases: int
    lines: tuple[str, ...]
    minimum_a: float
    maximum_a: float
    priority: int
    state: str | None
    power_w: float | None
    current_a: float | None
    limit_a: float | None
    target_a: float | None
    why: str | None
    sentence: Sentence | None
    mode: str | None
    by_hand_a: float | None
    departs_at: datetime | None
    remaining_wh: float | None


class Dimming(Answer, frozen=True, kw_only=True):
    """The grid operator's signal and its effect."""

    dimmed: bool
    node: str
    power_w: float | None
    controlled_w: float | None
    current_a: float | None
    drawn_w: float


class PlanSlot(Answer, frozen=True, kw_only=True):
    """A stretch of the plan."""

    until: datetime
    power_w: float
    currents_a: tuple[float, ...]
    price: float | None
    carbon_kg_per_kwh: float | None
    pv_w: float | None


class Plan(Answer, frozen=True, kw_only=True):
    """What is planned for the hours ahead."""

    made_at: datetime
    evses: tuple[str, ...]
    shares: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    slots: tuple[PlanSlot, ...]


class SiteSummary(Answer, frozen=True, kw_only=True):
    """A site in the list."""

    id: int
    name: str
    location_id: int | None
    connected: bool
    heard_at: datetime | None
    version: str | None
    power_w: float | None
    created_at: datetime


class Site(SiteSummary, frozen=True, kw_only=True):
    """A site, whole."""

    connected_at: datetime | None
    lost_records: int
    dimmable: bool
    at: datetime | None
    nodes: tuple[Node, ...]
    evses: tuple[SiteEvse, ...]
    surplus_w: float | None
    pv_w: float | None
    battery_w: float | None
    dimming: Dimming | None
    plan: Plan | None


class NewSite(Site, frozen=True, kw_only=True):
    """A site that was just entered, or has a new key."""

    key: str


class SiteEntry(Answer, frozen=True, kw_only=True):
    """Something that happened at a site."""

    id: int
    kind: EntryKind
    at: datetime
    code: str | None
    text: str
    sentence: Sentence | None
    evse: str | None
    target_a: float | None


class SiteOrder(Answer, frozen=True, kw_only=True):
    """Something that was asked of the controller."""

    id: str
    who: str
    asked: Any
    state: OrderState
    detail: str
    created_at: datetime
    updated_at: datetime
