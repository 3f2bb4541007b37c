"""Users, keys, webhooks and the audit as the API answers. See `types`."""

from datetime import datetime
from typing import Any

from forecourt.client.types import Answer, User
from forecourt.csms.people_records import ActorKind, DeliveryState


class NewUser(User, frozen=True, kw_only=True):
    """A user who was just made."""

    has_password: bool
    one_time: bool
    password_until: datetime | None
    subject: str | None
    updated_at: datetime
    one_time_password: str


class Organisation(Answer, frozen=True, kw_only=True):
    """A tenant."""

    id: int
    name: str
    created_at: datetime


class NewOrganisation(Organisation, frozen=True, kw_only=True):
    """A tenant that was just made."""

    administrator: str
    one_time_password: str


class ApiKey(Answer, frozen=True, kw_only=True):
    """A key, without its text."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    location_ids: tuple[int, ...] | None


class NewApiKey(ApiKey, frozen=True, kw_only=True):
    """A key that was just made."""

    key: str


class Webhook(Answer, frozen=True, kw_only=True):
    """Whom we tell."""

    id: str
    url: str
    event_types: tuple[str, ...] | None
    active: bool
    note: str | None
    created_at: datetime
    updated_at: datetime


class NewWebhook(Webhook, frozen=True, kw_only=True):
    """A webhook that was just made."""

    secret: str


class Delivery(Answer, frozen=True, kw_only=True):
    """One event for one webhook."""

    number: int
    event_id: int
    event_type: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class AuditEntry(Answer, frozen=True, kw_only=True):
    """Somebody changed something, or tried to get in."""

    id: int
    at: datetime
    actor: ActorKind
    actor_id: str | None
    actor_name: str
    address: str | None
    operation: str
    path: str
    status: int | None
    request: Any
    before: Any
    after: Any
