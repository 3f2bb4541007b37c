"""Lists in pages, newest first: the cursor is the key of the last item given."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from forecourt.csms.errors import Invalid
from forecourt.csms.records import Page

T = TypeVar("T")


def page_start(cursor: str | None) -> int | None:
    """The key that a page comes after. Raises Invalid."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise Invalid("cursor", "is not one that a list has given")
    return int(cursor)


def page_of(found: Sequence[T], limit: int, key: Callable[[T], str]) -> Page[T]:
    """A page out of up to `limit` + 1 items that were found."""
    if len(found) <= limit:
        return Page(tuple(found))
    items = tuple(found[:limit])
    return Page(items, key(items[-1]))
