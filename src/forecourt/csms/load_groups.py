"""Load groups: entered, changed, removed, read. What keeps their limits is `group_keeper`.

Guarantees
* A name is one group's within an organisation. A group is part of at most one other, and never of itself.
* What a group's members hold when it is removed or switched off stays with them until its lease ends; then they hold
  their fallback.
"""

from datetime import datetime
from typing import Any

import msgspec

from forecourt.csms import published
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.group_records import GroupMember, LoadGroup
from forecourt.csms.group_terms import GroupLimit, LimitPoint, SignalPoint
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page

MOST_GROUPS = 10_000


class GroupFields(msgspec.Struct, frozen=True, kw_only=True):
    """What is entered of a group."""

    name: str
    terms: GroupLimit
    members: tuple[GroupMember, ...] = ()
    parent_number: int | None = None
    active: bool = True


async def create_group(context: Context, fields: GroupFields) -> LoadGroup:
    """Raises Conflict, Invalid."""
    at = context.clock.now().at

    def store(books: Books) -> LoadGroup:
        _check(books, context, fields, None)
        group = books.groups.load_groups.add(at, organisation_id=context.organisation_id, **_columns(fields))
        tell(books, group, at)
        return group

    return await context.store.write(store)


async def replace_group(context: Context, number: int, fields: GroupFields) -> LoadGroup:
    """Raises NotFound, Conflict, Invalid."""
    at = context.clock.now().at

    def store(books: Books) -> LoadGroup:
        found(books, context.organisation_id, number)
        _check(books, context, fields, number)
        books.groups.load_groups.change(number, at, **_columns(fields))
        group = found(books, context.organisation_id, number)
        tell(books, group, at)
        return group

    return await context.store.write(store)


async def put_series(
    context: Context,
    number: int,
    *,
    series: tuple[LimitPoint, ...] | None,
    signal: tuple[SignalPoint, ...] | None,
) -> LoadGroup:
    """Other limits over time, or another signal. Raises NotFound, Invalid."""
    at = context.clock.now().at
    given = {name: points for name, points in (("series", series), ("signal", signal)) if points is not None}

    def store(books: Books) -> LoadGroup:
        group = found(books, context.organisation_id, number)
        try:
            terms = msgspec.structs.replace(group.terms, **given)
        except ValueError as error:
            field, _, words = str(error).partition(": ")
            raise Invalid(field, words) from error
        books.groups.load_groups.change(number, at, terms=terms)
        group = found(books, context.organisation_id, number)
        tell(books, group, at)
        return group

    return await context.store.write(store)


async def remove_group(context: Context, number: int) -> None:
    """Raises NotFound; Conflict while others are part of it."""
    at = context.clock.now().at

    def store(books: Books) -> None:
        group = found(books, context.organisation_id, number)
        if books.groups.load_groups.find({"parent_number": number}, limit=1):
            raise Conflict(f"other groups are part of load group {number}")
        books.groups.load_groups.remove(number)
        tell(books, msgspec.structs.replace(group, active=False, status=None), at)

    await context.store.write(store)


async def get_group(context: Context, number: int) -> LoadGroup:
    """Raises NotFound."""
    return await context.store.read(lambda books: found(books, context.organisation_id, number))


async def list_groups(context: Context, *, cursor: str | None = None, limit: int = 50) -> Page[LoadGroup]:
    """Newest first. Raises Invalid."""
    before = page_start(cursor)

    def query(books: Books) -> list[LoadGroup]:
        where = {"organisation_id": context.organisation_id}
        return books.groups.load_groups.find(where, before=before, limit=limit + 1)

    return page_of(await context.store.read(query), limit, lambda group: str(group.number))


def found(books: Books, organisation_id: int, number: int) -> LoadGroup:
    """Raises NotFound."""
    group = books.groups.load_groups.get(organisation_id, number)
    if group is None:
        raise NotFound("load group", number)
    return group


def tell(books: Books, group: LoadGroup, at: datetime) -> None:
    """Publish it."""
    body = published.LoadGroupBody(
        number=group.number,
        name=group.name,
        active=group.active,
        parent_number=group.parent_number,
        status=group.status,
    )
    books.events.append(group.organisation_id, published.LOAD_GROUP_UPDATED, at, None, body)


def _columns(fields: GroupFields) -> dict[str, Any]:
    return {**{name: getattr(fields, name) for name in fields.__struct_fields__}, "status": None}


def _check(books: Books, context: Context, fields: GroupFields, number: int | None) -> None:
    organisation_id = context.organisation_id
    groups = {
        group.number: group
        for group in books.groups.load_groups.find({"organisation_id": organisation_id}, limit=MOST_GROUPS)
    }
    if any(group.name == fields.name and group.number != number for group in groups.values()):
        raise Conflict(f"another load group has the name {fields.name!r}")
    above = fields.parent_number
    seen: set[int] = set() if number is None else {number}
    while above is not None:
        if above in seen:
            raise Invalid("parent_number", "makes the group part of itself")
        if above not in groups:
            raise Invalid("parent_number", f"names no load group: {above}")
        seen.add(above)
        above = groups[above].parent_number
    for index, member in enumerate(fields.members):
        path = f"members[{index}]"
        if member.station_id is not None and books.stations.get(organisation_id, member.station_id) is None:
            raise Invalid(f"{path}.station_id", f"names no station: {member.station_id!r}")
        if member.location_id is not None and books.stations.location(organisation_id, member.location_id) is None:
            raise Invalid(f"{path}.location_id", f"names no location: {member.location_id}")
