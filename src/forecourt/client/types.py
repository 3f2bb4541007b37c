"""What the API answers, as the client gives it.

Guarantees
* Each type has fields of the API's resource of the same subject, of the same types (a test compares the two); what a
  newer server adds is passed over.
"""

from datetime import datetime
from typing import Any

import msgspec

from forecourt.csms.command_records import CommandOrigin, CommandState
from forecourt.csms.people_records import BatchState, Role, Selector
from forecourt.csms.records import ConnectorView, TransactionState
from forecourt.domain.station import BootReason, ConnectorError, ConnectorStatus, RegistrationStatus, StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all."""


class Location(Answer, frozen=True, kw_only=True):
    """Where stations stand."""

    id: int
    name: str
    address: str | None
    latitude: float | None
    longitude: float | None
    time_zone: str | None
    created_at: datetime


class Station(Answer, frozen=True, kw_only=True):
    """A charging station."""

    id: str
    name: str | None
    location_id: int | None
    registration: RegistrationStatus
    security_profile: int
    has_password: bool
    identity: StationIdentity | None
    protocol: str | None
    connected: bool
    connection_changed_at: datetime | None
    last_seen_at: datetime | None
    booted_at: datetime | None
    boot_reason: BootReason | None
    clock_drift_s: float | None
    lenient_decoding: bool | None
    violation_count: int
    created_at: datetime


class Connector(Answer, frozen=True, kw_only=True):
    """A connector; of EVSE 0 and connector 0 the station as a whole."""

    evse_id: int
    connector_id: int
    view: ConnectorView
    connector_status: ConnectorStatus | None
    charging_state: ChargingState | None
    error: ConnectorError | None
    status_at: datetime | None
    power_w: float | None
    power_at: datetime | None
    transaction_number: int | None
    updated_at: datetime


class Token(Answer, frozen=True, kw_only=True):
    """An identity that may, or may not, charge."""

    value: str
    type: IdTokenType
    standing: AuthorizationStatus
    expires_at: datetime | None
    group: str | None
    charging_priority: int
    note: str | None
    created_at: datetime
    updated_at: datetime


class Transaction(Answer, frozen=True, kw_only=True):
    """What was charged, by whom, where."""

    number: int
    transaction_id: str | None
    station_id: str
    evse_id: int | None
    connector_id: int | None
    state: TransactionState
    orphan: bool
    id_token: str | None
    id_token_type: IdTokenType | None
    started_at: datetime | None
    ended_at: datetime | None
    stopped_reason: StoppedReason | None
    meter_start_wh: float | None
    meter_stop_wh: float | None
    energy_wh: float | None
    suspect: str | None
    charging_state: ChargingState | None
    command_id: str | None
    offline: bool
    created_at: datetime
    updated_at: datetime


class Command(Answer, frozen=True, kw_only=True):
    """Something asked of a station, and what became of it."""

    id: str
    station_id: str
    origin: CommandOrigin
    name: str
    raw: bool
    state: CommandState
    timeout_s: float
    action: str | None
    message_id: str | None
    error_code: str | None
    error_description: str | None
    detail: str | None
    transaction_number: int | None
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    request: Any = None
    """Typed: the request. Raw: the payload as it was given."""
    payload: Any = None
    """As it went over the wire."""
    answer: Any = None
    """The station's, as it was."""
    result: Any = None
    """The same in our terms."""


class Batch(Answer, frozen=True, kw_only=True):
    """One command for many stations."""

    id: str
    command: str
    raw: bool
    selector: Selector
    concurrency: int
    rate_per_s: float | None
    state: BatchState
    total: int
    counts: dict[str, int]
    created_at: datetime
    finished_at: datetime | None


class BatchItem(Answer, frozen=True, kw_only=True):
    """One station of a batch."""

    station_id: str
    command_id: str | None
    outcome: str | None
    detail: str | None


class Event(Answer, frozen=True, kw_only=True):
    """Something that happened; `id` None: it isn't logged."""

    id: int | None
    type: str
    at: datetime
    station_id: str | None
    body: Any = None
    """Its members depend on `type`."""


class User(Answer, frozen=True, kw_only=True):
    """A person."""

    id: str
    name: str
    full_name: str | None
    role: Role
    location_ids: tuple[int, ...] | None
    disabled_at: datetime | None
    last_sign_in_at: datetime | None
    created_at: datetime


class Me(Answer, frozen=True, kw_only=True):
    """Who asks, and what they may."""

    id: str
    name: str
    role: Role | None
    scopes: tuple[str, ...]
    location_ids: tuple[int, ...] | None


class ImportNote(Answer, frozen=True, kw_only=True):
    """Something of a line that was passed over."""

    line: int
    field: str
    message: str


class Import(Answer, frozen=True, kw_only=True):
    """What came of a list."""

    dry_run: bool
    rows: int
    entered: int
    known: tuple[str, ...]
    notes: tuple[ImportNote, ...]
