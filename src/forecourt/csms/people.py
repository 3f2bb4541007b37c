"""Users and organisations, as administrators enter them.

Guarantees
* A password is kept as an argon2id hash (RFC 9106), and never given out. One that somebody else has given out is for
  one use: it has to be replaced before anything else, and stops counting after `one_time_password_s`.
* An organisation never loses its last administrator by mistake: that is refused.
* Whoever loses a role, or is disabled or removed, is signed out everywhere.
"""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.paging import page_of
from forecourt.csms.people_records import Organisation, Role, User
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import DEFAULT_ORGANISATION, Page

LONGEST_PASSWORD: Final = 1_000

_HASHER: Final = PasswordHasher()
_HASHING: Final = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2), "passwords")
"""Each hash takes 64 MiB and a core for some 50 ms: the rest is for stations."""


class UserFields(msgspec.Struct, frozen=True, kw_only=True):
    """A user as somebody enters one."""

    name: str
    full_name: str | None = None
    role: Role = Role.VIEWER
    location_ids: tuple[int, ...] | None = None


class UserChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a user; UNSET stays as it is."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    full_name: str | msgspec.UnsetType | None = msgspec.UNSET
    role: Role | msgspec.UnsetType = msgspec.UNSET
    location_ids: tuple[int, ...] | msgspec.UnsetType | None = msgspec.UNSET
    disabled: bool | msgspec.UnsetType = msgspec.UNSET


async def hash_of(password: str) -> str:
    """Salted and slow."""
    return await asyncio.get_running_loop().run_in_executor(_HASHING, _HASHER.hash, password)


