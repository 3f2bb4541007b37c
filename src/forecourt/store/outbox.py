"""Webhooks and their deliveries in SQL. See `csms.people_ports.WebhookBooks`."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from forecourt.csms.people_ports import Letter
from forecourt.csms.people_records import Delivery, DeliveryState, Webhook
from forecourt.store.people_tables import deliveries, webhooks
from forecourt.store.rows import Shape, within
from forecourt.store.tables import sequences
from forecourt.store.upsert import insert_new

_WEBHOOK: Final = Shape(Webhook, webhooks)
_DELIVERY: Final = Shape(Delivery, deliveries)


class SqlWebhookBooks:
    """See `csms.people_ports.WebhookBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, webhook: Webhook, secret: str) -> None:
        """Enter one."""
        self._connection.execute(insert(webhooks), {**_WEBHOOK.values(webhook), "secret": secret})

    def get(self, organisation_id: int, webhook_id: str) -> Webhook | None:
        """One of the organisation."""
        query = _WEBHOOK.select().where(webhooks.c.organisation_id == organisation_id, webhooks.c.id == webhook_id)
        return _WEBHOOK.one(self._connection, query, {})

    def page(self, organisation_id: int, *, before: str | None, limit: int) -> list[Webhook]:
        """Newest first; those after the one of the id `before`."""
        query = _WEBHOOK.select().where(webhooks.c.organisation_id == organisation_id)
        order = tuple_(webhooks.c.created_at, webhooks.c.id)
        if before is not None:
            place = select(webhooks.c.created_at).where(webhooks.c.id == before).scalar_subquery()
            query = query.where(order < tuple_(place, before))
        return _WEBHOOK.all(
            self._connection, query.order_by(webhooks.c.created_at.desc(), webhooks.c.id.desc()).limit(limit)
        )

    def change(self, webhook_id: str, **columns: Any) -> None:
        """Set columns."""
        self._connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**columns))

    def remove(self, webhook_id: str) -> None:
        """With its deliveries."""
        self._connection.execute(delete(deliveries).where(deliveries.c.webhook_id == webhook_id))
        self._connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))

    def active(self) -> list[Webhook]:
        """Of every organisation."""
        return _WEBHOOK.all(self._connection, _WEBHOOK.select().where(webhooks.c.active.is_(True)))

    def last_event(self) -> int:
        """The id of the last event that was logged; 0 before the first."""
        query = select(sequences.c.value).where(sequences.c.name == "event")
        value: int = self._connection.execute(query).scalar_one()
        return value

    def add_delivery(self, delivery: Delivery, body: bytes) -> None:
        """Enter it, unless there is one of this event for this webhook."""
        values = {**_DELIVERY.values(delivery), "body": body}
        del values["number"]
        self._connection.execute(insert_new(self._connection, deliveries), values)

    def due(self, now: datetime, limit: int) -> list[Letter]:
        """Waiting ones whose time has come, oldest first."""
        query = (
            select(*_DELIVERY.columns, webhooks.c.url, webhooks.c.secret, deliveries.c.body)
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .where(
                deliveries.c.state == DeliveryState.WAITING,
                deliveries.c.next_attempt_at <= now,
                webhooks.c.active.is_(True),
            )
            .order_by(deliveries.c.number)
            .limit(limit)
        )
        width = len(_DELIVERY.columns)
        return [
            Letter(delivery=_DELIVERY.record(row[:width]), url=row.url, secret=row.secret, body=row.body)
            for row in self._connection.execute(query)
        ]

    def lease(self, number: int, attempts: int, until: datetime) -> bool:
        """Take one on: False where somebody else has, since it was read."""
        taken = (
            update(deliveries)
            .where(
                deliveries.c.number == number,
                deliveries.c.attempts == attempts,
                deliveries.c.state == DeliveryState.WAITING,
            )
            .values(attempts=attempts + 1, next_attempt_at=until)
        )
        return self._connection.execute(taken).rowcount == 1

    def delivery(self, organisation_id: int, webhook_id: str, number: int) -> Delivery | None:
        """One of the organisation's."""
        query = _DELIVERY.select().where(
            deliveries.c.organisation_id == organisation_id,
            deliveries.c.webhook_id == webhook_id,
            deliveries.c.number == number,
        )
        return _DELIVERY.one(self._connection, query, {})

    def change_delivery(self, number: int, **columns: Any) -> None:
        """Set columns."""
        self._connection.execute(update(deliveries).where(deliveries.c.number == number).values(**columns))

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
    ) -> list[Delivery]:
        """Newest first."""
        query = _DELIVERY.select().where(
            deliveries.c.organisation_id == organisation_id, deliveries.c.webhook_id == webhook_id
        )
        if state is not None:
            query = query.where(deliveries.c.state == DeliveryState(state))
        query = within(query, deliveries.c.created_at, created_from, created_to)
        if before is not None:
            query = query.where(deliveries.c.number < before)
        return _DELIVERY.all(self._connection, query.order_by(deliveries.c.number.desc()).limit(limit))

    def forget_deliveries(self, before: datetime) -> int:
        """Finished ones only."""
        return self._connection.execute(
            delete(deliveries).where(deliveries.c.state != DeliveryState.WAITING, deliveries.c.created_at < before)
        ).rowcount
