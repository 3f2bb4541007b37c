"""Signing in, and who is signed in.

Guarantees
* A sign-in is proved by 256 random bits that are shown once; kept is their SHA-256. It ends by signing out, after
  `sign_in_idle_s` without use, after `sign_in_s`, with a new password, and when the user is disabled or loses a role.
* A wrong name takes as long as a wrong password, and is answered alike.
* A name has so many failures from one address, and an address so many at all; more aren't looked at. The address is
  part of the count, so that nobody locks somebody else out from elsewhere.
* What proves that a request was made on purpose (against cross-site request forgery) is made from the same secret: it
  can't be guessed from outside, and needs no books.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.csms import people
from forecourt.csms.errors import CsmsError, Invalid
from forecourt.csms.logins import FailureCount
from forecourt.csms.people_records import Role, SignIn, User
from forecourt.csms.people_settings import PeopleSettings
from forecourt.csms.ports import Books, Context

_TOUCH_EVERY: Final = timedelta(seconds=60)
_NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$92r+kSvlN8ShIChaSHaiNA$H98uU/q4AvHuqD8BAzBZiSuJniJC6dkAVXltQcbZkqY"
"""The hash of a password that nobody knows: what a name that doesn't exist is compared with."""


class NotSignedIn(CsmsError):  # noqa: N818
    """No."""

    def __init__(self, why: "WhyNot") -> None:
        super().__init__(_SENTENCES[why])
        self.why = why


class WhyNot(StrEnum):
    """Why somebody isn't let in."""

    WRONG = "wrong"
    TOO_MANY = "too_many"
    NO_ROLE = "no_role"
    """The identity provider knows them, but gives them no role here."""


_SENTENCES: Final = {
    WhyNot.WRONG: "name or password is wrong, or the user may not sign in",
    WhyNot.TOO_MANY: "too many failed attempts; try again later",
    WhyNot.NO_ROLE: "the identity provider gives this user no role here",
}


class Attempts:
    """What is known of failed sign-ins since the start of this process."""

    def __init__(self, settings: PeopleSettings) -> None:
        self._of_name = FailureCount(settings.failed_sign_ins_per_name, settings.failed_sign_in_window_s)
        self._of_address = FailureCount(settings.failed_sign_ins_per_address, settings.failed_sign_in_window_s)

    def refused(self, name: str, address: str, now_s: float) -> bool:
        """Whether there were too many."""
        return self._of_name.spent(_key(name, address), now_s) or self._of_address.spent(address, now_s)

    def begin(self, name: str, address: str, now_s: float) -> None:
        """An attempt counts as a failure until it succeeds: many at once don't get more."""
        self._of_name.add(_key(name, address), now_s)
        self._of_address.add(address, now_s)

    def succeeded(self, name: str, address: str) -> None:
        """It was none."""
        self._of_name.take_back(_key(name, address))
        self._of_address.take_back(address)


def _key(name: str, address: str) -> str:
    return hashlib.sha256(f"{name.casefold()}\0{address}".encode()).hexdigest()


async def sign_in(context: Context, attempts: Attempts, name: str, password: str, address: str) -> tuple[User, str]:
    """The user, and the secret of the new sign-in. Raises NotSignedIn."""
    now = context.clock.now()
    if attempts.refused(name, address, now.protocol_s):
        raise NotSignedIn(WhyNot.TOO_MANY)
    attempts.begin(name, address, now.protocol_s)
    found = await context.store.read(lambda books: books.people.users.by_name(name))
    user, password_hash = (None, None) if found is None else found
    right = await people.is_password(password[: people.LONGEST_PASSWORD + 1], password_hash or _NOBODY)
    if user is None or password_hash is None or not right or not _may_sign_in(user, now.at):
        raise NotSignedIn(WhyNot.WRONG)
    attempts.succeeded(name, address)
    return await begin(context, user, address)


def _may_sign_in(user: User, at: datetime) -> bool:
    return user.disabled_at is None and (user.password_until is None or user.password_until > at)


