"""What the CSMS needs to keep books of people, and to reach those who want to be told.

Guarantees asked of whoever implements them
* The books of people are part of `Books`: a unit writes them together with everything else, or not at all.
* `Postman.post` never goes where `PeopleSettings` forbids, and follows no redirection.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from forecourt.csms.command_records import Command
from forecourt.csms.people_records import (
    ApiKey,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Delivery,
    Organisation,
    Rotation,
    RotationState,
    SignIn,
    User,
    Webhook,
)


class UserBooks(Protocol):
    """Organisations, people, and who is signed in."""

    def add_organisation(self, name: str, now: datetime) -> Organisation: ...
    def organisation(self, organisation_id: int) -> Organisation | None: ...
    def organisations(self) -> list[Organisation]:
        """In the order they were made."""
        ...

    def rename_organisation(self, organisation_id: int, name: str) -> None: ...

    def add(self, user: User, password_hash: str | None) -> None: ...
    def get(self, organisation_id: int, user_id: str) -> User | None: ...
    def by_name(self, name: str) -> tuple[User, str | None] | None:
        """Whichever organisation it belongs to, with the hash of the password."""
        ...

    def by_subject(self, subject: str) -> User | None: ...
    def page(self, organisation_id: int, *, before: str | None, limit: int) -> list[User]:
        """By name, from A to Z; those after the name `before`."""
        ...

    def any(self, organisation_id: int) -> bool:
        """Whether there is anybody."""
        ...

    def administrators(self, organisation_id: int) -> int:
        """How many can sign in and do everything."""
        ...

    def change(self, user_id: str, **columns: Any) -> None:
        """Set columns of a user, named as in `User`, and `password_hash`."""
        ...

    def remove(self, user_id: str) -> None: ...

    def add_sign_in(self, sign_in: SignIn) -> None: ...
    def signed_in(self, sign_in_id: str) -> tuple[SignIn, User] | None: ...
    def used(self, sign_in_id: str, now: datetime) -> None: ...
    def end_sign_in(self, sign_in_id: str) -> None: ...
    def end_sign_ins(self, user_id: str, *, but: str | None = None) -> None: ...
    def forget_sign_ins(self, expired_before: datetime, unused_since: datetime) -> int: ...

    def limit_key(self, organisation_id: int, key_id: str, location_ids: tuple[int, ...]) -> None: ...
    def key_limits(self, key_ids: Sequence[str]) -> dict[str, tuple[int, ...]]: ...


class AuditBooks(Protocol):
    """Who changed what."""

    def add(self, entry: AuditEntry) -> int:
        """Enter it; its number."""
        ...

    def answered(self, number: int, status: int, after: bytes | None) -> None: ...
    def page(
        self,
        organisation_id: int,
        *,
        actor_id: str | None,
        operation: str | None,
        path: str | None,
        since: datetime | None,
        until: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[AuditEntry]:
        """Newest first; `path` is what paths begin with."""
        ...

    def forget(self, before: datetime) -> int: ...


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is due, and all that sending it takes."""

    delivery: Delivery
    url: str
    secret: str
    body: bytes


class WebhookBooks(Protocol):
    """Webhooks, and the outbox of what they are to be told."""

    def add(self, webhook: Webhook, secret: str) -> None: ...
    def get(self, organisation_id: int, webhook_id: str) -> Webhook | None: ...
    def page(self, organisation_id: int, *, before: str | None, limit: int) -> list[Webhook]: ...
    def change(self, webhook_id: str, **columns: Any) -> None:
        """Set columns of a webhook, named as in `Webhook`, and `secret`."""
        ...

    def remove(self, webhook_id: str) -> None:
        """With its deliveries."""
        ...

    def active(self) -> list[Webhook]:
        """Of every organisation."""
        ...

    def last_event(self) -> int:
        """The id of the last event that was logged; 0 before the first."""
        ...

    def add_delivery(self, delivery: Delivery, body: bytes) -> None:
        """Enter it, unless there is one of this event for this webhook."""
        ...

    def due(self, now: datetime, limit: int) -> list[Letter]:
        """Waiting ones whose time has come, of active webhooks, oldest first."""
        ...

    def lease(self, number: int, attempts: int, until: datetime) -> bool:
        """Take one on: False where somebody else has, since it was read."""
        ...

    def delivery(self, organisation_id: int, webhook_id: str, number: int) -> Delivery | None: ...
    def change_delivery(self, number: int, **columns: Any) -> None: ...
    def deliveries(
        self,
        organisation_id: int,
        webhook_id: str,
        *,
        state: str | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[Delivery]: ...
    def forget_deliveries(self, before: datetime) -> int:
        """Finished ones only."""
        ...


class BatchBooks(Protocol):
    """One command for many stations."""

    def add(self, batch: Batch, idempotency_key: str | None, station_ids: Sequence[str]) -> None: ...
    def get(self, organisation_id: int, batch_id: str) -> Batch | None: ...
    def by_idempotency_key(self, organisation_id: int, key: str) -> Batch | None: ...
    def running(self) -> list[Batch]:
        """Of every organisation."""
        ...

    def page(
        self,
        organisation_id: int,
        *,
        state: BatchState | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: str | None,
        limit: int,
    ) -> list[Batch]: ...
    def change(self, batch_id: str, **columns: Any) -> None: ...
    def items(self, batch_id: str, *, after: int, limit: int) -> list[BatchItem]: ...
    def counts(self, batch_id: str) -> dict[str, int]:
        """How many stations ended how; `waiting` and `under_way` for those that haven't."""
        ...

    def change_item(self, batch_id: str, position: int, **columns: Any) -> None: ...


class RotationBooks(Protocol):
    """Changes of stations' passwords over the air."""

    def put(self, rotation: Rotation, password_hash: str) -> None:
        """Enter it, in place of the one before."""
        ...

    def get(self, station_number: int) -> tuple[Rotation, str] | None:
        """With the hash of the new password."""
        ...

    def by_command(self, command_id: str) -> Rotation | None: ...
    def move(self, station_number: int, state: RotationState, detail: str | None, now: datetime) -> None: ...
    def open(self) -> list[Rotation]:
        """Of every organisation."""
        ...


class AccessBooks(Protocol):
    """Keys to the API."""

    def add_key(self, key: ApiKey, secret_hash: bytes) -> None: ...
    def key(self, key_id: str) -> tuple[ApiKey, bytes] | None: ...
    def keys(self, organisation_id: int) -> list[ApiKey]: ...
    def revoke(self, organisation_id: int, key_id: str, now: datetime) -> bool: ...


class PeopleBooks(Protocol):
    """All of it."""

    @property
    def users(self) -> UserBooks: ...
    @property
    def audit(self) -> AuditBooks: ...
    @property
    def webhooks(self) -> WebhookBooks: ...
    @property
    def batches(self) -> BatchBooks: ...
    @property
    def rotations(self) -> RotationBooks: ...
    def mask(self, command: Command, secret: str) -> None:
        """Put asterisks for a secret wherever the command and its frames are kept."""
        ...


class Postage(msgspec.Struct, frozen=True, kw_only=True):
    """How a post went. `status` None: it didn't get there, `error` says why."""

    status: int | None = None
    error: str | None = None


class Postman(Protocol):
    """Brings a body to a URL."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Postage: ...
