"""Local authorization lists: what a station shall have, what it has, and the way from one to the other (OCPP 1.6 §5.10,
§5.15, OCPP 2.0.1 chapter D).

Guarantees
* What is wished is kept as revisions; what a station took is known by the version it has, and never guessed: only a
  list whose version is one of ours, and is what the station says, is changed by differences. Any other, and one that
  answers VersionMismatch, is sent anew as a whole.
* A station that was cut off between the messages that one list takes has a version that is nobody's, and gets the
  whole; what those messages are is `local_list_messages`.
* A list that follows the tokens changes with them, a few seconds later; nothing is sent with `unsolicited_calls` off.
* At boot a station with a list is asked for its version.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.csms import commands
from forecourt.csms.command_records import Command, CommandOrigin, CommandState
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.local_list_books import change_list, known_list
from forecourt.csms.local_list_messages import Entries, messages
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ConnectedStation, Page, Token
from forecourt.csms.resource_records import ListState, LocalList, LocalListVersion
from forecourt.csms.stations import find_station
from forecourt.domain.requests import (
    GetLocalListVersion,
    ListUpdate,
    LocalListEntry,
    RequestAnswer,
    RequestStatus,
    SendLocalList,
)
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType
from forecourt.domain.variable import VariableRef

ITEMS_PER_MESSAGE: Final = VariableRef("LocalAuthListCtrlr", "ItemsPerMessage")
MOST_ENTRIES: Final = 100_000
LARGEST_VERSION: Final = 2**31 - 1
_TOKENS_AT_ONCE: Final = 1000
_AT_ONCE: Final = 50
"""Stations that are brought up to date at a time: one that is slow keeps nobody waiting."""
_TURN: Final = timedelta(minutes=5)
"""How long whoever sends a list has it to itself."""


class ListWithEntries(msgspec.Struct, frozen=True):
    """A list, and what it shall have."""

    local_list: LocalList
    entries: Entries


# For the API


async def put_list(context: Context, station_id: str, entries: Entries) -> ListWithEntries:
    """What the list shall be from now on. Raises NotFound, Invalid."""
    _check(entries)
    at = context.clock.now().at

    def store(books: Books) -> ListWithEntries:
        known = _list(books, context, station_id, at)
        return _wish(books, known, entries, at, follows_tokens=False)

    return await context.store.write(store)


async def follow_tokens(context: Context, station_id: str) -> ListWithEntries:
    """From now on the list is what the tokens are. Raises NotFound."""
    at = context.clock.now().at

    def store(books: Books) -> ListWithEntries:
        known = _list(books, context, station_id, at)
        return _wish(books, known, _of_tokens(books, context.organisation_id), at, follows_tokens=True)

    return await context.store.write(store)


async def get_list(context: Context, station_id: str) -> ListWithEntries:
    """Raises NotFound, for the list as well."""

    def query(books: Books) -> ListWithEntries:
        known = known_list(books, find_station(books, context.organisation_id, station_id).number)
        if known is None:
            raise NotFound("local list of station", station_id)
        return ListWithEntries(known, _entries(books, known))

    return await context.store.read(query)


async def forget_list(context: Context, station_id: str) -> None:
    """Wish for nothing any more; the station keeps what it has. To empty it, wish for no entries. Raises NotFound."""

    def store(books: Books) -> None:
        known = known_list(books, find_station(books, context.organisation_id, station_id).number)
        if known is None:
            raise NotFound("local list of station", station_id)
        for version in books.resources.list_versions.find({"station_number": known.station_number}):
            books.resources.list_versions.remove(version.number)
        books.resources.lists.remove(known.number)

    await context.store.write(store)


async def list_versions(
    context: Context, station_id: str, *, cursor: str | None = None, limit: int = 50
) -> Page[LocalListVersion]:
    """What was wished, newest first. Raises NotFound, Invalid."""
    before = page_start(cursor)

    def query(books: Books) -> list[LocalListVersion]:
        number = find_station(books, context.organisation_id, station_id).number
        return books.resources.list_versions.find({"station_number": number}, before=before, limit=limit + 1)

    return page_of(await context.store.read(query), limit, lambda version: str(version.number))


async def synchronise(context: Context, station_id: str) -> ListWithEntries:
    """Ask the station for its version, and bring its list to what is wished. Gives how that went.

    Raises:
        NotFound: the station, or its list.
        Conflict: it is under way already.
    """
    known = await get_list(context, station_id)
    if not await _claim(context, known.local_list):
        raise Conflict("the list is being sent already")
    await _synchronise(context, known.local_list, ask=True)
    return await get_list(context, station_id)


async def send_as_asked(
    context: Context, station_id: str, update: ListUpdate, entries: Entries, version: int | None
) -> SendLocalList:
    """The one message that a command asks for: its entries, or all that is wished; its version, or the next.

    Raises NotFound, Invalid.
    """

    def query(books: Books) -> SendLocalList:
        station = find_station(books, context.organisation_id, station_id)
        known = known_list(books, station.number)
        wished = entries
        if not wished and known is not None:
            wished = _entries(books, known)
        return SendLocalList(version=version or _next_version(known), update=update, entries=wished)

    request = await context.store.read(query)
    if request.fault is not None:
        raise Invalid("entries", request.fault)
    return request


# From time to time, and when a station has booted


async def booted(context: Context, station: ConnectedStation) -> None:
    """A station that has a list is asked whether it still has it."""
    known = await context.store.read(lambda books: known_list(books, station.number))
    if known is not None and await _claim(context, known):
        await _synchronise(context, known, ask=True)


async def keep(context: Context) -> int:
    """Send what is to be sent to whoever is connected; gives how many lists that were."""

    def query(books: Books) -> list[LocalList]:
        waiting = books.resources.lists.find({"state": ListState.PENDING})
        return [known for known in waiting if _reachable(books, known)]

    waiting = await context.store.read(query) if context.settings.unsolicited_calls else []
    slots = asyncio.Semaphore(_AT_ONCE)

    async def bring(known: LocalList) -> bool:
        its = msgspec.structs.replace(context, organisation_id=known.organisation_id)
        async with slots:
            if not await _claim(its, known):
                return False
            await _synchronise(its, known, ask=False)
            return True

    return sum(await asyncio.gather(*map(bring, waiting)))


# Inside: the books


def _list(books: Books, context: Context, station_id: str, at: datetime) -> LocalList:
    station = find_station(books, context.organisation_id, station_id)
    return known_list(books, station.number) or books.resources.lists.add(
        at, organisation_id=station.organisation_id, station_number=station.number, station_id=station.id
    )


def _wish(books: Books, known: LocalList, entries: Entries, at: datetime, *, follows_tokens: bool) -> ListWithEntries:
    if known.revision and entries == _entries(books, known):
        if known.follows_tokens != follows_tokens:
            known = change_list(books, known, at, follows_tokens=follows_tokens)
        return ListWithEntries(known, entries)
    revision = known.revision + 1
    books.resources.list_versions.add(
        at,
        organisation_id=known.organisation_id,
        station_number=known.station_number,
        revision=revision,
        entries=entries,
    )
    changes = {"revision": revision, "follows_tokens": follows_tokens, "state": ListState.PENDING, "detail": None}
    return ListWithEntries(change_list(books, known, at, **changes), entries)


def _version(books: Books, known: LocalList, revision: int | None) -> LocalListVersion | None:
    if revision is None:
        return None
    found = books.resources.list_versions.find({"station_number": known.station_number, "revision": revision})
    return found[0] if found else None


def _entries(books: Books, known: LocalList) -> Entries:
    version = _version(books, known, known.revision)
    return () if version is None else version.entries


def _of_tokens(books: Books, organisation_id: int) -> Entries:
    """Every token of the organisation, as it is judged; the oldest first."""
    tokens: list[Token] = []
    before: int | None = None
    while found := books.tokens.page(organisation_id, group=None, before=before, limit=_TOKENS_AT_ONCE):
        tokens += found
        before = found[-1].id
    return tuple(entry_of(token) for token in reversed(tokens) if token.type is not IdTokenType.NO_AUTHORIZATION)


def entry_of(token: Token) -> LocalListEntry:
    """A token as a list says it."""
    group = None if token.group is None else IdToken(token.group, IdTokenType.CENTRAL)
    info = IdTokenInfo(
        status=token.standing,
        expires_at=token.expires_at,
        group_id_token=group,
        charging_priority=token.charging_priority,
    )
    return LocalListEntry(IdToken(token.value, token.type), info)


def _check(entries: Entries) -> None:
    if len(entries) > MOST_ENTRIES:
        raise Invalid("entries", f"must have at most {MOST_ENTRIES} entries")
    fault = SendLocalList(version=1, update=ListUpdate.FULL, entries=entries).fault
    if fault is not None:
        raise Invalid("entries", fault)
    if any(entry.id_token_info and entry.id_token_info.status is AuthorizationStatus.UNKNOWN for entry in entries):
        raise Invalid("entries", "an entry says what the token is; Unknown is none of it")


def _reachable(books: Books, known: LocalList) -> bool:
    station = books.stations.by_number(known.station_number)
    return station is not None and station.connected


def _next_version(known: LocalList | None) -> int:
    if known is None:
        return 1
    largest = max(known.version or 0, known.reported_version or 0)
    return 1 if largest >= LARGEST_VERSION - MOST_ENTRIES else largest + 1


# Inside: the way there


async def _claim(context: Context, known: LocalList) -> bool:
    """Whether the list may be sent by us now, and by nobody else until it was."""
    at = context.clock.now().at

    def store(books: Books) -> bool:
        now = known_list(books, known.station_number)
        if now is None or (now.busy_until is not None and now.busy_until > at):
            return False
        books.resources.lists.change(now.number, at, busy_until=at + _TURN)
        return True

    return await context.store.write(store)


async def _synchronise(context: Context, known: LocalList, *, ask: bool) -> None:
    station_id = known.station_id
    try:
        if ask or known.reported_at is None:
            asked = await _ask(context, station_id, GetLocalListVersion())
            if asked.state is CommandState.REJECTED:
                await _end(context, known, ListState.NOT_SUPPORTED, "the station says that it keeps no list")
                return
            if asked.state is not CommandState.ACCEPTED:
                return
        for whole in (False, True):
            again = await _send(context, known.station_number, whole=whole)
            if not again:
                return
        await _end(context, known, ListState.FAILED, "the station doesn't take the list as a whole either")
    finally:
        at = context.clock.now().at
        await context.store.write(lambda books: books.resources.lists.change(known.number, at, busy_until=None))


async def _send(context: Context, station_number: int, *, whole: bool) -> bool:
    """Send what is missing; whether it is to be tried again as a whole."""
    at = context.clock.now().at

    def plan(books: Books) -> tuple[LocalList, Entries, list[SendLocalList]] | None:
        known = known_list(books, station_number)
        if known is None:
            return None
        if known.follows_tokens:
            known = _wish(books, known, _of_tokens(books, known.organisation_id), at, follows_tokens=True).local_list
        wished = _entries(books, known)
        has_it = known.version is not None and known.version == known.reported_version
        if has_it and known.synchronised_revision == known.revision and not whole:
            change_list(books, known, at, state=ListState.SYNCHRONISED, detail=None)
            return None
        base = None if whole or not has_it else _version(books, known, known.synchronised_revision)
        most = _items_per_message(books, station_number)
        return known, wished, messages(_next_version(known), None if base is None else base.entries, wished, most)

    planned = await context.store.write(plan)
    if planned is None:
        return False
    known, _, to_send = planned
    for message in to_send:
        command = await _ask(context, known.station_id, message)
        if command.state is CommandState.ACCEPTED:
            continue
        answer = commands.answer_of(command)
        word = answer.outcome if isinstance(answer, RequestAnswer) else None
        if word is RequestStatus.NOT_SUPPORTED:
            return False
        if message.update is ListUpdate.DIFFERENTIAL and not whole and command.state is CommandState.REJECTED:
            return True
        if command.state in {CommandState.REJECTED, CommandState.CALL_ERROR}:
            await _end(context, known, ListState.FAILED, f"the station says {word or command.error_code}")
        return False
    await _sent(context, known, to_send[-1].version)
    return False


async def _sent(context: Context, known: LocalList, version: int) -> None:
    at = context.clock.now().at

    def store(books: Books) -> None:
        now = known_list(books, known.station_number)
        wish = _version(books, known, known.revision)
        if now is None or wish is None:
            return
        books.resources.list_versions.change(wish.number, at, version=version)
        # The tokens may have changed meanwhile, and the wish with them.
        done = now.revision == known.revision and (
            not now.follows_tokens or _of_tokens(books, now.organisation_id) == wish.entries
        )
        state = ListState.SYNCHRONISED if done else ListState.PENDING
        changes = {"version": version, "synchronised_revision": known.revision, "state": state, "detail": None}
        change_list(books, now, at, **changes)

    await context.store.write(store)


async def _end(context: Context, known: LocalList, state: ListState, detail: str) -> None:
    at = context.clock.now().at

    def store(books: Books) -> None:
        now = known_list(books, known.station_number)
        if now is not None:
            change_list(books, now, at, state=state, detail=detail)

    await context.store.write(store)


async def _ask(context: Context, station_id: str, request: GetLocalListVersion | SendLocalList) -> Command:
    command = await commands.issue(context, station_id, request, origin=CommandOrigin.CSMS)
    return await commands.wait(context, command.id, command.timeout_s + context.settings.sweep_interval_s)


def _items_per_message(books: Books, station_number: int) -> int | None:
    for variable in books.stations.reported(station_number):
        if variable.ref == ITEMS_PER_MESSAGE and variable.value is not None and variable.value.isdecimal():
            return max(1, int(variable.value))
    return None
