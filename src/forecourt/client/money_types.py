"""Tariffs, sessions, CDRs and payments as the API answers. See `types`."""

from datetime import datetime
from decimal import Decimal

from forecourt.client.types import Answer
from forecourt.csms.bill import Bill, Price
from forecourt.csms.money_records import AuthMethod, Correction, PaymentState, SessionState, SignedValue, TariffScope
from forecourt.csms.tariff_terms import TariffTerms
from forecourt.domain.token import IdTokenType
from forecourt.domain.transaction import StoppedReason


class Tariff(Answer, frozen=True, kw_only=True):
    """A version of a tariff."""

    id: int
    version: int
    terms: TariffTerms
    retired_at: datetime | None
    created_at: datetime


class TariffAssignment(Answer, frozen=True, kw_only=True):
    """A tariff counts somewhere."""

    number: int
    tariff_id: int
    scope: TariffScope
    target: str
    ad_hoc: bool
    created_at: datetime


class Session(Answer, frozen=True, kw_only=True):
    """The commercial side of a transaction."""

    id: int
    station_id: str
    evse_id: int | None
    connector_id: int | None
    location_id: int | None
    id_token: str | None
    state: SessionState
    held_because: str | None
    started_at: datetime | None
    ended_at: datetime | None
    energy_wh: float | None
    currency: str | None
    total_cost: Price | None
    priced_at: datetime | None
    cdr_id: int | None
    changed_since: str | None
    payment_id: str | None
    correction: Correction | None
    time_zone: str
    updated_at: datetime
    bill: Bill | None


class Cdr(Answer, frozen=True, kw_only=True):
    """A charge detail record. It never changes."""

    id: int
    session_id: int
    station_id: str
    evse_id: int | None
    connector_id: int | None
    location_id: int | None
    location_name: str | None
    location_address: str | None
    time_zone: str
    id_token: str | None
    id_token_type: IdTokenType | None
    auth_method: AuthMethod
    started_at: datetime
    ended_at: datetime
    stopped_reason: StoppedReason | None
    meter_start_wh: float | None
    meter_stop_wh: float | None
    tariff_id: int
    tariff_version: int
    tariff: TariffTerms
    bill: Bill
    signed_values: tuple[SignedValue, ...]
    correction: Correction | None
    credit_of: int | None
    remark: str | None
    payment_id: str | None
    created_at: datetime


class Payment(Answer, frozen=True, kw_only=True):
    """Money held with a payment provider for one session."""

    id: str
    provider: str
    currency: str
    amount: Decimal
    station_id: str
    evse_id: int | None
    id_token: str
    state: PaymentState
    session_id: int | None
    reference: str | None
    captured: Decimal | None
    uncollected: Decimal | None
    detail: str | None
    attempts: int
    next_attempt_at: datetime | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