async def begin(context: Context, user: User, address: str) -> tuple[User, str]:
    """Whoever `user` is has proved it: the user, and the secret of the new sign-in."""
    secret = secrets.token_urlsafe(32)
    now = context.clock.now().at
    entry = SignIn(
        id=_digest(secret),
        organisation_id=user.organisation_id,
        user_id=user.id,
        address=address,
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(seconds=context.settings.people.sign_in_s),
    )

    def store(books: Books) -> None:
        books.people.users.add_sign_in(entry)
        books.people.users.change(user.id, last_sign_in_at=now)

    await context.store.write(store)
    return msgspec.structs.replace(user, last_sign_in_at=now), secret


async def signed_in(context: Context, secret: str) -> User | None:
    """Whose sign-in it is; None: nobody's, or not any more."""
    now = context.clock.now().at
    key = _digest(secret)
    found = await context.store.read(lambda books: books.people.users.signed_in(key))
    if found is None:
        return None
    entry, user = found
    idle = now - entry.last_used_at
    if (
        entry.expires_at <= now
        or idle.total_seconds() >= context.settings.people.sign_in_idle_s
        or user.disabled_at is not None
    ):
        return None
    if idle >= _TOUCH_EVERY:
        await context.store.write(lambda books: books.people.users.used(key, now))
    return user


async def sign_out(context: Context, secret: str) -> None:
    """It is over."""
    await context.store.write(lambda books: books.people.users.end_sign_in(_digest(secret)))


async def change_password(context: Context, user: User, current: str, new: str, secret: str | None) -> None:
    """Another password; every other sign-in of the user ends. Raises Invalid."""
    people.check_password(context, "new_password", new)
    if new == current:
        raise Invalid("new_password", "is the old one")
    found = await context.store.read(lambda books: books.people.users.by_name(user.name))
    if found is None or found[1] is None or not await people.is_password(current, found[1]):
        raise Invalid("current_password", "is wrong")
    hashed = await people.hash_of(new)
    now = context.clock.now().at

    def store(books: Books) -> None:
        books.people.users.change(user.id, password_hash=hashed, one_time=False, password_until=None, updated_at=now)
        books.people.users.end_sign_ins(user.id, but=None if secret is None else _digest(secret))

    await context.store.write(store)


class Vouched(msgspec.Struct, frozen=True, kw_only=True):
    """What an identity provider says of somebody."""

    subject: str
    """Issuer, a blank, subject."""
    name: str
    full_name: str | None = None
    role: Role | None = None
    """None: none of the roles that count here."""


async def vouched_for(context: Context, vouched: Vouched, address: str) -> tuple[User, str]:
    """Signed in on an identity provider's word: the user is entered, or brought up to date. Raises NotSignedIn."""
    if vouched.role is None:
        raise NotSignedIn(WhyNot.NO_ROLE)
    role = vouched.role
    now = context.clock.now().at
    fresh = people.new_user(context, people.UserFields(name=vouched.name, full_name=vouched.full_name, role=role))

    def store(books: Books) -> User:
        known = books.people.users.by_subject(vouched.subject)
        if known is None:
            made = msgspec.structs.replace(
                fresh, subject=vouched.subject, has_password=False, one_time=False, password_until=None
            )
            if books.people.users.by_name(made.name) is not None:
                made = msgspec.structs.replace(made, name=f"{made.name} ({made.id})")
            return people.enter_user(books, made, None)
        if known.disabled_at is not None:
            raise NotSignedIn(WhyNot.WRONG)
        columns = {"full_name": vouched.full_name, "role": role}
        books.people.users.change(known.id, **columns, updated_at=now)
        if known.role is not role:
            books.people.users.end_sign_ins(known.id)
        return msgspec.structs.replace(known, full_name=vouched.full_name, role=role)

    return await begin(context, await context.store.write(store), address)


def purpose_token(secret: str) -> str:
    """What a request has to show that was made on purpose, besides the cookie that comes by itself."""
    return hmac.digest(secret.encode(), b"on purpose", hashlib.sha256).hex()


def on_purpose(secret: str, shown: str | None) -> bool:
    """Whether it does."""
    return shown is not None and hmac.compare_digest(purpose_token(secret).encode(), shown.encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
