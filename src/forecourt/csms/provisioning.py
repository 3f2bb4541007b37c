"""Who may connect, boot and stay; and that a station is configured as it shall be (OCPP 2.0.1 chapter B, 1.6 §4.2).

Guarantees
* An identity nobody has entered is refused, entered and accepted, or entered and held pending, as the settings say.
* A connection proves a security profile: 3 by a client certificate that is the station's own, 2 by its password over
  TLS, 1 by its password, 0 by nothing. That profile is at least the station's, so that a station may be upgraded
  (security white paper A05) and never falls back (A05.FR.09), and it is one that the listener allows (A00.FR.002).
* Where a password was set, a connection shows it or a certificate. Failed logins are limited (`logins`).
* A certificate is a station's own when a commonName in it is the station's identity, or the serial number that the
  station told at its last boot (A00.FR.405), and an organizationName is one of `cpo_names` (A00.FR.404).
* A certificate that is revoked is nobody's (A00.FR.407), whatever else the connection shows.
* Connectivity is a fact with the time since when. The end of a connection that a newer one has replaced is no news.
* The desired configuration is compared and pushed after each accepted boot; never with `unsolicited_calls` off.
"""

import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.csms import certificate_books, commands, connectors, credentials, published
from forecourt.csms.command_records import CommandOrigin, CommandState
from forecourt.csms.errors import Conflict
from forecourt.csms.logins import Logins
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ANY, Configuration, ConnectedStation, Drift, Station
from forecourt.csms.register import Register
from forecourt.csms.settings import UnknownStationPolicy
from forecourt.csms.stations import configuration, configuration_of, get_station
from forecourt.csms.work import Work
from forecourt.domain.events import BootAnswer, HeartbeatAnswer, HeartbeatSent, StationBooted, VariablesReported
from forecourt.domain.requests import CsmsRequest, GetVariables, SetVariables
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.variable import GetVariableStatus, VariableSetting

ALL_PROFILES: Final = frozenset({0, 1, 2, 3})


class NotAdmitted(StrEnum):
    """Why a connection is refused."""

    UNKNOWN_STATION = "unknown station"
    WRONG_CREDENTIALS = "wrong credentials"
    WRONG_CERTIFICATE = "the certificate is not the station's, or not valid"
    INSECURE = "the security profile of the station or of the listener asks for a safer connection"
    TOO_MANY_FAILURES = "too many failed logins"


class Admitted(msgspec.Struct, frozen=True):
    """The station that may connect."""

    station: Station
    security_profile: int = 0
    """What the connection has proved; at least the station's."""


class ShownCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A client certificate whose path was verified during the TLS handshake, or during the one that is resumed."""

    common_names: tuple[str, ...]
    organizations: tuple[str, ...] = ()
    not_before: datetime
    not_after: datetime
    serial_number: str = ""
    """Hexadecimal, small letters."""
    strong: bool = True
    """Its key has at least 112 bits of security (A00.FR.501)."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection shows for itself."""

    credentials: tuple[str, bytes] | None = None
    """User name and password (Basic Auth)."""
    encrypted: bool = False
    certificate: ShownCertificate | None = None
    address: str = ""
    """Where it comes from."""
    allowed_profiles: frozenset[int] = ALL_PROFILES
    """Of the listener it came to."""


async def admit(
    context: Context, station_id: str, shown: Shown, logins: Logins, register: Register
) -> Admitted | NotAdmitted:
    """Whether whoever calls itself `station_id` may connect.

    An unknown station is entered into the books here where the policy says so.
    """
    if context.settings.refuse_plain and not shown.encrypted:
        return NotAdmitted.INSECURE
    known = await register.find(station_id)
    if shown.certificate is not None and await _is_revoked(context, shown.certificate):
        logins.failed(station_id, shown.address, context.clock.now().protocol_s)
        return NotAdmitted.WRONG_CERTIFICATE
    if known is None:
        return await _admit_stranger(context, station_id, shown, logins)
    station, password_hash = known
    needed = station.security_profile
    if (needed >= 2 and not shown.encrypted) or (needed == 3 and 3 not in shown.allowed_profiles):
        return NotAdmitted.INSECURE
    now = context.clock.now()
    owner = shown.certificate is not None and _is_certificate_of(context, shown.certificate, station_id, station)
    if needed == 3 and not owner:
        if shown.certificate is None:
            return NotAdmitted.INSECURE
        logins.failed(station_id, shown.address, now.protocol_s)
        return NotAdmitted.WRONG_CERTIFICATE
    if owner and (3 in shown.allowed_profiles):
        return Admitted(station, 3)
    if password_hash is not None:
        wrong = await _check_passwords(context, station, password_hash, shown, logins)
        if wrong is not None:
            return wrong
    proved = 0 if password_hash is None else 2 if shown.encrypted else 1
    if proved < needed:
        # Its profile needs a password, and none was ever set.
        return NotAdmitted.WRONG_CREDENTIALS
    return Admitted(station, proved) if proved in shown.allowed_profiles else _not_allowed(shown, proved)


