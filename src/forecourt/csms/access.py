"""Keys to the API.

Guarantees
* A key's secret is shown once, when it is made; kept is its SHA-256. The secret has 256 random bits, so that nothing
  slower is needed to keep it from being guessed.
* Verifying takes the same time whether the key exists or not, as far as the comparison goes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from forecourt.csms.errors import Invalid, NotFound
from forecourt.csms.people_records import ApiKey
from forecourt.csms.ports import Books, Context

PREFIX: Final = "fck_"
"""Begins every key, so that one that leaked is recognised."""

_NO_HASH: Final = bytes(32)

_FIRST: Final = "0" * 16
"""The number of the key of the first run."""


async def create_api_key(
    context: Context,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime | None = None,
    location_ids: tuple[int, ...] | None = None,
) -> tuple[ApiKey, str]:
    """A new key, and its text, which nobody can read again. `location_ids`: what it is limited to.

    Raises:
        Invalid: the name is empty, the expiry has no time zone, or a location is none.
    """
    if not name:
        raise Invalid("name", "must not be empty")
    if expires_at is not None and expires_at.tzinfo is None:
        raise Invalid("expires_at", "must have a time zone")
    key = ApiKey(
        id=secrets.token_hex(8),
        organisation_id=context.organisation_id,
        name=name,
        scopes=scopes,
        created_at=context.clock.now().at,
        expires_at=expires_at,
    )
    secret = secrets.token_urlsafe(32)

    def store(books: Books) -> None:
        books.access.add_key(key, _hash(secret))
        for location_id in location_ids or ():
            if books.stations.location(context.organisation_id, location_id) is None:
                raise Invalid("location_ids", f"{location_id} is no location")
        if location_ids is not None:
            books.people.users.limit_key(context.organisation_id, key.id, location_ids)

    await context.store.write(store)
    return key, f"{PREFIX}{key.id}_{secret}"


async def first_api_key(context: Context) -> str | None:
    """The text of an administrator's key where there was none yet: shown once, at the first run.

    Of several processes that start together one makes it: all would make the key of the same number.
    """
    now = context.clock.now().at
    key = ApiKey(
        id=_FIRST,
        organisation_id=context.organisation_id,
        name="first run",
        scopes=("admin", "write", "read"),
        created_at=now,
        expires_at=None,
    )
    secret = secrets.token_urlsafe(32)

    def store(books: Books) -> bool:
        if books.access.keys(context.organisation_id):
            return False
        books.access.add_key(key, _hash(secret))
        return True

    if await list_api_keys(context) or not await context.store.write(store):
        return None
    return f"{PREFIX}{key.id}_{secret}"


async def verify_api_key(context: Context, text: str) -> ApiKey | None:
    """The key that `text` is, whichever organisation it belongs to; None if it is none, revoked or expired."""
    key_id, _, secret = text.removeprefix(PREFIX).partition("_")
    found = await context.store.read(lambda books: books.access.key(key_id))
    right = hmac.compare_digest(_hash(secret), _NO_HASH if found is None else found[1])
    if found is None or not right:
        return None
    key = found[0]
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= context.clock.now().at):
        return None
    return key


async def limits_of(context: Context, key: ApiKey) -> tuple[int, ...] | None:
    """The locations that a key is limited to; None: to none."""
    found = await context.store.read(lambda books: books.people.users.key_limits((key.id,)))
    return found.get(key.id)


async def list_api_keys(context: Context) -> tuple[ApiKey, ...]:
    """Newest first, revoked ones included."""
    return tuple(await context.store.read(lambda books: books.access.keys(context.organisation_id)))


async def limits_of_all(context: Context, keys: Sequence[ApiKey]) -> dict[str, tuple[int, ...]]:
    """The locations that keys are limited to, of those that are."""
    return await context.store.read(lambda books: books.people.users.key_limits([key.id for key in keys]))


async def revoke_api_key(context: Context, key_id: str) -> None:
    """Raises NotFound."""
    now = context.clock.now().at
    if not await context.store.write(lambda books: books.access.revoke(context.organisation_id, key_id, now)):
        raise NotFound("API key", key_id)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
