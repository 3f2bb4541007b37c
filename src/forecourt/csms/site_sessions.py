"""The CSMS's end of one site link: what a controller tells goes into the books, orders go out.

Guarantees
* A record is acknowledged after the commit, and is in the books once: numbers that were seen before are passed over.
* A site has one link: a newer one drives out the older.
* Readings replace each other; the history has one sample for each `sample_s`, means and highest of what came.
* `site.updated` is told at most as often as readings come, to those who listen at the time; `site.alarm` is logged.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.csms import published
from forecourt.csms.ports import Books, Context, DisconnectOrder, Lease, Order, Receipt, SiteCall
from forecourt.csms.records import Event
from forecourt.csms.site_records import EntryKind, LinkedSite, NodeSample
from forecourt.csms.sites import holder_of
from forecourt.domain.site_link import (
    Ack,
    Down,
    Entry,
    Hello,
    Outcome,
    PlanUpdate,
    Readings,
    Records,
    Up,
    Welcome,
)
from forecourt.quantities import PerPhase

_CHARGING: Final = "charging"


class SiteSession:
    """One connection. `send` says something to the controller, `close` ends the connection."""

    def __init__(
        self, context: Context, site: LinkedSite, send: Callable[[Down], None], close: Callable[[str], None]
    ) -> None:
        self._context = msgspec.structs.replace(context, organisation_id=site.organisation_id)
        self._site = site
        self._send = send
        self._close = close
        self._connection_id = context.new_id()
        self._lease: Lease | None = None
        self._hello: Hello | None = None
        self._sampling = Sampling(context.settings.sites.sample_s)

    async def heard(self, message: Up) -> None:
        """The controller says something."""
        match message:
            case Hello():
                await self._greeted(message)
            case _ if self._hello is None:
                self._close("hello comes first")
            case Records():
                await self._records(message)
            case Readings():
                await self._readings(message)
            case PlanUpdate(plan=plan):
                await self._change(plan=plan)
                self._updated(None)
            case Outcome(id=order_id, done=done, detail=detail):
                self._publish(
                    published.SITE_ORDER,
                    published.SiteOrderBody(
                        site_id=self._site.number, order_id=order_id, done=done, detail=detail[:1000]
                    ),
                )

    async def over(self) -> None:
        """The connection is gone."""
        if self._lease is not None:
            self._lease.release()
        at = self._now()

        def store(books: Books) -> None:
            found = books.sites.sites.get(self._site.organisation_id, self._site.number)
            if found is not None and found.connection_id == self._connection_id:
                books.sites.sites.change(found.number, at, connection_id=None)

        await self._context.store.write(store)
        self._updated(None, connected=False)

    async def _greeted(self, hello: Hello) -> None:
        number, at = self._site.number, self._now()
        await self._context.bus.deliver(holder_of(number), DisconnectOrder(reason="the site has connected again"))
        self._lease = self._context.bus.claim(holder_of(number), self._ordered)

        def store(books: Books) -> int | None:
            site = books.sites.sites.get(self._site.organisation_id, number)
            if site is None:
                return None
            have_seq = site.last_seq if site.journal_id == hello.journal_id else 0
            books.sites.sites.change(
                number, at, connection_id=self._connection_id, connected_at=at, heard_at=at, version=hello.version,
                dimmable=hello.dimmable, journal_id=hello.journal_id, last_seq=have_seq, tree=hello.site,
            )  # fmt: skip
            return have_seq

        have_seq = await self._context.store.write(store)
        if have_seq is None:
            self._close("the site was removed")
            return
        self._hello = hello
        every_s = self._context.settings.sites.readings_every_s
        self._send(Welcome(site_id=number, have_seq=have_seq, readings_every_s=every_s))
        self._updated(None)

    async def _records(self, message: Records) -> None:
        assert self._hello is not None
        journal_id, at = self._hello.journal_id, self._now()

        def store(books: Books) -> int | None:
            site = books.sites.sites.get(self._site.organisation_id, self._site.number)
            if site is None or site.journal_id != journal_id:
                return None
            last_seq = site.last_seq
            for entry in message.entries:
                if entry.seq > last_seq:
                    self._enter(books, journal_id, entry, at)
                    last_seq = entry.seq
            lost = site.lost + message.lost
            books.sites.sites.change(site.number, at, last_seq=last_seq, heard_at=at, lost=lost)
            return last_seq

        last_seq = await self._context.store.write(store)
        if last_seq is not None:
            self._send(Ack(seq=last_seq))

    def _enter(self, books: Books, journal_id: str, entry: Entry, at: datetime) -> None:
        site = self._site
        happened = entry.at if entry.at.tzinfo is not None else at
        books.sites.entries.add(
            happened, organisation_id=site.organisation_id, site_number=site.number, journal_id=journal_id,
            seq=entry.seq, kind=EntryKind(entry.kind), text=entry.text, sentence=entry.sentence,
            code=entry.code, evse=entry.evse, target_a=entry.target_a,
        )  # fmt: skip
        if entry.kind == "alarm":
            body = published.SiteAlarmBody(
                site_id=site.number, name=site.name, code=entry.code or "alarm", text=entry.text, evse=entry.evse,
                at=happened,
            )  # fmt: skip
            books.events.append(site.organisation_id, published.SITE_ALARM, at, None, body)

    async def _readings(self, readings: Readings) -> None:
        at, site = self._now(), self._site
        sample = self._sampling.take(readings)

        def store(books: Books) -> None:
            books.sites.sites.change(site.number, at, readings=readings, heard_at=at, connection_id=self._connection_id)
            if sample is not None:
                begins, columns = sample
                books.sites.samples.add(
                    begins, organisation_id=site.organisation_id, site_number=site.number, **columns
                )

        await self._context.store.write(store)
        self._updated(readings)

    async def _change(self, **columns: object) -> None:
        at = self._now()
        await self._context.store.write(
            lambda books: books.sites.sites.change(self._site.number, at, heard_at=at, **columns)
        )

    def _ordered(self, order: Order) -> Receipt:
        match order:
            case SiteCall(order=asked):
                self._send(asked)
            case DisconnectOrder(reason=reason):
                self._close(reason)
            case _:
                return Receipt.NO_HOLDER
        return Receipt.QUEUED

    def _updated(self, readings: Readings | None, *, connected: bool = True) -> None:
        power_w = None if readings is None else sum(evse.power_w or 0.0 for evse in readings.evses)
        body = published.SiteUpdatedBody(
            site_id=self._site.number, name=self._site.name, connected=connected, power_w=power_w
        )
        self._publish(published.SITE_UPDATED, body)

    def _publish(self, event_type: str, body: msgspec.Struct) -> None:
        event = Event(
            id=0, organisation_id=self._site.organisation_id, type=event_type, at=self._now(),
            body=msgspec.Raw(msgspec.json.encode(body)),
        )  # fmt: skip
        self._context.bus.publish([event])

    def _now(self) -> datetime:
        return self._context.clock.now().at


class Sampling:
    """Readings on their way to samples of the history."""

    def __init__(self, sample_s: float) -> None:
        self._sample_s = sample_s
        self._kept: list[Readings] = []

    def take(self, readings: Readings) -> tuple[datetime, dict[str, object]] | None:
        """One more; gives a sample once its time is over."""
        first = self._kept[0].at if self._kept else readings.at
        elapsed_s = (readings.at - first) / timedelta(seconds=1)
        if 0.0 <= elapsed_s < self._sample_s:
            self._kept.append(readings)
            return None
        kept, self._kept = self._kept, [readings]
        return first, _sampled(kept, self._sample_s if elapsed_s < 0 else min(elapsed_s, self._sample_s))


def _sampled(kept: list[Readings], duration_s: float) -> dict[str, object]:
    last = kept[-1]
    nodes = []
    for node in last.nodes:
        told = [one for readings in kept for one in readings.nodes if one.name == node.name]
        total, highest_a, limit_a = PerPhase(), told[0].load_a, told[0].limit_a
        for one in told:
            total += one.load_a
            highest_a = highest_a.maximum(one.load_a)
            limit_a = PerPhase(*map(min, limit_a, one.limit_a))
        mean_a = PerPhase(*(round(line / len(told), 2) for line in total))
        nodes.append(NodeSample(name=node.name, mean_a=mean_a, highest_a=highest_a, limit_a=limit_a))
    pv = [one.pv_w for one in kept if one.pv_w is not None]
    powers = [math.fsum(evse.power_w or 0.0 for evse in one.evses) for one in kept]
    return {
        "duration_s": duration_s,
        "nodes": tuple(nodes),
        "power_w": round(sum(powers) / len(powers), 1),
        "surplus_w": round(sum(one.surplus_w for one in kept) / len(kept), 1),
        "pv_w": round(sum(pv) / len(pv), 1) if pv else None,
        "charging": max(sum(evse.state == _CHARGING for evse in one.evses) for one in kept),
        "dimmed": any(one.dimming is not None and one.dimming.dimmed for one in kept),
    }
