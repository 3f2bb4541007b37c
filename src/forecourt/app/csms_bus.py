"""What joins the processes of one CSMS, as the configuration has it.

Guarantees
* Nothing configured: one process, which needs nothing. With `[bus] url`: any number of the same processes, with one
  PostgreSQL and NATS.
* What can't work together is refused with the name of the field (ValueError), before anything is started.
"""

import os
import socket
import ssl
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from forecourt.app.config import ConfigError
from forecourt.bus.in_process import InProcessBus, ReadLog
from forecourt.bus.nats import NatsBus
from forecourt.csms import published
from forecourt.csms.measures import BusMeasures
from forecourt.csms.membership import BEAT_S, DEAD_AFTER_S, Membership
from forecourt.csms.ports import Context

_SCHEMES: Final = ("nats", "tls")


class BusFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[bus]`: how several processes are one CSMS. Times ending in `_s` are seconds."""

    url: str | tuple[str, ...] | None = None
    """Of NATS, or of each server of its cluster, such as nats://user:password@nats.example:4222; None: one process."""
    prefix: str = "forecourt"
    """Begins every subject: another one for each CSMS that uses this NATS."""
    ca: Path | None = None
    """Roots that the server's certificate leads to; None: those of the system, where the URL begins with tls://."""
    beat_interval_s: float = BEAT_S
    dead_after_s: float = DEAD_AFTER_S
    """A process that has not been heard of for so long has its stations and commands ended by the others."""

    def __post_init__(self) -> None:
        for url in self.urls:
            if urlsplit(url).scheme not in _SCHEMES or not urlsplit(url).hostname:
                raise ValueError("url: an address such as nats://127.0.0.1:4222 expected")
        if not self.prefix or any(letter in self.prefix for letter in " *>\t\r\n"):
            raise ValueError("prefix: must have at least one character, and no blanks, * or >")
        if not self.beat_interval_s > 0:
            raise ValueError("beat_interval_s: must be more than 0")
        if not self.dead_after_s >= 3 * self.beat_interval_s:
            raise ValueError("dead_after_s: must be at least three times beat_interval_s")

    @property
    def urls(self) -> tuple[str, ...]:
        """All of them."""
        return () if self.url is None else (self.url,) if isinstance(self.url, str) else self.url

    def beside(self, folder: Path) -> Self:
        """With a relative path made absolute."""
        return self if self.ca is None else msgspec.structs.replace(self, ca=folder / self.ca)

    def check(self, database: str | None, unlogged: tuple[str, ...]) -> None:
        """Raise ValueError for what can't be together."""
        if not self.urls:
            return
        if database is None or not database.startswith("postgres"):
            raise ValueError("database: several processes (bus.url) need postgresql://USER@HOST/NAME")
        if published.STATION_CONNECTED in unlogged:
            raise ValueError(
                f"csms.unlogged_events: {published.STATION_CONNECTED} has to be logged with several processes (bus.url)"
            )


def made_bus(
    settings: BusFile, read_log: ReadLog, newest: Callable[[], Awaitable[int]], measures: BusMeasures
) -> InProcessBus | NatsBus:
    """The bus; one of NATS has to be joined yet."""
    if not settings.urls:
        return InProcessBus(read_log, measures=measures)
    return NatsBus(read_log, newest, prefix=settings.prefix, measures=measures)


async def join(settings: BusFile, bus: InProcessBus | NatsBus, process_id: str) -> None:
    """Reach the others. OSError when NATS can't be reached, ConfigError for the roots."""
    if not isinstance(bus, NatsBus):
        return
    tls = None
    if settings.ca is not None or any(url.startswith("tls:") for url in settings.urls):
        try:
            tls = ssl.create_default_context(cafile=settings.ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"bus.ca: {settings.ca} holds no certificates that can be used: {error}") from error
    await bus.start(settings.urls, tls=tls, name=f"forecourt {process_id}")


def membership_of(settings: BusFile, context: Context, process_id: str) -> Membership | None:
    """This process among the others; None: there are none."""
    if not settings.urls:
        return None
    name = f"{socket.gethostname()} {os.getpid()}"
    return Membership(context, process_id, name, beat_s=settings.beat_interval_s, dead_after_s=settings.dead_after_s)


def new_process_id() -> str:
    """Never used before."""
    return uuid.uuid4().hex[:16]
