"""What the books know of local lists, and what follows in them from commands and from changes of the tokens.

Guarantees
* Whoever sends a list, and however (typed, raw), what the station says of it is noted in the unit that learns of it.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from forecourt.csms import published
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.ports import Books
from forecourt.csms.resource_records import ListState, LocalList
from forecourt.domain.requests import LocalListVersionAnswer, RequestAnswer, RequestStatus, SendLocalList

_ALL: Final = 1_000_000


def known_list(books: Books, station_number: int) -> LocalList | None:
    """The list of a station."""
    found = books.resources.lists.find({"station_number": station_number})
    return found[0] if found else None


def change_list(books: Books, known: LocalList, at: datetime, **columns: Any) -> LocalList:
    """Set columns, and tell of it where they are others."""
    after = msgspec.structs.replace(known, updated_at=at, **columns)
    books.resources.lists.change(known.number, at, **columns)
    if msgspec.structs.replace(after, updated_at=known.updated_at) != known:
        body = published.LocalListBody(local_list=after)
        books.events.append(known.organisation_id, published.LOCAL_LIST_UPDATED, at, known.station_id, body)
    return after


def tokens_changed(books: Books, organisation_id: int, at: datetime) -> None:
    """The tokens are others: what follows them is to be looked at again."""
    # Those that wait already needn't be looked at; those that keep no list are asked again at their next boot.
    settled = (ListState.SYNCHRONISED, ListState.FAILED)
    where = {"organisation_id": organisation_id, "follows_tokens": True, "state": settled}
    for known in books.resources.lists.find(where, limit=_ALL):
        books.resources.lists.change(known.number, at, state=ListState.PENDING)


def list_sent(books: Books, command: Command, request: SendLocalList, answer: object, at: datetime) -> None:
    """A list was sent, whoever asked for it."""
    known = known_list(books, command.station_number)
    if known is not None and command.state is CommandState.ACCEPTED:
        change_list(books, known, at, reported_version=request.version, reported_at=at)
    elif known is not None and isinstance(answer, RequestAnswer) and answer.outcome is RequestStatus.NOT_SUPPORTED:
        change_list(books, known, at, state=ListState.NOT_SUPPORTED, detail="the station says that it keeps no list")


def version_told(books: Books, command: Command, _request: object, answer: object, at: datetime) -> None:
    """A station said which version it has."""
    known = known_list(books, command.station_number)
    if known is not None and isinstance(answer, LocalListVersionAnswer):
        change_list(books, known, at, reported_version=answer.version, reported_at=at)
