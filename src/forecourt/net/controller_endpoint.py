"""The local controller between its stations and their CSMS, without sockets: bytes and `now` in, bytes out.

Guarantees (`controller.md` §1, §3)
* Each station has its own way through (`controller_passage`); what happens on one disturbs none of the others.
* One commit a turn: what a turn has changed is in the journal before any of its frames can be taken.
* When the journal takes no more, nothing of that turn leaves, and nothing ever after: `failed`. The shell ends the
  process, and stations fall back by themselves; a controller that forgets could overload a fuse later.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm, AskStation, Decided, Effect, Persist
from forecourt.controller.link_journal import SECTION
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.site_memory import SiteMemory
from forecourt.dialect.port import Dialect
from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.journal import Change, Journal, JournalState
from forecourt.domain.site import Site
from forecourt.net.controller_passage import Passage
from forecourt.rpc.relay import Relay
from forecourt.rpc.relay_events import Side

log = logging.getLogger(__name__)

_ALARMS_KEPT: Final = 100


class ControllerEndpoint:
    """All stations of a site, both legs of each. `dialects` by subprotocol; without a journal nothing is kept."""

    def __init__(
        self,
        site: Site,
        settings: ControllerSettings,
        dialects: Mapping[str, Dialect],
        new_id: Callable[[], str],
        *,
        journal: Journal | None = None,
        now: Now | None = None,
        passwords: Mapping[str, str] | None = None,
    ) -> None:
        """`passwords` are the site's own, for the upstream links. What the journal holds is taken over as of `now`."""
        kept = {} if journal is None else journal.load()
        self.controller = Controller(site, settings, memory=kept, now=now)
        self.memory = SiteMemory((point.station_id for point in site.evses), settings.offline, kept)
        self.kept_link: JournalState = {SECTION: kept.get(SECTION, {})}
        """What the journal held of the site link."""
        self.alarms: list[Alarm] = []
        """The latest, newest last."""
        self.decided: Decided | None = None
        self.listeners: list[Callable[[Alarm | Decided, Now], Iterable[Change]]] = []
        """Each hears of alarms and decisions, and gives what of that has to be in the journal with this turn."""
        self.on_decided: list[Callable[[Decided, Now], None]] = []
        """Whoever wants to hear of each decision."""
        self.touched: set[str] = set()
        """Stations that something may have to be sent to, on either leg; the shell empties it."""
        self.relink: set[str] = set()
        """Stations whose upstream link has a new password to be tried; the shell empties it."""
        self.failed = False
        self._journal = journal
        self._changes: list[Change] = []
        self._passwords = dict(passwords or {})
        self._dialects = dialects
        self._new_id = new_id
        self._passages: dict[str, Passage] = {}

    # the legs

    def opened(self, station_id: str, subprotocol: str, now: Now) -> None:
        """Both legs of a station are connected."""
        self.closed(station_id, now)
        self.station_up(station_id, subprotocol, now)
        self.csms_up(station_id, now)

    def closed(self, station_id: str, now: Now) -> None:
        """Both legs of a station are gone."""
        self.csms_lost(station_id, now)
        self.station_lost(station_id, now)
        self._passages.pop(station_id, None)

    def station_up(self, station_id: str, subprotocol: str, now: Now) -> None:
        """A station is connected."""
        dialect = self._dialects[subprotocol]
        passage = self._passages.get(station_id)
        if passage is None or passage.dialect is not dialect:
            self.closed(station_id, now)
            relay = Relay(dialect.rules, self._new_id)
            passage = Passage(station_id, dialect, relay, self.controller, self.memory, self._own_password)
            self._passages[station_id] = passage
        elif passage.relay.is_up(Side.STATION):
            self.station_lost(station_id, now)
        self._turn(station_id, passage.station_up(now), now)

    def station_lost(self, station_id: str, now: Now) -> None:
        """A station is gone; its upstream leg may stay for a while."""
        passage = self._passages.get(station_id)
        if passage is not None and passage.relay.is_up(Side.STATION):
            self._turn(station_id, passage.station_lost(now), now)

    def csms_up(self, station_id: str, now: Now) -> None:
        """The upstream leg of a station is connected."""
        passage = self._passages.get(station_id)
        if passage is not None:
            self._turn(station_id, passage.csms_up(now), now)

    def csms_lost(self, station_id: str, now: Now) -> None:
        """The upstream leg of a station is gone."""
        passage = self._passages.get(station_id)
        if passage is not None and passage.relay.is_up(Side.CSMS):
            self._turn(station_id, passage.csms_lost(now), now)

    def fall_back(self, station_id: str, now: Now) -> bool:
        """Tell a station, before it is cut off, to fall back. Whether it has."""
        if not self.controller.fallen_back(station_id, now):
            self._turn(station_id, self.controller.fall_back(station_id, now), now)
        return self.controller.fallen_back(station_id, now)

    def commission(self, station_id: str, evse_id: int | None, now: Now, *, reboot: bool) -> None:
        """Begin to probe a station. Raises CantProbe."""
        self._turn(station_id, self.controller.commission(station_id, evse_id, now, reboot=reboot), now)

    def let_in(self, station_id: str, subprotocol: str, credential: str | None, password: str | None) -> None:
        """The CSMS has let a station in: with the digest of its own credentials, or with a password of the site."""
        self.memory.registry.let_in(station_id, subprotocol, credential)
        if password is not None:
            self.memory.registry.password_worked(station_id, password)
        self._commit()

    def upstream_passwords(self, station_id: str) -> tuple[str, ...]:
        """The site's passwords for a station's upstream link, in the order to try them; none: the station's own."""
        return self.memory.registry.passwords(station_id, self._passwords.get(station_id))

    def backlog(self, station_id: str) -> int:
        """How many messages of a station the CSMS has not heard yet."""
        backlog = self.memory.backlogs[station_id]
        return len(backlog) + len(backlog.news)

    # frames

    def receive(self, station_id: str, side: Side, data: bytes, now: Now) -> None:
        """One whole message. Never raises, whatever it is."""
        passage = self._passages.get(station_id)
        if passage is None or self.failed:
            return
        effects = [e for event in passage.relay.receive(side, data, now.protocol_s) for e in passage.handle(event, now)]
        self._turn(station_id, effects, now)

    def take(self, station_id: str, side: Side) -> list[bytes]:
        """What is to be sent on a leg."""
        passage = self._passages.get(station_id)
        return [] if passage is None or self.failed else passage.relay.take(side)

    def remember(self, now: Now) -> None:
        """What was told to the brain directly goes to the journal."""
        self._apply(self.controller.remember(), now)
        self._commit()

    def raised(self, alarm: Alarm, now: Now) -> None:
        """Keep an alarm to be looked at."""
        self.alarms = [*self.alarms[1 - _ALARMS_KEPT :], msgspec.structs.replace(alarm, at=now.at)]
        self._tell(alarm, now)

    def keep(self, changes: Iterable[Change]) -> None:
        """Put something that belongs to none of the stations into the journal."""
        self._changes += changes
        self._commit()

    def set_upstream(self, station_id: str, url: str | None, password: str | None) -> None:
        """Where a station is relayed to (None: where all are), and with which new password (None: as before)."""
        registry = self.memory.registry
        registry.set_upstream_url(station_id, url)
        if password is not None:
            registry.new_password(station_id, password, self._passwords.get(station_id))
        self.relink.add(station_id)
        self._commit()

    # time

    def next_deadlines(self, now: Now) -> Deadlines:
        """When to call `expire`."""
        if self.failed:
            return Deadlines()
        deadlines = self.controller.next_deadlines(now)
        for passage in self._passages.values():
            deadlines = deadlines.earliest(Deadlines(protocol_s=passage.next_deadline()))
        return deadlines

    def expire(self, now: Now) -> None:
        """Time has passed."""
        for station_id, passage in list(self._passages.items()):
            deadline_s = passage.next_deadline()
            if deadline_s is not None and deadline_s <= now.protocol_s:
                self._turn(station_id, passage.expire(now), now)
        if self.controller.next_deadlines(now).due(now):
            self._apply(self.controller.expire(now), now)
            self._commit()

    # inside

    def _turn(self, station_id: str, effects: list[Effect], now: Now) -> None:
        self.touched.add(station_id)
        self._apply(effects, now)
        self._commit()

    def _apply(self, effects: list[Effect], now: Now) -> None:
        waiting = list(effects)
        while waiting:
            effect = waiting.pop(0)
            match effect:
                case Persist():
                    self._changes += effect.changes
                case AskStation():
                    passage = self._passages.get(effect.station_id)
                    if passage is None:
                        waiting += self.controller.answered(effect.token, accepted=None, now=now)
                        continue
                    self.touched.add(effect.station_id)
                    waiting += passage.ask(effect, now)
                case Alarm():
                    log.warning("%s: %s", effect.kind, effect.text)
                    self.raised(effect, now)
                case Decided():
                    self.decided = effect
                    for on_decided in self.on_decided:
                        on_decided(effect, now)
                    self._tell(effect, now)

    def _tell(self, effect: Alarm | Decided, now: Now) -> None:
        for listener in self.listeners:
            self._changes += listener(effect, now)

    def _commit(self) -> None:
        changes = [*self._changes, *self.memory.take()]
        self._changes.clear()
        if not changes or self._journal is None or self.failed:
            return
        try:
            self._journal.commit(changes)
        except OSError as error:
            self.failed = True
            log.critical("the journal can't be written, so nothing more is said: %s", error)

    def _own_password(self, station_id: str, password: str | None) -> bool:
        """Whether the site has a password for the upstream link of a station; with `password`, which becomes it."""
        installed = self._passwords.get(station_id)
        if not self.memory.registry.passwords(station_id, installed):
            return False
        if password is not None:
            self.memory.registry.new_password(station_id, password, installed)
            self.relink.add(station_id)
        return True
