"""Lists: newest first, in pages; the cursor of one page gives the next."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar.params import QueryParameter

from forecourt.csms.records import Page

R = TypeVar("R", bound=msgspec.Struct)
L = TypeVar("L", bound=msgspec.Struct)
T = TypeVar("T")

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=100, description="The `next_cursor` of the page before.")]
Filter = Annotated[str | None, QueryParameter(max_length=255)]

DEFAULT_LIMIT = 50


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all lists; each adds its `items`."""

    next_cursor: str | None = None
    """Gives the next page; null: this is the last."""


def listing(kind: type[L], page: Page[T], show: Callable[[T], Any]) -> L:
    """A page of records as a list of resources."""
    return kind(items=tuple(show(item) for item in page.items), next_cursor=page.next_cursor)


def shown(kind: type[R], record: msgspec.Struct, **changed: Any) -> R:
    """A record as a resource: the fields that the resource has, but for `changed`."""
    return kind(
        **{name: changed[name] if name in changed else getattr(record, name) for name in kind.__struct_fields__}
    )
