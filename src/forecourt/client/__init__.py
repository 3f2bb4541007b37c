"""A typed client of the CSMS's API, for programs that aren't the server: nothing of it is imported here.

    with Client("https://csms.example", key="fck_…") as csms:
        for station in csms.all(stations.list_stations(connected=True)):
            print(station.id, station.identity)
        command = csms.do(commands.reset("CS-1"), wait_s=10)

`AsyncClient` has the same methods to be awaited. What can be asked is in `operations` by subject.
"""

from forecourt.client.asynchronous import AsyncClient
from forecourt.client.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, Unauthorized, Unreachable
from forecourt.client.operations import Listing, Operation
from forecourt.client.synchronous import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "Conflict",
    "Forbidden",
    "Invalid",
    "Listing",
    "NotFound",
    "Operation",
    "Unauthorized",
    "Unreachable",
]
