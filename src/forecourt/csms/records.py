"""What the books of the CSMS hold, as immutable records.

Guarantees
* Every record belongs to an organisation (`organisation_id`), so that tenants are a filter and never a rewrite.
* Datetimes are UTC, and as the CSMS's clock gave them unless the field says that the station did.
* Meter registers are watt-hours as the binary64 the meter's text was read to: exact to far below a milliwatt-hour
  for any register that exists. Energy is a difference of two registers, rounded to `ENERGY_DIGITS`, so that it carries
  no dust of the subtraction; money is made from it as a decimal.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar

import msgspec

from forecourt.domain.meter import SampledValue
from forecourt.domain.profile import ChargingProfile
from forecourt.domain.station import (
    BootReason,
    Capabilities,
    ConnectorError,
    ConnectorStatus,
    RegistrationStatus,
    StationIdentity,
)
from forecourt.domain.token import AuthorizationStatus, IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason
from forecourt.domain.variable import Mutability, VariableRef

T = TypeVar("T")

DEFAULT_ORGANISATION: Final = 1
"""The organisation of those who have a single one and never notice."""

ENERGY_DIGITS: Final = 3
"""Energy is kept to a milliwatt-hour."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A stretch of a list, newest first. `next_cursor` gives the one after it; None: this is the last."""

    items: tuple[T, ...]
    next_cursor: str | None = None


# Places and stations


class Location(Record, frozen=True, kw_only=True):
    """Where stations stand."""

    id: int
    organisation_id: int
    name: str
    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    time_zone: str | None = None
    """An IANA name, such as Europe/Berlin."""
    created_at: datetime


class Station(Record, frozen=True, kw_only=True):
    """A charging station. Connectivity is a fact of its own: a station may be shown Available and be offline."""

    number: int
    """Our own key: never reused, never on the wire."""
    id: str
    """The identity it connects with."""
    organisation_id: int
    location_id: int | None = None
    name: str | None = None
    registration: RegistrationStatus
    identity: StationIdentity | None = None
    """As it said at its last boot; None before the first."""
    protocol: str | None = None
    """The subprotocol of its last connection."""
    connected: bool = False
    connection_changed_at: datetime | None = None
    """Since when it is, or is not, connected; None: it never was."""
    last_seen_at: datetime | None = None
    """When anything last came from it."""
    booted_at: datetime | None = None
    boot_reason: BootReason | None = None
    clock_drift_s: float | None = None
    """How far its clock is ahead of ours, by the last message that told a time and wasn't marked as queued offline."""
    security_profile: int = 0
    """0 to 3 (security white paper): what its connections must at least fulfil."""
    has_password: bool = False
    """Whether it must show a password (Basic Auth); the password itself is kept as a hash."""
    lenient_decoding: bool | None = None
    """Whether its messages may deviate from their schema; None: as the settings say of all."""
    violation_count: int = 0
    """Messages of it that broke their schema and were forgiven."""
    created_at: datetime


class ProcessRecord(Record, frozen=True, kw_only=True):
    """One of the processes that are this CSMS."""

    number: int
    id: str
    name: str
    """For people."""
    beats: int
    """Goes up for as long as it lives."""
    entered_at: datetime


class ConnectorView(StrEnum):
    """A connector's state as a person thinks of it."""

    UNKNOWN = "unknown"
    UNPLUGGED = "unplugged"
    PLUGGED_IN = "plugged_in"
    CHARGING = "charging"
    FINISHED = "finished"
    FAULTED = "faulted"
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"


class Connector(Record, frozen=True, kw_only=True):
    """A connector and what is known of it. EVSE 0, connector 0 is the station as a whole."""

    organisation_id: int
    station_number: int
    station_id: str
    evse_id: int
    connector_id: int
    connector_status: ConnectorStatus | None = None
    charging_state: ChargingState | None = None
    error: ConnectorError | None = None
    status_at: datetime | None = None
    """When the station says the state came to be."""
    power_w: float | None = None
    """Power.Active.Import, else Current.Import times Voltage; of the last reading."""
    power_at: datetime | None = None
    transaction_number: int | None = None
    """The transaction that runs here."""
    transaction_finished: bool = False
    """One has ended here since the car was plugged in."""
    view: ConnectorView = ConnectorView.UNKNOWN
    updated_at: datetime


class ReportedVariable(Record, frozen=True, kw_only=True):
    """What a station last said of a variable."""

    ref: VariableRef
    value: str | None
    mutability: Mutability
    reported_at: datetime


class DesiredVariable(Record, frozen=True, kw_only=True):
    """What a variable shall be, and what came of the last attempt to set it."""

    ref: VariableRef
    value: str
    outcome: str | None = None
    """The station's word on the last attempt; None before the first."""
    pushed_at: datetime | None = None


class Drift(Record, frozen=True, kw_only=True):
    """A variable that isn't as desired. `reported` None: the station hasn't told, or has no such variable."""

    ref: VariableRef
    desired: str
    reported: str | None


class Configuration(Record, frozen=True, kw_only=True):
    """A station's configuration: as reported, as desired, and where the two differ."""

    reported: tuple[ReportedVariable, ...]
    desired: tuple[DesiredVariable, ...]
    drift: tuple[Drift, ...]


ANY: Final = Capabilities(
    csms_issues_transaction_ids=False,
    sequence_numbers=True,
    reports_charging_state_without_transaction=False,
    variables_in_batches=True,
    reset_on_idle=True,
)
"""Of a station that isn't there to tell."""


class ConnectedStation(Record, frozen=True, kw_only=True):
    """Who a session's messages come from."""

    organisation_id: int
    number: int
    id: str
    connection_id: str = ""
    """Of this connection alone: a newer connection of the station has another, and the older one's end is no news."""
    protocol: str = ""
    capabilities: Capabilities = ANY


