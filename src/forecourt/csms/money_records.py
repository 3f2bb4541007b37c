"""What the books hold of money, as immutable records: tariffs, sessions, CDRs, payments.

Guarantees
* A version of a tariff never changes, and a CDR holds the terms it was made by.
* A CDR is final. What was wrong is put right by another one that takes it back (a credit, OCPI 2.2.1) and, if need be,
  a third.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from forecourt.csms.bill import Bill, Price
from forecourt.csms.records import Record
from forecourt.csms.tariff_terms import TariffTerms
from forecourt.domain.token import IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason


class Tariff(Record, frozen=True, kw_only=True):
    """One version of a tariff."""

    number: int
    """Of the version: our key."""
    organisation_id: int
    id: int
    """Of the tariff, through all its versions."""
    version: int
    """Counts from 1."""
    terms: TariffTerms
    retired_at: datetime | None = None
    """Since when the tariff is no longer given to anybody; None: it is."""
    created_at: datetime


class TariffScope(StrEnum):
    """What a tariff can be assigned to; of several the narrowest counts."""

    TOKEN = "token"  # noqa: S105 -- a word
    STATION = "station"
    LOCATION = "location"
    ORGANISATION = "organisation"


class TariffAssignment(Record, frozen=True, kw_only=True):
    """A tariff is what a token, a station, a location or the whole organisation pays."""

    number: int
    organisation_id: int
    tariff_id: int
    scope: TariffScope
    target: str
    """The token's value, the station's identity, the location's id; empty for the organisation."""
    ad_hoc: bool
    """For those who pay on the spot only."""
    created_at: datetime


class SessionState(StrEnum):
    """Where a session is on its way to a bill."""

    ACTIVE = "active"
    HELD = "held"
    """It is over, and must not be billed as it stands: an operator releases or voids it."""
    COMPLETED = "completed"
    """It has a CDR."""
    UNPRICED = "unpriced"
    """It is over, and no tariff was assigned: there is nothing to bill."""
    VOID = "void"
    """An operator has decided that it is not billed."""


class Correction(Record, frozen=True, kw_only=True):
    """What an operator has put right by hand before a session was billed; None: as it was."""

    reason: str
    by: str
    """Who: the name of the key."""
    at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    energy_wh: Decimal | None = None
    held_because: str | None = None
    """Why it had been held."""
    reported_energy_wh: Decimal | None = None
    """What the books had instead."""


class Session(Record, frozen=True, kw_only=True):
    """The commercial side of a transaction (OCPI Session); its `number` is the transaction's."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    location_id: int | None = None
    location_name: str | None = None
    location_address: str | None = None
    """As they were at the start."""
    time_zone: str = "UTC"
    """By which the tariff's clock goes."""
    tariff_number: int | None = None
    """The version that was in force at the start; None: none was assigned."""
    payment_id: str | None = None
    state: SessionState = SessionState.ACTIVE
    held_because: str | None = None
    currency: str | None = None
    cost: Price | None = None
    """So far, as of `priced_at`; of the CDR once there is one."""
    cdr_number: int | None = None
    """The last one that stands."""
    changed_since: str | None = None
    """What its transaction said after the CDR was made, where it would have made another."""
    correction: Correction | None = None
    priced_at: datetime | None = None
    priced_for: datetime | None = None
    """The `updated_at` of the transaction that was reckoned; None: to be reckoned as soon as may be."""
    created_at: datetime
    updated_at: datetime


class AuthMethod(StrEnum):
    """How the driver was authorised (OCPI AuthMethod)."""

    COMMAND = "COMMAND"
    """A remote start."""
    WHITELIST = "WHITELIST"
    """The token is in our books, or any token will do."""


class SignedValue(Record, frozen=True, kw_only=True):
    """A reading with the meter's signature, for whoever wants to verify it (OCPI SignedValue)."""

    nature: str
    """Start, End or Intermediate."""
    at: datetime
    signed_data: str
    encoding_method: str = ""
    public_key: str = ""


class Cdr(Record, frozen=True, kw_only=True):
    """A charge detail record: final (OCPI CDR)."""

    number: int
    organisation_id: int
    session_number: int
    station_id: str
    evse_id: int | None = None
    connector_id: int | None = None
    location_id: int | None = None
    location_name: str | None = None
    location_address: str | None = None
    time_zone: str = "UTC"
    id_token: str | None = None
    id_token_type: IdTokenType | None = None
    auth_method: AuthMethod = AuthMethod.WHITELIST
    started_at: datetime
    ended_at: datetime
    stopped_reason: StoppedReason | None = None
    meter_start_wh: float | None = None
    meter_stop_wh: float | None = None
    tariff_id: int
    tariff_version: int
    tariff: TariffTerms
    bill: Bill
    """Of a credit the amounts are those of the CDR that it takes back, below 0."""
    signed_values: tuple[SignedValue, ...] = ()
    correction: Correction | None = None
    credit_of: int | None = None
    """The CDR that this one takes back."""
    remark: str | None = None
    payment_id: str | None = None
    created_at: datetime


class StateReport(Record, frozen=True, kw_only=True):
    """What a station said an EVSE does."""

    station_number: int
    evse_id: int
    at: datetime
    seq_no: int = -1
    """-1: its messages are not numbered."""
    charging_state: ChargingState


class PaymentState(StrEnum):
    """Where a payment on the spot is.

    REQUESTED → AUTHORISED → CAPTURING → CAPTURED; REQUESTED → DECLINED; REQUESTED or AUTHORISED → RELEASING →
    RELEASED; CAPTURING or RELEASING → FAILED → (by hand) back again.
    """

    REQUESTED = "requested"
    """The provider is being asked for an authorisation."""
    AUTHORISED = "authorised"
    DECLINED = "declined"
    CAPTURING = "capturing"
    """The amount is settled and the provider is being asked for it."""
    CAPTURED = "captured"
    RELEASING = "releasing"
    """Nothing is owed and the provider is being told so."""
    RELEASED = "released"
    FAILED = "failed"
    """The provider refused, or could not be reached for too long: a person has to look."""

    @property
    def final(self) -> bool:
        """Whether nothing more will come of itself."""
        return self in {PaymentState.DECLINED, PaymentState.CAPTURED, PaymentState.RELEASED, PaymentState.FAILED}


class Payment(Record, frozen=True, kw_only=True):
    """Money held with a payment provider for one session."""

    id: str
    organisation_id: int
    provider: str
    method: str
    """What the provider knows the driver's card or account by; never a card number."""
    currency: str
    amount: Decimal
    """What is held; never more is captured."""
    station_id: str
    evse_id: int | None = None
    id_token: str
    """Made for this payment: who starts with it pays by it."""
    state: PaymentState = PaymentState.REQUESTED
    session_number: int | None = None
    reference: str | None = None
    """The provider's name for the authorisation."""
    captured: Decimal | None = None
    """What is, or was, asked for; None before the session has a CDR."""
    uncollected: Decimal | None = None
    """What the session cost beyond what was held."""
    detail: str | None = None
    """What the provider said, or why it can't be reached."""
    attempts: int = 0
    """At the present step."""
    next_attempt_at: datetime | None = None
    expires_at: datetime
    """Without a session by then it is released."""
    created_at: datetime
    updated_at: datetime
