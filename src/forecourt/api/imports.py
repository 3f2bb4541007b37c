"""`/imports`: tokens and stations from a list in CSV, by the columns that `csms.imports` knows.

Guarantees
* All lines are looked at by the rules of `/tokens` and `/stations` before anything is entered: a list with a line that
  can't be enters nothing, and each such line is named with the field.
* `dry_run` answers the same, and enters nothing.
* Tokens that are there are replaced; stations that are there stay as they are. A password that was kept as a hash is
  passed over, and said to be.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import Asked
from forecourt.api.problems import FieldError, Refused, documented, explain
from forecourt.api.stations import CredentialsBody, StationBody
from forecourt.api.tokens import TokenBody
from forecourt.csms import authorization, imports, stations
from forecourt.csms.authorization import TokenFields
from forecourt.csms.errors import Invalid
from forecourt.csms.imports import Complaint, Found
from forecourt.csms.ports import Context
from forecourt.csms.stations import StationFields

T = TypeVar("T")

LARGEST: Final = 8 * 1024 * 1024
"""Of a body, in bytes: some hundred thousand lines."""
AT_ONCE: Final = 200
"""Entered in one unit of work: more would keep stations waiting."""
SAID: Final = 100
"""So many complaints; whoever mends those comes again."""


class ImportBody(Asked, frozen=True, kw_only=True):
    """A list in CSV, its columns by name in the first line; commas, semicolons or tabs."""

    csv: Annotated[str, Meta(min_length=1)]
    dry_run: bool = False
    """Look at it only."""


class ImportNote(msgspec.Struct, frozen=True, kw_only=True):
    """Something of a line that was passed over."""

    line: int
    field: str
    message: str


class ImportResource(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a list, or would."""

    dry_run: bool
    rows: int
    """Lines with something in them, the first aside."""
    entered: int
    """Of tokens with those that were replaced."""
    known: tuple[str, ...]
    """Those that were there before."""
    notes: tuple[ImportNote, ...]


@post(
    "/tokens",
    status_code=200,
    summary="Enter tokens from a list",
    description="Columns: `value`, and where you like `expires_at`, `group`, `note`, `standing`; or those of SteVe's "
    "table `ocpp_tag`. A line that can't be is refused with 422, and nothing is entered.",
    request_max_body_size=LARGEST,
    responses=documented(408, 413, 415),
)
async def import_tokens(context: CallerContext, data: JSONBody[ImportBody]) -> ImportResource:
    found = imports.read_tokens(data.csv)
    entries = _looked_at(found, _token)
    known = await _each([value for value, _ in entries], lambda part: imports.known_tokens(context, part))
    if not data.dry_run:
        await _each(entries, lambda part: imports.enter_tokens(context, part))
    return ImportResource(dry_run=data.dry_run, rows=len(entries), entered=len(entries), known=tuple(known), notes=())


@post(
    "/stations",
    status_code=200,
    summary="Enter stations from a list",
    description="Columns: `id`, and where you like `name`, `registration`, `password`; or those of SteVe's table "
    "`charge_box`. A line that can't be is refused with 422, and nothing is entered.",
    request_max_body_size=LARGEST,
    responses=documented(408, 413, 415),
)
async def import_stations(context: CallerContext, data: JSONBody[ImportBody]) -> ImportResource:
    found = imports.read_stations(data.csv)
    entries = _looked_at(found, lambda fields: _station(context, fields))
    known = set(await _each([one[0] for one in entries], lambda part: imports.known_stations(context, part)))
    fresh = [one for one in entries if one[0] not in known]
    entered = len(fresh)
    if not data.dry_run:
        hashed = [(name, fields, await _hash(password)) for name, fields, password in fresh]
        entered = len(await _each(hashed, lambda part: imports.enter_stations(context, part)))
    return ImportResource(
        dry_run=data.dry_run,
        rows=len(entries),
        entered=entered,
        known=tuple(one[0] for one in entries if one[0] in known),
        notes=tuple(
            ImportNote(line=row.line, field="password", message="is a hash, which no station can show: set another one")
            for row in found.rows
            if row.fields.get("password", "") is None and row.fields["id"] not in known
        ),
    )


def _token(fields: dict[str, Any]) -> tuple[str, TokenFields]:
    body = msgspec.convert({name: fields[name] for name in fields if name != "value"}, TokenBody)
    made = msgspec.convert(body, TokenFields, from_attributes=True)
    authorization.check_token(fields["value"], made)
    return fields["value"], made


def _station(context: Context, fields: dict[str, Any]) -> tuple[str, StationFields, str | None]:
    body = msgspec.convert({name: fields[name] for name in fields if name != "password"}, StationBody)
    stations.check_identity(body.id)
    password: str | None = fields.get("password")
    if password is not None:
        msgspec.convert({"password": password}, CredentialsBody)
        stations.check_password(context, password)
    return body.id, msgspec.convert(body, StationFields, from_attributes=True), password


async def _hash(password: str | None) -> str | None:
    return None if password is None else await asyncio.to_thread(stations.hash_password, password.encode())


def _looked_at(found: Found, entry: Callable[[dict[str, Any]], T]) -> list[T]:
    """What is to be entered. Raises Refused, naming each line that can't be."""
    made, complaints = [], list(found.complaints)
    for row in found.rows:
        try:
            made.append(entry(row.fields))
        except msgspec.ValidationError as error:
            complaints.append(Complaint(row.line, *explain(str(error))))
        except Invalid as error:
            complaints.append(Complaint(row.line, error.field, str(error).removeprefix(f"{error.field}: ")))
    if complaints:
        complaints.sort(key=lambda one: one.line)
        first = complaints[0]
        raise Refused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"line {first.line}: {first.field}: {first.message}"
            + (f"; and {len(complaints) - 1} more" if len(complaints) > 1 else "")
            + "; nothing was entered",
            errors=tuple(
                FieldError(field=f"line {one.line}: {one.field}", message=one.message) for one in complaints[:SAID]
            ),
        )
    return made


async def _each(entries: Sequence[T], step: Callable[[Sequence[T]], Awaitable[list[Any]]]) -> list[Any]:
    parts = [entries[first : first + AT_ONCE] for first in range(0, len(entries), AT_ONCE)]
    return [one for part in parts for one in await step(part)]


router = Router("/imports", route_handlers=[import_tokens, import_stations], tags=["Imports"])
