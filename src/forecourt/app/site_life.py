"""What runs beside the controller of a site: its meters, signals, feeds, planner and outputs.

Guarantees
* Nothing of it can stop the controller: what fails is logged, waited for and tried again.
* What is learned reaches the brain by `ControllerServer.tell`, in the loop that the brain lives in.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from forecourt.allocation.planner import Plan
from forecourt.app.site_file import SiteFile
from forecourt.app.site_inputs import Dimming
from forecourt.app.tls import client_tls
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm
from forecourt.controller.limits import Happened
from forecourt.controller.outlook import Curve
from forecourt.controller.ports import MeterReading
from forecourt.controller.status import site_status
from forecourt.controller.surroundings import PlanTask
from forecourt.domain.clock import Clock
from forecourt.meters.broker import BrokerLink
from forecourt.meters.modbus import ModbusMeters
from forecourt.meters.mqtt import MqttReadings
from forecourt.meters.settings import ModbusMeter, MqttMeter, SimulatedMeter
from forecourt.meters.signals import ApiSignal, ModbusSignal, MqttSignal, watch
from forecourt.meters.simulated import run_simulated
from forecourt.net.controller_session import ControllerServer
from forecourt.net.feeds import Feed, FeedReader
from forecourt.net.home_assistant import Outputs
from forecourt.net.openadr import OpenAdr, Ven, understood
from forecourt.net.planning import PlanMaker
from forecourt.net.site_link import SiteLink

log = logging.getLogger(__name__)

OPENADR: Final = "OpenADR"
_LOOKS_S: Final = 1.0
_PATIENCE_S: Final = 10.0
_AGAIN_S: Final = 5.0

Part = Callable[[], Coroutine[Any, Any, None]]


class DimmingState:
    """What the signal of a grid operator comes to."""

    def __init__(
        self, dimming: Dimming, apply: Callable[[bool], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = dimming
        self._apply = apply
        self._clock = clock
        self.dimmed: bool | None = None
        self._unknown_since_s: float | None = None

    def take(self, value: bool | None) -> None:
        """What was read; None: nothing could be."""
        if value is not None:
            self._unknown_since_s = None
            self._be(value)
            return
        now_s = self._clock()
        self._unknown_since_s = now_s if self._unknown_since_s is None else self._unknown_since_s
        if now_s >= self._unknown_since_s + self.settings.unknown_after_s and self.settings.unknown != "as before":
            self._be(self.settings.unknown == "dimmed")

    def _be(self, dimmed: bool) -> None:
        if dimmed is not self.dimmed:
            self.dimmed = dimmed
            self._apply(dimmed)


class SiteLife:
    """Everything around one controller."""

    def __init__(self, file: SiteFile, server: ControllerServer, clock: Clock, folder: Path) -> None:
        self._file = file
        self._server = server
        self._clock = clock
        self._folder = folder
        self._grid = file.site.grid.name
        self._client = httpx.AsyncClient(timeout=_PATIENCE_S)
        self._outputs: Outputs | None = None
        self._planner: PlanMaker | None = None
        self.dimming: DimmingState | None = None
        server.endpoint.controller.surround(file.surroundings(file.site), clock.now())
        if file.dimming is not None:
            self.dimming = DimmingState(file.dimming, self._dim)
        self.link: SiteLink | None = None
        if (link := file.site_link) is not None:
            tls = client_tls(link.tls, "site_link.tls") if link.url.startswith("wss:") else None
            self.link = SiteLink(
                server, file.site, url=link.url, key=link.secret(), clock=clock, tls=tls, dim=self._dim_by_link
            )

    def parts(self) -> list[Part]:
        """What is to run for as long as the controller does."""
        file = self._file
        found: list[Part] = [self._news]
        modbus = [meter for meter in file.meters if isinstance(meter, ModbusMeter)]
        simulated = [meter for meter in file.meters if isinstance(meter, SimulatedMeter)]
        if modbus:
            found.append(lambda: ModbusMeters(modbus, self._folder).run(self._metered))
        if simulated:
            found.append(lambda: run_simulated(simulated, self._metered))
        if self.dimming is not None and isinstance(signal := self.dimming.settings.signal, ModbusSignal):
            found.append(partial(watch, signal, self.dimming.take))
        if file.openadr is not None:
            found.append(partial(self._openadr, file.openadr))
        for name, feed in (
            ("prices", file.prices), ("carbon", file.carbon), ("pv_forecast", file.pv_forecast),
            ("base_load", file.base_load),
        ):  # fmt: skip
            if feed is not None:
                found.append(partial(self._feed, name, feed))
        if file.planner is not None:
            self._planner = PlanMaker(file.site, slot_s=file.planner.slot_s, deadline_s=file.planner.deadline_s)
            found.append(partial(self._plan, self._planner))
        if file.mqtt is not None:
            found += self._broker()
        if self.link is not None:
            found.append(self.link.run)
        return found

    async def close(self) -> None:
        """Let go of what is open."""
        if self._planner is not None:
            self._planner.close()
        await self._client.aclose()

    # what comes in

    def _metered(self, name: str, reading: MeterReading) -> None:
        self._server.tell(lambda controller, now: controller.hear_meter(name, reading, now))

    def _dim(self, dimmed: bool) -> None:
        self._server.tell(lambda controller, _: _ignored(controller.surroundings.dim(dimmed)))

    def _dim_by_link(self, dimmed: bool) -> str | None:
        """The signal as the CSMS passes it on. Gives why it can't, if so."""
        if self.dimming is None:
            return "the site's file says nothing of a grid operator that dims: [dimming]"
        if not isinstance(self.dimming.settings.signal, ApiSignal):
            return 'the signal comes by another way than the site link: [dimming] signal = { kind = "api" }'
        self.dimming.take(dimmed)
        return None

    def _broker(self) -> list[Part]:
        file = self._file
        assert file.mqtt is not None
        found: list[Part] = []
        outputs = None
        if file.home_assistant is not None:
            outputs = Outputs(
                file.home_assistant, file.site, lambda topic, payload: link.publish(topic, payload, retain=True)
            )
            self._outputs = outputs
        link = BrokerLink(file.mqtt, will=None if outputs is None else (outputs.alive, b"offline"))
        readings = MqttReadings([meter for meter in file.meters if isinstance(meter, MqttMeter)], self._metered)
        link.listen(readings.topics, lambda topic, payload, kept: readings.message(topic, payload, retained=kept))
        if (
            file.dimming is not None
            and isinstance(signal := file.dimming.signal, MqttSignal)
            and self.dimming is not None
        ):
            state = self.dimming
            link.listen((signal.topic,), lambda _, payload, __: state.take(signal.read(payload)))
            found.append(partial(_unread, link, state))
        if outputs is not None and file.home_assistant is not None:
            link.listen(
                outputs.command_topics, lambda topic, payload, kept: self._command(outputs, topic, payload, kept)
            )
            found.append(partial(self._tell, outputs, file.home_assistant.interval_s))
        return [link.run, *found]

    def _command(self, outputs: Outputs, topic: str, payload: bytes, retained: bool) -> None:
        if not retained:  # an old wish isn't a wish
            self._server.tell(lambda controller, _: _ignored(outputs.command(topic, payload, controller)))

    async def _openadr(self, settings: OpenAdr) -> None:
        ven = Ven(settings, self._client)
        site = self._file.site
        node = settings.node or self._grid
        at = site.node_index[node]
        carried_w = site.nodes[at].rating_a.total * site.voltages_v[at]
        simple_w = carried_w if settings.simple_power_w is None else settings.simple_power_w
        while True:
            events = await ven.poll()
            if events is not None:
                said = understood(events, simple_w=simple_w, shares=settings.simple_shares)

                def learn(controller: Controller, _: object, said: Any = said) -> None:
                    controller.surroundings.limits.put(OPENADR, node, said.limits)
                    if said.prices is not None:
                        controller.surroundings.outlook.import_price = said.prices
                    if said.carbon is not None:
                        controller.surroundings.outlook.carbon_kg_per_kwh = said.carbon

                self._server.tell(learn)
            await asyncio.sleep(settings.interval_s)

    async def _feed(self, name: str, feed: Feed) -> None:
        reader = FeedReader(feed, name, self._client)
        field = {"prices": "import_price", "carbon": "carbon_kg_per_kwh", "pv_forecast": "pv_w", "base_load": "base_w"}

        def take(curve: Curve) -> None:
            self._server.tell(lambda controller, _: setattr(controller.surroundings.outlook, field[name], curve))

        while True:
            await reader.read(take)
            await asyncio.sleep(feed.interval_s)

    # what goes out

    async def _plan(self, planner: PlanMaker) -> None:
        def done(plan: Plan | None, task: PlanTask) -> None:
            self._server.tell(lambda controller, _: controller.surroundings.planned(plan, task))

        while True:
            task = None
            if not planner.busy:
                task = self._server.endpoint.controller.surroundings.plan_task(self._clock.now())
            if task is not None:
                await planner.make(task, done)
            await asyncio.sleep(_LOOKS_S)

    async def _news(self) -> None:
        """What has happened, into the log."""
        surroundings = self._server.endpoint.controller.surroundings
        while True:
            news, surroundings.news = surroundings.news, []
            for one in news:
                log.log(logging.WARNING if isinstance(one, Alarm) else logging.INFO, "%s", one.text)
                if self.link is not None and isinstance(one, Happened):
                    self.link.limit_changed(one.sentence, self._clock.now())
                if isinstance(one, Alarm):
                    self._server.endpoint.raised(one, self._clock.now())
            await asyncio.sleep(_LOOKS_S)

    async def _tell(self, outputs: Outputs, interval_s: float) -> None:
        outputs.introduce()
        while True:
            endpoint = self._server.endpoint
            outputs.tell(site_status(endpoint.controller, self._clock.now()), endpoint.alarms)
            await asyncio.sleep(interval_s)


@contextlib.asynccontextmanager
async def living(file: SiteFile, server: ControllerServer, clock: Clock, folder: Path) -> AsyncIterator[SiteLife]:
    """Run everything around the controller while the block runs."""
    life = SiteLife(file, server, clock, folder)
    running = [asyncio.create_task(_kept_up(part)) for part in life.parts()]
    try:
        yield life
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await life.close()


async def _kept_up(part: Part) -> None:
    """A mistake in one of these is told, and stops nothing: it begins again."""
    while True:
        try:
            await part()
        except Exception:
            log.exception("a part of the site's surroundings has failed; it begins again in %g s", _AGAIN_S)
        await asyncio.sleep(_AGAIN_S)


async def _unread(link: BrokerLink, state: DimmingState) -> None:
    """Without its broker a signal can't be heard."""
    while True:
        await asyncio.sleep(_LOOKS_S)
        if not link.connected.is_set():
            state.take(None)


def _ignored(_: object) -> None:
    """For what only matters to the log."""


__all__ = ["ApiSignal", "DimmingState", "SiteLife", "living"]
