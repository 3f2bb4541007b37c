"""`/charging-profiles/stored` and `/charging-profiles/assignments`: profiles under a name, and who shall have which.

An assignment is sent by the CSMS itself, in one form after the other until the station takes one, and again when it is
back; POST to `/charging-profiles` is one command, and no more.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post, put
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Name, Number, StationId, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.api.profile_bodies import ProfileBody
from forecourt.csms import assignments
from forecourt.csms.group_records import AssignmentState, Attempt, ProfileAssignment, StoredProfile
from forecourt.domain.profile import ChargingProfile

OwnNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]


class StoredProfileBody(Asked, frozen=True, kw_only=True):
    """A profile under a name; its id is given when it is assigned."""

    name: Name
    profile: ProfileBody


class StoredProfileResource(msgspec.Struct, frozen=True, kw_only=True):
    """The same."""

    number: int
    name: str
    profile: ChargingProfile
    created_at: datetime
    updated_at: datetime


class StoredProfileList(Listing, frozen=True, kw_only=True):
    """Stored profiles, newest first."""

    items: tuple[StoredProfileResource, ...]


class AssignmentBody(Asked, frozen=True, kw_only=True):
    """Who shall have which: a profile of its own, or a stored one."""

    station_id: StationId
    evse_id: Number
    """0: the station as a whole."""
    profile: ProfileBody | None = None
    stored_number: Annotated[int, Meta(ge=1, le=LARGEST_KEY - 1)] | None = None
    transaction_id: Annotated[str, Meta(min_length=1, max_length=36)] | None = None
    """For a TxProfile that is stored: the transaction, by its id on the wire."""
    fall_back: bool = True
    """Whether other units, stack levels and purposes may be tried."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.profile is None) == (self.stored_number is None):
            raise ValueError("profile: either it or stored_number must be given")


class ProfileAssignmentResource(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that an EVSE shall have, and what came of it."""

    number: int
    station_id: str
    evse_id: int
    stored_number: int | None
    profile: ChargingProfile
    """As it was meant."""
    state: AssignmentState
    fall_back: bool
    attempts: tuple[Attempt, ...]
    """In their order; the last one of an installed assignment is the form that worked."""
    detail: str | None
    created_at: datetime
    updated_at: datetime


class ProfileAssignmentList(Listing, frozen=True, kw_only=True):
    """Assignments, newest first."""

    items: tuple[ProfileAssignmentResource, ...]


def _show(one: ProfileAssignment) -> ProfileAssignmentResource:
    return shown(ProfileAssignmentResource, one)


def _show_stored(one: StoredProfile) -> StoredProfileResource:
    return shown(StoredProfileResource, one)


def _profile(body: ProfileBody) -> ChargingProfile:
    return msgspec.convert(body, ChargingProfile, from_attributes=True)


@get("/stored", summary="List stored charging profiles", responses=documented())
async def list_stored_profiles(
    context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> StoredProfileList:
    return listing(StoredProfileList, await assignments.list_stored(context, cursor=cursor, limit=limit), _show_stored)


@post("/stored", summary="Store a charging profile under a name", responses=documented(408, 409, 413, 415))
async def store_profile(context: CallerContext, data: JSONBody[StoredProfileBody]) -> Response[StoredProfileResource]:
    made = _show_stored(await assignments.store_profile(context, data.name, _profile(data.profile)))
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/charging-profiles/stored/{made.number}"})


@get("/stored/{number:int}", summary="A stored charging profile", responses=documented(404))
async def get_stored_profile(context: CallerContext, number: OwnNumber) -> StoredProfileResource:
    return _show_stored(await assignments.get_stored(context, number))


@put(
    "/stored/{number:int}",
    summary="Change a stored charging profile; what it was assigned to keeps what it was",
    responses=documented(404, 408, 409, 413, 415),
)
async def replace_stored_profile(
    context: CallerContext, number: OwnNumber, data: JSONBody[StoredProfileBody]
) -> StoredProfileResource:
    return _show_stored(await assignments.replace_stored(context, number, data.name, _profile(data.profile)))


@delete("/stored/{number:int}", summary="Forget a stored charging profile", responses=documented(404))
async def remove_stored_profile(context: CallerContext, number: OwnNumber) -> None:
    await assignments.remove_stored(context, number)


@get("/assignments", summary="List assigned charging profiles", responses=documented(404))
async def list_profile_assignments(
    context: CallerContext,
    station_id: Filter = None,
    assignment_state: Annotated[AssignmentState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ProfileAssignmentList:
    page = await assignments.list_assignments(
        context,
        station_id=station_id,
        state=assignment_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(ProfileAssignmentList, page, _show)


@post(
    "/assignments",
    summary="Assign a charging profile: it is sent in one form after the other until the station takes one",
    responses=documented(404, 408, 409, 413, 415),
)
async def assign_profile(context: CallerContext, data: JSONBody[AssignmentBody]) -> Response[ProfileAssignmentResource]:
    made = await assignments.assign(
        context,
        data.station_id,
        data.evse_id,
        None if data.profile is None else _profile(data.profile),
        stored_number=data.stored_number,
        transaction_id=data.transaction_id,
        fall_back=data.fall_back,
    )
    headers = {"location": f"{PREFIX}/charging-profiles/assignments/{made.number}"}
    return Response(_show(made), status_code=201, headers=headers)


@get("/assignments/{number:int}", summary="An assigned charging profile, and which form worked",
     responses=documented(404))  # fmt: skip
async def get_profile_assignment(context: CallerContext, number: OwnNumber) -> ProfileAssignmentResource:
    return _show(await assignments.get_assignment(context, number))


@delete(
    "/assignments/{number:int}",
    status_code=200,
    summary="Take an assigned charging profile off its station again",
    responses=documented(404),
)
async def remove_profile_assignment(context: CallerContext, number: OwnNumber) -> ProfileAssignmentResource:
    return _show(await assignments.remove_assignment(context, number))


router = Router(
    "/charging-profiles",
    route_handlers=[
        list_stored_profiles,
        store_profile,
        get_stored_profile,
        replace_stored_profile,
        remove_stored_profile,
        list_profile_assignments,
        assign_profile,
        get_profile_assignment,
        remove_profile_assignment,
    ],
    tags=["Charging profiles"],
)
