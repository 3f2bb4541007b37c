"""`/users` and `/organisations`: who may sign in, and to whom everything belongs. For administrators.

Guarantees
* A one-time password is shown once, when it is made. No other password ever leaves.
* Organisations are made and seen by the first one's administrators; any other sees itself only.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from forecourt.api.authentication import PREFIX, ApiScope, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Name
from forecourt.api.lists import DEFAULT_LIMIT, Limit, Listing, listing, shown
from forecourt.api.problems import Refused, documented
from forecourt.csms import people
from forecourt.csms.people import UserChanges, UserFields
from forecourt.csms.people_records import Organisation, Role, User
from forecourt.csms.records import DEFAULT_ORGANISATION

UserId = Annotated[str, PathParameter(max_length=100)]
NameCursor = Annotated[str | None, QueryParameter(max_length=255, description="The `next_cursor` of the page before.")]
OrganisationId = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]
LocationIds = Annotated[tuple[Annotated[int, Meta(ge=1, le=LARGEST_KEY)], ...], Meta(min_length=1, max_length=1000)]


class UserBody(Asked, frozen=True, kw_only=True):
    """A user as somebody enters one."""

    name: Name
    """To sign in with; upper and lower case are alike."""
    full_name: Name | None = None
    role: Role = Role.VIEWER
    location_ids: LocationIds | None = None
    """Only what stands at these locations; null: everything."""


class UserPatch(Asked, frozen=True, kw_only=True):
    """What to change of a user; what isn't there stays."""

    name: Name | UnsetType = UNSET
    full_name: Name | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    location_ids: LocationIds | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class UserResource(msgspec.Struct, frozen=True, kw_only=True):
    """A person."""

    id: str
    name: str
    full_name: str | None
    role: Role
    location_ids: tuple[int, ...] | None
    has_password: bool
    one_time: bool
    """The password was given out by somebody else and hasn't been replaced yet."""
    password_until: datetime | None
    subject: str | None
    """Who the identity provider says it is; null: signs in here."""
    disabled_at: datetime | None
    last_sign_in_at: datetime | None
    created_at: datetime
    updated_at: datetime


class NewUser(UserResource, frozen=True, kw_only=True):
    """A user who was just made."""

    one_time_password: str
    """To sign in with once, and to be replaced then; it is never shown again."""


class OneTimePassword(msgspec.Struct, frozen=True, kw_only=True):
    """A password for one use."""

    one_time_password: str


class UserList(Listing, frozen=True, kw_only=True):
    """Users, by name."""

    items: tuple[UserResource, ...]


class OrganisationBody(Asked, frozen=True, kw_only=True):
    """A tenant as somebody enters it."""

    name: Name
    administrator: Name
    """The name that its first administrator signs in with."""


class OrganisationPatch(Asked, frozen=True, kw_only=True):
    """Another name."""

    name: Name


class OrganisationResource(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant."""

    id: int
    name: str
    created_at: datetime


class NewOrganisation(OrganisationResource, frozen=True, kw_only=True):
    """A tenant that was just made."""

    administrator: str
    one_time_password: str
    """Of its first administrator; it is never shown again."""


class OrganisationList(msgspec.Struct, frozen=True, kw_only=True):
    """Organisations, in the order they were made."""

    items: tuple[OrganisationResource, ...]
    next_cursor: str | None = None


def _show(user: User) -> UserResource:
    return shown(UserResource, user)


def _show_organisation(organisation: Organisation) -> OrganisationResource:
    return shown(OrganisationResource, organisation)


@get("/", summary="List users", responses=documented())
async def list_users(context: CallerContext, cursor: NameCursor = None, limit: Limit = DEFAULT_LIMIT) -> UserList:
    return listing(UserList, await people.list_users(context, cursor=cursor, limit=limit), _show)


@post("/", summary="Enter a user", responses=documented(408, 409, 413, 415))
async def create_user(context: CallerContext, data: JSONBody[UserBody]) -> Response[NewUser]:
    fields = msgspec.convert(data, UserFields, from_attributes=True)
    user, text = await people.create_user(context, fields)
    headers = {"location": f"{PREFIX}/users/{user.id}", "cache-control": "no-store"}
    return Response(shown(NewUser, user, one_time_password=text), status_code=201, headers=headers)


@get("/{user_id:str}", summary="A user", responses=documented(404))
async def get_user(context: CallerContext, user_id: UserId) -> UserResource:
    return _show(await people.get_user(context, user_id))


@patch(
    "/{user_id:str}",
    summary="Change a user; who loses a role or is disabled is signed out",
    responses=documented(404, 408, 409, 413, 415),
)
async def update_user(context: CallerContext, user_id: UserId, data: JSONBody[UserPatch]) -> UserResource:
    return _show(await people.update_user(context, user_id, UserChanges(**msgspec.structs.asdict(data))))


@delete("/{user_id:str}", summary="Take a user out", responses=documented(404, 409))
async def remove_user(context: CallerContext, user_id: UserId) -> None:
    await people.remove_user(context, user_id)


@post(
    "/{user_id:str}/one-time-password",
    status_code=200,
    summary="Give a user a password for one use; signs them out",
    responses=documented(404, 409),
)
async def reset_password(context: CallerContext, user_id: UserId) -> Response[OneTimePassword]:
    text = await people.reset_password(context, user_id)
    return Response(OneTimePassword(one_time_password=text), headers={"cache-control": "no-store"})


@get("/", summary="List organisations", responses=documented())
async def list_organisations(context: CallerContext) -> OrganisationList:
    found = await people.list_organisations(context)
    return OrganisationList(items=tuple(_show_organisation(one) for one in found))


@post("/", summary="Enter an organisation with its first administrator", responses=documented(408, 409, 413, 415))
async def create_organisation(context: CallerContext, data: JSONBody[OrganisationBody]) -> Response[NewOrganisation]:
    if context.organisation_id != DEFAULT_ORGANISATION:
        raise Refused(HTTPStatus.FORBIDDEN, "only the first organisation makes others")
    made, text = await people.create_organisation(context, data.name, data.administrator)
    body = shown(NewOrganisation, made, administrator=data.administrator, one_time_password=text)
    return Response(body, status_code=201, headers={"cache-control": "no-store"})


@patch("/{organisation_id:int}", summary="Rename an organisation", responses=documented(404, 408, 413, 415))
async def rename_organisation(
    context: CallerContext, organisation_id: OrganisationId, data: JSONBody[OrganisationPatch]
) -> OrganisationResource:
    return _show_organisation(await people.rename_organisation(context, organisation_id, data.name))


router = Router(
    "/users",
    route_handlers=[list_users, create_user, get_user, update_user, remove_user, reset_password],
    tags=["Users"],
    opt={"scope": ApiScope.ADMIN},
)
organisations_router = Router(
    "/organisations",
    route_handlers=[list_organisations, create_organisation, rename_organisation],
    tags=["Organisations"],
    opt={"scope": ApiScope.ADMIN},
)
