"""What a driver wants, passed on to the controller of the site where the car stands.

Guarantees
* The wish is in the CSMS's own books before, whatever comes of this: without a link, or where the controller refuses,
  nothing is lost but the controller's knowledge of it.
"""

import logging
from datetime import datetime

from forecourt.csms import sites
from forecourt.csms.errors import Conflict
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Transaction
from forecourt.domain.site_link import WishEvse

log = logging.getLogger(__name__)


async def pass_on(
    context: Context, transaction: Transaction, *, departs_at: datetime | None, energy_wh: float | None, who: str
) -> bool:
    """Tell the site's controller; False where there is none, or it does not take the wish."""
    evse_id = transaction.evse_id

    def query(books: Books) -> int | None:
        for site in books.sites.sites.find({"organisation_id": context.organisation_id}):
            if site.tree is None or site.connection_id is None:
                continue
            if any(
                point.station_id == transaction.station_id and point.evse_id == evse_id for point in site.tree.evses
            ):
                return site.number
        return None

    number = await context.store.read(query)
    if number is None or evse_id is None:
        return False
    asked = WishEvse(station_id=transaction.station_id, evse_id=evse_id, departs_at=departs_at, energy_wh=energy_wh)
    try:
        await sites.order(context, number, asked, who)
    except Conflict as refused:
        log.info("the wish of transaction %d is not with its site's controller: %s", transaction.number, refused)
        return False
    return True
