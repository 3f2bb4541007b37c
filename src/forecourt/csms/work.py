"""A unit of work on behalf of one station: the books, the time, who speaks. What the capabilities' functions get."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from forecourt.csms.ports import Books, VendorFunction
from forecourt.csms.records import ConnectedStation
from forecourt.csms.resource_ports import CertificateAuthority
from forecourt.csms.settings import CsmsSettings


class Work(msgspec.Struct, frozen=True):
    """Lives on the store's side for the length of one unit; nothing of it outlives the commit."""

    books: Books
    settings: CsmsSettings
    station: ConnectedStation
    at: datetime
    """The CSMS's calendar when the message came."""
    authority: CertificateAuthority | None = None
    v2g_authority: CertificateAuthority | None = None
    """Of certificates that stations show to cars."""
    vendors: Mapping[tuple[str, str | None], VendorFunction] = {}

    def tell(self, event_type: str, body: msgspec.Struct) -> None:
        """Publish, once committed."""
        station = self.station
        self.books.events.append(station.organisation_id, event_type, self.at, station.id, body)
