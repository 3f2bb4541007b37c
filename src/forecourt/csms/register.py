"""Stations looked up by their identity, for whoever stands at the door.

Guarantees
* Those that come while one look into the books is under way share the next: a storm is a few dozen looks, and each sees
  what was committed before it began.
"""

import asyncio
from functools import partial

from forecourt.csms.ports import Store
from forecourt.csms.records import Station

Known = tuple[Station, str | None]
"""A station, and the hash of its password."""


class Register:
    """See the module. Used from one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: dict[str, list[asyncio.Future[Known | None]]] = {}
        self._looking = False

    def find(self, station_id: str) -> "asyncio.Future[Known | None]":
        """The station with the hash of its password; None: nobody knows it. Raises StoreUnavailable when awaited."""
        future: asyncio.Future[Known | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(station_id, []).append(future)
        if not self._looking:
            self._look()
        return future

    def _look(self) -> None:
        asked, self._asked = self._asked, {}
        looking = self._store.read(lambda books: books.stations.at_the_door(asked.keys()))
        self._looking = True
        looking.add_done_callback(partial(self._found, asked))

    def _found(
        self, asked: dict[str, list["asyncio.Future[Known | None]"]], looked: "asyncio.Future[dict[str, Known]]"
    ) -> None:
        self._looking = False
        error = asyncio.CancelledError() if looked.cancelled() else looked.exception()
        for station_id, futures in asked.items():
            for future in futures:
                if future.done():
                    continue
                if error is None:
                    future.set_result(looked.result().get(station_id))
                elif isinstance(error, asyncio.CancelledError):
                    future.cancel()
                else:
                    future.set_exception(error)
        if self._asked:
            self._look()
