"""Lists of stations and tokens in CSV, as SteVe's tables are exported or as somebody wrote them, read into bodies.

Guarantees
* Columns are known by name, in any order, by ours or by SteVe's names (`ocpp_tag`, `charge_box`); others are passed
  over.
* A line that can't be is said with its number; nothing is sent before all lines were read.
* A time without a zone is UTC. SteVe's `max_active_transaction_count` of 0 means blocked.
* A password that is kept as a hash (bcrypt) is none that a station could show: it is given as None, not as a password.

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
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from forecourt.domain.station import RegistrationStatus
from forecourt.domain.token import AuthorizationStatus

W = TypeVar("W", bound=StrEnum)

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


class ImportFailed(Exception):  # noqa: N818
    """The list can't be read; the sentence names the line."""


def read_tokens(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Values and bodies of tokens. Raises ImportFailed."""
    found = []
    for number, row in _rows(text, _TOKEN, "value"):
        body: dict[str, Any] = {name: row[name] for name in ("group", "note") if name in row}
        if "expires_at" in row:
            body["expires_at"] = _instant(number, row["expires_at"])
        blocked = row.get("blocked", "").lower() in _YES or row.get("most") == "0"
        standing = _word(number, row.get("standing", AuthorizationStatus.ACCEPTED), AuthorizationStatus)
        body["standing"] = AuthorizationStatus.BLOCKED if blocked else standing
        found.append((row["value"], body))
    return found


def read_stations(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Identities and what else is said of stations: `name`, `registration`, `password`. Raises ImportFailed."""
    found = []
    for number, row in _rows(text, _STATION, "id"):
        body: dict[str, Any] = {"name": row["name"]} if "name" in row else {}
        if "registration" in row:
            body["registration"] = _word(number, row["registration"], RegistrationStatus)
        if "password" in row:
            body["password"] = None if row["password"].startswith(_HASHES) else row["password"]
        found.append((row["id"], body))
    return found


def _rows(text: str, fields: dict[str, tuple[str, ...]], needed: str) -> list[tuple[int, dict[str, str]]]:
    text = text.removeprefix("\ufeff")
    try:
        dialect: Any = csv.Sniffer().sniff(text.partition("\n")[0], ",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.reader(io.StringIO(text), dialect)
    heads = [head.strip().lower() for head in next(reader, [])]
    places: dict[str, int] = {}
    for field, names in fields.items():
        known = [heads.index(name) for name in names if name in heads]
        if known:
            places[field] = known[0]
    if needed not in places:
        raise ImportFailed(f"line 1: a column is missing; one of {', '.join(fields[needed])}")
    found: list[tuple[int, dict[str, str]]] = []
    seen: dict[str, int] = {}
    for cells in reader:
        number = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        row = {field: cells[place].strip() for field, place in places.items() if place < len(cells)}
        row = {field: cell for field, cell in row.items() if cell.lower() not in _NOTHING}
        if needed not in row:
            raise ImportFailed(f"line {number}: {heads[places[needed]]} is empty")
        if row[needed] in seen:
            raise ImportFailed(f"line {number}: {row[needed]!r} is in line {seen[row[needed]]} already")
        seen[row[needed]] = number
        found.append((number, row))
    return found


def _instant(number: int, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ImportFailed(f"line {number}: {text!r} is no time such as 2026-12-31 23:59:59") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _word(number: int, text: str, known: type[W]) -> W:
    for word in known:
        if word.lower() == text.lower():
            return word
    raise ImportFailed(f"line {number}: {text!r} is none of {', '.join(known)}")
