"""Security events: what stations report (security white paper §8, A04), and what the CSMS sees itself.

Guarantees
* Every event is kept for `security_event_retention_s`, and told as `security.event`.
* However often somebody tries, what the CSMS sees itself of one kind, in one name, from one address is kept once in
  `QUIET_S`: nobody fills the books by being refused.

The CSMS's own types are `OWN`; the others are those of OCPP 2.0.1, appendix 1, or a vendor's.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Any, Final

from forecourt.csms import published
from forecourt.csms.errors import NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page
from forecourt.csms.resource_records import SecurityEvent, SecurityOrigin
from forecourt.csms.work import Work
from forecourt.domain.events import SecurityEventReported

CRITICAL: Final = frozenset(
    {
        "FirmwareUpdated",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "MemoryExhaustion",
        "TamperDetectionActivated",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "InvalidCsmsCertificate",
        "InvalidChargingStationCertificate",
        "InvalidTLSVersion",
        "InvalidTLSCipherSuite",
    }
)
"""Those that a station has to tell (security white paper §8, column "Critical": Yes)."""

UNKNOWN_STATION: Final = "UnknownStation"
FAILED_LOGIN: Final = "StationFailedToAuthenticate"
INVALID_CERTIFICATE: Final = "InvalidChargingStationCertificate"
INSECURE_CONNECTION: Final = "InsecureConnection"
TOO_MANY_FAILURES: Final = "TooManyFailedLogins"
TLS_FAILED: Final = "TlsHandshakeFailed"
NOT_ACCEPTED: Final = "MessageBeforeAcceptance"
OWN: Final = {
    UNKNOWN_STATION: "a connection in a name that nobody has entered",
    FAILED_LOGIN: "a connection without, or with a wrong password",
    INVALID_CERTIFICATE: "a client certificate that is another's, expired, too weak or revoked",
    INSECURE_CONNECTION: "a connection below the security profile of the station or of the listener",
    TOO_MANY_FAILURES: "a connection that wasn't looked at, after too many failed logins",
    TLS_FAILED: "a TLS handshake that failed",
    NOT_ACCEPTED: "a message of a station that was not accepted at boot (OCPP 2.0.1 B02.FR.09)",
}
"""What the CSMS sees itself."""

QUIET_S: Final = 60.0
_MOST_REMEMBERED: Final = 10_000


def reported(work: Work, event: SecurityEventReported) -> None:
    """SecurityEventNotification."""
    station = work.station
    _enter(
        work.books,
        station.organisation_id,
        work.at,
        origin=SecurityOrigin.STATION,
        type=event.event_type,
        critical=event.event_type in CRITICAL,
        station_number=station.number,
        station_id=station.id,
        info=event.tech_info,
        at=event.at,
    )


class Watch:
    """What this process sees: keeps the first of many."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen_s: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def is_news(self, event_type: str, station_id: str, address: str) -> bool:
        """Whether there was none of the kind lately."""
        now_s = self._context.clock.now().protocol_s
        key = (event_type, station_id, address)
        last_s = self._seen_s.get(key)
        if last_s is not None and now_s - last_s < QUIET_S:
            return False
        self._seen_s[key] = now_s
        self._seen_s.move_to_end(key)
        if len(self._seen_s) > _MOST_REMEMBERED:
            self._seen_s.popitem(last=False)
        return True

    async def keep(self, event_type: str, station_id: str | None, address: str | None, info: str | None) -> None:
        """Enter it. Raises StoreUnavailable."""
        at = self._context.clock.now().at

        def store(books: Books) -> None:
            station = None if station_id is None else books.stations.by_identity(station_id)
            _enter(
                books,
                self._context.organisation_id if station is None else station.organisation_id,
                at,
                origin=SecurityOrigin.CSMS,
                type=event_type,
                critical=event_type in CRITICAL,
                station_number=None if station is None else station.number,
                station_id=station_id,
                address=address,
                info=info,
                at=at,
            )

        await self._context.store.write(store)


# For the API


async def get_event(context: Context, number: int) -> SecurityEvent:
    """Raises NotFound."""
    found = await context.store.read(lambda books: books.resources.security_events.get(context.organisation_id, number))
    if found is None:
        raise NotFound("security event", number)
    return found


async def list_events(
    context: Context,
    *,
    station_id: str | None = None,
    event_type: str | None = None,
    origin: SecurityOrigin | None = None,
    critical: bool | None = None,
    received_from: datetime | None = None,
    received_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[SecurityEvent]:
    """Newest first. A station need not be one that somebody has entered. Raises Invalid for the cursor."""
    before = page_start(cursor)
    where: dict[str, Any] = {"organisation_id": context.organisation_id}
    given = {"station_id": station_id, "type": event_type, "origin": origin, "critical": critical}
    where |= {name: value for name, value in given.items() if value is not None}

    def query(books: Books) -> list[SecurityEvent]:
        return books.resources.security_events.find(
            where, since=received_from, until=received_to, before=before, limit=limit + 1
        )

    return page_of(await context.store.read(query), limit, lambda event: str(event.number))


def _enter(books: Books, organisation_id: int, now: datetime, **columns: Any) -> None:
    event = books.resources.security_events.add(now, organisation_id=organisation_id, **columns)
    body = published.SecurityEventBody(security_event=event)
    books.events.append(organisation_id, published.SECURITY_EVENT, now, event.station_id, body)
