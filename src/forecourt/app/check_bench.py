"""The bench on which `forecourt check` puts a charger: a CSMS of its own, what it has seen, and the person beside it.

Guarantees
* Whoever connects is let in and taken as it is: the bench looks, it doesn't judge. The first charger is the one that is
  looked at.
* Evidence is what went over the wire: the handshake as it was agreed on, frames as they were. No password is shown.
* When the time is over nothing is waited for and nothing asked any more; what was seen before is still found.
* A charger that restarts is waited for, and charging that this ended is begun again.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import msgspec

from forecourt.bus.in_process import InProcessBus
from forecourt.csms import commands
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import (
    Direction,
    Event,
    MessageFilter,
    OcppMessage,
    Reading,
    Station,
    Transaction,
    TransactionState,
)
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.dialect import DIALECTS
from forecourt.domain.requests import CsmsRequest, RequestStartTransaction
from forecourt.domain.token import IdToken
from forecourt.net.clock import RealClock
from forecourt.net.csms_session import CsmsServer, Listener
from forecourt.net.handshake import UpgradeRequest
from forecourt.store.sql import open_store

T = TypeVar("T")

_LOOK_EVERY_S: Final = 0.1
_FRAMES: Final = 500
_BACK_S: Final = 180.0
"""How long a charger that has gone away is waited for."""
_TIDY_S: Final = 5.0
_LOST: Final = frozenset({CommandState.OFFLINE, CommandState.EXPIRED, CommandState.TIMEOUT})
_SETTINGS: Final = CsmsSettings(
    unknown_stations=UnknownStationPolicy.ACCEPT,
    unknown_tokens=UnknownTokenPolicy.ACCEPT,
    heartbeat_interval_s=60,
)


class TimeOverError(Exception):
    """Something should have been asked after the time was over."""


def _messages(wanted: MessageFilter, books: Books) -> list[OcppMessage]:
    return books.log.messages(1, wanted, limit=_FRAMES)


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """How a charger connected."""

    at: datetime
    identity: str
    path: str
    offered: tuple[str, ...]
    subprotocol: str
    tls_version: str | None
    tls_cipher: str | None
    user: str | None
    """Of Basic Auth; None: there was none."""
    password_right: bool | None
    """None: there was none, or none was expected."""
    certificate: bool

    def text(self) -> str:
        """For a person."""
        tls = "without TLS" if self.tls_version is None else f"{self.tls_version}, {self.tls_cipher}"
        shown = "no credentials" if self.user is None else f"Basic Auth as {self.user!r}"
        if self.certificate:
            shown += ", a client certificate"
        return f"{self.path}: {tls}; offers {', '.join(self.offered) or 'no subprotocol'}; {shown}"


class Bench:
    """What checks work with."""

    def __init__(
        self, context: Context, say: Callable[[str], None], *, token: str, password: str | None, hurry_s: float | None
    ) -> None:
        self.context = context
        self.say = say
        """Tells the person what to do."""
        self.token = token
        self.password = password
        self.hurry_s = hurry_s
        """The interval of meter values, where somebody doesn't want to wait for the one that is asked for."""
        self.handshakes: list[Handshake] = []
        self.station: Station | None = None
        self.interval_s = 60.0
        """Between meter values, as it was set."""
        self.suites: tuple[str, ...] = ()
        self.ends_s = math.inf
        """When the time is over, on the clock of the loop."""
        self.cut_short = False
        """Whether something was waited for less than it might have taken, because the time was over."""
        self.started_here = False
        """Whether a car should be charging, because it was asked to from here."""
        self._known = 0
        """Handshakes when the check began that is under way."""
        self._lost = False
        """Whether something was asked in it and not answered."""
        self._waited = -1
        """With so many handshakes it was waited for, in vain."""

    @property
    def over(self) -> bool:
        """Whether the time is."""
        return asyncio.get_running_loop().time() >= self.ends_s

    def begin(self) -> None:
        """A check begins."""
        self.cut_short = self._lost = False
        self._known = len(self._shakes)

    def prompt(self, words: str | None) -> None:
        """Tell the person what to do, while there is time to do it."""
        if words is not None and not self.over:
            self.say(words)

    def knocked(self, request: UpgradeRequest) -> None:
        """Somebody asks for a WebSocket."""
        credentials = request.basic_credentials()
        right = None
        if credentials is not None and self.password is not None:
            right = credentials[1] in {self.password.encode(), _octets(self.password)}
        self.handshakes.append(
            Handshake(
                at=datetime.now(UTC),
                identity=request.identity,
                path=request.path,
                offered=request.offered,
                subprotocol=request.subprotocol,
                tls_version=None if request.tls is None else request.tls.version,
                tls_cipher=None if request.tls is None else request.tls.cipher,
                user=None if credentials is None else credentials[0],
                password_right=right,
                certificate=request.tls is not None and request.tls.peer_certificate_der is not None,
            )
        )

    @property
    def handshake(self) -> Handshake | None:
        """The last of the charger that is looked at."""
        mine = self._shakes
        return mine[-1] if mine else None

    @property
    def _shakes(self) -> list[Handshake]:
        return [one for one in self.handshakes if self.station is None or one.identity == self.station.id]

    async def until(self, look: Callable[[], Awaitable[T | None]], within_s: float) -> T | None:
        """What `look` finds, as soon as it finds something; None: it doesn't within that time, or until the time is
        over. It is asked once at least."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        while True:
            found = await look()
            if found is not None:
                return found
            if loop.time() >= min(until_s, self.ends_s):
                self.cut_short = self.cut_short or self.ends_s < until_s
                return None
            await asyncio.sleep(_LOOK_EVERY_S)

    async def booted(self) -> Station | None:
        """The first charger that has booted."""

        def query(books: Books) -> Station | None:
            page = books.stations.page(1, location_id=None, connected=None, registration=None, before=None, limit=50)
            there = [station for station in reversed(page) if station.booted_at is not None]
            if self.station is not None:
                there = [station for station in there if station.number == self.station.number]
            return there[0] if there else None

        self.station = await self.context.store.read(query) or self.station
        return self.station

    @property
    def number(self) -> int:
        """The charger's key in the books. Only once it has booted."""
        assert self.station is not None
        return self.station.number

    async def frames(self, *, after: int = 0, direction: Direction | None = None) -> list[OcppMessage]:
        """The oldest first."""

        def query(books: Books) -> list[OcppMessage]:
            wanted = MessageFilter(station_number=self.number, direction=direction)
            return books.log.messages(1, wanted, limit=_FRAMES)

        found = await self.context.store.read(query)
        return [message for message in reversed(found) if message.id > after]

    async def heard(self, words: tuple[str, ...], *, after: int = 0) -> OcppMessage | None:
        """The first frame of the charger that says one of these, as a whole JSON text."""
        found: list[OcppMessage] = []
        for word in words:
            quoted = f'"{word}"'
            wanted = MessageFilter(station_number=self.number, direction=Direction.IN, text=quoted)
            like = await self.context.store.read(partial(_messages, wanted))
            found += [message for message in like if message.id > after and quoted.encode() in message.frame]
        return min(found, key=lambda message: message.id, default=None)

    async def mark(self) -> int:
        """Where the frames are now: `after` for what comes from now on."""
        found = await self.frames()
        return found[-1].id if found else 0

    async def ask(self, request: CsmsRequest, timeout_s: float = 30.0) -> Command:
        """Ask it, once it is there; the command in its final state. Raises TimeOverError."""
        if self.over:
            raise TimeOverError
        await self._until_it_is_back(self._there)
        left_s = self.ends_s - asyncio.get_running_loop().time()
        command = await self._asked(request, min(timeout_s, max(left_s, 1.0)))
        self._lost = self._lost or command.state in _LOST
        return command

    async def tidy(self, request: CsmsRequest) -> None:
        """Take back what a check has left behind, the time being over or not; nobody looks what comes of it."""
        await self._asked(request, _TIDY_S)

    async def _asked(self, request: CsmsRequest, timeout_s: float) -> Command:
        assert self.station is not None
        command = await commands.issue(self.context, self.station.id, request, timeout_s=timeout_s)
        return await commands.wait(self.context, command.id, timeout_s + _SETTINGS.sweep_interval_s)

    async def _there(self) -> bool | None:
        """Whether it is connected, and has said something since."""
        station, shake = self.station, self.handshake
        if station is None or not station.connected or shake is None:
            return None
        heard = await self.frames(direction=Direction.IN)
        return True if heard and heard[-1].at >= shake.at else None

    async def has_restarted(self) -> bool:
        """Whether it has connected anew since `begin`. One that was asked and gave no answer may be about to; who goes
        on talking all the same is not."""
        known, self._lost, lost = self._known, False, self._lost
        mark = await self.mark()

        async def sign() -> bool | None:
            if len(self._shakes) > known:
                return True
            there = self.station is not None and self.station.connected
            return False if there and await self.frames(after=mark, direction=Direction.IN) else None

        if len(self._shakes) > known or (lost and await self._until_it_is_back(sign)):
            return await self._until_it_is_back(self._there) is not None
        return False

    async def _until_it_is_back(self, sign: Callable[[], Awaitable[bool | None]]) -> bool | None:
        """Once for each time that it goes away."""

        async def look() -> bool | None:
            await self.booted()
            return await sign()

        waited, self._waited = self._waited == len(self._shakes), len(self._shakes)
        found = await self.until(look, 0.0 if waited else _BACK_S)
        if found is not None:
            self._waited = -1
        return found

    async def charging(self) -> Transaction | None:
        """The transaction that is on; one that a restart has ended is begun again. None: nothing charges. When the time
        is over: the last one, to be looked back at."""
        found, shake = await self.transaction(active=True), self.handshake
        last = await self.transaction(active=False)
        if self.over:
            return last
        if found is not None or not self.started_here or last is None or shake is None or shake.at < last.created_at:
            return found
        self.say("It has restarted, and charges no more: charging is started again.")
        await self.ask(RequestStartTransaction(id_token=IdToken(self.token), evse_id=1))
        return await self.until(partial(self.transaction, active=True), _BACK_S)

    async def transaction(self, *, active: bool) -> Transaction | None:
        """The newest."""

        def query(books: Books) -> list[Transaction]:
            return books.transactions.page(
                1,
                station_number=self.number,
                id_token=None,
                state=TransactionState.ACTIVE if active else None,
                orphan=None,
                started_from=None,
                started_to=None,
                before=None,
                limit=1,
            )

        found = await self.context.store.read(query)
        return found[0] if found else None

    async def readings(self, transaction: Transaction, since: datetime | None = None) -> list[Reading]:
        """Of a transaction, by when they came."""

        def query(books: Books) -> list[Reading]:
            return books.transactions.readings(
                station_number=self.number,
                transaction_number=transaction.number,
                evse_id=None,
                since=None,
                until=None,
                limit=10_000,
            )

        found = sorted(await self.context.store.read(query), key=lambda reading: reading.received_at)
        return [reading for reading in found if since is None or reading.received_at > since]


