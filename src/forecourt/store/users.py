"""Organisations, people, sign-ins and the audit log in SQL. See `csms.people_ports`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from forecourt.csms.people_records import AuditEntry, Organisation, Role, SignIn, User
from forecourt.store.people_tables import audit, key_limits, sign_ins, users
from forecourt.store.rows import Shape, inserted
from forecourt.store.tables import organisations
from forecourt.store.upsert import upsert

_HAS_PASSWORD: Final = users.c.password_hash.is_not(None).label("has_password")
_USER: Final = Shape(User, users, _HAS_PASSWORD)
_SIGN_IN: Final = Shape(SignIn, sign_ins)
_ORGANISATION: Final = Shape(Organisation, organisations)


class SqlUserBooks:
    """See `csms.people_ports.UserBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_organisation(self, name: str, now: datetime) -> Organisation:
        """Enter one."""
        number = inserted(self._connection, insert(organisations), {"name": name, "created_at": now})
        return Organisation(id=number, name=name, created_at=now)

    def organisation(self, organisation_id: int) -> Organisation | None:
        """One."""
        return _ORGANISATION.one(
            self._connection, _ORGANISATION.select().where(organisations.c.id == organisation_id), {}
        )

    def organisations(self) -> list[Organisation]:
        """In the order they were made."""
        return _ORGANISATION.all(self._connection, _ORGANISATION.select().order_by(organisations.c.id))

    def rename_organisation(self, organisation_id: int, name: str) -> None:
        """Give it another name."""
        self._connection.execute(update(organisations).where(organisations.c.id == organisation_id).values(name=name))

    def add(self, user: User, password_hash: str | None) -> None:
        """Enter a user."""
        values = {**_USER.values(user), "name_key": user.name.casefold(), "password_hash": password_hash}
        self._connection.execute(insert(users), values)

    def get(self, organisation_id: int, user_id: str) -> User | None:
        """One of the organisation."""
        query = _USER.select().where(users.c.organisation_id == organisation_id, users.c.id == user_id)
        return _USER.one(self._connection, query, {})

    def by_name(self, name: str) -> tuple[User, str | None] | None:
        """Whichever organisation it belongs to, with the hash of the password."""
        query = select(*_USER.columns, users.c.password_hash).where(users.c.name_key == name.casefold())
        row = self._connection.execute(query).first()
        return None if row is None else (_USER.record(row[:-1]), row[-1])

    def by_subject(self, subject: str) -> User | None:
        """Whom an identity provider means."""
        return _USER.one(self._connection, _USER.select().where(users.c.subject == subject), {})

    def page(self, organisation_id: int, *, before: str | None, limit: int) -> list[User]:
        """By name, from A to Z."""
        query = _USER.select().where(users.c.organisation_id == organisation_id)
        if before is not None:
            query = query.where(users.c.name_key > before.casefold())
        return _USER.all(self._connection, query.order_by(users.c.name_key).limit(limit))

    def any(self, organisation_id: int) -> bool:
        """Whether there is anybody."""
        query = select(users.c.id).where(users.c.organisation_id == organisation_id).limit(1)
        return self._connection.execute(query).first() is not None

    def administrators(self, organisation_id: int) -> int:
        """How many can sign in and do everything."""
        query = select(func.count()).where(
            users.c.organisation_id == organisation_id,
            users.c.role == Role.ADMIN,
            users.c.location_ids.is_(None),
            users.c.disabled_at.is_(None),
            or_(users.c.password_hash.is_not(None), users.c.subject.is_not(None)),
        )
        count: int = self._connection.execute(query).scalar_one()
        return count

    def change(self, user_id: str, **columns: Any) -> None:
        """Set columns."""
        if "name" in columns:
            columns["name_key"] = columns["name"].casefold()
        self._connection.execute(update(users).where(users.c.id == user_id).values(**columns))

    def remove(self, user_id: str) -> None:
        """Take one out, signed out everywhere."""
        self.end_sign_ins(user_id)
        self._connection.execute(delete(users).where(users.c.id == user_id))

    def add_sign_in(self, sign_in: SignIn) -> None:
        """Somebody has signed in."""
        self._connection.execute(insert(sign_ins), _SIGN_IN.values(sign_in))

    def signed_in(self, sign_in_id: str) -> tuple[SignIn, User] | None:
        """A sign-in, and whose it is."""
        query = (
            select(*_SIGN_IN.columns, *_USER.columns)
            .join(users, users.c.id == sign_ins.c.user_id)
            .where(sign_ins.c.id == sign_in_id)
        )
        row = self._connection.execute(query).first()
        if row is None:
            return None
        width = len(_SIGN_IN.columns)
        return _SIGN_IN.record(row[:width]), _USER.record(row[width:])

    def used(self, sign_in_id: str, now: datetime) -> None:
        """It is still in use."""
        self._connection.execute(update(sign_ins).where(sign_ins.c.id == sign_in_id).values(last_used_at=now))

    def end_sign_in(self, sign_in_id: str) -> None:
        """Signed out."""
        self._connection.execute(delete(sign_ins).where(sign_ins.c.id == sign_in_id))

    def end_sign_ins(self, user_id: str, *, but: str | None = None) -> None:
        """Signed out everywhere."""
        self._connection.execute(
            delete(sign_ins).where(sign_ins.c.user_id == user_id, sign_ins.c.id != ("" if but is None else but))
        )

    def forget_sign_ins(self, expired_before: datetime, unused_since: datetime) -> int:
        """Gives how many there were."""
        return self._connection.execute(
            delete(sign_ins).where(or_(sign_ins.c.expires_at < expired_before, sign_ins.c.last_used_at < unused_since))
        ).rowcount

    def limit_key(self, organisation_id: int, key_id: str, location_ids: tuple[int, ...]) -> None:
        """An API key is for these locations only."""
        self._connection.execute(
            upsert(self._connection, key_limits),
            {"key_id": key_id, "organisation_id": organisation_id, "location_ids": location_ids},
        )

    def key_limits(self, key_ids: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Those of the keys that have any."""
        query = select(key_limits.c.key_id, key_limits.c.location_ids).where(key_limits.c.key_id.in_(key_ids))
        return {row.key_id: row.location_ids for row in self._connection.execute(query)}


_AUDIT_JSON: Final = ("request", "before", "after")


class SqlAuditBooks:
    """See `csms.people_ports.AuditBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, entry: AuditEntry) -> int:
        """Enter it; its number."""
        values = msgspec.structs.asdict(entry)
        del values["id"]
        for name in _AUDIT_JSON:
            values[name] = None if values[name] is None else bytes(values[name])
        return inserted(self._connection, insert(audit), values)

    def answered(self, number: int, status: int, after: bytes | None) -> None:
        """How what it tells of was answered."""
        self._connection.execute(update(audit).where(audit.c.id == number).values(status=status, after=after))

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
        """Newest first."""
        query = select(audit).where(audit.c.organisation_id == organisation_id)
        if actor_id is not None:
            query = query.where(audit.c.actor_id == actor_id)
        if operation is not None:
            query = query.where(audit.c.operation == operation)
        if path is not None:
            query = query.where(audit.c.path.startswith(path, autoescape=True))
        if since is not None:
            query = query.where(audit.c.at >= since)
        if until is not None:
            query = query.where(audit.c.at < until)
        if before is not None:
            query = query.where(audit.c.id < before)
        found = []
        for row in self._connection.execute(query.order_by(audit.c.id.desc()).limit(limit)).mappings():
            values = dict(row)
            for name in _AUDIT_JSON:
                values[name] = None if values[name] is None else msgspec.Raw(values[name])
            found.append(AuditEntry(**values))
        return found

    def forget(self, before: datetime) -> int:
        """Gives how many there were."""
        return self._connection.execute(delete(audit).where(audit.c.at < before)).rowcount
