"""Sites with a local controller: entered, shown, asked. What their controllers tell is taken in by `site_sessions`.

Guarantees
* A site's key is shown once, when it is made; kept is its SHA-256. It opens the link of that one site, nothing else.
* An order is in the books before it is sent, with who asked, and comes to a state: done, refused with the controller's
  own sentence, or offline where there is no link. One that was sent and not answered in time stays `sent`: whether it
  was carried out is seen in what the controller tells next.
* The history is asked for by a time and comes in so many stretches at most, means over them.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

import msgspec

from forecourt.csms import published
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context, DisconnectOrder, Receipt, SiteCall
from forecourt.csms.records import Page
from forecourt.csms.site_records import EntryKind, LinkedSite, NodeSample, OrderState, SiteEntry, SiteOrder, SiteSample
from forecourt.domain.site import EvseKey
from forecourt.domain.site_link import Asked, LimitEvse, LimitNode, ModeEvse, Order, PriorityEvse, WishEvse
from forecourt.quantities import PerPhase

KEY_PREFIX: Final = "fcs_"
"""Begins every site's key, so that one that leaked is recognised."""

_NO_HASH: Final = "0" * 64
_SAMPLES_AT_ONCE: Final = 20_000


def holder_of(site_number: int) -> int:
    """Under which number the holder of a site's link is found on the bus: stations have the positive ones."""
    return -site_number


async def create_site(context: Context, name: str, location_id: int | None) -> tuple[LinkedSite, str]:
    """A new site, and the text of its key, which nobody can read again. Raises Invalid."""
    secret = secrets.token_urlsafe(32)
    at = context.clock.now().at

    def store(books: Books) -> LinkedSite:
        _check_location(books, context, location_id)
        return books.sites.sites.add(
            at, organisation_id=context.organisation_id, name=name, location_id=location_id, key_hash=_hash(secret)
        )

    site = await context.store.write(store)
    return site, _key_text(site, secret)


async def change_site(context: Context, number: int, name: str, location_id: int | None) -> LinkedSite:
    """Name and place. Raises NotFound, Invalid."""
    at = context.clock.now().at

    def store(books: Books) -> LinkedSite:
        found = _get(books, context, number)
        _check_location(books, context, location_id)
        books.sites.sites.change(number, at, name=name, location_id=location_id)
        return msgspec.structs.replace(found, name=name, location_id=location_id, updated_at=at)

    return await context.store.write(store)


async def new_key(context: Context, number: int) -> tuple[LinkedSite, str]:
    """Another key in place of the one before, whose link is cut. Raises NotFound."""
    secret = secrets.token_urlsafe(32)
    at = context.clock.now().at

    def store(books: Books) -> LinkedSite:
        found = _get(books, context, number)
        books.sites.sites.change(number, at, key_hash=_hash(secret))
        return msgspec.structs.replace(found, updated_at=at)

    site = await context.store.write(store)
    await context.bus.deliver(holder_of(number), DisconnectOrder(reason="the site has another key now"))
    return site, _key_text(site, secret)


async def remove_site(context: Context, number: int) -> None:
    """Take it out, with its history. Raises NotFound."""

    def store(books: Books) -> None:
        _get(books, context, number)
        for shelf in (books.sites.entries, books.sites.samples, books.sites.orders):
            while found := shelf.find({"site_number": number}):
                for one in found:
                    shelf.remove(one.number)
        books.sites.sites.remove(number)

    await context.store.write(store)
    await context.bus.deliver(holder_of(number), DisconnectOrder(reason="the site was removed"))


async def verify_key(context: Context, text: str) -> LinkedSite | None:
    """The site that a key is for, whichever organisation it belongs to; None: it is no key."""
    digits, _, secret = text.removeprefix(KEY_PREFIX).partition("_")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else 0
    found = await context.store.read(lambda books: books.sites.sites.find({"number": number}, limit=1))
    right = hmac.compare_digest(_hash(secret), found[0].key_hash if found else _NO_HASH)
    return found[0] if found and right else None


