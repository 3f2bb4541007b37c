"""The client that waits. See `forecourt.client`."""

import contextlib
import ssl
import time
from collections.abc import Iterator
from typing import Self, TypeVar

import httpx

from forecourt.client.errors import error_of
from forecourt.client.exchange import EventReader, arguments, headers_of, result_of, unreachable, wait_before_next
from forecourt.client.operations import Listing, Operation
from forecourt.client.types import Event

T = TypeVar("T")


class Client:
    """One server, one key. `with` it, or `close` it."""

    def __init__(self, url: str, key: str | None = None, *, tls: ssl.SSLContext | bool = True) -> None:
        """`url` as the server is reached, without `/api/v1`; `tls` trusts what the system does, or a context."""
        self._http = httpx.Client(base_url=url, headers=headers_of(key), verify=tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def do(self, operation: Operation[T], *, wait_s: float | None = None) -> T:
        """Its result; `wait_s`: of a command, wait for its end so long. Raises ApiError."""
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._http.request(**arguments(operation, wait_s))
            except httpx.TransportError as error:
                pause_s = wait_before_next(operation, attempt, None)
                if pause_s is None:
                    raise unreachable(error) from error
            else:
                again_s = None if response.is_success else wait_before_next(operation, attempt, response)
                if again_s is None:
                    return result_of(operation, response)
                pause_s = again_s
            time.sleep(pause_s)

    def all(self, listing: Listing[T]) -> Iterator[T]:
        """Every item, page by page. Raises ApiError."""
        cursor: str | None = None
        while True:
            page = self.do(listing.page(cursor))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def events(
        self, *, types: tuple[str, ...] | None = None, station_id: str | None = None, after: int | None = None
    ) -> Iterator[Event]:
        """What happens, as it happens, for ever: a lost connection is made again where it stopped.

        Raises:
            ApiError: the server refuses; a server that isn't there is waited for.
        """
        reader = EventReader(types, station_id, after)
        while True:
            with contextlib.suppress(httpx.TransportError):
                timeout = httpx.Timeout(15.0, read=60.0)
                with self._http.stream("GET", reader.path, params=reader.params, timeout=timeout) as response:
                    if 400 <= response.status_code < 500:
                        raise error_of(response.status_code, response.read())
                    if response.is_success:
                        for line in response.iter_lines():
                            yield from reader.line(line)
            time.sleep(reader.wait_s())