async def _is_revoked(context: Context, certificate: ShownCertificate) -> bool:
    serial = certificate.serial_number
    return bool(serial) and await context.store.read(lambda books: certificate_books.is_revoked(books, serial))


async def _admit_stranger(context: Context, station_id: str, shown: Shown, logins: Logins) -> Admitted | NotAdmitted:
    now = context.clock.now()
    policy = context.settings.unknown_stations
    if policy is UnknownStationPolicy.REFUSE:
        # Identities can't be tried out one after the other.
        if logins.refused(station_id, shown.address, now.protocol_s):
            return NotAdmitted.TOO_MANY_FAILURES
        logins.failed(None, shown.address, now.protocol_s)
        return NotAdmitted.UNKNOWN_STATION
    owner = shown.certificate is not None and _is_certificate_of(context, shown.certificate, station_id, None)
    proved = 3 if owner else 0
    if proved not in shown.allowed_profiles:
        another_s = shown.certificate is not None and 3 in shown.allowed_profiles
        return NotAdmitted.WRONG_CERTIFICATE if another_s and not owner else _not_allowed(shown, proved)
    pending = policy is UnknownStationPolicy.PENDING
    registration = RegistrationStatus.PENDING if pending else RegistrationStatus.ACCEPTED

    def enter(books: Books) -> Station:
        entered = books.stations.by_identity(station_id)
        if entered is not None:
            return entered
        station = books.stations.add(context.organisation_id, station_id, registration, now.at)
        if owner:
            # Else whoever came next under this name would need no certificate.
            books.stations.change(station.number, security_profile=3)
            station = msgspec.structs.replace(station, security_profile=3)
        return station

    return Admitted(await context.store.write(enter), proved)


async def _check_passwords(
    context: Context, station: Station, password_hash: str, shown: Shown, logins: Logins
) -> NotAdmitted | None:
    """What is wrong with the credentials: while the password is being changed, either is right."""
    new_hash = await context.store.read(lambda books: credentials.new_password_hash(books, station.number))
    user, password = shown.credentials or ("", b"")
    if new_hash is None or (user == station.id and logins.knows(station.number, password_hash, password)):
        return await _check_password(context, station, password_hash, shown, logins)
    wrong = await _check_password(context, station, new_hash, shown, logins)
    if wrong is None:
        await credentials.came_back(context, station.number, new_hash)
        return None
    if wrong is not NotAdmitted.WRONG_CREDENTIALS or shown.credentials is None:
        return wrong
    return await _check_password(context, station, password_hash, shown, logins)


async def _check_password(
    context: Context, station: Station, password_hash: str, shown: Shown, logins: Logins
) -> NotAdmitted | None:
    """What is wrong with the credentials."""
    if shown.credentials is None:
        return NotAdmitted.WRONG_CREDENTIALS
    user, password = shown.credentials
    now_s = context.clock.now().protocol_s
    # The user name is the station's identity (security white paper A00.FR.204, OCPP 2.0.1 A00.FR.204).
    if user == station.id and logins.knows(station.number, password_hash, password):
        return None
    if logins.refused(station.id, shown.address, now_s):
        return NotAdmitted.TOO_MANY_FAILURES
    if user != station.id:
        logins.failed(station.id, shown.address, now_s)
        return NotAdmitted.WRONG_CREDENTIALS
    right = await logins.check(
        station.number, password_hash, password, station_id=station.id, address=shown.address, now_s=now_s
    )
    return None if right else NotAdmitted.WRONG_CREDENTIALS


def _is_certificate_of(
    context: Context, certificate: ShownCertificate, station_id: str, station: Station | None
) -> bool:
    settings = context.settings
    names = {station_id}
    if station is not None and station.identity is not None and station.identity.serial_number:
        names.add(station.identity.serial_number)
    return (
        not names.isdisjoint(certificate.common_names)
        and (not settings.cpo_names or not set(settings.cpo_names).isdisjoint(certificate.organizations))
        # A resumed session doesn't look at the time again.
        and certificate.not_before <= context.clock.now().at <= certificate.not_after
        and certificate.strong
    )


def _not_allowed(shown: Shown, proved: int) -> NotAdmitted:
    """Refuse what the listener doesn't allow: with a challenge where a password would do."""
    with_password = 2 if shown.encrypted else 1
    if proved == 0 and with_password in shown.allowed_profiles:
        return NotAdmitted.WRONG_CREDENTIALS
    return NotAdmitted.INSECURE


def connected(context: Context, station: ConnectedStation) -> Callable[[Books], None]:
    """The unit of work that enters a connection of the station, which is open."""
    at = context.clock.now().at

    def store(books: Books) -> None:
        books.stations.set_connection(
            station.number,
            station.connection_id,
            connected=True,
            connection_changed_at=at,
            protocol=station.protocol,
        )
        books.stations.touch(station.number, at, None)
        body = published.StationConnectedBody(protocol=station.protocol, connection_id=station.connection_id)
        books.events.append(station.organisation_id, published.STATION_CONNECTED, at, station.id, body)

    return store


