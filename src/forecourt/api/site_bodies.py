"""What `/sites` takes and gives.

Guarantees
* Of three numbers the first is L1, the second L2, the third L3.
* What the controller hasn't told yet is null.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from forecourt.api.bodies import LARGEST_INTEGER, LARGEST_KEY, Asked, Instant, Name
from forecourt.api.lists import Listing
from forecourt.csms.site_records import EntryKind, OrderState
from forecourt.domain.sentence import Sentence
from forecourt.domain.site_link import ChargeModeName

LocationKey = Annotated[int, Meta(ge=1, le=LARGEST_KEY)]
Ampere = Annotated[float, Meta(ge=0, le=100_000)]
Watt = Annotated[float, Meta(ge=0, le=1e9)]
Lines = tuple[float, ...]
"""L1, L2, L3."""


class SiteBody(Asked, frozen=True, kw_only=True):
    """A site as somebody enters it."""

    name: Name
    location_id: LocationKey | None = None


class NodeLimitBody(Asked, frozen=True, kw_only=True):
    """A limit for a node; everything null takes it back."""

    current_a: Ampere | None = None
    """On each line, of everything through it."""
    power_w: Watt | None = None
    controlled_w: Watt | None = None
    """Of the EVSEs below it."""
    ends: Instant | None = None
    """Null: until further notice."""


class EvseLimitBody(Asked, frozen=True, kw_only=True):
    """A limit for an EVSE; null takes it back."""

    current_a: Ampere | None
    ends: Instant | None = None


class EvseWishBody(Asked, frozen=True, kw_only=True):
    """What the car there wants; everything null takes it back."""

    departs_at: Instant | None = None
    energy_wh: Annotated[float, Meta(gt=0, le=1e9)] | None = None


class EvseModeBody(Asked, frozen=True, kw_only=True):
    """How an EVSE charges: off, from the sun only, at least its minimum, or as fast as can be."""

    mode: ChargeModeName


class EvsePriorityBody(Asked, frozen=True, kw_only=True):
    """Who goes first; null: as the site's file says."""

    priority: Annotated[int, Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)] | None


class DimBody(Asked, frozen=True, kw_only=True):
    """The grid operator's signal."""

    dimmed: bool


class StepBody(Asked, frozen=True, kw_only=True):
    """A value from an instant on."""

    start: Instant
    value: Annotated[float, Meta(ge=-1e6, le=1e6)]


class SiteTariffBody(Asked, frozen=True, kw_only=True):
    """Prices per kWh and CO2 in kg per kWh, each from an instant on; no prices: back to what the site's file says."""

    prices: Annotated[tuple[StepBody, ...], Meta(max_length=1000)] = ()
    carbon: Annotated[tuple[StepBody, ...], Meta(max_length=1000)] | None = None


class NodeResource(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the site's tree, the grid connection first, and how it is loaded: L1, L2, L3."""

    name: str
    parent: str | None
    """Null: the grid connection."""
    rating_a: Lines
    power_limit_w: float | None
    asymmetry_limit_a: float | None
    transformer: bool
    voltage_v: float
    load_a: Lines | None
    """Null: nothing was told yet."""
    limit_a: Lines | None
    background_a: Lines | None
    metered: bool
    limited: str | None
    """By what it is limited for the time being."""
    sentences: tuple[Sentence, ...]
    """The same, one by one, for other languages."""


class SiteEvseResource(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE of the site and what was decided for it."""

    evse: str
    station_id: str
    evse_id: int
    node: str
    phases: int
    lines: tuple[str, ...]
    """The site's line for each of the EVSE's own phases; empty: not known."""
    minimum_a: float
    maximum_a: float
    priority: int
    state: str | None
    power_w: float | None
    current_a: float | None
    limit_a: float | None
    """What it may hold now."""
    target_a: float | None
    """What was decided for it."""
    why: str | None
    sentence: Sentence | None
    """`why` for other languages: words with places, and what fills them."""
    mode: str | None
    by_hand_a: float | None
    departs_at: datetime | None
    remaining_wh: float | None


class DimmingResource(msgspec.Struct, frozen=True, kw_only=True):
    """The grid operator's signal and its effect."""

    dimmed: bool
    node: str
    power_w: float | None
    controlled_w: float | None
    current_a: float | None
    drawn_w: float
    """By the EVSEs below the node, now."""


class PlanSlotResource(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the plan."""

    until: datetime
    power_w: float
    currents_a: tuple[float, ...]
    """In the order of the plan's EVSEs."""
    price: float | None
    carbon_kg_per_kwh: float | None
    pv_w: float | None


class PlanResource(msgspec.Struct, frozen=True, kw_only=True):
    """What is planned for the hours ahead."""

    made_at: datetime
    evses: tuple[str, ...]
    shares: tuple[str, ...]
    """For each EVSE in words."""
    sentences: tuple[Sentence, ...]
    """The same for other languages."""
    slots: tuple[PlanSlotResource, ...]


class SiteSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A site in the list."""

    id: int
    name: str
    location_id: int | None
    connected: bool
    heard_at: datetime | None
    version: str | None
    power_w: float | None
    """Of all EVSEs."""
    created_at: datetime


class SiteResource(SiteSummary, frozen=True, kw_only=True):
    """A site, whole."""

    connected_at: datetime | None
    lost_records: int
    """How many alarms and decisions its controller had to drop while there was no link."""
    dimmable: bool
    at: datetime | None
    """When the readings were taken, by the controller's clock."""
    nodes: tuple[NodeResource, ...]
    evses: tuple[SiteEvseResource, ...]
    surplus_w: float | None
    pv_w: float | None
    battery_w: float | None
    dimming: DimmingResource | None
    plan: PlanResource | None


class NewSite(SiteResource, frozen=True, kw_only=True):
    """A site that was just entered, or has a new key."""

    key: str
    """For `[site_link]` of its controller; it is never shown again."""


class SiteList(Listing, frozen=True, kw_only=True):
    """Sites, newest first."""

    items: tuple[SiteSummary, ...]


class SiteEntryResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at a site."""

    id: int
    kind: EntryKind
    at: datetime
    code: str | None
    text: str
    sentence: Sentence | None
    """`text` for other languages."""
    evse: str | None
    target_a: float | None


class SiteEntryList(Listing, frozen=True, kw_only=True):
    """What happened, newest first."""

    items: tuple[SiteEntryResource, ...]


class NodeSampleResource(msgspec.Struct, frozen=True, kw_only=True):
    """A node over a stretch of time: L1, L2, L3."""

    name: str
    mean_a: Lines
    highest_a: Lines
    limit_a: Lines


class SampleResource(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the history."""

    at: datetime
    duration_s: float
    power_w: float
    surplus_w: float
    pv_w: float | None
    charging: int
    dimmed: bool
    nodes: tuple[NodeSampleResource, ...]


class SiteHistory(msgspec.Struct, frozen=True, kw_only=True):
    """How a site was loaded, oldest first."""

    items: tuple[SampleResource, ...]


class SiteOrderResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was asked of the controller."""

    id: str
    who: str
    asked: Any
    state: OrderState
    detail: str
    created_at: datetime
    updated_at: datetime


class SiteOrderList(Listing, frozen=True, kw_only=True):
    """What was asked, newest first."""

    items: tuple[SiteOrderResource, ...]
