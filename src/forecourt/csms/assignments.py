"""Charging profiles that are stored under a name, and assigned: sent in one form after the other until one is taken.

Guarantees
* An assignment is kept until it is installed, refused in every form, or removed: a station that is offline gets it when
  it is back. Every attempt is on record, with its form and what became of it; so it can be read which form worked.
* No form allows more than what was meant (`profile_forms`). Without `fall_back` only the form that was meant is sent.
* An attempt is entered before it is sent, by one process only.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec

from forecourt.csms import charging, commands
from forecourt.csms.command_records import Command, CommandOrigin, CommandState
from forecourt.csms.errors import Conflict, NotFound
from forecourt.csms.group_records import AssignmentState, Attempt, ProfileAssignment, StoredProfile
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.profile_forms import Form, evse_of, form_of, ladder, possible, put, said
from forecourt.csms.records import Page
from forecourt.csms.stations import find_station
from forecourt.domain.profile import ChargingProfile, ProfileCriteria
from forecourt.domain.requests import ClearChargingProfile, SetChargingProfile

_OPEN = (AssignmentState.PENDING, AssignmentState.SENT)
_NOT_HEARD = frozenset({CommandState.OFFLINE, CommandState.EXPIRED, CommandState.TIMEOUT})
_AT_ONCE = 500
_STATIONS_AT_ONCE = 50
"""One that is slow keeps nobody waiting."""
_ANSWER_S = 5.0
"""How long the next form waits for the answer to the one before, in the same turn."""


# Stored profiles


async def store_profile(context: Context, name: str, profile: ChargingProfile) -> StoredProfile:
    """Under a name. Raises Conflict, Invalid."""
    charging.check_profile(0, profile)
    at = context.clock.now().at

    def store(books: Books) -> StoredProfile:
        _free(books, context, name, None)
        return books.groups.stored_profiles.add(at, organisation_id=context.organisation_id, name=name, profile=profile)

    return await context.store.write(store)


async def replace_stored(context: Context, number: int, name: str, profile: ChargingProfile) -> StoredProfile:
    """What it has been assigned to keeps what it was. Raises NotFound, Conflict, Invalid."""
    charging.check_profile(0, profile)
    at = context.clock.now().at

    def store(books: Books) -> StoredProfile:
        _stored(books, context, number)
        _free(books, context, name, number)
        books.groups.stored_profiles.change(number, at, name=name, profile=profile)
        return _stored(books, context, number)

    return await context.store.write(store)


async def remove_stored(context: Context, number: int) -> None:
    """Raises NotFound."""

    def store(books: Books) -> None:
        _stored(books, context, number)
        books.groups.stored_profiles.remove(number)

    await context.store.write(store)


async def get_stored(context: Context, number: int) -> StoredProfile:
    """Raises NotFound."""
    return await context.store.read(lambda books: _stored(books, context, number))


async def list_stored(context: Context, *, cursor: str | None = None, limit: int = 50) -> Page[StoredProfile]:
    """Newest first. Raises Invalid."""
    before = page_start(cursor)
    where = {"organisation_id": context.organisation_id}
    found = await context.store.read(
        lambda books: books.groups.stored_profiles.find(where, before=before, limit=limit + 1)
    )
    return page_of(found, limit, lambda one: str(one.number))


# Assignments


async def assign(
    context: Context,
    station_id: str,
    evse_id: int,
    profile: ChargingProfile | None,
    *,
    stored_number: int | None = None,
    transaction_id: str | None = None,
    fall_back: bool = True,
) -> ProfileAssignment:
    """Let an EVSE have `profile`, or the stored one; it is sent at once. Raises NotFound, Invalid."""
    at = context.clock.now().at

    def store(books: Books) -> ProfileAssignment:
        station = find_station(books, context.organisation_id, station_id)
        meant = profile
        if meant is None:
            assert stored_number is not None
            meant = _stored(books, context, stored_number).profile
        meant = msgspec.structs.replace(
            meant, id=books.charging.next_profile_id(), transaction_id=transaction_id or meant.transaction_id
        )
        charging.check_profile(evse_id, meant)
        return books.groups.assignments.add(
            at,
            organisation_id=context.organisation_id,
            station_number=station.number,
            station_id=station.id,
            evse_id=evse_id,
            stored_number=stored_number,
            profile=meant,
            fall_back=fall_back,
        )

    made = await context.store.write(store)
    await _advance(context, made)
    return await get_assignment(context, made.number)


async def get_assignment(context: Context, number: int) -> ProfileAssignment:
    """Raises NotFound."""
    return await context.store.read(lambda books: _assignment(books, context, number))


async def list_assignments(
    context: Context,
    *,
    station_id: str | None = None,
    state: AssignmentState | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ProfileAssignment]:
    """Newest first. Raises NotFound for the station, Invalid."""
    before = page_start(cursor)

    def query(books: Books) -> list[ProfileAssignment]:
        where: dict[str, Any] = {"organisation_id": context.organisation_id}
        if station_id is not None:
            where["station_number"] = find_station(books, context.organisation_id, station_id).number
        if state is not None:
            where["state"] = state
        return books.groups.assignments.find(
            where, since=created_from, until=created_to, before=before, limit=limit + 1
        )

    return page_of(await context.store.read(query), limit, lambda one: str(one.number))


async def remove_assignment(context: Context, number: int) -> ProfileAssignment:
    """Take the profile off its station again. Raises NotFound."""
    at = context.clock.now().at

    def store(books: Books) -> ProfileAssignment:
        known = _assignment(books, context, number)
        books.groups.assignments.change(number, at, state=AssignmentState.REMOVED)
        return known

    known = await context.store.write(store)
    if known.attempts and known.state is not AssignmentState.REMOVED:
        criteria = ProfileCriteria(profile_id=known.profile.id)
        await commands.issue(context, known.station_id, ClearChargingProfile(criteria=criteria))
    return await get_assignment(context, number)


async def turn(context: Context) -> int:
    """Go on with what isn't over, once; gives how many that were."""
    waiting = await context.store.read(lambda books: books.groups.assignments.find({"state": _OPEN}, limit=_AT_ONCE))
    slots = asyncio.Semaphore(_STATIONS_AT_ONCE)

    async def go_on(known: ProfileAssignment) -> None:
        its = msgspec.structs.replace(context, organisation_id=known.organisation_id)
        async with slots:
            while (command_id := await _advance(its, known)) is not None:
                if not (await commands.wait(its, command_id, _ANSWER_S)).state.final:
                    break

    await asyncio.gather(*map(go_on, waiting))
    return len(waiting)