async def get_site(context: Context, number: int) -> LinkedSite:
    """Raises NotFound."""
    return await context.store.read(lambda books: _get(books, context, number))


async def list_sites(context: Context, *, cursor: str | None = None, limit: int = 50) -> Page[LinkedSite]:
    """Newest first. Raises Invalid."""
    before = page_start(cursor)
    where = {"organisation_id": context.organisation_id}
    found = await context.store.read(lambda books: books.sites.sites.find(where, before=before, limit=limit + 1))
    return page_of(found, limit, lambda site: str(site.number))


async def list_entries(
    context: Context,
    number: int,
    kinds: Sequence[EntryKind],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[SiteEntry]:
    """What happened at a site, newest first. Raises NotFound, Invalid."""
    before = page_start(cursor)

    def query(books: Books) -> list[SiteEntry]:
        _get(books, context, number)
        where = {"site_number": number, "kind": tuple(kinds)}
        return books.sites.entries.find(where, since=since, until=until, before=before, limit=limit + 1)

    return page_of(await context.store.read(query), limit, lambda entry: str(entry.number))


async def list_orders(context: Context, number: int, *, cursor: str | None = None, limit: int = 50) -> Page[SiteOrder]:
    """What was asked of a site's controller, newest first. Raises NotFound, Invalid."""
    before = page_start(cursor)

    def query(books: Books) -> list[SiteOrder]:
        _get(books, context, number)
        return books.sites.orders.find({"site_number": number}, before=before, limit=limit + 1)

    return page_of(await context.store.read(query), limit, lambda order: str(order.number))


async def history(
    context: Context, number: int, *, since: datetime, until: datetime, points: int
) -> tuple[SiteSample, ...]:
    """How a site was loaded, oldest first, in at most `points` stretches. Raises NotFound, Invalid."""
    if until <= since:
        raise Invalid("until", "must be after since")

    def query(books: Books) -> list[SiteSample]:
        _get(books, context, number)
        where = {"site_number": number}
        return books.sites.samples.find(where, since=since, until=until, limit=_SAMPLES_AT_ONCE)

    found = (await context.store.read(query))[::-1]
    if len(found) <= points:
        return tuple(found)
    begin = found[0].created_at
    end = found[-1].created_at + timedelta(seconds=found[-1].duration_s)
    step_s = (end - begin) / timedelta(seconds=1) / points

    def stretch(sample: SiteSample) -> int:
        return int((sample.created_at - begin) / timedelta(seconds=1) / step_s)

    return tuple(merged(list(group)) for _, group in groupby(found, stretch))


def merged(samples: Sequence[SiteSample]) -> SiteSample:
    """Several stretches as one: means by their length, the highest of the highest, the lowest limit."""
    first, last = samples[0], samples[-1]
    whole_s = sum(one.duration_s for one in samples) or 1.0
    parts = [one.duration_s / whole_s for one in samples]
    names = [node.name for node in last.nodes]
    by_name = [{node.name: node for node in one.nodes} for one in samples]
    nodes = []
    for name in names:
        told = [(nodes_of[name], part) for nodes_of, part in zip(by_name, parts, strict=True) if name in nodes_of]
        weight = sum(part for _, part in told) or 1.0
        mean_a, highest_a, limit_a = PerPhase(), told[0][0].highest_a, told[0][0].limit_a
        for node, part in told:
            mean_a += PerPhase(*(line * part / weight for line in node.mean_a))
            highest_a = highest_a.maximum(node.highest_a)
            limit_a = PerPhase(*map(min, limit_a, node.limit_a))
        nodes.append(NodeSample(name=name, mean_a=mean_a, highest_a=highest_a, limit_a=limit_a))
    pv = [one.pv_w for one in samples if one.pv_w is not None]
    return msgspec.structs.replace(
        first,
        duration_s=(last.created_at - first.created_at) / timedelta(seconds=1) + last.duration_s,
        nodes=tuple(nodes),
        power_w=sum(one.power_w * part for one, part in zip(samples, parts, strict=True)),
        surplus_w=sum(one.surplus_w * part for one, part in zip(samples, parts, strict=True)),
        pv_w=sum(pv) / len(pv) if pv else None,
        charging=max(one.charging for one in samples),
        dimmed=any(one.dimmed for one in samples),
    )


async def order(context: Context, number: int, asked: Asked, who: str) -> SiteOrder:
    """Ask something of a site's controller, and wait for its answer.

    Raises:
        NotFound: there is no such site, or it has no such node or EVSE.
        Conflict: there is no link, or the controller refuses; the sentence is its own.
    """
    at = context.clock.now().at
    order_id = context.new_id()

    def enter(books: Books) -> SiteOrder:
        site = _get(books, context, number)
        _check_asked(site, asked)
        return books.sites.orders.add(
            at, organisation_id=site.organisation_id, site_number=number, order_id=order_id, who=who, asked=asked,
            state=OrderState.SENT if site.connection_id is not None else OrderState.OFFLINE,
        )  # fmt: skip

    entered = await context.store.write(enter)
    if entered.state is OrderState.OFFLINE:
        raise Conflict("the site's controller is not connected; nothing was asked")
    types = frozenset({published.SITE_ORDER})
    async with context.bus.subscribe(context.organisation_id, types=types) as answers:
        call = SiteCall(order=Order(id=order_id, who=who, asked=asked))
        if await context.bus.deliver(holder_of(number), call) is not Receipt.QUEUED:
            await _be(context, entered, OrderState.OFFLINE, "")
            raise Conflict("the site's controller is not connected; nothing was asked")
        try:
            async with asyncio.timeout(context.settings.sites.answer_timeout_s):
                async for event in answers:
                    body = msgspec.json.decode(event.body, type=published.SiteOrderBody)
                    if body.order_id == order_id:
                        break
                else:
                    return entered
        except TimeoutError:
            return entered
    done = await _be(context, entered, OrderState.DONE if body.done else OrderState.REFUSED, body.detail)
    if not body.done:
        raise Conflict(f"the site's controller says: {body.detail}")
    return done


async def recover(context: Context) -> None:
    """Links of a process that is gone are over; what is still there tells so with its next readings."""
    at = context.clock.now().at

    def store(books: Books) -> None:
        for site in books.sites.sites.find({}):
            if site.connection_id is not None:
                books.sites.sites.change(site.number, at, connection_id=None)

    await context.store.write(store)


def forget(books: Books, context: Context, at: datetime) -> int:
    """Forget what is older than its retention; gives how much that was."""
    settings = context.settings.sites
    count = books.sites.samples.forget(at - timedelta(seconds=settings.history_retention_s))
    before = at - timedelta(seconds=settings.records_retention_s)
    return count + books.sites.entries.forget(before) + books.sites.orders.forget(before)


async def _be(context: Context, entered: SiteOrder, state: OrderState, detail: str) -> SiteOrder:
    at = context.clock.now().at
    await context.store.write(lambda books: books.sites.orders.change(entered.number, at, state=state, detail=detail))
    return msgspec.structs.replace(entered, state=state, detail=detail, updated_at=at)


def _check_asked(site: LinkedSite, asked: Asked) -> None:
    if site.tree is None:
        return
    if isinstance(asked, LimitNode):
        if asked.node not in site.tree.node_index:
            raise NotFound("node at this site", asked.node)
    elif isinstance(asked, LimitEvse | WishEvse | ModeEvse | PriorityEvse):
        key = EvseKey(asked.station_id, asked.evse_id)
        if key not in site.tree.evse_index:
            raise NotFound("EVSE at this site", key)


def _get(books: Books, context: Context, number: int) -> LinkedSite:
    found = books.sites.sites.get(context.organisation_id, number)
    if found is None:
        raise NotFound("site", number)
    return found


def _check_location(books: Books, context: Context, location_id: int | None) -> None:
    if location_id is not None and books.stations.location(context.organisation_id, location_id) is None:
        raise Invalid("location_id", f"{location_id} is no location")


def _key_text(site: LinkedSite, secret: str) -> str:
    return f"{KEY_PREFIX}{site.number}_{secret}"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