def disconnected(context: Context, station: ConnectedStation, reason: str) -> Callable[[Books], None]:
    """The same for its end."""
    at = context.clock.now().at

    def store(books: Books) -> None:
        if books.stations.connection_id(station.number) == station.connection_id:
            books.stations.set_connection(station.number, None, connected=False, connection_changed_at=at)
            body = published.StationDisconnectedBody(reason=reason)
            books.events.append(station.organisation_id, published.STATION_DISCONNECTED, at, station.id, body)

    return store


async def recover_connections(context: Context) -> int:
    """After a start: no station is connected, whatever a process that is gone has left in the books."""
    at = context.clock.now().at
    return await context.store.write(lambda books: len(gone_with(books, (), at)))


def gone_with(books: Books, kept: Sequence[str], at: datetime) -> list[Station]:
    """Connections whose ids don't begin with one of `kept` are gone with their process; gives the stations."""
    gone = books.stations.disconnect_all(at, kept)
    for station in gone:
        body = published.StationDisconnectedBody(reason="the CSMS was restarted")
        books.events.append(station.organisation_id, published.STATION_DISCONNECTED, at, station.id, body)
    return gone


# What stations say


def booted(work: Work, event: StationBooted) -> BootAnswer:
    """OCPP 1.6 §4.2, OCPP 2.0.1 B01 to B03."""
    known = work.books.stations.registration(work.station.number)
    registration = RegistrationStatus.REJECTED if known is None else known
    if known is not None:
        work.books.stations.booted(work.station.number, event.identity, event.reason, work.at)
        body = published.StationBootedBody(identity=event.identity, reason=event.reason, registration=registration)
        work.tell(published.STATION_BOOTED, body)
        connectors.station_booted(work)
    settings = work.settings
    accepted = registration is RegistrationStatus.ACCEPTED
    interval_s = settings.heartbeat_interval_s if accepted else settings.boot_retry_interval_s
    interval_s = _spread(interval_s, settings.interval_jitter, work.station.id)
    return BootAnswer(registration=registration, now=work.at, interval_s=interval_s)


def _spread(interval_s: int, jitter: float, station_id: str) -> int:
    """Another one for each station, always the same for one."""
    place = zlib.crc32(station_id.encode()) / 0xFFFF_FFFF * 2 - 1
    return max(1, round(interval_s * (1 + jitter * place)))


def heartbeat_sent(work: Work, event: HeartbeatSent) -> HeartbeatAnswer:  # noqa: ARG001 - it says nothing more
    """OCPP 1.6 §4.6, OCPP 2.0.1 G02."""
    return HeartbeatAnswer(now=work.at)


def variables_reported(work: Work, event: VariablesReported) -> None:
    """A part of a report that was asked for (OCPP 2.0.1 B07, B08)."""
    known = [reading for reading in event.readings if reading.outcome is GetVariableStatus.ACCEPTED]
    work.books.stations.set_reported(work.station.number, known, work.at)


# The desired configuration


async def configure(context: Context, station: ConnectedStation) -> tuple[Drift, ...]:
    """Read what shall be configured, set what differs, and give what differs still; that is told as well.

    Sends nothing when nothing is desired, and nothing more to a station that doesn't answer. Never raises for what the
    station answers.
    """
    before = await context.store.read(lambda books: configuration_of(books, context.settings, station.number))
    if not before.desired:
        return ()
    heard = await _ask(context, station, GetVariables(refs=tuple(wish.ref for wish in before.desired)))
    read = await context.store.read(lambda books: configuration_of(books, context.settings, station.number))
    settings = tuple(VariableSetting(drift.ref, drift.desired) for drift in read.drift)
    batches = [settings] if station.capabilities.variables_in_batches else [(setting,) for setting in settings]
    for batch in batches:
        if batch and heard:
            heard = await _ask(context, station, SetVariables(settings=batch))
    at = context.clock.now().at

    def store(books: Books) -> tuple[Drift, ...]:
        drift = configuration_of(books, context.settings, station.number).drift
        if drift:
            body = published.ConfigurationDriftBody(drift=drift)
            books.events.append(station.organisation_id, published.CONFIGURATION_DRIFT, at, station.id, body)
        return drift

    return await context.store.write(store)


async def synchronise(context: Context, station_id: str) -> Configuration:
    """The same at any time, for a station that is connected. Gives its configuration afterwards.

    Raises:
        NotFound: the station.
        Conflict: it is not connected.
    """
    station = await get_station(context, station_id)
    if not station.connected:
        raise Conflict("the station is not connected")
    there = ConnectedStation(
        organisation_id=station.organisation_id,
        number=station.number,
        id=station.id,
        protocol=station.protocol or "",
        capabilities=context.capabilities.get(station.protocol or "", ANY),
    )
    await configure(context, there)
    return await configuration(context, station_id)


async def _ask(context: Context, station: ConnectedStation, request: CsmsRequest) -> bool:
    """Whether the station answered."""
    command = await commands.issue(context, station.id, request, origin=CommandOrigin.CSMS)
    ended = await commands.wait(context, command.id, command.timeout_s + context.settings.sweep_interval_s)
    return ended.state in {CommandState.ACCEPTED, CommandState.REJECTED, CommandState.CALL_ERROR}
