"""Prices and costs for the driver's eyes (OCPP 2.0.1 I01 to I03; California pricing requirements)."""

from datetime import datetime

from forecourt.domain.cost import ChargingPrice, CostState, IdlePrice, MeterTrigger, NextPeriod, PriceText
from forecourt.domain.requests.base import Request
from forecourt.domain.token import IdToken

# What a station asks of the CSMS


class ConnectorUnplugged(Request, frozen=True, kw_only=True):
    """The car of a transaction that is over has left: nobody idles there any more. Answered by Accepted or Rejected."""

    transaction_id: str
    at: datetime


# What the CSMS asks of a station


class ShowPrice(Request, frozen=True, kw_only=True):
    """Show this driver what charging costs. Answered by Accepted or Rejected."""

    id_token: IdToken
    texts: tuple[PriceText, ...]


class CostUpdated(Request, frozen=True, kw_only=True):
    """Show what a running transaction has cost so far (I02). Answered by Accepted or Rejected.

    All but the first two is said only where a protocol has words for it.
    """

    transaction_id: str
    total_cost: float
    at: datetime | None = None
    """When it was so much."""
    register_wh: float | None = None
    """The energy register then."""
    state: CostState | None = None
    charging_price: ChargingPrice | None = None
    idle_price: IdlePrice | None = None
    next_period: NextPeriod | None = None
    trigger: MeterTrigger | None = None


class ShowFinalCost(Request, frozen=True, kw_only=True):
    """Show what a transaction that is over has cost. Answered by Accepted or Rejected."""

    transaction_id: str
    total_cost: float
    texts: tuple[PriceText, ...] = ()
    qr_code_text: str | None = None
    """Where the receipt is, for a phone."""