# Inside


async def _advance(context: Context, known: ProfileAssignment) -> str | None:
    """Note what became of the last attempt; if it is to be sent (again), send it. The command that does."""
    at = context.clock.now().at
    command_id = context.new_id()
    retry = timedelta(seconds=context.settings.groups.retry_s)

    def plan(books: Books) -> tuple[ProfileAssignment, Form] | None:
        now = books.groups.assignments.get(known.organisation_id, known.number)
        if now is None or now.state not in _OPEN:
            return None
        forms = _forms(books, now)
        attempts = list(now.attempts)
        tried = None if not attempts else attempts[-1]
        form = forms[0]
        if tried is not None and tried.outcome is None:
            command = books.commands.get(now.organisation_id, tried.command_id)
            if command is None or not command.state.final:
                return None
            attempts[-1] = msgspec.structs.replace(tried, outcome=command.state, detail=_words(command))
            if command.state is CommandState.ACCEPTED:
                _change(books, now, at, attempts, AssignmentState.INSTALLED, None)
                return None
            state = AssignmentState.PENDING
            if command.state not in _NOT_HEARD and _next(forms, tried) is None:
                state = AssignmentState.FAILED
            _change(books, now, at, attempts, state, None if state is AssignmentState.PENDING else "all were refused")
            if state is AssignmentState.FAILED or command.state in _NOT_HEARD:
                return None
            tried = attempts[-1]
        if tried is not None:
            unheard = tried.outcome in _NOT_HEARD
            following = Form(tried.purpose, tried.rate_unit, tried.stack_level) if unheard else _next(forms, tried)
            if following is None or (unheard and now.updated_at + retry > at):
                return None
            form = following
        station = books.stations.by_number(now.station_number)
        if station is None or not station.connected:
            return None
        attempt = Attempt(
            purpose=form.purpose, rate_unit=form.rate_unit, stack_level=form.stack_level, command_id=command_id
        )
        _change(books, now, at, [*attempts, attempt], AssignmentState.SENT, None)
        return now, form

    planned = await context.store.write(plan)
    if planned is None:
        return None
    meant, form = planned
    request = SetChargingProfile(evse_id=evse_of(meant.evse_id, form), profile=put(meant.profile, form))
    try:
        await commands.issue(context, meant.station_id, request, origin=CommandOrigin.CSMS, command_id=command_id)
    except NotFound:  # the station was taken out
        await context.store.write(
            lambda books: books.groups.assignments.change(meant.number, at, state=AssignmentState.REMOVED)
        )
        return None
    return command_id


def _forms(books: Books, known: ProfileAssignment) -> tuple[Form, ...]:
    meant = form_of(known.profile)
    if not known.fall_back:
        return (meant,)
    evses = {one.evse_id for one in books.stations.connectors(known.station_number) if one.evse_id > 0}
    says = said(books.stations.reported(known.station_number))
    forms = ladder(meant, says, single_evse=evses <= {known.evse_id or 1})
    return tuple(form for form in forms if possible(known.profile, form))


def _next(forms: tuple[Form, ...], tried: Attempt) -> Form | None:
    """The form after the one that was tried; None: that was the last."""
    form = Form(tried.purpose, tried.rate_unit, tried.stack_level)
    place = forms.index(form) + 1 if form in forms else len(forms)
    return forms[place] if place < len(forms) else None


def _change(
    books: Books, known: ProfileAssignment, at: Any, attempts: list[Attempt], state: AssignmentState, detail: str | None
) -> None:
    books.groups.assignments.change(known.number, at, attempts=tuple(attempts), state=state, detail=detail)


def _words(command: Command) -> str | None:
    if command.error_code is not None:
        return f"{command.error_code}: {command.error_description or ''}"
    return command.detail or (None if command.answer is None else command.answer.decode(errors="replace"))


def _assignment(books: Books, context: Context, number: int) -> ProfileAssignment:
    found = books.groups.assignments.get(context.organisation_id, number)
    if found is None:
        raise NotFound("assignment", number)
    return found


def _stored(books: Books, context: Context, number: int) -> StoredProfile:
    found = books.groups.stored_profiles.get(context.organisation_id, number)
    if found is None:
        raise NotFound("stored charging profile", number)
    return found


def _free(books: Books, context: Context, name: str, number: int | None) -> None:
    where = {"organisation_id": context.organisation_id, "name": name}
    if any(one.number != number for one in books.groups.stored_profiles.find(where)):
        raise Conflict(f"another stored charging profile has the name {name!r}")
