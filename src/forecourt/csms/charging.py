"""Charging profiles on stations: given, taken away, read back (OCPP 1.6 §3.13, OCPP 2.0.1 chapter K).

Guarantees
* A profile is in the books from before it is sent, with what the station's answer made of it (`ProfileState`).
* The composite schedule is the station's own word, never computed here.
"""

from datetime import datetime

from forecourt.csms import commands
from forecourt.csms.command_records import Command
from forecourt.csms.errors import Invalid, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page, ProfileState, StationProfile
from forecourt.domain.profile import ChargingProfile, ChargingRateUnit, ProfileCriteria
from forecourt.domain.requests import (
    ClearChargingProfile,
    CompositeScheduleAnswer,
    GetCompositeSchedule,
    SetChargingProfile,
)


async def set_profile(
    context: Context,
    station_id: str,
    evse_id: int,
    profile: ChargingProfile,
    *,
    timeout_s: float | None = None,
    idempotency_key: str | None = None,
) -> tuple[Command, StationProfile]:
    """Give `profile` to an EVSE (0: the station); an id of 0 is replaced by one of ours.

    Raises:
        NotFound, Conflict: as `commands.issue`.
        Invalid: the profile has no schedule or no period, or its periods don't begin at 0 and ascend.
    """
    check_profile(evse_id, profile)
    request = SetChargingProfile(evse_id=evse_id, profile=profile)
    command = await commands.issue(context, station_id, request, timeout_s=timeout_s, idempotency_key=idempotency_key)
    entries = await context.store.read(lambda books: books.charging.by_command(command.id))
    return command, entries[0]


async def clear_profiles(
    context: Context, station_id: str, criteria: ProfileCriteria, *, timeout_s: float | None = None
) -> Command:
    """Take away what matches. Raises NotFound."""
    return await commands.issue(context, station_id, ClearChargingProfile(criteria=criteria), timeout_s=timeout_s)


async def composite_schedule(
    context: Context,
    station_id: str,
    evse_id: int,
    duration_s: int,
    rate_unit: ChargingRateUnit | None = None,
    *,
    wait_s: float,
) -> tuple[Command, CompositeScheduleAnswer | None]:
    """Ask the station what its profiles come to. The answer is None while it hasn't come, or when it was an error."""
    request = GetCompositeSchedule(evse_id=evse_id, duration_s=duration_s, rate_unit=rate_unit)
    command = await commands.issue(context, station_id, request)
    if not command.state.final:
        command = await commands.wait(context, command.id, wait_s)
    answer = commands.answer_of(command)
    return command, answer if isinstance(answer, CompositeScheduleAnswer) else None


async def list_profiles(
    context: Context,
    *,
    station_id: str | None = None,
    profile_id: int | None = None,
    state: ProfileState | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[StationProfile]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[StationProfile]:
        number = None
        if station_id is not None:
            station = books.stations.get(context.organisation_id, station_id)
            if station is None:
                raise NotFound("station", station_id)
            number = station.number
        return books.charging.page(
            context.organisation_id,
            station_number=number,
            profile_id=profile_id,
            state=state,
            created_from=created_from,
            created_to=created_to,
            before=before,
            limit=limit + 1,
        )

    return page_of(await context.store.read(query), limit, lambda entry: str(entry.number))


async def get_profile(context: Context, number: int) -> StationProfile:
    """By our own key. Raises NotFound."""

    def query(books: Books) -> StationProfile | None:
        found = books.charging.page(
            context.organisation_id,
            station_number=None,
            profile_id=None,
            state=None,
            created_from=None,
            created_to=None,
            before=number + 1,
            limit=1,
        )
        return found[0] if found and found[0].number == number else None

    profile = await context.store.read(query)
    if profile is None:
        raise NotFound("charging profile", number)
    return profile


def check_profile(evse_id: int, profile: ChargingProfile) -> None:
    """Raises Invalid for what no station could take."""
    if evse_id < 0:
        raise Invalid("evse_id", "must be at least 0")
    if not profile.schedules:
        raise Invalid("profile.schedules", "must have at least one schedule")
    for index, schedule in enumerate(profile.schedules):
        starts = [period.start_period_s for period in schedule.periods]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise Invalid(f"profile.schedules[{index}].periods", "must begin at 0 and ascend")
    for name in ("valid_from", "valid_to"):
        value: datetime | None = getattr(profile, name)
        if value is not None and value.tzinfo is None:
            raise Invalid(f"profile.{name}", "must have a time zone")
