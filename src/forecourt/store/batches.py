"""Batches of commands, and changes of stations' passwords, in SQL. See `csms.people_ports`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from forecourt.csms.people_records import Batch, BatchItem, BatchState, Rotation, RotationState
from forecourt.store.people_tables import batch_items, batches, rotations
from forecourt.store.rows import Shape, within
from forecourt.store.upsert import upsert

_BATCH: Final = Shape(Batch, batches)
_ITEM: Final = Shape(BatchItem, batch_items)
_ROTATION: Final = Shape(Rotation, rotations)


class SqlBatchBooks:
    """See `csms.people_ports.BatchBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, batch: Batch, idempotency_key: str | None, station_ids: Sequence[str]) -> None:
        """Enter one with its stations."""
        values = {**_BATCH.values(batch), "idempotency_key": idempotency_key}
        self._connection.execute(insert(batches), values)
        items = [
            {
                "batch_id": batch.id,
                "organisation_id": batch.organisation_id,
                "position": position,
                "station_id": station_id,
            }
            for position, station_id in enumerate(station_ids)
        ]
        if items:
            self._connection.execute(insert(batch_items), items)

    def get(self, organisation_id: int, batch_id: str) -> Batch | None:
        """One of the organisation."""
        query = _BATCH.select().where(batches.c.organisation_id == organisation_id, batches.c.id == batch_id)
        return _BATCH.one(self._connection, query, {})

    def by_idempotency_key(self, organisation_id: int, key: str) -> Batch | None:
        """The one that was made with this key."""
        query = _BATCH.select().where(batches.c.organisation_id == organisation_id, batches.c.idempotency_key == key)
        return _BATCH.one(self._connection, query, {})

    def running(self) -> list[Batch]:
        """Of every organisation."""
        query = _BATCH.select().where(batches.c.state == BatchState.RUNNING)
        return _BATCH.all(self._connection, query.order_by(batches.c.position))

    def page(
        self,
        organisation_id: int,
        *,
        state: BatchState | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: str | None,
        limit: int,
    ) -> list[Batch]:
        """Newest first; those made before the one of the id `before`."""
        query = _BATCH.select().where(batches.c.organisation_id == organisation_id)
        if state is not None:
            query = query.where(batches.c.state == state)
        query = within(query, batches.c.created_at, created_from, created_to)
        if before is not None:
            at = select(batches.c.position).where(batches.c.id == before).scalar_subquery()
            query = query.where(batches.c.position < at)
        return _BATCH.all(self._connection, query.order_by(batches.c.position.desc()).limit(limit))

    def change(self, batch_id: str, **columns: Any) -> None:
        """Set columns."""
        self._connection.execute(update(batches).where(batches.c.id == batch_id).values(**columns))

    def items(self, batch_id: str, *, after: int, limit: int) -> list[BatchItem]:
        """In their order, those after a position."""
        query = _ITEM.select().where(batch_items.c.batch_id == batch_id, batch_items.c.position > after)
        return _ITEM.all(self._connection, query.order_by(batch_items.c.position).limit(limit))

    def counts(self, batch_id: str) -> dict[str, int]:
        """How many stations ended how; `waiting` and `under_way` for those that haven't."""
        issued = batch_items.c.command_id.is_not(None).label("issued")
        query = (
            select(batch_items.c.outcome, issued, func.count().label("count"))
            .where(batch_items.c.batch_id == batch_id)
            .group_by(batch_items.c.outcome, issued)
        )
        found: dict[str, int] = {}
        for row in self._connection.execute(query):
            outcome = row.outcome or ("under_way" if row.issued else "waiting")
            found[outcome] = found.get(outcome, 0) + row[2]
        return found

    def change_item(self, batch_id: str, position: int, **columns: Any) -> None:
        """Set columns."""
        self._connection.execute(
            update(batch_items)
            .where(batch_items.c.batch_id == batch_id, batch_items.c.position == position)
            .values(**columns)
        )


class SqlRotationBooks:
    """See `csms.people_ports.RotationBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, rotation: Rotation, password_hash: str) -> None:
        """Enter it, in place of the one before."""
        self._connection.execute(
            upsert(self._connection, rotations), {**_ROTATION.values(rotation), "password_hash": password_hash}
        )

    def get(self, station_number: int) -> tuple[Rotation, str] | None:
        """With the hash of the new password."""
        query = select(*_ROTATION.columns, rotations.c.password_hash).where(
            rotations.c.station_number == station_number
        )
        row = self._connection.execute(query).first()
        return None if row is None else (_ROTATION.record(row[:-1]), row[-1])

    def by_command(self, command_id: str) -> Rotation | None:
        """The one that a command carries out."""
        return _ROTATION.one(self._connection, _ROTATION.select().where(rotations.c.command_id == command_id), {})

    def move(self, station_number: int, state: RotationState, detail: str | None, now: datetime) -> None:
        """To another state."""
        self._connection.execute(
            update(rotations)
            .where(rotations.c.station_number == station_number)
            .values(state=state, detail=detail, updated_at=now)
        )

    def open(self) -> list[Rotation]:
        """Of every organisation."""
        states = (RotationState.OFFERED, RotationState.TAKEN)
        return _ROTATION.all(self._connection, _ROTATION.select().where(rotations.c.state.in_(states)))