async def is_password(password: str, password_hash: str) -> bool:
    """Whether it is the one."""
    try:
        return await asyncio.get_running_loop().run_in_executor(_HASHING, _HASHER.verify, password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def one_time_password() -> str:
    """80 random bits that a person can type."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


async def create_user(context: Context, fields: UserFields) -> tuple[User, str]:
    """A new user, and the one-time password to sign in with.

    Raises:
        Conflict: the name is taken, in whichever organisation.
        Invalid: a field.
    """
    text = one_time_password()
    hashed = await hash_of(text)
    user = new_user(context, fields)

    def store(books: Books) -> User:
        return enter_user(books, user, hashed)

    return await context.store.write(store), text


def new_user(context: Context, fields: UserFields) -> User:
    """As they will be entered; nothing is written yet. Raises Invalid."""
    now = context.clock.now().at
    _check_name(fields.name)
    return User(
        id=secrets.token_hex(8),
        organisation_id=context.organisation_id,
        **msgspec.structs.asdict(fields),
        one_time=True,
        has_password=True,
        password_until=now + timedelta(seconds=context.settings.people.one_time_password_s),
        created_at=now,
        updated_at=now,
    )


def enter_user(books: Books, user: User, password_hash: str | None) -> User:
    """In a unit of work. Raises Conflict, Invalid."""
    if books.people.users.by_name(user.name) is not None:
        raise Conflict(f"the name {user.name!r} is taken")
    _check_locations(books, user.organisation_id, user.location_ids)
    books.people.users.add(user, password_hash)
    return user


async def update_user(context: Context, user_id: str, changes: UserChanges) -> User:
    """Change a user. Raises NotFound, Conflict, Invalid."""
    now = context.clock.now().at

    def store(books: Books) -> User:
        user = find_user(books, context.organisation_id, user_id)
        columns: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET
        }
        if "disabled" in columns:
            columns["disabled_at"] = (user.disabled_at or now) if columns.pop("disabled") else None
        if "name" in columns:
            _check_name(columns["name"])
            taken = books.people.users.by_name(columns["name"])
            if taken is not None and taken[0].id != user_id:
                raise Conflict(f"the name {columns['name']!r} is taken")
        if "location_ids" in columns:
            _check_locations(books, context.organisation_id, columns["location_ids"])
        before = books.people.users.administrators(context.organisation_id)
        changed = msgspec.structs.replace(user, **columns, updated_at=now)
        books.people.users.change(user_id, **columns, updated_at=now)
        _keep_an_administrator(books, context, before)
        if changed.disabled_at is not None or (changed.role, changed.location_ids) != (user.role, user.location_ids):
            books.people.users.end_sign_ins(user_id)
        return changed

    return await context.store.write(store)


async def reset_password(context: Context, user_id: str) -> str:
    """A new one-time password in place of whatever there was; signed out everywhere. Raises NotFound."""
    text = one_time_password()
    hashed = await hash_of(text)
    now = context.clock.now().at

    def store(books: Books) -> None:
        user = find_user(books, context.organisation_id, user_id)
        if user.subject is not None:
            raise Conflict("the user signs in at the identity provider, and has no password here")
        books.people.users.change(
            user_id,
            password_hash=hashed,
            one_time=True,
            password_until=now + timedelta(seconds=context.settings.people.one_time_password_s),
            updated_at=now,
        )
        books.people.users.end_sign_ins(user_id)

    await context.store.write(store)
    return text


async def remove_user(context: Context, user_id: str) -> None:
    """Take a user out, signed out everywhere. Raises NotFound, Conflict for the last administrator."""

    def store(books: Books) -> None:
        find_user(books, context.organisation_id, user_id)
        before = books.people.users.administrators(context.organisation_id)
        books.people.users.remove(user_id)
        _keep_an_administrator(books, context, before)

    await context.store.write(store)


async def get_user(context: Context, user_id: str) -> User:
    """Raises NotFound."""
    return await context.store.read(lambda books: find_user(books, context.organisation_id, user_id))


async def list_users(context: Context, *, cursor: str | None = None, limit: int = 50) -> Page[User]:
    """By name."""
    found = await context.store.read(
        lambda books: books.people.users.page(context.organisation_id, before=cursor, limit=limit + 1)
    )
    return page_of(found, limit, lambda user: user.name)


async def first_administrator(context: Context, name: str = "admin") -> str | None:
    """The one-time password of a new administrator where there is no user yet; None: there is one."""
    if await context.store.read(lambda books: books.people.users.any(context.organisation_id)):
        return None
    try:
        _, text = await create_user(context, UserFields(name=name, role=Role.ADMIN))
    except Conflict:  # another process that has started at the same time was quicker
        return None
    return text


async def restore_administrator(context: Context, name: str) -> str:
    """A one-time password for the administrator `name`, who is made, or made administrator again, as needed."""
    found = await context.store.read(lambda books: books.people.users.by_name(name))
    if found is None:
        _, text = await create_user(context, UserFields(name=name, role=Role.ADMIN))
        return text
    user = found[0]
    within = msgspec.structs.replace(context, organisation_id=user.organisation_id)
    await update_user(within, user.id, UserChanges(role=Role.ADMIN, location_ids=None, disabled=False))
    return await reset_password(within, user.id)


# Organisations


async def list_organisations(context: Context) -> tuple[Organisation, ...]:
    """All of them for whoever runs this CSMS, else one's own."""
    found = await context.store.read(lambda books: books.people.users.organisations())
    own = context.organisation_id
    return tuple(one for one in found if own in {DEFAULT_ORGANISATION, one.id})


async def organisation_name(context: Context) -> str:
    """Of one's own."""
    found = await context.store.read(lambda books: books.people.users.organisation(context.organisation_id))
    return "" if found is None else found.name


async def create_organisation(context: Context, name: str, administrator: str) -> tuple[Organisation, str]:
    """A new tenant, and the one-time password of its first administrator. Raises Conflict, Invalid."""
    if not name:
        raise Invalid("name", "must not be empty")
    text = one_time_password()
    hashed = await hash_of(text)
    now = context.clock.now().at
    user = new_user(context, UserFields(name=administrator, role=Role.ADMIN))

    def store(books: Books) -> Organisation:
        made = books.people.users.add_organisation(name, now)
        enter_user(books, msgspec.structs.replace(user, organisation_id=made.id), hashed)
        return made

    return await context.store.write(store), text


async def rename_organisation(context: Context, organisation_id: int, name: str) -> Organisation:
    """Give it another name. Raises NotFound."""

    def store(books: Books) -> Organisation:
        found = books.people.users.organisation(organisation_id)
        if found is None or context.organisation_id not in {DEFAULT_ORGANISATION, organisation_id}:
            raise NotFound("organisation", organisation_id)
        books.people.users.rename_organisation(organisation_id, name)
        return msgspec.structs.replace(found, name=name)

    return await context.store.write(store)


# Inside


def find_user(books: Books, organisation_id: int, user_id: str) -> User:
    """Raises NotFound."""
    user = books.people.users.get(organisation_id, user_id)
    if user is None:
        raise NotFound("user", user_id)
    return user


def check_password(context: Context, field: str, password: str) -> None:
    """Raises Invalid where it can't be a person's password."""
    shortest = context.settings.people.shortest_user_password
    if not shortest <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(field, f"must have {shortest} to {LONGEST_PASSWORD} characters")


def _check_name(name: str) -> None:
    if not 0 < len(name) <= 255 or not name.isprintable() or name != name.strip():
        raise Invalid("name", "must have 1 to 255 printable characters, and none blank at its ends")


def _check_locations(books: Books, organisation_id: int, location_ids: tuple[int, ...] | None) -> None:
    for location_id in location_ids or ():
        if books.stations.location(organisation_id, location_id) is None:
            raise Invalid("location_ids", f"{location_id} is no location")


def _keep_an_administrator(books: Books, context: Context, before: int) -> None:
    if before and not books.people.users.administrators(context.organisation_id):
        raise Conflict("nobody would be left who may administer this organisation")
