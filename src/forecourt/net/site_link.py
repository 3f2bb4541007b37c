"""The controller's end of the site link: one outbound WebSocket to a Forecourt CSMS (`controller.md` §2).

Guarantees
* The site runs on without it: whatever goes wrong here is logged, waited for with a growing back-off and tried again.
* Alarms, decisions and changes of limits are told in order and without a gap, over losses of the link and restarts of
  either end (`controller.link_journal`). Readings are told when they have changed, at most once in the time that the
  CSMS names, and never while the link is choked: only the newest counts.
* An order is carried out in one turn of the controller and in its journal before its outcome leaves.
* A CSMS that refuses the key is asked again ever more rarely, and the security log says so. The key is never logged.
"""

import asyncio
import logging
import random
import ssl
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from typing import Final

import msgspec

from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm, Decided
from forecourt.controller.link_journal import LinkJournal
from forecourt.controller.link_view import plan_told, readings
from forecourt.controller.orders import Refusal, carry_out
from forecourt.domain.clock import Clock, Now
from forecourt.domain.journal import Change
from forecourt.domain.sentence import Sentence
from forecourt.domain.site import Site
from forecourt.domain.site_link import (
    LARGEST_MESSAGE,
    PATH,
    SUBPROTOCOL,
    Ack,
    DimSite,
    Hello,
    Order,
    Outcome,
    PlanUpdate,
    Readings,
    Records,
    Up,
    Welcome,
    decode_down,
    encode,
)
from forecourt.net.backoff import Backoff, BackoffPolicy
from forecourt.net.client import KeptConnection, connect
from forecourt.net.connection import ConnectFailed, Connection, HandshakeRefused, Limits
from forecourt.net.controller_session import ControllerServer

log = logging.getLogger(__name__)
security_log = logging.getLogger("forecourt.security")

_AT_ONCE: Final = 200
"""Entries in one message, and so many are on their way unacknowledged."""
_QUIET_S: Final = 30.0
"""After so long readings are told even if nothing has changed."""


