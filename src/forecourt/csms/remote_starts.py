"""Which remote start a transaction follows from.

Guarantees
* A remote start id decides where the station tells one (OCPP 2.0.1 TransactionEvent). OCPP 1.6 has none: there it is
  the last remote start of the same token for that EVSE, or for any, that is no older than `LINK_WINDOW`.
"""

from datetime import datetime, timedelta
from typing import Final

from forecourt.csms.command_records import Command
from forecourt.csms.commands import request_of
from forecourt.csms.ports import Books
from forecourt.domain.requests import RequestStartTransaction

LINK_WINDOW: Final = timedelta(hours=1)


def link_start(
    books: Books,
    station_number: int,
    remote_start_id: int | None,
    id_token: str | None,
    evse_id: int,
    at: datetime,
) -> Command | None:
    """The remote start that a transaction follows from."""
    for command in books.commands.recent_starts(station_number, at - LINK_WINDOW):
        request = request_of(command)
        if not isinstance(request, RequestStartTransaction):
            continue
        if remote_start_id is not None:
            if request.remote_start_id == remote_start_id:
                return command
        elif (
            id_token is not None and request.id_token.key == id_token.casefold() and request.evse_id in {None, evse_id}
        ):
            return command
    return None
