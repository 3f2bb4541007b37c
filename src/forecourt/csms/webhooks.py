"""Webhooks: whoever wants to be told of events gets each of them by HTTP, signed, until it says that it has it.

Guarantees
* At least once: the place in the log of events and the deliveries made of it are one commit, so that a crash neither
  leaves an event out nor makes a second delivery of it. One that was under way in a crash is made again; receivers tell
  repetitions by the event's id.
* A delivery that isn't answered 2xx is made again after each of `webhook_retries_s`, then it is `dead`: kept, listed,
  and sent again when somebody asks for it. Order isn't promised: events have ids and times.
* The signature is HMAC-SHA256 over time and body with a secret that is shown once.
* A receiver that is slow holds up no other: each has only so many deliveries under way.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from forecourt.csms import published
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.people_ports import Letter, Postage, Postman
from forecourt.csms.people_records import Delivery, DeliveryState, Webhook
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Event, Page

log = logging.getLogger(__name__)

SIGNATURE: Final = "forecourt-signature"
BEGINS: Final = "whsec_"
"""Every secret, so that one that leaked is recognised."""
_AT_ONCE_EACH: Final = 4
"""Deliveries to one receiver that are under way at a time."""
_EVENTS_AT_ONCE: Final = 500
_LEASE_MARGIN_S: Final = 30.0
_LONGEST_ERROR: Final = 500
_ENCODER: Final = msgspec.json.Encoder()


class WebhookChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a webhook; UNSET stays as it is."""

    url: str | msgspec.UnsetType = msgspec.UNSET
    event_types: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType | None = msgspec.UNSET


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a delivery."""

    id: int
    type: str
    at: datetime
    station_id: str | None
    body: msgspec.Raw


async def create_webhook(
    context: Context, url: str, event_types: tuple[str, ...] | None, note: str | None
) -> tuple[Webhook, str]:
    """A new one, told of what happens from now on; and its secret. Raises Invalid."""
    _check(context, {"url": url, "event_types": event_types})
    secret = BEGINS + secrets.token_urlsafe(32)
    now = context.clock.now().at

    def store(books: Books) -> Webhook:
        webhook = Webhook(
            id=secrets.token_hex(8),
            organisation_id=context.organisation_id,
            url=url,
            event_types=event_types,
            note=note,
            position=books.people.webhooks.last_event(),
            created_at=now,
            updated_at=now,
        )
        books.people.webhooks.add(webhook, secret)
        return webhook

    return await context.store.write(store), secret


async def update_webhook(context: Context, webhook_id: str, changes: WebhookChanges) -> Webhook:
    """Change one. One that becomes active again goes on where it stopped, as far as the log reaches."""
    columns = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET}
    _check(context, columns)
    now = context.clock.now().at

    def store(books: Books) -> Webhook:
        webhook = _find(books, context, webhook_id)
        books.people.webhooks.change(webhook_id, **columns, updated_at=now)
        return msgspec.structs.replace(webhook, **columns, updated_at=now)

    return await context.store.write(store)


async def renew_secret(context: Context, webhook_id: str) -> str:
    """A new secret in place of the old one, for whatever is sent from now on. Raises NotFound."""
    secret = BEGINS + secrets.token_urlsafe(32)
    now = context.clock.now().at

    def store(books: Books) -> None:
        _find(books, context, webhook_id)
        books.people.webhooks.change(webhook_id, secret=secret, updated_at=now)

    await context.store.write(store)
    return secret


async def remove_webhook(context: Context, webhook_id: str) -> None:
    """Take it out, with its deliveries. Raises NotFound."""

    def store(books: Books) -> None:
        _find(books, context, webhook_id)
        books.people.webhooks.remove(webhook_id)

    await context.store.write(store)


async def get_webhook(context: Context, webhook_id: str) -> Webhook:
    """Raises NotFound."""
    return await context.store.read(lambda books: _find(books, context, webhook_id))


async def list_webhooks(context: Context, *, cursor: str | None = None, limit: int = 50) -> Page[Webhook]:
    """In the order of their ids."""
    found = await context.store.read(
        lambda books: books.people.webhooks.page(context.organisation_id, before=cursor, limit=limit + 1)
    )
    return page_of(found, limit, lambda webhook: webhook.id)


async def list_deliveries(
    context: Context,
    webhook_id: str,
    *,
    state: DeliveryState | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Delivery]:
    """Newest first. Raises NotFound, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[Delivery]:
        _find(books, context, webhook_id)
        return books.people.webhooks.deliveries(
            context.organisation_id,
            webhook_id,
            state=state,
            created_from=created_from,
            created_to=created_to,
            before=before,
            limit=limit + 1,
        )

    return page_of(await context.store.read(query), limit, lambda one: str(one.number))


