"""`/charging-profiles`: limits over time on stations; and a station's composite schedule.

Setting and removing one is a command to the station: answered as commands are.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from forecourt.api.authentication import ApiScope, CallerContext
from forecourt.api.bodies import LARGEST_INTEGER, LARGEST_KEY, instant
from forecourt.api.lifetime import CallerLifetime
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.outcomes import (
    NEVER_LEFT,
    CommandResource,
    IdempotencyKey,
    Prefer,
    answer_command,
    documented_command,
    granted_wait_s,
    show_command,
    wait_for_end,
)
from forecourt.api.problems import documented
from forecourt.api.typed_commands import SetChargingProfileCommand
from forecourt.csms import charging, commands
from forecourt.csms.comparing import differences
from forecourt.csms.intended import Wanted, intended_schedule
from forecourt.csms.records import ProfileState, StationProfile
from forecourt.domain.profile import ChargingProfile, ChargingRateUnit, CompositeSchedule, ProfileCriteria
from forecourt.domain.requests import CompositeScheduleAnswer, GetCompositeSchedule

ProfileNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]
_DEFAULT_WAIT_S: Final = 10.0


class StationProfileResource(msgspec.Struct, frozen=True, kw_only=True):
    """A charging profile given to an EVSE of a station; EVSE 0 is the station as a whole."""

    number: int
    """Our key."""
    station_id: str
    evse_id: int
    profile_id: int
    """The id that went over the wire."""
    state: ProfileState
    profile: ChargingProfile
    command_id: str | None
    created_at: datetime
    updated_at: datetime


class StationProfileList(Listing, frozen=True, kw_only=True):
    """Charging profiles, newest first."""

    items: tuple[StationProfileResource, ...]


class DifferenceResource(msgspec.Struct, frozen=True, kw_only=True):
    """From one instant to another the station's word is another than what was intended."""

    since: datetime
    until: datetime
    said: float
    intended: float
    over: bool
    """The station would allow more."""
    reason: str


class CompositeScheduleResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a station says its profiles come to."""

    schedule: CompositeSchedule | None
    """Null: there is none, or the station has not answered; see the command."""
    command: CommandResource
    differences: tuple[DifferenceResource, ...] | None = None
    """Where it isn't what its profiles come to by our own reading; null: that wasn't asked for, or there is none."""


def _show(profile: StationProfile) -> StationProfileResource:
    return shown(StationProfileResource, profile)


@get("/", summary="List charging profiles", responses=documented(404))
async def list_profiles(
    context: CallerContext,
    station_id: Filter = None,
    profile_id: Annotated[int | None, QueryParameter(ge=0, le=LARGEST_INTEGER)] = None,
    profile_state: Annotated[ProfileState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> StationProfileList:
    page = await charging.list_profiles(
        context,
        station_id=station_id,
        profile_id=profile_id,
        state=profile_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(StationProfileList, page, _show)


@get("/{number:int}", summary="A charging profile on a station", responses=documented(404))
async def get_profile(context: CallerContext, number: ProfileNumber) -> StationProfileResource:
    return _show(await charging.get_profile(context, number))


@post("/", status_code=202, summary="Give a charging profile to a station", responses=documented_command())
async def set_profile(
    context: CallerContext,
    lifetime: CallerLifetime,
    data: JSONBody[SetChargingProfileCommand],
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[CommandResource]:
    return await answer_command(context, lifetime, await data.issue(context, idempotency_key), prefer)


@delete(
    "/{number:int}", status_code=202, summary="Take a charging profile off its station", responses=documented_command()
)
async def clear_profile(
    context: CallerContext, lifetime: CallerLifetime, number: ProfileNumber, prefer: Prefer = None
) -> Response[CommandResource]:
    known = await charging.get_profile(context, number)
    criteria = ProfileCriteria(profile_id=known.profile_id)
    command = await charging.clear_profiles(context, known.station_id, criteria)
    return await answer_command(context, lifetime, command, prefer)


def _documented_schedule() -> dict[int, ResponseSpec]:
    responses = documented_command()
    responses[202] = ResponseSpec(
        data_container=CommandResource, generate_examples=False, description="The station has not answered yet"
    )
    responses[200] = ResponseSpec(
        data_container=CompositeScheduleResource, generate_examples=False, description="The station's word"
    )
    return responses


@get(
    "/stations/{station_id:str}/composite-schedule",
    summary="Ask a station what its charging profiles come to; waits 10 s unless `prefer: wait` says otherwise",
    responses=_documented_schedule(),
    tags=["Charging profiles"],
    opt={"scope": ApiScope.WRITE},
)
async def get_composite_schedule(
    context: CallerContext,
    lifetime: CallerLifetime,
    station_id: FromPath[str],
    evse_id: Annotated[int, QueryParameter(ge=0, le=LARGEST_INTEGER)] = 0,
    duration_s: Annotated[int, QueryParameter(ge=1, le=LARGEST_INTEGER)] = 86_400,
    rate_unit: FromQuery[ChargingRateUnit | None] = None,
    compare: FromQuery[bool] = False,
    hardware_max_a: Annotated[float, QueryParameter(gt=0, le=1e6)] = 1e6,
    prefer: Prefer = None,
) -> Response[Any]:
    request = GetCompositeSchedule(evse_id=evse_id, duration_s=duration_s, rate_unit=rate_unit)
    command = await commands.issue(context, station_id, request)
    wait_s = granted_wait_s(prefer, lifetime.longest_wait_s)
    command = await wait_for_end(context, lifetime, command, _DEFAULT_WAIT_S if wait_s is None else wait_s)
    if not command.state.final or command.state in NEVER_LEFT:
        return await answer_command(context, lifetime, command, None)
    answer = commands.answer_of(command)
    schedule = answer.schedule if isinstance(answer, CompositeScheduleAnswer) else None
    found = None
    if compare and schedule is not None:
        wanted = Wanted(
            evse_id=evse_id, duration_s=duration_s, rate_unit=schedule.rate_unit, hardware_max_a=hardware_max_a
        )
        intended = await intended_schedule(context, station_id, wanted)
        found = tuple(shown(DifferenceResource, one) for one in differences(schedule, intended))
    body = CompositeScheduleResource(schedule=schedule, command=show_command(command), differences=found)
    return Response(body, status_code=200)


router = Router(
    "/charging-profiles",
    route_handlers=[list_profiles, get_profile, set_profile, clear_profile],
    tags=["Charging profiles"],
)
