"""What the CSMS needs to keep sites.

Guarantees asked of whoever implements them: those of `resource_ports.Shelf`; a record of a site's journal is entered
once.
"""

from typing import Protocol

from forecourt.csms.resource_ports import Shelf
from forecourt.csms.site_records import LinkedSite, SiteEntry, SiteOrder, SiteSample


class SiteBooks(Protocol):
    """One shelf for each kind."""

    @property
    def sites(self) -> Shelf[LinkedSite]: ...
    @property
    def entries(self) -> Shelf[SiteEntry]: ...
    @property
    def samples(self) -> Shelf[SiteSample]: ...
    @property
    def orders(self) -> Shelf[SiteOrder]: ...
