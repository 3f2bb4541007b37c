"""What the books hold of people: who they are, what they may, what they did, and whom we tell.

Guarantees
* Everything belongs to an organisation, as all records do. A name to sign in with is unique over all organisations.
* No record carries a password, a secret of a sign-in or of a key. A webhook's secret is kept, as signing needs it; it
  is in no record either.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from forecourt.csms.records import Record


class Role(StrEnum):
    """What somebody may."""

    ADMIN = "admin"
    """Everything, users and keys included."""
    OPERATOR = "operator"
    """Commands and writes, but no users, keys and webhooks."""
    VIEWER = "viewer"
    """Look only."""


class Organisation(Record, frozen=True, kw_only=True):
    """A tenant."""

    id: int
    name: str
    created_at: datetime


class User(Record, frozen=True, kw_only=True):
    """A person."""

    id: str
    organisation_id: int
    name: str
    """To sign in with; upper and lower case are alike."""
    full_name: str | None = None
    role: Role
    location_ids: tuple[int, ...] | None = None
    """Only what stands at these locations; None: everything of the organisation."""
    has_password: bool = False
    one_time: bool = False
    """The password was given out by somebody else, and has to be replaced before anything else is done."""
    password_until: datetime | None = None
    """A one-time password doesn't count from then on."""
    subject: str | None = None
    """Who the identity provider says it is: issuer, a blank, subject. None: the person signs in here."""
    disabled_at: datetime | None = None
    last_sign_in_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class SignIn(Record, frozen=True, kw_only=True):
    """Somebody is signed in."""

    id: str
    """The SHA-256 of its secret."""
    organisation_id: int
    user_id: str
    address: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class ActorKind(StrEnum):
    """What kind of somebody did it."""

    USER = "user"
    KEY = "key"
    ANYBODY = "anybody"
    """Open access: nobody had to say who it is."""
    NOBODY = "nobody"
    """Who did not get in."""
    PROGRAM = "program"
    """The command line on the CSMS's own machine."""


class AuditEntry(Record, frozen=True, kw_only=True):
    """Somebody changed something, or tried to get in."""

    id: int
    organisation_id: int
    at: datetime
    actor: ActorKind
    actor_id: str | None = None
    actor_name: str
    address: str | None = None
    operation: str
    """As the description of the API names it, such as `update_station`."""
    path: str
    """What it was done to."""
    status: int | None = None
    """How it was answered; None: it never was, yet what is written here was done."""
    request: msgspec.Raw | None = None
    """What was asked for, without secrets."""
    before: msgspec.Raw | None = None
    """The thing before, where there was one."""
    after: msgspec.Raw | None = None
    """What was answered: the thing after."""


class Webhook(Record, frozen=True, kw_only=True):
    """Whom we tell of events."""

    id: str
    organisation_id: int
    url: str
    event_types: tuple[str, ...] | None = None
    """None: all that are logged."""
    active: bool = True
    note: str | None = None
    position: int = 0
    """The last event that was looked at for it."""
    created_at: datetime
    updated_at: datetime


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up after the last attempt; it can be sent again by hand."""


class Delivery(Record, frozen=True, kw_only=True):
    """One event for one webhook."""

    number: int
    organisation_id: int
    webhook_id: str
    event_id: int
    event_type: str
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    created_at: datetime
    finished_at: datetime | None = None


class Selector(msgspec.Struct, frozen=True, kw_only=True):
    """Which stations; everything that is given must hold."""

    station_ids: tuple[str, ...] | None = None
    location_id: int | None = None
    vendor: str | None = None
    model: str | None = None
    firmware_version: str | None = None
    connected: bool | None = None


class BatchState(StrEnum):
    """Where a batch stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    """By hand; commands that had been issued by then went on."""


class Batch(Record, frozen=True, kw_only=True):
    """One command for many stations."""

    id: str
    organisation_id: int
    name: str
    """Of the command, as in the list of typed commands, or the action of a raw one."""
    raw: bool
    request: bytes
    """Typed: the domain's request as JSON. Raw: the payload."""
    selector: Selector
    timeout_s: float | None = None
    concurrency: int
    rate_per_s: float | None = None
    state: BatchState = BatchState.RUNNING
    total: int
    created_at: datetime
    finished_at: datetime | None = None


class BatchItem(Record, frozen=True, kw_only=True):
    """One station of a batch."""

    batch_id: str
    organisation_id: int
    position: int
    station_id: str
    command_id: str | None = None
    """None: its turn hasn't come."""
    outcome: str | None = None
    """The command's final state; None while there is none."""
    detail: str | None = None


class RotationState(StrEnum):
    """Where the change of a station's password stands."""

    OFFERED = "offered"
    """The station was asked to take the new one; both count."""
    TAKEN = "taken"
    """It has said yes; both count until it has come back with the new one."""
    DONE = "done"
    """It has come back with the new one; the old one counts no more."""
    FAILED = "failed"
    """It has said no, or did not get it; the old one counts, the new one doesn't."""


class Rotation(Record, frozen=True, kw_only=True):
    """The last change of a station's password over the air."""

    station_number: int
    organisation_id: int
    state: RotationState
    command_id: str | None = None
    detail: str | None = None
    created_at: datetime
    updated_at: datetime


class ApiKey(Record, frozen=True, kw_only=True):
    """A key to the API; the secret itself is kept as a hash."""

    id: str
    organisation_id: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
