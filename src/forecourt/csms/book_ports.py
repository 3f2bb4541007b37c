"""The books of the CSMS, one protocol per subject. They are synchronous: they run where the database is.

Those of money, people, resources, load groups and sites are in ports of their own (`money_ports` and so on).
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.group_ports import GroupBooks
from forecourt.csms.money_ports import MoneyBooks
from forecourt.csms.people_ports import AccessBooks, PeopleBooks
from forecourt.csms.records import (
    Connector,
    ConnectorView,
    DesiredVariable,
    Direction,
    Event,
    Location,
    MessageFilter,
    OcppMessage,
    ProcessRecord,
    ProfileState,
    Reading,
    ReportedVariable,
    Station,
    StationProfile,
    Token,
    Transaction,
    TransactionState,
    Violation,
)
from forecourt.csms.resource_ports import ResourceBooks
from forecourt.csms.running import RunningMeter, RunningPower
from forecourt.csms.site_ports import SiteBooks
from forecourt.domain.profile import ChargingProfile
from forecourt.domain.station import BootReason, RegistrationStatus, StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenType
from forecourt.domain.variable import VariableReading, VariableRef


class StationBooks(Protocol):
    """Stations, their connectors, places and configuration."""

    def add(self, organisation_id: int, station_id: str, registration: RegistrationStatus, now: datetime) -> Station:
        """Enter a new station."""
        ...

    def get(self, organisation_id: int, station_id: str) -> Station | None: ...
    def by_number(self, number: int) -> Station | None: ...
    def by_identity(self, station_id: str) -> Station | None:
        """Whichever organisation it belongs to: identities are unique over all of them."""
        ...

    def at_the_door(self, station_ids: Collection[str]) -> dict[str, tuple[Station, str | None]]:
        """Those of these identities that there are, each with the hash of its password."""
        ...

    def change(self, number: int, **columns: Any) -> None:
        """Set columns of a station, named as in `Station`."""
        ...

    def booted(self, number: int, identity: StationIdentity, reason: BootReason | None, at: datetime) -> None:
        """What a station says of itself at its boot."""
        ...

    def registration(self, number: int) -> RegistrationStatus | None:
        """Whether it is accepted; None: there is no such station."""
        ...

    def touch(self, number: int, at: datetime, clock_drift_s: float | None) -> None:
        """Something came from it, and told (where it isn't None) how far its clock is ahead."""
        ...

    def remove(self, number: int) -> None:
        """Take a station out; its transactions and readings stay."""
        ...

    def page(
        self,
        organisation_id: int,
        *,
        location_id: int | None,
        connected: bool | None,
        registration: RegistrationStatus | None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[Station]: ...

    def counts(self) -> tuple[dict[bool, int], dict[ConnectorView, int]]:
        """How many stations are connected and how many aren't; how many connectors there are of each view."""
        ...

    def set_password_hash(self, number: int, password_hash: str | None) -> None: ...
    def password_hash(self, number: int) -> str | None: ...
    def disconnect_all(self, now: datetime, kept: Sequence[str] = ()) -> list[Station]:
        """Mark stations as not connected, but for those whose connection's id begins with one of `kept`."""
        ...

    def set_connection(self, number: int, connection_id: str | None, **columns: Any) -> None: ...
    def connection_id(self, number: int) -> str | None: ...

    def connector(self, number: int, evse_id: int, connector_id: int) -> Connector | None: ...
    def connectors(self, number: int) -> list[Connector]: ...
    def connectors_between(self, organisation_id: int, first: int, last: int) -> list[Connector]:
        """Of all stations with numbers from `first` to `last`, in their order."""
        ...

    def known(self, number: int, evse_id: int, connector_id: int) -> Connector | None:
        """A connector, without a look into the database; None also for one that isn't in mind."""
        ...

    def stands(self, connector: Connector) -> bool:
        """Whether nothing has changed it since it was known, but for what is owed."""
        ...

    def owe(self, power: RunningPower) -> None:
        """The connector is what `power` says, for whoever looks; written as by `save_connector(…, metered=True)`."""
        ...

    def save_connector(self, connector: Connector, *, metered: bool = False) -> None:
        """Insert, or replace the one of the same place. `metered`: as for `TransactionBooks.save`."""
        ...

    def add_location(self, organisation_id: int, columns: dict[str, Any], now: datetime) -> Location: ...
    def location(self, organisation_id: int, location_id: int) -> Location | None: ...
    def locations(self, organisation_id: int, *, before: int | None, limit: int) -> list[Location]: ...
    def change_location(self, location_id: int, **columns: Any) -> None: ...
    def remove_location(self, location_id: int) -> None:
        """Take it out; its stations stay, without a location."""
        ...

    def desired(self, number: int) -> list[DesiredVariable]: ...
    def set_desired(self, number: int, variable: DesiredVariable) -> None: ...
    def remove_desired(self, number: int, ref: VariableRef) -> bool: ...
    def reported(self, number: int) -> list[ReportedVariable]: ...
    def set_reported(self, number: int, readings: Iterable[VariableReading], now: datetime) -> None: ...


class TokenBooks(Protocol):
    """Tokens, found by their value without regard to case."""

    def get(self, organisation_id: int, value: str) -> Token | None: ...
    def upsert(self, organisation_id: int, value: str, columns: dict[str, Any], now: datetime) -> Token: ...
    def remove(self, organisation_id: int, value: str) -> bool: ...
    def page(
        self,
        organisation_id: int,
        *,
        group: str | None,
        kind: IdTokenType | None = None,
        standing: AuthorizationStatus | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[Token]: ...


class TransactionBooks(Protocol):
    """Transactions and their readings."""

    def add(self, transaction: Transaction, start_key: str | None = None) -> Transaction:
        """Enter a new one; `number` (and where it is None and not `reported`, `transaction_id`) come from the sequence.

        `start_key` tells repetitions of the same message apart from new ones.
        """
        ...

    def save(self, transaction: Transaction, *, metered: bool = False) -> None:
        """Replace what is there.

        `metered`: only what follows from readings has changed. Those are kept with the unit; this may, under load,
        be written within a second after it, and is made up for should the process end before.
        """
        ...

    def get(self, organisation_id: int, number: int) -> Transaction | None: ...
    def by_wire_id(self, station_number: int, transaction_id: str) -> Transaction | None: ...
    def by_start_key(self, station_number: int, start_key: str) -> Transaction | None: ...
    def active_on(self, station_number: int, evse_id: int) -> list[Transaction]: ...
    def active_of_token(self, organisation_id: int, id_token: IdToken) -> list[Transaction]: ...
    def page(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        id_token: str | None,
        transaction_id: str | None = None,
        state: TransactionState | None,
        orphan: bool | None,
        started_from: datetime | None,
        started_to: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[Transaction]: ...

    def totals(self, organisation_id: int, started_from: datetime) -> tuple[int, float]:
        """How many started since then, and the watt-hours of those whose energy can be right."""
        ...

    def count_active(self, organisation_id: int) -> int: ...

    def known(self, station_number: int, transaction_id: str) -> Transaction | None:
        """By the id on the wire, without a look into the database; None also for one that isn't in mind."""
        ...

    def run(self, meter: RunningMeter) -> None:
        """Have it at hand for the next reading, as long as its record is what is known."""
        ...

    def meter(self, station_number: int, transaction_id: str) -> RunningMeter | None:
        """What was left by `run`, if nothing but readings has changed its transaction since."""
        ...

    def owe(self, meter: RunningMeter) -> None:
        """The transaction is what `meter` says, for whoever looks; to be written as by `save(…, metered=True)`."""
        ...

    def add_reading(self, reading: Reading) -> None:
        """Keep a reading; one that is there already is kept once."""
        ...

    def readings(
        self,
        *,
        station_number: int,
        transaction_number: int | None,
        evse_id: int | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> list[Reading]:
        """Ascending by time."""
        ...

    def mark_readings(self, marks: Sequence[tuple[Reading, str | None]]) -> None:
        """Set what is suspect about readings that are there."""
        ...

    def place_readings(self, transaction: Transaction, evse_id: int) -> None:
        """Say at which EVSE those readings were that came before it was known."""
        ...

    def forget_readings(self, before: datetime) -> int: ...


class CommandBooks(Protocol):
    """Commands and their outcomes."""

    def add(self, command: Command) -> None: ...
    def get(self, organisation_id: int, command_id: str) -> Command | None: ...
    def by_idempotency_key(self, organisation_id: int, key: str) -> Command | None: ...
    def change(self, command_id: str, **columns: Any) -> None: ...
    def unfinished(self) -> list[Command]:
        """All without a final state, of every organisation."""
        ...

    def recent_starts(self, station_number: int, since: datetime) -> list[Command]:
        """Accepted or still open remote starts without a transaction, newest first."""
        ...

    def next_remote_start_id(self) -> int:
        """A number for a remote start, never given twice."""
        ...

    def next_request_id(self) -> int:
        """A number that reports refer to, never given twice."""
        ...

    def page(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        state: CommandState | None,
        id_token: str | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: str | None,
        limit: int,
    ) -> list[Command]: ...


class ChargingBooks(Protocol):
    """Charging profiles on stations."""

    def add(
        self,
        organisation_id: int,
        station_number: int,
        evse_id: int,
        profile: ChargingProfile,
        state: ProfileState,
        command_id: str | None,
        now: datetime,
    ) -> StationProfile: ...
    def by_command(self, command_id: str) -> list[StationProfile]: ...
    def on_station(self, station_number: int, states: Sequence[ProfileState]) -> list[StationProfile]: ...
    def set_state(self, number: int, state: ProfileState, now: datetime) -> None: ...
    def next_profile_id(self) -> int:
        """An id for a profile, never given twice."""
        ...

    def page(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        profile_id: int | None,
        state: ProfileState | None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[StationProfile]: ...


class LogBooks(Protocol):
    """The message history, and what was forgiven."""

    def add_message(
        self,
        organisation_id: int,
        station_number: int,
        at: datetime,
        direction: Direction,
        action: str | None,
        message_id: str | None,
        frame: bytes,
    ) -> None: ...
    def messages(
        self,
        organisation_id: int,
        wanted: MessageFilter,
        *,
        before: int | None = None,
        down_to: int | None = None,
        limit: int,
    ) -> list[OcppMessage]: ...
    def newest_messages_end(
        self, organisation_id: int, wanted: MessageFilter, *, before: int | None, most: int
    ) -> int | None: ...
    def other_halves(self, organisation_id: int, found: Sequence[OcppMessage]) -> list[OcppMessage]: ...
    def forget_messages(self, before: datetime) -> int: ...
    def add_violations(
        self, organisation_id: int, station_number: int, at: datetime, action: str, descriptions: Sequence[str]
    ) -> None: ...
    def violations(
        self,
        organisation_id: int,
        station_number: int,
        *,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[Violation]: ...


class EventBooks(Protocol):
    """The log that the event stream is replayed from."""

    def append(
        self, organisation_id: int, event_type: str, at: datetime, station_id: str | None, body: msgspec.Struct
    ) -> None:
        """Tell it, once this unit is committed."""
        ...

    def after(self, event_id: int, limit: int) -> list[Event]:
        """Ascending by id."""
        ...

    def newest(self) -> int:
        """The highest id there is; 0: none."""
        ...

    def forget(self, before: datetime) -> int: ...


class ProcessBooks(Protocol):
    """The processes that are this CSMS."""

    def enter(self, process_id: str, name: str, at: datetime) -> None: ...
    def beat(self, process_id: str) -> bool:
        """It lives. False: it isn't there."""
        ...

    def every(self) -> list[ProcessRecord]:
        """In the order in which they entered."""
        ...

    def remove(self, process_id: str) -> None: ...


class Books(Protocol):
    """All of it."""

    @property
    def stations(self) -> StationBooks: ...
    @property
    def tokens(self) -> TokenBooks: ...
    @property
    def transactions(self) -> TransactionBooks: ...
    @property
    def commands(self) -> CommandBooks: ...
    @property
    def charging(self) -> ChargingBooks: ...
    @property
    def log(self) -> LogBooks: ...
    @property
    def events(self) -> EventBooks: ...
    @property
    def access(self) -> AccessBooks: ...
    @property
    def money(self) -> MoneyBooks: ...
    @property
    def people(self) -> PeopleBooks: ...
    @property
    def resources(self) -> ResourceBooks: ...
    @property
    def sites(self) -> SiteBooks: ...
    @property
    def groups(self) -> GroupBooks: ...
    @property
    def processes(self) -> ProcessBooks: ...
    def prove_writable(self) -> None:
        """Write something that changes nothing, to see that the books can be written to."""
        ...