class SiteLink:
    """See the module. `run` it for as long as the controller runs."""

    def __init__(
        self,
        server: ControllerServer,
        site: Site,
        *,
        url: str,
        key: str,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        dim: Callable[[bool], str | None] | None = None,
        backoff: BackoffPolicy | None = None,
    ) -> None:
        """`url` is the CSMS's API without a path, as wss://csms.example:8080. `dim` takes a grid
        operator's signal, and gives why it can't; None: the site's own settings say what it comes to."""
        self._server = server
        self._site = site
        self._url = url.rstrip("/") + PATH
        self._key = key
        self._clock = clock
        self._tls = tls
        self._dim = dim
        self.journal = LinkJournal(uuid.uuid4().hex, server.endpoint.kept_link)
        self.backoff = backoff or BackoffPolicy(wait_minimum_s=2.0, random_range_s=3.0, repeat_times=5)
        self._connection: Connection | None = None
        self._welcome: Welcome | None = None
        self._sent_seq = 0
        self._told: Readings | None = None
        self._told_s = 0.0
        self._plan: tuple[float, int] | None = None
        self._wake = asyncio.Event()
        self.linked = asyncio.Event()
        """Whether the CSMS has welcomed the site."""
        self.refused = False
        """Whether the CSMS has refused the key, last."""
        server.endpoint.listeners.append(self._hear)

    async def run(self) -> None:
        """Keep the link up, and tell."""
        kept = KeptConnection(self._connect, backoff=Backoff(self.backoff, random.random), down=self._down)
        connecting = asyncio.create_task(kept.run())
        try:
            while True:
                self._turn()
                self._wake.clear()
                interval_s = 1.0 if self._welcome is None else self._welcome.readings_every_s
                if self._records_wait:
                    interval_s = min(interval_s, 0.2)
                with suppress(TimeoutError):
                    async with asyncio.timeout(interval_s):
                        await self._wake.wait()
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    def limit_changed(self, what: Sentence, now: Now) -> None:
        """A limit of the site began, changed or ended."""
        self.journal.limit(what, now)

    # receiver

    def message(self, data: bytes, /) -> None:
        """The CSMS says something."""
        try:
            said = decode_down(data)
        except msgspec.DecodeError as error:
            log.warning("site link: not understood, and passed over: %s", error)
            return
        match said:
            case Welcome():
                log.info("site link: the CSMS knows this site as %d, and has %d records", said.site_id, said.have_seq)
                self._welcome, self._sent_seq = said, said.have_seq
                self._told = self._plan = None
                self._acknowledged(said.have_seq)
                self.linked.set()
                self._wake.set()
            case Ack(seq=seq):
                self._acknowledged(seq)
                if self._records_wait:
                    self._wake.set()
            case Order():
                self._say(self._carried_out(said))
                self._told = None
                self._wake.set()

    def writable(self) -> None:
        """What waited goes on."""
        self._wake.set()

    def closed(self, code: int, reason: str, /) -> None:
        """The link is gone."""
        log.info("site link: lost (%d %s); the site runs on", code, reason)
        self._connection = self._welcome = None
        self.linked.clear()

    # inside

    async def _connect(self) -> Connection:
        return await connect(
            self._url,
            subprotocols=(SUBPROTOCOL,),
            receiver=self._opened,
            headers=(("Authorization", f"Bearer {self._key}"),),
            tls=self._tls,
            limits=Limits(max_message_bytes=LARGEST_MESSAGE),
        )

    def _opened(self, connection: Connection) -> "SiteLink":
        self._connection = connection
        self._say(
            Hello(
                version=version("forecourt"),
                journal_id=self.journal.journal_id,
                last_seq=self.journal.last_seq,
                site=self._site,
                dimmable=self._server.endpoint.controller.surroundings.settings.dimming is not None,
            )
        )
        return self

    def _down(self, failure: ConnectFailed | None, wait_s: float) -> None:
        self.refused = isinstance(failure, HandshakeRefused) and failure.status in {401, 403}
        if self.refused:
            security_log.warning("site link: the CSMS refuses the site's key; next attempt in %.0f s", wait_s)

    def _hear(self, effect: Alarm | Decided, now: Now) -> Iterable[Change]:
        if isinstance(effect, Alarm):
            self.journal.alarm(effect, now)
            self._wake.set()
        else:
            self.journal.decided(effect, now)
        return self.journal.take()

    @property
    def _records_wait(self) -> bool:
        return self._welcome is not None and self._sent_seq < self.journal.last_seq

    def _turn(self) -> None:
        if changes := self.journal.take():
            self._server.endpoint.keep(changes)
        if self._welcome is None or self._connection is None or self._connection.paused:
            return
        self._send_records()
        now = self._clock.now()
        if self._told_s and now.protocol_s < self._told_s + self._welcome.readings_every_s and self._told is not None:
            return
        controller = self._server.endpoint.controller
        told = readings(controller, now)
        quiet = self._told is not None and msgspec.structs.replace(self._told, at=told.at) == told
        if not quiet or now.protocol_s >= self._told_s + _QUIET_S:
            self._told, self._told_s = told, now.protocol_s
            self._say(told)
        self._send_plan(controller, now)

    def _send_plan(self, controller: Controller, now: Now) -> None:
        plan = controller.surroundings.plan
        mark = (-1.0, 0) if plan is None else (plan.made_s, len(plan.currents_a))
        if mark != self._plan:
            self._plan = mark
            self._say(PlanUpdate(plan=plan_told(controller, now)))

    def _send_records(self) -> None:
        waiting = self.journal.after(self._sent_seq, _AT_ONCE)
        if waiting and self._unacknowledged < _AT_ONCE:
            self._sent_seq = waiting[-1].seq
            self._say(Records(entries=waiting, lost=self.journal.lost))

    @property
    def _unacknowledged(self) -> int:
        return self._sent_seq - self._acknowledged_seq

    _acknowledged_seq = 0

    def _acknowledged(self, seq: int) -> None:
        self._acknowledged_seq = seq
        self.journal.acknowledge(seq)

    def _carried_out(self, order: Order) -> Outcome:
        outcome = Outcome(id=order.id, done=False, detail="the controller could not")
        dims = False
        if isinstance(order.asked, DimSite) and self._dim is not None:
            dims = True
            refused = self._dim(order.asked.dimmed)
            if refused is not None:
                return Outcome(id=order.id, done=False, detail=refused)

        def learn(controller: Controller, now: Now) -> None:
            nonlocal outcome
            if dims:
                controller.surroundings.by_hand.changed(order.who, "the grid operator's signal", now)
                outcome = Outcome(id=order.id, done=True)
                return
            try:
                what = carry_out(controller, order, now)
            except Refusal as refusal:
                outcome = Outcome(id=order.id, done=False, detail=str(refusal))
            else:
                log.info("site link: %s asks: %s", order.who, what)
                outcome = Outcome(id=order.id, done=True)

        self._server.tell(learn)
        return outcome

    def _say(self, message: Up) -> None:
        if self._connection is not None:
            self._connection.send(encode(message))

    def cut(self) -> None:
        """Drop the connection, as a network does; it comes back by itself."""
        if self._connection is not None:
            self._connection.abort("cut")
