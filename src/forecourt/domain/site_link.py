"""The site link's messages: what a local controller and a Forecourt CSMS say to each other (docs/site-link.md).

Guarantees
* One WebSocket, opened by the controller; every message is one JSON object with its kind in `type`. Members that are
  not known are passed over, so that either end may be newer.
* Records (alarms, decisions, changes of limits) are numbered from 1 without a gap in the name of a journal. The CSMS
  says which it has, the controller goes on after it; a record is let go of once it is acknowledged. `lost` counts those
  that a journal which was full had to drop, so that a gap never passes in silence.
* What stands in `Readings` is the whole of it: a newer one replaces an older one, so that any may be left out.
* An order is answered by one `Outcome`. Each sets something to a value, so that asking twice does no harm.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from forecourt.domain.sentence import Sentence
from forecourt.domain.site import Site
from forecourt.quantities import PerPhase

PATH: Final = "/site-link/v1"
SUBPROTOCOL: Final = "forecourt-site-link.v1"
LARGEST_MESSAGE: Final = 4 * 1024 * 1024

ChargeModeName = Literal["off", "pv", "min+pv", "fast"]


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all messages and their parts."""


class NodeReading(Said, frozen=True, kw_only=True):
    """A node of the site. Fields as in `controller.status.NodeStatus`."""

    name: str
    load_a: PerPhase
    limit_a: PerPhase
    """What it may carry, after margins and limits for the time being."""
    background_a: PerPhase
    metered: bool = False
    limited: str | None = None
    """By what it is limited for the time being."""
    sentences: tuple[Sentence, ...] = ()
    """The same, one by one, for other languages."""


class EvseReading(Said, frozen=True, kw_only=True):
    """An EVSE and what was decided for it. Fields as in `controller.status.EvseStatus`."""

    station_id: str
    evse_id: int
    state: str
    power_w: float | None = None
    current_a: float | None = None
    limit_a: float = 0.0
    """What it may hold now."""
    target_a: float = 0.0
    """What it was decided to have."""
    why: str = ""
    sentence: Sentence | None = None
    """`why` for other languages."""
    mode: str = "fast"
    by_hand_a: float | None = None
    priority: int | None = None
    """Set by hand; None: as the site's file says."""
    maximum_a: float = 0.0
    departs_at: datetime | None = None
    remaining_wh: float | None = None


class DimmingReading(Said, frozen=True, kw_only=True):
    """The grid operator's signal and what it comes to."""

    dimmed: bool
    node: str
    power_w: float | None = None
    """Of everything through the node, while dimmed."""
    controlled_w: float | None = None
    """Of the EVSEs below it."""
    current_a: float | None = None
    drawn_w: float = 0.0
    """By the EVSEs below it, now."""


class PlanSlot(Said, frozen=True, kw_only=True):
    """A stretch of the plan. Currents are in the order of `PlanTold.evses`."""

    until: datetime
    currents_a: tuple[float, ...]
    power_w: float
    """Of all EVSEs."""
    price: float | None = None
    """Per kWh."""
    carbon_kg_per_kwh: float | None = None
    pv_w: float | None = None


class PlanTold(Said, frozen=True, kw_only=True):
    """What is planned for the hours ahead."""

    made_at: datetime
    evses: tuple[str, ...]
    """As `station/evse`."""
    slots: tuple[PlanSlot, ...]
    shares: tuple[str, ...] = ()
    """For each EVSE in words."""
    sentences: tuple[Sentence, ...] = ()
    """The same for other languages."""


class Entry(Said, frozen=True, kw_only=True):
    """Something that happened, kept until the CSMS has it."""

    seq: int
    kind: Literal["alarm", "decision", "limit"]
    at: datetime
    text: str
    sentence: Sentence | None = None
    """`text` for other languages."""
    code: str | None = None
    """Of an alarm: its kind."""
    evse: str | None = None
    """As `station/evse`; None: the whole site."""
    target_a: float | None = None
    """Of a decision."""


# Up


class Hello(Said, frozen=True, kw_only=True, tag="hello"):
    """First of all: which site this is."""

    version: str
    """Of the software."""
    journal_id: str
    """A new one begins its numbers at 1."""
    last_seq: int
    site: Site
    dimmable: bool = False


