"""What the CSMS needs from around it: books to write in, a bus to tell and to ask through, a clock, ids.

Guarantees asked of whoever implements them
* `Store.write` runs a unit of work against the books and gives its result after the commit, never before: answered
  means committed. Units run one after the other, each seeing all that came before; a unit that raises leaves nothing.
  A unit may be run again when a commit fails, so it has no effect but on the books.
* The events a unit appends to `Books.events` are committed with it, and published in the order of their ids.
* `Bus.deliver` reaches whoever holds a station's socket, and says at once when nobody does.

What can be written in the books is in `book_ports`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from forecourt.csms.book_ports import Books
from forecourt.csms.command_records import Command
from forecourt.csms.contract_ports import ContractServices
from forecourt.csms.measures import Measures
from forecourt.csms.money_ports import PaymentProvider
from forecourt.csms.records import Event
from forecourt.csms.resource_ports import CertificateAuthority, FileStore
from forecourt.csms.settings import CsmsSettings
from forecourt.domain.clock import Clock
from forecourt.domain.requests import DataTransfer, DataTransferAnswer
from forecourt.domain.site_link import Order as SiteLinkOrder
from forecourt.domain.station import Capabilities

__all__ = [
    "Books",
    "Bus",
    "CallOrder",
    "Context",
    "DisconnectOrder",
    "Done",
    "Lease",
    "Order",
    "Receipt",
    "SiteCall",
    "Store",
    "StoreUnavailable",
    "Usual",
    "VendorFunction",
]

T = TypeVar("T")


Done = Callable[[Any, BaseException | None], None]
"""Is given what a unit of work has given, or why that is not in the books."""


class Store(Protocol):
    """Keeps the books."""

    def write(self, unit: Callable[[Books], T]) -> "asyncio.Future[T]":
        """Run `unit`; its result after the commit.

        Raises (when awaited):
            StoreUnavailable: it could not be committed; nothing of it is in the books.
            whatever `unit` raises: nothing of it is in the books.
        """
        ...

    def submit(self, unit: Callable[[Books], Any], done: Done, station_number: int | None = None) -> None:
        """The same for whoever needs no future: `done` is called on the event loop after the commit, or the failure.
        A unit that is `Usual` is tried so first.

        `station_number`: of the station that it is about, where there is one.
        """
        ...

    def read(self, query: Callable[[Books], T]) -> "asyncio.Future[T]":
        """Run `query` on a snapshot of what is committed. It must not write."""
        ...


class Usual(Protocol):
    """A unit of work that may be as usual: then it is done in a way that can't fail half-way. Known by its method."""

    def at_once(self, books: Books) -> Any:
        """Do it where it is as usual, without a statement to the database. None: nothing was done, call the unit."""
        ...


class StoreUnavailable(Exception):  # noqa: N818
    """The books can't be written or read: a full disk, a database that is gone."""


class Receipt(StrEnum):
    """What came of handing an order to the holder of a station's socket."""

    QUEUED = "queued"
    NO_HOLDER = "no_holder"
    FULL = "full"


class CallOrder(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """Send this command to the station, see to its outcome."""

    command: Command
    trace: dict[str, str] = {}
    """Which span it belongs to (`traces`)."""


class DisconnectOrder(msgspec.Struct, frozen=True, kw_only=True, tag="disconnect"):
    """Close the station's connection. `except_connection` keeps that one: how a newer connection drives out older."""

    reason: str
    except_connection: str | None = None


class SiteCall(msgspec.Struct, frozen=True, kw_only=True, tag="site"):
    """Send this to the site's controller: for whoever holds a site's link (`sites.holder_of`)."""

    order: SiteLinkOrder


Order = CallOrder | DisconnectOrder | SiteCall


class Lease(Protocol):
    """A claim on a station."""

    def release(self) -> None:
        """Give it up; if somebody else has claimed the station since, theirs stays."""
        ...


class Bus(Protocol):
    """Between those who hold sockets and those who ask."""

    def publish(self, events: Sequence[Event]) -> None:
        """Tell everybody who listens. Never blocks: who can't keep up is cut off, and comes back by replay."""
        ...

    def subscribe(
        self,
        organisation_id: int | None,
        *,
        after: int | None = None,
        types: frozenset[str] | None = None,
        station_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Listen, from the moment the context is entered. With `after`, what was logged after that id comes first.

        Each event comes once, logged ones in the order of their ids.
        """
        ...

    def claim(self, station_number: int, holder: Callable[[Order], Receipt]) -> Lease:
        """From now on orders for this station come to `holder`."""
        ...

    async def deliver(self, station_number: int, order: Order) -> Receipt:
        """Hand an order to whoever holds the station's socket."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the others can be reached."""
        ...


VendorFunction = Callable[[Any, DataTransfer], DataTransferAnswer]
"""Answers a vendor's message within a unit of work (`work.Work`)."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What every capability gets: the ports, the settings, and in whose name it acts."""

    store: Store
    bus: Bus
    clock: Clock
    new_id: Callable[[], str]
    """Gives an id that was never given before, such as a UUID."""
    settings: CsmsSettings = CsmsSettings()
    payment_providers: Mapping[str, PaymentProvider] = {}
    """By the name that payments give."""
    files: FileStore | None = None
    """None: this CSMS keeps no files."""
    authority: CertificateAuthority | None = None
    """None: this CSMS signs no certificates."""
    capabilities: Mapping[str, Capabilities] = {}
    """What the protocols of stations can express, by subprotocol."""
    vendors: Mapping[tuple[str, str | None], VendorFunction] = {}
    """What answers DataTransfer, by vendorId and messageId; of messageId None: all others of that vendor."""
    contracts: ContractServices = ContractServices()
    """Whom to ask about contracts for charging."""
    measures: Measures = msgspec.field(default_factory=Measures)
    """What is counted, for whoever watches."""
    organisation_id: int = 1
