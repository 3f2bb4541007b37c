"""What can be asked, as plain values: one description of each operation serves both clients.

Guarantees
* An operation is decoded to its type; a list gives items page by page.
* What may be repeated says so: reading, replacing and removing, and whatever bears an idempotency key. Commands always
  bear one, so that a lost answer never asks a station twice.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec

PREFIX: Final = "/api/v1"

T = TypeVar("T")


class Operation(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Something to ask for."""

    method: str
    path: str
    kind: type[T]
    params: dict[str, str] = {}
    body: bytes | None = None
    headers: dict[str, str] = {}
    as_result: tuple[int, ...] = ()
    """Statuses besides 2xx that bear the result."""

    @property
    def repeatable(self) -> bool:
        """Whether it does no harm twice."""
        return self.method in {"GET", "PUT", "DELETE"} or "idempotency-key" in self.headers


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A stretch of a list."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class Listing(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A list, to be had page by page."""

    path: str
    kind: type[T]
    params: dict[str, str] = {}

    def page(self, cursor: str | None) -> Operation[Page[T]]:
        """The page at `cursor`; None: the first."""
        params = self.params if cursor is None else {**self.params, "cursor": cursor}
        return Operation(method="GET", path=self.path, kind=Page[self.kind], params=params)  # type: ignore[name-defined]


def path_of(*parts: str | int) -> str:
    """A path with names in it, whatever is in the names."""
    return PREFIX + "".join("/" + quote(str(part), safe="") for part in parts)


def params_of(**values: Any) -> dict[str, str]:
    """Query parameters; None leaves one out."""
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def get(kind: type[T], *parts: str | int, **params: Any) -> Operation[T]:
    """Read something."""
    return Operation(method="GET", path=path_of(*parts), kind=kind, params=params_of(**params))


def listing(kind: type[T], *parts: str | int, **params: Any) -> Listing[T]:
    """Read a list."""
    return Listing(path=path_of(*parts), kind=kind, params=params_of(**params))


def change(method: str, kind: type[T], *parts: str | int, body: Any = None) -> Operation[T]:
    """Write something; `body` None: without one."""
    text = None if body is None else msgspec.json.encode(body)
    return Operation(method=method, path=path_of(*parts), kind=kind, body=text)


def given(**fields: Any) -> dict[str, Any]:
    """A body of those fields that were given; `...` leaves one out."""
    return {name: value for name, value in fields.items() if value is not ...}


def with_headers(operation: Operation[T], headers: Mapping[str, str]) -> Operation[T]:
    """The same with more headers."""
    return msgspec.structs.replace(operation, headers={**operation.headers, **headers})