class Readings(Said, frozen=True, kw_only=True, tag="readings"):
    """How things stand."""

    at: datetime
    nodes: tuple[NodeReading, ...]
    evses: tuple[EvseReading, ...]
    surplus_w: float = 0.0
    pv_w: float | None = None
    battery_w: float | None = None
    dimming: DimmingReading | None = None


class PlanUpdate(Said, frozen=True, kw_only=True, tag="plan"):
    """There is another plan, or none any more."""

    plan: PlanTold | None = None


class Records(Said, frozen=True, kw_only=True, tag="records"):
    """What happened, in the order of their numbers."""

    entries: tuple[Entry, ...]
    lost: int = 0
    """How many were dropped since the last acknowledged one, because the journal was full."""


class Outcome(Said, frozen=True, kw_only=True, tag="outcome"):
    """What came of an order."""

    id: str
    done: bool
    detail: str = ""
    """Why not."""


Up = Hello | Readings | PlanUpdate | Records | Outcome


# Down


class Welcome(Said, frozen=True, kw_only=True, tag="welcome"):
    """The answer to `Hello`: send what comes after this number."""

    site_id: int
    have_seq: int
    readings_every_s: Annotated[float, Meta(gt=0)] = 2.0
    """More often nobody looks."""


class Ack(Said, frozen=True, kw_only=True, tag="ack"):
    """Everything up to here is in the books."""

    seq: int


class LimitNode(Said, frozen=True, kw_only=True, tag="limit_node"):
    """Limit a node; all None takes the limit back."""

    node: str
    current_a: Annotated[float, Meta(ge=0)] | None = None
    power_w: Annotated[float, Meta(ge=0)] | None = None
    controlled_w: Annotated[float, Meta(ge=0)] | None = None
    ends: datetime | None = None


class LimitEvse(Said, frozen=True, kw_only=True, tag="limit_evse"):
    """Limit an EVSE; None takes the limit back."""

    station_id: str
    evse_id: int
    current_a: Annotated[float, Meta(ge=0)] | None = None
    ends: datetime | None = None


class WishEvse(Said, frozen=True, kw_only=True, tag="wish_evse"):
    """When the car there leaves and what it wants; all None takes it back."""

    station_id: str
    evse_id: int
    departs_at: datetime | None = None
    energy_wh: Annotated[float, Meta(gt=0)] | None = None


class ModeEvse(Said, frozen=True, kw_only=True, tag="mode_evse"):
    """How an EVSE charges."""

    station_id: str
    evse_id: int
    mode: ChargeModeName


class PriorityEvse(Said, frozen=True, kw_only=True, tag="priority_evse"):
    """Who goes first; None: as the site's file says."""

    station_id: str
    evse_id: int
    priority: int | None = None


class DimSite(Said, frozen=True, kw_only=True, tag="dim_site"):
    """The grid operator's signal."""

    dimmed: bool


class PriceStep(Said, frozen=True, kw_only=True):
    """A price per kWh, or kg of CO2 per kWh, from an instant on."""

    start: datetime
    value: float


class SetTariff(Said, frozen=True, kw_only=True, tag="set_tariff"):
    """What energy costs, and what it weighs in CO2; nothing: back to what the site's file says."""

    prices: tuple[PriceStep, ...] = ()
    carbon: tuple[PriceStep, ...] | None = None
    """None: as it was."""


Asked = LimitNode | LimitEvse | WishEvse | ModeEvse | PriorityEvse | DimSite | SetTariff


class Order(Said, frozen=True, kw_only=True, tag="order"):
    """Do this."""

    id: str
    who: str
    """For the controller's own record of changes."""
    asked: Asked


Down = Welcome | Ack | Order

_encode = msgspec.json.Encoder().encode
_decode_up = msgspec.json.Decoder(Up).decode
_decode_down = msgspec.json.Decoder(Down).decode


def encode(message: Up | Down) -> bytes:
    """As it goes over the wire."""
    return _encode(message)


def decode_up(data: bytes | str) -> Up:
    """From a controller. Raises msgspec.DecodeError."""
    message: Up = _decode_up(data)
    return message


def decode_down(data: bytes | str) -> Down:
    """From a CSMS. Raises msgspec.DecodeError."""
    message: Down = _decode_down(data)
    return message