async def resend(context: Context, webhook_id: str, number: int) -> Delivery:
    """Send it again, with all its attempts ahead. Raises NotFound, Conflict while it waits anyway."""
    now = context.clock.now().at

    def store(books: Books) -> Delivery:
        webhook = _find(books, context, webhook_id)
        delivery = books.people.webhooks.delivery(context.organisation_id, webhook_id, number)
        if delivery is None:
            raise NotFound("delivery", number)
        if not webhook.active:
            raise Conflict("the webhook isn't active")
        columns: dict[str, Any] = {
            "state": DeliveryState.WAITING,
            "attempts": 0,
            "next_attempt_at": now,
            "finished_at": None,
        }
        if delivery.state is DeliveryState.WAITING:
            columns = {"next_attempt_at": now}
        books.people.webhooks.change_delivery(number, **columns)
        return msgspec.structs.replace(delivery, **columns)

    return await context.store.write(store)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of the header `forecourt-signature`."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Outbox:
    """Makes deliveries of events, and sends them. `turn` every now and then; several processes may."""

    def __init__(self, context: Context, postman: Postman) -> None:
        self._context = context
        self._postman = postman
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._of_webhook: Counter[str] = Counter()

    async def turn(self) -> int:
        """Look once; gives how many events were looked at and deliveries begun."""
        return await self._fill() + await self._send()

    async def stop(self) -> None:
        """Let go of what is under way; it is sent again after the next start."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _fill(self) -> int:
        """Make deliveries of the events that are new."""
        context = self._context

        def behind(books: Books) -> bool:
            last = books.people.webhooks.last_event()
            return any(webhook.position < last for webhook in books.people.webhooks.active())

        if not await context.store.read(behind):
            return 0
        now = context.clock.now().at

        def fill(books: Books) -> int:
            webhooks = books.people.webhooks.active()
            events = books.events.after(min((one.position for one in webhooks), default=0), _EVENTS_AT_ONCE)
            last = events[-1].id if events else books.people.webhooks.last_event()
            for webhook in webhooks:
                for event in events:
                    if event.id > webhook.position and _wanted(webhook, event):
                        books.people.webhooks.add_delivery(_delivery(webhook, event, now), _body(event))
                if last > webhook.position:
                    books.people.webhooks.change(webhook.id, position=last)
            return len(events)

        return await context.store.write(fill)

    async def _send(self) -> int:
        """Begin what is due."""
        context, settings = self._context, self._context.settings.people
        free = settings.webhooks_at_once - len(self._under_way)
        if free <= 0:
            return 0
        now = context.clock.now().at
        due = await context.store.read(lambda books: books.people.webhooks.due(now, 50 * settings.webhooks_at_once))
        chosen: list[Letter] = []
        planned = Counter(self._of_webhook)
        for letter in due:
            if len(chosen) < free and planned[letter.delivery.webhook_id] < _AT_ONCE_EACH:
                planned[letter.delivery.webhook_id] += 1
                chosen.append(letter)
        if not chosen:
            return 0
        until = now + timedelta(seconds=settings.webhook_timeout_s + _LEASE_MARGIN_S)

        def lease(books: Books) -> list[Letter]:
            outbox = books.people.webhooks
            return [one for one in chosen if outbox.lease(one.delivery.number, one.delivery.attempts, until)]

        for letter in await context.store.write(lease):
            number = letter.delivery.number
            task = asyncio.get_running_loop().create_task(self._deliver(letter))
            self._under_way[number] = task
            self._of_webhook[letter.delivery.webhook_id] += 1
            task.add_done_callback(lambda done, letter=letter: self._done(letter, done))  # type: ignore[misc]
        return len(chosen)

    def _done(self, letter: Letter, task: "asyncio.Task[None]") -> None:
        del self._under_way[letter.delivery.number]
        self._of_webhook[letter.delivery.webhook_id] -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery failed", exc_info=error)

    async def _deliver(self, letter: Letter) -> None:
        delivery, context = letter.delivery, self._context
        timestamp = int(context.clock.now().at.timestamp())
        headers = {
            "content-type": "application/json",
            SIGNATURE: signature(letter.secret, timestamp, letter.body),
            "forecourt-event": delivery.event_type,
            "forecourt-event-id": str(delivery.event_id),
            "forecourt-delivery": str(delivery.number),
        }
        postage = await self._postman.post(letter.url, headers, letter.body)
        now = context.clock.now().at
        columns = self._outcome(delivery, postage, now)
        await context.store.write(lambda books: books.people.webhooks.change_delivery(delivery.number, **columns))

    def _outcome(self, delivery: Delivery, postage: Postage, now: datetime) -> dict[str, Any]:
        retries = self._context.settings.people.webhook_retries_s
        told: dict[str, Any] = {
            "last_status": postage.status,
            "last_error": None if postage.error is None else postage.error[:_LONGEST_ERROR],
        }
        if postage.status is not None and 200 <= postage.status < 300:
            return {**told, "state": DeliveryState.DELIVERED, "next_attempt_at": None, "finished_at": now}
        if delivery.attempts >= len(retries):
            log.warning("webhook %s: delivery %d is given up", delivery.webhook_id, delivery.number)
            return {**told, "state": DeliveryState.DEAD, "next_attempt_at": None, "finished_at": now}
        return {**told, "next_attempt_at": now + timedelta(seconds=retries[delivery.attempts])}


async def forget(context: Context) -> int:
    """Forget finished deliveries that are older than their retention; gives how many."""
    before = context.clock.now().at - timedelta(seconds=context.settings.people.webhook_retention_s)
    return await context.store.write(lambda books: books.people.webhooks.forget_deliveries(before))


# Inside


def _find(books: Books, context: Context, webhook_id: str) -> Webhook:
    webhook = books.people.webhooks.get(context.organisation_id, webhook_id)
    if webhook is None:
        raise NotFound("webhook", webhook_id)
    return webhook


def _check(context: Context, columns: dict[str, Any]) -> None:
    url = columns.get("url")
    if url is not None:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise Invalid("url", "is no address") from None
        schemes = {"https", "http"} if context.settings.people.webhook_plain else {"https"}
        if parts.scheme not in schemes or not parts.hostname:
            raise Invalid("url", f"must be an address that begins with {' or '.join(sorted(schemes))}://")
        if parts.username is not None or parts.fragment:
            raise Invalid("url", "must have neither a user nor a fragment")
    unlogged = frozenset(context.settings.unlogged_events)
    for event_type in columns.get("event_types") or ():
        if event_type not in published.TYPES:
            raise Invalid("event_types", f"{event_type!r} is no type of event")
        if event_type in unlogged:
            raise Invalid("event_types", f"{event_type!r} isn't logged, so that it can't be delivered for certain")


def _wanted(webhook: Webhook, event: Event) -> bool:
    return event.organisation_id == webhook.organisation_id and (
        webhook.event_types is None or event.type in webhook.event_types
    )


def _delivery(webhook: Webhook, event: Event, now: datetime) -> Delivery:
    return Delivery(
        number=0,
        organisation_id=webhook.organisation_id,
        webhook_id=webhook.id,
        event_id=event.id,
        event_type=event.type,
        next_attempt_at=now,
        created_at=now,
    )


def _body(event: Event) -> bytes:
    told = Told(id=event.id, type=event.type, at=event.at, station_id=event.station_id, body=event.body)
    return _ENCODER.encode(told)
