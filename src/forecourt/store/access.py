"""Keys to the API in SQL. See `csms.people_ports.AccessBooks`."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from forecourt.csms.people_records import ApiKey
from forecourt.store.rows import Shape
from forecourt.store.tables import api_keys

_KEY: Final = Shape(ApiKey, api_keys)


class SqlAccessBooks:
    """See `csms.people_ports.AccessBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_key(self, key: ApiKey, secret_hash: bytes) -> None:
        """Enter one."""
        self._connection.execute(insert(api_keys), {"secret_hash": secret_hash, **_KEY.values(key)})

    def key(self, key_id: str) -> tuple[ApiKey, bytes] | None:
        """One, with the hash of its secret."""
        key = _KEY.one(self._connection, _KEY.select().where(api_keys.c.id == key_id), {})
        if key is None:
            return None
        query = select(api_keys.c.secret_hash).where(api_keys.c.id == key_id)
        return key, self._connection.execute(query).scalar_one()

    def keys(self, organisation_id: int) -> list[ApiKey]:
        """Newest first."""
        query = _KEY.select().where(api_keys.c.organisation_id == organisation_id)
        return _KEY.all(self._connection, query.order_by(api_keys.c.created_at.desc(), api_keys.c.id))

    def revoke(self, organisation_id: int, key_id: str, now: datetime) -> bool:
        """Whether there was one that hadn't been."""
        query = (
            update(api_keys)
            .where(
                api_keys.c.organisation_id == organisation_id, api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)
            )
            .values(revoked_at=now)
        )
        return self._connection.execute(query).rowcount > 0
