"""Lists of stations and tokens in CSV, as SteVe's tables are exported or as somebody wrote them: read, and entered.

Guarantees
* Columns are known by name, in any order, by ours or by SteVe's names (`ocpp_tag`, `charge_box`); others are passed
  over.
* All of a list is read, whatever is wrong with it: each complaint names the line and the field.
* A time without a zone is UTC. SteVe's `max_active_transaction_count` of 0 means blocked.
* A password that is kept as a hash (bcrypt) is none that a station could show: it is given as None, not as a password.
* What is entered together is one unit of work.

=========================  ==========================================
field                      columns
=========================  ==========================================
token: value               value, id_tag, idtag, token, uid
token: expires_at          expires_at, expiry_date, expiry
token: group               group, parent_id_tag, parent
token: note                note, description, name
token: standing            standing, status; blocked, and the above
station: id                id, charge_box_id, chargeboxid, station_id
station: name              name, description, note
station: registration      registration, registration_status
station: password          password, auth_password
=========================  ==========================================
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from forecourt.csms.authorization import TokenFields
from forecourt.csms.local_list_books import tokens_changed
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Station
from forecourt.csms.stations import StationFields, add_station
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.token import AuthorizationStatus

_TOKEN: Final = {
    "value": ("value", "id_tag", "idtag", "token", "uid"),
    "expires_at": ("expires_at", "expiry_date", "expiry"),
    "group": ("group", "parent_id_tag", "parent"),
    "note": ("note", "description", "name"),
    "standing": ("standing", "status"),
    "blocked": ("blocked",),
    "most": ("max_active_transaction_count",),
}
_STATION: Final = {
    "id": ("id", "charge_box_id", "chargeboxid", "station_id"),
    "name": ("name", "description", "note"),
    "registration": ("registration", "registration_status"),
    "password": ("password", "auth_password"),
}
_HASHES: Final = ("$2a$", "$2b$", "$2y$", "{bcrypt}")
_NOTHING: Final = frozenset({"", "null", "\\n", "none"})
_YES: Final = frozenset({"1", "true", "yes", "t"})


class Complaint(msgspec.Struct, frozen=True):
    """What is wrong in a line."""

    line: int
    field: str
    message: str


class Row(msgspec.Struct, frozen=True):
    """What a line says, by the names of our fields; what it doesn't say is not there."""

    line: int
    fields: dict[str, Any]


class Found(msgspec.Struct, frozen=True):
    """A list that was read. With complaints, `rows` has only lines without."""

    rows: list[Row] = []
    complaints: list[Complaint] = []


def read_tokens(text: str) -> Found:
    """Tokens by their `value`."""
    found = Found()
    for row in _rows(text, _TOKEN, "value", found):
        cells = row.fields
        fields: dict[str, Any] = {name: cells[name] for name in ("value", "group", "note") if name in cells}
        if "expires_at" in cells:
            fields["expires_at"] = _instant(row.line, cells["expires_at"], found)
        blocked = cells.get("blocked", "").lower() in _YES or cells.get("most") == "0"
        standing = cells.get("standing", AuthorizationStatus.ACCEPTED)
        fields["standing"] = _word(row.line, "standing", standing, AuthorizationStatus, found)
        if blocked:
            fields["standing"] = AuthorizationStatus.BLOCKED
        _keep(Row(row.line, fields), found)
    return found


def read_stations(text: str) -> Found:
    """Stations by their `id`, with `name`, `registration` and `password` (None: a hash)."""
    found = Found()
    for row in _rows(text, _STATION, "id", found):
        fields = dict(row.fields)
        if "registration" in fields:
            registration = _word(row.line, "registration", fields["registration"], RegistrationStatus, found)
            fields["registration"] = registration
        if fields.get("password", "").startswith(_HASHES):
            fields["password"] = None
        _keep(Row(row.line, fields), found)
    return found


def _keep(row: Row, found: Found) -> None:
    if not (found.complaints and found.complaints[-1].line == row.line):
        found.rows.append(row)


def _rows(text: str, fields: dict[str, tuple[str, ...]], needed: str, found: Found) -> Iterator[Row]:
    text = text.removeprefix("\ufeff")
    try:
        dialect: Any = csv.Sniffer().sniff(text.partition("\n")[0], ",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.reader(io.StringIO(text, newline=""), dialect)
    try:
        heads = [head.strip().lower() for head in next(reader, [])]
        places: dict[str, int] = {}
        for field, names in fields.items():
            known = [heads.index(name) for name in names if name in heads]
            if known:
                places[field] = known[0]
        if needed not in places:
            message = f"a column is missing; one of {', '.join(fields[needed])}"
            found.complaints.append(Complaint(1, needed, message))
            return
        seen: dict[str, int] = {}
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            row = {field: cells[place].strip() for field, place in places.items() if place < len(cells)}
            row = {field: cell for field, cell in row.items() if cell.lower() not in _NOTHING}
            if needed not in row:
                found.complaints.append(Complaint(line, needed, "is empty"))
            elif row[needed] in seen:
                message = f"{row[needed]!r} is in line {seen[row[needed]]} already"
                found.complaints.append(Complaint(line, needed, message))
            else:
                seen[row[needed]] = line
                yield Row(line, row)
    except csv.Error as error:
        found.complaints.append(Complaint(reader.line_num, "line", f"is no CSV: {error}"))


def _instant(line: int, text: str, found: Found) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        found.complaints.append(Complaint(line, "expires_at", f"{text!r} is no time such as 2026-12-31 23:59:59"))
        return None


def _word(line: int, field: str, text: str, known: type[StrEnum], found: Found) -> StrEnum | None:
    for word in known:
        if word.lower() == text.lower():
            return word
    found.complaints.append(Complaint(line, field, f"{text!r} is none of {', '.join(known)}"))
    return None


# Into the books


async def enter_tokens(context: Context, entries: Sequence[tuple[str, TokenFields]]) -> list[str]:
    """Enter tokens that were checked (`authorization.check_token`), replacing those that are there; give all values."""
    now = context.clock.now().at

    def store(books: Books) -> list[str]:
        for value, fields in entries:
            books.tokens.upsert(context.organisation_id, value, msgspec.structs.asdict(fields), now)
        tokens_changed(books, context.organisation_id, now)
        return [value for value, _ in entries]

    return await context.store.write(store)


async def known_tokens(context: Context, values: Sequence[str]) -> list[str]:
    """Those of these values that are entered."""
    return await context.store.read(
        lambda books: [one for one in values if books.tokens.get(context.organisation_id, one) is not None]
    )


async def enter_stations(context: Context, entries: Sequence[tuple[str, StationFields, str | None]]) -> list[Station]:
    """Enter those that aren't there yet, each with the hash of its password, and give them.

    Identities were checked before (`stations.check_identity`). Raises Invalid for another field.
    """
    now = context.clock.now().at

    def store(books: Books) -> list[Station]:
        made = []
        for station_id, fields, password_hash in entries:
            station = add_station(books, context, station_id, fields, now)
            if station is not None:
                books.stations.set_password_hash(station.number, password_hash)
                made.append(station)
        return made

    return await context.store.write(store)


async def known_stations(context: Context, identities: Sequence[str]) -> list[str]:
    """Those of these identities that are taken, in any organisation."""
    return await context.store.read(
        lambda books: [one for one in identities if books.stations.by_identity(one) is not None]
    )