class Violation(Record, frozen=True, kw_only=True):
    """Something of a message that broke its schema and was forgiven."""

    id: int
    organisation_id: int
    station_number: int
    at: datetime
    action: str
    description: str


# Tokens


class Token(Record, frozen=True, kw_only=True):
    """An identity that may, or may not, charge."""

    id: int
    organisation_id: int
    value: str
    type: IdTokenType = IdTokenType.ISO14443
    standing: AuthorizationStatus = AuthorizationStatus.ACCEPTED
    """The verdict as entered; what is answered also depends on `expires_at` and the transactions that run."""
    expires_at: datetime | None = None
    group: str | None = None
    """Tokens of one group may stop each other's transactions."""
    charging_priority: int = 0
    note: str | None = None
    created_at: datetime
    updated_at: datetime


# Transactions and meter values


class TransactionState(StrEnum):
    """Where a transaction is in its life."""

    ACTIVE = "active"
    ENDED = "ended"
    CLOSED = "closed"
    """Ended in the books only, by rule or by hand; the station has not said so."""


class Transaction(Record, frozen=True, kw_only=True):
    """One charging transaction, put together from whatever arrived of it, in whatever order."""

    number: int
    """Our own key, from a sequence that never gives a number twice. Where the CSMS issues the ids, this is it."""
    transaction_id: str | None
    """The id on the wire. None: the station named one that we never gave it; see `reported_id`."""
    reported_id: str | None = None
    organisation_id: int
    station_number: int
    station_id: str
    evse_id: int | None = None
    connector_id: int | None = None
    state: TransactionState = TransactionState.ACTIVE
    orphan: bool = False
    """Its start never came: known only by what followed."""
    id_token: str | None = None
    id_token_type: IdTokenType | None = None
    authorization: AuthorizationStatus | None = None
    """What was answered about the token."""
    token_at: datetime | None = None
    """When the station says the token was shown."""
    stop_id_token: str | None = None
    started_at: datetime | None = None
    """As the station says; None while the start hasn't come."""
    ended_at: datetime | None = None
    stopped_reason: StoppedReason | None = None
    meter_start_wh: float | None = None
    meter_stop_wh: float | None = None
    meter_last_wh: float | None = None
    """The last register reading that isn't suspect."""
    meter_last_at: datetime | None = None
    energy_wh: float | None = None
    """Stop minus start, or while it runs last minus start. None where a register is missing or can't be right."""
    suspect: str | None = None
    """Why its energy must not be billed as it stands."""
    charging_state: ChargingState | None = None
    charging_state_at: datetime | None = None
    charging_state_seq_no: int | None = None
    reservation_id: int | None = None
    remote_start_id: int | None = None
    command_id: str | None = None
    """The command that led to it."""
    offline: bool = False
    """Some of it happened while the station was offline."""
    sequence: tuple[tuple[int, int], ...] = ()
    """The sequence numbers that came, as closed ranges in ascending order; a gap is a message that is missing."""
    end_seq_no: int | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The sequence numbers that have not come, as closed ranges, counted from 0 (OCPP 2.0.1 E01.FR.07)."""
        gaps, expected = [], 0
        for first, last in self.sequence:
            if first > expected:
                gaps.append((expected, first - 1))
            expected = last + 1
        return tuple(gaps)


class Reading(Record, frozen=True, kw_only=True, gc=False):
    """What a meter said at one instant."""

    organisation_id: int
    station_number: int
    evse_id: int
    """0: the station's main meter, or an EVSE that nobody named."""
    transaction_number: int | None = None
    reported_transaction_id: str | None = None
    at: datetime
    """As the station says."""
    energy_wh: float | None = None
    power_w: float | None = None
    samples: tuple[SampledValue, ...]
    suspect: str | None = None
    """Why it must not be billed."""
    received_at: datetime


# Charging profiles


class ProfileState(StrEnum):
    """What is known of a profile on a station."""

    PENDING = "pending"
    """Sent or about to be; the station hasn't answered."""
    INSTALLED = "installed"
    REJECTED = "rejected"
    CLEARED = "cleared"
    REPLACED = "replaced"
    """Another of the same id, or of the same purpose and stack level, took its place."""
    NOT_SENT = "not_sent"
    """The station was offline, or the command expired before it could be sent."""
    UNKNOWN = "unknown"
    """No answer came: it may or may not be there."""


class StationProfile(Record, frozen=True, kw_only=True):
    """A charging profile given to an EVSE of a station; EVSE 0 is the station as a whole."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    evse_id: int
    profile_id: int
    """The id that went over the wire."""
    profile: ChargingProfile
    state: ProfileState
    command_id: str | None = None
    created_at: datetime
    updated_at: datetime


# Message history, events


class Direction(StrEnum):
    """Of a frame, as seen from the CSMS."""

    IN = "in"
    OUT = "out"


class OcppMessage(Record, frozen=True, kw_only=True):
    """One frame as it went over the wire."""

    id: int
    organisation_id: int
    station_number: int
    at: datetime
    direction: Direction
    action: str | None = None
    message_id: str | None = None
    frame: bytes


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which frames are meant: those that are like all that is given."""

    station_number: int | None = None
    action: str | None = None
    message_id: str | None = None
    direction: Direction | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Before, and not at."""
    text: str | None = None
    """Somewhere in the frame, whatever its case."""


class Event(Record, frozen=True, kw_only=True, gc=False):
    """Something the CSMS tells whoever listens. `id` grows with every event; 0: it isn't logged, so not replayed."""

    id: int
    organisation_id: int
    type: str
    at: datetime
    station_id: str | None = None
    body: msgspec.Raw
    """JSON object; its members depend on `type`, see `published`."""
