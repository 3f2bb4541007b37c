"""Changing a station's password over the air (OCPP 1.6: AuthorizationKey; OCPP 2.x: BasicAuthPassword, A01).

Guarantees
* From before the station is asked until it has come back with the new password, both count: whatever is lost on the
  way, the station gets in.
* Once it has come back with the new one, only that counts. A station that refused, or never got it, keeps the old one,
  and the new one counts no more (security white paper A01.FR.04).
* The new password is random, and another one for each station (A01.FR.06, FR.07), kept as a hash (FR.08), and masked
  wherever the message that carried it is kept (FR.09).
"""

import secrets
from datetime import timedelta
from typing import Final

from forecourt.csms import commands, stations
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.errors import Conflict, NotFound
from forecourt.csms.people_records import Rotation, RotationState
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Station
from forecourt.domain.requests import SetVariables
from forecourt.domain.variable import VariableRef, VariableSetting

PASSWORD: Final = VariableRef("SecurityCtrlr", "BasicAuthPassword")
_OCTETS: Final = 20
_UNSENT: Final = timedelta(seconds=60)
"""A change whose command was never made, because the process ended in between, fails after this."""

_FAILED: Final = frozenset({CommandState.REJECTED, CommandState.CALL_ERROR, CommandState.OFFLINE, CommandState.EXPIRED})


async def rotate(context: Context, station_id: str) -> tuple[Rotation, Command]:
    """Give the station a new password that nobody else learns.

    Raises:
        NotFound: the station.
        Conflict: it isn't connected, has no password yet, or a change is under way.
    """
    password = secrets.token_bytes(_OCTETS).hex()
    hashed = stations.hash_password(password.encode())
    now = context.clock.now().at

    def begin(books: Books) -> Station:
        station = stations.find_station(books, context.organisation_id, station_id)
        if not station.connected:
            raise Conflict("the station isn't connected, and can't be told a new password")
        if not station.has_password:
            raise Conflict("the station has no password: its first one is entered, as /credentials, on both sides")
        known = books.people.rotations.get(station.number)
        if known is not None and known[0].state is RotationState.OFFERED:
            raise Conflict("a change of the password is under way")
        if known is not None and known[0].state is RotationState.TAKEN:
            raise Conflict("the station has a new password, and hasn't come back with it yet")
        rotation = Rotation(
            station_number=station.number,
            organisation_id=station.organisation_id,
            state=RotationState.OFFERED,
            created_at=now,
            updated_at=now,
        )
        books.people.rotations.put(rotation, hashed)
        return station

    station = await context.store.write(begin)
    request = SetVariables(settings=(VariableSetting(PASSWORD, password),))
    command = await commands.issue(context, station_id, request)
    rotation = Rotation(
        station_number=station.number,
        organisation_id=station.organisation_id,
        state=RotationState.OFFERED,
        command_id=command.id,
        created_at=now,
        updated_at=now,
    )

    def link(books: Books) -> None:
        known = books.people.rotations.get(station.number)
        if known is not None and known[0].state is RotationState.OFFERED:
            books.people.rotations.put(rotation, hashed)

    await context.store.write(link)
    return rotation, command


async def get_rotation(context: Context, station_id: str) -> Rotation:
    """The last change of a station's password. Raises NotFound."""

    def query(books: Books) -> Rotation:
        station = stations.find_station(books, context.organisation_id, station_id)
        known = books.people.rotations.get(station.number)
        if known is None:
            raise NotFound("change of the password of station", station_id)
        return known[0]

    return await context.store.read(query)


def new_password_hash(books: Books, station_number: int) -> str | None:
    """The hash of the password that counts besides the station's, while a change is under way."""
    known = books.people.rotations.get(station_number)
    if known is None or known[0].state not in {RotationState.OFFERED, RotationState.TAKEN}:
        return None
    return known[1]


async def came_back(context: Context, station_number: int, password_hash: str) -> None:
    """The station has shown the new password: from now on it is the one."""
    now = context.clock.now().at

    def store(books: Books) -> None:
        if new_password_hash(books, station_number) == password_hash:
            books.stations.set_password_hash(station_number, password_hash)
            books.people.rotations.move(station_number, RotationState.DONE, None, now)

    await context.store.write(store)


async def turn(context: Context) -> int:
    """Look what became of what stations were asked; gives how many changes are under way."""
    for rotation in await context.store.read(lambda books: books.people.rotations.open()):
        if rotation.state is RotationState.OFFERED:
            await _follow(context, rotation)
    return 0


async def _follow(context: Context, rotation: Rotation) -> None:
    now = context.clock.now().at

    def store(books: Books) -> None:
        known = books.people.rotations.get(rotation.station_number)
        if known is None or known[0].state is not RotationState.OFFERED:
            return
        number = rotation.station_number
        if known[0].command_id is None:
            if now - rotation.created_at > _UNSENT:
                books.people.rotations.move(number, RotationState.FAILED, "the station was never asked", now)
            return
        command = books.commands.get(rotation.organisation_id, known[0].command_id)
        if command is None or not command.state.final:
            return
        _mask(books, command)
        if command.state in _FAILED:
            detail = command.detail or command.error_description or f"the station's answer: {command.state}"
            books.people.rotations.move(number, RotationState.FAILED, detail, now)
        else:
            unsure = "no answer came: it may have either" if command.state is CommandState.TIMEOUT else None
            books.people.rotations.move(number, RotationState.TAKEN, unsure, now)

    await context.store.write(store)


def _mask(books: Books, command: Command) -> None:
    request = commands.request_of(command)
    if isinstance(request, SetVariables):
        for setting in request.settings:
            books.people.mask(command, setting.value)