def evidence_of(command: Command) -> tuple[str, ...]:
    """What was asked and answered."""
    asked = f"{command.action or command.name} {(command.payload or command.request).decode(errors='replace')}"
    if command.answer is not None and command.state is not CommandState.CALL_ERROR:
        return asked, command.answer.decode(errors="replace")
    if command.error_code is not None:
        return asked, f"{command.error_code}: {command.error_description or ''}"
    return asked, f"{command.state}: {command.detail or ''}"


def text_of(message: OcppMessage) -> str:
    """A frame, as it was."""
    return message.frame.decode(errors="replace")


@asynccontextmanager
async def bench(
    listeners: tuple[Listener, ...],
    folder: Path,
    say: Callable[[str], None],
    *,
    token: str,
    password: str | None,
    hurry_s: float | None,
) -> AsyncIterator[tuple[Bench, CsmsServer]]:
    """A bench that listens, with books in `folder`. OSError when a port is taken."""

    async def read_log(after: int, limit: int) -> list[Event]:
        return await store.read(lambda books: books.events.after(after, limit))

    bus = InProcessBus(read_log)
    store = await open_store(
        f"sqlite:///{folder / 'check.sqlite'}", publish=bus.publish, unlogged=_SETTINGS.unlogged_events
    )
    context = Context(store=store, bus=bus, clock=RealClock(), new_id=lambda: str(uuid4()), settings=_SETTINGS)
    made = Bench(context, say, token=token, password=password, hurry_s=hurry_s)
    server = CsmsServer(context, {dialect.subprotocol: dialect for dialect in DIALECTS})
    server.knocked = made.knocked
    try:
        await server.start_listeners(listeners)
        try:
            yield made, server
        finally:
            await server.stop(1.0)
    finally:
        await store.close()


def _octets(password: str) -> bytes:
    """The password as octets, where it is written in hexadecimal."""
    try:
        return bytes.fromhex(password)
    except ValueError:
        return password.encode()
