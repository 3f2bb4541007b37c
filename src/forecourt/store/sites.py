"""Sites with a local controller in SQL. See `csms.site_ports`."""

from functools import cached_property
from typing import Final

from sqlalchemy import Connection

from forecourt.csms import site_records as records
from forecourt.store import site_tables as tables
from forecourt.store.resources import SqlShelf
from forecourt.store.rows import Shape

_SITE: Final = Shape(records.LinkedSite, tables.sites)
_ENTRY: Final = Shape(records.SiteEntry, tables.site_entries)
_SAMPLE: Final = Shape(records.SiteSample, tables.site_samples)
_ORDER: Final = Shape(records.SiteOrder, tables.site_orders)


class SqlSiteBooks:
    """See `csms.site_ports.SiteBooks`. A shelf is made when it is asked for: most units need none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def sites(self) -> SqlShelf[records.LinkedSite]:
        """Of sites."""
        return SqlShelf(self._connection, _SITE)

    @cached_property
    def entries(self) -> SqlShelf[records.SiteEntry]:
        """Of what happened there."""
        return SqlShelf(self._connection, _ENTRY)

    @cached_property
    def samples(self) -> SqlShelf[records.SiteSample]:
        """Of their history."""
        return SqlShelf(self._connection, _SAMPLE)

    @cached_property
    def orders(self) -> SqlShelf[records.SiteOrder]:
        """Of what was asked of them."""
        return SqlShelf(self._connection, _ORDER)
